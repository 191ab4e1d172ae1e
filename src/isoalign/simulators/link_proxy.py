"""The link-fault process: stands between a driver and a device simulator and spoils the line on command.

Both sides are innocent: they speak their real bytes over a real pseudo-terminal or TCP connection. The control
connection takes JSON lines:

``{"do": "fault", "name": "drop", "direction": "to_host", "p": 0.3}``
    Begin a fault; ``direction`` is ``to_device``, ``to_host`` or ``both`` (the default).
``{"do": "clear", "name": "drop"}``, ``{"do": "clear"}``
    End one fault, or all.
``{"do": "record"}``
    Keep the frames that passed lately as the tape for ``replay``.
``{"do": "truth"}``
    Active faults and what was counted.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
from typing import Any

import structlog

from isoalign.clock import Clock
from isoalign.simulators.errors import InvalidTruthRequest, UnknownFault
from isoalign.simulators.link_ends import Line, SerialLine, TcpLine
from isoalign.simulators.link_faults import LINE_FAULTS, LinkDirection
from isoalign.simulators.lockstep import clock_of_the_loop
from isoalign.simulators.process import Request, Simulation, run

_log = structlog.get_logger("isoalign.simulators.link")

DIRECTIONS = ("to_device", "to_host")
ACTS = ("replay", "reset")
STATES = ("half_open", "unplug", "reconnect_storm")
STORM_PERIOD_S = 0.3


class LinkProxy:
    """One spoiled line.

    Parameters
    ----------
    line : Line
        Both ends.
    clock : Clock
    seed : int
        Of everything that is drawn.
    """

    def __init__(self, line: Line, clock: Clock, *, seed: int) -> None:
        self.line = line
        self.directions = {name: LinkDirection(seed=seed, index=index) for index, name in enumerate(DIRECTIONS)}
        self._clock = clock
        self._states: set[str] = set()
        self._storm: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        line.attach(
            on_host=lambda data: self._pass(data, "to_device"),
            on_device=lambda data: self._pass(data, "to_host"),
            on_gone=self._forget,
        )

    async def close(self) -> None:
        """End everything."""
        await self._end_storm()
        if self._timer is not None:
            self._timer.cancel()
        await self.line.close()

    async def answer(self, request: Request) -> Request:
        """One request on the control connection."""
        action = request["do"]
        if action == "truth":
            return self.truth()
        if action == "record":
            return {"ok": True, "frames": {name: one.record() for name, one in self.directions.items()}}
        if action == "fault":
            answer = await self._fault(request)
        elif action == "clear":
            answer = await self._clear(request)
        else:
            raise InvalidTruthRequest(f"unknown request {action!r}; known are truth, fault, clear and record")
        _log.info("link.fault", action=action, fault=request.get("name"), direction=request.get("direction"))
        return answer

    def truth(self) -> Request:
        """Active faults, and counts per direction."""
        return {
            "connected": self.line.is_connected,
            "connections": self.line.connections,
            "states": sorted(self._states),
            "t_s": self._clock.monotonic_s(),
            **{
                name: {
                    "faults": one.faults,
                    "frames": one.frames,
                    "lost": one.lost,
                    "spoiled": one.spoiled,
                    "delivered_bytes": one.delivered_bytes,
                }
                for name, one in self.directions.items()
            },
        }

    async def _fault(self, request: Request) -> Request:
        name = request.get("name")
        parameters = {key: value for key, value in request.items() if key not in {"do", "name", "direction"}}
        if name in LINE_FAULTS:
            for direction in self._directions(request):
                direction.start(str(name), parameters)
            return {"ok": True}
        if name == "replay":
            _no_parameters(name, parameters)
            now_s = self._clock.monotonic_s()
            sent = sum(direction.replay(now_s) for direction in self._directions(request))
            self._deliver()
            return {"ok": True, "frames": sent}
        if name not in {*ACTS, *STATES} or not self.line.can(str(name)):
            can = [*LINE_FAULTS, "replay", *(one for one in ("reset", *STATES) if self.line.can(one))]
            raise UnknownFault(f"this line cannot play the fault {name!r}; it can: {', '.join(can)}")
        if "direction" in request:
            raise InvalidTruthRequest(f"{name} concerns the whole line: it has no direction")
        if name == "reconnect_storm":
            await self._begin_storm(parameters)
            return {"ok": True}
        _no_parameters(name, parameters)
        if name == "reset":
            self.line.reset()
        elif name == "unplug":
            self._states.add(name)
            self.line.unplug()
        elif name == "half_open":
            self._states.add(name)
        return {"ok": True}

    async def _clear(self, request: Request) -> Request:
        name = request.get("name")
        everything = [*LINE_FAULTS, *STATES]
        if name is not None and name not in everything:
            raise UnknownFault(f"there is no fault {name!r} that could be cleared; known: {', '.join(everything)}")
        for one in everything if name is None else [str(name)]:
            if one in LINE_FAULTS:
                for direction in self._directions(request):
                    direction.stop(one, self._clock.monotonic_s())
            elif one == "reconnect_storm":
                await self._end_storm()
            elif one in self._states:
                self._states.discard(one)
                if one == "unplug":
                    self.line.plug()
        self._deliver()
        return {"ok": True}

    def _directions(self, request: Request) -> list[LinkDirection]:
        name = request.get("direction", "both")
        if name == "both":
            return list(self.directions.values())
        if name not in self.directions:
            raise InvalidTruthRequest(f"direction {name!r}: {', '.join(DIRECTIONS)} or both")
        return [self.directions[name]]

    async def _begin_storm(self, parameters: dict[str, Any]) -> None:
        period_s = float(parameters.pop("period_s", STORM_PERIOD_S))
        _no_parameters("reconnect_storm", parameters)
        if not 0.01 <= period_s <= 60.0:
            raise InvalidTruthRequest(f"reconnect_storm: period_s must lie between 0.01 and 60, not {period_s:g}")
        await self._end_storm()
        self._states.add("reconnect_storm")
        self._storm = asyncio.create_task(self._play_storm(period_s), name="storm")

    async def _end_storm(self) -> None:
        if self._storm is None:
            return
        self._storm.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._storm
        self._storm = None
        self._states.discard("reconnect_storm")
        if "unplug" not in self._states:
            self.line.plug()

    async def _play_storm(self, period_s: float) -> None:
        """A loose contact: the line goes and comes back, again and again."""
        while True:
            self.line.unplug()
            await asyncio.sleep(period_s / 2)
            self.line.plug()
            await asyncio.sleep(period_s / 2)

    def _pass(self, data: bytes, name: str) -> None:
        if "half_open" in self._states:
            return
        self.directions[name].feed(data, self._clock.monotonic_s())
        self._deliver()

    def _deliver(self) -> None:
        now_s = self._clock.monotonic_s()
        for name, send in (("to_device", self.line.send_to_device), ("to_host", self.line.send_to_host)):
            data = self.directions[name].take(now_s)
            if data and "half_open" not in self._states:
                send(data)
        dues = [due for one in self.directions.values() if (due := one.next_due_s()) is not None]
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if dues:
            self._timer = asyncio.get_running_loop().call_later(max(0.0005, min(dues) - now_s), self._deliver)

    def _forget(self) -> None:
        for direction in self.directions.values():
            direction.forget()


def _no_parameters(name: object, parameters: dict[str, Any]) -> None:
    if parameters:
        raise InvalidTruthRequest(f"{name} has no parameter {', '.join(sorted(parameters))}")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command-line arguments of this process."""
    device = parser.add_mutually_exclusive_group(required=True)
    device.add_argument("--serial", help="pseudo-terminal of the device, e.g. that of the couch simulator")
    device.add_argument("--tcp", metavar="HOST:PORT", type=_tcp_address, help="TCP address of the device")
    parser.add_argument("--seed", type=int, default=0, help="of everything that is drawn")
    parser.add_argument("--name", default="link", help="for the log")


def _tcp_address(text: str) -> tuple[str, int]:
    host, separator, port = text.rpartition(":")
    if not separator or not port.isdigit():
        raise argparse.ArgumentTypeError(f"not HOST:PORT: {text!r}")
    return host, int(port)


async def start(options: argparse.Namespace) -> Simulation:
    """Start it on the running loop."""
    line: Line = SerialLine(options.serial) if options.serial else TcpLine(*options.tcp)
    await line.start()
    proxy = LinkProxy(line, clock_of_the_loop(), seed=options.seed)
    facts: Request = {"kind": "link", "name": options.name, **line.facts()}
    return Simulation(facts, proxy.answer, proxy.close, door="control")


def main(options: argparse.Namespace) -> int:
    """Run until told to end; returns the exit code."""
    return run(options.name, start, options)
