"""Compiled line integrals through a voxel grid after Joseph: bilinear samples on the planes of one grid axis.

Coordinates are (u, v, k): voxel indices along the fastest, the middle and the slowest axis of the array; ``k`` is the
axis along which rays step. The array must be padded with two zero voxels on all sides: samples outside are moved to
the border, where value and slope are zero.

Source: P. M. Joseph, "An improved algorithm for reprojecting rays through pixel images", IEEE Trans. Med. Imaging
1 (1982) 192.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numba import prange

from isoalign.imaging.compiled import compiled, compiled_inline

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

Int32 = npt.NDArray[np.int32]
Uint32 = npt.NDArray[np.uint32]

TILE = 64
"""Pixels of one detector row that are handled together, so that the inner loop runs over pixels in vector registers."""
BLOCK = 8
"""Rows of a plane that share one extent."""


@compiled
def filled_extents(grid: Float32, extents: Int32) -> None:
    """First and last index along u of voxels that are not zero, for each plane and block of rows; none: first > last.

    Parameters
    ----------
    grid : ndarray, shape (nk, nv, nu), float32
    extents : ndarray, shape (nk, ceil(nv / BLOCK), 2), int32
    """
    nk, nv, nu = grid.shape
    for plane in prange(nk):
        for block in range(extents.shape[1]):
            first = nu
            last = -1
            for v in range(BLOCK * block, min(BLOCK * (block + 1), nv)):
                left = 0
                while left < nu and grid[plane, v, left] == np.float32(0.0):
                    left += 1
                if left < nu:
                    right = nu - 1
                    while grid[plane, v, right] == np.float32(0.0):
                        right -= 1
                    first = min(first, left)
                    last = max(last, right)
            extents[plane, block, 0] = first
            extents[plane, block, 1] = last


@compiled_inline
def _meets_nothing(extents: Int32, plane: int, nv: int, u_one: float, u_two: float, v_one: float, v_two: float) -> bool:
    """Whether all rays of a tile meet zeros only in a plane; its outer rays are at one and two."""
    low = max(int(min(v_one, v_two)) - 1, 0) // BLOCK
    high = min(max(int(max(v_one, v_two)) + 1, 0), nv - 1) // BLOCK
    left = min(u_one, u_two) - 1.0
    right = max(u_one, u_two) + 1.0
    for block in range(low, high + 1):
        if extents[plane, block, 0] <= right and extents[plane, block, 1] >= left:
            return False
    return True


@compiled_inline
def _cells(
    at_u: Float32,
    at_v: Float32,
    slope_u: Float32,
    slope_v: Float32,
    steps: np.float32,
    top_u: np.float32,
    top_v: np.float32,
    width: np.uint32,
    part_u: Float32,
    part_v: Float32,
    cell: Uint32,
) -> None:
    """Where the rays of a tile meet a plane: the voxel before, in the flat plane, and how far beyond it they are."""
    for j in range(TILE):
        u = min(max(at_u[j] + steps * slope_u[j], np.float32(0.0)), top_u)
        v = min(max(at_v[j] + steps * slope_v[j], np.float32(0.0)), top_v)
        before_u = np.int32(u)
        before_v = np.int32(v)
        part_u[j] = u - np.float32(before_u)
        part_v[j] = v - np.float32(before_v)
        cell[j] = np.uint32(np.uint32(before_v) * width + np.uint32(before_u))


@compiled_inline
def _corners(values: Float32, cell: Uint32, width: np.uint32, count: int, corners: Float32) -> None:
    """The four voxels about every ray of a tile: (v, u), (v, u + 1), (v + 1, u), (v + 1, u + 1)."""
    for j in range(count):
        here = cell[j]
        below = np.uint32(here + width)
        corners[0, j] = values[here]
        corners[1, j] = values[np.uint32(here + np.uint32(1))]
        corners[2, j] = values[below]
        corners[3, j] = values[np.uint32(below + np.uint32(1))]


@compiled_inline
def _clip_range(
    start: float, slope: float, least: float, greatest: float, low: float, high: float
) -> tuple[float, float]:
    """The part of [low, high] in which least <= start + slope * k <= greatest (empty: low > high)."""
    if abs(slope) < 1e-12:
        if start < least or start > greatest:
            return 1.0, 0.0
        return low, high
    first = (least - start) / slope
    second = (greatest - start) / slope
    return max(low, min(first, second)), min(high, max(first, second))


@compiled_inline
def _lay_out(
    source: Float64,
    rays: Float64,
    row: int,
    first_column: int,
    count: int,
    shape: tuple[int, int, int],
    at_u: Float32,
    at_v: Float32,
    slope_u: Float32,
    slope_v: Float32,
) -> tuple[int, int]:
    """First and last plane that the rays of a tile meet, where they meet the first, and how they go on."""
    nk, nv, nu = shape
    first_plane = float(nk)
    last_plane = -1.0
    for j in range(count):
        column = first_column + j
        ray_k = rays[0, 2] + column * rays[1, 2] + row * rays[2, 2]
        a_u = (rays[0, 0] + column * rays[1, 0] + row * rays[2, 0]) / ray_k
        a_v = (rays[0, 1] + column * rays[1, 1] + row * rays[2, 1]) / ray_k
        u = source[0] - source[2] * a_u
        v = source[1] - source[2] * a_v
        low, high = _clip_range(u, a_u, 0.0, nu - 1.0, 1.0, nk - 3.0)
        low, high = _clip_range(v, a_v, 0.0, nv - 1.0, low, high)
        if low <= high:
            first_plane = min(first_plane, low)
            last_plane = max(last_plane, high)
        slope_u[j] = a_u
        slope_v[j] = a_v
    first = math.ceil(first_plane)
    for j in range(count):
        column = first_column + j
        ray_k = rays[0, 2] + column * rays[1, 2] + row * rays[2, 2]
        at_u[j] = source[0] + (first - source[2]) * (rays[0, 0] + column * rays[1, 0] + row * rays[2, 0]) / ray_k
        at_v[j] = source[1] + (first - source[2]) * (rays[0, 1] + column * rays[1, 1] + row * rays[2, 1]) / ray_k
    return first, math.floor(last_plane)


@compiled
def project(grid: Float32, extents: Int32, source: Float64, rays: Float64, rays_mm: Float64, out: Float32) -> None:
    """Line integrals for every pixel.

    Planes where a tile meets zeros only are skipped. Indices, loads and sums of a tile are loops of their own: the
    first and the last run in vector registers, and the loads, which do not on every processor, hold up nothing else.

    Parameters
    ----------
    grid : ndarray, shape (nk, nv, nu), float32
        Values per mm, padded.
    extents : ndarray
        Of this grid, from :func:`filled_extents`.
    source : ndarray, shape (3,)
        (u, v, k) of the source.
    rays : ndarray, shape (3, 3)
        From source to pixel (row, column): ``rays[0] + column * rays[1] + row * rays[2]`` in (u, v, k).
    rays_mm : ndarray, shape (3, 3)
        The same vectors in mm along any orthonormal axes.
    out : ndarray, shape (rows, columns), float32
    """
    nk, nv, nu = grid.shape
    flat = grid.reshape(nk * nv * nu)
    rows, columns = out.shape
    tiles = (columns + TILE - 1) // TILE
    top_u = np.float32(nu - 1) - np.float32(1e-3)
    top_v = np.float32(nv - 1) - np.float32(1e-3)
    width = np.uint32(nu)
    for job in prange(rows * tiles):
        row = job // tiles
        first_column = (job % tiles) * TILE
        count = min(TILE, columns - first_column)
        at_u = np.zeros(TILE, np.float32)
        at_v = np.zeros(TILE, np.float32)
        slope_u = np.zeros(TILE, np.float32)
        slope_v = np.zeros(TILE, np.float32)
        part_u = np.empty(TILE, np.float32)
        part_v = np.empty(TILE, np.float32)
        cell = np.empty(TILE, np.uint32)
        corners = np.zeros((4, TILE), np.float32)
        total = np.zeros(TILE, np.float32)
        first, last = _lay_out(source, rays, row, first_column, count, grid.shape, at_u, at_v, slope_u, slope_v)
        end = count - 1
        for plane in range(first, last + 1):
            steps = np.float32(plane - first)
            if _meets_nothing(
                extents,
                plane,
                nv,
                at_u[0] + steps * slope_u[0],
                at_u[end] + steps * slope_u[end],
                at_v[0] + steps * slope_v[0],
                at_v[end] + steps * slope_v[end],
            ):
                continue
            values = flat[plane * nv * nu : (plane + 1) * nv * nu]
            _cells(at_u, at_v, slope_u, slope_v, steps, top_u, top_v, width, part_u, part_v, cell)
            _corners(values, cell, width, count, corners)
            for j in range(TILE):
                lower = corners[0, j] + part_u[j] * (corners[1, j] - corners[0, j])
                upper = corners[2, j] + part_u[j] * (corners[3, j] - corners[2, j])
                total[j] += lower + part_v[j] * (upper - lower)
        for j in range(count):
            column = first_column + j
            x = rays_mm[0, 0] + column * rays_mm[1, 0] + row * rays_mm[2, 0]
            y = rays_mm[0, 1] + column * rays_mm[1, 1] + row * rays_mm[2, 1]
            z = rays_mm[0, 2] + column * rays_mm[1, 2] + row * rays_mm[2, 2]
            ray_k = rays[0, 2] + column * rays[1, 2] + row * rays[2, 2]
            out[row, column] = total[j] * np.float32(math.sqrt(x * x + y * y + z * z) / abs(ray_k))


@compiled
def project_with_derivatives(
    grid: Float32,
    extents: Int32,
    source: Float64,
    rays: Float64,
    rays_mm: Float64,
    source_motion: Float64,
    rays_motion: Float64,
    out: Float32,
    derivatives: Float32,
) -> None:
    """Line integrals and their derivatives by six motion parameters, in one pass.

    Parameters
    ----------
    grid, extents, source, rays, rays_mm, out
        As for :func:`project`.
    source_motion : ndarray, shape (6, 3)
        Change of ``source`` per unit of each parameter.
    rays_motion : ndarray, shape (6, 3, 3)
        Change of ``rays`` per unit of each parameter (the motion is rigid: ``rays_mm`` keep their lengths).
    derivatives : ndarray, shape (6, rows, columns), float32
    """
    nk, nv, nu = grid.shape
    flat = grid.reshape(nk * nv * nu)
    rows, columns = out.shape
    tiles = (columns + TILE - 1) // TILE
    top_u = np.float32(nu - 1) - np.float32(1e-3)
    top_v = np.float32(nv - 1) - np.float32(1e-3)
    width = np.uint32(nu)
    for job in prange(rows * tiles):
        row = job // tiles
        first_column = (job % tiles) * TILE
        count = min(TILE, columns - first_column)
        at_u = np.zeros(TILE, np.float32)
        at_v = np.zeros(TILE, np.float32)
        slope_u = np.zeros(TILE, np.float32)
        slope_v = np.zeros(TILE, np.float32)
        part_u = np.empty(TILE, np.float32)
        part_v = np.empty(TILE, np.float32)
        cell = np.empty(TILE, np.uint32)
        corners = np.zeros((4, TILE), np.float32)
        total = np.zeros(TILE, np.float32)
        by_u = np.zeros(TILE, np.float32)
        by_v = np.zeros(TILE, np.float32)
        lever_u = np.zeros(TILE, np.float32)
        lever_v = np.zeros(TILE, np.float32)
        first, last = _lay_out(source, rays, row, first_column, count, grid.shape, at_u, at_v, slope_u, slope_v)
        end = count - 1
        for plane in range(first, last + 1):
            steps = np.float32(plane - first)
            if _meets_nothing(
                extents,
                plane,
                nv,
                at_u[0] + steps * slope_u[0],
                at_u[end] + steps * slope_u[end],
                at_v[0] + steps * slope_v[0],
                at_v[end] + steps * slope_v[end],
            ):
                continue
            values = flat[plane * nv * nu : (plane + 1) * nv * nu]
            _cells(at_u, at_v, slope_u, slope_v, steps, top_u, top_v, width, part_u, part_v, cell)
            _corners(values, cell, width, count, corners)
            for j in range(TILE):
                step_lower = corners[1, j] - corners[0, j]
                step_upper = corners[3, j] - corners[2, j]
                lower = corners[0, j] + part_u[j] * step_lower
                value_v = corners[2, j] + part_u[j] * step_upper - lower
                value_u = step_lower + part_v[j] * (step_upper - step_lower)
                total[j] += lower + part_v[j] * value_v
                by_u[j] += value_u
                by_v[j] += value_v
                lever_u[j] += steps * value_u
                lever_v[j] += steps * value_v
        for j in range(count):
            column = first_column + j
            x = rays_mm[0, 0] + column * rays_mm[1, 0] + row * rays_mm[2, 0]
            y = rays_mm[0, 1] + column * rays_mm[1, 1] + row * rays_mm[2, 1]
            z = rays_mm[0, 2] + column * rays_mm[1, 2] + row * rays_mm[2, 2]
            ray_k = rays[0, 2] + column * rays[1, 2] + row * rays[2, 2]
            a_u = (rays[0, 0] + column * rays[1, 0] + row * rays[2, 0]) / ray_k
            a_v = (rays[0, 1] + column * rays[1, 1] + row * rays[2, 1]) / ray_k
            step_mm = math.sqrt(x * x + y * y + z * z) / abs(ray_k)
            integral = total[j] * step_mm
            out[row, column] = integral
            arm_u = lever_u[j] + (first - source[2]) * by_u[j]
            arm_v = lever_v[j] + (first - source[2]) * by_v[j]
            for i in range(6):
                turn_u = rays_motion[i, 0, 0] + column * rays_motion[i, 1, 0] + row * rays_motion[i, 2, 0]
                turn_v = rays_motion[i, 0, 1] + column * rays_motion[i, 1, 1] + row * rays_motion[i, 2, 1]
                turn_k = rays_motion[i, 0, 2] + column * rays_motion[i, 1, 2] + row * rays_motion[i, 2, 2]
                moved = (
                    by_u[j] * (source_motion[i, 0] - a_u * source_motion[i, 2])
                    + by_v[j] * (source_motion[i, 1] - a_v * source_motion[i, 2])
                    + arm_u * (turn_u - a_u * turn_k) / ray_k
                    + arm_v * (turn_v - a_v * turn_k) / ray_k
                )
                derivatives[i, row, column] = step_mm * moved - integral * turn_k / ray_k


@compiled
def project_maximum(grid: Float32, source: Float64, rays: Float64, out: Float32) -> None:
    """The largest value along every ray instead of its integral; parameters as for :func:`project`."""
    nk, nv, nu = grid.shape
    rows, columns = out.shape
    for row in prange(rows):
        for column in range(columns):
            ray_k = rays[0, 2] + column * rays[1, 2] + row * rays[2, 2]
            a_u = (rays[0, 0] + column * rays[1, 0] + row * rays[2, 0]) / ray_k
            a_v = (rays[0, 1] + column * rays[1, 1] + row * rays[2, 1]) / ray_k
            start_u = source[0] - source[2] * a_u
            start_v = source[1] - source[2] * a_v
            low, high = _clip_range(start_u, a_u, 0.0, nu - 1.001, 0.0, nk - 1.0)
            low, high = _clip_range(start_v, a_v, 0.0, nv - 1.001, low, high)
            greatest = np.float32(0.0)
            for plane in range(math.ceil(low), math.floor(high) + 1):
                u = start_u + plane * a_u
                v = start_v + plane * a_v
                cell_u = int(u)
                cell_v = int(v)
                part_u = np.float32(u - cell_u)
                part_v = np.float32(v - cell_v)
                first = grid[plane, cell_v, cell_u]
                second = grid[plane, cell_v + 1, cell_u]
                lower = first + part_u * (grid[plane, cell_v, cell_u + 1] - first)
                upper = second + part_u * (grid[plane, cell_v + 1, cell_u + 1] - second)
                greatest = max(greatest, lower + part_v * (upper - lower))
            out[row, column] = greatest
