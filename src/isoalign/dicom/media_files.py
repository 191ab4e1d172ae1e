"""DICOM files of the file mode: chosen objects from folders and packed folders, and export to a folder.

Files conform to Part 10 and are written in Implicit VR Little Endian. There is no DICOMDIR: none is written, and one
that lies among the files is passed over. Source: tables 2 and 19 and section 3 of the conformance statement.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from copy import copy
from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from isoalign.dicom.errors import CaseFolderMissing, ExportRefused, InvalidAttribute, UnsupportedPixelData
from isoalign.dicom.identity import (
    CT_IMAGE,
    RT_IMAGE,
    RT_ION_PLAN,
    RT_STRUCTURE_SET,
    SHORT_NAMES,
    SPATIAL_REGISTRATION,
    is_uid,
)
from isoalign.dicom.media import PACKED_ENDINGS, is_hidden, packed_members
from isoalign.dicom.objects import ct, plan, rt_image_reader, structure_set
from isoalign.dicom.objects.attributes import label_of, require_type_1, text
from isoalign.dicom.objects.common import file_meta, write_file
from isoalign.dicom.objects.files import is_dicom, read_bytes, read_file
from isoalign.dicom.objects.pixels import stored_values

__all__ = ["EXPORTED", "IMPORTED", "MediaFilter", "export_media", "import_media", "require_complete"]

IMPORTED = (CT_IMAGE, RT_STRUCTURE_SET, RT_IMAGE, RT_ION_PLAN)
"""Kinds of objects that are imported from media."""
PREFIXES = {CT_IMAGE: "CT", SPATIAL_REGISTRATION: "RE", RT_STRUCTURE_SET: "RS", RT_IMAGE: "RI"}
"""How file names begin."""
EXPORTED = tuple(PREFIXES)
"""Kinds of objects that are exported to media."""
COMMON_TYPE_1 = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
TYPE_1 = {
    CT_IMAGE: ct.TYPE_1,
    RT_STRUCTURE_SET: structure_set.TYPE_1,
    RT_IMAGE: rt_image_reader.TYPE_1,
    RT_ION_PLAN: plan.TYPE_1,
    SPATIAL_REGISTRATION: ("FrameOfReferenceUID", "RegistrationSequence"),
}


@dataclass(frozen=True, slots=True)
class MediaFilter:
    """Which objects are wanted; an empty text accepts every value.

    Attributes
    ----------
    kinds : tuple of str
        SOP Class UIDs.
    """

    kinds: tuple[str, ...] = IMPORTED
    patient_id: str = ""
    study_instance_uid: str = ""
    series_instance_uid: str = ""
    frame_of_reference_uid: str = ""

    def accepts(self, dataset: Dataset) -> bool:
        """Whether the dataset is wanted."""
        wanted = {
            "PatientID": self.patient_id,
            "StudyInstanceUID": self.study_instance_uid,
            "SeriesInstanceUID": self.series_instance_uid,
            "FrameOfReferenceUID": self.frame_of_reference_uid,
        }
        return text(dataset, "SOPClassUID") in self.kinds and all(
            not value or text(dataset, keyword) == value for keyword, value in wanted.items()
        )


def import_media(source: Path | str, wanted: MediaFilter = MediaFilter()) -> Iterator[FileDataset]:
    """The wanted DICOM objects below a folder, packed folders in it included, or in one packed folder; one by one.

    Files that are not DICOM are passed over. Every wanted object is checked for the attributes that must have a value.

    Raises
    ------
    CaseFolderMissing
        When ``source`` does not exist.
    MissingAttribute, TruncatedFile, UnsafeArchive
    """
    source = Path(source)
    if not source.exists():
        raise CaseFolderMissing(f"{source} does not exist", hint="Check the name.", folder=str(source))
    for dataset in _datasets(source):
        if wanted.accepts(dataset):
            require_complete(dataset)
            yield dataset


def _datasets(source: Path) -> Iterator[FileDataset]:
    files = [source] if source.is_file() else sorted(one for one in source.rglob("*") if one.is_file())
    for path in files:
        if path != source and is_hidden(path, source):
            continue
        if path.name.casefold().endswith(PACKED_ENDINGS):
            for name, content in packed_members(path):
                if is_dicom(content):
                    yield read_bytes(content, name)
            continue
        with path.open("rb") as file:
            start = file.read(132)
        if is_dicom(start):
            yield read_file(path)


def require_complete(dataset: Dataset) -> None:
    """Refuse an object in which an attribute that must have a value is absent or empty, or whose pixels are cut.

    Raises
    ------
    MissingAttribute, TruncatedFile, UnsupportedPixelData
    """
    kind = text(dataset, "SOPClassUID")
    require_type_1(dataset, (*COMMON_TYPE_1, *TYPE_1.get(kind, ())), label_of(dataset))
    if kind in {CT_IMAGE, RT_IMAGE}:
        stored_values(dataset)


def export_media(datasets: Iterable[Dataset], folder: Path | str) -> tuple[Path, ...]:
    """Write objects to a folder, one file for each, named after their kind and SOP Instance UID.

    The folder is made when it is missing. Files that are there are never replaced.

    Raises
    ------
    ExportRefused
        When an object is of a kind that is not exported, or its file exists.
    MissingAttribute, TruncatedFile, UnsupportedPixelData
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for dataset in datasets:
        kind = text(dataset, "SOPClassUID")
        if kind not in EXPORTED:
            raise ExportRefused(f"{label_of(dataset)} is a {SHORT_NAMES.get(kind, kind)}; it is not exported to media")
        exported = _in_implicit_vr(dataset)
        require_complete(dataset)
        uid = text(dataset, "SOPInstanceUID")
        if not is_uid(uid):
            raise InvalidAttribute(f"{label_of(dataset)}: SOP Instance UID (0008,0018) is not a UID")
        path = folder / f"{PREFIXES[kind]}.{uid}.dcm"
        if path.exists():
            raise ExportRefused(f"{path} exists already", file=str(path))
        written.append(write_file(exported, path))
    return tuple(written)


def _in_implicit_vr(dataset: Dataset) -> Dataset:
    """The dataset with file meta information of ours, in Implicit VR Little Endian.

    Raises
    ------
    UnsupportedPixelData
        When its pixels are compressed or big endian.
    """
    meta = getattr(dataset, "file_meta", None)
    syntax = UID(meta.TransferSyntaxUID) if meta is not None else ImplicitVRLittleEndian
    if syntax not in {ImplicitVRLittleEndian, ExplicitVRLittleEndian}:
        raise UnsupportedPixelData(
            f"{label_of(dataset)} is in {syntax.name}; only uncompressed little endian objects are exported"
        )
    exported = copy(dataset)
    exported.file_meta = file_meta(dataset)
    return exported
