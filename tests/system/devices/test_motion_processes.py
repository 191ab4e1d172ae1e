"""Motions while a process dies, hangs or pauses: what ends them is a watchdog in another process."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from isoalign.devices.client import DeviceClient
from isoalign.devices.errors import PeerGone
from isoalign.devices.status import WAITING_FOR_ENABLE
from isoalign.errors import RemoteError
from isoalign.geometry import Representation, TableTopPosition

pytestmark = pytest.mark.system

FAR = (100.0, 900.0, -100.0, 2.0, -2.0, 10.0)
TARGET = TableTopPosition.from_values(Representation.IEC_61217, FAR)
STOP_BUDGET_S = 0.35  # a stop from 50 mm/s with 500 mm/s^2 and 6000 mm/s^3, and the lag of the servo


async def test_daemon_killed_in_motion(room: Any, client: DeviceClient) -> None:
    """The couch stops by its own watchdog, and says why."""
    steps = await room.begin_move(client)
    room.daemon.kill(signal.SIGKILL)
    stopped = await room.until_standstill()
    assert stopped["stop_cause"] == "HOST_LOST"
    assert stopped["waited_s"] < 0.150 + STOP_BUDGET_S + 0.3
    with pytest.raises(PeerGone):
        async for _ in steps:
            pass
    # a new daemon finds the latch, and nothing moves before it is cleared and the bar pressed anew
    await room.start_daemon()
    async with await room.connect(clear=False) as again:
        status = await again.status()
        assert status.first_fault is not None
        assert status.first_fault.text == "the couch reports HOST_LOST"
        await room.press_anew()
        assert await room.refused(again) == "device.interlock-open"
        await again.clear("daemon was restarted", "Test")
        await room.stays()
        position = (await room.truth())["position"]
        await room.move(again, (position[0] + 3.0, *position[1:]))


async def test_daemon_stopped_by_the_kernel_in_motion(room: Any, client: DeviceClient) -> None:
    """A daemon that hangs is as dead as one that was killed, and does not go on when it wakes."""
    steps = await room.begin_move(client)
    room.daemon.kill(signal.SIGSTOP)
    stopped = await room.until_standstill()
    room.daemon.kill(signal.SIGCONT)
    assert stopped["stop_cause"] == "HOST_LOST"
    error = await room.ended_by(steps)
    assert error.remote_code in {
        "device.link-lost",
        "device.client-lost",
        "device.enable-released",
        "device.couch-fault",
    }
    await room.stays()


MOVER = """
import asyncio, sys
from isoalign.devices.client import DeviceClient
from isoalign.geometry import Representation, TableTopPosition

async def main():
    client = await DeviceClient.connect(sys.argv[1], client="mover")
    await client.clear("mover", "Test")
    target = TableTopPosition.from_values(Representation.IEC_61217, [float(v) for v in sys.argv[2:]])
    async for step in client.execute(await client.prepare(target)):
        print(step.phase, flush=True)

asyncio.run(main())
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "hanging"])
async def test_commanding_program_dies_or_hangs_in_motion(room: Any, number: signal.Signals) -> None:
    async with await room.connect("before", clear=False) as before:
        await room.until_couch_hears_pendant(before)
    async with room.program(MOVER, *map(str, FAR)) as process:
        assert (await asyncio.to_thread(process.stdout.readline)).strip() == WAITING_FOR_ENABLE
        await room.press_anew()
        await room.until_fast()
        process.send_signal(number)
        stopped = await room.until_standstill()
        assert stopped["waited_s"] < 0.250 + STOP_BUDGET_S + 0.3
        assert stopped["stop_cause"] in {"STOP_COMMAND", "CLIENT_LOST"}
        async with await room.connect(clear=False) as other:
            status = await other.status()
            assert status.first_fault is not None
            assert status.first_fault.rule_id in {"client-heartbeat", "couch-fault"}
            await room.press_anew()
            await room.stays()
            assert await room.refused(other) == "device.interlock-open"


async def test_watchdog_of_the_couch_alone_stops_for_a_commanding_program_that_hangs(
    bare_room: Any, start_machines: Callable[[Any], Awaitable[None]]
) -> None:
    """The daemon is told to wait for half a minute: what stops the couch is its own watch over the client's counter."""
    await start_machines(bare_room)
    await bare_room.start_daemon(client_lease_s=30.0)
    async with await bare_room.connect("before", clear=False) as before:
        await bare_room.until_couch_hears_pendant(before)
    async with bare_room.program(MOVER, *map(str, FAR)) as process:
        assert (await asyncio.to_thread(process.stdout.readline)).strip() == WAITING_FOR_ENABLE
        await bare_room.press_anew()
        await bare_room.until_fast()
        process.send_signal(signal.SIGSTOP)
        stopped = await bare_room.until_standstill()
        assert stopped["stop_cause"] == "CLIENT_LOST"
        assert stopped["waited_s"] < 0.250 + STOP_BUDGET_S + 0.3
        latched = [line["rule"] for line in bare_room.daemon_log() if line["event"] == "interlock.latched"]
        assert "client-heartbeat" not in latched, "the daemon had not lost its patience"
        await bare_room.press_anew()
        await bare_room.stays()
        process.send_signal(signal.SIGCONT)
        await bare_room.stays()


async def test_blocking_the_clients_loop_stops_the_couch(room: Any, client: DeviceClient) -> None:
    """The heartbeat comes from the caller's own loop, so a program that no longer thinks does not move anything."""
    import time

    steps = await room.begin_move(client)
    time.sleep(0.6)
    assert (await room.ended_by(steps)).remote_code in {"device.client-lost", "device.couch-fault"}
    await room.until_standstill()


async def test_pause_of_the_computer_at_rest_needs_no_reset(room: Any, client: DeviceClient) -> None:
    """The couch ends the session of a daemon that paused; while nothing moves this voids plans and presses, no more."""
    plan = await client.prepare(TARGET)
    await room.press_anew()
    room.daemon.kill(signal.SIGSTOP)
    await room.until(lambda truth: truth["mode"] == "SWITCH_ON_DISABLED", "the couch has ended the session")
    room.daemon.kill(signal.SIGCONT)
    async with asyncio.timeout(20):
        while not (status := await client.status()).motion_permitted:
            assert not [interlock for interlock in status.interlocks if interlock.latched]
            await asyncio.sleep(0.005)
    with pytest.raises(RemoteError) as caught:
        async for _ in client.execute(plan):
            pass
    assert caught.value.remote_code == "device.plan-expired"
    await room.stays()
    await room.move(client, (2.0, 702.0, -120.0, 0.0, 0.0, 0.0))


async def test_act_right_after_a_pause_of_the_whole_computer(room: Any, client: DeviceClient) -> None:
    """Regression: the daemon took its own pause for silence of the couch, and latched a broken session for it.

    A later exposure or motion was then refused. And an act that came before the session was made anew was refused,
    although nothing was wrong.
    """
    machine = (room.couch, room.pendant, room.daemon)
    for _ in range(3):
        for process in machine:
            process.kill(signal.SIGSTOP)
        await asyncio.sleep(0.8)
        for process in machine:
            process.kill(signal.SIGCONT)
        await room.move(client, (1.0, 701.0, -120.0, 0.0, 0.0, 0.0))
        await room.move(client, (0.0, 700.0, -120.0, 0.0, 0.0, 0.0))
    assert not [line for line in room.daemon_log() if line["event"] == "interlock.latched"]
