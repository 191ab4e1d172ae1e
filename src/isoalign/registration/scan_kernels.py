"""Compiled inner parts of the 3D/3D match: reduced volumes, samples at points, normal equations, joint histograms."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import prange

from isoalign.imaging.compiled import compiled, compiled_inline

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]
Voxels = npt.NDArray[np.int16] | npt.NDArray[np.float32]

UNKNOWN = -1e9
"""Value of a voxel that the scan does not show."""
KNOWN_ABOVE = -1e4
"""Samples above this touch no unknown voxel."""
CHUNKS = 32
"""Sums are made over so many parts, whatever the number of threads, so that results do not depend on it."""
MODEL_TERMS = 11
"""Factor and quadratic polynomial of the CT numbers of the day."""


@compiled
def block_means(values: Voxels, factor: Int64, out: Float32) -> None:
    """Means over whole blocks of ``factor`` voxels (array axes); what is left at the far ends is dropped."""
    fk, fj, fi = factor[0], factor[1], factor[2]
    share = np.float32(1.0 / (fk * fj * fi))
    for k in prange(out.shape[0]):
        sums = np.empty(out.shape[2], np.float32)
        for j in range(out.shape[1]):
            sums[:] = np.float32(0.0)
            for c in range(k * fk, (k + 1) * fk):
                for b in range(j * fj, (j + 1) * fj):
                    for i in range(out.shape[2]):
                        for a in range(i * fi, (i + 1) * fi):
                            sums[i] += np.float32(values[c, b, a])
            for i in range(out.shape[2]):
                out[k, j, i] = sums[i] * share


@compiled
def steepness(values: Float32, spacing: Float64, out: Float32) -> None:
    """Squared gradient by central differences, per mm^2; zero at the border and beside unknown voxels.

    Parameters
    ----------
    values, out : ndarray, shape (slices, rows, columns), float32
    spacing : ndarray, shape (3,)
        Along columns, rows and slices, mm.
    """
    slices, rows, columns = values.shape
    sx, sy, sz = np.float32(0.5 / spacing[0]), np.float32(0.5 / spacing[1]), np.float32(0.5 / spacing[2])
    for k in prange(slices):
        for j in range(rows):
            for i in range(columns):
                out[k, j, i] = np.float32(0.0)
        if 0 < k < slices - 1:
            for j in range(1, rows - 1):
                for i in range(1, columns - 1):
                    gx = (values[k, j, i + 1] - values[k, j, i - 1]) * sx
                    gy = (values[k, j + 1, i] - values[k, j - 1, i]) * sy
                    gz = (values[k + 1, j, i] - values[k - 1, j, i]) * sz
                    total = gx * gx + gy * gy + gz * gz
                    out[k, j, i] = total if total < np.float32(1e8) else np.float32(0.0)


@compiled_inline
def _trilinear(values: Float32, x: float, y: float, z: float) -> float:
    i, j, k = int(np.floor(x)), int(np.floor(y)), int(np.floor(z))
    if i < 0 or j < 0 or k < 0 or i + 1 >= values.shape[2] or j + 1 >= values.shape[1] or k + 1 >= values.shape[0]:
        return UNKNOWN
    a, b, c, d = values[k, j, i], values[k, j, i + 1], values[k, j + 1, i], values[k, j + 1, i + 1]
    e, f, g, h = values[k + 1, j, i], values[k + 1, j, i + 1], values[k + 1, j + 1, i], values[k + 1, j + 1, i + 1]
    # an unknown voxel must not slip in with a weight of nearly nothing
    if min(a, b, c, d, e, f, g, h) < KNOWN_ABOVE:
        return UNKNOWN
    fx, fy, fz = x - i, y - j, z - k
    near = (a * (1.0 - fx) + b * fx) * (1.0 - fy) + (c * (1.0 - fx) + d * fx) * fy
    far = (e * (1.0 - fx) + f * fx) * (1.0 - fy) + (g * (1.0 - fx) + h * fx) * fy
    return float(near * (1.0 - fz) + far * fz)


@compiled
def sample(values: Float32, index_from_point: Float64, points: Float32, out: Float32) -> None:
    """Trilinear samples at points; ``UNKNOWN`` outside and where an unknown voxel takes part.

    Parameters
    ----------
    values : ndarray, shape (slices, rows, columns), float32
    index_from_point : ndarray, shape (4, 4)
        To (column, row, slice).
    points : ndarray, shape (n, 3), float32
    out : ndarray, shape (n,), float32
    """
    m = index_from_point
    for n in prange(len(points)):
        px, py, pz = points[n, 0], points[n, 1], points[n, 2]
        value = _trilinear(
            values,
            m[0, 0] * px + m[0, 1] * py + m[0, 2] * pz + m[0, 3],
            m[1, 0] * px + m[1, 1] * py + m[1, 2] * pz + m[1, 3],
            m[2, 0] * px + m[2, 1] * py + m[2, 2] * pz + m[2, 3],
        )
        out[n] = np.float32(value) if value > KNOWN_ABOVE else np.float32(UNKNOWN)


@compiled
def shifted_correlations(
    values: Float32, index_from_point: Float64, points: Float32, planned: Float32, shifts: Float64, out: Float64
) -> None:
    """Correlation of planned values and samples for many shifts, and the part of the points that is known.

    Parameters
    ----------
    values, index_from_point, points
        As for :func:`sample`.
    planned : ndarray, shape (n,), float32
    shifts : ndarray, shape (m, 3)
        Added to the index (column, row, slice).
    out : ndarray, shape (m, 2)
    """
    t = index_from_point
    for s in prange(len(shifts)):
        count = 0
        sf, sm, sff, smm, sfm = 0.0, 0.0, 0.0, 0.0, 0.0
        for n in range(len(points)):
            px, py, pz = points[n, 0], points[n, 1], points[n, 2]
            value = _trilinear(
                values,
                t[0, 0] * px + t[0, 1] * py + t[0, 2] * pz + t[0, 3] + shifts[s, 0],
                t[1, 0] * px + t[1, 1] * py + t[1, 2] * pz + t[1, 3] + shifts[s, 1],
                t[2, 0] * px + t[2, 1] * py + t[2, 2] * pz + t[2, 3] + shifts[s, 2],
            )
            if value > KNOWN_ABOVE:
                f = float(planned[n])
                count += 1
                sf += f
                sm += value
                sff += f * f
                smm += value * value
                sfm += f * value
        out[s, 0] = 0.0
        out[s, 1] = count / max(1, len(points))
        if count > 0:
            power = (sff - sf * sf / count) * (smm - sm * sm / count)
            if power > 0.0:
                out[s, 0] = (sfm - sf * sm / count) / np.sqrt(power)


@compiled
def point_normal_equations(design: Float32, target: Float32, weight: Float32, matrix: Float64, vector: Float64) -> None:
    """``matrix = D^T W D`` and ``vector = D^T W t`` over all points, the same on any number of threads.

    Parameters
    ----------
    design : ndarray, shape (n, p), float32
    target, weight : ndarray, shape (n,), float32
    matrix : ndarray, shape (p, p)
    vector : ndarray, shape (p,)
    """
    count, terms = design.shape
    matrices = np.zeros((CHUNKS, terms, terms))
    vectors = np.zeros((CHUNKS, terms))
    for chunk in prange(CHUNKS):
        row = np.empty(terms, np.float64)
        for n in range(chunk * count // CHUNKS, (chunk + 1) * count // CHUNKS):
            w = float(weight[n])
            if w > 0.0:
                t = float(target[n])
                for a in range(terms):
                    row[a] = float(design[n, a])
                for a in range(terms):
                    weighted = w * row[a]
                    vectors[chunk, a] += weighted * t
                    for b in range(a + 1):
                        matrices[chunk, a, b] += weighted * row[b]
    for a in range(terms):
        total = 0.0
        for chunk in range(CHUNKS):
            total += vectors[chunk, a]
        vector[a] = total
        for b in range(a + 1):
            total = 0.0
            for chunk in range(CHUNKS):
                total += matrices[chunk, a, b]
            matrix[a, b] = total
            matrix[b, a] = total


@compiled
def joint_histogram(
    values: Float32, index_from_point: Float64, points: Float32, bins: Float32, low: float, scale: float, out: Float64
) -> None:
    """Joint histogram of planned and sampled values with linear weights.

    Parameters
    ----------
    values, index_from_point, points
        As for :func:`sample`.
    bins : ndarray, shape (n,), float32
        Planned values in bins, 0 to ``len(out) - 1``.
    low, scale : float
        A sample ``m`` falls into bin ``(m - low) * scale``, clipped.
    out : ndarray, shape (bins, bins)
    """
    t = index_from_point
    size = out.shape[0]
    count = len(points)
    parts = np.zeros((CHUNKS, size, size))
    top = size - 1.000001
    for chunk in prange(CHUNKS):
        for n in range(chunk * count // CHUNKS, (chunk + 1) * count // CHUNKS):
            px, py, pz = points[n, 0], points[n, 1], points[n, 2]
            value = _trilinear(
                values,
                t[0, 0] * px + t[0, 1] * py + t[0, 2] * pz + t[0, 3],
                t[1, 0] * px + t[1, 1] * py + t[1, 2] * pz + t[1, 3],
                t[2, 0] * px + t[2, 1] * py + t[2, 2] * pz + t[2, 3],
            )
            if value > KNOWN_ABOVE:
                f = min(max(float(bins[n]), 0.0), top)
                m = min(max((value - low) * scale, 0.0), top)
                a, b = int(f), int(m)
                u, v = f - a, m - b
                parts[chunk, a, b] += (1.0 - u) * (1.0 - v)
                parts[chunk, a + 1, b] += u * (1.0 - v)
                parts[chunk, a, b + 1] += (1.0 - u) * v
                parts[chunk, a + 1, b + 1] += u * v
    for a in range(size):
        for b in range(size):
            total = 0.0
            for chunk in range(CHUNKS):
                total += parts[chunk, a, b]
            out[a, b] = total
