"""Circuits, load, beam, calibration and imagers: what is refused, what stops, and what keeps nobody from clearing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from isoalign.interlocks import (
    Activity,
    Beam,
    Brake,
    Circuit,
    ClearRefused,
    ImagerReport,
    Inputs,
    InterlockMonitor,
    Observation,
    Settings,
    Torque,
    rules_for,
)

Make = Callable[..., Inputs]
M, IDLE, EXPOSURE = Activity.MOTION, Activity.IDLE, Activity.EXPOSURE


@pytest.fixture
def monitor(settings: Settings, inputs_at: Make) -> InterlockMonitor:
    made = InterlockMonitor(settings)
    made.clear(inputs_at(0.0, IDLE), 0.0, user="Test", reason="test")
    return made


def open_after(monitor: InterlockMonitor, inputs: Inputs, for_s: float) -> dict[str, bool]:
    """The rules that are open when nothing but this is seen for a while, and whether each is latched."""
    for now_s in (10.0, 10.0 + for_s):
        aged = {name: getattr(inputs, name) for name in ("couch", "session_ok", "enable", "safety", "beam")}
        seen = replace(inputs, **{name: replace(one, at_s=now_s) for name, one in aged.items()})
        verdict = monitor.evaluate(seen, now_s)
    return {finding.rule_id: finding.latched for finding in verdict.open}


@pytest.mark.parametrize(
    ("torque", "brake", "emergency_stop", "standstill", "is_open"),
    [
        (Torque.OFF, Brake.ENGAGED, Circuit.CLOSED, True, False),
        (Torque.ON, Brake.ENGAGED, Circuit.CLOSED, True, False),  # the brakes are about to open
        (Torque.ON, Brake.RELEASED, Circuit.CLOSED, True, False),
        (Torque.OFF, Brake.RELEASED, Circuit.CLOSED, True, True),  # nothing holds the table
        (Torque.ON, Brake.RELEASED, Circuit.OPEN, False, False),  # the controlled stop needs it
        (Torque.ON, Brake.RELEASED, Circuit.OPEN, True, True),  # and then it has to go
        (Torque.CONTRADICTORY, Brake.ENGAGED, Circuit.CLOSED, True, True),
    ],
)
def test_torque_fits_brakes_and_emergency_stop(
    torque: Torque,
    brake: Brake,
    emergency_stop: Circuit,
    standstill: bool,
    is_open: bool,
    monitor: InterlockMonitor,
    inputs_at: Make,
    spoil_report: Make,
    spoil_safety: Make,
) -> None:
    inputs = spoil_report(inputs_at(10.0, IDLE), brake=brake, standstill=standstill)
    inputs = spoil_safety(inputs, torque=torque, emergency_stop=emergency_stop)
    assert ("torque-feedback" in open_after(monitor, inputs, 0.31)) is is_open


@pytest.mark.parametrize(
    ("rule_id", "changed"),
    [
        ("drive-temperature", {"drive_temperature_c": (81.0,) * 6}),
        ("payload-range", {"payload_kg": 170.0}),
        ("payload-range", {"payload_kg": -20.0}),
    ],
)
def test_at_rest_it_refuses_latches_nothing_and_ends_by_itself(
    rule_id: str, changed: dict[str, object], monitor: InterlockMonitor, inputs_at: Make, spoil_safety: Make
) -> None:
    assert open_after(monitor, spoil_safety(inputs_at(10.0, IDLE), **changed), 0.6) == {rule_id: False}
    verdict = monitor.evaluate(inputs_at(20.0, IDLE), 20.0)
    assert verdict.motion_permitted


@pytest.mark.parametrize("state", [Beam.READY, Beam.ON])
def test_no_motion_while_the_beam_is_ready_or_on(state: Beam, monitor: InterlockMonitor, inputs_at: Make) -> None:
    inputs = replace(inputs_at(10.0, IDLE), beam=Observation(state, 10.0))
    verdict = monitor.evaluate(inputs, 10.0)
    assert not verdict.motion_permitted
    assert verdict.exposure_permitted
    assert [(f.rule_id, f.latched) for f in verdict.open] == [("beam", False)]


def test_a_beam_state_that_nobody_renews_is_not_safe(monitor: InterlockMonitor, inputs_at: Make) -> None:
    for age_s, is_open in ((0.499, False), (0.501, True)):
        verdict = monitor.evaluate(replace(inputs_at(10.0, IDLE), beam=Observation(Beam.OFF, 10.0 - age_s)), 10.0)
        assert (not verdict.motion_permitted) is is_open


def test_an_expired_calibration_refuses_and_stops_nothing(monitor: InterlockMonitor, inputs_at: Make) -> None:
    expired = replace(inputs_at(10.0, IDLE), calibration_is_valid=False)
    verdict = monitor.evaluate(expired, 10.0)
    assert not verdict.motion_permitted
    assert verdict.exposure_permitted
    assert verdict.tripped == ()
    moving = replace(inputs_at(20.0, M), calibration_is_valid=False)
    verdict = monitor.evaluate(moving, 20.0)
    assert verdict.open == ()


@pytest.mark.parametrize(
    "changed",
    [
        {"calibration_is_valid": False},
        {"beam": Observation(Beam.ON, 10.0)},
    ],
)
def test_what_only_refuses_keeps_nobody_from_clearing_a_hold(
    changed: dict[str, object], monitor: InterlockMonitor, inputs_at: Make
) -> None:
    """Whoever renews a calibration needs images, and a Hold refuses them."""
    monitor.latch("hold", "Hold", 9.0)
    inputs = replace(inputs_at(10.0, IDLE), **changed)
    assert [f.rule_id for f in monitor.clear(inputs, 10.0, user="Test", reason="test")] == ["hold"]
    assert not monitor.evaluate(inputs, 10.0).motion_permitted


def test_what_has_stopped_a_motion_is_not_cleared_while_it_lasts(monitor: InterlockMonitor, inputs_at: Make) -> None:
    on = Observation(Beam.ON, 10.0)
    assert monitor.evaluate(replace(inputs_at(10.0, M), beam=on), 10.0).reaction is not None
    with pytest.raises(ClearRefused, match="beam is on"):
        monitor.clear(replace(inputs_at(10.1, IDLE), beam=on), 10.1, user="Test", reason="test")
    assert monitor.clear(inputs_at(10.2, IDLE), 10.2, user="Test", reason="test")


def test_the_door_that_opens_during_an_exposure_has_to_be_cleared(monitor: InterlockMonitor, inputs_at: Make) -> None:
    inputs = replace(inputs_at(10.0, EXPOSURE), imagers=(ImagerReport("A", Circuit.OPEN, 30.0),))
    assert [f.rule_id for f in monitor.evaluate(inputs, 10.0).tripped] == ["xray-door"]
    verdict = monitor.evaluate(inputs_at(11.0, IDLE), 11.0)
    assert not verdict.exposure_permitted
    assert not verdict.motion_permitted


def test_rooms_without_these_have_no_such_rules() -> None:
    names = {rule.rule_id for rule in rules_for(couch=True)}
    assert not names & {"beam", "calibration", "xray-door", "panel-temperature"}
    assert "emergency-stop" in names
    assert "emergency-stop" not in {rule.rule_id for rule in rules_for(couch=False, imagers=True)}
    whole = {rule.rule_id for rule in rules_for(couch=True, beam=True, calibration=True, imagers=True)}
    assert whole >= {"beam", "calibration", "xray-door", "panel-temperature"}


def test_a_silent_safety_report_is_named_first(monitor: InterlockMonitor, inputs_at: Make) -> None:
    for age_s, trips in ((0.249, False), (0.251, True)):
        inputs = inputs_at(10.0, M)
        verdict = monitor.evaluate(replace(inputs, safety=replace(inputs.safety, at_s=10.0 - age_s)), 10.0)
        assert bool(verdict.tripped) is trips
    assert verdict.first_fault is not None
    assert verdict.first_fault.rule_id == "safety-link"
    assert "251 ms old" in verdict.first_fault.text


def test_records_of_cleared_faults_are_kept(monitor: InterlockMonitor, inputs_at: Make) -> None:
    for number in range(10):
        now_s = 100.0 * (number + 1)
        monitor.evaluate(replace(inputs_at(now_s), enable=Observation(False, now_s)), now_s)
        assert len(monitor.fault_records) == min(number + 1, 9)
        monitor.clear(inputs_at(now_s + 50, IDLE), now_s + 50, user="Test", reason="test")
    assert [record.fault.at_s for record in monitor.fault_records] == [100.0 * n for n in range(3, 11)]
