"""C-arm angles: which way detector and source look, typed by hand, and the gantry angles that go with them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from isoalign.geometry import (
    Fixed,
    FrameMismatch,
    InvalidGeometry,
    PatientPosition,
    Pose,
    TableAngles,
    fixed_rotation_from_dicom,
    planned_fixed_from_dicom,
    rotation_from_table_angles,
    rotation_x,
    rotation_y,
)
from isoalign.geometry.c_arm import CArmAngles, GantryDirection, c_arm_from_gantry, gantry_from_c_arm
from isoalign.geometry.imaging_errors import AnglesUndetermined

DETECTOR = [  # primary, secondary, the detector is at (left, posterior, superior).  DICOM PS3.3 C.8.7.5.1.2, by hand
    (0, 0, (0, -1, 0)),  # in front of the chest
    (90, 0, (1, 0, 0)),  # LAO: at the patient's left
    (-90, 0, (-1, 0, 0)),  # RAO
    (180, 0, (0, 1, 0)),  # behind the back
    (-180, 0, (0, 1, 0)),
    (0, 90, (0, 0, 1)),  # cranial
    (0, -90, (0, 0, -1)),  # caudal
    (0, 45, (0, -math.sqrt(0.5), math.sqrt(0.5))),
    (90, 45, (math.sqrt(0.5), 0, math.sqrt(0.5))),
    (-32, 2, (-0.529596407, -0.847531465, 0.034899497)),  # an angiogram's angles
]


@pytest.mark.parametrize(("primary", "secondary", "direction"), DETECTOR)
def test_angles_describe_the_detector(primary: float, secondary: float, direction: tuple[float, ...]) -> None:
    """The detector, not the source: taking one for the other turns every projection by 180 degrees."""
    angles = CArmAngles(primary, secondary)
    np.testing.assert_allclose(angles.detector_direction, direction, atol=1e-9)
    np.testing.assert_allclose(angles.source_direction, -np.array(direction), atol=1e-9)


GANTRY = [  # position, primary, secondary, IEC gantry angle, pitch.  By hand, from where the patient's sides lie
    ("HFS", 0, 0, 180, 0),  # detector over the chest: source under the table
    ("HFS", 90, 0, 270, 0),  # detector at the left, +Xf: source at -Xf
    ("HFS", -90, 0, 90, 0),
    ("HFS", 180, 0, 0, 0),
    ("HFS", 0, 30, 180, 30),  # detector tilted to the head, +Yf: source towards -Yf, which is + pitch
    ("HFS", 180, 30, 0, 30),
    ("HFP", 0, 0, 0, 0),  # chest down: source above
    ("HFP", 90, 0, 90, 0),  # the left of a prone patient is at -Xf: source at +Xf
    ("FFS", 0, 0, 180, 0),
    ("FFS", 90, 0, 90, 0),  # the left of a feet-first patient is at -Xf
    ("FFS", 0, 30, 180, -30),  # the head is away from the gantry
    ("FFP", 0, 0, 0, 0),
    ("HFDL", 0, 0, 270, 0),  # lies on the left, head to the gantry: the chest looks to +Xf, the source is at -Xf
    ("HFDR", 0, 0, 90, 0),
    ("HFDR", 90, 0, 180, 0),  # lies on the right: the left is up, the source below
    ("SITTING", 90, 0, 90, 0),  # looks to the gantry: the left is at -Xf
]


@pytest.mark.parametrize(("position", "primary", "secondary", "gantry", "pitch"), GANTRY)
def test_gantry_angle_and_pitch(position: str, primary: float, secondary: float, gantry: float, pitch: float) -> None:
    found = gantry_from_c_arm(CArmAngles(primary, secondary), PatientPosition.parse(position))
    assert math.remainder(found.gantry_angle_deg - gantry, 360.0) == pytest.approx(0.0, abs=1e-9)
    assert found.gantry_pitch_deg == pytest.approx(pitch, abs=1e-9)


def test_supine_patient_is_exact_at_every_angulation() -> None:
    """Gantry 180 + P and pitch S for all P and S."""
    for primary in range(-180, 181, 15):
        for secondary in range(-85, 86, 5):
            angles = CArmAngles(float(primary), float(secondary))
            found = gantry_from_c_arm(angles, PatientPosition.HFS, held_gantry_angle_deg=180.0 + primary)
            assert found.gantry_angle_deg == pytest.approx(180.0 + primary, abs=1e-9)
            assert found.gantry_pitch_deg == pytest.approx(secondary, abs=1e-9)


def test_pitch_before_the_gantry_angle_would_be_ten_degrees_off() -> None:
    """Rx(-S) Ry(180 + P), the other order, agrees at P = 0 and misses the source by 10 degrees at (40, 35)."""
    for primary, secondary, off in ((0.0, 35.0, 0.0), (40.0, 35.0, 10.0)):
        source = gantry_from_c_arm(CArmAngles(primary, secondary), PatientPosition.HFS).source_direction
        other = (rotation_x(-secondary) @ rotation_y(180.0 + primary))[:, 2]
        assert math.degrees(math.acos(min(1.0, source @ other))) == pytest.approx(off, abs=0.5)


@pytest.mark.parametrize("position", list(PatientPosition))
def test_every_patient_position_there_and_back(position: PatientPosition) -> None:
    for primary, secondary in ((12.0, 34.0), (-150.0, -60.0), (89.0, 1.0), (0.0, 0.5)):
        angles = CArmAngles(primary, secondary)
        gantry = gantry_from_c_arm(angles, position, held_gantry_angle_deg=0.0)
        np.testing.assert_allclose(
            fixed_rotation_from_dicom(position) @ angles.source_direction, gantry.source_direction, atol=1e-12
        )
        back = c_arm_from_gantry(gantry, position, held_primary_deg=primary)
        assert (back.primary_deg, back.secondary_deg) == pytest.approx((primary, secondary), abs=1e-9)


BEAM_ANGLE = [("HFS", 0), ("FFS", 0), ("HFP", 0), ("FFP", 0), ("HFDR", 1), ("FFDR", 1), ("HFDL", 1), ("FFDL", 1)]


@pytest.mark.parametrize(("position", "decubitus"), BEAM_ANGLE)
def test_angle_of_the_beam_to_the_vertical_as_the_standard_has_it(position: str, decubitus: int) -> None:
    """Beam Angle (0018,9449) is arccos(|cos P| |cos S|) on back or belly, with |sin P| on a side (PS3.17 FFF.1.3)."""
    for primary, secondary in ((10.0, 20.0), (-70.0, 35.0), (140.0, -5.0)):
        p, s = math.radians(primary), math.radians(secondary)
        printed = abs(math.sin(p) if decubitus else math.cos(p)) * abs(math.cos(s))
        found = gantry_from_c_arm(CArmAngles(primary, secondary), PatientPosition.parse(position))
        assert abs(found.source_direction[2]) == pytest.approx(printed, abs=1e-12)


def test_couch_that_is_turned_is_in_the_pose() -> None:
    """Patient support angle +90 takes the head from +Yf to -Xf: what was pitch becomes gantry angle."""
    couch = Pose(Fixed, Fixed, rotation_from_table_angles(TableAngles(90.0, 0.0, 0.0)))
    pose = couch @ planned_fixed_from_dicom(PatientPosition.HFS, (5.0, 6.0, 7.0))
    found = gantry_from_c_arm(CArmAngles(0.0, 30.0), pose)  # detector up and to -Xf, source down and to +Xf
    assert found.gantry_angle_deg == pytest.approx(150.0, abs=1e-9)
    assert found.gantry_pitch_deg == pytest.approx(0.0, abs=1e-9)
    with pytest.raises(FrameMismatch):
        gantry_from_c_arm(CArmAngles(0.0, 30.0), pose.inverse())  # type: ignore[arg-type]


@pytest.mark.parametrize("secondary", [90.0, -90.0])
def test_poles_need_a_held_angle(secondary: float) -> None:
    at_pole = CArmAngles(25.0, secondary)
    with pytest.raises(AnglesUndetermined, match="primary angle .*" + ("[+]1" if secondary > 0 else "-1")):
        CArmAngles.of_detector(at_pole.detector_direction)
    held = CArmAngles.of_detector(at_pole.detector_direction, held_primary_deg=25.0)
    assert (held.primary_deg, held.secondary_deg) == (25.0, pytest.approx(secondary))
    with pytest.raises(AnglesUndetermined, match="gantry angle .*" + ("[+]1" if secondary > 0 else "-1")):
        gantry_from_c_arm(at_pole, PatientPosition.HFS)
    gantry = gantry_from_c_arm(at_pole, PatientPosition.HFS, held_gantry_angle_deg=205.0)
    assert (gantry.gantry_angle_deg, gantry.gantry_pitch_deg) == (205.0, pytest.approx(secondary))
    with pytest.raises(AnglesUndetermined):
        c_arm_from_gantry(gantry, PatientPosition.HFS)


def test_values_that_are_no_angulation_are_refused() -> None:
    for primary, secondary in ((0.0, 90.001), (0.0, -91.0), (float("nan"), 0.0), (0.0, float("nan"))):
        with pytest.raises(InvalidGeometry):
            CArmAngles(primary, secondary)
    for direction in ((0.0, 0.0, 0.0), (1.0, 0.0), (float("nan"), 0.0, 1.0)):
        with pytest.raises(InvalidGeometry):
            GantryDirection.of_source(direction)
