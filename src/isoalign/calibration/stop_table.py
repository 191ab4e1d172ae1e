"""How far and how long each axis goes on after a stop, by speed and load: the table that interlocks look into.

Every stop counts. One that is far longer than the others of its kind is named and fails the calibration; it is never
left out, because a couch that once stopped late may do so again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from isoalign.calibration.couch_recording import StopRecording
from isoalign.calibration.errors import OutsideCalibratedRange, Underdetermined
from isoalign.geometry import AXES
from isoalign.geometry.motion_profile import FAST_LIMITS, NORMAL_LIMITS, SERVICE_LIMITS, stop_distance

LEAST_STOPS = 3
COVERAGE, CONFIDENCE = 0.95, 0.95
LIMITS = {"service": SERVICE_LIMITS, "normal": NORMAL_LIMITS, "fast": FAST_LIMITS}
ODD_FACTOR = 1.5
"""A stop longer than this many times the median of its kind is odd."""
SPEED_SPREAD = 0.1
LEAST_SPEED_PART = 0.5
"""A stop from less than this part of its class' speed tells nothing about the class."""
SLACK_S = 0.005
"""Rounding of the times of readings."""
METHOD = "stops at speed; upper tolerance limit of 95 % of stops with 95 % confidence"


@dataclass(frozen=True, slots=True)
class Stop:
    """One stop: run (from 1), speed when it was stopped, and how far and how long the axis went on."""

    run: int
    axis: str
    speed_class: str
    load_kg: float
    speed: float
    distance: float
    time_s: float


@dataclass(frozen=True, slots=True)
class StopCell:
    """Stops of one axis, speed class and load.

    Attributes
    ----------
    speed : float
        The fastest, mm/s or degrees/s.
    distance, time_s : float
        Mean.
    largest_distance, largest_time_s : float
        That occurred.
    bound_distance, bound_time_s : float
        95 % of stops stay below, with 95 % confidence; never less than what occurred.
    count : int
    """

    axis: str
    speed_class: str
    load_kg: float
    speed: float
    distance: float
    time_s: float
    largest_distance: float
    largest_time_s: float
    bound_distance: float
    bound_time_s: float
    count: int


@dataclass(frozen=True, slots=True)
class StopTable:
    """The table.

    Attributes
    ----------
    cells : tuple of StopCell
    reaction_s : dict of str to float
        Axis -> the longest time for which it went on as if nothing had been said, beyond the braking of its profile.
        It is what stop predictions add.
    odd : tuple of str
        Stops that were far longer than the others of their kind, in words.
    """

    cells: tuple[StopCell, ...]
    reaction_s: dict[str, float]
    odd: tuple[str, ...]

    def bound(self, axis: str, speed: float, load_kg: float) -> tuple[float, float]:
        """How far (mm or degrees) and how long (s) an axis may go on, at most, from a speed under a load.

        Between two speeds the bound is interpolated, which is on the safe side because stops grow more than
        proportionally; of the loads around the one given the worse counts.

        Raises
        ------
        OutsideCalibratedRange
            Faster or heavier than what was measured, or an axis that was not.
        """
        own = [cell for cell in self.cells if cell.axis == axis]
        loads = sorted({cell.load_kg for cell in own})
        if not own or not 0 <= load_kg <= loads[-1] + 1.0:
            raise OutsideCalibratedRange(f"no stop of {axis} was measured under {load_kg:g} kg", axis=axis)
        above = next((load for load in loads if load >= load_kg), loads[-1])
        below = max((load for load in loads if load <= load_kg), default=above)
        bounds = [self._at_speed(axis, abs(speed), load) for load in {below, above}]
        return max(one[0] for one in bounds), max(one[1] for one in bounds)

    def _at_speed(self, axis: str, speed: float, load_kg: float) -> tuple[float, float]:
        cells = sorted(
            (cell for cell in self.cells if (cell.axis, cell.load_kg) == (axis, load_kg)), key=lambda cell: cell.speed
        )
        if speed > cells[-1].speed * 1.02:
            raise OutsideCalibratedRange(
                f"{axis} was not stopped from {speed:g} under {load_kg:g} kg, at most from {cells[-1].speed:.2f}"
            )
        knots = [0.0, *(cell.speed for cell in cells)]
        ways = np.maximum.accumulate([0.0, *(cell.bound_distance for cell in cells)])
        times = np.maximum.accumulate([cells[0].bound_time_s, *(cell.bound_time_s for cell in cells)])
        return float(np.interp(speed, knots, ways)), float(np.interp(speed, knots, times))


def stop_table(runs: Sequence[StopRecording]) -> StopTable:
    """The table of all recordings.

    Raises
    ------
    Underdetermined
        An axis without stops, fewer than three stops of a kind, or a stop that was not from speed.
    """
    stops = [_stop(number, run) for number, run in enumerate(runs, start=1)]
    missing = [axis for axis in AXES if axis not in {stop.axis for stop in stops}]
    if missing:
        raise Underdetermined(f"no stop of {', '.join(missing)} was recorded", axes=missing)
    kinds = sorted({(AXES.index(stop.axis), stop.load_kg, stop.speed_class) for stop in stops})
    cells: list[StopCell] = []
    odd: list[str] = []
    for index, load, speed_class in kinds:
        same = [s for s in stops if (AXES.index(s.axis), s.load_kg, s.speed_class) == (index, load, speed_class)]
        cells.append(_cell(same))
        odd += _odd(same)
    reaction = {axis: max(_reaction(stop) for stop in stops if stop.axis == axis) for axis in AXES}
    return StopTable(tuple(cells), reaction, tuple(odd))


def stops_of(runs: Sequence[StopRecording]) -> tuple[Stop, ...]:
    """Every stop by itself."""
    return tuple(_stop(number, run) for number, run in enumerate(runs, start=1))


def _stop(number: int, run: StopRecording) -> Stop:
    index = run.index
    before, after = run.t_s <= 0, run.t_s > 0
    resting = after & run.standstill
    where = f"run {number}, {run.axis} in the class {run.speed_class}"
    if before.sum() < 2 or not resting.any():
        raise Underdetermined(f"{where}: the recording does not reach from before the stop until rest")
    speed = abs(float(np.interp(0.0, run.t_s, run.velocity)))
    limits = LIMITS.get(run.speed_class)
    if limits is None:
        raise Underdetermined(f"{where}: the speed class is not known")
    if speed < LEAST_SPEED_PART * limits[index].speed:
        raise Underdetermined(
            f"{where}: stopped from {speed:.2f} {run.unit}/s only",
            hint="Stop when the axis has reached its speed: give it a longer way.",
        )
    at_stop = float(np.interp(0.0, run.t_s, run.primary))
    rest = float(np.median(run.primary[resting]))
    time_s = float(run.t_s[resting][0]) + SLACK_S
    return Stop(number, run.axis, run.speed_class, run.load_kg, speed, abs(rest - at_stop), time_s)


def _cell(same: Sequence[Stop]) -> StopCell:
    first = same[0]
    if len(same) < LEAST_STOPS:
        raise Underdetermined(
            f"{first.axis} in the class {first.speed_class} under {first.load_kg:g} kg: {len(same)} stops, "
            f"{LEAST_STOPS} are needed"
        )
    ways, times = np.array([stop.distance for stop in same]), np.array([stop.time_s for stop in same])
    return StopCell(
        first.axis,
        first.speed_class,
        first.load_kg,
        max(stop.speed for stop in same),
        float(ways.mean()),
        float(times.mean()),
        float(ways.max()),
        float(times.max()),
        _upper(ways),
        _upper(times),
        len(same),
    )


def _upper(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
    """One-sided tolerance limit of a normal sample; source: ISO 16269-6, noncentral t."""
    count = values.size
    factor = stats.nct.ppf(CONFIDENCE, count - 1, stats.norm.ppf(COVERAGE) * np.sqrt(count)) / np.sqrt(count)
    return float(max(values.max(), values.mean() + factor * values.std(ddof=1)))


def _odd(same: Sequence[Stop]) -> list[str]:
    usual, usual_s = np.median([stop.distance for stop in same]), np.median([stop.time_s for stop in same])
    unit = "mm" if AXES.index(same[0].axis) < 3 else "deg"
    return [
        f"run {stop.run}: {stop.axis} went on for {stop.distance:.2f} {unit} in {stop.time_s:.2f} s, "
        f"the others for about {usual:.2f} {unit}"
        for stop in same
        if stop.distance > ODD_FACTOR * usual or stop.time_s > 2 * ODD_FACTOR * usual_s
    ]


def _reaction(stop: Stop) -> float:
    limits = LIMITS[stop.speed_class][AXES.index(stop.axis)]
    return max(0.0, (stop.distance - stop_distance(stop.speed, limits)) / stop.speed)
