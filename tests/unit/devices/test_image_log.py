"""Image connections on record: headers, checks and times always, pixels only where wanted; and read again."""

from __future__ import annotations

import asyncio
import json
import zlib
from pathlib import Path

import numpy as np
import pytest

from isoalign.cli import main
from isoalign.clock import SystemClock
from isoalign.devices.config import RecordConfig, TcpAddress
from isoalign.devices.image_line import fetch_frame
from isoalign.devices.image_log import ImageTap, decode_image_records
from isoalign.devices.link_decode import LinkLine
from isoalign.devices.link_log import IMAGE_SCHEMA, LinkRecorder, read_log
from isoalign.protocol.images import ImageFrame, image_records
from isoalign.protocol.messages import DeviceKind, FrameReady

ROWS, COLUMNS, CHUNK = 150, 40, 64
PIXELS = np.random.default_rng(3).integers(0, 60_000, (ROWS, COLUMNS)).astype("<u2").tobytes()
FRAME = ImageFrame(frame_id=5, exposure_id=9, rows=ROWS, columns=COLUMNS, pixels=PIXELS)


async def fetched(folder: Path, *, pixels: bool, spoil: bool = False) -> Path:
    """A frame that a panel sends, in pieces that fit no record, fetched and recorded; the second time if spoilt."""
    tries, served = 0, list[int]()

    async def panel(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal tries
        tries += 1
        data = b"".join(image_records(FRAME, rows_per_chunk=CHUNK))
        is_bad = spoil and tries == 1
        if is_bad:
            data = data[:100] + bytes([data[100] ^ 0x40]) + data[101:]
        for start in range(0, len(data), 1000):
            writer.write(data[start : start + 1000])
            await writer.drain()
        await (asyncio.sleep(0.1) if is_bad else reader.read(1000))
        writer.close()
        await writer.wait_closed()
        served.append(tries)

    recorder = LinkRecorder(RecordConfig(folder, pixels=pixels), SystemClock())
    tap = ImageTap(recorder.channel("image A", DeviceKind.PANEL, schema=IMAGE_SCHEMA), pixels=recorder.pixels)
    async with await asyncio.start_server(panel, "127.0.0.1", 0) as server:
        address = TcpAddress(*server.sockets[0].getsockname())
        ready = FrameReady(frame_id=5, exposure_id=9, rows=ROWS, columns=COLUMNS, pixels_crc=FRAME.pixels_crc)
        async with asyncio.timeout(20):
            assert (await fetch_frame(address, ready, name="A", tap=tap)).pixels == PIXELS
            while len(served) < tries:
                await asyncio.sleep(0.01)
    recorder.close()
    [path] = folder.glob("image-a.*.linklog")
    return path


def lines_of(path: Path) -> list[LinkLine]:
    header, records = read_log(path)
    assert header.holds_images
    return list(decode_image_records(records))


@pytest.mark.parametrize("pixels", [False, True])
async def test_every_chunk_is_told_with_its_rows_and_its_check(tmp_path: Path, pixels: bool) -> None:
    path = await fetched(tmp_path, pixels=pixels)
    lines = lines_of(path)
    assert [line.name for line in lines] == [
        "LINE OPENED",
        *["IMAGE_CHUNK"] * 3,
        "IMAGE_END",
        "IMAGE_RELEASE",
        "LINE CLOSED",
    ]
    chunks = [line.fields for line in lines if line.name == "IMAGE_CHUNK"]
    assert [(one["first_row"], one["row_count"]) for one in chunks if one] == [(0, 64), (64, 64), (128, 22)]
    for one in chunks:
        assert one is not None
        first, end = (one["first_row"] * COLUMNS * 2, (one["first_row"] + one["row_count"]) * COLUMNS * 2)
        assert one["pixels_bytes"] == end - first
        assert one["pixels_crc"] == zlib.crc32(PIXELS[first:end])
    assert lines[-3].fields == {
        "frame_id": 5,
        "exposure_id": 9,
        "rows": ROWS,
        "columns": COLUMNS,
        "pixels_crc": zlib.crc32(PIXELS),
    }
    assert lines[-2].direction == "to device"
    times = [line.time_s for line in lines]
    assert times == sorted(times)
    content = path.read_bytes()
    assert (PIXELS[: 8 * COLUMNS] in content) is pixels
    assert (len(content) > len(PIXELS)) is pixels


@pytest.mark.parametrize("pixels", [False, True])
async def test_a_damaged_record_and_a_second_connection_are_seen(tmp_path: Path, pixels: bool) -> None:
    lines = lines_of(await fetched(tmp_path, pixels=pixels, spoil=True))
    [bad] = [line for line in lines if line.name == "BAD RECORD"]
    assert "checksum" in bad.remark
    assert [line.name for line in lines].count("LINE OPENED") == 2
    assert lines[-2].name == "IMAGE_RELEASE"


async def test_the_command_shows_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = await fetched(tmp_path, pixels=False)
    assert await asyncio.to_thread(main, ["protocol", "decode", str(path)]) == 0
    text = capsys.readouterr().out.splitlines()
    assert text[0].startswith("image A (PANEL)")
    [end] = [line for line in text if "IMAGE_END" in line]
    assert f"rows {ROWS}  columns {COLUMNS}  pixels crc 0x{zlib.crc32(PIXELS):X}" in end
    assert await asyncio.to_thread(main, ["protocol", "decode", str(path), "--json", "--only", "image-chunk"]) == 0
    _, *chunks = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["fields"]["first_row"] for one in chunks] == [0, 64, 128]


def test_a_connection_with_a_gap_is_not_cut_into_nonsense(tmp_path: Path) -> None:
    """After missing bytes nobody knows where the next record begins."""
    from isoalign.devices.link_log import LogRecord, RecordKind

    data = b"".join(image_records(FRAME, rows_per_chunk=CHUNK))
    records = [
        LogRecord(0.0, RecordKind.OPENED, b""),
        LogRecord(0.1, RecordKind.RECEIVED, data[:6000]),
        LogRecord(0.2, RecordKind.DROPPED, (500).to_bytes(8, "little")),
        LogRecord(0.3, RecordKind.RECEIVED, data[6500:]),
        LogRecord(0.4, RecordKind.CLOSED, b""),
        LogRecord(0.5, RecordKind.OPENED, b""),
        LogRecord(0.6, RecordKind.RECEIVED, data),
    ]
    names = [line.name for line in decode_image_records(records)]
    assert names[:4] == ["LINE OPENED", "IMAGE_CHUNK", "BYTES MISSING", "LINE CLOSED"]
    assert names[4:] == ["LINE OPENED", "IMAGE_CHUNK", "IMAGE_CHUNK", "IMAGE_CHUNK", "IMAGE_END"]
    lost = [LogRecord(0.0, RecordKind.RECEIVED, b"\xff\xff\xff\x7f" + data)]
    [line] = list(decode_image_records(lost))
    assert line.name == "STREAM LOST"
    [line] = list(decode_image_records([LogRecord(0.0, RecordKind.OUTLINE, b"{")]))
    assert "outline" in line.remark
