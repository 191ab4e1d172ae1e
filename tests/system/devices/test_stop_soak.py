"""Killing the daemon at any moment of a move: the couch always stops by itself, short of its target."""

from __future__ import annotations

import asyncio
import random
import signal
from typing import Any

import pytest

from isoalign.devices.errors import PeerGone

pytestmark = pytest.mark.system

TRIALS = 2
SOAK_TRIALS = 40
LATEST_S = 1.5
TARGET_LONGITUDINAL_MM = 900.0


@pytest.mark.parametrize(
    "trial",
    [pytest.param(n, marks=[] if n < TRIALS else [pytest.mark.soak]) for n in range(SOAK_TRIALS)],
)
async def test_daemon_killed_at_a_random_moment(trial: int, room: Any) -> None:
    dice = random.Random(trial)
    async with await room.connect() as client:
        steps = await room.begin_move(client)
        await asyncio.sleep(dice.uniform(0.0, LATEST_S))  # the moment of the fault is what is drawn here
        room.daemon.kill(signal.SIGKILL)
        stopped = await room.until_standstill()
        assert stopped["stop_cause"] == "HOST_LOST"
        assert stopped["position"][1] < TARGET_LONGITUDINAL_MM - 50.0
        with pytest.raises(PeerGone):
            async for _ in steps:
                pass
