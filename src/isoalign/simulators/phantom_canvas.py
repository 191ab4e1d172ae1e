"""A voxel canvas that is painted with smooth-edged solids given by signed distances.

Coordinates are millimetres in the phantom's own frame: +x left, +y posterior, +z superior, origin in the middle of
the cranium. A signed distance is negative inside. Edges are blended over one voxel, as partial volume does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

Field = npt.NDArray[np.float32]
Vector = Sequence[float]
Window = tuple[slice, slice, slice]


@dataclass(frozen=True, slots=True)
class Canvas:
    """CT numbers on a grid, changed in place by painting.

    Attributes
    ----------
    hounsfield : ndarray, shape (slices, rows, columns), float32
    x, y, z : ndarray
        Coordinates of the voxel centres along each axis, mm, shaped to broadcast.
    """

    hounsfield: Field
    x: Field
    y: Field
    z: Field

    @classmethod
    def empty(cls, low_mm: Vector, spacing_mm: Vector, shape: tuple[int, int, int]) -> Canvas:
        """An air-filled canvas; ``low_mm`` and ``spacing_mm`` in x, y, z, ``shape`` in slices, rows, columns."""
        axes = [
            (low_mm[axis] + spacing_mm[axis] * np.arange(count)).astype(np.float32)
            for axis, count in zip(range(3), reversed(shape), strict=True)
        ]
        return cls(
            np.full(shape, -1000.0, dtype=np.float32),
            axes[0][None, None, :],
            axes[1][None, :, None],
            axes[2][:, None, None],
        )

    @property
    def blend_mm(self) -> float:
        """Width over which an edge is blended."""
        return float(self.x[0, 0, 1] - self.x[0, 0, 0])

    def window(self, low_mm: Vector, high_mm: Vector) -> Window:
        """The block of voxels between two corners."""
        spans = [
            slice(int(np.searchsorted(axis.ravel(), low)), int(np.searchsorted(axis.ravel(), high, side="right")))
            for axis, low, high in zip((self.z, self.y, self.x), reversed(low_mm), reversed(high_mm), strict=True)
        ]
        return spans[0], spans[1], spans[2]

    def around(self, points: Sequence[Vector], margin_mm: float) -> Window:
        """The block of voxels that holds some points and a margin."""
        corners = np.asarray(points, dtype=np.float64)
        return self.window((corners.min(axis=0) - margin_mm).tolist(), (corners.max(axis=0) + margin_mm).tolist())

    def coordinates(self, window: Window) -> tuple[Field, Field, Field]:
        """x, y, z of the voxels of a block, to broadcast."""
        return self.x[:, :, window[2]], self.y[:, window[1], :], self.z[window[0], :, :]

    def paint(self, window: Window, distance_mm: Field, value: float | Field, *, only: Field | None = None) -> None:
        """Blend ``value`` in where ``distance_mm`` is negative; ``only`` (0 to 1) weakens it locally."""
        cover = np.clip(0.5 - distance_mm / self.blend_mm, 0.0, 1.0)
        if only is not None:
            cover *= only
        block = self.hounsfield[window]
        block += cover * (value - block)

    def ellipsoid(
        self,
        centre: Vector,
        radii: Vector,
        value: float,
        *,
        shell_mm: float = 0.0,
        shell_value: float = 0.0,
        tilt_deg: float = 0.0,
    ) -> None:
        """Paint an ellipsoid, tilted about x; with a shell around it when ``shell_mm`` is positive."""
        reach = max(radii[1:]) if tilt_deg else 0.0
        half = [max(radius, reach if axis else 0.0) + shell_mm + 2.0 for axis, radius in enumerate(radii)]
        window = self.window(
            [c - h for c, h in zip(centre, half, strict=True)], [c + h for c, h in zip(centre, half, strict=True)]
        )
        distance = ellipsoid_distance(*self.coordinates(window), centre, radii, tilt_deg=tilt_deg)
        if shell_mm > 0:
            self.paint(window, distance - np.float32(shell_mm), shell_value)
        self.paint(window, distance, value)

    def rod(self, points: Sequence[Vector], radius_mm: float | Sequence[float], value: float) -> None:
        """Paint a round rod along a polyline; a radius for all points or one for each."""
        radii = [radius_mm] * len(points) if isinstance(radius_mm, int | float) else list(radius_mm)
        window = self.around(points, max(radii) + 2.0)
        self.paint(window, rod_distance(*self.coordinates(window), points, radii), value)

    def cortical_rod(
        self, points: Sequence[Vector], radius_mm: float | Sequence[float], cortex: float, marrow: float, wall_mm: float
    ) -> None:
        """Paint a bone: a rod with a dense wall and a lighter inside."""
        radii = [radius_mm] * len(points) if isinstance(radius_mm, int | float) else list(radius_mm)
        window = self.around(points, max(radii) + 2.0)
        distance = rod_distance(*self.coordinates(window), points, radii)
        self.paint(window, distance, cortex)
        self.paint(window, distance + np.float32(wall_mm), marrow)

    def block(self, centre: Vector, half: Vector, round_mm: float, value: float) -> None:
        """Paint a box with rounded edges; ``half`` are half its lengths."""
        window = self.around([centre], max(half) + 2.0)
        self.paint(window, block_distance(*self.coordinates(window), centre, half, round_mm), value)


def block_distance(x: Field, y: Field, z: Field, centre: Vector, half: Vector, round_mm: float) -> Field:
    """Signed distance to a box with rounded edges, mm."""
    over = [
        np.abs(axis - np.float32(middle)) - np.float32(length - round_mm)
        for axis, middle, length in zip((x, y, z), centre, half, strict=True)
    ]
    outside = np.sqrt(sum(np.maximum(part, 0.0) ** 2 for part in over))
    inside = np.minimum(np.maximum(np.maximum(over[0], over[1]), over[2]), 0.0)
    return np.asarray(outside + inside - np.float32(round_mm), dtype=np.float32)


def ellipsoid_distance(x: Field, y: Field, z: Field, centre: Vector, radii: Vector, *, tilt_deg: float = 0.0) -> Field:
    """Signed distance to an ellipsoid, good near its surface, mm."""
    a, b, c = radii
    u, v, w = x - np.float32(centre[0]), y - np.float32(centre[1]), z - np.float32(centre[2])
    if tilt_deg:
        cos, sin = np.float32(np.cos(np.deg2rad(tilt_deg))), np.float32(np.sin(np.deg2rad(tilt_deg)))
        v, w = cos * v + sin * w, cos * w - sin * v
    # the floor keeps the quotient finite in the very middle
    scaled = np.sqrt(np.maximum((u / a) ** 2 + (v / b) ** 2 + (w / c) ** 2, np.float32(1e-8)))
    slope = np.sqrt((u / a**2) ** 2 + (v / b**2) ** 2 + (w / c**2) ** 2)
    return np.asarray(scaled * (scaled - 1.0) / np.maximum(slope, scaled / max(radii)), dtype=np.float32)


def rod_distance(x: Field, y: Field, z: Field, points: Sequence[Vector], radii: Sequence[float]) -> Field:
    """Signed distance to a chain of rounded cones, mm."""
    best: Field | None = None
    for (start, end), (r0, r1) in zip(pairwise(points), pairwise(radii), strict=True):
        along = np.asarray(end, dtype=np.float64) - np.asarray(start, dtype=np.float64)
        length2 = float(along @ along)
        u, v, w = x - np.float32(start[0]), y - np.float32(start[1]), z - np.float32(start[2])
        part = (u * np.float32(along[0]) + v * np.float32(along[1]) + w * np.float32(along[2])) / np.float32(length2)
        part = np.clip(part, 0.0, 1.0)
        gap = np.sqrt(
            (u - part * np.float32(along[0])) ** 2
            + (v - part * np.float32(along[1])) ** 2
            + (w - part * np.float32(along[2])) ** 2
        )
        distance = np.asarray(gap - (r0 + part * np.float32(r1 - r0)), dtype=np.float32)
        best = distance if best is None else np.minimum(best, distance)
    if best is None:
        raise ValueError("a rod needs at least two points")
    return best


def smooth_union(first: Field, second: Field, width_mm: float) -> Field:
    """The union of two signed distances with a rounded seam."""
    blend = np.clip(0.5 + 0.5 * (second - first) / np.float32(width_mm), 0.0, 1.0)
    return np.asarray(
        second + (first - second) * blend - np.float32(width_mm) * blend * (1.0 - blend), dtype=np.float32
    )
