"""The DICOM node: storage and commitment provider, C-ECHO, C-MOVE and C-STORE user, and loading a patient with them."""

from isoalign.dicom.node.associations import echo
from isoalign.dicom.node.commitment import CommitmentResult, Elsewhere, request_commitment
from isoalign.dicom.node.in_room_ct import InRoomCtReceiver, PlannedPatient
from isoalign.dicom.node.load import LoadedCase, LoadProgress, load_patient
from isoalign.dicom.node.notices import Notice, NoticeKind, NoticeTaker, ignore
from isoalign.dicom.node.outbox import RetryPolicy, drain_outbox
from isoalign.dicom.node.receiver import StorageReceiver
from isoalign.dicom.node.retrieve import RetrieveReport, retrieve
from isoalign.dicom.node.send import StoreResult, WholeFile, require_stored, send
from isoalign.dicom.node.settings import Caller, NodeSettings, Peer, ReceiverSettings
from isoalign.dicom.node.tls import TlsSettings

__all__ = [
    "Caller",
    "CommitmentResult",
    "Elsewhere",
    "InRoomCtReceiver",
    "LoadProgress",
    "LoadedCase",
    "NodeSettings",
    "Notice",
    "NoticeKind",
    "NoticeTaker",
    "Peer",
    "PlannedPatient",
    "ReceiverSettings",
    "RetrieveReport",
    "RetryPolicy",
    "StorageReceiver",
    "StoreResult",
    "TlsSettings",
    "WholeFile",
    "drain_outbox",
    "echo",
    "ignore",
    "load_patient",
    "request_commitment",
    "require_stored",
    "retrieve",
    "send",
]
