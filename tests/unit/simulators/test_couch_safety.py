"""Circuits, touch, temperature and load of the couch: what it does by itself and tells, and when that is cleared."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from isoalign.clock import ManualClock
from isoalign.geometry import FAST_LIMITS, plan_synchronised
from isoalign.protocol import HostSession, SessionState, micro_from_axes
from isoalign.protocol.messages import (
    BarPosition,
    Clear,
    CommandReason,
    CommandStatus,
    CouchMode,
    CouchSafety,
    CouchState,
    DeviceKind,
    EnableToken,
    Latch,
    Move,
    SafetyCircuit,
    SpeedClass,
    TorqueFeedback,
    TouchSensor,
)
from isoalign.simulators.couch import CouchSimulator
from isoalign.simulators.couch_firmware import CouchFirmware
from isoalign.simulators.couch_physics import CouchBody, CouchPhysicsParameters
from isoalign.simulators.couch_sensors import CouchSensors

TICK_S = 0.01
START = (0.0, 700.0, -120.0, 0.0, 0.0, 0.0)
FAR = (0.0, 900.0, -120.0, 0.0, 0.0, 0.0)
STOP_S = 0.35


class Rig:
    """A couch with a host that holds the enabling switch, in 10 ms ticks."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.clock.advance(50.0)
        self.body = CouchBody(START, seed=3, now_s=self.now_s, parameters=CouchPhysicsParameters(sag_mm=2.0))
        self.couch = CouchFirmware(self.body, now_s=self.now_s)
        self.faults = CouchSimulator(self.couch, self.clock)
        self.host = HostSession(DeviceKind.COUCH)
        self.heard: list[object] = []
        self.press_count, self.token = 7, 0
        self.host.connect(self.now_s)
        self.run(0.3)
        assert self.host.state is SessionState.OPEN
        self.press()

    @property
    def now_s(self) -> float:
        return self.clock.monotonic_s()

    @property
    def safety(self) -> CouchSafety:
        return next(one for one in reversed(self.heard) if isinstance(one, CouchSafety))

    @property
    def state(self) -> CouchState:
        return next(one for one in reversed(self.heard) if isinstance(one, CouchState))

    def press(self) -> None:
        self.press_count += 1
        self.run(0.2)

    def run(self, seconds: float) -> None:
        for tick in range(round(seconds / TICK_S)):
            self.clock.advance(TICK_S)
            self.host.poll(self.now_s)
            if tick % 5 == 0 and self.host.is_open:
                self.token += 1
                self.host.client_counter = self.token
                bar = BarPosition.ENABLED
                self.host.send(EnableToken(bar=bar, press_count=self.press_count, token_counter=self.token), self.now_s)
            self.couch.receive(self.host.take_output(), self.now_s)
            self.couch.step(self.now_s)
            self.heard += self.host.feed(self.couch.take_output(), self.now_s)

    def fault(self, name: str, **values: object) -> None:
        self.faults.answer({"do": "fault", "name": name, **values})

    def repair(self) -> None:
        self.faults.answer({"do": "clear"})

    def move(self, target: tuple[float, ...] = FAR, speed: SpeedClass = SpeedClass.NORMAL) -> int:
        command = Move(
            command_id=1,
            valid_until_us=0,
            speed_class=speed,
            speed_permille=1000,
            target_micro=micro_from_axes(target),
            expected_start_micro=(None,) * 6,
        )
        number = self.host.issue(command, self.now_s)
        self.run(0.02)
        return number

    def clear(self, latch: Latch) -> tuple[CommandStatus, CommandReason, int]:
        number = self.host.issue(Clear(command_id=1, valid_until_us=0, latch=latch), self.now_s)
        self.run(0.05)
        return self.outcome(number)

    def outcome(self, number: int) -> tuple[CommandStatus, CommandReason, int]:
        progress = self.host.progress(number)
        assert progress is not None
        return progress.status, progress.reason, progress.detail


@pytest.fixture
def rig() -> Rig:
    return Rig()


@pytest.fixture
def moving(rig: Rig) -> Rig:
    rig.move()
    rig.run(0.5)
    assert rig.body.velocity[1] > 45
    return rig


STOPPING = [
    # fault, its parameters, the latch, whether it stops on its path
    ("emergency_stop_open", {}, Latch.EMERGENCY_STOP, True),
    ("torque_contradiction", {}, Latch.TORQUE_FEEDBACK, False),
    ("enable_circuit_open", {}, Latch.ENABLE_CIRCUIT, True),
    ("touch", {"force_n": 60.0}, Latch.TOUCH, True),
    ("drive_hot", {"axis": "vertical", "celsius": 95.0}, Latch.OVER_TEMPERATURE, True),
]


@pytest.mark.parametrize(("name", "values", "latch", "on_path"), STOPPING, ids=[row[0] for row in STOPPING])
def test_the_couch_stops_by_itself_and_says_why(
    moving: Rig, name: str, values: dict[str, object], latch: Latch, on_path: bool
) -> None:
    before = moving.body.table[1]
    moving.fault(name, **values)
    moving.run(0.02)
    assert moving.couch.latch is latch
    assert moving.body.brakes_engaged is not on_path
    moving.run(STOP_S)
    assert moving.couch.is_standing
    assert moving.body.brakes_engaged
    assert moving.body.table[1] - before < 10.0
    assert moving.safety.torque_feedback is (
        TorqueFeedback.CONTRADICTORY if latch is Latch.TORQUE_FEEDBACK else TorqueFeedback.TORQUE_OFF
    )
    assert moving.state.mode is (CouchMode.QUICK_STOP_ACTIVE if latch is Latch.ENABLE_CIRCUIT else CouchMode.FAULT)
    place = moving.body.table.copy()
    moving.press()
    assert moving.outcome(moving.move())[0] is CommandStatus.REJECTED
    moving.run(1.0)
    assert np.abs(moving.body.table - place).max() < 0.01


@pytest.mark.parametrize(("name", "values", "latch", "on_path"), STOPPING, ids=[row[0] for row in STOPPING])
def test_it_is_cleared_when_its_cause_is_gone_and_then_waits_for_a_press(
    moving: Rig, name: str, values: dict[str, object], latch: Latch, on_path: bool
) -> None:
    moving.fault(name, **values)
    moving.run(1.0)
    if latch is not Latch.ENABLE_CIRCUIT:  # the wire opens with every release of the bar: that is no cause that lasts
        assert moving.clear(latch) == (CommandStatus.REJECTED, CommandReason.DEVICE_FAULT, int(latch))
    moving.repair()
    moving.run(0.05)
    assert moving.clear(latch)[0] is CommandStatus.DONE
    assert moving.outcome(moving.move())[:2] == (CommandStatus.REJECTED, CommandReason.NEW_PRESS_NEEDED)
    moving.press()
    assert moving.outcome(moving.move())[0] is CommandStatus.STARTED


@pytest.mark.parametrize(
    ("name", "values", "reason"),
    [
        ("emergency_stop_open", {}, CommandReason.LATCHED),
        ("touch", {"force_n": 31.0}, CommandReason.LATCHED),
        ("drive_hot", {"axis": "roll", "celsius": 91.0}, CommandReason.DEVICE_FAULT),
        ("enable_circuit_open", {}, CommandReason.NOT_ENABLED),
    ],
)
def test_at_rest_a_move_is_refused(rig: Rig, name: str, values: dict[str, object], reason: CommandReason) -> None:
    rig.fault(name, **values)
    rig.run(0.1)
    assert rig.outcome(rig.move())[:2] == (CommandStatus.REJECTED, reason)
    assert np.abs(rig.body.table - START).max() < 0.1


def test_a_change_is_told_at_once_and_before_the_latch(moving: Rig) -> None:
    moving.heard.clear()
    moving.fault("emergency_stop_open")
    moving.run(TICK_S)
    told = [one for one in moving.heard if isinstance(one, CouchSafety | CouchState)]
    assert isinstance(told[0], CouchSafety)
    assert told[0].emergency_stop is SafetyCircuit.OPEN


def test_in_good_order_it_is_told_every_40_ms(rig: Rig) -> None:
    rig.heard.clear()
    rig.run(1.0)
    reports = [one for one in rig.heard if isinstance(one, CouchSafety)]
    assert len(reports) == pytest.approx(25, abs=1)
    assert [b.state_count - a.state_count for a, b in itertools.pairwise(reports)] == [1] * (len(reports) - 1)
    for report in reports:
        assert (report.emergency_stop, report.enable_circuit) == (SafetyCircuit.CLOSED, SafetyCircuit.CLOSED)
        assert report.touched == TouchSensor(0)
        assert report.torque_feedback is TorqueFeedback.TORQUE_OFF
        assert report.drive_temperature_mdeg_c == pytest.approx([25_000] * 6, abs=1500)


def test_the_torque_is_on_while_the_brakes_are_open(moving: Rig) -> None:
    assert moving.safety.torque_feedback is TorqueFeedback.TORQUE_ON


def test_a_light_touch_is_not_noticed(moving: Rig) -> None:
    moving.fault("touch", force_n=29.0)
    moving.run(0.2)
    assert moving.couch.latch is Latch.NONE
    assert moving.safety.touch_force_mn == 29_000


def test_the_load_cell_shows_the_load_with_noise_and_the_table_sags_under_it(rig: Rig) -> None:
    rig.faults.answer({"do": "payload", "kg": 75.0})
    rig.fault("payload_shift", kg=40.0)
    empty = rig.body.table[2]
    rig.heard.clear()
    rig.run(4.0)
    grams = [one.payload_g for one in rig.heard if isinstance(one, CouchSafety)]
    assert np.mean(grams) == pytest.approx(115_000, abs=200)
    assert np.std(grams) == pytest.approx(300, rel=0.4)
    assert rig.body.true_position()[2] == pytest.approx(empty - 2.0 * 115 / 150 * (700 / 1500) ** 3, abs=0.01)
    rig.repair()
    assert rig.body.load_kg == 75.0


def test_drives_warm_with_motion_and_cool_to_the_room() -> None:
    """A steady 50 mm/s settles 40 degrees above the room, and a time constant after it ends, 37 % of that are left."""
    sensors = CouchSensors(1, np.array([50.0] * 3 + [3.0] * 3))
    velocity = np.array([50.0, 0, 0, 0, 0, -1.5])
    for _ in range(6000):
        sensors.advance(1.0, velocity)
    assert sensors.temperature_c == pytest.approx([65.0, 25, 25, 25, 25, 45.0], abs=0.2)
    for _ in range(800):
        sensors.advance(1.0, np.zeros(6))
    assert sensors.temperature_c[0] == pytest.approx(25 + 40 / np.e, abs=0.2)


def test_the_fast_class_is_twice_as_fast_and_stops_within_ten_millimetres(rig: Rig) -> None:
    number = rig.move((0.0, 1100.0, -120.0, 0.0, 0.0, 0.0), SpeedClass.FAST)
    rig.run(1.0)
    assert 98.0 < rig.body.velocity[1] < 102.0
    before = rig.body.table[1]
    rig.fault("touch")
    rig.run(STOP_S)
    assert rig.couch.is_standing
    assert 4.0 < rig.body.table[1] - before < 10.0
    assert rig.outcome(number)[0] is CommandStatus.ABORTED


def test_the_fast_class_arrives(rig: Rig) -> None:
    target = (0.0, 1100.0, -120.0, 0.0, 0.0, 20.0)
    number = rig.move(target, SpeedClass.FAST)
    rig.run(plan_synchronised(START, target, FAST_LIMITS).duration_s + 0.5)
    assert rig.outcome(number)[0] is CommandStatus.DONE
    assert rig.body.drive == pytest.approx(target, abs=0.01)
