"""Stop is real: asserted on the simulated couch's true position, never on a call."""

from __future__ import annotations

import asyncio
import signal

import pytest

from isoalign.devices.errors import IpcError
from isoalign.errors import IsoalignError, RemoteError

pytestmark = pytest.mark.system

WATCHDOG_S = 0.25
STOP_TIME_S = 1.0
"""Deceleration from full speed with jerk limits takes about 0.4 s; the rest is for a loaded machine."""
TARGET_LONGITUDINAL_MM = 700.0


def assert_stopped_short(before: dict, after: dict) -> None:
    """The couch moved, stopped before the target, and stays."""
    assert after["standstill"]
    assert max(map(abs, after["velocity"])) == 0.0
    assert after["position"][1] > before["position"][1]
    assert after["position"][1] < TARGET_LONGITUDINAL_MM - 5.0


async def assert_stays(running_room, stopped: dict) -> None:
    await asyncio.sleep(0.5)
    later = running_room.truth()
    assert later["position"] == pytest.approx(stopped["position"], abs=0.06)


@pytest.mark.parametrize(
    ("victim", "causes"),
    [("room", {"CLIENT_LOST", "STOP_COMMAND", "HOST_LOST"}), ("daemon", {"HOST_LOST", "CLIENT_LOST", "ENABLE_LOST"})],
)
async def test_killing_a_process_while_the_couch_moves_stops_the_couch(running_room, victim: str, causes: set) -> None:
    await running_room.load()
    before = running_room.truth()
    async with running_room.enable_bar():
        move = asyncio.create_task(running_room.client.act("move_to_setup"))
        await running_room.wait_moving()
        running_room.room.processes[victim].kill()
        stopped = await running_room.wait_standstill(WATCHDOG_S + STOP_TIME_S)
        assert_stopped_short(before, stopped)
        assert stopped["stop_cause"] in causes
        await assert_stays(running_room, stopped)
        with pytest.raises(IsoalignError):
            await move


async def test_room_process_that_hangs_stops_the_couch(running_room) -> None:
    """SIGSTOP closes no connection: only the client counter that no longer advances tells daemon and couch."""
    await running_room.load()
    before = running_room.truth()
    async with running_room.enable_bar():
        move = asyncio.create_task(running_room.client.act("move_to_setup"))
        await running_room.wait_moving()
        process = running_room.room.processes["room"]
        process.send_signal(signal.SIGSTOP)
        try:
            stopped = await running_room.wait_standstill(WATCHDOG_S + STOP_TIME_S)
            assert_stopped_short(before, stopped)
            assert stopped["stop_cause"] in {"CLIENT_LOST", "STOP_COMMAND"}
        finally:
            process.send_signal(signal.SIGCONT)
        with pytest.raises(IsoalignError):
            await move
    assert (await running_room.client.status())["state"] == "held"


async def test_hold_stops_the_move_and_nothing_resumes_by_itself(running_room) -> None:
    await running_room.load()
    before = running_room.truth()
    async with running_room.enable_bar():
        move = asyncio.create_task(running_room.client.act("move_to_setup"))
        await running_room.wait_moving()
        await running_room.client.hold("a person stepped in")
        stopped = await running_room.wait_standstill(STOP_TIME_S)
        assert_stopped_short(before, stopped)
        with pytest.raises(RemoteError):
            await move
        assert (await running_room.client.status())["state"] == "held"
        with pytest.raises(RemoteError) as refused:
            await running_room.client.act("move_to_setup")
        assert refused.value.remote_code == "positioning.held"
        await assert_stays(running_room, stopped)
    # releasing and pressing the bar again resumes nothing either
    async with running_room.enable_bar():
        await assert_stays(running_room, stopped)
        with pytest.raises(RemoteError):
            await running_room.client.act("move_to_setup")
    # a person clears, presses the bar anew, and starts the move again
    await running_room.client.clear("the room is empty", "physicist")
    await running_room.move_to_setup()
    assert running_room.truth()["position"][1] == pytest.approx(TARGET_LONGITUDINAL_MM, abs=0.2)


async def test_releasing_the_enable_bar_stops_the_move(running_room) -> None:
    await running_room.load()
    before = running_room.truth()
    async with running_room.enable_bar():
        move = asyncio.create_task(running_room.client.act("move_to_setup"))
        await running_room.wait_moving()
    stopped = await running_room.wait_standstill(WATCHDOG_S + STOP_TIME_S)
    assert_stopped_short(before, stopped)
    with pytest.raises(RemoteError):
        await move


async def test_client_of_the_room_that_goes_away_holds_the_couch(running_room) -> None:
    await running_room.load()
    before = running_room.truth()
    async with running_room.enable_bar():
        move = asyncio.create_task(running_room.client.act("move_to_setup"))
        await running_room.wait_moving()
        await running_room.client.close()
        stopped = await running_room.wait_standstill(WATCHDOG_S + STOP_TIME_S)
        assert_stopped_short(before, stopped)
        with pytest.raises(IpcError):
            await move
