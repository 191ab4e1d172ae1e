"""The search of the 3D/3D match: which shift fits roughly, then Gauss-Newton steps, coarse to fine.

What the volume of the day shows at a point of the plan is taken to be a factor times the planned CT number plus a
smooth shading (a quadratic in space). Pose, factor and shading come from one linear least-squares problem in every
step, with the gradients of the planning CT, which are free of the noise of the day, and Tukey weights.
Sources: S. Baker and I. Matthews, Int. J. Computer Vision 56 (2004) 221 (inverse compositional steps); A. E. Beaton and
J. W. Tukey, Technometrics 16 (1974) 147 (weights).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from isoalign.geometry import Array, DicomPatient, Pose
from isoalign.imaging.compiled import kernel_lock
from isoalign.registration.errors import EmptyRegion
from isoalign.registration.scan_kernels import (
    KNOWN_ABOVE,
    point_normal_equations,
    residuals_at_points,
    shaded_correlation,
    shifted_correlations,
    tukey_weights,
)
from isoalign.registration.scan_levels import ScanLevel
from isoalign.registration.scan_prepared import PlannedPoints, PreparedScan

Float32 = npt.NDArray[np.float32]
ScanPose = Pose[DicomPatient, DicomPatient]

ARM_MM = 80.0
"""Rotations are measured by the motion of a point so far from the middle."""
LEAST_FACTOR = 0.15
LONGEST_STEP_MM = 25.0
LOOK_POINTS = 2500
BEST_LOOKS = 4
BEST_ENDS = 4
APART_MM = 8.0
LEAST_OVERLAP = 0.05
RESIDUAL_SAMPLE = 8000


def moved_about(centre_mm: Array, step: Array) -> ScanPose:
    """A small motion in the planning frame: (x, y, z) in mm, then a rotation vector in rad about a point."""
    rotation = Rotation.from_rotvec(step[3:]).as_matrix()
    return Pose(DicomPatient, DicomPatient, rotation, centre_mm - rotation @ centre_mm + step[:3])


def step_length_mm(step: Array) -> float:
    """Greatest motion of a point at ``ARM_MM`` from the centre."""
    return float(np.linalg.norm(step[:3]) + ARM_MM * np.linalg.norm(step[3:]))


@dataclass(frozen=True, slots=True)
class Fit:
    """The linear problem at one pose.

    Attributes
    ----------
    matrix, vector : ndarray, shape (17, 17) and (17,)
    solution : ndarray, shape (17,)
        Motion times factor, factor, shading.
    weight, residual : ndarray, shape (n,), float32
        Residual before the step: what the model says, less what the day shows.
    known : ndarray, shape (n,), bool
    correlation : float
        Of the day, less its shading, and the plan, over all known points without weights.
    sigma : float
        Of the residual, robustly, HU.
    """

    matrix: Array
    vector: Array
    solution: Array
    weight: Float32
    residual: Float32
    known: npt.NDArray[np.bool_]
    correlation: float
    sigma: float

    @property
    def step(self) -> Array:
        """The motion in the planning frame: mm and rad."""
        return np.asarray(self.solution[:6] / max(float(self.solution[6]), LEAST_FACTOR))

    @property
    def overlap(self) -> float:
        """Part of the points that the day shows."""
        return float(self.known.mean())


@dataclass(frozen=True, slots=True)
class Found:
    """Where a search ended."""

    pose: ScanPose
    iterations: int
    last_step_mm: float
    fit: Fit
    settled: bool


def fit_at(
    points: PlannedPoints,
    day: ScanLevel,
    pose: ScanPose,
    model: Array | None,
) -> Fit:
    """Set up and solve the linear problem at a pose.

    Parameters
    ----------
    points : PlannedPoints
    day : ScanLevel
    pose : Pose[DicomPatient, DicomPatient]
        Verification from planning.
    model : ndarray, shape (11,), optional
        Factor and shading of the step before, from which the weights come; without it all points weigh alike.

    Raises
    ------
    EmptyRegion
        When the volume of the day shows hardly any of the points.
    """
    count, size = points.design.shape
    shown, residual, weight = (np.empty(count, np.float32) for _ in range(3))
    index_from_planning = day.index_from_dicom @ pose.matrix
    said = np.zeros(size - 6, np.float32) if model is None else model.astype(np.float32)
    with kernel_lock:
        residuals_at_points(day.values, index_from_planning, points.points_mm, points.design, said, shown, residual)
    known = shown > KNOWN_ABOVE
    if float(known.mean()) < LEAST_OVERLAP:
        raise EmptyRegion(
            f"the volume of the day shows only {100 * float(known.mean()):.0f} % of the region",
            overlap=float(known.mean()),
        )
    sigma, limit = 0.0, 1.0
    if model is None:  # all points weigh alike
        residual[:] = 0.0
    else:
        some = residual[known]
        sigma = max(1.4826 * float(np.median(np.abs(some[:: max(1, len(some) // RESIDUAL_SAMPLE)]))), 1.0)
        limit = points.level.robust_scale * sigma
    matrix, vector, correlation = np.zeros((size, size)), np.zeros(size), np.zeros(1)
    with kernel_lock:
        tukey_weights(shown, residual, limit, weight)
        point_normal_equations(points.design, -shown, weight, matrix, vector)
    solution = _solved(matrix, vector)
    with kernel_lock:
        shaded_correlation(shown, points.design, solution[7:].astype(np.float32), points.values, correlation)
    return Fit(matrix, vector, solution, weight, residual, known, float(correlation[0]), sigma)


def _solved(matrix: Array, vector: Array) -> Array:
    scale = 1.0 / np.sqrt(np.diag(matrix) + 1e-12)
    damped = matrix * scale[:, None] * scale[None, :] + 1e-6 * np.eye(len(matrix))
    return np.asarray(scale * np.linalg.solve(damped, scale * vector))


def refine_scan(
    prepared: PreparedScan,
    number: int,
    day: ScanLevel,
    start: ScanPose,
    *,
    model: Array | None = None,
) -> Found:
    """Gauss-Newton steps at one level (``number`` counts from the coarsest)."""
    points = prepared.points[number]
    pose = start
    settled = False
    iterations = 0
    while not settled and iterations < points.level.most_iterations:
        iterations += 1
        fit = fit_at(points, day, pose, model)
        step = fit.step
        length = step_length_mm(step)
        if length > LONGEST_STEP_MM:
            step = step * (LONGEST_STEP_MM / length)
        pose = pose @ moved_about(prepared.centre_mm, step)
        settled = model is not None and length < points.level.tolerance_mm
        model = fit.solution[6:]
    return Found(pose, iterations, length, fit, settled)


def first_look(
    prepared: PreparedScan, day: ScanLevel, start: ScanPose, reach_mm: float, step_mm: float
) -> list[ScanPose]:
    """A start and its most promising shifts, by plain correlation at the coarsest level."""
    points = prepared.points[0]
    every = max(1, len(points.values) // LOOK_POINTS)
    count = max(1, round(reach_mm / step_mm))
    offsets = step_mm * np.arange(-count, count + 1)
    shifts_mm = np.stack(np.meshgrid(offsets, offsets, offsets, indexing="ij"), axis=-1).reshape(-1, 3)
    index_from_dicom = day.index_from_dicom
    scores = np.zeros((len(shifts_mm), 2))
    with kernel_lock:
        shifted_correlations(
            day.values,
            index_from_dicom @ start.matrix,
            np.ascontiguousarray(points.points_mm[::every]),
            np.ascontiguousarray(points.values[::every]),
            shifts_mm @ index_from_dicom[:3, :3].T,
            scores,
        )
    score = scores[:, 0] * np.minimum(1.0, scores[:, 1] / (0.5 * max(float(scores[:, 1].max()), 1e-9)))
    found = [start]
    taken: list[Array] = [np.zeros(3)]
    for one in np.argsort(-score):
        if len(found) > BEST_LOOKS:
            break
        if all(np.abs(shifts_mm[one] - other).max() > 1.5 * step_mm or not other.any() for other in taken):
            taken.append(shifts_mm[one])
            found.append(Pose(DicomPatient, DicomPatient, np.eye(3), shifts_mm[one]) @ start)
    return found


def wide_starts(prepared: PreparedScan, start: ScanPose, turn_deg: float) -> list[ScanPose]:
    """Turned starts: every combination of no turn and a turn either way about the three axes through the middle."""
    turns = itertools.product((0.0, -1.0, 1.0), repeat=3)
    return [
        start @ moved_about(prepared.centre_mm, np.array([0.0, 0.0, 0.0, *(np.deg2rad(turn_deg) * np.array(turn))]))
        for turn in turns
    ]


def best_of(prepared: PreparedScan, levels: tuple[ScanLevel, ...], starts: list[ScanPose]) -> tuple[Found | None, int]:
    """The best end of several starts at the second level, and the iterations of all.

    Every start is refined at the coarsest level; the few best that end apart from each other are refined once more,
    because a spine one vertebra off is told from the right place only there.
    """
    ends: list[Found] = []
    iterations = 0
    for start in starts:
        try:
            ends.append(refine_scan(prepared, 0, levels[0], start))
        except EmptyRegion:
            continue
        iterations += ends[-1].iterations
    ends.sort(key=_worth, reverse=True)
    apart: list[Found] = []
    for end in ends:
        place = end.pose.apply(prepared.centre_mm)
        if all(np.linalg.norm(place - other.pose.apply(prepared.centre_mm)) > APART_MM for other in apart):
            apart.append(end)
    finer: list[Found] = []
    for end in apart[:BEST_ENDS] if len(levels) > 1 else []:
        try:
            finer.append(refine_scan(prepared, 1, levels[1], end.pose, model=end.fit.solution[6:]))
        except EmptyRegion:
            continue
        iterations += finer[-1].iterations
    return max(finer or apart, key=_worth, default=None), iterations


def _worth(found: Found) -> float:
    """Correlation, less where little of the plan is shown."""
    return found.fit.correlation * min(1.0, found.fit.overlap / 0.3)
