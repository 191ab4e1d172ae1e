"""A record played through the session again says what was put into it: counted by hand, file written by hand."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

from isoalign.cli import main
from isoalign.devices.errors import LinkLogUnreadable
from isoalign.devices.replay_summary import ReplaySummary, replay_summary
from isoalign.protocol import DeviceIdentity, DeviceSession, HostSession
from isoalign.protocol.messages import BarPosition, Capability, DeviceKind, PendantState, SessionEnd

RECEIVED, SENT, OPENED, CLOSED, DROPPED = range(5)
STEP_S = 0.05


class Tape:
    """A pendant and a host that talk in made-up time, and the file that a recorder would have written of it."""

    def __init__(self, path: Path, *, host: DeviceKind = DeviceKind.PENDANT) -> None:
        self.path = path
        self.now_s = 1000.0
        self.host = HostSession(host)
        self.device = self._device()
        self.content = b""
        self.count = 0

    def _device(self) -> DeviceSession:
        identity = DeviceIdentity(
            kind=DeviceKind.PENDANT,
            capabilities=Capability.ENABLE_TOKEN,
            serial_number="P7",
            heartbeat_expiry_us=500_000,
            state_period_us=50_000,
        )
        return DeviceSession(identity, boot_s=self.now_s)

    def note(self, kind: int, data: bytes = b"") -> None:
        self.content += struct.pack("<dBI", self.now_s, kind, len(data)) + data

    def open(self) -> None:
        self.note(OPENED)
        self.device = self._device()
        self.host.connect(self.now_s)
        self.exchange()
        self.exchange()

    def exchange(self, *, spoil: str = "") -> None:
        """What the host has to say goes to the device, what the device has to say comes back and is recorded."""
        self.now_s += STEP_S
        self.host.poll(self.now_s)
        if output := self.host.take_output():
            self.note(SENT, output)
            self.device.feed(output, self.now_s)
        answer = self.device.take_output()
        if spoil == "lost":
            return
        if spoil == "bad":
            answer = answer[:-3] + bytes([answer[-3] ^ 0x01]) + answer[-2:]
        if answer:
            self.note(RECEIVED, answer * (2 if spoil == "twice" else 1))
            self.host.feed(answer, self.now_s)

    def state(self, bar: BarPosition, *, spoil: str = "") -> None:
        self.count += 1
        self.device.send(
            PendantState(device_time_us=self.count, state_count=self.count, bar=bar, press_count=1, token_counter=1),
            self.now_s,
        )
        self.exchange(spoil=spoil)

    def write(self, *, schema: str = "isoalign.link-log/1", device: str = "PENDANT") -> Path:
        header = {"schema": schema, "link": "pendant", "device": device, "began_at": "", "monotonic_s": 1000.0}
        self.path.write_bytes(json.dumps(header).encode() + b"\n" + self.content)
        return self.path


@pytest.fixture
def tape(tmp_path: Path) -> Tape:
    return Tape(tmp_path / "pendant.linklog")


def told(found: ReplaySummary, kind: str) -> list[str]:
    return [event.text for event in found.events if event.kind == kind]


def test_a_quiet_link_has_no_errors(tape: Tape) -> None:
    tape.open()
    for bar in (BarPosition.RELEASED, BarPosition.RELEASED, BarPosition.ENABLED, BarPosition.RELEASED):
        tape.state(bar)
    found = replay_summary(tape.write())
    assert found.messages["PENDANT_STATE"] == 4
    assert found.messages["HELLO_ACK"] == 1
    assert (found.sessions, found.state) == (1, "open")
    assert found.errors == []
    assert dict(found.dropped_frames) == {}
    assert found.lost_frames == 0
    assert told(found, "state") == ["bar RELEASED", "bar RELEASED -> ENABLED", "bar ENABLED -> RELEASED"]
    assert "P7" in told(found, "session open")[0]
    assert found.states == {"bar": "RELEASED"}
    assert found.duration_s == pytest.approx(6 * STEP_S)


def test_what_went_wrong_is_told_when_it_did(tape: Tape) -> None:
    tape.open()
    tape.state(BarPosition.RELEASED)
    tape.state(BarPosition.RELEASED, spoil="bad")
    tape.state(BarPosition.RELEASED, spoil="lost")
    tape.state(BarPosition.RELEASED)  # now it is seen that two are missing
    tape.state(BarPosition.RELEASED, spoil="twice")
    tape.note(DROPPED, (4096).to_bytes(8, "little"))
    tape.note(CLOSED, b"unplugged")
    tape.now_s += 3.0
    tape.open()
    tape.state(BarPosition.RELEASED)
    tape.device.end(SessionEnd.HEARTBEAT_EXPIRED, tape.now_s)
    tape.exchange()
    found = replay_summary(tape.write())
    assert found.messages["PENDANT_STATE"] == 4
    assert found.dropped_frames["checksum does not match"] == 1
    assert found.dropped_frames["repeated"] >= 1
    assert found.missing_bytes == 4096
    assert found.sessions == 2
    assert [event.kind for event in found.errors] == [
        "bad frame",
        "frames lost",
        "bytes missing",
        "line closed",
        "session ended",
    ]
    assert told(found, "line closed") == ["unplugged"]
    assert "HEARTBEAT_EXPIRED" in told(found, "session ended")[0]
    times = [event.at_s for event in found.events]
    assert times == sorted(times)


def test_silence_is_told(tape: Tape) -> None:
    tape.open()
    tape.state(BarPosition.RELEASED)
    tape.now_s += 1.5
    tape.device.send(PendantState(5, 5, BarPosition.RELEASED, 1, 1), tape.now_s)
    tape.note(RECEIVED, tape.device.take_output())
    found = replay_summary(tape.write())
    assert found.longest_silence_s == pytest.approx(1.5, abs=2 * STEP_S)
    assert "a driver opens the line again" in told(found, "silence")[0]


def test_another_kind_of_device_answers(tape: Tape) -> None:
    tape.open()
    tape.state(BarPosition.RELEASED)
    found = replay_summary(tape.write(device="COUCH"))
    assert found.sessions == 0
    assert "COUCH" in told(found, "wrong device")[0]


def test_progress_ends_at_one(tape: Tape) -> None:
    tape.open()
    for _ in range(2500):
        tape.state(BarPosition.RELEASED)
    seen: list[float] = []
    replay_summary(tape.write(), seen.append)
    assert len(seen) > 2
    assert seen == sorted(seen)
    assert seen[-1] == 1.0


def test_a_file_that_begins_in_the_middle(tape: Tape) -> None:
    tape.open()
    tape.content = b""
    tape.state(BarPosition.RELEASED)
    with pytest.raises(LinkLogUnreadable, match="beginning of a session"):
        replay_summary(tape.write())


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no record of a link"),
        (b"{}\n", "no record of a link"),
        (b"\x00\xff" * 3000, "no record of a link"),
        (b'{"schema": "isoalign.link-log/9", "link": "", "device": "COUCH", "began_at": "", "monotonic_s": 0}\n', "/9"),
    ],
)
def test_bad_files_are_typed_errors(
    content: bytes, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.linklog"
    path.write_bytes(content)
    assert main(["protocol", "replay", str(path), "--json"]) == 3
    captured = capsys.readouterr()
    error = json.loads(captured.out)["error"]
    assert error["code"] == "data.link-log"
    assert said in error["message"]
    assert "Traceback" not in captured.err


def test_records_that_make_no_sense_are_a_typed_error(tape: Tape, capsys: pytest.CaptureFixture[str]) -> None:
    tape.open()
    tape.content += b"\xff" * 40
    assert main(["protocol", "replay", str(tape.write())]) == 3
    assert "data.link-log" in capsys.readouterr().err


def test_a_missing_file_and_an_image_record_are_typed_errors(tape: Tape, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["protocol", "replay", str(tape.path)]) == 3
    assert "cannot read" in capsys.readouterr().err
    assert main(["protocol", "replay", str(tape.write(schema="isoalign.image-log/1"))]) == 3
    assert "protocol decode" in capsys.readouterr().err


def test_the_command_as_text_and_as_json(tape: Tape, capsys: pytest.CaptureFixture[str]) -> None:
    tape.open()
    tape.state(BarPosition.RELEASED)
    tape.state(BarPosition.ENABLED, spoil="bad")
    path = str(tape.write())
    assert main(["protocol", "replay", path]) == 0
    text = capsys.readouterr().out
    assert "pendant (PENDANT)" in text
    assert "PENDANT_STATE 1" in text
    assert "! bad frame" in text
    assert main(["protocol", "replay", path, "--json", "--errors-only"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "isoalign.link-replay/1"
    assert document["messages"]["PENDANT_STATE"] == 1
    assert document["errors"] == 1
    assert [event["kind"] for event in document["events"]] == ["bad frame"]
