"""The predicted stop distance beside the truth: the simulated couch on a clock of its own, over real bytes.

    python tests/benchmarks/study_stop_distance.py           a dozen stops
    python tests/benchmarks/study_stop_distance.py --full    a thousand; resumable

Random motions of random axes at a tenth to all of the full speed, with 0 to 150 kg on a table top that sags (the
controller allows for that by its load cell), each stopped at a random moment; STOP is up to 1 ms on its way. True is
how far the loaded table top goes on. Judged are axes faster than 2.5 mm/s or 0.15 degrees/s: slower ones have just
begun or are about to stand, a stop is then all lag, noise and play. Those may miss by the play of the gears, which no
encoder sees. Exits with 1 when a prediction is too short, or more than a fifth too long.
"""

from __future__ import annotations

import argparse
import random
import sys
from pathlib import Path
from typing import Any

import numpy as np
from blocks import run_blocks

from isoalign.devices.stopping import TRANSMISSION_S, StopPredictor
from isoalign.geometry.motion_profile import NORMAL_LIMITS, plan_synchronised
from isoalign.protocol import axes_from_micro
from isoalign.protocol.messages import CouchState, Latch
from isoalign.simulators.couch_firmware import CouchFirmware
from isoalign.simulators.couch_physics import CouchBody, CouchPhysicsParameters
from isoalign.simulators.load_compensation import ElasticModel, LoadCell, LoadCompensation, run_load_test
from isoalign.simulators.virtual_couch import VirtualCouch

SHORT, FULL, FULL_BLOCKS = 12, 50, 20
SLOWEST = np.array([2.5, 2.5, 2.5, 0.15, 0.15, 0.15])
PLAY = np.array([0.02, 0.02, 0.02, 0.002, 0.002, 0.002])
MOST_TOO_LONG = 1.2
SAGGING = CouchPhysicsParameters(sag_mm=2.0, sag_pitch_deg=0.1)


class SeenCouch:
    """A couch whose bar is held; keeps what its host has read last, and what was true at that moment."""

    def __init__(self, start: np.ndarray, seed: int, payload_kg: float) -> None:
        self.body = CouchBody(start.tolist(), seed=seed, now_s=0.0, parameters=SAGGING)
        self.body.payload_kg = payload_kg
        compensation = LoadCompensation(ElasticModel.fitted(run_load_test(SAGGING, seed)), LoadCell(seed))
        firmware = CouchFirmware(self.body, now_s=0.0, compensation=compensation)
        self.position = self.velocity = self.truth = np.zeros(6)
        self.made_s = 0.0
        self.couch = VirtualCouch(firmware, on_state=self._see)
        self.couch.press()

    def _see(self, state: CouchState, now_s: float) -> None:
        self.position, self.velocity = (
            np.array([float(value or 0.0) for value in axes_from_micro(micro)])
            for micro in (state.primary_micro, state.velocity_micro_per_s)
        )
        self.made_s, self.truth = now_s, self.body.true_position()


def one_stop(trial: int) -> dict[str, Any]:
    """A stop at a random moment at which something really moves."""
    dice = random.Random(trial)
    start = np.array([dice.uniform(-100, 100), dice.uniform(500, 1200), dice.uniform(-300, 0), 0, 0, 0])
    reach = np.array([80.0, 200.0, 80.0, 3.0, 3.0, 30.0])
    way = np.array([dice.uniform(-1, 1) * length * dice.choice([0, 1, 1]) for length in reach])
    way[dice.randrange(6)] = dice.choice([-1, 1]) * reach[dice.randrange(3)] * 0.01
    seen = SeenCouch(start, trial, dice.choice([0.0, 150.0, dice.uniform(0.0, 150.0)]))
    couch = seen.couch
    permille = dice.choice([100, 200, 400, 700, 1000, 1000])
    target = seen.position + way
    profile = plan_synchronised(seen.position, target, [one.at_speed(permille / 1000) for one in NORMAL_LIMITS])
    assert couch.begin_move(target.tolist(), speed_permille=permille)
    couch.run_for(dice.uniform(0.1, 0.95) * profile.duration_s)
    while (np.abs(seen.velocity) < SLOWEST).all() and couch.firmware.is_moving:
        couch.run_for(0.02)
    assert couch.firmware.is_moving
    predictor = StopPredictor(profile, seen.body.parameters.servo_lag_s)
    before, velocity = seen.truth, seen.velocity
    predicted = predictor.stop_distance(seen.position.tolist(), velocity.tolist(), couch.now_s - seen.made_s)
    couch.run_for(dice.uniform(0.0, TRANSMISSION_S))
    couch.stop()
    assert couch.firmware.latch is Latch.STOP_COMMAND
    couch.run_until_rest()
    true = np.abs(seen.body.true_position() - before)
    return {"predicted": predicted.tolist(), "true": true.tolist(), "fast": (np.abs(velocity) >= SLOWEST).tolist()}


def block(key: dict[str, int]) -> dict[str, Any]:
    return {"stops": [one_stop(trial) for trial in range(key["first"], key["first"] + key["stops"])]}


def report(results: list[dict[str, Any]]) -> bool:
    stops = [stop for one in results for stop in one["stops"]]
    predicted, true, fast = (np.array([stop[name] for stop in stops]) for name in ("predicted", "true", "fast"))
    ratio = predicted[fast] / true[fast]
    print(f"{len(stops)} stops, {fast.sum()} moving axes, of them over by (median, 95 %, worst):", end=" ")
    print(", ".join(f"{100 * (value - 1):.1f} %" for value in (*np.percentile(ratio, [50, 95]), ratio.max())))
    print(f"least over: {100 * (ratio.min() - 1):.1f} %; too short: {int((ratio < 1).sum())}")
    for axis, unit in ((slice(0, 3), "mm"), (slice(3, 6), "deg")):
        chosen = fast[:, axis]
        margin = (predicted - true)[:, axis][chosen]
        print(f"true way {true[:, axis][chosen].max():.2f} {unit} at most, over by {margin.max():.3f} {unit} at most")
    slow = (true - predicted - PLAY)[~fast]
    print(f"slow axes: beyond prediction and play: {int((slow > 0).sum())} of {slow.size}")
    return bool((ratio >= 1).all() and (ratio <= MOST_TOO_LONG).all() and (slow <= 0).all())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true")
    full = parser.parse_args().full
    keys = [{"first": 0, "stops": SHORT}]
    if full:
        keys = [{"first": FULL * number, "stops": FULL} for number in range(FULL_BLOCKS)]
    return int(not report(run_blocks(Path(__file__), keys, block, keep=full)))


if __name__ == "__main__":
    sys.exit(main())
