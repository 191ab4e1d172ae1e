"""The host's end of one device link, without input or output of its own.

Bytes go in with :meth:`HostSession.feed`, time passes with :meth:`HostSession.poll`, bytes to be sent come out of
:meth:`HostSession.take_output`. The host heartbeat is sent by :meth:`~HostSession.poll`, so that it stops when the
loop that calls it stops.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import TypeVar

from isoalign.protocol.commands import CommandProgress, HostCommands
from isoalign.protocol.errors import SessionNotOpen, SessionReadOnly
from isoalign.protocol.framing import DELIMITER, Frame, FrameReader, Header, encode
from isoalign.protocol.layout import Message
from isoalign.protocol.messages import (
    DICTIONARY_HASHES,
    HEARTBEAT_PERIOD_US,
    HELLO_RETRY_US,
    PROTOCOL_MAJOR,
    PROTOCOL_MINOR,
    STOP_REPETITIONS,
    TIME_EXCHANGE_PERIOD_US,
    AxisInfo,
    CommandEvent,
    DeviceKind,
    GantryStop,
    GantryStopReason,
    Heartbeat,
    Hello,
    HelloAck,
    SessionEnd,
    SessionEnded,
    SessionVerdict,
    Stop,
    StopReason,
    TimeReply,
    TimeRequest,
)
from isoalign.protocol.session import SEQ_MODULUS, DeviceInfo, SequenceCheck, SessionState
from isoalign.protocol.time_offset import TimeOffset
from isoalign.protocol.units import us_from_s
from isoalign.protocol.watchdog import next_counter

_Command = TypeVar("_Command", bound=Message)
_TX_BUFFER_MAX_BYTES = 16384


def _stop_of(kind: DeviceKind, reason: StopReason) -> Message:
    """What stops a device of this kind, whatever the state of its session."""
    if kind is DeviceKind.GANTRY:
        return GantryStop(reason=GantryStopReason[reason.name])
    return Stop(reason=reason)


def random_u32() -> int:
    """A random number for nonces and sessions, never 0."""
    return secrets.randbelow(2**32 - 1) + 1


class HostSession:
    """One device as the host talks to it.

    Parameters
    ----------
    kind : DeviceKind
        The kind of device that is expected at the other end.
    make_nonce : callable, optional
        Source of nonces, for tests.

    Attributes
    ----------
    state : SessionState
    info : DeviceInfo or None
        The device's identity once it has answered.
    axes : dict[int, AxisInfo]
        The couch's axes as they arrive after HELLO_ACK.
    end_reason : SessionEnd or None
        Why the device ended the session.
    client_counter : int or None
        Counter of the client on whose behalf the couch moves; set it as it arrives, it goes out unchanged with
        every heartbeat.
    clock : TimeOffset
        Between host time and device time.
    foreign_frames : int
        Frames of another session that were dropped.
    """

    def __init__(self, kind: DeviceKind, *, make_nonce: Callable[[], int] = random_u32) -> None:
        self.kind = kind
        self.state = SessionState.CLOSED
        self.info: DeviceInfo | None = None
        self.axes: dict[int, AxisInfo] = {}
        self.end_reason: SessionEnd | None = None
        self.client_counter: int | None = None
        self.clock = TimeOffset()
        self.foreign_frames = 0
        self.sequence = SequenceCheck()
        self.reader = FrameReader()
        self._make_nonce = make_nonce
        self._commands = HostCommands()
        self._output = bytearray()
        self._session = 0
        self._seq = 0
        self._nonce = 0
        self._host_counter = 0
        self._hello_s = self._heartbeat_s = self._time_request_s = self._heard_s = float("-inf")

    @property
    def is_open(self) -> bool:
        """Whether state flows; commands need :attr:`can_command`."""
        return self.state in {SessionState.OPEN, SessionState.READ_ONLY}

    @property
    def can_command(self) -> bool:
        """Whether commands are taken."""
        return self.state is SessionState.OPEN

    def heard_age_s(self, now_s: float) -> float:
        """Seconds since the last valid frame of this session; infinite before the first."""
        return now_s - self._heard_s

    def connect(self, now_s: float) -> None:
        """Forget everything about an earlier session and say HELLO."""
        self.reader.reset()
        self.state = SessionState.GREETING
        self.info = self.end_reason = None
        self.axes = {}
        self.clock.clear()
        self.client_counter = None
        self._commands = HostCommands()
        self._output.clear()
        self._session = 0
        self._heard_s = self._heartbeat_s = self._time_request_s = float("-inf")
        self._say_hello(now_s)

    def close(self) -> None:
        """Forget the session; the device finds out by its watchdog."""
        self.state = SessionState.CLOSED
        self._session = 0
        self._output.clear()

    def feed(self, data: bytes, now_s: float) -> list[Message]:
        """Take received bytes; the session's valid messages in order (session housekeeping included)."""
        messages: list[Message] = []
        for frame in self.reader.feed(data):
            if not self._admit(frame):
                continue
            self._heard_s = now_s
            self._digest(frame, now_s)
            messages.append(frame.message)
        return messages

    def poll(self, now_s: float) -> None:
        """Queue what is due: HELLO again, heartbeat, time request, unanswered commands."""
        if self.state is SessionState.GREETING and now_s - self._hello_s >= HELLO_RETRY_US * 1e-6:
            self._say_hello(now_s)
        if not self.is_open:
            return
        if now_s - self._heartbeat_s >= HEARTBEAT_PERIOD_US * 1e-6:
            self.heartbeat(now_s)
        if now_s - self._time_request_s >= TIME_EXCHANGE_PERIOD_US * 1e-6:
            self._time_request_s = now_s
            self.send(TimeRequest(host_send_us=us_from_s(now_s)), now_s)
        for command in self._commands.due(now_s):
            self.send(command, now_s)

    def heartbeat(self, now_s: float) -> None:
        """Queue a heartbeat now; :meth:`poll` does it in time by itself."""
        self._heartbeat_s = now_s
        self._host_counter = next_counter(self._host_counter)
        self.send(Heartbeat(host_counter=self._host_counter, client_counter=self.client_counter), now_s)

    def send(self, message: Message, now_s: float) -> None:
        """Queue a message that is not a command with an id.

        Raises
        ------
        SessionNotOpen
            When the message needs a session and there is none.
        """
        if message.NEEDS_SESSION and not self.is_open:
            raise SessionNotOpen(f"{message.NAME} cannot be sent: the {self.kind.name} session is {self.state.value}")
        self._queue(message, now_s)

    def issue(self, command: _Command, now_s: float, *, valid_for_s: float = 0.5) -> int:
        """Queue a command and return its id; the command's own id and expiry are filled in here.

        Raises
        ------
        SessionNotOpen, SessionReadOnly
        """
        if self.state is SessionState.READ_ONLY:
            raise SessionReadOnly(f"{command.NAME} refused: the {self.kind.name} session is read only")
        if not self.is_open:
            raise SessionNotOpen(f"{command.NAME} cannot be sent: the {self.kind.name} session is {self.state.value}")
        valid_until_us = self.clock.device_us(us_from_s(now_s)) + us_from_s(valid_for_s)
        numbered = self._commands.issue(command, valid_until_us, now_s)
        self._queue(numbered, now_s)
        return int(numbered.command_id)  # type: ignore[attr-defined]

    def stop(self, reason: StopReason, now_s: float) -> None:
        """Queue what stops this kind of device, several times; needs no session.

        What waits to be sent is dropped and unanswered commands are given up, so that no CLEAR or MOVE from before
        the stop arrives after it.
        """
        self._output.clear()
        self._commands.abandon()
        for _ in range(STOP_REPETITIONS):
            self._queue(_stop_of(self.kind, reason), now_s)

    def progress(self, command_id: int) -> CommandProgress | None:
        """What is known of a command of this session; None when it is not one of the latest."""
        return self._commands.progress(command_id)

    def take_output(self) -> bytes:
        """The queued bytes; they count as sent."""
        data = bytes(self._output)
        self._output.clear()
        return data

    def _say_hello(self, now_s: float) -> None:
        self._hello_s = now_s
        self._nonce = self._make_nonce()  # a new one each time, so that an answer belongs to one HELLO
        self._output += DELIMITER
        self._queue(
            Hello(
                protocol_major=PROTOCOL_MAJOR,
                protocol_minor=PROTOCOL_MINOR,
                dictionary_hash=DICTIONARY_HASHES[self.kind],
                host_nonce=self._nonce,
            ),
            now_s,
        )

    def _queue(self, message: Message, now_s: float) -> None:
        self._seq = (self._seq + 1) % SEQ_MODULUS
        data = encode(message, Header(self._session, self._seq, self.sequence.latest, us_from_s(now_s)))
        if len(self._output) + len(data) > _TX_BUFFER_MAX_BYTES:
            self._output.clear()  # nobody takes the output: the link is dead, stale bytes are worse than none
        self._output += data

    def _admit(self, frame: Frame) -> bool:
        message, header = frame.message, frame.header
        if isinstance(message, HelloAck):
            return self.state is SessionState.GREETING and message.host_nonce == self._nonce
        if message.FROM_HOST or not self.is_open or header.session != self._session:
            self.foreign_frames += 1
            return False
        if isinstance(message, SessionEnded):  # a device that has restarted counts its frames from the beginning
            return True
        return self.sequence.accept(header.seq)

    def _digest(self, frame: Frame, now_s: float) -> None:
        message = frame.message
        if isinstance(message, HelloAck):
            self._open(message, frame.header, now_s)
        elif isinstance(message, SessionEnded):
            self.state = SessionState.ENDED
            self.end_reason = message.reason
        elif isinstance(message, AxisInfo):
            self.axes[message.axis] = message
        elif isinstance(message, TimeReply):
            self.clock.add(message.host_send_us, message.device_receive_us, message.device_send_us, us_from_s(now_s))
        elif isinstance(message, CommandEvent):
            self._commands.on_event(message)

    def _open(self, ack: HelloAck, header: Header, now_s: float) -> None:
        self._session = header.session
        self.sequence.restart(header.seq)
        self.info = DeviceInfo(
            kind=ack.device_kind,
            verdict=ack.verdict,
            capabilities=ack.capabilities,
            firmware_build=ack.firmware_build,
            serial_number=ack.serial_number,
            protocol=(ack.protocol_major, ack.protocol_minor),
            dictionary_hash=ack.dictionary_hash,
            heartbeat_expiry_s=ack.heartbeat_expiry_us * 1e-6,
            state_period_s=ack.state_period_us * 1e-6,
        )
        if ack.device_kind is not self.kind:
            self.state = SessionState.WRONG_DEVICE
            return
        same = ack.protocol_major == PROTOCOL_MAJOR and ack.dictionary_hash == DICTIONARY_HASHES[self.kind]
        full = same and ack.verdict is SessionVerdict.FULL
        self.state = SessionState.OPEN if full else SessionState.READ_ONLY
        self.clock.add(us_from_s(self._hello_s), ack.device_time_us, ack.device_time_us, us_from_s(now_s))
        self.heartbeat(now_s)
        self._time_request_s = now_s
        self.send(TimeRequest(host_send_us=us_from_s(now_s)), now_s)
