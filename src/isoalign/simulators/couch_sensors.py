"""What the couch senses besides its position: hard-wired circuits, touch, temperatures of its drives, and its load.

The simulated pendant has no wire to the simulated couch: its enable circuit is closed until a fault opens it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from isoalign.protocol.messages import CouchSafety, SafetyCircuit, TorqueFeedback, TouchSensor
from isoalign.simulators.servo_body import Array

TOUCH_THRESHOLD_N = 30.0
"""A touch sensor is pressed from this force on. A proposal; ISO/TS 15066 has the limits for people."""


@dataclass(frozen=True, slots=True)
class SensorParameters:
    """Parameters of the sensors and of the heat in the drives.

    Attributes
    ----------
    ambient_c : float
    heating_c_per_s : float
        How fast a drive warms at the full speed of the normal class.
    cooling_time_s : float
        Time constant of cooling. Motion without end at normal speed settles 40 degrees above the room.
    temperature_noise_c, payload_noise_kg : float
        Standard deviation of one reading.
    """

    ambient_c: float = 25.0
    heating_c_per_s: float = 0.05
    cooling_time_s: float = 800.0
    temperature_noise_c: float = 0.2
    payload_noise_kg: float = 0.3


class CouchSensors:
    """Sensors of one couch.

    Parameters
    ----------
    seed : int
    full_speed : ndarray, shape (6,)
        Of the normal class, mm/s and degrees/s.

    Attributes
    ----------
    emergency_stop_open, enable_circuit_open, torque_contradiction : bool
        The emergency stop is pressed; the wire of the enabling switch is open; the STO feedback contradicts itself.
    touch_force_n : float
        How hard somebody presses the edge of the table top.
    temperature_c : ndarray, shape (6,)
    heated : dict of int to float
        Drives that are kept at a temperature, a fault.
    """

    def __init__(self, seed: int, full_speed: Array, parameters: SensorParameters = SensorParameters()) -> None:
        self.emergency_stop_open = self.enable_circuit_open = self.torque_contradiction = False
        self.touch_force_n = 0.0
        self.temperature_c: Array = np.full(full_speed.size, parameters.ambient_c)
        self.heated: dict[int, float] = {}
        self._full_speed = full_speed
        self._parameters = parameters
        self._random = np.random.default_rng([seed, 0x5E])

    @property
    def is_touched(self) -> bool:
        """Whether a touch sensor is pressed."""
        return self.touch_force_n >= TOUCH_THRESHOLD_N

    @property
    def contacts(self) -> tuple[bool, ...]:
        """All that is either on or off: what is told at once when it changes."""
        return self.emergency_stop_open, self.enable_circuit_open, self.torque_contradiction, self.is_touched

    def advance(self, elapsed_s: float, velocity: Array) -> None:
        """Drives warm with their speed and cool to the room."""
        p = self._parameters
        heating = p.heating_c_per_s * np.abs(velocity) / self._full_speed
        cooling = (self.temperature_c - p.ambient_c) / p.cooling_time_s
        self.temperature_c = self.temperature_c + (heating - cooling) * elapsed_s
        for axis, celsius in self.heated.items():
            self.temperature_c[axis] = celsius

    def cool(self, axis: int) -> None:
        """A drive that was heated is repaired: it has the temperature of the room."""
        if self.heated.pop(axis, None) is not None:
            self.temperature_c[axis] = self._parameters.ambient_c

    def report(self, device_time_us: int, state_count: int, *, torque_on: bool, load_kg: float) -> CouchSafety:
        """What goes out."""
        p = self._parameters
        measured_c = self.temperature_c + self._random.normal(0.0, p.temperature_noise_c, self.temperature_c.size)
        load = load_kg + float(self._random.normal(0.0, p.payload_noise_kg))
        torque = TorqueFeedback.TORQUE_ON if torque_on else TorqueFeedback.TORQUE_OFF
        return CouchSafety(
            device_time_us=device_time_us,
            state_count=state_count,
            emergency_stop=SafetyCircuit.OPEN if self.emergency_stop_open else SafetyCircuit.CLOSED,
            enable_circuit=SafetyCircuit.OPEN if self.enable_circuit_open else SafetyCircuit.CLOSED,
            torque_feedback=TorqueFeedback.CONTRADICTORY if self.torque_contradiction else torque,
            touched=TouchSensor.TABLE_TOP if self.is_touched else TouchSensor(0),
            touch_force_mn=round(self.touch_force_n * 1000),
            drive_temperature_mdeg_c=tuple(round(celsius * 1000) for celsius in measured_c),
            payload_g=round(load * 1000),
        )
