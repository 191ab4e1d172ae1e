"""Frames: COBS( header | payload | CRC-32 ) 0x00, and a reader that finds its feet again after garbage.

The CRC is CRC-32/ISO-HDLC over header and payload with the message's layout hash as its start value, so that a
frame of another layout never passes. Byte stuffing turns one flipped bit into many, which is why a 16-bit CRC does
not do and why the length in the header must match exactly.

Source: S. Cheshire and M. Baker, "Consistent Overhead Byte Stuffing", IEEE/ACM Trans. Networking 7(2), 1999;
IEEE 802.3 for the polynomial.
"""

from __future__ import annotations

import struct
import zlib
from collections import Counter
from typing import Final

from isoalign.protocol.errors import FrameError, FrameFault
from isoalign.protocol.layout import PAYLOAD_MAX_BYTES, Message
from isoalign.protocol.messages import MESSAGES
from isoalign.protocol.readers import READERS
from isoalign.protocol.reading import CRC_BYTES, CRC_RESIDUE, HEADER, HEADER_BYTES, Frame, Header
from isoalign.protocol.stuffing import StuffingError, stuff, unstuff

__all__ = [
    "DELIMITER",
    "FRAME_MAX_BYTES",
    "HEADER_BYTES",
    "Frame",
    "FrameReader",
    "Header",
    "decode",
    "encode",
]

_NO_HEADER: Final = Header()
_CRC: Final = struct.Struct("<I")
FRAME_MAX_BYTES: Final = HEADER_BYTES + PAYLOAD_MAX_BYTES + CRC_BYTES + 1
"""Largest frame without its delimiter: COBS adds one byte up to 254."""
DELIMITER: Final = b"\0"


def encode(message: Message, header: Header = _NO_HEADER) -> bytes:
    """The bytes of one frame with its delimiter.

    Raises
    ------
    FrameError
        When the message is a bulk record, or the header does not fit its fields.
    """
    if message.IS_BULK:
        raise FrameError(FrameFault.UNKNOWN_MESSAGE, f"{message.NAME} is a bulk record and has no frame")
    payload = message.pack()
    try:
        head = HEADER.pack(
            len(payload), message.ID, 0, header.session, header.seq, header.ack, header.tx_time_us & 0xFFFFFFFF
        )
    except struct.error as error:
        raise FrameError(FrameFault.FIELD, f"header of {message.NAME}: {error}") from error
    body = head + payload
    return stuff(body + _CRC.pack(zlib.crc32(body, message.SEED))) + DELIMITER


def decode(stuffed: bytes) -> Frame:
    """The frame of the bytes between two delimiters.

    Raises
    ------
    FrameError
        Whatever is wrong with the bytes; nothing else is ever raised.
    """
    if len(stuffed) > FRAME_MAX_BYTES:
        raise FrameError(FrameFault.TOO_LONG, f"{len(stuffed)} bytes, at most {FRAME_MAX_BYTES}")
    try:
        body = unstuff(stuffed)
    except StuffingError as error:
        raise FrameError(FrameFault.STUFFING, str(error)) from error
    reader = READERS.get(body[:4])
    if reader is None:
        raise _why_unknown(body)
    return reader(body)


def _why_unknown(body: bytes) -> FrameError:
    """The reason for which no message begins like this: length, id and flags together are one of a few."""
    payload_bytes = len(body) - HEADER_BYTES - CRC_BYTES
    if payload_bytes < 0:
        return FrameError(FrameFault.TOO_SHORT, f"{len(body)} bytes, at least {HEADER_BYTES + CRC_BYTES}")
    length, message_id, flags, *_ = HEADER.unpack_from(body)
    if length != payload_bytes:
        return FrameError(FrameFault.LENGTH, f"header says {length} bytes of payload, there are {payload_bytes}")
    kind = MESSAGES.get(message_id)
    if kind is None or kind.IS_BULK:
        return FrameError(FrameFault.UNKNOWN_MESSAGE, f"message id 0x{message_id:04X}")
    if zlib.crc32(body, kind.SEED) != CRC_RESIDUE:
        return FrameError(FrameFault.CHECKSUM, kind.NAME)
    if flags:
        return FrameError(FrameFault.FLAGS, f"0x{flags:02X}")
    return FrameError(FrameFault.LENGTH, f"{kind.NAME} has {kind.STRUCT.size} bytes of payload, not {length}")


class FrameReader:
    """Cuts a stream of bytes into frames. Never raises; counts what it had to drop.

    Attributes
    ----------
    rejected : Counter[FrameFault]
        How many frames were dropped, by reason.
    """

    def __init__(self) -> None:
        self.rejected: Counter[FrameFault] = Counter()
        self._pending = bytearray()
        self._skipping = False

    def feed(self, data: bytes) -> list[Frame]:
        """The whole frames that end within ``data``, in order."""
        frames: list[Frame] = []
        *ended, rest = data.split(DELIMITER)
        if ended and (self._pending or self._skipping):
            self._append(ended[0])
            ended[0] = bytes(self._pending)  # empty when the frame was too long
            self.reset()
        for part in ended:
            if part:
                try:
                    body = unstuff(part)
                    frames.append(READERS[body[:4]](body))
                except (KeyError, StuffingError, FrameError):
                    self._look_again(part, frames)
        self._append(rest)
        return frames

    def reset(self) -> None:
        """Forget a frame that has only begun; counts stay."""
        self._pending.clear()
        self._skipping = False

    def _look_again(self, part: bytes, frames: list[Frame]) -> None:
        """Take one thing after the other, to count a refused frame under the right reason."""
        try:
            frames.append(decode(part))
        except FrameError as error:
            self.rejected[error.fault] += 1

    def _append(self, part: bytes) -> None:
        if self._skipping:
            return
        self._pending += part
        if len(self._pending) > FRAME_MAX_BYTES:
            self.rejected[FrameFault.TOO_LONG] += 1
            self._pending.clear()
            self._skipping = True
