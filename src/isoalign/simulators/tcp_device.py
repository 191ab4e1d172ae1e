"""A firmware on a TCP port: one host at a time, a tick every 10 ms."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, Protocol

from isoalign.clock import Clock
from isoalign.simulators.process import LOCAL_HOST, address_of

TICK_S = 0.01
_UNSENT_MAX_BYTES = 65536


class Firmware(Protocol):
    """What a firmware offers to its line."""

    def receive(self, data: bytes, now_s: float) -> None:
        """Take received bytes."""

    def step(self, now_s: float) -> None:
        """Let time pass."""

    def take_output(self) -> bytes:
        """The bytes to be sent."""

    def connection_lost(self, now_s: float) -> None:
        """The host went away."""


async def tick(run_once: Callable[[], None]) -> None:
    """Run a device for ever, every 10 ms; what was missed while this computer paused is not made up for."""
    loop = asyncio.get_running_loop()
    next_s = loop.time()
    while True:
        run_once()
        next_s = max(next_s + TICK_S, loop.time())
        await asyncio.sleep(next_s - loop.time())


class TcpDevice:
    """Carries a firmware's bytes over TCP. A new host displaces the one before.

    Parameters
    ----------
    firmware : Firmware
    clock : Clock

    Attributes
    ----------
    address : dict
        Host and port, once started.
    """

    def __init__(self, firmware: Firmware, clock: Clock) -> None:
        self._firmware = firmware
        self._clock = clock
        self._server: asyncio.Server | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._ticking: asyncio.Task[None] | None = None
        self.address: dict[str, Any] = {}

    async def start(self) -> None:
        """Listen on a free local port and begin to tick."""
        self._server = await asyncio.start_server(self._serve, LOCAL_HOST, 0)
        self.address = address_of(self._server)
        self._ticking = asyncio.create_task(tick(self.run_once), name="firmware")

    async def close(self) -> None:
        """Stop ticking and listening, drop the host."""
        if self._ticking is not None:
            self._ticking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._ticking
        if self._server is not None:
            self._server.close()
        if self._writer is not None:
            self._writer.close()

    def run_once(self) -> None:
        """Let time pass until now and send what is due."""
        self._firmware.step(self._clock.monotonic_s())
        data = self._firmware.take_output()
        writer = self._writer
        if not data or writer is None or writer.is_closing():
            return
        if writer.transport.get_write_buffer_size() > _UNSENT_MAX_BYTES:
            writer.transport.abort()  # the host does not read: better no line than an old one
            return
        writer.write(data)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._writer is not None:
            self._writer.close()
            self._firmware.connection_lost(self._clock.monotonic_s())
        self._writer = writer
        try:
            while data := await reader.read(4096):
                if self._writer is not writer:
                    return
                self._firmware.receive(data, self._clock.monotonic_s())
                self.run_once()
        except (ConnectionError, asyncio.CancelledError):
            pass  # the host went away, or the device is being switched off
        finally:
            writer.close()
            if self._writer is writer:
                self._writer = None
                self._firmware.connection_lost(self._clock.monotonic_s())
