"""What calibration is worth: `isoalign demo` on a machine whose panels stand 1 to 2 mm beside where the room believes.

    python tests/benchmarks/study_calibrated_room.py           2 seeds uncalibrated, 2 calibrated
    python tests/benchmarks/study_calibrated_room.py --full    5 and 20

Judged by the simulators' truth. Finished runs are kept in a file and not run again. Exits with 1 when an uncalibrated
run is truly within tolerance (then the planted errors are too small to show anything), or when fewer than 19 of 20
calibrated ones are.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from study_alignment import GOAL_DEG, GOAL_MM, GOAL_SHARE, print_table, run_one, within_goal

SHORT, FULL = (2, 2), (5, 20)
CONDITIONS = {"uncalibrated": ("--machine-errors",), "calibrated": ("--machine-errors", "--calibrate")}


def run_condition(name: str, seeds: range, output: Path) -> list[dict[str, object]]:
    """The rows of a condition; those that are missing are run."""
    kept = output / f"calibrated-room-{name}.jsonl"
    rows = {}
    if kept.is_file():
        rows = {row["seed"]: row for row in map(json.loads, kept.read_text(encoding="utf-8").splitlines())}
    for number, seed in enumerate(seeds, 1):
        if seed not in rows:
            rows[seed] = run_one(seed, None, *CONDITIONS[name])
            with kept.open("a", encoding="utf-8") as file:
                file.write(json.dumps(rows[seed]) + "\n")
        print(f"\r{name}: {number} of {len(seeds)}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return [rows[seed] for seed in seeds]


def main() -> int:
    """Run what is missing, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--first-seed", type=int, default=500)
    parser.add_argument("--output", type=Path, default=Path("bench-output"))
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    counts = dict(zip(CONDITIONS, FULL if options.full else SHORT, strict=True))
    good = {}
    for name, count in counts.items():
        rows = run_condition(name, range(options.first_seed, options.first_seed + count), options.output)
        print(f"\n{name}; goal: {GOAL_MM} mm and {GOAL_DEG} deg, judged by the simulators' truth")
        print_table(rows)
        good[name] = sum(map(within_goal, rows))
        print(f"{good[name]} of {count} runs are truly within the goal")
    return 0 if good["uncalibrated"] == 0 and good["calibrated"] >= GOAL_SHARE * counts["calibrated"] else 1


if __name__ == "__main__":
    sys.exit(main())
