"""Which angles a scan runs through, and how much of each ray it measures twice."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from isoalign.geometry import Array, ProjectionGeometry
from isoalign.imaging.cone_beam.errors import UnusableReconstruction
from isoalign.imaging.cone_beam.views import source_angle_deg

FULL_TURN_DEG = 360.0
WIDEST_GAP_DEG = 12.0
"""Largest accepted angle between two projections."""


@dataclass(frozen=True, slots=True)
class ScanArc:
    """Source angles from the first to the last projection of a scan, degrees, not wrapped.

    The source angle is the IEC gantry angle of the source: 0 on +Z, 90 on +X. An arc of 360 degrees or more less one
    step is a full turn.

    Raises
    ------
    UnusableReconstruction
        When start and stop are equal, not finite, or more than a turn apart.
    """

    start_deg: float
    stop_deg: float

    def __post_init__(self) -> None:
        span = abs(self.stop_deg - self.start_deg)
        if not math.isfinite(span) or not 0.0 < span <= FULL_TURN_DEG:
            raise UnusableReconstruction(
                f"an arc from {self.start_deg:g} to {self.stop_deg:g} degrees: it must turn, and by one turn at most"
            )

    @classmethod
    def of(cls, geometries: Sequence[ProjectionGeometry]) -> ScanArc:
        """The arc through the sources of a finished scan; a full turn where less than 1.5 steps are open.

        Raises
        ------
        UnusableReconstruction
        """
        if len(geometries) < 2:
            raise UnusableReconstruction("an arc needs two projections or more")
        wrapped = np.array([source_angle_deg(one) for one in geometries])
        angles = np.unwrap(wrapped, period=FULL_TURN_DEG)
        span = float(angles[-1] - angles[0])
        step = float(np.median(np.abs(np.diff(angles))))
        if abs(span) > FULL_TURN_DEG - 1.5 * step:
            return cls(float(angles[0]), float(angles[0]) + math.copysign(FULL_TURN_DEG, span))
        return cls(float(angles[0]), float(angles[-1]))

    @property
    def direction(self) -> float:
        """+1 for growing source angles, -1 for falling ones."""
        return math.copysign(1.0, self.stop_deg - self.start_deg)

    @property
    def span_deg(self) -> float:
        """Angle of rotation, degrees, positive."""
        return abs(self.stop_deg - self.start_deg)

    @property
    def is_full(self) -> bool:
        """Whether every ray is measured twice (from both sides)."""
        return self.span_deg > FULL_TURN_DEG - 1e-6

    def along_deg(self, angle_deg: float, *, after_deg: float) -> float:
        """How far along the arc a source angle is, as the first such number not before ``after_deg`` less 180."""
        along = (angle_deg - self.start_deg) * self.direction
        return along + FULL_TURN_DEG * math.ceil((after_deg - FULL_TURN_DEG / 2 - along) / FULL_TURN_DEG)


def short_scan_weights(arc: ScanArc, along_deg: float, fan_deg: Array) -> Array:
    """Parker's weights for an arc of 180 degrees and more: both measurements of a ray add up to one.

    Parameters
    ----------
    arc : ScanArc
    along_deg : float
        How far along the arc the source is, degrees.
    fan_deg : ndarray
        Angle between ray and central ray, positive towards growing columns.

    Notes
    -----
    Parker, Med. Phys. 9 (1982) 254, with the overscan taken as the half angle (Wesarg et al., 2002), so that arcs
    longer than the shortest use all their data.
    """
    half = (arc.span_deg - 180.0) / 2
    fan = -arc.direction * np.clip(fan_deg, -half + 1e-6, half - 1e-6)
    along = np.clip(along_deg, 0.0, arc.span_deg)
    rising = np.sin(math.pi / 4 * np.minimum(along / (half - fan), 2.0)) ** 2
    falling = np.sin(math.pi / 4 * np.minimum((arc.span_deg - along) / (half + fan), 2.0)) ** 2
    return np.asarray(np.where(along < 2 * (half - fan), rising, np.where(along > 180.0 - 2 * fan, falling, 1.0)))


def displaced_weights(fan_deg: Array, overlap_deg: float, *, towards_columns: bool) -> Array:
    """Weights for a detector that is moved aside: opposite rays of the overlap add up to one.

    Parameters
    ----------
    fan_deg : ndarray
        Angle between ray and central ray, positive towards growing columns.
    overlap_deg : float
        Fan angle up to which both sides are measured.
    towards_columns : bool
        Whether the detector is moved towards growing columns.

    Notes
    -----
    Wang, Med. Phys. 29 (2002) 1634.
    """
    part = np.clip(fan_deg / overlap_deg, -1.0, 1.0)
    rising = 0.5 * (1.0 + np.sin(math.pi / 2 * part))
    return np.asarray(rising if towards_columns else 1.0 - rising)
