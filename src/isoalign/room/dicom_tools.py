"""What ``isoalign dicom`` does: the DICOM node without a room around it."""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from isoalign.clock import SystemClock
from isoalign.dicom import identity
from isoalign.dicom.node import (
    Caller,
    NodeSettings,
    Notice,
    NoticeKind,
    ReceiverSettings,
    StorageReceiver,
    StoreResult,
    WholeFile,
    drain_outbox,
    echo,
    request_commitment,
    require_stored,
    retrieve,
    send,
)
from isoalign.dicom.object_store import ObjectStore
from isoalign.dicom.objects import (
    Dataset,
    read_file,
    read_plan,
    read_spatial_registration,
    read_structure_set,
)
from isoalign.dicom.objects.attributes import label_of, require_type_1
from isoalign.errors import InputDataError
from isoalign.room import dicom_node
from isoalign.room.errors import ProgramMissing, SettingsInvalid
from isoalign.room.logs import logs_on_stderr
from isoalign.room.settings import DicomSettings, PeerSettings, RoomSettings
from isoalign.storage import Database, OutboxEvent, OutboxState, QueuedObject

DATABASE_NAME = "isoalign.db"
VALIDATOR = "dciodvfy"
Progress = Callable[[int, int, float], None]
"""Called with how many are done, how many there are, and how many a second."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """What was moved: how many objects, how long it took, and what a person should know."""

    count: int
    duration_s: float
    warnings: tuple[str, ...] = ()

    @property
    def rate(self) -> float:
        """Objects a second."""
        return self.count / self.duration_s if self.duration_s > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is wrong with a file; nothing when ``problems`` is empty."""

    file: Path
    kind: str
    problems: tuple[str, ...]


def node_settings(room: RoomSettings | None, calling_ae_title: str | None) -> NodeSettings:
    """How associations are opened: as the configuration says, under another calling AE title when one is named."""
    settings = NodeSettings() if room is None or room.dicom is None else dicom_node.user(room.dicom)
    return settings if calling_ae_title is None else replace(settings, ae_title=calling_ae_title)


def echo_peer(peer: PeerSettings, settings: NodeSettings) -> float:
    """C-ECHO; the round trip in seconds.

    Raises
    ------
    DicomNetworkError
    """
    return echo(dicom_node.peer(peer), settings)


def send_files(peer: PeerSettings, files: Sequence[Path], settings: NodeSettings, progress: Progress) -> Transfer:
    """C-ECHO, then C-STORE of files over one association.

    Raises
    ------
    DicomNetworkError
        StoreFailed names what the peer did not store, with its status and comment.
    InputDataError
    """
    target = dicom_node.peer(peer)
    echo(target, settings)
    meter = _Meter(len(files), progress)
    results = send(target, map(WholeFile.read, files), settings, on_progress=meter)
    require_stored(results, target)
    return Transfer(len(results), meter.elapsed_s, tuple(_warnings(results)))


def move_instances(
    peer: PeerSettings,
    uids: Sequence[str],
    folder: Path,
    settings: NodeSettings,
    receiving: ReceiverSettings,
    progress: Progress,
    *,
    study_instance_uid: str = "",
    series_instance_uid: str = "",
) -> Transfer:
    """C-ECHO, then C-MOVE of instances into a folder.

    Raises
    ------
    DicomNetworkError
        RetrieveIncomplete names what has not arrived.
    """
    source = dicom_node.peer(peer)
    echo(source, settings)
    meter = _Meter(len(uids), progress)
    own = replace(receiving, callers=(Caller(peer.ae_title, dicom_node.addresses_of(peer), peer.certificates),))
    with logs_on_stderr(), StorageReceiver(own, ObjectStore(folder)) as receiver:
        report = retrieve(
            source,
            uids,
            receiver,
            settings,
            study_instance_uid=study_instance_uid,
            series_instance_uid=series_instance_uid,
            progress=lambda done, _: meter(done),
        )
    return Transfer(len(report.arrived), report.duration_s, (report.warning,) if report.warning else ())


@contextmanager
def receiving(
    settings: ReceiverSettings, folder: Path, on_notice: Callable[[Notice], None]
) -> Iterator[StorageReceiver]:
    """A storage provider that keeps what comes, with its index in the folder's database.

    Raises
    ------
    ReceiverNotStarted, DatabaseUnavailable
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (
        logs_on_stderr(),
        Database(folder / DATABASE_NAME, owner=False) as database,
        StorageReceiver(settings, ObjectStore(folder / "received", database.instances), on_notice=on_notice) as running,
    ):
        yield running


def receiver_settings(
    *, ae_title: str, host: str, port: int, callers: Sequence[str], room: RoomSettings | None = None
) -> ReceiverSettings:
    """How a provider of its own listens; ``callers`` are AE titles, each with ``@ADDRESS`` or without.

    Raises
    ------
    ConfigurationError
    """
    settings = ReceiverSettings(ae_title=ae_title, host=host, port=port, accept_any=True)
    if room is not None and room.dicom is not None:
        settings = replace(settings, tls=dicom_node.tls(room.dicom), pdu_bytes=room.dicom.receive_pdu_bytes)
    allowed = []
    for one in callers:
        title, _, address = one.partition("@")
        allowed.append(Caller(title, (address,) if address else ()))
    return replace(settings, callers=tuple(allowed))


def commit_files(peer: PeerSettings, files: Sequence[Path], settings: NodeSettings, wait_s: float) -> list[str]:
    """Ask a peer to commit itself to files; the instance UIDs that it does not have, each with the reason.

    Raises
    ------
    DicomNetworkError, InputDataError
    """
    datasets = [read_file(one) for one in files]
    instances = [(str(one.SOPClassUID), str(one.SOPInstanceUID)) for one in datasets]
    result = request_commitment(dicom_node.peer(peer), instances, settings, wait_s=wait_s)
    return [f"{uid} (reason {reason:04X})" for _, uid, reason in result.failed]


class Queue:
    """The outbox of a room's database; use as a context manager.

    Parameters
    ----------
    room : RoomSettings
        With ``[storage]`` and ``[dicom]``.
    """

    def __init__(self, room: RoomSettings, *, sending: bool = False) -> None:
        if room.storage is None or room.dicom is None:
            raise SettingsInvalid("the configuration has no [storage] or no [dicom]: there is no outbox")
        self._dicom: DicomSettings = room.dicom
        target = room.storage.database_url or room.storage.folder / DATABASE_NAME
        self._database = Database(target, owner=sending)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def entries(self, state: str | None = None) -> tuple[QueuedObject, ...]:
        """All entries, or those in one state."""
        return self._database.outbox.entries(None if state is None else OutboxState(state))

    def history(self, entry_id: int) -> tuple[OutboxEvent, ...]:
        """What happened to an entry."""
        return self._database.outbox.history(entry_id)

    def retry_failed(self) -> int:
        """Queue again what was given up; how many."""
        return self._database.outbox.retry_failed(SystemClock().utc())

    def send(self) -> int:
        """Send what is due; how many objects the archive has now."""
        archive, settings = dicom_node.peer(self._dicom.archive), dicom_node.user(self._dicom)
        with logs_on_stderr():
            results = drain_outbox(self._database.outbox, archive, settings, clock=SystemClock())
        return sum(one.is_stored for one in results)


def validate_file(file: Path, *, with_program: bool) -> Verdict:
    """Whether this package can use a file, and what DCIODVFY says of it.

    Raises
    ------
    ProgramMissing
        When the program is asked for and not installed.
    """
    try:
        dataset = read_file(file)
    except InputDataError as error:
        return Verdict(file, "-", (error.message,))
    sop_class = str(dataset.get("SOPClassUID", ""))
    problems = []
    readers: dict[str, Callable[[Dataset], object]] = {
        identity.RT_ION_PLAN: read_plan,
        identity.RT_STRUCTURE_SET: read_structure_set,
        identity.SPATIAL_REGISTRATION: read_spatial_registration,
        identity.CT_IMAGE: _require_image,
        identity.RT_IMAGE: _require_image,
    }
    reader = readers.get(sop_class)
    if reader is not None:
        try:
            reader(dataset)
        except InputDataError as error:
            problems.append(error.message)
    if with_program:
        problems += _program_says(file)
    return Verdict(file, identity.SHORT_NAMES.get(sop_class, sop_class or "-"), tuple(problems))


def _require_image(dataset: Dataset) -> None:
    require_type_1(dataset, ("Rows", "Columns", "PixelData"), label_of(dataset))


def _program_says(file: Path) -> list[str]:
    found = shutil.which(VALIDATOR)
    if found is None:
        raise ProgramMissing(
            f"the program {VALIDATOR} is not installed", hint="Install it (Debian: apt install dicom3tools)."
        )
    said = subprocess.run([found, str(file)], capture_output=True, text=True, errors="replace", check=False)
    return [line.strip() for line in said.stderr.splitlines() if line.startswith("Error")]


def describe_file(file: Path) -> list[tuple[str, str, str]]:
    """The elements of a file as (tag, name, value); of sequences the number of items, of pixels the size.

    Raises
    ------
    InputDataError
    """
    dataset = read_file(file)
    return [
        (str(one.tag).replace(", ", ","), one.name, _shown(one))
        for part in (dataset.file_meta, dataset)
        for one in part
    ]


def _shown(element: Any) -> str:
    if element.VR == "SQ":
        return f"{len(element.value)} items"
    if isinstance(element.value, bytes) and len(element.value) > 16:
        return f"{len(element.value)} bytes"
    return str(element.value)


def _warnings(results: Sequence[StoreResult]) -> Iterator[str]:
    for one in results:
        if one.status != 0x0000:
            yield f"{one.sop_instance_uid}: status {one.status:04X}, {one.meaning}" + (
                one.comment and f": {one.comment}"
            )


class _Meter:
    """Counts what is done and how fast."""

    def __init__(self, total: int, progress: Progress) -> None:
        self._total = total
        self._progress = progress
        self._began_s = time.monotonic()

    @property
    def elapsed_s(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self._began_s

    def __call__(self, done: int) -> None:
        self._progress(done, self._total, done / max(self.elapsed_s, 1e-6))


class Tally:
    """Counts what a provider receives and refuses, over all its threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.stored = 0
        self.refused = 0

    def note(self, notice: Notice) -> None:
        """Count one notice."""
        is_stored = notice.kind in {NoticeKind.STORED, NoticeKind.ODD}
        with self._lock:
            self.stored += is_stored
            self.refused += not is_stored
