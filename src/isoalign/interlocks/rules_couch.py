"""What the couch's own state tells: faults, brakes, the two channels, the path, limits and speed."""

from __future__ import annotations

from isoalign.interlocks.model import Brake, CouchReport, Inputs, Settings, Trouble
from isoalign.interlocks.rules_support import choose, couch_report


def faults(inputs: Inputs, settings: Settings, now_s: float) -> Trouble | None:
    """The couch has latched nothing."""
    report = couch_report(inputs, settings, now_s)
    if isinstance(report, Trouble):
        return report
    return Trouble(f"the couch reports {', '.join(report.faults)}") if report.faults else None


def referenced(inputs: Inputs, settings: Settings, now_s: float) -> Trouble | None:
    """All axes are referenced."""
    report = couch_report(inputs, settings, now_s)
    if isinstance(report, Trouble):
        return report
    return None if report.referenced else Trouble("at least one axis of the couch is not referenced")


def brakes(inputs: Inputs, settings: Settings, now_s: float) -> Trouble | None:
    """The brakes are known, and hold when they are closed."""
    report = couch_report(inputs, settings, now_s)
    if isinstance(report, Trouble):
        return report
    if report.brake is Brake.UNKNOWN:
        return Trouble("the state of the brakes is unknown", unknown=True)
    if report.brake is Brake.RELEASED:
        return None
    for axis in report.axes:
        limit = choose(axis.axis, settings.brake_slip_mm_per_s, settings.brake_slip_deg_per_s)
        if abs(axis.velocity) > limit:
            return Trouble(f"{axis.axis} moves at {axis.velocity:.2f} {axis.unit}/s against engaged brakes")
    return None


def brakes_released(inputs: Inputs, settings: Settings, now_s: float) -> Trouble | None:
    """The brakes open when there is somewhere to go."""
    report = couch_report(inputs, settings, now_s)
    if isinstance(report, Trouble):
        return report
    if report.brake is not Brake.ENGAGED or not _axes_to_go(report, settings):
        return None
    return Trouble("the brakes stay closed although the couch is to move")


def brakes_engaged(inputs: Inputs, settings: Settings, now_s: float) -> Trouble | None:
    """The brakes are closed."""
    report = couch_report(inputs, settings, now_s)
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
        if not abs(axis.primary - target) <= choose(axis.axis, settings.stuck_mm, settings.stuck_deg)
    ]


def progress(inputs: Inputs, settings: Settings, now_s: float) -> Trouble | None:
    """Something moves, or everything is at the target."""
    report = couch_report(inputs, settings, now_s)
    if isinstance(report, Trouble):
        return report
    waiting = _axes_to_go(report, settings)
    if not waiting or report.brake is Brake.ENGAGED:
        return None
    for axis in report.axes:
        if abs(axis.velocity) > choose(axis.axis, settings.stuck_mm_per_s, settings.stuck_deg_per_s):
            return None
    return Trouble(f"nothing moves although {', '.join(waiting)} is not at the target")


def path(inputs: Inputs, settings: Settings, now_s: float) -> Trouble | None:
    """All axes share one path in this package's couches: a straight line in the six coordinates."""
    report = couch_report(inputs, settings, now_s)
    if isinstance(report, Trouble):
        return report
    if not report.target or not inputs.rest:
        return None
    limits = [choose(axis.axis, settings.off_path_mm, settings.off_path_deg) for axis in report.axes]
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
        scale = 1.0 + settings.secondary_scale.get(axis.axis, 0.0)
        expected = settings.secondary_offset.get(axis.axis, 0.0) + scale * axis.primary - axis.velocity * lag_s
        apart = abs(axis.secondary - expected)
        if not apart <= choose(axis.axis, linear, angular):
            return Trouble(f"the two channels of {axis.axis} are {apart:.2f} {axis.unit} apart")
    return None


def disagree_step(inputs: Inputs, settings: Settings, now_s: float) -> Trouble | None:
    """The channels agree at standstill, coarsely."""
    report = couch_report(inputs, settings, now_s)
    if isinstance(report, Trouble):
        return report
    if not report.standstill:
        return None
    return _disagreement(report, settings, settings.disagreement_step_mm, settings.disagreement_step_deg)


def disagree_moving(inputs: Inputs, settings: Settings, now_s: float) -> Trouble | None:
    """The channels agree, with the lag of the second one aligned."""
    report = couch_report(inputs, settings, now_s)
    if isinstance(report, Trouble):
        return report
    return _disagreement(report, settings, settings.disagreement_moving_mm, settings.disagreement_moving_deg)


def disagree_standing(inputs: Inputs, settings: Settings, now_s: float) -> Trouble | None:
    """The channels agree at standstill."""
    report = couch_report(inputs, settings, now_s)
    if isinstance(report, Trouble):
        return report
    if not report.standstill:
        return None
    return _disagreement(report, settings, settings.disagreement_standing_mm, settings.disagreement_standing_deg)


def following(inputs: Inputs, settings: Settings, now_s: float) -> Trouble | None:
    """Every axis follows its command."""
    report = couch_report(inputs, settings, now_s)
    if isinstance(report, Trouble):
        return report
    for axis, error in zip(report.axes, report.following_error, strict=False):
        base = choose(axis.axis, settings.following_error_base_mm, settings.following_error_base_deg)
        if not abs(error) <= base + settings.following_error_per_speed_s * abs(axis.velocity):
            return Trouble(f"{axis.axis} follows its command with an error of {error:.2f} {axis.unit}")
    return None


def soft_limits(inputs: Inputs, settings: Settings, now_s: float) -> Trouble | None:
    """No axis leaves its soft limits."""
    report = couch_report(inputs, settings, now_s)
    if isinstance(report, Trouble):
        return report
    for axis in report.axes:
        if axis.axis not in settings.soft_limits:
            return Trouble(f"no soft limits are known for {axis.axis}")
        least, greatest = settings.soft_limits[axis.axis]
        slack = choose(axis.axis, settings.soft_limit_slack_mm, settings.soft_limit_slack_deg)
        leaving = (axis.primary > greatest + slack and axis.velocity > 0) or (
            axis.primary < least - slack and axis.velocity < 0
        )
        if leaving:
            return Trouble(
                f"{axis.axis} leaves its soft limits [{least:g}, {greatest:g}] at {axis.primary:.2f} {axis.unit}"
            )
    return None


def speed(inputs: Inputs, settings: Settings, now_s: float) -> Trouble | None:
    """No axis is faster than its class allows."""
    report = couch_report(inputs, settings, now_s)
    if isinstance(report, Trouble):
        return report
    for axis in report.axes:
        limit = choose(axis.axis, settings.speed_limit_mm_per_s, settings.speed_limit_deg_per_s)
        if not abs(axis.velocity) <= limit * settings.speed_slack:
            return Trouble(
                f"{axis.axis} moves at {axis.velocity:.1f} {axis.unit}/s, more than its class of {limit:g} allows"
            )
    return None


def uncommanded(inputs: Inputs, settings: Settings, now_s: float) -> Trouble | None:
    """The couch stays where it was when the last motion had ended, but for what a change of its load explains."""
    report = couch_report(inputs, settings, now_s)
    if isinstance(report, Trouble):
        return report
    if not inputs.rest:
        return None if report.standstill else Trouble("the couch moves without a command")
    for axis, rest in zip(report.axes, inputs.rest, strict=True):
        limit = choose(axis.axis, settings.uncommanded_mm, settings.uncommanded_deg)
        sunk, risen = _sag(axis.axis, inputs, settings)
        if not sunk - limit <= axis.primary - rest <= risen + limit:
            return Trouble(f"{axis.axis} moved by {axis.primary - rest:.2f} {axis.unit} without a command")
    return None


def _sag(axis: str, inputs: Inputs, settings: Settings) -> tuple[float, float]:
    """From where to where what got on or off may have moved the table top since the last motion; 0 to 0 if nothing."""
    per_kg = {"vertical": settings.sag_mm_per_kg, "pitch": settings.sag_deg_per_kg}.get(axis, 0.0)
    rest_kg, loads_kg = inputs.rest_payload_kg, inputs.recent_payload_kg
    if not per_kg or rest_kg is None or loads_kg is None:
        return 0.0, 0.0
    least_kg, greatest_kg = loads_kg
    return min(0.0, -per_kg * (greatest_kg - rest_kg)), max(0.0, -per_kg * (least_kg - rest_kg))


def still_while_exposing(inputs: Inputs, settings: Settings, now_s: float) -> Trouble | None:
    """The couch stands still."""
    report = couch_report(inputs, settings, now_s)
    if isinstance(report, Trouble):
        return report
    return None if report.standstill else Trouble("the couch is not at standstill")
