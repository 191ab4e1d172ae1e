"""RT Image: reading acquired images and digitally reconstructed radiographs, our own and those of vendors.

Where an attribute is missing from the image, its Exposure Sequence (3002,0030) is asked; a missing pitch or roll is 0
degrees. Nothing that decides about a position is guessed: without gantry angle, distances, pixel spacing, first pixel
or frame of reference an image is refused. Source: sections B.1.4 and B.2.11 of the conformance statement; DICOM PS3.3
C.8.8.2.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from isoalign.dicom.errors import InvalidAttribute, MissingAttribute
from isoalign.dicom.identity import RT_IMAGE
from isoalign.dicom.object_settings import DEFAULT_SETTINGS, ObjectSettings
from isoalign.dicom.objects.attributes import (
    attribute_name,
    has_value,
    items,
    label_of,
    number,
    require_sop_class,
    require_type_1,
    text,
    vector,
)
from isoalign.dicom.objects.common import read_patient, read_study
from isoalign.dicom.objects.curves import read_marker_curves
from isoalign.dicom.objects.extended_interface import read_extended_interface
from isoalign.dicom.objects.pixels import stored_values
from isoalign.dicom.objects.private import private_text, private_vector
from isoalign.dicom.objects.rt_image import JAW_TYPES, PRIVATE_GROUP, UNROTATED, JawPair, RtImageDetails
from isoalign.geometry import (
    Array,
    ImagerAxis,
    PatientPosition,
    PixelGrid,
    ProjectionGeometry,
    Representation,
    TableTopPosition,
    nearest_equivalent_deg,
)
from isoalign.records import Patient, Study, Technique

TYPE_1 = (
    "SOPInstanceUID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "ImageType",
    "RTImageLabel",
    "RTImagePlane",
    "FrameOfReferenceUID",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "PixelData",
)
GEOMETRY = ("ImagePlanePixelSpacing", "RTImagePosition", "RadiationMachineSAD", "RTImageSID")
"""Type 2 in the standard; here an image without them is of no use."""
POSITION_TOLERANCE_MM = 1e-3
"""Largest difference between Isocenter Position and its private copy."""


@dataclass(frozen=True, slots=True)
class ReadRtImage:
    """An RT Image as read.

    Attributes
    ----------
    pixels : ndarray, shape (rows, columns)
        Stored values; ``pixels * rescale_slope + rescale_intercept`` are the values they stand for.
    geometry : ProjectionGeometry
        With the machine axis that the image states.
    table_top : TableTopPosition, optional
        IEC 61217; None where a translation is missing.
    isocentre_mm : ndarray, shape (3,), optional
        The machine isocentre in the image's frame of reference.
    """

    sop_instance_uid: str
    patient: Patient
    study: Study
    frame_of_reference_uid: str
    image_type: tuple[str, ...]
    label: str
    pixels: npt.NDArray[np.integer] = field(repr=False)
    rescale_slope: float
    rescale_intercept: float
    geometry: ProjectionGeometry
    patient_position: PatientPosition | None
    isocentre_mm: Array | None
    table_top: TableTopPosition | None
    technique: Technique | None
    plan_uid: str
    beam_number: int | None
    fraction_number: int | None
    machine_name: str
    details: RtImageDetails


def read_rt_image(dataset: Dataset, settings: ObjectSettings = DEFAULT_SETTINGS) -> ReadRtImage:
    """An RT Image of a plane normal to its beam.

    Raises
    ------
    WrongObject, MissingAttribute, InvalidAttribute, InconsistentProjection, TruncatedFile, UnsupportedPixelData
    """
    require_sop_class(dataset, RT_IMAGE)
    where = label_of(dataset)
    require_type_1(dataset, (*TYPE_1, *GEOMETRY), where)
    exposures = items(dataset, "ExposureSequence")
    sources = (dataset, *exposures[:1])
    plans = items(dataset, "ReferencedRTPlanSequence")
    slope = number(dataset, "RescaleSlope", where)
    return ReadRtImage(
        sop_instance_uid=str(dataset.SOPInstanceUID),
        patient=read_patient(dataset),
        study=read_study(dataset),
        frame_of_reference_uid=str(dataset.FrameOfReferenceUID),
        image_type=tuple(str(part) for part in dataset.ImageType),
        label=text(dataset, "RTImageLabel"),
        pixels=stored_values(dataset),
        rescale_slope=1.0 if slope is None else slope,
        rescale_intercept=number(dataset, "RescaleIntercept", where) or 0.0,
        geometry=ProjectionGeometry.from_axis(read_axis(dataset, sources, where), read_grid(dataset, where)),
        patient_position=_patient_position(dataset, settings),
        isocentre_mm=_isocentre(dataset, settings, where),
        table_top=_table_top(sources, where),
        technique=_technique(exposures[0], where) if exposures else None,
        plan_uid=text(plans[0], "ReferencedSOPInstanceUID") if plans else "",
        beam_number=_whole(dataset, "ReferencedBeamNumber", where),
        fraction_number=_whole(dataset, "FractionNumber", where),
        machine_name=text(dataset, "RadiationMachineName"),
        details=_details(dataset, sources, settings, where),
    )


def _first(sources: tuple[Dataset, ...], keyword: str, where: str) -> float | None:
    values = (number(source, keyword, where) for source in sources)
    return next((value for value in values if value is not None), None)


def _whole(dataset: Dataset, keyword: str, where: str) -> int | None:
    value = number(dataset, keyword, where)
    return None if value is None else int(value)


def read_axis(dataset: Dataset, sources: tuple[Dataset, ...], where: str) -> ImagerAxis:
    """Gantry angle, distances and receptor; each from the first source that has it."""
    if text(dataset, "RTImagePlane") != "NORMAL":
        raise InvalidAttribute(
            f"{where}: only images normal to their beam are read (RT Image Plane (3002,000C) NORMAL)"
        )
    if has_value(dataset, "RTImageOrientation"):
        orientation = vector(dataset, "RTImageOrientation", 6, where)
        if np.abs(orientation - np.array(UNROTATED)).max() > 1e-6:
            raise InvalidAttribute(
                f"{where}: RT Image Orientation (3002,0010) is turned against the receptor; state the turn as X-Ray "
                "Image Receptor Angle (3002,000E)"
            )
    gantry = _first(sources, "GantryAngle", where)
    if gantry is None:
        raise MissingAttribute(f"{where}: {attribute_name('GantryAngle')} is missing or empty")
    translation = None
    if has_value(dataset, "XRayImageReceptorTranslation"):
        x, y, z = (float(value) for value in vector(dataset, "XRayImageReceptorTranslation", 3, where))
        translation = (x, y, z)
    return ImagerAxis.from_rt_image(
        gantry_angle_deg=gantry,
        sad_mm=float(dataset.RadiationMachineSAD),
        sid_mm=float(dataset.RTImageSID),
        receptor_translation_mm=translation,
        receptor_angle_deg=number(dataset, "XRayImageReceptorAngle", where) or 0.0,
        gantry_pitch_deg=nearest_equivalent_deg(number(dataset, "GantryPitchAngle", where) or 0.0, 0.0),
    )


def read_grid(dataset: Dataset, where: str) -> PixelGrid:
    """Pixels and where the first one lies."""
    rows_mm, columns_mm = vector(dataset, "ImagePlanePixelSpacing", 2, where)
    x, y = vector(dataset, "RTImagePosition", 2, where)
    return PixelGrid(int(dataset.Rows), int(dataset.Columns), float(rows_mm), float(columns_mm), (float(x), float(y)))


def _patient_position(dataset: Dataset, settings: ObjectSettings) -> PatientPosition | None:
    stated = text(dataset, "PatientPosition")
    stated = stated or private_text(dataset, settings.creators.group_3273, PRIVATE_GROUP, 0x01)
    return PatientPosition.parse(stated) if stated else None


def _isocentre(dataset: Dataset, settings: ObjectSettings, where: str) -> Array | None:
    """Isocenter Position (300A,012C), or its private copy where only that is there; refuses two that differ."""
    standard = vector(dataset, "IsocenterPosition", 3, where) if has_value(dataset, "IsocenterPosition") else None
    private = private_vector(dataset, settings.creators.group_3273, PRIVATE_GROUP, 0x00, 3, where)
    if standard is None or private is None:
        return private if standard is None else standard
    if np.abs(standard - private).max() > POSITION_TOLERANCE_MM:
        raise InvalidAttribute(
            f"{where}: Isocenter Position (300A,012C) and its private copy (3273,xx00) differ by "
            f"{np.abs(standard - private).max():.3f} mm"
        )
    return standard


def _table_top(sources: tuple[Dataset, ...], where: str) -> TableTopPosition | None:
    lateral, longitudinal, vertical = (
        _first(sources, f"TableTop{axis}Position", where) for axis in ("Lateral", "Longitudinal", "Vertical")
    )
    if lateral is None or longitudinal is None or vertical is None:
        return None
    pitch, roll, support = (
        nearest_equivalent_deg(_first(sources, keyword, where) or 0.0, 0.0)
        for keyword in ("TableTopPitchAngle", "TableTopRollAngle", "PatientSupportAngle")
    )
    return TableTopPosition(Representation.IEC_61217, lateral, longitudinal, vertical, pitch, roll, support)


def _technique(exposure: Dataset, where: str) -> Technique | None:
    voltage = number(exposure, "KVP", where)
    if voltage is None:
        return None
    current = number(exposure, "XRayTubeCurrentInmA", where) or number(exposure, "XRayTubeCurrent", where)
    time = number(exposure, "ExposureTimeInms", where) or number(exposure, "ExposureTime", where)
    return Technique(voltage, current or 0.0, time or 0.0)


def _details(dataset: Dataset, sources: tuple[Dataset, ...], settings: ObjectSettings, where: str) -> RtImageDetails:
    exposure = sources[-1]
    start = number(dataset, "StartCumulativeMetersetWeight", where) or 0.0
    end = number(dataset, "EndCumulativeMetersetWeight", where) or 0.0
    return RtImageDetails(
        description=text(dataset, "RTImageDescription"),
        cumulative_meterset_weights=(start, end),
        beam_limiting_device_angle_deg=_first(sources, "BeamLimitingDeviceAngle", where) or 0.0,
        jaws=tuple(
            _jaws(item, where)
            for item in items(exposure, "BeamLimitingDeviceSequence")
            if text(item, "RTBeamLimitingDeviceType") in JAW_TYPES and has_value(item, "LeafJawPositions")
        ),
        markers_px=tuple((float(x), float(y)) for x, y in read_marker_curves(dataset, where)),
        extended_interface=read_extended_interface(dataset, settings),
        irradiation_event_uid=text(dataset, "IrradiationEventUID"),
    )


def _jaws(item: Dataset, where: str) -> JawPair:
    first, second = (float(value) for value in vector(item, "LeafJawPositions", 2, where))
    return JawPair(text(item, "RTBeamLimitingDeviceType"), (first, second))
