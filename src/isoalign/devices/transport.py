"""Bytes to and from a device: serial lines and TCP, with every way to break mapped to one error.

Both kinds never block the event loop, take what does not fit into a bounded queue, and notice a broken line at once.
A peer that is silent is not noticed here: only a state frame proves that a device lives (the link watches that).
"""

from __future__ import annotations

import abc
import asyncio
import contextlib
import errno
import os
import socket
import termios
from collections import deque
from collections.abc import Callable

import serial

from isoalign.devices.errors import LinkLost

SEND_QUEUE_BYTES = 64 * 1024
"""Commands that a device does not take any more are a fault, not something to pile up."""
READ_CHUNK_BYTES = 64 * 1024
RECEIVE_QUEUE_BYTES = 4 * 1024 * 1024


class Transport(abc.ABC):
    """One non-blocking file descriptor on the running event loop.

    Parameters
    ----------
    descriptor : int
        Open and non-blocking; its owner is the subclass.
    name : str
        The device, for messages.
    """

    def __init__(self, descriptor: int, name: str) -> None:
        self.name = name
        self._descriptor = descriptor
        self._loop = asyncio.get_running_loop()
        self._received: deque[bytes] = deque()
        self._received_bytes = 0
        self._arrived = asyncio.Event()
        self._take: Callable[[bytes], None] | None = None
        self._unsent = bytearray()
        self._lost: LinkLost | None = None
        self._writing = False
        self._reading = True
        self._loop.add_reader(descriptor, self._readable)

    @abc.abstractmethod
    def _read(self) -> bytes:
        """Some bytes, b"" at the end of the stream; raises BlockingIOError or another OSError."""

    @abc.abstractmethod
    def _write(self, data: bytes | bytearray | memoryview) -> int:
        """Write some bytes and return how many; raises BlockingIOError or another OSError."""

    @abc.abstractmethod
    def _close(self) -> None:
        """Close the descriptor."""

    @property
    def lost(self) -> LinkLost | None:
        """Why the line is broken, or None while it is not known to be."""
        return self._lost

    async def receive(self) -> bytes:
        """The next bytes, at least one.

        Raises
        ------
        LinkLost
            After everything that arrived before has been returned.
        """
        while not self._received:
            if self._lost is not None:
                raise self._lost
            self._arrived.clear()
            await self._arrived.wait()
        data = self._received.popleft()
        self._received_bytes -= len(data)
        if not self._reading and self._lost is None and self._received_bytes < RECEIVE_QUEUE_BYTES // 2:
            self._reading = True
            self._loop.add_reader(self._descriptor, self._readable)
        return data

    async def deliver(self, take: Callable[[bytes], None]) -> None:
        """Hand all bytes to ``take``, each in the very moment in which it is read, until the line is broken.

        Raises
        ------
        LinkLost
            Always, in the end: why the line is broken.
        """
        while self._received:
            take(await self.receive())
        self._take = take
        try:
            while self._lost is None:
                self._arrived.clear()
                await self._arrived.wait()
        finally:
            self._take = None
        raise self._lost

    def send(self, data: bytes) -> None:
        """Send now what the line takes, and the rest as soon as it takes more. Never blocks.

        Raises
        ------
        LinkLost
            When the line is broken, or the device has not taken ``SEND_QUEUE_BYTES``.
        """
        if self._lost is not None:
            raise self._lost
        self._unsent += data
        if not self._writing:
            self._flush()
        if self._lost is not None:
            raise self._lost
        if len(self._unsent) > SEND_QUEUE_BYTES:
            self._break(f"{self.name} does not take its commands: {len(self._unsent)} bytes wait")
            raise LinkLost(f"{self.name} does not take its commands", device=self.name)

    def close(self) -> None:
        """Close the line; a waiting :meth:`receive` ends with LinkLost."""
        self._break(f"the link to {self.name} was closed")

    def fail(self, error: LinkLost) -> None:
        """Close the line for a reason of the user's; nothing happens when it is broken already."""
        if self._lost is not None:
            return
        self._lost = error
        self._loop.remove_reader(self._descriptor)
        self._loop.remove_writer(self._descriptor)
        self._unsent.clear()
        self._arrived.set()
        with contextlib.suppress(OSError, termios.error):
            self._close()

    def _readable(self) -> None:
        try:
            data = self._read()
        except (BlockingIOError, InterruptedError):
            return
        except (OSError, termios.error) as error:
            self._break(f"the line to {self.name} broke: {_in_words(error)}")
            return
        if not data:
            self._break(f"{self.name} closed the line")
            return
        if self._take is not None:
            self._take(data)
            return
        self._received.append(data)
        self._received_bytes += len(data)
        self._arrived.set()
        if self._received_bytes >= RECEIVE_QUEUE_BYTES:
            self._reading = False
            self._loop.remove_reader(self._descriptor)

    def _flush(self) -> None:
        try:
            while self._unsent:
                written = self._write(self._unsent)
                if written == 0:
                    break
                del self._unsent[:written]
        except (BlockingIOError, InterruptedError):
            pass
        except (OSError, termios.error) as error:
            self._break(f"the line to {self.name} broke: {_in_words(error)}")
            return
        if bool(self._unsent) is not self._writing:
            self._writing = bool(self._unsent)
            if self._writing:
                self._loop.add_writer(self._descriptor, self._flush)
            else:
                self._loop.remove_writer(self._descriptor)

    def _break(self, message: str) -> None:
        self.fail(LinkLost(message, device=self.name))


class SerialTransport(Transport):
    """A serial line, opened by pyserial for us alone, then driven through its file descriptor.

    pyserial configures the line; its own reads and writes block or spin, so they are not used.
    """

    def __init__(self, port: serial.Serial, name: str) -> None:
        self._port = port
        descriptor = port.fileno()
        os.set_blocking(descriptor, False)
        super().__init__(descriptor, name)

    @classmethod
    async def open(cls, path: str, baud: int, *, name: str) -> SerialTransport:
        """Open a serial device (or pseudo-terminal).

        Parameters
        ----------
        path : str
            E.g. /dev/ttyUSB0.
        baud : int
            Bits per second.

        Raises
        ------
        LinkLost
            When it cannot be opened, or another program holds it.
        """
        try:
            port = serial.Serial(path, baud, timeout=0, write_timeout=0, exclusive=True)
        except (OSError, ValueError, termios.error) as error:
            raise LinkLost(
                f"cannot open the serial line {path} of {name}: {_in_words(error)}",
                hint="Check that the device is plugged in and that no other program uses the line.",
                device=name,
            ) from error
        with contextlib.suppress(OSError, ValueError, NotImplementedError):
            port.set_low_latency_mode(True)
        with contextlib.suppress(OSError, termios.error):
            termios.tcflush(port.fileno(), termios.TCIOFLUSH)  # what an earlier program left behind is not for us
        return cls(port, name)

    def _read(self) -> bytes:
        return os.read(self._descriptor, READ_CHUNK_BYTES)

    def _write(self, data: bytes | bytearray | memoryview) -> int:
        return os.write(self._descriptor, data)

    def _close(self) -> None:
        with contextlib.suppress(OSError, termios.error):
            termios.tcflush(self._descriptor, termios.TCIOFLUSH)  # close() would wait for unsent bytes
        self._port.close()


class TcpTransport(Transport):
    """A TCP connection without Nagle's delay."""

    def __init__(self, connection: socket.socket, name: str) -> None:
        self._connection = connection
        connection.setblocking(False)
        super().__init__(connection.fileno(), name)

    @classmethod
    async def open(cls, host: str, port: int, *, name: str, timeout_s: float = 2.0) -> TcpTransport:
        """Connect to a device.

        Raises
        ------
        LinkLost
            When it refuses, or does not answer within ``timeout_s``.
        """
        connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            connection.setblocking(False)
            async with asyncio.timeout(timeout_s):
                await asyncio.get_running_loop().sock_connect(connection, (host, port))
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except (OSError, TimeoutError) as error:
            connection.close()
            raise LinkLost(f"cannot connect to {name} at {host}:{port}: {_in_words(error)}", device=name) from error
        except BaseException:
            connection.close()
            raise
        return cls(connection, name)

    def _read(self) -> bytes:
        return self._connection.recv(READ_CHUNK_BYTES)

    def _write(self, data: bytes | bytearray | memoryview) -> int:
        return self._connection.send(data)

    def _close(self) -> None:
        self._connection.close()


def _in_words(error: BaseException) -> str:
    if isinstance(error, TimeoutError) and not error.args:
        return "no answer in time"
    number = error.args[0] if error.args else None
    if number == errno.EIO:
        return "input/output error (unplugged?)"
    return str(error) or type(error).__name__
