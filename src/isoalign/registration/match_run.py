"""One 2D/3D match in progress: the search, and the figures that it is judged by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from isoalign.geometry import Array, Fixed, Pose, RigidResidual, residual_of
from isoalign.imaging import (
    AttenuationGrid,
    project_grid,
)
from isoalign.records import ViewQuality
from isoalign.registration.capture import CaptureCheck
from isoalign.registration.errors import EmptyRegion, MatchCancelled, NothingInView
from isoalign.registration.prepared import PreparedVolume
from isoalign.registration.quality import (
    condition_of,
    covariance_of,
    detail_agreement,
    edge_view,
    in_plane_motions,
)
from isoalign.registration.search import PatientPose, Refined, moved, other_starts, refine, solve
from isoalign.registration.second_opinion import Opinion, second_opinion
from isoalign.registration.settings import MatchLevel, MatchSettings
from isoalign.registration.shift_search import best_shift_mm
from isoalign.registration.verdict import Figures, ViewFigures
from isoalign.registration.views import LevelView, View, level_view, with_window

Float32 = npt.NDArray[np.float32]
Progress = Callable[[float, str], None]
Cancelled = Callable[[], bool]

LEAST_VISIBLE = 0.01
"""Part of the pixels that must see the CT at the planned pose."""
LEAST_CHOSEN = 0.003
"""Part of the pixels that must see the chosen region at the planned pose."""
DETAIL_WINDOW_MM = 5.0
"""Half width of the parts of an image whose details must agree."""
OTHER_START_STEPS = 8
"""So many steps tell which of the other starts is worth more."""
CAPTURE_MM, CAPTURE_DEG = 20.0, 8.0
"""Reach of the starts of a capture check, on every axis."""
CAPTURED_MM = 0.5
"""A start came back when it ends so near to the result, at the arm below."""
CAPTURE_ARM_MM = 80.0
SETTLED = 0.05
"""A search whose last step was no longer than that, mm and degrees, has settled."""
CLEARLY = 0.1
"""What a single step of one view says is believed below this (mm and degrees); beyond, the view searches on."""


@dataclass(frozen=True, slots=True)
class MatchRun:
    """One match in progress.

    Attributes
    ----------
    axes : ndarray, shape (3, 3), or None
        For one view: the receptor's X and Y and the line of sight, as columns in the fixed frame. None for two views.
    """

    prepared: PreparedVolume
    views: tuple[View, ...]
    planned: PatientPose
    settings: MatchSettings
    progress: Progress | None
    cancelled: Cancelled | None
    axes: Array | None = None

    def say(self, fraction: float, text: str) -> None:
        """Tell the progress."""
        self.poll()
        if self.progress is not None:
            self.progress(fraction, text)

    def poll(self) -> None:
        """End the match when it was cancelled."""
        if self.cancelled is not None and self.cancelled():
            raise MatchCancelled("the match was cancelled")

    def grid(self, level: MatchLevel) -> AttenuationGrid:
        """The CT that a level is compared with."""
        return self.prepared.attenuation.levels[level.volume_level]

    def level_views(self, level: MatchLevel, pose: PatientPose) -> tuple[LevelView, ...]:
        """All radiographs at one resolution, masked for one pose."""
        grid, region = self.grid(level), self.prepared.region
        return tuple(level_view(view, level, grid, pose, region) for view in self.views)

    def refine(self, level: MatchLevel, start: PatientPose, views: tuple[LevelView, ...] | None = None) -> Refined:
        """Improve a pose at one level."""
        return refine(
            self.level_views(level, start) if views is None else views,
            self.grid(level),
            start,
            level,
            planned=self.planned,
            settings=self.settings,
            poll=self.poll,
        )

    def require_patient_in_view(self) -> None:
        """Make sure that there is something to match.

        Raises
        ------
        NothingInView, EmptyRegion
        """
        level = self.settings.levels[0]
        for view, seen in zip(self.views, self.level_views(level, self.planned), strict=True):
            shown = project_grid(self.grid(level), seen.geometry, self.planned) > 0.1
            if float(np.mean(shown)) < LEAST_VISIBLE:
                raise NothingInView(
                    f"at the planned position the CT lies outside the radiograph of imager {view.imager}",
                    imager=view.imager,
                )
            if float(np.mean(shown & (seen.mask > 0))) < LEAST_CHOSEN:
                raise EmptyRegion(
                    f"at the planned position hardly any usable pixel of the radiograph of imager {view.imager} shows "
                    "the region",
                    imager=view.imager,
                )

    def search(self, *, wide: bool = False) -> tuple[Refined, int, bool]:
        """Coarse to fine from the planned pose, from other starts as well when asked to or when that leads nowhere.

        Returns
        -------
        Refined, steps that were made, and whether other starts were tried
        """
        levels = self.settings.levels
        best = self.refine(levels[0], self.planned)
        iterations = best.iterations
        self.say(0.15, "coarse position found")
        wide = wide or best.strayed or best.similarity < self.settings.search_below
        if wide:
            best, more = self._best_of_other_starts(best)
            iterations += more
            self.say(0.30, "other starts tried")
        for done, level in enumerate(levels[1:], start=1):
            if best.strayed:
                break
            best = self.refine(level, best.pose)
            iterations += best.iterations
            self.say(0.30 + 0.30 * done / len(levels), f"refined at {level.pixel_mm:g} mm")
        return best, iterations, wide

    def _best_of_other_starts(self, best: Refined) -> tuple[Refined, int]:
        level = self.settings.levels[0]
        views = self.level_views(level, self.planned)
        directions = None if self.axes is None else self.axes[:, :2]
        shift_mm = best_shift_mm(views, self.grid(level), self.planned, self.settings.search_range_mm, directions)
        brief = replace(level, most_iterations=OTHER_START_STEPS)
        iterations = 0
        for start in other_starts(self.planned, self.settings, shift_mm):
            other = self.refine(brief, start, views)
            iterations += other.iterations
            if not other.strayed and (best.strayed or other.similarity > best.similarity):
                best = other
        if not best.strayed:
            best = self.refine(level, best.pose)
        return best, iterations + best.iterations

    def settled(self, refined: Refined) -> bool:
        """Whether a search ended because its steps had become small."""
        return not refined.strayed and refined.last_step <= max(self.settings.levels[-1].tolerance, SETTLED)

    def restart(self, found: PatientPose) -> RigidResidual:
        """Where a second search from a displaced start ends, against the solution."""
        away = np.array([1.0, -1.0, 1.0, -1.0, 1.0, 1.0])
        away[:3] *= self.settings.restart_mm
        away[3:] *= self.settings.restart_deg
        pose = moved(found, away)
        limits = self.settings.acceptance
        for level in self.settings.levels[1:]:
            pose = self.refine(level, pose).pose
            left = self.observed(pose @ found.inverse())
            # at a coarser level the end is a little off by nature; only when it is far the finer one has to decide
            if left.distance_mm < limits.restart_distance_mm / 2 and left.angle_deg < limits.restart_angle_deg / 2:
                break
        return left

    def observed(self, motion: Pose[Fixed, Fixed]) -> RigidResidual:
        """A motion in the fixed frame, less the depth that one view does not show."""
        left = residual_of(motion)
        if self.axes is None:
            return left
        sight = self.axes[:, 2]
        across = left.translation_mm - (left.translation_mm @ sight) * sight
        return residual_of(Pose(Fixed, Fixed, motion.rotation, across))

    def capture(self, pose: PatientPose, starts: int) -> CaptureCheck:
        """Search again from starts spread about the result."""
        rng = np.random.default_rng(starts)
        ends = []
        for number in range(starts):
            away = rng.uniform(-1.0, 1.0, 6) * np.repeat((CAPTURE_MM, CAPTURE_DEG), 3)
            displaced = replace(self, planned=moved(pose, away), progress=None)
            left = self.observed(displaced.search()[0].pose @ pose.inverse())
            ends.append(left.distance_mm + np.deg2rad(left.angle_deg) * CAPTURE_ARM_MM)
            self.say((number + 1) / starts, f"start {number + 1} of {starts} tried")
        returned = sum(end < CAPTURED_MM for end in ends)
        return CaptureCheck(starts, returned, CAPTURE_MM, CAPTURE_DEG, float(max(ends, default=0.0)))

    def alone(self, number: int, refined: Refined) -> RigidResidual:
        """Where one view, free in its own plane, would put the patient, against the common solution."""
        level = self.settings.levels[-1]
        free = in_plane_motions(self.views[number].geometry)
        one = refined.linearised[number]
        step = level.relaxation * solve(one.matrix, one.vector, free)
        pose = moved(refined.pose, step)
        if np.abs(step).max() > CLEARLY:
            pose = refine(
                (refined.views[number],),
                self.grid(level),
                refined.pose,
                level,
                planned=self.planned,
                settings=self.settings,
                poll=self.poll,
                freedom=free,
            ).pose
        return residual_of(pose @ refined.pose.inverse())

    def covariance(self, refined: Refined) -> Array:
        """Of small motions along and about the fixed axes, (6, 6), mm and degrees."""
        return covariance_of(refined.matrix, refined.linearised)

    def measure(self, refined: Refined) -> tuple[Figures, tuple[ViewQuality, ...]]:
        """All that the verdict hangs on, and the pictures."""
        figures, pictures = [], []
        opinion = self.opinion(refined.pose)
        for number, view in enumerate(self.views):
            one, quality = self._view_figures(number, refined, opinion.distance_mm[number])
            figures.append(one)
            pictures.append(quality)
            self.say(0.60 + 0.15 * len(figures), f"imager {view.imager} checked")
        converged = self.settled(refined)
        restart = self.restart(refined.pose) if converged else None
        sigma = np.sqrt(np.diag(self.covariance(refined)))
        sigma_mm, sigma_deg = sigma[:3], sigma[3:]
        error = self.observed(refined.pose @ self.planned.inverse())
        condition = condition_of(refined.matrix)
        return (
            Figures(
                converged,
                refined.strayed,
                error,
                tuple(figures),
                restart,
                sigma_mm,
                sigma_deg,
                condition,
                opinion.angle_deg,
            ),
            tuple(pictures),
        )

    def opinion(self, pose: PatientPose) -> Opinion:
        """Where gradient correlation would put the patient, measured one level above the finest."""
        level = self.settings.levels[max(0, len(self.settings.levels) - 2)]
        reach, step = self.settings.opinion_reach, self.settings.opinion_step
        views = self.level_views(level, pose)
        return second_opinion(views, self.grid(level), pose, reach=reach, step=step, poll=self.poll)

    def _view_figures(self, number: int, refined: Refined, opinion_mm: float) -> tuple[ViewFigures, ViewQuality]:
        view, seen, finest = self.views[number], refined.views[number], self.settings.levels[-1]
        volume = self.prepared.attenuation.levels[finest.volume_level]
        start = project_grid(volume, seen.geometry, self.planned)
        end = refined.drr(number) if refined.pixel_mm == finest.pixel_mm else None
        if end is None:
            end = project_grid(volume, seen.geometry, refined.pose)
        edges = edge_view(seen)
        offered = 1.0 if view.used is None else float(np.mean(view.used))
        figures = ViewFigures(
            imager=view.imager,
            correlation_start=edges.correlation(start),
            correlation_end=edges.correlation(end),
            detail=detail_agreement(with_window(view, seen, DETAIL_WINDOW_MM), end),
            coverage=float(np.mean((seen.mask > 0) & (end > 0.05))) / max(offered, 1e-6),
            alone=self.alone(number, refined) if len(self.views) > 1 else None,
            opinion_mm=opinion_mm,
        )
        return figures, self._pictures(view, figures, seen, start, end, refined.pose)

    def _pictures(
        self, view: View, figures: ViewFigures, seen: LevelView, start: Float32, end: Float32, found: PatientPose
    ) -> ViewQuality:
        """Radiograph and DRRs on a grid of modest size, with the figures of the view."""
        grid = view.geometry.grid
        factor = max(1, -(-max(grid.rows, grid.columns) // self.settings.picture_pixels))
        geometry = view.geometry.with_grid(grid.binned(factor))
        if geometry.grid == seen.geometry.grid:  # then the images are there
            integrals = seen.integrals
        else:
            volume = self.prepared.attenuation.levels[0]
            start, end = (project_grid(volume, geometry, pose) for pose in (self.planned, found))
            integrals = view.line_integrals(factor)
        return ViewQuality(
            imager=view.imager,
            gradient_correlation_start=figures.correlation_start,
            gradient_correlation_end=figures.correlation_end,
            drr_start=start,
            drr_end=end,
            line_integrals=integrals,
        )
