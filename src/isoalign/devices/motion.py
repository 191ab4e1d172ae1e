"""One motion of the couch, from the check of its target to the proof that it has arrived."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from isoalign.devices.clearance import ClearanceChecker
from isoalign.devices.controller import DeviceController
from isoalign.devices.couch import Couch
from isoalign.devices.errors import CouchFault, EnableReleased
from isoalign.devices.guarded_motion import GuardedRunner, Motion
from isoalign.devices.motion_plan import MotionPlanner, PreparedMotion, apart, fraction_of_plan
from isoalign.devices.status import (
    ARRIVED,
    DIRECT,
    MOVING,
    SETTLING,
    WAITING_FOR_ENABLE,
    MotionPlan,
    MotionProgress,
)
from isoalign.devices.stopping import StopPredictor
from isoalign.geometry import TableTopPosition
from isoalign.geometry.motion_profile import plan_synchronised
from isoalign.interlocks import Mover
from isoalign.protocol.messages import Latch, StopReason

CouchMotion = Motion[PreparedMotion, MotionProgress]


@dataclass(frozen=True, slots=True)
class Stage:
    """A straight part of a motion; ``begun_s`` is when the whole motion began."""

    start: TableTopPosition
    target: TableTopPosition
    begun_s: float
    is_last: bool


class MotionRunner(GuardedRunner[PreparedMotion, MotionProgress]):
    """Prepares motions of the couch and carries them out, one at a time."""

    latches = Latch
    fault = CouchFault

    def __init__(self, controller: DeviceController, clearance: ClearanceChecker | None = None) -> None:
        super().__init__(controller)
        self._planner = MotionPlanner(controller, clearance)

    async def prepare(
        self, target: TableTopPosition, approach: str = DIRECT, *, speed: str | None = None, dry_run: bool = False
    ) -> MotionPlan:
        """See :meth:`~isoalign.devices.motion_plan.MotionPlanner.prepare`."""
        await self._controller.await_reports()
        return await self._planner.prepare(target, approach, speed=speed, dry_run=dry_run)

    def hold(self, reason: str) -> None:
        """Stop everything. Always legal, never refused."""
        self._controller.interrupt("hold", f"Hold: {reason}", StopReason.HOLD)

    @property
    def _device(self) -> Couch:
        return self._controller.require_couch()

    def _mover_of(self, plan_id: str) -> Mover:  # noqa: ARG002
        return Mover.COUCH

    def _take(self, plan_id: str) -> PreparedMotion:
        prepared = self._planner.take(plan_id)
        self._planner.dry_runs.require(prepared)
        return prepared

    def _require_valid(self, prepared: PreparedMotion) -> None:
        self._planner.require_valid(prepared)

    def _waiting(self, prepared: PreparedMotion) -> MotionProgress:
        return MotionProgress(WAITING_FOR_ENABLE, prepared.plan.start, 0.0, prepared.plan.duration_s, 0.0)

    def _begin_motion(self, motion: CouchMotion) -> None:
        prepared = motion.prepared
        self._controller.begin_motion(motion.mover, speed=prepared.plan.speed, payload_kg=prepared.payload_kg)

    def _arrived(self, prepared: PreparedMotion) -> None:
        self._planner.dry_runs.arrived(prepared)

    async def _carry_out(self, motion: CouchMotion, press: int | None) -> None:
        plan, pendant = motion.prepared.plan, self._controller.require_pendant()
        begun_s = self._clock.monotonic_s()
        places = (plan.start, *plan.waypoints, plan.target)
        for first, last in pairwise(places):
            if pendant.press_count != press:  # whatever became of the message that said it was let go
                raise EnableReleased("the enable bar was let go and pressed again between two parts of the motion")
            await self._stage(motion, Stage(first, last, begun_s, is_last=last is plan.target))

    async def _stage(self, motion: CouchMotion, stage: Stage) -> None:
        """One straight part of the way, from rest to rest."""
        controller, couch = self._controller, self._device
        self._require_no_fault()
        start = couch.fresh_reading(controller.monitor.settings.state_limit_s).position
        assert start is not None
        profile = plan_synchronised(start.values, stage.target.values, couch.motion_limits(motion.prepared.plan.speed))
        predictor = StopPredictor(profile, couch.servo_lag_s, self._config.stop_reaction_s)
        controller.begin_stage()
        await self._follow(
            couch.begin_move(stage.target, start, motion.prepared.plan.speed),
            limit_s=1.1 * profile.duration_s + self._config.settling_s,
            report=lambda is_done: self._report(
                motion, stage, SETTLING if is_done and stage.is_last else MOVING, predictor
            ),
            has_arrived=lambda: controller.is_at_rest() and not self._missed(stage.target),
            missed=lambda: self._missed(stage.target),
        )
        self._report(motion, stage, ARRIVED if stage.is_last else MOVING, None)

    def _missed(self, target: TableTopPosition) -> str:
        """The axes that are not at the target by read-back, in words."""
        reading, config = self._device.reading, self._config
        if reading is None:
            return "its position is not known"
        return apart(reading.value, target, config.arrival_tolerance_mm, config.arrival_tolerance_deg)

    def _report(self, motion: CouchMotion, stage: Stage, phase: str, predictor: StopPredictor | None) -> None:
        observed = self._device.reading
        position = None if observed is None else observed.value.position
        if observed is None or position is None:
            return
        plan, now_s = motion.prepared.plan, self._clock.monotonic_s()
        done = fraction_of_plan(plan, stage.start, position)
        fraction = 1.0 if phase == ARRIVED else max(motion.progress.fraction, done)
        stop_mm = stop_deg = 0.0
        if predictor is not None and phase == MOVING:
            velocity = [axis.velocity for axis in observed.value.axes]
            stop = predictor.stop_distance(position.values, velocity, observed.age_s(now_s))
            stop_mm, stop_deg = float(stop[:3].max()), float(stop[3:].max())
        motion.report(
            MotionProgress(phase, position, now_s - stage.begun_s, plan.duration_s, fraction, stop_mm, stop_deg)
        )
