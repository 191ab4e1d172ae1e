"""Matched markers in an RT Image: one curve of one point for each, in the retired curve groups 50xx.

Coordinates are pixels as (column, row), zero at the centre of the first pixel, as double precision numbers.
Sources: section 2.2.3.1 of the conformance statement; DICOM PS3.3-2004 C.10.2 (the last edition with curves). The
statement's list names groups 5000 and 5002 in turn; every group of the module is meant.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from isoalign.dicom.errors import InvalidAttribute, TooManyMarkers
from isoalign.geometry import Array

GROUPS = range(0x5000, 0x5020, 2)
MOST_MARKERS = len(GROUPS)
DOUBLE = 3
"""Data Value Representation of double precision numbers."""
NUMBER_TYPES = {0: "<u2", 1: "<i2", 2: "<f4", DOUBLE: "<f8", 4: "<i4"}


def add_marker_curves(image: Dataset, markers_px: npt.ArrayLike) -> None:
    """Write matched markers into an RT Image.

    Parameters
    ----------
    markers_px : array_like, shape (n, 2)
        (column, row) of each marker, pixels.

    Raises
    ------
    TooManyMarkers
        There are 16 curve groups.
    """
    markers = np.asarray(markers_px, dtype=np.float64).reshape(-1, 2)
    if len(markers) > len(GROUPS):
        raise TooManyMarkers(f"{len(markers)} markers do not fit the {len(GROUPS)} curves of an image")
    for group, point in zip(GROUPS, markers, strict=False):
        image.add_new((group, 0x0005), "US", 2)
        image.add_new((group, 0x0010), "US", 1)
        image.add_new((group, 0x0020), "CS", "POLY")
        image.add_new((group, 0x0030), "SH", ["PIXL", "PIXL"])
        image.add_new((group, 0x0040), "SH", ["Marker", "Marker"])
        image.add_new((group, 0x0103), "US", DOUBLE)
        image.add_new((group, 0x3000), "OW", point.astype("<f8").tobytes())


def read_marker_curves(image: Dataset, where: str) -> Array:
    """The matched markers of an RT Image, shape (n, 2), (column, row) in pixels; curves of other kinds are passed over.

    Raises
    ------
    InvalidAttribute
        When a marker's curve data does not hold the point that its other attributes promise.
    """
    found = [_marker(image, group, where) for group in GROUPS if _is_marker(image, group)]
    return np.array(found, dtype=np.float64).reshape(-1, 2)


def _is_marker(image: Dataset, group: int) -> bool:
    expected = {0x0005: 2, 0x0010: 1, 0x0020: "POLY"}
    return all((group, tag) in image and image[group, tag].value == value for tag, value in expected.items())


def _marker(image: Dataset, group: int, where: str) -> Array:
    kind = int(image[group, 0x0103].value) if (group, 0x0103) in image else -1
    data = image[group, 0x3000].value if (group, 0x3000) in image else b""
    number_type = np.dtype(NUMBER_TYPES.get(kind, "<f8"))
    if kind not in NUMBER_TYPES or len(data) < 2 * number_type.itemsize:
        raise InvalidAttribute(f"{where}: Curve Data ({group:04X},3000) does not hold one point of two numbers")
    point = np.frombuffer(data, dtype=number_type, count=2).astype(np.float64)
    if not np.isfinite(point).all():
        raise InvalidAttribute(f"{where}: Curve Data ({group:04X},3000) is not finite")
    return point
