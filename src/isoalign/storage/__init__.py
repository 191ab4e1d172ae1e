"""The room's database: instance index, outbox and audit journal, with migrations.

:class:`~isoalign.storage.database.Database` opens it (SQLite with write-ahead log by default, any SQLAlchemy URL
otherwise). A decision and what must be sent because of it are written in one transaction::

    with Database(folder / "isoalign.db", clock) as database, database.transaction() as work:
        work.record("correction approved", user="physicist", facts={"correction": identifier})
        work.enqueue("TMS", [(uid, path)])

``database.instances`` and ``database.outbox`` have the shape of the ports that the DICOM room states; neither room
imports the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__all__ = ["Audit", "Database", "JournalEntry", "OutboxEvent", "OutboxState", "QueuedObject", "Work"]

if TYPE_CHECKING:
    from isoalign.storage.database import Database
    from isoalign.storage.journal import Audit, JournalEntry
    from isoalign.storage.outbox import OutboxEvent, OutboxState, QueuedObject
    from isoalign.storage.work import Work

_HOMES = {
    "JournalEntry": "journal",
    "OutboxEvent": "outbox",
    "OutboxState": "outbox",
    "QueuedObject": "outbox",
    "Audit": "journal",
    "Database": "database",
    "Work": "work",
}


def __getattr__(name: str) -> Any:
    # SQLAlchemy and Alembic are loaded on first use
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(f"isoalign.storage.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
