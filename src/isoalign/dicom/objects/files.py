"""Reading DICOM files, with truncation noticed."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pydicom
from pydicom import config
from pydicom.dataelem import RawDataElement
from pydicom.dataset import FileDataset
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_dataset

from isoalign.dicom.errors import NotDicom, TruncatedFile

# Vendors write over-long and otherwise imperfect values; what matters is checked by the readers of this room.
config.settings.reading_validation_mode = config.IGNORE

UNDEFINED_LENGTH = 0xFFFFFFFF
MAGIC_OFFSET = 128
MAGIC = b"DICM"
SHORTEST_HEADER_BYTES = 8
FILE_META_GROUP = 0x0002


def is_dicom(content: bytes) -> bool:
    """Whether the first bytes are those of a DICOM Part 10 file."""
    return content[MAGIC_OFFSET : MAGIC_OFFSET + 4] == MAGIC


def read_file(path: Path) -> FileDataset:
    """The dataset of a DICOM file.

    Raises
    ------
    NotDicom, TruncatedFile
    """
    return read_bytes(read_content(path), str(path))


def read_content(path: Path) -> bytes:
    """All bytes of a file.

    Raises
    ------
    NotDicom
        When it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise NotDicom(f"{path} cannot be read: {error.strerror}", file=str(path)) from error


def data_set_offset(content: bytes) -> int:
    """Where the data set begins in a DICOM file's bytes: behind the file meta information. Source: PS3.10 7.1."""
    with BytesIO(content) as file:
        file.seek(MAGIC_OFFSET + len(MAGIC))
        read_dataset(file, False, True, stop_when=lambda tag, _, __: tag.group != FILE_META_GROUP)
        return file.tell()


def read_bytes(content: bytes, name: str) -> FileDataset:
    """The dataset of a DICOM file's bytes; ``name`` is what messages call it.

    Raises
    ------
    NotDicom, TruncatedFile
    """
    if not is_dicom(content):
        raise NotDicom(f"{name} is not a DICOM file (no DICM prefix)", file=name)
    try:
        dataset = pydicom.dcmread(BytesIO(content))
        shortened = _shortened_element(dataset, len(content))
    except RecursionError as error:
        raise TruncatedFile(f"{name} is damaged: its sequences are nested too deeply to be read", file=name) from error
    except (InvalidDicomError, EOFError, OSError, ValueError, KeyError, NotImplementedError) as error:
        raise TruncatedFile(f"{name} ends inside its data or is damaged: {error}", file=name) from error
    if shortened is not None:
        tag, found, needed = shortened
        raise TruncatedFile(
            f"{name} ends early: element {tag} has {found} of {needed} bytes",
            file=name,
            found_bytes=found,
            needed_bytes=needed,
        )
    dataset.filename = name
    return dataset


def _shortened_element(dataset: FileDataset, content_bytes: int) -> tuple[str, int, int] | None:
    """Tag, found and needed bytes of the first element that is shorter than its length says."""
    end = None
    for tag in dataset.keys():  # noqa: SIM118 - iterating a dataset itself would decode every element
        element: object = dataset.get_item(tag)
        end = None
        if isinstance(element, RawDataElement) and element.length != UNDEFINED_LENGTH:
            found = 0 if element.value is None else len(element.value)
            if found < element.length:
                return str(tag).replace(", ", ","), found, element.length
            end = element.value_tell + element.length
    if end is not None and end < content_bytes:
        # pydicom passes over an element header that is cut
        return "header", content_bytes - end, SHORTEST_HEADER_BYTES
    return None
