"""DICOM objects on disk: an object is either whole under its name or not there.

Written to a temporary file, fsynced, renamed, the folder fsynced, then indexed; only then may the sender be told that
it is stored. File names are SOP Instance UIDs that consist of digits and dots, so no name leads outside the folder.
The same object may come twice; another object under the same UID is refused and kept in quarantine for a person.
The folder is the truth: at the start the index is brought up to date with it.
"""

from __future__ import annotations

import hashlib
import os
import struct
import threading
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from io import BytesIO
from pathlib import Path

import pydicom
import structlog
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.errors import InvalidDicomError
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_file_meta_info
from pydicom.tag import BaseTag, Tag
from pydicom.uid import UID, ImplicitVRLittleEndian

from isoalign.dicom import identity
from isoalign.dicom.errors import ConflictingInstance, InstanceRefused, UnknownInstance
from isoalign.dicom.objects.attributes import attribute_name
from isoalign.dicom.objects.files import read_file
from isoalign.dicom.ports import IndexEntry, InstanceIndex

__all__ = ["Inspection", "ObjectStore", "StoredInstance"]

log = structlog.get_logger()

STATUS_INVALID_INSTANCE = 0x0117
STATUS_DATASET_MISMATCH = 0xA900
STATUS_CANNOT_UNDERSTAND = 0xC000
HEADER_KEYWORDS = [
    "SOPClassUID",
    "SOPInstanceUID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "Modality",
    "ImageType",
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientPosition",
]
HEADER_TAGS = [Tag(keyword) for keyword in HEADER_KEYWORDS]
TEXTS = {Tag(keyword): keyword for keyword in HEADER_KEYWORDS[:5]}
"""Of these the value matters here, the others are for an inspection."""
INSTANCE_ELEMENT = b"\x02\x00\x03\x00UI"
"""How Media Storage SOP Instance UID begins in a file; its length and value follow."""
MODALITIES = {
    identity.CT_IMAGE: "CT",
    identity.RT_IMAGE: "RTIMAGE",
    identity.RT_STRUCTURE_SET: "RTSTRUCT",
    identity.RT_ION_PLAN: "RTPLAN",
    identity.SPATIAL_REGISTRATION: "REG",
}
"""Modality (0008,0060) that goes with a SOP class."""
QUARANTINE = "quarantine"
UNREADABLE = (
    InvalidDicomError,
    AttributeError,
    EOFError,
    KeyError,
    LookupError,
    NotImplementedError,
    OverflowError,
    RecursionError,
    TypeError,
    ValueError,
    struct.error,
)
"""What pydicom raises for bytes that are no data set, or one that is nested too deeply."""

Inspection = Callable[[Dataset], None]
"""Looks at the first attributes of a received object, and raises InstanceRefused when it must not be kept."""


@dataclass(frozen=True, slots=True)
class StoredInstance:
    """One object in the store; ``remark`` says what is odd about an object that is kept all the same."""

    sop_instance_uid: str
    sop_class_uid: str
    path: Path
    is_new: bool
    remark: str = ""


@dataclass(slots=True)
class _Batch:
    """Objects under their final names that are made durable and indexed together."""

    entries: list[IndexEntry] = field(default_factory=list)
    is_done: bool = False
    error: Exception | None = None


class ObjectStore:
    """A folder of DICOM files, one per SOP Instance UID. Safe for use from several threads.

    Parameters
    ----------
    folder : Path
        Made when it does not exist. Partial files of an earlier crash are removed.
    index : InstanceIndex, optional
        Gets what the folder holds and the index does not, and loses what the folder does not hold.
    """

    def __init__(self, folder: Path, index: InstanceIndex | None = None) -> None:
        self._folder = folder
        self._index = index
        self._lock = threading.Lock()
        self._serial = 0
        self._batch = _Batch()
        self._settling = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True)
        for partial in folder.glob("*.part"):
            partial.unlink()
        self._known = {path.stem for path in folder.glob("*.dcm")}
        _sync_folder(folder)
        # whole, synced and indexed: what may be acknowledged
        self._settled = set(self._known)
        if index is not None:
            self._rebuild(index)

    def _rebuild(self, index: InstanceIndex) -> None:
        rows = index.instance_uids()
        lost = rows - self._known
        for uid in lost:
            log.error("an instance in the index has no file", sop_instance_uid=uid)
        found = []
        for uid in self._known - rows:
            path = self._file_of(uid)
            content = path.read_bytes()
            try:
                header = _header_of_file(content)
            except InstanceRefused:
                log.exception("a file in the store cannot be read", file=path.name)
                continue
            found.append(_entry(header, path.name, (content,)))
        index.reconcile(add=found, forget=sorted(lost))
        self._settled = index.instance_uids()

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
        if sop_instance_uid not in self:
            raise UnknownInstance(f"instance {sop_instance_uid} is not in the store", sop_instance_uid=sop_instance_uid)
        return self._file_of(sop_instance_uid)

    def _file_of(self, sop_instance_uid: str) -> Path:
        return self._folder / f"{sop_instance_uid}.dcm"

    def read(self, sop_instance_uid: str) -> FileDataset:
        """The dataset of an instance.

        Raises
        ------
        UnknownInstance, TruncatedFile
        """
        return read_file(self.path(sop_instance_uid))

    def put(
        self,
        encoded: bytes,
        *,
        sop_class_uid: str,
        sop_instance_uid: str,
        transfer_syntax_uid: str,
        inspect: Inspection | None = None,
    ) -> StoredInstance:
        """Keep an object as it came over the network.

        Parameters
        ----------
        encoded : bytes
            The dataset in the transfer syntax, without file meta information.
        inspect : callable, optional
            A further condition.

        Raises
        ------
        InstanceRefused
            With the C-STORE status to answer.
        OSError
            When the disk does not take it.
        StorageError
            When the index does not take it. The object is then whole in the folder, and indexed when it comes again.
        """
        if not identity.is_uid(sop_instance_uid):
            raise InstanceRefused("the SOP Instance UID is not a UID", status=STATUS_INVALID_INSTANCE)
        header = _header_of(encoded, transfer_syntax_uid)
        if header.text("SOPInstanceUID") != sop_instance_uid or header.text("SOPClassUID") != sop_class_uid:
            raise InstanceRefused("the UIDs in the command and in the data set differ", status=STATUS_DATASET_MISMATCH)
        if inspect is not None:
            inspect(header.dataset)
        parts = (_file_start(sop_class_uid, sop_instance_uid, transfer_syntax_uid), encoded)
        target = self._file_of(sop_instance_uid)
        partial = self._write_partial(parts)
        try:
            with self._lock:
                is_new = sop_instance_uid not in self._known
                if is_new:
                    partial.replace(target)
                    self._known.add(sop_instance_uid)
            if not is_new:
                self._require_same(target, partial, sop_instance_uid)
                partial.unlink()
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
        if sop_instance_uid not in self._settled:
            self._settle(_entry(header, target.name, parts if is_new else (target.read_bytes(),)))
        return StoredInstance(sop_instance_uid, sop_class_uid, target, is_new, _remark(header, sop_class_uid))

    def _settle(self, entry: IndexEntry) -> None:
        """Sync the folder and index an object, together with those that other threads have renamed meanwhile."""
        with self._lock:
            batch = self._batch
            batch.entries.append(entry)
        with self._settling:
            if not batch.is_done:
                with self._lock:
                    self._batch = _Batch()
                try:
                    _sync_folder(self._folder)
                    if self._index is not None:
                        self._index.add_instances(batch.entries)
                    self._settled.update(one.sop_instance_uid for one in batch.entries)
                except Exception as error:  # noqa: BLE001 - for each thread of the batch
                    batch.error = error
                batch.is_done = True
        if batch.error is not None:
            raise batch.error

    def put_dataset(self, dataset: Dataset) -> StoredInstance:
        """Keep an object that did not come over the network.

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
        return self.put(
            encoded,
            sop_class_uid=str(dataset.SOPClassUID),
            sop_instance_uid=str(dataset.SOPInstanceUID),
            transfer_syntax_uid=str(meta.TransferSyntaxUID),
        )

    def _write_partial(self, parts: Iterable[bytes]) -> Path:
        with self._lock:
            self._serial += 1
            partial = self._folder / f"{os.getpid()}-{self._serial}.part"
        try:
            with partial.open("xb") as file:
                for part in parts:
                    file.write(part)
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            partial.unlink(missing_ok=True)
            raise
        return partial

    def _require_same(self, known: Path, partial: Path, sop_instance_uid: str) -> None:
        if _same_object(known, partial):
            return
        quarantine = self._folder / QUARANTINE
        quarantine.mkdir(exist_ok=True)
        aside = quarantine / f"{sop_instance_uid}-{uuid.uuid4().hex}.dcm"
        partial.replace(aside)
        _sync_folder(quarantine)
        raise ConflictingInstance(
            f"another object with this UID is stored; {QUARANTINE}/{aside.name} holds the new one",
            status=STATUS_INVALID_INSTANCE,
        )


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _entry(header: _Header, file_name: str, parts: Sequence[bytes]) -> IndexEntry:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return IndexEntry(
        sop_instance_uid=header.text("SOPInstanceUID"),
        sop_class_uid=header.text("SOPClassUID"),
        study_instance_uid=header.text("StudyInstanceUID"),
        series_instance_uid=header.text("SeriesInstanceUID"),
        file_name=file_name,
        sha256=digest.hexdigest(),
        size_bytes=sum(map(len, parts)),
    )


def _remark(header: _Header, sop_class_uid: str) -> str:
    """What does not fit the SOP class, although the object can be kept."""
    expected, found = MODALITIES.get(sop_class_uid, ""), header.text("Modality")
    if expected and found != expected:
        return f"Modality (0008,0060) is {found[:16] or 'empty'}, not {expected}"
    missing = [keyword for keyword in ("StudyInstanceUID", "SeriesInstanceUID") if not header.text(keyword)]
    return f"{attribute_name(missing[0])} is empty" if missing else ""


def _without_meta(content: bytes) -> bytes:
    """The encoded dataset of a file: what follows the file meta information."""
    # preamble, prefix, group length element (12 bytes of which the last 4 are the length of what follows)
    length = int.from_bytes(content[140:144], "little")
    return content[144 + length :]


def _file_start(sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str) -> bytes:
    """Preamble and file meta information of a file."""
    before, after = _around_instance(sop_class_uid, transfer_syntax_uid, len(sop_instance_uid))
    value = sop_instance_uid.encode("ascii")
    return before + value + b"\0" * (len(value) % 2) + after


@lru_cache(maxsize=512)
def _around_instance(sop_class_uid: str, transfer_syntax_uid: str, length: int) -> tuple[bytes, bytes]:
    """What stands before and after an instance UID of this length; the library takes a millisecond for it."""
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\x00\x01"
    meta.MediaStorageSOPClassUID = UID(sop_class_uid)
    meta.MediaStorageSOPInstanceUID = UID("1" * length)
    meta.TransferSyntaxUID = UID(transfer_syntax_uid)
    meta.ImplementationClassUID = identity.IMPLEMENTATION_CLASS_UID
    meta.ImplementationVersionName = identity.IMPLEMENTATION_VERSION_NAME
    buffer = DicomBytesIO()
    buffer.is_little_endian = True
    buffer.is_implicit_VR = False
    buffer.write(b"\x00" * 128 + b"DICM")
    write_file_meta_info(buffer, meta)
    whole = buffer.getvalue()
    place = whole.index(INSTANCE_ELEMENT) + len(INSTANCE_ELEMENT) + 2
    return whole[:place], whole[place + length + length % 2 :]


@dataclass(frozen=True, slots=True)
class _Header:
    """The attributes that matter here, and each of them as text (absent or empty ones may be missing)."""

    dataset: Dataset
    texts: dict[str, str]

    def text(self, keyword: str) -> str:
        return self.texts.get(keyword, "")


def _header_of_file(content: bytes) -> _Header:
    return _header(lambda: pydicom.dcmread(BytesIO(content), specific_tags=list(HEADER_TAGS)))


def _header_of(encoded: bytes, transfer_syntax_uid: str) -> _Header:
    is_implicit = transfer_syntax_uid == ImplicitVRLittleEndian
    return _header(lambda: read_dataset(BytesIO(encoded), is_implicit, True, specific_tags=list(HEADER_TAGS)))


def _header(read: Callable[[], Dataset]) -> _Header:
    """What ``read`` finds; it walks through the whole data set."""
    try:
        dataset = read()
        texts = {keyword: _text(dataset, tag) for tag, keyword in TEXTS.items() if tag in dataset}
    except UNREADABLE as error:
        raise InstanceRefused("the data set cannot be decoded", status=STATUS_CANNOT_UNDERSTAND) from error
    return _Header(dataset, texts)


def _text(dataset: Dataset, tag: BaseTag) -> str:
    """The value of an element as text, without the padding; read as it came, which takes a tenth of the time.

    Raises
    ------
    TypeError
        When it is a sequence.
    """
    element = dataset.get_item(tag)
    value: object = getattr(element, "value", None)
    if value is None:
        return ""
    if not isinstance(value, bytes):
        raise TypeError("a sequence where text is due")
    return value.decode("ascii", "replace").strip("\0 ")


def _same_object(one: Path, other: Path) -> bool:
    """Whether two files hold the same object, in whatever transfer syntax."""
    if one.read_bytes() == other.read_bytes():
        return True
    try:
        first, second = pydicom.dcmread(one), pydicom.dcmread(other)
        if first.file_meta.TransferSyntaxUID == second.file_meta.TransferSyntaxUID:
            return False
        return bool(first == second)
    except UNREADABLE:
        return False
