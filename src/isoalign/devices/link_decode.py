"""A recorded link as messages: what was said, by whom and when, and what was wrong with what could not be read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import Any

from isoalign.devices.link_log import LogRecord, RecordKind
from isoalign.protocol import Frame, FrameError, decode
from isoalign.protocol.framing import DELIMITER, FRAME_MAX_BYTES
from isoalign.protocol.layout import Message

TO_HOST, TO_DEVICE = "to host", "to device"
_SHOWN_BYTES = 24
_SCALES: dict[str, tuple[float, str, int]] = {
    "udeg": (1e-6, "°", 5),
    "us": (1e-3, "ms", 3),
    "v": (1e-3, "kV", 3),
    "ua": (1e-3, "mA", 3),
    "permille": (0.1, "%", 1),
    "c": (1e-3, "°C", 1),
}
"""By the last word of a field's name: what a wire count is worth, in which unit, and how many digits are shown."""


@dataclass(frozen=True, slots=True)
class LinkLine:
    """One line of a decoded link.

    Attributes
    ----------
    time_s : float
        Monotonic, of the computer that recorded; for a frame that came in pieces, of its last one.
    direction : str
        "to host", "to device", or empty for what happened to the line itself.
    name : str
        Of the message; "BAD FRAME", "LINE OPENED", "LINE CLOSED" or "BYTES MISSING" for what is none.
    frame : Frame or None
    fields : dict or None
        Of a record of an image connection, which is no frame.
    remark : str
        Why a frame is bad, why the line was closed, how many bytes are missing.
    """

    time_s: float
    direction: str
    name: str
    frame: Frame | None = None
    fields: dict[str, Any] | None = None
    remark: str = ""

    def to_dict(self) -> dict[str, Any]:
        """JSON types; numbers as they are on the wire, enumerations by name."""
        facts: dict[str, Any] = {"time_s": self.time_s, "direction": self.direction, "message": self.name}
        if self.fields is not None:
            return facts | {"fields": self.fields}
        if self.frame is None:
            return facts | {"remark": self.remark}
        header, message = self.frame.header, self.frame.message
        fields = {field.name: _plain(getattr(message, field.name)) for field in message.FIELDS}
        return facts | {"session": header.session, "seq": header.seq, "ack": header.ack, "fields": fields}


def decode_records(records: Iterable[LogRecord]) -> Iterator[LinkLine]:
    """The messages of a record, in the order in which they were complete."""
    pending = {RecordKind.RECEIVED: bytearray(), RecordKind.SENT: bytearray()}
    for record in records:
        if record.kind in pending:
            direction = TO_HOST if record.kind is RecordKind.RECEIVED else TO_DEVICE
            yield from _frames(record.time_s, direction, pending[record.kind], record.data)
            continue
        for rest in pending.values():
            rest.clear()
        if record.kind is RecordKind.OPENED:
            yield line_opened(record)
        elif record.kind is RecordKind.CLOSED:
            yield line_closed(record)
        else:
            yield bytes_missing(record)


def line_opened(record: LogRecord) -> LinkLine:
    """The line was opened."""
    return LinkLine(record.time_s, "", "LINE OPENED")


def line_closed(record: LogRecord) -> LinkLine:
    """The line was closed, and why."""
    return LinkLine(record.time_s, "", "LINE CLOSED", remark=record.data.decode(errors="replace"))


def bytes_missing(record: LogRecord) -> LinkLine:
    """Some bytes are not in the record."""
    missing = f"{record.dropped_bytes} bytes could not be recorded in time"
    return LinkLine(record.time_s, "", "BYTES MISSING", remark=missing)


def _frames(time_s: float, direction: str, pending: bytearray, data: bytes) -> Iterator[LinkLine]:
    pending += data
    *ended, rest = bytes(pending).split(DELIMITER)
    pending[:] = rest
    if len(pending) > FRAME_MAX_BYTES:
        yield _bad(time_s, direction, bytes(pending), f"no end of a frame within {FRAME_MAX_BYTES} bytes")
        pending.clear()
    for part in ended:
        if part:
            try:
                frame = decode(part)
            except FrameError as error:
                yield _bad(time_s, direction, part, error.message)
            else:
                yield LinkLine(time_s, direction, frame.message.NAME, frame)


def _bad(time_s: float, direction: str, data: bytes, reason: str) -> LinkLine:
    shown = data[:_SHOWN_BYTES].hex(" ") + (" ..." if len(data) > _SHOWN_BYTES else "")
    return LinkLine(time_s, direction, "BAD FRAME", remark=f"{reason} ({len(data)} bytes: {shown})")


def line_in_words(line: LinkLine) -> str:
    """Fields or remark of a line, for people."""
    if line.frame is not None:
        return fields_in_words(line.frame.message)
    if line.fields is None:
        return line.remark
    return "  ".join(
        f"{name.replace('_', ' ')} {f'0x{value:X}' if name.endswith('_crc') else value}"
        for name, value in line.fields.items()
    )


def fields_in_words(message: Message) -> str:
    """Every field of a message with its unit, for people."""
    return "  ".join(f"{_label(field.name)} {_shown(message, field.name)}" for field in message.FIELDS)


def _label(name: str) -> str:
    words = name.split("_")
    if "per" in words:
        words = words[: words.index("per")]
    if words[-1] == "c":
        words = words[:-2]
    return " ".join(words[:-1] if words[-1] in {*_SCALES, "micro"} and len(words) > 1 else words)


def value_in_words(value: IntEnum | IntFlag) -> str:
    """An enumerated value by its name, flags by all their names."""
    if isinstance(value, IntFlag):
        return "+".join(flag.name or "?" for flag in type(value) if flag in value) or "none"
    return value.name


def _shown(message: Message, name: str) -> str:
    value = getattr(message, name)
    if isinstance(value, IntFlag | IntEnum):
        return value_in_words(value)
    if value is None:
        return "n/a"
    words = name.split("_")
    rate = "/" + "_".join(words[words.index("per") + 1 :]) if "per" in words else ""
    rate = rate.replace("s2", "s²").replace("s3", "s³")
    kind = words[words.index("per") - 1] if "per" in words else words[-1]
    if kind == "micro":
        return _axes(value, rate) if isinstance(value, tuple) else _axis(value, getattr(message, "axis", 0), rate)
    if kind == "hash" or name == "pixels_crc":
        return f"0x{value:X}"
    if kind in _SCALES and isinstance(value, int):
        scale, unit, digits = _SCALES[kind]
        return f"{value * scale:.{digits}f} {unit}{rate}"
    return str(value)


def _axes(values: tuple[int | None, ...], rate: str) -> str:
    places = [_number(value, axis) for axis, value in enumerate(values)]
    return f"[{' '.join(places[:3])} mm{rate} {' '.join(places[3:])} °{rate}]"


def _axis(value: int, axis: int, rate: str) -> str:
    return f"{value / (1e3 if axis < 3 else 1e6):g} {'mm' if axis < 3 else '°'}{rate}"


def _number(value: int | None, axis: int) -> str:
    if value is None:
        return "n/a"
    return f"{value / 1e3:.3f}" if axis < 3 else f"{value / 1e6:.4f}"


def _plain(value: object) -> object:
    if isinstance(value, IntFlag):
        return [flag.name for flag in type(value) if flag in value]
    if isinstance(value, IntEnum):
        return value.name
    if isinstance(value, bytes):
        return value.hex()
    return list(value) if isinstance(value, tuple) else value
