"""A ball in a small treatment field: where the middle of the field and the ball are in one image.

Works on images of either polarity (more signal brighter or darker). The middle of the field is the centroid of what
lies inside its edge at half of the signal, to a part of a pixel; the ball is fitted as the shadow of a sphere. Valid
for a field that lies whole in the image, is at least three balls wide, and has the ball inside its flat part.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import cast

import numpy as np
import numpy.typing as npt
from scipy import ndimage, optimize

from isoalign.calibration.ball_detection import shadow_height
from isoalign.calibration.errors import BallsNotFound, FieldNotFound
from isoalign.geometry import Array, ProjectionGeometry

EDGE = (0.3, 0.7)
"""Part of the signal over which a pixel counts as partly inside; symmetric about a half, so that the edge is there."""
LEAST_SIGNAL_TO_NOISE = 8.0
LEAST_FIELD_PX = 100
EDGE_MARGIN_PX = 4
DEAD_PART = 0.05
WINDOW_RADII = 1.25
"""What is looked at around a ball: balls of Winston-Lutz phantoms sit in a block whose edges come near to them. By
simulation, the smallest window that holds the shadow and its rim is displaced least by such an edge."""
OPENING_RADII = 1.5
FIRST_BLUR_PX = 0.8
LEAST_BALL_CONTRAST = 0.03


@dataclass(frozen=True, slots=True)
class BeamImage:
    """One image of a ball in a field.

    Attributes
    ----------
    label : str
        Name for people, e.g. of the file.
    pixels : ndarray, shape (rows, columns)
        Of any type and polarity.
    geometry : ProjectionGeometry
    patient_support_angle_deg : float
        IEC 61217.
    beam_limiting_device_angle_deg : float
    taken_at : datetime or None
        Aware; None where the image does not say.
    """

    label: str
    pixels: npt.NDArray[np.generic]
    geometry: ProjectionGeometry
    patient_support_angle_deg: float
    beam_limiting_device_angle_deg: float = 0.0
    taken_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class BallInField:
    """What was found in one image, (column, row) in pixels, zero-based at pixel centres."""

    field_px: Array
    ball_px: Array


def find_ball_in_field(image: BeamImage, ball_radius_mm: float) -> BallInField:
    """The middle of the field and the ball.

    Parameters
    ----------
    image : BeamImage
    ball_radius_mm : float
        Its true radius.

    Raises
    ------
    FieldNotFound, BallsNotFound
    """
    signal = _signal(np.asarray(image.pixels, dtype=np.float32))
    region = _surroundings(_field(signal, image.label))
    signal = _without_dead_pixels(signal[region])
    inside = _field(signal, image.label)
    level = float(np.median(signal[ndimage.binary_erosion(inside, iterations=EDGE_MARGIN_PX)]))
    part = signal / level
    filled = ndimage.binary_fill_holes(inside)
    low, high = EDGE
    weight = np.clip((part - low) / (high - low), 0.0, 1.0)
    weight[~ndimage.binary_dilation(filled, iterations=2 * EDGE_MARGIN_PX)] = 0.0
    weight[ndimage.binary_erosion(filled, iterations=EDGE_MARGIN_PX)] = 1.0
    rows, columns = np.nonzero(weight)
    parts = weight[rows, columns]
    field = np.array([(columns * parts).sum(), (rows * parts).sum()]) / parts.sum()
    ball = _ball(part, filled, _radius_px(image, ball_radius_mm), image.label)
    first = np.array([region[1].start, region[0].start])
    return BallInField(first + field, first + ball)


def _surroundings(inside: npt.NDArray[np.bool_]) -> tuple[slice, slice]:
    """Rows and columns of the field with a margin in which its edge has ended."""
    rows, columns = (np.flatnonzero(inside.any(axis=axis)) for axis in (1, 0))
    margin = 4 * EDGE_MARGIN_PX
    return (
        slice(max(0, int(rows[0]) - margin), int(rows[-1]) + margin + 1),
        slice(max(0, int(columns[0]) - margin), int(columns[-1]) + margin + 1),
    )


def _radius_px(image: BeamImage, radius_mm: float) -> float:
    geometry = image.geometry
    source = geometry.fixed_from_receptor.inverse().apply(geometry.source_mm)
    magnification = float(source[2]) / float(np.linalg.norm(geometry.source_mm))
    return radius_mm * magnification / geometry.grid.column_spacing_mm


def _signal(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Signal above what lies outside the field, positive inside whatever the polarity."""
    outside = float(np.median(np.concatenate([values[:8].ravel(), values[-8:].ravel()])))
    raised, sunk = float(np.percentile(values, 99.9)) - outside, outside - float(np.percentile(values, 0.1))
    sign = 1.0 if raised >= sunk else -1.0
    return np.asarray(sign * (values - outside), dtype=np.float32)


def _without_dead_pixels(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Single pixels far outside the range of their neighbours get their median; all others stay as they are."""
    around = np.ones((3, 3), dtype=bool)
    around[1, 1] = False
    low, high = (find(values, footprint=around) for find in (ndimage.minimum_filter, ndimage.maximum_filter))
    least, most = np.percentile(values, (1.0, 99.0))
    slack = np.maximum(high - low, DEAD_PART * float(most - least))
    dead = (values < low - slack) | (values > high + slack)
    if not dead.any():
        return values
    return np.where(dead, ndimage.median_filter(values, size=3), values)


def _field(signal: npt.NDArray[np.float32], label: str) -> npt.NDArray[np.bool_]:
    """The largest region above half of the signal."""
    level = float(np.percentile(signal, 99.9))
    noise = float(np.median(np.abs(signal - np.median(signal)))) / 0.6745
    regions, count = ndimage.label(signal > 0.5 * level)
    if count == 0 or not level > LEAST_SIGNAL_TO_NOISE * noise:
        raise FieldNotFound(f"{label}: nothing stands out like a field")
    sizes = np.bincount(regions.ravel())[1:]
    inside = regions == 1 + int(np.argmax(sizes))
    edges = np.concatenate([inside[0], inside[-1], inside[:, 0], inside[:, -1]])
    if (
        sizes.max() < LEAST_FIELD_PX
        or edges.any()
        or not ndimage.binary_erosion(inside, iterations=EDGE_MARGIN_PX).any()
    ):
        raise FieldNotFound(f"{label}: the field is too small, or reaches the edge of the image")
    return np.asarray(inside)


def _ball(part: npt.NDArray[np.float32], filled: npt.NDArray[np.bool_], radius_px: float, label: str) -> Array:
    """The ball: the strongest round dip inside the field."""
    flat = ndimage.binary_erosion(filled, iterations=EDGE_MARGIN_PX)
    lines = np.where(filled, -np.log(np.clip(part, 1e-3, None)), 0.0).astype(np.float32)
    # what is broader than a ball (a block, its edge) does not stand out of an opening
    size = 2 * round(OPENING_RADII * radius_px) + 1
    raised = lines - ndimage.grey_opening(lines, size=(size, size))
    dip = np.where(flat, ndimage.gaussian_filter(raised, 0.4 * radius_px), -np.inf)
    row, column = np.unravel_index(int(np.argmax(dip)), dip.shape)
    found = _fit_ball(lines, (float(column), float(row)), radius_px)
    if found is None:
        raise BallsNotFound(
            f"{label}: there is no shadow of a ball {2 * radius_px:.1f} px across in the field",
            hint="Check that the ball lies in the field, and the diameter that was stated.",
        )
    return found


def _fit_ball(lines: npt.NDArray[np.float32], start: tuple[float, float], radius_px: float) -> Array | None:
    """Centre of the shadow of a sphere, of free contrast, radius and blur, on a sloping floor; None where none fits."""
    first = np.array([*start, 0.0, radius_px, FIRST_BLUR_PX, 0.0, 0.0, 0.0])
    for _ in range(2):  # the second time around where the ball truly is
        centre = first[:2].copy()
        reach = int(np.ceil(WINDOW_RADII * radius_px)) + 1
        column, row = np.rint(centre).astype(int)
        if min(row, column) < reach or row + reach >= lines.shape[0] or column + reach >= lines.shape[1]:
            return None
        v, u = np.mgrid[row - reach : row + reach + 1, column - reach : column + reach + 1].astype(np.float64)
        near = np.hypot(u - centre[0], v - centre[1]) <= WINDOW_RADII * radius_px
        u, v = u[near], v[near]
        values = lines[v.astype(int), u.astype(int)].astype(np.float64)
        first[5] = float(np.percentile(values, 10))
        first[2] = float(values.max()) - first[5]

        def misfit(p: Array, u: Array = u, v: Array = v, centre: Array = centre, values: Array = values) -> Array:
            floor = p[5] + p[6] * (u - centre[0]) + p[7] * (v - centre[1])
            return np.asarray(floor + p[2] * shadow_height(u - p[0], v - p[1], p[3], p[4]) - values)

        bounds = (
            [*(centre - radius_px), 0.0, 0.6 * radius_px, 0.1, -np.inf, -np.inf, -np.inf],
            [*(centre + radius_px), np.inf, 1.6 * radius_px, radius_px, np.inf, np.inf, np.inf],
        )
        fit = optimize.least_squares(misfit, first, bounds=bounds, x_scale="jac")
        first = np.array(cast(Array, fit.x))
    contrast, radius = float(first[2]), float(first[3]) / radius_px
    scatter = float(np.sqrt(np.mean(fit.fun**2)))
    is_ball = contrast > max(LEAST_BALL_CONTRAST, 4.0 * scatter) and 0.61 < radius < 1.59
    return first[:2] if is_ball else None
