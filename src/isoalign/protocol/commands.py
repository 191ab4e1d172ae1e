"""Commands on both ends: numbered, valid for a short time, carried out at most once, repeated when unanswered."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final, TypeVar

from isoalign.protocol.layout import Message
from isoalign.protocol.messages import (
    COMMAND_RETRIES,
    COMMAND_RETRY_US,
    COMMAND_VALIDITY_MAX_US,
    CommandEvent,
    CommandReason,
    CommandStatus,
)

COMMANDS_REMEMBERED: Final = 32
ENDED: Final = frozenset({CommandStatus.REJECTED, CommandStatus.DONE, CommandStatus.ABORTED})
"""States that a command does not leave any more."""


@dataclass(frozen=True, slots=True)
class CommandProgress:
    """How far a command has come, as the host knows it.

    ``unanswered`` means that the device has not answered in spite of the repetitions: the link has failed, and
    whether the command was carried out is not known.
    """

    command_id: int
    name: str
    status: CommandStatus = CommandStatus.NONE
    reason: CommandReason = CommandReason.NONE
    detail: int = 0
    unanswered: bool = False

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come."""
        return self.unanswered or self.status in ENDED


@dataclass(slots=True)
class _Sent:
    message: Message
    sent_s: float
    repetitions: int = 0


class HostCommands:
    """The host's commands of one session."""

    def __init__(self) -> None:
        self._next_id = 1
        self._unanswered: dict[int, _Sent] = {}
        self._progress: OrderedDict[int, CommandProgress] = OrderedDict()

    def issue(self, command: _M, valid_until_us: int, now_s: float) -> _M:
        """``command`` with its id and its expiry filled in, to be sent; its own two fields are ignored."""
        command_id = self._next_id
        self._next_id += 1
        numbered = dataclasses.replace(command, command_id=command_id, valid_until_us=valid_until_us)  # type: ignore[type-var]
        self._unanswered[command_id] = _Sent(numbered, now_s)
        self._remember(CommandProgress(command_id, command.NAME))
        return numbered

    def on_event(self, event: CommandEvent) -> CommandProgress | None:
        """Take a device's event; None when it is about no command of this session."""
        known = self._progress.get(event.command_id)
        if known is None:
            return None
        self._unanswered.pop(event.command_id, None)
        if known.status in ENDED:
            return known
        progress = CommandProgress(event.command_id, known.name, event.status, event.reason, event.detail)
        self._remember(progress)
        return progress

    def due(self, now_s: float) -> list[Message]:
        """Commands to be sent again now; those without an answer after all repetitions are marked."""
        again: list[Message] = []
        for command_id, sent in list(self._unanswered.items()):
            if now_s - sent.sent_s < COMMAND_RETRY_US * 1e-6:
                continue
            if sent.repetitions >= COMMAND_RETRIES:
                del self._unanswered[command_id]
                self._remember(CommandProgress(command_id, sent.message.NAME, unanswered=True))
                continue
            sent.repetitions += 1
            sent.sent_s = now_s
            again.append(sent.message)
        return again

    def abandon(self) -> None:
        """Give up every command that has not been answered: it is not repeated and counts as aborted by a stop."""
        for command_id, sent in self._unanswered.items():
            self._remember(CommandProgress(command_id, sent.message.NAME, CommandStatus.ABORTED, CommandReason.STOPPED))
        self._unanswered.clear()

    def progress(self, command_id: int) -> CommandProgress | None:
        """What is known of a command; None when it is not one of the latest."""
        return self._progress.get(command_id)

    def _remember(self, progress: CommandProgress) -> None:
        self._progress[progress.command_id] = progress
        while len(self._progress) > COMMANDS_REMEMBERED:
            self._progress.popitem(last=False)


_M = TypeVar("_M", bound=Message)


class DeviceCommands:
    """The device's memory of one session's commands: decides which to carry out, and what to answer."""

    def __init__(self) -> None:
        self._events: OrderedDict[int, CommandEvent | None] = OrderedDict()
        self.last_id = 0
        self.last_status = CommandStatus.NONE

    def admit(
        self, command_id: int, valid_until_us: int, *, read_only: bool, device_time_us: int
    ) -> tuple[bool, CommandEvent | None]:
        """Whether to carry a command out, and the event to send at once, if any.

        A command seen before is not carried out again; its latest event is repeated.
        """
        if command_id in self._events:
            return False, self._events[command_id]
        if command_id <= self.last_id:
            return False, self._refusal(command_id, CommandReason.STALE_COMMAND, device_time_us)
        self.last_id = command_id
        self.last_status = CommandStatus.NONE
        self._events[command_id] = None
        while len(self._events) > COMMANDS_REMEMBERED:
            self._events.popitem(last=False)
        if read_only:
            reason = CommandReason.READ_ONLY_SESSION
        elif device_time_us > valid_until_us:
            reason = CommandReason.EXPIRED
        elif valid_until_us - device_time_us > COMMAND_VALIDITY_MAX_US:
            reason = CommandReason.VALIDITY_TOO_LONG
        else:
            return True, None
        return False, self.report(command_id, CommandStatus.REJECTED, reason, 0, device_time_us)

    def report(
        self, command_id: int, status: CommandStatus, reason: CommandReason, detail: int, device_time_us: int
    ) -> CommandEvent | None:
        """Remember and return the event that says how far a command has come.

        None for a command of an earlier session, which the host of this one must not hear about.
        """
        if command_id not in self._events:
            return None
        event = CommandEvent(
            command_id=command_id, status=status, reason=reason, detail=detail, device_time_us=device_time_us
        )
        self._events[command_id] = event
        if command_id == self.last_id:
            self.last_status = status
        return event

    @staticmethod
    def _refusal(command_id: int, reason: CommandReason, device_time_us: int) -> CommandEvent:
        return CommandEvent(
            command_id=command_id,
            status=CommandStatus.REJECTED,
            reason=reason,
            detail=0,
            device_time_us=device_time_us,
        )
