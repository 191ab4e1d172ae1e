"""The couch simulator process: firmware and body on a pseudo-terminal, truth on a connection of its own."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
from typing import Any

import structlog

from isoalign.clock import Clock, SystemClock
from isoalign.geometry import AXES
from isoalign.protocol.messages import Latch
from isoalign.simulators.couch_firmware import CouchFirmware
from isoalign.simulators.couch_physics import CouchBody
from isoalign.simulators.errors import InvalidTruthRequest, UnknownFault
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
FAULTS = ("freeze", "link_drop", "stuck_axis", "secondary_drift", "encoder_invalid", "lose_reference")


class CouchSimulator:
    """The couch with its line and its truth connection.

    Faults: ``freeze`` (says nothing more, but listens and moves), ``link_drop`` (the line is cut both ways),
    ``stuck_axis`` {axis}, ``secondary_drift`` {axis, rate_per_s}, ``encoder_invalid`` {axis}, ``lose_reference``.
    """

    def __init__(self, firmware: CouchFirmware, line: PseudoTerminal, clock: Clock) -> None:
        self.firmware = firmware
        self.line = line
        self._clock = clock
        self._silent: set[str] = set()

    def run_once(self) -> None:
        """Take what has arrived, let the time pass, send what is due."""
        now_s = self._clock.monotonic_s()
        data = self.line.read()
        if "link_drop" not in self._silent:
            self.firmware.receive(data, now_s)
        self.firmware.step(now_s)
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
            self._set_fault(request, active=True)
        elif action == "clear":
            self._set_fault(request, active=False)
        else:
            raise InvalidTruthRequest(f"unknown request {action!r}; known are truth, fault and clear")
        _log.info("couch.fault", action=action, fault=request.get("name"))
        return {"ok": True}

    def truth(self) -> Request:
        """The true state: ``position`` is that of the table top, mm and degrees, IEC 61217."""
        firmware = self.firmware
        now_s = self._clock.monotonic_s()
        return {
            "position": [float(value) for value in firmware.body.table],
            "velocity": [float(value) for value in firmware.body.velocity],
            "standstill": firmware.is_standing,
            "brakes_engaged": firmware.body.brakes_engaged,
            "mode": firmware.mode(now_s).name,
            "stop_cause": None if firmware.latch is Latch.NONE else firmware.latch.name,
            "t_s": now_s,
        }

    def _set_fault(self, request: Request, *, active: bool) -> None:
        name = request.get("name")
        body = self.firmware.body
        if name in {"freeze", "link_drop"}:
            self._silent.add(name) if active else self._silent.discard(name)
        elif name == "stuck_axis":
            _switch(body.stuck, _axis(request), active=active)
        elif name == "encoder_invalid":
            _switch(body.primary_invalid, _axis(request), active=active)
        elif name == "secondary_drift":
            axis = _axis(request)
            body.secondary_fault_rate[axis] = float(request["rate_per_s"]) if active else 0.0
            if not active:
                body.secondary_fault[axis] = 0.0
        elif name == "lose_reference":
            self.firmware.referenced = not active
        else:
            raise UnknownFault(f"the couch cannot play the fault {name!r}; it can: {', '.join(FAULTS)}")


def _axis(request: Request) -> int:
    given = request.get("axis")
    if isinstance(given, str) and given in AXES:
        return AXES.index(given)
    if isinstance(given, int) and 0 <= given < len(AXES):
        return given
    raise InvalidTruthRequest(f"axis {given!r}: a name ({', '.join(AXES)}) or an index 0 to 5")


def _switch(faults: set[int], axis: int, *, active: bool) -> None:
    if active:
        faults.add(axis)
    else:
        faults.discard(axis)


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
    parser.add_argument("--speed-scale", type=float, default=1.0, help="makes the couch quicker, for tests")


async def _main(options: argparse.Namespace) -> None:
    end = Ending(stay=options.stay)
    clock = SystemClock()
    now_s = clock.monotonic_s()
    body = CouchBody(options.start, seed=options.seed, now_s=now_s)
    firmware = CouchFirmware(body, now_s=now_s, speed_scale=options.speed_scale)
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
