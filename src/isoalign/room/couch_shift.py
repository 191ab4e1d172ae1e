"""From a Spatial Registration and an RT Ion Plan, both files, to the move of the couch.

The registration joins the plan's frame of reference with that of the images of the day; the plan says where its
isocentre is, how the patient lies and at which table angles the beam is given. What no file tells has to be said: where
the table top was, where the machine isocentre lies in the frame of the images, and whether that frame turns with the
table top.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

import numpy as np

from isoalign.dicom.objects import Dataset, read_file, read_plan, read_spatial_registration
from isoalign.dicom.objects.attributes import items, text
from isoalign.geometry import (
    CouchMove,
    DicomPatient,
    InvalidGeometry,
    LimitedCorrection,
    MatrixDirection,
    NotARotation,
    PatientPosition,
    Pose,
    Representation,
    TableAngles,
    TableTopPosition,
    TravelLimits,
    couch_move,
    fixed_from_verification,
    limit_and_recentre,
    nearest_equivalent_deg,
    planned_fixed_from_dicom_at,
    registration_from_matrix,
)
from isoalign.records import Beam, InvalidRecord, Plan
from isoalign.room.errors import BeamUnknown, PatientPositionsDiffer, RegistrationNotUsable, TableTopUnknown

LARGEST_ROTATION_ERROR = 1e-3
"""Farthest that a matrix may be from a rotation (Frobenius norm): six printed digits are much nearer."""
IDENTITY_TOLERANCE = 1e-4
"""Largest element by which the matrix of the registration's own frame may differ from the identity."""
LEVEL = TableAngles(0.0, 0.0, 0.0)


class FrameAxes(Enum):
    """Whether the axes of the frame of the images turn with the table top, or stay in the room."""

    TABLE = "table"
    ROOM = "room"


class MatrixMeaning(Enum):
    """Which way the matrices of a registration lead."""

    DICOM = "dicom"
    """From an item's frame of reference into the registration's own, as the standard says."""
    INVERSE = "inverse"
    """The other way, as some systems write them."""


@dataclass(frozen=True, slots=True)
class CouchShift:
    """The move of the couch, and what it rests on.

    Attributes
    ----------
    plan, beam
        Whose isocentre goes to the machine's.
    move : CouchMove
        Before limits.
    target : TableTopPosition
        Where the couch is to go, IEC 61217; angles continuous with those of the start.
    limited : LimitedCorrection or None
        None where no limits were asked for.
    table_top_from_plan : bool
        The start is the plan's own table position.
    planning_frame_uid, verification_frame_uid : str
        Frames of reference of the plan and of the images.
    rotation_error : float
        How far the matrix was from a rotation.
    """

    plan: Plan
    beam: Beam
    move: CouchMove
    target: TableTopPosition
    limited: LimitedCorrection | None
    table_top_from_plan: bool
    planning_frame_uid: str
    verification_frame_uid: str
    rotation_error: float

    @property
    def start(self) -> TableTopPosition:
        """Where the table top was when the images were taken, IEC 61217."""
        return self.move.start


def find_couch_shift(
    registration: Path,
    plan: Path,
    *,
    table_top: TableTopPosition | None = None,
    beam_number: int | None = None,
    verification_isocentre_mm: tuple[float, float, float] = (0.0, 0.0, 0.0),
    axes: FrameAxes = FrameAxes.TABLE,
    meaning: MatrixMeaning = MatrixMeaning.DICOM,
    limits: TravelLimits | None = None,
) -> CouchShift:
    """The move that a registration asks for.

    Parameters
    ----------
    registration, plan : Path
        DICOM files.
    table_top : TableTopPosition, optional
        Where the table top was when the images were taken; without it, the plan's own table position.
    beam_number : int, optional
        The beam whose isocentre and table angles count; the first one without it.
    verification_isocentre_mm : (float, float, float)
        The machine isocentre in the frame of reference of the images.
    axes : FrameAxes
    meaning : MatrixMeaning
    limits : TravelLimits, optional
        Travel of the couch; angles out of reach are limited and the position is re-centred.

    Raises
    ------
    RegistrationNotUsable, NotARotation, PatientPositionsDiffer, TableTopUnknown, BeamUnknown, OutOfTravel,
    SingularPosition, InputDataError
    """
    loaded = read_plan(read_file(plan))
    beam = _beam(loaded, beam_number, plan)
    joined = _read_join(read_file(registration), registration, loaded, meaning)
    position = loaded.patient_position
    start = (table_top or _planned_table_top(beam, plan)).in_representation(Representation.IEC_61217)
    planned_angles = TableAngles(beam.patient_support_angle_deg, beam.table_top_pitch_deg, beam.table_top_roll_deg)
    move = couch_move(
        joined.verification_from_planning,
        fixed_from_verification(
            position, verification_isocentre_mm, start.angles if axes is FrameAxes.TABLE else LEVEL
        ),
        planned_fixed_from_dicom_at(position, beam.isocentre_mm, planned_angles),
        start,
    )
    limited = None if limits is None else _limited(move.target, limits)
    return CouchShift(
        plan=loaded,
        beam=beam,
        move=move,
        target=move.target if limited is None else limited.target,
        limited=limited,
        table_top_from_plan=table_top is None,
        planning_frame_uid=loaded.frame_of_reference_uid,
        verification_frame_uid=joined.verification_frame_uid,
        rotation_error=joined.rotation_error,
    )


def _beam(plan: Plan, number: int | None, path: Path) -> Beam:
    try:
        return plan.beam(number)
    except InvalidRecord as error:
        known = [beam.number for beam in plan.beams]
        raise BeamUnknown(
            f"{path} has no treatment beam {number}; it has {', '.join(map(str, known))}", beam=number, known=known
        ) from error


def _planned_table_top(beam: Beam, path: Path) -> TableTopPosition:
    """The table position of the plan's control point; empty means relative to an unknown start, never 0."""
    lateral, longitudinal, vertical = (
        beam.table_top_lateral_mm,
        beam.table_top_longitudinal_mm,
        beam.table_top_vertical_mm,
    )
    if lateral is None or longitudinal is None or vertical is None:
        raise TableTopUnknown(
            f"{path}, beam {beam.number} leaves the table-top position empty: where the table top was when the images "
            "were taken is not known",
            beam=beam.number,
        )
    return TableTopPosition(
        Representation.IEC_61217,
        lateral,
        longitudinal,
        vertical,
        beam.table_top_pitch_deg,
        beam.table_top_roll_deg,
        beam.patient_support_angle_deg,
    )


@dataclass(frozen=True, slots=True)
class _Join:
    verification_from_planning: Pose[DicomPatient, DicomPatient]
    verification_frame_uid: str
    rotation_error: float


def _read_join(dataset: Dataset, path: Path, plan: Plan, meaning: MatrixMeaning) -> _Join:
    """The one rigid map between the plan's frame of reference and that of the images."""
    read = read_spatial_registration(dataset)
    _require_rigid(dataset, path)
    _require_same_position(text(dataset, "PatientPosition"), plan.patient_position, path)
    own, planning = read.frame_of_reference_uid, plan.frame_of_reference_uid
    for item in read.items:
        if item.frame_of_reference_uid == own and np.abs(item.matrix - np.eye(4)).max() > IDENTITY_TOLERANCE:
            raise RegistrationNotUsable(
                f"{path}: the item of the registration's own frame of reference {own} has a matrix that is not the "
                "identity: it moves images within one frame",
                frame_of_reference_uid=own,
            )
    # the registration's own frame is that of the images, or of the planning CT: the other one is the item's
    others = [item for item in read.items if item.frame_of_reference_uid != own]
    found = others if own == planning else [one for one in others if one.frame_of_reference_uid == planning]
    if len(found) != 1:
        frames = [item.frame_of_reference_uid for item in read.items]
        what = "no item leads from it" if not found else f"{len(found)} items could be meant"
        raise RegistrationNotUsable(
            f"{path}: the plan's frame of reference is {planning}, but {what}; the registration's own is {own}, its "
            f"items have {', '.join(frames)}",
            planning_frame=planning,
            own_frame=own,
            item_frames=frames,
        )
    item_is_planning = own != planning
    leads_to_own = meaning is MatrixMeaning.DICOM
    direction = (
        MatrixDirection.VERIFICATION_FROM_PLANNING
        if item_is_planning is leads_to_own
        else MatrixDirection.PLANNING_FROM_VERIFICATION
    )
    try:
        pose, distance = registration_from_matrix(found[0].matrix, direction, max_distance=LARGEST_ROTATION_ERROR)
    except (NotARotation, InvalidGeometry) as error:
        raise type(error)(f"{path}: {error.message}", hint=error.hint, file=str(path)) from error
    return _Join(pose, own if item_is_planning else found[0].frame_of_reference_uid, distance)


def _require_rigid(dataset: Dataset, path: Path) -> None:
    for item in items(dataset, "RegistrationSequence"):
        matrices = items(items(item, "MatrixRegistrationSequence")[0], "MatrixSequence")
        kind = text(matrices[0], "FrameOfReferenceTransformationMatrixType")
        if kind.upper() != "RIGID":
            raise RegistrationNotUsable(
                f"{path}: Frame of Reference Transformation Matrix Type (0070,030C) is {kind or 'empty'!r}, "
                "not 'RIGID'; a couch moves rigidly",
                hint="Export a rigid registration.",
                type=kind,
            )


def _require_same_position(stated: str, planned: PatientPosition, path: Path) -> None:
    """A registration need not say how the patient lay; where it does, it must be as planned."""
    if stated and PatientPosition.parse(stated) is not planned:
        raise PatientPositionsDiffer(
            f"{path}: the images were taken in patient position {stated}, the plan is for {planned.value}",
            images=stated,
            plan=planned.value,
        )


def _limited(desired: TableTopPosition, limits: TravelLimits) -> LimitedCorrection:
    """Limit and re-centre; an angle counts by its equivalent nearest to the middle of the travel (350 is -10)."""
    names = ("pitch", "roll", "patient_support_angle")
    middles = [sum(limits.ranges[name]) / 2.0 for name in names]
    wanted = (desired.pitch_deg, desired.roll_deg, desired.patient_support_angle_deg)
    limited = limit_and_recentre(
        _with_angles(desired, *map(nearest_equivalent_deg, wanted, middles)),
        limits,
    )
    reached = (limited.target.pitch_deg, limited.target.roll_deg, limited.target.patient_support_angle_deg)
    return replace(limited, target=_with_angles(limited.target, *map(nearest_equivalent_deg, reached, wanted)))


def _with_angles(
    position: TableTopPosition, pitch_deg: float, roll_deg: float, patient_support_angle_deg: float
) -> TableTopPosition:
    return replace(
        position,
        pitch_deg=pitch_deg,
        roll_deg=roll_deg,
        patient_support_angle_deg=patient_support_angle_deg,
    )
