"""Ages and proofs of a device's states, on a clock that the test moves."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from isoalign.clock import ManualClock
from isoalign.devices.errors import LinkLost, StaleState
from isoalign.devices.link import LinkState, SessionLoss
from isoalign.devices.pulse import Pulse
from isoalign.devices.state_stream import StateStream, is_new_fault_in_motion
from isoalign.protocol.messages import GantryLatch, Latch, TimeReply, TimeRequest
from isoalign.protocol.time_offset import TimeOffset


def bench() -> tuple[StateStream, Any, ManualClock]:
    clock = ManualClock()
    clock.advance(100.0)
    link = SimpleNamespace(
        name="couch", state=LinkState.UP, is_up=True, is_heard=True, last_loss=None, changed=Pulse(), sent=[],
        session=SimpleNamespace(clock=TimeOffset()),
    )  # fmt: skip
    link.send = link.sent.append
    return StateStream(link, clock), link, clock


def test_a_counter_that_stands_still_gets_old() -> None:
    stream, _, _ = bench()
    assert stream.take_state(7, 100.0) == 0.0
    assert stream.take_state(7, 100.2) == pytest.approx(0.2)
    assert stream.take_state(8, 100.3) == 0.0
    assert stream.take_state(8, 100.4) == pytest.approx(0.1)


def test_a_frame_is_as_old_as_it_is_and_one_from_the_future_is_not_fresh() -> None:
    stream, link, _ = bench()
    assert stream.made_at_s(5, 100.0) == 100.0, "nothing known of the device's clock yet"
    for moment in range(5):  # device time is host time less 90 s; the line takes no time
        host_us = 99_000_000 + moment * 100_000
        link.session.clock.add(host_us, host_us - 90_000_000, host_us - 90_000_000, host_us)
    assert stream.made_at_s(9_600_000, 100.0) == pytest.approx(99.6, abs=1e-3)
    assert stream.made_at_s(10_010_000, 100.0) == 100.0, "within what the clocks may differ by"
    assert stream.made_at_s(12_000_000, 100.0) == pytest.approx(98.0, abs=1e-3), "as old as it claims to be young"


async def test_only_a_state_that_came_after_the_answer_proves_anything() -> None:
    stream, link, clock = bench()
    asked = asyncio.create_task(stream.round_trip(5.0))
    await asyncio.sleep(0)
    assert isinstance(link.sent[0], TimeRequest)

    async def told(act: Any, *arguments: Any) -> bool:
        act(*arguments)
        link.changed.fire()
        for _ in range(5):
            await asyncio.sleep(0)
        return asked.done()

    sent_us = link.sent[0].host_send_us
    reply = TimeReply(host_send_us=sent_us, device_receive_us=sent_us, device_send_us=sent_us)
    assert not await told(stream.take_state, 1, clock.monotonic_s())
    assert not await told(stream.take_answer, reply)
    assert await told(stream.take_state, 2, clock.monotonic_s())
    await asked


async def test_no_answer_and_no_connection_are_told_by_name() -> None:
    stream, link, _ = bench()
    with pytest.raises(LinkLost, match="couch did not answer"):
        await stream.round_trip(0.01)
    link.is_up, link.state = False, LinkState.OPENING
    with pytest.raises(StaleState, match="couch is not connected"):
        await stream.round_trip(0.01)


def test_a_broken_session_stays_broken_until_somebody_takes_note() -> None:
    stream, link, _ = bench()
    assert not stream.follow_link()
    for loss, ok in ((SessionLoss.STALLED, None), (SessionLoss.BROKEN, False), (SessionLoss.STALLED, False)):
        link.is_heard = link.is_up = True
        stream.follow_link()
        link.is_heard = link.is_up = False
        link.last_loss = loss
        assert stream.follow_link()
        assert stream.session_ok is ok
    stream.acknowledge_loss()
    assert stream.session_ok is None
    link.state = LinkState.READ_ONLY
    assert stream.session_ok is False


@pytest.mark.parametrize("kind", [Latch, GantryLatch])
def test_new_faults_in_motion_and_nothing_else_ask_for_stop(kind: type[Latch | GantryLatch]) -> None:
    fault, other = kind.FOLLOWING_ERROR, kind.ENCODER_INVALID
    assert is_new_fault_in_motion(fault, None, moves=True)
    assert is_new_fault_in_motion(fault, kind.NONE, moves=True)
    assert is_new_fault_in_motion(other, fault, moves=True)
    assert not is_new_fault_in_motion(fault, fault, moves=True)
    assert not is_new_fault_in_motion(fault, kind.NONE, moves=False)
    for no_fault in (kind.NONE, kind.STOP_COMMAND):
        assert not is_new_fault_in_motion(no_fault, None, moves=True)
