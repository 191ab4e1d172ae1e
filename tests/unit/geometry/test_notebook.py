"""What a notebook shows: complete, escaped, and readable without a legend."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import numpy as np
import pytest

from isoalign.geometry import (
    NAMED_SCALES,
    DicomPatient,
    PatientPosition,
    Pose,
    Representation,
    TableTopPosition,
    couch_move,
    fixed_from_verification,
    planned_fixed_from_dicom,
)
from isoalign.geometry.notebook import html_table

POSITION = TableTopPosition(Representation.IEC_61217, 12.5, 700, -120, 1.5, -0.5, 10)
FRAME = fixed_from_verification(PatientPosition.HFS, (0, 0, 0))
MOVE = couch_move(
    Pose(DicomPatient, DicomPatient, np.eye(3), (1, 2, 3)),
    FRAME,
    planned_fixed_from_dicom(PatientPosition.HFS, (0, 0, 0)),
    TableTopPosition(Representation.IEC_61217, 12.5, 700, -120),
)


@pytest.mark.parametrize(
    ("shown", "texts"),
    [
        (POSITION, ["table top, IEC 61217", "patient support angle", "+12.5000", "-120.0000", "deg"]),
        (NAMED_SCALES["iec61217"].read(POSITION), ["reading on scale iec61217", "+12.5000", "+359.5000"]),
        (FRAME, ["Fixed ← DicomPatient", "origin, mm", "+1.000000"]),
        (MOVE, ["couch move, IEC 61217", "start", "shift", "target", "-1.000"]),
    ],
)
def test_tables_are_complete_and_well_formed(shown: object, texts: list[str]) -> None:
    html = shown._repr_html_()  # type: ignore[attr-defined]
    cells = [element.text for element in ET.fromstring(html).iter() if element.text]
    for text in texts:
        assert text in cells


def test_texts_are_escaped() -> None:
    assert "<b>" not in html_table("<b>", ["&"], [["<b>", "1"]])


def test_reprs_name_the_representation() -> None:
    assert repr(POSITION).startswith("TableTopPosition(IEC 61217: lateral 12.5,")
    assert repr(FRAME).startswith("Pose[Fixed <- DicomPatient]")
