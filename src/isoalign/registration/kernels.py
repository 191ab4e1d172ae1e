"""Compiled inner parts of the 2D/3D match: local sums and the normal equations."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import prange

from isoalign.imaging.compiled import compiled

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]


@compiled
def local_sums(stack: Float32, radius: int, out: Float32) -> None:
    """Sums over a window with a pyramid's profile, about ``2 * radius`` pixels to each side; zero beyond the border.

    Parameters
    ----------
    stack, out : ndarray, shape (channels, rows, columns), float32
    """
    channels, rows, columns = stack.shape
    for channel in prange(channels):
        first = np.empty((rows, columns), np.float32)
        second = np.empty((rows, columns), np.float32)
        running = np.empty(columns, np.float32)
        for turn in range(2):
            for row in range(rows):
                total = np.float32(0.0)
                for column in range(min(radius, columns)):
                    total += stack[channel, row, column] if turn == 0 else second[row, column]
                for column in range(columns):
                    if column + radius < columns:
                        total += stack[channel, row, column + radius] if turn == 0 else second[row, column + radius]
                    if column - radius - 1 >= 0:
                        gone = column - radius - 1
                        total -= stack[channel, row, gone] if turn == 0 else second[row, gone]
                    first[row, column] = total
            running[:] = np.float32(0.0)
            for row in range(min(radius, rows)):
                for column in range(columns):
                    running[column] += first[row, column]
            for row in range(rows):
                if row + radius < rows:
                    for column in range(columns):
                        running[column] += first[row + radius, column]
                if row - radius - 1 >= 0:
                    for column in range(columns):
                        running[column] -= first[row - radius - 1, column]
                for column in range(columns):
                    second[row, column] = running[column]
        for row in range(rows):
            for column in range(columns):
                out[channel, row, column] = second[row, column]


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
