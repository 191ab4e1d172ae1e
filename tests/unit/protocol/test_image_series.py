"""A series of frames put together from records that are lost, repeated, late and contradictory."""

from __future__ import annotations

import random

from isoalign.protocol import ImageFrame, Message, RecordReader, image_records
from isoalign.protocol.image_series import ATTEMPTS, OPEN_FRAMES_MAX, SeriesAssembler
from isoalign.protocol.messages import ImageResend

SERIES, ROWS, COLUMNS = 9, 200, 4


def made(number: int, *, series: int = SERIES) -> ImageFrame:
    return ImageFrame(number, series, ROWS, COLUMNS, random.Random(number).randbytes(ROWS * COLUMNS * 2))


def records(frame: ImageFrame, **rows: int) -> list[Message]:
    return RecordReader().feed(b"".join(image_records(frame, **rows)))


def take(assembler: SeriesAssembler, messages: list[Message]) -> list[int]:
    for message in messages:
        assembler.take(message)
    return [frame.frame_id for frame in assembler.deliver()]


def test_whole_frames_are_delivered_as_they_come() -> None:
    assembler = SeriesAssembler(SERIES, ROWS, COLUMNS)
    for number in (3, 4, 7):
        for message in records(made(number)):
            assembler.take(message)
        assert assembler.deliver() == [made(number)]
        assert assembler.requests() == []
    assert not assembler.rejected
    assert not assembler.given_up


def test_what_is_missing_is_asked_for_while_the_next_frame_arrives() -> None:
    assembler = SeriesAssembler(SERIES, ROWS, COLUMNS)
    first, _second, *rest = records(made(1))
    assert take(assembler, [first, *rest]) == []
    [wanted] = assembler.requests()
    assert wanted == ImageResend(frame_id=1, first_row=64, row_count=64)
    assert assembler.requests() == []  # asked once, and not again before it has ended again
    after = records(made(2))
    assert take(assembler, after[:2]) == []
    assert take(assembler, records(made(1), first_row=64, row_count=64)) == [1]
    assert take(assembler, after[2:]) == [2]


def test_a_frame_that_comes_again_or_late_is_refused() -> None:
    assembler = SeriesAssembler(SERIES, ROWS, COLUMNS)
    assert take(assembler, records(made(5))) == [5]
    assert take(assembler, records(made(5))) == []
    assert take(assembler, records(made(4))) == []
    assert take(assembler, records(made(6, series=SERIES + 1))) == []
    assert assembler.rejected["late, or again"] == 2 * len(records(made(5)))
    assert assembler.rejected["another series or size"] == len(records(made(5)))


def test_a_whole_frame_waits_for_an_older_one_that_is_asked_for_again() -> None:
    assembler = SeriesAssembler(SERIES, ROWS, COLUMNS)
    assert take(assembler, records(made(1))[1:]) == []
    assert take(assembler, records(made(2))) == []
    assert take(assembler, records(made(2))) == []
    assert assembler.rejected["late, or again"] == len(records(made(2)))
    assert take(assembler, records(made(1))) == [1, 2]
    assert not assembler.given_up


def test_a_frame_that_is_overtaken_twice_is_given_up_and_never_delivered() -> None:
    assembler = SeriesAssembler(SERIES, ROWS, COLUMNS)
    assert take(assembler, records(made(1))[1:]) == []
    assert take(assembler, records(made(2))) == []
    assert take(assembler, records(made(3))) == [2, 3]
    assert assembler.given_up == [1]
    assert take(assembler, records(made(1))) == []


def test_a_torn_frame_is_asked_for_anew() -> None:
    assembler = SeriesAssembler(SERIES, ROWS, COLUMNS)
    good, other = made(1), made(2)
    half = ROWS * COLUMNS
    torn = ImageFrame(1, SERIES, ROWS, COLUMNS, good.pixels[:half] + other.pixels[half:])
    assert take(assembler, [*records(torn)[:-1], records(good)[-1]]) == []
    assert assembler.rejected["pixels do not match their checksum"] == 1
    assert [(one.first_row, one.row_count) for one in assembler.requests()] == [(0, ROWS)]
    assert take(assembler, records(good)) == [1]


def test_an_end_that_was_lost_is_noticed_by_the_next_frame_or_by_a_pause() -> None:
    assembler = SeriesAssembler(SERIES, ROWS, COLUMNS)
    assert take(assembler, records(made(1))[:-1]) == []
    assert assembler.requests() == []
    assert [one.frame_id for one in assembler.requests(paused=True)] == [1]
    other = SeriesAssembler(SERIES, ROWS, COLUMNS)
    assert take(other, records(made(1))[:-1]) == []
    assert take(other, records(made(2))[:1]) == []
    assert [one.frame_id for one in other.requests()] == [1]


def test_attempts_and_open_frames_are_bounded() -> None:
    assembler = SeriesAssembler(SERIES, ROWS, COLUMNS)
    assert take(assembler, records(made(1))[1:]) == []
    for _ in range(ATTEMPTS):
        assert assembler.requests(paused=True)
    assert assembler.requests(paused=True) == []
    assert assembler.given_up == [1]
    assert take(assembler, records(made(1))) == []
    for number in range(2, 4 + OPEN_FRAMES_MAX):
        assert take(assembler, records(made(number))[1:]) == []
    assert assembler.given_up == [1, 2, 3]
