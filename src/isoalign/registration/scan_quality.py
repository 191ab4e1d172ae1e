"""Figures that say how far a 3D/3D match may be trusted, measured apart from what the search made best."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from isoalign.geometry import Array
from isoalign.imaging.compiled import kernel_lock
from isoalign.registration.scan_kernels import point_normal_equations
from isoalign.registration.scan_prepared import PlannedPoints
from isoalign.registration.scan_search import ARM_MM, LEAST_FACTOR, Fit

Mask = npt.NDArray[np.bool_]

LEAST_IN_BLOCK = 60
SYSTEMATIC_MM, SYSTEMATIC_DEG = 0.05, 0.03
"""What no image tells: interpolation, partial volume; measured on analytic bodies."""
LEAST_HALF = 300
LOWEST_PART = 0.2


@dataclass(frozen=True, slots=True)
class PoseEquations:
    """The equations of a fit for the pose alone, after factor and shading were eliminated.

    Attributes
    ----------
    hessian : ndarray, shape (6, 6)
        Motions in mm and rad about the middle of the region, along the axes of the plan, times the factor.
    condition : float
        Ratio of the greatest to the least eigenvalue, rotations measured at 80 mm.
    covariance : ndarray, shape (6, 6)
        Of the pose: mm and rad.
    """

    hessian: Array
    condition: float
    covariance: Array


def pose_equations(points: PlannedPoints, fit: Fit) -> PoseEquations:
    """Condition and covariance at a solution.

    Residuals near each other are alike (gas, shading, another posture), so that the variance is taken from parts of
    about 30 mm that may pull in different directions ("sandwich" with clusters), not from voxels as if they were
    independent. Sources: P. J. Huber (1967); K.-Y. Liang and S. L. Zeger, Biometrika 73 (1986) 13.
    """
    corner = np.linalg.pinv(fit.matrix[6:, 6:], hermitian=True)
    hessian = fit.matrix[:6, :6] - fit.matrix[:6, 6:] @ corner @ fit.matrix[6:, :6]
    scale = np.array([1.0, 1.0, 1.0, ARM_MM, ARM_MM, ARM_MM])
    eigenvalues = np.linalg.eigvalsh(hessian / np.outer(scale, scale))
    condition = float(eigenvalues[-1] / max(eigenvalues[0], 1e-9 * eigenvalues[-1], 1e-30))
    pulls = _block_sums(points.design * (fit.weight * fit.residual)[:, None], points.block)
    inverse = np.linalg.pinv(fit.matrix, rcond=1e-12, hermitian=True)
    factor = max(float(fit.solution[6]), LEAST_FACTOR)
    covariance = (inverse @ (pulls.T @ pulls) @ inverse)[:6, :6] / factor**2
    covariance += np.diag([SYSTEMATIC_MM**2] * 3 + [np.deg2rad(SYSTEMATIC_DEG) ** 2] * 3)
    return PoseEquations(hessian, condition, covariance)


def _block_sums(rows: npt.NDArray[np.float32], block: npt.NDArray[np.int64]) -> Array:
    """Sums of the rows (n, p) of every block, which are in order: shape (blocks, p)."""
    first = np.flatnonzero(np.diff(block, prepend=-1))
    return np.asarray(np.add.reduceat(rows, first, axis=0, dtype=np.float64))


def detail_of(points: PlannedPoints, fit: Fit) -> float:
    """Lowest fifth, over parts of about 30 mm, of the correlation of plan and day; 0 where no part has enough.

    Every part has the same say, however strong its edges: outlines, which all patients share, cannot hide that the
    inside is another's. A mirrored patient agrees in most parts, and only the lowest ones tell.
    """
    predicted = points.values.astype(np.float64)
    flat = predicted - fit.residual / max(float(fit.solution[6]), LEAST_FACTOR)
    used = fit.known
    block = points.block[used]
    size = int(points.block.max()) + 1
    count = np.bincount(block, minlength=size)
    enough = count >= LEAST_IN_BLOCK
    if not enough.any():
        return 0.0
    mean_p, mean_f = (np.bincount(block, one[used], size) / np.maximum(count, 1) for one in (predicted, flat))
    p, f = predicted[used] - mean_p[block], flat[used] - mean_f[block]
    power = np.bincount(block, p * p, size) * np.bincount(block, f * f, size)
    together = np.bincount(block, p * f, size)
    return float(np.quantile((together / np.sqrt(power + 1e-9))[enough], LOWEST_PART))


def halves_disagree(points: PlannedPoints, fit: Fit) -> tuple[float, float]:
    """How far the pose would move, in mm and degrees, when only one half of the region counted: the worst of six."""
    arm = points.points_mm - points.points_mm.mean(axis=0)
    worst_mm, worst_deg = 0.0, 0.0
    used = fit.weight > 0
    for axis in range(3):
        middle = float(np.median(arm[used, axis])) if used.any() else 0.0
        for half in (arm[:, axis] > middle, arm[:, axis] <= middle):
            step = _step_of_part(points, fit, half)
            if step is not None:
                worst_mm = max(worst_mm, float(np.linalg.norm(step[:3])))
                worst_deg = max(worst_deg, float(np.rad2deg(np.linalg.norm(step[3:]))))
    return worst_mm, worst_deg


def _step_of_part(points: PlannedPoints, fit: Fit, part: Mask) -> Array | None:
    """Where one part of the points would move the pose with the common shading kept: about the middle of the part."""
    used = part & (fit.weight > 0)
    if np.count_nonzero(used) < LEAST_HALF:
        return None
    design = points.design[used, :6].copy()
    arm = points.points_mm[used].mean(axis=0) - points.points_mm.mean(axis=0)
    design[:, 3:6] -= np.cross(arm, design[:, :3])
    matrix, vector = np.zeros((6, 6)), np.zeros(6)
    with kernel_lock:
        point_normal_equations(design, fit.residual[used], fit.weight[used], matrix, vector)
    scale = 1.0 / np.sqrt(np.diag(matrix) + 1e-12)
    damped = matrix * scale[:, None] * scale[None, :] + 1e-4 * np.eye(6)
    return np.asarray(scale * np.linalg.solve(damped, scale * vector) / max(float(fit.solution[6]), LEAST_FACTOR))
