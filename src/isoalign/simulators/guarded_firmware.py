"""What every firmware that moves something shares: it stops by itself when anybody it depends on goes silent.

Heartbeat, client counter and enable token are watched while something moves; the first of them to expire stops it (SS1,
a controlled stop on the path) and is latched until the host clears it. After a stop or a new session motion needs the
enabling switch to be pressed anew. Nothing resumes by itself.
"""

from __future__ import annotations

import abc
from collections.abc import Sequence
from enum import IntEnum, IntFlag
from typing import Generic, TypeVar

import numpy as np
import structlog

from isoalign.protocol import DeviceSession, EnableTokenWatch, Message
from isoalign.protocol.messages import TOKEN_EXPIRY_US, BarPosition, CommandReason, CommandStatus
from isoalign.simulators.servo_body import Array, ServoBody
from isoalign.simulators.servo_motion import FollowingWatch, Motion, MotionTolerances, beyond_travel

HOST_QUIET_S = 0.09
_USER_STOPS = frozenset({"STOP_COMMAND", "ENABLE_LOST", "ENABLE_CIRCUIT"})
_AGE_MAX_S = 4000

L = TypeVar("L", bound=IntEnum)
M = TypeVar("M", bound=IntEnum)
F = TypeVar("F", bound=IntFlag)


class GuardedFirmware(abc.ABC, Generic[L, M]):
    """A firmware with driven axes: bytes in, bytes out, time as an argument.

    Parameters
    ----------
    name : str
        For the log.
    body : ServoBody
    session : DeviceSession
    now_s : float
        The time at which the device boots.
    travel : sequence of (float, float)
        Ends of travel per axis.
    tolerances : MotionTolerances
    latches, modes : enumerations
        What stopped the device, and the state of its drives; members are found by the names of CiA 402 and of the
        interface document.
    """

    body: ServoBody
    session: DeviceSession

    def __init__(
        self,
        name: str,
        body: ServoBody,
        session: DeviceSession,
        *,
        now_s: float,
        travel: Sequence[tuple[float, float]],
        tolerances: MotionTolerances,
        latches: type[L],
        modes: type[M],
    ) -> None:
        self.body = body
        self.session = session
        self.travel = tuple(travel)
        self.latch: L = latches["NONE"]
        self.referenced = True
        self.token = EnableTokenWatch(TOKEN_EXPIRY_US * 1e-6)
        self._latches = latches
        self._modes = modes
        self._tolerances = tolerances
        self._following = FollowingWatch(tolerances)
        self._motion: Motion | None = None
        self._at_rest_since_s: float | None = now_s
        self._name = name
        self._log = structlog.get_logger(f"isoalign.simulators.{name}")

    @property
    def is_moving(self) -> bool:
        """Whether a motion or its stop is under way."""
        return self._motion is not None

    @property
    def stop_begins_s(self) -> float | None:
        """When the stop under way began; None when nothing stops."""
        return None if self._motion is None or self._motion.stop is None else self._motion.stop_begins_s

    @property
    def settled_speed(self) -> Array:
        """Slower axes stand."""
        return self._tolerances.settled_speed

    @property
    def is_standing(self) -> bool:
        """Whether nothing moves."""
        return self._motion is None and bool((np.abs(self.body.velocity) < self._tolerances.settled_speed).all())

    @property
    def is_latched(self) -> bool:
        """Whether a stop is latched."""
        return self.latch is not self._latches["NONE"]

    def mode(self, now_s: float) -> M:
        """State of the drives by CiA 402."""
        if self.latch.name in _USER_STOPS:
            name = "QUICK_STOP_ACTIVE"
        elif self.is_latched:
            name = "FAULT_REACTION_ACTIVE" if self.is_moving else "FAULT"
        elif self.is_moving:
            name = "OPERATION_ENABLED"
        elif not self.session.is_open:
            name = "SWITCH_ON_DISABLED"
        else:
            name = "SWITCHED_ON" if self.token.is_enabled(now_s) else "READY_TO_SWITCH_ON"
        return self._modes[name]

    def conditions(self, flags: type[F], now_s: float) -> F:
        """What holds now, as the flags of this device."""
        status = 0
        for name, holds in (
            ("STANDSTILL", self.is_standing),
            ("BRAKES_ENGAGED", self.body.brakes_engaged),
            ("REFERENCED", self.referenced),
            ("HOST_FRESH", self.session.is_open and self.session.host.is_fresh(now_s)),
            ("CLIENT_FRESH", self.session.client.is_fresh(now_s)),
            ("TOKEN_FRESH", self.token.is_fresh(now_s)),
            ("PRESS_VALID", self.token.press_is_new),
        ):
            if holds:
                status |= flags[name].value
        return flags(status)

    def token_age_us(self, now_s: float) -> int | None:
        """Time since the enable token advanced; None when that is long ago or never was."""
        age_s = self.token.age_s(now_s)
        return round(age_s * 1e6) if age_s < _AGE_MAX_S else None

    def enabling_objection(self, now_s: float) -> CommandReason:
        """What is missing of the signs of life that motion needs; NONE when nothing is."""
        if not self.session.client.is_fresh(now_s):
            return CommandReason.CLIENT_NOT_FRESH
        if not self.token.is_fresh(now_s):
            return CommandReason.NOT_ENABLED
        return CommandReason.NONE if self.token.press_is_new else CommandReason.NEW_PRESS_NEEDED

    def receive(self, data: bytes, now_s: float) -> None:
        """Take received bytes."""
        for message in self.session.feed(data, now_s):
            self._act(message, now_s)

    def step(self, now_s: float) -> None:
        """Let time pass: watch, move, tell. To be called every 10 ms or so, after :meth:`receive`."""
        if self.session.poll(now_s) is not None:
            self._log.warning(f"{self._name}.host-lost", moving=self.is_moving)
            self._trip(self._latches["HOST_LOST"], now_s, only_in_motion=True)
            self.token.forget()
        self._watch(now_s)
        self._advance(now_s)
        self._watch_following(now_s)
        self._finish(now_s)
        self._tell(now_s)

    def connection_lost(self, now_s: float) -> None:
        """The line has gone (a link that knows): the same as a lost host."""
        if self.session.is_open:
            self.session.connection_lost()
            self._trip(self._latches["HOST_LOST"], now_s, only_in_motion=True)
            self.token.forget()

    def take_output(self) -> bytes:
        """The bytes to be sent."""
        return self.session.take_output()

    @abc.abstractmethod
    def _act(self, message: Message, now_s: float) -> None:
        """Carry out one received message."""

    @abc.abstractmethod
    def _tell(self, now_s: float) -> None:
        """Send what is due."""

    @property
    def _is_driven(self) -> bool:
        """Whether something moves by command, and has not begun to stop."""
        return self._motion is not None and self._motion.stop is None

    @property
    def _following_is_watched(self) -> bool:
        return True

    @property
    def _travel_is_watched(self) -> bool:
        return True

    @property
    def _clear_is_refused(self) -> bool:
        return False

    def encoder_fault(self) -> L | None:
        """What is wrong with the encoders now."""
        return self._latches["ENCODER_INVALID"] if self.body.primary_invalid else None

    def _advance(self, now_s: float) -> None:
        self.body.advance(now_s, self._motion.set_point if self._motion else None)

    def _arrived(self, motion: Motion, now_s: float) -> None:
        """A motion has come to its end by itself."""
        self._report(motion.command_id, CommandStatus.DONE, now_s)

    def _greeted(self, now_s: float) -> None:
        """A new session has begun."""
        self._trip(self._latches["SESSION_REPLACED"], now_s, only_in_motion=True)
        self.token.forget()

    def _begin(self, motion: Motion) -> None:
        """Set off."""
        self._following.begin()
        self._motion = motion
        self._at_rest_since_s = None
        self.body.release_brakes()

    def _begins_s(self, now_s: float) -> float:
        """When a motion can begin at the earliest."""
        return now_s + (self.body.servo.brake_release_s if self.body.brakes_engaged else 0.0)

    def _trip(self, latch: L, now_s: float, *, only_in_motion: bool) -> None:
        """Stop and latch; the first cause stays."""
        if only_in_motion and not self.is_moving:
            return
        self.token.require_new_press()
        if not self.is_latched:
            self.latch = latch
            self._log.warning(f"{self._name}.stopped", latch=latch.name, moving=self.is_moving)
        self._stop(now_s)

    def _stop(self, now_s: float) -> None:
        """Begin to stop whatever moves, and say that its command is over."""
        motion = self._motion
        if motion is None:
            return
        motion.begin_stop(now_s)
        if not motion.command_is_over:
            motion.command_is_over = True
            self._abort(motion.command_id, now_s)

    def _abort(self, command_id: int, now_s: float) -> None:
        reason = CommandReason.STOPPED
        self._report(command_id, CommandStatus.ABORTED, now_s, reason=reason, detail=int(self.latch))

    def _watch(self, now_s: float) -> None:
        if not self._is_driven:
            return
        if not self.token.is_fresh(now_s):
            # a token that stopped although the switch is held, together with the heartbeat, means a dead host
            held = self.token.bar is BarPosition.ENABLED
            host_quiet = self.session.host.age_s(now_s) >= HOST_QUIET_S
            lost = self._latches["HOST_LOST" if held and host_quiet else "ENABLE_LOST"]
            self._trip(lost, now_s, only_in_motion=True)
        elif not self.session.client.is_fresh(now_s):
            self._trip(self._latches["CLIENT_LOST"], now_s, only_in_motion=True)
        elif (fault := self.encoder_fault()) is not None:
            self._trip(fault, now_s, only_in_motion=True)

    def _watch_following(self, now_s: float) -> None:
        """Axes that do not follow end the motion; one that does not stop, or leaves its travel, loses its torque."""
        motion, body = self._motion, self.body
        if motion is None:
            return
        beyond = None
        if self._travel_is_watched:
            beyond = beyond_travel(body.drive, body.velocity, self.travel, self._tolerances.switch_slack)
        if beyond is not None:
            self._following.axis = beyond
            self._torque_off(self._latches["FOLLOWING_ERROR"], now_s)
        elif self._following.is_leaving(motion, body.drive, body.velocity, now_s):
            self._torque_off(self._latches["FOLLOWING_ERROR"], now_s)
        elif (
            self._following_is_watched
            and self._following.has_lost(motion, body.measured(), now_s)
            and motion.stop is None
        ):
            self._trip(self._latches["FOLLOWING_ERROR"], now_s, only_in_motion=True)

    def _torque_off(self, latch: L, now_s: float) -> None:
        """STO: the drives are without torque and the brakes close at once, whatever the path."""
        self._trip(latch, now_s, only_in_motion=False)
        self._log.error(f"{self._name}.torque-off", latch=latch.name, axis=self._following.axis)
        self.body.engage_brakes()
        self._motion = None
        self._at_rest_since_s = now_s

    def _finish(self, now_s: float) -> None:
        """End a motion that has arrived or come to rest; engage the brakes a while later."""
        motion = self._motion
        slow = bool((np.abs(self.body.velocity) < self._tolerances.settled_speed).all())
        if motion is not None and now_s >= motion.ends_s() and slow:
            error = np.abs(motion.set_point(now_s) - self.body.measured())
            if motion.stop is not None or bool((error < self._tolerances.settled).all()):
                self._motion = None
                self._at_rest_since_s = now_s
                if not motion.command_is_over:
                    self._arrived(motion, now_s)
            elif now_s > motion.ends_s() + 1.0 and self._following_is_watched:
                self._trip(self._latches["FOLLOWING_ERROR"], now_s, only_in_motion=True)
        if (
            self._motion is None
            and not self.body.brakes_engaged
            and self._at_rest_since_s is not None
            and now_s - self._at_rest_since_s >= self.body.servo.brake_engage_s
        ):
            self.body.engage_brakes()

    def _report(
        self,
        command_id: int,
        status: CommandStatus,
        now_s: float,
        *,
        reason: CommandReason = CommandReason.NONE,
        detail: int = 0,
    ) -> None:
        self.session.report(command_id, status, now_s, reason=reason, detail=detail)

    def _reject(self, command_id: int, reason: CommandReason, detail: int, now_s: float) -> None:
        self._report(command_id, CommandStatus.REJECTED, now_s, reason=reason, detail=detail)

    def _clear(self, command_id: int, latch: L, now_s: float) -> None:
        """Clear the latch that the command names, when everything stands."""
        reason = CommandReason.NONE
        if not self.is_latched:
            reason = CommandReason.NOTHING_TO_CLEAR
        elif latch is not self.latch:
            reason = CommandReason.WRONG_LATCH
        elif not self.is_standing or self._clear_is_refused:
            reason = CommandReason.STILL_MOVING
        if reason is not CommandReason.NONE:
            self._reject(command_id, reason, int(self.latch), now_s)
            return
        self._log.info(f"{self._name}.cleared", latch=self.latch.name)
        self.latch = self._latches["NONE"]
        self._following.begin()
        self.token.require_new_press()
        self._report(command_id, CommandStatus.DONE, now_s)
