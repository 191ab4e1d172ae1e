"""A part with fewer corners encloses the one it stands for, and is hardly larger. Judged by scipy's own hulls."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import ConvexHull

from isoalign.geometry import TableTop
from isoalign.geometry.clearance import ConvexPart, with_fewer_corners


def rough_body(seed: int, kind: str) -> ConvexPart:
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(8000, 3))
    points /= np.linalg.norm(points, axis=1)[:, None]
    if kind == "slab":  # an elliptic cylinder with flat ends, as a slab of a trunk
        angle = rng.uniform(0, 2 * np.pi, 6000)
        points = np.column_stack([np.cos(angle), np.sin(angle), rng.integers(0, 2, 6000) * 0.2])
        points *= (180.0, 110.0, 250.0)
    else:
        points *= (100.0, 90.0, 120.0)
    return ConvexPart("trunk", TableTop, points + np.array([10.0, -700.0, 60.0]), body="patient")


@pytest.mark.parametrize("kind", ["ball", "slab"])
@pytest.mark.parametrize("seed", range(3))
def test_nothing_sticks_out_and_little_is_added(kind: str, seed: int) -> None:
    body = rough_body(seed, kind)
    fewer = with_fewer_corners(body)
    assert len(body.vertices_mm) > 1000
    assert len(fewer.vertices_mm) < 400
    assert (fewer.name, fewer.body, fewer.frame) == (body.name, body.body, body.frame)
    planes = ConvexHull(fewer.vertices_mm).equations
    outside = body.vertices_mm @ planes[:, :3].T + planes[:, 3]
    assert outside.max() < 1e-6, "a corner of the body lies outside"
    assert ConvexHull(fewer.vertices_mm).volume < 1.05 * ConvexHull(body.vertices_mm).volume


def test_what_has_few_corners_stays() -> None:
    cube = ConvexPart("cube", TableTop, [[x, y, z] for x in (0, 50) for y in (0, 50) for z in (0, 50)])
    assert with_fewer_corners(cube) is cube
