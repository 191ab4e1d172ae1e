"""A rotation for cone-beam CT: run-up, constant speed, run-out, and a trigger wherever the drive crosses an angle."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from isoalign.geometry.motion_profile import MotionLimits, ramp_way
from isoalign.protocol.messages import ConeBeamRotate
from isoalign.simulators.gantry_physics import GantryBody
from isoalign.simulators.servo_body import Array, Moment

MICRO = 1e6
STEADY_S = 0.25
"""The set point moves at constant speed for this long before the first angle and after the last, so that the drive,
which lags, does so from the first to the last. A trigger that comes later than that may be lost."""


@dataclass(frozen=True, slots=True)
class Trigger:
    """One trigger as it was made: its index, when, where the gantry truly was, and what the encoders said."""

    index: int
    at_s: float
    true_deg: float
    primary_deg: float | None
    secondary_deg: float | None


class ConeBeamScan:
    """One rotation with its triggers.

    Parameters
    ----------
    command : ConeBeamRotate
    limits : MotionLimits
        Of the gantry.

    Attributes
    ----------
    run_up_deg, run_out_deg : float
        Where the motion begins and ends.
    count : int
        Triggers so far, those that were lost included.
    is_running : bool
        Whether the gantry has reached the run-up, so that crossing an angle triggers.
    """

    def __init__(self, command: ConeBeamRotate, limits: MotionLimits) -> None:
        way_udeg = command.to_udeg - command.from_udeg
        self.command_id = command.command_id
        self.scan_id = command.scan_id
        self.limits = limits.at_speed(command.speed_udeg_per_s / MICRO / limits.speed)
        self._sign = -1 if way_udeg < 0 else 1
        self._from_udeg = command.from_udeg
        self._spacing_udeg = command.trigger_spacing_udeg
        self.total = abs(way_udeg) // command.trigger_spacing_udeg + 1
        speed = self.limits.speed
        ramp = ramp_way(self.limits) + STEADY_S * speed
        self.run_up_deg = command.from_udeg / MICRO - self._sign * ramp
        self.run_out_deg = command.to_udeg / MICRO + self._sign * ramp
        self.count = 0
        self.is_running = False
        self._due: deque[tuple[float, int]] = deque()
        self._crossed = 0
        self._made: list[Trigger] = []

    @property
    def is_complete(self) -> bool:
        """Whether every trigger has been made."""
        return self.count == self.total

    def angle_deg(self, index: int) -> float:
        """The angle at which a trigger is due."""
        return (self._from_udeg + self._sign * index * self._spacing_udeg) / MICRO

    def watch(self, body: GantryBody, before: Moment, after: Moment) -> None:
        """Look at one small step of the drive: cross angles, make what is due."""
        if not self.is_running:
            return
        first, last = float(before.drive[0]), float(after.drive[0])
        while self._crossed < self.total and self._sign * (last - self.angle_deg(self._crossed)) >= 0:
            way = last - first
            part = 1.0 if way == 0 else (self.angle_deg(self._crossed) - first) / way
            crossed_s = before.at_s + min(1.0, max(0.0, part)) * (after.at_s - before.at_s)
            self._due.append((crossed_s + body.trigger_delay_s(), self._crossed))
            self._crossed += 1
        while self._due and self._due[0][0] <= after.at_s:
            self._make(body, *self._due.popleft(), before, after)

    def take(self) -> list[Trigger]:
        """The triggers made since the last call."""
        made, self._made = self._made, []
        return made

    def _make(self, body: GantryBody, at_s: float, index: int, before: Moment, after: Moment) -> None:
        self.count += 1
        if body.loses_trigger(index):
            return
        part = (at_s - before.at_s) / (after.at_s - before.at_s)

        def then(one: Array, other: Array) -> Array:
            return np.asarray(one + part * (other - one), dtype=np.float64)

        primary = body.primary_deg(then(before.drive, after.drive))
        secondary = body.secondary_deg(then(before.lagging, after.lagging))
        true_deg = float(then(before.table, after.table)[0])
        self._made.append(Trigger(index, at_s, true_deg, primary, secondary))
