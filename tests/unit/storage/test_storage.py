"""The database: transactions, the sealed journal, the outbox's states, migrations."""

from __future__ import annotations

import multiprocessing
import sqlite3
import threading
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine

from isoalign.clock import ManualClock
from isoalign.dicom.ports import IndexEntry
from isoalign.storage import Database, OutboxState
from isoalign.storage.errors import DatabaseTooNew, DatabaseUnavailable, JournalBroken, UnknownEntry
from isoalign.storage.tables import METADATA
from isoalign.storage.times import from_text, to_text

FILES = [("1.2.1", Path("a.dcm")), ("1.2.2", Path("b.dcm"))]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "room.db"


@pytest.fixture
def database(path: Path, clock: ManualClock) -> Iterator[Database]:
    with Database(path, clock) as opened:
        yield opened


def test_a_decision_and_what_follows_are_one(database: Database) -> None:
    with database.transaction() as work:
        work.record("correction approved", user="physicist", facts={"correction": "c-1"})
        work.enqueue("TMS", FILES)
    assert [one.event for one in database.audit.entries()] == ["correction approved"]
    assert len(database.outbox.entries()) == 2


def test_an_interrupted_transaction_leaves_nothing(database: Database) -> None:
    def interrupted() -> None:
        with database.transaction() as work:
            work.record("correction approved")
            work.enqueue("TMS", FILES)
            raise RuntimeError("power failure")

    with pytest.raises(RuntimeError, match="power"):
        interrupted()
    assert database.audit.entries() == ()
    assert database.outbox.entries() == ()


def test_journal_is_chained(database: Database, clock: ManualClock) -> None:
    first = database.audit.append("patient loaded", {"plan": "1.2.3", "slices": 177}, user="physicist")
    clock.advance(1.5)
    second = database.audit.append("correction approved")
    assert (first.sequence, second.sequence) == (1, 2)
    read = database.audit.entries()
    assert read == (first, second)
    assert (read[1].at - read[0].at).total_seconds() == 1.5
    assert database.audit.entries(first=2) == (second,)
    assert database.audit.verify() == 2


@pytest.mark.parametrize("act", ["UPDATE journal SET user = 'x'", "DELETE FROM journal"])
def test_the_database_itself_refuses_to_change_the_journal(database: Database, path: Path, act: str) -> None:
    database.audit.append("patient loaded")
    raw = sqlite3.connect(path)
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        raw.execute(act)
    raw.close()


@pytest.mark.parametrize(
    ("act", "broken_at"),
    [
        ("UPDATE journal SET user = 'somebody else' WHERE sequence = 2", 2),
        ("UPDATE journal SET facts = '{}' WHERE sequence = 1", 1),
        ("DELETE FROM journal WHERE sequence = 2", 2),
        ("DELETE FROM journal WHERE sequence = 1", 1),
    ],
)
def test_a_change_behind_its_back_is_found(database: Database, path: Path, act: str, broken_at: int) -> None:
    for number in range(3):
        database.audit.append("step", {"number": number}, user="physicist")
    raw = sqlite3.connect(path)
    raw.execute("DROP TRIGGER journal_no_update")
    raw.execute("DROP TRIGGER journal_no_delete")
    raw.execute(act)
    raw.commit()
    raw.close()
    with pytest.raises(JournalBroken, match=f"entry {broken_at}"):
        database.audit.verify()


def test_threads_do_not_break_the_chain(database: Database) -> None:
    threads = [threading.Thread(target=lambda: [database.audit.append("step") for _ in range(10)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert database.audit.verify() == 40


def _append_and_die(path: str) -> None:
    import os

    database = Database(Path(path))
    with database.transaction() as work:
        work.record("queued")
        work.enqueue("TMS", FILES)
    database.outbox.claim_due("TMS", datetime.fromisoformat("2100-01-01T00:00:00+00:00"), 10)
    os._exit(9)


def test_what_was_committed_survives_a_process_that_dies(path: Path, clock: ManualClock) -> None:
    process = multiprocessing.get_context("spawn").Process(target=_append_and_die, args=(str(path),))
    process.start()
    process.join(30)
    assert process.exitcode == 9
    process.close()
    with Database(path, clock) as again:
        assert again.audit.verify() == 1
        assert {one.state for one in again.outbox.entries()} == {OutboxState.QUEUED}


def test_queueing_twice_changes_nothing(database: Database, clock: ManualClock) -> None:
    database.outbox.enqueue("TMS", FILES, at=clock.utc(), audit="queued")
    database.outbox.enqueue("TMS", [*FILES, ("1.2.3", Path("c.dcm"))], at=clock.utc(), audit="queued")
    database.outbox.enqueue("OTHER", FILES[:1], at=clock.utc(), audit="queued")
    assert [(one.peer, one.sop_instance_uid) for one in database.outbox.entries()] == [
        ("TMS", "1.2.1"),
        ("TMS", "1.2.2"),
        ("TMS", "1.2.3"),
        ("OTHER", "1.2.1"),
    ]
    assert database.audit.entries()[0].facts == {"peer": "TMS", "instances": ["1.2.1", "1.2.2"]}


def test_states_of_an_entry(database: Database, clock: ManualClock) -> None:
    database.outbox.enqueue("TMS", FILES, at=clock.utc(), audit="queued")
    now = clock.utc()
    assert database.outbox.claim_due("OTHER", now, 10) == ()
    first, second = database.outbox.claim_due("TMS", now, 10)
    assert (first.state, first.attempts) == (OutboxState.SENDING, 1)
    assert database.outbox.claim_due("TMS", now, 10) == (), "nobody else gets them"
    database.outbox.mark_sent(first.entry_id, status=0, comment="stored", at=now)
    database.outbox.mark_failed(second.entry_id, status=0xA900, comment="no", at=now)
    assert [one.sop_instance_uid for one in database.outbox.entries(OutboxState.FAILED)] == ["1.2.2"]
    with pytest.raises(UnknownEntry):
        database.outbox.mark_sent(first.entry_id, status=0, comment="", at=now)
    with pytest.raises(UnknownEntry):
        database.outbox.mark_retry(99, status=None, comment="", at=now, next_try_at=now)


def test_a_reader_leaves_what_is_being_sent_alone(database: Database, path: Path, clock: ManualClock) -> None:
    database.outbox.enqueue("TMS", FILES, at=clock.utc(), audit="queued")
    database.outbox.claim_due("TMS", clock.utc(), 10)
    with Database(path, clock, owner=False) as reader:
        assert {one.state for one in reader.outbox.entries()} == {OutboxState.SENDING}


def entry(uid: str) -> IndexEntry:
    return IndexEntry(uid, "1.2", "1.4", "1.5", f"{uid}.dcm", "0" * 64, 3_000_000_000)


def test_instances(database: Database) -> None:
    database.instances.add_instances([entry("1.2.3")])
    database.instances.add_instances([entry("1.2.3")])
    assert database.instances.instance_uids() == {"1.2.3"}
    assert database.instances.digests() == {"1.2.3": "0" * 64}
    database.instances.reconcile(add=[entry("1.2.4"), entry("1.2.5")], forget=["1.2.3"])
    assert database.instances.instance_uids() == {"1.2.4", "1.2.5"}


def test_the_index_does_not_wait_for_the_disk_and_the_rest_does(database: Database) -> None:
    """SQLite: synchronous 1 is NORMAL, 2 is FULL."""
    for engine, expected in ((database.instances._engine, 1), (database.outbox._engine, 2)):
        with engine.connect() as connection:
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == expected
            assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"


def test_migrations_make_the_tables_that_the_code_uses(database: Database, path: Path) -> None:
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []
    engine.dispose()


def test_a_database_of_a_newer_version_is_left_alone(database: Database, path: Path) -> None:
    raw = sqlite3.connect(path)
    raw.execute("UPDATE alembic_version SET version_num = '9999'")
    raw.commit()
    raw.close()
    with pytest.raises(DatabaseTooNew, match="9999"):
        Database(path)


@pytest.mark.parametrize("target", ["nonsense", "nosuchdb://x/y"])
def test_a_url_that_cannot_be_used(target: str) -> None:
    with pytest.raises(DatabaseUnavailable) as caught:
        Database(target)
    assert caught.value.exit_code == 8


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_bytes(b"not a database" * 1000)
    with pytest.raises(DatabaseUnavailable, match="not a database"):
        Database(tmp_path / "x.db")


def test_moments_keep_their_order_as_text(clock: ManualClock) -> None:
    early = to_text(clock.utc())
    clock.advance(0.000001)
    assert early < to_text(clock.utc())
    assert from_text(early) < clock.utc()
    with pytest.raises(ValueError, match="time zone"):
        to_text(datetime(2026, 1, 1))  # noqa: DTZ001
