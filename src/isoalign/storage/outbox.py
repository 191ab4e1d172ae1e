"""The outbox: objects that have to reach a peer, kept across restarts.

States: queued -> sending -> sent, or back to queued for another try, or failed. ``recover`` puts entries that were
being sent when the process died back into the queue; sending an object twice does no harm, its UID is the same. Each
answer, and each time that none came, is kept in the history of the entry.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from pathlib import Path

from sqlalchemy import Connection, Engine, Row, insert, select, update

from isoalign.storage import journal
from isoalign.storage.engine import writing
from isoalign.storage.errors import UnknownEntry
from isoalign.storage.tables import OUTBOX, OUTBOX_HISTORY
from isoalign.storage.times import from_text, to_text


class OutboxState(Enum):
    """Where an entry stands."""

    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class QueuedObject:
    """One entry of the outbox."""

    entry_id: int
    peer: str
    sop_instance_uid: str
    file_name: str
    state: OutboxState
    attempts: int
    next_try_at: datetime
    peer_status: int | None
    peer_comment: str


@dataclass(frozen=True, slots=True)
class OutboxEvent:
    """What came of one attempt: the state after it, and the peer's status and words (None: no answer)."""

    at: datetime
    state: OutboxState
    peer_status: int | None
    peer_comment: str


def enqueue(connection: Connection, peer: str, files: Sequence[tuple[str, Path]], *, at: datetime) -> None:
    """Queue DICOM files, as (SOP Instance UID, file), in the caller's transaction.

    Queueing the same instance for the same peer again changes nothing.
    """
    known = set(connection.execute(select(OUTBOX.c.sop_instance_uid).where(OUTBOX.c.peer == peer)).scalars())
    rows = [
        {
            "peer": peer,
            "sop_instance_uid": uid,
            "file_name": str(path),
            "state": OutboxState.QUEUED.value,
            "attempts": 0,
            "queued_at": to_text(at),
            "next_try_at": to_text(at),
            "peer_comment": "",
        }
        for uid, path in files
        if uid not in known
    ]
    if rows:
        connection.execute(insert(OUTBOX), rows)


class OutboxTable:
    """The outbox of one database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def recover(self) -> int:
        """Queue again what was being sent when the last process ended; returns how many."""
        with writing(self._engine) as connection:
            return connection.execute(
                update(OUTBOX).where(OUTBOX.c.state == OutboxState.SENDING.value).values(state=OutboxState.QUEUED.value)
            ).rowcount

    def enqueue(
        self, peer: str, files: Sequence[tuple[str, Path]], *, at: datetime, audit: str, user: str = ""
    ) -> None:
        """Queue DICOM files for a peer, together with the journal entry ``audit``, in one transaction."""
        with writing(self._engine) as connection:
            facts = {"peer": peer, "instances": [uid for uid, _ in files]}
            journal.append(connection, audit, user=user, facts=facts, at=at)
            enqueue(connection, peer, files, at=at)

    def claim_due(self, peer: str, now: datetime, limit: int) -> Sequence[QueuedObject]:
        """Mark due entries for ``peer`` as being sent and return them, oldest first."""
        with writing(self._engine) as connection:
            rows = connection.execute(
                select(OUTBOX)
                .where(
                    OUTBOX.c.peer == peer,
                    OUTBOX.c.state == OutboxState.QUEUED.value,
                    OUTBOX.c.next_try_at <= to_text(now),
                )
                .order_by(OUTBOX.c.entry_id)
                .limit(limit)
            ).all()
            keys = [row.entry_id for row in rows]
            connection.execute(
                update(OUTBOX)
                .where(OUTBOX.c.entry_id.in_(keys))
                .values(state=OutboxState.SENDING.value, attempts=OUTBOX.c.attempts + 1)
            )
            claimed = connection.execute(
                select(OUTBOX).where(OUTBOX.c.entry_id.in_(keys)).order_by(OUTBOX.c.entry_id)
            ).all()
        return tuple(_entry(row) for row in claimed)

    def mark_sent(self, entry_id: int, *, status: int, comment: str, at: datetime) -> None:
        """The peer has it."""
        self._change(entry_id, OutboxState.SENT, status, comment, at, settled_at=to_text(at))

    def mark_retry(
        self, entry_id: int, *, status: int | None, comment: str, at: datetime, next_try_at: datetime
    ) -> None:
        """Not yet; try again at ``next_try_at``."""
        self._change(entry_id, OutboxState.QUEUED, status, comment, at, next_try_at=to_text(next_try_at))

    def mark_failed(self, entry_id: int, *, status: int | None, comment: str, at: datetime) -> None:
        """Given up; a person has to look."""
        self._change(entry_id, OutboxState.FAILED, status, comment, at, settled_at=to_text(at))

    def retry_failed(self, at: datetime) -> int:
        """Queue everything that was given up once more, with fresh attempts; returns how many."""
        with writing(self._engine) as connection:
            return connection.execute(
                update(OUTBOX)
                .where(OUTBOX.c.state == OutboxState.FAILED.value)
                .values(state=OutboxState.QUEUED.value, attempts=0, next_try_at=to_text(at), settled_at=None)
            ).rowcount

    def entries(self, state: OutboxState | None = None) -> tuple[QueuedObject, ...]:
        """All entries, or those in one state, oldest first."""
        query = select(OUTBOX).order_by(OUTBOX.c.entry_id)
        if state is not None:
            query = query.where(OUTBOX.c.state == state.value)
        with self._engine.connect() as connection:
            return tuple(_entry(row) for row in connection.execute(query).all())

    def history(self, entry_id: int) -> tuple[OutboxEvent, ...]:
        """What happened to an entry, oldest first."""
        query = select(OUTBOX_HISTORY).where(OUTBOX_HISTORY.c.entry_id == entry_id).order_by(OUTBOX_HISTORY.c.sequence)
        with self._engine.connect() as connection:
            return tuple(
                OutboxEvent(from_text(row.at), OutboxState(row.state), row.peer_status, row.peer_comment)
                for row in connection.execute(query)
            )

    def _change(
        self, entry_id: int, state: OutboxState, status: int | None, comment: str, at: datetime, **values: str
    ) -> None:
        with writing(self._engine) as connection:
            changed = connection.execute(
                update(OUTBOX)
                .where(OUTBOX.c.entry_id == entry_id, OUTBOX.c.state == OutboxState.SENDING.value)
                .values(state=state.value, peer_status=status, peer_comment=comment, **values)
            ).rowcount
            if changed != 1:
                raise UnknownEntry(f"outbox entry {entry_id} is not being sent", entry_id=entry_id)
            event = {"entry_id": entry_id, "at": to_text(at), "state": state.value}
            connection.execute(insert(OUTBOX_HISTORY).values(event | {"peer_status": status, "peer_comment": comment}))


def _entry(row: Row[tuple[object, ...]]) -> QueuedObject:
    return QueuedObject(
        entry_id=row.entry_id,
        peer=row.peer,
        sop_instance_uid=row.sop_instance_uid,
        file_name=row.file_name,
        state=OutboxState(row.state),
        attempts=row.attempts,
        next_try_at=from_text(row.next_try_at),
        peer_status=row.peer_status,
        peer_comment=row.peer_comment,
    )
