"""Parts of a motion firmware that need no protocol: a motion with its stop, and the watch over the axes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from isoalign.geometry.motion_profile import MotionLimits, StopMotion, SynchronisedProfile
from isoalign.simulators.servo_body import Array

FOLLOWING_LIMIT_PER_SPEED_S = 0.04
FOLLOWING_TIME_S = 0.05
LATE_S = 0.5


@dataclass(frozen=True, slots=True)
class MotionTolerances:
    """What counts as arrived, standing, following and within travel; mm or degrees, per s, shape (axes,).

    Attributes
    ----------
    settled, settled_speed : ndarray
        So near to the target and so slow an axis has arrived.
    following : ndarray
        Largest distance from the set point, besides what the speed explains.
    leaving_speed : ndarray
        An axis that is faster than this after it should have stopped does not stop.
    switch_slack : ndarray
        How far beyond the travel the switches at its ends lie.
    """

    settled: Array
    settled_speed: Array
    following: Array
    leaving_speed: Array
    switch_slack: Array


def as_it_is(position: Array) -> Array:
    """The drives are where the axes are."""
    return position


@dataclass(slots=True)
class Motion:
    """A motion under way: its profile, from when, by which command, and its stop once there is one.

    ``drives`` tells where the drives must be for a position of the profile.
    """

    profile: SynchronisedProfile
    begins_s: float
    command_id: int
    stop: StopMotion | None = None
    stop_begins_s: float = 0.0
    command_is_over: bool = False
    drives: Callable[[Array], Array] = field(default=as_it_is)

    def set_point(self, now_s: float) -> Array:
        """Where the drives should be."""
        if self.stop is not None and now_s >= self.stop_begins_s:
            position = self.stop.state(now_s - self.stop_begins_s)[0]
        else:
            position = self.profile.state(now_s - self.begins_s)[0]
        return self.drives(np.asarray(position, dtype=np.float64))

    def set_speed(self, now_s: float) -> Array:
        """How fast the profile moves."""
        if self.stop is not None and now_s >= self.stop_begins_s:
            return np.asarray(self.stop.state(now_s - self.stop_begins_s)[1], dtype=np.float64)
        return np.asarray(self.profile.state(now_s - self.begins_s)[1], dtype=np.float64)

    def ends_s(self) -> float:
        """When the profile, or the stop, is over."""
        if self.stop is not None:
            return self.stop_begins_s + self.stop.duration_s
        return self.begins_s + self.profile.duration_s

    def begin_stop(self, now_s: float) -> None:
        """Stop on the path; nothing when it stops already."""
        if self.stop is None:
            self.stop = self.profile.stop_at(now_s - self.begins_s)
            self.stop_begins_s = now_s


class FollowingWatch:
    """Whether the axes follow their set point, and whether one leaves it although it should stop.

    Attributes
    ----------
    axis : int
        The axis that did not follow; the number of axes for none.
    """

    def __init__(self, tolerances: MotionTolerances) -> None:
        self._tolerances = tolerances
        self.axis = tolerances.following.size
        self._lost_since_s: float | None = None
        self._leaving_since_s: float | None = None

    def begin(self) -> None:
        """A new motion, or everything cleared."""
        self.axis = self._tolerances.following.size
        self._lost_since_s = self._leaving_since_s = None

    def has_lost(self, motion: Motion, measured: Array, now_s: float) -> bool:
        """Whether an axis has been too far from its set point for too long."""
        error = np.abs(measured - motion.set_point(now_s))
        allowed = self._tolerances.following + FOLLOWING_LIMIT_PER_SPEED_S * np.abs(motion.set_speed(now_s))
        lost = bool((error > allowed).any())
        if lost:
            self.axis = int(np.argmax(error - allowed))
        self._lost_since_s = _since(self._lost_since_s, now_s, holds=lost)
        return self._lost_since_s is not None and now_s - self._lost_since_s >= FOLLOWING_TIME_S

    def is_leaving(self, motion: Motion, drive: Array, velocity: Array, now_s: float) -> bool:
        """Whether an axis does not stop: it moves away from where it should be, or still moves long after the end."""
        if motion.stop is None:
            self._leaving_since_s = None
            return False
        error = drive - motion.set_point(now_s)
        fast = np.abs(velocity) > self._tolerances.leaving_speed
        away = (np.abs(error) > self._tolerances.following) & (error * velocity > 0) & fast
        self._leaving_since_s = _since(self._leaving_since_s, now_s, holds=bool(away.any()))
        if self._leaving_since_s is not None and now_s - self._leaving_since_s >= FOLLOWING_TIME_S:
            return True
        return now_s > motion.ends_s() + LATE_S and bool(fast.any())


def beyond_travel(drive: Array, velocity: Array, travel: Sequence[tuple[float, float]], slack: Array) -> int | None:
    """The axis that has passed a limit switch on its way out, or None."""
    low, high = np.array(travel).T
    out = ((drive > high + slack) & (velocity > 0)) | ((drive < low - slack) & (velocity < 0))
    return int(np.argmax(out)) if out.any() else None


def scaled(limits: Sequence[MotionLimits], factor: float) -> tuple[MotionLimits, ...]:
    """The same motion played ``factor`` times as fast."""
    return tuple(MotionLimits(one.speed * factor, one.acceleration * factor**2, one.jerk * factor**3) for one in limits)


def _since(since_s: float | None, now_s: float, *, holds: bool) -> float | None:
    if not holds:
        return None
    return now_s if since_s is None else since_s
