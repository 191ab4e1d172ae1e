"""What the gantry's firmware says: its state, itself, and why it does not carry out a command."""

from __future__ import annotations

from typing import TYPE_CHECKING

from isoalign.geometry.motion_profile import MotionLimits
from isoalign.protocol.messages import (
    GANTRY_START_TOLERANCE_UDEG,
    CommandReason,
    ConeBeamRotate,
    GantryInfo,
    GantryLatch,
    GantryRotate,
    GantryState,
    GantryStatus,
    ImagerArmState,
    ProjectionTrigger,
)
from isoalign.simulators.gantry_physics import GantryPhysicsParameters
from isoalign.simulators.gantry_scan import MICRO, ConeBeamScan, Trigger

if TYPE_CHECKING:
    from isoalign.simulators.gantry_firmware import GantryFirmware

Objection = tuple[CommandReason, int]


def micro(degrees: float | None) -> int | None:
    """Degrees as whole µdeg; None stays None (not available)."""
    return None if degrees is None else round(degrees * MICRO)


def state_of(gantry: GantryFirmware, now_s: float, *, state_count: int, target_deg: float) -> GantryState:
    """The state that goes out."""
    commands = gantry.session.commands
    return GantryState(
        device_time_us=gantry.session.device_time_us(now_s),
        state_count=state_count,
        mode=gantry.mode(now_s),
        latch=gantry.latch,
        status=gantry.conditions(GantryStatus, now_s),
        last_command_id=commands.last_id,
        last_command_status=commands.last_status,
        host_counter=gantry.session.host.counter,
        client_counter=gantry.session.client.counter,
        press_count=gantry.token.press_count,
        token_counter=gantry.token.counter,
        token_age_us=gantry.token_age_us(now_s),
        imager_arm=gantry.arm_state,
        primary_udeg=micro(gantry.body.primary_deg()),
        secondary_udeg=micro(gantry.body.secondary_deg()),
        velocity_udeg_per_s=micro(float(gantry.body.seen_velocity()[0])),
        target_udeg=micro(target_deg),
        scan_id=gantry.scan_id,
        trigger_count=gantry.trigger_count,
    )


def info_of(travel: tuple[float, float], limits: MotionLimits, parameters: GantryPhysicsParameters) -> GantryInfo:
    """What the host is told about the gantry."""
    return GantryInfo(
        travel_min_udeg=round(travel[0] * MICRO),
        travel_max_udeg=round(travel[1] * MICRO),
        speed_max_udeg_per_s=round(limits.speed * MICRO),
        acceleration_max_udeg_per_s2=round(limits.acceleration * MICRO),
        jerk_max_udeg_per_s3=round(limits.jerk * MICRO),
        primary_resolution_udeg=max(1, round(parameters.primary_resolution_deg * MICRO)),
        secondary_resolution_udeg=max(1, round(parameters.secondary_resolution_deg * MICRO)),
        servo_lag_us=round(parameters.servo_lag_s * 1e6),
        secondary_lag_us=round(parameters.secondary_lag_s * 1e6),
        arm_travel_us=round(parameters.arm_travel_s * 1e6),
    )


def event_of(gantry: GantryFirmware, trigger: Trigger) -> ProjectionTrigger:
    """The event of one trigger."""
    return ProjectionTrigger(
        scan_id=gantry.scan_id,
        trigger_index=trigger.index,
        primary_udeg=micro(trigger.primary_deg),
        secondary_udeg=micro(trigger.secondary_deg),
        device_time_us=gantry.session.device_time_us(trigger.at_s),
    )


def rotation_objection(
    gantry: GantryFirmware, command: GantryRotate | ConeBeamRotate, scan: ConeBeamScan | None, now_s: float
) -> Objection:
    """Why a rotation cannot be carried out now, with a detail.

    No rotation begins with an imager arm of which nobody knows where it is.
    """
    objection = _common_objection(gantry)
    fault = gantry.encoder_fault()
    arm = gantry.arm_state
    low, high = gantry.travel[0]
    if isinstance(command, GantryRotate):
        way = [command.target_udeg / MICRO]
        arm_is_wrong = arm is ImagerArmState.UNKNOWN
    else:
        way = [] if scan is None else [scan.run_up_deg, scan.run_out_deg]
        arm_is_wrong = arm is not ImagerArmState.EXTENDED
    expected = command.expected_start_udeg
    if objection[0] is not CommandReason.NONE:
        return objection
    if fault is not None:
        return CommandReason.DEVICE_FAULT, int(fault)
    if not gantry.referenced:
        return CommandReason.NOT_REFERENCED, 0
    if arm_is_wrong:
        return CommandReason.WRONG_PHASE, int(arm)
    if any(not low <= angle <= high for angle in way):
        return CommandReason.OUT_OF_TRAVEL, 0
    measured_udeg = float(gantry.body.measured()[0]) * MICRO
    if expected is not None and abs(expected - measured_udeg) > GANTRY_START_TOLERANCE_UDEG:
        return CommandReason.START_MISMATCH, 0
    return gantry.enabling_objection(now_s), 0


def arm_objection(gantry: GantryFirmware, now_s: float) -> Objection:
    """Why the imager arm cannot be moved now, with a detail."""
    objection = _common_objection(gantry)
    if objection[0] is not CommandReason.NONE:
        return objection
    return gantry.enabling_objection(now_s), 0


def _common_objection(gantry: GantryFirmware) -> Objection:
    if gantry.latch is not GantryLatch.NONE:
        return CommandReason.LATCHED, int(gantry.latch)
    if gantry.is_moving:
        return CommandReason.BUSY, 0
    return CommandReason.NONE, 0
