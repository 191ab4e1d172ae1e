"""The panel's firmware: arms, integrates while X-rays are on, reads out, offers the frame; dark frames when asked."""

from __future__ import annotations

import math
from collections.abc import Callable

from isoalign.protocol import DeviceIdentity, DeviceSession, ImageFrame, Message, next_counter
from isoalign.protocol.messages import (
    PANEL_HEARTBEAT_EXPIRY_US,
    PANEL_STATE_PERIOD_US,
    Arm,
    Capability,
    CommandReason,
    CommandStatus,
    DarkFrame,
    DeviceKind,
    Disarm,
    ExposureOutcome,
    FrameReady,
    Hello,
    PanelFault,
    PanelPhase,
    PanelState,
    ReadDark,
)
from isoalign.simulators.generator_firmware import MeasuredExposure
from isoalign.simulators.panel_lag import PanelLag

TEMPERATURE_C = 31.5
TEMPERATURE_MAX_C = 50.0
"""A panel that is hotter takes no image; the host refuses one before that."""
DARK_FRAME_S = 1 / 15


class PanelFirmware:
    """One flat panel.

    Parameters
    ----------
    now_s : float
        The time at which the device boots.
    rows, columns : int
        Size of a frame.
    on_read_out : callable
        Called when the panel begins to read out, with what the generator measured; whoever makes the image answers
        with :meth:`frame_read` or :meth:`read_out_failed`.
    on_frame : callable
        Called with a frame that is to be offered on the image connection.
    on_read_dark : callable
        Called when the panel begins to read out a frame without X-rays; answered like ``on_read_out``.

    Attributes
    ----------
    faults : set of str
        ``silent``, ``torn_frame`` (the lower half is of the frame before), ``duplicate_frame`` (announced and sent
        twice), ``stale_image`` (the frame before is offered again, also after a failed exposure), ``wrong_exposure``
        (announced and sent under another exposure's number).
    frame : ImageFrame or None
        The latest frame, until the host releases it or arms anew.
    temperature_c : float
    lag : PanelLag
    """

    def __init__(
        self,
        *,
        now_s: float,
        rows: int,
        columns: int,
        serial_number: str = "SIM-PANEL",
        on_read_out: Callable[[MeasuredExposure], None] = lambda _measured: None,
        on_frame: Callable[[ImageFrame], None] = lambda _frame: None,
        on_read_dark: Callable[[], None] = lambda: None,
    ) -> None:
        self.session = DeviceSession(
            DeviceIdentity(
                kind=DeviceKind.PANEL,
                capabilities=Capability.IMAGES,
                serial_number=serial_number,
                heartbeat_expiry_us=PANEL_HEARTBEAT_EXPIRY_US,
                state_period_us=PANEL_STATE_PERIOD_US,
            ),
            boot_s=now_s,
        )
        self.faults: set[str] = set()
        self.phase = PanelPhase.IDLE
        self.fault = PanelFault.NONE
        self.frame: ImageFrame | None = None
        self.temperature_c = TEMPERATURE_C
        self.lag = PanelLag()
        self._dark_frame_of = 0
        self._dark_frame_s = math.inf
        self.rows, self.columns = rows, columns
        self._on_read_out = on_read_out
        self._on_frame = on_frame
        self._on_read_dark = on_read_dark
        self._armed: Arm | ReadDark | None = None
        self._window_ends_s = math.inf
        self._frame_id = 0
        self._before: ImageFrame | None = None
        self._state_count = 0
        self._next_state_s = now_s

    @property
    def exposure_id(self) -> int:
        """Exposure that the panel was armed for last, or dark frame that it was asked for; 0 before the first."""
        return self._armed.exposure_id if self._armed else 0

    def receive(self, data: bytes, now_s: float) -> None:
        """Take received bytes."""
        if "silent" in self.faults:
            return
        for message in self.session.feed(data, now_s):
            self._act(message, now_s)

    def step(self, now_s: float) -> None:
        """Let time pass."""
        if self.session.poll(now_s) is not None:
            self.phase = PanelPhase.IDLE
        if self.phase is PanelPhase.ARMED and now_s >= self._window_ends_s:
            self._fail(PanelFault.NO_EXPOSURE, now_s)
        if now_s >= self._dark_frame_s:
            self._dark_frame_s = math.inf
            residual_ppm = self.lag.residual_ppm(now_s)
            self.session.send(DarkFrame(exposure_id=self._dark_frame_of, residual_ppm=residual_ppm), now_s)
        if now_s >= self._next_state_s:
            self._next_state_s = now_s + PANEL_STATE_PERIOD_US * 1e-6
            self._state_count = next_counter(self._state_count)
            self.session.send(self._state(now_s), now_s)

    def take_output(self) -> bytes:
        """The bytes to be sent."""
        data = self.session.take_output()
        return b"" if "silent" in self.faults else data

    def connection_lost(self, now_s: float) -> None:  # noqa: ARG002
        """The host went away: disarm."""
        self.session.connection_lost()
        self.phase = PanelPhase.IDLE

    def xrays(self, exposure_id: int, now_s: float) -> None:  # noqa: ARG002
        """X-rays hit the panel. What reaches a panel that is not armed leaves no trace."""
        if self.phase is PanelPhase.ARMED:
            self.phase = PanelPhase.INTEGRATING

    def xrays_over(self, measured: MeasuredExposure, now_s: float) -> None:
        """X-rays have ended; a short dose is still an image."""
        if self.phase is not PanelPhase.INTEGRATING:
            return
        if measured.outcome is ExposureOutcome.COMPLETE:
            self.phase = PanelPhase.READING
            self._on_read_out(measured)
        elif "stale_image" in self.faults and self._before is not None:
            self.phase = PanelPhase.IDLE
            self.frame = self._before
            self._announce(self._before, now_s)
            self._on_frame(self._before)
        else:
            self._fail(PanelFault.NO_EXPOSURE, now_s)

    def frame_read(self, pixels: bytes, now_s: float) -> None:
        """The pixels of the frame: rows x columns, unsigned 16 bit, little-endian."""
        if self.phase is not PanelPhase.READING or self._armed is None:
            return
        exposure_id = self._armed.exposure_id
        if isinstance(self._armed, ReadDark):
            pixels = self.lag.read(pixels, now_s)
        else:
            pixels = self.lag.expose(pixels, now_s)
            self._dark_frame_of, self._dark_frame_s = exposure_id, now_s + DARK_FRAME_S
        before, frame_id = self._before, self.next_frame_id()
        made = ImageFrame(frame_id, exposure_id, self.rows, self.columns, pixels)
        self._before = made
        announced = sent = made
        if "wrong_exposure" in self.faults:
            announced = sent = ImageFrame(self._frame_id, exposure_id + 1, self.rows, self.columns, pixels)
        elif "stale_image" in self.faults and before is not None:
            sent = before
        elif "torn_frame" in self.faults:
            upper = pixels[: len(pixels) // 2]
            lower = bytes(len(pixels)) if before is None else before.pixels
            torn = upper + lower[len(upper) :]
            sent = ImageFrame(self._frame_id, exposure_id, self.rows, self.columns, torn)
        self.frame = sent
        self.phase = PanelPhase.IDLE
        for _ in range(2 if "duplicate_frame" in self.faults else 1):
            self._announce(announced, now_s)
            self._on_frame(sent)
        self.session.report(self._armed.command_id, CommandStatus.DONE, now_s)

    def _announce(self, frame: ImageFrame, now_s: float) -> None:
        self.session.send(
            FrameReady(
                frame_id=frame.frame_id,
                exposure_id=frame.exposure_id,
                rows=frame.rows,
                columns=frame.columns,
                pixels_crc=frame.pixels_crc,
            ),
            now_s,
        )

    def read_out_failed(self, now_s: float) -> None:
        """There will be no frame."""
        if self.phase is PanelPhase.READING:
            self._fail(PanelFault.READOUT_FAILED, now_s)

    def next_frame_id(self) -> int:
        """A number for a frame that is read out now."""
        self._frame_id = next_counter(self._frame_id) or 1
        return self._frame_id

    def release(self, frame_id: int) -> None:
        """The host has the frame."""
        if self.frame is not None and self.frame.frame_id == frame_id:
            self.frame = None

    def _act(self, message: Message, now_s: float) -> None:
        if isinstance(message, Hello):
            self.phase = PanelPhase.IDLE
            self._next_state_s = now_s
        elif isinstance(message, Arm):
            self._arm(message, now_s)
        elif isinstance(message, ReadDark):
            self._read_dark(message, now_s)
        elif isinstance(message, Disarm):
            if self.phase is not PanelPhase.IDLE and self._armed is not None:
                self.session.report(
                    self._armed.command_id, CommandStatus.ABORTED, now_s, reason=CommandReason.ABORT_COMMAND
                )
            self.phase = PanelPhase.IDLE
            self.session.report(message.command_id, CommandStatus.DONE, now_s)

    def _arm(self, command: Arm, now_s: float) -> None:
        if self._take(command, now_s):
            self.phase = PanelPhase.ARMED
            self._window_ends_s = now_s + command.window_us * 1e-6

    def _read_dark(self, command: ReadDark, now_s: float) -> None:
        if self._take(command, now_s):
            self.phase = PanelPhase.READING
            self._on_read_dark()

    def _take(self, command: Arm | ReadDark, now_s: float) -> bool:
        """Begin with a command that the panel can carry out; refuse any other."""
        if self.temperature_c > TEMPERATURE_MAX_C:
            self.fault = PanelFault.TOO_HOT
            reason, detail = CommandReason.DEVICE_FAULT, int(self.fault)
            self.session.report(command.command_id, CommandStatus.REJECTED, now_s, reason=reason, detail=detail)
            return False
        if self.phase is not PanelPhase.IDLE:
            self.session.report(command.command_id, CommandStatus.REJECTED, now_s, reason=CommandReason.BUSY)
            return False
        self._armed = command
        self.frame = None
        self.fault = PanelFault.NONE
        self.session.report(command.command_id, CommandStatus.ACCEPTED, now_s)
        self.session.report(command.command_id, CommandStatus.STARTED, now_s)
        return True

    def _fail(self, fault: PanelFault, now_s: float) -> None:
        self.phase = PanelPhase.IDLE
        self.fault = fault
        if self._armed is not None:
            self.session.report(
                self._armed.command_id,
                CommandStatus.ABORTED,
                now_s,
                reason=CommandReason.DEVICE_FAULT,
                detail=int(fault),
            )

    def _state(self, now_s: float) -> PanelState:
        return PanelState(
            device_time_us=self.session.device_time_us(now_s),
            state_count=self._state_count,
            phase=self.phase,
            fault=self.fault,
            exposure_id=self.exposure_id,
            frame_id=self._frame_id,
            rows=self.rows,
            columns=self.columns,
            temperature_mdeg_c=round(self.temperature_c * 1000),
            last_command_id=self.session.commands.last_id,
            last_command_status=self.session.commands.last_status,
        )
