"""What any couch behind this daemon must do, seen through its read-back alone: for the couch of another maker.

Without more the simulated couch is tested. ``ISOALIGN_COUCH=/dev/ttyUSB0@921600`` names another one: a real couch, or
firmware on a bench. It moves by 40 mm along the longitudinal axis and comes back; the pendant is simulated, so somebody
has to stand at the emergency stop. The couch must be free to move, and referenced.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from typing import Any

import pytest

from isoalign.devices.client import DeviceClient
from isoalign.devices.errors import PeerGone
from isoalign.devices.status import ARRIVED, MOVING, WAITING_FOR_ENABLE
from isoalign.errors import RemoteError
from isoalign.geometry import TableTopPosition

pytestmark = pytest.mark.system

COUCH = os.environ.get("ISOALIGN_COUCH", "")
WAY_MM = 40.0
FAST_MM_PER_S = 15.0
STOPS_WITHIN_S = 0.25 + 0.35 + 0.4
"""The slowest watchdog, a stop from full speed, and the time until a report of it is seen."""


def longitudinal(position: TableTopPosition, way_mm: float) -> TableTopPosition:
    values = list(position.values)
    values[1] += way_mm
    return TableTopPosition.from_values(position.representation, values)


async def position_of(client: DeviceClient) -> TableTopPosition:
    position = (await client.status()).couch_position
    assert position is not None
    return position


async def until(client: DeviceClient, condition: Any, timeout_s: float = 10.0) -> Any:
    async with asyncio.timeout(timeout_s), contextlib.aclosing(client.statuses()) as statuses:
        async for status in statuses:
            if condition(status):
                return status
    raise AssertionError


async def until_fast(client: DeviceClient) -> None:
    await until(client, lambda status: abs(status.axes[1].velocity) > FAST_MM_PER_S)


async def begin(room: Any, client: DeviceClient) -> Any:
    """A motion under way at speed; the bar is held."""
    steps = client.execute(await client.prepare(longitudinal(await position_of(client), WAY_MM)))
    async for step in steps:
        if step.phase == WAITING_FOR_ENABLE:
            await room.press_anew()
        if step.phase == MOVING:
            break
    await until_fast(client)
    return steps


async def go_home(room: Any, client: DeviceClient, home: TableTopPosition) -> None:
    await client.clear("conformance", "Test")
    async for step in client.execute(await client.prepare(home)):
        if step.phase == WAITING_FOR_ENABLE:
            await room.press_anew()
    await room.bar("release")


async def start_devices(room: Any) -> dict[str, Any]:
    """The pendant, and the couch unless one was named; returns where the couch is."""
    room.pendant = await room.start("isoalign.simulators", "pendant")
    if COUCH:
        serial, _, baud = COUCH.partition("@")
        return {"serial": serial, "baud": int(baud or 921_600)}
    room.couch = await room.start("isoalign.simulators", "couch", "--seed", "3")
    return {key: room.couch.ready[key] for key in ("serial", "baud")}


@pytest.fixture
async def conforming(bare_room: Any) -> AsyncIterator[tuple[Any, DeviceClient]]:
    """A daemon with the couch that is tested, and a client that has cleared the chain; the couch is brought back."""
    couch = await start_devices(bare_room)
    await bare_room.start_daemon(couch=couch, limits={})
    bare_room.couch_address = couch
    async with await bare_room.connect() as client:
        home = await position_of(client)
        yield bare_room, client
        if client.is_connected:
            await until(client, lambda status: not status.moving)
            await go_home(bare_room, client, home)


async def test_it_describes_itself(conforming: tuple[Any, DeviceClient]) -> None:
    """Same dictionary, six axes with their travel and their limits of motion; motion is permitted."""
    _, client = conforming
    status = await client.status()
    assert status.links["couch"] == "up"
    assert status.motion_permitted, status.interlocks
    assert len(status.axes) == 6
    plan = await client.prepare(longitudinal(await position_of(client), WAY_MM))
    assert plan.duration_s > 0.5
    assert 0 < plan.stop_distance_mm < 10.0, "the stop budget"


async def test_it_goes_there_and_back(conforming: tuple[Any, DeviceClient]) -> None:
    room, client = conforming
    home = await position_of(client)
    for way_mm in (WAY_MM, 0.0):
        target = longitudinal(home, way_mm)
        phases = []
        async for step in client.execute(await client.prepare(target)):
            phases.append(step.phase)
            if step.phase == WAITING_FOR_ENABLE:
                await room.press_anew()
        await room.bar("release")
        assert phases[-1] == ARRIVED
        assert (await position_of(client)).values == pytest.approx(target.values, abs=0.1)


async def test_it_does_not_move_without_a_new_press(conforming: tuple[Any, DeviceClient]) -> None:
    _, client = conforming
    steps = client.execute(await client.prepare(longitudinal(await position_of(client), WAY_MM)))
    before = await position_of(client)
    assert (await anext(steps)).phase == WAITING_FOR_ENABLE
    await asyncio.sleep(1.0)
    assert (await position_of(client)).values == pytest.approx(before.values, abs=0.05)
    await steps.aclose()


async def test_it_stops_for_stop_and_needs_a_clear(conforming: tuple[Any, DeviceClient]) -> None:
    room, client = conforming
    steps = await begin(room, client)
    at = await position_of(client)
    await client.hold("conformance")
    with pytest.raises(RemoteError) as caught:
        await anext(step async for step in steps if step.phase == ARRIVED)
    assert caught.value.remote_code == "device.hold"
    status = await until(client, lambda one: not one.moving, STOPS_WITHIN_S)
    assert abs(status.couch_position.values[1] - at.values[1]) < 12.0
    await room.press_anew()
    await asyncio.sleep(0.5)
    assert (await position_of(client)).values == pytest.approx(status.couch_position.values, abs=0.05), "resumed"
    assert not (await client.status()).motion_permitted


async def test_it_stops_when_the_bar_is_released(conforming: tuple[Any, DeviceClient]) -> None:
    room, client = conforming
    steps = await begin(room, client)
    await room.bar("release")
    with pytest.raises(RemoteError) as caught:
        await anext(step async for step in steps if step.phase == ARRIVED)
    assert caught.value.remote_code == "device.enable-released"
    await until(client, lambda one: not one.moving, STOPS_WITHIN_S)


async def test_it_stops_by_itself_when_the_host_dies(conforming: tuple[Any, DeviceClient]) -> None:
    """And says so to the next one, which may not move before somebody has cleared it."""
    room, client = conforming
    home = await position_of(client)
    steps = await begin(room, client)
    room.daemon.kill(signal.SIGKILL)
    with pytest.raises(PeerGone):
        await anext(step async for step in steps if step.phase == ARRIVED)
    await asyncio.sleep(STOPS_WITHIN_S)
    await room.start_daemon(couch=room.couch_address, limits={})
    async with await room.connect("again", clear=False) as again:
        status = await again.status()
        assert not status.moving
        assert status.first_fault is not None
        assert "HOST_LOST" in status.first_fault.text
        assert not status.motion_permitted
        await go_home(room, again, home)


HANGS = """
import asyncio, sys, time
from isoalign.devices.client import DeviceClient
from isoalign.geometry import TableTopPosition

async def main():
    client = await DeviceClient.connect(sys.argv[1], client="hangs")
    status = await client.status()
    values = list(status.couch_position.values)
    values[1] += float(sys.argv[2])
    target = TableTopPosition.from_values(status.couch_position.representation, values)
    async for step in client.execute(await client.prepare(target)):
        print(step.phase, flush=True)

asyncio.run(main())
"""


async def test_it_stops_by_itself_when_the_commanding_program_hangs(bare_room: Any) -> None:
    """The daemon is told to be patient for half a minute, so that only the couch's own watch is left."""
    couch = await start_devices(bare_room)
    await bare_room.start_daemon(couch=couch, limits={}, client_lease_s=30.0)
    async with await bare_room.connect() as client:
        home = await position_of(client)
        async with bare_room.program(HANGS, str(WAY_MM)) as process:
            assert (await asyncio.to_thread(process.stdout.readline)).strip() == WAITING_FOR_ENABLE
            await bare_room.press_anew()
            await until_fast(client)
            process.send_signal(signal.SIGSTOP)
            status = await until(client, lambda one: not one.moving, STOPS_WITHIN_S)
            assert status.couch_position.values[1] < home.values[1] + WAY_MM - 1.0
            status = await until(client, lambda one: one.first_fault is not None)
            assert "CLIENT_LOST" in status.first_fault.text
        await until(client, lambda one: one.activity == "idle")
        await go_home(bare_room, client, home)
