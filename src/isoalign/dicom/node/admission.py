"""Before an association: who may connect, TLS handshake, and the association request as a whole.

Each new connection waits in a thread of its own, with a deadline, and outside pynetdicom: a silent, slow or half-dead
peer costs a seat in the waiting room and nothing else. When the room is full the peer that waits longest has to go, so
a peer that speaks at once is always served.
"""

# Like the adaptation of pynetdicom this module reaches into it on purpose.
# ruff: noqa: SLF001

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, cast

import structlog
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.events import Event
from pynetdicom.pdu_primitives import A_ASSOCIATE
from pynetdicom.transport import RequestHandler, ThreadedAssociationServer

from isoalign.dicom.node.connection import BoundedSocket, ConnectionLimits, read_first_pdu, secured
from isoalign.dicom.node.settings import ReceiverSettings

log = structlog.get_logger()

POLL_S = 0.05
CALLING_AE_TITLE_NOT_RECOGNISED = (0x01, 0x01, 0x03)
LOCAL_LIMIT_EXCEEDED = (0x02, 0x03, 0x02)
"""Result, source and reason of A-ASSOCIATE-RJ; DICOM PS3.8 table 9-21."""


class WaitingRoom:
    """Connections whose association request is not there yet; of too many, the oldest is closed."""

    def __init__(self, seats: int) -> None:
        self._seats = seats
        self._lock = threading.Lock()
        self._waiting: dict[threading.Thread, socket.socket] = {}
        self._threads: set[threading.Thread] = set()

    @contextmanager
    def seat(self, connection: socket.socket) -> Iterator[None]:
        """A seat for the calling thread's connection."""
        self.change(connection)
        try:
            yield
        finally:
            with self._lock:
                self._waiting.pop(threading.current_thread(), None)

    def change(self, connection: socket.socket) -> None:
        """The calling thread's connection is now another object (TLS)."""
        with self._lock:
            self._threads = {one for one in self._threads if one.is_alive()} | {threading.current_thread()}
            self._waiting[threading.current_thread()] = connection
            while len(self._waiting) > self._seats:
                oldest = next(iter(self._waiting))
                _hang_up(self._waiting.pop(oldest))

    def close(self) -> None:
        """Close everything that waits, and wait for its threads."""
        with self._lock:
            for connection in self._waiting.values():
                _hang_up(connection)
        for thread in self._threads:
            thread.join()


def _hang_up(connection: socket.socket) -> None:
    with suppress(OSError):
        socket.socket.shutdown(connection, socket.SHUT_RDWR)


class AdmittedConnection(RequestHandler):
    """Makes an association of a connection whose association request is there."""

    def __init__(self, request: Any, client_address: Any, server: GuardedServer, first_bytes: bytes) -> None:
        self._first_bytes = first_bytes
        self._limits = server.limits
        super().__init__(request, client_address, server)

    def _create_association(self) -> Association:
        association = super()._create_association()
        association.dul.event_queue.get_nowait()  # the library's own socket has announced the connection
        association.dul.socket = BoundedSocket(
            association, self._limits, first_bytes=self._first_bytes, client_socket=self.request
        )
        return association


class GuardedServer(ThreadedAssociationServer):
    """Listens for associations; see :func:`start_server`."""

    daemon_threads = True
    request_queue_size = 128
    limits: ConnectionLimits
    settings: ReceiverSettings
    tls: ssl.SSLContext | None
    waiting_room: WaitingRoom

    def verify_request(self, request: Any, client_address: Any) -> bool:  # noqa: ARG002 - the library's signature
        """Called by the standard library's server for each connection: known addresses only."""
        allowed = self.settings.addresses
        return not allowed or client_address[0] in allowed

    def service_actions(self) -> None:
        """Called in each turn of the server's loop: nothing.

        The library collects garbage here, which stops every thread for a tenth of a second in a process of this size.
        """

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """In a thread of its own for each connection: wait for the association request, then hand over."""
        deadline_s = time.monotonic() + self.settings.association_timeout_s
        connection = request
        try:
            with self.waiting_room.seat(connection):
                if self.tls is not None:
                    connection = secured(request, self.tls)
                    self.waiting_room.change(connection)
                    connection.settimeout(self.settings.association_timeout_s)
                    connection.do_handshake()
                first_bytes = read_first_pdu(connection, deadline_s)
            AdmittedConnection(connection, client_address, self, first_bytes)
        except (OSError, ValueError) as error:
            log.info("connection closed before its association", address=client_address[0], reason=str(error)[:200])
            self.shutdown_request(connection)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - the library's signature
        """Called by the standard library's server instead of printing a traceback."""
        log.warning("connection not served", address=client_address[0])


def check_caller(event: Event, settings: ReceiverSettings) -> None:
    """Handler of ``EVT_REQUESTED``: calling AE title, address and certificate belong together, not too many, first
    syntax first.

    Of the transfer syntaxes of a presentation context the first that is supported is left, so that the order of the
    peer decides and not the order of ours.
    """
    association = event.assoc
    request = cast(A_ASSOCIATE, association.requestor.primitive)
    refusal = None
    transport = association.dul.socket
    connection = None if transport is None else transport.socket
    if not settings.admits(str(request.calling_ae_title).strip(), association.requestor.address, connection):
        refusal = CALLING_AE_TITLE_NOT_RECOGNISED
    elif sum(one.is_established for one in association.ae.active_associations) >= settings.maximum_associations:
        refusal = LOCAL_LIMIT_EXCEEDED
    if refusal is not None:
        association.acse.send_reject(*refusal)
        association.kill()
        return
    supported = {one.abstract_syntax: set(one.transfer_syntax) for one in association.acceptor.supported_contexts}
    for context in request.presentation_context_definition_list:
        usable = supported.get(context.abstract_syntax, set())
        first = next((syntax for syntax in context.transfer_syntax if syntax in usable), None)
        if first is not None:
            context.transfer_syntax = [first]


def start_server(entity: AE, settings: ReceiverSettings, handlers: list[Any]) -> tuple[GuardedServer, threading.Thread]:
    """Listen, and serve in a thread of our own that ends quickly when asked.

    Raises
    ------
    OSError, TlsUnusable
    """
    tls = settings.tls.provider_context() if settings.tls is not None else None
    server = cast(
        GuardedServer,
        entity.make_server((settings.host, settings.port), evt_handlers=handlers, server_class=GuardedServer),
    )
    server.settings = settings
    server.tls = tls
    server.limits = ConnectionLimits(settings.pdu_bytes, settings.pdu_timeout_s, settings.object_bytes)
    server.waiting_room = WaitingRoom(settings.maximum_waiting)
    entity._servers.append(server)
    thread = threading.Thread(target=server.serve_forever, args=(POLL_S,), name=f"dicom-{entity.ae_title}", daemon=True)
    thread.start()
    return server, thread
