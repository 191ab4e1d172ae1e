"""Time from a fault flag in a state frame to the first STOP byte at the couch's end of the line.

    python tests/benchmarks/study_fault_to_stop.py           some dozen faults
    python tests/benchmarks/study_fault_to_stop.py --full    2000 faults in each condition

Conditions: as the computer is, and with four busy processes besides; the daemon with and without real-time scheduling.
They take turns in blocks. The couch is played in this process, with real-time scheduling where the system allows it, so
that both moments are on one clock; a device that tells of a fault has begun its own stop before it tells. All processes
share the computer with whatever else runs: the load is printed. Exits with 1 in the full form when a median or a 99th
percentile misses its goal, and in both when STOP took longer than the couch's own watchdog (150 ms).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from study_devices import CLOCK, WATCHDOG_S, PlayedCouch, end, one_fault, start

from isoalign.devices.client import DeviceClient
from isoalign.simulators.process import come_first

BUSY_PROCESSES = 4
SHORT, FULL = (1, 15), (10, 200)
BUSY = "while True: pass"


@dataclass
class Condition:
    """What runs besides, how the daemon is scheduled, and the goals for median and 99th percentile in ms, if any."""

    name: str
    busy: bool
    realtime: bool
    goals: tuple[float, float] | None
    times_s: list[float] = field(default_factory=list)
    load: list[float] = field(default_factory=list)


def conditions() -> list[Condition]:
    return [
        Condition("as it is", busy=False, realtime=False, goals=None),
        Condition("as it is, real-time", busy=False, realtime=True, goals=(0.5, 5.0)),
        Condition("4 busy", busy=True, realtime=False, goals=None),
        Condition("4 busy, real-time", busy=True, realtime=True, goals=(float("inf"), 2.0)),
    ]


@contextlib.contextmanager
def busy_processes(number: int):
    processes = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(number)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


async def faults(condition: Condition, number: int, folder: Path) -> None:
    """A daemon of its own for every block."""
    loop = asyncio.get_running_loop()
    couch = PlayedCouch()
    telling = asyncio.create_task(couch.go_on())
    pendant, ready = await loop.run_in_executor(None, start, "isoalign.simulators", "pendant")
    path = folder / "daemon.json"
    config = {
        "socket": str(folder / "d"),
        "couch": {"serial": couch.path, "baud": 921_600},
        "pendant": ready["pendant"],
    }
    path.write_text(json.dumps(config))
    words = ["isoalign.devices.daemon", "--config", str(path), *(["--realtime"] if condition.realtime else [])]
    daemon, _ = await loop.run_in_executor(None, start, *words)
    try:
        async with await DeviceClient.connect(folder / "d", client="study") as client:
            await client.clear("study begins", "Study")
            with busy_processes(BUSY_PROCESSES if condition.busy else 0):
                for _ in range(number):
                    condition.times_s.append(await one_fault(couch, client))
        condition.load.append(os.getloadavg()[0])
    finally:
        await loop.run_in_executor(None, end, daemon)
        await loop.run_in_executor(None, end, pendant)
        telling.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await telling
        couch.close()


def report(measured: list[Condition], *, full: bool) -> bool:
    print(f"fault to STOP at the line, ms; {os.cpu_count()} processors")
    print("condition             faults  median     p90     p99     max   goal: median, p99    load average")
    good = True
    for one in measured:
        times = 1e3 * np.array(one.times_s)
        p50, p90, p99 = np.percentile(times, [50, 90, 99])
        goal = "none" if one.goals is None else f"{one.goals[0]:g}, {one.goals[1]:g}"
        reached = one.goals is None or (p50 <= one.goals[0] and p99 <= one.goals[1])
        verdict = "reached" if reached else "missed"
        print(
            f"{one.name:<21} {len(times):6}{p50:8.2f}{p90:8.2f}{p99:8.2f}{times.max():8.2f}"
            f"   {goal:>9}  {'' if one.goals is None else verdict:<8}  {np.mean(one.load):.1f}"
        )
        good = good and (one.goals is None or times.max() < 1e3 * WATCHDOG_S) and (reached or not full)
    return good


async def measure(measured: list[Condition], blocks: int, number: int) -> None:
    for _ in range(blocks):
        for condition in measured:
            with tempfile.TemporaryDirectory(prefix="isoalign-study-") as folder:
                await faults(condition, number, Path(folder))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true")
    full = parser.parse_args().full
    blocks, number = FULL if full else SHORT
    measured = conditions() if full else conditions()[-1:]
    come_first()
    begun_s = CLOCK.monotonic_s()
    asyncio.run(measure(measured, blocks, number))
    good = report(measured, full=full)
    print(f"{CLOCK.monotonic_s() - begun_s:.0f} s")
    return int(not good)


if __name__ == "__main__":
    sys.exit(main())
