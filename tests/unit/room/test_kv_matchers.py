"""kV pairs matched by the whole CT, by markers or by DRRs; the truth is where the simulators put patient and gold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from case_images import SETUP, kv_pair
from room_cases import make_marker_case, with_migrated_marker, with_patient_of

from isoalign.geometry import Fixed, Pose, residual_of, setup_error
from isoalign.positioning import MatchRefused, plan_correction, planned_pose
from isoalign.records import MarkerState, Match, Radiograph, Verdict
from isoalign.registration import NoPlannedMarkers
from isoalign.room.cases import Case, patient_to_match, with_gold_markers
from isoalign.room.errors import SettingsInvalid
from isoalign.room.kv_matchers import KvMatcher, PatientToMatch
from isoalign.room.settings import KvMatchSettings, load_settings
from isoalign.simulators.marker_head import MARKERS_MM

ERROR = setup_error(6.0, -5.0, 4.0, 1.5, -2.0, 1.0)
LIMITS = load_settings().session_settings().limits
TURNS = ("pitch_deg", "roll_deg", "yaw_deg")


@pytest.fixture(scope="module")
def case() -> Case:
    return make_marker_case()


@pytest.fixture(scope="module")
def patient(case: Case) -> PatientToMatch:
    return patient_to_match(case)


@pytest.fixture(scope="module")
def radiographs(case: Case) -> tuple[Radiograph, ...]:
    return kv_pair(case, ERROR)


def matcher(patient: PatientToMatch, **settings: object) -> KvMatcher:
    return KvMatcher(patient, KvMatchSettings.model_validate(settings), lambda _text, _fraction: None)


async def matched(patient: PatientToMatch, radiographs: Sequence[Radiograph], method: str) -> Match:
    one = matcher(patient)
    await one.use(method)
    return await one.match(radiographs)


def missed(match: Match, error: Pose[Fixed, Fixed]) -> tuple[float, float]:
    left = residual_of(error.inverse() @ match.setup_error)
    return left.distance_mm, left.angle_deg


async def test_markers_find_the_patient_and_say_where_each_marker_is(
    case: Case, patient: PatientToMatch, radiographs: tuple[Radiograph, ...]
) -> None:
    match = await matched(patient, radiographs, "markers")
    assert (match.kind, match.verdict, match.not_available) == ("marker", Verdict.ACCEPTED, ())
    distance_mm, angle_deg = missed(match, ERROR)
    assert distance_mm < 0.15
    assert angle_deg < 0.15
    assert [one.name for one in match.markers] == ["GOLD1", "GOLD2", "GOLD3", "GOLD4", "GOLD5"]
    assert {one.state for one in match.markers} == {MarkerState.MATCHED}
    planned = planned_pose(case.plan.patient_position, case.plan.beam())
    for one, gold in zip(match.markers, case.implants, strict=True):
        assert np.linalg.norm(one.planned_mm - gold.centre_mm) < 0.2, "refined: it was drawn up to 0.6 mm away"
        for shadow, radiograph in zip(one.shadows, radiographs, strict=True):
            assert shadow.imager == radiograph.acquisition.imager
            assert shadow.found_px is not None
            true = radiograph.geometry.project((ERROR @ planned).apply(gold.centre_mm))
            assert np.linalg.norm(np.subtract(shadow.found_px, true)) < 0.3
            assert np.linalg.norm(np.subtract(shadow.expected_px, true)) < 1.0
            there = radiograph.geometry.project(planned.apply(gold.centre_mm))
            assert np.linalg.norm(np.subtract(shadow.planned_px, there)) < 1.0
    assert [view.imager for view in match.views] == ["A", "B"]
    assert all(view.gradient_correlation_end > view.gradient_correlation_start for view in match.views)


async def test_drawn_points_are_refined_in_the_planning_ct(
    case: Case, patient: PatientToMatch, radiographs: tuple[Radiograph, ...]
) -> None:
    """Planted: with no marker in the CT the points are taken as they were drawn, and the match says so."""
    assert case.body is not None
    bare = replace(patient, volume=replace(patient.volume, hounsfield=case.body.hounsfield))
    match = await matched(bare, radiographs, "markers")
    assert sum("taken where it was drawn" in reason for reason in match.reasons) == 5
    drawn = {one.name: one.contours_mm[0][0] for one in case.structure_set.structures}
    for one in match.markers:
        np.testing.assert_allclose(one.planned_mm, drawn[one.name])


async def test_a_case_of_files_gets_gold_where_its_ct_shows_the_markers(case: Case, patient: PatientToMatch) -> None:
    of_files = with_gold_markers(replace(case, body=None, implants=()), KvMatchSettings())
    for made, true in zip(of_files.implants, case.implants, strict=True):
        assert np.linalg.norm(np.subtract(made.centre_mm, true.centre_mm)) < 0.2
        assert (made.radius_mm, made.mu_per_mm) == (true.radius_mm, true.mu_per_mm)
    assert with_gold_markers(case, KvMatchSettings()) is case
    match = await matched(patient, kv_pair(of_files, ERROR), "markers")
    assert match.verdict is Verdict.ACCEPTED
    assert missed(match, ERROR)[0] < 0.3


@pytest.mark.parametrize("number", range(3))
async def test_a_migrated_marker_is_named_and_moves_nothing(case: Case, patient: PatientToMatch, number: int) -> None:
    away = ((3.0, -3.0, 2.7), (-5.0, 0.0, 0.0), (0.0, 3.5, -3.6))[number]
    match = await matched(patient, kv_pair(with_migrated_marker(case, number, away), ERROR), "markers")
    assert match.verdict is Verdict.DOUBTFUL
    assert [one.name for one in match.markers if one.state is MarkerState.MIGRATED] == [f"GOLD{number + 1}"]
    with pytest.raises(MatchRefused, match=rf"GOLD{number + 1} lies (4\.9|5\.\d) mm"):
        plan_correction(match, SETUP, LIMITS)
    distance_mm, _ = missed(match, ERROR)
    assert distance_mm < 0.3, "the others still say where the patient is"


async def test_two_markers_tell_no_rotation_and_none_is_corrected() -> None:
    case = make_marker_case(MARKERS_MM[1:3])
    error = setup_error(6.0, -5.0, 4.0, 0.0, 0.0, 0.0)
    match = await matched(patient_to_match(case), kv_pair(case, error), "markers")
    assert (match.verdict, match.not_available) == (Verdict.ACCEPTED, TURNS)
    assert match.untold_in_words == "pitch, roll, yaw"
    assert match.largest_told_angle_deg is None
    np.testing.assert_allclose(match.residual.translation_mm, (6.0, -5.0, 4.0), atol=0.15)
    correction = plan_correction(match, SETUP, LIMITS)
    assert correction.not_corrected == TURNS
    np.testing.assert_allclose(correction.target.values[3:], SETUP.values[3:], atol=1e-9)
    np.testing.assert_allclose(correction.target.values[:3], np.add(SETUP.values[:3], (-6.0, 5.0, -4.0)), atol=0.15)


async def test_a_single_marker_moves_nothing() -> None:
    case = make_marker_case(MARKERS_MM[1:2])
    match = await matched(patient_to_match(case), kv_pair(case, setup_error(2.0, 1.0, -1.0, 0.0, 0.0, 0.0)), "markers")
    with pytest.raises(MatchRefused, match="a single marker has nothing to confirm it"):
        plan_correction(match, SETUP, LIMITS)


async def test_another_patient_is_refused(patient: PatientToMatch, case: Case) -> None:
    """Other markers in the same head: no anatomy could tell the difference."""
    other = make_marker_case(np.array(MARKERS_MM) @ np.diag([-0.6, -1.2, 0.9]))
    match = await matched(patient, kv_pair(with_patient_of(case, other), ERROR), "markers")
    assert match.verdict is not Verdict.ACCEPTED
    with pytest.raises(MatchRefused):
        plan_correction(match, SETUP, LIMITS)


async def test_images_without_any_marker_are_a_failed_match_and_no_error(patient: PatientToMatch, case: Case) -> None:
    match = await matched(patient, kv_pair(replace(case, implants=()), ERROR), "markers")
    assert match.verdict is Verdict.FAILED
    assert {one.state for one in match.markers} == {MarkerState.MISSING}
    assert match.trusted_residual is None
    assert len(match.views) == 2
    with pytest.raises(MatchRefused, match="no pair of them fits a planned marker"):
        plan_correction(match, SETUP, LIMITS)


async def test_a_patient_without_markers_is_refused_before_images_are_taken(patient: PatientToMatch) -> None:
    others = tuple(one for one in patient.structure_set.structures if one.interpreted_type != "MARKER")
    bare = replace(patient, structure_set=replace(patient.structure_set, structures=others))
    with pytest.raises(NoPlannedMarkers) as caught:
        await matcher(bare, method="markers").use()
    assert "2d3d" in caught.value.hint
    assert "POINT" in caught.value.hint


async def test_radiographs_against_drrs_do_not_tell_the_turn_about_the_axis_across_both_beams(
    patient: PatientToMatch, case: Case
) -> None:
    error = setup_error(6.0, -5.0, 4.0, 0.4, 0.0, -0.4)
    match = await matched(patient, kv_pair(case, error), "2d2d")
    assert (match.kind, match.verdict, match.not_available) == ("2D/2D", Verdict.ACCEPTED, ("roll_deg",))
    distance_mm, angle_deg = missed(match, error)
    assert distance_mm < 0.3
    assert angle_deg < 0.3
    correction = plan_correction(match, SETUP, LIMITS)
    assert correction.not_corrected == ("roll_deg",)
    assert correction.not_corrected_in_words == "roll"
    assert [view.imager for view in match.views] == ["A", "B"]


async def test_the_method_is_that_of_the_configuration_unless_a_call_names_another(
    patient: PatientToMatch, radiographs: tuple[Radiograph, ...]
) -> None:
    one = matcher(patient, method="markers")
    await one.use()
    assert (await one.match(radiographs)).kind == "marker"
    await one.use("2d3d")
    assert (await one.match(radiographs)).kind == "2D/3D"
    await one.use(None)
    assert (await one.match(radiographs)).kind == "marker"
    with pytest.raises(SettingsInvalid, match="no match 'bones'"):
        await one.use("bones")


async def test_a_ct_of_the_day_is_for_the_2d3d_match_alone(
    patient: PatientToMatch, radiographs: tuple[Radiograph, ...]
) -> None:
    class OfTheDay:
        async def match(self, radiographs: Sequence[Radiograph]) -> Match:
            none = np.zeros(3)
            return Match("2D/3D", patient.planned, patient.planned, Verdict.DOUBTFUL, (), (), 1, True, 0.0, none, none)

    one = matcher(patient)
    await one.use("2d3d")
    one.compare_with_day(OfTheDay())
    assert (await one.match(radiographs)).verdict is Verdict.DOUBTFUL
    await one.use("markers")
    assert (await one.match(radiographs)).kind == "marker"
    await one.use("2d3d")
    one.compare_with_day(None)
    assert (await one.match(radiographs)).verdict is Verdict.ACCEPTED
