"""The room's DICOM side: loads the patient, prepares the CT for matching, and sends the results back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Self

from isoalign.clock import Clock
from isoalign.dicom.node import (
    NodeSettings,
    Peer,
    ReceiverSettings,
    StorageReceiver,
    drain_outbox,
    echo,
    load_patient,
)
from isoalign.dicom.object_store import ObjectStore
from isoalign.dicom.objects import (
    Dataset,
    ExportContext,
    Series,
    VerificationFrame,
    build_rt_image,
    build_spatial_registration,
    write_file,
)
from isoalign.records import Beam, ExportedObject, ImagingPass, Plan, StructureSet, Volume
from isoalign.room.errors import SettingsInvalid
from isoalign.room.settings import RoomSettings
from isoalign.storage import Database

if TYPE_CHECKING:
    from isoalign.registration import PreparedVolume

KINDS = {"RTIMAGE": "RT Image", "REG": "Spatial Registration"}

ProgressCallback = Callable[[str, float | None], None]


@dataclass(frozen=True, slots=True)
class PatientLoad:
    """A patient as loaded over DICOM, with the CT prepared for matching; and how long each took."""

    plan: Plan
    structure_set: StructureSet
    volume: Volume
    warnings: tuple[str, ...]
    prepared: PreparedVolume
    dicom_s: float
    prepare_s: float


class PatientData:
    """DICOM node, object store and database of one room; use as a context manager.

    Raises
    ------
    SettingsInvalid
        When the configuration names no DICOM node or no storage folder.
    """

    def __init__(self, settings: RoomSettings, clock: Clock) -> None:
        if settings.dicom is None or settings.storage is None:
            raise SettingsInvalid("the configuration has no [dicom] or no [storage]: the room cannot load a patient")
        dicom, storage = settings.dicom, settings.storage
        self._clock = clock
        self._machine_name = settings.machine_name
        self._archive = Peer(dicom.archive.ae_title, dicom.archive.host, dicom.archive.port)
        self._node = NodeSettings(
            ae_title=dicom.ae_title,
            association_timeout_s=dicom.association_timeout_s,
            response_timeout_s=dicom.response_timeout_s,
        )
        self._stack = ExitStack()
        with ExitStack() as opening:
            storage.folder.mkdir(parents=True, exist_ok=True)
            self._database = opening.enter_context(
                Database(storage.database_url or storage.folder / "isoalign.db", clock)
            )
            self._outgoing = storage.folder / "outgoing"
            self._outgoing.mkdir(exist_ok=True)
            receiver = StorageReceiver(
                ReceiverSettings(
                    ae_title=dicom.ae_title,
                    host=dicom.host,
                    port=dicom.port,
                    calling_ae_titles=(dicom.archive.ae_title,),
                ),
                ObjectStore(storage.folder / "received", self._database.instances),
            )
            self._receiver = opening.enter_context(receiver)
            self._stack = opening.pop_all()

    def load(self, plan_uid: str, structure_set_uid: str | None, on_progress: ProgressCallback) -> PatientLoad:
        """C-ECHO, then C-MOVE of plan, structure set and CT; then the CT is prepared for matching. Blocks.

        Raises
        ------
        InputDataError, DicomNetworkError
        """
        from isoalign.registration import prepare

        began = self._clock.monotonic_s()
        loaded = load_patient(
            self._archive,
            plan_uid,
            self._receiver,
            self._node,
            structure_set_uid=structure_set_uid,
            progress=lambda done, total, what: on_progress(f"{what}: {done} of {total}", done / max(total, 1)),
        )
        received = self._clock.monotonic_s()
        self._database.audit.append("patient loaded", {"plan": plan_uid, "slices": len(loaded.volume.hounsfield)})
        on_progress("preparing the CT for matching", None)
        prepared = prepare(loaded.volume)
        done = self._clock.monotonic_s()
        return PatientLoad(
            loaded.plan,
            loaded.structure_set,
            loaded.volume,
            loaded.warnings,
            prepared,
            received - began,
            done - received,
        )

    def export(
        self, load: PatientLoad, beam: Beam, passes: Sequence[ImagingPass], on_progress: ProgressCallback
    ) -> tuple[ExportedObject, ...]:
        """Queue RT Images and Spatial Registrations of all passes in the outbox, and send them. Blocks.

        What the archive does not take now stays in the outbox and is tried again.

        Raises
        ------
        DicomNetworkError
            When the archive does not answer; the objects are safe in the outbox.
        """
        datasets = self._build(load, beam, passes)
        paths = [write_file(one, self._outgoing / f"{one.SOPInstanceUID}.dcm") for one in datasets]
        with self._database.transaction() as work:
            work.record("results exported", facts={"objects": len(datasets)})
            files = [(str(one.SOPInstanceUID), path) for one, path in zip(datasets, paths, strict=True)]
            work.enqueue(self._archive.ae_title, files)
        echo(self._archive, self._node)
        results = drain_outbox(
            self._database.outbox,
            self._archive,
            self._node,
            clock=self._clock,
            progress=lambda done: on_progress(f"{done} of {len(datasets)} objects", done / len(datasets)),
        )
        meanings = {result.sop_instance_uid: result.meaning for result in results}
        return tuple(
            ExportedObject(KINDS[one.Modality], uid := str(one.SOPInstanceUID), meanings.get(uid, "queued"))
            for one in datasets
        )

    def _build(self, load: PatientLoad, beam: Beam, passes: Sequence[ImagingPass]) -> list[Dataset]:
        context = ExportContext(
            plan=load.plan,
            beam_number=beam.number,
            verification=VerificationFrame(load.plan.patient_position, passes[0].table_top),
            machine_name=self._machine_name,
        )
        images_series, registration_series = Series(1), Series(2)
        now = self._clock.utc()
        datasets: list[Dataset] = []
        registrations: list[Dataset] = []
        for number, one in enumerate(passes, 1):
            images = [
                build_rt_image(
                    radiograph,
                    context,
                    series=images_series,
                    instance_number=len(datasets) + offset,
                    created_at=now,
                )
                for offset, radiograph in enumerate(one.radiographs, 1)
            ]
            datasets += images
            registrations.append(
                build_spatial_registration(
                    one.match,
                    one.table_top,
                    images,
                    context,
                    series=registration_series,
                    instance_number=number,
                    created_at=now,
                    ct=load.structure_set.ct,
                )
            )
        return datasets + registrations

    def close(self) -> None:
        """Stop listening and close the database."""
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
