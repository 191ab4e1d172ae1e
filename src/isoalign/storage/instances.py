"""The index of DICOM objects on disk.

It can be made again from the folder, so its commits need not wait for the disk as those of the outbox do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from sqlalchemy import Connection, Engine, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from isoalign.storage.engine import writing
from isoalign.storage.tables import INSTANCES

COLUMN_NAMES = tuple(INSTANCES.c.keys())
ADD = {
    "sqlite": sqlite.insert(INSTANCES).on_conflict_do_nothing(),
    "postgresql": postgresql.insert(INSTANCES).on_conflict_do_nothing(),
}
"""For each kind of database: add rows whose key is new."""


class IndexedFile(Protocol):
    """What is remembered of one file; the names are those of the table's columns."""

    @property
    def sop_instance_uid(self) -> str:
        """SOP Instance UID."""
        ...

    @property
    def sop_class_uid(self) -> str:
        """SOP Class UID."""
        ...

    @property
    def study_instance_uid(self) -> str:
        """Study Instance UID."""
        ...

    @property
    def series_instance_uid(self) -> str:
        """Series Instance UID."""
        ...

    @property
    def file_name(self) -> str:
        """Name in the folder."""
        ...

    @property
    def sha256(self) -> str:
        """Digest of the file."""
        ...

    @property
    def size_bytes(self) -> int:
        """Size of the file."""
        ...


class Instances:
    """Which instances are on disk, where, and with which digest."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add_instances(self, entries: Sequence[IndexedFile]) -> None:
        """Remember instances, in one transaction; adding the same one again changes nothing."""
        with writing(self._engine) as connection:
            _add(connection, entries)

    def instance_uids(self) -> set[str]:
        """All that are remembered."""
        with self._engine.connect() as connection:
            return set(connection.execute(select(INSTANCES.c.sop_instance_uid)).scalars())

    def reconcile(self, *, add: Sequence[IndexedFile], forget: Sequence[str]) -> None:
        """Bring the index in line with the folder, in one transaction."""
        if not (add or forget):
            return
        with writing(self._engine) as connection:
            _add(connection, add)
            for uid in forget:
                connection.execute(delete(INSTANCES).where(INSTANCES.c.sop_instance_uid == uid))

    def digests(self) -> dict[str, str]:
        """SOP Instance UID to SHA-256 of the file, for checking the store."""
        with self._engine.connect() as connection:
            rows = connection.execute(select(INSTANCES.c.sop_instance_uid, INSTANCES.c.sha256))
            return {row.sop_instance_uid: row.sha256 for row in rows}


def _add(connection: Connection, entries: Sequence[IndexedFile]) -> None:
    if entries:
        rows = [{name: getattr(entry, name) for name in COLUMN_NAMES} for entry in entries]
        connection.execute(ADD[connection.dialect.name], rows)
