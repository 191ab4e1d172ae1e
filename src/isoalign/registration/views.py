"""Radiographs as the match sees them: line integrals at one resolution, freed of what is smooth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from isoalign.geometry import DicomPatient, Fixed, Pose, ProjectionGeometry
from isoalign.imaging import AttenuationGrid, NoSignal, RepairedPixels, binned, line_integrals, repaired_pixels
from isoalign.imaging.compiled import kernel_lock
from isoalign.records import Radiograph
from isoalign.registration.errors import BlankRadiograph, ViewsTooParallel, WrongNumberOfViews
from isoalign.registration.kernels import local_sums
from isoalign.registration.settings import MatchLevel
from isoalign.registration.truncation import uncut_rays

Float32 = npt.NDArray[np.float32]

LEAST_ANGLE_DEG = 45.0
LEAST_CONTRAST = 0.08
"""Between the 2nd and the 98th percentile of line integrals: 4 mm of water."""


@dataclass(frozen=True, slots=True)
class View:
    """One usable radiograph."""

    imager: str
    geometry: ProjectionGeometry
    pixels: RepairedPixels

    @property
    def pixel_mm(self) -> float:
        """Size of a pixel of the radiograph, scaled to the isocentre."""
        source = self.geometry.source_mm
        to_panel = float(self.geometry.fixed_from_receptor.inverse().apply(source)[2])
        return self.geometry.grid.row_spacing_mm * float(np.linalg.norm(source)) / to_panel

    def bin_factor(self, pixel_mm: float) -> int:
        """How many pixels to average for pixels of about this size at the isocentre."""
        return max(1, round(pixel_mm / self.pixel_mm))


@dataclass(frozen=True, slots=True)
class LevelView:
    """One radiograph at one resolution.

    Attributes
    ----------
    mask : ndarray, shape (rows, columns), float32
        1 where the pixel is used.
    share : ndarray, shape (rows, columns), float32
        Sum of the mask in the window around each pixel, at least a small number.
    integrals, detail, variance : ndarray, shape (rows, columns), float32
        Line integrals, the same less their local mean, and their local variance.
    """

    geometry: ProjectionGeometry
    radius: int
    mask: Float32
    share: Float32
    integrals: Float32
    mean: Float32
    detail: Float32
    variance: Float32


def window_sums(stack: Float32, radius: int) -> Float32:
    """Local sums of every channel; see :func:`isoalign.registration.kernels.local_sums`."""
    out = np.empty_like(stack)
    with kernel_lock:
        local_sums(stack, radius, out)
    return out


def usable_views(radiographs: Sequence[Radiograph]) -> tuple[View, ...]:
    """Check two radiographs and repair their dead pixels.

    Raises
    ------
    WrongNumberOfViews, ViewsTooParallel, BlankRadiograph
    """
    if len(radiographs) != 2:
        raise WrongNumberOfViews(f"a 2D/3D match needs two radiographs, not {len(radiographs)}", views=len(radiographs))
    first, second = (one.geometry.source_mm / np.linalg.norm(one.geometry.source_mm) for one in radiographs)
    angle_deg = float(np.rad2deg(np.arccos(min(1.0, abs(float(first @ second))))))
    if angle_deg < LEAST_ANGLE_DEG:
        raise ViewsTooParallel(
            f"the two radiographs look along lines only {angle_deg:.0f} degrees apart", angle_deg=angle_deg
        )
    return tuple(_usable(one) for one in radiographs)


def _usable(radiograph: Radiograph) -> View:
    imager = radiograph.acquisition.imager
    if int(radiograph.pixels.min()) == int(radiograph.pixels.max()):
        raise BlankRadiograph(
            f"every pixel of the radiograph of imager {imager} is {int(radiograph.pixels.flat[0])}", imager=imager
        )
    try:
        pixels = repaired_pixels(radiograph)
    except NoSignal as problem:
        raise BlankRadiograph(str(problem), imager=imager) from problem
    view = View(imager, radiograph.geometry, pixels)
    coarse = line_integrals(binned(pixels.intensity, view.bin_factor(4.0)), pixels.open_field)
    low, high = np.percentile(coarse, (2.0, 98.0))
    if high - low < LEAST_CONTRAST:
        raise BlankRadiograph(
            f"the radiograph of imager {imager} shows nothing: its line integrals differ by {high - low:.3f} only",
            imager=imager,
            contrast=float(high - low),
        )
    return view


def level_view(
    view: View, level: MatchLevel, grid: AttenuationGrid, fixed_from_dicom: Pose[Fixed, DicomPatient]
) -> LevelView:
    """A radiograph at one resolution, masked where the CT does not hold what the radiograph shows."""
    factor = view.bin_factor(level.pixel_mm)
    geometry = view.geometry.with_grid(view.geometry.grid.binned(factor))
    integrals = line_integrals(binned(view.pixels.intensity, factor), view.pixels.open_field)
    mask = uncut_rays(grid, geometry, fixed_from_dicom).astype(np.float32)
    radius = max(1, round(level.window_mm / (view.pixel_mm * factor) / 2))
    sums = window_sums(np.stack([mask, mask * integrals, mask * integrals * integrals]), radius)
    share = np.maximum(sums[0], np.float32(1e-3))
    mean = sums[1] / share
    variance = np.maximum(sums[2] / share - mean * mean, np.float32(0.0))
    return LevelView(geometry, radius, mask, share, integrals, mean, integrals - mean, variance)
