"""Case folders: DICOM files on disk sorted into plan, structure set and CT, with nothing guessed.

The folder is searched recursively. Packed folders (``.tar``, ``.tar.xz``, ``.tar.gz``, ``.tar.bz2``, ``.zip``) in it
are opened only when something is missing among the loose files, and are read in memory: nothing is unpacked to disk.
When the folder holds several plans, the one whose structure set is there is used and the others are mentioned; in every
other case the user is asked.
"""

from __future__ import annotations

import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

from pydicom.dataset import Dataset, FileDataset

from isoalign.dicom.errors import (
    CaseFolderMissing,
    MissingSlices,
    NoPlan,
    NotDicom,
    StructureSetUnresolved,
    UnsafeArchive,
    WrongPatient,
)
from isoalign.dicom.identity import CT_IMAGE, RT_ION_PLAN, RT_STRUCTURE_SET, SHORT_NAMES
from isoalign.dicom.objects.attributes import has_value, require_type_1, text
from isoalign.dicom.objects.ct import require_all_slices
from isoalign.dicom.objects.files import is_dicom, read_bytes, read_file
from isoalign.dicom.objects.plan import read_plan
from isoalign.dicom.objects.structure_set import read_structure_set
from isoalign.dicom.resolution import Named, choose_plan, choose_structure_set, require_one_frame
from isoalign.records import Plan, StructureSet

__all__ = ["CaseFile", "CaseFiles", "read_case_folder"]

PACKED_ENDINGS = (".tar", ".tar.xz", ".tar.gz", ".tgz", ".tar.bz2", ".zip")
OTHER_ENDINGS = {
    *(".md", ".txt", ".json", ".xml", ".csv", ".html", ".pdf", ".png", ".jpg", ".jpeg", ".toml", ".yaml", ".yml"),
    *(".xz", ".gz", ".bz2", ".7z", ".log", ".ini", ".db", ".part", ".npz", ".stl"),
}
"""Endings of files that are passed over when they are not DICOM; any other file that is not DICOM is an error."""
LARGEST_MEMBER_BYTES = 512 * 2**20
LARGEST_ARCHIVE_BYTES = 4 * 2**30
MOST_MEMBERS = 20_000


@dataclass(frozen=True, slots=True)
class CaseFile:
    """One DICOM object on disk (``content`` is None) or in a packed folder."""

    name: str
    sop_class_uid: str
    sop_instance_uid: str
    patient_id: str
    path: Path | None = None
    content: bytes | None = field(default=None, repr=False)

    def read(self) -> FileDataset:
        """The whole dataset."""
        if self.content is not None:
            return read_bytes(self.content, self.name)
        assert self.path is not None
        return read_file(self.path)


@dataclass(frozen=True, slots=True)
class CaseFiles:
    """The objects of one case, chosen and checked for completeness.

    Attributes
    ----------
    plan, structure_set : Plan, StructureSet
    plan_file, structure_set_file : CaseFile
    ct_files : tuple of CaseFile
        Every slice that the structure set references, and no other.
    named_structure_set : bool
        Whether the structure set was named by the user and not by the plan.
    warnings : tuple of str
        What the user should know: other plans, left out structures, unused files.
    """

    plan: Plan
    structure_set: StructureSet
    plan_file: CaseFile
    structure_set_file: CaseFile
    ct_files: tuple[CaseFile, ...]
    named_structure_set: bool = False
    warnings: tuple[str, ...] = ()

    @property
    def files(self) -> tuple[CaseFile, ...]:
        """Plan, structure set and slices."""
        return (self.plan_file, self.structure_set_file, *self.ct_files)

    def datasets(self) -> Iterator[Dataset]:
        """The datasets of all files, read one by one."""
        return (one.read() for one in self.files)


def read_case_folder(folder: Path | str, structure_set: str | None = None, *, plan: str | None = None) -> CaseFiles:
    """Sort a folder of DICOM files into one case.

    Parameters
    ----------
    folder : Path
    structure_set : str, optional
        SOP Instance UID or file of the structure set to use whatever the plan references (``--structure-set``).
    plan : str, optional
        SOP Instance UID or file of the plan (``--plan``).

    Raises
    ------
    CaseFolderMissing, NotDicom, TruncatedFile, NoPlan, SeveralPlans, StructureSetUnresolved, WrongPatient,
    MissingSlices, SeveralFramesOfReference, UnsafeArchive, MissingAttribute, InvalidAttribute, PlanWithoutIsocentre
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise CaseFolderMissing(f"{folder} is not a folder", folder=str(folder))
    found = _Found(folder)
    for path in sorted(one for one in folder.rglob("*") if one.is_file() and not is_hidden(one, folder)):
        found.add_loose(path)
    try:
        return _choose(found, structure_set, plan)
    except (NoPlan, MissingSlices, StructureSetUnresolved):
        if not found.add_packed():
            raise
    return _choose(found, structure_set, plan)


class _Found:
    """The DICOM objects of a folder, by kind, in the order of their names; one per SOP Instance UID."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.by_kind: dict[str, dict[str, CaseFile]] = {RT_ION_PLAN: {}, RT_STRUCTURE_SET: {}, CT_IMAGE: {}}
        self.packed: list[Path] = []
        self.other_kinds: dict[str, int] = {}

    def add_loose(self, path: Path) -> None:
        if path.name.casefold().endswith(PACKED_ENDINGS):
            self.packed.append(path)
            return
        with path.open("rb") as file:
            if not is_dicom(file.read(132)):
                if path.suffix.casefold() in OTHER_ENDINGS or path.name == "DICOMDIR":
                    return
                raise NotDicom(f"{path} is not a DICOM file (no DICM prefix)", file=str(path))
        self._add(read_file(path), str(path), path=path)

    def add_packed(self) -> bool:
        """Read all packed folders; False when there is none (left)."""
        packed, self.packed = self.packed, []
        for archive in packed:
            for name, content in packed_members(archive):
                if is_dicom(content):
                    self._add(read_bytes(content, name), name, content=content)
        return bool(packed)

    def _add(self, dataset: Dataset, name: str, *, path: Path | None = None, content: bytes | None = None) -> None:
        require_type_1(dataset, ("SOPClassUID", "SOPInstanceUID"), name)
        kind = text(dataset, "SOPClassUID")
        if kind not in self.by_kind:
            self.other_kinds[kind] = self.other_kinds.get(kind, 0) + 1
            return
        uid = text(dataset, "SOPInstanceUID")
        one = CaseFile(name, kind, uid, text(dataset, "PatientID"), path=path, content=content)
        if kind == CT_IMAGE and not has_value(dataset, "PixelData"):
            raise MissingSlices(f"{name} has no pixel data", hint="Copy or export the file again.", missing=[uid])
        self.by_kind[kind].setdefault(uid, one)

    @property
    def is_empty(self) -> bool:
        return not any(self.by_kind.values())


def _choose(found: _Found, structure_set: str | None, plan: str | None) -> CaseFiles:
    if found.is_empty and not found.packed:
        raise CaseFolderMissing(f"{found.folder} holds no RT Ion Plan, RT Structure Set or CT Image")
    warnings = [
        f"{count} object(s) of the kind {SHORT_NAMES.get(kind, kind)} are not used"
        for kind, count in sorted(found.other_kinds.items())
    ]
    structure_sets = list(found.by_kind[RT_STRUCTURE_SET].values())
    plans = [Named(read_plan(one.read()), one) for one in found.by_kind[RT_ION_PLAN].values()]
    chosen_plan = choose_plan(plans, structure_sets, plan, structure_set, found.folder, warnings)
    chosen_set = choose_structure_set(chosen_plan, structure_sets, structure_set, found.folder)
    read = read_structure_set(chosen_set.read())
    warnings += read.warnings
    require_one_frame(chosen_plan.plan, read.structure_set)
    slices = found.by_kind[CT_IMAGE]
    wanted = read.structure_set.ct.sop_instance_uids
    _require_one_patient([chosen_plan.file, chosen_set, *slices.values()])
    require_all_slices(wanted, slices)
    unused = len(slices) - len(set(wanted))
    if unused:
        warnings.append(f"{unused} CT slice(s) that the structure set does not reference are not used")
    return CaseFiles(
        plan=chosen_plan.plan,
        structure_set=read.structure_set,
        plan_file=chosen_plan.file,
        structure_set_file=chosen_set,
        ct_files=tuple(slices[uid] for uid in dict.fromkeys(wanted)),
        named_structure_set=chosen_plan.plan.structure_set_uid != chosen_set.sop_instance_uid,
        warnings=tuple(warnings),
    )


def _require_one_patient(files: Iterable[CaseFile]) -> None:
    """Refuse objects of different patients; names files and says which kind, never a person."""
    by_patient: dict[str, list[CaseFile]] = {}
    for one in files:
        by_patient.setdefault(one.patient_id, []).append(one)
    if len(by_patient) < 2:
        return
    groups = []
    for group in by_patient.values():
        more = f" and {len(group) - 1} more" if len(group) > 1 else ""
        groups.append(f"{SHORT_NAMES[group[0].sop_class_uid]} {group[0].name}{more}")
    raise WrongPatient(
        f"the objects belong to {len(by_patient)} different patients: {'; '.join(groups)}",
        files=[[one.name for one in group] for group in by_patient.values()],
    )


def read_ct_folder(folder: Path | str) -> Iterator[FileDataset]:
    """The CT Images among the files of a folder (not of its subfolders), in the order of their names, one by one.

    Raises
    ------
    CaseFolderMissing
        When the folder is not there or holds no CT Image.
    NotDicom, TruncatedFile
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise CaseFolderMissing(f"{folder} is not a folder", folder=str(folder))
    found = False
    for path in sorted(one for one in folder.iterdir() if one.is_file() and not is_hidden(one, folder)):
        if path.suffix.casefold() in OTHER_ENDINGS:
            continue
        dataset = read_file(path)
        if text(dataset, "SOPClassUID") == CT_IMAGE:
            found = True
            yield dataset
    if not found:
        raise CaseFolderMissing(f"{folder} holds no CT Image", folder=str(folder))


def is_hidden(path: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


def packed_members(archive: Path) -> Iterator[tuple[str, bytes]]:
    """Regular files of a packed folder, within limits; nothing is written to disk.

    Raises
    ------
    UnsafeArchive
    """
    members = _zip_members(archive) if archive.suffix.casefold() == ".zip" else _tar_members(archive)
    try:
        yield from _checked(archive, members)
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, ValueError) as error:
        raise UnsafeArchive(f"{archive} cannot be unpacked: {error}") from error
    except (NotImplementedError, RuntimeError) as error:
        raise UnsafeArchive(f"{archive} cannot be unpacked: encrypted, or packed in an unknown way") from error


@dataclass(frozen=True, slots=True)
class _Member:
    """One entry of a packed folder; ``open`` is None for a folder."""

    name: str
    size: int
    is_ordinary: bool
    open: Callable[[], IO[bytes]] | None


def _checked(archive: Path, members: Iterable[_Member]) -> Iterator[tuple[str, bytes]]:
    total = 0
    for count, member in enumerate(members, start=1):
        name = f"{archive}:{member.name}"
        if count > MOST_MEMBERS:
            raise UnsafeArchive(f"{archive} holds more than {MOST_MEMBERS} entries")
        parts = PurePosixPath(member.name).parts
        if member.name.startswith("/") or ".." in parts or not member.is_ordinary:
            raise UnsafeArchive(f"{name} is a link, a device or leads outside the folder")
        if member.open is None:
            continue
        total += member.size
        if member.size > LARGEST_MEMBER_BYTES or total > LARGEST_ARCHIVE_BYTES:
            raise UnsafeArchive(f"{name} makes the unpacked size exceed what is allowed")
        with member.open() as file:
            content = file.read(member.size + 1)  # the stated size is not believed
        if len(content) > member.size:
            raise UnsafeArchive(f"{name} is larger than the archive says")
        yield name, content


def _tar_members(archive: Path) -> Iterator[_Member]:
    with tarfile.open(archive) as tar:
        for one in tar:
            opening = partial(_extracted, tar, one) if one.isfile() else None
            yield _Member(one.name, one.size, one.isfile() or one.isdir(), opening)


def _extracted(tar: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    file = tar.extractfile(member)
    assert file is not None  # of a regular file
    return file


def _zip_members(archive: Path) -> Iterator[_Member]:
    with zipfile.ZipFile(archive) as packed:
        for one in packed.infolist():
            kind = stat.S_IFMT(one.external_attr >> 16)  # 0 where the archive was made on another system
            is_ordinary = kind in {0, stat.S_IFREG, stat.S_IFDIR}
            opening = None if one.is_dir() else partial(packed.open, one)
            yield _Member(one.filename.replace("\\", "/"), one.file_size, is_ordinary, opening)
