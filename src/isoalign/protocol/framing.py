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
from dataclasses import dataclass
from typing import Final

from cobs import cobs

from isoalign.protocol.errors import FrameError, FrameFault
from isoalign.protocol.layout import PAYLOAD_MAX_BYTES, Message
from isoalign.protocol.messages import MESSAGES

_HEADER: Final = struct.Struct("<BHBIHHI")
_CRC: Final = struct.Struct("<I")
HEADER_BYTES: Final = _HEADER.size
FRAME_MAX_BYTES: Final = HEADER_BYTES + PAYLOAD_MAX_BYTES + _CRC.size + 1
"""Largest frame without its delimiter: COBS adds one byte up to 254."""
DELIMITER: Final = b"\0"


@dataclass(frozen=True, slots=True)
class Header:
    """What stands before every payload.

    Attributes
    ----------
    session : int
        Random number of the session; 0 outside of any.
    seq : int
        Counts the sender's frames, modulo 65536.
    ack : int
        Latest ``seq`` that the sender has received.
    tx_time_us : int
        Low 32 bits of the sender's time when it sent the frame, µs.
    """

    session: int = 0
    seq: int = 0
    ack: int = 0
    tx_time_us: int = 0


@dataclass(frozen=True, slots=True)
class Frame:
    """One received message with its header."""

    header: Header
    message: Message


def encode(message: Message, header: Header = Header()) -> bytes:
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
        head = _HEADER.pack(
            len(payload), message.ID, 0, header.session, header.seq, header.ack, header.tx_time_us & 0xFFFFFFFF
        )
    except struct.error as error:
        raise FrameError(FrameFault.FIELD, f"header of {message.NAME}: {error}") from error
    body = head + payload
    return bytes(cobs.encode(body + _CRC.pack(zlib.crc32(body, message.SEED)))) + DELIMITER


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
        body = bytes(cobs.decode(stuffed))
    except cobs.DecodeError as error:
        raise FrameError(FrameFault.STUFFING, str(error)) from error
    if len(body) < HEADER_BYTES + _CRC.size:
        raise FrameError(FrameFault.TOO_SHORT, f"{len(body)} bytes, at least {HEADER_BYTES + _CRC.size}")
    length, message_id, flags, session, seq, ack, tx_time_us = _HEADER.unpack_from(body)
    if length != len(body) - HEADER_BYTES - _CRC.size:
        raise FrameError(
            FrameFault.LENGTH, f"header says {length} bytes of payload, there are {len(body) - HEADER_BYTES - 4}"
        )
    kind = MESSAGES.get(message_id)
    if kind is None or kind.IS_BULK:
        raise FrameError(FrameFault.UNKNOWN_MESSAGE, f"message id 0x{message_id:04X}")
    (expected,) = _CRC.unpack_from(body, len(body) - _CRC.size)
    if zlib.crc32(body[: -_CRC.size], kind.SEED) != expected:
        raise FrameError(FrameFault.CHECKSUM, kind.NAME)
    if flags:
        raise FrameError(FrameFault.FLAGS, f"0x{flags:02X}")
    return Frame(Header(session, seq, ack, tx_time_us), kind.unpack(body[HEADER_BYTES : -_CRC.size]))


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
        for part in ended:
            self._append(part)
            if self._skipping:
                self._skipping = False
            elif self._pending:
                try:
                    frames.append(decode(bytes(self._pending)))
                except FrameError as error:
                    self.rejected[error.fault] += 1
            self._pending.clear()
        self._append(rest)
        return frames

    def reset(self) -> None:
        """Forget a frame that has only begun; counts stay."""
        self._pending.clear()
        self._skipping = False

    def _append(self, part: bytes) -> None:
        if self._skipping:
            return
        self._pending += part
        if len(self._pending) > FRAME_MAX_BYTES:
            self.rejected[FrameFault.TOO_LONG] += 1
            self._pending.clear()
            self._skipping = True
