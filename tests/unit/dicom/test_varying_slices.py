"""CT of varying slice distance: interpolated and told, or refused where a slice may be lost."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest

from isoalign.dicom.errors import GappyCt, MixedSeries
from isoalign.dicom.objects import CaseDatasets, Dataset, read_volume, spacing_advice
from isoalign.dicom.objects.common import Series
from isoalign.dicom.objects.structure_set_writer import build_structure_set
from isoalign.records import Patient, Structure, Study, Volume


def place(case: CaseDatasets, z_mm: list[float], hounsfield: list[float]) -> list[Dataset]:
    """Slices of one value each at these places."""
    slices = list(case.ct)
    for one, z, value in zip(slices, z_mm, hounsfield, strict=True):
        one.ImagePositionPatient = [-10, -20, z]
        one.PixelData = np.full((8, 10), value + 1024, "<u2").tobytes()
    return slices


Z = [0.0, 1.0, 2.0, 4.0, 6.0, 9.0]


def test_slices_of_varying_distance_are_interpolated_and_the_user_is_told(case: CaseDatasets) -> None:
    """The phantom's CT number is ten times z, so its value at every interpolated slice is known."""
    slices = place(case, Z, [10 * z for z in Z])
    volume = read_volume(slices, expected_uids=case.volume.sop_instance_uids)
    assert volume.spacing_mm[2] == pytest.approx(1.0)
    assert volume.hounsfield.shape == (10, 8, 10)
    assert volume.hounsfield.dtype == np.int16
    np.testing.assert_array_equal(volume.hounsfield[:, 3, 4], np.arange(0, 100, 10))
    (advice,) = spacing_advice(volume)
    assert "1.000 to 3.000 mm apart" in advice


def test_equal_distances_are_read_without_interpolation_or_advice(case: CaseDatasets) -> None:
    volume = read_volume(case.ct, expected_uids=case.volume.sop_instance_uids)
    assert spacing_advice(volume) == ()
    np.testing.assert_array_equal(volume.hounsfield, case.volume.hounsfield)


def test_a_whole_multiple_is_a_lost_slice_unless_the_list_of_slices_is_known(case: CaseDatasets) -> None:
    slices = place(case, [0.0, 1.0, 2.0, 3.0, 5.0, 6.0], [0.0] * 6)
    with pytest.raises(GappyCt, match=r"2\.000 mm instead of 1\.000 mm"):
        read_volume(slices)
    assert read_volume(slices, expected_uids=case.volume.sop_instance_uids).hounsfield.shape[0] == 7


def test_a_distance_that_no_lost_slice_explains_is_read_without_a_list(case: CaseDatasets) -> None:
    volume = read_volume(place(case, [0.0, 1.0, 2.0, 3.0, 4.3, 5.3], [0.0] * 6))
    assert volume.slice_offsets_mm is not None


def test_an_in_plane_difference_of_exactly_the_limit_is_accepted(case: CaseDatasets) -> None:
    """Regression: -10.0 and -9.9 differ by more than 0.1 in the last bit of a floating point number."""
    case.ct[1].ImagePositionPatient = [-9.9, -20, case.ct[1].ImagePositionPatient[2]]
    read_volume(case.ct)
    case.ct[1].ImagePositionPatient = [-9.899, -20, case.ct[1].ImagePositionPatient[2]]
    with pytest.raises(MixedSeries):
        read_volume(case.ct)


def test_contours_on_an_interpolated_volume_reference_the_images_that_were_scanned(
    case: CaseDatasets, now: datetime
) -> None:
    volume = read_volume(place(case, Z, [0.0] * 6), expected_uids=case.volume.sop_instance_uids)
    triangle = np.array([[0, 0, 4.0], [3, 0, 4], [0, 3, 4]])
    built = build_structure_set(
        [Structure(1, "A", "ORGAN", "CLOSED_PLANAR", (triangle,))],
        volume,
        patient=Patient("P"),
        study=Study("1.2"),
        series=Series(1),
        created_at=now,
        label="A",
    )
    (contour,) = built.ROIContourSequence[0].ContourSequence
    assert contour.ContourImageSequence[0].ReferencedSOPInstanceUID == volume.sop_instance_uids[3]
    series = built.ReferencedFrameOfReferenceSequence[0].RTReferencedStudySequence[0].RTReferencedSeriesSequence[0]
    assert [one.ReferencedSOPInstanceUID for one in series.ContourImageSequence] == list(volume.sop_instance_uids)


def test_offsets_and_images_of_a_volume_belong_together(volume: Volume) -> None:
    uids = ("1.2", "1.3")
    with pytest.raises(Exception, match="slice offsets"):
        replace(volume, sop_instance_uids=uids, slice_offsets_mm=np.array([0.0, 1.0, 2.0]))
