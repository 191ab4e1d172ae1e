"""Private attributes: written under their creator, and read back whatever the transfer syntax made of them.

In implicit VR nobody says of which kind a private value is, so readers get bytes (VR UN); here they become text,
numbers or items again. Source: DICOM PS3.5 7.8.1, 6.2.2.
"""

from __future__ import annotations

import numpy as np
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as ItemSequence
from pydicom.values import convert_SQ

from isoalign.dicom.errors import InvalidAttribute
from isoalign.geometry import Array


def add_private(dataset: Dataset, creator: str, group: int, element: int, vr: str, value: object) -> None:
    """Add the private attribute (group, xx ``element``) in the block of ``creator``.

    A sequence is written with undefined length, so that readers of implicit VR see that it is one.
    """
    block = dataset.private_block(group, creator, create=True)
    if element in block:
        del block[element]
    block.add_new(element, vr, value)
    if vr == "SQ":
        block[element].is_undefined_length = True


def private_value(dataset: Dataset, creator: str, group: int, element: int) -> object:
    """The value as the library read it; None when it is absent or its block is another creator's."""
    try:
        block = dataset.private_block(group, creator)
    except KeyError:
        return None
    return block[element].value if element in block else None


def private_text(dataset: Dataset, creator: str, group: int, element: int) -> str:
    """The value as text; empty when it is absent."""
    value = private_value(dataset, creator, group, element)
    if value is None:
        return ""
    text = value.decode("ascii", errors="replace") if isinstance(value, bytes) else str(value)
    return text.strip(" \0")


def private_vector(dataset: Dataset, creator: str, group: int, element: int, length: int, where: str) -> Array | None:
    """The value as ``length`` finite numbers; None when it is absent or empty.

    Raises
    ------
    InvalidAttribute
    """
    value = private_value(dataset, creator, group, element)
    if value is None or (isinstance(value, bytes | str) and not value.strip()):
        return None
    parts = value.strip(b" \0").split(b"\\") if isinstance(value, bytes) else list(np.atleast_1d(np.asarray(value)))
    try:
        numbers = np.array([float(part) for part in parts], dtype=np.float64)
    except ValueError:
        numbers = np.empty(0)
    if numbers.shape != (length,) or not np.isfinite(numbers).all():
        raise InvalidAttribute(f"{where}: the private attribute ({group:04X},xx{element:02X}) is not {length} numbers")
    return numbers


def private_items(dataset: Dataset, creator: str, group: int, element: int) -> list[Dataset]:
    """The items of a private sequence; empty when it is absent."""
    value = private_value(dataset, creator, group, element)
    if isinstance(value, bytes):
        value = convert_SQ(value, is_implicit_VR=True, is_little_endian=True)
    return list(value) if isinstance(value, ItemSequence) else []
