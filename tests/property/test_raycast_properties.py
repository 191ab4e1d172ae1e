"""Whatever the grid and the ray: both directions agree, pieces add up, and scaling scales."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from isoalign.simulators.raycast import DetectorRays, VoxelBody, voxel_areal_density

TABLE = np.array([[0.0, 0.0], [1.0, 0.2], [0.4, 3.0]])
COORDINATE = st.floats(-40.0, 40.0, allow_subnormal=False)
POINT = st.tuples(COORDINATE, COORDINATE, COORDINATE).map(np.array)


def between(body: VoxelBody, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    rays = DetectorRays(start, end, np.array([1.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0]), 1, 1)
    return voxel_areal_density(body, rays)[0, 0]


@st.composite
def bodies(draw: st.DrawFn) -> VoxelBody:
    shape = draw(st.tuples(*[st.integers(1, 6)] * 3))
    codes = np.random.default_rng(draw(st.integers(0, 999))).integers(0, 3, shape).astype(np.uint16)
    axes = np.random.default_rng(draw(st.integers(0, 999))).normal(size=(3, 3))
    u, _, vt = np.linalg.svd(axes)
    matrix = np.eye(4)
    matrix[:3, :3] = u @ vt @ np.diag(draw(st.tuples(*[st.floats(0.3, 8.0)] * 3)))
    matrix[:3, 3] = draw(POINT) / 4
    return VoxelBody.of(codes, matrix, TABLE)


@given(bodies(), POINT, POINT)
@settings(max_examples=150, deadline=None)
def test_both_directions_agree_and_are_bounded(body: VoxelBody, start: np.ndarray, end: np.ndarray) -> None:
    there, back = between(body, start, end), between(body, end, start)
    assert np.allclose(there, back, atol=1e-9)
    length_cm = 0.1 * np.linalg.norm(end - start)
    assert (there >= 0).all()
    assert (there <= length_cm * TABLE.max(axis=0) + 1e-9).all()


@given(bodies(), POINT, POINT, st.floats(0.0, 1.0))
@settings(max_examples=150, deadline=None)
def test_pieces_of_a_ray_add_up(body: VoxelBody, start: np.ndarray, end: np.ndarray, part: float) -> None:
    middle = start + part * (end - start)
    whole = between(body, start, end)
    pieces = between(body, start, middle) + between(body, middle, end)
    # a ray that runs along a face may fall to either side of it
    assert np.allclose(whole, pieces, atol=1e-6)


def test_single_precision_would_fail_here() -> None:
    # 2000 thin voxels far from the origin: the sum of the pieces is the whole to twelve digits
    matrix = np.diag([0.01, 1.0, 1.0, 1.0])
    matrix[:3, 3] = (1e5, 0.0, 0.0)
    body = VoxelBody.of(np.ones((1, 1, 2000), dtype=np.uint16), matrix, TABLE)
    seen = between(body, np.array([1e5 - 5.0, 0.0, 0.0]), np.array([1e5 + 50.0, 0.0, 0.0]))
    assert abs(seen[0] - 2.0) < 1e-9
