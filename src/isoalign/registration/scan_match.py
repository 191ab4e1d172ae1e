"""The 3D/3D match: where a cone-beam or in-room CT shows the patient of the planning CT."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from isoalign.clock import Clock, SystemClock
from isoalign.geometry import Array, DicomPatient, Fixed, Pose, rotation_angle_deg
from isoalign.records import Match, Verdict, Volume, frozen_array
from isoalign.registration.capture import CaptureCheck
from isoalign.registration.errors import EmptyRegion, MatchCancelled, WrongFrameOfReference
from isoalign.registration.scan_information import (
    information_meter,
    information_offset,
    remapped,
    search_by_information,
)
from isoalign.registration.scan_levels import Mask, ScanLevel, scan_levels
from isoalign.registration.scan_prepared import PlannedPoints, PreparedScan
from isoalign.registration.scan_quality import PoseEquations, detail_of, halves_disagree, pose_equations
from isoalign.registration.scan_search import (
    ARM_MM,
    Fit,
    Found,
    ScanPose,
    best_of,
    first_look,
    fit_at,
    moved_about,
    refine_scan,
    step_length_mm,
    wide_starts,
)
from isoalign.registration.scan_settings import Metric
from isoalign.registration.scan_verdict import ScanFigures, judge_scan

Progress = Callable[[float, str], None]
Cancelled = Callable[[], bool]

WIDE_STEP_MM = 20.0
CAPTURED_MM = 1.0
AXIS_SIGNS = np.array([1.0, -1.0, 1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True, slots=True)
class ScanMatch:
    """Result of a 3D/3D match.

    Attributes
    ----------
    verification_from_planning : Pose[DicomPatient, DicomPatient]
        From the frame of reference of the planning CT to that of the volume of the day; what
        :func:`~isoalign.geometry.couch_move` takes.
    planning_frame_uid, verification_frame_uid : str
    metric : Metric
    figures : ScanFigures
    centre_mm : ndarray, shape (3,)
        Middle of the compared region in the planning frame.
    covariance : ndarray, shape (6, 6)
        Of (x, y, z) in mm and the rotation vector in rad, along the axes of the planning frame, about ``centre_mm``.
    second_opinion : ndarray, shape (6,)
        Where the other metric would move the result: mm, then degrees, as for ``covariance``.
    capture : CaptureCheck or None
        Only when it was asked for.
    """

    verification_from_planning: ScanPose
    planning_frame_uid: str
    verification_frame_uid: str
    metric: Metric
    verdict: Verdict
    reasons: tuple[str, ...]
    figures: ScanFigures
    centre_mm: Array
    covariance: Array
    second_opinion: Array
    iterations: int
    duration_s: float
    capture: CaptureCheck | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "centre_mm", frozen_array(self.centre_mm, (3,), "middle of a match"))
        object.__setattr__(self, "covariance", frozen_array(self.covariance, (6, 6), "covariance of a match"))
        object.__setattr__(self, "second_opinion", frozen_array(self.second_opinion, (6,), "second opinion"))

    def in_room(self, fixed_from_verification: Pose[Fixed, DicomPatient], planned: Pose[Fixed, DicomPatient]) -> Match:
        """The match as a set-up error in the room, with standard deviations at the isocentre.

        Parameters
        ----------
        fixed_from_verification : Pose[Fixed, DicomPatient]
            Where the frame of the volume of the day lay; see :func:`~isoalign.geometry.fixed_from_verification`.
        planned : Pose[Fixed, DicomPatient]
            Where the planning frame should be.
        """
        found = fixed_from_verification @ self.verification_from_planning
        arm = planned.inverse().apply(np.zeros(3)) - self.centre_mm
        turn = np.zeros((6, 6))
        turn[:3, :3] = turn[3:, 3:] = found.rotation
        turn[:3, 3:] = found.rotation @ -_cross_matrix(arm)
        spread = turn @ self.covariance @ turn.T
        sigma = np.sqrt(np.clip(np.diag(spread), 0.0, None))
        return Match(
            kind="3D/3D",
            planned=planned,
            found=found,
            verdict=self.verdict,
            reasons=self.reasons,
            views=(),
            iterations=self.iterations,
            converged=self.figures.settled,
            duration_s=self.duration_s,
            sigma_mm=sigma[:3],
            sigma_deg=np.rad2deg(sigma[3:]),
        )


def _cross_matrix(v: Array) -> Array:
    return np.array([[0.0, -v[2], v[1]], [v[2], 0.0, -v[0]], [-v[1], v[0], 0.0]])


def match_3d3d(
    prepared: PreparedScan,
    day: Volume,
    *,
    start: ScanPose | None = None,
    start_frames: tuple[str, str] | None = None,
    excluded: Mask | None = None,
    capture_starts: int = 0,
    progress: Progress | None = None,
    cancelled: Cancelled | None = None,
    clock: Clock | None = None,
) -> ScanMatch:
    """Find the rigid map that lays the planning CT onto a volume of the day.

    Parameters
    ----------
    prepared : PreparedScan
        From :func:`~isoalign.registration.prepare_scan`.
    day : Volume
        A cone-beam CT or in-room CT; its field of view may be smaller than the patient.
    start : Pose[DicomPatient, DicomPatient], optional
        Verification from planning; the frames are taken to coincide when omitted.
    start_frames : (str, str), optional
        Frames of reference (planning, verification) that the start belongs to, to be checked.
    excluded : ndarray, shape of ``day``, bool, optional
        Voxels of the day not to be used.
    capture_starts : int
        So many displaced starts are tried afterwards, to say how far the result is found again; 0 for none.
    progress, cancelled, clock
        As for :func:`~isoalign.registration.match_2d3d`.

    Raises
    ------
    VolumeTooThin, UndefinedVoxels, ConstantVolume, EmptyRegion, WrongFrameOfReference, MatchCancelled

    Notes
    -----
    Not valid where the patient bent between the volumes: the result is a compromise, and is doubtful when the halves of
    the region disagree. Equal input gives equal numbers, on any number of threads.
    """
    clock = clock or SystemClock()
    begun_s = clock.monotonic_s()
    if start_frames is not None and start_frames != (prepared.frame_of_reference_uid, day.frame_of_reference_uid):
        raise WrongFrameOfReference(
            "the start joins other frames of reference than those of the two volumes", start_frames=list(start_frames)
        )
    levels = scan_levels(day, tuple(level.spacing_mm for level in prepared.settings.levels), excluded)
    identity: ScanPose = Pose.identity(DicomPatient, DicomPatient)
    run = _Run(prepared, levels, start or identity, progress, cancelled)
    run.say(0.1, "volume of the day read")
    end = run.find()
    capture = run.capture(end.found.pose, capture_starts) if capture_starts else None
    run.say(1.0, f"match {end.verdict.value}")
    return ScanMatch(
        end.found.pose,
        prepared.frame_of_reference_uid,
        day.frame_of_reference_uid,
        prepared.settings.metric,
        end.verdict,
        end.reasons,
        end.figures,
        prepared.centre_mm,
        end.equations.covariance,
        end.second,
        end.found.iterations,
        clock.monotonic_s() - begun_s,
        capture,
    )


@dataclass(frozen=True, slots=True)
class _End:
    """Where a search ended, and what is thought of it."""

    found: Found
    figures: ScanFigures
    equations: PoseEquations
    second: Array
    verdict: Verdict
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Run:
    """One match in progress."""

    prepared: PreparedScan
    levels: tuple[ScanLevel, ...]
    start: ScanPose
    progress: Progress | None
    cancelled: Cancelled | None

    def say(self, fraction: float, text: str) -> None:
        if self.cancelled is not None and self.cancelled():
            raise MatchCancelled("the match was cancelled")
        if self.progress is not None:
            self.progress(fraction, text)

    def find(self) -> _End:
        """Coarse to fine; many more starts when what that leads to would not be accepted."""
        settings = self.prepared.settings
        if settings.metric is Metric.INFORMATION:
            found = search_by_information(self.prepared, self.levels, self.start, settings.search_mm)
            meter = information_meter(self.prepared, self.levels[-1])
            return self.judged(found, remapped(self.prepared, meter, found.pose))
        looks = first_look(self.prepared, self.levels[0], self.start, settings.search_mm, settings.search_step_mm)
        near = self.descend(looks)
        if near is not None and near.verdict is Verdict.ACCEPTED:
            return near
        self.say(0.3, "trying other starts")
        wide = [
            look
            for turned in wide_starts(self.prepared, self.start, settings.wide_search_deg)
            for look in first_look(self.prepared, self.levels[0], turned, settings.wide_search_mm, WIDE_STEP_MM)[1:3]
        ]
        ends = [end for end in (near, self.descend(wide)) if end is not None]
        if not ends:
            raise EmptyRegion("at no position that was tried does the volume of the day show the region")
        return max(ends, key=lambda end: end.found.fit.correlation)

    def descend(self, starts: list[ScanPose]) -> _End | None:
        """The best of several starts, refined to the finest level and judged; None where the day shows nothing."""
        try:
            best, iterations = best_of(self.prepared, self.levels, starts)
            if best is None:
                return None
            found = self.refined(best, iterations, min(2, len(self.levels) - 1))
            return self.judged(found, self.prepared.points[-1])
        except EmptyRegion:
            return None

    def refined(self, found: Found, iterations: int, first: int) -> Found:
        for number in range(first, len(self.levels)):
            found = refine_scan(self.prepared, number, self.levels[number], found.pose, model=found.fit.solution[6:])
            iterations += found.iterations
        return replace(found, iterations=iterations)

    def judged(self, found: Found, points: PlannedPoints) -> _End:
        """The verdict, and all that it hangs on."""
        pose = found.pose
        fit = fit_at(points, self.levels[-1], pose, found.fit.solution[6:])
        equations = pose_equations(points, fit)
        sigma = np.sqrt(np.diag(equations.covariance))
        second = self.second_opinion(pose, fit)
        halves_mm, halves_deg = halves_disagree(points, fit)
        motion = self.start.inverse() @ pose
        middle = self.prepared.centre_mm
        figures = ScanFigures(
            settled=found.settled,
            correlation=fit.correlation,
            detail=detail_of(points, fit),
            overlap=fit.overlap,
            second_mm=float(max(np.abs(second[:3]).max(), np.deg2rad(np.abs(second[3:]).max()) * ARM_MM)),
            halves_mm=halves_mm,
            halves_deg=halves_deg,
            restart_mm=self.restart(found),
            sigma_mm=sigma[:3],
            sigma_deg=np.rad2deg(sigma[3:]),
            condition=equations.condition,
            motion_mm=float(np.linalg.norm(motion.apply(middle) - middle)),
            motion_deg=rotation_angle_deg(motion.rotation),
        )
        return _End(found, figures, equations, second, *judge_scan(figures, self.prepared.settings.acceptance))

    def second_opinion(self, pose: ScanPose, fit: Fit) -> Array:
        """Where the metric that was not used would move the pose: mm, then degrees."""
        if self.prepared.settings.metric is Metric.INFORMATION:
            return np.concatenate([fit.step[:3], np.rad2deg(fit.step[3:])])
        return information_offset(information_meter(self.prepared, self.levels[-1]), pose, self.prepared.centre_mm)

    def restart(self, found: Found) -> float | None:
        """How far from the result a second search from a displaced start ends."""
        settings = self.prepared.settings
        away = AXIS_SIGNS.copy()
        away[:3] *= settings.restart_mm
        away[3:] *= np.deg2rad(settings.restart_deg)
        displaced = found.pose @ moved_about(self.prepared.centre_mm, away)
        try:
            if settings.metric is Metric.INFORMATION:
                again = search_by_information(self.prepared, self.levels, displaced, 0.0)
            else:
                again = replace(found, pose=displaced)
                again = self.refined(again, 0, max(0, len(self.levels) - 2))
        except EmptyRegion:
            return None
        return self.distance_mm(again.pose, found.pose) if again.settled else None

    def distance_mm(self, one: ScanPose, other: ScanPose) -> float:
        """Greatest distance between two poses at 80 mm from the middle of the region, at most."""
        left = other.inverse() @ one
        middle = self.prepared.centre_mm
        turn = np.deg2rad(rotation_angle_deg(left.rotation))
        return step_length_mm(np.array([*(left.apply(middle) - middle), turn, 0.0, 0.0]))

    def capture(self, pose: ScanPose, starts: int) -> CaptureCheck:
        """Search again from starts spread about the result."""
        settings = self.prepared.settings
        reach_mm, reach_deg = 0.6 * settings.search_mm, 8.0
        rng = np.random.default_rng(starts)
        ends = []
        for number in range(starts):
            away = np.concatenate(
                [rng.uniform(-reach_mm, reach_mm, 3), np.deg2rad(rng.uniform(-reach_deg, reach_deg, 3))]
            )
            displaced = replace(self, start=pose @ moved_about(self.prepared.centre_mm, away), progress=None)
            try:
                ends.append(self.distance_mm(displaced.find().found.pose, pose))
            except EmptyRegion:
                ends.append(float("inf"))
            self.say(0.7 + 0.3 * number / starts, f"start {number + 1} of {starts} tried")
        finite = [one for one in ends if np.isfinite(one)]
        return CaptureCheck(
            starts, sum(one < CAPTURED_MM for one in ends), reach_mm, reach_deg, max(finite, default=0.0)
        )
