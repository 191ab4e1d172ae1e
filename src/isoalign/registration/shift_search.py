"""A wide search for the translation alone: correlate each radiograph with its DRR over all shifts in the image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.signal import fftconvolve

from isoalign.geometry import Array, DicomPatient, Fixed, Pose
from isoalign.imaging import AttenuationGrid, project_grid
from isoalign.registration.views import LevelView, window_sums

STEP_MM = 2.0


def best_shift_mm(
    views: Sequence[LevelView],
    grid: AttenuationGrid,
    pose: Pose[Fixed, DicomPatient],
    range_mm: float,
    directions: Array | None = None,
) -> Array:
    """The translation in the fixed frame, within +-range on each axis, that suits all views best together.

    Each view's correlation of details is looked up where the translation moves the image of the isocentre to.

    Parameters
    ----------
    views, grid, pose, range_mm
    directions : ndarray, shape (3, n), optional
        The search goes along these directions (columns); the axes of the fixed frame when omitted.
    """
    along = np.eye(3) if directions is None else directions
    axis_mm = np.arange(-range_mm, range_mm + STEP_MM / 2, STEP_MM)
    steps = np.stack(np.meshgrid(*[axis_mm] * along.shape[1], indexing="ij"), axis=-1)
    shifts = steps.reshape(-1, along.shape[1]) @ along.T
    score = np.zeros(len(shifts))
    for view in views:
        correlation = _correlation_map(view, grid, pose)
        moved_px = view.geometry.project(shifts) - view.geometry.project(np.zeros(3))
        column = np.rint(moved_px[:, 0]).astype(np.intp) + view.mask.shape[1] - 1
        row = np.rint(moved_px[:, 1]).astype(np.intp) + view.mask.shape[0] - 1
        inside = (column >= 0) & (row >= 0) & (column < correlation.shape[1]) & (row < correlation.shape[0])
        found = correlation[np.where(inside, row, 0), np.where(inside, column, 0)]
        score += np.where(inside, found, -1.0)
    return np.asarray(shifts[int(np.argmax(score))], dtype=np.float64)


def _correlation_map(
    view: LevelView, grid: AttenuationGrid, pose: Pose[Fixed, DicomPatient]
) -> npt.NDArray[np.float64]:
    """Normalised correlation of image and DRR details for all shifts of the DRR; (rows - 1, columns - 1): no shift."""
    drr = project_grid(grid, view.geometry, pose)
    mean = window_sums((view.mask * drr)[None], view.radius)[0] / view.share
    detail = (view.mask * (drr - mean)).astype(np.float64)
    image = (view.mask * view.detail).astype(np.float64)
    ones = view.mask.astype(np.float64)
    flipped = detail[::-1, ::-1]
    product = fftconvolve(image, flipped)
    power = fftconvolve(image * image, ones[::-1, ::-1]) * fftconvolve(ones, flipped * flipped)
    least = 0.25 * float((image * image).sum()) * float((detail * detail).sum())
    return np.asarray(product / np.sqrt(np.maximum(power, max(least, 1e-12))), dtype=np.float64)
