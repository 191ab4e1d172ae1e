"""Where the blades of a rectangular collimator cover a radiograph."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from isoalign.imaging import binned

Float32 = npt.NDArray[np.float32]

SEEK_PX = 4
"""Blades are sought in means of so many pixels."""
DARK_BELOW = 0.15
"""Of the open field: blades let no more through, with the scatter and the offset of the panel."""
STEP_ABOVE = 0.25
"""Natural logarithm of field over blade, at the edge."""
STRAIGHT_ABOVE = 0.6
"""Part of the length of an edge where that step must be seen."""
LEAST_LENGTH = 8
"""Of an edge, in means."""
MARGIN = 2
"""Means that are left out inside an edge: its penumbra."""


def field_of_blades(intensity: Float32, open_field: float) -> npt.NDArray[np.bool_] | None:
    """The pixels within the collimator; None when no blade is seen.

    Blades are straight dark edges along rows or columns, with nothing but darkness behind them. Blades that are turned
    against the panel, or round, are not recognised.

    Parameters
    ----------
    intensity : ndarray, shape (rows, columns), float32
    open_field : float
        Intensity of the unattenuated beam.
    """
    if min(intensity.shape) < 16 * SEEK_PX:
        return None
    coarse = binned(intensity, SEEK_PX) / np.float32(open_field)
    logarithm = np.log(np.maximum(coarse, np.float32(1e-4)))
    rows, columns = coarse.shape
    # twice, because a blade is straight only between those beside it
    top = left = 0
    bottom, right = rows, columns
    for _ in range(2):
        across = slice(left, right)
        top = _edge(coarse[:, across], logarithm[:, across])
        bottom = rows - _edge(coarse[::-1, across], logarithm[::-1, across])
        along = slice(top, bottom)
        left = _edge(coarse[along].T, logarithm[along].T)
        right = columns - _edge(coarse[along, ::-1].T, logarithm[along, ::-1].T)
        if right - left < SEEK_PX or bottom - top < SEEK_PX:
            return None
    if (top, left, bottom, right) == (0, 0, rows, columns):
        return None
    field = np.zeros(intensity.shape, np.bool_)
    last_row = intensity.shape[0] if bottom == rows else bottom * SEEK_PX
    last_column = intensity.shape[1] if right == columns else right * SEEK_PX
    field[top * SEEK_PX : last_row, left * SEEK_PX : last_column] = True
    return field


def _edge(coarse: Float32, logarithm: Float32) -> int:
    """How many rows from the first one on are covered by a blade, with a margin; 0 for none."""
    height = len(coarse)
    if height < 8 or coarse.shape[1] < 4:
        return 0
    darkest = np.maximum.accumulate(np.quantile(coarse, 0.98, axis=1)) < DARK_BELOW
    step = logarithm[2:] - logarithm[:-2]
    lively = int(np.count_nonzero((step > STEP_ABOVE).any(axis=0)))  # columns behind the blades beside are not
    straight = np.count_nonzero(step > STEP_ABOVE, axis=1) > STRAIGHT_ABOVE * max(lively, LEAST_LENGTH)
    candidates = np.flatnonzero(straight & darkest[:-2])
    return int(candidates[-1]) + 1 + MARGIN if candidates.size else 0
