"""Generator, panel and pendant firmware, with a clock that the test moves."""

from __future__ import annotations

import pytest

from isoalign.clock import ManualClock
from isoalign.protocol import HostSession, ImageFrame, Message
from isoalign.protocol.messages import (
    AbortExposure,
    Arm,
    BarPosition,
    CommandReason,
    CommandStatus,
    DarkFrame,
    DeviceKind,
    Disarm,
    Expose,
    ExposureOutcome,
    ExposureResult,
    FrameReady,
    GeneratorFault,
    GeneratorPhase,
    GeneratorRoom,
    GeneratorState,
    PanelFault,
    PanelPhase,
    PanelState,
    PendantState,
    Prepare,
    ReadDark,
    RoomDoor,
)
from isoalign.simulators.generator_firmware import GeneratorFirmware, MeasuredExposure
from isoalign.simulators.panel_firmware import PanelFirmware
from isoalign.simulators.pendant import PendantFirmware
from isoalign.simulators.tcp_device import Firmware

TICK_S = 0.01
ROWS, COLUMNS = 6, 4


class Link:
    """A firmware and a host, in 10 ms ticks."""

    def __init__(self, kind: DeviceKind, firmware: Firmware, clock: ManualClock) -> None:
        self.firmware = firmware
        self.host = HostSession(kind)
        self.heard: list[Message] = []
        self.alive = True
        self._clock = clock
        self.host.connect(clock.monotonic_s())

    def tick(self) -> None:
        now_s = self._clock.monotonic_s()
        if self.alive:
            self.host.poll(now_s)
            self.firmware.receive(self.host.take_output(), now_s)
        self.firmware.step(now_s)
        data = self.firmware.take_output()
        if self.alive:
            self.heard += self.host.feed(data, now_s)

    def issue(self, command: Message) -> int:
        number = self.host.issue(command, self._clock.monotonic_s())
        self.tick()
        return number

    def outcome(self, number: int) -> tuple[CommandStatus, CommandReason]:
        progress = self.host.progress(number)
        assert progress is not None
        return progress.status, progress.reason

    def latest(self, kind: type[Message]) -> Message:
        return next(message for message in reversed(self.heard) if isinstance(message, kind))


class Imager:
    """Generator and panel under one roof, with a picture that is all sevens."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.clock.advance(10.0)
        now_s = self.clock.monotonic_s()
        self.measured: list[MeasuredExposure] = []
        self.frames: list[ImageFrame] = []
        self.dark_read_outs = 0
        self.panel = PanelFirmware(
            now_s=now_s,
            rows=ROWS,
            columns=COLUMNS,
            on_read_out=self.measured.append,
            on_frame=self.frames.append,
            on_read_dark=self._count_dark,
        )
        self.generator = GeneratorFirmware(
            now_s=now_s, seed=1, on_xrays=self.panel.xrays, on_xrays_over=self.panel.xrays_over
        )
        self.g = Link(DeviceKind.GENERATOR, self.generator, self.clock)
        self.p = Link(DeviceKind.PANEL, self.panel, self.clock)
        self.run(0.1)

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds / TICK_S)):
            self.clock.advance(TICK_S)
            self.g.tick()
            self.p.tick()

    def _count_dark(self) -> None:
        self.dark_read_outs += 1

    def read_dark(self, number: int = 9) -> int:
        return self.p.issue(ReadDark(command_id=1, valid_until_us=0, exposure_id=number))

    def arm(self, exposure_id: int = 5, window_us: int = 5_000_000) -> int:
        return self.p.issue(Arm(command_id=1, valid_until_us=0, exposure_id=exposure_id, window_us=window_us))

    def prepare(self, exposure_id: int = 5, exposure_time_us: int = 50_000, tube_current_ua: int = 100_000) -> int:
        return self.g.issue(
            Prepare(
                command_id=1,
                valid_until_us=0,
                exposure_id=exposure_id,
                tube_voltage_v=100_000,
                tube_current_ua=tube_current_ua,
                exposure_time_us=exposure_time_us,
            )
        )

    def expose(self, exposure_id: int = 5) -> int:
        return self.g.issue(Expose(command_id=1, valid_until_us=0, exposure_id=exposure_id))

    def read_out(self) -> None:
        self.panel.frame_read(b"\x07\x00" * (ROWS * COLUMNS), self.clock.monotonic_s())


@pytest.fixture
def imager() -> Imager:
    return Imager()


@pytest.fixture
def exposed(imager: Imager) -> Imager:
    """An imager whose panel is reading out."""
    imager.arm()
    imager.prepare()
    imager.run(1.3)
    imager.expose()
    imager.run(0.1)
    assert imager.panel.phase is PanelPhase.READING
    return imager


def test_an_exposure_makes_one_frame(exposed: Imager) -> None:
    result = exposed.g.latest(ExposureResult)
    assert isinstance(result, ExposureResult)
    assert result.outcome is ExposureOutcome.COMPLETE
    assert result.exposure_id == 5
    assert result.tube_voltage_v == pytest.approx(100_000, rel=0.02)
    assert result.tube_current_ua == pytest.approx(100_000, rel=0.04)
    assert result.exposure_time_us == pytest.approx(50_000, rel=0.03)
    assert result.tube_voltage_v != 100_000
    exposed.read_out()
    exposed.run(0.05)
    ready = exposed.p.latest(FrameReady)
    assert isinstance(ready, FrameReady)
    assert (ready.exposure_id, ready.rows, ready.columns) == (5, ROWS, COLUMNS)
    (frame,) = exposed.frames
    assert (frame.exposure_id, frame.frame_id, frame.pixels_crc) == (5, ready.frame_id, ready.pixels_crc)
    exposed.panel.release(frame.frame_id)
    assert exposed.panel.frame is None


def test_the_tube_takes_its_time_to_be_ready(imager: Imager) -> None:
    number = imager.prepare()
    imager.run(0.7)
    assert imager.g.outcome(number)[0] is CommandStatus.STARTED
    assert imager.g.outcome(imager.expose()) == (CommandStatus.REJECTED, CommandReason.WRONG_PHASE)
    imager.run(0.6)
    assert imager.g.outcome(number)[0] is CommandStatus.DONE
    imager.run(10.1)
    assert imager.generator.phase is GeneratorPhase.IDLE


def test_another_exposure_than_prepared_is_refused(imager: Imager) -> None:
    imager.prepare(5)
    imager.run(1.3)
    assert imager.g.outcome(imager.expose(6)) == (CommandStatus.REJECTED, CommandReason.WRONG_EXPOSURE)


def test_a_panel_that_is_not_armed_has_no_frame(imager: Imager) -> None:
    imager.prepare()
    imager.run(1.3)
    imager.expose()
    imager.run(0.2)
    assert imager.measured == []
    assert imager.panel.phase is PanelPhase.IDLE


def test_a_panel_waits_only_so_long(imager: Imager) -> None:
    number = imager.arm(window_us=500_000)
    assert imager.p.outcome(number)[0] is CommandStatus.STARTED
    assert imager.p.outcome(imager.arm(6)) == (CommandStatus.REJECTED, CommandReason.BUSY)
    imager.run(0.6)
    progress = imager.p.host.progress(number)
    assert progress is not None
    assert (progress.reason, progress.detail) == (CommandReason.DEVICE_FAULT, PanelFault.NO_EXPOSURE)


def test_disarm_loses_the_frame(exposed: Imager) -> None:
    exposed.p.issue(Disarm(command_id=1, valid_until_us=0))
    exposed.read_out()
    assert exposed.frames == []


def test_a_failed_read_out_is_told(exposed: Imager) -> None:
    exposed.panel.read_out_failed(exposed.clock.monotonic_s())
    exposed.run(0.1)
    state = exposed.p.latest(PanelState)
    assert isinstance(state, PanelState)
    assert state.fault is PanelFault.READOUT_FAILED
    assert exposed.frames == []


def test_abort_ends_the_xrays_and_gives_no_frame(imager: Imager) -> None:
    imager.arm()
    imager.prepare(exposure_time_us=1_000_000)
    imager.run(1.3)
    number = imager.expose()
    imager.run(0.3)
    imager.g.host.send(AbortExposure(), imager.clock.monotonic_s())
    imager.run(0.05)
    assert imager.g.outcome(number) == (CommandStatus.ABORTED, CommandReason.ABORT_COMMAND)
    result = imager.g.latest(ExposureResult)
    assert isinstance(result, ExposureResult)
    assert result.outcome is ExposureOutcome.ABORTED
    assert 200_000 < result.exposure_time_us < 450_000
    assert imager.measured == []
    assert imager.panel.fault is PanelFault.NO_EXPOSURE


def test_a_lost_host_ends_the_xrays(imager: Imager) -> None:
    imager.prepare(exposure_time_us=2_000_000)
    imager.run(1.3)
    imager.expose()
    imager.g.alive = False
    imager.run(0.6)
    assert imager.generator.phase is GeneratorPhase.IDLE
    assert not imager.generator.session.is_open


def test_a_closed_connection_disarms(imager: Imager) -> None:
    imager.arm()
    imager.panel.connection_lost(imager.clock.monotonic_s())
    assert imager.panel.phase is PanelPhase.IDLE


def test_the_anode_heats_cools_and_refuses(imager: Imager) -> None:
    exposures = 0
    for _ in range(10):
        number = imager.prepare(exposure_time_us=2_000_000, tube_current_ua=300_000)
        imager.run(1.3)
        if imager.g.outcome(number) == (CommandStatus.REJECTED, CommandReason.TUBE_HOT):
            break
        imager.expose()
        imager.run(2.1)
        exposures += 1
    assert 3 <= exposures <= 4  # 60 kJ each of 220 kJ
    hot = imager.generator.heat_permille(imager.clock.monotonic_s())
    imager.clock.advance(180.0)
    cool = imager.generator.heat_permille(imager.clock.monotonic_s())
    assert cool == pytest.approx(hot / 2.71828, rel=0.02)


def test_the_fault_no_ready(imager: Imager) -> None:
    imager.generator.faults.add("no_ready")
    number = imager.prepare()
    imager.run(3.1)
    progress = imager.g.host.progress(number)
    assert progress is not None
    assert (progress.reason, progress.detail) == (CommandReason.DEVICE_FAULT, GeneratorFault.NO_READY)


def test_the_fault_expose_fails(imager: Imager) -> None:
    imager.generator.faults.add("expose_fails")
    imager.arm()
    imager.prepare()
    imager.run(1.3)
    number = imager.expose()
    imager.run(0.1)
    assert imager.g.outcome(number) == (CommandStatus.ABORTED, CommandReason.DEVICE_FAULT)
    result = imager.g.latest(ExposureResult)
    assert isinstance(result, ExposureResult)
    assert (result.outcome, result.tube_voltage_v, result.exposure_time_us) == (ExposureOutcome.FAILED, 0, 0)
    assert imager.panel.phase is PanelPhase.ARMED
    assert imager.measured == []


def test_an_exposure_that_hangs_ends_by_abort_only(imager: Imager) -> None:
    imager.generator.faults.add("expose_hangs")
    imager.arm()
    imager.prepare()
    imager.run(1.3)
    number = imager.expose()
    imager.run(10.0)
    assert imager.generator.phase is GeneratorPhase.EXPOSING
    assert imager.g.outcome(number)[0] is CommandStatus.STARTED
    imager.g.host.send(AbortExposure(), imager.clock.monotonic_s())
    imager.run(0.05)
    assert imager.generator.phase is GeneratorPhase.IDLE
    assert imager.measured == []


@pytest.mark.parametrize(("voltage", "current"), [(1.11, 1.0), (0.89, 1.0), (1.0, 1.2), (1.0, 0.5)])
def test_a_wrong_voltage_or_current_is_a_failed_exposure(imager: Imager, voltage: float, current: float) -> None:
    imager.generator.voltage_factor, imager.generator.current_factor = voltage, current
    imager.arm()
    imager.prepare()
    imager.run(1.3)
    number = imager.expose()
    imager.run(0.1)
    assert imager.g.outcome(number) == (CommandStatus.ABORTED, CommandReason.DEVICE_FAULT)
    result = imager.g.latest(ExposureResult)
    assert isinstance(result, ExposureResult)
    assert result.outcome is ExposureOutcome.FAILED
    assert result.tube_voltage_v == pytest.approx(100_000 * voltage, rel=0.02)
    assert result.tube_current_ua == pytest.approx(100_000 * current, rel=0.04)
    assert imager.measured == []


def test_a_wrong_voltage_that_nobody_watches_is_measured(imager: Imager) -> None:
    imager.generator.voltage_factor = 1.25
    imager.generator.faults.add("technique_unwatched")
    imager.arm()
    imager.prepare()
    imager.run(1.3)
    imager.expose()
    imager.run(0.1)
    assert imager.measured[0].outcome is ExposureOutcome.COMPLETE
    assert imager.measured[0].tube_voltage_v == pytest.approx(125_000, rel=0.02)


def read_again(imager: Imager, exposure_id: int, value: bytes) -> None:
    """Another whole exposure."""
    imager.arm(exposure_id)
    imager.prepare(exposure_id)
    imager.run(1.3)
    imager.expose(exposure_id)
    imager.run(0.1)
    imager.panel.frame_read(value * (ROWS * COLUMNS), imager.clock.monotonic_s())
    imager.run(0.05)


# fault; what is announced: exposure, and whether its checksum is that of the frame sent; frames sent: exposure, pixels
OF_THE_PANEL = [
    ("torn_frame", [(6, False)], [(6, b"\x08\x00" * 12 + b"\x07\x00" * 12)]),
    ("duplicate_frame", [(6, True)] * 2, [(6, b"\x08\x00" * 24)] * 2),
    ("stale_image", [(6, False)], [(5, b"\x07\x00" * 24)]),
    ("wrong_exposure", [(7, True)], [(7, b"\x08\x00" * 24)]),
]


@pytest.mark.parametrize(("fault", "announced", "sent"), OF_THE_PANEL)
def test_what_a_broken_panel_announces_and_sends(
    exposed: Imager, fault: str, announced: list[tuple[int, bool]], sent: list[tuple[int, bytes]]
) -> None:
    exposed.read_out()
    exposed.run(0.05)
    exposed.frames.clear()
    exposed.p.heard.clear()
    exposed.panel.faults.add(fault)
    read_again(exposed, 6, b"\x08\x00")
    assert [(frame.exposure_id, frame.pixels) for frame in exposed.frames] == sent
    ready = [message for message in exposed.p.heard if isinstance(message, FrameReady)]
    fits = [one.pixels_crc == frame.pixels_crc for one, frame in zip(ready, exposed.frames, strict=True)]
    assert list(zip([one.exposure_id for one in ready], fits, strict=True)) == announced


def test_a_broken_panel_offers_the_frame_before_after_a_failed_exposure(exposed: Imager) -> None:
    exposed.read_out()
    exposed.frames.clear()
    exposed.panel.faults.add("stale_image")
    exposed.generator.voltage_factor = 1.25
    exposed.arm(6)
    exposed.prepare(6)
    exposed.run(1.3)
    exposed.expose(6)
    exposed.run(0.1)
    assert [frame.exposure_id for frame in exposed.frames] == [5]
    ready = exposed.p.latest(FrameReady)
    assert isinstance(ready, FrameReady)
    assert ready.exposure_id == 5


@pytest.mark.parametrize("device", ["generator", "panel"])
def test_the_fault_silent(imager: Imager, device: str) -> None:
    link = imager.g if device == "generator" else imager.p
    getattr(imager, device).faults.add("silent")
    before = len(link.heard)
    imager.run(1.0)
    assert len(link.heard) == before


def test_states_come_twenty_times_a_second(imager: Imager) -> None:
    imager.g.heard.clear()
    imager.p.heard.clear()
    imager.run(1.0)
    for link, kind in ((imager.g, GeneratorState), (imager.p, PanelState)):
        assert sum(isinstance(message, kind) for message in link.heard) == pytest.approx(20, abs=4)


class Thumb:
    """A pendant and its host."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.pendant = PendantFirmware(now_s=0.0, press_count=10)
        self.link = Link(DeviceKind.PENDANT, self.pendant, self.clock)
        self.run(0.1)

    def run(self, seconds: float) -> list[PendantState]:
        self.link.heard.clear()
        for _ in range(round(seconds / TICK_S)):
            self.clock.advance(TICK_S)
            self.link.tick()
        return [message for message in self.link.heard if isinstance(message, PendantState)]

    def do(self, what: str) -> PendantState:
        getattr(self.pendant, what)(self.clock.monotonic_s())
        return self.run(0.06)[-1]


def test_the_token_advances_only_while_the_switch_is_held() -> None:
    thumb = Thumb()
    states = thumb.run(0.5)
    assert {state.token_counter for state in states} == {thumb.pendant.token_counter}
    pressed = thumb.do("press")
    assert (pressed.bar, pressed.press_count) == (BarPosition.ENABLED, 11)
    counters = [state.token_counter for state in thumb.run(1.0)]
    assert counters == sorted(set(counters))
    assert len(counters) == pytest.approx(20, abs=4)
    released = thumb.do("release")
    assert (released.bar, released.press_count) == (BarPosition.RELEASED, 11)
    assert {state.token_counter for state in thumb.run(0.5)} == {released.token_counter}


def test_a_squeezed_switch_enables_again_only_after_release() -> None:
    thumb = Thumb()
    thumb.do("press")
    assert thumb.do("squeeze").bar is BarPosition.SQUEEZED
    assert thumb.do("press").bar is BarPosition.SQUEEZED
    thumb.do("release")
    again = thumb.do("press")
    assert (again.bar, again.press_count) == (BarPosition.ENABLED, 12)


def test_a_change_is_told_at_once() -> None:
    thumb = Thumb()
    while not thumb.run(0.01):  # just after a state: the next one in turn is 50 ms away
        pass
    thumb.pendant.press(thumb.clock.monotonic_s())
    assert [state.bar for state in thumb.run(0.01)] == [BarPosition.ENABLED]


def test_pendant_faults() -> None:
    thumb = Thumb()
    thumb.do("press")
    thumb.pendant.faults.add("token_stuck")
    assert len({state.token_counter for state in thumb.run(0.5)}) == 1
    thumb.pendant.faults.add("freeze")
    assert thumb.run(0.5) == []


def test_a_switch_that_sticks_stays_where_it_is() -> None:
    thumb = Thumb()
    pressed = thumb.do("press")
    thumb.pendant.faults.add("bar_stuck")
    for what in ("release", "squeeze", "press"):
        stuck = thumb.do(what)
        assert (stuck.bar, stuck.press_count) == (BarPosition.ENABLED, pressed.press_count)
    thumb.pendant.faults.clear()
    assert thumb.do("release").bar is BarPosition.RELEASED
    thumb.pendant.faults.add("bar_stuck")
    assert thumb.do("press").bar is BarPosition.RELEASED


def test_the_door_is_told_and_an_open_one_refuses_to_prepare(imager: Imager) -> None:
    room = imager.g.latest(GeneratorRoom)
    assert isinstance(room, GeneratorRoom)
    assert room.door is RoomDoor.CLOSED
    assert room.housing_temperature_mdeg_c == 25_000
    imager.generator.door_is_open = True
    imager.run(0.01)
    room = imager.g.latest(GeneratorRoom)
    assert isinstance(room, GeneratorRoom)
    assert room.door is RoomDoor.OPEN
    number = imager.prepare()
    progress = imager.g.host.progress(number)
    assert progress is not None
    assert (progress.status, progress.reason) == (CommandStatus.REJECTED, CommandReason.DEVICE_FAULT)
    assert progress.detail == GeneratorFault.DOOR_OPEN


def test_a_door_that_opens_switches_the_xrays_off(imager: Imager) -> None:
    """The host hears of the door first; half a dose is no image."""
    imager.arm()
    imager.prepare(exposure_time_us=1_000_000)
    imager.run(1.3)
    number = imager.expose()
    imager.generator.door_opens_at = 0.4
    imager.run(0.35)
    assert imager.generator.phase is GeneratorPhase.EXPOSING
    imager.g.heard.clear()
    imager.run(0.1)
    assert imager.generator.phase is GeneratorPhase.IDLE
    opened = [one for one in imager.g.heard if isinstance(one, GeneratorRoom) and one.door is RoomDoor.OPEN]
    assert imager.g.heard.index(opened[0]) < imager.g.heard.index(imager.g.latest(ExposureResult))
    result = imager.g.latest(ExposureResult)
    assert isinstance(result, ExposureResult)
    assert result.outcome is ExposureOutcome.FAILED
    assert result.exposure_time_us == pytest.approx(410_000, abs=30_000)
    assert imager.g.outcome(number) == (CommandStatus.ABORTED, CommandReason.DEVICE_FAULT)
    assert imager.measured == []


@pytest.mark.parametrize("wait_s", [0.1, 1.3])
def test_a_door_that_opens_before_the_exposure_ends_what_was_prepared(imager: Imager, wait_s: float) -> None:
    imager.prepare()
    imager.run(wait_s)
    imager.generator.door_is_open = True
    imager.run(0.05)
    assert imager.generator.phase is GeneratorPhase.IDLE
    assert imager.g.outcome(imager.expose()) == (CommandStatus.REJECTED, CommandReason.WRONG_PHASE)


def test_the_housing_warms_with_the_anode(imager: Imager) -> None:
    imager.generator.heat_to(0.5, imager.clock.monotonic_s())
    imager.run(0.1)
    room = imager.g.latest(GeneratorRoom)
    assert isinstance(room, GeneratorRoom)
    assert room.housing_temperature_mdeg_c == pytest.approx(42_500, abs=50)


def test_a_panel_that_is_too_hot_is_not_armed(imager: Imager) -> None:
    imager.panel.temperature_c = 50.1
    number = imager.arm()
    progress = imager.p.host.progress(number)
    assert progress is not None
    assert (progress.reason, progress.detail) == (CommandReason.DEVICE_FAULT, PanelFault.TOO_HOT)
    imager.run(0.1)
    state = imager.p.latest(PanelState)
    assert isinstance(state, PanelState)
    assert state.temperature_mdeg_c == 50_100


def test_every_frame_is_followed_by_what_a_dark_one_shows(exposed: Imager) -> None:
    pixels = (1000).to_bytes(2, "little") * (ROWS * COLUMNS)
    exposed.panel.frame_read(pixels, exposed.clock.monotonic_s())
    exposed.run(0.2)
    (dark,) = [message for message in exposed.p.heard if isinstance(message, DarkFrame)]
    assert dark.exposure_id == 5
    # 1/15 s later: 0.22 % with 0.1 s, 0.08 % with 0.6 s, 0.03 % with 4 s, 0.02 % with 30 s; ticks of 10 ms
    assert dark.residual_ppm == pytest.approx(2338, abs=100)


def test_a_dark_frame_comes_when_it_is_asked_for(imager: Imager) -> None:
    number = imager.read_dark()
    assert imager.p.outcome(number) == (CommandStatus.STARTED, CommandReason.NONE)
    assert (imager.panel.phase, imager.dark_read_outs) == (PanelPhase.READING, 1)
    imager.read_out()
    imager.run(0.2)
    assert imager.p.outcome(number) == (CommandStatus.DONE, CommandReason.NONE)
    ready = imager.p.latest(FrameReady)
    assert isinstance(ready, FrameReady)
    assert ready.exposure_id == 9
    (frame,) = imager.frames
    assert (frame.exposure_id, frame.pixels) == (9, b"\x07\x00" * (ROWS * COLUMNS))
    assert imager.measured == []
    assert not [message for message in imager.p.heard if isinstance(message, DarkFrame)]


def test_a_dark_frame_shows_what_an_exposure_has_left_and_leaves_nothing(exposed: Imager) -> None:
    """0.34 % are trapped at once; 0.1 s later 0.0022/e + 0.0008 exp(-1/6) + 0.0005 of 59 820 counts are left."""
    bright, dark = ((counts).to_bytes(2, "little") * (ROWS * COLUMNS) for counts in (60_000, 180))
    exposed.panel.frame_read(bright, exposed.clock.monotonic_s())
    exposed.run(0.1)
    shown = []
    for number in (20, 21):
        exposed.read_dark(number)
        exposed.panel.frame_read(dark, exposed.clock.monotonic_s())
        shown.append(int.from_bytes(exposed.frames[-1].pixels[:2], "little") - 180)
    assert shown[0] == pytest.approx(59_820 * (0.0022 / 2.718 + 0.0008 * 0.846 + 0.0005), rel=0.1)
    assert 0 < shown[1] <= shown[0]
    exposed.run(120.0)
    exposed.read_dark(22)
    exposed.panel.frame_read(dark, exposed.clock.monotonic_s())
    assert int.from_bytes(exposed.frames[-1].pixels[:2], "little") - 180 <= 1


def test_a_panel_that_is_busy_or_hot_reads_no_dark_frame(imager: Imager) -> None:
    imager.arm()
    assert imager.p.outcome(imager.read_dark())[1] is CommandReason.BUSY
    imager.p.issue(Disarm(command_id=1, valid_until_us=0))
    imager.panel.temperature_c = 60.0
    assert imager.p.outcome(imager.read_dark())[1] is CommandReason.DEVICE_FAULT
    assert imager.dark_read_outs == 0


def test_a_dark_frame_that_fails_is_told(imager: Imager) -> None:
    number = imager.read_dark()
    imager.panel.read_out_failed(imager.clock.monotonic_s())
    imager.run(0.1)
    assert imager.p.outcome(number) == (CommandStatus.ABORTED, CommandReason.DEVICE_FAULT)
    assert imager.frames == []
