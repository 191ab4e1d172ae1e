"""Speed of the geometry kernel as ratios against public libraries and a memory copy, in one run on one core.

    python tests/benchmarks/study_geometry.py           1e6 positions, growth to 1e7
    python tests/benchmarks/study_geometry.py --full    growth to 1e8

Conversion IEC 61217 -> Isocentric Standard of the same positions by each way; every result is compared with scipy's
before it counts. Medians of several runs. Exits with 1 when a goal is missed.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
import timeit
from collections.abc import Callable

import numpy as np
import transforms3d
from scipy.spatial.transform import Rotation

from isoalign.geometry import (
    ImagerAxis,
    PatientPosition,
    PixelGrid,
    ProjectionGeometry,
    ReceptorLookup,
    Representation,
    TableTopArray,
    TableTopPosition,
    iec_to_isocentric,
    planned_fixed_from_dicom,
)
from isoalign.geometry.table_top import iec_to_isocentric_scalar

COUNT = 1_000_000
LOOP_COUNT = 2_000
BLOCK = 250_000
RUNS = 9
IEC, ISO = Representation.IEC_61217, Representation.ISOCENTRIC_STANDARD


def median_s(run: Callable[[], object], runs: int = RUNS) -> float:
    run()
    times = []
    for _ in range(runs):
        begun = time.perf_counter()
        run()
        times.append(time.perf_counter() - begun)
    return float(np.median(times))


def ratio_to_a_copy(rounds: int = 7, turns: int = 5) -> list[float]:
    """Time of the compiled path over that of a copy of as many bytes, one after the other, sorted.

    A copy's speed depends on where its pages happen to lie, so every round has fresh memory.
    """
    rng = np.random.default_rng(3)
    ratios = []
    for _ in range(rounds):
        columns = [rng.uniform(-1500, 1500, COUNT) for _ in range(3)] + [rng.uniform(-85, 85, COUNT) for _ in range(3)]
        positions, out, halves = TableTopArray(IEC, *columns), np.empty((3, COUNT)), np.ones((2, 4 * COUNT))
        ratios += [
            median_s(lambda: positions.in_representation(ISO, out=out), 3)  # noqa: B023 - called at once
            / median_s(lambda: np.copyto(halves[1], halves[0]), 3)  # noqa: B023
            for _ in range(turns)
        ]
    return sorted(ratios)


def batch_table(positions: TableTopArray, out: np.ndarray) -> list[tuple[str, float, float]]:
    """(way, seconds per position, largest difference from scipy in mm)."""
    rows = positions.rows()
    translations, tilts = rows[:, :3], rows[:, 3:5]

    def by_scipy() -> np.ndarray:
        return Rotation.from_euler("XY", tilts, degrees=True).inv().apply(translations)

    def by_transforms3d() -> np.ndarray:
        return np.array(
            [
                transforms3d.euler.euler2mat(*np.radians(tilt), 0.0, axes="rxyz").T @ shift
                for tilt, shift in zip(tilts[:LOOP_COUNT], translations[:LOOP_COUNT], strict=True)
            ]
        )

    def by_numpy() -> np.ndarray:
        return np.column_stack(iec_to_isocentric(*positions.columns[:5]))

    def compiled() -> np.ndarray:
        return np.column_stack(positions.in_representation(ISO, out=out).columns[:3])

    reference = by_scipy()
    halves = np.ones((2, 4 * len(positions)))  # 8 numbers of 8 bytes move per position: 5 read, 3 written
    ways: list[tuple[str, Callable[[], object], int, Callable[[], np.ndarray] | None]] = [
        ("scipy Rotation", by_scipy, COUNT, None),
        ("transforms3d in a loop", by_transforms3d, LOOP_COUNT, by_transforms3d),
        ("NumPy path", lambda: iec_to_isocentric(*positions.columns[:5]), COUNT, by_numpy),
        ("compiled path", lambda: positions.in_representation(ISO, out=out), COUNT, compiled),
        ("copy of the same bytes", lambda: np.copyto(halves[1], halves[0]), COUNT, None),
    ]
    table = []
    for name, run, count, result in ways:
        seconds = median_s(run, 3 if name.startswith("scipy") else RUNS) / count
        apart = 0.0 if result is None else float(np.abs(result() - reference[:count]).max())
        table.append((name, seconds, apart))
    return table


def single_table() -> list[tuple[str, float, float]]:
    """(what, microseconds, goal in microseconds): the least of several means, as a loop on a quiet machine has it."""
    position = TableTopPosition(IEC, 25.0, 1200.0, -180.0, -2.5, 1.75, 30.0)
    geometry = ProjectionGeometry.from_axis(ImagerAxis(90.0, 1000.0, 1500.0), PixelGrid.centred(1024, 1024, 0.4))
    lookup = ReceptorLookup.of(geometry, planned_fixed_from_dicom(PatientPosition.HFS, (0.0, 0.0, 0.0)))
    cases: list[tuple[str, str, dict[str, object], float]] = [
        (
            "one position, plain floats",
            "convert(25.0, 1200.0, -180.0, -2.5, 1.75)",
            {"convert": iec_to_isocentric_scalar},
            0.5,
        ),
        ("one position, tagged and checked", "p.in_representation(iso)", {"p": position, "iso": ISO}, 4.0),
        ("DICOM patient point to pixel", "look(10.0, -20.0, 30.0)", {"look": lookup.pixel}, 5.0),
    ]
    measured = []
    for name, statement, names, goal in cases:
        timer = timeit.Timer(statement, globals=names)
        measured.append((name, min(timer.repeat(7, 50_000)) / 50_000 * 1e6, goal))
    return measured


def grow(largest: int) -> list[tuple[int, float, float]]:
    """(positions, seconds, growth of the largest resident memory in MB) in blocks that reuse one piece of memory."""
    rng = np.random.default_rng(1)
    columns = [rng.uniform(-1500, 1500, BLOCK) for _ in range(3)] + [rng.uniform(-85, 85, BLOCK) for _ in range(3)]
    out = np.empty((3, BLOCK))
    TableTopArray(IEC, *columns).in_representation(ISO, out=out)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    table = []
    count = 1_000_000
    while count <= largest:
        begun = time.perf_counter()
        for _ in range(count // BLOCK):
            TableTopArray(IEC, *columns).in_representation(ISO, out=out)
        seconds = time.perf_counter() - begun
        table.append((count, seconds, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024))
        count *= 10
    return table


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="growth to 1e8 positions")
    arguments = parser.parse_args()
    rng = np.random.default_rng(7)
    columns = [rng.uniform(-1500, 1500, COUNT) for _ in range(3)] + [rng.uniform(-85, 85, COUNT) for _ in range(3)]
    positions = TableTopArray(IEC, *columns)
    table = batch_table(positions, np.empty((3, COUNT)))
    seconds = {name: per for name, per, _ in table}
    scipy_s, copy_s = seconds["scipy Rotation"], seconds["copy of the same bytes"]
    print(f"{COUNT:.0e} positions, IEC 61217 -> Isocentric Standard, one core, medians")
    print(f"{'way':28}{'ns a position':>14}{'scipy is':>12}{'of a copy':>11}{'apart, mm':>12}")
    for name, per, apart in table:
        print(f"{name:28}{per * 1e9:14.1f}{scipy_s / per:10.1f} x{per / copy_s:9.2f} x{apart:12.1e}")
    ratios = ratio_to_a_copy()
    middle = ratios[len(ratios) // 2]
    print(f"compiled path of a copy, {len(ratios)} pairs: median {middle:.2f}, {ratios[0]:.2f} to {ratios[-1]:.2f}")
    print()
    print(f"{'one at a time':36}{'us':>8}{'goal':>8}")
    singles = single_table()
    for name, us, goal in singles:
        print(f"{name:36}{us:8.2f}{goal:8.1f}")
    print()
    print(f"{'positions, checked, in blocks':36}{'s':>8}{'ns each':>10}{'more memory, MB':>18}")
    growth = grow(100_000_000 if arguments.full else 10_000_000)
    for count, s, megabytes in growth:
        print(f"{count:<36,}{s:8.2f}{s / count * 1e9:10.1f}{megabytes:18.1f}")
    missed = [name for name, us, goal in singles if us > goal]
    goals = {
        "compiled path >= 150 x scipy": scipy_s / seconds["compiled path"] >= 150,
        "compiled path within 1.5 x a copy": middle <= 1.5,
        "NumPy path >= 10 x scipy": scipy_s / seconds["NumPy path"] >= 10,
        "all results within 1e-9 mm of scipy's": all(apart <= 1e-9 for _, _, apart in table),
        "memory bounded": growth[-1][2] < 50.0,
    }
    missed += [name for name, met in goals.items() if not met]
    print()
    print("all goals met" if not missed else "MISSED: " + "; ".join(missed))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
