"""RT Structure Set: writing planning structures, detected markers and the isocentres of a verification CT.

Source: DICOM PS3.3 C.8.8.5, C.8.8.6, C.8.8.8; section 2.2.3.1 (markers, isocentres, slices that contours reference) and
B.2.12 of the conformance statement. Contours stand in ROI Contour Sequence (3006,0039) and there in Contour Sequence
(3006,0040); the statement's prose exchanges the two tags. The isocentre's type is INITLASERISO, as in its table.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import numpy as np
from pydicom import config
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import UID

from isoalign.dicom.identity import CT_IMAGE, RT_STRUCTURE_SET
from isoalign.dicom.object_settings import DEFAULT_SETTINGS, ObjectSettings
from isoalign.dicom.objects.characters import declare_characters
from isoalign.dicom.objects.common import Series, date_time, decimal, decimal_text, new_dataset, reference
from isoalign.dicom.objects.contour_resampling import resampled_onto
from isoalign.dicom.objects.private import add_private
from isoalign.dicom.objects.structure_set import MARKER_GROUP, RELATIONSHIP_GROUP, RelatedStructureSet
from isoalign.geometry import Array
from isoalign.records import CtReference, Patient, Structure, StructureSet, Study, Volume

DETACHED_STUDY_MANAGEMENT = "1.2.840.10008.3.1.2.3.1"
"""SOP Class that RT Referenced Study Sequence names; retired, and what the standard's examples and vendors write."""
CONTOUR_DATA = Tag(0x3006, 0x0050)
ON_SLICE = 0.01
"""Largest distance of a contour from a slice that it references, as a part of the slice distance."""


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
    instance_number: int = 1,
    operator: str = "",
    settings: ObjectSettings = DEFAULT_SETTINGS,
) -> Dataset:
    """An RT Structure Set of planar structures and points on ``volume``.

    Every image that the volume was read from is referenced, also those without a contour. Volumetric structures that do
    not lie on those images are resampled onto them, so that each of their contours references one; points stay where
    they are, also between images.

    Parameters
    ----------
    study : Study
        Of the CT and of the structure set.

    Raises
    ------
    CharactersNotWritable
    """
    positions = volume.origin_mm[2] + volume.image_offsets_mm * float(volume.axes[2, 2])
    ct = CtReference(study.study_instance_uid, volume.series_instance_uid, volume.sop_instance_uids)
    dataset = _new_structure_set(
        patient, study, series, created_at, label, sop_instance_uid, instance_number, operator, settings
    )
    dataset.FrameOfReferenceUID = UID(volume.frame_of_reference_uid)
    dataset.ReferencedFrameOfReferenceSequence = [_referenced_frame(volume.frame_of_reference_uid, ct)]
    _add_structures(
        dataset,
        [resampled_onto(structure, positions) for structure in structures],
        volume.frame_of_reference_uid,
        _Images(positions, volume.sop_instance_uids),
        settings,
    )
    return declare_characters(dataset, settings)


def build_marker_structure_set(
    markers: Sequence[Structure],
    planning: StructureSet,
    *,
    series: Series,
    created_at: datetime,
    label: str = "MARKERS",
    instance_number: int = 1,
    operator: str = "",
    settings: ObjectSettings = DEFAULT_SETTINGS,
) -> Dataset:
    """Detected markers as a structure set of their own: an addition to the planning structure set, on its CT.

    It has a new UID, uses the frame of reference of the planning CT and names the structure set that it adds to in the
    private Referenced Structure Set Relationship Sequence (3263,xx01).
    """
    dataset = _new_structure_set(
        planning.patient, planning.study, series, created_at, label, None, instance_number, operator, settings
    )
    dataset.FrameOfReferenceUID = UID(planning.frame_of_reference_uid)
    dataset.ReferencedFrameOfReferenceSequence = [_referenced_frame(planning.frame_of_reference_uid, planning.ct)]
    nowhere = _Images(np.empty(0), ())
    _add_structures(dataset, markers, planning.frame_of_reference_uid, nowhere, settings)
    set_related(dataset, [RelatedStructureSet(planning.sop_instance_uid, "ADDITION")], settings)
    return declare_characters(dataset, settings)


def set_related(
    dataset: Dataset, related: Sequence[RelatedStructureSet], settings: ObjectSettings = DEFAULT_SETTINGS
) -> None:
    """Say which structure sets this one was made from or adds to."""
    creator = settings.creators.group_3263
    sequence = []
    for one in related:
        item = reference(RT_STRUCTURE_SET, one.sop_instance_uid)
        add_private(item, creator, RELATIONSHIP_GROUP, 0x02, "CS", one.relationship)
        sequence.append(item)
    add_private(dataset, creator, RELATIONSHIP_GROUP, 0x01, "SQ", sequence)


def _new_structure_set(
    patient: Patient,
    study: Study,
    series: Series,
    created_at: datetime,
    label: str,
    sop_instance_uid: str | None,
    instance_number: int,
    operator: str,
    settings: ObjectSettings,
) -> Dataset:
    dataset = new_dataset(
        RT_STRUCTURE_SET,
        modality="RTSTRUCT",
        patient=patient,
        study=study,
        series=series,
        created_at=created_at,
        sop_instance_uid=sop_instance_uid,
        settings=settings,
    )
    dataset.OperatorsName = operator
    dataset.PositionReferenceIndicator = ""
    dataset.InstanceNumber = instance_number
    dataset.StructureSetLabel = label[:16]
    dataset.StructureSetDate, dataset.StructureSetTime = date_time(created_at)
    dataset.ApprovalStatus = "UNAPPROVED"
    return dataset


class _Images:
    """Which image lies where along z."""

    def __init__(self, positions_mm: Array, sop_instance_uids: Sequence[str]) -> None:
        self._positions = positions_mm
        self._uids = sop_instance_uids

    def at(self, points: Array) -> str | None:
        """The image in whose plane all points lie; None when they lie between images."""
        if len(self._positions) == 0:
            return None
        nearest = int(np.abs(self._positions - float(points[:, 2].mean())).argmin())
        spacing = float(np.diff(np.sort(self._positions)).min()) if len(self._positions) > 1 else 1.0
        off = float(np.abs(points[:, 2] - self._positions[nearest]).max())
        return self._uids[nearest] if off < ON_SLICE * spacing else None


def _referenced_frame(frame_of_reference_uid: str, ct: CtReference) -> Dataset:
    series_item = Dataset()
    series_item.SeriesInstanceUID = UID(ct.series_instance_uid)
    series_item.ContourImageSequence = [reference(CT_IMAGE, uid) for uid in ct.sop_instance_uids]
    study_item = reference(DETACHED_STUDY_MANAGEMENT, ct.study_instance_uid)
    study_item.RTReferencedSeriesSequence = [series_item]
    frame = Dataset()
    frame.FrameOfReferenceUID = UID(frame_of_reference_uid)
    frame.RTReferencedStudySequence = [study_item]
    return frame


def _add_structures(
    dataset: Dataset,
    structures: Sequence[Structure],
    frame_of_reference_uid: str,
    images: _Images,
    settings: ObjectSettings,
) -> None:
    dataset.StructureSetROISequence = [_roi(structure, frame_of_reference_uid) for structure in structures]
    dataset.ROIContourSequence = [_roi_contours(structure, images) for structure in structures]
    dataset.RTROIObservationsSequence = [_observation(structure, settings) for structure in structures]


def _roi(structure: Structure, frame_of_reference_uid: str) -> Dataset:
    item = Dataset()
    item.ROINumber = structure.number
    item.ReferencedFrameOfReferenceUID = UID(frame_of_reference_uid)
    item.ROIName = structure.name
    item.ROIGenerationAlgorithm = structure.generation_algorithm
    return item


def _roi_contours(structure: Structure, images: _Images) -> Dataset:
    number = structure.number
    item = Dataset()
    item.ReferencedROINumber = number
    item.ROIDisplayColor = list(structure.colour or (255, 255 - (number * 60) % 256, (number * 90) % 256))
    if structure.contours_mm:
        item.ContourSequence = [_contour(structure, points, images) for points in structure.contours_mm]
    return item


def _contour(structure: Structure, points: Array, images: _Images) -> Dataset:
    item = Dataset()
    uid = images.at(points)
    if uid is not None:
        item.ContourImageSequence = [reference(CT_IMAGE, uid)]
    item.ContourGeometricType = structure.geometric_type
    item.NumberOfContourPoints = len(points)
    item[CONTOUR_DATA] = _contour_data(points)
    return item


def _contour_data(points: Array) -> RawDataElement:
    """Contour Data (3006,0050) as the bytes that are written; a reader makes numbers of them when it asks.

    As numbers of pydicom's they take most of the time of writing a structure set.
    """
    written = "\\".join(map(decimal_text, points.ravel().tolist())).encode("ascii")
    written += b" " * (len(written) % 2)
    return RawDataElement(CONTOUR_DATA, "DS", len(written), written, 0, is_implicit_VR=True, is_little_endian=True)


def _observation(structure: Structure, settings: ObjectSettings) -> Dataset:
    item = Dataset()
    item.ObservationNumber = structure.number
    item.ReferencedROINumber = structure.number
    if structure.observation_label:
        item.ROIObservationLabel = structure.observation_label[:16]
    item.RTROIInterpretedType = structure.interpreted_type
    item.ROIInterpreter = ""
    if structure.physical_properties:
        item.ROIPhysicalPropertiesSequence = [_physical_property(*one) for one in structure.physical_properties]
    if structure.marker_subtype:
        creator = settings.creators.group_3271
        add_private(item, creator, MARKER_GROUP, 0x00, "CS", structure.marker_subtype)
    return item


def _physical_property(name: str, value: float) -> Dataset:
    item = Dataset()
    # the statement's terms for table angles are longer than the 16 characters of a code string
    item[0x3006, 0x00B2] = DataElement(0x300600B2, "CS", name, validation_mode=config.IGNORE)
    item.ROIPhysicalPropertyValue = decimal(value)
    return item
