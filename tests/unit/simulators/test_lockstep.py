"""Virtual time: waiting takes none, bytes and threads are waited for, nobody goes ahead of the leave that was given."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from isoalign.clock import SystemClock
from isoalign.simulators.lockstep import LockstepLoop, clock_of_the_loop
from isoalign.simulators.process import address_of, serve_json_lines


def run(act: Callable[[], Coroutine[Any, Any, Any]], leave_s: float | None = None) -> Any:
    factory = LockstepLoop if leave_s is None else lambda: LockstepLoop(leave_s)
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(act())


async def close(writer: asyncio.StreamWriter, server: asyncio.Server) -> None:
    """Both ends, and let the one that serves notice."""
    writer.close()
    await writer.wait_closed()
    server.close()
    for _ in range(5):
        await asyncio.sleep(0)


def test_an_hour_passes_at_once_and_in_order() -> None:
    heard: list[str] = []

    async def act() -> float:
        async def say(word: str, after_s: float) -> None:
            await asyncio.sleep(after_s)
            heard.append(word)

        await asyncio.gather(say("third", 3600.0), say("first", 0.001), say("second", 0.0011))
        return asyncio.get_running_loop().time()

    begun_s = time.monotonic()
    assert run(act) == pytest.approx(3600.0)
    assert time.monotonic() - begun_s < 5.0
    assert heard == ["first", "second", "third"]


def test_bytes_come_before_time_goes_on() -> None:
    async def act() -> list[float]:
        arrivals = []
        loop = asyncio.get_running_loop()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while await reader.read(100):
                arrivals.append(loop.time())
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        for _ in range(50):
            writer.write(b"x")
            await asyncio.sleep(1.0)
        await close(writer, server)
        return arrivals

    assert run(act) == pytest.approx([float(second) for second in range(50)], abs=1e-9)


def test_time_stands_still_while_a_thread_works() -> None:
    async def act() -> float:
        waiting = asyncio.create_task(asyncio.sleep(60.0))
        await asyncio.to_thread(time.sleep, 0.05)
        passed_s = asyncio.get_running_loop().time()
        waiting.cancel()
        return passed_s

    assert run(act) == 0.0


def test_clock_of_the_loop() -> None:
    async def act() -> tuple[float, float]:
        clock = clock_of_the_loop()
        before = clock.utc()
        await asyncio.sleep(5.0)
        return clock.monotonic_s(), (clock.utc() - before).total_seconds()

    assert run(act) == (pytest.approx(5.0), pytest.approx(5.0))


async def test_clock_of_an_ordinary_loop() -> None:
    assert isinstance(clock_of_the_loop(), SystemClock)


def test_time_does_not_go_beyond_the_leave_that_was_given() -> None:
    async def act() -> tuple[float, list[float]]:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, LockstepLoop)
        ticks: list[float] = []

        async def tick() -> None:
            while True:
                ticks.append(loop.time())
                await asyncio.sleep(0.01)

        ticking = asyncio.create_task(tick())
        left, right = socket.socketpair()
        left.setblocking(False)
        loop.call_soon(lambda: right.send(b"!"))  # the loop waits for input in real time, not for its timer
        await loop.sock_recv(left, 1)
        stood_s = loop.time()
        await loop.advance(0.055)
        ticking.cancel()
        left.close()
        right.close()
        return stood_s, ticks

    stood_s, ticks = run(act, 0.0)
    assert stood_s == 0.0
    assert ticks == pytest.approx([0.0, 0.01, 0.02, 0.03, 0.04, 0.05])


@pytest.mark.parametrize(
    ("seconds", "refused"), [(0.5, False), (0.0, True), (-1.0, True), (3601.0, True), (None, True)]
)
def test_advance_on_the_truth_connection(seconds: float | None, refused: bool) -> None:
    async def act() -> Any:
        server = await serve_json_lines(lambda _request: {})
        reader, writer = await asyncio.open_connection(*address_of(server).values())
        writer.write(json.dumps({"do": "advance", "seconds": seconds}).encode() + b"\n")
        answer = json.loads(await reader.readline())
        await close(writer, server)
        return answer

    answer = run(act, 0.0)
    if refused:
        assert answer["error"]["code"] == "simulators.invalid-request"
    else:
        assert answer == {"t_s": 0.5}


async def test_a_simulator_in_real_time_is_not_advanced() -> None:
    server = await serve_json_lines(lambda _request: {})
    reader, writer = await asyncio.open_connection(*address_of(server).values())
    writer.write(b'{"do": "advance", "seconds": 1.0}\n')
    answer = json.loads(await reader.readline())
    assert "--lockstep" in answer["error"]["message"]
    await close(writer, server)
