"""Jerk-limited profiles against limits, against integration of their own jerk, and against printed formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isoalign.geometry import (
    NORMAL_LIMITS,
    SERVICE_LIMITS,
    InvalidGeometry,
    MotionLimits,
    Profile,
    plan_profile,
    plan_synchronised,
    stop_distance,
    stop_profile,
)

LIMITS = MotionLimits(50.0, 500.0, 6000.0)
limits_strategy = st.builds(MotionLimits, st.floats(0.5, 200), st.floats(5, 3000), st.floats(50, 50_000))


def samples(profile: Profile, count: int = 2001) -> tuple[np.ndarray, np.ndarray]:
    times = np.linspace(0.0, profile.duration_s, count)
    return times, np.array([profile.state(float(t)) for t in times])


def assert_consistent(profile: Profile, limits: MotionLimits, *, most_speed: float, most_acceleration: float) -> None:
    """Velocity is the slope of position, acceleration that of velocity, and all limits are kept, jerk included."""
    times, states = samples(profile)
    step = times[1]
    position, velocity, acceleration = states.T
    assert np.abs(velocity).max() <= most_speed * (1 + 1e-9)
    assert np.abs(acceleration).max() <= most_acceleration * (1 + 1e-9) + 1e-9
    assert np.abs(np.diff(acceleration) / step).max() <= limits.jerk * (1 + 1e-6) + 1e-6
    # the mean slope of a parabola piece lies between its ends; the tolerance is that of one jerk step
    tolerance = limits.jerk * step * step
    assert np.abs(np.diff(velocity) - step * (acceleration[1:] + acceleration[:-1]) / 2).max() <= tolerance
    slope = np.diff(position) - step * (velocity[1:] + velocity[:-1]) / 2
    assert np.abs(slope).max() <= limits.jerk * step**3 + 1e-9


@given(st.floats(-1000, 1000), limits_strategy)
def test_a_plan_arrives_exactly_within_all_limits(distance: float, limits: MotionLimits) -> None:
    profile = plan_profile(distance, limits)
    assert profile.state(profile.duration_s) == (distance, 0.0, 0.0)
    assert profile.state(0.0)[0] == 0.0 or abs(distance) < 1e-11
    if abs(distance) < 1e-6:
        return
    before = profile.state(profile.duration_s * (1 - 1e-9))
    assert before[0] == pytest.approx(distance, rel=1e-6, abs=1e-9)
    assert_consistent(profile, limits, most_speed=limits.speed, most_acceleration=limits.acceleration)


def test_a_long_way_takes_the_time_of_the_textbook() -> None:
    """With cruise: T = D/v + v/a + a/j."""
    assert plan_profile(100.0, LIMITS).duration_s == pytest.approx(100 / 50 + 50 / 500 + 500 / 6000)


def test_a_short_way_takes_the_time_of_the_textbook() -> None:
    """Four equal pieces of jerk: T = 4 (D / 2j)^(1/3)."""
    assert plan_profile(0.01, LIMITS).duration_s == pytest.approx(4 * (0.01 / (2 * 6000)) ** (1 / 3))


def test_way_and_way_back_are_mirror_images() -> None:
    there, back = plan_profile(7.0, LIMITS), plan_profile(-7.0, LIMITS)
    for t in (0.05, 0.11, 0.2):
        assert np.allclose(there.state(t), -np.array(back.state(t)))


@given(st.floats(-60, 60), st.floats(-600, 600), limits_strategy)
def test_a_stop_comes_to_rest_within_the_limits(velocity: float, acceleration: float, limits: MotionLimits) -> None:
    profile = stop_profile(velocity, acceleration, limits)
    assert profile.state(0.0)[1:] == pytest.approx((velocity, acceleration)) or profile.duration_s == 0.0
    if not profile.pieces:
        return
    end = profile.pieces[-1].at(profile.duration_s)
    assert end[1] == pytest.approx(0.0, abs=1e-6)
    assert end[2] == pytest.approx(0.0, abs=1e-5)
    _, states = samples(profile)
    # the acceleration never exceeds its limit, or where the stop began
    assert np.abs(states[:, 2]).max() <= max(limits.acceleration, abs(acceleration)) + 1e-6
    reach = abs(velocity) + acceleration**2 / (2 * limits.jerk)
    assert np.abs(states[:, 1]).max() <= reach + 1e-6


@pytest.mark.parametrize(
    ("speed", "acceleration", "jerk", "distance"),
    [  # v²/2a + v a/2j where the limit of acceleration is reached, else v sqrt(v/j)
        (100, 1000, 10_000, 10.0),
        (100, 500, 5000, 15.0),
        (100, 250, 2000, 26.25),
        (25, 1000, 10_000, 1.25),
        (25, 500, 5000, 25 * math.sqrt(25 / 5000)),
    ],
)
def test_stop_distances_of_the_textbook(speed: float, acceleration: float, jerk: float, distance: float) -> None:
    limits = MotionLimits(speed, acceleration, jerk)
    assert stop_distance(speed, limits) == pytest.approx(distance)
    assert stop_distance(-speed, limits, reaction_s=0.1) == pytest.approx(distance + 0.1 * speed)


@given(st.floats(0.1, 500), st.floats(0, 1))
def test_a_stop_on_the_way_never_passes_the_target(distance: float, fraction: float) -> None:
    profile = plan_profile(distance, LIMITS)
    position, velocity, acceleration = profile.state(fraction * profile.duration_s)
    assert position + stop_profile(velocity, acceleration, LIMITS).distance <= distance + 1e-6


def test_the_stop_budget_of_the_normal_class_is_kept() -> None:
    """At most 10 mm above 25 mm/s and 3 mm up to it; 3 degrees, and 0.5 degrees up to 1 degree/s; with reaction."""
    linear, angular = NORMAL_LIMITS[0], NORMAL_LIMITS[5]
    assert linear.speed <= 50
    assert angular.speed <= 3
    for speed in np.linspace(0.5, 50, 100):
        budget = 10.0 if speed > 25 else 3.0
        assert stop_distance(float(speed), linear, reaction_s=0.035) <= budget
    for speed in np.linspace(0.05, 3, 100):
        assert stop_distance(float(speed), angular, reaction_s=0.035) <= (3.0 if speed > 1 else 0.5)
    assert all(slow.speed < normal.speed for slow, normal in zip(SERVICE_LIMITS, NORMAL_LIMITS, strict=True))


START = np.array([1.0, 700.0, -120.0, 0.5, -0.5, 10.0])
TARGET = np.array([-4.0, 712.0, -121.0, 0.5, 1.5, 7.0])


def test_axes_start_and_end_together_on_a_straight_line() -> None:
    motion = plan_synchronised(START, TARGET, NORMAL_LIMITS)
    assert motion.state(0.0)[0] == pytest.approx(START)
    assert (motion.state(motion.duration_s)[0] == TARGET).all()
    slowest = max(
        plan_profile(float(way), limits).duration_s for way, limits in zip(TARGET - START, NORMAL_LIMITS, strict=True)
    )
    assert motion.duration_s >= slowest - 1e-9
    for t in np.linspace(0, motion.duration_s, 50):
        position, velocity, acceleration = motion.state(float(t))
        fractions = (position - START)[[0, 1, 2, 4, 5]] / (TARGET - START)[[0, 1, 2, 4, 5]]
        assert fractions == pytest.approx(np.full(5, fractions[0]), abs=1e-12)
        for axis, limits in enumerate(NORMAL_LIMITS):
            assert abs(velocity[axis]) <= limits.speed * (1 + 1e-9)
            assert abs(acceleration[axis]) <= limits.acceleration * (1 + 1e-9)


def test_a_stop_of_all_axes_stays_on_the_line_and_within_the_predicted_distance() -> None:
    motion = plan_synchronised(START, START + np.array([60, 30, 0, 0, 0, 2.0]), NORMAL_LIMITS)
    predicted = motion.largest_stop_distance()
    for t in np.linspace(0, motion.duration_s, 40):
        stop = motion.stop_at(float(t))
        begun = motion.state(float(t))[0]
        assert stop.state(0.0)[0] == pytest.approx(begun)
        ended, velocity, _ = stop.state(stop.duration_s)
        assert velocity == pytest.approx(np.zeros(6))
        assert (np.abs(ended - begun) <= predicted * 1.001 + 1e-9).all()
        assert (ended[2:5] == START[2:5]).all()


def test_no_way_takes_no_time() -> None:
    motion = plan_synchronised(START, START, NORMAL_LIMITS)
    assert motion.duration_s == 0.0
    assert (motion.state(0.0)[0] == START).all()
    assert (motion.largest_stop_distance() == 0).all()
    assert motion.stop_at(0.0).duration_s == 0.0


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_nonsense_is_refused(wrong: float) -> None:
    with pytest.raises(InvalidGeometry):
        plan_profile(wrong, LIMITS)
    with pytest.raises(InvalidGeometry):
        stop_profile(wrong, 0.0, LIMITS)
    with pytest.raises(InvalidGeometry):
        plan_synchronised(START, [wrong] * 6, NORMAL_LIMITS)
    with pytest.raises(InvalidGeometry):
        plan_synchronised(START[:5], TARGET[:5], NORMAL_LIMITS)
    for bad in (0.0, -1.0, wrong):
        with pytest.raises(InvalidGeometry):
            MotionLimits(50.0, bad, 6000.0)


@given(st.floats(0.5, 60.0), limits_strategy, st.floats(0.0, 0.1), st.floats(0.0, 1.0))
def test_no_stop_ends_farther_beyond_the_target_than_announced(
    way: float, limits: MotionLimits, reaction_s: float, at: float
) -> None:
    """A stop that begins late, from the speed that the motion had when it was asked for."""
    profile = plan_synchronised([3.0], [3.0 - way], [limits])
    overrun = float(profile.largest_overrun(reaction_s)[0])
    _, velocity, _ = profile.state(at * profile.duration_s)
    stop = profile.stop_at(at * profile.duration_s)
    end = float(stop.state(stop.duration_s)[0][0]) + float(velocity[0]) * reaction_s
    beyond = (3.0 - way) - end
    assert beyond <= overrun + 1e-4 * way
    assert 0.0 <= overrun <= limits.speed * reaction_s + 1e-6 * way


def test_a_motion_that_is_stopped_at_once_does_not_pass_its_target() -> None:
    assert plan_synchronised([0.0], [90.0], [LIMITS]).largest_overrun()[0] == pytest.approx(0.0, abs=1e-6)
    assert plan_synchronised([5.0], [5.0], [LIMITS]).largest_overrun(1.0)[0] == 0.0
