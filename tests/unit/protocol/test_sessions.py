"""Host and device end of a session against each other, over a perfect and over a bad line."""

from __future__ import annotations

import pytest

from isoalign.clock import ManualClock
from isoalign.protocol import (
    DeviceIdentity,
    DeviceSession,
    FrameReader,
    Header,
    HostSession,
    Message,
    SessionNotOpen,
    SessionReadOnly,
    SessionState,
    encode,
)
from isoalign.protocol.messages import (
    AxisInfo,
    Capability,
    Clear,
    CommandEvent,
    CommandReason,
    CommandStatus,
    DeviceKind,
    Heartbeat,
    Hello,
    HelloAck,
    Latch,
    SessionEnd,
    SessionEnded,
    SessionVerdict,
    Stop,
    StopReason,
    TimeReply,
)


def identity(**changes: object) -> DeviceIdentity:
    values: dict[str, object] = {
        "kind": DeviceKind.COUCH,
        "capabilities": Capability.MOTION,
        "serial_number": "SN-1",
        "heartbeat_expiry_us": 150_000,
        "state_period_us": 20_000,
    }
    return DeviceIdentity(**{**values, **changes})  # type: ignore[arg-type]


def clear(latch: Latch = Latch.HOST_LOST) -> Clear:
    return Clear(command_id=1, valid_until_us=0, latch=latch)


class Line:
    """Both ends and the time between them."""

    def __init__(self, **changes: object) -> None:
        self.clock = ManualClock()
        self.clock.advance(1000.0)
        self.host = HostSession(DeviceKind.COUCH)
        self.device = DeviceSession(identity(**changes), boot_s=900.0)
        self.asked: list[Message] = []
        self.heard: list[Message] = []
        self.delay_s = 0.001

    def carry(self, *, to_device: bool = True, to_host: bool = True) -> None:
        data = self.host.take_output()
        self.clock.advance(self.delay_s)
        if to_device:
            self.asked += self.device.feed(data, self.clock.monotonic_s())
        data = self.device.take_output()
        self.clock.advance(self.delay_s)
        if to_host:
            self.heard += self.host.feed(data, self.clock.monotonic_s())

    def run(self, seconds: float, **ways: bool) -> None:
        for _ in range(round(seconds / 0.01)):
            self.clock.advance(0.01 - 2 * self.delay_s)
            self.host.poll(self.clock.monotonic_s())
            self.device.poll(self.clock.monotonic_s())
            self.carry(**ways)

    def open(self) -> Line:
        self.host.connect(self.clock.monotonic_s())
        self.carry()
        self.carry()
        return self

    def issue(self, command: Message, **how: float) -> int:
        return self.host.issue(command, self.clock.monotonic_s(), **how)


def test_hello_opens_a_session_that_heartbeats_keep_open() -> None:
    line = Line().open()
    assert line.host.state is SessionState.OPEN
    assert line.host.info is not None
    assert line.host.info.serial_number == "SN-1"
    assert line.host.info.heartbeat_expiry_s == pytest.approx(0.15)
    line.run(2.0)
    assert line.device.is_open
    assert line.host.is_open
    assert line.host.heard_age_s(line.clock.monotonic_s()) <= 0.5  # time replies at least


def test_an_unanswered_hello_is_said_again() -> None:
    line = Line()
    line.host.connect(line.clock.monotonic_s())
    line.run(0.5, to_device=False)
    assert line.host.state is SessionState.GREETING
    line.run(0.3)
    assert line.host.state is SessionState.OPEN


def test_an_answer_to_an_earlier_hello_is_not_taken() -> None:
    """Its session would not be the device's present one, and its time would not be that of this exchange."""
    line = Line()
    line.host.connect(line.clock.monotonic_s())
    line.carry(to_host=False)
    late = encode(HelloAck(1, 0, 1, 12345, SessionVerdict.FULL, DeviceKind.COUCH, Capability(0), 0, 1000, 1000, "", ""))
    assert line.host.feed(late, line.clock.monotonic_s()) == []
    assert line.host.state is SessionState.GREETING


def test_the_device_ends_the_session_when_the_heartbeat_stops() -> None:
    line = Line().open()
    line.run(0.3)
    begun_s = line.clock.monotonic_s()
    ended_s = None
    while ended_s is None:
        line.clock.advance(0.005)
        if line.device.poll(line.clock.monotonic_s()) is SessionEnd.HEARTBEAT_EXPIRED:
            ended_s = line.clock.monotonic_s()
    assert 0.09 < ended_s - begun_s <= 0.156
    line.carry(to_device=False)
    assert line.host.state is SessionState.ENDED
    assert line.host.end_reason is SessionEnd.HEARTBEAT_EXPIRED


def test_a_device_that_has_restarted_is_believed_that_the_session_is_over() -> None:
    """Its frames count from the beginning again, which is not newer than what the host has seen."""
    line = Line().open()
    for _ in range(40):
        line.device.send(AxisInfo(0, -1, 1, 1, 1, 1, 1, 0, 0), line.clock.monotonic_s())
    line.run(0.3)
    line.device = DeviceSession(identity(), boot_s=line.clock.monotonic_s())
    line.run(0.1)
    assert line.host.state is SessionState.ENDED
    assert line.host.end_reason is SessionEnd.UNKNOWN_SESSION


def test_a_heartbeat_that_does_not_advance_does_not_keep_a_session_open() -> None:
    line = Line().open()
    session = line.device.session
    frozen = Heartbeat(host_counter=7, client_counter=None)
    for number in range(40):
        line.clock.advance(0.01)
        line.device.feed(encode(frozen, Header(session, 1000 + number)), line.clock.monotonic_s())
        if line.device.poll(line.clock.monotonic_s()):
            break
    assert not line.device.is_open
    assert number < 20


def test_frames_of_another_session_are_dropped_and_answered() -> None:
    line = Line().open()
    now_s = line.clock.monotonic_s()
    foreign = line.device.session ^ 1
    stranger = Clear(command_id=1, valid_until_us=2**40, latch=Latch.HOST_LOST)
    assert line.device.feed(encode(stranger, Header(foreign, 5)), now_s) == []
    assert line.device.foreign_frames == 1
    (frame,) = FrameReader().feed(line.device.take_output())
    assert frame.message == SessionEnded(reason=SessionEnd.UNKNOWN_SESSION)
    assert frame.header.session == foreign
    line.host.feed(encode(frame.message, frame.header), now_s)
    assert line.host.is_open
    assert line.host.foreign_frames == 1


def test_a_repeated_or_old_frame_is_dropped_and_a_lost_one_counted() -> None:
    line = Line().open()
    line.run(0.5)
    session, seq = line.device.session, line.device.sequence.latest
    now_s = line.clock.monotonic_s()
    command = Clear(command_id=1, valid_until_us=line.device.device_time_us(now_s) + 1000, latch=Latch.HOST_LOST)
    assert line.device.feed(encode(command, Header(session, seq)), now_s) == []
    assert line.device.feed(encode(command, Header(session, seq - 5)), now_s) == []
    assert line.device.sequence.repeated == 2
    assert line.device.feed(encode(command, Header(session, seq + 4)), now_s) == [command]
    assert line.device.sequence.lost == 3


def test_sequence_numbers_wrap() -> None:
    line = Line().open()
    session = line.device.session
    now_s = line.clock.monotonic_s()
    line.device.sequence.restart(65534)
    for counter, seq in enumerate((65535, 0, 1), start=100):
        line.device.feed(encode(Heartbeat(counter, None), Header(session, seq)), now_s)
    assert line.device.host.counter == 102
    assert line.device.sequence.lost == 0


def test_stop_needs_no_session() -> None:
    line = Line()
    line.host.stop(StopReason.HOLD, line.clock.monotonic_s())
    line.carry()
    assert line.asked == [Stop(reason=StopReason.HOLD)] * 3


def test_no_command_from_before_a_stop_arrives_after_it() -> None:
    """A CLEAR that waits behind a STOP would clear that very stop."""
    line = Line().open()
    line.asked.clear()
    number = line.issue(clear())
    line.host.stop(StopReason.INTERLOCK, line.clock.monotonic_s())
    line.run(0.5)
    assert [message.NAME for message in line.asked] == ["STOP", "STOP", "STOP"]
    progress = line.host.progress(number)
    assert progress is not None
    assert (progress.status, progress.reason) == (CommandStatus.ABORTED, CommandReason.STOPPED)
    assert line.host.is_open


def test_a_command_is_carried_out_once_however_often_it_comes() -> None:
    line = Line().open()
    line.asked.clear()
    number = line.issue(clear())
    line.carry(to_host=False)
    line.device.report(number, CommandStatus.DONE, line.clock.monotonic_s())
    line.carry(to_host=False)  # the answer is lost
    assert line.host.progress(number).status is CommandStatus.NONE  # type: ignore[union-attr]
    line.run(0.15)
    assert [message.NAME for message in line.asked] == ["CLEAR"]
    progress = line.host.progress(number)
    assert progress is not None
    assert progress.status is CommandStatus.DONE
    assert progress.is_over


def test_a_command_without_any_answer_is_given_up() -> None:
    line = Line().open()
    number = line.issue(clear())
    line.run(0.25, to_host=False)
    assert not line.host.progress(number).is_over  # type: ignore[union-attr]
    line.run(0.15, to_host=False)
    progress = line.host.progress(number)
    assert progress is not None
    assert progress.unanswered
    assert progress.is_over


def test_an_expired_command_is_refused() -> None:
    line = Line().open()
    line.asked.clear()
    number = line.issue(clear(), valid_for_s=0.05)
    line.clock.advance(0.1)
    line.carry()
    assert line.asked == []
    progress = line.host.progress(number)
    assert progress is not None
    assert (progress.status, progress.reason) == (CommandStatus.REJECTED, CommandReason.EXPIRED)


def test_a_command_that_would_be_valid_for_too_long_is_refused() -> None:
    line = Line().open()
    number = line.issue(clear(), valid_for_s=60.0)
    line.carry()
    assert line.host.progress(number).reason is CommandReason.VALIDITY_TOO_LONG  # type: ignore[union-attr]


def test_an_old_command_id_is_refused() -> None:
    line = Line().open()
    now_s = line.clock.monotonic_s()
    seq = line.device.sequence.latest
    until_us = line.device.device_time_us(now_s) + 100_000
    line.device.feed(encode(Clear(9, until_us, Latch.HOST_LOST), Header(line.device.session, seq + 1)), now_s)
    line.device.take_output()
    line.device.feed(encode(Clear(8, until_us, Latch.HOST_LOST), Header(line.device.session, seq + 2)), now_s)
    (frame,) = FrameReader().feed(line.device.take_output())
    assert isinstance(frame.message, CommandEvent)
    assert frame.message.reason is CommandReason.STALE_COMMAND


def test_the_outcome_of_an_earlier_session_is_not_reported_into_the_next() -> None:
    """Command ids begin anew with a session: an old event would answer a command that was never carried out."""
    line = Line().open()
    number = line.issue(clear())
    line.carry()
    line.open()
    line.device.report(number, CommandStatus.DONE, line.clock.monotonic_s())
    line.asked.clear()
    again = line.issue(clear())
    assert again == number
    line.carry()
    assert [message.NAME for message in line.asked] == ["CLEAR"]
    assert line.host.progress(again).status is CommandStatus.NONE  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({"protocol_major": 2}, SessionVerdict.READ_ONLY_VERSION),
        ({"dictionary_hash": 1234}, SessionVerdict.READ_ONLY_DICTIONARY),
    ],
)
def test_another_version_or_dictionary_gives_a_read_only_session(
    changes: dict[str, object], verdict: SessionVerdict
) -> None:
    line = Line(**changes).open()
    assert line.host.state is SessionState.READ_ONLY
    assert line.host.info is not None
    assert line.host.info.verdict is verdict
    with pytest.raises(SessionReadOnly):
        line.issue(clear())
    # a host that does not notice is refused by the device
    now_s = line.clock.monotonic_s()
    line.asked.clear()
    header = Header(line.device.session, line.device.sequence.latest + 1)
    command = Clear(1, line.device.device_time_us(now_s) + 1000, Latch.HOST_LOST)
    assert line.device.feed(encode(command, header), now_s) == []
    assert line.device.commands.last_status is CommandStatus.REJECTED


def test_another_kind_of_device_is_recognised() -> None:
    line = Line(kind=DeviceKind.PENDANT)
    line.host.connect(line.clock.monotonic_s())
    line.carry()
    assert line.host.state is SessionState.WRONG_DEVICE


def test_nothing_that_needs_a_session_is_sent_without_one() -> None:
    host = HostSession(DeviceKind.COUCH)
    with pytest.raises(SessionNotOpen):
        host.send(Heartbeat(1, None), 0.0)
    with pytest.raises(SessionNotOpen):
        host.issue(clear(), 0.0)


def test_the_client_counter_goes_out_unchanged_and_is_never_made_up() -> None:
    line = Line().open()
    line.run(0.3)
    assert line.device.client.counter is None
    line.host.client_counter = 41
    line.run(0.1)
    assert line.device.client.counter == 41
    assert not line.device.client.is_fresh(line.clock.monotonic_s())
    line.run(0.3)  # the host goes on, the client does not
    assert not line.device.client.is_fresh(line.clock.monotonic_s())
    line.host.client_counter = 42
    line.run(0.1)
    assert line.device.client.is_fresh(line.clock.monotonic_s())


def test_device_time_is_known_within_its_bound() -> None:
    line = Line()
    line.delay_s = 0.004
    line.open()
    line.run(1.0)
    now_us = round(line.clock.monotonic_s() * 1e6)
    truth_us = now_us - 900_000_000
    assert any(isinstance(message, TimeReply) for message in line.heard)
    assert abs(line.host.clock.device_us(now_us) - truth_us) <= line.host.clock.bound_us(now_us)
    assert line.host.clock.bound_us(now_us) < 4_500


def test_a_new_hello_drops_what_the_device_still_had_to_say() -> None:
    line = Line().open()
    line.device.send(SessionEnded(reason=SessionEnd.RESTARTED), line.clock.monotonic_s())
    line.host.connect(line.clock.monotonic_s())
    line.carry()
    assert not any(isinstance(message, SessionEnded) for message in line.heard)
    assert line.host.is_open
    assert any(isinstance(message, Hello) for message in line.asked)
