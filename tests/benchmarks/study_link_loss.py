"""Time until the couch truly stands after it has lost its host, or the pendant, at a random moment of a random motion.

    python tests/benchmarks/study_link_loss.py           one loss
    python tests/benchmarks/study_link_loss.py --full    504 losses of eight kinds; resumable

Couch, pendant, spoiled lines and daemon are processes, as in a room. Judged by the couch simulator's truth on its own
clock: from the last heartbeat that the couch took (the last enable token, where the pendant's line is lost) until its
true speed is zero. Allowed are the 150 ms of the watchdog, the time of a stop and one tick of 10 ms. The time of a stop
is the longest that a commanded STOP takes anywhere on a motion at full speed, from another couch on a virtual clock.
Exits with 1 when a loss took longer.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib.util
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from blocks import run_blocks

from isoalign.devices.client import DeviceClient
from isoalign.devices.status import MOVING, WAITING_FOR_ENABLE
from isoalign.errors import IsoalignError
from isoalign.geometry import Representation, TableTopPosition
from isoalign.protocol.messages import COUCH_HEARTBEAT_EXPIRY_US
from isoalign.simulators.couch_firmware import TOLERANCES, CouchFirmware
from isoalign.simulators.couch_physics import CouchBody
from isoalign.simulators.virtual_couch import VirtualCouch

KINDS: dict[str, dict[str, Any]] = {
    "silent": {"on": "couch-link", "name": "freeze", "direction": "to_device"},
    "silent both ways": {"on": "couch-link", "name": "freeze"},
    "half open": {"on": "couch-link", "name": "half_open"},
    "unplugged": {"on": "couch-link", "name": "unplug"},
    "SIGSTOP": {"signal": signal.SIGSTOP},
    "SIGKILL": {"signal": signal.SIGKILL},
    "pendant reset": {"on": "pendant-link", "name": "reset"},
    "pendant half open": {"on": "pendant-link", "name": "half_open"},
}
SHORT, FULL_ROUNDS = ("half open",), 63
ROUNDS_PER_BLOCK = 3
WATCHDOG_S, TICK_S = COUCH_HEARTBEAT_EXPIRY_US * 1e-6, 0.01
GIVEN_UP_S = 10.0
CENTRE = np.array([0.0, 700.0, -120.0, 0.0, 0.0, 0.0])
REACH = np.array([60.0, 90.0, 60.0, 2.5, 2.5, 5.0])


def fault_room() -> Any:
    """The room of processes that the system tests use."""
    tests = Path(__file__).resolve().parents[1]
    sys.path.insert(0, str(tests / "support"))  # as pytest is told in pyproject.toml
    path = tests / "system" / "devices" / "conftest.py"
    spec = importlib.util.spec_from_file_location("device_room", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["device_room"] = module
    spec.loader.exec_module(module)
    return module.FaultRoom


def longest_stop_s() -> float:
    """Of a commanded STOP, over the moments of a motion at full speed."""
    longest = 0.0
    for moment_s in np.arange(0.07, 0.6, 0.01):
        body = CouchBody(CENTRE.tolist(), seed=1, now_s=0.0)
        couch = VirtualCouch(CouchFirmware(body, now_s=0.0))
        couch.press()
        assert couch.begin_move((0.0, 850.0, -120.0, 0.0, 0.0, 0.0))
        couch.run_for(float(moment_s))
        couch.stop()
        begun_s = couch.now_s
        while (np.abs(body.velocity) >= TOLERANCES.settled_speed).any():
            couch.run_for(0.002)
        longest = max(longest, couch.now_s - begun_s)
    return longest


class Trials:
    """Losses in one running room."""

    def __init__(self, room: Any) -> None:
        self.room = room
        self.client: DeviceClient | None = None

    async def make_ready(self) -> DeviceClient:
        """Whatever the loss before has left: lines and daemon run, and the chain is cleared."""
        room = self.room
        await room.bar("release")
        await room.repair()
        if self.client is None:
            self.client = await DeviceClient.connect(room.socket, client="study")
        async with asyncio.timeout(GIVEN_UP_S):
            await room.until_links_are_up(self.client)
            while True:
                try:
                    await self.client.clear("loss is over", "Study")
                    if (await self.client.status()).couch_hears_pendant:
                        return self.client
                except IsoalignError:
                    pass
                await asyncio.sleep(0.03)

    async def one(self, kind: str, dice: random.Random) -> dict[str, Any]:
        client, room = await self.make_ready(), self.room
        here = np.array((await room.truth())["position"])
        aim = CENTRE + REACH * [dice.uniform(-1, 1) * (dice.random() < 0.7) for _ in range(6)]
        if np.abs(aim - here)[:3].max() < 20.0:
            aim[1] = here[1] + (40.0 if here[1] < CENTRE[1] else -40.0)
        plan = await client.prepare(TableTopPosition.from_values(Representation.IEC_61217, aim.tolist()))
        steps = client.execute(plan)
        async for step in steps:
            if step.phase == WAITING_FOR_ENABLE:
                await room.press_anew()
            if step.phase == MOVING:
                break
        await room.until(lambda truth: max(map(abs, truth["velocity"])) > 0.5, "couch moves")
        await asyncio.sleep(dice.uniform(0.0, 0.8) * plan.duration_s)  # the moment is what is drawn here
        moving = max(map(abs, (await room.truth())["velocity"]))
        fault, begun_s = KINDS[kind], time.monotonic()
        if "signal" in fault:
            room.daemon.kill(fault["signal"])
        else:
            await room.ask(fault["on"], do="fault", **{key: fault[key] for key in fault if key != "on"})
        rested = await room.until(lambda truth: truth["standstill"], "couch stands still")
        if fault.get("signal") == signal.SIGSTOP:
            room.daemon.kill(signal.SIGCONT)
        with contextlib.suppress(IsoalignError):
            async for _ in steps:
                pass
        if fault.get("signal") == signal.SIGKILL:
            self.client = await self._drop(client)
        return self._judged(kind, rested, begun_s, moving)

    async def close(self) -> None:
        if self.client is not None:
            await self._drop(self.client)

    async def _drop(self, client: DeviceClient) -> None:
        with contextlib.suppress(IsoalignError, OSError):
            await client.close()

    @staticmethod
    def _judged(kind: str, rested: dict[str, Any], begun_s: float, moving: float) -> dict[str, Any]:
        times = rested["times"]
        stopped = times["stop_began_s"] is not None
        since_s = times["token_s" if kind.startswith("pendant") else "heartbeat_s"] if stopped else begun_s
        return {
            "kind": kind,
            "speed": moving,
            "stopped": stopped,
            "cause": rested["stop_cause"],
            "began_s": times["stop_began_s"] - since_s if stopped else 0.0,
            "took_s": times["rest_s"] - since_s,
            "wall_s": times["rest_s"] - begun_s,
            "longest_tick_s": times["longest_tick_s"],
        }


async def in_one_room(kinds: list[str], seed: int) -> list[dict[str, Any]]:
    dice = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="isoalign-") as folder:
        room = fault_room()(Path(folder))
        try:
            await room.start_all()
            trials = Trials(room)
            results = [await trials.one(kind, dice) for kind in kinds]
            await trials.close()
        finally:
            await room.end_all()
    return results


def block(key: dict[str, Any]) -> dict[str, Any]:
    return {"losses": asyncio.run(in_one_room(key["kinds"], key["seed"])), "load": os.getloadavg()[0]}


def report(results: list[dict[str, Any]]) -> bool:
    losses = [loss for one in results for loss in one["losses"]]
    stop_s = longest_stop_s()
    limit_s = WATCHDOG_S + stop_s + TICK_S
    print(f"load average {np.mean([one['load'] for one in results]):.1f}, {os.cpu_count()} processors")
    print(f"allowed: {1e3 * WATCHDOG_S:.0f} + {1e3 * stop_s:.0f} + {1e3 * TICK_S:.0f} = {1e3 * limit_s:.0f} ms")
    print(
        "loss of            n  arrived  in time  until stop, ms: median, worst  until rest: median, worst  wall: worst"
    )
    for kind in KINDS:
        these = [loss for loss in losses if loss["kind"] == kind]
        if not these:
            continue
        began, took, wall = (1e3 * np.array([loss[name] for loss in these]) for name in ("began_s", "took_s", "wall_s"))
        arrived = sum(not loss["stopped"] for loss in these)
        good = int((took <= 1e3 * limit_s).sum())
        print(
            f"{kind:<17}{len(these):4}  {arrived:7}  {good:7}  {np.median(began):22.0f} {began.max():6.0f}"
            f"  {np.median(took):18.0f} {took.max():6.0f}  {wall.max():10.0f}"
        )
    in_time = sum(loss["took_s"] <= limit_s for loss in losses)
    late = max(loss["longest_tick_s"] for loss in losses)
    print(f"{in_time} of {len(losses)} in time; longest tick of the couch's process {1e3 * late:.0f} ms")
    return in_time == len(losses)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true")
    full = parser.parse_args().full
    keys: list[dict[str, Any]] = [{"kinds": list(SHORT), "seed": 0}]
    if full:
        blocks = FULL_ROUNDS // ROUNDS_PER_BLOCK
        keys = [{"kinds": list(KINDS) * ROUNDS_PER_BLOCK, "seed": seed} for seed in range(1, blocks + 1)]
    return int(not report(run_blocks(Path(__file__), keys, block, keep=full)))


if __name__ == "__main__":
    sys.exit(main())
