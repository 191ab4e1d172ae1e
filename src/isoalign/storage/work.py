"""One transaction: a decision, its journal entry and what must be sent because of it, all or nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from isoalign.clock import Clock
from isoalign.storage import journal, outbox
from isoalign.storage.journal import JournalEntry


class Work:
    """What can be done inside :meth:`~isoalign.storage.database.Database.transaction`."""

    def __init__(self, connection: Connection, clock: Clock) -> None:
        self._connection = connection
        self._clock = clock

    def record(self, event: str, *, user: str = "", facts: Mapping[str, Any] | None = None) -> JournalEntry:
        """Append to the audit journal. Facts are JSON types and never a patient's name."""
        return journal.append(self._connection, event, user=user, facts=facts or {}, at=self._clock.utc())

    def enqueue(self, peer: str, files: Sequence[tuple[str, Path]]) -> None:
        """Queue DICOM files, as (SOP Instance UID, file), for a peer."""
        outbox.enqueue(self._connection, peer, files, at=self._clock.utc())
