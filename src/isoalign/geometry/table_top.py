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
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

import numpy as np
import numpy.typing as npt

from isoalign.geometry.errors import InvalidGeometry, RepresentationMismatch
from isoalign.geometry.frames import Fixed, PatientSupport, TableTop
from isoalign.geometry.notebook import html_table
from isoalign.geometry.pose import Array, Dst, Pose
from isoalign.geometry.rotations import (
    TableAngles,
    nearest_equivalent_deg,
    rotation_from_table_angles,
    rotation_x,
    rotation_y,
    rotation_z,
    table_angles_from_rotation,
)

_RADIANS = math.pi / 180.0
_cos, _sin = math.cos, math.sin


class Representation(Enum):
    """How the three translations of a table-top position are meant.

    ``DICOM_CID_9569`` is the isocentric set of DICOM (context group 9569, codes 126812 to 126817) beside its IEC 61217
    set (context group 9403). That it equals "Isocentric Standard" is likely but nowhere stated, so it is converted only
    after :meth:`TableTopPosition.declared_as`.
    """

    IEC_61217 = "IEC 61217"
    ISOCENTRIC_STANDARD = "Isocentric Standard"
    DICOM_CID_9569 = "DICOM CID 9569"


AXES = ("lateral", "longitudinal", "vertical", "pitch", "roll", "patient_support_angle")
"""The six axes in the order used by every table and array of this package."""


LARGEST_MM = 10_000.0
"""No table top is ten metres from the isocentre: such a number has another unit."""
LARGEST_DEG = 36_000.0
"""A hundred turns; angles are continuous, but not without bounds."""
LARGEST = (LARGEST_MM, LARGEST_MM, LARGEST_MM, LARGEST_DEG, LARGEST_DEG, LARGEST_DEG)
"""Bound of each axis of :data:`AXES`."""


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
        # one expression, false for NaN, too: this runs in control loops
        if not (
            -LARGEST_MM < self.lateral_mm < LARGEST_MM
            and -LARGEST_MM < self.longitudinal_mm < LARGEST_MM
            and -LARGEST_MM < self.vertical_mm < LARGEST_MM
            and -LARGEST_DEG < self.pitch_deg < LARGEST_DEG
            and -LARGEST_DEG < self.roll_deg < LARGEST_DEG
            and -LARGEST_DEG < self.patient_support_angle_deg < LARGEST_DEG
        ):
            self._refuse()

    def _refuse(self) -> None:
        for axis, value, largest in zip(AXES, self.values, LARGEST, strict=True):
            if not abs(value) < largest:
                unit = "mm" if largest == LARGEST_MM else "deg"
                raise InvalidGeometry(
                    f"table top {axis} is {value} {unit}; it must lie between -{largest:g} and {largest:g} {unit}",
                    axis=axis,
                )

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

    def require(self, representation: Representation) -> None:
        """Raise RepresentationMismatch unless the position is in this representation."""
        if self.representation is not representation:
            raise RepresentationMismatch(
                f"this needs a position in {representation.value}, not in {self.representation.value}"
            )

    def in_representation(self, representation: Representation) -> TableTopPosition:
        """The same position in another representation.

        Raises
        ------
        RepresentationMismatch
            From or to DICOM CID 9569, which no source relates to the others.
        """
        if representation is self.representation:
            return self
        convert = scalar_conversion(self.representation, representation)
        lateral, longitudinal, vertical = convert(
            self.lateral_mm, self.longitudinal_mm, self.vertical_mm, self.pitch_deg, self.roll_deg
        )
        return TableTopPosition(
            representation,
            lateral,
            longitudinal,
            vertical,
            self.pitch_deg,
            self.roll_deg,
            self.patient_support_angle_deg,
        )

    def declared_as(self, representation: Representation) -> TableTopPosition:
        """The same six numbers under another name: a statement of the caller's about the machine, not a conversion."""
        return TableTopPosition(representation, *self.values)

    def _repr_html_(self) -> str:
        rows = [
            (axis.replace("_", " "), f"{value:+.4f}", unit)
            for axis, value, unit in zip(AXES, self.values, UNITS, strict=True)
        ]
        return html_table(f"table top, {self.representation.value}", ("axis", "value", "unit"), rows)

    def __repr__(self) -> str:
        return (
            f"TableTopPosition({self.representation.value}: lateral {self.lateral_mm:g}, longitudinal "
            f"{self.longitudinal_mm:g}, vertical {self.vertical_mm:g} mm; pitch {self.pitch_deg:g}, roll "
            f"{self.roll_deg:g}, patient support angle {self.patient_support_angle_deg:g} deg)"
        )


UNITS = ("mm", "mm", "mm", "deg", "deg", "deg")
"""Unit of each axis of :data:`AXES`."""

ScalarConversion = Callable[[float, float, float, float, float], tuple[float, float, float]]


def scalar_conversion(source: Representation, target: Representation) -> ScalarConversion:
    """The plain-float conversion of translations between two representations.

    Raises
    ------
    RepresentationMismatch
    """
    convert = _SCALAR_CONVERSIONS.get((source, target))
    if convert is None:
        raise RepresentationMismatch(
            f"no published source relates {source.value} to {target.value}",
            hint="Where the machine's documentation says that they are equal, state it: position.declared_as(...).",
        )
    return convert


def iec_to_isocentric_scalar(
    lateral_mm: float, longitudinal_mm: float, vertical_mm: float, pitch_deg: float, roll_deg: float
) -> tuple[float, float, float]:
    """:func:`iec_to_isocentric` for one position in plain floats, for control loops; nothing is checked."""
    pitch, roll = pitch_deg * _RADIANS, roll_deg * _RADIANS
    cp, sp, cr, sr = _cos(pitch), _sin(pitch), _cos(roll), _sin(roll)
    along = cp * vertical_mm - sp * longitudinal_mm
    return (
        cr * lateral_mm - sr * along,
        cp * longitudinal_mm + sp * vertical_mm,
        sr * lateral_mm + cr * along,
    )


def isocentric_to_iec_scalar(
    lateral_mm: float, longitudinal_mm: float, vertical_mm: float, pitch_deg: float, roll_deg: float
) -> tuple[float, float, float]:
    """:func:`isocentric_to_iec` for one position in plain floats, for control loops; nothing is checked."""
    pitch, roll = pitch_deg * _RADIANS, roll_deg * _RADIANS
    cp, sp, cr, sr = _cos(pitch), _sin(pitch), _cos(roll), _sin(roll)
    along = cr * vertical_mm - sr * lateral_mm
    return (
        cr * lateral_mm + sr * vertical_mm,
        cp * longitudinal_mm - sp * along,
        sp * longitudinal_mm + cp * along,
    )


_SCALAR_CONVERSIONS: dict[tuple[Representation, Representation], ScalarConversion] = {
    (Representation.IEC_61217, Representation.ISOCENTRIC_STANDARD): iec_to_isocentric_scalar,
    (Representation.ISOCENTRIC_STANDARD, Representation.IEC_61217): isocentric_to_iec_scalar,
}


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
    return table_in(PatientSupport, position)


def table_in(parent: type[Dst], position: TableTopPosition) -> Pose[Dst, TableTop]:
    """The pose of a table top in the frame along whose axes an IEC 61217 position is measured."""
    position.require(Representation.IEC_61217)
    return Pose(
        parent, TableTop, rotation_x(position.pitch_deg) @ rotation_y(position.roll_deg), position.translation_mm
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


def vertical_from_table_height_mm(table_height_mm: float) -> float:
    """Table top vertical (mm, + up) of Table Height (0018,1130) of a CT, which is positive below the isocentre."""
    return -table_height_mm


def table_height_mm(vertical_mm: float) -> float:
    """Inverse of :func:`vertical_from_table_height_mm`."""
    return -vertical_mm


def rotation_of(position: TableTopPosition) -> Array:
    """Rz(psa) Rx(pitch) Ry(roll) of a position, shape (3, 3)."""
    return rotation_from_table_angles(position.angles)
