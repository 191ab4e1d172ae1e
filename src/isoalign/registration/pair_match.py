"""The 2D/2D match: two radiographs against their two DRRs, each in its own plane, joined to one set-up error."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from isoalign.clock import Clock, SystemClock
from isoalign.geometry import (
    Array,
    DicomPatient,
    Fixed,
    ObservedResidual,
    Pose,
    residual_of,
)
from isoalign.records import Match, Radiograph, Verdict, frozen_array
from isoalign.registration.errors import MatchCancelled, WrongNumberOfViews
from isoalign.registration.marker_rays import require_angle
from isoalign.registration.pair_search import PlaneFit, PlaneMotion, coarse_motions, moved_drr, refine_motion
from isoalign.registration.pair_verdict import (
    DEFAULT_PAIR_LIMITS,
    PairAcceptanceLimits,
    PairFigures,
    PlaneFigures,
    judge_pair,
)
from isoalign.registration.pair_views import ImagePair, PairLevel, ReferenceImage, image_pair, pair_level
from isoalign.registration.quality import detail_agreement, smoothed_gradient_correlation
from isoalign.registration.unknown_parts import match_record

PatientPose = Pose[Fixed, DicomPatient]
Mask = npt.NDArray[np.bool_]
Progress = Callable[[float, str], None]
Cancelled = Callable[[], bool]

ARM_MM = 20.0
IN_PLANE = 1e-3
"""An axis of the fixed frame whose part outside the plane of the two beams is below this can be told."""
PROBE = np.array([0.5, 0.5, 0.5])
"""How far, mm and degrees, the second metric is probed to each side."""
SYSTEMATIC_MM, SYSTEMATIC_DEG = 0.04, 0.04
"""What no image tells: errors common to all parts of a view."""
JUDGED_LEVEL = 2
"""On which figures are measured; levels from here on know the magnification."""
DETAIL_MM = 5.0
SETTLED = 0.1
"""Largest last step, mm or degrees, of a search that has come to rest."""


@dataclass(frozen=True, slots=True)
class PairMatchSettings:
    """Settings of :func:`match_2d2d`.

    Attributes
    ----------
    pixels_mm, windows_mm : tuple of float
        Resolutions from coarse to fine, at the isocentre, and the half width of the window whose mean is taken off.
    search_range_mm, search_turn_deg : float
        How far from the planned position is searched.
    restart_mm, restart_deg : float
        Displacement of the start of the control search.
    acceptance : PairAcceptanceLimits
    """

    pixels_mm: tuple[float, ...] = (4.0, 2.0, 1.0, 0.5)
    windows_mm: tuple[float, ...] = (60.0, 30.0, 12.0, 10.0)
    search_range_mm: float = 40.0
    search_turn_deg: float = 8.0
    restart_mm: float = 3.0
    restart_deg: float = 2.0
    acceptance: PairAcceptanceLimits = DEFAULT_PAIR_LIMITS


DEFAULT_PAIR_SETTINGS = PairMatchSettings()


@dataclass(frozen=True, slots=True)
class PlaneMatch:
    """What one view tells.

    Attributes
    ----------
    shift_px : (float, float)
        Of the patient against the DRR at the isocentre, in pixels of the radiograph along columns and rows.
    motion : PlaneMotion
        The same in mm at the isocentre, and the turn.
    covariance : ndarray, shape (3, 3)
        mm, mm, degrees.
    figures : PlaneFigures
    """

    imager: str
    shift_px: tuple[float, float]
    motion: PlaneMotion
    covariance: Array
    figures: PlaneFigures


@dataclass(frozen=True, slots=True)
class PairMatch:
    """Result of a 2D/2D match.

    Attributes
    ----------
    planned, found : Pose[Fixed, DicomPatient]
        Where the patient of the DRRs should be, and is. About the axis across both beams the rotation of ``found`` is
        the planned one: no image tells it.
    observed : ObservedResidual
        The set-up error about the isocentre; rotations that the views do not tell are None.
    views : (PlaneMatch, PlaneMatch)
    covariance : ndarray, shape (5, 5)
        Of the translation (mm) and of the turns about the two beams (degrees).
    condition : float
        Ratio of the greatest to the least eigenvalue of the equations that join the views.
    """

    planned: PatientPose
    found: PatientPose
    observed: ObservedResidual
    views: tuple[PlaneMatch, PlaneMatch]
    covariance: Array
    sigma_deg: Array
    condition: float
    figures: PairFigures
    verdict: Verdict
    reasons: tuple[str, ...]
    iterations: int
    duration_s: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "covariance", frozen_array(self.covariance, (5, 5), "covariance of a match"))
        object.__setattr__(self, "sigma_deg", frozen_array(self.sigma_deg, (3,), "sigma_deg"))

    @property
    def sigma_mm(self) -> Array:
        """One standard deviation of the translation, shape (3,)."""
        return np.asarray(np.sqrt(np.diag(self.covariance)[:3]))

    def as_match(self, *, unknown_as_planned: bool = False) -> Match:
        """The match as the record that the session and the DICOM export take.

        Parameters
        ----------
        unknown_as_planned : bool
            Whether rotations that the views do not tell may stand in the record as planned; their standard deviation
            is 180 degrees then.

        Raises
        ------
        isoalign.geometry.NotObservable
            When a rotation is not known and that was not said.
        """
        return match_record(
            "2D/2D",
            self.planned,
            self.found,
            self.observed,
            (self.verdict, self.reasons),
            self.sigma_mm,
            self.sigma_deg,
            unknown_as_planned=unknown_as_planned,
            iterations=self.iterations,
            converged=self.figures.converged,
            duration_s=self.duration_s,
        )


def match_2d2d(
    references: Sequence[ReferenceImage],
    radiographs: Sequence[Radiograph],
    planned: PatientPose,
    *,
    regions: Sequence[Mask | None] = (None, None),
    settings: PairMatchSettings = DEFAULT_PAIR_SETTINGS,
    progress: Progress | None = None,
    cancelled: Cancelled | None = None,
    clock: Clock | None = None,
) -> PairMatch:
    """Match two radiographs to the DRRs of the planned position.

    Parameters
    ----------
    references : sequence of two ReferenceImage
        Rendered at ``planned`` with the geometry of the imagers, in the order of the radiographs.
    radiographs : sequence of two Radiograph
        At least 45 degrees apart.
    planned : Pose[Fixed, DicomPatient]
        Where the patient of the DRRs should be.
    regions : sequence of ndarray or None
        Regions of interest, shape (rows, columns) of each radiograph.
    settings : PairMatchSettings
    progress : callable, optional
        Called with a fraction, 0 to 1, and a few words.
    cancelled : callable, optional
        Asked before every step; true ends the match with :class:`MatchCancelled`.
    clock : Clock, optional
        Measures the duration.

    Raises
    ------
    WrongNumberOfViews, ViewsTooParallel, ImagesDoNotFit, BlankRadiograph, EmptyRegion, MatchCancelled

    Notes
    -----
    Each view gives two shifts and a turn about its beam. Out-of-plane rotations change the shape of the image and are
    not modelled: valid up to about 2 degrees of them, beyond which the details stop agreeing and the match is doubted.
    """
    clock = clock or SystemClock()
    begun_s = clock.monotonic_s()
    if len(references) != 2 or len(radiographs) != 2 or len(regions) != 2:
        raise WrongNumberOfViews(
            f"a 2D/2D match needs two DRRs and two radiographs, not {len(references)} and {len(radiographs)}",
            views=len(radiographs),
        )
    require_angle(radiographs[0].geometry, radiographs[1].geometry)
    first, second = (
        image_pair(reference, radiograph, region)
        for reference, radiograph, region in zip(references, radiographs, regions, strict=True)
    )

    def poll() -> None:
        if cancelled is not None and cancelled():
            raise MatchCancelled("the match was cancelled")

    searches = []
    for number, pair in enumerate((first, second)):
        poll()
        if progress is not None:
            progress(0.05 + 0.3 * number, f"imager {pair.imager}")
        searches.append(_Search.begun(pair, settings, poll))
    pairs = (first, second)
    shift_mm = _solved(pairs, (searches[0].fit, searches[1].fit)).x[:3]
    if progress is not None:
        progress(0.65, "position found, checking it")
    planes = tuple(one.finished(shift_mm, settings, poll) for one in searches)
    joined = _joined(pairs, (planes[0], planes[1]), planned, settings, lambda: clock.monotonic_s() - begun_s)
    if progress is not None:
        progress(1.0, f"match {joined.verdict.value}")
    return joined


@dataclass(frozen=True, slots=True)
class _Search:
    """One view whose shift and turn are found."""

    pair: ImagePair
    levels: tuple[PairLevel, ...]
    fit: PlaneFit
    iterations: int

    @classmethod
    def begun(cls, pair: ImagePair, settings: PairMatchSettings, poll: Callable[[], None]) -> _Search:
        """Search wide, then refine at the coarse levels."""
        levels = tuple(pair_level(pair, *size) for size in zip(settings.pixels_mm, settings.windows_mm, strict=True))
        turns = np.arange(-settings.search_turn_deg, settings.search_turn_deg + 1e-6, 2.0)
        starts = coarse_motions(levels[0], settings.search_range_mm, [float(turn) for turn in turns])
        fits = [_refined(levels[:2], start, poll) for start in (PlaneMotion(), *starts)]
        best = max(fits, key=lambda fit: fit.similarity)
        return cls(pair, levels, best, sum(fit.iterations for fit in fits))

    def finished(self, shift_mm: Array, settings: PairMatchSettings, poll: Callable[[], None]) -> _Plane:
        """Refine with the magnification that the other view tells, and measure how far the result may be trusted."""
        nearer_mm = -float(self.pair.beam @ shift_mm)
        scale = 1.0 / (1.0 - nearer_mm / float(np.linalg.norm(self.pair.geometry.source_mm)))
        fit = _refined(self.levels[2:], replace(self.fit.motion, scale=scale), poll)
        away = np.array([settings.restart_mm, -settings.restart_mm, settings.restart_deg])
        again = _refined(self.levels[1:], fit.motion.plus(away), poll)
        judged = self.levels[JUDGED_LEVEL]
        moved = moved_drr(judged, fit.motion)
        second = _second_opinion(judged, fit.motion)
        restart = again.motion.values() - fit.motion.values()
        figures = PlaneFigures(
            imager=self.pair.imager,
            correlation_start=smoothed_gradient_correlation(judged.view, judged.drr),
            correlation_end=smoothed_gradient_correlation(judged.view, moved),
            detail=detail_agreement(pair_level(self.pair, settings.pixels_mm[JUDGED_LEVEL], DETAIL_MM).view, moved),
            coverage=float(np.mean((judged.view.mask > 0) & (moved > 0.05))),
            second_mm=float(np.hypot(second[0], second[1])),
            second_deg=abs(float(second[2])),
            restart_mm=float(np.hypot(restart[0], restart[1])),
            restart_deg=abs(float(restart[2])),
        )
        shift_px = (fit.motion.column_mm / self.pair.pixel_mm, fit.motion.row_mm / self.pair.pixel_mm)
        match = PlaneMatch(self.pair.imager, shift_px, fit.motion, _with_systematic(fit.covariance), figures)
        return _Plane(match, fit, self.iterations + fit.iterations)


@dataclass(frozen=True, slots=True)
class _Plane:
    match: PlaneMatch
    fit: PlaneFit
    iterations: int


def _with_systematic(covariance: Array) -> Array:
    return covariance + np.diag([SYSTEMATIC_MM**2, SYSTEMATIC_MM**2, SYSTEMATIC_DEG**2])


def _refined(levels: Sequence[PairLevel], start: PlaneMotion, poll: Callable[[], None]) -> PlaneFit:
    motion, fit = start, None
    for level in levels:
        fine = level.pixel_mm < 1.5
        fit = refine_motion(
            level,
            motion,
            robust_scale=2.5 if fine else 3.5,
            most_iterations=(4 if level.pixel_mm < 0.75 else 10) if fine else 20,
            bent=fine,
            poll=poll,
        )
        motion = fit.motion
    assert fit is not None  # there is at least one level
    return fit


def _second_opinion(level: PairLevel, motion: PlaneMotion) -> Array:
    """Where gradient correlation would move the result: the top of a parabola through three values on each axis."""
    middle = smoothed_gradient_correlation(level.view, moved_drr(level, motion))
    away = np.zeros(3)
    for axis in range(3):
        step = np.zeros(3)
        step[axis] = PROBE[axis]
        more = smoothed_gradient_correlation(level.view, moved_drr(level, motion.plus(step)))
        less = smoothed_gradient_correlation(level.view, moved_drr(level, motion.plus(-step)))
        bend = 2.0 * middle - more - less
        away[axis] = PROBE[axis] * (
            np.clip(0.5 * (more - less) / bend, -2.0, 2.0) if bend > 1e-6 else np.sign(more - less)
        )
    return away


@dataclass(frozen=True, slots=True)
class _Solved:
    """The motion that suits both views best: x is a translation (mm) and turns about both beams (degrees)."""

    x: Array
    covariance: Array
    jacobian: Array
    left: Array


def _solved(pairs: tuple[ImagePair, ImagePair], fits: tuple[PlaneFit, PlaneFit]) -> _Solved:
    """Least squares on the motions in both planes."""
    measured = np.concatenate([fit.motion.values() for fit in fits])
    weight = np.zeros((6, 6))
    for number, fit in enumerate(fits):
        block = slice(3 * number, 3 * number + 3)
        weight[block, block] = np.linalg.inv(_with_systematic(fit.covariance))
    beams = _beams(pairs)
    x: Array = np.zeros(5)
    for _ in range(6):
        expected = _plane_motions(pairs, beams, x)
        jacobian = np.stack(
            [(_plane_motions(pairs, beams, x + 1e-3 * axis) - expected) / 1e-3 for axis in np.eye(5)], axis=1
        )
        normal = jacobian.T @ weight @ jacobian
        x = np.asarray(x + np.linalg.solve(normal, jacobian.T @ weight @ (measured - expected)))
    return _Solved(
        x, np.asarray(np.linalg.inv(normal), dtype=np.float64), jacobian, measured - _plane_motions(pairs, beams, x)
    )


def _beams(pairs: tuple[ImagePair, ImagePair]) -> Array:
    return np.stack([pair.beam for pair in pairs], axis=1)


def _joined(
    pairs: tuple[ImagePair, ImagePair],
    planes: tuple[_Plane, _Plane],
    planned: PatientPose,
    settings: PairMatchSettings,
    duration_s: Callable[[], float],
) -> PairMatch:
    """One translation and the turns about both beams, judged."""
    solved = _solved(pairs, (planes[0].fit, planes[1].fit))
    x, covariance, beams = solved.x, solved.covariance, _beams(pairs)
    error = Pose(Fixed, Fixed, _turned_about(beams @ x[3:]), x[:3])
    observed, sigma_deg = _observed(x, beams, covariance)
    residual = residual_of(error)
    views = (planes[0].match, planes[1].match)
    figures = PairFigures(
        converged=all(one.fit.last_step < SETTLED for one in planes),
        views=(views[0].figures, views[1].figures),
        disagreement_mm=_disagreement_mm(pairs, solved.left),
        sigma_mm=float(np.sqrt(np.diag(covariance)[:3].max())),
        sigma_deg=float(np.sqrt(np.diag(covariance)[3:].max())),
        translation_mm=residual.distance_mm,
        rotation_deg=residual.angle_deg,
    )
    verdict, reasons = judge_pair(figures, settings.acceptance)
    scale = np.array([1.0, 1.0, 1.0, np.deg2rad(80.0), np.deg2rad(80.0)])
    eigenvalues = np.linalg.eigvalsh((solved.jacobian.T @ solved.jacobian) / np.outer(scale, scale))
    return PairMatch(
        planned,
        error @ planned,
        observed,
        views,
        covariance,
        sigma_deg,
        float(eigenvalues[-1] / eigenvalues[0]),
        figures,
        verdict,
        reasons,
        sum(one.iterations for one in planes),
        duration_s(),
    )


def _disagreement_mm(pairs: tuple[ImagePair, ImagePair], left: Array) -> float:
    """How far apart the two views put the patient along the axis that both see at right angles."""
    common = np.cross(pairs[0].beam, pairs[1].beam)
    common /= np.linalg.norm(common)
    seen = []
    for number, pair in enumerate(pairs):
        before, after = pair.geometry.project(np.stack([np.zeros(3), common]))
        way = (after - before) * pair.pixel_mm
        seen.append(float(left[3 * number : 3 * number + 2] @ way) / float(way @ way))
    return abs(seen[0] - seen[1])


def _plane_motions(pairs: tuple[ImagePair, ImagePair], beams: Array, x: Array) -> Array:
    """What a translation (mm) and turns about the beams (degrees) do in both image planes: mm, mm, degrees each."""
    turn = _turned_about(beams @ x[3:])
    found = []
    for pair in pairs:
        across = pair.geometry.fixed_from_receptor.rotation[:, 0]
        across = across - pair.beam * (across @ pair.beam)
        before = pair.geometry.project(np.stack([np.zeros(3), ARM_MM * across]))
        after = pair.geometry.project(np.stack([x[:3], x[:3] + turn @ (ARM_MM * across)]))
        shift = (after[0] - before[0]) * pair.pixel_mm
        one, other = before[1] - before[0], after[1] - after[0]
        angle = np.rad2deg(np.arctan2(one[0] * other[1] - one[1] * other[0], one @ other))
        found.extend([float(shift[0]), float(shift[1]), float(angle)])
    return np.array(found)


def _observed(x: Array, beams: Array, covariance: Array) -> tuple[ObservedResidual, Array]:
    """The set-up error axis by axis, None for a rotation about an axis outside the plane of the beams."""
    u, _, _ = np.linalg.svd(beams, full_matrices=False)
    outside = np.linalg.norm(np.eye(3) - u @ u.T, axis=0)
    vector = beams @ x[3:]
    sigma = np.sqrt(np.diag(beams @ covariance[3:, 3:] @ beams.T))
    known = outside < IN_PLANE
    turns = [float(value) if told else None for value, told in zip(vector, known, strict=True)]
    shifts = [float(value) for value in x[:3]]
    return ObservedResidual(*shifts, *turns), np.where(known, sigma, 180.0)


def _turned_about(vector_deg: Array) -> Array:
    """The rotation matrix of a rotation vector in degrees."""
    return np.asarray(Rotation.from_rotvec(vector_deg, degrees=True).as_matrix())
