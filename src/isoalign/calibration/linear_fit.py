"""Linear least squares that finds and names single gross outliers.

Each group of rows (one measurement) is left out in turn. One that then lies further from what the others predict than
chance explains, by Fisher's F distribution, is dropped; leaving out is exact and costs no new solution. A single gross
error is found however large it is, since it is judged by a fit in which it has no part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from isoalign.calibration.errors import TooManyOutliers, Underdetermined
from isoalign.geometry import Array

FALSE_ALARM = 1e-3
"""Probability that a set of measurements without an outlier loses one."""
LARGEST_OUTLIER_PART = 0.2
LARGEST_CONDITION = 1e6
LEAST_SHARE = 1e-6


@dataclass(frozen=True, slots=True)
class LinearFit:
    """Solution of design @ parameters = values.

    Attributes
    ----------
    parameters : ndarray, shape (p,)
    covariance : ndarray, shape (p, p)
        By the scatter of the residuals.
    keep : ndarray, shape (rows,), bool
        Rows that were used.
    outliers : tuple of int
        Groups that were left out.
    sigma : float
        Standard deviation of one value, from the residuals and never below the least one.
    freedom : int
    """

    parameters: Array
    covariance: Array
    keep: npt.NDArray[np.bool_]
    outliers: tuple[int, ...]
    sigma: float
    freedom: int


def solve_robust(
    design: Array,
    values: Array,
    groups: npt.NDArray[np.int64],
    labels: Sequence[str],
    *,
    least_sigma: float,
    complete: bool = True,
) -> LinearFit:
    """Solve, without the groups that disagree with all others.

    Parameters
    ----------
    design : ndarray, shape (rows, p)
    values : ndarray, shape (rows,)
        Of equal weight.
    groups : ndarray, shape (rows,), int
        Which measurement each row belongs to: 0, 1, ...
    labels : sequence of str
        Name of each group, for errors.
    least_sigma : float
        No value is better than this, whatever the residuals say.
    complete : bool
        Refuse rows that do not determine every parameter; otherwise the smallest solution is given, and it is the
        caller's to know which combinations are told.

    Raises
    ------
    Underdetermined
    TooManyOutliers
        When more than a fifth of the groups would have to go.
    """
    keep = np.ones(len(values), dtype=bool)
    outliers: list[int] = []
    most = max(1, int(LARGEST_OUTLIER_PART * len(labels)))
    while True:
        solution, inverse, rank = _solve(design[keep], values[keep], complete=complete)
        suspect = _suspect(design, values, groups, keep, solution, inverse, rank, least_sigma, len(labels))
        if suspect is None:
            break
        outliers.append(suspect)
        keep &= groups != suspect
        if len(outliers) > most:
            named = ", ".join(labels[one] for one in outliers)
            raise TooManyOutliers(
                f"{len(outliers)} of {len(labels)} measurements disagree with the rest: {named}",
                outliers=[labels[one] for one in outliers],
            )
    residuals = values[keep] - design[keep] @ solution
    freedom = int(keep.sum()) - rank
    sigma = max(least_sigma, float(np.sqrt((residuals**2).sum() / max(freedom, 1))))
    return LinearFit(solution, inverse * sigma**2, keep, tuple(outliers), sigma, freedom)


def _solve(design: Array, values: Array, *, complete: bool) -> tuple[Array, Array, int]:
    """Parameters, the (pseudo) inverse of the normal matrix, and its rank."""
    scale = np.linalg.norm(design, axis=0)
    scale[scale == 0.0] = 1.0
    left, strength, right = np.linalg.svd(design / scale, full_matrices=False)
    told = strength > strength.max(initial=0.0) / LARGEST_CONDITION
    rank = int(np.count_nonzero(told))
    if complete and rank < design.shape[1]:
        raise Underdetermined(f"the measurements determine {rank} of {design.shape[1]} parameters")
    root = (right[told].T / strength[told]) / scale[:, None]
    return np.asarray(root @ (left[:, told].T @ values)), np.asarray(root @ root.T), rank


def _suspect(
    design: Array,
    values: Array,
    groups: npt.NDArray[np.int64],
    keep: npt.NDArray[np.bool_],
    solution: Array,
    inverse: Array,
    rank: int,
    least_sigma: float,
    count: int,
) -> int | None:
    """The group that disagrees most with all others, if chance does not explain it."""
    residuals = values - design @ solution
    total = float((residuals[keep] ** 2).sum())
    worst: tuple[float, int] | None = None
    for group in np.unique(groups[keep]):
        rows = np.flatnonzero(keep & (groups == group))
        own, ways = np.linalg.eigh(np.eye(len(rows)) - design[rows] @ inverse @ design[rows].T)
        judged = own > LEAST_SHARE  # along the other ways nobody but this group tells anything
        dimensions = int(np.count_nonzero(judged))
        freedom = int(keep.sum()) - rank - dimensions
        if freedom < 1 or dimensions == 0:
            continue
        explained = float((((ways.T @ residuals[rows])[judged]) ** 2 / own[judged]).sum())
        others = max((total - explained) / freedom, least_sigma**2)
        chance = float(stats.f.sf(explained / dimensions / others, dimensions, freedom))
        if worst is None or chance < worst[0]:
            worst = (chance, int(group))
    return worst[1] if worst is not None and worst[0] < FALSE_ALARM / count else None
