"""From figures to a verdict with reasons in plain words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from isoalign.geometry import Array, RigidResidual
from isoalign.records import Verdict
from isoalign.registration.settings import AcceptanceLimits


@dataclass(frozen=True, slots=True)
class ViewFigures:
    """What is known of one view at the end.

    Attributes
    ----------
    correlation_start, correlation_end : float
        Gradient correlation at the planned and at the found pose.
    detail : float
        Agreement of small parts of radiograph and DRR at the found pose.
    coverage : float
        Part of the radiograph that sees the CT and is used.
    alone : RigidResidual or None
        Where this view alone would put the patient, against the common solution; None where there is no other view.
    opinion_mm : float
        How far across the line of sight the gradient correlation has its maximum.
    """

    imager: str
    correlation_start: float
    correlation_end: float
    detail: float
    coverage: float
    alone: RigidResidual | None
    opinion_mm: float


@dataclass(frozen=True, slots=True)
class Figures:
    """Everything that the verdict hangs on.

    Attributes
    ----------
    error : RigidResidual
        The set-up error that was found.
    restart : RigidResidual or None
        Where a second search from a displaced start ended, against the solution; None when it was not made.
    opinion_deg : float
        How far turned the gradient correlation of the views has its maximum.
    """

    converged: bool
    strayed: bool
    error: RigidResidual
    views: tuple[ViewFigures, ...]
    restart: RigidResidual | None
    sigma_mm: Array
    sigma_deg: Array
    condition: float
    opinion_deg: float


def judge(figures: Figures, limits: AcceptanceLimits) -> tuple[Verdict, tuple[str, ...]]:
    """The verdict and its reasons: all that speak against the match, or what speaks for it."""
    failures = _failures(figures, limits)
    if failures:
        return Verdict.FAILED, tuple(failures)
    doubts = [*_view_doubts(figures.views, limits), *_pose_doubts(figures, limits)]
    if doubts:
        return Verdict.DOUBTFUL, tuple(doubts)
    edges = ", ".join(f"{view.imager} {view.correlation_end:.2f}" for view in figures.views)
    details = ", ".join(f"{view.imager} {view.detail:.2f}" for view in figures.views)
    return Verdict.ACCEPTED, (
        f"radiographs and DRRs agree in edges (gradient correlation {edges}) and in details ({details})",
        "each view alone, a second metric and a second search from another start lead to the same position"
        if len(figures.views) > 1
        else "a second metric and a second search from another start lead to the same position",
    )


def _failures(figures: Figures, limits: AcceptanceLimits) -> list[str]:
    found = []
    if figures.strayed:
        found.append("the search left the neighbourhood of the planned position")
    elif not figures.converged:
        found.append("the search did not settle on one position")
    for view in figures.views:
        if view.correlation_end < limits.failed_gradient_correlation:
            found.append(
                f"the radiograph of imager {view.imager} does not show what the CT predicts, at any position that was "
                f"tried (gradient correlation {view.correlation_end:.2f}, {limits.failed_gradient_correlation:.2f} is "
                "needed)"
            )
        elif view.detail < limits.failed_detail_agreement:
            found.append(
                f"the radiograph of imager {view.imager} has the outlines but not the details that the CT predicts "
                f"(agreement {view.detail:.2f}, {limits.failed_detail_agreement:.2f} is needed): is it this patient?"
            )
    return found


def _view_doubts(views: Sequence[ViewFigures], limits: AcceptanceLimits) -> list[str]:
    found = []
    for view in views:
        if view.correlation_end < limits.least_gradient_correlation:
            found.append(
                f"the radiograph of imager {view.imager} agrees poorly with the CT (gradient correlation "
                f"{view.correlation_end:.2f}, {limits.least_gradient_correlation:.2f} is expected)"
            )
        if view.detail < limits.least_detail_agreement:
            found.append(
                f"details in the radiograph of imager {view.imager} differ from the CT (agreement {view.detail:.2f}, "
                f"{limits.least_detail_agreement:.2f} is expected)"
            )
        if view.correlation_end < view.correlation_start - limits.largest_loss:
            found.append(
                f"imager {view.imager} agrees less at the found position ({view.correlation_end:.2f}) than at the "
                f"planned one ({view.correlation_start:.2f})"
            )
        if view.coverage < limits.least_coverage:
            found.append(f"only {100 * view.coverage:.0f} % of the radiograph of imager {view.imager} could be used")
        alone = view.alone
        if alone and (alone.distance_mm > limits.view_distance_mm or alone.angle_deg > limits.view_angle_deg):
            found.append(
                f"imager {view.imager} alone disagrees with the common result by {alone.distance_mm:.1f} mm and "
                f"{alone.angle_deg:.1f} degrees"
            )
        if view.opinion_mm > limits.opinion_distance_mm:
            found.append(
                f"the edges in the radiograph of imager {view.imager} would fit best {view.opinion_mm:.1f} mm away"
            )
    return found


def _pose_doubts(figures: Figures, limits: AcceptanceLimits) -> list[str]:
    found = []
    largest_mm = float(np.abs(figures.error.translation_mm).max())
    largest_deg = float(np.abs(figures.error.rotation_vector_deg).max())
    if largest_mm > limits.largest_translation_mm or largest_deg > limits.largest_rotation_deg:
        found.append(
            f"the set-up error is larger than plausible ({largest_mm:.0f} mm, {largest_deg:.1f} degrees on one axis)"
        )
    restart = figures.restart
    if restart is None:
        found.append("no second search confirmed the result")
    elif restart.distance_mm > limits.restart_distance_mm or restart.angle_deg > limits.restart_angle_deg:
        found.append(
            f"a second search from another start ended {restart.distance_mm:.1f} mm and {restart.angle_deg:.1f} "
            "degrees away"
        )
    if figures.opinion_deg > limits.opinion_angle_deg:
        found.append(f"the edges in the radiographs would fit best turned by {figures.opinion_deg:.1f} degrees")
    sigma_mm, sigma_deg = float(figures.sigma_mm.max()), float(figures.sigma_deg.max())
    if sigma_mm > limits.largest_sigma_mm or sigma_deg > limits.largest_sigma_deg:
        found.append(f"the images hold too little to be sure (uncertain by {sigma_mm:.1f} mm, {sigma_deg:.1f} degrees)")
    if figures.condition > limits.largest_condition:
        found.append(f"the images leave a motion open (condition {figures.condition:.0f})")
    return found
