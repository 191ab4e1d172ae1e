"""Peers that break the rules, as scripts of bytes: their cost is bounded, and a genuine peer is served meanwhile."""

from __future__ import annotations

import random
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from pydicom.uid import ImplicitVRLittleEndian
from raw_dicom_peer import (
    CT,
    IMPLICIT,
    RawPeer,
    association_request,
    command,
    element,
    fragments,
    implicit,
    item,
    mutants,
    p_data,
)

from isoalign.dicom.node import NodeSettings, Notice, NoticeKind, Peer, ReceiverSettings, StorageReceiver, echo, send
from isoalign.dicom.object_store import ObjectStore
from isoalign.dicom.objects import CaseDatasets

DEFLATED = "1.2.840.10008.1.2.1.99"
MIB = 1024 * 1024

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")  # mutated data sets


class Room:
    def __init__(self, receiver: StorageReceiver, notices: list[Notice]) -> None:
        self.receiver = receiver
        self.notices = notices
        self.folder: Path = receiver.store._folder

    def files(self) -> list[str]:
        return sorted(str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file())


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    settings = ReceiverSettings(
        "ROOM",
        accept_any=True,
        association_timeout_s=0.7,
        pdu_timeout_s=0.7,
        idle_timeout_s=5.0,
        object_bytes=2 * MIB,
    )
    notices: list[Notice] = []
    with StorageReceiver(settings, ObjectStore(tmp_path / "store"), on_notice=notices.append) as receiver:
        yield Room(receiver, notices)


@pytest.fixture
def connect(room: Room) -> Iterator[Callable[[], RawPeer]]:
    with ExitStack() as stack:

        def open_one() -> RawPeer:
            peer = RawPeer(room.receiver.port)
            stack.callback(peer.socket.close)
            return peer

        yield open_one


@contextmanager
def little_memory(most_bytes: int) -> Iterator[None]:
    """The resident memory of this process must not grow by more, also in between."""
    page = 4096
    peak = [0]
    done = threading.Event()

    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * page

    def watch() -> None:
        while not done.wait(0.01):
            peak[0] = max(peak[0], resident())

    before = resident()
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()
    assert max(peak[0], resident()) - before < most_bytes


def assert_served(room: Room, within_s: float = 1.0) -> None:
    began = time.monotonic()
    echo(Peer("ROOM", "127.0.0.1", room.receiver.port), NodeSettings("TMS"))
    assert time.monotonic() - began < within_s


def test_the_script_speaks_dicom(room: Room, connect: Callable[[], RawPeer], case: CaseDatasets) -> None:
    """The bytes of this file are understood where they are right."""
    peer = connect()
    assert peer.associate()[0] == 0x02
    assert peer.store(str(case.ct[0].SOPInstanceUID), implicit(case.ct[0])) == 0x0000
    assert room.files() == [f"{case.ct[0].SOPInstanceUID}.dcm"]


def test_an_association_request_of_4_gib(room: Room, connect: Callable[[], RawPeer]) -> None:
    peer = connect()
    with little_memory(32 * MIB):
        peer.socket.sendall(b"\x01\0\xff\xff\xff\xff")
        assert peer.is_closed_within(0.5)
    assert_served(room)


def test_a_pdu_of_64_mib_after_128_kib_were_agreed(room: Room, connect: Callable[[], RawPeer]) -> None:
    peer = connect()
    peer.associate()
    with little_memory(32 * MIB):
        peer.socket.sendall(struct.pack(">BxI", 0x04, 64 * MIB))
        assert peer.is_closed_within(0.5)
    assert_served(room)


def test_a_pdu_of_an_unknown_type_before_a_long_one(room: Room, connect: Callable[[], RawPeer]) -> None:
    """The second's length was taken for that of a header, and a gigabyte of memory for it."""
    peer = connect()
    peer.associate()
    with little_memory(32 * MIB):
        peer.socket.sendall(struct.pack(">BxI", 0x10, 4) + struct.pack(">BxI", 0x04, 1024 * MIB))
        assert peer.is_closed_within(2.0)
    assert_served(room)


def test_unlimited_has_a_cap(tmp_path: Path) -> None:
    settings = ReceiverSettings("ROOM", pdu_bytes=0)
    with StorageReceiver(settings, ObjectStore(tmp_path / "store")) as receiver:
        peer = RawPeer(receiver.port)
        accepted = peer.associate()
        assert item(0x51, struct.pack(">I", 0)) in accepted, "no limit is announced"
        peer.socket.sendall(struct.pack(">BxI", 0x04, 17 * MIB))
        assert peer.is_closed_within(0.5)
        peer.socket.close()


def test_a_data_set_without_end(room: Room, connect: Callable[[], RawPeer], case: CaseDatasets) -> None:
    """Fragments that are never the last: cut off at the limit (2 MiB here), nothing stays."""
    peer = connect()
    peer.associate()
    peer.socket.sendall(p_data(command("1.2.3"), 0x03))
    with little_memory(32 * MIB):
        try:
            for _ in range(100):
                peer.socket.sendall(p_data(b"\0" * 60_000, 0x00))
        except (ConnectionResetError, BrokenPipeError):
            pass
        assert peer.is_closed_within(2.0)
    assert room.files() == []
    assert_served(room)


def test_requests_that_do_not_wait_for_answers(room: Room, connect: Callable[[], RawPeer], case: CaseDatasets) -> None:
    """A hundred instances in one go, without the window for it: the peer has to wait, and every one is answered."""
    peer = connect()
    peer.associate()
    encoded = implicit(case.ct[0]) + element(0x7FE1, 0x1001, b"\0" * 200_000)
    uid = str(case.ct[0].SOPInstanceUID)

    def pour() -> None:
        for number in range(100):
            peer.socket.sendall(p_data(command(uid, number + 1), 0x03) + b"".join(fragments(encoded)))

    thread = threading.Thread(target=pour)
    with little_memory(48 * MIB):
        thread.start()
        assert {peer.status() for _ in range(100)} == {0x0000}
        thread.join()


@pytest.mark.parametrize(
    ("what", "first"),
    [
        ("silence", b""),
        ("half a header", b"\x01\0\0"),
        ("half a request", association_request()[:50]),
    ],
)
def test_half_an_association_request(room: Room, connect: Callable[[], RawPeer], what: str, first: bytes) -> None:
    peer = connect()
    peer.socket.sendall(first)
    assert_served(room)
    assert peer.is_closed_within(1.5), what


@pytest.mark.parametrize("associated", [False, True])
def test_a_trickle_of_bytes(room: Room, connect: Callable[[], RawPeer], associated: bool) -> None:
    """One byte now and then does not buy more time."""
    peer = connect()
    if associated:
        peer.associate()
    began = time.monotonic()
    text = p_data(command("1.2.3"), 0x03) if associated else association_request()
    try:
        for byte in text:
            peer.socket.sendall(bytes([byte]))
            time.sleep(0.05)
        pytest.fail("the connection stayed open")
    except (ConnectionResetError, BrokenPipeError):
        pass
    assert time.monotonic() - began < 3.0
    assert_served(room)


def test_a_hundred_idle_connections(room: Room, connect: Callable[[], RawPeer]) -> None:
    idle = [connect() for _ in range(100)]
    for _ in range(3):
        assert_served(room)
    assert threading.active_count() < 60, "the waiting room has 32 seats"
    assert len(idle) == 100


def test_a_hundred_broken_association_requests(room: Room, connect: Callable[[], RawPeer]) -> None:
    """They take no place of an association (of which there are ten)."""
    for number in range(100):
        content = bytearray(association_request())
        content[random.Random(number).randrange(70, len(content))] ^= 0xFF
        peer = connect()
        peer.socket.sendall(content)
        if number % 10 == 0:
            assert_served(room, 2.0)
        peer.socket.close()
    assert_served(room)


def test_more_associations_than_there_are_places(room: Room, connect: Callable[[], RawPeer]) -> None:
    held = [connect() for _ in range(10)]
    assert all(peer.associate()[0] == 0x02 for peer in held)
    refused = connect().associate()
    assert (refused[0], refused[7:10]) == (0x03, bytes([2, 3, 2])), "transient, local limit exceeded"
    held[0].socket.sendall(struct.pack(">BxI4x", 0x05, 4))
    assert held[0].pdu()[0] == 0x06
    time.sleep(0.1)
    assert_served(room)


def test_who_is_refused(room: Room, tmp_path: Path) -> None:
    peer = RawPeer(room.receiver.port)
    assert peer.associate(called="ELSEWHERE")[7:10] == bytes([1, 1, 7])
    peer.socket.close()


def test_deflate_is_not_accepted(room: Room, connect: Callable[[], RawPeer]) -> None:
    peer = connect()
    peer.socket.sendall(association_request(syntaxes=(DEFLATED,)))
    answer = peer.pdu()
    place = answer.find(b"\x21\0")
    assert answer[place + 6] == 0x04, "transfer syntax not supported"


@pytest.mark.parametrize("uid", ["../../../outside", "/tmp/outside", "..", "1.2/3"])
def test_a_uid_is_no_path(
    room: Room, connect: Callable[[], RawPeer], case: CaseDatasets, uid: str, tmp_path: Path
) -> None:
    peer = connect()
    peer.associate()
    assert peer.store(uid, implicit(case.ct[0])) == 0x0117
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_command_and_data_set_name_different_instances(
    room: Room, connect: Callable[[], RawPeer], case: CaseDatasets
) -> None:
    peer = connect()
    peer.associate()
    assert peer.store("1.2.3", implicit(case.ct[0])) == 0xA900
    assert room.files() == []


def test_a_peer_that_vanishes_in_the_middle(room: Room, connect: Callable[[], RawPeer], case: CaseDatasets) -> None:
    """Also while it sends an instance again: the first copy stays as it was."""
    uid = str(case.ct[0].SOPInstanceUID)
    encoded = implicit(case.ct[0]) + element(0x7FE1, 0x1001, b"\0" * 200_000)
    peer = connect()
    peer.associate()
    assert peer.store(uid, encoded) == 0x0000
    before = (room.folder / f"{uid}.dcm").read_bytes()
    again = connect()
    again.associate()
    again.socket.sendall(p_data(command(uid), 0x03) + b"".join(fragments(encoded)[:-1]))
    again.socket.close()
    time.sleep(0.2)
    assert room.files() == [f"{uid}.dcm"]
    assert (room.folder / f"{uid}.dcm").read_bytes() == before
    assert_served(room)


def test_another_object_under_a_known_uid(room: Room, connect: Callable[[], RawPeer], case: CaseDatasets) -> None:
    peer = connect()
    peer.associate()
    uid = str(case.ct[0].SOPInstanceUID)
    assert peer.store(uid, implicit(case.ct[0])) == 0x0000
    assert peer.store(uid, implicit(case.ct[0])) == 0x0000, "the same again is harmless"
    case.ct[0].InstanceNumber = 77
    assert peer.store(uid, implicit(case.ct[0])) == 0x0117
    assert peer.store(uid, implicit(case.ct[0])) == 0x0117
    aside = [name for name in room.files() if name.startswith("quarantine/")]
    assert len(aside) == 2, "each newcomer is kept"
    told = [one for one in room.notices if one.kind is NoticeKind.CONFLICT]
    assert len(told) == 2
    assert aside[0].removeprefix("quarantine/") in "".join(one.message for one in told)


def test_a_disk_that_is_gone(room: Room, connect: Callable[[], RawPeer], case: CaseDatasets) -> None:
    room.folder.rmdir()
    peer = connect()
    peer.associate()
    assert peer.store(str(case.ct[0].SOPInstanceUID), implicit(case.ct[0])) == 0xA700
    assert [one.kind for one in room.notices] == [NoticeKind.DISK]


def test_three_thousand_nested_sequences(room: Room, connect: Callable[[], RawPeer], case: CaseDatasets) -> None:
    undefined = 0xFFFFFFFF
    opening = struct.pack("<HHI", 0x0040, 0xA730, undefined) + struct.pack("<HHI", 0xFFFE, 0xE000, undefined)
    closing = struct.pack("<HHI", 0xFFFE, 0xE00D, 0) + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    peer = connect()
    peer.associate()
    status = peer.store(str(case.ct[0].SOPInstanceUID), implicit(case.ct[0]) + opening * 3000 + closing * 3000)
    assert status == 0xC000
    assert room.files() == []
    assert_served(room)


def test_the_transfer_syntax_that_is_listed_first(room: Room) -> None:
    """And of several contexts for one SOP class every one is accepted, each by that rule."""
    from pynetdicom import AE, build_context

    explicit, big = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
    proposed = [
        build_context(CT, [big, explicit, IMPLICIT]),
        build_context(CT, [IMPLICIT, explicit]),
        build_context(CT, [explicit, IMPLICIT]),
        build_context(CT, [big]),
    ]
    made = AE("TMS").associate("127.0.0.1", room.receiver.port, contexts=proposed, ae_title="ROOM")
    accepted = {one.context_id: str(one.transfer_syntax[0]) for one in made.accepted_contexts}
    dul = made.dul
    made.release()
    made.join()
    dul.join()
    assert accepted == {1: explicit, 3: IMPLICIT, 5: explicit}


def run_mutated_data_sets(room: Room, case: CaseDatasets, seed: int, count: int) -> None:
    uid = str(case.ct[0].SOPInstanceUID)
    peer = RawPeer(room.receiver.port)
    peer.associate()
    for content in mutants(seed, count, implicit(case.ct[0])):
        status = peer.store(uid, content)
        assert status in {0x0000, 0xB007, 0x0117, 0xA900, 0xC000}, hex(status)
    peer.socket.close()
    names = [name for name in room.files() if not name.startswith("quarantine/")]
    assert set(names) <= {f"{uid}.dcm"}


def run_mutated_pdus(room: Room, case: CaseDatasets, seed: int, count: int) -> None:
    uid = str(case.ct[0].SOPInstanceUID)
    whole = association_request() + p_data(command(uid), 0x03) + b"".join(fragments(implicit(case.ct[0])))
    for number, content in enumerate(mutants(seed, count, whole)):
        with socket.create_connection(("127.0.0.1", room.receiver.port), timeout=5) as peer:
            peer.sendall(content)
        if number % 50 == 49:
            assert_served(room, 3.0)
    assert not list(room.folder.glob("*.part"))


def test_mutated_data_sets(room: Room, case: CaseDatasets) -> None:
    run_mutated_data_sets(room, case, 1, 300)


def test_mutated_pdus(room: Room, case: CaseDatasets) -> None:
    run_mutated_pdus(room, case, 2, 150)


def test_what_is_refused_leaves_the_association_usable(room: Room, case: CaseDatasets) -> None:
    other = Peer("ROOM", "127.0.0.1", room.receiver.port)
    case.ct[1].SOPInstanceUID = case.ct[0].SOPInstanceUID
    case.ct[1].file_meta.MediaStorageSOPInstanceUID = case.ct[0].SOPInstanceUID
    case.ct[2].Modality = "MR"
    results = send(other, case.ct[:4], NodeSettings("TMS"))
    assert [one.status for one in results] == [0x0000, 0x0117, 0xB007, 0x0000]
    assert results[2].comment == "Modality (0008,0060) is MR, not CT"
    assert ImplicitVRLittleEndian == IMPLICIT
