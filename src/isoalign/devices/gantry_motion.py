"""One motion of the gantry or of its imager arm, from its check to the proof that it has arrived."""

from __future__ import annotations

import contextlib
import math
import secrets
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from isoalign.devices.clearance import ClearanceChecker, GantryPlace
from isoalign.devices.controller import SPEED_LIMITS, DeviceController
from isoalign.devices.dry_runs import DryRuns
from isoalign.devices.errors import (
    BadParameters,
    ClearanceNotKnown,
    PlanExpired,
    SpeedNotAllowed,
    TargetOutOfLimits,
)
from isoalign.devices.gantry import LIMITS_HINT, Gantry, count_triggers, require_spacing
from isoalign.devices.gantry_reading import ConeBeamRotation, GantryFault, GantryReading
from isoalign.devices.gantry_status import ConeBeamPlan, GantryClearance, GantryPlan, GantryProgress
from isoalign.devices.guarded_motion import GuardedRunner, Motion
from isoalign.devices.motion_plan import STOP_LATENCY_S, Circumstances, PlanShelf, apart
from isoalign.devices.status import ARRIVED, MOVING, SERVICE, WAITING_FOR_ENABLE
from isoalign.devices.stopping import StopPredictor
from isoalign.errors import IsoalignError
from isoalign.geometry import TableTopPosition
from isoalign.geometry.motion_profile import MotionLimits, SynchronisedProfile, plan_synchronised, ramp_way
from isoalign.interlocks import Activity, Mover
from isoalign.interlocks.dry_run import Path
from isoalign.protocol.messages import GantryLatch, ImagerArmEnd

ARM_LATE = 1.5
"""The imager arm must have arrived within this many times its travel time, and the time for settling."""
ARM_ENDS = {end.name.lower(): end for end in ImagerArmEnd}


@dataclass(frozen=True, slots=True)
class PreparedGantryMotion:
    """A plan and the circumstances under which it was made."""

    plan: GantryPlan
    circumstances: Circumstances
    way_deg: tuple[float, ...]
    """Where the gantry rests on its way, start and end included."""
    couch: TableTopPosition | None = None
    patient_epoch: int = 0

    @property
    def mover(self) -> Mover:
        """What it moves."""
        return Mover(self.plan.act)

    @property
    def path(self) -> Path:
        """Where everything rests, start and target included."""
        plan = self.plan
        couch = () if self.couch is None else self.couch.values
        if self.mover is Mover.ARM:
            return tuple((*couch, *GantryPlace(plan.start_deg, arm.lower()).values) for arm in (plan.arm, plan.arm_end))
        return tuple((*couch, *GantryPlace(angle, plan.arm.lower()).values) for angle in self.way_deg)

    @property
    def is_dry_run(self) -> bool:
        """Whether it is made and watched in the room."""
        return self.plan.dry_run


GantryMotion = Motion[PreparedGantryMotion, GantryProgress]


class GantryMotionRunner(GuardedRunner[PreparedGantryMotion, GantryProgress]):
    """Prepares motions of gantry and imager arm and carries them out, one at a time.

    Parameters
    ----------
    controller : DeviceController
    clearance : ClearanceChecker or None
        None: plans say that the clearance was not checked.
    """

    latches = GantryLatch
    fault = GantryFault

    def __init__(self, controller: DeviceController, clearance: ClearanceChecker | None = None) -> None:
        super().__init__(controller)
        self._clearance = clearance
        self._dry_runs = DryRuns(controller)
        self._plans: PlanShelf[PreparedGantryMotion] = PlanShelf()
        self._rotations: dict[str, ConeBeamRotation] = {}

    async def prepare_rotation(
        self, target_deg: float, speed_deg_per_s: float | None, *, dry_run: bool = False
    ) -> GantryPlan:
        """Check a rotation from where the gantry stands; nothing moves.

        Parameters
        ----------
        target_deg : float
            IEC 61217 gantry rotation, continuous over the travel.
        speed_deg_per_s : float or None
            The largest of the gantry by default, that of the service class for a dry run.
        dry_run : bool
            Made and watched in the room, slowly; allows the same path from outside.

        Raises
        ------
        TargetOutOfLimits, InterlockOpen, StaleState, MotionBusy, NotPresent, SpeedNotAllowed
        ClearanceTooSmall, ClearanceNotKnown, ClearanceTimeout
        PlanExpired
            When something has changed while the clearance was looked for.
        """
        start_deg, reading = await self._start(Mover.GANTRY)
        limits = self._limits(self._speed(speed_deg_per_s, dry_run=dry_run), start_deg, target_deg)
        way = [start_deg, target_deg]
        plan = replace(self._plan(Mover.GANTRY, way, limits, reading), dry_run=dry_run)
        return await self._keep(plan, way, limits)

    async def prepare_cone_beam(
        self,
        from_deg: float,
        to_deg: float,
        speed_deg_per_s: float | None,
        spacing_deg: float,
        *,
        dry_run: bool = False,
    ) -> GantryPlan:
        """Check a cone-beam rotation; nothing moves. The gantry runs up before the first angle and out after the last.

        Raises
        ------
        DeviceError
            As :meth:`prepare_rotation`.
        """
        start_deg, reading = await self._start(Mover.CONE_BEAM)
        require_spacing(spacing_deg)
        limits = self._limits(self._speed(speed_deg_per_s, dry_run=dry_run), start_deg, from_deg, to_deg)
        ramp_deg = math.copysign(ramp_way(limits), to_deg - from_deg)
        way = [start_deg, from_deg - ramp_deg, to_deg + ramp_deg]
        self._device.require_possible(limits.speed, start_deg, *way[1:])
        plan = self._plan(Mover.CONE_BEAM, way, limits, reading)
        total = count_triggers(from_deg, to_deg, spacing_deg)
        scan = ConeBeamPlan(from_deg, to_deg, spacing_deg, total)
        return await self._keep(replace(plan, target_deg=to_deg, cone_beam=scan, dry_run=dry_run), way, limits)

    async def prepare_arm(self, end: str, *, dry_run: bool = False) -> GantryPlan:
        """Check a move of the imager arm to "stowed" or "extended"; nothing moves.

        Raises
        ------
        BadParameters, InterlockOpen, StaleState, MotionBusy, NotPresent
        ClearanceTooSmall, ClearanceNotKnown, ClearanceTimeout, PlanExpired
        """
        if end not in ARM_ENDS:
            raise BadParameters(f"the imager arm has the ends {', '.join(ARM_ENDS)}, not {end!r}")
        angle_deg, reading = await self._start(Mover.ARM)
        plan = GantryPlan(
            plan_id=secrets.token_hex(8),
            act=Mover.ARM.value,
            start_deg=angle_deg,
            target_deg=angle_deg,
            speed_deg_per_s=0.0,
            duration_s=0.0 if reading.arm.name.lower() == end else self._device.arm_travel_s,
            stop_distance_deg=0.0,
            arm=reading.arm.name,
            arm_end=end.upper(),
            expires_in_s=self._config.plan_expiry_s,
            dry_run=dry_run,
        )
        return await self._keep(plan, [angle_deg], None)

    async def execute(self, plan_id: str, peer: int) -> AsyncGenerator[GantryProgress, None]:
        """As every runner; the triggers of a cone-beam rotation come with the progress, each once and in order.

        Raises
        ------
        ProjectionsMissing
            When the rotation has arrived and not every projection has its angle.
        DeviceError
        """
        sent, last = 0, None
        try:
            async with contextlib.aclosing(super().execute(plan_id, peer)) as steps:
                async for step in steps:
                    last = self._with_triggers(plan_id, step, sent)
                    sent += len(last.triggers)
                    yield last
            if plan_id in self._rotations:
                self._rotations[plan_id].check()
        except IsoalignError:
            late = None if last is None else self._with_triggers(plan_id, last, sent)
            if late is not None and late.triggers:
                yield late
            raise
        finally:
            if last is not None:
                self._rotations.pop(plan_id, None)

    @property
    def _device(self) -> Gantry:
        return self._controller.require_gantry()

    def _mover_of(self, plan_id: str) -> Mover:
        return self._plans.look(plan_id).mover

    def _take(self, plan_id: str) -> PreparedGantryMotion:
        prepared = self._plans.take(plan_id)
        self._require_valid(prepared)
        self._dry_runs.require(prepared)
        return prepared

    def _arrived(self, prepared: PreparedGantryMotion) -> None:
        self._dry_runs.arrived(prepared)

    def _require_valid(self, prepared: PreparedGantryMotion) -> None:
        plan = prepared.plan
        prepared.circumstances.require(self._controller, self._device.link)
        reading = self._device.fresh_reading(self._controller.monitor.settings.state_limit_s)
        assert reading.angle_deg is not None
        if not abs(reading.angle_deg - plan.start_deg) <= self._config.plan_start_tolerance_deg:
            raise PlanExpired(f"the gantry has moved since the plan was made: from {plan.start_deg:.3f} degrees")
        if reading.arm.name != plan.arm:
            raise PlanExpired(f"the imager arm was {plan.arm} when the plan was made; it is {reading.arm.name}")
        if prepared.couch is not None:
            config = self._config
            couch = self._controller.require_couch().fresh_reading(self._controller.monitor.settings.state_limit_s)
            moved = apart(couch, prepared.couch, config.plan_start_tolerance_mm, config.plan_start_tolerance_deg)
            if moved:
                raise PlanExpired(f"the couch has moved since the plan was made: {moved}")

    def _waiting(self, prepared: PreparedGantryMotion) -> GantryProgress:
        plan = prepared.plan
        return GantryProgress(WAITING_FOR_ENABLE, plan.start_deg, plan.arm, 0.0, plan.duration_s, 0.0)

    async def _carry_out(self, motion: GantryMotion, _press: int | None) -> None:
        plan, gantry = motion.prepared.plan, self._device
        begun_s = self._clock.monotonic_s()
        predictor: StopPredictor | None = None
        self._require_no_fault()
        if motion.mover is Mover.ARM:
            command_id = gantry.begin_arm_move(ImagerArmEnd[plan.arm_end])
        elif plan.cone_beam is not None:
            scan = plan.cone_beam
            rotation = gantry.begin_cone_beam_rotation(
                scan.from_deg,
                scan.to_deg,
                speed_deg_per_s=plan.speed_deg_per_s,
                trigger_spacing_deg=scan.spacing_deg,
                expected_start_deg=plan.start_deg,
            )
            self._rotations[plan.plan_id] = rotation
            command_id = rotation.command_id
        else:
            predictor = StopPredictor(self._profile(plan), gantry.servo_lag_s)
            command_id = gantry.begin_rotation(
                plan.target_deg, speed_deg_per_s=plan.speed_deg_per_s, expected_start_deg=plan.start_deg
            )
        late = ARM_LATE if motion.mover is Mover.ARM else 1.1
        await self._follow(
            command_id,
            limit_s=late * plan.duration_s + self._config.settling_s,
            report=lambda _is_done: self._report(motion, MOVING, begun_s, predictor),
            has_arrived=lambda: self._controller.is_gantry_at_rest() and not self._missed(plan),
            missed=lambda: self._missed(plan),
        )
        self._report(motion, ARRIVED, begun_s, None)

    async def _start(self, mover: Mover) -> tuple[float, GantryReading]:
        """Where a motion of this kind would begin, provided that it may."""
        controller = self._controller
        await controller.await_reports()
        gantry = controller.require_gantry()
        controller.require_pendant()
        controller.require_idle()
        reading = gantry.fresh_reading(controller.monitor.settings.state_limit_s)
        controller.require_permitted(Activity.MOTION, mover)
        assert reading.angle_deg is not None
        return reading.angle_deg, reading

    @staticmethod
    def _speed(asked_deg_per_s: float | None, *, dry_run: bool) -> float | None:
        _, service_deg_per_s = SPEED_LIMITS[SERVICE]
        if not dry_run:
            return asked_deg_per_s
        if asked_deg_per_s is not None and asked_deg_per_s > service_deg_per_s:
            raise SpeedNotAllowed(
                f"a dry run is made at {service_deg_per_s:g} degrees/s at most, not {asked_deg_per_s:g}",
                hint="Leave the speed out.",
            )
        return service_deg_per_s if asked_deg_per_s is None else asked_deg_per_s

    def _limits(self, speed_deg_per_s: float | None, start_deg: float, *angles_deg: float) -> MotionLimits:
        """Limits at the speed that is asked for; angles must lie within the travel, by the margin of soft limits."""
        gantry, margin_deg = self._device, self._config.soft_limit_margin_deg
        most = gantry.motion_limits
        speed = most.speed if speed_deg_per_s is None else speed_deg_per_s
        gantry.require_possible(speed, start_deg, *angles_deg)
        low, high = gantry.travel_deg
        for angle in angles_deg:
            if not low + margin_deg <= angle <= high - margin_deg:
                raise TargetOutOfLimits(
                    f"gantry angle {angle:g} degrees lies within {margin_deg:g} degrees of the end of its travel",
                    hint=LIMITS_HINT,
                )
        return most.at_speed(speed / most.speed)

    def _plan(self, mover: Mover, way_deg: list[float], limits: MotionLimits, reading: GantryReading) -> GantryPlan:
        parts = [plan_synchronised([first], [last], [limits]) for first, last in pairwise(way_deg)]
        reaction_s = self._device.servo_lag_s + STOP_LATENCY_S
        return GantryPlan(
            plan_id=secrets.token_hex(8),
            act=mover.value,
            start_deg=way_deg[0],
            target_deg=way_deg[-1],
            speed_deg_per_s=limits.speed,
            duration_s=sum(part.duration_s for part in parts),
            stop_distance_deg=max(float(part.largest_stop_distance(reaction_s=reaction_s)[0]) for part in parts),
            arm=reading.arm.name,
            arm_end=reading.arm.name,
            expires_in_s=self._config.plan_expiry_s,
        )

    async def _keep(self, plan: GantryPlan, way_deg: Sequence[float], limits: MotionLimits | None) -> GantryPlan:
        """Look for the clearance of a plan, and keep it until it is used; ``limits`` of a rotation."""
        controller = self._controller
        circumstances = Circumstances.now(controller, self._device.link)
        couch = self._couch_position()
        prepared = PreparedGantryMotion(plan, circumstances, tuple(way_deg), couch, controller.patient_epoch)
        if self._clearance is not None:
            clearance = await self._clear(self._clearance, prepared, limits)
            prepared = replace(prepared, plan=replace(plan, clearance=clearance))
            controller.require_idle()
            self._require_valid(prepared)
        self._plans.keep(plan.plan_id, prepared)
        return prepared.plan

    def _couch_position(self) -> TableTopPosition | None:
        """Where the couch stands; None in a room without one."""
        couch = self._controller.couch
        if couch is None:
            return None
        return couch.fresh_reading(self._controller.monitor.settings.state_limit_s).position

    async def _clear(
        self, checker: ClearanceChecker, prepared: PreparedGantryMotion, limits: MotionLimits | None
    ) -> GantryClearance:
        plan, couch = prepared.plan, prepared.couch
        if couch is None:
            raise ClearanceNotKnown("the clearance of the motion is not known: this room has no couch")
        place = GantryPlace(plan.start_deg, plan.arm.lower())
        if limits is None:
            return await checker.check_arm_move(couch, place)
        return await checker.check_rotation(couch, self._with_stops(prepared.way_deg, limits), place)

    def _with_stops(self, way_deg: Sequence[float], limits: MotionLimits) -> list[float]:
        """A way, and how far beyond each place where it turns or ends a stop may lead."""
        reaction_s = self._device.servo_lag_s + STOP_LATENCY_S
        reached = [way_deg[0]]
        for first, last in pairwise(way_deg):
            overrun_deg = float(plan_synchronised([first], [last], [limits]).largest_overrun(reaction_s)[0])
            reached.append(last + math.copysign(overrun_deg, last - first))
        return reached

    def _profile(self, plan: GantryPlan) -> SynchronisedProfile:
        most = self._device.motion_limits
        limits = most.at_speed(plan.speed_deg_per_s / most.speed)
        return plan_synchronised([plan.start_deg], [plan.target_deg], [limits])

    def _missed(self, plan: GantryPlan) -> str:
        """What is not where the plan ends, by read-back, in words; a cone-beam rotation runs out as far as it likes."""
        reading = self._device.reading
        if reading is None or reading.value.angle_deg is None:
            return "its angle is not known"
        if reading.value.arm.name != plan.arm_end:
            return f"the imager arm is {reading.value.arm.name} and not {plan.arm_end}"
        off_deg = reading.value.angle_deg - plan.target_deg
        if plan.cone_beam is None and not abs(off_deg) <= self._config.arrival_tolerance_deg:
            return f"it is off by {off_deg:+.3f} deg"
        return ""

    def _report(self, motion: GantryMotion, phase: str, begun_s: float, predictor: StopPredictor | None) -> None:
        observed = self._device.reading
        if observed is None:
            return
        plan, reading = motion.prepared.plan, observed.value
        now_s = self._clock.monotonic_s()
        stop_deg = plan.stop_distance_deg if phase == MOVING else 0.0
        if predictor is not None and reading.angle_deg is not None and reading.speed_deg_per_s is not None:
            stop = predictor.stop_distance([reading.angle_deg], [reading.speed_deg_per_s], observed.age_s(now_s))
            stop_deg = float(stop[0])
        fraction = 1.0 if phase == ARRIVED else max(motion.progress.fraction, self._fraction(plan, reading, begun_s))
        motion.report(
            GantryProgress(
                phase, reading.angle_deg, reading.arm.name, now_s - begun_s, plan.duration_s, fraction, stop_deg
            )
        )

    def _fraction(self, plan: GantryPlan, reading: GantryReading, begun_s: float) -> float:
        """How much is done: of the angle, of the triggers, or of the time that the arm needs."""
        if plan.cone_beam is not None:
            return len(self._rotations[plan.plan_id].triggers) / plan.cone_beam.total
        way_deg = plan.target_deg - plan.start_deg
        if reading.angle_deg is not None and abs(way_deg) > self._config.arrival_tolerance_deg:
            return min(1.0, max(0.0, (reading.angle_deg - plan.start_deg) / way_deg))
        elapsed_s = self._clock.monotonic_s() - begun_s
        return min(1.0, elapsed_s / plan.duration_s) if plan.duration_s > 0 else 1.0

    def _with_triggers(self, plan_id: str, step: GantryProgress, sent: int) -> GantryProgress:
        rotation = self._rotations.get(plan_id)
        return replace(step, triggers=() if rotation is None else tuple(rotation.triggers[sent:]))
