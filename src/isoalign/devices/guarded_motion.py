"""What every motion shares, whatever moves: its client, its press of the enable bar, and the ways in which it ends.

A motion belongs to one client and to one press of the bar. It begins when the bar is pressed anew and the device
agrees, is followed by what the device reports, and ends by arrival or by a typed error; then all is seen at rest.
"""

from __future__ import annotations

import abc
import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from enum import IntEnum
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import structlog

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
from isoalign.devices.gantry_reading import GantryFault
from isoalign.devices.link import DeviceLink
from isoalign.devices.pulse import Pulse
from isoalign.devices.status import MOVING
from isoalign.errors import DeviceError, IsoalignError
from isoalign.interlocks import Activity, Finding, Mover, Observation
from isoalign.protocol.messages import CommandStatus, StopReason

_log = structlog.get_logger("isoalign.devices.motion")

READY_S = 1.0
PROGRESS_PERIOD_S = 0.05

ERRORS: dict[str, type[DeviceError]] = {
    "hold": HoldRequested,
    "couch-session": LinkLost,
    "couch-link": LinkLost,
    "couch-counter": LinkLost,
    "safety-link": LinkLost,
    "couch-fault": CouchFault,
    "gantry-session": LinkLost,
    "gantry-link": LinkLost,
    "gantry-counter": LinkLost,
    "gantry-fault": GantryFault,
    "client-heartbeat": ClientLost,
    "enable": EnableReleased,
    "enable-circuit": EnableReleased,
    "channels-step": ChannelDisagreement,
    "channels-moving": ChannelDisagreement,
    "channels-standing": ChannelDisagreement,
    "gantry-channels-step": ChannelDisagreement,
    "gantry-channels-moving": ChannelDisagreement,
    "gantry-channels-standing": ChannelDisagreement,
    "motion-outcome": MotionTimeout,
}
LATCH_ERRORS: dict[str, type[DeviceError]] = {
    "ENABLE_LOST": EnableReleased,
    "ENABLE_CIRCUIT": EnableReleased,
    "CLIENT_LOST": ClientLost,
    "HOST_LOST": LinkLost,
}
"""By the names that the latches of couch and gantry share."""


class Progress(Protocol):
    """Where a motion has come to."""

    @property
    def phase(self) -> str:
        """One of the phases of :mod:`isoalign.devices.status`."""


class MovingDevice(Protocol):
    """A driver of something that moves; its readings tell ``ready``, ``press_count``, ``mode`` and ``latch``."""

    link: DeviceLink

    @property
    def reading(self) -> Observation[Any] | None:
        """The latest."""

    def stop(self, reason: StopReason) -> None:
        """Stop, now."""


A = TypeVar("A")
P = TypeVar("P", bound=Progress)


class Motion(Generic[A, P]):
    """A motion under way. ``progress`` is always the latest; ``error`` says how it ended, once ``is_over``."""

    def __init__(self, prepared: A, mover: Mover, progress: P) -> None:
        self.prepared = prepared
        self.mover = mover
        self.changed = Pulse()
        self.progress = progress
        self.is_over = False
        self.error: IsoalignError | None = None
        self.abandoned = False
        self.task: asyncio.Task[None] | None = None

    def report(self, progress: P) -> None:
        """Tell where it is."""
        self.progress = progress
        self.changed.fire()

    def finish(self, error: IsoalignError | None) -> None:
        """It is over: arrived (None) or ended by an error."""
        self.error = error
        self.is_over = True
        self.changed.fire()


class GuardedRunner(abc.ABC, Generic[A, P]):
    """Carries prepared motions out, one at a time.

    Parameters
    ----------
    controller : DeviceController
    """

    latches: ClassVar[type[IntEnum]]
    """What the device can latch."""
    fault: ClassVar[type[DeviceError]]
    """Raised when the device ends a motion by itself."""

    def __init__(self, controller: DeviceController) -> None:
        self._controller = controller
        self._config = controller.config
        self._clock = controller.clock
        self._current: Motion[A, P] | None = None

    async def execute(self, plan_id: str, peer: int) -> AsyncGenerator[P, None]:
        """Carry out a plan for a client; ends on arrival. Leaving early stops the motion.

        Raises
        ------
        DeviceError
            The one that fits the way in which the motion ended.
        """
        await self._controller.await_reports()
        motion = self._begin(plan_id, peer)
        last: P | None = None
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

    async def close(self) -> None:
        """End the motion that is under way, if any."""
        motion = self._current
        if motion is not None and motion.task is not None:
            self._abandon(motion)
            await asyncio.gather(motion.task, return_exceptions=True)

    @property
    @abc.abstractmethod
    def _device(self) -> MovingDevice:
        """The driver of what moves; raises NotPresent."""

    @abc.abstractmethod
    def _mover_of(self, plan_id: str) -> Mover:
        """What a plan would move, whether it still holds or not."""

    @abc.abstractmethod
    def _take(self, plan_id: str) -> A:
        """A plan that still holds; raises PlanExpired or StaleState."""

    @abc.abstractmethod
    def _require_valid(self, prepared: A) -> None:
        """Raise PlanExpired unless everything is as it was when the plan was made."""

    @abc.abstractmethod
    def _waiting(self, prepared: A) -> P:
        """The progress of a motion that waits for the enable bar."""

    @abc.abstractmethod
    async def _carry_out(self, motion: Motion[A, P], press: int | None) -> None:
        """The motion itself, under this press of the bar."""

    def _begin_motion(self, motion: Motion[A, P]) -> None:
        """The rules that go with it count from now on."""
        self._controller.begin_motion(motion.mover, payload_kg=self._controller.payload_kg())

    def _arrived(self, prepared: A) -> None:
        """A motion has arrived."""

    def _begin(self, plan_id: str, peer: int) -> Motion[A, P]:
        controller = self._controller
        controller.require_idle()
        mover = self._mover_of(plan_id)
        controller.require_permitted(Activity.MOTION, mover)  # a latch is named before the plan that it made void
        prepared = self._take(plan_id)
        controller.own(peer)
        motion = Motion(prepared, mover, self._waiting(prepared))
        motion.task = asyncio.get_running_loop().create_task(self._run(motion), name="motion")
        self._current = motion
        return motion

    def _abandon(self, motion: Motion[A, P]) -> None:
        motion.abandoned = True
        if self._controller.activity is Activity.MOTION:
            self._controller.interrupt("client-heartbeat", "the motion was abandoned", StopReason.CLIENT_GONE)
        self._controller.changed.fire()

    async def _run(self, motion: Motion[A, P]) -> None:
        controller = self._controller
        error: IsoalignError | None = self.fault("the motion did not end properly", hint="See the daemon's log.")
        try:
            await self._wait_for_enable(motion)
            await self._move(motion)
            self._arrived(motion.prepared)
            error = None
        except IsoalignError as ended:
            error = ended
            _log.warning("motion.ended", mover=motion.mover.value, code=ended.code, text=ended.message)
        except Exception:  # noqa: BLE001 - a defect ends the motion like a fault, and never as an arrival
            _log.exception("motion.failed")
        finally:
            if controller.activity is Activity.MOTION:
                if error is not None and not isinstance(error, DeviceRefused):
                    controller.stop_motion(StopReason.INTERLOCK)
                await controller.come_to_rest()
                controller.end()
            controller.own(None)
            motion.finish(error)

    async def _wait_for_enable(self, motion: Motion[A, P]) -> None:
        """Until the bar is held by a press that no motion has used, and the device agrees that it may move."""
        controller, config = self._controller, self._config
        device, pendant = self._device, controller.require_pendant()
        limit_s = controller.monitor.settings.enable_limit_s

        def pressed() -> bool:
            return pendant.has_unused_press(limit_s=limit_s, press_age_s=config.enable_press_age_s)

        def ready() -> bool:
            reading = device.reading
            # of this press: the device may still be ready of the one before, and would refuse what overtakes it
            heard = reading is not None and reading.value.ready and reading.value.press_count == pendant.press_count
            return heard and pressed() and controller.is_client_alive()

        def settled(condition: Callable[[], bool]) -> Callable[[], bool]:
            return lambda: (
                condition()
                or motion.abandoned
                or controller.objection(Activity.MOTION, motion.mover) is not None
            )  # fmt: skip

        if not await controller.changed.until(settled(pressed), config.enable_wait_s):
            raise EnableNotPressed(f"the enable bar was not pressed anew within {config.enable_wait_s:g} s")
        self._require_undisturbed(motion)
        if not await controller.changed.until(settled(ready), READY_S):
            self._require_undisturbed(motion)
            mode = "unknown" if device.reading is None else device.reading.value.mode.name
            raise EnableNotPressed(
                f"the {device.link.name} does not accept the press of the enable bar (its mode is {mode})"
            )
        self._require_undisturbed(motion)

    def _require_undisturbed(self, motion: Motion[A, P]) -> None:
        if motion.abandoned:
            raise ClientLost("the motion was abandoned before it began")
        self._require_no_fault()
        self._controller.require_permitted(Activity.MOTION, motion.mover)

    async def _move(self, motion: Motion[A, P]) -> None:
        """All of the motion under one press of the bar: it counts as released as soon as it is let go once."""
        self._require_valid(motion.prepared)
        pendant = self._controller.require_pendant()
        press = pendant.press_count
        pendant.use_press()
        self._begin_motion(motion)
        await self._carry_out(motion, press)

    async def _follow(
        self,
        command_id: int,
        *,
        limit_s: float,
        report: Callable[[bool], None],
        has_arrived: Callable[[], bool],
        missed: Callable[[], str],
    ) -> None:
        """Until a command is done and what it should lead to is read back.

        Parameters
        ----------
        command_id : int
            Just sent.
        limit_s : float
            Allowed from now on.
        report : callable
            Tells where the motion is; is given whether the command is done.
        has_arrived : callable
            By read-back, at standstill; looked at only once the command is done, never decided by the command alone.
        missed : callable
            What is still amiss, in words; may be empty.
        """
        link, controller = self._device.link, self._controller
        generation = link.generation
        begun_s = self._clock.monotonic_s()
        is_done = False
        while True:
            self._require_no_fault()
            report(is_done)
            if link.generation != generation:
                raise LinkLost(f"the {link.name} began a new session during the motion", device=link.name)
            status = link.progress(command_id).status
            if status is CommandStatus.DONE:
                is_done = True
                if has_arrived():
                    return
            elif status in {CommandStatus.REJECTED, CommandStatus.ABORTED}:
                raise self._refusal(command_id)
            elapsed_s = self._clock.monotonic_s() - begun_s
            if elapsed_s > limit_s:
                raise self._not_arrived(missed() or "it does not stand still", elapsed_s)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._config.tick_s * 5):
                    await controller.changed.wait()

    def _require_no_fault(self) -> None:
        fault = self._controller.evaluation.first_fault
        if fault is not None:
            raise self._error_of(fault)

    def _not_arrived(self, missed: str, elapsed_s: float) -> DeviceError:
        text = f"the {self._device.link.name} has not arrived after {elapsed_s:.1f} s: {missed}"
        self._controller.interrupt("motion-outcome", text, StopReason.INTERLOCK)
        return MotionTimeout(text)

    def _refusal(self, command_id: int) -> DeviceError:
        link = self._device.link
        progress = link.progress(command_id)
        text = f"{progress.name} was {progress.status.name.lower()} by the {link.name}: {progress.reason.name}"
        if progress.status is CommandStatus.REJECTED:
            return DeviceRefused(text, device=link.name, reason=progress.reason.name, detail=progress.detail)
        with contextlib.suppress(ValueError):
            latch = self.latches(progress.detail)
            error = LATCH_ERRORS.get(latch.name, self.fault)
            text = f"the {link.name} stopped by itself: {latch.name}"
            self._controller.interrupt("motion-outcome", text, StopReason.INTERLOCK)
            return error(text, latch=latch.name)
        return self.fault(text, device=link.name)

    def _error_of(self, finding: Finding) -> DeviceError:
        kind = ERRORS.get(finding.rule_id, InterlockOpen)
        devices = {"couch-fault": self._controller.couch, "gantry-fault": self._controller.gantry}
        device = devices.get(finding.rule_id)
        if device is not None and device.reading is not None:
            kind = LATCH_ERRORS.get(device.reading.value.latch.name, kind)
        return kind(f"the motion was ended: {finding.text}", rule=finding.rule_id)
