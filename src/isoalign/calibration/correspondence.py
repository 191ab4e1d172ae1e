"""Which shadow belongs to which ball: by the pattern, from a rough idea of the geometry."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from isoalign.calibration.errors import BallsNotRecognised
from isoalign.geometry import Array

FIRST_REACH_PX = 14.0
LAST_REACH_PX = 8.0
ROUNDS = 6


def assign_balls(
    found_px: Array, expected_px: Array, *, largest_shift_px: float = 120.0, least: int = 8
) -> npt.NDArray[np.int64]:
    """Match found shadows to expected ones.

    First the one shift that brings most shadows near an expectation, then an affine map of the expectation that is
    refined in rounds of ever tighter reach. Extra shadows stay unmatched, missing balls are allowed.

    Parameters
    ----------
    found_px : ndarray, shape (n, 2)
    expected_px : ndarray, shape (m, 2)
        Where the nominal geometry projects the balls.
    largest_shift_px : float
        How far the nominal geometry may be off.
    least : int
        Fewest matches that are accepted.

    Returns
    -------
    ndarray, shape (n,), int
        Index of the ball of each shadow, -1 for none. No ball is used twice.

    Raises
    ------
    BallsNotRecognised
    """
    if len(found_px) < least or len(expected_px) < least:
        raise BallsNotRecognised(
            f"{len(found_px)} shadows and {len(expected_px)} balls cannot be matched, {least} are needed", least=least
        )
    mapped = expected_px + _best_shift(found_px, expected_px, largest_shift_px)
    for reach in np.geomspace(FIRST_REACH_PX, LAST_REACH_PX, ROUNDS):
        pairs = _mutual_nearest(found_px, mapped, float(reach))
        if len(pairs) < least:
            raise BallsNotRecognised(
                f"only {len(pairs)} of {len(found_px)} shadows fit the pattern of {len(expected_px)} balls",
                matched=len(pairs),
                needed=least,
            )
        design = np.column_stack([expected_px[pairs[:, 1]], np.ones(len(pairs))])
        affine, *_ = np.linalg.lstsq(design, found_px[pairs[:, 0]], rcond=None)
        mapped = np.column_stack([expected_px, np.ones(len(expected_px))]) @ affine
    owner = np.full(len(found_px), -1, dtype=np.int64)
    pairs = _mutual_nearest(found_px, mapped, LAST_REACH_PX)
    owner[pairs[:, 0]] = pairs[:, 1]
    if np.count_nonzero(owner >= 0) < least:
        raise BallsNotRecognised(
            f"only {np.count_nonzero(owner >= 0)} shadows fit the pattern of {len(expected_px)} balls", needed=least
        )
    return owner


def _best_shift(found_px: Array, expected_px: Array, largest_px: float) -> Array:
    shifts = (found_px[:, None, :] - expected_px[None, :, :]).reshape(-1, 2)
    shifts = shifts[np.linalg.norm(shifts, axis=1) <= largest_px]
    if len(shifts) == 0:
        raise BallsNotRecognised(f"no shadow lies within {largest_px:g} px of where the nominal geometry expects one")
    votes = cKDTree(shifts).query_ball_point(shifts, FIRST_REACH_PX, return_length=True)
    near = np.linalg.norm(shifts - shifts[np.argmax(votes)], axis=1) <= FIRST_REACH_PX
    return np.asarray(np.median(shifts[near], axis=0))


def _mutual_nearest(found_px: Array, mapped_px: Array, reach_px: float) -> npt.NDArray[np.int64]:
    """Pairs (found, mapped) that are each other's nearest within reach."""
    distance = np.linalg.norm(found_px[:, None, :] - mapped_px[None, :, :], axis=-1)
    nearest = np.argmin(distance, axis=1)
    back = np.argmin(distance, axis=0)
    number = np.arange(len(found_px))
    keep = (distance[number, nearest] <= reach_px) & (back[nearest] == number)
    return np.column_stack([number[keep], nearest[keep]]).astype(np.int64)
