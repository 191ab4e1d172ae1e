"""CT that cannot be used is refused with the reason."""

from __future__ import annotations

import pytest

from isoalign.dicom.errors import (
    GappyCt,
    MissingAttribute,
    MissingSlices,
    MixedSeries,
    NotAxial,
    SeveralFramesOfReference,
    TruncatedFile,
    UnsupportedPixelData,
)
from isoalign.dicom.objects import CaseDatasets, read_volume


def test_missing_slices_are_counted_and_named(case: CaseDatasets) -> None:
    uids = case.volume.sop_instance_uids
    with pytest.raises(MissingSlices, match="2 of 6 CT slices") as caught:
        read_volume([case.ct[0], *case.ct[2:5]], expected_uids=uids)
    assert caught.value.facts["missing"] == [uids[1], uids[5]]
    assert uids[1] in str(caught.value)


def test_a_gap_is_named_by_its_place(case: CaseDatasets) -> None:
    with pytest.raises(GappyCt, match=r"5\.000 mm instead of 2\.500 mm .* z = -2\.50 and 2\.50") as caught:
        read_volume([case.ct[0], case.ct[1], *case.ct[3:]])
    assert caught.value.facts["between_z_mm"] == [-2.5, 2.5]


def test_two_slices_at_one_place(case: CaseDatasets) -> None:
    case.ct[2].ImagePositionPatient = case.ct[1].ImagePositionPatient
    with pytest.raises(GappyCt, match=r"same place \(z = -2.50"):
        read_volume(case.ct)


def test_two_frames_of_reference(case: CaseDatasets) -> None:
    case.ct[3].FrameOfReferenceUID = "1.2.3.4"
    with pytest.raises(SeveralFramesOfReference, match=r"1\.2\.3\.4"):
        read_volume(case.ct)


@pytest.mark.parametrize(
    ("keyword", "value"),
    [("SeriesInstanceUID", "1.2.3"), ("PixelSpacing", [1, 1]), ("PatientPosition", "FFS"), ("Rows", 4)],
)
def test_mixed_series(case: CaseDatasets, keyword: str, value: object) -> None:
    setattr(case.ct[1], keyword, value)
    with pytest.raises(MixedSeries, match=keyword):
        read_volume(case.ct)


def test_the_in_plane_origin_may_differ_by_a_tenth_of_a_millimetre(case: CaseDatasets) -> None:
    x, y, z = case.ct[1].ImagePositionPatient
    case.ct[1].ImagePositionPatient = [float(x) + 0.09, y, z]
    read_volume(case.ct)
    case.ct[1].ImagePositionPatient = [float(x) + 0.11, y, z]
    with pytest.raises(MixedSeries, match=r"0\.11"):
        read_volume(case.ct)


@pytest.mark.parametrize(
    ("orientation", "tilt"),
    [([1, 0, 0, 0, 0, -1], "90.00"), ([1, 0, 0, 0, 0.9998476952, 0.0174524064], "1.00")],
)
def test_coronal_and_tilted_slices(case: CaseDatasets, orientation: list[float], tilt: str) -> None:
    for one in case.ct:
        one.ImageOrientationPatient = orientation
    with pytest.raises(NotAxial, match=tilt):
        read_volume(case.ct)


def test_one_slice_oriented_differently(case: CaseDatasets) -> None:
    case.ct[4].ImageOrientationPatient = [0.9998476952, 0.0174524064, 0, -0.0174524064, 0.9998476952, 0]
    with pytest.raises(MixedSeries, match="oriented differently"):
        read_volume(case.ct)


@pytest.mark.parametrize("keyword", ["PixelData", "RescaleSlope", "ImagePositionPatient", "FrameOfReferenceUID"])
def test_type_1_attributes_are_required(case: CaseDatasets, keyword: str) -> None:
    delattr(case.ct[2], keyword)
    with pytest.raises(MissingAttribute, match=str(case.ct[2].SOPInstanceUID)):
        read_volume(case.ct)


def test_short_pixel_data(case: CaseDatasets) -> None:
    case.ct[2].PixelData = case.ct[2].PixelData[:100]
    with pytest.raises(TruncatedFile, match="100 bytes, 160 are needed"):
        read_volume(case.ct)


def test_colour_is_not_a_ct(case: CaseDatasets) -> None:
    for one in case.ct:
        one.SamplesPerPixel = 3
    with pytest.raises(UnsupportedPixelData, match="3 samples"):
        read_volume(case.ct)
