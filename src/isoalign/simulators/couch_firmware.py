"""The couch's firmware: takes commands, moves the axes, and stops by itself when anybody it depends on goes silent.

Safety is here and not in the host: heartbeat, client counter and enable token are watched while the couch moves; the
first of them to expire stops the couch (SS1, a controlled stop on the path) and is latched until the host clears it.
After a stop or a new session motion needs the enabling switch to be pressed anew. Nothing resumes by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import structlog

from isoalign.geometry.motion_profile import (
    NORMAL_LIMITS,
    SERVICE_LIMITS,
    MotionLimits,
    StopMotion,
    SynchronisedProfile,
    plan_synchronised,
)
from isoalign.protocol import DeviceIdentity, DeviceSession, EnableTokenWatch, Message, micro_from_axes
from isoalign.protocol.host_session import random_u32
from isoalign.protocol.messages import (
    COUCH_HEARTBEAT_EXPIRY_US,
    COUCH_STATE_PERIOD_US,
    START_TOLERANCE_UDEG,
    START_TOLERANCE_UM,
    TOKEN_EXPIRY_US,
    AxisInfo,
    BarPosition,
    Capability,
    Clear,
    CommandReason,
    CommandStatus,
    CouchMode,
    CouchState,
    CouchStatus,
    DeviceKind,
    EnableToken,
    Hello,
    Latch,
    Move,
    SpeedClass,
    Stop,
)
from isoalign.protocol.watchdog import next_counter
from isoalign.simulators.couch_physics import AXIS_COUNT, Array, CouchBody

_log = structlog.get_logger("isoalign.simulators.couch")

TRAVEL = ((-250.0, 250.0), (0.0, 1500.0), (-500.0, 100.0), (-5.0, 5.0), (-5.0, 5.0), (-95.0, 95.0))
"""Lower and upper end of travel, mm and degrees, IEC 61217."""
AXIS_INFO_PERIOD_S = 0.1
HOST_QUIET_S = 0.09
FOLLOWING_LIMIT = np.array([1.0, 1.0, 1.0, 0.3, 0.3, 0.3])
FOLLOWING_LIMIT_PER_SPEED_S = 0.04
FOLLOWING_TIME_S = 0.05
SETTLED = np.array([0.005, 0.005, 0.005, 0.0005, 0.0005, 0.0005])
SETTLED_SPEED = np.array([0.05, 0.05, 0.05, 0.005, 0.005, 0.005])
_USER_STOPS = frozenset({Latch.STOP_COMMAND, Latch.ENABLE_LOST})


@dataclass(slots=True)
class _Motion:
    """A motion under way: its profile, from when, by which command, and its stop once there is one."""

    profile: SynchronisedProfile
    begins_s: float
    command_id: int
    stop: StopMotion | None = None
    stop_begins_s: float = 0.0
    command_is_over: bool = False

    def set_point(self, now_s: float) -> Array:
        if self.stop is not None and now_s >= self.stop_begins_s:
            return np.asarray(self.stop.state(now_s - self.stop_begins_s)[0], dtype=np.float64)
        return np.asarray(self.profile.state(now_s - self.begins_s)[0], dtype=np.float64)

    def set_speed(self, now_s: float) -> Array:
        if self.stop is not None and now_s >= self.stop_begins_s:
            return np.asarray(self.stop.state(now_s - self.stop_begins_s)[1], dtype=np.float64)
        return np.asarray(self.profile.state(now_s - self.begins_s)[1], dtype=np.float64)

    def ends_s(self) -> float:
        if self.stop is not None:
            return self.stop_begins_s + self.stop.duration_s
        return self.begins_s + self.profile.duration_s


class CouchFirmware:
    """One couch: bytes in, bytes out, time as an argument.

    Parameters
    ----------
    body : CouchBody
    now_s : float
        The time at which the device boots.
    travel : sequence of (float, float)
        Ends of travel per axis.
    serial_number : str
    make_session : callable, optional
        Source of session numbers, for tests.
    speed_scale : float
        Makes the couch quicker, for tests: 1 is the real thing.
    identity : DeviceIdentity, optional
        To play another firmware version in tests.
    """

    def __init__(
        self,
        body: CouchBody,
        *,
        now_s: float,
        travel: Sequence[tuple[float, float]] = TRAVEL,
        serial_number: str = "SIM-COUCH",
        make_session: Callable[[], int] = random_u32,
        speed_scale: float = 1.0,
        identity: DeviceIdentity | None = None,
    ) -> None:
        self.body = body
        self.travel = tuple(travel)
        self.latch = Latch.NONE
        self.referenced = True
        self.token = EnableTokenWatch(TOKEN_EXPIRY_US * 1e-6)
        self.session = DeviceSession(
            identity
            or DeviceIdentity(
                kind=DeviceKind.COUCH,
                capabilities=Capability.MOTION | Capability.SECONDARY_ENCODERS,
                serial_number=serial_number,
                heartbeat_expiry_us=COUCH_HEARTBEAT_EXPIRY_US,
                state_period_us=COUCH_STATE_PERIOD_US,
            ),
            boot_s=now_s,
            make_session=make_session,
        )
        self._limits = {
            SpeedClass.SERVICE: _scaled(SERVICE_LIMITS, speed_scale),
            SpeedClass.NORMAL: _scaled(NORMAL_LIMITS, speed_scale),
        }
        self._motion: _Motion | None = None
        self._at_rest_since_s: float | None = now_s
        self._following_since_s: float | None = None
        self._following_axis = AXIS_COUNT
        self._state_count = 0
        self._next_state_s = now_s
        self._next_axis_info_s = now_s
        self._axis_told = 0

    @property
    def is_moving(self) -> bool:
        """Whether a motion or its stop is under way."""
        return self._motion is not None

    @property
    def is_standing(self) -> bool:
        """Whether no axis moves."""
        return self._motion is None and bool((np.abs(self.body.velocity) < SETTLED_SPEED).all())

    def mode(self, now_s: float) -> CouchMode:
        """State of the drives by CiA 402."""
        if self.latch in _USER_STOPS:
            return CouchMode.QUICK_STOP_ACTIVE
        if self.latch is not Latch.NONE:
            return CouchMode.FAULT_REACTION_ACTIVE if self.is_moving else CouchMode.FAULT
        if self.is_moving:
            return CouchMode.OPERATION_ENABLED
        if not self.session.is_open:
            return CouchMode.SWITCH_ON_DISABLED
        return CouchMode.SWITCHED_ON if self.token.is_enabled(now_s) else CouchMode.READY_TO_SWITCH_ON

    def receive(self, data: bytes, now_s: float) -> None:
        """Take received bytes."""
        for message in self.session.feed(data, now_s):
            self._act(message, now_s)

    def step(self, now_s: float) -> None:
        """Let time pass: watch, move, tell. To be called every 10 ms or so, after :meth:`receive`."""
        if self.session.poll(now_s) is not None:
            _log.warning("couch.host-lost", moving=self.is_moving)
            self._trip(Latch.HOST_LOST, now_s, only_in_motion=True)
            self.token.forget()
        self._watch(now_s)
        self.body.advance(now_s, self._motion.set_point if self._motion else None)
        self._watch_following(now_s)
        self._finish(now_s)
        self._tell(now_s)

    def connection_lost(self, now_s: float) -> None:
        """The line has gone (a link that knows): the same as a lost host."""
        if self.session.is_open:
            self.session.connection_lost()
            self._trip(Latch.HOST_LOST, now_s, only_in_motion=True)
            self.token.forget()

    def take_output(self) -> bytes:
        """The bytes to be sent."""
        return self.session.take_output()

    def _act(self, message: Message, now_s: float) -> None:
        if isinstance(message, Stop):
            self._trip(Latch.STOP_COMMAND, now_s, only_in_motion=False)
        elif isinstance(message, Hello):
            self._trip(Latch.SESSION_REPLACED, now_s, only_in_motion=True)
            self.token.forget()
            for axis in range(AXIS_COUNT):
                self._tell_axis(axis, now_s)
            self._next_state_s = now_s
        elif isinstance(message, EnableToken):
            self.token.feed(message.bar, message.press_count, message.token_counter, now_s)
        elif isinstance(message, Move):
            self._move(message, now_s)
        elif isinstance(message, Clear):
            self._clear(message, now_s)

    def _trip(self, latch: Latch, now_s: float, *, only_in_motion: bool) -> None:
        """Stop and latch; the first cause stays."""
        if only_in_motion and not self.is_moving:
            return
        self.token.require_new_press()
        if self.latch is Latch.NONE:
            self.latch = latch
            _log.warning("couch.stopped", latch=latch.name, moving=self.is_moving)
        motion = self._motion
        if motion is None:
            return
        if motion.stop is None:
            motion.stop = motion.profile.stop_at(now_s - motion.begins_s)
            motion.stop_begins_s = now_s
        if not motion.command_is_over:
            motion.command_is_over = True
            self.session.report(
                motion.command_id,
                CommandStatus.ABORTED,
                now_s,
                reason=CommandReason.STOPPED,
                detail=int(self.latch),
            )

    def _watch(self, now_s: float) -> None:
        if self._motion is None or self._motion.stop is not None:
            return
        if not self.token.is_fresh(now_s):
            # a token that stopped although the switch is held, together with the heartbeat, means a dead host
            held = self.token.bar is BarPosition.ENABLED
            host_quiet = self.session.host.age_s(now_s) >= HOST_QUIET_S
            self._trip(Latch.HOST_LOST if held and host_quiet else Latch.ENABLE_LOST, now_s, only_in_motion=True)
        elif not self.session.client.is_fresh(now_s):
            self._trip(Latch.CLIENT_LOST, now_s, only_in_motion=True)
        elif self.body.primary_invalid:
            self._trip(Latch.ENCODER_INVALID, now_s, only_in_motion=True)

    def _watch_following(self, now_s: float) -> None:
        motion = self._motion
        if motion is None:
            self._following_since_s = None
            return
        error = np.abs(motion.set_point(now_s) - self.body.drive)
        allowed = FOLLOWING_LIMIT + FOLLOWING_LIMIT_PER_SPEED_S * np.abs(motion.set_speed(now_s))
        if not (error > allowed).any():
            self._following_since_s = None
            return
        if self._following_since_s is None:
            self._following_since_s = now_s
        if now_s - self._following_since_s >= FOLLOWING_TIME_S and motion.stop is None:
            self._following_axis = int(np.argmax(error - allowed))
            self._trip(Latch.FOLLOWING_ERROR, now_s, only_in_motion=True)

    def _finish(self, now_s: float) -> None:
        """End a motion that has arrived or come to rest; engage the brakes a while later."""
        motion = self._motion
        slow = bool((np.abs(self.body.velocity) < SETTLED_SPEED).all())
        if motion is not None and now_s >= motion.ends_s() and slow:
            near = bool((np.abs(motion.set_point(now_s) - self.body.drive) < SETTLED).all())
            if near or motion.stop is not None:
                self._motion = None
                self._at_rest_since_s = now_s
                if not motion.command_is_over:
                    self.session.report(motion.command_id, CommandStatus.DONE, now_s)
            elif now_s > motion.ends_s() + 1.0:
                self._trip(Latch.FOLLOWING_ERROR, now_s, only_in_motion=True)
        if (
            self._motion is None
            and not self.body.brakes_engaged
            and self._at_rest_since_s is not None
            and now_s - self._at_rest_since_s >= self.body.parameters.brake_engage_s
        ):
            self.body.engage_brakes()

    def _move(self, command: Move, now_s: float) -> None:
        reason, detail = self._objection(command, now_s)
        if reason is not CommandReason.NONE:
            self.session.report(command.command_id, CommandStatus.REJECTED, now_s, reason=reason, detail=detail)
            return
        limits = [limit.at_speed(command.speed_permille / 1000) for limit in self._limits[command.speed_class]]
        target = np.array(command.target_micro, dtype=np.float64) / _MICRO
        self._following_axis = AXIS_COUNT
        begins_s = now_s + (self.body.parameters.brake_release_s if self.body.brakes_engaged else 0.0)
        # the set point begins where the drives are now, never where an earlier motion was to end
        profile = plan_synchronised(self.body.drive, target, limits)
        self._motion = _Motion(profile, begins_s, command.command_id)
        self._at_rest_since_s = None
        self.body.release_brakes()
        self.session.report(command.command_id, CommandStatus.ACCEPTED, now_s)
        self.session.report(command.command_id, CommandStatus.STARTED, now_s)

    def _objection(self, command: Move, now_s: float) -> tuple[CommandReason, int]:
        """Why a MOVE cannot be carried out now."""
        if self.latch is not Latch.NONE:
            return CommandReason.LATCHED, int(self.latch)
        if self.is_moving:
            return CommandReason.BUSY, 0
        if self.body.primary_invalid:
            return CommandReason.DEVICE_FAULT, int(Latch.ENCODER_INVALID)
        if not self.referenced:
            return CommandReason.NOT_REFERENCED, 0
        for axis, (target, (low, high)) in enumerate(zip(command.target_micro, self.travel, strict=True)):
            if not low <= target / _MICRO[axis] <= high:
                return CommandReason.OUT_OF_TRAVEL, axis
        for axis, expected in enumerate(command.expected_start_micro):
            actual = self.body.drive[axis] * _MICRO[axis]
            tolerance = START_TOLERANCE_UM if axis < 3 else START_TOLERANCE_UDEG
            if expected is not None and abs(expected - actual) > tolerance:
                return CommandReason.START_MISMATCH, axis
        if not self.session.client.is_fresh(now_s):
            return CommandReason.CLIENT_NOT_FRESH, 0
        if not self.token.is_fresh(now_s):
            return CommandReason.NOT_ENABLED, 0
        if not self.token.press_is_new:
            return CommandReason.NEW_PRESS_NEEDED, 0
        return CommandReason.NONE, 0

    def _clear(self, command: Clear, now_s: float) -> None:
        reason = CommandReason.NONE
        if self.latch is Latch.NONE:
            reason = CommandReason.NOTHING_TO_CLEAR
        elif command.latch is not self.latch:
            reason = CommandReason.WRONG_LATCH
        elif not self.is_standing:
            reason = CommandReason.STILL_MOVING
        if reason is not CommandReason.NONE:
            detail = int(self.latch)
            self.session.report(command.command_id, CommandStatus.REJECTED, now_s, reason=reason, detail=detail)
            return
        _log.info("couch.cleared", latch=self.latch.name)
        self.latch = Latch.NONE
        self._following_axis = AXIS_COUNT
        self.token.require_new_press()
        self.session.report(command.command_id, CommandStatus.DONE, now_s)

    def _tell(self, now_s: float) -> None:
        if not self.session.is_open:
            return
        if now_s >= self._next_axis_info_s:
            self._next_axis_info_s = now_s + AXIS_INFO_PERIOD_S
            self._tell_axis(self._axis_told, now_s)
            self._axis_told = (self._axis_told + 1) % AXIS_COUNT
        if now_s >= self._next_state_s:
            period_s = COUCH_STATE_PERIOD_US * 1e-6
            self._next_state_s = max(self._next_state_s + period_s, now_s + period_s / 4)
            self._state_count = next_counter(self._state_count)
            self.session.send(self.state(now_s), now_s)

    def state(self, now_s: float) -> CouchState:
        """The state that goes out."""
        primary = self.body.primary()
        known = micro_from_axes(0.0 if value is None else value for value in primary)
        age_s = self.token.age_s(now_s)
        target = self.body.drive if self._motion is None else self._motion.profile.target
        return CouchState(
            device_time_us=self.session.device_time_us(now_s),
            state_count=self._state_count,
            mode=self.mode(now_s),
            latch=self.latch,
            status=self._status(now_s),
            last_command_id=self.session.commands.last_id,
            last_command_status=self.session.commands.last_status,
            host_counter=self.session.host.counter,
            client_counter=self.session.client.counter,
            press_count=self.token.press_count,
            token_counter=self.token.counter,
            token_age_us=round(age_s * 1e6) if age_s < 4000 else None,
            following_error_axis=self._following_axis,
            primary_micro=tuple(None if value is None else micro for value, micro in zip(primary, known, strict=True)),
            secondary_micro=micro_from_axes(self.body.secondary()),
            velocity_micro_per_s=micro_from_axes(self.body.velocity),
            target_micro=micro_from_axes(target),
        )

    def _status(self, now_s: float) -> CouchStatus:
        status = CouchStatus(0)
        for flag, holds in (
            (CouchStatus.STANDSTILL, self.is_standing),
            (CouchStatus.BRAKES_ENGAGED, self.body.brakes_engaged),
            (CouchStatus.REFERENCED, self.referenced),
            (CouchStatus.HOST_FRESH, self.session.is_open and self.session.host.is_fresh(now_s)),
            (CouchStatus.CLIENT_FRESH, self.session.client.is_fresh(now_s)),
            (CouchStatus.TOKEN_FRESH, self.token.is_fresh(now_s)),
            (CouchStatus.PRESS_VALID, self.token.press_is_new),
        ):
            if holds:
                status |= flag
        return status

    def _tell_axis(self, axis: int, now_s: float) -> None:
        limits = self._limits[SpeedClass.NORMAL][axis]
        scale = _MICRO[axis]
        parameters = self.body.parameters
        resolution = parameters.primary_resolution_mm if axis < 3 else parameters.primary_resolution_deg
        self.session.send(
            AxisInfo(
                axis=axis,
                travel_min_micro=round(self.travel[axis][0] * scale),
                travel_max_micro=round(self.travel[axis][1] * scale),
                speed_max_micro_per_s=round(limits.speed * scale),
                acceleration_max_micro_per_s2=round(limits.acceleration * scale),
                jerk_max_micro_per_s3=round(limits.jerk * scale),
                resolution_micro=max(1, round(resolution * scale)),
                servo_lag_us=round(parameters.servo_lag_s * 1e6),
                secondary_lag_us=round(parameters.secondary_lag_s * 1e6),
            ),
            now_s,
        )


_MICRO = np.array([1e3, 1e3, 1e3, 1e6, 1e6, 1e6])


def _scaled(limits: Sequence[MotionLimits], factor: float) -> tuple[MotionLimits, ...]:
    """The same motion played ``factor`` times as fast."""
    return tuple(MotionLimits(one.speed * factor, one.acceleration * factor**2, one.jerk * factor**3) for one in limits)
