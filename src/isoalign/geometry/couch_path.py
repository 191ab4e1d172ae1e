"""Ways of the couch, sampled: straight in the axis values as the couch moves, or in stages.

Between two samples every axis goes linearly (ADR 0014). How long the way of a point can be meanwhile follows from the
pose x_f = Rz(psa) [T + Rx(pitch) Ry(roll) x_t]: a change of T moves every point by |dT|, a change of pitch or roll
turns x_t about the table top's origin, and a change of the support angle turns T + R x_t about the vertical axis. For
a body within radius r of the table top's origin

    way <= |dT| + (|dpitch| + |droll|) r + |dpsa| (max |T_xy| + r),   angles in radians,

with the maximum over both ends, because |T_xy| is convex along a line.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from isoalign.geometry.errors import InvalidGeometry
from isoalign.geometry.pose import Array
from isoalign.geometry.table_top import AXES, Representation, TableTopPosition

MOST_SAMPLES = 200_000


def axis_values(positions: Sequence[TableTopPosition]) -> Array:
    """Positions in any representation as IEC 61217 values in the order of ``AXES``, shape (N, 6)."""
    return np.array([position.in_representation(Representation.IEC_61217).values for position in positions])


def motion_bound_mm(first: npt.ArrayLike, second: npt.ArrayLike, body_radius_mm: float) -> Array:
    """Greatest length of the way of any point of a body while all axes go linearly from first to second.

    Parameters
    ----------
    first, second : array_like, shape (..., 6)
        IEC 61217 values in the order of ``AXES``, mm and degrees.
    body_radius_mm : float
        Largest distance of a point of the body from the table top's origin.

    Returns
    -------
    ndarray, shape (...)
        mm; never smaller than the true way.
    """
    start, end = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    shift = np.linalg.norm(end[..., :3] - start[..., :3], axis=-1)
    pitch, roll, support = np.moveaxis(np.deg2rad(np.abs(end[..., 3:] - start[..., 3:])), -1, 0)
    arm = np.maximum(np.hypot(start[..., 0], start[..., 1]), np.hypot(end[..., 0], end[..., 1])) + body_radius_mm
    return np.asarray(shift + (pitch + roll) * body_radius_mm + support * arm)


@dataclass(frozen=True, slots=True, eq=False)
class CouchPath:
    """A way of the couch as samples.

    Attributes
    ----------
    values : ndarray, shape (N, 6), read-only
        IEC 61217 in the order of ``AXES``, mm and degrees; linear between neighbours.
    corners : tuple of int
        Samples at which a stage begins or ends.
    """

    values: Array
    corners: tuple[int, ...]

    def __post_init__(self) -> None:
        values = np.array(self.values, dtype=np.float64)
        if values.ndim != 2 or values.shape[1] != len(AXES) or not 1 <= len(values) <= MOST_SAMPLES:
            raise InvalidGeometry(f"a path is 1 to {MOST_SAMPLES} rows of {len(AXES)} values, not {values.shape}")
        if not np.isfinite(values).all():
            raise InvalidGeometry("a path with NaN or infinite positions was refused")
        if any(not 0 <= corner < len(values) for corner in self.corners):
            raise InvalidGeometry(f"a path of {len(values)} samples has no corners {self.corners}")
        values.setflags(write=False)
        object.__setattr__(self, "values", values)

    def __len__(self) -> int:
        return len(self.values)

    def position(self, sample: int) -> TableTopPosition:
        """The position of one sample, in IEC 61217."""
        return TableTopPosition.from_values(Representation.IEC_61217, self.values[sample])

    def greatest_step_mm(self, body_radius_mm: float) -> float:
        """Bound on the motion of any point of a body between neighbours; see :func:`motion_bound_mm`."""
        if len(self.values) < 2:
            return 0.0
        return float(motion_bound_mm(self.values[:-1], self.values[1:], body_radius_mm).max())


def straight_path(
    start: TableTopPosition, target: TableTopPosition, *, body_radius_mm: float, step_mm: float
) -> CouchPath:
    """All axes together from start to target, linear in the IEC 61217 values. See :func:`staged_path`."""
    return staged_path((start, target), body_radius_mm=body_radius_mm, step_mm=step_mm)


def staged_path(positions: Sequence[TableTopPosition], *, body_radius_mm: float, step_mm: float) -> CouchPath:
    """Straight stages from position to position, at rest in between.

    Parameters
    ----------
    positions : sequence of TableTopPosition
        Start, any number of stops on the way, target; any representation.
    body_radius_mm : float
        Largest distance of a point of what the couch carries from the table top's origin.
    step_mm : float
        No point of the body moves more than this between two samples.

    Raises
    ------
    InvalidGeometry
        When there are fewer than two positions, a number makes no sense, or more than ``MOST_SAMPLES`` are needed.
    """
    if len(positions) < 2:
        raise InvalidGeometry(f"a path joins at least two positions, not {len(positions)}")
    for name, value in (("body radius", body_radius_mm), ("step", step_mm)):
        if not (math.isfinite(value) and value > 0):
            raise InvalidGeometry(f"the {name} of a path must be positive and finite, not {value} mm")
    ends = axis_values(positions)
    # a hair more than needed: rounding in the sampled values must not push a step above what was asked for
    counts = np.ceil(motion_bound_mm(ends[:-1], ends[1:], body_radius_mm) / step_mm * (1 + 1e-9))
    if counts.sum() >= MOST_SAMPLES:
        raise InvalidGeometry(f"the path needs {counts.sum():.0f} steps, more than {MOST_SAMPLES}: enlarge the step")
    pieces, corners = [ends[:1]], [0]
    for first, last, count in zip(ends[:-1], ends[1:], np.maximum(counts, 1).astype(int), strict=True):
        fraction = np.arange(1, count + 1)[:, None] / count
        pieces.append((1 - fraction) * first + fraction * last)
        corners.append(corners[-1] + int(count))
    return CouchPath(np.concatenate(pieces), tuple(corners))
