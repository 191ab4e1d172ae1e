"""Table-top positions, always tagged by their representation, and the conversion between representations.

In IEC 61217 the translations are those of the table-top origin along the axes of the patient support, and pitch
and roll turn about that origin. In the "Isocentric Standard" representation pitch and roll turn about the isocentre
and the translations are measured along the tilted axes. Angles are the same in both.

With R = Rx(pitch) Ry(roll):  x_f = Rz(psa) (T_iec + R x_t) = Rz(psa) R (T_iso + x_t),  so T_iso = R^T T_iec.

Source: conversion appendix of a vendor's proton imaging conformance statement; IEC 61217 by way of DICOM
PS3.3 C.8.8.14.12. Valid for a table top without an eccentric stage (eccentric distance and angle zero).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

import numpy as np
import numpy.typing as npt

from isoalign.geometry.errors import InvalidGeometry, RepresentationMismatch
from isoalign.geometry.frames import Fixed, PatientSupport, TableTop
from isoalign.geometry.pose import Array, Pose
from isoalign.geometry.rotations import (
    TableAngles,
    nearest_equivalent_deg,
    rotation_from_table_angles,
    rotation_x,
    rotation_y,
    rotation_z,
    table_angles_from_rotation,
)


class Representation(Enum):
    """How the three translations of a table-top position are meant."""

    IEC_61217 = "IEC 61217"
    ISOCENTRIC_STANDARD = "Isocentric Standard"


AXES = ("lateral", "longitudinal", "vertical", "pitch", "roll", "patient_support_angle")
"""The six axes in the order used by every table and array of this package."""


@dataclass(frozen=True, slots=True)
class TableTopPosition:
    """The six numbers of a table-top position and what they mean.

    Lateral, longitudinal and vertical are along +X, +Y and +Z (mm); angles are right-handed (degrees) and continuous,
    never wrapped.
    """

    representation: Representation
    lateral_mm: float
    longitudinal_mm: float
    vertical_mm: float
    pitch_deg: float = 0.0
    roll_deg: float = 0.0
    patient_support_angle_deg: float = 0.0

    def __post_init__(self) -> None:
        if not isinstance(self.representation, Representation):
            raise InvalidGeometry(f"representation must be a Representation, not {self.representation!r}")
        for axis, value in zip(AXES, self.values, strict=True):
            if not math.isfinite(value):
                raise InvalidGeometry(f"table top {axis} is {value}", axis=axis)

    @property
    def values(self) -> tuple[float, float, float, float, float, float]:
        """Lateral, longitudinal, vertical (mm), pitch, roll, patient support angle (degrees)."""
        return (
            self.lateral_mm,
            self.longitudinal_mm,
            self.vertical_mm,
            self.pitch_deg,
            self.roll_deg,
            self.patient_support_angle_deg,
        )

    @classmethod
    def from_values(cls, representation: Representation, values: npt.ArrayLike) -> TableTopPosition:
        """The position of six numbers in the order of :attr:`values`."""
        six = [float(value) for value in np.asarray(values, dtype=np.float64).ravel()]
        if len(six) != 6:
            raise InvalidGeometry(f"a table-top position has six values, not {len(six)}")
        return cls(representation, *six)

    @property
    def angles(self) -> TableAngles:
        """The three angles."""
        return TableAngles(self.patient_support_angle_deg, self.pitch_deg, self.roll_deg)

    @property
    def translation_mm(self) -> Array:
        """Lateral, longitudinal, vertical, shape (3,)."""
        return np.array([self.lateral_mm, self.longitudinal_mm, self.vertical_mm])

    def in_representation(self, representation: Representation) -> TableTopPosition:
        """The same position in another representation."""
        if representation is self.representation:
            return self
        convert = iec_to_isocentric if representation is Representation.ISOCENTRIC_STANDARD else isocentric_to_iec
        lateral, longitudinal, vertical = convert(
            self.lateral_mm, self.longitudinal_mm, self.vertical_mm, self.pitch_deg, self.roll_deg
        )
        return TableTopPosition(
            representation,
            float(lateral),
            float(longitudinal),
            float(vertical),
            self.pitch_deg,
            self.roll_deg,
            self.patient_support_angle_deg,
        )


def _tilt_terms(pitch_deg: npt.ArrayLike, roll_deg: npt.ArrayLike) -> tuple[Array, Array, Array, Array]:
    pitch = np.deg2rad(np.asarray(pitch_deg, dtype=np.float64))
    roll = np.deg2rad(np.asarray(roll_deg, dtype=np.float64))
    return np.cos(pitch), np.sin(pitch), np.cos(roll), np.sin(roll)


def iec_to_isocentric(
    lateral_mm: npt.ArrayLike,
    longitudinal_mm: npt.ArrayLike,
    vertical_mm: npt.ArrayLike,
    pitch_deg: npt.ArrayLike,
    roll_deg: npt.ArrayLike,
) -> tuple[Array, Array, Array]:
    """Translations from IEC 61217 to Isocentric Standard, T_iso = Ry(roll)^T Rx(pitch)^T T_iec.

    All arguments broadcast; returns lateral, longitudinal and vertical, mm.
    """
    cp, sp, cr, sr = _tilt_terms(pitch_deg, roll_deg)
    lat, lng, vrt = (np.asarray(a, dtype=np.float64) for a in (lateral_mm, longitudinal_mm, vertical_mm))
    along = cp * vrt - sp * lng
    return cr * lat - sr * along, cp * lng + sp * vrt, sr * lat + cr * along


def isocentric_to_iec(
    lateral_mm: npt.ArrayLike,
    longitudinal_mm: npt.ArrayLike,
    vertical_mm: npt.ArrayLike,
    pitch_deg: npt.ArrayLike,
    roll_deg: npt.ArrayLike,
) -> tuple[Array, Array, Array]:
    """Translations from Isocentric Standard to IEC 61217, T_iec = Rx(pitch) Ry(roll) T_iso.

    The inverse of :func:`iec_to_isocentric`.
    """
    cp, sp, cr, sr = _tilt_terms(pitch_deg, roll_deg)
    lat, lng, vrt = (np.asarray(a, dtype=np.float64) for a in (lateral_mm, longitudinal_mm, vertical_mm))
    along = cr * vrt - sr * lat
    return cr * lat + sr * vrt, cp * lng - sp * along, sp * lng + cp * along


def fixed_from_support(patient_support_angle_deg: float) -> Pose[Fixed, PatientSupport]:
    """Rz(psa): counter-clockwise seen from above. Source: IEC 61217 clause 3.8."""
    return Pose(Fixed, PatientSupport, rotation_z(patient_support_angle_deg))


def support_from_table(position: TableTopPosition) -> Pose[PatientSupport, TableTop]:
    """T(lateral, longitudinal, vertical) Rx(pitch) Ry(roll). Source: IEC 61217 clause 3.10, DICOM PS3.3 C.8.8.14.12.

    Raises
    ------
    RepresentationMismatch
        When the position is not in IEC 61217.
    """
    if position.representation is not Representation.IEC_61217:
        raise RepresentationMismatch(
            f"this needs a position in IEC 61217, not in {position.representation.value}",
        )
    return Pose(
        PatientSupport,
        TableTop,
        rotation_x(position.pitch_deg) @ rotation_y(position.roll_deg),
        position.translation_mm,
    )


def fixed_from_table(position: TableTopPosition) -> Pose[Fixed, TableTop]:
    """Where the table top is in the room, for a position in either representation."""
    iec = position.in_representation(Representation.IEC_61217)
    return fixed_from_support(iec.patient_support_angle_deg) @ support_from_table(iec)


def table_top_position(pose: Pose[Fixed, TableTop], *, near: TableTopPosition | None = None) -> TableTopPosition:
    """The IEC 61217 position of a pose (inverse of :func:`fixed_from_table`).

    Parameters
    ----------
    pose : Pose[Fixed, TableTop]
    near : TableTopPosition, optional
        Angles are given as the equivalents nearest to this position's, and its patient support angle is held at
        the singularity.

    Raises
    ------
    SingularPosition
    """
    held = None if near is None else near.patient_support_angle_deg
    angles = table_angles_from_rotation(pose.rotation, held_patient_support_angle_deg=held)
    psa, pitch, roll = angles.patient_support_angle_deg, angles.pitch_deg, angles.roll_deg
    if near is not None:
        psa = nearest_equivalent_deg(psa, near.patient_support_angle_deg)
        pitch = nearest_equivalent_deg(pitch, near.pitch_deg)
        roll = nearest_equivalent_deg(roll, near.roll_deg)
    lateral, longitudinal, vertical = rotation_z(psa).T @ pose.translation_mm
    return TableTopPosition(
        Representation.IEC_61217, float(lateral), float(longitudinal), float(vertical), pitch, roll, psa
    )


def rotation_of(position: TableTopPosition) -> Array:
    """Rz(psa) Rx(pitch) Ry(roll) of a position, shape (3, 3)."""
    return rotation_from_table_angles(position.angles)
