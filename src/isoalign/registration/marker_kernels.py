"""Compiled inner part of marker detection in CT: the few voxels that are bright."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import prange

from isoalign.imaging.compiled import compiled

Voxels = npt.NDArray[np.int16] | npt.NDArray[np.float32]
Int64 = npt.NDArray[np.int64]


@compiled
def count_bright(voxels: Voxels, threshold: float, counts: Int64) -> None:
    """How many voxels of each slice are at or above the threshold.

    Parameters
    ----------
    voxels : ndarray, shape (slices, rows, columns)
    counts : ndarray, shape (slices,)
    """
    slices, rows, columns = voxels.shape
    for z in prange(slices):
        total = 0
        for y in range(rows):
            for x in range(columns):
                if voxels[z, y, x] >= threshold:
                    total += 1
        counts[z] = total


@compiled
def list_bright(voxels: Voxels, threshold: float, starts: Int64, found: Int64) -> None:
    """Indices into the flattened volume of the voxels at or above the threshold, in order.

    Parameters
    ----------
    voxels : ndarray, shape (slices, rows, columns)
    starts : ndarray, shape (slices,)
        Where each slice's indices begin in ``found``.
    """
    slices, rows, columns = voxels.shape
    for z in prange(slices):
        at = starts[z]
        for y in range(rows):
            for x in range(columns):
                if voxels[z, y, x] >= threshold:
                    found[at] = (z * rows + y) * columns + x
                    at += 1
