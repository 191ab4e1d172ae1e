"""How far the couch goes on when it is stopped at this moment of a motion.

The couch stops on its path, from where its set point is, and the drives follow the set point with a lag (ADR 0014). So
the place of rest follows from the profile alone once it is known how far along the profile the set point is; and that
follows from the read-back, which is where the set point was one lag ago. While the couch gets faster its speed says
more about that than its place: at the beginning a small error of the place is a large one of the time.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from isoalign.geometry import AXES, Array
from isoalign.geometry.motion_profile import SynchronisedProfile

TRANSMISSION_S = 0.001
"""Added to the age of the read-back: how long STOP is on its way to the couch."""
PLACE_NOISE = (0.01, 0.001)
"""Error of a read-back, mm and degrees."""
RATE_NOISE = (0.5, 0.03)
"""Error of a speed, mm/s and degrees/s."""
LEAST_WAY = 0.05
"""An axis that goes less far, mm or degrees, only answers to the noise of its read-back."""
_BISECTIONS = 24
_MARGIN = 1.02
"""For what the model of the lag leaves out."""


def longest_reaction_s(profile: SynchronisedProfile, reaction_s: Mapping[str, float]) -> float:
    """The longest measured reaction of an axis that moves, s; 0 where none was measured."""
    moving = np.abs(profile.target - profile.start) > LEAST_WAY
    return max((reaction_s.get(axis, 0.0) for axis, moves in zip(AXES, moving, strict=False) if moves), default=0.0)


class StopPredictor:
    """Stop distances during one straight motion.

    Parameters
    ----------
    profile : SynchronisedProfile
        The motion, IEC 61217, mm and degrees.
    lag_s : float
        Delay of the drives behind their set point.
    reaction_s : dict of axis to float, optional
        How long an axis was seen to go on after a stop beyond its braking (stop table of a calibration). It holds for
        the axes that move, and where it is longer than lag and transmission together.
    """

    def __init__(
        self, profile: SynchronisedProfile, lag_s: float, reaction_s: Mapping[str, float] | None = None
    ) -> None:
        self._profile = profile
        self._delay_s = max(lag_s + TRANSMISSION_S, longest_reaction_s(profile, reaction_s or {}))
        way = np.abs(profile.target - profile.start)
        self._axis = int(np.argmax(way / [limit.speed for limit in profile.limits]))
        pieces = profile.path.pieces
        top = max((piece.velocity for piece in pieces), default=0.0)
        self._fastest_s = next((piece.start_s for piece in pieces if piece.velocity >= 0.999 * top), 0.0)

    def stop_distance(self, position: Sequence[float], velocity: Sequence[float], age_s: float) -> Array:
        """How far every axis goes on from a read-back until rest, if STOP is sent now.

        Parameters
        ----------
        position, velocity : sequence of six floats
            Read-back, IEC 61217.
        age_s : float
            Since the couch made it.

        Returns
        -------
        ndarray, shape (6,)
            Magnitudes, mm and degrees; 0 for axes that do not move.
        """
        profile = self._profile
        way = profile.target - profile.start
        if profile.duration_s <= 0:
            return np.zeros_like(way)
        fraction = float((position[self._axis] - profile.start[self._axis]) / way[self._axis])
        rate = float(velocity[self._axis] / way[self._axis])
        now_s = self._moment(fraction, rate) + self._delay_s + age_s
        stop = profile.stop_at(now_s)
        return np.asarray(np.abs(way) * max(0.0, stop.from_fraction + stop.path.distance - fraction) * _MARGIN)

    def _moment(self, fraction: float, rate: float) -> float:
        """When the set point was at a fraction of the way; while it got faster, when it had this rate."""
        path = self._profile.path
        if fraction >= 1.0:
            return path.duration_s
        moment_s = self._when(0, fraction, path.duration_s)
        if moment_s < self._fastest_s and math.isfinite(rate) and self._speed_says_more(moment_s):
            return self._when(1, rate, self._fastest_s)
        return moment_s

    def _speed_says_more(self, moment_s: float) -> bool:
        """Whether an error of the speed is a smaller one of the time than an error of the place."""
        _, rate, acceleration = self._profile.path.state(moment_s)
        kind = 0 if self._axis < len(AXES) // 2 else 1
        return RATE_NOISE[kind] * rate < PLACE_NOISE[kind] * acceleration

    def _when(self, derivative: int, value: float, late_s: float) -> float:
        """When the path, or its rate, reaches a value that it passes once between 0 and ``late_s``."""
        early_s = 0.0
        for _ in range(_BISECTIONS):
            middle_s = (early_s + late_s) / 2
            if self._profile.path.state(middle_s)[derivative] < value:
                early_s = middle_s
            else:
                late_s = middle_s
        return late_s
