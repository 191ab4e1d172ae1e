"""Jerk-limited motion of the couch axes: rest to rest, from any state to rest, and six axes together.

A profile is a chain of pieces of constant jerk. Positions are in mm or degrees, rates per second. Couch firmware and
the planning of a move use the same mathematics, so that a predicted stop is the one that happens, apart from the
delay with which an axis follows its set point (``reaction_s``).

Source: L. Biagiotti and C. Melchiorri, "Trajectory Planning for Automatic Machines and Robots", Springer 2008,
section 3.4 (double-S profile).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from isoalign.geometry.errors import InvalidGeometry
from isoalign.geometry.pose import Array

_NEGLIGIBLE = 1e-12


@dataclass(frozen=True, slots=True)
class MotionLimits:
    """Largest speed, acceleration and jerk of one axis, per s, s² and s³, in mm or degrees; all positive."""

    speed: float
    acceleration: float
    jerk: float

    def __post_init__(self) -> None:
        for name in ("speed", "acceleration", "jerk"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise InvalidGeometry(f"motion limit {name} must be positive and finite, not {value}")

    def at_speed(self, factor: float) -> MotionLimits:
        """The same acceleration and jerk at ``factor`` times the speed."""
        return MotionLimits(self.speed * factor, self.acceleration, self.jerk)


_LINEAR = MotionLimits(50.0, 500.0, 6000.0)
_ANGULAR = MotionLimits(3.0, 30.0, 360.0)
NORMAL_LIMITS = (_LINEAR, _LINEAR, _LINEAR, _ANGULAR, _ANGULAR, _ANGULAR)
"""Normal speed class. Chosen so that a stop, with 35 ms of servo and reaction time, takes less than 10 mm and
3 degrees from full speed, 3 mm from 25 mm/s and 0.5 degrees from 1 degree/s."""
SERVICE_LIMITS = tuple(
    MotionLimits(speed, limits.acceleration, limits.jerk)
    for speed, limits in zip((10.0, 10.0, 10.0, 1.0, 1.0, 1.0), NORMAL_LIMITS, strict=True)
)
"""Service speed class."""
FAST_SPEED, FAST_ACCELERATION, FAST_JERK = 2.0, 4.0, 12.0
"""The fast speed class as multiples of the normal one: brisker, so that it stops within the same 10 mm."""
FAST_LIMITS = tuple(
    MotionLimits(FAST_SPEED * limits.speed, FAST_ACCELERATION * limits.acceleration, FAST_JERK * limits.jerk)
    for limits in NORMAL_LIMITS
)
"""Fast speed class."""


@dataclass(frozen=True, slots=True)
class _Piece:
    """Constant jerk for a while, from a state."""

    start_s: float
    duration_s: float
    position: float
    velocity: float
    acceleration: float
    jerk: float

    def at(self, t_s: float) -> tuple[float, float, float]:
        dt = t_s - self.start_s
        return (
            self.position + dt * (self.velocity + dt * (self.acceleration / 2 + dt * self.jerk / 6)),
            self.velocity + dt * (self.acceleration + dt * self.jerk / 2),
            self.acceleration + dt * self.jerk,
        )


@dataclass(frozen=True, slots=True)
class Profile:
    """Position, velocity and acceleration of one axis over time, ending at rest.

    Attributes
    ----------
    duration_s : float
        Time until rest.
    distance : float
        Signed distance from the start to the end, mm or degrees.
    """

    duration_s: float
    distance: float
    pieces: tuple[_Piece, ...]

    def state(self, t_s: float) -> tuple[float, float, float]:
        """Position from the start, velocity and acceleration at ``t_s``; before 0 the start, after the end the end."""
        if t_s >= self.duration_s or not self.pieces:
            return self.distance, 0.0, 0.0
        moment = max(0.0, t_s)
        for piece in self.pieces:
            if moment < piece.start_s + piece.duration_s:
                return piece.at(moment)
        return self.pieces[-1].at(moment)


def _chain(
    velocity: float, acceleration: float, steps: Sequence[tuple[float, float]], distance: float | None = None
) -> Profile:
    """The profile of (duration, jerk) steps from a state; ``distance`` replaces the summed one, if given."""
    pieces: list[_Piece] = []
    now_s = position = 0.0
    for duration_s, jerk in steps:
        if duration_s <= _NEGLIGIBLE:
            continue
        piece = _Piece(now_s, duration_s, position, velocity, acceleration, jerk)
        pieces.append(piece)
        now_s += duration_s
        position, velocity, acceleration = piece.at(now_s)
    return Profile(now_s, position if distance is None else distance, tuple(pieces))


def _ramp(speed: float, limits: MotionLimits) -> tuple[float, float]:
    """Times of constant jerk and of constant acceleration that lead from rest to ``speed``."""
    if speed * limits.jerk >= limits.acceleration**2:
        jerk_s = limits.acceleration / limits.jerk
        return jerk_s, speed / limits.acceleration - jerk_s
    return math.sqrt(speed / limits.jerk), 0.0


def ramp_way(limits: MotionLimits) -> float:
    """The way from rest to the speed of ``limits``, mm or degrees."""
    jerk_s, flat_s = _ramp(limits.speed, limits)
    return limits.speed * (2 * jerk_s + flat_s) / 2


def _peak_speed(distance: float, limits: MotionLimits) -> float:
    """Largest speed on the way from rest to rest over ``distance`` > 0."""

    def covers(speed: float) -> float:
        jerk_s, flat_s = _ramp(speed, limits)
        return speed * (2 * jerk_s + flat_s)

    if covers(limits.speed) <= distance:
        return limits.speed
    knee = limits.acceleration**2 / limits.jerk
    if covers(knee) >= distance:
        return math.cbrt(distance**2 * limits.jerk / 4)
    jerk_s = limits.acceleration / limits.jerk
    return limits.acceleration / 2 * (math.sqrt(jerk_s**2 + 4 * distance / limits.acceleration) - jerk_s)


def plan_profile(distance: float, limits: MotionLimits) -> Profile:
    """The quickest motion from rest to rest over a signed distance within the limits.

    Parameters
    ----------
    distance : float
        Signed, mm or degrees.
    limits : MotionLimits

    Raises
    ------
    InvalidGeometry
        When the distance is not finite.
    """
    if not math.isfinite(distance):
        raise InvalidGeometry(f"a motion over {distance} cannot be planned")
    length = abs(distance)
    if length <= _NEGLIGIBLE:
        return Profile(0.0, distance, ())
    speed = _peak_speed(length, limits)
    jerk_s, flat_s = _ramp(speed, limits)
    cruise_s = max(0.0, length / speed - (2 * jerk_s + flat_s))
    jerk = math.copysign(limits.jerk, distance)
    steps = [(jerk_s, jerk), (flat_s, 0.0), (jerk_s, -jerk), (cruise_s, 0.0)]
    steps += [(jerk_s, -jerk), (flat_s, 0.0), (jerk_s, jerk)]
    return _chain(0.0, 0.0, steps, distance)


def stop_profile(velocity: float, acceleration: float, limits: MotionLimits) -> Profile:
    """The quickest stop from any velocity and acceleration within the limits of acceleration and jerk.

    An acceleration beyond the limit, as after a change of limits, is reduced at the jerk limit first.
    """
    if not (math.isfinite(velocity) and math.isfinite(acceleration)):
        raise InvalidGeometry(f"a stop from velocity {velocity}, acceleration {acceleration} cannot be planned")
    # velocity that remains when the acceleration is brought to zero: its sign says which way to brake
    coasting = velocity + acceleration * abs(acceleration) / (2 * limits.jerk)
    sign = math.copysign(1.0, coasting)
    v, a = sign * velocity, sign * acceleration
    peak = math.sqrt(max(0.0, limits.jerk * v + a * a / 2))
    most = max(limits.acceleration, -a)
    peak = max(min(peak, most), -a, 0.0)
    down_s = (a + peak) / limits.jerk
    up_s = peak / limits.jerk
    left = v + (a * a - peak * peak) / (2 * limits.jerk) - peak * peak / (2 * limits.jerk)
    flat_s = max(0.0, left / peak) if peak > _NEGLIGIBLE else 0.0
    jerk = sign * limits.jerk
    return _chain(velocity, acceleration, [(down_s, -jerk), (flat_s, 0.0), (up_s, jerk)])


def stop_distance(
    velocity: float, limits: MotionLimits, *, acceleration: float = 0.0, reaction_s: float = 0.0
) -> float:
    """Distance (positive, mm or degrees) until rest, with a time at full velocity before braking begins."""
    return abs(stop_profile(velocity, acceleration, limits).distance) + abs(velocity) * reaction_s


@dataclass(frozen=True, slots=True)
class SynchronisedProfile:
    """Several axes that start and end together on a straight line in axis space.

    Attributes
    ----------
    start, target : ndarray, shape (axes,)
    path : Profile
        From 0 to 1 along the line (to 0 when there is nothing to do).
    limits : tuple of MotionLimits
        Per axis.
    """

    start: Array
    target: Array
    path: Profile
    limits: tuple[MotionLimits, ...]

    @property
    def duration_s(self) -> float:
        """Time until rest."""
        return self.path.duration_s

    def state(self, t_s: float) -> tuple[Array, Array, Array]:
        """Positions, velocities and accelerations, each of shape (axes,)."""
        s, ds, dds = self.path.state(t_s)
        way = self.target - self.start
        if t_s >= self.duration_s:
            return self.target.copy(), 0.0 * way, 0.0 * way
        return self.start + s * way, ds * way, dds * way

    def stop_at(self, t_s: float) -> StopMotion:
        """The quickest stop of all axes together, on the same line, begun at ``t_s``."""
        s, ds, dds = self.path.state(t_s)
        way = self.target - self.start
        moving = np.abs(way) > _NEGLIGIBLE
        if not moving.any():
            return StopMotion(self.start, way, s, Profile(0.0, 0.0, ()))
        return StopMotion(self.start, way, s, stop_profile(ds, dds, _path_limits(way, self.limits)))

    def largest_stop_distance(self, reaction_s: float = 0.0) -> Array:
        """The longest way that each axis may need to stop anywhere on this motion, shape (axes,)."""
        way = np.abs(self.target - self.start)
        if self.duration_s <= 0:
            return np.zeros_like(way)
        limits = _path_limits(way, self.limits)
        longest = 0.0
        for t_s in np.linspace(0.0, self.duration_s, 400):
            _, ds, dds = self.path.state(float(t_s))
            longest = max(longest, stop_distance(ds, limits, acceleration=dds, reaction_s=reaction_s))
        return np.asarray(longest * way, dtype=np.float64)

    def largest_overrun(self, reaction_s: float = 0.0) -> Array:
        """How far beyond its target each axis may come to rest after a stop anywhere on this motion, shape (axes,).

        By the time at full speed alone: a motion brakes before its target as hard as a stop does.
        """
        way = np.abs(self.target - self.start)
        if self.duration_s <= 0:
            return np.zeros_like(way)
        limits = _path_limits(way, self.limits)
        furthest = 1.0
        for t_s in np.linspace(0.0, self.duration_s, 400):
            s, ds, dds = self.path.state(float(t_s))
            furthest = max(furthest, s + stop_distance(ds, limits, acceleration=dds, reaction_s=reaction_s))
        return np.asarray((furthest - 1.0) * way, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class StopMotion:
    """Several axes coming to rest together on the line of the motion that was stopped."""

    start: Array
    way: Array
    from_fraction: float
    path: Profile

    @property
    def duration_s(self) -> float:
        """Time until rest."""
        return self.path.duration_s

    def state(self, t_s: float) -> tuple[Array, Array, Array]:
        """Positions, velocities and accelerations, each of shape (axes,)."""
        s, ds, dds = self.path.state(t_s)
        return self.start + (self.from_fraction + s) * self.way, ds * self.way, dds * self.way


def _path_limits(way: Array, limits: Sequence[MotionLimits]) -> MotionLimits:
    """Limits of the path fraction so that no axis exceeds its own."""
    lengths = [float(abs(length)) for length in way]
    pairs = [(axis, length) for axis, length in zip(limits, lengths, strict=True) if length > _NEGLIGIBLE]
    return MotionLimits(
        min(axis.speed / length for axis, length in pairs),
        min(axis.acceleration / length for axis, length in pairs),
        min(axis.jerk / length for axis, length in pairs),
    )


def plan_synchronised(
    start: npt.ArrayLike, target: npt.ArrayLike, limits: Sequence[MotionLimits]
) -> SynchronisedProfile:
    """All axes from rest to rest together, the quickest that keeps every axis within its limits on a straight line.

    Parameters
    ----------
    start, target : array_like, shape (axes,)
        mm or degrees, one number per axis.
    limits : sequence of MotionLimits
        One per axis.

    Raises
    ------
    InvalidGeometry
    """
    first = np.array(start, dtype=np.float64)
    last = np.array(target, dtype=np.float64)
    if first.shape != (len(limits),) or last.shape != (len(limits),):
        raise InvalidGeometry(f"{len(limits)} axes cannot move from {first.shape} to {last.shape}")
    if not (np.isfinite(first).all() and np.isfinite(last).all()):
        raise InvalidGeometry("a motion with NaN or infinite positions was refused")
    way = last - first
    if not (np.abs(way) > _NEGLIGIBLE).any():
        path = Profile(0.0, 0.0, ())
    else:
        path = plan_profile(1.0, _path_limits(way, limits))
    return SynchronisedProfile(first, last, path, tuple(limits))
