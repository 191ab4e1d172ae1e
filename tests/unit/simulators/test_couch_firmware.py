"""The couch's own safety, with a clock that the test moves: what stops it, what is latched, what may follow."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from isoalign.clock import ManualClock
from isoalign.geometry import NORMAL_LIMITS, plan_synchronised, stop_distance
from isoalign.protocol import HostSession, SessionState, micro_from_axes
from isoalign.protocol.messages import (
    BarPosition,
    Clear,
    CommandReason,
    CommandStatus,
    CouchMode,
    CouchState,
    CouchStatus,
    DeviceKind,
    EnableToken,
    Latch,
    Move,
    SpeedClass,
    StopReason,
)
from isoalign.simulators.couch_firmware import TRAVEL, CouchFirmware
from isoalign.simulators.couch_physics import CouchBody

START = (0.0, 700.0, -120.0, 0.0, 0.0, 0.0)
FAR = (0.0, 760.0, -120.0, 0.0, 0.0, 0.0)
TICK_S = 0.01


class Rig:
    """A couch, a host, a client and a thumb on the enabling switch, in 10 ms ticks."""

    def __init__(self, start: tuple[float, ...] = START) -> None:
        self.clock = ManualClock()
        self.clock.advance(50.0)
        self.body = CouchBody(start, seed=3, now_s=self.now_s)
        self.couch = CouchFirmware(self.body, now_s=self.now_s)
        self.host = HostSession(DeviceKind.COUCH)
        self.state: CouchState | None = None
        self.bar = BarPosition.RELEASED
        self.press_count = 7
        self.token_counter = 0
        self.client_counter = 100
        self.host_alive = self.client_alive = self.token_alive = True
        self.line_to_couch = self.line_to_host = True
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

    def run(self, seconds: float, until: Callable[[], bool] = lambda: False) -> float:
        """Let time pass; how much of it until the condition held."""
        for tick in range(round(seconds / TICK_S)):
            if until():
                return tick * TICK_S
            self.tick()
        assert until.__name__ == "<lambda>"
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
                    token = EnableToken(bar=self.bar, press_count=self.press_count, token_counter=self.token_counter)
                    self.host.send(token, self.now_s)
            data = self.host.take_output()
            if self.line_to_couch:
                self.couch.receive(data, self.now_s)
        self.couch.step(self.now_s)
        output = self.couch.take_output()
        if self.host_alive and self.line_to_host:
            for message in self.host.feed(output, self.now_s):
                if isinstance(message, CouchState):
                    self.state = message

    def move(self, target: tuple[float, ...] = FAR, **changes: object) -> int:
        values: dict[str, object] = {
            "command_id": 1,
            "valid_until_us": 0,
            "speed_class": SpeedClass.NORMAL,
            "speed_permille": 1000,
            "target_micro": micro_from_axes(target),
            "expected_start_micro": micro_from_axes(self.body.drive),
        }
        number = self.host.issue(Move(**{**values, **changes}), self.now_s)  # type: ignore[arg-type]
        self.tick()
        return number

    def outcome(self, number: int) -> tuple[CommandStatus, CommandReason]:
        progress = self.host.progress(number)
        assert progress is not None
        return progress.status, progress.reason

    def clear(self, latch: Latch) -> tuple[CommandStatus, CommandReason]:
        number = self.host.issue(Clear(command_id=1, valid_until_us=0, latch=latch), self.now_s)
        self.run(0.05)
        return self.outcome(number)

    def speed(self) -> float:
        return float(np.abs(self.body.velocity).max())

    def stands(self) -> bool:
        return self.couch.is_standing


@pytest.fixture
def ready() -> Rig:
    """Connected and enabled."""
    return Rig().connect().press()


@pytest.fixture
def moving(ready: Rig) -> Rig:
    """At full speed."""
    number = ready.move()
    assert ready.outcome(number)[0] is CommandStatus.STARTED
    ready.run(0.5)
    assert ready.speed() > 45
    return ready


STOPPING_WAY_MM = 10.0


def assert_stopped_for_good(rig: Rig, latch: Latch) -> None:
    assert rig.couch.latch is latch
    place = rig.body.table.copy()
    rig.host_alive = rig.client_alive = rig.token_alive = True
    rig.run(1.0)
    assert rig.stands()
    assert np.abs(rig.body.table - place).max() < 0.01
    assert place[1] < FAR[1] - 5


def test_a_move_arrives_and_is_reported(ready: Rig) -> None:
    target = (5.0, 710.0, -125.0, 1.0, -2.0, 3.0)
    number = ready.move(target)
    planned_s = plan_synchronised(START, target, NORMAL_LIMITS).duration_s
    took_s = ready.run(5.0, lambda: ready.outcome(number)[0] is CommandStatus.DONE)
    assert planned_s < took_s < planned_s + 0.4
    ready.run(0.3)
    assert ready.body.drive == pytest.approx(target, abs=0.005)
    # play in the gears shows on the table, not on the primary encoder
    assert ready.body.table == pytest.approx(target, abs=0.025)
    assert ready.body.brakes_engaged
    assert ready.state is not None
    assert ready.state.primary_micro[0] == pytest.approx(5000, abs=25)
    assert ready.state.last_command_status is CommandStatus.DONE
    assert ready.state.mode is CouchMode.SWITCHED_ON


def test_the_speed_limits_hold_on_the_true_couch(ready: Rig) -> None:
    number = ready.move((100.0, 800.0, -120.0, 3.0, 0.0, 30.0))
    fastest = np.zeros(6)
    while ready.outcome(number)[0] is not CommandStatus.DONE:
        ready.tick()
        fastest = np.maximum(fastest, np.abs(ready.body.velocity))
    assert (fastest[:3] <= 50 * 1.02).all()
    assert (fastest[3:] <= 3 * 1.02).all()


def test_service_speed_is_slow(ready: Rig) -> None:
    ready.move(speed_class=SpeedClass.SERVICE)
    ready.run(1.0)
    assert 9 < ready.speed() < 10.3


def test_part_of_the_speed(ready: Rig) -> None:
    ready.move(speed_permille=200)
    ready.run(1.0)
    assert 9 < ready.speed() < 10.3


LOSSES = [
    ("host_alive", Latch.HOST_LOST, 0.15),
    ("client_alive", Latch.CLIENT_LOST, 0.25),
    ("token_alive", Latch.ENABLE_LOST, 0.15),
]


@pytest.mark.parametrize(("what", "latch", "expiry_s"), LOSSES)
def test_the_couch_stops_by_itself_when_anybody_goes_silent(
    moving: Rig, what: str, latch: Latch, expiry_s: float
) -> None:
    setattr(moving, what, False)
    silent_s = moving.now_s
    before = moving.body.table[1]
    reacted_s = moving.run(1.0, lambda: moving.couch.latch is not Latch.NONE)
    at_latch = moving.body.table[1]
    moving.run(1.0, moving.stands)
    stopped_s = moving.now_s - silent_s
    assert expiry_s - 0.06 < reacted_s <= expiry_s + 2 * TICK_S + 0.05  # the last counter may be 50 ms old, or new
    assert stopped_s < reacted_s + 0.35
    assert 0 < moving.body.table[1] - at_latch < STOPPING_WAY_MM
    assert moving.body.table[1] - before < 50 * (expiry_s + 0.05) + STOPPING_WAY_MM
    assert_stopped_for_good(moving, latch)


def test_releasing_the_switch_stops_at_once(moving: Rig) -> None:
    moving.bar = BarPosition.RELEASED
    assert moving.run(1.0, lambda: moving.couch.latch is Latch.ENABLE_LOST) <= 0.07
    moving.run(1.0, moving.stands)
    assert_stopped_for_good(moving, Latch.ENABLE_LOST)
    assert moving.state is not None
    assert moving.state.mode is CouchMode.QUICK_STOP_ACTIVE


def test_squeezing_the_switch_stops_at_once(moving: Rig) -> None:
    moving.bar = BarPosition.SQUEEZED
    assert moving.run(1.0, lambda: moving.couch.latch is Latch.ENABLE_LOST) <= 0.07
    assert moving.run(1.0, moving.stands) < 0.4


def test_stop_works_in_motion_and_without_a_session(moving: Rig) -> None:
    stranger = HostSession(DeviceKind.COUCH)
    stranger.stop(StopReason.HOLD, moving.now_s)
    begun = moving.body.table[1]
    moving.couch.receive(stranger.take_output(), moving.now_s)
    assert moving.couch.latch is Latch.STOP_COMMAND
    assert moving.run(1.0, moving.stands) < 0.35
    assert moving.body.table[1] - begun < STOPPING_WAY_MM
    assert_stopped_for_good(moving, Latch.STOP_COMMAND)


def test_the_interrupted_move_is_aborted_with_the_cause(ready: Rig) -> None:
    number = ready.move()
    ready.run(0.5)
    ready.host.stop(StopReason.HOLD, ready.now_s)
    ready.run(1.0)
    progress = ready.host.progress(number)
    assert progress is not None
    assert (progress.status, progress.reason) == (CommandStatus.ABORTED, CommandReason.STOPPED)
    assert Latch(progress.detail) is Latch.STOP_COMMAND


def test_a_stop_at_rest_is_latched_too(ready: Rig) -> None:
    ready.host.stop(StopReason.HOLD, ready.now_s)
    ready.run(0.1)
    assert ready.couch.latch is Latch.STOP_COMMAND
    assert ready.outcome(ready.move()) == (CommandStatus.REJECTED, CommandReason.LATCHED)


def test_losing_the_host_at_rest_is_no_fault_but_ends_the_session(ready: Rig) -> None:
    ready.host_alive = False
    ready.run(0.5)
    assert ready.couch.latch is Latch.NONE
    assert ready.couch.mode(ready.now_s) is CouchMode.SWITCH_ON_DISABLED


def test_the_first_cause_stays(moving: Rig) -> None:
    moving.bar = BarPosition.RELEASED
    moving.run(0.1)
    moving.host_alive = False
    moving.run(1.0)
    assert moving.couch.latch is Latch.ENABLE_LOST


def test_after_a_stop_motion_needs_clear_and_then_a_new_press(moving: Rig) -> None:
    moving.host.stop(StopReason.HOLD, moving.now_s)
    moving.run(0.05)
    assert moving.clear(Latch.STOP_COMMAND) == (CommandStatus.REJECTED, CommandReason.STILL_MOVING)
    moving.run(1.0)
    assert moving.outcome(moving.move()) == (CommandStatus.REJECTED, CommandReason.LATCHED)
    assert moving.clear(Latch.HOST_LOST) == (CommandStatus.REJECTED, CommandReason.WRONG_LATCH)
    assert moving.clear(Latch.STOP_COMMAND) == (CommandStatus.DONE, CommandReason.NONE)
    assert moving.clear(Latch.STOP_COMMAND) == (CommandStatus.REJECTED, CommandReason.NOTHING_TO_CLEAR)
    # the thumb never left the switch
    assert moving.outcome(moving.move()) == (CommandStatus.REJECTED, CommandReason.NEW_PRESS_NEEDED)
    moving.release()
    assert moving.outcome(moving.move()) == (CommandStatus.REJECTED, CommandReason.NOT_ENABLED)
    moving.press()
    assert moving.outcome(moving.move())[0] is CommandStatus.STARTED


def test_a_press_between_stop_and_clear_does_not_count(moving: Rig) -> None:
    moving.host.stop(StopReason.HOLD, moving.now_s)
    moving.run(1.0)
    moving.release().press()
    assert moving.clear(Latch.STOP_COMMAND)[0] is CommandStatus.DONE
    assert moving.outcome(moving.move()) == (CommandStatus.REJECTED, CommandReason.NEW_PRESS_NEEDED)


def test_after_a_lost_host_nothing_resumes_with_the_next_session(moving: Rig) -> None:
    moving.host_alive = False
    moving.run(1.0)
    moving.host_alive = True
    place = moving.body.table.copy()
    moving.connect()
    moving.run(1.0)
    assert moving.body.table == pytest.approx(place, abs=0.01)
    assert moving.state is not None
    assert moving.state.latch is Latch.HOST_LOST
    assert moving.state.mode is CouchMode.FAULT
    # the target is where the couch is, not where it was going
    assert moving.state.target_micro[1] == pytest.approx(place[1] * 1000, abs=15)
    assert moving.clear(Latch.HOST_LOST)[0] is CommandStatus.DONE
    moving.run(0.5)
    assert moving.body.table == pytest.approx(place, abs=0.01)


def test_a_new_session_in_motion_stops_the_couch(moving: Rig) -> None:
    moving.host.connect(moving.now_s)
    moving.run(1.0)
    assert_stopped_for_good(moving, Latch.SESSION_REPLACED)


def test_a_new_session_needs_a_new_press(ready: Rig) -> None:
    ready.connect()
    assert ready.outcome(ready.move()) == (CommandStatus.REJECTED, CommandReason.NEW_PRESS_NEEDED)
    ready.release().press()
    assert ready.outcome(ready.move())[0] is CommandStatus.STARTED


def test_a_command_that_waited_too_long_is_not_carried_out(ready: Rig) -> None:
    """The line stalls for 0.7 s, then everything arrives at once: the couch must not move then."""
    number = ready.host.issue(
        Move(1, 0, SpeedClass.NORMAL, 1000, micro_from_axes(FAR), (None,) * 6), ready.now_s, valid_for_s=0.3
    )
    waiting = ready.host.take_output()
    for _ in range(70):
        ready.clock.advance(TICK_S)
    ready.couch.receive(waiting, ready.now_s)
    ready.run(0.5)
    assert ready.speed() == 0
    assert ready.body.table[1] == pytest.approx(START[1], abs=0.01)
    assert number


@pytest.mark.parametrize("axis", range(6))
@pytest.mark.parametrize("end", [0, 1])
def test_a_target_out_of_travel_is_refused(ready: Rig, axis: int, end: int) -> None:
    target = list(START)
    target[axis] = TRAVEL[axis][end] + (0.001 if end else -0.001)
    number = ready.move(tuple(target))
    progress = ready.host.progress(number)
    assert progress is not None
    assert (progress.reason, progress.detail) == (CommandReason.OUT_OF_TRAVEL, axis)


@pytest.mark.parametrize(("axis", "off_by"), [(0, 0.15), (2, -0.15), (5, 0.15)])
def test_a_move_from_elsewhere_is_refused(ready: Rig, axis: int, off_by: float) -> None:
    expected = list(START)
    expected[axis] += off_by
    number = ready.move(expected_start_micro=micro_from_axes(expected))
    progress = ready.host.progress(number)
    assert progress is not None
    assert (progress.reason, progress.detail) == (CommandReason.START_MISMATCH, axis)


def test_a_second_move_is_refused_while_one_is_under_way(moving: Rig) -> None:
    assert moving.outcome(moving.move()) == (CommandStatus.REJECTED, CommandReason.BUSY)
    moving.run(0.2)
    assert moving.speed() > 0


def test_motion_needs_a_client(ready: Rig) -> None:
    ready.client_alive = False
    ready.run(0.3)
    assert ready.outcome(ready.move()) == (CommandStatus.REJECTED, CommandReason.CLIENT_NOT_FRESH)


def test_motion_needs_referenced_axes(ready: Rig) -> None:
    ready.couch.referenced = False
    assert ready.outcome(ready.move()) == (CommandStatus.REJECTED, CommandReason.NOT_REFERENCED)
    ready.run(0.05)
    assert ready.state is not None
    assert CouchStatus.REFERENCED not in ready.state.status


def test_a_stuck_axis_stops_the_couch(ready: Rig) -> None:
    ready.body.stuck.add(1)
    ready.move((40.0, 760.0, -120.0, 0.0, 0.0, 0.0))
    ready.run(2.0)
    assert ready.couch.latch is Latch.FOLLOWING_ERROR
    assert ready.stands()
    assert ready.state is not None
    assert ready.state.following_error_axis == 1
    assert ready.body.table[0] < 20


def test_a_drifting_second_encoder_shows_and_the_truth_does_not_move(ready: Rig) -> None:
    ready.body.secondary_fault_rate[2] = 0.5
    ready.run(1.0)
    assert ready.state is not None
    assert ready.state.secondary_micro[2] - ready.state.primary_micro[2] == pytest.approx(500, abs=30)  # type: ignore[operator]
    assert ready.body.table[2] == START[2]


def test_an_invalid_encoder_is_not_a_number_and_stops_motion(moving: Rig) -> None:
    moving.body.primary_invalid.add(0)
    moving.run(0.1)
    assert moving.couch.latch is Latch.ENCODER_INVALID
    assert moving.state is not None
    assert moving.state.primary_micro[0] is None
    assert moving.state.primary_micro[1] is not None
    assert moving.state.mode is CouchMode.FAULT_REACTION_ACTIVE


def test_both_encoders_agree_within_what_the_host_is_told(ready: Rig) -> None:
    """The secondary is a known time late; aligned by it, the two differ by scale error, play and resolution only."""
    lag_s = ready.host.axes[1].secondary_lag_us * 1e-6
    ready.move()
    worst = 0.0
    for _ in range(150):
        ready.tick()
        assert ready.state is not None
        primary, secondary = ready.state.primary_micro[1], ready.state.secondary_micro[1]
        velocity = ready.state.velocity_micro_per_s[1]
        assert primary is not None
        assert secondary is not None
        assert velocity is not None
        worst = max(worst, abs(primary - velocity * lag_s - secondary))
    assert 0 < worst < 150


def test_the_state_says_what_arrived(ready: Rig) -> None:
    state = ready.state
    assert state is not None
    assert state.press_count == ready.press_count
    assert ready.client_counter - 1 <= (state.client_counter or 0) <= ready.client_counter  # one may be under way
    assert state.token_age_us is not None
    assert state.token_age_us <= 60_000
    everything = (
        CouchStatus.STANDSTILL
        | CouchStatus.BRAKES_ENGAGED
        | CouchStatus.REFERENCED
        | CouchStatus.HOST_FRESH
        | CouchStatus.CLIENT_FRESH
        | CouchStatus.TOKEN_FRESH
        | CouchStatus.PRESS_VALID
    )
    assert state.status == everything


def test_states_come_fifty_times_a_second(ready: Rig) -> None:
    assert ready.state is not None
    before = ready.state.state_count
    ready.run(2.0)
    assert ready.state.state_count - before == pytest.approx(100, abs=2)
    assert ready.host.sequence.lost == 0


def test_the_axes_are_told_and_their_limits_keep_the_stop_budget(ready: Rig) -> None:
    assert sorted(ready.host.axes) == list(range(6))
    for axis, info in ready.host.axes.items():
        scale = 1e3 if axis < 3 else 1e6
        assert (info.travel_min_micro / scale, info.travel_max_micro / scale) == TRAVEL[axis]
        assert info.speed_max_micro_per_s / scale <= (50 if axis < 3 else 3)
        assert 10_000 < info.servo_lag_us < 25_000


@pytest.mark.parametrize("after_s", [0.1, 0.14, 0.18, 0.22, 0.5, 1.2, 1.35])
def test_a_predicted_stop_distance_is_not_exceeded(ready: Rig, after_s: float) -> None:
    """Nowhere on the motion, and at full speed it is not much too long either."""
    lag_s = ready.host.axes[1].servo_lag_us * 1e-6
    longest = plan_synchronised(START, FAR, NORMAL_LIMITS).largest_stop_distance(lag_s + TICK_S)[1]
    cruising = stop_distance(50.0, NORMAL_LIMITS[1], reaction_s=lag_s + TICK_S)
    ready.move()
    ready.run(after_s)
    begun = ready.body.table[1]
    ready.host.stop(StopReason.HOLD, ready.now_s)
    ready.run(1.0)
    went = ready.body.table[1] - begun
    assert went <= longest
    if after_s == 0.5:
        assert 0.9 * cruising < went <= cruising


def test_the_same_seed_gives_the_same_couch() -> None:
    readings = []
    for _ in range(2):
        body = CouchBody(START, seed=9, now_s=0.0)
        readings.append((body.primary(), body.secondary()))
    assert readings[0] == readings[1]
    assert CouchBody(START, seed=10, now_s=0.0).primary() != readings[0][0]


def test_a_couch_has_six_axes() -> None:
    with pytest.raises(ValueError, match="6 axes"):
        CouchBody((1.0, 2.0), seed=0, now_s=0.0)


def test_noise_is_of_the_promised_size() -> None:
    body = CouchBody(START, seed=1, now_s=0.0)
    readings = np.array([body.primary() for _ in range(4000)], dtype=float) - np.array(START)
    assert readings[:, :3].std() == pytest.approx(0.003, rel=0.05)
    assert readings[:, 3:].std() == pytest.approx(0.0002, rel=0.05)
