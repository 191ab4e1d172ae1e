"""How a verification CT was taken: the acquisition attributes of a CT Image, written and read.

Table-top values are IEC 61217. Pitch and roll turn about the origin of the table top, which lies at lateral,
longitudinal and **minus** Table Height (0018,1130) in the patient support frame: Table Height counts downwards.
Source: section B.2.9 of the conformance statement and the note below its table; DICOM PS3.3 C.8.2.1.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from pydicom.dataset import Dataset
from pydicom.uid import UID

from isoalign.dicom.errors import InvalidAttribute
from isoalign.dicom.identity import new_uid
from isoalign.dicom.objects.attributes import has_value, items, label_of, number, text
from isoalign.dicom.objects.common import date_time, decimal, parse_date_time, reference
from isoalign.geometry import Representation, TableTopPosition, display_angle_deg, nearest_equivalent_deg
from isoalign.records import Plan

PURPOSE_CODE = ("1000", "99VMS_PURPREFOBJ", "1.0", "RT Plan or RT Ion Plan or Radiation Set to be verified")
"""Code value, scheme, version of the scheme and meaning of the reference to the plan; the vendor's own scheme, because
readers look for it (section B.2.6 of the conformance statement)."""
ROTATIONS = ("CW", "CC")


@dataclass(frozen=True, slots=True)
class CtAcquisition:
    """Circumstances of one cone-beam or in-room CT.

    Attributes
    ----------
    table_top : TableTopPosition, optional
        Any representation; written as IEC 61217. None where a file does not say where the table top was.
    exposure_time_ms, exposure_mas : float
        Written as whole numbers, as their representation demands.
    focal_spots_mm : tuple of float
        Small one first.
    rotation_direction : str
        ``CW`` or ``CC``.
    """

    acquired_at: datetime | None
    table_top: TableTopPosition | None
    tube_voltage_kv: float
    tube_current_ma: float
    exposure_time_ms: float
    exposure_mas: float
    source_detector_mm: float
    source_axis_mm: float
    data_collection_diameter_mm: float
    reconstruction_diameter_mm: float
    acquisition_number: int = 1
    scan_options: tuple[str, ...] = ()
    rotation_direction: str = "CW"
    filter_type: str = ""
    focal_spots_mm: tuple[float, ...] = ()
    convolution_kernel: str = ""
    irradiation_event_uid: str = field(default_factory=new_uid)

    def __post_init__(self) -> None:
        if self.rotation_direction not in ROTATIONS:
            raise InvalidAttribute(f"Rotation Direction (0018,1140) is CW or CC, not {self.rotation_direction!r}")


def set_acquisition(image: Dataset, acquisition: CtAcquisition) -> None:
    """Write the circumstances into a CT Image; empty texts and unknown positions are left out."""
    if acquisition.acquired_at is not None:
        image.ContentDate, image.ContentTime = date_time(acquisition.acquired_at)
    image.AcquisitionNumber = acquisition.acquisition_number
    image.IrradiationEventUID = UID(acquisition.irradiation_event_uid)
    image.KVP = decimal(acquisition.tube_voltage_kv)
    image.XRayTubeCurrent = round(acquisition.tube_current_ma)
    image.ExposureTime = round(acquisition.exposure_time_ms)
    image.Exposure = round(acquisition.exposure_mas)
    image.DistanceSourceToDetector = decimal(acquisition.source_detector_mm)
    image.DistanceSourceToPatient = decimal(acquisition.source_axis_mm)
    image.DataCollectionDiameter = decimal(acquisition.data_collection_diameter_mm)
    image.ReconstructionDiameter = decimal(acquisition.reconstruction_diameter_mm)
    image.GantryDetectorTilt = decimal(0.0)
    image.RotationDirection = acquisition.rotation_direction
    if acquisition.scan_options:
        image.ScanOptions = list(acquisition.scan_options)
    if acquisition.filter_type:
        image.FilterType = acquisition.filter_type
    if acquisition.focal_spots_mm:
        image.FocalSpots = [decimal(value) for value in acquisition.focal_spots_mm]
    if acquisition.convolution_kernel:
        image.ConvolutionKernel = acquisition.convolution_kernel
    if acquisition.table_top is not None:
        _set_table_top(image, acquisition.table_top.in_representation(Representation.IEC_61217))


def _set_table_top(image: Dataset, table_top: TableTopPosition) -> None:
    image.TableHeight = decimal(-table_top.vertical_mm)
    image.TableTopLongitudinalPosition = decimal(table_top.longitudinal_mm)
    image.TableTopLateralPosition = decimal(table_top.lateral_mm)
    image.PatientSupportAngle = decimal(display_angle_deg(table_top.patient_support_angle_deg))
    image.TableTopPitchAngle = display_angle_deg(table_top.pitch_deg)
    image.TableTopRollAngle = display_angle_deg(table_top.roll_deg)


def set_plan_reference(image: Dataset, plan: Plan) -> None:
    """Say in a CT Image for which plan it was taken: Referenced Instance Sequence (0008,114A) and its purpose."""
    purpose = Dataset()
    purpose.CodeValue, purpose.CodingSchemeDesignator, purpose.CodingSchemeVersion, purpose.CodeMeaning = PURPOSE_CODE
    item = reference(plan.sop_class_uid, plan.sop_instance_uid)
    item.PurposeOfReferenceCodeSequence = [purpose]
    image.ReferencedInstanceSequence = [item]


def read_plan_reference(image: Dataset) -> str:
    """SOP Instance UID of the plan that a CT Image was taken for; empty when it names none."""
    for item in items(image, "ReferencedInstanceSequence"):
        for purpose in items(item, "PurposeOfReferenceCodeSequence"):
            if (text(purpose, "CodeValue"), text(purpose, "CodingSchemeDesignator")) == PURPOSE_CODE[:2]:
                return text(item, "ReferencedSOPInstanceUID")
    return ""


def read_ct_acquisition(image: Dataset) -> CtAcquisition:
    """The circumstances that a CT Image states; numbers that it does not state are 0.

    The table top is known only when lateral, longitudinal and Table Height are there; a missing pitch, roll or patient
    support angle is 0 degrees.

    Raises
    ------
    InvalidAttribute
    """
    where = label_of(image)

    def value(keyword: str) -> float:
        return number(image, keyword, where) or 0.0

    return CtAcquisition(
        acquired_at=parse_date_time(text(image, "ContentDate"), text(image, "ContentTime")),
        table_top=read_ct_table_top(image),
        tube_voltage_kv=value("KVP"),
        tube_current_ma=value("XRayTubeCurrent"),
        exposure_time_ms=value("ExposureTime"),
        exposure_mas=value("Exposure"),
        source_detector_mm=value("DistanceSourceToDetector"),
        source_axis_mm=value("DistanceSourceToPatient"),
        data_collection_diameter_mm=value("DataCollectionDiameter"),
        reconstruction_diameter_mm=value("ReconstructionDiameter"),
        acquisition_number=int(value("AcquisitionNumber")),
        scan_options=_texts(image, "ScanOptions"),
        rotation_direction=text(image, "RotationDirection") or "CW",
        filter_type=text(image, "FilterType"),
        focal_spots_mm=tuple(float(part) for part in _texts(image, "FocalSpots")),
        convolution_kernel=text(image, "ConvolutionKernel"),
        irradiation_event_uid=text(image, "IrradiationEventUID"),
    )


def read_ct_table_top(image: Dataset) -> TableTopPosition | None:
    """Where the table top was, IEC 61217; None when a CT Image does not state all three translations.

    Raises
    ------
    InvalidAttribute
    """
    where = label_of(image)
    height = number(image, "TableHeight", where)
    longitudinal = number(image, "TableTopLongitudinalPosition", where)
    lateral = number(image, "TableTopLateralPosition", where)
    if height is None or longitudinal is None or lateral is None:
        return None
    pitch, roll, support = (
        nearest_equivalent_deg(number(image, keyword, where) or 0.0, 0.0)
        for keyword in ("TableTopPitchAngle", "TableTopRollAngle", "PatientSupportAngle")
    )
    return TableTopPosition(Representation.IEC_61217, lateral, longitudinal, -height + 0.0, pitch, roll, support)


def _texts(image: Dataset, keyword: str) -> tuple[str, ...]:
    if not has_value(image, keyword):
        return ()
    value = image[keyword].value
    return tuple(str(part) for part in ([value] if isinstance(value, str | float | int) else value))
