"""The in-room CT: open while its field is active, only the planned patient, and commitment that tells the truth."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset
from pynetdicom import AE, evt

from isoalign.dicom.errors import AssociationRefused, CommitmentFailed, PeerUnreachable
from isoalign.dicom.node import (
    Caller,
    Elsewhere,
    InRoomCtReceiver,
    NodeSettings,
    Notice,
    NoticeKind,
    Peer,
    PlannedPatient,
    ReceiverSettings,
    RetryPolicy,
    request_commitment,
    send,
)
from isoalign.dicom.object_store import ObjectStore
from isoalign.dicom.objects import CaseDatasets, read_plan

COMMITMENT = "1.2.840.10008.1.20.1"
SCANNER = NodeSettings("CT1", response_timeout_s=10.0, association_timeout_s=5.0)


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


class Field:
    def __init__(self, folder: Path, case: CaseDatasets) -> None:
        self.notices: list[Notice] = []
        self.committed: list[tuple[str, ...]] = []
        self.folder = folder
        self.patient = PlannedPatient.of(read_plan(case.plan))

    def open(self, **kwargs: Any) -> InRoomCtReceiver:
        settings = ReceiverSettings("PTI-SCP", callers=(Caller("CT1", ("127.0.0.1",)),))
        return InRoomCtReceiver(
            settings,
            ObjectStore(self.folder),
            self.patient,
            on_notice=self.notices.append,
            on_committed=self.committed.append,
            **kwargs,
        )

    def kinds(self) -> list[NoticeKind]:
        return [one.kind for one in self.notices]


@pytest.fixture
def field(tmp_path: Path, case: CaseDatasets) -> Field:
    for one in case.ct:
        one.PatientBirthDate = "19500101"
    case.plan.PatientBirthDate = "19500101"
    return Field(tmp_path / "field", case)


def names(datasets: Any) -> list[tuple[str, str]]:
    return [(str(one.SOPClassUID), str(one.SOPInstanceUID)) for one in datasets]


def test_images_are_received_and_confirmed_on_the_same_association(field: Field, case: CaseDatasets) -> None:
    with field.open() as receiver:
        peer = Peer("ANYTHING", "127.0.0.1", receiver.port)
        assert {one.status for one in send(peer, case.ct, SCANNER)} == {0x0000}
        result = request_commitment(peer, names(case.ct), SCANNER)
    assert result.failed == ()
    assert list(result.committed) == names(case.ct)
    assert field.committed == [tuple(str(one.SOPInstanceUID) for one in case.ct)]
    assert field.kinds()[-1] is NoticeKind.COMMITTED


def test_missing_and_duplicate_images(field: Field, case: CaseDatasets) -> None:
    with field.open() as receiver:
        peer = Peer("PTI-SCP", "127.0.0.1", receiver.port)
        send(peer, case.ct[:4], SCANNER)
        case.ct[3].InstanceNumber = 99
        assert send(peer, case.ct[3:4], SCANNER)[0].status == 0x0117
        wanted = [*names(case.ct[:5]), names(case.ct[:1])[0]]
        result = request_commitment(peer, wanted, SCANNER)
    uids = [str(one.SOPInstanceUID) for one in case.ct]
    assert [uid for _, uid in result.committed] == uids[1:3]
    assert [(uid, reason) for _, uid, reason in result.failed] == [
        (uids[0], 0x0110),  # listed twice
        (uids[3], 0x0110),  # came twice, with different contents
        (uids[4], 0x0110),  # did not come
    ]
    assert field.committed == []
    assert field.notices[-1].kind is NoticeKind.NOT_COMMITTED
    assert uids[4] in field.notices[-1].message


WRONG = [
    ("PatientID", "P-2", "Patient ID (0010,0020)"),
    ("PatientName", "Other^Only", "Patient's Name (0010,0010)"),
    ("PatientBirthDate", "19500102", "Patient's Birth Date (0010,0030)"),
    ("PatientPosition", "FFS", "Patient Position (0018,5100)"),
    ("ImageType", ["ORIGINAL", "PRIMARY", "LOCALIZER"], "Image Type (0008,0008)"),
    ("ImageType", "ORIGINAL", "Image Type (0008,0008)"),
]


@pytest.mark.parametrize(("keyword", "value", "named"), WRONG)
def test_an_image_that_does_not_fit_the_plan(
    field: Field, case: CaseDatasets, keyword: str, value: Any, named: str
) -> None:
    setattr(case.ct[0], keyword, value)
    with field.open() as receiver:
        results = send(Peer("PTI-SCP", "127.0.0.1", receiver.port), case.ct[:2], SCANNER)
    assert [one.status for one in results] == [0xA900, 0x0000]
    assert results[0].comment.startswith(named)
    assert field.notices[0].kind is NoticeKind.REFUSED
    assert "Other" not in field.notices[0].message


def test_the_given_name_does_not_count(field: Field, case: CaseDatasets) -> None:
    family = str(case.ct[0].PatientName).split("^")[0]
    case.ct[0].PatientName = f"{family}^Somebody^Else"
    with field.open() as receiver:
        assert send(Peer("PTI-SCP", "127.0.0.1", receiver.port), case.ct[:1], SCANNER)[0].status == 0x0000


def test_other_objects_and_other_callers_are_refused(field: Field, case: CaseDatasets) -> None:
    with field.open() as receiver:
        peer = Peer("PTI-SCP", "127.0.0.1", receiver.port)
        assert send(peer, [case.plan], SCANNER)[0].status == 0x0122
        with pytest.raises(AssociationRefused, match="calling AE title"):
            send(peer, case.ct[:1], replace(SCANNER, ae_title="CT2"))


def test_the_provider_is_closed_without_a_field(field: Field, case: CaseDatasets) -> None:
    with field.open() as receiver:
        port = receiver.port
    with pytest.raises(PeerUnreachable):
        send(Peer("PTI-SCP", "127.0.0.1", port), case.ct[:1], SCANNER)


def scu_that_leaves(port: int, wanted: list[tuple[str, str]], action: int = 1) -> int:
    """Asks for a commitment and releases at once, as Orthanc does."""
    information = Dataset()
    information.TransactionUID = "1.2.3.4"
    information.ReferencedSOPSequence = []
    for sop_class, uid in wanted:
        reference = Dataset()
        reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = sop_class, uid
        information.ReferencedSOPSequence.append(reference)
    entity = AE("CT1")
    entity.add_requested_context(COMMITMENT)
    made = entity.associate("127.0.0.1", port, ae_title="PTI-SCP")
    dul = made.dul
    status, _ = made.send_n_action(information, action, COMMITMENT, "1.2.840.10008.1.20.1.1")
    made.release()
    made.join()
    dul.join()
    return int(status.Status)


@pytest.mark.parametrize(("listed", "action", "status"), [(1, 2, 0x0123), (0, 1, 0x0115)])
def test_requests_that_make_no_sense(field: Field, case: CaseDatasets, listed: int, action: int, status: int) -> None:
    with field.open() as receiver:
        assert scu_that_leaves(receiver.port, names(case.ct[:listed]), action) == status


def test_a_scanner_that_has_left_is_called_back_until_it_answers(field: Field, case: CaseDatasets) -> None:
    """By configuration: a new association in the role of the provider, tried again while nobody answers."""
    reports: list[tuple[int, Dataset]] = []
    reported = threading.Event()

    def take(event: Any) -> tuple[int, None]:
        reports.append((event.event_type, event.event_information))
        reported.set()
        return 0x0000, None

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    elsewhere = Elsewhere(
        Peer("CT1", "127.0.0.1", port), NodeSettings("PTI-SCP"), RetryPolicy(first_delay_s=0.1, longest_delay_s=0.2)
    )
    scanner = AE("CT1")
    scanner.add_supported_context(COMMITMENT, scu_role=False, scp_role=True)
    before = set(threading.enumerate())
    with field.open(elsewhere=elsewhere) as receiver:
        send(Peer("PTI-SCP", "127.0.0.1", receiver.port), case.ct[:2], SCANNER)
        assert scu_that_leaves(receiver.port, names(case.ct[:3])) == 0x0000
        assert not reported.wait(0.4), "nobody listens yet"
        scanner.start_server(("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_N_EVENT_REPORT, take)])
        assert reported.wait(10)
    scanner.shutdown()
    for thread in set(threading.enumerate()) - before:
        thread.join(10)
    ((event_type, information),) = reports
    assert event_type == 2
    assert information.TransactionUID == "1.2.3.4"
    assert len(information.ReferencedSOPSequence) == 2
    assert information.FailedSOPSequence[0].FailureReason == 0x0110


def test_a_peer_that_refuses_a_commitment(field: Field, case: CaseDatasets) -> None:
    entity = AE("ARCHIVE")
    entity.add_supported_context(COMMITMENT)
    before = set(threading.enumerate())
    server = entity.start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_N_ACTION, lambda _: (0x0110, None))]
    )
    try:
        with pytest.raises(CommitmentFailed, match="0110"):
            request_commitment(Peer("ARCHIVE", "127.0.0.1", server.server_address[1]), names(case.ct[:1]), SCANNER)
    finally:
        entity.shutdown()
        for thread in set(threading.enumerate()) - before:
            thread.join(10)
