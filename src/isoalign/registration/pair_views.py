"""A radiograph and its DRR side by side: one grid, one resolution, and where both may be compared."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import binary_erosion, label, map_coordinates, spline_filter

from isoalign.geometry import Array, ProjectionGeometry
from isoalign.imaging import NoSignal, RepairedPixels, binned, line_integrals, repaired_pixels
from isoalign.records import Radiograph, frozen_array
from isoalign.registration.errors import BlankRadiograph, EmptyRegion, UndefinedVoxels
from isoalign.registration.marker_errors import ImagesDoNotFit
from isoalign.registration.views import LevelView, window_sums

Float32 = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

SAME_MM = 0.5
"""Sources and receptors of a DRR and its radiograph may differ by so much."""
DARK = 0.02
"""Below this part of the open field, and joined to the rim of the image, lies the shadow of the collimator."""
LEAST_DARK_PART = 0.002
LEAST_REGION_PX = 400
LEAST_CONTRAST = 0.08


@dataclass(frozen=True, slots=True)
class ReferenceImage:
    """A DRR that a radiograph is compared to, rendered at the planned position.

    Attributes
    ----------
    line_integrals : ndarray, shape (rows, columns), float32
        No unit; higher where more is in the beam.
    geometry : ProjectionGeometry
        That of the imager; the pixels may be others.
    """

    line_integrals: Float32
    geometry: ProjectionGeometry

    def __post_init__(self) -> None:
        image = np.asarray(self.line_integrals)
        if not np.isfinite(image).all():
            raise UndefinedVoxels("the DRR holds values that are not numbers")
        grid = self.geometry.grid
        object.__setattr__(self, "line_integrals", frozen_array(image, (grid.rows, grid.columns), "DRR", np.float32))


@dataclass(frozen=True, slots=True)
class ImagePair:
    """A radiograph and its reference image, checked.

    Attributes
    ----------
    region : ndarray, shape (rows, columns), bool
        Pixels of the radiograph that may be compared.
    """

    imager: str
    geometry: ProjectionGeometry
    pixels: RepairedPixels
    reference: ReferenceImage
    region: Mask

    @property
    def pixel_mm(self) -> float:
        """Size of a pixel of the radiograph, scaled to the isocentre."""
        source = self.geometry.source_mm
        to_panel = float(self.geometry.fixed_from_receptor.inverse().apply(source)[2])
        return self.geometry.grid.row_spacing_mm * float(np.linalg.norm(source)) / to_panel

    @property
    def beam(self) -> Array:
        """Unit vector from the source to the isocentre, fixed frame."""
        return np.asarray(-self.geometry.source_mm / np.linalg.norm(self.geometry.source_mm))


@dataclass(frozen=True, slots=True)
class PairLevel:
    """A pair at one resolution.

    Attributes
    ----------
    view : LevelView
        The radiograph.
    drr : ndarray, shape (rows, columns), float32
        The reference image on the same pixels.
    coefficients : ndarray, shape (rows, columns), float32
        Of its cubic spline.
    isocentre_px : ndarray, shape (2,)
        (column, row) where the isocentre is seen.
    pixel_mm : float
        Size of a pixel at the isocentre.
    """

    view: LevelView
    drr: Float32
    coefficients: Float32
    isocentre_px: Array
    pixel_mm: float


def image_pair(reference: ReferenceImage, radiograph: Radiograph, region: Mask | None = None) -> ImagePair:
    """Check a radiograph and its DRR, and find where they may be compared.

    Parameters
    ----------
    reference : ReferenceImage
    radiograph : Radiograph
    region : ndarray, shape (rows, columns), bool, optional
        The user's region of interest in the radiograph.

    Raises
    ------
    ImagesDoNotFit, BlankRadiograph, EmptyRegion
    """
    imager = radiograph.acquisition.imager
    _require_same_imager(reference.geometry, radiograph.geometry, imager)
    if int(radiograph.pixels.min()) == int(radiograph.pixels.max()):
        raise BlankRadiograph(
            f"every pixel of the radiograph of imager {imager} is {int(radiograph.pixels.flat[0])}", imager=imager
        )
    try:
        pixels = repaired_pixels(radiograph)
    except NoSignal as problem:
        raise BlankRadiograph(str(problem), imager=imager) from problem
    usable = lit_field(pixels.intensity, pixels.open_field)
    if region is not None:
        if region.shape != radiograph.pixels.shape:
            raise ImagesDoNotFit(
                f"the region has {region.shape} pixels, the radiograph of imager {imager} {radiograph.pixels.shape}"
            )
        usable &= region
    if np.count_nonzero(usable) < LEAST_REGION_PX:
        raise EmptyRegion(f"the region to be matched in the radiograph of imager {imager} is empty", imager=imager)
    low, high = np.percentile(line_integrals(pixels.intensity[usable], pixels.open_field), (2.0, 98.0))
    if high - low < LEAST_CONTRAST:
        raise BlankRadiograph(
            f"the radiograph of imager {imager} shows nothing: its line integrals differ by {high - low:.3f} only",
            imager=imager,
        )
    if float(np.ptp(reference.line_integrals)) < LEAST_CONTRAST:
        raise EmptyRegion(f"the DRR for imager {imager} shows nothing", imager=imager)
    return ImagePair(imager, radiograph.geometry, pixels, reference, usable)


def _require_same_imager(reference: ProjectionGeometry, taken: ProjectionGeometry, imager: str) -> None:
    corners = np.array([[0.0, 0.0, 0.0], [200.0, 0.0, 0.0], [0.0, 200.0, 0.0]])
    away = np.linalg.norm(
        reference.fixed_from_receptor.apply(corners) - taken.fixed_from_receptor.apply(corners), axis=1
    )
    worst = max(float(away.max()), float(np.linalg.norm(reference.source_mm - taken.source_mm)))
    if worst > SAME_MM:
        raise ImagesDoNotFit(
            f"source or receptor of imager {imager} stand {worst:.1f} mm from where the DRR was rendered for",
            imager=imager,
            distance_mm=worst,
        )


def lit_field(intensity: Float32, open_field: float) -> Mask:
    """Pixels that the beam reaches: all but what is dark and joined to the rim, less a few pixels beside it."""
    labels, _ = label(intensity < DARK * open_field)
    rim = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    dark = np.isin(labels, rim[rim > 0])
    if dark.mean() < LEAST_DARK_PART:
        return np.ones(intensity.shape, np.bool_)
    return np.asarray(binary_erosion(~dark, iterations=6, border_value=1), dtype=np.bool_)


def pair_level(pair: ImagePair, pixel_mm: float, window_mm: float) -> PairLevel:
    """Radiograph and DRR averaged to pixels of about ``pixel_mm`` at the isocentre."""
    factor = max(1, round(pixel_mm / pair.pixel_mm))
    geometry = pair.geometry.with_grid(pair.geometry.grid.binned(factor))
    integrals = line_integrals(binned(pair.pixels.intensity, factor), pair.pixels.open_field)
    mask = (binned(pair.region.astype(np.float32), factor) > 0.999).astype(np.float32)
    radius = max(1, round(window_mm / (pair.pixel_mm * factor) / 2))
    sums = window_sums(np.stack([mask, mask * integrals, mask * integrals * integrals]), radius)
    share = np.maximum(sums[0], np.float32(1e-3))
    mean = sums[1] / share
    variance = np.maximum(sums[2] / share - mean * mean, np.float32(0.0))
    view = LevelView(geometry, radius, mask, share, integrals, mean, integrals - mean, variance)
    drr = _on_grid(pair, geometry)
    coefficients = np.asarray(spline_filter(drr, order=3, output=np.float32, mode="nearest"))
    return PairLevel(view, drr, coefficients, geometry.project(np.zeros(3)), pair.pixel_mm * factor)


def _on_grid(pair: ImagePair, geometry: ProjectionGeometry) -> Float32:
    """The reference image on the pixels of a level: averaged to about their size first, then interpolated."""
    own, aim = pair.reference.geometry.grid, geometry.grid
    factor = max(1, round(aim.column_spacing_mm / own.column_spacing_mm))
    image = binned(np.ascontiguousarray(pair.reference.line_integrals), factor)
    rows, columns = np.mgrid[0 : aim.rows, 0 : aim.columns]
    at = own.binned(factor).column_row(aim.receptor_points_mm(np.stack([columns, rows], axis=-1)))
    return np.asarray(map_coordinates(image, [at[..., 1], at[..., 0]], order=1, mode="nearest"), dtype=np.float32)
