"""What the couch tells about its hard-wired circuits, sensors, drives and load.

This channel repeats what the hard-wired chain does on its own, so that it is named, latched and kept; it replaces none
of it.
"""

from __future__ import annotations

import math

from isoalign.geometry import AXES
from isoalign.interlocks.model import (
    Brake,
    Circuit,
    Inputs,
    Reaction,
    Rule,
    SafetyReport,
    Settings,
    Torque,
    Trouble,
)
from isoalign.interlocks.rules_support import ALWAYS, IN_MOTION, NOBODY, USER, couch_report, test_id

COUCH_SAFETY = "couch safety"


def _safety_report(inputs: Inputs, settings: Settings, now_s: float) -> SafetyReport | Trouble:
    """What the couch says about circuits and sensors, or why there is nothing that may be trusted."""
    if inputs.safety is None:
        return Trouble("the couch has not reported its safety circuits and sensors", unknown=True)
    age_s = inputs.safety.age_s(now_s)
    if age_s > settings.safety_limit_s:
        text = f"the last report of the couch's safety circuits and sensors is {age_s * 1000:.0f} ms old"
        return Trouble(text, unknown=True)
    return inputs.safety.value


def _fresh(inputs: Inputs, settings: Settings, now_s: float) -> Trouble | None:
    report = _safety_report(inputs, settings, now_s)
    return report if isinstance(report, Trouble) else None


def _circuit(circuit: Circuit, name: str) -> Trouble | None:
    if circuit is Circuit.CLOSED:
        return None
    if circuit is Circuit.OPEN:
        return Trouble(f"the {name} is open")
    return Trouble(f"the state of the {name} is unknown", unknown=True)


def _emergency_stop(inputs: Inputs, settings: Settings, now_s: float) -> Trouble | None:
    report = _safety_report(inputs, settings, now_s)
    return report if isinstance(report, Trouble) else _circuit(report.emergency_stop, "emergency-stop circuit")


def _enable_circuit(inputs: Inputs, settings: Settings, now_s: float) -> Trouble | None:
    report = _safety_report(inputs, settings, now_s)
    return report if isinstance(report, Trouble) else _circuit(report.enable_circuit, "hard-wired enable circuit")


def _torque_feedback(inputs: Inputs, settings: Settings, now_s: float) -> Trouble | None:
    """STO feedback: known, both channels the same, and nothing hangs in the air or keeps its torque."""
    safety = _safety_report(inputs, settings, now_s)
    if isinstance(safety, Trouble):
        return safety
    if safety.torque is Torque.UNKNOWN:
        return Trouble("there is no feedback whether the drives have torque", unknown=True)
    if safety.torque is Torque.CONTRADICTORY:
        return Trouble("the two channels of the STO feedback contradict each other")
    couch = couch_report(inputs, settings, now_s)
    if isinstance(couch, Trouble):
        return couch
    if safety.torque is Torque.OFF and couch.brake is Brake.RELEASED:
        return Trouble("the torque is off although the brakes are open")
    if safety.torque is Torque.ON and safety.emergency_stop is Circuit.OPEN and couch.standstill:
        return Trouble("the emergency stop has not taken the torque off")
    return None


def _touch(inputs: Inputs, settings: Settings, now_s: float) -> Trouble | None:
    report = _safety_report(inputs, settings, now_s)
    if isinstance(report, Trouble):
        return report
    if not report.touched:
        return None
    force = "" if report.touch_force_n is None else f" with {report.touch_force_n:.0f} N"
    return Trouble(f"touch sensor {', '.join(report.touched)} is pressed{force}")


def _drive_temperature(inputs: Inputs, settings: Settings, now_s: float) -> Trouble | None:
    report = _safety_report(inputs, settings, now_s)
    if isinstance(report, Trouble):
        return report
    limit_c = settings.drive_temperature_limit_c
    for axis, temperature_c in zip(AXES, report.drive_temperature_c, strict=True):
        if math.isnan(temperature_c):
            return Trouble(f"the temperature of the drive of {axis} is unknown", unknown=True)
        if temperature_c > limit_c:
            return Trouble(f"the drive of {axis} has {temperature_c:.0f} deg C, more than {limit_c:g}")
    return None


def _payload_range(inputs: Inputs, settings: Settings, now_s: float) -> Trouble | None:
    report = _safety_report(inputs, settings, now_s)
    if isinstance(report, Trouble):
        return report
    if report.payload_kg is None:
        return Trouble("the load of the table top is unknown", unknown=True)
    least, greatest = settings.payload_range_kg
    if least <= report.payload_kg <= greatest:
        return None
    return Trouble(f"the table top carries {report.payload_kg:.0f} kg, outside [{least:g}, {greatest:g}]")


def _payload_change(inputs: Inputs, settings: Settings, now_s: float) -> Trouble | None:
    report = _safety_report(inputs, settings, now_s)
    if isinstance(report, Trouble):
        return report
    if report.payload_kg is None or inputs.payload_reference_kg is None:
        return Trouble("the load of the table top is unknown", unknown=True)
    change_kg = report.payload_kg - inputs.payload_reference_kg
    if abs(change_kg) <= settings.payload_change_kg:
        return None
    return Trouble(f"the load of the table top has changed by {change_kg:+.0f} kg since the motion was planned")


SAFETY_RULES: tuple[Rule, ...] = (
    Rule(
        "safety-link", "the couch reported its circuits and sensors within 250 ms", COUCH_SAFETY, Reaction.SS1, NOBODY,
        "tests/unit/interlocks/test_room_rules.py::test_a_silent_safety_report_is_named_first", _fresh, ALWAYS, ALWAYS,
        gates_exposure=True,
    ),
    Rule(
        "emergency-stop", "the emergency-stop circuit is closed", COUCH_SAFETY, Reaction.STO, USER,
        test_id("emergency-stop"), _emergency_stop, ALWAYS, ALWAYS, gates_exposure=True,
    ),
    Rule(
        "torque-feedback", "STO feedback known, its channels agree, torque fits brakes and emergency stop (300 ms)",
        COUCH_SAFETY, Reaction.STO, USER, test_id("torque-feedback"), _torque_feedback, ALWAYS, ALWAYS,
        gates_exposure=True, persists_s=lambda s: s.torque_for_s, is_usual_for_a_while=True,
    ),
    Rule(
        "enable-circuit", "the hard-wired enable circuit is closed", COUCH_SAFETY, Reaction.SS1, USER,
        test_id("enable-circuit"), _enable_circuit, IN_MOTION, IN_MOTION,
    ),
    Rule(
        "touch", "no touch or collision sensor is pressed", COUCH_SAFETY, Reaction.SS1, USER,
        test_id("touch"), _touch, ALWAYS, ALWAYS,
    ),
    Rule(
        "drive-temperature", "every drive is below 80 deg C (200 ms)", COUCH_SAFETY, Reaction.SS1, USER,
        test_id("drive-temperature"), _drive_temperature, IN_MOTION, ALWAYS,
        persists_s=lambda s: s.drive_temperature_for_s, refuses_clearing=False,
    ),
    Rule(
        "payload-range", "the load of the table top lies within its range (500 ms)", COUCH_SAFETY, Reaction.SS1, USER,
        test_id("payload-range"), _payload_range, IN_MOTION, ALWAYS,
        persists_s=lambda s: s.payload_range_for_s, refuses_clearing=False,
    ),
    Rule(
        "payload-change", "the load stays within 10 kg of what the motion was planned with (300 ms)", COUCH_SAFETY,
        Reaction.SS1, USER, test_id("payload-change"), _payload_change, IN_MOTION, IN_MOTION,
        persists_s=lambda s: s.payload_change_for_s,
    ),
)  # fmt: skip
"""In the order in which they are looked at and named."""
