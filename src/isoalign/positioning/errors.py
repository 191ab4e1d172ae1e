"""Errors of the positioning session."""

from __future__ import annotations

from isoalign.errors import MatchError, PositioningError


class IllegalAct(PositioningError):
    """An act was asked for that the session does not allow in its present state."""

    code = "positioning.illegal-act"
    default_hint = "Follow the steps: load, set-up position, images, match, approve, move, verify."


class NotApproved(PositioningError):
    """A move was asked for without an approval of this very correction."""

    code = "positioning.not-approved"
    default_hint = "Approve the correction that is on the screen, then move."


class CouchDisplaced(PositioningError):
    """The couch is not where it was when the images were taken."""

    code = "positioning.couch-displaced"
    default_hint = "Take new images at the present position."


class SessionHeld(PositioningError):
    """Motion was held; the session does not resume by itself."""

    code = "positioning.held"
    default_hint = "Look at the room, clear the hold with a reason, release and press the enable bar, and start again."


class MatchRefused(MatchError):
    """The match is not trustworthy enough to move a patient."""

    code = "match.refused"
    default_hint = (
        "Look at the overlays, check that the images show this patient and take them again. Nothing was moved."
    )


class CorrectionTooLarge(PositioningError):
    """The set-up error is larger than the site lets the couch correct."""

    code = "positioning.correction-too-large"
    default_hint = "Reposition the patient by hand and take new images."
