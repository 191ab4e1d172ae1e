"""What a spoiled line does to frames: every fault changes what it should and nothing else, and a seed repeats it."""

from __future__ import annotations

import pytest

from isoalign.simulators.errors import InvalidTruthRequest, UnknownFault
from isoalign.simulators.link_faults import LINE_FAULTS, LinkDirection

FRAMES = [bytes([number]) * 20 + b"\x00" for number in range(1, 201)]


def played(name: str | None, *, seed: int = 0, until_s: float = 1e3, **parameters: float) -> LinkDirection:
    line = LinkDirection(seed=seed, index=0)
    if name:
        line.start(name, parameters)
    for number, frame in enumerate(FRAMES):
        line.feed(frame, 0.01 * number)
    return line


def frames(data: bytes) -> list[bytes]:
    return [part + b"\x00" for part in data.split(b"\x00")[:-1]]


def test_a_good_line_changes_nothing_whatever_the_pieces() -> None:
    line = LinkDirection(seed=0, index=0)
    whole = b"".join(FRAMES)
    out = b""
    for start in range(0, len(whole), 13):
        line.feed(whole[start : start + 13], 0.0)
        out += line.take(0.0)
    assert out == whole
    assert (line.frames, line.lost, line.spoiled) == (200, 0, 0)


def test_a_stream_without_delimiters_passes_in_the_end() -> None:
    line = LinkDirection(seed=0, index=0)
    line.feed(b"x" * 5000, 0.0)
    assert line.take(0.0) == b"x" * 5000


def test_drop_loses_whole_frames_at_its_rate() -> None:
    line = played("drop", p=0.3)
    left = frames(line.take(1e3))
    assert set(left) < set(FRAMES)
    assert len(left) == 200 - line.lost
    assert 40 <= line.lost <= 80


def test_duplicate_repeats_right_behind() -> None:
    assert frames(played("duplicate", copies=2).take(1e3)) == [frame for frame in FRAMES for _ in range(3)]


def test_reorder_keeps_every_frame_but_not_their_order() -> None:
    line = played("reorder", p=0.3, by=2)
    line.stop("reorder", 10.0)
    out = frames(line.take(1e3))
    assert out != FRAMES
    assert sorted(out) == sorted(FRAMES)
    places = [out.index(frame) - FRAMES.index(frame) for frame in FRAMES]
    assert max(places) <= 4
    assert line.spoiled > 30


@pytest.mark.parametrize(("bits", "p"), [(1, 1.0), (3, 1.0), (1, 0.2)])
def test_bit_flip_flips_so_many_bits(bits: int, p: float) -> None:
    line = played("bit_flip", bits=bits, p=p)
    out = line.take(1e3)
    whole = b"".join(FRAMES)
    assert len(out) == len(whole)
    flipped = sum((a ^ b).bit_count() for a, b in zip(out, whole, strict=True))
    assert flipped == bits * line.spoiled
    assert line.spoiled == 200 if p == 1.0 else 20 <= line.spoiled <= 60


def test_burst_changes_one_run() -> None:
    out = played("burst", bytes=5).take(1e3)
    for index, frame in enumerate(FRAMES):
        changed = [i for i, (a, b) in enumerate(zip(out[21 * index :], frame, strict=False)) if a != b]
        assert changed
        assert max(changed) - min(changed) < 5


def test_truncate_shortens_and_keeps_the_delimiter() -> None:
    out = frames(played("truncate").take(1e3))
    assert len(out) == 200
    assert all(len(short) < 21 and frame.startswith(short[:-1]) for short, frame in zip(out, FRAMES, strict=True))


def test_insert_lengthens() -> None:
    out = played("insert", bytes=2).take(1e3)
    assert len(out) == 200 * 23


def test_freeze_delivers_nothing_and_nothing_comes_later() -> None:
    line = played("freeze")
    assert line.take(1e3) == b""
    line.stop("freeze", 1e3)
    assert line.take(1e3) == b""
    line.feed(FRAMES[0], 1e3)
    assert line.take(1e3) == FRAMES[0]


def test_stall_keeps_everything_and_floods() -> None:
    line = played("stall")
    assert line.take(1e3) == b""
    line.stop("stall", 1e3)
    assert line.take(1e3) == b"".join(FRAMES)


def test_delay_and_jitter_are_as_late_as_they_say_and_in_order() -> None:
    line = played("delay", seconds=0.5)
    assert line.take(0.499) == b""
    assert line.take(0.5) == FRAMES[0]
    assert frames(line.take(1e3)) == FRAMES[1:]
    line = LinkDirection(seed=0, index=0)
    line.start("jitter", {"seconds": 0.2})
    waits = []
    for number, frame in enumerate(FRAMES[:50]):
        line.feed(frame, float(number))
        due_s = line.next_due_s()
        assert due_s is not None
        waits.append(due_s - number)
        assert line.take(due_s) == frame
    assert 0.0 <= min(waits) < 0.05
    assert 0.15 < max(waits) <= 0.2


def test_slow_loris_gives_one_byte_at_a_time() -> None:
    line = LinkDirection(seed=0, index=0)
    line.start("slow_loris", {"seconds": 0.1})
    line.feed(FRAMES[0], 0.0)
    assert [len(line.take(0.1 * tick + 1e-9)) for tick in range(23)] == [0, *[1] * 21, 0]


def test_replay_sends_an_old_tape() -> None:
    line = LinkDirection(seed=0, index=0)
    with pytest.raises(InvalidTruthRequest, match="no tape"):
        line.replay(0.0)
    line.feed(b"".join(FRAMES[:3]), 0.0)
    assert line.record() == 3
    line.feed(FRAMES[7], 1.0)
    line.take(1.0)
    assert line.replay(2.0) == 3
    assert frames(line.take(2.0)) == FRAMES[:3]


@pytest.mark.parametrize("name", [name for name in LINE_FAULTS if "p" in LINE_FAULTS[name].defaults])
def test_the_seed_repeats_it_and_directions_differ(name: str) -> None:
    once, again = (played(name, seed=3, p=0.5).take(1e3) for _ in range(2))
    assert once == again
    assert played(name, seed=4, p=0.5).take(1e3) != once
    other = LinkDirection(seed=3, index=1)
    other.start(name, {"p": 0.5})
    for number, frame in enumerate(FRAMES):
        other.feed(frame, 0.01 * number)
    assert other.take(1e3) != once


@pytest.mark.parametrize("name", LINE_FAULTS)
def test_a_fault_ends(name: str) -> None:
    line = played(name)
    line.stop(name, 50.0)
    line.take(1e6)
    line.feed(FRAMES[0], 1e6)
    assert line.take(1e6) == FRAMES[0]


def test_what_cannot_be_played_is_an_error() -> None:
    line = LinkDirection(seed=0, index=0)
    with pytest.raises(UnknownFault, match="slow_loris"):
        line.start("gremlins", {})
    with pytest.raises(UnknownFault):
        line.stop("gremlins", 0.0)
    with pytest.raises(InvalidTruthRequest, match="no parameter q"):
        line.start("drop", {"q": 1})
    with pytest.raises(InvalidTruthRequest, match="between 0 and 1"):
        line.start("drop", {"p": 1.5})
    assert line.faults == {}


def test_an_unplugged_line_forgets() -> None:
    line = played("stall")
    line.feed(b"half a frame", 5.0)
    line.forget()
    line.stop("stall", 6.0)
    line.feed(FRAMES[0], 6.0)
    assert line.take(6.0) == FRAMES[0]
