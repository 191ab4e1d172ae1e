"""Compiled kernels of cone-beam reconstruction: resampling, backprojection, and back to slices.

Backprojection without a gather for each voxel. On an upright detector all voxels of one line parallel to the rotation
axis fall into one column, at heights that are linear in the line's 1 / depth. So each column is first interpolated at
the heights of all slices for a table of depths (few: neighbours differ by a fifth of a pixel at most), and a voxel line
is then a weighted sum of four whole lines of that table, which runs in vector registers.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import prange

from isoalign.imaging.compiled import compiled

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

SLICES = 64
"""Slices that are handled together: the length of the lines in the table of depths."""
TILE = 32
"""Side of the square of voxel lines that one thread works on, so that its part of the table stays in the cache."""


@compiled
def resample(image: Float32, from_view: Float64, out: Float32) -> None:
    """Bicubic (Catmull-Rom) resampling by a homography; beyond the edge the image goes on as it ends.

    Parameters
    ----------
    image : ndarray, shape (rows, columns), float32
    from_view : ndarray, shape (3, 3)
        From (column, row, 1) of ``out`` to those of ``image``.
    out : ndarray, shape (rows, columns), float32
    """
    rows, columns = image.shape
    for row in prange(out.shape[0]):
        across = np.empty(4, np.float32)
        down = np.empty(4, np.float32)
        for column in range(out.shape[1]):
            scale = 1.0 / (from_view[2, 0] * column + from_view[2, 1] * row + from_view[2, 2])
            x = (from_view[0, 0] * column + from_view[0, 1] * row + from_view[0, 2]) * scale
            y = (from_view[1, 0] * column + from_view[1, 1] * row + from_view[1, 2]) * scale
            x = min(max(x, 0.0), columns - 1.0)
            y = min(max(y, 0.0), rows - 1.0)
            left = min(int(x), columns - 2)
            top = min(int(y), rows - 2)
            for weights, part in ((across, np.float32(x - left)), (down, np.float32(y - top))):
                weights[0] = np.float32(0.5) * part * (part * (np.float32(2.0) - part) - np.float32(1.0))
                weights[1] = np.float32(0.5) * (part * part * (np.float32(3.0) * part - np.float32(5.0))) + np.float32(
                    1.0
                )
                weights[2] = (
                    np.float32(0.5) * part * (part * (np.float32(4.0) - np.float32(3.0) * part) + np.float32(1.0))
                )
                weights[3] = np.float32(0.5) * part * part * (part - np.float32(1.0))
            total = np.float32(0.0)
            for j in range(4):
                line = min(max(top + j - 1, 0), rows - 1)
                inner = np.float32(0.0)
                for i in range(4):
                    inner += across[i] * image[line, min(max(left + i - 1, 0), columns - 1)]
                total += down[j] * inner
            out[row, column] = total


@compiled
def tabulate(columns: Float32, first_row: Float64, row_steps: Float64, depths: Float64, table: Float32) -> None:
    """Interpolate every detector column at the heights of all slices, for each depth of the table.

    Parameters
    ----------
    columns : ndarray, shape (views, columns, rows), float32
        Filtered projections, turned so that a column is contiguous.
    first_row : ndarray, shape (views,)
        Row at the height of the source.
    row_steps : ndarray, shape (views, SLICES)
        Rows from there to each slice, times depth.
    depths : ndarray, shape (views, depths)
        1 / depth, 1/mm.
    table : ndarray, shape (views, depths, columns, SLICES), float32
        Filled; zero where a slice's ray passes above or below the detector.
    """
    views, width, rows = columns.shape
    count = table.shape[1]
    source = columns.reshape(views * width * rows)
    target = table.reshape(views * count * width * SLICES)
    for job in prange(views * count):
        view = job // count
        depth = depths[view, job % count]
        cell = np.empty(SLICES, np.uint32)
        upper = np.empty(SLICES, np.float32)
        lower = np.empty(SLICES, np.float32)
        for k in range(SLICES):
            at = first_row[view] + depth * row_steps[view, k]
            seen = np.float32(1.0) if at >= 0.0 and at <= rows - 1.0 else np.float32(0.0)
            first = min(max(int(at), 0), rows - 2)
            cell[k] = np.uint32(first)
            lower[k] = seen * np.float32(at - first)
            upper[k] = seen - lower[k]
        for column in range(width):
            line = source[(view * width + column) * rows : (view * width + column + 1) * rows]
            out = target[(job * width + column) * SLICES : (job * width + column + 1) * SLICES]
            for k in range(SLICES):
                out[k] = upper[k] * line[cell[k]] + lower[k] * line[np.uint32(cell[k] + np.uint32(1))]


@compiled
def backproject(table: Float32, views: Float64, first_slice: int, volume: Float32) -> None:
    """Add the views of a table to SLICES slices of the volume.

    Parameters
    ----------
    table : ndarray, shape (views, depths, columns, SLICES), float32
    views : ndarray, shape (views, 9)
        Depth at voxel line (0, 0) and its steps by row and column; distance along the detector columns times the
        source-to-detector distance in pixels, likewise three; first column; 1 / depth of the table's start; its steps
        per 1/mm. The weight is 1 / depth^2: every other factor is in the table.
    first_slice : int
    volume : ndarray, shape (rows, columns, slices), float32
        Slices are the fastest axis; their number is a multiple of SLICES.
    """
    count_views, depths, width, _ = table.shape
    lines = table.reshape(count_views * depths * width * SLICES)
    rows, columns, slices = volume.shape
    voxels = volume.reshape(rows * columns * slices)
    tiles = (columns + TILE - 1) // TILE
    for job in prange(((rows + TILE - 1) // TILE) * tiles):
        first_row = (job // tiles) * TILE
        first_column = (job % tiles) * TILE
        for view in range(count_views):
            for row in range(first_row, min(first_row + TILE, rows)):
                for column in range(first_column, min(first_column + TILE, columns)):
                    inverse = 1.0 / (views[view, 0] + row * views[view, 1] + column * views[view, 2])
                    at = views[view, 6] + inverse * (views[view, 3] + row * views[view, 4] + column * views[view, 5])
                    if at < 0.0 or at > width - 1.0:
                        continue
                    cell = min(int(at), width - 2)
                    right = at - cell
                    level = (inverse - views[view, 7]) * views[view, 8]
                    near = min(max(int(level), 0), depths - 2)
                    far = level - near
                    weight = inverse * inverse
                    a = np.float32(weight * (1.0 - right) * (1.0 - far))
                    b = np.float32(weight * right * (1.0 - far))
                    c = np.float32(weight * (1.0 - right) * far)
                    d = np.float32(weight * right * far)
                    start = ((view * depths + near) * width + cell) * SLICES
                    here = lines[start : start + 2 * SLICES]
                    beyond = lines[start + width * SLICES : start + (width + 2) * SLICES]
                    begin = (row * columns + column) * slices + first_slice
                    line = voxels[begin : begin + SLICES]
                    for k in range(SLICES):
                        line[k] += a * here[k] + b * here[k + SLICES] + c * beyond[k] + d * beyond[k + SLICES]


@compiled
def to_slices(volume: Float32, out: Float32) -> None:
    """From (rows, columns, slices) to (slices, rows, columns), block by block."""
    slices, rows, columns = out.shape
    blocks = (slices + 15) // 16
    for job in prange(blocks * rows):
        first = (job % blocks) * 16
        row = job // blocks
        for column in range(columns):
            for k in range(first, min(first + 16, slices)):
                out[k, row, column] = volume[row, column, k]


@compiled
def to_hounsfield_slices(
    volume: Float32, water_per_mm: float, per_mm_of_1000: float, out: npt.NDArray[np.int16]
) -> None:
    """The same with CT numbers, rounded and kept within -1024 and 32767 HU."""
    slices, rows, columns = out.shape
    blocks = (slices + 15) // 16
    scale = np.float32(1000.0 / per_mm_of_1000)
    water = np.float32(water_per_mm)
    for job in prange(blocks * rows):
        first = (job % blocks) * 16
        row = job // blocks
        for column in range(columns):
            for k in range(first, min(first + 16, slices)):
                value = min(max((volume[row, column, k] - water) * scale, np.float32(-1024.0)), np.float32(32767.0))
                out[k, row, column] = np.int16(np.rint(value))
