"""The audit journal: append-only, each entry sealed by a hash over itself and the one before.

The hash chain shows any later change, removal or insertion; the database refuses UPDATE and DELETE besides. Entries
hold no names of patients: facts are identifiers, numbers and UIDs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, insert, select

from isoalign.clock import Clock
from isoalign.storage.engine import writing
from isoalign.storage.errors import JournalBroken
from isoalign.storage.tables import JOURNAL
from isoalign.storage.times import from_text, to_text

GENESIS = "0" * 64
"""What stands in the place of the hash before the first entry."""


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One sealed entry."""

    sequence: int
    at: datetime
    event: str
    user: str
    facts: dict[str, Any]
    hash: str


class Audit:
    """The audit journal of one database, each call a transaction of its own."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def append(self, event: str, facts: Mapping[str, Any] | None = None, *, user: str = "") -> JournalEntry:
        """Seal and write an entry. Facts are JSON types and never a patient's name."""
        with writing(self._engine) as connection:
            return append(connection, event, user=user, facts=facts or {}, at=self._clock.utc())

    def entries(self, *, first: int = 1) -> tuple[JournalEntry, ...]:
        """Entries from ``first`` on, in order."""
        with self._engine.connect() as connection:
            return read(connection, first=first)

    def verify(self) -> int:
        """Check the whole hash chain; returns the number of entries.

        Raises
        ------
        JournalBroken
        """
        with self._engine.connect() as connection:
            return verify(connection)


def append(connection: Connection, event: str, *, user: str, facts: Mapping[str, Any], at: datetime) -> JournalEntry:
    """Seal and write an entry; the connection's transaction must exclude other writers."""
    last = connection.execute(
        select(JOURNAL.c.sequence, JOURNAL.c.hash).order_by(JOURNAL.c.sequence.desc()).limit(1)
    ).first()
    sequence, previous_hash = (1, GENESIS) if last is None else (last.sequence + 1, last.hash)
    row = {
        "sequence": sequence,
        "at": to_text(at),
        "event": event,
        "user": user,
        "facts": json.dumps(dict(facts), sort_keys=True, ensure_ascii=True, separators=(",", ":")),
    }
    seal = _seal(previous_hash, row)
    connection.execute(insert(JOURNAL).values(**row, previous_hash=previous_hash, hash=seal))
    return JournalEntry(sequence, at, event, user, dict(facts), seal)


def read(connection: Connection, *, first: int = 1) -> tuple[JournalEntry, ...]:
    """Entries from ``first`` on, in order."""
    rows = connection.execute(select(JOURNAL).where(JOURNAL.c.sequence >= first).order_by(JOURNAL.c.sequence))
    return tuple(
        JournalEntry(row.sequence, from_text(row.at), row.event, row.user, json.loads(row.facts), row.hash)
        for row in rows
    )


def verify(connection: Connection) -> int:
    """Check the whole chain; returns the number of entries.

    Raises
    ------
    JournalBroken
        Names the first entry that does not fit.
    """
    previous_hash, expected, count = GENESIS, 1, 0
    for found in connection.execute(select(JOURNAL).order_by(JOURNAL.c.sequence)).mappings():
        row = {str(column): value for column, value in found.items()}
        fits = (
            row["sequence"] == expected
            and row["previous_hash"] == previous_hash
            and row["hash"] == _seal(previous_hash, row)
        )
        if not fits:
            raise JournalBroken(f"the audit journal does not fit at entry {expected}", sequence=expected)
        previous_hash, expected, count = row["hash"], expected + 1, count + 1
    return count


def _seal(previous_hash: str, row: Mapping[str, Any]) -> str:
    sealed = json.dumps(
        [previous_hash, row["sequence"], row["at"], row["event"], row["user"], row["facts"]], separators=(",", ":")
    )
    return hashlib.sha256(sealed.encode("utf-8")).hexdigest()
