"""How a message becomes payload bytes and back: field descriptions and the base class of all messages.

Integers only, little-endian, no padding. Nothing here knows a concrete message; those are generated from
``firmware_protocols/`` into :mod:`isoalign.protocol.messages`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from itertools import accumulate
from typing import TYPE_CHECKING, ClassVar, Final, Self

from isoalign.protocol.errors import FrameError, FrameFault, InvalidField

PAYLOAD_MAX_BYTES: Final = 230
_NOT_AVAILABLE: Final = {"i": -(2**31), "I": 2**32 - 1}


@dataclass(frozen=True, slots=True)
class Field:
    """One field on the wire.

    Attributes
    ----------
    code : str
        Format character of :mod:`struct`; "s" for text, "" for trailing data of a bulk record.
    count : int
        Number of elements; bytes of a text.
    minimum, maximum : int
        Range of an integer without enumeration.
    nullable : bool
        Whether None ("not available") is allowed; INT32_MIN or UINT32_MAX on the wire.
    """

    name: str
    code: str
    count: int = 1
    minimum: int = 0
    maximum: int = 0
    nullable: bool = False
    enum: type[IntEnum | IntFlag] | None = None

    def check(self, owner: str, value: object) -> object:
        """``value`` in the type that the message promises; raises :class:`InvalidField`."""
        if self.code == "":
            if not isinstance(value, bytes):
                raise InvalidField(f"{owner}.{self.name}", value)
            return value
        if self.code == "s":
            if not isinstance(value, str) or not value.isascii() or len(value) > self.count or "\0" in value:
                raise InvalidField(f"{owner}.{self.name}", value)
            return value
        if self.count == 1:
            return self._check_one(owner, value)
        if not isinstance(value, tuple | list) or len(value) != self.count:
            raise InvalidField(f"{owner}.{self.name}", value)
        return tuple(self._check_one(owner, element) for element in value)

    def _check_one(self, owner: str, value: object) -> int | None:
        if value is None and self.nullable:
            return None
        if not isinstance(value, int) or isinstance(value, bool):
            raise InvalidField(f"{owner}.{self.name}", value)
        if self.enum is None:
            if not self.minimum <= value <= self.maximum:
                raise InvalidField(f"{owner}.{self.name}", value)
            return value
        if issubclass(self.enum, IntFlag):
            if value < 0 or value & ~_all_bits(self.enum):
                raise InvalidField(f"{owner}.{self.name}", value)
            return self.enum(value)
        try:
            return self.enum(value)
        except ValueError:
            raise InvalidField(f"{owner}.{self.name}", value) from None

    def to_wire(self, value: object) -> Iterator[int | bytes]:
        """The numbers that :mod:`struct` packs for a checked value."""
        if self.code == "s":
            assert isinstance(value, str)
            yield value.encode("ascii")
            return
        elements = value if isinstance(value, tuple) else (value,)
        for element in elements:
            yield _NOT_AVAILABLE[self.code] if element is None else element

    def from_wire(self, raw: tuple[int | bytes, ...]) -> object:
        """The value of the numbers that :mod:`struct` unpacked; not yet checked."""
        if self.code == "s":
            text = raw[0]
            assert isinstance(text, bytes)
            content = text.rstrip(b"\0")
            return content.decode("ascii", errors="replace")
        if self.nullable:
            absent = _NOT_AVAILABLE[self.code]
            values = tuple(None if element == absent else element for element in raw)
            return values if self.count > 1 else values[0]
        return raw if self.count > 1 else raw[0]


def _all_bits(flags: type[IntFlag]) -> int:
    total = 0
    for member in flags:
        total |= member.value
    return total


def payload_struct(fields: tuple[Field, ...]) -> struct.Struct:
    """The fixed part of a payload."""
    parts = [f"{field.count}s" if field.code == "s" else field.code * field.count for field in fields if field.code]
    return struct.Struct("<" + "".join(parts))


class LateArrays:
    """The arrays that a received message makes of its bytes only when somebody asks for one of them.

    Only arrays in which every pattern of bits means something are left for later: there is nothing to check in them.

    Parameters
    ----------
    layout : str
        Of :mod:`struct`, over header and payload; everything but the arrays is padding.
    not_available : int
        The number that means None.
    counts : dict[str, int]
        Names of the arrays in their order, and their elements.
    """

    def __init__(self, layout: str, not_available: int, counts: dict[str, int]) -> None:
        self._unpack = struct.Struct(layout).unpack_from
        self._not_available = not_available
        ends = list(accumulate(counts.values()))
        self.parts = {name: slice(end - counts[name], end) for name, end in zip(counts, ends, strict=True)}

    def fill(self, message: Message, wire: bytes) -> None:
        """Give a message that has just been received all of them."""
        numbers: tuple[int | None, ...] = self._unpack(wire)
        absent = self._not_available
        if absent in numbers:
            numbers = tuple([None if number == absent else number for number in numbers])
        for name, part in self.parts.items():
            object.__setattr__(message, name, numbers[part])


class Message:
    """Base of all messages. Fields are checked when a message is made, on both ends of a link."""

    __slots__ = ("_wire",)
    LATE: ClassVar[LateArrays | None] = None
    NAME: ClassVar[str]
    ID: ClassVar[int]
    SEED: ClassVar[int]
    NEEDS_SESSION: ClassVar[bool] = True
    FROM_HOST: ClassVar[bool] = False
    IS_COMMAND: ClassVar[bool] = False
    IS_BULK: ClassVar[bool] = False
    FIELDS: ClassVar[tuple[Field, ...]]
    STRUCT: ClassVar[struct.Struct]

    def __post_init__(self) -> None:
        for field in self.FIELDS:
            given = getattr(self, field.name)
            checked = field.check(self.NAME, given)
            if checked is not given:
                object.__setattr__(self, field.name, checked)

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> object:
            """Called for an empty slot only: fills in the late arrays, which are kept from then on."""
            if self.LATE is None or name not in self.LATE.parts:
                raise AttributeError(f"{type(self).__name__} has no {name}")
            self.LATE.fill(self, self._wire)
            return getattr(self, name)

    def pack(self) -> bytes:
        """The payload bytes."""
        numbers: list[int | bytes] = []
        tail = b""
        for field in self.FIELDS:
            if field.code:
                numbers.extend(field.to_wire(getattr(self, field.name)))
            else:
                tail = getattr(self, field.name)
        return self.STRUCT.pack(*numbers) + tail

    @classmethod
    def unpack(cls, payload: bytes) -> Self:
        """The message of a payload.

        Raises
        ------
        FrameError
            When the size is not exactly right or a field is out of range.
        """
        fixed = cls.STRUCT.size
        has_data = bool(cls.FIELDS) and cls.FIELDS[-1].code == ""
        if len(payload) < fixed or (len(payload) > fixed and not has_data):
            raise FrameError(FrameFault.LENGTH, f"{cls.NAME} has {fixed} bytes of payload, not {len(payload)}")
        numbers = cls.STRUCT.unpack_from(payload)
        values: dict[str, object] = {}
        at = 0
        for field in cls.FIELDS:
            if not field.code:
                values[field.name] = bytes(payload[fixed:])
                continue
            width = 1 if field.code == "s" else field.count
            values[field.name] = field.from_wire(numbers[at : at + width])
            at += width
        return cls(**values)
