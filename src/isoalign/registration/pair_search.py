"""Shift and turn of a radiograph against its DRR within the image plane, coarse to fine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import map_coordinates
from scipy.signal import fftconvolve

from isoalign.geometry import Array
from isoalign.imaging.compiled import kernel_lock
from isoalign.registration.kernels import normal_equations
from isoalign.registration.pair_views import PairLevel
from isoalign.registration.response import estimate_response
from isoalign.registration.views import window_sums

Float32 = npt.NDArray[np.float32]

SPREAD_FLOOR = np.float32(0.05)
SEEN_ABOVE = np.float32(0.05)
LEAST_SPREAD = 0.1
LEAST_CONTRAST, MOST_CONTRAST = 0.3, 1.5
RELAXATION = 1.4
"""Reweighted steps are too short by nature."""
LONGEST_SHIFT_MM, LONGEST_TURN_DEG = 8.0, 4.0
BLOCK_MM = 30.0


@dataclass(frozen=True, slots=True)
class PlaneMotion:
    """Motion in an image plane: shift at the isocentre's image and turn about it.

    Attributes
    ----------
    column_mm, row_mm : float
        Along growing columns and rows, scaled to the isocentre.
    turn_deg : float
        From columns towards rows.
    scale : float
        Magnification against the DRR, by which the patient is nearer to the source; never fitted, the other view
        tells it.
    """

    column_mm: float = 0.0
    row_mm: float = 0.0
    turn_deg: float = 0.0
    scale: float = 1.0

    def plus(self, step: Array) -> PlaneMotion:
        """The motion after a further step (mm, mm, degrees)."""
        return PlaneMotion(
            self.column_mm + float(step[0]), self.row_mm + float(step[1]), self.turn_deg + float(step[2]), self.scale
        )

    def values(self) -> Array:
        """(mm, mm, degrees)."""
        return np.array([self.column_mm, self.row_mm, self.turn_deg])


@dataclass(frozen=True, slots=True)
class PlaneFit:
    """Where a search at one level ended.

    Attributes
    ----------
    similarity : float
        Weighted correlation of the details of radiograph and DRR.
    covariance : ndarray, shape (3, 3)
        mm, mm, degrees; from parts of the image that pull in different directions.
    """

    motion: PlaneMotion
    similarity: float
    last_step: float
    iterations: int
    covariance: Array


def moved_drr(level: PairLevel, motion: PlaneMotion) -> Float32:
    """The DRR after a motion in the image plane."""
    rows, columns = level.drr.shape
    v, u = np.mgrid[0:rows, 0:columns].astype(np.float64)
    u -= level.isocentre_px[0] + motion.column_mm / level.pixel_mm
    v -= level.isocentre_px[1] + motion.row_mm / level.pixel_mm
    c, s = (f(np.deg2rad(motion.turn_deg)) / motion.scale for f in (np.cos, np.sin))
    at = [-s * u + c * v + level.isocentre_px[1], c * u + s * v + level.isocentre_px[0]]
    return np.asarray(
        map_coordinates(level.coefficients, at, order=3, mode="nearest", prefilter=False, output=np.float32),
        dtype=np.float32,
    )


def coarse_motions(level: PairLevel, range_mm: float, turns_deg: Sequence[float], count: int = 3) -> list[PlaneMotion]:
    """The shifts and turns that make details of radiograph and DRR correlate best, one for each turn, best first."""
    view = level.view
    image = (view.mask * view.detail / np.sqrt(view.variance + SPREAD_FLOOR**2)).astype(np.float64)
    ones = view.mask.astype(np.float64)
    reach = int(np.ceil(range_mm / level.pixel_mm))
    rows, columns = image.shape
    found = []
    for turn in turns_deg:
        drr = moved_drr(level, PlaneMotion(0.0, 0.0, turn))
        all_of_it = np.ones_like(drr)
        sums = window_sums(np.stack([all_of_it, drr, drr * drr]), view.radius)
        mean = sums[1] / sums[0]
        spread = np.sqrt(np.maximum(sums[2] / sums[0] - mean * mean, 0.0) + SPREAD_FLOOR**2)
        detail = ((drr - mean) / spread).astype(np.float64)
        flipped = detail[::-1, ::-1]
        product = fftconvolve(image, flipped)
        power = fftconvolve(image * image, np.ones_like(flipped)) * fftconvolve(ones, flipped * flipped)
        least = 0.25 * float((image * image).sum()) * float((detail * detail).sum())
        score = product / np.sqrt(np.maximum(power, max(least, 1e-12)))
        window = score[
            max(rows - 1 - reach, 0) : rows + reach,
            max(columns - 1 - reach, 0) : columns + reach,
        ]
        row, column = np.unravel_index(int(np.argmax(window)), window.shape)
        row_px = float(row + max(rows - 1 - reach, 0) - (rows - 1))
        column_px = float(column + max(columns - 1 - reach, 0) - (columns - 1))
        motion = PlaneMotion(column_px * level.pixel_mm, row_px * level.pixel_mm, turn)
        found.append((float(window.max()), motion))
    found.sort(key=lambda one: -one[0])
    return [motion for _, motion in found[:count]]


def refine_motion(
    level: PairLevel,
    start: PlaneMotion,
    *,
    robust_scale: float,
    most_iterations: int,
    bent: bool,
    poll: Callable[[], None],
    tolerance: float = 0.01,
) -> PlaneFit:
    """Gauss-Newton steps on what remains between radiograph and DRR, with weights that spare what does not fit.

    ``bent``: the DRR is bent to the radiograph's response first (beam hardening, scatter, offset).
    """
    motion, iterations = start, 0
    while True:
        poll()
        iterations += 1
        residual, jacobian, weight, similarity = _linearised(level, motion, robust_scale, bent)
        matrix, vector = np.zeros((3, 3)), np.zeros(3)
        with kernel_lock:
            normal_equations(residual, jacobian, weight, matrix, vector)
        damped = matrix + np.diag(1e-3 * np.diag(matrix) + 1e-9)
        step: Array = np.asarray(RELAXATION * np.linalg.solve(damped, vector))
        longest = max(float(np.abs(step[:2]).max()) / LONGEST_SHIFT_MM, abs(float(step[2])) / LONGEST_TURN_DEG, 1.0)
        step /= longest
        motion = motion.plus(step)
        last = float(np.abs(step).max())
        if last < tolerance or iterations >= most_iterations:
            break
    size = max(1, round(BLOCK_MM / level.pixel_mm))
    pulls = block_sums(jacobian * (weight * residual), size)
    inverse = np.linalg.pinv(matrix, rcond=1e-12, hermitian=True)
    return PlaneFit(motion, similarity, last, iterations, inverse @ (pulls @ pulls.T) @ inverse)


def block_sums(stack: Float32, size: int) -> Array:
    """Sums over blocks of ``size`` x ``size`` pixels, shape (channels, blocks); the last blocks may be smaller."""
    rows, columns = np.arange(0, stack.shape[1], size), np.arange(0, stack.shape[2], size)
    summed = np.add.reduceat(np.add.reduceat(stack, rows, axis=1, dtype=np.float64), columns, axis=2)
    return np.asarray(summed.reshape(stack.shape[0], -1))


def _linearised(
    level: PairLevel, motion: PlaneMotion, robust_scale: float, bent: bool
) -> tuple[Float32, Float32, Float32, float]:
    """Residual, its change with the motion (mm, mm, degrees), weight, and similarity."""
    view = level.view
    drr = moved_drr(level, motion)
    seen = (view.mask > 0) & (drr > SEEN_ABOVE)
    if bent:
        response = estimate_response(drr[seen], view.integrals[seen])
        if response is not None:
            drr = response.apply(drr)[0]
    along_row, along_column = np.gradient(drr)
    rows, columns = drr.shape
    v, u = np.mgrid[0:rows, 0:columns].astype(np.float32)
    u -= np.float32(level.isocentre_px[0] + motion.column_mm / level.pixel_mm)
    v -= np.float32(level.isocentre_px[1] + motion.row_mm / level.pixel_mm)
    per_mm = np.float32(1.0 / level.pixel_mm)
    derivatives = np.stack(
        [-along_column * per_mm, -along_row * per_mm, np.float32(np.deg2rad(1.0)) * (v * along_column - u * along_row)]
    )
    stack = np.empty((4, *drr.shape), np.float32)
    stack[0], stack[1:] = drr, derivatives
    stack *= view.mask
    means = window_sums(stack, view.radius) / view.share
    detail = drr - means[0]
    power = float((view.mask * detail * detail).sum(dtype=np.float64))
    contrast = float((view.mask * view.detail * detail).sum(dtype=np.float64)) / max(power, 1e-6)
    contrast = min(max(contrast, LEAST_CONTRAST), MOST_CONTRAST)
    scale = 1.0 / np.sqrt(view.variance + SPREAD_FLOOR * SPREAD_FLOOR)
    image, model = view.detail * scale, np.float32(contrast) * detail * scale
    residual = image - model
    jacobian = (derivatives - means[1:]) * (np.float32(contrast) * scale)
    typical = float(np.median(np.abs(residual[seen]))) if seen.any() else 1.0
    spread = np.float32(max(1.4826 * typical, LEAST_SPREAD))
    weight = (view.mask / (1.0 + (residual / (np.float32(robust_scale) * spread)) ** 2)).astype(np.float32)
    strength = float((weight * image * image).sum(dtype=np.float64)) * float(
        (weight * model * model).sum(dtype=np.float64)
    )
    similarity = float((weight * image * model).sum(dtype=np.float64)) / float(np.sqrt(strength + 1e-12))
    return residual, np.ascontiguousarray(jacobian), weight, similarity
