"""The couch as the daemon sees it: read-back in engineering units, and the few commands it takes."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

import structlog

from isoalign.clock import Clock
from isoalign.devices.couch_safety import safety_report
from isoalign.devices.errors import CouchFault, LinkLost, StaleState
from isoalign.devices.link import DeviceLink
from isoalign.devices.state_stream import StateStream, is_new_fault_in_motion
from isoalign.devices.status import FAST, NORMAL, SERVICE
from isoalign.devices.transport import Transport
from isoalign.geometry import AXES, Representation, TableTopPosition
from isoalign.geometry.motion_profile import (
    FAST_ACCELERATION,
    FAST_JERK,
    FAST_SPEED,
    SERVICE_LIMITS,
    MotionLimits,
)
from isoalign.interlocks import Brake, CouchReport, Observation, SafetyReport
from isoalign.protocol.layout import Message
from isoalign.protocol.messages import (
    Clear,
    CouchMode,
    CouchSafety,
    CouchState,
    CouchStatus,
    DeviceKind,
    EnableToken,
    Latch,
    Move,
    PendantState,
    SpeedClass,
    StopReason,
    TimeReply,
)
from isoalign.protocol.units import MICRO_PER_UNIT, axes_from_micro, micro_from_axes
from isoalign.records import AxisState

_log = structlog.get_logger("isoalign.devices.couch")

MICRO_PER_S = 1e6
UNITS = ("mm", "mm", "mm", "deg", "deg", "deg")
SPEED_CLASSES = {SERVICE: SpeedClass.SERVICE, NORMAL: SpeedClass.NORMAL, FAST: SpeedClass.FAST}


@dataclass(frozen=True, slots=True)
class CouchReading:
    """One state frame in engineering units.

    Attributes
    ----------
    axes : tuple of AxisState
        IEC 61217; values that the couch cannot give are NaN.
    position : TableTopPosition or None
        By the primary channel; None when an encoder gives no value.
    ready : bool
        Whether the drives are enabled, at rest, and take a MOVE.
    press_count : int or None
        The press of the enable bar that the couch knows of. None until it has seen the token in this session: only a
        press after that counts for it.
    """

    axes: tuple[AxisState, ...]
    position: TableTopPosition | None
    mode: CouchMode
    latch: Latch
    status: CouchStatus
    ready: bool
    press_count: int | None = None
    target: tuple[float, ...] = ()
    counter_age_s: float | None = None

    @property
    def standstill(self) -> bool:
        """Whether no axis moves."""
        return CouchStatus.STANDSTILL in self.status

    def as_report(self) -> CouchReport:
        """What the interlock chain looks at."""
        return CouchReport(
            axes=self.axes,
            referenced=CouchStatus.REFERENCED in self.status,
            brake=Brake.ENGAGED if CouchStatus.BRAKES_ENGAGED in self.status else Brake.RELEASED,
            standstill=self.standstill,
            faults=() if self.latch is Latch.NONE else (self.latch.name,),
            target=self.target,
            counter_age_s=self.counter_age_s,
        )


def reading_from_state(state: CouchState, counter_age_s: float | None = None) -> CouchReading:
    """A state frame in engineering units."""

    def numbers(micro: tuple[int | None, ...]) -> list[float]:
        return [math.nan if value is None else value for value in axes_from_micro(micro)]

    primary, secondary = numbers(state.primary_micro), numbers(state.secondary_micro)
    velocity = numbers(state.velocity_micro_per_s)
    axes = tuple(map(AxisState, AXES, primary, secondary, velocity, UNITS))
    known = all(math.isfinite(value) for value in primary)
    ready = (
        state.mode is CouchMode.SWITCHED_ON and state.latch is Latch.NONE and CouchStatus.CLIENT_FRESH in state.status
    )
    return CouchReading(
        axes=axes,
        position=TableTopPosition.from_values(Representation.IEC_61217, primary) if known else None,
        mode=state.mode,
        latch=state.latch,
        status=state.status,
        ready=ready,
        press_count=state.press_count,
        target=tuple(numbers(state.target_micro)),
        counter_age_s=counter_age_s,
    )


class Couch:
    """Driver of the couch.

    Parameters
    ----------
    open_line : callable
        Opens its serial line.
    clock : Clock
    on_reading : callable
        Called at once with every reading, before anything else happens.
    on_change : callable
        Called when the link's state has changed.
    """

    def __init__(
        self,
        open_line: Callable[[], Awaitable[Transport]],
        clock: Clock,
        *,
        on_reading: Callable[[], None],
        on_change: Callable[[], None],
    ) -> None:
        self.link = DeviceLink(
            "couch",
            DeviceKind.COUCH,
            open_line,
            clock,
            silence_limit_s=0.5,
            on_message=self._on_message,
            on_change=self._on_link_change,
            must_stop=self._tells_new_fault_in_motion,
        )
        self.reading: Observation[CouchReading] | None = None
        self.safety: Observation[SafetyReport] | None = None
        self._stream = StateStream(self.link, clock)
        self._clock = clock
        self._on_reading = on_reading
        self._on_change = on_change

    @property
    def session_ok(self) -> bool | None:
        """See :attr:`~isoalign.devices.state_stream.StateStream.session_ok`."""
        return self._stream.session_ok

    def acknowledge_loss(self) -> None:
        """A named user has taken note that the session was lost."""
        self._stream.acknowledge_loss()

    @property
    def travel(self) -> dict[str, tuple[float, float]]:
        """Travel of each axis as the couch reports it; empty until it has told all six."""
        known = self.link.session.axes
        if len(known) < len(AXES):
            return {}
        return {
            axis: (known[i].travel_min_micro / MICRO_PER_UNIT[i], known[i].travel_max_micro / MICRO_PER_UNIT[i])
            for i, axis in enumerate(AXES)
        }

    def motion_limits(self, speed: str) -> tuple[MotionLimits, ...]:
        """Limits of a speed class, per axis; raises StaleState until the couch has told those of the normal one."""
        known = self.link.session.axes
        if len(known) < len(AXES):
            raise StaleState("the couch has not described its axes yet")
        normal = (
            MotionLimits(
                known[i].speed_max_micro_per_s / MICRO_PER_UNIT[i],
                known[i].acceleration_max_micro_per_s2 / MICRO_PER_UNIT[i],
                known[i].jerk_max_micro_per_s3 / MICRO_PER_UNIT[i],
            )
            for i in range(len(AXES))
        )
        if speed == SERVICE:
            return tuple(
                replace(limits, speed=min(limits.speed, service.speed))
                for limits, service in zip(normal, SERVICE_LIMITS, strict=True)
            )
        if speed == FAST:
            return tuple(
                MotionLimits(
                    FAST_SPEED * limits.speed, FAST_ACCELERATION * limits.acceleration, FAST_JERK * limits.jerk
                )
                for limits in normal
            )
        return tuple(normal)

    @property
    def servo_lag_s(self) -> float:
        """The longest delay with which an axis follows its set point."""
        return max((axis.servo_lag_us for axis in self.link.session.axes.values()), default=0) / MICRO_PER_S

    @property
    def secondary_lag_s(self) -> dict[str, float]:
        """Delay of the second channel behind the first, per axis."""
        return {AXES[i]: axis.secondary_lag_us / MICRO_PER_S for i, axis in self.link.session.axes.items()}

    def fresh_reading(self, limit_s: float) -> CouchReading:
        """The latest reading.

        Raises
        ------
        StaleState
            When it is older than ``limit_s``, or there is none, or an encoder gives no value.
        """
        if self.reading is None:
            raise StaleState("the couch has not reported its position")
        age_s = self.reading.age_s(self._clock.monotonic_s())
        if age_s > limit_s:
            raise StaleState(f"the position of the couch is {age_s * 1000:.0f} ms old")
        if self.reading.value.position is None:
            raise StaleState("an encoder of the couch gives no valid value", hint="Have the encoder checked.")
        return self.reading.value

    def begin_move(self, target: TableTopPosition, expected_start: TableTopPosition, speed: str) -> int:
        """Send MOVE; returns the command id for ``link.progress``. Raises LinkLost.

        Both positions are IEC 61217. The couch refuses when it is not where ``expected_start`` says.
        """
        move = Move(
            command_id=1,
            valid_until_us=0,
            speed_class=SPEED_CLASSES[speed],
            speed_permille=1000,
            target_micro=micro_from_axes(target.values),
            expected_start_micro=micro_from_axes(expected_start.values),
        )
        return self.link.issue(move, valid_for_s=0.3)

    def stop(self, reason: StopReason) -> None:
        """Send STOP three times, now; always legal and never an error."""
        self.link.stop(reason)

    async def clear_latch(self, timeout_s: float = 1.0) -> None:
        """Clear what stopped the couch, if anything did.

        Raises
        ------
        CouchFault
            When the couch does not come back to a cleared state.
        StaleState, LinkLost, DeviceRefused
        """
        await self._stream.clear_latch(
            lambda: self.fresh_reading(timeout_s).latch,
            lambda latch: Clear(command_id=1, valid_until_us=0, latch=latch),
            fault=CouchFault,
            timeout_s=timeout_s,
        )

    async def round_trip(self, timeout_s: float = 1.0) -> None:
        """See :meth:`~isoalign.devices.state_stream.StateStream.round_trip`."""
        await self._stream.round_trip(timeout_s)

    def forward_enable(self, state: PendantState) -> None:
        """Hand the pendant's token on, unchanged; dropped where there is no session or the line has broken."""
        if not self.link.is_heard:
            return
        with contextlib.suppress(LinkLost):
            self.link.send(EnableToken(bar=state.bar, press_count=state.press_count, token_counter=state.token_counter))

    def forward_client(self, counter: int | None) -> None:
        """Hand the client's counter on, unchanged, with the next link heartbeat."""
        self.link.session.client_counter = counter

    def _tells_new_fault_in_motion(self, message: Message) -> bool:
        if not isinstance(message, CouchState):
            return False
        before = None if self.reading is None else self.reading.value.latch
        return is_new_fault_in_motion(message.latch, before, moves=CouchStatus.STANDSTILL not in message.status)

    def _on_message(self, message: Message, now_s: float) -> None:
        if isinstance(message, CouchState):
            reading = reading_from_state(message, self._stream.take_state(message.state_count, now_s))
            self.reading = Observation(reading, self._stream.made_at_s(message.device_time_us, now_s))
            self._on_reading()
        elif isinstance(message, CouchSafety):
            self.safety = Observation(safety_report(message), self._stream.made_at_s(message.device_time_us, now_s))
            self._on_reading()
        elif isinstance(message, TimeReply):
            self._stream.take_answer(message)

    def _on_link_change(self) -> None:
        self._stream.follow_link()
        self._on_change()
