"""DICOM objects on disk: an object is either whole under its name or not there.

Written to a temporary file, fsynced, renamed, the folder fsynced, then indexed; only then may the sender be told that
it is stored. File names are SOP Instance UIDs that consist of digits and dots, so no name leads outside the folder.
The same object may come twice; another object under the same UID is refused and kept in quarantine for a person.
"""

from __future__ import annotations

import hashlib
import os
import threading
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.errors import InvalidDicomError
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import UID

from isoalign.dicom import identity
from isoalign.dicom.errors import InstanceRefused, UnknownInstance
from isoalign.dicom.objects.attributes import text
from isoalign.dicom.objects.files import read_file
from isoalign.dicom.ports import InstanceIndex

__all__ = ["ObjectStore", "StoredInstance"]

STATUS_INVALID_INSTANCE = 0x0117
STATUS_DATASET_MISMATCH = 0xA900
STATUS_CANNOT_UNDERSTAND = 0xC000
HEADER_KEYWORDS = ["SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"]


@dataclass(frozen=True, slots=True)
class StoredInstance:
    """One object in the store."""

    sop_instance_uid: str
    sop_class_uid: str
    path: Path
    is_new: bool


class ObjectStore:
    """A folder of DICOM files, one per SOP Instance UID. Safe for use from several threads.

    Parameters
    ----------
    folder : Path
        Made when it does not exist. Partial files of an earlier crash are removed.
    index : InstanceIndex, optional
    """

    def __init__(self, folder: Path, index: InstanceIndex | None = None) -> None:
        self._folder = folder
        self._index = index
        self._lock = threading.Lock()
        self._serial = 0
        folder.mkdir(parents=True, exist_ok=True)
        for partial in folder.glob("*.part"):
            partial.unlink()
        self._known = {path.stem: path for path in folder.glob("*.dcm")}

    def __contains__(self, sop_instance_uid: str) -> bool:
        with self._lock:
            return sop_instance_uid in self._known

    def uids(self) -> tuple[str, ...]:
        """All instances, sorted."""
        with self._lock:
            return tuple(sorted(self._known))

    def path(self, sop_instance_uid: str) -> Path:
        """The file of an instance.

        Raises
        ------
        UnknownInstance
        """
        with self._lock:
            found = self._known.get(sop_instance_uid)
        if found is None:
            raise UnknownInstance(f"instance {sop_instance_uid} is not in the store", sop_instance_uid=sop_instance_uid)
        return found

    def read(self, sop_instance_uid: str) -> FileDataset:
        """The dataset of an instance.

        Raises
        ------
        UnknownInstance, TruncatedFile
        """
        return read_file(self.path(sop_instance_uid))

    def put(
        self, encoded: bytes, *, sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str
    ) -> StoredInstance:
        """Keep an object as it came over the network.

        Parameters
        ----------
        encoded : bytes
            The dataset in the transfer syntax, without file meta information.

        Raises
        ------
        InstanceRefused
            With the C-STORE status to answer.
        OSError
            When the disk does not take it.
        """
        if not identity.is_uid(sop_instance_uid):
            raise InstanceRefused("the SOP Instance UID is not a UID", status=STATUS_INVALID_INSTANCE)
        content = _file_bytes(encoded, sop_class_uid, sop_instance_uid, transfer_syntax_uid)
        header = _header(content)
        if header["SOPInstanceUID"] != sop_instance_uid or header["SOPClassUID"] != sop_class_uid:
            raise InstanceRefused("the UIDs in the command and in the data set differ", status=STATUS_DATASET_MISMATCH)
        target = self._folder / f"{sop_instance_uid}.dcm"
        partial = self._write_partial(content)
        try:
            with self._lock:
                if sop_instance_uid in self._known:
                    self._require_same(self._known[sop_instance_uid], partial, sop_instance_uid)
                    return StoredInstance(sop_instance_uid, sop_class_uid, target, is_new=False)
                partial.replace(target)
                self._sync_folder()
                self._remember(header, target, content)
                self._known[sop_instance_uid] = target
        finally:
            partial.unlink(missing_ok=True)
        return StoredInstance(sop_instance_uid, sop_class_uid, target, is_new=True)

    def put_dataset(self, dataset: Dataset) -> Path:
        """Keep an object of our own; returns its file.

        Raises
        ------
        InstanceRefused
            When another object with this UID is stored.
        OSError
        """
        meta = dataset.file_meta
        buffer = BytesIO()
        pydicom.dcmwrite(buffer, dataset, enforce_file_format=True)
        encoded = _without_meta(buffer.getvalue())
        stored = self.put(
            encoded,
            sop_class_uid=str(dataset.SOPClassUID),
            sop_instance_uid=str(dataset.SOPInstanceUID),
            transfer_syntax_uid=str(meta.TransferSyntaxUID),
        )
        return stored.path

    def _write_partial(self, content: bytes) -> Path:
        with self._lock:
            self._serial += 1
            partial = self._folder / f"{os.getpid()}-{self._serial}.part"
        try:
            with partial.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            partial.unlink(missing_ok=True)
            raise
        return partial

    def _remember(self, header: dict[str, str], target: Path, content: bytes) -> None:
        if self._index is not None:
            self._index.add_instance(
                sop_instance_uid=header["SOPInstanceUID"],
                sop_class_uid=header["SOPClassUID"],
                study_instance_uid=header["StudyInstanceUID"],
                series_instance_uid=header["SeriesInstanceUID"],
                file_name=target.name,
                sha256=hashlib.sha256(content).hexdigest(),
                size_bytes=len(content),
            )

    def _require_same(self, known: Path, partial: Path, sop_instance_uid: str) -> None:
        if _same_object(known, partial):
            return
        quarantine = self._folder / "quarantine"
        quarantine.mkdir(exist_ok=True)
        partial.replace(quarantine / f"{sop_instance_uid}-{partial.stem}.dcm")
        raise InstanceRefused("another object with this UID is stored", status=STATUS_INVALID_INSTANCE)

    def _sync_folder(self) -> None:
        descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _without_meta(content: bytes) -> bytes:
    """The encoded dataset of a file: what follows the file meta information."""
    # preamble, prefix, group length element (12 bytes of which the last 4 are the length of what follows)
    length = int.from_bytes(content[140:144], "little")
    return content[144 + length :]


def _file_bytes(encoded: bytes, sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str) -> bytes:
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\x00\x01"
    meta.MediaStorageSOPClassUID = UID(sop_class_uid)
    meta.MediaStorageSOPInstanceUID = UID(sop_instance_uid)
    meta.TransferSyntaxUID = UID(transfer_syntax_uid)
    meta.ImplementationClassUID = identity.IMPLEMENTATION_CLASS_UID
    meta.ImplementationVersionName = identity.IMPLEMENTATION_VERSION_NAME
    buffer = DicomBytesIO()
    buffer.is_little_endian = True
    buffer.is_implicit_VR = False
    buffer.write(b"\x00" * 128 + b"DICM")
    write_file_meta_info(buffer, meta)
    buffer.write(encoded)
    return bytes(buffer.getvalue())


def _header(content: bytes) -> dict[str, str]:
    try:
        dataset = pydicom.dcmread(BytesIO(content), stop_before_pixels=True, specific_tags=list(HEADER_KEYWORDS))
        return {keyword: text(dataset, keyword) for keyword in HEADER_KEYWORDS}
    except (InvalidDicomError, EOFError, ValueError, KeyError, NotImplementedError, RecursionError) as error:
        raise InstanceRefused("the data set cannot be decoded", status=STATUS_CANNOT_UNDERSTAND) from error


def _same_object(one: Path, other: Path) -> bool:
    """Whether two files hold the same object, in whatever transfer syntax."""
    if one.read_bytes() == other.read_bytes():
        return True
    first, second = pydicom.dcmread(one), pydicom.dcmread(other)
    if first.file_meta.TransferSyntaxUID == second.file_meta.TransferSyntaxUID:
        return False
    return bool(first == second)
