"""What the node really does on the network and on media: facts by name, gathered with peers in this process.

Keys read ``table/row``; the table of expected values is ``service_rows.csv``.
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, build_context, evt
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.dsutils import encode
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelMove as Move

from isoalign.dicom import identity
from isoalign.dicom.errors import ExportRefused
from isoalign.dicom.media_files import export_media, import_media
from isoalign.dicom.node import (
    InRoomCtReceiver,
    NodeSettings,
    Peer,
    PlannedPatient,
    ReceiverSettings,
    StorageReceiver,
    retrieve,
    send,
)
from isoalign.dicom.node.in_room_ct import DEFAULT_AE_TITLE as IN_ROOM_TITLE
from isoalign.dicom.node.in_room_ct import DEFAULT_PORT as IN_ROOM_PORT
from isoalign.dicom.object_store import ObjectStore
from isoalign.dicom.objects import read_plan, write_file
from isoalign.dicom.objects.examples import example_objects
from isoalign.errors import IsoalignError
from isoalign.room.settings import DicomSettings, InRoomCtSettings, PeerSettings

Facts = dict[str, str]

DEPTH = 3000
NESTED = (struct.pack("<HHI", 0x0040, 0xA730, 0xFFFFFFFF) + struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)) * DEPTH + (
    struct.pack("<HHI", 0xFFFE, 0xE00D, 0) + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
) * DEPTH
"""Sequences in sequences, deeper than can be decoded."""

SHORT = {
    identity.CT_IMAGE: "CT",
    identity.SPATIAL_REGISTRATION: "REG",
    identity.RT_STRUCTURE_SET: "RTSTRUCT",
    identity.RT_IMAGE: "RTIMAGE",
    identity.RT_ION_PLAN: "RTIONPLAN",
    identity.STORAGE_COMMITMENT: "COMMITMENT",
    str(Move): "MOVE",
}
EXAMPLES = {"CT": "CT", "REG": "REG 2D/3D", "RTSTRUCT": "RTSTRUCT", "RTIMAGE": "RTIMAGE", "RTIONPLAN": "RTIONPLAN"}
STORE_STATUSES = (0x0000, 0xA700, 0xA7FF, 0xA900, 0xB000, 0xB006, 0xB007, 0xC000, 0xC123, 0x0111)
MISBEHAVIOURS = ("time-out", "abort")
SILENCE_S = 1.6
MOVED = {0x0000, 0xFF00, 0xB000}
"""Answers with which what was asked for has been moved."""
MOVE_STATUSES = (0x0000, 0xFF00, 0xA701, 0xA702, 0xA801, 0xA900, 0xB000, 0xC000, 0xFE00, 0x0111)


def observe(folder: Path) -> Facts:
    """Every fact; takes a few seconds and leaves no thread."""
    facts: Facts = {}
    for part in (_storage_user, _move_user, _providers, _store_statuses, _media, _defaults):
        part(facts, folder)
    return facts


@dataclass
class _Script:
    """What the peer does next."""

    status: int = 0x0000
    misbehaviour: str = ""
    what: Dataset = field(default_factory=Dataset)

    def misbehave(self, event: Any) -> None:
        if self.misbehaviour == "abort":
            event.assoc.abort()
        if self.misbehaviour == "time-out":
            threading.Event().wait(SILENCE_S)


@contextmanager
def _peer(*classes: Any, handlers: list[Any]) -> Iterator[Peer]:
    entity = AE("TMS")
    for sop_class in classes:
        entity.add_supported_context(sop_class, [ImplicitVRLittleEndian, ExplicitVRLittleEndian])
    before = set(threading.enumerate())
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    try:
        yield Peer("TMS", "127.0.0.1", server.server_address[1])
    finally:
        entity.shutdown()
        for thread in set(threading.enumerate()) - before:
            thread.join(10)


def _note_contexts(facts: Facts, event: Any) -> None:
    request = event.assoc.requestor.primitive
    facts["application context"] = str(request.application_context_name)
    facts["implementation class"] = str(request.implementation_class_uid)
    facts["asynchronous"] = str(any("Asynchronous" in type(one).__name__ for one in request.user_information))
    for context in request.presentation_context_definition_list:
        name = SHORT.get(context.abstract_syntax, context.abstract_syntax)
        facts[f"proposed/{name}"] = "\\".join(str(one) for one in context.transfer_syntax)


def _storage_user(facts: Facts, _: Path) -> None:
    image = example_objects()["CT"]
    own = NodeSettings("ROOM", response_timeout_s=1.0, association_timeout_s=1.0)
    script = _Script()

    def answer(event: Any) -> int:
        script.misbehave(event)
        return script.status

    classes = [uid for uid, name in SHORT.items() if name in EXAMPLES]
    handlers = [(evt.EVT_REQUESTED, lambda event: _note_contexts(facts, event)), (evt.EVT_C_STORE, answer)]
    with _peer(*classes, handlers=handlers) as peer:
        for script.status in STORE_STATUSES:
            (result,) = send(peer, [image], own)
            facts[f"C-STORE answered {script.status:04X}"] = "stored" if result.is_stored else result.meaning
        results = send(peer, [image, image], own)
        facts["objects on one association"] = str(len(results))
        for script.misbehaviour in MISBEHAVIOURS:
            facts[f"C-STORE {script.misbehaviour}"] = _code_of(lambda: send(peer, [image, image], own))


def _move_user(facts: Facts, folder: Path) -> None:
    own = NodeSettings("ROOM", response_timeout_s=1.0, association_timeout_s=1.0, arrival_grace_s=0.1)
    objects = example_objects()
    script = _Script(what=objects["CT"])
    contexts = [build_context(uid) for uid, name in SHORT.items() if name in EXAMPLES]
    with StorageReceiver(ReceiverSettings("ROOM"), ObjectStore(folder / "moved")) as receiver:

        def answer(event: Any) -> Iterator[Any]:
            for element in event.identifier:
                facts[f"identifier/{element.tag}"] = str(element.value)
            script.misbehave(event)
            yield "127.0.0.1", receiver.port, {"contexts": contexts}
            yield 2 if script.status == 0xB000 else 1
            if script.status not in MOVED:
                yield script.status, None
                return
            yield 0xFF00, script.what
            if script.status == 0xB000:
                yield 0xFF00, objects["RTSTRUCT"]  # not asked for, so refused: a failed sub-operation

        def move(uid: str) -> str:
            return _code_of(lambda: _moved(peer, uid, receiver, own))

        handlers = [(evt.EVT_REQUESTED, lambda event: _note_contexts(facts, event)), (evt.EVT_C_MOVE, answer)]
        with _peer(Move, handlers=handlers) as peer:
            for script.status in MOVE_STATUSES:
                wanted = str(script.what.SOPInstanceUID) if script.status in MOVED else "1.2.3"
                facts[f"C-MOVE answered {script.status:04X}"] = move(wanted)
            for script.misbehaviour in MISBEHAVIOURS:
                facts[f"C-MOVE {script.misbehaviour}"] = move("1.2.3")
            script.misbehaviour, script.status = "", 0x0000
            for name in ("RTSTRUCT", "RTIONPLAN", "RTIMAGE", "CT"):
                script.what = objects[EXAMPLES[name]]
                facts[f"C-MOVE/{name}"] = move(str(script.what.SOPInstanceUID))


def _moved(peer: Peer, uid: str, receiver: StorageReceiver, own: NodeSettings) -> str:
    report = retrieve(peer, [uid], receiver, own)
    return "arrived, user told" if report.warning else "arrived"


def _code_of(act: Callable[[], Any]) -> str:
    """What an act returns, or the code of its error."""
    try:
        return str(act())
    except IsoalignError as error:
        return error.code


def _providers(facts: Facts, folder: Path) -> None:
    settings = ReceiverSettings("ROOM")
    with StorageReceiver(settings, ObjectStore(folder / "provider")) as receiver:
        _offer(facts, "accepted", receiver.port, "ROOM")
        facts["called title checked"] = str(not _is_accepted(receiver.port, "OTHER"))
    patient = PlannedPatient.of(read_plan(example_objects()["RTIONPLAN"]))
    in_room = InRoomCtReceiver(
        settings, ObjectStore(folder / "field"), patient, on_notice=lambda _: None, on_committed=lambda _: None
    )
    with in_room as receiver_of_field:
        _offer(facts, "accepted in room", receiver_of_field.port, "ROOM")


def _offer(facts: Facts, kind: str, port: int, title: str) -> None:
    """Offer each class in each syntax, explicit before implicit, twice, and compressed."""
    for uid, name in SHORT.items():
        contexts = [
            build_context(uid, [ImplicitVRLittleEndian]),
            build_context(uid, [ExplicitVRLittleEndian]),
            build_context(uid, [ExplicitVRLittleEndian, ImplicitVRLittleEndian]),
            build_context(uid, ["1.2.840.10008.1.2.4.50"]),
        ]
        association = AE("TMS").associate("127.0.0.1", port, contexts=contexts, ae_title=title)
        chosen = [str(one.transfer_syntax[0]) for one in association.accepted_contexts]
        facts[f"{kind}/{name}"] = "\\".join(chosen)
        association.release() if association.is_established else association.abort()


def _is_accepted(port: int, title: str) -> bool:
    entity = AE("TMS")
    association = entity.associate("127.0.0.1", port, contexts=[build_context("1.2.840.10008.1.1")], ae_title=title)
    established = bool(association.is_established)
    if established:
        association.release()
    return established


class _FullDisk(ObjectStore):
    def put(self, *_: Any, **__: Any) -> Any:
        raise OSError(28, "No space left on device")


def _store_statuses(facts: Facts, folder: Path) -> None:
    """Each status of the provider, with the condition that produces it."""
    settings = ReceiverSettings("ROOM", accept_any=True)
    plain, other, odd = (example_objects()["CT"] for _ in range(3))
    other.PatientComments = "changed"
    odd.SOPInstanceUID = odd.file_meta.MediaStorageSOPInstanceUID = "2.25.77"
    odd.Modality = "MR"
    with StorageReceiver(settings, ObjectStore(folder / "statuses")) as receiver:
        peer = Peer("ROOM", "127.0.0.1", receiver.port)
        for name, image in (("whole", plain), ("other under the same UID", other), ("other modality", odd)):
            facts[f"provider/{name}"] = f"{send(peer, [image])[0].status:04X}"
        facts["provider/UIDs differ"] = _raw_store(peer, plain, "2.25.78")
        facts["provider/not decodable"] = _raw_store(peer, plain, str(plain.SOPInstanceUID), NESTED)
    with StorageReceiver(settings, _FullDisk(folder / "full")) as receiver:
        facts["provider/disk full"] = f"{send(Peer('ROOM', '127.0.0.1', receiver.port), [plain])[0].status:04X}"


def _raw_store(peer: Peer, image: Dataset, uid: str, more: bytes = b"") -> str:
    """A C-STORE request whose UID is not that of the image, or whose data set goes on after the image."""
    association = AE("TMS").associate(
        peer.host, peer.port, contexts=[build_context(image.SOPClassUID)], ae_title=peer.ae_title
    )
    request = C_STORE()
    request.MessageID, request.Priority = 1, 0
    request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = image.SOPClassUID, uid
    request.DataSet = BytesIO((encode(image, True, True) or b"") + more)
    association._reactor_checkpoint.clear()
    while not association._is_paused:
        threading.Event().wait(0.01)
    association.dimse.send_msg(request, association.accepted_contexts[0].context_id)
    _, answer = association.dimse.get_msg(block=True)
    association._reactor_checkpoint.set()
    association.release()
    return f"{answer.Status:04X}"  # type: ignore[union-attr]


def _media(facts: Facts, folder: Path) -> None:
    for name, example in EXAMPLES.items():
        dataset = example_objects()[example]
        target = folder / "media" / name
        try:
            (path,) = export_media([dataset], target)
            facts[f"export/{name}"] = str(pydicom.dcmread(path).file_meta.TransferSyntaxUID)
        except ExportRefused:
            facts[f"export/{name}"] = "no"
        source = folder / "media-in" / name
        source.mkdir(parents=True)
        write_file(dataset, source / "a.dcm")
        facts[f"import/{name}"] = "yes" if list(import_media(source)) else "no"


def _defaults(facts: Facts, _: Path) -> None:
    own = DicomSettings(archive=PeerSettings(ae_title="TMS", port=104))
    scanner = InRoomCtSettings(scanner=PeerSettings(ae_title="CT1", port=104))
    facts["default/AE title"] = own.ae_title
    facts["default/port"] = str(own.port)
    facts["default/in-room AE title"] = f"{scanner.ae_title} {IN_ROOM_TITLE}"
    facts["default/in-room port"] = f"{scanner.port} {IN_ROOM_PORT}"
    facts["default/receive PDU"] = str(own.receive_pdu_bytes)
    facts["default/send PDU"] = str(own.send_pdu_bytes)
    facts["default/association time-out"] = str(own.association_timeout_s)
    facts["default/response time-out"] = str(own.response_timeout_s)
    facts["default/associations"] = str(own.maximum_associations)
    facts["default/IHE-RO registration"] = str(own.ihe_ro_registration)
