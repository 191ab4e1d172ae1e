"""One device at the other end of one line: opens it, keeps its session, and tells what arrives.

One task reads; everything is written by the same event loop through one place, so there is a single writer. A line
that breaks is opened again, but nothing is ever sent again: what was under way has failed, and whoever asked for it
hears so.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from enum import Enum
from typing import TypeVar

import structlog

from isoalign.clock import Clock
from isoalign.devices.errors import DeviceRefused, DictionaryMismatch, LinkLost
from isoalign.devices.link_log import RecordKind, Tap
from isoalign.devices.pulse import Pulse
from isoalign.devices.transport import Transport
from isoalign.protocol.commands import CommandProgress
from isoalign.protocol.host_session import HostSession
from isoalign.protocol.layout import Message
from isoalign.protocol.messages import CommandStatus, DeviceKind, SessionEnd, StopReason
from isoalign.protocol.session import SessionState

_log = structlog.get_logger("isoalign.devices.link")

TICK_S = 0.010
REOPEN_FIRST_S = 0.1
REOPEN_LAST_S = 2.0
LISTENING_STEP_S = 0.050
MISSING_TOLD_PERIOD_S = 1.0
"""A tick counts as at most this much listening; what it took longer was a pause of this computer, not silence."""

M = TypeVar("M", bound=Message)


class LinkState(Enum):
    """Where a link stands."""

    CLOSED = "closed"
    OPENING = "opening the line"
    GREETING = "waiting for the device's answer"
    UP = "up"
    READ_ONLY = "read only"


class SessionLoss(Enum):
    """How a session that was up has ended."""

    STALLED = "the device missed our heartbeat"
    BROKEN = "the line broke, fell silent, or the device began anew"


class DeviceLink:
    """The link to one device.

    Parameters
    ----------
    name : str
        The device, for messages and logs.
    kind : DeviceKind
        What must answer.
    open_line : callable
        Opens the line anew.
    clock : Clock
    silence_limit_s : float
        A line without any frame for this long is closed and opened again. Only the time counts in which we listened.
    on_message : callable, optional
        Called with every message of the session and its arrival (monotonic seconds), at once and in order.
    on_change : callable, optional
        Called when the state has changed.
    must_stop : callable, optional
        Whether a message tells of a fault in motion. STOP leaves then before anything that came with the message is
        handed on and judged.
    session : HostSession, optional
        Of this kind; for a replay, which must say what was said when it was recorded.

    Attributes
    ----------
    tap : Tap or None
        Is told every byte, both ways.
    """

    def __init__(
        self,
        name: str,
        kind: DeviceKind,
        open_line: Callable[[], Awaitable[Transport]],
        clock: Clock,
        *,
        silence_limit_s: float = 1.0,
        on_message: Callable[[Message, float], None] | None = None,
        on_change: Callable[[], None] | None = None,
        must_stop: Callable[[Message], bool] | None = None,
        session: HostSession | None = None,
    ) -> None:
        self.name = name
        self.session = session or HostSession(kind)
        self.tap: Tap | None = None
        self.state = LinkState.CLOSED
        self.generation = 0
        self.last_loss: SessionLoss | None = None
        self.last_error: LinkLost | None = None
        self.changed = Pulse()
        self._open_line = open_line
        self._clock = clock
        self._silence_limit_s = silence_limit_s
        self._on_message = on_message
        self._on_change = on_change
        self._must_stop = must_stop
        self._transport: Transport | None = None
        self._task: asyncio.Task[None] | None = None
        self._ticking: asyncio.TimerHandle | None = None
        self._ticked_s = 0.0
        self._silent_s = 0.0
        self._missing_told = 0
        self._told_s = 0.0

    @property
    def is_up(self) -> bool:
        """Whether commands can be sent."""
        return self.state is LinkState.UP

    @property
    def is_heard(self) -> bool:
        """Whether the device's state flows, with or without leave to command it."""
        return self.state in {LinkState.UP, LinkState.READ_ONLY}

    def start(self) -> None:
        """Begin to open the line; returns at once."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run(), name=f"link-{self.name}")

    async def close(self) -> None:
        """Close the line and end the link's task."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None
        self._set_state(LinkState.CLOSED)

    async def wait_up(self, timeout_s: float) -> None:
        """Wait until commands can be sent.

        Raises
        ------
        LinkLost, DictionaryMismatch
        """
        await self.changed.until(lambda: self.is_heard, timeout_s)
        if self.state is LinkState.READ_ONLY:
            raise DictionaryMismatch(f"{self.name} speaks another version of the protocol", device=self.name)
        if not self.is_up:
            cause = f": {self.last_error.message}" if self.last_error else ""
            raise LinkLost(f"{self.name} does not answer{cause}", device=self.name)

    def send(self, message: Message) -> None:
        """Send a message that is not a command now; raises LinkLost or SessionNotOpen."""
        now_s = self._clock.monotonic_s()
        self.session.send(message, now_s)
        self._flush()

    def stop(self, reason: StopReason) -> None:
        """Send STOP now, several times, whatever the state of the session. A broken line is not an error here."""
        self.session.stop(reason, self._clock.monotonic_s())
        with contextlib.suppress(LinkLost):
            self._flush()

    def issue(self, command: Message, *, valid_for_s: float = 0.5) -> int:
        """Send a command now and return its id, for :meth:`progress`; raises LinkLost."""
        if not self.is_up:
            raise LinkLost(f"{self.name} is not connected ({self.state.value})", device=self.name)
        number = self.session.issue(command, self._clock.monotonic_s(), valid_for_s=valid_for_s)
        self._flush()
        return number

    def progress(self, command_id: int) -> CommandProgress:
        """How far a command of this session has come.

        Raises
        ------
        LinkLost
            When it was not answered, or the session that it belonged to is over.
        """
        known = self.session.progress(command_id)
        if known is None or not self.is_up:
            raise LinkLost(f"the link to {self.name} was lost while a command was under way", device=self.name)
        if known.unanswered:
            raise LinkLost(f"{self.name} did not answer {known.name}", device=self.name, command=known.name)
        return known

    async def command(
        self, command: Message, *, until: frozenset[CommandStatus], timeout_s: float, valid_for_s: float = 0.5
    ) -> CommandProgress:
        """Send a command and wait until it has come as far as one of ``until``.

        Raises
        ------
        DeviceRefused
            When it was rejected or aborted and that is not among ``until``.
        LinkLost
            When the link is lost or the device does not answer.
        TimeoutError
            When it has not come that far within ``timeout_s``.
        """
        generation = self.generation
        number = self.issue(command, valid_for_s=valid_for_s)
        async with asyncio.timeout(timeout_s):
            while True:
                if self.generation != generation:
                    raise LinkLost(f"{self.name} began a new session during {command.NAME}", device=self.name)
                progress = self.progress(number)
                if progress.status in until:
                    return progress
                if progress.is_over:
                    raise DeviceRefused(
                        f"{self.name}: {progress.name} {progress.status.name.lower()}: {progress.reason.name}",
                        device=self.name,
                        command=progress.name,
                        reason=progress.reason.name,
                        detail=progress.detail,
                    )
                await self.changed.wait()

    async def _run(self) -> None:
        pause_s = REOPEN_FIRST_S
        try:
            while True:
                self._set_state(LinkState.OPENING)
                try:
                    self._transport = await self._open_line()
                    self._note(RecordKind.OPENED)
                    pause_s = REOPEN_FIRST_S
                    await self._converse(self._transport)
                except LinkLost as error:
                    self._lose(error)
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, REOPEN_LAST_S)
        finally:
            self._drop_line()

    async def _converse(self, transport: Transport) -> None:
        self._ticked_s = self._clock.monotonic_s()
        self._greet()
        self._tick()
        await transport.deliver(self._arrived)

    def _arrived(self, data: bytes) -> None:
        """Bytes have arrived: everything that follows from them happens now, not in a later turn of the loop."""
        transport = self._transport
        try:
            self._take(data)
        except LinkLost as error:
            if transport is not None:
                transport.fail(error)
            self._lose(error)

    def _take(self, data: bytes) -> None:
        now_s = self._clock.monotonic_s()
        self._note(RecordKind.RECEIVED, data)
        messages = self.session.feed(data, now_s)
        if self._must_stop is not None and any(map(self._must_stop, messages)):
            self.stop(StopReason.INTERLOCK)
        for message in messages:
            self._follow_session()
            if self._on_message:
                self._on_message(message, now_s)
        self._follow_session()
        self._flush()
        self.changed.fire()

    def _greet(self) -> None:
        self._silent_s = 0.0
        self.session.connect(self._clock.monotonic_s())
        self._set_state(LinkState.GREETING)
        self._flush()

    def _follow_session(self) -> None:
        state = self.session.state
        if state is SessionState.OPEN:
            self._set_state(LinkState.UP)
        elif state is SessionState.READ_ONLY:
            self._set_state(LinkState.READ_ONLY)
        elif state is SessionState.WRONG_DEVICE:
            raise LinkLost(f"another kind of device answers as {self.name}", device=self.name)
        elif state is SessionState.ENDED:
            stalled = self.session.end_reason is SessionEnd.HEARTBEAT_EXPIRED
            self.last_loss = SessionLoss.STALLED if stalled else SessionLoss.BROKEN
            _log.warning("link.session-ended", device=self.name, reason=getattr(self.session.end_reason, "name", None))
            self._greet()

    def _tick(self) -> None:
        """Every 10 ms while the line is open: what is due in the session, and whether the device still talks."""
        transport = self._transport
        if transport is None:
            return
        self._ticking = asyncio.get_running_loop().call_later(TICK_S, self._tick)
        now_s = self._clock.monotonic_s()
        self.session.poll(now_s)
        with contextlib.suppress(LinkLost):
            self._flush()
        self._count_silence(now_s)
        self._tell_missing(now_s)
        if self._silent_s > self._silence_limit_s:
            self.last_error = LinkLost(f"{self.name} is silent for {self._silent_s:.1f} s", device=self.name)
            transport.close()
        self.changed.fire()

    def _count_silence(self, now_s: float) -> None:
        step_s, self._ticked_s = now_s - self._ticked_s, now_s
        if self.session.heard_age_s(now_s) <= step_s:
            self._silent_s = 0.0
        else:
            self._silent_s += min(step_s, LISTENING_STEP_S)

    def _tell_missing(self, now_s: float) -> None:
        """Frames that were lost on the line, by the gaps in their numbers; at most once a second."""
        missing = self.session.sequence.lost - self._missing_told
        if missing and now_s - self._told_s >= MISSING_TOLD_PERIOD_S:
            self._missing_told, self._told_s = self._missing_told + missing, now_s
            _log.warning("link.frames-missing", device=self.name, frames=missing)

    def _flush(self) -> None:
        data = self.session.take_output()
        if data and self._transport is not None:
            self._transport.send(data)
            self._note(RecordKind.SENT, data)

    def _note(self, kind: RecordKind, data: bytes = b"") -> None:
        if self.tap is not None:
            self.tap.note(kind, data)

    def _lose(self, error: LinkLost) -> None:
        if self.is_heard:
            self.last_loss = SessionLoss.BROKEN
            _log.warning("link.lost", device=self.name, error=error.message)
        self.last_error = error
        self._drop_line()

    def _drop_line(self) -> None:
        if self._ticking is not None:
            self._ticking.cancel()
            self._ticking = None
        if self._transport is not None:
            reason = self._transport.lost
            self._note(RecordKind.CLOSED, b"" if reason is None else reason.message.encode())
            self._transport.close()
            self._transport = None
        self.session.close()
        self._set_state(LinkState.OPENING)

    def _set_state(self, state: LinkState) -> None:
        if state is self.state:
            return
        if state in {LinkState.UP, LinkState.READ_ONLY}:
            self.generation += 1
            _log.info("link.up", device=self.name, read_only=state is LinkState.READ_ONLY)
        self.state = state
        self.changed.fire()
        if self._on_change:
            self._on_change()
