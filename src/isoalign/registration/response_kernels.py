"""Compiled parts of the imager's response: the histogram that it is told from, and the curve itself."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import prange

from isoalign.imaging.compiled import compiled, compiled_inline

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

CHUNKS = 16
"""Parts of an image that are summed apart, so that the number of threads changes nothing."""

LARGEST = 1e30
"""Beyond all line integrals; compiled code here knows no infinity."""


@compiled
def reach_of(drr: Float32, mask: Float32, above: float) -> Float64:
    """How many pixels count, and their least and greatest value; flat arrays, mask above zero where a pixel counts."""
    size = len(drr)
    each = np.zeros((CHUNKS, 3))
    for chunk in prange(CHUNKS):
        count = 0
        least = np.float32(LARGEST)
        most = np.float32(-LARGEST)
        for at in range(chunk * size // CHUNKS, (chunk + 1) * size // CHUNKS):
            value = drr[at]
            if mask[at] > np.float32(0.0) and value > above:
                count += 1
                least = min(least, value)
                most = max(most, value)
        each[chunk, 0] = count
        each[chunk, 1] = least
        each[chunk, 2] = most
    whole = np.empty(3)
    whole[0], whole[1], whole[2] = 0.0, LARGEST, -LARGEST
    for chunk in range(CHUNKS):
        whole[0] += each[chunk, 0]
        whole[1] = min(whole[1], each[chunk, 1])
        whole[2] = max(whole[2], each[chunk, 2])
    return whole


@compiled
def histogram(
    drr: Float32, image: Float32, mask: Float32, above: float, least: float, per_value: float, sums: Float64
) -> None:
    """Add counts and sums of DRR and image of the pixels that count, by bins of the DRR.

    Parameters
    ----------
    drr, image, mask : ndarray, shape (n,), float32
    above : float
        Pixels count where the mask is above zero and the DRR above this.
    least, per_value : float
        Where the first bin begins, and bins per unit of the DRR.
    sums : ndarray, shape (3, bins)
    """
    size = len(drr)
    bins = sums.shape[1]
    each = np.zeros((CHUNKS, 3, bins))
    for chunk in prange(CHUNKS):
        for at in range(chunk * size // CHUNKS, (chunk + 1) * size // CHUNKS):
            value = drr[at]
            if mask[at] > np.float32(0.0) and value > above:
                where = min(max(int((value - least) * per_value), 0), bins - 1)
                each[chunk, 0, where] += 1.0
                each[chunk, 1, where] += value
                each[chunk, 2, where] += image[at]
    for chunk in range(CHUNKS):
        for row in range(3):
            for where in range(bins):
                sums[row, where] += each[chunk, row, where]


@compiled_inline
def bent(value: np.float32, curve: Float32) -> tuple[np.float32, np.float32]:
    """Height and slope of a curve of equally spaced knots, straight beyond its ends; see :meth:`Response.curve`."""
    knots = curve.shape[1]
    first, last, per_value = curve[2, 0], curve[2, 1], curve[2, 2]
    along = min(max((value - first) * per_value, np.float32(0.0)), np.float32(knots - 1))
    before = min(np.int32(along), np.int32(knots - 2))
    part = along - np.float32(before)
    slope = curve[1, before] + part * (curve[1, before + 1] - curve[1, before])
    height = curve[0, before] + part * (curve[0, before + 1] - curve[0, before])
    height += min(value - first, np.float32(0.0)) * curve[1, 0]
    height += max(value - last, np.float32(0.0)) * curve[1, knots - 1]
    return height, slope
