"""RT Image: acquired kV images and digitally reconstructed radiographs.

Source: DICOM PS3.3 C.8.8.2; which attributes and values: section B.2.11 of the conformance statement. Positions of the
table top are IEC 61217; pitch and roll turn about the origin of the table top.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.uid import UID

from isoalign.dicom.identity import RT_IMAGE
from isoalign.dicom.objects.common import Series, date_time, decimal, decimals, new_dataset, reference
from isoalign.dicom.objects.pixels import set_pixels
from isoalign.dicom.objects.verification_frame import VerificationFrame
from isoalign.geometry import (
    ImagerAxis,
    InvalidGeometry,
    PatientPosition,
    ProjectionGeometry,
    Representation,
    TableTopPosition,
    display_angle_deg,
)
from isoalign.records import Patient, Plan, Radiograph, Study

PRIVATE_GROUP = 0x3273
PRIVATE_CREATOR = "Varian Medical Systems VISION 3273"
"""Creator of (3273,xx00) RT Image Isocenter Position and (3273,xx01) RT Image Patient Position."""


@dataclass(frozen=True, slots=True)
class ExportContext:
    """What all exported objects of one session refer to."""

    plan: Plan
    beam_number: int
    verification: VerificationFrame
    machine_name: str
    operator: str = ""
    fraction_number: int | None = None


def build_rt_image(
    radiograph: Radiograph, context: ExportContext, *, series: Series, instance_number: int, created_at: datetime
) -> Dataset:
    """An acquired kV image as RT Image, in the study of the plan.

    Raises
    ------
    InvalidGeometry
        When the radiograph's geometry has no machine axis in RT Image terms.
    """
    acquisition = radiograph.acquisition
    table_top = acquisition.table_top.in_representation(Representation.IEC_61217)
    image = _new_image(
        radiograph.geometry,
        label=f"{acquisition.imager} {acquisition.exposure_id}",
        patient=context.plan.patient,
        study=context.plan.study,
        series=series,
        frame_of_reference_uid=context.verification.frame_of_reference_uid,
        instance_number=instance_number,
        created_at=created_at,
        machine_name=context.machine_name,
    )
    image.ImageType = ["ORIGINAL", "PRIMARY", "PORTAL"]
    image.ContentDate, image.ContentTime = date_time(acquisition.acquired_at)
    image.AcquisitionNumber = acquisition.exposure_id
    image.OperatorsName = context.operator
    image.ConversionType = "DI"
    image.ReportedValuesOrigin = "ACTUAL"
    image.PixelIntensityRelationship = "LIN"
    image.PixelIntensityRelationshipSign = 1
    image.PrimaryDosimeterUnit = "MINUTE"
    image.ReferencedRTPlanSequence = [reference(context.plan.sop_class_uid, context.plan.sop_instance_uid)]
    image.ReferencedBeamNumber = context.beam_number
    if context.fraction_number is not None:
        image.FractionNumber = context.fraction_number
    image.ExposureSequence = [_exposure(radiograph, table_top)]
    _set_table_top(image, table_top)
    _set_isocentre(image, context.verification.isocentre_mm(table_top), context.verification.patient_position)
    set_pixels(image, radiograph.pixels)
    return image


def build_drr_image(
    line_integrals: npt.NDArray[np.float32],
    geometry: ProjectionGeometry,
    *,
    patient: Patient,
    study: Study,
    series: Series,
    frame_of_reference_uid: str,
    patient_position: PatientPosition,
    isocentre_mm: npt.ArrayLike,
    created_at: datetime,
    instance_number: int = 1,
    label: str = "DRR",
    plan: Plan | None = None,
    beam_number: int | None = None,
) -> Dataset:
    """A digitally reconstructed radiograph as RT Image in the frame of reference of the planning CT.

    Stored values rise with attenuation (relationship LOG, sign -1); Rescale Slope turns them back into line integrals
    (no unit).

    Parameters
    ----------
    line_integrals : ndarray, shape (rows, columns), float32
        Integral of the attenuation along each ray, no unit.
    geometry : ProjectionGeometry
        Must have a machine axis.
    isocentre_mm : array_like, shape (3,)
        The machine isocentre in the DICOM patient frame of the CT.
    """
    image = _new_image(
        geometry,
        label=label,
        patient=patient,
        study=study,
        series=series,
        frame_of_reference_uid=frame_of_reference_uid,
        instance_number=instance_number,
        created_at=created_at,
        machine_name="",
    )
    image.ImageType = ["DERIVED", "SECONDARY", "DRR"]
    image.ContentDate, image.ContentTime = date_time(created_at)
    image.OperatorsName = ""
    image.ConversionType = "WSD"
    image.PixelIntensityRelationship = "LOG"
    image.PixelIntensityRelationshipSign = -1
    image.PrimaryDosimeterUnit = "MINUTE"
    if plan is not None:
        image.ReferencedRTPlanSequence = [reference(plan.sop_class_uid, plan.sop_instance_uid)]
        if beam_number is not None:
            image.ReferencedBeamNumber = beam_number
    _set_isocentre(image, np.asarray(isocentre_mm, dtype=np.float64), patient_position)
    largest = max(float(np.max(line_integrals)), 1e-6)
    slope = decimal(largest / np.iinfo(np.uint16).max)
    image.RescaleIntercept = decimal(0.0)
    image.RescaleSlope = slope
    image.RescaleType = "US"
    stored = np.rint(np.clip(line_integrals, 0.0, None) / float(slope))
    set_pixels(image, np.minimum(stored, np.iinfo(np.uint16).max).astype(np.uint16))
    return image


def _new_image(
    geometry: ProjectionGeometry,
    *,
    label: str,
    patient: Patient,
    study: Study,
    series: Series,
    frame_of_reference_uid: str,
    instance_number: int,
    created_at: datetime,
    machine_name: str,
) -> Dataset:
    image = new_dataset(
        RT_IMAGE, modality="RTIMAGE", patient=patient, study=study, series=series, created_at=created_at
    )
    image.FrameOfReferenceUID = UID(frame_of_reference_uid)
    image.PositionReferenceIndicator = ""
    image.InstanceNumber = instance_number
    image.PatientOrientation = None
    image.RTImageLabel = label[:16]
    image.RadiationMachineName = machine_name[:16]
    _set_geometry(image, geometry)
    return image


def _set_geometry(image: Dataset, geometry: ProjectionGeometry) -> None:
    axis = _axis_of(geometry)
    x_mm, y_mm = axis.receptor_translation_mm
    image.RTImagePlane = "NORMAL"
    image.XRayImageReceptorTranslation = decimals((x_mm, y_mm, axis.sad_mm - axis.sid_mm))
    image.XRayImageReceptorAngle = decimal(axis.receptor_angle_deg)
    image.ImagePlanePixelSpacing = decimals((geometry.grid.row_spacing_mm, geometry.grid.column_spacing_mm))
    image.RTImagePosition = decimals(geometry.grid.first_pixel_mm)
    image.RadiationMachineSAD = decimal(axis.sad_mm)
    image.RTImageSID = decimal(axis.sid_mm)
    image.GantryAngle = decimal(display_angle_deg(axis.gantry_angle_deg))
    if axis.gantry_pitch_deg:
        image.GantryPitchAngle = display_angle_deg(axis.gantry_pitch_deg)


def _axis_of(geometry: ProjectionGeometry) -> ImagerAxis:
    if geometry.axis is None:
        raise InvalidGeometry("an RT Image needs the nominal machine axis of its imager (ProjectionGeometry.axis)")
    return geometry.axis


def _exposure(radiograph: Radiograph, table_top: TableTopPosition) -> Dataset:
    technique = radiograph.acquisition.technique
    item = Dataset()
    item.KVP = decimal(technique.tube_voltage_kv)
    # X-Ray Tube Current (0018,1151) and Exposure Time (0018,1150) may not stand in a PORTAL image; these may, as
    # additional attributes of type 3 (PS3.2, Standard Extended SOP Class), and they are not rounded to integers
    item.XRayTubeCurrentInmA = float(technique.tube_current_ma)
    item.ExposureTimeInms = float(technique.exposure_time_ms)
    item.MetersetExposure = decimal(technique.exposure_time_ms / 60000.0)
    item.NumberOfBlocks = 0
    item.GantryAngle = decimal(display_angle_deg(_axis_of(radiograph.geometry).gantry_angle_deg))
    _set_table_top(item, table_top)
    return item


def _set_table_top(item: Dataset, table_top: TableTopPosition) -> None:
    item.PatientSupportAngle = decimal(display_angle_deg(table_top.patient_support_angle_deg))
    item.TableTopVerticalPosition = decimal(table_top.vertical_mm)
    item.TableTopLongitudinalPosition = decimal(table_top.longitudinal_mm)
    item.TableTopLateralPosition = decimal(table_top.lateral_mm)
    item.TableTopPitchAngle = display_angle_deg(table_top.pitch_deg)
    item.TableTopRollAngle = display_angle_deg(table_top.roll_deg)


def _set_isocentre(image: Dataset, isocentre_mm: npt.NDArray[np.float64], patient_position: PatientPosition) -> None:
    image.IsocenterPosition = decimals(isocentre_mm)
    image.PatientPosition = patient_position.value
    block = image.private_block(PRIVATE_GROUP, PRIVATE_CREATOR, create=True)
    block.add_new(0x00, "DS", decimals(isocentre_mm))
    block.add_new(0x01, "CS", patient_position.value)
