"""What the drivers make of single messages: presses of the bar, readings in engineering units, losses of session."""

from __future__ import annotations

import asyncio
import math
import socket

import pytest

from isoalign.clock import ManualClock, SystemClock
from isoalign.devices.couch import Couch, reading_from_state
from isoalign.devices.errors import LinkLost, StaleState
from isoalign.devices.pendant import Pendant
from isoalign.devices.transport import TcpTransport, Transport
from isoalign.geometry import AXES
from isoalign.interlocks import Brake
from isoalign.protocol.device_session import DeviceIdentity, DeviceSession
from isoalign.protocol.messages import (
    BarPosition,
    Capability,
    CommandStatus,
    CouchMode,
    CouchSafety,
    CouchState,
    CouchStatus,
    DeviceKind,
    Latch,
    PendantState,
    SafetyCircuit,
    Stop,
    TorqueFeedback,
    TouchSensor,
)


async def no_line() -> Transport:
    raise LinkLost("no line in this test")


class Bar:
    """A pendant that hears what the test says, at times that the test chooses."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.forwarded: list[PendantState] = []
        self.pendant = Pendant(no_line, self.clock, on_state=self.forwarded.append)
        self.count = 0

    def says(self, bar: BarPosition, press: int, token: int, *, after_s: float = 0.05) -> None:
        self.clock.advance(after_s)
        self.count += 1
        state = PendantState(
            device_time_us=self.count, state_count=self.count, bar=bar, press_count=press, token_counter=token
        )
        self.pendant._on_message(state, self.clock.monotonic_s())

    @property
    def held(self) -> bool:
        return self.pendant.is_held(0.15)

    @property
    def pressed(self) -> bool:
        return self.pendant.has_unused_press(limit_s=0.15, press_age_s=10.0)


RELEASED, ENABLED, SQUEEZED = BarPosition.RELEASED, BarPosition.ENABLED, BarPosition.SQUEEZED


@pytest.fixture
def bar() -> Bar:
    return Bar()


def test_silent_pendant_enables_nothing(bar: Bar) -> None:
    assert not bar.held
    assert not bar.pressed
    assert bar.pendant.age_s() is None


def test_press_enables_once(bar: Bar) -> None:
    bar.says(RELEASED, 5, 100)
    assert not bar.held
    bar.says(ENABLED, 6, 101)
    bar.says(ENABLED, 6, 102)
    assert bar.held
    assert bar.pressed
    bar.pendant.use_press()
    bar.says(ENABLED, 6, 103)
    assert bar.held
    assert not bar.pressed
    bar.says(RELEASED, 6, 103)
    bar.says(ENABLED, 7, 104)
    assert bar.pressed


def test_bar_that_is_held_when_we_come_is_no_press(bar: Bar) -> None:
    for token in range(10):
        bar.says(ENABLED, 5, token)
    assert bar.held
    assert not bar.pressed


def test_token_must_advance(bar: Bar) -> None:
    """A pendant that repeats itself holds nothing."""
    bar.says(RELEASED, 5, 100)
    bar.says(ENABLED, 6, 101)
    assert bar.held
    for _ in range(4):
        bar.says(ENABLED, 6, 101)
    assert not bar.held
    assert not bar.pressed


def test_old_press_starts_nothing(bar: Bar) -> None:
    bar.says(RELEASED, 5, 0)
    for token in range(1, 205):
        bar.says(ENABLED, 6, token)
    assert bar.held
    assert not bar.pressed  # 10.2 s


@pytest.mark.parametrize("other", [RELEASED, SQUEEZED])
def test_only_the_middle_position_enables(bar: Bar, other: BarPosition) -> None:
    bar.says(RELEASED, 5, 0)
    bar.says(ENABLED, 6, 1)
    bar.says(other, 6, 1)
    assert not bar.held
    assert not bar.pressed


def test_every_state_is_forwarded_unchanged(bar: Bar) -> None:
    bar.says(RELEASED, 5, 0)
    bar.says(ENABLED, 6, 4_294_967_294)
    assert [(s.bar, s.press_count, s.token_counter) for s in bar.forwarded] == [
        (RELEASED, 5, 0),
        (ENABLED, 6, 4_294_967_294),
    ]


def state(**changes: object) -> CouchState:
    values: dict[str, object] = {
        "device_time_us": 1,
        "state_count": 1,
        "mode": CouchMode.SWITCHED_ON,
        "latch": Latch.NONE,
        "status": CouchStatus.STANDSTILL | CouchStatus.REFERENCED | CouchStatus.CLIENT_FRESH,
        "last_command_id": 0,
        "last_command_status": CommandStatus.NONE,
        "host_counter": None,
        "client_counter": None,
        "press_count": None,
        "token_counter": None,
        "token_age_us": None,
        "following_error_axis": 6,
        "primary_micro": (1_000, 700_000, -120_500, 1_000_000, -2_500_000, 90_000_000),
        "secondary_micro": (1_010, 700_010, -120_510, 1_000_100, -2_500_100, 90_000_100),
        "velocity_micro_per_s": (50_000, 0, 0, 0, 0, -3_000_000),
        "target_micro": (None,) * 6,
    }
    return CouchState(**(values | changes))


def test_reading_in_engineering_units() -> None:
    reading = reading_from_state(state())
    assert reading.position is not None
    assert reading.position.values == pytest.approx((1.0, 700.0, -120.5, 1.0, -2.5, 90.0))
    assert [axis.axis for axis in reading.axes] == list(AXES)
    assert [axis.unit for axis in reading.axes] == ["mm"] * 3 + ["deg"] * 3
    assert [axis.secondary for axis in reading.axes] == pytest.approx([1.01, 700.01, -120.51, 1.0001, -2.5001, 90.0001])
    assert reading.axes[0].velocity == pytest.approx(50.0)
    assert reading.axes[5].velocity == pytest.approx(-3.0)
    assert reading.ready
    assert reading.standstill
    report = reading.as_report()
    assert report.referenced
    assert report.brake is Brake.RELEASED
    assert report.faults == ()


def test_missing_encoder_value_is_nan_and_no_position() -> None:
    reading = reading_from_state(state(primary_micro=(1_000, None, 0, 0, 0, 0)))
    assert reading.position is None
    assert math.isnan(reading.axes[1].primary)


@pytest.mark.parametrize(
    "changes",
    [
        {"mode": CouchMode.READY_TO_SWITCH_ON},
        {"mode": CouchMode.FAULT, "latch": Latch.HOST_LOST},
        {"latch": Latch.STOP_COMMAND},
        {"status": CouchStatus.STANDSTILL | CouchStatus.REFERENCED},
    ],
)
def test_couch_that_is_not_ready(changes: dict[str, object]) -> None:
    reading = reading_from_state(state(**changes))
    assert not reading.ready
    assert reading.as_report().faults == ((reading.latch.name,) if reading.latch else ())


def test_reading_is_as_old_as_it_is_and_not_as_late_as_it_came() -> None:
    """Frames that waited in a buffer while we paused must not pass for fresh ones."""
    clock = ManualClock()
    couch = Couch(no_line, clock, on_reading=lambda: None, on_change=lambda: None)
    couch.link.session.clock.add(0, 5_000_000, 5_000_000, 2_000)  # device time is 4.999 s ahead of ours
    clock.advance(10.0)
    couch._on_message(state(device_time_us=14_599_000), clock.monotonic_s())
    assert couch.reading is not None
    assert couch.reading.age_s(clock.monotonic_s()) == pytest.approx(0.4, abs=1e-6)
    with pytest.raises(StaleState, match="400 ms old"):
        couch.fresh_reading(0.15)
    couch._on_message(state(device_time_us=14_990_000), clock.monotonic_s())
    assert couch.fresh_reading(0.15).position is not None


def circuits() -> CouchSafety:
    return CouchSafety(
        device_time_us=1,
        state_count=1,
        emergency_stop=SafetyCircuit.CLOSED,
        enable_circuit=SafetyCircuit.CLOSED,
        torque_feedback=TorqueFeedback.TORQUE_ON,
        touched=TouchSensor(0),
        touch_force_mn=0,
        drive_temperature_mdeg_c=(25_000,) * 6,
        payload_g=0,
    )


MOVING = CouchStatus.REFERENCED | CouchStatus.CLIENT_FRESH


@pytest.mark.parametrize(
    ("latch", "status", "stops"),
    [
        (Latch.FOLLOWING_ERROR, MOVING, 1),
        (Latch.FOLLOWING_ERROR, MOVING | CouchStatus.STANDSTILL, 0),
        (Latch.STOP_COMMAND, MOVING, 0),
        (Latch.NONE, MOVING, 0),
    ],
)
async def test_stop_leaves_before_a_fault_in_motion_is_judged(latch: Latch, status: CouchStatus, stops: int) -> None:
    """Also when other reports come with it in one piece, and once for each fault."""
    clock = SystemClock()
    ours, device = socket.socketpair()
    device.setblocking(False)
    session = DeviceSession(DeviceIdentity(DeviceKind.COUCH, Capability.MOTION, "TEST", 500_000, 10_000))
    stops_before_judging: list[int] = []

    def heard_by_device() -> list[Stop]:
        try:
            messages = session.feed(device.recv(65536), clock.monotonic_s())
        except BlockingIOError:
            return []
        return [message for message in messages if isinstance(message, Stop)]

    async def open_line() -> Transport:
        return TcpTransport(ours, "couch")

    couch = Couch(
        open_line,
        clock,
        on_reading=lambda: stops_before_judging.append(len(heard_by_device())),
        on_change=lambda: None,
    )
    couch.link.start()
    async with asyncio.timeout(10):
        while not couch.link.is_up:
            await asyncio.sleep(0.001)
            heard_by_device()
            device.send(session.take_output())
    for count in (1, 2):
        session.send(circuits(), clock.monotonic_s())
        session.send(state(latch=latch, status=status, state_count=count), clock.monotonic_s())
    device.send(session.take_output())
    async with asyncio.timeout(10):
        while len(stops_before_judging) < 4:
            await asyncio.sleep(0.001)
    await couch.link.close()
    device.close()
    repetitions = 3
    assert stops_before_judging == [stops * repetitions, 0, 0, 0]
