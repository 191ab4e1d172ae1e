"""Distance of two convex parts: the distance library finds it, a plane between the parts proves it.

The library (FCL, by way of python-fcl) gives the nearest points. The gap between the two planes that are square to the
line between these points and touch the parts is a lower bound of the distance that owes nothing to the library, and
equals the distance of the points when they are the nearest. It is needed: for parallel faces FCL gives distances that
are too large (a known fault), and its other solver cannot be chosen from Python. Where proof and points differ, the
distance is computed again by least squares over few corners at a time (the point of the difference of both parts that
is nearest to the origin; C. L. Lawson and R. J. Hanson, "Solving Least Squares Problems", SIAM 1995, chapter 23).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from isoalign.geometry.clearance.convex_parts import ConvexPart
from isoalign.geometry.clearance.errors import DistanceFailed
from isoalign.geometry.clearance.placed_parts import Poses
from isoalign.geometry.pose import Array

TOUCHING_MM = 1e-6
LARGEST_DISAGREEMENT_MM = 1e-4
_MOST_CORNERS = 500


@dataclass(frozen=True, slots=True, eq=False)
class Separation:
    """How two parts lie to each other.

    Attributes
    ----------
    distance_mm : float
        Proven lower bound, within 0.0001 mm of the distance; 0 when the parts overlap or touch.
    points_mm : ndarray, shape (2, 3)
        Nearest points on the first and the second part, fixed frame; shape (0, 3) when the parts overlap.
    direction : ndarray, shape (3,)
        From the first part to the second, unit length, fixed frame; zero when the parts overlap.
    """

    distance_mm: float
    points_mm: Array
    direction: Array


@lru_cache(maxsize=1)
def _library() -> Any:
    import fcl

    return fcl


@lru_cache(maxsize=512)
def _shape(part: ConvexPart) -> Any:
    triangles = np.insert(part.faces, 0, 3, axis=1).ravel()
    return _library().Convex(part.vertices_mm, len(part.faces), triangles)


def plane_bounds_mm(first: ConvexPart, first_poses: Poses, second: ConvexPart, second_poses: Poses, n: Array) -> Array:
    """Lower bounds of the distance at many poses, from the extents of both parts along one direction, shape (M,).

    Parameters
    ----------
    first, second : ConvexPart
    first_poses, second_poses : Poses
        M of them, or one for a part that stands still.
    n : ndarray, shape (3,)
        Unit vector from the first part to the second, fixed frame. Negative results say nothing.
    """
    ends = []
    for part, (rotations, shifts), sign in ((first, first_poses, 1.0), (second, second_poses, -1.0)):
        along = sign * n
        directions = along @ rotations
        ends.append((directions @ _reachable(part, directions).T).max(axis=1) + shifts @ along)
    return np.asarray(-ends[0] - ends[1])


def _reachable(part: ConvexPart, directions: Array) -> Array:
    """The corners that can be the farthest along one of the directions, shape (K, 3), perhaps a few more.

    A direction that differs from the mean by d changes the reach of a corner by at most |d| times the radius.
    """
    mean = directions.mean(axis=0)
    spread = float(np.linalg.norm(directions - mean, axis=1).max())
    reach = part.vertices_mm @ mean
    return np.asarray(part.vertices_mm[reach >= reach.max() - 2 * spread * part.radius_mm - TOUCHING_MM])


def _nearest_points(first: Array, second: Array, direction: Array) -> tuple[Array, Array]:
    """Nearest points of two hulls given by corners in one frame; the same point twice when they overlap.

    Corners of the difference join a small set, the farthest along the present direction first; the weights of the
    nearest point of the set's hull come from non-negative least squares. It ends when no corner is nearer.
    """
    from scipy.optimize import nnls

    scale = float(max(np.abs(first).max(), np.abs(second).max()))
    corners: list[tuple[int, int]] = []
    for _ in range(_MOST_CORNERS):
        corner = int((first @ direction).argmax()), int((second @ direction).argmin())
        if corner in corners:
            break
        corners.append(corner)
        ends = first[[a for a, _ in corners]], second[[b for _, b in corners]]
        system = np.vstack([(ends[1] - ends[0]).T / scale, np.ones(len(corners))])
        weights = nnls(system, np.array([0.0, 0.0, 0.0, 1.0]))[0]
        weights /= weights.sum()
        points = weights @ ends[0], weights @ ends[1]
        apart = points[1] - points[0]
        length = float(np.linalg.norm(apart))
        if length <= TOUCHING_MM:
            return points[0], points[0]
        direction = apart / length
        if length - float((second @ direction).min() - (first @ direction).max()) <= LARGEST_DISAGREEMENT_MM / 10:
            break
        corners = [each for each, weight in zip(corners, weights, strict=True) if weight > 0]
    return points


class PartDistance:
    """The distance of one pair of parts; not to be shared between threads."""

    def __init__(self, first: ConvexPart, second: ConvexPart) -> None:
        library = _library()
        self._parts = first, second
        self._bodies = tuple(library.CollisionObject(_shape(part), library.Transform()) for part in (first, second))
        self._request = library.DistanceRequest(enable_nearest_points=True)

    def __call__(self, first_pose: Poses, second_pose: Poses) -> Separation:
        """The separation at one pose of each part (arrays with one row).

        Raises
        ------
        DistanceFailed
            When the library fails, or its nearest points contradict the parts.
        """
        points = self._found(first_pose, second_pose)
        proven = self._proven_mm(points, first_pose, second_pose)
        if abs(proven - float(np.linalg.norm(points[1] - points[0]))) > LARGEST_DISAGREEMENT_MM:
            first, second = (
                part.vertices_mm @ pose[0][0].T + pose[1][0]
                for part, pose in zip(self._parts, (first_pose, second_pose), strict=True)
            )
            points = np.array(_nearest_points(first, second, second.mean(axis=0) - first.mean(axis=0)))
            proven = self._proven_mm(points, first_pose, second_pose)
        apart = points[1] - points[0]
        length = float(np.linalg.norm(apart))
        if not abs(proven - length) <= LARGEST_DISAGREEMENT_MM:
            raise DistanceFailed(
                f"the distance of {self._names} is at least {proven:.4f} mm by a plane between them, "
                f"but {length:.4f} mm by their nearest points",
                proven_mm=proven,
                found_mm=length,
            )
        if proven <= TOUCHING_MM:
            return Separation(0.0, np.empty((0, 3)), np.zeros(3))
        return Separation(proven, points, apart / length)

    def _found(self, first_pose: Poses, second_pose: Poses) -> Array:
        """The library's nearest points, shape (2, 3), or twice the same point when it says that the parts overlap."""
        library = _library()
        for body, (rotations, shifts) in zip(self._bodies, (first_pose, second_pose), strict=True):
            body.setTransform(library.Transform(rotations[0], shifts[0]))
        result = library.DistanceResult()
        try:
            distance = float(library.distance(*self._bodies, self._request, result))
        except RuntimeError as error:
            raise DistanceFailed(f"no distance between {self._names}: {error}") from error
        points = np.zeros((2, 3)) if distance <= TOUCHING_MM else np.array(result.nearest_points, dtype=np.float64)
        if not (np.isfinite(distance) and np.isfinite(points).all()):
            raise DistanceFailed(f"no distance between {self._names}: the library says {distance}")
        return points

    def _proven_mm(self, points: Array, first_pose: Poses, second_pose: Poses) -> float:
        """Lower bound of the distance by planes square to the line between two points; 0 for twice the same point."""
        apart = points[1] - points[0]
        length = float(np.linalg.norm(apart))
        if length <= TOUCHING_MM:
            return 0.0
        return float(plane_bounds_mm(self._parts[0], first_pose, self._parts[1], second_pose, apart / length)[0])

    @property
    def _names(self) -> str:
        return " and ".join(part.name for part in self._parts)
