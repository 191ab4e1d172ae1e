"""The interlock chain as a table, in the order in which causes are named. Source: hazard table in docs/hazards."""

from __future__ import annotations

from isoalign.geometry import AXES
from isoalign.interlocks.model import (
    LINEAR_AXES,
    Activity,
    Brake,
    CouchReport,
    Inputs,
    Reaction,
    Rule,
    Settings,
    Trouble,
)
from isoalign.interlocks.rules_gantry import GANTRY_RULES

ALWAYS = frozenset(Activity)
IN_MOTION = frozenset({Activity.MOTION})
AT_REST = frozenset({Activity.IDLE, Activity.EXPOSURE})
USER = "a named user, with a reason"
NOBODY = "a named user after a motion or an exposure; while idle it closes with its cause"


def _couch(inputs: Inputs, settings: Settings, now_s: float) -> CouchReport | Trouble:
    """The couch's report, or why there is none that may be trusted."""
    if inputs.couch is None:
        return Trouble("the couch has not reported its state", unknown=True)
    age_s = inputs.couch.age_s(now_s)
    if age_s > settings.state_limit_s:
        return Trouble(f"the last report of the couch is {age_s * 1000:.0f} ms old", unknown=True)
    return inputs.couch.value


def _choose(axis: str, linear: float, angular: float) -> float:
    return linear if axis in LINEAR_AXES else angular


def _event_only(_inputs: Inputs, _settings: Settings, _now_s: float) -> None:
    """Latched by an act, never by a reading."""


def _couch_fresh(inputs: Inputs, settings: Settings, now_s: float) -> Trouble | None:
    report = _couch(inputs, settings, now_s)
    return report if isinstance(report, Trouble) else None


def _counter(inputs: Inputs, settings: Settings, now_s: float) -> Trouble | None:
    report = _couch(inputs, settings, now_s)
    if isinstance(report, Trouble):
        return report
    if report.counter_age_s is None or report.counter_age_s <= settings.state_limit_s:
        return None
    text = f"the state counter of the couch stood still for {report.counter_age_s * 1000:.0f} ms: its report is old"
    return Trouble(text, unknown=True)


def _session(inputs: Inputs, _settings: Settings, _now_s: float) -> Trouble | None:
    if inputs.session_ok is None:
        return Trouble("no session with the couch yet", unknown=True)
    if inputs.session_ok.value:
        return None
    return Trouble("the session with the couch is lost or its dictionary differs")


def _client(inputs: Inputs, settings: Settings, now_s: float) -> Trouble | None:
    if inputs.client_heartbeat is None:
        return Trouble("the program that commands the couch has sent no heartbeat", unknown=True)
    age_s = inputs.client_heartbeat.age_s(now_s)
    if age_s > settings.client_limit_s:
        text = f"the heartbeat of the commanding program stood still for {age_s * 1000:.0f} ms"
        return Trouble(text, unknown=True)
    return None


def _enable(inputs: Inputs, settings: Settings, now_s: float) -> Trouble | None:
    if inputs.enable is None:
        return Trouble("the pendant has not reported", unknown=True)
    if not inputs.enable.value:
        return Trouble("the enable bar is not in its middle position")
    age_s = inputs.enable.age_s(now_s)
    if age_s > settings.enable_limit_s:
        return Trouble(f"the enable token stood still for {age_s * 1000:.0f} ms", unknown=True)
    return None


def _faults(inputs: Inputs, settings: Settings, now_s: float) -> Trouble | None:
    report = _couch(inputs, settings, now_s)
    if isinstance(report, Trouble):
        return report
    return Trouble(f"the couch reports {', '.join(report.faults)}") if report.faults else None


def _referenced(inputs: Inputs, settings: Settings, now_s: float) -> Trouble | None:
    report = _couch(inputs, settings, now_s)
    if isinstance(report, Trouble):
        return report
    return None if report.referenced else Trouble("at least one axis of the couch is not referenced")


def _brakes(inputs: Inputs, settings: Settings, now_s: float) -> Trouble | None:
    report = _couch(inputs, settings, now_s)
    if isinstance(report, Trouble):
        return report
    if report.brake is Brake.UNKNOWN:
        return Trouble("the state of the brakes is unknown", unknown=True)
    if report.brake is Brake.RELEASED:
        return None
    for axis in report.axes:
        limit = _choose(axis.axis, settings.brake_slip_mm_per_s, settings.brake_slip_deg_per_s)
        if abs(axis.velocity) > limit:
            return Trouble(f"{axis.axis} moves at {axis.velocity:.2f} {axis.unit}/s against engaged brakes")
    return None


def _brakes_released(inputs: Inputs, settings: Settings, now_s: float) -> Trouble | None:
    report = _couch(inputs, settings, now_s)
    if isinstance(report, Trouble):
        return report
    if report.brake is not Brake.ENGAGED or not _axes_to_go(report, settings):
        return None
    return Trouble("the brakes stay closed although the couch is to move")


def _brakes_engaged(inputs: Inputs, settings: Settings, now_s: float) -> Trouble | None:
    report = _couch(inputs, settings, now_s)
    if isinstance(report, Trouble):
        return report
    return None if report.brake is Brake.ENGAGED else Trouble("the brakes do not close although nothing is to move")


def _axes_to_go(report: CouchReport, settings: Settings) -> list[str]:
    """Axes that are not at the target of the motion; none when it is not known."""
    if not report.target:
        return []
    return [
        axis.axis
        for axis, target in zip(report.axes, report.target, strict=True)
        if not abs(axis.primary - target) <= _choose(axis.axis, settings.stuck_mm, settings.stuck_deg)
    ]


def _progress(inputs: Inputs, settings: Settings, now_s: float) -> Trouble | None:
    report = _couch(inputs, settings, now_s)
    if isinstance(report, Trouble):
        return report
    waiting = _axes_to_go(report, settings)
    if not waiting or report.brake is Brake.ENGAGED:
        return None
    for axis in report.axes:
        if abs(axis.velocity) > _choose(axis.axis, settings.stuck_mm_per_s, settings.stuck_deg_per_s):
            return None
    return Trouble(f"nothing moves although {', '.join(waiting)} is not at the target")


def _path(inputs: Inputs, settings: Settings, now_s: float) -> Trouble | None:
    """All axes share one path in this package's couches: a straight line in the six coordinates."""
    report = _couch(inputs, settings, now_s)
    if isinstance(report, Trouble):
        return report
    if not report.target or not inputs.rest:
        return None
    limits = [_choose(axis.axis, settings.off_path_mm, settings.off_path_deg) for axis in report.axes]
    whole = [(target - rest) / limit for target, rest, limit in zip(report.target, inputs.rest, limits, strict=True)]
    gone = [(axis.primary - rest) / limit for axis, rest, limit in zip(report.axes, inputs.rest, limits, strict=True)]
    length = sum(part * part for part in whole)
    done = sum(a * b for a, b in zip(whole, gone, strict=True)) / length if length > 0 else 0.0
    done = min(1.0, max(0.0, done))
    for axis, part, went, limit in zip(report.axes, whole, gone, limits, strict=True):
        off = (went - done * part) * limit
        if not abs(off) <= limit:
            return Trouble(f"{axis.axis} is {off:.2f} {axis.unit} off its path: wrong direction, runaway or stuck")
    return None


def _disagreement(report: CouchReport, settings: Settings, linear: float, angular: float) -> Trouble | None:
    for axis in report.axes:
        lag_s = settings.secondary_lag_s.get(axis.axis, settings.secondary_lag_default_s)
        expected = axis.primary - axis.velocity * lag_s
        apart = abs(axis.secondary - expected)
        if not apart <= _choose(axis.axis, linear, angular):
            return Trouble(f"the two channels of {axis.axis} are {apart:.2f} {axis.unit} apart")
    return None


def _disagree_step(inputs: Inputs, settings: Settings, now_s: float) -> Trouble | None:
    report = _couch(inputs, settings, now_s)
    if isinstance(report, Trouble):
        return report
    if not report.standstill:
        return None
    return _disagreement(report, settings, settings.disagreement_step_mm, settings.disagreement_step_deg)


def _disagree_moving(inputs: Inputs, settings: Settings, now_s: float) -> Trouble | None:
    report = _couch(inputs, settings, now_s)
    if isinstance(report, Trouble):
        return report
    return _disagreement(report, settings, settings.disagreement_moving_mm, settings.disagreement_moving_deg)


def _disagree_standing(inputs: Inputs, settings: Settings, now_s: float) -> Trouble | None:
    report = _couch(inputs, settings, now_s)
    if isinstance(report, Trouble):
        return report
    if not report.standstill:
        return None
    return _disagreement(report, settings, settings.disagreement_standing_mm, settings.disagreement_standing_deg)


def _following(inputs: Inputs, settings: Settings, now_s: float) -> Trouble | None:
    report = _couch(inputs, settings, now_s)
    if isinstance(report, Trouble):
        return report
    for axis, error in zip(report.axes, report.following_error, strict=False):
        base = _choose(axis.axis, settings.following_error_base_mm, settings.following_error_base_deg)
        if not abs(error) <= base + settings.following_error_per_speed_s * abs(axis.velocity):
            return Trouble(f"{axis.axis} follows its command with an error of {error:.2f} {axis.unit}")
    return None


def _soft_limits(inputs: Inputs, settings: Settings, now_s: float) -> Trouble | None:
    report = _couch(inputs, settings, now_s)
    if isinstance(report, Trouble):
        return report
    for axis in report.axes:
        if axis.axis not in settings.soft_limits:
            return Trouble(f"no soft limits are known for {axis.axis}")
        least, greatest = settings.soft_limits[axis.axis]
        slack = _choose(axis.axis, settings.soft_limit_slack_mm, settings.soft_limit_slack_deg)
        leaving = (axis.primary > greatest + slack and axis.velocity > 0) or (
            axis.primary < least - slack and axis.velocity < 0
        )
        if leaving:
            return Trouble(
                f"{axis.axis} leaves its soft limits [{least:g}, {greatest:g}] at {axis.primary:.2f} {axis.unit}"
            )
    return None


def _speed(inputs: Inputs, settings: Settings, now_s: float) -> Trouble | None:
    report = _couch(inputs, settings, now_s)
    if isinstance(report, Trouble):
        return report
    for axis in report.axes:
        limit = _choose(axis.axis, settings.speed_limit_mm_per_s, settings.speed_limit_deg_per_s)
        if not abs(axis.velocity) <= limit * settings.speed_slack:
            return Trouble(
                f"{axis.axis} moves at {axis.velocity:.1f} {axis.unit}/s, more than its class of {limit:g} allows"
            )
    return None


def _uncommanded(inputs: Inputs, settings: Settings, now_s: float) -> Trouble | None:
    report = _couch(inputs, settings, now_s)
    if isinstance(report, Trouble):
        return report
    if not inputs.rest:
        return None if report.standstill else Trouble("the couch moves without a command")
    for axis, rest in zip(report.axes, inputs.rest, strict=True):
        limit = _choose(axis.axis, settings.uncommanded_mm, settings.uncommanded_deg)
        if not abs(axis.primary - rest) <= limit:
            return Trouble(f"{axis.axis} moved by {axis.primary - rest:.2f} {axis.unit} without a command")
    return None


def _still_while_exposing(inputs: Inputs, settings: Settings, now_s: float) -> Trouble | None:
    report = _couch(inputs, settings, now_s)
    if isinstance(report, Trouble):
        return report
    return None if report.standstill else Trouble("the couch is not at standstill")


def _test(name: str) -> str:
    return f"tests/unit/interlocks/test_rules.py::test_every_rule_trips_alone[{name}]"


RULES: tuple[Rule, ...] = (
    Rule(
        "start-up", "a named user has cleared the chain since the daemon started", "daemon", Reaction.REFUSE, USER,
        "tests/unit/interlocks/test_monitor.py::test_starts_not_ok", _event_only, ALWAYS, ALWAYS,
    ),
    Rule(
        "hold", "nobody has asked for Hold", "any client", Reaction.SS1, USER,
        "tests/unit/interlocks/test_monitor.py::test_hold_latches", _event_only, ALWAYS, ALWAYS, gates_exposure=True,
    ),
    Rule(
        "motion-outcome", "a motion ends at its target, and in its time", "daemon", Reaction.SS1, USER,
        "tests/system/devices/test_motion.py::test_motion_that_misses_its_target", _event_only, ALWAYS, ALWAYS,
    ),
    Rule(
        "couch-session", "session with the couch, same protocol version and dictionary", "couch link",
        Reaction.SS1, USER, _test("couch-session"), _session, ALWAYS, ALWAYS, gates_exposure=True,
    ),
    Rule(
        "couch-link", "the couch reported its state within 150 ms", "couch link", Reaction.SS1, NOBODY,
        _test("couch-link"), _couch_fresh, ALWAYS, ALWAYS, gates_exposure=True,
    ),
    Rule(
        "couch-counter", "the couch's own state counter advanced within 150 ms", "couch state", Reaction.SS1, NOBODY,
        _test("couch-counter"), _counter, ALWAYS, ALWAYS, gates_exposure=True,
    ),
    Rule(
        "couch-fault", "no fault bit of the couch is set", "couch state", Reaction.SS1, USER,
        _test("couch-fault"), _faults, ALWAYS, ALWAYS,
    ),
    Rule(
        "client-heartbeat", "the commanding program's counter advanced within 250 ms", "client",
        Reaction.SS1, USER, _test("client-heartbeat"), _client, IN_MOTION, IN_MOTION,
    ),
    Rule(
        "enable", "the enable token advanced within 150 ms, bar in its middle position", "pendant",
        Reaction.SS1, USER, _test("enable"), _enable, IN_MOTION, IN_MOTION,
    ),
    Rule(
        "axes-referenced", "all six axes are referenced", "couch state", Reaction.SS1, NOBODY,
        _test("axes-referenced"), _referenced, IN_MOTION, ALWAYS,
    ),
    Rule(
        "brakes", "brakes known, and no axis moves against them", "couch state", Reaction.STO, USER,
        _test("brakes"), _brakes, ALWAYS, ALWAYS, persists_s=lambda s: s.brake_slip_for_s,
    ),
    Rule(
        "brakes-released", "the brakes open when the couch is to move (300 ms)", "couch state", Reaction.SS1, USER,
        _test("brakes-released"), _brakes_released, IN_MOTION, IN_MOTION, persists_s=lambda s: s.brake_release_for_s,
    ),
    Rule(
        "brakes-engaged", "the brakes close when nothing is to move (1 s)", "couch state", Reaction.SS1, USER,
        _test("brakes-engaged"), _brakes_engaged, AT_REST, AT_REST, persists_s=lambda s: s.brake_engage_for_s,
        gates_exposure=True, is_usual_for_a_while=True,
    ),
    Rule(
        "channels-step", "channels within 0.7 mm / 0.2 deg at standstill (50 ms)", "couch state",
        Reaction.SS1, USER, _test("channels-step"), _disagree_step, ALWAYS, ALWAYS,
        persists_s=lambda s: s.disagreement_step_for_s, gates_exposure=True,
    ),
    Rule(
        "channels-moving", "channels within 1.0 mm / 0.3 deg, lag aligned (100 ms)", "couch state",
        Reaction.SS1, USER, _test("channels-moving"), _disagree_moving, ALWAYS, ALWAYS,
        persists_s=lambda s: s.disagreement_moving_for_s, gates_exposure=True,
    ),
    Rule(
        "channels-standing", "channels within 0.3 mm / 0.1 deg at standstill (300 ms)", "couch state",
        Reaction.SS1, USER, _test("channels-standing"), _disagree_standing, ALWAYS, ALWAYS,
        persists_s=lambda s: s.disagreement_standing_for_s, gates_exposure=True,
    ),
    Rule(
        "following-error", "following error below 0.3 mm / 0.1 deg plus 20 ms times speed", "couch state",
        Reaction.SS1, USER, _test("following-error"), _following, IN_MOTION, IN_MOTION,
        persists_s=lambda s: s.following_error_for_s,
    ),
    Rule(
        "off-path", "every axis stays within 1.5 mm / 0.3 deg of the straight path (50 ms)", "couch state",
        Reaction.STO, USER, _test("off-path"), _path, IN_MOTION, IN_MOTION, persists_s=lambda s: s.off_path_for_s,
    ),
    Rule(
        "no-progress", "the couch moves until it is within 1 mm / 0.2 deg of the target (300 ms)", "couch state",
        Reaction.SS1, USER, _test("no-progress"), _progress, IN_MOTION, IN_MOTION, persists_s=lambda s: s.stuck_for_s,
    ),
    Rule(
        "soft-limits", "no axis leaves its soft limits", "couch state", Reaction.SS1, USER,
        _test("soft-limits"), _soft_limits, IN_MOTION, IN_MOTION,
    ),
    Rule(
        "speed-class", "no axis is faster than its speed class allows", "couch state", Reaction.SS1, USER,
        _test("speed-class"), _speed, ALWAYS, ALWAYS, persists_s=lambda s: s.speed_for_s,
    ),
    Rule(
        "uncommanded-motion", "the couch stays within 1 mm / 0.2 deg while nothing is commanded", "couch state",
        Reaction.STO, USER, _test("uncommanded-motion"), _uncommanded, AT_REST, AT_REST,
        gates_exposure=True,
    ),
    Rule(
        "exposure-standstill", "the couch stands still while X-rays are on", "couch state", Reaction.SS1, USER,
        _test("exposure-standstill"), _still_while_exposing, frozenset({Activity.EXPOSURE}),
        frozenset({Activity.EXPOSURE}),
    ),
)  # fmt: skip
"""All rules, in the order in which they are looked at and named."""

COUCH_SOURCES = frozenset({"couch link", "couch state"})


def rules_for(*, couch: bool, gantry: bool = False) -> tuple[Rule, ...]:
    """The rules of a room with or without couch (imager calibration can do without one) and gantry."""
    rules = RULES + GANTRY_RULES if gantry else RULES
    return tuple(rule for rule in rules if couch or rule.source not in COUCH_SOURCES)


def soft_limits_inside(
    device_limits: dict[str, tuple[float, float]], *, margin_mm: float, margin_deg: float
) -> dict[str, tuple[float, float]]:
    """Limits that lie inside the device's own by a margin, for every axis of ``AXES`` that is given."""
    inside: dict[str, tuple[float, float]] = {}
    for axis in AXES:
        if axis in device_limits:
            least, greatest = device_limits[axis]
            margin = _choose(axis, margin_mm, margin_deg)
            inside[axis] = (least + margin, greatest - margin)
    return inside
