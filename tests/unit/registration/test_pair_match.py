"""The 2D/2D match: two radiographs by the exact ray caster against DRRs of the planned position."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from isoalign.geometry import DicomPatient, Fixed, NotObservable, Pose, residual_of, setup_error
from isoalign.imaging import render_drr
from isoalign.records import Verdict
from isoalign.registration import (
    BlankRadiograph,
    EmptyRegion,
    ImagesDoNotFit,
    MatchCancelled,
    PreparedVolume,
    ReferenceImage,
    UndefinedVoxels,
    ViewsTooParallel,
    WrongNumberOfViews,
    match_2d2d,
)

from .conftest import Expose, Patient


@pytest.fixture(scope="module")
def references(
    prepared: PreparedVolume, patient: Patient, take: Expose, planned: Pose[Fixed, DicomPatient]
) -> tuple[ReferenceImage, ReferenceImage]:
    geometries = [one.geometry for one in take(patient(0), setup_error(0, 0, 0, 0, 0, 0))]
    first, second = (ReferenceImage(render_drr(prepared.attenuation, one, planned), one) for one in geometries)
    return first, second


def test_shifts_and_turns_in_the_planes_are_found_and_the_third_rotation_is_not_claimed(
    references: tuple[ReferenceImage, ReferenceImage],
    patient: Patient,
    take: Expose,
    planned: Pose[Fixed, DicomPatient],
) -> None:
    error = setup_error(3.0, -4.0, 2.0, 0.6, 0.0, -0.5)
    match = match_2d2d(references, take(patient(0), error), planned)
    seen = match.observed.require("lateral_mm", "longitudinal_mm", "vertical_mm")
    np.testing.assert_allclose(seen, residual_of(error).translation_mm, atol=0.5)
    np.testing.assert_allclose(match.observed.require("pitch_deg", "yaw_deg"), (0.6, -0.5), atol=0.4)
    assert match.observed.not_available == ("roll_deg",)
    assert match.verdict is not Verdict.FAILED, match.reasons
    with pytest.raises(NotObservable):
        match.as_match()
    record = match.as_match(unknown_as_planned=True)
    assert record.kind == "2D/2D"
    assert record.sigma_deg[1] == 180.0
    np.testing.assert_allclose(record.residual.translation_mm, seen, atol=1e-6)


def test_a_patient_in_place_is_found_in_place_to_a_fifth_of_a_pixel(
    references: tuple[ReferenceImage, ReferenceImage],
    patient: Patient,
    take: Expose,
    planned: Pose[Fixed, DicomPatient],
) -> None:
    match = match_2d2d(references, take(patient(0), setup_error(0.6, -0.4, 0.5, 0.0, 0.0, 0.0)), planned)
    shifts = np.array([view.shift_px for view in match.views])
    # 1.6 mm pixels at 1.5 times; gantry 0: columns +X, rows -Y; gantry 90: columns -Z
    np.testing.assert_allclose(np.abs(shifts), np.array([[0.6, 0.4], [0.5, 0.4]]) * 1.5 / 1.6, atol=0.2)
    assert match.verdict is Verdict.ACCEPTED, match.reasons


def test_another_patient_is_not_accepted(
    references: tuple[ReferenceImage, ReferenceImage],
    patient: Patient,
    take: Expose,
    planned: Pose[Fixed, DicomPatient],
) -> None:
    match = match_2d2d(references, take(patient(5), setup_error(1, 2, 0, 0, 0, 0)), planned)
    assert match.verdict is not Verdict.ACCEPTED


def test_a_region_of_interest_is_enough(
    references: tuple[ReferenceImage, ReferenceImage],
    patient: Patient,
    take: Expose,
    planned: Pose[Fixed, DicomPatient],
) -> None:
    region = np.zeros((160, 128), np.bool_)
    region[40:120, 30:100] = True
    error = setup_error(2.0, 1.0, -1.5, 0.0, 0.0, 0.0)
    match = match_2d2d(references, take(patient(0), error), planned, regions=(region, region))
    seen = match.observed.require("lateral_mm", "longitudinal_mm", "vertical_mm")
    np.testing.assert_allclose(seen, (2.0, 1.0, -1.5), atol=0.5)


def test_input_that_makes_no_sense_is_refused(
    references: tuple[ReferenceImage, ReferenceImage],
    patient: Patient,
    take: Expose,
    planned: Pose[Fixed, DicomPatient],
) -> None:
    radiographs = take(patient(0), setup_error(0, 0, 0, 0, 0, 0))
    blank = replace(radiographs[0], pixels=np.full_like(radiographs[0].pixels, 500))
    nothing = np.zeros((160, 128), np.bool_)
    empty = ReferenceImage(np.zeros((160, 128), np.float32), references[0].geometry)
    with pytest.raises(WrongNumberOfViews):
        match_2d2d(references[:1], radiographs[:1], planned)
    with pytest.raises(ImagesDoNotFit):
        match_2d2d(references[::-1], radiographs, planned)
    with pytest.raises(ImagesDoNotFit):
        match_2d2d(references, radiographs, planned, regions=(nothing[:10], None))
    with pytest.raises(EmptyRegion):
        match_2d2d(references, radiographs, planned, regions=(nothing, None))
    with pytest.raises(EmptyRegion):
        match_2d2d((empty, references[1]), radiographs, planned)
    with pytest.raises(BlankRadiograph):
        match_2d2d(references, (blank, radiographs[1]), planned)
    with pytest.raises(ViewsTooParallel):
        match_2d2d(references, (radiographs[0], radiographs[0]), planned)
    with pytest.raises(UndefinedVoxels):
        ReferenceImage(np.full((160, 128), np.nan, np.float32), references[0].geometry)
    with pytest.raises(MatchCancelled):
        match_2d2d(references, radiographs, planned, cancelled=lambda: True)
