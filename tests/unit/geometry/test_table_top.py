"""Table-top representations against signs typed by hand, printed formulas and device-made matrices."""

from __future__ import annotations

import math

import numpy as np
import pytest

from isoalign.geometry import (
    Fixed,
    InvalidGeometry,
    PatientPosition,
    Pose,
    Representation,
    RepresentationMismatch,
    SingularPosition,
    TableTop,
    TableTopPosition,
    fixed_from_table,
    fixed_rotation_from_dicom,
    iec_to_isocentric,
    isocentric_to_iec,
    nearest_rotation,
    rotation_from_table_angles,
    support_from_table,
    table_angles_from_rotation,
    table_top_position,
)

IEC = Representation.IEC_61217
ISO = Representation.ISOCENTRIC_STANDARD
AXIS = {"+X": (1, 0, 0), "-X": (-1, 0, 0), "+Y": (0, 1, 0), "-Y": (0, -1, 0), "+Z": (0, 0, 1), "-Z": (0, 0, -1)}

SIGNS = [  # +90 degrees of this, moves this table axis, towards.  IEC 61217, typed by hand
    ("pitch_deg", "+Y", "+Z"),
    ("pitch_deg", "+Z", "-Y"),
    ("roll_deg", "+X", "-Z"),
    ("roll_deg", "+Z", "+X"),
    ("patient_support_angle_deg", "+X", "+Y"),
    ("patient_support_angle_deg", "+Y", "-X"),
]


@pytest.mark.parametrize(("angle", "axis", "towards"), SIGNS)
def test_positive_angles_turn_the_way_the_standard_says(angle: str, axis: str, towards: str) -> None:
    position = TableTopPosition(IEC, 0, 0, 0, **{angle: 90.0})
    np.testing.assert_allclose(fixed_from_table(position).rotation @ AXIS[axis], AXIS[towards], atol=1e-15)


@pytest.mark.parametrize(
    ("psa", "translation", "room"),
    [
        (0.0, (1, 0, 0), (1, 0, 0)),
        (0.0, (0, 1, 0), (0, 1, 0)),
        (0.0, (0, 0, 1), (0, 0, 1)),
        (90.0, (1, 0, 0), (0, 1, 0)),
        (90.0, (0, 1, 0), (-1, 0, 0)),
    ],
)
def test_translations_run_along_the_support_axes(psa: float, translation: tuple[float, ...], room: tuple) -> None:
    position = TableTopPosition(IEC, *translation, patient_support_angle_deg=psa)
    np.testing.assert_allclose(fixed_from_table(position).translation_mm, room, atol=1e-15)


VECTORS = [  # IEC lateral, longitudinal, vertical, pitch, roll -> Isocentric Standard lateral, longitudinal, vertical
    ((0, 100, 0, 5, 0), (0, 99.619469809, -8.715574275)),
    ((100, 0, 0, 0, 3), (99.862953475, 0, 5.233595624)),
    ((0, 0, -150, 3, 3), (7.839634745, -7.850393436, -149.589142153)),
    ((25, 1200, -180, -2.5, 1.75), (28.881554802, 1206.709355624, -126.66249185)),
    ((123.4, -567.8, 90.1, 15, -20), (195.986463488, -525.133088203, 177.670919972)),
    ((1, 2, 3, 90, 0), (1, 3, -2)),
    ((1, 2, 3, 0, 90), (-3, 2, 1)),
    ((1, 2, 3, 90, 90), (2, 3, 1)),
]


@pytest.mark.parametrize(("iec", "expected"), VECTORS)
def test_conversion_to_isocentric_standard(iec: tuple[float, ...], expected: tuple[float, ...]) -> None:
    position = TableTopPosition(IEC, *iec).in_representation(ISO)
    np.testing.assert_allclose(position.translation_mm, expected, atol=1e-9)
    assert position.angles == TableTopPosition(IEC, *iec).angles


@pytest.mark.parametrize(("iec", "iso"), VECTORS)
def test_conversion_back_to_iec(iec: tuple[float, ...], iso: tuple[float, ...]) -> None:
    position = TableTopPosition(ISO, *iso, *iec[3:]).in_representation(IEC)
    np.testing.assert_allclose(position.translation_mm, iec[:3], atol=2e-9)


def test_conversion_equals_the_printed_formulas() -> None:
    """The six scalar formulas as a conformance statement prints them, typed here independently of the kernel."""
    rng = np.random.default_rng(1)
    lat, lng, vrt = rng.uniform(-1500, 1500, (3, 200))
    pitch, roll = rng.uniform(-60, 60, (2, 200))
    sp, cp = np.sin(np.radians(pitch)), np.cos(np.radians(pitch))
    sr, cr = np.sin(np.radians(roll)), np.cos(np.radians(roll))
    iso = iec_to_isocentric(lat, lng, vrt, pitch, roll)
    np.testing.assert_allclose(iso[0], cr * lat + sp * sr * lng - cp * sr * vrt, atol=1e-9)
    np.testing.assert_allclose(iso[1], cp * lng + sp * vrt, atol=1e-9)
    np.testing.assert_allclose(iso[2], sr * lat - sp * cr * lng + cp * cr * vrt, atol=1e-9)
    iec = isocentric_to_iec(lat, lng, vrt, pitch, roll)
    np.testing.assert_allclose(iec[0], cr * lat + sr * vrt, atol=1e-9)
    np.testing.assert_allclose(iec[1], sp * sr * lat + cp * lng - sp * cr * vrt, atol=1e-9)
    np.testing.assert_allclose(iec[2], -cp * sr * lat + sp * lng + cp * cr * vrt, atol=1e-9)


def test_orientation_of_a_cone_beam_ct_made_by_a_machine() -> None:
    """A linac's CBCT header carries both the couch angles and the image orientation they lead to (HFS)."""
    angles = TableTopPosition(IEC, 0, 0, 0, 359.0023498535156, 0.5097377300262451, 359.66015625)
    dicom_from_fixed = fixed_rotation_from_dicom(PatientPosition.HFS).T
    # rows and columns of the scan are fixed to the room; the patient turned with the couch
    to_patient = dicom_from_fixed @ fixed_from_table(angles).rotation.T
    np.testing.assert_allclose(to_patient @ (1, 0, 0), (0.99994191676809, -0.0089995973578, 0.0059304584616), atol=1e-7)
    np.testing.assert_allclose(
        to_patient @ (0, 0, -1), (0.0088951357783, 0.99980884071293, 0.01741145001856), atol=1e-7
    )


def test_decomposition_of_a_registration_made_by_a_machine() -> None:
    """A rounded six-digit matrix in DICOM axes (HFS) belongs to yaw -1.8, pitch 1.7, roll -1.8."""
    printed = [[0.998984, 0.032327, 0.031397], [-0.031397, 0.999067, -0.029666], [-0.032327, 0.02865, 0.999067]]
    rotation, distance = nearest_rotation(printed)
    assert distance < 1e-5
    fixed_from_dicom = fixed_rotation_from_dicom(PatientPosition.HFS)
    angles = table_angles_from_rotation(fixed_from_dicom @ rotation @ fixed_from_dicom.T)
    assert angles.patient_support_angle_deg == pytest.approx(-1.8, abs=1e-3)
    assert angles.pitch_deg == pytest.approx(1.7, abs=1e-3)
    assert angles.roll_deg == pytest.approx(-1.8, abs=1e-3)


@pytest.mark.parametrize(
    ("angles_deg", "matrix"),
    [
        (
            (30, 60, 45),
            [
                [0.3061862, -0.25, 0.9185587],
                [0.8838835, 0.4330127, -0.1767767],
                [-0.3535534, 0.8660254, 0.3535534],
            ],
        ),
        (
            (45, 30, 60),
            [[0.0473672, -0.6123725, 0.7891491], [0.6597396, 0.6123725, 0.4355958], [-0.75, 0.5, 0.4330127]],
        ),
    ],
)
def test_order_of_rotations_against_published_zxy_matrices(angles_deg: tuple, matrix: list) -> None:
    psa, pitch, roll = angles_deg
    position = TableTopPosition(IEC, 0, 0, 0, pitch, roll, psa)
    np.testing.assert_allclose(rotation_from_table_angles(position.angles), matrix, atol=1e-7)
    np.testing.assert_allclose(fixed_from_table(position).rotation, matrix, atol=1e-7)


def test_round_trip_through_the_pose_keeps_angles_continuous() -> None:
    near = TableTopPosition(IEC, 1, 2, 3, pitch_deg=359.5, roll_deg=-0.5, patient_support_angle_deg=725.0)
    back = table_top_position(fixed_from_table(near), near=near)
    np.testing.assert_allclose(back.values, near.values, atol=1e-9)


def test_singular_pitch_holds_the_support_angle_or_is_refused() -> None:
    near = TableTopPosition(IEC, 1, 2, 3, pitch_deg=89.9, roll_deg=10.0, patient_support_angle_deg=20.0)
    with pytest.raises(SingularPosition):
        table_top_position(fixed_from_table(near))
    back = table_top_position(fixed_from_table(near), near=near)
    assert back.patient_support_angle_deg == 20.0
    np.testing.assert_allclose(back.values, near.values, atol=1e-6)


def test_untagged_or_wrongly_tagged_positions_are_refused() -> None:
    with pytest.raises(RepresentationMismatch):
        support_from_table(TableTopPosition(ISO, 0, 0, 0))
    with pytest.raises(InvalidGeometry):
        TableTopPosition("IEC", 0, 0, 0)  # type: ignore[arg-type]
    with pytest.raises(InvalidGeometry, match="pitch"):
        TableTopPosition(IEC, 0, 0, 0, pitch_deg=math.nan)


def test_isocentric_pitch_leaves_the_isocentric_translation_alone() -> None:
    """+3 degrees of pitch about the isocentre on a long table: the IEC values published for this example."""
    level = TableTopPosition(ISO, 0, 900, -150)
    tilted = TableTopPosition(ISO, 0, 900, -150, pitch_deg=3).in_representation(IEC)
    np.testing.assert_allclose(tilted.translation_mm, (0, 906.617, -102.692), atol=1e-3)
    point_at_isocentre = fixed_from_table(level).inverse().apply((0, 0, 0))
    np.testing.assert_allclose(fixed_from_table(tilted).apply(point_at_isocentre), 0, atol=1e-12)


def test_pose_of_a_table_is_typed() -> None:
    pose = fixed_from_table(TableTopPosition(IEC, 1, 2, 3))
    assert isinstance(pose, Pose)
    assert (pose.dst, pose.src) == (Fixed, TableTop)
