"""The projector against oracles that share nothing with it: analytic bodies, fine sampling, plain projection."""

from __future__ import annotations

from collections.abc import Callable

import numba
import numpy as np
import numpy.typing as npt
import pytest
from scipy.ndimage import map_coordinates

from isoalign.geometry import (
    DicomPatient,
    Fixed,
    ImagerAxis,
    PatientPosition,
    PixelGrid,
    Pose,
    ProjectionGeometry,
    planned_fixed_from_dicom,
    rotation_x,
    rotation_z,
    setup_error,
)
from isoalign.imaging import attenuation_volume, project_grid, project_grid_with_derivatives, render_drr
from isoalign.imaging.attenuation import AttenuationGrid
from isoalign.records import Volume

WATER_PER_MM = 0.02059
POSITIONS = [
    PatientPosition.HFS,
    PatientPosition.FFS,
    PatientPosition.HFP,
    PatientPosition.HFDR,
    PatientPosition.SITTING,
]


def test_a_block_of_water_attenuates_by_its_thickness() -> None:
    """Rays through opposite faces of a 60 x 80 x 100 mm block, along every axis; the block's edges are voxel edges."""
    hounsfield = np.full((50 + 8, 40 + 8, 30 + 8), -1000, np.int16)
    hounsfield[4:-4, 4:-4, 4:-4] = 0
    origin = -(np.array(hounsfield.shape[::-1]) - 1) / 2 * 2.0
    volume = Volume(hounsfield, origin, np.full(3, 2.0), np.eye(3), "1", PatientPosition.HFS)
    pose = planned_fixed_from_dicom(PatientPosition.HFS, np.zeros(3))
    attenuation = attenuation_volume(volume)
    for gantry_angle_deg, thickness_mm in ((0.0, 80.0), (90.0, 60.0), (180.0, 80.0), (270.0, 60.0)):
        axis = ImagerAxis(gantry_angle_deg, 1000.0, 1500.0)
        geometry = ProjectionGeometry.from_axis(axis, PixelGrid.centred(9, 7, 5.0))
        offset = geometry.pixel_centres_mm() - geometry.source_mm
        slant = np.linalg.norm(offset, axis=-1) / 1500.0
        expected = WATER_PER_MM * thickness_mm * slant
        np.testing.assert_allclose(render_drr(attenuation, geometry, pose), expected, rtol=2e-6)


def test_a_ball_attenuates_by_its_chord() -> None:
    """Chord of a ball of 40 mm radius; voxels hold their true part of the ball, so only the grid blurs (0.5 mm)."""
    n, spacing, radius = 112, 1.0, 40.0
    fine = (np.arange(4) - 1.5) / 4
    axis = np.arange(n) - (n - 1) / 2
    squares = [((axis[:, None] + fine) ** 2) for _ in range(3)]
    inside = np.zeros((n, n, n))
    for a in range(4):
        for b in range(4):
            for c in range(4):
                r2 = squares[0][:, None, None, a] + squares[1][None, :, None, b] + squares[2][None, None, :, c]
                inside += r2 <= radius**2
    hounsfield = np.round(-1000 + 1000 * inside / 64).astype(np.int16)
    centre = np.array([30.0, -20.0, 10.0])
    volume = Volume(hounsfield, centre - (n - 1) / 2, np.full(3, spacing), np.eye(3), "1", PatientPosition.HFS)
    pose = planned_fixed_from_dicom(PatientPosition.HFS, centre + np.array([2.0, 3.0, -4.0]))
    middle = pose.apply(centre)
    for gantry_angle_deg in (0.0, 37.0, 90.0):
        geometry = ProjectionGeometry.from_axis(
            ImagerAxis(gantry_angle_deg, 1000.0, 1500.0), PixelGrid.centred(41, 35, 4.0)
        )
        directions = geometry.pixel_centres_mm() - geometry.source_mm
        directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
        distance = np.linalg.norm(np.cross(middle - geometry.source_mm, directions), axis=-1)
        expected = WATER_PER_MM * 2 * np.sqrt(np.clip(radius**2 - distance**2, 0, None))
        found = render_drr(attenuation_volume(volume), geometry, pose)
        inner = distance < radius - 3
        # air below -950 HU counts as nothing: a rim voxel may lose 5 % of its water
        np.testing.assert_allclose(found[inner], expected[inner], atol=0.4 * WATER_PER_MM)
        assert np.sqrt(np.mean((found[inner] - expected[inner]) ** 2)) < 0.1 * WATER_PER_MM
        assert not found[distance > radius + 2].any()
        assert np.count_nonzero(inner) > 200


OBLIQUE = rotation_z(20.0) @ rotation_x(-15.0)
TURNED = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


@pytest.mark.parametrize("axes", [np.eye(3), OBLIQUE, TURNED], ids=["axial", "oblique", "sagittal"])
@pytest.mark.parametrize("position", POSITIONS, ids=lambda position: position.value)
def test_any_orientation_agrees_with_fine_sampling(
    lumpy_volume: Callable[..., Volume],
    imager: Callable[..., ProjectionGeometry],
    sampled_line_integrals: Callable[..., npt.NDArray[np.float64]],
    axes: npt.NDArray[np.float64],
    position: PatientPosition,
) -> None:
    volume = lumpy_volume(axes, position=position)
    pose = setup_error(8.0, -5.0, 6.0, 3.0, -2.0, 4.0) @ planned_fixed_from_dicom(position, (10.0, -5.0, 2.0))
    geometry = imager(90.0 if position is PatientPosition.HFP else 0.0, rows=14, columns=10, pixel_mm=12.0)
    expected = sampled_line_integrals(volume, geometry, pose)
    found = render_drr(attenuation_volume(volume), geometry, pose)
    assert expected.max() > 0.5
    np.testing.assert_allclose(found, expected, atol=0.02 * expected.max())
    assert np.sqrt(np.mean((found - expected) ** 2)) < 0.004 * expected.max()


@pytest.mark.parametrize("position", POSITIONS, ids=lambda position: position.value)
@pytest.mark.parametrize("gantry_angle_deg", [0.0, 60.0, 90.0, 225.0])
def test_a_marker_lands_where_the_geometry_says(
    imager: Callable[..., ProjectionGeometry], position: PatientPosition, gantry_angle_deg: float
) -> None:
    """One dense voxel far from every symmetry; its image must lie at ProjectionGeometry.project (within 0.15 pixel)."""
    hounsfield = np.full((30, 34, 38), -1000, np.int16)
    hounsfield[21, 9, 28] = 3000
    volume = Volume(
        hounsfield, np.array([-40.0, -35.0, -50.0]), np.array([2.0, 2.0, 3.0]), OBLIQUE, "1", PatientPosition.HFS
    )
    centre = (volume.dicom_from_index @ [28, 9, 21, 1])[:3]
    pose = setup_error(4.0, -3.0, 2.0, 2.0, 1.0, -3.0) @ planned_fixed_from_dicom(position, np.zeros(3))
    geometry = imager(gantry_angle_deg, rows=160, columns=140, pixel_mm=1.5)
    image = render_drr(attenuation_volume(volume), geometry, pose).astype(np.float64)
    row, column = np.mgrid[0 : image.shape[0], 0 : image.shape[1]]
    found = np.array([(image * column).sum(), (image * row).sum()]) / image.sum()
    np.testing.assert_allclose(found, geometry.project(pose.apply(centre)), atol=0.15)


@pytest.mark.parametrize("gantry_angle_deg", [0.0, 90.0])
def test_derivatives_agree_with_differences(
    lumpy_volume: Callable[..., Volume], imager: Callable[..., ProjectionGeometry], gantry_angle_deg: float
) -> None:
    grid = attenuation_volume(lumpy_volume(OBLIQUE)).levels[0]
    geometry = imager(gantry_angle_deg, rows=60, columns=50, pixel_mm=3.0)
    pose = setup_error(3.0, 2.0, -1.0, 1.0, 2.0, -1.0) @ planned_fixed_from_dicom(
        PatientPosition.HFS, (10.0, -5.0, 2.0)
    )
    integrals, derivatives = project_grid_with_derivatives(grid, geometry, pose)
    np.testing.assert_allclose(integrals, project_grid(grid, geometry, pose), atol=1e-5)
    for parameter in range(6):
        step = np.zeros(6)
        step[parameter] = 0.05
        ahead = project_grid(grid, geometry, setup_error(*step) @ pose).astype(np.float64)
        behind = project_grid(grid, geometry, setup_error(*-step) @ pose).astype(np.float64)
        expected = (ahead - behind) / 0.1
        slope = float((derivatives[parameter] * expected).sum() / (expected * expected).sum())
        assert np.corrcoef(derivatives[parameter].ravel(), expected.ravel())[0, 1] > 0.995
        assert slope == pytest.approx(1.0, abs=0.01)


def test_an_oblique_beam_sees_planes_and_no_slabs(
    lumpy_volume: Callable[..., Volume], imager: Callable[..., ProjectionGeometry]
) -> None:
    """At 45 degrees slabs shifted the edges, and matches with imagers there were off by 0.2 mm instead of 0.01."""
    slabs = attenuation_volume(lumpy_volume()).levels[0]
    assert max(slabs.planes_per_slab) == 2
    planes = AttenuationGrid(slabs.values, slabs.dicom_from_index, slabs.cut_faces)
    pose = planned_fixed_from_dicom(PatientPosition.HFS, np.zeros(3))
    for gantry_angle_deg, same in ((0.0, False), (15.0, False), (25.0, True), (45.0, True)):
        geometry = imager(gantry_angle_deg)
        pair = [project_grid(grid, geometry, pose) for grid in (slabs, planes)]
        assert np.array_equal(*pair) == same


@pytest.mark.parametrize("gantry_angle_deg", [0.0, 90.0])
def test_slabs_change_a_projection_little_and_shift_nothing(
    lumpy_volume: Callable[..., Volume], imager: Callable[..., ProjectionGeometry], gantry_angle_deg: float
) -> None:
    """Against the same voxels projected plane by plane: edges are blurred at most, to both sides alike."""
    slabs = attenuation_volume(lumpy_volume(OBLIQUE)).levels[0]
    planes = AttenuationGrid(slabs.values, slabs.dicom_from_index, slabs.cut_faces)
    geometry = imager(gantry_angle_deg, rows=120, columns=100, pixel_mm=1.5)
    pose = setup_error(3.0, 2.0, -1.0, 4.0, 3.0, -5.0) @ planned_fixed_from_dicom(PatientPosition.HFS, np.zeros(3))
    exact, derivatives = project_grid_with_derivatives(planes, geometry, pose)
    left = project_grid(slabs, geometry, pose).astype(np.float64) - exact
    assert np.sqrt((left**2).mean()) < 0.004 * exact.max()
    motion = np.linalg.lstsq(derivatives.reshape(6, -1).T.astype(np.float64), left.ravel(), rcond=None)[0]
    assert np.abs(motion[:3]).max() < 0.03
    assert np.abs(motion[3:]).max() < 0.03


def test_rays_beside_the_volume_give_zero(
    lumpy_volume: Callable[..., Volume], imager: Callable[..., ProjectionGeometry]
) -> None:
    grid = attenuation_volume(lumpy_volume()).fine
    away = setup_error(0.0, 900.0, 0.0, 0.0, 0.0, 0.0) @ planned_fixed_from_dicom(PatientPosition.HFS, np.zeros(3))
    integrals, derivatives = project_grid_with_derivatives(grid, imager(), away)
    assert not integrals.any()
    assert not derivatives.any()


def test_the_number_of_threads_changes_nothing(
    lumpy_volume: Callable[..., Volume], imager: Callable[..., ProjectionGeometry]
) -> None:
    grid = attenuation_volume(lumpy_volume()).fine
    pose: Pose[Fixed, DicomPatient] = planned_fixed_from_dicom(PatientPosition.HFS, np.zeros(3))
    before = numba.get_num_threads()
    results = []
    try:
        for threads in (1, min(2, before)):
            numba.set_num_threads(threads)
            results.append(project_grid_with_derivatives(grid, imager(30.0), pose))
    finally:
        numba.set_num_threads(before)
    np.testing.assert_array_equal(results[0][0], results[1][0])
    np.testing.assert_array_equal(results[0][1], results[1][1])


def test_the_oracle_sees_a_wrong_spacing(
    lumpy_volume: Callable[..., Volume],
    imager: Callable[..., ProjectionGeometry],
    sampled_line_integrals: Callable[..., npt.NDArray[np.float64]],
) -> None:
    """The comparison above can fail: 4 % of scale along one axis, or half a voxel, is noticed."""
    volume = lumpy_volume()
    pose = planned_fixed_from_dicom(PatientPosition.HFS, (10.0, -5.0, 2.0))
    geometry = imager(0.0, rows=14, columns=10, pixel_mm=12.0)
    expected = sampled_line_integrals(volume, geometry, pose)
    half_voxel = Volume(
        volume.hounsfield,
        volume.origin_mm + 0.5 * volume.spacing_mm,
        volume.spacing_mm,
        volume.axes,
        "1",
        PatientPosition.HFS,
    )
    found = render_drr(attenuation_volume(half_voxel), geometry, pose)
    assert np.sqrt(np.mean((found - expected) ** 2)) > 0.004 * expected.max()
    assert map_coordinates(np.arange(4.0), [[1.5]], order=1)[0] == pytest.approx(1.5)
