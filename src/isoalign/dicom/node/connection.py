"""One TCP connection of an association, with bounds: length of a PDU, size of a data set, time for a PDU.

pynetdicom would read whatever length a peer announces into memory, and wait for its bytes for ever.
"""

from __future__ import annotations

import itertools
import socket
import ssl
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import structlog
from pynetdicom.association import Association
from pynetdicom.transport import AssociationSocket

from isoalign.dicom.node.settings import LARGEST_PDU_BYTES
from isoalign.dicom.node.transfer import Buffers, ShortWay, fits
from isoalign.dicom.node.waking import LONGEST_SLEEP_S, wake_threads

log = structlog.get_logger()

ASSOCIATION_PDU_BYTES = 65_536
"""Least size that is accepted for any PDU, so that a long association request always fits."""
PDU_HEADER_BYTES = 6
P_DATA = 0x04
KNOWN_PDUS = range(0x01, 0x08)
UNREAD_MESSAGES = 4
"""Requests that wait for their answer; while there are more, nothing is read and the peer has to wait."""
LAST_FRAGMENT = 0x02
KEPT_ROOM_BYTES = 1024 * 1024
"""Longest buffer for PDUs that is used again."""
MOST_BUFFERS, BUFFERS_OF_TLS = 64, 2
"""That go into one call."""
SHORT_SLEEP_S = 0.001
"""Of a thread that has no connection to wait for, or must not read from it."""
IDLE = "Sta1"
"""DICOM PS3.8 table 9-1: idle, no connection."""
AWAITING_CLOSE = "Sta13"
"""DICOM PS3.8 table 9-5: awaiting the end of the connection."""
CONNECTION_CLOSED = "Evt17"
"""DICOM PS3.8 table 9-10: transport connection closed indication."""


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What a peer may send, in bytes, and how long one PDU may take, in seconds."""

    pdu_bytes: int
    pdu_timeout_s: float
    object_bytes: int

    @property
    def longest_pdu_bytes(self) -> int:
        """The longest PDU that is read; ``pdu_bytes`` 0 stands for no announced limit."""
        return max(self.pdu_bytes or LARGEST_PDU_BYTES, ASSOCIATION_PDU_BYTES)


class BoundedSocket(AssociationSocket):
    """A connection that keeps the limits; a peer that breaks them is cut off.

    Parameters
    ----------
    association : Association
    limits : ConnectionLimits
    first_bytes : bytes
        What was read from an accepted connection already.
    **kwargs
        ``client_socket`` or ``address``, as pynetdicom has them.
    """

    def __init__(
        self, association: Association, limits: ConnectionLimits, *, first_bytes: bytes = b"", **kwargs: Any
    ) -> None:
        super().__init__(association, **kwargs)
        self._bell = wake_threads(association)
        if self._bell is not None and fits(association):
            ShortWay(association, self)
        self._limits = limits
        self._first_bytes = first_bytes
        self._pdu_type: int | None = None
        self._deadline_s = 0.0
        self._object_bytes = 0
        self._room = bytearray()
        self.hasten()
        _end_quietly(association)

    def hasten(self) -> None:
        """No delay: a peer's late acknowledgement would stall each message."""
        if self.socket is not None:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @property
    def ready(self) -> bool:
        """Whether there is something to read, and nothing too much to be done before; waits for it a little."""
        is_busy = self.assoc.dimse.msg_queue.qsize() > UNREAD_MESSAGES
        connection = self.socket
        if self._bell is None:
            return not is_busy and (bool(self._first_bytes) or bool(super().ready))
        if is_busy or connection is None or not self._is_connected:
            time.sleep(SHORT_SLEEP_S)
            return False
        if self._first_bytes or (isinstance(connection, ssl.SSLSocket) and connection.pending()):
            return True
        is_ending = self.assoc.dul.state_machine.current_state == AWAITING_CLOSE
        try:
            return self._bell.wait(connection, 0.0 if is_ending else LONGEST_SLEEP_S)
        except (OSError, ValueError):
            self.event_queue.put(CONNECTION_CLOSED)
            return False

    def recv(self, nr_bytes: int) -> bytearray:
        """Read exactly ``nr_bytes``: the header of a PDU and what follows it, in turn. Fewer at the end of the stream.

        Raises
        ------
        OSError
            When a limit is exceeded; TimeoutError when the PDU takes too long.
        """
        self._require_allowed(nr_bytes)
        if self._pdu_type is None:
            self._deadline_s = time.monotonic() + self._limits.pdu_timeout_s
            header = self._read(nr_bytes)
            # of a PDU of no known type the library reads nothing more
            self._pdu_type = header[0] if len(header) == PDU_HEADER_BYTES and header[0] in KNOWN_PDUS else None
            return header
        pdu_type, self._pdu_type = self._pdu_type, None
        body = self._read(nr_bytes)
        if pdu_type == P_DATA:
            self._count(body)
        return body

    def read_data(self) -> memoryview | None:
        """What follows the header of the next PDU, when that is P-DATA: a view that holds until the next call.

        Otherwise None, and nothing is read.

        Raises
        ------
        OSError
            As :meth:`recv`, and when the stream ends first.
        """
        header = self.recv(PDU_HEADER_BYTES)
        if self._pdu_type != P_DATA:
            self._pdu_type = None
            self._first_bytes = bytes(header) + self._first_bytes
            return None
        self._pdu_type = None
        length = int.from_bytes(header[2:], "big")
        self._require_allowed(length)
        room = self._room if length <= len(self._room) else bytearray(length)
        if len(room) <= KEPT_ROOM_BYTES:
            self._room = room
        body = memoryview(room)[:length]
        if self._fill(body) < length:
            raise OSError("the peer left in the middle of a PDU")
        self._count(body)
        return body

    def _require_allowed(self, pdu_bytes: int) -> None:
        longest = self._limits.longest_pdu_bytes
        if pdu_bytes > longest:
            raise OSError(f"the peer announced a PDU of {pdu_bytes} bytes; {longest} are allowed")

    def _read(self, count: int) -> bytearray:
        received = bytearray(count)
        with memoryview(received) as view:
            done = self._fill(view)
        del received[done:]
        return received

    def _fill(self, view: memoryview) -> int:
        """Read until ``view`` is full or the stream ends; how many bytes."""
        count = len(view)
        done = min(count, len(self._first_bytes))
        if done:
            view[:done], self._first_bytes = self._first_bytes[:done], self._first_bytes[done:]
        while done < count:
            remaining_s = self._deadline_s - time.monotonic()
            if remaining_s <= 0 or self.socket is None:
                raise TimeoutError("the peer does not finish its PDU")
            self.socket.settimeout(remaining_s)
            read = self.socket.recv_into(view[done:])
            if read == 0:
                break
            done += read
        return done

    def _count(self, body: bytearray | memoryview) -> None:
        """Add up the fragments of the data set that is being received; DICOM PS3.8 9.3.5 and PS3.7 annex F."""
        position = 0
        while position + 6 <= len(body):
            length = int.from_bytes(body[position : position + 4], "big")
            self._object_bytes += length
            if self._object_bytes > self._limits.object_bytes:
                raise OSError(f"the peer sends a data set of more than {self._limits.object_bytes} bytes")
            if body[position + 5] & LAST_FRAGMENT:
                self._object_bytes = 0
            position += 4 + length

    def send(self, bytestream: bytes) -> None:
        """Send all, in one call and within the time for a PDU; otherwise the connection counts as closed."""
        try:
            if self.socket is None:
                raise OSError("the connection is closed")
            self.socket.settimeout(self._limits.pdu_timeout_s)
            self.socket.sendall(bytestream)
        except OSError:
            self.event_queue.put(CONNECTION_CLOSED)

    def send_all(self, buffers: Buffers) -> None:
        """Send these, in as few calls as possible, each within the time for a PDU; otherwise as :meth:`send`."""
        waiting: deque[memoryview] = deque(memoryview(one) for one in buffers)
        deadline_s = time.monotonic() + self._limits.pdu_timeout_s
        try:
            while waiting:
                connection, remaining_s = self.socket, deadline_s - time.monotonic()
                if connection is None or remaining_s <= 0:
                    raise OSError("the connection is closed, or the peer does not read")
                connection.settimeout(remaining_s)
                if isinstance(connection, ssl.SSLSocket):
                    sent = connection.send(b"".join(itertools.islice(waiting, BUFFERS_OF_TLS)))
                else:
                    sent = connection.sendmsg(itertools.islice(waiting, MOST_BUFFERS))
                while waiting and sent >= len(waiting[0]):
                    sent -= len(waiting.popleft())
                    deadline_s = time.monotonic() + self._limits.pdu_timeout_s
                if sent:
                    waiting[0] = waiting[0][sent:]
        except OSError:
            self.event_queue.put(CONNECTION_CLOSED)

    def note_broken(self, error: Exception) -> None:
        """Say that a peer breaks the protocol."""
        log.info("association ended: the protocol is broken", reason=str(error)[:200])

    def _shutdown_socket(self) -> None:
        """As in pynetdicom, and the socket is closed also when it was never connected."""
        if self.socket is not None:
            with suppress(OSError):
                self.socket.shutdown(socket.SHUT_RDWR)
            self.socket.close()
        if self._bell is not None:
            self._bell.close()


def _end_quietly(association: Association) -> None:
    """Two things that the library's state machine leaves undone.

    It raises in its thread when its input makes no sense: the connection is closed instead. When the connection ends
    before an association request it lets the association's thread wait on until its time-out.
    """
    dul = association.dul
    act = dul.state_machine.do_action

    def act_or_close(event: str) -> None:
        try:
            act(event)
        except Exception as error:  # noqa: BLE001 - whatever a peer's bytes can make the library raise
            log.info("association ended: the protocol is broken", reason=str(error)[:200])
            _break_off(association, is_last=event == CONNECTION_CLOSED)
        if dul.state_machine.current_state == IDLE:
            give_up_waiting(association)

    dul.state_machine.__dict__["do_action"] = act_or_close


def _break_off(association: Association, *, is_last: bool) -> None:
    """Close the connection, and let the state machine tell whoever waits; ``is_last`` when it cannot do that either."""
    dul = association.dul
    while not dul.to_provider_queue.empty():
        dul.to_provider_queue.get_nowait()
    if dul.socket is not None and dul.socket.socket is not None:
        dul.socket.close()
    if is_last:
        dul.kill_dul()
        give_up_waiting(association)
    else:
        dul.event_queue.put(CONNECTION_CLOSED)


def give_up_waiting(association: Association) -> None:
    """End the thread of an acceptor that still waits for an association request; it would wait for its time-out."""
    if association.is_acceptor and association.requestor.primitive is None:
        waiting: Any = association.dul.to_user_queue
        waiting.put(None)


def read_first_pdu(connection: socket.socket, deadline_s: float) -> bytes:
    """The association request of a new connection, whole; only the header when it is no association request.

    Parameters
    ----------
    deadline_s : float
        On the monotonic clock.

    Raises
    ------
    OSError
        When the peer leaves, announces too long a PDU, or takes too long.
    """
    header = _read_exactly(connection, PDU_HEADER_BYTES, deadline_s)
    length = int.from_bytes(header[2:6], "big")
    if header[0] != 0x01:
        return header
    if length > ASSOCIATION_PDU_BYTES:
        raise OSError(f"the peer announced an association request of {length} bytes")
    return header + _read_exactly(connection, length, deadline_s)


def _read_exactly(connection: socket.socket, count: int, deadline_s: float) -> bytes:
    received = b""
    while len(received) < count:
        remaining_s = deadline_s - time.monotonic()
        if remaining_s <= 0:
            raise TimeoutError("the peer does not finish its association request")
        connection.settimeout(remaining_s)
        more = connection.recv(count - len(received))
        if not more:
            raise OSError("the peer left before its association request was whole")
        received += more
    return received


def secured(connection: socket.socket, context: ssl.SSLContext) -> ssl.SSLSocket:
    """An accepted connection with TLS on it, the handshake still to be done."""
    return context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
