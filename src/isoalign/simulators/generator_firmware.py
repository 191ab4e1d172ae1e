"""The generator's firmware: prepares the tube, exposes, measures, keeps count of the heat."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from isoalign.protocol import DeviceIdentity, DeviceSession, Message, next_counter
from isoalign.protocol.messages import (
    GENERATOR_HEARTBEAT_EXPIRY_US,
    GENERATOR_ROOM_PERIOD_US,
    GENERATOR_STATE_PERIOD_US,
    READY_HOLD_US,
    AbortExposure,
    Capability,
    CommandReason,
    CommandStatus,
    DeviceKind,
    Expose,
    ExposureOutcome,
    ExposureResult,
    GeneratorFault,
    GeneratorPhase,
    GeneratorRoom,
    GeneratorState,
    Hello,
    Prepare,
    RoomDoor,
)


@dataclass(frozen=True, slots=True)
class GeneratorParameters:
    """Parameters of the simulated tube.

    Attributes
    ----------
    boost_min_s, boost_max_s : float
        Time from PREPARE to ready.
    no_ready_timeout_s : float
        The generator gives up to prepare after this time.
    exposure_latency_s : float
        Time from EXPOSE to X-rays.
    voltage_error, current_error, time_error : float
        Standard deviation of the measured values, parts of 1.
    anode_capacity_j : float
        Heat that the anode can store.
    cooling_time_s : float
        Time constant of cooling.
    technique_tolerance : float
        Voltage and current that are further from what was asked for make an exposure a failed one, parts of 1.
    ambient_c, housing_rise_c : float
        Temperature of the room, and how much warmer the housing is while the anode stores all the heat that it can.
    """

    boost_min_s: float = 0.8
    boost_max_s: float = 1.2
    no_ready_timeout_s: float = 3.0
    exposure_latency_s: float = 0.005
    voltage_error: float = 0.004
    current_error: float = 0.008
    time_error: float = 0.005
    anode_capacity_j: float = 220_000.0
    cooling_time_s: float = 180.0
    technique_tolerance: float = 0.1
    ambient_c: float = 25.0
    housing_rise_c: float = 35.0


@dataclass(frozen=True, slots=True)
class MeasuredExposure:
    """What the generator measured of one exposure."""

    exposure_id: int
    outcome: ExposureOutcome
    tube_voltage_v: int
    tube_current_ua: int
    exposure_time_us: int
    started_us: int


class GeneratorFirmware:
    """One generator with its tube.

    Parameters
    ----------
    now_s : float
        The time at which the device boots.
    seed : int
        Of boost times and measurement errors.
    on_xrays : callable
        Called with the exposure id when X-rays begin.
    on_xrays_over : callable
        Called with what was measured when they end.

    Attributes
    ----------
    faults : set of str
        ``silent``, ``no_ready``, ``expose_fails``, ``expose_hangs`` (X-rays do not end by themselves),
        ``technique_unwatched`` (it does not notice a wrong voltage or current).
    voltage_factor, current_factor : float
        Of what the tube gives to what was asked for, a fault when not 1.
    door_is_open : bool
        The door of the X-ray room.
    door_opens_at : float or None
        Somebody opens it when this part of an exposure is over.
    """

    def __init__(
        self,
        *,
        now_s: float,
        seed: int = 0,
        serial_number: str = "SIM-GENERATOR",
        parameters: GeneratorParameters = GeneratorParameters(),
        on_xrays: Callable[[int, float], None] = lambda _exposure_id, _now_s: None,
        on_xrays_over: Callable[[MeasuredExposure, float], None] = lambda _measured, _now_s: None,
    ) -> None:
        self.session = DeviceSession(
            DeviceIdentity(
                kind=DeviceKind.GENERATOR,
                capabilities=Capability.XRAY,
                serial_number=serial_number,
                heartbeat_expiry_us=GENERATOR_HEARTBEAT_EXPIRY_US,
                state_period_us=GENERATOR_STATE_PERIOD_US,
            ),
            boot_s=now_s,
        )
        self.faults: set[str] = set()
        self.voltage_factor = self.current_factor = 1.0
        self.door_is_open = False
        self.door_opens_at: float | None = None
        self.phase = GeneratorPhase.IDLE
        self.fault = GeneratorFault.NONE
        self._door_told = False
        self._room_count = 0
        self._next_room_s = now_s
        self._parameters = parameters
        self._random = np.random.default_rng([seed, 0x6E])
        self._on_xrays = on_xrays
        self._on_xrays_over = on_xrays_over
        self._prepared: Prepare | None = None
        self._expose_command = 0
        self._phase_ends_s = math.inf
        self._started_s = now_s
        self._heat_j = 0.0
        self._heat_s = now_s
        self._state_count = 0
        self._next_state_s = now_s

    @property
    def exposure_id(self) -> int:
        """Exposure that was prepared last; 0 before the first."""
        return self._prepared.exposure_id if self._prepared else 0

    def receive(self, data: bytes, now_s: float) -> None:
        """Take received bytes."""
        if "silent" in self.faults:
            return
        for message in self.session.feed(data, now_s):
            self._act(message, now_s)

    def step(self, now_s: float) -> None:
        """Let time pass."""
        if self.session.poll(now_s) is not None:
            self._abort(now_s)
        self._watch_door(now_s)
        self._advance(now_s)
        if now_s >= self._next_room_s:
            self._tell_room(now_s)
        if now_s >= self._next_state_s:
            self._next_state_s = now_s + GENERATOR_STATE_PERIOD_US * 1e-6
            self._state_count = next_counter(self._state_count)
            self.session.send(self._state(now_s), now_s)

    def take_output(self) -> bytes:
        """The bytes to be sent."""
        data = self.session.take_output()
        return b"" if "silent" in self.faults else data

    def connection_lost(self, now_s: float) -> None:
        """The host went away: X-rays off."""
        self.session.connection_lost()
        self._abort(now_s)

    def heat_permille(self, now_s: float) -> int:
        """Stored heat as a part of what the anode can take, 1/1000."""
        self._heat_j *= math.exp(-(now_s - self._heat_s) / self._parameters.cooling_time_s)
        self._heat_s = now_s
        return min(2000, round(1000 * self._heat_j / self._parameters.anode_capacity_j))

    def heat_to(self, part: float, now_s: float) -> None:
        """Heat the anode to a part of what it can take."""
        self._heat_j, self._heat_s = part * self._parameters.anode_capacity_j, now_s

    def _act(self, message: Message, now_s: float) -> None:
        if isinstance(message, Hello):
            self._abort(now_s)
            self._next_state_s = self._next_room_s = now_s
        elif isinstance(message, AbortExposure):
            self._abort(now_s)
        elif isinstance(message, Prepare):
            self._prepare(message, now_s)
        elif isinstance(message, Expose):
            self._expose(message, now_s)

    def _prepare(self, command: Prepare, now_s: float) -> None:
        heat = self.heat_permille(now_s) + 1000 * _heat_j(command) / self._parameters.anode_capacity_j
        reason, detail = CommandReason.NONE, 0
        if self.phase in {GeneratorPhase.PREPARING, GeneratorPhase.EXPOSING}:
            reason = CommandReason.BUSY
        elif heat > 1000:
            reason = CommandReason.TUBE_HOT
        elif self.door_is_open:
            reason, detail = CommandReason.DEVICE_FAULT, int(GeneratorFault.DOOR_OPEN)
        if reason is not CommandReason.NONE:
            self.session.report(command.command_id, CommandStatus.REJECTED, now_s, reason=reason, detail=detail)
            return
        self._prepared = command
        self.fault = GeneratorFault.NONE
        self.phase = GeneratorPhase.PREPARING
        boost_s = float(self._random.uniform(self._parameters.boost_min_s, self._parameters.boost_max_s))
        self._phase_ends_s = now_s + (self._parameters.no_ready_timeout_s if "no_ready" in self.faults else boost_s)
        self.session.report(command.command_id, CommandStatus.ACCEPTED, now_s)
        self.session.report(command.command_id, CommandStatus.STARTED, now_s)

    def _expose(self, command: Expose, now_s: float) -> None:
        reason = CommandReason.NONE
        if self.phase is not GeneratorPhase.READY:
            reason = CommandReason.WRONG_PHASE
        elif command.exposure_id != self.exposure_id:
            reason = CommandReason.WRONG_EXPOSURE
        if reason is not CommandReason.NONE:
            self.session.report(command.command_id, CommandStatus.REJECTED, now_s, reason=reason)
            return
        self._expose_command = command.command_id
        self.session.report(command.command_id, CommandStatus.ACCEPTED, now_s)
        self.session.report(command.command_id, CommandStatus.STARTED, now_s)
        self.phase = GeneratorPhase.EXPOSING
        self._started_s = now_s + self._parameters.exposure_latency_s
        if "expose_fails" in self.faults:
            self.fault = GeneratorFault.EXPOSURE_FAILED
            self._end_exposure(ExposureOutcome.FAILED, 0.0, now_s)
            return
        assert self._prepared is not None
        hangs = "expose_hangs" in self.faults
        self._phase_ends_s = math.inf if hangs else self._started_s + self._prepared.exposure_time_us * 1e-6
        self._on_xrays(command.exposure_id, now_s)

    def _watch_door(self, now_s: float) -> None:
        """An open door switches X-rays off, whatever the host does; the host is told of the door before that."""
        prepared = self._prepared
        if self.door_opens_at is not None and self.phase is GeneratorPhase.EXPOSING and prepared is not None:
            over = (now_s - self._started_s) / (prepared.exposure_time_us * 1e-6)
            self.door_is_open = self.door_is_open or over >= self.door_opens_at
        if self.door_is_open != self._door_told:
            self._tell_room(now_s)
        if not self.door_is_open or self.phase is GeneratorPhase.IDLE or prepared is None:
            return
        self.fault = GeneratorFault.DOOR_OPEN
        if self.phase is GeneratorPhase.EXPOSING:
            part = (now_s - self._started_s) / (prepared.exposure_time_us * 1e-6)
            self._end_exposure(ExposureOutcome.FAILED, min(1.0, max(0.0, part)), now_s)
            return
        if self.phase is GeneratorPhase.PREPARING:
            self._report_fault(prepared.command_id, now_s)
        self.phase = GeneratorPhase.IDLE
        self._phase_ends_s = math.inf

    def _report_fault(self, command_id: int, now_s: float) -> None:
        self.session.report(
            command_id, CommandStatus.ABORTED, now_s, reason=CommandReason.DEVICE_FAULT, detail=int(self.fault)
        )

    def _tell_room(self, now_s: float) -> None:
        self._next_room_s = now_s + GENERATOR_ROOM_PERIOD_US * 1e-6
        self._room_count = next_counter(self._room_count)
        self._door_told = self.door_is_open
        housing_c = self._parameters.ambient_c + self._parameters.housing_rise_c * self.heat_permille(now_s) / 1000
        self.session.send(
            GeneratorRoom(
                device_time_us=self.session.device_time_us(now_s),
                state_count=self._room_count,
                door=RoomDoor.OPEN if self.door_is_open else RoomDoor.CLOSED,
                housing_temperature_mdeg_c=round(housing_c * 1000),
            ),
            now_s,
        )

    def _advance(self, now_s: float) -> None:
        if now_s < self._phase_ends_s:
            return
        self._phase_ends_s = math.inf
        if self.phase is GeneratorPhase.PREPARING and self._prepared is not None:
            if "no_ready" in self.faults:
                self.phase = GeneratorPhase.IDLE
                self.fault = GeneratorFault.NO_READY
                self._report_fault(self._prepared.command_id, now_s)
                return
            self.phase = GeneratorPhase.READY
            self._phase_ends_s = now_s + READY_HOLD_US * 1e-6
            self.session.report(self._prepared.command_id, CommandStatus.DONE, now_s)
        elif self.phase is GeneratorPhase.READY:
            self.phase = GeneratorPhase.IDLE
        elif self.phase is GeneratorPhase.EXPOSING:
            off = max(abs(self.voltage_factor - 1), abs(self.current_factor - 1))
            if off > self._parameters.technique_tolerance and "technique_unwatched" not in self.faults:
                self.fault = GeneratorFault.EXPOSURE_FAILED
                self._end_exposure(ExposureOutcome.FAILED, 1.0, now_s)
            else:
                self._end_exposure(ExposureOutcome.COMPLETE, 1.0, now_s)

    def _abort(self, now_s: float) -> None:
        """X-rays off, back to idle."""
        if self.phase is GeneratorPhase.EXPOSING and self._prepared is not None:
            part = (now_s - self._started_s) / (self._prepared.exposure_time_us * 1e-6)
            self._end_exposure(ExposureOutcome.ABORTED, min(1.0, max(0.0, part)), now_s)
        elif self.phase is GeneratorPhase.PREPARING and self._prepared is not None:
            self.session.report(
                self._prepared.command_id, CommandStatus.ABORTED, now_s, reason=CommandReason.ABORT_COMMAND
            )
        self.phase = GeneratorPhase.IDLE
        self._phase_ends_s = math.inf

    def _end_exposure(self, outcome: ExposureOutcome, part: float, now_s: float) -> None:
        prepared = self._prepared
        assert prepared is not None
        self.heat_permille(now_s)
        self._heat_j += part * _heat_j(prepared)
        self.phase = GeneratorPhase.IDLE
        self._phase_ends_s = math.inf
        errors = self._random.normal(0.0, 1.0, 3)
        on = 1 if part > 0 else 0
        voltage_v = on * prepared.tube_voltage_v * self.voltage_factor
        current_ua = on * prepared.tube_current_ua * self.current_factor
        measured = MeasuredExposure(
            exposure_id=prepared.exposure_id,
            outcome=outcome,
            tube_voltage_v=round(voltage_v * (1 + errors[0] * self._parameters.voltage_error)),
            tube_current_ua=round(current_ua * (1 + errors[1] * self._parameters.current_error)),
            exposure_time_us=round(prepared.exposure_time_us * part * (1 + errors[2] * self._parameters.time_error)),
            started_us=self.session.device_time_us(self._started_s),
        )
        self.session.send(
            ExposureResult(
                exposure_id=measured.exposure_id,
                outcome=measured.outcome,
                tube_voltage_v=measured.tube_voltage_v,
                tube_current_ua=measured.tube_current_ua,
                exposure_time_us=measured.exposure_time_us,
                started_us=measured.started_us,
            ),
            now_s,
        )
        if outcome is ExposureOutcome.COMPLETE:
            self.session.report(self._expose_command, CommandStatus.DONE, now_s)
        else:
            failed = outcome is ExposureOutcome.FAILED
            self.session.report(
                self._expose_command,
                CommandStatus.ABORTED,
                now_s,
                reason=CommandReason.DEVICE_FAULT if failed else CommandReason.ABORT_COMMAND,
                detail=int(self.fault) if failed else 0,
            )
        self._on_xrays_over(measured, now_s)

    def _state(self, now_s: float) -> GeneratorState:
        return GeneratorState(
            device_time_us=self.session.device_time_us(now_s),
            state_count=self._state_count,
            phase=self.phase,
            fault=self.fault,
            exposure_id=self.exposure_id,
            anode_heat_permille=self.heat_permille(now_s),
            last_command_id=self.session.commands.last_id,
            last_command_status=self.session.commands.last_status,
        )


def _heat_j(command: Prepare) -> float:
    """Energy of an exposure: kV times mA times s."""
    return command.tube_voltage_v * command.tube_current_ua * 1e-6 * command.exposure_time_us * 1e-6
