"""What the couch's firmware says: its state, its axes, and why it does not carry out a MOVE."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from isoalign.geometry.motion_profile import MotionLimits
from isoalign.protocol import micro_from_axes
from isoalign.protocol.messages import (
    START_TOLERANCE_UDEG,
    START_TOLERANCE_UM,
    AxisInfo,
    CommandReason,
    CouchState,
    CouchStatus,
    Latch,
    Move,
)
from isoalign.simulators.couch_physics import CouchPhysicsParameters
from isoalign.simulators.servo_body import Array

if TYPE_CHECKING:
    from isoalign.simulators.couch_firmware import CouchFirmware

MICRO = np.array([1e3, 1e3, 1e3, 1e6, 1e6, 1e6])


def state_of(
    couch: CouchFirmware, now_s: float, *, state_count: int, following_error_axis: int, target: Array
) -> CouchState:
    """The state that goes out."""
    primary = couch.body.primary()
    known = micro_from_axes(couch.table_top(np.array([0.0 if value is None else value for value in primary])))
    return CouchState(
        device_time_us=couch.session.device_time_us(now_s),
        state_count=state_count,
        mode=couch.mode(now_s),
        latch=couch.latch,
        status=couch.conditions(CouchStatus, now_s),
        last_command_id=couch.session.commands.last_id,
        last_command_status=couch.session.commands.last_status,
        host_counter=couch.session.host.counter,
        client_counter=couch.session.client.counter,
        press_count=couch.token.press_count,
        token_counter=couch.token.counter,
        token_age_us=couch.token_age_us(now_s),
        following_error_axis=following_error_axis,
        primary_micro=tuple(None if value is None else micro for value, micro in zip(primary, known, strict=True)),
        secondary_micro=micro_from_axes(couch.table_top(np.array(couch.body.secondary()))),
        velocity_micro_per_s=micro_from_axes(couch.table_top_speed()),
        target_micro=micro_from_axes(target),
    )


def axis_info(
    axis: int, travel: tuple[float, float], limits: MotionLimits, parameters: CouchPhysicsParameters
) -> AxisInfo:
    """What the host is told about one axis."""
    scale = MICRO[axis]
    resolution = parameters.primary_resolution_mm if axis < 3 else parameters.primary_resolution_deg
    return AxisInfo(
        axis=axis,
        travel_min_micro=round(travel[0] * scale),
        travel_max_micro=round(travel[1] * scale),
        speed_max_micro_per_s=round(limits.speed * scale),
        acceleration_max_micro_per_s2=round(limits.acceleration * scale),
        jerk_max_micro_per_s3=round(limits.jerk * scale),
        resolution_micro=max(1, round(resolution * scale)),
        servo_lag_us=round(parameters.servo_lag_s * 1e6),
        secondary_lag_us=round(parameters.secondary_lag_s * 1e6),
    )


def objection(couch: CouchFirmware, command: Move, now_s: float) -> tuple[CommandReason, int]:
    """Why a MOVE cannot be carried out now, with a detail."""
    if couch.latch is not Latch.NONE:
        return CommandReason.LATCHED, int(couch.latch)
    if couch.is_moving:
        return CommandReason.BUSY, 0
    cause = couch.standing_cause()
    if cause is not Latch.NONE:
        return CommandReason.DEVICE_FAULT, int(cause)
    if couch.body.sensors.enable_circuit_open:
        return CommandReason.NOT_ENABLED, int(Latch.ENABLE_CIRCUIT)
    if couch.body.primary_invalid:
        return CommandReason.DEVICE_FAULT, int(Latch.ENCODER_INVALID)
    if not couch.referenced:
        return CommandReason.NOT_REFERENCED, 0
    drives = couch.drives(np.array(command.target_micro, dtype=np.float64) / MICRO)
    for axis, (target, (low, high)) in enumerate(zip(drives, couch.travel, strict=True)):
        if not low <= target <= high:
            return CommandReason.OUT_OF_TRAVEL, axis
    measured = couch.table_top(couch.body.measured())
    for axis, expected in enumerate(command.expected_start_micro):
        tolerance = START_TOLERANCE_UM if axis < 3 else START_TOLERANCE_UDEG
        if expected is not None and abs(expected - measured[axis] * MICRO[axis]) > tolerance:
            return CommandReason.START_MISMATCH, axis
    return couch.enabling_objection(now_s), 0
