"""Compares the definitions with those of the last release and says, in words, what would break an older peer.

``python firmware_protocols/check_compatibility.py`` exits with 1 when something breaks; ``--release 0.2.0`` makes the
present definitions the released ones (``released.json``), which is done once per release.

What may happen between two releases: new devices, messages, constants and enumerations; new enumerators above all
others; ranges that grow; other words. Any of it raises the minor version. Other changes of a message, and anything
that goes away, need a new major version. A message id and an enumeration value are never used for something else.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from definitions import FOLDER, Definitions, FieldDefinition, load

RELEASED = FOLDER / "released.json"
FAULT_FACTS = ("severity", "reaction", "latching", "cleared_by")


@dataclass(frozen=True)
class Break:
    """One thing that an older peer cannot cope with; ``ever`` means that not even a new major version allows it."""

    text: str
    ever: bool = False


def _field(field: FieldDefinition) -> dict[str, Any]:
    return {
        "name": field.name,
        "type": field.type,
        "count": field.count,
        "unit": field.unit,
        "min": field.minimum,
        "max": field.maximum,
        "nullable": field.nullable,
        "enum": field.enum,
    }


def snapshot(definitions: Definitions) -> dict[str, Any]:
    """All that a peer relies on, without the words that explain it."""
    return {
        "protocol": {"major": definitions.major, "minor": definitions.minor},
        "messages": {
            message.name: {
                "device": message.device,
                "id": message.id,
                "direction": message.direction,
                "class": message.kind,
                "session": message.session,
                "fields": [_field(field) for field in message.fields],
            }
            for message in definitions.messages
        },
        "enums": {
            enum.name: {
                "device": enum.device,
                "flags": enum.flags,
                "values": {name: value for name, value, _ in enum.values},
                "faults": {row["name"]: {fact: row[fact] for fact in FAULT_FACTS} for row in enum.faults},
            }
            for enum in definitions.enums
        },
        "constants": {name: value for _, name, value, _ in definitions.constants},
    }


def _range_breaks(where: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[Break]:
    if old["nullable"] and not new["nullable"]:
        yield Break(f"{where} could be not available and can be no more")
    if old["min"] is None or new["min"] is None:
        return
    if new["min"] > old["min"]:
        yield Break(f"{where} began at {old['min']} and begins at {new['min']}: the range has shrunk")
    if new["max"] < old["max"]:
        yield Break(f"{where} ended at {old['max']} and ends at {new['max']}: the range has shrunk")


def _field_breaks(name: str, old: list[dict[str, Any]], new: list[dict[str, Any]]) -> Iterator[Break]:
    before, after = [field["name"] for field in old], [field["name"] for field in new]
    yield from (Break(f"{name}.{gone} is gone") for gone in before if gone not in after)
    yield from (Break(f"{name}.{come} is new in a released message") for come in after if come not in before)
    if before != after and sorted(before) == sorted(after):
        yield Break(f"the fields of {name} stand in another order: {', '.join(before)} became {', '.join(after)}")
    now = {field["name"]: field for field in new}
    for field in old:
        other = now.get(field["name"])
        if other is None:
            continue
        where = f"{name}.{field['name']}"
        for fact in ("type", "count", "unit", "enum"):
            if field[fact] != other[fact]:
                yield Break(f"{where}: {fact} was {field[fact] or 'none'} and is {other[fact] or 'none'}")
        if field["type"] == other["type"]:
            yield from _range_breaks(where, field, other)


def _message_breaks(old: dict[str, Any], new: dict[str, Any]) -> Iterator[Break]:
    owner = {message["id"]: name for name, message in new.items()}
    for name, before in old.items():
        taken_by = owner.get(before["id"])
        if taken_by not in {None, name}:
            yield Break(f"message id 0x{before['id']:04X} was {name} and is {taken_by}", ever=True)
        after = new.get(name)
        if after is None:
            yield Break(f"message {name} is gone")
            continue
        if after["id"] != before["id"]:
            yield Break(f"message {name} had id 0x{before['id']:04X} and has 0x{after['id']:04X}", ever=True)
        for fact in ("device", "direction", "class", "session"):
            if before[fact] != after[fact]:
                yield Break(f"message {name}: {fact} was {before[fact]} and is {after[fact]}")
        yield from _field_breaks(name, before["fields"], after["fields"])


def _enum_breaks(name: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[Break]:
    if old["flags"] != new["flags"]:
        yield Break(f"{name} was {'flags' if old['flags'] else 'an enumeration'} and is the other")
    owner = {value: key for key, value in new["values"].items()}
    for key, value in old["values"].items():
        taken_by = owner.get(value)
        if taken_by not in {None, key}:
            yield Break(f"value {value} of {name} was {key} and is {taken_by}", ever=True)
        if key not in new["values"]:
            yield Break(f"{name}.{key} is gone")
        elif new["values"][key] != value:
            yield Break(f"{name}.{key} was {value} and is {new['values'][key]}", ever=True)
    last = max(old["values"].values())
    for key, value in new["values"].items():
        if key not in old["values"] and value < last:
            yield Break(f"{name}.{key} = {value} is new but not appended: it must be greater than {last}", ever=True)
    for key, facts in old["faults"].items():
        for fact, value in facts.items():
            now = new["faults"].get(key, facts)[fact]
            if now != value:
                yield Break(f"{name}.{key}: {fact} was {value} and is {now}")


def all_breaks(old: dict[str, Any], new: dict[str, Any]) -> list[Break]:
    """Every break between two snapshots, whatever their versions."""
    found = list(_message_breaks(old["messages"], new["messages"]))
    for name, enum in old["enums"].items():
        if name in new["enums"]:
            found += _enum_breaks(name, enum, new["enums"][name])
        else:
            found.append(Break(f"enumeration {name} is gone"))
    found += [Break(f"constant {name} is gone") for name in old["constants"] if name not in new["constants"]]
    return found


def _retired_breaks(retired: dict[str, dict[str, str]], new: dict[str, Any]) -> Iterator[Break]:
    messages = {str(message["id"]): name for name, message in new["messages"].items()}
    for number, name in retired.get("", {}).items():
        if messages.get(number, name) != name:
            yield Break(
                f"message id 0x{int(number):04X} was {name} in an old release and is {messages[number]}", ever=True
            )
    for enum in new["enums"].keys() & retired.keys():
        values = {str(value): key for key, value in new["enums"][enum]["values"].items()}
        for number, name in retired[enum].items():
            if values.get(number, name) != name:
                yield Break(f"value {number} of {enum} was {name} in an old release and is {values[number]}", ever=True)


def retire(released: dict[str, Any], present: dict[str, Any]) -> dict[str, dict[str, str]]:
    """Numbers that were used once, by enumeration ("" for message ids), as number and name."""
    retired: dict[str, dict[str, str]] = {name: dict(values) for name, values in released["retired"].items()}
    for name, message in released["messages"].items():
        if name not in present["messages"]:
            retired.setdefault("", {})[str(message["id"])] = name
    for name, enum in released["enums"].items():
        left = present["enums"].get(name, {"values": {}})["values"]
        for key, value in enum["values"].items():
            if key not in left:
                retired.setdefault(name, {})[str(value)] = key
    return retired


def complaints(released: dict[str, Any], present: dict[str, Any]) -> list[str]:
    """What must not be, given the versions; empty when the present definitions may follow the released ones."""
    old, new = ((one["protocol"]["major"], one["protocol"]["minor"]) for one in (released, present))
    if new < old:
        return [f"the protocol version went back from {old[0]}.{old[1]} to {new[0]}.{new[1]}"]
    breaks = [*all_breaks(released, present), *_retired_breaks(released["retired"], present)]
    found = [one.text for one in breaks if one.ever or new[0] == old[0]]
    facts = ("messages", "enums", "constants")
    if not found and new == old and any(released[fact] != present[fact] for fact in facts):
        found.append(
            f"the definitions have changed but the protocol version is still {old[0]}.{old[1]}: raise the minor"
        )
    return found


def main(arguments: list[str] | None = None, *, folder: Path = FOLDER, released_file: Path = RELEASED) -> int:
    """Compare, or with ``--release`` make the present definitions the released ones."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--release", metavar="VERSION", help="write released.json for this version of the package")
    options = parser.parse_args(arguments)
    present = snapshot(load(folder))
    released = json.loads(released_file.read_text(encoding="utf-8")) if released_file.is_file() else None
    found = [] if released is None else complaints(released, present)
    for line in found:
        print(f"breaks {released['release'] if released else ''}: {line}")
    if found:
        return 1
    if options.release:
        retired = retire(released, present) if released else {}
        text = json.dumps({"release": options.release, **present, "retired": retired}, indent=1) + "\n"
        released_file.write_text(text, encoding="utf-8")
    elif released is None:
        print(f"{released_file.name} is missing: write it with --release VERSION")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
