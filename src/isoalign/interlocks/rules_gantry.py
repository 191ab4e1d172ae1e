"""The rows of the interlock chain that a room with a gantry has in addition, after those of the couch.

Thresholds of the two encoders are those of the couch's angular axes. A plain rotation goes with the imager arm stowed,
a cone-beam rotation and an exposure with the arm extended; a move of the arm is how one gets from one to the other, so
the arm's own state keeps nobody from moving it.
"""

from __future__ import annotations

import math

from isoalign.interlocks.model import Activity, Arm, GantryReport, Inputs, Mover, Reaction, Rule, Settings, Trouble

ALWAYS = frozenset(Activity)
IN_MOTION = frozenset({Activity.MOTION})
EXPOSING = frozenset({Activity.EXPOSURE})
USER = "a named user, with a reason"
NOBODY = "a named user after a motion or an exposure; while idle it closes with its cause"
ARM_FOR = {Mover.GANTRY: Arm.STOWED, Mover.CONE_BEAM: Arm.EXTENDED}


def _gantry(inputs: Inputs, settings: Settings, now_s: float) -> GantryReport | Trouble:
    """The gantry's report, or why there is none that may be trusted."""
    if inputs.gantry is None:
        return Trouble("the gantry has not reported its state", unknown=True)
    age_s = inputs.gantry.age_s(now_s)
    if age_s > settings.state_limit_s:
        return Trouble(f"the last report of the gantry is {age_s * 1000:.0f} ms old", unknown=True)
    return inputs.gantry.value


def _is_moved(inputs: Inputs) -> bool:
    """Whether gantry or imager arm move by command."""
    return inputs.activity is Activity.MOTION and inputs.mover is not Mover.COUCH


def _fresh(inputs: Inputs, settings: Settings, now_s: float) -> Trouble | None:
    report = _gantry(inputs, settings, now_s)
    return report if isinstance(report, Trouble) else None


def _counter(inputs: Inputs, settings: Settings, now_s: float) -> Trouble | None:
    report = _gantry(inputs, settings, now_s)
    if isinstance(report, Trouble):
        return report
    if report.counter_age_s is None or report.counter_age_s <= settings.state_limit_s:
        return None
    text = f"the state counter of the gantry stood still for {report.counter_age_s * 1000:.0f} ms: its report is old"
    return Trouble(text, unknown=True)


def _session(inputs: Inputs, _settings: Settings, _now_s: float) -> Trouble | None:
    if inputs.gantry_session_ok is None:
        return Trouble("no session with the gantry yet", unknown=True)
    if inputs.gantry_session_ok.value:
        return None
    return Trouble("the session with the gantry is lost or its dictionary differs")


def _faults(inputs: Inputs, settings: Settings, now_s: float) -> Trouble | None:
    report = _gantry(inputs, settings, now_s)
    if isinstance(report, Trouble):
        return report
    return Trouble(f"the gantry reports {', '.join(report.faults)}") if report.faults else None


def _angle(inputs: Inputs, settings: Settings, now_s: float) -> Trouble | None:
    report = _gantry(inputs, settings, now_s)
    if isinstance(report, Trouble):
        return report
    channels = {"primary": report.angle_deg, "secondary": report.secondary_deg}
    dead = [name for name, value in channels.items() if not math.isfinite(value)]
    return Trouble(f"the gantry angle is not known: no value of the {' and '.join(dead)} encoder") if dead else None


def _disagreement(report: GantryReport, settings: Settings, limit_deg: float) -> Trouble | None:
    """The two encoders, the lag of the second aligned. An encoder without a value is another rule's (gantry-angle)."""
    expected = report.angle_deg - report.speed_deg_per_s * settings.gantry_secondary_lag_s
    apart = abs(report.secondary_deg - expected)
    if not apart > limit_deg:
        return None
    return Trouble(f"the two channels of the gantry angle are {apart:.2f} deg apart")


def _disagree_step(inputs: Inputs, settings: Settings, now_s: float) -> Trouble | None:
    report = _gantry(inputs, settings, now_s)
    if isinstance(report, Trouble):
        return report
    return _disagreement(report, settings, settings.disagreement_step_deg) if report.standstill else None


def _disagree_moving(inputs: Inputs, settings: Settings, now_s: float) -> Trouble | None:
    report = _gantry(inputs, settings, now_s)
    if isinstance(report, Trouble):
        return report
    return _disagreement(report, settings, settings.disagreement_moving_deg)


def _disagree_standing(inputs: Inputs, settings: Settings, now_s: float) -> Trouble | None:
    report = _gantry(inputs, settings, now_s)
    if isinstance(report, Trouble):
        return report
    return _disagreement(report, settings, settings.disagreement_standing_deg) if report.standstill else None


def _arm_at_end(inputs: Inputs, settings: Settings, now_s: float) -> Trouble | None:
    report = _gantry(inputs, settings, now_s)
    if isinstance(report, Trouble):
        return report
    if inputs.activity is Activity.MOTION and inputs.mover is Mover.ARM:
        return None
    if report.arm is Arm.UNKNOWN:
        return Trouble("nobody knows where the imager arm is")
    return Trouble("the imager arm moves without a command") if report.arm is Arm.MOVING else None


def _arm_for_rotation(inputs: Inputs, settings: Settings, now_s: float) -> Trouble | None:
    report = _gantry(inputs, settings, now_s)
    if isinstance(report, Trouble):
        return report
    wanted = ARM_FOR.get(inputs.mover)
    if wanted is None or report.arm is wanted:
        return None
    return Trouble(f"a {inputs.mover.value} needs the imager arm {wanted.value}; it is {report.arm.value}")


def _arm_for_exposure(inputs: Inputs, settings: Settings, now_s: float) -> Trouble | None:
    report = _gantry(inputs, settings, now_s)
    if isinstance(report, Trouble):
        return report
    if report.arm is Arm.EXTENDED:
        return None
    return Trouble(f"an exposure needs the imager arm extended; it is {report.arm.value}")


def _uncommanded(inputs: Inputs, settings: Settings, now_s: float) -> Trouble | None:
    report = _gantry(inputs, settings, now_s)
    if isinstance(report, Trouble):
        return report
    if _is_moved(inputs):
        return None
    if inputs.gantry_rest_deg is None:
        return None if report.standstill else Trouble("the gantry moves without a command")
    moved_deg = report.angle_deg - inputs.gantry_rest_deg
    if not abs(moved_deg) > settings.uncommanded_deg:  # an encoder without a value is another rule's (gantry-angle)
        return None
    return Trouble(f"the gantry moved by {moved_deg:.2f} deg without a command")


def _still(inputs: Inputs, settings: Settings, now_s: float) -> Trouble | None:
    report = _gantry(inputs, settings, now_s)
    if isinstance(report, Trouble):
        return report
    return None if report.standstill or _is_moved(inputs) else Trouble("gantry or imager arm are not at standstill")


def _couch_still(inputs: Inputs, settings: Settings, now_s: float) -> Trouble | None:
    if inputs.mover is Mover.COUCH:
        return None
    if inputs.couch is None or inputs.couch.age_s(now_s) > settings.state_limit_s:
        return Trouble("nobody knows whether the couch stands still", unknown=True)
    return None if inputs.couch.value.standstill else Trouble("the couch is not at standstill")


def _test(name: str) -> str:
    return f"tests/unit/interlocks/test_rules_gantry.py::test_every_rule_trips_alone[{name}]"


GANTRY_RULES: tuple[Rule, ...] = (
    Rule(
        "gantry-session", "session with the gantry, same protocol version and dictionary", "gantry link",
        Reaction.SS1, USER, _test("gantry-session"), _session, ALWAYS, ALWAYS, gates_exposure=True,
    ),
    Rule(
        "gantry-link", "the gantry reported its state within 150 ms", "gantry link", Reaction.SS1, NOBODY,
        "tests/unit/interlocks/test_rules_gantry.py::test_a_silent_gantry", _fresh, ALWAYS, ALWAYS,
        gates_exposure=True,
    ),
    Rule(
        "gantry-counter", "the gantry's own state counter advanced within 150 ms", "gantry state", Reaction.SS1, NOBODY,
        _test("gantry-counter"), _counter, ALWAYS, ALWAYS, gates_exposure=True,
    ),
    Rule(
        "gantry-fault", "nothing is latched in the gantry", "gantry state", Reaction.SS1, USER,
        _test("gantry-fault"), _faults, ALWAYS, ALWAYS,
    ),
    Rule(
        "gantry-angle", "both encoders of the gantry give a value", "gantry state", Reaction.SS1, USER,
        _test("gantry-angle"), _angle, ALWAYS, ALWAYS, gates_exposure=True,
    ),
    Rule(
        "gantry-channels-step", "gantry encoders within 0.2 deg at standstill (50 ms)", "gantry state",
        Reaction.SS1, USER, _test("gantry-channels-step"), _disagree_step, ALWAYS, ALWAYS,
        persists_s=lambda s: s.disagreement_step_for_s, gates_exposure=True,
    ),
    Rule(
        "gantry-channels-moving", "gantry encoders within 0.3 deg, lag aligned (100 ms)", "gantry state",
        Reaction.SS1, USER, _test("gantry-channels-moving"), _disagree_moving, ALWAYS, ALWAYS,
        persists_s=lambda s: s.disagreement_moving_for_s, gates_exposure=True,
    ),
    Rule(
        "gantry-channels-standing", "gantry encoders within 0.1 deg at standstill (300 ms)", "gantry state",
        Reaction.SS1, USER, _test("gantry-channels-standing"), _disagree_standing, ALWAYS, ALWAYS,
        persists_s=lambda s: s.disagreement_standing_for_s, gates_exposure=True,
    ),
    Rule(
        "imager-arm", "the imager arm is at one of its ends, unless it moves by command", "gantry state",
        Reaction.SS1, NOBODY, _test("imager-arm"), _arm_at_end, IN_MOTION | EXPOSING, ALWAYS, gates_exposure=True,
        is_righted_by_arm=True,
    ),
    Rule(
        "imager-arm-rotation", "the imager arm is stowed in a rotation, extended in a cone-beam rotation",
        "gantry state", Reaction.SS1, USER, _test("imager-arm-rotation"), _arm_for_rotation, IN_MOTION, IN_MOTION,
        is_precondition=True,
    ),
    Rule(
        "imager-arm-exposure", "the imager arm is extended while X-rays are on", "gantry state", Reaction.SS1, USER,
        _test("imager-arm-exposure"), _arm_for_exposure, EXPOSING, EXPOSING, is_precondition=True,
    ),
    Rule(
        "gantry-uncommanded", "the gantry stays within 0.2 deg while it is not commanded", "gantry state", Reaction.STO,
        USER, _test("gantry-uncommanded"), _uncommanded, ALWAYS, ALWAYS, gates_exposure=True,
    ),
    Rule(
        "gantry-standstill", "gantry and imager arm stand still while the couch moves or X-rays are on",
        "gantry state", Reaction.SS1, USER, _test("gantry-standstill"), _still, IN_MOTION | EXPOSING,
        IN_MOTION | EXPOSING, is_precondition=True,
    ),
    Rule(
        "couch-standstill", "the couch stands still while gantry or imager arm move", "couch state", Reaction.SS1, USER,
        _test("couch-standstill"), _couch_still, IN_MOTION, IN_MOTION, is_precondition=True,
    ),
)  # fmt: skip
"""The rules of a room with a gantry, in the order in which they are looked at and named."""
