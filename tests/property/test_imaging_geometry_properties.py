"""Imaging geometry there and back: nine parameters, C-arms, the isocenter reference system, rays and pixels."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from isoalign.geometry import (
    DicomPatient,
    Fixed,
    ImagerAxis,
    PatientPosition,
    PixelGrid,
    Pose,
    ProjectionGeometry,
    TableAngles,
    planned_fixed_from_dicom,
    rotation_from_table_angles,
)
from isoalign.geometry.c_arm import CArmAngles, GantryDirection, c_arm_from_gantry, gantry_from_c_arm
from isoalign.geometry.isocenter_reference_system import PositionerAngles, XrayTablePosition
from isoalign.geometry.nine_parameter import NineParameters
from isoalign.geometry.projection import GantryMountedPair
from isoalign.geometry.receptor_lookup import ReceptorLookup

GRID = PixelGrid(1024, 768, 0.4, 0.388, (-148.0, 205.0))

turns = st.floats(-720, 720)
half_turns = st.floats(-179.999, 179.999)
tilts = st.floats(-89.9, 89.9)
offsets = st.floats(-200, 200)
axes = st.builds(
    lambda gantry, sad, beyond, x, y, angle, pitch: ImagerAxis(gantry, sad, sad + beyond, (x, y), angle, pitch),
    turns,
    st.floats(500, 2500),
    st.floats(0, 1000),
    offsets,
    offsets,
    half_turns,
    tilts,
)
nine = st.builds(
    NineParameters,
    st.floats(200, 2500),
    st.floats(200, 3500),
    half_turns,
    offsets,
    offsets,
    tilts,
    half_turns,
    offsets,
    offsets,
)
points = st.lists(st.tuples(*[st.floats(-100, 100)] * 3), min_size=1, max_size=4)
positions = st.sampled_from(PatientPosition)


@st.composite
def patients(draw: st.DrawFn) -> Pose[Fixed, DicomPatient]:
    isocentre = draw(st.tuples(*[st.floats(-500, 500)] * 3))
    couch = TableAngles(draw(turns), draw(st.floats(-20, 20)), draw(st.floats(-20, 20)))
    return Pose(Fixed, Fixed, rotation_from_table_angles(couch)) @ planned_fixed_from_dicom(draw(positions), isocentre)


def same_angle(found: float, expected: float, tolerance: float = 1e-7) -> bool:
    return abs((found - expected + 180.0) % 360.0 - 180.0) <= tolerance


@given(axes)
def test_axis_to_nine_parameters_and_back(axis: ImagerAxis) -> None:
    back = NineParameters.from_axis(axis).to_axis()
    np.testing.assert_allclose(back.receptor_translation_mm, axis.receptor_translation_mm, atol=1e-9)
    assert (back.gantry_angle_deg, back.gantry_pitch_deg, back.receptor_angle_deg) == (
        axis.gantry_angle_deg,
        axis.gantry_pitch_deg,
        axis.receptor_angle_deg,
    )
    assert (back.sad_mm, back.sid_mm) == (axis.sad_mm, axis.sid_mm)


@given(axes)
def test_axis_and_nine_parameters_are_one_geometry(axis: ImagerAxis) -> None:
    direct = ProjectionGeometry.from_axis(axis, GRID)
    by_parameters = NineParameters.from_axis(axis).to_geometry(GRID)
    np.testing.assert_allclose(by_parameters.source_mm, direct.source_mm, atol=1e-8)
    assert by_parameters.fixed_from_receptor.is_close(direct.fixed_from_receptor, atol_mm=1e-8, atol_deg=1e-6)


@given(nine)
def test_nine_parameters_to_geometry_and_back(parameters: NineParameters) -> None:
    back = NineParameters.from_geometry(parameters.to_geometry(GRID))
    angles = slice(2, 3), slice(5, 7)
    for part in angles:
        for found, expected in zip(back.values[part], parameters.values[part], strict=True):
            assert same_angle(found, expected)
    lengths = [0, 1, 3, 4, 7, 8]
    np.testing.assert_allclose(np.take(back.values, lengths), np.take(parameters.values, lengths), atol=1e-8)


@given(nine)
def test_wrapping_changes_no_projection(parameters: NineParameters) -> None:
    matrix = parameters.matrix()
    np.testing.assert_allclose(parameters.wrapped().matrix(), matrix, atol=1e-10 * np.abs(matrix).max())


@given(axes, patients(), points)
def test_pixel_to_ray_and_back(
    axis: ImagerAxis, patient: Pose[Fixed, DicomPatient], inside: list[tuple[float]]
) -> None:
    """Points around the isocentre, which every one of these axes sees, in patient coordinates."""
    geometry = ProjectionGeometry.from_axis(axis, GRID)
    in_patient = patient.inverse().apply(inside)
    pixels = ReceptorLookup.of(geometry, patient).pixels(in_patient)
    np.testing.assert_allclose(pixels, geometry.project(inside), atol=1e-6)
    rays = geometry.rays_in_patient(pixels, patient)
    distance = np.linalg.norm(in_patient - rays.source_mm, axis=-1)
    np.testing.assert_allclose(rays.points_mm(distance), in_patient, atol=1e-6)
    np.testing.assert_allclose(geometry.project_patient(rays.points_mm(0.5 * distance), patient), pixels, atol=1e-5)


@given(axes, st.tuples(turns, tilts), st.tuples(turns, tilts))
def test_pair_rides_with_the_gantry(axis: ImagerAxis, first: tuple[float, float], second: tuple[float, float]) -> None:
    geometry = ProjectionGeometry.from_axis(axis, GRID)
    pair = GantryMountedPair.seen_at(geometry, *first)
    assert pair.at(*first).fixed_from_receptor.is_close(geometry.fixed_from_receptor, atol_mm=1e-8, atol_deg=1e-6)
    again = GantryMountedPair.seen_at(pair.at(*second), *second)
    np.testing.assert_allclose(again.source_mm, pair.source_mm, atol=1e-8)
    assert abs(np.linalg.norm(pair.at(*second).source_mm) - axis.sad_mm) < 1e-8


@given(half_turns, tilts, patients())
def test_c_arm_to_gantry_and_back(primary: float, secondary: float, patient: Pose[Fixed, DicomPatient]) -> None:
    angles = CArmAngles(primary, secondary)
    gantry = gantry_from_c_arm(angles, patient, held_gantry_angle_deg=0.0)
    np.testing.assert_allclose(gantry.source_direction, patient.rotation @ angles.source_direction, atol=1e-10)
    back = c_arm_from_gantry(gantry, patient, held_primary_deg=primary)
    assert same_angle(back.primary_deg, primary, 1e-6)
    assert abs(back.secondary_deg - secondary) < 1e-6


@given(turns, tilts)
def test_supine_c_arm_is_gantry_plus_half_a_turn(primary: float, secondary: float) -> None:
    angles = CArmAngles(primary, secondary)
    found = gantry_from_c_arm(angles, PatientPosition.HFS, held_gantry_angle_deg=180.0 + primary)
    assert abs(found.gantry_angle_deg - 180.0 - primary) < 1e-7
    assert abs(found.gantry_pitch_deg - secondary) < 1e-9


@given(turns, tilts, positions)
def test_detector_is_opposite_to_the_source(gantry: float, pitch: float, position: PatientPosition) -> None:
    direction = GantryDirection(gantry, pitch)
    angles = c_arm_from_gantry(direction, position, held_primary_deg=0.0)
    np.testing.assert_allclose(angles.source_direction, -angles.detector_direction, atol=0)
    assert abs(angles.secondary_deg) <= 90.0


@given(half_turns, tilts, half_turns)
def test_positioner_pose_and_back(primary: float, secondary: float, turn: float) -> None:
    back = PositionerAngles.of_pose(PositionerAngles(primary, secondary, turn).isocenter_from_positioner())
    assert same_angle(back.primary_deg, primary)
    assert same_angle(back.detector_rotation_deg, turn)
    assert abs(back.secondary_deg - secondary) < 1e-7


@given(offsets, offsets, offsets, half_turns, tilts, half_turns)
def test_xray_table_as_iec_table_and_back(
    x: float, y: float, z: float, turn: float, tilt: float, cradle: float
) -> None:
    back = XrayTablePosition.of_fixed_from_table(XrayTablePosition(x, y, z, turn, tilt, cradle).fixed_from_table())
    np.testing.assert_allclose((back.x_mm, back.y_mm, back.z_mm), (x, y, z), atol=1e-9)
    assert same_angle(back.horizontal_rotation_deg, turn)
    assert same_angle(back.cradle_tilt_deg, cradle)
    assert abs(back.head_tilt_deg - tilt) < 1e-7


@given(half_turns, st.floats(-60, 60), half_turns, points)
def test_c_arm_projection_is_an_rt_image_seen_from_behind(
    primary: float, secondary: float, turn: float, inside: list[tuple[float]]
) -> None:
    angles = PositionerAngles(primary, secondary, turn)
    grid = PixelGrid(2, 2, 1.0, 1.0, (0.0, 0.0))
    geometry = ProjectionGeometry.from_axis(angles.imager_axis(750.0, 1200.0), grid)
    in_room = np.asarray(inside) @ np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
    np.testing.assert_allclose(geometry.project(in_room), -angles.project_mm(inside, 750.0, 1200.0), atol=1e-6)
