"""From a set-up error to a couch move: apply, limit, re-centre, and say what remains."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from isoalign.geometry.errors import InvalidGeometry, OutOfTravel
from isoalign.geometry.frames import Fixed
from isoalign.geometry.pose import Array, Pose
from isoalign.geometry.rotations import (
    TableAngles,
    rotation_from_table_angles,
    rotation_vector_deg,
    table_angles_from_rotation,
)
from isoalign.geometry.table_top import (
    AXES,
    Representation,
    TableTopPosition,
    fixed_from_support,
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


@dataclass(frozen=True, slots=True)
class LimitedCorrection:
    """A reachable target, and what it leaves uncorrected.

    Attributes
    ----------
    target : TableTopPosition
        In IEC 61217, inside the limits.
    limited_axes : tuple of str
        Angles that were clipped.
    remaining : RigidResidual
        What the move will leave by design, at the isocentre (zero when nothing was limited).
    """

    target: TableTopPosition
    limited_axes: tuple[str, ...]
    remaining: RigidResidual


def limit_and_recentre(desired: TableTopPosition, limits: TravelLimits) -> LimitedCorrection:
    """Clip the angles to their limits and re-centre, so that the isocentre point is still where it should be.

    With R the desired and R' the clipped rotation, the table translation becomes t' = R' R^T t: the point of the
    table top that the desired position puts at the isocentre stays there, and only a rotation remains.

    Raises
    ------
    OutOfTravel
        When a translation is out of reach after re-centring.
    """
    iec = desired.in_representation(Representation.IEC_61217)
    clipped = dict(zip(AXES, iec.values, strict=True))
    limited = []
    for axis in ("pitch", "roll", "patient_support_angle"):
        least, greatest = limits.ranges[axis]
        bounded = min(max(clipped[axis], least), greatest)
        if bounded != clipped[axis]:
            limited.append(axis)
            clipped[axis] = bounded
    if not limited:
        limits.require(iec)
        return LimitedCorrection(iec, (), residual_of(Pose.identity(Fixed, Fixed)))
    desired_pose = fixed_from_table(iec)
    tilt = TableAngles(clipped["patient_support_angle"], clipped["pitch"], clipped["roll"])
    rotation = rotation_from_table_angles(tilt)
    recentred = Pose(
        desired_pose.dst, desired_pose.src, rotation, rotation @ desired_pose.rotation.T @ desired_pose.translation_mm
    )
    # the clipped angles are known: taking them from the matrix again could put them outside by rounding
    lateral, longitudinal, vertical = (
        fixed_from_support(tilt.patient_support_angle_deg).rotation.T @ recentred.translation_mm
    )
    target = TableTopPosition(
        Representation.IEC_61217,
        float(lateral),
        float(longitudinal),
        float(vertical),
        tilt.pitch_deg,
        tilt.roll_deg,
        tilt.patient_support_angle_deg,
    )
    limits.require(target)
    remaining = residual_of(recentred @ desired_pose.inverse())
    return LimitedCorrection(target, tuple(limited), remaining)


def transferred_to(error: Pose[Fixed, Fixed], point_mm: npt.ArrayLike) -> RigidResidual:
    """The same rigid error described about another point of the fixed frame (mm)."""
    point = np.asarray(point_mm, dtype=np.float64)
    moved = error.apply(point) - point
    return residual_of(Pose(Fixed, Fixed, error.rotation, moved))


def displacement_between(first: TableTopPosition, second: TableTopPosition) -> RigidResidual:
    """How far the second table-top position is from the first, about the isocentre.

    The displacement is that of the table's point at the isocentre: a rotation far from the table's origin moves it too.
    """
    return residual_of(fixed_from_table(second) @ fixed_from_table(first).inverse())
