"""Every row of the chain: it trips, alone, and not a moment before its time; unknown and stale are never safe."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest

from isoalign.geometry import AXES
from isoalign.interlocks import (
    RULES,
    Activity,
    Beam,
    Brake,
    Circuit,
    ImagerReport,
    Inputs,
    InterlockMonitor,
    Observation,
    Reaction,
    Settings,
    Torque,
    rules_for,
    soft_limits_inside,
)
from isoalign.records import AxisState

Make = Callable[..., Inputs]
M, IDLE, EXPOSURE = Activity.MOTION, Activity.IDLE, Activity.EXPOSURE

POSITION = (10.0, 700.0, -120.0, 1.0, -1.0, 30.0)
TARGET = (60.0, 700.0, -120.0, 1.0, -1.0, 30.0)


def still() -> tuple[AxisState, ...]:
    return tuple(
        AxisState(axis, value, value, 0.0, "mm" if index < 3 else "deg")
        for index, (axis, value) in enumerate(zip(AXES, POSITION, strict=True))
    )


# rule, activity, what to spoil, seconds that the condition must be broken (typed by hand), reaction
SPOILED = [
    ("couch-session", M, {"session_ok": False}, 0.0, Reaction.SS1),
    ("couch-counter", M, {"report": {"counter_age_s": 0.151}}, 0.0, Reaction.SS1),
    ("emergency-stop", IDLE, {"safety": {"emergency_stop": Circuit.OPEN}}, 0.0, Reaction.STO),
    ("torque-feedback", M, {"safety": {"torque": Torque.CONTRADICTORY}}, 0.3, Reaction.STO),
    ("enable-circuit", M, {"safety": {"enable_circuit": Circuit.OPEN}}, 0.0, Reaction.SS1),
    ("touch", IDLE, {"safety": {"touched": ("TABLE_TOP",), "touch_force_n": 60.0}}, 0.0, Reaction.SS1),
    ("drive-temperature", M, {"safety": {"drive_temperature_c": (30, 30, 80.1, 30, 30, 30)}}, 0.2, Reaction.SS1),
    ("payload-range", M, {"safety": {"payload_kg": 150.5}, "payload_reference_kg": 149.0}, 0.5, Reaction.SS1),
    ("payload-change", M, {"safety": {"payload_kg": 64.9}}, 0.3, Reaction.SS1),
    ("couch-fault", M, {"report": {"faults": ("FOLLOWING_ERROR",)}}, 0.0, Reaction.SS1),
    ("client-heartbeat", M, {"client_age_s": 0.26}, 0.0, Reaction.SS1),
    ("enable", M, {"enable": False}, 0.0, Reaction.SS1),
    ("axes-referenced", M, {"report": {"referenced": False}}, 0.0, Reaction.SS1),
    ("brakes", M, {"report": {"brake": Brake.ENGAGED}}, 0.1, Reaction.STO),
    ("brakes-released", M, {"report": {"brake": Brake.ENGAGED, "axes": still(), "target": TARGET}}, 0.3, Reaction.SS1),
    (
        "brakes-engaged", IDLE, {"report": {"brake": Brake.RELEASED}, "safety": {"torque": Torque.ON}},
        1.0, Reaction.SS1,
    ),
    ("channels-step", EXPOSURE, {"axis": ("vertical", {"secondary": -120.75})}, 0.05, Reaction.SS1),
    ("channels-moving", M, {"axis": ("vertical", {"secondary": -121.1})}, 0.1, Reaction.SS1),
    ("channels-standing", IDLE, {"axis": ("roll", {"secondary": -1.11})}, 0.3, Reaction.SS1),
    ("following-error", M, {"report": {"following_error": (0, 0, 0, 0.15, 0, 0)}}, 0.05, Reaction.SS1),
    (
        "off-path", M, {"report": {"target": TARGET}, "axis": ("lateral", {"primary": 8.4, "secondary": 8.36})},
        0.05, Reaction.STO,
    ),
    ("no-progress", M, {"report": {"axes": still(), "target": TARGET}}, 0.3, Reaction.SS1),
    ("soft-limits", M, {"axis": ("lateral", {"primary": 248.6, "secondary": 248.56})}, 0.0, Reaction.SS1),
    ("speed-class", M, {"axis": ("lateral", {"velocity": 58.0, "secondary": 10 - 58 * 0.02})}, 0.05, Reaction.SS1),
    ("uncommanded-motion", IDLE, {"axis": ("pitch", {"primary": 1.21, "secondary": 1.21})}, 0.0, Reaction.STO),
    ("exposure-standstill", EXPOSURE, {"report": {"standstill": False}}, 0.0, Reaction.SS1),
    ("beam", M, {"beam": Beam.ON}, 0.0, Reaction.SS1),
    ("xray-door", EXPOSURE, {"imagers": (ImagerReport("A", Circuit.OPEN, 32.0),)}, 0.0, Reaction.SS1),
    ("panel-temperature", EXPOSURE, {"imagers": (ImagerReport("A", Circuit.CLOSED, 40.1),)}, 0.0, Reaction.SS1),
]  # fmt: skip


@pytest.fixture
def spoiled(inputs_at: Make, spoil_axis: Make, spoil_report: Make, spoil_safety: Make) -> Make:
    def make(now_s: float, activity: Activity, what: dict[str, object]) -> Inputs:
        inputs = inputs_at(now_s, activity)
        for key, value in what.items():
            if key == "axis":
                inputs = spoil_axis(inputs, value[0], **value[1])
            elif key == "report":
                inputs = spoil_report(inputs, **value)
            elif key == "safety":
                inputs = spoil_safety(inputs, **value)
            elif key in {"imagers", "payload_reference_kg"}:
                inputs = replace(inputs, **{key: value})
            elif key == "client_age_s":
                inputs = replace(inputs, client_heartbeat=Observation(17, now_s - value))
            elif key == "couch_age_s":
                inputs = replace(inputs, couch=Observation(inputs.couch.value, now_s - value))
            elif key == "enable_age_s":
                inputs = replace(inputs, enable=Observation(True, now_s - value))
            else:
                observed = getattr(inputs, key)
                inputs = replace(inputs, **{key: Observation(value, observed.at_s)})
        return inputs

    return make


def cleared(settings: Settings, inputs_at: Make) -> InterlockMonitor:
    monitor = InterlockMonitor(settings)
    monitor.clear(inputs_at(0.0, IDLE), 0.0, user="Test", reason="test")
    return monitor


@pytest.mark.parametrize(
    ("rule_id", "activity", "what", "after_s", "reaction"), SPOILED, ids=[row[0] for row in SPOILED]
)
def test_every_rule_trips_alone(
    rule_id: str,
    activity: Activity,
    what: dict[str, object],
    after_s: float,
    reaction: Reaction,
    settings: Settings,
    inputs_at: Make,
    spoiled: Make,
) -> None:
    monitor = cleared(settings, inputs_at)
    for step in range(100):
        now_s = 10.0 + 0.01 * step
        verdict = monitor.evaluate(inputs_at(now_s, activity), now_s)
        assert verdict.open == ()
    start_s = 20.0
    verdict = monitor.evaluate(spoiled(start_s, activity, what), start_s)
    if after_s:
        assert verdict.tripped == ()
        just_before = start_s + after_s - 0.001
        assert monitor.evaluate(spoiled(just_before, activity, what), just_before).tripped == ()
        verdict = monitor.evaluate(spoiled(start_s + after_s + 1e-6, activity, what), start_s + after_s + 1e-6)
    assert [finding.rule_id for finding in verdict.tripped] == [rule_id]
    assert verdict.reaction is reaction
    assert verdict.first_fault == verdict.tripped[0]
    assert not verdict.motion_permitted
    # the cause goes away: the latch stays
    later = monitor.evaluate(inputs_at(30.0, IDLE), 30.0)
    assert [finding.rule_id for finding in later.open] == [rule_id]
    assert later.tripped == ()
    assert not later.motion_permitted


def test_the_couch_link_trips_first_and_takes_its_followers_along(
    settings: Settings, inputs_at: Make, spoiled: Make
) -> None:
    """Without a fresh state no other statement about the couch is worth anything, so those rules open, too."""
    monitor = cleared(settings, inputs_at)
    assert monitor.evaluate(spoiled(10.0, M, {"couch_age_s": 0.149}), 10.0).tripped == ()
    verdict = monitor.evaluate(spoiled(20.0, M, {"couch_age_s": 0.151}), 20.0)
    assert verdict.first_fault is not None
    assert verdict.first_fault.rule_id == "couch-link"
    assert "151 ms old" in verdict.first_fault.text


def test_the_enable_token_may_not_stand_still(settings: Settings, inputs_at: Make, spoiled: Make) -> None:
    monitor = cleared(settings, inputs_at)
    assert monitor.evaluate(spoiled(10.0, M, {"enable_age_s": 0.149}), 10.0).tripped == ()
    verdict = monitor.evaluate(spoiled(20.0, M, {"enable_age_s": 0.151}), 20.0)
    assert [finding.rule_id for finding in verdict.tripped] == ["enable"]


@pytest.mark.parametrize(
    "rule", [rule for rule in RULES if "event_only" not in repr(rule.check)], ids=lambda r: r.rule_id
)
@pytest.mark.parametrize("how", ["unknown", "stale"])
def test_unknown_and_stale_inputs_are_never_safe(how: str, rule: object, settings: Settings, inputs_at: Make) -> None:
    activity = next(a for a in (M, EXPOSURE, IDLE) if a in rule.counts_in)
    inputs = inputs_at(100.0, activity)
    names = ("couch", "session_ok", "client_heartbeat", "enable", "safety", "beam")
    if how == "unknown":
        inputs = replace(inputs, **dict.fromkeys(names), calibration_is_valid=None, imagers=())
    else:
        inputs = replace(inputs, **{name: replace(getattr(inputs, name), at_s=0.0) for name in names})
    trouble = rule.check(inputs, settings, 100.0)
    if how == "stale" and rule.rule_id in {"couch-session", "calibration", "xray-door", "panel-temperature"}:
        # these do not age: a session ends, and the link says so; a date does not change; an exposure whose generator or
        # panel falls silent has failed by that
        assert trouble is None
    else:
        assert trouble is not None


def test_an_unknown_input_refuses_while_idle_but_does_not_latch(settings: Settings, inputs_at: Make) -> None:
    """A hiccup of the machine while nothing moves must not cost a reset; in motion it does."""
    monitor = cleared(settings, inputs_at)
    lost = replace(inputs_at(10.0, IDLE), couch=None)
    verdict = monitor.evaluate(lost, 10.0)
    assert not verdict.motion_permitted
    assert not verdict.exposure_permitted
    assert not any(finding.latched for finding in verdict.open)
    verdict = monitor.evaluate(inputs_at(10.1, IDLE), 10.1)
    assert verdict.motion_permitted
    assert verdict.open == ()


@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("side", [-1, 1])
def test_soft_limits_of_every_axis_and_side(
    axis: str, side: int, settings: Settings, inputs_at: Make, spoil_axis: Make
) -> None:
    least, greatest = settings.soft_limits[axis]
    edge = greatest if side > 0 else least
    beyond = edge + side * (0.6 if axis in AXES[:3] else 0.06)
    for velocity, trips in ((side * 1.0, True), (-side * 1.0, False)):
        monitor = cleared(settings, inputs_at)
        inputs = spoil_axis(
            inputs_at(10.0), axis, primary=beyond, secondary=beyond - velocity * 0.02, velocity=velocity
        )
        verdict = monitor.evaluate(inputs, 10.0)
        assert [f.rule_id for f in verdict.tripped] == (["soft-limits"] if trips else [])


def test_axis_without_known_limits_is_not_safe(settings: Settings, inputs_at: Make) -> None:
    monitor = cleared(replace(settings, soft_limits={}), inputs_at)
    verdict = monitor.evaluate(inputs_at(10.0), 10.0)
    assert [f.rule_id for f in verdict.tripped] == ["soft-limits"]


@pytest.mark.parametrize("axis", AXES)
def test_invalid_encoder_trips(axis: str, settings: Settings, inputs_at: Make, spoil_axis: Make) -> None:
    """NaN compares false with everything; the rules are written so that this trips rather than passes."""
    monitor = cleared(settings, inputs_at)
    for now_s in (10.0, 10.2):
        inputs = spoil_axis(inputs_at(now_s, IDLE), axis, primary=math.nan)
        verdict = monitor.evaluate(inputs, now_s)
    assert {"channels-moving", "uncommanded-motion"} <= {f.rule_id for f in verdict.open}


def test_lag_of_the_second_channel_is_aligned(settings: Settings, inputs_at: Make, spoil_axis: Make) -> None:
    """At 50 mm/s a lag of 60 ms shows 3 mm: fine when it is known, a disagreement when it is not."""
    fast = {"velocity": 50.0, "primary": 100.0, "secondary": 97.0}
    for lags, trips in (({"lateral": 0.060}, False), ({}, True)):
        monitor = cleared(replace(settings, secondary_lag_s=lags), inputs_at)
        for now_s in (10.0, 10.2):
            verdict = monitor.evaluate(spoil_axis(inputs_at(now_s), "lateral", **fast), now_s)
        assert ("channels-moving" in {f.rule_id for f in verdict.open}) is trips


def test_scale_and_offset_of_the_second_channel_are_taken_off(
    settings: Settings, inputs_at: Make, spoil_axis: Make
) -> None:
    """At 700 mm a scale of 1000 ppm shows 0.7 mm and an offset adds: fine when known, trouble when not."""
    standing = {"primary": 700.0, "secondary": 700.5, "velocity": 0.0}
    for scale, offset, trips in ((1e-3, -0.2, False), (1e-3, 0.2, True), (-1e-3, -0.2, True), (0.0, 0.0, True)):
        found = replace(settings, secondary_scale={"longitudinal": scale}, secondary_offset={"longitudinal": offset})
        monitor = cleared(settings, inputs_at)
        monitor.settings = found
        for now_s in (10.0, 10.4):
            verdict = monitor.evaluate(spoil_axis(inputs_at(now_s, IDLE), "longitudinal", **standing), now_s)
        assert ("channels-standing" in {f.rule_id for f in verdict.open}) is trips


def test_table_is_complete() -> None:
    identifiers = [rule.rule_id for rule in RULES]
    assert len(set(identifiers)) == len(identifiers)
    tripped_elsewhere = {"start-up", "hold", "motion-outcome", "couch-link", "safety-link", "calibration"}
    assert {row[0] for row in SPOILED} | tripped_elsewhere == set(identifiers)
    assert all(rule.condition and rule.source and rule.cleared_by and rule.test_id for rule in RULES)
    assert all(rule.latches_in <= rule.counts_in for rule in RULES)
    assert all(rule.gates_motion for rule in RULES)


def test_room_without_couch_has_no_couch_rules(settings: Settings) -> None:
    monitor = InterlockMonitor(settings, rules_for(couch=False))
    verdict = monitor.evaluate(Inputs(EXPOSURE), 1.0)
    assert verdict.exposure_permitted
    assert not verdict.motion_permitted


def test_soft_limits_lie_inside() -> None:
    inside = soft_limits_inside({"lateral": (-250.0, 250.0), "pitch": (-5.0, 5.0)}, margin_mm=2.0, margin_deg=0.2)
    assert inside == {"lateral": (-248.0, 248.0), "pitch": (-4.8, 4.8)}


def tripped(what: Inputs, settings: Settings, for_s: float = 1.5) -> list[str]:
    """The rules that trip when nothing but this is seen for a while."""
    monitor = InterlockMonitor(settings)
    rules: list[str] = []
    for step in range(round(for_s / 0.01) + 1):
        shift_s = 0.01 * step
        names = ("couch", "session_ok", "client_heartbeat", "enable", "safety", "beam")
        seen = {name: replace(getattr(what, name), at_s=getattr(what, name).at_s + shift_s) for name in names}
        verdict = monitor.evaluate(replace(what, **seen), 10.0 + shift_s)
        rules += [finding.rule_id for finding in verdict.tripped]
    return rules


# where each axis is, mm and degrees from the start of a motion by (+40, 0, 0, 0, 0, +4); what must trip
ON_THE_WAY = [
    ((20.0, 0.0, 0.0, 0.0, 0.0, 2.0), []),
    ((0.0, 0.0, 0.0, 0.0, 0.0, 0.0), []),
    ((40.0, 0.0, 0.0, 0.0, 0.0, 4.0), []),
    ((20.0, 1.4, 0.0, 0.0, 0.0, 2.0), []),
    ((20.0, 1.6, 0.0, 0.0, 0.0, 2.0), ["off-path"]),
    ((0.0, 0.0, 0.0, 0.0, 0.0, 2.0), ["off-path"]),  # one axis is stuck, the other goes on
    ((-1.6, 0.0, 0.0, 0.0, 0.0, -0.16), ["off-path"]),  # both go the wrong way
    ((20.0, 0.0, 0.0, 0.0, 0.0, -2.0), ["off-path"]),  # one of them does
    ((41.6, 0.0, 0.0, 0.0, 0.0, 4.0), ["off-path"]),  # beyond the target
    ((math.nan, 0.0, 0.0, 0.0, 0.0, 2.0), ["channels-moving", "off-path"]),
]


@pytest.mark.parametrize(("went", "expected"), ON_THE_WAY)
def test_the_path_of_all_axes(
    went: tuple[float, ...], expected: list[str], settings: Settings, inputs_at: Make, spoil_report: Make
) -> None:
    report = inputs_at(10.0).couch.value
    axes = tuple(
        replace(axis, primary=rest + by, secondary=rest + by - axis.velocity * 0.02)
        for axis, rest, by in zip(report.axes, POSITION, went, strict=True)
    )
    target = (POSITION[0] + 40.0, *POSITION[1:5], POSITION[5] + 4.0)
    inputs = spoil_report(inputs_at(10.0), axes=axes, target=target)
    assert sorted(set(tripped(inputs, settings))) == expected


def test_a_driver_that_does_not_tell_the_target_is_not_judged_by_it(
    settings: Settings, inputs_at: Make, spoil_report: Make
) -> None:
    assert tripped(spoil_report(inputs_at(10.0), axes=still()), settings) == []


def test_a_couch_at_its_target_may_stand_with_closed_brakes(
    settings: Settings, inputs_at: Make, spoil_report: Make
) -> None:
    inputs = spoil_report(inputs_at(10.0), axes=still(), target=POSITION, brake=Brake.ENGAGED)
    assert tripped(inputs, settings) == []


def test_motion_without_a_command_and_without_a_known_rest(
    settings: Settings, inputs_at: Make, spoil_report: Make
) -> None:
    """Regression: a couch that moved on after a refused command was not noticed, for its rest was not known."""
    unknown = replace(inputs_at(10.0, IDLE), rest=())
    assert tripped(unknown, settings) == []
    assert tripped(spoil_report(unknown, standstill=False), settings, 0.1) == ["uncommanded-motion"]


@pytest.mark.parametrize(
    ("vertical_mm", "loads_kg", "is_open"),
    [
        (-2.4, (0.0, 100.0), False),  # 1 mm, and 1.5 mm of sag
        (-2.6, (0.0, 100.0), True),
        (-2.4, (0.0, 80.0), True),
        (1.1, (0.0, 100.0), True),  # no load lifts it
        (2.4, (-100.0, 0.0), False),  # somebody got off
        (-1.1, (-100.0, 0.0), True),
        (-1.1, None, True),  # a load that is not known explains nothing
    ],
)
def test_what_a_load_explains_is_no_motion_without_a_command(
    settings: Settings,
    inputs_at: Make,
    spoil_axis: Make,
    vertical_mm: float,
    loads_kg: tuple[float, float] | None,
    is_open: bool,
) -> None:
    """Regression: somebody who got on a couch that tells its sag was taken for motion without a command."""
    at_mm = POSITION[2] + vertical_mm
    moved = spoil_axis(inputs_at(10.0, IDLE), "vertical", primary=at_mm, secondary=at_mm)
    explained = replace(moved, rest_payload_kg=0.0, recent_payload_kg=loads_kg)
    sagging = replace(settings, sag_mm_per_kg=0.015)
    assert tripped(explained, sagging) == (["uncommanded-motion"] if is_open else [])
    assert tripped(explained, settings) == ["uncommanded-motion"], "of a couch that does not allow for its load"
