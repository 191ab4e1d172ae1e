"""The flat panel of one kV imager as the daemon sees it: armed for one exposure, then asked for its image, whole."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import datetime

from isoalign.clock import Clock
from isoalign.devices.config import TcpAddress
from isoalign.devices.errors import ExposureFailed, LinkLost
from isoalign.devices.exposure_steps import exposure_step, opener
from isoalign.devices.image_line import fetch_frame
from isoalign.devices.image_log import SILENT
from isoalign.devices.link import DeviceLink
from isoalign.errors import DeviceError
from isoalign.interlocks import Observation
from isoalign.protocol import ImageFrame
from isoalign.protocol.layout import Message
from isoalign.protocol.messages import (
    Arm,
    CommandStatus,
    DarkFrame,
    DeviceKind,
    Disarm,
    FrameReady,
    PanelFault,
    PanelState,
    ReadDark,
)

ARMED = frozenset({CommandStatus.STARTED, CommandStatus.DONE})


class FlatPanel:
    """Driver of one panel; :meth:`arm`, and once the X-rays are off :meth:`collect`.

    Parameters
    ----------
    imager : str
        The imager that it belongs to, for errors.
    address, image_address : TcpAddress
        Of its commands, and of its images.
    clock : Clock
    lag_limit_percent : float
        An image is refused when the dark frame after it shows more of it than this.

    Attributes
    ----------
    link : DeviceLink
    temperature_c : Observation or None
        As told last; None in it when the panel does not know.
    image_tap : ImageTap
        Is told what the image connection carries.
    read_at : datetime or None
        UTC, when the latest frame was announced.
    """

    def __init__(
        self,
        imager: str,
        address: TcpAddress,
        image_address: TcpAddress,
        clock: Clock,
        *,
        lag_limit_percent: float = 0.5,
    ) -> None:
        self.imager = imager
        name = f"panel {imager}"
        self.link = DeviceLink(name, DeviceKind.PANEL, opener(address, name), clock, on_message=self._on_message)
        self.temperature_c: Observation[float | None] | None = None
        self.image_tap = SILENT
        self._image_address = image_address
        self._clock = clock
        self._lag_limit_percent = lag_limit_percent
        self._ready: FrameReady | None = None
        self._dark: DarkFrame | None = None
        self._fault = PanelFault.NONE
        self.read_at: datetime | None = None

    def begin(self) -> None:
        """A new exposure: what the one before has given is forgotten."""
        self._ready = None
        self._dark = None
        self._fault = PanelFault.NONE

    async def connected(self, timeout_s: float) -> None:
        """Until there is a session; raises ImagerSilent."""
        async with exposure_step(self.imager, "connecting", self.link):
            await self.link.wait_up(timeout_s)

    async def arm(self, exposure_id: int, *, window_s: float) -> None:
        """Let it wait for an exposure, for ``window_s`` at most.

        Raises
        ------
        ImagerSilent, ExposureFailed
        """
        arm = Arm(command_id=1, valid_until_us=0, exposure_id=exposure_id, window_us=round(window_s * 1e6))
        async with exposure_step(self.imager, "arming", self.link):
            await self.link.command(arm, until=ARMED, timeout_s=window_s)

    async def collect(self, exposure_id: int, *, timeout_s: float) -> ImageFrame:
        """Wait for the read-out of an exposure and fetch the image, whole.

        Raises
        ------
        ImagerSilent, ImageIncomplete
        ExposureFailed
            When the dark frame that followed shows that the panel holds too much of an exposure.
        """
        deadline = asyncio.get_running_loop().time() + timeout_s
        frame = await self._fetched(exposure_id, deadline)
        async with exposure_step(self.imager, "reading its dark frame", self.link), asyncio.timeout_at(deadline):
            await self._require_little_lag(exposure_id)
        return frame

    async def read_dark(self, number: int, *, timeout_s: float) -> ImageFrame:
        """Read one frame without X-rays and fetch it, whole.

        Parameters
        ----------
        number : int
            Under which the frame comes; never that of an exposure.
        timeout_s : float

        Raises
        ------
        ImagerSilent, ImageIncomplete, ExposureFailed
        """
        self.begin()
        deadline = asyncio.get_running_loop().time() + timeout_s
        async with exposure_step(self.imager, "asking for a dark frame", self.link), asyncio.timeout_at(deadline):
            await self.link.command(
                ReadDark(command_id=1, valid_until_us=0, exposure_id=number), until=ARMED, timeout_s=timeout_s
            )
        return await self._fetched(number, deadline)

    async def _fetched(self, number: int, deadline: float) -> ImageFrame:
        async with exposure_step(self.imager, "reading out", self.link), asyncio.timeout_at(deadline):
            ready = await self._wait_ready(number)
        async with exposure_step(self.imager, "sending its image", self.link), asyncio.timeout_at(deadline):
            name = f"image connection of {self.link.name}"
            return await fetch_frame(self._image_address, ready, name=name, tap=self.image_tap)

    def disarm(self) -> None:
        """Back to rest, as far as it can be reached; never an error."""
        with contextlib.suppress(DeviceError):
            self.link.issue(Disarm(command_id=1, valid_until_us=0))

    async def _require_little_lag(self, exposure_id: int) -> None:
        """A panel that lets go too slowly shows it in the first dark frame, and has earlier images in this one."""
        while self._dark is None or self._dark.exposure_id != exposure_id:
            if not self.link.is_up:
                raise self._lost()
            await self.link.changed.wait()
        residual_ppm = self._dark.residual_ppm
        if residual_ppm is None or residual_ppm * 1e-4 > self._lag_limit_percent:
            shown = "not known" if residual_ppm is None else f"{residual_ppm * 1e-4:.2f} %"
            raise ExposureFailed(
                f"{self.link.name}: the lag is {shown}, more than {self._lag_limit_percent:g} % allowed",
                imager=self.imager,
                hint="Let the panel rest, then calibrate its lag; no image of it may be used.",
            )

    async def _wait_ready(self, exposure_id: int) -> FrameReady:
        generation = self.link.generation
        while self._ready is None or self._ready.exposure_id != exposure_id:
            if not self.link.is_up or self.link.generation != generation:
                raise self._lost()
            if self._fault is not PanelFault.NONE:
                raise ExposureFailed(
                    f"{self.link.name} reports {self._fault.name} while reading out", imager=self.imager
                )
            await self.link.changed.wait()
        return self._ready

    def _lost(self) -> LinkLost:
        return LinkLost(f"the link to {self.link.name} was lost during an exposure", device=self.link.name)

    def _on_message(self, message: Message, now_s: float) -> None:
        if isinstance(message, FrameReady):
            self._ready, self.read_at = message, self._clock.utc()
        elif isinstance(message, DarkFrame):
            self._dark = message
        elif isinstance(message, PanelState):
            self._fault = message.fault
            millidegrees = message.temperature_mdeg_c
            self.temperature_c = Observation(None if millidegrees is None else millidegrees / 1000, now_s)
