"""Round trips over every representation, scale, frame and patient position, and invariants that must hold for all."""

from __future__ import annotations

import math

import numpy as np
import transforms3d
from hypothesis import given, settings
from hypothesis import strategies as st
from pytransform3d import rotations as pr
from scipy.spatial.transform import Rotation

from isoalign.geometry import (
    AxisScale,
    DicomPatient,
    Fixed,
    LimitMethod,
    MachineScale,
    PatientPosition,
    Pose,
    Representation,
    RotatingAxis,
    RotationDirection,
    TableAngles,
    TableTopArray,
    TableTopEccentricity,
    TableTopPosition,
    TravelLimits,
    Wrap,
    correction_at_isocentre,
    couch_move,
    display_angle_deg,
    fixed_from_table,
    fixed_from_verification,
    limit_and_recentre,
    nearest_rotation,
    planned_fixed_from_dicom_at,
    residual_of,
    rigid_about,
    rotation_from_table_angles,
    table_angles_from_rotation,
    table_top_position,
    travel_deg,
    with_eccentric,
    without_eccentric,
)
from isoalign.geometry.table_top import iec_to_isocentric_scalar, isocentric_to_iec_scalar

IEC, ISO = Representation.IEC_61217, Representation.ISOCENTRIC_STANDARD
millimetres = st.floats(-2000, 2000)
tilts = st.floats(-85, 85)
angles = st.floats(-179.9, 179.9)
turns = st.floats(-720, 720)
positions = st.builds(
    TableTopPosition, st.sampled_from([IEC, ISO]), millimetres, millimetres, millimetres, tilts, angles, turns
)
iec_positions = st.builds(TableTopPosition, st.just(IEC), millimetres, millimetres, millimetres, tilts, angles, turns)
table_angles = st.builds(TableAngles, turns, tilts, angles)
points = st.tuples(millimetres, millimetres, millimetres)
axis_scales = st.builds(
    AxisScale,
    st.sampled_from([1, -1]),
    st.floats(-500, 500),
    st.sampled_from([1.0, 10.0]),
    st.just(Wrap.CONTINUOUS),
    st.just("x"),
)
angle_scales = st.builds(
    AxisScale, st.sampled_from([1, -1]), st.floats(-360, 360), st.just(1.0), st.sampled_from(Wrap), st.just("x")
)
scales = st.builds(
    lambda linear, rotating, origin: MachineScale(
        "any",
        dict(
            zip(
                ("lateral", "longitudinal", "vertical", "pitch", "roll", "patient_support_angle"),
                linear + rotating,
                strict=True,
            )
        ),
        origin,
        "x",
    ),
    st.lists(axis_scales, min_size=3, max_size=3),
    st.lists(angle_scales, min_size=3, max_size=3),
    st.tuples(st.floats(-200, 200), st.floats(-200, 200), st.floats(-200, 200)),
)
errors = st.builds(
    lambda vector, shift: Pose(Fixed, Fixed, Rotation.from_rotvec(vector).as_matrix(), shift),
    st.tuples(*[st.floats(-0.3, 0.3)] * 3),
    st.tuples(*[st.floats(-30, 30)] * 3),
)


@given(positions)
def test_compiled_plain_and_scalar_paths_agree(position: TableTopPosition) -> None:
    other = ISO if position.representation is IEC else IEC
    tagged = position.in_representation(other)
    many = TableTopArray.of([position]).in_representation(other)[0]
    scalar = iec_to_isocentric_scalar if other is ISO else isocentric_to_iec_scalar
    np.testing.assert_allclose(many.values, tagged.values, atol=1e-11)
    assert scalar(*position.values[:5]) == tagged.values[:3]


@given(positions)
def test_representations_round_trip_and_keep_the_distance(position: TableTopPosition) -> None:
    """Both translations have one length: they are one vector along different axes."""
    other = ISO if position.representation is IEC else IEC
    there = position.in_representation(other)
    np.testing.assert_allclose(there.in_representation(position.representation).values, position.values, atol=1e-9)
    assert math.isclose(np.linalg.norm(there.translation_mm), np.linalg.norm(position.translation_mm), abs_tol=1e-9)


@given(iec_positions)
def test_isocentre_in_the_table_top_is_minus_the_isocentric_translation(position: TableTopPosition) -> None:
    """What makes the isocentric numbers what they are: they say which point of the table top is at the isocentre."""
    at_isocentre = fixed_from_table(position).inverse().apply((0.0, 0.0, 0.0))
    np.testing.assert_allclose(at_isocentre, -position.in_representation(ISO).translation_mm, atol=1e-9)


@given(iec_positions, st.floats(-90, 90))
def test_isocentric_translation_does_not_depend_on_the_support_angle(position: TableTopPosition, turn: float) -> None:
    turned = TableTopPosition(IEC, *position.values[:5], position.patient_support_angle_deg + turn)
    assert turned.in_representation(ISO).values[:3] == position.in_representation(ISO).values[:3]


@given(iec_positions)
def test_pose_and_back_with_continuous_angles(position: TableTopPosition) -> None:
    back = table_top_position(fixed_from_table(position), near=position)
    np.testing.assert_allclose(back.values, position.values, atol=1e-9)


@given(table_angles)
def test_table_angles_against_three_libraries(given_angles: TableAngles) -> None:
    ours = rotation_from_table_angles(given_angles)
    order = (given_angles.patient_support_angle_deg, given_angles.pitch_deg, given_angles.roll_deg)
    np.testing.assert_allclose(ours, Rotation.from_euler("ZXY", order, degrees=True).as_matrix(), atol=1e-12)
    np.testing.assert_allclose(ours, transforms3d.euler.euler2mat(*np.radians(order), axes="rzxy"), atol=1e-12)
    theirs = pr.matrix_from_euler(np.radians(order), 2, 0, 1, extrinsic=False)
    np.testing.assert_allclose(ours, theirs, atol=1e-12)
    back = table_angles_from_rotation(ours)
    np.testing.assert_allclose(rotation_from_table_angles(back), ours, atol=1e-12)


@given(table_angles, st.integers(4, 8))
def test_printed_matrices_are_projected_to_a_rotation_nearby(given_angles: TableAngles, digits: int) -> None:
    exact = rotation_from_table_angles(given_angles)
    rotation, distance = nearest_rotation(np.round(exact, digits))
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-14)
    assert distance <= 3 * 0.5 * 10.0**-digits + 1e-12
    assert np.abs(rotation - exact).max() <= 3 * 10.0**-digits


@given(scales, iec_positions)
def test_every_scale_reads_back_what_it_shows(scale: MachineScale, position: TableTopPosition) -> None:
    reading = scale.read(position)
    back = reading.position(near=position)
    np.testing.assert_allclose(back.values, position.values, atol=1e-9)
    for axis, shown in zip(("pitch", "roll", "patient_support_angle"), reading.values[3:], strict=True):
        wrap = scale.axes[axis].wrap
        assert wrap is not Wrap.UNIPOLAR or 0.0 <= shown < 360.0
        assert wrap is not Wrap.BIPOLAR or -180.0 < shown <= 180.0


@given(iec_positions, st.floats(0, 800), angles)
def test_eccentric_stage_round_trip(position: TableTopPosition, distance: float, angle: float) -> None:
    eccentricity = TableTopEccentricity(distance, angle)
    back = with_eccentric(without_eccentric(position, eccentricity), eccentricity)
    np.testing.assert_allclose(back.values, position.values, atol=1e-9)


@given(errors, points)
def test_turning_about_a_point_keeps_it(error: Pose[Fixed, Fixed], point: tuple[float, float, float]) -> None:
    np.testing.assert_allclose(rigid_about(point, error.rotation).apply(point), point, atol=1e-9)


@given(errors, st.floats(0, 300), points)
def test_no_point_in_the_sphere_moves_farther_than_said(
    error: Pose[Fixed, Fixed], radius: float, direction: tuple
) -> None:
    length = float(np.linalg.norm(direction))
    point = np.zeros(3) if length == 0 else np.array(direction) * (radius / length)
    moved = float(np.linalg.norm(error.apply(point) - point))
    assert moved <= residual_of(error).greatest_displacement_mm(radius) + 1e-9


@given(errors, points)
def test_transfer_there_and_back(error: Pose[Fixed, Fixed], offset: tuple[float, float, float]) -> None:
    there = correction_at_isocentre(error, offset, within_mm=1e5)
    back = correction_at_isocentre(there, -np.array(offset), within_mm=1e5)
    assert back.is_close(error, atol_mm=1e-9, atol_deg=1e-9)


@given(
    st.sampled_from(PatientPosition),
    st.builds(TableAngles, st.floats(-180, 180), st.floats(-20, 20), st.floats(-20, 20)),
    errors,
    points,
)
def test_a_couch_move_puts_the_patient_right(
    position: PatientPosition, at: TableAngles, error: Pose[Fixed, Fixed], isocentre: tuple[float, float, float]
) -> None:
    planned = planned_fixed_from_dicom_at(position, isocentre, at)
    frame = fixed_from_verification(position, (0, 0, 0), at)
    registration = frame.inverse() @ error @ planned
    assert (registration.dst, registration.src) == (DicomPatient, DicomPatient)
    table = TableTopPosition(IEC, 10, 800, -100, at.pitch_deg, at.roll_deg, at.patient_support_angle_deg)
    move = couch_move(registration, frame, planned, table)
    patient = fixed_from_table(move.target) @ fixed_from_table(table).inverse() @ error @ planned
    assert patient.is_close(planned, atol_mm=1e-9, atol_deg=1e-7)


@settings(max_examples=40)
@given(st.floats(-20, 20), st.floats(-20, 20), st.floats(-80, 80), st.sampled_from(LimitMethod))
def test_limited_targets_are_reachable_and_centred(pitch: float, roll: float, psa: float, method: LimitMethod) -> None:
    limits = TravelLimits(
        {
            "lateral": (-900, 900), "longitudinal": (-900, 1900), "vertical": (-900, 900),
            "pitch": (-5, 5), "roll": (-3, 5), "patient_support_angle": (-90, 90),
        }
    )  # fmt: skip
    desired = TableTopPosition(IEC, 5, 900, -150, pitch, roll, psa)
    result = limit_and_recentre(desired, limits, method=method)
    limits.require(result.target)
    point = fixed_from_table(desired).inverse().apply((0, 0, 0))
    np.testing.assert_allclose(fixed_from_table(result.target).apply(point), 0, atol=1e-9)


@given(st.sampled_from(RotatingAxis), turns, turns, st.sampled_from([RotationDirection.CW, RotationDirection.CC]))
def test_travel_ends_where_it_should(
    axis: RotatingAxis, start: float, end: float, direction: RotationDirection
) -> None:
    way = travel_deg(axis, start, end, direction)
    assert 0 < abs(way) <= 360.0 + 1e-6
    sense = axis.clockwise_sign if direction is RotationDirection.CW else -axis.clockwise_sign
    assert math.copysign(1, way) == sense
    assert abs(math.remainder(start + way - end, 360.0)) < 1e-5


@given(turns)
def test_angles_wrap_for_display_only(angle: float) -> None:
    shown = display_angle_deg(angle)
    assert 0.0 <= shown < 360.0
    assert abs(math.remainder(shown - angle, 360.0)) < 1e-9
