"""Make recording.json and truth.json: stops of a couch with two channels, computed with nothing but numpy.

Drives that follow with a lag, a gear with play, a second encoder with scale, offset and delay, and a few effects that
no fitted model of this package contains: a cyclic error of the second encoder, its steps, and a couch that brakes later
under load. Run it again only to change the golden input.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

AXES = ("lateral", "longitudinal", "vertical", "pitch", "roll", "patient_support_angle")
SPEEDS = {"service": (9.87, 0.973), "normal": (49.31, 2.937)}  # no multiple of an encoder step per reading
WAYS = ((-60.0, 60.0), (650.0, 780.0), (-180.0, -60.0), (-3.0, 3.0), (-3.0, 3.0), (-20.0, 20.0))
STEP_S = 0.001
STATE_EVERY = 23


@dataclass
class TrueAxis:
    """What one axis truly is; lengths in mm or degrees."""

    scale: float = 0.0
    offset: float = 0.0
    lag_s: float = 0.0
    half_play: float = 0.0
    noise: float = 0.003
    resolution: float = 0.01
    cyclic: float = 0.0  # amplitude of an error that repeats every 2 mm or degrees
    reaction_s: float = 0.02
    reaction_per_kg_s: float = 0.0


@dataclass
class TrueCouch:
    """Six axes."""

    axes: list[TrueAxis] = field(default_factory=lambda: [TrueAxis() for _ in AXES])


def realistic() -> TrueCouch:
    """A couch with errors of either sign."""
    linear = {"noise": 0.003, "resolution": 0.01, "cyclic": 0.003, "reaction_per_kg_s": 1e-4}
    angular = {"noise": 0.0002, "resolution": 0.001, "cyclic": 0.0003, "reaction_per_kg_s": 1e-4}
    return TrueCouch(
        [
            TrueAxis(1.5e-4, 0.12, 0.021, 0.012, **linear),
            TrueAxis(-2.0e-4, -0.30, 0.019, 0.020, **linear),
            TrueAxis(8e-5, 0.05, 0.024, 0.010, **linear),
            TrueAxis(-3e-4, 0.02, 0.018, 0.002, **angular),
            TrueAxis(4e-4, -0.03, 0.026, 0.001, **angular),
            TrueAxis(-1e-4, 0.04, 0.020, 0.002, **angular),
        ]
    )


def run(
    couch: TrueCouch, index: int, speed_class: str, direction: int, load_kg: float, dice: np.random.Generator
) -> dict:
    """One motion along one axis, stopped when about half of its way is done."""
    axis, linear = couch.axes[index], index < 3
    speed = SPEEDS[speed_class][0 if linear else 1]
    braking = speed / (1.0 * (500.0 if linear else 30.0)) * 1.6
    low, high = WAYS[index]
    start = low if direction > 0 else high
    stop_s = (high - low) / speed * dice.uniform(0.45, 0.55) + 0.3
    begin_braking = stop_s + axis.reaction_s + axis.reaction_per_kg_s * load_kg
    time_s = np.arange(0.0, stop_s + 1.2, STEP_S)
    wanted = np.where(time_s < 0.1, 0.0, speed * np.minimum(1.0, (time_s - 0.1) / braking))
    wanted = np.where(time_s > begin_braking, speed * np.maximum(0.0, 1 - (time_s - begin_braking) / braking), wanted)
    set_point = start + direction * np.cumsum(wanted) * STEP_S
    drive = np.empty_like(set_point)
    place, velocity, table, seen, omega = start, 0.0, start, start, 2 * np.pi * 16.0
    rate, late = np.empty_like(set_point), np.empty_like(set_point)
    for number, goal in enumerate(set_point):
        velocity += (omega**2 * (goal - place) - 1.6 * omega * velocity) * STEP_S
        place += velocity * STEP_S
        table = min(max(table, place - axis.half_play), place + axis.half_play)
        seen += (table - seen) * STEP_S / (axis.lag_s + STEP_S)
        drive[number], rate[number], late[number] = place, velocity, seen
    states = np.arange(max(0, int((stop_s - 1.6) / STEP_S)), len(time_s), STATE_EVERY)
    primary = drive[states] + dice.normal(0.0, axis.noise, len(states))
    second = axis.offset + (1 + axis.scale) * late[states] + axis.cyclic * np.sin(np.pi * late[states])
    secondary = np.round(second / axis.resolution) * axis.resolution
    still = np.abs(rate[states]) < (0.02 if linear else 0.002)
    return {
        "axis": AXES[index],
        "speed_class": speed_class,
        "load_kg": load_kg,
        "t_s": np.round(time_s[states] - stop_s, 4).tolist(),
        "primary": np.round(primary, 5).tolist(),
        "secondary": np.round(secondary, 5).tolist(),
        "velocity": np.round(rate[states], 4).tolist(),
        "standstill": still.tolist(),
    }


def recording(couch: TrueCouch, *, seed: int, loads: tuple[float, ...] = (0.0, 150.0), again: int = 2) -> dict:
    """All axes, both directions, two speeds, some loads."""
    dice = np.random.default_rng(seed)
    runs = [
        run(couch, index, speed_class, direction, load, dice)
        for load in loads
        for index in range(6)
        for speed_class in SPEEDS
        for direction in (1, -1) * again
    ]
    return {
        "kind": "isoalign couch stops",
        "version": 1,
        "measured_at": "2026-03-01T07:30:00+00:00",
        "devices": {"couch": "GOLDEN-1"},
        "notes": {},
        "runs": runs,
    }


def main() -> None:
    """Write the golden input and what is true."""
    folder, couch = Path(__file__).parent, realistic()
    text = json.dumps(recording(couch, seed=2026, again=2))
    (folder / "recording.json").write_text(text + "\n", encoding="utf-8")
    truth = {name: vars(axis) for name, axis in zip(AXES, couch.axes, strict=True)}
    (folder / "truth.json").write_text(json.dumps(truth, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
