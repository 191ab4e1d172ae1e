"""What we write reads back as the record it came from."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pydicom
import pytest

from isoalign.dicom.errors import (
    MissingAttribute,
    MixedContourTypes,
    PlanWithoutBeam,
    PlanWithoutIsocentre,
    SeveralPatientPositions,
    WrongObject,
)
from isoalign.dicom.objects import (
    CaseDatasets,
    build_ct_images,
    encode_file,
    read_plan,
    read_structure_set,
    read_volume,
)
from isoalign.dicom.objects.common import Series
from isoalign.geometry import PatientPosition
from isoalign.records import Patient, Study, Volume


def again(dataset: pydicom.Dataset) -> pydicom.Dataset:
    return pydicom.dcmread(BytesIO(encode_file(dataset)))


def test_plan_reads_back(case: CaseDatasets) -> None:
    plan = read_plan(again(case.plan))
    beam = plan.beam()
    assert plan.patient.patient_id == "P-1"
    assert plan.patient_position is PatientPosition.HFS
    assert plan.structure_set_uid == case.structure_set.SOPInstanceUID
    assert beam.isocentre_mm.tolist() == [1.0, -2.0, 3.0]
    assert (beam.table_top_lateral_mm, beam.table_top_longitudinal_mm, beam.table_top_vertical_mm) == (None, None, None)
    assert beam.table_top_pitch_deg == 0.0


def test_angles_just_below_a_full_turn_are_small_negative_ones(case: CaseDatasets) -> None:
    point = case.plan.IonBeamSequence[0].IonControlPointSequence[0]
    point.PatientSupportAngle = "359.7"
    point.TableTopPitchAngle = 359.5
    point.TableTopRollAngle = 0.25
    point.TableTopVerticalPosition = "-120.5"
    beam = read_plan(case.plan).beam()
    assert beam.patient_support_angle_deg == pytest.approx(-0.3)
    assert beam.table_top_pitch_deg == -0.5
    assert beam.table_top_roll_deg == 0.25
    assert beam.table_top_vertical_mm == -120.5


def test_a_plan_without_isocentre_names_the_beam(case: CaseDatasets) -> None:
    del case.plan.IonBeamSequence[0].IonControlPointSequence[0].IsocenterPosition
    with pytest.raises(PlanWithoutIsocentre, match="beam 1") as caught:
        read_plan(case.plan)
    assert caught.value.exit_code == 3
    assert "300A,012C" in caught.value.hint


def test_setup_beams_are_ignored(case: CaseDatasets) -> None:
    case.plan.IonBeamSequence[0].TreatmentDeliveryType = "SETUP"
    with pytest.raises(PlanWithoutBeam):
        read_plan(case.plan)


def test_beams_may_have_isocentres_of_their_own_but_not_patient_positions(case: CaseDatasets) -> None:
    second = pydicom.Dataset()
    second.update(again(case.plan).IonBeamSequence[0])
    second.BeamNumber = 2
    second.ReferencedPatientSetupNumber = 2
    second.IonControlPointSequence[0].IsocenterPosition = [10, 20, 30]
    case.plan.IonBeamSequence.append(second)
    setup = pydicom.Dataset()
    setup.PatientSetupNumber = 2
    setup.PatientPosition = "HFS"
    case.plan.PatientSetupSequence.append(setup)
    assert read_plan(case.plan).beam(2).isocentre_mm.tolist() == [10.0, 20.0, 30.0]
    setup.PatientPosition = "HFP"
    with pytest.raises(SeveralPatientPositions, match="HFP, HFS"):
        read_plan(case.plan)


@pytest.mark.parametrize("keyword", ["FrameOfReferenceUID", "IonBeamSequence", "PatientSetupSequence", "RTPlanLabel"])
def test_a_plan_without_a_type_1_attribute_is_refused(case: CaseDatasets, keyword: str) -> None:
    delattr(case.plan, keyword)
    with pytest.raises(MissingAttribute, match=pydicom.datadict.dictionary_description(keyword)):
        read_plan(case.plan)


def test_a_ct_slice_is_no_plan(case: CaseDatasets) -> None:
    with pytest.raises(WrongObject, match="not an RT Ion Plan but CT Image"):
        read_plan(case.ct[0])


def test_structure_set_reads_back(case: CaseDatasets) -> None:
    read = read_structure_set(again(case.structure_set))
    assert read.warnings == ()
    body, seed = read.structure_set.structures
    assert (body.name, body.interpreted_type, body.geometric_type) == ("BODY", "EXTERNAL", "CLOSED_PLANAR")
    assert body.contours_mm[1].tolist() == [[-5, -10, 2.5], [5, -10, 2.5], [5, 5, 2.5], [-5, 5, 2.5]]
    assert seed.contours_mm[0].tolist() == [[1.0, 2.0, 3.25]]
    assert read.structure_set.ct.sop_instance_uids == case.volume.sop_instance_uids
    contours = case.structure_set.ROIContourSequence
    assert "ContourImageSequence" not in contours[1].ContourSequence[0], "a point between slices references none"
    on_slice = contours[0].ContourSequence[1].ContourImageSequence[0].ReferencedSOPInstanceUID
    assert on_slice == case.volume.sop_instance_uids[3], "z = 2.5 mm is slice 3 of an origin at -5 and 2.5 mm spacing"


def test_structures_that_are_not_transverse_are_left_out_with_a_warning(case: CaseDatasets) -> None:
    case.structure_set.ROIContourSequence[0].ContourSequence[0].ContourData = [0, 0, 0, 1, 0, 0.1, 1, 1, 0]
    case.structure_set.ROIContourSequence[0].ContourSequence[0].NumberOfContourPoints = 3
    read = read_structure_set(again(case.structure_set))
    assert [one.name for one in read.structure_set.structures] == ["Seed 1"]
    assert "'BODY' was left out" in read.warnings[0]


def test_structures_of_mixed_contour_types_are_refused(case: CaseDatasets) -> None:
    case.structure_set.ROIContourSequence[0].ContourSequence[0].ContourGeometricType = "OPEN_PLANAR"
    with pytest.raises(MixedContourTypes, match="BODY mixes the contour types CLOSED_PLANAR, OPEN_PLANAR"):
        read_structure_set(case.structure_set)


def test_volume_reads_back_in_any_order_of_slices(case: CaseDatasets) -> None:
    slices = [again(one) for one in reversed(case.ct)]
    read = read_volume(slices, expected_uids=case.volume.sop_instance_uids)
    np.testing.assert_array_equal(read.hounsfield, case.volume.hounsfield)
    assert read.hounsfield.dtype == np.int16
    np.testing.assert_allclose(read.dicom_from_index, case.volume.dicom_from_index, atol=1e-9)
    assert read.sop_instance_uids == case.volume.sop_instance_uids


@pytest.mark.parametrize("orientation", [(-1, 0, 0, 0, -1, 0), (-1, 0, 0, 0, 1, 0), (0, 1, 0, -1, 0, 0)])
def test_slices_of_prone_feet_first_and_decubitus_scans_stay_right_handed(
    case: CaseDatasets, orientation: tuple[int, ...]
) -> None:
    """A voxel's place is checked against the DICOM equation of C.7.6.2.1.1, written out here."""
    slices = [again(one) for one in case.ct]
    for one in slices:
        one.ImageOrientationPatient = list(orientation)
    read = read_volume(slices)
    assert np.linalg.det(read.axes) > 0
    by_uid = {one.SOPInstanceUID: one for one in slices}
    for index, uid in enumerate(read.sop_instance_uids):
        position = np.array(by_uid[uid].ImagePositionPatient, dtype=float)
        column, row = 7, 3
        expected = position + np.array(orientation[:3]) * 1.0 * column + np.array(orientation[3:]) * 2.0 * row
        found = read.dicom_from_index @ [column, row, index, 1]
        np.testing.assert_allclose(found[:3], expected, atol=1e-9)
        assert read.hounsfield[index, row, column] == int(by_uid[uid].pixel_array[row, column]) - 1024


def test_ct_numbers_beyond_16_bits_and_broken_slopes_become_float(case: CaseDatasets) -> None:
    slices = [again(one) for one in case.ct]
    for one in slices:
        one.RescaleIntercept = "40000"
    read = read_volume(slices)
    assert read.hounsfield.dtype == np.float32
    assert read.hounsfield[0, 0, 0] == int(slices[0].pixel_array[0, 0]) + 40000
    for one in slices:
        one.RescaleIntercept, one.RescaleSlope = "-1000", "0.5"
    assert read_volume(slices).hounsfield[1, 2, 3] == pytest.approx(int(slices[1].pixel_array[2, 3]) * 0.5 - 1000)


def test_a_scan_of_fractional_hounsfield_is_written_rounded(volume: Volume, now: object) -> None:
    study = Study("1.2.3")
    fractional = Volume(
        volume.hounsfield.astype(np.float32) + 0.4,
        volume.origin_mm,
        volume.spacing_mm,
        volume.axes,
        "1.2.4",
        PatientPosition.FFS,
    )
    images = build_ct_images(fractional, patient=Patient("P"), study=study, series=Series(1), created_at=now)
    np.testing.assert_array_equal(read_volume([again(one) for one in images]).hounsfield, volume.hounsfield)
