"""Reading attributes with errors that name the file, the attribute and its tag."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from pydicom.datadict import dictionary_description, tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from isoalign.dicom.errors import InvalidAttribute, MissingAttribute, WrongObject
from isoalign.dicom.identity import SHORT_NAMES
from isoalign.geometry import Array


def attribute_name(keyword: str) -> str:
    """Name and tag of a standard attribute, e.g. ``Patient ID (0010,0020)``."""
    tag = tag_for_keyword(keyword)
    if tag is None:
        return keyword
    return f"{dictionary_description(tag)} {Tag(tag)}".replace(", ", ",")


def label_of(dataset: Dataset) -> str:
    """How messages call a dataset: its kind, its file when known, otherwise its SOP Instance UID."""
    kind = SHORT_NAMES.get(str(dataset.get("SOPClassUID", "")), "DICOM object")
    file_name = getattr(dataset, "filename", None)
    if file_name:
        return f"{kind} {file_name}"
    return f"{kind} {dataset.get('SOPInstanceUID', '(without UID)')}"


def has_value(dataset: Dataset, keyword: str) -> bool:
    """Whether the attribute is present and not empty."""
    return keyword in dataset and not dataset[keyword].is_empty


def require_type_1(dataset: Dataset, keywords: Iterable[str], where: str) -> None:
    """Refuse a dataset in which any of the attributes is absent or empty.

    Raises
    ------
    MissingAttribute
        Names all of them.
    """
    missing = [keyword for keyword in keywords if not has_value(dataset, keyword)]
    if missing:
        names = ", ".join(attribute_name(keyword) for keyword in missing)
        raise MissingAttribute(f"{where}: {names} is missing or empty", attributes=missing, object=where)


def require_sop_class(dataset: Dataset, sop_class_uid: str) -> None:
    """Refuse a dataset of another kind.

    Raises
    ------
    WrongObject
    """
    found = str(dataset.get("SOPClassUID", ""))
    if found != sop_class_uid:
        kind = SHORT_NAMES.get(found, found or "unknown")
        raise WrongObject(f"{label_of(dataset)} is not an {SHORT_NAMES[sop_class_uid]} but {kind}")


def value_of(dataset: Dataset, keyword: str, where: str) -> Any:
    """The value of a Type 1 attribute.

    Raises
    ------
    MissingAttribute
    """
    require_type_1(dataset, (keyword,), where)
    return dataset[keyword].value


def text(dataset: Dataset, keyword: str) -> str:
    """The value as text; empty when absent or empty."""
    return str(dataset[keyword].value).strip() if has_value(dataset, keyword) else ""


def number(dataset: Dataset, keyword: str, where: str) -> float | None:
    """The value as a finite number; None when absent or empty.

    Raises
    ------
    InvalidAttribute
    """
    if not has_value(dataset, keyword):
        return None
    try:
        value = float(dataset[keyword].value)
    except (TypeError, ValueError):
        value = float("nan")
    if not np.isfinite(value):
        raise InvalidAttribute(f"{where}: {attribute_name(keyword)} is not a finite number", attribute=keyword)
    return value


def vector(dataset: Dataset, keyword: str, length: int, where: str) -> Array:
    """A Type 1 attribute of ``length`` finite numbers.

    Raises
    ------
    MissingAttribute, InvalidAttribute
    """
    raw = value_of(dataset, keyword, where)
    try:
        values = np.array([float(item) for item in raw], dtype=np.float64)
    except (TypeError, ValueError):
        values = np.empty(0)
    if values.shape != (length,) or not np.isfinite(values).all():
        raise InvalidAttribute(f"{where}: {attribute_name(keyword)} is not {length} finite numbers", attribute=keyword)
    return values


def items(dataset: Dataset, keyword: str) -> list[Dataset]:
    """The items of a sequence; empty when absent."""
    return list(dataset[keyword].value) if has_value(dataset, keyword) else []
