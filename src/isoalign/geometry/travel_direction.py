"""How far a rotating axis goes from one angle to another when the direction is given.

DICOM gives each rotation a direction (CW, CC, NONE) beside its angles, since two angles alone do not say which way
round the axis goes. Source: DICOM PS3.3 C.8.8.14.8 and C.8.8.25.6.5, which say from where each axis is looked at.
"""

from __future__ import annotations

import math
from enum import Enum

from isoalign.geometry.errors import InvalidGeometry


class RotationDirection(Enum):
    """Terms of the rotation direction attributes."""

    CW = "CW"
    CC = "CC"
    NONE = "NONE"


class RotatingAxis(Enum):
    """Axes with a rotation direction; the value is +1 where clockwise, seen as DICOM says, increases the angle."""

    GANTRY = ("gantry", +1)
    GANTRY_PITCH = ("gantry pitch", +1)
    BEAM_LIMITING_DEVICE = ("beam limiting device", -1)
    PATIENT_SUPPORT = ("patient support", -1)
    TABLE_TOP_ECCENTRIC = ("table top eccentric", -1)
    TABLE_TOP_PITCH = ("table top pitch", +1)
    TABLE_TOP_ROLL = ("table top roll", +1)

    @property
    def label(self) -> str:
        """The axis in words."""
        return self.value[0]

    @property
    def clockwise_sign(self) -> int:
        """Sign of the change of angle that clockwise means."""
        return self.value[1]


SAME_ANGLE_DEG = 1e-6
"""Angles closer than this are the same; files carry single-precision angles and decimal strings."""


def travel_deg(axis: RotatingAxis, start_deg: float, end_deg: float, direction: RotationDirection) -> float:
    """Signed way of an axis from one angle to another, degrees, positive in the axis' positive sense.

    Equal angles (modulo 360) with a direction are a full turn; with NONE they are no motion.

    Raises
    ------
    InvalidGeometry
        When an angle is not finite, or the direction is NONE and the angles differ.
    """
    if not (math.isfinite(start_deg) and math.isfinite(end_deg)):
        raise InvalidGeometry(f"{axis.label}: no travel from {start_deg} to {end_deg} deg")
    apart = math.remainder(end_deg - start_deg, 360.0)
    if direction is RotationDirection.NONE:
        if abs(apart) > SAME_ANGLE_DEG:
            raise InvalidGeometry(
                f"{axis.label}: goes from {start_deg:g} to {end_deg:g} deg, but its direction is NONE",
                hint="Give the direction CW or CC, or the same angle twice.",
            )
        return 0.0
    sign = axis.clockwise_sign if direction is RotationDirection.CW else -axis.clockwise_sign
    if abs(apart) <= SAME_ANGLE_DEG:
        return sign * 360.0
    return sign * ((sign * apart) % 360.0)
