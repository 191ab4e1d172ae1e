"""The codec under arbitrary messages and arbitrary damage."""

from __future__ import annotations

import contextlib
import enum
import random
import struct
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from cobs import cobs
from hypothesis import given, settings
from hypothesis import strategies as st

from isoalign.protocol import (
    FrameError,
    FrameReader,
    Header,
    InvalidField,
    decode,
    encode,
    encode_record,
    framing,
    stuffing,
)
from isoalign.protocol.images import RecordReader, decode_record
from isoalign.protocol.layout import Field, Message
from isoalign.protocol.messages import MESSAGES

MUTATIONS = 25_000
FRAMED = sorted((kind for kind in MESSAGES.values() if not kind.IS_BULK), key=lambda kind: kind.ID)
BULK = sorted((kind for kind in MESSAGES.values() if kind.IS_BULK), key=lambda kind: kind.ID)


def value_of(field: Field) -> st.SearchStrategy[Any]:
    if not field.code:
        return st.binary(max_size=300)
    if field.code == "s":
        return st.text(st.characters(min_codepoint=1, max_codepoint=127), max_size=field.count)
    if field.enum is not None:
        one: st.SearchStrategy[Any] = st.sampled_from(list(field.enum))
    else:
        one = st.integers(field.minimum, field.maximum)
    if field.nullable:
        one = st.none() | one
    return one if field.count == 1 else st.tuples(*[one] * field.count)


def message_of(kinds: list[type[Message]]) -> st.SearchStrategy[Message]:
    return st.sampled_from(kinds).flatmap(
        lambda kind: st.builds(kind, **{field.name: value_of(field) for field in kind.FIELDS})
    )


HEADERS = st.builds(
    Header,
    session=st.integers(0, 2**32 - 1),
    seq=st.integers(0, 2**16 - 1),
    ack=st.integers(0, 2**16 - 1),
    tx_time_us=st.integers(0, 2**32 - 1),
)


@given(message_of(FRAMED), HEADERS)
def test_what_goes_in_comes_out(message: Message, header: Header) -> None:
    raw = encode(message, header)
    assert raw.count(b"\0") == 1
    assert raw.endswith(b"\0")
    frame = decode(raw[:-1])
    assert frame.message == message
    assert type(frame.message) is type(message)
    assert frame.header == header


@given(message_of(BULK))
def test_records_too(message: Message) -> None:
    assert decode_record(encode_record(message)[4:]) == message


@given(st.lists(message_of(FRAMED), min_size=1, max_size=5), st.binary(max_size=600), st.data())
def test_the_reader_finds_every_frame_after_garbage_however_the_bytes_are_cut(
    messages: list[Message], garbage: bytes, data: st.DataObject
) -> None:
    stream = garbage + b"\0" + b"".join(encode(message) for message in messages)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    reader = FrameReader()
    heard = [
        frame.message
        for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)
        for frame in reader.feed(stream[start:end])
    ]
    assert heard[-len(messages) :] == messages


@given(st.binary(max_size=400))
def test_garbage_raises_nothing_but_frame_errors(garbage: bytes) -> None:
    with pytest.raises(FrameError):
        decode(garbage)
    assert FrameReader().feed(garbage + b"\0") == []
    with contextlib.suppress(FrameError):
        RecordReader().feed(garbage)


@given(message_of(FRAMED))
@settings(max_examples=50)
def test_a_message_cannot_be_made_with_a_value_out_of_range(message: Message) -> None:
    for field in message.FIELDS:
        if field.code in {"", "s"} or field.enum is not None:
            continue
        values = {one.name: getattr(message, one.name) for one in message.FIELDS}
        wrong = field.maximum + 1
        values[field.name] = wrong if field.count == 1 else (wrong,) * field.count
        with pytest.raises(InvalidField):
            type(message)(**values)


def numbers_of(field: Field) -> st.SearchStrategy[int]:
    """Numbers on the wire, most of them at or beyond the edges of what is allowed."""
    bits = 8 * struct.calcsize(f"<{field.code}")
    lowest, highest = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if field.code.islower() else (0, 2**bits - 1)
    if field.enum is not None:
        members = [member.value for member in field.enum]
        edges = [*members, max(members) + 1, sum(members), sum(members) + 1, highest]
    else:
        edges = [field.minimum - 1, field.minimum, field.maximum, field.maximum + 1, lowest, lowest + 1, highest]
    return st.sampled_from([one for one in edges if lowest <= one <= highest]) | st.integers(lowest, highest)


def payload_of(kind: type[Message]) -> st.SearchStrategy[bytes]:
    """Payloads of the right size, whose fields may or may not be allowed."""
    parts: list[st.SearchStrategy[bytes]] = []
    for field in kind.FIELDS:
        if field.code == "s":
            parts.append(
                st.binary(min_size=field.count, max_size=field.count) | st.just(b"v1".ljust(field.count, b"\0"))
            )
            continue
        one = numbers_of(field)
        if field.count == 1 and field.code and field.enum is None and field.minimum <= field.maximum:
            # otherwise hardly any message with many fields would be good
            one = one | st.integers(field.minimum, field.maximum)
        packed = one.map(struct.Struct(f"<{field.code}").pack)
        parts.append(st.lists(packed, min_size=field.count, max_size=field.count).map(b"".join))
    return st.tuples(*parts).map(b"".join)


@given(st.sampled_from(FRAMED).flatmap(lambda kind: st.tuples(st.just(kind), payload_of(kind))), HEADERS)
@settings(max_examples=3 * settings.default.max_examples)
def test_the_generated_reader_accepts_what_the_long_way_accepts(
    case: tuple[type[Message], bytes], header: Header
) -> None:
    """Straight lines made by the generator against the check of field by field, on frames with a right CRC."""
    kind, payload = case
    head = struct.pack("<BHBIHHI", len(payload), kind.ID, 0, header.session, header.seq, header.ack, header.tx_time_us)
    raw = head + payload
    stuffed = cobs.encode(raw + struct.pack("<I", zlib.crc32(raw, kind.SEED)))
    try:
        wanted = kind.unpack(payload)
    except InvalidField as error:
        name = error.field
        with pytest.raises(InvalidField) as also:
            decode(stuffed)
        assert also.value.field == name
    else:
        frame = decode(stuffed)
        assert (frame.header, frame.message) == (header, wanted)
        for field in kind.FIELDS:
            assert type(getattr(frame.message, field.name)) is type(getattr(wanted, field.name))


def edge_cases() -> list[tuple[type[Message], Field, int]]:
    """Every field of every framed message with every number next to a limit, the other fields being good."""
    cases = []
    for kind in FRAMED:
        for field in kind.FIELDS:
            if field.code == "s":
                continue
            if field.enum is not None:
                numbers = {
                    number for member in field.enum for number in (member.value - 1, member.value, member.value + 1)
                }
                numbers |= {sum(member.value for member in field.enum), 2 * max(member.value for member in field.enum)}
            else:
                numbers = {limit + step for limit in (field.minimum, field.maximum) for step in (-1, 0, 1)}
            cases += [(kind, field, number) for number in sorted(numbers)]
    return cases


def test_every_limit_of_every_field_holds_on_received_bytes() -> None:
    """The number is put into the bytes where the layout says, so that no codec has a say in it."""
    dice = random.Random(7)
    refused = accepted = 0
    for kind, field, number in edge_cases():
        values = {one.name: random_value(one, dice) for one in kind.FIELDS}
        payload = bytearray(kind(**values).pack())
        before = kind.FIELDS[: kind.FIELDS.index(field)]
        start = struct.calcsize("<" + "".join(f"{one.count}{one.code}" for one in before))
        width = struct.calcsize(f"<{field.code}")
        for index in range(field.count):
            changed = bytearray(payload)
            try:
                changed[start + index * width : start + (index + 1) * width] = struct.pack(f"<{field.code}", number)
            except struct.error:
                continue  # the bytes cannot carry it
            raw = struct.pack("<BHBIHHI", len(payload), kind.ID, 0, 1, 2, 3, 4) + changed
            stuffed = cobs.encode(raw + struct.pack("<I", zlib.crc32(raw, kind.SEED)))
            absent = field.nullable and number == {"i": -(2**31), "I": 2**32 - 1}[field.code]
            if absent or allowed(field, number):
                accepted += 1
                got = getattr(decode(stuffed).message, field.name)
                assert (got if field.count == 1 else got[index]) == (None if absent else number)
            else:
                refused += 1
                with pytest.raises(InvalidField) as error:
                    decode(stuffed)
                assert error.value.field == f"{kind.NAME}.{field.name}"
    assert accepted > 500
    assert refused > 100


def allowed(field: Field, number: int) -> bool:
    if field.enum is None:
        return field.minimum <= number <= field.maximum
    values = {member.value for member in field.enum}
    if issubclass(field.enum, enum.IntFlag):
        return number >= 0 and number & ~sum(values) == 0
    return number in values


def mutate(raw: bytes, dice: random.Random, other: bytes) -> bytes:
    """One kind of damage a line does: flips, bursts, cuts, insertions, splices."""
    data = bytearray(raw)
    how = dice.randrange(7)
    if how <= 2:
        for _ in range((1, 2, dice.randrange(3, 9))[how]):
            data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
    elif how == 3:
        start = dice.randrange(len(data))
        data[start : start + dice.randrange(1, 12)] = dice.randbytes(dice.randrange(1, 12))
    elif how == 4:
        del data[dice.randrange(len(data)) :]
    elif how == 5:
        data[dice.randrange(len(data)) : 0] = dice.randbytes(dice.randrange(1, 6))
    else:
        data = data[: dice.randrange(len(data))] + other[dice.randrange(len(other)) :]
    return bytes(data)


@pytest.mark.parametrize("unstuff", [stuffing.unstuff, stuffing.unstuff_in_python], ids=["library", "python"])
def test_no_damaged_frame_is_taken_for_a_good_one(
    unstuff: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of all damaged frames none is accepted, nothing but FrameError is raised, the next good frame is heard.

    Ten million of them, with another judge, are in tests/benchmarks/study_corrupt_frames.py.
    """
    monkeypatch.setattr(framing, "unstuff", unstuff)
    dice = random.Random(20240611)
    strategy_free = [kind for kind in FRAMED if kind.FIELDS]
    good: list[tuple[bytes, Message]] = []
    for number in range(200):
        kind = strategy_free[number % len(strategy_free)]
        values = {field.name: random_value(field, dice) for field in kind.FIELDS}
        message = kind(**values)
        header = Header(dice.getrandbits(32), dice.getrandbits(16), dice.getrandbits(16), dice.getrandbits(32))
        good.append((encode(message, header)[:-1], message))
    accepted = damaged = 0
    reader = FrameReader()
    while damaged < MUTATIONS:
        raw, _ = dice.choice(good)
        other, marker = dice.choice(good)
        broken = mutate(raw, dice, other)
        if broken in {raw, other} or not broken:
            continue
        damaged += 1
        # damage may put delimiters inside: the stream is what a receiver sees
        heard = reader.feed(broken + b"\0" + other + b"\0")
        assert heard[-1].message == marker
        fragments = [part for part in broken.split(b"\0") if part]
        innocent = sum(part in {raw, other} for part in fragments)
        accepted += len(heard) - 1 - innocent
        for part in fragments:
            if part not in {raw, other}:
                with pytest.raises(FrameError):
                    decode(part)
    assert accepted == 0
    assert sum(reader.rejected.values()) > MUTATIONS * 0.9


def random_value(field: Field, dice: random.Random) -> Any:
    if field.code == "s":
        return "x" * dice.randrange(field.count + 1)
    if field.enum is not None:
        return dice.choice(list(field.enum))
    elements = tuple(dice.randint(field.minimum, field.maximum) for _ in range(field.count))
    return elements if field.count > 1 else elements[0]
