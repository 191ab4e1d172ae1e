"""Mistakes that others have made with this geometry, one test each, named after the mistake.

Each test shows that the mistake would be seen: the right way gives the right number, and the wrong way is refused or
gives another one.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from isoalign.geometry import (
    NAMED_SCALES,
    CArmAngles,
    DicomPatient,
    Fixed,
    ImagerAxis,
    InvalidGeometry,
    MatrixDirection,
    MissingProjectionAngle,
    NineParameters,
    NotARotation,
    NotObservable,
    PatientPosition,
    PixelGrid,
    Pose,
    ProjectionGeometry,
    Representation,
    RepresentationMismatch,
    RotatingAxis,
    RotationDirection,
    SingularPosition,
    TableAngles,
    TableTopEccentricity,
    TableTopPosition,
    apply_correction,
    couch_move,
    fixed_from_gantry,
    fixed_from_support,
    fixed_from_table,
    fixed_from_verification,
    fixed_rotation_from_dicom,
    gantry_from_c_arm,
    nearest_rotation,
    observed_in_one_view,
    planned_fixed_from_dicom,
    registration_from_matrix,
    rotation_from_table_angles,
    rotation_x,
    rotation_y,
    rotation_z,
    setup_error,
    table_top_position,
    travel_deg,
    vertical_from_table_height_mm,
    without_eccentric,
)

IEC, ISO, CID = Representation.IEC_61217, Representation.ISOCENTRIC_STANDARD, Representation.DICOM_CID_9569


def apart_deg(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.degrees(Rotation.from_matrix(first @ second.T).magnitude()))


def test_01_order_of_pitch_roll_and_support_angle() -> None:
    """A linac's own matrix tells Z X Y from every other order."""
    scan = np.array(
        [[0.99994191676809, -0.0089995973578, 0.0059304584616], [0.0088951357783, 0.99980884071293, 0.01741145001856]]
    )
    angles = (359.66015625, 359.0023498535156, 0.5097377300262451)  # support, pitch, roll
    to_fixed = fixed_rotation_from_dicom(PatientPosition.HFS)

    def seen(rotation: np.ndarray) -> np.ndarray:
        return (to_fixed.T @ rotation.T @ np.array([[1, 0, 0], [0, 0, -1.0]]).T).T

    assert np.abs(seen(rotation_from_table_angles(TableAngles(*angles))) - scan).max() < 1e-7
    z, x, y = rotation_z(angles[0]), rotation_x(angles[1]), rotation_y(angles[2])
    for other in (z @ y @ x, x @ z @ y, x @ y @ z, y @ x @ z, y @ z @ x):
        assert np.abs(seen(other) - scan).max() > 2e-5


def test_02_centre_of_rotation_is_the_table_origin_not_the_isocentre() -> None:
    """Setting 3 degrees of pitch and keeping the IEC translations moves the isocentre point by 47 mm."""
    level = TableTopPosition(IEC, 0, 900, -150)
    pitched = TableTopPosition(IEC, 0, 900, -150, pitch_deg=3)
    point = fixed_from_table(level).inverse().apply((0, 0, 0))
    assert np.linalg.norm(fixed_from_table(pitched).apply(point)) == pytest.approx(47.8, abs=0.05)
    isocentric = TableTopPosition(ISO, 0, 900, -150, pitch_deg=3)
    np.testing.assert_allclose(fixed_from_table(isocentric).apply(point), 0, atol=1e-9)


def test_03_sign_of_the_couch_when_the_patient_is_the_world() -> None:
    """Seen from the patient the machine turns the other way; in the room the angle counts as it stands."""
    in_the_room = fixed_from_support(30.0)
    np.testing.assert_allclose(in_the_room.apply((1, 0, 0)), (math.cos(math.pi / 6), 0.5, 0), atol=1e-12)
    beam_seen_by_patient = in_the_room.inverse() @ fixed_from_gantry(90.0)
    np.testing.assert_allclose(beam_seen_by_patient.rotation @ (0, 0, 1), (math.cos(math.pi / 6), -0.5, 0), atol=1e-12)


def test_04_angles_near_360_are_small_angles() -> None:
    """A machine stores a pitch of 359.0023: a degree down, neither out of travel nor far from 0."""
    stored = TableTopPosition(IEC, 0, 700, -100, pitch_deg=359.0023)
    small = TableTopPosition(IEC, 0, 700, -100, pitch_deg=-0.9977)
    assert fixed_from_table(stored).is_close(fixed_from_table(small), atol_mm=1e-9, atol_deg=1e-9)
    back = table_top_position(fixed_from_table(stored), near=TableTopPosition(IEC, 0, 0, 0))
    assert back.pitch_deg == pytest.approx(-0.9977)
    assert table_top_position(fixed_from_table(stored), near=stored).pitch_deg == pytest.approx(359.0023)


def test_05_gimbal_lock_is_refused_or_held() -> None:
    """Beyond 85 degrees of pitch support angle and roll trade against each other; libraries invent one of them."""
    near = TableTopPosition(IEC, 1, 2, 3, 88.0, 10.0, 20.0)
    with pytest.raises(SingularPosition):
        table_top_position(fixed_from_table(near))
    assert table_top_position(fixed_from_table(near), near=near).patient_support_angle_deg == 20.0


def test_06_table_height_counts_downwards() -> None:
    assert vertical_from_table_height_mm(132.83267115081) == -132.83267115081


def test_07_an_empty_translation_is_not_zero() -> None:
    """A plan may leave the table empty, which means relative to an unknown start; no number stands for that here."""
    with pytest.raises((InvalidGeometry, TypeError)):
        TableTopPosition(IEC, None, 700, -100)  # type: ignore[arg-type]
    with pytest.raises(InvalidGeometry, match="lateral"):
        TableTopPosition(IEC, math.nan, 700, -100)


def test_08_c_arm_angles_are_those_of_the_detector() -> None:
    """Primary 0 has the detector before the chest, so the source is below: gantry 180."""
    direction = gantry_from_c_arm(CArmAngles(0.0, 0.0), PatientPosition.HFS, held_gantry_angle_deg=180.0)
    assert direction.gantry_angle_deg == pytest.approx(180.0)
    np.testing.assert_allclose(direction.source_direction, (0, 0, -1), atol=1e-12)


def test_09_image_columns_run_along_minus_y_of_the_receptor() -> None:
    grid = PixelGrid.centred(100, 100, 1.0)
    below, above = grid.receptor_points_mm([(50, 60), (50, 40)])
    assert below[1] < 0 < above[1]
    geometry = ProjectionGeometry.from_axis(ImagerAxis(0.0, 1000.0, 1500.0), grid)
    towards_gantry, away = geometry.project([(0, 20, 0), (0, -20, 0)])
    assert towards_gantry[1] < away[1], "what is nearer to the gantry is higher in an image from above"


def test_10_receptor_z_is_negative_beyond_the_isocentre() -> None:
    axis = ImagerAxis(0.0, 1000.0, 1500.0)
    assert axis.gantry_from_receptor().translation_mm[2] == -500.0
    assert (axis.fixed_from_gantry() @ axis.gantry_from_receptor()).translation_mm[2] == -500.0


def test_11_projection_offsets_are_measured_along_rotated_axes() -> None:
    axis = ImagerAxis(0.0, 1000.0, 1500.0, (30.0, 0.0), 90.0)
    parameters = NineParameters.from_axis(axis)
    assert parameters.projection_offset_x_mm == pytest.approx(0.0, abs=1e-12)
    assert parameters.projection_offset_y_mm == pytest.approx(-30.0)


def test_12_couch_angles_of_other_scales_run_the_other_way() -> None:
    for name, shown in (("varian-iec", 350.0), ("elekta-iec", 350.0), ("varian-standard", 170.0)):
        assert float(NAMED_SCALES[name].angle_reading("patient_support_angle", 10.0)) == shown


def test_13_metres_and_millimetres_and_radians() -> None:
    """What cannot be right by its size is refused; what could be is asked for by the unit in its name."""
    with pytest.raises(InvalidGeometry, match="10000 mm"):
        TableTopPosition(IEC, 0, 12_000_000.0, 0)
    for name in ("lateral_mm", "longitudinal_mm", "vertical_mm", "pitch_deg", "roll_deg", "patient_support_angle_deg"):
        assert name in TableTopPosition.__slots__


def test_14_prone_and_decubitus_are_rotations_without_sign_tricks() -> None:
    """Every position is a proper rotation; changing the sign of one axis, as some do for prone, is not."""
    supine = fixed_rotation_from_dicom(PatientPosition.HFS)
    for position in PatientPosition:
        assert np.linalg.det(fixed_rotation_from_dicom(position)) == pytest.approx(1.0)
    flipped = supine * np.array([[1], [1], [-1]])
    with pytest.raises(NotARotation):
        Pose(Fixed, DicomPatient, flipped)


def test_15_an_eccentric_stage_cannot_be_forgotten() -> None:
    """A position has no place for it: it has to be folded into the other axes, and then the table stands elsewhere."""
    position = TableTopPosition(IEC, 0, 700, -100)
    folded = without_eccentric(position, TableTopEccentricity(400.0, 20.0))
    assert np.linalg.norm(fixed_from_table(folded).translation_mm - fixed_from_table(position).translation_mm) > 100


def test_16_the_worked_example_of_the_standard_is_not_followed() -> None:
    """A table with its origin 100 mm from the isocentre, pitched by +5 degrees about that: the origin must rise."""
    tilted = TableTopPosition(ISO, 0, 100, 0, pitch_deg=5.0).in_representation(IEC)
    np.testing.assert_allclose(tilted.values[:3], (0, 99.619470, +8.715574), atol=1e-6)


def test_17_rotations_are_active() -> None:
    """A pose moves points; a passive matrix would be the transpose."""
    assert Pose(Fixed, Fixed, rotation_z(90.0)).apply((1, 0, 0)) == pytest.approx((0, 1, 0), abs=1e-12)


def test_18_a_registration_matrix_has_a_direction() -> None:
    matrix = np.eye(4)
    matrix[:3, 3] = (5, 0, 0)
    targets = []
    for direction in MatrixDirection:
        registration, _ = registration_from_matrix(matrix, direction)
        move = couch_move(
            registration,
            fixed_from_verification(PatientPosition.HFS, (0, 0, 0)),
            planned_fixed_from_dicom(PatientPosition.HFS, (0, 0, 0)),
            TableTopPosition(IEC, 0, 700, -100),
        )
        targets.append(move.target.lateral_mm)
    assert targets == pytest.approx([-5.0, 5.0])


def test_19_angles_of_two_rotations_do_not_add() -> None:
    """At a support angle of 45 degrees a correction of 0.5, 1, -1 added axis by axis is a degree wrong."""
    start = TableTopPosition(IEC, 0, 900, -150, 0, 0, 45)
    correction = setup_error(0, 0, 0, 0.5, 1.0, -1.0)
    added = TableTopPosition(IEC, 0, 900, -150, 0.5, 1.0, 44.0)
    true = apply_correction(start, correction)
    assert apart_deg(fixed_from_table(true).rotation, correction.rotation @ fixed_from_table(start).rotation) < 1e-6
    assert apart_deg(fixed_from_table(true).rotation, fixed_from_table(added).rotation) > 0.5


def test_20_gantry_pitch_comes_after_the_gantry_angle() -> None:
    """The standard does not say; a C-arm at primary 40, secondary 35 is 10 degrees off in the other order."""
    ours = fixed_from_gantry(40.0, 35.0).rotation @ (0, 0, 1)
    other = rotation_x(35.0) @ rotation_y(40.0) @ (0, 0, 1)
    assert math.degrees(math.acos(float(np.clip(ours @ other, -1, 1)))) > 9.0
    detector = CArmAngles(40.0, 35.0).detector_direction
    turned = fixed_rotation_from_dicom(PatientPosition.HFS) @ -detector
    np.testing.assert_allclose(fixed_from_gantry(220.0, 35.0).rotation @ (0, 0, 1), turned, atol=1e-12)


def test_21_what_an_image_does_not_tell_is_not_zero() -> None:
    seen = observed_in_one_view(setup_error(1, 2, 3, 0.5, 0.5, 0.5), (0, 0, -1))
    assert seen.vertical_mm is None
    with pytest.raises(NotObservable):
        seen.require("vertical_mm")


def test_22_printed_matrices_are_projected_and_the_distance_told() -> None:
    printed = np.round(rotation_from_table_angles(TableAngles(10.0, -3.0, 2.0)), 6)
    with pytest.raises(NotARotation):
        Pose(Fixed, Fixed, printed)
    rotation, distance = nearest_rotation(printed)
    assert 0 < distance < 3e-6
    Pose(Fixed, Fixed, rotation)


def test_23_a_frame_of_reference_has_an_origin_that_must_be_stated() -> None:
    """On some machines the isocentre is the origin of the day's images, on others not: it is an argument."""
    at_origin = fixed_from_verification(PatientPosition.HFS, (0, 0, 0))
    elsewhere = fixed_from_verification(PatientPosition.HFS, (2.5, 0, -1.0))
    np.testing.assert_allclose(elsewhere.apply((2.5, 0, -1.0)), 0, atol=1e-12)
    assert not at_origin.is_close(elsewhere, atol_mm=1.0)
    with pytest.raises(TypeError):
        fixed_from_verification(PatientPosition.HFS)  # type: ignore[call-arg]


def test_24_the_placeholder_for_an_unknown_angle_is_no_angle() -> None:
    with pytest.raises(MissingProjectionAngle):
        NineParameters(1000.0, 1500.0, 6000.0)
    assert NineParameters(1000.0, 1500.0, 6000.5).gantry_angle_deg == 6000.5


def test_25_180_and_minus_180_are_the_same_place() -> None:
    """Which of them a bipolar read-out shows must not matter; a direction says which way round."""
    iba = NAMED_SCALES["iba"].axes["pitch"]
    assert float(iba.value(180.0)) == float(iba.value(-180.0)) == 180.0
    assert travel_deg(RotatingAxis.TABLE_TOP_PITCH, 180.0, -180.0, RotationDirection.NONE) == 0.0
    one, other = (TableTopPosition(IEC, 0, 0, 0, 0, 0, angle) for angle in (180.0, -180.0))
    assert fixed_from_table(one).is_close(fixed_from_table(other), atol_deg=1e-9)


def test_isocentric_sets_of_different_sources_are_kept_apart() -> None:
    position = TableTopPosition(CID, 1, 2, 3, 4, 5, 6)
    for wanted in (IEC, ISO):
        with pytest.raises(RepresentationMismatch, match="CID 9569"):
            position.in_representation(wanted)
    assert position.declared_as(ISO).values == position.values
