"""Somebody gets on the couch far out, where it sinks most: what a compensated position tells, and what the chain says.

In virtual time; the couch's true position tells what it really does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from isoalign.devices.client import DeviceClient

pytestmark = [pytest.mark.system, pytest.mark.lockstep]

FAR_OUT = ("0", "1450", "-120", "0", "0", "0")
SAG = ("--sag-mm", "2", "--sag-pitch-deg", "0.1", "--load-compensation")
PER_KG = {"sag_mm_per_kg": 2 / 150, "sag_deg_per_kg": 0.1 / 150}
"""As a load test of the couch at its full extension says it."""


@pytest.fixture
def start(bare_room: Any) -> Callable[..., Awaitable[Any]]:
    async def begin(**config: Any) -> Any:
        line = () if not bare_room.is_virtual else ("--tcp",)
        couch = ("couch", "--seed", "7", "--start", *FAR_OUT, *SAG, *line)
        bare_room.couch = await bare_room.start("isoalign.simulators", *couch)
        bare_room.pendant = await bare_room.start("isoalign.simulators", "pendant")
        await bare_room.start_daemon(**config)
        return bare_room

    return begin


async def told(room: Any, client: DeviceClient, kg: float) -> tuple[float, set[str]]:
    """Somebody of this weight is on the table, for a while: vertical as the couch tells it, and the open interlocks."""
    await room.couch.ask(do="payload", kg=kg)
    await asyncio.sleep(3.0)
    status = await client.status()
    assert status.couch_position is not None
    return status.couch_position.vertical_mm, {one.rule_id for one in status.interlocks}


async def test_boarding_far_out_is_no_motion_without_a_command(start: Callable[..., Awaitable[Any]]) -> None:
    """Regression: 120 kg at 1450 mm sink the table top by 1.4 mm, which a compensated couch tells, and STO followed."""
    room = await start(**PER_KG)
    async with await room.connect() as client:
        begun_mm, _ = await told(room, client, 0.0)
        lowered_mm, interlocks = await told(room, client, 150.0)
        assert begun_mm - lowered_mm > 1.5, "more than is allowed without a reason"
        assert interlocks == set()
        truth = (await room.truth())["position"]
        assert lowered_mm == pytest.approx(truth[2], abs=0.3), "it truly is there"
        risen_mm, interlocks = await told(room, client, 0.0)
        assert (risen_mm, interlocks) == (pytest.approx(begun_mm, abs=0.1), set())


async def test_without_the_figures_of_this_couch_it_has_to_be_cleared(start: Callable[..., Awaitable[Any]]) -> None:
    room = await start()
    async with await room.connect() as client:
        await told(room, client, 0.0)
        assert (await told(room, client, 60.0))[1] == set()
        assert "uncommanded-motion" in (await told(room, client, 120.0))[1]
        await client.clear("the patient is on the couch", "Test")
        assert (await told(room, client, 120.0))[1] == set()


async def test_a_load_explains_no_motion_of_another_axis_and_no_more_than_its_sag(
    start: Callable[..., Awaitable[Any]],
) -> None:
    room = await start(**PER_KG)
    async with await room.connect() as client:
        await told(room, client, 120.0)
        await room.fault("creep", axis="lateral", speed=1.0)
        assert "uncommanded-motion" in (await told(room, client, 120.0))[1]
        await room.clear_fault("creep")
        await asyncio.sleep(1.0)
        await client.clear("seen", "Test")
        assert (await told(room, client, 120.0))[1] == set()
        await room.fault("creep", axis="vertical", speed=-1.0)  # the load is the same: this much is no sag
        assert "uncommanded-motion" in (await told(room, client, 120.0))[1]
