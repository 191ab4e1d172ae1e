"""The watch over the couch's two channels: false trips in hours of usual work, and how soon a bad channel is found.

    python tests/benchmarks/study_two_channels.py           less than a minute of simulated time, a dozen faults
    python tests/benchmarks/study_two_channels.py --full    24 hours, 8 of them in motion, and 288 faults; resumable

The simulated couch runs on a clock that nobody waits for, with its usual noise, scale errors and lag. Its bytes go
through the host's session and the driver's reading to the whole interlock chain, as in the daemon. The chain may not
trip at all while nothing is wrong. Faults begin at standstill: the secondary channel of one axis drifts by 0.05 mm/s or
degrees/s, or jumps by 1 mm or 1 degree. How far it is off when the chain trips is read from the body, not from a
reading. Exits with 1 when a goal is missed.
"""

from __future__ import annotations

import argparse
import math
import random
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from blocks import run_blocks

from isoalign.clock import ManualClock
from isoalign.devices.couch import Couch
from isoalign.devices.link import LinkState
from isoalign.geometry import AXES
from isoalign.interlocks import (
    Activity,
    Evaluation,
    Inputs,
    InterlockMonitor,
    Observation,
    Settings,
    rules_for,
    soft_limits_inside,
)
from isoalign.protocol.messages import CouchSafety, CouchState
from isoalign.simulators.couch_faults import AXIS_FAULTS
from isoalign.simulators.couch_firmware import TRAVEL, CouchFirmware
from isoalign.simulators.couch_physics import CouchBody
from isoalign.simulators.virtual_couch import VirtualCouch

FULL_BLOCKS, FULL_BLOCK_S, FULL_FAULTS = 24, 3600.0, 12
SHORT_BLOCKS, SHORT_BLOCK_S, SHORT_FAULTS = 1, 45.0, 12
MOVING_PART = 1 / 3
MARGIN_MM, MARGIN_DEG = 2.0, 0.2
DRIFT_PER_S, STEP = 0.05, 1.0
DRIFT_GOAL = (0.5, 0.2)
"""Largest way, mm and degrees, that a drift may have gone. For the angles: the couch's own class."""
STEP_GOAL_S = 0.120
GIVEN_UP_S = 20.0


class WatchedCouch:
    """A couch, its driver's reading and the interlock chain, in virtual time."""

    def __init__(self, start: list[float], seed: int) -> None:
        self.clock = ManualClock()
        self.body = CouchBody(start, seed=seed, now_s=0.0)
        self.driver = Couch(self._no_line, self.clock, on_reading=self._evaluate, on_change=lambda: None)
        self.driver.link.state = LinkState.UP
        self.monitor = InterlockMonitor(Settings(), rules_for(couch=True))
        self.activity = Activity.IDLE
        self.trips: list[str] = []
        self.states = 0
        self.apart = {"standing": np.zeros(6), "moving": np.zeros(6)}
        self._rest: tuple[float, ...] = ()
        self._read_at_s = -1.0
        firmware = CouchFirmware(self.body, now_s=0.0)
        self.couch: VirtualCouch | None = None
        self.couch = VirtualCouch(firmware, on_state=self._on_state, on_tick=self._on_tick, on_safety=self._on_safety)
        self.driver.link.session = self.couch.host
        limits = soft_limits_inside(self.driver.travel, margin_mm=MARGIN_MM, margin_deg=MARGIN_DEG)
        assert len(limits) == len(AXES)
        self.monitor.settings = replace(
            self.monitor.settings, soft_limits=limits, secondary_lag_s=self.driver.secondary_lag_s
        )
        self.couch.run_for(0.1)
        self.clear()

    def clear(self) -> None:
        self._take_rest()
        self.monitor.clear(self._inputs(), self.clock.monotonic_s(), user="study", reason="begins")
        self.trips.clear()

    def move(self, target: list[float], permille: int) -> float:
        """A whole motion; returns how long something moved."""
        assert self.couch is not None
        self.couch.press()
        self.activity = Activity.MOTION
        begun_s = self.couch.now_s
        assert self.couch.begin_move(target, speed_permille=permille)
        self.couch.run_until_rest()
        self.couch.run_for(0.04)  # the state that says so has come
        self.activity = Activity.IDLE
        self._take_rest()
        self.couch.release()
        return self.couch.now_s - begun_s

    def rest(self, duration_s: float) -> None:
        assert self.couch is not None
        self.couch.run_for(duration_s)

    async def _no_line(self) -> Any:
        raise AssertionError("nobody opens a line here")

    def _take_rest(self) -> None:
        reading = self.driver.reading
        assert reading is not None
        assert reading.value.standstill
        assert reading.value.position is not None
        self._rest = reading.value.position.values

    def _inputs(self) -> Inputs:
        now_s = self.clock.monotonic_s()
        reading, ok = self.driver.reading, self.driver.session_ok
        return Inputs(
            activity=self.activity,
            couch=None if reading is None else Observation(reading.value.as_report(), reading.at_s),
            session_ok=None if ok is None else Observation(ok, now_s),
            client_heartbeat=None if self.couch is None else Observation(self.couch.beat, now_s),
            enable=Observation(value=True, at_s=now_s),
            rest=self._rest,
            safety=self.driver.safety,
            payload_reference_kg=0.0,
        )

    def _evaluate(self) -> None:
        verdict: Evaluation = self.monitor.evaluate(self._inputs(), self.clock.monotonic_s())
        self.trips += [finding.rule_id for finding in verdict.tripped]

    def _on_state(self, state: CouchState, now_s: float) -> None:
        self._catch_up(now_s)
        self._read_at_s = now_s
        self.states += 1
        self.driver._on_message(state, now_s)
        assert self.driver.reading is not None
        reading = self.driver.reading.value
        kind = "standing" if reading.standstill else "moving"
        apart = [abs(one.primary - one.velocity * 0.005 - one.secondary) for one in reading.axes]
        self.apart[kind] = np.maximum(self.apart[kind], apart)

    def _on_safety(self, report: CouchSafety, now_s: float) -> None:
        self._catch_up(now_s)
        self.driver._on_message(report, now_s)

    def _on_tick(self, now_s: float) -> None:
        """The daemon evaluates every 10 ms, too, so that silence is noticed."""
        self._catch_up(now_s)
        if now_s != self._read_at_s and self.couch is not None:
            self._evaluate()

    def _catch_up(self, now_s: float) -> None:
        self.clock.advance(now_s - self.clock.monotonic_s())


def somewhere(dice: random.Random) -> list[float]:
    return [
        dice.uniform(low + margin, high - margin)
        for (low, high), margin in zip(TRAVEL, [MARGIN_MM + 0.5] * 3 + [MARGIN_DEG + 0.05] * 3, strict=True)
    ]


def next_target(here: list[float], dice: random.Random) -> list[float]:
    """A new set-up, or a correction of some millimetres; some axes stay."""
    if dice.random() < 0.5:
        return [old if dice.random() < 0.2 else new for old, new in zip(here, somewhere(dice), strict=True)]
    changed = [
        old + dice.uniform(-1, 1) * (10.0 if axis < 3 else 3.0) * (dice.random() < 0.8) for axis, old in enumerate(here)
    ]
    limits = zip(TRAVEL, [MARGIN_MM + 0.5] * 3 + [MARGIN_DEG + 0.05] * 3, strict=True)
    return [min(max(one, low + m), high - m) for one, ((low, high), m) in zip(changed, limits, strict=True)]


def usual_work(seed: int, duration_s: float) -> dict[str, Any]:
    """Random motions and pauses; every trip of any rule is a false one."""
    dice = random.Random(seed)
    here = somewhere(dice)
    watched = WatchedCouch(here, seed)
    assert watched.couch is not None
    moved_s, motions = 0.0, 0
    while watched.couch.now_s < duration_s:
        if moved_s < MOVING_PART * watched.couch.now_s:
            here = next_target(here, dice)
            moved_s += watched.move(here, dice.choice([1000, 1000, 700, 400, 200]))
            motions += 1
        else:
            watched.rest(dice.uniform(0.5, 20.0))
    return {
        "simulated_s": watched.couch.now_s,
        "moved_s": moved_s,
        "motions": motions,
        "states": watched.states,
        "trips": watched.trips,
        "apart": {kind: values.tolist() for kind, values in watched.apart.items()},
    }


def one_fault(seed: int, name: str, axis: int, sign: int) -> dict[str, Any]:
    """A fault of the secondary channel at standstill, somewhere, after a motion."""
    dice = random.Random(seed)
    here = somewhere(dice)
    watched = WatchedCouch(here, seed)
    assert watched.couch is not None
    watched.move(next_target(here, dice), 1000)
    watched.rest(dice.uniform(0.2, 1.0))
    assert not watched.trips
    couch, body = watched.couch, watched.body
    fault = AXIS_FAULTS["secondary_drift" if name == "drift" else "secondary_step"]
    fault.begin(body, axis, {"rate_per_s": sign * DRIFT_PER_S, "step": sign * STEP})
    begun_s = couch.now_s + dice.uniform(-0.01, 0.0)  # the fault comes at any moment between two ticks
    while not watched.trips and couch.now_s < begun_s + GIVEN_UP_S:
        couch.run_for(0.01)
    return {
        "name": name,
        "axis": axis,
        "off": abs(float(body.secondary_fault[axis])) if watched.trips else math.inf,
        "took_s": couch.now_s - begun_s,
        "rules": watched.trips,
    }


def block(key: dict[str, Any]) -> dict[str, Any]:
    begun_s = time.process_time()
    work = usual_work(key["seed"], key["duration_s"])
    faults = []
    for number in range(key["faults"]):
        name = ("drift", "step")[number % 2]
        axis = number // 2 % 6
        sign = 1 if (number // 12 + key["seed"]) % 2 else -1
        faults.append(one_fault(1000 * key["seed"] + number, name, axis, sign))
    return {**work, "faults": faults, "processor_s": time.process_time() - begun_s}


def report(results: list[dict[str, Any]]) -> bool:
    """Print the figures; whether all goals are reached."""
    hours = sum(one["simulated_s"] for one in results) / 3600
    moved = sum(one["moved_s"] for one in results) / 3600
    trips = [rule for one in results for rule in one["trips"]]
    print(
        f"{hours:.2f} h simulated, {moved:.2f} h of them in motion, {sum(one['motions'] for one in results)} motions, "
        f"{sum(one['states'] for one in results)} states, {len(results)} seeds, "
        f"{sum(one['processor_s'] for one in results):.0f} s of a processor"
    )
    print(f"false trips of the whole chain: {len(trips)} {sorted(set(trips)) or ''}")
    for kind in ("standing", "moving"):
        most = np.max([one["apart"][kind] for one in results], axis=0)
        print(f"channels apart at most, {kind}: {most[:3].max():.3f} mm, {most[3:].max():.4f} deg")
    good = not trips
    faults = [fault for one in results for fault in one["faults"]]
    for name in ("drift", "step"):
        for unit, chosen in (("mm", range(3)), ("deg", range(3, 6))):
            these = [one for one in faults if one["name"] == name and one["axis"] in chosen]
            off, took = [one["off"] for one in these], [one["took_s"] for one in these]
            missed = sum(math.isinf(one) for one in off)
            print(
                f"{name:<5} {unit:<3} {len(these):4} faults, {missed} missed; found after {1e3 * min(took):.0f} to "
                f"{1e3 * max(took):.0f} ms, off by {min(off):.3f} to {max(off):.3f} {unit}"
            )
            good = good and not missed
            if name == "drift":
                good = good and max(off) < DRIFT_GOAL[unit == "deg"]
            else:
                good = good and max(took) <= STEP_GOAL_S
    return good


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true")
    full = parser.parse_args().full
    blocks, duration_s, faults = (
        (FULL_BLOCKS, FULL_BLOCK_S, FULL_FAULTS) if full else (SHORT_BLOCKS, SHORT_BLOCK_S, SHORT_FAULTS)
    )
    keys = [{"seed": seed, "duration_s": duration_s, "faults": faults} for seed in range(1, blocks + 1)]
    return int(not report(run_blocks(Path(__file__), keys, block, keep=full)))


if __name__ == "__main__":
    sys.exit(main())
