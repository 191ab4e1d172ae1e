"""Solids with exact chord lengths: spheres, cylinders and convex polyhedra, and the couch top made of them.

Solids add: a hollow body is a full one and a smaller one of the negative density.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit

from isoalign.geometry import Array
from isoalign.records import InvalidRecord, frozen_array
from isoalign.simulators.materials import CARBON_FIBRE, RIGID_FOAM, Mixture
from isoalign.simulators.raycast import CM_PER_MM, DetectorRays

COUCH_LENGTH_MM = 2000.0
COUCH_HALF_WIDTH_MM = 104.0
COUCH_THICKNESS_MM = 50.0
COUCH_SKIN_MM = 2.0
RAIL_WIDTH_MM = 18.0
RAIL_HEIGHT_MM = 22.0
RAIL_WALL_MM = 2.0
RAIL_CENTRE_MM = 84.0


@dataclass(frozen=True, slots=True)
class Sphere:
    """A ball; centre and radius in mm."""

    centre_mm: Array
    radius_mm: float
    mixture: Mixture

    def __post_init__(self) -> None:
        object.__setattr__(self, "centre_mm", frozen_array(self.centre_mm, (3,), "centre of a sphere"))
        if not self.radius_mm > 0:
            raise InvalidRecord(f"the radius of a sphere must be positive, not {self.radius_mm} mm")


@dataclass(frozen=True, slots=True)
class Cylinder:
    """A full cylinder with flat ends at ``begin_mm`` and ``end_mm`` on its axis."""

    begin_mm: Array
    end_mm: Array
    radius_mm: float
    mixture: Mixture

    def __post_init__(self) -> None:
        object.__setattr__(self, "begin_mm", frozen_array(self.begin_mm, (3,), "begin of a cylinder"))
        object.__setattr__(self, "end_mm", frozen_array(self.end_mm, (3,), "end of a cylinder"))
        if not self.radius_mm > 0 or not np.linalg.norm(self.end_mm - self.begin_mm) > 0:
            raise InvalidRecord("a cylinder needs a positive radius and length")


@dataclass(frozen=True, slots=True)
class Polyhedron:
    """A convex body: all points with ``planes[:, :3] @ point <= planes[:, 3]``, mm."""

    planes: Array
    mixture: Mixture

    def __post_init__(self) -> None:
        object.__setattr__(self, "planes", frozen_array(self.planes, (None, 4), "planes of a polyhedron"))

    @classmethod
    def box(cls, low_mm: npt.ArrayLike, high_mm: npt.ArrayLike, mixture: Mixture) -> Polyhedron:
        """The box between two corners, along the axes of its frame."""
        low, high = np.asarray(low_mm, dtype=np.float64), np.asarray(high_mm, dtype=np.float64)
        if low.shape != (3,) or high.shape != (3,) or not (low < high).all():
            raise InvalidRecord("a box needs a low corner below its high corner")
        planes = np.zeros((6, 4))
        planes[:3, :3], planes[:3, 3] = np.eye(3), high
        planes[3:, :3], planes[3:, 3] = -np.eye(3), -low
        return cls(planes, mixture)


Solid = Sphere | Cylinder | Polyhedron


def couch_top() -> tuple[Solid, ...]:
    """The head section of a couch top in the table-top frame: surface at Z = 0, head end at Y = 0, body along -Y.

    A carbon-fibre sandwich with a foam core and two rails (square tubes) under it. The rails lie inside the field of
    an image from above.
    """
    solids: list[Solid] = []

    def hollow(low: tuple[float, float, float], high: tuple[float, float, float], wall: float, core: Mixture) -> None:
        inner_low = tuple(value + wall for value in low)
        inner_high = tuple(value - wall for value in high)
        solids.append(Polyhedron.box(low, high, CARBON_FIBRE))
        solids.append(Polyhedron.box(inner_low, inner_high, core - CARBON_FIBRE))

    hollow(
        (-COUCH_HALF_WIDTH_MM, -COUCH_LENGTH_MM, -COUCH_THICKNESS_MM),
        (COUCH_HALF_WIDTH_MM, 0.0, 0.0),
        COUCH_SKIN_MM,
        RIGID_FOAM,
    )
    for side in (-1.0, 1.0):
        middle = side * RAIL_CENTRE_MM
        hollow(
            (middle - RAIL_WIDTH_MM / 2, -COUCH_LENGTH_MM, -COUCH_THICKNESS_MM - RAIL_HEIGHT_MM),
            (middle + RAIL_WIDTH_MM / 2, 0.0, -COUCH_THICKNESS_MM),
            RAIL_WALL_MM,
            Mixture(0.0),
        )
    return tuple(solids)


@njit(cache=True, nogil=True)
def _add_polyhedron(
    planes: Array,
    water: float,
    bone: float,
    source: Array,
    first: Array,
    right: Array,
    down: Array,
    out: Array,
) -> None:  # pragma: no cover
    for row in range(out.shape[0]):
        for column in range(out.shape[1]):
            x = first[0] + column * right[0] + row * down[0] - source[0]
            y = first[1] + column * right[1] + row * down[1] - source[1]
            z = first[2] + column * right[2] + row * down[2] - source[2]
            enter, leave = 0.0, 1.0
            for plane in range(planes.shape[0]):
                speed = planes[plane, 0] * x + planes[plane, 1] * y + planes[plane, 2] * z
                room = planes[plane, 3] - (
                    planes[plane, 0] * source[0] + planes[plane, 1] * source[1] + planes[plane, 2] * source[2]
                )
                if speed > 0.0:
                    leave = min(leave, room / speed)
                elif speed < 0.0:
                    enter = max(enter, room / speed)
                elif room < 0.0:
                    leave = -1.0
            if leave > enter:
                chord = (leave - enter) * math.sqrt(x * x + y * y + z * z)
                out[row, column, 0] += chord * water
                out[row, column, 1] += chord * bone


@njit(cache=True, nogil=True)
def _add_round(
    begin: Array,
    axis: Array,
    half_length: float,
    radius: float,
    water: float,
    bone: float,
    source: Array,
    first: Array,
    right: Array,
    down: Array,
    out: Array,
) -> None:  # pragma: no cover
    """A cylinder about ``begin`` (its middle) along the unit vector ``axis``; a sphere where ``half_length`` < 0."""
    sx, sy, sz = source[0] - begin[0], source[1] - begin[1], source[2] - begin[2]
    ball = half_length < 0.0
    s_axis = 0.0 if ball else sx * axis[0] + sy * axis[1] + sz * axis[2]
    for row in range(out.shape[0]):
        for column in range(out.shape[1]):
            x = first[0] + column * right[0] + row * down[0] - source[0]
            y = first[1] + column * right[1] + row * down[1] - source[1]
            z = first[2] + column * right[2] + row * down[2] - source[2]
            d_axis = 0.0 if ball else x * axis[0] + y * axis[1] + z * axis[2]
            length2 = x * x + y * y + z * z
            a = length2 - d_axis * d_axis
            b = sx * x + sy * y + sz * z - s_axis * d_axis
            c = sx * sx + sy * sy + sz * sz - s_axis * s_axis - radius * radius
            enter, leave = 0.0, 1.0
            if a <= 1e-12 * length2:
                if c > 0.0:
                    continue
            else:
                root2 = b * b - a * c
                if root2 <= 0.0:
                    continue
                root = math.sqrt(root2)
                enter = max(enter, (-b - root) / a)
                leave = min(leave, (-b + root) / a)
            if not ball:
                if d_axis != 0.0:
                    near = (-half_length - s_axis) / d_axis
                    far = (half_length - s_axis) / d_axis
                    enter = max(enter, min(near, far))
                    leave = min(leave, max(near, far))
                elif abs(s_axis) > half_length:
                    continue
            if leave > enter:
                chord = (leave - enter) * math.sqrt(length2)
                out[row, column, 0] += chord * water
                out[row, column, 1] += chord * bone


def add_solids_areal_density(solids: Sequence[Solid], rays: DetectorRays, out: Array) -> None:
    """Add the mass per area of solids along every ray to ``out``.

    Parameters
    ----------
    solids : sequence of Solid
    rays : DetectorRays
        In the frame of the solids.
    out : ndarray, shape (rows, columns, 2), float64
        g/cm2, changed in place.
    """
    for solid in solids:
        water, bone = solid.mixture.water_g_cm3 * CM_PER_MM, solid.mixture.bone_g_cm3 * CM_PER_MM
        if isinstance(solid, Polyhedron):
            _add_polyhedron(solid.planes, water, bone, *_way(rays), out)
        elif isinstance(solid, Sphere):
            block = _shadow(solid, rays)
            if block is not None:
                part = np.zeros((block[0].stop - block[0].start, block[1].stop - block[1].start, 2))
                centre, axis = np.array(solid.centre_mm), np.zeros(3)
                _add_round(centre, axis, -1.0, solid.radius_mm, water, bone, *_way(rays.window(*block)), part)
                out[block] += part
        else:
            along = solid.end_mm - solid.begin_mm
            length = float(np.linalg.norm(along))
            middle = 0.5 * (solid.begin_mm + solid.end_mm)
            _add_round(middle, along / length, length / 2, solid.radius_mm, water, bone, *_way(rays), out)


def _way(rays: DetectorRays) -> tuple[Array, Array, Array, Array]:
    return rays.source_mm, rays.first_pixel_mm, rays.column_step_mm, rays.row_step_mm


def _shadow(ball: Sphere, rays: DetectorRays) -> tuple[slice, slice] | None:
    """The block of pixels that a ball can darken (all of them where that is hard to say), or None."""
    everything = slice(0, rays.rows), slice(0, rays.columns)
    axes = np.stack([rays.column_step_mm, rays.row_step_mm, rays.first_pixel_mm - rays.source_mm], axis=1)
    normal = np.cross(rays.column_step_mm, rays.row_step_mm)
    normal /= np.linalg.norm(normal)
    depth = float(normal @ (ball.centre_mm - rays.source_mm))
    reach = float(normal @ (rays.first_pixel_mm - rays.source_mm))
    if depth * reach <= 0 or abs(depth) <= 2 * ball.radius_mm:
        return everything
    column, row, scale = np.linalg.solve(axes, ball.centre_mm - rays.source_mm)
    slant = float(np.linalg.norm(ball.centre_mm - rays.source_mm)) / abs(depth)
    margin = ball.radius_mm * abs(reach) / (abs(depth) - ball.radius_mm) * slant**2 * 1.1
    block = []
    for centre, step, count in (
        (column / scale, rays.column_step_mm, rays.columns),
        (row / scale, rays.row_step_mm, rays.rows),
    ):
        reach_pixels = margin / float(np.linalg.norm(step)) + 1.0
        low, high = max(0, math.floor(centre - reach_pixels)), min(count, math.ceil(centre + reach_pixels) + 1)
        if low >= high:
            return None
        block.append(slice(low, high))
    return block[1], block[0]
