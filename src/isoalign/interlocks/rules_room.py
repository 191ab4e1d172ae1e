"""What the room tells: the treatment beam, the validity of its calibration, door and panels of its imagers."""

from __future__ import annotations

from isoalign.interlocks.model import Activity, Beam, Circuit, Inputs, Reaction, Rule, Settings, Trouble
from isoalign.interlocks.rules_support import ALWAYS, IN_MOTION, NOBODY, USER, test_id

WHILE_EXPOSING = frozenset({Activity.EXPOSURE})
WHILE_IDLE = frozenset({Activity.IDLE})


def _beam(inputs: Inputs, settings: Settings, now_s: float) -> Trouble | None:
    if inputs.beam is None:
        return Trouble("nobody has told the state of the treatment beam", unknown=True)
    age_s = inputs.beam.age_s(now_s)
    if age_s > settings.beam_limit_s:
        return Trouble(f"the state of the treatment beam is {age_s * 1000:.0f} ms old", unknown=True)
    if inputs.beam.value is Beam.OFF:
        return None
    return Trouble(f"the treatment beam is {inputs.beam.value.value}")


def _calibration(inputs: Inputs, _settings: Settings, _now_s: float) -> Trouble | None:
    if inputs.calibration_is_valid is None:
        return Trouble("it is not known whether the calibration is valid", unknown=True)
    return None if inputs.calibration_is_valid else Trouble("the calibration of the couch has expired")


def _door(inputs: Inputs, _settings: Settings, _now_s: float) -> Trouble | None:
    """A generator that falls silent is no case of this rule: it switches X-rays off, and its exposure has failed."""
    for imager in inputs.imagers:
        if imager.door is Circuit.UNKNOWN:
            return Trouble(
                f"generator {imager.name} does not know whether the door of the room is closed", unknown=True
            )
        if imager.door is Circuit.OPEN:
            return Trouble(f"the door of the X-ray room is open, says generator {imager.name}")
    return None if inputs.imagers else Trouble("no generator has told whether the door is closed", unknown=True)


def _panel_temperature(inputs: Inputs, settings: Settings, _now_s: float) -> Trouble | None:
    for imager in inputs.imagers:
        if imager.panel_temperature_c is None:
            return Trouble(f"the temperature of panel {imager.name} is unknown", unknown=True)
        if imager.panel_temperature_c > settings.panel_temperature_limit_c:
            temperature = f"{imager.panel_temperature_c:.1f} deg C"
            return Trouble(f"panel {imager.name} has {temperature}, more than {settings.panel_temperature_limit_c:g}")
    return None if inputs.imagers else Trouble("no panel has told its temperature", unknown=True)


BEAM_RULES: tuple[Rule, ...] = (
    Rule(
        "beam", "the treatment beam is off, told within 500 ms", "room", Reaction.SS1, USER,
        test_id("beam"), _beam, IN_MOTION, ALWAYS, refuses_clearing=False,
    ),
)  # fmt: skip
"""For rooms that tell the state of their beam."""

CALIBRATION_RULES: tuple[Rule, ...] = (
    Rule(
        "calibration", "the calibration of the couch has not expired", "configuration", Reaction.REFUSE, NOBODY,
        "tests/unit/interlocks/test_room_rules.py::test_an_expired_calibration_refuses_and_stops_nothing",
        _calibration, frozenset(), WHILE_IDLE, refuses_clearing=False,
    ),
)  # fmt: skip
"""For rooms whose configuration says until when; never looked at in motion, whatever happens to the wall clock."""

IMAGER_RULES: tuple[Rule, ...] = (
    Rule(
        "xray-door", "the door of the X-ray room is closed while X-rays may be on", "generator", Reaction.SS1, USER,
        test_id("xray-door"), _door, WHILE_EXPOSING, WHILE_EXPOSING, gates_exposure=True,
    ),
    Rule(
        "panel-temperature", "every panel that takes an image is below 40 deg C", "panel", Reaction.SS1, USER,
        test_id("panel-temperature"), _panel_temperature, WHILE_EXPOSING, WHILE_EXPOSING, gates_exposure=True,
    ),
)  # fmt: skip
"""For rooms with imagers; an exposure is refused by the same conditions before it begins."""
