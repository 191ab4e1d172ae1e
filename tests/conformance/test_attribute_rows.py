"""Every attribute that the conformance statement supports, row by row, in an object of ours.

``attribute_rows.csv`` holds one line for each: the section of the statement, the object, the path of tags (``[n]`` is
the item of a sequence) and the value, typed by hand from the inputs of the example objects. The test of a line is
``test_a_row_holds[section-object-path]``. Values that begin with ``@``: ``@absent`` for an attribute that must not be
there (ADR 0084), ``@items n`` for a sequence, ``@uid NAME`` for the UID of another object, ``@meta`` for the UID in the
file meta information, ``@version`` for our own version, ``@pixels`` for the stored values, ``@doubles`` for numbers of
a curve.

A second test proves of every line that it notices when its attribute is removed, and when its value is changed.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from dataclasses import replace
from functools import cache
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom import Dataset
from pydicom.dataelem import DataElement
from pydicom.tag import BaseTag, Tag

from isoalign import __version__
from isoalign.dicom.objects import encode_file
from isoalign.dicom.objects.examples import FIRST, example_objects

TABLE = Path(__file__).with_name("attribute_rows.csv")
SUPPORTED_ROWS = {
    "B.2.1": 5,
    "B.2.2": 6,
    "B.2.3": 7,
    "B.2.4": 2,
    "B.2.5": 4,
    "B.2.6": 14,
    "B.2.7": 4,
    "B.2.8": 10,
    "B.2.9": 29,
    "B.2.10": 3,
    "B.2.11": 63,
    "B.2.12": 42,
    "B.2.13": 1,
    "B.2.14": 3,
    "B.2.15": 2,
    "B.2.16": 4,
    "B.2.17": 5,
    "B.2.18": 1,
    "B.2.19": 20,
}
"""How many attributes each section supports, counted in the statement."""

Row = tuple[str, str, str, str]


def rows() -> list[Row]:
    with TABLE.open(encoding="utf-8", newline="") as file:
        return [(row["section"], row["object"], row["path"], row["value"]) for row in csv.DictReader(file)]


def named(row: Row) -> str:
    return "-".join(row[:3])


@cache
def encoded() -> dict[str, bytes]:
    inputs = replace(FIRST, settings=replace(FIRST.settings, exposure_as_stated=True))
    return {name: encode_file(dataset) for name, dataset in example_objects(inputs).items()}


def again(name: str) -> Dataset:
    """An example object as it stands in its file."""
    return pydicom.dcmread(BytesIO(encoded()[name]))


def place(dataset: Dataset, path: str) -> tuple[Dataset, BaseTag]:
    """The dataset or item that holds the attribute, and its tag there."""
    *sequences, last = path.split("/")
    for part in sequences:
        tag, _, item = part.partition("[")
        dataset = dataset[tag_in(dataset, tag)].value[int(item.rstrip("]") or 0)]
    return dataset, tag_in(dataset, last)


def tag_in(dataset: Dataset, text: str) -> BaseTag:
    """A tag; ``xx`` of a private one is the block that its creator has in this dataset."""
    group, element = text.split(",")
    private = element.removeprefix("xx")
    if private != element:
        creator = f"Varian Medical Systems VISION {group}"
        if (int(group, 16), 0x0010) not in dataset:
            return Tag(int(group, 16), 0x1000 + int(private, 16))
        return dataset.private_block(int(group, 16), creator).get_tag(int(private, 16))
    return Tag(int(group, 16), int(element, 16))


def shown(element: DataElement) -> str:
    value = element.value
    if isinstance(value, bytes):
        return value.decode("ascii").strip(" \0")
    if isinstance(value, pydicom.multival.MultiValue):
        return "\\".join(str(one) for one in value)
    return "" if value is None else str(value)


def same(found: str, expected: str) -> bool:
    try:
        numbers = [[float(one) for one in text.split("\\")] for text in (found, expected)]
    except ValueError:
        return found == expected
    return len(numbers[0]) == len(numbers[1]) and bool(np.allclose(*numbers, rtol=0, atol=1e-9))


def holds(dataset: Dataset, name: str, path: str, expected: str) -> bool:
    """Whether the attribute is there and has the value of the table."""
    item, tag = place(dataset, path)
    if expected == "@absent":
        return tag not in item
    if tag not in item:
        return False
    element = item[tag]
    kind, _, argument = expected.partition(" ")
    if kind == "@items":
        return element.VR == "SQ" and len(element.value) == int(argument)
    if kind == "@uid":
        return shown(element) == again(argument).SOPInstanceUID
    if kind == "@meta":
        return shown(element) == dataset.file_meta.MediaStorageSOPInstanceUID
    if kind == "@version":
        return shown(element) == __version__
    if kind == "@doubles":
        return element.value == np.array([float(one) for one in argument.split()], "<f8").tobytes()
    if kind == "@pixels":
        return element.value == pixels(name)
    return same(shown(element), expected)


def pixels(name: str) -> bytes:
    """Stored values: a CT counts up from -500 HU above an intercept of -1024, a radiograph from 0."""
    first, count = {"CT": (-500 + 1024, 12 * 16), "RTIMAGE": (0, 16 * 12)}[name]
    return np.arange(first, first + count, dtype="<u2").tobytes()


@pytest.mark.parametrize("row", rows(), ids=named)
def test_a_row_holds(row: Row) -> None:
    _, name, path, expected = row
    assert holds(again(name), name, path, expected)


def remove(dataset: Dataset, path: str) -> None:
    item, tag = place(dataset, path)
    del item[tag]


def change(dataset: Dataset, path: str) -> None:
    """Another value of the same kind."""
    item, tag = place(dataset, path)
    element = item[tag]
    if element.VR == "SQ":
        element.value = [*element.value, Dataset()]
    elif element.VR == "UI":
        element.value = "2.25.999"
    elif element.VR in {"DS", "IS", "FL", "FD", "US", "SS"}:
        first, *others = np.atleast_1d(np.array(element.value, dtype=float)).tolist()
        changed = [int(first) + 1 if element.VR in {"IS", "US", "SS"} else first + 1, *others]
        element.value = changed if others else changed[0]
    elif element.VR in {"OB", "OW", "UN", "OB or OW"}:
        element.value = bytes([element.value[0] ^ 1]) + element.value[1:]
    else:
        element.value = {"DA": "19990101", "TM": "010203"}.get(str(element.VR), "CHANGED")


@pytest.mark.parametrize("row", rows(), ids=named)
def test_a_row_notices_that_its_attribute_is_missing_or_changed(row: Row) -> None:
    _, name, path, expected = row
    if expected == "@absent":
        added = again(name)
        item, tag = place(added, path)
        item.add_new(tag, "LO" if tag != Tag(0x3263, 0x1001) else "SQ", None)
        assert not holds(added, name, path, expected)
        return
    without, other = again(name), again(name)
    remove(without, path)
    assert not holds(without, name, path, expected)
    change(other, path)
    assert not holds(other, name, path, expected)


def test_every_supported_row_of_the_statement_is_in_the_table() -> None:
    """By number: the statement itself is not part of the project."""
    distinct = {(section, re.sub(r"\[\d+\]", "", path)) for section, _, path, _ in rows()}
    counted = Counter(section for section, _ in distinct)
    assert {section: counted[section] for section in SUPPORTED_ROWS} == SUPPORTED_ROWS
