"""The couch's firmware: takes commands, moves the axes, and stops by itself when anybody it depends on goes silent.

Safety is here and not in the host: heartbeat, client counter and enable token are watched while the couch moves; the
first of them to expire stops the couch (SS1, a controlled stop on the path) and is latched until the host clears it.
After a stop or a new session motion needs the enabling switch to be pressed anew. Nothing resumes by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import structlog

from isoalign.geometry.motion_profile import (
    NORMAL_LIMITS,
    SERVICE_LIMITS,
    plan_synchronised,
)
from isoalign.protocol import DeviceIdentity, EnableTokenWatch, Message
from isoalign.protocol.host_session import random_u32
from isoalign.protocol.messages import (
    COUCH_HEARTBEAT_EXPIRY_US,
    COUCH_STATE_PERIOD_US,
    TOKEN_EXPIRY_US,
    BarPosition,
    Capability,
    Clear,
    CommandReason,
    CommandStatus,
    CouchMode,
    CouchState,
    DeviceKind,
    EnableToken,
    Hello,
    Latch,
    Move,
    SpeedClass,
    Stop,
)
from isoalign.protocol.watchdog import next_counter
from isoalign.simulators.couch_faults import FaultySession, FirmwareFaults, played_identity
from isoalign.simulators.couch_motion import FollowingWatch, Motion, beyond_travel, scaled
from isoalign.simulators.couch_physics import AXIS_COUNT, CouchBody
from isoalign.simulators.couch_report import MICRO, axis_info, objection, state_of

_log = structlog.get_logger("isoalign.simulators.couch")

TRAVEL = ((-250.0, 250.0), (0.0, 1500.0), (-500.0, 100.0), (-5.0, 5.0), (-5.0, 5.0), (-95.0, 95.0))
"""Lower and upper end of travel, mm and degrees, IEC 61217."""
AXIS_INFO_PERIOD_S = 0.1
HOST_QUIET_S = 0.09
SETTLED = np.array([0.005, 0.005, 0.005, 0.0005, 0.0005, 0.0005])
SETTLED_SPEED = np.array([0.05, 0.05, 0.05, 0.005, 0.005, 0.005])
_USER_STOPS = frozenset({Latch.STOP_COMMAND, Latch.ENABLE_LOST})


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
    faults : FirmwareFaults, optional
        What it does wrong; nothing by default.
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
        faults: FirmwareFaults | None = None,
    ) -> None:
        self.body = body
        self.faults = FirmwareFaults() if faults is None else faults
        self.travel = tuple(travel)
        self.latch = Latch.NONE
        self.referenced = True
        self.token = EnableTokenWatch(TOKEN_EXPIRY_US * 1e-6)
        self._identity = identity or DeviceIdentity(
            kind=DeviceKind.COUCH,
            capabilities=Capability.MOTION | Capability.SECONDARY_ENCODERS,
            serial_number=serial_number,
            heartbeat_expiry_us=COUCH_HEARTBEAT_EXPIRY_US,
            state_period_us=COUCH_STATE_PERIOD_US,
        )
        self._speed_scale = speed_scale
        self._kept = bytearray()
        self.session = FaultySession(
            played_identity(self._identity, self.faults), self.faults, boot_s=now_s, make_session=make_session
        )
        self._limits = {
            SpeedClass.SERVICE: scaled(SERVICE_LIMITS, speed_scale),
            SpeedClass.NORMAL: scaled(NORMAL_LIMITS, speed_scale),
        }
        self._motion: Motion | None = None
        self._at_rest_since_s: float | None = now_s
        self._following = FollowingWatch()
        self._state: CouchState | None = None
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
        data = bytes(self._kept) + self.session.take_output()
        self._kept.clear()
        return data

    def rebooted(self, now_s: float) -> CouchFirmware:
        """The same firmware on the same body after its power had failed: brakes closed, all else forgotten."""
        self.body.engage_brakes()
        return CouchFirmware(
            self.body,
            now_s=now_s,
            travel=self.travel,
            speed_scale=self._speed_scale,
            identity=self._identity,
            faults=self.faults,
        )

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
        motion.begin_stop(now_s)
        if not motion.command_is_over:
            motion.command_is_over = True
            self._report(
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
        """Axes that do not follow end the motion; one that does not stop, or leaves its travel, loses its torque."""
        motion, body = self._motion, self.body
        beyond = None if self.faults.limit_switch_fails else beyond_travel(body.drive, body.velocity, self.travel)
        if motion is not None and beyond is not None:
            self._following.axis = beyond
            self._torque_off(now_s)
        elif motion is not None and self._following.is_leaving(motion, body.drive, body.velocity, now_s):
            self._torque_off(now_s)
        elif (
            motion is not None
            and not self.faults.following_watch_off
            and self._following.has_lost(motion, body.measured(), now_s)
            and motion.stop is None
        ):
            self._trip(Latch.FOLLOWING_ERROR, now_s, only_in_motion=True)

    def _torque_off(self, now_s: float) -> None:
        """STO: the drives are without torque and the brakes close at once, whatever the path."""
        self._trip(Latch.FOLLOWING_ERROR, now_s, only_in_motion=True)
        _log.error("couch.torque-off", axis=self._following.axis)
        self.body.engage_brakes()
        self._motion = None
        self._at_rest_since_s = now_s

    def _finish(self, now_s: float) -> None:
        """End a motion that has arrived or come to rest; engage the brakes a while later."""
        motion = self._motion
        slow = bool((np.abs(self.body.velocity) < SETTLED_SPEED).all())
        if motion is not None and now_s >= motion.ends_s() and slow:
            near = bool((np.abs(motion.set_point(now_s) - self.body.measured()) < SETTLED).all())
            if near or motion.stop is not None:
                self._motion = None
                self._at_rest_since_s = now_s
                if not motion.command_is_over:
                    self._report(motion.command_id, CommandStatus.DONE, now_s)
            elif now_s > motion.ends_s() + 1.0 and not self.faults.following_watch_off:
                self._trip(Latch.FOLLOWING_ERROR, now_s, only_in_motion=True)
        if (
            self._motion is None
            and not self.body.brakes_engaged
            and self._at_rest_since_s is not None
            and now_s - self._at_rest_since_s >= self.body.parameters.brake_engage_s
        ):
            self.body.engage_brakes()

    def _move(self, command: Move, now_s: float) -> None:
        reason, detail = objection(self, command, now_s)
        if reason is not CommandReason.NONE:
            self._report(command.command_id, CommandStatus.REJECTED, now_s, reason=reason, detail=detail)
            return
        if self.faults.ack_without_motion:
            for status in (CommandStatus.ACCEPTED, CommandStatus.STARTED, CommandStatus.DONE):
                self._report(command.command_id, status, now_s)
            return
        if self.faults.reject_and_move:
            self._report(command.command_id, CommandStatus.REJECTED, now_s, reason=CommandReason.BUSY)
        limits = [limit.at_speed(command.speed_permille / 1000) for limit in self._limits[command.speed_class]]
        target = np.array(command.target_micro, dtype=np.float64) / MICRO
        self._following.begin()
        begins_s = now_s + (self.body.parameters.brake_release_s if self.body.brakes_engaged else 0.0)
        # the set point begins where the drives are now, never where an earlier motion was to end
        profile = plan_synchronised(self.body.measured(), target, limits)
        self._motion = Motion(profile, begins_s, command.command_id)
        self._at_rest_since_s = None
        self.body.release_brakes()
        if not self.faults.reject_and_move:
            self._report(command.command_id, CommandStatus.ACCEPTED, now_s)
            self._report(command.command_id, CommandStatus.STARTED, now_s)

    def _report(
        self,
        command_id: int,
        status: CommandStatus,
        now_s: float,
        *,
        reason: CommandReason = CommandReason.NONE,
        detail: int = 0,
    ) -> None:
        if not self.faults.motion_without_ack:
            self.session.report(command_id, status, now_s, reason=reason, detail=detail)

    def _clear(self, command: Clear, now_s: float) -> None:
        reason = CommandReason.NONE
        if self.latch is Latch.NONE:
            reason = CommandReason.NOTHING_TO_CLEAR
        elif command.latch is not self.latch:
            reason = CommandReason.WRONG_LATCH
        elif not self.is_standing or self.faults.clear_refused:
            reason = CommandReason.STILL_MOVING
        if reason is not CommandReason.NONE:
            detail = int(self.latch)
            self._report(command.command_id, CommandStatus.REJECTED, now_s, reason=reason, detail=detail)
            return
        _log.info("couch.cleared", latch=self.latch.name)
        self.latch = Latch.NONE
        self._following.begin()
        self.token.require_new_press()
        self._report(command.command_id, CommandStatus.DONE, now_s)

    def _tell(self, now_s: float) -> None:
        if not self.session.is_open:
            return
        for _ in range(self.faults.seq_per_step):  # numbers that are used up and never arrive
            before = self.session.take_output()
            self._tell_axis(0, now_s)
            self.session.take_output()
            self._kept += before
        if now_s >= self._next_axis_info_s:
            self._next_axis_info_s = now_s + AXIS_INFO_PERIOD_S
            self._tell_axis(self._axis_told, now_s)
            self._axis_told = (self._axis_told + 1) % AXIS_COUNT
        if now_s >= self._next_state_s:
            period_s = COUCH_STATE_PERIOD_US * 1e-6
            self._next_state_s = max(self._next_state_s + period_s, now_s + period_s / 4)
            if not self.faults.count_frozen:
                self._state_count = next_counter(self._state_count)
            if self._state is None or not self.faults.frame_frozen:
                self._state = self.state(now_s)
            self.session.send(self._state, now_s)

    def state(self, now_s: float) -> CouchState:
        """The state that goes out."""
        target = self.body.measured() if self._motion is None else self._motion.profile.target
        return state_of(
            self, now_s, state_count=self._state_count, following_error_axis=self._following.axis, target=target
        )

    def _tell_axis(self, axis: int, now_s: float) -> None:
        limits = self._limits[SpeedClass.NORMAL][axis]
        self.session.send(axis_info(axis, self.travel[axis], limits, self.body.parameters), now_s)
