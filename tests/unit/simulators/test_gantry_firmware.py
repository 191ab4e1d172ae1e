"""The gantry's own safety and its triggers, with a clock that the test moves."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from isoalign.clock import ManualClock
from isoalign.protocol import HostSession, SessionState
from isoalign.protocol.messages import (
    GANTRY_ENCODER_DIFFERENCE_UDEG,
    BarPosition,
    CommandReason,
    CommandStatus,
    ConeBeamRotate,
    DeviceKind,
    GantryClear,
    GantryEnableToken,
    GantryInfo,
    GantryLatch,
    GantryMode,
    GantryRotate,
    GantryState,
    GantryStatus,
    GantryStop,
    GantryStopReason,
    ImagerArmEnd,
    ImagerArmMove,
    ImagerArmState,
    ProjectionTrigger,
)
from isoalign.simulators.errors import InvalidTruthRequest, UnknownFault
from isoalign.simulators.gantry import FAULTS, GantrySimulator
from isoalign.simulators.gantry_firmware import LIMITS, TRAVEL_DEG, GantryFirmware
from isoalign.simulators.gantry_physics import GantryBody, GantryPhysicsParameters

TICK_S = 0.01
START_DEG = 10.0
STOPPING_WAY_DEG = 3.0
"""Largest way of a stop from full speed; below 1 degree/s it is 0.5 degrees."""


class Rig:
    """A gantry, a host, a client and a thumb on the enabling switch, in 10 ms ticks."""

    def __init__(self, start_deg: float = START_DEG, *, arm: float = 1.0, **parameters: float) -> None:
        self.clock = ManualClock()
        self.clock.advance(50.0)
        self.body = GantryBody(
            start_deg, seed=3, now_s=self.now_s, parameters=GantryPhysicsParameters(**parameters), arm=arm
        )
        self.gantry = GantryFirmware(self.body, now_s=self.now_s)
        self.simulator = GantrySimulator(self.gantry, self.clock)
        self.host = HostSession(DeviceKind.GANTRY)
        self.state: GantryState | None = None
        self.info: GantryInfo | None = None
        self.events: list[ProjectionTrigger] = []
        self.bar = BarPosition.RELEASED
        self.press_count = 7
        self.token_counter = 0
        self.client_counter = 100
        self.host_alive = self.client_alive = self.token_alive = True
        self.last_sent = b""
        self._ticks = 0

    @property
    def now_s(self) -> float:
        return self.clock.monotonic_s()

    def connect(self) -> Rig:
        self.host.connect(self.now_s)
        self.run(0.2)
        assert self.host.state is SessionState.OPEN
        return self

    def press(self) -> Rig:
        self.bar = BarPosition.ENABLED
        self.press_count += 1
        self.run(0.2)
        return self

    def release(self) -> Rig:
        self.bar = BarPosition.RELEASED
        self.run(0.1)
        return self

    def run(self, seconds: float, until: Callable[[], bool] | None = None) -> float:
        """Let time pass; how much of it until the condition held, which it must."""
        for tick in range(round(seconds / TICK_S)):
            if until is not None and until():
                return tick * TICK_S
            self.tick()
        assert until is None or until(), f"not within {seconds} s"
        return seconds

    def tick(self) -> None:
        self._ticks += 1
        self.clock.advance(TICK_S)
        if self.host_alive:
            self.host.poll(self.now_s)
            if self._ticks % 5 == 0:
                if self.client_alive:
                    self.client_counter += 1
                    self.host.client_counter = self.client_counter
                if self.bar is BarPosition.ENABLED and self.token_alive:
                    self.token_counter += 1
                if self.host.is_open:
                    self.host.send(GantryEnableToken(self.bar, self.press_count, self.token_counter), self.now_s)
            self.last_sent = self.host.take_output()
            self.simulator.receive(self.last_sent, self.now_s)
        self.simulator.step(self.now_s)
        output = self.simulator.take_output()
        if self.host_alive:
            for message in self.host.feed(output, self.now_s):
                if isinstance(message, GantryState):
                    self.state = message
                elif isinstance(message, GantryInfo):
                    self.info = message
                elif isinstance(message, ProjectionTrigger):
                    self.events.append(message)

    def rotate(self, target_deg: float = 60.0, speed: float = 7.0, **changes: Any) -> int:
        values: dict[str, Any] = {
            "command_id": 1,
            "valid_until_us": 0,
            "speed_udeg_per_s": round(speed * 1e6),
            "target_udeg": round(target_deg * 1e6),
            "expected_start_udeg": round(self.body.true_deg * 1e6),
        }
        number = self.host.issue(GantryRotate(**(values | changes)), self.now_s)
        self.tick()
        return number

    def scan(self, first: float = 12.0, last: float = 24.0, *, speed: float = 6.0, spacing: float = 0.5) -> int:
        command = ConeBeamRotate(
            command_id=1,
            valid_until_us=0,
            scan_id=77,
            from_udeg=round(first * 1e6),
            to_udeg=round(last * 1e6),
            speed_udeg_per_s=round(speed * 1e6),
            trigger_spacing_udeg=round(spacing * 1e6),
            expected_start_udeg=None,
        )
        number = self.host.issue(command, self.now_s)
        self.tick()
        return number

    def move_arm(self, end: ImagerArmEnd) -> int:
        number = self.host.issue(ImagerArmMove(1, 0, end), self.now_s)
        self.tick()
        return number

    def outcome(self, number: int) -> tuple[CommandStatus, CommandReason]:
        progress = self.host.progress(number)
        assert progress is not None
        return progress.status, progress.reason

    def detail(self, number: int) -> int:
        progress = self.host.progress(number)
        assert progress is not None
        return progress.detail

    def is_done(self, number: int) -> Callable[[], bool]:
        return lambda: self.outcome(number)[0] is CommandStatus.DONE

    def clear(self, latch: GantryLatch) -> tuple[CommandStatus, CommandReason]:
        number = self.host.issue(GantryClear(1, 0, latch), self.now_s)
        self.run(0.05)
        return self.outcome(number)

    def stop(self) -> None:
        """GANTRY_STOP from somebody who has no session."""
        stranger = HostSession(DeviceKind.GANTRY)
        stranger.send(GantryStop(GantryStopReason.HOLD), self.now_s)
        self.simulator.receive(stranger.take_output(), self.now_s)

    def arm(self) -> ImagerArmState:
        return self.gantry.arm_state

    def told(self) -> tuple[ImagerArmState, bool]:
        """What the latest state says: where the arm is, and whether everything stands."""
        assert self.state is not None
        return self.state.imager_arm, GantryStatus.STANDSTILL in self.state.status

    @property
    def speed(self) -> float:
        return abs(self.body.speed_deg_per_s)

    def stands(self) -> bool:
        return self.gantry.is_standing


@pytest.fixture
def ready() -> Rig:
    """Connected and enabled, the imager arm extended."""
    return Rig().connect().press()


@pytest.fixture
def moving(ready: Rig) -> Rig:
    """At full speed."""
    number = ready.rotate()
    assert ready.outcome(number)[0] is CommandStatus.STARTED
    ready.run(1.2)
    assert ready.speed > 6.9
    return ready


def assert_stopped_for_good(rig: Rig, latch: GantryLatch) -> None:
    assert rig.gantry.latch is latch
    place = rig.body.true_deg
    rig.host_alive = rig.client_alive = rig.token_alive = True
    rig.run(1.0)
    assert rig.stands()
    assert rig.body.true_deg == pytest.approx(place, abs=0.01)
    assert place < 50.0


REJECTED = CommandStatus.REJECTED


# rotation


def test_a_rotation_arrives_and_is_reported(ready: Rig) -> None:
    number = ready.rotate(31.0)
    took_s = ready.run(10.0, ready.is_done(number))
    assert 3.5 < took_s < 4.4  # 21 degrees at 7 degrees/s, ramps of 0.675 s, brakes, lag
    ready.run(0.3)
    assert ready.body.true_deg == pytest.approx(31.0, abs=0.01)
    assert ready.body.brakes_engaged
    assert ready.state is not None
    assert ready.state.primary_udeg == pytest.approx(31e6, abs=4000)
    assert ready.state.target_udeg == pytest.approx(31e6, abs=3000)
    assert ready.state.last_command_status is CommandStatus.DONE
    assert ready.state.mode is GantryMode.SWITCHED_ON


@pytest.mark.parametrize(("asked", "most"), [(7.0, 7.0), (1.0, 1.0), (0.25, 0.25)])
def test_the_asked_speed_holds_on_the_true_gantry(ready: Rig, asked: float, most: float) -> None:
    ready.rotate(speed=asked)
    fastest = 0.0
    for _ in range(200):
        ready.tick()
        fastest = max(fastest, ready.speed)
    assert fastest == pytest.approx(most, rel=0.02)


def test_a_rotation_passes_360_degrees_without_a_jump() -> None:
    rig = Rig(-175.0).connect().press()
    number = rig.rotate(185.0)
    places = [rig.body.true_deg]
    while rig.outcome(number)[0] is not CommandStatus.DONE:
        rig.tick()
        places.append(rig.body.true_deg)
    steps = [after - before for before, after in pairwise(places)]
    assert max(map(abs, steps)) < 7.2 * TICK_S
    assert places[-1] == pytest.approx(185.0, abs=0.01)


def test_acceleration_and_jerk_are_limited(ready: Rig) -> None:
    ready.rotate()
    speeds = [ready.speed]
    for _ in range(120):
        ready.tick()
        speeds.append(ready.speed)
    accelerations = [(b - a) / TICK_S for a, b in pairwise(speeds)]
    jerks = [(b - a) / TICK_S for a, b in pairwise(accelerations)]
    assert max(accelerations) <= LIMITS.acceleration * 1.05
    assert max(map(abs, jerks)) <= LIMITS.jerk * 1.5  # the drive rings a little at its 8 Hz


# what stops it

LOSSES = [
    ("host_alive", GantryLatch.HOST_LOST, 0.15),
    ("client_alive", GantryLatch.CLIENT_LOST, 0.25),
    ("token_alive", GantryLatch.ENABLE_LOST, 0.15),
]


@pytest.mark.parametrize(("what", "latch", "expiry_s"), LOSSES)
def test_it_stops_by_itself_when_anybody_goes_silent(
    moving: Rig, what: str, latch: GantryLatch, expiry_s: float
) -> None:
    setattr(moving, what, False)
    reacted_s = moving.run(1.0, lambda: moving.gantry.latch is not GantryLatch.NONE)
    at_latch = moving.body.true_deg
    moving.run(2.0, moving.stands)
    assert expiry_s - 0.06 < reacted_s <= expiry_s + 2 * TICK_S + 0.05  # the last counter may be 50 ms old, or new
    assert 0 < moving.body.true_deg - at_latch < STOPPING_WAY_DEG
    assert_stopped_for_good(moving, latch)


@pytest.mark.parametrize("bar", [BarPosition.RELEASED, BarPosition.SQUEEZED])
def test_letting_go_or_squeezing_stops_at_once(moving: Rig, bar: BarPosition) -> None:
    moving.bar = bar
    assert moving.run(1.0, lambda: moving.gantry.latch is GantryLatch.ENABLE_LOST) <= 0.07
    moving.run(1.0, moving.stands)
    assert moving.state is not None
    assert moving.state.mode is GantryMode.QUICK_STOP_ACTIVE
    assert_stopped_for_good(moving, GantryLatch.ENABLE_LOST)


def test_stop_needs_no_session(moving: Rig) -> None:
    begun = moving.body.true_deg
    moving.stop()
    assert moving.gantry.latch is GantryLatch.STOP_COMMAND
    moving.run(1.0, moving.stands)
    assert moving.body.true_deg - begun < STOPPING_WAY_DEG
    assert_stopped_for_good(moving, GantryLatch.STOP_COMMAND)


def test_a_stop_from_slow_takes_less_than_half_a_degree(ready: Rig) -> None:
    ready.rotate(speed=1.0)
    ready.run(1.0)
    begun = ready.body.true_deg
    ready.stop()
    ready.run(1.0, ready.stands)
    assert 0 < ready.body.true_deg - begun < 0.5


def test_a_stop_without_any_session_is_latched() -> None:
    rig = Rig()
    rig.stop()
    assert rig.gantry.latch is GantryLatch.STOP_COMMAND


def test_the_interrupted_rotation_is_aborted_with_the_cause(ready: Rig) -> None:
    number = ready.rotate()
    ready.run(0.5)
    ready.stop()
    ready.run(1.0)
    assert ready.outcome(number) == (CommandStatus.ABORTED, CommandReason.STOPPED)
    assert GantryLatch(ready.detail(number)) is GantryLatch.STOP_COMMAND


def test_losing_the_host_at_rest_is_no_fault_but_ends_the_session(ready: Rig) -> None:
    ready.host_alive = False
    ready.run(0.5)
    assert ready.gantry.latch is GantryLatch.NONE
    assert ready.gantry.mode(ready.now_s) is GantryMode.SWITCH_ON_DISABLED


def test_a_lost_connection_in_motion_is_a_lost_host(moving: Rig) -> None:
    moving.host_alive = False
    moving.simulator.connection_lost(moving.now_s)
    assert moving.gantry.latch is GantryLatch.HOST_LOST
    moving.run(1.0, moving.stands)


def test_the_first_cause_stays(moving: Rig) -> None:
    moving.bar = BarPosition.RELEASED
    moving.run(0.1)
    moving.host_alive = False
    moving.run(1.0)
    assert moving.gantry.latch is GantryLatch.ENABLE_LOST


def test_a_new_session_in_motion_stops_it(moving: Rig) -> None:
    moving.host.connect(moving.now_s)
    moving.run(1.0)
    assert_stopped_for_good(moving, GantryLatch.SESSION_REPLACED)


def test_after_a_stop_motion_needs_clear_and_then_a_new_press(moving: Rig) -> None:
    moving.stop()
    moving.run(0.05)
    assert moving.clear(GantryLatch.STOP_COMMAND) == (REJECTED, CommandReason.STILL_MOVING)
    moving.run(1.0)
    assert moving.outcome(moving.rotate()) == (REJECTED, CommandReason.LATCHED)
    assert moving.clear(GantryLatch.HOST_LOST) == (REJECTED, CommandReason.WRONG_LATCH)
    assert moving.clear(GantryLatch.STOP_COMMAND) == (CommandStatus.DONE, CommandReason.NONE)
    assert moving.clear(GantryLatch.STOP_COMMAND) == (REJECTED, CommandReason.NOTHING_TO_CLEAR)
    # the thumb never left the switch
    assert moving.outcome(moving.rotate()) == (REJECTED, CommandReason.NEW_PRESS_NEEDED)
    moving.release()
    assert moving.outcome(moving.rotate()) == (REJECTED, CommandReason.NOT_ENABLED)
    moving.press()
    assert moving.outcome(moving.rotate())[0] is CommandStatus.STARTED


def test_a_new_session_needs_a_new_press(ready: Rig) -> None:
    ready.connect()
    assert ready.outcome(ready.rotate()) == (REJECTED, CommandReason.NEW_PRESS_NEEDED)
    ready.release().press()
    assert ready.outcome(ready.rotate())[0] is CommandStatus.STARTED


def test_after_a_lost_host_nothing_resumes(moving: Rig) -> None:
    moving.host_alive = False
    moving.run(1.0)
    moving.host_alive = True
    place = moving.body.true_deg
    moving.connect()
    assert moving.state is not None
    assert moving.state.latch is GantryLatch.HOST_LOST
    assert moving.state.mode is GantryMode.FAULT
    # the target is where the gantry is, not where it was going
    assert moving.state.target_udeg == pytest.approx(place * 1e6, abs=10_000)
    assert moving.clear(GantryLatch.HOST_LOST)[0] is CommandStatus.DONE
    moving.run(0.5)
    assert moving.body.true_deg == pytest.approx(place, abs=0.01)


# faults of the machine


def test_a_stuck_drive_is_a_following_error(ready: Rig) -> None:
    ready.simulator.answer({"do": "fault", "name": "stuck"})
    ready.rotate()
    ready.run(2.0)
    assert ready.gantry.latch is GantryLatch.FOLLOWING_ERROR
    assert ready.body.true_deg == START_DEG


def test_a_runaway_loses_its_torque(ready: Rig) -> None:
    number = ready.rotate(speed=1.0)
    ready.run(0.5)
    ready.simulator.answer({"do": "fault", "name": "runaway", "speed": -20})
    begun = ready.body.true_deg
    ready.run(1.0)
    assert ready.gantry.latch is GantryLatch.FOLLOWING_ERROR
    assert ready.body.brakes_engaged
    assert ready.speed == 0
    assert begun - ready.body.true_deg < 5.0  # not seen for 15 ms, two times 50 ms of patience
    assert ready.outcome(number)[0] is CommandStatus.ABORTED


@pytest.mark.parametrize("end", [0, 1])
def test_the_end_of_travel_stops_it(end: int) -> None:
    sign = 1 if end else -1
    rig = Rig(TRAVEL_DEG[end] - sign * 0.4).connect().press()
    rig.rotate(0.0, speed=0.1)
    rig.run(0.2)
    rig.simulator.answer({"do": "fault", "name": "runaway", "speed": sign * 15})
    rig.run(1.0)
    assert rig.gantry.latch is GantryLatch.FOLLOWING_ERROR
    assert rig.body.brakes_engaged
    assert sign * (rig.body.true_deg - TRAVEL_DEG[end]) < 0.1 + 2 * 15 * TICK_S


@pytest.mark.parametrize("channel", [1, 2])
def test_an_invalid_encoder_stops_motion_and_refuses_it(moving: Rig, channel: int) -> None:
    moving.simulator.answer({"do": "fault", "name": "encoder_invalid", "channel": channel})
    moving.run(0.1)
    assert moving.gantry.latch is GantryLatch.ENCODER_INVALID
    assert moving.state is not None
    assert moving.state.mode is GantryMode.FAULT_REACTION_ACTIVE
    assert (moving.state.primary_udeg is None) is (channel == 1)
    assert (moving.state.secondary_udeg is None) is (channel == 2)
    moving.run(1.0)
    assert moving.clear(GantryLatch.ENCODER_INVALID)[0] is CommandStatus.DONE
    moving.release().press()
    number = moving.rotate(expected_start_udeg=None)
    assert moving.outcome(number) == (REJECTED, CommandReason.DEVICE_FAULT)
    assert moving.detail(number) == GantryLatch.ENCODER_INVALID
    moving.simulator.answer({"do": "clear"})
    assert moving.outcome(moving.rotate())[0] is CommandStatus.STARTED


def test_encoders_that_drift_apart_stop_motion(ready: Rig) -> None:
    ready.rotate(speed=2.0)
    ready.run(0.5)
    ready.simulator.answer({"do": "fault", "name": "secondary_drift", "rate_per_s": 0.5})
    took_s = ready.run(2.0, lambda: ready.gantry.latch is GantryLatch.ENCODERS_DISAGREE)
    assert took_s * 0.5 * 1e6 == pytest.approx(GANTRY_ENCODER_DIFFERENCE_UDEG, abs=15_000)
    ready.run(1.0, ready.stands)
    ready.clear(GantryLatch.ENCODERS_DISAGREE)
    ready.release().press()
    number = ready.rotate()
    assert ready.outcome(number) == (REJECTED, CommandReason.DEVICE_FAULT)
    assert ready.detail(number) == GantryLatch.ENCODERS_DISAGREE


def test_two_good_encoders_never_disagree() -> None:
    """Over the whole travel at full speed, lag, play and both scale errors stay below the limit."""
    rig = Rig(-189.0).connect().press()
    number = rig.rotate(189.0)
    worst = 0
    while rig.outcome(number)[0] is not CommandStatus.DONE:
        rig.tick()
        assert rig.state is not None
        assert rig.state.primary_udeg is not None
        assert rig.state.secondary_udeg is not None
        worst = max(worst, abs(rig.state.primary_udeg - rig.state.secondary_udeg))
    assert 1000 < worst < GANTRY_ENCODER_DIFFERENCE_UDEG / 2


# commands


def test_a_command_that_comes_again_is_not_carried_out_again(ready: Rig) -> None:
    number = ready.rotate(12.0)
    sent = ready.last_sent
    ready.run(3.0, ready.is_done(number))
    ready.simulator.receive(sent, ready.now_s)  # the same bytes
    valid_until_us = ready.gantry.session.device_time_us(ready.now_s) + 100_000
    ready.host.send(GantryRotate(number, valid_until_us, 7_000_000, 30_000_000, None), ready.now_s)  # the same id
    ready.run(1.0)
    assert ready.body.true_deg == pytest.approx(12.0, abs=0.01)
    assert ready.gantry.session.commands.last_status is CommandStatus.DONE


@pytest.mark.parametrize(
    ("valid_for_s", "outcome"),
    [
        (0.05, (CommandStatus.REJECTED, CommandReason.EXPIRED)),
        (0.3, (CommandStatus.STARTED, CommandReason.NONE)),
        (30.0, (CommandStatus.REJECTED, CommandReason.VALIDITY_TOO_LONG)),
    ],
)
def test_a_command_is_carried_out_only_while_it_is_valid(
    ready: Rig, valid_for_s: float, outcome: tuple[CommandStatus, CommandReason]
) -> None:
    """The line delays it by 80 ms, while everything else that motion needs still holds."""
    number = ready.host.issue(GantryRotate(1, 0, 7_000_000, 30_000_000, None), ready.now_s, valid_for_s=valid_for_s)
    waiting = ready.host.take_output()
    ready.clock.advance(0.08)
    ready.simulator.receive(waiting, ready.now_s)
    ready.tick()
    assert ready.outcome(number) == outcome


@pytest.mark.parametrize("beyond", [TRAVEL_DEG[0] - 0.001, TRAVEL_DEG[1] + 0.001])
def test_a_target_out_of_travel_is_refused(ready: Rig, beyond: float) -> None:
    assert ready.outcome(ready.rotate(beyond)) == (REJECTED, CommandReason.OUT_OF_TRAVEL)


@pytest.mark.parametrize(("first", "last"), [(-189.0, 0.0), (0.0, 189.0), (189.0, 0.0), (0.0, -189.0)])
def test_run_up_and_run_out_must_fit_into_the_travel(ready: Rig, first: float, last: float) -> None:
    assert ready.outcome(ready.scan(first, last)) == (REJECTED, CommandReason.OUT_OF_TRAVEL)
    assert ready.gantry.scan_id == 0


@pytest.mark.parametrize("off_deg", [0.15, -0.15])
def test_a_rotation_from_elsewhere_is_refused(ready: Rig, off_deg: float) -> None:
    number = ready.rotate(expected_start_udeg=round((START_DEG + off_deg) * 1e6))
    assert ready.outcome(number) == (REJECTED, CommandReason.START_MISMATCH)


def test_a_second_command_is_refused_while_one_is_under_way(moving: Rig) -> None:
    assert moving.outcome(moving.rotate()) == (REJECTED, CommandReason.BUSY)
    assert moving.outcome(moving.scan()) == (REJECTED, CommandReason.BUSY)
    assert moving.outcome(moving.move_arm(ImagerArmEnd.STOWED)) == (REJECTED, CommandReason.BUSY)
    assert moving.speed > 6.9


def test_motion_needs_client_and_reference(ready: Rig) -> None:
    ready.client_alive = False
    ready.run(0.3)
    assert ready.outcome(ready.rotate()) == (REJECTED, CommandReason.CLIENT_NOT_FRESH)
    ready.client_alive = True
    ready.run(0.2)
    ready.gantry.referenced = False
    assert ready.outcome(ready.rotate()) == (REJECTED, CommandReason.NOT_REFERENCED)


# the imager arm


def test_the_arm_takes_its_time_and_says_where_it_is() -> None:
    rig = Rig(arm=0.0, arm_travel_s=2.0).connect().press()
    assert rig.arm() is ImagerArmState.STOWED
    number = rig.move_arm(ImagerArmEnd.EXTENDED)
    rig.run(1.0)
    assert rig.told() == (ImagerArmState.MOVING, False)
    assert rig.gantry.mode(rig.now_s) is GantryMode.OPERATION_ENABLED
    assert rig.body.arm == pytest.approx(0.5, abs=0.02)
    took_s = 1.0 + rig.run(3.0, rig.is_done(number))
    assert took_s == pytest.approx(2.0, abs=0.03)
    rig.run(0.05)
    assert rig.told() == (ImagerArmState.EXTENDED, True)
    assert rig.body.true_deg == START_DEG


def test_an_arm_that_is_stopped_between_its_ends_is_unknown_and_stays() -> None:
    rig = Rig(arm=0.0, arm_travel_s=2.0).connect().press()
    number = rig.move_arm(ImagerArmEnd.EXTENDED)
    rig.run(1.0)
    rig.bar = BarPosition.RELEASED
    rig.run(0.1)
    place = rig.body.arm
    rig.run(1.0)
    assert rig.body.arm == place < 0.6
    assert rig.gantry.latch is GantryLatch.ENABLE_LOST
    assert rig.outcome(number) == (CommandStatus.ABORTED, CommandReason.STOPPED)
    assert rig.arm() is ImagerArmState.UNKNOWN
    assert rig.clear(GantryLatch.ENABLE_LOST)[0] is CommandStatus.DONE
    rig.press()
    # nothing rotates around with an arm of which nobody knows where it is
    assert rig.outcome(rig.rotate()) == (REJECTED, CommandReason.WRONG_PHASE)
    number = rig.move_arm(ImagerArmEnd.STOWED)
    rig.run(2.0, rig.is_done(number))
    assert rig.arm() is ImagerArmState.STOWED
    assert rig.outcome(rig.rotate())[0] is CommandStatus.STARTED


@pytest.mark.parametrize(("what", "latch", "_expiry_s"), LOSSES)
def test_the_arm_stops_by_itself_when_anybody_goes_silent(what: str, latch: GantryLatch, _expiry_s: float) -> None:
    rig = Rig(arm=0.0, arm_travel_s=2.0).connect().press()
    rig.move_arm(ImagerArmEnd.EXTENDED)
    rig.run(0.5)
    setattr(rig, what, False)
    rig.run(0.4)
    place = rig.body.arm
    rig.run(1.0)
    assert rig.body.arm == place < 0.5
    assert rig.gantry.latch is latch


def test_an_arm_that_is_not_confirmed_in_time_has_failed() -> None:
    rig = Rig(arm=0.0, arm_travel_s=2.0).connect().press()
    number = rig.move_arm(ImagerArmEnd.EXTENDED)
    rig.run(0.5)
    rig.simulator.answer({"do": "fault", "name": "arm_unknown"})
    took_s = rig.run(4.0, lambda: rig.gantry.latch is GantryLatch.ARM_FAILED)
    assert 0.5 + took_s == pytest.approx(3.0, abs=0.03)
    assert rig.arm() is ImagerArmState.UNKNOWN
    rig.run(0.05)
    assert rig.outcome(number)[0] is CommandStatus.ABORTED


def test_an_arm_that_leaves_its_end_unasked_stops_the_gantry(moving: Rig) -> None:
    moving.simulator.answer({"do": "fault", "name": "arm_unknown"})
    moving.run(1.0, moving.stands)
    assert_stopped_for_good(moving, GantryLatch.ARM_FAILED)
    assert moving.state is not None
    assert moving.state.imager_arm is ImagerArmState.UNKNOWN


def test_a_scan_needs_the_arm_extended() -> None:
    rig = Rig(arm=0.0).connect().press()
    number = rig.scan()
    assert rig.outcome(number) == (REJECTED, CommandReason.WRONG_PHASE)
    assert rig.detail(number) == ImagerArmState.STOWED
    assert rig.outcome(rig.rotate())[0] is CommandStatus.STARTED


# triggers


@pytest.mark.parametrize(
    ("first", "last", "spacing", "speed"),
    [(12.0, 24.0, 0.5, 6.0), (24.0, 12.0, 0.5, 6.0), (-20.0, 10.0, 0.7, 7.0), (9.0, 11.0, 0.01, 0.5)],
)
def test_triggers_lie_where_the_true_drive_crosses_their_angles(
    ready: Rig, first: float, last: float, spacing: float, speed: float
) -> None:
    number = ready.scan(first, last, spacing=spacing, speed=speed)
    assert ready.outcome(number)[0] is CommandStatus.STARTED
    ready.run(30.0, ready.is_done(number))
    sign = 1 if last > first else -1
    total = int(abs(last - first) / spacing + 1e-6) + 1
    nominal = [first + sign * index * spacing for index in range(total)]
    assert [event.trigger_index for event in ready.events] == list(range(total))
    assert {event.scan_id for event in ready.events} == {77}
    jitter_deg = speed * ready.body.parameters.trigger_jitter_s
    half_play = ready.body.parameters.backlash_deg / 2
    for made, event, angle in zip(ready.gantry.triggers, ready.events, nominal, strict=True):
        late = sign * (made.true_deg - angle)
        # behind the play the gantry is half of it late; the jitter only ever delays
        assert -half_play - 1e-4 <= late <= jitter_deg * 1.02 + 1e-4
        assert event.primary_udeg is not None
        assert event.secondary_udeg is not None
        assert event.primary_udeg / 1e6 == pytest.approx(angle, abs=jitter_deg + 0.003)
        assert event.secondary_udeg / 1e6 == pytest.approx(angle, abs=jitter_deg + speed * 0.006 + half_play + 0.005)
    # in device time they come evenly, as the speed is constant from the first to the last
    times_s = [event.device_time_us / 1e6 for event in ready.events]
    steps = [after - before for before, after in pairwise(times_s)]
    assert min(steps) > spacing / speed * 0.99 - 0.0002
    assert max(steps) < spacing / speed * 1.01 + 0.0002
    assert ready.state is not None
    ready.run(0.1)
    assert (ready.state.scan_id, ready.state.trigger_count) == (77, total)


def test_without_jitter_the_drive_is_at_its_angle_to_a_tenth_of_a_millidegree() -> None:
    rig = Rig(trigger_jitter_s=0.0, backlash_deg=0.0, primary_scale_ppm=0.0, primary_noise_deg=0.0).connect().press()
    number = rig.scan()
    rig.run(20.0, rig.is_done(number))
    assert len(rig.events) == 25
    for event in rig.events:
        assert event.primary_udeg == pytest.approx(12e6 + event.trigger_index * 0.5e6, abs=100)


@pytest.mark.parametrize(("first", "last", "speed"), [(12.0, 30.0, 7.0), (8.0, -4.0, 3.0)])
def test_the_true_speed_is_constant_from_the_first_angle_to_the_last(
    ready: Rig, first: float, last: float, speed: float
) -> None:
    number = ready.scan(first, last, speed=speed)
    speeds = []
    while ready.outcome(number)[0] is not CommandStatus.DONE:
        ready.tick()
        if ready.gantry.trigger_count and min(first, last) <= ready.body.true_deg <= max(first, last):
            speeds.append(ready.speed)
    assert len(speeds) == pytest.approx(abs(last - first) / speed / TICK_S, abs=3)
    assert speeds == pytest.approx([speed] * len(speeds), rel=2e-4)


def test_nothing_triggers_on_the_way_to_the_run_up() -> None:
    """The gantry stands beyond the last angle and crosses every one on its way to the first."""
    rig = Rig(40.0).connect().press()
    number = rig.scan()
    rig.run(20.0, rig.is_done(number))
    assert [event.trigger_index for event in rig.events] == list(range(25))
    assert all(event.primary_udeg is not None for event in rig.events)
    times = [event.device_time_us for event in rig.events]
    assert times == sorted(times)


def test_a_step_that_ends_at_the_last_angle_is_included_and_no_other(ready: Rig) -> None:
    number = ready.scan(12.0, 13.2, spacing=0.5)
    ready.run(20.0, ready.is_done(number))
    assert len(ready.events) == 3
    number = ready.scan(12.0, 13.0, spacing=0.5)
    ready.events.clear()
    ready.run(20.0, ready.is_done(number))
    assert len(ready.events) == 3


def test_a_scan_that_is_stopped_triggers_nothing_more(ready: Rig) -> None:
    number = ready.scan(12.0, 60.0)
    ready.run(20.0, lambda: len(ready.events) >= 10)
    ready.bar = BarPosition.RELEASED
    ready.run(0.1)
    count = len(ready.events)
    ready.run(2.0)
    assert len(ready.events) == count < 13
    assert ready.outcome(number) == (CommandStatus.ABORTED, CommandReason.STOPPED)
    assert ready.stands()


def test_every_nth_trigger_may_be_missing_and_the_count_tells(ready: Rig) -> None:
    ready.simulator.answer({"do": "fault", "name": "trigger_missing", "every": 5})
    number = ready.scan()
    ready.run(20.0, ready.is_done(number))
    assert [event.trigger_index for event in ready.events] == [index for index in range(25) if index % 5 != 4]
    assert ready.gantry.trigger_count == 25


def test_a_late_trigger_says_where_the_gantry_was_then(ready: Rig) -> None:
    ready.simulator.answer({"do": "fault", "name": "trigger_late", "seconds": 0.05})
    number = ready.scan()
    ready.run(20.0, ready.is_done(number))
    assert len(ready.events) == 25
    for event in ready.events:
        assert event.primary_udeg == pytest.approx(12e6 + event.trigger_index * 0.5e6 + 0.3e6, abs=8000)


# what it says


def test_the_gantry_says_what_it_is(ready: Rig) -> None:
    info = ready.info
    assert info is not None
    assert (info.travel_min_udeg / 1e6, info.travel_max_udeg / 1e6) == TRAVEL_DEG
    assert info.speed_max_udeg_per_s == 7_000_000
    assert info.arm_travel_us == 4_000_000
    assert info.servo_lag_us == pytest.approx(31_831, abs=1)


def test_the_state_says_what_arrived(ready: Rig) -> None:
    state = ready.state
    assert state is not None
    assert state.press_count == ready.press_count
    assert ready.client_counter - 1 <= (state.client_counter or 0) <= ready.client_counter  # one may be under way
    assert state.token_age_us is not None
    assert state.token_age_us <= 60_000
    everything = GantryStatus(0)
    for flag in GantryStatus:
        everything |= flag
    assert state.status == everything


def test_states_come_fifty_times_a_second(ready: Rig) -> None:
    assert ready.state is not None
    before = ready.state.state_count
    ready.run(2.0)
    assert ready.state.state_count - before == pytest.approx(100, abs=2)
    assert ready.host.sequence.lost == 0


# the truth connection


@pytest.mark.parametrize("name", ["freeze", "link_drop"])
def test_a_line_that_is_silent(moving: Rig, name: str) -> None:
    moving.simulator.answer({"do": "fault", "name": name})
    before = moving.state
    moving.run(0.4)
    assert moving.state is before
    if name == "link_drop":
        assert moving.gantry.latch is GantryLatch.HOST_LOST
    else:
        assert moving.gantry.latch is GantryLatch.NONE
        assert moving.speed > 6.9


def test_truth_is_the_true_gantry(moving: Rig) -> None:
    seen = moving.simulator.truth()
    assert seen["angle_deg"] == moving.body.true_deg
    assert seen["speed_deg_per_s"] > 6.9
    assert (seen["standstill"], seen["stop_cause"], seen["arm_state"]) == (False, None, "EXTENDED")


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_begins_and_ends(ready: Rig, name: str) -> None:
    assert ready.simulator.answer({"do": "fault", "name": name}) == {"ok": True}
    assert ready.simulator.truth()["faults"] == [name]
    ready.run(0.3)
    ready.simulator.answer({"do": "clear"})
    assert ready.simulator.truth()["faults"] == []
    ready.connect()
    if name == "arm_unknown":
        assert ready.clear(GantryLatch.ARM_FAILED)[0] is CommandStatus.DONE
    ready.release().press()
    number = ready.rotate(15.0)
    ready.run(5.0, ready.is_done(number))


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        ({"do": "fault", "name": "gremlins"}, UnknownFault),
        ({"do": "fault"}, UnknownFault),
        ({"do": "clear", "name": "gremlins"}, UnknownFault),
        ({"do": "fault", "name": "stuck", "axis": 1}, InvalidTruthRequest),
        ({"do": "fault", "name": "trigger_missing", "every": 0}, InvalidTruthRequest),
        ({"do": "fault", "name": "trigger_missing", "every": 2.5}, InvalidTruthRequest),
        ({"do": "fault", "name": "encoder_invalid", "channel": 3}, InvalidTruthRequest),
        ({"do": "dance"}, InvalidTruthRequest),
    ],
)
def test_what_makes_no_sense_is_an_error_and_changes_nothing(
    ready: Rig, request_: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        ready.simulator.answer(request_)
    assert ready.simulator.truth()["faults"] == []


def test_the_same_seed_gives_the_same_readings() -> None:
    readings = [
        (body.primary_deg(), body.secondary_deg())
        for body in (GantryBody(30.0, seed=seed, now_s=0.0) for seed in (9, 9, 10))
    ]
    assert readings[0] == readings[1] != readings[2]


def test_each_encoder_has_a_scale_error_of_its_own() -> None:
    bodies = [GantryBody(180.0, seed=seed, now_s=0.0) for seed in range(40)]
    primary = [float(body.measured()[0]) - 180.0 for body in bodies]
    secondary = [(body.secondary_deg() or 0.0) - 180.0 for body in bodies]
    assert 0.002 < max(map(abs, primary)) <= 180 * 20e-6
    assert 0.01 < max(map(abs, secondary)) <= 180 * 100e-6 + 0.0006
