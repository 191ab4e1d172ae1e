"""The check against the last release finds every kind of break, and lets pass what breaks nothing."""

from __future__ import annotations

import copy
import hashlib
import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from isoalign.protocol.messages import MESSAGES

FOLDER = Path(__file__).resolve().parents[3] / "firmware_protocols"
RELEASED: dict[str, Any] = json.loads((FOLDER / "released.json").read_text(encoding="utf-8"))
Snapshot = dict[str, Any]


@pytest.fixture(scope="module")
def complaints() -> Callable[[Snapshot, Snapshot], list[str]]:
    """The function of the script, whose folder is no package."""
    spec = importlib.util.spec_from_file_location("check_compatibility", FOLDER / "check_compatibility.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(FOLDER))
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(FOLDER))
        del sys.modules[spec.name]
    return module.complaints


def later(*, major: int = 1, minor: int = 1) -> Snapshot:
    """The released definitions under a later version."""
    new = copy.deepcopy(RELEASED)
    new["protocol"] = {"major": major, "minor": minor}
    return new


def field(snapshot: Snapshot, message: str, name: str) -> dict[str, Any]:
    return next(one for one in snapshot["messages"][message]["fields"] if one["name"] == name)


def rename_message(new: Snapshot) -> None:
    new["messages"]["DRIVE"] = new["messages"].pop("MOVE")


def reuse_message_id(new: Snapshot) -> None:
    gone = new["messages"].pop("CLEAR")
    new["messages"]["PARK"] = {**gone, "fields": []}


def swap_fields(new: Snapshot) -> None:
    fields = new["messages"]["COUCH_STATE"]["fields"]
    fields[1], fields[2] = fields[2], fields[1]


def rename_field(new: Snapshot) -> None:
    field(new, "MOVE", "speed_permille")["name"] = "speed"


def swap_values(new: Snapshot) -> None:
    values = new["enums"]["CouchMode"]["values"]
    values["FAULT"], values["QUICK_STOP_ACTIVE"] = values["QUICK_STOP_ACTIVE"], values["FAULT"]


def reuse_value(new: Snapshot) -> None:
    values = new["enums"]["Latch"]["values"]
    del values["CLIENT_LOST"]
    values["COLLISION"] = 3


BREAKS: list[tuple[str, Callable[[Snapshot], object], str, bool]] = [
    # what, how, the words of the complaint, whether not even a new major version allows it
    ("message gone", lambda new: new["messages"].pop("CLEAR"), "message CLEAR is gone", False),
    ("message renamed", rename_message, "message id 0x0104 was MOVE and is DRIVE", True),
    ("message id reused", reuse_message_id, "message id 0x0106 was CLEAR and is PARK", True),
    (
        "message id changed",
        lambda new: new["messages"]["MOVE"].update(id=0x0177),
        "MOVE had id 0x0104 and has 0x0177",
        True,
    ),
    (
        "direction turned",
        lambda new: new["messages"]["STOP"].update(direction="device_to_host"),
        "message STOP: direction was host_to_device and is device_to_host",
        False,
    ),
    ("session rule", lambda new: new["messages"]["STOP"].update(session="required"), "session was none", False),
    ("class", lambda new: new["messages"]["STOP"].update({"class": "event"}), "class was command and is event", False),
    ("device", lambda new: new["messages"]["STOP"].update(device="common"), "device was couch and is common", False),
    ("field gone", lambda new: new["messages"]["MOVE"]["fields"].pop(), "MOVE.expected_start_micro is gone", False),
    (
        "field added",
        lambda new: new["messages"]["STOP"]["fields"].append({**field(new, "STOP", "reason"), "name": "kind"}),
        "STOP.kind is new in a released message",
        False,
    ),
    ("fields reordered", swap_fields, "the fields of COUCH_STATE stand in another order", False),
    ("field renamed", rename_field, "MOVE.speed_permille is gone", False),
    (
        "type",
        lambda new: field(new, "MOVE", "command_id").update(type="u64"),
        "command_id: type was u32 and is u64",
        False,
    ),
    ("count", lambda new: field(new, "MOVE", "target_micro").update(count=7), "count was 6 and is 7", False),
    ("unit", lambda new: field(new, "TIME_REQUEST", "host_send_us").update(unit="ms"), "unit was µs and is ms", False),
    ("enum of a field", lambda new: field(new, "CLEAR", "latch").update(enum="PanelFault"), "enum was Latch", False),
    (
        "range from below",
        lambda new: field(new, "MOVE", "speed_permille").update(min=2),
        "began at 1 and begins at 2",
        False,
    ),
    (
        "range from above",
        lambda new: field(new, "MOVE", "speed_permille").update(max=999),
        "ended at 1000 and ends at",
        False,
    ),
    (
        "no more nullable",
        lambda new: field(new, "MOVE", "expected_start_micro").update(nullable=False),
        "could be not available and can be no more",
        False,
    ),
    ("enumeration gone", lambda new: new["enums"].pop("PanelPhase"), "enumeration PanelPhase is gone", False),
    ("enumerator gone", lambda new: new["enums"]["Latch"]["values"].pop("HOST_LOST"), "Latch.HOST_LOST is gone", False),
    ("values swapped", swap_values, "CouchMode.FAULT was 7 and is 5", True),
    ("value reused", reuse_value, "value 3 of Latch was CLIENT_LOST and is COLLISION", True),
    (
        "value changed",
        lambda new: new["enums"]["DeviceKind"]["values"].update(PENDANT=9),
        "DeviceKind.PENDANT was 4 and is 9",
        True,
    ),
    (
        "not appended",
        lambda new: new["enums"]["SessionEnd"]["values"].update(ASKED=0),
        "SessionEnd.ASKED = 0 is new but not appended",
        True,
    ),
    (
        "flags",
        lambda new: new["enums"]["CouchStatus"].update(flags=False),
        "CouchStatus was flags and is the other",
        False,
    ),
    (
        "a latch that lets go",
        lambda new: new["enums"]["Latch"]["faults"]["HOST_LOST"].update(latching=False),
        "Latch.HOST_LOST: latching was True and is False",
        False,
    ),
    ("constant gone", lambda new: new["constants"].pop("token_expiry_us"), "constant token_expiry_us is gone", False),
]


@pytest.mark.parametrize(("how", "words", "ever"), [one[1:] for one in BREAKS], ids=[one[0] for one in BREAKS])
def test_a_break_is_found_and_named(
    complaints: Callable[[Snapshot, Snapshot], list[str]],
    how: Callable[[Snapshot], object],
    words: str,
    ever: bool,
) -> None:
    new = later()
    how(new)
    assert any(words in line for line in complaints(RELEASED, new)), complaints(RELEASED, new)
    grown = later(major=2, minor=0)
    how(grown)
    assert any(words in line for line in complaints(RELEASED, grown)) == ever


def test_what_is_added_or_grows_breaks_nothing(complaints: Callable[[Snapshot, Snapshot], list[str]]) -> None:
    new = later()
    new["messages"]["PARK"] = {**copy.deepcopy(new["messages"]["STOP"]), "id": 0x0107}
    new["enums"]["Latch"]["values"]["COLLISION"] = 8
    new["enums"]["CouchStatus"]["values"]["WARM"] = 128
    new["enums"]["ParkPlace"] = {"device": "couch", "flags": False, "values": {"HOME": 1}, "faults": {}}
    new["constants"]["park_time_us"] = 5
    new["constants"]["token_expiry_us"] += 1
    field(new, "MOVE", "speed_permille").update(max=2000)
    field(new, "MOVE", "target_micro").update(min=-500_000_000, nullable=True)
    assert complaints(RELEASED, new) == []
    new["protocol"] = {"major": 1, "minor": 0}
    assert complaints(RELEASED, new) == [
        "the definitions have changed but the protocol version is still 1.0: raise the minor"
    ]


def test_the_version_does_not_go_back(complaints: Callable[[Snapshot, Snapshot], list[str]]) -> None:
    assert complaints(later(minor=2), later(minor=1)) == ["the protocol version went back from 1.2 to 1.1"]
    assert complaints(RELEASED, RELEASED) == []


def test_a_number_of_an_old_release_stays_taken(complaints: Callable[[Snapshot, Snapshot], list[str]]) -> None:
    released = later(major=2, minor=0)
    released["retired"] = {"": {str(0x0107): "PARK"}, "Latch": {"8": "COLLISION"}}
    new = later(major=3, minor=0)
    new["messages"]["LIFT"] = {**copy.deepcopy(new["messages"]["STOP"]), "id": 0x0107}
    new["enums"]["Latch"]["values"]["FIRE"] = 8
    assert complaints(released, new) == [
        "message id 0x0107 was PARK in an old release and is LIFT",
        "value 8 of Latch was COLLISION in an old release and is FIRE",
    ]


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-B", str(folder / "check_compatibility.py"), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_present_definitions_break_nothing() -> None:
    done = run(FOLDER)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_script_says_what_breaks_and_a_release_remembers_what_is_gone(tmp_path: Path) -> None:
    for file in [*FOLDER.glob("*.py"), *FOLDER.glob("*.yaml"), *FOLDER.glob("*.json")]:
        (tmp_path / file.name).write_bytes(file.read_bytes())
    couch, common = tmp_path / "couch.yaml", tmp_path / "common.yaml"
    text = couch.read_text(encoding="utf-8")
    couch.write_text(text[: text.index("  CLEAR:\n")], encoding="utf-8")
    done = run(tmp_path)
    assert done.returncode == 1
    assert done.stdout == "breaks 0.1.0: message CLEAR is gone\n"
    assert run(tmp_path, "--release", "0.2.0").returncode == 1
    version = re.sub(r"major: \d+, minor: \d+", "major: 2, minor: 0", common.read_text(encoding="utf-8"))
    common.write_text(version, encoding="utf-8")
    done = run(tmp_path, "--release", "0.2.0")
    assert done.returncode == 0, done.stdout + done.stderr
    written = json.loads((tmp_path / "released.json").read_text(encoding="utf-8"))
    assert written["release"] == "0.2.0"
    assert written["retired"] == {"": {str(0x0106): "CLEAR"}}
    couch.write_text(couch.read_text(encoding="utf-8") + text[text.index("  CLEAR:\n") :].replace("CLEAR", "WIPE"))
    assert "0x0106 was CLEAR in an old release and is WIPE" in run(tmp_path).stdout


def test_without_a_release_the_script_fails(tmp_path: Path) -> None:
    for file in [*FOLDER.glob("*.py"), *FOLDER.glob("*.yaml"), FOLDER / "schema.json"]:
        (tmp_path / file.name).write_bytes(file.read_bytes())
    done = run(tmp_path)
    assert done.returncode == 1
    assert "released.json is missing" in done.stdout


def layout_text(name: str, message: Snapshot) -> str:
    """What the CRC of a message is seeded with, written down from INTERFACE.md."""
    lines = [f"message {name} {message['id']}"]
    for one in message["fields"]:
        low, high = ("-" if one[end] is None else one[end] for end in ("min", "max"))
        kind, count, nullable = one["type"], one["count"], int(one["nullable"])
        lines.append(f"field {one['name']} {kind} {count} {low} {high} {nullable} {one['enum'] or '-'}")
    return "\n".join(lines)


def test_a_reader_of_the_last_release_reads_every_message_that_it_knows() -> None:
    """Same id and same start value of the CRC: an older host, read only, sees the state of a newer device."""
    present = {kind.NAME: kind for kind in MESSAGES.values()}
    for name, message in RELEASED["messages"].items():
        seed = hashlib.sha256(layout_text(name, message).encode()).digest()[:4]
        assert (message["id"], int.from_bytes(seed, "little")) == (present[name].ID, present[name].SEED), name


def test_what_is_newer_has_numbers_that_no_reader_of_the_last_release_takes_for_another() -> None:
    known = {message["id"] for message in RELEASED["messages"].values()}
    newer = [kind for kind in MESSAGES.values() if kind.NAME not in RELEASED["messages"]]
    assert {kind.NAME for kind in newer} >= {"COUCH_SAFETY", "GENERATOR_ROOM", "DARK_FRAME"}
    assert not known & {kind.ID for kind in newer}
