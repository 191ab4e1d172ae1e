/* Firmware protocol 1.0: ids, limits, enumerations, structures, byte-wise packing, framing.
 *
 * Generated from the definitions in this folder by generate.py; do not edit. INTERFACE.md says what everything means.
 * C11, no allocation, no dependency but the standard headers below. Structures are host-side; the wire format is made
 * byte by byte, so that neither padding nor byte order of the processor matters. Ranges are the caller's to check.
 */
#ifndef ISOALIGN_PROTOCOL_H
#define ISOALIGN_PROTOCOL_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define ISOALIGN_PROTOCOL_MAJOR 1
#define ISOALIGN_PROTOCOL_MINOR 0
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
#define ISOALIGN_START_TOLERANCE_UM 100U
#define ISOALIGN_START_TOLERANCE_UDEG 100000U
#define ISOALIGN_GENERATOR_HEARTBEAT_EXPIRY_US 500000U
#define ISOALIGN_GENERATOR_STATE_PERIOD_US 50000U
#define ISOALIGN_READY_HOLD_US 10000000U
#define ISOALIGN_PANEL_HEARTBEAT_EXPIRY_US 500000U
#define ISOALIGN_PANEL_STATE_PERIOD_US 50000U
#define ISOALIGN_BULK_RECORD_MAX_BYTES 1048576U
#define ISOALIGN_PENDANT_HEARTBEAT_EXPIRY_US 500000U
#define ISOALIGN_PENDANT_STATE_PERIOD_US 50000U
#define ISOALIGN_DICTIONARY_COUCH 0xB2346FDC592CDB26ULL
#define ISOALIGN_DICTIONARY_GENERATOR 0x3125837905278E1DULL
#define ISOALIGN_DICTIONARY_PANEL 0xD45D0F29D1775856ULL
#define ISOALIGN_DICTIONARY_PENDANT 0x5158BBB4B6D8E16CULL

/* What a device is. */
enum {
    ISOALIGN_DEVICE_KIND_COUCH = 1,
    ISOALIGN_DEVICE_KIND_GENERATOR = 2,
    ISOALIGN_DEVICE_KIND_PANEL = 3,
    ISOALIGN_DEVICE_KIND_PENDANT = 4,
};

/* Position of the three-position enabling switch. */
enum {
    ISOALIGN_BAR_POSITION_RELEASED = 0,
    ISOALIGN_BAR_POSITION_ENABLED = 1,
    ISOALIGN_BAR_POSITION_SQUEEZED = 2,
};

/* What a session may do. */
enum {
    ISOALIGN_SESSION_VERDICT_FULL = 0,
    ISOALIGN_SESSION_VERDICT_READ_ONLY_VERSION = 1,
    ISOALIGN_SESSION_VERDICT_READ_ONLY_DICTIONARY = 2,
};

/* Why a device ended a session. */
enum {
    ISOALIGN_SESSION_END_HEARTBEAT_EXPIRED = 1,
    ISOALIGN_SESSION_END_UNKNOWN_SESSION = 2,
    ISOALIGN_SESSION_END_REPLACED = 3,
    ISOALIGN_SESSION_END_RESTARTED = 4,
};

/* What a device offers. */
enum {
    ISOALIGN_CAPABILITY_MOTION = 1,
    ISOALIGN_CAPABILITY_SECONDARY_ENCODERS = 2,
    ISOALIGN_CAPABILITY_IMAGES = 4,
    ISOALIGN_CAPABILITY_XRAY = 8,
    ISOALIGN_CAPABILITY_ENABLE_TOKEN = 16,
};

/* How far a command has come. */
enum {
    ISOALIGN_COMMAND_STATUS_NONE = 0,
    ISOALIGN_COMMAND_STATUS_ACCEPTED = 1,
    ISOALIGN_COMMAND_STATUS_REJECTED = 2,
    ISOALIGN_COMMAND_STATUS_STARTED = 3,
    ISOALIGN_COMMAND_STATUS_DONE = 4,
    ISOALIGN_COMMAND_STATUS_ABORTED = 5,
};

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

/* Upper limit of speed. */
enum {
    ISOALIGN_SPEED_CLASS_SERVICE = 1,
    ISOALIGN_SPEED_CLASS_NORMAL = 2,
};

/* Why the host stops the couch. */
enum {
    ISOALIGN_STOP_REASON_HOLD = 1,
    ISOALIGN_STOP_REASON_INTERLOCK = 2,
    ISOALIGN_STOP_REASON_CLIENT_GONE = 3,
    ISOALIGN_STOP_REASON_SHUTDOWN = 4,
};

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
};

/* What the generator does. */
enum {
    ISOALIGN_GENERATOR_PHASE_IDLE = 0,
    ISOALIGN_GENERATOR_PHASE_PREPARING = 1,
    ISOALIGN_GENERATOR_PHASE_READY = 2,
    ISOALIGN_GENERATOR_PHASE_EXPOSING = 3,
};

/* How an exposure ended. */
enum {
    ISOALIGN_EXPOSURE_OUTCOME_COMPLETE = 0,
    ISOALIGN_EXPOSURE_OUTCOME_ABORTED = 1,
    ISOALIGN_EXPOSURE_OUTCOME_FAILED = 2,
};

/* What is wrong with the generator. */
enum {
    ISOALIGN_GENERATOR_FAULT_NONE = 0,
    ISOALIGN_GENERATOR_FAULT_NO_READY = 1,
    ISOALIGN_GENERATOR_FAULT_EXPOSURE_FAILED = 2,
};

/* What the panel does. */
enum {
    ISOALIGN_PANEL_PHASE_IDLE = 0,
    ISOALIGN_PANEL_PHASE_ARMED = 1,
    ISOALIGN_PANEL_PHASE_INTEGRATING = 2,
    ISOALIGN_PANEL_PHASE_READING = 3,
};

/* What is wrong with the panel. */
enum {
    ISOALIGN_PANEL_FAULT_NONE = 0,
    ISOALIGN_PANEL_FAULT_NO_EXPOSURE = 1,
    ISOALIGN_PANEL_FAULT_READOUT_FAILED = 2,
};

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

typedef struct {
    uint32_t session;
    uint16_t seq;
    uint16_t ack;
    uint32_t tx_time_us;
} isoalign_header_t;

/* The CRC seed of a message id, and 0 in *known when there is none. */
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
    case ISOALIGN_PANEL_STATE_ID:
        return ISOALIGN_PANEL_STATE_SEED;
    case ISOALIGN_ARM_ID:
        return ISOALIGN_ARM_SEED;
    case ISOALIGN_DISARM_ID:
        return ISOALIGN_DISARM_SEED;
    case ISOALIGN_FRAME_READY_ID:
        return ISOALIGN_FRAME_READY_SEED;
    case ISOALIGN_PENDANT_STATE_ID:
        return ISOALIGN_PENDANT_STATE_SEED;
    default:
        *known = 0;
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
    if (known == 0 || bytes > ISOALIGN_PAYLOAD_MAX_BYTES) {
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
 * 1 when the frame is valid as far as framing goes, 0 otherwise. */
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
    header->session = (uint32_t)isoalign_get(body + 4, 4);
    header->seq = (uint16_t)isoalign_get(body + 8, 2);
    header->ack = (uint16_t)isoalign_get(body + 10, 2);
    header->tx_time_us = (uint32_t)isoalign_get(body + 12, 4);
    memcpy(payload, body + ISOALIGN_HEADER_BYTES, *bytes);
    return 1;
}

#endif
