"""From the pixels of a radiograph to line integrals of attenuation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from isoalign.imaging.compiled import kernel_lock
from isoalign.imaging.errors import NoSignal
from isoalign.imaging.pixel_kernels import average_pixels, repair_dead_pixels
from isoalign.records import Radiograph

Float32 = npt.NDArray[np.float32]

OPEN_FIELD_PERCENTILE = 99.5


@dataclass(frozen=True, slots=True)
class RepairedPixels:
    """A radiograph's intensities with isolated dead or stuck pixels replaced by the median around them.

    Attributes
    ----------
    intensity : ndarray, shape (rows, columns), float32
    repaired : int
        How many pixels were replaced.
    open_field : float
        Intensity of the unattenuated beam, estimated as the 99.5th percentile of 4 x 4 pixel means. Where no part of
        the panel sees the open beam, the line integrals lack a constant.
    """

    intensity: Float32
    repaired: int
    open_field: float


def repaired_pixels(radiograph: Radiograph) -> RepairedPixels:
    """Repair dead pixels and estimate the open field of a radiograph.

    Raises
    ------
    NoSignal
        When no pixel is above zero.
    """
    intensity: Float32 = np.empty(radiograph.pixels.shape, np.float32)
    with kernel_lock:
        repaired = repair_dead_pixels(radiograph.pixels, intensity)
    factor = min(4, *radiograph.pixels.shape)
    open_field = float(np.percentile(binned(intensity, factor), OPEN_FIELD_PERCENTILE))
    if open_field <= 0.0:
        raise NoSignal(f"the radiograph of imager {radiograph.acquisition.imager} has no pixel above zero")
    return RepairedPixels(intensity, repaired, open_field)


def binned(image: Float32, factor: int) -> Float32:
    """Means of blocks of ``factor`` x ``factor`` pixels; goes with :meth:`~isoalign.geometry.PixelGrid.binned`."""
    if factor == 1:
        return image
    out = np.empty((image.shape[0] // factor, image.shape[1] // factor), np.float32)
    with kernel_lock:
        average_pixels(np.ascontiguousarray(image), factor, out)
    return out


def line_integrals(intensity: Float32, open_field: float) -> Float32:
    """-log(intensity / open_field), float32; intensities below a thousandth of the open field count as that."""
    return np.asarray(-np.log(np.maximum(intensity / np.float32(open_field), np.float32(1e-3))), dtype=np.float32)


def radiograph_line_integrals(radiograph: Radiograph, *, bin_factor: int = 1) -> Float32:
    """The line integrals of attenuation that a radiograph shows.

    Parameters
    ----------
    radiograph : Radiograph
    bin_factor : int
        Average the intensity over so many pixels in rows and columns first.

    Returns
    -------
    ndarray, shape (rows // bin_factor, columns // bin_factor), float32
        Up to scatter, beam hardening, the panel's gain map, and a constant where the panel sees no open beam.

    Raises
    ------
    NoSignal
    """
    pixels = repaired_pixels(radiograph)
    return line_integrals(binned(pixels.intensity, bin_factor), pixels.open_field)
