"""Writes ``c/isoalign_protocol.h``: a C11 header without dependencies for the firmware side."""

from __future__ import annotations

from definitions import NOT_AVAILABLE, PAYLOAD_MAX, Definitions, EnumDefinition, FieldDefinition, MessageDefinition

C_TYPE = {"u8": "uint8_t", "u16": "uint16_t", "u32": "uint32_t", "u64": "uint64_t", "i16": "int16_t", "i32": "int32_t"}

HEAD = """/* Firmware protocol {major}.{minor}: ids, limits, enumerations, structures, byte-wise packing, framing.
 *
 * Generated from the definitions in this folder by generate.py; do not edit. INTERFACE.md says what everything means.
 * C11, no allocation, no dependency but the standard headers below. Structures are host-side; the wire format is made
 * byte by byte, so that neither padding nor byte order of the processor matters. isoalign_frame_decode checks framing,
 * checksum and size; isoalign_payload_valid (or isoalign_NAME_valid of a structure) checks ranges and enumerations:
 * act on nothing that has not passed both.
 */
#ifndef ISOALIGN_PROTOCOL_H
#define ISOALIGN_PROTOCOL_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define ISOALIGN_PROTOCOL_MAJOR {major}
#define ISOALIGN_PROTOCOL_MINOR {minor}
#define ISOALIGN_HEADER_BYTES 16
#define ISOALIGN_PAYLOAD_MAX_BYTES {payload}
#define ISOALIGN_CRC_BYTES 4
#define ISOALIGN_FRAME_MAX_BYTES (ISOALIGN_HEADER_BYTES + ISOALIGN_PAYLOAD_MAX_BYTES + ISOALIGN_CRC_BYTES + 1)
#define ISOALIGN_I32_NOT_AVAILABLE INT32_MIN
#define ISOALIGN_U32_NOT_AVAILABLE UINT32_MAX

static_assert(ISOALIGN_FRAME_MAX_BYTES <= 254, "byte stuffing must add exactly one byte");
"""

HELPERS = """
static inline void isoalign_put(uint8_t *at, uint64_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        at[i] = (uint8_t)(value >> (8U * i));
    }
}

static inline uint64_t isoalign_get(const uint8_t *at, size_t bytes)
{
    uint64_t value = 0;
    for (size_t i = 0; i < bytes; i++) {
        value |= (uint64_t)at[i] << (8U * i);
    }
    return value;
}

static inline int32_t isoalign_i32(uint64_t raw)
{
    const uint32_t bits = (uint32_t)raw;
    return bits <= (uint32_t)INT32_MAX ? (int32_t)bits : (int32_t)(-1 - (int32_t)(UINT32_MAX - bits));
}

static inline int16_t isoalign_i16(uint64_t raw)
{
    const uint16_t bits = (uint16_t)raw;
    return bits <= (uint16_t)INT16_MAX ? (int16_t)bits : (int16_t)(-1 - (int16_t)(UINT16_MAX - bits));
}

static inline uint32_t isoalign_crc32(const uint8_t *data, size_t bytes, uint32_t seed)
{
    uint32_t crc = ~seed;
    for (size_t i = 0; i < bytes; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = (crc >> 1) ^ ((crc & 1U) != 0U ? 0xEDB88320U : 0U);
        }
    }
    return ~crc;
}
"""

FRAMING = """
typedef struct {
    uint32_t session;
    uint16_t seq;
    uint16_t ack;
    uint32_t tx_time_us;
} isoalign_header_t;

/* The CRC seed of a framed message id, and 0 in *known when there is none. */
static inline uint32_t isoalign_seed(uint16_t id, int *known)
{
    *known = 1;
    switch (id) {
%(seeds)s
    default:
        *known = 0;
        return 0;
    }
}

/* Payload bytes of a framed message; only for ids that isoalign_seed knows. */
static inline size_t isoalign_payload_bytes(uint16_t id)
{
    switch (id) {
%(sizes)s
    default:
        return 0;
    }
}

/* Whether every field of a framed message's payload, which has the right size, has a value that it may have. */
static inline int isoalign_payload_valid(uint16_t id, const uint8_t *payload)
{
    (void)payload;
    switch (id) {
%(checks)s
    default:
        return 0;
    }
}

/* One frame with its delimiter into out, at least ISOALIGN_FRAME_MAX_BYTES + 1 bytes; the bytes written, 0 on error. */
static inline size_t isoalign_frame_encode(uint8_t *out, uint16_t id, isoalign_header_t header,
                                           const uint8_t *payload, size_t bytes)
{
    uint8_t body[ISOALIGN_HEADER_BYTES + ISOALIGN_PAYLOAD_MAX_BYTES + ISOALIGN_CRC_BYTES];
    int known = 0;
    const uint32_t seed = isoalign_seed(id, &known);
    if (known == 0 || bytes != isoalign_payload_bytes(id)) {
        return 0;
    }
    isoalign_put(body, bytes, 1);
    isoalign_put(body + 1, id, 2);
    isoalign_put(body + 3, 0, 1);
    isoalign_put(body + 4, header.session, 4);
    isoalign_put(body + 8, header.seq, 2);
    isoalign_put(body + 10, header.ack, 2);
    isoalign_put(body + 12, header.tx_time_us, 4);
    if (bytes > 0) {
        memcpy(body + ISOALIGN_HEADER_BYTES, payload, bytes);
    }
    const size_t content = ISOALIGN_HEADER_BYTES + bytes;
    isoalign_put(body + content, isoalign_crc32(body, content, seed), 4);
    const size_t total = content + ISOALIGN_CRC_BYTES;
    size_t code_at = 0;
    size_t at = 1;
    for (size_t i = 0; i < total; i++) {
        if (body[i] == 0) {
            out[code_at] = (uint8_t)(at - code_at);
            code_at = at++;
        } else {
            out[at++] = body[i];
        }
    }
    out[code_at] = (uint8_t)(at - code_at);
    out[at++] = 0;
    return at;
}

/* The bytes between two delimiters into id, header and payload (at least ISOALIGN_PAYLOAD_MAX_BYTES bytes).
 * 1 when framing, checksum and size are right, 0 otherwise; the fields are not yet checked. */
static inline int isoalign_frame_decode(const uint8_t *frame, size_t frame_bytes, uint16_t *id,
                                        isoalign_header_t *header, uint8_t *payload, size_t *bytes)
{
    uint8_t body[ISOALIGN_FRAME_MAX_BYTES];
    size_t total = 0;
    if (frame_bytes == 0 || frame_bytes > ISOALIGN_FRAME_MAX_BYTES) {
        return 0;
    }
    for (size_t at = 0; at < frame_bytes;) {
        const size_t code = frame[at++];
        if (code == 0 || at + code - 1 > frame_bytes) {
            return 0;
        }
        for (size_t i = 1; i < code; i++) {
            if (frame[at] == 0) {
                return 0;
            }
            body[total++] = frame[at++];
        }
        if (code < 255 && at < frame_bytes) {
            body[total++] = 0;
        }
    }
    if (total < ISOALIGN_HEADER_BYTES + ISOALIGN_CRC_BYTES) {
        return 0;
    }
    *bytes = body[0];
    if (*bytes != total - ISOALIGN_HEADER_BYTES - ISOALIGN_CRC_BYTES || *bytes > ISOALIGN_PAYLOAD_MAX_BYTES) {
        return 0;
    }
    *id = (uint16_t)isoalign_get(body + 1, 2);
    int known = 0;
    const uint32_t seed = isoalign_seed(*id, &known);
    const size_t content = total - ISOALIGN_CRC_BYTES;
    if (known == 0 || isoalign_crc32(body, content, seed) != isoalign_get(body + content, 4) || body[3] != 0) {
        return 0;
    }
    if (*bytes != isoalign_payload_bytes(*id)) {
        return 0;
    }
    header->session = (uint32_t)isoalign_get(body + 4, 4);
    header->seq = (uint16_t)isoalign_get(body + 8, 2);
    header->ack = (uint16_t)isoalign_get(body + 10, 2);
    header->tx_time_us = (uint32_t)isoalign_get(body + 12, 4);
    memcpy(payload, body + ISOALIGN_HEADER_BYTES, *bytes);
    return 1;
}

/* Seed and bytes of the fixed fields of a bulk record; 0 when the id is none, else 1, or 2 when data may follow. */
static inline int isoalign_record_kind(uint16_t id, uint32_t *seed, size_t *fixed)
{
    switch (id) {
%(records)s
    default:
        return 0;
    }
}

/* One bulk record into out: fixed fields, then data; the bytes written, 0 on error or when capacity is too small. */
static inline size_t isoalign_record_encode(uint8_t *out, size_t capacity, uint16_t id, const uint8_t *fields,
                                            const uint8_t *data, size_t data_bytes)
{
    uint32_t seed = 0;
    size_t fixed = 0;
    const int kind = isoalign_record_kind(id, &seed, &fixed);
    if (kind == 0 || (kind == 1 && data_bytes != 0) || data_bytes > ISOALIGN_BULK_RECORD_MAX_BYTES) {
        return 0;
    }
    const size_t body = 2 + fixed + data_bytes;
    if (body + ISOALIGN_CRC_BYTES > ISOALIGN_BULK_RECORD_MAX_BYTES || body + 4 + ISOALIGN_CRC_BYTES > capacity) {
        return 0;
    }
    isoalign_put(out, body + ISOALIGN_CRC_BYTES, 4);
    isoalign_put(out + 4, id, 2);
    memcpy(out + 6, fields, fixed);
    if (data_bytes > 0) {
        memcpy(out + 6 + fixed, data, data_bytes);
    }
    isoalign_put(out + 4 + body, isoalign_crc32(out + 4, body, seed), 4);
    return 4 + body + ISOALIGN_CRC_BYTES;
}

/* What follows the length of a bulk record: where its fixed fields and its data begin, and how much data there is.
 * 1 when id, size and checksum are right and every fixed field has a value that it may have, 0 otherwise. */
static inline int isoalign_record_decode(const uint8_t *body, size_t bytes, uint16_t *id, const uint8_t **fields,
                                         const uint8_t **data, size_t *data_bytes)
{
    uint32_t seed = 0;
    size_t fixed = 0;
    if (bytes < 2 + ISOALIGN_CRC_BYTES || bytes > ISOALIGN_BULK_RECORD_MAX_BYTES) {
        return 0;
    }
    *id = (uint16_t)isoalign_get(body, 2);
    const int kind = isoalign_record_kind(*id, &seed, &fixed);
    const size_t content = bytes - ISOALIGN_CRC_BYTES;
    if (kind == 0 || content < 2 + fixed || (kind == 1 && content > 2 + fixed)) {
        return 0;
    }
    if (isoalign_crc32(body, content, seed) != isoalign_get(body + content, 4)) {
        return 0;
    }
    *fields = body + 2;
    *data = body + 2 + fixed;
    *data_bytes = content - 2 - fixed;
    switch (*id) {
%(record_checks)s
    default:
        return 0;
    }
}

#endif
"""


def _member(field: FieldDefinition) -> str:
    if field.type == "text":
        return f"    char {field.name}[{field.count + 1}];"
    suffix = f"[{field.count}]" if field.count > 1 else ""
    return f"    {C_TYPE[field.type]} {field.name}{suffix};"


def _put(field: FieldDefinition, offset: int) -> list[str]:
    if field.type == "text":
        return [
            f"    memset(at + {offset}, 0, {field.count});",
            f"    memcpy(at + {offset}, m->{field.name}, strnlen_isoalign(m->{field.name}, {field.count}));",
        ]
    width = field.byte_count // field.count
    cast = {"i32": "(uint32_t)", "i16": "(uint16_t)"}.get(field.type, "")
    if field.count == 1:
        return [f"    isoalign_put(at + {offset}, {cast}m->{field.name}, {width});"]
    return [
        f"    for (size_t i = 0; i < {field.count}; i++) {{",
        f"        isoalign_put(at + {offset} + {width} * i, {cast}m->{field.name}[i], {width});",
        "    }",
    ]


def _get(field: FieldDefinition, offset: int) -> list[str]:
    if field.type == "text":
        return [
            f"    memcpy(m->{field.name}, at + {offset}, {field.count});",
            f"    m->{field.name}[{field.count}] = '\\0';",
        ]
    width = field.byte_count // field.count
    convert = {"i32": "isoalign_i32", "i16": "isoalign_i16"}.get(field.type, f"({C_TYPE[field.type]})")
    if field.count == 1:
        return [f"    m->{field.name} = {convert}(isoalign_get(at + {offset}, {width}));"]
    return [
        f"    for (size_t i = 0; i < {field.count}; i++) {{",
        f"        m->{field.name}[i] = {convert}(isoalign_get(at + {offset} + {width} * i, {width}));",
        "    }",
    ]


def _snake(enum: str) -> str:
    return "".join("_" + c.lower() if c.isupper() else c for c in enum).lstrip("_")


def _enum(enum: EnumDefinition) -> list[str]:
    prefix = f"ISOALIGN_{_snake(enum.name).upper()}"
    lines = ["", f"/* {enum.meaning} */", "enum {"]
    lines += [f"    {prefix}_{name} = {value}," for name, value, _ in enum.values]
    lines += ["};", "", f"static inline int isoalign_{_snake(enum.name)}_known(uint32_t value)", "{"]
    if enum.flags:
        every = sum(value for _, value, _ in enum.values)
        return [*lines, f"    return (value & ~0x{every:X}U) == 0U;", "}"]
    lines += ["    switch (value) {", *(f"    case {value}:" for _, value, _ in enum.values)]
    return [*lines, "        return 1;", "    default:", "        return 0;", "    }", "}"]


def _outside(one: FieldDefinition, value: str) -> str:
    """The condition under which a number may not be; empty when its type has no other numbers."""
    if one.enum:
        return f"isoalign_{_snake(one.enum)}_known({value}) == 0"
    assert one.minimum is not None
    assert one.maximum is not None
    lowest, highest = one.unchecked
    suffix = {"u64": "ULL", "u32": "U"}.get(one.type, "")
    absent = NOT_AVAILABLE.get(one.type) if one.nullable else None
    low = one.minimum > (lowest + 1 if absent == lowest else lowest)
    high = one.maximum < (highest - 1 if absent == highest else highest)
    limits = ([f"{value} < {one.minimum}{suffix}"] if low else []) + (
        [f"{value} > {one.maximum}{suffix}"] if high else []
    )
    if not limits or absent is None:
        return " || ".join(limits)
    name = {"i32": "ISOALIGN_I32_NOT_AVAILABLE", "u32": "ISOALIGN_U32_NOT_AVAILABLE"}[one.type]
    return f"{value} != {name} && ({' || '.join(limits)})"


def _valid(name: str, fields: list[FieldDefinition]) -> list[str]:
    """The function that says whether every field of a structure has a value that it may have."""
    lines: list[str] = []
    for one in fields:
        many = one.count > 1 and one.type != "text"
        if one.type == "text":
            wrong = f"isoalign_text_valid(m->{one.name}, {one.count}) == 0"
        else:
            wrong = _outside(one, f"m->{one.name}" + ("[i]" if many else ""))
        if not wrong:
            continue
        check = [f"    if ({wrong}) {{", "        return 0;", "    }"]
        if many:
            check = [f"    for (size_t i = 0; i < {one.count}; i++) {{", *("    " + line for line in check), "    }"]
        lines += check
    return [
        "",
        f"static inline int isoalign_{name}_valid(const isoalign_{name}_t *m)",
        "{",
        *(lines or ["    (void)m;"]),
        "    return 1;",
        "}",
    ]


def _payload_check(message: MessageDefinition, bytes_at: str) -> str:
    """The case of a switch that reads and checks the fixed fields of a message."""
    name = message.name.lower()
    if not any(field.type != "data" for field in message.fields):
        return f"    case ISOALIGN_{message.name}_ID:\n        return 1;"
    return (
        f"    case ISOALIGN_{message.name}_ID: {{\n"
        f"        isoalign_{name}_t m;\n"
        f"        isoalign_{name}_get(&m, {bytes_at});\n"
        f"        return isoalign_{name}_valid(&m);\n"
        "    }"
    )


def _record_kind(message: MessageDefinition) -> str:
    data = any(field.type == "data" for field in message.fields)
    return (
        f"    case ISOALIGN_{message.name}_ID:\n"
        f"        *seed = ISOALIGN_{message.name}_SEED;\n"
        f"        *fixed = ISOALIGN_{message.name}_BYTES;\n"
        f"        return {2 if data else 1};"
    )


def _message(message: MessageDefinition) -> list[str]:
    name = message.name.lower()
    upper = f"ISOALIGN_{message.name}"
    fields = [field for field in message.fields if field.type != "data"]
    lines = [
        "",
        f"#define {upper}_ID 0x{message.id:04X}U",
        f"#define {upper}_SEED 0x{message.seed:08X}U",
        f"#define {upper}_BYTES {message.byte_count}",
    ]
    for field in fields:
        if field.minimum is not None and field.enum is None:
            suffix = {"u64": "ULL", "u32": "U"}.get(field.type, "")
            lines += [
                f"#define {upper}_{field.name.upper()}_MIN ({field.minimum}{suffix})",
                f"#define {upper}_{field.name.upper()}_MAX ({field.maximum}{suffix})",
            ]
    if not fields:
        return lines
    lines += ["", "typedef struct {", *(_member(field) for field in fields), f"}} isoalign_{name}_t;", ""]
    offset = 0
    puts: list[str] = []
    gets: list[str] = []
    for field in fields:
        puts += _put(field, offset)
        gets += _get(field, offset)
        offset += field.byte_count
    lines += [
        f'static_assert({upper}_BYTES == {" + ".join(str(field.byte_count) for field in fields)}, "{message.name}");',
        "",
        f"static inline void isoalign_{name}_put(uint8_t *at, const isoalign_{name}_t *m)",
        "{",
        *puts,
        "}",
        "",
        f"static inline void isoalign_{name}_get(isoalign_{name}_t *m, const uint8_t *at)",
        "{",
        *gets,
        "}",
        *_valid(name, fields),
    ]
    return lines


def c_header(definitions: Definitions) -> str:
    """The text of isoalign_protocol.h."""
    out = [HEAD.format(major=definitions.major, minor=definitions.minor, payload=PAYLOAD_MAX)]
    assert NOT_AVAILABLE == {"i32": -(2**31), "u32": 2**32 - 1}
    out += [f"#define ISOALIGN_{name.upper()} {value}U" for _, name, value, _ in definitions.constants]
    devices = [name for name, _, _ in next(enum.values for enum in definitions.enums if enum.name == "DeviceKind")]
    out += [f"#define ISOALIGN_DICTIONARY_{d} 0x{definitions.dictionary_hash(d.lower()):016X}ULL" for d in devices]
    for enum in definitions.enums:
        out += _enum(enum)
    out.append(HELPERS)
    out += [
        "static inline size_t strnlen_isoalign(const char *text, size_t most)",
        "{",
        "    size_t length = 0;",
        "    while (length < most && text[length] != '\\0') {",
        "        length++;",
        "    }",
        "    return length;",
        "}",
        "",
        "static inline int isoalign_text_valid(const char *text, size_t most)",
        "{",
        "    const size_t length = strnlen_isoalign(text, most);",
        "    for (size_t i = 0; i < most; i++) {",
        "        if ((unsigned char)text[i] > 127U || (i > length && text[i] != '\\0')) {",
        "            return 0;",
        "        }",
        "    }",
        "    return 1;",
        "}",
    ]
    for message in definitions.messages:
        out += _message(message)
    framed = [message for message in definitions.messages if message.kind != "bulk"]
    seeds = "\n".join(f"    case ISOALIGN_{m.name}_ID:\n        return ISOALIGN_{m.name}_SEED;" for m in framed)
    bulk = [message for message in definitions.messages if message.kind == "bulk"]
    sizes = "\n".join(f"    case ISOALIGN_{m.name}_ID:\n        return ISOALIGN_{m.name}_BYTES;" for m in framed)
    out.append(
        FRAMING
        % {
            "seeds": seeds,
            "sizes": sizes,
            "checks": "\n".join(_payload_check(message, "payload") for message in framed),
            "records": "\n".join(_record_kind(message) for message in bulk),
            "record_checks": "\n".join(_payload_check(message, "*fields") for message in bulk),
        }
    )
    return "\n".join(out)
