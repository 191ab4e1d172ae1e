"""From the figures of a 3D/3D match to a verdict with reasons in plain words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from isoalign.geometry import Array
from isoalign.records import Verdict
from isoalign.registration.scan_settings import ScanAcceptanceLimits


@dataclass(frozen=True, slots=True)
class ScanFigures:
    """Everything that the verdict on a 3D/3D match hangs on.

    Attributes
    ----------
    settled : bool
        Whether the search ended on one position.
    correlation, detail : float
        Of plan and day over all compared edges, and in the lowest fifth of their parts.
    overlap : float
        Part of the compared edges that the day shows.
    second_mm : float
        Greatest motion, at 80 mm from the middle, that the other metric asks for along or about one axis.
    halves_mm, halves_deg : float
        Greatest motion that one half of the region alone asks for.
    restart_mm : float or None
        How far, at 80 mm from the middle, a second search from a displaced start ended; None when it ended nowhere.
    sigma_mm, sigma_deg : ndarray, shape (3,)
    condition : float
    motion_mm, motion_deg : float
        From the start to the result, at the middle of the region.
    """

    settled: bool
    correlation: float
    detail: float
    overlap: float
    second_mm: float
    halves_mm: float
    halves_deg: float
    restart_mm: float | None
    sigma_mm: Array
    sigma_deg: Array
    condition: float
    motion_mm: float
    motion_deg: float


def judge_scan(figures: ScanFigures, limits: ScanAcceptanceLimits) -> tuple[Verdict, tuple[str, ...]]:
    """The verdict and its reasons: all that speak against the match, or what speaks for it."""
    failures = _failures(figures, limits)
    if failures:
        return Verdict.FAILED, tuple(failures)
    doubts = [*_likeness_doubts(figures, limits), *_pose_doubts(figures, limits)]
    if doubts:
        return Verdict.DOUBTFUL, tuple(doubts)
    return Verdict.ACCEPTED, (
        f"the volumes agree at edges (correlation {figures.correlation:.2f}) and in their parts ({figures.detail:.2f})",
        "the second metric, each half of the region alone and a second search lead to the same position",
    )


def _failures(figures: ScanFigures, limits: ScanAcceptanceLimits) -> list[str]:
    found = []
    if not figures.settled:
        found.append("the search did not settle on one position")
    if figures.correlation < limits.failed_correlation:
        found.append(
            f"the volumes do not show the same at any position that was tried (correlation {figures.correlation:.2f}, "
            f"{limits.failed_correlation:.2f} is needed)"
        )
    elif figures.detail < limits.failed_detail:
        found.append(
            f"the volumes share outlines but not details (agreement {figures.detail:.2f}, {limits.failed_detail:.2f} "
            "is needed): is it this patient?"
        )
    return found


def _likeness_doubts(figures: ScanFigures, limits: ScanAcceptanceLimits) -> list[str]:
    found = []
    if figures.correlation < limits.least_correlation:
        found.append(
            f"the volumes agree poorly at edges (correlation {figures.correlation:.2f}, {limits.least_correlation:.2f} "
            "is expected)"
        )
    if figures.detail < limits.least_detail:
        found.append(
            f"parts of the volumes differ (agreement {figures.detail:.2f}, {limits.least_detail:.2f} is expected)"
        )
    if figures.overlap < limits.least_overlap:
        found.append(f"the volume of the day shows only {100 * figures.overlap:.0f} % of the region")
    if figures.second_mm > limits.second_metric_mm:
        found.append(f"the second metric would move the result by {figures.second_mm:.1f} mm along or about one axis")
    if figures.halves_mm > limits.parts_mm or figures.halves_deg > limits.parts_deg:
        found.append(
            f"one half of the region alone disagrees by {figures.halves_mm:.1f} mm and {figures.halves_deg:.1f} degrees"
            ": the patient may have bent"
        )
    return found


def _pose_doubts(figures: ScanFigures, limits: ScanAcceptanceLimits) -> list[str]:
    found = []
    if figures.restart_mm is None:
        found.append("no second search confirmed the result")
    elif figures.restart_mm > limits.restart_mm:
        found.append(f"a second search from another start ended {figures.restart_mm:.1f} mm away")
    sigma_mm, sigma_deg = float(np.max(figures.sigma_mm)), float(np.max(figures.sigma_deg))
    if sigma_mm > limits.largest_sigma_mm or sigma_deg > limits.largest_sigma_deg:
        found.append(
            f"the region holds too little to be sure (uncertain by {sigma_mm:.1f} mm, {sigma_deg:.1f} degrees)"
        )
    if figures.condition > limits.largest_condition:
        found.append(f"the region hardly tells some motion (condition {figures.condition:.0f})")
    if figures.motion_mm > limits.largest_translation_mm or figures.motion_deg > limits.largest_rotation_deg:
        found.append(
            f"the motion is larger than plausible ({figures.motion_mm:.0f} mm, {figures.motion_deg:.1f} degrees "
            "from the start)"
        )
    return found
