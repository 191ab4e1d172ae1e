"""RT Image and Spatial Registration: values, frames and directions."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import pytest

from isoalign.dicom.errors import InvalidAttribute
from isoalign.dicom.identity import is_uid, new_uid
from isoalign.dicom.objects import (
    CaseDatasets,
    ExportContext,
    Series,
    VerificationFrame,
    build_drr_image,
    build_rt_image,
    build_spatial_registration,
    encode_file,
    read_plan,
    read_spatial_registration,
    read_structure_set,
    verification_from_planning,
)
from isoalign.geometry import (
    Fixed,
    ImagerAxis,
    InvalidGeometry,
    PatientPosition,
    PixelGrid,
    Pose,
    ProjectionGeometry,
    Representation,
    TableTopPosition,
    fixed_from_table,
    planned_fixed_from_dicom,
    setup_error,
)
from isoalign.records import Acquisition, Match, Radiograph, Technique, Verdict

TABLE_TOP = TableTopPosition(Representation.IEC_61217, 12.5, 700.0, -120.0, 1.5, -0.75, 350.0)
LEVEL = TableTopPosition(Representation.IEC_61217, 0.0, 700.0, -120.0)


def radiograph(now: datetime, table_top: TableTopPosition = TABLE_TOP) -> Radiograph:
    axis = ImagerAxis(90.0, 1000.0, 1500.0, (0.5, -0.25), 0.0)
    geometry = ProjectionGeometry.from_axis(axis, PixelGrid(4, 6, 0.388, 0.4, (-1.0, 0.582)))
    pixels = np.arange(24, dtype=np.uint16).reshape(4, 6) * 2000
    return Radiograph(pixels, geometry, Acquisition("B", 7, Technique(100.0, 98.6, 50.0), now, table_top))


def context(case: CaseDatasets, table_top: TableTopPosition = TABLE_TOP) -> ExportContext:
    plan = read_plan(case.plan)
    return ExportContext(plan, 1, VerificationFrame(plan.patient_position, table_top), "ROOM 1", fraction_number=2)


def match(error: Pose[Fixed, Fixed], position: PatientPosition, isocentre: tuple[float, float, float]) -> Match:
    planned = planned_fixed_from_dicom(position, isocentre)
    found = error @ planned
    return Match("2D/3D", planned, found, Verdict.ACCEPTED, (), (), 5, True, 1.0, np.zeros(3), np.zeros(3))


def test_rt_image_says_where_everything_was(case: CaseDatasets, now: datetime) -> None:
    taken = radiograph(now)
    built = build_rt_image(taken, context(case), series=Series(4), instance_number=2, created_at=now)
    image = pydicom.dcmread(BytesIO(encode_file(built)))
    assert list(image.ImageType) == ["ORIGINAL", "PRIMARY", "PORTAL"]
    assert (image.ConversionType, image.ReportedValuesOrigin, image.RTImagePlane) == ("DI", "ACTUAL", "NORMAL")
    assert (image.PixelIntensityRelationship, image.PixelIntensityRelationshipSign) == ("LIN", 1)
    assert [float(v) for v in image.XRayImageReceptorTranslation] == [0.5, -0.25, -500.0]
    assert [float(v) for v in image.RTImagePosition] == [-1.0, 0.582]
    assert [float(v) for v in image.ImagePlanePixelSpacing] == [0.388, 0.4], "rows, then columns"
    assert (image.RadiationMachineSAD, image.RTImageSID, image.GantryAngle) == (1000, 1500, 90)
    exposure = image.ExposureSequence[0]
    assert (exposure.KVP, exposure.XRayTubeCurrentInmA, exposure.ExposureTimeInms) == (100.0, 98.6, 50.0)
    for item in (image, exposure):
        assert (item.TableTopLateralPosition, item.TableTopLongitudinalPosition) == (12.5, 700)
        assert item.TableTopVerticalPosition == -120
        assert (item.TableTopPitchAngle, item.TableTopRollAngle) == (1.5, 359.25)
        assert item.PatientSupportAngle == 350
    assert image.ReferencedRTPlanSequence[0].ReferencedSOPInstanceUID == case.plan.SOPInstanceUID
    assert (image.ReferencedBeamNumber, image.FractionNumber) == (1, 2)
    assert image.StudyInstanceUID == case.plan.StudyInstanceUID
    assert image.FrameOfReferenceUID != case.plan.FrameOfReferenceUID
    np.testing.assert_array_equal(image.pixel_array, taken.pixels)
    block = image.private_block(0x3273, "Varian Medical Systems VISION 3273")
    assert image.PatientPosition == "HFS"
    assert bytes(block[0x01].value).strip() == b"HFS"
    isocentre = [float(value) for value in bytes(block[0x00].value).split(b"\\")]
    np.testing.assert_allclose(isocentre, image.IsocenterPosition, atol=1e-9)
    np.testing.assert_allclose(isocentre, 0, atol=1e-6)


def test_gantry_pitch_is_written_where_there_is_one(case: CaseDatasets, now: datetime) -> None:
    """Regression: the exporter left it out, and the image would have been read as taken from another direction."""
    taken = radiograph(now)
    built = build_rt_image(taken, context(case), series=Series(4), instance_number=1, created_at=now)
    assert "GantryPitchAngle" not in built
    axis = ImagerAxis(90.0, 1000.0, 1500.0, gantry_pitch_deg=-3.5)
    pitched = Radiograph(taken.pixels, ProjectionGeometry.from_axis(axis, taken.geometry.grid), taken.acquisition)
    built = build_rt_image(pitched, context(case), series=Series(4), instance_number=1, created_at=now)
    assert built.GantryPitchAngle == 356.5


def test_an_imager_without_machine_axis_is_refused(case: CaseDatasets, now: datetime) -> None:
    taken = radiograph(now)
    geometry = ProjectionGeometry(taken.geometry.source_mm, taken.geometry.fixed_from_receptor, taken.geometry.grid)
    bare = Radiograph(taken.pixels, geometry, taken.acquisition)
    with pytest.raises(InvalidGeometry, match="machine axis"):
        build_rt_image(bare, context(case), series=Series(4), instance_number=1, created_at=now)


def test_files_start_with_a_preamble_of_zeros(case: CaseDatasets) -> None:
    assert encode_file(case.plan)[:132] == b"\0" * 128 + b"DICM"


def test_new_uids_are_uids() -> None:
    uids = {new_uid() for _ in range(100)}
    assert len(uids) == 100
    assert all(is_uid(uid) and len(uid) <= 44 for uid in uids)


# Couch at zero angles.  Displacement of the patient in the room (IEC fixed: +X right of an observer who faces the
# gantry, +Y towards the gantry, +Z up), and what the DICOM patient frame (+x left, +y posterior, +z superior) sees.
# Typed by hand from the definitions of the patient positions.
SIGNS = [
    ("HFS", (5, 0, 0), (5, 0, 0)),
    ("HFS", (0, 5, 0), (0, 0, 5)),
    ("HFS", (0, 0, 5), (0, -5, 0)),
    ("HFP", (5, 0, 0), (-5, 0, 0)),
    ("HFP", (0, 5, 0), (0, 0, 5)),
    ("HFP", (0, 0, 5), (0, 5, 0)),
    ("FFS", (5, 0, 0), (-5, 0, 0)),
    ("FFS", (0, 5, 0), (0, 0, -5)),
    ("FFS", (0, 0, 5), (0, -5, 0)),
    ("FFP", (5, 0, 0), (5, 0, 0)),
    ("FFP", (0, 5, 0), (0, 0, -5)),
    ("FFP", (0, 0, 5), (0, 5, 0)),
]


@pytest.mark.parametrize(("position", "in_room", "in_patient"), SIGNS)
def test_direction_of_the_registration(
    case: CaseDatasets, now: datetime, position: str, in_room: tuple[int, ...], in_patient: tuple[int, ...]
) -> None:
    """The matrix maps the planned isocentre to where it is found, seen from the machine isocentre."""
    case.plan.PatientSetupSequence[0].PatientPosition = position
    isocentre = (30.0, -170.0, 12.0)
    found = match(setup_error(*in_room, 0, 0, 0), PatientPosition(position), isocentre)
    registration = build_spatial_registration(
        found, LEVEL, [], context(case, LEVEL), series=Series(5), instance_number=1, created_at=now
    )
    matrix = read_spatial_registration(registration).matrix_from(case.plan.FrameOfReferenceUID)
    np.testing.assert_allclose(matrix @ [*isocentre, 1.0], [*in_patient, 1.0], atol=1e-9)
    np.testing.assert_allclose(matrix[:3, :3], np.eye(3), atol=1e-9)


def test_sense_of_rotation_of_the_registration(case: CaseDatasets, now: datetime) -> None:
    """A head-first supine patient pitched by +10 degrees (+Y goes towards +Z): superior goes towards anterior."""
    found = match(setup_error(0, 0, 0, 10, 0, 0), PatientPosition.HFS, (0, 0, 0))
    registration = build_spatial_registration(
        found, LEVEL, [], context(case, LEVEL), series=Series(5), instance_number=1, created_at=now
    )
    matrix = read_spatial_registration(registration).matrix_from(case.plan.FrameOfReferenceUID)
    np.testing.assert_allclose(matrix[:3, :3] @ [0, 0, 1], [0, -0.1736481777, 0.9848077530], atol=1e-9)


def test_registration_round_trip_gives_the_match_back(case: CaseDatasets, now: datetime) -> None:
    export = context(case)
    found = match(setup_error(3.1, -2.2, 1.3, 1.1, -0.7, 2.5), PatientPosition.HFS, (1, -2, 3))
    images = [
        build_rt_image(radiograph(now), export, series=Series(4), instance_number=n, created_at=now) for n in (1, 2)
    ]
    ct = read_structure_set(case.structure_set).structure_set.ct
    built = build_spatial_registration(
        found, TABLE_TOP, images, export, series=Series(5), instance_number=1, created_at=now, ct=ct
    )
    read = pydicom.dcmread(BytesIO(encode_file(built)))
    back = export.verification.found_from_registration(
        verification_from_planning(read, export.plan.frame_of_reference_uid), TABLE_TOP
    )
    np.testing.assert_allclose(back.matrix, found.found.matrix, atol=1e-9)
    registration = read_spatial_registration(read)
    own, planning = registration.items
    assert registration.frame_of_reference_uid == export.verification.frame_of_reference_uid
    assert own.frame_of_reference_uid == images[0].FrameOfReferenceUID
    np.testing.assert_array_equal(own.matrix, np.eye(4))
    assert own.referenced_uids == tuple(image.SOPInstanceUID for image in images)
    assert planning.referenced_uids == case.volume.sop_instance_uids
    block = (
        read.RegistrationSequence[1]
        .MatrixRegistrationSequence[0]
        .private_block(0x3275, "Varian Medical Systems VISION 3275")
    )
    assert bytes(block[0x00].value).strip() == b"Online2D3DPaired"


def test_a_patient_who_lies_still_has_one_registration_wherever_the_couch_goes(case: CaseDatasets) -> None:
    frame = context(case).verification
    moved = TableTopPosition(Representation.IEC_61217, -4.0, 688.0, -117.0, -2.0, 3.0, 5.0)
    found = setup_error(3, 2, 1, 1, 2, 3) @ planned_fixed_from_dicom(PatientPosition.HFS, (1, -2, 3))
    later = fixed_from_table(moved) @ fixed_from_table(TABLE_TOP).inverse() @ found
    np.testing.assert_allclose(
        frame.verification_from_planning(found, TABLE_TOP).matrix,
        frame.verification_from_planning(later, moved).matrix,
        atol=1e-9,
    )


def test_a_registration_of_several_matrices_is_refused(case: CaseDatasets, now: datetime) -> None:
    found = match(setup_error(1, 0, 0, 0, 0, 0), PatientPosition.HFS, (0, 0, 0))
    built = build_spatial_registration(
        found, LEVEL, [], context(case), series=Series(5), instance_number=1, created_at=now
    )
    steps = built.RegistrationSequence[1].MatrixRegistrationSequence[0].MatrixSequence
    steps.append(steps[0])
    with pytest.raises(InvalidAttribute, match="2 items"):
        read_spatial_registration(built)


def test_drr_stores_line_integrals(case: CaseDatasets, now: datetime) -> None:
    plan = read_plan(case.plan)
    geometry = radiograph(now).geometry
    integrals = np.linspace(0, 7.5, 24, dtype=np.float32).reshape(4, 6)
    image = build_drr_image(
        integrals,
        geometry,
        patient=plan.patient,
        study=plan.study,
        series=Series(6),
        frame_of_reference_uid=plan.frame_of_reference_uid,
        patient_position=plan.patient_position,
        isocentre_mm=(1, -2, 3),
        created_at=now,
        plan=plan,
        beam_number=1,
    )
    read = pydicom.dcmread(BytesIO(encode_file(image)))
    assert list(read.ImageType) == ["DERIVED", "SECONDARY", "DRR"]
    assert read.FrameOfReferenceUID == plan.frame_of_reference_uid
    assert [float(v) for v in read.IsocenterPosition] == [1, -2, 3]
    np.testing.assert_allclose(read.pixel_array * float(read.RescaleSlope), integrals, atol=7.5 / 65535)


@pytest.mark.real_data
def test_isocentre_position_agrees_with_a_vendor_that_fixes_the_frame_to_the_table(
    real_data_folder: Path, unpack: Callable[[Path], Path]
) -> None:
    """Images of an OBI 1.6 system: their frame has its origin at the origin of the table top."""
    folder = unpack(real_data_folder / "rt_images" / "rt_images.tar.xz")
    frame = VerificationFrame(PatientPosition.HFS, TableTopPosition(Representation.IEC_61217, 0.0, 0.0, 0.0))
    compared = 0
    for path in sorted(folder.rglob("TX[23]*.dcm")):
        image = pydicom.dcmread(path, stop_before_pixels=True)
        lateral, vertical, longitudinal = (
            float(image[keyword].value)
            for keyword in ("TableTopLateralPosition", "TableTopVerticalPosition", "TableTopLongitudinalPosition")
        )
        table_top = TableTopPosition(Representation.IEC_61217, lateral, longitudinal, vertical)
        np.testing.assert_allclose(frame.isocentre_mm(table_top), image.IsocenterPosition, atol=1e-6)
        compared += 1
    assert compared >= 3


@pytest.mark.real_data
def test_axes_of_the_frame_turn_with_the_table_as_in_a_vendors_cone_beam_ct(
    real_data_folder: Path, unpack: Callable[[Path], Path]
) -> None:
    """The rows of a cone-beam CT run along +X of the room; its patient frame was turned with the couch by 359.7."""
    folder = unpack(real_data_folder / "catphan_cbct" / "catphan_cbct.tar.xz")
    first = next(path for path in sorted(folder.rglob("*")) if path.is_file())
    rows = pydicom.dcmread(first, stop_before_pixels=True).ImageOrientationPatient[:3]
    turned = TableTopPosition(Representation.IEC_61217, 0.0, 0.0, 0.0, patient_support_angle_deg=-0.3)
    frame = VerificationFrame(PatientPosition.HFS, TableTopPosition(Representation.IEC_61217, 0.0, 0.0, 0.0))
    along_room_x = frame.fixed_from_verification(turned).rotation.T @ [1.0, 0.0, 0.0]
    np.testing.assert_allclose(along_room_x, [float(value) for value in rows], atol=1e-6)
