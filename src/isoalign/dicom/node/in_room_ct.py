"""The provider for an in-room CT: open while its imaging field is active, and only for images of the planned patient.

Source: sections 2.2.4.2, 2.2.4.3 and 5.2 of the conformance statement.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

from pydicom.dataset import Dataset

from isoalign.dicom import identity
from isoalign.dicom.errors import InstanceRefused
from isoalign.dicom.node.commitment import PROCESSING_FAILURE, CommitmentProvider, CommitmentResult, Elsewhere
from isoalign.dicom.node.notices import Notice, NoticeKind, NoticeTaker
from isoalign.dicom.node.receiver import StorageReceiver
from isoalign.dicom.node.settings import ReceiverSettings
from isoalign.dicom.object_store import STATUS_DATASET_MISMATCH, ObjectStore
from isoalign.dicom.objects.attributes import attribute_name, text
from isoalign.records import Plan

DEFAULT_AE_TITLE = "PTI-SCP"
DEFAULT_PORT = 9076
AXIAL = "AXIAL"


@dataclass(frozen=True, slots=True)
class PlannedPatient:
    """What images of the in-room CT must agree with; taken from the RT Ion Plan."""

    patient_id: str
    family_name: str
    birth_date: str
    patient_position: str

    @classmethod
    def of(cls, plan: Plan) -> PlannedPatient:
        """Those of a plan."""
        return cls(
            plan.patient.patient_id.strip(),
            family_name(plan.patient.name),
            plan.patient.birth_date.strip(),
            plan.patient_position.name,
        )

    def require(self, header: Dataset) -> None:
        """Refuse an image of somebody else, in another position, or not axial.

        Raises
        ------
        InstanceRefused
            With status A900; names the attribute and no value.
        """
        image_type = text(header, "ImageType").strip("[]").replace("'", "").replace("\\", ",").split(",")
        found = {
            "PatientID": text(header, "PatientID") == self.patient_id,
            "PatientName": family_name(text(header, "PatientName")) == self.family_name,
            "PatientBirthDate": text(header, "PatientBirthDate") == self.birth_date,
            "PatientPosition": text(header, "PatientPosition") == self.patient_position,
        }
        for keyword, agrees in found.items():
            if not agrees:
                raise InstanceRefused(
                    f"{attribute_name(keyword)} differs from the plan", status=STATUS_DATASET_MISMATCH
                )
        if len(image_type) < 3 or image_type[2].strip() != AXIAL:
            raise InstanceRefused(f"{attribute_name('ImageType')} is not axial", status=STATUS_DATASET_MISMATCH)


def family_name(name: str) -> str:
    """The family name of a person name: up to the first caret of the first component group; DICOM PS3.5 6.2.1."""
    return name.split("=", maxsplit=1)[0].split("^", maxsplit=1)[0].strip()


class InRoomCtReceiver:
    """Storage and storage commitment provider for one in-room CT field; use as a context manager.

    Parameters
    ----------
    settings : ReceiverSettings
        Any called AE title is accepted; who may call and from where is checked.
    store : ObjectStore
        A fresh one for each field.
    patient : PlannedPatient
    on_notice : callable
        Gets what a person should know; called from other threads.
    on_committed : callable
        Gets the instance UIDs when the in-room CT has asked for them and all are here; called from another thread.
    elsewhere : Elsewhere, optional
        Where the result of a storage commitment goes when the in-room CT has left.
    """

    def __init__(
        self,
        settings: ReceiverSettings,
        store: ObjectStore,
        patient: PlannedPatient,
        *,
        on_notice: NoticeTaker,
        on_committed: Callable[[tuple[str, ...]], None],
        elsewhere: Elsewhere | None = None,
    ) -> None:
        self._on_notice = on_notice
        self._on_committed = on_committed
        self._in_conflict: set[str] = set()
        self._commitment = CommitmentProvider(self._is_kept, self._note_result, elsewhere=elsewhere)
        self._receiver = StorageReceiver(
            replace(settings, accept_any=True, any_called_ae_title=True),
            store,
            storage_classes=(identity.CT_IMAGE,),
            more_classes=(identity.STORAGE_COMMITMENT,),
            more_handlers=self._commitment.handlers,
            inspect=patient.require,
            on_notice=self._note,
        )

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return self._receiver.port

    def wait_reported(self, timeout_s: float) -> bool:
        """Wait until the scanner has taken every commitment report that is due, or it was given up; blocks."""
        return self._commitment.wait_reported(timeout_s)

    @property
    def store(self) -> ObjectStore:
        """Where the received images are."""
        return self._receiver.store

    def __enter__(self) -> Self:
        self._receiver.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._receiver.close()
        self._commitment.close()

    def _is_kept(self, sop_class_uid: str, sop_instance_uid: str) -> bool:
        is_stored = sop_instance_uid in self._receiver.store and sop_instance_uid not in self._in_conflict
        return sop_class_uid == identity.CT_IMAGE and is_stored

    def _note(self, notice: Notice) -> None:
        if notice.kind is NoticeKind.CONFLICT:
            self._in_conflict.add(notice.sop_instance_uid)
        self._on_notice(notice)

    def _note_result(self, result: CommitmentResult) -> None:
        listed = {uid for _, uid in result.committed} | {uid for _, uid, _ in result.failed}
        unlisted = [uid for uid in self._receiver.store.uids() if uid not in listed]
        if result.failed:
            named = ", ".join(uid for _, uid, _ in result.failed[:10])
            message = f"{len(result.failed)} of {len(listed)} images are missing or duplicate: {named}"
            self._on_notice(Notice(NoticeKind.NOT_COMMITTED, message, result.failed[0][1], PROCESSING_FAILURE))
            return
        message = f"{len(result.committed)} images are confirmed"
        if unlisted:
            message += f"; {len(unlisted)} further ones were received and are not in the list"
        self._on_notice(Notice(NoticeKind.COMMITTED, message, result.committed[0][1], 0x0000))
        self._on_committed(tuple(uid for _, uid in result.committed))
