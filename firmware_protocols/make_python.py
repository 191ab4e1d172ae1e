"""Writes ``src/isoalign/protocol/messages.py`` from the definitions."""

from __future__ import annotations

import textwrap

from definitions import (
    HEADER_BYTES,
    NOT_AVAILABLE,
    STRUCT_CODE,
    Definitions,
    EnumDefinition,
    FieldDefinition,
    MessageDefinition,
)

HEAD = '''"""All messages of the firmware protocol.

Generated from ``firmware_protocols/*.yaml`` by ``firmware_protocols/generate.py``. Do not edit: change the
definitions and generate again.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, IntFlag
from struct import Struct
from typing import ClassVar, Final

from isoalign.protocol.layout import Field, LateArrays, Message, payload_struct
'''


def _doc(text: str, indent: str) -> list[str]:
    text = text[0].upper() + text[1:]
    text = text if text.endswith(".") else text + "."
    one = f'{indent}"""{text}"""'
    if len(one) <= 120:
        return [one]
    lines = textwrap.wrap(text, 110 - len(indent))
    return [f'{indent}"""' + lines[0], *(indent + line for line in lines[1:]), f'{indent}"""']


def _enum(enum: EnumDefinition) -> list[str]:
    lines = [f"class {enum.name}({'IntFlag' if enum.flags else 'IntEnum'}):", *_doc(enum.meaning, "    "), ""]
    for name, value, meaning in enum.values:
        lines += [f"    {name} = {value}", *_doc(meaning, "    ")]
    return lines


def _annotation(field: FieldDefinition) -> str:
    if field.type == "text":
        return "str"
    if field.type == "data":
        return "bytes"
    base = (field.enum or "int") + (" | None" if field.nullable else "")
    return base if field.count == 1 else f"tuple[{base}, ...]"


def _field_spec(field: FieldDefinition) -> str:
    if field.type == "data":
        return f'Field("{field.name}", "")'
    if field.type == "text":
        return f'Field("{field.name}", "s", {field.count})'
    parts = [f'"{field.name}"', f'"{STRUCT_CODE[field.type]}"']
    if field.count != 1:
        parts.append(str(field.count))
    if field.minimum is not None and field.maximum is not None:
        parts += [f"minimum={field.minimum}", f"maximum={field.maximum}"]
    if field.nullable:
        parts.append("nullable=True")
    if field.enum:
        parts.append(f"enum={field.enum}")
    return f"Field({', '.join(parts)})"


def _late_arrays(message: MessageDefinition) -> list[str]:
    """The class variable that says how to make the arrays that need no check."""
    late = [field for field in message.fields if field.is_unlimited_array]
    if not late or message.kind == "bulk":
        return []
    (kind,) = {field.type for field in late}
    layout = f"<{HEADER_BYTES}x" + "".join(
        f"{field.count}{STRUCT_CODE[kind]}" if field in late else f"{field.byte_count}x" for field in message.fields
    )
    counts = [f'        "{field.name}": {field.count},' for field in late]
    start = f'    LATE: ClassVar[LateArrays | None] = LateArrays("{layout}", {NOT_AVAILABLE[kind]}, {{'
    return [start, *counts, "    })"]


def _message(message: MessageDefinition) -> list[str]:
    lines = ["@dataclass(frozen=True, slots=True)", f"class {message.class_name}(Message):"]
    lines += [*_doc(message.meaning, "    "), ""]
    lines += [
        f'    NAME: ClassVar[str] = "{message.name}"',
        f"    ID: ClassVar[int] = 0x{message.id:04X}",
        f"    SEED: ClassVar[int] = 0x{message.seed:08X}",
    ]
    for flag, unusual in (
        ("NEEDS_SESSION: ClassVar[bool] = False", message.session != "required"),
        ("FROM_HOST: ClassVar[bool] = True", message.direction == "host_to_device"),
        ("IS_COMMAND: ClassVar[bool] = True", message.kind == "command"),
        ("IS_BULK: ClassVar[bool] = True", message.kind == "bulk"),
    ):
        if unusual:
            lines.append(f"    {flag}")
    specs = [_field_spec(field) for field in message.fields]
    if len(specs) > 1:
        lines += ["    FIELDS: ClassVar[tuple[Field, ...]] = (", *(f"        {spec}," for spec in specs), "    )"]
    else:
        lines.append(f"    FIELDS: ClassVar[tuple[Field, ...]] = ({''.join(f'{spec},' for spec in specs)})")
    lines.append("    STRUCT: ClassVar = payload_struct(FIELDS)")
    lines += _late_arrays(message)
    if message.fields:
        lines.append("")
    for field in message.fields:
        unit = f" ({field.unit})" if field.unit else ""
        lines += [f"    {field.name}: {_annotation(field)}", *_doc(field.meaning + unit, "    ")]
    return lines


def python_source(definitions: Definitions) -> str:
    """The text of messages.py."""
    out = [HEAD]
    out.append(f"PROTOCOL_MAJOR: Final = {definitions.major}")
    out.append(f"PROTOCOL_MINOR: Final = {definitions.minor}")
    for _, name, value, meaning in definitions.constants:
        out += [f"{name.upper()}: Final = {value}", *_doc(meaning, "")]
    for enum in definitions.enums:
        out += ["", "", *_enum(enum)]
    for message in definitions.messages:
        out += ["", "", *_message(message)]
    out += ["", "", "MESSAGES: Final[dict[int, type[Message]]] = {"]
    out += [f"    0x{m.id:04X}: {m.class_name}," for m in definitions.messages]
    out += ["}", '"""Every message by its id."""', ""]
    out.append("DICTIONARY_HASHES: Final[dict[DeviceKind, int]] = {")
    for kind, _, _ in next(enum.values for enum in definitions.enums if enum.name == "DeviceKind"):
        out.append(f"    DeviceKind.{kind}: 0x{definitions.dictionary_hash(kind.lower()):016X},")
    out += ["}", '"""What host and device compare before they trust each other, by device."""', ""]
    return "\n".join(out)
