"""Gantry and imager arm through the daemon; what counts is the simulated gantry's true angle."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Any

import pytest

from isoalign.devices.client import DeviceClient
from isoalign.devices.gantry_status import GantryPlan, GantryProgress
from isoalign.devices.status import ARRIVED, MOVING, WAITING_FOR_ENABLE
from isoalign.errors import RemoteError
from isoalign.geometry import Representation, TableTopPosition

pytestmark = pytest.mark.system
DEADLINE_S = 15.0
FAR_DEG = 150.0
NEAR = TableTopPosition.from_values(Representation.IEC_61217, (0.0, 760.0, -120.0, 0.0, 0.0, 0.0))


class Gantry:
    """The gantry simulator of a room: its truth, its faults, and motions through the daemon."""

    def __init__(self, room: Any) -> None:
        self.room = room

    async def truth(self, do: str = "truth", **values: Any) -> dict[str, Any]:
        return dict(await self.room.gantry.ask(do=do, **values))

    async def fault(self, name: str, **values: Any) -> None:
        await self.truth("fault", name=name, **values)

    async def until(self, holds: Callable[[dict[str, Any]], bool], what: str) -> dict[str, Any]:
        loop = asyncio.get_running_loop()
        begun_s = loop.time()
        while True:
            truth = await self.truth()
            if holds(truth):
                return truth
            assert loop.time() - begun_s < DEADLINE_S, f"not within {DEADLINE_S} s: {what}: {truth}"
            await asyncio.sleep(0.002)

    async def until_standstill(self) -> dict[str, Any]:
        return await self.until(lambda truth: truth["standstill"], "gantry stands still")

    async def run(self, client: DeviceClient, plan: GantryPlan) -> list[GantryProgress]:
        """A whole motion; the bar is released afterwards."""
        steps: list[GantryProgress] = []
        try:
            async with contextlib.aclosing(client.execute_gantry(plan)) as progress:
                async for step in progress:
                    steps.append(step)
                    if step.phase == WAITING_FOR_ENABLE:
                        await self.room.press_anew()
        finally:
            self.seen = steps
            await self.room.bar("release")
        return steps

    async def begin(self, client: DeviceClient) -> AsyncGenerator[GantryProgress, None]:
        """A rotation that truly has its full speed; the bar is held."""
        self.plan = await client.prepare_rotation(FAR_DEG)
        steps = client.execute_gantry(self.plan)
        async for step in steps:
            if step.phase == WAITING_FOR_ENABLE:
                await self.room.press_anew()
            if step.phase == MOVING:
                break
        await self.until(lambda truth: truth["speed_deg_per_s"] > 6.98, "gantry rotates")
        return steps


@pytest.fixture
def gantry(gantry_room: Any) -> Gantry:
    return Gantry(gantry_room)


@pytest.fixture
async def client(gantry: Gantry) -> AsyncIterator[DeviceClient]:
    """A client that has cleared the chain; couch and gantry have heard the pendant, and the arm is stowed."""
    async with await gantry.room.connect(clear=False) as connected:
        async with asyncio.timeout(DEADLINE_S):
            while True:
                status = await connected.status()
                if status.couch_hears_pendant and status.gantry is not None and status.gantry.hears_pendant:
                    with contextlib.suppress(RemoteError):
                        await connected.clear("test begins", "Test")
                        break
                await asyncio.sleep(0.02)
        if (await gantry.truth())["arm"] > 0:
            await gantry.run(connected, await connected.prepare_arm("stowed"))
        yield connected


async def caught(act: Any) -> str:
    """The code of the error with which something ends."""
    with pytest.raises(RemoteError) as error:
        await asyncio.wait_for(act, DEADLINE_S)
    return error.value.remote_code


async def drained(steps: AsyncGenerator[GantryProgress, None]) -> None:
    async for _ in steps:
        pass


@pytest.mark.lockstep
async def test_a_rotation_arrives_where_it_should_and_nothing_else_moves_meanwhile(
    gantry: Gantry, client: DeviceClient
) -> None:
    begun_deg = (await gantry.truth())["angle_deg"]
    target_deg = round(begun_deg) + 9.0
    before = await client.status()
    assert before.gantry is not None
    assert before.gantry.angle_deg == pytest.approx(begun_deg, abs=0.02)
    assert before.gantry.secondary_deg == pytest.approx(begun_deg, abs=0.02)
    assert (before.gantry.arm, before.gantry.moving, before.links["gantry"]) == ("STOWED", False, "up")
    assert before.gantry.age_s < 0.15
    assert before.interlocks == ()
    couch = (await gantry.room.truth())["position"]
    plan = await client.prepare_rotation(target_deg)
    assert 2.0 < plan.stop_distance_deg < 5.0
    steps = await gantry.run(client, plan)
    truth = await gantry.truth()
    assert truth["angle_deg"] == pytest.approx(target_deg, abs=0.02)
    assert truth["standstill"]
    assert [steps[0].phase, steps[-1].phase] == [WAITING_FOR_ENABLE, ARRIVED]
    assert steps[-1].elapsed_s == pytest.approx(plan.duration_s, abs=0.8)
    fractions = [step.fraction for step in steps]
    assert fractions == sorted(fractions)
    assert (await gantry.room.truth())["position"] == couch
    # one press is one motion: this one is used up, and a second plan waits for a new one
    await gantry.room.bar("press")
    assert await caught(drained(client.execute_gantry(plan))) == "device.plan-expired"


@pytest.mark.lockstep
async def test_bar_let_go_in_a_rotation(gantry: Gantry, client: DeviceClient) -> None:
    steps = await gantry.begin(client)
    at_deg = (await gantry.truth())["angle_deg"]
    await gantry.room.bar("release")
    stopped = await gantry.until_standstill()
    assert stopped["angle_deg"] - at_deg < gantry.plan.stop_distance_deg
    assert stopped["stop_cause"] in {"ENABLE_LOST", "STOP_COMMAND"}
    assert await caught(drained(steps)) == "device.enable-released"
    await gantry.room.press_anew()
    await asyncio.sleep(0.2)
    assert (await gantry.truth())["angle_deg"] == pytest.approx(stopped["angle_deg"], abs=0.02)
    assert not (await client.status()).motion_permitted
    await client.clear("seen", "Test")
    assert (await client.status()).motion_permitted


@pytest.mark.lockstep
async def test_hold_stops_a_rotation(gantry: Gantry, client: DeviceClient) -> None:
    steps = await gantry.begin(client)
    at_deg = (await gantry.truth())["angle_deg"]
    await client.hold("test")
    stopped = await gantry.until_standstill()
    assert stopped["angle_deg"] - at_deg < gantry.plan.stop_distance_deg
    assert stopped["stop_cause"] == "STOP_COMMAND"
    assert await caught(drained(steps)) == "device.hold"


async def test_a_killed_daemon(gantry: Gantry, client: DeviceClient) -> None:
    await gantry.begin(client)
    gantry.room.daemon.kill(signal.SIGKILL)
    killed = await gantry.truth()
    stopped = await gantry.until_standstill()
    assert stopped["stop_cause"] == "HOST_LOST"
    assert stopped["t_s"] - killed["t_s"] < 0.15 + 1.0


@pytest.mark.lockstep
async def test_no_couch_motion_while_the_gantry_rotates(gantry: Gantry, client: DeviceClient) -> None:
    couch_plan = await client.prepare(NEAR)
    steps = await gantry.begin(client)
    assert await caught(client.prepare(NEAR)) == "device.busy"
    assert await caught(drained(client.execute(couch_plan))) == "device.busy"
    assert not (await client.status()).motion_permitted
    await client.hold("test ends")
    assert await caught(drained(steps)) == "device.hold"


@pytest.mark.lockstep
async def test_no_rotation_while_the_couch_moves(gantry: Gantry, client: DeviceClient) -> None:
    at_deg = (await gantry.truth())["angle_deg"]
    plan = await client.prepare_rotation(at_deg + 5.0)
    steps = await gantry.room.begin_move(client)
    assert await caught(client.prepare_rotation(at_deg + 5.0)) == "device.busy"
    assert await caught(drained(client.execute_gantry(plan))) == "device.busy"
    await client.hold("test ends")
    assert await caught(drained(steps)) == "device.hold"
    assert (await gantry.truth())["angle_deg"] == pytest.approx(at_deg, abs=0.01)


@pytest.mark.lockstep
async def test_a_gantry_whose_angle_is_not_known_stops_the_couch_and_lets_nothing_begin(
    gantry: Gantry, client: DeviceClient
) -> None:
    steps = await gantry.room.begin_move(client)
    await gantry.fault("encoder_invalid", channel=2)
    await gantry.room.until_standstill()
    assert await caught(drained(steps)) == "device.interlock-open"
    status = await client.status()
    assert status.first_fault is not None
    assert status.first_fault.rule_id == "gantry-angle"
    assert await caught(client.clear("too early", "Test")) == "interlock.clear-refused"
    assert await caught(drained(client.execute(await client.prepare(NEAR)))) == "device.interlock-open"
    await gantry.truth("clear")
    assert await caught(drained(client.execute(await client.prepare(NEAR)))) == "device.interlock-open"
    await client.clear("seen", "Test")
    assert (await client.status()).motion_permitted


@pytest.mark.lockstep
async def test_the_arm_decides_what_may_rotate(gantry: Gantry, client: DeviceClient) -> None:
    """Out, half-way, lost, and back: a rotation needs it stowed, a cone-beam rotation extended."""
    near_deg = (await gantry.truth())["angle_deg"] + 2.0
    cone_beam = client.prepare_cone_beam(near_deg, near_deg + 5.0, trigger_spacing_deg=1.0)
    assert await caught(cone_beam) == "device.interlock-open"
    steps = await gantry.run(client, await client.prepare_arm("extended"))
    assert steps[-1].arm == "EXTENDED"
    assert (await gantry.truth())["arm"] == 1.0
    assert await caught(client.prepare_rotation(near_deg)) == "device.interlock-open"
    # stopped half-way nobody knows where it is: then it alone may move, back to an end
    async for step in client.execute_gantry(await client.prepare_arm("stowed")):
        if step.phase == WAITING_FOR_ENABLE:
            await gantry.room.press_anew()
        elif (await gantry.truth())["arm"] < 0.9:
            break
    await gantry.until(lambda truth: truth["arm_state"] == "UNKNOWN", "arm stands between its ends")
    await gantry.room.bar("release")
    async with asyncio.timeout(DEADLINE_S):
        while (await client.status()).activity != "idle":
            await asyncio.sleep(0.01)
    assert "imager-arm" in await _cleared_with_what_is_open(client)
    assert not (await client.status()).motion_permitted
    assert await caught(client.prepare_rotation(near_deg)) == "device.interlock-open"
    await gantry.run(client, await client.prepare_arm("stowed"))
    assert (await gantry.truth())["arm"] == 0.0
    status = await client.status()
    assert (status.interlocks, status.motion_permitted) == ((), True)


async def _cleared_with_what_is_open(client: DeviceClient) -> set[str]:
    await client.clear("seen", "Test")
    return {one.rule_id for one in (await client.status()).interlocks}


@pytest.mark.lockstep
async def test_a_cone_beam_rotation_delivers_every_trigger_in_order(gantry: Gantry, client: DeviceClient) -> None:
    await gantry.run(client, await client.prepare_arm("extended"))
    from_deg = round((await gantry.truth())["angle_deg"]) + 4.0
    plan = await client.prepare_cone_beam(from_deg, from_deg + 14.0, trigger_spacing_deg=0.5)
    assert plan.cone_beam is not None
    assert plan.cone_beam.total == 29
    steps = await gantry.run(client, plan)
    events = [event for step in steps for event in step.triggers]
    assert [event.index for event in events] == list(range(29))
    truth = (await gantry.truth("triggers"))["triggers"]
    assert len(truth) == 29
    for event, made in zip(events, truth, strict=True):
        assert event.angle_deg == pytest.approx(made["angle_deg"], abs=0.02)
        assert made["angle_deg"] == pytest.approx(from_deg + 0.5 * made["index"], abs=0.03)
    assert steps[-1].phase == ARRIVED


@pytest.mark.lockstep
async def test_a_lost_trigger_is_an_error_that_names_it(gantry: Gantry, client: DeviceClient) -> None:
    await gantry.run(client, await client.prepare_arm("extended"))
    await gantry.fault("trigger_missing", every=6)
    from_deg = round((await gantry.truth())["angle_deg"]) - 4.0
    plan = await client.prepare_cone_beam(from_deg, from_deg - 8.0, trigger_spacing_deg=0.5)
    with pytest.raises(RemoteError, match=r"2 of 17 projections have no angle: 5, 11") as error:
        await gantry.run(client, plan)
    assert error.value.remote_code == "device.projections-missing"
    events = [event.index for step in gantry.seen for event in step.triggers]
    assert events == [index for index in range(17) if index not in (5, 11)]
    assert (await client.status()).motion_permitted  # the gantry has done what it should: nothing to clear


@pytest.mark.lockstep
async def test_an_arm_of_which_nobody_knows_where_it_is(gantry: Gantry, client: DeviceClient) -> None:
    """In motion it stops the couch; cleared it still refuses motion, rotation and exposure."""
    near_deg = (await gantry.truth())["angle_deg"] + 2.0
    steps = await gantry.room.begin_move(client)
    await gantry.fault("arm_unknown")
    await gantry.room.until_standstill()
    assert await caught(drained(steps)) in {"device.interlock-open", "device.gantry-fault"}
    await client.clear("seen", "Test")
    status = await client.status()
    assert {one.rule_id for one in status.interlocks} == {"imager-arm"}
    assert (status.motion_permitted, status.exposure_permitted) == (False, False)
    assert await caught(client.prepare_rotation(near_deg)) == "device.interlock-open"
