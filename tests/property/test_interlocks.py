"""Whatever comes in whatever order: nothing clears by itself, and what is unknown is never permitted."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from isoalign.geometry import AXES
from isoalign.interlocks import (
    Activity,
    Beam,
    Brake,
    Circuit,
    ClearRefused,
    CouchReport,
    ImagerReport,
    Inputs,
    InterlockMonitor,
    Observation,
    SafetyReport,
    Settings,
    Torque,
)
from isoalign.records import AxisState

LIMITS = Settings(soft_limits=dict.fromkeys(AXES, (-100.0, 100.0)))
numbers = st.one_of(st.floats(-120, 120), st.sampled_from([0.0, float("nan"), float("inf")]))
axes = st.lists(st.tuples(numbers, numbers, numbers), min_size=6, max_size=6).map(
    lambda values: tuple(AxisState(axis, *three, "mm") for axis, three in zip(AXES, values, strict=True))
)
still = tuple(AxisState(axis, 0.0, 0.0, 0.0, "mm") for axis in AXES)
reports = st.builds(
    CouchReport,
    axes=st.one_of(st.just(still), axes),
    referenced=st.booleans(),
    brake=st.sampled_from(Brake),
    standstill=st.booleans(),
    faults=st.sampled_from([(), ("HOST_LOST",)]),
    target=st.sampled_from([(), (0.0,) * 6, (50.0,) * 6]),
    counter_age_s=st.sampled_from([None, 0.02, 0.2]),
)
temperatures = st.sampled_from([25.0, 25.0, 95.0, float("nan")])
safety_reports = st.builds(
    SafetyReport,
    emergency_stop=st.sampled_from([Circuit.CLOSED, *Circuit]),
    enable_circuit=st.sampled_from([Circuit.CLOSED, *Circuit]),
    torque=st.sampled_from([Torque.OFF, *Torque]),
    touched=st.sampled_from([(), (), ("BASE",)]),
    touch_force_n=st.sampled_from([None, 0.0, 60.0]),
    drive_temperature_c=st.tuples(*[temperatures] * 6),
    payload_kg=st.sampled_from([None, 0.0, 75.0, 160.0]),
)
imagers = st.builds(ImagerReport, st.just("A"), st.sampled_from(Circuit), st.sampled_from([None, 30.0, 50.0]))


@st.composite
def steps(draw: st.DrawFn) -> tuple[float, Inputs, str]:
    """A pause, what is seen after it (with ages before the present), and an act."""

    def observed(values: st.SearchStrategy[object]) -> object:
        return draw(st.one_of(st.none(), st.builds(Observation, values, st.floats(-0.4, 0.0))))

    inputs = Inputs(
        draw(st.sampled_from(Activity)),
        couch=observed(reports),  # type: ignore[arg-type]
        session_ok=observed(st.booleans()),  # type: ignore[arg-type]
        client_heartbeat=observed(st.integers(0, 9)),  # type: ignore[arg-type]
        enable=observed(st.booleans()),  # type: ignore[arg-type]
        rest=draw(st.sampled_from([(), (0.0,) * 6])),
        safety=observed(safety_reports),  # type: ignore[arg-type]
        payload_reference_kg=draw(st.sampled_from([None, 0.0, 75.0])),
        beam=observed(st.sampled_from(Beam)),  # type: ignore[arg-type]
        calibration_is_valid=draw(st.sampled_from([None, True, False])),
        imagers=draw(st.sampled_from([(), (draw(imagers),)])),
    )
    return draw(st.floats(0.0, 0.5)), inputs, draw(st.sampled_from(["look", "look", "look", "clear", "hold"]))


def at(inputs: Inputs, now_s: float) -> Inputs:
    names = ("couch", "session_ok", "client_heartbeat", "enable", "safety", "beam")
    moved = {name: getattr(inputs, name) for name in names}
    return replace(inputs, **{n: None if o is None else replace(o, at_s=now_s + o.at_s) for n, o in moved.items()})


@given(st.lists(steps(), max_size=25))
@settings(max_examples=150, deadline=None)
def test_nothing_clears_by_itself(sequence: list[tuple[float, Inputs, str]]) -> None:
    monitor = InterlockMonitor(LIMITS)
    latched = {"start-up"}
    now_s = 100.0
    for pause_s, seen, act in sequence:
        now_s += pause_s
        inputs = at(seen, now_s)
        if act == "hold":
            monitor.latch("hold", "Hold", now_s)
            latched.add("hold")
        elif act == "clear":
            try:
                cleared = monitor.clear(inputs, now_s, user="Test", reason="test")
            except ClearRefused:
                pass
            else:
                assert {finding.rule_id for finding in cleared} == latched
                latched = set()
        verdict = monitor.evaluate(inputs, now_s)
        now_latched = {finding.rule_id for finding in verdict.open if finding.latched}
        assert latched <= now_latched
        assert {finding.rule_id for finding in verdict.tripped} == now_latched - latched
        latched = now_latched
        assert verdict.motion_permitted == (not verdict.open)
        if latched:
            assert not verdict.motion_permitted
            assert verdict.first_fault is not None
            assert verdict.first_fault.rule_id in latched
        couch = inputs.couch
        if couch is None or couch.age_s(now_s) > LIMITS.state_limit_s or inputs.session_ok is None:
            assert not verdict.motion_permitted
            assert not verdict.exposure_permitted
