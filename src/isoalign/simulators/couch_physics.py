"""The couch as a body: drives that lag, play in the gears, brakes, and two encoders per axis.

Positions are mm and degrees in the order of ``geometry.AXES``, IEC 61217. The drive follows its set point as a
second-order system; the table follows the drive with play; the primary encoder sits on the drive, the secondary on the
table. Not modelled yet: sag under load, thermal drift, oscillation of the table top.
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
    stuck : set of int
        Axes whose drive does not move, a fault.
    secondary_fault : ndarray, shape (6,)
        Added to the secondary readings, a fault.
    secondary_fault_rate : ndarray, shape (6,)
        Growth of that per second.
    primary_invalid : set of int
        Axes whose primary encoder gives no value, a fault.
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
        self.brakes_engaged = True
        self.stuck: set[int] = set()
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
        if set_point is None or self.brakes_engaged:
            self.velocity = np.zeros(AXIS_COUNT)
            self._lagging = self.table.copy()
            self._now_s = now_s
            return
        steps = math.ceil(elapsed_s / _STEP_S)
        dt_s = elapsed_s / steps
        for step in range(1, steps + 1):
            self._integrate(set_point(self._now_s + step * dt_s), dt_s)
        self._now_s = now_s

    def _integrate(self, wanted: Array, dt_s: float) -> None:
        omega = 2 * math.pi * self.parameters.servo_frequency_hz
        pull = omega * omega * (wanted - self.drive) - 2 * self.parameters.servo_damping * omega * self.velocity
        self.velocity = self.velocity + pull * dt_s
        for axis in self.stuck:
            self.velocity[axis] = 0.0
        self.drive = self.drive + self.velocity * dt_s
        self.table = np.clip(self.table, self.drive - self._half_play, self.drive + self._half_play)
        lag_s = max(self.parameters.secondary_lag_s, dt_s)
        self._lagging = self._lagging + (self.table - self._lagging) * (dt_s / lag_s)

    def engage_brakes(self) -> None:
        """The brakes take the table, which drops a little."""
        if not self.brakes_engaged:
            self.brakes_engaged = True
            self.velocity = np.zeros(AXIS_COUNT)
            self.table = self.table - np.array([0, 0, self.parameters.brake_drop_mm, 0, 0, 0])

    def release_brakes(self) -> None:
        """The drives take the table."""
        self.brakes_engaged = False

    def primary(self) -> tuple[float | None, ...]:
        """One reading of the primary encoders."""
        reading = self.drive + self._random.normal(0.0, 1.0, AXIS_COUNT) * self._noise
        rounded = np.round(reading / self._resolution) * self._resolution
        return tuple(None if axis in self.primary_invalid else float(value) for axis, value in enumerate(rounded))

    def secondary(self) -> tuple[float, ...]:
        """One reading of the secondary encoders."""
        reading = self._lagging * self._scale + self.secondary_fault
        rounded = np.round(reading / self._secondary_resolution) * self._secondary_resolution
        return tuple(float(value) for value in rounded)
