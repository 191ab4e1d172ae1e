"""The gantry with its imager arm as the daemon sees it: read-back in degrees, few commands, triggers as they come.

Angles are IEC 61217 gantry rotation in degrees, continuous over the whole travel: they neither wrap nor jump.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable

import structlog

from isoalign.clock import Clock
from isoalign.devices.errors import LinkLost, StaleState, TargetOutOfLimits
from isoalign.devices.gantry_reading import (
    MICRO_PER_DEG,
    ConeBeamRotation,
    GantryFault,
    GantryReading,
    TriggerEvent,
    deg_from_udeg,
    reading_from_state,
    udeg_from_deg,
)
from isoalign.devices.link import DeviceLink
from isoalign.devices.state_stream import StateStream, is_new_fault_in_motion
from isoalign.devices.transport import Transport
from isoalign.geometry.motion_profile import MotionLimits
from isoalign.interlocks import Observation
from isoalign.protocol.layout import Message
from isoalign.protocol.messages import (
    ConeBeamRotate,
    DeviceKind,
    GantryClear,
    GantryEnableToken,
    GantryInfo,
    GantryLatch,
    GantryRotate,
    GantryState,
    GantryStatus,
    ImagerArmEnd,
    ImagerArmMove,
    PendantState,
    ProjectionTrigger,
    StopReason,
    TimeReply,
)
from isoalign.protocol.units import s_from_us

_log = structlog.get_logger("isoalign.devices.gantry")

VALID_FOR_S = 0.3
SPACING_DEG = (0.01, 90.0)
"""Least and largest angle between two triggers."""
START_MAX_DEG = 400.0
LIMITS_HINT = "Choose angles within the travel, and a speed and a spacing that the gantry can do."


def require_spacing(spacing_deg: float) -> None:
    """Raise TargetOutOfLimits when triggers cannot come as near to each other, or as far apart, as this."""
    if not SPACING_DEG[0] <= spacing_deg <= SPACING_DEG[1]:
        raise TargetOutOfLimits(
            f"{spacing_deg:g} degrees between triggers: least {SPACING_DEG[0]:g}, most {SPACING_DEG[1]:g}",
            hint=LIMITS_HINT,
        )


def count_triggers(from_deg: float, to_deg: float, spacing_deg: float) -> int:
    """How many triggers a cone-beam rotation has, in the whole µdeg in which it is commanded."""
    return abs(udeg_from_deg(to_deg) - udeg_from_deg(from_deg)) // udeg_from_deg(spacing_deg) + 1


class Gantry:
    """Driver of the gantry and its imager arm.

    Parameters
    ----------
    open_line : callable
        Opens its TCP connection.
    clock : Clock
    on_reading : callable
        Called at once with every reading, before anything else happens.
    on_change : callable
        Called when the link's state has changed.
    on_trigger : callable, optional
        Called at once with every trigger of the present cone-beam rotation that belongs to it, in order.

    Attributes
    ----------
    rotation : ConeBeamRotation or None
        The latest cone-beam rotation of this session.
    """

    def __init__(
        self,
        open_line: Callable[[], Awaitable[Transport]],
        clock: Clock,
        *,
        on_reading: Callable[[], None],
        on_change: Callable[[], None],
        on_trigger: Callable[[TriggerEvent], None] = lambda _event: None,
    ) -> None:
        self.link = DeviceLink(
            "gantry",
            DeviceKind.GANTRY,
            open_line,
            clock,
            silence_limit_s=0.5,
            on_message=self._on_message,
            on_change=self._on_link_change,
            must_stop=self._tells_new_fault_in_motion,
        )
        self.reading: Observation[GantryReading] | None = None
        self._stream = StateStream(self.link, clock)
        self.rotation: ConeBeamRotation | None = None
        self._info: GantryInfo | None = None
        self._clock = clock
        self._on_reading = on_reading
        self._on_change = on_change
        self._on_trigger = on_trigger
        self._scan_id = 0

    @property
    def session_ok(self) -> bool | None:
        """See :attr:`~isoalign.devices.state_stream.StateStream.session_ok`."""
        return self._stream.session_ok

    def acknowledge_loss(self) -> None:
        """A named user has taken note that the session was lost."""
        self._stream.acknowledge_loss()

    @property
    def info(self) -> GantryInfo:
        """What the gantry says that it can do; raises StaleState until it has told."""
        if self._info is None:
            raise StaleState("the gantry has not described itself yet")
        return self._info

    @property
    def servo_lag_s(self) -> float:
        """Delay with which the gantry follows its set point; raises StaleState until the gantry has told."""
        return s_from_us(self.info.servo_lag_us)

    @property
    def arm_travel_s(self) -> float:
        """Time of the imager arm from end to end; raises StaleState until the gantry has told."""
        return s_from_us(self.info.arm_travel_us)

    @property
    def secondary_lag_s(self) -> float | None:
        """Delay of the second encoder behind the first; None until the gantry has told."""
        return None if self._info is None else s_from_us(self._info.secondary_lag_us)

    @property
    def travel_deg(self) -> tuple[float, float]:
        """Ends of travel; raises StaleState until the gantry has told them."""
        return self.info.travel_min_udeg / MICRO_PER_DEG, self.info.travel_max_udeg / MICRO_PER_DEG

    @property
    def motion_limits(self) -> MotionLimits:
        """Largest speed, acceleration and jerk, degrees; raises StaleState until the gantry has told them."""
        return MotionLimits(
            self.info.speed_max_udeg_per_s / MICRO_PER_DEG,
            self.info.acceleration_max_udeg_per_s2 / MICRO_PER_DEG,
            self.info.jerk_max_udeg_per_s3 / MICRO_PER_DEG,
        )

    def fresh_reading(self, limit_s: float) -> GantryReading:
        """The latest reading.

        Raises
        ------
        StaleState
            When it is older than ``limit_s``, or there is none, or the primary encoder gives no value.
        """
        if self.reading is None:
            raise StaleState("the gantry has not reported its angle")
        age_s = self.reading.age_s(self._clock.monotonic_s())
        if age_s > limit_s:
            raise StaleState(f"the angle of the gantry is {age_s * 1000:.0f} ms old")
        if self.reading.value.angle_deg is None:
            raise StaleState("an encoder of the gantry gives no valid value", hint="Have the encoder checked.")
        return self.reading.value

    def begin_rotation(self, target_deg: float, *, speed_deg_per_s: float, expected_start_deg: float) -> int:
        """Send GANTRY_ROTATE; returns the command id for ``link.progress``.

        The gantry refuses when it is not where ``expected_start_deg`` says.

        Raises
        ------
        LinkLost, StaleState
        TargetOutOfLimits
            When angle or speed are beyond what the gantry has told of itself.
        """
        self.require_possible(speed_deg_per_s, expected_start_deg, target_deg)
        rotate = GantryRotate(
            command_id=1,
            valid_until_us=0,
            speed_udeg_per_s=udeg_from_deg(speed_deg_per_s),
            target_udeg=udeg_from_deg(target_deg),
            expected_start_udeg=udeg_from_deg(expected_start_deg),
        )
        return self.link.issue(rotate, valid_for_s=VALID_FOR_S)

    def begin_cone_beam_rotation(
        self,
        from_deg: float,
        to_deg: float,
        *,
        speed_deg_per_s: float,
        trigger_spacing_deg: float,
        expected_start_deg: float,
    ) -> ConeBeamRotation:
        """Send CONE_BEAM_ROTATE; its triggers arrive at ``on_trigger`` and in what is returned.

        The gantry needs room to run up before the first angle and out after the last, and refuses when there is none,
        or when the imager arm is not extended.

        Raises
        ------
        LinkLost, StaleState
        TargetOutOfLimits
            When angles, speed or spacing are beyond what the gantry has told of itself.
        """
        self.require_possible(speed_deg_per_s, expected_start_deg, from_deg, to_deg)
        require_spacing(trigger_spacing_deg)
        seen = 0 if self.reading is None else self.reading.value.scan_id
        self._scan_id = max(self._scan_id, seen) + 1  # never one that the gantry still shows
        rotate = ConeBeamRotate(
            command_id=1,
            valid_until_us=0,
            scan_id=self._scan_id,
            from_udeg=udeg_from_deg(from_deg),
            to_udeg=udeg_from_deg(to_deg),
            speed_udeg_per_s=udeg_from_deg(speed_deg_per_s),
            trigger_spacing_udeg=udeg_from_deg(trigger_spacing_deg),
            expected_start_udeg=udeg_from_deg(expected_start_deg),
        )
        total = count_triggers(from_deg, to_deg, trigger_spacing_deg)
        self.rotation = None
        self.rotation = ConeBeamRotation(self.link.issue(rotate, valid_for_s=VALID_FOR_S), self._scan_id, total)
        return self.rotation

    def begin_arm_move(self, end: ImagerArmEnd) -> int:
        """Send IMAGER_ARM_MOVE; returns the command id for ``link.progress``. Raises LinkLost."""
        return self.link.issue(ImagerArmMove(command_id=1, valid_until_us=0, arm_end=end), valid_for_s=VALID_FOR_S)

    def stop(self, reason: StopReason) -> None:
        """Send GANTRY_STOP three times, now; always legal and never an error."""
        self.link.stop(reason)

    async def clear_latch(self, timeout_s: float = 1.0) -> None:
        """Clear what stopped gantry or imager arm, if anything did.

        Raises
        ------
        GantryFault
            When the gantry does not come back to a cleared state.
        StaleState, LinkLost, DeviceRefused
        """
        await self._stream.clear_latch(
            self._latch,
            lambda latch: GantryClear(command_id=1, valid_until_us=0, latch=latch),
            fault=GantryFault,
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
            self.link.send(
                GantryEnableToken(bar=state.bar, press_count=state.press_count, token_counter=state.token_counter)
            )

    def forward_client(self, counter: int | None) -> None:
        """Hand the client's counter on, unchanged, with the next link heartbeat."""
        self.link.session.client_counter = counter

    def require_possible(self, speed_deg_per_s: float, start_deg: float, *angles_deg: float) -> None:
        """Raise TargetOutOfLimits, or StaleState, unless the gantry can do this by what it has told of itself."""
        low, high = self.travel_deg
        most = self.motion_limits.speed
        for angle in angles_deg:
            if not low <= angle <= high:
                raise TargetOutOfLimits(
                    f"gantry angle {angle:g} degrees lies outside its travel of {low:g} to {high:g}", hint=LIMITS_HINT
                )
        if not abs(start_deg) <= START_MAX_DEG:
            raise TargetOutOfLimits(f"the gantry cannot be at {start_deg:g} degrees", hint=LIMITS_HINT)
        if not 1 / MICRO_PER_DEG <= speed_deg_per_s <= most:
            raise TargetOutOfLimits(
                f"the gantry cannot rotate at {speed_deg_per_s:g} degrees/s, at most at {most:g}", hint=LIMITS_HINT
            )

    def _latch(self) -> GantryLatch:
        if self.reading is None:
            raise StaleState("the gantry has not reported its state")
        return self.reading.value.latch

    def _tells_new_fault_in_motion(self, message: Message) -> bool:
        if not isinstance(message, GantryState):
            return False
        before = None if self.reading is None else self.reading.value.latch
        return is_new_fault_in_motion(message.latch, before, moves=GantryStatus.STANDSTILL not in message.status)

    def _on_message(self, message: Message, now_s: float) -> None:
        if isinstance(message, GantryState):
            reading = reading_from_state(message, self._stream.take_state(message.state_count, now_s))
            self.reading = Observation(reading, self._stream.made_at_s(message.device_time_us, now_s))
            self._on_reading()
        elif isinstance(message, ProjectionTrigger):
            self._take_trigger(message, now_s)
        elif isinstance(message, GantryInfo):
            self._info = message
        elif isinstance(message, TimeReply):
            self._stream.take_answer(message)

    def _take_trigger(self, message: ProjectionTrigger, now_s: float) -> None:
        event = TriggerEvent(
            scan_id=message.scan_id,
            index=message.trigger_index,
            angle_deg=deg_from_udeg(message.primary_udeg),
            secondary_deg=deg_from_udeg(message.secondary_udeg),
            at_s=self._stream.made_at_s(message.device_time_us, now_s),
        )
        if self.rotation is None:
            _log.warning("gantry.strange-trigger", scan_id=event.scan_id, index=event.index, expected=None)
        elif self.rotation.take(event):
            self._on_trigger(event)

    def _on_link_change(self) -> None:
        if self._stream.follow_link():
            self._info = self.rotation = None
        self._on_change()
