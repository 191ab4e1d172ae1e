"""Every (state, event) pair of the workflow, against a table typed by hand."""

from __future__ import annotations

import pytest

from isoalign.positioning import FIELD_IS_OPEN, TRANSITIONS, Event, IllegalAct, SessionHeld, State, next_state

S, E = State, Event
FORWARD = {
    (S.IDLE, E.LOAD, S.LOADED),
    (S.LOADED, E.LOAD, S.LOADED),
    (S.LOADED, E.START_SETUP_MOVE, S.MOVING_TO_SETUP),
    (S.MOVING_TO_SETUP, E.ARRIVE, S.AT_SETUP),
    (S.AT_SETUP, E.IMAGE, S.IMAGED),
    (S.IMAGED, E.ACCEPT_MATCH, S.MATCHED),
    (S.IMAGED, E.REFUSE_MATCH, S.AT_SETUP),
    (S.MATCHED, E.APPROVE, S.APPROVED),
    (S.MATCHED, E.IMAGE, S.IMAGED),
    (S.APPROVED, E.START_CORRECTION, S.CORRECTING),
    (S.CORRECTING, E.ARRIVE, S.CORRECTED),
    (S.CORRECTED, E.IMAGE, S.VERIFICATION_IMAGED),
    (S.VERIFICATION_IMAGED, E.ACCEPT_MATCH, S.VERIFIED),
    (S.VERIFICATION_IMAGED, E.REFUSE_MATCH, S.CORRECTED),
    (S.VERIFIED, E.IMAGE, S.VERIFICATION_IMAGED),
    (S.VERIFIED, E.REPEAT, S.MATCHED),
    (S.HELD, E.CLEAR, S.LOADED),
    (S.AT_SETUP, E.OPEN_FIELD, S.FIELD_OPEN),
    (S.MATCHED, E.OPEN_FIELD, S.FIELD_OPEN),
    (S.FIELD_OPEN, E.CLOSE_FIELD, S.AT_SETUP),
    (S.FIELD_OPEN, E.RECEIVE_SCAN, S.SCANNED),
    (S.SCANNED, E.ACCEPT_MATCH, S.MATCHED),
    (S.SCANNED, E.REFUSE_MATCH, S.AT_SETUP),
    (S.CORRECTED, E.OPEN_FIELD, S.VERIFICATION_FIELD_OPEN),
    (S.VERIFIED, E.OPEN_FIELD, S.VERIFICATION_FIELD_OPEN),
    (S.VERIFICATION_FIELD_OPEN, E.CLOSE_FIELD, S.CORRECTED),
    (S.VERIFICATION_FIELD_OPEN, E.RECEIVE_SCAN, S.VERIFICATION_SCANNED),
    (S.VERIFICATION_SCANNED, E.ACCEPT_MATCH, S.VERIFIED),
    (S.VERIFICATION_SCANNED, E.REFUSE_MATCH, S.CORRECTED),
}
HOLD = {
    (state, E.HOLD, S.HELD)
    for state in (
        S.LOADED,
        S.MOVING_TO_SETUP,
        S.AT_SETUP,
        S.FIELD_OPEN,
        S.SCANNED,
        S.IMAGED,
        S.MATCHED,
        S.APPROVED,
        S.CORRECTING,
        S.CORRECTED,
        S.VERIFICATION_FIELD_OPEN,
        S.VERIFICATION_SCANNED,
        S.VERIFICATION_IMAGED,
        S.VERIFIED,
        S.HELD,
    )
} | {(S.IDLE, E.HOLD, S.IDLE), (S.CLOSED, E.HOLD, S.CLOSED)}
AT_REST = (
    S.LOADED,
    S.AT_SETUP,
    S.FIELD_OPEN,
    S.SCANNED,
    S.IMAGED,
    S.MATCHED,
    S.APPROVED,
    S.CORRECTED,
    S.VERIFICATION_FIELD_OPEN,
    S.VERIFICATION_SCANNED,
    S.VERIFICATION_IMAGED,
    S.VERIFIED,
)
FAULT = {(S.MOVING_TO_SETUP, E.FAULT, S.HELD), (S.CORRECTING, E.FAULT, S.HELD)} | {(s, E.FAULT, s) for s in AT_REST}
CLOSE = {(state, E.CLOSE, S.CLOSED) for state in (S.IDLE, S.HELD, *AT_REST)}
EXPECTED = {(state, event): after for state, event, after in FORWARD | HOLD | FAULT | CLOSE}


@pytest.mark.parametrize("event", list(Event))
@pytest.mark.parametrize("state", list(State))
def test_every_pair(state: State, event: Event) -> None:
    if (state, event) in EXPECTED:
        assert next_state(state, event) is EXPECTED[state, event]
    else:
        with pytest.raises(SessionHeld if state is S.HELD else IllegalAct):
            next_state(state, event)


def test_table_holds_nothing_else() -> None:
    assert TRANSITIONS == EXPECTED


def test_no_path_leads_from_held_to_motion_without_a_person_and_new_images() -> None:
    """From HELD the only ways out are a person's clear (back to before the set-up move) and closing."""
    ways_out = {
        (event, after) for (state, event), after in TRANSITIONS.items() if state is S.HELD and after is not S.HELD
    }
    assert ways_out == {(E.CLEAR, S.LOADED), (E.CLOSE, S.CLOSED)}


@pytest.mark.parametrize("state", sorted(FIELD_IS_OPEN, key=lambda state: state.value))
def test_nothing_moves_while_the_field_of_an_in_room_ct_is_open(state: State) -> None:
    legal = {event for event in Event if (state, event) in TRANSITIONS}
    assert legal == {E.CLOSE_FIELD, E.RECEIVE_SCAN, E.HOLD, E.FAULT, E.CLOSE}
