"""P-DATA read and written the short way: whole PDUs, no copies of fragments, and no queues in between.

On its own the library copies every fragment of an object seven times, leads it through three queues and its state
machine (which stays where it is), and makes a data set of every command set. Here

* a PDU is read into a buffer that is used again, and its fragments go to the message that they belong to;
* the command set of a plain C-STORE is read and written by :mod:`isoalign.dicom.node.store_command`;
* a C-STORE is given to the connection whole, as a list of buffers.

Everything else is the library's as before: every other message and PDU, every other state than the one for data
transfer, and what a peer does wrong. As with :mod:`isoalign.dicom.node.waking`, nothing is replaced in a version of the
library that is not known.

Source: DICOM PS3.8 9.3.5 and annex E (P-DATA-TF, fragments).
"""

# Like the adaptation of pynetdicom this module reaches into it on purpose.
# ruff: noqa: SLF001

from __future__ import annotations

import struct
import threading
from collections.abc import Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any

from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.pdu import P_DATA_TF
from pynetdicom.pdu_primitives import P_DATA

from isoalign.dicom.node import store_command

if TYPE_CHECKING:
    from isoalign.dicom.node.connection import BoundedSocket

DATA_TRANSFER = "Sta6"
"""DICOM PS3.8 table 9-3: association established, ready for data transfer."""
CONNECTION_CLOSED = "Evt17"
INVALID_PDU = "Evt19"
"""DICOM PS3.8 table 9-10."""
P_DATA_TYPE = 0x04
IS_COMMAND, IS_LAST = 0x01, 0x02
"""Bits of a message control header; DICOM PS3.8 E.2."""
PDU_HEADER = struct.Struct(">BxI")
FRAGMENT_HEADER = struct.Struct(">IBB")
"""Length of what follows it, presentation context, message control header; DICOM PS3.8 9.3.5.1."""
UNLIMITED_FRAGMENT_BYTES = 131_072
"""For a peer that states no limit."""

USED = {
    "dul": ("_read_pdu_data", "_send", "_idle_timer", "_kill_thread", "to_provider_queue", "event_queue"),
    "dimse": ("send_msg", "receive_primitive", "message", "msg_queue", "maximum_pdu_size"),
}
"""What is used or replaced of the library in an association, by its part."""

Buffers = Sequence[bytes | memoryview]


class WholeMessage(list[Any]):
    """The buffers of one message, in place of the one fragment that the library would send."""


def fragments_of(body: memoryview) -> list[tuple[int, memoryview]]:
    """Presentation context and value (message control header first) of each fragment in a P-DATA-TF PDU.

    Raises
    ------
    ValueError
        When the lengths do not fit.
    """
    found = []
    position = 0
    while position < len(body):
        if position + FRAGMENT_HEADER.size > len(body):
            raise ValueError("a fragment's header is cut")
        length, context_id, _ = FRAGMENT_HEADER.unpack_from(body, position)
        end = position + 4 + length
        if length < 2 or end > len(body):
            raise ValueError("the length of a fragment does not fit its PDU")
        found.append((context_id, body[position + 5 : end]))
        position = end
    return found


def pdus_of(context_id: int, command: bytes, data: bytes | memoryview, longest: int) -> WholeMessage:
    """The PDUs of one message, one fragment each.

    Parameters
    ----------
    longest : int
        Most bytes of a PDU behind its header; 0: the peer states no limit.
    """
    most = (longest or UNLIMITED_FRAGMENT_BYTES) - FRAGMENT_HEADER.size
    buffers = WholeMessage()
    for kind, content in ((IS_COMMAND, memoryview(command)), (0, memoryview(data))):
        for first in range(0, len(content), most):
            part = content[first : first + most]
            control = kind | (IS_LAST if first + most >= len(content) else 0)
            buffers.append(
                PDU_HEADER.pack(P_DATA_TYPE, len(part) + FRAGMENT_HEADER.size)
                + FRAGMENT_HEADER.pack(len(part) + 2, context_id, control)
            )
            buffers.append(part)
    return buffers


def fits(association: Association) -> bool:
    """Whether the library still has all that the short way needs of it."""
    return all(hasattr(getattr(association, part), name) for part, names in USED.items() for name in names)


class ShortWay:
    """Stands in for three methods of the library in one association; see the module.

    Parameters
    ----------
    association : Association
        New; its threads do not run yet.
    connection : BoundedSocket
    """

    def __init__(self, association: Association, connection: BoundedSocket) -> None:
        self._association = association
        self._connection = connection
        self._request: C_STORE | None = None
        self._context_id = 0
        self._data = BytesIO()
        dul, dimse = association.dul, association.dimse
        self._read_pdu, self._send_pdu, self._send_message = dul._read_pdu_data, dul._send, dimse.send_msg
        dul.__dict__["_read_pdu_data"] = self.read_pdu
        dul.__dict__["_send"] = self.send_pdu
        dimse.__dict__["send_msg"] = self.send_message

    def read_pdu(self) -> None:
        """Called by the library when there is something to read: a PDU, and of a data set all that comes with it."""
        dul = self._association.dul
        if dul.state_machine.current_state != DATA_TRANSFER:
            self._read_pdu()
            return
        try:
            while self._read_data() and self._request is not None and not self._is_disturbed():
                dul._idle_timer.restart()
                if not self._connection.ready:
                    return
        except OSError:
            dul.event_queue.put(CONNECTION_CLOSED)
        except Exception as error:  # noqa: BLE001 - whatever a peer's bytes can make the library raise
            self._connection.note_broken(error)
            dul.event_queue.put(INVALID_PDU)

    def _read_data(self) -> bool:
        """Read one PDU; whether it was P-DATA."""
        body = self._connection.read_data()
        if body is None:
            self._read_pdu()
            return False
        for context_id, value in fragments_of(body):
            self._take(context_id, value)
        return True

    def _is_disturbed(self) -> bool:
        """Whether the library has something else to do."""
        dul = self._association.dul
        return dul._kill_thread or not (dul.event_queue.empty() and dul.to_provider_queue.empty())

    def _take(self, context_id: int, value: memoryview) -> None:
        """One fragment of a message."""
        control = value[0]
        request, dimse = self._request, self._association.dimse
        if request is None:
            is_whole_command = dimse.message is None and control & (IS_COMMAND | IS_LAST) == IS_COMMAND | IS_LAST
            message = store_command.decode(bytes(value[1:])) if is_whole_command else None
            if message is None:
                self._give(context_id, value)
            elif message.MessageIDBeingRespondedTo is not None:
                dimse.msg_queue.put((context_id, message))
            else:
                message._context_id = context_id
                self._request, self._context_id, self._data = message, context_id, BytesIO()
            return
        if control & IS_COMMAND:
            raise ValueError("a command where the rest of a data set is due")
        self._data.write(value[1:])
        if control & IS_LAST:
            request.DataSet = self._data
            self._request, self._data = None, BytesIO()
            dimse.msg_queue.put((self._context_id, request))

    def _give(self, context_id: int, value: memoryview) -> None:
        """Let the library have a fragment."""
        primitive = P_DATA()
        values: list[Any] = primitive.presentation_data_value_list
        values.append((context_id, value))
        self._association.dimse.receive_primitive(primitive)

    def send_message(self, message: Any, context_id: int) -> None:
        """Called by the library with a message of ours."""
        command = store_command.encode(message) if type(message) is C_STORE and not message._dataset_path else None
        if command is None:
            self._send_message(message, context_id)
            return
        is_request = message.MessageIDBeingRespondedTo is None
        data = message.DataSet.getvalue() if is_request and message.DataSet is not None else b""
        if is_request and not data:
            self._send_message(message, context_id)
            return
        dul = self._association.dul
        whole = pdus_of(context_id, command, data, self._association.dimse.maximum_pdu_size)
        is_free = dul.state_machine.current_state == DATA_TRANSFER and dul.to_provider_queue.empty()
        if threading.current_thread() is dul and is_free:
            self._connection.send_all(whole)
            return
        primitive = P_DATA()
        values: list[Any] = primitive.presentation_data_value_list
        values.append((context_id, whole))
        dul.send_pdu(primitive)

    def send_pdu(self, pdu: Any) -> None:
        """Called by the library's state machine with a PDU of ours."""
        value: Any = pdu.presentation_data_value_items[0].data if isinstance(pdu, P_DATA_TF) else None
        if isinstance(value, WholeMessage):
            self._connection.send_all(value)
        else:
            self._send_pdu(pdu)
