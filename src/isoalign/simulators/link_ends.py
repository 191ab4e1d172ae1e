"""The two ends of a spoiled line: pseudo-terminal to pseudo-terminal, or TCP to TCP."""

from __future__ import annotations

import abc
import asyncio
import contextlib
import errno
import os
import socket
import struct
import tempfile
import tty
from collections.abc import Callable
from pathlib import Path
from typing import Any

from isoalign.simulators.errors import UnknownFault
from isoalign.simulators.process import LOCAL_HOST

Take = Callable[[bytes], None]
READ_BYTES = 4096
UNSENT_MAX_BYTES = 1 << 20
_RESET = struct.pack("ii", 1, 0)


class Line(abc.ABC):
    """Both ends of a line.

    Attributes
    ----------
    connections : int
        How often a host came, or the line was plugged in.
    """

    def __init__(self) -> None:
        self.connections = 0
        self._on_host: Take = lambda _data: None
        self._on_device: Take = lambda _data: None
        self._on_gone: Callable[[], None] = lambda: None

    def attach(self, *, on_host: Take, on_device: Take, on_gone: Callable[[], None]) -> None:
        """Who takes what host and device say, and who is told that the line went."""
        self._on_host, self._on_device, self._on_gone = on_host, on_device, on_gone

    @property
    @abc.abstractmethod
    def is_connected(self) -> bool:
        """Whether the host's end is there."""

    @abc.abstractmethod
    async def start(self) -> None:
        """Open both ends."""

    @abc.abstractmethod
    def facts(self) -> dict[str, Any]:
        """Where the host finds its end, for the ready line."""

    @abc.abstractmethod
    def can(self, fault: str) -> bool:
        """Whether this kind of line can play a fault of the whole line."""

    @abc.abstractmethod
    def send_to_host(self, data: bytes) -> None:
        """Hand on to the host."""

    @abc.abstractmethod
    def send_to_device(self, data: bytes) -> None:
        """Hand on to the device."""

    @abc.abstractmethod
    def unplug(self) -> None:
        """Pull the host's plug; nothing when it is out."""

    @abc.abstractmethod
    def plug(self) -> None:
        """Put it in again; nothing when it is in."""

    @abc.abstractmethod
    def reset(self) -> None:
        """Break the connection off without a goodbye."""

    @abc.abstractmethod
    async def close(self) -> None:
        """Close both ends."""


class SerialLine(Line):
    """From a pseudo-terminal of the device to one for the host. The host's name for it is a link that stays valid."""

    def __init__(self, device_path: str) -> None:
        super().__init__()
        self._device_path = device_path
        self._device = -1
        self._master = self._slave = -1
        self._to_host: _Outlet | None = None
        self._to_device: _Outlet | None = None
        self._folder = tempfile.TemporaryDirectory(prefix="isoalign-line-")
        self._path = Path(self._folder.name) / "tty"

    @property
    def is_connected(self) -> bool:
        """See :class:`Line`."""
        return self._master >= 0

    async def start(self) -> None:
        """See :class:`Line`."""
        self._device = os.open(self._device_path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        tty.setraw(self._device)
        self._to_device = _Outlet(self._device)
        asyncio.get_running_loop().add_reader(self._device, self._device_readable)
        self.plug()

    def facts(self) -> dict[str, Any]:
        """See :class:`Line`."""
        return {"serial": str(self._path)}

    def can(self, fault: str) -> bool:
        """See :class:`Line`."""
        return fault in {"unplug", "half_open", "reconnect_storm"}

    def send_to_host(self, data: bytes) -> None:
        """See :class:`Line`."""
        if self._to_host is not None:
            self._to_host.write(data)

    def send_to_device(self, data: bytes) -> None:
        """See :class:`Line`."""
        if self._to_device is not None:
            self._to_device.write(data)

    def unplug(self) -> None:
        """See :class:`Line`."""
        if self._master < 0:
            return
        asyncio.get_running_loop().remove_reader(self._master)
        if self._to_host is not None:
            self._to_host.close()
            self._to_host = None
        self._path.unlink(missing_ok=True)
        os.close(self._master)
        os.close(self._slave)
        self._master = self._slave = -1
        self._on_gone()

    def plug(self) -> None:
        """See :class:`Line`."""
        if self._master >= 0:
            return
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        tty.setraw(self._master)
        os.set_blocking(self._master, False)
        self._path.symlink_to(os.ttyname(self._slave))
        self.connections += 1
        self._to_host = _Outlet(self._master)
        asyncio.get_running_loop().add_reader(self._master, self._host_readable)

    def reset(self) -> None:
        """See :class:`Line`."""
        raise UnknownFault("a pseudo-terminal cannot be reset; it can be unplugged")

    async def close(self) -> None:
        """See :class:`Line`."""
        self.unplug()
        if self._device >= 0:
            asyncio.get_running_loop().remove_reader(self._device)
            if self._to_device is not None:
                self._to_device.close()
                self._to_device = None
            os.close(self._device)
            self._device = -1
        self._folder.cleanup()

    def _host_readable(self) -> None:
        data = _read(self._master)
        if data:
            self._on_host(data)

    def _device_readable(self) -> None:
        data = _read(self._device)
        if data:
            self._on_device(data)
        elif data is None:  # the device's process has ended
            asyncio.get_running_loop().remove_reader(self._device)
            self.unplug()


class TcpLine(Line):
    """From a TCP port for the host to one of the device. As with the device itself, a new host displaces the old."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__()
        self._device_address = (host, port)
        self._server: asyncio.Server | None = None
        self._host: asyncio.StreamWriter | None = None
        self._device: asyncio.StreamWriter | None = None
        self._is_plugged = True
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def is_connected(self) -> bool:
        """See :class:`Line`."""
        return self._host is not None

    async def start(self) -> None:
        """See :class:`Line`."""
        self._server = await asyncio.start_server(self._serve, LOCAL_HOST, 0)

    def facts(self) -> dict[str, Any]:
        """See :class:`Line`."""
        assert self._server is not None
        host, port = self._server.sockets[0].getsockname()[:2]
        return {"tcp": {"host": host, "port": port}}

    def can(self, fault: str) -> bool:
        """See :class:`Line`."""
        return fault in {"unplug", "half_open", "reconnect_storm", "reset"}

    def send_to_host(self, data: bytes) -> None:
        """See :class:`Line`."""
        _send(self._host, data)

    def send_to_device(self, data: bytes) -> None:
        """See :class:`Line`."""
        _send(self._device, data)

    def unplug(self) -> None:
        """See :class:`Line`."""
        self._is_plugged = False
        self._drop()

    def plug(self) -> None:
        """See :class:`Line`."""
        self._is_plugged = True

    def reset(self) -> None:
        """See :class:`Line`."""
        for writer in (self._host, self._device):
            if writer is not None:
                connection = writer.get_extra_info("socket")
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._drop()

    async def close(self) -> None:
        """See :class:`Line`."""
        if self._server is not None:
            self._server.close()
        self._drop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _drop(self) -> None:
        gone = self._host is not None or self._device is not None
        for writer in (self._host, self._device):
            if writer is not None:
                writer.transport.abort()
        self._host = self._device = None
        if gone:
            self._on_gone()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            if self._is_plugged:
                await self._join(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass  # one side went away, or the line is being closed
        finally:
            self._tasks.discard(task)
            if self._host is writer:
                self._drop()
            writer.close()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._drop()
        self.connections += 1
        self._host = writer
        from_device, to_device = await asyncio.open_connection(*self._device_address)
        if self._host is not writer:
            to_device.transport.abort()
            return
        self._device = to_device
        back = asyncio.create_task(self._carry(from_device, self._on_device, writer), name="from-device")
        try:
            await self._carry(reader, self._on_host, writer)
        finally:
            back.cancel()
            with contextlib.suppress(asyncio.CancelledError, OSError):
                await back
            to_device.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, take: Take, owner: asyncio.StreamWriter) -> None:
        while data := await reader.read(READ_BYTES):
            if self._host is not owner:
                return
            take(data)
        owner.close()  # the other side learns that this one has gone


def _send(writer: asyncio.StreamWriter | None, data: bytes) -> None:
    if writer is None or writer.is_closing():
        return
    if writer.transport.get_write_buffer_size() > UNSENT_MAX_BYTES:
        writer.transport.abort()
        return
    writer.write(data)


def _read(descriptor: int) -> bytes | None:
    """What has arrived; None when the other side has gone for good."""
    try:
        return os.read(descriptor, READ_BYTES) or None
    except BlockingIOError:
        return b""
    except OSError as error:
        if error.errno == errno.EIO:
            return None
        raise


class _Outlet:
    """Writes to a descriptor what it takes now, and the rest when it takes more."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._waiting = bytearray()
        self._is_watching = False

    def write(self, data: bytes) -> None:
        """Write without blocking. What nobody takes for long is lost, as on a real line."""
        self._waiting += data
        if len(self._waiting) > UNSENT_MAX_BYTES:
            self._waiting.clear()
        self._flush()

    def close(self) -> None:
        """Drop what waits."""
        self._waiting.clear()
        self._watch()

    def _flush(self) -> None:
        try:
            while self._waiting:
                del self._waiting[: os.write(self._descriptor, self._waiting)]
        except BlockingIOError:
            pass
        except OSError:  # the other side has gone
            self._waiting.clear()
        self._watch()

    def _watch(self) -> None:
        if bool(self._waiting) is self._is_watching:
            return
        self._is_watching = bool(self._waiting)
        loop = asyncio.get_running_loop()
        if self._is_watching:
            loop.add_writer(self._descriptor, self._flush)
        else:
            loop.remove_writer(self._descriptor)
