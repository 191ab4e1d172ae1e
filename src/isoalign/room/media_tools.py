"""What ``isoalign dicom import`` and ``export`` do: files into a store, and objects into files for media."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from isoalign.dicom import identity
from isoalign.dicom.errors import ConflictingInstance
from isoalign.dicom.media_files import EXPORTED, IMPORTED, MediaFilter, export_media, import_media
from isoalign.dicom.object_store import ObjectStore
from isoalign.dicom.objects import Dataset
from isoalign.room.dicom_tools import DATABASE_NAME
from isoalign.room.errors import SettingsInvalid
from isoalign.storage import Database

KINDS = {
    "ct": identity.CT_IMAGE,
    "structure-set": identity.RT_STRUCTURE_SET,
    "rt-image": identity.RT_IMAGE,
    "plan": identity.RT_ION_PLAN,
    "registration": identity.SPATIAL_REGISTRATION,
}
"""Names of object kinds on the command line."""
Progress = Callable[[int, float], None]
"""Called with how many are done, and how many a second."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which objects; an empty text or tuple accepts every value. ``kinds`` are names of :data:`KINDS`."""

    kinds: tuple[str, ...] = ()
    patient_id: str = ""
    study_instance_uid: str = ""
    series_instance_uid: str = ""
    frame_of_reference_uid: str = ""

    def filter(self, allowed: Sequence[str]) -> MediaFilter:
        """As the media files want it.

        Raises
        ------
        SettingsInvalid
            When a kind is asked for that this direction does not have.
        """
        chosen = tuple(KINDS[one] for one in self.kinds) or tuple(allowed)
        for kind in chosen:
            if kind not in allowed:
                raise SettingsInvalid(
                    f"{identity.SHORT_NAMES[kind]} is not among the kinds of objects that go this way",
                    hint="Imported are ct, structure-set, rt-image and plan; exported registration instead of plan.",
                )
        return MediaFilter(
            chosen,
            self.patient_id,
            self.study_instance_uid,
            self.series_instance_uid,
            self.frame_of_reference_uid,
        )


@dataclass
class Imported:
    """What an import has done."""

    new: int = 0
    known: int = 0
    conflicts: list[str] = field(default_factory=list)
    """Messages about objects whose UID belongs to another object that is stored; the newcomers are in quarantine."""
    remarks: list[str] = field(default_factory=list)
    duration_s: float = 0.0


def import_files(sources: Sequence[Path], folder: Path, wanted: Wanted, progress: Progress) -> Imported:
    """Keep the wanted objects of folders and archives, with the checks of objects that come over the network.

    Parameters
    ----------
    folder : Path
        As for a storage provider: objects in ``received``, the index beside it.

    Raises
    ------
    InputDataError
        At the first object that is not whole; what came before it is kept.
    SettingsInvalid, DatabaseUnavailable
    """
    chosen = wanted.filter(IMPORTED)
    folder.mkdir(parents=True, exist_ok=True)
    done, began_s = Imported(), time.monotonic()
    with Database(folder / DATABASE_NAME, owner=False) as database:
        store = ObjectStore(folder / "received", database.instances)
        for dataset in _each(sources, chosen):
            try:
                stored = store.put_dataset(dataset)
            except ConflictingInstance as error:
                done.conflicts.append(f"{dataset.SOPInstanceUID}: {error.message}")
                continue
            done.new += stored.is_new
            done.known += not stored.is_new
            if stored.remark:
                done.remarks.append(f"{stored.sop_instance_uid}: {stored.remark}")
            done.duration_s = time.monotonic() - began_s
            count = done.new + done.known
            progress(count, count / max(done.duration_s, 1e-6))
    return done


def export_files(sources: Sequence[Path], folder: Path, wanted: Wanted, progress: Progress) -> int:
    """Write the wanted objects of folders and archives as media files to a folder; returns how many.

    Raises
    ------
    InputDataError, ExportRefused, SettingsInvalid
    """
    chosen, began_s = wanted.filter(EXPORTED), time.monotonic()

    def counted() -> Iterator[Dataset]:
        for number, dataset in enumerate(_each(sources, chosen), 1):
            yield dataset
            progress(number, number / max(time.monotonic() - began_s, 1e-6))

    return len(export_media(counted(), folder))


def _each(sources: Iterable[Path], chosen: MediaFilter) -> Iterator[Dataset]:
    for source in sources:
        yield from import_media(source, chosen)
