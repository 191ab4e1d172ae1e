"""Errors of the geometry kernel."""

from __future__ import annotations

from isoalign.errors import GeometryError


class FrameMismatch(GeometryError):
    """Two poses were chained, or a point was mapped, whose frames do not touch."""

    code = "geometry.frame-mismatch"
    default_hint = "Invert one of the poses, or insert the pose that joins the two frames."


class NotARotation(GeometryError):
    """A matrix that should be a rotation is too far from one."""

    code = "geometry.not-a-rotation"
    default_hint = "Check the order of the elements (row-major) and that the matrix is neither scaled nor mirrored."


class InvalidGeometry(GeometryError):
    """A number, shape or combination of values makes no sense as geometry."""

    code = "geometry.invalid"
    default_hint = "Check the unit (mm, degrees) and the value that the message names."


class RepresentationMismatch(GeometryError):
    """A table-top position in one representation was used where another is needed."""

    code = "geometry.representation-mismatch"
    default_hint = "Convert first: position.in_representation(...)."


class SingularPosition(GeometryError):
    """Pitch is so close to +-90 degrees that roll and patient support angle cannot be told apart."""

    code = "geometry.singular"
    default_hint = "Hold the last patient support angle, or refuse the position."


class OutOfTravel(GeometryError):
    """A position lies outside the travel limits of the couch."""

    code = "geometry.out-of-travel"
    default_hint = "Reposition the patient, or limit and re-centre the correction."


class UnknownPatientPosition(GeometryError):
    """A patient position that has no defined orientation."""

    code = "geometry.unknown-patient-position"
    default_hint = "Use one of the DICOM terms, e.g. HFS, FFS, HFP, HFDR, SITTING."


class UnverifiedScale(GeometryError):
    """A machine scale was asked for an axis whose zero or sign no published source states."""

    code = "geometry.unverified-scale"
    default_hint = "State sign, zero and source of the axis in the configuration of the room: [scale.NAME.axes.AXIS]."


class IsocentreTooFar(GeometryError):
    """A correction found at one isocentre was to be applied to another that is too far away."""

    code = "geometry.isocentre-too-far"
    default_hint = "Image the patient again at that isocentre."


class NotObservable(GeometryError):
    """A value was asked for that the images cannot tell."""

    code = "geometry.not-observable"
    default_hint = "Take a second image from another direction."
