"""Compiled passes over whole volumes: where the body is, attenuation, averaging."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import prange

from isoalign.imaging.compiled import compiled

Float32 = npt.NDArray[np.float32]
Hounsfield = npt.NDArray[np.int16] | npt.NDArray[np.float32]


@compiled
def body_box(hounsfield: Hounsfield, air_below_hu: float) -> npt.NDArray[np.int64]:
    """First and last index along each array axis of voxels that are not air, shape (3, 2); empty: first > last."""
    slices, rows, columns = hounsfield.shape
    found = np.empty((slices, 4), np.int64)
    for k in prange(slices):
        top, bottom, left, right = rows, -1, columns, -1
        for j in range(rows):
            first = columns
            last = -1
            for i in range(columns):
                if hounsfield[k, j, i] >= air_below_hu:
                    if first == columns:
                        first = i
                    last = i
            if last >= 0:
                top = min(top, j)
                bottom = j
                left = min(left, first)
                right = max(right, last)
        found[k, 0] = top
        found[k, 1] = bottom
        found[k, 2] = left
        found[k, 3] = right
    box = np.empty((3, 2), np.int64)
    # number by number: rows assigned at once take two seconds to compile
    box[0, 0], box[1, 0], box[2, 0] = slices, rows, columns
    box[0, 1], box[1, 1], box[2, 1] = -1, -1, -1
    for k in range(slices):
        if found[k, 1] >= 0:
            box[0, 0] = min(box[0, 0], k)
            box[0, 1] = k
            box[1, 0] = min(box[1, 0], found[k, 0])
            box[1, 1] = max(box[1, 1], found[k, 1])
            box[2, 0] = min(box[2, 0], found[k, 2])
            box[2, 1] = max(box[2, 1], found[k, 3])
    return box


@compiled
def to_attenuation(
    hounsfield: Hounsfield,
    first_voxel: npt.NDArray[np.int64],
    padding: int,
    air_below_hu: float,
    water_per_mm: float,
    bone_factor: float,
    out: Float32,
) -> None:
    """Fill ``out`` inside its padding with the attenuation of ``hounsfield`` from ``first_voxel`` on."""
    z0, y0, x0 = first_voxel[0], first_voxel[1], first_voxel[2]
    water = np.float32(water_per_mm)
    soft = np.float32(water_per_mm / 1000.0)
    hard = np.float32(water_per_mm / 1000.0 * bone_factor)
    air = np.float32(air_below_hu)
    for k in prange(out.shape[0] - 2 * padding):
        for j in range(out.shape[1] - 2 * padding):
            for i in range(out.shape[2] - 2 * padding):
                value = np.float32(hounsfield[z0 + k, y0 + j, x0 + i])
                mu = water + value * (hard if value > np.float32(0.0) else soft)
                out[k + padding, j + padding, i + padding] = np.float32(0.0) if value < air else mu


@compiled
def average_blocks(grid: Float32, out: Float32, factor: npt.NDArray[np.int64], padding: int) -> None:
    """Average blocks of ``factor`` voxels inside the padding of ``grid``; what is missing at the far ends is zero."""
    slices, rows, columns = grid.shape
    fk, fj, fi = factor[0], factor[1], factor[2]
    share = np.float32(1.0 / (fk * fj * fi))
    for k in prange(out.shape[0] - 2 * padding):
        for j in range(out.shape[1] - 2 * padding):
            for i in range(out.shape[2] - 2 * padding):
                total = np.float32(0.0)
                for c in range(padding + k * fk, min(padding + (k + 1) * fk, slices - padding)):
                    for b in range(padding + j * fj, min(padding + (j + 1) * fj, rows - padding)):
                        for a in range(padding + i * fi, min(padding + (i + 1) * fi, columns - padding)):
                            total += grid[c, b, a]
                out[k + padding, j + padding, i + padding] = total * share
