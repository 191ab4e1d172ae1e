"""The interlock chain as a table, in the order in which causes are named. Source: hazard table in docs/hazards."""

from __future__ import annotations

from isoalign.geometry import AXES
from isoalign.interlocks import rules_couch as checks
from isoalign.interlocks.model import Activity, Inputs, Reaction, Rule, Settings, Trouble
from isoalign.interlocks.rules_gantry import GANTRY_RULES
from isoalign.interlocks.rules_room import BEAM_RULES, CALIBRATION_RULES, IMAGER_RULES
from isoalign.interlocks.rules_safety import COUCH_SAFETY, SAFETY_RULES
from isoalign.interlocks.rules_support import (
    ALWAYS,
    AT_REST,
    IN_MOTION,
    NOBODY,
    USER,
    choose,
    couch_report,
    event_only,
    test_id,
)


def _couch_fresh(inputs: Inputs, settings: Settings, now_s: float) -> Trouble | None:
    report = couch_report(inputs, settings, now_s)
    return report if isinstance(report, Trouble) else None


def _counter(inputs: Inputs, settings: Settings, now_s: float) -> Trouble | None:
    report = couch_report(inputs, settings, now_s)
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


RULES: tuple[Rule, ...] = (
    Rule(
        "start-up", "a named user has cleared the chain since the daemon started", "daemon", Reaction.REFUSE, USER,
        "tests/unit/interlocks/test_monitor.py::test_starts_not_ok", event_only, ALWAYS, ALWAYS,
    ),
    Rule(
        "hold", "nobody has asked for Hold", "any client", Reaction.SS1, USER,
        "tests/unit/interlocks/test_monitor.py::test_hold_latches", event_only, ALWAYS, ALWAYS, gates_exposure=True,
    ),
    Rule(
        "motion-outcome", "a motion ends at its target, and in its time", "daemon", Reaction.SS1, USER,
        "tests/system/devices/test_motion.py::test_motion_that_misses_its_target", event_only, ALWAYS, ALWAYS,
    ),
    Rule(
        "couch-session", "session with the couch, same protocol version and dictionary", "couch link",
        Reaction.SS1, USER, test_id("couch-session"), _session, ALWAYS, ALWAYS, gates_exposure=True,
    ),
    Rule(
        "couch-link", "the couch reported its state within 150 ms", "couch link", Reaction.SS1, NOBODY,
        test_id("couch-link"), _couch_fresh, ALWAYS, ALWAYS, gates_exposure=True,
    ),
    Rule(
        "couch-counter", "the couch's own state counter advanced within 150 ms", "couch state", Reaction.SS1, NOBODY,
        test_id("couch-counter"), _counter, ALWAYS, ALWAYS, gates_exposure=True,
    ),
    *SAFETY_RULES,
    Rule(
        "couch-fault", "no fault bit of the couch is set", "couch state", Reaction.SS1, USER,
        test_id("couch-fault"), checks.faults, ALWAYS, ALWAYS,
    ),
    Rule(
        "client-heartbeat", "the commanding program's counter advanced within 250 ms", "client",
        Reaction.SS1, USER, test_id("client-heartbeat"), _client, IN_MOTION, IN_MOTION,
    ),
    Rule(
        "enable", "the enable token advanced within 150 ms, bar in its middle position", "pendant",
        Reaction.SS1, USER, test_id("enable"), _enable, IN_MOTION, IN_MOTION,
    ),
    Rule(
        "axes-referenced", "all six axes are referenced", "couch state", Reaction.SS1, NOBODY,
        test_id("axes-referenced"), checks.referenced, IN_MOTION, ALWAYS,
    ),
    Rule(
        "brakes", "brakes known, and no axis moves against them", "couch state", Reaction.STO, USER,
        test_id("brakes"), checks.brakes, ALWAYS, ALWAYS, persists_s=lambda s: s.brake_slip_for_s,
    ),
    Rule(
        "brakes-released", "the brakes open when the couch is to move (300 ms)", "couch state", Reaction.SS1, USER,
        test_id("brakes-released"), checks.brakes_released, IN_MOTION, IN_MOTION,
        persists_s=lambda s: s.brake_release_for_s,
    ),
    Rule(
        "brakes-engaged", "the brakes close when nothing is to move (1 s)", "couch state", Reaction.SS1, USER,
        test_id("brakes-engaged"), checks.brakes_engaged, AT_REST, AT_REST, persists_s=lambda s: s.brake_engage_for_s,
        gates_exposure=True, is_usual_for_a_while=True,
    ),
    Rule(
        "channels-step", "channels within 0.7 mm / 0.2 deg at standstill (50 ms)", "couch state",
        Reaction.SS1, USER, test_id("channels-step"), checks.disagree_step, ALWAYS, ALWAYS,
        persists_s=lambda s: s.disagreement_step_for_s, gates_exposure=True,
    ),
    Rule(
        "channels-moving", "channels within 1.0 mm / 0.3 deg, lag aligned (100 ms)", "couch state",
        Reaction.SS1, USER, test_id("channels-moving"), checks.disagree_moving, ALWAYS, ALWAYS,
        persists_s=lambda s: s.disagreement_moving_for_s, gates_exposure=True,
    ),
    Rule(
        "channels-standing", "channels within 0.3 mm / 0.1 deg at standstill (300 ms)", "couch state",
        Reaction.SS1, USER, test_id("channels-standing"), checks.disagree_standing, ALWAYS, ALWAYS,
        persists_s=lambda s: s.disagreement_standing_for_s, gates_exposure=True,
    ),
    Rule(
        "following-error", "following error below 0.3 mm / 0.1 deg plus 20 ms times speed", "couch state",
        Reaction.SS1, USER, test_id("following-error"), checks.following, IN_MOTION, IN_MOTION,
        persists_s=lambda s: s.following_error_for_s,
    ),
    Rule(
        "off-path", "every axis stays within 1.5 mm / 0.3 deg of the straight path (50 ms)", "couch state",
        Reaction.STO, USER, test_id("off-path"), checks.path, IN_MOTION, IN_MOTION,
        persists_s=lambda s: s.off_path_for_s,
    ),
    Rule(
        "no-progress", "the couch moves until it is within 1 mm / 0.2 deg of the target (300 ms)", "couch state",
        Reaction.SS1, USER, test_id("no-progress"), checks.progress, IN_MOTION, IN_MOTION,
        persists_s=lambda s: s.stuck_for_s,
    ),
    Rule(
        "soft-limits", "no axis leaves its soft limits", "couch state", Reaction.SS1, USER,
        test_id("soft-limits"), checks.soft_limits, IN_MOTION, IN_MOTION,
    ),
    Rule(
        "speed-class", "no axis is faster than its speed class allows", "couch state", Reaction.SS1, USER,
        test_id("speed-class"), checks.speed, ALWAYS, ALWAYS, persists_s=lambda s: s.speed_for_s,
    ),
    Rule(
        "uncommanded-motion", "the couch stays within 1 mm / 0.2 deg while nothing is commanded", "couch state",
        Reaction.STO, USER, test_id("uncommanded-motion"), checks.uncommanded, AT_REST, AT_REST,
        gates_exposure=True,
    ),
    Rule(
        "exposure-standstill", "the couch stands still while X-rays are on", "couch state", Reaction.SS1, USER,
        test_id("exposure-standstill"), checks.still_while_exposing, frozenset({Activity.EXPOSURE}),
        frozenset({Activity.EXPOSURE}),
    ),
    *BEAM_RULES,
    *CALIBRATION_RULES,
    *IMAGER_RULES,
)  # fmt: skip
"""All rules, in the order in which they are looked at and named."""

COUCH_SOURCES = frozenset({"couch link", "couch state", COUCH_SAFETY})


def rules_for(
    *, couch: bool, beam: bool = False, calibration: bool = False, imagers: bool = False, gantry: bool = False
) -> tuple[Rule, ...]:
    """The rules of a room.

    Parameters
    ----------
    couch : bool
        Imager calibration can do without one.
    beam : bool
        Whether the room tells the state of the treatment beam.
    calibration : bool
        Whether the configuration says until when the calibration is valid.
    imagers, gantry : bool
    """
    left_out = {
        rule.rule_id
        for rules, is_there in ((BEAM_RULES, beam), (CALIBRATION_RULES, calibration), (IMAGER_RULES, imagers))
        for rule in rules
        if not is_there
    }
    every = RULES + GANTRY_RULES if gantry else RULES
    return tuple(rule for rule in every if rule.rule_id not in left_out and (couch or rule.source not in COUCH_SOURCES))


def soft_limits_inside(
    device_limits: dict[str, tuple[float, float]], *, margin_mm: float, margin_deg: float
) -> dict[str, tuple[float, float]]:
    """Limits that lie inside the device's own by a margin, for every axis of ``AXES`` that is given."""
    inside: dict[str, tuple[float, float]] = {}
    for axis in AXES:
        if axis in device_limits:
            least, greatest = device_limits[axis]
            margin = choose(axis, margin_mm, margin_deg)
            inside[axis] = (least + margin, greatest - margin)
    return inside
