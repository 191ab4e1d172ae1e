"""The exact ray caster against boxes worked out by hand, sorted plane crossings, and fine sampling."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest

from isoalign.geometry import ImagerAxis, PixelGrid, ProjectionGeometry, rotation_x, rotation_z
from isoalign.records import InvalidRecord
from isoalign.simulators.raycast import DetectorRays, VoxelBody, voxel_areal_density

Array = npt.NDArray[np.float64]
TABLE = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.3, 2.0], [5.0, 0.1]])


def rays_of(
    source: object, first: object, right: object, down: object, rows: int = 1, columns: int = 1
) -> DetectorRays:
    return DetectorRays(*(np.array(v, dtype=float) for v in (source, first, right, down)), rows=rows, columns=columns)


def grid_matrix(
    spacing: tuple[float, float, float], origin: tuple[float, float, float], turn: Array | None = None
) -> Array:
    full = np.eye(4)
    full[:3, :3] = (np.eye(3) if turn is None else turn) @ np.diag(spacing)
    full[:3, 3] = origin
    return full


def by_sorted_crossings(codes: npt.NDArray[np.uint16], frame_from_index: Array, start: Array, end: Array) -> Array:
    """An independent exact integral: every crossing of every plane, sorted, one lookup in the middle of each piece."""
    index_from_frame = np.linalg.inv(frame_from_index)
    a, b = (index_from_frame[:3, :3] @ p + index_from_frame[:3, 3] + 0.5 for p in (start, end))
    cuts = [0.0, 1.0]
    for axis, count in enumerate(codes.shape[::-1]):
        if abs(b[axis] - a[axis]) > 1e-14:
            cuts.extend(((np.arange(count + 1) - a[axis]) / (b[axis] - a[axis])).tolist())
    t = np.unique(np.clip(cuts, 0.0, 1.0))
    total = np.zeros(2)
    for t0, t1 in pairwise(t):
        where = np.floor(a + 0.5 * (t0 + t1) * (b - a)).astype(int)
        if (where >= 0).all() and (where < codes.shape[::-1]).all():
            total += (t1 - t0) * TABLE[codes[where[2], where[1], where[0]]]
    return total * np.linalg.norm(end - start) * 0.1


@pytest.fixture(scope="module")
def codes() -> npt.NDArray[np.uint16]:
    return np.random.default_rng(3).integers(0, 5, (7, 9, 11)).astype(np.uint16)


def test_block_of_water_seen_straight_on() -> None:
    # 4 x 5 x 6 voxels of 2 x 3 x 4 mm: 24 mm along z, 2.4 g/cm2; beside it nothing
    block = np.ones((6, 5, 4), dtype=np.uint16)
    body = VoxelBody.of(block, grid_matrix((2, 3, 4), (0, 0, 0)), TABLE)
    rays = rays_of((3, 6, -1000), (-1.0, 6, 1000), (4.0, 0, 0), (0, 1, 0), columns=3)
    seen = voxel_areal_density(body, rays)[0, :, 0]
    slant = np.hypot(2000.0, 4.0) / 2000.0
    assert seen == pytest.approx([2.4 * slant, 2.4, 2.4 * slant], abs=1e-12)
    outside = rays_of((100, 6, -1000), (100, 6, 1000), (1, 0, 0), (0, 1, 0))
    assert voxel_areal_density(body, outside)[0, 0, 0] == 0.0


def test_slanted_ray_through_a_block_is_a_chord() -> None:
    block = np.full((10, 10, 10), 3, dtype=np.uint16)
    body = VoxelBody.of(block, grid_matrix((1, 1, 1), (-4.5, -4.5, -4.5)), TABLE)  # cube -5..5 mm
    source, end = np.array([-20.0, -11.0, 3.0]), np.array([20.0, 13.0, -2.0])
    way = end - source
    low, high = np.minimum((-5 - source) / way, (5 - source) / way), np.maximum((-5 - source) / way, (5 - source) / way)
    chord_cm = 0.1 * (high.min() - low.max()) * np.linalg.norm(way)
    seen = voxel_areal_density(body, rays_of(source, end, (1, 0, 0), (0, 1, 0)))[0, 0]
    assert seen == pytest.approx([0.3 * chord_cm, 2.0 * chord_cm], rel=1e-12)


@pytest.mark.parametrize("turn", [None, rotation_z(33.0) @ rotation_x(-20.0)])
def test_random_voxels_against_sorted_crossings(codes: npt.NDArray[np.uint16], turn: Array | None) -> None:
    matrix = grid_matrix((0.9, 1.7, 2.3), (-3.0, 4.0, -11.0), turn)
    body = VoxelBody.of(codes, matrix, TABLE)
    middle = matrix[:3, :3] @ [5, 4, 3] + matrix[:3, 3]
    rng = np.random.default_rng(8)
    for _ in range(60):
        way = rng.normal(size=3)
        source = middle + rng.normal(size=3) * 3 - 60 * way / np.linalg.norm(way)
        end = source + 130 * way / np.linalg.norm(way)
        seen = voxel_areal_density(body, rays_of(source, end, (1, 0, 0), (0, 1, 0)))[0, 0]
        assert seen == pytest.approx(by_sorted_crossings(codes, matrix, source, end), abs=1e-12)


def test_against_brute_force_sampling(codes: npt.NDArray[np.uint16]) -> None:
    matrix = grid_matrix((1.1, 0.8, 2.0), (7.0, -2.0, 1.0))
    body = VoxelBody.of(codes, matrix, TABLE)
    source, end = np.array([-30.0, -20.0, -25.0]), np.array([45.0, 28.0, 40.0])
    t = (np.arange(400_000) + 0.5) / 400_000
    index = np.floor((source + t[:, None] * (end - source) - matrix[:3, 3]) / np.diag(matrix)[:3] + 0.5).astype(int)
    inside = ((index >= 0) & (index < codes.shape[::-1])).all(axis=1)
    sampled = TABLE[codes[tuple(index[inside].T[::-1])]].sum(axis=0) / t.size * np.linalg.norm(end - source) * 0.1
    seen = voxel_areal_density(body, rays_of(source, end, (1, 0, 0), (0, 1, 0)))[0, 0]
    assert sampled.min() > 0.1
    assert seen == pytest.approx(sampled, rel=2e-4)


def test_rays_along_an_axis_and_along_voxel_faces(codes: npt.NDArray[np.uint16]) -> None:
    body = VoxelBody.of(codes, grid_matrix((1, 1, 1), (0, 0, 0)), TABLE)
    seen = voxel_areal_density(body, rays_of((4, 3, -50), (4, 3, 50), (1, 0, 0), (0, 1, 0)))[0, 0]
    assert seen == pytest.approx(0.1 * TABLE[codes[:, 3, 4]].sum(axis=0), abs=1e-12)
    # exactly on the face between columns 4 and 5: one of the two, never both, never neither
    face = voxel_areal_density(body, rays_of((4.5, 3, -50), (4.5, 3, 50), (1, 0, 0), (0, 1, 0)))[0, 0]
    sides = [0.1 * TABLE[codes[:, 3, column]].sum(axis=0) for column in (4, 5)]
    assert any(face == pytest.approx(side, abs=1e-12) for side in sides)


def test_diagonal_through_voxel_corners_counts_every_voxel_once() -> None:
    block = np.ones((8, 8, 8), dtype=np.uint16)
    body = VoxelBody.of(block, grid_matrix((1, 1, 1), (0.5, 0.5, 0.5)), TABLE)
    seen = voxel_areal_density(body, rays_of((-8, -8, -8), (16, 16, 16), (1, 0, 0), (0, 1, 0)))[0, 0, 0]
    assert seen == pytest.approx(0.1 * 8 * np.sqrt(3), abs=1e-12)


def test_source_inside_the_body_counts_only_what_lies_ahead() -> None:
    block = np.ones((10, 10, 10), dtype=np.uint16)
    body = VoxelBody.of(block, grid_matrix((1, 1, 1), (0.5, 0.5, 0.5)), TABLE)
    ahead = voxel_areal_density(body, rays_of((5, 5, 3), (5, 5, 100), (1, 0, 0), (0, 1, 0)))[0, 0, 0]
    up_to_pixel = voxel_areal_density(body, rays_of((5, 5, -100), (5, 5, 4), (1, 0, 0), (0, 1, 0)))[0, 0, 0]
    assert ahead == pytest.approx(0.7, abs=1e-12)
    assert up_to_pixel == pytest.approx(0.4, abs=1e-12)


def test_cropping_keeps_every_ray_and_air_is_nothing() -> None:
    padded = np.zeros((20, 20, 20), dtype=np.uint16)
    padded[4:9, 7:15, 3:12] = np.random.default_rng(1).integers(0, 5, (5, 8, 9))
    matrix = grid_matrix((1.5, 1.0, 2.0), (-9.0, 0.0, 3.0))
    body = VoxelBody.of(padded, matrix, TABLE)
    assert body.codes.shape[0] <= 5
    rng = np.random.default_rng(2)
    for _ in range(20):
        source, end = rng.uniform(-60, -40, 3), rng.uniform(50, 80, 3)
        seen = voxel_areal_density(body, rays_of(source, end, (1, 0, 0), (0, 1, 0)))[0, 0]
        assert seen == pytest.approx(by_sorted_crossings(padded, matrix, source, end), abs=1e-12)
    nothing = VoxelBody.of(np.zeros((3, 3, 3), dtype=np.uint16), matrix, TABLE)
    assert not voxel_areal_density(
        nothing, rays_of((0, 0, -9), (0, 0, 9), (1, 0, 0), (0, 1, 0), rows=4, columns=5)
    ).any()


def test_bands_of_rows_make_the_same_image_and_progress_reaches_one(codes: npt.NDArray[np.uint16]) -> None:
    body = VoxelBody.of(codes, grid_matrix((10, 10, 10), (-50, -40, -30)), TABLE)
    geometry = ProjectionGeometry.from_axis(ImagerAxis(37.0, 1000.0, 1500.0), PixelGrid.centred(70, 31, 4.0))
    rays = DetectorRays.of(geometry)
    told: list[float] = []
    whole = voxel_areal_density(body, rays, progress=told.append)
    part = voxel_areal_density(body, rays.window(slice(40, 55), slice(3, 20)))
    assert np.abs(whole[40:55, 3:20] - part).max() < 1e-12
    assert told == sorted(told)
    assert told[-1] == 1.0


def test_rays_of_a_geometry_end_at_its_pixels() -> None:
    geometry = ProjectionGeometry.from_axis(
        ImagerAxis(90.0, 1000.0, 1500.0, (3.0, -2.0), 5.0), PixelGrid.centred(5, 4, 2.0)
    )
    rays = DetectorRays.of(geometry)
    last = rays.first_pixel_mm + 3 * rays.column_step_mm + 4 * rays.row_step_mm
    assert last == pytest.approx(geometry.pixel_centres_mm()[4, 3], abs=1e-9)
    assert rays.source_mm == pytest.approx([1000.0, 0.0, 0.0], abs=1e-9)


def test_codes_beyond_the_table_and_singular_grids_are_refused() -> None:
    with pytest.raises(InvalidRecord, match="outside a table"):
        VoxelBody(np.full((2, 2, 2), 9, dtype=np.uint16), np.eye(4), TABLE)
    with pytest.raises(InvalidRecord, match="singular"):
        VoxelBody(np.ones((2, 2, 2), dtype=np.uint16), np.zeros((4, 4)), TABLE)
