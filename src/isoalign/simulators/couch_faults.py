"""The faults that the couch simulator can play: what each is, and how it takes hold of body and firmware."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from isoalign.geometry import AXES
from isoalign.protocol import DeviceIdentity, DeviceSession
from isoalign.protocol.messages import DeviceKind
from isoalign.simulators.couch_physics import CouchBody
from isoalign.simulators.errors import InvalidTruthRequest, UnknownFault
from isoalign.simulators.fault_table import FaultParameters


@dataclass(slots=True)
class FirmwareFaults:
    """What the firmware does wrong. A new firmware after a reboot does the same again.

    Attributes
    ----------
    following_watch_off : bool
        It does not notice axes that do not follow, so that only the host can.
    limit_switch_fails : bool
        The switches at the ends of travel are dead.
    clear_refused : bool
        CLEAR is rejected.
    ack_without_motion, motion_without_ack, reject_and_move : bool
        MOVE is reported as done and nothing moves; is carried out and never answered; is rejected and carried out.
    frame_frozen, count_frozen : bool
        The same state is sent again and again; only its counter stands still.
    clock_jump_s : float
        Added to what the couch says about its time.
    seq_per_step : int
        Sequence numbers that are left out in each step.
    wrong_kind, wrong_dictionary : bool
        It says that it is another device; speaks another version.
    """

    following_watch_off: bool = False
    limit_switch_fails: bool = False
    clear_refused: bool = False
    ack_without_motion: bool = False
    motion_without_ack: bool = False
    reject_and_move: bool = False
    frame_frozen: bool = False
    count_frozen: bool = False
    clock_jump_s: float = 0.0
    seq_per_step: int = 0
    wrong_kind: bool = False
    wrong_dictionary: bool = False


@dataclass(frozen=True, slots=True)
class AxisFault:
    """A fault of one axis: how it begins, and how it ends."""

    parameters: FaultParameters
    begin: Callable[[CouchBody, int, dict[str, float]], None]
    end: Callable[[CouchBody, int], None]


def _signed(meaning: str, **defaults: float) -> FaultParameters:
    return FaultParameters(meaning, defaults, is_signed=True)


def _begin_drift(body: CouchBody, axis: int, values: dict[str, float]) -> None:
    body.secondary_fault_rate[axis] = values["rate_per_s"]


def _begin_step(body: CouchBody, axis: int, values: dict[str, float]) -> None:
    body.secondary_fault[axis] += values["step"]


def _end_secondary(body: CouchBody, axis: int) -> None:
    body.secondary_fault_rate[axis] = body.secondary_fault[axis] = 0.0


def _begin_scale(body: CouchBody, axis: int, values: dict[str, float]) -> None:
    body.primary_scale[axis] = (float(body.drive[axis]), values["error"])


def _begin_secondary_scale(body: CouchBody, axis: int, values: dict[str, float]) -> None:
    body.secondary_scale[axis] = (float(body.table[axis]), values["error"])


def _pop(name: str) -> Callable[[CouchBody, int], None]:
    def end(body: CouchBody, axis: int) -> None:
        getattr(body, name).pop(axis, None)

    return end


AXIS_FAULTS = {
    "stuck_axis": AxisFault(
        FaultParameters("the drive does not move"),
        lambda body, axis, _: body.stuck.add(axis),
        lambda body, axis: body.stuck.discard(axis),
    ),
    "runaway": AxisFault(
        _signed("the drive runs at a speed of its own", speed=30.0),
        lambda body, axis, values: body.runaway.__setitem__(axis, values["speed"]),
        _pop("runaway"),
    ),
    "reversed": AxisFault(
        FaultParameters("the drive moves the wrong way"),
        lambda body, axis, _: body.reversed_about.__setitem__(axis, float(body.drive[axis])),
        _pop("reversed_about"),
    ),
    "sluggish": AxisFault(
        FaultParameters("the drive follows with a large error", {"factor": 20.0}),
        lambda body, axis, values: body.sluggish.__setitem__(axis, max(1.0, values["factor"])),
        _pop("sluggish"),
    ),
    "creep": AxisFault(
        _signed("the table slips against its brakes", speed=0.5),
        lambda body, axis, values: body.creep.__setitem__(axis, values["speed"]),
        _pop("creep"),
    ),
    "stale_encoder": AxisFault(
        FaultParameters("the primary encoder gives the same value for ever"),
        lambda body, axis, _: body.primary_frozen.__setitem__(axis, float(body.drive[axis])),
        _pop("primary_frozen"),
    ),
    "scale_error": AxisFault(
        _signed("the primary encoder errs by a part of the way", error=0.05), _begin_scale, _pop("primary_scale")
    ),
    "secondary_scale_error": AxisFault(
        _signed("the secondary encoder errs by a part of the way", error=0.05),
        _begin_secondary_scale,
        _pop("secondary_scale"),
    ),
    "noise_burst": AxisFault(
        FaultParameters("the primary encoder is noisy", {"deviation": 5.0}),
        lambda body, axis, values: body.primary_noise.__setitem__(axis, values["deviation"]),
        _pop("primary_noise"),
    ),
    "encoder_invalid": AxisFault(
        FaultParameters("the primary encoder gives no value"),
        lambda body, axis, _: body.primary_invalid.add(axis),
        lambda body, axis: body.primary_invalid.discard(axis),
    ),
    "drive_hot": AxisFault(
        FaultParameters("the drive has this temperature", {"celsius": 95.0}),
        lambda body, axis, values: body.sensors.heated.__setitem__(axis, values["celsius"]),
        lambda body, axis: body.sensors.cool(axis),
    ),
    "secondary_drift": AxisFault(
        _signed("the secondary encoder drifts", rate_per_s=0.05), _begin_drift, _end_secondary
    ),
    "secondary_step": AxisFault(
        _signed("the secondary encoder jumps", step=1.0), _begin_step, _end_secondary
    ),
}  # fmt: skip
"""Faults that need ``axis``: a name or an index."""

FIRMWARE_FAULTS = {
    "following_watch_off": "the firmware does not notice axes that do not follow",
    "limit_switch_fails": "the switches at the ends of travel are dead",
    "clear_refused": "CLEAR is rejected",
    "ack_without_motion": "MOVE is reported as done, and nothing moves",
    "motion_without_ack": "MOVE is carried out and never answered",
    "reject_and_move": "MOVE is rejected and carried out",
    "frame_frozen": "the same state is sent again and again",
    "count_frozen": "the state counter stands still",
    "wrong_kind": "after a reboot it says that it is another device",
    "wrong_dictionary": "after a reboot it speaks another version of the protocol",
}
"""Faults without parameters that are an attribute of :class:`FirmwareFaults`."""

BODY_FAULTS = {
    "brakes_stay_closed": "the brakes do not open",
    "brakes_stay_open": "the brakes do not close",
}
"""Faults without parameters that are an attribute of the body."""

SENSOR_FAULTS = {
    "emergency_stop_open": "the emergency stop is pressed",
    "enable_circuit_open": "the wire of the enabling switch is open",
    "torque_contradiction": "the two channels of the STO feedback contradict each other",
}
"""Faults without parameters that are an attribute of the body's sensors."""

OTHER_FAULTS = {
    "touch": FaultParameters("somebody presses the edge of the table top; it notices from 30 N on", {"force_n": 60.0}),
    "payload_shift": FaultParameters("a load is put on the table, or taken off", {"kg": 40.0}, is_signed=True),
    "freeze": FaultParameters("says nothing more, but listens and moves"),
    "link_drop": FaultParameters("the line is cut both ways"),
    "lose_reference": FaultParameters("the axes are not referenced any more"),
    "reboot": FaultParameters("power fails: brakes close, a new firmware starts after a while", {"seconds": 0.3}),
    "time_jump": FaultParameters(
        "the couch's clock jumps, until a reboot sets it right", {"seconds": 10.0}, is_signed=True
    ),
    "seq_jump": FaultParameters("sequence numbers are left out in each step", {"count": 200.0}),
}
FAULTS = (*OTHER_FAULTS, *AXIS_FAULTS, *FIRMWARE_FAULTS, *BODY_FAULTS, *SENSOR_FAULTS)
RESTARTING = frozenset({"reboot", "wrong_kind", "wrong_dictionary"})
"""Faults that begin with a reboot."""
ENDED_BY_RESTART = frozenset({"time_jump", "wrong_kind", "wrong_dictionary"})
"""Faults that only a reboot ends."""


def parameters_of(name: object, request: dict[str, Any]) -> dict[str, float]:
    """The parameters with which a fault is to begin.

    Raises
    ------
    UnknownFault
        When the couch cannot play it.
    InvalidTruthRequest
        When a parameter makes no sense.
    """
    given = {key: value for key, value in request.items() if key not in {"do", "name"}}
    if name in AXIS_FAULTS:
        given.pop("axis", None)
        return AXIS_FAULTS[str(name)].parameters.resolve(str(name), given)
    if name in OTHER_FAULTS:
        return OTHER_FAULTS[str(name)].resolve(str(name), given)
    if name in FIRMWARE_FAULTS or name in BODY_FAULTS or name in SENSOR_FAULTS:
        return FaultParameters("").resolve(str(name), given)
    raise UnknownFault(f"the couch cannot play the fault {name!r}; it can: {', '.join(FAULTS)}")


def axis_of(request: dict[str, Any]) -> int:
    """The axis of a request; raises InvalidTruthRequest."""
    given = request.get("axis")
    if isinstance(given, str) and given in AXES:
        return AXES.index(given)
    if isinstance(given, int) and 0 <= given < len(AXES):
        return given
    raise InvalidTruthRequest(f"axis {given!r}: a name ({', '.join(AXES)}) or an index 0 to 5")


class FaultySession(DeviceSession):
    """A session whose clock may jump."""

    def __init__(
        self, identity: DeviceIdentity, faults: FirmwareFaults, *, boot_s: float, make_session: Callable[[], int]
    ) -> None:
        super().__init__(identity, boot_s=boot_s, make_session=make_session)
        self._faults = faults

    def device_time_us(self, now_s: float) -> int:
        """Device time, µs since boot, with the jump."""
        return super().device_time_us(now_s + self._faults.clock_jump_s)


def played_identity(identity: DeviceIdentity, faults: FirmwareFaults) -> DeviceIdentity:
    """What the firmware says about itself, when it says something wrong."""
    if faults.wrong_kind:
        identity = replace(identity, kind=DeviceKind.PANEL)
    if faults.wrong_dictionary:
        identity = replace(identity, dictionary_hash=identity.own_dictionary_hash ^ 1)
    return identity
