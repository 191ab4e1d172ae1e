"""Compiled gradient correlation of a radiograph with many DRRs."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numba import prange

from isoalign.imaging.compiled import compiled
from isoalign.registration.response_kernels import bent

Float32 = npt.NDArray[np.float32]


@compiled
def edge_agreement(
    drr: Float32, smooth: Float32, mask: Float32, share: Float32, curve: Float32, above: float, least: int
) -> float:
    """Gradient correlation of a smoothed radiograph with a DRR that is bent and smoothed first.

    Parameters
    ----------
    drr, smooth, mask : ndarray, shape (rows, columns), float32
    share : ndarray, shape (rows, columns), float32
        Sum of the mask over the smoothing window: that of :func:`~isoalign.registration.kernels.local_sums`, radius 1.
    curve : ndarray
        See :meth:`~isoalign.registration.response.Response.curve`.
    above : float
        Pixels count where they and their four neighbours are within the mask, with a DRR above this.
    least : int
        With fewer pixels than that it is 0.
    """
    rows, columns = drr.shape
    across = np.empty((rows, columns), np.float32)
    blurred = np.empty((rows, columns), np.float32)
    for row in prange(rows):
        line = np.zeros(columns + 2, np.float32)
        once = np.zeros(columns + 2, np.float32)
        for column in range(columns):
            line[column + 1] = mask[row, column] * bent(drr[row, column], curve)[0]
        for column in range(1, columns + 1):
            once[column] = line[column - 1] + line[column] + line[column + 1]
        for column in range(columns):
            across[row, column] = once[column] + once[column + 1] + once[column + 2]
    for row in prange(rows):
        total = np.zeros(columns, np.float32)
        for middle in range(max(row - 1, 0), min(row + 2, rows)):
            for near in range(max(middle - 1, 0), min(middle + 2, rows)):
                for column in range(columns):
                    total[column] += across[near, column]
        for column in range(columns):
            blurred[row, column] = total[column] / share[row, column]
    sums = np.zeros((rows, 11))
    for row in prange(1, rows - 1):
        for column in range(1, columns - 1):
            if (
                mask[row, column] > 0.0
                and mask[row - 1, column] > 0.0
                and mask[row + 1, column] > 0.0
                and mask[row, column - 1] > 0.0
                and mask[row, column + 1] > 0.0
                and drr[row, column] > above
                and drr[row - 1, column] > above
                and drr[row + 1, column] > above
                and drr[row, column - 1] > above
                and drr[row, column + 1] > above
            ):
                sums[row, 0] += 1.0
                for way in range(2):
                    down, along = (1, 0) if way == 0 else (0, 1)
                    a = float(smooth[row + down, column + along]) - float(smooth[row - down, column - along])
                    b = float(blurred[row + down, column + along]) - float(blurred[row - down, column - along])
                    first = 1 + 5 * way
                    sums[row, first] += a
                    sums[row, first + 1] += b
                    sums[row, first + 2] += a * a
                    sums[row, first + 3] += b * b
                    sums[row, first + 4] += a * b
    totals = np.zeros(11)
    for row in range(rows):
        for item in range(11):
            totals[item] += sums[row, item]
    count = totals[0]
    if count < least:
        return 0.0
    found = 0.0
    for way in range(2):
        first = 1 + 5 * way
        a, b = totals[first], totals[first + 1]
        power = (totals[first + 2] - a * a / count) * (totals[first + 3] - b * b / count)
        if power > 1e-12 * totals[first + 2] * totals[first + 3]:
            found += (totals[first + 4] - a * b / count) / math.sqrt(power)
    return found / 2.0
