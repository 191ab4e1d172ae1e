"""The device's side of a recorded link, played to a driver again: for tests, and to see what a driver makes of it.

Only what the device said is played, when it said it; what the driver says now goes nowhere. A session begins with a
number that the host draws and the device repeats, so the link that listens must draw the numbers of the record:
:meth:`Replay.link` makes one that does.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Sequence
from pathlib import Path

from isoalign.clock import Clock
from isoalign.devices.errors import LinkLogUnreadable, LinkLost
from isoalign.devices.link import DeviceLink
from isoalign.devices.link_log import LogRecord, RecordKind, read_log
from isoalign.devices.transport import TcpTransport, Transport
from isoalign.protocol import FrameReader, HostSession, Message
from isoalign.protocol.messages import HelloAck


class Replay:
    """Plays one recorded file.

    Parameters
    ----------
    path : Path
    clock : Clock
    speed : float
        2 plays twice as fast. Ages and watchdogs of the driver are in true time.

    Raises
    ------
    LinkLogUnreadable
        Also when nothing that the device said begins a session: a driver would wait for ever.
    """

    def __init__(self, path: Path, clock: Clock, *, speed: float = 1.0) -> None:
        self.header, records = read_log(path)
        self.ended = asyncio.Event()
        self._clock = clock
        self._speed = speed
        self._lives = _lives(list(records))
        self._nonces = [nonce for life in self._lives for nonce in _nonces(life)]
        if not self._nonces:
            raise LinkLogUnreadable(f"{path} holds no beginning of a session", hint="Record from the daemon's start.")
        self._acknowledged = 0
        self._device: socket.socket | None = None
        self._playing: asyncio.Task[None] | None = None

    def link(
        self,
        *,
        on_message: Callable[[Message, float], None] | None = None,
        on_change: Callable[[], None] | None = None,
    ) -> DeviceLink:
        """A link of the recorded kind that hears this record; start and close it as any other."""
        session = HostSession(self.header.device, make_nonce=self._nonce)
        return DeviceLink(
            self.header.link,
            self.header.device,
            self.open_line,
            self._clock,
            on_message=on_message,
            on_change=on_change,
            session=session,
        )

    async def open_line(self) -> Transport:
        """The line as it was opened next in the record; raises LinkLost when there is no more."""
        await self.close()
        if not self._lives:
            self.ended.set()
            raise LinkLost(f"the record of {self.header.link} has ended", device=self.header.link)
        ours, self._device = socket.socketpair()
        self._device.setblocking(False)
        self._playing = asyncio.create_task(self._play(self._lives.pop(0), self._device), name="replay")
        return TcpTransport(ours, self.header.link)

    async def close(self) -> None:
        """End what is being played."""
        if self._playing is not None:
            self._playing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._playing
            self._playing = None
        if self._device is not None:
            self._device.close()
            self._device = None

    def _nonce(self) -> int:
        return self._nonces[min(self._acknowledged, len(self._nonces) - 1)]

    async def _play(self, records: Sequence[LogRecord], device: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        reader = FrameReader()
        for record in records:
            due_s = began_s + (record.time_s - records[0].time_s) / self._speed
            await asyncio.sleep(max(0.0, due_s - loop.time()))
            with contextlib.suppress(BlockingIOError):
                device.recv(1 << 20)  # what the driver says is not for anybody
            await loop.sock_sendall(device, record.data)
            # only after it has been heard may the link draw the number of the session after it
            await asyncio.sleep(0)
            self._acknowledged += sum(isinstance(frame.message, HelloAck) for frame in reader.feed(record.data))
        device.close()


def _lives(records: Sequence[LogRecord]) -> list[list[LogRecord]]:
    """What the device said, by the openings of the line; openings during which it said nothing are left out."""
    lives: list[list[LogRecord]] = [[]]
    for record in records:
        if record.kind is RecordKind.OPENED:
            lives.append([])
        elif record.kind is RecordKind.RECEIVED:
            lives[-1].append(record)
    return [life for life in lives if life]


def _nonces(life: Sequence[LogRecord]) -> list[int]:
    reader = FrameReader()
    frames = [frame for record in life for frame in reader.feed(record.data)]
    return [frame.message.host_nonce for frame in frames if isinstance(frame.message, HelloAck)]
