"""The room's DICOM side: loads the patient, prepares the CT for matching, and sends the results back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Self

from isoalign.clock import Clock
from isoalign.dicom.node import (
    InRoomCtReceiver,
    Notice,
    NoticeKind,
    PlannedPatient,
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
from isoalign.records import Beam, ExportedObject, ImagingPass, Plan, StructureSet, Verdict, Volume
from isoalign.room import dicom_node
from isoalign.room.clearance import PatientSurface, patient_surface
from isoalign.room.errors import SettingsInvalid
from isoalign.room.settings import RoomSettings
from isoalign.storage import Database, OutboxState

if TYPE_CHECKING:
    from isoalign.registration import PreparedVolume

KINDS = {"RTIMAGE": "RT Image", "REG": "Spatial Registration"}

ProgressCallback = Callable[[str, float | None], None]


@dataclass(frozen=True, slots=True)
class PatientLoad:
    """A patient as loaded over DICOM, with the CT prepared for matching; and how long each took.

    ``surface`` is None where the room checks no clearance.
    """

    plan: Plan
    structure_set: StructureSet
    volume: Volume
    warnings: tuple[str, ...]
    prepared: PreparedVolume
    dicom_s: float
    prepare_s: float
    surface: PatientSurface | None = None


@dataclass(frozen=True, slots=True)
class QueuedResult:
    """One result that is on its way to the archive."""

    kind: str
    sop_instance_uid: str


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
        self._dicom = dicom
        self._folder = storage.folder
        self._machine_name = settings.machine_name
        self._checks_clearance = settings.clearance is not None and settings.couch is not None
        self._archive = dicom_node.peer(dicom.archive)
        self._node = dicom_node.user(dicom)
        self._objects = dicom.objects(settings.machine_name)
        self._stack = ExitStack()
        with ExitStack() as opening:
            storage.folder.mkdir(parents=True, exist_ok=True)
            self._database = opening.enter_context(
                Database(storage.database_url or storage.folder / "isoalign.db", clock)
            )
            self._outgoing = storage.folder / "outgoing"
            self._outgoing.mkdir(exist_ok=True)
            receiver = StorageReceiver(
                dicom_node.provider(dicom),
                ObjectStore(storage.folder / "received", self._database.instances),
                on_notice=self._note,
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
        self._drain()  # the archive answers: what waited for it goes now
        received = self._clock.monotonic_s()
        self._database.audit.append("patient loaded", {"plan": plan_uid, "slices": len(loaded.volume.hounsfield)})
        on_progress("preparing the CT for matching", None)
        prepared = prepare(loaded.volume)
        surface = patient_surface(loaded.structure_set, loaded.volume) if self._checks_clearance else None
        done = self._clock.monotonic_s()
        return PatientLoad(
            loaded.plan,
            loaded.structure_set,
            loaded.volume,
            (*loaded.warnings, *([surface.warning] if surface and surface.warning else [])),
            prepared,
            received - began,
            done - received,
            surface,
        )

    def queue_results(self, load: PatientLoad, beam: Beam, passes: Sequence[ImagingPass]) -> tuple[QueuedResult, ...]:
        """Write RT Images and Spatial Registrations of all passes to disk and queue them in the outbox. Blocks.

        From here on they reach the archive even if this process or the archive goes away in between.
        """
        datasets = self._build(load, beam, passes)
        paths = [write_file(one, self._outgoing / f"{one.SOPInstanceUID}.dcm") for one in datasets]
        files = [(str(one.SOPInstanceUID), path) for one, path in zip(datasets, paths, strict=True)]
        with self._database.transaction() as work:
            work.record("results exported", facts={"objects": len(datasets)})
            work.enqueue(self._archive.ae_title, files)
        return tuple(QueuedResult(KINDS[one.Modality], str(one.SOPInstanceUID)) for one in datasets)

    def deliver(self, results: Sequence[QueuedResult], on_progress: ProgressCallback) -> tuple[ExportedObject, ...]:
        """C-ECHO, then C-STORE of everything that waits for the archive; says what became of ``results``. Blocks.

        Raises
        ------
        DicomNetworkError
            When the archive does not answer; the objects are safe in the outbox and are tried again.
        """
        echo(self._archive, self._node)
        total = max(len(results), 1)
        self._drain(lambda done: on_progress(f"{done} of {total} objects", min(done / total, 1.0)))
        states = {entry.sop_instance_uid: entry.state for entry in self._database.outbox.entries()}
        words = {OutboxState.SENT: "stored", OutboxState.FAILED: "failed"}
        return tuple(
            ExportedObject(one.kind, one.sop_instance_uid, words.get(states[one.sop_instance_uid], "queued"))
            for one in results
        )

    def in_room_ct(self, plan: Plan, on_committed: Callable[[tuple[str, ...]], None]) -> InRoomCtReceiver:
        """The provider for one in-room CT field of this plan; it listens while it is used as a context manager.

        Parameters
        ----------
        on_committed : callable
            Gets the instance UIDs when the scanner has asked for them and all are here; called from another thread.

        Raises
        ------
        SettingsInvalid
            When the configuration names no in-room CT.
        """
        if self._dicom.in_room_ct is None:
            raise SettingsInvalid("the configuration has no [dicom.in_room_ct]: the room has no in-room CT")
        settings, elsewhere = dicom_node.in_room_ct(self._dicom, self._dicom.in_room_ct)
        moment = self._clock.utc().strftime("%Y%m%dT%H%M%S%f")
        return InRoomCtReceiver(
            settings,
            ObjectStore(self._folder / "in-room-ct" / moment),
            PlannedPatient.of(plan),
            on_notice=self._note,
            on_committed=on_committed,
            elsewhere=elsewhere,
        )

    def _note(self, notice: Notice) -> None:
        """What the storage provider refuses or finds odd goes into the journal."""
        if notice.kind is not NoticeKind.STORED:
            facts = {"instance": notice.sop_instance_uid, "status": f"{notice.status:04X}", "message": notice.message}
            self._database.audit.append(f"instance {notice.kind.value}", facts)

    def _drain(self, on_progress: Callable[[int], None] | None = None) -> None:
        drain_outbox(self._database.outbox, self._archive, self._node, clock=self._clock, progress=on_progress)

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
                    settings=self._objects,
                )
                for offset, radiograph in enumerate(one.radiographs, 1)
            ]
            datasets += images
            if one.match.verdict is not Verdict.ACCEPTED:
                continue  # the images are a record; a registration would be taken for a finding
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
                    settings=self._objects,
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
