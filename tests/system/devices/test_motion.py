"""Motions on real processes. What counts is where the simulated couch truly is, never what a driver believes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from isoalign.devices.client import DeviceClient
from isoalign.devices.status import ARRIVED, MOVING, WAITING_FOR_ENABLE
from isoalign.errors import RemoteError
from isoalign.geometry import AXES, Representation, TableTopPosition

pytestmark = [pytest.mark.system, pytest.mark.lockstep]

FAR = (100.0, 900.0, -100.0, 2.0, -2.0, 10.0)
STOP_BUDGET_S = 0.35  # a stop from 50 mm/s with 500 mm/s^2 and 6000 mm/s^3, and the lag of the servo


def iec(*values: float) -> TableTopPosition:
    return TableTopPosition.from_values(Representation.IEC_61217, values)


async def test_move_arrives_where_it_should(room: Any, client: DeviceClient) -> None:
    target = (8.0, 715.0, -112.0, 1.5, -1.0, 2.0)
    steps = await room.move(client, target)
    phases = [step.phase for step in steps]
    assert phases[0] == WAITING_FOR_ENABLE
    assert MOVING in phases
    assert phases[-1] == ARRIVED
    moving = [step for step in steps if step.phase == MOVING]
    assert [s.fraction for s in moving] == sorted(s.fraction for s in moving)
    assert steps[-1].fraction == 1.0
    truth = await room.truth()
    assert truth["standstill"]
    assert truth["position"][:3] == pytest.approx(target[:3], abs=0.1)
    assert truth["position"][3:] == pytest.approx(target[3:], abs=0.02)
    status = await client.status()
    assert status.interlocks == ()
    assert status.activity == "idle"
    assert not status.moving


async def test_isocentric_target_is_converted(room: Any, client: DeviceClient) -> None:
    target = TableTopPosition(Representation.ISOCENTRIC_STANDARD, 2.0, 703.0, -118.0, 2.0, -1.0, 0.0)
    plan = await client.prepare(target)
    assert plan.target == target.in_representation(Representation.IEC_61217)


async def test_a_plan_tells_duration_and_stop_distance(room: Any, client: DeviceClient) -> None:
    plan = await client.prepare(iec(0.0, 900.0, -120.0, 0.0, 0.0, 0.0))
    assert plan.start.values == pytest.approx((0, 700, -120, 0, 0, 0), abs=0.05)
    assert 200 / 50 < plan.duration_s < 200 / 50 + 0.5
    assert 0 < plan.stop_distance_mm < 10.0
    steps = await room.begin_move(client, (0.0, 900.0, -120.0, 0.0, 0.0, 0.0))
    await room.until(lambda truth: abs(truth["velocity"][1]) > 49.0, "full speed")
    hold = asyncio.create_task(client.hold("test"))
    before = await room.truth()
    await room.ended_by(steps)
    await hold
    after = await room.until_standstill()
    assert after["position"][1] - before["position"][1] < plan.stop_distance_mm + 50.0 * 0.05


async def test_hold_stops_and_nothing_resumes(room: Any, client: DeviceClient) -> None:
    steps = await room.begin_move(client)
    await client.hold("patient coughs")
    error = await room.ended_by(steps)
    assert error.remote_code == "device.hold"
    assert "patient coughs" in error.message
    assert error.hint
    stopped = await room.until_standstill()
    assert stopped["stop_cause"] == "STOP_COMMAND"
    await room.stays()
    status = await client.status()
    assert status.first_fault is not None
    assert status.first_fault.rule_id == "hold"
    # releasing and pressing the bar does not resume it, and a new move is refused until a named user clears
    await room.press_anew()
    await room.stays()
    assert await room.refused(client) == "device.interlock-open"
    with pytest.raises(RemoteError, match="named user"):
        await client.clear("", "")
    assert set(await client.clear("patient is well", "Test")) >= {"hold"}
    await room.stays()
    # the press from before the clear is worth nothing
    waiting = client.execute(await client.prepare(iec(*FAR)))
    assert (await anext(waiting)).phase == WAITING_FOR_ENABLE
    await room.stays()
    await room.press_anew()
    await room.until_fast()
    await waiting.aclose()
    await room.until_standstill()


async def test_hold_at_rest_latches(room: Any, client: DeviceClient) -> None:
    await client.hold("because")
    assert await room.refused(client) == "device.interlock-open"
    await client.clear("because not", "Test")
    await room.move(client, (3.0, 702.0, -120.0, 0.0, 0.0, 0.0))


@pytest.mark.parametrize("act", ["release", "squeeze"])
async def test_enable_bar_released_or_squeezed_in_motion(room: Any, client: DeviceClient, act: str) -> None:
    steps = await room.begin_move(client)
    await room.bar(act)
    error = await room.ended_by(steps)
    assert error.remote_code == "device.enable-released"
    stopped = await room.until_standstill()
    assert stopped["stop_cause"] in {"ENABLE_LOST", "STOP_COMMAND"}
    await room.press_anew()
    await room.stays()
    assert await room.refused(client) == "device.interlock-open"


async def test_move_without_a_press_is_refused_in_time(
    bare_room: Any, start_machines: Callable[[Any], Awaitable[None]]
) -> None:
    await start_machines(bare_room)
    await bare_room.start_daemon(enable_wait_s=0.3)
    async with await bare_room.connect() as client:
        assert await bare_room.refused(client) == "device.enable-not-pressed"
        assert (await client.status()).interlocks == ()  # nothing moved, nothing is latched
        # a bar that was held all the time is no press
        await bare_room.bar("press")
        await client.clear("again", "Test")
        assert await bare_room.refused(client) == "device.enable-not-pressed"


async def test_one_press_moves_once(room: Any, client: DeviceClient) -> None:
    await room.bar("press")
    async for _ in client.execute(await client.prepare(iec(2.0, 701.0, -120.0, 0.0, 0.0, 0.0))):
        pass  # a press just before the move is as good as one just after it
    second = client.execute(await client.prepare(iec(*FAR)))
    assert (await anext(second)).phase == WAITING_FOR_ENABLE
    await room.stays()
    await second.aclose()


async def test_leaving_the_motion_early_stops_the_couch(room: Any, client: DeviceClient) -> None:
    steps = await room.begin_move(client)
    await steps.aclose()
    await room.until_standstill()
    await room.stays()
    status = await client.status()
    assert status.first_fault is not None
    assert status.first_fault.rule_id == "client-heartbeat"


async def test_second_client_may_hold_but_not_move(room: Any, client: DeviceClient) -> None:
    steps = await room.begin_move(client)
    async with await room.connect("second", clear=False) as second:
        with pytest.raises(RemoteError) as caught:
            await second.prepare(iec(*FAR))
        assert caught.value.remote_code == "device.busy"
        with pytest.raises(RemoteError) as caught:
            await second.clear("no", "Test")
        assert caught.value.remote_code == "device.busy"
        await second.hold("second sees something")
    assert (await room.ended_by(steps)).remote_code == "device.hold"
    await room.until_standstill()


@pytest.mark.parametrize("name", ["freeze", "link_drop"])
async def test_couch_falls_silent_in_motion(room: Any, client: DeviceClient, name: str) -> None:
    steps = await room.begin_move(client)
    await room.fault(name)
    error = await room.ended_by(steps)
    assert error.remote_code == "device.link-lost"
    await room.until_standstill()
    await room.clear_fault(name)
    await room.stays()
    status = await until_status(client, lambda s: s.links["couch"] == "up")
    assert not status.motion_permitted
    assert await room.refused(client) == "device.interlock-open"
    await client.clear("cable was loose", "Test")
    await room.move(client, (3.0, *(await room.truth())["position"][1:]))


async def test_couch_unplugged_at_rest_needs_a_clear(room: Any, client: DeviceClient) -> None:
    plan = await client.prepare(iec(*FAR))
    await room.fault("link_drop")
    await until_status(client, lambda s: s.links["couch"] != "up")
    await room.clear_fault("link_drop")
    status = await until_status(client, lambda s: s.links["couch"] == "up")
    assert [interlock.rule_id for interlock in status.interlocks if interlock.latched] == ["couch-session"]
    await client.clear("cable was loose", "Test")
    with pytest.raises(RemoteError) as caught:
        async for _ in client.execute(plan):
            pass
    assert caught.value.remote_code == "device.plan-expired"


async def test_bar_pressed_anew_at_once_after_a_motion(room: Any, client: DeviceClient) -> None:
    """Regression: the couch was still ready of the press before, so MOVE overtook the new one and was refused."""
    for number in range(8):
        plan = await client.prepare(iec(0.2 * (number % 2), 700.0, -120.0, 0.0, 0.0, 0.0))
        phases = []
        async for step in client.execute(plan):
            phases.append(step.phase)
            if step.phase == WAITING_FOR_ENABLE:
                await room.press_anew()
        assert phases[-1] == ARRIVED


async def test_secondary_channel_drifts_at_rest(room: Any, client: DeviceClient) -> None:
    """Found before the position is half a millimetre wrong; motion and exposure are refused."""
    await room.fault("secondary_drift", axis=2, rate_per_s=0.5)
    status = await until_status(client, lambda s: s.first_fault is not None)
    assert status.first_fault is not None
    assert status.first_fault.rule_id == "channels-standing"
    assert abs(status.axes[2].primary - status.axes[2].secondary) < 0.5 + 0.2
    assert not status.motion_permitted
    assert not status.exposure_permitted


async def test_stuck_axis_never_counts_as_arrived(room: Any, client: DeviceClient) -> None:
    await room.fault("stuck_axis", axis=1)
    steps = client.execute(await client.prepare(iec(5.0, 760.0, -120.0, 0.0, 0.0, 0.0)))
    assert (await anext(steps)).phase == WAITING_FOR_ENABLE
    await room.press_anew()
    assert (await room.ended_by(steps)).remote_code in {"device.couch-fault", "device.motion-timeout"}
    await room.until_standstill()
    assert not (await client.status()).motion_permitted


async def test_motion_that_misses_its_target(bare_room: Any, start_machines: Callable[[Any], Awaitable[None]]) -> None:
    """DONE from the couch is no arrival: with a tolerance below the noise of the encoders none is ever accepted."""
    await start_machines(bare_room)
    await bare_room.start_daemon(arrival_tolerance_mm=1e-5, arrival_tolerance_deg=1e-7, settling_s=0.5)
    async with await bare_room.connect() as client:
        steps = client.execute(await client.prepare(iec(2.0, 702.0, -120.0, 0.0, 0.0, 0.0)))
        assert (await anext(steps)).phase == WAITING_FOR_ENABLE
        await bare_room.press_anew()
        error = await bare_room.ended_by(steps)
        assert error.remote_code == "device.motion-timeout"
        # which axes are off is the encoders' noise; two given ones may both read their target by chance, 1 in 60
        assert any(axis in error.message for axis in AXES), error.message
        status = await client.status()
        assert status.first_fault is not None
        assert status.first_fault.rule_id == "motion-outcome"


@pytest.mark.parametrize(
    "target",
    [(249.0, 700, -120, 0, 0, 0), (0, 700, 99.0, 0, 0, 0), (0, 700, -120, -4.9, 0, 0), (0, 700, -120, 0, 0, 94.9)],
)
async def test_target_beyond_the_soft_limits(room: Any, client: DeviceClient, target: tuple[float, ...]) -> None:
    with pytest.raises(RemoteError, match="soft limits") as caught:
        await client.prepare(iec(*target))
    assert caught.value.remote_code == "device.out-of-limits"


async def test_plan_is_used_once_and_expires_when_the_couch_moves(room: Any, client: DeviceClient) -> None:
    other = await client.prepare(iec(*FAR))
    plan = await client.prepare(iec(2.0, 702.0, -120.0, 0.0, 0.0, 0.0))
    await room.press_anew()
    async for _ in client.execute(plan):
        pass
    for stale in (plan, other):
        with pytest.raises(RemoteError) as caught:
            async for _ in client.execute(stale):
                pass
        assert caught.value.remote_code == "device.plan-expired"


async def until_status(client: DeviceClient, condition: Callable[[Any], bool]) -> Any:
    async with asyncio.timeout(20):
        async with contextlib.aclosing(client.statuses()) as statuses:
            async for status in statuses:
                if condition(status):
                    return status
    raise AssertionError
