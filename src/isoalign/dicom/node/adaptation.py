"""What this node does to pynetdicom, in one place.

* No logging of messages (they carry patient names), none of the debug handlers (they cost time), and no tracebacks for
  what a peer does wrong: the modules of this room say what a person should know.
* Connections are bounded ones (:mod:`isoalign.dicom.node.connection`), admitted before pynetdicom sees them
  (:mod:`isoalign.dicom.node.admission`).
* The requestor's reactor thread stays parked while we wait for responses: it can otherwise take a response off the
  queue before the waiting call sees it, and the call runs into its time-out.
* A time-out leaves the association open, so that it can be released as the conformance statement wants it.
* Threads are woken instead of polling (:mod:`isoalign.dicom.node.waking`).
* What follows a request on the same association (a storage commitment report) is sent by the reactor's own thread.
"""

# This module reaches into pynetdicom on purpose; every other module of the room uses its public interface.
# ruff: noqa: SLF001

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from io import BytesIO
from typing import Any

from pydicom.dataset import Dataset, FileMetaDataset
from pynetdicom import AE, _config, evt
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE, N_EVENT_REPORT
from pynetdicom.events import Event

from isoalign.dicom import identity
from isoalign.dicom.node.connection import BoundedSocket, ConnectionLimits, give_up_waiting

_config.LOG_HANDLER_LEVEL = "none"
_config.LOG_REQUEST_IDENTIFIERS = False
_config.LOG_RESPONSE_IDENTIFIERS = False
logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)

OBJECT_BYTES = 512 * 1024 * 1024
"""Largest data set that is received on an association of our own (none is expected)."""
PARK_TIMEOUT_S = 2.0
JOIN_TIMEOUT_S = 10.0
REPORT_POLL_S = 0.02
LOW_PRIORITY = 2
"""DICOM PS3.7 9.3.1.1; what the library asks for too."""


class ParkingEntity(AE):
    """An application entity whose own associations are parked; also those that pynetdicom opens for C-MOVE.

    Parameters
    ----------
    ae_title : str
    pdu_bytes : int
        Largest PDU that is offered and accepted; 0: no limit is announced.
    send_pdu_bytes : int
        Largest PDU that is sent.
    pdu_timeout_s : float
        For reading or sending one PDU.
    """

    def __init__(
        self, ae_title: str, pdu_bytes: int, *, send_pdu_bytes: int = 131_072, pdu_timeout_s: float = 30.0
    ) -> None:
        super().__init__(ae_title)
        self.maximum_pdu_size = pdu_bytes
        self.implementation_class_uid = identity.IMPLEMENTATION_CLASS_UID
        self.implementation_version_name = identity.IMPLEMENTATION_VERSION_NAME
        self._limits = ConnectionLimits(pdu_bytes, pdu_timeout_s, OBJECT_BYTES)
        self._send_pdu_bytes = send_pdu_bytes
        self._latest_socket: BoundedSocket | None = None

    def associate(self, *args: Any, **kwargs: Any) -> Association:
        """As in pynetdicom, with a parked reactor and a hastened connection."""
        kwargs["evt_handlers"] = [*(kwargs.get("evt_handlers") or []), (evt.EVT_CONN_OPEN, _hasten)]
        association = super().associate(*args, **kwargs)
        if association.is_established:
            _limit_sent_pdus(association, self._send_pdu_bytes)
            park(association)
        return association

    def _create_socket(self, association: Association, address: Any, tls_args: Any) -> BoundedSocket:
        created = BoundedSocket(association, self._limits, address=address)
        created.tls_args = tls_args
        self._latest_socket = created
        return created

    def close_socket(self) -> None:
        """Close the latest association's socket; pynetdicom forgets it when it gets no answer."""
        if self._latest_socket is not None and self._latest_socket.socket is not None:
            self._latest_socket.socket.close()
        self._latest_socket = None


def _hasten(event: Event) -> None:
    connection: Any = event.assoc.dul.socket
    connection.hasten()


def _limit_sent_pdus(association: Association, most: int) -> None:
    """Lower what the peer says it takes to what we want to send; 0 stands for no limit of the peer's."""
    for item in association.acceptor.user_information:
        if hasattr(item, "maximum_length_received"):
            item.maximum_length_received = min(item.maximum_length_received or most, most)


def park(association: Association) -> None:
    """Keep the reactor of a requestor waiting until the association is released or aborted."""
    checkpoint = association._reactor_checkpoint
    checkpoint.clear()
    # the flag can be stale for one turn of the reactor: see it, let a turn pass, see it again
    _wait_paused(association)
    time.sleep(0.003)
    _wait_paused(association)
    checkpoint.__dict__["set"] = _stay
    for name in ("release", "abort", "kill"):
        _unpark_before(association, name, checkpoint)
    association.__dict__["_handle_no_response"] = _stay


def store_encoded(association: Association, encoded: bytes, meta: FileMetaDataset, message_id: int) -> Dataset:
    """C-STORE of a data set as it is, on a parked association; the answer, and errors, as of ``send_c_store``.

    Parameters
    ----------
    encoded : bytes
    meta : FileMetaDataset
        Says what it is, and in which transfer syntax.

    Raises
    ------
    RuntimeError
        When the association is no more.
    ValueError
        When no context with this transfer syntax was accepted.
    """
    if not association.is_established:
        raise RuntimeError("the association is closed")
    sop_class = meta.MediaStorageSOPClassUID
    context = association._get_valid_context(sop_class, meta.TransferSyntaxUID, "scu", allow_conversion=False)
    request = C_STORE()
    request.MessageID, request.Priority = message_id, LOW_PRIORITY
    request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = sop_class, meta.MediaStorageSOPInstanceUID
    request.DataSet = BytesIO(encoded)
    association.dimse.send_msg(request, context.context_id or 0)
    _, response = association.dimse.get_msg(block=True)
    return Dataset() if response is None else association._check_received_status(response)


def _stay() -> None:
    """Stands in for what the parked reactor must not do: go on, or abort after a time-out."""


def _wait_paused(association: Association) -> None:
    deadline = time.monotonic() + PARK_TIMEOUT_S
    while not association._is_paused and time.monotonic() < deadline:
        time.sleep(0.0005)


def _unpark_before(association: Association, name: str, checkpoint: threading.Event) -> None:
    original = getattr(association, name)

    def unparked(*args: Any, **kwargs: Any) -> Any:
        if checkpoint.__dict__.pop("set", None) is not None:
            # the reactor waits, whatever a request that was served meanwhile has made of the flag
            association._is_paused = True
            if name != "release":
                # a release negotiates with the reactor still waiting, and lets it go itself
                checkpoint.set()
        return original(*args, **kwargs)

    setattr(association, name, unparked)


def finish(association: Association) -> None:
    """Release an association if it stands, otherwise close it, and wait for its threads."""
    if association.is_established:
        association.release()
    elif not association.is_released and association.dul.is_alive():
        association.abort()
    join_threads(association.ae)
    if isinstance(association.ae, ParkingEntity):
        association.ae.close_socket()


def join_threads(entity: AE) -> None:
    """Wait until no thread of the entity's associations is left."""
    deadline = time.monotonic() + JOIN_TIMEOUT_S
    current = threading.current_thread()
    for thread in threading.enumerate():
        association = thread if isinstance(thread, Association) else getattr(thread, "assoc", None)
        if thread is not current and association is not None and association.ae is entity:
            give_up_waiting(association)
            thread.join(max(0.0, deadline - time.monotonic()))


class FollowUps:
    """Work that an acceptor's own reactor does once it has answered the request that it is serving.

    Only so can a further request be sent on the association: any other thread would race the reactor for the response.
    """

    def __init__(self) -> None:
        self._waiting: dict[Association, Callable[[], None]] = {}

    def prepare(self, event: Event) -> None:
        """Handler of ``EVT_ACCEPTED``."""
        association = event.assoc
        serve = association._serve_request

        def serve_and_follow(*args: Any) -> None:
            serve(*args)
            work = self._waiting.pop(association, None)
            if work is not None:
                work()

        association.__dict__["_serve_request"] = serve_and_follow

    def after_this(self, association: Association, work: Callable[[], None]) -> None:
        """Called by the handler of a request."""
        self._waiting[association] = work


def report_event(association: Association, report: N_EVENT_REPORT, timeout_s: float) -> int | None:
    """Send N-EVENT-REPORT from the acceptor's reactor; the peer's status, None when it leaves or does not answer.

    Other requests that come in between are served.
    """
    context = association._get_valid_context(str(report.AffectedSOPClassUID), "", None)
    association.dimse.send_msg(report, context.context_id or 0)
    deadline_s = time.monotonic() + timeout_s
    while time.monotonic() < deadline_s and association.dul.peek_next_pdu() is None and association.dul.is_alive():
        try:
            context_id, message = association.dimse.msg_queue.get(timeout=REPORT_POLL_S)
        except queue.Empty:
            continue
        if isinstance(message, N_EVENT_REPORT) and message.is_valid_response:
            return int(message.Status or 0)
        if message is not None:
            association._serve_request(message, context_id or 0)
    return None
