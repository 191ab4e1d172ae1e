"""RT Image: acquired kV images and digitally reconstructed radiographs.

Source: DICOM PS3.3 C.8.8.2; which attributes and values: section B.2.11 of the conformance statement. Positions of the
table top are IEC 61217; pitch and roll turn about the origin of the table top.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.uid import UID

from isoalign.dicom.errors import InvalidAttribute
from isoalign.dicom.identity import RT_IMAGE, new_uid
from isoalign.dicom.object_settings import DEFAULT_SETTINGS, ObjectSettings
from isoalign.dicom.objects.characters import declare_characters
from isoalign.dicom.objects.common import Series, date_time, decimal, decimals, new_dataset, reference
from isoalign.dicom.objects.curves import add_marker_curves
from isoalign.dicom.objects.extended_interface import ExtendedInterface, add_extended_interface
from isoalign.dicom.objects.pixels import set_pixels, set_window
from isoalign.dicom.objects.private import add_private
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
"""(3273,xx00) RT Image Isocenter Position and (3273,xx01) RT Image Patient Position."""
JAW_TYPES = ("X", "Y", "ASYMX", "ASYMY")
UNROTATED = (1.0, 0.0, 0.0, 0.0, -1.0, 0.0)
"""RT Image Orientation (3002,0010) of every image here: rows along +Xr, columns along -Yr of the receptor."""


@dataclass(frozen=True, slots=True)
class JawPair:
    """A pair of jaws in front of the source: ``device_type`` X, Y, ASYMX or ASYMY, positions in mm at the isocentre."""

    device_type: str
    positions_mm: tuple[float, float]

    def __post_init__(self) -> None:
        if self.device_type not in JAW_TYPES:
            raise InvalidAttribute(
                f"RT Beam Limiting Device Type (300A,00B8) is one of {', '.join(JAW_TYPES)}, not {self.device_type!r}"
            )


@dataclass(frozen=True, slots=True)
class RtImageDetails:
    """What an acquired RT Image says beyond its radiograph.

    Attributes
    ----------
    cumulative_meterset_weights : (float, float)
        Of the referenced beam, when the image began and ended; both 0 for an image taken before the beam.
    markers_px : tuple of (float, float)
        Matched markers as (column, row), zero at the centre of the first pixel.
    """

    description: str = ""
    cumulative_meterset_weights: tuple[float, float] = (0.0, 0.0)
    beam_limiting_device_angle_deg: float = 0.0
    jaws: tuple[JawPair, ...] = ()
    markers_px: tuple[tuple[float, float], ...] = ()
    extended_interface: ExtendedInterface | None = None
    irradiation_event_uid: str = field(default_factory=new_uid)


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
    radiograph: Radiograph,
    context: ExportContext,
    *,
    series: Series,
    instance_number: int,
    created_at: datetime,
    details: RtImageDetails | None = None,
    settings: ObjectSettings = DEFAULT_SETTINGS,
) -> Dataset:
    """An acquired kV image as RT Image, in the study of the plan.

    Raises
    ------
    InvalidGeometry
        When the radiograph's geometry has no machine axis in RT Image terms.
    TooManyMarkers, CharactersNotWritable
    """
    details = details or RtImageDetails()
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
        settings=settings,
    )
    image.ImageType = ["ORIGINAL", "PRIMARY", "PORTAL"]
    image.ContentDate, image.ContentTime = date_time(acquisition.acquired_at)
    image.AcquisitionNumber = acquisition.exposure_id
    image.IrradiationEventUID = UID(details.irradiation_event_uid)
    image.RTImageDescription = details.description or f"kV image of imager {acquisition.imager}"
    image.OperatorsName = context.operator
    image.ConversionType = "DI"
    image.ReportedValuesOrigin = "ACTUAL"
    image.PixelIntensityRelationship = "LIN"
    image.PixelIntensityRelationshipSign = 1
    _set_plan_reference(image, context, details)
    image.BeamLimitingDeviceAngle = decimal(display_angle_deg(details.beam_limiting_device_angle_deg))
    image.ExposureSequence = [_exposure(radiograph, table_top, details, settings)]
    _set_table_top(image, table_top)
    _set_isocentre(image, context.verification.isocentre_mm(table_top), context.verification.patient_position, settings)
    _set_rescale(image, 1.0)
    darkest, brightest = float(radiograph.pixels.min()), float(radiograph.pixels.max())
    set_window(image, (darkest + brightest + 1.0) / 2.0, brightest - darkest + 1.0)
    set_pixels(image, radiograph.pixels)
    add_marker_curves(image, details.markers_px)
    if details.extended_interface is not None:
        add_extended_interface(image, details.extended_interface, settings)
    return declare_characters(image, settings)


def _set_plan_reference(image: Dataset, context: ExportContext, details: RtImageDetails) -> None:
    image.ReferencedRTPlanSequence = [reference(context.plan.sop_class_uid, context.plan.sop_instance_uid)]
    image.ReferencedBeamNumber = context.beam_number
    if context.plan.fraction_group_number is not None:
        image.ReferencedFractionGroupNumber = context.plan.fraction_group_number
    if context.fraction_number is not None:
        image.FractionNumber = context.fraction_number
    start, end = details.cumulative_meterset_weights
    image.StartCumulativeMetersetWeight = decimal(start)
    image.EndCumulativeMetersetWeight = decimal(end)


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
    machine_name: str = "",
    settings: ObjectSettings = DEFAULT_SETTINGS,
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
        machine_name=machine_name,
        settings=settings,
    )
    image.ImageType = ["DERIVED", "SECONDARY", "DRR"]
    image.ContentDate, image.ContentTime = date_time(created_at)
    image.OperatorsName = ""
    image.ConversionType = "WSD"
    image.PixelIntensityRelationship = "LOG"
    image.PixelIntensityRelationshipSign = -1
    if plan is not None:
        image.ReferencedRTPlanSequence = [reference(plan.sop_class_uid, plan.sop_instance_uid)]
        if beam_number is not None:
            image.ReferencedBeamNumber = beam_number
    _set_isocentre(image, np.asarray(isocentre_mm, dtype=np.float64), patient_position, settings)
    largest = max(float(np.max(line_integrals)), 1e-6)
    slope = decimal(largest / np.iinfo(np.uint16).max)
    _set_rescale(image, float(slope))
    set_window(image, largest / 2.0, largest)
    stored = np.rint(np.clip(line_integrals, 0.0, None) / float(slope))
    set_pixels(image, np.minimum(stored, np.iinfo(np.uint16).max).astype(np.uint16))
    return declare_characters(image, settings)


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
    settings: ObjectSettings,
) -> Dataset:
    image = new_dataset(
        RT_IMAGE,
        modality="RTIMAGE",
        patient=patient,
        study=study,
        series=series,
        created_at=created_at,
        settings=settings,
    )
    image.FrameOfReferenceUID = UID(frame_of_reference_uid)
    image.PositionReferenceIndicator = ""
    image.InstanceNumber = instance_number
    image.PatientOrientation = None
    image.RTImageLabel = label[:16]
    image.RadiationMachineName = machine_name[:16]
    image.PrimaryDosimeterUnit = "MINUTE"
    _set_geometry(image, geometry)
    return image


def _set_geometry(image: Dataset, geometry: ProjectionGeometry) -> None:
    axis = _axis_of(geometry)
    x_mm, y_mm = axis.receptor_translation_mm
    image.RTImagePlane = "NORMAL"
    image.RTImageOrientation = decimals(UNROTATED)
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


def _exposure(
    radiograph: Radiograph, table_top: TableTopPosition, details: RtImageDetails, settings: ObjectSettings
) -> Dataset:
    technique = radiograph.acquisition.technique
    item = Dataset()
    item.KVP = decimal(technique.tube_voltage_kv)
    if settings.exposure_as_stated:
        item.ReferencedFrameNumber = 1
        item.XRayTubeCurrent = round(technique.tube_current_ma)
        item.ExposureTime = round(technique.exposure_time_ms)
    # in a PORTAL image the standard has no room for whole numbers of these; these are attributes of type 3 (PS3.2)
    item.XRayTubeCurrentInmA = float(technique.tube_current_ma)
    item.ExposureTimeInms = float(technique.exposure_time_ms)
    item.MetersetExposure = decimal(technique.exposure_time_ms / 60000.0)
    if details.jaws:
        item.BeamLimitingDeviceSequence = [_jaws(pair) for pair in details.jaws]
    item.NumberOfBlocks = 0
    item.GantryAngle = decimal(display_angle_deg(_axis_of(radiograph.geometry).gantry_angle_deg))
    item.BeamLimitingDeviceAngle = decimal(display_angle_deg(details.beam_limiting_device_angle_deg))
    _set_table_top(item, table_top)
    return item


def _jaws(pair: JawPair) -> Dataset:
    item = Dataset()
    item.RTBeamLimitingDeviceType = pair.device_type
    item.NumberOfLeafJawPairs = 1
    item.LeafJawPositions = decimals(pair.positions_mm)
    return item


def _set_rescale(image: Dataset, slope: float) -> None:
    image.RescaleIntercept = decimal(0.0)
    image.RescaleSlope = decimal(slope)
    image.RescaleType = "US"


def _set_table_top(item: Dataset, table_top: TableTopPosition) -> None:
    item.PatientSupportAngle = decimal(display_angle_deg(table_top.patient_support_angle_deg))
    item.TableTopVerticalPosition = decimal(table_top.vertical_mm)
    item.TableTopLongitudinalPosition = decimal(table_top.longitudinal_mm)
    item.TableTopLateralPosition = decimal(table_top.lateral_mm)
    item.TableTopPitchAngle = display_angle_deg(table_top.pitch_deg)
    item.TableTopRollAngle = display_angle_deg(table_top.roll_deg)


def _set_isocentre(
    image: Dataset,
    isocentre_mm: npt.NDArray[np.float64],
    patient_position: PatientPosition,
    settings: ObjectSettings,
) -> None:
    image.IsocenterPosition = decimals(isocentre_mm)
    image.PatientPosition = patient_position.value
    creator = settings.creators.group_3273
    add_private(image, creator, PRIVATE_GROUP, 0x00, "DS", decimals(isocentre_mm))
    add_private(image, creator, PRIVATE_GROUP, 0x01, "CS", patient_position.value)
