"""Errors of reach and clearance."""

from __future__ import annotations

from isoalign.errors import GeometryError


class InvalidPart(GeometryError):
    """The shape of a part of the room cannot be what it says: too few points, flat, not finite, or a wrong unit."""

    code = "geometry.invalid-part"
    default_hint = "Give at least four points in mm that span a body, in the frame that the part moves with."


class ClearanceUnknown(GeometryError):
    """A clearance cannot be given because the geometry or the state of a part is missing."""

    code = "geometry.clearance-unknown"
    default_hint = "Supply what the message names, or name it as unchecked; an unknown clearance is never a clear one."


class ClearanceTooSmall(GeometryError):
    """Two parts come, or may come, nearer to each other than the required clearance."""

    code = "geometry.clearance-too-small"
    default_hint = "Choose another path (staged, or with the snout retracted), or another position."


class DistanceFailed(GeometryError):
    """The distance library gave no answer, or one that its own nearest points contradict."""

    code = "geometry.distance-failed"
    default_hint = "Treat the clearance as unknown, and look for needles or slivers in the two parts that are named."
