"""Writes ``src/isoalign/protocol/readers.py``: for every message the short way from bytes to a checked record."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, field

from definitions import (
    HEADER_BYTES,
    NOT_AVAILABLE,
    STRUCT_CODE,
    Definitions,
    FieldDefinition,
    MessageDefinition,
)

HEAD = '''# ruff: noqa
# fmt: off
"""One function per message that makes a checked frame of its bytes; :mod:`isoalign.protocol.reading` says how.

Generated from ``firmware_protocols/*.yaml`` by ``firmware_protocols/generate.py``. Do not edit: change the
definitions and generate again.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from typing import Final

from isoalign.protocol import messages as m
from isoalign.protocol.reading import (
    CRC_RESIDUE,
    FRAME_TWIN,
    HEADER_TWIN,
    Frame,
    Header,
    crc32,
    new,
    table_of,
    twin_of,
    why_refused,
)
'''
TAKEN = {"body", "header", "message", "frame", "m", "new", "crc32"}


@dataclass
class _Parts:
    """The pieces of one reader."""

    layout: list[str] = field(default_factory=lambda: ["<4xIHHI"])
    targets: list[str] = field(default_factory=lambda: [f"header.{n}" for n in ("session", "seq", "ack", "tx_time_us")])
    wrong: list[str] = field(default_factory=list)
    look_ups: list[str] = field(default_factory=list)
    stores: list[str] = field(default_factory=list)


def _table(enum: str) -> str:
    return "".join("_" + c if c.isupper() else c.upper() for c in enum)


def _outside(name: str, one: FieldDefinition) -> str:
    """The condition under which a number is out of range; empty when the bytes carry no other numbers."""
    low, high = one.minimum, one.maximum
    assert low is not None
    assert high is not None
    lowest, highest = one.unchecked
    if one.nullable:
        absent = NOT_AVAILABLE[one.type]
        if low <= lowest + (absent == lowest) and high >= highest - (absent == highest):
            return ""
        return f"{name} != {absent} and not {low} <= {name} <= {high}"
    if low > lowest and high < highest:
        return f"not {low} <= {name} <= {high}"
    return f"{name} < {low}" if low > lowest else f"{name} > {high}" if high < highest else ""


def _value(name: str, one: FieldDefinition) -> str:
    return f"None if {name} == {NOT_AVAILABLE[one.type]} else {name}" if one.nullable else name


def _add(parts: _Parts, one: FieldDefinition) -> None:
    """Add what one field needs."""
    name = one.name
    assert name not in TAKEN, name
    if one.is_unlimited_array:
        parts.layout.append(f"{one.byte_count}x")
    elif one.type == "text":
        parts.layout.append(f"{one.count}s")
        parts.targets.append(name)
        parts.wrong += [f"not {name}.isascii()", f"0 in {name}.rstrip(b'\\0')"]
        parts.stores.append(f"message.{name} = {name}.rstrip(b'\\0').decode('ascii')")
    elif one.count > 1:
        parts.layout.append(STRUCT_CODE[one.type] * one.count)
        numbers = [f"{name}_{index}" for index in range(one.count)]
        parts.targets += numbers
        parts.wrong += [condition for condition in (_outside(number, one) for number in numbers) if condition]
        values = [f"    {_value(number, one)}," for number in numbers]
        parts.stores += [f"message.{name} = (", *values, ")"]
    elif one.enum:
        parts.layout.append(STRUCT_CODE[one.type])
        parts.targets.append(name)
        parts.look_ups.append(f"message.{name} = {_table(one.enum)}[{name}]")
    else:
        parts.layout.append(STRUCT_CODE[one.type])
        wrong, value = _outside(name, one), _value(name, one)
        if not wrong and value == name:
            parts.targets.append(f"message.{name}")
            return
        parts.targets.append(name)
        parts.wrong += [wrong] if wrong else []
        parts.stores.append(f"message.{name} = {value}")


def _checks(parts: _Parts, refuse: str) -> list[str]:
    lines = []
    if parts.wrong:
        conditions = [f"({one})" if " and " in one else one for one in parts.wrong]
        lines = [f"    if {conditions[0]}:", refuse]
        if len(conditions) > 1:
            rest = [f"        or {condition}" for condition in conditions[1:]]
            lines = ["    if (", f"        {conditions[0]}", *rest, "    ):", refuse]
    if parts.look_ups:
        lines += [
            "    try:",
            *(f"        {line}" for line in parts.look_ups),
            "    except KeyError:",
            f"{refuse} from None",
        ]
    return lines


def _reader(message: MessageDefinition) -> list[str]:
    """The function that makes a frame of header, payload and CRC, or raises."""
    parts = _Parts()
    for one in message.fields:
        _add(parts, one)
    refuse = f"        raise why_refused(m.{message.class_name}, body)"
    total = HEADER_BYTES + message.byte_count + 4
    targets = textwrap.wrap(", ".join(parts.targets), 112, initial_indent="        ", subsequent_indent="        ")
    return [
        f'_{message.name}: Final = Struct("{"".join(parts.layout)}4x").unpack',
        f"_{message.name}_TWIN: Final = twin_of(m.{message.class_name})",
        "",
        "",
        f"def _read_{message.name.lower()}(body: bytes) -> Frame:",
        f"    if len(body) != {total} or crc32(body, 0x{message.seed:08X}) != CRC_RESIDUE:",
        refuse,
        f"    header, message, frame = new(HEADER_TWIN), new(_{message.name}_TWIN), new(FRAME_TWIN)",
        "    (",
        *targets,
        f"    ) = _{message.name}(body)",
        *_checks(parts, refuse),
        *(f"    {line}" for line in parts.stores),
        *(["    message._wire = body"] if any(one.is_unlimited_array for one in message.fields) else []),
        f"    message.__class__ = m.{message.class_name}",
        "    header.__class__ = Header",
        "    frame.header, frame.message = header, message",
        "    frame.__class__ = Frame",
        "    return frame  # type: ignore[no-any-return]",
    ]


def readers_source(definitions: Definitions) -> str:
    """The text of readers.py."""
    framed = [message for message in definitions.messages if message.kind != "bulk"]
    used = {one.enum for message in framed for one in message.fields if one.enum}
    out = [HEAD]
    out += [f"{_table(enum.name)}: Final = table_of(m.{enum.name})" for enum in definitions.enums if enum.name in used]
    for message in framed:
        out += ["", "", *_reader(message)]
    out += ["", "", "READERS: Final[dict[bytes, Callable[[bytes], Frame]]] = {"]
    for message in framed:
        start = message.byte_count.to_bytes(1, "little") + message.id.to_bytes(2, "little") + b"\0"
        out.append(f'    b"{"".join(f"{chr(92)}x{byte:02x}" for byte in start)}": _read_{message.name.lower()},')
    out += [
        "}",
        '"""What reads a body (header, payload, CRC), by its first four bytes: length, id and no flags."""',
        "",
    ]
    return "\n".join(out)
