"""What the daemon tells its clients: status, motion plans, progress and raw images, and their form on the wire."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from isoalign.devices.errors import IpcProtocolError
from isoalign.devices.gantry_status import GantrySummary
from isoalign.devices.ipc import JsonObject
from isoalign.geometry import Representation, TableTopPosition
from isoalign.records import AxisState, Technique, frozen_array


@dataclass(frozen=True, slots=True)
class OpenInterlock:
    """One interlock that is not OK. ``latched``: stays until a named user clears it."""

    rule_id: str
    text: str
    latched: bool
    reaction: str


@dataclass(frozen=True, slots=True)
class RoomDeviceStatus:
    """Everything about the devices at one instant.

    Attributes
    ----------
    couch_position : TableTopPosition or None
        Read-back, IEC 61217; None before the first report. Trust it only while ``couch_age_s`` is small.
    axes : tuple of AxisState
        Both channels and the velocity of each axis; empty before the first report.
    mode : str
        State of the drives in the names of CiA 402; "ABSENT" without a couch, "UNKNOWN" before the first report.
    activity : str
        "idle", "motion" or "exposure".
    interlocks : tuple of OpenInterlock
        In the order of the chain; empty when all is well.
    first_fault : OpenInterlock or None
        What latched first since the last clear.
    enable_active : bool
        Whether the enable bar is held in its middle position now.
    couch_age_s, pendant_age_s : float or None
        Since the last report; None before the first.
    imagers : tuple of str
        Names of the imagers.
    couch_hears_pendant : bool
        Whether the couch has seen the enable token in this session; a press before that does not count.
    beam_hold_requested : bool
        Whoever makes the treatment beam must hold it: the couch moves, or is not known to stand still.
    payload_kg : float or None
        Measured load of the table top.
    log_lines_lost : int
        Lines of the daemon's log that could not be written since it started.
    gantry : GantrySummary or None
        None in a room without gantry.
    """

    couch_position: TableTopPosition | None
    axes: tuple[AxisState, ...]
    mode: str
    activity: str
    moving: bool
    interlocks: tuple[OpenInterlock, ...]
    first_fault: OpenInterlock | None
    enable_active: bool
    motion_permitted: bool
    exposure_permitted: bool
    couch_age_s: float | None
    pendant_age_s: float | None
    imagers: tuple[str, ...]
    links: dict[str, str] = field(default_factory=dict)
    couch_hears_pendant: bool = False
    beam_hold_requested: bool = False
    payload_kg: float | None = None
    log_lines_lost: int = 0
    gantry: GantrySummary | None = None

    def to_wire(self) -> JsonObject:
        """As JSON types."""
        wire = {f.name: getattr(self, f.name) for f in fields(self)}
        return wire | {
            "couch_position": None if self.couch_position is None else position_to_wire(self.couch_position),
            "axes": [_axis_to_wire(axis) for axis in self.axes],
            "interlocks": [asdict(interlock) for interlock in self.interlocks],
            "first_fault": None if self.first_fault is None else asdict(self.first_fault),
            "imagers": list(self.imagers),
            "gantry": None if self.gantry is None else asdict(self.gantry),
        }

    @classmethod
    def from_wire(cls, wire: JsonObject) -> RoomDeviceStatus:
        """The inverse of :meth:`to_wire`; raises IpcProtocolError."""
        try:
            position = wire["couch_position"]
            first = wire["first_fault"]
            gantry = wire["gantry"]
            changed = {
                "couch_position": None if position is None else position_from_wire(position),
                "axes": tuple(_axis_from_wire(axis) for axis in wire["axes"]),
                "interlocks": tuple(OpenInterlock(**interlock) for interlock in wire["interlocks"]),
                "first_fault": None if first is None else OpenInterlock(**first),
                "imagers": tuple(wire["imagers"]),
                "gantry": None if gantry is None else GantrySummary.from_wire(gantry),
            }
            return cls(**(wire | changed))
        except (KeyError, TypeError) as error:
            raise IpcProtocolError(f"not a device status: {error!r}") from error


DIRECT = "direct"
UNIDIRECTIONAL = "unidirectional"
APPROACHES = (DIRECT, UNIDIRECTIONAL)
SERVICE = "service"
NORMAL = "normal"
FAST = "fast"
SPEEDS = (SERVICE, NORMAL, FAST)


@dataclass(frozen=True, slots=True)
class PlanClearance:
    """How near the couch, with who lies on it, comes to the machine on the way of a plan.

    Attributes
    ----------
    least_mm : float
        No checked pair of parts comes nearer anywhere on the way; a lower bound.
    required_mm, stop_mm : float
        What was required, and the part of it that a stop may need.
    parts : (str, str)
        Those that come nearest.
    position : TableTopPosition
        Where they do, IEC 61217.
    unchecked : tuple of (str, str)
        Pairs of bodies about which this says nothing.
    """

    least_mm: float
    required_mm: float
    stop_mm: float
    parts: tuple[str, str]
    position: TableTopPosition
    unchecked: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        words = f"{self.least_mm:.0f} mm between {self.parts[0]} and {self.parts[1]} ({self.required_mm:.0f} required)"
        left_out = ", ".join(dict.fromkeys(first for first, _ in self.unchecked))
        return f"{words}; not checked: {left_out}" if left_out else words

    def to_wire(self) -> JsonObject:
        """As JSON types."""
        wire = {f.name: getattr(self, f.name) for f in fields(self)}
        pairs = [list(pair) for pair in self.unchecked]
        return wire | {"position": position_to_wire(self.position), "parts": list(self.parts), "unchecked": pairs}

    @classmethod
    def from_wire(cls, wire: JsonObject) -> PlanClearance:
        """The inverse of :meth:`to_wire`; raises IpcProtocolError."""
        try:
            pairs = tuple((str(first), str(second)) for first, second in wire["unchecked"])
            first, second = wire["parts"]
            changed = {"position": position_from_wire(wire["position"]), "parts": (first, second), "unchecked": pairs}
            return cls(**(wire | changed))
        except (KeyError, TypeError, ValueError) as error:
            raise IpcProtocolError(f"not a clearance: {error!r}") from error


@dataclass(frozen=True, slots=True)
class MotionPlan:
    """A motion that the daemon has checked and is ready to begin, once, from where the couch is now.

    Attributes
    ----------
    approach : str
        "direct" or "unidirectional".
    waypoints : tuple of TableTopPosition
        Where the couch comes to rest on the way, IEC 61217.
    clearance : PlanClearance or None
        None: the clearance was not checked; this room has no model of what stands in it.
    duration_s : float
        Of the profile, without settling.
    stop_distance_mm, stop_distance_deg : float
        How far the couch goes on, at most, after a stop anywhere on the way: largest linear and angular axis.
    expires_in_s : float
        Counted from the moment it was prepared.
    speed : str
        Speed class: "service", "normal" or "fast".
    dry_run : bool
        Whether it is a dry run, made and watched in the room.
    """

    plan_id: str
    start: TableTopPosition
    target: TableTopPosition
    duration_s: float
    stop_distance_mm: float
    stop_distance_deg: float
    expires_in_s: float
    approach: str = DIRECT
    waypoints: tuple[TableTopPosition, ...] = ()
    clearance: PlanClearance | None = None
    speed: str = NORMAL
    dry_run: bool = False

    @property
    def clearance_in_words(self) -> str:
        """For people; "not checked" without a model of the room."""
        return "not checked" if self.clearance is None else str(self.clearance)

    def to_wire(self) -> JsonObject:
        """As JSON types."""
        wire = {f.name: getattr(self, f.name) for f in fields(self)}
        return wire | {
            "start": position_to_wire(self.start),
            "target": position_to_wire(self.target),
            "waypoints": [position_to_wire(waypoint) for waypoint in self.waypoints],
            "clearance": None if self.clearance is None else self.clearance.to_wire(),
        }

    @classmethod
    def from_wire(cls, wire: JsonObject) -> MotionPlan:
        """The inverse of :meth:`to_wire`; raises IpcProtocolError."""
        try:
            clearance = wire["clearance"]
            changed = {
                "start": position_from_wire(wire["start"]),
                "target": position_from_wire(wire["target"]),
                "waypoints": tuple(position_from_wire(waypoint) for waypoint in wire["waypoints"]),
                "clearance": None if clearance is None else PlanClearance.from_wire(clearance),
            }
            return cls(**(wire | changed))
        except (KeyError, TypeError) as error:
            raise IpcProtocolError(f"not a motion plan: {error!r}") from error


WAITING_FOR_ENABLE = "waiting for enable"
MOVING = "moving"
SETTLING = "settling"
ARRIVED = "arrived"


@dataclass(frozen=True, slots=True)
class MotionProgress:
    """Where a motion has come to.

    Attributes
    ----------
    phase : str
        One of the constants of this module.
    fraction : float
        0 to 1.
    stop_distance_mm, stop_distance_deg : float
        How far the couch would go on from ``position`` if STOP reached it now: largest linear and angular axis.
    """

    phase: str
    position: TableTopPosition
    elapsed_s: float
    expected_s: float
    fraction: float
    stop_distance_mm: float = 0.0
    stop_distance_deg: float = 0.0

    def to_wire(self) -> JsonObject:
        """As JSON types."""
        wire = {f.name: getattr(self, f.name) for f in fields(self)}
        return wire | {"position": position_to_wire(self.position)}

    @classmethod
    def from_wire(cls, wire: JsonObject) -> MotionProgress:
        """The inverse of :meth:`to_wire`; raises IpcProtocolError."""
        try:
            return cls(**(wire | {"position": position_from_wire(wire["position"])}))
        except (KeyError, TypeError) as error:
            raise IpcProtocolError(f"not motion progress: {error!r}") from error


@dataclass(frozen=True, slots=True)
class RawImage:
    """One image as its panel sent it, with what is known about its exposure.

    Attributes
    ----------
    pixels : ndarray, shape (rows, columns), uint16
        Whole and checked; a torn frame never gets here.
    technique : Technique
        As the generator measured it.
    table_top : TableTopPosition or None
        Read-back of the couch during the exposure, IEC 61217; None in a room without a couch.
    acquired_at : datetime
        When the exposure began.
    read_at : datetime or None
        When the panel announced the frame; None is not known.
    """

    imager: str
    exposure_id: int
    pixels: npt.NDArray[np.uint16] = field(repr=False)
    technique: Technique
    table_top: TableTopPosition | None
    acquired_at: datetime
    read_at: datetime | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "pixels", frozen_array(self.pixels, (None, None), "raw image", np.uint16))

    def to_wire(self) -> JsonObject:
        """As JSON types, without the pixels; these travel as an attachment, little-endian, row by row."""
        return {
            "imager": self.imager,
            "exposure_id": self.exposure_id,
            "shape": list(self.pixels.shape),
            "technique": asdict(self.technique),
            "table_top": None if self.table_top is None else position_to_wire(self.table_top),
            "acquired_at": self.acquired_at.isoformat(),
            "read_at": None if self.read_at is None else self.read_at.isoformat(),
        }

    def pixel_bytes(self) -> bytes:
        """The attachment."""
        return self.pixels.astype("<u2", copy=False).tobytes()

    @classmethod
    def from_wire(cls, wire: JsonObject, attachment: bytes) -> RawImage:
        """The inverse of :meth:`to_wire`; raises IpcProtocolError."""
        try:
            rows, columns = wire["shape"]
            pixels = np.frombuffer(attachment, dtype="<u2").reshape(rows, columns)
            table_top = wire["table_top"]
            return cls(
                imager=wire["imager"],
                exposure_id=wire["exposure_id"],
                pixels=pixels,
                technique=Technique(**wire["technique"]),
                table_top=None if table_top is None else position_from_wire(table_top),
                acquired_at=datetime.fromisoformat(wire["acquired_at"]),
                read_at=None if wire["read_at"] is None else datetime.fromisoformat(wire["read_at"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise IpcProtocolError(f"not an image: {error!r}") from error


@dataclass(frozen=True, slots=True)
class DarkImage:
    """One frame of a panel without X-rays.

    Attributes
    ----------
    frame_number : int
        Never that of an exposure.
    pixels : ndarray, shape (rows, columns), uint16
    read_at : datetime
        When the panel announced the frame.
    """

    imager: str
    frame_number: int
    pixels: npt.NDArray[np.uint16] = field(repr=False)
    read_at: datetime

    def __post_init__(self) -> None:
        object.__setattr__(self, "pixels", frozen_array(self.pixels, (None, None), "dark image", np.uint16))

    def to_wire(self) -> JsonObject:
        """As JSON types, without the pixels; see :meth:`RawImage.to_wire`."""
        shape, read_at = list(self.pixels.shape), self.read_at.isoformat()
        return {"imager": self.imager, "frame_number": self.frame_number, "shape": shape, "read_at": read_at}

    def pixel_bytes(self) -> bytes:
        """The attachment."""
        return self.pixels.astype("<u2", copy=False).tobytes()

    @classmethod
    def from_wire(cls, wire: JsonObject, attachment: bytes) -> DarkImage:
        """The inverse of :meth:`to_wire`; raises IpcProtocolError."""
        try:
            rows, columns = wire["shape"]
            pixels = np.frombuffer(attachment, dtype="<u2").reshape(rows, columns)
            return cls(wire["imager"], wire["frame_number"], pixels, datetime.fromisoformat(wire["read_at"]))
        except (KeyError, TypeError, ValueError) as error:
            raise IpcProtocolError(f"not a dark image: {error!r}") from error


def position_to_wire(position: TableTopPosition) -> JsonObject:
    """A table-top position as JSON types, with its representation."""
    return {"representation": position.representation.name, "values": list(position.values)}


def position_from_wire(wire: Any) -> TableTopPosition:
    """The inverse of :func:`position_to_wire`; raises IpcProtocolError."""
    try:
        return TableTopPosition.from_values(Representation[wire["representation"]], wire["values"])
    except (KeyError, TypeError, ValueError) as error:
        raise IpcProtocolError(f"not a table-top position: {wire!r}") from error


def _axis_to_wire(axis: AxisState) -> JsonObject:
    wire: JsonObject = {f.name: getattr(axis, f.name) for f in fields(axis)}
    return {key: None if value != value else value for key, value in wire.items()}  # noqa: PLR0124 - NaN is not JSON


def _axis_from_wire(wire: JsonObject) -> AxisState:
    numbers = {key: math.nan if wire[key] is None else float(wire[key]) for key in ("primary", "secondary", "velocity")}
    return AxisState(axis=wire["axis"], unit=wire["unit"], **numbers)
