"""Writes ``c/isoalign_protocol.h``: a C11 header without dependencies for the firmware side."""

from __future__ import annotations

from definitions import NOT_AVAILABLE, PAYLOAD_MAX, Definitions, FieldDefinition, MessageDefinition

C_TYPE = {"u8": "uint8_t", "u16": "uint16_t", "u32": "uint32_t", "u64": "uint64_t", "i16": "int16_t", "i32": "int32_t"}

HEAD = """/* Firmware protocol {major}.{minor}: ids, limits, enumerations, structures, byte-wise packing, framing.
 *
 * Generated from the definitions in this folder by generate.py; do not edit. INTERFACE.md says what everything means.
 * C11, no allocation, no dependency but the standard headers below. Structures are host-side; the wire format is made
 * byte by byte, so that neither padding nor byte order of the processor matters. Ranges are the caller's to check.
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

/* The CRC seed of a message id, and 0 in *known when there is none. */
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

/* One frame with its delimiter into out, at least ISOALIGN_FRAME_MAX_BYTES + 1 bytes; the bytes written, 0 on error. */
static inline size_t isoalign_frame_encode(uint8_t *out, uint16_t id, isoalign_header_t header,
                                           const uint8_t *payload, size_t bytes)
{
    uint8_t body[ISOALIGN_HEADER_BYTES + ISOALIGN_PAYLOAD_MAX_BYTES + ISOALIGN_CRC_BYTES];
    int known = 0;
    const uint32_t seed = isoalign_seed(id, &known);
    if (known == 0 || bytes > ISOALIGN_PAYLOAD_MAX_BYTES) {
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
 * 1 when the frame is valid as far as framing goes, 0 otherwise. */
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
    header->session = (uint32_t)isoalign_get(body + 4, 4);
    header->seq = (uint16_t)isoalign_get(body + 8, 2);
    header->ack = (uint16_t)isoalign_get(body + 10, 2);
    header->tx_time_us = (uint32_t)isoalign_get(body + 12, 4);
    memcpy(payload, body + ISOALIGN_HEADER_BYTES, *bytes);
    return 1;
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
        snake = "".join("_" + c if c.isupper() else c.upper() for c in enum.name)
        out += ["", f"/* {enum.meaning} */", "enum {"]
        out += [f"    ISOALIGN{snake}_{name} = {value}," for name, value, _ in enum.values]
        out.append("};")
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
    ]
    for message in definitions.messages:
        out += _message(message)
    framed = [message for message in definitions.messages if message.kind != "bulk"]
    seeds = "\n".join(f"    case ISOALIGN_{m.name}_ID:\n        return ISOALIGN_{m.name}_SEED;" for m in framed)
    out.append(FRAMING % {"seeds": seeds})
    return "\n".join(out)
