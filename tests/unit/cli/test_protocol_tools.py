"""``isoalign protocol decode``: messages with time, direction, fields and units, and bad bytes with their reason."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest

from isoalign.cli import main
from isoalign.clock import SystemClock
from isoalign.devices.config import RecordConfig
from isoalign.devices.link_log import LinkRecorder, RecordKind
from isoalign.protocol import Header, Message, encode
from isoalign.protocol.messages import (
    MESSAGES,
    AxisInfo,
    CommandEvent,
    CommandReason,
    CommandStatus,
    DeviceKind,
    ExposureOutcome,
    ExposureResult,
    Hello,
    Stop,
    StopReason,
)

HELLO = Hello(protocol_major=1, protocol_minor=0, dictionary_hash=0xABCDEF, host_nonce=7)
STOP = Stop(reason=StopReason.HOLD)
EVENT = CommandEvent(
    command_id=3, status=CommandStatus.REJECTED, reason=CommandReason.EXPIRED, detail=0, device_time_us=5
)


class SteppingClock(SystemClock):
    """A quarter of a second passes with every look."""

    def __init__(self) -> None:
        self._now_s = 100.0

    def monotonic_s(self) -> float:
        self._now_s += 0.25
        return self._now_s

    def utc(self) -> datetime:
        return datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


def record(folder: Path, device: DeviceKind, *pieces: tuple[RecordKind, bytes]) -> str:
    recorder = LinkRecorder(RecordConfig(folder), SteppingClock())
    channel = recorder.channel(device.name.lower(), device)
    channel.note(RecordKind.OPENED, b"")
    for kind, data in pieces:
        channel.note(kind, data)
    recorder.close()
    [path] = folder.glob("*.linklog")
    return str(path)


def sent(message: Message) -> tuple[RecordKind, bytes]:
    return RecordKind.SENT, encode(message, Header(session=1, seq=41, ack=0, tx_time_us=0))


def received(message: Message) -> tuple[RecordKind, bytes]:
    return RecordKind.RECEIVED, encode(message, Header(session=1, seq=42, ack=0, tx_time_us=0))


def decoded(capsys: pytest.CaptureFixture[str], path: str, *options: str) -> list[str]:
    assert main(["protocol", "decode", path, *options]) == 0
    return capsys.readouterr().out.splitlines()


def test_one_line_a_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pieces = (sent(HELLO), received(EVENT), sent(STOP), (RecordKind.CLOSED, b"unplugged"))
    lines = decoded(capsys, record(tmp_path, DeviceKind.COUCH, *pieces))
    assert lines[0].startswith("couch (COUCH), from 2026-03-04T05:06:0")
    assert [line.split()[1] for line in lines[1:]] == ["--", "->", "<-", "->", "--"]
    times = [float(line.split()[0]) for line in lines[1:]]
    assert times[0] == 0.0
    assert [round(after - before, 6) for before, after in pairwise(times)] == [0.25] * 4
    assert "HELLO" in lines[2]
    assert "dictionary hash 0xABCDEF" in lines[2]
    assert "COMMAND_EVENT   #42" in lines[3]
    assert "command id 3  status REJECTED  reason EXPIRED  detail 0" in lines[3]
    assert "STOP" in lines[4]
    assert "reason HOLD" in lines[4]
    assert lines[5].endswith("LINE CLOSED     unplugged")


def test_units_stand_beside_the_numbers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    axis = AxisInfo(
        axis=4,
        travel_min_micro=-5_000_000,
        travel_max_micro=5_000_000,
        speed_max_micro_per_s=3_000_000,
        acceleration_max_micro_per_s2=30_000_000,
        jerk_max_micro_per_s3=360_000_000,
        resolution_micro=5,
        servo_lag_us=15_915,
        secondary_lag_us=5_000,
    )
    result = ExposureResult(
        exposure_id=9,
        outcome=next(iter(ExposureOutcome)),
        tube_voltage_v=99_800,
        tube_current_ua=100_250,
        exposure_time_us=50_100,
        started_us=2_000_000,
    )
    text = "\n".join(decoded(capsys, record(tmp_path, DeviceKind.COUCH, received(axis), received(result))))
    assert "travel min -5 °" in text
    assert "speed max 3 °/s" in text
    assert "jerk max 360 °/s³" in text
    assert "resolution 5e-06 °" in text
    assert "servo lag 15.915 ms" in text
    assert "tube voltage 99.800 kV  tube current 100.250 mA  exposure time 50.100 ms" in text


def test_bad_frames_are_shown_with_the_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, good = received(EVENT)
    flipped = bytes([good[0], good[1], good[2], good[3] ^ 0x10, *good[4:]])
    wrong_sum = good[:-3] + bytes([good[-3] ^ 0x01]) + good[-2:]
    endless = bytes([0x41]) * 300
    pieces = tuple(
        (RecordKind.RECEIVED, data) for data in (flipped, wrong_sum, b"\x01\x02\x00", endless, b"\x00", good)
    )
    lines = decoded(capsys, record(tmp_path, DeviceKind.COUCH, *pieces))
    bad = [line for line in lines if "BAD FRAME" in line]
    assert len(bad) == 4
    assert all("bytes: " in line for line in bad)
    assert "checksum does not match: COMMAND_EVENT" in bad[1]
    assert "no end of a frame" in bad[3]
    assert "COMMAND_EVENT" in lines[-1], "a good one after them is read again"


def test_a_frame_in_pieces_and_two_in_one_piece(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, one = received(EVENT)
    pieces = ((RecordKind.RECEIVED, one[:7]), sent(STOP), (RecordKind.RECEIVED, one[7:] + one))
    lines = decoded(capsys, record(tmp_path, DeviceKind.COUCH, *pieces))
    assert [line.split()[3] for line in lines[2:]] == ["STOP", "COMMAND_EVENT", "COMMAND_EVENT"]


def test_missing_bytes_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gap = (RecordKind.DROPPED, (1234).to_bytes(8, "little"))
    _, one = received(EVENT)
    lines = decoded(capsys, record(tmp_path, DeviceKind.COUCH, (RecordKind.RECEIVED, one[:7]), gap, received(EVENT)))
    assert "1234 bytes could not be recorded in time" in lines[2]
    assert "COMMAND_EVENT" in lines[3], "half a frame before the gap does not spoil the next"


def test_json_is_one_document_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = record(tmp_path, DeviceKind.COUCH, received(EVENT), (RecordKind.RECEIVED, b"\x05\x00"))
    first, opened, event, bad = (json.loads(line) for line in decoded(capsys, path, "--json"))
    assert first["schema"] == "isoalign.link-messages/1"
    assert opened["message"] == "LINE OPENED"
    assert event["fields"] == {
        "command_id": 3,
        "status": "REJECTED",
        "reason": "EXPIRED",
        "detail": 0,
        "device_time_us": 5,
    }
    assert (event["direction"], event["seq"]) == ("to host", 42)
    assert bad["message"] == "BAD FRAME"
    assert bad["remark"]
    [only] = decoded(capsys, path, "--json", "--only", "command-event")[1:]
    assert json.loads(only)["message"] == "COMMAND_EVENT"


@pytest.mark.parametrize("kind", sorted(MESSAGES.values(), key=lambda one: one.NAME), ids=lambda one: one.NAME)
def test_every_message_can_be_shown(kind: type[Message]) -> None:
    """Whatever the protocol gets in future: fields of the least value, with everything that may be missing missing."""
    from isoalign.devices.link_decode import LinkLine, fields_in_words

    values: dict[str, object] = {}
    for field in kind.FIELDS:
        one: object = None if field.nullable else field.minimum
        if field.enum is not None:
            one = next(iter(field.enum))
        if field.code in {"s", ""}:
            one = "" if field.code else b""
        values[field.name] = one if field.count == 1 or field.code in {"s", ""} else (one,) * field.count
    message = kind(**values)
    words = fields_in_words(message)
    assert all(field.name.split("_")[0] in words for field in kind.FIELDS)
    if not kind.IS_BULK:
        from isoalign.protocol import decode

        line = LinkLine(0.0, "to host", kind.NAME, decode(encode(message)[:-1]))
        assert set(json.loads(json.dumps(line.to_dict()))["fields"]) == set(values)


def test_a_file_that_is_no_record(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x").write_text("no\n")
    assert main(["protocol", "decode", str(tmp_path / "x")]) == 3
    assert "data.link-log" in capsys.readouterr().err
