"""What the truth says of the times of a stop, on a clock that nobody waits for."""

from __future__ import annotations

import numpy as np
import pytest

from isoalign.simulators.couch_firmware import CouchFirmware
from isoalign.simulators.couch_physics import CouchBody
from isoalign.simulators.motion_times import MotionTimes
from isoalign.simulators.virtual_couch import VirtualCouch

START = (0.0, 700.0, -120.0, 0.0, 0.0, 0.0)


def test_a_host_that_falls_silent_in_motion() -> None:
    body = CouchBody(START, seed=1, now_s=0.0)
    firmware = CouchFirmware(body, now_s=0.0)
    times = MotionTimes()

    def follow(now_s: float) -> None:
        times.heard(firmware, now_s)
        times.passed(firmware, now_s)

    couch = VirtualCouch(firmware, on_tick=follow)
    couch.press()
    assert couch.begin_move((0.0, 900.0, -120.0, 0.0, 0.0, 0.0))
    couch.run_for(1.0)
    assert times.stop_began_s is None
    assert times.rest_s is None
    heard_s = couch.now_s
    while firmware.is_moving:  # the firmware alone: nobody says anything any more
        heard_now_s = couch.now_s = couch.now_s + 0.01
        firmware.step(heard_now_s)
        follow(heard_now_s)
        if times.rest_s is None:
            last_fast_s = heard_now_s
    assert times.heartbeat_s is not None
    assert times.stop_began_s is not None
    assert heard_s - 0.05 <= times.heartbeat_s <= heard_s
    assert times.stop_began_s - times.heartbeat_s == pytest.approx(0.150, abs=0.011)
    assert times.rest_s == pytest.approx(last_fast_s + 0.01)
    assert np.abs(body.velocity).max() < 0.05
    assert times.longest_tick_s == pytest.approx(0.01, abs=1e-6)
    assert set(times.as_truth()) == {"heartbeat_s", "token_s", "stop_began_s", "rest_s", "longest_tick_s"}
