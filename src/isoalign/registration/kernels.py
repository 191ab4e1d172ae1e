"""Compiled inner parts of the 2D/3D match: local sums and the normal equations."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import prange

from isoalign.imaging.compiled import compiled, compiled_part

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]


STRIP = 32
"""Lines that are summed side by side, in vector registers."""


@compiled_part
def summed(lines: Float32, length: int, radius: int, out: Float32) -> None:
    """Sums over a box along lines that lie side by side; zero beyond the ends.

    Parameters
    ----------
    lines, out : ndarray, shape (length, STRIP), float32
    radius : int
        Of the box: so many places to each side.
    """
    total = np.zeros(STRIP, np.float32)
    for place in range(min(radius, length)):
        for line in range(STRIP):
            total[line] += lines[place, line]
    for place in range(length):
        entering = place + radius
        leaving = place - radius - 1
        if entering < length and leaving >= 0:
            for line in range(STRIP):
                total[line] += lines[entering, line] - lines[leaving, line]
                out[place, line] = total[line]
        elif entering < length:
            for line in range(STRIP):
                total[line] += lines[entering, line]
                out[place, line] = total[line]
        elif leaving >= 0:
            for line in range(STRIP):
                total[line] -= lines[leaving, line]
                out[place, line] = total[line]
        else:
            for line in range(STRIP):
                out[place, line] = total[line]


@compiled
def local_sums(stack: Float32, radius: int, out: Float32) -> None:
    """Sums over a window with a pyramid's profile, about ``2 * radius`` pixels to each side; zero beyond the border.

    Parameters
    ----------
    stack, out : ndarray, shape (channels, rows, columns), float32
    """
    channels, rows, columns = stack.shape
    strips = (rows + STRIP - 1) // STRIP
    for job in prange(channels * strips):
        channel = job // strips
        first = (job % strips) * STRIP
        width = min(STRIP, rows - first)
        lines = np.zeros((columns, STRIP), np.float32)
        between = np.empty((columns, STRIP), np.float32)
        for line in range(width):
            for column in range(columns):
                lines[column, line] = stack[channel, first + line, column]
        summed(lines, columns, radius, between)
        summed(between, columns, radius, lines)
        for line in range(width):
            for column in range(columns):
                out[channel, first + line, column] = lines[column, line]
    strips = (columns + STRIP - 1) // STRIP
    for job in prange(channels * strips):
        channel = job // strips
        first = (job % strips) * STRIP
        width = min(STRIP, columns - first)
        lines = np.zeros((rows, STRIP), np.float32)
        between = np.empty((rows, STRIP), np.float32)
        for row in range(rows):
            for line in range(width):
                lines[row, line] = out[channel, row, first + line]
        summed(lines, rows, radius, between)
        summed(between, rows, radius, lines)
        for row in range(rows):
            for line in range(width):
                out[channel, row, first + line] = lines[row, line]


@compiled
def normal_equations(residual: Float32, jacobian: Float32, weight: Float32, matrix: Float64, vector: Float64) -> None:
    """Add J^T W J and J^T W r of one image; summed by rows, so that the number of threads changes nothing.

    Parameters
    ----------
    residual, weight : ndarray, shape (rows, columns), float32
    jacobian : ndarray, shape (n, rows, columns), float32
    matrix : ndarray, shape (n, n)
    vector : ndarray, shape (n,)
    """
    count, rows, columns = jacobian.shape
    matrices = np.zeros((rows, count, count))
    vectors = np.zeros((rows, count))
    for row in prange(rows):
        weighted = np.empty(columns, np.float32)
        for a in range(count):
            for column in range(columns):
                weighted[column] = weight[row, column] * jacobian[a, row, column]
            total = np.float32(0.0)
            for column in range(columns):
                total += weighted[column] * residual[row, column]
            vectors[row, a] = total
            for b in range(a + 1):
                total = np.float32(0.0)
                for column in range(columns):
                    total += weighted[column] * jacobian[b, row, column]
                matrices[row, a, b] = total
    for row in range(rows):
        for a in range(count):
            vector[a] += vectors[row, a]
            for b in range(a + 1):
                matrix[a, b] += matrices[row, a, b]
                if b < a:
                    matrix[b, a] += matrices[row, a, b]
