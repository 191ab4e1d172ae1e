"""Calibrations measured in a simulated room of real processes, judged by the simulator's truth."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

import isoalign
from isoalign.calibration import check_day, cube_phantom, measure_day, measure_stops
from isoalign.calibration.stop_table import stops_of
from isoalign.interlocks import Settings

pytestmark = [pytest.mark.system, pytest.mark.timeless, pytest.mark.timeout(300)]


def test_the_daily_check_and_a_stop_in_a_simulated_room() -> None:
    with isoalign.open_room(scene="cube", seed=3) as room:
        room.clear("calibration", "physicist")
        check = check_day(measure_day(room, cube_phantom()))
        assert check.failures() == ()
        np.testing.assert_allclose(check.setup[:3], 0.0, atol=0.15)
        np.testing.assert_allclose(check.shift[:3], 0.0, atol=0.15)
        np.testing.assert_allclose(check.shift[3:], 0.0, atol=0.1)
        given = measure_stops(
            room, now=lambda: datetime.now(UTC), axes=("lateral",), speeds=("normal",), again=1, load_kg=0.0
        )
        truth = room.simulation.control("couch").truth()  # type: ignore[union-attr]
    first, second = stops_of(given.runs)
    for stop, run in ((first, given.runs[0]), (second, given.runs[1])):
        assert 45.0 < stop.speed < 52.0
        assert 3.0 < stop.distance < 10.0
        assert stop.time_s < 1.0
        apart = run.secondary - run.primary + 0.005 * run.velocity
        assert np.abs(apart).max() < Settings().disagreement_standing_mm
    assert truth["standstill"]
