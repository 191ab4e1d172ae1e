"""From the figures of a marker match to a verdict with reasons in plain words."""

from __future__ import annotations

from dataclasses import dataclass

from isoalign.records import Verdict


@dataclass(frozen=True, slots=True)
class MarkerAcceptanceLimits:
    """What an accepted marker match must meet.

    Attributes
    ----------
    largest_gap_mm : float
        Distance between the two rays of a marker.
    largest_residual_mm, failed_residual_mm : float
        Root mean square of the distances between markers and plan after the match.
    migrated_mm : float
        A marker so far from where the others put it has moved in the patient.
    ambiguous_mm : float
        Another assignment of shadows that fits as many markers this well makes a match doubtful.
    largest_translation_mm, largest_rotation_deg : float
        Set-up errors beyond these are not plausible.
    largest_sigma_mm, largest_sigma_deg : float
        Standard deviation of any axis.
    second_opinion_mm, second_opinion_deg : float
        How far the match of points in space may differ from the match of shadows.
    """

    largest_gap_mm: float = 1.0
    largest_residual_mm: float = 0.5
    failed_residual_mm: float = 2.5
    migrated_mm: float = 2.0
    ambiguous_mm: float = 1.2
    largest_translation_mm: float = 30.0
    largest_rotation_deg: float = 8.0
    largest_sigma_mm: float = 0.5
    largest_sigma_deg: float = 2.0
    second_opinion_mm: float = 0.5
    second_opinion_deg: float = 1.0


DEFAULT_MARKER_LIMITS = MarkerAcceptanceLimits()


@dataclass(frozen=True, slots=True)
class MarkerFigures:
    """Everything that the verdict on a marker match hangs on.

    Attributes
    ----------
    planned, matched : int
        Markers of the plan, and those that the match rests on.
    rotation_known : bool
    converged : bool
    gap_mm : float
        Greatest distance between the rays of a matched marker.
    residual_mm : float
        Root mean square of the distances between matched markers and plan.
    migrated : tuple of (str, float)
        Markers that moved in the patient, by how many mm.
    missing : tuple of str
    rival_mm : float or None
        How well the best other assignment of as many markers fits; None where there is none.
    sigma_mm, sigma_deg : float
        Greatest standard deviation of any axis; the second is 0 where no rotation was fitted.
    second_mm, second_deg : float
        How far the match of points in space is from the match of shadows.
    translation_mm, rotation_deg : float
        The set-up error.
    """

    planned: int
    matched: int
    rotation_known: bool
    converged: bool
    gap_mm: float
    residual_mm: float
    migrated: tuple[tuple[str, float], ...]
    missing: tuple[str, ...]
    rival_mm: float | None
    sigma_mm: float
    sigma_deg: float
    second_mm: float
    second_deg: float
    translation_mm: float
    rotation_deg: float


def judge_markers(figures: MarkerFigures, limits: MarkerAcceptanceLimits) -> tuple[Verdict, tuple[str, ...]]:
    """The verdict and its reasons: all that speak against the match, or what speaks for it.

    A match without rotations may be accepted for its translation: what it does not tell, it does not claim.
    """
    if not figures.converged:
        return Verdict.FAILED, ("the fit did not settle on one position",)
    if figures.residual_mm > limits.failed_residual_mm:
        text = (
            f"the markers do not lie to each other as planned (they differ by {figures.residual_mm:.1f} mm): is it "
            "this patient?"
        )
        return Verdict.FAILED, (text,)
    doubts = [*_marker_doubts(figures, limits), *_pose_doubts(figures, limits)]
    if doubts:
        return Verdict.DOUBTFUL, tuple(doubts)
    fits = (
        f"{figures.matched} of {figures.planned} markers fit the plan within {figures.residual_mm:.2f} mm, their rays "
        f"meet within {figures.gap_mm:.2f} mm"
    )
    found = [fits]
    if figures.rotation_known:
        found.append(f"rotations are uncertain by {figures.sigma_deg:.1f} degrees (one standard deviation)")
    else:
        found.append("translation only: these markers do not tell rotations")
    if figures.missing:
        found.append(f"not found in both images: {', '.join(figures.missing)}")
    return Verdict.ACCEPTED, tuple(found)


def _marker_doubts(figures: MarkerFigures, limits: MarkerAcceptanceLimits) -> list[str]:
    found = [f"marker {name} lies {away:.1f} mm from where the others put it" for name, away in figures.migrated]
    if figures.matched == 1:
        found.append("a single marker has nothing to confirm it")
    elif figures.planned >= 3 and figures.matched < 3:
        found.append(f"only {figures.matched} of {figures.planned} markers fit each other")
    elif figures.matched < figures.planned and figures.planned == 2:
        found.append("one of the two markers was not found")
    if figures.gap_mm > limits.largest_gap_mm:
        found.append(f"the rays of a marker pass each other {figures.gap_mm:.1f} mm apart")
    if figures.residual_mm > limits.largest_residual_mm:
        found.append(f"the markers fit each other only within {figures.residual_mm:.1f} mm")
    if figures.rival_mm is not None and figures.rival_mm < limits.ambiguous_mm:
        found.append(
            f"the shadows can be given to the markers in another way as well (it fits within {figures.rival_mm:.1f} mm)"
        )
    return found


def _pose_doubts(figures: MarkerFigures, limits: MarkerAcceptanceLimits) -> list[str]:
    found = []
    if figures.sigma_mm > limits.largest_sigma_mm:
        found.append(f"the translation is uncertain by {figures.sigma_mm:.1f} mm")
    if figures.sigma_deg > limits.largest_sigma_deg:
        found.append(
            f"the markers are too close together to tell rotations (uncertain by {figures.sigma_deg:.1f} degrees)"
        )
    if figures.second_mm > limits.second_opinion_mm or figures.second_deg > limits.second_opinion_deg:
        found.append(
            f"markers as points in space lead {figures.second_mm:.1f} mm and {figures.second_deg:.1f} degrees elsewhere"
        )
    if figures.translation_mm > limits.largest_translation_mm or figures.rotation_deg > limits.largest_rotation_deg:
        found.append(
            f"the set-up error is larger than plausible ({figures.translation_mm:.0f} mm, {figures.rotation_deg:.1f} "
            "degrees)"
        )
    return found
