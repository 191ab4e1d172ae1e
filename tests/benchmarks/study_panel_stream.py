"""A panel's series at fluoroscopy rate over a lossy way: what is delivered, how much, and how soon.

    python tests/benchmarks/study_panel_stream.py           one second
    python tests/benchmarks/study_panel_stream.py --full    three minutes

The imager simulator is a process of its own and sends frames of 1024 x 768 pixels (1.57 MB) 15 times a second; 1 % of
the chunks is lost, of a first sending and of a repetition. Some frames are torn (the lower half is of the frame
before), some come twice, some again after a newer one. Judged by what the panel says it really read out: a SHA-256
and the time of every frame. Exits with 1 when a frame was delivered that is not what was read out, or twice, or after a
newer one, or when fewer than 99 % of the frames were delivered whole.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import itertools
import os
import sys
import time
from dataclasses import dataclass

import numpy as np
from study_devices import end, start

from isoalign.devices.config import TcpAddress
from isoalign.devices.errors import ImageIncomplete
from isoalign.devices.image_series import receive_series
from isoalign.protocol.image_series import SeriesAssembler
from isoalign.simulators.truth_client import ask

ROWS, COLUMNS, FPS = 1024, 768, 15.0
SHORT_S, FULL_S = 1.0, 180.0
FAULTS = {"loss": 0.01, "torn": 0.02, "again": 0.02, "late": 0.02}
SHORT_FAULTS = {"loss": 0.01, "torn": 0.2, "again": 0.2, "late": 0.2}
EXPOSURE = 7
MOST_MISSING = 0.01


@dataclass
class Delivered:
    number: int
    digest: str
    at_s: float


async def receive(address: TcpAddress, assembler: SeriesAssembler, truth: str, request: dict[str, float]):
    delivered: list[Delivered] = []
    loop = asyncio.get_running_loop()
    series = receive_series(address, assembler, name="panel")
    first = asyncio.create_task(anext(series))
    await asyncio.sleep(0.1)  # the connection stands before the panel begins
    await loop.run_in_executor(None, ask, truth, {"do": "stream", "exposure_id": EXPOSURE, **request})
    with contextlib.suppress(ImageIncomplete):  # the series is over
        frame = await first
        while True:
            at_s = time.monotonic()
            delivered.append(Delivered(frame.frame_id, hashlib.sha256(frame.pixels).hexdigest(), at_s))
            frame = await anext(series)
    return delivered


def report(delivered: list[Delivered], assembler: SeriesAssembler, truth: dict, duration_s: float) -> bool:
    made = {int(number): (digest, at_s) for number, (digest, at_s) in truth["frames"].items()}
    wrong = [one.number for one in delivered if made.get(one.number, ("", 0.0))[0] != one.digest]
    numbers = [one.number for one in delivered]
    backwards = sum(later <= earlier for earlier, later in itertools.pairwise(numbers))
    missing = len(made) - len(set(numbers))
    latency = 1e3 * np.array([one.at_s - made[one.number][1] for one in delivered if one.number in made])
    took_s = delivered[-1].at_s - delivered[0].at_s
    megabytes = ROWS * COLUMNS * 2 * (len(delivered) - 1) / took_s / 1e6
    print(f"{os.cpu_count()} processors, load average {os.getloadavg()[0]:.1f}, {duration_s:.0f} s of {FPS:g} frames/s")
    print(
        f"{len(made)} frames read out, {truth['lost_chunks']} of {truth['chunks']} chunks lost, "
        f"{truth['resent_rows']} rows sent again; {len(truth['torn'])} torn, {len(truth['again'])} sent twice, "
        f"{len(truth['late'])} late, {truth['skipped']} skipped by the panel because the host did not take them"
    )
    print(f"{len(delivered)} delivered, {missing} missing, of these given up {len(assembler.given_up)}")
    print(f"delivered and not what was read out: {len(wrong)}; delivered again or after a newer one: {backwards}")
    print("refused: " + ", ".join(f"{name} {count}" for name, count in assembler.rejected.items()))
    p50, p99 = np.percentile(latency, [50, 99])
    print(
        f"{(len(delivered) - 1) / took_s:.2f} frames/s, {megabytes:.1f} MB/s; "
        f"from read-out to delivery {p50:.1f} ms median, {p99:.1f} ms 99 %, {latency.max():.1f} ms worst"
    )
    caught = bool(truth["torn"] and truth["again"] and truth["late"])
    return not wrong and not backwards and caught and missing <= max(1, MOST_MISSING * len(made))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true")
    full = parser.parse_args().full
    duration_s = FULL_S if full else SHORT_S
    request = {"frames": round(duration_s * FPS), "fps": FPS, "seed": 3, **(FAULTS if full else SHORT_FAULTS)}
    words = ("imager", "--name", "A", "--rows", str(ROWS), "--columns", str(COLUMNS))
    imager, ready = start("isoalign.simulators", *words)
    try:
        image, control = ready["image"], ready["truth"]
        truth = f"{control['host']}:{control['port']}"
        assembler = SeriesAssembler(EXPOSURE, ROWS, COLUMNS)
        delivered = asyncio.run(receive(TcpAddress(image["host"], image["port"]), assembler, truth, request))
        good = report(delivered, assembler, ask(truth, {"do": "streamed"}), duration_s)
    finally:
        end(imager)
    return int(not good)


if __name__ == "__main__":
    sys.exit(main())
