"""Spatial Registration: a match as DICOM, and back.

The registration's own frame of reference is that of the verification images: the acquired CT of a 3D/3D match, the
acquired RT Images of every other match. In the format of IHE-RO there are two items, the verification images with the
identity and the moving frame with the match; otherwise the moving frame's item alone. The moving frame is that of the
planning CT, or, for a 2D/2D match, that of the radiographs reconstructed from the acquired CT. Each item's matrix maps
coordinates of the item's frame of reference **into** the registration's own frame of reference:

    p_verification = matrix @ p_planning

Source: DICOM PS3.3 C.20.2.1.1 (the matrix takes a point of the item's frame to the registered one, in homogeneous
coordinates, row-major); IHE-RO MMRO-II; conformance statement sections 2.2.3.1 and B.2.19. Exactly one matrix per item
is written, as the statement says, and read: the order in which several would apply is not told alike everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import UID

from isoalign.dicom.errors import InvalidAttribute, SeveralFramesOfReference
from isoalign.dicom.identity import CT_IMAGE, RT_IMAGE, SPATIAL_REGISTRATION
from isoalign.dicom.object_settings import DEFAULT_SETTINGS, ObjectSettings
from isoalign.dicom.objects.attributes import items, label_of, require_sop_class, require_type_1, text, vector
from isoalign.dicom.objects.characters import declare_characters
from isoalign.dicom.objects.common import Series, date_time, decimals, new_dataset, reference, referenced_series
from isoalign.dicom.objects.private import add_private, private_text
from isoalign.dicom.objects.rt_image import ExportContext
from isoalign.geometry import Array, DicomPatient, Pose, TableTopPosition
from isoalign.records import CtReference, Match

PRIVATE_GROUP = 0x3275
"""(3275,xx00) Registration Sub Type."""
SUB_TYPES = {
    "2D/3D": "Online2D3DPaired",
    "2D/2D": "Online2DPaired",
    "3D/3D": "Online3D",
    "marker": "OnlineMarker",
}
LABELS = {"2D/3D": "MATCH_2D3D", "2D/2D": "MATCH_2D2D", "3D/3D": "MATCH_3D3D", "marker": "MATCH_MARKER"}
REGISTRATION_TYPE_CODES = {
    "2D/3D": ("125024", "Image Content-based Alignment"),
    "2D/2D": ("125024", "Image Content-based Alignment"),
    "3D/3D": ("125024", "Image Content-based Alignment"),
    "marker": ("125022", "Fiducial Alignment"),
}
"""Code values of DCM, context group 7100 (PS3.16)."""
CODING_SCHEME = ("DCM", "01")


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
    sub_type: str = ""

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
    drrs: Sequence[Dataset] = (),
    settings: ObjectSettings = DEFAULT_SETTINGS,
) -> Dataset:
    """A match of verification images as Spatial Registration.

    Parameters
    ----------
    match : Match
    table_top : TableTopPosition
        Where the table top was when the images were taken.
    images : sequence of Dataset
        The acquired images of the match, as built for export: the CT Images of a 3D/3D match, else RT Images.
    context : ExportContext
    ct : CtReference, optional
        The planning CT; its slices are then referenced, as archives need to find the series that belongs to the
        planning frame of reference.
    drrs : sequence of Dataset, optional
        For a 2D/2D match: the radiographs reconstructed from the acquired CT. Their frame of reference is then the
        moving one, and they are referenced instead of ``ct``.

    Raises
    ------
    SeveralFramesOfReference
        When the images are not in the verification frame, or the radiographs do not share one frame.
    WrongObject
        When a 3D/3D match comes with other images than CT, or another match with CT.
    CharactersNotWritable
    """
    _require_images(match.kind, images, context)
    verification_from_planning = context.verification.verification_from_planning(match.found, table_top)
    dataset = _new_registration(match.kind, context, series, instance_number, created_at, settings)
    moving_uid = _frame_of(drrs) if drrs else context.plan.frame_of_reference_uid
    moving = [_reference_to(one) for one in drrs]
    if not drrs and ct is not None:
        moving = [reference(CT_IMAGE, uid) for uid in ct.sop_instance_uids]
    own = _item(
        context.verification.frame_of_reference_uid,
        np.eye(4),
        match.kind,
        [_reference_to(image) for image in images],
        settings,
    )
    moved = _item(moving_uid, verification_from_planning.matrix, match.kind, moving, settings)
    dataset.RegistrationSequence = [own, moved] if settings.ihe_ro_registration else [moved]
    _add_common_instance_reference(dataset, [*images, *drrs], None if drrs else ct)
    return declare_characters(dataset, settings)


def _require_images(kind: str, images: Sequence[Dataset], context: ExportContext) -> None:
    sop_class = CT_IMAGE if kind == "3D/3D" else RT_IMAGE
    for image in images:
        require_sop_class(image, sop_class)
    frames = {str(image.FrameOfReferenceUID) for image in images}
    if frames - {context.verification.frame_of_reference_uid}:
        raise SeveralFramesOfReference(
            f"the images of the {kind} match are in the frame of reference {', '.join(sorted(frames))}, the session's "
            f"is {context.verification.frame_of_reference_uid}",
            hint="Build the images with the verification frame of the session.",
        )


def _frame_of(images: Sequence[Dataset]) -> str:
    frames = {str(image.FrameOfReferenceUID) for image in images}
    if len(frames) > 1:
        raise SeveralFramesOfReference(
            f"the reconstructed radiographs of the match use {len(frames)} frames of reference",
            hint="Reconstruct all radiographs of one match from one CT.",
        )
    return frames.pop()


def _new_registration(
    kind: str,
    context: ExportContext,
    series: Series,
    instance_number: int,
    created_at: datetime,
    settings: ObjectSettings,
) -> Dataset:
    plan = context.plan
    dataset = new_dataset(
        SPATIAL_REGISTRATION,
        modality="REG",
        patient=plan.patient,
        study=plan.study,
        series=series,
        created_at=created_at,
        settings=settings,
    )
    dataset.SeriesDate, dataset.SeriesTime = date_time(created_at)
    dataset.ContentDate, dataset.ContentTime = date_time(created_at)
    dataset.OperatorsName = context.operator
    dataset.FrameOfReferenceUID = UID(context.verification.frame_of_reference_uid)
    dataset.PositionReferenceIndicator = ""
    dataset.PatientPosition = context.verification.patient_position.value
    dataset.Laterality = ""
    dataset.InstanceNumber = instance_number
    dataset.ContentLabel = LABELS[kind]
    dataset.ContentDescription = f"{kind} match, plan {plan.label}"[:64]
    dataset.ContentCreatorName = ""
    return dataset


def _reference_to(image: Dataset) -> Dataset:
    return reference(str(image.SOPClassUID), str(image.SOPInstanceUID))


def _item(
    frame_of_reference_uid: str, matrix: Array, kind: str, references: list[Dataset], settings: ObjectSettings
) -> Dataset:
    transformation = Dataset()
    transformation.FrameOfReferenceTransformationMatrix = decimals(matrix)
    transformation.FrameOfReferenceTransformationMatrixType = "RIGID"
    code = Dataset()
    code.CodeValue, code.CodeMeaning = REGISTRATION_TYPE_CODES[kind]
    code.CodingSchemeDesignator, code.CodingSchemeVersion = CODING_SCHEME
    registration = Dataset()
    registration.MatrixSequence = [transformation]
    registration.RegistrationTypeCodeSequence = [code]
    add_private(registration, settings.creators.group_3275, PRIVATE_GROUP, 0x00, "LO", SUB_TYPES[kind])
    item = Dataset()
    item.FrameOfReferenceUID = UID(frame_of_reference_uid)
    if references:
        item.ReferencedImageSequence = references
    item.MatrixRegistrationSequence = [registration]
    return item


def _add_common_instance_reference(dataset: Dataset, images: Sequence[Dataset], ct: CtReference | None) -> None:
    by_series: dict[tuple[str, str], list[str]] = {}
    for image in images:
        key = (str(image.SeriesInstanceUID), str(image.SOPClassUID))
        by_series.setdefault(key, []).append(str(image.SOPInstanceUID))
    own_study = [referenced_series(series_uid, kind, uids) for (series_uid, kind), uids in by_series.items()]
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


def read_spatial_registration(dataset: Dataset, settings: ObjectSettings = DEFAULT_SETTINGS) -> ReadRegistration:
    """All items of a Spatial Registration.

    Raises
    ------
    WrongObject, MissingAttribute, InvalidAttribute
    """
    require_sop_class(dataset, SPATIAL_REGISTRATION)
    where = label_of(dataset)
    require_type_1(dataset, ("FrameOfReferenceUID", "RegistrationSequence"), where)
    found = []
    sub_type = ""
    for item in items(dataset, "RegistrationSequence"):
        require_type_1(item, ("MatrixRegistrationSequence",), where)
        registration = items(item, "MatrixRegistrationSequence")[0]
        sub_type = private_text(registration, settings.creators.group_3275, PRIVATE_GROUP, 0x00) or sub_type
        found.append(
            RegistrationItem(
                text(item, "FrameOfReferenceUID"),
                _only_matrix(registration, where),
                tuple(text(one, "ReferencedSOPInstanceUID") for one in items(item, "ReferencedImageSequence")),
            )
        )
    return ReadRegistration(str(dataset.FrameOfReferenceUID), tuple(found), sub_type)


def _only_matrix(registration: Dataset, where: str) -> Array:
    steps = items(registration, "MatrixSequence")
    if len(steps) != 1:
        raise InvalidAttribute(
            f"{where}: Matrix Sequence (0070,030A) has {len(steps)} items; only one matrix per item is read",
            hint="Export the registration with its matrices combined into one.",
        )
    return vector(steps[0], "FrameOfReferenceTransformationMatrix", 16, where).reshape(4, 4)


def verification_from_planning(dataset: Dataset, planning_frame_uid: str) -> Pose[DicomPatient, DicomPatient]:
    """The map from the planning frame to the verification frame that a registration states."""
    matrix = read_spatial_registration(dataset).matrix_from(planning_frame_uid)
    return Pose.from_matrix(DicomPatient, DicomPatient, matrix)
