"""Storage commitment: as provider for an in-room CT, and as user towards an archive.

Source: DICOM PS3.4 annex J; section 2.2.4.3 of the conformance statement.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from io import BytesIO

import structlog
from pydicom.dataset import Dataset
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import build_role, evt
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import N_EVENT_REPORT
from pynetdicom.dsutils import encode
from pynetdicom.events import Event, EventHandlerType
from pynetdicom.pdu import P_DATA_TF
from pynetdicom.presentation import build_context

from isoalign.dicom import identity
from isoalign.dicom.errors import CommitmentFailed
from isoalign.dicom.node.adaptation import FollowUps, report_event
from isoalign.dicom.node.associations import association, no_answer
from isoalign.dicom.node.outbox import RetryPolicy
from isoalign.dicom.node.settings import NodeSettings, Peer
from isoalign.errors import DicomNetworkError

log = structlog.get_logger()

SUCCESS = 0x0000
PROCESSING_FAILURE = 0x0110
INVALID_ARGUMENT = 0x0115
NO_SUCH_ACTION = 0x0123
REQUEST_COMMITMENT = 1
ALL_COMMITTED, FAILURES_EXIST = 1, 2
"""Event types of N-EVENT-REPORT."""
ANSWER_TIMEOUT_S = 5.0
SYNTAXES: list[str | UID] = [ImplicitVRLittleEndian, ExplicitVRLittleEndian]


@dataclass(frozen=True, slots=True)
class CommitmentResult:
    """What became of the instances that a peer wants to be sure of."""

    transaction_uid: str
    committed: tuple[tuple[str, str], ...]
    """(SOP Class UID, SOP Instance UID)."""
    failed: tuple[tuple[str, str, int], ...]
    """(SOP Class UID, SOP Instance UID, Failure Reason)."""

    @property
    def event_type(self) -> int:
        """Of the report."""
        return FAILURES_EXIST if self.failed else ALL_COMMITTED

    def dataset(self) -> Dataset:
        """The Event Information."""
        information = Dataset()
        information.TransactionUID = self.transaction_uid
        if self.committed:
            information.ReferencedSOPSequence = [_reference(*one) for one in self.committed]
        if self.failed:
            information.FailedSOPSequence = [_reference(*one) for one in self.failed]
        return information


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Where a report goes whose requestor has left: a new association, tried again and again."""

    peer: Peer
    settings: NodeSettings
    policy: RetryPolicy = field(default_factory=lambda: RetryPolicy(first_delay_s=1.0, longest_delay_s=60.0))


class CommitmentProvider:
    """Answers storage commitment requests of a storage provider's peers.

    The report follows the response on the same association. A peer that has left gets it on a new association when
    ``elsewhere`` says where, otherwise not at all.

    Parameters
    ----------
    is_kept : callable
        Whether an instance, as (SOP Class UID, SOP Instance UID), is stored, and stored once.
    on_result : callable
        Gets each result; called from another thread.
    elsewhere : Elsewhere, optional
    report_timeout_s : float
        How long the peer may take to answer a report.
    """

    def __init__(
        self,
        is_kept: Callable[[str, str], bool],
        on_result: Callable[[CommitmentResult], None],
        *,
        elsewhere: Elsewhere | None = None,
        report_timeout_s: float = 10.0,
    ) -> None:
        self._is_kept = is_kept
        self._on_result = on_result
        self._elsewhere = elsewhere
        self._report_timeout_s = report_timeout_s
        self._follow_ups = FollowUps()
        self._stopping = threading.Event()
        self._deliveries: list[threading.Thread] = []
        self._reports_due = 0
        self._reported = threading.Condition()

    @property
    def handlers(self) -> list[tuple[evt.EventType, Callable[..., object]]]:
        """For the storage provider."""
        return [(evt.EVT_ACCEPTED, self._follow_ups.prepare), (evt.EVT_N_ACTION, self._on_action)]

    def close(self) -> None:
        """Give up what has not been delivered, and wait for the threads."""
        self._stopping.set()
        for thread in self._deliveries:
            thread.join()

    def wait_reported(self, timeout_s: float) -> bool:
        """Wait until every report that is due was taken by its peer or given up; whether that came in time."""
        with self._reported:
            return self._reported.wait_for(lambda: self._reports_due == 0, timeout_s)

    def _count(self, change: int) -> None:
        with self._reported:
            self._reports_due += change
            self._reported.notify_all()

    def _on_action(self, event: Event) -> tuple[int, None]:
        if event.action_type != REQUEST_COMMITMENT:
            return NO_SUCH_ACTION, None
        try:
            information = event.action_information
            transaction_uid = str(information.TransactionUID)
            wanted = [
                (str(one.ReferencedSOPClassUID), str(one.ReferencedSOPInstanceUID))
                for one in information.ReferencedSOPSequence
            ]
        except Exception:  # noqa: BLE001 - whatever the library raises for a data set that is none
            return INVALID_ARGUMENT, None
        if not (identity.is_uid(transaction_uid) and wanted):
            return INVALID_ARGUMENT, None
        result = self._judge(transaction_uid, wanted)
        self._count(+1)
        self._follow_ups.after_this(event.assoc, lambda: self._report(event.assoc, result))
        self._on_result(result)
        return SUCCESS, None

    def _judge(self, transaction_uid: str, wanted: Sequence[tuple[str, str]]) -> CommitmentResult:
        times = Counter(uid for _, uid in wanted)
        kept = {one for one in wanted if times[one[1]] == 1 and self._is_kept(*one)}
        return CommitmentResult(
            transaction_uid,
            tuple(one for one in wanted if one in kept),
            tuple((*one, PROCESSING_FAILURE) for one in dict.fromkeys(wanted) if one not in kept),
        )

    def _report(self, requested_on: Association, result: CommitmentResult) -> None:
        """In the reactor of the association; afterwards elsewhere, if need be."""
        report = N_EVENT_REPORT()
        report.MessageID = 1
        report.AffectedSOPClassUID = UID(identity.STORAGE_COMMITMENT)
        report.AffectedSOPInstanceUID = UID(identity.STORAGE_COMMITMENT_INSTANCE)
        report.EventTypeID = result.event_type
        syntax = next(
            one.transfer_syntax[0]
            for one in requested_on.accepted_contexts
            if one.abstract_syntax == identity.STORAGE_COMMITMENT
        )
        encoded = encode(result.dataset(), syntax.is_implicit_VR, syntax.is_little_endian)
        report.EventInformation = BytesIO(encoded or b"")
        status = None
        if requested_on.is_established:
            status = report_event(requested_on, report, self._report_timeout_s)
        if status == SUCCESS:
            self._count(-1)
            return
        log.warning("commitment report not taken", transaction_uid=result.transaction_uid, status=status)
        if self._elsewhere is None:
            self._count(-1)
        else:
            thread = threading.Thread(target=self._deliver, args=(self._elsewhere, result), name="dicom-commitment")
            self._deliveries.append(thread)
            thread.start()

    def _deliver(self, elsewhere: Elsewhere, result: CommitmentResult) -> None:
        try:
            self._try_to_deliver(elsewhere, result)
        finally:
            self._count(-1)

    def _try_to_deliver(self, elsewhere: Elsewhere, result: CommitmentResult) -> None:
        for attempt in range(1, elsewhere.policy.most_attempts + 1):
            try:
                deliver_result(elsewhere.peer, elsewhere.settings, result)
                return
            except DicomNetworkError as error:
                log.warning("commitment report waits", code=error.code, reason=error.message, attempt=attempt)
            if self._stopping.wait(elsewhere.policy.delay_s(attempt)):
                return
        log.error("commitment report given up", transaction_uid=result.transaction_uid)


def deliver_result(peer: Peer, settings: NodeSettings, result: CommitmentResult) -> None:
    """Report a result on a new association, as provider (role selection).

    Raises
    ------
    CommitmentFailed
        When the peer does not take it; or as opening an association.
    """
    context = build_context(identity.STORAGE_COMMITMENT, SYNTAXES)
    role = build_role(identity.STORAGE_COMMITMENT, scp_role=True)
    with association(peer, settings, [context], negotiation=[role]) as established:
        started_s = time.monotonic()
        status, _ = established.send_n_event_report(
            result.dataset(), result.event_type, identity.STORAGE_COMMITMENT, identity.STORAGE_COMMITMENT_INSTANCE
        )
        if "Status" not in status:
            raise no_answer(peer, "N-EVENT-REPORT", settings, time.monotonic() - started_s)
        if status.Status != SUCCESS:
            raise CommitmentFailed(f"{peer} answers the report with status {status.Status:04X}")


def request_commitment(
    peer: Peer, instances: Sequence[tuple[str, str]], settings: NodeSettings, *, wait_s: float = 30.0
) -> CommitmentResult:
    """Ask a peer whether it has instances for good, and wait for its report on the same association.

    Parameters
    ----------
    instances : sequence of (SOP Class UID, SOP Instance UID)
    wait_s : float
        How long the peer may take to report.

    Raises
    ------
    CommitmentFailed
        When the request is refused, or no report comes in time; or as opening an association.
    """
    information = Dataset()
    information.TransactionUID = identity.new_uid()
    information.ReferencedSOPSequence = [_reference(*one) for one in instances]
    arrived, answered = threading.Event(), threading.Event()
    reports: list[CommitmentResult] = []

    def on_report(event: Event) -> tuple[int, None]:
        result = _read_result(event)
        if result.transaction_uid != information.TransactionUID:
            return INVALID_ARGUMENT, None
        reports.append(result)
        arrived.set()
        return SUCCESS, None

    def on_sent(event: Event) -> None:
        # what is sent after the report has come is its response; releasing before would break the protocol
        if reports and isinstance(event.pdu, P_DATA_TF):
            answered.set()

    context = build_context(identity.STORAGE_COMMITMENT, SYNTAXES)
    handlers: list[EventHandlerType] = [(evt.EVT_N_EVENT_REPORT, on_report), (evt.EVT_PDU_SENT, on_sent)]
    with association(peer, settings, [context], handlers=handlers) as established:
        started_s = time.monotonic()
        status, _ = established.send_n_action(
            information, REQUEST_COMMITMENT, identity.STORAGE_COMMITMENT, identity.STORAGE_COMMITMENT_INSTANCE
        )
        if "Status" not in status:
            raise no_answer(peer, "N-ACTION", settings, time.monotonic() - started_s)
        if status.Status != SUCCESS:
            comment = str(status.get("ErrorComment", ""))
            raise CommitmentFailed(
                f"{peer} refuses the storage commitment with status {status.Status:04X}" + (comment and f": {comment}")
            )
        if not arrived.wait(wait_s):
            raise CommitmentFailed(
                f"{peer} took the request and has not reported on the association within {wait_s:g} s",
                hint="The peer may report on an association of its own; this node does not listen for that.",
            )
        answered.wait(ANSWER_TIMEOUT_S)
    return reports[0]


def _read_result(event: Event) -> CommitmentResult:
    information = event.event_information
    return CommitmentResult(
        str(information.get("TransactionUID", "")),
        tuple(
            (str(one.ReferencedSOPClassUID), str(one.ReferencedSOPInstanceUID))
            for one in information.get("ReferencedSOPSequence", [])
        ),
        tuple(
            (str(one.ReferencedSOPClassUID), str(one.ReferencedSOPInstanceUID), int(one.FailureReason))
            for one in information.get("FailedSOPSequence", [])
        ),
    )


def _reference(sop_class_uid: str, sop_instance_uid: str, reason: int | None = None) -> Dataset:
    reference = Dataset()
    reference.ReferencedSOPClassUID = sop_class_uid
    reference.ReferencedSOPInstanceUID = sop_instance_uid
    if reason is not None:
        reference.FailureReason = reason
    return reference
