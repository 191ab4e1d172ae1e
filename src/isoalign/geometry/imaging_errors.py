"""Errors of imaging geometry: projection, C-arms and their parameter sets."""

from __future__ import annotations

from isoalign.errors import GeometryError
from isoalign.geometry.errors import InvalidGeometry


class PointBehindSource(InvalidGeometry):
    """A point at or behind the X-ray source has no projection."""

    code = "geometry.behind-source"
    default_hint = "Check the pose of the patient and which way the source looks (gantry angle, scale)."


class AnglesUndetermined(GeometryError):
    """Two axes of rotation coincide, so that two angles cannot be told apart."""

    code = "geometry.angles-undetermined"
    default_hint = "Hold the last angle of the outer axis, or refuse the position."


class NoMachineAxis(GeometryError):
    """A geometry cannot be said in the terms of an RT Image: its source is not on the axis through the isocentre."""

    code = "geometry.no-machine-axis"
    default_hint = "Keep the full geometry (source and receptor pose), or export the nominal axis beside it."


class InconsistentProjection(GeometryError):
    """Numbers that say the same thing twice contradict each other."""

    code = "geometry.inconsistent-projection"
    default_hint = "Find out which of the two is right; a wrong sign or a stale value is more likely than rounding."


class MissingProjectionAngle(GeometryError):
    """A projection carries the placeholder that stands for an unknown gantry angle."""

    code = "geometry.missing-projection-angle"
    default_hint = "Leave the projection out; the machine did not record where the gantry was."


class SuspectedRadians(GeometryError):
    """Angles of a scan are so small that they must be radians."""

    code = "geometry.suspected-radians"
    default_hint = "Convert to degrees first."
