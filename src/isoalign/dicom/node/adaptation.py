"""What this node does to pynetdicom, in one place.

* No logging of messages (they carry patient names) and none of the debug handlers (they cost time).
* ``TCP_NODELAY`` on every connection: without it a peer's delayed acknowledgement stalls each message.
* A PDU may not be longer than was offered: pynetdicom would read whatever length a peer announces into memory.
* The requestor's reactor thread stays parked while we wait for responses: it can otherwise take a response off the
  queue before the waiting call sees it, and the call runs into its time-out.
"""

# This module reaches into pynetdicom on purpose; every other module of the room uses its public interface.
# ruff: noqa: SLF001

from __future__ import annotations

import socket
import threading
import time
from typing import Any, cast

from pynetdicom import AE, _config
from pynetdicom.association import Association
from pynetdicom.events import Event
from pynetdicom.transport import AssociationSocket, ThreadedAssociationServer

from isoalign.dicom import identity

_config.LOG_HANDLER_LEVEL = "none"
_config.LOG_REQUEST_IDENTIFIERS = False
_config.LOG_RESPONSE_IDENTIFIERS = False

PDU_HEADER_BYTES = 6
ASSOCIATION_PDU_BYTES = 65_536
"""Least size that is accepted for any PDU, so that a long association request always fits."""
PARK_TIMEOUT_S = 2.0
JOIN_TIMEOUT_S = 10.0


class ParkingEntity(AE):
    """An application entity whose own associations are parked; also those that pynetdicom opens for C-MOVE."""

    def __init__(self, ae_title: str, pdu_bytes: int) -> None:
        super().__init__(ae_title)
        self.maximum_pdu_size = pdu_bytes
        self.implementation_class_uid = identity.IMPLEMENTATION_CLASS_UID
        self._latest_socket: socket.socket | None = None
        self.implementation_version_name = identity.IMPLEMENTATION_VERSION_NAME

    def associate(self, *args: Any, **kwargs: Any) -> Association:
        """As in pynetdicom, with a parked reactor and a hastened connection."""
        from pynetdicom import evt

        handlers = kwargs.get("evt_handlers") or []
        kwargs["evt_handlers"] = [*handlers, (evt.EVT_CONN_OPEN, prepare_connection)]
        association = super().associate(*args, **kwargs)
        if association.is_established:
            park(association)
        return association

    def _create_socket(self, *args: Any, **kwargs: Any) -> AssociationSocket:
        created = super()._create_socket(*args, **kwargs)
        self._latest_socket = created.socket
        return created

    def close_socket(self) -> None:
        """Close the latest association's socket; pynetdicom forgets it when it cannot connect or gets no answer."""
        if self._latest_socket is not None:
            self._latest_socket.close()
            self._latest_socket = None


class GuardedServer(ThreadedAssociationServer):
    """A server that closes connections from hosts it does not know before reading a byte of them."""

    allowed_hosts: frozenset[str] = frozenset()
    daemon_threads = True

    def verify_request(self, request: Any, client_address: Any) -> bool:  # noqa: ARG002 - the library's signature
        """Called by the standard library's server for each connection."""
        return not self.allowed_hosts or client_address[0] in self.allowed_hosts


def prepare_connection(event: Event) -> None:
    """Handler of ``EVT_CONN_OPEN``: no delay, and a limit on the length of a PDU."""
    connection: Any = event.assoc.dul.socket
    connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    largest = max(int(event.assoc.ae.maximum_pdu_size) or 2**31, ASSOCIATION_PDU_BYTES) + PDU_HEADER_BYTES
    receive = connection.recv

    def receive_limited(count: int) -> bytearray:
        if count > largest:
            give_up_waiting(event.assoc)
            raise OSError(f"the peer announced a PDU of {count} bytes; {largest} are allowed")
        received: bytearray = receive(count)
        if len(received) < count:
            give_up_waiting(event.assoc)
        return received

    connection.recv = receive_limited


def give_up_waiting(association: Association) -> None:
    """End the thread of an acceptor that still waits for an association request; it would wait for its time-out."""
    if association.is_acceptor and association.requestor.primitive is None:
        waiting: Any = association.dul.to_user_queue
        waiting.put(None)


def park(association: Association) -> None:
    """Keep the reactor of a requestor waiting until the association is released or aborted."""
    checkpoint = association._reactor_checkpoint
    checkpoint.clear()
    # the flag can be stale for one turn of the reactor: see it, let a turn pass, see it again
    _wait_paused(association)
    time.sleep(0.003)
    _wait_paused(association)
    checkpoint.__dict__["set"] = _stay
    for name in ("release", "abort", "kill", "_handle_no_response"):
        _unpark_before(association, name, checkpoint)


def _stay() -> None:
    """Stands in for ``set`` while the reactor is parked."""


def _wait_paused(association: Association) -> None:
    deadline = time.monotonic() + PARK_TIMEOUT_S
    while not association._is_paused and time.monotonic() < deadline:
        time.sleep(0.0005)


def _unpark_before(association: Association, name: str, checkpoint: threading.Event) -> None:
    original = getattr(association, name)

    def unparked(*args: Any, **kwargs: Any) -> Any:
        if checkpoint.__dict__.pop("set", None) is not None and name != "release":
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


def start_server(
    entity: AE, address: tuple[str, int], handlers: list[Any], allowed_hosts: frozenset[str]
) -> tuple[GuardedServer, threading.Thread]:
    """Listen, and serve in a thread of our own that ends quickly when asked."""
    server = cast(GuardedServer, entity.make_server(address, evt_handlers=handlers, server_class=GuardedServer))
    server.allowed_hosts = allowed_hosts
    entity._servers.append(server)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), name=f"dicom-{entity.ae_title}", daemon=True)
    thread.start()
    return server, thread
