"""The reference images of a plan in the record of a session."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import numpy as np

from isoalign.dicom.objects import read_rt_image
from isoalign.dicom.objects.examples import example_objects
from isoalign.geometry import PatientPosition
from isoalign.records import Beam, Patient, Plan, Study
from isoalign.room.session_data import PatientLoad


def beam(number: int, *uids: str) -> Beam:
    return Beam(number, f"G{number}", np.zeros(3), 0.0, reference_image_uids=uids)


def test_each_beam_shows_its_own_and_that_of_the_session_comes_first() -> None:
    first = replace(read_rt_image(example_objects()["RTIMAGE"]), sop_instance_uid="1.1", label="lateral")
    second = replace(first, sop_instance_uid="1.2", label="frontal", rescale_slope=0.5, rescale_intercept=-3.0)
    beams = (beam(1, "1.1"), beam(2, "1.2", "1.1", "1.3"))  # the archive has not delivered 1.3
    plan = Plan("1", "2", "P", Patient("ID"), Study("3"), "4", PatientPosition.HFS, "5", beams)
    load = PatientLoad(plan, cast(Any, None), cast(Any, None), (), cast(Any, None), 0.0, 0.0, None, (first, second))
    shown = load.references(beams[1])
    assert [(one.beam_name, one.label) for one in shown] == [("G2", "frontal"), ("G2", "lateral"), ("G1", "lateral")]
    assert [one.beam_name for one in load.references(beams[0])] == ["G1", "G2", "G2"]
    np.testing.assert_array_equal(shown[0].values, second.pixels.astype(np.float32) * 0.5 - 3.0)
    assert shown[0].geometry == second.geometry
