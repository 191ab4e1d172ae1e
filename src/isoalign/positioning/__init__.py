"""Positioning: the session's state machine, tolerances and correction planning.

Decides what may happen next and where the couch should go; carries out nothing. ``ports.py`` says what a session
needs of couch, imagers and matcher.
"""

from isoalign.positioning.errors import (
    CorrectionTooLarge,
    CouchDisplaced,
    IllegalAct,
    MatchRefused,
    NotApproved,
    SessionHeld,
)
from isoalign.positioning.planning import (
    CorrectionLimits,
    plan_correction,
    planned_pose,
    require_accepted,
    setup_position,
)
from isoalign.positioning.ports import CouchPort, ImagerPort, InRoomCtPort, MatcherPort, MoveProgress
from isoalign.positioning.session import PositioningSession, SessionSettings
from isoalign.positioning.workflow import FIELD_IS_OPEN, MOVING, TRANSITIONS, Event, State, next_state

__all__ = [
    "FIELD_IS_OPEN",
    "MOVING",
    "TRANSITIONS",
    "CorrectionLimits",
    "CorrectionTooLarge",
    "CouchDisplaced",
    "CouchPort",
    "Event",
    "IllegalAct",
    "ImagerPort",
    "InRoomCtPort",
    "MatchRefused",
    "MatcherPort",
    "MoveProgress",
    "NotApproved",
    "PositioningSession",
    "SessionHeld",
    "SessionSettings",
    "State",
    "next_state",
    "plan_correction",
    "planned_pose",
    "require_accepted",
    "setup_position",
]
