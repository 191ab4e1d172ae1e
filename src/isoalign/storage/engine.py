"""The database engine: SQLite that survives a crash, or any other database by URL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from isoalign.storage.errors import DatabaseUnavailable

BUSY_TIMEOUT_S = 10.0
WRITE_LOCK = 0x150A_1167
"""Key of the advisory lock that keeps writers apart on PostgreSQL, as BEGIN IMMEDIATE does on SQLite."""


def open_engine(target: Path | str, *, synchronous: str = "FULL") -> Engine:
    """An engine for an SQLite file (Path) or an SQLAlchemy URL (str).

    ``synchronous`` is SQLite's: FULL waits for the disk at each commit, NORMAL may lose the latest commits in a power
    failure and is for what can be made again.

    Raises
    ------
    DatabaseUnavailable
    """
    try:
        url = make_url(f"sqlite:///{target}") if isinstance(target, Path) else make_url(target)
        engine = create_engine(url)
    except (ArgumentError, NoSuchModuleError, ImportError) as error:
        raise DatabaseUnavailable(f"the database URL cannot be used: {short(error)}") from error
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", lambda connection, _: _prepare_sqlite(connection, synchronous))
        event.listen(engine, "begin", _begin_immediate)
    return engine


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that excludes other writers; rolled back when the block raises.

    Raises
    ------
    DatabaseUnavailable
    """
    try:
        with engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": WRITE_LOCK})
            yield connection
    except SQLAlchemyError as error:
        raise DatabaseUnavailable(f"the database cannot be written: {short(error)}") from error


def short(error: Exception) -> str:
    """The first line of what the database says."""
    return str(getattr(error, "orig", None) or error).splitlines()[0]


def _prepare_sqlite(connection: Any, synchronous: str) -> None:
    connection.isolation_level = None  # transactions are begun by _begin_immediate
    cursor = connection.cursor()
    busy_timeout = f"busy_timeout={BUSY_TIMEOUT_S * 1000:.0f}"
    for pragma in (busy_timeout, "journal_mode=WAL", f"synchronous={synchronous}", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_immediate(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
