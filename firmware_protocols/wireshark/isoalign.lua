-- Wireshark dissector of the isoalign firmware protocol, version 1.3.
--
-- Generated from the definitions in firmware_protocols by generate.py; do not edit.
--
-- Use: copy it into the personal Lua plugins folder, or  tshark -X lua_script:isoalign.lua -r capture.pcapng
-- Ports: Preferences, Protocols, ISOALIGN and ISOALIGN_IMAGE; they begin with those of the example room.

local BULK_RECORD_MAX_BYTES = 1048576
local NOT_AVAILABLE = { i32 = -2147483648, u32 = 4294967295 }

local ENUMS = {
    DeviceKind = {
        flags = false,
        names = { [1] = "COUCH", [2] = "GENERATOR", [3] = "PANEL", [4] = "PENDANT", [5] = "GANTRY" },
        order = { 1, 2, 3, 4, 5 },
    },
    BarPosition = {
        flags = false,
        names = { [0] = "RELEASED", [1] = "ENABLED", [2] = "SQUEEZED" },
        order = { 0, 1, 2 },
    },
    SessionVerdict = {
        flags = false,
        names = { [0] = "FULL", [1] = "READ_ONLY_VERSION", [2] = "READ_ONLY_DICTIONARY" },
        order = { 0, 1, 2 },
    },
    SessionEnd = {
        flags = false,
        names = { [1] = "HEARTBEAT_EXPIRED", [2] = "UNKNOWN_SESSION", [3] = "REPLACED", [4] = "RESTARTED" },
        order = { 1, 2, 3, 4 },
    },
    Capability = {
        flags = true,
        names = { [1] = "MOTION", [2] = "SECONDARY_ENCODERS", [4] = "IMAGES", [8] = "XRAY", [16] = "ENABLE_TOKEN" },
        order = { 1, 2, 4, 8, 16 },
    },
    CommandStatus = {
        flags = false,
        names = { [0] = "NONE", [1] = "ACCEPTED", [2] = "REJECTED", [3] = "STARTED", [4] = "DONE", [5] = "ABORTED" },
        order = { 0, 1, 2, 3, 4, 5 },
    },
    CommandReason = {
        flags = false,
        names = { [0] = "NONE", [1] = "EXPIRED", [2] = "VALIDITY_TOO_LONG", [3] = "STALE_COMMAND", [4] = "READ_ONLY_SESSION", [5] = "LATCHED", [6] = "NOT_ENABLED", [7] = "NEW_PRESS_NEEDED", [8] = "CLIENT_NOT_FRESH", [9] = "NOT_REFERENCED", [10] = "OUT_OF_TRAVEL", [11] = "START_MISMATCH", [12] = "BUSY", [13] = "NOTHING_TO_CLEAR", [14] = "WRONG_LATCH", [15] = "STILL_MOVING", [16] = "WRONG_PHASE", [17] = "WRONG_EXPOSURE", [18] = "TUBE_HOT", [19] = "STOPPED", [20] = "ABORT_COMMAND", [21] = "DEVICE_FAULT" },
        order = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21 },
    },
    CouchMode = {
        flags = false,
        names = { [0] = "NOT_READY_TO_SWITCH_ON", [1] = "SWITCH_ON_DISABLED", [2] = "READY_TO_SWITCH_ON", [3] = "SWITCHED_ON", [4] = "OPERATION_ENABLED", [5] = "QUICK_STOP_ACTIVE", [6] = "FAULT_REACTION_ACTIVE", [7] = "FAULT" },
        order = { 0, 1, 2, 3, 4, 5, 6, 7 },
    },
    SpeedClass = {
        flags = false,
        names = { [1] = "SERVICE", [2] = "NORMAL", [3] = "FAST" },
        order = { 1, 2, 3 },
    },
    StopReason = {
        flags = false,
        names = { [1] = "HOLD", [2] = "INTERLOCK", [3] = "CLIENT_GONE", [4] = "SHUTDOWN" },
        order = { 1, 2, 3, 4 },
    },
    CouchStatus = {
        flags = true,
        names = { [1] = "STANDSTILL", [2] = "BRAKES_ENGAGED", [4] = "REFERENCED", [8] = "HOST_FRESH", [16] = "CLIENT_FRESH", [32] = "TOKEN_FRESH", [64] = "PRESS_VALID" },
        order = { 1, 2, 4, 8, 16, 32, 64 },
    },
    SafetyCircuit = {
        flags = false,
        names = { [0] = "UNKNOWN", [1] = "CLOSED", [2] = "OPEN" },
        order = { 0, 1, 2 },
    },
    TorqueFeedback = {
        flags = false,
        names = { [0] = "UNKNOWN", [1] = "TORQUE_ON", [2] = "TORQUE_OFF", [3] = "CONTRADICTORY" },
        order = { 0, 1, 2, 3 },
    },
    TouchSensor = {
        flags = true,
        names = { [1] = "TABLE_TOP", [2] = "BASE" },
        order = { 1, 2 },
    },
    Latch = {
        flags = false,
        names = { [0] = "NONE", [1] = "STOP_COMMAND", [2] = "HOST_LOST", [3] = "CLIENT_LOST", [4] = "ENABLE_LOST", [5] = "SESSION_REPLACED", [6] = "FOLLOWING_ERROR", [7] = "ENCODER_INVALID", [8] = "EMERGENCY_STOP", [9] = "TORQUE_FEEDBACK", [10] = "ENABLE_CIRCUIT", [11] = "TOUCH", [12] = "OVER_TEMPERATURE" },
        order = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 },
    },
    GeneratorPhase = {
        flags = false,
        names = { [0] = "IDLE", [1] = "PREPARING", [2] = "READY", [3] = "EXPOSING" },
        order = { 0, 1, 2, 3 },
    },
    ExposureOutcome = {
        flags = false,
        names = { [0] = "COMPLETE", [1] = "ABORTED", [2] = "FAILED" },
        order = { 0, 1, 2 },
    },
    RoomDoor = {
        flags = false,
        names = { [0] = "UNKNOWN", [1] = "CLOSED", [2] = "OPEN" },
        order = { 0, 1, 2 },
    },
    GeneratorFault = {
        flags = false,
        names = { [0] = "NONE", [1] = "NO_READY", [2] = "EXPOSURE_FAILED", [3] = "DOOR_OPEN" },
        order = { 0, 1, 2, 3 },
    },
    PanelPhase = {
        flags = false,
        names = { [0] = "IDLE", [1] = "ARMED", [2] = "INTEGRATING", [3] = "READING" },
        order = { 0, 1, 2, 3 },
    },
    PanelFault = {
        flags = false,
        names = { [0] = "NONE", [1] = "NO_EXPOSURE", [2] = "READOUT_FAILED", [3] = "TOO_HOT" },
        order = { 0, 1, 2, 3 },
    },
    GantryMode = {
        flags = false,
        names = { [0] = "NOT_READY_TO_SWITCH_ON", [1] = "SWITCH_ON_DISABLED", [2] = "READY_TO_SWITCH_ON", [3] = "SWITCHED_ON", [4] = "OPERATION_ENABLED", [5] = "QUICK_STOP_ACTIVE", [6] = "FAULT_REACTION_ACTIVE", [7] = "FAULT" },
        order = { 0, 1, 2, 3, 4, 5, 6, 7 },
    },
    GantryStopReason = {
        flags = false,
        names = { [1] = "HOLD", [2] = "INTERLOCK", [3] = "CLIENT_GONE", [4] = "SHUTDOWN" },
        order = { 1, 2, 3, 4 },
    },
    GantryStatus = {
        flags = true,
        names = { [1] = "STANDSTILL", [2] = "BRAKES_ENGAGED", [4] = "REFERENCED", [8] = "HOST_FRESH", [16] = "CLIENT_FRESH", [32] = "TOKEN_FRESH", [64] = "PRESS_VALID" },
        order = { 1, 2, 4, 8, 16, 32, 64 },
    },
    ImagerArmState = {
        flags = false,
        names = { [0] = "UNKNOWN", [1] = "STOWED", [2] = "MOVING", [3] = "EXTENDED" },
        order = { 0, 1, 2, 3 },
    },
    ImagerArmEnd = {
        flags = false,
        names = { [1] = "STOWED", [3] = "EXTENDED" },
        order = { 1, 3 },
    },
    GantryLatch = {
        flags = false,
        names = { [0] = "NONE", [1] = "STOP_COMMAND", [2] = "HOST_LOST", [3] = "CLIENT_LOST", [4] = "ENABLE_LOST", [5] = "SESSION_REPLACED", [6] = "FOLLOWING_ERROR", [7] = "ENCODER_INVALID", [8] = "ENCODERS_DISAGREE", [9] = "ARM_FAILED" },
        order = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 },
    },
}

local MESSAGES = {
    [0x0001] = {
        name = "HELLO", seed = 0x8EA3A305, bytes = 14,
        bulk = false, data = false,
        fields = {
            { name = "protocol_major", type = "u8", count = 1, units = {  }, min = 0, max = 255 },
            { name = "protocol_minor", type = "u8", count = 1, units = {  }, min = 0, max = 255 },
            { name = "dictionary_hash", type = "u64", count = 1, units = {  } },
            { name = "host_nonce", type = "u32", count = 1, units = {  }, min = 0, max = 4294967295 },
        },
    },
    [0x0002] = {
        name = "HELLO_ACK", seed = 0x2186BF00, bytes = 68,
        bulk = false, data = false,
        fields = {
            { name = "protocol_major", type = "u8", count = 1, units = {  }, min = 0, max = 255 },
            { name = "protocol_minor", type = "u8", count = 1, units = {  }, min = 0, max = 255 },
            { name = "dictionary_hash", type = "u64", count = 1, units = {  } },
            { name = "host_nonce", type = "u32", count = 1, units = {  }, min = 0, max = 4294967295 },
            { name = "verdict", type = "u8", count = 1, units = {  }, enum = "SessionVerdict" },
            { name = "device_kind", type = "u8", count = 1, units = {  }, enum = "DeviceKind" },
            { name = "capabilities", type = "u32", count = 1, units = {  }, enum = "Capability" },
            { name = "device_time_us", type = "u64", count = 1, units = { "µs" } },
            { name = "heartbeat_expiry_us", type = "u32", count = 1, units = { "µs" }, min = 1000, max = 10000000 },
            { name = "state_period_us", type = "u32", count = 1, units = { "µs" }, min = 1000, max = 10000000 },
            { name = "firmware_build", type = "text", count = 16, units = {  } },
            { name = "serial_number", type = "text", count = 16, units = {  } },
        },
    },
    [0x0003] = {
        name = "SESSION_ENDED", seed = 0x461CC847, bytes = 1,
        bulk = false, data = false,
        fields = {
            { name = "reason", type = "u8", count = 1, units = {  }, enum = "SessionEnd" },
        },
    },
    [0x0004] = {
        name = "HEARTBEAT", seed = 0xD289B11B, bytes = 8,
        bulk = false, data = false,
        fields = {
            { name = "host_counter", type = "u32", count = 1, units = {  }, min = 0, max = 4294967295 },
            { name = "client_counter", type = "u32", count = 1, units = {  }, min = 0, max = 4294967294, nullable = true },
        },
    },
    [0x0005] = {
        name = "TIME_REQUEST", seed = 0xCC33E95B, bytes = 8,
        bulk = false, data = false,
        fields = {
            { name = "host_send_us", type = "u64", count = 1, units = { "µs" } },
        },
    },
    [0x0006] = {
        name = "TIME_REPLY", seed = 0x8E173901, bytes = 24,
        bulk = false, data = false,
        fields = {
            { name = "host_send_us", type = "u64", count = 1, units = { "µs" } },
            { name = "device_receive_us", type = "u64", count = 1, units = { "µs" } },
            { name = "device_send_us", type = "u64", count = 1, units = { "µs" } },
        },
    },
    [0x0007] = {
        name = "COMMAND_EVENT", seed = 0x98122463, bytes = 18,
        bulk = false, data = false,
        fields = {
            { name = "command_id", type = "u32", count = 1, units = {  }, min = 0, max = 4294967295 },
            { name = "status", type = "u8", count = 1, units = {  }, enum = "CommandStatus" },
            { name = "reason", type = "u8", count = 1, units = {  }, enum = "CommandReason" },
            { name = "detail", type = "u32", count = 1, units = {  }, min = 0, max = 4294967295 },
            { name = "device_time_us", type = "u64", count = 1, units = { "µs" } },
        },
    },
    [0x0101] = {
        name = "COUCH_STATE", seed = 0x5114C22E, bytes = 141,
        bulk = false, data = false,
        fields = {
            { name = "device_time_us", type = "u64", count = 1, units = { "µs" } },
            { name = "state_count", type = "u32", count = 1, units = {  }, min = 0, max = 4294967295 },
            { name = "mode", type = "u8", count = 1, units = {  }, enum = "CouchMode" },
            { name = "latch", type = "u16", count = 1, units = {  }, enum = "Latch" },
            { name = "status", type = "u32", count = 1, units = {  }, enum = "CouchStatus" },
            { name = "last_command_id", type = "u32", count = 1, units = {  }, min = 0, max = 4294967295 },
            { name = "last_command_status", type = "u8", count = 1, units = {  }, enum = "CommandStatus" },
            { name = "host_counter", type = "u32", count = 1, units = {  }, min = 0, max = 4294967294, nullable = true },
            { name = "client_counter", type = "u32", count = 1, units = {  }, min = 0, max = 4294967294, nullable = true },
            { name = "press_count", type = "u32", count = 1, units = {  }, min = 0, max = 4294967294, nullable = true },
            { name = "token_counter", type = "u32", count = 1, units = {  }, min = 0, max = 4294967294, nullable = true },
            { name = "token_age_us", type = "u32", count = 1, units = { "µs" }, min = 0, max = 4294967294, nullable = true },
            { name = "following_error_axis", type = "u8", count = 1, units = {  }, min = 0, max = 6 },
            { name = "primary_micro", type = "i32", count = 6, units = { "µm", "µdeg" }, min = -2147483647, max = 2147483647, nullable = true },
            { name = "secondary_micro", type = "i32", count = 6, units = { "µm", "µdeg" }, min = -2147483647, max = 2147483647, nullable = true },
            { name = "velocity_micro_per_s", type = "i32", count = 6, units = { "µm/s", "µdeg/s" }, min = -2147483647, max = 2147483647, nullable = true },
            { name = "target_micro", type = "i32", count = 6, units = { "µm", "µdeg" }, min = -2147483647, max = 2147483647, nullable = true },
        },
    },
    [0x0102] = {
        name = "AXIS_INFO", seed = 0x6172A8E3, bytes = 33,
        bulk = false, data = false,
        fields = {
            { name = "axis", type = "u8", count = 1, units = {  }, min = 0, max = 5 },
            { name = "travel_min_micro", type = "i32", count = 1, units = { "µm", "µdeg" }, min = -2147483647, max = 2147483647 },
            { name = "travel_max_micro", type = "i32", count = 1, units = { "µm", "µdeg" }, min = -2147483647, max = 2147483647 },
            { name = "speed_max_micro_per_s", type = "u32", count = 1, units = { "µm/s", "µdeg/s" }, min = 1, max = 4294967295 },
            { name = "acceleration_max_micro_per_s2", type = "u32", count = 1, units = { "µm/s²", "µdeg/s²" }, min = 1, max = 4294967295 },
            { name = "jerk_max_micro_per_s3", type = "u32", count = 1, units = { "µm/s³", "µdeg/s³" }, min = 1, max = 4294967295 },
            { name = "resolution_micro", type = "u32", count = 1, units = { "µm", "µdeg" }, min = 1, max = 4294967295 },
            { name = "servo_lag_us", type = "u32", count = 1, units = { "µs" }, min = 0, max = 4294967295 },
            { name = "secondary_lag_us", type = "u32", count = 1, units = { "µs" }, min = 0, max = 4294967295 },
        },
    },
    [0x0103] = {
        name = "ENABLE_TOKEN", seed = 0x9D101C82, bytes = 9,
        bulk = false, data = false,
        fields = {
            { name = "bar", type = "u8", count = 1, units = {  }, enum = "BarPosition" },
            { name = "press_count", type = "u32", count = 1, units = {  }, min = 0, max = 4294967294 },
            { name = "token_counter", type = "u32", count = 1, units = {  }, min = 0, max = 4294967294 },
        },
    },
    [0x0104] = {
        name = "MOVE", seed = 0xCC8F712F, bytes = 63,
        bulk = false, data = false,
        fields = {
            { name = "command_id", type = "u32", count = 1, units = {  }, min = 1, max = 4294967295 },
            { name = "valid_until_us", type = "u64", count = 1, units = { "µs" } },
            { name = "speed_class", type = "u8", count = 1, units = {  }, enum = "SpeedClass" },
            { name = "speed_permille", type = "u16", count = 1, units = { "1/1000" }, min = 1, max = 1000 },
            { name = "target_micro", type = "i32", count = 6, units = { "µm", "µdeg" }, min = -400000000, max = 400000000 },
            { name = "expected_start_micro", type = "i32", count = 6, units = { "µm", "µdeg" }, min = -400000000, max = 400000000, nullable = true },
        },
    },
    [0x0105] = {
        name = "STOP", seed = 0xD3276B5B, bytes = 1,
        bulk = false, data = false,
        fields = {
            { name = "reason", type = "u8", count = 1, units = {  }, enum = "StopReason" },
        },
    },
    [0x0106] = {
        name = "CLEAR", seed = 0xB3A5A92D, bytes = 14,
        bulk = false, data = false,
        fields = {
            { name = "command_id", type = "u32", count = 1, units = {  }, min = 1, max = 4294967295 },
            { name = "valid_until_us", type = "u64", count = 1, units = { "µs" } },
            { name = "latch", type = "u16", count = 1, units = {  }, enum = "Latch" },
        },
    },
    [0x0107] = {
        name = "COUCH_SAFETY", seed = 0x5F280A7E, bytes = 51,
        bulk = false, data = false,
        fields = {
            { name = "device_time_us", type = "u64", count = 1, units = { "µs" } },
            { name = "state_count", type = "u32", count = 1, units = {  }, min = 0, max = 4294967295 },
            { name = "emergency_stop", type = "u8", count = 1, units = {  }, enum = "SafetyCircuit" },
            { name = "enable_circuit", type = "u8", count = 1, units = {  }, enum = "SafetyCircuit" },
            { name = "torque_feedback", type = "u8", count = 1, units = {  }, enum = "TorqueFeedback" },
            { name = "touched", type = "u32", count = 1, units = {  }, enum = "TouchSensor" },
            { name = "touch_force_mn", type = "u32", count = 1, units = { "mN" }, min = 0, max = 4294967294, nullable = true },
            { name = "drive_temperature_mdeg_c", type = "i32", count = 6, units = { "m°C" }, min = -2147483647, max = 2147483647, nullable = true },
            { name = "payload_g", type = "i32", count = 1, units = { "g" }, min = -2147483647, max = 2147483647, nullable = true },
        },
    },
    [0x0201] = {
        name = "GENERATOR_STATE", seed = 0x4CC1D1D3, bytes = 26,
        bulk = false, data = false,
        fields = {
            { name = "device_time_us", type = "u64", count = 1, units = { "µs" } },
            { name = "state_count", type = "u32", count = 1, units = {  }, min = 0, max = 4294967295 },
            { name = "phase", type = "u8", count = 1, units = {  }, enum = "GeneratorPhase" },
            { name = "fault", type = "u16", count = 1, units = {  }, enum = "GeneratorFault" },
            { name = "exposure_id", type = "u32", count = 1, units = {  }, min = 0, max = 4294967295 },
            { name = "anode_heat_permille", type = "u16", count = 1, units = { "1/1000" }, min = 0, max = 2000 },
            { name = "last_command_id", type = "u32", count = 1, units = {  }, min = 0, max = 4294967295 },
            { name = "last_command_status", type = "u8", count = 1, units = {  }, enum = "CommandStatus" },
        },
    },
    [0x0202] = {
        name = "PREPARE", seed = 0x6E45911F, bytes = 28,
        bulk = false, data = false,
        fields = {
            { name = "command_id", type = "u32", count = 1, units = {  }, min = 1, max = 4294967295 },
            { name = "valid_until_us", type = "u64", count = 1, units = { "µs" } },
            { name = "exposure_id", type = "u32", count = 1, units = {  }, min = 1, max = 4294967295 },
            { name = "tube_voltage_v", type = "u32", count = 1, units = { "V" }, min = 40000, max = 150000 },
            { name = "tube_current_ua", type = "u32", count = 1, units = { "µA" }, min = 1000, max = 800000 },
            { name = "exposure_time_us", type = "u32", count = 1, units = { "µs" }, min = 1000, max = 2000000 },
        },
    },
    [0x0203] = {
        name = "EXPOSE", seed = 0x803ADF8E, bytes = 16,
        bulk = false, data = false,
        fields = {
            { name = "command_id", type = "u32", count = 1, units = {  }, min = 1, max = 4294967295 },
            { name = "valid_until_us", type = "u64", count = 1, units = { "µs" } },
            { name = "exposure_id", type = "u32", count = 1, units = {  }, min = 1, max = 4294967295 },
        },
    },
    [0x0204] = {
        name = "ABORT_EXPOSURE", seed = 0x7BC7FFB9, bytes = 0,
        bulk = false, data = false,
        fields = {
        },
    },
    [0x0205] = {
        name = "EXPOSURE_RESULT", seed = 0x41FBEBDF, bytes = 25,
        bulk = false, data = false,
        fields = {
            { name = "exposure_id", type = "u32", count = 1, units = {  }, min = 0, max = 4294967295 },
            { name = "outcome", type = "u8", count = 1, units = {  }, enum = "ExposureOutcome" },
            { name = "tube_voltage_v", type = "u32", count = 1, units = { "V" }, min = 0, max = 4294967295 },
            { name = "tube_current_ua", type = "u32", count = 1, units = { "µA" }, min = 0, max = 4294967295 },
            { name = "exposure_time_us", type = "u32", count = 1, units = { "µs" }, min = 0, max = 4294967295 },
            { name = "started_us", type = "u64", count = 1, units = { "µs" } },
        },
    },
    [0x0206] = {
        name = "GENERATOR_ROOM", seed = 0x723D6C37, bytes = 17,
        bulk = false, data = false,
        fields = {
            { name = "device_time_us", type = "u64", count = 1, units = { "µs" } },
            { name = "state_count", type = "u32", count = 1, units = {  }, min = 0, max = 4294967295 },
            { name = "door", type = "u8", count = 1, units = {  }, enum = "RoomDoor" },
            { name = "housing_temperature_mdeg_c", type = "i32", count = 1, units = { "m°C" }, min = -2147483647, max = 2147483647, nullable = true },
        },
    },
    [0x0301] = {
        name = "PANEL_STATE", seed = 0x431BE8C6, bytes = 36,
        bulk = false, data = false,
        fields = {
            { name = "device_time_us", type = "u64", count = 1, units = { "µs" } },
            { name = "state_count", type = "u32", count = 1, units = {  }, min = 0, max = 4294967295 },
            { name = "phase", type = "u8", count = 1, units = {  }, enum = "PanelPhase" },
            { name = "fault", type = "u16", count = 1, units = {  }, enum = "PanelFault" },
            { name = "exposure_id", type = "u32", count = 1, units = {  }, min = 0, max = 4294967295 },
            { name = "frame_id", type = "u32", count = 1, units = {  }, min = 0, max = 4294967295 },
            { name = "rows", type = "u16", count = 1, units = {  }, min = 1, max = 65535 },
            { name = "columns", type = "u16", count = 1, units = {  }, min = 1, max = 65535 },
            { name = "temperature_mdeg_c", type = "i32", count = 1, units = { "m°C" }, min = -2147483647, max = 2147483647, nullable = true },
            { name = "last_command_id", type = "u32", count = 1, units = {  }, min = 0, max = 4294967295 },
            { name = "last_command_status", type = "u8", count = 1, units = {  }, enum = "CommandStatus" },
        },
    },
    [0x0302] = {
        name = "ARM", seed = 0x2F916A15, bytes = 20,
        bulk = false, data = false,
        fields = {
            { name = "command_id", type = "u32", count = 1, units = {  }, min = 1, max = 4294967295 },
            { name = "valid_until_us", type = "u64", count = 1, units = { "µs" } },
            { name = "exposure_id", type = "u32", count = 1, units = {  }, min = 1, max = 4294967295 },
            { name = "window_us", type = "u32", count = 1, units = { "µs" }, min = 10000, max = 60000000 },
        },
    },
    [0x0303] = {
        name = "DISARM", seed = 0x37D10B41, bytes = 12,
        bulk = false, data = false,
        fields = {
            { name = "command_id", type = "u32", count = 1, units = {  }, min = 1, max = 4294967295 },
            { name = "valid_until_us", type = "u64", count = 1, units = { "µs" } },
        },
    },
    [0x0304] = {
        name = "FRAME_READY", seed = 0x3D0B5B7F, bytes = 16,
        bulk = false, data = false,
        fields = {
            { name = "frame_id", type = "u32", count = 1, units = {  }, min = 1, max = 4294967295 },
            { name = "exposure_id", type = "u32", count = 1, units = {  }, min = 1, max = 4294967295 },
            { name = "rows", type = "u16", count = 1, units = {  }, min = 1, max = 65535 },
            { name = "columns", type = "u16", count = 1, units = {  }, min = 1, max = 65535 },
            { name = "pixels_crc", type = "u32", count = 1, units = {  }, min = 0, max = 4294967295 },
        },
    },
    [0x0305] = {
        name = "DARK_FRAME", seed = 0xA9A95B75, bytes = 8,
        bulk = false, data = false,
        fields = {
            { name = "exposure_id", type = "u32", count = 1, units = {  }, min = 1, max = 4294967295 },
            { name = "residual_ppm", type = "u32", count = 1, units = {  }, min = 0, max = 4294967294, nullable = true },
        },
    },
    [0x0306] = {
        name = "READ_DARK", seed = 0x4DD65DB0, bytes = 16,
        bulk = false, data = false,
        fields = {
            { name = "command_id", type = "u32", count = 1, units = {  }, min = 1, max = 4294967295 },
            { name = "valid_until_us", type = "u64", count = 1, units = { "µs" } },
            { name = "exposure_id", type = "u32", count = 1, units = {  }, min = 1, max = 4294967295 },
        },
    },
    [0x0381] = {
        name = "IMAGE_CHUNK", seed = 0x37F1DA61, bytes = 16,
        bulk = true, data = true,
        fields = {
            { name = "frame_id", type = "u32", count = 1, units = {  }, min = 1, max = 4294967295 },
            { name = "exposure_id", type = "u32", count = 1, units = {  }, min = 1, max = 4294967295 },
            { name = "rows", type = "u16", count = 1, units = {  }, min = 1, max = 65535 },
            { name = "columns", type = "u16", count = 1, units = {  }, min = 1, max = 65535 },
            { name = "first_row", type = "u16", count = 1, units = {  }, min = 0, max = 65535 },
            { name = "row_count", type = "u16", count = 1, units = {  }, min = 1, max = 65535 },
            { name = "pixels", type = "data", count = 0, units = { "counts" } },
        },
    },
    [0x0382] = {
        name = "IMAGE_END", seed = 0xE57DEE94, bytes = 16,
        bulk = true, data = false,
        fields = {
            { name = "frame_id", type = "u32", count = 1, units = {  }, min = 1, max = 4294967295 },
            { name = "exposure_id", type = "u32", count = 1, units = {  }, min = 1, max = 4294967295 },
            { name = "rows", type = "u16", count = 1, units = {  }, min = 1, max = 65535 },
            { name = "columns", type = "u16", count = 1, units = {  }, min = 1, max = 65535 },
            { name = "pixels_crc", type = "u32", count = 1, units = {  }, min = 0, max = 4294967295 },
        },
    },
    [0x0383] = {
        name = "IMAGE_RESEND", seed = 0x7AB55BA4, bytes = 8,
        bulk = true, data = false,
        fields = {
            { name = "frame_id", type = "u32", count = 1, units = {  }, min = 1, max = 4294967295 },
            { name = "first_row", type = "u16", count = 1, units = {  }, min = 0, max = 65535 },
            { name = "row_count", type = "u16", count = 1, units = {  }, min = 1, max = 65535 },
        },
    },
    [0x0384] = {
        name = "IMAGE_RELEASE", seed = 0x472D92BC, bytes = 4,
        bulk = true, data = false,
        fields = {
            { name = "frame_id", type = "u32", count = 1, units = {  }, min = 1, max = 4294967295 },
        },
    },
    [0x0401] = {
        name = "PENDANT_STATE", seed = 0x31DC4E8F, bytes = 21,
        bulk = false, data = false,
        fields = {
            { name = "device_time_us", type = "u64", count = 1, units = { "µs" } },
            { name = "state_count", type = "u32", count = 1, units = {  }, min = 0, max = 4294967295 },
            { name = "bar", type = "u8", count = 1, units = {  }, enum = "BarPosition" },
            { name = "press_count", type = "u32", count = 1, units = {  }, min = 0, max = 4294967294 },
            { name = "token_counter", type = "u32", count = 1, units = {  }, min = 0, max = 4294967294 },
        },
    },
    [0x0501] = {
        name = "GANTRY_STATE", seed = 0xC10321A0, bytes = 69,
        bulk = false, data = false,
        fields = {
            { name = "device_time_us", type = "u64", count = 1, units = { "µs" } },
            { name = "state_count", type = "u32", count = 1, units = {  }, min = 0, max = 4294967295 },
            { name = "mode", type = "u8", count = 1, units = {  }, enum = "GantryMode" },
            { name = "latch", type = "u16", count = 1, units = {  }, enum = "GantryLatch" },
            { name = "status", type = "u32", count = 1, units = {  }, enum = "GantryStatus" },
            { name = "last_command_id", type = "u32", count = 1, units = {  }, min = 0, max = 4294967295 },
            { name = "last_command_status", type = "u8", count = 1, units = {  }, enum = "CommandStatus" },
            { name = "host_counter", type = "u32", count = 1, units = {  }, min = 0, max = 4294967294, nullable = true },
            { name = "client_counter", type = "u32", count = 1, units = {  }, min = 0, max = 4294967294, nullable = true },
            { name = "press_count", type = "u32", count = 1, units = {  }, min = 0, max = 4294967294, nullable = true },
            { name = "token_counter", type = "u32", count = 1, units = {  }, min = 0, max = 4294967294, nullable = true },
            { name = "token_age_us", type = "u32", count = 1, units = { "µs" }, min = 0, max = 4294967294, nullable = true },
            { name = "imager_arm", type = "u8", count = 1, units = {  }, enum = "ImagerArmState" },
            { name = "primary_udeg", type = "i32", count = 1, units = { "µdeg" }, min = -2147483647, max = 2147483647, nullable = true },
            { name = "secondary_udeg", type = "i32", count = 1, units = { "µdeg" }, min = -2147483647, max = 2147483647, nullable = true },
            { name = "velocity_udeg_per_s", type = "i32", count = 1, units = { "µdeg/s" }, min = -2147483647, max = 2147483647, nullable = true },
            { name = "target_udeg", type = "i32", count = 1, units = { "µdeg" }, min = -2147483647, max = 2147483647, nullable = true },
            { name = "scan_id", type = "u32", count = 1, units = {  }, min = 0, max = 4294967295 },
            { name = "trigger_count", type = "u32", count = 1, units = {  }, min = 0, max = 4294967295 },
        },
    },
    [0x0502] = {
        name = "GANTRY_INFO", seed = 0xA1B7478D, bytes = 40,
        bulk = false, data = false,
        fields = {
            { name = "travel_min_udeg", type = "i32", count = 1, units = { "µdeg" }, min = -2147483647, max = 2147483647 },
            { name = "travel_max_udeg", type = "i32", count = 1, units = { "µdeg" }, min = -2147483647, max = 2147483647 },
            { name = "speed_max_udeg_per_s", type = "u32", count = 1, units = { "µdeg/s" }, min = 1, max = 4294967295 },
            { name = "acceleration_max_udeg_per_s2", type = "u32", count = 1, units = { "µdeg/s²" }, min = 1, max = 4294967295 },
            { name = "jerk_max_udeg_per_s3", type = "u32", count = 1, units = { "µdeg/s³" }, min = 1, max = 4294967295 },
            { name = "primary_resolution_udeg", type = "u32", count = 1, units = { "µdeg" }, min = 1, max = 4294967295 },
            { name = "secondary_resolution_udeg", type = "u32", count = 1, units = { "µdeg" }, min = 1, max = 4294967295 },
            { name = "servo_lag_us", type = "u32", count = 1, units = { "µs" }, min = 0, max = 4294967295 },
            { name = "secondary_lag_us", type = "u32", count = 1, units = { "µs" }, min = 0, max = 4294967295 },
            { name = "arm_travel_us", type = "u32", count = 1, units = { "µs" }, min = 1, max = 4294967295 },
        },
    },
    [0x0503] = {
        name = "GANTRY_ENABLE_TOKEN", seed = 0x7A08DD38, bytes = 9,
        bulk = false, data = false,
        fields = {
            { name = "bar", type = "u8", count = 1, units = {  }, enum = "BarPosition" },
            { name = "press_count", type = "u32", count = 1, units = {  }, min = 0, max = 4294967294 },
            { name = "token_counter", type = "u32", count = 1, units = {  }, min = 0, max = 4294967294 },
        },
    },
    [0x0504] = {
        name = "GANTRY_ROTATE", seed = 0x11DAEC3B, bytes = 24,
        bulk = false, data = false,
        fields = {
            { name = "command_id", type = "u32", count = 1, units = {  }, min = 1, max = 4294967295 },
            { name = "valid_until_us", type = "u64", count = 1, units = { "µs" } },
            { name = "speed_udeg_per_s", type = "u32", count = 1, units = { "µdeg/s" }, min = 1, max = 7000000 },
            { name = "target_udeg", type = "i32", count = 1, units = { "µdeg" }, min = -400000000, max = 400000000 },
            { name = "expected_start_udeg", type = "i32", count = 1, units = { "µdeg" }, min = -400000000, max = 400000000, nullable = true },
        },
    },
    [0x0505] = {
        name = "GANTRY_STOP", seed = 0x8E0C6B5B, bytes = 1,
        bulk = false, data = false,
        fields = {
            { name = "reason", type = "u8", count = 1, units = {  }, enum = "GantryStopReason" },
        },
    },
    [0x0506] = {
        name = "GANTRY_CLEAR", seed = 0x6A72964D, bytes = 14,
        bulk = false, data = false,
        fields = {
            { name = "command_id", type = "u32", count = 1, units = {  }, min = 1, max = 4294967295 },
            { name = "valid_until_us", type = "u64", count = 1, units = { "µs" } },
            { name = "latch", type = "u16", count = 1, units = {  }, enum = "GantryLatch" },
        },
    },
    [0x0507] = {
        name = "IMAGER_ARM_MOVE", seed = 0xFF8C961A, bytes = 13,
        bulk = false, data = false,
        fields = {
            { name = "command_id", type = "u32", count = 1, units = {  }, min = 1, max = 4294967295 },
            { name = "valid_until_us", type = "u64", count = 1, units = { "µs" } },
            { name = "arm_end", type = "u8", count = 1, units = {  }, enum = "ImagerArmEnd" },
        },
    },
    [0x0508] = {
        name = "CONE_BEAM_ROTATE", seed = 0x291B107A, bytes = 36,
        bulk = false, data = false,
        fields = {
            { name = "command_id", type = "u32", count = 1, units = {  }, min = 1, max = 4294967295 },
            { name = "valid_until_us", type = "u64", count = 1, units = { "µs" } },
            { name = "scan_id", type = "u32", count = 1, units = {  }, min = 1, max = 4294967295 },
            { name = "from_udeg", type = "i32", count = 1, units = { "µdeg" }, min = -400000000, max = 400000000 },
            { name = "to_udeg", type = "i32", count = 1, units = { "µdeg" }, min = -400000000, max = 400000000 },
            { name = "speed_udeg_per_s", type = "u32", count = 1, units = { "µdeg/s" }, min = 1, max = 7000000 },
            { name = "trigger_spacing_udeg", type = "u32", count = 1, units = { "µdeg" }, min = 10000, max = 90000000 },
            { name = "expected_start_udeg", type = "i32", count = 1, units = { "µdeg" }, min = -400000000, max = 400000000, nullable = true },
        },
    },
    [0x0509] = {
        name = "PROJECTION_TRIGGER", seed = 0xBEEE45E8, bytes = 24,
        bulk = false, data = false,
        fields = {
            { name = "scan_id", type = "u32", count = 1, units = {  }, min = 1, max = 4294967295 },
            { name = "trigger_index", type = "u32", count = 1, units = {  }, min = 0, max = 80000 },
            { name = "primary_udeg", type = "i32", count = 1, units = { "µdeg" }, min = -2147483647, max = 2147483647, nullable = true },
            { name = "secondary_udeg", type = "i32", count = 1, units = { "µdeg" }, min = -2147483647, max = 2147483647, nullable = true },
            { name = "device_time_us", type = "u64", count = 1, units = { "µs" } },
        },
    },
}

local isoalign = Proto("isoalign", "isoalign firmware protocol")
local image = Proto("isoalign_image", "isoalign image records")

isoalign.prefs.ports = Pref.range("TCP ports", "47010,47020,47021,47030,47031", "Control connections", 65535)
image.prefs.ports = Pref.range("TCP ports", "47022,47032", "Image connections", 65535)
image.prefs.check = Pref.bool("Check CRC", true, "Checking large images takes time")

-- ---- fields -------------------------------------------------------------------------------------------------------

local FTYPE = {
    u8 = ftypes.UINT8, u16 = ftypes.UINT16, u32 = ftypes.UINT32, u64 = ftypes.UINT64,
    i16 = ftypes.INT16, i32 = ftypes.INT32, text = ftypes.STRING, data = ftypes.BYTES,
}
local WIDTH = { u8 = 1, u16 = 2, u32 = 4, u64 = 8, i16 = 2, i32 = 4 }

local function new_fields(proto, prefix)
    local f = {
        len = ProtoField.uint32(prefix .. ".len", "Length", base.DEC),
        msg = ProtoField.uint16(prefix .. ".msg", "Message", base.HEX),
        crc = ProtoField.uint32(prefix .. ".crc", "CRC-32", base.HEX),
        crc_ok = ProtoField.bool(prefix .. ".crc_ok", "CRC is right"),
    }
    local all = { f.len, f.msg, f.crc, f.crc_ok }
    if proto == isoalign then
        f.flags = ProtoField.uint8(prefix .. ".flags", "Flags", base.HEX)
        f.session = ProtoField.uint32(prefix .. ".session", "Session", base.HEX)
        f.seq = ProtoField.uint16(prefix .. ".seq", "Sequence number", base.DEC)
        f.ack = ProtoField.uint16(prefix .. ".ack", "Acknowledged sequence number", base.DEC)
        f.tx_time = ProtoField.uint32(prefix .. ".tx_time", "Sent at, low 32 bits (µs)", base.DEC)
        for _, one in ipairs({ f.flags, f.session, f.seq, f.ack, f.tx_time }) do
            all[#all + 1] = one
        end
    end
    for _, message in pairs(MESSAGES) do
        if message.bulk == (proto == image) then
            for _, field in ipairs(message.fields) do
                local abbreviation = prefix .. "." .. message.name:lower() .. "." .. field.name
                field.proto = ProtoField.new(field.name, abbreviation, FTYPE[field.type])
                all[#all + 1] = field.proto
            end
        end
    end
    proto.fields = all
    return f
end

local frame_fields = new_fields(isoalign, "isoalign")
local record_fields = new_fields(image, "isoalign_image")

local function new_experts(proto, prefix)
    local e = {
        crc = ProtoExpert.new(prefix .. ".bad_crc", "CRC does not match", expert.group.CHECKSUM, expert.severity.ERROR),
        range = ProtoExpert.new(prefix .. ".range", "Value out of range", expert.group.PROTOCOL, expert.severity.ERROR),
        malformed = ProtoExpert.new(prefix .. ".bad", "Not valid", expert.group.MALFORMED, expert.severity.ERROR),
    }
    proto.experts = { e.crc, e.range, e.malformed }
    return e
end

local frame_experts = new_experts(isoalign, "isoalign")
local record_experts = new_experts(image, "isoalign_image")

-- ---- checksum and stuffing ----------------------------------------------------------------------------------------

local bits = bit or bit32
local crc_table = {}
for number = 0, 255 do
    local value = number
    for _ = 1, 8 do
        local odd = value % 2 == 1
        value = math.floor(value / 2)
        if odd then
            value = bits.bxor(value, 0xEDB88320) % 4294967296
        end
    end
    crc_table[number] = value
end

local function crc32(text, seed)
    local register = 4294967295 - seed
    for at = 1, #text do
        local index = bits.bxor(register % 256, text:byte(at)) % 256
        register = bits.bxor(math.floor(register / 256), crc_table[index]) % 4294967296
    end
    return 4294967295 - register
end

-- The content of the bytes between two delimiters, or nil and what is wrong.
local function unstuff(text)
    local parts, at = {}, 1
    while at <= #text do
        local code = text:byte(at)
        if at + code - 1 > #text then
            return nil, "the last run of the byte stuffing is not complete"
        end
        parts[#parts + 1] = text:sub(at + 1, at + code - 1)
        at = at + code
        if code < 255 and at <= #text then
            parts[#parts + 1] = "\0"
        end
    end
    return table.concat(parts)
end

-- ---- fields of a payload ------------------------------------------------------------------------------------------

local function flags_text(enum, value)
    local names, left = {}, value
    for _, one in ipairs(enum.order) do
        if math.floor(value / one) % 2 == 1 then
            names[#names + 1] = enum.names[one]
            left = left - one
        end
    end
    return #names > 0 and table.concat(names, " | ") or "none", left == 0
end

-- The words for a number, and whether it is allowed.
local function explain(field, value, index)
    if field.enum then
        local enum = ENUMS[field.enum]
        if enum.flags then
            local words, known = flags_text(enum, value)
            return string.format("%s (0x%X)", words, value), known
        end
        local name = enum.names[value]
        return string.format("%s (%d)", name or "undefined", value), name ~= nil
    end
    if field.nullable and value == NOT_AVAILABLE[field.type] then
        return "not available", true
    end
    local unit = field.units[#field.units] or ""
    if #field.units > 1 and index < field.count / 2 then
        unit = field.units[1]
    end
    local known = not field.min or (value >= field.min and value <= field.max)
    return string.format("%d %s", value, unit), known
end

local function add_number(tree, field, range, index, e)
    local item = tree:add_le(field.proto, range)
    local label = field.count > 1 and string.format("%s[%d]", field.name, index) or field.name
    if field.type == "u64" then
        item:set_text(string.format("%s: %s %s", label, tostring(range:le_uint64()), field.units[1] or ""))
        return
    end
    local value = field.type:sub(1, 1) == "i" and range:le_int() or range:le_uint()
    local words, known = explain(field, value, index)
    item:set_text(label .. ": " .. words)
    if not known then
        item:add_proto_expert_info(e.range)
    end
end

local function add_fields(tree, message, tvb, at, last, e)
    for _, field in ipairs(message.fields) do
        if field.type == "data" then
            if last > at then
                tree:add(field.proto, tvb(at, last - at)):append_text(" " .. (field.units[1] or ""))
            end
            at = last
        elseif field.type == "text" then
            local raw = tvb(at, field.count):raw()
            local item = tree:add(field.proto, tvb(at, field.count))
            if raw:gsub("\0+$", ""):find("[\0\128-\255]") then
                item:add_proto_expert_info(e.range)
            end
            at = at + field.count
        else
            for index = 0, field.count - 1 do
                add_number(tree, field, tvb(at, WIDTH[field.type]), index, e)
                at = at + WIDTH[field.type]
            end
        end
    end
end

-- ---- frames -------------------------------------------------------------------------------------------------------

local function refuse(tree, range, why)
    tree:add_proto_expert_info(frame_experts.malformed, why)
    tree:append_text(": " .. why)
    return why, range
end

-- One frame between two delimiters; returns words for the list of packets.
local function dissect_frame(range, tree)
    local top = tree:add(isoalign, range, "isoalign")
    local content, why = unstuff(range:raw())
    if content and #content < 20 then
        why = "shorter than header and CRC"
    end
    if why then
        return refuse(top, range, why)
    end
    local tvb = ByteArray.new(content, true):tvb("isoalign frame")
    local length, id = content:byte(1), content:byte(2) + 256 * content:byte(3)
    local message = MESSAGES[id]
    local name = message and message.name or string.format("unknown message 0x%04X", id)
    top:set_text("isoalign " .. name)
    local f, e, payload_end = frame_fields, frame_experts, #content - 4
    local header = top:add(isoalign, tvb(0, 16), "Header")
    header:add_le(f.len, tvb(0, 1))
    header:add_le(f.msg, tvb(1, 2)):append_text(" " .. name)
    header:add_le(f.flags, tvb(3, 1))
    header:add_le(f.session, tvb(4, 4))
    header:add_le(f.seq, tvb(8, 2))
    header:add_le(f.ack, tvb(10, 2))
    header:add_le(f.tx_time, tvb(12, 4)):append_text(" µs")
    if length ~= payload_end - 16 then
        return refuse(top, range, "the length in the header is not that of the payload")
    elseif not message or message.bulk then
        return refuse(top, range, name)
    end
    local right = crc32(content:sub(1, payload_end), message.seed) == tvb(payload_end, 4):le_uint()
    if right and length == message.bytes then
        add_fields(top, message, tvb, 16, payload_end, e)
    end
    top:add_le(f.crc, tvb(payload_end, 4))
    local verdict = top:add(f.crc_ok, right)
    verdict:set_generated()
    if not right then
        verdict:add_proto_expert_info(e.crc)
        return name .. " [bad CRC]"
    elseif length ~= message.bytes then
        return refuse(top, range, string.format("%s has %d bytes, not %d", name, message.bytes, length))
    elseif content:byte(4) ~= 0 then
        return refuse(top, range, "reserved flags are set")
    end
    return name
end

function isoalign.dissector(tvb, pinfo, tree)
    pinfo.cols.protocol = "isoalign"
    local raw, at, seen = tvb:raw(), 1, {}
    while at <= #raw do
        local stop = raw:find("\0", at, true)
        if not stop then
            pinfo.desegment_offset = at - 1
            pinfo.desegment_len = DESEGMENT_ONE_MORE_SEGMENT
            break
        end
        if stop > at then
            seen[#seen + 1] = dissect_frame(tvb(at - 1, stop - at), tree)
        end
        at = stop + 1
    end
    if #seen > 0 then
        pinfo.cols.info = table.concat(seen, ", ")
    end
    return tvb:len()
end

-- ---- image records ------------------------------------------------------------------------------------------------

local function dissect_record(tvb, pinfo, tree)
    pinfo.cols.protocol = "isoalign image"
    local top = tree:add(image, tvb(), "isoalign image record")
    local f, e, last = record_fields, record_experts, tvb:len() - 4
    top:add_le(f.len, tvb(0, 4))
    if last < 6 or tvb(0, 4):le_uint() ~= tvb:len() - 4 then
        top:add_proto_expert_info(e.malformed)
        return tvb:len()
    end
    local id = tvb(4, 2):le_uint()
    local message = MESSAGES[id]
    if not message or not message.bulk then
        top:add_le(f.msg, tvb(4, 2)):add_proto_expert_info(e.malformed)
        return tvb:len()
    end
    top:set_text("isoalign " .. message.name)
    top:add_le(f.msg, tvb(4, 2)):append_text(" " .. message.name)
    pinfo.cols.info = message.name
    local content = last - 6
    if content < message.bytes or (content > message.bytes and not message.data) then
        top:add_proto_expert_info(e.malformed)
        return tvb:len()
    end
    add_fields(top, message, tvb, 6, last, e)
    top:add_le(f.crc, tvb(last, 4))
    if image.prefs.check then
        local right = crc32(tvb:raw(4, last - 4), message.seed) == tvb(last, 4):le_uint()
        local verdict = top:add(f.crc_ok, right)
        verdict:set_generated()
        if not right then
            verdict:add_proto_expert_info(e.crc)
        end
    end
    return tvb:len()
end

local function record_length(tvb, _, offset)
    local length = tvb(offset, 4):le_uint()
    if length > BULK_RECORD_MAX_BYTES then
        return tvb:len() - offset -- the stream is lost
    end
    return 4 + length
end

function image.dissector(tvb, _, tree)
    dissect_tcp_pdus(tvb, tree, 4, record_length, dissect_record)
    return tvb:len()
end

-- ---- ports --------------------------------------------------------------------------------------------------------

local tcp = DissectorTable.get("tcp.port")
local function follow_preferences(proto)
    local now = proto.prefs.ports
    tcp:add(now, proto)
    function proto.prefs_changed()
        if now ~= proto.prefs.ports then
            tcp:remove(now, proto)
            now = proto.prefs.ports
            tcp:add(now, proto)
        end
    end
end
follow_preferences(isoalign)
follow_preferences(image)
