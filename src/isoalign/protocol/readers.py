# ruff: noqa
# fmt: off
"""One function per message that makes a checked frame of its bytes; :mod:`isoalign.protocol.reading` says how.

Generated from ``firmware_protocols/*.yaml`` by ``firmware_protocols/generate.py``. Do not edit: change the
definitions and generate again.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from typing import Final

from isoalign.protocol import messages as m
from isoalign.protocol.reading import (
    CRC_RESIDUE,
    FRAME_TWIN,
    HEADER_TWIN,
    Frame,
    Header,
    crc32,
    new,
    table_of,
    twin_of,
    why_refused,
)

_DEVICE_KIND: Final = table_of(m.DeviceKind)
_BAR_POSITION: Final = table_of(m.BarPosition)
_SESSION_VERDICT: Final = table_of(m.SessionVerdict)
_SESSION_END: Final = table_of(m.SessionEnd)
_CAPABILITY: Final = table_of(m.Capability)
_COMMAND_STATUS: Final = table_of(m.CommandStatus)
_COMMAND_REASON: Final = table_of(m.CommandReason)
_COUCH_MODE: Final = table_of(m.CouchMode)
_SPEED_CLASS: Final = table_of(m.SpeedClass)
_STOP_REASON: Final = table_of(m.StopReason)
_COUCH_STATUS: Final = table_of(m.CouchStatus)
_SAFETY_CIRCUIT: Final = table_of(m.SafetyCircuit)
_TORQUE_FEEDBACK: Final = table_of(m.TorqueFeedback)
_TOUCH_SENSOR: Final = table_of(m.TouchSensor)
_LATCH: Final = table_of(m.Latch)
_GENERATOR_PHASE: Final = table_of(m.GeneratorPhase)
_EXPOSURE_OUTCOME: Final = table_of(m.ExposureOutcome)
_ROOM_DOOR: Final = table_of(m.RoomDoor)
_GENERATOR_FAULT: Final = table_of(m.GeneratorFault)
_PANEL_PHASE: Final = table_of(m.PanelPhase)
_PANEL_FAULT: Final = table_of(m.PanelFault)
_GANTRY_MODE: Final = table_of(m.GantryMode)
_GANTRY_STOP_REASON: Final = table_of(m.GantryStopReason)
_GANTRY_STATUS: Final = table_of(m.GantryStatus)
_IMAGER_ARM_STATE: Final = table_of(m.ImagerArmState)
_IMAGER_ARM_END: Final = table_of(m.ImagerArmEnd)
_GANTRY_LATCH: Final = table_of(m.GantryLatch)


_HELLO: Final = Struct("<4xIHHIBBQI4x").unpack
_HELLO_TWIN: Final = twin_of(m.Hello)


def _read_hello(body: bytes) -> Frame:
    if len(body) != 34 or crc32(body, 0x8EA3A305) != CRC_RESIDUE:
        raise why_refused(m.Hello, body)
    header, message, frame = new(HEADER_TWIN), new(_HELLO_TWIN), new(FRAME_TWIN)
    (
        header.session, header.seq, header.ack, header.tx_time_us, message.protocol_major,
        message.protocol_minor, message.dictionary_hash, message.host_nonce
    ) = _HELLO(body)
    message.__class__ = m.Hello
    header.__class__ = Header
    frame.header, frame.message = header, message
    frame.__class__ = Frame
    return frame  # type: ignore[no-any-return]


_HELLO_ACK: Final = Struct("<4xIHHIBBQIBBIQII16s16s4x").unpack
_HELLO_ACK_TWIN: Final = twin_of(m.HelloAck)


def _read_hello_ack(body: bytes) -> Frame:
    if len(body) != 88 or crc32(body, 0x2186BF00) != CRC_RESIDUE:
        raise why_refused(m.HelloAck, body)
    header, message, frame = new(HEADER_TWIN), new(_HELLO_ACK_TWIN), new(FRAME_TWIN)
    (
        header.session, header.seq, header.ack, header.tx_time_us, message.protocol_major,
        message.protocol_minor, message.dictionary_hash, message.host_nonce, verdict, device_kind, capabilities,
        message.device_time_us, heartbeat_expiry_us, state_period_us, firmware_build, serial_number
    ) = _HELLO_ACK(body)
    if (
        not 1000 <= heartbeat_expiry_us <= 10000000
        or not 1000 <= state_period_us <= 10000000
        or not firmware_build.isascii()
        or 0 in firmware_build.rstrip(b'\0')
        or not serial_number.isascii()
        or 0 in serial_number.rstrip(b'\0')
    ):
        raise why_refused(m.HelloAck, body)
    try:
        message.verdict = _SESSION_VERDICT[verdict]
        message.device_kind = _DEVICE_KIND[device_kind]
        message.capabilities = _CAPABILITY[capabilities]
    except KeyError:
        raise why_refused(m.HelloAck, body) from None
    message.heartbeat_expiry_us = heartbeat_expiry_us
    message.state_period_us = state_period_us
    message.firmware_build = firmware_build.rstrip(b'\0').decode('ascii')
    message.serial_number = serial_number.rstrip(b'\0').decode('ascii')
    message.__class__ = m.HelloAck
    header.__class__ = Header
    frame.header, frame.message = header, message
    frame.__class__ = Frame
    return frame  # type: ignore[no-any-return]


_SESSION_ENDED: Final = Struct("<4xIHHIB4x").unpack
_SESSION_ENDED_TWIN: Final = twin_of(m.SessionEnded)


def _read_session_ended(body: bytes) -> Frame:
    if len(body) != 21 or crc32(body, 0x461CC847) != CRC_RESIDUE:
        raise why_refused(m.SessionEnded, body)
    header, message, frame = new(HEADER_TWIN), new(_SESSION_ENDED_TWIN), new(FRAME_TWIN)
    (
        header.session, header.seq, header.ack, header.tx_time_us, reason
    ) = _SESSION_ENDED(body)
    try:
        message.reason = _SESSION_END[reason]
    except KeyError:
        raise why_refused(m.SessionEnded, body) from None
    message.__class__ = m.SessionEnded
    header.__class__ = Header
    frame.header, frame.message = header, message
    frame.__class__ = Frame
    return frame  # type: ignore[no-any-return]


_HEARTBEAT: Final = Struct("<4xIHHIII4x").unpack
_HEARTBEAT_TWIN: Final = twin_of(m.Heartbeat)


def _read_heartbeat(body: bytes) -> Frame:
    if len(body) != 28 or crc32(body, 0xD289B11B) != CRC_RESIDUE:
        raise why_refused(m.Heartbeat, body)
    header, message, frame = new(HEADER_TWIN), new(_HEARTBEAT_TWIN), new(FRAME_TWIN)
    (
        header.session, header.seq, header.ack, header.tx_time_us, message.host_counter, client_counter
    ) = _HEARTBEAT(body)
    message.client_counter = None if client_counter == 4294967295 else client_counter
    message.__class__ = m.Heartbeat
    header.__class__ = Header
    frame.header, frame.message = header, message
    frame.__class__ = Frame
    return frame  # type: ignore[no-any-return]


_TIME_REQUEST: Final = Struct("<4xIHHIQ4x").unpack
_TIME_REQUEST_TWIN: Final = twin_of(m.TimeRequest)


def _read_time_request(body: bytes) -> Frame:
    if len(body) != 28 or crc32(body, 0xCC33E95B) != CRC_RESIDUE:
        raise why_refused(m.TimeRequest, body)
    header, message, frame = new(HEADER_TWIN), new(_TIME_REQUEST_TWIN), new(FRAME_TWIN)
    (
        header.session, header.seq, header.ack, header.tx_time_us, message.host_send_us
    ) = _TIME_REQUEST(body)
    message.__class__ = m.TimeRequest
    header.__class__ = Header
    frame.header, frame.message = header, message
    frame.__class__ = Frame
    return frame  # type: ignore[no-any-return]


_TIME_REPLY: Final = Struct("<4xIHHIQQQ4x").unpack
_TIME_REPLY_TWIN: Final = twin_of(m.TimeReply)


def _read_time_reply(body: bytes) -> Frame:
    if len(body) != 44 or crc32(body, 0x8E173901) != CRC_RESIDUE:
        raise why_refused(m.TimeReply, body)
    header, message, frame = new(HEADER_TWIN), new(_TIME_REPLY_TWIN), new(FRAME_TWIN)
    (
        header.session, header.seq, header.ack, header.tx_time_us, message.host_send_us,
        message.device_receive_us, message.device_send_us
    ) = _TIME_REPLY(body)
    message.__class__ = m.TimeReply
    header.__class__ = Header
    frame.header, frame.message = header, message
    frame.__class__ = Frame
    return frame  # type: ignore[no-any-return]


_COMMAND_EVENT: Final = Struct("<4xIHHIIBBIQ4x").unpack
_COMMAND_EVENT_TWIN: Final = twin_of(m.CommandEvent)


def _read_command_event(body: bytes) -> Frame:
    if len(body) != 38 or crc32(body, 0x98122463) != CRC_RESIDUE:
        raise why_refused(m.CommandEvent, body)
    header, message, frame = new(HEADER_TWIN), new(_COMMAND_EVENT_TWIN), new(FRAME_TWIN)
    (
        header.session, header.seq, header.ack, header.tx_time_us, message.command_id, status, reason,
        message.detail, message.device_time_us
    ) = _COMMAND_EVENT(body)
    try:
        message.status = _COMMAND_STATUS[status]
        message.reason = _COMMAND_REASON[reason]
    except KeyError:
        raise why_refused(m.CommandEvent, body) from None
    message.__class__ = m.CommandEvent
    header.__class__ = Header
    frame.header, frame.message = header, message
    frame.__class__ = Frame
    return frame  # type: ignore[no-any-return]


_COUCH_STATE: Final = Struct("<4xIHHIQIBHIIBIIIIIB24x24x24x24x4x").unpack
_COUCH_STATE_TWIN: Final = twin_of(m.CouchState)


def _read_couch_state(body: bytes) -> Frame:
    if len(body) != 161 or crc32(body, 0x5114C22E) != CRC_RESIDUE:
        raise why_refused(m.CouchState, body)
    header, message, frame = new(HEADER_TWIN), new(_COUCH_STATE_TWIN), new(FRAME_TWIN)
    (
        header.session, header.seq, header.ack, header.tx_time_us, message.device_time_us, message.state_count,
        mode, latch, status, message.last_command_id, last_command_status, host_counter, client_counter,
        press_count, token_counter, token_age_us, following_error_axis
    ) = _COUCH_STATE(body)
    if following_error_axis > 6:
        raise why_refused(m.CouchState, body)
    try:
        message.mode = _COUCH_MODE[mode]
        message.latch = _LATCH[latch]
        message.status = _COUCH_STATUS[status]
        message.last_command_status = _COMMAND_STATUS[last_command_status]
    except KeyError:
        raise why_refused(m.CouchState, body) from None
    message.host_counter = None if host_counter == 4294967295 else host_counter
    message.client_counter = None if client_counter == 4294967295 else client_counter
    message.press_count = None if press_count == 4294967295 else press_count
    message.token_counter = None if token_counter == 4294967295 else token_counter
    message.token_age_us = None if token_age_us == 4294967295 else token_age_us
    message.following_error_axis = following_error_axis
    message._wire = body
    message.__class__ = m.CouchState
    header.__class__ = Header
    frame.header, frame.message = header, message
    frame.__class__ = Frame
    return frame  # type: ignore[no-any-return]


_AXIS_INFO: Final = Struct("<4xIHHIBiiIIIIII4x").unpack
_AXIS_INFO_TWIN: Final = twin_of(m.AxisInfo)


def _read_axis_info(body: bytes) -> Frame:
    if len(body) != 53 or crc32(body, 0x6172A8E3) != CRC_RESIDUE:
        raise why_refused(m.AxisInfo, body)
    header, message, frame = new(HEADER_TWIN), new(_AXIS_INFO_TWIN), new(FRAME_TWIN)
    (
        header.session, header.seq, header.ack, header.tx_time_us, axis, travel_min_micro, travel_max_micro,
        speed_max_micro_per_s, acceleration_max_micro_per_s2, jerk_max_micro_per_s3, resolution_micro,
        message.servo_lag_us, message.secondary_lag_us
    ) = _AXIS_INFO(body)
    if (
        axis > 5
        or travel_min_micro < -2147483647
        or travel_max_micro < -2147483647
        or speed_max_micro_per_s < 1
        or acceleration_max_micro_per_s2 < 1
        or jerk_max_micro_per_s3 < 1
        or resolution_micro < 1
    ):
        raise why_refused(m.AxisInfo, body)
    message.axis = axis
    message.travel_min_micro = travel_min_micro
    message.travel_max_micro = travel_max_micro
    message.speed_max_micro_per_s = speed_max_micro_per_s
    message.acceleration_max_micro_per_s2 = acceleration_max_micro_per_s2
    message.jerk_max_micro_per_s3 = jerk_max_micro_per_s3
    message.resolution_micro = resolution_micro
    message.__class__ = m.AxisInfo
    header.__class__ = Header
    frame.header, frame.message = header, message
    frame.__class__ = Frame
    return frame  # type: ignore[no-any-return]


_ENABLE_TOKEN: Final = Struct("<4xIHHIBII4x").unpack
_ENABLE_TOKEN_TWIN: Final = twin_of(m.EnableToken)


def _read_enable_token(body: bytes) -> Frame:
    if len(body) != 29 or crc32(body, 0x9D101C82) != CRC_RESIDUE:
        raise why_refused(m.EnableToken, body)
    header, message, frame = new(HEADER_TWIN), new(_ENABLE_TOKEN_TWIN), new(FRAME_TWIN)
    (
        header.session, header.seq, header.ack, header.tx_time_us, bar, press_count, token_counter
    ) = _ENABLE_TOKEN(body)
    if (
        press_count > 4294967294
        or token_counter > 4294967294
    ):
        raise why_refused(m.EnableToken, body)
    try:
        message.bar = _BAR_POSITION[bar]
    except KeyError:
        raise why_refused(m.EnableToken, body) from None
    message.press_count = press_count
    message.token_counter = token_counter
    message.__class__ = m.EnableToken
    header.__class__ = Header
    frame.header, frame.message = header, message
    frame.__class__ = Frame
    return frame  # type: ignore[no-any-return]


_MOVE: Final = Struct("<4xIHHIIQBHiiiiiiiiiiii4x").unpack
_MOVE_TWIN: Final = twin_of(m.Move)


def _read_move(body: bytes) -> Frame:
    if len(body) != 83 or crc32(body, 0xCC8F712F) != CRC_RESIDUE:
        raise why_refused(m.Move, body)
    header, message, frame = new(HEADER_TWIN), new(_MOVE_TWIN), new(FRAME_TWIN)
    (
        header.session, header.seq, header.ack, header.tx_time_us, command_id, message.valid_until_us,
        speed_class, speed_permille, target_micro_0, target_micro_1, target_micro_2, target_micro_3,
        target_micro_4, target_micro_5, expected_start_micro_0, expected_start_micro_1, expected_start_micro_2,
        expected_start_micro_3, expected_start_micro_4, expected_start_micro_5
    ) = _MOVE(body)
    if (
        command_id < 1
        or not 1 <= speed_permille <= 1000
        or not -400000000 <= target_micro_0 <= 400000000
        or not -400000000 <= target_micro_1 <= 400000000
        or not -400000000 <= target_micro_2 <= 400000000
        or not -400000000 <= target_micro_3 <= 400000000
        or not -400000000 <= target_micro_4 <= 400000000
        or not -400000000 <= target_micro_5 <= 400000000
        or (expected_start_micro_0 != -2147483648 and not -400000000 <= expected_start_micro_0 <= 400000000)
        or (expected_start_micro_1 != -2147483648 and not -400000000 <= expected_start_micro_1 <= 400000000)
        or (expected_start_micro_2 != -2147483648 and not -400000000 <= expected_start_micro_2 <= 400000000)
        or (expected_start_micro_3 != -2147483648 and not -400000000 <= expected_start_micro_3 <= 400000000)
        or (expected_start_micro_4 != -2147483648 and not -400000000 <= expected_start_micro_4 <= 400000000)
        or (expected_start_micro_5 != -2147483648 and not -400000000 <= expected_start_micro_5 <= 400000000)
    ):
        raise why_refused(m.Move, body)
    try:
        message.speed_class = _SPEED_CLASS[speed_class]
    except KeyError:
        raise why_refused(m.Move, body) from None
    message.command_id = command_id
    message.speed_permille = speed_permille
    message.target_micro = (
        target_micro_0,
        target_micro_1,
        target_micro_2,
        target_micro_3,
        target_micro_4,
        target_micro_5,
    )
    message.expected_start_micro = (
        None if expected_start_micro_0 == -2147483648 else expected_start_micro_0,
        None if expected_start_micro_1 == -2147483648 else expected_start_micro_1,
        None if expected_start_micro_2 == -2147483648 else expected_start_micro_2,
        None if expected_start_micro_3 == -2147483648 else expected_start_micro_3,
        None if expected_start_micro_4 == -2147483648 else expected_start_micro_4,
        None if expected_start_micro_5 == -2147483648 else expected_start_micro_5,
    )
    message.__class__ = m.Move
    header.__class__ = Header
    frame.header, frame.message = header, message
    frame.__class__ = Frame
    return frame  # type: ignore[no-any-return]


_STOP: Final = Struct("<4xIHHIB4x").unpack
_STOP_TWIN: Final = twin_of(m.Stop)


def _read_stop(body: bytes) -> Frame:
    if len(body) != 21 or crc32(body, 0xD3276B5B) != CRC_RESIDUE:
        raise why_refused(m.Stop, body)
    header, message, frame = new(HEADER_TWIN), new(_STOP_TWIN), new(FRAME_TWIN)
    (
        header.session, header.seq, header.ack, header.tx_time_us, reason
    ) = _STOP(body)
    try:
        message.reason = _STOP_REASON[reason]
    except KeyError:
        raise why_refused(m.Stop, body) from None
    message.__class__ = m.Stop
    header.__class__ = Header
    frame.header, frame.message = header, message
    frame.__class__ = Frame
    return frame  # type: ignore[no-any-return]


_CLEAR: Final = Struct("<4xIHHIIQH4x").unpack
_CLEAR_TWIN: Final = twin_of(m.Clear)


def _read_clear(body: bytes) -> Frame:
    if len(body) != 34 or crc32(body, 0xB3A5A92D) != CRC_RESIDUE:
        raise why_refused(m.Clear, body)
    header, message, frame = new(HEADER_TWIN), new(_CLEAR_TWIN), new(FRAME_TWIN)
    (
        header.session, header.seq, header.ack, header.tx_time_us, command_id, message.valid_until_us, latch
    ) = _CLEAR(body)
    if command_id < 1:
        raise why_refused(m.Clear, body)
    try:
        message.latch = _LATCH[latch]
    except KeyError:
        raise why_refused(m.Clear, body) from None
    message.command_id = command_id
    message.__class__ = m.Clear
    header.__class__ = Header
    frame.header, frame.message = header, message
    frame.__class__ = Frame
    return frame  # type: ignore[no-any-return]


_COUCH_SAFETY: Final = Struct("<4xIHHIQIBBBII24xi4x").unpack
_COUCH_SAFETY_TWIN: Final = twin_of(m.CouchSafety)


def _read_couch_safety(body: bytes) -> Frame:
    if len(body) != 71 or crc32(body, 0x5F280A7E) != CRC_RESIDUE:
        raise why_refused(m.CouchSafety, body)
    header, message, frame = new(HEADER_TWIN), new(_COUCH_SAFETY_TWIN), new(FRAME_TWIN)
    (
        header.session, header.seq, header.ack, header.tx_time_us, message.device_time_us, message.state_count,
        emergency_stop, enable_circuit, torque_feedback, touched, touch_force_mn, payload_g
    ) = _COUCH_SAFETY(body)
    try:
        message.emergency_stop = _SAFETY_CIRCUIT[emergency_stop]
        message.enable_circuit = _SAFETY_CIRCUIT[enable_circuit]
        message.torque_feedback = _TORQUE_FEEDBACK[torque_feedback]
        message.touched = _TOUCH_SENSOR[touched]
    except KeyError:
        raise why_refused(m.CouchSafety, body) from None
    message.touch_force_mn = None if touch_force_mn == 4294967295 else touch_force_mn
    message.payload_g = None if payload_g == -2147483648 else payload_g
    message._wire = body
    message.__class__ = m.CouchSafety
    header.__class__ = Header
    frame.header, frame.message = header, message
    frame.__class__ = Frame
    return frame  # type: ignore[no-any-return]


_GENERATOR_STATE: Final = Struct("<4xIHHIQIBHIHIB4x").unpack
_GENERATOR_STATE_TWIN: Final = twin_of(m.GeneratorState)


def _read_generator_state(body: bytes) -> Frame:
    if len(body) != 46 or crc32(body, 0x4CC1D1D3) != CRC_RESIDUE:
        raise why_refused(m.GeneratorState, body)
    header, message, frame = new(HEADER_TWIN), new(_GENERATOR_STATE_TWIN), new(FRAME_TWIN)
    (
        header.session, header.seq, header.ack, header.tx_time_us, message.device_time_us, message.state_count,
        phase, fault, message.exposure_id, anode_heat_permille, message.last_command_id, last_command_status
    ) = _GENERATOR_STATE(body)
    if anode_heat_permille > 2000:
        raise why_refused(m.GeneratorState, body)
    try:
        message.phase = _GENERATOR_PHASE[phase]
        message.fault = _GENERATOR_FAULT[fault]
        message.last_command_status = _COMMAND_STATUS[last_command_status]
    except KeyError:
        raise why_refused(m.GeneratorState, body) from None
    message.anode_heat_permille = anode_heat_permille
    message.__class__ = m.GeneratorState
    header.__class__ = Header
    frame.header, frame.message = header, message
    frame.__class__ = Frame
    return frame  # type: ignore[no-any-return]


_PREPARE: Final = Struct("<4xIHHIIQIIII4x").unpack
_PREPARE_TWIN: Final = twin_of(m.Prepare)


def _read_prepare(body: bytes) -> Frame:
    if len(body) != 48 or crc32(body, 0x6E45911F) != CRC_RESIDUE:
        raise why_refused(m.Prepare, body)
    header, message, frame = new(HEADER_TWIN), new(_PREPARE_TWIN), new(FRAME_TWIN)
    (
        header.session, header.seq, header.ack, header.tx_time_us, command_id, message.valid_until_us,
        exposure_id, tube_voltage_v, tube_current_ua, exposure_time_us
    ) = _PREPARE(body)
    if (
        command_id < 1
        or exposure_id < 1
        or not 40000 <= tube_voltage_v <= 150000
        or not 1000 <= tube_current_ua <= 800000
        or not 1000 <= exposure_time_us <= 2000000
    ):
        raise why_refused(m.Prepare, body)
    message.command_id = command_id
    message.exposure_id = exposure_id
    message.tube_voltage_v = tube_voltage_v
    message.tube_current_ua = tube_current_ua
    message.exposure_time_us = exposure_time_us
    message.__class__ = m.Prepare
    header.__class__ = Header
    frame.header, frame.message = header, message
    frame.__class__ = Frame
    return frame  # type: ignore[no-any-return]


_EXPOSE: Final = Struct("<4xIHHIIQI4x").unpack
_EXPOSE_TWIN: Final = twin_of(m.Expose)


def _read_expose(body: bytes) -> Frame:
    if len(body) != 36 or crc32(body, 0x803ADF8E) != CRC_RESIDUE:
        raise why_refused(m.Expose, body)
    header, message, frame = new(HEADER_TWIN), new(_EXPOSE_TWIN), new(FRAME_TWIN)
    (
        header.session, header.seq, header.ack, header.tx_time_us, command_id, message.valid_until_us,
        exposure_id
    ) = _EXPOSE(body)
    if (
        command_id < 1
        or exposure_id < 1
    ):
        raise why_refused(m.Expose, body)
    message.command_id = command_id
    message.exposure_id = exposure_id
    message.__class__ = m.Expose
    header.__class__ = Header
    frame.header, frame.message = header, message
    frame.__class__ = Frame
    return frame  # type: ignore[no-any-return]


_ABORT_EXPOSURE: Final = Struct("<4xIHHI4x").unpack
_ABORT_EXPOSURE_TWIN: Final = twin_of(m.AbortExposure)


def _read_abort_exposure(body: bytes) -> Frame:
    if len(body) != 20 or crc32(body, 0x7BC7FFB9) != CRC_RESIDUE:
        raise why_refused(m.AbortExposure, body)
    header, message, frame = new(HEADER_TWIN), new(_ABORT_EXPOSURE_TWIN), new(FRAME_TWIN)
    (
        header.session, header.seq, header.ack, header.tx_time_us
    ) = _ABORT_EXPOSURE(body)
    message.__class__ = m.AbortExposure
    header.__class__ = Header
    frame.header, frame.message = header, message
    frame.__class__ = Frame
    return frame  # type: ignore[no-any-return]


_EXPOSURE_RESULT: Final = Struct("<4xIHHIIBIIIQ4x").unpack
_EXPOSURE_RESULT_TWIN: Final = twin_of(m.ExposureResult)


def _read_exposure_result(body: bytes) -> Frame:
    if len(body) != 45 or crc32(body, 0x41FBEBDF) != CRC_RESIDUE:
        raise why_refused(m.ExposureResult, body)
    header, message, frame = new(HEADER_TWIN), new(_EXPOSURE_RESULT_TWIN), new(FRAME_TWIN)
    (
        header.session, header.seq, header.ack, header.tx_time_us, message.exposure_id, outcome,
        message.tube_voltage_v, message.tube_current_ua, message.exposure_time_us, message.started_us
    ) = _EXPOSURE_RESULT(body)
    try:
        message.outcome = _EXPOSURE_OUTCOME[outcome]
    except KeyError:
        raise why_refused(m.ExposureResult, body) from None
    message.__class__ = m.ExposureResult
    header.__class__ = Header
    frame.header, frame.message = header, message
    frame.__class__ = Frame
    return frame  # type: ignore[no-any-return]


_GENERATOR_ROOM: Final = Struct("<4xIHHIQIBi4x").unpack
_GENERATOR_ROOM_TWIN: Final = twin_of(m.GeneratorRoom)


def _read_generator_room(body: bytes) -> Frame:
    if len(body) != 37 or crc32(body, 0x723D6C37) != CRC_RESIDUE:
        raise why_refused(m.GeneratorRoom, body)
    header, message, frame = new(HEADER_TWIN), new(_GENERATOR_ROOM_TWIN), new(FRAME_TWIN)
    (
        header.session, header.seq, header.ack, header.tx_time_us, message.device_time_us, message.state_count,
        door, housing_temperature_mdeg_c
    ) = _GENERATOR_ROOM(body)
    try:
        message.door = _ROOM_DOOR[door]
    except KeyError:
        raise why_refused(m.GeneratorRoom, body) from None
    message.housing_temperature_mdeg_c = None if housing_temperature_mdeg_c == -2147483648 else housing_temperature_mdeg_c
    message.__class__ = m.GeneratorRoom
    header.__class__ = Header
    frame.header, frame.message = header, message
    frame.__class__ = Frame
    return frame  # type: ignore[no-any-return]


_PANEL_STATE: Final = Struct("<4xIHHIQIBHIIHHiIB4x").unpack
_PANEL_STATE_TWIN: Final = twin_of(m.PanelState)


def _read_panel_state(body: bytes) -> Frame:
    if len(body) != 56 or crc32(body, 0x431BE8C6) != CRC_RESIDUE:
        raise why_refused(m.PanelState, body)
    header, message, frame = new(HEADER_TWIN), new(_PANEL_STATE_TWIN), new(FRAME_TWIN)
    (
        header.session, header.seq, header.ack, header.tx_time_us, message.device_time_us, message.state_count,
        phase, fault, message.exposure_id, message.frame_id, rows, columns, temperature_mdeg_c,
        message.last_command_id, last_command_status
    ) = _PANEL_STATE(body)
    if (
        rows < 1
        or columns < 1
    ):
        raise why_refused(m.PanelState, body)
    try:
        message.phase = _PANEL_PHASE[phase]
        message.fault = _PANEL_FAULT[fault]
        message.last_command_status = _COMMAND_STATUS[last_command_status]
    except KeyError:
        raise why_refused(m.PanelState, body) from None
    message.rows = rows
    message.columns = columns
    message.temperature_mdeg_c = None if temperature_mdeg_c == -2147483648 else temperature_mdeg_c
    message.__class__ = m.PanelState
    header.__class__ = Header
    frame.header, frame.message = header, message
    frame.__class__ = Frame
    return frame  # type: ignore[no-any-return]


_ARM: Final = Struct("<4xIHHIIQII4x").unpack
_ARM_TWIN: Final = twin_of(m.Arm)


def _read_arm(body: bytes) -> Frame:
    if len(body) != 40 or crc32(body, 0x2F916A15) != CRC_RESIDUE:
        raise why_refused(m.Arm, body)
    header, message, frame = new(HEADER_TWIN), new(_ARM_TWIN), new(FRAME_TWIN)
    (
        header.session, header.seq, header.ack, header.tx_time_us, command_id, message.valid_until_us,
        exposure_id, window_us
    ) = _ARM(body)
    if (
        command_id < 1
        or exposure_id < 1
        or not 10000 <= window_us <= 60000000
    ):
        raise why_refused(m.Arm, body)
    message.command_id = command_id
    message.exposure_id = exposure_id
    message.window_us = window_us
    message.__class__ = m.Arm
    header.__class__ = Header
    frame.header, frame.message = header, message
    frame.__class__ = Frame
    return frame  # type: ignore[no-any-return]


_DISARM: Final = Struct("<4xIHHIIQ4x").unpack
_DISARM_TWIN: Final = twin_of(m.Disarm)


def _read_disarm(body: bytes) -> Frame:
    if len(body) != 32 or crc32(body, 0x37D10B41) != CRC_RESIDUE:
        raise why_refused(m.Disarm, body)
    header, message, frame = new(HEADER_TWIN), new(_DISARM_TWIN), new(FRAME_TWIN)
    (
        header.session, header.seq, header.ack, header.tx_time_us, command_id, message.valid_until_us
    ) = _DISARM(body)
    if command_id < 1:
        raise why_refused(m.Disarm, body)
    message.command_id = command_id
    message.__class__ = m.Disarm
    header.__class__ = Header
    frame.header, frame.message = header, message
    frame.__class__ = Frame
    return frame  # type: ignore[no-any-return]


_FRAME_READY: Final = Struct("<4xIHHIIIHHI4x").unpack
_FRAME_READY_TWIN: Final = twin_of(m.FrameReady)


def _read_frame_ready(body: bytes) -> Frame:
    if len(body) != 36 or crc32(body, 0x3D0B5B7F) != CRC_RESIDUE:
        raise why_refused(m.FrameReady, body)
    header, message, frame = new(HEADER_TWIN), new(_FRAME_READY_TWIN), new(FRAME_TWIN)
    (
        header.session, header.seq, header.ack, header.tx_time_us, frame_id, exposure_id, rows, columns,
        message.pixels_crc
    ) = _FRAME_READY(body)
    if (
        frame_id < 1
        or exposure_id < 1
        or rows < 1
        or columns < 1
    ):
        raise why_refused(m.FrameReady, body)
    message.frame_id = frame_id
    message.exposure_id = exposure_id
    message.rows = rows
    message.columns = columns
    message.__class__ = m.FrameReady
    header.__class__ = Header
    frame.header, frame.message = header, message
    frame.__class__ = Frame
    return frame  # type: ignore[no-any-return]


_DARK_FRAME: Final = Struct("<4xIHHIII4x").unpack
_DARK_FRAME_TWIN: Final = twin_of(m.DarkFrame)


def _read_dark_frame(body: bytes) -> Frame:
    if len(body) != 28 or crc32(body, 0xA9A95B75) != CRC_RESIDUE:
        raise why_refused(m.DarkFrame, body)
    header, message, frame = new(HEADER_TWIN), new(_DARK_FRAME_TWIN), new(FRAME_TWIN)
    (
        header.session, header.seq, header.ack, header.tx_time_us, exposure_id, residual_ppm
    ) = _DARK_FRAME(body)
    if exposure_id < 1:
        raise why_refused(m.DarkFrame, body)
    message.exposure_id = exposure_id
    message.residual_ppm = None if residual_ppm == 4294967295 else residual_ppm
    message.__class__ = m.DarkFrame
    header.__class__ = Header
    frame.header, frame.message = header, message
    frame.__class__ = Frame
    return frame  # type: ignore[no-any-return]


_READ_DARK: Final = Struct("<4xIHHIIQI4x").unpack
_READ_DARK_TWIN: Final = twin_of(m.ReadDark)


def _read_read_dark(body: bytes) -> Frame:
    if len(body) != 36 or crc32(body, 0x4DD65DB0) != CRC_RESIDUE:
        raise why_refused(m.ReadDark, body)
    header, message, frame = new(HEADER_TWIN), new(_READ_DARK_TWIN), new(FRAME_TWIN)
    (
        header.session, header.seq, header.ack, header.tx_time_us, command_id, message.valid_until_us,
        exposure_id
    ) = _READ_DARK(body)
    if (
        command_id < 1
        or exposure_id < 1
    ):
        raise why_refused(m.ReadDark, body)
    message.command_id = command_id
    message.exposure_id = exposure_id
    message.__class__ = m.ReadDark
    header.__class__ = Header
    frame.header, frame.message = header, message
    frame.__class__ = Frame
    return frame  # type: ignore[no-any-return]


_PENDANT_STATE: Final = Struct("<4xIHHIQIBII4x").unpack
_PENDANT_STATE_TWIN: Final = twin_of(m.PendantState)


def _read_pendant_state(body: bytes) -> Frame:
    if len(body) != 41 or crc32(body, 0x31DC4E8F) != CRC_RESIDUE:
        raise why_refused(m.PendantState, body)
    header, message, frame = new(HEADER_TWIN), new(_PENDANT_STATE_TWIN), new(FRAME_TWIN)
    (
        header.session, header.seq, header.ack, header.tx_time_us, message.device_time_us, message.state_count,
        bar, press_count, token_counter
    ) = _PENDANT_STATE(body)
    if (
        press_count > 4294967294
        or token_counter > 4294967294
    ):
        raise why_refused(m.PendantState, body)
    try:
        message.bar = _BAR_POSITION[bar]
    except KeyError:
        raise why_refused(m.PendantState, body) from None
    message.press_count = press_count
    message.token_counter = token_counter
    message.__class__ = m.PendantState
    header.__class__ = Header
    frame.header, frame.message = header, message
    frame.__class__ = Frame
    return frame  # type: ignore[no-any-return]


_GANTRY_STATE: Final = Struct("<4xIHHIQIBHIIBIIIIIBiiiiII4x").unpack
_GANTRY_STATE_TWIN: Final = twin_of(m.GantryState)


def _read_gantry_state(body: bytes) -> Frame:
    if len(body) != 89 or crc32(body, 0xC10321A0) != CRC_RESIDUE:
        raise why_refused(m.GantryState, body)
    header, message, frame = new(HEADER_TWIN), new(_GANTRY_STATE_TWIN), new(FRAME_TWIN)
    (
        header.session, header.seq, header.ack, header.tx_time_us, message.device_time_us, message.state_count,
        mode, latch, status, message.last_command_id, last_command_status, host_counter, client_counter,
        press_count, token_counter, token_age_us, imager_arm, primary_udeg, secondary_udeg, velocity_udeg_per_s,
        target_udeg, message.scan_id, message.trigger_count
    ) = _GANTRY_STATE(body)
    try:
        message.mode = _GANTRY_MODE[mode]
        message.latch = _GANTRY_LATCH[latch]
        message.status = _GANTRY_STATUS[status]
        message.last_command_status = _COMMAND_STATUS[last_command_status]
        message.imager_arm = _IMAGER_ARM_STATE[imager_arm]
    except KeyError:
        raise why_refused(m.GantryState, body) from None
    message.host_counter = None if host_counter == 4294967295 else host_counter
    message.client_counter = None if client_counter == 4294967295 else client_counter
    message.press_count = None if press_count == 4294967295 else press_count
    message.token_counter = None if token_counter == 4294967295 else token_counter
    message.token_age_us = None if token_age_us == 4294967295 else token_age_us
    message.primary_udeg = None if primary_udeg == -2147483648 else primary_udeg
    message.secondary_udeg = None if secondary_udeg == -2147483648 else secondary_udeg
    message.velocity_udeg_per_s = None if velocity_udeg_per_s == -2147483648 else velocity_udeg_per_s
    message.target_udeg = None if target_udeg == -2147483648 else target_udeg
    message.__class__ = m.GantryState
    header.__class__ = Header
    frame.header, frame.message = header, message
    frame.__class__ = Frame
    return frame  # type: ignore[no-any-return]


_GANTRY_INFO: Final = Struct("<4xIHHIiiIIIIIIII4x").unpack
_GANTRY_INFO_TWIN: Final = twin_of(m.GantryInfo)


def _read_gantry_info(body: bytes) -> Frame:
    if len(body) != 60 or crc32(body, 0xA1B7478D) != CRC_RESIDUE:
        raise why_refused(m.GantryInfo, body)
    header, message, frame = new(HEADER_TWIN), new(_GANTRY_INFO_TWIN), new(FRAME_TWIN)
    (
        header.session, header.seq, header.ack, header.tx_time_us, travel_min_udeg, travel_max_udeg,
        speed_max_udeg_per_s, acceleration_max_udeg_per_s2, jerk_max_udeg_per_s3, primary_resolution_udeg,
        secondary_resolution_udeg, message.servo_lag_us, message.secondary_lag_us, arm_travel_us
    ) = _GANTRY_INFO(body)
    if (
        travel_min_udeg < -2147483647
        or travel_max_udeg < -2147483647
        or speed_max_udeg_per_s < 1
        or acceleration_max_udeg_per_s2 < 1
        or jerk_max_udeg_per_s3 < 1
        or primary_resolution_udeg < 1
        or secondary_resolution_udeg < 1
        or arm_travel_us < 1
    ):
        raise why_refused(m.GantryInfo, body)
    message.travel_min_udeg = travel_min_udeg
    message.travel_max_udeg = travel_max_udeg
    message.speed_max_udeg_per_s = speed_max_udeg_per_s
    message.acceleration_max_udeg_per_s2 = acceleration_max_udeg_per_s2
    message.jerk_max_udeg_per_s3 = jerk_max_udeg_per_s3
    message.primary_resolution_udeg = primary_resolution_udeg
    message.secondary_resolution_udeg = secondary_resolution_udeg
    message.arm_travel_us = arm_travel_us
    message.__class__ = m.GantryInfo
    header.__class__ = Header
    frame.header, frame.message = header, message
    frame.__class__ = Frame
    return frame  # type: ignore[no-any-return]


_GANTRY_ENABLE_TOKEN: Final = Struct("<4xIHHIBII4x").unpack
_GANTRY_ENABLE_TOKEN_TWIN: Final = twin_of(m.GantryEnableToken)


def _read_gantry_enable_token(body: bytes) -> Frame:
    if len(body) != 29 or crc32(body, 0x7A08DD38) != CRC_RESIDUE:
        raise why_refused(m.GantryEnableToken, body)
    header, message, frame = new(HEADER_TWIN), new(_GANTRY_ENABLE_TOKEN_TWIN), new(FRAME_TWIN)
    (
        header.session, header.seq, header.ack, header.tx_time_us, bar, press_count, token_counter
    ) = _GANTRY_ENABLE_TOKEN(body)
    if (
        press_count > 4294967294
        or token_counter > 4294967294
    ):
        raise why_refused(m.GantryEnableToken, body)
    try:
        message.bar = _BAR_POSITION[bar]
    except KeyError:
        raise why_refused(m.GantryEnableToken, body) from None
    message.press_count = press_count
    message.token_counter = token_counter
    message.__class__ = m.GantryEnableToken
    header.__class__ = Header
    frame.header, frame.message = header, message
    frame.__class__ = Frame
    return frame  # type: ignore[no-any-return]


_GANTRY_ROTATE: Final = Struct("<4xIHHIIQIii4x").unpack
_GANTRY_ROTATE_TWIN: Final = twin_of(m.GantryRotate)


def _read_gantry_rotate(body: bytes) -> Frame:
    if len(body) != 44 or crc32(body, 0x11DAEC3B) != CRC_RESIDUE:
        raise why_refused(m.GantryRotate, body)
    header, message, frame = new(HEADER_TWIN), new(_GANTRY_ROTATE_TWIN), new(FRAME_TWIN)
    (
        header.session, header.seq, header.ack, header.tx_time_us, command_id, message.valid_until_us,
        speed_udeg_per_s, target_udeg, expected_start_udeg
    ) = _GANTRY_ROTATE(body)
    if (
        command_id < 1
        or not 1 <= speed_udeg_per_s <= 7000000
        or not -400000000 <= target_udeg <= 400000000
        or (expected_start_udeg != -2147483648 and not -400000000 <= expected_start_udeg <= 400000000)
    ):
        raise why_refused(m.GantryRotate, body)
    message.command_id = command_id
    message.speed_udeg_per_s = speed_udeg_per_s
    message.target_udeg = target_udeg
    message.expected_start_udeg = None if expected_start_udeg == -2147483648 else expected_start_udeg
    message.__class__ = m.GantryRotate
    header.__class__ = Header
    frame.header, frame.message = header, message
    frame.__class__ = Frame
    return frame  # type: ignore[no-any-return]


_GANTRY_STOP: Final = Struct("<4xIHHIB4x").unpack
_GANTRY_STOP_TWIN: Final = twin_of(m.GantryStop)


def _read_gantry_stop(body: bytes) -> Frame:
    if len(body) != 21 or crc32(body, 0x8E0C6B5B) != CRC_RESIDUE:
        raise why_refused(m.GantryStop, body)
    header, message, frame = new(HEADER_TWIN), new(_GANTRY_STOP_TWIN), new(FRAME_TWIN)
    (
        header.session, header.seq, header.ack, header.tx_time_us, reason
    ) = _GANTRY_STOP(body)
    try:
        message.reason = _GANTRY_STOP_REASON[reason]
    except KeyError:
        raise why_refused(m.GantryStop, body) from None
    message.__class__ = m.GantryStop
    header.__class__ = Header
    frame.header, frame.message = header, message
    frame.__class__ = Frame
    return frame  # type: ignore[no-any-return]


_GANTRY_CLEAR: Final = Struct("<4xIHHIIQH4x").unpack
_GANTRY_CLEAR_TWIN: Final = twin_of(m.GantryClear)


def _read_gantry_clear(body: bytes) -> Frame:
    if len(body) != 34 or crc32(body, 0x6A72964D) != CRC_RESIDUE:
        raise why_refused(m.GantryClear, body)
    header, message, frame = new(HEADER_TWIN), new(_GANTRY_CLEAR_TWIN), new(FRAME_TWIN)
    (
        header.session, header.seq, header.ack, header.tx_time_us, command_id, message.valid_until_us, latch
    ) = _GANTRY_CLEAR(body)
    if command_id < 1:
        raise why_refused(m.GantryClear, body)
    try:
        message.latch = _GANTRY_LATCH[latch]
    except KeyError:
        raise why_refused(m.GantryClear, body) from None
    message.command_id = command_id
    message.__class__ = m.GantryClear
    header.__class__ = Header
    frame.header, frame.message = header, message
    frame.__class__ = Frame
    return frame  # type: ignore[no-any-return]


_IMAGER_ARM_MOVE: Final = Struct("<4xIHHIIQB4x").unpack
_IMAGER_ARM_MOVE_TWIN: Final = twin_of(m.ImagerArmMove)


def _read_imager_arm_move(body: bytes) -> Frame:
    if len(body) != 33 or crc32(body, 0xFF8C961A) != CRC_RESIDUE:
        raise why_refused(m.ImagerArmMove, body)
    header, message, frame = new(HEADER_TWIN), new(_IMAGER_ARM_MOVE_TWIN), new(FRAME_TWIN)
    (
        header.session, header.seq, header.ack, header.tx_time_us, command_id, message.valid_until_us, arm_end
    ) = _IMAGER_ARM_MOVE(body)
    if command_id < 1:
        raise why_refused(m.ImagerArmMove, body)
    try:
        message.arm_end = _IMAGER_ARM_END[arm_end]
    except KeyError:
        raise why_refused(m.ImagerArmMove, body) from None
    message.command_id = command_id
    message.__class__ = m.ImagerArmMove
    header.__class__ = Header
    frame.header, frame.message = header, message
    frame.__class__ = Frame
    return frame  # type: ignore[no-any-return]


_CONE_BEAM_ROTATE: Final = Struct("<4xIHHIIQIiiIIi4x").unpack
_CONE_BEAM_ROTATE_TWIN: Final = twin_of(m.ConeBeamRotate)


def _read_cone_beam_rotate(body: bytes) -> Frame:
    if len(body) != 56 or crc32(body, 0x291B107A) != CRC_RESIDUE:
        raise why_refused(m.ConeBeamRotate, body)
    header, message, frame = new(HEADER_TWIN), new(_CONE_BEAM_ROTATE_TWIN), new(FRAME_TWIN)
    (
        header.session, header.seq, header.ack, header.tx_time_us, command_id, message.valid_until_us, scan_id,
        from_udeg, to_udeg, speed_udeg_per_s, trigger_spacing_udeg, expected_start_udeg
    ) = _CONE_BEAM_ROTATE(body)
    if (
        command_id < 1
        or scan_id < 1
        or not -400000000 <= from_udeg <= 400000000
        or not -400000000 <= to_udeg <= 400000000
        or not 1 <= speed_udeg_per_s <= 7000000
        or not 10000 <= trigger_spacing_udeg <= 90000000
        or (expected_start_udeg != -2147483648 and not -400000000 <= expected_start_udeg <= 400000000)
    ):
        raise why_refused(m.ConeBeamRotate, body)
    message.command_id = command_id
    message.scan_id = scan_id
    message.from_udeg = from_udeg
    message.to_udeg = to_udeg
    message.speed_udeg_per_s = speed_udeg_per_s
    message.trigger_spacing_udeg = trigger_spacing_udeg
    message.expected_start_udeg = None if expected_start_udeg == -2147483648 else expected_start_udeg
    message.__class__ = m.ConeBeamRotate
    header.__class__ = Header
    frame.header, frame.message = header, message
    frame.__class__ = Frame
    return frame  # type: ignore[no-any-return]


_PROJECTION_TRIGGER: Final = Struct("<4xIHHIIIiiQ4x").unpack
_PROJECTION_TRIGGER_TWIN: Final = twin_of(m.ProjectionTrigger)


def _read_projection_trigger(body: bytes) -> Frame:
    if len(body) != 44 or crc32(body, 0xBEEE45E8) != CRC_RESIDUE:
        raise why_refused(m.ProjectionTrigger, body)
    header, message, frame = new(HEADER_TWIN), new(_PROJECTION_TRIGGER_TWIN), new(FRAME_TWIN)
    (
        header.session, header.seq, header.ack, header.tx_time_us, scan_id, trigger_index, primary_udeg,
        secondary_udeg, message.device_time_us
    ) = _PROJECTION_TRIGGER(body)
    if (
        scan_id < 1
        or trigger_index > 80000
    ):
        raise why_refused(m.ProjectionTrigger, body)
    message.scan_id = scan_id
    message.trigger_index = trigger_index
    message.primary_udeg = None if primary_udeg == -2147483648 else primary_udeg
    message.secondary_udeg = None if secondary_udeg == -2147483648 else secondary_udeg
    message.__class__ = m.ProjectionTrigger
    header.__class__ = Header
    frame.header, frame.message = header, message
    frame.__class__ = Frame
    return frame  # type: ignore[no-any-return]


READERS: Final[dict[bytes, Callable[[bytes], Frame]]] = {
    b"\x0e\x01\x00\x00": _read_hello,
    b"\x44\x02\x00\x00": _read_hello_ack,
    b"\x01\x03\x00\x00": _read_session_ended,
    b"\x08\x04\x00\x00": _read_heartbeat,
    b"\x08\x05\x00\x00": _read_time_request,
    b"\x18\x06\x00\x00": _read_time_reply,
    b"\x12\x07\x00\x00": _read_command_event,
    b"\x8d\x01\x01\x00": _read_couch_state,
    b"\x21\x02\x01\x00": _read_axis_info,
    b"\x09\x03\x01\x00": _read_enable_token,
    b"\x3f\x04\x01\x00": _read_move,
    b"\x01\x05\x01\x00": _read_stop,
    b"\x0e\x06\x01\x00": _read_clear,
    b"\x33\x07\x01\x00": _read_couch_safety,
    b"\x1a\x01\x02\x00": _read_generator_state,
    b"\x1c\x02\x02\x00": _read_prepare,
    b"\x10\x03\x02\x00": _read_expose,
    b"\x00\x04\x02\x00": _read_abort_exposure,
    b"\x19\x05\x02\x00": _read_exposure_result,
    b"\x11\x06\x02\x00": _read_generator_room,
    b"\x24\x01\x03\x00": _read_panel_state,
    b"\x14\x02\x03\x00": _read_arm,
    b"\x0c\x03\x03\x00": _read_disarm,
    b"\x10\x04\x03\x00": _read_frame_ready,
    b"\x08\x05\x03\x00": _read_dark_frame,
    b"\x10\x06\x03\x00": _read_read_dark,
    b"\x15\x01\x04\x00": _read_pendant_state,
    b"\x45\x01\x05\x00": _read_gantry_state,
    b"\x28\x02\x05\x00": _read_gantry_info,
    b"\x09\x03\x05\x00": _read_gantry_enable_token,
    b"\x18\x04\x05\x00": _read_gantry_rotate,
    b"\x01\x05\x05\x00": _read_gantry_stop,
    b"\x0e\x06\x05\x00": _read_gantry_clear,
    b"\x0d\x07\x05\x00": _read_imager_arm_move,
    b"\x24\x08\x05\x00": _read_cone_beam_rotate,
    b"\x18\x09\x05\x00": _read_projection_trigger,
}
"""What reads a body (header, payload, CRC), by its first four bytes: length, id and no flags."""
