"""The beam that the room tells, the calibration that expires, and the faults that are remembered."""

from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime, timedelta

import pytest

from isoalign.clock import ManualClock
from isoalign.devices.couch_safety import safety_report
from isoalign.devices.errors import BadParameters
from isoalign.devices.fault_history import fault_history
from isoalign.devices.room_state import BeamWatch, CalibrationExpiry
from isoalign.interlocks import Activity, Beam, Circuit, FaultRecord, Finding, Inputs, Observation, Reaction, Torque
from isoalign.protocol.messages import CouchSafety, SafetyCircuit, TorqueFeedback, TouchSensor

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def test_a_counter_that_stands_still_keeps_nothing_fresh() -> None:
    beam = BeamWatch()
    beam.take(1, Beam.OFF, 7, 10.0)
    beam.take(1, Beam.OFF, 7, 11.0)
    assert beam.latest == Observation(Beam.OFF, 10.0)
    beam.take(1, Beam.OFF, 8, 12.0)
    assert beam.latest == Observation(Beam.OFF, 12.0)


def test_a_counter_that_stands_still_can_make_it_worse() -> None:
    beam = BeamWatch()
    beam.take(1, Beam.OFF, 7, 10.0)
    beam.take(1, Beam.ON, 7, 11.0)
    assert beam.latest == Observation(Beam.ON, 10.0)
    beam.take(1, Beam.OFF, 7, 12.0)
    assert beam.latest.value is Beam.ON


def test_only_one_tells_and_when_it_is_gone_nothing_is_known() -> None:
    beam = BeamWatch()
    beam.take(1, Beam.ON, 4_000_000_000, 10.0)
    with pytest.raises(BadParameters, match="another client"):
        beam.take(2, Beam.OFF, 1, 11.0)
    beam.client_gone(2)
    assert beam.latest == Observation(Beam.ON, 10.0)
    beam.client_gone(1)
    assert beam.latest is None
    beam.take(2, Beam.OFF, 1, 12.0)
    assert beam.latest == Observation(Beam.OFF, 12.0)


class TwoClocks(ManualClock):
    """A wall clock that may be set."""

    step = timedelta(0)

    def utc(self) -> datetime:
        return super().utc() + self.step


def test_a_calibration_is_valid_until_either_clock_says_no() -> None:
    clock = TwoClocks(NOW)
    expiry = CalibrationExpiry(NOW + timedelta(hours=1), clock)
    assert expiry.is_valid() is True
    clock.step = timedelta(hours=2)
    assert expiry.is_valid() is False
    clock.step = timedelta(days=-365)
    clock.advance(3599.0)
    assert expiry.is_valid() is True
    clock.advance(2.0)
    assert expiry.is_valid() is False, "setting the wall clock back makes no calibration valid again"
    assert CalibrationExpiry(None, clock).is_valid() is None


def test_what_the_couch_says_in_engineering_units() -> None:
    report = safety_report(
        CouchSafety(
            device_time_us=1,
            state_count=1,
            emergency_stop=SafetyCircuit.OPEN,
            enable_circuit=SafetyCircuit.UNKNOWN,
            torque_feedback=TorqueFeedback.TORQUE_OFF,
            touched=TouchSensor.TABLE_TOP | TouchSensor.BASE,
            touch_force_mn=45_500,
            drive_temperature_mdeg_c=(25_000, 26_500, None, 0, -1_000, 80_001),
            payload_g=75_250,
        )
    )
    assert (report.emergency_stop, report.enable_circuit) == (Circuit.OPEN, Circuit.UNKNOWN)
    assert report.torque is Torque.OFF
    assert report.touched == ("TABLE_TOP", "BASE")
    assert report.touch_force_n == 45.5
    assert report.drive_temperature_c == pytest.approx((25.0, 26.5, float("nan"), 0.0, -1.0, 80.001), nan_ok=True)
    assert report.payload_kg == 75.25


def record(rule_id: str, at_s: float) -> FaultRecord:
    samples = tuple(
        (at_s + 0.004 * step, Inputs(Activity.MOTION, beam=Observation(Beam.ON, at_s))) for step in range(-500, 500)
    )
    return FaultRecord(Finding(rule_id, "text", Reaction.SS1, True, at_s), samples)


def test_the_history_is_json_newest_first_and_thinned() -> None:
    clock = ManualClock(NOW)
    clock.advance(100.0)
    records = [record("beam", 40.0), record("touch", 90.0)]
    shown = json.loads(json.dumps(fault_history(records, 0, clock), allow_nan=False))
    assert [fault["rule_id"] for fault in shown["faults"]] == ["touch", "beam"]
    assert shown["faults"][1]["age_s"] == pytest.approx(60.0)
    assert datetime.fromisoformat(shown["faults"][1]["at"]) == NOW + timedelta(seconds=40)
    times = [sample["t_s"] for sample in shown["samples"]]
    assert (times[0], times[-1]) == pytest.approx((-2.0, 2.0), abs=0.02)
    assert min(b - a for a, b in itertools.pairwise(times)) >= 0.01
    assert shown["samples"][0]["beam"] == "on"
    assert fault_history(records, 5, clock)["samples"] == []
    assert fault_history([], 0, clock) == {"faults": [], "samples": []}
