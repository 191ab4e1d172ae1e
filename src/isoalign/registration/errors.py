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
