"""What remains between a radiograph and its DRR, made insensitive to what the CT cannot predict.

Image and DRR lose their local mean (scatter, the panel's gain map, a couch top that is not in the CT), the DRR is
scaled to the local contrast of the image (scatter), both are divided by the image's local spread, and pixels that do
not fit (edges of the couch top, metal, clothing) count little (Cauchy weights).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

import numpy as np
import numpy.typing as npt

from isoalign.geometry import Array, DicomPatient, Fixed, Pose
from isoalign.imaging import AttenuationGrid, project_grid_with_derivatives
from isoalign.imaging.compiled import kernel_lock
from isoalign.registration.kernels import normal_equations
from isoalign.registration.response import estimate_response
from isoalign.registration.settings import MatchLevel
from isoalign.registration.views import LevelView, window_sums

Float32 = npt.NDArray[np.float32]

SPREAD_FLOOR = np.float32(0.05)
"""Added to the local spread of the image, so that noise in flat parts is not blown up (line integrals)."""
SEEN_ABOVE = np.float32(0.05)
"""A DRR pixel above this sees the patient (line integrals)."""
LEAST_SPREAD = 0.1
"""Of residuals, in units of the local spread of the image: the CT never predicts better than that where it matters."""
LEAST_CONTRAST, MOST_CONTRAST = 0.3, 1.5
"""Of the image against the DRR: anything else is not physics."""


@dataclass(frozen=True, slots=True)
class Linearised:
    """One view at one pose.

    Attributes
    ----------
    matrix, vector : ndarray, shape (6, 6) and (6,)
        J^T W J and J^T W r, in units of the residual's own variance.
    similarity : float
        Weighted correlation of image and DRR details, -1 to 1.
    drr, residual, weight : ndarray, shape (rows, columns), float32
        The DRR is as projected, before it is bent to the image's response.
    jacobian : ndarray, shape (6, rows, columns), float32
    variance : float
        Of the residual, robustly.
    """

    matrix: Array
    vector: Array
    similarity: float
    drr: Float32
    residual: Float32
    weight: Float32
    jacobian: Float32
    variance: float


def linearise(
    view: LevelView, grid: AttenuationGrid, fixed_from_dicom: Pose[Fixed, DicomPatient], level: MatchLevel
) -> Linearised:
    """Compare one view with its DRR at a pose, and say how the difference changes with small motions."""
    projected, derivatives = project_grid_with_derivatives(grid, view.geometry, fixed_from_dicom)
    drr = projected
    seen = (view.mask > 0) & (drr > SEEN_ABOVE)
    if isfinite(level.local_contrast):
        response = estimate_response(drr[seen], view.integrals[seen])
        if response is not None:
            drr, slope = response.apply(drr)
            derivatives *= slope
    stack = np.empty((9, *drr.shape), np.float32)
    stack[0] = drr
    stack[1] = drr * drr
    stack[2] = drr * view.integrals
    stack[3:] = derivatives
    stack *= view.mask
    means = window_sums(stack, view.radius) / view.share
    detail = drr - means[0]
    contrast = _contrast(view, detail, means, level.local_contrast)
    scale = 1.0 / np.sqrt(view.variance + SPREAD_FLOOR * SPREAD_FLOOR)
    image = view.detail * scale
    model = contrast * detail * scale
    residual = image - model
    jacobian = (derivatives - means[3:]) * (contrast * scale)
    typical = float(np.median(np.abs(residual[seen]))) if seen.any() else 1.0
    spread = np.float32(max(1.4826 * typical, LEAST_SPREAD))
    weight = view.mask / (1.0 + (residual / (np.float32(level.robust_scale) * spread)) ** 2)
    matrix = np.zeros((6, 6))
    vector = np.zeros(6)
    with kernel_lock:
        normal_equations(residual, jacobian, weight, matrix, vector)
    power = float(_total(weight * image * image)) * float(_total(weight * model * model))
    similarity = float(_total(weight * image * model)) / np.sqrt(power + 1e-12)
    variance = float(spread) ** 2
    return Linearised(
        matrix=matrix / variance,
        vector=vector / variance,
        similarity=float(similarity),
        drr=projected,
        residual=residual,
        weight=weight,
        jacobian=jacobian,
        variance=variance,
    )


def _contrast(view: LevelView, detail: Float32, means: Float32, local: float) -> Float32:
    """Contrast of the image against the DRR around every pixel."""
    power = view.mask * detail * detail
    overall = _total(view.mask * view.detail * detail) / max(_total(power), 1e-6)
    overall = min(max(overall, LEAST_CONTRAST), MOST_CONTRAST)
    if not isfinite(local):
        return np.full_like(detail, overall)
    held = np.float32(local * _total(power) / max(_total(view.mask), 1.0) + 1e-9)
    variance = np.maximum(means[1] - means[0] * means[0], np.float32(0.0))
    covariance = means[2] - means[0] * view.mean
    raw = (covariance + held * np.float32(overall)) / (variance + held)
    return np.asarray(np.clip(raw, 0.3 * overall, 2.0 * overall), dtype=np.float32)


def _total(image: Float32) -> float:
    return float(image.sum(dtype=np.float64))
