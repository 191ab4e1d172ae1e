"""Motion plans: the check of a target, the profile to it, and whether a plan still holds."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Generic, TypeVar

import numpy as np

from isoalign.devices.clearance import ClearanceChecker, GantryPlace
from isoalign.devices.controller import DeviceController
from isoalign.devices.couch import CouchReading
from isoalign.devices.dry_runs import DryRuns
from isoalign.devices.errors import BadParameters, PlanExpired, SpeedNotAllowed, StaleState, TargetOutOfLimits
from isoalign.devices.link import DeviceLink
from isoalign.devices.status import APPROACHES, DIRECT, FAST, SERVICE, SPEEDS, UNIDIRECTIONAL, MotionPlan
from isoalign.devices.stopping import longest_reaction_s
from isoalign.geometry import AXES, Array, Representation, TableTopPosition, TravelLimits
from isoalign.geometry.motion_profile import plan_synchronised
from isoalign.interlocks.dry_run import Path

T = TypeVar("T")

PLANS_KEPT = 16
LAST_PART = 0.1
STOP_LATENCY_S = 0.02
"""Added to the servo lag for the stop distance that a plan reports: one state period until a fault is seen."""


@dataclass(frozen=True, slots=True)
class Circumstances:
    """Under which a plan was made, besides where everything stood; it holds only as long as they do."""

    made_at_s: float
    generation: int
    epoch: int

    @classmethod
    def now(cls, controller: DeviceController, link: DeviceLink) -> Circumstances:
        """Those of now, for a plan of the device at the other end of the link."""
        return cls(controller.clock.monotonic_s(), link.generation, controller.plan_epoch)

    def require(self, controller: DeviceController, link: DeviceLink) -> None:
        """Raise PlanExpired unless they hold still."""
        age_s = controller.clock.monotonic_s() - self.made_at_s
        if age_s > controller.config.plan_expiry_s:
            raise PlanExpired(f"the plan is {age_s:.0f} s old")
        if self.generation != link.generation:
            raise PlanExpired(f"the {link.name} was connected anew since the plan was made")
        if self.epoch != controller.plan_epoch:
            raise PlanExpired(
                "since the plan was made the motion was held, a fault was latched or cleared, or the gantry moved"
            )


class PlanShelf(Generic[T]):
    """Keeps the latest plans until they are used, by their id."""

    def __init__(self) -> None:
        self._plans: dict[str, T] = {}

    def keep(self, plan_id: str, prepared: T) -> None:
        """Put a plan there; the oldest beyond 16 are forgotten."""
        self._plans[plan_id] = prepared
        while len(self._plans) > PLANS_KEPT:
            del self._plans[next(iter(self._plans))]

    def look(self, plan_id: str) -> T:
        """A plan, which stays there; raises PlanExpired."""
        prepared = self._plans.get(plan_id)
        if prepared is None:
            raise PlanExpired("this plan is unknown, or was used already")
        return prepared

    def take(self, plan_id: str) -> T:
        """A plan, once; raises PlanExpired."""
        prepared = self.look(plan_id)
        del self._plans[plan_id]
        return prepared


@dataclass(frozen=True, slots=True)
class PreparedMotion:
    """A plan and the circumstances under which it was made."""

    plan: MotionPlan
    circumstances: Circumstances
    payload_kg: float | None = None
    patient_epoch: int = 0
    gantry: GantryPlace | None = None

    @property
    def path(self) -> Path:
        """Where everything rests, start and target included."""
        gantry = () if self.gantry is None else self.gantry.values
        return tuple((*place.values, *gantry) for place in (self.plan.start, *self.plan.waypoints, self.plan.target))

    @property
    def is_dry_run(self) -> bool:
        """Whether it is made and watched in the room."""
        return self.plan.dry_run


class MotionPlanner:
    """Makes plans and keeps them until they are used or have become invalid.

    Parameters
    ----------
    controller : DeviceController
    clearance : ClearanceChecker or None
        None: plans say that the clearance was not checked.
    """

    def __init__(self, controller: DeviceController, clearance: ClearanceChecker | None = None) -> None:
        self._controller = controller
        self._clearance = clearance
        self._config = controller.config
        self._clock = controller.clock
        self._plans: PlanShelf[PreparedMotion] = PlanShelf()
        self.dry_runs = DryRuns(controller)

    async def prepare(
        self, target: TableTopPosition, approach: str = DIRECT, *, speed: str | None = None, dry_run: bool = False
    ) -> MotionPlan:
        """Check a target and work out the motion to it from where the couch stands. Nothing moves.

        Parameters
        ----------
        target : TableTopPosition
        approach : str
            "unidirectional": the last part of the way of every axis goes in the direction that is configured, so that
            the play of its gears is always taken up from the same side.
        speed : str, optional
            Speed class; that of the configuration by default. "fast" needs a clearance that was checked for everything.
        dry_run : bool
            Made and watched in the room, at the speed of the service class; allows the same path from outside.

        Raises
        ------
        SpeedNotAllowed
        TargetOutOfLimits, ClearanceTooSmall, ClearanceNotKnown, ClearanceTimeout, StaleState, MotionBusy, NotPresent
        PlanExpired
            When the couch, or what may be done, has changed while the clearance was looked for.
        """
        speed = self._speed(speed, dry_run=dry_run)
        prepared, stop = self._draft(target, approach, speed)
        prepared = replace(prepared, plan=replace(prepared.plan, dry_run=dry_run))
        if self._clearance is not None:
            plan = prepared.plan
            stages = (plan.start, *plan.waypoints, plan.target)
            clearance = await self._clearance.check(stages, stop.tolist(), prepared.gantry)
            prepared = replace(prepared, plan=replace(plan, clearance=clearance))
            self._controller.require_idle()
            self.require_valid(prepared)
        self._require_fast_is_clear(prepared.plan)
        self._plans.keep(prepared.plan.plan_id, prepared)
        return prepared.plan

    def _gantry_place(self) -> GantryPlace | None:
        """Where the gantry stands; None in a room without one.

        Nothing moves while nobody knows it, so that only a clearance needs to know it before.
        """
        gantry = self._controller.gantry
        if gantry is None:
            return None
        try:
            return GantryPlace.of(gantry.fresh_reading(self._controller.monitor.settings.state_limit_s))
        except StaleState:
            if self._clearance is None:
                return None
            raise

    def _speed(self, asked: str | None, *, dry_run: bool) -> str:
        if asked is not None and asked not in SPEEDS:
            raise BadParameters(f"a speed class is one of {', '.join(SPEEDS)}, not {asked!r}")
        if dry_run and asked not in {None, SERVICE}:
            raise SpeedNotAllowed(
                f"a dry run is made at the speed of the service class, not {asked}", hint="Leave the speed out."
            )
        return SERVICE if dry_run else asked or self._config.speed_class

    @staticmethod
    def _require_fast_is_clear(plan: MotionPlan) -> None:
        if plan.speed != FAST:
            return
        if plan.clearance is None:
            raise SpeedNotAllowed(
                "not fast: the clearance was not checked; this room has no model of what stands in it"
            )
        if plan.clearance.unchecked:
            named = ", ".join(dict.fromkeys(first for first, _ in plan.clearance.unchecked))
            raise SpeedNotAllowed(f"not fast: the clearance was not checked for {named}")

    def _draft(self, target: TableTopPosition, approach: str, speed: str) -> tuple[PreparedMotion, Array]:
        """A plan without its clearance, and the longest way that each axis may need to stop."""
        if approach not in APPROACHES:
            raise BadParameters(f"an approach is one of {', '.join(APPROACHES)}, not {approach!r}")
        controller = self._controller
        couch = controller.require_couch()
        controller.require_pendant()
        controller.require_idle()
        reading = couch.fresh_reading(controller.monitor.settings.state_limit_s)
        limits = couch.motion_limits(speed)
        goal = target.in_representation(Representation.IEC_61217)
        self._require_inside(goal, "the target")
        start = reading.position
        assert start is not None
        waypoints = self._waypoints(start, goal) if approach == UNIDIRECTIONAL else ()
        for waypoint in waypoints:
            self._require_inside(waypoint, "the point from which the target is approached")
        stages = [
            plan_synchronised(first.values, last.values, limits) for first, last in pairwise((start, *waypoints, goal))
        ]
        usual_s, seen_s = couch.servo_lag_s + STOP_LATENCY_S, self._config.stop_reaction_s
        stop = np.max(
            [one.largest_stop_distance(reaction_s=max(usual_s, longest_reaction_s(one, seen_s))) for one in stages],
            axis=0,
        )
        plan = MotionPlan(
            plan_id=secrets.token_hex(8),
            start=start,
            target=goal,
            duration_s=sum(stage.duration_s for stage in stages),
            stop_distance_mm=float(stop[:3].max()),
            stop_distance_deg=float(stop[3:].max()),
            expires_in_s=self._config.plan_expiry_s,
            approach=approach,
            waypoints=waypoints,
            speed=speed,
        )
        prepared = PreparedMotion(
            plan,
            Circumstances.now(controller, couch.link),
            controller.payload_kg(),
            controller.patient_epoch,
            self._gantry_place(),
        )
        return prepared, stop

    def _waypoints(self, start: TableTopPosition, goal: TableTopPosition) -> tuple[TableTopPosition, ...]:
        """None when the straight way comes from the right side anyway, by more than the last part on every axis."""
        last_part = self._config.approach.last_part
        ways = [after - before for before, after in zip(start.values, goal.values, strict=True)]
        if all(way / part >= 1.0 for way, part in zip(ways, last_part, strict=True)):
            return ()
        values = [value - part for value, part in zip(goal.values, last_part, strict=True)]
        return (TableTopPosition.from_values(Representation.IEC_61217, values),)

    def _require_inside(self, position: TableTopPosition, what: str) -> None:
        over = TravelLimits(self._controller.monitor.settings.soft_limits).violations(position)
        if over:
            named = ", ".join(f"{axis} by {abs(excess):.2f}" for axis, excess in over.items())
            raise TargetOutOfLimits(f"{what} lies outside the soft limits: {named}", excess=over)

    def take(self, plan_id: str) -> PreparedMotion:
        """A plan that still holds; it can be taken once. Raises PlanExpired or StaleState."""
        prepared = self._plans.take(plan_id)
        self.require_valid(prepared)
        return prepared

    def require_valid(self, prepared: PreparedMotion) -> None:
        """Raise PlanExpired unless everything is as it was when the plan was made."""
        controller = self._controller
        couch = controller.require_couch()
        prepared.circumstances.require(controller, couch.link)
        reading = couch.fresh_reading(controller.monitor.settings.state_limit_s)
        tolerance = (self._config.plan_start_tolerance_mm, self._config.plan_start_tolerance_deg)
        moved = apart(reading, prepared.plan.start, *tolerance)
        if moved:
            raise PlanExpired(f"the couch has moved since the plan was made: {moved}")
        load_kg, limit_kg = controller.payload_kg(), self._config.payload_change_kg
        if prepared.payload_kg is None or load_kg is None or abs(load_kg - prepared.payload_kg) > limit_kg:
            raise PlanExpired("the load of the table top is unknown, or has changed since the plan was made")


def apart(reading: CouchReading, position: TableTopPosition, limit_mm: float, limit_deg: float) -> str:
    """The axes that are farther from a position than the limits, in words; empty when none is."""
    parts = []
    for index, (axis, target) in enumerate(zip(reading.axes, position.values, strict=True)):
        if not abs(axis.primary - target) <= (limit_mm if index < 3 else limit_deg):
            parts.append(f"{axis.axis} by {axis.primary - target:+.3f} {axis.unit}")
    return ", ".join(parts)


def fraction_done(start: TableTopPosition, target: TableTopPosition, position: TableTopPosition) -> float:
    """How much of a straight way is done, by the axis that has the longest way in its own unit; 0 to 1."""
    way = [after - before for before, after in zip(start.values, target.values, strict=True)]
    axis = max(range(len(AXES)), key=lambda index: abs(way[index]))
    if abs(way[axis]) < 1e-6:
        return 1.0
    return min(1.0, max(0.0, (position.values[axis] - start.values[axis]) / way[axis]))


def fraction_of_plan(plan: MotionPlan, stage_start: TableTopPosition, position: TableTopPosition) -> float:
    """How much of a plan is done; the short last part of an approach from one side counts for a tenth."""
    if not plan.waypoints:
        return fraction_done(plan.start, plan.target, position)
    if stage_start == plan.start:
        return (1 - LAST_PART) * fraction_done(plan.start, plan.waypoints[0], position)
    return 1 - LAST_PART + LAST_PART * fraction_done(plan.waypoints[-1], plan.target, position)
