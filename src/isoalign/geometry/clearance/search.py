"""Search for the least clearance of one pair of parts over all samples, with few exact distances.

Lower bounds of the clearance are kept for every sample. They begin with bounding spheres. An exact distance gives a
direction that separates both parts; their extents along it bound the distance at other samples, and the motion
between samples carries a bound from one sample to its neighbours. The sample with the lowest bound is measured next,
until no bound is below what was measured: the least is exact although most samples were never measured.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from isoalign.geometry.clearance.part_distance import PartDistance, Separation, plane_bounds_mm
from isoalign.geometry.clearance.placed_parts import Index, PlacedParts, Poses, at
from isoalign.geometry.pose import Array

PairIndex = tuple[int, int]

SEARCH_TOLERANCE_MM = 1e-3
"""Bounds this close to the least measured value are not followed; the tolerance is subtracted from the result."""

_STRIDES = (64, 8, 1)


@dataclass(slots=True)
class SearchRecord:
    """What is known after the pairs searched so far; clearances in mm, places as (pair, sample)."""

    required_mm: float
    least_mm: float = np.inf
    nearest: tuple[PairIndex, int] | None = None
    violation: tuple[PairIndex, int] | None = None
    distance_calls: int = 0

    @property
    def undecided_before(self) -> int | None:
        """Only samples before this one can still be the first violation."""
        return None if self.violation is None else self.violation[1]


def poses_at(placed: PlacedParts, part: int, index: Index) -> Poses:
    """Poses of a part at some samples."""
    rotations, shifts = placed.poses[part]
    return at(rotations, index), at(shifts, index)


def exact_at(placed: PlacedParts, pair: PairIndex, sample: int) -> Separation:
    """The separation of a pair at one sample."""
    distance = PartDistance(placed.parts[pair[0]], placed.parts[pair[1]])
    return distance(poses_at(placed, pair[0], sample), poses_at(placed, pair[1], sample))


class PairSearch:
    """The search over one pair of parts.

    Parameters
    ----------
    placed : PlacedParts
    pair : (int, int)
        Indices of the parts.
    uncertainty_mm : float
        Subtracted from every distance, beside the allowance for motion.
    """

    def __init__(self, placed: PlacedParts, pair: PairIndex, uncertainty_mm: float) -> None:
        self._placed = placed
        self._pair = pair
        self._margin_mm = uncertainty_mm + self.motion_allowance_mm(placed, pair)
        self._bounds_mm = placed.sphere_bounds_mm(*pair) - self._margin_mm
        self._measured = np.zeros(placed.samples, dtype=np.bool_)

    @staticmethod
    def motion_allowance_mm(placed: PlacedParts, pair: PairIndex) -> float:
        """Half the greatest motion of the parts with respect to each other between samples, and the tolerance."""
        steps = placed.steps_mm[pair[0]] + placed.steps_mm[pair[1]] if placed.samples > 1 else np.zeros(1)
        return float(steps.max()) / 2 + SEARCH_TOLERANCE_MM

    def run(self, record: SearchRecord) -> None:
        """Lower the record's least clearance, and bring its first violation forward, where this pair gives reason."""
        if self._bounds_mm.min() >= max(record.least_mm - SEARCH_TOLERANCE_MM, record.required_mm):
            return
        self._way_mm = self._placed.way_mm(*self._pair)
        self._distance = PartDistance(*(self._placed.parts[index] for index in self._pair))
        self._search_least(record)
        self._search_violation(record)

    def _search_least(self, record: SearchRecord) -> None:
        while True:
            sample = int(self._bounds_mm.argmin())
            if self._bounds_mm[sample] >= record.least_mm - SEARCH_TOLERANCE_MM:
                return
            found = self._measure(sample, record)
            if found.distance_mm <= 0:
                return  # no sample of this pair can be nearer than an overlap
            self._raise_bounds(found.direction, record.least_mm - SEARCH_TOLERANCE_MM, None)

    def _search_violation(self, record: SearchRecord) -> None:
        while True:
            end = record.undecided_before
            below = np.flatnonzero(self._bounds_mm[:end] < record.required_mm)
            if not below.size:
                return
            sample = int(below[0])
            if self._measured[sample]:
                record.violation = (self._pair, sample)
                return
            found = self._measure(sample, record)
            if self._bounds_mm[sample] >= record.required_mm:
                self._raise_bounds(found.direction, record.required_mm, end)

    def _measure(self, sample: int, record: SearchRecord) -> Separation:
        first, second = self._pair
        found = self._distance(poses_at(self._placed, first, sample), poses_at(self._placed, second, sample))
        record.distance_calls += 1
        clearance = found.distance_mm - self._margin_mm
        self._bounds_mm[sample] = clearance
        self._measured[sample] = True
        if clearance < record.least_mm:
            record.least_mm = clearance
            record.nearest = (self._pair, sample)
        return found

    def _raise_bounds(self, direction: Array, threshold_mm: float, end: int | None) -> None:
        """Raise bounds below the threshold by the separating direction: few samples first, then those between."""
        first, second = self._pair
        parts = self._placed.parts
        for stride in _STRIDES:
            low = np.flatnonzero(self._bounds_mm[:end] < threshold_mm)
            low = low[~self._measured[low]]
            if not low.size:
                return
            group = np.arange(len(low)) // stride
            anchors = low[np.minimum(np.arange(group[-1] + 1) * stride + stride // 2, len(low) - 1)]
            by_plane = plane_bounds_mm(
                parts[first],
                poses_at(self._placed, first, anchors),
                parts[second],
                poses_at(self._placed, second, anchors),
                direction,
            )
            gaps = np.broadcast_to(by_plane, anchors.shape)[group]
            gaps = gaps - np.abs(self._way_mm[low] - self._way_mm[anchors][group]) - self._margin_mm
            self._bounds_mm[low] = np.maximum(self._bounds_mm[low], gaps)
