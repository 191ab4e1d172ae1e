"""A couch's state stream at 100 Hz into the device daemon: lost frames, jitter, and the daemon's memory.

    python tests/benchmarks/study_state_stream.py           a second and a half
    python tests/benchmarks/study_state_stream.py --full    ten minutes

The couch is played in this process on a pseudo-terminal and leaves out one frame in a thousand on purpose (one in
thirty in the short form). The daemon records the line, so that every byte that it read has its time on the same clock.
What arrived is decoded here by the libraries `cobs`, `struct` and `zlib` and compared with what was sent; the daemon
must have told, in its log, of exactly the frames that were left out. Jitter is how much the way of a frame differs from
the median. Memory is the resident set, sampled every second; its slope after a warm-up of two minutes, with the
standard error of a straight line. A client follows the state meanwhile. Exits with 1 when a loss was not told, and
in the full form when jitter or slope miss their goals.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from cobs import cobs
from study_devices import CLOCK, PlayedCouch, end, start

from isoalign.devices.client import DeviceClient
from isoalign.devices.link_log import RecordKind, read_log
from isoalign.protocol.messages import CouchState
from isoalign.simulators.process import come_first

PERIOD_S = 0.01
SHORT_S, FULL_S = 1.5, 600.0
SHORT_LEFT_OUT, FULL_LEFT_OUT = 1 / 30, 1 / 1000
WARM_UP_S = 120.0
GOAL_JITTER_MS, GOAL_MB_PER_H = 1.0, 1.0
HEAD = struct.Struct("<BHBIHHIQI")
TOLD_WITHIN_S = 1.5


@dataclass
class Sent:
    """What the couch really did: when each counted frame left, and which ones it left out."""

    left_s: dict[int, float] = field(default_factory=dict)
    left_out: set[int] = field(default_factory=set)
    memory: list[tuple[float, float]] = field(default_factory=list)


FRAMES = 2
"""Of each tick: the state, and the report of circuits and sensors."""


def resident_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


async def play(couch: PlayedCouch, duration_s: float, left_out: float, pid: int) -> Sent:
    """The stream itself, tick by tick."""
    sent, dice = Sent(), random.Random(4)
    begun_s = next_s = CLOCK.monotonic_s()
    while (now_s := CLOCK.monotonic_s()) < begun_s + duration_s:
        count = couch._count + 1
        if dice.random() < left_out:
            couch.session.take_output()
            write, couch._write = couch._write, lambda: None  # type: ignore[method-assign]
            couch.tell()
            couch._write = write  # type: ignore[method-assign]
            couch.session.take_output()
            sent.left_out.add(count)
        else:
            sent.left_s[count] = couch.tell()
        if len(sent.memory) < now_s - begun_s:
            sent.memory.append((now_s - begun_s, resident_mb(pid)))
        next_s = max(next_s + PERIOD_S, CLOCK.monotonic_s())
        await asyncio.sleep(next_s - CLOCK.monotonic_s())
    return sent


async def follow(client: DeviceClient) -> None:
    while True:
        await client.status()
        await asyncio.sleep(0.05)


def arrived(folder: Path) -> dict[int, float]:
    """When each counted frame was read, from the recorded bytes."""
    times: dict[int, float] = {}
    pending = b""
    for path in sorted(folder.glob("couch.*")):
        for record in read_log(path)[1]:
            if record.kind is RecordKind.DROPPED:
                raise AssertionError("the record has gaps")
            if record.kind is not RecordKind.RECEIVED:
                continue
            *pieces, pending = (pending + record.data).split(b"\0")
            for piece in pieces:
                with contextlib.suppress(cobs.DecodeError):
                    raw = cobs.decode(piece)
                    body, crc = raw[:-4], raw[-4:]
                    if len(raw) < HEAD.size or HEAD.unpack_from(raw)[1] != CouchState.ID:
                        continue
                    if struct.pack("<I", zlib.crc32(body, CouchState.SEED)) == crc:
                        times[HEAD.unpack_from(raw)[8]] = record.time_s
    return times


def told_missing(log: Path) -> int:
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    return sum(line["frames"] for line in lines if line["event"] == "link.frames-missing" and line["device"] == "couch")


async def measure(duration_s: float, left_out: float, folder: Path) -> dict[str, Any]:
    loop = asyncio.get_running_loop()
    couch = PlayedCouch()
    telling = asyncio.create_task(couch.go_on())
    pendant, ready = await loop.run_in_executor(None, start, "isoalign.simulators", "pendant")
    config = {
        "socket": str(folder / "d"),
        "couch": {"serial": couch.path, "baud": 921_600},
        "pendant": ready["pendant"],
        "record": {"folder": str(folder / "links"), "file_mb": 64, "files": 4},
    }
    path, log = folder / "daemon.json", folder / "daemon.log"
    path.write_text(json.dumps(config))
    with log.open("w") as errors:
        daemon = subprocess.Popen(
            [sys.executable, "-m", "isoalign.devices.daemon", "--config", str(path), "--realtime"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    try:
        assert daemon.stdout is not None
        assert await loop.run_in_executor(None, daemon.stdout.readline), log.read_text()
        async with await DeviceClient.connect(folder / "d", client="study") as client:
            await client.clear("study begins", "Study")
            telling.cancel()
            following = asyncio.create_task(follow(client))
            sent = await play(couch, duration_s, left_out, daemon.pid)
            telling = asyncio.create_task(couch.go_on())
            await asyncio.sleep(TOLD_WITHIN_S)
            following.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await following
    finally:
        await loop.run_in_executor(None, end, daemon)
        await loop.run_in_executor(None, end, pendant)
        telling.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await telling
        couch.close()
    return {"sent": sent, "arrived": arrived(folder / "links"), "told": told_missing(log)}


def slope_mb_per_h(memory: list[tuple[float, float]]) -> tuple[float, float]:
    """Of a straight line, with its standard error."""
    hours, mb = np.array(memory).T
    hours = (hours - hours.mean()) / 3600
    slope = float(hours @ mb / (hours @ hours))
    rest = mb - mb.mean() - slope * hours
    return slope, float(np.sqrt(rest @ rest / (len(mb) - 2) / (hours @ hours)))


def report(measured: dict[str, Any], *, full: bool) -> bool:
    sent, came = measured["sent"], measured["arrived"]
    way_ms = 1e3 * np.array([came[count] - left for count, left in sent.left_s.items() if count in came])
    lost = [count for count in sent.left_s if count not in came]
    ghosts = sent.left_out & came.keys()
    jitter = np.abs(way_ms - np.median(way_ms))
    p99 = float(np.percentile(jitter, 99))
    span_s = max(sent.left_s.values()) - min(sent.left_s.values())
    rate = (len(sent.left_s) + len(sent.left_out) - 1) / span_s
    print(f"{os.cpu_count()} processors, load average {os.getloadavg()[0]:.1f}; {span_s:.0f} s, {rate:.1f} frames/s")
    print(
        f"{len(sent.left_s)} frames sent and {len(sent.left_out)} left out on purpose; {len(lost)} of those sent did "
        f"not arrive; the daemon told of {measured['told']} missing"
    )
    print(
        f"way to the daemon: median {np.median(way_ms):.3f} ms; jitter {np.median(jitter):.3f} ms median, {p99:.2f} ms "
        f"99 %, {jitter.max():.1f} ms worst"
    )
    good = not ghosts and measured["told"] == FRAMES * len(sent.left_out) + len(lost)
    if full:
        slope, error = slope_mb_per_h([one for one in sent.memory if one[0] >= WARM_UP_S])
        print(f"memory {sent.memory[-1][1]:.1f} MB, slope after warm-up {slope:+.3f} MB/h, standard error {error:.3f}")
        good = good and p99 <= GOAL_JITTER_MS and slope + 2 * error < GOAL_MB_PER_H
    return good


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true")
    full = parser.parse_args().full
    come_first()
    begun_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="isoalign-study-") as folder:
        duration_s, left_out = (FULL_S, FULL_LEFT_OUT) if full else (SHORT_S, SHORT_LEFT_OUT)
        good = report(asyncio.run(measure(duration_s, left_out, Path(folder))), full=full)
    print(f"took {time.monotonic() - begun_s:.0f} s")
    return int(not good)


if __name__ == "__main__":
    sys.exit(main())
