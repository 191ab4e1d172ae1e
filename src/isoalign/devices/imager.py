"""One kV imager: generator and panel, and what has to happen to both for one exposure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt

from isoalign.clock import Clock
from isoalign.devices.config import ImagerAddress
from isoalign.devices.flat_panel import FlatPanel
from isoalign.devices.status import DarkImage, RawImage
from isoalign.devices.xray_generator import XrayGenerator
from isoalign.geometry import TableTopPosition
from isoalign.interlocks import Circuit, ImagerReport
from isoalign.protocol import ImageFrame
from isoalign.records import Technique

CONNECT_S = 2.0
REPORT_LIMIT_S = 0.5


@dataclass(frozen=True, slots=True)
class ExposureTaken:
    """What is known once the X-rays are off: the measured technique, where the couch was, and when."""

    exposure_id: int
    technique: Technique
    table_top: TableTopPosition | None
    acquired_at: datetime


class KvImager:
    """Driver of one imager. The daemon calls :meth:`prepare`, :meth:`expose` and :meth:`collect`, in this order.

    Parameters
    ----------
    address : ImagerAddress
    clock : Clock
    lag_limit_percent : float
        An image is refused when the dark frame after it shows more of it than this.
    on_report : callable, optional
        Called at once with every report of the door.

    Attributes
    ----------
    generator : XrayGenerator
    panel : FlatPanel
    """

    def __init__(
        self,
        address: ImagerAddress,
        clock: Clock,
        *,
        lag_limit_percent: float = 0.5,
        on_report: Callable[[], None] = lambda: None,
    ) -> None:
        self.name = address.name
        self._clock = clock
        self.generator = XrayGenerator(self.name, address.generator, clock, on_report=on_report)
        self.panel = FlatPanel(self.name, address.panel, address.image, clock, lag_limit_percent=lag_limit_percent)
        self._is_active = False

    def report(self) -> ImagerReport:
        """Door and temperature as they were told last."""
        door, temperature_c = self.generator.door, self.panel.temperature_c
        return ImagerReport(
            self.name,
            Circuit.UNKNOWN if door is None else door.value,
            None if temperature_c is None else temperature_c.value,
        )

    def is_reporting(self) -> bool:
        """Whether generator and panel have told door and temperature just now."""
        now_s = self._clock.monotonic_s()
        told = (self.generator.door, self.panel.temperature_c)
        return all(one is not None and one.age_s(now_s) <= REPORT_LIMIT_S for one in told)

    def start(self) -> None:
        """Begin to connect; returns at once."""
        self.generator.link.start()
        self.panel.link.start()

    async def close(self) -> None:
        """End the links; the generator switches X-rays off by itself when its link goes."""
        await self.generator.link.close()
        await self.panel.link.close()

    async def prepare(self, exposure_id: int, technique: Technique, *, window_s: float) -> None:
        """Arm the panel for ``window_s`` and make the tube ready.

        Raises
        ------
        ImagerSilent, ExposureFailed
        """
        self.generator.begin()
        self.panel.begin()
        self._is_active = True
        await self.generator.connected(CONNECT_S)
        await self.panel.connected(CONNECT_S)
        await self.panel.arm(exposure_id, window_s=window_s)
        await self.generator.prepare(exposure_id, technique, timeout_s=window_s)

    async def expose(
        self, exposure_id: int, *, timeout_s: float, table_top: Callable[[], TableTopPosition | None]
    ) -> ExposureTaken:
        """Make the prepared exposure; returns when the X-rays are off.

        ``table_top`` is asked for the read-back position when the exposure begins.

        Raises
        ------
        ImagerSilent, ExposureFailed
        """
        begun_at = self._clock.utc()
        position = table_top()
        technique = await self.generator.expose(exposure_id, timeout_s=timeout_s)
        return ExposureTaken(exposure_id, technique, position, begun_at)

    async def collect(self, taken: ExposureTaken, *, timeout_s: float) -> RawImage:
        """Wait for the panel's read-out and fetch the image, whole.

        Raises
        ------
        ImagerSilent, ImageIncomplete
        ExposureFailed
            When the dark frame that followed shows that the panel holds too much of an exposure.
        """
        frame = await self.panel.collect(taken.exposure_id, timeout_s=timeout_s)
        self._is_active = False
        read_at = self.panel.read_at or taken.acquired_at
        return RawImage(
            self.name, taken.exposure_id, _pixels(frame), taken.technique, taken.table_top, taken.acquired_at, read_at
        )

    async def read_dark(self, number: int, *, timeout_s: float) -> DarkImage:
        """One frame of the panel without X-rays.

        Raises
        ------
        ImagerSilent, ExposureFailed, ImageIncomplete
        """
        self._is_active = True
        await self.panel.connected(CONNECT_S)
        frame = await self.panel.read_dark(number, timeout_s=timeout_s)
        self._is_active = False
        return DarkImage(self.name, number, _pixels(frame), self.panel.read_at or self._clock.utc())

    def finish(self) -> None:
        """The exposure is over, well or not: whatever may still be armed or on is switched off."""
        if self._is_active:
            self.abort()

    def abort(self) -> None:
        """X-rays off and panel back to rest, as far as they can be reached; never an error."""
        self.generator.abort()
        self.panel.disarm()
        self._is_active = False


def _pixels(frame: ImageFrame) -> npt.NDArray[np.uint16]:
    return np.frombuffer(frame.pixels, dtype="<u2").reshape(frame.rows, frame.columns).astype(np.uint16)
