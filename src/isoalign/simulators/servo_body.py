"""Driven axes as a body: drives that lag, play in the gears, brakes, and two encoders per axis.

The drive follows its set point as a second-order system; what it carries (the table, the gantry) follows the drive with
play; the primary encoder sits on the drive, the secondary on what is carried.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
_STEP_S = 0.002


@dataclass(frozen=True, slots=True, kw_only=True)
class ServoParameters:
    """What every driven axis has.

    Attributes
    ----------
    servo_frequency_hz, servo_damping : float
        Natural frequency and damping ratio of the drives.
    secondary_scale_ppm : float
        Largest scale error of a secondary encoder; each axis has its own, from the seed.
    secondary_lag_s : float
    brake_release_s, brake_engage_s : float
        Time from the decision until the brakes are open, and from standstill until they hold.
    """

    servo_frequency_hz: float = 16.0
    servo_damping: float = 0.8
    secondary_scale_ppm: float = 50.0
    secondary_lag_s: float = 0.005
    brake_release_s: float = 0.06
    brake_engage_s: float = 0.1

    @property
    def servo_lag_s(self) -> float:
        """Delay of a drive behind a steadily moving set point."""
        return 2 * self.servo_damping / (2 * math.pi * self.servo_frequency_hz)


@dataclass(frozen=True, slots=True)
class AxisGrain:
    """What blurs each axis, mm or degrees, shape (axes,): whole play, noise of the primary encoder, encoder steps."""

    backlash: Array
    primary_noise: Array
    primary_resolution: Array
    secondary_resolution: Array


@dataclass(frozen=True, slots=True)
class Moment:
    """Where everything is at a time: drives, what they carry, and what the secondary encoders see, shape (axes,)."""

    at_s: float
    drive: Array
    table: Array
    lagging: Array


class ServoBody:
    """The moving parts and their encoders.

    Parameters
    ----------
    start : sequence of float
        Position at the beginning, one number per axis.
    seed : sequence of int
        Of encoder noise and scale errors.
    now_s : float
    parameters : ServoParameters
    grain : AxisGrain

    Attributes
    ----------
    drive, table, velocity : ndarray, shape (axes,)
        Where the drives and what they carry are, and how fast the drives move.
    stuck : set of int
        Axes whose drive does not move, a fault.
    runaway, creep : dict of int to float
        Axes that move at a speed of their own: against the set point, and against engaged brakes, faults.
    reversed_about : dict of int to float
        Axes that move the wrong way from a position, a fault.
    sluggish : dict of int to float
        Axes whose drive is slower by a factor, a fault.
    secondary_fault, secondary_fault_rate : ndarray, shape (axes,)
        Added to the secondary readings, and its growth per second, a fault.
    primary_invalid : set of int
        Axes whose primary encoder gives no value, a fault.
    primary_frozen : dict of int to float
        Axes whose primary encoder gives one value for ever, a fault.
    primary_scale, secondary_scale : dict of int to (float, float)
        Axes whose encoder errs by a part of the way from a position.
    primary_noise : dict of int to float
        Standard deviation of additional noise, a fault.
    brakes_stay_closed, brakes_stay_open : bool
        Faults.
    """

    def __init__(
        self,
        start: Sequence[float],
        *,
        seed: Sequence[int],
        now_s: float,
        parameters: ServoParameters,
        grain: AxisGrain,
    ) -> None:
        self.drive: Array = np.array(start, dtype=np.float64)
        self.velocity: Array = np.zeros_like(self.drive)
        self.table: Array = self.drive.copy()
        self.brakes_engaged = True
        self.brakes_stay_closed = self.brakes_stay_open = False
        self.stuck: set[int] = set()
        self.runaway: dict[int, float] = {}
        self.creep: dict[int, float] = {}
        self.reversed_about: dict[int, float] = {}
        self.sluggish: dict[int, float] = {}
        self.primary_frozen: dict[int, float] = {}
        self.primary_scale: dict[int, tuple[float, float]] = {}
        self.secondary_scale: dict[int, tuple[float, float]] = {}
        self.primary_noise: dict[int, float] = {}
        self.secondary_fault: Array = np.zeros_like(self.drive)
        self.secondary_fault_rate: Array = np.zeros_like(self.drive)
        self.primary_invalid: set[int] = set()
        self.servo = parameters
        self._grain = grain
        self._half_play = grain.backlash / 2
        self._omega_per_s = 2 * math.pi * parameters.servo_frequency_hz
        self._random = np.random.default_rng(list(seed))
        self._scale = 1 + self._random.uniform(-1, 1, self.drive.size) * parameters.secondary_scale_ppm * 1e-6
        self._lagging: Array = self.table.copy()
        self._now_s = now_s

    def advance(
        self,
        now_s: float,
        set_point: Callable[[float], Array] | None,
        on_step: Callable[[Moment, Moment], None] | None = None,
    ) -> None:
        """Let time pass until ``now_s``.

        Parameters
        ----------
        now_s : float
        set_point : callable or None
            Where the drives should be at a time; None when the brakes hold or the drives keep their place.
        on_step : callable, optional
            Called with the moments before and after each small step of a motion.
        """
        elapsed_s = now_s - self._now_s
        if elapsed_s <= 0:
            return
        self.secondary_fault = self.secondary_fault + self.secondary_fault_rate * elapsed_s
        if self.brakes_engaged or (set_point is None and not self.runaway):
            self._rest(elapsed_s)
        else:
            held = self.drive.copy()
            steps = math.ceil(elapsed_s / _STEP_S)
            dt_s = elapsed_s / steps
            for step in range(1, steps + 1):
                at_s = self._now_s + step * dt_s
                before = self._moment(at_s - dt_s)
                self._integrate(held if set_point is None else set_point(at_s), dt_s)
                if on_step is not None:
                    on_step(before, self._moment(at_s))
        self._now_s = now_s

    def _moment(self, at_s: float) -> Moment:
        return Moment(at_s, self.drive, self.table, self._lagging)

    def _rest(self, elapsed_s: float) -> None:
        """The brakes hold, or should."""
        self.velocity = np.zeros_like(self.drive)
        for axis, speed in self.creep.items():
            self.velocity[axis] = speed
        self.drive = self.drive + self.velocity * elapsed_s
        self.table = self.table + self.velocity * elapsed_s
        self._lagging = self.table.copy()

    def _integrate(self, wanted: Array, dt_s: float) -> None:
        omega: float | Array = self._omega_per_s
        if self.sluggish:
            omega = np.full(self.drive.size, omega)
            for axis, factor in self.sluggish.items():
                omega[axis] /= factor
        for axis, about in self.reversed_about.items():
            wanted = wanted.copy()
            wanted[axis] = 2 * about - wanted[axis]
        seen = self._scaled(self.drive, self.primary_scale) if self.primary_scale else self.drive
        pull = omega * omega * (wanted - seen) - (2 * self.servo.servo_damping * omega) * self.velocity
        self.velocity = self.velocity + pull * dt_s
        for axis, speed in self.runaway.items():
            self.velocity[axis] = speed
        for axis in self.stuck:
            self.velocity[axis] = 0.0
        self.drive = self.drive + self.velocity * dt_s
        half_play = self._half_play
        self.table = np.minimum(np.maximum(self.table, self.drive - half_play), self.drive + half_play)
        lag_s = max(self.servo.secondary_lag_s, dt_s)
        self._lagging = self._lagging + (self.table - self._lagging) * (dt_s / lag_s)

    def engage_brakes(self) -> None:
        """The brakes take what the drives carry."""
        if not self.brakes_engaged and not self.brakes_stay_open:
            self.brakes_engaged = True
            self.velocity = np.zeros_like(self.drive)
            self._settle_on_brakes()

    def _settle_on_brakes(self) -> None:
        """What happens when the brakes take the load."""

    def release_brakes(self) -> None:
        """The drives take the load."""
        if not self.brakes_stay_closed:
            self.brakes_engaged = False
            self.reversed_about = {axis: float(self.drive[axis]) for axis in self.reversed_about}

    def measured(self) -> Array:
        """Where the drives are by their encoders, without the encoders' usual noise: what a controller works with."""
        seen = self._scaled(self.drive, self.primary_scale)
        for axis, value in self.primary_frozen.items():
            seen[axis] = value
        for axis, deviation in self.primary_noise.items():
            seen[axis] += self._random.normal(0.0, deviation)
        return seen

    def seen_velocity(self) -> Array:
        """Velocity by the primary encoders."""
        seen = self.velocity.copy()
        for axis in self.primary_frozen:
            seen[axis] = 0.0
        return seen

    @staticmethod
    def _scaled(position: Array, scales: dict[int, tuple[float, float]]) -> Array:
        seen = position.copy()
        for axis, (about, error) in scales.items():
            seen[axis] += (seen[axis] - about) * error
        return seen

    def primary(self, measured: Array | None = None) -> tuple[float | None, ...]:
        """One reading of the primary encoders, now or where the drives were ``measured`` to be."""
        reading = self.measured() if measured is None else measured.copy()
        reading += self._random.normal(0.0, 1.0, reading.size) * self._grain.primary_noise
        for axis, value in self.primary_frozen.items():
            reading[axis] = value
        rounded = np.round(reading / self._grain.primary_resolution) * self._grain.primary_resolution
        return tuple(None if axis in self.primary_invalid else float(value) for axis, value in enumerate(rounded))

    def secondary(self, lagging: Array | None = None) -> tuple[float, ...]:
        """One reading of the secondary encoders, now or where they saw ``lagging``."""
        seen = self._lagging if lagging is None else lagging
        reading = self._scaled(seen * self._scale, self.secondary_scale) + self.secondary_fault
        rounded = np.round(reading / self._grain.secondary_resolution) * self._grain.secondary_resolution
        return tuple(float(value) for value in rounded)
