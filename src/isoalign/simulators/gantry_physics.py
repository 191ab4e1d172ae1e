"""The gantry as a body: one driven axis with two encoders, the imager arm on it, and the output that triggers images.

Angles are IEC 61217 gantry rotation in degrees, continuous over the travel. Both encoders have a scale error of their
own. Not modelled: sag of gantry and imager arm with the angle, wobble of the axis, imbalance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from isoalign.simulators.servo_body import Array, AxisGrain, ServoBody, ServoParameters

_AT_END = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class GantryPhysicsParameters(ServoParameters):
    """Parameters of the simulated gantry, besides those of its drive.

    Attributes
    ----------
    primary_noise_deg : float
        Standard deviation of one reading.
    primary_resolution_deg, secondary_resolution_deg : float
    primary_scale_ppm : float
        Largest scale error of the primary encoder; it errs about 0 degrees.
    backlash_deg : float
        Whole width of the play between drive and gantry.
    trigger_jitter_s : float
        A trigger comes up to this much after the drive has crossed its angle.
    arm_travel_s : float
        Time that the imager arm needs from end to end.
    """

    servo_frequency_hz: float = 8.0
    secondary_scale_ppm: float = 100.0
    brake_release_s: float = 0.1
    brake_engage_s: float = 0.15
    primary_noise_deg: float = 0.0005
    primary_resolution_deg: float = 0.0001
    secondary_resolution_deg: float = 0.001
    primary_scale_ppm: float = 20.0
    backlash_deg: float = 0.01
    trigger_jitter_s: float = 0.0002
    arm_travel_s: float = 4.0


class GantryBody(ServoBody):
    """The gantry's moving parts and their sensors; arrays have the shape (1,).

    Parameters
    ----------
    start_deg : float
        Angle at the beginning.
    seed : int
        Of encoder noise, scale errors and trigger jitter.
    now_s : float
    parameters : GantryPhysicsParameters
    arm : float
        Where the imager arm is: 0 stowed, 1 extended.

    Attributes
    ----------
    arm : float
    arm_direction : int
        1 while it moves out, -1 while it moves in, 0 at rest.
    arm_unknown : bool
        Neither switch of the arm tells anything, a fault.
    secondary_invalid : bool
        The secondary encoder gives no value, a fault.
    trigger_missing_every : int
        Every so manieth trigger is lost, 0 for none, a fault.
    trigger_late_s : float
        Triggers come so much later, a fault.
    """

    def __init__(
        self,
        start_deg: float = 0.0,
        *,
        seed: int,
        now_s: float,
        parameters: GantryPhysicsParameters = GantryPhysicsParameters(),
        arm: float = 0.0,
    ) -> None:
        grain = AxisGrain(
            backlash=np.array([parameters.backlash_deg]),
            primary_noise=np.array([parameters.primary_noise_deg]),
            primary_resolution=np.array([parameters.primary_resolution_deg]),
            secondary_resolution=np.array([parameters.secondary_resolution_deg]),
        )
        super().__init__([start_deg], seed=(seed, 0x6A), now_s=now_s, parameters=parameters, grain=grain)
        self.parameters = parameters
        self.primary_scale[0] = (0.0, float(self._random.uniform(-1, 1)) * parameters.primary_scale_ppm * 1e-6)
        self.arm = arm
        self.arm_direction = 0
        self.arm_unknown = False
        self.secondary_invalid = False
        self.trigger_missing_every = 0
        self.trigger_late_s = 0.0
        self._arm_now_s = now_s

    @property
    def true_deg(self) -> float:
        """Where the gantry really is: behind the play."""
        return float(self.table[0])

    @property
    def speed_deg_per_s(self) -> float:
        """How fast its drive really moves."""
        return float(self.velocity[0])

    def advance_arm(self, now_s: float) -> None:
        """Let the imager arm move until ``now_s``; it stays at its ends."""
        elapsed_s = max(0.0, now_s - self._arm_now_s)
        self._arm_now_s = now_s
        way = self.arm_direction * elapsed_s / self.parameters.arm_travel_s
        self.arm = min(1.0, max(0.0, self.arm + way))

    @property
    def arm_switches(self) -> tuple[bool, bool]:
        """The switches at the inner and at the outer end."""
        if self.arm_unknown:
            return False, False
        return self.arm <= _AT_END, self.arm >= 1 - _AT_END

    def primary_deg(self, drive: Array | None = None) -> float | None:
        """One reading of the primary encoder, now or with the drive at a place."""
        return self.primary(None if drive is None else self._scaled(drive, self.primary_scale))[0]

    def secondary_deg(self, lagging: Array | None = None) -> float | None:
        """One reading of the secondary encoder, now or with what it saw at a time."""
        return None if self.secondary_invalid else self.secondary(lagging)[0]

    def trigger_delay_s(self) -> float:
        """How long after its angle the next trigger comes."""
        return float(self._random.uniform(0.0, self.parameters.trigger_jitter_s)) + self.trigger_late_s

    def loses_trigger(self, index: int) -> bool:
        """Whether the trigger of this index gets lost on the line to the imager, and its event with it."""
        return self.trigger_missing_every > 0 and (index + 1) % self.trigger_missing_every == 0
