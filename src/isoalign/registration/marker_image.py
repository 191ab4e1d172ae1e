"""Finding implanted markers in a kV image, to a small part of a pixel.

Markers are dark, of known width, and darker than what lies around them in every direction: that is how edges of bone,
ribs and wires are told from them. What is left is fitted with the shadow of a ball or a seed, as opaque as it may be,
on a sloping background.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter, map_coordinates, maximum_filter
from scipy.optimize import least_squares

from isoalign.geometry import Array, ProjectionGeometry
from isoalign.imaging import NoSignal, binned, line_integrals, repaired_pixels
from isoalign.records import Radiograph, frozen_array
from isoalign.registration.errors import BlankRadiograph, UndefinedVoxels
from isoalign.registration.marker_errors import MarkerTooSmall
from isoalign.registration.marker_fit import blurred_line
from isoalign.registration.marker_shape import DEFAULT_SHAPE, MarkerShape

Float32 = npt.NDArray[np.float32]

LEAST_WIDTH_PX = 1.2
MOST_WIDTH_PX = 8.0
"""Wider markers are looked for in binned pixels."""
BALL_DEVIATION = 0.224
"""Standard deviation of a ball's shadow along an axis, as a part of its diameter."""
BLUR_PX = 0.7
DIRECTIONS = 16
APART = 0.5
"""Around a fitted marker, samples lie so close to each other, as a part of its width, that no wire passes between."""
MOST_CANDIDATES = 40
LARGEST_MISFIT = 0.12
"""Of the contrast, inside the shadow."""
WIDTH_RANGE = (0.6, 1.6)
"""Of the expected width: magnification, blur and opacity change it."""


@dataclass(frozen=True, slots=True)
class ImageMarkerSettings:
    """How markers are told from other things in a kV image.

    Attributes
    ----------
    least_contrast : float
        Line integral through a marker above what is around it (no unit).
    least_prominence : float
        The part of the contrast by which it must be darker than its surroundings in every direction.
    """

    least_contrast: float = 0.2
    least_prominence: float = 0.35


DEFAULT_IMAGE_SETTINGS = ImageMarkerSettings()


@dataclass(frozen=True, slots=True)
class ImageMarkers:
    """Markers found in a kV image, the strongest first.

    Attributes
    ----------
    column_row : ndarray, shape (n, 2)
        Centres in pixels, zero-based at pixel centres.
    sigma_px : ndarray, shape (n,)
        One standard deviation of a centre along an axis, from the fit.
    contrast : ndarray, shape (n,)
        Line integral above the surroundings.
    misfit : ndarray, shape (n,)
        Residual of the fit as a part of the contrast.
    """

    imager: str
    column_row: Array
    sigma_px: Array
    contrast: Array
    misfit: Array

    def __post_init__(self) -> None:
        object.__setattr__(self, "column_row", frozen_array(self.column_row, (None, 2), "markers: column_row"))
        for name in ("sigma_px", "contrast", "misfit"):
            object.__setattr__(self, name, frozen_array(getattr(self, name), (None,), f"markers: {name}"))

    def __len__(self) -> int:
        return len(self.column_row)


@dataclass(frozen=True, slots=True)
class _Shadow:
    column: float
    row: float
    sigma: float
    contrast: float
    misfit: float


def detect_markers_in_image(
    radiograph: Radiograph,
    shape: MarkerShape = DEFAULT_SHAPE,
    *,
    settings: ImageMarkerSettings = DEFAULT_IMAGE_SETTINGS,
    depth_mm: float = 0.0,
) -> ImageMarkers:
    """Find markers in a kV image.

    Parameters
    ----------
    radiograph : Radiograph
    shape : MarkerShape
        Size of the markers.
    settings : ImageMarkerSettings
    depth_mm : float
        How much nearer than the isocentre to the source the markers are, for their magnification.

    Returns
    -------
    ImageMarkers
        None of them where there is none: that is not an error.

    Raises
    ------
    BlankRadiograph, MarkerTooSmall
    """
    imager = radiograph.acquisition.imager
    if int(radiograph.pixels.min()) == int(radiograph.pixels.max()):
        raise BlankRadiograph(
            f"every pixel of the radiograph of imager {imager} is {int(radiograph.pixels.flat[0])}", imager=imager
        )
    try:
        pixels = repaired_pixels(radiograph)
    except NoSignal as problem:
        raise BlankRadiograph(str(problem), imager=imager) from problem
    width_px = shape.diameter_mm * magnification(radiograph.geometry, depth_mm)
    factor = max(1, int(width_px / MOST_WIDTH_PX * 2.0))
    image = line_integrals(binned(pixels.intensity, factor), pixels.open_field)
    found = detect_shadows(image, width_px / factor, shape, settings=settings, imager=imager)
    return ImageMarkers(
        imager,
        found.column_row * factor + 0.5 * (factor - 1),
        found.sigma_px * factor,
        found.contrast,
        found.misfit,
    )


def magnification(geometry: ProjectionGeometry, depth_mm: float = 0.0) -> float:
    """Pixels on the image for a mm at a distance ``depth_mm`` from the isocentre towards the source."""
    to_panel = float(geometry.fixed_from_receptor.inverse().apply(geometry.source_mm)[2])
    to_marker = float(np.linalg.norm(geometry.source_mm)) - depth_mm
    return to_panel / to_marker / float(np.sqrt(geometry.grid.row_spacing_mm * geometry.grid.column_spacing_mm))


def detect_shadows(
    image: Float32,
    width_px: float,
    shape: MarkerShape,
    *,
    settings: ImageMarkerSettings = DEFAULT_IMAGE_SETTINGS,
    imager: str = "",
) -> ImageMarkers:
    """Find markers in line integrals; see :func:`detect_markers_in_image`.

    Parameters
    ----------
    image : ndarray, shape (rows, columns), float32
        Line integrals, no unit.
    width_px : float
        Diameter of a marker's shadow.
    shape : MarkerShape
        For the ratio of length to diameter.

    Raises
    ------
    UndefinedVoxels, MarkerTooSmall
    """
    if not np.isfinite(image).all():
        raise UndefinedVoxels("the image holds values that are not numbers")
    if width_px < LEAST_WIDTH_PX:
        raise MarkerTooSmall(
            f"the shadow of a marker {shape.diameter_mm:g} mm thick is only {width_px:.1f} pixels wide",
            width_px=width_px,
        )
    half_px = 0.5 * width_px * (shape.extent_mm / shape.diameter_mm - 1.0)
    fine = gaussian_filter(image, max(0.3 * width_px, 0.6), mode="nearest")
    reach = half_px + 1.3 * width_px + BLUR_PX
    directions = int(np.ceil(2.0 * np.pi * reach / (APART * width_px)))
    found: list[_Shadow] = []
    for column, row in _candidates(image, fine, width_px, half_px, settings):
        shadow = _fitted(image, (column, row), width_px, half_px, settings)
        if shadow is None or any(
            np.hypot(shadow.column - one.column, shadow.row - one.row) < width_px + half_px for one in found
        ):
            continue
        # the end of a wire goes on beyond its place
        if _stands_out(fine, np.array([shadow.column]), np.array([shadow.row]), reach, directions, settings)[1][0]:
            found.append(shadow)
    found.sort(key=lambda one: -one.contrast)
    return ImageMarkers(
        imager,
        np.array([(one.column, one.row) for one in found]).reshape(-1, 2),
        np.array([one.sigma for one in found]),
        np.array([one.contrast for one in found]),
        np.array([one.misfit for one in found]),
    )


def _stands_out(
    fine: Float32, columns: Array, rows: Array, reach: float, directions: int, settings: ImageMarkerSettings
) -> tuple[Array, npt.NDArray[np.bool_]]:
    """How much darker than what lies around them in every direction places are, and whether that is enough."""
    angle = np.arange(directions) * (2.0 * np.pi / directions)
    around = map_coordinates(
        fine,
        [rows[:, None] + reach * np.sin(angle), columns[:, None] + reach * np.cos(angle)],
        order=1,
        mode="nearest",
    )
    core = map_coordinates(fine, [rows, columns], order=1, mode="nearest")
    prominence = core - around.max(axis=1)
    height = core - np.median(around, axis=1)
    enough = (prominence > 0.25 * settings.least_contrast) & (prominence > settings.least_prominence * height)
    return prominence, enough


def _candidates(
    image: Float32, fine: Float32, width_px: float, half_px: float, settings: ImageMarkerSettings
) -> list[Array]:
    """Where something as wide as a marker is darker than its surroundings in all directions, (column, row)."""
    raised = fine - gaussian_filter(image, 1.2 * width_px + 0.3 * half_px, mode="nearest")
    peak = (raised == maximum_filter(raised, size=2 * round(0.5 * width_px) + 1)) & (
        raised > 0.25 * settings.least_contrast
    )
    rows, columns = np.nonzero(peak)
    if len(rows) == 0:
        return []
    reach = half_px + 1.3 * width_px + BLUR_PX
    prominence, good = _stands_out(
        fine, columns.astype(np.float64), rows.astype(np.float64), reach, DIRECTIONS, settings
    )
    order = np.argsort(-prominence[good])[:MOST_CANDIDATES]
    return list(np.stack([columns[good], rows[good]], axis=1)[order].astype(np.float64))


def _fitted(
    image: Float32, start: tuple[float, float], width_px: float, half_px: float, settings: ImageMarkerSettings
) -> _Shadow | None:
    """The marker whose shadow lies near ``start``, or None."""
    column, row = (round(value) for value in start)
    reach = int(np.ceil(half_px + 1.6 * width_px + 2.0))
    if min(column, row) < reach or column + reach >= image.shape[1] or row + reach >= image.shape[0]:
        return None
    block = image[row - reach : row + reach + 1, column - reach : column + reach + 1].astype(np.float64).ravel()
    v, u = (one.ravel().astype(np.float64) for one in np.mgrid[-reach : reach + 1, -reach : reach + 1])
    near = np.hypot(u, v) <= reach
    arm, values = np.stack([u[near], v[near]], axis=1), block[near]
    expected = np.hypot(BALL_DEVIATION * width_px, BLUR_PX)
    floor = float(np.quantile(values, 0.3))
    contrast = float(values.max()) - floor
    if contrast < settings.least_contrast:
        return None
    p = np.array([0.0, 0.0, 1.0, floor / contrast, 0.0, 0.0, np.log(expected), np.log(0.7)])
    if half_px:
        share = np.clip(values - floor - 0.4 * contrast, 0.0, None)
        share /= share.sum()
        p[:2] = share @ arm
        away = arm - p[:2]
        p = np.append(p, [*np.linalg.eigh((share[:, None] * away).T @ away)[1][:, 1], np.log(0.6 * half_px)])
    usual = p[[6, 7]]

    def difference(p: Array) -> Array:
        variance = np.exp(2.0 * p[6]) * np.ones(2)
        raised = blurred_line(arm - p[:2], variance, float(np.exp(min(p[10], 5.0))) if half_px else 0.0, p[8:10])
        opacity = np.exp(np.clip(p[7], -4.0, 3.0))
        model = p[3] + (p[4] * arm[:, 0] + p[5] * arm[:, 1]) / reach
        return np.asarray(model + p[2] * np.expm1(-opacity * raised) / np.expm1(-opacity) - values / contrast)

    weight = np.ones(len(values))
    for _ in range(2):

        def weighted(p: Array, weight: Array = weight) -> Array:
            return np.concatenate([weight * difference(p), np.array([0.2, 0.05]) * (p[[6, 7]] - usual)])

        fit = least_squares(weighted, p, method="lm", max_nfev=15 * len(p))
        p = cast(Array, fit.x)
        left = difference(p)
        if float(np.median(np.abs(left))) > LARGEST_MISFIT:
            return None
        weight = np.sqrt(1.0 / (1.0 + (left / max(3.0 * float(np.median(np.abs(left))), 0.03)) ** 2))
    return _judged(
        p, arm, left, cast(Array, fit.jac), (column, row), contrast, (width_px, half_px, float(expected)), settings
    )


def _judged(
    p: Array,
    arm: Array,
    left: Array,
    jacobian: Array,
    origin: tuple[int, int],
    contrast: float,
    size_px: tuple[float, float, float],
    settings: ImageMarkerSettings,
) -> _Shadow | None:
    """The fitted shadow where it is that of a marker."""
    width_px, half_px, expected = size_px
    inner = np.hypot(*(arm - p[:2]).T) < half_px + width_px
    if p[2] <= 0.0 or np.count_nonzero(inner) < 6:
        return None
    misfit = float(np.sqrt(np.mean(left[inner] ** 2))) / float(p[2])
    covariance = np.linalg.pinv(jacobian.T @ jacobian)[:2, :2] * float(np.mean(left[inner] ** 2))
    sigma = float(np.sqrt(np.trace(covariance) / 2.0))
    width = float(np.exp(p[6])) / expected
    good = (
        misfit < LARGEST_MISFIT
        and p[2] * contrast > settings.least_contrast
        and WIDTH_RANGE[0] < width < WIDTH_RANGE[1]
        and float(np.hypot(p[0], p[1])) < 0.6 * width_px + half_px
        and (not half_px or float(np.exp(min(p[10], 5.0))) < 1.2 * (half_px + 0.5 * width_px))
        and sigma < 0.2
    )
    if not good:
        return None
    return _Shadow(origin[0] + float(p[0]), origin[1] + float(p[1]), sigma, float(p[2]) * contrast, misfit)
