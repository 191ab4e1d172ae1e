"""A received message is the same as one that was made, whether or not anybody has looked at its arrays."""

from __future__ import annotations

import copy
import dataclasses
import pickle

import pytest

from isoalign.protocol import Header, decode, encode
from isoalign.protocol.messages import (
    CommandStatus,
    CouchMode,
    CouchState,
    CouchStatus,
    Heartbeat,
    Latch,
    Move,
    SpeedClass,
)
from isoalign.protocol.reading import FRAME_TWIN, HEADER_TWIN

STATE = CouchState(
    device_time_us=2**40,
    state_count=7,
    mode=CouchMode.OPERATION_ENABLED,
    latch=Latch.NONE,
    status=CouchStatus.REFERENCED | CouchStatus.HOST_FRESH,
    last_command_id=3,
    last_command_status=CommandStatus.STARTED,
    host_counter=None,
    client_counter=9,
    press_count=2,
    token_counter=0,
    token_age_us=20_000,
    following_error_axis=6,
    primary_micro=(1, -2, 3, -4, 5, 2**31 - 1),
    secondary_micro=(None, 0, None, 128, -1, None),
    velocity_micro_per_s=(0, 0, 0, 0, 0, 0),
    target_micro=(1, 2, 3, 4, 5, -(2**31) + 1),
)


@pytest.fixture
def received() -> CouchState:
    message = decode(encode(STATE, Header(1, 2, 3, 4))[:-1]).message
    assert isinstance(message, CouchState)
    return message


def test_it_is_equal_and_looks_the_same(received: CouchState) -> None:
    assert received == STATE
    assert repr(received) == repr(STATE)
    assert hash(received) == hash(STATE)


def test_nobody_can_tell_which_array_was_read_first(received: CouchState) -> None:
    assert received.target_micro == STATE.target_micro
    assert received.secondary_micro == STATE.secondary_micro
    assert received.secondary_micro is received.secondary_micro
    assert received.primary_micro == STATE.primary_micro
    assert received.velocity_micro_per_s == STATE.velocity_micro_per_s


def test_it_is_frozen_before_and_after_its_arrays_are_read(received: CouchState) -> None:
    for _ in range(2):
        for name in ("primary_micro", "mode"):
            with pytest.raises(dataclasses.FrozenInstanceError):
                setattr(received, name, None)
            with pytest.raises(dataclasses.FrozenInstanceError):
                delattr(received, name)
        assert received.primary_micro == STATE.primary_micro
    frame = decode(encode(STATE)[:-1])
    with pytest.raises(dataclasses.FrozenInstanceError):
        frame.header.seq = 1  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError):
        frame.message = STATE  # type: ignore[misc]
    assert not isinstance(frame, FRAME_TWIN)
    assert not isinstance(frame.header, HEADER_TWIN)


def test_copies_and_pickles_of_an_unread_one(received: CouchState) -> None:
    for other in (copy.copy(received), copy.deepcopy(received), pickle.loads(pickle.dumps(received))):
        assert other == STATE
    assert dataclasses.replace(received, state_count=8) == dataclasses.replace(STATE, state_count=8)
    assert dataclasses.asdict(received) == dataclasses.asdict(STATE)
    assert encode(received) == encode(STATE)


def test_types_are_those_of_a_made_message(received: CouchState) -> None:
    assert type(received) is CouchState
    assert received.mode is CouchMode.OPERATION_ENABLED
    assert received.latch is Latch.NONE
    assert isinstance(received.status, CouchStatus)
    assert CouchStatus.HOST_FRESH in received.status
    move = Move(1, 2, SpeedClass.SERVICE, 500, (0, 1, 2, 3, 4, -5), (None, 1, 2, None, 4, 5))
    assert decode(encode(move)[:-1]).message == move


@pytest.mark.parametrize("message", [STATE, Heartbeat(1, None), decode(encode(STATE)[:-1]).message])
def test_a_name_that_no_field_has_is_an_attribute_error(message: CouchState) -> None:
    for name in ("command_id", "primary", "__length_hint__"):
        assert not hasattr(message, name)
    with pytest.raises(AttributeError, match="has no primary_mikro"):
        _ = message.primary_mikro  # type: ignore[attr-defined]
