"""Compiled passes over radiographs: repair of dead pixels, binning."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import prange

from isoalign.imaging.compiled import compiled

Float32 = npt.NDArray[np.float32]

NEIGHBOURS = 24
RELATIVE_MARGIN = 0.10
WIDTHS = 2.5


@compiled
def repair_dead_pixels(pixels: npt.NDArray[np.uint16], out: Float32) -> int:
    """Copy ``pixels`` to ``out`` with isolated wrong ones replaced by the median of the 24 around them.

    A pixel is wrong when it differs from the median of its neighbours by more than two and a half times the width of
    their middle half and a tenth of that median; up to a quarter of the neighbours may be wrong themselves (lines one
    pixel wide, small clusters). Returns how many were replaced.
    """
    rows, columns = pixels.shape
    repaired = np.zeros(rows, np.int64)
    for row in prange(rows):
        around = np.empty(NEIGHBOURS, np.float32)
        for column in range(columns):
            value = np.float32(pixels[row, column])
            out[row, column] = value
            left = np.float32(pixels[row, column - 2 if column >= 2 else min(column + 2, columns - 1)])
            right = np.float32(pixels[row, column + 2 if column + 2 < columns else max(column - 2, 0)])
            above = np.float32(pixels[row - 2 if row >= 2 else min(row + 2, rows - 1), column])
            below = np.float32(pixels[row + 2 if row + 2 < rows else max(row - 2, 0), column])
            margin = np.float32(RELATIVE_MARGIN) * value
            if (abs(value - left) <= margin or abs(value - right) <= margin) and (
                abs(value - above) <= margin or abs(value - below) <= margin
            ):
                continue
            count = 0
            for j in range(row - 2, row + 3):
                for i in range(column - 2, column + 3):
                    if (j == row and i == column) or j < 0 or i < 0 or j >= rows or i >= columns:
                        continue
                    item = np.float32(pixels[j, i])
                    at = count
                    while at > 0 and around[at - 1] > item:
                        around[at] = around[at - 1]
                        at -= 1
                    around[at] = item
                    count += 1
            median = np.float32(0.5) * (around[(count - 1) // 2] + around[count // 2])
            spread = around[count - 1 - count // 4] - around[count // 4]
            if abs(value - median) > np.float32(WIDTHS) * spread + np.float32(RELATIVE_MARGIN) * median + np.float32(
                1.0
            ):
                out[row, column] = median
                repaired[row] += 1
    whole = 0
    for row in range(rows):
        whole += repaired[row]
    return whole


@compiled
def average_pixels(image: Float32, factor: int, out: Float32) -> None:
    """Average blocks of ``factor`` x ``factor`` pixels; incomplete blocks at the far edges are cut."""
    share = np.float32(1.0 / (factor * factor))
    for row in prange(out.shape[0]):
        for column in range(out.shape[1]):
            total = np.float32(0.0)
            for j in range(row * factor, (row + 1) * factor):
                for i in range(column * factor, (column + 1) * factor):
                    total += image[j, i]
            out[row, column] = total * share
