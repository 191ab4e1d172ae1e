"""RT Structure Set: reading and writing.

Source: DICOM PS3.3 C.8.8.5, C.8.8.6, C.8.8.8; conditions on contours: section 2.2.4.1 of the conformance statement
(planar within 1e-6 mm, no mixed contour types; points are exempt).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.uid import UID

from isoalign.dicom.errors import InvalidAttribute, SeveralFramesOfReference, WrongObject
from isoalign.dicom.identity import CT_IMAGE, RT_STRUCTURE_SET
from isoalign.dicom.objects.attributes import items, label_of, require_sop_class, require_type_1, text
from isoalign.dicom.objects.common import Series, date_time, decimals, new_dataset, read_patient, read_study, reference
from isoalign.geometry import Array
from isoalign.records import CtReference, Patient, Structure, StructureSet, Study, Volume

PLANE_TOLERANCE_MM = 1e-6
PLANAR_TYPES = ("CLOSED_PLANAR", "OPEN_PLANAR")
TYPE_1 = (
    "SOPInstanceUID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "StructureSetLabel",
    "ReferencedFrameOfReferenceSequence",
)
DETACHED_STUDY_MANAGEMENT = "1.2.840.10008.3.1.2.3.1"
"""SOP Class that RT Referenced Study Sequence names; retired, and what the standard's examples and vendors write."""


@dataclass(frozen=True, slots=True)
class ReadStructureSet:
    """A structure set and what had to be left out of it, in sentences for the user."""

    structure_set: StructureSet
    warnings: tuple[str, ...] = ()


def read_structure_set(dataset: Dataset) -> ReadStructureSet:
    """The structure set of a dataset; structures that break the conditions are left out with a warning.

    Raises
    ------
    WrongObject, MissingAttribute, InvalidAttribute, SeveralFramesOfReference
    """
    require_sop_class(dataset, RT_STRUCTURE_SET)
    where = label_of(dataset)
    require_type_1(dataset, TYPE_1, where)
    frame_uid, ct = _ct_reference(dataset, where)
    structures, warnings = _structures(dataset, where)
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


def _structures(dataset: Dataset, where: str) -> tuple[list[Structure], list[str]]:
    contours = {int(item.ReferencedROINumber): item for item in items(dataset, "ROIContourSequence")}
    observations = {int(item.ReferencedROINumber): item for item in items(dataset, "RTROIObservationsSequence")}
    structures: list[Structure] = []
    warnings: list[str] = []
    for roi in items(dataset, "StructureSetROISequence"):
        roi_number = int(roi.ROINumber)
        name = text(roi, "ROIName") or f"ROI {roi_number}"
        drawn = items(contours[roi_number], "ContourSequence") if roi_number in contours else []
        geometric_types = sorted({text(contour, "ContourGeometricType") for contour in drawn})
        points = [_points(contour, f"{where}, structure {name}") for contour in drawn]
        refusal = _refusal(geometric_types, points)
        if refusal:
            warnings.append(f"structure {name!r} was left out: {refusal}")
            continue
        interpreted = text(observations[roi_number], "RTROIInterpretedType") if roi_number in observations else ""
        structures.append(
            Structure(roi_number, name, interpreted, geometric_types[0] if geometric_types else "", tuple(points))
        )
    return structures, warnings


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
    return values.reshape(-1, 3)


def _refusal(geometric_types: list[str], contours: list[Array]) -> str:
    """Why a structure cannot be used; empty when it can."""
    if not geometric_types:
        return ""
    if len(geometric_types) > 1:
        return f"it mixes the contour types {', '.join(geometric_types)}"
    if geometric_types == ["POINT"]:
        return ""
    if geometric_types[0] not in PLANAR_TYPES:
        return f"contour type {geometric_types[0]} is not planar"
    if any(np.ptp(contour[:, 2]) > PLANE_TOLERANCE_MM for contour in contours):
        return f"a contour is not in one transverse plane (within {PLANE_TOLERANCE_MM:g} mm)"
    return ""


def build_structure_set(
    structures: Sequence[Structure],
    volume: Volume,
    *,
    patient: Patient,
    study: Study,
    series: Series,
    created_at: datetime,
    label: str,
    sop_instance_uid: str | None = None,
) -> Dataset:
    """An RT Structure Set of planar structures and points on ``volume``.

    Every slice of the volume is referenced, also those without a contour, as the conformance statement asks. Contours
    that lie in the plane of a slice reference it.
    """
    dataset = new_dataset(
        RT_STRUCTURE_SET,
        modality="RTSTRUCT",
        patient=patient,
        study=study,
        series=series,
        created_at=created_at,
        sop_instance_uid=sop_instance_uid,
    )
    dataset.OperatorsName = ""
    dataset.FrameOfReferenceUID = UID(volume.frame_of_reference_uid)
    dataset.PositionReferenceIndicator = ""
    dataset.StructureSetLabel = label[:16]
    dataset.StructureSetDate, dataset.StructureSetTime = date_time(created_at)
    dataset.ReferencedFrameOfReferenceSequence = [_referenced_frame(volume, study)]
    dataset.StructureSetROISequence = [_roi(structure, volume) for structure in structures]
    dataset.ROIContourSequence = [_roi_contours(structure, volume) for structure in structures]
    dataset.RTROIObservationsSequence = [_observation(structure) for structure in structures]
    dataset.ApprovalStatus = "UNAPPROVED"
    return dataset


def _referenced_frame(volume: Volume, study: Study) -> Dataset:
    series_item = Dataset()
    series_item.SeriesInstanceUID = UID(volume.series_instance_uid)
    series_item.ContourImageSequence = [reference(CT_IMAGE, uid) for uid in volume.sop_instance_uids]
    study_item = reference(DETACHED_STUDY_MANAGEMENT, study.study_instance_uid)
    study_item.RTReferencedSeriesSequence = [series_item]
    frame = Dataset()
    frame.FrameOfReferenceUID = UID(volume.frame_of_reference_uid)
    frame.RTReferencedStudySequence = [study_item]
    return frame


def _roi(structure: Structure, volume: Volume) -> Dataset:
    item = Dataset()
    item.ROINumber = structure.number
    item.ReferencedFrameOfReferenceUID = UID(volume.frame_of_reference_uid)
    item.ROIName = structure.name
    item.ROIGenerationAlgorithm = "AUTOMATIC"
    return item


def _roi_contours(structure: Structure, volume: Volume) -> Dataset:
    item = Dataset()
    item.ReferencedROINumber = structure.number
    item.ROIDisplayColor = [255, 255 - (structure.number * 60) % 256, (structure.number * 90) % 256]
    item.ContourSequence = [_contour(structure, points, volume) for points in structure.contours_mm]
    return item


def _contour(structure: Structure, points: Array, volume: Volume) -> Dataset:
    item = Dataset()
    along = (points - volume.origin_mm) @ volume.axes[:, 2] / float(volume.spacing_mm[2])
    index = round(float(along.mean()))
    if np.abs(along - index).max() < 0.01 and 0 <= index < len(volume.sop_instance_uids):
        item.ContourImageSequence = [reference(CT_IMAGE, volume.sop_instance_uids[index])]
    item.ContourGeometricType = structure.geometric_type
    item.NumberOfContourPoints = len(points)
    item.ContourData = decimals(points)
    return item


def _observation(structure: Structure) -> Dataset:
    item = Dataset()
    item.ObservationNumber = structure.number
    item.ReferencedROINumber = structure.number
    item.RTROIInterpretedType = structure.interpreted_type
    item.ROIInterpreter = ""
    return item
