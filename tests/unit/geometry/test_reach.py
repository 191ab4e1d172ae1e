"""Braking-aware travel against closed formulas and dense sampling; sampled paths against the motion of real points."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import numpy as np
import pytest

from isoalign.geometry import (
    AXES,
    NORMAL_LIMITS,
    InvalidGeometry,
    MotionLimits,
    OutOfTravel,
    Representation,
    TableTopPosition,
    TravelLimits,
    fixed_from_table,
    plan_synchronised,
    stop_profile,
)
from isoalign.geometry.couch_path import CouchPath, axis_values, motion_bound_mm, staged_path, straight_path
from isoalign.geometry.reach import BrakingTravel, stop_excursion

IEC = Representation.IEC_61217
ISO = Representation.ISOCENTRIC_STANDARD
LINEAR = NORMAL_LIMITS[0]
RANGES = {
    "lateral": (-250.0, 250.0),
    "longitudinal": (0.0, 1500.0),
    "vertical": (-500.0, 100.0),
    "pitch": (-5.0, 5.0),
    "roll": (-5.0, 5.0),
    "patient_support_angle": (-95.0, 95.0),
}
STILL = (0.0,) * 6


def travel(reaction_s: float = 0.035) -> BrakingTravel:
    return BrakingTravel(TravelLimits(RANGES), NORMAL_LIMITS, reaction_s)


def test_a_stop_from_full_speed_takes_the_way_of_the_textbook() -> None:
    """v/2 (v/a + a/j): a stop with both phases of jerk. 50 mm/s, 500 mm/s2, 6000 mm/s3: 25 (0.1 + 0.0833)."""
    assert stop_excursion(50.0, LINEAR) == pytest.approx((0.0, 4.583333333), abs=1e-8)
    assert stop_excursion(-50.0, LINEAR) == pytest.approx((-4.583333333, 0.0), abs=1e-8)
    assert stop_excursion(50.0, LINEAR, reaction_s=0.1) == pytest.approx((0.0, 9.583333333), abs=1e-8)


@pytest.mark.parametrize("velocity", [-40.0, -3.0, 0.0, 0.5, 20.0])
@pytest.mark.parametrize("acceleration", [-500.0, -60.0, 0.0, 300.0])
def test_excursion_is_the_farthest_that_a_stop_goes_either_way(velocity: float, acceleration: float) -> None:
    profile = stop_profile(velocity, acceleration, LINEAR)
    way = [profile.state(float(moment))[0] for moment in np.linspace(0.0, profile.duration_s, 20_001)]
    low, high = stop_excursion(velocity, LINEAR, acceleration=acceleration)
    assert low == pytest.approx(min(0.0, *way), abs=1e-6)
    assert high == pytest.approx(max(0.0, *way), abs=1e-6)


def test_an_axis_that_turns_round_while_it_stops_reaches_both_sides() -> None:
    """Slow upwards, hard braking: the acceleration left over takes the axis back below where it was."""
    low, high = stop_excursion(1.0, LINEAR, acceleration=-500.0)
    assert low < -0.5
    assert high > 0


def test_a_position_inside_the_limits_is_refused_at_a_speed_that_cannot_stop_there() -> None:
    position = (0.0, 1494.0, 0.0, 0.0, 0.0, 0.0)
    assert travel().violations(position, STILL) == {}
    assert travel().violations(position, (0, -50, 0, 0, 0, 0)) == {}
    over = travel().violations(position, (0, 50, 0, 0, 0, 0))
    assert over == {"longitudinal": pytest.approx(4.583333 + 50 * 0.035 - 6.0, abs=1e-5)}
    with pytest.raises(OutOfTravel, match=r"longitudinal by 0\.33"):
        travel().require(position, (0, 50, 0, 0, 0, 0))


def test_the_reaction_time_counts() -> None:
    position = (0.0, 1495.0, 0.0, 0.0, 0.0, 0.0)
    travel(0.0).require(position, (0, 50, 0, 0, 0, 0))
    with pytest.raises(OutOfTravel):
        travel(0.01).require(position, (0, 50, 0, 0, 0, 0))


@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("direction", [-1, 1])
def test_the_largest_speed_is_the_one_whose_stop_ends_at_the_limit(axis: str, direction: int) -> None:
    checked = travel()
    least, greatest = RANGES[axis]
    for room in (0.0, 0.02, 0.15):
        position = greatest - room if direction > 0 else least + room
        speed = checked.largest_speed(axis, position, direction)
        low, high = checked.allowed_range(axis, direction * speed)
        assert (high if direction > 0 else low) == pytest.approx(position, abs=1e-6)
        assert (speed == 0) == (room == 0)
    assert checked.largest_speed(axis, (least + greatest) / 2, direction) == NORMAL_LIMITS[AXES.index(axis)].speed


def test_asking_outside_the_limits_is_refused() -> None:
    with pytest.raises(OutOfTravel):
        travel().largest_speed("roll", 5.1, -1)
    with pytest.raises(InvalidGeometry):
        travel().largest_speed("roll", 0.0, 0)
    narrow = BrakingTravel(TravelLimits(RANGES | {"lateral": (-1.0, 1.0)}), NORMAL_LIMITS, 0.1)
    with pytest.raises(OutOfTravel, match="anywhere"):
        narrow.allowed_range("lateral", 50.0)


@pytest.mark.parametrize("reaction_s", [-0.1, float("nan"), float("inf")])
def test_reaction_times_that_make_no_sense_are_refused(reaction_s: float) -> None:
    with pytest.raises(InvalidGeometry):
        travel(reaction_s)


def test_travel_without_an_end_and_braking_without_an_axis_are_refused() -> None:
    with pytest.raises(InvalidGeometry, match="lateral"):
        BrakingTravel(TravelLimits(RANGES | {"lateral": (-float("inf"), 250.0)}), NORMAL_LIMITS, 0.0)
    with pytest.raises(InvalidGeometry):
        BrakingTravel(TravelLimits(RANGES), NORMAL_LIMITS[:5], 0.0)


@pytest.mark.parametrize("bad", [(0.0,) * 5, (float("nan"), *STILL[1:])])
def test_states_that_are_not_six_numbers_are_refused(bad: tuple[float, ...]) -> None:
    with pytest.raises(InvalidGeometry):
        travel().violations(bad, STILL)
    with pytest.raises(InvalidGeometry):
        travel().violations(STILL, bad)


@pytest.mark.parametrize("reaction_s", [0.0, 0.035, 0.2])
def test_no_stop_of_a_move_passes_the_overshoot_and_one_comes_close(reaction_s: float) -> None:
    move = plan_synchronised((0, 500, -150, 0, 0, 0), (30, 700, -120, 1, -2, 40), NORMAL_LIMITS)
    farthest = np.zeros(6)
    for moment in np.linspace(0.0, move.duration_s, 3001):
        _, velocity, _ = move.state(float(moment))
        stop = move.stop_at(float(moment))
        beyond = (stop.state(stop.duration_s)[0] + velocity * reaction_s - move.target) * np.sign(
            move.target - move.start
        )
        farthest = np.maximum(farthest, beyond)
    bound = travel(reaction_s).overshoot(move)
    assert (farthest <= bound + 1e-6).all()
    assert (farthest >= 0.98 * bound - 1e-6).all()


def test_a_move_to_the_limit_needs_room_for_a_late_stop() -> None:
    move = plan_synchronised((0, 500, -150, 0, 0, 0), (0, 1500, -150, 0, 0, 0), NORMAL_LIMITS)
    travel(0.0).require_move(move)
    with pytest.raises(OutOfTravel, match=r"longitudinal by 1\.75"):
        travel(0.035).require_move(move)
    travel().require_move(plan_synchronised(STILL, STILL, NORMAL_LIMITS))


def test_motion_limits_of_each_axis_are_its_own() -> None:
    lazy = dataclasses.replace(travel(), motion=(*NORMAL_LIMITS[:5], MotionLimits(3.0, 1.0, 5.0)))
    assert lazy.violations((0, 500, 0, 0, 0, 92), (0, 0, 0, 0, 0, 3)).keys() == {"patient_support_angle"}
    assert travel().violations((0, 500, 0, 0, 0, 92), (0, 0, 0, 0, 0, 3)) == {}


START = TableTopPosition(IEC, 20.0, 700.0, -120.0, 1.0, -2.0, 10.0)
TARGET = TableTopPosition(IEC, -80.0, 900.0, -250.0, -3.0, 4.0, -75.0)


def ways_mm(first: np.ndarray, last: np.ndarray, points: np.ndarray, pieces: int = 400) -> np.ndarray:
    """True length of the way of each point, by fine chords of independently computed poses."""
    fractions = np.linspace(0.0, 1.0, pieces + 1)[:, None]
    track = np.array(
        [
            fixed_from_table(TableTopPosition.from_values(IEC, row)).apply(points)
            for row in first + fractions * (last - first)
        ]
    )
    return np.linalg.norm(np.diff(track, axis=0), axis=-1).sum(axis=0)


def on_sphere(radius_mm: float, count: int, seed: int = 0) -> np.ndarray:
    points = np.random.default_rng(seed).normal(size=(count, 3))
    points = np.concatenate([points, np.eye(3), -np.eye(3)])
    return radius_mm * points / np.linalg.norm(points, axis=1)[:, None]


@pytest.mark.parametrize("axis", [None, *range(6)])
def test_no_point_of_the_body_goes_farther_than_the_bound(axis: int | None) -> None:
    first = np.array(START.values)
    last = np.array(TARGET.values) if axis is None else first.copy()
    if axis is not None:
        last[axis] = TARGET.values[axis]
    ways = ways_mm(first, last, on_sphere(2000.0, 60))
    bound = float(motion_bound_mm(first, last, 2000.0))
    assert ways.max() <= bound * (1 + 1e-12)
    assert ways.max() >= 0.6 * bound  # a bound, yet not an idle one


def test_the_bound_is_exact_for_a_shift_and_for_a_turn_of_the_farthest_point() -> None:
    zero = np.zeros(6)
    assert motion_bound_mm(zero, (3, 4, 12, 0, 0, 0), 1000.0) == pytest.approx(13.0)
    assert motion_bound_mm(zero, (0, 0, 0, 90, 0, 0), 1000.0) == pytest.approx(500 * np.pi)
    assert motion_bound_mm((300, 400, 0, 0, 0, 0), (300, 400, 0, 0, 0, 180), 1000.0) == pytest.approx(1500 * np.pi)


@pytest.mark.parametrize("step_mm", [0.7, 5.0, 80.0])
def test_between_two_samples_no_point_moves_more_than_the_step(step_mm: float) -> None:
    radius_mm = 1500.0
    path = straight_path(START, TARGET, body_radius_mm=radius_mm, step_mm=step_mm)
    assert path.greatest_step_mm(radius_mm) <= step_mm
    assert path.position(0) == START
    assert path.position(len(path) - 1) == TARGET
    points = on_sphere(radius_mm, 30)
    for index in np.linspace(0, len(path) - 2, 15).astype(int):
        assert ways_mm(path.values[index], path.values[index + 1], points, pieces=8).max() <= step_mm
    # not denser than three times what this motion needs
    assert ways_mm(path.values[0], path.values[-1], points).max() / step_mm > len(path) / 3 - 1


def test_a_straight_path_is_linear_in_the_iec_values_whatever_the_representation() -> None:
    path = straight_path(START, TARGET.in_representation(ISO), body_radius_mm=1000.0, step_mm=10.0)
    ends = axis_values([START, TARGET])
    fraction = np.linspace(0.0, 1.0, len(path))[:, None]
    np.testing.assert_allclose(path.values, ends[0] + fraction * (ends[1] - ends[0]), atol=1e-9)
    assert not path.values.flags.writeable


def test_a_staged_path_goes_through_its_stops() -> None:
    via = TableTopPosition(IEC, 20.0, 1200.0, -400.0, 0.0, 0.0, 10.0)
    path = staged_path([START, via, via, TARGET], body_radius_mm=1000.0, step_mm=10.0)
    assert [path.position(corner) for corner in path.corners] == [START, via, via, TARGET]
    assert path.greatest_step_mm(1000.0) <= 10.0
    assert len(staged_path([via, via], body_radius_mm=1000.0, step_mm=10.0)) == 2


@pytest.mark.parametrize(
    ("body_radius_mm", "step_mm"),
    [(0.0, 1.0), (-1.0, 1.0), (float("inf"), 1.0), (1000.0, 0.0), (1000.0, float("nan")), (1000.0, 1e-4)],
)
def test_samplings_that_make_no_sense_are_refused(body_radius_mm: float, step_mm: float) -> None:
    with pytest.raises(InvalidGeometry):
        straight_path(START, TARGET, body_radius_mm=body_radius_mm, step_mm=step_mm)


def test_paths_that_are_none_are_refused() -> None:
    with pytest.raises(InvalidGeometry, match="two positions"):
        staged_path([START], body_radius_mm=1000.0, step_mm=10.0)
    for values in (np.zeros((0, 6)), np.zeros((3, 5)), np.full((2, 6), np.nan)):
        with pytest.raises(InvalidGeometry):
            CouchPath(values, (0,))
    with pytest.raises(InvalidGeometry, match="corners"):
        CouchPath(np.zeros((2, 6)), (0, 2))
    assert CouchPath(np.zeros((1, 6)), (0,)).greatest_step_mm(1000.0) == 0.0


def test_the_distance_library_is_loaded_only_when_a_distance_is_asked_for() -> None:
    code = (
        "import sys, isoalign.geometry, isoalign.geometry.reach, isoalign.geometry.clearance;"
        "import isoalign.geometry.clearance.default_room;"
        "print([name for name in ('fcl', 'scipy.spatial') if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert shown.stdout.strip() == "[]"
