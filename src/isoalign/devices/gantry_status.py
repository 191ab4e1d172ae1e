"""What the daemon tells its clients about the gantry: its state, plans and progress, and their form on the wire."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from isoalign.devices.errors import IpcProtocolError
from isoalign.devices.gantry_reading import GantryReading, TriggerEvent
from isoalign.devices.ipc import JsonObject
from isoalign.interlocks import Observation

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class GantrySummary:
    """Gantry and imager arm at one instant.

    Attributes
    ----------
    angle_deg, secondary_deg : float or None
        IEC 61217 gantry rotation by either encoder; None when it gives no value, or before the first report.
    speed_deg_per_s : float or None
        Signed.
    arm : str
        "UNKNOWN", "STOWED", "MOVING" or "EXTENDED".
    mode, latch : str
        State of the drives in the names of CiA 402, and what stopped the gantry; "UNKNOWN" before the first report.
    moving : bool
        Whether gantry or imager arm move, or are not known to stand still.
    age_s : float or None
        Since the last report; None before the first.
    hears_pendant : bool
        Whether the gantry has seen the enable token in this session; a press before that does not count.
    scan_id, trigger_count : int
        The latest cone-beam rotation, and the triggers that it has had.
    """

    angle_deg: float | None
    secondary_deg: float | None
    speed_deg_per_s: float | None
    arm: str
    mode: str
    latch: str
    moving: bool
    age_s: float | None
    hears_pendant: bool
    scan_id: int
    trigger_count: int

    @classmethod
    def from_wire(cls, wire: JsonObject) -> GantrySummary:
        """From JSON types; raises IpcProtocolError."""
        return _built(cls, wire)


def summary_of(reading: Observation[GantryReading] | None, now_s: float, *, at_rest: bool) -> GantrySummary:
    """What the latest reading says; ``now_s`` is monotonic."""
    if reading is None:
        return GantrySummary(None, None, None, "UNKNOWN", "UNKNOWN", "UNKNOWN", not at_rest, None, False, 0, 0)
    seen = reading.value
    return GantrySummary(
        angle_deg=seen.angle_deg,
        secondary_deg=seen.secondary_deg,
        speed_deg_per_s=seen.speed_deg_per_s,
        arm=seen.arm.name,
        mode=seen.mode.name,
        latch=seen.latch.name,
        moving=not at_rest,
        age_s=reading.age_s(now_s),
        hears_pendant=seen.press_count is not None,
        scan_id=seen.scan_id,
        trigger_count=seen.trigger_count,
    )


@dataclass(frozen=True, slots=True)
class ConeBeamPlan:
    """The part of a rotation in which projections are triggered; degrees. ``total``: how many triggers it has."""

    from_deg: float
    to_deg: float
    spacing_deg: float
    total: int


@dataclass(frozen=True, slots=True)
class GantryClearance:
    """How near what moves, of gantry or imager arm, comes to couch and patient at rest on the way of a plan.

    Attributes
    ----------
    least_mm : float or None
        No checked pair of parts comes nearer anywhere on the way; a lower bound. None when the model of the room has
        nothing that moves with this.
    required_mm : float
    parts : tuple of str
        The two that come nearest; empty with ``least_mm`` None.
    at_deg : float or None
        Gantry angle at which they do.
    unchecked : tuple of (str, str)
        Pairs of bodies about which this says nothing.
    """

    least_mm: float | None
    required_mm: float
    parts: tuple[str, ...]
    at_deg: float | None
    unchecked: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        pairs = "; ".join(f"{second} with {first}" for first, second in self.unchecked)
        left_out = f"not checked: {pairs}" if pairs else ""
        if self.least_mm is None:
            return left_out or "not checked"
        words = (
            f"{self.least_mm:.0f} mm between {self.parts[0]} and {self.parts[1]}, at {self.at_deg:.1f}° "
            f"({self.required_mm:.0f} required)"
        )
        return f"{words}; {left_out}" if left_out else words

    @classmethod
    def from_wire(cls, wire: JsonObject) -> GantryClearance:
        """From JSON types; raises IpcProtocolError."""
        pairs = tuple((str(first), str(second)) for first, second in wire.get("unchecked", ()))
        return _built(cls, wire | {"parts": tuple(wire.get("parts", ())), "unchecked": pairs})


@dataclass(frozen=True, slots=True)
class GantryPlan:
    """A motion of gantry or imager arm that the daemon has checked and is ready to begin, once, from where they are.

    Attributes
    ----------
    act : str
        "gantry rotation", "cone-beam rotation" or "imager arm move".
    start_deg, target_deg : float
        Gantry angle at the beginning, and at the end as far as it can be told: a cone-beam rotation runs out beyond
        its last angle, and ``target_deg`` is that last angle.
    speed_deg_per_s : float
        Largest on the way; 0 for the imager arm.
    duration_s : float
        Of the motion, without settling.
    stop_distance_deg : float
        How far the gantry goes on, at most, after a stop anywhere on the way.
    arm, arm_end : str
        Where the imager arm is, and where it will be.
    cone_beam : ConeBeamPlan or None
    clearance : GantryClearance or None
        None: the clearance was not checked; this room has no model of what stands in it.
    dry_run : bool
        Whether it is a dry run, made and watched in the room.
    expires_in_s : float
        Counted from the moment it was prepared.
    """

    plan_id: str
    act: str
    start_deg: float
    target_deg: float
    speed_deg_per_s: float
    duration_s: float
    stop_distance_deg: float
    arm: str
    arm_end: str
    expires_in_s: float
    cone_beam: ConeBeamPlan | None = None
    clearance: GantryClearance | None = None
    dry_run: bool = False

    @property
    def clearance_in_words(self) -> str:
        """For people; "not checked" without a model of the room."""
        return "not checked" if self.clearance is None else str(self.clearance)

    def to_wire(self) -> JsonObject:
        """As JSON types."""
        return asdict(self)

    @classmethod
    def from_wire(cls, wire: JsonObject) -> GantryPlan:
        """The inverse of :meth:`to_wire`; raises IpcProtocolError."""
        scan, clearance = wire.get("cone_beam"), wire.get("clearance")
        changed = {
            "cone_beam": None if scan is None else _built(ConeBeamPlan, scan),
            "clearance": None if clearance is None else GantryClearance.from_wire(clearance),
        }
        return _built(cls, wire | changed)


@dataclass(frozen=True, slots=True)
class GantryProgress:
    """Where a motion of gantry or imager arm has come to.

    Attributes
    ----------
    phase : str
        "waiting for enable", "moving" or "arrived".
    fraction : float
        0 to 1.
    stop_distance_deg : float
        As in the plan, 0 unless it moves.
    triggers : tuple of TriggerEvent
        Those of a cone-beam rotation that have arrived since the progress before this one, in order: each comes once.
    """

    phase: str
    angle_deg: float | None
    arm: str
    elapsed_s: float
    expected_s: float
    fraction: float
    stop_distance_deg: float = 0.0
    triggers: tuple[TriggerEvent, ...] = ()

    def to_wire(self) -> JsonObject:
        """As JSON types."""
        return asdict(self)

    @classmethod
    def from_wire(cls, wire: JsonObject) -> GantryProgress:
        """The inverse of :meth:`to_wire`; raises IpcProtocolError."""
        triggers = tuple(_built(TriggerEvent, one) for one in wire.get("triggers", ()))
        return _built(cls, wire | {"triggers": triggers})


def _built(kind: type[T], wire: Any) -> T:
    try:
        return kind(**wire)
    except TypeError as error:
        raise IpcProtocolError(f"not a {kind.__name__}: {error}") from error
