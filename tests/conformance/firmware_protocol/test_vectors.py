"""The package's codec against vectors made by another codec, and the generated files against their definitions."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from isoalign.protocol import FrameError, FrameReader, Header, decode, encode, encode_record
from isoalign.protocol.images import decode_record
from isoalign.protocol.layout import Message
from isoalign.protocol.messages import MESSAGES

FOLDER = Path(__file__).resolve().parents[3] / "firmware_protocols"
BY_NAME = {kind.NAME: kind for kind in MESSAGES.values()}


def vectors(file: str) -> list[dict[str, Any]]:
    return json.loads((FOLDER / "vectors" / file).read_text(encoding="utf-8"))["vectors"]


POSITIVE = [
    vector
    for device in ("common", "couch", "generator", "panel", "pendant", "gantry")
    for vector in vectors(f"{device}.json")
]
NEGATIVE = vectors("negative.json")
NEGATIVE_RECORDS: list[dict[str, Any]] = json.loads((FOLDER / "vectors" / "negative.json").read_text(encoding="utf-8"))[
    "records"
]


def message_of(vector: dict[str, Any]) -> Message:
    kind = BY_NAME[vector["message"]]
    values = {
        field.name: bytes.fromhex(vector["fields"][field.name]) if not field.code else vector["fields"][field.name]
        for field in kind.FIELDS
    }
    return kind(**values)


def test_every_message_has_vectors() -> None:
    assert {vector["message"] for vector in POSITIVE} == set(BY_NAME)
    assert len(NEGATIVE) > 40


@pytest.mark.parametrize("vector", POSITIVE, ids=lambda vector: vector["name"])
def test_a_message_has_exactly_the_bytes_of_its_vector(vector: dict[str, Any]) -> None:
    message = message_of(vector)
    if message.IS_BULK:
        raw = bytes.fromhex(vector["record_hex"])
        assert encode_record(message) == raw
        assert decode_record(raw[4:]) == message
        assert int.from_bytes(raw[:4], "little") == len(raw) - 4
    else:
        raw = bytes.fromhex(vector["frame_hex"])
        header = Header(**vector["header"])
        assert encode(message, header) == raw
        frame = decode(raw[:-1])
        assert (frame.header, frame.message) == (header, message)


@pytest.mark.parametrize("vector", NEGATIVE, ids=lambda vector: vector["name"])
def test_a_wrong_frame_is_refused_for_its_own_reason(vector: dict[str, Any]) -> None:
    with pytest.raises(FrameError) as refused:
        decode(bytes.fromhex(vector["frame_hex"]))
    if vector["fault"] is not None:
        assert refused.value.fault.name == vector["fault"]


@pytest.mark.parametrize("vector", NEGATIVE, ids=lambda vector: vector["name"])
def test_the_reader_of_a_stream_drops_a_wrong_frame_for_the_same_reason(vector: dict[str, Any]) -> None:
    raw = bytes.fromhex(vector["frame_hex"])
    reader = FrameReader()
    assert reader.feed(raw + b"\0") == []
    if b"\0" not in raw and raw:
        with pytest.raises(FrameError) as refused:
            decode(raw)
        assert reader.rejected == {refused.value.fault: 1}


def test_the_reader_of_a_stream_hears_every_good_frame() -> None:
    framed = [vector for vector in POSITIVE if "frame_hex" in vector]
    stream = b"".join(bytes.fromhex(vector["frame_hex"]) for vector in framed)
    heard = FrameReader().feed(stream)
    assert [(frame.header, frame.message) for frame in heard] == [
        (Header(**vector["header"]), message_of(vector)) for vector in framed
    ]


@pytest.mark.parametrize("vector", NEGATIVE_RECORDS, ids=lambda vector: vector["name"])
def test_a_wrong_record_is_refused_for_its_own_reason(vector: dict[str, Any]) -> None:
    with pytest.raises(FrameError) as refused:
        decode_record(bytes.fromhex(vector["record_hex"])[4:])
    assert refused.value.fault.name == vector["fault"]


@pytest.mark.parametrize("script", ["generate.py", "reference_codec.py"])
def test_nothing_generated_is_stale(script: str) -> None:
    done = subprocess.run(
        [sys.executable, "-B", str(FOLDER / script), "--check"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_reference_codec_shares_nothing_with_the_package() -> None:
    text = (FOLDER / "reference_codec.py").read_text(encoding="utf-8")
    imported = {line.split()[1].split(".")[0] for line in text.splitlines() if line.startswith(("import ", "from "))}
    assert imported == {"__future__", "hashlib", "json", "random", "sys", "pathlib", "yaml"}
