"""The X-ray generator of one kV imager as the daemon sees it: made ready, exposed, and asked what it really gave."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from isoalign.clock import Clock
from isoalign.devices.config import TcpAddress
from isoalign.devices.errors import ExposureFailed
from isoalign.devices.exposure_steps import exposure_step, opener
from isoalign.devices.link import DeviceLink
from isoalign.errors import DeviceError
from isoalign.interlocks import Circuit, Observation
from isoalign.protocol.layout import Message
from isoalign.protocol.messages import (
    AbortExposure,
    CommandStatus,
    DeviceKind,
    Expose,
    ExposureOutcome,
    ExposureResult,
    GeneratorRoom,
    Prepare,
    RoomDoor,
)
from isoalign.records import Technique

DONE = frozenset({CommandStatus.DONE})
TECHNIQUE_TOLERANCE = 0.1
"""Measured voltage, current and time may differ from what was asked for by this part."""
DOORS = {RoomDoor.CLOSED: Circuit.CLOSED, RoomDoor.OPEN: Circuit.OPEN}


class XrayGenerator:
    """Driver of one generator; :meth:`prepare`, then :meth:`expose`.

    Parameters
    ----------
    imager : str
        The imager that it belongs to, for errors.
    address : TcpAddress
    clock : Clock
    on_report : callable, optional
        Called at once with every report of the door.

    Attributes
    ----------
    link : DeviceLink
    door : Observation[Circuit] or None
        Of the X-ray room, as told last.
    """

    def __init__(
        self, imager: str, address: TcpAddress, clock: Clock, *, on_report: Callable[[], None] = lambda: None
    ) -> None:
        self.imager = imager
        name = f"generator {imager}"
        self.link = DeviceLink(name, DeviceKind.GENERATOR, opener(address, name), clock, on_message=self._on_message)
        self.door: Observation[Circuit] | None = None
        self._on_report = on_report
        self._wanted = Technique(1.0, 1.0, 1.0)
        self._result: ExposureResult | None = None

    def begin(self) -> None:
        """A new exposure: what the one before has given is forgotten."""
        self._result = None

    async def connected(self, timeout_s: float) -> None:
        """Until there is a session; raises ImagerSilent."""
        async with exposure_step(self.imager, "connecting", self.link):
            await self.link.wait_up(timeout_s)

    async def prepare(self, exposure_id: int, technique: Technique, *, timeout_s: float) -> None:
        """Make the tube ready.

        Raises
        ------
        ImagerSilent, ExposureFailed
        """
        self._wanted = technique
        ready = Prepare(
            command_id=1,
            valid_until_us=0,
            exposure_id=exposure_id,
            tube_voltage_v=round(technique.tube_voltage_kv * 1e3),
            tube_current_ua=round(technique.tube_current_ma * 1e3),
            exposure_time_us=round(technique.exposure_time_ms * 1e3),
        )
        async with exposure_step(self.imager, "preparing", self.link):
            await self.link.command(ready, until=DONE, timeout_s=timeout_s)

    async def expose(self, exposure_id: int, *, timeout_s: float) -> Technique:
        """Make the prepared exposure; returns what was measured when the X-rays are off.

        Raises
        ------
        ImagerSilent
        ExposureFailed
            Also when what was measured is not what was asked for.
        """
        async with exposure_step(self.imager, "exposing", self.link):
            expose = Expose(command_id=1, valid_until_us=0, exposure_id=exposure_id)
            await self.link.command(expose, until=DONE, timeout_s=timeout_s)
            if not await self.link.changed.until(lambda: self._result is not None, timeout_s):
                raise TimeoutError
        result = self._result
        assert result is not None
        if result.exposure_id != exposure_id or result.outcome is not ExposureOutcome.COMPLETE:
            raise ExposureFailed(
                f"{self.link.name}: exposure {result.exposure_id} ended {result.outcome.name}", imager=self.imager
            )
        technique = Technique(
            tube_voltage_kv=result.tube_voltage_v / 1e3,
            tube_current_ma=result.tube_current_ua / 1e3,
            exposure_time_ms=result.exposure_time_us / 1e3,
        )
        self._require_as_wanted(technique)
        return technique

    def abort(self) -> None:
        """X-rays off, as far as it can be reached; never an error."""
        with contextlib.suppress(DeviceError):
            self.link.send(AbortExposure())

    def _require_as_wanted(self, technique: Technique) -> None:
        for name in ("tube_voltage_kv", "tube_current_ma", "exposure_time_ms"):
            measured, asked = getattr(technique, name), getattr(self._wanted, name)
            if not abs(measured - asked) <= TECHNIQUE_TOLERANCE * asked:
                raise ExposureFailed(
                    f"{self.link.name}: {name} was {measured:g}, not {asked:g} as asked for", imager=self.imager
                )

    def _on_message(self, message: Message, now_s: float) -> None:
        if isinstance(message, ExposureResult):
            self._result = message
        elif isinstance(message, GeneratorRoom):
            self.door = Observation(DOORS.get(message.door, Circuit.UNKNOWN), now_s)
            self._on_report()
