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
        return None
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
    ),
    Rule(
        "exposure-standstill", "the couch stands still while X-rays are on", "couch state", Reaction.SS1, USER,
        _test("exposure-standstill"), _still_while_exposing, frozenset({Activity.EXPOSURE}),
        frozenset({Activity.EXPOSURE}),
    ),
)  # fmt: skip
"""All rules, in the order in which they are looked at and named."""

COUCH_SOURCES = frozenset({"couch link", "couch state"})


def rules_for(*, couch: bool) -> tuple[Rule, ...]:
    """The rules of a room with or without a couch (imager calibration can do without one)."""
    return tuple(rule for rule in RULES if couch or rule.source not in COUCH_SOURCES)


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
