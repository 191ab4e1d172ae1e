"""The node against the embedded archive, and against peers that misbehave."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset
from pynetdicom import AE, build_context, evt
from pynetdicom.sop_class import CTImageStorage, StudyRootQueryRetrieveInformationModelMove, Verification

from isoalign.dicom.errors import (
    AssociationAborted,
    AssociationRefused,
    MoveDestinationUnknown,
    MoveFailed,
    PeerTimeout,
    PeerUnreachable,
    ReceiverNotStarted,
    RetrieveCancelled,
    RetrieveIncomplete,
    StoreFailed,
    StructureSetUnresolved,
    WrongPatient,
)
from isoalign.dicom.node import (
    Caller,
    NodeSettings,
    Peer,
    ReceiverSettings,
    StorageReceiver,
    echo,
    load_patient,
    require_stored,
    retrieve,
    send,
)
from isoalign.dicom.object_store import ObjectStore
from isoalign.dicom.objects import CaseDatasets
from isoalign.dicom.objects.examples import example_objects
from isoalign.errors import ConfigurationError, exit_code_of


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


def test_echo(network: Any) -> None:
    assert 0 < echo(network.peer, network.settings) < 5


def test_a_case_goes_to_the_archive_and_comes_back(network: Any, case: CaseDatasets) -> None:
    sent: list[int] = []
    results = send(network.peer, case.all, calling_ae_title="PLANNING", on_progress=sent.append)
    require_stored(results, network.peer)
    assert sent == list(range(1, 9))
    assert {one.meaning for one in results} == {"stored"}
    seen: list[tuple[int, int, str]] = []
    loaded = load_patient(
        network.peer,
        str(case.plan.SOPInstanceUID),
        network.receiver,
        network.settings,
        progress=lambda *step: seen.append(step),
    )
    np.testing.assert_array_equal(loaded.volume.hounsfield, case.volume.hounsfield)
    assert loaded.plan.label == "PHANTOM"
    assert [one.name for one in loaded.structure_set.structures] == ["BODY", "Seed 1"]
    assert seen[0] == (1, 1, "echo")
    assert seen[-1] == (6, 6, "CT slices")


def with_reference_images(case: CaseDatasets) -> list[Dataset]:
    """RT Images of the case's patient, named by its plan."""
    made = example_objects()
    images = [made["RTIMAGE"], made["DRR"]]
    for image in images:
        image.PatientID = case.plan.PatientID
    case.plan.IonBeamSequence[0].ReferencedReferenceImageSequence = []
    for number, image in enumerate(images, 1):
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = image.SOPClassUID, image.SOPInstanceUID
        item.ReferenceImageNumber = number
        case.plan.IonBeamSequence[0].ReferencedReferenceImageSequence.append(item)
    return images


def test_reference_images_of_the_plan_are_loaded(network: Any, case: CaseDatasets) -> None:
    images = with_reference_images(case)
    send(network.peer, [*case.all, *images])
    loaded = load_patient(network.peer, str(case.plan.SOPInstanceUID), network.receiver, network.settings)
    assert [one.sop_instance_uid for one in loaded.reference_images] == [str(one.SOPInstanceUID) for one in images]
    assert loaded.warnings == ()


def test_a_missing_reference_image_is_told_and_refuses_nothing(network: Any, case: CaseDatasets) -> None:
    images = with_reference_images(case)
    send(network.peer, [*case.all, images[0]])
    loaded = load_patient(network.peer, str(case.plan.SOPInstanceUID), network.receiver, network.settings)
    assert len(loaded.reference_images) == 1
    (told,) = loaded.warnings
    assert "reference images" in told
    assert str(images[1].SOPInstanceUID) in told


def test_a_reference_image_of_somebody_else_is_refused(network: Any, case: CaseDatasets) -> None:
    images = with_reference_images(case)
    images[1].PatientID = "SOMEBODY"
    send(network.peer, [*case.all, *images])
    with pytest.raises(WrongPatient, match="reference image"):
        load_patient(network.peer, str(case.plan.SOPInstanceUID), network.receiver, network.settings)


def test_success_with_instances_missing_is_no_success(network: Any, case: CaseDatasets) -> None:
    """The archive answers 0000 for an instance that it does not have, as real ones do."""
    send(network.peer, case.all[:3])
    uids = [str(one.SOPInstanceUID) for one in case.all[:3]]
    with pytest.raises(RetrieveIncomplete, match=r"3 of 4 instances .* 0000 .* missing: 1\.2\.3") as caught:
        retrieve(network.peer, [*uids, "1.2.3"], network.receiver, network.settings)
    assert caught.value.facts["missing"] == ["1.2.3"]
    assert caught.value.exit_code == 4


def test_many_instances_go_in_several_moves(network: Any, case: CaseDatasets) -> None:
    send(network.peer, case.ct)
    settings = replace(network.settings, move_batch=4)
    report = retrieve(network.peer, case.volume.sop_instance_uids, network.receiver, settings)
    assert report.arrived == case.volume.sop_instance_uids
    assert report.missing == ()


def test_an_instance_that_was_not_asked_for_is_refused(network: Any, case: CaseDatasets) -> None:
    own = Peer("ROOM", "127.0.0.1", network.receiver.port)
    results = send(own, [case.plan], calling_ae_title="TMS")
    assert results[0].status == 0x0124
    assert "not asked for" in results[0].comment
    assert network.receiver.store.uids() == ()
    with pytest.raises(StoreFailed, match=r"RT Ion Plan .* status 0124"):
        require_stored(results, own)


def test_who_may_associate_with_the_receiver(network: Any) -> None:
    with pytest.raises(AssociationRefused, match="calling AE title not recognised") as caught:
        echo(Peer("ROOM", "127.0.0.1", network.receiver.port), NodeSettings("STRANGER"))
    assert exit_code_of(caught.value) == 4
    with pytest.raises(AssociationRefused, match="called AE title not recognised"):
        echo(Peer("OTHER", "127.0.0.1", network.receiver.port), NodeSettings("TMS"))


def test_a_stranger_host_is_cut_off(tmp_path: Any) -> None:
    settings = ReceiverSettings("ROOM", callers=(Caller("TMS", ("192.0.2.1",)),))
    with (
        StorageReceiver(settings, ObjectStore(tmp_path)) as receiver,
        pytest.raises(AssociationAborted),
    ):
        echo(Peer("ROOM", "127.0.0.1", receiver.port))


def test_an_archive_that_is_down() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(PeerUnreachable, match=f"TMS at 127.0.0.1:{port}"):
            echo(Peer("TMS", "127.0.0.1", port))


def test_an_archive_that_never_answers() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        settings = NodeSettings("ROOM", association_timeout_s=0.3)
        with pytest.raises(PeerTimeout, match=r"0\.3 s"):
            echo(Peer("TMS", "127.0.0.1", silent.getsockname()[1]), settings)


def test_an_unknown_move_destination(network: Any, case: CaseDatasets) -> None:
    send(network.peer, [case.plan])
    with pytest.raises(MoveDestinationUnknown, match="A801"):
        retrieve(
            network.peer,
            [str(case.plan.SOPInstanceUID)],
            network.receiver,
            replace(network.settings, ae_title="ELSEWHERE"),
        )


def test_cancelling(network: Any, case: CaseDatasets) -> None:
    send(network.peer, case.all)
    with pytest.raises(RetrieveCancelled):
        retrieve(
            network.peer, case.volume.sop_instance_uids, network.receiver, network.settings, cancelled=lambda: True
        )
    echo(network.peer, network.settings)


def test_a_structure_set_that_the_archive_lacks_is_a_question(network: Any, case: CaseDatasets) -> None:
    send(network.peer, [case.plan, *case.ct])
    plan_uid = str(case.plan.SOPInstanceUID)
    with pytest.raises(StructureSetUnresolved, match="Which structure set"):
        load_patient(network.peer, plan_uid, network.receiver, network.settings)
    with pytest.raises(RetrieveIncomplete):
        load_patient(network.peer, plan_uid, network.receiver, network.settings, structure_set_uid="1.2.3")


def test_a_named_structure_set_is_used(network: Any, case: CaseDatasets) -> None:
    case.plan.ReferencedStructureSetSequence[0].ReferencedSOPInstanceUID = "1.2.3.4"
    send(network.peer, case.all)
    loaded = load_patient(
        network.peer,
        str(case.plan.SOPInstanceUID),
        network.receiver,
        network.settings,
        structure_set_uid=str(case.structure_set.SOPInstanceUID),
    )
    assert len(loaded.volume.hounsfield) == 6


@pytest.mark.parametrize("spoiled", ["structure_set", "ct"])
def test_objects_of_another_patient(network: Any, case: CaseDatasets, spoiled: str) -> None:
    one = case.structure_set if spoiled == "structure_set" else case.ct[2]
    one.PatientID, one.PatientName = "P-2", "Somebody^Else"
    send(network.peer, case.all)
    with pytest.raises(WrongPatient, match=str(one.SOPInstanceUID)) as caught:
        load_patient(network.peer, str(case.plan.SOPInstanceUID), network.receiver, network.settings)
    assert "Somebody" not in str(caught.value)


def test_a_port_that_is_taken(network: Any, tmp_path: Any) -> None:
    settings = ReceiverSettings("ROOM", port=network.receiver.port)
    with pytest.raises(ReceiverNotStarted, match=str(network.receiver.port)):
        StorageReceiver(settings, ObjectStore(tmp_path / "other")).start()


@pytest.mark.parametrize("title", ["", "   ", "SEVENTEEN CHARS !", "ÄRZTE", "A\\B", "A\nB"])
def test_ae_titles_are_checked(title: str) -> None:
    with pytest.raises(ConfigurationError, match="AE title"):
        Peer(title, "127.0.0.1", 104)


def test_a_pdu_longer_than_offered_is_not_read(network: Any) -> None:
    """An association request that announces 4 GiB ends the connection before anything is read."""
    with socket.create_connection(("127.0.0.1", network.receiver.port), timeout=10) as peer:
        peer.sendall(b"\x01\x00\xff\xff\xff\xff")
        assert peer.recv(100) == b""


@dataclass
class Scripted:
    """A peer whose answers are given by the test."""

    peer: Peer


@pytest.fixture
def scripted() -> Iterator[Any]:
    running: list[AE] = []

    def start(*handlers: Any) -> Peer:
        entity = AE("TMS")
        for sop_class in (Verification, StudyRootQueryRetrieveInformationModelMove, CTImageStorage):
            entity.add_supported_context(sop_class)
        server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=list(handlers))
        running.append(entity)
        return Peer("TMS", "127.0.0.1", server.server_address[1])

    yield start
    for entity in running:
        threads = [one for one in threading.enumerate() if one.name.startswith("AcceptorServer")]
        entity.shutdown()
        for thread in threads:
            thread.join()


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (0xA701, MoveFailed),
        (0xA702, MoveFailed),
        (0xA801, MoveDestinationUnknown),
        (0xA900, MoveFailed),
        (0xC001, MoveFailed),
        (0xFE00, MoveFailed),
        (0x0122, MoveFailed),
    ],
)
def test_move_statuses(network: Any, scripted: Any, status: int, kind: type[Exception]) -> None:
    def answer(_: Any) -> Iterator[Any]:
        comment = Dataset()
        comment.Status = status
        comment.ErrorComment = "the peer's own words"
        yield "127.0.0.1", network.receiver.port, {"contexts": [build_context(CTImageStorage)]}
        yield 1
        yield comment, None

    own = network.settings
    with pytest.raises(kind, match=f"{status:04X}"):
        retrieve(scripted((evt.EVT_C_MOVE, answer)), ["1.2.3"], network.receiver, own)


def test_a_warning_is_told_although_everything_has_arrived(network: Any, scripted: Any, case: CaseDatasets) -> None:
    """B000 since the archive also tried to send what nobody asked for: no failure, all instances are here."""

    def answer(_: Any) -> Iterator[Any]:
        yield "127.0.0.1", network.receiver.port, {"contexts": [build_context(CTImageStorage)]}
        yield 2
        yield 0xFF00, case.ct[0]
        yield 0xFF00, case.plan

    uid = str(case.ct[0].SOPInstanceUID)
    report = retrieve(scripted((evt.EVT_C_MOVE, answer)), [uid], network.receiver, network.settings)
    assert report.missing == ()
    assert report.warning.startswith("final status B000, one or more sub-operations failed")


def test_a_peer_that_aborts_in_the_middle_of_a_move(network: Any, scripted: Any) -> None:
    def answer(event: Any) -> Iterator[Any]:
        event.assoc.abort()
        yield None, None

    with pytest.raises(AssociationAborted, match="C-MOVE"):
        retrieve(scripted((evt.EVT_C_MOVE, answer)), ["1.2.3"], network.receiver, network.settings)


def test_a_peer_that_does_not_answer_a_store_in_time(scripted: Any, case: CaseDatasets) -> None:
    release = threading.Event()

    def answer(_: Any) -> int:
        release.wait(10)
        return 0x0000

    settings = NodeSettings("ROOM", response_timeout_s=0.3)
    try:
        with pytest.raises(PeerTimeout, match="C-STORE"):
            send(scripted((evt.EVT_C_STORE, answer)), case.ct[:2], settings)
    finally:
        release.set()


def test_each_instance_has_its_own_result(scripted: Any, case: CaseDatasets) -> None:
    statuses = iter([0x0000, 0xB007, 0xA700, 0xC123])
    peer = scripted((evt.EVT_C_STORE, lambda _: next(statuses)))
    results = send(peer, [*case.ct[:4], case.plan])
    assert [one.status for one in results] == [0x0000, 0xB007, 0xA700, 0xC123, 0x0122]
    assert [one.is_stored for one in results] == [True, True, False, False, False]
    assert results[1].meaning == "stored, data set does not match SOP class"
    with pytest.raises(StoreFailed, match="3 of 5"):
        require_stored(results, peer)


def test_services_that_the_peer_does_not_offer(scripted: Any, case: CaseDatasets, network: Any) -> None:
    entity = AE("TMS")
    entity.add_supported_context(CTImageStorage)
    server = entity.start_server(("127.0.0.1", 0), block=False)
    thread = next(one for one in threading.enumerate() if one.name.startswith("AcceptorServer"))
    try:
        with pytest.raises((AssociationRefused, AssociationAborted)):
            echo(Peer("TMS", "127.0.0.1", server.server_address[1]), network.settings)
    finally:
        entity.shutdown()
        thread.join()
