"""A couch at rest in perfect order, and ways to spoil one thing at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from isoalign.geometry import AXES
from isoalign.interlocks import (
    Activity,
    Beam,
    Brake,
    Circuit,
    CouchReport,
    ImagerReport,
    Inputs,
    Observation,
    SafetyReport,
    Settings,
    Torque,
)
from isoalign.records import AxisState

POSITION = (10.0, 700.0, -120.0, 1.0, -1.0, 30.0)
SOFT_LIMITS = {
    "lateral": (-248.0, 248.0),
    "longitudinal": (2.0, 1498.0),
    "vertical": (-498.0, 98.0),
    "pitch": (-4.8, 4.8),
    "roll": (-4.8, 4.8),
    "patient_support_angle": (-94.8, 94.8),
}


def _axes(velocity: float = 0.0) -> tuple[AxisState, ...]:
    return tuple(
        AxisState(axis, value, value - velocity * 0.02, velocity, "mm" if index < 3 else "deg")
        for index, (axis, value) in enumerate(zip(AXES, POSITION, strict=True))
    )


@pytest.fixture
def settings() -> Settings:
    return Settings(soft_limits=dict(SOFT_LIMITS))


@pytest.fixture
def inputs_at() -> Callable[..., Inputs]:
    """Everything in order at a time, in an activity."""

    def make(now_s: float, activity: Activity = Activity.MOTION) -> Inputs:
        moving = activity is Activity.MOTION
        report = CouchReport(
            _axes(2.0 if moving else 0.0),
            referenced=True,
            brake=Brake.RELEASED if moving else Brake.ENGAGED,
            standstill=not moving,
        )
        return Inputs(
            activity,
            couch=Observation(report, now_s - 0.01),
            session_ok=Observation(True, now_s - 5.0),
            client_heartbeat=Observation(17, now_s - 0.04),
            enable=Observation(True, now_s - 0.04),
            rest=POSITION,
            safety=Observation(
                SafetyReport(
                    emergency_stop=Circuit.CLOSED,
                    enable_circuit=Circuit.CLOSED,
                    torque=Torque.ON if moving else Torque.OFF,
                    touched=(),
                    touch_force_n=0.0,
                    drive_temperature_c=(30.0,) * 6,
                    payload_kg=75.0,
                ),
                now_s - 0.03,
            ),
            payload_reference_kg=75.2,
            beam=Observation(Beam.OFF, now_s - 0.05),
            calibration_is_valid=True,
            imagers=(ImagerReport("A", Circuit.CLOSED, 32.0),) if activity is Activity.EXPOSURE else (),
        )

    return make


@pytest.fixture
def spoil_axis() -> Callable[..., Inputs]:
    """The inputs with one axis replaced."""

    def change(inputs: Inputs, axis: str, **changed: float) -> Inputs:
        assert inputs.couch is not None
        report = inputs.couch.value
        axes = tuple(replace(a, **changed) if a.axis == axis else a for a in report.axes)
        return replace(inputs, couch=Observation(replace(report, axes=axes), inputs.couch.at_s))

    return change


@pytest.fixture
def spoil_report() -> Callable[..., Inputs]:
    """The inputs with some of the couch's report replaced."""

    def change(inputs: Inputs, **changed: object) -> Inputs:
        assert inputs.couch is not None
        return replace(inputs, couch=Observation(replace(inputs.couch.value, **changed), inputs.couch.at_s))

    return change


@pytest.fixture
def spoil_safety() -> Callable[..., Inputs]:
    """The inputs with some of what the couch says about circuits and sensors replaced."""

    def change(inputs: Inputs, **changed: object) -> Inputs:
        assert inputs.safety is not None
        return replace(inputs, safety=Observation(replace(inputs.safety.value, **changed), inputs.safety.at_s))

    return change
