"""Predicted stop distances beside the truth of a couch that is another process, stopped at random moments.

The couch itself says, on its own clock, when it made the last read-back and when it took STOP: how long STOP was on its
way, on a busy computer, is no part of what is tested. The same on a virtual clock, for many more motions and speeds, is
in tests/unit/devices/test_stopping.py.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from isoalign.devices.link_decode import LinkLine, decode_records
from isoalign.devices.link_log import read_log
from isoalign.devices.stopping import TRANSMISSION_S, StopPredictor
from isoalign.geometry.motion_profile import NORMAL_LIMITS, plan_synchronised
from isoalign.protocol import axes_from_micro
from isoalign.protocol.messages import AxisInfo, CommandEvent, CommandStatus, CouchState, Move

pytestmark = [pytest.mark.system, pytest.mark.lockstep]

HANDFUL, SOAK_TRIALS = 2, 30
SLOWEST = np.array([2.5, 2.5, 2.5, 0.15, 0.15, 0.15])
PLAY = np.array([0.02, 0.02, 0.02, 0.002, 0.002, 0.002])
"""Of the simulated gears: between the read-back and the table."""


def numbers(micro: Any) -> Any:
    return np.array([float(value or 0.0) for value in axes_from_micro(micro)])


def messages(lines: list[LinkLine], kind: Any) -> list[Any]:
    return [line.frame.message for line in lines if line.frame is not None and isinstance(line.frame.message, kind)]


@pytest.mark.parametrize(
    "trial", [pytest.param(n, marks=[] if n < HANDFUL else [pytest.mark.soak]) for n in range(SOAK_TRIALS)]
)
async def test_stop_at_a_random_moment(
    trial: int, bare_room: Any, start_machines: Callable[[Any], Awaitable[None]], tmp_path: Path
) -> None:
    dice = random.Random(trial)
    target = (
        dice.uniform(-100, 100),
        700.0 + dice.choice([-1, 1]) * dice.uniform(100, 200),
        dice.uniform(-200, -50),
        dice.uniform(-3, 3),
        dice.uniform(-3, 3),
        dice.choice([0.0, dice.uniform(-15, 15)]),
    )
    await start_machines(bare_room)
    await bare_room.start_daemon(record=str(tmp_path))
    async with await bare_room.connect() as client:
        steps = await bare_room.begin_move(client, target)
        await asyncio.sleep(dice.uniform(0.0, 1.0))  # the moment of the stop is what is drawn here
        await client.hold("test")
        rest = np.array((await bare_room.until_standstill())["position"])
        await steps.aclose()
    assert await bare_room.end(bare_room.daemon) == 0
    [path] = tmp_path.glob("couch.*")
    lines = list(decode_records(read_log(path)[1]))
    [move] = messages(lines, Move)
    [stopped] = [event for event in messages(lines, CommandEvent) if event.status is CommandStatus.ABORTED]
    state = [one for one in messages(lines, CouchState) if one.device_time_us <= stopped.device_time_us][-1]
    lag_s = max(axis.servo_lag_us for axis in messages(lines, AxisInfo)) * 1e-6
    profile = plan_synchronised(numbers(move.expected_start_micro), numbers(move.target_micro), NORMAL_LIMITS)
    position, velocity = numbers(state.primary_micro), numbers(state.velocity_micro_per_s)
    age_s = (stopped.device_time_us - state.device_time_us) * 1e-6 - TRANSMISSION_S
    predicted = StopPredictor(profile, lag_s).stop_distance(position.tolist(), velocity.tolist(), age_s)
    true = np.abs(rest - position)
    fast = np.abs(velocity) >= SLOWEST
    assert fast.any()
    assert (predicted + PLAY >= true).all()
    assert (predicted <= 1.2 * true + PLAY)[fast].all()
