"""Cone-beam projection: signs by hand, matrix and ray forms against each other and against a public example."""

from __future__ import annotations

import numpy as np
import pytest
from pytransform3d.rotations import active_matrix_from_angle
from pytransform3d.transform_manager import TransformManager
from pytransform3d.transformations import transform_from

from isoalign.geometry import (
    DicomPatient,
    FrameMismatch,
    ImagerAxis,
    InvalidGeometry,
    NotARotation,
    PatientPosition,
    PixelGrid,
    ProjectionGeometry,
    planned_fixed_from_dicom,
    rotation_x,
    rotation_y,
    rotation_z,
)
from isoalign.geometry.imaging_errors import InconsistentProjection, PointBehindSource
from isoalign.geometry.projection import GantryMountedPair
from isoalign.geometry.rotations import gantry_rotation

GRID = PixelGrid.centred(rows=1024, columns=768, spacing_mm=0.388)


def geometry_at(angle_deg: float, **changes: object) -> ProjectionGeometry:
    return ProjectionGeometry.from_axis(ImagerAxis(angle_deg, 1000.0, 1500.0, **changes), GRID)  # type: ignore[arg-type]


SIGNS = [  # gantry angle, point in the room, moves the shadow (column, row).  Typed by hand: seen from the source
    (0, (10, 0, 0), (+1, 0)),  # source above: +X to the right
    (0, (0, 10, 0), (0, -1)),  # towards the gantry is up in the image
    (90, (0, 10, 0), (0, -1)),
    (90, (0, 0, 10), (-1, 0)),  # source at +X looking to -X: up in the room lies to the left, since +Xr is -Zf
    (180, (10, 0, 0), (-1, 0)),
    (270, (0, 0, 10), (+1, 0)),
]


@pytest.mark.parametrize(("angle", "point", "direction"), SIGNS)
def test_shadow_moves_the_right_way(angle: float, point: tuple[float, ...], direction: tuple[int, int]) -> None:
    geometry = geometry_at(angle)
    shift = geometry.project(point) - geometry.project((0, 0, 0))
    np.testing.assert_allclose(shift, np.array(direction) * 10 * 1.5 / 0.388, atol=1e-9)


@pytest.mark.parametrize(
    ("angle", "source"), [(0, (0, 0, 1000)), (90, (1000, 0, 0)), (180, (0, 0, -1000)), (270, (-1000, 0, 0))]
)
def test_source_goes_clockwise_seen_towards_the_gantry(angle: float, source: tuple[float, ...]) -> None:
    np.testing.assert_allclose(geometry_at(angle).source_mm, source, atol=1e-9)


def test_isocentre_falls_on_the_middle_of_a_centred_panel() -> None:
    np.testing.assert_allclose(geometry_at(37.0).project((0, 0, 0)), ((768 - 1) / 2, (1024 - 1) / 2), atol=1e-9)


def test_projection_lies_on_the_ray_from_the_source() -> None:
    geometry = geometry_at(33.0, receptor_translation_mm=(5.0, -7.0), receptor_angle_deg=2.0)
    points = np.random.default_rng(3).uniform(-80, 80, (50, 3))
    pixels = geometry.fixed_from_receptor.apply(GRID.receptor_points_mm(geometry.project(points)))
    along = points - geometry.source_mm
    beyond = pixels - geometry.source_mm
    np.testing.assert_allclose(np.cross(along, beyond), 0, atol=1e-5)


def test_matrix_form_agrees_with_the_ray_form() -> None:
    geometry = geometry_at(123.0, receptor_translation_mm=(-3.0, 4.0), receptor_angle_deg=-1.5)
    points = np.random.default_rng(4).uniform(-80, 80, (50, 3))
    homogeneous = np.c_[points, np.ones(50)] @ geometry.projection_matrix().T
    np.testing.assert_allclose(homogeneous[:, :2] / homogeneous[:, 2:], geometry.project(points), atol=1e-9)


def test_public_projection_matrix_of_a_cone_beam_toolkit() -> None:
    """Published example (sid 1000, sdd 1536, gantry 271.847, offsets -117.06 / -1.01 mm), documentation of RTK.

    Its matrix maps IEC fixed coordinates to millimetres (Xr, Yr) on the receptor, counted from the receptor's origin.
    """
    printed = np.array(
        [
            [-166.5093078829, 0, -1531.42837748039, -117056.503295898],
            [-1.01142410874151, -1536, 0.0326206557691505, -1011.95001602173],
            [-0.999480303105996, 0, 0.0322354417240802, -1000],
        ]
    )
    grid = PixelGrid(2, 2, 1.0, 1.0, (0.0, 0.0))
    axis = ImagerAxis(271.847274780273, 1000.0, 1536.0, (-117.056503295898, -1.01195001602173))
    geometry = ProjectionGeometry.from_axis(axis, grid)
    points = np.random.default_rng(5).uniform(-100, 100, (20, 3))
    theirs = np.c_[points, np.ones(20)] @ printed.T
    theirs = theirs[:, :2] / theirs[:, 2:]
    ours = geometry.project(points)
    np.testing.assert_allclose(np.c_[ours[:, 0], -ours[:, 1]], theirs, atol=1e-8)


def test_receptor_z_is_sad_minus_sid_and_first_pixel_is_upper_left() -> None:
    geometry = geometry_at(0.0)
    np.testing.assert_allclose(geometry.fixed_from_receptor.translation_mm, (0, 0, -500), atol=1e-12)
    corner = geometry.pixel_centres_mm()[0, 0]
    np.testing.assert_allclose(corner, (-767 / 2 * 0.388, 1023 / 2 * 0.388, -500), atol=1e-9)


def test_binning_keeps_the_field_in_place() -> None:
    coarse = GRID.binned(4)
    assert (coarse.rows, coarse.columns) == (256, 192)
    block = GRID.receptor_points_mm([[c, r] for c in range(4) for r in range(4)]).mean(axis=0)
    np.testing.assert_allclose(coarse.receptor_points_mm((0, 0)), block, atol=1e-12)


def test_points_behind_the_source_and_impossible_distances_are_refused() -> None:
    with pytest.raises(InvalidGeometry):
        geometry_at(0.0).project((0, 0, 1000.0))
    with pytest.raises(InvalidGeometry):
        ImagerAxis(0.0, 1500.0, 1000.0)
    with pytest.raises(InvalidGeometry):
        PixelGrid.centred(0, 10, 0.4)


PITCH_SIGNS = [  # gantry angle, gantry pitch, the source stands at.  By hand: clockwise about +Xg, seen along it
    (0, 90, (0, -1, 0)),  # +Xg is +Xf: +Zg goes to -Yf, away from the gantry
    (90, 90, (0, -1, 0)),
    (180, 30, (0, -0.5, -np.sqrt(0.75))),
    (90, 30, (np.sqrt(0.75), -0.5, 0)),
    (270, -30, (-np.sqrt(0.75), 0.5, 0)),
]


@pytest.mark.parametrize(("angle", "pitch", "direction"), PITCH_SIGNS)
def test_pitch_turns_about_the_gantrys_own_x_axis(angle: float, pitch: float, direction: tuple[float, ...]) -> None:
    """The standard leaves the order of gantry angle and pitch open; the other order puts the third source elsewhere."""
    geometry = geometry_at(angle, gantry_pitch_deg=pitch)
    np.testing.assert_allclose(geometry.source_mm, 1000.0 * np.array(direction), atol=1e-9)
    np.testing.assert_allclose(geometry.fixed_from_receptor.translation_mm, -500.0 * np.array(direction), atol=1e-9)


def test_pitch_in_the_other_order_would_be_seen() -> None:
    other_order = rotation_x(30.0) @ rotation_y(40.0)
    assert np.abs(gantry_rotation(40.0, 30.0) - other_order).max() > 0.1


def test_receptor_formula_of_the_standard_written_out() -> None:
    """P_f = Ry(gantry) (T + Rz(receptor angle) P_r), with columns of pixels along -Yr and a negative receptor Z."""
    axis = ImagerAxis(37.0, 1000.0, 1500.0, (12.0, -34.0), 15.0)
    grid = PixelGrid(30, 40, 0.4, 0.8, (-16.0, 5.0))
    column, row = 7, 11
    on_receptor = (-16.0 + column * 0.8, 5.0 - row * 0.4, 0.0)
    by_hand = rotation_y(37.0) @ (np.array([12.0, -34.0, -500.0]) + rotation_z(15.0) @ on_receptor)
    geometry = ProjectionGeometry.from_axis(axis, grid)
    np.testing.assert_allclose(geometry.pixel_points_mm((column, row)), by_hand, atol=1e-12)
    np.testing.assert_allclose(geometry.pixel_centres_mm()[row, column], by_hand, atol=1e-12)


def test_receptor_angle_turns_counter_clockwise_seen_from_the_source() -> None:
    """The panel turned by +90: its +Xr lies where +Yr was, so what moved up the image now moves along its rows."""
    geometry = geometry_at(0.0, receptor_angle_deg=90.0)
    shift = geometry.project((0, 10, 0)) - geometry.project((0, 0, 0))
    np.testing.assert_allclose(shift, (10 * 1.5 / 0.388, 0), atol=1e-9)


def test_rt_image_whose_receptor_lies_on_the_wrong_side_is_refused() -> None:
    """Receptor Z is SAD - SID, negative beyond the isocentre; a positive one is a panel between source and patient."""
    right = ImagerAxis.from_rt_image(
        gantry_angle_deg=10.0, sad_mm=1000.0, sid_mm=1500.0, receptor_translation_mm=(1.0, 2.0, -500.0)
    )
    assert right == ImagerAxis(10.0, 1000.0, 1500.0, (1.0, 2.0))
    for z in (500.0, 0.0, -1500.0, float("nan")):
        with pytest.raises(InconsistentProjection):
            ImagerAxis.from_rt_image(
                gantry_angle_deg=10.0, sad_mm=1000.0, sid_mm=1500.0, receptor_translation_mm=(1.0, 2.0, z)
            )


def test_empty_translation_and_pitch_of_an_rt_image_mean_zero() -> None:
    axis = ImagerAxis.from_rt_image(gantry_angle_deg=270.0, sad_mm=1000.0, sid_mm=1499.0, gantry_pitch_deg=None)
    assert axis == ImagerAxis(270.0, 1000.0, 1499.0)


def test_radiograph_in_the_plane_of_the_isocentre_is_accepted() -> None:
    """A planning system stores its DRR at SID = SAD; nothing is magnified there."""
    geometry = ProjectionGeometry.from_axis(ImagerAxis(181.0, 1000.0, 1000.0), GRID)
    across = geometry.fixed_from_receptor.rotation[:, 0]
    shift = geometry.project(10 * across) - geometry.project((0, 0, 0))
    np.testing.assert_allclose(shift, (10 / 0.388, 0), atol=1e-9)


def test_rays_pass_through_what_was_projected() -> None:
    geometry = geometry_at(33.0, receptor_translation_mm=(5.0, -7.0), receptor_angle_deg=2.0, gantry_pitch_deg=-4.0)
    points = np.random.default_rng(3).uniform(-80, 80, (50, 3))
    rays = geometry.rays(geometry.project(points))
    np.testing.assert_allclose(np.linalg.norm(rays.directions, axis=-1), 1.0, atol=1e-14)
    distance = np.linalg.norm(points - geometry.source_mm, axis=-1)
    np.testing.assert_allclose(rays.points_mm(distance), points, atol=1e-9)
    assert not rays.directions.flags.writeable
    assert not rays.source_mm.flags.writeable


def test_rays_in_the_patient_frame() -> None:
    geometry = geometry_at(110.0)
    pose = planned_fixed_from_dicom(PatientPosition.FFP, (10.0, -20.0, 30.0))
    points = np.random.default_rng(6).uniform(-80, 80, (20, 3))
    pixels = geometry.project_patient(points, pose)
    np.testing.assert_allclose(pixels, geometry.project(pose.apply(points)), atol=1e-9)
    rays = geometry.rays_in_patient(pixels, pose)
    assert rays.frame is DicomPatient
    distance = np.linalg.norm(points - rays.source_mm, axis=-1)
    np.testing.assert_allclose(rays.points_mm(distance), points, atol=1e-9)


def test_rays_and_points_refuse_poses_of_other_frames() -> None:
    geometry = geometry_at(0.0)
    backwards = planned_fixed_from_dicom(PatientPosition.HFS, (0.0, 0.0, 0.0)).inverse()
    with pytest.raises(FrameMismatch):
        geometry.project_patient((0, 0, 0), backwards)  # type: ignore[arg-type]
    with pytest.raises(FrameMismatch):
        geometry.rays_in_patient((0, 0), backwards)  # type: ignore[arg-type]
    with pytest.raises(FrameMismatch):
        geometry.rays((0, 0)).in_frame(backwards.inverse())  # type: ignore[arg-type]


def test_pair_fixed_in_the_room_as_surveyed() -> None:
    """A source under the floor at (700, 0, -900), its panel under the ceiling, the top of the image at the gantry."""
    source = np.array([700.0, 0.0, -900.0])
    normal = source / np.linalg.norm(source)
    rows = np.cross((0.0, 1.0, 0.0), normal)
    geometry = ProjectionGeometry.fixed_in_room(source, -600.0 * normal, rows, (0.0, -1.0, 0.0), GRID)
    assert geometry.axis is None
    np.testing.assert_allclose(geometry.project((0, 0, 0)), ((768 - 1) / 2, (1024 - 1) / 2), atol=1e-9)
    magnification = (np.linalg.norm(source) + 600.0) / np.linalg.norm(source)
    up = geometry.project((0, 10, 0)) - geometry.project((0, 0, 0))
    np.testing.assert_allclose(up, (0, -10 * magnification / 0.388), atol=1e-9)
    along = geometry.project(10 * rows) - geometry.project((0, 0, 0))
    np.testing.assert_allclose(along, (10 * magnification / 0.388, 0), atol=1e-9)
    with pytest.raises(InvalidGeometry):  # rows the other way round: a mirrored image
        ProjectionGeometry.fixed_in_room(source, -600.0 * normal, -rows, (0.0, -1.0, 0.0), GRID)
    with pytest.raises(NotARotation):
        ProjectionGeometry.fixed_in_room(source, -600.0 * normal, rows, (0.0, -1.0, 0.2), GRID)


def test_pair_on_the_gantry_turns_with_it() -> None:
    seen = ProjectionGeometry.from_axis(ImagerAxis(90.0, 1000.0, 1500.0, (3.0, -2.0), 1.0), GRID)
    pair = GantryMountedPair.seen_at(seen, 0.0)
    again = pair.at(90.0)
    expected = ProjectionGeometry.from_axis(ImagerAxis(180.0, 1000.0, 1500.0, (3.0, -2.0), 1.0), GRID)
    np.testing.assert_allclose(again.source_mm, expected.source_mm, atol=1e-9)
    assert again.fixed_from_receptor.is_close(expected.fixed_from_receptor)
    assert pair.at(0.0).fixed_from_receptor.is_close(seen.fixed_from_receptor)
    tilted = GantryMountedPair.seen_at(pair.at(25.0, 7.0), 25.0, 7.0)
    np.testing.assert_allclose(tilted.source_mm, pair.source_mm, atol=1e-9)
    with pytest.raises(FrameMismatch):
        GantryMountedPair(pair.source_mm, seen.fixed_from_receptor, GRID)  # type: ignore[arg-type]
    with pytest.raises(InvalidGeometry):
        GantryMountedPair(-pair.source_mm, pair.gantry_from_receptor, GRID)


def test_pose_chain_equals_a_public_library() -> None:
    """pytransform3d chains the same four transforms by name."""
    manager = TransformManager()
    axis = ImagerAxis(123.0, 1000.0, 1500.0, (8.0, -9.0), 20.0, 11.0)
    gantry = active_matrix_from_angle(1, np.radians(123.0)) @ active_matrix_from_angle(0, np.radians(11.0))
    manager.add_transform("gantry", "fixed", transform_from(gantry, np.zeros(3)))
    receptor = transform_from(active_matrix_from_angle(2, np.radians(20.0)), (8.0, -9.0, -500.0))
    manager.add_transform("receptor", "gantry", receptor)
    patient = planned_fixed_from_dicom(PatientPosition.HFDR, (1.0, -2.0, 3.0))
    manager.add_transform("patient", "fixed", transform_from(patient.rotation, patient.translation_mm))
    geometry = ProjectionGeometry.from_axis(axis, GRID)
    ours = patient.inverse() @ geometry.fixed_from_receptor
    np.testing.assert_allclose(ours.matrix, manager.get_transform("receptor", "patient"), atol=1e-9)


def test_grid_knows_its_edges() -> None:
    grid = PixelGrid.centred(rows=10, columns=20, spacing_mm=1.0)
    inside = grid.contains([[0, 0], [-0.5, 9.5], [19.5, -0.5], [-0.51, 0], [0, 9.6], [20, 5], [float("nan"), 0]])
    assert inside.tolist() == [True, True, True, False, False, False, False]


def test_point_behind_the_source_has_an_error_of_its_own() -> None:
    with pytest.raises(PointBehindSource):
        geometry_at(90.0).project([(0.0, 0.0, 0.0), (1200.0, 0.0, 0.0)])
