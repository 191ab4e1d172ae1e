"""The couch's firmware: takes commands, moves the axes, and stops by itself when anybody it depends on goes silent.

Safety is here and not in the host; what stops a motion is in :mod:`~isoalign.simulators.guarded_firmware`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from isoalign.geometry.motion_profile import (
    FAST_LIMITS,
    NORMAL_LIMITS,
    SERVICE_LIMITS,
    plan_synchronised,
)
from isoalign.protocol import DeviceIdentity, Message
from isoalign.protocol.host_session import random_u32
from isoalign.protocol.messages import (
    COUCH_HEARTBEAT_EXPIRY_US,
    COUCH_SAFETY_PERIOD_US,
    COUCH_STATE_PERIOD_US,
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
from isoalign.simulators.couch_physics import AXIS_COUNT, CouchBody
from isoalign.simulators.couch_report import MICRO, axis_info, objection, state_of
from isoalign.simulators.guarded_firmware import GuardedFirmware
from isoalign.simulators.load_compensation import LoadCompensation
from isoalign.simulators.servo_body import Array
from isoalign.simulators.servo_motion import Motion, MotionTolerances, scaled

TRAVEL = ((-250.0, 250.0), (0.0, 1500.0), (-500.0, 100.0), (-5.0, 5.0), (-5.0, 5.0), (-95.0, 95.0))
"""Lower and upper end of travel, mm and degrees, IEC 61217."""
AXIS_INFO_PERIOD_S = 0.1
DRIVE_TEMPERATURE_MAX_C = 90.0
"""A drive that is hotter stops its motion; the host refuses one before that."""
TOLERANCES = MotionTolerances(
    settled=np.array([0.005, 0.005, 0.005, 0.0005, 0.0005, 0.0005]),
    settled_speed=np.array([0.05, 0.05, 0.05, 0.005, 0.005, 0.005]),
    following=np.array([1.0, 1.0, 1.0, 0.3, 0.3, 0.3]),
    leaving_speed=np.array([2.0, 2.0, 2.0, 0.2, 0.2, 0.2]),
    switch_slack=np.array([0.2, 0.2, 0.2, 0.02, 0.02, 0.02]),
)


class CouchFirmware(GuardedFirmware[Latch, CouchMode]):
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
    compensation : LoadCompensation, optional
        With it every position that the couch takes and tells is that of the loaded table top; without it, that of the
        drives.
    """

    body: CouchBody

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
        compensation: LoadCompensation | None = None,
    ) -> None:
        self.faults = FirmwareFaults() if faults is None else faults
        self._identity = identity or DeviceIdentity(
            kind=DeviceKind.COUCH,
            capabilities=Capability.MOTION | Capability.SECONDARY_ENCODERS,
            serial_number=serial_number,
            heartbeat_expiry_us=COUCH_HEARTBEAT_EXPIRY_US,
            state_period_us=COUCH_STATE_PERIOD_US,
        )
        self.compensation = compensation
        self._speed_scale = speed_scale
        self._kept = bytearray()
        super().__init__(
            "couch",
            body,
            FaultySession(
                played_identity(self._identity, self.faults), self.faults, boot_s=now_s, make_session=make_session
            ),
            now_s=now_s,
            travel=travel,
            tolerances=TOLERANCES,
            latches=Latch,
            modes=CouchMode,
        )
        self._limits = {
            SpeedClass.SERVICE: scaled(SERVICE_LIMITS, speed_scale),
            SpeedClass.NORMAL: scaled(NORMAL_LIMITS, speed_scale),
            SpeedClass.FAST: scaled(FAST_LIMITS, speed_scale),
        }
        self._state: CouchState | None = None
        self._state_count = 0
        self._next_state_s = now_s
        self._next_axis_info_s = now_s
        self._axis_told = 0
        self._safety_count = 0
        self._next_safety_s = now_s
        self._contacts = body.sensors.contacts

    def take_output(self) -> bytes:
        """The bytes to be sent."""
        data = bytes(self._kept) + super().take_output()
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
            compensation=self.compensation,
        )

    def step(self, now_s: float) -> None:
        """See :class:`GuardedFirmware`."""
        if self.compensation is not None and self.is_standing:
            self.compensation.cell.read(self.body.payload_kg, now_s)
        super().step(now_s)

    def table_top(self, drives: Array) -> Array:
        """Where the table top is, as far as the firmware knows, when the drives are there."""
        return drives if self.compensation is None else self.compensation.table_top(drives)

    def drives(self, table_top: Array) -> Array:
        """Where the drives must be for a position of the table top."""
        return table_top if self.compensation is None else self.compensation.drives(table_top)

    def table_top_speed(self) -> Array:
        """How fast the table top moves by the primary encoders."""
        speed = self.body.seen_velocity()
        if self.compensation is None:
            return speed
        return self.compensation.table_top_speed(self.body.measured(), speed)

    def _act(self, message: Message, now_s: float) -> None:
        if isinstance(message, Stop):
            self._trip(Latch.STOP_COMMAND, now_s, only_in_motion=False)
        elif isinstance(message, Hello):
            self._greeted(now_s)
            for axis in range(AXIS_COUNT):
                self._tell_axis(axis, now_s)
            self._next_state_s = self._next_safety_s = now_s
        elif isinstance(message, EnableToken):
            self.token.feed(message.bar, message.press_count, message.token_counter, now_s)
        elif isinstance(message, Move):
            self._move(message, now_s)
        elif isinstance(message, Clear):
            self._clear(message.command_id, message.latch, now_s)

    @property
    def _following_is_watched(self) -> bool:
        return not self.faults.following_watch_off

    @property
    def _travel_is_watched(self) -> bool:
        return not self.faults.limit_switch_fails

    @property
    def _clear_is_refused(self) -> bool:
        return self.faults.clear_refused

    def standing_cause(self) -> Latch:
        """What does not let the couch move now, whatever it has latched; the latch that it would be, or is."""
        sensors = self.body.sensors
        if sensors.emergency_stop_open:
            return Latch.EMERGENCY_STOP
        if sensors.torque_contradiction:
            return Latch.TORQUE_FEEDBACK
        if sensors.is_touched:
            return Latch.TOUCH
        if sensors.temperature_c.max() > DRIVE_TEMPERATURE_MAX_C:
            return Latch.OVER_TEMPERATURE
        return Latch.NONE

    def _watch(self, now_s: float) -> None:
        """Circuits and sensors first: the host is told what changed before it is told what was latched by it."""
        sensors = self.body.sensors
        if sensors.contacts != self._contacts:
            self._contacts = sensors.contacts
            self._next_safety_s = now_s
            self._tell_safety(now_s)
        cause = self.standing_cause()
        if cause is Latch.TORQUE_FEEDBACK:
            if self.is_moving or not self.is_latched:
                self._torque_off(cause, now_s)
        elif cause in {Latch.EMERGENCY_STOP, Latch.TOUCH}:
            self._trip(cause, now_s, only_in_motion=False)
        elif self._is_driven and sensors.enable_circuit_open:
            self._trip(Latch.ENABLE_CIRCUIT, now_s, only_in_motion=True)
        elif cause is Latch.OVER_TEMPERATURE:
            self._trip(cause, now_s, only_in_motion=True)
        super()._watch(now_s)

    def _clear(self, command_id: int, latch: Latch, now_s: float) -> None:
        cause = self.standing_cause()
        if self.is_latched and cause is self.latch:
            self._reject(command_id, CommandReason.DEVICE_FAULT, int(cause), now_s)
            return
        super()._clear(command_id, latch, now_s)

    def _tell_safety(self, now_s: float) -> None:
        """The circuits and sensors; nothing outside a session."""
        if not self.session.is_open or now_s < self._next_safety_s:
            return
        period_s = COUCH_SAFETY_PERIOD_US * 1e-6
        self._next_safety_s = max(self._next_safety_s + period_s, now_s + period_s / 4)
        self._safety_count = next_counter(self._safety_count)
        body = self.body
        report = body.sensors.report(
            self.session.device_time_us(now_s),
            self._safety_count,
            torque_on=not body.brakes_engaged,
            load_kg=body.load_kg,
        )
        self.session.send(report, now_s)

    def _move(self, command: Move, now_s: float) -> None:
        reason, detail = objection(self, command, now_s)
        if reason is not CommandReason.NONE:
            self._reject(command.command_id, reason, detail, now_s)
            return
        if self.faults.ack_without_motion:
            for status in (CommandStatus.ACCEPTED, CommandStatus.STARTED, CommandStatus.DONE):
                self._report(command.command_id, status, now_s)
            return
        if self.faults.reject_and_move:
            self._reject(command.command_id, CommandReason.BUSY, 0, now_s)
        limits = [limit.at_speed(command.speed_permille / 1000) for limit in self._limits[command.speed_class]]
        target = np.array(command.target_micro, dtype=np.float64) / MICRO
        # the set point begins where the drives are now, never where an earlier motion was to end
        profile = plan_synchronised(self.table_top(self.body.measured()), target, limits)
        self._begin(Motion(profile, self._begins_s(now_s), command.command_id, drives=self.drives))
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
            super()._report(command_id, status, now_s, reason=reason, detail=detail)

    def _tell(self, now_s: float) -> None:
        if not self.session.is_open:
            return
        for _ in range(self.faults.seq_per_step):  # numbers that are used up and never arrive
            before = self.session.take_output()
            self._tell_axis(0, now_s)
            self.session.take_output()
            self._kept += before
        self._tell_safety(now_s)
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
        motion = self._motion
        target = self.table_top(self.body.measured()) if motion is None else motion.profile.target
        return state_of(
            self, now_s, state_count=self._state_count, following_error_axis=self._following.axis, target=target
        )

    def _tell_axis(self, axis: int, now_s: float) -> None:
        limits = self._limits[SpeedClass.NORMAL][axis]
        self.session.send(axis_info(axis, self.travel[axis], limits, self.body.parameters), now_s)
