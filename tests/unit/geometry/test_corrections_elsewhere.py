"""Corrections about other points, at other isocentres, of single views, and from registrations."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from isoalign.geometry import (
    CouchMove,
    DicomPatient,
    Fixed,
    FrameMismatch,
    InvalidGeometry,
    IsocentreTooFar,
    MatrixDirection,
    NotARotation,
    NotObservable,
    PatientPosition,
    Pose,
    Representation,
    TableAngles,
    TableTopPosition,
    apply_correction,
    correction_at_isocentre,
    couch_move,
    fixed_from_table,
    fixed_from_verification,
    fixed_rotation_from_dicom,
    observed_completely,
    observed_in_one_view,
    planned_fixed_from_dicom_at,
    registration_from_matrix,
    residual_of,
    rigid_about,
    rotation_x,
    rotation_z,
    setup_error,
)

IEC = Representation.IEC_61217
ERROR = setup_error(4, -7, 9, 2.0, -1.5, 2.5)


def test_turn_about_a_point_leaves_it_in_place() -> None:
    turned = rigid_about((10, 20, 30), rotation_z(90))
    np.testing.assert_allclose(turned.apply((10, 20, 30)), (10, 20, 30), atol=1e-12)
    np.testing.assert_allclose(turned.apply((11, 20, 30)), (10, 21, 30), atol=1e-12)
    shifted = rigid_about((10, 20, 30), rotation_x(5), (1, 2, 3))
    np.testing.assert_allclose(shifted.apply((10, 20, 30)), (11, 22, 33), atol=1e-12)


def test_greatest_displacement_is_that_of_the_worst_point() -> None:
    """Against many points on the sphere; the bound is reached, not only kept."""
    rng = np.random.default_rng(2)
    points = rng.normal(size=(200_000, 3))
    points *= 80.0 / np.linalg.norm(points, axis=1, keepdims=True)
    for error in (ERROR, setup_error(0, 0, 0, 3, 0, 0), setup_error(1, 2, 3, 0, 0, 0), ERROR.inverse()):
        worst = np.linalg.norm(error.apply(points) - points, axis=1).max()
        said = residual_of(error).greatest_displacement_mm(80.0)
        assert worst <= said + 1e-9
        assert said <= worst * 1.001
    assert residual_of(ERROR).greatest_displacement_mm(0.0) == pytest.approx(residual_of(ERROR).distance_mm)
    with pytest.raises(InvalidGeometry, match="radius"):
        residual_of(ERROR).greatest_displacement_mm(-1.0)


def test_correction_of_one_isocentre_at_another() -> None:
    """Played through with points: the table goes to the second isocentre; the correction there puts all right."""
    offset = np.array([12.0, -30.0, 8.0])
    points = np.array(
        [[0.0, 0, 0], [50, 10, -20], [-30, 60, 5]]
    )  # the patient as planned, first isocentre at the machine's
    lying = ERROR.apply(points) - offset  # wrong by the error, and moved so that the second isocentre should be there
    correction = correction_at_isocentre(ERROR.inverse(), offset, within_mm=50.0)
    np.testing.assert_allclose(correction.apply(lying), points - offset, atol=1e-9)
    naive = ERROR.inverse().apply(lying) - (points - offset)
    assert np.linalg.norm(naive, axis=1).min() > 1.0, "the correction as it was found would be wrong there"


def test_an_isocentre_beyond_the_configured_distance_is_refused() -> None:
    with pytest.raises(IsocentreTooFar, match=r"50\.0 mm apart.*within 49\.9") as caught:
        correction_at_isocentre(ERROR, (30, 40, 0), within_mm=49.9)
    assert caught.value.facts == {"distance_mm": 50.0, "within_mm": 49.9}
    correction_at_isocentre(ERROR, (30, 40, 0), within_mm=50.0)
    for within in (float("nan"), -1.0, float("inf")):
        with pytest.raises(InvalidGeometry):
            correction_at_isocentre(ERROR, (0, 0, 0), within_mm=within)
    with pytest.raises(InvalidGeometry):
        correction_at_isocentre(ERROR, (0, np.nan, 0), within_mm=10.0)


ONE_VIEW = [  # beam direction, shifts and turns that are told.  Typed by hand
    ((0, 0, -1), {"lateral_mm", "longitudinal_mm", "yaw_deg"}),
    ((0, 0, 3), {"lateral_mm", "longitudinal_mm", "yaw_deg"}),
    ((-1, 0, 0), {"longitudinal_mm", "vertical_mm", "pitch_deg"}),
    ((0, 1, 0), {"lateral_mm", "vertical_mm", "roll_deg"}),
    ((0.05, 0, -1), {"longitudinal_mm"}),
    ((1, 0, -1), {"longitudinal_mm"}),
    ((1, 1, -1), set()),
]


@pytest.mark.parametrize(("beam", "told"), ONE_VIEW)
def test_one_view_tells_a_part_and_the_rest_is_not_zero(beam: tuple, told: set[str]) -> None:
    full = observed_completely(ERROR)
    seen = observed_in_one_view(ERROR, beam)
    assert set(seen.not_available).isdisjoint(told)
    assert len(seen.not_available) == 6 - len(told)
    for name in told:
        assert getattr(seen, name) == getattr(full, name)
    for name in seen.not_available:
        assert getattr(seen, name) is None
        with pytest.raises(NotObservable, match=name):
            seen.require(name)
    assert seen.require(*sorted(told)) == tuple(getattr(full, name) for name in sorted(told))
    assert full.not_available == ()


def test_a_beam_without_direction_is_refused() -> None:
    for beam in ((0, 0, 0), (1, np.nan, 0), (1, 0)):
        with pytest.raises(InvalidGeometry):
            observed_in_one_view(ERROR, beam)


POSITIONS = list(PatientPosition)
COUCH_ANGLES = [(0, 0, 0), (30, 2, -1), (-75, -3, 2.5), (90, 0, 0)]


def planted_move(position: PatientPosition, angles: TableAngles, direction: MatrixDirection) -> tuple[CouchMove, Pose]:
    """A patient who lies wrong by ERROR in the room, as a registration would tell it; built with plain matrices."""
    planning_isocentre, verification_isocentre = np.array([11.0, -170.0, 35.0]), np.array([1.5, -2.0, 0.5])
    turn = Rotation.from_euler(
        "ZXY", [angles.patient_support_angle_deg, angles.pitch_deg, angles.roll_deg], degrees=True
    ).as_matrix()
    room_from_axes = turn @ fixed_rotation_from_dicom(position)
    actual = ERROR.matrix @ affine(room_from_axes, -room_from_axes @ planning_isocentre)
    frame = affine(room_from_axes, -room_from_axes @ verification_isocentre)
    matrix = np.linalg.inv(frame) @ actual
    if direction is MatrixDirection.PLANNING_FROM_VERIFICATION:
        matrix = np.linalg.inv(matrix)
    registration, distance = registration_from_matrix(matrix, direction)
    assert distance < 1e-9
    start = TableTopPosition(IEC, 12, 700, -120, angles.pitch_deg, angles.roll_deg, angles.patient_support_angle_deg)
    move = couch_move(
        registration,
        fixed_from_verification(position, verification_isocentre, angles),
        planned_fixed_from_dicom_at(position, planning_isocentre, angles),
        start.in_representation(Representation.ISOCENTRIC_STANDARD),
    )
    return move, Pose(Fixed, DicomPatient, actual[:3, :3], actual[:3, 3])


def affine(rotation: np.ndarray, translation: np.ndarray) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = rotation, translation
    return matrix


@pytest.mark.parametrize("angles", COUCH_ANGLES)
@pytest.mark.parametrize("position", POSITIONS)
def test_registration_becomes_a_couch_move_for_every_position_and_angle(
    position: PatientPosition, angles: tuple[float, float, float]
) -> None:
    table = TableAngles(*map(float, angles))
    move, actual = planted_move(position, table, MatrixDirection.VERIFICATION_FROM_PLANNING)
    assert move.error.distance_mm == pytest.approx(residual_of(ERROR).distance_mm, abs=1e-9)
    # the patient moves with the table top; afterwards every point is where it was planned
    moved = fixed_from_table(move.target) @ fixed_from_table(move.start).inverse() @ actual
    planned = planned_fixed_from_dicom_at(position, (11.0, -170.0, 35.0), table)
    assert moved.is_close(planned, atol_mm=1e-9, atol_deg=1e-7)
    assert move.start.representation is IEC


def test_the_other_direction_of_the_matrix_is_the_inverse() -> None:
    table = TableAngles(20.0, 1.0, -2.0)
    one, _ = planted_move(PatientPosition.HFS, table, MatrixDirection.VERIFICATION_FROM_PLANNING)
    other, _ = planted_move(PatientPosition.HFS, table, MatrixDirection.PLANNING_FROM_VERIFICATION)
    np.testing.assert_allclose(one.target.values, other.target.values, atol=1e-9)
    # taken the wrong way round, the patient would end twice as wrong
    matrix = affine(rotation_z(3), np.array([5.0, 0, 0]))
    right, _ = registration_from_matrix(matrix, MatrixDirection.VERIFICATION_FROM_PLANNING)
    wrong, _ = registration_from_matrix(matrix, MatrixDirection.PLANNING_FROM_VERIFICATION)
    assert (right @ wrong).is_close(Pose.identity(DicomPatient, DicomPatient))


def test_target_angles_are_continuous_with_the_start() -> None:
    start = TableTopPosition(IEC, 12, 700, -120, 359.5, -0.5, 725.0)
    moved = apply_correction(start, setup_error(0, 0, 0, 1, 1, 1))
    assert abs(moved.pitch_deg - 359.5) < 3
    assert abs(moved.patient_support_angle_deg - 725.0) < 3


def test_matrices_that_are_no_registration_are_refused() -> None:
    direction = MatrixDirection.VERIFICATION_FROM_PLANNING
    rounded = affine(np.round(rotation_z(12.3), 6), np.zeros(3))
    assert 0 < registration_from_matrix(rounded, direction)[1] < 2e-6
    for matrix, kind in (
        (affine(1.01 * np.eye(3), np.zeros(3)), NotARotation),
        (affine(np.diag([1, 1, -1.0]), np.zeros(3)), NotARotation),
        (np.eye(3), InvalidGeometry),
        (np.full((4, 4), np.nan), InvalidGeometry),
        (np.eye(4) + np.eye(4, k=-3), InvalidGeometry),
    ):
        with pytest.raises(kind):
            registration_from_matrix(matrix, direction)


def test_frames_and_isocentres_of_a_move_are_checked() -> None:
    identity = Pose.identity(DicomPatient, DicomPatient)
    frame = fixed_from_verification(PatientPosition.HFS, (0, 0, 0))
    with pytest.raises(FrameMismatch):
        couch_move(identity, frame, Pose.identity(Fixed, Fixed), TableTopPosition(IEC, 0, 0, 0))  # type: ignore[arg-type]
    with pytest.raises(InvalidGeometry, match="isocentre"):
        fixed_from_verification(PatientPosition.HFS, (0, 0))
