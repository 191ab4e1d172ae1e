"""Numbers that others have published or machines have made, recomputed by the kernel.

Only numbers are taken over. Where a source states no tolerance, half a unit of its last printed digit is used.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from isoalign.geometry import (
    NAMED_SCALES,
    BeamLimitingDevice,
    DicomPatient,
    Fixed,
    PatientPosition,
    Pose,
    Representation,
    RotatingAxis,
    RotationDirection,
    TableAngles,
    TableTopEccentricity,
    TableTopPosition,
    apply_correction,
    eccentric_from_table,
    fixed_from_gantry,
    fixed_from_support,
    fixed_rotation_from_dicom,
    gantry_from_beam_limiting_device,
    iec_to_isocentric,
    planned_fixed_from_dicom_at,
    residual_of,
    rotation_from_table_angles,
    setup_error,
    support_from_eccentric,
    support_from_table,
    travel_deg,
)

IEC = Representation.IEC_61217
ISO = Representation.ISOCENTRIC_STANDARD

ZXY = [  # psa, pitch, roll; matrix.  Intrinsic "312" rotations in the tests of scipy
    ((30, 60, 45), [[0.3061862, -0.25, 0.9185587], [0.8838835, 0.4330127, -0.1767767],
                    [-0.3535534, 0.8660254, 0.3535534]]),
    ((30, 60, 30), [[0.5334936, -0.25, 0.8080127], [0.8080127, 0.4330127, -0.3995191], [-0.25, 0.8660254, 0.4330127]]),
    ((45, 30, 60), [[0.0473672, -0.6123725, 0.7891491], [0.6597396, 0.6123725, 0.4355958], [-0.75, 0.5, 0.4330127]]),
]  # fmt: skip


@pytest.mark.parametrize(("angles", "matrix"), ZXY)
def test_order_of_the_table_angles(angles: tuple[float, float, float], matrix: list[list[float]]) -> None:
    np.testing.assert_allclose(rotation_from_table_angles(TableAngles(*angles)), matrix, atol=1e-7)


RAS_FROM_FIXED = np.array([[-1.0, 0, 0], [0, 0, 1], [0, 1, 0]])
S, C = 0.0174524, 0.999848
COLLIMATOR_TO_RAS = [  # gantry, collimator, couch; rotation from collimator to RAS.  SlicerRT, test of its beams module
    ((0, 0, 0), [[-1, 0, 0], [0, 0, 1], [0, 1, 0]]),
    ((-1, 0, 0), [[-C, 0, S], [S, 0, C], [0, 1, 0]]),
    ((1, 0, 0), [[-C, 0, -S], [-S, 0, C], [0, 1, 0]]),
    ((-90, 0, 0), [[0, 0, 1], [1, 0, 0], [0, 1, 0]]),
    ((90, 0, 0), [[0, 0, -1], [-1, 0, 0], [0, 1, 0]]),
    ((90, -1, 0), [[0, 0, -1], [-C, -S, 0], [-S, C, 0]]),
    ((90, 1, 0), [[0, 0, -1], [-C, S, 0], [S, C, 0]]),
    ((90, -90, 0), [[0, 0, -1], [0, -1, 0], [-1, 0, 0]]),
    ((90, 90, 0), [[0, 0, -1], [0, 1, 0], [1, 0, 0]]),
    ((90, 90, -1), [[S, 0, -C], [0, 1, 0], [C, 0, S]]),
    ((90, 90, 1), [[-S, 0, -C], [0, 1, 0], [C, 0, -S]]),
    ((90, 90, -90), [[1, 0, 0], [0, 1, 0], [0, 0, 1]]),
    ((90, 90, 90), [[-1, 0, 0], [0, 1, 0], [0, 0, -1]]),
]


@pytest.mark.parametrize(("angles", "matrix"), COLLIMATOR_TO_RAS)
def test_beam_in_the_frame_of_the_patient(angles: tuple[float, float, float], matrix: list[list[float]]) -> None:
    """There the patient is the world, so the couch turns the machine the other way: the inverse of its own angle."""
    gantry, collimator, couch = angles
    support_from_collimator = (
        fixed_from_support(couch).inverse() @ fixed_from_gantry(gantry) @ gantry_from_beam_limiting_device(collimator)
    )
    assert support_from_collimator.src is BeamLimitingDevice
    np.testing.assert_allclose(RAS_FROM_FIXED @ support_from_collimator.rotation, matrix, atol=5e-7)


def y_turn(c: float, s: float) -> list[list[float]]:
    return [[c, 0, s], [0, 1, 0], [-s, 0, c]]


def z_turn(c: float, s: float) -> list[list[float]]:
    return [[c, -s, 0], [s, c, 0], [0, 0, 1]]


ANGLES = [(-1, C, -S), (1, C, S), (-90, 0, -1), (90, 0, 1)]


@pytest.mark.parametrize(("angle", "c", "s"), ANGLES)
def test_edges_of_a_room_view(angle: float, c: float, s: float) -> None:
    """SlicerRT, test of its room's eye view; its support edge is stored with the angle negated."""
    np.testing.assert_allclose(fixed_from_gantry(angle).rotation, y_turn(c, s), atol=5e-7)
    np.testing.assert_allclose(gantry_from_beam_limiting_device(angle).rotation, z_turn(c, s), atol=5e-7)
    np.testing.assert_allclose(fixed_from_support(-angle).rotation, z_turn(c, -s), atol=5e-7)


TRANSLATIONS = [
    *((0, 0, vertical) for vertical in (1, -1, 299, -500)),
    *((0, longitudinal, 0) for longitudinal in (1, -1, 90, 1000)),
    *((lateral, 0, 0) for lateral in (1, 230, -230)),
]


@pytest.mark.parametrize("translation", TRANSLATIONS)
def test_table_edges_of_a_room_view(translation: tuple[float, float, float]) -> None:
    matrix = np.eye(4)
    matrix[:3, 3] = translation
    np.testing.assert_array_equal(eccentric_from_table(TableTopPosition(IEC, *translation)).matrix, matrix)
    np.testing.assert_array_equal(support_from_table(TableTopPosition(IEC, *translation)).matrix, matrix)


A45 = math.sqrt(0.5)
BEAM_IN_LPS = [  # gantry, couch; what a beam frame with LPS axes becomes.  pyRadPlan, tests of its LPS module
    ((0, 0), np.eye(3)),
    ((90, 0), [[0, -1, 0], [1, 0, 0], [0, 0, 1]]),
    ((180, 0), [[-1, 0, 0], [0, -1, 0], [0, 0, 1]]),
    ((0, 90), [[0, 0, 1], [0, 1, 0], [-1, 0, 0]]),
    ((0, 180), [[-1, 0, 0], [0, 1, 0], [0, 0, -1]]),
    ((90, 45), [[0, -A45, A45], [1, 0, 0], [0, A45, A45]]),
    ((45, 90), [[0, 0, 1], [A45, A45, 0], [-A45, A45, 0]]),
]


@pytest.mark.parametrize(("angles", "matrix"), BEAM_IN_LPS)
def test_beam_in_dicom_axes(angles: tuple[float, float], matrix: list[list[float]]) -> None:
    gantry, couch = angles
    to_fixed = fixed_rotation_from_dicom(PatientPosition.HFS)
    seen = to_fixed.T @ fixed_from_support(couch).rotation.T @ fixed_from_gantry(gantry).rotation @ to_fixed
    np.testing.assert_allclose(seen, matrix, atol=1e-6)


def test_active_rotation_of_a_point() -> None:
    """pymedphys prints both results for 197 degrees about an oblique axis; ours is the active one."""
    axis = np.array([41.0, -97.0, 61.0])
    axis /= np.linalg.norm(axis)
    angle = math.radians(197.0)
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    rotation = np.eye(3) + math.sin(angle) * cross + (1 - math.cos(angle)) * cross @ cross
    turned = Pose(Fixed, Fixed, rotation)
    np.testing.assert_allclose(turned.apply((13.0, 29.0, -17.0)), (-30.106782, 11.185686, -16.354268), atol=5e-7)
    np.testing.assert_allclose(turned.inverse().apply((13, 29, -17.0)), (-30.683355, 18.344803, -4.582567), atol=5e-7)


SCALE_INPUT = [-270, -180, -5, 0, 5, 180, 270, 365]


@pytest.mark.parametrize(
    ("scale", "axis", "shown"),
    [
        ("varian-iec", "patient_support_angle", [270, 180, 5, 0, 355, 180, 90, 355]),
        ("elekta-iec", "patient_support_angle", [270, 180, 5, 0, 355, 180, 90, 355]),
        ("varian-standard", "patient_support_angle", [90, 0, 185, 180, 175, 0, 270, 175]),
        ("varian-standard", "gantry_angle", [90, 0, 185, 180, 175, 0, 270, 175]),
        ("varian-standard", "beam_limiting_device_angle", [90, 0, 185, 180, 175, 0, 270, 175]),
        ("varian-iec", "gantry_angle", [90, 180, 355, 0, 5, 180, 270, 5]),
    ],
)
def test_rotations_on_machine_scales(scale: str, axis: str, shown: list[float]) -> None:
    """The tests of pylinac's scale tables."""
    np.testing.assert_allclose(NAMED_SCALES[scale].angle_reading(axis, SCALE_INPUT), shown, atol=1e-12)


@pytest.mark.parametrize(("gantry", "psa"), [(90.0, 270.0), (270.0, 90.0)])
def test_a_sitting_patient_looks_into_the_beam(gantry: float, psa: float) -> None:
    """DICOM PS3.3 C.8.8.25.6.3 gives these two pairs of angles; they fix the sign of the patient support angle."""
    planned = planned_fixed_from_dicom_at(PatientPosition.SITTING, (0, 0, 0), TableAngles(psa, 0.0, 0.0))
    looks = planned.rotation @ (0.0, -1.0, 0.0)
    source = fixed_from_gantry(gantry).rotation @ (0.0, 0.0, 1.0)
    np.testing.assert_allclose(looks, source, atol=1e-12)


@pytest.mark.parametrize(
    ("axis", "start", "end", "direction", "way"),
    [
        (RotatingAxis.GANTRY, 5, 5, RotationDirection.NONE, 0),
        (RotatingAxis.GANTRY, 5, 5, RotationDirection.CW, 360),
        (RotatingAxis.PATIENT_SUPPORT, 170, 160, RotationDirection.CC, 350),
    ],
)
def test_travel_with_a_direction(
    axis: RotatingAxis, start: float, end: float, direction: RotationDirection, way: float
) -> None:
    """The examples of DICOM PS3.3 C.8.8.14.8."""
    assert travel_deg(axis, start, end, direction) == pytest.approx(way)


@pytest.mark.parametrize(
    ("left", "towards_gantry", "up", "shift"),
    [(1, 0, 0, (1, 0, 0)), (0, 1, 0, (0, -1, 0)), (0, 0, 1, (0, 0, -1))],
)
def test_shift_that_brings_a_ball_to_the_isocentre(
    left: float, towards_gantry: float, up: float, shift: tuple[float, float, float]
) -> None:
    """Pylinac's Winston-Lutz tests: left, in and up as seen by somebody who faces the gantry."""
    start = TableTopPosition(IEC, 0, 900, -150)
    error = setup_error(-left, towards_gantry, up, 0, 0, 0)
    moved = apply_correction(start, error.inverse())
    np.testing.assert_allclose(np.subtract(moved.values, start.values)[:3], shift, atol=1e-12)


SINE, COSINE = math.sin(math.radians(5.0)), math.cos(math.radians(5.0))
BALLS = [  # (left, up, in) of three balls as planned and as they are, turn that puts them right.  Pylinac, multi-target
    ([(0, 0, 0), (0, 0, -30), (0, 40, 0)], [(0, 0, 0), (1, 0, -30), (0, 40, 0)], "patient_support_angle_deg", 1.9),
    # planted exactly; pylinac finds 5.2 in its images, to within 0.1 degrees
    ([(0, 0, 0), (0, 0, 40), (0, 30, -30)], [(0, 0, 0), (0, 0, 40), (30 * SINE, 30 * COSINE, -30)], "roll_deg", 5.0),
]


@pytest.mark.parametrize(("planned", "actual", "angle", "turn"), BALLS)
def test_turn_that_brings_three_balls_back(planned: list, actual: list, angle: str, turn: float) -> None:
    """The rigid map between both is fitted by scipy; the kernel says what the table has to turn."""
    fixed = [
        np.array([(-left, towards_gantry, up) for left, up, towards_gantry in balls]) for balls in (planned, actual)
    ]
    middles = [balls.mean(axis=0) for balls in fixed]
    fitted, _ = Rotation.align_vectors(fixed[1] - middles[1], fixed[0] - middles[0])
    error = Pose(Fixed, Fixed, fitted.as_matrix(), middles[1] - fitted.apply(middles[0]))
    correction = residual_of(error.inverse())
    assert getattr(correction, angle) == pytest.approx(turn, abs=0.1)
    others = {"pitch_deg", "roll_deg", "patient_support_angle_deg"} - {angle}
    assert all(abs(getattr(correction, other)) < 0.1 for other in others)


def test_conversion_at_the_pose_of_a_machine_made_scan() -> None:
    """The table of a linac's cone-beam CT, Table Height turned into a vertical position."""
    iso = iec_to_isocentric(-19.194035945886, 404.540597694848, -132.83267115081, 359.0023498535156, 0.5097377300262451)
    np.testing.assert_allclose(iso, (-18.074375151, 406.792076189, -125.934699098), atol=5e-10)


def test_whole_chain_with_an_eccentric_stage() -> None:
    eccentricity = TableTopEccentricity(400.0, -30.0)
    fixed_from_table = (
        fixed_from_support(30.0)
        @ support_from_eccentric(eccentricity)
        @ eccentric_from_table(TableTopPosition(IEC, 10, -250, -120, 2, -1, 0))
    )
    np.testing.assert_allclose(fixed_from_table.translation_mm, (-190, 96.410162, -120), atol=5e-7)
    np.testing.assert_allclose(fixed_from_table.apply((100, 200, 50)), (-90.887851, 294.48271, -61.313992), atol=5e-6)


def test_dicom_axes_of_a_head_first_supine_patient() -> None:
    """X left stays X; superior points to the gantry; anterior points up."""
    pose = Pose(Fixed, DicomPatient, fixed_rotation_from_dicom(PatientPosition.HFS))
    np.testing.assert_array_equal(pose.apply(np.eye(3)), [[1, 0, 0], [0, 0, -1], [0, 1, 0]])
