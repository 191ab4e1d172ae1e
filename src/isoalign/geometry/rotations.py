"""Elementary rotations and the table's Z-X-Y angles.

Active right-handed matrices that act on column vectors. Angles in degrees.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from transforms3d.euler import euler2mat
from transforms3d.quaternions import mat2quat

from isoalign.geometry.errors import SingularPosition
from isoalign.geometry.pose import Array

SINGULAR_PITCH_DEG = 85.0


def rotation_x(angle_deg: float) -> Array:
    """Rotation about +X, shape (3, 3)."""
    c, s = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
    return np.array([[1.0, 0.0, 0.0], [0.0, c, -s], [0.0, s, c]])


def rotation_y(angle_deg: float) -> Array:
    """Rotation about +Y, shape (3, 3)."""
    c, s = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
    return np.array([[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]])


def rotation_z(angle_deg: float) -> Array:
    """Rotation about +Z, shape (3, 3)."""
    c, s = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


def gantry_rotation(gantry_angle_deg: float, gantry_pitch_deg: float = 0.0) -> Array:
    """Rotation of a gantry in the fixed frame, Ry(gantry angle) @ Rx(gantry pitch), shape (3, 3).

    The pitch turns about Xg, an axis that the gantry angle has already turned, so it stands on the gantry's side of the
    product. The standard gives both axes and senses, not the order; this one follows from the wording of
    the code "IEC61217 Gantry Continuous Pitch Angle" (about the X-axis of the gantry system), and it is the only one
    in which a C-arm's primary and secondary angle are a gantry angle and a pitch at every angulation. Systems that
    tilt the whole ring about a fixed axis need the other order; the two agree only where one angle is zero.

    Source: IEC 61217 clauses 2.3 and 3.4; DICOM PS3.3 C.8.8.25.6.5; PS3.16 CID 9402 (126810).
    """
    return np.asarray(rotation_y(gantry_angle_deg) @ rotation_x(gantry_pitch_deg))


@dataclass(frozen=True, slots=True)
class TableAngles:
    """Patient support angle, pitch and roll, in the order of IEC 61217: Rz(psa) Rx(pitch) Ry(roll)."""

    patient_support_angle_deg: float
    pitch_deg: float
    roll_deg: float


def rotation_from_table_angles(angles: TableAngles) -> Array:
    """Rz(patient support angle) @ Rx(pitch) @ Ry(roll), shape (3, 3).

    Source: IEC 61217 by way of DICOM PS3.3 C.8.8.14.12 ("Pitch applied before Roll"); the order is confirmed by
    device-made matrices.
    """
    return np.asarray(
        euler2mat(
            math.radians(angles.patient_support_angle_deg),
            math.radians(angles.pitch_deg),
            math.radians(angles.roll_deg),
            axes="rzxy",
        )
    )


def table_angles_from_rotation(rotation: Array, *, held_patient_support_angle_deg: float | None = None) -> TableAngles:
    """Decompose a rotation into table angles (inverse of :func:`rotation_from_table_angles`).

    Parameters
    ----------
    rotation : ndarray, shape (3, 3)
    held_patient_support_angle_deg : float, optional
        Used when the pitch exceeds +-85 degrees, where roll and patient support angle trade against each other.

    Raises
    ------
    SingularPosition
        Near the singularity when no angle is held.
    """
    pitch_deg = math.degrees(math.atan2(rotation[2, 1], math.hypot(rotation[2, 0], rotation[2, 2])))
    if abs(pitch_deg) <= SINGULAR_PITCH_DEG:
        return TableAngles(
            patient_support_angle_deg=math.degrees(math.atan2(-rotation[0, 1], rotation[1, 1])),
            pitch_deg=pitch_deg,
            roll_deg=math.degrees(math.atan2(-rotation[2, 0], rotation[2, 2])),
        )
    if held_patient_support_angle_deg is None:
        raise SingularPosition(f"pitch {pitch_deg:.3f} deg is beyond +-{SINGULAR_PITCH_DEG:g} deg", pitch_deg=pitch_deg)
    rest = rotation_x(pitch_deg).T @ rotation_z(held_patient_support_angle_deg).T @ rotation
    return TableAngles(
        patient_support_angle_deg=held_patient_support_angle_deg,
        pitch_deg=pitch_deg,
        roll_deg=math.degrees(math.atan2(rest[0, 2], rest[0, 0])),
    )


def rotation_vector_deg(rotation: Array) -> Array:
    """Axis times angle, degrees, shape (3,); exact to rounding from the smallest angles to 180 degrees."""
    # by way of the quaternion: an axis from eigenvectors is arbitrary where all eigenvalues are close to one
    quaternion = np.asarray(mat2quat(rotation), dtype=np.float64)
    cosine, vector = float(quaternion[0]), quaternion[1:]
    sine = float(np.linalg.norm(vector))
    scale = 2.0 if sine == 0.0 else 2.0 * math.atan2(sine, cosine) / sine
    return np.asarray(np.rad2deg(scale * vector))


def rotation_angle_deg(rotation: npt.NDArray[np.float64]) -> float:
    """The angle of a rotation, degrees, 0 to 180."""
    return float(np.linalg.norm(rotation_vector_deg(rotation)))


def nearest_equivalent_deg(angle_deg: float, reference_deg: float) -> float:
    """The angle equal to ``angle_deg`` modulo 360 that lies nearest to ``reference_deg``; keeps angles continuous."""
    return reference_deg + math.remainder(angle_deg - reference_deg, 360.0)


def display_angle_deg(angle_deg: float) -> float:
    """The angle wrapped to [0, 360), for display only."""
    return float(unipolar_deg(angle_deg))


def unipolar_deg(angles_deg: npt.ArrayLike) -> Array:
    """Angles (any shape) wrapped to [0, 360), for display and for scales that wrap."""
    wrapped = np.mod(np.asarray(angles_deg, dtype=np.float64), 360.0)
    # a tiny negative angle rounds up to 360 itself
    return np.asarray(np.where(wrapped >= 360.0, 0.0, wrapped))
