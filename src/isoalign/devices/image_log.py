"""What is recorded of an image connection: every record with its check and its time; the pixels only where wanted.

Pixels are a thousand times more than everything else that a room says. Without them a received record is written as its
outline: which message, its fields, how many bytes of pixels and their CRC-32, or why it was refused.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

from isoalign.devices.link_decode import TO_DEVICE, TO_HOST, LinkLine, bytes_missing, line_closed, line_opened
from isoalign.devices.link_log import LogRecord, RecordKind, Tap
from isoalign.protocol.errors import FrameError
from isoalign.protocol.images import RecordReader, encode_record
from isoalign.protocol.layout import Message

BAD_RECORD = "BAD RECORD"
STREAM_LOST = "STREAM LOST"


class ImageTap:
    """Tells a channel of the recorder what an image connection carries.

    Parameters
    ----------
    channel : Tap or None
        None records nothing.
    pixels : bool
        Whether the bytes are kept as they are, with every pixel.
    """

    def __init__(self, channel: Tap | None = None, *, pixels: bool = False) -> None:
        self._channel = channel
        self._pixels = pixels

    def opened(self) -> None:
        """The connection was made."""
        self._note(RecordKind.OPENED, b"")

    def closed(self, reason: str) -> None:
        """The connection was closed, or broke for a reason."""
        self._note(RecordKind.CLOSED, reason.encode())

    def received(self, data: bytes) -> None:
        """Bytes have come."""
        if self._pixels:
            self._note(RecordKind.RECEIVED, data)

    def record(self, size: int, result: Message | FrameError) -> None:
        """A record has been read out of the bytes, or refused."""
        if self._channel is not None and not self._pixels:
            self._note(RecordKind.OUTLINE, json.dumps(outline(size, result)).encode())

    def sent(self, message: Message) -> bytes:
        """A record that is sent, as its bytes."""
        data = encode_record(message)
        self._note(RecordKind.SENT, data)
        return data

    def _note(self, kind: RecordKind, data: bytes) -> None:
        if self._channel is not None:
            self._channel.note(kind, data)


SILENT = ImageTap()


def outline(size: int, result: Message | FrameError) -> dict[str, Any]:
    """A record of ``size`` bytes without its pixels, as JSON types."""
    if isinstance(result, FrameError):
        return {"message": BAD_RECORD, "bytes": size, "remark": result.message}
    fields: dict[str, Any] = {}
    for field in result.FIELDS:
        value = getattr(result, field.name)
        if isinstance(value, bytes):
            fields |= {f"{field.name}_bytes": len(value), f"{field.name}_crc": zlib.crc32(value)}
        else:
            fields[field.name] = value
    return {"message": result.NAME, "bytes": size, "fields": fields}


def decode_image_records(records: Iterable[LogRecord]) -> Iterator[LinkLine]:
    """The records of an image connection, in the order in which they were complete.

    After bytes that could not be recorded the rest of a connection cannot be cut into records: nothing is shown of it.
    """
    readers = {RecordKind.RECEIVED: _Cutter(TO_HOST), RecordKind.SENT: _Cutter(TO_DEVICE)}
    for record in records:
        if record.kind in readers:
            yield from readers[record.kind].lines(record)
        elif record.kind is RecordKind.OUTLINE:
            yield _outlined(record)
        elif record.kind is RecordKind.DROPPED:
            readers[RecordKind.RECEIVED].is_lost = True
            yield bytes_missing(record)
        else:
            readers = {kind: _Cutter(cutter.direction) for kind, cutter in readers.items()}
            yield line_opened(record) if record.kind is RecordKind.OPENED else line_closed(record)


class _Cutter:
    """One direction of a connection, cut into records."""

    def __init__(self, direction: str) -> None:
        self.direction = direction
        self.is_lost = False
        self._found: list[dict[str, Any]] = []
        self._reader = RecordReader(observer=lambda size, result: self._found.append(outline(size, result)))

    def lines(self, record: LogRecord) -> Iterator[LinkLine]:
        """The records that end within the bytes of one record of the file."""
        if self.is_lost:
            return
        self._found.clear()
        lost = ""
        try:
            self._reader.feed(record.data)
        except FrameError as error:
            self.is_lost, lost = True, error.message
        for found in self._found:
            yield _line(record.time_s, self.direction, found)
        if lost:
            yield LinkLine(record.time_s, self.direction, STREAM_LOST, remark=lost)


def _outlined(record: LogRecord) -> LinkLine:
    try:
        found = json.loads(record.data)
        return _line(record.time_s, TO_HOST, found)
    except (ValueError, KeyError, TypeError):
        return LinkLine(
            record.time_s, TO_HOST, BAD_RECORD, remark=f"an outline that cannot be read: {record.data[:40]!r}"
        )


def _line(time_s: float, direction: str, found: dict[str, Any]) -> LinkLine:
    name = str(found["message"])
    if "fields" not in found:
        return LinkLine(time_s, direction, name, remark=f"{found['remark']} ({found['bytes']} bytes)")
    return LinkLine(time_s, direction, name, fields=dict(found["fields"]))
