"""Spatial Registration: a match as DICOM, and back.

The registration's own frame of reference is that of the verification images. Two items: the verification images with
the identity, and the planning frame with the match. Each item's matrix maps coordinates of the item's frame of
reference **into** the registration's own frame of reference:

    p_verification = matrix @ p_planning

Source: DICOM PS3.3 C.20.2.1.1 (the matrix takes a point of the item's frame to the registered one, in homogeneous
coordinates, row-major); conformance statement sections 2.2.3.1 and B.2.19. Exactly one matrix per item is written, as
the statement says, and read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import UID

from isoalign.dicom.errors import InvalidAttribute
from isoalign.dicom.identity import CT_IMAGE, RT_IMAGE, SPATIAL_REGISTRATION
from isoalign.dicom.objects.attributes import items, label_of, require_sop_class, require_type_1, text, vector
from isoalign.dicom.objects.common import Series, date_time, decimals, new_dataset, reference, referenced_series
from isoalign.dicom.objects.rt_image import ExportContext
from isoalign.geometry import Array, DicomPatient, Pose, TableTopPosition
from isoalign.records import CtReference, Match

PRIVATE_GROUP = 0x3275
PRIVATE_CREATOR = "Varian Medical Systems VISION 3275"
"""Creator of (3275,xx00) Registration Sub Type."""
SUB_TYPES = {
    "2D/3D": "Online2D3DPaired",
    "2D/2D": "Online2DPaired",
    "3D/3D": "Online3D",
    "marker": "OnlineMarker",
}
REGISTRATION_TYPE_CODES = {
    "2D/3D": ("125024", "Image Content-based Alignment"),
    "2D/2D": ("125024", "Image Content-based Alignment"),
    "3D/3D": ("125024", "Image Content-based Alignment"),
    "marker": ("125022", "Fiducial Alignment"),
}
"""Code values of DCM, context group 7100 (PS3.16)."""


@dataclass(frozen=True, slots=True)
class RegistrationItem:
    """One item: ``matrix`` (4, 4) maps this frame of reference into the registration's own."""

    frame_of_reference_uid: str
    matrix: Array
    referenced_uids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReadRegistration:
    """A Spatial Registration as read."""

    frame_of_reference_uid: str
    items: tuple[RegistrationItem, ...]

    def matrix_from(self, frame_of_reference_uid: str) -> Array:
        """The matrix (4, 4) that maps coordinates of this frame of reference into the registration's own, mm.

        Raises
        ------
        InvalidAttribute
            When no item has this frame of reference.
        """
        for item in self.items:
            if item.frame_of_reference_uid == frame_of_reference_uid:
                return item.matrix
        raise InvalidAttribute(f"the registration has no item for the frame of reference {frame_of_reference_uid}")


def build_spatial_registration(
    match: Match,
    table_top: TableTopPosition,
    images: Sequence[Dataset],
    context: ExportContext,
    *,
    series: Series,
    instance_number: int,
    created_at: datetime,
    ct: CtReference | None = None,
) -> Dataset:
    """A match of verification images as Spatial Registration.

    Parameters
    ----------
    match : Match
    table_top : TableTopPosition
        Where the table top was when the images were taken.
    images : sequence of Dataset
        The RT Images of the match, as built for export.
    context : ExportContext
    ct : CtReference, optional
        The planning CT; its slices are then referenced, as archives need to find the series that belongs to the
        planning frame of reference.
    """
    verification_from_planning = context.verification.verification_from_planning(match.found, table_top)
    plan = context.plan
    dataset = new_dataset(
        SPATIAL_REGISTRATION,
        modality="REG",
        patient=plan.patient,
        study=plan.study,
        series=series,
        created_at=created_at,
    )
    dataset.SeriesDate, dataset.SeriesTime = date_time(created_at)
    dataset.ContentDate, dataset.ContentTime = date_time(created_at)
    dataset.FrameOfReferenceUID = UID(context.verification.frame_of_reference_uid)
    dataset.PositionReferenceIndicator = ""
    dataset.PatientPosition = context.verification.patient_position.value
    dataset.Laterality = ""
    dataset.InstanceNumber = instance_number
    dataset.ContentLabel = {"2D/3D": "MATCH_2D3D", "2D/2D": "MATCH_2D2D", "3D/3D": "MATCH_3D3D"}.get(
        match.kind, "MATCH_MARKER"
    )
    dataset.ContentDescription = f"{match.kind} match, plan {plan.label}"[:64]
    dataset.ContentCreatorName = ""
    image_uids = [str(image.SOPInstanceUID) for image in images]
    dataset.RegistrationSequence = [
        _item(
            context.verification.frame_of_reference_uid,
            np.eye(4),
            match.kind,
            [reference(RT_IMAGE, uid) for uid in image_uids],
        ),
        _item(
            plan.frame_of_reference_uid,
            verification_from_planning.matrix,
            match.kind,
            [] if ct is None else [reference(CT_IMAGE, uid) for uid in ct.sop_instance_uids],
        ),
    ]
    _add_common_instance_reference(dataset, images, ct)
    return dataset


def _item(frame_of_reference_uid: str, matrix: Array, kind: str, references: list[Dataset]) -> Dataset:
    transformation = Dataset()
    transformation.FrameOfReferenceTransformationMatrix = decimals(matrix)
    transformation.FrameOfReferenceTransformationMatrixType = "RIGID"
    code_value, code_meaning = REGISTRATION_TYPE_CODES[kind]
    code = Dataset()
    code.CodeValue = code_value
    code.CodingSchemeDesignator = "DCM"
    code.CodeMeaning = code_meaning
    registration = Dataset()
    registration.MatrixSequence = [transformation]
    registration.RegistrationTypeCodeSequence = [code]
    block = registration.private_block(PRIVATE_GROUP, PRIVATE_CREATOR, create=True)
    block.add_new(0x00, "LO", SUB_TYPES[kind])
    item = Dataset()
    item.FrameOfReferenceUID = UID(frame_of_reference_uid)
    if references:
        item.ReferencedImageSequence = references
    item.MatrixRegistrationSequence = [registration]
    return item


def _add_common_instance_reference(dataset: Dataset, images: Sequence[Dataset], ct: CtReference | None) -> None:
    by_series: dict[str, list[str]] = {}
    for image in images:
        by_series.setdefault(str(image.SeriesInstanceUID), []).append(str(image.SOPInstanceUID))
    own_study = [referenced_series(series_uid, RT_IMAGE, uids) for series_uid, uids in by_series.items()]
    if ct is not None:
        ct_series = referenced_series(ct.series_instance_uid, CT_IMAGE, ct.sop_instance_uids)
        if ct.study_instance_uid == str(dataset.StudyInstanceUID):
            own_study.append(ct_series)
        else:
            other = Dataset()
            other.StudyInstanceUID = UID(ct.study_instance_uid)
            other.ReferencedSeriesSequence = [ct_series]
            dataset.StudiesContainingOtherReferencedInstancesSequence = [other]
    if own_study:
        dataset.ReferencedSeriesSequence = own_study


def read_spatial_registration(dataset: Dataset) -> ReadRegistration:
    """All items of a Spatial Registration.

    Raises
    ------
    WrongObject, MissingAttribute, InvalidAttribute
    """
    require_sop_class(dataset, SPATIAL_REGISTRATION)
    where = label_of(dataset)
    require_type_1(dataset, ("FrameOfReferenceUID", "RegistrationSequence"), where)
    found = []
    for item in items(dataset, "RegistrationSequence"):
        require_type_1(item, ("MatrixRegistrationSequence",), where)
        steps = items(items(item, "MatrixRegistrationSequence")[0], "MatrixSequence")
        if len(steps) != 1:
            raise InvalidAttribute(
                f"{where}: Matrix Sequence (0070,030A) has {len(steps)} items; only one matrix per item is read",
                hint="Export the registration with its matrices combined into one.",
            )
        matrix = vector(steps[0], "FrameOfReferenceTransformationMatrix", 16, where).reshape(4, 4)
        found.append(
            RegistrationItem(
                text(item, "FrameOfReferenceUID"),
                matrix,
                tuple(text(one, "ReferencedSOPInstanceUID") for one in items(item, "ReferencedImageSequence")),
            )
        )
    return ReadRegistration(str(dataset.FrameOfReferenceUID), tuple(found))


def verification_from_planning(dataset: Dataset, planning_frame_uid: str) -> Pose[DicomPatient, DicomPatient]:
    """The map from the planning frame to the verification frame that a registration states."""
    matrix = read_spatial_registration(dataset).matrix_from(planning_frame_uid)
    return Pose.from_matrix(DicomPatient, DicomPatient, matrix)
