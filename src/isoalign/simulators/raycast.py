"""Exact path integrals of X-rays through voxels and simple solids.

A ray is cut at every voxel face it crosses; each voxel adds its value times the length of its piece (Siddon 1985;
traversal after Amanatides and Woo 1987). Nothing is interpolated or sampled, everything is double precision. This is
the simulators' own caster: it shares no code with the projector that the matcher uses.

Each voxel value goes through a table into two channels, the densities of two basis materials (see
:mod:`isoalign.simulators.materials`); the result is a mass per area for each, g/cm2.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit

from isoalign.geometry import Array, Fixed, Pose, ProjectionGeometry
from isoalign.geometry.pose import Dst
from isoalign.records import InvalidRecord, frozen_array

Progress = Callable[[float], None]
ROWS_PER_BAND = 32
CM_PER_MM = 0.1


@dataclass(frozen=True, slots=True)
class DetectorRays:
    """Rays from one point source to every pixel centre of a flat panel, in any one frame, mm.

    Attributes
    ----------
    source_mm : ndarray, shape (3,)
    first_pixel_mm : ndarray, shape (3,)
        Centre of pixel (row 0, column 0).
    column_step_mm, row_step_mm : ndarray, shape (3,)
        From one pixel centre to the next along a row of the image, and down a column.
    """

    source_mm: Array
    first_pixel_mm: Array
    column_step_mm: Array
    row_step_mm: Array
    rows: int
    columns: int

    def __post_init__(self) -> None:
        for name in ("source_mm", "first_pixel_mm", "column_step_mm", "row_step_mm"):
            object.__setattr__(self, name, frozen_array(getattr(self, name), (3,), f"detector rays: {name}"))

    @classmethod
    def of(cls, geometry: ProjectionGeometry, frame_from_fixed: Pose[Dst, Fixed] | None = None) -> DetectorRays:
        """The rays of an imager, in the fixed frame or in the frame that a pose leads to."""
        pose = geometry.fixed_from_receptor
        first, right, down = pose.apply(geometry.grid.receptor_points_mm([(0, 0), (1, 0), (0, 1)]))
        source = geometry.source_mm
        if frame_from_fixed is not None:
            source, first, right, down = frame_from_fixed.apply(np.stack([source, first, right, down]))
        return cls(source, first, right - first, down - first, geometry.grid.rows, geometry.grid.columns)

    def window(self, rows: slice, columns: slice) -> DetectorRays:
        """The rays of a block of pixels; the slices have a start and a stop inside the panel and no step."""
        first = self.first_pixel_mm + rows.start * self.row_step_mm + columns.start * self.column_step_mm
        return DetectorRays(
            self.source_mm,
            first,
            self.column_step_mm,
            self.row_step_mm,
            rows.stop - rows.start,
            columns.stop - columns.start,
        )


@dataclass(frozen=True, slots=True)
class VoxelBody:
    """A voxel volume made ready for casting: cropped to where there is matter, values as indices into ``table``.

    Attributes
    ----------
    codes : ndarray, shape (slices, rows, columns), uint16
    frame_from_corner : ndarray, shape (4, 4)
        From (column, row, slice) counted from the outer corner of voxel (0, 0, 0) of ``codes`` to mm.
    table : ndarray, shape (n, 2), float64
        Densities of the basis materials, g/cm3, for each code.
    """

    codes: npt.NDArray[np.uint16]
    frame_from_corner: Array
    table: Array

    def __post_init__(self) -> None:
        object.__setattr__(self, "codes", frozen_array(self.codes, (None, None, None), "voxel codes", np.uint16))
        object.__setattr__(self, "frame_from_corner", frozen_array(self.frame_from_corner, (4, 4), "voxel grid"))
        object.__setattr__(self, "table", frozen_array(self.table, (None, 2), "density table"))
        if abs(np.linalg.det(self.frame_from_corner[:3, :3])) < 1e-12:
            raise InvalidRecord("the voxel grid is singular: its axes do not span space")
        if self.codes.size and int(self.codes.max()) >= len(self.table):
            raise InvalidRecord(f"voxel code {int(self.codes.max())} lies outside a table of {len(self.table)} entries")

    @classmethod
    def of(cls, codes: npt.NDArray[np.uint16], frame_from_index: npt.ArrayLike, table: npt.ArrayLike) -> VoxelBody:
        """Crop ``codes`` to the box of voxels whose density is not zero.

        ``frame_from_index`` maps (column, row, slice, 1) at voxel centres to mm.
        """
        densities = np.asarray(table, dtype=np.float64)
        is_matter: npt.NDArray[np.bool_] = np.asarray(densities.any(axis=1))
        matter = is_matter[codes]
        box: list[slice] = []
        for axis in range(3):
            used = np.flatnonzero(matter.any(axis=tuple(other for other in range(3) if other != axis)))
            box.append(slice(int(used[0]), int(used[-1]) + 1) if used.size else slice(0, 0))
        shift = np.eye(4)
        shift[:3, 3] = [box[2].start - 0.5, box[1].start - 0.5, box[0].start - 0.5]
        cropped = np.ascontiguousarray(codes[box[0], box[1], box[2]])
        return cls(cropped, np.asarray(frame_from_index, dtype=np.float64) @ shift, densities)


@njit(cache=True, nogil=True)
def _march_band(
    codes: npt.NDArray[np.uint16],
    table: Array,
    corner_from_frame: Array,
    source_mm: Array,
    first_mm: Array,
    right_mm: Array,
    down_mm: Array,
    begin: int,
    out: Array,
) -> None:  # pragma: no cover
    """Add to ``out`` (band rows, columns, 2) the integrals of the rays of image rows ``begin`` ...; mm times g/cm3."""
    slices, rows, columns = codes.shape
    flat = codes.reshape(-1)
    size = (columns, rows, slices)
    stride = (1, columns, columns * rows)
    start = np.empty(3)
    way = np.empty(3)
    next_t = np.empty(3)
    delta_t = np.empty(3)
    left = np.empty(3, np.int64)
    jump = np.empty(3, np.int64)
    for axis in range(3):
        start[axis] = corner_from_frame[axis, 3]
        for other in range(3):
            start[axis] += corner_from_frame[axis, other] * source_mm[other]
    for row in range(out.shape[0]):
        for column in range(out.shape[1]):
            x = first_mm[0] + column * right_mm[0] + (begin + row) * down_mm[0] - source_mm[0]
            y = first_mm[1] + column * right_mm[1] + (begin + row) * down_mm[1] - source_mm[1]
            z = first_mm[2] + column * right_mm[2] + (begin + row) * down_mm[2] - source_mm[2]
            length_mm = math.sqrt(x * x + y * y + z * z)
            enter, leave = 0.0, 1.0
            for axis in range(3):
                way[axis] = (
                    corner_from_frame[axis, 0] * x + corner_from_frame[axis, 1] * y + corner_from_frame[axis, 2] * z
                )
                if way[axis] == 0.0:
                    if start[axis] < 0.0 or start[axis] >= size[axis]:
                        leave = -1.0
                    continue
                near = -start[axis] / way[axis]
                far = (size[axis] - start[axis]) / way[axis]
                enter = max(enter, min(near, far))
                leave = min(leave, max(near, far))
            if enter >= leave:
                continue
            offset = 0
            for axis in range(3):
                index = min(max(math.floor(start[axis] + enter * way[axis]), 0), size[axis] - 1)
                offset += index * stride[axis]
                if way[axis] > 0.0:
                    next_t[axis] = (index + 1 - start[axis]) / way[axis]
                    delta_t[axis] = 1.0 / way[axis]
                    left[axis] = size[axis] - 1 - index
                    jump[axis] = stride[axis]
                elif way[axis] < 0.0:
                    next_t[axis] = (index - start[axis]) / way[axis]
                    delta_t[axis] = -1.0 / way[axis]
                    left[axis] = index
                    jump[axis] = -stride[axis]
                else:
                    next_t[axis] = np.inf
                    delta_t[axis] = np.inf
                    left[axis] = 0
                    jump[axis] = 0
            here = enter
            first_sum = 0.0
            second_sum = 0.0
            tx, ty, tz = next_t[0], next_t[1], next_t[2]
            dx, dy, dz = delta_t[0], delta_t[1], delta_t[2]
            lx, ly, lz = left[0], left[1], left[2]
            jx, jy, jz = jump[0], jump[1], jump[2]
            while True:
                code = flat[offset]
                if tx <= ty and tx <= tz:
                    there = min(tx, leave)
                    first_sum += (there - here) * table[code, 0]
                    second_sum += (there - here) * table[code, 1]
                    here = there
                    if lx == 0 or there >= leave:
                        break
                    lx -= 1
                    offset += jx
                    tx += dx
                elif ty <= tz:
                    there = min(ty, leave)
                    first_sum += (there - here) * table[code, 0]
                    second_sum += (there - here) * table[code, 1]
                    here = there
                    if ly == 0 or there >= leave:
                        break
                    ly -= 1
                    offset += jy
                    ty += dy
                else:
                    there = min(tz, leave)
                    first_sum += (there - here) * table[code, 0]
                    second_sum += (there - here) * table[code, 1]
                    here = there
                    if lz == 0 or there >= leave:
                        break
                    lz -= 1
                    offset += jz
                    tz += dz
            out[row, column, 0] += first_sum * length_mm
            out[row, column, 1] += second_sum * length_mm


def voxel_areal_density(body: VoxelBody, rays: DetectorRays, *, progress: Progress | None = None) -> Array:
    """Mass per area of the two basis materials along every ray.

    Parameters
    ----------
    body : VoxelBody
    rays : DetectorRays
        In the frame of ``body``.
    progress : callable, optional
        Called with the fraction done, 0 to 1, from the calling thread.

    Returns
    -------
    ndarray, shape (rows, columns, 2)
        g/cm2.
    """
    out = np.zeros((rays.rows, rays.columns, 2))
    if body.codes.size == 0:
        return out
    corner_from_frame = np.asarray(np.linalg.inv(body.frame_from_corner), dtype=np.float64)
    bands = range(0, rays.rows, ROWS_PER_BAND)

    def cast(begin: int) -> None:
        _march_band(
            body.codes,
            body.table,
            corner_from_frame,
            rays.source_mm,
            rays.first_pixel_mm,
            rays.column_step_mm,
            rays.row_step_mm,
            begin,
            out[begin : begin + ROWS_PER_BAND],
        )

    with ThreadPoolExecutor(max_workers=len(os.sched_getaffinity(0)), thread_name_prefix="raycast") as pool:
        for done, future in enumerate(as_completed([pool.submit(cast, begin) for begin in bands]), start=1):
            future.result()
            if progress is not None:
                progress(done / len(bands))
    out *= CM_PER_MM
    return out
