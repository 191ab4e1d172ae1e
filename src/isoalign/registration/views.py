"""Radiographs as the match sees them: line integrals at one resolution, freed of what is smooth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from isoalign.geometry import DicomPatient, Fixed, Pose, ProjectionGeometry
from isoalign.imaging import (
    AttenuationGrid,
    NoSignal,
    RepairedPixels,
    binned,
    line_integrals,
    project_grid,
    repaired_pixels,
)
from isoalign.imaging.compiled import kernel_lock
from isoalign.records import Radiograph
from isoalign.registration.blades import field_of_blades
from isoalign.registration.errors import BlankRadiograph, EmptyRegion, ViewsTooParallel, WrongNumberOfViews
from isoalign.registration.kernels import local_sums
from isoalign.registration.settings import MatchLevel
from isoalign.registration.truncation import uncut_rays

Float32 = npt.NDArray[np.float32]
PixelMask = npt.NDArray[np.bool_]

LEAST_ANGLE_DEG = 45.0
LEAST_CONTRAST = 0.08
"""Between the 2nd and the 98th percentile of line integrals: 4 mm of water."""
WHOLLY = 0.999
"""Part of a binned pixel that must lie in the region."""
CROSSED_MM = 2.0
"""A ray sees the region of the CT when it crosses so much of it."""


@dataclass(frozen=True, slots=True)
class View:
    """One usable radiograph."""

    imager: str
    geometry: ProjectionGeometry
    pixels: RepairedPixels
    used: Float32 | None = None
    """1 where pixels may be used, (rows, columns); None for everywhere."""
    _binned: dict[int, tuple[Float32, Float32 | None]] = field(default_factory=dict, repr=False, compare=False)

    @property
    def pixel_mm(self) -> float:
        """Size of a pixel of the radiograph, scaled to the isocentre."""
        source = self.geometry.source_mm
        to_panel = float(self.geometry.fixed_from_receptor.inverse().apply(source)[2])
        return self.geometry.grid.row_spacing_mm * float(np.linalg.norm(source)) / to_panel

    def bin_factor(self, pixel_mm: float) -> int:
        """How many pixels to average for pixels of about this size at the isocentre."""
        return max(1, round(pixel_mm / self.pixel_mm))

    def line_integrals(self, factor: int) -> Float32:
        """Of blocks of ``factor`` x ``factor`` pixels, (rows, columns); made on first use."""
        return self._at(factor)[0]

    def usable(self, factor: int) -> Float32 | None:
        """1 where such a block may be used, 0 elsewhere, (rows, columns); None for everywhere."""
        return self._at(factor)[1]

    def _at(self, factor: int) -> tuple[Float32, Float32 | None]:
        if factor not in self._binned:
            integrals = line_integrals(binned(self.pixels.intensity, factor), self.pixels.open_field)
            wholly = None if self.used is None else (binned(self.used, factor) > WHOLLY).astype(np.float32)
            self._binned[factor] = integrals, wholly
        return self._binned[factor]

    def window_radius(self, window_mm: float, factor: int) -> int:
        """Radius in pixels of :func:`window_sums`, for a window of so many mm to each side and binned pixels."""
        return max(1, round(window_mm / (self.pixel_mm * factor) / 2))


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


def usable_views(
    radiographs: Sequence[Radiograph], regions: Sequence[PixelMask | None] | None = None
) -> tuple[View, ...]:
    """Check two radiographs, repair their dead pixels and find collimator blades.

    Parameters
    ----------
    radiographs : sequence of two Radiograph
    regions : sequence of ndarray, shape (rows, columns), bool, or None, optional
        For each radiograph, the pixels that may be used.

    Raises
    ------
    WrongNumberOfViews, ViewsTooParallel, BlankRadiograph, EmptyRegion
    """
    if len(radiographs) != 2:
        raise WrongNumberOfViews(f"a 2D/3D match needs two radiographs, not {len(radiographs)}", views=len(radiographs))
    first, second = (one.geometry.source_mm / np.linalg.norm(one.geometry.source_mm) for one in radiographs)
    angle_deg = float(np.rad2deg(np.arccos(min(1.0, abs(float(first @ second))))))
    if angle_deg < LEAST_ANGLE_DEG:
        raise ViewsTooParallel(
            f"the two radiographs look along lines only {angle_deg:.0f} degrees apart", angle_deg=angle_deg
        )
    chosen = regions if regions is not None else (None,) * len(radiographs)
    if len(chosen) != len(radiographs):
        raise EmptyRegion(f"{len(radiographs)} radiographs need as many regions, not {len(chosen)}")
    return tuple(usable_view(one, region) for one, region in zip(radiographs, chosen, strict=True))


def usable_view(radiograph: Radiograph, region: PixelMask | None = None) -> View:
    """One radiograph, checked; see :func:`usable_views`."""
    imager = radiograph.acquisition.imager
    if int(radiograph.pixels.min()) == int(radiograph.pixels.max()):
        raise BlankRadiograph(
            f"every pixel of the radiograph of imager {imager} is {int(radiograph.pixels.flat[0])}", imager=imager
        )
    try:
        pixels = repaired_pixels(radiograph)
    except NoSignal as problem:
        raise BlankRadiograph(str(problem), imager=imager) from problem
    view = View(imager, radiograph.geometry, pixels, _used(radiograph, pixels, region))
    factor = view.bin_factor(4.0)
    coarse, wholly = view.line_integrals(factor), view.usable(factor)
    shown = coarse if wholly is None else coarse[wholly > 0]
    if shown.size == 0:
        raise EmptyRegion(f"the region holds too little of the radiograph of imager {imager}", imager=imager)
    low, high = np.percentile(shown, (2.0, 98.0))
    if high - low < LEAST_CONTRAST:
        raise BlankRadiograph(
            f"the radiograph of imager {imager} shows nothing: its line integrals differ by {high - low:.3f} only",
            imager=imager,
            contrast=float(high - low),
        )
    return view


def _used(radiograph: Radiograph, pixels: RepairedPixels, region: PixelMask | None) -> Float32 | None:
    """Which pixels lie within the collimator and the user's region."""
    field = field_of_blades(pixels.intensity, pixels.open_field)
    if region is None:
        return None if field is None else field.astype(np.float32)
    chosen = np.asarray(region, dtype=np.bool_)
    imager = radiograph.acquisition.imager
    if chosen.shape != radiograph.pixels.shape:
        raise EmptyRegion(
            f"the region is {chosen.shape} pixels, the radiograph of imager {imager} {radiograph.pixels.shape}"
        )
    used = chosen if field is None else chosen & field
    if not used.any():
        raise EmptyRegion(f"the region holds no pixel of the radiograph of imager {imager} that could be used")
    return used.astype(np.float32)


def level_view(
    view: View,
    level: MatchLevel,
    grid: AttenuationGrid,
    fixed_from_dicom: Pose[Fixed, DicomPatient],
    region: AttenuationGrid | None = None,
) -> LevelView:
    """A radiograph at one resolution, masked where the CT does not hold what the radiograph shows.

    Parameters
    ----------
    view, level, grid, fixed_from_dicom
    region : AttenuationGrid, optional
        1 in the part of the CT that is to be matched: only rays that cross it are used.
    """
    factor = view.bin_factor(level.pixel_mm)
    geometry = view.geometry.with_grid(view.geometry.grid.binned(factor))
    integrals, wholly = view.line_integrals(factor), view.usable(factor)
    mask = uncut_rays(grid, geometry, fixed_from_dicom).astype(np.float32)
    if wholly is not None:
        mask *= wholly
    if region is not None:
        mask *= project_grid(region, geometry, fixed_from_dicom) > CROSSED_MM
    return _with_window(geometry, integrals, mask, view.window_radius(level.window_mm, factor))


def with_window(view: View, seen: LevelView, window_mm: float) -> LevelView:
    """The same view at the same resolution with other local means."""
    factor = round(view.geometry.grid.rows / seen.geometry.grid.rows)
    return _with_window(seen.geometry, seen.integrals, seen.mask, view.window_radius(window_mm, factor))


def _with_window(geometry: ProjectionGeometry, integrals: Float32, mask: Float32, radius: int) -> LevelView:
    sums = window_sums(np.stack([mask, mask * integrals, mask * integrals * integrals]), radius)
    share = np.maximum(sums[0], np.float32(1e-3))
    mean = sums[1] / share
    variance = np.maximum(sums[2] / share - mean * mean, np.float32(0.0))
    return LevelView(geometry, radius, mask, share, integrals, mean, integrals - mean, variance)
