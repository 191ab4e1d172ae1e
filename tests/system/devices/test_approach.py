"""Motions whose last part always comes from the calibrated side; what that is worth is read from the true position."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest

from isoalign.devices.client import DeviceClient
from isoalign.devices.status import ARRIVED, DIRECT, MOVING, UNIDIRECTIONAL, WAITING_FOR_ENABLE
from isoalign.errors import RemoteError
from isoalign.geometry import Representation, TableTopPosition

pytestmark = [pytest.mark.system, pytest.mark.lockstep]

TARGET = np.array([4.0, 704.0, -116.0, 0.5, -0.5, 1.0])
ASIDE = np.array([3.0, 3.0, 3.0, 0.3, 0.3, 0.3])
BACKLASH = np.array([0.02, 0.02, 0.02, 0.002, 0.002, 0.002])
"""Whole width of the play of the simulated gears."""


def iec(values: Any) -> TableTopPosition:
    return TableTopPosition.from_values(Representation.IEC_61217, [float(value) for value in values])


async def move(room: Any, client: DeviceClient, target: Any, approach: str) -> list[str]:
    phases = []
    async for step in client.execute(await client.prepare(iec(target), approach)):
        phases.append(step.phase)
        if step.phase == WAITING_FOR_ENABLE:
            await room.press_anew()
    await room.bar("release")
    return phases


async def true_rest(room: Any) -> Any:
    return np.array((await room.until(lambda truth: truth["brakes_engaged"], "brakes hold"))["position"])


async def spread_of_both_sides(room: Any, client: DeviceClient, approach: str) -> Any:
    """How far apart the true positions are when the target is come to from above and from below on every axis."""
    reached = []
    for side in (1.0, -1.0):
        await move(room, client, TARGET + side * ASIDE, DIRECT)
        await move(room, client, TARGET, approach)
        reached.append(await true_rest(room))
    return np.abs(reached[0] - reached[1])


async def test_the_play_of_the_gears_is_always_taken_up_from_one_side(room: Any, client: DeviceClient) -> None:
    direct = await spread_of_both_sides(room, client, DIRECT)
    assert (direct > 0.8 * BACKLASH).all(), "without the approach the play decides"
    one_sided = await spread_of_both_sides(room, client, UNIDIRECTIONAL)
    assert (one_sided < 0.25 * BACKLASH).all()


async def test_a_plan_tells_where_it_rests_on_the_way(room: Any, client: DeviceClient) -> None:
    plan = await client.prepare(iec(TARGET), UNIDIRECTIONAL)
    assert plan.approach == UNIDIRECTIONAL
    [waypoint] = plan.waypoints
    assert TARGET - np.array(waypoint.values) == pytest.approx([0.5, 0.5, 0.5, 0.05, 0.05, 0.05])
    direct = await client.prepare(iec(TARGET))
    assert direct.approach == DIRECT
    assert direct.waypoints == ()
    assert plan.duration_s > direct.duration_s + 0.1
    # every axis comes from the right side anyway
    ahead = np.array(plan.start.values) + ASIDE
    assert (await client.prepare(iec(ahead), UNIDIRECTIONAL)).waypoints == ()


async def test_both_parts_happen_under_one_press(room: Any, client: DeviceClient) -> None:
    phases = await move(room, client, TARGET, UNIDIRECTIONAL)
    assert phases.count(WAITING_FOR_ENABLE) == 1
    assert phases[-1] == ARRIVED
    assert phases.count(ARRIVED) == 1
    assert (await room.truth())["position"] == pytest.approx(TARGET.tolist(), abs=0.05)
    # and that press is used up
    again = client.execute(await client.prepare(iec(TARGET + ASIDE)))
    assert (await anext(again)).phase == WAITING_FOR_ENABLE
    await again.aclose()


async def test_the_bar_must_stay_pressed_between_the_parts(room: Any, client: DeviceClient) -> None:
    """Released where the first part ends, pressed again at once: the second part does not happen."""
    plan = await client.prepare(iec(TARGET), UNIDIRECTIONAL)
    waypoint = np.array(plan.waypoints[0].values)
    steps = client.execute(plan)
    async for step in steps:
        if step.phase == WAITING_FOR_ENABLE:
            await room.press_anew()
        if step.phase == MOVING:
            break
    await room.until(lambda truth: max(abs(np.array(truth["position"]) - waypoint)) < 0.05, "first part ends")
    await room.press_anew()
    with pytest.raises(RemoteError) as caught:
        await anext(step async for step in steps if step.phase == ARRIVED)
    assert caught.value.remote_code in {"device.enable-released", "device.refused"}
    await asyncio.sleep(0.3)
    assert max(abs(np.array((await room.truth())["position"]) - TARGET)[:3]) > 0.05
    assert (await room.truth())["standstill"]


async def test_direction_and_length_are_settings(
    bare_room: Any, start_machines: Callable[[Any], Awaitable[None]]
) -> None:
    await start_machines(bare_room)
    await bare_room.start_daemon(approach={"overshoot_mm": 1.5, "signs": {"vertical": -1, "pitch": -1}})
    async with await bare_room.connect() as client:
        plan = await client.prepare(iec(TARGET), UNIDIRECTIONAL)
        last_part = TARGET - np.array(plan.waypoints[0].values)
        assert last_part == pytest.approx([1.5, 1.5, -1.5, -0.05, 0.05, 0.05])
        # the couch may stand at the limit, but not go beyond it to come back
        with pytest.raises(RemoteError, match="approached") as caught:
            await client.prepare(iec([*TARGET[:2], 97.9, *TARGET[3:]]), UNIDIRECTIONAL)
        assert caught.value.remote_code == "device.out-of-limits"
        with pytest.raises(RemoteError, match="sideways") as caught:
            await client.prepare(iec(TARGET), "sideways")
        assert caught.value.remote_code == "ipc.bad-parameters"
