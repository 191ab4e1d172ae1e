"""Finding ball shadows in a radiograph, to a small part of a pixel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt
from scipy import ndimage, optimize

from isoalign.calibration.errors import BallsNotFound
from isoalign.geometry import Array
from isoalign.records import frozen_array

PEAK_PART = 0.4
"""Threshold as a part of the contrast of a ball."""
BACKGROUND_RADII = 2.6
LEAST_CONTRAST = 0.15
BRIGHT_PERCENTILE = 99.0
DEAD_FACTOR = 1.5
"""A pixel brighter or darker than all its neighbours by this factor is dead."""
RIM_PX = 0.35
"""Blur of a kV panel, of a ball with sharp rim."""
STUCK_PART = 0.002
FULL_SCALE = 65535


@dataclass(frozen=True, slots=True)
class BallShadows:
    """Ball shadows found in one radiograph.

    Attributes
    ----------
    column_row : ndarray, shape (n, 2)
        Centres in pixels, zero-based at pixel centres.
    contrast : ndarray, shape (n,)
        Line integral through the middle of the ball, above its surroundings.
    radius_px : ndarray, shape (n,)
    """

    column_row: Array
    contrast: Array
    radius_px: Array

    def __post_init__(self) -> None:
        object.__setattr__(self, "column_row", frozen_array(self.column_row, (None, 2), "ball shadows"))
        object.__setattr__(self, "contrast", frozen_array(self.contrast, (None,), "ball contrast"))
        object.__setattr__(self, "radius_px", frozen_array(self.radius_px, (None,), "ball shadow radius"))

    def __len__(self) -> int:
        return len(self.column_row)


def detect_balls(pixels: npt.NDArray[np.uint16], expected_radius_px: float, *, least: int = 1) -> BallShadows:
    """Find the shadows of equal balls in an image that is brightest in air.

    Candidates are round spots of about the expected size that stand out of what surrounds them; each centre comes
    from a fit of a ball's shadow (a half ellipse of line integral) on a sloping background. Dead pixels and the
    edges of other things do little harm: dead pixels are repaired by their neighbours' median first, and the fit
    weighs misfits down.

    Parameters
    ----------
    pixels : ndarray, shape (rows, columns), uint16
    expected_radius_px : float
        Ball radius times magnification, in pixels.
    least : int
        Fewer shadows than this are an error.

    Raises
    ------
    BallsNotFound
    """
    if expected_radius_px < 1.5:
        raise BallsNotFound(f"a shadow of {expected_radius_px:.2f} px radius is too small to be located")
    lines = _line_integrals(pixels)
    size = 2 * round(BACKGROUND_RADII * expected_radius_px) + 1
    raised = lines - ndimage.grey_opening(lines, size=(size, size))
    raised = ndimage.gaussian_filter(raised, 0.2 * expected_radius_px)
    area = np.pi * expected_radius_px**2
    contrast = float(np.partition(raised.ravel(), -max(1, int(area)))[-max(1, int(area))])
    if contrast < LEAST_CONTRAST:
        raise BallsNotFound(
            f"nothing in the image stands out like a ball (greatest contrast {contrast:.2f})", contrast=contrast
        )
    labels, count = ndimage.label(raised > PEAK_PART * contrast)
    found: list[tuple[float, float, float, float]] = []
    for number, spot in enumerate(ndimage.find_objects(labels), start=1):
        inside = labels[spot] == number
        if not 0.4 * area < inside.sum() < 2.0 * area or _elongation(inside) > 1.6:
            continue
        row, column = ndimage.center_of_mass(raised[spot] * inside)
        start = (column + spot[1].start, row + spot[0].start)
        fitted = _fit_shadow(lines, start, expected_radius_px)
        if fitted is not None:
            found.append(fitted)
    if len(found) < least:
        raise BallsNotFound(
            f"{len(found)} ball shadows were found ({count} candidates), at least {least} are needed",
            found=len(found),
            needed=least,
        )
    table = np.array(sorted(found, key=lambda one: (one[1], one[0]))).reshape(-1, 4)
    return BallShadows(table[:, :2], table[:, 2], table[:, 3])


def _line_integrals(pixels: npt.NDArray[np.uint16]) -> npt.NDArray[np.float32]:
    """-log of the image relative to its bright parts, with dead pixels repaired; the panel's offset stays in."""
    values = pixels.astype(np.float32)
    smooth = ndimage.median_filter(values, size=5)
    bright = max(float(np.percentile(smooth, BRIGHT_PERCENTILE)), 1.0)
    around = np.ones((3, 3), dtype=bool)
    around[1, 1] = False
    least = ndimage.minimum_filter(values, footprint=around)
    most = ndimage.maximum_filter(values, footprint=around)
    alone = (values < least / DEAD_FACTOR) | (values > most * DEAD_FACTOR)
    stuck = (values < STUCK_PART * bright) | ((pixels == FULL_SCALE) & (smooth < 0.9 * FULL_SCALE))
    values = np.where(alone | stuck, smooth, values)
    return np.asarray(-np.log(np.maximum(values, 1.0) / bright), dtype=np.float32)


def _elongation(inside: npt.NDArray[np.bool_]) -> float:
    """Ratio of the long to the short axis of a spot."""
    rows, columns = np.nonzero(inside)
    if rows.size < 6:
        return np.inf
    spread = np.linalg.eigvalsh(np.cov(np.stack([rows, columns])))
    return float(np.sqrt(spread[1] / max(spread[0], 1e-6)))


def shadow_height(across: Array, down: Array, radius_px: float, rim_px: float) -> Array:
    """Half ellipse of a ball's line integral, 1 in the middle, at offsets from it in pixels.

    Its rim is rounded over ``rim_px``, as pixels and blur do.
    """
    distance2 = (across**2 + down**2) / radius_px**2
    rim = rim_px / radius_px
    return np.asarray(np.sqrt(0.5 * (1.0 - distance2 + np.sqrt((1.0 - distance2) ** 2 + rim**2))))


def _fit_shadow(
    lines: npt.NDArray[np.float32], start: tuple[float, float], radius_px: float
) -> tuple[float, float, float, float] | None:
    """Column, row, contrast and radius of the ball whose shadow lies near ``start``; None where none fits."""
    reach = int(np.ceil(1.8 * radius_px))
    column, row = round(start[0]), round(start[1])
    low_row, low_column = row - reach, column - reach
    if low_row < 0 or low_column < 0 or row + reach >= lines.shape[0] or column + reach >= lines.shape[1]:
        return None
    patch = lines[low_row : row + reach + 1, low_column : column + reach + 1].astype(np.float64)
    v, u = np.mgrid[low_row : row + reach + 1, low_column : column + reach + 1].astype(np.float64)
    near = np.hypot(u - start[0], v - start[1]) <= 1.8 * radius_px
    u, v, values = u[near], v[near], patch[near]

    def model(p: Array) -> Array:
        height = shadow_height(u - p[0], v - p[1], float(p[3]), RIM_PX)
        floor = p[4] + p[5] * (u - start[0]) + p[6] * (v - start[1])
        return np.asarray(floor + p[2] * height)

    background = float(np.percentile(values, 25))
    first = np.array([start[0], start[1], values.max() - background, radius_px, background, 0.0, 0.0])
    scale = max(0.05 * first[2], 0.01)

    def misfit(p: Array) -> Array:
        return np.asarray((model(p) - values) / scale)

    fit = optimize.least_squares(misfit, first, loss="soft_l1", max_nfev=60)
    at_column, at_row, contrast, radius = (float(value) for value in cast(Array, fit.x)[:4])
    good = (
        np.hypot(at_column - start[0], at_row - start[1]) < 0.5 * radius_px
        and contrast > 0.5 * first[2]
        and 0.6 < radius / radius_px < 1.6
    )
    return (at_column, at_row, contrast, radius) if good else None
