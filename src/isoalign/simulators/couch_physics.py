"""The couch as a body: six driven axes, brakes that let the table drop, and a table top that sags.

Positions are mm and degrees in the order of ``geometry.AXES``, IEC 61217. The table top sags under its load beyond what
any encoder sees; in the room's demo it carries none and is rigid. What the controller does about it is in
:mod:`~isoalign.simulators.load_compensation`.
Not modelled yet: thermal drift, oscillation of the table top.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from isoalign.geometry.motion_profile import NORMAL_LIMITS
from isoalign.simulators.couch_sensors import CouchSensors
from isoalign.simulators.servo_body import Array, AxisGrain, Moment, ServoBody, ServoParameters
from isoalign.simulators.support_axis import SupportAxisErrors

AXIS_COUNT = 6


def _per_kind(linear_mm: float, angular_deg: float) -> Array:
    values = np.array([linear_mm] * 3 + [angular_deg] * 3)
    values.setflags(write=False)
    return values


@dataclass(frozen=True, slots=True, kw_only=True)
class CouchPhysicsParameters(ServoParameters):
    """Parameters of the simulated couch, besides those of its drives.

    Attributes
    ----------
    primary_noise_mm, primary_noise_deg : float
        Standard deviation of one reading.
    primary_resolution_mm, primary_resolution_deg : float
    secondary_resolution_mm, secondary_resolution_deg : float
    backlash_mm, backlash_deg : float
        Whole width of the play.
    brake_drop_mm : float
        The table sinks by this much when the brakes engage.
    sag_mm, sag_pitch_deg : float
        How far the table top sinks, and tilts, at full load and full extension; 0 is a rigid one. 2 mm and 0.1 degree
        are usual.
    full_load_kg, full_extension_mm : float
        Where that holds. A cantilever: the sag grows with load and cube of the extension, the tilt with its square.
    axis : SupportAxisErrors
        How the axis of the patient support errs.
    """

    primary_noise_mm: float = 0.003
    primary_noise_deg: float = 0.0002
    primary_resolution_mm: float = 0.001
    primary_resolution_deg: float = 0.000005
    secondary_resolution_mm: float = 0.01
    secondary_resolution_deg: float = 0.001
    backlash_mm: float = 0.02
    backlash_deg: float = 0.002
    brake_drop_mm: float = 0.005
    sag_mm: float = 0.0
    sag_pitch_deg: float = 0.0
    full_load_kg: float = 150.0
    full_extension_mm: float = 1500.0
    axis: SupportAxisErrors = field(default_factory=SupportAxisErrors)


class CouchBody(ServoBody):
    """The couch's moving parts and their encoders.

    Parameters
    ----------
    start : sequence of six floats
        Position at the beginning.
    seed : int
        Of encoder noise and scale errors.

    Attributes
    ----------
    payload_kg, payload_shift_kg : float
        What lies on the table, and what somebody has put on it, or taken off, a fault.
    sensors : CouchSensors
    """

    def __init__(
        self,
        start: Sequence[float],
        *,
        seed: int,
        now_s: float,
        parameters: CouchPhysicsParameters = CouchPhysicsParameters(),
    ) -> None:
        if len(start) != AXIS_COUNT:
            raise ValueError(f"a couch has {AXIS_COUNT} axes, not {len(start)}")
        grain = AxisGrain(
            backlash=_per_kind(parameters.backlash_mm, parameters.backlash_deg),
            primary_noise=_per_kind(parameters.primary_noise_mm, parameters.primary_noise_deg),
            primary_resolution=_per_kind(parameters.primary_resolution_mm, parameters.primary_resolution_deg),
            secondary_resolution=_per_kind(parameters.secondary_resolution_mm, parameters.secondary_resolution_deg),
        )
        super().__init__(start, seed=(seed, 0xC0), now_s=now_s, parameters=parameters, grain=grain)
        self.parameters = parameters
        self.payload_kg = self.payload_shift_kg = 0.0
        self.sensors = CouchSensors(seed, np.array([limit.speed for limit in NORMAL_LIMITS]))

    @property
    def load_kg(self) -> float:
        """All that the table top carries."""
        return max(0.0, self.payload_kg + self.payload_shift_kg)

    def advance(
        self,
        now_s: float,
        set_point: Callable[[float], Array] | None,
        on_step: Callable[[Moment, Moment], None] | None = None,
    ) -> None:
        """Let time pass until ``now_s``; see :meth:`ServoBody.advance`."""
        elapsed_s = max(0.0, now_s - self._now_s)
        super().advance(now_s, set_point, on_step)
        self.sensors.advance(elapsed_s, self.velocity)

    def _settle_on_brakes(self) -> None:
        """The table drops a little."""
        self.table = self.table - np.array([0, 0, self.parameters.brake_drop_mm, 0, 0, 0])

    def true_position(self) -> Array:
        """Where the table top really is: the table, how far it has sunk, and how the axis of the support errs."""
        load = self.load_kg / self.parameters.full_load_kg
        reach = max(0.0, float(self.table[1])) / self.parameters.full_extension_mm
        sunk = np.zeros(AXIS_COUNT)
        sunk[2] = -self.parameters.sag_mm * load * reach**3
        sunk[3] = -self.parameters.sag_pitch_deg * load * reach**2
        return self.parameters.axis.applied_to(self.table + sunk)
