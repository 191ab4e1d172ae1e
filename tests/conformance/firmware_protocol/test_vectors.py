"""The package's codec against vectors made by another codec, and the generated files against their definitions."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from isoalign.protocol import FrameError, Header, decode, encode, encode_record
from isoalign.protocol.images import decode_record
from isoalign.protocol.layout import Message
from isoalign.protocol.messages import MESSAGES

FOLDER = Path(__file__).resolve().parents[3] / "firmware_protocols"
BY_NAME = {kind.NAME: kind for kind in MESSAGES.values()}


def vectors(file: str) -> list[dict[str, Any]]:
    return json.loads((FOLDER / "vectors" / file).read_text(encoding="utf-8"))["vectors"]


POSITIVE = [
    vector for device in ("common", "couch", "generator", "panel", "pendant") for vector in vectors(f"{device}.json")
]
NEGATIVE = vectors("negative.json")


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


def c_initialiser(message: Message) -> str:
    parts = []
    for field in message.FIELDS:
        value = getattr(message, field.name)
        if field.code == "s":
            parts.append(f'.{field.name} = "{value}"')
            continue
        absent = {"i": "INT32_MIN", "I": "UINT32_MAX"}.get(field.code, "0")
        suffix = {"Q": "ULL", "I": "U"}.get(field.code, "")
        elements = value if isinstance(value, tuple) else (value,)
        texts = [absent if one is None else f"{int(one)}{suffix}" for one in elements]
        parts.append(f".{field.name} = " + (texts[0] if field.count == 1 else "{" + ", ".join(texts) + "}"))
    return "{" + ", ".join(parts) + "}"


def test_the_c_header_compiles_strictly_and_passes_every_vector(
    tmp_path: Path, require_program: Callable[[str], Path]
) -> None:
    """Packing, framing and their inverses in C give the same bytes as the vectors, and refuse what is wrong."""
    compiler = require_program("gcc")
    lines = [
        '#include "isoalign_protocol.h"',
        "#include <stdio.h>",
        "static int failed = 0;",
        'static void expect(int holds, const char *what) { if (!holds) { failed++; printf("%s\\n", what); } }',
        "static uint8_t payload[512], out[512], back[512];",
        "static isoalign_header_t heard; static uint16_t id; static size_t bytes, size;",
    ]
    calls = []
    number = 0
    for vector in POSITIVE:
        message = message_of(vector)
        if message.IS_BULK:
            continue
        number += 1
        raw = bytes.fromhex(vector["frame_hex"])
        header = vector["header"]
        name = message.NAME.lower()
        lines.append(f"static void vector_{number}(void) {{")
        lines.append(f"  static const uint8_t raw[] = {{{', '.join(map(str, raw))}}};")
        lines.append(
            f"  const isoalign_header_t head = {{{header['session']}U, {header['seq']}, {header['ack']}, "
            f"{header['tx_time_us']}U}};"
        )
        lines.append(f"  bytes = ISOALIGN_{message.NAME}_BYTES;")
        if message.FIELDS:
            lines.append(f"  const isoalign_{name}_t m = {c_initialiser(message)};")
            lines.append(f"  isoalign_{name}_put(payload, &m);")
        lines += [
            f"  size = isoalign_frame_encode(out, ISOALIGN_{message.NAME}_ID, head, payload, bytes);",
            f'  expect(size == sizeof raw && memcmp(out, raw, size) == 0, "{vector["name"]}: encode");',
            '  expect(isoalign_frame_decode(raw, sizeof raw - 1, &id, &heard, back, &bytes) == 1, "decode");',
            f'  expect(id == ISOALIGN_{message.NAME}_ID, "id");',
            '  expect(heard.session == head.session && heard.seq == head.seq && heard.ack == head.ack, "header");',
            '  expect(heard.tx_time_us == head.tx_time_us, "time");',
        ]
        if message.FIELDS:
            lines += [
                f"  isoalign_{name}_t n; memset(&n, 0, sizeof n); isoalign_{name}_get(&n, back);",
                f"  isoalign_{name}_put(out, &n);",
                f'  expect(memcmp(out, payload, ISOALIGN_{message.NAME}_BYTES) == 0, "{vector["name"]}: get");',
            ]
        lines.append("}")
        calls.append(f"  vector_{number}();")
    for vector in NEGATIVE:
        raw = bytes.fromhex(vector["frame_hex"])
        # field ranges and the size of a message are the caller's to check in C
        if vector["fault"] == "FIELD" or "for the message" in vector["name"] or not raw:
            continue
        number += 1
        lines += [
            f"static void vector_{number}(void) {{",
            f"  static const uint8_t raw[] = {{{', '.join(map(str, raw))}}};",
            f'  expect(isoalign_frame_decode(raw, sizeof raw, &id, &heard, back, &bytes) == 0, "{vector["name"]}");',
            "}",
        ]
        calls.append(f"  vector_{number}();")
    lines += ["int main(void) {", *calls, f'  printf("{number} vectors\\n"); return failed;', "}"]
    source = tmp_path / "vectors.c"
    source.write_text("\n".join(lines), encoding="utf-8")
    program = tmp_path / "vectors"
    strict = ["-std=c11", "-O1", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-pedantic"]
    built = subprocess.run(
        [str(compiler), *strict, f"-I{FOLDER / 'c'}", str(source), "-o", str(program)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert built.returncode == 0, built.stderr[:3000]
    ran = subprocess.run([str(program)], capture_output=True, text=True, timeout=20, check=False)
    assert ran.returncode == 0, ran.stdout
