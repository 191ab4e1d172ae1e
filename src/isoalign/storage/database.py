"""Opening the database: migrations, transactions, and the parts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from isoalign.clock import Clock, SystemClock
from isoalign.storage.engine import open_engine, short, writing
from isoalign.storage.errors import DatabaseTooNew, DatabaseUnavailable
from isoalign.storage.instances import Instances
from isoalign.storage.journal import Audit
from isoalign.storage.outbox import OutboxTable
from isoalign.storage.work import Work

MIGRATIONS = Path(__file__).parent / "migrations"


class Database:
    """The room's database, opened and brought up to date; close it, or use it as a context manager.

    Parameters
    ----------
    target : Path or str
        An SQLite file (Path), or an SQLAlchemy URL (str).
    clock : Clock, optional
    owner : bool
        Whether this process sends from the outbox: entries that an earlier process was sending when it died are then
        queued again. False for a process that only reads.

    Attributes
    ----------
    instances : Instances
    outbox : OutboxTable
    audit : Audit

    Raises
    ------
    DatabaseUnavailable, DatabaseTooNew
    """

    def __init__(self, target: Path | str, clock: Clock | None = None, *, owner: bool = True) -> None:
        self._clock = clock or SystemClock()
        self._engine = open_engine(target)
        try:
            with self._engine.connect() as connection:
                _migrate(connection)
        except SQLAlchemyError as error:
            self._engine.dispose()
            raise DatabaseUnavailable(f"the database cannot be opened: {short(error)}") from error
        except DatabaseTooNew:
            self._engine.dispose()
            raise
        self._index_engine = open_engine(target, synchronous="NORMAL")
        self.instances = Instances(self._index_engine)
        self.outbox = OutboxTable(self._engine)
        self.audit = Audit(self._engine, self._clock)
        if owner:
            self.outbox.recover()

    @contextmanager
    def transaction(self) -> Iterator[Work]:
        """One transaction that excludes other writers; rolled back when the block raises.

        Raises
        ------
        DatabaseUnavailable
        """
        with writing(self._engine) as connection:
            yield Work(connection, self._clock)

    def close(self) -> None:
        """Close all connections."""
        self._index_engine.dispose()
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _migrate(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    current = MigrationContext.configure(connection).get_current_revision()
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if current is not None and current not in known:
        raise DatabaseTooNew(f"the database has the version {current}, which this program does not know")
    command.upgrade(config, "head")
    connection.commit()
