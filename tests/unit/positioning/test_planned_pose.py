"""Where the patient should be for a beam with a turned or tilted table top."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from isoalign.geometry import PatientPosition
from isoalign.positioning import planned_pose
from isoalign.records import Beam

BEAM = Beam(
    number=1,
    name="Field",
    isocentre_mm=np.array([10.0, -20.0, 30.0]),
    gantry_angle_deg=0.0,
    patient_support_angle_deg=0.0,
    table_top_pitch_deg=0.0,
    table_top_roll_deg=0.0,
    table_top_lateral_mm=None,
    table_top_longitudinal_mm=None,
    table_top_vertical_mm=None,
    machine_name="",
)

# beam's angles, DICOM axis of a head-first supine patient, direction in the fixed frame; IEC 61217 clause 3.6 to 3.8,
# typed by hand: the patient's left is +X, anterior +Z, head +Y with the couch straight
TURNED = [
    ({}, "x", (1, 0, 0)),
    ({}, "z", (0, 1, 0)),
    ({"patient_support_angle_deg": 90.0}, "x", (0, 1, 0)),
    ({"patient_support_angle_deg": 90.0}, "z", (-1, 0, 0)),
    ({"patient_support_angle_deg": 90.0}, "y", (0, 0, -1)),
    ({"table_top_pitch_deg": 90.0}, "z", (0, 0, 1)),
    ({"table_top_roll_deg": 90.0}, "x", (0, 0, -1)),
]


@pytest.mark.parametrize(("angles", "axis", "direction"), TURNED)
def test_patient_turns_with_the_beams_table_angles(angles: dict[str, float], axis: str, direction: tuple) -> None:
    """The session once left the angles out: a turned couch would have been turned back."""
    pose = planned_pose(PatientPosition.HFS, dataclasses.replace(BEAM, **angles))
    np.testing.assert_allclose(pose.rotation[:, "xyz".index(axis)], direction, atol=1e-12)
    np.testing.assert_allclose(pose.apply(BEAM.isocentre_mm), np.zeros(3), atol=1e-9)
