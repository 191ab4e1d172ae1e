"""Make measurements.json and truth.json: targets on a couch with errors, as a tracker would record them.

Nothing but numpy; the couch is that of true_couch.py. Run it again only to change the golden input.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from true_couch import REALISTIC, TrueCouch

TARGETS = np.array([[-220.0, -900.0, 20.0], [220.0, -900.0, 20.0], [-220.0, -300.0, 20.0], [220.0, -300.0, 120.0]])
NAMES = ("left front", "right front", "left back", "right back")
RANGE = np.array([[-150, 400, -300, -3, -3, -90], [150, 1300, 50, 3, 3, 90]], dtype=float)


@dataclass
class Survey:
    """What a tracker would record."""

    positions: np.ndarray
    load_kg: np.ndarray
    load_centre_mm: np.ndarray
    approach: np.ndarray
    seen_mm: np.ndarray
    targets_mm: np.ndarray = field(default_factory=lambda: TARGETS)


def survey(
    couch: TrueCouch,
    *,
    seed: int,
    poses: int = 60,
    noise_mm: float = 0.03,
    loads: tuple[float, ...] = (0.0, 75.0, 150.0),
) -> Survey:
    """Measure a couch at random poses, approached from either side, loads in turn."""
    dice = np.random.default_rng(seed)
    positions = dice.uniform(RANGE[0], RANGE[1], (poses, 6))
    load = np.resize(np.array(loads), poses)
    centre = np.column_stack([dice.uniform(-60, 60, poses), dice.uniform(-800, -500, poses), np.full(poses, 100.0)])
    approach = dice.choice([-1.0, 1.0], (poses, 6))
    placed = TARGETS + dice.normal(0.0, 0.02, TARGETS.shape)
    seen = np.empty((poses, len(TARGETS), 3))
    for number in range(poses):
        pose = couch.pose(positions[number], load[number], centre[number], approach[number], number / max(1, poses - 1))
        seen[number] = placed @ pose[:3, :3].T + pose[:3, 3]
    seen += dice.normal(0.0, noise_mm, seen.shape)
    return Survey(positions, load, centre, approach, seen)


def main() -> None:
    """Write the golden input and what is true."""
    folder = Path(__file__).parent
    seen = survey(REALISTIC, seed=2026, poses=54)
    poses = [
        {
            "position": np.round(position, 4).tolist(),
            "load_kg": float(load),
            "load_centre_mm": np.round(centre, 1).tolist(),
            "approach": approach.astype(int).tolist(),
            "seen_mm": np.round(targets, 4).tolist(),
        }
        for position, load, centre, approach, targets in zip(
            seen.positions, seen.load_kg, seen.load_centre_mm, seen.approach, seen.seen_mm, strict=True
        )
    ]
    measurements = {
        "kind": "isoalign couch targets",
        "version": 1,
        "measured_at": "2026-03-01T07:30:00+00:00",
        "devices": {"couch": "GOLDEN-1"},
        "noise_mm": 0.03,
        "placement_mm": 0.02,
        "targets": [{"name": name, "place_mm": place} for name, place in zip(NAMES, TARGETS.tolist(), strict=True)],
        "poses": poses,
    }
    (folder / "measurements.json").write_text(json.dumps(measurements, indent=1) + "\n", encoding="utf-8")
    (folder / "truth.json").write_text(json.dumps(asdict(REALISTIC), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
