"""Images of one or more imagers, with the couch proved to be at rest; and what their panels show without X-rays."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

import structlog

from isoalign.devices.controller import DeviceController
from isoalign.devices.errors import ImagerSilent, InterlockOpen, UnknownImager
from isoalign.devices.imager import CONNECT_S, KvImager
from isoalign.devices.status import DarkImage, RawImage
from isoalign.errors import IsoalignError
from isoalign.geometry import TableTopPosition
from isoalign.interlocks import Activity, Circuit
from isoalign.records import Technique

_log = structlog.get_logger("isoalign.devices.exposure")

T = TypeVar("T")


class ExposureRunner:
    """Takes images. Tubes are made ready together, exposed one after the other, and panels read out together."""

    def __init__(self, controller: DeviceController) -> None:
        self._controller = controller
        # Rising across restarts of the daemon, so that a panel's late image of an earlier life never fits.
        self._exposure_id = int(controller.clock.utc().timestamp())

    async def expose(self, names: Sequence[str], technique: Technique) -> tuple[RawImage, ...]:
        """One image of every imager, in the order of ``names``.

        Raises
        ------
        UnknownImager, MotionBusy, InterlockOpen, StaleState, ImagerSilent, ExposureFailed, ImageIncomplete
            When one of several imagers fails, no image is returned at all.
        """
        controller = self._controller
        imagers = self._named(names)
        await controller.await_reports()
        controller.require_idle()
        await self._require_ready(imagers)
        controller.require_idle()
        controller.require_permitted(Activity.EXPOSURE)
        limit_s = controller.monitor.settings.state_limit_s
        if controller.couch is not None and not controller.couch.fresh_reading(limit_s).standstill:
            raise InterlockOpen("exposure refused: the couch is not at standstill", rule="exposure-standstill")
        controller.begin_exposure(imagers)
        try:
            return await self._take(imagers, technique)
        except IsoalignError as error:
            fault = controller.evaluation.first_fault
            if fault is not None and fault.rule_id != "start-up":
                text = f"the exposure was ended: {fault.text} ({fault.rule_id})"
                raise InterlockOpen(text, rule=fault.rule_id) from error
            raise
        finally:
            for imager in imagers:
                imager.finish()
            controller.end()

    async def read_dark(self, names: Sequence[str]) -> tuple[DarkImage, ...]:
        """One frame without X-rays of every panel, in the order of ``names``; the tubes are not asked for anything.

        Raises
        ------
        UnknownImager, MotionBusy, InterlockOpen, ImagerSilent, ExposureFailed, ImageIncomplete
        """
        controller = self._controller
        imagers = self._named(names)
        await controller.await_reports()
        controller.require_idle()
        controller.begin_exposure(imagers)
        limit_s = controller.config.exposure_limit_s
        try:
            frames = [imager.read_dark(self._next_number(), timeout_s=limit_s) for imager in imagers]
            return tuple(await _all(frames))
        finally:
            for imager in imagers:
                imager.finish()
            controller.end()

    async def _take(self, imagers: Sequence[KvImager], technique: Technique) -> tuple[RawImage, ...]:
        limit_s = self._controller.config.exposure_limit_s
        due_s = asyncio.get_running_loop().time() + limit_s

        def left_s() -> float:
            return max(0.001, due_s - asyncio.get_running_loop().time())

        numbers = [self._next_number() for _ in imagers]
        await _all(
            [
                imager.prepare(number, technique, window_s=limit_s)
                for imager, number in zip(imagers, numbers, strict=True)
            ]
        )
        collecting: list[Coroutine[Any, Any, RawImage]] = []
        try:
            for imager, number in zip(imagers, numbers, strict=True):
                taken = await imager.expose(number, timeout_s=left_s(), table_top=self._position)
                collecting.append(imager.collect(taken, timeout_s=left_s()))
        except BaseException:
            for unstarted in collecting:
                unstarted.close()
            raise
        images = await _all(collecting)
        _log.info("exposure.done", imagers=[image.imager for image in images], exposures=numbers)
        return tuple(images)

    async def _require_ready(self, imagers: Sequence[KvImager]) -> None:
        """What would end an exposure of these imagers at once keeps it from beginning."""
        if not await self._controller.changed.until(lambda: all(one.is_reporting() for one in imagers), CONNECT_S):
            silent = next(one for one in imagers if not one.is_reporting())
            raise ImagerSilent(f"imager {silent.name} does not tell its door and its temperature", imager=silent.name)
        limit_c = self._controller.monitor.settings.panel_temperature_limit_c
        for report in (imager.report() for imager in imagers):
            if report.door is Circuit.OPEN:
                text = f"exposure refused: the door of the X-ray room is open, says generator {report.name}"
                raise InterlockOpen(text, rule="xray-door", hint="Close the door; see that nobody is in the room.")
            if report.panel_temperature_c is not None and report.panel_temperature_c > limit_c:
                text = f"exposure refused: panel {report.name} has {report.panel_temperature_c:.1f} deg C"
                raise InterlockOpen(text, rule="panel-temperature", hint="Let the panel cool down.")

    def _position(self) -> TableTopPosition | None:
        couch = self._controller.couch
        if couch is None:
            return None
        return couch.fresh_reading(self._controller.monitor.settings.state_limit_s).position

    def _named(self, names: Sequence[str]) -> list[KvImager]:
        known = self._controller.imagers
        unknown = [name for name in names if name not in known]
        if unknown or not names or len(set(names)) < len(names):
            raise UnknownImager(
                f"cannot expose {list(names)}: this room has {', '.join(sorted(known)) or 'no imager'}",
                known=sorted(known),
            )
        return [known[name] for name in names]

    def _next_number(self) -> int:
        self._exposure_id += 1
        return self._exposure_id


async def _all(steps: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """All results; the first failure ends the others and is raised as it is."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(step) for step in steps]
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return [task.result() for task in tasks]
