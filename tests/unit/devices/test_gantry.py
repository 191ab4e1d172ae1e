"""The gantry's driver against the real firmware at the other end of a socket pair, on a clock that the test moves."""

from __future__ import annotations

import asyncio
import contextlib
import math
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from isoalign.clock import ManualClock
from isoalign.devices.errors import DeviceRefused, LinkLost, StaleState, TargetOutOfLimits
from isoalign.devices.gantry import Gantry
from isoalign.devices.gantry_reading import ConeBeamRotation, ProjectionsMissing, TriggerEvent, reading_from_state
from isoalign.devices.transport import TcpTransport, Transport
from isoalign.protocol import FrameReader, Message
from isoalign.protocol.messages import (
    BarPosition,
    CommandReason,
    CommandStatus,
    GantryClear,
    GantryEnableToken,
    GantryLatch,
    GantryMode,
    GantryState,
    GantryStatus,
    GantryStop,
    GantryStopReason,
    Heartbeat,
    ImagerArmEnd,
    ImagerArmState,
    PendantState,
    StopReason,
)
from isoalign.simulators.gantry_firmware import LIMITS, TRAVEL_DEG, GantryFirmware
from isoalign.simulators.gantry_physics import GantryBody, GantryPhysicsParameters

TICK_S = 0.01
START_DEG = 10.0
FRESH_S = 0.1


class Bench:
    """Driver and firmware joined by sockets; a pendant and a client of whom the driver hears from the test.

    The link ticks with every turn of the event loop, so that nobody waits for real time.
    """

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.clock.advance(50.0)
        parameters = GantryPhysicsParameters(arm_travel_s=1.0)
        self.body = GantryBody(START_DEG, seed=4, now_s=self.now_s, parameters=parameters, arm=1.0)
        self.firmware = GantryFirmware(self.body, now_s=self.now_s)
        self.triggers: list[TriggerEvent] = []
        self.readings = 0
        self.gantry = Gantry(
            self.open_line,
            self.clock,
            on_reading=self._count,
            on_change=lambda: None,
            on_trigger=self.triggers.append,
        )
        self.bar = BarPosition.RELEASED
        self.press_count = 3
        self.token = 10
        self.client_counter = 100
        self.forwards_token = self.forwards_client = True
        self.device_listens = True
        self.refuses_connections = False
        self.heard: list[Message] = []
        self._reader = FrameReader()
        self._line: socket.socket | None = None
        self._ticks = 0

    @property
    def now_s(self) -> float:
        return self.clock.monotonic_s()

    def _count(self) -> None:
        self.readings += 1

    async def open_line(self) -> Transport:
        if self.refuses_connections:
            raise LinkLost("refused by the test")
        ours, device = socket.socketpair()
        device.setblocking(False)
        self.hang_up()
        self._line = device
        return TcpTransport(ours, "gantry")

    def hang_up(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None
            self.firmware.connection_lost(self.now_s)

    async def tick(self) -> None:
        self._ticks += 1
        self.clock.advance(TICK_S)
        if self._ticks % 5 == 0:
            if self.forwards_client:
                self.client_counter += 1
                self.gantry.forward_client(self.client_counter)
            if self.bar is BarPosition.ENABLED:
                self.token += 1
            if self.forwards_token:
                self.gantry.forward_enable(PendantState(0, self._ticks, self.bar, self.press_count, self.token))
        await _turn()
        self._play()
        await _turn()

    def _play(self) -> None:
        data = b""
        if self._line is not None:
            with contextlib.suppress(BlockingIOError):
                data = self._line.recv(65536)
        if self.device_listens:
            self.heard += [frame.message for frame in self._reader.feed(data)]
            self.firmware.receive(data, self.now_s)
        self.firmware.step(self.now_s)
        output = self.firmware.take_output()
        if self._line is not None and output:
            self._line.send(output)

    async def run(self, seconds: float, until: Callable[[], bool] | None = None) -> None:
        for _ in range(round(seconds / TICK_S)):
            if until is not None and until():
                return
            await self.tick()
        assert until is None or until(), f"not within {seconds} s"

    async def beside(self, work: Any) -> Any:
        """Let time pass until a coroutine of the driver has ended."""
        task = asyncio.ensure_future(work)
        while not task.done():
            await self.tick()
        return task.result()

    async def press(self) -> None:
        self.bar = BarPosition.ENABLED
        self.press_count += 1
        await self.run(0.3)

    def rotate(self, target_deg: float = 40.0, speed: float = 7.0) -> int:
        start_deg = self.gantry.fresh_reading(FRESH_S).angle_deg
        assert start_deg is not None
        return self.gantry.begin_rotation(target_deg, speed_deg_per_s=speed, expected_start_deg=start_deg)

    def scan(self) -> ConeBeamRotation:
        return self.gantry.begin_cone_beam_rotation(
            12.0, 14.0, speed_deg_per_s=2.0, trigger_spacing_deg=0.1, expected_start_deg=START_DEG
        )

    def status(self, number: int) -> CommandStatus:
        return self.gantry.link.progress(number).status

    def is_done(self, number: int) -> Callable[[], bool]:
        return lambda: self.status(number) is CommandStatus.DONE

    @property
    def latch(self) -> GantryLatch:
        return self.firmware.latch

    def heard_of(self, kind: type[Message]) -> list[Message]:
        return [message for message in self.heard if isinstance(message, kind)]

    async def close(self) -> None:
        await self.gantry.link.close()
        self.hang_up()


async def _turn() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


@pytest.fixture
async def bench(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    """Connected; the bar is not pressed."""
    monkeypatch.setattr("isoalign.devices.link.TICK_S", 0.0)
    made = Bench()
    made.gantry.link.start()
    try:
        await made.run(1.0, lambda: made.gantry.link.is_up and made.gantry.reading is not None)
        await made.run(0.2)
        yield made
    finally:
        await made.close()


@pytest.fixture
async def enabled(bench: Bench) -> Bench:
    """The bar is held."""
    await bench.press()
    assert bench.gantry.fresh_reading(FRESH_S).ready
    return bench


async def moving(bench: Bench) -> int:
    number = bench.rotate()
    await bench.run(1.0)
    assert bench.body.speed_deg_per_s > 5
    return number


# readings


def state(**changes: object) -> GantryState:
    values: dict[str, Any] = {
        "device_time_us": 1,
        "state_count": 1,
        "mode": GantryMode.SWITCHED_ON,
        "latch": GantryLatch.NONE,
        "status": GantryStatus.STANDSTILL | GantryStatus.CLIENT_FRESH,
        "last_command_id": 0,
        "last_command_status": CommandStatus.NONE,
        "host_counter": None,
        "client_counter": None,
        "press_count": 8,
        "token_counter": None,
        "token_age_us": 40_000,
        "imager_arm": ImagerArmState.EXTENDED,
        "primary_udeg": -179_500_000,
        "secondary_udeg": -179_499_000,
        "velocity_udeg_per_s": -6_000_000,
        "target_udeg": 185_000_000,
        "scan_id": 5,
        "trigger_count": 12,
    }
    return GantryState(**(values | changes))


@pytest.mark.parametrize(("status", "stops"), [(GantryStatus.REFERENCED, True), (GantryStatus.STANDSTILL, False)])
async def test_a_fault_in_motion_asks_for_stop_before_it_is_judged(
    bench: Bench, status: GantryStatus, stops: bool
) -> None:
    must_stop = bench.gantry.link._must_stop
    assert must_stop is not None
    assert must_stop(state(latch=GantryLatch.ARM_FAILED, status=status)) is stops
    assert not must_stop(state(status=status))


def test_reading_in_degrees() -> None:
    reading = reading_from_state(state(), 0.02)
    assert reading.angle_deg == pytest.approx(-179.5)
    assert reading.secondary_deg == pytest.approx(-179.499)
    assert reading.speed_deg_per_s == pytest.approx(-6.0)
    assert reading.target_deg == pytest.approx(185.0)
    assert reading.token_age_s == pytest.approx(0.04)
    assert (reading.arm, reading.press_count, reading.scan_id, reading.trigger_count) == (
        ImagerArmState.EXTENDED,
        8,
        5,
        12,
    )
    assert reading.ready
    assert reading.standstill
    assert reading.counter_age_s == 0.02


def test_what_an_encoder_does_not_give_is_none() -> None:
    reading = reading_from_state(state(primary_udeg=None, velocity_udeg_per_s=None, token_age_us=None))
    assert (reading.angle_deg, reading.speed_deg_per_s, reading.token_age_s) == (None, None, None)
    assert reading.secondary_deg is not None


@pytest.mark.parametrize(
    "changes",
    [
        {"mode": GantryMode.READY_TO_SWITCH_ON},
        {"mode": GantryMode.FAULT, "latch": GantryLatch.HOST_LOST},
        {"latch": GantryLatch.STOP_COMMAND},
        {"status": GantryStatus.STANDSTILL},
    ],
)
def test_gantry_that_is_not_ready(changes: dict[str, object]) -> None:
    assert not reading_from_state(state(**changes)).ready


async def test_readings_come_and_the_gantry_describes_itself(bench: Bench) -> None:
    gantry = bench.gantry
    before = bench.readings
    await bench.run(1.0)
    assert bench.readings - before == pytest.approx(50, abs=2)
    assert gantry.fresh_reading(FRESH_S).angle_deg == pytest.approx(START_DEG, abs=0.003)
    assert gantry.travel_deg == TRAVEL_DEG
    assert gantry.motion_limits == LIMITS
    assert gantry.session_ok
    assert gantry.reading is not None
    assert gantry.reading.age_s(bench.now_s) < 0.05


async def test_a_reading_that_is_too_old_or_without_angle_is_refused(bench: Bench) -> None:
    with pytest.raises(StaleState, match="not reported"):
        Gantry(bench.open_line, bench.clock, on_reading=lambda: None, on_change=lambda: None).fresh_reading(1.0)
    bench.clock.advance(0.3)
    with pytest.raises(StaleState, match=r"3[0-9]{2} ms old"):
        bench.gantry.fresh_reading(FRESH_S)
    bench.body.primary_invalid = {0}
    await bench.run(0.1)
    with pytest.raises(StaleState, match="no valid value"):
        bench.gantry.fresh_reading(FRESH_S)


async def test_a_frame_that_waited_is_as_old_as_it_is(bench: Bench) -> None:
    waiting = bench.firmware.state(bench.now_s)
    await bench.run(0.4)
    bench.gantry._on_message(waiting, bench.now_s)
    assert bench.gantry.reading is not None
    assert bench.gantry.reading.age_s(bench.now_s) == pytest.approx(0.4, abs=0.02)


# rotation and its limits


async def test_a_rotation_arrives(enabled: Bench) -> None:
    number = enabled.rotate(13.0)
    await enabled.run(5.0, enabled.is_done(number))
    await enabled.run(0.3)
    assert enabled.body.true_deg == pytest.approx(13.0, abs=0.01)
    assert enabled.gantry.fresh_reading(FRESH_S).ready


async def test_the_gantry_refuses_what_begins_elsewhere(enabled: Bench) -> None:
    number = enabled.gantry.begin_rotation(20.0, speed_deg_per_s=7.0, expected_start_deg=START_DEG + 0.2)
    await enabled.run(0.1)
    assert enabled.gantry.link.progress(number).reason is CommandReason.START_MISMATCH


@pytest.mark.parametrize(
    ("target", "speed", "start"),
    [
        (TRAVEL_DEG[0] - 0.01, 1.0, START_DEG),
        (TRAVEL_DEG[1] + 0.01, 1.0, START_DEG),
        (math.nan, 1.0, START_DEG),
        (0.0, LIMITS.speed * 1.001, START_DEG),
        (0.0, 0.0, START_DEG),
        (0.0, -1.0, START_DEG),
        (0.0, math.nan, START_DEG),
        (0.0, 1.0, math.nan),
    ],
)
async def test_what_the_gantry_cannot_do_is_not_even_sent(
    enabled: Bench, target: float, speed: float, start: float
) -> None:
    with pytest.raises(TargetOutOfLimits):
        enabled.gantry.begin_rotation(target, speed_deg_per_s=speed, expected_start_deg=start)
    for angles in ((target, 0.0), (0.0, target)):
        with pytest.raises(TargetOutOfLimits):
            enabled.gantry.begin_cone_beam_rotation(
                *angles, speed_deg_per_s=speed, trigger_spacing_deg=1.0, expected_start_deg=start
            )
    await enabled.run(0.1)
    assert enabled.firmware.session.commands.last_id == 0


@pytest.mark.parametrize("spacing", [0.0, 0.009, 90.1, math.nan])
async def test_a_spacing_that_cannot_be_is_not_sent(enabled: Bench, spacing: float) -> None:
    with pytest.raises(TargetOutOfLimits, match="between triggers"):
        enabled.gantry.begin_cone_beam_rotation(
            0.0, 10.0, speed_deg_per_s=1.0, trigger_spacing_deg=spacing, expected_start_deg=START_DEG
        )


# token, client, stop, clear


async def test_the_token_is_forwarded_unchanged(bench: Bench) -> None:
    bench.heard.clear()
    bench.gantry.forward_enable(PendantState(1, 1, BarPosition.SQUEEZED, 4_294_967_294, 77))
    await bench.run(0.02)
    assert bench.heard_of(GantryEnableToken)[0] == GantryEnableToken(BarPosition.SQUEEZED, 4_294_967_294, 77)


async def test_the_clients_counter_is_forwarded_unchanged(bench: Bench) -> None:
    bench.forwards_client = False
    bench.gantry.forward_client(4_294_967_294)
    bench.heard.clear()
    await bench.run(0.2)
    counters = {message.client_counter for message in bench.heard if isinstance(message, Heartbeat)}
    assert counters == {4_294_967_294}


@pytest.mark.parametrize(
    ("what", "latch"),
    [("forwards_token", GantryLatch.ENABLE_LOST), ("forwards_client", GantryLatch.CLIENT_LOST)],
)
async def test_the_driver_makes_up_no_sign_of_life(enabled: Bench, what: str, latch: GantryLatch) -> None:
    await moving(enabled)
    setattr(enabled, what, False)
    await enabled.run(1.0, lambda: enabled.latch is not GantryLatch.NONE)
    assert enabled.latch is latch
    await enabled.run(1.0)
    assert enabled.firmware.is_standing


async def test_stop_is_the_gantrys_own_and_sent_three_times(enabled: Bench) -> None:
    number = await moving(enabled)
    enabled.gantry.stop(StopReason.INTERLOCK)
    await enabled.run(0.02)
    assert enabled.heard_of(GantryStop) == [GantryStop(GantryStopReason.INTERLOCK)] * 3
    assert enabled.latch is GantryLatch.STOP_COMMAND
    await enabled.run(1.0)
    assert enabled.firmware.is_standing
    assert enabled.status(number) is CommandStatus.ABORTED


@pytest.mark.parametrize("reason", StopReason)
def test_every_reason_to_stop_exists_for_the_gantry(reason: StopReason) -> None:
    assert GantryStopReason[reason.name].value == reason.value


async def test_stop_without_any_line_is_no_error() -> None:
    Bench().gantry.stop(StopReason.HOLD)


async def test_no_clear_from_before_a_stop_arrives_after_it(enabled: Bench) -> None:
    """An unanswered GANTRY_CLEAR would be repeated, and would clear the latch of the stop that came later."""
    enabled.gantry.stop(StopReason.HOLD)
    await enabled.run(0.1)
    enabled.device_listens = False
    enabled.gantry.link.issue(GantryClear(1, 0, GantryLatch.STOP_COMMAND))
    await enabled.run(0.02)
    enabled.gantry.stop(StopReason.HOLD)
    enabled.device_listens = True
    await enabled.run(0.5)
    assert enabled.heard_of(GantryClear) == []
    assert enabled.latch is GantryLatch.STOP_COMMAND


async def test_clearing_the_latch(enabled: Bench) -> None:
    await enabled.beside(enabled.gantry.clear_latch())  # nothing is latched: nothing is sent
    assert enabled.heard_of(GantryClear) == []
    await moving(enabled)
    enabled.gantry.stop(StopReason.HOLD)
    with pytest.raises(DeviceRefused, match="STILL_MOVING"):
        await enabled.beside(enabled.gantry.clear_latch())
    await enabled.run(1.0)
    await enabled.beside(enabled.gantry.clear_latch())
    assert enabled.latch is GantryLatch.NONE
    number = enabled.rotate()
    await enabled.run(0.1)
    assert enabled.gantry.link.progress(number).reason is CommandReason.NEW_PRESS_NEEDED


async def test_an_invalid_encoder_can_be_cleared_all_the_same(enabled: Bench) -> None:
    await moving(enabled)
    enabled.body.primary_invalid = {0}
    await enabled.run(1.0)
    assert enabled.latch is GantryLatch.ENCODER_INVALID
    await enabled.beside(enabled.gantry.clear_latch())
    assert not enabled.firmware.is_latched


# the session


async def test_a_broken_line_in_motion_stops_the_gantry_and_is_told(enabled: Bench) -> None:
    number = await moving(enabled)
    enabled.refuses_connections = True
    enabled.hang_up()
    await enabled.run(1.0)
    assert enabled.latch is GantryLatch.HOST_LOST
    assert enabled.gantry.session_ok is False
    with pytest.raises(LinkLost):
        enabled.gantry.link.progress(number)
    with pytest.raises(StaleState, match="not described"):
        enabled.gantry.begin_rotation(0.0, speed_deg_per_s=1.0, expected_start_deg=START_DEG)
    with pytest.raises(StaleState, match="not connected"):
        await enabled.gantry.clear_latch()
    enabled.gantry.forward_enable(PendantState(0, 0, BarPosition.ENABLED, 1, 1))  # dropped, no error
    enabled.gantry.acknowledge_loss()
    assert enabled.gantry.session_ok is None


# the imager arm


async def test_the_arm_moves_and_a_scan_needs_it(enabled: Bench) -> None:
    number = enabled.gantry.begin_arm_move(ImagerArmEnd.STOWED)
    await enabled.run(0.5)
    assert enabled.gantry.fresh_reading(FRESH_S).arm is ImagerArmState.MOVING
    await enabled.run(1.0, enabled.is_done(number))
    await enabled.run(0.05)
    assert enabled.gantry.fresh_reading(FRESH_S).arm is ImagerArmState.STOWED
    rotation = enabled.scan()
    await enabled.run(0.1)
    assert enabled.gantry.link.progress(rotation.command_id).reason is CommandReason.WRONG_PHASE


# triggers


async def test_triggers_arrive_in_order_each_with_its_angle(enabled: Bench) -> None:
    rotation = enabled.scan()
    assert rotation.total == 21
    await enabled.run(10.0, enabled.is_done(rotation.command_id))
    rotation.check()
    assert enabled.triggers == rotation.triggers
    assert [one.index for one in enabled.triggers] == list(range(21))
    assert [one.angle_deg for one in enabled.triggers] == pytest.approx([12.0 + 0.1 * n for n in range(21)], abs=0.004)
    true = {one.index: one.at_s for one in enabled.firmware.triggers}
    assert [one.at_s for one in enabled.triggers] == pytest.approx([true[n] for n in range(21)], abs=0.015)
    await enabled.run(0.05)
    reading = enabled.gantry.fresh_reading(FRESH_S)
    assert (reading.scan_id, reading.trigger_count) == (rotation.scan_id, 21)


@pytest.mark.parametrize(("every", "missing"), [(8, [7, 15]), (7, [6, 13, 20]), (1, list(range(21)))])
async def test_missing_triggers_are_named(enabled: Bench, every: int, missing: list[int]) -> None:
    """Also the last, after which no other shows the gap."""
    enabled.body.trigger_missing_every = every
    rotation = enabled.scan()
    await enabled.run(10.0, enabled.is_done(rotation.command_id))
    assert list(rotation.missing) == [index for index in missing if index < 20 and every > 1]
    with pytest.raises(ProjectionsMissing, match=f"{len(missing)} of 21") as caught:
        rotation.check()
    assert caught.value.facts["indices"] == missing


async def test_a_rotation_that_is_stopped_is_not_whole(enabled: Bench) -> None:
    rotation = enabled.scan()
    await enabled.run(10.0, lambda: len(enabled.triggers) >= 5)
    enabled.gantry.stop(StopReason.HOLD)
    await enabled.run(1.0)
    assert enabled.status(rotation.command_id) is CommandStatus.ABORTED
    assert len(enabled.triggers) <= 6
    with pytest.raises(ProjectionsMissing):
        rotation.check()


async def test_every_rotation_has_a_number_that_the_gantry_does_not_show(enabled: Bench) -> None:
    """The daemon began anew while the gantry still shows the rotation that it was told before."""
    enabled.firmware.scan_id = 41
    await enabled.run(0.1)
    assert enabled.scan().scan_id == 42


def event(index: int, *, scan_id: int = 3, angle_deg: float | None = 1.0) -> TriggerEvent:
    return TriggerEvent(scan_id, index, angle_deg, 1.0, 0.0)


def test_strange_events_are_dropped_and_counted() -> None:
    rotation = ConeBeamRotation(1, 3, 4)
    assert rotation.take(event(0))
    assert not rotation.take(event(1, scan_id=2))  # of another rotation
    assert not rotation.take(event(0))  # again
    assert rotation.take(event(2))
    assert not rotation.take(event(1))  # overtaken
    assert not rotation.take(event(4))  # beyond the last
    assert rotation.take(event(3))
    assert (rotation.strange, rotation.missing) == (4, (1,))


def test_a_projection_whose_encoder_gave_no_value_has_no_angle() -> None:
    rotation = ConeBeamRotation(1, 3, 2)
    rotation.take(event(0))
    rotation.take(event(1, angle_deg=None))
    with pytest.raises(ProjectionsMissing) as caught:
        rotation.check()
    assert caught.value.facts["indices"] == [1]


async def test_events_without_a_rotation_are_dropped(enabled: Bench) -> None:
    rotation = enabled.scan()
    enabled.gantry.rotation = None
    await enabled.run(10.0, enabled.is_done(rotation.command_id))
    assert enabled.triggers == []
