"""C-STORE the short way: the same bytes as the library's, and the library for everything that is not plain."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pynetdicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pynetdicom import dimse_messages
from pynetdicom.dimse_primitives import C_ECHO, C_STORE
from pynetdicom.pdu import P_DATA_TF
from raw_dicom_peer import association_request, command, element, fragments, implicit, p_data

from isoalign.dicom.node import NodeSettings, Peer, ReceiverSettings, StorageReceiver, WholeFile, send, transfer
from isoalign.dicom.node.connection import BoundedSocket, ConnectionLimits
from isoalign.dicom.node.store_command import decode, encode
from isoalign.dicom.node.transfer import fragments_of, pdus_of
from isoalign.dicom.object_store import ObjectStore
from isoalign.dicom.objects import CaseDatasets, write_file

CT = "1.2.840.10008.5.1.4.1.1.2"
KEYWORDS = (
    "MessageID",
    "MessageIDBeingRespondedTo",
    "AffectedSOPClassUID",
    "AffectedSOPInstanceUID",
    "Priority",
    "Status",
    "MoveOriginatorApplicationEntityTitle",
    "MoveOriginatorMessageID",
)


def request(**more: Any) -> C_STORE:
    made = C_STORE()
    made.MessageID, made.Priority = 7, 2
    made.AffectedSOPClassUID, made.AffectedSOPInstanceUID = CT, "1.2.3.45"
    made.DataSet = BytesIO(b"data")
    for keyword, value in more.items():
        setattr(made, keyword, value)
    return made


def response(**more: Any) -> C_STORE:
    made = C_STORE()
    made.MessageIDBeingRespondedTo, made.Status = 7, 0x0000
    made.AffectedSOPClassUID, made.AffectedSOPInstanceUID = CT, "1.2.3.456"
    for keyword, value in more.items():
        setattr(made, keyword, value)
    return made


def library_bytes(message: Any, kind: str) -> bytes:
    """The command set as the library encodes it."""
    made = getattr(dimse_messages, kind)()
    made.primitive_to_message(message)
    first = next(made.encode_msg(1, 0))
    return bytes(first.presentation_data_value_list[0][1][1:])


PLAIN = [
    (request(), "C_STORE_RQ"),
    (request(Priority=0, MessageID=65_535), "C_STORE_RQ"),
    (request(MoveOriginatorApplicationEntityTitle="PTI", MoveOriginatorMessageID=3), "C_STORE_RQ"),
    (response(), "C_STORE_RSP"),
    (response(Status=0xB007), "C_STORE_RSP"),
    (response(AffectedSOPClassUID=None, AffectedSOPInstanceUID=None), "C_STORE_RSP"),
]


@pytest.mark.parametrize(("message", "kind"), PLAIN)
def test_plain_commands_are_those_of_the_library(message: C_STORE, kind: str) -> None:
    encoded = library_bytes(message, kind)
    assert encode(message) == encoded
    decoded = decode(encoded)
    assert decoded is not None
    assert {name: getattr(decoded, name) for name in KEYWORDS} == {name: getattr(message, name) for name in KEYWORDS}


def test_what_is_not_plain_is_the_library_s() -> None:
    echo = C_ECHO()
    echo.MessageID = 1
    assert encode(response(Status=0xA700, ErrorComment="disk full")) is None
    assert decode(library_bytes(response(Status=0xA700, ErrorComment="disk full"), "C_STORE_RSP")) is None
    assert decode(library_bytes(echo, "C_ECHO_RQ")) is None
    plain = library_bytes(request(), "C_STORE_RQ")
    assert decode(plain[:-1]) is None, "cut"
    assert decode(plain + element(0, 0x0110, b"\1\0")) is None, "an element twice"
    assert decode(plain + element(0, 0x5020, b"\1\0")) is None, "an element that is not known"
    assert decode(plain.replace(b"1.2.3.45", b"1.2\\3.45")) is None, "two values"
    assert decode(plain.replace(element(0, 0x0800, b"\1\0"), element(0, 0x0800, b"\1\1"))) is None, "no data set"
    assert decode(plain.replace(element(0, 0x0110, b"\7\0"), b"")) is None, "no message ID"


@given(st.binary(max_size=60), st.integers(0, 200), st.integers(0, 20))
def test_no_command_makes_it_fail(content: bytes, place: int, removed: int) -> None:
    plain = encode(request())
    assert plain is not None
    decode(content)
    decode(plain[:place] + content + plain[place + removed :])


@given(st.binary(max_size=5_000), st.integers(7, 4_000), st.integers(1, 255))
def test_a_message_is_cut_as_the_library_cuts_it(data: bytes, longest: int, context_id: int) -> None:
    """Every PDU is one that the library decodes, none is longer than allowed, and together they are the message."""
    buffers = list(pdus_of(context_id, b"command", data, longest))
    found: dict[int, bytes] = {0: b"", 1: b""}
    for header, part in zip(buffers[::2], buffers[1::2], strict=True):
        whole = bytes(header) + bytes(part)
        pdu = P_DATA_TF()
        pdu.decode(whole)
        ((ours, value),) = fragments_of(memoryview(whole)[6:])
        theirs = pdu.presentation_data_value_items[0]
        assert (ours, bytes(value)) == (theirs.context_id, theirs.data)
        assert ours == context_id
        assert len(whole) - 6 <= longest
        found[value[0] & 1] += bytes(value[1:])
    assert found == {0: data, 1: b"command"}
    lasts = [memoryview(header)[11] for header in buffers[::2]]
    assert [last & 2 for last in lasts].count(2) == (2 if data else 1)


@given(st.binary(max_size=40))
def test_fragments_are_those_of_the_library(body: bytes) -> None:
    """Whatever a peer sends: found the same, or refused by both. Those without a control header the library takes."""
    pdu = P_DATA_TF()
    try:
        pdu.decode(b"\4\0" + len(body).to_bytes(4, "big") + body)
        theirs = [(one.context_id, one.data) for one in pdu.presentation_data_value_items]
    except Exception:  # noqa: BLE001 - the library raises whatever comes
        theirs = None
    try:
        ours = [(context_id, bytes(value)) for context_id, value in fragments_of(memoryview(body))]
    except ValueError:
        ours = None
    assert ours == theirs or (ours is None and theirs is not None and any(not data for _, data in theirs))


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The messages that the library takes apart itself."""
    taken: list[str] = []
    take = dimse_messages.DIMSEMessage.message_to_primitive

    def note(self: Any) -> Any:
        taken.append(type(self).__name__)
        return take(self)

    monkeypatch.setattr(dimse_messages.DIMSEMessage, "message_to_primitive", note)
    yield taken


@pytest.mark.parametrize(
    ("version", "by_library"), [(pynetdicom.__version__, set()), ("4.0.0", {"C_STORE_RQ", "C_STORE_RSP"})]
)
@pytest.mark.parametrize("pdu_bytes", [4_096, 131_072])
def test_both_ways_keep_the_same_bytes(
    case: CaseDatasets,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    version: str,
    by_library: set[str],
    pdu_bytes: int,
) -> None:
    """Sent and received the short way, and with a library that is not known by the library alone."""
    monkeypatch.setattr(pynetdicom, "__version__", version)
    files = [write_file(one, tmp_path / f"{number}.dcm") for number, one in enumerate(case.ct)]
    store = ObjectStore(tmp_path / "store")
    settings = NodeSettings("TMS", send_pdu_bytes=pdu_bytes)
    with (
        counted(monkeypatch) as taken,
        StorageReceiver(ReceiverSettings("ROOM", accept_any=True, pdu_bytes=pdu_bytes), store) as receiver,
    ):
        results = send(Peer("ROOM", "127.0.0.1", receiver.port), map(WholeFile.read, files), settings)
    assert {one.status for one in results} == {0x0000}
    assert set(taken) == by_library
    for one, file in zip(case.ct, files, strict=True):
        assert WholeFile.read(store.path(str(one.SOPInstanceUID))).encoded == WholeFile.read(file).encoded


def test_a_library_that_lacks_something_is_left_alone(
    case: CaseDatasets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one whose version sounds familiar: it does all the work, and nothing breaks."""
    monkeypatch.setitem(transfer.USED, "dul", (*transfer.USED["dul"], "_renamed"))
    store = ObjectStore(tmp_path)
    with (
        counted(monkeypatch) as taken,
        StorageReceiver(ReceiverSettings("ROOM", accept_any=True), store) as receiver,
    ):
        results = send(Peer("ROOM", "127.0.0.1", receiver.port), case.ct, NodeSettings("TMS"))
    assert {one.status for one in results} == {0x0000}
    assert set(taken) == {"C_STORE_RQ", "C_STORE_RSP"}


def test_a_message_in_any_pieces_is_kept(case: CaseDatasets, tmp_path: Path) -> None:
    """Several fragments in one PDU, and a command set in two, which the library puts together."""
    image = case.ct[0]
    uid, data = str(image.SOPInstanceUID), implicit(image)
    store = ObjectStore(tmp_path)
    whole = command(uid)
    both = p_data(whole, 0x03)[6:] + p_data(data[:1_000], 0x00)[6:] + p_data(data[1_000:], 0x02)[6:]
    for sent in (
        b"\4\0" + len(both).to_bytes(4, "big") + both,
        p_data(whole[:20], 0x01) + p_data(whole[20:], 0x03) + b"".join(fragments(data, 999)),
    ):
        with StorageReceiver(ReceiverSettings("ROOM", accept_any=True), store) as receiver:
            peer = socket.create_connection(("127.0.0.1", receiver.port), timeout=10)
            with peer, peer.makefile("rb") as answers:
                peer.sendall(association_request())
                header = answers.read(6)
                answers.read(int.from_bytes(header[2:], "big"))
                peer.sendall(sent)
                header = answers.read(6)
                assert b"\0\0\0\x09\2\0\0\0\0\0" in answers.read(int.from_bytes(header[2:], "big")), "status 0000"
        assert WholeFile.read(store.path(uid)).encoded == data


class Line:
    """A bounded connection over a pair of sockets, without an association around it."""

    def __init__(self, near: socket.socket, timeout_s: float) -> None:
        self.connection = object.__new__(BoundedSocket)
        self.connection.socket = near
        self.events: list[str] = []
        state: dict[str, Any] = {"_limits": ConnectionLimits(131_072, timeout_s, 1_000_000), "_bell": None}
        events = SimpleNamespace(put=self.events.append)
        state["_assoc"] = SimpleNamespace(dul=SimpleNamespace(event_queue=events))
        self.connection.__dict__.update(state)


def test_all_is_sent_though_the_peer_reads_slowly() -> None:
    near, far = socket.socketpair()
    with near, far:
        near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_096)
        line = Line(near, 5.0)
        data = bytes(range(256)) * 1_000
        buffers = pdus_of(1, b"command", data, 4_096)
        received = bytearray()

        def read() -> None:
            while more := far.recv(777):
                received.extend(more)

        reading = threading.Thread(target=read)
        reading.start()
        line.connection.send_all(buffers)
        near.shutdown(socket.SHUT_WR)
        reading.join()
    assert received == b"".join(map(bytes, buffers))
    assert line.events == []


def test_a_peer_that_does_not_read_is_given_up() -> None:
    near, far = socket.socketpair()
    with near, far:
        line = Line(near, 0.2)
        began = time.monotonic()
        line.connection.send_all(pdus_of(1, b"command", bytes(4_000_000), 131_072))
        assert 0.2 <= time.monotonic() - began < 5.0
    assert line.events == ["Evt17"]
