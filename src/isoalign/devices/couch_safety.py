"""What COUCH_SAFETY says, in engineering units, for the interlock chain."""

from __future__ import annotations

import math

from isoalign.interlocks import Circuit, SafetyReport, Torque
from isoalign.protocol.messages import CouchSafety, SafetyCircuit, TorqueFeedback, TouchSensor

CIRCUITS = {SafetyCircuit.CLOSED: Circuit.CLOSED, SafetyCircuit.OPEN: Circuit.OPEN}
TORQUES = {
    TorqueFeedback.TORQUE_ON: Torque.ON,
    TorqueFeedback.TORQUE_OFF: Torque.OFF,
    TorqueFeedback.CONTRADICTORY: Torque.CONTRADICTORY,
}


def safety_report(message: CouchSafety) -> SafetyReport:
    """Circuits, sensors and load; N, degrees Celsius and kg."""
    celsius = (math.nan if value is None else value / 1000 for value in message.drive_temperature_mdeg_c)
    return SafetyReport(
        emergency_stop=CIRCUITS.get(message.emergency_stop, Circuit.UNKNOWN),
        enable_circuit=CIRCUITS.get(message.enable_circuit, Circuit.UNKNOWN),
        torque=TORQUES.get(message.torque_feedback, Torque.UNKNOWN),
        touched=tuple(sensor.name or "?" for sensor in TouchSensor if sensor in message.touched),
        touch_force_n=None if message.touch_force_mn is None else message.touch_force_mn / 1000,
        drive_temperature_c=tuple(celsius),
        payload_kg=None if message.payload_g is None else message.payload_g / 1000,
    )
