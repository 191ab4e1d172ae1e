"""One radiograph: what it shows is told, what it does not show is marked and never enters a couch move."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from isoalign.geometry import DicomPatient, Fixed, Pose, residual_of, setup_error
from isoalign.records import Match, Radiograph, Verdict, Volume
from isoalign.registration import BlankRadiograph, MatchCancelled, PreparedVolume, match_one_view

Patient = Callable[[int], Volume]
Expose = Callable[..., tuple[Radiograph, Radiograph]]
Planned = Pose[Fixed, DicomPatient]

ERROR = setup_error(4.0, -3.0, 2.0, 1.0, -2.0, 1.5)


@pytest.mark.parametrize("number", [0, 1], ids=["front", "side"])
def test_one_view_tells_five_motions_and_marks_the_depth(
    prepared: PreparedVolume, patient: Patient, take: Expose, planned: Planned, number: int
) -> None:
    match = match_one_view(prepared, take(patient(0), ERROR)[number], planned)
    assert match.verdict is Verdict.ACCEPTED, match.reasons
    assert match.marked == ("along the line of sight",)
    true = residual_of(ERROR)
    # typed by hand: the source is above at 0 degrees (IEC 61217 +Z) and to the side at 90 degrees (+X)
    across = (true.translation_mm[:2], true.translation_mm[[1, 2]])[number]
    told = match.axes[:, :2] @ match.motion[:2]
    assert np.abs((told[:2], told[[1, 2]])[number] - across).max() < 0.3
    assert np.abs(match.axes @ match.motion[3:] - true.rotation_vector_deg).max() < 0.3
    assert not isinstance(match, Match)
    assert match.sigma[2] > 2 * match.sigma[:2].max()


def test_an_image_of_someone_else_is_not_accepted(
    prepared: PreparedVolume, patient: Patient, take: Expose, planned: Planned
) -> None:
    match = match_one_view(prepared, take(patient(7), ERROR)[0], planned)
    assert match.verdict is not Verdict.ACCEPTED


def test_a_blank_image_is_refused_and_a_match_can_be_cancelled(
    prepared: PreparedVolume, patient: Patient, take: Expose, planned: Planned
) -> None:
    image = take(patient(0), ERROR)[0]
    blank = Radiograph(np.full_like(image.pixels, 900), image.geometry, image.acquisition)
    with pytest.raises(BlankRadiograph):
        match_one_view(prepared, blank, planned)
    with pytest.raises(MatchCancelled):
        match_one_view(prepared, image, planned, cancelled=lambda: True)
