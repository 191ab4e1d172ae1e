"""The device's end of a pseudo-terminal, paced to a baud rate as a real line is, and a firmware on it."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import tty
from typing import Any

from isoalign.clock import Clock
from isoalign.simulators.tcp_device import Firmware, tick

BITS_PER_BYTE = 10
_BACKLOG_MAX_BYTES = 4096
_BURST_S = 0.02


class PseudoTerminal:
    """A raw pseudo-terminal whose other end is a serial port for pyserial.

    Parameters
    ----------
    baud : int
        Bytes leave at a tenth of this per second; what a host sends is not slowed down.

    Attributes
    ----------
    path : str
        Name of the serial port.
    master : int
        File descriptor of the device's end, non-blocking.
    dropped_bytes : int
        Output that nobody took in time.
    """

    def __init__(self, baud: int) -> None:
        self.baud = baud
        self.master, self._slave = os.openpty()
        tty.setraw(self._slave)
        tty.setraw(self.master)
        os.set_blocking(self.master, False)
        self.path = os.ttyname(self._slave)
        self.dropped_bytes = 0
        self._waiting = bytearray()
        self._allowance_bytes = 0.0
        self._refilled_s: float | None = None

    def read(self) -> bytes:
        """What has arrived; empty when nothing has."""
        data = bytearray()
        while True:
            try:
                part = os.read(self.master, 4096)
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno == errno.EIO:  # no host has the port open
                    break
                raise
            if not part:
                break
            data += part
        return bytes(data)

    def write(self, data: bytes, now_s: float) -> None:
        """Send at the line's pace. Output that piles up is dropped as a whole: stale state is worse than none."""
        self._waiting += data
        if len(self._waiting) > _BACKLOG_MAX_BYTES:
            self.dropped_bytes += len(self._waiting)
            self._waiting.clear()
            return
        bytes_per_s = self.baud / BITS_PER_BYTE
        if self._refilled_s is not None:
            self._allowance_bytes += (now_s - self._refilled_s) * bytes_per_s
        self._refilled_s = now_s
        self._allowance_bytes = min(self._allowance_bytes, bytes_per_s * _BURST_S)
        ready = min(int(self._allowance_bytes), len(self._waiting))
        if ready <= 0:
            return
        try:
            written = os.write(self.master, self._waiting[:ready])
        except BlockingIOError:
            written = 0
        self._allowance_bytes -= written
        del self._waiting[:written]

    def close(self) -> None:
        """Close both ends."""
        os.close(self.master)
        os.close(self._slave)


class SerialDevice:
    """Carries a firmware's bytes over a pseudo-terminal; as :class:`~isoalign.simulators.tcp_device.TcpDevice`.

    Parameters
    ----------
    firmware : Firmware
    line : PseudoTerminal
        Closed with the device.
    clock : Clock

    Attributes
    ----------
    address : dict
        Name of the serial port and its baud rate.
    """

    def __init__(self, firmware: Firmware, line: PseudoTerminal, clock: Clock) -> None:
        self._firmware = firmware
        self._line = line
        self._clock = clock
        self._ticking: asyncio.Task[None] | None = None
        self.address: dict[str, Any] = {"serial": line.path, "baud": line.baud}

    async def start(self) -> None:
        """Begin to listen and to tick."""
        asyncio.get_running_loop().add_reader(self._line.master, self.run_once)
        self._ticking = asyncio.create_task(tick(self.run_once), name="firmware")

    async def close(self) -> None:
        """Stop ticking and close the line."""
        asyncio.get_running_loop().remove_reader(self._line.master)
        if self._ticking is not None:
            self._ticking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._ticking
        self._line.close()

    def run_once(self) -> None:
        """Take what has arrived, let the time pass, send what is due."""
        now_s = self._clock.monotonic_s()
        self._firmware.receive(self._line.read(), now_s)
        self._firmware.step(now_s)
        self._line.write(self._firmware.take_output(), now_s)
