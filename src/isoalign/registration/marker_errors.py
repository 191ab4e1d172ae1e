"""Errors of marker detection and of marker and 2D/2D matches: each means that no match was made."""

from __future__ import annotations

from isoalign.errors import InputDataError, MatchError


class UnusableMarkerShape(InputDataError):
    """Size of a marker that makes no sense."""

    code = "match.unusable-marker-shape"
    default_hint = "Give the diameter, and for a seed the length, in mm; a length is not below the diameter."


class MarkerTooSmall(InputDataError):
    """The markers are too small for the pixels or voxels of the image."""

    code = "match.marker-too-small"
    default_hint = "Use an image with smaller pixels or thinner slices, or larger markers."


class TooMuchMetal(InputDataError):
    """So much of a CT is as bright as a marker that markers cannot be told from it."""

    code = "match.too-much-metal"
    default_hint = "Raise the threshold, or check the rescale slope and intercept of the CT."


class NoPlannedMarkers(InputDataError):
    """The structure set holds no marker."""

    code = "match.no-planned-markers"
    default_hint = (
        "Markers are structures of interpreted type MARKER with one point each; draw them on the planning CT."
    )


class MarkersNotFound(MatchError):
    """No pair of shadows fits a planned marker."""

    code = "match.markers-not-found"
    default_hint = "Look at both images: are the markers in view, and is this the right patient and plan?"


class ArcTooShort(MatchError):
    """Images from too small an arc do not tell where along the beam a marker is."""

    code = "match.arc-too-short"
    default_hint = "Use images over an arc of at least 20 degrees, better 60 or more."


class ImagesDoNotFit(InputDataError):
    """A radiograph and its reference image differ in shape or imager geometry."""

    code = "match.images-do-not-fit"
    default_hint = "Render the DRR with the geometry of the imager that takes the radiograph."
