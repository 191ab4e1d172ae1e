"""Where the couch truly comes to rest with 0 to 150 kg on it, beside where it was sent.

    python tests/benchmarks/study_positioning.py           some motions
    python tests/benchmarks/study_positioning.py --full    more couches, more and longer motions; resumable

Random motions of simulated couches that sag by 2 mm and 0.1 degrees at full load and extension, on a clock that nobody
waits for. Each couch has encoders, a load cell and a load test of its own. Judged by the true position of the loaded
table top: distance of the three linear axes from the target, spread of the angles, and how far an axis went beyond its
place of rest. For comparison the same without load compensation. Exits with 1 when a goal is missed.
"""

from __future__ import annotations

import argparse
import random
import sys
from pathlib import Path
from typing import Any

import numpy as np
from blocks import run_blocks

from isoalign.simulators.couch_firmware import TRAVEL, CouchFirmware
from isoalign.simulators.couch_physics import CouchBody, CouchPhysicsParameters
from isoalign.simulators.load_compensation import ElasticModel, LoadCell, LoadCompensation, run_load_test
from isoalign.simulators.virtual_couch import VirtualCouch

FULL_COUCHES, FULL_MOTIONS, FULL_WAY = 20, 50, 300.0
SHORT_COUCHES, SHORT_MOTIONS, SHORT_WAY = 3, 4, 60.0
ANGLE_PER_WAY = np.array([0.01, 0.01, 0.06])
WHERE = CouchPhysicsParameters(sag_mm=2.0, sag_pitch_deg=0.1)
GOAL_MM, GOAL_DEG, GOAL_OVERSHOOT_MM = 0.30, 0.02, 0.1
LOAD_SETTLES_S = 3.0


def near(here: np.ndarray, way_mm: float, dice: np.random.Generator) -> np.ndarray:
    reach = np.concatenate([np.full(3, way_mm), ANGLE_PER_WAY * way_mm])
    low, high = np.array(TRAVEL).T
    margin = np.array([5.0] * 3 + [0.3] * 3)
    return np.clip(here + dice.uniform(-1, 1, 6) * reach * (dice.random(6) < 0.8), low + margin, high - margin)


def one_couch(key: dict[str, Any]) -> dict[str, Any]:
    seed, compensated = key["seed"], key["compensated"]
    dice = np.random.default_rng([seed, 5])
    low, high = np.array(TRAVEL).T
    here = low + (high - low) * dice.uniform(0.1, 0.9, 6)
    here[3:5] = 0.0
    body = CouchBody(here.tolist(), seed=seed, now_s=0.0, parameters=WHERE)
    compensation = None
    if compensated:
        model = ElasticModel.fitted(run_load_test(WHERE, seed))
        compensation = LoadCompensation(model, LoadCell(seed))
    path: list[np.ndarray] = []
    firmware = CouchFirmware(body, now_s=0.0, compensation=compensation)
    couch = VirtualCouch(firmware, on_tick=lambda _now_s: path.append(body.true_position()))
    errors, overshoots = [], []
    for _ in range(key["motions"]):
        body.payload_kg = random.Random(f"{seed} {len(errors)}").choice([0.0, 150.0, *dice.uniform(0, 150, 4).tolist()])
        couch.run_for(LOAD_SETTLES_S)
        couch.press()
        here = near(here, key["way_mm"], dice)
        path.clear()
        assert couch.begin_move(here.tolist(), speed_permille=int(dice.choice([1000, 1000, 500]))), here
        couch.run_until_rest()
        couch.release()
        rest, begun = body.true_position(), path[0]
        errors.append((rest - here).tolist())
        beyond = (np.array(path) - rest) * np.sign(rest - begun)
        went = np.abs(rest - begun) > [0.5] * 3 + [0.05] * 3
        overshoots.append(np.where(went, beyond.max(axis=0), 0.0).tolist())
    return {"errors": errors, "overshoots": overshoots}


def report(results: list[dict[str, Any]], name: str) -> tuple[float, float, float]:
    errors = np.array([row for one in results for row in one["errors"]])
    overshoots = np.array([row for one in results for row in one["overshoots"]])
    away = np.linalg.norm(errors[:, :3], axis=1)
    median, most = np.percentile(away, [50, 95])
    turned = float(errors[:, 3:].std(axis=0).max())
    biased = float(np.abs(errors[:, 3:].mean(axis=0)).max())
    beyond = float(overshoots[:, :3].max())
    print(
        f"{name:<14} {len(away):5}  {median:.3f}  {most:.3f}  {away.max():.3f}     {turned:.4f}      {biased:.4f}"
        f"     {np.abs(errors[:, 3:]).max():.4f}       {beyond:.4f}     {overshoots[:, 3:].max():.5f}"
    )
    return float(most), float(np.hypot(turned, biased)), beyond


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true")
    full = parser.parse_args().full
    couches, motions, way = (
        (FULL_COUCHES, FULL_MOTIONS, FULL_WAY) if full else (SHORT_COUCHES, SHORT_MOTIONS, SHORT_WAY)
    )
    keys = [
        {"seed": seed, "compensated": compensated, "motions": motions, "way_mm": way}
        for compensated in (True, False)
        for seed in range(1, couches + 1)
    ]
    results = run_blocks(Path(__file__), keys, one_couch, keep=full)
    print("true error     n      3-D mm: median, 95 %, worst   deg: sigma, bias, worst       overshoot mm, deg")
    away, turned, beyond = report(results[:couches], "compensated")
    report(results[couches:], "without")
    return int(not (away <= GOAL_MM and turned <= GOAL_DEG and beyond <= GOAL_OVERSHOOT_MM))


if __name__ == "__main__":
    sys.exit(main())
