"""The 2D/3D match: where two radiographs show the patient of the planning CT."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from isoalign.clock import Clock, SystemClock
from isoalign.geometry import RigidResidual, residual_of
from isoalign.imaging import AttenuationGrid, binned, line_integrals, project_grid
from isoalign.records import Match, Radiograph, ViewQuality
from isoalign.registration.errors import MatchCancelled, NothingInView
from isoalign.registration.prepared import PreparedVolume
from isoalign.registration.quality import (
    detail_agreement,
    in_plane_motions,
    smoothed_gradient_correlation,
    standard_deviations,
)
from isoalign.registration.search import PatientPose, Refined, moved, other_starts, refine
from isoalign.registration.settings import DEFAULT_SETTINGS, MatchLevel, MatchSettings
from isoalign.registration.shift_search import best_shift_mm
from isoalign.registration.verdict import Figures, ViewFigures, judge
from isoalign.registration.views import LevelView, View, level_view, usable_views

Float32 = npt.NDArray[np.float32]
Progress = Callable[[float, str], None]
Cancelled = Callable[[], bool]

LEAST_VISIBLE = 0.01
"""Part of the pixels that must see the CT at the planned pose."""
BLOCK_MM = 30.0
"""Over such distances at the isocentre, what the CT does not predict is taken to be alike."""
DETAIL_WINDOW_MM = 5.0
"""Half width of the parts of an image whose details must agree."""
JUDGED_LEVEL = 2
"""Level (pixels of about 1 mm) on which quality figures are measured and control searches made."""


def match_2d3d(
    prepared: PreparedVolume,
    radiographs: Sequence[Radiograph],
    planned: PatientPose,
    *,
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
    WrongNumberOfViews, ViewsTooParallel, BlankRadiograph, NothingInView, MatchCancelled

    Notes
    -----
    Gauss-Newton on locally normalised line integrals with analytic pose derivatives and Cauchy weights, in four
    resolutions. Rays that leave the CT where it is cut through the body are left out.
    """
    clock = clock or SystemClock()
    begun_s = clock.monotonic_s()
    run = _Run(prepared, usable_views(radiographs), planned, settings, progress, cancelled)
    run.say(0.02, "radiographs checked")
    run.require_patient_in_view()
    refined, iterations = run.search()
    finest = settings.levels[-1]
    converged = not refined.strayed and refined.last_step <= max(2 * finest.tolerance, 0.05)
    run.say(0.60, "position found, checking it")
    return run.finish(refined, iterations, converged, lambda: clock.monotonic_s() - begun_s)


@dataclass(frozen=True, slots=True)
class _Run:
    """One match in progress."""

    prepared: PreparedVolume
    views: tuple[View, ...]
    planned: PatientPose
    settings: MatchSettings
    progress: Progress | None
    cancelled: Cancelled | None

    def say(self, fraction: float, text: str) -> None:
        self.poll()
        if self.progress is not None:
            self.progress(fraction, text)

    def poll(self) -> None:
        if self.cancelled is not None and self.cancelled():
            raise MatchCancelled("the match was cancelled")

    def grid(self, level: MatchLevel) -> AttenuationGrid:
        return self.prepared.attenuation.levels[level.volume_level]

    def level_views(self, level: MatchLevel, pose: PatientPose) -> tuple[LevelView, ...]:
        return tuple(level_view(view, level, self.grid(level), pose) for view in self.views)

    def refine(self, level: MatchLevel, start: PatientPose) -> Refined:
        return refine(
            self.level_views(level, start),
            self.grid(level),
            start,
            level,
            planned=self.planned,
            settings=self.settings,
            poll=self.poll,
        )

    def require_patient_in_view(self) -> None:
        level = self.settings.levels[0]
        for view, seen in zip(self.views, self.level_views(level, self.planned), strict=True):
            drr = project_grid(self.grid(level), seen.geometry, self.planned)
            if float(np.mean(drr > 0.1)) < LEAST_VISIBLE:
                raise NothingInView(
                    f"at the planned position the CT lies outside the radiograph of imager {view.imager}",
                    imager=view.imager,
                )

    def search(self) -> tuple[Refined, int]:
        """Coarse to fine from the planned pose, from other starts as well when that leads nowhere."""
        levels = self.settings.levels
        best = self.refine(levels[0], self.planned)
        iterations = best.iterations
        self.say(0.15, "coarse position found")
        if best.strayed or best.similarity < self.settings.search_below:
            shift_mm = best_shift_mm(
                self.level_views(levels[0], self.planned),
                self.grid(levels[0]),
                self.planned,
                self.settings.search_range_mm,
            )
            for start in other_starts(self.planned, self.settings, shift_mm):
                other = self.refine(levels[0], start)
                iterations += other.iterations
                if not other.strayed and (best.strayed or other.similarity > best.similarity):
                    best = other
            self.say(0.30, "other starts tried")
        for done, level in enumerate(levels[1:], start=1):
            if best.strayed:
                break
            best = self.refine(level, best.pose)
            iterations += best.iterations
            self.say(0.30 + 0.30 * done / len(levels), f"refined at {level.pixel_mm:g} mm")
        return best, iterations

    def restart(self, found: PatientPose) -> RigidResidual:
        """Where a second search from a displaced start ends, against the solution."""
        away = np.array([1.0, -1.0, 1.0, -1.0, 1.0, 1.0])
        away[:3] *= self.settings.restart_mm
        away[3:] *= self.settings.restart_deg
        pose = moved(found, away)
        for level in self.settings.levels[1 : JUDGED_LEVEL + 1]:
            pose = self.refine(level, pose).pose
        return residual_of(pose @ found.inverse())

    def alone(self, view: View, seen: LevelView, level: MatchLevel, found: PatientPose) -> RigidResidual:
        """Where one view, free in its own plane, would put the patient, against the common solution."""
        own = refine(
            (seen,),
            self.grid(level),
            found,
            level,
            planned=self.planned,
            settings=self.settings,
            poll=self.poll,
            freedom=in_plane_motions(view.geometry),
        )
        return residual_of(own.pose @ found.inverse())

    def finish(self, refined: Refined, iterations: int, converged: bool, duration_s: Callable[[], float]) -> Match:
        """Measure the quality of what was found, and judge it."""
        found = refined.pose
        level = self.settings.levels[min(JUDGED_LEVEL, len(self.settings.levels) - 1)]
        figures, pictures = [], []
        close_ups = self.level_views(replace(level, window_mm=DETAIL_WINDOW_MM), found)
        for view, seen, close_up in zip(self.views, self.level_views(level, found), close_ups, strict=True):
            start = project_grid(self.grid(level), seen.geometry, self.planned)
            end = project_grid(self.grid(level), seen.geometry, found)
            correlation_start = smoothed_gradient_correlation(seen, start)
            correlation_end = smoothed_gradient_correlation(seen, end)
            alone = self.alone(view, seen, level, found)
            coverage = float(np.mean((seen.mask > 0) & (end > 0.05)))
            detail = detail_agreement(close_up, end)
            figures.append(ViewFigures(view.imager, correlation_start, correlation_end, detail, coverage, alone))
            pictures.append(self._pictures(view, correlation_start, correlation_end, found))
            self.say(0.60 + 0.15 * len(figures), f"imager {view.imager} checked")
        restart = self.restart(found) if converged else None
        sigma_mm, sigma_deg = standard_deviations(
            refined.matrix, refined.linearised, max(1, round(BLOCK_MM / refined.pixel_mm))
        )
        error = residual_of(found @ self.planned.inverse())
        verdict, reasons = judge(
            Figures(converged, refined.strayed, error, tuple(figures), restart, sigma_mm, sigma_deg),
            self.settings.acceptance,
        )
        self.say(1.0, f"match {verdict.value}")
        return Match(
            kind="2D/3D",
            planned=self.planned,
            found=found,
            verdict=verdict,
            reasons=reasons,
            views=tuple(pictures),
            iterations=iterations,
            converged=converged,
            duration_s=duration_s(),
            sigma_mm=sigma_mm,
            sigma_deg=sigma_deg,
        )

    def _pictures(self, view: View, start: float, end: float, found: PatientPose) -> ViewQuality:
        """Radiograph and DRRs on a grid of modest size, with the figures of the view."""
        grid = view.geometry.grid
        factor = max(1, -(-max(grid.rows, grid.columns) // self.settings.picture_pixels))
        geometry = view.geometry.with_grid(grid.binned(factor))
        volume = self.prepared.attenuation.levels[0]
        return ViewQuality(
            imager=view.imager,
            gradient_correlation_start=start,
            gradient_correlation_end=end,
            drr_start=project_grid(volume, geometry, self.planned),
            drr_end=project_grid(volume, geometry, found),
            line_integrals=line_integrals(binned(view.pixels.intensity, factor), view.pixels.open_field),
        )
