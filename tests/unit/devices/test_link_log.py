"""Recording a link: every byte with its time, bounded, and never in the way of the loop; and playing it again."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from isoalign.clock import SystemClock
from isoalign.devices import link_log
from isoalign.devices.config import RecordConfig
from isoalign.devices.errors import BadDeviceConfig, LinkLogUnreadable
from isoalign.devices.link import DeviceLink
from isoalign.devices.link_log import LinkRecorder, RecordKind, read_log
from isoalign.devices.replay import Replay
from isoalign.devices.transport import TcpTransport, Transport
from isoalign.protocol import DeviceIdentity, DeviceSession
from isoalign.protocol.messages import BarPosition, Capability, DeviceKind, PendantState

CLOCK = SystemClock()


def files_of(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.linklog"))


def test_what_is_noted_is_read_again_with_its_time(tmp_path: Path) -> None:
    recorder = LinkRecorder(RecordConfig(tmp_path / "new" / "folder"), CLOCK)
    channel = recorder.channel("panel A", DeviceKind.PANEL)
    begun_s = CLOCK.monotonic_s()
    channel.note(RecordKind.OPENED, b"")
    channel.note(RecordKind.SENT, b"\x01\x00hello")
    channel.note(RecordKind.RECEIVED, bytes(range(256)) * 300)
    channel.note(RecordKind.CLOSED, b"unplugged")
    recorder.close()
    [path] = files_of(tmp_path / "new" / "folder")
    assert path.name.startswith("panel-a.")
    header, records = read_log(path)
    assert (header.link, header.device) == ("panel A", DeviceKind.PANEL)
    found = list(records)
    assert [(one.kind, one.data) for one in found] == [
        (RecordKind.OPENED, b""),
        (RecordKind.SENT, b"\x01\x00hello"),
        (RecordKind.RECEIVED, bytes(range(256)) * 300),
        (RecordKind.CLOSED, b"unplugged"),
    ]
    times = [one.time_s for one in found]
    assert times == sorted(times)
    assert begun_s <= times[0] <= times[-1] <= CLOCK.monotonic_s()


def test_files_are_bounded_and_the_oldest_go(tmp_path: Path) -> None:
    recorder = LinkRecorder(RecordConfig(tmp_path, file_mb=0.01, files=3), CLOCK)
    channel = recorder.channel("couch", DeviceKind.COUCH)
    for number in range(12):
        channel.note(RecordKind.RECEIVED, bytes([number]) * 8000)
        channel.write()
    recorder.close()
    kept = files_of(tmp_path)
    assert len(kept) == 3
    assert sum(path.stat().st_size for path in kept) < 3 * 20_000
    last = list(read_log(kept[-1])[1])[-1]
    assert last.data[:1] == bytes([11]), "the latest are kept"


def test_names_that_look_alike_do_not_share_files(tmp_path: Path) -> None:
    """Names of imagers are the user's; a folder separator in one is no folder."""
    recorder = LinkRecorder(RecordConfig(tmp_path, files=1), CLOCK)
    names = ["panel A", "panel A/B", "panel A-B", "panel A-B C"]
    channels = [recorder.channel(name, DeviceKind.PANEL) for name in names]
    for name, channel in zip(names, channels, strict=True):
        channel.note(RecordKind.SENT, name.encode())
    recorder.close()
    found = {read_log(path)[0].link for path in files_of(tmp_path)}
    assert {"panel A", "panel A-B C"} < found, "the oldest files of others are not removed"
    assert all(
        [one.data.decode() for one in read_log(path)[1]] == [read_log(path)[0].link] for path in files_of(tmp_path)
    )


class SlowFile:
    """A disk that takes nothing for a while."""

    def __init__(self) -> None:
        self.released = threading.Event()
        self.content = b""

    def write(self, data: bytes) -> int:
        self.released.wait(10)
        self.content += data
        return len(data)

    def flush(self) -> None: ...

    def tell(self) -> int:
        return len(self.content)

    def close(self) -> None: ...


def test_a_disk_that_hangs_costs_bytes_and_not_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_log, "QUEUE_BYTES", 10_000)
    recorder = LinkRecorder(RecordConfig(tmp_path), CLOCK)
    channel = recorder.channel("couch", DeviceKind.COUCH)
    disk = SlowFile()
    channel._file = disk  # type: ignore[assignment]
    begun_s = time.monotonic()
    for _ in range(100):
        channel.note(RecordKind.RECEIVED, bytes(1000))
    assert time.monotonic() - begun_s < 1.0
    assert recorder.dropped_bytes >= 100_000 - 10_000
    disk.released.set()
    until_s = time.monotonic() + 10
    while not disk.content and time.monotonic() < until_s:
        time.sleep(0.01)
    time.sleep(0.05)
    channel.note(RecordKind.SENT, b"after")
    recorder.close()
    path = tmp_path / "hung.linklog"
    header = {"schema": "isoalign.link-log/1", "link": "couch", "device": "COUCH", "began_at": "", "monotonic_s": 0}
    path.write_bytes(json.dumps(header).encode() + b"\n" + disk.content)
    found = list(read_log(path)[1])
    [gap] = [one for one in found if one.kind is RecordKind.DROPPED]
    assert gap.dropped_bytes == recorder.dropped_bytes, "the file says what is missing, where it is missing"
    assert found[-1].data == b"after"


def test_a_folder_that_goes_away_is_counted_and_not_raised(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    recorder = LinkRecorder(RecordConfig(folder), CLOCK)
    channel = recorder.channel("couch", DeviceKind.COUCH)
    folder.rmdir()
    channel.note(RecordKind.SENT, b"lost")
    channel.write()
    assert recorder.dropped_bytes > 0
    folder.mkdir()
    channel.note(RecordKind.SENT, b"kept")
    recorder.close()
    [path] = files_of(folder)
    assert [one.data for one in read_log(path)[1]] == [b"kept"]


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadDeviceConfig, match=r"record\.folder"):
        LinkRecorder(RecordConfig(tmp_path / "file" / "folder"), CLOCK)


GOOD_LINE = b'{"schema": "isoalign.link-log/1", "link": "couch", "device": "COUCH", "began_at": "", "monotonic_s": 0}\n'


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no header",
        b"[]\n",
        b'{"schema": "isoalign.link-log/2"}\n',
        GOOD_LINE.replace(b"COUCH", b"TOASTER"),
        GOOD_LINE + bytes(8) + b"\x09" + bytes(4),
        GOOD_LINE + bytes(8) + b"\x00\xff\xff\xff\xff",
    ],
)
def test_files_that_are_no_record_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.linklog"
    path.write_bytes(content)
    with pytest.raises(LinkLogUnreadable, match=r"x\.linklog"):
        list(read_log(path)[1])


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(LinkLogUnreadable, match="none"):
        read_log(tmp_path / "none")


def test_an_end_that_was_cut_off_is_left_out(tmp_path: Path) -> None:
    recorder = LinkRecorder(RecordConfig(tmp_path), CLOCK)
    channel = recorder.channel("couch", DeviceKind.COUCH)
    channel.note(RecordKind.SENT, b"whole")
    channel.note(RecordKind.SENT, b"cut off")
    recorder.close()
    [path] = files_of(tmp_path)
    content = path.read_bytes()
    for missing in range(1, len(b"cut off") + 13):
        path.write_bytes(content[:-missing])
        assert [one.data for one in read_log(path)[1]] == [b"whole"]


class Pendant:
    """A device at the other end of a socket pair, which says its state every few milliseconds."""

    def __init__(self) -> None:
        self.session = DeviceSession(
            DeviceIdentity(
                kind=DeviceKind.PENDANT,
                capabilities=Capability.ENABLE_TOKEN,
                serial_number="P",
                heartbeat_expiry_us=500_000,
                state_period_us=50_000,
            ),
            boot_s=CLOCK.monotonic_s(),
        )
        self.line: socket.socket | None = None

    async def open_line(self) -> Transport:
        ours, self.line = socket.socketpair()
        self.line.setblocking(False)
        return TcpTransport(ours, "pendant")

    def step(self, count: int) -> None:
        assert self.line is not None
        now_s = CLOCK.monotonic_s()
        with contextlib.suppress(BlockingIOError):
            self.session.feed(self.line.recv(4096), now_s)
        if self.session.is_open:
            state = PendantState(
                device_time_us=count, state_count=count, bar=BarPosition.ENABLED, press_count=1, token_counter=count
            )
            self.session.send(state, now_s)
        self.line.send(self.session.take_output())


async def recorded(folder: Path) -> list[int]:
    """Two lives of a line, recorded; returns the token counters that the link has heard."""
    recorder = LinkRecorder(RecordConfig(folder), CLOCK)
    device, heard = Pendant(), []

    def on_message(message: Any, _now_s: float) -> None:
        if isinstance(message, PendantState):
            heard.append(message.token_counter)

    link = DeviceLink("pendant", DeviceKind.PENDANT, device.open_line, CLOCK, on_message=on_message)
    link.tap = recorder.channel(link.name, DeviceKind.PENDANT)
    link.start()
    for count in range(1, 60):
        await asyncio.sleep(0.01)
        if device.line is None:
            continue
        if count == 30:
            device.line.close()  # the cable comes loose
            device.line = None
            continue
        device.step(count)
    await asyncio.sleep(0.05)
    await link.close()
    assert device.line is not None
    device.line.close()
    recorder.close()
    return heard


async def test_a_recorded_device_is_heard_again_by_a_real_link(tmp_path: Path) -> None:
    heard = await recorded(tmp_path)
    assert heard[0] < 30 < heard[-1]
    [path] = files_of(tmp_path)
    kinds = [one.kind for one in read_log(path)[1]]
    assert kinds.count(RecordKind.OPENED) == 2
    assert kinds.count(RecordKind.CLOSED) == 2
    assert RecordKind.SENT in kinds
    replay, again = Replay(path, CLOCK), []

    def on_message(message: Any, _now_s: float) -> None:
        if isinstance(message, PendantState):
            again.append(message.token_counter)

    link = replay.link(on_message=on_message)
    link.start()
    await asyncio.wait_for(replay.ended.wait(), 10)
    await link.close()
    await replay.close()
    assert again == heard


async def test_a_record_without_a_beginning_cannot_be_played(tmp_path: Path) -> None:
    recorder = LinkRecorder(RecordConfig(tmp_path), CLOCK)
    recorder.channel("couch", DeviceKind.COUCH).note(RecordKind.RECEIVED, b"\x01\x00")
    recorder.close()
    with pytest.raises(LinkLogUnreadable, match="beginning"):
        Replay(files_of(tmp_path)[0], CLOCK)
