"""The device's end of a pseudo-terminal, paced to a baud rate as a real line is."""

from __future__ import annotations

import errno
import os
import tty

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
