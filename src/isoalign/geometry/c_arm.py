"""C-arm angles of X-ray angiography, and the gantry angle and pitch of IEC 61217.

Positioner Primary Angle (0018,1510) and Positioner Secondary Angle (0018,1511) say where the **detector** is, seen from
the **patient**: both zero, it faces the chest; primary +90 is the patient's left (LAO), secondary +90 the head
(cranial). A gantry angle says where the **source** is, seen from the **room**. The two differ by a turn of 180 degrees
and by the patient position. In the DICOM patient frame

    detector direction = (sin P cos S, -cos P cos S, sin S),   source direction = -detector direction,

and in the fixed frame, with gantry angle g and pitch p,

    source direction = Ry(g) Rx(p) (0, 0, 1) = (cos p sin g, -sin p, cos p cos g).

For a head-first supine patient this makes g = 180 + P and p = S, exactly and at every angulation. Other patient
positions mix the two angles; they are converted by way of the direction. In-plane rotation of the detector is not part
of these angles. Digital X-ray images (DX) give angles of the same names and signs but describe the X-ray **beam**: do
not convert those here.

Source: DICOM PS3.3 C.8.7.5.1.2 (angles), C.8.7.5 (image intensifier), C.8.11 (beam); IEC 61217 clauses 2.3, 3.4.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from isoalign.geometry.errors import InvalidGeometry
from isoalign.geometry.frames import DicomPatient, Fixed
from isoalign.geometry.imaging_errors import AnglesUndetermined
from isoalign.geometry.patient_position import PatientPosition, fixed_rotation_from_dicom
from isoalign.geometry.pose import Array, Pose
from isoalign.geometry.projection import require_patient_pose
from isoalign.geometry.rotations import gantry_rotation, nearest_equivalent_deg

POLE_SINE = 1e-9


@dataclass(frozen=True, slots=True)
class CArmAngles:
    """Where the detector of a C-arm is, with respect to the patient.

    Attributes
    ----------
    primary_deg : float
        Positioner Primary Angle (0018,1510), + towards the patient's left; continuous (the standard stores +-180).
    secondary_deg : float
        Positioner Secondary Angle (0018,1511), + towards the head, within +-90.

    Raises
    ------
    InvalidGeometry
    """

    primary_deg: float
    secondary_deg: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.primary_deg) and abs(self.secondary_deg) <= 90.0):
            raise InvalidGeometry(
                f"positioner angles {self.primary_deg}, {self.secondary_deg} deg: the secondary angle lies within +-90"
            )

    @property
    def detector_direction(self) -> Array:
        """Unit vector from the isocentre to the detector in the DICOM patient frame, shape (3,)."""
        p, s = math.radians(self.primary_deg), math.radians(self.secondary_deg)
        return np.array([math.sin(p) * math.cos(s), -math.cos(p) * math.cos(s), math.sin(s)])

    @property
    def source_direction(self) -> Array:
        """Unit vector from the isocentre to the X-ray source in the DICOM patient frame, shape (3,)."""
        return -self.detector_direction

    @classmethod
    def of_detector(cls, direction: npt.ArrayLike, *, held_primary_deg: float | None = None) -> CArmAngles:
        """The angles of a detector direction.

        Parameters
        ----------
        direction : array_like, shape (3,)
            From the isocentre to the detector in the DICOM patient frame; any length but zero.
        held_primary_deg : float, optional
            Chooses among primary angles equal modulo 360, and is the primary angle itself where the detector is
            straight above the head or below the feet.

        Raises
        ------
        AnglesUndetermined
            At secondary +-90 degrees when no primary angle is held.
        """
        x, y, z = _unit(direction)
        primary = _outer_angle(x, -y, z, "primary", held_primary_deg)
        return cls(primary, math.degrees(math.atan2(z, math.hypot(x, y))))


@dataclass(frozen=True, slots=True)
class GantryDirection:
    """Where the X-ray source is, with respect to the room.

    Attributes
    ----------
    gantry_angle_deg : float
        IEC 61217 gantry angle, continuous.
    gantry_pitch_deg : float
        Gantry Pitch Angle (300A,014A) after the gantry angle, see
        :func:`~isoalign.geometry.rotations.gantry_rotation`.
    """

    gantry_angle_deg: float
    gantry_pitch_deg: float = 0.0

    @property
    def source_direction(self) -> Array:
        """Unit vector from the isocentre to the X-ray source in the fixed frame, shape (3,)."""
        return gantry_rotation(self.gantry_angle_deg, self.gantry_pitch_deg)[:, 2]

    @classmethod
    def of_source(cls, direction: npt.ArrayLike, *, held_gantry_angle_deg: float | None = None) -> GantryDirection:
        """The angles of a source direction, pitch within +-90.

        Parameters
        ----------
        direction : array_like, shape (3,)
            From the isocentre to the source in the fixed frame; any length but zero.
        held_gantry_angle_deg : float, optional
            Chooses among gantry angles equal modulo 360, and is the gantry angle itself at pitch +-90.

        Raises
        ------
        AnglesUndetermined
            At pitch +-90 degrees when no gantry angle is held.
        """
        x, y, z = _unit(direction)
        gantry = _outer_angle(x, z, -y, "gantry", held_gantry_angle_deg)
        return cls(gantry, math.degrees(math.atan2(-y, math.hypot(x, z))))


def gantry_from_c_arm(
    angles: CArmAngles,
    patient: PatientPosition | Pose[Fixed, DicomPatient],
    *,
    held_gantry_angle_deg: float | None = None,
) -> GantryDirection:
    """Gantry angle and pitch at which a source looks at the patient as a C-arm does.

    Parameters
    ----------
    angles : CArmAngles
    patient : PatientPosition or Pose[Fixed, DicomPatient]
        How the patient lies: a term, with all couch angles zero, or the full pose. The Patient Position (0018,5100) of
        a CT series is for annotation only; that of the plan or of the RT Image is meant.
    held_gantry_angle_deg : float, optional
        See :meth:`GantryDirection.of_source`.

    Raises
    ------
    AnglesUndetermined, FrameMismatch
    """
    direction = _fixed_rotation(patient) @ angles.source_direction
    return GantryDirection.of_source(direction, held_gantry_angle_deg=held_gantry_angle_deg)


def c_arm_from_gantry(
    gantry: GantryDirection,
    patient: PatientPosition | Pose[Fixed, DicomPatient],
    *,
    held_primary_deg: float | None = None,
) -> CArmAngles:
    """Positioner angles of a C-arm that looks at the patient as the gantry does (inverse of :func:`gantry_from_c_arm`).

    Raises
    ------
    AnglesUndetermined, FrameMismatch
    """
    direction = -_fixed_rotation(patient).T @ gantry.source_direction
    return CArmAngles.of_detector(direction, held_primary_deg=held_primary_deg)


def _fixed_rotation(patient: PatientPosition | Pose[Fixed, DicomPatient]) -> Array:
    if isinstance(patient, PatientPosition):
        return fixed_rotation_from_dicom(patient)
    return require_patient_pose(patient).rotation


def _unit(direction: npt.ArrayLike) -> tuple[float, float, float]:
    vector = np.asarray(direction, dtype=np.float64)
    if vector.shape != (3,) or not np.isfinite(vector).all() or not np.any(vector):
        raise InvalidGeometry("a direction is a vector of three finite elements that are not all zero")
    x, y, z = vector / np.linalg.norm(vector)
    return float(x), float(y), float(z)


def _outer_angle(sine: float, cosine: float, along: float, name: str, held_deg: float | None) -> float:
    """The angle about the outer axis, degrees; ``along`` is the element of the direction along that axis."""
    if math.hypot(sine, cosine) > POLE_SINE:
        angle = math.degrees(math.atan2(sine, cosine))
        return angle if held_deg is None else nearest_equivalent_deg(angle, held_deg)
    if held_deg is None:
        raise AnglesUndetermined(
            f"the direction lies on the axis of the {name} angle ({along:+.0f}), which is then undetermined"
        )
    return held_deg
