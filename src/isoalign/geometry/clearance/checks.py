"""Clearance of couch and patient from the machine: at one position, and along a path as a proven lower bound.

Every number errs on the near side. From the distance at a sample are subtracted the model's uncertainty and half the
greatest motion between neighbouring samples: whatever happens between two samples is no farther than that from one of
them. How deep overlapping parts overlap is not measured: their distance is 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from isoalign.geometry.clearance.errors import ClearanceTooSmall, ClearanceUnknown
from isoalign.geometry.clearance.placed_parts import PlacedParts
from isoalign.geometry.clearance.room_model import BodyPair, MachineState, RoomModel
from isoalign.geometry.clearance.search import PairSearch, SearchRecord, exact_at
from isoalign.geometry.couch_path import CouchPath, axis_values
from isoalign.geometry.pose import Array
from isoalign.geometry.table_top import TableTopPosition


@dataclass(frozen=True, slots=True, eq=False)
class PairClearance:
    """The nearest two parts of a pair of bodies.

    Attributes
    ----------
    bodies, parts : (str, str)
        Names.
    distance_mm : float
        Between the parts as modelled; 0 when they overlap.
    clearance_mm : float
        The distance less the uncertainty, and along a path less the motion between samples; never above 0 for parts
        that overlap.
    points_mm : ndarray, shape (2, 3)
        Nearest points in the fixed frame, in the order of ``parts``; shape (0, 3) when they overlap.
    """

    bodies: BodyPair
    parts: tuple[str, str]
    distance_mm: float
    clearance_mm: float
    points_mm: Array

    def __str__(self) -> str:
        return f"{self.parts[0]} to {self.parts[1]}: {self.clearance_mm:.1f} mm"


@dataclass(frozen=True, slots=True, eq=False)
class Clearance:
    """Clearance at one position.

    Attributes
    ----------
    pairs : tuple of PairClearance
        One per pair of bodies, nearest first.
    required_clearance_mm : float
    unchecked : tuple of (str, str)
        Pairs of bodies about which this says nothing.
    """

    pairs: tuple[PairClearance, ...]
    required_clearance_mm: float
    unchecked: tuple[BodyPair, ...]

    @property
    def nearest(self) -> PairClearance:
        """The pair with the least clearance."""
        return self.pairs[0]

    @property
    def passes(self) -> bool:
        """Whether every checked pair keeps the required clearance."""
        return self.nearest.clearance_mm >= self.required_clearance_mm

    def require(self) -> None:
        """Raise :class:`ClearanceTooSmall` that names the nearest pair, unless the position passes."""
        if not self.passes:
            raise _too_small(self.nearest, self.required_clearance_mm, "at the position")


@dataclass(frozen=True, slots=True, eq=False)
class PathClearance:
    """Clearance along a path, between the samples too.

    Attributes
    ----------
    nearest : PairClearance
        The parts that come nearest, where they do; its clearance is a lower bound for the whole path.
    nearest_sample : int
        Where that is.
    first_violation : PairClearance or None
        A pair that falls below the required clearance at or about :attr:`first_violating_sample`; None when none does.
    first_violating_sample : int or None
    required_clearance_mm : float
    unchecked : tuple of (str, str)
        Pairs of bodies about which this says nothing.
    motion_allowance_mm : float
        What was subtracted from the distance of ``nearest`` for the motion between samples.
    samples, distance_calls : int
        Size of the task, and how often an exact distance was needed.
    """

    nearest: PairClearance
    nearest_sample: int
    first_violation: PairClearance | None
    first_violating_sample: int | None
    required_clearance_mm: float
    unchecked: tuple[BodyPair, ...]
    motion_allowance_mm: float
    samples: int
    distance_calls: int

    @property
    def least_clearance_mm(self) -> float:
        """No checked pair comes nearer than this anywhere on the path."""
        return self.nearest.clearance_mm

    @property
    def passes(self) -> bool:
        """Whether every checked pair keeps the required clearance on the whole path."""
        return self.first_violating_sample is None

    def require(self) -> None:
        """Raise :class:`ClearanceTooSmall` that names the first violation, unless the path passes."""
        if self.first_violation is not None:
            where = f"about sample {self.first_violating_sample} of {self.samples}"
            raise _too_small(self.first_violation, self.required_clearance_mm, where)


def _too_small(pair: PairClearance, required_mm: float, where: str) -> ClearanceTooSmall:
    return ClearanceTooSmall(
        f"{pair.parts[0]} and {pair.parts[1]} keep only {pair.clearance_mm:.1f} mm {where}, not {required_mm:g} mm",
        parts=list(pair.parts),
        clearance_mm=pair.clearance_mm,
        required_mm=required_mm,
    )


def clearance_at(model: RoomModel, position: TableTopPosition, machine: MachineState) -> Clearance:
    """The clearance of every pair of bodies at one position of the couch.

    Parameters
    ----------
    model : RoomModel
    position : TableTopPosition
        In either representation.
    machine : MachineState
        One number each.

    Raises
    ------
    ClearanceUnknown
        When the state of a part is missing.
    DistanceFailed
    """
    placed = PlacedParts(model, axis_values([position]), machine)
    nearest: dict[BodyPair, PairClearance] = {}
    for _, first, second in _by_promise(model, placed):
        bodies = placed.parts[first].body, placed.parts[second].body
        known = nearest.get(bodies)
        if known is None or placed.sphere_bounds_mm(first, second)[0] < known.distance_mm:
            found = _described(placed, (first, second), 0, model.uncertainty_mm)
            if known is None or found.distance_mm < known.distance_mm:
                nearest[bodies] = found
    ordered = sorted(nearest.values(), key=lambda pair: pair.clearance_mm)
    return Clearance(tuple(ordered), model.required_clearance_mm, model.unchecked)


def clearance_along(model: RoomModel, path: CouchPath, machine: MachineState) -> PathClearance:
    """The least clearance on a path, which parts it is between, and where the first violation is.

    Between samples every axis of couch and machine is taken to go linearly. Coarse samples are safe: the allowance
    for the motion between them grows, and with it the number of paths that fail.

    Parameters
    ----------
    model : RoomModel
    path : CouchPath
    machine : MachineState
        One number each, or one per sample.

    Raises
    ------
    ClearanceUnknown
        When the state of a part is missing.
    DistanceFailed
    """
    placed = PlacedParts(model, path.values, machine)
    record = SearchRecord(model.required_clearance_mm)
    for _, first, second in _by_promise(model, placed):
        PairSearch(placed, (first, second), model.uncertainty_mm).run(record)
    if record.nearest is None:
        raise ClearanceUnknown("no pair of parts could be checked")
    pair, sample = record.nearest
    allowance = PairSearch.motion_allowance_mm(placed, pair)
    nearest = _described(placed, pair, sample, model.uncertainty_mm + allowance)
    violation = None
    if record.violation is not None:
        offender, where = record.violation
        margin = model.uncertainty_mm + PairSearch.motion_allowance_mm(placed, offender)
        violation = _described(placed, offender, where, margin)
    return PathClearance(
        replace(nearest, clearance_mm=record.least_mm),
        sample,
        violation,
        None if record.violation is None else record.violation[1],
        model.required_clearance_mm,
        model.unchecked,
        allowance,
        len(path),
        record.distance_calls,
    )


def _by_promise(model: RoomModel, placed: PlacedParts) -> Iterator[tuple[float, int, int]]:
    """Pairs of parts, those first whose bounding spheres come nearest: they make it easy to dismiss the others."""
    pairs = [(float(placed.sphere_bounds_mm(a, b).min()), a, b) for a, b in model.part_pairs]
    return iter(sorted(pairs))


def _described(placed: PlacedParts, pair: tuple[int, int], sample: int, margin_mm: float) -> PairClearance:
    first, second = (placed.parts[index] for index in pair)
    found = exact_at(placed, pair, sample)
    return PairClearance(
        (first.body, second.body),
        (first.name, second.name),
        found.distance_mm,
        found.distance_mm - margin_mm,
        found.points_mm,
    )
