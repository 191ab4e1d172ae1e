"""Motion plans: the check of a target, the profile to it, and whether a plan still holds."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from isoalign.devices.controller import DeviceController
from isoalign.devices.couch import CouchReading
from isoalign.devices.errors import PlanExpired, TargetOutOfLimits
from isoalign.devices.status import MotionPlan
from isoalign.geometry import AXES, Representation, TableTopPosition, TravelLimits
from isoalign.geometry.motion_profile import plan_synchronised

PLANS_KEPT = 16
STOP_LATENCY_S = 0.02
"""Added to the servo lag for the stop distance that a plan reports: one state period until a fault is seen."""


@dataclass(frozen=True, slots=True)
class PreparedMotion:
    """A plan and the circumstances under which it was made; it holds only as long as they do."""

    plan: MotionPlan
    made_at_s: float
    couch_generation: int
    epoch: int


class MotionPlanner:
    """Makes plans and keeps them until they are used or have become invalid."""

    def __init__(self, controller: DeviceController) -> None:
        self._controller = controller
        self._config = controller.config
        self._clock = controller.clock
        self._plans: dict[str, PreparedMotion] = {}

    def prepare(self, target: TableTopPosition) -> MotionPlan:
        """Check a target and work out the motion to it from where the couch stands. Nothing moves.

        Raises
        ------
        TargetOutOfLimits, StaleState, MotionBusy, NotPresent
        """
        controller = self._controller
        couch = controller.require_couch()
        controller.require_pendant()
        controller.require_idle()
        reading = couch.fresh_reading(controller.monitor.settings.state_limit_s)
        limits = couch.motion_limits
        goal = target.in_representation(Representation.IEC_61217)
        over = TravelLimits(controller.monitor.settings.soft_limits).violations(goal)
        if over:
            named = ", ".join(f"{axis} by {abs(excess):.2f}" for axis, excess in over.items())
            raise TargetOutOfLimits(f"the target lies outside the soft limits: {named}", excess=over)
        start = reading.position
        assert start is not None
        profile = plan_synchronised(start.values, goal.values, limits)
        stop = profile.largest_stop_distance(reaction_s=couch.servo_lag_s + STOP_LATENCY_S)
        plan = MotionPlan(
            plan_id=secrets.token_hex(8),
            start=start,
            target=goal,
            duration_s=profile.duration_s,
            stop_distance_mm=float(stop[:3].max()),
            stop_distance_deg=float(stop[3:].max()),
            expires_in_s=self._config.plan_expiry_s,
        )
        self._plans[plan.plan_id] = PreparedMotion(
            plan, self._clock.monotonic_s(), couch.link.generation, controller.plan_epoch
        )
        while len(self._plans) > PLANS_KEPT:
            del self._plans[next(iter(self._plans))]
        return plan

    def take(self, plan_id: str) -> PreparedMotion:
        """A plan that still holds; it can be taken once. Raises PlanExpired or StaleState."""
        prepared = self._plans.pop(plan_id, None)
        if prepared is None:
            raise PlanExpired("this plan is unknown, or was used already")
        self.require_valid(prepared)
        return prepared

    def require_valid(self, prepared: PreparedMotion) -> None:
        """Raise PlanExpired unless everything is as it was when the plan was made."""
        controller = self._controller
        couch = controller.require_couch()
        age_s = self._clock.monotonic_s() - prepared.made_at_s
        if age_s > self._config.plan_expiry_s:
            raise PlanExpired(f"the plan is {age_s:.0f} s old")
        if prepared.couch_generation != couch.link.generation:
            raise PlanExpired("the couch was connected anew since the plan was made")
        if prepared.epoch != controller.plan_epoch:
            raise PlanExpired("the motion was held, or a fault was latched or cleared, since the plan was made")
        reading = couch.fresh_reading(controller.monitor.settings.state_limit_s)
        tolerance = (self._config.plan_start_tolerance_mm, self._config.plan_start_tolerance_deg)
        moved = apart(reading, prepared.plan.start, *tolerance)
        if moved:
            raise PlanExpired(f"the couch has moved since the plan was made: {moved}")


def apart(reading: CouchReading, position: TableTopPosition, limit_mm: float, limit_deg: float) -> str:
    """The axes that are farther from a position than the limits, in words; empty when none is."""
    parts = []
    for index, (axis, target) in enumerate(zip(reading.axes, position.values, strict=True)):
        if not abs(axis.primary - target) <= (limit_mm if index < 3 else limit_deg):
            parts.append(f"{axis.axis} by {axis.primary - target:+.3f} {axis.unit}")
    return ", ".join(parts)


def fraction_done(plan: MotionPlan, position: TableTopPosition) -> float:
    """How much of the way is done, by the axis that has the longest way in its own unit; 0 to 1."""
    way = [target - start for start, target in zip(plan.start.values, plan.target.values, strict=True)]
    axis = max(range(len(AXES)), key=lambda index: abs(way[index]))
    if abs(way[axis]) < 1e-6:
        return 1.0
    return min(1.0, max(0.0, (position.values[axis] - plan.start.values[axis]) / way[axis]))
