"""Errors of the registration room: each means that no match was made and nothing may move."""

from __future__ import annotations

from isoalign.errors import MatchError


class WrongNumberOfViews(MatchError):
    """A 2D/3D match was asked for with fewer or more than two radiographs."""

    code = "match.number-of-views"
    default_hint = "Take one radiograph with each of the two imagers."


class ViewsTooParallel(MatchError):
    """The two radiographs look along nearly the same line, so that depth cannot be told."""

    code = "match.parallel-views"
    default_hint = "Take the two radiographs at least 45 degrees apart, best 90."


class BlankRadiograph(MatchError):
    """A radiograph shows nothing: no signal, one constant value, or only the open beam."""

    code = "match.blank-radiograph"
    default_hint = "Check generator, collimation and panel, look at the image, and expose again."


class NothingInView(MatchError):
    """At the planned position no part of the CT would be visible in a radiograph."""

    code = "match.nothing-in-view"
    default_hint = "Check the plan's isocentre, the patient position and the imager geometry."


class MatchCancelled(MatchError):
    """The match was stopped on request."""

    code = "match.cancelled"
    default_hint = "Start the match again when ready."


class VolumeTooThin(MatchError):
    """A volume is too thin to be matched to another: a slice or a few."""

    code = "match.volume-too-thin"
    default_hint = "Use a volume of at least 15 mm along every side; a single slice cannot be matched."


class UndefinedVoxels(MatchError):
    """A volume holds voxels that are not numbers."""

    code = "match.undefined-voxels"
    default_hint = "Replace NaN and infinite voxels, or mark them in the mask of voxels that are not to be used."


class ConstantVolume(MatchError):
    """A volume shows nothing: all of it has one value."""

    code = "match.constant-volume"
    default_hint = "Check the rescale slope and intercept, and whether the right series was chosen."


class EmptyRegion(MatchError):
    """The region to be matched holds too little structure, or the scan of the day does not reach it."""

    code = "match.empty-region"
    default_hint = "Choose a region with edges in it that both volumes show, and check the start position."


class WrongFrameOfReference(MatchError):
    """A region, a start or a set of markers belongs to another frame of reference than the volume."""

    code = "match.wrong-frame-of-reference"
    default_hint = "Use data of the same frame of reference, or apply the registration that joins the two."
