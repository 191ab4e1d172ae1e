"""The generated C header, compiled strictly by two compilers, against every vector in both directions."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from isoalign.protocol.layout import Message
from isoalign.protocol.messages import MESSAGES

FOLDER = Path(__file__).resolve().parents[3] / "firmware_protocols"
STRICT = ["-std=c11", "-O1", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-pedantic"]
BY_NAME = {kind.NAME: kind for kind in MESSAGES.values()}
PRELUDE = """
#include "isoalign_protocol.h"
#include <stdio.h>
static int failed = 0;
static const char *name = "";
static void expect(int holds, const char *what)
{
    if (!holds) {
        failed++;
        printf("%s: %s\\n", name, what);
    }
}
static uint8_t payload[512], out[2048], back[512];
static isoalign_header_t heard;
static uint16_t id;
static size_t bytes, size;
"""


def vectors(file: str) -> list[dict[str, Any]]:
    content = json.loads((FOLDER / "vectors" / file).read_text(encoding="utf-8"))
    return content["vectors"] + content.get("records", [])


POSITIVE = [one for file in sorted((FOLDER / "vectors").glob("*.json")) for one in vectors(file.name)]
NEGATIVE = [one for one in POSITIVE if "message" not in one]
POSITIVE = [one for one in POSITIVE if "message" in one]


def literal(raw: bytes) -> str:
    return "{" + ", ".join(map(str, raw)) + "}"


def initialiser(kind: type[Message], values: dict[str, Any]) -> str:
    """The structure as C writes it, from the vector's own values."""
    parts = []
    for field in kind.FIELDS:
        if not field.code:
            continue
        value = values[field.name]
        if field.code == "s":
            parts.append(f'.{field.name} = "{value}"')
            continue
        absent = {"i": "INT32_MIN", "I": "UINT32_MAX"}.get(field.code, "0")
        suffix = {"Q": "ULL", "I": "U"}.get(field.code, "")
        texts = [absent if one is None else f"{one}{suffix}" for one in (value if isinstance(value, list) else [value])]
        parts.append(f".{field.name} = " + (texts[0] if field.count == 1 else "{" + ", ".join(texts) + "}"))
    return "{" + ", ".join(parts) + "}"


def structure(vector: dict[str, Any]) -> list[str]:
    """Lines that make the payload of a vector from its values."""
    kind = BY_NAME[vector["message"]]
    fields = [field for field in kind.FIELDS if field.code]
    lower = kind.NAME.lower()
    if not fields:
        return []
    return [
        f"  const isoalign_{lower}_t m = {initialiser(kind, vector['fields'])};",
        f"  isoalign_{lower}_put(payload, &m);",
        f'  expect(isoalign_{lower}_valid(&m), "values of a good vector are refused");',
    ]


def again(vector: dict[str, Any], at: str) -> list[str]:
    """Lines that read the fields and write them once more."""
    kind = BY_NAME[vector["message"]]
    if not any(field.code for field in kind.FIELDS):
        return []
    lower = kind.NAME.lower()
    return [
        f"  isoalign_{lower}_t n;",
        "  memset(&n, 0, sizeof n);",
        f"  isoalign_{lower}_get(&n, {at});",
        f"  isoalign_{lower}_put(out, &n);",
        f'  expect(memcmp(out, payload, ISOALIGN_{kind.NAME}_BYTES) == 0, "get and put again");',
    ]


def good_frame(vector: dict[str, Any]) -> list[str]:
    raw, header, upper = bytes.fromhex(vector["frame_hex"]), vector["header"], vector["message"]
    numbers = f"{header['session']}U, {header['seq']}, {header['ack']}, {header['tx_time_us']}U"
    return [
        f"  static const uint8_t raw[] = {literal(raw)};",
        f"  const isoalign_header_t head = {{{numbers}}};",
        *structure(vector),
        f"  size = isoalign_frame_encode(out, ISOALIGN_{upper}_ID, head, payload, ISOALIGN_{upper}_BYTES);",
        '  expect(size == sizeof raw && memcmp(out, raw, size) == 0, "encode");',
        '  expect(isoalign_frame_decode(raw, sizeof raw - 1, &id, &heard, back, &bytes) == 1, "decode");',
        f'  expect(id == ISOALIGN_{upper}_ID && bytes == ISOALIGN_{upper}_BYTES, "id and size");',
        '  expect(heard.session == head.session && heard.seq == head.seq && heard.ack == head.ack, "header");',
        '  expect(heard.tx_time_us == head.tx_time_us, "time");',
        '  expect(isoalign_payload_valid(id, back) == 1, "payload of a good vector is refused");',
        *again(vector, "back"),
    ]


def good_record(vector: dict[str, Any]) -> list[str]:
    raw, upper = bytes.fromhex(vector["record_hex"]), vector["message"]
    data = next((bytes.fromhex(vector["fields"][f.name]) for f in BY_NAME[upper].FIELDS if not f.code), b"")
    return [
        f"  static const uint8_t raw[] = {literal(raw)};",
        f"  static const uint8_t data[] = {literal(data or bytes(1))};",
        "  const uint8_t *fields = NULL, *content = NULL;",
        "  size_t content_bytes = 0;",
        *structure(vector),
        f"  size = isoalign_record_encode(out, sizeof out, ISOALIGN_{upper}_ID, payload, data, {len(data)});",
        '  expect(size == sizeof raw && memcmp(out, raw, size) == 0, "encode");',
        f"  size = isoalign_record_encode(out, sizeof raw - 1, ISOALIGN_{upper}_ID, payload, data, {len(data)});",
        '  expect(size == 0, "encode into too little room");',
        "  expect(isoalign_record_decode(raw + 4, sizeof raw - 4, &id, &fields, &content, &content_bytes) == 1,",
        '         "decode");',
        f'  expect(id == ISOALIGN_{upper}_ID && content_bytes == {len(data)}, "id and size");',
        '  expect(content != NULL && memcmp(content, data, content_bytes) == 0, "data");',
        *again(vector, "fields"),
        "  memcpy(out, raw, sizeof raw);",
        "  for (size_t at = 4; at < sizeof raw; at++) {",
        "    out[at] ^= 1;",
        "    expect(isoalign_record_decode(out + 4, sizeof raw - 4, &id, &fields, &content, &content_bytes) == 0,",
        '           "a damaged record is accepted");',
        "    out[at] ^= 1;",
        "  }",
        "  for (size_t cut = 0; cut < sizeof raw - 4; cut++) {",
        "    expect(isoalign_record_decode(raw + 4, cut, &id, &fields, &content, &content_bytes) == 0,",
        '           "a cut record is accepted");',
        "  }",
    ]


def wrong_frame(vector: dict[str, Any]) -> list[str]:
    raw = bytes.fromhex(vector["frame_hex"])
    framing_is_right = vector["fault"] == "FIELD"
    lines = [
        f"  static const uint8_t raw[] = {literal(raw or bytes(1))};",
        f"  const int framed = isoalign_frame_decode(raw, {len(raw)}, &id, &heard, back, &bytes);",
        f'  expect(framed == {int(framing_is_right)}, "framing");',
    ]
    return [*lines, '  expect(isoalign_payload_valid(id, back) == 0, "fields");'] if framing_is_right else lines


def wrong_record(vector: dict[str, Any]) -> list[str]:
    raw = bytes.fromhex(vector["record_hex"])[4:]
    return [
        f"  static const uint8_t raw[] = {literal(raw)};",
        "  const uint8_t *fields = NULL, *content = NULL;",
        "  size_t content_bytes = 0;",
        '  expect(isoalign_record_decode(raw, sizeof raw, &id, &fields, &content, &content_bytes) == 0, "accepted");',
    ]


def program() -> str:
    """One function per vector."""
    bodies = [(one["name"], good_frame(one) if "frame_hex" in one else good_record(one)) for one in POSITIVE]
    bodies += [
        (f"refuse {one['name']}", wrong_frame(one) if "frame_hex" in one else wrong_record(one)) for one in NEGATIVE
    ]
    lines = [PRELUDE]
    for number, (_, body) in enumerate(bodies):
        lines += [f"static void vector_{number}(void)", "{", *body, "}"]
    lines += ["int main(void)", "{"]
    lines += [f'  name = "{name}"; vector_{number}();' for number, (name, _) in enumerate(bodies)]
    return "\n".join([*lines, f'  printf("{len(bodies)} vectors\\n");', "  return failed != 0;", "}", ""])


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_the_header_compiles_strictly_and_passes_every_vector(
    compiler: str, tmp_path: Path, require_program: Callable[[str], Path]
) -> None:
    """Packing, framing and their inverses in C give the bytes of the vectors, and refuse every wrong one."""
    source, binary = tmp_path / "vectors.c", tmp_path / "vectors"
    source.write_text(program(), encoding="utf-8")
    built = subprocess.run(
        [str(require_program(compiler)), *STRICT, f"-I{FOLDER / 'c'}", str(source), "-o", str(binary)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert built.returncode == 0, built.stderr[:3000]
    ran = subprocess.run([str(binary)], capture_output=True, text=True, timeout=20, check=False)
    assert ran.returncode == 0, ran.stdout
    assert ran.stdout == f"{len(POSITIVE) + len(NEGATIVE)} vectors\n"
