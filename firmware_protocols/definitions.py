"""Reads and checks the message definitions; what the generators work on."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import yaml

FOLDER = Path(__file__).parent
DEVICES = ("common", "couch", "generator", "panel", "pendant", "gantry")
PAYLOAD_MAX = 230
HEADER_BYTES = 16
STRUCT_CODE = {"u8": "B", "u16": "H", "u32": "I", "u64": "Q", "i16": "h", "i32": "i"}
BYTES = {"u8": 1, "u16": 2, "u32": 4, "u64": 8, "i16": 2, "i32": 4}
FULL_RANGE = {
    "u8": (0, 2**8 - 1),
    "u16": (0, 2**16 - 1),
    "u32": (0, 2**32 - 1),
    "u64": (0, 2**64 - 1),
    "i16": (-(2**15), 2**15 - 1),
    "i32": (-(2**31) + 1, 2**31 - 1),  # INT32_MIN means "not available" and is never a number
}
NOT_AVAILABLE = {"i32": -(2**31), "u32": 2**32 - 1}


class DefinitionError(Exception):
    """A definition makes no sense."""


@dataclass(frozen=True)
class FieldDefinition:
    """One field of a message; ``count`` is the size for text and 0 for data."""

    name: str
    type: str
    count: int
    unit: str
    minimum: int | None
    maximum: int | None
    nullable: bool
    enum: str | None
    meaning: str

    @property
    def byte_count(self) -> int:
        """Bytes on the wire; 0 for data."""
        return self.count if self.type in {"text", "data"} else BYTES[self.type] * self.count

    @property
    def unchecked(self) -> tuple[int, int]:
        """Least and greatest number that the bytes can carry."""
        bits = 8 * BYTES[self.type]
        return (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if self.type.startswith("i") else (0, 2**bits - 1)

    @property
    def is_unlimited_array(self) -> bool:
        """Whether this is an array in which every pattern of bits is a value or "not available"."""
        if self.count == 1 or not self.nullable:
            return False
        low, high = self.unchecked
        absent = NOT_AVAILABLE[self.type]
        return self.minimum == (low + 1 if absent == low else low) and self.maximum == (
            high - 1 if absent == high else high
        )

    @property
    def layout(self) -> str:
        """The field's line in the layout text."""
        low, high = ("-" if limit is None else str(limit) for limit in (self.minimum, self.maximum))
        return f"field {self.name} {self.type} {self.count} {low} {high} {int(self.nullable)} {self.enum or '-'}"


@dataclass(frozen=True)
class MessageDefinition:
    """One message."""

    name: str
    device: str
    id: int
    direction: str
    kind: str
    session: str
    meaning: str
    fields: tuple[FieldDefinition, ...]

    @property
    def class_name(self) -> str:
        """Name of the Python class."""
        return "".join(part.capitalize() for part in self.name.split("_"))

    @property
    def byte_count(self) -> int:
        """Bytes of the payload, without variable data."""
        return sum(field.byte_count for field in self.fields)

    @property
    def layout(self) -> str:
        """The text whose hash seeds the CRC."""
        return "\n".join([f"message {self.name} {self.id}", *(field.layout for field in self.fields)])

    @property
    def seed(self) -> int:
        """Start value of the CRC."""
        return int.from_bytes(hashlib.sha256(self.layout.encode()).digest()[:4], "little")


@dataclass(frozen=True)
class EnumDefinition:
    """One enumeration or set of flags."""

    name: str
    device: str
    meaning: str
    flags: bool
    values: tuple[tuple[str, int, str], ...]
    faults: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class Definitions:
    """All devices together."""

    major: int
    minor: int
    messages: tuple[MessageDefinition, ...]
    enums: tuple[EnumDefinition, ...]
    constants: tuple[tuple[str, str, int, str], ...]  # device, name, value, meaning

    def dictionary_hash(self, device: str) -> int:
        """Hash of all that ``device`` and its host must agree on."""
        parts = [message.layout for message in self.messages if message.device in {"common", device}]
        for enum in sorted((e for e in self.enums if e.device in {"common", device}), key=lambda e: e.name):
            lines = [f"enum {enum.name} {int(enum.flags)}"]
            lines += [f"value {name} {value}" for name, value, _ in enum.values]
            parts.append("\n".join(lines))
        constants = sorted((name, value) for owner, name, value, _ in self.constants if owner in {"common", device})
        parts += [f"constant {name} {value}" for name, value in constants]
        return int.from_bytes(hashlib.sha256("\n".join(parts).encode()).digest()[:8], "little")


def _field(name: str, raw: dict[str, Any]) -> FieldDefinition:
    kind = raw["type"]
    count = raw["size"] if kind == "text" else 0 if kind == "data" else raw.get("count", 1)
    nullable = bool(raw.get("nullable", False))
    low = high = None
    if kind in FULL_RANGE and "enum" not in raw:
        full_low, full_high = FULL_RANGE[kind]
        if nullable and kind == "u32":
            full_high -= 1
        low, high = raw.get("min", full_low), raw.get("max", full_high)
        if not full_low <= low <= high <= full_high:
            raise DefinitionError(f"field {name}: range {low}..{high} does not fit {kind}")
    return FieldDefinition(name, kind, count, raw.get("unit", ""), low, high, nullable, raw.get("enum"), raw["meaning"])


def _enums(device: str, raw: dict[str, Any]) -> list[EnumDefinition]:
    found = []
    for name, body in raw.get("enums", {}).items():
        values = sorted(((key, v["value"], v["meaning"]) for key, v in body["values"].items()), key=lambda v: v[1])
        found.append(EnumDefinition(name, device, body["meaning"], bool(body.get("flags")), tuple(values)))
    if "faults" in raw:
        body = raw["faults"]
        rows = sorted(({"name": key, **v} for key, v in body["values"].items()), key=lambda v: v["value"])
        values = [(row["name"], row["value"], row["meaning"]) for row in rows]
        found.append(EnumDefinition(body["enum"], device, body["meaning"], False, tuple(values), tuple(rows)))
    for enum in found:
        numbers = [value for _, value, _ in enum.values]
        if len(set(numbers)) != len(numbers):
            raise DefinitionError(f"enum {enum.name} uses a value twice")
        if enum.flags and any(number.bit_count() != 1 for number in numbers):
            raise DefinitionError(f"flags {enum.name}: every value must be one bit")
    return found


def load(folder: Path = FOLDER) -> Definitions:
    """Read the definition files, check them by the schema and against one another."""
    schema = json.loads((folder / "schema.json").read_text(encoding="utf-8"))
    messages: list[MessageDefinition] = []
    enums: list[EnumDefinition] = []
    constants: list[tuple[str, str, int, str]] = []
    version = {"major": 0, "minor": 0}
    for device in DEVICES:
        raw = yaml.safe_load((folder / f"{device}.yaml").read_text(encoding="utf-8"))
        jsonschema.validate(raw, schema)
        if raw["device"] != device:
            raise DefinitionError(f"{device}.yaml says that it describes {raw['device']}")
        version = raw.get("protocol", version)
        enums += _enums(device, raw)
        for group in ("timing", "limits"):
            constants += [(device, name, c["value"], c["meaning"]) for name, c in raw.get(group, {}).items()]
        for name, body in raw["messages"].items():
            fields = tuple(_field(key, value) for key, value in body["fields"].items())
            messages.append(
                MessageDefinition(
                    name, device, body["id"], body["direction"], body["class"], body["session"], body["meaning"], fields
                )
            )
    _check(messages, enums, constants)
    messages.sort(key=lambda message: message.id)
    return Definitions(version["major"], version["minor"], tuple(messages), tuple(enums), tuple(constants))


def _check(
    messages: list[MessageDefinition], enums: list[EnumDefinition], constants: list[tuple[str, str, int, str]]
) -> None:
    for what, names in (
        ("message id", [message.id for message in messages]),
        ("message name", [message.name for message in messages]),
        ("enum name", [enum.name for enum in enums]),
        ("constant name", [name for _, name, _, _ in constants]),
    ):
        if len(set(names)) != len(names):
            raise DefinitionError(f"a {what} is used twice: {sorted(map(str, names))}")
    owner = {enum.name: enum.device for enum in enums}
    for message in messages:
        if message.byte_count > PAYLOAD_MAX:
            raise DefinitionError(f"{message.name} has {message.byte_count} bytes, at most {PAYLOAD_MAX} fit")
        for position, field in enumerate(message.fields):
            if field.enum is not None and owner.get(field.enum) not in {"common", message.device}:
                raise DefinitionError(f"{message.name}.{field.name}: enum {field.enum} is not known here")
            if field.type == "data" and (message.kind != "bulk" or position != len(message.fields) - 1):
                raise DefinitionError(f"{message.name}.{field.name}: data is only the last field of a bulk record")
