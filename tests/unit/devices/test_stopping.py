"""The predicted stop distance; its study beside the truth is tests/benchmarks/study_stop_distance.py."""

from __future__ import annotations

import numpy as np
import pytest

from isoalign.devices.motion_plan import STOP_LATENCY_S
from isoalign.devices.stopping import StopPredictor
from isoalign.geometry.motion_profile import NORMAL_LIMITS, plan_synchronised
from isoalign.simulators.couch_firmware import CouchFirmware
from isoalign.simulators.couch_physics import CouchBody
from isoalign.simulators.virtual_couch import VirtualCouch


def test_a_plan_announces_the_worst_moment_of_its_motion() -> None:
    """The end of the acceleration: the set point still gets faster when the stop begins."""
    start = np.array([0.0, 700.0, -120.0, 0.0, 0.0, 0.0])
    way = np.array([0.0, 150.0, 0.0, 0.0, 0.0, 0.0])
    worst = announced = 0.0
    for moment_s in (0.06, 0.08, 0.09, 0.10, 0.11, 0.12, 0.15, 1.0):  # brakes open for 0.06 s of these
        body = CouchBody(start.tolist(), seed=1, now_s=0.0)
        couch = VirtualCouch(CouchFirmware(body, now_s=0.0))
        couch.press()
        profile = plan_synchronised(body.measured(), start + way, NORMAL_LIMITS)
        assert couch.begin_move((start + way).tolist())
        couch.run_for(0.06 + moment_s)
        before = body.true_position()
        couch.stop()
        couch.run_until_rest()
        rest = body.true_position()
        lag_s = body.parameters.servo_lag_s
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


def test_a_reaction_that_was_seen_lengthens_the_way_of_axes_that_move() -> None:
    """A couch that once went on for 0.1 s after a stop is believed to do so again; at 50 mm/s that is 5 mm less lag."""
    start = np.array([0.0, 700.0, -120.0, 0.0, 0.0, 0.0])
    profile = plan_synchronised(start, start + np.array([0.0, 300.0, 0.0, 0.0, 0.0, 0.0]), NORMAL_LIMITS)
    halfway, velocity = [0.0, 850.0, -120.0, 0.0, 0.0, 0.0], [0.0, 50.0, 0.0, 0.0, 0.0, 0.0]

    def way(reaction_s: dict[str, float]) -> float:
        return float(StopPredictor(profile, 0.016, reaction_s).stop_distance(halfway, velocity, 0.0)[1])

    assert way({"longitudinal": 0.1}) - way({}) == pytest.approx(50.0 * (0.1 - 0.017), rel=0.03)
    assert way({"longitudinal": 0.01}) == way({})
    assert way({"lateral": 0.1}) == way({})
