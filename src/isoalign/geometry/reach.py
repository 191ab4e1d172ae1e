"""Travel limits that know about braking: where an axis may be, at a speed, so that a stop still ends inside.

A limit that is compared with the position alone is passed by the way of the stop. Here the whole way until rest counts,
with the time before braking begins. Source: :mod:`isoalign.geometry.motion_profile` for the physics of a stop; ADR 0014
for the straight line on which all axes move and stop together.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from isoalign.geometry.corrections import TravelLimits
from isoalign.geometry.errors import InvalidGeometry, OutOfTravel
from isoalign.geometry.motion_profile import MotionLimits, SynchronisedProfile, stop_distance, stop_profile
from isoalign.geometry.pose import Array
from isoalign.geometry.table_top import AXES

_BISECTIONS = 60


def stop_excursion(
    velocity: float, limits: MotionLimits, *, acceleration: float = 0.0, reaction_s: float = 0.0
) -> tuple[float, float]:
    """How far an axis goes down and up from where it is until it rests, mm or degrees.

    Parameters
    ----------
    velocity, acceleration : float
        When braking begins; the velocity also holds during the reaction.
    limits : MotionLimits
    reaction_s : float
        Time at full velocity before braking begins.

    Returns
    -------
    lowest, highest : float
        ``lowest`` <= 0 <= ``highest``. Both differ from zero when the axis turns round while it stops.
    """
    profile = stop_profile(velocity, acceleration, limits)
    reached = [0.0, profile.distance]
    for piece in profile.pieces:
        turns = np.roots([piece.jerk / 2, piece.acceleration, piece.velocity])
        moments = [float(turn.real) for turn in turns if abs(turn.imag) < 1e-12 and 0 < turn.real < piece.duration_s]
        reached += [piece.at(piece.start_s + moment)[0] for moment in (*moments, piece.duration_s)]
    coasted = velocity * reaction_s
    return min(0.0, coasted + min(reached)), max(0.0, coasted + max(reached))


@dataclass(frozen=True, slots=True)
class BrakingTravel:
    """Travel limits of the couch, and how its axes stop.

    Attributes
    ----------
    limits : TravelLimits
        Finite for every axis: an infinite one would be no limit.
    motion : tuple of MotionLimits
        Braking of each axis in the order of ``AXES``.
    reaction_s : float
        Longest time from the cause of a stop to the beginning of braking (message, servo lag).
    """

    limits: TravelLimits
    motion: tuple[MotionLimits, ...]
    reaction_s: float

    def __post_init__(self) -> None:
        if len(self.motion) != len(AXES):
            raise InvalidGeometry(f"braking is given for {len(self.motion)} axes instead of {len(AXES)}")
        if not (math.isfinite(self.reaction_s) and self.reaction_s >= 0):
            raise InvalidGeometry(f"a reaction time of {self.reaction_s} s makes no sense")
        endless = [axis for axis, ends in self.limits.ranges.items() if not all(map(math.isfinite, ends))]
        if endless:
            raise InvalidGeometry(f"travel without an end is no limit: {', '.join(endless)}", axes=endless)

    def allowed_range(self, axis: str, velocity: float) -> tuple[float, float]:
        """Least and greatest position that ``axis`` may have at a constant velocity (mm or degrees, per s).

        Raises
        ------
        OutOfTravel
            When the velocity is too great for every position.
        """
        index = AXES.index(axis)
        low, high = stop_excursion(velocity, self.motion[index], reaction_s=self.reaction_s)
        least, greatest = self.limits.ranges[axis]
        if least - low > greatest - high:
            raise OutOfTravel(
                f"{axis} cannot stop inside [{least:g}, {greatest:g}] from {velocity:g} per second anywhere"
            )
        return least - low, greatest - high

    def largest_speed(self, axis: str, position: float, direction: int) -> float:
        """The greatest speed towards +1 or -1 from which a stop begun at ``position`` ends inside, 0 at the limit.

        Raises
        ------
        OutOfTravel
            When the position itself is outside.
        """
        if direction not in {-1, 1}:
            raise InvalidGeometry(f"a direction is +1 or -1, not {direction}")
        least, greatest = self.limits.ranges[axis]
        if not least <= position <= greatest:
            raise OutOfTravel(f"{axis} at {position:g} is outside [{least:g}, {greatest:g}]", axis=axis)
        room = greatest - position if direction > 0 else position - least
        limits = self.motion[AXES.index(axis)]
        slow, fast = 0.0, limits.speed
        if stop_distance(fast, limits, reaction_s=self.reaction_s) <= room:
            return fast
        for _ in range(_BISECTIONS):
            middle = (slow + fast) / 2
            if stop_distance(middle, limits, reaction_s=self.reaction_s) <= room:
                slow = middle
            else:
                fast = middle
        return slow

    def violations(
        self, values: npt.ArrayLike, velocity: npt.ArrayLike, acceleration: npt.ArrayLike = (0.0,) * 6
    ) -> dict[str, float]:
        """Axis -> signed excess of the farthest point that a stop begun now reaches (empty: it ends inside).

        Parameters
        ----------
        values, velocity, acceleration : array_like, shape (6,)
            IEC 61217, in the order of ``AXES``, mm or degrees, per s and s².

        Raises
        ------
        InvalidGeometry
            When a number is missing or not finite.
        """
        rows = [np.asarray(row, dtype=np.float64) for row in (values, velocity, acceleration)]
        if any(row.shape != (len(AXES),) or not np.isfinite(row).all() for row in rows):
            raise InvalidGeometry("position, velocity and acceleration are six finite numbers each")
        now = np.array(rows)
        over: dict[str, float] = {}
        for axis, limits, (value, rate, change) in zip(AXES, self.motion, now.T.tolist(), strict=True):
            low, high = stop_excursion(rate, limits, acceleration=change, reaction_s=self.reaction_s)
            self._note(over, axis, value + low, value + high)
        return over

    def require(self, values: npt.ArrayLike, velocity: npt.ArrayLike, acceleration: npt.ArrayLike = (0.0,) * 6) -> None:
        """Raise :class:`OutOfTravel` that names every axis whose stop would end outside; see :meth:`violations`."""
        self._refuse(self.violations(values, velocity, acceleration))

    def overshoot(self, move: SynchronisedProfile) -> Array:
        """How far beyond the target each axis may go, at most, when the move is stopped at any time, shape (axes,).

        Without a reaction time a stop never passes the target, because the move itself ends in the quickest stop. With
        one, a stop that should begin with the move's own braking comes late by the reaction at the peak speed.
        """
        peak = max((abs(piece.velocity) for piece in move.path.pieces), default=0.0)
        return np.asarray(np.abs(move.target - move.start) * peak * self.reaction_s, dtype=np.float64)

    def require_move(self, move: SynchronisedProfile) -> None:
        """Raise :class:`OutOfTravel` unless start, target and every stop on the way stay inside the limits."""
        over: dict[str, float] = {}
        ends = move.target + np.sign(move.target - move.start) * self.overshoot(move)
        for axis, first, last in zip(AXES, move.start.tolist(), ends.tolist(), strict=True):
            self._note(over, axis, min(first, last), max(first, last))
        self._refuse(over)

    def _note(self, over: dict[str, float], axis: str, lowest: float, highest: float) -> None:
        least, greatest = self.limits.ranges[axis]
        below, above = lowest - least, highest - greatest
        if below < 0 or above > 0:
            over[axis] = below if -below > above else above

    def _refuse(self, over: dict[str, float]) -> None:
        if over:
            named = ", ".join(f"{axis} by {abs(excess):.2f}" for axis, excess in over.items())
            raise OutOfTravel(f"a stop would end outside the travel limits: {named}", excess=over)
