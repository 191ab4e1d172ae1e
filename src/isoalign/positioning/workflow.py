"""The positioning workflow as a table: (state, event) -> state.

What is not in the table is refused. Hold is legal everywhere and asks nothing; after a hold or a fault nothing
resumes: the session is cleared by a person and starts again from the set-up position.
"""

from __future__ import annotations

from enum import Enum

from isoalign.positioning.errors import IllegalAct, SessionHeld


class State(Enum):
    """Where a session stands."""

    IDLE = "idle"
    LOADED = "patient loaded"
    MOVING_TO_SETUP = "moving to set-up position"
    AT_SETUP = "at set-up position"
    FIELD_OPEN = "in-room CT field open"
    SCANNED = "in-room CT received"
    IMAGED = "images taken"
    MATCHED = "match accepted"
    APPROVED = "correction approved"
    CORRECTING = "moving by the correction"
    CORRECTED = "correction done"
    VERIFICATION_FIELD_OPEN = "verification in-room CT field open"
    VERIFICATION_SCANNED = "verification in-room CT received"
    VERIFICATION_IMAGED = "verification images taken"
    VERIFIED = "residual known"
    HELD = "held"
    CLOSED = "closed"


class Event(Enum):
    """What can happen to a session."""

    LOAD = "load"
    START_SETUP_MOVE = "move to set-up position"
    ARRIVE = "arrive"
    IMAGE = "take images"
    OPEN_FIELD = "open the in-room CT field"
    CLOSE_FIELD = "close the in-room CT field"
    RECEIVE_SCAN = "receive an in-room CT"
    ACCEPT_MATCH = "accept match"
    REFUSE_MATCH = "refuse match"
    APPROVE = "approve"
    START_CORRECTION = "move by the correction"
    REPEAT = "correct again"
    HOLD = "hold"
    FAULT = "fault"
    CLEAR = "clear"
    CLOSE = "close"


MOVING = frozenset({State.MOVING_TO_SETUP, State.CORRECTING})
FIELD_IS_OPEN = frozenset({State.FIELD_OPEN, State.VERIFICATION_FIELD_OPEN})
"""Where images of an in-room CT are waited for, and accepted."""

_STEPS: dict[tuple[State, Event], State] = {
    (State.IDLE, Event.LOAD): State.LOADED,
    (State.LOADED, Event.LOAD): State.LOADED,
    (State.LOADED, Event.START_SETUP_MOVE): State.MOVING_TO_SETUP,
    (State.MOVING_TO_SETUP, Event.ARRIVE): State.AT_SETUP,
    (State.AT_SETUP, Event.IMAGE): State.IMAGED,
    (State.IMAGED, Event.ACCEPT_MATCH): State.MATCHED,
    (State.IMAGED, Event.REFUSE_MATCH): State.AT_SETUP,
    (State.AT_SETUP, Event.OPEN_FIELD): State.FIELD_OPEN,
    (State.FIELD_OPEN, Event.CLOSE_FIELD): State.AT_SETUP,
    (State.FIELD_OPEN, Event.RECEIVE_SCAN): State.SCANNED,
    (State.SCANNED, Event.ACCEPT_MATCH): State.MATCHED,
    (State.SCANNED, Event.REFUSE_MATCH): State.AT_SETUP,
    (State.MATCHED, Event.APPROVE): State.APPROVED,
    (State.MATCHED, Event.IMAGE): State.IMAGED,
    (State.MATCHED, Event.OPEN_FIELD): State.FIELD_OPEN,
    (State.APPROVED, Event.START_CORRECTION): State.CORRECTING,
    (State.CORRECTING, Event.ARRIVE): State.CORRECTED,
    (State.CORRECTED, Event.IMAGE): State.VERIFICATION_IMAGED,
    (State.VERIFICATION_IMAGED, Event.ACCEPT_MATCH): State.VERIFIED,
    (State.VERIFICATION_IMAGED, Event.REFUSE_MATCH): State.CORRECTED,
    (State.VERIFIED, Event.IMAGE): State.VERIFICATION_IMAGED,
    (State.CORRECTED, Event.OPEN_FIELD): State.VERIFICATION_FIELD_OPEN,
    (State.VERIFIED, Event.OPEN_FIELD): State.VERIFICATION_FIELD_OPEN,
    (State.VERIFICATION_FIELD_OPEN, Event.CLOSE_FIELD): State.CORRECTED,
    (State.VERIFICATION_FIELD_OPEN, Event.RECEIVE_SCAN): State.VERIFICATION_SCANNED,
    (State.VERIFICATION_SCANNED, Event.ACCEPT_MATCH): State.VERIFIED,
    (State.VERIFICATION_SCANNED, Event.REFUSE_MATCH): State.CORRECTED,
    (State.VERIFIED, Event.REPEAT): State.MATCHED,
    (State.HELD, Event.CLEAR): State.LOADED,
}

_AT_REST_WITH_PATIENT = frozenset(State) - MOVING - {State.IDLE, State.HELD, State.CLOSED}


def _build_table() -> dict[tuple[State, Event], State]:
    table = dict(_STEPS)
    for state in State:
        # with no patient loaded there is nothing to hold in the session; the couch is stopped all the same
        table[state, Event.HOLD] = state if state in {State.IDLE, State.CLOSED} else State.HELD
    for state in MOVING:
        table[state, Event.FAULT] = State.HELD
    for state in _AT_REST_WITH_PATIENT:
        table[state, Event.FAULT] = state
    for state in _AT_REST_WITH_PATIENT | {State.IDLE, State.HELD}:
        table[state, Event.CLOSE] = State.CLOSED
    return table


TRANSITIONS = _build_table()
"""Every legal (state, event) and the state it leads to."""


def next_state(state: State, event: Event) -> State:
    """The state after ``event``.

    Raises
    ------
    SessionHeld
        When the session is held and the event is not one that a held session knows.
    IllegalAct
        For every other pair that is not in :data:`TRANSITIONS`.
    """
    if (state, event) in TRANSITIONS:
        return TRANSITIONS[state, event]
    if state is State.HELD:
        raise SessionHeld(f"motion is held: '{event.value}' is refused until the hold is cleared", event=event.value)
    raise IllegalAct(f"'{event.value}' is not possible while the session is '{state.value}'", state=state.value)
