"""The device's end of one link, without input or output of its own; the mirror of the host's end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from isoalign.protocol.commands import DeviceCommands
from isoalign.protocol.framing import Frame, FrameReader, Header, encode
from isoalign.protocol.host_session import random_u32
from isoalign.protocol.layout import Message
from isoalign.protocol.messages import (
    CLIENT_EXPIRY_US,
    DICTIONARY_HASHES,
    PROTOCOL_MAJOR,
    PROTOCOL_MINOR,
    Capability,
    CommandReason,
    CommandStatus,
    DeviceKind,
    Heartbeat,
    Hello,
    HelloAck,
    SessionEnd,
    SessionEnded,
    SessionVerdict,
    TimeReply,
    TimeRequest,
)
from isoalign.protocol.session import SEQ_MODULUS, SequenceCheck
from isoalign.protocol.units import us_from_s
from isoalign.protocol.watchdog import CounterWatchdog

_ENDED_NOTICE_PERIOD_S = 0.1


@dataclass(frozen=True, slots=True)
class DeviceIdentity:
    """What a device says about itself. Version and hash are parameters so that tests can play an old firmware."""

    kind: DeviceKind
    capabilities: Capability
    serial_number: str
    heartbeat_expiry_us: int
    state_period_us: int
    firmware_build: str = "isoalign-sim"
    protocol_major: int = PROTOCOL_MAJOR
    dictionary_hash: int | None = None

    @property
    def own_dictionary_hash(self) -> int:
        """The hash that the device compares with the host's."""
        return DICTIONARY_HASHES[self.kind] if self.dictionary_hash is None else self.dictionary_hash


class DeviceSession:
    """One host as the device talks to it.

    Parameters
    ----------
    identity : DeviceIdentity
    boot_s : float
        The time, by the clock that later calls use, at which device time is 0.
    make_session : callable, optional
        Source of session numbers, for tests.

    Attributes
    ----------
    host : CounterWatchdog
        The host heartbeat.
    client : CounterWatchdog
        The counter of the host's client.
    commands : DeviceCommands
    """

    def __init__(
        self, identity: DeviceIdentity, *, boot_s: float = 0.0, make_session: Callable[[], int] = random_u32
    ) -> None:
        self.identity = identity
        self.host = CounterWatchdog(identity.heartbeat_expiry_us * 1e-6)
        self.client = CounterWatchdog(CLIENT_EXPIRY_US * 1e-6)
        self.commands = DeviceCommands()
        self.reader = FrameReader()
        self.sequence = SequenceCheck()
        self.session = 0
        self.verdict = SessionVerdict.FULL
        self.foreign_frames = 0
        self._boot_s = boot_s
        self._make_session = make_session
        self._output = bytearray()
        self._seq = 0
        self._notice_s = float("-inf")

    @property
    def is_open(self) -> bool:
        """Whether there is a session."""
        return self.session != 0

    def device_time_us(self, now_s: float) -> int:
        """Device time, µs since boot."""
        return max(0, us_from_s(now_s - self._boot_s))

    def feed(self, data: bytes, now_s: float) -> list[Message]:
        """Take received bytes; what the firmware must act on.

        HELLO is answered here and also returned, because a host that greets again has lost its past. Heartbeats and
        time requests are dealt with here. A command is returned only when it is to be carried out; the firmware then
        calls :meth:`report`. Messages that need no session (STOP, ABORT_EXPOSURE) are always returned.
        """
        actions: list[Message] = []
        for frame in self.reader.feed(data):
            message = frame.message
            if not message.FROM_HOST:
                self.foreign_frames += 1
            elif isinstance(message, Hello):
                self._greet(message, frame.header, now_s)
                actions.append(message)
            elif not message.NEEDS_SESSION or (self._admit(frame, now_s) and not self._digest(message, now_s)):
                actions.append(message)
        return actions

    def poll(self, now_s: float) -> SessionEnd | None:
        """End the session when the host heartbeat has expired; the reason when it has just ended."""
        if self.is_open and not self.host.is_fresh(now_s):
            self.end(SessionEnd.HEARTBEAT_EXPIRED, now_s)
            return SessionEnd.HEARTBEAT_EXPIRED
        return None

    def end(self, reason: SessionEnd, now_s: float) -> None:
        """End the session and say so."""
        if not self.is_open:
            return
        self._queue(SessionEnded(reason=reason), now_s)
        self._forget()

    def connection_lost(self) -> None:
        """The connection has gone: end the session silently and drop what was to be sent."""
        self._forget()
        self._output.clear()
        self.reader.reset()

    def send(self, message: Message, now_s: float) -> None:
        """Queue a message; without a session nothing is sent."""
        if self.is_open:
            self._queue(message, now_s)

    def report(
        self,
        command_id: int,
        status: CommandStatus,
        now_s: float,
        *,
        reason: CommandReason = CommandReason.NONE,
        detail: int = 0,
    ) -> None:
        """Queue and remember how far a command of this session has come; nothing for one of an earlier session."""
        event = self.commands.report(command_id, status, reason, detail, self.device_time_us(now_s))
        if event is not None:
            self.send(event, now_s)

    def take_output(self) -> bytes:
        """The queued bytes; they count as sent."""
        data = bytes(self._output)
        self._output.clear()
        return data

    def _greet(self, hello: Hello, header: Header, now_s: float) -> None:
        if hello.protocol_major != self.identity.protocol_major:
            self.verdict = SessionVerdict.READ_ONLY_VERSION
        elif hello.dictionary_hash != self.identity.own_dictionary_hash:
            self.verdict = SessionVerdict.READ_ONLY_DICTIONARY
        else:
            self.verdict = SessionVerdict.FULL
        self._output.clear()  # nothing of the old session may follow
        self.session = self._make_session()
        self.commands = DeviceCommands()
        self.sequence.restart(header.seq)
        self.host.arm(now_s)
        self.client.reset()
        self._queue(
            HelloAck(
                protocol_major=self.identity.protocol_major,
                protocol_minor=PROTOCOL_MINOR,
                dictionary_hash=self.identity.own_dictionary_hash,
                host_nonce=hello.host_nonce,
                verdict=self.verdict,
                device_kind=self.identity.kind,
                capabilities=self.identity.capabilities,
                device_time_us=self.device_time_us(now_s),
                heartbeat_expiry_us=self.identity.heartbeat_expiry_us,
                state_period_us=self.identity.state_period_us,
                firmware_build=self.identity.firmware_build,
                serial_number=self.identity.serial_number,
            ),
            now_s,
        )

    def _admit(self, frame: Frame, now_s: float) -> bool:
        if not self.is_open or frame.header.session != self.session:
            self.foreign_frames += 1
            if now_s - self._notice_s >= _ENDED_NOTICE_PERIOD_S:
                self._notice_s = now_s
                self._queue(SessionEnded(reason=SessionEnd.UNKNOWN_SESSION), now_s, session=frame.header.session)
            return False
        return self.sequence.accept(frame.header.seq)

    def _digest(self, message: Message, now_s: float) -> bool:
        """Deal with housekeeping; True when nothing is left for the firmware."""
        if isinstance(message, Heartbeat):
            self.host.feed(message.host_counter or 0, now_s)
            if message.client_counter is not None:
                self.client.feed(message.client_counter, now_s)
            return True
        if isinstance(message, TimeRequest):
            device_us = self.device_time_us(now_s)
            self._queue(
                TimeReply(host_send_us=message.host_send_us, device_receive_us=device_us, device_send_us=device_us),
                now_s,
            )
            return True
        command_id = getattr(message, "command_id", None)
        if not message.IS_COMMAND or not isinstance(command_id, int):
            return False
        valid_until_us = getattr(message, "valid_until_us", 0)
        admitted, event = self.commands.admit(
            command_id,
            valid_until_us,
            read_only=self.verdict is not SessionVerdict.FULL,
            device_time_us=self.device_time_us(now_s),
        )
        if event is not None:
            self._queue(event, now_s)
        return not admitted

    def _forget(self) -> None:
        self.session = 0
        self.host.reset()
        self.client.reset()

    def _queue(self, message: Message, now_s: float, *, session: int | None = None) -> None:
        self._seq = (self._seq + 1) % SEQ_MODULUS
        header = Header(
            self.session if session is None else session,
            self._seq,
            self.sequence.latest,
            self.device_time_us(now_s),
        )
        self._output += encode(message, header)
