"""The gantry's firmware: rotates, moves the imager arm, triggers projections, and stops by itself.

Safety is here and not in the host; what stops a motion is in :mod:`~isoalign.simulators.guarded_firmware`, the same as
for the couch.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from isoalign.geometry.motion_profile import MotionLimits, plan_synchronised
from isoalign.protocol import DeviceIdentity, DeviceSession, Message
from isoalign.protocol.host_session import random_u32
from isoalign.protocol.messages import (
    GANTRY_ENCODER_DIFFERENCE_UDEG,
    GANTRY_HEARTBEAT_EXPIRY_US,
    GANTRY_STATE_PERIOD_US,
    Capability,
    CommandReason,
    CommandStatus,
    ConeBeamRotate,
    DeviceKind,
    GantryClear,
    GantryEnableToken,
    GantryLatch,
    GantryMode,
    GantryRotate,
    GantryState,
    GantryStop,
    Hello,
    ImagerArmEnd,
    ImagerArmMove,
    ImagerArmState,
)
from isoalign.protocol.watchdog import next_counter
from isoalign.simulators.gantry_physics import GantryBody
from isoalign.simulators.gantry_report import arm_objection, event_of, info_of, rotation_objection, state_of
from isoalign.simulators.gantry_scan import MICRO, ConeBeamScan, Trigger
from isoalign.simulators.guarded_firmware import GuardedFirmware
from isoalign.simulators.servo_body import Moment
from isoalign.simulators.servo_motion import Motion, MotionTolerances

TRAVEL_DEG = (-190.0, 190.0)
"""Ends of travel: once round and 10 degrees to spare at either end."""
LIMITS = MotionLimits(7.0, 14.0, 80.0)
"""So chosen that a stop from full speed, the lag of the drive included, takes less than 3 degrees (2.6). One that comes
while the gantry still accelerates has to end the acceleration first and takes up to 3.7; a plan announces the longest
way anywhere on its motion, with 20 ms until the stop is sent: 3.8."""
TOLERANCES = MotionTolerances(
    settled=np.array([0.002]),
    settled_speed=np.array([0.01]),
    following=np.array([0.3]),
    leaving_speed=np.array([0.2]),
    switch_slack=np.array([0.1]),
)
INFO_PERIOD_S = 1.0
ARM_LATE = 1.5
"""The imager arm has failed when it needs this many times its travel time."""
TRIGGERS_KEPT = 4096


@dataclass(frozen=True, slots=True)
class _ArmMotion:
    """The imager arm on its way."""

    end: ImagerArmEnd
    command_id: int
    late_s: float


class GantryFirmware(GuardedFirmware[GantryLatch, GantryMode]):
    """One gantry with its imager arm: bytes in, bytes out, time as an argument.

    Parameters
    ----------
    body : GantryBody
    now_s : float
        The time at which the device boots.
    travel_deg : (float, float)
        Ends of travel.
    serial_number : str
    make_session : callable, optional
        Source of session numbers, for tests.

    Attributes
    ----------
    scan_id, trigger_count : int
        The latest cone-beam rotation and its triggers so far.
    triggers : deque of Trigger
        Those of that rotation that were made, as they truly were; the latest 4096.
    """

    body: GantryBody

    def __init__(
        self,
        body: GantryBody,
        *,
        now_s: float,
        travel_deg: tuple[float, float] = TRAVEL_DEG,
        serial_number: str = "SIM-GANTRY",
        make_session: Callable[[], int] = random_u32,
    ) -> None:
        identity = DeviceIdentity(
            kind=DeviceKind.GANTRY,
            capabilities=Capability.MOTION | Capability.SECONDARY_ENCODERS,
            serial_number=serial_number,
            heartbeat_expiry_us=GANTRY_HEARTBEAT_EXPIRY_US,
            state_period_us=GANTRY_STATE_PERIOD_US,
        )
        super().__init__(
            "gantry",
            body,
            DeviceSession(identity, boot_s=now_s, make_session=make_session),
            now_s=now_s,
            travel=[travel_deg],
            tolerances=TOLERANCES,
            latches=GantryLatch,
            modes=GantryMode,
        )
        self.scan_id = 0
        self.trigger_count = 0
        self.triggers: deque[Trigger] = deque(maxlen=TRIGGERS_KEPT)
        self._scan: ConeBeamScan | None = None
        self._arm: _ArmMotion | None = None
        self._arm_seen = self.arm_state
        self._state_count = 0
        self._next_state_s = self._next_info_s = now_s

    @property
    def is_moving(self) -> bool:
        """Whether gantry or imager arm move, or come to a stop."""
        return super().is_moving or self._arm is not None

    @property
    def is_standing(self) -> bool:
        """Whether neither gantry nor imager arm moves."""
        return super().is_standing and self._arm is None

    @property
    def arm_state(self) -> ImagerArmState:
        """Where the imager arm is, as far as that is confirmed."""
        inner, outer = self.body.arm_switches
        if inner and outer:
            return ImagerArmState.UNKNOWN
        if self.body.arm_direction != 0:
            return ImagerArmState.MOVING
        if inner:
            return ImagerArmState.STOWED
        return ImagerArmState.EXTENDED if outer else ImagerArmState.UNKNOWN

    def encoder_fault(self) -> GantryLatch | None:
        """What is wrong with the encoders now: no value, or two that differ although their lag is known."""
        body = self.body
        secondary = body.secondary_deg()
        if body.primary_invalid or secondary is None:
            return GantryLatch.ENCODER_INVALID
        aligned = float(body.measured()[0]) - float(body.seen_velocity()[0]) * body.parameters.secondary_lag_s
        if abs(aligned - secondary) * MICRO > GANTRY_ENCODER_DIFFERENCE_UDEG:
            return GantryLatch.ENCODERS_DISAGREE
        return None

    @property
    def _is_driven(self) -> bool:
        return super()._is_driven or self._arm is not None

    def _act(self, message: Message, now_s: float) -> None:
        if isinstance(message, GantryStop):
            self._trip(GantryLatch.STOP_COMMAND, now_s, only_in_motion=False)
        elif isinstance(message, Hello):
            self._greeted(now_s)
            self._next_state_s = self._next_info_s = now_s
        elif isinstance(message, GantryEnableToken):
            self.token.feed(message.bar, message.press_count, message.token_counter, now_s)
        elif isinstance(message, GantryRotate):
            self._rotate(message, now_s)
        elif isinstance(message, ConeBeamRotate):
            self._begin_scan(message, now_s)
        elif isinstance(message, ImagerArmMove):
            self._move_arm(message, now_s)
        elif isinstance(message, GantryClear):
            self._clear(message.command_id, message.latch, now_s)

    def _rotate(self, command: GantryRotate, now_s: float) -> None:
        reason, detail = rotation_objection(self, command, None, now_s)
        if reason is not CommandReason.NONE:
            self._reject(command.command_id, reason, detail, now_s)
            return
        speed = min(1.0, command.speed_udeg_per_s / MICRO / LIMITS.speed)
        self._set_off(command.target_udeg / MICRO, LIMITS.at_speed(speed), command.command_id, now_s)
        self._report_begun(command.command_id, now_s)

    def _begin_scan(self, command: ConeBeamRotate, now_s: float) -> None:
        scan = ConeBeamScan(command, LIMITS)
        reason, detail = rotation_objection(self, command, scan, now_s)
        if reason is not CommandReason.NONE:
            self._reject(command.command_id, reason, detail, now_s)
            return
        self.scan_id, self.trigger_count = scan.scan_id, 0
        self.triggers.clear()
        self._scan = scan
        self._set_off(scan.run_up_deg, scan.limits, scan.command_id, now_s)
        self._report_begun(scan.command_id, now_s)

    def _move_arm(self, command: ImagerArmMove, now_s: float) -> None:
        reason, detail = arm_objection(self, now_s)
        if reason is not CommandReason.NONE:
            self._reject(command.command_id, reason, detail, now_s)
            return
        late_s = now_s + ARM_LATE * self.body.parameters.arm_travel_s
        self._arm = _ArmMotion(command.arm_end, command.command_id, late_s)
        self.body.arm_direction = 1 if command.arm_end is ImagerArmEnd.EXTENDED else -1
        self._report_begun(command.command_id, now_s)

    def _set_off(self, target_deg: float, limits: MotionLimits, command_id: int, now_s: float) -> None:
        # the set point begins where the drive is now, never where an earlier motion was to end
        profile = plan_synchronised(self.body.measured(), [target_deg], [limits])
        self._begin(Motion(profile, self._begins_s(now_s), command_id))

    def _report_begun(self, command_id: int, now_s: float) -> None:
        self._report(command_id, CommandStatus.ACCEPTED, now_s)
        self._report(command_id, CommandStatus.STARTED, now_s)

    def _advance(self, now_s: float) -> None:
        motion, scan, body = self._motion, self._scan, self.body

        def on_step(before: Moment, after: Moment) -> None:
            if scan is not None:
                scan.watch(body, before, after)

        body.advance(now_s, motion.set_point if motion else None, on_step if scan else None)
        body.advance_arm(now_s)
        if scan is not None:
            self.trigger_count = scan.count
            for trigger in scan.take():
                self.triggers.append(trigger)
                self.session.send(event_of(self, trigger), now_s)
        self._watch_arm(now_s)

    def _arrived(self, motion: Motion, now_s: float) -> None:
        scan = self._scan
        if scan is not None and not scan.is_running:
            scan.is_running = True
            self._set_off(scan.run_out_deg, scan.limits, scan.command_id, now_s)
            return
        self._scan = None
        super()._arrived(motion, now_s)

    def _stop(self, now_s: float) -> None:
        """Stop gantry and arm; a rotation that ends early triggers nothing more."""
        self._scan = None
        arm, self._arm = self._arm, None
        if arm is not None:
            self.body.arm_direction = 0
            self._abort(arm.command_id, now_s)
        super()._stop(now_s)

    def _watch_arm(self, now_s: float) -> None:
        """The arm arrives, is late, or leaves its end unasked."""
        arm = self._arm
        if arm is not None:
            inner, outer = self.body.arm_switches
            if outer if arm.end is ImagerArmEnd.EXTENDED else inner:
                self._arm = None
                self.body.arm_direction = 0
                self._report(arm.command_id, CommandStatus.DONE, now_s)
            elif now_s > arm.late_s:
                self._trip(GantryLatch.ARM_FAILED, now_s, only_in_motion=False)
        state = self.arm_state
        confirmed = {ImagerArmState.STOWED, ImagerArmState.EXTENDED}
        if self._arm is None and self._arm_seen in confirmed and state is ImagerArmState.UNKNOWN:
            self._trip(GantryLatch.ARM_FAILED, now_s, only_in_motion=False)
        self._arm_seen = state

    def _tell(self, now_s: float) -> None:
        if not self.session.is_open:
            return
        if now_s >= self._next_info_s:
            self._next_info_s = now_s + INFO_PERIOD_S
            self._tell_info(now_s)
        if now_s >= self._next_state_s:
            period_s = GANTRY_STATE_PERIOD_US * 1e-6
            self._next_state_s = max(self._next_state_s + period_s, now_s + period_s / 4)
            self._state_count = next_counter(self._state_count)
            self.session.send(self.state(now_s), now_s)

    def state(self, now_s: float) -> GantryState:
        """The state that goes out."""
        if self._scan is not None:
            target_deg = self._scan.run_out_deg
        elif self._motion is not None:
            target_deg = float(self._motion.profile.target[0])
        else:
            target_deg = float(self.body.measured()[0])
        return state_of(self, now_s, state_count=self._state_count, target_deg=target_deg)

    def _tell_info(self, now_s: float) -> None:
        self.session.send(info_of(self.travel[0], LIMITS, self.body.parameters), now_s)
