"""What the rules share: when they count, who clears them, and the couch's report or why there is none."""

from __future__ import annotations

from isoalign.interlocks.model import LINEAR_AXES, Activity, CouchReport, Inputs, Settings, Trouble

ALWAYS = frozenset(Activity)
IN_MOTION = frozenset({Activity.MOTION})
AT_REST = frozenset({Activity.IDLE, Activity.EXPOSURE})
USER = "a named user, with a reason"
NOBODY = "a named user after a motion or an exposure; while idle it closes with its cause"


def couch_report(inputs: Inputs, settings: Settings, now_s: float) -> CouchReport | Trouble:
    """The couch's report, or why there is none that may be trusted."""
    if inputs.couch is None:
        return Trouble("the couch has not reported its state", unknown=True)
    age_s = inputs.couch.age_s(now_s)
    if age_s > settings.state_limit_s:
        return Trouble(f"the last report of the couch is {age_s * 1000:.0f} ms old", unknown=True)
    return inputs.couch.value


def choose(axis: str, linear: float, angular: float) -> float:
    """The threshold of an axis: in mm for translations, in degrees for rotations."""
    return linear if axis in LINEAR_AXES else angular


def event_only(_inputs: Inputs, _settings: Settings, _now_s: float) -> None:
    """Latched by an act, never by a reading."""


def test_id(name: str) -> str:
    """The test that makes a rule trip alone."""
    return f"tests/unit/interlocks/test_rules.py::test_every_rule_trips_alone[{name}]"
