"""From the figures of a 2D/2D match to a verdict with reasons in plain words."""

from __future__ import annotations

from dataclasses import dataclass

from isoalign.records import Verdict


@dataclass(frozen=True, slots=True)
class PairAcceptanceLimits:
    """What an accepted 2D/2D match must meet, in every view.

    Attributes
    ----------
    least_gradient_correlation, failed_gradient_correlation : float
        Between radiograph and moved DRR.
    least_detail_agreement, failed_detail_agreement : float
        Median correlation of small parts of both.
    largest_loss : float
        How much lower than at the planned position the correlation may be.
    second_metric_mm, second_metric_deg : float
        How far gradient correlation may want to move the result.
    restart_mm, restart_deg : float
        How far from the result a second search may end.
    disagreement_mm : float
        Between the two views along the axis that both see.
    largest_sigma_mm, largest_sigma_deg : float
    largest_translation_mm, largest_rotation_deg : float
        Set-up errors beyond these are not plausible.
    least_coverage : float
        Part of a radiograph that could be compared.
    """

    least_gradient_correlation: float = 0.60
    failed_gradient_correlation: float = 0.35
    least_detail_agreement: float = 0.80
    failed_detail_agreement: float = 0.55
    largest_loss: float = 0.02
    second_metric_mm: float = 0.4
    second_metric_deg: float = 0.5
    restart_mm: float = 0.3
    restart_deg: float = 0.3
    disagreement_mm: float = 0.8
    largest_sigma_mm: float = 0.3
    largest_sigma_deg: float = 0.3
    largest_translation_mm: float = 30.0
    largest_rotation_deg: float = 8.0
    least_coverage: float = 0.08


DEFAULT_PAIR_LIMITS = PairAcceptanceLimits()


@dataclass(frozen=True, slots=True)
class PlaneFigures:
    """What is known of one view at the end; see :class:`PairAcceptanceLimits`."""

    imager: str
    correlation_start: float
    correlation_end: float
    detail: float
    coverage: float
    second_mm: float
    second_deg: float
    restart_mm: float
    restart_deg: float


@dataclass(frozen=True, slots=True)
class PairFigures:
    """Everything that the verdict on a 2D/2D match hangs on.

    Attributes
    ----------
    disagreement_mm : float
        Between the two views along the axis that both see.
    sigma_mm, sigma_deg : float
        Greatest standard deviation of the translation and of the turns about the beams.
    translation_mm, rotation_deg : float
        The set-up error as far as the views tell it.
    """

    converged: bool
    views: tuple[PlaneFigures, PlaneFigures]
    disagreement_mm: float
    sigma_mm: float
    sigma_deg: float
    translation_mm: float
    rotation_deg: float


def judge_pair(figures: PairFigures, limits: PairAcceptanceLimits) -> tuple[Verdict, tuple[str, ...]]:
    """The verdict and its reasons: all that speak against the match, or what speaks for it."""
    failures = ["the search did not settle on one position"] if not figures.converged else []
    for view in figures.views:
        failures += _plane_failures(view, limits)
    if failures:
        return Verdict.FAILED, tuple(failures)
    doubts = [doubt for view in figures.views for doubt in _plane_doubts(view, limits)]
    doubts += _common_doubts(figures, limits)
    if doubts:
        return Verdict.DOUBTFUL, tuple(doubts)
    edges = ", ".join(f"{view.imager} {view.correlation_end:.2f}" for view in figures.views)
    details = ", ".join(f"{view.imager} {view.detail:.2f}" for view in figures.views)
    return Verdict.ACCEPTED, (
        f"radiographs and DRRs agree in edges (gradient correlation {edges}) and in details ({details})",
        "gradient correlation, a second search and both views lead to the same position",
    )


def _plane_failures(view: PlaneFigures, limits: PairAcceptanceLimits) -> list[str]:
    found = []
    if view.correlation_end < limits.failed_gradient_correlation:
        found.append(
            f"the radiograph of imager {view.imager} does not show what its DRR shows (gradient correlation "
            f"{view.correlation_end:.2f}, {limits.failed_gradient_correlation:.2f} is needed)"
        )
    elif view.detail < limits.failed_detail_agreement:
        found.append(
            f"the radiograph of imager {view.imager} has the outlines but not the details of its DRR (agreement "
            f"{view.detail:.2f}, {limits.failed_detail_agreement:.2f} is needed): is it this patient?"
        )
    return found


def _plane_doubts(view: PlaneFigures, limits: PairAcceptanceLimits) -> list[str]:
    found = []
    if view.correlation_end < limits.least_gradient_correlation or view.detail < limits.least_detail_agreement:
        found.append(
            f"the radiograph of imager {view.imager} agrees poorly with its DRR (edges {view.correlation_end:.2f}, "
            f"details {view.detail:.2f}): the patient may be turned out of the image plane"
        )
    if view.correlation_end < view.correlation_start - limits.largest_loss:
        found.append(f"imager {view.imager} agrees less at the found position than at the planned one")
    if view.second_mm > limits.second_metric_mm or view.second_deg > limits.second_metric_deg:
        found.append(
            f"gradient correlation would move the result of imager {view.imager} by {view.second_mm:.1f} mm and "
            f"{view.second_deg:.1f} degrees"
        )
    if view.restart_mm > limits.restart_mm or view.restart_deg > limits.restart_deg:
        found.append(
            f"a second search in the radiograph of imager {view.imager} ended {view.restart_mm:.1f} mm and "
            f"{view.restart_deg:.1f} degrees away"
        )
    if view.coverage < limits.least_coverage:
        found.append(f"only {100 * view.coverage:.0f} % of the radiograph of imager {view.imager} could be compared")
    return found


def _common_doubts(figures: PairFigures, limits: PairAcceptanceLimits) -> list[str]:
    found = []
    if figures.disagreement_mm > limits.disagreement_mm:
        found.append(f"the two views disagree by {figures.disagreement_mm:.1f} mm along the axis that both see")
    if figures.sigma_mm > limits.largest_sigma_mm or figures.sigma_deg > limits.largest_sigma_deg:
        found.append(
            f"the images hold too little to be sure (uncertain by {figures.sigma_mm:.1f} mm, "
            f"{figures.sigma_deg:.1f} degrees)"
        )
    if figures.translation_mm > limits.largest_translation_mm or figures.rotation_deg > limits.largest_rotation_deg:
        found.append(
            f"the set-up error is larger than plausible ({figures.translation_mm:.0f} mm, {figures.rotation_deg:.1f} "
            "degrees)"
        )
    return found
