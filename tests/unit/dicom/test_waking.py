"""Threads of an association sleep until there is work, and the library alone still does when it is not known."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pynetdicom
import pytest

from isoalign.dicom.node import NodeSettings, Peer, ReceiverSettings, StorageReceiver, echo, send
from isoalign.dicom.node.associations import association
from isoalign.dicom.node.connection import BoundedSocket
from isoalign.dicom.node.waking import Bell, WakingQueue
from isoalign.dicom.object_store import ObjectStore, StoredInstance
from isoalign.dicom.objects import CaseDatasets


def test_a_queue_wakes_when_it_is_empty_no_more() -> None:
    woken: list[int] = []
    queue = WakingQueue(lambda: woken.append(1))
    queue.put("a")
    queue.put("b")
    assert len(woken) == 1
    queue.get()
    queue.put("c")
    assert len(woken) == 1, "whoever takes is awake until the queue is empty"
    queue.get()
    queue.get()
    queue.put("d")
    assert len(woken) == 2


def test_a_bell_that_is_closed_is_silent() -> None:
    bell = Bell()
    bell.close()
    bell.ring()


def test_idle_threads_sleep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Polling would look four hundred times and more in half a second."""
    looks = 0
    ready = BoundedSocket.ready

    def count_ready(self: BoundedSocket) -> bool:
        nonlocal looks
        looks += self.assoc.is_acceptor
        return bool(ready.fget(self))  # type: ignore[attr-defined]

    monkeypatch.setattr(BoundedSocket, "ready", property(count_ready))
    with StorageReceiver(ReceiverSettings("ROOM"), ObjectStore(tmp_path)) as receiver:
        peer = Peer("ROOM", "127.0.0.1", receiver.port)
        with association(peer, NodeSettings("TMS"), [pynetdicom.build_context("1.2.840.10008.1.1")]):
            looks = 0
            time.sleep(0.5)
            assert 0 < looks <= 30


@pytest.mark.parametrize(
    ("version", "server"), [(pynetdicom.__version__, "DULServiceProvider"), ("4.0.0", "Association")]
)
def test_who_serves(
    case: CaseDatasets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, server: str
) -> None:
    """The thread that has read the object stores it; with a library that is not known, the association's own."""
    monkeypatch.setattr(pynetdicom, "__version__", version)
    names: set[str] = set()

    class Store(ObjectStore):
        def put(self, *arguments: object, **named: object) -> StoredInstance:
            names.add(type(threading.current_thread()).__name__)
            return super().put(*arguments, **named)  # type: ignore[arg-type]

    with StorageReceiver(ReceiverSettings("ROOM", accept_any=True), Store(tmp_path)) as receiver:
        peer = Peer("ROOM", "127.0.0.1", receiver.port)
        assert {one.status for one in send(peer, case.ct, NodeSettings("TMS"))} == {0x0000}
        echo(peer)
    assert names == {server}
