"""From a set-up error to a couch move: apply it about any point, and say what remains."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from isoalign.geometry.errors import InvalidGeometry, OutOfTravel
from isoalign.geometry.frames import Fixed
from isoalign.geometry.pose import Array, Pose
from isoalign.geometry.rotations import (
    rotation_vector_deg,
    table_angles_from_rotation,
)
from isoalign.geometry.table_top import (
    AXES,
    Representation,
    TableTopPosition,
    fixed_from_table,
    rotation_of,
    table_top_position,
)


@dataclass(frozen=True, slots=True)
class TravelLimits:
    """Least and greatest value of each couch axis in IEC 61217, mm and degrees. Every axis must be given."""

    ranges: Mapping[str, tuple[float, float]]

    def __post_init__(self) -> None:
        missing = [axis for axis in AXES if axis not in self.ranges]
        unknown = [axis for axis in self.ranges if axis not in AXES]
        if missing or unknown:
            raise InvalidGeometry(f"travel limits: missing {missing}, unknown {unknown}")
        for axis, (least, greatest) in self.ranges.items():
            if not least < greatest:
                raise InvalidGeometry(f"travel limits of {axis}: {least} is not below {greatest}", axis=axis)
        object.__setattr__(self, "ranges", {axis: tuple(self.ranges[axis]) for axis in AXES})

    def violations(self, position: TableTopPosition) -> dict[str, float]:
        """Axis -> signed excess beyond its limit, for every axis that is outside (empty: reachable)."""
        values = position.in_representation(Representation.IEC_61217).values
        over: dict[str, float] = {}
        for axis, value in zip(AXES, values, strict=True):
            least, greatest = self.ranges[axis]
            if value < least:
                over[axis] = value - least
            elif value > greatest:
                over[axis] = value - greatest
        return over

    def require(self, position: TableTopPosition) -> None:
        """Raise :class:`OutOfTravel` that names every axis that is outside."""
        over = self.violations(position)
        if over:
            named = ", ".join(
                f"{axis} beyond [{self.ranges[axis][0]:g}, {self.ranges[axis][1]:g}] by {abs(excess):.2f}"
                for axis, excess in over.items()
            )
            raise OutOfTravel(f"the couch cannot reach the position: {named}", excess=over)


@dataclass(frozen=True, slots=True)
class RigidResidual:
    """What is left between where the patient is and where the patient should be, about the isocentre.

    Attributes
    ----------
    translation_mm : ndarray, shape (3,)
        Displacement of the point that should be at the isocentre, fixed frame.
    rotation_vector_deg : ndarray, shape (3,)
        Axis times angle, fixed frame.
    pitch_deg, roll_deg, patient_support_angle_deg : float
        The rotation in the order of the table's axes.
    """

    translation_mm: Array
    rotation_vector_deg: Array
    pitch_deg: float
    roll_deg: float
    patient_support_angle_deg: float

    @property
    def distance_mm(self) -> float:
        """Length of the displacement at the isocentre."""
        return float(np.linalg.norm(self.translation_mm))

    @property
    def angle_deg(self) -> float:
        """Angle of the rotation."""
        return float(np.linalg.norm(self.rotation_vector_deg))

    def greatest_displacement_mm(self, radius_mm: float) -> float:
        """Largest displacement of any point within ``radius_mm`` of the isocentre.

        A rotation by theta moves a point at distance r from its axis by 2 r sin(theta / 2), at right angles to the
        axis; the worst point is the one whose motion adds up with the part of the translation in that plane.
        """
        if not (math.isfinite(radius_mm) and radius_mm >= 0):
            raise InvalidGeometry(f"a radius is a distance in mm, not {radius_mm}")
        angle = self.angle_deg
        if angle == 0.0:
            return self.distance_mm
        axis = self.rotation_vector_deg / angle
        along = float(axis @ self.translation_mm)
        across = math.sqrt(max(0.0, self.distance_mm**2 - along**2))
        return math.hypot(along, across + 2.0 * radius_mm * math.sin(math.radians(angle) / 2.0))

    @property
    def largest_axis_deg(self) -> float:
        """Largest of the three parts of the rotation in the table's axes."""
        return max(abs(self.pitch_deg), abs(self.roll_deg), abs(self.patient_support_angle_deg))


def residual_of(error: Pose[Fixed, Fixed]) -> RigidResidual:
    """Describe a set-up error: the rigid map, in the fixed frame, from the planned to the actual place."""
    angles = table_angles_from_rotation(error.rotation)
    vector = rotation_vector_deg(error.rotation)
    return RigidResidual(
        translation_mm=error.translation_mm,
        rotation_vector_deg=vector,
        pitch_deg=angles.pitch_deg,
        roll_deg=angles.roll_deg,
        patient_support_angle_deg=angles.patient_support_angle_deg,
    )


def setup_error(
    lateral_mm: float,
    longitudinal_mm: float,
    vertical_mm: float,
    pitch_deg: float,
    roll_deg: float,
    yaw_deg: float,
) -> Pose[Fixed, Fixed]:
    """The rigid map of a set-up error: translation of the isocentre point, and Rz(yaw) Rx(pitch) Ry(roll) about it."""
    position = TableTopPosition(
        Representation.IEC_61217, lateral_mm, longitudinal_mm, vertical_mm, pitch_deg, roll_deg, yaw_deg
    )
    return Pose(Fixed, Fixed, rotation_of(position), position.translation_mm)


def rigid_about(
    point_mm: npt.ArrayLike, rotation: npt.ArrayLike, translation_mm: npt.ArrayLike = (0.0, 0.0, 0.0)
) -> Pose[Fixed, Fixed]:
    """The map that turns about a point of the fixed frame (mm) and then shifts.

    Everything else in this module is about the isocentre, the origin of the fixed frame.
    """
    point = np.asarray(point_mm, dtype=np.float64)
    turn = np.asarray(rotation, dtype=np.float64)
    return Pose(Fixed, Fixed, turn, point - turn @ point + np.asarray(translation_mm, dtype=np.float64))


def displacement_mm(error: Pose[Fixed, Fixed], points_mm: npt.ArrayLike) -> Array:
    """Length of the displacement at points in the fixed frame: (..., 3) mm to (...) mm."""
    points = np.asarray(points_mm, dtype=np.float64)
    return np.asarray(np.linalg.norm(error.apply(points) - points, axis=-1))


def apply_correction(position: TableTopPosition, correction: Pose[Fixed, Fixed]) -> TableTopPosition:
    """The table-top position after a rigid correction in the fixed frame: R' = Rc R, t' = Rc t + tc.

    Returns
    -------
    TableTopPosition
        In IEC 61217, angles continuous with those of ``position``.
    """
    iec = position.in_representation(Representation.IEC_61217)
    return table_top_position(correction @ fixed_from_table(iec), near=iec)


def displacement_between(first: TableTopPosition, second: TableTopPosition) -> RigidResidual:
    """How far the second table-top position is from the first, about the isocentre.

    The displacement is that of the table's point at the isocentre: a rotation far from the table's origin moves it too.
    """
    return residual_of(fixed_from_table(second) @ fixed_from_table(first).inverse())
