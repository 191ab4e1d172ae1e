"""What remains between a radiograph and its DRR, made insensitive to what the CT cannot predict.

Image and DRR lose their local mean (scatter, the panel's gain map, a couch top that is not in the CT), the DRR is
scaled to the local contrast of the image (scatter), both are divided by the image's local spread, and pixels that do
not fit (edges of the couch top, metal, clothing) count little (Cauchy weights).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite, sqrt

import numpy as np
import numpy.typing as npt

from isoalign.geometry import Array, DicomPatient, Fixed, Pose
from isoalign.imaging import AttenuationGrid, project_grid_with_derivatives
from isoalign.imaging.compiled import kernel_lock
from isoalign.registration.comparison_kernels import CHANNELS, agreement_totals, equations, residuals, windowed
from isoalign.registration.kernels import local_sums
from isoalign.registration.response import STRAIGHT, estimate_response
from isoalign.registration.settings import MatchLevel
from isoalign.registration.views import LevelView

Float32 = npt.NDArray[np.float32]

SPREAD_FLOOR = 0.05
"""Added to the local spread of the image, so that noise in flat parts is not blown up (line integrals)."""
SEEN_ABOVE = 0.05
"""A DRR pixel above this sees the patient (line integrals)."""
LEAST_SPREAD = 0.1
"""Of residuals, in units of the local spread of the image: the CT never predicts better than that where it matters."""
BLOCK_MM = 30.0
"""Over such distances at the isocentre, what the CT does not predict is taken to be alike."""
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
    drr : ndarray, shape (rows, columns), float32
        As projected, before it is bent to the image's response.
    derivatives : ndarray, shape (6, rows, columns), float32
        Of ``drr`` by small motions.
    pulls : ndarray, shape (6, n)
        J^T W r of blocks of pixels, in units of the residual's own variance.
    variance : float
        Of the residual, robustly.
    """

    matrix: Array
    vector: Array
    similarity: float
    drr: Float32
    derivatives: Float32
    pulls: Array
    variance: float

    def drr_after(self, step: Array) -> Float32:
        """The DRR after a small motion, from its derivatives (mm and degrees, six)."""
        return np.asarray(self.drr + np.tensordot(step.astype(np.float32), self.derivatives, 1), dtype=np.float32)


def linearise(
    view: LevelView, grid: AttenuationGrid, fixed_from_dicom: Pose[Fixed, DicomPatient], level: MatchLevel
) -> Linearised:
    """Compare one view with its DRR at a pose, and say how the difference changes with small motions."""
    drr, derivatives = project_grid_with_derivatives(grid, view.geometry, fixed_from_dicom)
    curve = STRAIGHT
    local = isfinite(level.local_contrast)
    if local:
        response = estimate_response(drr, view.integrals, view.mask, SEEN_ABOVE)
        if response is not None:
            curve = response.curve()
    curved, slope, residual, gain = (np.empty_like(drr) for _ in range(4))
    stack = np.empty((CHANNELS, *drr.shape), np.float32)
    block = max(1, round(BLOCK_MM / level.pixel_mm))
    matrix = np.zeros((6, 6))
    pulls = np.zeros((6, *(-(-size // block) for size in drr.shape)))
    with kernel_lock:
        windowed(drr, derivatives, view.integrals, view.mask, curve, curved, slope, stack)
        local_sums(stack, view.radius, stack)
        product, power, used = (
            float(total) for total in agreement_totals(curved, stack, view.share, view.detail, view.mask)
        )
        overall = min(max(product / max(power, 1e-6), LEAST_CONTRAST), MOST_CONTRAST)
        held = level.local_contrast * power / max(used, 1.0) + 1e-9 if local else 1.0
        typical = residuals(
            drr,
            curved,
            stack,
            view.share,
            view.mean,
            view.detail,
            view.variance,
            view.mask,
            overall,
            local,
            held,
            SPREAD_FLOOR,
            SEEN_ABOVE,
            residual,
            gain,
        )
        spread = max(1.4826 * typical, LEAST_SPREAD)
        cut = level.robust_scale * spread
        agreement = equations(
            derivatives,
            slope,
            stack,
            view.share,
            gain,
            residual,
            view.detail,
            view.variance,
            view.mask,
            SPREAD_FLOOR,
            cut,
            block,
            matrix,
            pulls,
        )
    both, of_image, of_model = (float(total) for total in agreement)
    variance = spread * spread
    pulls = pulls.reshape(6, -1) / variance
    return Linearised(
        matrix=matrix / variance,
        vector=pulls.sum(axis=1),
        similarity=both / sqrt(of_image * of_model + 1e-12),
        drr=drr,
        derivatives=derivatives,
        pulls=pulls,
        variance=variance,
    )
