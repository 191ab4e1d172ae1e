"""The second opinion on a match: what it tells of wrong poses, and that it alone can keep one from acceptance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from isoalign.geometry import DicomPatient, Fixed, Pose, setup_error
from isoalign.records import InvalidRecord, Radiograph, Verdict, Volume
from isoalign.registration import AcceptanceLimits, MatchSettings, PreparedVolume, match_2d3d
from isoalign.registration.match_run import MatchRun
from isoalign.registration.search import Refined, moved
from isoalign.registration.second_opinion import maximum_along
from isoalign.registration.settings import DEFAULT_SETTINGS
from isoalign.registration.verdict import judge
from isoalign.registration.views import usable_views

Patient = Callable[[int], Volume]
Expose = Callable[..., tuple[Radiograph, Radiograph]]
Planned = Pose[Fixed, DicomPatient]

ERROR = setup_error(4.0, -3.0, 2.0, 1.0, -2.0, 1.5)
FREE = float("inf")
ONLY_THE_OPINION = AcceptanceLimits(
    least_gradient_correlation=-1.0,
    failed_gradient_correlation=-1.0,
    least_detail_agreement=-1.0,
    failed_detail_agreement=-1.0,
    view_distance_mm=FREE,
    view_angle_deg=FREE,
    restart_distance_mm=FREE,
    restart_angle_deg=FREE,
    largest_sigma_mm=FREE,
    largest_sigma_deg=FREE,
    largest_condition=FREE,
)
"""No other check says anything: what a search would do that was led astray and agrees with itself."""


@pytest.fixture(scope="module")
def run(prepared: PreparedVolume, patient: Patient, take: Expose, planned: Planned) -> MatchRun:
    views = usable_views(take(patient(0), ERROR))
    settings = replace(DEFAULT_SETTINGS, acceptance=ONLY_THE_OPINION)
    return MatchRun(prepared, views, planned, settings, None, None)


def planted(run: MatchRun, motion: np.ndarray) -> Refined:
    """A search that settled at a pose which is wrong by a motion."""
    right = run.search()[0]
    return replace(right, pose=moved(right.pose, motion), last_step=0.03)


def ways(length_mm: float, turn_deg: float) -> list[np.ndarray]:
    """Motions in six directions each, drawn once; the last goes equally along all axes, where each axis tells least."""
    rng = np.random.default_rng(104)
    units = [way / np.linalg.norm(way) for way in (*rng.standard_normal((5, 3)), np.ones(3))]
    return [np.concatenate([length_mm * way, turn_deg * np.roll(way, 1)]) for way in units]


WRONG = [*ways(2.0, 0.0), *ways(0.0, 2.0), *ways(3.0, 0.0), *ways(0.0, 3.0)]


@pytest.mark.parametrize("motion", WRONG, ids=[" ".join(f"{value:+.1f}" for value in motion) for motion in WRONG])
def test_a_pose_wrong_by_two_mm_or_degrees_is_doubtful_by_the_opinion_alone(run: MatchRun, motion: np.ndarray) -> None:
    """Without the limits the same pose is accepted: nothing else speaks here."""
    figures, _ = run.measure(planted(run, motion))
    verdict, reasons = judge(figures, ONLY_THE_OPINION)
    assert verdict is Verdict.DOUBTFUL
    assert any("would fit best" in reason for reason in reasons)
    without = replace(ONLY_THE_OPINION, opinion_distance_mm=FREE, opinion_angle_deg=FREE)
    assert judge(figures, without)[0] is Verdict.ACCEPTED


def test_at_the_right_pose_the_opinion_agrees(run: MatchRun) -> None:
    opinion = run.opinion(run.search()[0].pose)
    assert max(opinion.distance_mm) < 0.2
    assert opinion.angle_deg < 0.4


@pytest.mark.parametrize("motion", [(1.5, 0.0, 0.0), (0.0, -1.5, 0.0), (0.0, 0.0, 2.2)])
def test_the_opinion_tells_how_far(run: MatchRun, motion: tuple[float, float, float]) -> None:
    """The measure before this one ended at 0.8 mm, whatever the distance."""
    found = run.search()[0].pose
    opinion = run.opinion(moved(found, np.array([*motion, 0.0, 0.0, 0.0])))
    assert max(opinion.distance_mm) == pytest.approx(np.linalg.norm(motion), abs=0.3)


def test_a_turn_that_neither_image_shows_in_its_plane_is_told(run: MatchRun) -> None:
    found = run.search()[0].pose
    opinion = run.opinion(moved(found, np.array([0.0, 0.0, 0.0, 0.0, 2.0, 0.0])))  # beams along Z and X
    assert opinion.angle_deg == pytest.approx(2.0, abs=0.4)


def maximum_of(profile: Callable[[float], float]) -> float:
    return maximum_along(profile, profile(0.0), 3.0, 1.0)


def test_maximum_of_a_parabola_is_exact_and_of_a_slope_is_the_reach() -> None:
    def hill(place: float) -> Callable[[float], float]:
        return lambda far: 0.9 - 0.1 * (far - place) ** 2

    for place in (-2.4, -0.2, 0.0, 0.5, 1.3, 2.4):
        assert maximum_of(hill(place)) == pytest.approx(place)
    assert maximum_of(lambda far: 0.1 * far) == 3.0
    assert maximum_of(lambda far: -0.1 * far) == -3.0
    assert maximum_of(hill(7.0)) == 3.0
    assert maximum_of(lambda far: 0.7) == 3.0  # an image that tells nothing does not agree
    assert abs(maximum_of(abs)) == 3.0


@pytest.mark.parametrize("limit", ["opinion_distance_mm", "opinion_angle_deg"])
def test_a_limit_that_could_not_be_missed_is_refused(limit: str) -> None:
    """A limit of 1.0 mm once stood beside a measure that told 0.8 mm at most."""
    limits = replace(AcceptanceLimits(), **{limit: 1.5})
    with pytest.raises(InvalidRecord, match="opinion"):
        MatchSettings(acceptance=limits, opinion_reach=1.5)
    MatchSettings(acceptance=limits, opinion_reach=2.0)


def test_a_right_match_says_that_the_second_metric_agrees(
    prepared: PreparedVolume, patient: Patient, take: Expose, planned: Planned
) -> None:
    match = match_2d3d(prepared, take(patient(0), ERROR), planned)
    assert match.verdict is Verdict.ACCEPTED, match.reasons
    assert any("a second metric" in reason for reason in match.reasons)
