"""The room's DICOM side: loads the patient, prepares the CT for matching, and sends the results back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from isoalign.clock import Clock
from isoalign.dicom.node import (
    InRoomCtReceiver,
    Notice,
    NoticeKind,
    NoticeTaker,
    PlannedPatient,
    StorageReceiver,
    drain_outbox,
    echo,
    ignore,
    load_patient,
)
from isoalign.dicom.object_store import ObjectStore
from isoalign.dicom.objects import write_file
from isoalign.records import Beam, ExportedObject, ImagingPass, Plan
from isoalign.room import dicom_node
from isoalign.room.clearance import patient_surface
from isoalign.room.errors import SettingsInvalid
from isoalign.room.results import SessionResults
from isoalign.room.session_data import AcquiredScan, PatientLoad
from isoalign.room.settings import InRoomCtSettings, RoomSettings
from isoalign.storage import Database, OutboxState

KINDS = {
    "RTIMAGE": "RT Image",
    "REG": "Spatial Registration",
    "CT": "CT Image",
    "RTSTRUCT": "RT Structure Set",
}

ProgressCallback = Callable[[str, float | None], None]


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
            loaded.reference_images,
        )

    def results(self, load: PatientLoad, beam: Beam) -> SessionResults:
        """What a session of this patient will send; see :class:`isoalign.room.results.SessionResults`."""
        return SessionResults(load, beam, self._machine_name, self._objects)

    def queue_results(
        self, results: SessionResults, passes: Sequence[ImagingPass], scans: Mapping[str, AcquiredScan] | None = None
    ) -> tuple[QueuedResult, ...]:
        """Write the results of passes to disk and queue them in the outbox, those of a scan as they came. Blocks.

        From here on they reach the archive even if this process or the archive goes away in between.

        Parameters
        ----------
        passes : sequence of ImagingPass
            Those that have not been queued yet.
        scans : mapping of Series Instance UID to AcquiredScan
        """
        made = results.build(passes, scans or {}, self._clock.utc())
        paths = [write_file(one, self._outgoing / f"{one.SOPInstanceUID}.dcm") for one in made.datasets]
        files = [(str(one.SOPInstanceUID), path) for one, path in zip(made.datasets, paths, strict=True)]
        queued = [QueuedResult(KINDS[one.Modality], str(one.SOPInstanceUID)) for one in made.datasets]
        queued += [QueuedResult(KINDS["CT"], path.stem) for path in made.received]
        with self._database.transaction() as work:
            work.record("results exported", facts={"objects": len(queued)})
            work.enqueue(self._archive.ae_title, [*files, *((path.stem, path) for path in made.received)])
        return tuple(queued)

    def queue_received(self, files: Sequence[Path]) -> None:
        """Queue images of the in-room CT as they came. Blocks.

        The scanner was told that we have them for good, so they reach the archive whatever becomes of the session.
        """
        facts = {"objects": len(files)}
        with self._database.transaction() as work:
            work.record("images of the in-room CT queued", facts=facts)
            work.enqueue(self._archive.ae_title, [(path.stem, path) for path in files])

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

    @property
    def in_room_ct_settings(self) -> InRoomCtSettings:
        """Of the room's in-room CT.

        Raises
        ------
        SettingsInvalid
            When the configuration names none.
        """
        if self._dicom.in_room_ct is None:
            raise SettingsInvalid("the configuration has no [dicom.in_room_ct]: the room has no in-room CT")
        return self._dicom.in_room_ct

    def in_room_ct(
        self, plan: Plan, on_committed: Callable[[tuple[str, ...]], None], on_notice: NoticeTaker = ignore
    ) -> InRoomCtReceiver:
        """The provider for one in-room CT field of this plan; it listens while it is used as a context manager.

        Parameters
        ----------
        on_committed : callable
            Gets the instance UIDs when the scanner has asked for them and all are here; called from another thread.
        on_notice : callable
            Gets everything that a person may want to know; called from another thread.

        Raises
        ------
        SettingsInvalid
            When the configuration names no in-room CT.
        """
        settings, elsewhere = dicom_node.in_room_ct(self._dicom, self.in_room_ct_settings)

        def note(notice: Notice) -> None:
            self._note(notice)
            on_notice(notice)

        moment = self._clock.utc().strftime("%Y%m%dT%H%M%S%f")
        return InRoomCtReceiver(
            settings,
            ObjectStore(self._folder / "in-room-ct" / moment),
            PlannedPatient.of(plan),
            on_notice=note,
            on_committed=on_committed,
            elsewhere=elsewhere,
        )

    def _note(self, notice: Notice) -> None:
        """What the storage provider refuses or finds odd goes into the journal."""
        if notice.kind is not NoticeKind.STORED:
            facts = {"instance": notice.sop_instance_uid, "status": f"{notice.status:04X}", "message": notice.message}
            self._database.audit.append(f"instance {notice.kind.value}", facts)

    def _drain(self, on_progress: Callable[[int], None] | None = None) -> None:
        """Send what is due, round after round, until a round brings no answer."""
        sent = 0

        def tell(done: int) -> None:
            if on_progress is not None:
                on_progress(sent + done)

        while True:
            results = drain_outbox(self._database.outbox, self._archive, self._node, clock=self._clock, progress=tell)
            if not results:
                return
            sent += len(results)

    def close(self) -> None:
        """Stop listening and close the database."""
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
