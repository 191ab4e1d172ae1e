"""A recorded link given to the host's session again, as fast as it goes: what a driver of this version would have seen.

Time is that of the record. The session is the driver's own: what it accepts, drops and counts is what a driver would
have; only the line, its watchdog and the commands are those of the record. A session begins with a number that the
host draws and the device repeats; here the host draws those that the recorded device repeated.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, IntFlag
from pathlib import Path
from typing import Any

from isoalign.devices.errors import LinkLogUnreadable
from isoalign.devices.link_decode import fields_in_words, value_in_words
from isoalign.devices.link_log import LogHeader, LogRecord, RecordKind, read_log
from isoalign.protocol import FrameReader, HostSession, Message
from isoalign.protocol.messages import CommandEvent, CommandStatus, ExposureResult, FrameReady, HelloAck
from isoalign.protocol.session import SessionState

SILENCE_S = 1.0
"""A driver takes a line without any frame for this long for lost."""
PROGRESS_RECORDS = 2000
TOLD_WHOLE = (CommandEvent, ExposureResult, FrameReady)
FAILED = frozenset({CommandStatus.REJECTED, CommandStatus.ABORTED})

OnProgress = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class ReplayEvent:
    """Something that happened: seconds since the beginning of the record, what, and in words."""

    at_s: float
    kind: str
    text: str
    is_error: bool = False


@dataclass(slots=True)
class ReplaySummary:
    """What a driver would have seen of a recorded link.

    Attributes
    ----------
    duration_s : float
        From the first record to the last.
    received_bytes, sent_bytes, missing_bytes : int
        By the record; missing ones could not be written in time.
    messages : Counter of message name
        Accepted by the session.
    dropped_frames : Counter of reason
        Bad ones, those of other sessions, and those that came again.
    lost_frames : int
        Sequence numbers that never came.
    sessions : int
        How often a session was opened.
    state : str
        Of the session at the end.
    longest_silence_s : float
        Between two accepted messages of one session.
    states : dict of name to value
        The last of every state that the device reports by a name.
    events : list of ReplayEvent
        In order.
    """

    header: LogHeader
    duration_s: float = 0.0
    received_bytes: int = 0
    sent_bytes: int = 0
    missing_bytes: int = 0
    messages: Counter[str] = field(default_factory=Counter)
    dropped_frames: Counter[str] = field(default_factory=Counter)
    lost_frames: int = 0
    sessions: int = 0
    state: str = SessionState.CLOSED.value
    longest_silence_s: float = 0.0
    states: dict[str, str] = field(default_factory=dict)
    events: list[ReplayEvent] = field(default_factory=list)

    @property
    def errors(self) -> list[ReplayEvent]:
        """The events that are errors."""
        return [event for event in self.events if event.is_error]

    def to_dict(self) -> dict[str, Any]:
        """JSON types."""
        return {
            "link": self.header.link,
            "device": self.header.device.name,
            "began_at": self.header.began_at,
            "duration_s": self.duration_s,
            "received_bytes": self.received_bytes,
            "sent_bytes": self.sent_bytes,
            "missing_bytes": self.missing_bytes,
            "messages": dict(sorted(self.messages.items())),
            "dropped_frames": dict(sorted(self.dropped_frames.items())),
            "lost_frames": self.lost_frames,
            "sessions": self.sessions,
            "state": self.state,
            "longest_silence_s": self.longest_silence_s,
            "states": self.states,
            "errors": len(self.errors),
            "events": [
                {"at_s": one.at_s, "kind": one.kind, "text": one.text, "is_error": one.is_error} for one in self.events
            ],
        }


def replay_summary(path: Path, on_progress: OnProgress = lambda _fraction: None) -> ReplaySummary:
    """Play a recorded file through a host session.

    Parameters
    ----------
    path : Path
    on_progress : callable
        Called with the fraction that is done, now and then.

    Raises
    ------
    LinkLogUnreadable
        Also for the record of an image connection, and when nothing that the device said begins a session.
    """
    header, records = read_log(path)
    if header.holds_images:
        raise LinkLogUnreadable(
            f"{path} is the record of an image connection, which has no session",
            hint="Show it with `isoalign protocol decode`.",
        )
    player = _Player(header, list(records))
    if player.nonces.upcoming() is None:
        raise LinkLogUnreadable(
            f"{path} holds no beginning of a session: a driver would wait for ever",
            hint="Name the first file of this link, or show this one with `isoalign protocol decode`.",
        )
    return player.play(on_progress)


class _Nonces:
    """The numbers that the recorded device repeats, each as long as its answer is still to come."""

    def __init__(self, records: Sequence[LogRecord]) -> None:
        self._received = [record.data for record in records if record.kind is RecordKind.RECEIVED]
        self._next = 0
        self._reader = FrameReader()
        self._waiting: list[int] = []

    def upcoming(self) -> int | None:
        """The number that the device repeats next; None when it repeats no more."""
        while not self._waiting and self._next < len(self._received):
            frames = self._reader.feed(self._received[self._next])
            self._next += 1
            self._waiting += [frame.message.host_nonce for frame in frames if isinstance(frame.message, HelloAck)]
        return self._waiting[0] if self._waiting else None

    def draw(self) -> int:
        """For a session; 1 when no answer comes any more."""
        return self.upcoming() or 1

    def answered(self) -> None:
        """The device has repeated it."""
        self.upcoming()
        del self._waiting[:1]


class _Player:
    def __init__(self, header: LogHeader, records: Sequence[LogRecord]) -> None:
        self._records = records
        self._begun_s = records[0].time_s if records else header.monotonic_s
        self._now_s = self._begun_s
        self._heard_s = self._begun_s
        self.nonces = _Nonces(records)
        self._acknowledgements = FrameReader()
        self._session = HostSession(header.device, make_nonce=self.nonces.draw)
        self._rejected: Counter[Any] = Counter()
        self._lost = 0
        self._values: dict[str, IntEnum | IntFlag] = {}
        self.found = ReplaySummary(header)

    def play(self, on_progress: OnProgress) -> ReplaySummary:
        for number, record in enumerate(self._records):
            self._now_s = record.time_s
            self._take(record)
            if number % PROGRESS_RECORDS == 0:
                on_progress(number / len(self._records))
        session, found = self._session, self.found
        found.duration_s = self._now_s - self._begun_s
        found.state = session.state.value
        found.lost_frames = session.sequence.lost
        for fault, count in session.reader.rejected.items():
            found.dropped_frames[fault.value] += count
        for reason, count in (("another session", session.foreign_frames), ("repeated", session.sequence.repeated)):
            if count:
                found.dropped_frames[reason] += count
        on_progress(1.0)
        return found

    def _take(self, record: LogRecord) -> None:
        found = self.found
        match record.kind:
            case RecordKind.OPENED:
                self._tell("line opened", "")
                self._greet()
            case RecordKind.CLOSED:
                reason = record.data.decode(errors="replace")
                self._tell("line closed", reason, is_error=bool(reason))
                self._session.close()
            case RecordKind.DROPPED:
                found.missing_bytes += record.dropped_bytes
                self._tell("bytes missing", f"{record.dropped_bytes} bytes are not in the record", is_error=True)
            case RecordKind.SENT:
                found.sent_bytes += len(record.data)
            case RecordKind.RECEIVED:
                found.received_bytes += len(record.data)
                self._hear(record.data)

    def _greet(self) -> None:
        self._session.connect(self._now_s)
        self._session.take_output()

    def _hear(self, data: bytes) -> None:
        session = self._session
        if session.state is SessionState.CLOSED:
            self._greet()
        session.poll(self._now_s)
        session.take_output()
        before = session.state
        messages = session.feed(data, self._now_s)
        for frame in self._acknowledgements.feed(data):
            if isinstance(frame.message, HelloAck):
                self.nonces.answered()
        self._tell_drops()
        if session.state is not before:
            self._follow(session.state)
        for message in messages:
            self._note(message)

    def _follow(self, state: SessionState) -> None:
        session = self._session
        if session.is_open:
            self.found.sessions += 1
            self._heard_s = self._now_s
            info = session.info
            assert info is not None
            text = (
                f"{info.serial_number}, firmware {info.firmware_build}, protocol {info.protocol[0]}.{info.protocol[1]}"
            )
            read_only = state is SessionState.READ_ONLY
            self._tell("session read only" if read_only else "session open", text, is_error=read_only)
        elif state is SessionState.ENDED:
            reason = getattr(session.end_reason, "name", "unknown")
            self._tell("session ended", f"by the device: {reason}", is_error=True)
            self._greet()
        elif state is SessionState.WRONG_DEVICE:
            self._tell("wrong device", f"not a {self.found.header.device.name} answers", is_error=True)

    def _tell_drops(self) -> None:
        rejected = self._session.reader.rejected
        if rejected != self._rejected:
            for fault, count in (rejected - self._rejected).items():
                self._tell("bad frame", f"{count} x {fault.value}" if count > 1 else fault.value, is_error=True)
            self._rejected = Counter(rejected)
        lost = self._session.sequence.lost
        if lost > self._lost:
            self._tell("frames lost", f"{lost - self._lost} before this", is_error=True)
            self._lost = lost

    def _note(self, message: Message) -> None:
        found = self.found
        found.messages[message.NAME] += 1
        silence_s, self._heard_s = self._now_s - self._heard_s, self._now_s
        found.longest_silence_s = max(found.longest_silence_s, silence_s)
        if silence_s > SILENCE_S:
            self._tell("silence", f"{silence_s:.2f} s without a message; a driver opens the line again", is_error=True)
        if isinstance(message, TOLD_WHOLE):
            failed = isinstance(message, CommandEvent) and message.status in FAILED
            self._tell(message.NAME, fields_in_words(message), is_error=failed)
        elif message.NAME.endswith("_STATE"):
            self._note_states(message)

    def _note_states(self, message: Message) -> None:
        for described in message.FIELDS:
            value, name = getattr(message, described.name), described.name
            if not isinstance(value, IntEnum | IntFlag) or name == "last_command_status":
                continue
            before = self._values.get(name)
            if value != before:
                self._values[name] = value
                self.found.states[name] = value_in_words(value)
                self._tell("state", f"{name} {_change_in_words(before, value)}")

    def _tell(self, kind: str, text: str, *, is_error: bool = False) -> None:
        self.found.events.append(ReplayEvent(self._now_s - self._begun_s, kind, text, is_error))


def _change_in_words(before: IntEnum | IntFlag | None, value: IntEnum | IntFlag) -> str:
    if before is None:
        return value_in_words(value)
    if isinstance(before, IntFlag) and isinstance(value, IntFlag):
        kind = type(value)
        changed = [flag for flag in kind if (flag in value) is not (flag in kind(before))]
        return " ".join(f"{'+' if flag in value else '-'}{flag.name}" for flag in changed)
    return f"{value_in_words(before)} -> {value_in_words(value)}"
