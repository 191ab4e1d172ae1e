"""Matches that tell only a part of the pose, as the record that needs a whole one: only when that is said aloud."""

from __future__ import annotations

from isoalign.geometry import Array, DicomPatient, Fixed, NotObservable, ObservedResidual, Pose
from isoalign.records import Match, Verdict


def match_record(
    kind: str,
    planned: Pose[Fixed, DicomPatient],
    found: Pose[Fixed, DicomPatient],
    observed: ObservedResidual,
    judged: tuple[Verdict, tuple[str, ...]],
    sigma_mm: Array,
    sigma_deg: Array,
    *,
    unknown_as_planned: bool,
    iterations: int,
    converged: bool,
    duration_s: float,
) -> Match:
    """The record of a match, if all of its pose is known or the planned values may stand for what is not.

    Raises
    ------
    isoalign.geometry.NotObservable
        Names the components that are not available.
    """
    missing = observed.not_available
    if missing and not unknown_as_planned:
        raise NotObservable(f"not available from these images: {', '.join(missing)}", missing=missing)
    verdict, reasons = judged
    if missing:
        reasons = (*reasons, f"taken as planned, for nothing tells them: {', '.join(missing)}")
    return Match(
        kind=kind,
        planned=planned,
        found=found,
        verdict=verdict,
        reasons=reasons,
        views=(),
        iterations=iterations,
        converged=converged,
        duration_s=duration_s,
        sigma_mm=sigma_mm,
        sigma_deg=sigma_deg,
        not_available=missing,
    )
