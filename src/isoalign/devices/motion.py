"""One motion of the couch, from the check of its target to the proof that it has arrived."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from itertools import pairwise

import structlog

from isoalign.devices.clearance import ClearanceChecker
from isoalign.devices.controller import DeviceController
from isoalign.devices.errors import (
    ChannelDisagreement,
    ClientLost,
    CouchFault,
    DeviceRefused,
    EnableNotPressed,
    EnableReleased,
    HoldRequested,
    InterlockOpen,
    LinkLost,
    MotionTimeout,
)
from isoalign.devices.motion_plan import MotionPlanner, PreparedMotion, apart, fraction_of_plan
from isoalign.devices.pulse import Pulse
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
from isoalign.errors import DeviceError, IsoalignError
from isoalign.geometry import TableTopPosition
from isoalign.geometry.motion_profile import plan_synchronised
from isoalign.interlocks import Activity, Finding
from isoalign.protocol.messages import CommandStatus, Latch, StopReason

_log = structlog.get_logger("isoalign.devices.motion")

COUCH_READY_S = 1.0
PROGRESS_PERIOD_S = 0.05

ERRORS: dict[str, type[DeviceError]] = {
    "hold": HoldRequested,
    "couch-session": LinkLost,
    "couch-link": LinkLost,
    "couch-counter": LinkLost,
    "safety-link": LinkLost,
    "couch-fault": CouchFault,
    "client-heartbeat": ClientLost,
    "enable": EnableReleased,
    "enable-circuit": EnableReleased,
    "channels-step": ChannelDisagreement,
    "channels-moving": ChannelDisagreement,
    "channels-standing": ChannelDisagreement,
    "motion-outcome": MotionTimeout,
}
LATCH_ERRORS: dict[Latch, type[DeviceError]] = {
    Latch.ENABLE_LOST: EnableReleased,
    Latch.ENABLE_CIRCUIT: EnableReleased,
    Latch.CLIENT_LOST: ClientLost,
    Latch.HOST_LOST: LinkLost,
}


class Motion:
    """A motion under way. ``progress`` is always the latest; ``error`` says how it ended, once ``is_over``."""

    def __init__(self, prepared: PreparedMotion) -> None:
        self.prepared = prepared
        self.changed = Pulse()
        self.progress = MotionProgress(WAITING_FOR_ENABLE, prepared.plan.start, 0.0, prepared.plan.duration_s, 0.0)
        self.is_over = False
        self.error: IsoalignError | None = None
        self.abandoned = False
        self.task: asyncio.Task[None] | None = None

    def report(self, progress: MotionProgress) -> None:
        """Tell where it is."""
        self.progress = progress
        self.changed.fire()

    def finish(self, error: IsoalignError | None) -> None:
        """It is over: arrived (None) or ended by an error."""
        self.error = error
        self.is_over = True
        self.changed.fire()


@dataclass(frozen=True, slots=True)
class Stage:
    """A straight part of a motion; ``begun_s`` is when the whole motion began."""

    start: TableTopPosition
    target: TableTopPosition
    begun_s: float
    is_last: bool


class MotionRunner:
    """Prepares motions and carries them out, one at a time."""

    def __init__(self, controller: DeviceController, clearance: ClearanceChecker | None = None) -> None:
        self._controller = controller
        self._config = controller.config
        self._clock = controller.clock
        self._planner = MotionPlanner(controller, clearance)
        self._current: Motion | None = None

    async def execute(self, plan_id: str, peer: int) -> AsyncGenerator[MotionProgress, None]:
        """Carry out a plan for a client; ends on arrival. Leaving early stops the couch.

        Raises
        ------
        DeviceError
            The one that fits the way in which the motion ended.
        """
        await self._controller.await_reports()
        motion = self._begin(plan_id, peer)
        last: MotionProgress | None = None
        try:
            while not motion.is_over:
                if motion.progress is not last:
                    last = motion.progress
                    yield last
                    await asyncio.sleep(PROGRESS_PERIOD_S if last.phase == MOVING else 0)
                if motion.progress is last and not motion.is_over:
                    await motion.changed.wait()
            if motion.error is not None:
                raise motion.error
            if motion.progress is not last:
                yield motion.progress
        finally:
            if not motion.is_over:
                self._abandon(motion)

    async def prepare(
        self, target: TableTopPosition, approach: str = DIRECT, *, speed: str | None = None, dry_run: bool = False
    ) -> MotionPlan:
        """See :meth:`~isoalign.devices.motion_plan.MotionPlanner.prepare`."""
        await self._controller.await_reports()
        return await self._planner.prepare(target, approach, speed=speed, dry_run=dry_run)

    def hold(self, reason: str) -> None:
        """Stop everything. Always legal, never refused."""
        self._controller.interrupt("hold", f"Hold: {reason}", StopReason.HOLD)

    async def close(self) -> None:
        """End the motion that is under way, if any."""
        motion = self._current
        if motion is not None and motion.task is not None:
            self._abandon(motion)
            await asyncio.gather(motion.task, return_exceptions=True)

    def _begin(self, plan_id: str, peer: int) -> Motion:
        controller = self._controller
        controller.require_idle()
        controller.require_permitted(Activity.MOTION)  # a latch is named before the plan that it made void
        prepared = self._planner.take(plan_id)
        self._planner.require_dry_run(prepared)
        controller.own(peer)
        motion = Motion(prepared)
        motion.task = asyncio.get_running_loop().create_task(self._run(motion), name="motion")
        self._current = motion
        return motion

    def _abandon(self, motion: Motion) -> None:
        motion.abandoned = True
        if self._controller.activity is Activity.MOTION:
            self._controller.interrupt("client-heartbeat", "the motion was abandoned", StopReason.CLIENT_GONE)
        self._controller.changed.fire()

    async def _run(self, motion: Motion) -> None:
        controller = self._controller
        error: IsoalignError | None = CouchFault("the motion did not end properly", hint="See the daemon's log.")
        try:
            await self._wait_for_enable(motion)
            await self._move(motion)
            self._planner.arrived(motion.prepared)
            error = None
        except IsoalignError as ended:
            error = ended
            _log.warning("motion.ended", code=ended.code, text=ended.message)
        except Exception:  # noqa: BLE001 - a defect ends the motion like a fault, and never as an arrival
            _log.exception("motion.failed")
        finally:
            if controller.activity is Activity.MOTION:
                if error is not None and not isinstance(error, DeviceRefused):
                    controller.require_couch().stop(StopReason.INTERLOCK)
                await controller.come_to_rest()
                controller.end()
            controller.own(None)
            motion.finish(error)

    async def _wait_for_enable(self, motion: Motion) -> None:
        """Until the bar is held by a press that no motion has used, and the couch agrees that it may move."""
        controller, config = self._controller, self._config
        couch, pendant = controller.require_couch(), controller.require_pendant()
        limit_s = controller.monitor.settings.enable_limit_s

        def pressed() -> bool:
            return pendant.has_unused_press(limit_s=limit_s, press_age_s=config.enable_press_age_s)

        def ready() -> bool:
            reading = couch.reading
            # of this press: the couch may still be ready of the one before, and would refuse a MOVE that overtakes it
            heard = reading is not None and reading.value.ready and reading.value.press_count == pendant.press_count
            return heard and pressed() and controller.is_client_alive()

        def settled(condition: Callable[[], bool]) -> Callable[[], bool]:
            return lambda: condition() or motion.abandoned or not controller.evaluation.motion_permitted

        if not await controller.changed.until(settled(pressed), config.enable_wait_s):
            raise EnableNotPressed(f"the enable bar was not pressed anew within {config.enable_wait_s:g} s")
        self._require_undisturbed(motion)
        if not await controller.changed.until(settled(ready), COUCH_READY_S):
            self._require_undisturbed(motion)
            mode = "unknown" if couch.reading is None else couch.reading.value.mode.name
            raise EnableNotPressed(f"the couch does not accept the press of the enable bar (its mode is {mode})")
        self._require_undisturbed(motion)

    def _require_undisturbed(self, motion: Motion) -> None:
        if motion.abandoned:
            raise ClientLost("the motion was abandoned before it began")
        fault = self._controller.evaluation.first_fault
        if fault is not None:
            raise self._error_of(fault)
        self._controller.require_permitted(Activity.MOTION)

    async def _move(self, motion: Motion) -> None:
        """All stages of the plan, under one press of the bar: it counts as released as soon as it is let go once."""
        controller, plan = self._controller, motion.prepared.plan
        self._planner.require_valid(motion.prepared)
        pendant = controller.require_pendant()
        press = pendant.press_count
        pendant.use_press()
        controller.begin_motion(speed=plan.speed, payload_kg=motion.prepared.payload_kg)
        begun_s = self._clock.monotonic_s()
        places = (plan.start, *plan.waypoints, plan.target)
        for first, last in pairwise(places):
            if pendant.press_count != press:  # whatever became of the message that said it was let go
                raise EnableReleased("the enable bar was let go and pressed again between two parts of the motion")
            await self._stage(motion, Stage(first, last, begun_s, is_last=last is plan.target))

    async def _stage(self, motion: Motion, stage: Stage) -> None:
        """One straight part of the way, from rest to rest."""
        controller, couch = self._controller, self._controller.require_couch()
        self._require_no_fault()
        start = couch.fresh_reading(controller.monitor.settings.state_limit_s).position
        assert start is not None
        profile = plan_synchronised(start.values, stage.target.values, couch.motion_limits(motion.prepared.plan.speed))
        predictor = StopPredictor(profile, couch.servo_lag_s)
        generation = couch.link.generation
        controller.begin_stage()
        command_id = couch.begin_move(stage.target, start, motion.prepared.plan.speed)
        begun_s = self._clock.monotonic_s()
        limit_s = 1.1 * profile.duration_s + self._config.settling_s
        phase = MOVING
        while True:
            self._require_no_fault()
            now_s = self._clock.monotonic_s()
            self._report(motion, stage, phase, predictor)
            if couch.link.generation != generation:
                raise LinkLost("the couch began a new session during the motion", device="couch")
            status = couch.link.progress(command_id).status
            if status is CommandStatus.DONE:
                phase = SETTLING if stage.is_last else MOVING
                if self._has_arrived(stage.target):
                    self._report(motion, stage, ARRIVED if stage.is_last else MOVING, None)
                    return
            elif status in {CommandStatus.REJECTED, CommandStatus.ABORTED}:
                raise self._refusal(command_id)
            if now_s - begun_s > limit_s:
                raise self._not_arrived(stage.target, now_s - stage.begun_s)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._config.tick_s * 5):
                    await controller.changed.wait()

    def _require_no_fault(self) -> None:
        fault = self._controller.evaluation.first_fault
        if fault is not None:
            raise self._error_of(fault)

    def _has_arrived(self, target: TableTopPosition) -> bool:
        """By read-back, at standstill, after the command was done; never by the command alone."""
        controller = self._controller
        reading = controller.require_couch().reading
        if reading is None or not controller.is_at_rest():
            return False
        config = self._config
        return not apart(reading.value, target, config.arrival_tolerance_mm, config.arrival_tolerance_deg)

    def _not_arrived(self, target: TableTopPosition, elapsed_s: float) -> DeviceError:
        reading = self._controller.require_couch().reading
        config = self._config
        missed = "" if reading is None else apart(
            reading.value, target, config.arrival_tolerance_mm, config.arrival_tolerance_deg
        )  # fmt: skip
        text = f"the couch has not arrived after {elapsed_s:.1f} s: {missed or 'it does not stand still'}"
        self._controller.interrupt("motion-outcome", text, StopReason.INTERLOCK)
        return MotionTimeout(text)

    def _refusal(self, command_id: int) -> DeviceError:
        progress = self._controller.require_couch().link.progress(command_id)
        text = f"{progress.name} was {progress.status.name.lower()} by the couch: {progress.reason.name}"
        if progress.status is CommandStatus.REJECTED:
            return DeviceRefused(text, device="couch", reason=progress.reason.name, detail=progress.detail)
        with contextlib.suppress(ValueError):
            latch = Latch(progress.detail)
            error = LATCH_ERRORS.get(latch, CouchFault)
            self._controller.interrupt(
                "motion-outcome", f"the couch stopped by itself: {latch.name}", StopReason.INTERLOCK
            )
            return error(f"the couch stopped by itself: {latch.name}", latch=latch.name)
        return CouchFault(text, device="couch")

    def _report(self, motion: Motion, stage: Stage, phase: str, predictor: StopPredictor | None) -> None:
        observed = self._controller.require_couch().reading
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

    def _error_of(self, finding: Finding) -> DeviceError:
        kind = ERRORS.get(finding.rule_id, InterlockOpen)
        reading = self._controller.require_couch().reading
        if kind is CouchFault and reading is not None:
            kind = LATCH_ERRORS.get(reading.value.latch, CouchFault)
        return kind(f"the motion was ended: {finding.text}", rule=finding.rule_id)
