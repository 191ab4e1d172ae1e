"""How the second channel of each axis shows what the first shows: scale, offset, lag and play.

    secondary = offset + (1 + scale) primary - lag velocity + play side,

where side is the direction of the motion, or of the last one. The lag shows in motion only, the play only where both
directions were used, the scale only over a way: what the recordings cannot show is refused, not guessed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from isoalign.calibration.couch_recording import StopRecording
from isoalign.calibration.errors import TooManyOutliers, Underdetermined
from isoalign.geometry import AXES, Array

LEAST_WAY = (40.0, 40.0, 40.0, 2.0, 2.0, 5.0)
LEAST_SPEED = (5.0, 5.0, 5.0, 0.5, 0.5, 0.5)
TAKEN_UP = (0.5, 0.5, 0.5, 0.05, 0.05, 0.05)
"""After this way, mm or degrees, the play of the gears is taken up."""
STEADY_PART = 0.01
"""A speed that changes by less, as part of the largest, from reading to reading is steady."""
SETTLES_S = 0.2
"""After a change of speed the second channel takes this long until only its lag is left of it."""
LEAST_RUNS = 4
OUTLIER_SIGMAS = 12.0
LARGEST_OUTLIER_PART = 0.02
LEAST_SIGMA = (0.002, 0.002, 0.002, 0.0002, 0.0002, 0.0002)
METHOD = "robust linear regression of the second channel on the first, its speed and direction"


@dataclass(frozen=True, slots=True)
class Channel:
    """The second channel of one axis.

    Attributes
    ----------
    axis : str
    scale : float
        Part by which it shows more way than the first.
    offset : float
        mm or degrees, at the first channel's zero.
    lag_s : float
        It shows the position of this long ago.
    half_play : float
        mm or degrees, positive when it trails behind: it is subtracted in the direction of motion.
    covariance : ndarray, shape (4, 4)
        Of scale, offset, lag and half play.
    sigma : float
        Standard deviation of what is left.
    held_out_largest, changing_largest : float
        Largest disagreement, aligned, in runs that were kept out of the fit: at rest or steady speed, and while the
        speed changed, for which a lag is an approximation.
    unaligned_largest : float
        The same without an alignment.
    outliers : tuple of (int, float)
        Run and time of readings that disagree with all others.
    range : (float, float)
        Way that was seen.
    """

    axis: str
    scale: float
    offset: float
    lag_s: float
    half_play: float
    covariance: Array
    sigma: float
    held_out_largest: float
    changing_largest: float
    unaligned_largest: float
    outliers: tuple[tuple[int, float], ...]
    range: tuple[float, float]

    def expected(self, primary: float, velocity: float) -> float:
        """What the second channel should show."""
        return self.offset + (1 + self.scale) * primary - self.lag_s * velocity


@dataclass(frozen=True, slots=True)
class _Readings:
    """Of one axis: run, time, first channel, second minus first, speed, side, weight, whether the speed is steady."""

    run: npt.NDArray[np.int64]
    t_s: Array
    primary: Array
    apart: Array
    velocity: Array
    side: Array
    weight: Array
    steady: npt.NDArray[np.bool_]

    def take(self, which: npt.NDArray[np.bool_]) -> _Readings:
        return _Readings(
            self.run[which],
            self.t_s[which],
            self.primary[which],
            self.apart[which],
            self.velocity[which],
            self.side[which],
            self.weight[which],
            self.steady[which],
        )

    def design(self) -> Array:
        return np.column_stack([self.primary, np.ones_like(self.primary), -self.velocity, -self.side])


def fit_channels(runs: Sequence[StopRecording]) -> tuple[Channel, ...]:
    """The second channel of every axis.

    Raises
    ------
    Underdetermined
        An axis was not moved far enough, fast enough, or in both directions.
    TooManyOutliers
    """
    return tuple(_fit_axis(axis, runs) for axis in AXES)


def _fit_axis(axis: str, runs: Sequence[StopRecording]) -> Channel:
    index = AXES.index(axis)
    everything = _readings(axis, runs)
    seen = everything.take(everything.steady)
    _require_seen(axis, index, seen)
    used = _agreeing(axis, index, seen)
    numbers = np.unique(seen.run)[LEAST_RUNS // 2 :: LEAST_RUNS]
    kept_out = np.isin(seen.run, numbers)
    proof, _, _ = _solve(seen.take(used & ~kept_out))
    changing = everything.take(np.isin(everything.run, numbers) & ~everything.steady)
    apart = seen.take(used & kept_out)
    values, covariance, sigma = _solve(seen.take(used))
    return Channel(
        axis,
        float(values[0]),
        float(values[1]),
        float(values[2]),
        float(values[3]),
        covariance,
        sigma,
        _largest(apart, proof),
        _largest(changing, proof),
        float(np.abs(seen.apart[used]).max()),
        tuple((int(run) + 1, float(at)) for run, at in zip(seen.run[~used], seen.t_s[~used], strict=True)),
        (float(seen.primary.min()), float(seen.primary.max())),
    )


def _readings(axis: str, runs: Sequence[StopRecording]) -> _Readings:
    index = AXES.index(axis)
    parts: list[tuple[npt.NDArray[Any], ...]] = []
    for number, one in enumerate(runs):
        gone = np.abs(one.primary - one.primary[0]) > TAKEN_UP[index]
        if one.axis != axis or not gone.any():
            continue
        first = int(np.argmax(gone))  # before that the play is not taken up, and its side not known
        velocity, primary = one.velocity[first:], one.primary[first:]
        count = len(primary)
        standing = one.standstill[first:]
        change = np.abs(np.gradient(one.velocity)[first:])
        parts.append(
            (
                np.full(count, float(number)),
                one.t_s[first:],
                primary,
                one.secondary[first:] - primary,
                velocity,
                np.full(count, np.sign(one.primary[-1] - one.primary[0])),
                # at rest all readings have the same rounding: together they count as one
                np.where(standing, 1 / np.sqrt(max(1, int(standing.sum()))), 1.0),
                _settled(one.t_s[first:], change > STEADY_PART * float(np.abs(one.velocity).max())),
            )
        )
    if not parts:
        raise Underdetermined(f"{axis} was not moved in any recording", axis=axis)
    run, at, first_channel, apart, speed, side, weight, steady = (
        np.concatenate(column) for column in zip(*parts, strict=True)
    )
    return _Readings(run.astype(np.int64), at, first_channel, apart, speed, side, weight, steady.astype(bool))


def _settled(t_s: Array, changing: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Readings before which the speed has not changed for a while."""
    latest = np.maximum.accumulate(np.where(changing, t_s, -np.inf))
    return np.asarray(t_s - latest > SETTLES_S)


def _require_seen(axis: str, index: int, seen: _Readings) -> None:
    unit = "mm" if index < 3 else "deg"
    problems = []
    if len(np.unique(seen.run)) < LEAST_RUNS:
        problems.append(f"{len(np.unique(seen.run))} runs, {LEAST_RUNS} are needed")
    if np.ptp(seen.primary) < LEAST_WAY[index]:
        problems.append(f"a way of {np.ptp(seen.primary):.1f} {unit}, {LEAST_WAY[index]:g} are needed for its scale")
    if np.ptp(np.abs(seen.velocity)) < LEAST_SPEED[index]:
        problems.append(f"speeds within {np.ptp(np.abs(seen.velocity)):.2f} {unit}/s, too alike for its lag")
    if len(np.unique(seen.side)) < 2:
        problems.append("one direction only, which hides its play")
    if problems:
        raise Underdetermined(
            f"{axis}: {'; '.join(problems)}",
            axis=axis,
            hint="Move the axis over most of its way, in both directions, at two speeds, and let it rest.",
        )


def _agreeing(axis: str, index: int, seen: _Readings) -> npt.NDArray[np.bool_]:
    """Which readings agree; found with weights that fall with the distance (Cauchy)."""
    design = seen.design()
    weight = seen.weight
    left = seen.apart
    for _ in range(20):
        values, *_ = np.linalg.lstsq(design * weight[:, None], seen.apart * weight, rcond=None)
        left = seen.apart - design @ values
        spread = max(1.4826 * float(np.median(np.abs(left))), LEAST_SIGMA[index])
        weight = seen.weight / np.sqrt(1 + (left / (3 * spread)) ** 2)
    agrees = np.abs(left) <= OUTLIER_SIGMAS * spread
    if (~agrees).mean() > LARGEST_OUTLIER_PART:
        raise TooManyOutliers(
            f"{int((~agrees).sum())} of {agrees.size} readings of {axis} disagree with the others",
            hint="Have the second encoder of this axis and its coupling checked.",
        )
    return np.asarray(agrees)


def _largest(seen: _Readings, values: Array) -> float:
    return float(np.abs(seen.apart - seen.design() @ values).max(initial=0.0))


def _solve(seen: _Readings) -> tuple[Array, Array, float]:
    design = seen.design() * seen.weight[:, None]
    values, *_ = np.linalg.lstsq(design, seen.apart * seen.weight, rcond=None)
    left = seen.apart * seen.weight - design @ values
    sigma = float(np.sqrt(left @ left / max(1.0, float((seen.weight**2).sum()) - 4)))
    return np.asarray(values, dtype=np.float64), np.asarray(np.linalg.inv(design.T @ design) * sigma**2), sigma
