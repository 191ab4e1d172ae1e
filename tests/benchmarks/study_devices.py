"""Time from a fault to STOP at the couch's end of the line, while the clearance worker rests and while it searches.

    python tests/benchmarks/study_devices.py           some hundred faults
    python tests/benchmarks/study_devices.py --full    some thousand

The daemon runs as in a room. The couch is played here, on a pseudo-terminal and with real frames, so that the moment at
which a state with a latch leaves and the moment at which the first STOP arrives are on one clock. Blocks of faults with
a resting and with a searching worker take turns, and a search is under way in every moment of a searching block. All
processes share the computer with whatever else runs: the load is printed. Exits with 1 when the median with a searching
worker is more than 0.3 ms longer, or a single STOP took longer than the couch's own watchdog (150 ms).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import tty
from pathlib import Path

import numpy as np

from isoalign.clock import SystemClock
from isoalign.devices.client import DeviceClient
from isoalign.errors import IsoalignError
from isoalign.geometry import Representation, TableTopPosition
from isoalign.geometry.motion_profile import NORMAL_LIMITS
from isoalign.protocol import DeviceIdentity, DeviceSession, micro_from_axes
from isoalign.protocol.messages import (
    COUCH_HEARTBEAT_EXPIRY_US,
    AxisInfo,
    Capability,
    Clear,
    CommandStatus,
    CouchMode,
    CouchSafety,
    CouchState,
    CouchStatus,
    DeviceKind,
    Latch,
    SafetyCircuit,
    Stop,
    TorqueFeedback,
    TouchSensor,
)

PERIOD_S = 0.01
PLACE = (0.0, 700.0, -120.0, 0.0, 0.0, 0.0)
TRAVEL = ((-250.0, 250.0), (0.0, 1500.0), (-500.0, 100.0), (-5.0, 5.0), (-5.0, 5.0), (-95.0, 95.0))
WATCHDOG_S = 0.150
MOST_LONGER_S = 0.0003
SHORT, FULL = (4, 60), (10, 200)
CLOCK = SystemClock()


class PlayedCouch:
    """A couch that stands, reports a latch while it says that it moves, and notes when STOP comes."""

    def __init__(self) -> None:
        self.master, self._slave = os.openpty()
        tty.setraw(self._slave)
        tty.setraw(self.master)
        os.set_blocking(self.master, False)
        self.path = os.ttyname(self._slave)
        self.session = DeviceSession(
            DeviceIdentity(
                kind=DeviceKind.COUCH,
                capabilities=Capability.MOTION | Capability.SECONDARY_ENCODERS,
                serial_number="STUDY",
                heartbeat_expiry_us=COUCH_HEARTBEAT_EXPIRY_US,
                state_period_us=round(PERIOD_S * 1e6),
            ),
            boot_s=CLOCK.monotonic_s(),
        )
        self.latch = Latch.NONE
        self.stopped = asyncio.Event()
        self.stopped_s = 0.0
        self._count = 0
        asyncio.get_running_loop().add_reader(self.master, self._read)

    def _read(self) -> None:
        now_s = CLOCK.monotonic_s()
        was_open = self.session.is_open
        for message in self.session.feed(os.read(self.master, 4096), now_s):
            if isinstance(message, Stop) and not self.stopped.is_set():
                self.stopped_s = now_s
                self.stopped.set()
            elif isinstance(message, Clear):
                self.latch = Latch.NONE
                self.session.report(message.command_id, CommandStatus.DONE, now_s)
        if self.session.is_open and not was_open:
            self._describe(now_s)
        self._write()

    def _write(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(self.master, self.session.take_output())

    def _describe(self, now_s: float) -> None:
        for axis, (limits, travel) in enumerate(zip(NORMAL_LIMITS, TRAVEL, strict=True)):
            scale = 1e3 if axis < 3 else 1e6
            info = AxisInfo(
                axis=axis,
                travel_min_micro=round(travel[0] * scale),
                travel_max_micro=round(travel[1] * scale),
                speed_max_micro_per_s=round(limits.speed * scale),
                acceleration_max_micro_per_s2=round(limits.acceleration * scale),
                jerk_max_micro_per_s3=round(limits.jerk * scale),
                resolution_micro=1,
                servo_lag_us=16_000,
                secondary_lag_us=5_000,
            )
            self.session.send(info, now_s)

    def _tell_of_its_circuits(self, now_s: float, *, faulty: bool) -> None:
        report = CouchSafety(
            device_time_us=self.session.device_time_us(now_s),
            state_count=self._count,
            emergency_stop=SafetyCircuit.CLOSED,
            enable_circuit=SafetyCircuit.CLOSED,
            torque_feedback=TorqueFeedback.TORQUE_ON if faulty else TorqueFeedback.TORQUE_OFF,
            touched=TouchSensor(0),
            touch_force_mn=0,
            drive_temperature_mdeg_c=(25_000,) * 6,
            payload_g=0,
        )
        self.session.send(report, now_s)

    def tell(self) -> float:
        """Send the state now; returns when it left."""
        now_s = CLOCK.monotonic_s()
        self.session.poll(now_s)
        self._count += 1
        still = CouchStatus.STANDSTILL | CouchStatus.BRAKES_ENGAGED
        faulty = self.latch is not Latch.NONE
        status = CouchStatus.REFERENCED | (CouchStatus(0) if faulty else still)
        if self.session.is_open:
            self._tell_of_its_circuits(now_s, faulty=faulty)
            state = CouchState(
                device_time_us=self.session.device_time_us(now_s),
                state_count=self._count,
                mode=CouchMode.FAULT if faulty else CouchMode.READY_TO_SWITCH_ON,
                latch=self.latch,
                status=status,
                last_command_id=self.session.commands.last_id,
                last_command_status=self.session.commands.last_status,
                host_counter=self.session.host.counter,
                client_counter=self.session.client.counter,
                press_count=1,
                token_counter=1,
                token_age_us=1000,
                following_error_axis=6,
                primary_micro=micro_from_axes(PLACE),
                secondary_micro=micro_from_axes(PLACE),
                velocity_micro_per_s=(0,) * 6,
                target_micro=micro_from_axes(PLACE),
            )
            self.session.send(state, now_s)
        sent_s = CLOCK.monotonic_s()
        self._write()
        return sent_s

    async def go_on(self) -> None:
        """Tell the state for ever."""
        while True:
            self.tell()
            await asyncio.sleep(PERIOD_S)

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self.master)
        os.close(self.master)
        os.close(self._slave)


async def one_fault(couch: PlayedCouch, client: DeviceClient) -> float:
    """Seconds from the frame with the latch to STOP."""
    await asyncio.sleep(float(np.random.default_rng().uniform(0.005, 0.03)))
    couch.stopped.clear()
    couch.latch = Latch.FOLLOWING_ERROR
    sent_s = couch.tell()
    async with asyncio.timeout(2.0):
        await couch.stopped.wait()
    took_s = couch.stopped_s - sent_s
    while True:
        couch.latch = Latch.NONE
        await asyncio.sleep(2 * PERIOD_S)
        try:
            await client.clear("study", "Study")
        except IsoalignError:
            continue
        return took_s


async def keep_searching(client: DeviceClient, busy: asyncio.Event) -> None:
    """One search after the other; each plan is void when it is ready, and nobody wants it."""
    target = TableTopPosition.from_values(Representation.IEC_61217, (60.0, 690.0, -60.0, 2.0, -1.0, 35.0))
    while True:
        busy.set()
        with contextlib.suppress(IsoalignError):
            await client.prepare(target)
        await asyncio.sleep(0)


def processor_s_of_children(pid: int) -> float:
    """Processor time that the children of a process have used."""
    used = 0.0
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in children.read_text().split():
            user, system = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[11:13]
            used += (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
    return used


def start(*words: str) -> tuple[subprocess.Popen[str], dict[str, object]]:
    process = subprocess.Popen(
        [sys.executable, "-m", *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, f"{words[0]} did not start"
    return process, json.loads(line)


def end(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.close()
    process.wait(10)
    process.stdout.close()


async def measure(blocks: int, faults: int, folder: Path) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Times by the state of the worker, and how much of a processor it used."""
    loop = asyncio.get_running_loop()
    couch = PlayedCouch()
    telling = asyncio.create_task(couch.go_on())
    pendant, ready = await loop.run_in_executor(None, start, "isoalign.simulators", "pendant")
    config = {
        "socket": str(folder / "d"),
        "couch": {"serial": couch.path, "baud": 921_600},
        "pendant": ready["pendant"],
        "clearance": {
            "room": "example",
            "required_mm": 0.001,
            "step_mm": 0.02,
            "timeout_s": 60,
            "machine": {"gantry_angle_deg": 0.0, "snout_extension_mm": 350.0},
        },
    }
    path = folder / "daemon.json"
    path.write_text(json.dumps(config))
    daemon, _ = await loop.run_in_executor(None, start, "isoalign.devices.daemon", "--config", str(path), "--realtime")
    times: dict[str, list[float]] = {"resting": [], "searching": []}
    shares: dict[str, list[float]] = {"resting": [], "searching": []}
    try:
        async with (
            await DeviceClient.connect(folder / "d", client="study") as client,
            await DeviceClient.connect(folder / "d", client="planner") as planner,
        ):
            await client.clear("study begins", "Study")
            for block in range(blocks):
                state = "searching" if block % 2 else "resting"
                searching, busy = None, asyncio.Event()
                if state == "searching":
                    searching = asyncio.create_task(keep_searching(planner, busy))
                    await busy.wait()
                    await asyncio.sleep(0.3)
                before_s, used_s = CLOCK.monotonic_s(), processor_s_of_children(daemon.pid)
                for _ in range(faults):
                    times[state].append(await one_fault(couch, client))
                share = (processor_s_of_children(daemon.pid) - used_s) / (CLOCK.monotonic_s() - before_s)
                shares[state].append(share)
                if searching is not None:
                    searching.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await searching
                    await asyncio.sleep(3.0)  # the worker of a search that was left is ended; let the next one load
    finally:
        await loop.run_in_executor(None, end, daemon)
        await loop.run_in_executor(None, end, pendant)
        telling.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await telling
        couch.close()
    return times, shares


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true")
    blocks, faults = FULL if parser.parse_args().full else SHORT
    with tempfile.TemporaryDirectory(prefix="isoalign-study-") as folder:
        times, shares = asyncio.run(measure(blocks, faults, Path(folder)))
    load = os.getloadavg()[0]
    print(f"fault to STOP, ms, {os.cpu_count()} processors, load average {load:.1f}")
    print("worker       uses  faults  median     p90     p99     max")
    for state, values in times.items():
        milliseconds = 1e3 * np.array(values)
        p90, p99 = np.percentile(milliseconds, [90, 99])
        figures = "".join(f"{value:8.2f}" for value in (np.median(milliseconds), p90, p99, milliseconds.max()))
        print(f"{state:<12} {np.mean(shares[state]):4.0%}  {len(values):6}{figures}")
    longer_s = statistics.median(times["searching"]) - statistics.median(times["resting"])
    slowest_s = max(max(values) for values in times.values())
    print(f"median longer by {1e3 * longer_s:+.3f} ms, slowest {1e3 * slowest_s:.1f} ms")
    return int(longer_s > MOST_LONGER_S or slowest_s > WATCHDOG_S)


if __name__ == "__main__":
    sys.exit(main())
