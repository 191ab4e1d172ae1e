"""The outbox worker with the real database: nothing is lost, nothing is sent for ever."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from isoalign.clock import ManualClock
from isoalign.dicom.node import NodeSettings, Peer, RetryPolicy, drain_outbox
from isoalign.dicom.object_store import ObjectStore
from isoalign.dicom.objects import CaseDatasets
from isoalign.storage import Database, OutboxState


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def database(tmp_path: Path, clock: ManualClock) -> Any:
    with Database(tmp_path / "room.db", clock) as opened:
        yield opened


def queue(database: Database, case: CaseDatasets, tmp_path: Path, clock: ManualClock) -> None:
    store = ObjectStore(tmp_path / "outgoing", database.instances)
    files = [(str(one.SOPInstanceUID), store.put_dataset(one).path) for one in case.all]
    database.outbox.enqueue("TMS", files, at=clock.utc(), audit="results queued")


def states(database: Database) -> set[tuple[OutboxState, int]]:
    return {(one.state, one.attempts) for one in database.outbox.entries()}


def test_everything_reaches_the_archive(
    network: Any, database: Database, case: CaseDatasets, tmp_path: Path, clock: ManualClock
) -> None:
    queue(database, case, tmp_path, clock)
    answered: list[int] = []
    results = drain_outbox(database.outbox, network.peer, network.settings, clock=clock, progress=answered.append)
    assert [one.sop_instance_uid for one in results] == [str(one.SOPInstanceUID) for one in case.all]
    assert answered[-1] == 8
    assert states(database) == {(OutboxState.SENT, 1)}
    assert len(network.archive.store.uids()) == 8
    assert drain_outbox(database.outbox, network.peer, network.settings, clock=clock) == ()


def test_while_the_archive_is_down_entries_wait_longer_and_longer(
    network: Any, database: Database, case: CaseDatasets, tmp_path: Path, clock: ManualClock
) -> None:
    queue(database, case, tmp_path, clock)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        nobody = Peer("TMS", "127.0.0.1", taken.getsockname()[1])
        for attempts, delay_s in ((1, 5.0), (2, 10.0), (3, 20.0)):
            assert drain_outbox(database.outbox, nobody, NodeSettings("ROOM"), clock=clock) == ()
            assert states(database) == {(OutboxState.QUEUED, attempts)}
            assert "nothing answers" in database.outbox.entries()[0].peer_comment
            clock.advance(delay_s - 0.001)
            assert database.outbox.claim_due("TMS", clock.utc(), 10) == ()
            clock.advance(0.001)
    drain_outbox(database.outbox, network.peer, network.settings, clock=clock)
    assert states(database) == {(OutboxState.SENT, 4)}
    history = database.outbox.history(database.outbox.entries()[0].entry_id)
    assert [(one.state, one.peer_status) for one in history] == [(OutboxState.QUEUED, None)] * 3 + [
        (OutboxState.SENT, 0x0000)
    ]
    assert (history[3].at - history[0].at).total_seconds() == 35.0


def test_the_last_attempt_gives_up_and_a_person_can_start_again(
    database: Database, case: CaseDatasets, tmp_path: Path, clock: ManualClock, network: Any
) -> None:
    queue(database, case, tmp_path, clock)
    policy = RetryPolicy(most_attempts=1)
    drain_outbox(database.outbox, Peer("TMS", "127.0.0.1", 1), NodeSettings("ROOM"), clock=clock, policy=policy)
    assert states(database) == {(OutboxState.FAILED, 1)}
    assert database.outbox.retry_failed(clock.utc()) == 8
    drain_outbox(database.outbox, network.peer, network.settings, clock=clock)
    assert states(database) == {(OutboxState.SENT, 1)}


def test_a_file_that_is_gone_does_not_hold_up_the_others(
    network: Any, database: Database, case: CaseDatasets, tmp_path: Path, clock: ManualClock
) -> None:
    queue(database, case, tmp_path, clock)
    Path(database.outbox.entries()[2].file_name).unlink()
    results = drain_outbox(database.outbox, network.peer, network.settings, clock=clock)
    assert len(results) == 7
    assert [one.state for one in database.outbox.entries()].count(OutboxState.FAILED) == 1


def test_a_refusal_that_cannot_heal_is_given_up_at_once(
    network: Any, database: Database, case: CaseDatasets, tmp_path: Path, clock: ManualClock
) -> None:
    """The peer already has another object under the UID of the plan (0117 may heal), and refuses nothing else."""
    other = case.plan
    network.archive.store.put_dataset(other)
    other.RTPlanLabel = "CHANGED"
    queue(database, case, tmp_path, clock)
    drain_outbox(database.outbox, network.peer, network.settings, clock=clock)
    waiting = database.outbox.entries(OutboxState.QUEUED)
    assert [(one.sop_instance_uid, one.peer_status) for one in waiting] == [(str(other.SOPInstanceUID), 0x0117)]


def test_entries_of_a_process_that_died_are_sent_by_the_next(
    network: Any, case: CaseDatasets, tmp_path: Path, clock: ManualClock
) -> None:
    with Database(tmp_path / "room.db", clock) as first:
        queue(first, case, tmp_path, clock)
        assert len(first.outbox.claim_due("TMS", clock.utc(), 100)) == 8
    with Database(tmp_path / "room.db", clock) as second:
        assert len(drain_outbox(second.outbox, network.peer, network.settings, clock=clock)) == 8


def test_delays_grow_to_a_limit() -> None:
    policy = RetryPolicy(first_delay_s=5.0, longest_delay_s=60.0)
    assert [policy.delay_s(n) for n in (1, 2, 3, 4, 5, 500)] == [5, 10, 20, 40, 60, 60]
