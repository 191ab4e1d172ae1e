"""The 2D/3D match: where two radiographs show the patient of the planning CT."""

from __future__ import annotations

from collections.abc import Sequence

from isoalign.clock import Clock, SystemClock
from isoalign.records import Match, Radiograph, Verdict
from isoalign.registration.capture import CaptureCheck
from isoalign.registration.match_run import Cancelled, MatchRun, Progress
from isoalign.registration.prepared import PreparedVolume
from isoalign.registration.search import PatientPose
from isoalign.registration.settings import DEFAULT_SETTINGS, MatchSettings
from isoalign.registration.verdict import judge
from isoalign.registration.views import PixelMask, usable_views


def match_2d3d(
    prepared: PreparedVolume,
    radiographs: Sequence[Radiograph],
    planned: PatientPose,
    *,
    regions: Sequence[PixelMask | None] | None = None,
    settings: MatchSettings = DEFAULT_SETTINGS,
    progress: Progress | None = None,
    cancelled: Cancelled | None = None,
    clock: Clock | None = None,
) -> Match:
    """Find the pose at which the planning CT explains two radiographs.

    Parameters
    ----------
    prepared : PreparedVolume
        From :func:`~isoalign.registration.prepare`.
    radiographs : sequence of two Radiograph
        Taken with the couch at rest, at least 45 degrees apart.
    planned : Pose[Fixed, DicomPatient]
        Where the patient should be; the search starts there.
    regions : sequence of ndarray, shape (rows, columns), bool, or None, optional
        For each radiograph, the pixels that may be used.
    settings : MatchSettings
    progress : callable, optional
        Called with a fraction, 0 to 1, and a few words.
    cancelled : callable, optional
        Asked before every step; true ends the match with :class:`MatchCancelled`.
    clock : Clock, optional
        Measures the duration.

    Returns
    -------
    Match
        With verdict and reasons; only an accepted one may move the couch. Equal input gives equal numbers, on any
        number of threads.

    Raises
    ------
    WrongNumberOfViews, ViewsTooParallel, BlankRadiograph, EmptyRegion, NothingInView, MatchCancelled

    Notes
    -----
    Gauss-Newton on locally normalised line integrals with analytic pose derivatives and Cauchy weights, in three
    resolutions. Rays that leave the CT where it is cut through the body, and pixels behind the blades of a rectangular
    collimator, are left out. A match that would not be accepted is tried again from other starts.
    """
    clock = clock or SystemClock()
    begun_s = clock.monotonic_s()
    run = MatchRun(prepared, usable_views(radiographs, regions), planned, settings, progress, cancelled)
    run.say(0.02, "radiographs checked")
    run.require_patient_in_view()
    refined, iterations, wide = run.search()
    run.say(0.60, "position found, checking it")
    figures, pictures = run.measure(refined)
    verdict, reasons = judge(figures, settings.acceptance)
    if verdict is not Verdict.ACCEPTED and not wide:
        other, more, _ = run.search(wide=True)
        iterations += more
        if not other.strayed and (refined.strayed or other.similarity > refined.similarity):
            refined = other
            figures, pictures = run.measure(refined)
            verdict, reasons = judge(figures, settings.acceptance)
    run.say(1.0, f"match {verdict.value}")
    return Match(
        kind="2D/3D",
        planned=planned,
        found=refined.pose,
        verdict=verdict,
        reasons=reasons,
        views=pictures,
        iterations=iterations,
        converged=figures.converged,
        duration_s=clock.monotonic_s() - begun_s,
        sigma_mm=figures.sigma_mm,
        sigma_deg=figures.sigma_deg,
    )


def check_capture(
    prepared: PreparedVolume,
    radiographs: Sequence[Radiograph],
    match: Match,
    *,
    starts: int = 10,
    regions: Sequence[PixelMask | None] | None = None,
    settings: MatchSettings = DEFAULT_SETTINGS,
    progress: Progress | None = None,
    cancelled: Cancelled | None = None,
) -> CaptureCheck:
    """Repeat the search of a match from displaced starts, and say how many come back.

    Parameters
    ----------
    prepared, radiographs, regions, settings, progress, cancelled
        As for :func:`match_2d3d`.
    match : Match
        What it returned.
    starts : int
        Spread over 20 mm and 8 degrees to each side on every axis; the same number gives the same starts.

    Raises
    ------
    WrongNumberOfViews, ViewsTooParallel, BlankRadiograph, EmptyRegion, MatchCancelled
    """
    views = usable_views(radiographs, regions)
    return MatchRun(prepared, views, match.planned, settings, progress, cancelled).capture(match.found, starts)
