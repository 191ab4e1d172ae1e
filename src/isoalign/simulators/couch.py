"""The couch simulator process: firmware and body on a pseudo-terminal or TCP, truth on a connection of its own."""

from __future__ import annotations

import argparse

import structlog

from isoalign.clock import Clock
from isoalign.protocol.messages import Latch
from isoalign.simulators.couch_faults import (
    AXIS_FAULTS,
    BODY_FAULTS,
    ENDED_BY_RESTART,
    FAULTS,
    FIRMWARE_FAULTS,
    RESTARTING,
    SENSOR_FAULTS,
    axis_of,
    parameters_of,
)
from isoalign.simulators.couch_firmware import CouchFirmware
from isoalign.simulators.couch_physics import AXIS_COUNT, CouchBody, CouchPhysicsParameters
from isoalign.simulators.errors import InvalidTruthRequest
from isoalign.simulators.load_compensation import ElasticModel, LoadCell, LoadCompensation, run_load_test
from isoalign.simulators.lockstep import clock_of_the_loop
from isoalign.simulators.motion_times import MotionTimes
from isoalign.simulators.process import Request, Simulation, run
from isoalign.simulators.serial_line import PseudoTerminal, SerialDevice
from isoalign.simulators.support_axis import SupportAxisErrors
from isoalign.simulators.tcp_device import TcpDevice

_log = structlog.get_logger("isoalign.simulators.couch")

DEFAULT_START = (0.0, 500.0, -150.0, 0.0, 0.0, 0.0)
DEFAULT_BAUD = 921_600
REBOOT_S = 0.3
PAYLOAD_MAX_KG = 150.0


class CouchSimulator:
    """The couch with its truth connection; see :mod:`~isoalign.simulators.couch_faults` for its faults."""

    def __init__(self, firmware: CouchFirmware, clock: Clock) -> None:
        self.firmware = firmware
        self.times = MotionTimes()
        self._clock = clock
        self._silent: set[str] = set()
        self._active: set[str] = set()
        self._boots_s = float("-inf")

    def receive(self, data: bytes, now_s: float) -> None:
        """Take received bytes; a firmware that boots hears nothing."""
        if now_s >= self._boots_s and "link_drop" not in self._silent:
            self.firmware.receive(data, now_s)

    def step(self, now_s: float) -> None:
        """Let time pass; a body without firmware is a body all the same."""
        if now_s < self._boots_s:
            self.firmware.body.advance(now_s, None)
        else:
            self.times.heard(self.firmware, now_s)
            self.firmware.step(now_s)
            self.times.passed(self.firmware, now_s)

    def take_output(self) -> bytes:
        """The bytes to be sent."""
        output = self.firmware.take_output()
        return b"" if self._silent else output

    def connection_lost(self, now_s: float) -> None:
        """The host went away, on a line that knows."""
        if now_s >= self._boots_s:
            self.firmware.connection_lost(now_s)

    def answer(self, request: Request) -> Request:
        """One request on the truth connection."""
        action = request["do"]
        if action == "truth":
            return self.truth()
        if action == "fault":
            self._begin(request)
        elif action == "clear":
            self._end(request)
        elif action == "payload":
            self._load(request)
        else:
            raise InvalidTruthRequest(f"unknown request {action!r}; known are truth, fault, clear and payload")
        _log.info("couch.fault", action=action, fault=request.get("name"))
        return {"ok": True}

    def truth(self) -> Request:
        """The true state: ``position`` is that of the table top under its load, mm and degrees, IEC 61217."""
        firmware = self.firmware
        now_s = self._clock.monotonic_s()
        return {
            "position": [float(value) for value in firmware.body.true_position()],
            "velocity": [float(value) for value in firmware.body.velocity],
            "standstill": firmware.is_standing,
            "brakes_engaged": firmware.body.brakes_engaged,
            "mode": firmware.mode(now_s).name,
            "stop_cause": None if firmware.latch is Latch.NONE else firmware.latch.name,
            "payload_kg": firmware.body.load_kg,
            "torque_on": not firmware.body.brakes_engaged,
            "drive_temperature_c": [float(celsius) for celsius in firmware.body.sensors.temperature_c],
            "faults": sorted(self._active),
            "times": self.times.as_truth(),
            "t_s": now_s,
        }

    def _begin(self, request: Request) -> None:
        name = request.get("name")
        values = parameters_of(name, request)
        name = str(name)
        if name in AXIS_FAULTS:
            AXIS_FAULTS[name].begin(self.firmware.body, axis_of(request), values)
        else:
            self._play(name, values, active=True)
        if name != "reboot":
            self._active.add(name)

    def _end(self, request: Request) -> None:
        """End one fault (of one axis, or of all), or every fault when none is named."""
        name = request.get("name")
        if name is not None and name not in FAULTS:
            parameters_of(name, {})  # says what it can
        for one in sorted(self._active) if name is None else [str(name)]:
            if one in AXIS_FAULTS:
                for axis in [axis_of(request)] if "axis" in request else range(AXIS_COUNT):
                    AXIS_FAULTS[one].end(self.firmware.body, axis)
            else:
                self._play(one, {}, active=False)
            self._active.discard(one)

    def _play(self, name: str, values: dict[str, float], *, active: bool) -> None:
        faults = self.firmware.faults
        if name in {"freeze", "link_drop"}:
            self._silent.add(name) if active else self._silent.discard(name)
        elif name == "lose_reference":
            self.firmware.referenced = not active
        elif name == "time_jump":
            faults.clock_jump_s = values["seconds"] if active else 0.0
        elif name == "seq_jump":
            faults.seq_per_step = round(values["count"]) if active else 0
        elif name == "touch":
            self.firmware.body.sensors.touch_force_n = values.get("force_n", 0.0)
        elif name == "payload_shift":
            self.firmware.body.payload_shift_kg = values.get("kg", 0.0)
        elif name in SENSOR_FAULTS:
            setattr(self.firmware.body.sensors, name, active)
        elif name in BODY_FAULTS:
            setattr(self.firmware.body, name, active)
        elif name in FIRMWARE_FAULTS:
            setattr(faults, name, active)
        if name in RESTARTING if active else name in ENDED_BY_RESTART:
            self._boots_s = self._clock.monotonic_s() + values.get("seconds", REBOOT_S)
            self.firmware = self.firmware.rebooted(self._boots_s)

    def _load(self, request: Request) -> None:
        payload_kg = float(request["kg"])
        if not 0.0 <= payload_kg <= PAYLOAD_MAX_KG:
            raise InvalidTruthRequest(f"the payload lies between 0 and {PAYLOAD_MAX_KG:g} kg, not {payload_kg:g}")
        self.firmware.body.payload_kg = payload_kg


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command-line arguments of this simulator."""
    parser.add_argument("--seed", type=int, default=0, help="of encoder noise and scale errors")
    parser.add_argument(
        "--start",
        type=float,
        nargs=6,
        default=DEFAULT_START,
        metavar=("LAT", "LNG", "VRT", "PITCH", "ROLL", "PSA"),
        help="where the couch stands, mm and degrees, IEC 61217",
    )
    parser.add_argument("--baud", type=int, default=DEFAULT_BAUD)
    parser.add_argument("--tcp", action="store_true", help="on a TCP port instead of a serial line")
    parser.add_argument("--payload-kg", type=float, default=0.0, help="what lies on the table")
    parser.add_argument("--sag-mm", type=float, default=0.0, help="sag at 150 kg and full extension; usual is 2")
    parser.add_argument("--sag-pitch-deg", type=float, default=0.0, help="tilt there; usual is 0.1")
    parser.add_argument(
        "--axis-offset-mm", type=float, nargs=2, default=(0.0, 0.0), metavar=("X", "Y"), help="where its axis truly is"
    )
    parser.add_argument(
        "--axis-lean-deg", type=float, nargs=2, default=(0.0, 0.0), metavar=("X", "Y"), help="how far its axis leans"
    )
    parser.add_argument("--axis-walk-mm", type=float, default=0.0, help="radius on which its axis goes around twice")
    parser.add_argument(
        "--load-compensation",
        action="store_true",
        help="the controller allows for the sag: by a load cell and what a load test has told it",
    )
    parser.add_argument("--speed-scale", type=float, default=1.0, help="makes the couch quicker, for tests")


async def start(options: argparse.Namespace) -> Simulation:
    """Start it on the running loop."""
    clock = clock_of_the_loop()
    now_s = clock.monotonic_s()
    axis = SupportAxisErrors(tuple(options.axis_offset_mm), tuple(options.axis_lean_deg), options.axis_walk_mm)
    parameters = CouchPhysicsParameters(sag_mm=options.sag_mm, sag_pitch_deg=options.sag_pitch_deg, axis=axis)
    body = CouchBody(options.start, seed=options.seed, now_s=now_s, parameters=parameters)
    body.payload_kg = options.payload_kg
    compensation = None
    if options.load_compensation:
        model = ElasticModel.fitted(run_load_test(parameters, options.seed))
        compensation = LoadCompensation(model, LoadCell(options.seed))
    firmware = CouchFirmware(body, now_s=now_s, speed_scale=options.speed_scale, compensation=compensation)
    simulator = CouchSimulator(firmware, clock)
    line = TcpDevice(simulator, clock) if options.tcp else SerialDevice(simulator, PseudoTerminal(options.baud), clock)
    await line.start()

    def answer(request: Request) -> Request:
        line.run_once()
        return simulator.answer(request)

    return Simulation({"kind": "couch", **line.address}, answer, line.close)


def main(options: argparse.Namespace) -> int:
    """Run until told to end; returns the exit code."""
    return run("couch", start, options)
