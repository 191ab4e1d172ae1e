"""Speed of the firmware protocol's receiving end: bytes in chunks of 64 KiB to checked and typed messages, one core.

    python tests/benchmarks/study_protocol.py           a few runs
    python tests/benchmarks/study_protocol.py --full    more runs, more frames

The stream is what a couch that moves sends, COUCH_STATE with plausible numbers, and every decoder gets the same one in
the same process, in turn. Peers: byte stuffing by the library, `struct` and a frozen data class without any check of
a field, which is the least that a plain decoder does; the same without compiled byte stuffing; and the package's own
check of field by field, which the short way must agree with. Medians of several runs, by processor time. Exits with 1
when a goal is missed.
"""

from __future__ import annotations

import argparse
import dataclasses
import gc
import os
import random
import statistics
import struct
import sys
import time
import zlib
from collections.abc import Callable

from cobs import cobs
from cobs.cobs import _cobs_py

from isoalign.protocol import FrameReader, Header, decode, encode, framing, stuffing
from isoalign.protocol.messages import CommandStatus, CouchMode, CouchState, CouchStatus, Latch
from isoalign.protocol.reading import CRC_BYTES, HEADER_BYTES

GOAL_COMPILED, GOAL_PYTHON = 500_000, 100_000
CHUNK_BYTES = 64 * 1024
SHORT, FULL = (9, 4_000), (41, 20_000)
CRC = struct.Struct("<I")
BODY = struct.Struct("<BHBIHHIQIBHIIBIIIIIB24i")


@dataclasses.dataclass(frozen=True, slots=True)
class PlainState:
    """What a plain decoder makes of a frame: numbers as they came, nothing checked but the CRC."""

    session: int
    seq: int
    ack: int
    tx_time_us: int
    device_time_us: int
    state_count: int
    mode: int
    latch: int
    status: int
    last_command_id: int
    last_command_status: int
    host_counter: int
    client_counter: int
    press_count: int
    token_counter: int
    token_age_us: int
    following_error_axis: int
    primary_micro: tuple[int, ...]
    secondary_micro: tuple[int, ...]
    velocity_micro_per_s: tuple[int, ...]
    target_micro: tuple[int, ...]


def couch_stream(frames: int) -> bytes:
    """States of a couch in motion."""
    dice = random.Random(11)
    place = [dice.randint(-400_000, 900_000) for _ in range(6)]
    out = bytearray()
    for number in range(frames):
        speed = [dice.randint(-50_000, 50_000) for _ in range(6)]
        place = [one + rate // 50 for one, rate in zip(place, speed, strict=True)]
        state = CouchState(
            device_time_us=3_600_000_000 + 20_000 * number,
            state_count=180_000 + number,
            mode=CouchMode.OPERATION_ENABLED,
            latch=Latch.NONE,
            status=CouchStatus(0b1111100),
            last_command_id=17,
            last_command_status=CommandStatus.STARTED,
            host_counter=70_000 + number,
            client_counter=60_000 + number,
            press_count=4,
            token_counter=9_000 + number,
            token_age_us=dice.randrange(50_000),
            following_error_axis=6,
            primary_micro=tuple(place),
            secondary_micro=tuple(10 * (one // 10) for one in place),
            velocity_micro_per_s=tuple(speed),
            target_micro=tuple(one + 1000 for one in place),
        )
        out += encode(state, Header(0x5EED1234, number % 65536, number % 65536, (20_000 * number) % 2**32))
    return bytes(out)


def receive(chunks: list[bytes]) -> int:
    """The way of every received byte in this package; the frames of a chunk live until the next."""
    reader = FrameReader()
    count = 0
    for chunk in chunks:
        frames = reader.feed(chunk)
        count += len(frames)
    return count if not reader.rejected else 0


def receive_and_read(chunks: list[bytes]) -> int:
    """The same, and all arrays are looked at."""
    reader = FrameReader()
    count = 0
    for chunk in chunks:
        for frame in reader.feed(chunk):
            message = frame.message
            assert isinstance(message, CouchState)
            _ = message.primary_micro, message.secondary_micro, message.velocity_micro_per_s, message.target_micro
            count += 1
    return count


def receive_plainly(chunks: list[bytes], unstuff: Callable[[bytes], bytes]) -> int:
    """A plain decoder: nothing is checked but the CRC."""
    count, rest = 0, b""
    for chunk in chunks:
        *ended, rest = (rest + chunk).split(b"\0")
        frames = []
        for part in ended:
            body = unstuff(part)
            if zlib.crc32(body[:-CRC_BYTES], CouchState.SEED) != CRC.unpack_from(body, len(body) - CRC_BYTES)[0]:
                continue
            _, _, _, *values = BODY.unpack_from(body)
            frames.append(PlainState(*values[:17], *(tuple(values[at : at + 6]) for at in (17, 23, 29, 35))))
        count += len(frames)
    return count


def receive_the_long_way(chunks: list[bytes]) -> int:
    """The package's check of field by field, which made every message before there were generated readers."""
    count, rest = 0, b""
    for chunk in chunks:
        *ended, rest = (rest + chunk).split(b"\0")
        for part in ended:
            body = cobs.decode(part)
            if zlib.crc32(body[:-CRC_BYTES], CouchState.SEED) == CRC.unpack_from(body, len(body) - CRC_BYTES)[0]:
                CouchState.unpack(body[HEADER_BYTES:-CRC_BYTES])
                count += 1
    return count


def without_extension(decoder: Callable[[list[bytes]], int]) -> Callable[[list[bytes]], int]:
    """The decoder as it is where the byte-stuffing library has no compiled code."""

    def run(chunks: list[bytes]) -> int:
        compiled = framing.unstuff
        framing.unstuff = stuffing.unstuff_in_python  # type: ignore[misc]
        try:
            return decoder(chunks)
        finally:
            framing.unstuff = compiled  # type: ignore[misc]

    return run


def main() -> int:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--full", action="store_true", help=f"{FULL[0]} runs of {FULL[1]} frames, not {SHORT[0]} of {SHORT[1]}"
    )
    runs, frames = FULL if parser.parse_args().full else SHORT
    stream = couch_stream(frames)
    chunks = [stream[at : at + CHUNK_BYTES] for at in range(0, len(stream), CHUNK_BYTES)]
    first = stream[: stream.index(b"\0")]
    assert decode(first).message == CouchState.unpack(cobs.decode(first)[HEADER_BYTES:-CRC_BYTES])
    decoders: dict[str, Callable[[list[bytes]], int]] = {
        "this package, compiled stuffing": receive,
        "  and every array read": receive_and_read,
        "plain, nothing checked, compiled stuffing": lambda given: receive_plainly(given, cobs.decode),
        "this package, stuffing in Python": without_extension(receive),
        "  and every array read ": without_extension(receive_and_read),
        "plain, nothing checked, stuffing of the library in Python": lambda given: receive_plainly(
            given, _cobs_py.decode
        ),
        "this package, field by field": receive_the_long_way,
    }
    if not stuffing.COMPILED:
        print("the byte-stuffing library has no compiled code here: the first three rows are slower than they could be")
    seconds: dict[str, list[float]] = {name: [] for name in decoders}
    for _ in range(runs):  # in turn, so that a busy moment of the machine hits all of them
        for name, decoder in decoders.items():
            few = chunks[: max(1, len(chunks) // 8)] if name.endswith("field by field") else chunks
            gc.collect()
            began = time.process_time()
            count = decoder(few)
            seconds[name].append((time.process_time() - began) / count)
            assert count == sum(chunk.count(0) for chunk in few)
    print(
        f"COUCH_STATE frames of {len(first) + 1} bytes, load {os.getloadavg()[0]:.1f}, Python {sys.version.split()[0]}"
    )
    print(f"{'frames per second':<60} {'median':>9} {'best':>9} {'worst':>9}")
    rates = {name: 1.0 / statistics.median(taken) for name, taken in seconds.items()}
    for name, taken in seconds.items():
        print(f"{name:<60} {rates[name]:>9.0f} {1.0 / min(taken):>9.0f} {1.0 / max(taken):>9.0f}")
    ours, _, plain, python, _, plain_python, slow = rates.values()
    print(f"against plain: {ours / plain:.2f}; without compiled code {python / plain_python:.2f}")
    print(f"against field by field: {ours / slow:.0f}")
    met = python >= GOAL_PYTHON and (ours >= GOAL_COMPILED or not stuffing.COMPILED)
    print(f"goals {GOAL_COMPILED} and {GOAL_PYTHON} frames per second: {'met' if met else 'MISSED'}")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
