/* Firmware protocol 1.3: ids, limits, enumerations, structures, byte-wise packing, framing.
 *
 * Generated from the definitions in this folder by generate.py; do not edit. INTERFACE.md says what everything means.
 * C11, no allocation, no dependency but the standard headers below. Structures are host-side; the wire format is made
 * byte by byte, so that neither padding nor byte order of the processor matters. isoalign_frame_decode checks framing,
 * checksum and size; isoalign_payload_valid (or isoalign_NAME_valid of a structure) checks ranges and enumerations:
 * act on nothing that has not passed both.
 */
#ifndef ISOALIGN_PROTOCOL_H
#define ISOALIGN_PROTOCOL_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define ISOALIGN_PROTOCOL_MAJOR 1
#define ISOALIGN_PROTOCOL_MINOR 3
#define ISOALIGN_HEADER_BYTES 16
#define ISOALIGN_PAYLOAD_MAX_BYTES 230
#define ISOALIGN_CRC_BYTES 4
#define ISOALIGN_FRAME_MAX_BYTES (ISOALIGN_HEADER_BYTES + ISOALIGN_PAYLOAD_MAX_BYTES + ISOALIGN_CRC_BYTES + 1)
#define ISOALIGN_I32_NOT_AVAILABLE INT32_MIN
#define ISOALIGN_U32_NOT_AVAILABLE UINT32_MAX

static_assert(ISOALIGN_FRAME_MAX_BYTES <= 254, "byte stuffing must add exactly one byte");

#define ISOALIGN_HEARTBEAT_PERIOD_US 50000U
#define ISOALIGN_TOKEN_PERIOD_US 50000U
#define ISOALIGN_CLIENT_EXPIRY_US 250000U
#define ISOALIGN_TOKEN_EXPIRY_US 150000U
#define ISOALIGN_COMMAND_RETRY_US 100000U
#define ISOALIGN_COMMAND_VALIDITY_MAX_US 5000000U
#define ISOALIGN_HELLO_RETRY_US 200000U
#define ISOALIGN_TIME_EXCHANGE_PERIOD_US 500000U
#define ISOALIGN_COMMAND_RETRIES 2U
#define ISOALIGN_STOP_REPETITIONS 3U
#define ISOALIGN_COUCH_HEARTBEAT_EXPIRY_US 150000U
#define ISOALIGN_COUCH_STATE_PERIOD_US 20000U
#define ISOALIGN_COUCH_SAFETY_PERIOD_US 40000U
#define ISOALIGN_START_TOLERANCE_UM 100U
#define ISOALIGN_START_TOLERANCE_UDEG 100000U
#define ISOALIGN_GENERATOR_HEARTBEAT_EXPIRY_US 500000U
#define ISOALIGN_GENERATOR_STATE_PERIOD_US 50000U
#define ISOALIGN_GENERATOR_ROOM_PERIOD_US 50000U
#define ISOALIGN_READY_HOLD_US 10000000U
#define ISOALIGN_PANEL_HEARTBEAT_EXPIRY_US 500000U
#define ISOALIGN_PANEL_STATE_PERIOD_US 50000U
#define ISOALIGN_BULK_RECORD_MAX_BYTES 1048576U
#define ISOALIGN_PENDANT_HEARTBEAT_EXPIRY_US 500000U
#define ISOALIGN_PENDANT_STATE_PERIOD_US 50000U
#define ISOALIGN_GANTRY_HEARTBEAT_EXPIRY_US 150000U
#define ISOALIGN_GANTRY_STATE_PERIOD_US 20000U
#define ISOALIGN_GANTRY_START_TOLERANCE_UDEG 100000U
#define ISOALIGN_GANTRY_ENCODER_DIFFERENCE_UDEG 200000U
#define ISOALIGN_DICTIONARY_COUCH 0xA53036014655C173ULL
#define ISOALIGN_DICTIONARY_GENERATOR 0x5267459C4FE2DE43ULL
#define ISOALIGN_DICTIONARY_PANEL 0xE91C765EF59B042EULL
#define ISOALIGN_DICTIONARY_PENDANT 0x568EFD3EF263D3C0ULL
#define ISOALIGN_DICTIONARY_GANTRY 0xA3C03E745F216CFDULL

/* What a device is. */
enum {
    ISOALIGN_DEVICE_KIND_COUCH = 1,
    ISOALIGN_DEVICE_KIND_GENERATOR = 2,
    ISOALIGN_DEVICE_KIND_PANEL = 3,
    ISOALIGN_DEVICE_KIND_PENDANT = 4,
    ISOALIGN_DEVICE_KIND_GANTRY = 5,
};

static inline int isoalign_device_kind_known(uint32_t value)
{
    switch (value) {
    case 1:
    case 2:
    case 3:
    case 4:
    case 5:
        return 1;
    default:
        return 0;
    }
}

/* Position of the three-position enabling switch. */
enum {
    ISOALIGN_BAR_POSITION_RELEASED = 0,
    ISOALIGN_BAR_POSITION_ENABLED = 1,
    ISOALIGN_BAR_POSITION_SQUEEZED = 2,
};

static inline int isoalign_bar_position_known(uint32_t value)
{
    switch (value) {
    case 0:
    case 1:
    case 2:
        return 1;
    default:
        return 0;
    }
}

/* What a session may do. */
enum {
    ISOALIGN_SESSION_VERDICT_FULL = 0,
    ISOALIGN_SESSION_VERDICT_READ_ONLY_VERSION = 1,
    ISOALIGN_SESSION_VERDICT_READ_ONLY_DICTIONARY = 2,
};

static inline int isoalign_session_verdict_known(uint32_t value)
{
    switch (value) {
    case 0:
    case 1:
    case 2:
        return 1;
    default:
        return 0;
    }
}

/* Why a device ended a session. */
enum {
    ISOALIGN_SESSION_END_HEARTBEAT_EXPIRED = 1,
    ISOALIGN_SESSION_END_UNKNOWN_SESSION = 2,
    ISOALIGN_SESSION_END_REPLACED = 3,
    ISOALIGN_SESSION_END_RESTARTED = 4,
};

static inline int isoalign_session_end_known(uint32_t value)
{
    switch (value) {
    case 1:
    case 2:
    case 3:
    case 4:
        return 1;
    default:
        return 0;
    }
}

/* What a device offers. */
enum {
    ISOALIGN_CAPABILITY_MOTION = 1,
    ISOALIGN_CAPABILITY_SECONDARY_ENCODERS = 2,
    ISOALIGN_CAPABILITY_IMAGES = 4,
    ISOALIGN_CAPABILITY_XRAY = 8,
    ISOALIGN_CAPABILITY_ENABLE_TOKEN = 16,
};

static inline int isoalign_capability_known(uint32_t value)
{
    return (value & ~0x1FU) == 0U;
}

/* How far a command has come. */
enum {
    ISOALIGN_COMMAND_STATUS_NONE = 0,
    ISOALIGN_COMMAND_STATUS_ACCEPTED = 1,
    ISOALIGN_COMMAND_STATUS_REJECTED = 2,
    ISOALIGN_COMMAND_STATUS_STARTED = 3,
    ISOALIGN_COMMAND_STATUS_DONE = 4,
    ISOALIGN_COMMAND_STATUS_ABORTED = 5,
};

static inline int isoalign_command_status_known(uint32_t value)
{
    switch (value) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4:
    case 5:
        return 1;
    default:
        return 0;
    }
}

/* Why a command was refused or ended early. */
enum {
    ISOALIGN_COMMAND_REASON_NONE = 0,
    ISOALIGN_COMMAND_REASON_EXPIRED = 1,
    ISOALIGN_COMMAND_REASON_VALIDITY_TOO_LONG = 2,
    ISOALIGN_COMMAND_REASON_STALE_COMMAND = 3,
    ISOALIGN_COMMAND_REASON_READ_ONLY_SESSION = 4,
    ISOALIGN_COMMAND_REASON_LATCHED = 5,
    ISOALIGN_COMMAND_REASON_NOT_ENABLED = 6,
    ISOALIGN_COMMAND_REASON_NEW_PRESS_NEEDED = 7,
    ISOALIGN_COMMAND_REASON_CLIENT_NOT_FRESH = 8,
    ISOALIGN_COMMAND_REASON_NOT_REFERENCED = 9,
    ISOALIGN_COMMAND_REASON_OUT_OF_TRAVEL = 10,
    ISOALIGN_COMMAND_REASON_START_MISMATCH = 11,
    ISOALIGN_COMMAND_REASON_BUSY = 12,
    ISOALIGN_COMMAND_REASON_NOTHING_TO_CLEAR = 13,
    ISOALIGN_COMMAND_REASON_WRONG_LATCH = 14,
    ISOALIGN_COMMAND_REASON_STILL_MOVING = 15,
    ISOALIGN_COMMAND_REASON_WRONG_PHASE = 16,
    ISOALIGN_COMMAND_REASON_WRONG_EXPOSURE = 17,
    ISOALIGN_COMMAND_REASON_TUBE_HOT = 18,
    ISOALIGN_COMMAND_REASON_STOPPED = 19,
    ISOALIGN_COMMAND_REASON_ABORT_COMMAND = 20,
    ISOALIGN_COMMAND_REASON_DEVICE_FAULT = 21,
};

static inline int isoalign_command_reason_known(uint32_t value)
{
    switch (value) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4:
    case 5:
    case 6:
    case 7:
    case 8:
    case 9:
    case 10:
    case 11:
    case 12:
    case 13:
    case 14:
    case 15:
    case 16:
    case 17:
    case 18:
    case 19:
    case 20:
    case 21:
        return 1;
    default:
        return 0;
    }
}

/* State of the drives, by the names of CiA 402. */
enum {
    ISOALIGN_COUCH_MODE_NOT_READY_TO_SWITCH_ON = 0,
    ISOALIGN_COUCH_MODE_SWITCH_ON_DISABLED = 1,
    ISOALIGN_COUCH_MODE_READY_TO_SWITCH_ON = 2,
    ISOALIGN_COUCH_MODE_SWITCHED_ON = 3,
    ISOALIGN_COUCH_MODE_OPERATION_ENABLED = 4,
    ISOALIGN_COUCH_MODE_QUICK_STOP_ACTIVE = 5,
    ISOALIGN_COUCH_MODE_FAULT_REACTION_ACTIVE = 6,
    ISOALIGN_COUCH_MODE_FAULT = 7,
};

static inline int isoalign_couch_mode_known(uint32_t value)
{
    switch (value) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4:
    case 5:
    case 6:
    case 7:
        return 1;
    default:
        return 0;
    }
}

/* Upper limit of speed. */
enum {
    ISOALIGN_SPEED_CLASS_SERVICE = 1,
    ISOALIGN_SPEED_CLASS_NORMAL = 2,
    ISOALIGN_SPEED_CLASS_FAST = 3,
};

static inline int isoalign_speed_class_known(uint32_t value)
{
    switch (value) {
    case 1:
    case 2:
    case 3:
        return 1;
    default:
        return 0;
    }
}

/* Why the host stops the couch. */
enum {
    ISOALIGN_STOP_REASON_HOLD = 1,
    ISOALIGN_STOP_REASON_INTERLOCK = 2,
    ISOALIGN_STOP_REASON_CLIENT_GONE = 3,
    ISOALIGN_STOP_REASON_SHUTDOWN = 4,
};

static inline int isoalign_stop_reason_known(uint32_t value)
{
    switch (value) {
    case 1:
    case 2:
    case 3:
    case 4:
        return 1;
    default:
        return 0;
    }
}

/* Conditions of the couch. */
enum {
    ISOALIGN_COUCH_STATUS_STANDSTILL = 1,
    ISOALIGN_COUCH_STATUS_BRAKES_ENGAGED = 2,
    ISOALIGN_COUCH_STATUS_REFERENCED = 4,
    ISOALIGN_COUCH_STATUS_HOST_FRESH = 8,
    ISOALIGN_COUCH_STATUS_CLIENT_FRESH = 16,
    ISOALIGN_COUCH_STATUS_TOKEN_FRESH = 32,
    ISOALIGN_COUCH_STATUS_PRESS_VALID = 64,
};

static inline int isoalign_couch_status_known(uint32_t value)
{
    return (value & ~0x7FU) == 0U;
}

/* State of a hard-wired circuit as the couch sees it. */
enum {
    ISOALIGN_SAFETY_CIRCUIT_UNKNOWN = 0,
    ISOALIGN_SAFETY_CIRCUIT_CLOSED = 1,
    ISOALIGN_SAFETY_CIRCUIT_OPEN = 2,
};

static inline int isoalign_safety_circuit_known(uint32_t value)
{
    switch (value) {
    case 0:
    case 1:
    case 2:
        return 1;
    default:
        return 0;
    }
}

/* What the drives report about their torque, in two channels (STO feedback). */
enum {
    ISOALIGN_TORQUE_FEEDBACK_UNKNOWN = 0,
    ISOALIGN_TORQUE_FEEDBACK_TORQUE_ON = 1,
    ISOALIGN_TORQUE_FEEDBACK_TORQUE_OFF = 2,
    ISOALIGN_TORQUE_FEEDBACK_CONTRADICTORY = 3,
};

static inline int isoalign_torque_feedback_known(uint32_t value)
{
    switch (value) {
    case 0:
    case 1:
    case 2:
    case 3:
        return 1;
    default:
        return 0;
    }
}

/* Touch and collision sensors that are pressed. */
enum {
    ISOALIGN_TOUCH_SENSOR_TABLE_TOP = 1,
    ISOALIGN_TOUCH_SENSOR_BASE = 2,
};

static inline int isoalign_touch_sensor_known(uint32_t value)
{
    return (value & ~0x3U) == 0U;
}

/* What stopped the couch. The first stop is latched until CLEAR names it. */
enum {
    ISOALIGN_LATCH_NONE = 0,
    ISOALIGN_LATCH_STOP_COMMAND = 1,
    ISOALIGN_LATCH_HOST_LOST = 2,
    ISOALIGN_LATCH_CLIENT_LOST = 3,
    ISOALIGN_LATCH_ENABLE_LOST = 4,
    ISOALIGN_LATCH_SESSION_REPLACED = 5,
    ISOALIGN_LATCH_FOLLOWING_ERROR = 6,
    ISOALIGN_LATCH_ENCODER_INVALID = 7,
    ISOALIGN_LATCH_EMERGENCY_STOP = 8,
    ISOALIGN_LATCH_TORQUE_FEEDBACK = 9,
    ISOALIGN_LATCH_ENABLE_CIRCUIT = 10,
    ISOALIGN_LATCH_TOUCH = 11,
    ISOALIGN_LATCH_OVER_TEMPERATURE = 12,
};

static inline int isoalign_latch_known(uint32_t value)
{
    switch (value) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4:
    case 5:
    case 6:
    case 7:
    case 8:
    case 9:
    case 10:
    case 11:
    case 12:
        return 1;
    default:
        return 0;
    }
}

/* What the generator does. */
enum {
    ISOALIGN_GENERATOR_PHASE_IDLE = 0,
    ISOALIGN_GENERATOR_PHASE_PREPARING = 1,
    ISOALIGN_GENERATOR_PHASE_READY = 2,
    ISOALIGN_GENERATOR_PHASE_EXPOSING = 3,
};

static inline int isoalign_generator_phase_known(uint32_t value)
{
    switch (value) {
    case 0:
    case 1:
    case 2:
    case 3:
        return 1;
    default:
        return 0;
    }
}

/* How an exposure ended. */
enum {
    ISOALIGN_EXPOSURE_OUTCOME_COMPLETE = 0,
    ISOALIGN_EXPOSURE_OUTCOME_ABORTED = 1,
    ISOALIGN_EXPOSURE_OUTCOME_FAILED = 2,
};

static inline int isoalign_exposure_outcome_known(uint32_t value)
{
    switch (value) {
    case 0:
    case 1:
    case 2:
        return 1;
    default:
        return 0;
    }
}

/* Door interlock of the X-ray room as the generator sees it. */
enum {
    ISOALIGN_ROOM_DOOR_UNKNOWN = 0,
    ISOALIGN_ROOM_DOOR_CLOSED = 1,
    ISOALIGN_ROOM_DOOR_OPEN = 2,
};

static inline int isoalign_room_door_known(uint32_t value)
{
    switch (value) {
    case 0:
    case 1:
    case 2:
        return 1;
    default:
        return 0;
    }
}

/* What is wrong with the generator. */
enum {
    ISOALIGN_GENERATOR_FAULT_NONE = 0,
    ISOALIGN_GENERATOR_FAULT_NO_READY = 1,
    ISOALIGN_GENERATOR_FAULT_EXPOSURE_FAILED = 2,
    ISOALIGN_GENERATOR_FAULT_DOOR_OPEN = 3,
};

static inline int isoalign_generator_fault_known(uint32_t value)
{
    switch (value) {
    case 0:
    case 1:
    case 2:
    case 3:
        return 1;
    default:
        return 0;
    }
}

/* What the panel does. */
enum {
    ISOALIGN_PANEL_PHASE_IDLE = 0,
    ISOALIGN_PANEL_PHASE_ARMED = 1,
    ISOALIGN_PANEL_PHASE_INTEGRATING = 2,
    ISOALIGN_PANEL_PHASE_READING = 3,
};

static inline int isoalign_panel_phase_known(uint32_t value)
{
    switch (value) {
    case 0:
    case 1:
    case 2:
    case 3:
        return 1;
    default:
        return 0;
    }
}

/* What is wrong with the panel. */
enum {
    ISOALIGN_PANEL_FAULT_NONE = 0,
    ISOALIGN_PANEL_FAULT_NO_EXPOSURE = 1,
    ISOALIGN_PANEL_FAULT_READOUT_FAILED = 2,
    ISOALIGN_PANEL_FAULT_TOO_HOT = 3,
};

static inline int isoalign_panel_fault_known(uint32_t value)
{
    switch (value) {
    case 0:
    case 1:
    case 2:
    case 3:
        return 1;
    default:
        return 0;
    }
}

/* State of the gantry drive, by the names of CiA 402. */
enum {
    ISOALIGN_GANTRY_MODE_NOT_READY_TO_SWITCH_ON = 0,
    ISOALIGN_GANTRY_MODE_SWITCH_ON_DISABLED = 1,
    ISOALIGN_GANTRY_MODE_READY_TO_SWITCH_ON = 2,
    ISOALIGN_GANTRY_MODE_SWITCHED_ON = 3,
    ISOALIGN_GANTRY_MODE_OPERATION_ENABLED = 4,
    ISOALIGN_GANTRY_MODE_QUICK_STOP_ACTIVE = 5,
    ISOALIGN_GANTRY_MODE_FAULT_REACTION_ACTIVE = 6,
    ISOALIGN_GANTRY_MODE_FAULT = 7,
};

static inline int isoalign_gantry_mode_known(uint32_t value)
{
    switch (value) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4:
    case 5:
    case 6:
    case 7:
        return 1;
    default:
        return 0;
    }
}

/* Why the host stops the gantry. */
enum {
    ISOALIGN_GANTRY_STOP_REASON_HOLD = 1,
    ISOALIGN_GANTRY_STOP_REASON_INTERLOCK = 2,
    ISOALIGN_GANTRY_STOP_REASON_CLIENT_GONE = 3,
    ISOALIGN_GANTRY_STOP_REASON_SHUTDOWN = 4,
};

static inline int isoalign_gantry_stop_reason_known(uint32_t value)
{
    switch (value) {
    case 1:
    case 2:
    case 3:
    case 4:
        return 1;
    default:
        return 0;
    }
}

/* Conditions of the gantry. */
enum {
    ISOALIGN_GANTRY_STATUS_STANDSTILL = 1,
    ISOALIGN_GANTRY_STATUS_BRAKES_ENGAGED = 2,
    ISOALIGN_GANTRY_STATUS_REFERENCED = 4,
    ISOALIGN_GANTRY_STATUS_HOST_FRESH = 8,
    ISOALIGN_GANTRY_STATUS_CLIENT_FRESH = 16,
    ISOALIGN_GANTRY_STATUS_TOKEN_FRESH = 32,
    ISOALIGN_GANTRY_STATUS_PRESS_VALID = 64,
};

static inline int isoalign_gantry_status_known(uint32_t value)
{
    return (value & ~0x7FU) == 0U;
}

/* Where the imager arm is. */
enum {
    ISOALIGN_IMAGER_ARM_STATE_UNKNOWN = 0,
    ISOALIGN_IMAGER_ARM_STATE_STOWED = 1,
    ISOALIGN_IMAGER_ARM_STATE_MOVING = 2,
    ISOALIGN_IMAGER_ARM_STATE_EXTENDED = 3,
};

static inline int isoalign_imager_arm_state_known(uint32_t value)
{
    switch (value) {
    case 0:
    case 1:
    case 2:
    case 3:
        return 1;
    default:
        return 0;
    }
}

/* An end of the imager arm's way; the numbers are those of ImagerArmState. */
enum {
    ISOALIGN_IMAGER_ARM_END_STOWED = 1,
    ISOALIGN_IMAGER_ARM_END_EXTENDED = 3,
};

static inline int isoalign_imager_arm_end_known(uint32_t value)
{
    switch (value) {
    case 1:
    case 3:
        return 1;
    default:
        return 0;
    }
}

/* What stopped the gantry. The first stop is latched until GANTRY_CLEAR names it. */
enum {
    ISOALIGN_GANTRY_LATCH_NONE = 0,
    ISOALIGN_GANTRY_LATCH_STOP_COMMAND = 1,
    ISOALIGN_GANTRY_LATCH_HOST_LOST = 2,
    ISOALIGN_GANTRY_LATCH_CLIENT_LOST = 3,
    ISOALIGN_GANTRY_LATCH_ENABLE_LOST = 4,
    ISOALIGN_GANTRY_LATCH_SESSION_REPLACED = 5,
    ISOALIGN_GANTRY_LATCH_FOLLOWING_ERROR = 6,
    ISOALIGN_GANTRY_LATCH_ENCODER_INVALID = 7,
    ISOALIGN_GANTRY_LATCH_ENCODERS_DISAGREE = 8,
    ISOALIGN_GANTRY_LATCH_ARM_FAILED = 9,
};

static inline int isoalign_gantry_latch_known(uint32_t value)
{
    switch (value) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4:
    case 5:
    case 6:
    case 7:
    case 8:
    case 9:
        return 1;
    default:
        return 0;
    }
}

static inline void isoalign_put(uint8_t *at, uint64_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        at[i] = (uint8_t)(value >> (8U * i));
    }
}

static inline uint64_t isoalign_get(const uint8_t *at, size_t bytes)
{
    uint64_t value = 0;
    for (size_t i = 0; i < bytes; i++) {
        value |= (uint64_t)at[i] << (8U * i);
    }
    return value;
}

static inline int32_t isoalign_i32(uint64_t raw)
{
    const uint32_t bits = (uint32_t)raw;
    return bits <= (uint32_t)INT32_MAX ? (int32_t)bits : (int32_t)(-1 - (int32_t)(UINT32_MAX - bits));
}

static inline int16_t isoalign_i16(uint64_t raw)
{
    const uint16_t bits = (uint16_t)raw;
    return bits <= (uint16_t)INT16_MAX ? (int16_t)bits : (int16_t)(-1 - (int16_t)(UINT16_MAX - bits));
}

static inline uint32_t isoalign_crc32(const uint8_t *data, size_t bytes, uint32_t seed)
{
    uint32_t crc = ~seed;
    for (size_t i = 0; i < bytes; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = (crc >> 1) ^ ((crc & 1U) != 0U ? 0xEDB88320U : 0U);
        }
    }
    return ~crc;
}

static inline size_t strnlen_isoalign(const char *text, size_t most)
{
    size_t length = 0;
    while (length < most && text[length] != '\0') {
        length++;
    }
    return length;
}

static inline int isoalign_text_valid(const char *text, size_t most)
{
    const size_t length = strnlen_isoalign(text, most);
    for (size_t i = 0; i < most; i++) {
        if ((unsigned char)text[i] > 127U || (i > length && text[i] != '\0')) {
            return 0;
        }
    }
    return 1;
}

#define ISOALIGN_HELLO_ID 0x0001U
#define ISOALIGN_HELLO_SEED 0x8EA3A305U
#define ISOALIGN_HELLO_BYTES 14
#define ISOALIGN_HELLO_PROTOCOL_MAJOR_MIN (0)
#define ISOALIGN_HELLO_PROTOCOL_MAJOR_MAX (255)
#define ISOALIGN_HELLO_PROTOCOL_MINOR_MIN (0)
#define ISOALIGN_HELLO_PROTOCOL_MINOR_MAX (255)
#define ISOALIGN_HELLO_DICTIONARY_HASH_MIN (0ULL)
#define ISOALIGN_HELLO_DICTIONARY_HASH_MAX (18446744073709551615ULL)
#define ISOALIGN_HELLO_HOST_NONCE_MIN (0U)
#define ISOALIGN_HELLO_HOST_NONCE_MAX (4294967295U)

typedef struct {
    uint8_t protocol_major;
    uint8_t protocol_minor;
    uint64_t dictionary_hash;
    uint32_t host_nonce;
} isoalign_hello_t;

static_assert(ISOALIGN_HELLO_BYTES == 1 + 1 + 8 + 4, "HELLO");

static inline void isoalign_hello_put(uint8_t *at, const isoalign_hello_t *m)
{
    isoalign_put(at + 0, m->protocol_major, 1);
    isoalign_put(at + 1, m->protocol_minor, 1);
    isoalign_put(at + 2, m->dictionary_hash, 8);
    isoalign_put(at + 10, m->host_nonce, 4);
}

static inline void isoalign_hello_get(isoalign_hello_t *m, const uint8_t *at)
{
    m->protocol_major = (uint8_t)(isoalign_get(at + 0, 1));
    m->protocol_minor = (uint8_t)(isoalign_get(at + 1, 1));
    m->dictionary_hash = (uint64_t)(isoalign_get(at + 2, 8));
    m->host_nonce = (uint32_t)(isoalign_get(at + 10, 4));
}

static inline int isoalign_hello_valid(const isoalign_hello_t *m)
{
    (void)m;
    return 1;
}

#define ISOALIGN_HELLO_ACK_ID 0x0002U
#define ISOALIGN_HELLO_ACK_SEED 0x2186BF00U
#define ISOALIGN_HELLO_ACK_BYTES 68
#define ISOALIGN_HELLO_ACK_PROTOCOL_MAJOR_MIN (0)
#define ISOALIGN_HELLO_ACK_PROTOCOL_MAJOR_MAX (255)
#define ISOALIGN_HELLO_ACK_PROTOCOL_MINOR_MIN (0)
#define ISOALIGN_HELLO_ACK_PROTOCOL_MINOR_MAX (255)
#define ISOALIGN_HELLO_ACK_DICTIONARY_HASH_MIN (0ULL)
#define ISOALIGN_HELLO_ACK_DICTIONARY_HASH_MAX (18446744073709551615ULL)
#define ISOALIGN_HELLO_ACK_HOST_NONCE_MIN (0U)
#define ISOALIGN_HELLO_ACK_HOST_NONCE_MAX (4294967295U)
#define ISOALIGN_HELLO_ACK_DEVICE_TIME_US_MIN (0ULL)
#define ISOALIGN_HELLO_ACK_DEVICE_TIME_US_MAX (18446744073709551615ULL)
#define ISOALIGN_HELLO_ACK_HEARTBEAT_EXPIRY_US_MIN (1000U)
#define ISOALIGN_HELLO_ACK_HEARTBEAT_EXPIRY_US_MAX (10000000U)
#define ISOALIGN_HELLO_ACK_STATE_PERIOD_US_MIN (1000U)
#define ISOALIGN_HELLO_ACK_STATE_PERIOD_US_MAX (10000000U)

typedef struct {
    uint8_t protocol_major;
    uint8_t protocol_minor;
    uint64_t dictionary_hash;
    uint32_t host_nonce;
    uint8_t verdict;
    uint8_t device_kind;
    uint32_t capabilities;
    uint64_t device_time_us;
    uint32_t heartbeat_expiry_us;
    uint32_t state_period_us;
    char firmware_build[17];
    char serial_number[17];
} isoalign_hello_ack_t;

static_assert(ISOALIGN_HELLO_ACK_BYTES == 1 + 1 + 8 + 4 + 1 + 1 + 4 + 8 + 4 + 4 + 16 + 16, "HELLO_ACK");

static inline void isoalign_hello_ack_put(uint8_t *at, const isoalign_hello_ack_t *m)
{
    isoalign_put(at + 0, m->protocol_major, 1);
    isoalign_put(at + 1, m->protocol_minor, 1);
    isoalign_put(at + 2, m->dictionary_hash, 8);
    isoalign_put(at + 10, m->host_nonce, 4);
    isoalign_put(at + 14, m->verdict, 1);
    isoalign_put(at + 15, m->device_kind, 1);
    isoalign_put(at + 16, m->capabilities, 4);
    isoalign_put(at + 20, m->device_time_us, 8);
    isoalign_put(at + 28, m->heartbeat_expiry_us, 4);
    isoalign_put(at + 32, m->state_period_us, 4);
    memset(at + 36, 0, 16);
    memcpy(at + 36, m->firmware_build, strnlen_isoalign(m->firmware_build, 16));
    memset(at + 52, 0, 16);
    memcpy(at + 52, m->serial_number, strnlen_isoalign(m->serial_number, 16));
}

static inline void isoalign_hello_ack_get(isoalign_hello_ack_t *m, const uint8_t *at)
{
    m->protocol_major = (uint8_t)(isoalign_get(at + 0, 1));
    m->protocol_minor = (uint8_t)(isoalign_get(at + 1, 1));
    m->dictionary_hash = (uint64_t)(isoalign_get(at + 2, 8));
    m->host_nonce = (uint32_t)(isoalign_get(at + 10, 4));
    m->verdict = (uint8_t)(isoalign_get(at + 14, 1));
    m->device_kind = (uint8_t)(isoalign_get(at + 15, 1));
    m->capabilities = (uint32_t)(isoalign_get(at + 16, 4));
    m->device_time_us = (uint64_t)(isoalign_get(at + 20, 8));
    m->heartbeat_expiry_us = (uint32_t)(isoalign_get(at + 28, 4));
    m->state_period_us = (uint32_t)(isoalign_get(at + 32, 4));
    memcpy(m->firmware_build, at + 36, 16);
    m->firmware_build[16] = '\0';
    memcpy(m->serial_number, at + 52, 16);
    m->serial_number[16] = '\0';
}

static inline int isoalign_hello_ack_valid(const isoalign_hello_ack_t *m)
{
    if (isoalign_session_verdict_known(m->verdict) == 0) {
        return 0;
    }
    if (isoalign_device_kind_known(m->device_kind) == 0) {
        return 0;
    }
    if (isoalign_capability_known(m->capabilities) == 0) {
        return 0;
    }
    if (m->heartbeat_expiry_us < 1000U || m->heartbeat_expiry_us > 10000000U) {
        return 0;
    }
    if (m->state_period_us < 1000U || m->state_period_us > 10000000U) {
        return 0;
    }
    if (isoalign_text_valid(m->firmware_build, 16) == 0) {
        return 0;
    }
    if (isoalign_text_valid(m->serial_number, 16) == 0) {
        return 0;
    }
    return 1;
}

#define ISOALIGN_SESSION_ENDED_ID 0x0003U
#define ISOALIGN_SESSION_ENDED_SEED 0x461CC847U
#define ISOALIGN_SESSION_ENDED_BYTES 1

typedef struct {
    uint8_t reason;
} isoalign_session_ended_t;

static_assert(ISOALIGN_SESSION_ENDED_BYTES == 1, "SESSION_ENDED");

static inline void isoalign_session_ended_put(uint8_t *at, const isoalign_session_ended_t *m)
{
    isoalign_put(at + 0, m->reason, 1);
}

static inline void isoalign_session_ended_get(isoalign_session_ended_t *m, const uint8_t *at)
{
    m->reason = (uint8_t)(isoalign_get(at + 0, 1));
}

static inline int isoalign_session_ended_valid(const isoalign_session_ended_t *m)
{
    if (isoalign_session_end_known(m->reason) == 0) {
        return 0;
    }
    return 1;
}

#define ISOALIGN_HEARTBEAT_ID 0x0004U
#define ISOALIGN_HEARTBEAT_SEED 0xD289B11BU
#define ISOALIGN_HEARTBEAT_BYTES 8
#define ISOALIGN_HEARTBEAT_HOST_COUNTER_MIN (0U)
#define ISOALIGN_HEARTBEAT_HOST_COUNTER_MAX (4294967295U)
#define ISOALIGN_HEARTBEAT_CLIENT_COUNTER_MIN (0U)
#define ISOALIGN_HEARTBEAT_CLIENT_COUNTER_MAX (4294967294U)

typedef struct {
    uint32_t host_counter;
    uint32_t client_counter;
} isoalign_heartbeat_t;

static_assert(ISOALIGN_HEARTBEAT_BYTES == 4 + 4, "HEARTBEAT");

static inline void isoalign_heartbeat_put(uint8_t *at, const isoalign_heartbeat_t *m)
{
    isoalign_put(at + 0, m->host_counter, 4);
    isoalign_put(at + 4, m->client_counter, 4);
}

static inline void isoalign_heartbeat_get(isoalign_heartbeat_t *m, const uint8_t *at)
{
    m->host_counter = (uint32_t)(isoalign_get(at + 0, 4));
    m->client_counter = (uint32_t)(isoalign_get(at + 4, 4));
}

static inline int isoalign_heartbeat_valid(const isoalign_heartbeat_t *m)
{
    (void)m;
    return 1;
}

#define ISOALIGN_TIME_REQUEST_ID 0x0005U
#define ISOALIGN_TIME_REQUEST_SEED 0xCC33E95BU
#define ISOALIGN_TIME_REQUEST_BYTES 8
#define ISOALIGN_TIME_REQUEST_HOST_SEND_US_MIN (0ULL)
#define ISOALIGN_TIME_REQUEST_HOST_SEND_US_MAX (18446744073709551615ULL)

typedef struct {
    uint64_t host_send_us;
} isoalign_time_request_t;

static_assert(ISOALIGN_TIME_REQUEST_BYTES == 8, "TIME_REQUEST");

static inline void isoalign_time_request_put(uint8_t *at, const isoalign_time_request_t *m)
{
    isoalign_put(at + 0, m->host_send_us, 8);
}

static inline void isoalign_time_request_get(isoalign_time_request_t *m, const uint8_t *at)
{
    m->host_send_us = (uint64_t)(isoalign_get(at + 0, 8));
}

static inline int isoalign_time_request_valid(const isoalign_time_request_t *m)
{
    (void)m;
    return 1;
}

#define ISOALIGN_TIME_REPLY_ID 0x0006U
#define ISOALIGN_TIME_REPLY_SEED 0x8E173901U
#define ISOALIGN_TIME_REPLY_BYTES 24
#define ISOALIGN_TIME_REPLY_HOST_SEND_US_MIN (0ULL)
#define ISOALIGN_TIME_REPLY_HOST_SEND_US_MAX (18446744073709551615ULL)
#define ISOALIGN_TIME_REPLY_DEVICE_RECEIVE_US_MIN (0ULL)
#define ISOALIGN_TIME_REPLY_DEVICE_RECEIVE_US_MAX (18446744073709551615ULL)
#define ISOALIGN_TIME_REPLY_DEVICE_SEND_US_MIN (0ULL)
#define ISOALIGN_TIME_REPLY_DEVICE_SEND_US_MAX (18446744073709551615ULL)

typedef struct {
    uint64_t host_send_us;
    uint64_t device_receive_us;
    uint64_t device_send_us;
} isoalign_time_reply_t;

static_assert(ISOALIGN_TIME_REPLY_BYTES == 8 + 8 + 8, "TIME_REPLY");

static inline void isoalign_time_reply_put(uint8_t *at, const isoalign_time_reply_t *m)
{
    isoalign_put(at + 0, m->host_send_us, 8);
    isoalign_put(at + 8, m->device_receive_us, 8);
    isoalign_put(at + 16, m->device_send_us, 8);
}

static inline void isoalign_time_reply_get(isoalign_time_reply_t *m, const uint8_t *at)
{
    m->host_send_us = (uint64_t)(isoalign_get(at + 0, 8));
    m->device_receive_us = (uint64_t)(isoalign_get(at + 8, 8));
    m->device_send_us = (uint64_t)(isoalign_get(at + 16, 8));
}

static inline int isoalign_time_reply_valid(const isoalign_time_reply_t *m)
{
    (void)m;
    return 1;
}

#define ISOALIGN_COMMAND_EVENT_ID 0x0007U
#define ISOALIGN_COMMAND_EVENT_SEED 0x98122463U
#define ISOALIGN_COMMAND_EVENT_BYTES 18
#define ISOALIGN_COMMAND_EVENT_COMMAND_ID_MIN (0U)
#define ISOALIGN_COMMAND_EVENT_COMMAND_ID_MAX (4294967295U)
#define ISOALIGN_COMMAND_EVENT_DETAIL_MIN (0U)
#define ISOALIGN_COMMAND_EVENT_DETAIL_MAX (4294967295U)
#define ISOALIGN_COMMAND_EVENT_DEVICE_TIME_US_MIN (0ULL)
#define ISOALIGN_COMMAND_EVENT_DEVICE_TIME_US_MAX (18446744073709551615ULL)

typedef struct {
    uint32_t command_id;
    uint8_t status;
    uint8_t reason;
    uint32_t detail;
    uint64_t device_time_us;
} isoalign_command_event_t;

static_assert(ISOALIGN_COMMAND_EVENT_BYTES == 4 + 1 + 1 + 4 + 8, "COMMAND_EVENT");

static inline void isoalign_command_event_put(uint8_t *at, const isoalign_command_event_t *m)
{
    isoalign_put(at + 0, m->command_id, 4);
    isoalign_put(at + 4, m->status, 1);
    isoalign_put(at + 5, m->reason, 1);
    isoalign_put(at + 6, m->detail, 4);
    isoalign_put(at + 10, m->device_time_us, 8);
}

static inline void isoalign_command_event_get(isoalign_command_event_t *m, const uint8_t *at)
{
    m->command_id = (uint32_t)(isoalign_get(at + 0, 4));
    m->status = (uint8_t)(isoalign_get(at + 4, 1));
    m->reason = (uint8_t)(isoalign_get(at + 5, 1));
    m->detail = (uint32_t)(isoalign_get(at + 6, 4));
    m->device_time_us = (uint64_t)(isoalign_get(at + 10, 8));
}

static inline int isoalign_command_event_valid(const isoalign_command_event_t *m)
{
    if (isoalign_command_status_known(m->status) == 0) {
        return 0;
    }
    if (isoalign_command_reason_known(m->reason) == 0) {
        return 0;
    }
    return 1;
}

#define ISOALIGN_COUCH_STATE_ID 0x0101U
#define ISOALIGN_COUCH_STATE_SEED 0x5114C22EU
#define ISOALIGN_COUCH_STATE_BYTES 141
#define ISOALIGN_COUCH_STATE_DEVICE_TIME_US_MIN (0ULL)
#define ISOALIGN_COUCH_STATE_DEVICE_TIME_US_MAX (18446744073709551615ULL)
#define ISOALIGN_COUCH_STATE_STATE_COUNT_MIN (0U)
#define ISOALIGN_COUCH_STATE_STATE_COUNT_MAX (4294967295U)
#define ISOALIGN_COUCH_STATE_LAST_COMMAND_ID_MIN (0U)
#define ISOALIGN_COUCH_STATE_LAST_COMMAND_ID_MAX (4294967295U)
#define ISOALIGN_COUCH_STATE_HOST_COUNTER_MIN (0U)
#define ISOALIGN_COUCH_STATE_HOST_COUNTER_MAX (4294967294U)
#define ISOALIGN_COUCH_STATE_CLIENT_COUNTER_MIN (0U)
#define ISOALIGN_COUCH_STATE_CLIENT_COUNTER_MAX (4294967294U)
#define ISOALIGN_COUCH_STATE_PRESS_COUNT_MIN (0U)
#define ISOALIGN_COUCH_STATE_PRESS_COUNT_MAX (4294967294U)
#define ISOALIGN_COUCH_STATE_TOKEN_COUNTER_MIN (0U)
#define ISOALIGN_COUCH_STATE_TOKEN_COUNTER_MAX (4294967294U)
#define ISOALIGN_COUCH_STATE_TOKEN_AGE_US_MIN (0U)
#define ISOALIGN_COUCH_STATE_TOKEN_AGE_US_MAX (4294967294U)
#define ISOALIGN_COUCH_STATE_FOLLOWING_ERROR_AXIS_MIN (0)
#define ISOALIGN_COUCH_STATE_FOLLOWING_ERROR_AXIS_MAX (6)
#define ISOALIGN_COUCH_STATE_PRIMARY_MICRO_MIN (-2147483647)
#define ISOALIGN_COUCH_STATE_PRIMARY_MICRO_MAX (2147483647)
#define ISOALIGN_COUCH_STATE_SECONDARY_MICRO_MIN (-2147483647)
#define ISOALIGN_COUCH_STATE_SECONDARY_MICRO_MAX (2147483647)
#define ISOALIGN_COUCH_STATE_VELOCITY_MICRO_PER_S_MIN (-2147483647)
#define ISOALIGN_COUCH_STATE_VELOCITY_MICRO_PER_S_MAX (2147483647)
#define ISOALIGN_COUCH_STATE_TARGET_MICRO_MIN (-2147483647)
#define ISOALIGN_COUCH_STATE_TARGET_MICRO_MAX (2147483647)

typedef struct {
    uint64_t device_time_us;
    uint32_t state_count;
    uint8_t mode;
    uint16_t latch;
    uint32_t status;
    uint32_t last_command_id;
    uint8_t last_command_status;
    uint32_t host_counter;
    uint32_t client_counter;
    uint32_t press_count;
    uint32_t token_counter;
    uint32_t token_age_us;
    uint8_t following_error_axis;
    int32_t primary_micro[6];
    int32_t secondary_micro[6];
    int32_t velocity_micro_per_s[6];
    int32_t target_micro[6];
} isoalign_couch_state_t;

static_assert(ISOALIGN_COUCH_STATE_BYTES == 8 + 4 + 1 + 2 + 4 + 4 + 1 + 4 + 4 + 4 + 4 + 4 + 1 + 24 + 24 + 24 + 24, "COUCH_STATE");

static inline void isoalign_couch_state_put(uint8_t *at, const isoalign_couch_state_t *m)
{
    isoalign_put(at + 0, m->device_time_us, 8);
    isoalign_put(at + 8, m->state_count, 4);
    isoalign_put(at + 12, m->mode, 1);
    isoalign_put(at + 13, m->latch, 2);
    isoalign_put(at + 15, m->status, 4);
    isoalign_put(at + 19, m->last_command_id, 4);
    isoalign_put(at + 23, m->last_command_status, 1);
    isoalign_put(at + 24, m->host_counter, 4);
    isoalign_put(at + 28, m->client_counter, 4);
    isoalign_put(at + 32, m->press_count, 4);
    isoalign_put(at + 36, m->token_counter, 4);
    isoalign_put(at + 40, m->token_age_us, 4);
    isoalign_put(at + 44, m->following_error_axis, 1);
    for (size_t i = 0; i < 6; i++) {
        isoalign_put(at + 45 + 4 * i, (uint32_t)m->primary_micro[i], 4);
    }
    for (size_t i = 0; i < 6; i++) {
        isoalign_put(at + 69 + 4 * i, (uint32_t)m->secondary_micro[i], 4);
    }
    for (size_t i = 0; i < 6; i++) {
        isoalign_put(at + 93 + 4 * i, (uint32_t)m->velocity_micro_per_s[i], 4);
    }
    for (size_t i = 0; i < 6; i++) {
        isoalign_put(at + 117 + 4 * i, (uint32_t)m->target_micro[i], 4);
    }
}

static inline void isoalign_couch_state_get(isoalign_couch_state_t *m, const uint8_t *at)
{
    m->device_time_us = (uint64_t)(isoalign_get(at + 0, 8));
    m->state_count = (uint32_t)(isoalign_get(at + 8, 4));
    m->mode = (uint8_t)(isoalign_get(at + 12, 1));
    m->latch = (uint16_t)(isoalign_get(at + 13, 2));
    m->status = (uint32_t)(isoalign_get(at + 15, 4));
    m->last_command_id = (uint32_t)(isoalign_get(at + 19, 4));
    m->last_command_status = (uint8_t)(isoalign_get(at + 23, 1));
    m->host_counter = (uint32_t)(isoalign_get(at + 24, 4));
    m->client_counter = (uint32_t)(isoalign_get(at + 28, 4));
    m->press_count = (uint32_t)(isoalign_get(at + 32, 4));
    m->token_counter = (uint32_t)(isoalign_get(at + 36, 4));
    m->token_age_us = (uint32_t)(isoalign_get(at + 40, 4));
    m->following_error_axis = (uint8_t)(isoalign_get(at + 44, 1));
    for (size_t i = 0; i < 6; i++) {
        m->primary_micro[i] = isoalign_i32(isoalign_get(at + 45 + 4 * i, 4));
    }
    for (size_t i = 0; i < 6; i++) {
        m->secondary_micro[i] = isoalign_i32(isoalign_get(at + 69 + 4 * i, 4));
    }
    for (size_t i = 0; i < 6; i++) {
        m->velocity_micro_per_s[i] = isoalign_i32(isoalign_get(at + 93 + 4 * i, 4));
    }
    for (size_t i = 0; i < 6; i++) {
        m->target_micro[i] = isoalign_i32(isoalign_get(at + 117 + 4 * i, 4));
    }
}

static inline int isoalign_couch_state_valid(const isoalign_couch_state_t *m)
{
    if (isoalign_couch_mode_known(m->mode) == 0) {
        return 0;
    }
    if (isoalign_latch_known(m->latch) == 0) {
        return 0;
    }
    if (isoalign_couch_status_known(m->status) == 0) {
        return 0;
    }
    if (isoalign_command_status_known(m->last_command_status) == 0) {
        return 0;
    }
    if (m->following_error_axis > 6) {
        return 0;
    }
    return 1;
}

#define ISOALIGN_AXIS_INFO_ID 0x0102U
#define ISOALIGN_AXIS_INFO_SEED 0x6172A8E3U
#define ISOALIGN_AXIS_INFO_BYTES 33
#define ISOALIGN_AXIS_INFO_AXIS_MIN (0)
#define ISOALIGN_AXIS_INFO_AXIS_MAX (5)
#define ISOALIGN_AXIS_INFO_TRAVEL_MIN_MICRO_MIN (-2147483647)
#define ISOALIGN_AXIS_INFO_TRAVEL_MIN_MICRO_MAX (2147483647)
#define ISOALIGN_AXIS_INFO_TRAVEL_MAX_MICRO_MIN (-2147483647)
#define ISOALIGN_AXIS_INFO_TRAVEL_MAX_MICRO_MAX (2147483647)
#define ISOALIGN_AXIS_INFO_SPEED_MAX_MICRO_PER_S_MIN (1U)
#define ISOALIGN_AXIS_INFO_SPEED_MAX_MICRO_PER_S_MAX (4294967295U)
#define ISOALIGN_AXIS_INFO_ACCELERATION_MAX_MICRO_PER_S2_MIN (1U)
#define ISOALIGN_AXIS_INFO_ACCELERATION_MAX_MICRO_PER_S2_MAX (4294967295U)
#define ISOALIGN_AXIS_INFO_JERK_MAX_MICRO_PER_S3_MIN (1U)
#define ISOALIGN_AXIS_INFO_JERK_MAX_MICRO_PER_S3_MAX (4294967295U)
#define ISOALIGN_AXIS_INFO_RESOLUTION_MICRO_MIN (1U)
#define ISOALIGN_AXIS_INFO_RESOLUTION_MICRO_MAX (4294967295U)
#define ISOALIGN_AXIS_INFO_SERVO_LAG_US_MIN (0U)
#define ISOALIGN_AXIS_INFO_SERVO_LAG_US_MAX (4294967295U)
#define ISOALIGN_AXIS_INFO_SECONDARY_LAG_US_MIN (0U)
#define ISOALIGN_AXIS_INFO_SECONDARY_LAG_US_MAX (4294967295U)

typedef struct {
    uint8_t axis;
    int32_t travel_min_micro;
    int32_t travel_max_micro;
    uint32_t speed_max_micro_per_s;
    uint32_t acceleration_max_micro_per_s2;
    uint32_t jerk_max_micro_per_s3;
    uint32_t resolution_micro;
    uint32_t servo_lag_us;
    uint32_t secondary_lag_us;
} isoalign_axis_info_t;

static_assert(ISOALIGN_AXIS_INFO_BYTES == 1 + 4 + 4 + 4 + 4 + 4 + 4 + 4 + 4, "AXIS_INFO");

static inline void isoalign_axis_info_put(uint8_t *at, const isoalign_axis_info_t *m)
{
    isoalign_put(at + 0, m->axis, 1);
    isoalign_put(at + 1, (uint32_t)m->travel_min_micro, 4);
    isoalign_put(at + 5, (uint32_t)m->travel_max_micro, 4);
    isoalign_put(at + 9, m->speed_max_micro_per_s, 4);
    isoalign_put(at + 13, m->acceleration_max_micro_per_s2, 4);
    isoalign_put(at + 17, m->jerk_max_micro_per_s3, 4);
    isoalign_put(at + 21, m->resolution_micro, 4);
    isoalign_put(at + 25, m->servo_lag_us, 4);
    isoalign_put(at + 29, m->secondary_lag_us, 4);
}

static inline void isoalign_axis_info_get(isoalign_axis_info_t *m, const uint8_t *at)
{
    m->axis = (uint8_t)(isoalign_get(at + 0, 1));
    m->travel_min_micro = isoalign_i32(isoalign_get(at + 1, 4));
    m->travel_max_micro = isoalign_i32(isoalign_get(at + 5, 4));
    m->speed_max_micro_per_s = (uint32_t)(isoalign_get(at + 9, 4));
    m->acceleration_max_micro_per_s2 = (uint32_t)(isoalign_get(at + 13, 4));
    m->jerk_max_micro_per_s3 = (uint32_t)(isoalign_get(at + 17, 4));
    m->resolution_micro = (uint32_t)(isoalign_get(at + 21, 4));
    m->servo_lag_us = (uint32_t)(isoalign_get(at + 25, 4));
    m->secondary_lag_us = (uint32_t)(isoalign_get(at + 29, 4));
}

static inline int isoalign_axis_info_valid(const isoalign_axis_info_t *m)
{
    if (m->axis > 5) {
        return 0;
    }
    if (m->travel_min_micro < -2147483647) {
        return 0;
    }
    if (m->travel_max_micro < -2147483647) {
        return 0;
    }
    if (m->speed_max_micro_per_s < 1U) {
        return 0;
    }
    if (m->acceleration_max_micro_per_s2 < 1U) {
        return 0;
    }
    if (m->jerk_max_micro_per_s3 < 1U) {
        return 0;
    }
    if (m->resolution_micro < 1U) {
        return 0;
    }
    return 1;
}

#define ISOALIGN_ENABLE_TOKEN_ID 0x0103U
#define ISOALIGN_ENABLE_TOKEN_SEED 0x9D101C82U
#define ISOALIGN_ENABLE_TOKEN_BYTES 9
#define ISOALIGN_ENABLE_TOKEN_PRESS_COUNT_MIN (0U)
#define ISOALIGN_ENABLE_TOKEN_PRESS_COUNT_MAX (4294967294U)
#define ISOALIGN_ENABLE_TOKEN_TOKEN_COUNTER_MIN (0U)
#define ISOALIGN_ENABLE_TOKEN_TOKEN_COUNTER_MAX (4294967294U)

typedef struct {
    uint8_t bar;
    uint32_t press_count;
    uint32_t token_counter;
} isoalign_enable_token_t;

static_assert(ISOALIGN_ENABLE_TOKEN_BYTES == 1 + 4 + 4, "ENABLE_TOKEN");

static inline void isoalign_enable_token_put(uint8_t *at, const isoalign_enable_token_t *m)
{
    isoalign_put(at + 0, m->bar, 1);
    isoalign_put(at + 1, m->press_count, 4);
    isoalign_put(at + 5, m->token_counter, 4);
}

static inline void isoalign_enable_token_get(isoalign_enable_token_t *m, const uint8_t *at)
{
    m->bar = (uint8_t)(isoalign_get(at + 0, 1));
    m->press_count = (uint32_t)(isoalign_get(at + 1, 4));
    m->token_counter = (uint32_t)(isoalign_get(at + 5, 4));
}

static inline int isoalign_enable_token_valid(const isoalign_enable_token_t *m)
{
    if (isoalign_bar_position_known(m->bar) == 0) {
        return 0;
    }
    if (m->press_count > 4294967294U) {
        return 0;
    }
    if (m->token_counter > 4294967294U) {
        return 0;
    }
    return 1;
}

#define ISOALIGN_MOVE_ID 0x0104U
#define ISOALIGN_MOVE_SEED 0xCC8F712FU
#define ISOALIGN_MOVE_BYTES 63
#define ISOALIGN_MOVE_COMMAND_ID_MIN (1U)
#define ISOALIGN_MOVE_COMMAND_ID_MAX (4294967295U)
#define ISOALIGN_MOVE_VALID_UNTIL_US_MIN (0ULL)
#define ISOALIGN_MOVE_VALID_UNTIL_US_MAX (18446744073709551615ULL)
#define ISOALIGN_MOVE_SPEED_PERMILLE_MIN (1)
#define ISOALIGN_MOVE_SPEED_PERMILLE_MAX (1000)
#define ISOALIGN_MOVE_TARGET_MICRO_MIN (-400000000)
#define ISOALIGN_MOVE_TARGET_MICRO_MAX (400000000)
#define ISOALIGN_MOVE_EXPECTED_START_MICRO_MIN (-400000000)
#define ISOALIGN_MOVE_EXPECTED_START_MICRO_MAX (400000000)

typedef struct {
    uint32_t command_id;
    uint64_t valid_until_us;
    uint8_t speed_class;
    uint16_t speed_permille;
    int32_t target_micro[6];
    int32_t expected_start_micro[6];
} isoalign_move_t;

static_assert(ISOALIGN_MOVE_BYTES == 4 + 8 + 1 + 2 + 24 + 24, "MOVE");

static inline void isoalign_move_put(uint8_t *at, const isoalign_move_t *m)
{
    isoalign_put(at + 0, m->command_id, 4);
    isoalign_put(at + 4, m->valid_until_us, 8);
    isoalign_put(at + 12, m->speed_class, 1);
    isoalign_put(at + 13, m->speed_permille, 2);
    for (size_t i = 0; i < 6; i++) {
        isoalign_put(at + 15 + 4 * i, (uint32_t)m->target_micro[i], 4);
    }
    for (size_t i = 0; i < 6; i++) {
        isoalign_put(at + 39 + 4 * i, (uint32_t)m->expected_start_micro[i], 4);
    }
}

static inline void isoalign_move_get(isoalign_move_t *m, const uint8_t *at)
{
    m->command_id = (uint32_t)(isoalign_get(at + 0, 4));
    m->valid_until_us = (uint64_t)(isoalign_get(at + 4, 8));
    m->speed_class = (uint8_t)(isoalign_get(at + 12, 1));
    m->speed_permille = (uint16_t)(isoalign_get(at + 13, 2));
    for (size_t i = 0; i < 6; i++) {
        m->target_micro[i] = isoalign_i32(isoalign_get(at + 15 + 4 * i, 4));
    }
    for (size_t i = 0; i < 6; i++) {
        m->expected_start_micro[i] = isoalign_i32(isoalign_get(at + 39 + 4 * i, 4));
    }
}

static inline int isoalign_move_valid(const isoalign_move_t *m)
{
    if (m->command_id < 1U) {
        return 0;
    }
    if (isoalign_speed_class_known(m->speed_class) == 0) {
        return 0;
    }
    if (m->speed_permille < 1 || m->speed_permille > 1000) {
        return 0;
    }
    for (size_t i = 0; i < 6; i++) {
        if (m->target_micro[i] < -400000000 || m->target_micro[i] > 400000000) {
            return 0;
        }
    }
    for (size_t i = 0; i < 6; i++) {
        if (m->expected_start_micro[i] != ISOALIGN_I32_NOT_AVAILABLE && (m->expected_start_micro[i] < -400000000 || m->expected_start_micro[i] > 400000000)) {
            return 0;
        }
    }
    return 1;
}

#define ISOALIGN_STOP_ID 0x0105U
#define ISOALIGN_STOP_SEED 0xD3276B5BU
#define ISOALIGN_STOP_BYTES 1

typedef struct {
    uint8_t reason;
} isoalign_stop_t;

static_assert(ISOALIGN_STOP_BYTES == 1, "STOP");

static inline void isoalign_stop_put(uint8_t *at, const isoalign_stop_t *m)
{
    isoalign_put(at + 0, m->reason, 1);
}

static inline void isoalign_stop_get(isoalign_stop_t *m, const uint8_t *at)
{
    m->reason = (uint8_t)(isoalign_get(at + 0, 1));
}

static inline int isoalign_stop_valid(const isoalign_stop_t *m)
{
    if (isoalign_stop_reason_known(m->reason) == 0) {
        return 0;
    }
    return 1;
}

#define ISOALIGN_CLEAR_ID 0x0106U
#define ISOALIGN_CLEAR_SEED 0xB3A5A92DU
#define ISOALIGN_CLEAR_BYTES 14
#define ISOALIGN_CLEAR_COMMAND_ID_MIN (1U)
#define ISOALIGN_CLEAR_COMMAND_ID_MAX (4294967295U)
#define ISOALIGN_CLEAR_VALID_UNTIL_US_MIN (0ULL)
#define ISOALIGN_CLEAR_VALID_UNTIL_US_MAX (18446744073709551615ULL)

typedef struct {
    uint32_t command_id;
    uint64_t valid_until_us;
    uint16_t latch;
} isoalign_clear_t;

static_assert(ISOALIGN_CLEAR_BYTES == 4 + 8 + 2, "CLEAR");

static inline void isoalign_clear_put(uint8_t *at, const isoalign_clear_t *m)
{
    isoalign_put(at + 0, m->command_id, 4);
    isoalign_put(at + 4, m->valid_until_us, 8);
    isoalign_put(at + 12, m->latch, 2);
}

static inline void isoalign_clear_get(isoalign_clear_t *m, const uint8_t *at)
{
    m->command_id = (uint32_t)(isoalign_get(at + 0, 4));
    m->valid_until_us = (uint64_t)(isoalign_get(at + 4, 8));
    m->latch = (uint16_t)(isoalign_get(at + 12, 2));
}

static inline int isoalign_clear_valid(const isoalign_clear_t *m)
{
    if (m->command_id < 1U) {
        return 0;
    }
    if (isoalign_latch_known(m->latch) == 0) {
        return 0;
    }
    return 1;
}

#define ISOALIGN_COUCH_SAFETY_ID 0x0107U
#define ISOALIGN_COUCH_SAFETY_SEED 0x5F280A7EU
#define ISOALIGN_COUCH_SAFETY_BYTES 51
#define ISOALIGN_COUCH_SAFETY_DEVICE_TIME_US_MIN (0ULL)
#define ISOALIGN_COUCH_SAFETY_DEVICE_TIME_US_MAX (18446744073709551615ULL)
#define ISOALIGN_COUCH_SAFETY_STATE_COUNT_MIN (0U)
#define ISOALIGN_COUCH_SAFETY_STATE_COUNT_MAX (4294967295U)
#define ISOALIGN_COUCH_SAFETY_TOUCH_FORCE_MN_MIN (0U)
#define ISOALIGN_COUCH_SAFETY_TOUCH_FORCE_MN_MAX (4294967294U)
#define ISOALIGN_COUCH_SAFETY_DRIVE_TEMPERATURE_MDEG_C_MIN (-2147483647)
#define ISOALIGN_COUCH_SAFETY_DRIVE_TEMPERATURE_MDEG_C_MAX (2147483647)
#define ISOALIGN_COUCH_SAFETY_PAYLOAD_G_MIN (-2147483647)
#define ISOALIGN_COUCH_SAFETY_PAYLOAD_G_MAX (2147483647)

typedef struct {
    uint64_t device_time_us;
    uint32_t state_count;
    uint8_t emergency_stop;
    uint8_t enable_circuit;
    uint8_t torque_feedback;
    uint32_t touched;
    uint32_t touch_force_mn;
    int32_t drive_temperature_mdeg_c[6];
    int32_t payload_g;
} isoalign_couch_safety_t;

static_assert(ISOALIGN_COUCH_SAFETY_BYTES == 8 + 4 + 1 + 1 + 1 + 4 + 4 + 24 + 4, "COUCH_SAFETY");

static inline void isoalign_couch_safety_put(uint8_t *at, const isoalign_couch_safety_t *m)
{
    isoalign_put(at + 0, m->device_time_us, 8);
    isoalign_put(at + 8, m->state_count, 4);
    isoalign_put(at + 12, m->emergency_stop, 1);
    isoalign_put(at + 13, m->enable_circuit, 1);
    isoalign_put(at + 14, m->torque_feedback, 1);
    isoalign_put(at + 15, m->touched, 4);
    isoalign_put(at + 19, m->touch_force_mn, 4);
    for (size_t i = 0; i < 6; i++) {
        isoalign_put(at + 23 + 4 * i, (uint32_t)m->drive_temperature_mdeg_c[i], 4);
    }
    isoalign_put(at + 47, (uint32_t)m->payload_g, 4);
}

static inline void isoalign_couch_safety_get(isoalign_couch_safety_t *m, const uint8_t *at)
{
    m->device_time_us = (uint64_t)(isoalign_get(at + 0, 8));
    m->state_count = (uint32_t)(isoalign_get(at + 8, 4));
    m->emergency_stop = (uint8_t)(isoalign_get(at + 12, 1));
    m->enable_circuit = (uint8_t)(isoalign_get(at + 13, 1));
    m->torque_feedback = (uint8_t)(isoalign_get(at + 14, 1));
    m->touched = (uint32_t)(isoalign_get(at + 15, 4));
    m->touch_force_mn = (uint32_t)(isoalign_get(at + 19, 4));
    for (size_t i = 0; i < 6; i++) {
        m->drive_temperature_mdeg_c[i] = isoalign_i32(isoalign_get(at + 23 + 4 * i, 4));
    }
    m->payload_g = isoalign_i32(isoalign_get(at + 47, 4));
}

static inline int isoalign_couch_safety_valid(const isoalign_couch_safety_t *m)
{
    if (isoalign_safety_circuit_known(m->emergency_stop) == 0) {
        return 0;
    }
    if (isoalign_safety_circuit_known(m->enable_circuit) == 0) {
        return 0;
    }
    if (isoalign_torque_feedback_known(m->torque_feedback) == 0) {
        return 0;
    }
    if (isoalign_touch_sensor_known(m->touched) == 0) {
        return 0;
    }
    return 1;
}

#define ISOALIGN_GENERATOR_STATE_ID 0x0201U
#define ISOALIGN_GENERATOR_STATE_SEED 0x4CC1D1D3U
#define ISOALIGN_GENERATOR_STATE_BYTES 26
#define ISOALIGN_GENERATOR_STATE_DEVICE_TIME_US_MIN (0ULL)
#define ISOALIGN_GENERATOR_STATE_DEVICE_TIME_US_MAX (18446744073709551615ULL)
#define ISOALIGN_GENERATOR_STATE_STATE_COUNT_MIN (0U)
#define ISOALIGN_GENERATOR_STATE_STATE_COUNT_MAX (4294967295U)
#define ISOALIGN_GENERATOR_STATE_EXPOSURE_ID_MIN (0U)
#define ISOALIGN_GENERATOR_STATE_EXPOSURE_ID_MAX (4294967295U)
#define ISOALIGN_GENERATOR_STATE_ANODE_HEAT_PERMILLE_MIN (0)
#define ISOALIGN_GENERATOR_STATE_ANODE_HEAT_PERMILLE_MAX (2000)
#define ISOALIGN_GENERATOR_STATE_LAST_COMMAND_ID_MIN (0U)
#define ISOALIGN_GENERATOR_STATE_LAST_COMMAND_ID_MAX (4294967295U)

typedef struct {
    uint64_t device_time_us;
    uint32_t state_count;
    uint8_t phase;
    uint16_t fault;
    uint32_t exposure_id;
    uint16_t anode_heat_permille;
    uint32_t last_command_id;
    uint8_t last_command_status;
} isoalign_generator_state_t;

static_assert(ISOALIGN_GENERATOR_STATE_BYTES == 8 + 4 + 1 + 2 + 4 + 2 + 4 + 1, "GENERATOR_STATE");

static inline void isoalign_generator_state_put(uint8_t *at, const isoalign_generator_state_t *m)
{
    isoalign_put(at + 0, m->device_time_us, 8);
    isoalign_put(at + 8, m->state_count, 4);
    isoalign_put(at + 12, m->phase, 1);
    isoalign_put(at + 13, m->fault, 2);
    isoalign_put(at + 15, m->exposure_id, 4);
    isoalign_put(at + 19, m->anode_heat_permille, 2);
    isoalign_put(at + 21, m->last_command_id, 4);
    isoalign_put(at + 25, m->last_command_status, 1);
}

static inline void isoalign_generator_state_get(isoalign_generator_state_t *m, const uint8_t *at)
{
    m->device_time_us = (uint64_t)(isoalign_get(at + 0, 8));
    m->state_count = (uint32_t)(isoalign_get(at + 8, 4));
    m->phase = (uint8_t)(isoalign_get(at + 12, 1));
    m->fault = (uint16_t)(isoalign_get(at + 13, 2));
    m->exposure_id = (uint32_t)(isoalign_get(at + 15, 4));
    m->anode_heat_permille = (uint16_t)(isoalign_get(at + 19, 2));
    m->last_command_id = (uint32_t)(isoalign_get(at + 21, 4));
    m->last_command_status = (uint8_t)(isoalign_get(at + 25, 1));
}

static inline int isoalign_generator_state_valid(const isoalign_generator_state_t *m)
{
    if (isoalign_generator_phase_known(m->phase) == 0) {
        return 0;
    }
    if (isoalign_generator_fault_known(m->fault) == 0) {
        return 0;
    }
    if (m->anode_heat_permille > 2000) {
        return 0;
    }
    if (isoalign_command_status_known(m->last_command_status) == 0) {
        return 0;
    }
    return 1;
}

#define ISOALIGN_PREPARE_ID 0x0202U
#define ISOALIGN_PREPARE_SEED 0x6E45911FU
#define ISOALIGN_PREPARE_BYTES 28
#define ISOALIGN_PREPARE_COMMAND_ID_MIN (1U)
#define ISOALIGN_PREPARE_COMMAND_ID_MAX (4294967295U)
#define ISOALIGN_PREPARE_VALID_UNTIL_US_MIN (0ULL)
#define ISOALIGN_PREPARE_VALID_UNTIL_US_MAX (18446744073709551615ULL)
#define ISOALIGN_PREPARE_EXPOSURE_ID_MIN (1U)
#define ISOALIGN_PREPARE_EXPOSURE_ID_MAX (4294967295U)
#define ISOALIGN_PREPARE_TUBE_VOLTAGE_V_MIN (40000U)
#define ISOALIGN_PREPARE_TUBE_VOLTAGE_V_MAX (150000U)
#define ISOALIGN_PREPARE_TUBE_CURRENT_UA_MIN (1000U)
#define ISOALIGN_PREPARE_TUBE_CURRENT_UA_MAX (800000U)
#define ISOALIGN_PREPARE_EXPOSURE_TIME_US_MIN (1000U)
#define ISOALIGN_PREPARE_EXPOSURE_TIME_US_MAX (2000000U)

typedef struct {
    uint32_t command_id;
    uint64_t valid_until_us;
    uint32_t exposure_id;
    uint32_t tube_voltage_v;
    uint32_t tube_current_ua;
    uint32_t exposure_time_us;
} isoalign_prepare_t;

static_assert(ISOALIGN_PREPARE_BYTES == 4 + 8 + 4 + 4 + 4 + 4, "PREPARE");

static inline void isoalign_prepare_put(uint8_t *at, const isoalign_prepare_t *m)
{
    isoalign_put(at + 0, m->command_id, 4);
    isoalign_put(at + 4, m->valid_until_us, 8);
    isoalign_put(at + 12, m->exposure_id, 4);
    isoalign_put(at + 16, m->tube_voltage_v, 4);
    isoalign_put(at + 20, m->tube_current_ua, 4);
    isoalign_put(at + 24, m->exposure_time_us, 4);
}

static inline void isoalign_prepare_get(isoalign_prepare_t *m, const uint8_t *at)
{
    m->command_id = (uint32_t)(isoalign_get(at + 0, 4));
    m->valid_until_us = (uint64_t)(isoalign_get(at + 4, 8));
    m->exposure_id = (uint32_t)(isoalign_get(at + 12, 4));
    m->tube_voltage_v = (uint32_t)(isoalign_get(at + 16, 4));
    m->tube_current_ua = (uint32_t)(isoalign_get(at + 20, 4));
    m->exposure_time_us = (uint32_t)(isoalign_get(at + 24, 4));
}

static inline int isoalign_prepare_valid(const isoalign_prepare_t *m)
{
    if (m->command_id < 1U) {
        return 0;
    }
    if (m->exposure_id < 1U) {
        return 0;
    }
    if (m->tube_voltage_v < 40000U || m->tube_voltage_v > 150000U) {
        return 0;
    }
    if (m->tube_current_ua < 1000U || m->tube_current_ua > 800000U) {
        return 0;
    }
    if (m->exposure_time_us < 1000U || m->exposure_time_us > 2000000U) {
        return 0;
    }
    return 1;
}

#define ISOALIGN_EXPOSE_ID 0x0203U
#define ISOALIGN_EXPOSE_SEED 0x803ADF8EU
#define ISOALIGN_EXPOSE_BYTES 16
#define ISOALIGN_EXPOSE_COMMAND_ID_MIN (1U)
#define ISOALIGN_EXPOSE_COMMAND_ID_MAX (4294967295U)
#define ISOALIGN_EXPOSE_VALID_UNTIL_US_MIN (0ULL)
#define ISOALIGN_EXPOSE_VALID_UNTIL_US_MAX (18446744073709551615ULL)
#define ISOALIGN_EXPOSE_EXPOSURE_ID_MIN (1U)
#define ISOALIGN_EXPOSE_EXPOSURE_ID_MAX (4294967295U)

typedef struct {
    uint32_t command_id;
    uint64_t valid_until_us;
    uint32_t exposure_id;
} isoalign_expose_t;

static_assert(ISOALIGN_EXPOSE_BYTES == 4 + 8 + 4, "EXPOSE");

static inline void isoalign_expose_put(uint8_t *at, const isoalign_expose_t *m)
{
    isoalign_put(at + 0, m->command_id, 4);
    isoalign_put(at + 4, m->valid_until_us, 8);
    isoalign_put(at + 12, m->exposure_id, 4);
}

static inline void isoalign_expose_get(isoalign_expose_t *m, const uint8_t *at)
{
    m->command_id = (uint32_t)(isoalign_get(at + 0, 4));
    m->valid_until_us = (uint64_t)(isoalign_get(at + 4, 8));
    m->exposure_id = (uint32_t)(isoalign_get(at + 12, 4));
}

static inline int isoalign_expose_valid(const isoalign_expose_t *m)
{
    if (m->command_id < 1U) {
        return 0;
    }
    if (m->exposure_id < 1U) {
        return 0;
    }
    return 1;
}

#define ISOALIGN_ABORT_EXPOSURE_ID 0x0204U
#define ISOALIGN_ABORT_EXPOSURE_SEED 0x7BC7FFB9U
#define ISOALIGN_ABORT_EXPOSURE_BYTES 0

#define ISOALIGN_EXPOSURE_RESULT_ID 0x0205U
#define ISOALIGN_EXPOSURE_RESULT_SEED 0x41FBEBDFU
#define ISOALIGN_EXPOSURE_RESULT_BYTES 25
#define ISOALIGN_EXPOSURE_RESULT_EXPOSURE_ID_MIN (0U)
#define ISOALIGN_EXPOSURE_RESULT_EXPOSURE_ID_MAX (4294967295U)
#define ISOALIGN_EXPOSURE_RESULT_TUBE_VOLTAGE_V_MIN (0U)
#define ISOALIGN_EXPOSURE_RESULT_TUBE_VOLTAGE_V_MAX (4294967295U)
#define ISOALIGN_EXPOSURE_RESULT_TUBE_CURRENT_UA_MIN (0U)
#define ISOALIGN_EXPOSURE_RESULT_TUBE_CURRENT_UA_MAX (4294967295U)
#define ISOALIGN_EXPOSURE_RESULT_EXPOSURE_TIME_US_MIN (0U)
#define ISOALIGN_EXPOSURE_RESULT_EXPOSURE_TIME_US_MAX (4294967295U)
#define ISOALIGN_EXPOSURE_RESULT_STARTED_US_MIN (0ULL)
#define ISOALIGN_EXPOSURE_RESULT_STARTED_US_MAX (18446744073709551615ULL)

typedef struct {
    uint32_t exposure_id;
    uint8_t outcome;
    uint32_t tube_voltage_v;
    uint32_t tube_current_ua;
    uint32_t exposure_time_us;
    uint64_t started_us;
} isoalign_exposure_result_t;

static_assert(ISOALIGN_EXPOSURE_RESULT_BYTES == 4 + 1 + 4 + 4 + 4 + 8, "EXPOSURE_RESULT");

static inline void isoalign_exposure_result_put(uint8_t *at, const isoalign_exposure_result_t *m)
{
    isoalign_put(at + 0, m->exposure_id, 4);
    isoalign_put(at + 4, m->outcome, 1);
    isoalign_put(at + 5, m->tube_voltage_v, 4);
    isoalign_put(at + 9, m->tube_current_ua, 4);
    isoalign_put(at + 13, m->exposure_time_us, 4);
    isoalign_put(at + 17, m->started_us, 8);
}

static inline void isoalign_exposure_result_get(isoalign_exposure_result_t *m, const uint8_t *at)
{
    m->exposure_id = (uint32_t)(isoalign_get(at + 0, 4));
    m->outcome = (uint8_t)(isoalign_get(at + 4, 1));
    m->tube_voltage_v = (uint32_t)(isoalign_get(at + 5, 4));
    m->tube_current_ua = (uint32_t)(isoalign_get(at + 9, 4));
    m->exposure_time_us = (uint32_t)(isoalign_get(at + 13, 4));
    m->started_us = (uint64_t)(isoalign_get(at + 17, 8));
}

static inline int isoalign_exposure_result_valid(const isoalign_exposure_result_t *m)
{
    if (isoalign_exposure_outcome_known(m->outcome) == 0) {
        return 0;
    }
    return 1;
}

#define ISOALIGN_GENERATOR_ROOM_ID 0x0206U
#define ISOALIGN_GENERATOR_ROOM_SEED 0x723D6C37U
#define ISOALIGN_GENERATOR_ROOM_BYTES 17
#define ISOALIGN_GENERATOR_ROOM_DEVICE_TIME_US_MIN (0ULL)
#define ISOALIGN_GENERATOR_ROOM_DEVICE_TIME_US_MAX (18446744073709551615ULL)
#define ISOALIGN_GENERATOR_ROOM_STATE_COUNT_MIN (0U)
#define ISOALIGN_GENERATOR_ROOM_STATE_COUNT_MAX (4294967295U)
#define ISOALIGN_GENERATOR_ROOM_HOUSING_TEMPERATURE_MDEG_C_MIN (-2147483647)
#define ISOALIGN_GENERATOR_ROOM_HOUSING_TEMPERATURE_MDEG_C_MAX (2147483647)

typedef struct {
    uint64_t device_time_us;
    uint32_t state_count;
    uint8_t door;
    int32_t housing_temperature_mdeg_c;
} isoalign_generator_room_t;

static_assert(ISOALIGN_GENERATOR_ROOM_BYTES == 8 + 4 + 1 + 4, "GENERATOR_ROOM");

static inline void isoalign_generator_room_put(uint8_t *at, const isoalign_generator_room_t *m)
{
    isoalign_put(at + 0, m->device_time_us, 8);
    isoalign_put(at + 8, m->state_count, 4);
    isoalign_put(at + 12, m->door, 1);
    isoalign_put(at + 13, (uint32_t)m->housing_temperature_mdeg_c, 4);
}

static inline void isoalign_generator_room_get(isoalign_generator_room_t *m, const uint8_t *at)
{
    m->device_time_us = (uint64_t)(isoalign_get(at + 0, 8));
    m->state_count = (uint32_t)(isoalign_get(at + 8, 4));
    m->door = (uint8_t)(isoalign_get(at + 12, 1));
    m->housing_temperature_mdeg_c = isoalign_i32(isoalign_get(at + 13, 4));
}

static inline int isoalign_generator_room_valid(const isoalign_generator_room_t *m)
{
    if (isoalign_room_door_known(m->door) == 0) {
        return 0;
    }
    return 1;
}

#define ISOALIGN_PANEL_STATE_ID 0x0301U
#define ISOALIGN_PANEL_STATE_SEED 0x431BE8C6U
#define ISOALIGN_PANEL_STATE_BYTES 36
#define ISOALIGN_PANEL_STATE_DEVICE_TIME_US_MIN (0ULL)
#define ISOALIGN_PANEL_STATE_DEVICE_TIME_US_MAX (18446744073709551615ULL)
#define ISOALIGN_PANEL_STATE_STATE_COUNT_MIN (0U)
#define ISOALIGN_PANEL_STATE_STATE_COUNT_MAX (4294967295U)
#define ISOALIGN_PANEL_STATE_EXPOSURE_ID_MIN (0U)
#define ISOALIGN_PANEL_STATE_EXPOSURE_ID_MAX (4294967295U)
#define ISOALIGN_PANEL_STATE_FRAME_ID_MIN (0U)
#define ISOALIGN_PANEL_STATE_FRAME_ID_MAX (4294967295U)
#define ISOALIGN_PANEL_STATE_ROWS_MIN (1)
#define ISOALIGN_PANEL_STATE_ROWS_MAX (65535)
#define ISOALIGN_PANEL_STATE_COLUMNS_MIN (1)
#define ISOALIGN_PANEL_STATE_COLUMNS_MAX (65535)
#define ISOALIGN_PANEL_STATE_TEMPERATURE_MDEG_C_MIN (-2147483647)
#define ISOALIGN_PANEL_STATE_TEMPERATURE_MDEG_C_MAX (2147483647)
#define ISOALIGN_PANEL_STATE_LAST_COMMAND_ID_MIN (0U)
#define ISOALIGN_PANEL_STATE_LAST_COMMAND_ID_MAX (4294967295U)

typedef struct {
    uint64_t device_time_us;
    uint32_t state_count;
    uint8_t phase;
    uint16_t fault;
    uint32_t exposure_id;
    uint32_t frame_id;
    uint16_t rows;
    uint16_t columns;
    int32_t temperature_mdeg_c;
    uint32_t last_command_id;
    uint8_t last_command_status;
} isoalign_panel_state_t;

static_assert(ISOALIGN_PANEL_STATE_BYTES == 8 + 4 + 1 + 2 + 4 + 4 + 2 + 2 + 4 + 4 + 1, "PANEL_STATE");

static inline void isoalign_panel_state_put(uint8_t *at, const isoalign_panel_state_t *m)
{
    isoalign_put(at + 0, m->device_time_us, 8);
    isoalign_put(at + 8, m->state_count, 4);
    isoalign_put(at + 12, m->phase, 1);
    isoalign_put(at + 13, m->fault, 2);
    isoalign_put(at + 15, m->exposure_id, 4);
    isoalign_put(at + 19, m->frame_id, 4);
    isoalign_put(at + 23, m->rows, 2);
    isoalign_put(at + 25, m->columns, 2);
    isoalign_put(at + 27, (uint32_t)m->temperature_mdeg_c, 4);
    isoalign_put(at + 31, m->last_command_id, 4);
    isoalign_put(at + 35, m->last_command_status, 1);
}

static inline void isoalign_panel_state_get(isoalign_panel_state_t *m, const uint8_t *at)
{
    m->device_time_us = (uint64_t)(isoalign_get(at + 0, 8));
    m->state_count = (uint32_t)(isoalign_get(at + 8, 4));
    m->phase = (uint8_t)(isoalign_get(at + 12, 1));
    m->fault = (uint16_t)(isoalign_get(at + 13, 2));
    m->exposure_id = (uint32_t)(isoalign_get(at + 15, 4));
    m->frame_id = (uint32_t)(isoalign_get(at + 19, 4));
    m->rows = (uint16_t)(isoalign_get(at + 23, 2));
    m->columns = (uint16_t)(isoalign_get(at + 25, 2));
    m->temperature_mdeg_c = isoalign_i32(isoalign_get(at + 27, 4));
    m->last_command_id = (uint32_t)(isoalign_get(at + 31, 4));
    m->last_command_status = (uint8_t)(isoalign_get(at + 35, 1));
}

static inline int isoalign_panel_state_valid(const isoalign_panel_state_t *m)
{
    if (isoalign_panel_phase_known(m->phase) == 0) {
        return 0;
    }
    if (isoalign_panel_fault_known(m->fault) == 0) {
        return 0;
    }
    if (m->rows < 1) {
        return 0;
    }
    if (m->columns < 1) {
        return 0;
    }
    if (isoalign_command_status_known(m->last_command_status) == 0) {
        return 0;
    }
    return 1;
}

#define ISOALIGN_ARM_ID 0x0302U
#define ISOALIGN_ARM_SEED 0x2F916A15U
#define ISOALIGN_ARM_BYTES 20
#define ISOALIGN_ARM_COMMAND_ID_MIN (1U)
#define ISOALIGN_ARM_COMMAND_ID_MAX (4294967295U)
#define ISOALIGN_ARM_VALID_UNTIL_US_MIN (0ULL)
#define ISOALIGN_ARM_VALID_UNTIL_US_MAX (18446744073709551615ULL)
#define ISOALIGN_ARM_EXPOSURE_ID_MIN (1U)
#define ISOALIGN_ARM_EXPOSURE_ID_MAX (4294967295U)
#define ISOALIGN_ARM_WINDOW_US_MIN (10000U)
#define ISOALIGN_ARM_WINDOW_US_MAX (60000000U)

typedef struct {
    uint32_t command_id;
    uint64_t valid_until_us;
    uint32_t exposure_id;
    uint32_t window_us;
} isoalign_arm_t;

static_assert(ISOALIGN_ARM_BYTES == 4 + 8 + 4 + 4, "ARM");

static inline void isoalign_arm_put(uint8_t *at, const isoalign_arm_t *m)
{
    isoalign_put(at + 0, m->command_id, 4);
    isoalign_put(at + 4, m->valid_until_us, 8);
    isoalign_put(at + 12, m->exposure_id, 4);
    isoalign_put(at + 16, m->window_us, 4);
}

static inline void isoalign_arm_get(isoalign_arm_t *m, const uint8_t *at)
{
    m->command_id = (uint32_t)(isoalign_get(at + 0, 4));
    m->valid_until_us = (uint64_t)(isoalign_get(at + 4, 8));
    m->exposure_id = (uint32_t)(isoalign_get(at + 12, 4));
    m->window_us = (uint32_t)(isoalign_get(at + 16, 4));
}

static inline int isoalign_arm_valid(const isoalign_arm_t *m)
{
    if (m->command_id < 1U) {
        return 0;
    }
    if (m->exposure_id < 1U) {
        return 0;
    }
    if (m->window_us < 10000U || m->window_us > 60000000U) {
        return 0;
    }
    return 1;
}

#define ISOALIGN_DISARM_ID 0x0303U
#define ISOALIGN_DISARM_SEED 0x37D10B41U
#define ISOALIGN_DISARM_BYTES 12
#define ISOALIGN_DISARM_COMMAND_ID_MIN (1U)
#define ISOALIGN_DISARM_COMMAND_ID_MAX (4294967295U)
#define ISOALIGN_DISARM_VALID_UNTIL_US_MIN (0ULL)
#define ISOALIGN_DISARM_VALID_UNTIL_US_MAX (18446744073709551615ULL)

typedef struct {
    uint32_t command_id;
    uint64_t valid_until_us;
} isoalign_disarm_t;

static_assert(ISOALIGN_DISARM_BYTES == 4 + 8, "DISARM");

static inline void isoalign_disarm_put(uint8_t *at, const isoalign_disarm_t *m)
{
    isoalign_put(at + 0, m->command_id, 4);
    isoalign_put(at + 4, m->valid_until_us, 8);
}

static inline void isoalign_disarm_get(isoalign_disarm_t *m, const uint8_t *at)
{
    m->command_id = (uint32_t)(isoalign_get(at + 0, 4));
    m->valid_until_us = (uint64_t)(isoalign_get(at + 4, 8));
}

static inline int isoalign_disarm_valid(const isoalign_disarm_t *m)
{
    if (m->command_id < 1U) {
        return 0;
    }
    return 1;
}

#define ISOALIGN_FRAME_READY_ID 0x0304U
#define ISOALIGN_FRAME_READY_SEED 0x3D0B5B7FU
#define ISOALIGN_FRAME_READY_BYTES 16
#define ISOALIGN_FRAME_READY_FRAME_ID_MIN (1U)
#define ISOALIGN_FRAME_READY_FRAME_ID_MAX (4294967295U)
#define ISOALIGN_FRAME_READY_EXPOSURE_ID_MIN (1U)
#define ISOALIGN_FRAME_READY_EXPOSURE_ID_MAX (4294967295U)
#define ISOALIGN_FRAME_READY_ROWS_MIN (1)
#define ISOALIGN_FRAME_READY_ROWS_MAX (65535)
#define ISOALIGN_FRAME_READY_COLUMNS_MIN (1)
#define ISOALIGN_FRAME_READY_COLUMNS_MAX (65535)
#define ISOALIGN_FRAME_READY_PIXELS_CRC_MIN (0U)
#define ISOALIGN_FRAME_READY_PIXELS_CRC_MAX (4294967295U)

typedef struct {
    uint32_t frame_id;
    uint32_t exposure_id;
    uint16_t rows;
    uint16_t columns;
    uint32_t pixels_crc;
} isoalign_frame_ready_t;

static_assert(ISOALIGN_FRAME_READY_BYTES == 4 + 4 + 2 + 2 + 4, "FRAME_READY");

static inline void isoalign_frame_ready_put(uint8_t *at, const isoalign_frame_ready_t *m)
{
    isoalign_put(at + 0, m->frame_id, 4);
    isoalign_put(at + 4, m->exposure_id, 4);
    isoalign_put(at + 8, m->rows, 2);
    isoalign_put(at + 10, m->columns, 2);
    isoalign_put(at + 12, m->pixels_crc, 4);
}

static inline void isoalign_frame_ready_get(isoalign_frame_ready_t *m, const uint8_t *at)
{
    m->frame_id = (uint32_t)(isoalign_get(at + 0, 4));
    m->exposure_id = (uint32_t)(isoalign_get(at + 4, 4));
    m->rows = (uint16_t)(isoalign_get(at + 8, 2));
    m->columns = (uint16_t)(isoalign_get(at + 10, 2));
    m->pixels_crc = (uint32_t)(isoalign_get(at + 12, 4));
}

static inline int isoalign_frame_ready_valid(const isoalign_frame_ready_t *m)
{
    if (m->frame_id < 1U) {
        return 0;
    }
    if (m->exposure_id < 1U) {
        return 0;
    }
    if (m->rows < 1) {
        return 0;
    }
    if (m->columns < 1) {
        return 0;
    }
    return 1;
}

#define ISOALIGN_DARK_FRAME_ID 0x0305U
#define ISOALIGN_DARK_FRAME_SEED 0xA9A95B75U
#define ISOALIGN_DARK_FRAME_BYTES 8
#define ISOALIGN_DARK_FRAME_EXPOSURE_ID_MIN (1U)
#define ISOALIGN_DARK_FRAME_EXPOSURE_ID_MAX (4294967295U)
#define ISOALIGN_DARK_FRAME_RESIDUAL_PPM_MIN (0U)
#define ISOALIGN_DARK_FRAME_RESIDUAL_PPM_MAX (4294967294U)

typedef struct {
    uint32_t exposure_id;
    uint32_t residual_ppm;
} isoalign_dark_frame_t;

static_assert(ISOALIGN_DARK_FRAME_BYTES == 4 + 4, "DARK_FRAME");

static inline void isoalign_dark_frame_put(uint8_t *at, const isoalign_dark_frame_t *m)
{
    isoalign_put(at + 0, m->exposure_id, 4);
    isoalign_put(at + 4, m->residual_ppm, 4);
}

static inline void isoalign_dark_frame_get(isoalign_dark_frame_t *m, const uint8_t *at)
{
    m->exposure_id = (uint32_t)(isoalign_get(at + 0, 4));
    m->residual_ppm = (uint32_t)(isoalign_get(at + 4, 4));
}

static inline int isoalign_dark_frame_valid(const isoalign_dark_frame_t *m)
{
    if (m->exposure_id < 1U) {
        return 0;
    }
    return 1;
}

#define ISOALIGN_READ_DARK_ID 0x0306U
#define ISOALIGN_READ_DARK_SEED 0x4DD65DB0U
#define ISOALIGN_READ_DARK_BYTES 16
#define ISOALIGN_READ_DARK_COMMAND_ID_MIN (1U)
#define ISOALIGN_READ_DARK_COMMAND_ID_MAX (4294967295U)
#define ISOALIGN_READ_DARK_VALID_UNTIL_US_MIN (0ULL)
#define ISOALIGN_READ_DARK_VALID_UNTIL_US_MAX (18446744073709551615ULL)
#define ISOALIGN_READ_DARK_EXPOSURE_ID_MIN (1U)
#define ISOALIGN_READ_DARK_EXPOSURE_ID_MAX (4294967295U)

typedef struct {
    uint32_t command_id;
    uint64_t valid_until_us;
    uint32_t exposure_id;
} isoalign_read_dark_t;

static_assert(ISOALIGN_READ_DARK_BYTES == 4 + 8 + 4, "READ_DARK");

static inline void isoalign_read_dark_put(uint8_t *at, const isoalign_read_dark_t *m)
{
    isoalign_put(at + 0, m->command_id, 4);
    isoalign_put(at + 4, m->valid_until_us, 8);
    isoalign_put(at + 12, m->exposure_id, 4);
}

static inline void isoalign_read_dark_get(isoalign_read_dark_t *m, const uint8_t *at)
{
    m->command_id = (uint32_t)(isoalign_get(at + 0, 4));
    m->valid_until_us = (uint64_t)(isoalign_get(at + 4, 8));
    m->exposure_id = (uint32_t)(isoalign_get(at + 12, 4));
}

static inline int isoalign_read_dark_valid(const isoalign_read_dark_t *m)
{
    if (m->command_id < 1U) {
        return 0;
    }
    if (m->exposure_id < 1U) {
        return 0;
    }
    return 1;
}

#define ISOALIGN_IMAGE_CHUNK_ID 0x0381U
#define ISOALIGN_IMAGE_CHUNK_SEED 0x37F1DA61U
#define ISOALIGN_IMAGE_CHUNK_BYTES 16
#define ISOALIGN_IMAGE_CHUNK_FRAME_ID_MIN (1U)
#define ISOALIGN_IMAGE_CHUNK_FRAME_ID_MAX (4294967295U)
#define ISOALIGN_IMAGE_CHUNK_EXPOSURE_ID_MIN (1U)
#define ISOALIGN_IMAGE_CHUNK_EXPOSURE_ID_MAX (4294967295U)
#define ISOALIGN_IMAGE_CHUNK_ROWS_MIN (1)
#define ISOALIGN_IMAGE_CHUNK_ROWS_MAX (65535)
#define ISOALIGN_IMAGE_CHUNK_COLUMNS_MIN (1)
#define ISOALIGN_IMAGE_CHUNK_COLUMNS_MAX (65535)
#define ISOALIGN_IMAGE_CHUNK_FIRST_ROW_MIN (0)
#define ISOALIGN_IMAGE_CHUNK_FIRST_ROW_MAX (65535)
#define ISOALIGN_IMAGE_CHUNK_ROW_COUNT_MIN (1)
#define ISOALIGN_IMAGE_CHUNK_ROW_COUNT_MAX (65535)

typedef struct {
    uint32_t frame_id;
    uint32_t exposure_id;
    uint16_t rows;
    uint16_t columns;
    uint16_t first_row;
    uint16_t row_count;
} isoalign_image_chunk_t;

static_assert(ISOALIGN_IMAGE_CHUNK_BYTES == 4 + 4 + 2 + 2 + 2 + 2, "IMAGE_CHUNK");

static inline void isoalign_image_chunk_put(uint8_t *at, const isoalign_image_chunk_t *m)
{
    isoalign_put(at + 0, m->frame_id, 4);
    isoalign_put(at + 4, m->exposure_id, 4);
    isoalign_put(at + 8, m->rows, 2);
    isoalign_put(at + 10, m->columns, 2);
    isoalign_put(at + 12, m->first_row, 2);
    isoalign_put(at + 14, m->row_count, 2);
}

static inline void isoalign_image_chunk_get(isoalign_image_chunk_t *m, const uint8_t *at)
{
    m->frame_id = (uint32_t)(isoalign_get(at + 0, 4));
    m->exposure_id = (uint32_t)(isoalign_get(at + 4, 4));
    m->rows = (uint16_t)(isoalign_get(at + 8, 2));
    m->columns = (uint16_t)(isoalign_get(at + 10, 2));
    m->first_row = (uint16_t)(isoalign_get(at + 12, 2));
    m->row_count = (uint16_t)(isoalign_get(at + 14, 2));
}

static inline int isoalign_image_chunk_valid(const isoalign_image_chunk_t *m)
{
    if (m->frame_id < 1U) {
        return 0;
    }
    if (m->exposure_id < 1U) {
        return 0;
    }
    if (m->rows < 1) {
        return 0;
    }
    if (m->columns < 1) {
        return 0;
    }
    if (m->row_count < 1) {
        return 0;
    }
    return 1;
}

#define ISOALIGN_IMAGE_END_ID 0x0382U
#define ISOALIGN_IMAGE_END_SEED 0xE57DEE94U
#define ISOALIGN_IMAGE_END_BYTES 16
#define ISOALIGN_IMAGE_END_FRAME_ID_MIN (1U)
#define ISOALIGN_IMAGE_END_FRAME_ID_MAX (4294967295U)
#define ISOALIGN_IMAGE_END_EXPOSURE_ID_MIN (1U)
#define ISOALIGN_IMAGE_END_EXPOSURE_ID_MAX (4294967295U)
#define ISOALIGN_IMAGE_END_ROWS_MIN (1)
#define ISOALIGN_IMAGE_END_ROWS_MAX (65535)
#define ISOALIGN_IMAGE_END_COLUMNS_MIN (1)
#define ISOALIGN_IMAGE_END_COLUMNS_MAX (65535)
#define ISOALIGN_IMAGE_END_PIXELS_CRC_MIN (0U)
#define ISOALIGN_IMAGE_END_PIXELS_CRC_MAX (4294967295U)

typedef struct {
    uint32_t frame_id;
    uint32_t exposure_id;
    uint16_t rows;
    uint16_t columns;
    uint32_t pixels_crc;
} isoalign_image_end_t;

static_assert(ISOALIGN_IMAGE_END_BYTES == 4 + 4 + 2 + 2 + 4, "IMAGE_END");

static inline void isoalign_image_end_put(uint8_t *at, const isoalign_image_end_t *m)
{
    isoalign_put(at + 0, m->frame_id, 4);
    isoalign_put(at + 4, m->exposure_id, 4);
    isoalign_put(at + 8, m->rows, 2);
    isoalign_put(at + 10, m->columns, 2);
    isoalign_put(at + 12, m->pixels_crc, 4);
}

static inline void isoalign_image_end_get(isoalign_image_end_t *m, const uint8_t *at)
{
    m->frame_id = (uint32_t)(isoalign_get(at + 0, 4));
    m->exposure_id = (uint32_t)(isoalign_get(at + 4, 4));
    m->rows = (uint16_t)(isoalign_get(at + 8, 2));
    m->columns = (uint16_t)(isoalign_get(at + 10, 2));
    m->pixels_crc = (uint32_t)(isoalign_get(at + 12, 4));
}

static inline int isoalign_image_end_valid(const isoalign_image_end_t *m)
{
    if (m->frame_id < 1U) {
        return 0;
    }
    if (m->exposure_id < 1U) {
        return 0;
    }
    if (m->rows < 1) {
        return 0;
    }
    if (m->columns < 1) {
        return 0;
    }
    return 1;
}

#define ISOALIGN_IMAGE_RESEND_ID 0x0383U
#define ISOALIGN_IMAGE_RESEND_SEED 0x7AB55BA4U
#define ISOALIGN_IMAGE_RESEND_BYTES 8
#define ISOALIGN_IMAGE_RESEND_FRAME_ID_MIN (1U)
#define ISOALIGN_IMAGE_RESEND_FRAME_ID_MAX (4294967295U)
#define ISOALIGN_IMAGE_RESEND_FIRST_ROW_MIN (0)
#define ISOALIGN_IMAGE_RESEND_FIRST_ROW_MAX (65535)
#define ISOALIGN_IMAGE_RESEND_ROW_COUNT_MIN (1)
#define ISOALIGN_IMAGE_RESEND_ROW_COUNT_MAX (65535)

typedef struct {
    uint32_t frame_id;
    uint16_t first_row;
    uint16_t row_count;
} isoalign_image_resend_t;

static_assert(ISOALIGN_IMAGE_RESEND_BYTES == 4 + 2 + 2, "IMAGE_RESEND");

static inline void isoalign_image_resend_put(uint8_t *at, const isoalign_image_resend_t *m)
{
    isoalign_put(at + 0, m->frame_id, 4);
    isoalign_put(at + 4, m->first_row, 2);
    isoalign_put(at + 6, m->row_count, 2);
}

static inline void isoalign_image_resend_get(isoalign_image_resend_t *m, const uint8_t *at)
{
    m->frame_id = (uint32_t)(isoalign_get(at + 0, 4));
    m->first_row = (uint16_t)(isoalign_get(at + 4, 2));
    m->row_count = (uint16_t)(isoalign_get(at + 6, 2));
}

static inline int isoalign_image_resend_valid(const isoalign_image_resend_t *m)
{
    if (m->frame_id < 1U) {
        return 0;
    }
    if (m->row_count < 1) {
        return 0;
    }
    return 1;
}

#define ISOALIGN_IMAGE_RELEASE_ID 0x0384U
#define ISOALIGN_IMAGE_RELEASE_SEED 0x472D92BCU
#define ISOALIGN_IMAGE_RELEASE_BYTES 4
#define ISOALIGN_IMAGE_RELEASE_FRAME_ID_MIN (1U)
#define ISOALIGN_IMAGE_RELEASE_FRAME_ID_MAX (4294967295U)

typedef struct {
    uint32_t frame_id;
} isoalign_image_release_t;

static_assert(ISOALIGN_IMAGE_RELEASE_BYTES == 4, "IMAGE_RELEASE");

static inline void isoalign_image_release_put(uint8_t *at, const isoalign_image_release_t *m)
{
    isoalign_put(at + 0, m->frame_id, 4);
}

static inline void isoalign_image_release_get(isoalign_image_release_t *m, const uint8_t *at)
{
    m->frame_id = (uint32_t)(isoalign_get(at + 0, 4));
}

static inline int isoalign_image_release_valid(const isoalign_image_release_t *m)
{
    if (m->frame_id < 1U) {
        return 0;
    }
    return 1;
}

#define ISOALIGN_PENDANT_STATE_ID 0x0401U
#define ISOALIGN_PENDANT_STATE_SEED 0x31DC4E8FU
#define ISOALIGN_PENDANT_STATE_BYTES 21
#define ISOALIGN_PENDANT_STATE_DEVICE_TIME_US_MIN (0ULL)
#define ISOALIGN_PENDANT_STATE_DEVICE_TIME_US_MAX (18446744073709551615ULL)
#define ISOALIGN_PENDANT_STATE_STATE_COUNT_MIN (0U)
#define ISOALIGN_PENDANT_STATE_STATE_COUNT_MAX (4294967295U)
#define ISOALIGN_PENDANT_STATE_PRESS_COUNT_MIN (0U)
#define ISOALIGN_PENDANT_STATE_PRESS_COUNT_MAX (4294967294U)
#define ISOALIGN_PENDANT_STATE_TOKEN_COUNTER_MIN (0U)
#define ISOALIGN_PENDANT_STATE_TOKEN_COUNTER_MAX (4294967294U)

typedef struct {
    uint64_t device_time_us;
    uint32_t state_count;
    uint8_t bar;
    uint32_t press_count;
    uint32_t token_counter;
} isoalign_pendant_state_t;

static_assert(ISOALIGN_PENDANT_STATE_BYTES == 8 + 4 + 1 + 4 + 4, "PENDANT_STATE");

static inline void isoalign_pendant_state_put(uint8_t *at, const isoalign_pendant_state_t *m)
{
    isoalign_put(at + 0, m->device_time_us, 8);
    isoalign_put(at + 8, m->state_count, 4);
    isoalign_put(at + 12, m->bar, 1);
    isoalign_put(at + 13, m->press_count, 4);
    isoalign_put(at + 17, m->token_counter, 4);
}

static inline void isoalign_pendant_state_get(isoalign_pendant_state_t *m, const uint8_t *at)
{
    m->device_time_us = (uint64_t)(isoalign_get(at + 0, 8));
    m->state_count = (uint32_t)(isoalign_get(at + 8, 4));
    m->bar = (uint8_t)(isoalign_get(at + 12, 1));
    m->press_count = (uint32_t)(isoalign_get(at + 13, 4));
    m->token_counter = (uint32_t)(isoalign_get(at + 17, 4));
}

static inline int isoalign_pendant_state_valid(const isoalign_pendant_state_t *m)
{
    if (isoalign_bar_position_known(m->bar) == 0) {
        return 0;
    }
    if (m->press_count > 4294967294U) {
        return 0;
    }
    if (m->token_counter > 4294967294U) {
        return 0;
    }
    return 1;
}

#define ISOALIGN_GANTRY_STATE_ID 0x0501U
#define ISOALIGN_GANTRY_STATE_SEED 0xC10321A0U
#define ISOALIGN_GANTRY_STATE_BYTES 69
#define ISOALIGN_GANTRY_STATE_DEVICE_TIME_US_MIN (0ULL)
#define ISOALIGN_GANTRY_STATE_DEVICE_TIME_US_MAX (18446744073709551615ULL)
#define ISOALIGN_GANTRY_STATE_STATE_COUNT_MIN (0U)
#define ISOALIGN_GANTRY_STATE_STATE_COUNT_MAX (4294967295U)
#define ISOALIGN_GANTRY_STATE_LAST_COMMAND_ID_MIN (0U)
#define ISOALIGN_GANTRY_STATE_LAST_COMMAND_ID_MAX (4294967295U)
#define ISOALIGN_GANTRY_STATE_HOST_COUNTER_MIN (0U)
#define ISOALIGN_GANTRY_STATE_HOST_COUNTER_MAX (4294967294U)
#define ISOALIGN_GANTRY_STATE_CLIENT_COUNTER_MIN (0U)
#define ISOALIGN_GANTRY_STATE_CLIENT_COUNTER_MAX (4294967294U)
#define ISOALIGN_GANTRY_STATE_PRESS_COUNT_MIN (0U)
#define ISOALIGN_GANTRY_STATE_PRESS_COUNT_MAX (4294967294U)
#define ISOALIGN_GANTRY_STATE_TOKEN_COUNTER_MIN (0U)
#define ISOALIGN_GANTRY_STATE_TOKEN_COUNTER_MAX (4294967294U)
#define ISOALIGN_GANTRY_STATE_TOKEN_AGE_US_MIN (0U)
#define ISOALIGN_GANTRY_STATE_TOKEN_AGE_US_MAX (4294967294U)
#define ISOALIGN_GANTRY_STATE_PRIMARY_UDEG_MIN (-2147483647)
#define ISOALIGN_GANTRY_STATE_PRIMARY_UDEG_MAX (2147483647)
#define ISOALIGN_GANTRY_STATE_SECONDARY_UDEG_MIN (-2147483647)
#define ISOALIGN_GANTRY_STATE_SECONDARY_UDEG_MAX (2147483647)
#define ISOALIGN_GANTRY_STATE_VELOCITY_UDEG_PER_S_MIN (-2147483647)
#define ISOALIGN_GANTRY_STATE_VELOCITY_UDEG_PER_S_MAX (2147483647)
#define ISOALIGN_GANTRY_STATE_TARGET_UDEG_MIN (-2147483647)
#define ISOALIGN_GANTRY_STATE_TARGET_UDEG_MAX (2147483647)
#define ISOALIGN_GANTRY_STATE_SCAN_ID_MIN (0U)
#define ISOALIGN_GANTRY_STATE_SCAN_ID_MAX (4294967295U)
#define ISOALIGN_GANTRY_STATE_TRIGGER_COUNT_MIN (0U)
#define ISOALIGN_GANTRY_STATE_TRIGGER_COUNT_MAX (4294967295U)

typedef struct {
    uint64_t device_time_us;
    uint32_t state_count;
    uint8_t mode;
    uint16_t latch;
    uint32_t status;
    uint32_t last_command_id;
    uint8_t last_command_status;
    uint32_t host_counter;
    uint32_t client_counter;
    uint32_t press_count;
    uint32_t token_counter;
    uint32_t token_age_us;
    uint8_t imager_arm;
    int32_t primary_udeg;
    int32_t secondary_udeg;
    int32_t velocity_udeg_per_s;
    int32_t target_udeg;
    uint32_t scan_id;
    uint32_t trigger_count;
} isoalign_gantry_state_t;

static_assert(ISOALIGN_GANTRY_STATE_BYTES == 8 + 4 + 1 + 2 + 4 + 4 + 1 + 4 + 4 + 4 + 4 + 4 + 1 + 4 + 4 + 4 + 4 + 4 + 4, "GANTRY_STATE");

static inline void isoalign_gantry_state_put(uint8_t *at, const isoalign_gantry_state_t *m)
{
    isoalign_put(at + 0, m->device_time_us, 8);
    isoalign_put(at + 8, m->state_count, 4);
    isoalign_put(at + 12, m->mode, 1);
    isoalign_put(at + 13, m->latch, 2);
    isoalign_put(at + 15, m->status, 4);
    isoalign_put(at + 19, m->last_command_id, 4);
    isoalign_put(at + 23, m->last_command_status, 1);
    isoalign_put(at + 24, m->host_counter, 4);
    isoalign_put(at + 28, m->client_counter, 4);
    isoalign_put(at + 32, m->press_count, 4);
    isoalign_put(at + 36, m->token_counter, 4);
    isoalign_put(at + 40, m->token_age_us, 4);
    isoalign_put(at + 44, m->imager_arm, 1);
    isoalign_put(at + 45, (uint32_t)m->primary_udeg, 4);
    isoalign_put(at + 49, (uint32_t)m->secondary_udeg, 4);
    isoalign_put(at + 53, (uint32_t)m->velocity_udeg_per_s, 4);
    isoalign_put(at + 57, (uint32_t)m->target_udeg, 4);
    isoalign_put(at + 61, m->scan_id, 4);
    isoalign_put(at + 65, m->trigger_count, 4);
}

static inline void isoalign_gantry_state_get(isoalign_gantry_state_t *m, const uint8_t *at)
{
    m->device_time_us = (uint64_t)(isoalign_get(at + 0, 8));
    m->state_count = (uint32_t)(isoalign_get(at + 8, 4));
    m->mode = (uint8_t)(isoalign_get(at + 12, 1));
    m->latch = (uint16_t)(isoalign_get(at + 13, 2));
    m->status = (uint32_t)(isoalign_get(at + 15, 4));
    m->last_command_id = (uint32_t)(isoalign_get(at + 19, 4));
    m->last_command_status = (uint8_t)(isoalign_get(at + 23, 1));
    m->host_counter = (uint32_t)(isoalign_get(at + 24, 4));
    m->client_counter = (uint32_t)(isoalign_get(at + 28, 4));
    m->press_count = (uint32_t)(isoalign_get(at + 32, 4));
    m->token_counter = (uint32_t)(isoalign_get(at + 36, 4));
    m->token_age_us = (uint32_t)(isoalign_get(at + 40, 4));
    m->imager_arm = (uint8_t)(isoalign_get(at + 44, 1));
    m->primary_udeg = isoalign_i32(isoalign_get(at + 45, 4));
    m->secondary_udeg = isoalign_i32(isoalign_get(at + 49, 4));
    m->velocity_udeg_per_s = isoalign_i32(isoalign_get(at + 53, 4));
    m->target_udeg = isoalign_i32(isoalign_get(at + 57, 4));
    m->scan_id = (uint32_t)(isoalign_get(at + 61, 4));
    m->trigger_count = (uint32_t)(isoalign_get(at + 65, 4));
}

static inline int isoalign_gantry_state_valid(const isoalign_gantry_state_t *m)
{
    if (isoalign_gantry_mode_known(m->mode) == 0) {
        return 0;
    }
    if (isoalign_gantry_latch_known(m->latch) == 0) {
        return 0;
    }
    if (isoalign_gantry_status_known(m->status) == 0) {
        return 0;
    }
    if (isoalign_command_status_known(m->last_command_status) == 0) {
        return 0;
    }
    if (isoalign_imager_arm_state_known(m->imager_arm) == 0) {
        return 0;
    }
    return 1;
}

#define ISOALIGN_GANTRY_INFO_ID 0x0502U
#define ISOALIGN_GANTRY_INFO_SEED 0xA1B7478DU
#define ISOALIGN_GANTRY_INFO_BYTES 40
#define ISOALIGN_GANTRY_INFO_TRAVEL_MIN_UDEG_MIN (-2147483647)
#define ISOALIGN_GANTRY_INFO_TRAVEL_MIN_UDEG_MAX (2147483647)
#define ISOALIGN_GANTRY_INFO_TRAVEL_MAX_UDEG_MIN (-2147483647)
#define ISOALIGN_GANTRY_INFO_TRAVEL_MAX_UDEG_MAX (2147483647)
#define ISOALIGN_GANTRY_INFO_SPEED_MAX_UDEG_PER_S_MIN (1U)
#define ISOALIGN_GANTRY_INFO_SPEED_MAX_UDEG_PER_S_MAX (4294967295U)
#define ISOALIGN_GANTRY_INFO_ACCELERATION_MAX_UDEG_PER_S2_MIN (1U)
#define ISOALIGN_GANTRY_INFO_ACCELERATION_MAX_UDEG_PER_S2_MAX (4294967295U)
#define ISOALIGN_GANTRY_INFO_JERK_MAX_UDEG_PER_S3_MIN (1U)
#define ISOALIGN_GANTRY_INFO_JERK_MAX_UDEG_PER_S3_MAX (4294967295U)
#define ISOALIGN_GANTRY_INFO_PRIMARY_RESOLUTION_UDEG_MIN (1U)
#define ISOALIGN_GANTRY_INFO_PRIMARY_RESOLUTION_UDEG_MAX (4294967295U)
#define ISOALIGN_GANTRY_INFO_SECONDARY_RESOLUTION_UDEG_MIN (1U)
#define ISOALIGN_GANTRY_INFO_SECONDARY_RESOLUTION_UDEG_MAX (4294967295U)
#define ISOALIGN_GANTRY_INFO_SERVO_LAG_US_MIN (0U)
#define ISOALIGN_GANTRY_INFO_SERVO_LAG_US_MAX (4294967295U)
#define ISOALIGN_GANTRY_INFO_SECONDARY_LAG_US_MIN (0U)
#define ISOALIGN_GANTRY_INFO_SECONDARY_LAG_US_MAX (4294967295U)
#define ISOALIGN_GANTRY_INFO_ARM_TRAVEL_US_MIN (1U)
#define ISOALIGN_GANTRY_INFO_ARM_TRAVEL_US_MAX (4294967295U)

typedef struct {
    int32_t travel_min_udeg;
    int32_t travel_max_udeg;
    uint32_t speed_max_udeg_per_s;
    uint32_t acceleration_max_udeg_per_s2;
    uint32_t jerk_max_udeg_per_s3;
    uint32_t primary_resolution_udeg;
    uint32_t secondary_resolution_udeg;
    uint32_t servo_lag_us;
    uint32_t secondary_lag_us;
    uint32_t arm_travel_us;
} isoalign_gantry_info_t;

static_assert(ISOALIGN_GANTRY_INFO_BYTES == 4 + 4 + 4 + 4 + 4 + 4 + 4 + 4 + 4 + 4, "GANTRY_INFO");

static inline void isoalign_gantry_info_put(uint8_t *at, const isoalign_gantry_info_t *m)
{
    isoalign_put(at + 0, (uint32_t)m->travel_min_udeg, 4);
    isoalign_put(at + 4, (uint32_t)m->travel_max_udeg, 4);
    isoalign_put(at + 8, m->speed_max_udeg_per_s, 4);
    isoalign_put(at + 12, m->acceleration_max_udeg_per_s2, 4);
    isoalign_put(at + 16, m->jerk_max_udeg_per_s3, 4);
    isoalign_put(at + 20, m->primary_resolution_udeg, 4);
    isoalign_put(at + 24, m->secondary_resolution_udeg, 4);
    isoalign_put(at + 28, m->servo_lag_us, 4);
    isoalign_put(at + 32, m->secondary_lag_us, 4);
    isoalign_put(at + 36, m->arm_travel_us, 4);
}

static inline void isoalign_gantry_info_get(isoalign_gantry_info_t *m, const uint8_t *at)
{
    m->travel_min_udeg = isoalign_i32(isoalign_get(at + 0, 4));
    m->travel_max_udeg = isoalign_i32(isoalign_get(at + 4, 4));
    m->speed_max_udeg_per_s = (uint32_t)(isoalign_get(at + 8, 4));
    m->acceleration_max_udeg_per_s2 = (uint32_t)(isoalign_get(at + 12, 4));
    m->jerk_max_udeg_per_s3 = (uint32_t)(isoalign_get(at + 16, 4));
    m->primary_resolution_udeg = (uint32_t)(isoalign_get(at + 20, 4));
    m->secondary_resolution_udeg = (uint32_t)(isoalign_get(at + 24, 4));
    m->servo_lag_us = (uint32_t)(isoalign_get(at + 28, 4));
    m->secondary_lag_us = (uint32_t)(isoalign_get(at + 32, 4));
    m->arm_travel_us = (uint32_t)(isoalign_get(at + 36, 4));
}

static inline int isoalign_gantry_info_valid(const isoalign_gantry_info_t *m)
{
    if (m->travel_min_udeg < -2147483647) {
        return 0;
    }
    if (m->travel_max_udeg < -2147483647) {
        return 0;
    }
    if (m->speed_max_udeg_per_s < 1U) {
        return 0;
    }
    if (m->acceleration_max_udeg_per_s2 < 1U) {
        return 0;
    }
    if (m->jerk_max_udeg_per_s3 < 1U) {
        return 0;
    }
    if (m->primary_resolution_udeg < 1U) {
        return 0;
    }
    if (m->secondary_resolution_udeg < 1U) {
        return 0;
    }
    if (m->arm_travel_us < 1U) {
        return 0;
    }
    return 1;
}

#define ISOALIGN_GANTRY_ENABLE_TOKEN_ID 0x0503U
#define ISOALIGN_GANTRY_ENABLE_TOKEN_SEED 0x7A08DD38U
#define ISOALIGN_GANTRY_ENABLE_TOKEN_BYTES 9
#define ISOALIGN_GANTRY_ENABLE_TOKEN_PRESS_COUNT_MIN (0U)
#define ISOALIGN_GANTRY_ENABLE_TOKEN_PRESS_COUNT_MAX (4294967294U)
#define ISOALIGN_GANTRY_ENABLE_TOKEN_TOKEN_COUNTER_MIN (0U)
#define ISOALIGN_GANTRY_ENABLE_TOKEN_TOKEN_COUNTER_MAX (4294967294U)

typedef struct {
    uint8_t bar;
    uint32_t press_count;
    uint32_t token_counter;
} isoalign_gantry_enable_token_t;

static_assert(ISOALIGN_GANTRY_ENABLE_TOKEN_BYTES == 1 + 4 + 4, "GANTRY_ENABLE_TOKEN");

static inline void isoalign_gantry_enable_token_put(uint8_t *at, const isoalign_gantry_enable_token_t *m)
{
    isoalign_put(at + 0, m->bar, 1);
    isoalign_put(at + 1, m->press_count, 4);
    isoalign_put(at + 5, m->token_counter, 4);
}

static inline void isoalign_gantry_enable_token_get(isoalign_gantry_enable_token_t *m, const uint8_t *at)
{
    m->bar = (uint8_t)(isoalign_get(at + 0, 1));
    m->press_count = (uint32_t)(isoalign_get(at + 1, 4));
    m->token_counter = (uint32_t)(isoalign_get(at + 5, 4));
}

static inline int isoalign_gantry_enable_token_valid(const isoalign_gantry_enable_token_t *m)
{
    if (isoalign_bar_position_known(m->bar) == 0) {
        return 0;
    }
    if (m->press_count > 4294967294U) {
        return 0;
    }
    if (m->token_counter > 4294967294U) {
        return 0;
    }
    return 1;
}

#define ISOALIGN_GANTRY_ROTATE_ID 0x0504U
#define ISOALIGN_GANTRY_ROTATE_SEED 0x11DAEC3BU
#define ISOALIGN_GANTRY_ROTATE_BYTES 24
#define ISOALIGN_GANTRY_ROTATE_COMMAND_ID_MIN (1U)
#define ISOALIGN_GANTRY_ROTATE_COMMAND_ID_MAX (4294967295U)
#define ISOALIGN_GANTRY_ROTATE_VALID_UNTIL_US_MIN (0ULL)
#define ISOALIGN_GANTRY_ROTATE_VALID_UNTIL_US_MAX (18446744073709551615ULL)
#define ISOALIGN_GANTRY_ROTATE_SPEED_UDEG_PER_S_MIN (1U)
#define ISOALIGN_GANTRY_ROTATE_SPEED_UDEG_PER_S_MAX (7000000U)
#define ISOALIGN_GANTRY_ROTATE_TARGET_UDEG_MIN (-400000000)
#define ISOALIGN_GANTRY_ROTATE_TARGET_UDEG_MAX (400000000)
#define ISOALIGN_GANTRY_ROTATE_EXPECTED_START_UDEG_MIN (-400000000)
#define ISOALIGN_GANTRY_ROTATE_EXPECTED_START_UDEG_MAX (400000000)

typedef struct {
    uint32_t command_id;
    uint64_t valid_until_us;
    uint32_t speed_udeg_per_s;
    int32_t target_udeg;
    int32_t expected_start_udeg;
} isoalign_gantry_rotate_t;

static_assert(ISOALIGN_GANTRY_ROTATE_BYTES == 4 + 8 + 4 + 4 + 4, "GANTRY_ROTATE");

static inline void isoalign_gantry_rotate_put(uint8_t *at, const isoalign_gantry_rotate_t *m)
{
    isoalign_put(at + 0, m->command_id, 4);
    isoalign_put(at + 4, m->valid_until_us, 8);
    isoalign_put(at + 12, m->speed_udeg_per_s, 4);
    isoalign_put(at + 16, (uint32_t)m->target_udeg, 4);
    isoalign_put(at + 20, (uint32_t)m->expected_start_udeg, 4);
}

static inline void isoalign_gantry_rotate_get(isoalign_gantry_rotate_t *m, const uint8_t *at)
{
    m->command_id = (uint32_t)(isoalign_get(at + 0, 4));
    m->valid_until_us = (uint64_t)(isoalign_get(at + 4, 8));
    m->speed_udeg_per_s = (uint32_t)(isoalign_get(at + 12, 4));
    m->target_udeg = isoalign_i32(isoalign_get(at + 16, 4));
    m->expected_start_udeg = isoalign_i32(isoalign_get(at + 20, 4));
}

static inline int isoalign_gantry_rotate_valid(const isoalign_gantry_rotate_t *m)
{
    if (m->command_id < 1U) {
        return 0;
    }
    if (m->speed_udeg_per_s < 1U || m->speed_udeg_per_s > 7000000U) {
        return 0;
    }
    if (m->target_udeg < -400000000 || m->target_udeg > 400000000) {
        return 0;
    }
    if (m->expected_start_udeg != ISOALIGN_I32_NOT_AVAILABLE && (m->expected_start_udeg < -400000000 || m->expected_start_udeg > 400000000)) {
        return 0;
    }
    return 1;
}

#define ISOALIGN_GANTRY_STOP_ID 0x0505U
#define ISOALIGN_GANTRY_STOP_SEED 0x8E0C6B5BU
#define ISOALIGN_GANTRY_STOP_BYTES 1

typedef struct {
    uint8_t reason;
} isoalign_gantry_stop_t;

static_assert(ISOALIGN_GANTRY_STOP_BYTES == 1, "GANTRY_STOP");

static inline void isoalign_gantry_stop_put(uint8_t *at, const isoalign_gantry_stop_t *m)
{
    isoalign_put(at + 0, m->reason, 1);
}

static inline void isoalign_gantry_stop_get(isoalign_gantry_stop_t *m, const uint8_t *at)
{
    m->reason = (uint8_t)(isoalign_get(at + 0, 1));
}

static inline int isoalign_gantry_stop_valid(const isoalign_gantry_stop_t *m)
{
    if (isoalign_gantry_stop_reason_known(m->reason) == 0) {
        return 0;
    }
    return 1;
}

#define ISOALIGN_GANTRY_CLEAR_ID 0x0506U
#define ISOALIGN_GANTRY_CLEAR_SEED 0x6A72964DU
#define ISOALIGN_GANTRY_CLEAR_BYTES 14
#define ISOALIGN_GANTRY_CLEAR_COMMAND_ID_MIN (1U)
#define ISOALIGN_GANTRY_CLEAR_COMMAND_ID_MAX (4294967295U)
#define ISOALIGN_GANTRY_CLEAR_VALID_UNTIL_US_MIN (0ULL)
#define ISOALIGN_GANTRY_CLEAR_VALID_UNTIL_US_MAX (18446744073709551615ULL)

typedef struct {
    uint32_t command_id;
    uint64_t valid_until_us;
    uint16_t latch;
} isoalign_gantry_clear_t;

static_assert(ISOALIGN_GANTRY_CLEAR_BYTES == 4 + 8 + 2, "GANTRY_CLEAR");

static inline void isoalign_gantry_clear_put(uint8_t *at, const isoalign_gantry_clear_t *m)
{
    isoalign_put(at + 0, m->command_id, 4);
    isoalign_put(at + 4, m->valid_until_us, 8);
    isoalign_put(at + 12, m->latch, 2);
}

static inline void isoalign_gantry_clear_get(isoalign_gantry_clear_t *m, const uint8_t *at)
{
    m->command_id = (uint32_t)(isoalign_get(at + 0, 4));
    m->valid_until_us = (uint64_t)(isoalign_get(at + 4, 8));
    m->latch = (uint16_t)(isoalign_get(at + 12, 2));
}

static inline int isoalign_gantry_clear_valid(const isoalign_gantry_clear_t *m)
{
    if (m->command_id < 1U) {
        return 0;
    }
    if (isoalign_gantry_latch_known(m->latch) == 0) {
        return 0;
    }
    return 1;
}

#define ISOALIGN_IMAGER_ARM_MOVE_ID 0x0507U
#define ISOALIGN_IMAGER_ARM_MOVE_SEED 0xFF8C961AU
#define ISOALIGN_IMAGER_ARM_MOVE_BYTES 13
#define ISOALIGN_IMAGER_ARM_MOVE_COMMAND_ID_MIN (1U)
#define ISOALIGN_IMAGER_ARM_MOVE_COMMAND_ID_MAX (4294967295U)
#define ISOALIGN_IMAGER_ARM_MOVE_VALID_UNTIL_US_MIN (0ULL)
#define ISOALIGN_IMAGER_ARM_MOVE_VALID_UNTIL_US_MAX (18446744073709551615ULL)

typedef struct {
    uint32_t command_id;
    uint64_t valid_until_us;
    uint8_t arm_end;
} isoalign_imager_arm_move_t;

static_assert(ISOALIGN_IMAGER_ARM_MOVE_BYTES == 4 + 8 + 1, "IMAGER_ARM_MOVE");

static inline void isoalign_imager_arm_move_put(uint8_t *at, const isoalign_imager_arm_move_t *m)
{
    isoalign_put(at + 0, m->command_id, 4);
    isoalign_put(at + 4, m->valid_until_us, 8);
    isoalign_put(at + 12, m->arm_end, 1);
}

static inline void isoalign_imager_arm_move_get(isoalign_imager_arm_move_t *m, const uint8_t *at)
{
    m->command_id = (uint32_t)(isoalign_get(at + 0, 4));
    m->valid_until_us = (uint64_t)(isoalign_get(at + 4, 8));
    m->arm_end = (uint8_t)(isoalign_get(at + 12, 1));
}

static inline int isoalign_imager_arm_move_valid(const isoalign_imager_arm_move_t *m)
{
    if (m->command_id < 1U) {
        return 0;
    }
    if (isoalign_imager_arm_end_known(m->arm_end) == 0) {
        return 0;
    }
    return 1;
}

#define ISOALIGN_CONE_BEAM_ROTATE_ID 0x0508U
#define ISOALIGN_CONE_BEAM_ROTATE_SEED 0x291B107AU
#define ISOALIGN_CONE_BEAM_ROTATE_BYTES 36
#define ISOALIGN_CONE_BEAM_ROTATE_COMMAND_ID_MIN (1U)
#define ISOALIGN_CONE_BEAM_ROTATE_COMMAND_ID_MAX (4294967295U)
#define ISOALIGN_CONE_BEAM_ROTATE_VALID_UNTIL_US_MIN (0ULL)
#define ISOALIGN_CONE_BEAM_ROTATE_VALID_UNTIL_US_MAX (18446744073709551615ULL)
#define ISOALIGN_CONE_BEAM_ROTATE_SCAN_ID_MIN (1U)
#define ISOALIGN_CONE_BEAM_ROTATE_SCAN_ID_MAX (4294967295U)
#define ISOALIGN_CONE_BEAM_ROTATE_FROM_UDEG_MIN (-400000000)
#define ISOALIGN_CONE_BEAM_ROTATE_FROM_UDEG_MAX (400000000)
#define ISOALIGN_CONE_BEAM_ROTATE_TO_UDEG_MIN (-400000000)
#define ISOALIGN_CONE_BEAM_ROTATE_TO_UDEG_MAX (400000000)
#define ISOALIGN_CONE_BEAM_ROTATE_SPEED_UDEG_PER_S_MIN (1U)
#define ISOALIGN_CONE_BEAM_ROTATE_SPEED_UDEG_PER_S_MAX (7000000U)
#define ISOALIGN_CONE_BEAM_ROTATE_TRIGGER_SPACING_UDEG_MIN (10000U)
#define ISOALIGN_CONE_BEAM_ROTATE_TRIGGER_SPACING_UDEG_MAX (90000000U)
#define ISOALIGN_CONE_BEAM_ROTATE_EXPECTED_START_UDEG_MIN (-400000000)
#define ISOALIGN_CONE_BEAM_ROTATE_EXPECTED_START_UDEG_MAX (400000000)

typedef struct {
    uint32_t command_id;
    uint64_t valid_until_us;
    uint32_t scan_id;
    int32_t from_udeg;
    int32_t to_udeg;
    uint32_t speed_udeg_per_s;
    uint32_t trigger_spacing_udeg;
    int32_t expected_start_udeg;
} isoalign_cone_beam_rotate_t;

static_assert(ISOALIGN_CONE_BEAM_ROTATE_BYTES == 4 + 8 + 4 + 4 + 4 + 4 + 4 + 4, "CONE_BEAM_ROTATE");

static inline void isoalign_cone_beam_rotate_put(uint8_t *at, const isoalign_cone_beam_rotate_t *m)
{
    isoalign_put(at + 0, m->command_id, 4);
    isoalign_put(at + 4, m->valid_until_us, 8);
    isoalign_put(at + 12, m->scan_id, 4);
    isoalign_put(at + 16, (uint32_t)m->from_udeg, 4);
    isoalign_put(at + 20, (uint32_t)m->to_udeg, 4);
    isoalign_put(at + 24, m->speed_udeg_per_s, 4);
    isoalign_put(at + 28, m->trigger_spacing_udeg, 4);
    isoalign_put(at + 32, (uint32_t)m->expected_start_udeg, 4);
}

static inline void isoalign_cone_beam_rotate_get(isoalign_cone_beam_rotate_t *m, const uint8_t *at)
{
    m->command_id = (uint32_t)(isoalign_get(at + 0, 4));
    m->valid_until_us = (uint64_t)(isoalign_get(at + 4, 8));
    m->scan_id = (uint32_t)(isoalign_get(at + 12, 4));
    m->from_udeg = isoalign_i32(isoalign_get(at + 16, 4));
    m->to_udeg = isoalign_i32(isoalign_get(at + 20, 4));
    m->speed_udeg_per_s = (uint32_t)(isoalign_get(at + 24, 4));
    m->trigger_spacing_udeg = (uint32_t)(isoalign_get(at + 28, 4));
    m->expected_start_udeg = isoalign_i32(isoalign_get(at + 32, 4));
}

static inline int isoalign_cone_beam_rotate_valid(const isoalign_cone_beam_rotate_t *m)
{
    if (m->command_id < 1U) {
        return 0;
    }
    if (m->scan_id < 1U) {
        return 0;
    }
    if (m->from_udeg < -400000000 || m->from_udeg > 400000000) {
        return 0;
    }
    if (m->to_udeg < -400000000 || m->to_udeg > 400000000) {
        return 0;
    }
    if (m->speed_udeg_per_s < 1U || m->speed_udeg_per_s > 7000000U) {
        return 0;
    }
    if (m->trigger_spacing_udeg < 10000U || m->trigger_spacing_udeg > 90000000U) {
        return 0;
    }
    if (m->expected_start_udeg != ISOALIGN_I32_NOT_AVAILABLE && (m->expected_start_udeg < -400000000 || m->expected_start_udeg > 400000000)) {
        return 0;
    }
    return 1;
}

#define ISOALIGN_PROJECTION_TRIGGER_ID 0x0509U
#define ISOALIGN_PROJECTION_TRIGGER_SEED 0xBEEE45E8U
#define ISOALIGN_PROJECTION_TRIGGER_BYTES 24
#define ISOALIGN_PROJECTION_TRIGGER_SCAN_ID_MIN (1U)
#define ISOALIGN_PROJECTION_TRIGGER_SCAN_ID_MAX (4294967295U)
#define ISOALIGN_PROJECTION_TRIGGER_TRIGGER_INDEX_MIN (0U)
#define ISOALIGN_PROJECTION_TRIGGER_TRIGGER_INDEX_MAX (80000U)
#define ISOALIGN_PROJECTION_TRIGGER_PRIMARY_UDEG_MIN (-2147483647)
#define ISOALIGN_PROJECTION_TRIGGER_PRIMARY_UDEG_MAX (2147483647)
#define ISOALIGN_PROJECTION_TRIGGER_SECONDARY_UDEG_MIN (-2147483647)
#define ISOALIGN_PROJECTION_TRIGGER_SECONDARY_UDEG_MAX (2147483647)
#define ISOALIGN_PROJECTION_TRIGGER_DEVICE_TIME_US_MIN (0ULL)
#define ISOALIGN_PROJECTION_TRIGGER_DEVICE_TIME_US_MAX (18446744073709551615ULL)

typedef struct {
    uint32_t scan_id;
    uint32_t trigger_index;
    int32_t primary_udeg;
    int32_t secondary_udeg;
    uint64_t device_time_us;
} isoalign_projection_trigger_t;

static_assert(ISOALIGN_PROJECTION_TRIGGER_BYTES == 4 + 4 + 4 + 4 + 8, "PROJECTION_TRIGGER");

static inline void isoalign_projection_trigger_put(uint8_t *at, const isoalign_projection_trigger_t *m)
{
    isoalign_put(at + 0, m->scan_id, 4);
    isoalign_put(at + 4, m->trigger_index, 4);
    isoalign_put(at + 8, (uint32_t)m->primary_udeg, 4);
    isoalign_put(at + 12, (uint32_t)m->secondary_udeg, 4);
    isoalign_put(at + 16, m->device_time_us, 8);
}

static inline void isoalign_projection_trigger_get(isoalign_projection_trigger_t *m, const uint8_t *at)
{
    m->scan_id = (uint32_t)(isoalign_get(at + 0, 4));
    m->trigger_index = (uint32_t)(isoalign_get(at + 4, 4));
    m->primary_udeg = isoalign_i32(isoalign_get(at + 8, 4));
    m->secondary_udeg = isoalign_i32(isoalign_get(at + 12, 4));
    m->device_time_us = (uint64_t)(isoalign_get(at + 16, 8));
}

static inline int isoalign_projection_trigger_valid(const isoalign_projection_trigger_t *m)
{
    if (m->scan_id < 1U) {
        return 0;
    }
    if (m->trigger_index > 80000U) {
        return 0;
    }
    return 1;
}

typedef struct {
    uint32_t session;
    uint16_t seq;
    uint16_t ack;
    uint32_t tx_time_us;
} isoalign_header_t;

/* The CRC seed of a framed message id, and 0 in *known when there is none. */
static inline uint32_t isoalign_seed(uint16_t id, int *known)
{
    *known = 1;
    switch (id) {
    case ISOALIGN_HELLO_ID:
        return ISOALIGN_HELLO_SEED;
    case ISOALIGN_HELLO_ACK_ID:
        return ISOALIGN_HELLO_ACK_SEED;
    case ISOALIGN_SESSION_ENDED_ID:
        return ISOALIGN_SESSION_ENDED_SEED;
    case ISOALIGN_HEARTBEAT_ID:
        return ISOALIGN_HEARTBEAT_SEED;
    case ISOALIGN_TIME_REQUEST_ID:
        return ISOALIGN_TIME_REQUEST_SEED;
    case ISOALIGN_TIME_REPLY_ID:
        return ISOALIGN_TIME_REPLY_SEED;
    case ISOALIGN_COMMAND_EVENT_ID:
        return ISOALIGN_COMMAND_EVENT_SEED;
    case ISOALIGN_COUCH_STATE_ID:
        return ISOALIGN_COUCH_STATE_SEED;
    case ISOALIGN_AXIS_INFO_ID:
        return ISOALIGN_AXIS_INFO_SEED;
    case ISOALIGN_ENABLE_TOKEN_ID:
        return ISOALIGN_ENABLE_TOKEN_SEED;
    case ISOALIGN_MOVE_ID:
        return ISOALIGN_MOVE_SEED;
    case ISOALIGN_STOP_ID:
        return ISOALIGN_STOP_SEED;
    case ISOALIGN_CLEAR_ID:
        return ISOALIGN_CLEAR_SEED;
    case ISOALIGN_COUCH_SAFETY_ID:
        return ISOALIGN_COUCH_SAFETY_SEED;
    case ISOALIGN_GENERATOR_STATE_ID:
        return ISOALIGN_GENERATOR_STATE_SEED;
    case ISOALIGN_PREPARE_ID:
        return ISOALIGN_PREPARE_SEED;
    case ISOALIGN_EXPOSE_ID:
        return ISOALIGN_EXPOSE_SEED;
    case ISOALIGN_ABORT_EXPOSURE_ID:
        return ISOALIGN_ABORT_EXPOSURE_SEED;
    case ISOALIGN_EXPOSURE_RESULT_ID:
        return ISOALIGN_EXPOSURE_RESULT_SEED;
    case ISOALIGN_GENERATOR_ROOM_ID:
        return ISOALIGN_GENERATOR_ROOM_SEED;
    case ISOALIGN_PANEL_STATE_ID:
        return ISOALIGN_PANEL_STATE_SEED;
    case ISOALIGN_ARM_ID:
        return ISOALIGN_ARM_SEED;
    case ISOALIGN_DISARM_ID:
        return ISOALIGN_DISARM_SEED;
    case ISOALIGN_FRAME_READY_ID:
        return ISOALIGN_FRAME_READY_SEED;
    case ISOALIGN_DARK_FRAME_ID:
        return ISOALIGN_DARK_FRAME_SEED;
    case ISOALIGN_READ_DARK_ID:
        return ISOALIGN_READ_DARK_SEED;
    case ISOALIGN_PENDANT_STATE_ID:
        return ISOALIGN_PENDANT_STATE_SEED;
    case ISOALIGN_GANTRY_STATE_ID:
        return ISOALIGN_GANTRY_STATE_SEED;
    case ISOALIGN_GANTRY_INFO_ID:
        return ISOALIGN_GANTRY_INFO_SEED;
    case ISOALIGN_GANTRY_ENABLE_TOKEN_ID:
        return ISOALIGN_GANTRY_ENABLE_TOKEN_SEED;
    case ISOALIGN_GANTRY_ROTATE_ID:
        return ISOALIGN_GANTRY_ROTATE_SEED;
    case ISOALIGN_GANTRY_STOP_ID:
        return ISOALIGN_GANTRY_STOP_SEED;
    case ISOALIGN_GANTRY_CLEAR_ID:
        return ISOALIGN_GANTRY_CLEAR_SEED;
    case ISOALIGN_IMAGER_ARM_MOVE_ID:
        return ISOALIGN_IMAGER_ARM_MOVE_SEED;
    case ISOALIGN_CONE_BEAM_ROTATE_ID:
        return ISOALIGN_CONE_BEAM_ROTATE_SEED;
    case ISOALIGN_PROJECTION_TRIGGER_ID:
        return ISOALIGN_PROJECTION_TRIGGER_SEED;
    default:
        *known = 0;
        return 0;
    }
}

/* Payload bytes of a framed message; only for ids that isoalign_seed knows. */
static inline size_t isoalign_payload_bytes(uint16_t id)
{
    switch (id) {
    case ISOALIGN_HELLO_ID:
        return ISOALIGN_HELLO_BYTES;
    case ISOALIGN_HELLO_ACK_ID:
        return ISOALIGN_HELLO_ACK_BYTES;
    case ISOALIGN_SESSION_ENDED_ID:
        return ISOALIGN_SESSION_ENDED_BYTES;
    case ISOALIGN_HEARTBEAT_ID:
        return ISOALIGN_HEARTBEAT_BYTES;
    case ISOALIGN_TIME_REQUEST_ID:
        return ISOALIGN_TIME_REQUEST_BYTES;
    case ISOALIGN_TIME_REPLY_ID:
        return ISOALIGN_TIME_REPLY_BYTES;
    case ISOALIGN_COMMAND_EVENT_ID:
        return ISOALIGN_COMMAND_EVENT_BYTES;
    case ISOALIGN_COUCH_STATE_ID:
        return ISOALIGN_COUCH_STATE_BYTES;
    case ISOALIGN_AXIS_INFO_ID:
        return ISOALIGN_AXIS_INFO_BYTES;
    case ISOALIGN_ENABLE_TOKEN_ID:
        return ISOALIGN_ENABLE_TOKEN_BYTES;
    case ISOALIGN_MOVE_ID:
        return ISOALIGN_MOVE_BYTES;
    case ISOALIGN_STOP_ID:
        return ISOALIGN_STOP_BYTES;
    case ISOALIGN_CLEAR_ID:
        return ISOALIGN_CLEAR_BYTES;
    case ISOALIGN_COUCH_SAFETY_ID:
        return ISOALIGN_COUCH_SAFETY_BYTES;
    case ISOALIGN_GENERATOR_STATE_ID:
        return ISOALIGN_GENERATOR_STATE_BYTES;
    case ISOALIGN_PREPARE_ID:
        return ISOALIGN_PREPARE_BYTES;
    case ISOALIGN_EXPOSE_ID:
        return ISOALIGN_EXPOSE_BYTES;
    case ISOALIGN_ABORT_EXPOSURE_ID:
        return ISOALIGN_ABORT_EXPOSURE_BYTES;
    case ISOALIGN_EXPOSURE_RESULT_ID:
        return ISOALIGN_EXPOSURE_RESULT_BYTES;
    case ISOALIGN_GENERATOR_ROOM_ID:
        return ISOALIGN_GENERATOR_ROOM_BYTES;
    case ISOALIGN_PANEL_STATE_ID:
        return ISOALIGN_PANEL_STATE_BYTES;
    case ISOALIGN_ARM_ID:
        return ISOALIGN_ARM_BYTES;
    case ISOALIGN_DISARM_ID:
        return ISOALIGN_DISARM_BYTES;
    case ISOALIGN_FRAME_READY_ID:
        return ISOALIGN_FRAME_READY_BYTES;
    case ISOALIGN_DARK_FRAME_ID:
        return ISOALIGN_DARK_FRAME_BYTES;
    case ISOALIGN_READ_DARK_ID:
        return ISOALIGN_READ_DARK_BYTES;
    case ISOALIGN_PENDANT_STATE_ID:
        return ISOALIGN_PENDANT_STATE_BYTES;
    case ISOALIGN_GANTRY_STATE_ID:
        return ISOALIGN_GANTRY_STATE_BYTES;
    case ISOALIGN_GANTRY_INFO_ID:
        return ISOALIGN_GANTRY_INFO_BYTES;
    case ISOALIGN_GANTRY_ENABLE_TOKEN_ID:
        return ISOALIGN_GANTRY_ENABLE_TOKEN_BYTES;
    case ISOALIGN_GANTRY_ROTATE_ID:
        return ISOALIGN_GANTRY_ROTATE_BYTES;
    case ISOALIGN_GANTRY_STOP_ID:
        return ISOALIGN_GANTRY_STOP_BYTES;
    case ISOALIGN_GANTRY_CLEAR_ID:
        return ISOALIGN_GANTRY_CLEAR_BYTES;
    case ISOALIGN_IMAGER_ARM_MOVE_ID:
        return ISOALIGN_IMAGER_ARM_MOVE_BYTES;
    case ISOALIGN_CONE_BEAM_ROTATE_ID:
        return ISOALIGN_CONE_BEAM_ROTATE_BYTES;
    case ISOALIGN_PROJECTION_TRIGGER_ID:
        return ISOALIGN_PROJECTION_TRIGGER_BYTES;
    default:
        return 0;
    }
}

/* Whether every field of a framed message's payload, which has the right size, has a value that it may have. */
static inline int isoalign_payload_valid(uint16_t id, const uint8_t *payload)
{
    (void)payload;
    switch (id) {
    case ISOALIGN_HELLO_ID: {
        isoalign_hello_t m;
        isoalign_hello_get(&m, payload);
        return isoalign_hello_valid(&m);
    }
    case ISOALIGN_HELLO_ACK_ID: {
        isoalign_hello_ack_t m;
        isoalign_hello_ack_get(&m, payload);
        return isoalign_hello_ack_valid(&m);
    }
    case ISOALIGN_SESSION_ENDED_ID: {
        isoalign_session_ended_t m;
        isoalign_session_ended_get(&m, payload);
        return isoalign_session_ended_valid(&m);
    }
    case ISOALIGN_HEARTBEAT_ID: {
        isoalign_heartbeat_t m;
        isoalign_heartbeat_get(&m, payload);
        return isoalign_heartbeat_valid(&m);
    }
    case ISOALIGN_TIME_REQUEST_ID: {
        isoalign_time_request_t m;
        isoalign_time_request_get(&m, payload);
        return isoalign_time_request_valid(&m);
    }
    case ISOALIGN_TIME_REPLY_ID: {
        isoalign_time_reply_t m;
        isoalign_time_reply_get(&m, payload);
        return isoalign_time_reply_valid(&m);
    }
    case ISOALIGN_COMMAND_EVENT_ID: {
        isoalign_command_event_t m;
        isoalign_command_event_get(&m, payload);
        return isoalign_command_event_valid(&m);
    }
    case ISOALIGN_COUCH_STATE_ID: {
        isoalign_couch_state_t m;
        isoalign_couch_state_get(&m, payload);
        return isoalign_couch_state_valid(&m);
    }
    case ISOALIGN_AXIS_INFO_ID: {
        isoalign_axis_info_t m;
        isoalign_axis_info_get(&m, payload);
        return isoalign_axis_info_valid(&m);
    }
    case ISOALIGN_ENABLE_TOKEN_ID: {
        isoalign_enable_token_t m;
        isoalign_enable_token_get(&m, payload);
        return isoalign_enable_token_valid(&m);
    }
    case ISOALIGN_MOVE_ID: {
        isoalign_move_t m;
        isoalign_move_get(&m, payload);
        return isoalign_move_valid(&m);
    }
    case ISOALIGN_STOP_ID: {
        isoalign_stop_t m;
        isoalign_stop_get(&m, payload);
        return isoalign_stop_valid(&m);
    }
    case ISOALIGN_CLEAR_ID: {
        isoalign_clear_t m;
        isoalign_clear_get(&m, payload);
        return isoalign_clear_valid(&m);
    }
    case ISOALIGN_COUCH_SAFETY_ID: {
        isoalign_couch_safety_t m;
        isoalign_couch_safety_get(&m, payload);
        return isoalign_couch_safety_valid(&m);
    }
    case ISOALIGN_GENERATOR_STATE_ID: {
        isoalign_generator_state_t m;
        isoalign_generator_state_get(&m, payload);
        return isoalign_generator_state_valid(&m);
    }
    case ISOALIGN_PREPARE_ID: {
        isoalign_prepare_t m;
        isoalign_prepare_get(&m, payload);
        return isoalign_prepare_valid(&m);
    }
    case ISOALIGN_EXPOSE_ID: {
        isoalign_expose_t m;
        isoalign_expose_get(&m, payload);
        return isoalign_expose_valid(&m);
    }
    case ISOALIGN_ABORT_EXPOSURE_ID:
        return 1;
    case ISOALIGN_EXPOSURE_RESULT_ID: {
        isoalign_exposure_result_t m;
        isoalign_exposure_result_get(&m, payload);
        return isoalign_exposure_result_valid(&m);
    }
    case ISOALIGN_GENERATOR_ROOM_ID: {
        isoalign_generator_room_t m;
        isoalign_generator_room_get(&m, payload);
        return isoalign_generator_room_valid(&m);
    }
    case ISOALIGN_PANEL_STATE_ID: {
        isoalign_panel_state_t m;
        isoalign_panel_state_get(&m, payload);
        return isoalign_panel_state_valid(&m);
    }
    case ISOALIGN_ARM_ID: {
        isoalign_arm_t m;
        isoalign_arm_get(&m, payload);
        return isoalign_arm_valid(&m);
    }
    case ISOALIGN_DISARM_ID: {
        isoalign_disarm_t m;
        isoalign_disarm_get(&m, payload);
        return isoalign_disarm_valid(&m);
    }
    case ISOALIGN_FRAME_READY_ID: {
        isoalign_frame_ready_t m;
        isoalign_frame_ready_get(&m, payload);
        return isoalign_frame_ready_valid(&m);
    }
    case ISOALIGN_DARK_FRAME_ID: {
        isoalign_dark_frame_t m;
        isoalign_dark_frame_get(&m, payload);
        return isoalign_dark_frame_valid(&m);
    }
    case ISOALIGN_READ_DARK_ID: {
        isoalign_read_dark_t m;
        isoalign_read_dark_get(&m, payload);
        return isoalign_read_dark_valid(&m);
    }
    case ISOALIGN_PENDANT_STATE_ID: {
        isoalign_pendant_state_t m;
        isoalign_pendant_state_get(&m, payload);
        return isoalign_pendant_state_valid(&m);
    }
    case ISOALIGN_GANTRY_STATE_ID: {
        isoalign_gantry_state_t m;
        isoalign_gantry_state_get(&m, payload);
        return isoalign_gantry_state_valid(&m);
    }
    case ISOALIGN_GANTRY_INFO_ID: {
        isoalign_gantry_info_t m;
        isoalign_gantry_info_get(&m, payload);
        return isoalign_gantry_info_valid(&m);
    }
    case ISOALIGN_GANTRY_ENABLE_TOKEN_ID: {
        isoalign_gantry_enable_token_t m;
        isoalign_gantry_enable_token_get(&m, payload);
        return isoalign_gantry_enable_token_valid(&m);
    }
    case ISOALIGN_GANTRY_ROTATE_ID: {
        isoalign_gantry_rotate_t m;
        isoalign_gantry_rotate_get(&m, payload);
        return isoalign_gantry_rotate_valid(&m);
    }
    case ISOALIGN_GANTRY_STOP_ID: {
        isoalign_gantry_stop_t m;
        isoalign_gantry_stop_get(&m, payload);
        return isoalign_gantry_stop_valid(&m);
    }
    case ISOALIGN_GANTRY_CLEAR_ID: {
        isoalign_gantry_clear_t m;
        isoalign_gantry_clear_get(&m, payload);
        return isoalign_gantry_clear_valid(&m);
    }
    case ISOALIGN_IMAGER_ARM_MOVE_ID: {
        isoalign_imager_arm_move_t m;
        isoalign_imager_arm_move_get(&m, payload);
        return isoalign_imager_arm_move_valid(&m);
    }
    case ISOALIGN_CONE_BEAM_ROTATE_ID: {
        isoalign_cone_beam_rotate_t m;
        isoalign_cone_beam_rotate_get(&m, payload);
        return isoalign_cone_beam_rotate_valid(&m);
    }
    case ISOALIGN_PROJECTION_TRIGGER_ID: {
        isoalign_projection_trigger_t m;
        isoalign_projection_trigger_get(&m, payload);
        return isoalign_projection_trigger_valid(&m);
    }
    default:
        return 0;
    }
}

/* One frame with its delimiter into out, at least ISOALIGN_FRAME_MAX_BYTES + 1 bytes; the bytes written, 0 on error. */
static inline size_t isoalign_frame_encode(uint8_t *out, uint16_t id, isoalign_header_t header,
                                           const uint8_t *payload, size_t bytes)
{
    uint8_t body[ISOALIGN_HEADER_BYTES + ISOALIGN_PAYLOAD_MAX_BYTES + ISOALIGN_CRC_BYTES];
    int known = 0;
    const uint32_t seed = isoalign_seed(id, &known);
    if (known == 0 || bytes != isoalign_payload_bytes(id)) {
        return 0;
    }
    isoalign_put(body, bytes, 1);
    isoalign_put(body + 1, id, 2);
    isoalign_put(body + 3, 0, 1);
    isoalign_put(body + 4, header.session, 4);
    isoalign_put(body + 8, header.seq, 2);
    isoalign_put(body + 10, header.ack, 2);
    isoalign_put(body + 12, header.tx_time_us, 4);
    if (bytes > 0) {
        memcpy(body + ISOALIGN_HEADER_BYTES, payload, bytes);
    }
    const size_t content = ISOALIGN_HEADER_BYTES + bytes;
    isoalign_put(body + content, isoalign_crc32(body, content, seed), 4);
    const size_t total = content + ISOALIGN_CRC_BYTES;
    size_t code_at = 0;
    size_t at = 1;
    for (size_t i = 0; i < total; i++) {
        if (body[i] == 0) {
            out[code_at] = (uint8_t)(at - code_at);
            code_at = at++;
        } else {
            out[at++] = body[i];
        }
    }
    out[code_at] = (uint8_t)(at - code_at);
    out[at++] = 0;
    return at;
}

/* The bytes between two delimiters into id, header and payload (at least ISOALIGN_PAYLOAD_MAX_BYTES bytes).
 * 1 when framing, checksum and size are right, 0 otherwise; the fields are not yet checked. */
static inline int isoalign_frame_decode(const uint8_t *frame, size_t frame_bytes, uint16_t *id,
                                        isoalign_header_t *header, uint8_t *payload, size_t *bytes)
{
    uint8_t body[ISOALIGN_FRAME_MAX_BYTES];
    size_t total = 0;
    if (frame_bytes == 0 || frame_bytes > ISOALIGN_FRAME_MAX_BYTES) {
        return 0;
    }
    for (size_t at = 0; at < frame_bytes;) {
        const size_t code = frame[at++];
        if (code == 0 || at + code - 1 > frame_bytes) {
            return 0;
        }
        for (size_t i = 1; i < code; i++) {
            if (frame[at] == 0) {
                return 0;
            }
            body[total++] = frame[at++];
        }
        if (code < 255 && at < frame_bytes) {
            body[total++] = 0;
        }
    }
    if (total < ISOALIGN_HEADER_BYTES + ISOALIGN_CRC_BYTES) {
        return 0;
    }
    *bytes = body[0];
    if (*bytes != total - ISOALIGN_HEADER_BYTES - ISOALIGN_CRC_BYTES || *bytes > ISOALIGN_PAYLOAD_MAX_BYTES) {
        return 0;
    }
    *id = (uint16_t)isoalign_get(body + 1, 2);
    int known = 0;
    const uint32_t seed = isoalign_seed(*id, &known);
    const size_t content = total - ISOALIGN_CRC_BYTES;
    if (known == 0 || isoalign_crc32(body, content, seed) != isoalign_get(body + content, 4) || body[3] != 0) {
        return 0;
    }
    if (*bytes != isoalign_payload_bytes(*id)) {
        return 0;
    }
    header->session = (uint32_t)isoalign_get(body + 4, 4);
    header->seq = (uint16_t)isoalign_get(body + 8, 2);
    header->ack = (uint16_t)isoalign_get(body + 10, 2);
    header->tx_time_us = (uint32_t)isoalign_get(body + 12, 4);
    memcpy(payload, body + ISOALIGN_HEADER_BYTES, *bytes);
    return 1;
}

/* Seed and bytes of the fixed fields of a bulk record; 0 when the id is none, else 1, or 2 when data may follow. */
static inline int isoalign_record_kind(uint16_t id, uint32_t *seed, size_t *fixed)
{
    switch (id) {
    case ISOALIGN_IMAGE_CHUNK_ID:
        *seed = ISOALIGN_IMAGE_CHUNK_SEED;
        *fixed = ISOALIGN_IMAGE_CHUNK_BYTES;
        return 2;
    case ISOALIGN_IMAGE_END_ID:
        *seed = ISOALIGN_IMAGE_END_SEED;
        *fixed = ISOALIGN_IMAGE_END_BYTES;
        return 1;
    case ISOALIGN_IMAGE_RESEND_ID:
        *seed = ISOALIGN_IMAGE_RESEND_SEED;
        *fixed = ISOALIGN_IMAGE_RESEND_BYTES;
        return 1;
    case ISOALIGN_IMAGE_RELEASE_ID:
        *seed = ISOALIGN_IMAGE_RELEASE_SEED;
        *fixed = ISOALIGN_IMAGE_RELEASE_BYTES;
        return 1;
    default:
        return 0;
    }
}

/* One bulk record into out: fixed fields, then data; the bytes written, 0 on error or when capacity is too small. */
static inline size_t isoalign_record_encode(uint8_t *out, size_t capacity, uint16_t id, const uint8_t *fields,
                                            const uint8_t *data, size_t data_bytes)
{
    uint32_t seed = 0;
    size_t fixed = 0;
    const int kind = isoalign_record_kind(id, &seed, &fixed);
    if (kind == 0 || (kind == 1 && data_bytes != 0) || data_bytes > ISOALIGN_BULK_RECORD_MAX_BYTES) {
        return 0;
    }
    const size_t body = 2 + fixed + data_bytes;
    if (body + ISOALIGN_CRC_BYTES > ISOALIGN_BULK_RECORD_MAX_BYTES || body + 4 + ISOALIGN_CRC_BYTES > capacity) {
        return 0;
    }
    isoalign_put(out, body + ISOALIGN_CRC_BYTES, 4);
    isoalign_put(out + 4, id, 2);
    memcpy(out + 6, fields, fixed);
    if (data_bytes > 0) {
        memcpy(out + 6 + fixed, data, data_bytes);
    }
    isoalign_put(out + 4 + body, isoalign_crc32(out + 4, body, seed), 4);
    return 4 + body + ISOALIGN_CRC_BYTES;
}

/* What follows the length of a bulk record: where its fixed fields and its data begin, and how much data there is.
 * 1 when id, size and checksum are right and every fixed field has a value that it may have, 0 otherwise. */
static inline int isoalign_record_decode(const uint8_t *body, size_t bytes, uint16_t *id, const uint8_t **fields,
                                         const uint8_t **data, size_t *data_bytes)
{
    uint32_t seed = 0;
    size_t fixed = 0;
    if (bytes < 2 + ISOALIGN_CRC_BYTES || bytes > ISOALIGN_BULK_RECORD_MAX_BYTES) {
        return 0;
    }
    *id = (uint16_t)isoalign_get(body, 2);
    const int kind = isoalign_record_kind(*id, &seed, &fixed);
    const size_t content = bytes - ISOALIGN_CRC_BYTES;
    if (kind == 0 || content < 2 + fixed || (kind == 1 && content > 2 + fixed)) {
        return 0;
    }
    if (isoalign_crc32(body, content, seed) != isoalign_get(body + content, 4)) {
        return 0;
    }
    *fields = body + 2;
    *data = body + 2 + fixed;
    *data_bytes = content - 2 - fixed;
    switch (*id) {
    case ISOALIGN_IMAGE_CHUNK_ID: {
        isoalign_image_chunk_t m;
        isoalign_image_chunk_get(&m, *fields);
        return isoalign_image_chunk_valid(&m);
    }
    case ISOALIGN_IMAGE_END_ID: {
        isoalign_image_end_t m;
        isoalign_image_end_get(&m, *fields);
        return isoalign_image_end_valid(&m);
    }
    case ISOALIGN_IMAGE_RESEND_ID: {
        isoalign_image_resend_t m;
        isoalign_image_resend_get(&m, *fields);
        return isoalign_image_resend_valid(&m);
    }
    case ISOALIGN_IMAGE_RELEASE_ID: {
        isoalign_image_release_t m;
        isoalign_image_release_get(&m, *fields);
        return isoalign_image_release_valid(&m);
    }
    default:
        return 0;
    }
}

#endif
