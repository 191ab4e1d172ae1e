"""The bytes of a link on disk: what was read and written and when, without ever holding up the loop that did it.

A file is one line of JSON that says which link it is, then records: ``time f64 | kind u8 | length u32 | bytes``, little
endian; the time is monotonic seconds of the computer that recorded. A thread writes; what it cannot keep up with is
dropped and counted, and the count stands in the file where the bytes are missing.
"""

from __future__ import annotations

import json
import os
import re
import struct
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from enum import IntEnum
from pathlib import Path
from typing import IO, Final, Protocol

import structlog

from isoalign.clock import Clock
from isoalign.devices.config import RecordConfig
from isoalign.devices.errors import BadDeviceConfig, LinkLogUnreadable
from isoalign.protocol.messages import DeviceKind

_log = structlog.get_logger("isoalign.devices.link_log")

SCHEMA: Final = "isoalign.link-log/1"
IMAGE_SCHEMA: Final = "isoalign.image-log/1"
"""Of an image connection: its bytes are other records than those of a link."""
ENDING: Final = ".linklog"
WRITE_PERIOD_S: Final = 0.2
QUEUE_BYTES: Final = 4 * 1024 * 1024
_RECORD: Final = struct.Struct("<dBI")
_TIME: Final = struct.Struct("<d")
_LARGEST_RECORD: Final = 1 << 24
_HEADER_LIMIT: Final = 4096


class RecordKind(IntEnum):
    """What a record is."""

    RECEIVED = 0
    """Bytes from the device."""
    SENT = 1
    """Bytes to the device."""
    OPENED = 2
    """The line was opened; no bytes."""
    CLOSED = 3
    """The line was closed or broke; the bytes are the reason, in words."""
    DROPPED = 4
    """As many bytes as the record's u64 says could not be written in time."""
    OUTLINE = 5
    """An image record from the device without its pixels, as JSON; see :mod:`isoalign.devices.image_log`."""


@dataclass(frozen=True, slots=True)
class LogHeader:
    """The first line of a file: ``began_at`` is UTC, ``monotonic_s`` the same moment on the clock of the records.

    That moment is the one of the first record.
    """

    link: str
    device: DeviceKind
    began_at: str
    monotonic_s: float
    holds_images: bool = False


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One piece of what went over the line."""

    time_s: float
    kind: RecordKind
    data: bytes

    @property
    def dropped_bytes(self) -> int:
        """Of a DROPPED record."""
        return int.from_bytes(self.data, "little") if self.kind is RecordKind.DROPPED else 0


class Tap(Protocol):
    """What a link tells of its line."""

    def note(self, kind: RecordKind, data: bytes) -> None:
        """Keep it; never blocks and never fails."""


class LinkRecorder:
    """Writes what its channels are told, in a thread of its own.

    Parameters
    ----------
    config : RecordConfig
    clock : Clock

    Raises
    ------
    BadDeviceConfig
        When the folder cannot be made or written to.
    """

    def __init__(self, config: RecordConfig, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._channels: list[Channel] = []
        self._ending = threading.Event()
        try:
            config.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BadDeviceConfig(f"record.folder cannot be made: {error}", key="record.folder") from error
        if not os.access(config.folder, os.W_OK | os.X_OK):
            raise BadDeviceConfig(f"record.folder cannot be written to: {config.folder}", key="record.folder")
        self._thread = threading.Thread(target=self._write_on, name="link-log", daemon=True)
        self._thread.start()

    def channel(self, link: str, device: DeviceKind, *, schema: str = SCHEMA) -> Channel:
        """The recorder of one link, or with ``IMAGE_SCHEMA`` of an image connection."""
        channel = Channel(link, device, self._config, self._clock, number=len(self._channels), schema=schema)
        self._channels = [*self._channels, channel]
        return channel

    @property
    def pixels(self) -> bool:
        """Whether the pixels of images are to be recorded."""
        return self._config.pixels

    @property
    def dropped_bytes(self) -> int:
        """Of all channels, so far."""
        return sum(channel.dropped_bytes for channel in self._channels)

    def close(self) -> None:
        """Write what is left and end the thread."""
        self._ending.set()
        self._thread.join(2.0)

    def _write_on(self) -> None:
        while not self._ending.wait(WRITE_PERIOD_S):
            self._write()
        self._write()
        for channel in self._channels:
            channel.close_file()

    def _write(self) -> None:
        for channel in self._channels:
            channel.write()


class Channel:
    """The record of one link. :meth:`note` belongs to the event loop, the rest to the writing thread."""

    def __init__(
        self,
        link: str,
        device: DeviceKind,
        config: RecordConfig,
        clock: Clock,
        *,
        number: int = 0,
        schema: str = SCHEMA,
    ) -> None:
        self.dropped_bytes = 0
        self._schema = schema
        self._link = link
        self._device = device
        self._config = config
        self._clock = clock
        self._waiting: deque[bytes] = deque()
        self._noted_bytes = self._written_bytes = 0  # each has one writer, so that no lock is needed
        self._missing = 0
        self._file: IO[bytes] | None = None
        self._number = 0
        self._failed = False
        self._name = re.sub(r"[^a-z0-9]+", "-", link.lower())
        self._life = f"{clock.utc():%Y%m%dT%H%M%S}.{os.getpid()}-{number}"

    def note(self, kind: RecordKind, data: bytes) -> None:
        """Keep a record until the thread writes it; drop and count it when too much waits already."""
        size = _RECORD.size + len(data)
        if self._noted_bytes - self._written_bytes + size > QUEUE_BYTES:
            self._missing += len(data)
            self.dropped_bytes += len(data)
            return
        time_s = self._clock.monotonic_s()
        if self._missing:
            gap = self._missing.to_bytes(8, "little")
            self._missing = 0
            self._append(_RECORD.pack(time_s, RecordKind.DROPPED, len(gap)) + gap)
        self._append(_RECORD.pack(time_s, kind, len(data)) + data)

    def _append(self, record: bytes) -> None:
        self._noted_bytes += len(record)
        self._waiting.append(record)

    def write(self) -> None:
        """Write what waits, into the next file when the present one is full."""
        batch = [self._waiting.popleft() for _ in range(len(self._waiting))]
        if not batch:
            return
        data = b"".join(batch)
        try:
            file = self._file or self._next_file(*_TIME.unpack_from(data))
            file.write(data)
            file.flush()
            if file.tell() >= self._config.file_mb * 1e6:
                self.close_file()
            self._failed = False
        except OSError as error:
            self.dropped_bytes += len(data)
            self.close_file()
            if not self._failed:
                _log.error("link-log.not-written", link=self._link, error=str(error))
            self._failed = True
        finally:
            self._written_bytes += len(data)

    def close_file(self) -> None:
        """The next record begins another file."""
        if self._file is not None:
            file, self._file = self._file, None
            try:
                file.close()
            except OSError:
                self._failed = True

    def _next_file(self, first_s: float) -> IO[bytes]:
        """The file whose first record is of this time."""
        self._number += 1
        folder = self._config.folder
        path = folder / f"{self._name}.{self._life}.{self._number:04}{ENDING}"
        ago = timedelta(seconds=self._clock.monotonic_s() - first_s)
        header = {
            "schema": self._schema,
            "link": self._link,
            "device": self._device.name,
            "began_at": (self._clock.utc() - ago).isoformat(),
            "monotonic_s": first_s,
        }
        self._file = path.open("wb")
        self._file.write(json.dumps(header).encode() + b"\n")
        older = sorted(folder.glob(f"{self._name}.*{ENDING}"), key=lambda one: one.stat().st_mtime_ns)
        for one in older[: -self._config.files]:
            one.unlink(missing_ok=True)
        return self._file


def read_log(path: Path) -> tuple[LogHeader, Iterator[LogRecord]]:
    """A recorded file; a last record that is not whole, as after a crash, is left out.

    Raises
    ------
    LinkLogUnreadable
        At once when it is no such file; while iterating when a record makes no sense.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise LinkLogUnreadable(f"cannot read {path}: {error.strerror or error}") from error
    line, separator, body = content.partition(b"\n")
    try:
        if not separator or len(line) > _HEADER_LIMIT:
            raise ValueError("its first line is no header")
        fields = json.loads(line)
        if fields["schema"] not in {SCHEMA, IMAGE_SCHEMA}:
            raise ValueError(f"its schema is {fields['schema']!r}")
        header = LogHeader(
            str(fields["link"]),
            DeviceKind[fields["device"]],
            str(fields["began_at"]),
            float(fields["monotonic_s"]),
            holds_images=fields["schema"] == IMAGE_SCHEMA,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise LinkLogUnreadable(f"{path} is no record of a link: {error}") from error
    return header, _records(path, body)


def _records(path: Path, body: bytes) -> Iterator[LogRecord]:
    at = 0
    while at + _RECORD.size <= len(body):
        time_s, kind, length = _RECORD.unpack_from(body, at)
        if length > _LARGEST_RECORD or kind not in RecordKind._value2member_map_:
            raise LinkLogUnreadable(f"{path} makes no sense from byte {at} after its first line")
        at += _RECORD.size
        if at + length > len(body):
            return
        yield LogRecord(time_s, RecordKind(kind), body[at : at + length])
        at += length
