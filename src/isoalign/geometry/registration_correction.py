"""From a registration in DICOM patient space to a move of the couch, for every patient position and couch angle.

A registration joins the frame of reference of the planning CT with that of the images of the day. Files differ in which
way their matrix leads; it has to be said. With the place of the frame of the day in the room,

    fixed_from_planning (actual)  = fixed_from_verification @ verification_from_planning
    set-up error                  = actual @ planned^-1
    correction                    = set-up error^-1, about the isocentre

and the couch goes where the correction takes the table top.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
import numpy.typing as npt

from isoalign.geometry.corrections import RigidResidual, apply_correction, residual_of
from isoalign.geometry.errors import FrameMismatch, InvalidGeometry
from isoalign.geometry.frames import DicomPatient, Fixed
from isoalign.geometry.notebook import html_table
from isoalign.geometry.patient_position import (
    PatientPosition,
    fixed_rotation_from_dicom,
    planned_fixed_from_dicom,
)
from isoalign.geometry.pose import Pose, nearest_rotation
from isoalign.geometry.rotations import TableAngles, rotation_from_table_angles
from isoalign.geometry.table_top import AXES, UNITS, Representation, TableTopPosition

NO_ANGLES = TableAngles(0.0, 0.0, 0.0)


class MatrixDirection(Enum):
    """Which way a registration matrix leads.

    DICOM: from an item's frame of reference into the registration's own (PS3.3 C.20.2.1.1).
    """

    VERIFICATION_FROM_PLANNING = "planning to verification"
    PLANNING_FROM_VERIFICATION = "verification to planning"


def registration_from_matrix(
    matrix: npt.ArrayLike, direction: MatrixDirection, *, max_distance: float = 1e-3
) -> tuple[Pose[DicomPatient, DicomPatient], float]:
    """The map from the planning frame to the verification frame that a (4, 4) matrix states.

    Parameters
    ----------
    matrix : array_like, shape (4, 4)
        Row-major, mm. Rounded matrices are projected to the nearest rotation.
    direction : MatrixDirection
    max_distance : float
        Largest accepted distance of the rotation from a true one (Frobenius norm).

    Returns
    -------
    verification_from_planning : Pose[DicomPatient, DicomPatient]
    distance : float
        How far the matrix was from a rotation.

    Raises
    ------
    InvalidGeometry, NotARotation
    """
    full = np.asarray(matrix, dtype=np.float64)
    if full.shape != (4, 4) or not np.isfinite(full).all() or not np.allclose(full[3], (0, 0, 0, 1), rtol=0, atol=1e-9):
        raise InvalidGeometry("a registration is a finite (4, 4) matrix with the last row 0 0 0 1")
    rotation, distance = nearest_rotation(full[:3, :3], max_distance=max_distance)
    pose = Pose(DicomPatient, DicomPatient, rotation, full[:3, 3])
    return (pose if direction is MatrixDirection.VERIFICATION_FROM_PLANNING else pose.inverse()), distance


def planned_fixed_from_dicom_at(
    position: PatientPosition, isocentre_mm: npt.ArrayLike, angles: TableAngles
) -> Pose[Fixed, DicomPatient]:
    """Where the patient should be at the couch angles of a beam: turned with the table top about the isocentre."""
    turned = Pose(Fixed, Fixed, rotation_from_table_angles(angles))
    return turned @ planned_fixed_from_dicom(position, isocentre_mm)


def fixed_from_verification(
    position: PatientPosition,
    isocentre_mm: npt.ArrayLike,
    angles: TableAngles = NO_ANGLES,
) -> Pose[Fixed, DicomPatient]:
    """Where the frame of reference of the images of the day lies in the room.

    Parameters
    ----------
    position : PatientPosition
        Of the images.
    isocentre_mm : array_like, shape (3,)
        The machine isocentre in the frame of the images, mm: Isocenter Position (300A,012C) of an RT Image, zero for
        many cone-beam CTs.
    angles : TableAngles
        Those by which the frame is turned: the table's own where the axes of the frame go with the table top (ours do,
        and a vendor's cone-beam CT), zero where they stay in the room.
    """
    rotation = rotation_from_table_angles(angles) @ fixed_rotation_from_dicom(position)
    isocentre = np.asarray(isocentre_mm, dtype=np.float64)
    if isocentre.shape != (3,) or not np.isfinite(isocentre).all():
        raise InvalidGeometry("an isocentre is three finite coordinates in mm")
    return Pose(Fixed, DicomPatient, rotation, -rotation @ isocentre)


@dataclass(frozen=True, slots=True)
class CouchMove:
    """Where the couch has to go.

    Attributes
    ----------
    start, target : TableTopPosition
        IEC 61217; the target's angles are continuous with those of the start.
    error : RigidResidual
        The set-up error that the move corrects.
    correction : Pose[Fixed, Fixed]
        Its inverse, about the isocentre.
    """

    start: TableTopPosition
    target: TableTopPosition
    error: RigidResidual
    correction: Pose[Fixed, Fixed]

    def _repr_html_(self) -> str:
        rows = [
            (axis.replace("_", " "), f"{start:+.3f}", f"{target - start:+.3f}", f"{target:+.3f}", unit)
            for axis, start, target, unit in zip(AXES, self.start.values, self.target.values, UNITS, strict=True)
        ]
        return html_table("couch move, IEC 61217", ("axis", "start", "shift", "target", "unit"), rows)


def couch_move(
    verification_from_planning: Pose[DicomPatient, DicomPatient],
    fixed_from_verification: Pose[Fixed, DicomPatient],
    planned: Pose[Fixed, DicomPatient],
    table_top: TableTopPosition,
) -> CouchMove:
    """The move that takes a patient found by a registration to where the plan wants the patient.

    Parameters
    ----------
    verification_from_planning : Pose[DicomPatient, DicomPatient]
    fixed_from_verification : Pose[Fixed, DicomPatient]
        Where the frame of the images was in the room; see :func:`fixed_from_verification`.
    planned : Pose[Fixed, DicomPatient]
        Where the planning frame should be; see :func:`planned_fixed_from_dicom_at`.
    table_top : TableTopPosition
        Where the table top was when the images were taken, in any representation.

    Raises
    ------
    FrameMismatch, SingularPosition
    """
    if planned.dst is not Fixed or planned.src is not DicomPatient:
        raise FrameMismatch("the planned pose must map the DICOM patient frame to the fixed frame")
    actual = fixed_from_verification @ verification_from_planning
    error = actual @ planned.inverse()
    correction = error.inverse()
    start = table_top.in_representation(Representation.IEC_61217)
    return CouchMove(start, apply_correction(start, correction), residual_of(error), correction)
