"""What the generated :mod:`isoalign.protocol.readers` are made of: the short way from bytes to a message.

A reader checks length, checksum, ranges and enumerations in straight lines of code and fills a *twin* of the message, a
class with the same slots that is not frozen; at the end the twin becomes the message. Neither happens field by field
through ``object.__setattr__``, which is what makes frozen records slow to fill. A reader that does not like what it
sees asks :func:`why_refused`, which goes the long way over :meth:`~isoalign.protocol.layout.Message.unpack` and names
the reason.

Arrays in which every pattern of bits is a valid value need no check. They stay bytes until somebody reads them.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import Any, Final

from isoalign.protocol.errors import FrameError, FrameFault
from isoalign.protocol.layout import Message

HEADER: Final = struct.Struct("<BHBIHHI")
HEADER_BYTES: Final = HEADER.size
CRC_BYTES: Final = 4
CRC_RESIDUE: Final = 0x2144DF1C
"""What CRC-32 gives over any content together with its own CRC, whatever the seed."""
_FLAGS_REMEMBERED_MOST: Final = 4096

new: Final = object.__new__
crc32: Final = zlib.crc32


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


def twin_of(record: type) -> Any:
    """A class with the slots of a frozen record whose instances can be filled and then become that record."""
    base = Message if issubclass(record, Message) else object
    return type(f"_{record.__name__}Twin", (base,), {"__slots__": record.__dict__["__slots__"]})


HEADER_TWIN: Final = twin_of(Header)
FRAME_TWIN: Final = twin_of(Frame)


class _Flags(dict[int, IntFlag]):
    """Combinations of flags by their number, made when first seen; KeyError for a bit that is not defined."""

    def __init__(self, flags: type[IntFlag]) -> None:
        self._flags = flags
        self._undefined = ~sum(member.value for member in flags)

    def __missing__(self, number: int) -> IntFlag:
        if number & self._undefined:
            raise KeyError(number)
        value = self._flags(number)
        if len(self) < _FLAGS_REMEMBERED_MOST:
            self[number] = value
        return value


def table_of(enum: type[IntEnum | IntFlag]) -> dict[int, Any]:
    """The members of an enumeration, or the combinations of flags, by number; KeyError for any other number."""
    if issubclass(enum, IntFlag):
        return _Flags(enum)
    return {member.value: member for member in enum}


def why_refused(kind: type[Message], body: bytes) -> FrameError:
    """The reason for which a body (header, payload, CRC) whose first four bytes are right is no message."""
    if len(body) < HEADER_BYTES + CRC_BYTES:
        return FrameError(FrameFault.TOO_SHORT, f"{len(body)} bytes, at least {HEADER_BYTES + CRC_BYTES}")
    expected = HEADER_BYTES + kind.STRUCT.size + CRC_BYTES
    if len(body) != expected:
        return FrameError(FrameFault.LENGTH, f"{kind.NAME} has {expected} bytes with header and CRC, not {len(body)}")
    if crc32(body, kind.SEED) != CRC_RESIDUE:
        return FrameError(FrameFault.CHECKSUM, kind.NAME)
    try:
        kind.unpack(body[HEADER_BYTES:-CRC_BYTES])
    except FrameError as error:
        return error
    return FrameError(FrameFault.FIELD, f"{kind.NAME} was refused")
