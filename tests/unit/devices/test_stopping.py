"""The predicted stop distance beside the truth: the simulated couch itself, on a clock of its own, over real bytes."""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np
import pytest

from isoalign.devices.motion_plan import STOP_LATENCY_S
from isoalign.devices.stopping import TRANSMISSION_S, StopPredictor
from isoalign.geometry import Array
from isoalign.geometry.motion_profile import NORMAL_LIMITS, SynchronisedProfile, plan_synchronised
from isoalign.protocol import HostSession, axes_from_micro, micro_from_axes
from isoalign.protocol.messages import (
    BarPosition,
    CouchState,
    DeviceKind,
    EnableToken,
    Latch,
    Move,
    SpeedClass,
    StopReason,
)
from isoalign.simulators.couch_firmware import CouchFirmware
from isoalign.simulators.couch_physics import CouchBody

HANDFUL = 8
SOAK_TRIALS = 240
TICK_S = 0.01
SLOWEST = np.array([2.5, 2.5, 2.5, 0.15, 0.15, 0.15])
"""Slower axes have just begun, or are about to stand still: a stop is then all lag, noise and play."""
PLAY = np.array([0.02, 0.02, 0.02, 0.002, 0.002, 0.002])
"""Of the simulated gears: the table may lag behind the drive by this, which no encoder sees."""


@dataclass
class Seen:
    """A read-back, when it was made, and where the couch truly was."""

    position: Array
    at_s: float
    truth: Array
    velocity: Array


class VirtualCouch:
    """A couch and its host on one clock that nobody waits for; the bar is held."""

    def __init__(self, start: Array, seed: int) -> None:
        self.now_s = 0.0
        self.body = CouchBody(start, seed=seed, now_s=0.0)
        self.firmware = CouchFirmware(self.body, now_s=0.0)
        self.host = HostSession(DeviceKind.COUCH)
        self.seen: Seen | None = None
        self._beat = 0
        self._next_beat_s = 0.0
        self._held = False
        self.host.connect(0.0)
        self.run_until(0.3)
        self._held = True
        self.run_until(0.6)

    def run_until(self, time_s: float) -> None:
        while self.now_s < time_s:
            self.now_s = min(self.now_s + TICK_S, time_s)
            self.exchange()

    def exchange(self) -> None:
        if self.now_s >= self._next_beat_s and self.host.is_open:
            self._next_beat_s = self.now_s + 0.04
            self._beat += 1
            self.host.client_counter = self._beat
            bar = BarPosition.ENABLED if self._held else BarPosition.RELEASED
            self.host.send(EnableToken(bar=bar, press_count=int(self._held), token_counter=self._beat), self.now_s)
            self.host.heartbeat(self.now_s)
        self.host.poll(self.now_s)
        self.firmware.receive(self.host.take_output(), self.now_s)
        self.firmware.step(self.now_s)
        for message in self.host.feed(self.firmware.take_output(), self.now_s):
            if isinstance(message, CouchState):
                primary = np.array([value or 0.0 for value in axes_from_micro(message.primary_micro)])
                self.seen = Seen(primary, self.now_s, self.body.true_position(), self.body.velocity.copy())

    def move(self, target: Array, permille: int) -> SynchronisedProfile:
        assert self.seen is not None
        start = self.seen.position
        limits = [limit.at_speed(permille / 1000) for limit in NORMAL_LIMITS]
        none = (None,) * 6
        command = Move(
            command_id=1,
            valid_until_us=0,
            speed_class=SpeedClass.NORMAL,
            speed_permille=permille,
            target_micro=micro_from_axes(target),
            expected_start_micro=none,
        )
        self.host.issue(command, self.now_s)
        self.exchange()
        assert self.firmware.is_moving
        return plan_synchronised(start, target, limits)

    def stop_after(self, delay_s: float) -> Array:
        """STOP arrives then; returns where the couch truly comes to rest."""
        self.run_until(self.now_s + delay_s)
        self.host.stop(StopReason.HOLD, self.now_s)
        self.exchange()
        assert self.firmware.latch is Latch.STOP_COMMAND
        while not self.firmware.is_standing:
            self.run_until(self.now_s + TICK_S)
        assert not self.firmware.is_moving
        return self.body.true_position()


@dataclass
class Outcome:
    predicted: Array
    true: Array
    velocity: Array


def stop_somewhere(trial: int) -> Outcome:
    """A random motion at a random speed, stopped at a random moment at which something really moves."""
    dice = random.Random(trial)
    start = np.array([dice.uniform(-100, 100), dice.uniform(500, 900), dice.uniform(-300, 0), 0, 0, 0])
    reach = np.array([80.0, 200.0, 80.0, 3.0, 3.0, 30.0])
    way = np.array([dice.uniform(-1, 1) * length * dice.choice([0, 1, 1]) for length in reach])
    way[dice.randrange(6)] = dice.choice([-1, 1]) * reach[dice.randrange(3)] * 0.01
    couch = VirtualCouch(start, seed=trial)
    profile = couch.move(start + way, dice.choice([100, 200, 400, 700, 1000, 1000]))
    until_s = couch.now_s + dice.uniform(0.1, 0.95) * profile.duration_s
    couch.run_until(until_s)
    while couch.seen is not None and (np.abs(couch.seen.velocity) < SLOWEST).all() and couch.firmware.is_moving:
        couch.run_until(couch.now_s + 0.02)
    seen = couch.seen
    assert seen is not None
    assert couch.firmware.is_moving
    predictor = StopPredictor(profile, couch.body.parameters.servo_lag_s)
    predicted = predictor.stop_distance(seen.position.tolist(), seen.velocity.tolist(), couch.now_s - seen.at_s)
    rest = couch.stop_after(dice.uniform(0.0, TRANSMISSION_S))
    return Outcome(predicted, np.abs(rest - seen.truth), seen.velocity)


@pytest.mark.parametrize(
    "trial", [pytest.param(n, marks=[] if n < HANDFUL else [pytest.mark.soak]) for n in range(SOAK_TRIALS)]
)
def test_predicted_stop_is_never_too_short_and_at_most_a_fifth_too_long(trial: int) -> None:
    outcome = stop_somewhere(trial)
    fast = np.abs(outcome.velocity) >= SLOWEST
    assert fast.any()
    assert (outcome.predicted >= outcome.true)[fast].all(), "a stop went further than predicted"
    assert (outcome.predicted <= 1.2 * outcome.true)[fast].all()
    assert (outcome.predicted + PLAY >= outcome.true).all()


def test_a_plan_announces_the_worst_moment_of_its_motion() -> None:
    """The end of the acceleration: the set point still gets faster when the stop begins."""
    start = np.array([0.0, 700.0, -120.0, 0.0, 0.0, 0.0])
    way = np.array([0.0, 150.0, 0.0, 0.0, 0.0, 0.0])
    worst = announced = 0.0
    for moment_s in (0.06, 0.08, 0.09, 0.10, 0.11, 0.12, 0.15, 1.0):  # brakes open for 0.06 s of these
        couch = VirtualCouch(start, seed=1)
        profile = couch.move(start + way, 1000)
        couch.run_until(couch.now_s + 0.06 + moment_s - 0.002)
        before = couch.body.true_position()
        rest = couch.stop_after(0.002)
        lag_s = couch.body.parameters.servo_lag_s
        announced = float(profile.largest_stop_distance(reaction_s=lag_s + STOP_LATENCY_S)[1])
        worst = max(worst, float(abs(rest - before)[1]))
    assert worst <= announced <= 1.2 * worst


def test_an_axis_that_does_not_move_needs_no_way_to_stop() -> None:
    start = np.array([0.0, 700.0, -120.0, 0.0, 0.0, 0.0])
    target = start + np.array([0.0, 0.0, 0.0, 0.0, 0.0, 5.0])
    predictor = StopPredictor(plan_synchronised(start, target, NORMAL_LIMITS), 0.016)
    halfway = predictor.stop_distance(((start + target) / 2).tolist(), [0, 0, 0, 0, 0, 3.0], 0.0)
    assert (halfway[:5] == 0.0).all()
    assert 0.2 < halfway[5] < 0.6
    nowhere = StopPredictor(plan_synchronised(start, start, NORMAL_LIMITS), 0.016)
    assert (nowhere.stop_distance(start.tolist(), [0.0] * 6, 0.0) == 0.0).all()
    # at the target nothing is left, also when noise shows the couch beyond it
    assert predictor.stop_distance((target + 1e-4).tolist(), [0.0] * 6, 0.5).max() < 1e-3
