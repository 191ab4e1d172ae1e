"""Fit of the couch model to measured targets: robust, with what was believed before, weak parameters named.

Gauss-Newton on all parameters at once. Every parameter is scaled by its usual size and every measurement by its noise,
so that a singular value of the scaled design below 1 is a combination about which the measurements say less than what
is usual for couches. What was believed before keeps such combinations near zero (ridge regression, the maximum a
posteriori of a linear model); parameters that the measurements hardly touch are dropped, that is, left at zero, and
named.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from isoalign.calibration.couch_model import PARAMETERS, CouchModel, CouchState
from isoalign.calibration.errors import TooManyOutliers
from isoalign.geometry import Array

ROUNDS = 12
SETTLED = 1e-3
"""A step below this part of the usual size ends the fit."""
OUTLIER_SIGMAS = 6.0
LEAST_OUTLIER_MM = 0.3
LARGEST_OUTLIER_PART = 0.05
WEAK_RATIO, DROPPED_RATIO = 0.5, 0.9
"""Standard deviation after measuring over that before it: above these a parameter is weak, or dropped."""
_USUAL = np.array([one.usual for one in PARAMETERS])


@dataclass(frozen=True, slots=True)
class Targets:
    """Targets on the table top and where they were seen.

    Attributes
    ----------
    places_mm : ndarray, shape (k, 3)
        In the table top frame, as surveyed.
    seen_mm : ndarray, shape (n, k, 3)
        In the room at each of n poses, NaN where a target was not seen.
    noise_mm, placement_mm : float
        One standard deviation of a coordinate as seen, and of a surveyed place.
    """

    places_mm: Array
    seen_mm: Array
    noise_mm: float
    placement_mm: float

    def take(self, which: npt.ArrayLike) -> Targets:
        """Some of the poses."""
        return Targets(self.places_mm, self.seen_mm[np.asarray(which)], self.noise_mm, self.placement_mm)


@dataclass(frozen=True, slots=True)
class CouchFit:
    """What a fit has found.

    Attributes
    ----------
    model : CouchModel
    places_mm : ndarray, shape (k, 3)
        Of the targets, corrected.
    covariance : ndarray, shape (p, p)
        Of the model's values, in their units, before any was dropped: what dropped ones and others do together to a
        target may be known well although the single numbers are not.
    singular_values : ndarray
        Of the scaled design, falling.
    weak, dropped : tuple of str
        Parameters that the measurements hold only with the help of what is usual, and those that were left at zero.
    left_out : tuple of (int, int)
        Pose and target of measurements that disagree with all others; target -1 stands for all of a pose.
    residuals_mm : ndarray, shape (n, k, 3)
        NaN where not seen.
    """

    model: CouchModel
    places_mm: Array
    covariance: Array
    singular_values: Array
    weak: tuple[str, ...]
    dropped: tuple[str, ...]
    left_out: tuple[tuple[int, int], ...]
    residuals_mm: Array

    @property
    def rms_mm(self) -> float:
        """Of the coordinates that were not left out."""
        used = self.residuals_mm[~_mask(self.left_out, self.residuals_mm.shape[:2])]
        return float(np.sqrt(np.nanmean(used**2)))


def fit_couch(state: CouchState, targets: Targets) -> CouchFit:
    """Fit the model.

    Raises
    ------
    TooManyOutliers
    """
    used = _seen(targets)
    free = np.ones(len(PARAMETERS), dtype=bool)
    solved = _solve(state, targets, used, free, robust=True)
    outlying = _outliers(solved.residuals_mm, used, targets.noise_mm)
    used = used & ~outlying
    solved = _solve(state, targets, used, free, start=solved)
    free = solved.ratio < DROPPED_RATIO
    whole, solved = solved, _solve(state, targets, used, free, start=solved)
    names = [one.name for one in PARAMETERS]
    weak = tuple(
        name for name, ratio, kept in zip(names, solved.ratio, free, strict=True) if kept and ratio > WEAK_RATIO
    )
    dropped = tuple(name for name, kept in zip(names, free, strict=True) if not kept)
    return CouchFit(
        CouchModel(solved.values),
        solved.places_mm,
        whole.covariance,
        whole.singular_values,
        weak,
        dropped,
        _named(outlying, _seen(targets)),
        solved.residuals_mm,
    )


def sensitivity(model: CouchModel, state: CouchState, points_mm: Array) -> Array:
    """How points of the table top move with each parameter, shape (n, k, 3, parameters), mm per unit."""
    rates = model.rates(state)
    points = model.points(state, points_mm)
    turned = np.cross(np.swapaxes(rates[:, None, :3], 2, 3), points[:, :, None])
    return np.asarray(rates[:, None, 3:] + np.swapaxes(turned, 2, 3))


@dataclass(frozen=True, slots=True)
class _Solution:
    values: Array
    places_mm: Array
    covariance: Array
    singular_values: Array
    ratio: Array
    residuals_mm: Array


def _solve(
    state: CouchState,
    targets: Targets,
    used: npt.NDArray[np.bool_],
    free: npt.NDArray[np.bool_],
    *,
    robust: bool = False,
    start: _Solution | None = None,
) -> _Solution:
    """Gauss-Newton; with ``robust`` every measured point is weighted down by how far off it is (Cauchy)."""
    values = np.zeros(len(PARAMETERS)) if start is None else np.where(free, start.values, 0.0)
    places = targets.places_mm.copy() if start is None else start.places_mm.copy()
    count = len(places)
    prior = np.concatenate([_USUAL[free], np.full(3 * count, max(targets.placement_mm, 1e-6))])
    for _ in range(ROUNDS):
        model = CouchModel(values)
        rotation, _ = model.table_poses(state)
        off = targets.seen_mm - model.points(state, places)
        weight = np.where(used, 1.0, 0.0)
        if robust:
            distance = np.linalg.norm(np.where(used[..., None], off, 0.0), axis=2)
            scale = max(2 * float(np.median(distance[used])), 3 * targets.noise_mm)
            weight = weight / np.sqrt(1 + (distance / scale) ** 2)
        design = np.zeros((*off.shape, prior.size))
        design[..., : int(free.sum())] = sensitivity(model, state, places)[..., free]
        for target in range(count):
            first = int(free.sum()) + 3 * target
            design[:, target, :, first : first + 3] = rotation
        scaled = (design * (weight / targets.noise_mm)[..., None, None] * prior).reshape(-1, prior.size)
        right = (np.where(used[..., None], off, 0.0) * (weight / targets.noise_mm)[..., None]).ravel()
        now = np.concatenate([values[free], (places - targets.places_mm).ravel()]) / prior
        step = np.linalg.solve(scaled.T @ scaled + np.eye(prior.size), scaled.T @ right - now)
        values[free] += step[: int(free.sum())] * _USUAL[free]
        places = places + (step[int(free.sum()) :] * prior[int(free.sum()) :]).reshape(count, 3)
        if np.abs(step).max() < SETTLED:
            break
    squares, directions = np.linalg.eigh(scaled.T @ scaled)
    singular = np.sqrt(np.maximum(squares[::-1], 0.0))
    spread = (directions / (np.maximum(squares, 0.0) + 1)) @ directions.T
    covariance = np.diag(np.where(free, 0.0, _USUAL**2))
    covariance[np.ix_(free, free)] = spread[: int(free.sum()), : int(free.sum())] * np.outer(_USUAL[free], _USUAL[free])
    residuals = targets.seen_mm - CouchModel(values).points(state, places)
    return _Solution(values, places, covariance, singular, np.sqrt(np.diag(covariance)) / _USUAL, residuals)


def _seen(targets: Targets) -> npt.NDArray[np.bool_]:
    """Which targets were seen at which poses, shape (n, k)."""
    return np.asarray(np.isfinite(targets.seen_mm).all(axis=2), dtype=np.bool_)


def _outliers(residuals_mm: Array, used: npt.NDArray[np.bool_], noise_mm: float) -> npt.NDArray[np.bool_]:
    """Measurements too far off; where most targets of a pose are, the whole pose."""
    distance = np.linalg.norm(np.where(used[..., None], residuals_mm, 0.0), axis=2)
    spread = max(float(np.median(distance[used])) / 1.54, noise_mm)  # 1.54: median of the length of a normal 3-vector
    wrong = used & (distance > max(OUTLIER_SIGMAS * spread, LEAST_OUTLIER_MM))
    seen = used.sum(axis=1)
    whole = (wrong.sum(axis=1) * 2 >= seen) & (seen > 0) & wrong.any(axis=1)
    wrong = wrong | (whole[:, None] & used)
    if wrong.sum() > max(LARGEST_OUTLIER_PART * used.sum(), used.shape[1]):
        raise TooManyOutliers(
            f"{int(wrong.sum())} of {int(used.sum())} measured targets disagree with the others",
            poses=sorted({int(pose) for pose in np.nonzero(wrong)[0]}),
            hint="Check the list of positions and loads, the survey of the targets, and whether one of them is loose.",
        )
    return np.asarray(wrong, dtype=np.bool_)


def _named(wrong: npt.NDArray[np.bool_], seen: npt.NDArray[np.bool_]) -> tuple[tuple[int, int], ...]:
    found: list[tuple[int, int]] = []
    for pose in np.nonzero(wrong.any(axis=1))[0]:
        if wrong[pose].sum() == seen[pose].sum():
            found.append((int(pose), -1))
        else:
            found += [(int(pose), int(target)) for target in np.nonzero(wrong[pose])[0]]
    return tuple(found)


def _mask(left_out: tuple[tuple[int, int], ...], shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    wrong = np.zeros(shape, dtype=bool)
    for pose, target in left_out:
        wrong[pose, slice(None) if target < 0 else target] = True
    return wrong
