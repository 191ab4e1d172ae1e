"""Ramp filters along detector rows, and the continuation of rows that the body leaves."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

import numpy as np
import numpy.typing as npt
from scipy import fft

from isoalign.geometry import Array
from isoalign.imaging.cone_beam.errors import UnusableReconstruction

Float32 = npt.NDArray[np.float32]

EDGE_COLUMNS = 8
"""Columns at the edge of the panel whose mean and slope the water cylinder must meet."""


class RampWindow(Enum):
    """By what the ramp is damped towards high frequencies."""

    RAM_LAK = "ram-lak"
    SHEPP_LOGAN = "shepp-logan"
    COSINE = "cosine"
    HANN = "hann"
    HAMMING = "hamming"


@dataclass(frozen=True, slots=True)
class RampFilter:
    """A ramp filter: window, and where it ends as a part of the pixels' Nyquist frequency (0 to 1).

    Raises
    ------
    UnusableReconstruction
    """

    window: RampWindow = RampWindow.RAM_LAK
    cut_off: float = 1.0

    def __post_init__(self) -> None:
        if not 0.0 < self.cut_off <= 1.0:
            raise UnusableReconstruction(f"a ramp filter's cut-off is between 0 and 1, not {self.cut_off:g}")

    def response(self, length: int) -> Array:
        """Frequency response at ``rfftfreq(length)`` for pixels of unit size; (length // 2 + 1,), ``length`` even.

        The ramp is the transform of its band-limited kernel, so that the mean of an image comes out right.
        """
        distance = np.minimum(np.arange(length), length - np.arange(length))
        kernel = np.zeros(length)
        odd = distance % 2 == 1
        kernel[odd] = -1.0 / (math.pi * distance[odd]) ** 2
        kernel[0] = 0.25
        ramp = fft.rfft(kernel).real
        part = np.arange(length // 2 + 1) / (length / 2) / self.cut_off
        return np.asarray(np.where(part <= 1.0 + 1e-12, ramp * self._damping(part), 0.0))

    def _damping(self, part: Array) -> Array:
        match self.window:
            case RampWindow.RAM_LAK:
                return np.ones_like(part)
            case RampWindow.SHEPP_LOGAN:
                return np.asarray(np.sinc(part / 2))
            case RampWindow.COSINE:
                return np.asarray(np.cos(math.pi / 2 * part))
            case RampWindow.HANN:
                return np.asarray(0.5 + 0.5 * np.cos(math.pi * part))
            case RampWindow.HAMMING:
                return np.asarray(0.54 + 0.46 * np.cos(math.pi * part))


def filter_length(columns: int) -> int:
    """An even length for fast transforms at which rows of so many columns do not wrap around."""
    return 2 * int(fft.next_fast_len(columns, real=True))


def filtered(rows: Float32, response: Array) -> Float32:
    """Each row (last axis, padded with zeros to the length of the response) through the filter; same shape."""
    length = 2 * (response.size - 1)
    spectrum = fft.rfft(rows, length, axis=-1, overwrite_x=True)
    spectrum *= response.astype(np.float32)
    return np.asarray(fft.irfft(spectrum, length, axis=-1, overwrite_x=True)[..., : rows.shape[-1]], dtype=np.float32)


def continued(rows: Float32, before: int, after: int, pixel_mm: float, water_per_mm: float) -> Float32:
    """Rows continued beyond the edges of the panel by the water cylinder that fits value and slope there.

    Parameters
    ----------
    rows : ndarray, shape (rows, columns)
        Line integrals.
    before, after : int
        By how many columns to continue before the first and after the last one; 0 leaves that edge as it is.
    pixel_mm : float
        Size of a pixel at the rotation axis.
    water_per_mm : float

    Returns
    -------
    ndarray, shape (rows, before + columns + after), float32

    Notes
    -----
    Hsieh et al., Med. Phys. 31 (2004) 2385. A row that is zero at the edge stays zero beyond it.
    """
    out = np.zeros((rows.shape[0], before + rows.shape[1] + after), np.float32)
    out[:, before : before + rows.shape[1]] = rows
    if before:
        out[:, :before] = _beyond(rows[:, ::-1], before, pixel_mm, water_per_mm)[:, ::-1]
    if after:
        out[:, out.shape[1] - after :] = _beyond(rows, after, pixel_mm, water_per_mm)
    return out


def _beyond(rows: Float32, count: int, pixel_mm: float, water_per_mm: float) -> Array:
    """What follows after the last column."""
    edge = rows[:, -EDGE_COLUMNS:].astype(np.float64)
    at = (np.arange(edge.shape[1]) - (edge.shape[1] - 1) / 2) * pixel_mm
    slope = (edge @ at) / max(float(at @ at), 1e-12)
    value = np.maximum(edge.mean(axis=1) + slope * at[-1], 0.0)
    from_centre = np.maximum(-value * slope / (4 * water_per_mm**2), 0.0)
    squared_radius = (value / (2 * water_per_mm)) ** 2 + from_centre**2
    places = from_centre[:, None] + pixel_mm * np.arange(1, count + 1)
    chords = 2 * water_per_mm * np.sqrt(np.clip(squared_radius[:, None] - places**2, 0.0, None))
    # the cylinder may reach farther than the continuation: its last quarter ends smoothly
    rest = np.clip((count + 1 - np.arange(1, count + 1)) / (count / 4 + 1), 0.0, 1.0)
    return np.asarray(chords * np.sin(math.pi / 2 * rest) ** 2)
