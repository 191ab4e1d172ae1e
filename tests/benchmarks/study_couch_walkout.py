"""How well the axis of the couch is found: truth is where it was planted.

    python tests/benchmarks/study_couch_walkout.py            2 000 couches of each kind
    python tests/benchmarks/study_couch_walkout.py --full     20 000 couches of each kind

Couches have an axis up to 1 mm beside the isocentre and a ball up to 60 mm from it; balls scatter by 0.1 mm. Beside the
known-angle fit stands a circle through the same points (Kåsa). Exits with 1 when 95 % of the axes at nine angles over
180 degrees are not within 0.10 mm, when the stated region holds the axis in fewer than 93 % of the couches, or when
one of 100 gross outliers is not named.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np
import numpy.typing as npt

from isoalign.calibration import Underdetermined, WalkoutMeasurements, fit_couch_walkout

Array = npt.NDArray[np.float64]
SIGMA_MM, GATE_MM, COVERAGE = 0.1, 0.10, 0.93
KINDS = {
    "9 over 180°": (-90, 90, 9),
    "7 over 180°": (-90, 90, 7),
    "5 over 180°": (-90, 90, 5),
    "7 over 90°": (0, 90, 7),
}


def points(angles: Array, axis: Array, ball: Array, rng: np.random.Generator) -> Array:
    """A ball on a couch that turns rigidly about an axis."""
    c, s = np.cos(np.deg2rad(angles)), np.sin(np.deg2rad(angles))
    x, y = ball[:2] - axis
    exact = np.column_stack([axis[0] + c * x - s * y, axis[1] + s * x + c * y, np.full(len(angles), ball[2])])
    return exact + rng.normal(0.0, SIGMA_MM, exact.shape)


def circle(seen: Array) -> Array:
    """The middle of a circle through points, by linear least squares."""
    design = np.column_stack([2 * seen[:, :2], np.ones(len(seen))])
    solved, *_ = np.linalg.lstsq(design, (seen[:, :2] ** 2).sum(axis=1), rcond=None)
    return np.asarray(solved[:2])


def main() -> int:
    """Print the table; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true")
    count = 20_000 if parser.parse_args().full else 2_000
    missed_goals = []
    print(f"{count} couches of each kind, 95 % within (mm): known angles, circle; region holds it; refused")
    for name, (low, high, number) in KINDS.items():
        rng, angles = np.random.default_rng(11), np.linspace(low, high, number)
        errors, circles, held, refused = [], [], 0, 0
        for _ in range(count):
            axis, ball = rng.uniform(-1, 1, 2), rng.uniform(-60, 60, 3)
            seen = points(angles, axis, ball, rng)
            try:
                found = fit_couch_walkout(WalkoutMeasurements.of_one_ball(angles, seen))
            except Underdetermined:  # one of five angles was thought an outlier, and four are too few
                refused += 1
                continue
            errors.append(float(np.linalg.norm(found.axis_mm - axis)))
            circles.append(float(np.linalg.norm(circle(seen) - axis)))
            held += errors[-1] <= found.uncertainty95_mm
        p95 = float(np.percentile(errors, 95))
        print(f"{name:12} {p95:6.3f} {float(np.percentile(circles, 95)):8.3f} {held / len(errors):7.1%} {refused:5}")
        if number == 9 and p95 > GATE_MM:
            missed_goals.append(f"{name}: {p95:.4f} mm")
        if held / len(errors) < COVERAGE:
            missed_goals.append(f"{name}: region holds {held / len(errors):.1%}")
    rng, angles, named = np.random.default_rng(12), np.linspace(-90, 90, 9), 0
    for trial in range(100):
        seen = points(angles, rng.uniform(-1, 1, 2), rng.uniform(-60, 60, 3), rng)
        way = rng.normal(size=3)
        seen[trial % 9] += 2.0 * way / np.linalg.norm(way)
        found = fit_couch_walkout(WalkoutMeasurements.of_one_ball(angles, seen))
        named += found.outliers == (f"couch {angles[trial % 9]:g}°",)
    print(f"outliers of 2 mm in any direction, named: {named} of 100")
    if named < 100:
        missed_goals.append(f"{100 - named} outliers not named")
    for one in missed_goals:
        print(f"MISSED {one}")
    return 1 if missed_goals else 0


if __name__ == "__main__":
    sys.exit(main())
