"""A part with few corners around a part with many: a search takes longer the more corners there are."""

from __future__ import annotations

import numpy as np

from isoalign.geometry.clearance.convex_parts import ConvexPart
from isoalign.geometry.pose import Array

GOLDEN_ANGLE = np.pi * (3.0 - np.sqrt(5.0))


def directions_around(count: int) -> Array:
    """The six axis directions and ``count`` more that cover the sphere evenly, shape (count + 6, 3)."""
    step = np.arange(count) + 0.5
    height = 1.0 - 2.0 * step / count
    radius = np.sqrt(1.0 - height**2)
    around = GOLDEN_ANGLE * step
    even = np.column_stack([radius * np.cos(around), radius * np.sin(around), height])
    return np.concatenate([np.eye(3), -np.eye(3), even])


def with_fewer_corners(part: ConvexPart, *, directions: int = 160) -> ConvexPart:
    """A part that encloses ``part``, cut by one plane per direction; the part itself where that has fewer corners.

    Parameters
    ----------
    part : ConvexPart
    directions : int
        160 make a sphere at most 2.5 % too large.

    Raises
    ------
    InvalidPart
    """
    normals = directions_around(directions)
    if len(part.vertices_mm) <= 2 * len(normals):
        return part
    from scipy.spatial import HalfspaceIntersection

    reach = (part.vertices_mm @ normals.T).max(axis=0)
    inside = part.vertices_mm.mean(axis=0)
    planes = np.column_stack([normals, -reach])
    corners = HalfspaceIntersection(planes, inside).intersections
    return ConvexPart(part.name, part.frame, corners, body=part.body, arm=part.arm, slides=part.slides)
