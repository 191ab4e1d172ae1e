"""The couch as a body: drives that lag, play in the gears, brakes, and two encoders per axis.

Positions are mm and degrees in the order of ``geometry.AXES``, IEC 61217. The drive follows its set point as a
second-order system; the table follows the drive with play; the primary encoder sits on the drive, the secondary on the
table. The table top sags under its load beyond what any encoder sees; in the room's demo it carries none and is rigid.
Not modelled yet: thermal drift, oscillation of the table top.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
AXIS_COUNT = 6
_STEP_S = 0.002


def _per_kind(linear_mm: float, angular_deg: float) -> Array:
    values = np.array([linear_mm] * 3 + [angular_deg] * 3)
    values.setflags(write=False)
    return values


@dataclass(frozen=True, slots=True)
class CouchPhysicsParameters:
    """Parameters of the simulated couch.

    Attributes
    ----------
    servo_frequency_hz, servo_damping : float
        Natural frequency and damping ratio of the drives.
    primary_noise_mm, primary_noise_deg : float
        Standard deviation of one reading.
    primary_resolution_mm, primary_resolution_deg : float
    secondary_resolution_mm, secondary_resolution_deg : float
    secondary_scale_ppm : float
        Largest scale error of a secondary encoder; each axis has its own, from the seed.
    secondary_lag_s : float
    backlash_mm, backlash_deg : float
        Whole width of the play.
    brake_release_s, brake_engage_s : float
        Time from the decision until the brakes are open, and from standstill until they hold.
    brake_drop_mm : float
        The table sinks by this much when the brakes engage.
    sag_mm, sag_pitch_deg : float
        How far the table top sinks, and tilts, at full load and full extension; 0 is a rigid one. 2 mm and 0.1 degree
        are usual.
    full_load_kg, full_extension_mm : float
        Where that holds. A cantilever: the sag grows with load and cube of the extension, the tilt with its square.
    """

    servo_frequency_hz: float = 16.0
    servo_damping: float = 0.8
    primary_noise_mm: float = 0.003
    primary_noise_deg: float = 0.0002
    primary_resolution_mm: float = 0.001
    primary_resolution_deg: float = 0.000005
    secondary_resolution_mm: float = 0.01
    secondary_resolution_deg: float = 0.001
    secondary_scale_ppm: float = 50.0
    secondary_lag_s: float = 0.005
    backlash_mm: float = 0.02
    backlash_deg: float = 0.002
    brake_release_s: float = 0.06
    brake_engage_s: float = 0.1
    brake_drop_mm: float = 0.005
    sag_mm: float = 0.0
    sag_pitch_deg: float = 0.0
    full_load_kg: float = 150.0
    full_extension_mm: float = 1500.0

    @property
    def servo_lag_s(self) -> float:
        """Delay of a drive behind a steadily moving set point."""
        return 2 * self.servo_damping / (2 * math.pi * self.servo_frequency_hz)


class CouchBody:
    """The moving parts and their encoders.

    Parameters
    ----------
    start : sequence of six floats
        Position at the beginning.
    seed : int
        Of encoder noise and scale errors.

    Attributes
    ----------
    drive, table, velocity : ndarray, shape (6,)
        Where the drives and the table are, and how fast the drives move.
    payload_kg : float
        What lies on the table.
    stuck : set of int
        Axes whose drive does not move, a fault.
    runaway, creep : dict of int to float
        Axes that move at a speed of their own: against the set point, and against engaged brakes, faults.
    reversed_about : dict of int to float
        Axes that move the wrong way from a position, a fault.
    sluggish : dict of int to float
        Axes whose drive is slower by a factor, a fault.
    secondary_fault, secondary_fault_rate : ndarray, shape (6,)
        Added to the secondary readings, and its growth per second, a fault.
    primary_invalid : set of int
        Axes whose primary encoder gives no value, a fault.
    primary_frozen : dict of int to float
        Axes whose primary encoder gives one value for ever, a fault.
    primary_scale, secondary_scale : dict of int to (float, float)
        Axes whose encoder errs by a part of the way from a position, a fault.
    primary_noise : dict of int to float
        Standard deviation of additional noise, a fault.
    brakes_stay_closed, brakes_stay_open : bool
        Faults.
    """

    def __init__(
        self,
        start: Sequence[float],
        *,
        seed: int,
        now_s: float,
        parameters: CouchPhysicsParameters = CouchPhysicsParameters(),
    ) -> None:
        self.parameters = parameters
        self.drive: Array = np.array(start, dtype=np.float64)
        if self.drive.shape != (AXIS_COUNT,):
            raise ValueError(f"a couch has {AXIS_COUNT} axes, not {self.drive.shape}")
        self.velocity: Array = np.zeros(AXIS_COUNT)
        self.table: Array = self.drive.copy()
        self.payload_kg = 0.0
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
        self.secondary_fault: Array = np.zeros(AXIS_COUNT)
        self.secondary_fault_rate: Array = np.zeros(AXIS_COUNT)
        self.primary_invalid: set[int] = set()
        self._random = np.random.default_rng([seed, 0xC0])
        self._scale = 1 + self._random.uniform(-1, 1, AXIS_COUNT) * parameters.secondary_scale_ppm * 1e-6
        self._lagging: Array = self.table.copy()
        self._half_play = _per_kind(parameters.backlash_mm, parameters.backlash_deg) / 2
        self._noise = _per_kind(parameters.primary_noise_mm, parameters.primary_noise_deg)
        self._resolution = _per_kind(parameters.primary_resolution_mm, parameters.primary_resolution_deg)
        self._secondary_resolution = _per_kind(parameters.secondary_resolution_mm, parameters.secondary_resolution_deg)
        self._now_s = now_s

    def advance(self, now_s: float, set_point: Callable[[float], Array] | None) -> None:
        """Let time pass until ``now_s``.

        Parameters
        ----------
        now_s : float
        set_point : callable or None
            Where the drives should be at a time; None when the brakes hold or the drives keep their place.
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
                self._integrate(held if set_point is None else set_point(self._now_s + step * dt_s), dt_s)
        self._now_s = now_s

    def _rest(self, elapsed_s: float) -> None:
        """The brakes hold, or should."""
        self.velocity = np.zeros(AXIS_COUNT)
        for axis, speed in self.creep.items():
            self.velocity[axis] = speed
        self.drive = self.drive + self.velocity * elapsed_s
        self.table = self.table + self.velocity * elapsed_s
        self._lagging = self.table.copy()

    def _integrate(self, wanted: Array, dt_s: float) -> None:
        omega = np.full(AXIS_COUNT, 2 * math.pi * self.parameters.servo_frequency_hz)
        for axis, factor in self.sluggish.items():
            omega[axis] /= factor
        for axis, about in self.reversed_about.items():
            wanted = wanted.copy()
            wanted[axis] = 2 * about - wanted[axis]
        seen = self._scaled(self.drive, self.primary_scale)
        pull = omega * omega * (wanted - seen) - 2 * self.parameters.servo_damping * omega * self.velocity
        self.velocity = self.velocity + pull * dt_s
        for axis, speed in self.runaway.items():
            self.velocity[axis] = speed
        for axis in self.stuck:
            self.velocity[axis] = 0.0
        self.drive = self.drive + self.velocity * dt_s
        self.table = np.clip(self.table, self.drive - self._half_play, self.drive + self._half_play)
        lag_s = max(self.parameters.secondary_lag_s, dt_s)
        self._lagging = self._lagging + (self.table - self._lagging) * (dt_s / lag_s)

    def engage_brakes(self) -> None:
        """The brakes take the table, which drops a little."""
        if not self.brakes_engaged and not self.brakes_stay_open:
            self.brakes_engaged = True
            self.velocity = np.zeros(AXIS_COUNT)
            self.table = self.table - np.array([0, 0, self.parameters.brake_drop_mm, 0, 0, 0])

    def release_brakes(self) -> None:
        """The drives take the table."""
        if not self.brakes_stay_closed:
            self.brakes_engaged = False
            self.reversed_about = {axis: float(self.drive[axis]) for axis in self.reversed_about}

    def true_position(self) -> Array:
        """Where the table top really is: the table, and how far it has sunk under its load."""
        load = self.payload_kg / self.parameters.full_load_kg
        reach = max(0.0, float(self.table[1])) / self.parameters.full_extension_mm
        sunk = np.zeros(AXIS_COUNT)
        sunk[2] = -self.parameters.sag_mm * load * reach**3
        sunk[3] = -self.parameters.sag_pitch_deg * load * reach**2
        return self.table + sunk

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

    def primary(self) -> tuple[float | None, ...]:
        """One reading of the primary encoders."""
        reading = self.measured() + self._random.normal(0.0, 1.0, AXIS_COUNT) * self._noise
        for axis, value in self.primary_frozen.items():
            reading[axis] = value
        rounded = np.round(reading / self._resolution) * self._resolution
        return tuple(None if axis in self.primary_invalid else float(value) for axis, value in enumerate(rounded))

    def secondary(self) -> tuple[float, ...]:
        """One reading of the secondary encoders."""
        reading = self._scaled(self._lagging * self._scale, self.secondary_scale) + self.secondary_fault
        rounded = np.round(reading / self._secondary_resolution) * self._secondary_resolution
        return tuple(float(value) for value in rounded)
