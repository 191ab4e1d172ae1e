"""Field images as vendors write them: without preamble, with too little in them, or no images at all."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from isoalign.dicom.errors import InvalidAttribute, MissingAttribute, NotDicom
from isoalign.dicom.objects.beam_image_reader import read_beam_image

GOLDEN = Path(__file__).parents[3] / "calibration" / "winston_lutz" / "golden" / "couch315.dcm"


def changed(*, implicit: bool = True, **values: object) -> bytes:
    """The golden image without preamble and file meta information, with some attributes set or (None) taken out."""
    dataset = pydicom.dcmread(GOLDEN)
    for name, value in values.items():
        if value is None:
            delattr(dataset, name)
        else:
            setattr(dataset, name, value)
    bare = Dataset()
    for element in dataset:
        bare.add(element)
    out = io.BytesIO()
    bare.save_as(out, implicit_vr=implicit, little_endian=True)
    return out.getvalue()


@pytest.mark.parametrize("implicit", [False, True])
def test_an_image_without_preamble_is_the_same_image(implicit: bool) -> None:
    whole, bare = read_beam_image(GOLDEN.read_bytes(), "a"), read_beam_image(changed(implicit=implicit), "a")
    np.testing.assert_array_equal(bare.pixels, whole.pixels)
    assert bare.patient_support_angle_deg == whole.patient_support_angle_deg == 315.0
    np.testing.assert_array_equal(bare.geometry.source_mm, whole.geometry.source_mm)
    assert whole.taken_at == datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize("keyword", ["GantryAngle", "PatientSupportAngle", "RTImageSID", "RTImagePosition"])
def test_what_decides_where_a_ball_is_must_be_there(keyword: str) -> None:
    with pytest.raises(MissingAttribute, match="missing"):
        read_beam_image(changed(**{keyword: None}), "a")


def test_other_files_are_told(tmp_path: Path) -> None:
    for content in (b"", b"text", bytes(500), changed(Modality="CT")):
        with pytest.raises(NotDicom):
            read_beam_image(content, "a")


def test_the_moment_may_be_absent_but_not_wrong() -> None:
    assert read_beam_image(changed(ContentDate=None), "a").taken_at is None
    local = read_beam_image(changed(TimezoneOffsetFromUTC=None), "a").taken_at
    assert local is not None
    assert local.tzinfo is not None
    with pytest.raises(InvalidAttribute, match="moment"):
        read_beam_image(changed(ContentTime="999999"), "a")
