"""The couch simulator process: firmware and body on a pseudo-terminal, truth on a connection of its own."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
from typing import Any

import structlog

from isoalign.clock import Clock, SystemClock
from isoalign.protocol.messages import Latch
from isoalign.simulators.couch_faults import (
    AXIS_FAULTS,
    BODY_FAULTS,
    ENDED_BY_RESTART,
    FAULTS,
    FIRMWARE_FAULTS,
    RESTARTING,
    axis_of,
    parameters_of,
)
from isoalign.simulators.couch_firmware import CouchFirmware
from isoalign.simulators.couch_physics import AXIS_COUNT, CouchBody, CouchPhysicsParameters
from isoalign.simulators.errors import InvalidTruthRequest
from isoalign.simulators.load_compensation import ElasticModel, LoadCell, LoadCompensation, run_load_test
from isoalign.simulators.motion_times import MotionTimes
from isoalign.simulators.process import (
    Ending,
    Request,
    address_of,
    come_first,
    configure_log,
    say_ready,
    serve_json_lines,
)
from isoalign.simulators.serial_line import PseudoTerminal

_log = structlog.get_logger("isoalign.simulators.couch")

TICK_S = 0.01
DEFAULT_START = (0.0, 500.0, -150.0, 0.0, 0.0, 0.0)
DEFAULT_BAUD = 921_600
REBOOT_S = 0.3
PAYLOAD_MAX_KG = 150.0


class CouchSimulator:
    """The couch with its line and its truth connection; see :mod:`~isoalign.simulators.couch_faults` for its faults."""

    def __init__(self, firmware: CouchFirmware, line: PseudoTerminal, clock: Clock) -> None:
        self.firmware = firmware
        self.line = line
        self.times = MotionTimes()
        self._clock = clock
        self._silent: set[str] = set()
        self._active: set[str] = set()
        self._boots_s = float("-inf")

    def run_once(self) -> None:
        """Take what has arrived, let the time pass, send what is due."""
        now_s = self._clock.monotonic_s()
        data = self.line.read()
        if now_s < self._boots_s:
            self.firmware.body.advance(now_s, None)
            return
        if "link_drop" not in self._silent:
            self.firmware.receive(data, now_s)
        self.times.heard(self.firmware, now_s)
        self.firmware.step(now_s)
        self.times.passed(self.firmware, now_s)
        output = self.firmware.take_output()
        self.line.write(b"" if self._silent else output, now_s)

    async def run(self) -> None:
        """Tick for ever."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self.line.master, self.run_once)
        next_s = loop.time()
        try:
            while True:
                self.run_once()
                next_s = max(next_s + TICK_S, loop.time())
                await asyncio.sleep(next_s - loop.time())
        finally:
            loop.remove_reader(self.line.master)

    def answer(self, request: Request) -> Request:
        """One request on the truth connection."""
        action = request["do"]
        if action == "truth":
            self.run_once()
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
            "payload_kg": firmware.body.payload_kg,
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
    parser.add_argument("--payload-kg", type=float, default=0.0, help="what lies on the table")
    parser.add_argument("--sag-mm", type=float, default=0.0, help="sag at 150 kg and full extension; usual is 2")
    parser.add_argument("--sag-pitch-deg", type=float, default=0.0, help="tilt there; usual is 0.1")
    parser.add_argument(
        "--load-compensation",
        action="store_true",
        help="the controller allows for the sag: by a load cell and what a load test has told it",
    )
    parser.add_argument("--speed-scale", type=float, default=1.0, help="makes the couch quicker, for tests")


async def _main(options: argparse.Namespace) -> None:
    end = Ending(stay=options.stay)
    clock = SystemClock()
    now_s = clock.monotonic_s()
    parameters = CouchPhysicsParameters(sag_mm=options.sag_mm, sag_pitch_deg=options.sag_pitch_deg)
    body = CouchBody(options.start, seed=options.seed, now_s=now_s, parameters=parameters)
    body.payload_kg = options.payload_kg
    compensation = None
    if options.load_compensation:
        model = ElasticModel.fitted(run_load_test(parameters, options.seed))
        compensation = LoadCompensation(model, LoadCell(options.seed))
    firmware = CouchFirmware(body, now_s=now_s, speed_scale=options.speed_scale, compensation=compensation)
    line = PseudoTerminal(options.baud)
    simulator = CouchSimulator(firmware, line, clock)
    truth = await serve_json_lines(simulator.answer)
    running = asyncio.create_task(simulator.run(), name="couch")
    facts: dict[str, Any] = {
        "kind": "couch",
        "serial": line.path,
        "baud": options.baud,
        "truth": address_of(truth),
    }
    say_ready(**facts)
    ending = asyncio.create_task(end.wait(), name="end")
    try:
        await asyncio.wait({running, ending}, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()
    finally:
        for task in (running, ending):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        truth.close()
        line.close()


def main(options: argparse.Namespace) -> None:
    """Run until told to end."""
    configure_log("couch")
    come_first()
    asyncio.run(_main(options))
