"""Compiled inner parts of the 3D/3D match: reduced volumes, residuals at points, normal equations, joint histograms."""

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
SIDE_BY_SIDE = 64
"""Points that are summed together."""
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
def other_than(values: Float32, padding: float, distance: Float32, found: Float32) -> None:
    """How far from the middle each slice shows something other than padding.

    Parameters
    ----------
    values : ndarray, shape (slices, rows, columns), float32
    padding : float
    distance : ndarray, shape (rows, columns), float32
        From the middle of the slices.
    found : ndarray, shape (slices,), float32
        Greatest distance; -1 where the whole slice is padding.
    """
    slices, rows, columns = values.shape
    for k in prange(slices):
        farthest = np.float32(-1.0)
        for j in range(rows):
            for i in range(columns):
                if values[k, j, i] != np.float32(padding) and distance[j, i] > farthest:
                    farthest = distance[j, i]
        found[k] = farthest


@compiled
def mark_unknown(values: Float32, distance: Float32, limit: float) -> None:
    """Mark as unknown, in every slice, what is farther from the middle than a limit; see :func:`other_than`."""
    slices, rows, columns = values.shape
    for k in prange(slices):
        for j in range(rows):
            for i in range(columns):
                if distance[j, i] > np.float32(limit):
                    values[k, j, i] = np.float32(UNKNOWN)


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
def residuals_at_points(
    values: Float32,
    index_from_point: Float64,
    points: Float32,
    design: Float32,
    model: Float32,
    shown: Float32,
    residual: Float32,
) -> None:
    """What a volume shows at points, and what a model says there, less that.

    Parameters
    ----------
    values : ndarray, shape (slices, rows, columns), float32
    index_from_point : ndarray, shape (4, 4)
        To (column, row, slice).
    points : ndarray, shape (n, 3), float32
    design : ndarray, shape (n, p), float32
        The last ``len(model)`` terms, times ``model``, are the negative of what is expected.
    model : ndarray, shape (m,), float32
    shown, residual : ndarray, shape (n,), float32
        Trilinear samples, ``UNKNOWN`` outside and where an unknown voxel takes part; the residual is zero there.
    """
    t = index_from_point
    first = design.shape[1] - len(model)
    for n in prange(len(points)):
        px, py, pz = points[n, 0], points[n, 1], points[n, 2]
        value = _trilinear(
            values,
            t[0, 0] * px + t[0, 1] * py + t[0, 2] * pz + t[0, 3],
            t[1, 0] * px + t[1, 1] * py + t[1, 2] * pz + t[1, 3],
            t[2, 0] * px + t[2, 1] * py + t[2, 2] * pz + t[2, 3],
        )
        shown[n] = np.float32(UNKNOWN)
        residual[n] = np.float32(0.0)
        if value > KNOWN_ABOVE:
            shown[n] = np.float32(value)
            expected = np.float32(0.0)
            for a in range(len(model)):
                expected -= design[n, first + a] * model[a]
            residual[n] = expected - shown[n]


@compiled
def tukey_weights(shown: Float32, residual: Float32, limit: float, weight: Float32) -> None:
    """Weights that fall to nothing where the residual reaches the limit; zero where nothing is known."""
    for n in prange(len(shown)):
        weight[n] = np.float32(0.0)
        if shown[n] > KNOWN_ABOVE:
            ratio = residual[n] / np.float32(limit)
            left = np.float32(1.0) - ratio * ratio
            if left > np.float32(0.0):
                weight[n] = left * left


@compiled
def shaded_correlation(shown: Float32, design: Float32, shading: Float32, planned: Float32, out: Float64) -> None:
    """Correlation of plan and day, less the day's shading, over all known points; the same on any number of threads.

    Parameters
    ----------
    shown : ndarray, shape (n,), float32
        From :func:`residuals_at_points`.
    design : ndarray, shape (n, p), float32
        The last ``len(shading)`` terms, times ``shading``, are the negative of the shading.
    shading : ndarray, shape (m,), float32
    planned : ndarray, shape (n,), float32
    out : ndarray, shape (1,)
    """
    count = len(shown)
    first = design.shape[1] - len(shading)
    parts = np.zeros((CHUNKS, 6))
    for chunk in prange(CHUNKS):
        count_c = 0
        flat_c, plan_c, square_c, power_c, mixed_c = 0.0, 0.0, 0.0, 0.0, 0.0
        for n in range(chunk * count // CHUNKS, (chunk + 1) * count // CHUNKS):
            if shown[n] > KNOWN_ABOVE:
                bent = shown[n]
                for a in range(len(shading)):
                    bent += design[n, first + a] * shading[a]
                flat, plan = float(bent), float(planned[n])
                count_c += 1
                flat_c += flat
                plan_c += plan
                square_c += flat * flat
                power_c += plan * plan
                mixed_c += flat * plan
        parts[chunk, 0] = count_c
        parts[chunk, 1] = flat_c
        parts[chunk, 2] = plan_c
        parts[chunk, 3] = square_c
        parts[chunk, 4] = power_c
        parts[chunk, 5] = mixed_c
    known = 0
    sf, sp, sff, spp, sfp = 0.0, 0.0, 0.0, 0.0, 0.0
    for chunk in range(CHUNKS):
        known += int(parts[chunk, 0])
        sf += parts[chunk, 1]
        sp += parts[chunk, 2]
        sff += parts[chunk, 3]
        spp += parts[chunk, 4]
        sfp += parts[chunk, 5]
    power = (sff - sf * sf / max(known, 1)) * (spp - sp * sp / max(known, 1))
    out[0] = (sfp - sf * sp / max(known, 1)) / np.sqrt(power) if power > 0.0 else 0.0


@compiled
def shifted_correlations(
    values: Float32, index_from_point: Float64, points: Float32, planned: Float32, shifts: Float64, out: Float64
) -> None:
    """Correlation of planned values and samples for many shifts, and the part of the points that is known.

    Parameters
    ----------
    values, index_from_point, points
        As for :func:`residuals_at_points`.
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
        # sums over a few points side by side, term by term
        rows = np.zeros((terms, SIDE_BY_SIDE))
        weighted = np.zeros((terms, SIDE_BY_SIDE))
        targets = np.zeros(SIDE_BY_SIDE)
        begin, end = chunk * count // CHUNKS, (chunk + 1) * count // CHUNKS
        filled = 0
        for n in range(begin, end):
            w = float(weight[n])
            if w > 0.0:
                for a in range(terms):
                    value = float(design[n, a])
                    rows[a, filled] = value
                    weighted[a, filled] = w * value
                targets[filled] = float(target[n])
                filled += 1
            if filled == SIDE_BY_SIDE or (n == end - 1 and filled > 0):
                for i in range(filled, SIDE_BY_SIDE):
                    targets[i] = 0.0
                    for a in range(terms):
                        rows[a, i] = 0.0
                        weighted[a, i] = 0.0
                for a in range(terms):
                    total = 0.0
                    for i in range(SIDE_BY_SIDE):
                        total += weighted[a, i] * targets[i]
                    vectors[chunk, a] += total
                    for b in range(a + 1):
                        total = 0.0
                        for i in range(SIDE_BY_SIDE):
                            total += weighted[a, i] * rows[b, i]
                        matrices[chunk, a, b] += total
                filled = 0
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
        As for :func:`residuals_at_points`.
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
