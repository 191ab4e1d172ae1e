"""The generated Wireshark dissector, run by tshark over captures that this test writes byte by byte."""

from __future__ import annotations

import json
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from isoalign.protocol.messages import MESSAGES, CouchStatus

FOLDER = Path(__file__).resolve().parents[3] / "firmware_protocols"
SCRIPT = FOLDER / "wireshark" / "isoalign.lua"
BY_NAME = {kind.NAME: kind for kind in MESSAGES.values()}
CONTROL_PORT, IMAGE_PORT = 47010, 47022

Shown = dict[str, Any]
NOTES = {"FIELD": "range", "CHECKSUM": "bad_crc", "LENGTH": "bad", "FLAGS": "bad", "UNKNOWN_MESSAGE": "bad"}


def vectors(file: str) -> list[dict[str, Any]]:
    return json.loads((FOLDER / "vectors" / file).read_text(encoding="utf-8"))["vectors"]


EVERY = [one for file in sorted((FOLDER / "vectors").glob("*.json")) for one in vectors(file.name)]
FRAMES = [one for one in EVERY if "frame_hex" in one and "message" in one]
RECORDS = [one for one in EVERY if "record_hex" in one]
WRONG = [one for one in vectors("negative.json") if one["frame_hex"] and b"\0" not in bytes.fromhex(one["frame_hex"])]


def capture(path: Path, port: int, segments: list[bytes]) -> None:
    """A classic pcap file: Ethernet, IPv4 and TCP from ``port``, one packet per segment."""
    out = bytearray(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
    sequence = 1000
    for number, payload in enumerate(segments):
        tcp = struct.pack(">HHIIBBHHH", port, 50000, sequence, 1, 5 << 4, 0x18, 65535, 0, 0) + payload
        address = bytes([127, 0, 0, 1])
        ip = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(tcp), number, 0, 64, 6, 0) + address + address
        frame = bytes(12) + b"\x08\x00" + ip + tcp
        out += struct.pack("<IIII", 1_700_000_000 + number, 0, len(frame), len(frame)) + frame
        sequence += len(payload)
    path.write_bytes(bytes(out))


@pytest.fixture
def dissect(tmp_path: Path, require_program: Callable[[str], Path]) -> Callable[..., list[Shown]]:
    """``dissect(port, segments)``: the layers of every packet, by tshark with the dissector."""
    tshark = require_program("tshark")

    def run(port: int, segments: list[bytes], *options: str) -> list[Shown]:
        file = tmp_path / "capture.pcap"
        capture(file, port, segments)
        done = subprocess.run(
            [str(tshark), "-X", f"lua_script:{SCRIPT}", "-r", str(file), "-T", "json", "--no-duplicate-keys", *options],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
        )
        assert done.returncode == 0, done.stderr
        assert "Lua" not in done.stderr, done.stderr
        return [packet["_source"]["layers"] for packet in json.loads(done.stdout)]

    return run


def flat(layers: Any) -> dict[str, list[str]]:
    """Every leaf of the tree by its name, all occurrences in order."""
    found: dict[str, list[str]] = {}

    def walk(key: str, value: Any) -> None:
        if isinstance(value, dict):
            for inner, one in value.items():
                walk(inner, one)
        elif isinstance(value, list):
            for one in value:
                walk(key, one)
        else:
            found.setdefault(key, []).append(value)

    walk("", layers)
    return found


def expected(vector: dict[str, Any], prefix: str) -> dict[str, list[str]]:
    """The leaves that a vector must show, from its own values."""
    kind = BY_NAME[vector["message"]]
    leaves = {}
    for field in kind.FIELDS:
        value = vector["fields"][field.name]
        absent = {"i": str(-(2**31)), "I": str(2**32 - 1)}.get(field.code, "")
        if not field.code:
            shown = [":".join(f"{byte:02x}" for byte in bytes.fromhex(value))]
        else:
            shown = [absent if one is None else str(one) for one in (value if isinstance(value, list) else [value])]
        leaves[f"{prefix}.{vector['message'].lower()}.{field.name}"] = shown
    return leaves


def test_every_field_of_every_frame_is_shown(dissect: Callable[..., list[Shown]]) -> None:
    packets = dissect(CONTROL_PORT, [bytes.fromhex(one["frame_hex"]) for one in FRAMES])
    assert len(packets) == len(FRAMES)
    for vector, layers in zip(FRAMES, packets, strict=True):
        shown = flat(layers)
        header = vector["header"]
        for name, leaves in expected(vector, "isoalign").items():
            assert shown[name] == leaves, (vector["name"], name)
        assert int(shown["isoalign.session"][0], 16) == header["session"]
        assert (shown["isoalign.seq"], shown["isoalign.ack"]) == ([str(header["seq"])], [str(header["ack"])])
        assert shown["isoalign.tx_time"] == [str(header["tx_time_us"])]
        assert shown["isoalign.crc_ok"] == ["1"]
        assert not [name for name in shown if "expert" in name], vector["name"]


def test_every_field_of_every_record_is_shown_however_it_is_cut(dissect: Callable[..., list[Shown]]) -> None:
    stream = b"".join(bytes.fromhex(one["record_hex"]) for one in RECORDS)
    wanted: dict[str, list[str]] = {}
    for vector in RECORDS:
        for name, leaves in expected(vector, "isoalign_image").items():
            wanted[name] = wanted.get(name, []) + leaves
    for cut in (len(stream), 100, 37):
        packets = dissect(IMAGE_PORT, [stream[at : at + cut] for at in range(0, len(stream), cut)])
        shown: dict[str, list[str]] = {}
        for layers in packets:
            for name, leaves in flat(layers).items():
                shown[name] = shown.get(name, []) + leaves
        assert {name: shown[name] for name in wanted} == wanted
        assert shown["isoalign_image.crc_ok"] == ["1"] * len(RECORDS)


def test_frames_are_found_however_the_stream_is_cut(dissect: Callable[..., list[Shown]]) -> None:
    stream = b"".join(bytes.fromhex(one["frame_hex"]) for one in FRAMES)
    for cut in (1000, 61):
        packets = dissect(CONTROL_PORT, [stream[at : at + cut] for at in range(0, len(stream), cut)])
        shown = [leaf for layers in packets for leaf in flat(layers).get("isoalign.seq", [])]
        assert shown == [str(one["header"]["seq"]) for one in FRAMES]


def test_what_is_wrong_is_marked(dissect: Callable[..., list[Shown]]) -> None:
    """Every negative vector has an expert note, and the right one where the vector says what is wrong."""
    packets = dissect(CONTROL_PORT, [bytes.fromhex(one["frame_hex"]) + b"\0" for one in WRONG])
    for vector, layers in zip(WRONG, packets, strict=True):
        notes = {name.removeprefix("isoalign.") for name in flat(layers)} & set(NOTES.values())
        assert notes, vector["name"]
        if vector["fault"] in NOTES:
            assert notes == {NOTES[vector["fault"]]}, vector["name"]


def test_what_is_wrong_with_a_record_is_marked(dissect: Callable[..., list[Shown]]) -> None:
    content = json.loads((FOLDER / "vectors" / "negative.json").read_text(encoding="utf-8"))
    wrong = content["records"]
    packets = dissect(IMAGE_PORT, [bytes.fromhex(one["record_hex"]) for one in wrong])
    for vector, layers in zip(wrong, packets, strict=True):
        notes = {name.removeprefix("isoalign_image.") for name in flat(layers)} & {*NOTES.values()}
        assert notes == {NOTES.get(vector["fault"], "bad")}, vector["name"]


def test_units_names_and_absence_are_written_out(tmp_path: Path, require_program: Callable[[str], Path]) -> None:
    """What a person reads: units by axis, names of enumerations and flags, "not available"."""
    chosen = {one["name"]: one for one in FRAMES}
    file = tmp_path / "capture.pcap"
    names = ("COUCH_STATE greatest", "COUCH_STATE absent", "PROJECTION_TRIGGER any", "GANTRY_STATE greatest")
    capture(file, 5555, [bytes.fromhex(chosen[name]["frame_hex"]) for name in names])
    done = subprocess.run(
        [
            *(str(require_program("tshark")), "-X", f"lua_script:{SCRIPT}", "-r", str(file), "-V"),
            *("-o", "isoalign.ports:5555,47020"),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
    )
    text = [line.strip() for line in done.stdout.splitlines()]
    every = " | ".join(flag.name or "" for flag in CouchStatus)
    trigger = chosen["PROJECTION_TRIGGER any"]["fields"]
    for line in (
        "primary_micro[0]: 2147483647 µm",
        "primary_micro[3]: 2147483647 µdeg",
        "velocity_micro_per_s[2]: 2147483647 µm/s",
        "velocity_micro_per_s[5]: 2147483647 µdeg/s",
        "device_time_us: 18446744073709551615 µs",
        "primary_micro[0]: not available",
        "token_age_us: not available",
        "mode: FAULT (7)",
        f"status: {every} (0x7F)",
        f"primary_udeg: {trigger['primary_udeg']} µdeg",
        f"device_time_us: {trigger['device_time_us']} µs",
        "imager_arm: EXTENDED (3)",
    ):
        assert line in text, line
