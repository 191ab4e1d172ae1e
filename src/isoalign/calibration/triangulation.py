"""Points from their shadows in two or more images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from isoalign.calibration.errors import Underdetermined
from isoalign.geometry import Array, ProjectionGeometry

LEAST_ANGLE_DEG = 10.0


def triangulate(geometries: Sequence[ProjectionGeometry], column_row: Sequence[Array]) -> Array:
    """The point nearest to the rays of each set of shadows.

    Parameters
    ----------
    geometries : sequence of ProjectionGeometry
        One for each image.
    column_row : sequence of ndarray, shape (n, 2)
        For each image the shadows of the same n points, pixels.

    Returns
    -------
    ndarray, shape (n, 3)
        Fixed frame, mm.

    Raises
    ------
    Underdetermined
        With fewer than two images, or rays less than 10 degrees apart.
    """
    if len(geometries) < 2 or len(geometries) != len(column_row):
        raise Underdetermined(f"triangulation needs two or more images, not {len(geometries)}")
    normal = np.zeros((len(column_row[0]), 3, 3))
    right = np.zeros((len(column_row[0]), 3))
    ways = []
    for geometry, pixels in zip(geometries, column_row, strict=True):
        way = geometry.fixed_from_receptor.apply(geometry.grid.receptor_points_mm(pixels)) - geometry.source_mm
        way /= np.linalg.norm(way, axis=-1, keepdims=True)
        across = np.eye(3) - way[:, :, None] * way[:, None, :]
        normal += across
        right += across @ geometry.source_mm
        ways.append(way)
    spread = max(
        float(np.linalg.norm(np.cross(first, second), axis=-1).max(initial=0.0))
        for number, first in enumerate(ways)
        for second in ways[number + 1 :]
    )
    if len(right) and spread < np.sin(np.deg2rad(LEAST_ANGLE_DEG)):
        raise Underdetermined("the images are taken from nearly the same direction")
    return np.asarray(np.linalg.solve(normal, right[..., None])[..., 0])
