"""Damaged, repeated and foreign frames: none may be taken for a good one.

    python tests/benchmarks/study_corrupt_frames.py           some thousand
    python tests/benchmarks/study_corrupt_frames.py --full    ten million damaged frames, a million others; resumable

The judge is what was really sent, byte by byte: it cuts the received stream at the delimiters by itself, and a piece is
good only when exactly these bytes were sent. The package's receiver must deliver the messages of the good pieces, in
order, and nothing else. Kinds of damage: one, two, and three to eight flipped bits, bursts of noise, cuts, insertions,
splices of two frames, and changed bytes with a checksum of the usual kind (without the hash of the layout). Half of the
blocks use the compiled byte stuffing, half that in Python. At the level of a session, frames are repeated (of up to
30 000 frames ago), swapped and lost, and frames of another session come in between. Exits with 1 when one was accepted
that should not be, or a good one was not.
"""

from __future__ import annotations

import argparse
import random
import struct
import sys
import time
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

from blocks import run_blocks
from cobs import cobs

from isoalign.protocol import (
    DeviceIdentity,
    DeviceSession,
    FrameReader,
    Header,
    HostSession,
    encode,
    framing,
    stuffing,
)
from isoalign.protocol.layout import Field, Message
from isoalign.protocol.messages import (
    COUCH_HEARTBEAT_EXPIRY_US,
    COUCH_STATE_PERIOD_US,
    MESSAGES,
    Capability,
    CouchState,
    DeviceKind,
    TimeReply,
)

FULL_BLOCKS, FULL_DAMAGED, FULL_OTHERS = 100, 100_000, 10_000
SHORT_DAMAGED, SHORT_OTHERS = 20_000, 4_000
POOL, BATCH, MARKER_EVERY = 200, 2_000, 20
OLDEST_REPEATED = 30_000
KINDS = ("1 bit", "2 bits", "3-8 bits", "burst", "cut", "insertion", "splice", "forged")
FRAMED = sorted((kind for kind in MESSAGES.values() if not kind.IS_BULK and kind.FIELDS), key=lambda kind: kind.ID)


def any_value(field: Field, dice: random.Random) -> Any:
    if field.code == "s":
        return "x" * dice.randrange(field.count + 1)
    if field.enum is not None:
        return dice.choice(list(field.enum))
    values = tuple(dice.randint(field.minimum, field.maximum) for _ in range(field.count))
    return values if field.count > 1 else values[0]


def new_pool(dice: random.Random) -> dict[bytes, Message]:
    """Frames that are really sent, by their bytes without delimiter; every third is a state of the couch."""
    pool: dict[bytes, Message] = {}
    for number in range(POOL):
        kind = CouchState if number % 3 == 0 else FRAMED[number % len(FRAMED)]
        message = kind(**{field.name: any_value(field, dice) for field in kind.FIELDS})
        header = Header(dice.getrandbits(32), dice.getrandbits(16), dice.getrandbits(16), dice.getrandbits(32))
        pool[encode(message, header)[:-1]] = message
    return pool


def damaged(raw: bytes, other: bytes, kind: int, dice: random.Random) -> bytes:
    """One kind of damage."""
    data, below = bytearray(raw), dice.random
    size = len(data)
    if kind <= 2:
        for _ in range((1, 2, 3 + int(below() * 6))[kind]):
            data[int(below() * size)] ^= 1 << int(below() * 8)
    elif kind == 3:
        start = int(below() * size)
        data[start : start + 1 + int(below() * 12)] = dice.randbytes(1 + int(below() * 12))
    elif kind == 4:
        start = int(below() * size)
        del data[start : start + 1 + int(below() * (size - start))]
    elif kind == 5:
        start = int(below() * (size + 1))
        data[start:start] = dice.randbytes(1 + int(below() * 6))
    elif kind == 6:
        return bytes(data[: int(below() * size)]) + other[int(below() * len(other)) :]
    else:
        body = bytearray(cobs.decode(raw)[:-4])
        body[int(below() * len(body))] ^= 1 << int(below() * 8)
        return bytes(cobs.encode(bytes(body) + struct.pack("<I", zlib.crc32(body))))
    return bytes(data)


def line(seed: int, frames: int) -> dict[str, Any]:
    """Damage on the line."""
    dice = random.Random(seed)
    compiled = framing.unstuff
    framing.unstuff = stuffing.unstuff_in_python if seed % 2 else stuffing.unstuff
    counts: Counter[str] = Counter()
    wrong = missing = 0
    reader = FrameReader()
    try:
        while counts.total() < frames:
            pool = new_pool(dice)
            raws = list(pool)
            stream: list[bytes] = [b""]
            for number in range(BATCH):
                raw, other, kind = dice.choice(raws), dice.choice(raws), dice.randrange(len(KINDS))
                broken = damaged(raw, other, kind, dice)
                if broken in pool:
                    continue  # it is as it was
                counts[KINDS[kind]] += 1
                stream.append(broken)
                if number % MARKER_EVERY == 0:
                    stream.append(other)
            data = b"\0".join(stream) + b"\0"
            sent = [pool[piece] for piece in data.split(b"\0") if piece in pool]
            cut = dice.randrange(len(data))
            heard = [frame.message for part in (data[:cut], data[cut:]) for frame in reader.feed(part)]
            if heard != sent:
                wrong += max(1, len(heard) - len(sent))
                missing += max(0, len(sent) - len(heard))
    finally:
        framing.unstuff = compiled
    return {"damaged": dict(counts), "wrong": wrong, "missing": missing, "rejected": sum(reader.rejected.values())}


def opened(seed: int) -> tuple[HostSession, DeviceSession]:
    dice = random.Random(seed)
    device = DeviceSession(
        DeviceIdentity(
            kind=DeviceKind.COUCH,
            capabilities=Capability.MOTION,
            serial_number="STUDY",
            heartbeat_expiry_us=COUCH_HEARTBEAT_EXPIRY_US,
            state_period_us=COUCH_STATE_PERIOD_US,
        ),
        make_session=lambda: dice.randrange(1, 2**32),
    )
    host = HostSession(DeviceKind.COUCH)
    host.connect(0.0)
    device.feed(host.take_output(), 0.0)
    host.feed(device.take_output(), 0.0)
    assert host.can_command
    return host, device


def session(seed: int, frames: int) -> dict[str, Any]:
    """Good bytes at the wrong time, or of somebody else."""
    dice = random.Random(seed)
    host, device = opened(seed)
    _, stranger = opened(seed + 1_000_000)
    tape: list[bytes] = []
    counts: Counter[str] = Counter()
    wrong = number = 0
    latest = -1
    while counts.total() < frames:
        arriving: list[int | None] = []  # numbers of our own frames, None for a stranger's
        for _ in range(4):
            device.send(TimeReply(host_send_us=number, device_receive_us=number, device_send_us=number), 0.0)
            tape.append(device.take_output())
            arriving.append(number)
            number += 1
        act = dice.randrange(4)
        counts[("repeated", "swapped", "lost", "of another session")[act]] += 1
        if act == 0:
            arriving.insert(dice.randrange(5), max(0, number - 1 - int(dice.random() ** 3 * OLDEST_REPEATED)))
        elif act == 1:
            place = dice.randrange(3)
            arriving[place : place + 2] = arriving[place : place + 2][::-1]
        elif act == 2:
            del arriving[dice.randrange(4)]
        else:
            arriving.insert(dice.randrange(5), None)
        data = b""
        expected = []
        for one in arriving:
            if one is None:
                stranger.send(TimeReply(host_send_us=1, device_receive_us=1, device_send_us=1), 0.0)
                data += stranger.take_output()
                continue
            data += tape[one]
            if one > latest:
                latest = one
                expected.append(one)
        heard = [message.host_send_us for message in host.feed(data, 0.0) if isinstance(message, TimeReply)]
        wrong += heard != expected
    return {"others": dict(counts), "wrong_order": wrong, "lost_noticed": host.sequence.lost}


def block(key: dict[str, int]) -> dict[str, Any]:
    begun_s = time.process_time()
    result = {**line(key["seed"], key["damaged"]), **session(key["seed"], key["others"])}
    return {**result, "processor_s": time.process_time() - begun_s}


def report(results: list[dict[str, Any]]) -> bool:
    damage, others = Counter[str](), Counter[str]()
    for one in results:
        damage.update(one["damaged"])
        others.update(one["others"])
    wrong, missing, order = (sum(one[name] for one in results) for name in ("wrong", "missing", "wrong_order"))
    print(f"{damage.total()} damaged frames in {sum(one['processor_s'] for one in results):.0f} s of a processor")
    print("  " + ", ".join(f"{kind} {damage[kind]}" for kind in KINDS))
    print(f"accepted although not sent: {wrong}; sent and not accepted: {missing}")
    print(f"{others.total()} acts on good frames: " + ", ".join(f"{kind} {count}" for kind, count in others.items()))
    print(f"delivered twice, out of order or of another session: {order}")
    refused = sum(one["rejected"] for one in results)
    return not (wrong or missing or order) and refused > 0.9 * damage.total()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true")
    full = parser.parse_args().full
    keys = [{"seed": seed, "damaged": SHORT_DAMAGED, "others": SHORT_OTHERS} for seed in (1, 2)]
    if full:
        keys = [{"seed": seed, "damaged": FULL_DAMAGED, "others": FULL_OTHERS} for seed in range(1, FULL_BLOCKS + 1)]
    return int(not report(run_blocks(Path(__file__), keys, block, keep=full)))


if __name__ == "__main__":
    sys.exit(main())
