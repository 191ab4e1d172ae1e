"""The storage user: no response is lost, no more associations than allowed, PDUs as long as agreed, any byte order."""

from __future__ import annotations

import copy
import os
import random
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom import Dataset
from pynetdicom import AE, evt
from pynetdicom.dsutils import encode
from pynetdicom.sop_class import CTImageStorage, Verification

from isoalign.dicom import identity
from isoalign.dicom.errors import NoFreeAssociation, PeerTimeout, PeerUnreachable
from isoalign.dicom.node import NodeSettings, Peer, ReceiverSettings, StorageReceiver, WholeFile, echo, send
from isoalign.dicom.object_store import ObjectStore
from isoalign.dicom.objects import CaseDatasets, write_file

IMPLICIT = "1.2.840.10008.1.2"


@contextmanager
def provider(*handlers: Any) -> Iterator[Peer]:
    entity = AE("TMS")
    entity.maximum_associations = 100
    for sop_class in (Verification, CTImageStorage):
        entity.add_supported_context(sop_class, IMPLICIT)
    before = set(threading.enumerate())
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=list(handlers))
    try:
        yield Peer("TMS", "127.0.0.1", server.server_address[1])
    finally:
        entity.shutdown()
        for thread in set(threading.enumerate()) - before:
            thread.join(20)


def instances(case: CaseDatasets, seed: int, count: int) -> Iterator[Dataset]:
    """Instances of one to a few hundred kilobytes."""
    chance = random.Random(seed)
    for _ in range(count):
        one = copy.deepcopy(case.ct[0])
        one.SOPInstanceUID = identity.new_uid()
        one.PixelData = b"\1\2" * chance.choice([80, 80, 80, 5_000, 60_000])
        yield one


def store_over_three(case: CaseDatasets, seed: int, each: int) -> None:
    received: list[str] = []

    def keep(event: Any) -> int:
        received.append(str(event.request.AffectedSOPInstanceUID))
        return 0x0000

    settings = NodeSettings("ROOM", response_timeout_s=30.0)
    answered: list[str] = []
    failures: list[BaseException] = []

    def work(peer: Peer, number: int) -> None:
        try:
            results = send(peer, instances(case, seed + number, each), settings)
            assert {one.status for one in results} == {0x0000}
            answered.extend(one.sop_instance_uid for one in results)
        except BaseException as error:  # noqa: BLE001 - shown by the main thread
            failures.append(error)

    with provider((evt.EVT_C_STORE, keep)) as peer:
        threads = [threading.Thread(target=work, args=(peer, number)) for number in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not failures
    assert len(answered) == 3 * each
    assert sorted(answered) == sorted(received), "each exactly once"


def test_no_response_is_lost_over_three_associations(case: CaseDatasets) -> None:
    store_over_three(case, seed=1, each=250)


@pytest.mark.parametrize("syntax", [IMPLICIT, "1.2.840.10008.1.2.1"])
def test_a_file_goes_out_as_it_is_where_the_peer_takes_its_syntax(
    case: CaseDatasets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, syntax: str
) -> None:
    """Otherwise it is encoded anew: the provider takes implicit VR only."""
    case.ct[0].file_meta.TransferSyntaxUID = syntax
    path = tmp_path / "one.dcm"
    pydicom.dcmwrite(path, case.ct[0], implicit_vr=syntax == IMPLICIT, little_endian=True, enforce_file_format=True)
    received: list[bytes] = []
    encoded: list[int] = []

    def keep(event: Any) -> int:
        received.append(event.request.DataSet.getvalue())
        return 0x0000

    def encode_and_count(*arguments: Any) -> Any:
        encoded.append(1)
        return encode(*arguments)

    monkeypatch.setattr("pynetdicom.association.encode", encode_and_count)
    with provider((evt.EVT_C_STORE, keep)) as peer:
        (result,) = send(peer, [WholeFile.read(path)], NodeSettings("ROOM"))
    assert (result.status, result.sop_instance_uid) == (0x0000, str(case.ct[0].SOPInstanceUID))
    assert received == [encode(case.ct[0], True, True)]
    assert bool(encoded) == (syntax != IMPLICIT)


def test_a_file_whose_meta_information_names_another_instance_is_sent_by_its_data_set(
    case: CaseDatasets, tmp_path: Path
) -> None:
    path = write_file(case.ct[0], tmp_path / "one.dcm")
    content = path.read_bytes()
    uid = str(case.ct[0].SOPInstanceUID).encode()
    other = uid[:-1] + (b"1" if uid[-1:] != b"1" else b"2")
    path.write_bytes(content.replace(uid, other, 1))
    named: list[str] = []

    def keep(event: Any) -> int:
        named.append(str(event.request.AffectedSOPInstanceUID))
        return 0x0000

    with provider((evt.EVT_C_STORE, keep)) as peer:
        send(peer, [WholeFile.read(path)], NodeSettings("ROOM"))
    assert named == [uid.decode()]


def test_three_associations_at_a_time(case: CaseDatasets) -> None:
    """Six senders: three wait until another one is done; all get through."""
    open_now, most = 0, 0
    lock = threading.Lock()

    def count(change: int) -> Callable[[Any], None]:
        def act(_: Any) -> None:
            nonlocal open_now, most
            with lock:
                open_now += change
                most = max(most, open_now)

        return act

    def slow(_: Any) -> int:
        time.sleep(0.1)
        return 0x0000

    handlers = [
        (evt.EVT_ESTABLISHED, count(1)),
        (evt.EVT_RELEASED, count(-1)),
        (evt.EVT_ABORTED, count(-1)),
        (evt.EVT_C_STORE, slow),
    ]
    with provider(*handlers) as peer:
        results: list[int] = []
        threads = [
            threading.Thread(
                target=lambda: results.extend(r.status for r in send(peer, case.ct[:1], NodeSettings("A")))
            )
            for _ in range(6)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert results == [0x0000] * 6
    assert most == 3


def test_waiting_for_a_free_association_has_an_end(case: CaseDatasets) -> None:
    release = threading.Event()

    def hold(_: Any) -> int:
        release.wait(20)
        return 0x0000

    settings = NodeSettings("BUSY", association_timeout_s=0.3, maximum_associations=1)
    with provider((evt.EVT_C_STORE, hold)) as peer:
        thread = threading.Thread(target=send, args=(peer, case.ct[:1], settings))
        thread.start()
        time.sleep(0.3)
        try:
            with pytest.raises(NoFreeAssociation, match="1 associations of BUSY"):
                echo(peer, settings)
        finally:
            release.set()
            thread.join()


@pytest.mark.parametrize(("peers_limit", "ours", "longest"), [(0, 32_768, 32_768), (16_384, 32_768, 16_384)])
def test_length_of_pdus_that_are_sent(case: CaseDatasets, peers_limit: int, ours: int, longest: int) -> None:
    lengths: list[int] = []
    case.ct[0].PixelData = b"\0" * 200_000
    entity = AE("TMS")
    entity.maximum_pdu_size = peers_limit
    entity.add_supported_context(CTImageStorage, IMPLICIT)
    before = set(threading.enumerate())
    handlers = [
        (evt.EVT_DATA_RECV, lambda event: lengths.append(len(event.data) - 6)),
        (evt.EVT_C_STORE, lambda _: 0x0000),
    ]
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)  # type: ignore[arg-type]
    try:
        peer = Peer("TMS", "127.0.0.1", server.server_address[1])
        assert send(peer, case.ct[:1], NodeSettings("ROOM", send_pdu_bytes=ours))[0].status == 0x0000
    finally:
        entity.shutdown()
        for thread in set(threading.enumerate()) - before:
            thread.join(20)
    assert longest - 100 < max(lengths) <= longest


def test_a_time_out_releases_the_association(case: CaseDatasets) -> None:
    """Table 8 of the statement: released, not aborted; the task ends and the user is told."""
    seen: list[str] = []
    done = threading.Event()

    def late(_: Any) -> int:
        done.wait(0.8)
        return 0x0000

    handlers = [
        (evt.EVT_C_STORE, late),
        (evt.EVT_RELEASED, lambda _: seen.append("released")),
        (evt.EVT_ABORTED, lambda _: seen.append("aborted")),
    ]
    settings = NodeSettings("ROOM", response_timeout_s=0.3)
    with provider(*handlers) as peer, pytest.raises(PeerTimeout, match="C-STORE"):
        send(peer, case.ct[:3], settings)
    assert seen == ["released"]


def test_a_peer_that_stops_reading_does_not_hold_us_for_ever(case: CaseDatasets) -> None:
    """It takes the connection and neither answers nor reads."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        settings = NodeSettings("ROOM", association_timeout_s=0.4, response_timeout_s=0.4)
        began = time.monotonic()
        with pytest.raises(PeerTimeout):
            send(Peer("TMS", "127.0.0.1", listening.getsockname()[1]), case.ct, settings)
        assert time.monotonic() - began < 5.0


@pytest.mark.parametrize("as_files", [False, True])
@pytest.mark.parametrize("option", ["+xi", "+xe", "+xb"])
def test_any_transfer_syntax_that_the_peer_prefers(
    case: CaseDatasets, tmp_path: Path, option: str, as_files: bool, require_program: Callable[[str], Path]
) -> None:
    """DCMTK's storescp prefers implicit, explicit little endian or explicit big endian; the pixels stay the same.

    Files go out in implicit VR, as they are.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = tmp_path / "received"
    folder.mkdir()
    process = subprocess.Popen(
        [require_program("storescp"), option, "-od", folder, "-aet", "TMS", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "TCP_NODELAY": "1"},
    )
    try:
        peer = Peer("TMS", "127.0.0.1", port)
        deadline = time.monotonic() + 20
        while True:
            try:
                echo(peer, NodeSettings("ROOM"))
                break
            except PeerUnreachable:
                assert time.monotonic() < deadline
                time.sleep(0.02)
        files = [write_file(one, tmp_path / f"{number}.dcm") for number, one in enumerate(case.ct)]
        objects = map(WholeFile.read, files) if as_files else case.ct
        assert {one.status for one in send(peer, objects, NodeSettings("ROOM"))} == {0x0000}
    finally:
        process.terminate()
        process.wait(10)
    received = {str(one.SOPInstanceUID): one for one in map(pydicom.dcmread, folder.iterdir())}
    expected = {"+xi": IMPLICIT, "+xe": "1.2.840.10008.1.2.1", "+xb": "1.2.840.10008.1.2.2"}[option]
    expected = IMPLICIT if as_files else expected
    assert {str(one.file_meta.TransferSyntaxUID) for one in received.values()} == {expected}
    for one in case.ct:
        np.testing.assert_array_equal(received[str(one.SOPInstanceUID)].pixel_array, one.pixel_array)
        assert received[str(one.SOPInstanceUID)].Rows == one.Rows


def test_the_receiver_and_the_user_agree(case: CaseDatasets, tmp_path: Path) -> None:
    settings = ReceiverSettings("OTHER", accept_any=True)
    with StorageReceiver(settings, ObjectStore(tmp_path / "store")) as receiver:
        results = send(Peer("OTHER", "127.0.0.1", receiver.port), case.all, NodeSettings("ROOM"))
        assert {one.status for one in results} == {0x0000}
        assert len(receiver.store.uids()) == len(case.all)
