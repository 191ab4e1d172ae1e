"""End-to-end accuracy over many seeds: `isoalign demo` judged by the simulators' truth, never by a match.

    python tests/benchmarks/alignment_study.py --seeds 20 --output bench-output
    python tests/benchmarks/alignment_study.py --case FOLDER --seeds 20 --output bench-output

Each seed is a whole run (processes, DICOM, images, match, move, proof). Finished seeds are kept in a file and not run
again, so an interrupted study goes on where it stopped. Exits with 1 when fewer than 19 of 20 runs meet the goal.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

GOAL_MM = 0.5
GOAL_DEG = 0.3
GOAL_SHARE = 0.95


def run_one(seed: int, case: Path | None) -> dict[str, object]:
    """One demonstration in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="isoalign-study-") as output:
        command = [sys.executable, "-m", "isoalign.cli", "demo", "--json", "--seed", str(seed), "--output", output]
        if case is not None:
            command += ["--case", str(case)]
        began = time.monotonic()
        run = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        row: dict[str, object] = {"seed": seed, "exit_code": run.returncode, "seconds": time.monotonic() - began}
        document = json.loads(run.stdout) if run.stdout else {"error": {"code": "no output", "message": run.stderr}}
        if "error" in document:
            return {**row, "outcome": document["error"]["code"]}
        truth = document["truth"]
        return {
            **row,
            "outcome": document["outcome"],
            "hidden_mm": truth["hidden"]["distance_mm"],
            "hidden_deg": truth["hidden"]["angle_deg"],
            "remaining_mm": truth["remaining"]["distance_mm"],
            "remaining_deg": truth["remaining"]["angle_deg"],
        }


def meets_goal(row: dict[str, object]) -> bool:
    """Aligned, and truly within the goal."""
    if row["outcome"] != "aligned":
        return False
    return float(str(row["remaining_mm"])) <= GOAL_MM and float(str(row["remaining_deg"])) <= GOAL_DEG


def print_table(rows: list[dict[str, object]]) -> None:
    """Every seed, then medians and extremes."""
    print(f"{'seed':>4}  {'outcome':<18} {'hidden mm':>9} {'hidden deg':>10} {'left mm':>8} {'left deg':>8} {'s':>6}")
    for row in rows:
        numbers = [row.get(key) for key in ("hidden_mm", "hidden_deg", "remaining_mm", "remaining_deg", "seconds")]
        cells = ["-" if value is None else f"{float(str(value)):.3f}" for value in numbers]
        print(
            f"{row['seed']:>4}  {row['outcome']!s:<18} {cells[0]:>9} {cells[1]:>10} {cells[2]:>8} {cells[3]:>8} "
            f"{float(str(row['seconds'])):>6.1f}{'' if meets_goal(row) else '  <-- misses the goal'}"
        )
    for key, unit in (("remaining_mm", "mm"), ("remaining_deg", "deg"), ("seconds", "s")):
        values = np.array([float(str(row[key])) for row in rows if key in row])
        if values.size:
            middle, high, most = np.median(values), np.percentile(values, 95), values.max()
            print(f"{key:<14} median {middle:.3f}  95 % {high:.3f}  max {most:.3f} {unit}")


def main() -> int:
    """Run what is missing, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", type=Path, help="folder of DICOM files; the built-in phantom without it")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=100)
    parser.add_argument("--output", type=Path, default=Path("bench-output"))
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    name = "built-in" if options.case is None else options.case.resolve().name
    kept = options.output / f"alignment-study-{name}.jsonl"
    rows = {}
    if kept.is_file():
        rows = {row["seed"]: row for row in map(json.loads, kept.read_text(encoding="utf-8").splitlines())}
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    for number, seed in enumerate(seeds, 1):
        if seed not in rows:
            rows[seed] = run_one(seed, options.case)
            with kept.open("a", encoding="utf-8") as file:
                file.write(json.dumps(rows[seed]) + "\n")
        print(f"\r{number} of {len(seeds)}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    chosen = [rows[seed] for seed in seeds]
    print(f"case: {name}; goal: {GOAL_MM} mm and {GOAL_DEG} deg, truth of the simulators")
    print_table(chosen)
    met = sum(map(meets_goal, chosen))
    print(f"{met} of {len(chosen)} runs meet the goal")
    return 0 if met >= GOAL_SHARE * len(chosen) else 1


if __name__ == "__main__":
    sys.exit(main())
