"""Keeping a correction inside what the couch can do, and re-centring for what it cannot."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np

from isoalign.geometry.corrections import RigidResidual, TravelLimits, residual_of
from isoalign.geometry.frames import Fixed
from isoalign.geometry.pose import Array, Pose
from isoalign.geometry.rotations import TableAngles, rotation_from_table_angles, rotation_z
from isoalign.geometry.table_top import AXES, Representation, TableTopPosition, fixed_from_table

ANGLE_AXES = ("patient_support_angle", "pitch", "roll")


class LimitMethod(Enum):
    """What to do with angles that are out of reach.

    ``PER_AXIS`` clips each axis by itself: predictable, and optimal when one axis is slightly over. ``OPTIMAL`` also
    turns the axes that have room, so that the rotation that remains is as small as it can be; the patient support may
    then turn far for little.
    """

    PER_AXIS = "per axis"
    OPTIMAL = "optimal"


@dataclass(frozen=True, slots=True)
class LimitedCorrection:
    """A reachable target, and what it leaves uncorrected.

    Attributes
    ----------
    target : TableTopPosition
        In IEC 61217, inside the limits.
    limited_axes : tuple of str
        Angles that were out of reach.
    remaining : RigidResidual
        What the move will leave by design, at the isocentre (zero when nothing was limited).
    """

    target: TableTopPosition
    limited_axes: tuple[str, ...]
    remaining: RigidResidual


def limit_and_recentre(
    desired: TableTopPosition, limits: TravelLimits, *, method: LimitMethod = LimitMethod.PER_AXIS
) -> LimitedCorrection:
    """Bring the angles inside their limits and re-centre, so that the isocentre point is still where it should be.

    With R the desired and R' the limited rotation, the table translation becomes t' = R' R^T t: the point of the
    table top that the desired position puts at the isocentre stays there, and only a rotation remains.

    Raises
    ------
    OutOfTravel
        When a translation is out of reach after re-centring.
    """
    iec = desired.in_representation(Representation.IEC_61217)
    wanted = (iec.patient_support_angle_deg, iec.pitch_deg, iec.roll_deg)
    bounds = [limits.ranges[axis] for axis in ANGLE_AXES]
    clipped = [min(max(angle, least), greatest) for angle, (least, greatest) in zip(wanted, bounds, strict=True)]
    limited = [axis for axis, angle, bounded in zip(ANGLE_AXES, wanted, clipped, strict=True) if angle != bounded]
    if not limited:
        limits.require(iec)
        return LimitedCorrection(iec, (), residual_of(Pose.identity(Fixed, Fixed)))
    desired_pose = fixed_from_table(iec)
    if method is LimitMethod.OPTIMAL:
        clipped = _nearest_within(desired_pose.rotation, clipped, bounds)
    angles = TableAngles(*clipped)
    rotation = rotation_from_table_angles(angles)
    recentred = Pose(
        desired_pose.dst, desired_pose.src, rotation, rotation @ desired_pose.rotation.T @ desired_pose.translation_mm
    )
    # the limited angles are known: taking them from the matrix again could put them outside by rounding
    lateral, longitudinal, vertical = rotation_z(angles.patient_support_angle_deg).T @ recentred.translation_mm
    target = TableTopPosition(
        Representation.IEC_61217,
        float(lateral),
        float(longitudinal),
        float(vertical),
        angles.pitch_deg,
        angles.roll_deg,
        angles.patient_support_angle_deg,
    )
    limits.require(target)
    remaining = residual_of(recentred @ desired_pose.inverse())
    return LimitedCorrection(target, tuple(axis for axis in AXES if axis in limited), remaining)


def _nearest_within(wanted: Array, start_deg: list[float], bounds_deg: list[tuple[float, float]]) -> list[float]:
    """The table angles inside their bounds whose rotation is nearest to ``wanted``."""
    from scipy.optimize import minimize

    def apart(angles_deg: Array) -> float:
        rotation = rotation_from_table_angles(TableAngles(*(float(angle) for angle in angles_deg)))
        # 2 - 2 cos(angle between them): smooth where the angle itself is not
        return float(3.0 - np.sum(rotation * wanted))

    found = minimize(
        apart, np.array(start_deg), method="L-BFGS-B", bounds=bounds_deg, options={"ftol": 1e-15, "gtol": 1e-10}
    )
    return [min(max(float(angle), low), high) for angle, (low, high) in zip(found.x, bounds_deg, strict=True)]
