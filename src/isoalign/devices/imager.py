"""One kV imager: its generator, its panel, and the connection on which the panel sends images."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from isoalign.clock import Clock
from isoalign.devices.config import ImagerAddress, TcpAddress
from isoalign.devices.errors import DeviceRefused, ExposureFailed, ImageIncomplete, ImagerSilent, LinkLost
from isoalign.devices.image_line import fetch_frame
from isoalign.devices.image_log import SILENT
from isoalign.devices.link import DeviceLink
from isoalign.devices.status import RawImage
from isoalign.devices.transport import TcpTransport, Transport
from isoalign.errors import DeviceError
from isoalign.geometry import TableTopPosition
from isoalign.interlocks import Circuit, ImagerReport, Observation
from isoalign.protocol.errors import FrameError
from isoalign.protocol.layout import Message
from isoalign.protocol.messages import (
    AbortExposure,
    Arm,
    CommandStatus,
    DarkFrame,
    DeviceKind,
    Disarm,
    Expose,
    ExposureOutcome,
    ExposureResult,
    FrameReady,
    GeneratorFault,
    GeneratorRoom,
    PanelFault,
    PanelState,
    Prepare,
    RoomDoor,
)
from isoalign.records import Technique

DONE = frozenset({CommandStatus.DONE})
STARTED = frozenset({CommandStatus.STARTED})
CONNECT_S = 2.0
TECHNIQUE_TOLERANCE = 0.1
REPORT_LIMIT_S = 0.5
DOORS = {RoomDoor.CLOSED: Circuit.CLOSED, RoomDoor.OPEN: Circuit.OPEN}


@dataclass(frozen=True, slots=True)
class ExposureTaken:
    """What is known once the X-rays are off: the measured technique, where the couch was, and when."""

    exposure_id: int
    technique: Technique
    table_top: TableTopPosition | None
    acquired_at: datetime


class Imager:
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
    image_tap : ImageTap
        Is told what the image connection carries.
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
        self._lag_limit_percent = lag_limit_percent
        self._on_report = on_report
        self.image_tap = SILENT
        self._clock = clock
        self._image_address = address.image
        self.generator = DeviceLink(
            f"generator {self.name}",
            DeviceKind.GENERATOR,
            _opener(address.generator, f"generator {self.name}"),
            clock,
            on_message=self._on_generator,
        )
        self.panel = DeviceLink(
            f"panel {self.name}",
            DeviceKind.PANEL,
            _opener(address.panel, f"panel {self.name}"),
            clock,
            on_message=self._on_panel,
        )
        self._wanted = Technique(1.0, 1.0, 1.0)
        self._result: ExposureResult | None = None
        self._ready: FrameReady | None = None
        self._dark: DarkFrame | None = None
        self._panel_fault = PanelFault.NONE
        self._is_active = False
        self._door: Observation[Circuit] | None = None
        self._temperature_c: Observation[float | None] | None = None

    def report(self) -> ImagerReport:
        """Door and temperature as they were told last."""
        return ImagerReport(
            self.name,
            Circuit.UNKNOWN if self._door is None else self._door.value,
            None if self._temperature_c is None else self._temperature_c.value,
        )

    def is_reporting(self) -> bool:
        """Whether generator and panel have told door and temperature just now."""
        now_s = self._clock.monotonic_s()
        told = (self._door, self._temperature_c)
        return all(one is not None and one.age_s(now_s) <= REPORT_LIMIT_S for one in told)

    def start(self) -> None:
        """Begin to connect; returns at once."""
        self.generator.start()
        self.panel.start()

    async def close(self) -> None:
        """End the links; the generator switches X-rays off by itself when its link goes."""
        await self.generator.close()
        await self.panel.close()

    async def prepare(self, exposure_id: int, technique: Technique, *, window_s: float) -> None:
        """Arm the panel for ``window_s`` and make the tube ready.

        Raises
        ------
        ImagerSilent, ExposureFailed
        """
        self._result = None
        self._ready = None
        self._dark = None
        self._panel_fault = PanelFault.NONE
        self._is_active = True
        self._wanted = technique
        arm = Arm(command_id=1, valid_until_us=0, exposure_id=exposure_id, window_us=round(window_s * 1e6))
        ready = Prepare(
            command_id=1,
            valid_until_us=0,
            exposure_id=exposure_id,
            tube_voltage_v=round(technique.tube_voltage_kv * 1e3),
            tube_current_ua=round(technique.tube_current_ma * 1e3),
            exposure_time_us=round(technique.exposure_time_ms * 1e3),
        )
        async with self._step("connecting", self.generator):
            await self.generator.wait_up(CONNECT_S)
        async with self._step("connecting", self.panel):
            await self.panel.wait_up(CONNECT_S)
        async with self._step("arming", self.panel):
            await self.panel.command(arm, until=STARTED | DONE, timeout_s=window_s)
        async with self._step("preparing", self.generator):
            await self.generator.command(ready, until=DONE, timeout_s=window_s)

    async def expose(
        self, exposure_id: int, *, timeout_s: float, table_top: Callable[[], TableTopPosition | None]
    ) -> ExposureTaken:
        """Make the prepared exposure; returns when the X-rays are off.

        ``table_top`` is asked for the read-back position while the X-rays are on.

        Raises
        ------
        ImagerSilent, ExposureFailed
        """
        async with self._step("exposing", self.generator):
            begun_at = self._clock.utc()
            position = table_top()
            await self.generator.command(
                Expose(command_id=1, valid_until_us=0, exposure_id=exposure_id), until=DONE, timeout_s=timeout_s
            )
            if not await self.generator.changed.until(lambda: self._result is not None, timeout_s):
                raise TimeoutError
        result = self._result
        assert result is not None
        if result.exposure_id != exposure_id or result.outcome is not ExposureOutcome.COMPLETE:
            raise ExposureFailed(
                f"generator {self.name}: exposure {result.exposure_id} ended {result.outcome.name}", imager=self.name
            )
        technique = Technique(
            tube_voltage_kv=result.tube_voltage_v / 1e3,
            tube_current_ma=result.tube_current_ua / 1e3,
            exposure_time_ms=result.exposure_time_us / 1e3,
        )
        wanted = self._wanted
        for name in ("tube_voltage_kv", "tube_current_ma", "exposure_time_ms"):
            measured, asked = getattr(technique, name), getattr(wanted, name)
            if not abs(measured - asked) <= TECHNIQUE_TOLERANCE * asked:
                raise ExposureFailed(
                    f"generator {self.name}: {name} was {measured:g}, not {asked:g} as asked for", imager=self.name
                )
        return ExposureTaken(exposure_id, technique, position, begun_at)

    async def collect(self, taken: ExposureTaken, *, timeout_s: float) -> RawImage:
        """Wait for the panel's read-out and fetch the image, whole.

        Raises
        ------
        ImagerSilent, ImageIncomplete
        ExposureFailed
            When the dark frame that followed shows that the panel holds too much of an exposure.
        """
        deadline = asyncio.get_running_loop().time() + timeout_s
        async with self._step("reading out", self.panel), asyncio.timeout_at(deadline):
            ready = await self._wait_ready(taken.exposure_id)
        async with self._step("sending its image", self.panel), asyncio.timeout_at(deadline):
            name = f"image connection of {self.panel.name}"
            frame = await fetch_frame(self._image_address, ready, name=name, tap=self.image_tap)
        async with self._step("reading its dark frame", self.panel), asyncio.timeout_at(deadline):
            await self._require_little_lag(taken.exposure_id)
        self._is_active = False
        pixels = np.frombuffer(frame.pixels, dtype="<u2").reshape(frame.rows, frame.columns).astype(np.uint16)
        return RawImage(self.name, taken.exposure_id, pixels, taken.technique, taken.table_top, taken.acquired_at)

    def finish(self) -> None:
        """The exposure is over, well or not: whatever may still be armed or on is switched off."""
        if self._is_active:
            self.abort()

    def abort(self) -> None:
        """X-rays off and panel back to rest, as far as they can be reached; never an error."""
        with contextlib.suppress(DeviceError):
            self.generator.send(AbortExposure())
        with contextlib.suppress(DeviceError):
            self.panel.issue(Disarm(command_id=1, valid_until_us=0))
        self._is_active = False

    async def _require_little_lag(self, exposure_id: int) -> None:
        """A panel that lets go too slowly shows it in the first dark frame, and has earlier images in this one."""
        while self._dark is None or self._dark.exposure_id != exposure_id:
            self._require_panel_up()
            await self.panel.changed.wait()
        residual_ppm = self._dark.residual_ppm
        if residual_ppm is None or residual_ppm * 1e-4 > self._lag_limit_percent:
            shown = "not known" if residual_ppm is None else f"{residual_ppm * 1e-4:.2f} %"
            raise ExposureFailed(
                f"{self.panel.name}: the lag is {shown}, more than {self._lag_limit_percent:g} % allowed",
                imager=self.name,
                hint="Let the panel rest, then calibrate its lag; no image of it may be used.",
            )

    def _require_panel_up(self) -> None:
        if not self.panel.is_up:
            raise LinkLost(f"the link to {self.panel.name} was lost during an exposure", device=self.panel.name)

    async def _wait_ready(self, exposure_id: int) -> FrameReady:
        generation = self.panel.generation
        while self._ready is None or self._ready.exposure_id != exposure_id:
            if not self.panel.is_up or self.panel.generation != generation:
                raise LinkLost(f"the link to {self.panel.name} was lost during an exposure", device=self.panel.name)
            if self._panel_fault is not PanelFault.NONE:
                raise ExposureFailed(
                    f"{self.panel.name} reports {self._panel_fault.name} while reading out", imager=self.name
                )
            await self.panel.changed.wait()
        return self._ready

    @contextlib.asynccontextmanager
    async def _step(self, doing: str, link: DeviceLink) -> AsyncIterator[None]:
        """Turns what goes wrong in one step into an error that names device and step."""
        where = {"imager": self.name, "device": link.name, "step": doing}
        try:
            yield
        except TimeoutError as error:
            raise ImagerSilent(f"{link.name} did not finish {doing} in time", **where) from error
        except LinkLost as error:
            raise ImagerSilent(f"{link.name} fell silent while {doing}: {error.message}", **where) from error
        except FrameError as error:
            raise ImageIncomplete(f"{link.name}: {error.message}", **where) from error
        except DeviceRefused as error:
            fault = _fault_name(link, int(error.facts.get("detail", 0)))
            raise ExposureFailed(f"{error.message}{fault} while {doing}", **where) from error

    def _on_generator(self, message: Message, now_s: float) -> None:
        if isinstance(message, ExposureResult):
            self._result = message
        elif isinstance(message, GeneratorRoom):
            self._door = Observation(DOORS.get(message.door, Circuit.UNKNOWN), now_s)
            self._on_report()

    def _on_panel(self, message: Message, now_s: float) -> None:
        if isinstance(message, FrameReady):
            self._ready = message
        elif isinstance(message, DarkFrame):
            self._dark = message
        elif isinstance(message, PanelState):
            self._panel_fault = message.fault
            millidegrees = message.temperature_mdeg_c
            self._temperature_c = Observation(None if millidegrees is None else millidegrees / 1000, now_s)


def _opener(address: TcpAddress, name: str) -> Callable[[], Awaitable[Transport]]:
    async def open_line() -> Transport:
        return await TcpTransport.open(address.host, address.port, name=name)

    return open_line


def _fault_name(link: DeviceLink, detail: int) -> str:
    faults = GeneratorFault if link.session.kind is DeviceKind.GENERATOR else PanelFault
    with contextlib.suppress(ValueError):
        fault = faults(detail)
        return "" if fault == 0 else f" ({fault.name})"
    return ""
