"""Every row that a gantry adds to the chain: it trips, alone, and not a moment before its time."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest

from isoalign.interlocks import (
    GANTRY_RULES,
    RULES,
    Activity,
    Arm,
    GantryReport,
    Inputs,
    InterlockMonitor,
    Mover,
    Observation,
    Reaction,
    Rule,
    Settings,
    rules_for,
)

Make = Callable[..., Inputs]
M, IDLE, EXPOSURE = Activity.MOTION, Activity.IDLE, Activity.EXPOSURE
COUCH, GANTRY, CONE_BEAM, ARM = Mover.COUCH, Mover.GANTRY, Mover.CONE_BEAM, Mover.ARM
REST_DEG = 30.0
ARM_IN = {COUCH: Arm.EXTENDED, GANTRY: Arm.STOWED, CONE_BEAM: Arm.EXTENDED, ARM: Arm.MOVING}

# rule, activity, mover, what to spoil, seconds that the condition must be broken (typed by hand), reaction
SPOILED = [
    ("gantry-session", M, COUCH, {"gantry_session_ok": False}, 0.0, Reaction.SS1),
    ("gantry-counter", M, COUCH, {"report": {"counter_age_s": 0.151}}, 0.0, Reaction.SS1),
    ("gantry-fault", M, COUCH, {"report": {"faults": ("ARM_FAILED",)}}, 0.0, Reaction.SS1),
    ("gantry-angle", M, GANTRY, {"report": {"secondary_deg": math.nan}}, 0.0, Reaction.SS1),
    ("gantry-channels-step", EXPOSURE, COUCH, {"report": {"secondary_deg": 30.21}}, 0.05, Reaction.SS1),
    ("gantry-channels-moving", M, GANTRY, {"report": {"secondary_deg": 30.21}}, 0.1, Reaction.SS1),
    ("gantry-channels-standing", IDLE, COUCH, {"report": {"secondary_deg": 29.89}}, 0.3, Reaction.SS1),
    ("imager-arm", M, COUCH, {"report": {"arm": Arm.UNKNOWN}}, 0.0, Reaction.SS1),
    ("imager-arm-rotation", M, GANTRY, {"report": {"arm": Arm.EXTENDED}}, 0.0, Reaction.SS1),
    ("imager-arm-exposure", EXPOSURE, COUCH, {"report": {"arm": Arm.STOWED}}, 0.0, Reaction.SS1),
    (
        "gantry-uncommanded", M, COUCH, {"report": {"angle_deg": 30.21, "secondary_deg": 30.21}}, 0.0, Reaction.STO,
    ),
    ("gantry-standstill", M, COUCH, {"report": {"standstill": False}}, 0.0, Reaction.SS1),
    ("couch-standstill", M, GANTRY, {"couch": {"standstill": False}}, 0.0, Reaction.SS1),
]  # fmt: skip


@pytest.fixture
def room_at(inputs_at: Make) -> Make:
    """A room with a gantry in perfect order: what moves, moves, and all else is at rest."""

    def make(now_s: float, activity: Activity = M, mover: Mover = COUCH) -> Inputs:
        couch_moves = activity is M and mover is COUCH
        rotates = activity is M and mover in {GANTRY, CONE_BEAM}
        speed = 5.0 if rotates else 0.0
        arm = ARM_IN[mover] if activity is M else Arm.EXTENDED
        standstill = activity is not M or mover is COUCH
        report = GantryReport(REST_DEG, REST_DEG - 0.02 * speed, speed, arm, standstill)
        room = inputs_at(now_s, M if couch_moves else IDLE)
        return replace(
            room,
            activity=activity,
            mover=mover,
            gantry=Observation(report, now_s - 0.01),
            gantry_session_ok=Observation(True, now_s),
            gantry_rest_deg=REST_DEG,
        )

    return make


def spoiled(inputs: Inputs, what: dict[str, object]) -> Inputs:
    for key, value in what.items():
        name = {"report": "gantry"}.get(key, key)
        seen = getattr(inputs, name)
        changed = replace(seen.value, **value) if isinstance(value, dict) else value
        inputs = replace(inputs, **{name: Observation(changed, seen.at_s)})
    return inputs


def cleared(settings: Settings, room_at: Make) -> InterlockMonitor:
    monitor = InterlockMonitor(settings, rules_for(couch=True, gantry=True))
    monitor.clear(room_at(0.0, IDLE), 0.0, user="Test", reason="test")
    return monitor


@pytest.mark.parametrize(
    ("rule_id", "activity", "mover", "what", "after_s", "reaction"), SPOILED, ids=[row[0] for row in SPOILED]
)
def test_every_rule_trips_alone(
    rule_id: str,
    activity: Activity,
    mover: Mover,
    what: dict[str, object],
    after_s: float,
    reaction: Reaction,
    settings: Settings,
    room_at: Make,
) -> None:
    monitor = cleared(settings, room_at)
    for step in range(100):
        now_s = 10.0 + 0.01 * step
        assert monitor.evaluate(room_at(now_s, activity, mover), now_s).open == ()
    start_s = 20.0
    verdict = monitor.evaluate(spoiled(room_at(start_s, activity, mover), what), start_s)
    if after_s:
        assert verdict.tripped == ()
        just_before = start_s + after_s - 0.001
        assert monitor.evaluate(spoiled(room_at(just_before, activity, mover), what), just_before).tripped == ()
        late_s = start_s + after_s + 1e-6
        verdict = monitor.evaluate(spoiled(room_at(late_s, activity, mover), what), late_s)
    assert [finding.rule_id for finding in verdict.tripped] == [rule_id]
    assert verdict.reaction is reaction
    assert not verdict.motion_permitted
    assert not verdict.arm_permitted
    later = monitor.evaluate(room_at(30.0, IDLE), 30.0)
    assert [finding.rule_id for finding in later.open] == [rule_id]
    assert not later.motion_permitted


def test_a_silent_gantry(settings: Settings, room_at: Make) -> None:
    """Without a fresh report no other statement about the gantry is worth anything, so those rules open, too."""
    monitor = cleared(settings, room_at)

    def aged(now_s: float, age_s: float) -> Inputs:
        room = room_at(now_s)
        return replace(room, gantry=Observation(room.gantry.value, now_s - age_s))

    assert monitor.evaluate(aged(10.0, 0.149), 10.0).tripped == ()
    verdict = monitor.evaluate(aged(20.0, 0.151), 20.0)
    assert verdict.first_fault is not None
    assert verdict.first_fault.rule_id == "gantry-link"
    assert "151 ms old" in verdict.first_fault.text


@pytest.mark.parametrize("rule", GANTRY_RULES, ids=lambda rule: rule.rule_id)
@pytest.mark.parametrize("how", ["unknown", "stale"])
def test_unknown_and_stale_inputs_are_never_safe(how: str, rule: Rule, settings: Settings, room_at: Make) -> None:
    activity = next(one for one in (M, EXPOSURE, IDLE) if one in rule.counts_in)
    mover = GANTRY if rule.rule_id == "couch-standstill" else COUCH
    room = room_at(100.0, activity, mover)
    if how == "unknown":
        room = replace(room, gantry=None, gantry_session_ok=None, couch=None)
    else:
        room = replace(room, gantry=replace(room.gantry, at_s=0.0), couch=replace(room.couch, at_s=0.0))
    trouble = rule.check(room, settings, 100.0)
    if how == "stale" and rule.rule_id == "gantry-session":
        assert trouble is None  # a session does not age: it ends, and the link says so
    else:
        assert trouble is not None


# mover, where the arm is, the rule that objects before it begins (typed by hand)
ASKED = [
    (COUCH, Arm.STOWED, None),
    (COUCH, Arm.EXTENDED, None),
    (GANTRY, Arm.STOWED, None),
    (GANTRY, Arm.EXTENDED, "imager-arm-rotation"),
    (GANTRY, Arm.MOVING, "imager-arm-rotation"),
    (GANTRY, Arm.UNKNOWN, "imager-arm-rotation"),
    (CONE_BEAM, Arm.EXTENDED, None),
    (CONE_BEAM, Arm.STOWED, "imager-arm-rotation"),
    (CONE_BEAM, Arm.UNKNOWN, "imager-arm-rotation"),
    (ARM, Arm.STOWED, None),
    (ARM, Arm.UNKNOWN, None),
    (ARM, Arm.EXTENDED, None),
]


@pytest.mark.parametrize(("mover", "arm", "rule_id"), ASKED)
def test_where_the_arm_must_be_before_something_moves(
    mover: Mover, arm: Arm, rule_id: str | None, settings: Settings, room_at: Make
) -> None:
    monitor = cleared(settings, room_at)
    room = spoiled(room_at(10.0, IDLE), {"report": {"arm": arm}})
    found = monitor.objection(replace(room, activity=M, mover=mover), 10.0)
    assert (None if found is None else found.rule_id) == rule_id


@pytest.mark.parametrize("arm", [Arm.STOWED, Arm.MOVING, Arm.UNKNOWN])
def test_no_exposure_unless_the_arm_is_extended(arm: Arm, settings: Settings, room_at: Make) -> None:
    monitor = cleared(settings, room_at)
    room = spoiled(room_at(10.0, IDLE), {"report": {"arm": arm}})
    found = monitor.objection(replace(room, activity=EXPOSURE), 10.0)
    assert found is not None
    assert found.rule_id == "imager-arm-exposure"


def test_nothing_moves_while_another_thing_does(settings: Settings, room_at: Make) -> None:
    monitor = cleared(settings, room_at)
    turning = spoiled(room_at(10.0, IDLE), {"report": {"standstill": False}})
    found = monitor.objection(replace(turning, activity=M, mover=COUCH), 10.0)
    assert found is not None
    assert found.rule_id == "gantry-standstill"
    moving = spoiled(room_at(10.0, IDLE), {"couch": {"standstill": False}})
    for mover in (GANTRY, CONE_BEAM, ARM):
        inputs = spoiled(
            replace(moving, activity=M, mover=mover), {"report": {"arm": ARM_IN[mover], "standstill": True}}
        )
        found = monitor.objection(inputs, 10.0)
        assert found is not None
        assert found.rule_id == "couch-standstill"


def test_an_arm_of_which_nobody_knows_where_it_is_can_be_moved_and_nothing_else(
    settings: Settings, room_at: Make
) -> None:
    """Otherwise nobody could ever bring an arm that stopped half-way to one of its ends."""
    monitor = cleared(settings, room_at)
    lost = spoiled(room_at(10.0), {"report": {"arm": Arm.UNKNOWN}})
    assert [one.rule_id for one in monitor.evaluate(lost, 10.0).tripped] == ["imager-arm"]
    assert not monitor.evaluate(replace(lost, activity=IDLE), 10.0).arm_permitted  # latched: somebody must know first
    idle = spoiled(room_at(11.0, IDLE), {"report": {"arm": Arm.UNKNOWN}})
    monitor.clear(idle, 11.0, user="Test", reason="test")
    verdict = monitor.evaluate(idle, 11.0)
    assert verdict.arm_permitted
    assert not verdict.motion_permitted
    assert not verdict.exposure_permitted
    assert [(one.rule_id, one.latched) for one in verdict.open] == [("imager-arm", False)]


def test_lag_of_the_second_encoder_is_aligned(settings: Settings, room_at: Make) -> None:
    """At 7 deg/s a lag of 60 ms shows 0.42 deg: fine when it is known, a disagreement when it is not."""
    for lag_s, trips in ((0.060, False), (0.0, True)):
        monitor = cleared(replace(settings, gantry_secondary_lag_s=lag_s), room_at)
        for now_s in (10.0, 10.2):
            fast = {"report": {"speed_deg_per_s": 7.0, "secondary_deg": REST_DEG - 0.42}}
            verdict = monitor.evaluate(spoiled(room_at(now_s, M, GANTRY), fast), now_s)
        assert ("gantry-channels-moving" in {one.rule_id for one in verdict.open}) is trips


def test_a_gantry_that_moves_on_without_a_known_rest_is_noticed(settings: Settings, room_at: Make) -> None:
    monitor = cleared(settings, room_at)
    unknown = replace(room_at(10.0, IDLE), gantry_rest_deg=None)
    assert monitor.evaluate(unknown, 10.0).tripped == ()
    moving = spoiled(unknown, {"report": {"standstill": False}})
    assert [one.rule_id for one in monitor.evaluate(moving, 10.0).tripped] == ["gantry-uncommanded"]


def test_the_rules_belong_to_rooms_with_a_gantry() -> None:
    assert not set(rules_for(couch=True)) & set(GANTRY_RULES)
    assert rules_for(couch=True, beam=True, calibration=True, imagers=True, gantry=True) == RULES + GANTRY_RULES
    without_couch = {rule.rule_id for rule in rules_for(couch=False, gantry=True)}
    assert "couch-standstill" not in without_couch
    assert {"gantry-session", "imager-arm-exposure", "gantry-uncommanded"} <= without_couch
    identifiers = [rule.rule_id for rule in RULES + GANTRY_RULES]
    assert len(set(identifiers)) == len(identifiers)
    assert {row[0] for row in SPOILED} | {"gantry-link"} == {rule.rule_id for rule in GANTRY_RULES}
    assert all(rule.latches_in <= rule.counts_in for rule in GANTRY_RULES)
