"""Image transfer of a panel: length-prefixed records on a connection of their own, and their assembly.

A record is ``length u32 | message u16 | fields | data | CRC-32``; the length counts what follows it and the CRC covers
message, fields and data, seeded as in :mod:`~isoalign.protocol.framing`. A frame is delivered only when every row has
arrived and the checksum over all pixels agrees: a torn frame is never delivered.
"""

from __future__ import annotations

import struct
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from isoalign.protocol.errors import FrameError, FrameFault
from isoalign.protocol.layout import Message
from isoalign.protocol.messages import BULK_RECORD_MAX_BYTES, MESSAGES, ImageChunk, ImageEnd, ImageResend

_LENGTH: Final = struct.Struct("<I")
_ID: Final = struct.Struct("<H")
_CRC: Final = struct.Struct("<I")
BYTES_PER_PIXEL: Final = 2
ROWS_PER_CHUNK: Final = 64


def encode_record(message: Message) -> bytes:
    """The bytes of one bulk record."""
    if not message.IS_BULK:
        raise FrameError(FrameFault.UNKNOWN_MESSAGE, f"{message.NAME} is not a bulk record")
    body = _ID.pack(message.ID) + message.pack()
    length = len(body) + _CRC.size
    if length > BULK_RECORD_MAX_BYTES:
        raise FrameError(FrameFault.TOO_LONG, f"{message.NAME} of {length} bytes, at most {BULK_RECORD_MAX_BYTES}")
    return _LENGTH.pack(length) + body + _CRC.pack(zlib.crc32(body, message.SEED))


def decode_record(body: bytes) -> Message:
    """The message of what follows a record's length.

    Raises
    ------
    FrameError
    """
    if len(body) < _ID.size + _CRC.size:
        raise FrameError(FrameFault.TOO_SHORT, f"a record of {len(body)} bytes")
    (message_id,) = _ID.unpack_from(body)
    kind = MESSAGES.get(message_id)
    if kind is None or not kind.IS_BULK:
        raise FrameError(FrameFault.UNKNOWN_MESSAGE, f"record id 0x{message_id:04X}")
    (expected,) = _CRC.unpack_from(body, len(body) - _CRC.size)
    if zlib.crc32(memoryview(body)[: -_CRC.size], kind.SEED) != expected:
        raise FrameError(FrameFault.CHECKSUM, kind.NAME)
    return kind.unpack(body[_ID.size : -_CRC.size])


class RecordReader:
    """Cuts a stream into records.

    Parameters
    ----------
    observer : callable, optional
        Called with the size in bytes of every record, its length included, and its message or why it was dropped.

    Attributes
    ----------
    rejected : Counter[FrameFault]
        Records that were dropped, by reason.
    """

    def __init__(self, *, observer: Callable[[int, Message | FrameError], None] | None = None) -> None:
        self.rejected: Counter[FrameFault] = Counter()
        self._pending = bytearray()
        self._observer = observer

    def feed(self, data: bytes) -> list[Message]:
        """The whole and valid records that end within ``data``.

        Raises
        ------
        FrameError
            When a length makes no sense: the stream is lost and the connection must be closed.
        """
        self._pending += data
        messages: list[Message] = []
        while len(self._pending) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._pending)
            if not _ID.size + _CRC.size <= length <= BULK_RECORD_MAX_BYTES:
                self._pending.clear()
                raise FrameError(
                    FrameFault.LENGTH,
                    f"a record of {length} bytes was announced",
                    hint="Close the image connection and connect again; the panel still has the frame.",
                )
            if len(self._pending) < _LENGTH.size + length:
                break
            body = bytes(self._pending[_LENGTH.size : _LENGTH.size + length])
            del self._pending[: _LENGTH.size + length]
            result: Message | FrameError
            try:
                result = decode_record(body)
                messages.append(result)
            except FrameError as error:
                self.rejected[error.fault] += 1
                result = error
            if self._observer is not None:
                self._observer(_LENGTH.size + length, result)
        return messages


@dataclass(frozen=True, slots=True)
class ImageFrame:
    """One whole frame: ``pixels`` are rows x columns unsigned 16-bit counts, little-endian, row by row."""

    frame_id: int
    exposure_id: int
    rows: int
    columns: int
    pixels: bytes

    def __post_init__(self) -> None:
        if len(self.pixels) != self.rows * self.columns * BYTES_PER_PIXEL:
            raise FrameError(
                FrameFault.LENGTH, f"{len(self.pixels)} bytes for {self.rows} x {self.columns} pixels of 16 bit"
            )

    @property
    def pixels_crc(self) -> int:
        """CRC-32 of all pixels."""
        return zlib.crc32(self.pixels)


def image_records(
    frame: ImageFrame, *, first_row: int = 0, row_count: int | None = None, rows_per_chunk: int = ROWS_PER_CHUNK
) -> Iterator[bytes]:
    """The records that carry a frame, or some rows of it, ending with IMAGE_END."""
    last = min(frame.rows, first_row + (frame.rows if row_count is None else row_count))
    stride = frame.columns * BYTES_PER_PIXEL
    for start in range(first_row, last, rows_per_chunk):
        count = min(rows_per_chunk, last - start)
        yield encode_record(
            ImageChunk(
                frame_id=frame.frame_id,
                exposure_id=frame.exposure_id,
                rows=frame.rows,
                columns=frame.columns,
                first_row=start,
                row_count=count,
                pixels=frame.pixels[start * stride : (start + count) * stride],
            )
        )
    yield encode_record(
        ImageEnd(
            frame_id=frame.frame_id,
            exposure_id=frame.exposure_id,
            rows=frame.rows,
            columns=frame.columns,
            pixels_crc=frame.pixels_crc,
        )
    )


class ImageAssembler:
    """Puts the frame of one expected exposure together.

    Attributes
    ----------
    rejected : Counter[str]
        Records that did not belong to the expected exposure, or contradicted it, by reason.
    """

    def __init__(self) -> None:
        self.rejected: Counter[str] = Counter()
        self._exposure_id = self._rows = self._columns = self._frame_id = 0
        self._have: set[int] = set()
        self._pixels = bytearray()
        self._end: ImageEnd | None = None
        self._delivered = True

    def expect(self, exposure_id: int, rows: int, columns: int) -> None:
        """Drop whatever there is and wait for the frame of this exposure with this size."""
        self._exposure_id, self._rows, self._columns = exposure_id, rows, columns
        self._frame_id = 0
        self._have = set()
        self._pixels = bytearray(rows * columns * BYTES_PER_PIXEL)
        self._end = None
        self._delivered = False

    @property
    def rows_received(self) -> int:
        """Rows of the expected frame that have arrived."""
        return len(self._have)

    def take(self, message: Message) -> ImageFrame | None:
        """Take a record; the frame when it is whole and correct now, once."""
        if isinstance(message, ImageChunk):
            if self._belongs(message.frame_id, message.exposure_id, message.rows, message.columns):
                self._store(message)
        elif isinstance(message, ImageEnd):
            if self._belongs(message.frame_id, message.exposure_id, message.rows, message.columns):
                self._end = message
        else:
            self.rejected["not an image record"] += 1
        return self._deliver()

    def requests(self) -> list[ImageResend]:
        """What to ask for again after IMAGE_END, or after a time without progress; empty when nothing is known yet."""
        if self._delivered or not self._frame_id:
            return []
        self._end = None
        missing: list[ImageResend] = []
        row = 0
        while row < self._rows:
            if row in self._have:
                row += 1
                continue
            start = row
            while row < self._rows and row not in self._have:
                row += 1
            missing.append(ImageResend(frame_id=self._frame_id, first_row=start, row_count=row - start))
        return missing or [ImageResend(frame_id=self._frame_id, first_row=self._rows - 1, row_count=1)]

    @property
    def has_ended(self) -> bool:
        """Whether the panel has sent all it meant to send, so that what is missing must be asked for."""
        return self._end is not None and not self._delivered

    def _belongs(self, frame_id: int, exposure_id: int, rows: int, columns: int) -> bool:
        if self._delivered:
            self.rejected["nothing expected"] += 1
        elif exposure_id != self._exposure_id:
            self.rejected["another exposure"] += 1
        elif (rows, columns) != (self._rows, self._columns):
            self.rejected["another size"] += 1
        elif self._frame_id not in {0, frame_id}:
            self.rejected["another frame"] += 1
        else:
            self._frame_id = frame_id
            return True
        return False

    def _store(self, chunk: ImageChunk) -> None:
        stride = self._columns * BYTES_PER_PIXEL
        last = chunk.first_row + chunk.row_count
        if last > self._rows or len(chunk.pixels) != chunk.row_count * stride:
            self.rejected["chunk does not fit"] += 1
            return
        self._pixels[chunk.first_row * stride : last * stride] = chunk.pixels
        self._have.update(range(chunk.first_row, last))

    def _deliver(self) -> ImageFrame | None:
        if self._delivered or self._end is None or len(self._have) < self._rows:
            return None
        frame = ImageFrame(self._frame_id, self._exposure_id, self._rows, self._columns, bytes(self._pixels))
        if frame.pixels_crc != self._end.pixels_crc:
            self.rejected["pixels do not match their checksum"] += 1
            self._have = set()  # some row is wrong and nobody knows which: ask for all of them
            return None
        self._delivered = True
        return frame
