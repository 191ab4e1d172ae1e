"""A torn frame is never delivered."""

from __future__ import annotations

import random

import pytest

from isoalign.protocol import FrameError, ImageAssembler, ImageFrame, RecordReader, encode_record, image_records
from isoalign.protocol.messages import ImageEnd, ImageRelease, Stop, StopReason

ROWS, COLUMNS = 37, 23


@pytest.fixture
def frame() -> ImageFrame:
    return ImageFrame(3, 11, ROWS, COLUMNS, random.Random(1).randbytes(ROWS * COLUMNS * 2))


@pytest.fixture
def records(frame: ImageFrame) -> list[bytes]:
    return list(image_records(frame, rows_per_chunk=5))


def receive(assembler: ImageAssembler, records: list[bytes], cut: int = 100_000) -> list[ImageFrame]:
    reader = RecordReader()
    stream = b"".join(records)
    done = []
    for at in range(0, len(stream), cut):
        for message in reader.feed(stream[at : at + cut]):
            whole = assembler.take(message)
            if whole is not None:
                done.append(whole)
    return done


@pytest.fixture
def assembler() -> ImageAssembler:
    assembler = ImageAssembler()
    assembler.expect(11, ROWS, COLUMNS)
    return assembler


@pytest.mark.parametrize("cut", [1, 7, 100_000])
def test_a_frame_arrives_whole_and_once(
    frame: ImageFrame, records: list[bytes], assembler: ImageAssembler, cut: int
) -> None:
    assert receive(assembler, [*records, *records], cut) == [frame]
    assert not assembler.has_ended
    assert assembler.requests() == []


@pytest.mark.parametrize("lost", range(8))
def test_a_lost_chunk_is_asked_for(
    frame: ImageFrame, records: list[bytes], assembler: ImageAssembler, lost: int
) -> None:
    assert receive(assembler, records[:lost] + records[lost + 1 :]) == []
    assert assembler.has_ended
    (request,) = assembler.requests()
    assert (request.frame_id, request.first_row) == (3, lost * 5)
    assert request.row_count == min(5, ROWS - lost * 5)
    again = list(image_records(frame, first_row=request.first_row, row_count=request.row_count))
    assert receive(assembler, again) == [frame]


def test_two_gaps_are_two_requests(frame: ImageFrame, records: list[bytes], assembler: ImageAssembler) -> None:
    receive(assembler, [record for number, record in enumerate(records) if number not in {0, 3, 4}])
    assert [(one.first_row, one.row_count) for one in assembler.requests()] == [(0, 5), (15, 10)]


def test_chunks_in_any_order_and_twice(frame: ImageFrame, records: list[bytes], assembler: ImageAssembler) -> None:
    chunks = records[:-1] * 2
    random.Random(4).shuffle(chunks)
    assert receive(assembler, [records[-1], *chunks]) == [frame]


def test_a_damaged_chunk_counts_as_lost(frame: ImageFrame, records: list[bytes], assembler: ImageAssembler) -> None:
    for at in (6, 20, 60, len(records[2]) - 1):
        assembler.expect(11, ROWS, COLUMNS)
        damaged = bytearray(records[2])
        damaged[at] ^= 0x10
        assert receive(assembler, [*records[:2], bytes(damaged), *records[3:]]) == []
        assert [one.first_row for one in assembler.requests()] == [10]


def test_a_missing_end_delivers_nothing(records: list[bytes], assembler: ImageAssembler) -> None:
    assert receive(assembler, records[:-1]) == []
    assert not assembler.has_ended
    (request,) = assembler.requests()  # after a while without progress: the last row brings the end again
    assert (request.first_row, request.row_count) == (ROWS - 1, 1)


def test_rows_of_another_frame_with_the_same_id_do_not_pass_the_checksum(
    frame: ImageFrame, records: list[bytes], assembler: ImageAssembler
) -> None:
    other = list(image_records(ImageFrame(3, 11, ROWS, COLUMNS, bytes(ROWS * COLUMNS * 2)), rows_per_chunk=5))
    assert receive(assembler, [*records[:2], other[2], *records[3:]]) == []
    assert assembler.rejected["pixels do not match their checksum"] == 1
    (request,) = assembler.requests()
    assert (request.first_row, request.row_count) == (0, ROWS)
    assert receive(assembler, records) == [frame]


def test_the_image_of_another_exposure_is_not_taken(frame: ImageFrame, assembler: ImageAssembler) -> None:
    stale = ImageFrame(2, 10, ROWS, COLUMNS, frame.pixels)
    assert receive(assembler, list(image_records(stale))) == []
    assert assembler.rejected["another exposure"] > 0
    assert assembler.requests() == []
    assert receive(assembler, list(image_records(frame))) == [frame]


def test_a_frame_of_another_size_is_not_taken(assembler: ImageAssembler) -> None:
    assert receive(assembler, list(image_records(ImageFrame(3, 11, 4, 4, bytes(32))))) == []
    assert assembler.rejected["another size"] > 0


def test_two_frames_are_not_mixed(frame: ImageFrame, records: list[bytes], assembler: ImageAssembler) -> None:
    second = list(image_records(ImageFrame(4, 11, ROWS, COLUMNS, frame.pixels), rows_per_chunk=5))
    assert receive(assembler, [*records[:3], *second]) == []
    assert assembler.rejected["another frame"] == len(second)
    assert receive(assembler, records[3:]) == [frame]


def test_nothing_is_taken_that_nobody_waits_for(records: list[bytes]) -> None:
    assembler = ImageAssembler()
    assert receive(assembler, records) == []
    assert assembler.rejected["nothing expected"] == len(records)


def test_an_impossible_length_ends_the_stream(records: list[bytes]) -> None:
    with pytest.raises(FrameError, match="announced"):
        RecordReader().feed(b"\xff\xff\xff\x7f" + records[0])
    with pytest.raises(FrameError, match="announced"):
        RecordReader().feed(b"\0\0\0\0")


def test_frames_and_records_are_not_mixed_up() -> None:
    with pytest.raises(FrameError):
        encode_record(Stop(reason=StopReason.HOLD))


def test_a_frame_has_as_many_pixels_as_it_says() -> None:
    with pytest.raises(FrameError):
        ImageFrame(1, 1, 2, 2, bytes(7))


def test_other_records_are_counted(assembler: ImageAssembler) -> None:
    assert assembler.take(ImageRelease(frame_id=3)) is None
    assert assembler.rejected["not an image record"] == 1
    assert assembler.take(ImageEnd(3, 11, ROWS, COLUMNS, 0)) is None
