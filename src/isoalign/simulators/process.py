"""What every simulator process shares: the ready line, the end, the log, and the truth connection.

A simulator says ready with exactly one JSON line on stdout, logs to stderr, and ends on SIGTERM or, unless told to
stay, when its stdin reaches its end, so that none is left behind when its parent dies. In lockstep its time stands
still until ``{"do": "advance", "seconds": 0.01}`` comes on its truth connection; the answer says that it has passed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import structlog

from isoalign.errors import IsoalignError, error_to_wire
from isoalign.simulators.errors import InvalidTruthRequest
from isoalign.simulators.lockstep import ADVANCE_MAX_S, LockstepLoop

LOCAL_HOST = "127.0.0.1"
_LINE_MAX_BYTES = 65536
_NICENESS = -10
_REALTIME_PRIORITY = 5
Request = dict[str, Any]
Handler = Callable[[Request], Request | Awaitable[Request]]


@dataclass(frozen=True, slots=True)
class Simulation:
    """A simulator that runs on the present event loop.

    Attributes
    ----------
    facts : dict
        What the ready line says: its kind and where its lines are.
    answer : Handler
        Answers what comes on the connection for truth and faults.
    close : callable
        Ends it.
    door : str
        What the ready line calls the address of that connection.
    running : asyncio.Task, optional
        Ends only when something is wrong.
    """

    facts: Request
    answer: Handler
    close: Callable[[], Awaitable[None]]
    door: str = "truth"
    running: asyncio.Task[None] | None = None


Start = Callable[[Namespace], Awaitable[Simulation]]


def configure_log(name: str) -> None:
    """Structured JSON lines on stderr."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
    )
    structlog.contextvars.bind_contextvars(process=name)


def come_first(*, long_steps: bool = False) -> None:
    """Run when there is something to do, where the system allows it: a firmware has its processor to itself.

    Threads and children of this process go back to the usual scheduling. With ``long_steps``, for a firmware that
    computes for tens of milliseconds at a time, only the priority is raised: the kernel carries the bytes of
    pseudo-terminals with usual scheduling, and a few such firmwares in real time hold them up for longer than a couch
    waits for its host.
    """
    if not long_steps:
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(_REALTIME_PRIORITY))
            return
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, _NICENESS)


def run(name: str, start: Start, options: Namespace, *, long_steps: bool = False) -> int:
    """Run a simulator until it is told to end; returns the exit code.

    Parameters
    ----------
    name : str
        For the log.
    start : callable
        Starts it on the running loop.
    options : Namespace
        Those of :func:`add_arguments` and the simulator's own.
    long_steps : bool
        See :func:`come_first`.
    """
    configure_log(name)
    come_first(long_steps=long_steps)
    with asyncio.Runner(loop_factory=(lambda: LockstepLoop(0.0)) if options.lockstep else None) as runner:
        return runner.run(_run(start, options))


def add_arguments(parser: ArgumentParser) -> None:
    """The command-line arguments that every simulator has."""
    parser.add_argument("--stay", action="store_true", help="do not end when stdin ends")
    parser.add_argument(
        "--lockstep", action="store_true", help='time stands still until "advance" comes on the truth connection'
    )


async def _run(start: Start, options: Namespace) -> int:
    end = Ending(stay=options.stay)
    try:
        simulation = await start(options)
    except IsoalignError as error:
        structlog.get_logger().error("simulator.cannot-start", **error_to_wire(error))
        return 2
    server = await serve_json_lines(simulation.answer)
    say_ready(**simulation.facts, **{simulation.door: address_of(server)})
    ending = asyncio.create_task(end.wait(), name="end")
    try:
        await asyncio.wait({ending, *filter(None, [simulation.running])}, return_when=asyncio.FIRST_COMPLETED)
        if simulation.running is not None and simulation.running.done():
            simulation.running.result()
    finally:
        ending.cancel()
        server.close()
        with contextlib.suppress(asyncio.CancelledError):
            await simulation.close()
    return 0


def say_ready(**facts: Any) -> None:
    """The one line on stdout."""
    sys.stdout.write(json.dumps({"ready": True, **facts}) + "\n")
    sys.stdout.flush()


class Ending:
    """Tells when the process is to end: on SIGTERM or SIGINT, and at the end of stdin unless told to stay.

    Make one inside the event loop before saying ready, so that no signal comes too early.
    """

    def __init__(self, *, stay: bool) -> None:
        self._ended = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._watched: int | None = None
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._ended.set)
        if stay:
            return
        descriptor = sys.stdin.fileno()
        try:
            self._loop.add_reader(descriptor, self._on_input, descriptor)
            self._watched = descriptor
        except PermissionError:  # a plain file, which is always at its end for our purpose
            self._ended.set()

    async def wait(self) -> None:
        """Return when the process is to end."""
        try:
            await self._ended.wait()
        finally:
            self._unwatch()
            for number in (signal.SIGTERM, signal.SIGINT):
                self._loop.remove_signal_handler(number)

    def _on_input(self, descriptor: int) -> None:
        with contextlib.suppress(BlockingIOError):
            if not os.read(descriptor, 4096):
                self._unwatch()
                self._ended.set()

    def _unwatch(self) -> None:
        if self._watched is not None:
            self._loop.remove_reader(self._watched)
            self._watched = None


async def _answer(handler: Handler, line: bytes) -> Request:
    try:
        try:
            request = json.loads(line)
        except ValueError as error:
            raise InvalidTruthRequest(f"not a JSON line: {error}") from error
        if not isinstance(request, dict) or not isinstance(request.get("do"), str):
            raise InvalidTruthRequest('a request is an object with a text "do"')
        answer = _advance(request) if request["do"] == "advance" else handler(request)
        return answer if isinstance(answer, dict) else await answer
    except IsoalignError as error:
        return {"error": error_to_wire(error)}
    except (KeyError, TypeError, ValueError) as error:
        wrong = InvalidTruthRequest(f"request refused: {type(error).__name__}: {error}")
        return {"error": error_to_wire(wrong)}


async def _advance(request: Request) -> Request:
    loop = asyncio.get_running_loop()
    if not isinstance(loop, LockstepLoop):
        raise InvalidTruthRequest("this simulator runs in real time; start it with --lockstep to advance it")
    seconds = float(request["seconds"])
    if not 0.0 < seconds <= ADVANCE_MAX_S:
        raise InvalidTruthRequest(f"time advances by more than 0 and at most {ADVANCE_MAX_S:g} s, not {seconds:g}")
    await loop.advance(seconds)
    return {"t_s": loop.time()}


async def serve_json_lines(handler: Handler) -> asyncio.Server:
    """A server on a free local port that answers one JSON line with one JSON line."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                writer.write(json.dumps(await _answer(handler, line)).encode() + b"\n")
                await writer.drain()
        except (ConnectionError, ValueError, asyncio.CancelledError):
            pass  # the other side went away or sent a line without end, or the server is being closed
        finally:
            writer.close()

    return await asyncio.start_server(serve, LOCAL_HOST, 0, limit=_LINE_MAX_BYTES)


def address_of(server: asyncio.Server) -> dict[str, Any]:
    """Host and port that a server listens on, as the ready line says them."""
    host, port = server.sockets[0].getsockname()[:2]
    return {"host": host, "port": port}
