"""A second, independent codec, written from INTERFACE.md, that makes the test vectors.

It shares no line with the package: its own byte stuffing, its own bitwise CRC, its own reading of the definitions. A
mistake in the package's codec, which drivers and simulators share, shows as a vector that does not agree.

``python firmware_protocols/reference_codec.py`` writes ``vectors/``; ``--check`` exits with 1 when they are stale.
"""

from __future__ import annotations

import hashlib
import json
import random
import sys
from pathlib import Path

import yaml

FOLDER = Path(__file__).parent
WIDTH = {"u8": 1, "u16": 2, "u32": 4, "u64": 8, "i16": 2, "i32": 4}
ABSENT = {"i32": -(2**31), "u32": 2**32 - 1}
DEVICES = ("common", "couch", "generator", "panel", "pendant", "gantry")


def limits(field):
    """Range of a number: as defined, or that of its type without the value for "not available"."""
    bits = 8 * WIDTH[field["type"]]
    if field["type"].startswith("i"):
        low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
        if field["type"] == "i32":
            low += 1
    else:
        low, high = 0, 2**bits - 1
        if field.get("nullable"):
            high -= 1
    return field.get("min", low), field.get("max", high)


def read_definitions():
    """Messages by name with the device they belong to, and the values of every enumeration."""
    messages, enums = {}, {}
    for device in DEVICES:
        raw = yaml.safe_load((FOLDER / f"{device}.yaml").read_text(encoding="utf-8"))
        for name, message in raw["messages"].items():
            messages[name] = {"name": name, "device": device, **message}
        for name, enum in raw.get("enums", {}).items():
            enums[name] = (bool(enum.get("flags")), [v["value"] for v in enum["values"].values()])
        if "faults" in raw:
            enums[raw["faults"]["enum"]] = (False, [v["value"] for v in raw["faults"]["values"].values()])
    return messages, enums


def seed_of(message):
    """Start value of the CRC: a hash over the layout text."""
    lines = [f"message {message['name']} {message['id']}"]
    for name, field in message["fields"].items():
        kind = field["type"]
        count = {"text": field.get("size"), "data": 0}.get(kind, field.get("count", 1))
        plain = kind in WIDTH and "enum" not in field
        low, high = limits(field) if plain else ("-", "-")
        nullable = 1 if field.get("nullable") else 0
        lines.append(f"field {name} {kind} {count} {low} {high} {nullable} {field.get('enum', '-')}")
    return int.from_bytes(hashlib.sha256("\n".join(lines).encode()).digest()[0:4], "little")


def crc32(data, seed):
    """CRC-32 bit by bit; the register begins with the complement of the seed."""
    register = seed ^ 0xFFFFFFFF
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = (register >> 1) ^ (0xEDB88320 if register & 1 else 0)
    return register ^ 0xFFFFFFFF


def stuff(data):
    """Consistent overhead byte stuffing for fewer than 254 bytes."""
    return b"".join(bytes([len(part) + 1]) + part for part in data.split(b"\0"))


def pack(message, values):
    """Payload bytes of a message."""
    out = b""
    for name, field in message["fields"].items():
        kind, value = field["type"], values[name]
        if kind == "text":
            out += value.encode("ascii").ljust(field["size"], b"\0")
        elif kind == "data":
            out += bytes.fromhex(value)
        else:
            for one in value if field.get("count", 1) > 1 else [value]:
                number = ABSENT[kind] if one is None else one
                out += number.to_bytes(WIDTH[kind], "little", signed=kind.startswith("i"))
    return out


def body_of(message, payload, header, *, length=None, message_id=None, flags=0):
    """Header and payload, with liberties for wrong frames."""
    session, seq, ack, tx_time = header
    return (
        (len(payload) if length is None else length).to_bytes(1, "little")
        + (message["id"] if message_id is None else message_id).to_bytes(2, "little")
        + flags.to_bytes(1, "little")
        + session.to_bytes(4, "little")
        + seq.to_bytes(2, "little")
        + ack.to_bytes(2, "little")
        + tx_time.to_bytes(4, "little")
        + payload
    )


def with_crc(body, seed):
    """Body and its CRC."""
    return body + crc32(body, seed).to_bytes(4, "little")


def record(message, payload):
    """One bulk record."""
    body = with_crc(message["id"].to_bytes(2, "little") + payload, seed_of(message))
    return len(body).to_bytes(4, "little") + body


def choose(field, enums, how, dice):
    """A value for a field: the least, the greatest, anything, or not available."""
    kind = field["type"]
    if kind == "text":
        return {"least": "", "greatest": "Z" * field["size"]}.get(how, f"v{dice.randrange(1000)}")
    if kind == "data":
        return dice.randbytes({"least": 2, "greatest": 600}.get(how, 64)).hex()
    if "enum" in field:
        flags, values = enums[field["enum"]]
        if flags:
            return {"least": 0, "greatest": sum(values)}.get(how, dice.choice(values))
        return {"least": min(values), "greatest": max(values)}.get(how, dice.choice(values))
    if how == "absent" and field.get("nullable"):
        return None
    low, high = limits(field)
    return {"least": low, "greatest": high}.get(how, dice.randint(low, high))


def values_of(message, enums, how, dice):
    """Values for every field of a message."""
    values = {}
    for name, field in message["fields"].items():
        many = field.get("count", 1)
        chosen = [choose(field, enums, how, dice) for _ in range(many)]
        values[name] = chosen if many > 1 else chosen[0]
    return values


def positive(messages, enums, device):
    """Valid vectors of one device."""
    found = []
    for message in (m for m in messages.values() if m["device"] == device):
        for how in ("least", "greatest", "any", "absent"):
            if how == "absent" and not any(f.get("nullable") for f in message["fields"].values()):
                continue
            dice = random.Random(f"{message['name']} {how}")
            values = values_of(message, enums, how, dice)
            payload = pack(message, values)
            vector = {"name": f"{message['name']} {how}", "message": message["name"], "fields": values}
            if message["class"] == "bulk":
                vector["record_hex"] = record(message, payload).hex()
            else:
                top = how == "greatest"
                header = (
                    (2**32 - 1, 2**16 - 1, 2**16 - 1, 2**32 - 1)
                    if top
                    else (0, 0, 0, 0)
                    if how == "least"
                    else tuple(dice.randrange(2**bits) for bits in (32, 16, 16, 32))
                )
                vector["header"] = dict(zip(("session", "seq", "ack", "tx_time_us"), header, strict=True))
                vector["frame_hex"] = stuff(with_crc(body_of(message, payload, header), seed_of(message))).hex() + "00"
            found.append(vector)
    return found


def negative(messages, enums):
    """Frames between two delimiters that must be refused, and why."""
    header = (0x11223344, 0x0102, 0x0304, 0x55667788)
    state, move, stop = messages["COUCH_STATE"], messages["MOVE"], messages["STOP"]
    dice = random.Random("negative")
    values = {
        name: [choose(f, enums, "any", dice) for _ in range(f["count"])]
        if "count" in f
        else choose(f, enums, "any", dice)
        for name, f in move["fields"].items()
    }
    payload = pack(move, values)
    seed = seed_of(move)
    good = with_crc(body_of(move, payload, header), seed)
    found = []

    def add(name, raw, fault, *, stuffed=True):
        found.append({"name": name, "frame_hex": (stuff(raw) if stuffed else raw).hex(), "fault": fault})

    for at, what in ((0, "len"), (1, "msg"), (3, "flags"), (4, "session"), (8, "seq"), (10, "ack"), (12, "tx_time")):
        broken = bytearray(good)
        broken[at] ^= 0x01
        fault = {"len": "LENGTH", "msg": None}.get(what, "CHECKSUM")
        add(f"header field {what} wrong, CRC of the right one", bytes(broken), fault)
    for where in (16, 40, len(good) - 5):
        for bit in (0, 7):
            broken = bytearray(good)
            broken[where] ^= 1 << bit
            add(f"payload byte {where - 16} bit {bit} flipped", bytes(broken), "CHECKSUM")
    add(
        "CRC one too large",
        good[:-4] + ((int.from_bytes(good[-4:], "little") + 1) % 2**32).to_bytes(4, "little"),
        "CHECKSUM",
    )
    add("CRC bytes swapped", good[:-4] + good[-4:][::-1], "CHECKSUM")
    add("CRC without seed", with_crc(body_of(move, payload, header), 0), "CHECKSUM")
    add("CRC with the seed of another message", with_crc(body_of(move, payload, header), seed_of(stop)), "CHECKSUM")
    add("no CRC", good[:-4], "LENGTH")
    add("len one too small", with_crc(body_of(move, payload, header, length=len(payload) - 1), seed), "LENGTH")
    add("len one too large", with_crc(body_of(move, payload, header, length=len(payload) + 1), seed), "LENGTH")
    add("one payload byte too few for the message", with_crc(body_of(move, payload[:-1], header), seed), "LENGTH")
    add("one payload byte too many for the message", with_crc(body_of(move, payload + b"\1", header), seed), "LENGTH")
    add("message id 0", with_crc(body_of(move, payload, header, message_id=0), seed), "UNKNOWN_MESSAGE")
    add("message id 0xFFFF", with_crc(body_of(move, payload, header, message_id=0xFFFF), seed), "UNKNOWN_MESSAGE")
    chunk = messages["IMAGE_CHUNK"]
    add("a bulk record as a frame", with_crc(body_of(chunk, bytes(16), header), seed_of(chunk)), "UNKNOWN_MESSAGE")
    for flags in (0x01, 0x80, 0xFF):
        add(f"reserved flags 0x{flags:02X}", with_crc(body_of(move, payload, header, flags=flags), seed), "FLAGS")
    for count in (0, 1, 15, 19):
        add(f"only {count} bytes", good[:count], None if count == 0 else "TOO_SHORT")
    for count in (20, 50, len(good) - 1):
        add(f"cut off after {count} bytes", good[:count], "LENGTH")
    add("over-long frame", good + b"\0" + bytes(range(1, 201)), "TOO_LONG")
    add("two frames without a delimiter between them", good + good, "LENGTH")
    whole = stuff(good)
    add("stuffing code beyond the end", bytes([whole[0] + 1]) + whole[1:], None, stuffed=False)
    add("last stuffed byte missing", whole[:-1], None, stuffed=False)
    add("zero inside", whole[:30] + b"\0" + whole[31:], None, stuffed=False)
    add("not stuffed at all", good, None, stuffed=False)
    for field, value in (("speed_class", 0), ("speed_class", 9), ("speed_permille", 0), ("speed_permille", 1001)):
        wrong = dict(values)
        wrong[field] = value
        add(f"{field} = {value}", with_crc(body_of(move, pack(move, wrong), header), seed), "FIELD")
    far = {**values, "target_micro": [400_000_001, 0, 0, 0, 0, 0]}
    add("target out of range", with_crc(body_of(move, pack(move, far), header), seed), "FIELD")
    none = {**values, "target_micro": [None, 0, 0, 0, 0, 0]}
    add("target not available", with_crc(body_of(move, pack(move, none), header), seed), "FIELD")
    state_values = values_of(state, enums, "least", dice)
    for field, value in (("status", 0x80000000), ("mode", 200), ("latch", 999), ("following_error_axis", 7)):
        wrong = {**state_values, field: value}
        raw = with_crc(body_of(state, pack(state, wrong), header), seed_of(state))
        add(f"COUCH_STATE {field} = {value}", raw, "FIELD")
    for field, value in (
        ("mode", 8),
        ("latch", 10),
        ("status", 128),
        ("imager_arm", 4),
        ("last_command_status", 6),
    ):
        gantry = messages["GANTRY_STATE"]
        wrong = {**values_of(gantry, enums, "least", dice), field: value}
        raw = with_crc(body_of(gantry, pack(gantry, wrong), header), seed_of(gantry))
        add(f"GANTRY_STATE {field} = {value}", raw, "FIELD")
    for name, field, value in (
        ("IMAGER_ARM_MOVE", "arm_end", 0),
        ("IMAGER_ARM_MOVE", "arm_end", 2),
        ("GANTRY_ROTATE", "target_udeg", None),
        ("GANTRY_ROTATE", "expected_start_udeg", 400_000_001),
        ("CONE_BEAM_ROTATE", "scan_id", 0),
        ("CONE_BEAM_ROTATE", "from_udeg", -400_000_001),
        ("CONE_BEAM_ROTATE", "speed_udeg_per_s", 7_000_001),
        ("CONE_BEAM_ROTATE", "trigger_spacing_udeg", 9_999),
        ("PROJECTION_TRIGGER", "trigger_index", 80_001),
        ("GANTRY_ENABLE_TOKEN", "press_count", 2**32 - 1),
        ("HELLO_ACK", "capabilities", 32),
        ("HELLO_ACK", "device_kind", 6),
        ("AXIS_INFO", "axis", 6),
        ("AXIS_INFO", "travel_min_micro", -(2**31)),
    ):
        other = messages[name]
        wrong = {**values_of(other, enums, "any", dice), field: value}
        raw = with_crc(body_of(other, pack(other, wrong), header), seed_of(other))
        add(f"{name} {field} = {'not available' if value is None else value}", raw, "FIELD")
    hello = messages["HELLO_ACK"]
    text = pack(hello, {**values_of(hello, enums, "any", dice), "serial_number": "SN-1"})
    for what, words in (("not ASCII", b"SN\xe9"), ("a zero inside", b"SN\0001"), ("a zero first", b"\0001")):
        padded = words.ljust(16, b"\0")
        for name, wrong in (
            ("serial_number", text[:-16] + padded),
            ("firmware_build", text[:-32] + padded + text[-16:]),
        ):
            add(f"HELLO_ACK {name} {what}", with_crc(body_of(hello, wrong, header), seed_of(hello)), "FIELD")
    for name in ("MOVE", "COUCH_STATE", "HEARTBEAT", "STOP", "ABORT_EXPOSURE", "CONE_BEAM_ROTATE"):
        other = messages[name]
        content = pack(other, values_of(other, enums, "any", dice))
        for what, wrong in (("few", content[:-1]), ("many", content + b"\1")):
            if content or what == "many":
                raw = with_crc(body_of(other, wrong, header, length=len(content)), seed_of(other))
                add(f"{name} with the right len and CRC, one byte too {what}", raw, "LENGTH")
    token, other = messages["ENABLE_TOKEN"], messages["GANTRY_ENABLE_TOKEN"]
    content = pack(token, values_of(token, enums, "any", dice))
    raw = with_crc(body_of(other, content, header), seed_of(token))
    add("the couch's enable token under the gantry's message id", raw, "CHECKSUM")
    return found


def negative_records(messages, enums):
    """Bulk records that must be refused, and why; the length before them is always right."""
    dice = random.Random("negative records")
    found = []

    def add(name, content, seed, fault):
        body = with_crc(content, seed)
        found.append({"name": name, "record_hex": (len(body).to_bytes(4, "little") + body).hex(), "fault": fault})

    for name in ("IMAGE_CHUNK", "IMAGE_END", "IMAGE_RESEND", "IMAGE_RELEASE"):
        message = messages[name]
        number, seed = message["id"].to_bytes(2, "little"), seed_of(message)
        values = values_of(message, enums, "any", dice)
        content = pack(message, values)
        without_data = pack(message, {**values, **({"pixels": ""} if "pixels" in values else {})})
        add(f"{name}: one byte too few", number + without_data[:-1], seed, "LENGTH")
        if "pixels" not in values:
            add(f"{name}: one byte too many", number + content + b"\1", seed, "LENGTH")
        add(f"{name}: CRC without seed", number + content, 0, "CHECKSUM")
        add(f"{name}: frame_id = 0", number + pack(message, {**values, "frame_id": 0}), seed, "FIELD")
        if "rows" in values:
            add(f"{name}: rows = 0", number + pack(message, {**values, "rows": 0}), seed, "FIELD")
    stop = messages["STOP"]
    add("a framed message as a record", stop["id"].to_bytes(2, "little") + b"\1", seed_of(stop), "UNKNOWN_MESSAGE")
    add("record id 0", bytes(10), 0, "UNKNOWN_MESSAGE")
    found.append({"name": "a record of five bytes", "record_hex": "050000000102030405", "fault": "TOO_SHORT"})
    return found


def outputs():
    """Every vector file and its text."""
    messages, enums = read_definitions()
    files = {}
    for device in DEVICES:
        files[f"{device}.json"] = {"device": device, "vectors": positive(messages, enums, device)}
    files["negative.json"] = {"vectors": negative(messages, enums), "records": negative_records(messages, enums)}
    return {FOLDER / "vectors" / name: json.dumps(body, indent=1) + "\n" for name, body in files.items()}


def main():
    """Write or check the vectors."""
    check = "--check" in sys.argv[1:]
    stale = 0
    for path, text in outputs().items():
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        stale += 1
        print(f"{'stale' if check else 'written'}: {path.name}")
        if not check:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
