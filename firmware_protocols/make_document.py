"""Writes ``INTERFACE.md``: all that an implementer of either end needs to know."""

from __future__ import annotations

from definitions import NOT_AVAILABLE, PAYLOAD_MAX, Definitions, EnumDefinition, FieldDefinition, MessageDefinition

HEAD = """# Interface document of the firmware protocol, version {major}.{minor}

Generated from the definitions in this folder by `generate.py`; do not edit.

## Numbers

All integers are little-endian, without padding, signed ones in two's complement. There are no floating-point numbers.
`micro` in a field's name means µm for lateral, longitudinal and vertical, and µdeg for pitch, roll and patient support
angle; axes always come in this order, positions are IEC 61217. `udeg` in a field's name means µdeg. A nullable field
may be "not available": {i32} for i32, {u32} for u32. A value outside its range, an undefined enumeration value or an
undefined flag makes the whole frame invalid. Text is ASCII, padded with zero bytes on the right.

## Frames

    COBS( header | payload | CRC ) 0x00

COBS is Consistent Overhead Byte Stuffing (Cheshire and Baker, 1999). The payload has at most {payload} bytes, so that
COBS adds exactly one byte. Empty frames (two delimiters in a row) are allowed and mean nothing.

| Header field | Type | Meaning |
|---|---|---|
| len | u8 | bytes of payload; must be exactly what the frame has and what the message needs |
| msg | u16 | message id |
| flags | u8 | reserved, 0 |
| session | u32 | session number that HELLO_ACK gave; 0 outside of any |
| seq | u16 | counts the frames of the sender, modulo 65536 |
| ack | u16 | latest seq that the sender has received |
| tx_time | u32 | low 32 bits of the sender's time, µs |

The CRC is CRC-32 (polynomial 0xEDB88320 reflected, final complement) over header and payload, appended as u32. Its
register does not begin with 0xFFFFFFFF but with the complement of the message's *seed*, so that a frame of another
layout is never accepted. The seed is the first four bytes, little-endian, of the SHA-256 of the layout text: the lines

    message NAME ID
    field NAME TYPE COUNT MIN MAX NULLABLE ENUM

joined by single line feeds, without one at the end; numbers in decimal, COUNT 1 for a plain field, the size for text
and 0 for data; MIN and MAX are `-` for text, data and enumerations; NULLABLE is 0 or 1; ENUM is `-` where there is
none. A range that the definition leaves open is that of the type: without {i32} for i32, and without {u32} for a
nullable u32.

## Bulk records

Images travel on a TCP connection of their own, without COBS and without header:

    length u32 | msg u16 | fields | data | CRC u32

The length counts everything after itself. The CRC covers msg, fields and data, with the seed of the record as above.

## Dictionary hash

HELLO and HELLO_ACK compare what both ends know about the device: the first eight bytes, little-endian, of the SHA-256
of the layout texts of all messages of `common` and of the device by rising id, then for every enumeration of both by
name `enum NAME FLAGS` (FLAGS 0 or 1) and `value NAME VALUE` by rising value, then every constant of both by name as
`constant NAME VALUE`; all lines joined by single line feeds.

## Rules of a session

1. The host sends HELLO with session 0 and a fresh nonce. The device ends any session that it has, makes up a new
   random session number and answers HELLO_ACK, whose header carries it. When major version or dictionary hash differ,
   the session is read only.
2. A frame whose session is not the present one is dropped; the device answers SESSION_ENDED with the session that it
   heard. A frame whose seq is not newer than the latest is dropped.
3. The host sends HEARTBEAT with an advancing counter. When it has not advanced for the expiry time in HELLO_ACK, the
   device ends the session.
4. A command carries an id that rises within a session and a device time after which it is refused. The device answers
   every command with COMMAND_EVENT. A command that comes again with the same id is answered again and not carried out
   again. The host repeats an unanswered command a few times, then gives the link up.
5. STOP, GANTRY_STOP and ABORT_EXPOSURE need no session, no sequence and no id, and are always carried out.
6. The host forwards the pendant's PENDANT_STATE as ENABLE_TOKEN or GANTRY_ENABLE_TOKEN and its client's counter in
   HEARTBEAT, both unchanged; it never makes either up.
7. Couch, gantry and imager arm move only while the host heartbeat, the client counter and the enable token all advance.
   The first to fail stops the device on its path (SS1) and is latched. CLEAR or GANTRY_CLEAR must name the latch; after
   that, and after every new session, the enabling switch must be released and pressed anew (a newer press_count).
   Nothing resumes by itself.
8. A panel sends a frame on the image connection as soon as it has read it out, and again to a host that connects anew,
   until IMAGE_RELEASE or the next ARM. A frame is whole when every row has arrived and the CRC over all pixels agrees.
9. A cone-beam rotation that ends early is ABORTED; its PROJECTION_TRIGGER events are never sent again. A projection
   whose event is missing has no angle and is left out. The scan_id of the events must be that of the command.
"""


def _range(field: FieldDefinition) -> str:
    if field.enum:
        return f"[{field.enum}](#{field.enum.lower()})"
    if field.minimum is None:
        return f"{field.count} bytes" if field.type == "text" else ""
    return f"{field.minimum} .. {field.maximum}" + (f", or {NOT_AVAILABLE[field.type]}" if field.nullable else "")


def _message(message: MessageDefinition) -> list[str]:
    way = "host → device" if message.direction == "host_to_device" else "device → host"
    session = {"none": "no session needed", "any": "opens or ends a session", "required": "within a session"}
    facts = f"Id 0x{message.id:04X}, {way}, {message.kind}, {session[message.session]}, {message.byte_count} bytes"
    lines = [f"### {message.name}", "", f"{facts}, seed 0x{message.seed:08X}. {message.meaning}", ""]
    if not message.fields:
        return [*lines, "No fields.", ""]
    lines += ["| Offset | Field | Type | Unit | Range | Meaning |", "|---|---|---|---|---|---|"]
    offset = 0
    for field in message.fields:
        kind = f"{field.type}[{field.count}]" if field.count > 1 and field.type != "text" else field.type
        unit = field.unit.replace("|", " or ")
        lines.append(f"| {offset} | {field.name} | {kind} | {unit} | {_range(field)} | {field.meaning} |")
        offset += field.byte_count
    return [*lines, ""]


def _enum(enum: EnumDefinition) -> list[str]:
    lines = [f"### {enum.name}", "", enum.meaning + (" Flags that add up." if enum.flags else ""), ""]
    if enum.faults:
        lines += [
            "| Value | Name | Severity | Reaction | Latching | Cleared by | Meaning |",
            "|---|---|---|---|---|---|---|",
        ]
        for row in enum.faults:
            latching = "yes" if row["latching"] else "no"
            lines.append(
                f"| {row['value']} | {row['name']} | {row['severity']} | {row['reaction']} | {latching} | "
                f"{row['cleared_by']} | {row['meaning']} |"
            )
    else:
        lines += ["| Value | Name | Meaning |", "|---|---|---|"]
        lines += [f"| {value} | {name} | {meaning} |" for name, value, meaning in enum.values]
    return [*lines, ""]


def interface_document(definitions: Definitions) -> str:
    """The text of INTERFACE.md."""
    out = [
        HEAD.format(
            major=definitions.major,
            minor=definitions.minor,
            i32=NOT_AVAILABLE["i32"],
            u32=NOT_AVAILABLE["u32"],
            payload=PAYLOAD_MAX,
        )
    ]
    devices = list(dict.fromkeys(message.device for message in definitions.messages))
    for device in devices:
        out += [f"## Messages: {device}", ""]
        if device != "common":
            out += [f"Dictionary hash 0x{definitions.dictionary_hash(device):016X}.", ""]
        for message in definitions.messages:
            if message.device == device:
                out += _message(message)
    out += ["## Enumerations", ""]
    for enum in definitions.enums:
        out += _enum(enum)
    out += ["## Constants", "", "| Of | Name | Value | Meaning |", "|---|---|---|---|"]
    out += [f"| {device} | {name} | {value} | {meaning} |" for device, name, value, meaning in definitions.constants]
    return "\n".join(out) + "\n"
