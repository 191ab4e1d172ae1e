"""The search for the pose: Gauss-Newton steps with analytic derivatives, coarse to fine, and other starts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from isoalign.geometry import Array, DicomPatient, Fixed, Pose, residual_of, setup_error
from isoalign.imaging import AttenuationGrid
from isoalign.registration.residuals import Linearised, linearise
from isoalign.registration.settings import MatchLevel, MatchSettings
from isoalign.registration.views import LevelView

LONGEST_STEP_MM = 12.0
LONGEST_STEP_DEG = 5.0
LINEAR_BELOW = 0.1
"""A DRR follows from another one and its derivatives over motions below this (mm and degrees)."""

PatientPose = Pose[Fixed, DicomPatient]
Float32 = npt.NDArray[np.float32]
Poll = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Refined:
    """Where a search at one level ended.

    Attributes
    ----------
    iterations : int
    last_step : float
        Largest part of the last step, mm or degrees.
    strayed : bool
        Whether the search left the neighbourhood of the planned pose and was stopped.
    matrix : ndarray, shape (6, 6)
        Sum of J^T W J over the views at the last step.
    pixel_mm : float
        Pixel size of the level.
    before : Pose[Fixed, DicomPatient]
        The pose before the last step.
    linearised : tuple of Linearised
        The views at that pose.
    views : tuple of LevelView
        What was compared.
    """

    pose: PatientPose
    iterations: int
    last_step: float
    strayed: bool
    matrix: Array
    pixel_mm: float
    before: PatientPose
    linearised: tuple[Linearised, ...]
    views: tuple[LevelView, ...]

    def drr(self, number: int) -> Float32 | None:
        """The DRR of one view at the pose, from that before the last step; None when the step was too long for that."""
        error = residual_of(self.pose @ self.before.inverse())
        step = np.concatenate([error.translation_mm, error.rotation_vector_deg])
        return self.linearised[number].drr_after(step) if np.abs(step).max() < LINEAR_BELOW else None

    @property
    def similarity(self) -> float:
        """The lowest similarity of any view."""
        return min(one.similarity for one in self.linearised)


def moved(pose: PatientPose, step: Array) -> PatientPose:
    """The pose after a small motion in the fixed frame: (x, y, z) in mm, then about x, y, z in degrees."""
    return setup_error(*(float(value) for value in step)) @ pose


def refine(
    views: Sequence[LevelView],
    grid: AttenuationGrid,
    start: PatientPose,
    level: MatchLevel,
    *,
    planned: PatientPose,
    settings: MatchSettings,
    poll: Poll,
    freedom: Array | None = None,
) -> Refined:
    """Improve a pose at one level.

    Parameters
    ----------
    views : sequence of LevelView
    grid : AttenuationGrid
    start : Pose[Fixed, DicomPatient]
    level : MatchLevel
    planned : Pose[Fixed, DicomPatient]
        The search stops when it strays too far from here.
    settings : MatchSettings
    poll : callable
        Called before every step; may raise to end the search.
    freedom : ndarray, shape (6, n), optional
        The motions that are free (columns); all six when omitted.
    """
    free = np.eye(6) if freedom is None else freedom
    pose = start
    iterations = 0
    while True:
        poll()
        iterations += 1
        linearised = tuple(linearise(view, grid, pose, level) for view in views)
        matrix = np.sum([one.matrix for one in linearised], axis=0)
        vector = np.sum([one.vector for one in linearised], axis=0)
        step = level.relaxation * solve(matrix, vector, free)
        step *= min(
            1.0,
            LONGEST_STEP_MM / max(float(np.linalg.norm(step[:3])), 1e-9),
            LONGEST_STEP_DEG / max(float(np.linalg.norm(step[3:])), 1e-9),
        )
        before, pose = pose, moved(pose, step)
        last_step = float(np.abs(step).max())
        error = residual_of(pose @ planned.inverse())
        strayed = error.distance_mm > settings.give_up_mm or error.angle_deg > settings.give_up_deg
        if strayed or last_step < level.tolerance or iterations >= level.most_iterations:
            break
    return Refined(pose, iterations, last_step, strayed, matrix, level.pixel_mm, before, linearised, tuple(views))


def solve(matrix: Array, vector: Array, free: Array) -> Array:
    """The Gauss-Newton step in six motions, of which the columns of ``free`` are allowed; slightly damped."""
    reduced = free.T @ matrix @ free
    damped = reduced + np.diag(1e-3 * np.diag(reduced) + 1e-9)
    return np.asarray(free @ np.linalg.solve(damped, free.T @ vector), dtype=np.float64)


def other_starts(planned: PatientPose, settings: MatchSettings, shift_mm: Array) -> list[PatientPose]:
    """Starts to try when the planned pose leads nowhere: shifted as the images suggest, and turned either way."""
    starts = [moved(planned, np.concatenate([shift_mm, np.zeros(3)]))]
    for axis in range(3):
        for sense in (1.0, -1.0):
            turn = np.zeros(6)
            turn[:3] = shift_mm
            turn[3 + axis] = sense * settings.search_turn_deg
            starts.append(moved(planned, turn))
    return starts
