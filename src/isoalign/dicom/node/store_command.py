"""The command set of a plain C-STORE as bytes; whatever says more than that is left to the library.

The library makes a data set of every command set, which takes longer than an image takes to arrive.

Source: DICOM PS3.7 9.3.1 (C-STORE), 6.3.1 and annex E (implicit VR, little endian).
"""

from __future__ import annotations

import struct
from typing import Any

from pydicom.uid import UID
from pynetdicom.dimse_primitives import C_STORE

ELEMENT = struct.Struct("<HHI")
"""Group, element, length of the value."""
NUMBER = struct.Struct("<H")
GROUP_LENGTH, COMMAND_FIELD, DATA_SET_TYPE = 0x0000, 0x0100, 0x0800
REQUEST, RESPONSE = 0x0001, 0x8001
A_DATA_SET, NO_DATA_SET = 0x0001, 0x0101
NUMBERS = {
    0x0110: "MessageID",
    0x0120: "MessageIDBeingRespondedTo",
    0x0700: "Priority",
    0x0900: "Status",
    0x1031: "MoveOriginatorMessageID",
}
UIDS = {0x0002: "AffectedSOPClassUID", 0x1000: "AffectedSOPInstanceUID"}
TITLES = {0x1030: "MoveOriginatorApplicationEntityTitle"}
KEYWORDS = NUMBERS | UIDS | TITLES
NEEDED = {REQUEST: {0x0002, 0x0110, 0x0700, 0x1000}, RESPONSE: {0x0120, 0x0900}}
ALLOWED = {REQUEST: NEEDED[REQUEST] | {0x1030, 0x1031}, RESPONSE: NEEDED[RESPONSE] | {0x0002, 0x1000}}


def decode(encoded: bytes) -> C_STORE | None:
    """The C-STORE request (a data set follows) or response in a command set; None for everything else."""
    found = _elements(encoded)
    if found is None:
        return None
    found.pop(GROUP_LENGTH, None)
    kind, data_set = found.pop(COMMAND_FIELD, b""), found.pop(DATA_SET_TYPE, b"")
    if len(kind) != NUMBER.size or len(data_set) != NUMBER.size:
        return None
    field, has_data = NUMBER.unpack(kind)[0], NUMBER.unpack(data_set)[0] != NO_DATA_SET
    if field not in NEEDED or has_data != (field == REQUEST) or not NEEDED[field] <= found.keys() <= ALLOWED[field]:
        return None
    message = C_STORE()
    try:
        for number, value in found.items():
            setattr(message, KEYWORDS[number], _value(number, value))
    except (ValueError, TypeError, struct.error):
        return None  # the library says what is wrong with it
    return message


def _elements(encoded: bytes) -> dict[int, bytes] | None:
    found: dict[int, bytes] = {}
    position, end = 0, len(encoded)
    while position < end:
        if position + ELEMENT.size > end:
            return None
        group, number, length = ELEMENT.unpack_from(encoded, position)
        position += ELEMENT.size + length
        if group != 0 or number in found or position > end:
            return None
        found[number] = encoded[position - length : position]
    return found


def _value(number: int, value: bytes) -> int | str:
    if number in NUMBERS:
        return int(NUMBER.unpack(value)[0])
    if b"\\" in value:
        raise ValueError("several values")
    words = value.decode("ascii").strip("\0 ")
    return UID(words) if number in UIDS else words


def encode(message: C_STORE) -> bytes | None:
    """The command set of a C-STORE request (a data set follows) or response; None when it says more than plain ones."""
    is_response = message.MessageIDBeingRespondedTo is not None
    extras: tuple[Any, ...] = (message.ErrorComment, message.OffendingElement)
    if extras != (None, None):
        return None
    field = RESPONSE if is_response else REQUEST
    found = {COMMAND_FIELD: NUMBER.pack(field), DATA_SET_TYPE: NUMBER.pack(NO_DATA_SET if is_response else A_DATA_SET)}
    for number in ALLOWED[field]:
        value = getattr(message, KEYWORDS[number])
        if number in NUMBERS and value is not None:
            found[number] = NUMBER.pack(value)
        elif value is not None:
            padding = b"\0" if number in UIDS else b" "
            encoded = str(value).encode("ascii")
            found[number] = encoded + padding * (len(encoded) % 2)
    body = b"".join(ELEMENT.pack(0, number, len(value)) + value for number, value in sorted(found.items()))
    return ELEMENT.pack(0, GROUP_LENGTH, 4) + struct.pack("<I", len(body)) + body
