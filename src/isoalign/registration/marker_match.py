"""The marker match: where two kV images show the patient by implanted markers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from isoalign.clock import Clock, SystemClock
from isoalign.geometry import (
    Array,
    DicomPatient,
    Fixed,
    ObservedResidual,
    Pose,
    ProjectionGeometry,
    observed_completely,
    residual_of,
    rotation_angle_deg,
)
from isoalign.records import MarkerState, Match, Radiograph, Verdict, frozen_array
from isoalign.registration.errors import WrongNumberOfViews
from isoalign.registration.marker_correspondence import (
    DEFAULT_REACH,
    Assignment,
    Candidates,
    Reach,
    assignments,
    best_rigid,
    pair_candidates,
    with_migrated,
)
from isoalign.registration.marker_errors import MarkersNotFound
from isoalign.registration.marker_image import (
    DEFAULT_IMAGE_SETTINGS,
    ImageMarkers,
    ImageMarkerSettings,
    detect_markers_in_image,
    magnification,
)
from isoalign.registration.marker_planned import PlannedMarkers, tell_rotation
from isoalign.registration.marker_rays import require_angle
from isoalign.registration.marker_shape import DEFAULT_SHAPE, MarkerShape
from isoalign.registration.marker_verdict import (
    DEFAULT_MARKER_LIMITS,
    MarkerAcceptanceLimits,
    MarkerFigures,
    judge_markers,
)
from isoalign.registration.search import moved
from isoalign.registration.unknown_parts import match_record

PatientPose = Pose[Fixed, DicomPatient]

MOST_ITERATIONS = 30
STEP_TOLERANCE = 1e-5
RIVAL_MM = 1.0
"""Assignments that put the markers nearer to each other than this are the same place."""


@dataclass(frozen=True, slots=True)
class MatchedMarker:
    """One planned marker after the match.

    Attributes
    ----------
    expected_mm : ndarray, shape (3,)
        Where the match puts it, fixed frame.
    point_mm : ndarray, shape (3,) or None
        Where its two rays pass each other; None for a missing marker.
    gap_mm : float or None
        Distance between its rays.
    shadows_px : tuple of (float, float)
        (column, row) in the first and second image; empty for a missing marker.
    """

    name: str
    state: MarkerState
    expected_mm: Array
    point_mm: Array | None = None
    gap_mm: float | None = None
    shadows_px: tuple[tuple[float, float], ...] = ()

    @property
    def distance_mm(self) -> float | None:
        """From where the match puts it to where it is."""
        return None if self.point_mm is None else float(np.linalg.norm(self.point_mm - self.expected_mm))


@dataclass(frozen=True, slots=True)
class MarkerMatchSettings:
    """Settings of :func:`match_markers`.

    Attributes
    ----------
    reach : Reach
    acceptance : MarkerAcceptanceLimits
    detection : ImageMarkerSettings
    planned_sigma_mm : float
        How well the structure set states the place of a marker, one standard deviation on an axis.
    imager_sigma_mm : float
        How well the imagers' geometry is known, at the isocentre.
    """

    reach: Reach = DEFAULT_REACH
    acceptance: MarkerAcceptanceLimits = DEFAULT_MARKER_LIMITS
    detection: ImageMarkerSettings = DEFAULT_IMAGE_SETTINGS
    planned_sigma_mm: float = 0.1
    imager_sigma_mm: float = 0.1


DEFAULT_MARKER_SETTINGS = MarkerMatchSettings()


@dataclass(frozen=True, slots=True)
class MarkerMatch:
    """Result of a marker match.

    Attributes
    ----------
    planned, found : Pose[Fixed, DicomPatient]
        Where the patient should be, and is. Where the rotation is not known, ``found`` has the planned one.
    rotation_known : bool
    observed : ObservedResidual
        The set-up error about the isocentre; rotations are None where the markers do not tell them.
    markers : tuple of MatchedMarker
        In the order of the plan.
    covariance : ndarray, shape (6, 6) or (3, 3)
        Of translation (mm) and rotation (degrees) in the fixed frame about the isocentre; of the translation alone
        where the rotation is not known, for which the planned one is then taken as right.
    condition : float
        Ratio of the greatest to the least eigenvalue of the normal equations, rotations measured at 80 mm.
    angle_deg : float
        Between the two views.
    figures : MarkerFigures
    """

    planned: PatientPose
    found: PatientPose
    rotation_known: bool
    observed: ObservedResidual
    markers: tuple[MatchedMarker, ...]
    covariance: Array
    condition: float
    angle_deg: float
    figures: MarkerFigures
    verdict: Verdict
    reasons: tuple[str, ...]
    iterations: int
    duration_s: float

    def __post_init__(self) -> None:
        size = 6 if self.rotation_known else 3
        object.__setattr__(self, "covariance", frozen_array(self.covariance, (size, size), "covariance of a match"))

    @property
    def sigma_mm(self) -> Array:
        """One standard deviation of the translation at the isocentre, shape (3,)."""
        return np.asarray(np.sqrt(np.diag(self.covariance)[:3]))

    @property
    def sigma_deg(self) -> Array | None:
        """One standard deviation of the rotation, shape (3,); None where it is not known."""
        return np.sqrt(np.diag(self.covariance)[3:]) if self.rotation_known else None

    def as_match(self, *, unknown_as_planned: bool = False) -> Match:
        """The match as the record that the session and the DICOM export take.

        Parameters
        ----------
        unknown_as_planned : bool
            Whether rotations that the markers do not tell may stand in the record as the planned ones; their standard
            deviation is 180 degrees then.

        Raises
        ------
        isoalign.geometry.NotObservable
            When the rotations are not known and that was not said.
        """
        return match_record(
            "marker",
            self.planned,
            self.found,
            self.observed,
            (self.verdict, self.reasons),
            self.sigma_mm,
            self.sigma_deg if self.sigma_deg is not None else np.full(3, 180.0),
            unknown_as_planned=unknown_as_planned,
            iterations=self.iterations,
            converged=self.figures.converged,
            duration_s=self.duration_s,
        )


def match_markers(
    radiographs: Sequence[Radiograph],
    planned_markers: PlannedMarkers,
    planned: PatientPose,
    shape: MarkerShape = DEFAULT_SHAPE,
    *,
    settings: MarkerMatchSettings = DEFAULT_MARKER_SETTINGS,
    clock: Clock | None = None,
) -> MarkerMatch:
    """Find markers in two kV images and match them to the planned ones; see :func:`match_shadows`.

    Raises
    ------
    WrongNumberOfViews, ViewsTooParallel, BlankRadiograph, MarkerTooSmall, MarkersNotFound
    """
    clock = clock or SystemClock()
    begun_s = clock.monotonic_s()
    if len(radiographs) != 2:
        raise WrongNumberOfViews(
            f"a marker match needs two radiographs, not {len(radiographs)}", views=len(radiographs)
        )
    first, second = radiographs
    require_angle(first.geometry, second.geometry)
    depth_mm = (
        float(one.geometry.source_mm @ planned.apply(planned_markers.points_mm).mean(axis=0))
        / float(np.linalg.norm(one.geometry.source_mm))
        for one in radiographs
    )
    shadows = [
        detect_markers_in_image(one, shape, settings=settings.detection, depth_mm=depth)
        for one, depth in zip(radiographs, depth_mm, strict=True)
    ]
    return match_shadows(
        (first.geometry, second.geometry),
        (shadows[0], shadows[1]),
        planned_markers,
        planned,
        settings=settings,
        clock=clock,
        begun_s=begun_s,
    )


def match_shadows(
    geometries: tuple[ProjectionGeometry, ProjectionGeometry],
    shadows: tuple[ImageMarkers, ImageMarkers],
    planned_markers: PlannedMarkers,
    planned: PatientPose,
    *,
    settings: MarkerMatchSettings = DEFAULT_MARKER_SETTINGS,
    clock: Clock | None = None,
    begun_s: float | None = None,
) -> MarkerMatch:
    """Match shadows that were found in two images to planned markers.

    Parameters
    ----------
    geometries : (ProjectionGeometry, ProjectionGeometry)
        At least 45 degrees apart.
    shadows : (ImageMarkers, ImageMarkers)
    planned_markers : PlannedMarkers
    planned : Pose[Fixed, DicomPatient]
        Where the patient should be.
    settings : MarkerMatchSettings
    clock : Clock, optional
        Measures the duration, since ``begun_s`` where it is given.

    Raises
    ------
    ViewsTooParallel, MarkersNotFound

    Notes
    -----
    The pose has the least squares of distances in the images. With one or two markers, or all on one line, only the
    translation is fitted, with the planned rotation.
    """
    clock = clock or SystemClock()
    begun_s = clock.monotonic_s() if begun_s is None else begun_s
    run = _Run(geometries, shadows, planned_markers, planned, settings, require_angle(*geometries))
    candidates = run.candidates()
    ways = assignments(planned_markers, planned, candidates, settings.reach)
    if not ways:
        raise MarkersNotFound(
            f"{len(shadows[0])} and {len(shadows[1])} shadows were found; no pair of them fits a planned marker",
            shadows=[len(one) for one in shadows],
            pairs=len(candidates),
        )
    chosen = run.without_outlier(ways[0], candidates)
    fit = run.fit(chosen, candidates)
    return run.finish(fit, chosen, candidates, ways, clock.monotonic_s() - begun_s)


@dataclass(frozen=True, slots=True)
class _Fit:
    pose: PatientPose
    rotation_known: bool
    normal: Array
    chi_square: float
    iterations: int
    converged: bool


@dataclass(frozen=True, slots=True)
class _Run:
    """One match in progress."""

    geometries: tuple[ProjectionGeometry, ProjectionGeometry]
    shadows: tuple[ImageMarkers, ImageMarkers]
    plan: PlannedMarkers
    planned: PatientPose
    settings: MarkerMatchSettings
    angle_deg: float

    def candidates(self) -> Candidates:
        pixels = (np.asarray(self.shadows[0].column_row), np.asarray(self.shadows[1].column_row))
        expected = self.planned.apply(self.plan.points_mm)
        return pair_candidates(self.geometries, pixels, expected, self.settings.reach)

    def fit(self, chosen: tuple[int, ...], candidates: Candidates) -> _Fit:
        """Least squares of distances in the images, weighted by what is known of their errors."""
        own = [number for number, one in enumerate(chosen) if one >= 0]
        points = self.plan.points_mm[own]
        pairs = candidates.shadows[[chosen[number] for number in own]]
        free = 6 if tell_rotation(points) else 3
        start = best_rigid(points, candidates.points_mm[[chosen[number] for number in own]])
        pose = start if free == 6 else self.planned
        converged, normal, chi_square, iterations = False, np.eye(free), 0.0, 0
        while iterations < MOST_ITERATIONS and not converged:
            iterations += 1
            residual = self._residual(pose, points, pairs)
            columns = []
            for axis in range(free):
                step = np.zeros(6)
                step[axis] = 1e-3
                columns.append((self._residual(moved(pose, step), points, pairs) - residual) / 1e-3)
            jacobian = np.stack(columns, axis=1)
            normal = jacobian.T @ jacobian
            chi_square = float(residual @ residual)
            step = np.zeros(6)
            step[:free] = np.linalg.lstsq(normal, -jacobian.T @ residual, rcond=None)[0]
            pose = moved(pose, step)
            converged = float(np.abs(step).max()) < STEP_TOLERANCE
        return _Fit(pose, free == 6, normal, chi_square, iterations, converged)

    def _residual(self, pose: PatientPose, points: Array, pairs: Array) -> Array:
        """Distances in the images as parts of their standard deviations, (4 n,)."""
        found = []
        for view, (geometry, shadows) in enumerate(zip(self.geometries, self.shadows, strict=True)):
            per_mm = magnification(geometry)
            known = np.hypot(self.settings.planned_sigma_mm, self.settings.imager_sigma_mm) * per_mm
            sigma = np.hypot(shadows.sigma_px[pairs[:, view]], known)
            away = geometry.project(pose.apply(points)) - shadows.column_row[pairs[:, view]]
            found.append((away / sigma[:, None]).ravel())
        return np.concatenate(found)

    def without_outlier(self, way: Assignment, candidates: Candidates) -> tuple[int, ...]:
        """The assignment without the one marker that the others contradict, where there is one."""
        own = [number for number, one in enumerate(way.chosen) if one >= 0]
        worst: tuple[float, tuple[int, ...]] | None = None
        for number in own:
            rest = tuple(-1 if marker == number else one for marker, one in enumerate(way.chosen))
            kept = [marker for marker in own if marker != number]
            if len(kept) < 3 or not tell_rotation(self.plan.points_mm[kept]):
                continue
            pose = best_rigid(self.plan.points_mm[kept], candidates.points_mm[[rest[marker] for marker in kept]])
            away = np.linalg.norm(pose.apply(self.plan.points_mm) - candidates.points_mm[list(way.chosen)], axis=1)
            others = float(np.sqrt(np.mean(away[kept] ** 2)))
            if away[number] > max(self.settings.acceptance.migrated_mm, 4.0 * others) and (
                worst is None or away[number] > worst[0]
            ):
                worst = (float(away[number]), rest)
        return way.chosen if worst is None else worst[1]

    def finish(
        self,
        fit: _Fit,
        chosen: tuple[int, ...],
        candidates: Candidates,
        ways: list[Assignment],
        duration_s: float,
    ) -> MarkerMatch:
        """Say what became of every marker, how sure the pose is, and whether it may be trusted."""
        markers = self._markers(fit.pose, chosen, candidates)
        matched = [one for one in markers if one.state is MarkerState.MATCHED]
        own = [number for number, one in enumerate(chosen) if one >= 0]
        count = 4 * len(own) - len(fit.normal)
        scaled_up = max(1.0, fit.chi_square / max(count, 1))
        covariance: Array = np.asarray(np.linalg.pinv(fit.normal, hermitian=True) * scaled_up)
        arm = np.array([1.0, 1.0, 1.0, 80.0, 80.0, 80.0])[: len(fit.normal)]
        arm[3:] *= np.deg2rad(1.0)
        scaled = np.linalg.eigvalsh(fit.normal / np.outer(arm, arm))
        sigma = np.sqrt(np.diag(covariance))
        error = residual_of(fit.pose @ self.planned.inverse())
        second_mm, second_deg = self._second_opinion(fit, own, chosen, candidates)
        figures = MarkerFigures(
            planned=len(self.plan),
            matched=len(matched),
            rotation_known=fit.rotation_known,
            converged=fit.converged,
            gap_mm=max(float(one.gap_mm or 0.0) for one in matched),
            residual_mm=float(np.sqrt(np.mean([float(one.distance_mm or 0.0) ** 2 for one in matched]))),
            migrated=tuple(
                (one.name, float(one.distance_mm or 0.0)) for one in markers if one.state is MarkerState.MIGRATED
            ),
            missing=tuple(one.name for one in markers if one.state is MarkerState.MISSING),
            rival_mm=self._rival(ways, own),
            sigma_mm=self._sigma_at_markers(covariance, fit, own),
            sigma_deg=float(sigma[3:].max(initial=0.0)),
            second_mm=second_mm,
            second_deg=second_deg,
            translation_mm=error.distance_mm,
            rotation_deg=error.angle_deg,
        )
        verdict, reasons = judge_markers(figures, self.settings.acceptance)
        values = observed_completely(fit.pose @ self.planned.inverse())
        observed = (
            values
            if fit.rotation_known
            else ObservedResidual(values.lateral_mm, values.longitudinal_mm, values.vertical_mm, None, None, None)
        )
        return MarkerMatch(
            self.planned,
            fit.pose,
            fit.rotation_known,
            observed,
            markers,
            covariance,
            float(scaled[-1] / max(scaled[0], 1e-12 * scaled[-1])),
            self.angle_deg,
            figures,
            verdict,
            reasons,
            fit.iterations,
            duration_s,
        )

    def _markers(self, pose: PatientPose, chosen: tuple[int, ...], candidates: Candidates) -> tuple[MatchedMarker, ...]:
        strayed = with_migrated(self.plan, pose, candidates, chosen, self.settings.reach.migration_mm)
        found = []
        for number, name in enumerate(self.plan.names):
            expected = pose.apply(self.plan.points_mm[number])
            candidate = chosen[number] if chosen[number] >= 0 else strayed.get(number, -1)
            if candidate < 0:
                found.append(MatchedMarker(name, MarkerState.MISSING, expected))
                continue
            state = MarkerState.MATCHED if chosen[number] >= 0 else MarkerState.MIGRATED
            shadows = tuple(
                (float(view.column_row[one, 0]), float(view.column_row[one, 1]))
                for view, one in zip(self.shadows, candidates.shadows[candidate], strict=True)
            )
            point, gap = candidates.points_mm[candidate], float(candidates.gaps_mm[candidate])
            found.append(MatchedMarker(name, state, expected, point, gap, shadows))
        return tuple(found)

    def _second_opinion(
        self, fit: _Fit, own: list[int], chosen: tuple[int, ...], candidates: Candidates
    ) -> tuple[float, float]:
        """How far the match of the points in space is from that of the shadows: at the markers, and in angle."""
        points, aims = self.plan.points_mm[own], candidates.points_mm[[chosen[number] for number in own]]
        moved_mm = float(np.linalg.norm((aims - fit.pose.apply(points)).mean(axis=0)))
        if not fit.rotation_known:
            return moved_mm, 0.0
        other = best_rigid(points, aims)
        return moved_mm, rotation_angle_deg(other.rotation @ fit.pose.rotation.T)

    def _sigma_at_markers(self, covariance: Array, fit: _Fit, own: list[int]) -> float:
        """Greatest standard deviation of the translation at the middle of the markers."""
        if not fit.rotation_known:
            return float(np.sqrt(np.diag(covariance).max()))
        arm = np.deg2rad(1.0) * fit.pose.apply(self.plan.points_mm[own]).mean(axis=0)
        cross = np.array([[0.0, arm[2], -arm[1]], [-arm[2], 0.0, arm[0]], [arm[1], -arm[0], 0.0]])
        turn = np.hstack([np.eye(3), cross])
        return float(np.sqrt(np.diag(turn @ covariance @ turn.T).max()))

    def _rival(self, ways: list[Assignment], own: list[int]) -> float | None:
        """How well another assignment of as many markers, which puts the patient elsewhere, fits."""
        best = ways[0].pose.apply(self.plan.points_mm[own])
        for way in ways[1:]:
            elsewhere = np.linalg.norm(way.pose.apply(self.plan.points_mm[own]) - best, axis=1).max() > RIVAL_MM
            if way.count >= min(ways[0].count, len(own)) and elsewhere:
                return way.cost_mm
        return None
