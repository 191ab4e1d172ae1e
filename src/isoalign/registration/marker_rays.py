"""Markers from their shadows: where rays pass each other, and one marker from many images of an arc."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from isoalign.geometry import Array, ProjectionGeometry
from isoalign.records import frozen_array
from isoalign.registration.errors import ViewsTooParallel
from isoalign.registration.marker_errors import ArcTooShort
from isoalign.registration.views import LEAST_ANGLE_DEG

LEAST_ARC_DEG = 20.0
TURNS = 12


def angle_between_deg(first: ProjectionGeometry, second: ProjectionGeometry) -> float:
    """Angle between the lines from two sources to the isocentre: 0 to 90, as opposite views tell no depth either."""
    one, other = (each.source_mm / np.linalg.norm(each.source_mm) for each in (first, second))
    return float(np.rad2deg(np.arccos(min(1.0, abs(float(one @ other))))))


def require_angle(first: ProjectionGeometry, second: ProjectionGeometry) -> float:
    """The angle between two views, after making sure that it is at least 45 degrees.

    Raises
    ------
    ViewsTooParallel
    """
    angle_deg = angle_between_deg(first, second)
    if angle_deg < LEAST_ANGLE_DEG:
        raise ViewsTooParallel(
            f"the two radiographs look along lines only {angle_deg:.0f} degrees apart", angle_deg=angle_deg
        )
    return angle_deg


def crossings(
    first: ProjectionGeometry, first_px: Array, second: ProjectionGeometry, second_px: Array
) -> tuple[Array, Array]:
    """Where every ray of one view passes every ray of the other.

    Parameters
    ----------
    first_px, second_px : ndarray, shape (n, 2) and (m, 2)

    Returns
    -------
    points_mm : ndarray, shape (n, m, 3)
        Midway between the rays, fixed frame.
    gaps_mm : ndarray, shape (n, m)
        Distance between the rays.
    """
    one, other = first.rays(first_px), second.rays(second_px)
    a, b = one.directions[:, None, :], other.directions[None, :, :]
    between = other.source_mm - one.source_mm
    mixed = np.sum(a * b, axis=-1)
    along_a, along_b = a @ between, b @ between
    across = np.maximum(1.0 - mixed**2, 1e-9)
    way_a = (along_a - mixed * along_b) / across
    way_b = (mixed * along_a - along_b) / across
    near_a = one.source_mm + way_a[..., None] * a
    near_b = other.source_mm + way_b[..., None] * b
    return 0.5 * (near_a + near_b), np.linalg.norm(near_a - near_b, axis=-1)


@dataclass(frozen=True, slots=True)
class TrackedPoint:
    """A marker from many images.

    Attributes
    ----------
    point_mm : ndarray, shape (3,)
        Fixed frame.
    covariance : ndarray, shape (3, 3)
        mm2, from the spread of the residuals.
    residual_px : ndarray, shape (n,)
        Distance of each shadow from where the point projects.
    used : ndarray, shape (n,), bool
        Images that had a say: their shadow lies within four robust standard deviations.
    arc_deg : float
        Greatest angle between any two rays.
    """

    point_mm: Array
    covariance: Array
    residual_px: Array
    used: npt.NDArray[np.bool_]
    arc_deg: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "point_mm", frozen_array(self.point_mm, (3,), "tracked point"))
        object.__setattr__(self, "covariance", frozen_array(self.covariance, (3, 3), "tracked point: covariance"))


def triangulate_track(geometries: Sequence[ProjectionGeometry], column_row: Array) -> TrackedPoint:
    """One marker at rest from its shadows in images over an arc, robust against images in which it was mistaken.

    Parameters
    ----------
    geometries : sequence of ProjectionGeometry
        One for each image.
    column_row : ndarray, shape (n, 2)
        The shadow in each image, pixels.

    Raises
    ------
    ArcTooShort

    Notes
    -----
    Least squares on the distances in the images with weights that fall to nothing (Tukey), so that up to a third of
    the images may be wrong. Valid for a marker that does not move meanwhile.
    """
    pixels = np.asarray(column_row, dtype=np.float64).reshape(-1, 2)
    if len(geometries) < 2 or len(geometries) != len(pixels):
        raise ArcTooShort(f"{len(geometries)} geometries and {len(pixels)} shadows are not two or more images")
    rays = [one.rays(pixel) for one, pixel in zip(geometries, pixels, strict=True)]
    ways = np.stack([ray.directions for ray in rays])
    arc_deg = float(np.rad2deg(np.arccos(np.clip(np.abs(ways @ ways.T).min(), 0.0, 1.0))))
    if arc_deg < LEAST_ARC_DEG:
        raise ArcTooShort(f"the images are taken over {arc_deg:.0f} degrees only", arc_deg=arc_deg)
    sources = np.stack([ray.source_mm for ray in rays])
    across = np.eye(3) - ways[:, :, None] * ways[:, None, :]
    weight = np.ones(len(rays))
    point = np.zeros(3)
    matrices = np.stack([one.projection_matrix() for one in geometries])
    residual = np.zeros(len(rays))
    for turn in range(2 * TURNS):
        normal = np.einsum("n,nij->ij", weight, across)
        point = np.linalg.solve(normal, np.einsum("n,nij,nj->i", weight, across, sources))
        seen = matrices @ np.append(point, 1.0)
        residual = np.linalg.norm(seen[:, :2] / seen[:, 2:] - pixels, axis=1)
        typical = max(float(np.median(residual)) / 1.18, 0.05)
        if turn < TURNS:  # least distances first, which outliers hardly move
            weight = 1.0 / np.maximum(residual, 0.3 * typical)
        else:
            weight = np.clip(1.0 - (residual / (4.0 * typical)) ** 2, 0.0, None) ** 2
    used = residual < 4.0 * typical
    scale = np.linalg.norm(sources - point, axis=1) / np.linalg.norm(
        np.stack([one.pixel_points_mm(p) for one, p in zip(geometries, pixels, strict=True)]) - sources, axis=1
    )
    pixel_mm = scale * np.array([one.grid.column_spacing_mm for one in geometries])
    variance = float(np.mean((residual * pixel_mm)[used] ** 2)) / 2.0
    covariance = variance * np.linalg.inv(np.einsum("n,nij->ij", used.astype(np.float64), across))
    return TrackedPoint(point, covariance, residual, used, arc_deg)
