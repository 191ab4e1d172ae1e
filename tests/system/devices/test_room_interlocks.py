"""What the room adds to a motion: speed classes, dry runs, the treatment beam, and the memory of the latest faults."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from isoalign.devices.client import DeviceClient
from isoalign.devices.status import ARRIVED, WAITING_FOR_ENABLE, MotionPlan
from isoalign.errors import RemoteError
from isoalign.geometry import Representation, TableTopPosition

pytestmark = pytest.mark.system

NEAR = (0.0, 712.0, -120.0, 0.0, 0.0, 0.0)
START = (0.0, 700.0, -120.0, 0.0, 0.0, 0.0)
FAR = (0.0, 900.0, -120.0, 0.0, 0.0, 0.0)
POST = [[x, y, z] for x in (800, 850) for y in (-300, -200) for z in (-400, 400)]
TOP = [[x, y, z] for x in (-265, 265) for y in (-2000, 0) for z in (-50, 0)]
BODY = [[x, y, z] for x in (-200, 200) for y in (-900, -100) for z in (1, 200)]


def iec(*values: float) -> TableTopPosition:
    return TableTopPosition.from_values(Representation.IEC_61217, values)


@pytest.fixture
def start(bare_room: Any, start_machines: Callable[[Any], Awaitable[None]]) -> Callable[..., Awaitable[Any]]:
    async def begin(**config: Any) -> Any:
        await start_machines(bare_room)
        await bare_room.start_daemon(**config)
        return bare_room

    return begin


async def ready(room: Any) -> DeviceClient:
    """A client whose couch hears the pendant."""
    client = await room.connect()
    async with asyncio.timeout(10):
        while not (await client.status()).couch_hears_pendant:
            await asyncio.sleep(0.005)
    return client


async def carry_out(room: Any, client: DeviceClient, plan: MotionPlan) -> float:
    """Carry out a plan; the greatest true speed, mm/s."""
    fastest = 0.0
    async with contextlib.aclosing(client.execute(plan)) as steps:
        async for step in steps:
            if step.phase == WAITING_FOR_ENABLE:
                await room.press_anew()
            fastest = max(fastest, *map(abs, (await room.truth())["velocity"][:3]))
    await room.bar("release")
    return fastest


async def refusal(act: Any) -> str:
    with pytest.raises(RemoteError) as caught:
        await act
    return caught.value.remote_code


@pytest.mark.lockstep
async def test_speed_classes_hold_on_the_true_couch(start: Callable[..., Awaitable[Any]]) -> None:
    room = await start(speed_class="service")
    async with await ready(room) as client:
        plan = await client.prepare(iec(*NEAR))
        assert plan.speed == "service"
        assert 8.0 < await carry_out(room, client, plan) < 10.5
        plan = await client.prepare(iec(*FAR), speed="normal")
        assert 40.0 < await carry_out(room, client, plan) < 51.5
        assert await refusal(client.prepare(iec(*START), speed="fast")) == "device.speed-not-allowed"
        assert await refusal(client.prepare(iec(*START), speed="hasty")) == "ipc.bad-parameters"
        assert (await client.status()).interlocks == ()


async def test_fast_needs_a_clearance_for_everybody_and_is_fast(start: Callable[..., Awaitable[Any]]) -> None:
    parts = [
        {"name": "table top", "frame": "table_top", "vertices_mm": TOP},
        {"name": "post", "frame": "fixed", "vertices_mm": POST},
    ]
    room = await start(clearance={"room": {"parts": parts, "uncertainty_mm": 0.0, "patient_unchecked": True}})
    async with await ready(room) as client:
        with pytest.raises(RemoteError, match="not checked for patient") as caught:
            await client.prepare(iec(*FAR), speed="fast")
        assert caught.value.remote_code == "device.speed-not-allowed"
        patient = {"name": "patient", "frame": "table_top", "vertices_mm": BODY, "body": "patient"}
        await client.place_patient([patient])
        plan = await client.prepare(iec(*FAR), speed="fast")
        assert plan.stop_distance_mm < 10.0
        assert 80.0 < await carry_out(room, client, plan) < 103.0
        assert (await room.truth())["position"][:3] == pytest.approx(FAR[:3], abs=0.1)
        assert (await client.status()).interlocks == ()


@pytest.fixture
async def remote(start: Callable[..., Awaitable[Any]]) -> AsyncIterator[tuple[Any, DeviceClient]]:
    room = await start(observation="remote", dry_run_expiry_s=1000.0)
    async with await ready(room) as client:
        yield room, client


@pytest.mark.lockstep
async def test_from_outside_every_motion_needs_a_dry_run_of_its_path(remote: tuple[Any, DeviceClient]) -> None:
    room, client = remote
    before = (await room.truth())["position"]
    plan = await client.prepare(iec(*NEAR))
    assert await refusal(anext(client.execute(plan))) == "device.dry-run-missing"
    assert (await room.truth())["position"] == before
    assert await refusal(client.prepare(iec(*NEAR), speed="normal", dry_run=True)) == "device.speed-not-allowed"
    dry = await client.prepare(iec(*NEAR), dry_run=True)
    assert (dry.speed, dry.dry_run) == ("service", True)
    assert await carry_out(room, client, dry) < 10.5
    await carry_out(room, client, await client.prepare(iec(*START)))
    await carry_out(room, client, await client.prepare(iec(*NEAR)))
    other = await client.prepare(iec(*FAR))
    assert await refusal(anext(client.execute(other))) == "device.dry-run-missing"


@pytest.mark.lockstep
async def test_a_dry_run_that_was_ended_allows_nothing(remote: tuple[Any, DeviceClient]) -> None:
    room, client = remote
    dry = await client.prepare(iec(*NEAR), dry_run=True)
    with contextlib.suppress(RemoteError):
        async for step in client.execute(dry):
            assert step.phase != ARRIVED
            await (room.press_anew() if step.phase == WAITING_FOR_ENABLE else room.bar("release"))
    await client.clear("test", "Test")
    assert await refusal(anext(client.execute(await client.prepare(iec(*NEAR))))) == "device.dry-run-missing"


@pytest.mark.lockstep
async def test_a_moving_couch_asks_for_a_beam_hold(room: Any, client: DeviceClient) -> None:
    assert not (await client.status()).beam_hold_requested
    steps = await room.begin_move(client)
    assert (await client.status()).beam_hold_requested
    await steps.aclose()
    await room.until_standstill()
    async with asyncio.timeout(5):
        while (await client.status()).beam_hold_requested:
            await asyncio.sleep(0.01)


@pytest.mark.lockstep
async def test_a_room_without_a_beam_takes_no_state_of_one(room: Any, client: DeviceClient) -> None:
    assert await refusal(client.beam_state("off", 1)) == "device.not-present"


@pytest.mark.lockstep
async def test_only_one_program_tells_the_beam(start: Callable[..., Awaitable[Any]]) -> None:
    room = await start(beam=True)
    async with await room.connect() as first:
        await first.beam_state("off", 1)
        async with await room.connect() as second:
            assert await refusal(second.beam_state("off", 1)) == "ipc.bad-parameters"
            assert await refusal(first.beam_state("dim", 2)) == "ipc.bad-parameters"
    async with await room.connect() as third:
        async with asyncio.timeout(5):
            while True:
                with contextlib.suppress(RemoteError):
                    await third.beam_state("off", 1)
                    break


@pytest.mark.lockstep
async def test_the_first_fault_is_remembered_with_what_was_seen_around_it(room: Any, client: DeviceClient) -> None:
    steps = await room.begin_move(client)
    while (await anext(steps)).elapsed_s < 2.2:
        pass
    await room.fault("touch", force_n=60.0)
    with pytest.raises(RemoteError):
        async for _ in steps:
            pass
    await asyncio.sleep(2.2)  # two seconds after the fault belong to the record
    history = await client.fault_record()
    assert history["faults"][0]["rule_id"] == "touch"
    samples = history["samples"]
    assert samples[0]["t_s"] == pytest.approx(-2.0, abs=0.05)
    assert samples[-1]["t_s"] == pytest.approx(2.0, abs=0.05)
    before = [one for one in samples if -0.1 < one["t_s"] < 0]
    after = [one for one in samples if one["t_s"] > 1.0]
    assert max(abs(v) for one in before for v in one["couch"]["velocity"][:3]) > 20.0
    assert all(one["couch"]["standstill"] for one in after)
    assert after[-1]["safety"]["touched"] == ["TABLE_TOP"]
    await room.clear_fault("touch")
    async with asyncio.timeout(5):
        while True:
            with contextlib.suppress(RemoteError):
                await client.clear("test", "Test")
                break
    assert [one["rule_id"] for one in (await client.fault_record(0))["faults"]] == ["touch"]
    assert (await client.fault_record(7))["samples"] == []
