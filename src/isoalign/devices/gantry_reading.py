"""What the gantry tells, in degrees: its readings, and a cone-beam rotation with the triggers that have arrived."""

from __future__ import annotations

import math
from dataclasses import dataclass

import structlog

from isoalign.errors import DeviceError
from isoalign.interlocks import Arm, GantryReport
from isoalign.protocol.messages import GantryLatch, GantryMode, GantryState, GantryStatus, ImagerArmState
from isoalign.protocol.units import s_from_us

_log = structlog.get_logger("isoalign.devices.gantry")

MICRO_PER_DEG = 1e6


class GantryFault(DeviceError):
    """The gantry reported a fault that it does not give up."""

    code = "device.gantry-fault"
    default_hint = "The message names the fault; remove its cause, then clear it by name."


class ProjectionsMissing(DeviceError):
    """Projections of a cone-beam rotation have no angle, because their triggers did not arrive."""

    code = "device.projections-missing"
    default_hint = "Leave the projections out that the message names, or rotate again."


@dataclass(frozen=True, slots=True)
class GantryReading:
    """One state frame in degrees.

    Attributes
    ----------
    angle_deg, secondary_deg : float or None
        By the primary and by the secondary encoder; None when it gives no value.
    speed_deg_per_s : float or None
        Signed.
    target_deg : float or None
        Where the present rotation ends; the actual angle when there is none.
    ready : bool
        Whether the drives are enabled, at rest, and take a command.
    press_count : int or None
        The press of the enable bar that the gantry knows of. None until it has seen the token in this session: only a
        press after that counts for it.
    token_age_s : float or None
        How long ago the enable token had advanced at the gantry when it made this frame.
    scan_id, trigger_count : int
        The latest cone-beam rotation, and how many triggers it has had.
    counter_age_s : float or None
        How long the gantry's own state counter had stood still when this frame arrived.
    """

    angle_deg: float | None
    secondary_deg: float | None
    speed_deg_per_s: float | None
    target_deg: float | None
    arm: ImagerArmState
    mode: GantryMode
    latch: GantryLatch
    status: GantryStatus
    ready: bool
    press_count: int | None = None
    token_age_s: float | None = None
    scan_id: int = 0
    trigger_count: int = 0
    counter_age_s: float | None = None

    @property
    def standstill(self) -> bool:
        """Whether neither gantry nor imager arm moves."""
        return GantryStatus.STANDSTILL in self.status

    def as_report(self) -> GantryReport:
        """What the interlock chain looks at."""
        return GantryReport(
            angle_deg=_or_nan(self.angle_deg),
            secondary_deg=_or_nan(self.secondary_deg),
            speed_deg_per_s=_or_nan(self.speed_deg_per_s),
            arm=Arm[self.arm.name],
            standstill=self.standstill,
            faults=() if self.latch is GantryLatch.NONE else (self.latch.name,),
            counter_age_s=self.counter_age_s,
        )


@dataclass(frozen=True, slots=True)
class TriggerEvent:
    """One projection was triggered.

    Attributes
    ----------
    index : int
        Counts from 0 within the rotation.
    angle_deg, secondary_deg : float or None
        Where the gantry was, by either encoder.
    at_s : float
        When, by our monotonic clock.
    """

    scan_id: int
    index: int
    angle_deg: float | None
    secondary_deg: float | None
    at_s: float


class ConeBeamRotation:
    """A cone-beam rotation under way, and what has come of it.

    Attributes
    ----------
    command_id : int
        For ``link.progress``.
    total : int
        Triggers that it should have.
    triggers : list of TriggerEvent
        Those that have arrived, in order.
    strange : int
        Events that belong to another rotation, came again, or whose index cannot be; they were dropped.
    """

    def __init__(self, command_id: int, scan_id: int, total: int) -> None:
        self.command_id = command_id
        self.scan_id = scan_id
        self.total = total
        self.triggers: list[TriggerEvent] = []
        self.strange = 0
        self._missing: list[int] = []

    @property
    def missing(self) -> tuple[int, ...]:
        """Indices that were left out by those that came after them."""
        return tuple(self._missing)

    def take(self, event: TriggerEvent) -> bool:
        """Take one event; False when it was dropped. An index that does not follow the last leaves a gap."""
        expected = self.triggers[-1].index + 1 if self.triggers else 0
        if event.scan_id != self.scan_id or not expected <= event.index < self.total:
            self.strange += 1
            _log.warning("gantry.strange-trigger", scan_id=event.scan_id, index=event.index, expected=expected)
            return False
        if event.index != expected:
            self._missing += range(expected, event.index)
            _log.warning("gantry.triggers-missing", scan_id=self.scan_id, first=expected, next=event.index)
        self.triggers.append(event)
        return True

    def check(self) -> None:
        """Call it when the rotation is done: every projection must have its angle.

        Raises
        ------
        ProjectionsMissing
            With the indices among its facts.
        """
        expected = self.triggers[-1].index + 1 if self.triggers else 0
        missing = [*self._missing, *range(expected, self.total)]
        missing += [one.index for one in self.triggers if one.angle_deg is None]
        if missing:
            some = ", ".join(map(str, missing[:10])) + (" and more" if len(missing) > 10 else "")
            raise ProjectionsMissing(
                f"{len(missing)} of {self.total} projections have no angle: {some}", indices=sorted(missing)
            )


def reading_from_state(state: GantryState, counter_age_s: float | None = None) -> GantryReading:
    """A state frame in degrees."""
    ready = (
        state.mode is GantryMode.SWITCHED_ON
        and state.latch is GantryLatch.NONE
        and GantryStatus.CLIENT_FRESH in state.status
    )
    return GantryReading(
        angle_deg=deg_from_udeg(state.primary_udeg),
        secondary_deg=deg_from_udeg(state.secondary_udeg),
        speed_deg_per_s=deg_from_udeg(state.velocity_udeg_per_s),
        target_deg=deg_from_udeg(state.target_udeg),
        arm=state.imager_arm,
        mode=state.mode,
        latch=state.latch,
        status=state.status,
        ready=ready,
        press_count=state.press_count,
        token_age_s=None if state.token_age_us is None else s_from_us(state.token_age_us),
        scan_id=state.scan_id,
        trigger_count=state.trigger_count,
        counter_age_s=counter_age_s,
    )


def deg_from_udeg(micro: int | None) -> float | None:
    """µdeg as degrees; None stays None (not available)."""
    return None if micro is None else micro / MICRO_PER_DEG


def udeg_from_deg(degrees: float) -> int:
    """Degrees as whole µdeg."""
    return round(degrees * MICRO_PER_DEG)


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value
