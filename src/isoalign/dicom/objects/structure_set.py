"""RT Structure Set: reading.

Source: DICOM PS3.3 C.8.8.5, C.8.8.6, C.8.8.8; conditions on contours: section 2.2.4.1 of the conformance statement
(planar within 1e-6 mm, no mixed contour types; points are exempt). A structure that is not transverse is left out with
a warning; one that mixes contour types is refused.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset

from isoalign.dicom.errors import InvalidAttribute, MixedContourTypes, SeveralFramesOfReference, WrongObject
from isoalign.dicom.identity import CT_IMAGE, RT_STRUCTURE_SET
from isoalign.dicom.object_settings import DEFAULT_SETTINGS, ObjectSettings
from isoalign.dicom.objects.attributes import (
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
from isoalign.dicom.objects.private import private_items, private_text
from isoalign.geometry import Array
from isoalign.records import CtReference, Structure, StructureSet

PLANE_TOLERANCE_MM = 1e-6
PLANAR_TYPES = ("CLOSED_PLANAR", "OPEN_PLANAR")
TYPE_1 = (
    "SOPInstanceUID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "StructureSetLabel",
    "ReferencedFrameOfReferenceSequence",
)
RELATIONSHIP_GROUP = 0x3263
"""(3263,xx01) Referenced Structure Set Relationship Sequence, (3263,xx02) Structure Set Relationship."""
MARKER_GROUP = 0x3271
"""(3271,xx00) Marker Subtype."""


@dataclass(frozen=True, slots=True)
class RelatedStructureSet:
    """A structure set that another one was made from (``PREDECESSOR``) or adds to (``ADDITION``)."""

    sop_instance_uid: str
    relationship: str


@dataclass(frozen=True, slots=True)
class ReadStructureSet:
    """A structure set and what had to be left out of it, in sentences for the user."""

    structure_set: StructureSet
    warnings: tuple[str, ...] = ()
    related: tuple[RelatedStructureSet, ...] = ()


def read_structure_set(dataset: Dataset, settings: ObjectSettings = DEFAULT_SETTINGS) -> ReadStructureSet:
    """The structure set of a dataset; structures that are not transverse are left out with a warning.

    Raises
    ------
    WrongObject, MissingAttribute, InvalidAttribute, SeveralFramesOfReference, MixedContourTypes
    """
    require_sop_class(dataset, RT_STRUCTURE_SET)
    where = label_of(dataset)
    require_type_1(dataset, TYPE_1, where)
    frame_uid, ct = _ct_reference(dataset, where)
    structures, warnings = _structures(dataset, where, settings)
    return ReadStructureSet(
        StructureSet(
            sop_instance_uid=str(dataset.SOPInstanceUID),
            label=text(dataset, "StructureSetLabel"),
            patient=read_patient(dataset),
            study=read_study(dataset),
            frame_of_reference_uid=frame_uid,
            ct=ct,
            structures=tuple(structures),
        ),
        tuple(warnings),
        tuple(
            RelatedStructureSet(
                text(item, "ReferencedSOPInstanceUID"),
                private_text(item, settings.creators.group_3263, RELATIONSHIP_GROUP, 0x02),
            )
            for item in private_items(dataset, settings.creators.group_3263, RELATIONSHIP_GROUP, 0x01)
        ),
    )


def _ct_reference(dataset: Dataset, where: str) -> tuple[str, CtReference]:
    found: list[tuple[str, CtReference]] = []
    for frame in items(dataset, "ReferencedFrameOfReferenceSequence"):
        require_type_1(frame, ("FrameOfReferenceUID",), where)
        for study in items(frame, "RTReferencedStudySequence"):
            for series in items(study, "RTReferencedSeriesSequence"):
                require_type_1(series, ("SeriesInstanceUID", "ContourImageSequence"), where)
                uids = [
                    text(image, "ReferencedSOPInstanceUID")
                    for image in items(series, "ContourImageSequence")
                    if text(image, "ReferencedSOPClassUID") == CT_IMAGE
                ]
                if uids:
                    reference_to_ct = CtReference(
                        text(study, "ReferencedSOPInstanceUID"), str(series.SeriesInstanceUID), tuple(uids)
                    )
                    found.append((str(frame.FrameOfReferenceUID), reference_to_ct))
    if not found:
        raise WrongObject(f"{where} references no CT image; positioning needs the CT that it was drawn on")
    if len(found) > 1:
        series_uids = [ct.series_instance_uid for _, ct in found]
        raise SeveralFramesOfReference(
            f"{where} references {len(found)} CT series: {', '.join(series_uids)}",
            hint="Use a structure set that was drawn on one CT series.",
            series=series_uids,
        )
    return found[0]


def _structures(dataset: Dataset, where: str, settings: ObjectSettings) -> tuple[list[Structure], list[str]]:
    contours = _by_roi(dataset, "ROIContourSequence", where)
    observations = _by_roi(dataset, "RTROIObservationsSequence", where)
    structures: list[Structure] = []
    warnings: list[str] = []
    for roi in items(dataset, "StructureSetROISequence"):
        require_type_1(roi, ("ROINumber",), where)
        roi_number = int(roi.ROINumber)
        structure = _structure(
            roi, contours.get(roi_number, Dataset()), observations.get(roi_number, Dataset()), where, settings
        )
        refusal = _refusal(structure)
        if refusal:
            warnings.append(f"structure {structure.name!r} was left out: {refusal}")
        else:
            structures.append(structure)
    return structures, warnings


def _by_roi(dataset: Dataset, keyword: str, where: str) -> dict[int, Dataset]:
    found = {}
    for item in items(dataset, keyword):
        require_type_1(item, ("ReferencedROINumber",), where)
        found[int(item.ReferencedROINumber)] = item
    return found


def _structure(roi: Dataset, drawn: Dataset, observation: Dataset, where: str, settings: ObjectSettings) -> Structure:
    roi_number = int(roi.ROINumber)
    name = text(roi, "ROIName") or f"ROI {roi_number}"
    where = f"{where}, structure {name}"
    contours = items(drawn, "ContourSequence")
    for contour in contours:
        require_type_1(contour, ("ContourGeometricType", "ContourData"), where)
    types = sorted({text(contour, "ContourGeometricType") for contour in contours})
    if len(types) > 1:
        raise MixedContourTypes(f"{where} mixes the contour types {', '.join(types)}", structure=name, types=types)
    colour = vector(drawn, "ROIDisplayColor", 3, where) if has_value(drawn, "ROIDisplayColor") else None
    return Structure(
        roi_number,
        name,
        text(observation, "RTROIInterpretedType"),
        types[0] if types else "",
        tuple(_points(contour, where) for contour in contours),
        observation_label=text(observation, "ROIObservationLabel"),
        marker_subtype=private_text(observation, settings.creators.group_3271, MARKER_GROUP, 0x00),
        physical_properties=tuple(
            _physical_property(item, where) for item in items(observation, "ROIPhysicalPropertiesSequence")
        ),
        colour=None if colour is None else (int(colour[0]), int(colour[1]), int(colour[2])),
        generation_algorithm=text(roi, "ROIGenerationAlgorithm"),
    )


def _physical_property(item: Dataset, where: str) -> tuple[str, float]:
    require_type_1(item, ("ROIPhysicalProperty", "ROIPhysicalPropertyValue"), where)
    return text(item, "ROIPhysicalProperty"), number(item, "ROIPhysicalPropertyValue", where) or 0.0


def _points(contour: Dataset, where: str) -> Array:
    element: object = contour.get_item("ContourData")
    try:
        if isinstance(element, RawDataElement) and isinstance(element.value, bytes):
            # decoding a long decimal string value by value takes most of the time of reading a structure set
            values = np.array(element.value.rstrip(b" \0").split(b"\\"), dtype=np.float64)
        else:
            values = np.array([float(value) for value in contour.get("ContourData") or ()], dtype=np.float64)
    except (TypeError, ValueError):
        values = np.empty(0)
    if values.size == 0 or values.size % 3 or not np.isfinite(values).all():
        raise InvalidAttribute(f"{where}: Contour Data (3006,0050) is not triplets of finite numbers")
    stated = number(contour, "NumberOfContourPoints", where)
    if stated is not None and int(stated) != values.size // 3:
        raise InvalidAttribute(
            f"{where}: Contour Data (3006,0050) holds {values.size // 3} points, Number of Contour Points (3006,0046) "
            f"says {int(stated)}"
        )
    return values.reshape(-1, 3)


def _refusal(structure: Structure) -> str:
    """Why a structure cannot be used; empty when it can."""
    if not structure.geometric_type:
        return ""
    if structure.geometric_type == "POINT":
        crowded = max(len(points) for points in structure.contours_mm)
        return f"a POINT contour has {crowded} points" if crowded > 1 else ""
    if structure.geometric_type not in PLANAR_TYPES:
        return f"contour type {structure.geometric_type} is not planar"
    if any(np.ptp(points[:, 2]) > PLANE_TOLERANCE_MM + np.spacing(1e3) for points in structure.contours_mm):
        return f"a contour is not in one transverse plane (within {PLANE_TOLERANCE_MM:g} mm)"
    return ""


def is_marker(structure: Structure) -> bool:
    """Whether a structure is an implanted marker that a marker match may use: one point, of type MARKER.

    A subtype is asked for only where there is one: systems without the private attribute leave it out.
    """
    return (
        structure.interpreted_type == "MARKER"
        and structure.geometric_type == "POINT"
        and len(structure.contours_mm) == 1
        and structure.marker_subtype in {"", "MARKER"}
    )
