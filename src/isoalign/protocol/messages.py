"""All messages of the firmware protocol.

Generated from ``firmware_protocols/*.yaml`` by ``firmware_protocols/generate.py``. Do not edit: change the
definitions and generate again.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, IntFlag
from struct import Struct
from typing import ClassVar, Final

from isoalign.protocol.layout import Field, LateArrays, Message, payload_struct

PROTOCOL_MAJOR: Final = 1
PROTOCOL_MINOR: Final = 3
HEARTBEAT_PERIOD_US: Final = 50000
"""The host sends HEARTBEAT this often."""
TOKEN_PERIOD_US: Final = 50000
"""The pendant sends its state and the host forwards it this often."""
CLIENT_EXPIRY_US: Final = 250000
"""The client counter must advance within this time while the couch moves."""
TOKEN_EXPIRY_US: Final = 150000
"""The enable token must advance within this time while the couch moves."""
COMMAND_RETRY_US: Final = 100000
"""The host repeats an unanswered command after this time."""
COMMAND_VALIDITY_MAX_US: Final = 5000000
"""A command that is valid for longer than this is refused."""
HELLO_RETRY_US: Final = 200000
"""The host repeats an unanswered HELLO after this time."""
TIME_EXCHANGE_PERIOD_US: Final = 500000
"""The host asks for the device time this often."""
COMMAND_RETRIES: Final = 2
"""Repetitions of an unanswered command before the link counts as failed."""
STOP_REPETITIONS: Final = 3
"""How often the host sends STOP for one stop."""
COUCH_HEARTBEAT_EXPIRY_US: Final = 150000
"""Host heartbeat expiry of the couch."""
COUCH_STATE_PERIOD_US: Final = 20000
"""The couch sends COUCH_STATE this often."""
COUCH_SAFETY_PERIOD_US: Final = 40000
"""The couch sends COUCH_SAFETY this often."""
START_TOLERANCE_UM: Final = 100
"""Largest difference between the expected start of a MOVE and the couch, translations, µm."""
START_TOLERANCE_UDEG: Final = 100000
"""Largest difference between the expected start of a MOVE and the couch, angles, µdeg."""
GENERATOR_HEARTBEAT_EXPIRY_US: Final = 500000
"""Host heartbeat expiry of the generator."""
GENERATOR_STATE_PERIOD_US: Final = 50000
"""The generator sends GENERATOR_STATE this often."""
GENERATOR_ROOM_PERIOD_US: Final = 50000
"""The generator sends GENERATOR_ROOM this often."""
READY_HOLD_US: Final = 10000000
"""A prepared tube falls back to idle after this time."""
PANEL_HEARTBEAT_EXPIRY_US: Final = 500000
"""Host heartbeat expiry of the panel."""
PANEL_STATE_PERIOD_US: Final = 50000
"""The panel sends PANEL_STATE this often."""
BULK_RECORD_MAX_BYTES: Final = 1048576
"""Largest bulk record after its length."""
PENDANT_HEARTBEAT_EXPIRY_US: Final = 500000
"""Host heartbeat expiry of the pendant."""
PENDANT_STATE_PERIOD_US: Final = 50000
"""The pendant sends PENDANT_STATE this often."""
GANTRY_HEARTBEAT_EXPIRY_US: Final = 150000
"""Host heartbeat expiry of the gantry."""
GANTRY_STATE_PERIOD_US: Final = 20000
"""The gantry sends GANTRY_STATE this often."""
GANTRY_START_TOLERANCE_UDEG: Final = 100000
"""Largest difference between the expected start of a rotation and the gantry, µdeg."""
GANTRY_ENCODER_DIFFERENCE_UDEG: Final = 200000
"""The two encoders may differ by this much, after aligning their lag, µdeg."""


class DeviceKind(IntEnum):
    """What a device is."""

    COUCH = 1
    """Six-axis patient couch."""
    GENERATOR = 2
    """X-ray generator and tube."""
    PANEL = 3
    """Flat-panel detector."""
    PENDANT = 4
    """Hand pendant with the enabling switch."""
    GANTRY = 5
    """Gantry with the kV imager arm."""


class BarPosition(IntEnum):
    """Position of the three-position enabling switch."""

    RELEASED = 0
    """Not pressed, off."""
    ENABLED = 1
    """Middle position, on."""
    SQUEEZED = 2
    """Fully pressed, off until released and pressed again."""


class SessionVerdict(IntEnum):
    """What a session may do."""

    FULL = 0
    """Everything."""
    READ_ONLY_VERSION = 1
    """State only, the protocol major versions differ."""
    READ_ONLY_DICTIONARY = 2
    """State only, the message dictionaries differ."""


class SessionEnd(IntEnum):
    """Why a device ended a session."""

    HEARTBEAT_EXPIRED = 1
    """The host heartbeat did not advance in time."""
    UNKNOWN_SESSION = 2
    """A frame of a session that does not exist arrived."""
    REPLACED = 3
    """Another HELLO began a new session."""
    RESTARTED = 4
    """The device restarted."""


class Capability(IntFlag):
    """What a device offers."""

    MOTION = 1
    """Moves axes."""
    SECONDARY_ENCODERS = 2
    """Has a second encoder on every axis."""
    IMAGES = 4
    """Sends images on a connection of its own."""
    XRAY = 8
    """Emits X-rays."""
    ENABLE_TOKEN = 16
    """Is the source of the enable token."""


class CommandStatus(IntEnum):
    """How far a command has come."""

    NONE = 0
    """No command yet."""
    ACCEPTED = 1
    """Checked and taken, not yet begun."""
    REJECTED = 2
    """Refused, nothing was done."""
    STARTED = 3
    """Being carried out."""
    DONE = 4
    """Carried out to the end."""
    ABORTED = 5
    """Begun, then ended early."""


class CommandReason(IntEnum):
    """Why a command was refused or ended early."""

    NONE = 0
    """No reason."""
    EXPIRED = 1
    """The command arrived after its valid_until."""
    VALIDITY_TOO_LONG = 2
    """Valid_until lies too far ahead."""
    STALE_COMMAND = 3
    """The command id is older than one already seen."""
    READ_ONLY_SESSION = 4
    """The session may not command, see SessionVerdict."""
    LATCHED = 5
    """A stop is latched, it must be cleared first."""
    NOT_ENABLED = 6
    """The enable token does not advance."""
    NEW_PRESS_NEEDED = 7
    """The enabling switch must be released and pressed again."""
    CLIENT_NOT_FRESH = 8
    """The client counter does not advance."""
    NOT_REFERENCED = 9
    """An axis has not been referenced."""
    OUT_OF_TRAVEL = 10
    """The target lies outside the travel of an axis."""
    START_MISMATCH = 11
    """The couch is not where the command expects it."""
    BUSY = 12
    """Another command is being carried out."""
    NOTHING_TO_CLEAR = 13
    """No stop is latched."""
    WRONG_LATCH = 14
    """Another stop is latched than the command names."""
    STILL_MOVING = 15
    """The axes have not come to rest."""
    WRONG_PHASE = 16
    """The device is not in the phase that the command needs."""
    WRONG_EXPOSURE = 17
    """The exposure id is not the one that was prepared or armed."""
    TUBE_HOT = 18
    """The anode cannot take the heat."""
    STOPPED = 19
    """A stop ended the command, the detail is the latch."""
    ABORT_COMMAND = 20
    """The host aborted the command."""
    DEVICE_FAULT = 21
    """The device failed, the detail is its fault code."""


class CouchMode(IntEnum):
    """State of the drives, by the names of CiA 402."""

    NOT_READY_TO_SWITCH_ON = 0
    """Starting up."""
    SWITCH_ON_DISABLED = 1
    """No session."""
    READY_TO_SWITCH_ON = 2
    """Session, but not enabled."""
    SWITCHED_ON = 3
    """Enabled, at rest."""
    OPERATION_ENABLED = 4
    """Moving."""
    QUICK_STOP_ACTIVE = 5
    """Stopping or stopped by STOP or by the enabling switch, latched."""
    FAULT_REACTION_ACTIVE = 6
    """Stopping because of a fault."""
    FAULT = 7
    """At rest after a fault, latched."""


class SpeedClass(IntEnum):
    """Upper limit of speed."""

    SERVICE = 1
    """At most 10 mm/s and 1 degree/s."""
    NORMAL = 2
    """At most 50 mm/s and 3 degrees/s."""
    FAST = 3
    """At most 100 mm/s and 6 degrees/s: twice the speed, four times the acceleration and twelve times the jerk
    of AXIS_INFO.
    """


class StopReason(IntEnum):
    """Why the host stops the couch."""

    HOLD = 1
    """An operator asked."""
    INTERLOCK = 2
    """An interlock of the host tripped."""
    CLIENT_GONE = 3
    """The client of the host went away."""
    SHUTDOWN = 4
    """The host shuts down."""


class CouchStatus(IntFlag):
    """Conditions of the couch."""

    STANDSTILL = 1
    """No axis moves."""
    BRAKES_ENGAGED = 2
    """All brakes hold."""
    REFERENCED = 4
    """All axes are referenced."""
    HOST_FRESH = 8
    """The host heartbeat advances."""
    CLIENT_FRESH = 16
    """The client counter advances."""
    TOKEN_FRESH = 32
    """The enable token advances."""
    PRESS_VALID = 64
    """The enabling switch was pressed anew since the last stop or session."""


class SafetyCircuit(IntEnum):
    """State of a hard-wired circuit as the couch sees it."""

    UNKNOWN = 0
    """Not wired to this couch, or its two channels contradict each other."""
    CLOSED = 1
    """Current flows."""
    OPEN = 2
    """Interrupted, which stops the couch."""


class TorqueFeedback(IntEnum):
    """What the drives report about their torque, in two channels (STO feedback)."""

    UNKNOWN = 0
    """No feedback."""
    TORQUE_ON = 1
    """The drives can make torque."""
    TORQUE_OFF = 2
    """Safe torque off is active."""
    CONTRADICTORY = 3
    """The two channels contradict each other."""


class TouchSensor(IntFlag):
    """Touch and collision sensors that are pressed."""

    TABLE_TOP = 1
    """The edge of the table top."""
    BASE = 2
    """The cover of the base."""


class Latch(IntEnum):
    """What stopped the couch. The first stop is latched until CLEAR names it."""

    NONE = 0
    """Nothing is latched."""
    STOP_COMMAND = 1
    """STOP arrived."""
    HOST_LOST = 2
    """The host heartbeat, or the whole session, was lost in motion."""
    CLIENT_LOST = 3
    """The client counter stopped in motion."""
    ENABLE_LOST = 4
    """The enabling switch was released or its token stopped in motion."""
    SESSION_REPLACED = 5
    """HELLO arrived in motion."""
    FOLLOWING_ERROR = 6
    """An axis does not follow its set point."""
    ENCODER_INVALID = 7
    """An encoder gives no valid value."""
    EMERGENCY_STOP = 8
    """The emergency-stop circuit is open: a controlled stop, then the torque is off."""
    TORQUE_FEEDBACK = 9
    """The channels of the STO feedback contradict each other."""
    ENABLE_CIRCUIT = 10
    """The hard-wired enable circuit opened in motion."""
    TOUCH = 11
    """A touch or collision sensor was pressed."""
    OVER_TEMPERATURE = 12
    """A drive became too hot in motion."""


class GeneratorPhase(IntEnum):
    """What the generator does."""

    IDLE = 0
    """At rest."""
    PREPARING = 1
    """The anode speeds up and the filament heats."""
    READY = 2
    """An exposure can begin at once."""
    EXPOSING = 3
    """X-rays are on."""


class ExposureOutcome(IntEnum):
    """How an exposure ended."""

    COMPLETE = 0
    """The whole exposure time."""
    ABORTED = 1
    """Ended early by the host or by a lost session."""
    FAILED = 2
    """Ended early or not begun because of a fault."""


class RoomDoor(IntEnum):
    """Door interlock of the X-ray room as the generator sees it."""

    UNKNOWN = 0
    """Not wired to this generator, or its two channels contradict each other."""
    CLOSED = 1
    """Every door is closed."""
    OPEN = 2
    """A door is open, which switches X-rays off."""


class GeneratorFault(IntEnum):
    """What is wrong with the generator."""

    NONE = 0
    """Nothing."""
    NO_READY = 1
    """The tube did not become ready."""
    EXPOSURE_FAILED = 2
    """The exposure failed."""
    DOOR_OPEN = 3
    """The door of the X-ray room is open or was opened during the exposure."""


class PanelPhase(IntEnum):
    """What the panel does."""

    IDLE = 0
    """At rest."""
    ARMED = 1
    """Integrates as soon as X-rays come."""
    INTEGRATING = 2
    """X-rays are on."""
    READING = 3
    """The frame is being read out."""


class PanelFault(IntEnum):
    """What is wrong with the panel."""

    NONE = 0
    """Nothing."""
    NO_EXPOSURE = 1
    """No X-rays came while the panel was armed."""
    READOUT_FAILED = 2
    """The frame could not be read out."""
    TOO_HOT = 3
    """The panel is too hot to take images."""


class GantryMode(IntEnum):
    """State of the gantry drive, by the names of CiA 402."""

    NOT_READY_TO_SWITCH_ON = 0
    """Starting up."""
    SWITCH_ON_DISABLED = 1
    """No session."""
    READY_TO_SWITCH_ON = 2
    """Session, but not enabled."""
    SWITCHED_ON = 3
    """Enabled, at rest."""
    OPERATION_ENABLED = 4
    """The gantry rotates or the imager arm moves."""
    QUICK_STOP_ACTIVE = 5
    """Stopping or stopped by GANTRY_STOP or by the enabling switch, latched."""
    FAULT_REACTION_ACTIVE = 6
    """Stopping because of a fault."""
    FAULT = 7
    """At rest after a fault, latched."""


class GantryStopReason(IntEnum):
    """Why the host stops the gantry."""

    HOLD = 1
    """An operator asked."""
    INTERLOCK = 2
    """An interlock of the host tripped."""
    CLIENT_GONE = 3
    """The client of the host went away."""
    SHUTDOWN = 4
    """The host shuts down."""


class GantryStatus(IntFlag):
    """Conditions of the gantry."""

    STANDSTILL = 1
    """Neither gantry nor imager arm moves."""
    BRAKES_ENGAGED = 2
    """All brakes hold."""
    REFERENCED = 4
    """The gantry angle is referenced."""
    HOST_FRESH = 8
    """The host heartbeat advances."""
    CLIENT_FRESH = 16
    """The client counter advances."""
    TOKEN_FRESH = 32
    """The enable token advances."""
    PRESS_VALID = 64
    """The enabling switch was pressed anew since the last stop or session."""


class ImagerArmState(IntEnum):
    """Where the imager arm is."""

    UNKNOWN = 0
    """Neither end is confirmed and the arm does not move, or its two switches contradict each other."""
    STOWED = 1
    """Confirmed at its inner end."""
    MOVING = 2
    """Between the ends and moving."""
    EXTENDED = 3
    """Confirmed at its outer end."""


class ImagerArmEnd(IntEnum):
    """An end of the imager arm's way; the numbers are those of ImagerArmState."""

    STOWED = 1
    """The inner end."""
    EXTENDED = 3
    """The outer end, where images are taken."""


class GantryLatch(IntEnum):
    """What stopped the gantry. The first stop is latched until GANTRY_CLEAR names it."""

    NONE = 0
    """Nothing is latched."""
    STOP_COMMAND = 1
    """GANTRY_STOP arrived."""
    HOST_LOST = 2
    """The host heartbeat, or the whole session, was lost in motion."""
    CLIENT_LOST = 3
    """The client counter stopped in motion."""
    ENABLE_LOST = 4
    """The enabling switch was released or its token stopped in motion."""
    SESSION_REPLACED = 5
    """HELLO arrived in motion."""
    FOLLOWING_ERROR = 6
    """The gantry does not follow its set point."""
    ENCODER_INVALID = 7
    """An encoder gives no valid value."""
    ENCODERS_DISAGREE = 8
    """The two encoders differ by more than gantry_encoder_difference_udeg."""
    ARM_FAILED = 9
    """The imager arm left its end unasked or did not reach the other in time."""


@dataclass(frozen=True, slots=True)
class Hello(Message):
    """Asks for a new session. Ends the session that the device has."""

    NAME: ClassVar[str] = "HELLO"
    ID: ClassVar[int] = 0x0001
    SEED: ClassVar[int] = 0x8EA3A305
    NEEDS_SESSION: ClassVar[bool] = False
    FROM_HOST: ClassVar[bool] = True
    FIELDS: ClassVar[tuple[Field, ...]] = (
        Field("protocol_major", "B", minimum=0, maximum=255),
        Field("protocol_minor", "B", minimum=0, maximum=255),
        Field("dictionary_hash", "Q", minimum=0, maximum=18446744073709551615),
        Field("host_nonce", "I", minimum=0, maximum=4294967295),
    )
    STRUCT: ClassVar = payload_struct(FIELDS)

    protocol_major: int
    """Major version that the host speaks."""
    protocol_minor: int
    """Minor version that the host speaks."""
    dictionary_hash: int
    """Dictionary hash of the device, as the host has it."""
    host_nonce: int
    """Random, returned in the answer."""


@dataclass(frozen=True, slots=True)
class HelloAck(Message):
    """Answers HELLO; its header carries the new session."""

    NAME: ClassVar[str] = "HELLO_ACK"
    ID: ClassVar[int] = 0x0002
    SEED: ClassVar[int] = 0x2186BF00
    NEEDS_SESSION: ClassVar[bool] = False
    FIELDS: ClassVar[tuple[Field, ...]] = (
        Field("protocol_major", "B", minimum=0, maximum=255),
        Field("protocol_minor", "B", minimum=0, maximum=255),
        Field("dictionary_hash", "Q", minimum=0, maximum=18446744073709551615),
        Field("host_nonce", "I", minimum=0, maximum=4294967295),
        Field("verdict", "B", enum=SessionVerdict),
        Field("device_kind", "B", enum=DeviceKind),
        Field("capabilities", "I", enum=Capability),
        Field("device_time_us", "Q", minimum=0, maximum=18446744073709551615),
        Field("heartbeat_expiry_us", "I", minimum=1000, maximum=10000000),
        Field("state_period_us", "I", minimum=1000, maximum=10000000),
        Field("firmware_build", "s", 16),
        Field("serial_number", "s", 16),
    )
    STRUCT: ClassVar = payload_struct(FIELDS)

    protocol_major: int
    """Major version that the device speaks."""
    protocol_minor: int
    """Minor version that the device speaks."""
    dictionary_hash: int
    """Dictionary hash of the device."""
    host_nonce: int
    """Nonce of the HELLO that this answers."""
    verdict: SessionVerdict
    """What the session may do."""
    device_kind: DeviceKind
    """What the device is."""
    capabilities: Capability
    """What the device offers."""
    device_time_us: int
    """Device time when this was sent (µs)."""
    heartbeat_expiry_us: int
    """The session ends when the host heartbeat has not advanced for this long (µs)."""
    state_period_us: int
    """The device sends its state this often (µs)."""
    firmware_build: str
    """Firmware build."""
    serial_number: str
    """Serial number of the device."""


@dataclass(frozen=True, slots=True)
class SessionEnded(Message):
    """The session in the header is over; only HELLO begins another."""

    NAME: ClassVar[str] = "SESSION_ENDED"
    ID: ClassVar[int] = 0x0003
    SEED: ClassVar[int] = 0x461CC847
    NEEDS_SESSION: ClassVar[bool] = False
    FIELDS: ClassVar[tuple[Field, ...]] = (Field("reason", "B", enum=SessionEnd),)
    STRUCT: ClassVar = payload_struct(FIELDS)

    reason: SessionEnd
    """Why it ended."""


@dataclass(frozen=True, slots=True)
class Heartbeat(Message):
    """The host is alive. The client counter is what the client of the host sent, forwarded unchanged."""

    NAME: ClassVar[str] = "HEARTBEAT"
    ID: ClassVar[int] = 0x0004
    SEED: ClassVar[int] = 0xD289B11B
    FROM_HOST: ClassVar[bool] = True
    FIELDS: ClassVar[tuple[Field, ...]] = (
        Field("host_counter", "I", minimum=0, maximum=4294967295),
        Field("client_counter", "I", minimum=0, maximum=4294967294, nullable=True),
    )
    STRUCT: ClassVar = payload_struct(FIELDS)

    host_counter: int
    """Advances by one with every heartbeat of the host."""
    client_counter: int | None
    """Counter of the client that asked for the motion."""


@dataclass(frozen=True, slots=True)
class TimeRequest(Message):
    """Asks for the device time."""

    NAME: ClassVar[str] = "TIME_REQUEST"
    ID: ClassVar[int] = 0x0005
    SEED: ClassVar[int] = 0xCC33E95B
    FROM_HOST: ClassVar[bool] = True
    FIELDS: ClassVar[tuple[Field, ...]] = (Field("host_send_us", "Q", minimum=0, maximum=18446744073709551615),)
    STRUCT: ClassVar = payload_struct(FIELDS)

    host_send_us: int
    """Host time when this was sent (µs)."""


@dataclass(frozen=True, slots=True)
class TimeReply(Message):
    """Answers TIME_REQUEST."""

    NAME: ClassVar[str] = "TIME_REPLY"
    ID: ClassVar[int] = 0x0006
    SEED: ClassVar[int] = 0x8E173901
    FIELDS: ClassVar[tuple[Field, ...]] = (
        Field("host_send_us", "Q", minimum=0, maximum=18446744073709551615),
        Field("device_receive_us", "Q", minimum=0, maximum=18446744073709551615),
        Field("device_send_us", "Q", minimum=0, maximum=18446744073709551615),
    )
    STRUCT: ClassVar = payload_struct(FIELDS)

    host_send_us: int
    """Host time of the request (µs)."""
    device_receive_us: int
    """Device time when the request arrived (µs)."""
    device_send_us: int
    """Device time when this was sent (µs)."""


@dataclass(frozen=True, slots=True)
class CommandEvent(Message):
    """A command was accepted, rejected, started, done or aborted. A repeated command gets its latest event again."""

    NAME: ClassVar[str] = "COMMAND_EVENT"
    ID: ClassVar[int] = 0x0007
    SEED: ClassVar[int] = 0x98122463
    FIELDS: ClassVar[tuple[Field, ...]] = (
        Field("command_id", "I", minimum=0, maximum=4294967295),
        Field("status", "B", enum=CommandStatus),
        Field("reason", "B", enum=CommandReason),
        Field("detail", "I", minimum=0, maximum=4294967295),
        Field("device_time_us", "Q", minimum=0, maximum=18446744073709551615),
    )
    STRUCT: ClassVar = payload_struct(FIELDS)

    command_id: int
    """The command."""
    status: CommandStatus
    """How far it has come."""
    reason: CommandReason
    """Why it was refused or ended early."""
    detail: int
    """Axis index, latch or fault code that goes with the reason; otherwise 0."""
    device_time_us: int
    """Device time of the event (µs)."""


@dataclass(frozen=True, slots=True)
class CouchState(Message):
    """Everything about the couch, once per state period."""

    NAME: ClassVar[str] = "COUCH_STATE"
    ID: ClassVar[int] = 0x0101
    SEED: ClassVar[int] = 0x5114C22E
    FIELDS: ClassVar[tuple[Field, ...]] = (
        Field("device_time_us", "Q", minimum=0, maximum=18446744073709551615),
        Field("state_count", "I", minimum=0, maximum=4294967295),
        Field("mode", "B", enum=CouchMode),
        Field("latch", "H", enum=Latch),
        Field("status", "I", enum=CouchStatus),
        Field("last_command_id", "I", minimum=0, maximum=4294967295),
        Field("last_command_status", "B", enum=CommandStatus),
        Field("host_counter", "I", minimum=0, maximum=4294967294, nullable=True),
        Field("client_counter", "I", minimum=0, maximum=4294967294, nullable=True),
        Field("press_count", "I", minimum=0, maximum=4294967294, nullable=True),
        Field("token_counter", "I", minimum=0, maximum=4294967294, nullable=True),
        Field("token_age_us", "I", minimum=0, maximum=4294967294, nullable=True),
        Field("following_error_axis", "B", minimum=0, maximum=6),
        Field("primary_micro", "i", 6, minimum=-2147483647, maximum=2147483647, nullable=True),
        Field("secondary_micro", "i", 6, minimum=-2147483647, maximum=2147483647, nullable=True),
        Field("velocity_micro_per_s", "i", 6, minimum=-2147483647, maximum=2147483647, nullable=True),
        Field("target_micro", "i", 6, minimum=-2147483647, maximum=2147483647, nullable=True),
    )
    STRUCT: ClassVar = payload_struct(FIELDS)
    LATE: ClassVar[LateArrays | None] = LateArrays("<16x8x4x1x2x4x4x1x4x4x4x4x4x1x6i6i6i6i", -2147483648, {
        "primary_micro": 6,
        "secondary_micro": 6,
        "velocity_micro_per_s": 6,
        "target_micro": 6,
    })

    device_time_us: int
    """Device time of the read-back (µs)."""
    state_count: int
    """Advances by one with every state."""
    mode: CouchMode
    """State of the drives."""
    latch: Latch
    """What stopped the couch first."""
    status: CouchStatus
    """Conditions."""
    last_command_id: int
    """Latest command, 0 before the first."""
    last_command_status: CommandStatus
    """How far it has come."""
    host_counter: int | None
    """Latest host counter that arrived."""
    client_counter: int | None
    """Latest client counter that arrived."""
    press_count: int | None
    """Press count of the latest enable token."""
    token_counter: int | None
    """Counter of the latest enable token."""
    token_age_us: int | None
    """Time since the enable token advanced (µs)."""
    following_error_axis: int
    """Axis whose following error tripped, 6 = none."""
    primary_micro: tuple[int | None, ...]
    """Position by the primary encoders (µm|µdeg)."""
    secondary_micro: tuple[int | None, ...]
    """Position by the secondary encoders (µm|µdeg)."""
    velocity_micro_per_s: tuple[int | None, ...]
    """Velocity by the primary encoders (µm/s|µdeg/s)."""
    target_micro: tuple[int | None, ...]
    """Where the present motion ends; the actual position when there is none (µm|µdeg)."""


@dataclass(frozen=True, slots=True)
class AxisInfo(Message):
    """One axis of the couch; six of them follow HELLO_ACK."""

    NAME: ClassVar[str] = "AXIS_INFO"
    ID: ClassVar[int] = 0x0102
    SEED: ClassVar[int] = 0x6172A8E3
    FIELDS: ClassVar[tuple[Field, ...]] = (
        Field("axis", "B", minimum=0, maximum=5),
        Field("travel_min_micro", "i", minimum=-2147483647, maximum=2147483647),
        Field("travel_max_micro", "i", minimum=-2147483647, maximum=2147483647),
        Field("speed_max_micro_per_s", "I", minimum=1, maximum=4294967295),
        Field("acceleration_max_micro_per_s2", "I", minimum=1, maximum=4294967295),
        Field("jerk_max_micro_per_s3", "I", minimum=1, maximum=4294967295),
        Field("resolution_micro", "I", minimum=1, maximum=4294967295),
        Field("servo_lag_us", "I", minimum=0, maximum=4294967295),
        Field("secondary_lag_us", "I", minimum=0, maximum=4294967295),
    )
    STRUCT: ClassVar = payload_struct(FIELDS)

    axis: int
    """Index of the axis."""
    travel_min_micro: int
    """Lower end of travel (µm|µdeg)."""
    travel_max_micro: int
    """Upper end of travel (µm|µdeg)."""
    speed_max_micro_per_s: int
    """Largest speed of the normal class (µm/s|µdeg/s)."""
    acceleration_max_micro_per_s2: int
    """Largest acceleration (µm/s²|µdeg/s²)."""
    jerk_max_micro_per_s3: int
    """Largest jerk (µm/s³|µdeg/s³)."""
    resolution_micro: int
    """Step of the primary encoder (µm|µdeg)."""
    servo_lag_us: int
    """The axis follows its set point by this much later (µs)."""
    secondary_lag_us: int
    """The secondary encoder reports this much later than the primary (µs)."""


@dataclass(frozen=True, slots=True)
class EnableToken(Message):
    """The pendant's state, forwarded unchanged. The host never makes it up."""

    NAME: ClassVar[str] = "ENABLE_TOKEN"
    ID: ClassVar[int] = 0x0103
    SEED: ClassVar[int] = 0x9D101C82
    FROM_HOST: ClassVar[bool] = True
    FIELDS: ClassVar[tuple[Field, ...]] = (
        Field("bar", "B", enum=BarPosition),
        Field("press_count", "I", minimum=0, maximum=4294967294),
        Field("token_counter", "I", minimum=0, maximum=4294967294),
    )
    STRUCT: ClassVar = payload_struct(FIELDS)

    bar: BarPosition
    """Position of the enabling switch."""
    press_count: int
    """Advances each time the switch goes from released to enabled."""
    token_counter: int
    """Advances while the switch is enabled."""


@dataclass(frozen=True, slots=True)
class Move(Message):
    """Moves all axes together to a target. Refused unless everything that motion needs holds now."""

    NAME: ClassVar[str] = "MOVE"
    ID: ClassVar[int] = 0x0104
    SEED: ClassVar[int] = 0xCC8F712F
    FROM_HOST: ClassVar[bool] = True
    IS_COMMAND: ClassVar[bool] = True
    FIELDS: ClassVar[tuple[Field, ...]] = (
        Field("command_id", "I", minimum=1, maximum=4294967295),
        Field("valid_until_us", "Q", minimum=0, maximum=18446744073709551615),
        Field("speed_class", "B", enum=SpeedClass),
        Field("speed_permille", "H", minimum=1, maximum=1000),
        Field("target_micro", "i", 6, minimum=-400000000, maximum=400000000),
        Field("expected_start_micro", "i", 6, minimum=-400000000, maximum=400000000, nullable=True),
    )
    STRUCT: ClassVar = payload_struct(FIELDS)

    command_id: int
    """Rises with every command of a session."""
    valid_until_us: int
    """Device time after which the command is refused (µs)."""
    speed_class: SpeedClass
    """Upper limit of speed."""
    speed_permille: int
    """Part of the limits of the speed class (1/1000)."""
    target_micro: tuple[int, ...]
    """Where to go (µm|µdeg)."""
    expected_start_micro: tuple[int | None, ...]
    """Where the host believes the couch to be; not available = not checked (µm|µdeg)."""


@dataclass(frozen=True, slots=True)
class Stop(Message):
    """Stops all motion and latches STOP_COMMAND. Always accepted, in any session or none, without a command id."""

    NAME: ClassVar[str] = "STOP"
    ID: ClassVar[int] = 0x0105
    SEED: ClassVar[int] = 0xD3276B5B
    NEEDS_SESSION: ClassVar[bool] = False
    FROM_HOST: ClassVar[bool] = True
    IS_COMMAND: ClassVar[bool] = True
    FIELDS: ClassVar[tuple[Field, ...]] = (Field("reason", "B", enum=StopReason),)
    STRUCT: ClassVar = payload_struct(FIELDS)

    reason: StopReason
    """Why."""


@dataclass(frozen=True, slots=True)
class Clear(Message):
    """Clears the latch that it names. Motion then still needs the enabling switch to be pressed anew."""

    NAME: ClassVar[str] = "CLEAR"
    ID: ClassVar[int] = 0x0106
    SEED: ClassVar[int] = 0xB3A5A92D
    FROM_HOST: ClassVar[bool] = True
    IS_COMMAND: ClassVar[bool] = True
    FIELDS: ClassVar[tuple[Field, ...]] = (
        Field("command_id", "I", minimum=1, maximum=4294967295),
        Field("valid_until_us", "Q", minimum=0, maximum=18446744073709551615),
        Field("latch", "H", enum=Latch),
    )
    STRUCT: ClassVar = payload_struct(FIELDS)

    command_id: int
    """Rises with every command of a session."""
    valid_until_us: int
    """Device time after which the command is refused (µs)."""
    latch: Latch
    """The latch that the operator saw."""


@dataclass(frozen=True, slots=True)
class CouchSafety(Message):
    """Hard-wired circuits, sensors and slow values of the couch; also sent at once when a circuit or a sensor
    changes.
    """

    NAME: ClassVar[str] = "COUCH_SAFETY"
    ID: ClassVar[int] = 0x0107
    SEED: ClassVar[int] = 0x5F280A7E
    FIELDS: ClassVar[tuple[Field, ...]] = (
        Field("device_time_us", "Q", minimum=0, maximum=18446744073709551615),
        Field("state_count", "I", minimum=0, maximum=4294967295),
        Field("emergency_stop", "B", enum=SafetyCircuit),
        Field("enable_circuit", "B", enum=SafetyCircuit),
        Field("torque_feedback", "B", enum=TorqueFeedback),
        Field("touched", "I", enum=TouchSensor),
        Field("touch_force_mn", "I", minimum=0, maximum=4294967294, nullable=True),
        Field("drive_temperature_mdeg_c", "i", 6, minimum=-2147483647, maximum=2147483647, nullable=True),
        Field("payload_g", "i", minimum=-2147483647, maximum=2147483647, nullable=True),
    )
    STRUCT: ClassVar = payload_struct(FIELDS)
    LATE: ClassVar[LateArrays | None] = LateArrays("<16x8x4x1x1x1x4x4x6i4x", -2147483648, {
        "drive_temperature_mdeg_c": 6,
    })

    device_time_us: int
    """Device time (µs)."""
    state_count: int
    """Advances by one with every COUCH_SAFETY."""
    emergency_stop: SafetyCircuit
    """Emergency-stop circuit."""
    enable_circuit: SafetyCircuit
    """Hard-wired circuit of the enabling switch."""
    torque_feedback: TorqueFeedback
    """STO feedback of the drives."""
    touched: TouchSensor
    """Sensors that are pressed."""
    touch_force_mn: int | None
    """Greatest force on a touch sensor (mN)."""
    drive_temperature_mdeg_c: tuple[int | None, ...]
    """Temperature of each drive (m°C)."""
    payload_g: int | None
    """Measured load of the table top (g)."""


@dataclass(frozen=True, slots=True)
class GeneratorState(Message):
    """Everything about the generator, once per state period."""

    NAME: ClassVar[str] = "GENERATOR_STATE"
    ID: ClassVar[int] = 0x0201
    SEED: ClassVar[int] = 0x4CC1D1D3
    FIELDS: ClassVar[tuple[Field, ...]] = (
        Field("device_time_us", "Q", minimum=0, maximum=18446744073709551615),
        Field("state_count", "I", minimum=0, maximum=4294967295),
        Field("phase", "B", enum=GeneratorPhase),
        Field("fault", "H", enum=GeneratorFault),
        Field("exposure_id", "I", minimum=0, maximum=4294967295),
        Field("anode_heat_permille", "H", minimum=0, maximum=2000),
        Field("last_command_id", "I", minimum=0, maximum=4294967295),
        Field("last_command_status", "B", enum=CommandStatus),
    )
    STRUCT: ClassVar = payload_struct(FIELDS)

    device_time_us: int
    """Device time (µs)."""
    state_count: int
    """Advances by one with every state."""
    phase: GeneratorPhase
    """What the generator does."""
    fault: GeneratorFault
    """What is wrong."""
    exposure_id: int
    """Exposure that was prepared last, 0 before the first."""
    anode_heat_permille: int
    """Stored heat as a part of what the anode can take (1/1000)."""
    last_command_id: int
    """Latest command, 0 before the first."""
    last_command_status: CommandStatus
    """How far it has come."""


@dataclass(frozen=True, slots=True)
class Prepare(Message):
    """Prepares one exposure; DONE when the tube is ready."""

    NAME: ClassVar[str] = "PREPARE"
    ID: ClassVar[int] = 0x0202
    SEED: ClassVar[int] = 0x6E45911F
    FROM_HOST: ClassVar[bool] = True
    IS_COMMAND: ClassVar[bool] = True
    FIELDS: ClassVar[tuple[Field, ...]] = (
        Field("command_id", "I", minimum=1, maximum=4294967295),
        Field("valid_until_us", "Q", minimum=0, maximum=18446744073709551615),
        Field("exposure_id", "I", minimum=1, maximum=4294967295),
        Field("tube_voltage_v", "I", minimum=40000, maximum=150000),
        Field("tube_current_ua", "I", minimum=1000, maximum=800000),
        Field("exposure_time_us", "I", minimum=1000, maximum=2000000),
    )
    STRUCT: ClassVar = payload_struct(FIELDS)

    command_id: int
    """Rises with every command of a session."""
    valid_until_us: int
    """Device time after which the command is refused (µs)."""
    exposure_id: int
    """The exposure."""
    tube_voltage_v: int
    """Tube voltage (V)."""
    tube_current_ua: int
    """Tube current (µA)."""
    exposure_time_us: int
    """Exposure time (µs)."""


@dataclass(frozen=True, slots=True)
class Expose(Message):
    """Makes the exposure that was prepared; DONE with EXPOSURE_RESULT."""

    NAME: ClassVar[str] = "EXPOSE"
    ID: ClassVar[int] = 0x0203
    SEED: ClassVar[int] = 0x803ADF8E
    FROM_HOST: ClassVar[bool] = True
    IS_COMMAND: ClassVar[bool] = True
    FIELDS: ClassVar[tuple[Field, ...]] = (
        Field("command_id", "I", minimum=1, maximum=4294967295),
        Field("valid_until_us", "Q", minimum=0, maximum=18446744073709551615),
        Field("exposure_id", "I", minimum=1, maximum=4294967295),
    )
    STRUCT: ClassVar = payload_struct(FIELDS)

    command_id: int
    """Rises with every command of a session."""
    valid_until_us: int
    """Device time after which the command is refused (µs)."""
    exposure_id: int
    """The exposure that was prepared."""


@dataclass(frozen=True, slots=True)
class AbortExposure(Message):
    """X-rays off and back to idle. Always accepted, in any session or none."""

    NAME: ClassVar[str] = "ABORT_EXPOSURE"
    ID: ClassVar[int] = 0x0204
    SEED: ClassVar[int] = 0x7BC7FFB9
    NEEDS_SESSION: ClassVar[bool] = False
    FROM_HOST: ClassVar[bool] = True
    IS_COMMAND: ClassVar[bool] = True
    FIELDS: ClassVar[tuple[Field, ...]] = ()
    STRUCT: ClassVar = payload_struct(FIELDS)


@dataclass(frozen=True, slots=True)
class ExposureResult(Message):
    """How an exposure ended and what was measured."""

    NAME: ClassVar[str] = "EXPOSURE_RESULT"
    ID: ClassVar[int] = 0x0205
    SEED: ClassVar[int] = 0x41FBEBDF
    FIELDS: ClassVar[tuple[Field, ...]] = (
        Field("exposure_id", "I", minimum=0, maximum=4294967295),
        Field("outcome", "B", enum=ExposureOutcome),
        Field("tube_voltage_v", "I", minimum=0, maximum=4294967295),
        Field("tube_current_ua", "I", minimum=0, maximum=4294967295),
        Field("exposure_time_us", "I", minimum=0, maximum=4294967295),
        Field("started_us", "Q", minimum=0, maximum=18446744073709551615),
    )
    STRUCT: ClassVar = payload_struct(FIELDS)

    exposure_id: int
    """The exposure."""
    outcome: ExposureOutcome
    """How it ended."""
    tube_voltage_v: int
    """Measured tube voltage (V)."""
    tube_current_ua: int
    """Measured tube current (µA)."""
    exposure_time_us: int
    """Measured exposure time (µs)."""
    started_us: int
    """Device time when X-rays began (µs)."""


@dataclass(frozen=True, slots=True)
class GeneratorRoom(Message):
    """Door interlock and temperature of the tube housing; also sent at once when the door changes."""

    NAME: ClassVar[str] = "GENERATOR_ROOM"
    ID: ClassVar[int] = 0x0206
    SEED: ClassVar[int] = 0x723D6C37
    FIELDS: ClassVar[tuple[Field, ...]] = (
        Field("device_time_us", "Q", minimum=0, maximum=18446744073709551615),
        Field("state_count", "I", minimum=0, maximum=4294967295),
        Field("door", "B", enum=RoomDoor),
        Field("housing_temperature_mdeg_c", "i", minimum=-2147483647, maximum=2147483647, nullable=True),
    )
    STRUCT: ClassVar = payload_struct(FIELDS)

    device_time_us: int
    """Device time (µs)."""
    state_count: int
    """Advances by one with every GENERATOR_ROOM."""
    door: RoomDoor
    """Door interlock."""
    housing_temperature_mdeg_c: int | None
    """Temperature of the tube housing (m°C)."""


@dataclass(frozen=True, slots=True)
class PanelState(Message):
    """Everything about the panel, once per state period."""

    NAME: ClassVar[str] = "PANEL_STATE"
    ID: ClassVar[int] = 0x0301
    SEED: ClassVar[int] = 0x431BE8C6
    FIELDS: ClassVar[tuple[Field, ...]] = (
        Field("device_time_us", "Q", minimum=0, maximum=18446744073709551615),
        Field("state_count", "I", minimum=0, maximum=4294967295),
        Field("phase", "B", enum=PanelPhase),
        Field("fault", "H", enum=PanelFault),
        Field("exposure_id", "I", minimum=0, maximum=4294967295),
        Field("frame_id", "I", minimum=0, maximum=4294967295),
        Field("rows", "H", minimum=1, maximum=65535),
        Field("columns", "H", minimum=1, maximum=65535),
        Field("temperature_mdeg_c", "i", minimum=-2147483647, maximum=2147483647, nullable=True),
        Field("last_command_id", "I", minimum=0, maximum=4294967295),
        Field("last_command_status", "B", enum=CommandStatus),
    )
    STRUCT: ClassVar = payload_struct(FIELDS)

    device_time_us: int
    """Device time (µs)."""
    state_count: int
    """Advances by one with every state."""
    phase: PanelPhase
    """What the panel does."""
    fault: PanelFault
    """What is wrong."""
    exposure_id: int
    """Exposure that the panel was armed for last, 0 before the first."""
    frame_id: int
    """Latest frame, 0 before the first."""
    rows: int
    """Pixels along a column."""
    columns: int
    """Pixels along a row."""
    temperature_mdeg_c: int | None
    """Temperature of the panel (m°C)."""
    last_command_id: int
    """Latest command, 0 before the first."""
    last_command_status: CommandStatus
    """How far it has come."""


@dataclass(frozen=True, slots=True)
class Arm(Message):
    """Arms the panel for one exposure; STARTED when it waits for X-rays, DONE with FRAME_READY."""

    NAME: ClassVar[str] = "ARM"
    ID: ClassVar[int] = 0x0302
    SEED: ClassVar[int] = 0x2F916A15
    FROM_HOST: ClassVar[bool] = True
    IS_COMMAND: ClassVar[bool] = True
    FIELDS: ClassVar[tuple[Field, ...]] = (
        Field("command_id", "I", minimum=1, maximum=4294967295),
        Field("valid_until_us", "Q", minimum=0, maximum=18446744073709551615),
        Field("exposure_id", "I", minimum=1, maximum=4294967295),
        Field("window_us", "I", minimum=10000, maximum=60000000),
    )
    STRUCT: ClassVar = payload_struct(FIELDS)

    command_id: int
    """Rises with every command of a session."""
    valid_until_us: int
    """Device time after which the command is refused (µs)."""
    exposure_id: int
    """The exposure."""
    window_us: int
    """The panel disarms itself when no X-rays come within this time (µs)."""


@dataclass(frozen=True, slots=True)
class Disarm(Message):
    """Back to idle; a frame in read-out is lost."""

    NAME: ClassVar[str] = "DISARM"
    ID: ClassVar[int] = 0x0303
    SEED: ClassVar[int] = 0x37D10B41
    FROM_HOST: ClassVar[bool] = True
    IS_COMMAND: ClassVar[bool] = True
    FIELDS: ClassVar[tuple[Field, ...]] = (
        Field("command_id", "I", minimum=1, maximum=4294967295),
        Field("valid_until_us", "Q", minimum=0, maximum=18446744073709551615),
    )
    STRUCT: ClassVar = payload_struct(FIELDS)

    command_id: int
    """Rises with every command of a session."""
    valid_until_us: int
    """Device time after which the command is refused (µs)."""


@dataclass(frozen=True, slots=True)
class FrameReady(Message):
    """A frame was read out and is being sent on the image connection."""

    NAME: ClassVar[str] = "FRAME_READY"
    ID: ClassVar[int] = 0x0304
    SEED: ClassVar[int] = 0x3D0B5B7F
    FIELDS: ClassVar[tuple[Field, ...]] = (
        Field("frame_id", "I", minimum=1, maximum=4294967295),
        Field("exposure_id", "I", minimum=1, maximum=4294967295),
        Field("rows", "H", minimum=1, maximum=65535),
        Field("columns", "H", minimum=1, maximum=65535),
        Field("pixels_crc", "I", minimum=0, maximum=4294967295),
    )
    STRUCT: ClassVar = payload_struct(FIELDS)

    frame_id: int
    """Rises with every frame."""
    exposure_id: int
    """The exposure."""
    rows: int
    """Pixels along a column."""
    columns: int
    """Pixels along a row."""
    pixels_crc: int
    """CRC-32 of all pixels."""


@dataclass(frozen=True, slots=True)
class DarkFrame(Message):
    """What the first dark frame after an exposure showed; follows every FRAME_READY."""

    NAME: ClassVar[str] = "DARK_FRAME"
    ID: ClassVar[int] = 0x0305
    SEED: ClassVar[int] = 0xA9A95B75
    FIELDS: ClassVar[tuple[Field, ...]] = (
        Field("exposure_id", "I", minimum=1, maximum=4294967295),
        Field("residual_ppm", "I", minimum=0, maximum=4294967294, nullable=True),
    )
    STRUCT: ClassVar = payload_struct(FIELDS)

    exposure_id: int
    """The exposure before it."""
    residual_ppm: int | None
    """Mean signal that is left, offset subtracted, as a part of that of the exposure, 1/1000000."""


@dataclass(frozen=True, slots=True)
class ReadDark(Message):
    """Reads one frame without X-rays; STARTED when it is being read, DONE with FRAME_READY. No DARK_FRAME follows."""

    NAME: ClassVar[str] = "READ_DARK"
    ID: ClassVar[int] = 0x0306
    SEED: ClassVar[int] = 0x4DD65DB0
    FROM_HOST: ClassVar[bool] = True
    IS_COMMAND: ClassVar[bool] = True
    FIELDS: ClassVar[tuple[Field, ...]] = (
        Field("command_id", "I", minimum=1, maximum=4294967295),
        Field("valid_until_us", "Q", minimum=0, maximum=18446744073709551615),
        Field("exposure_id", "I", minimum=1, maximum=4294967295),
    )
    STRUCT: ClassVar = payload_struct(FIELDS)

    command_id: int
    """Rises with every command of a session."""
    valid_until_us: int
    """Device time after which the command is refused (µs)."""
    exposure_id: int
    """Number under which the frame comes; never that of an exposure."""


@dataclass(frozen=True, slots=True)
class ImageChunk(Message):
    """Some whole rows of a frame."""

    NAME: ClassVar[str] = "IMAGE_CHUNK"
    ID: ClassVar[int] = 0x0381
    SEED: ClassVar[int] = 0x37F1DA61
    NEEDS_SESSION: ClassVar[bool] = False
    IS_BULK: ClassVar[bool] = True
    FIELDS: ClassVar[tuple[Field, ...]] = (
        Field("frame_id", "I", minimum=1, maximum=4294967295),
        Field("exposure_id", "I", minimum=1, maximum=4294967295),
        Field("rows", "H", minimum=1, maximum=65535),
        Field("columns", "H", minimum=1, maximum=65535),
        Field("first_row", "H", minimum=0, maximum=65535),
        Field("row_count", "H", minimum=1, maximum=65535),
        Field("pixels", ""),
    )
    STRUCT: ClassVar = payload_struct(FIELDS)

    frame_id: int
    """The frame."""
    exposure_id: int
    """The exposure."""
    rows: int
    """Rows of the whole frame."""
    columns: int
    """Columns of the whole frame."""
    first_row: int
    """First row of this chunk."""
    row_count: int
    """Rows in this chunk."""
    pixels: bytes
    """Row_count x columns pixels, u16 little-endian, row by row (counts)."""


@dataclass(frozen=True, slots=True)
class ImageEnd(Message):
    """All chunks of a frame, or of a resend, have been sent."""

    NAME: ClassVar[str] = "IMAGE_END"
    ID: ClassVar[int] = 0x0382
    SEED: ClassVar[int] = 0xE57DEE94
    NEEDS_SESSION: ClassVar[bool] = False
    IS_BULK: ClassVar[bool] = True
    FIELDS: ClassVar[tuple[Field, ...]] = (
        Field("frame_id", "I", minimum=1, maximum=4294967295),
        Field("exposure_id", "I", minimum=1, maximum=4294967295),
        Field("rows", "H", minimum=1, maximum=65535),
        Field("columns", "H", minimum=1, maximum=65535),
        Field("pixels_crc", "I", minimum=0, maximum=4294967295),
    )
    STRUCT: ClassVar = payload_struct(FIELDS)

    frame_id: int
    """The frame."""
    exposure_id: int
    """The exposure."""
    rows: int
    """Rows of the whole frame."""
    columns: int
    """Columns of the whole frame."""
    pixels_crc: int
    """CRC-32 of all pixels of the frame."""


@dataclass(frozen=True, slots=True)
class ImageResend(Message):
    """Asks for some rows of a frame again; they end with another IMAGE_END."""

    NAME: ClassVar[str] = "IMAGE_RESEND"
    ID: ClassVar[int] = 0x0383
    SEED: ClassVar[int] = 0x7AB55BA4
    NEEDS_SESSION: ClassVar[bool] = False
    FROM_HOST: ClassVar[bool] = True
    IS_BULK: ClassVar[bool] = True
    FIELDS: ClassVar[tuple[Field, ...]] = (
        Field("frame_id", "I", minimum=1, maximum=4294967295),
        Field("first_row", "H", minimum=0, maximum=65535),
        Field("row_count", "H", minimum=1, maximum=65535),
    )
    STRUCT: ClassVar = payload_struct(FIELDS)

    frame_id: int
    """The frame."""
    first_row: int
    """First row."""
    row_count: int
    """Number of rows."""


@dataclass(frozen=True, slots=True)
class ImageRelease(Message):
    """The frame has arrived whole; the panel may forget it."""

    NAME: ClassVar[str] = "IMAGE_RELEASE"
    ID: ClassVar[int] = 0x0384
    SEED: ClassVar[int] = 0x472D92BC
    NEEDS_SESSION: ClassVar[bool] = False
    FROM_HOST: ClassVar[bool] = True
    IS_BULK: ClassVar[bool] = True
    FIELDS: ClassVar[tuple[Field, ...]] = (Field("frame_id", "I", minimum=1, maximum=4294967295),)
    STRUCT: ClassVar = payload_struct(FIELDS)

    frame_id: int
    """The frame."""


@dataclass(frozen=True, slots=True)
class PendantState(Message):
    """The enabling switch; also sent at once when the switch changes."""

    NAME: ClassVar[str] = "PENDANT_STATE"
    ID: ClassVar[int] = 0x0401
    SEED: ClassVar[int] = 0x31DC4E8F
    FIELDS: ClassVar[tuple[Field, ...]] = (
        Field("device_time_us", "Q", minimum=0, maximum=18446744073709551615),
        Field("state_count", "I", minimum=0, maximum=4294967295),
        Field("bar", "B", enum=BarPosition),
        Field("press_count", "I", minimum=0, maximum=4294967294),
        Field("token_counter", "I", minimum=0, maximum=4294967294),
    )
    STRUCT: ClassVar = payload_struct(FIELDS)

    device_time_us: int
    """Device time (µs)."""
    state_count: int
    """Advances by one with every state."""
    bar: BarPosition
    """Position of the enabling switch."""
    press_count: int
    """Advances each time the switch goes from released to enabled."""
    token_counter: int
    """Advances while the switch is enabled."""


@dataclass(frozen=True, slots=True)
class GantryState(Message):
    """Everything about gantry and imager arm, once per state period."""

    NAME: ClassVar[str] = "GANTRY_STATE"
    ID: ClassVar[int] = 0x0501
    SEED: ClassVar[int] = 0xC10321A0
    FIELDS: ClassVar[tuple[Field, ...]] = (
        Field("device_time_us", "Q", minimum=0, maximum=18446744073709551615),
        Field("state_count", "I", minimum=0, maximum=4294967295),
        Field("mode", "B", enum=GantryMode),
        Field("latch", "H", enum=GantryLatch),
        Field("status", "I", enum=GantryStatus),
        Field("last_command_id", "I", minimum=0, maximum=4294967295),
        Field("last_command_status", "B", enum=CommandStatus),
        Field("host_counter", "I", minimum=0, maximum=4294967294, nullable=True),
        Field("client_counter", "I", minimum=0, maximum=4294967294, nullable=True),
        Field("press_count", "I", minimum=0, maximum=4294967294, nullable=True),
        Field("token_counter", "I", minimum=0, maximum=4294967294, nullable=True),
        Field("token_age_us", "I", minimum=0, maximum=4294967294, nullable=True),
        Field("imager_arm", "B", enum=ImagerArmState),
        Field("primary_udeg", "i", minimum=-2147483647, maximum=2147483647, nullable=True),
        Field("secondary_udeg", "i", minimum=-2147483647, maximum=2147483647, nullable=True),
        Field("velocity_udeg_per_s", "i", minimum=-2147483647, maximum=2147483647, nullable=True),
        Field("target_udeg", "i", minimum=-2147483647, maximum=2147483647, nullable=True),
        Field("scan_id", "I", minimum=0, maximum=4294967295),
        Field("trigger_count", "I", minimum=0, maximum=4294967295),
    )
    STRUCT: ClassVar = payload_struct(FIELDS)

    device_time_us: int
    """Device time of the read-back (µs)."""
    state_count: int
    """Advances by one with every state."""
    mode: GantryMode
    """State of the drive."""
    latch: GantryLatch
    """What stopped the gantry first."""
    status: GantryStatus
    """Conditions."""
    last_command_id: int
    """Latest command, 0 before the first."""
    last_command_status: CommandStatus
    """How far it has come."""
    host_counter: int | None
    """Latest host counter that arrived."""
    client_counter: int | None
    """Latest client counter that arrived."""
    press_count: int | None
    """Press count of the latest enable token."""
    token_counter: int | None
    """Counter of the latest enable token."""
    token_age_us: int | None
    """Time since the enable token advanced (µs)."""
    imager_arm: ImagerArmState
    """Where the imager arm is."""
    primary_udeg: int | None
    """Gantry angle by the primary encoder (µdeg)."""
    secondary_udeg: int | None
    """Gantry angle by the secondary encoder (µdeg)."""
    velocity_udeg_per_s: int | None
    """Angular velocity by the primary encoder (µdeg/s)."""
    target_udeg: int | None
    """Where the present rotation ends; the actual angle when there is none (µdeg)."""
    scan_id: int
    """Latest cone-beam rotation, 0 before the first."""
    trigger_count: int
    """Triggers of that rotation so far."""


@dataclass(frozen=True, slots=True)
class GantryInfo(Message):
    """What the gantry can do; follows HELLO_ACK."""

    NAME: ClassVar[str] = "GANTRY_INFO"
    ID: ClassVar[int] = 0x0502
    SEED: ClassVar[int] = 0xA1B7478D
    FIELDS: ClassVar[tuple[Field, ...]] = (
        Field("travel_min_udeg", "i", minimum=-2147483647, maximum=2147483647),
        Field("travel_max_udeg", "i", minimum=-2147483647, maximum=2147483647),
        Field("speed_max_udeg_per_s", "I", minimum=1, maximum=4294967295),
        Field("acceleration_max_udeg_per_s2", "I", minimum=1, maximum=4294967295),
        Field("jerk_max_udeg_per_s3", "I", minimum=1, maximum=4294967295),
        Field("primary_resolution_udeg", "I", minimum=1, maximum=4294967295),
        Field("secondary_resolution_udeg", "I", minimum=1, maximum=4294967295),
        Field("servo_lag_us", "I", minimum=0, maximum=4294967295),
        Field("secondary_lag_us", "I", minimum=0, maximum=4294967295),
        Field("arm_travel_us", "I", minimum=1, maximum=4294967295),
    )
    STRUCT: ClassVar = payload_struct(FIELDS)

    travel_min_udeg: int
    """Lower end of travel (µdeg)."""
    travel_max_udeg: int
    """Upper end of travel (µdeg)."""
    speed_max_udeg_per_s: int
    """Largest speed (µdeg/s)."""
    acceleration_max_udeg_per_s2: int
    """Largest acceleration (µdeg/s²)."""
    jerk_max_udeg_per_s3: int
    """Largest jerk (µdeg/s³)."""
    primary_resolution_udeg: int
    """Step of the primary encoder (µdeg)."""
    secondary_resolution_udeg: int
    """Step of the secondary encoder (µdeg)."""
    servo_lag_us: int
    """The gantry follows its set point by this much later (µs)."""
    secondary_lag_us: int
    """The secondary encoder reports this much later than the primary (µs)."""
    arm_travel_us: int
    """Time that the imager arm needs from end to end (µs)."""


@dataclass(frozen=True, slots=True)
class GantryEnableToken(Message):
    """The pendant's state, forwarded unchanged. The host never makes it up."""

    NAME: ClassVar[str] = "GANTRY_ENABLE_TOKEN"
    ID: ClassVar[int] = 0x0503
    SEED: ClassVar[int] = 0x7A08DD38
    FROM_HOST: ClassVar[bool] = True
    FIELDS: ClassVar[tuple[Field, ...]] = (
        Field("bar", "B", enum=BarPosition),
        Field("press_count", "I", minimum=0, maximum=4294967294),
        Field("token_counter", "I", minimum=0, maximum=4294967294),
    )
    STRUCT: ClassVar = payload_struct(FIELDS)

    bar: BarPosition
    """Position of the enabling switch."""
    press_count: int
    """Advances each time the switch goes from released to enabled."""
    token_counter: int
    """Advances while the switch is enabled."""


@dataclass(frozen=True, slots=True)
class GantryRotate(Message):
    """Rotates the gantry to an angle. Refused unless everything that motion needs holds now."""

    NAME: ClassVar[str] = "GANTRY_ROTATE"
    ID: ClassVar[int] = 0x0504
    SEED: ClassVar[int] = 0x11DAEC3B
    FROM_HOST: ClassVar[bool] = True
    IS_COMMAND: ClassVar[bool] = True
    FIELDS: ClassVar[tuple[Field, ...]] = (
        Field("command_id", "I", minimum=1, maximum=4294967295),
        Field("valid_until_us", "Q", minimum=0, maximum=18446744073709551615),
        Field("speed_udeg_per_s", "I", minimum=1, maximum=7000000),
        Field("target_udeg", "i", minimum=-400000000, maximum=400000000),
        Field("expected_start_udeg", "i", minimum=-400000000, maximum=400000000, nullable=True),
    )
    STRUCT: ClassVar = payload_struct(FIELDS)

    command_id: int
    """Rises with every command of a session."""
    valid_until_us: int
    """Device time after which the command is refused (µs)."""
    speed_udeg_per_s: int
    """Largest speed on the way (µdeg/s)."""
    target_udeg: int
    """Where to go (µdeg)."""
    expected_start_udeg: int | None
    """Where the host believes the gantry to be; not available = not checked (µdeg)."""


@dataclass(frozen=True, slots=True)
class GantryStop(Message):
    """Stops gantry and imager arm and latches STOP_COMMAND. Always accepted, in any session or none, without a
    command id.
    """

    NAME: ClassVar[str] = "GANTRY_STOP"
    ID: ClassVar[int] = 0x0505
    SEED: ClassVar[int] = 0x8E0C6B5B
    NEEDS_SESSION: ClassVar[bool] = False
    FROM_HOST: ClassVar[bool] = True
    IS_COMMAND: ClassVar[bool] = True
    FIELDS: ClassVar[tuple[Field, ...]] = (Field("reason", "B", enum=GantryStopReason),)
    STRUCT: ClassVar = payload_struct(FIELDS)

    reason: GantryStopReason
    """Why."""


@dataclass(frozen=True, slots=True)
class GantryClear(Message):
    """Clears the latch that it names. Motion then still needs the enabling switch to be pressed anew."""

    NAME: ClassVar[str] = "GANTRY_CLEAR"
    ID: ClassVar[int] = 0x0506
    SEED: ClassVar[int] = 0x6A72964D
    FROM_HOST: ClassVar[bool] = True
    IS_COMMAND: ClassVar[bool] = True
    FIELDS: ClassVar[tuple[Field, ...]] = (
        Field("command_id", "I", minimum=1, maximum=4294967295),
        Field("valid_until_us", "Q", minimum=0, maximum=18446744073709551615),
        Field("latch", "H", enum=GantryLatch),
    )
    STRUCT: ClassVar = payload_struct(FIELDS)

    command_id: int
    """Rises with every command of a session."""
    valid_until_us: int
    """Device time after which the command is refused (µs)."""
    latch: GantryLatch
    """The latch that the operator saw."""


@dataclass(frozen=True, slots=True)
class ImagerArmMove(Message):
    """Moves the imager arm to one of its ends, with the gantry at rest. Refused unless everything that motion
    needs holds now.
    """

    NAME: ClassVar[str] = "IMAGER_ARM_MOVE"
    ID: ClassVar[int] = 0x0507
    SEED: ClassVar[int] = 0xFF8C961A
    FROM_HOST: ClassVar[bool] = True
    IS_COMMAND: ClassVar[bool] = True
    FIELDS: ClassVar[tuple[Field, ...]] = (
        Field("command_id", "I", minimum=1, maximum=4294967295),
        Field("valid_until_us", "Q", minimum=0, maximum=18446744073709551615),
        Field("arm_end", "B", enum=ImagerArmEnd),
    )
    STRUCT: ClassVar = payload_struct(FIELDS)

    command_id: int
    """Rises with every command of a session."""
    valid_until_us: int
    """Device time after which the command is refused (µs)."""
    arm_end: ImagerArmEnd
    """Where to go."""


@dataclass(frozen=True, slots=True)
class ConeBeamRotate(Message):
    """Rotates from one angle to another at constant speed and triggers a projection at the first angle and then
    every so many µdeg, the last angle included when a step ends there. The gantry runs up before the first
    angle and out after the last. WRONG_PHASE unless the imager arm is extended.
    """

    NAME: ClassVar[str] = "CONE_BEAM_ROTATE"
    ID: ClassVar[int] = 0x0508
    SEED: ClassVar[int] = 0x291B107A
    FROM_HOST: ClassVar[bool] = True
    IS_COMMAND: ClassVar[bool] = True
    FIELDS: ClassVar[tuple[Field, ...]] = (
        Field("command_id", "I", minimum=1, maximum=4294967295),
        Field("valid_until_us", "Q", minimum=0, maximum=18446744073709551615),
        Field("scan_id", "I", minimum=1, maximum=4294967295),
        Field("from_udeg", "i", minimum=-400000000, maximum=400000000),
        Field("to_udeg", "i", minimum=-400000000, maximum=400000000),
        Field("speed_udeg_per_s", "I", minimum=1, maximum=7000000),
        Field("trigger_spacing_udeg", "I", minimum=10000, maximum=90000000),
        Field("expected_start_udeg", "i", minimum=-400000000, maximum=400000000, nullable=True),
    )
    STRUCT: ClassVar = payload_struct(FIELDS)

    command_id: int
    """Rises with every command of a session."""
    valid_until_us: int
    """Device time after which the command is refused (µs)."""
    scan_id: int
    """The cone-beam rotation."""
    from_udeg: int
    """Angle of the first trigger (µdeg)."""
    to_udeg: int
    """Angle after which there is no trigger (µdeg)."""
    speed_udeg_per_s: int
    """Speed from the first angle to the last (µdeg/s)."""
    trigger_spacing_udeg: int
    """Angle between two triggers (µdeg)."""
    expected_start_udeg: int | None
    """Where the host believes the gantry to be; not available = not checked (µdeg)."""


@dataclass(frozen=True, slots=True)
class ProjectionTrigger(Message):
    """A projection was triggered. An index that is missing is a projection without an angle and must not be used."""

    NAME: ClassVar[str] = "PROJECTION_TRIGGER"
    ID: ClassVar[int] = 0x0509
    SEED: ClassVar[int] = 0xBEEE45E8
    FIELDS: ClassVar[tuple[Field, ...]] = (
        Field("scan_id", "I", minimum=1, maximum=4294967295),
        Field("trigger_index", "I", minimum=0, maximum=80000),
        Field("primary_udeg", "i", minimum=-2147483647, maximum=2147483647, nullable=True),
        Field("secondary_udeg", "i", minimum=-2147483647, maximum=2147483647, nullable=True),
        Field("device_time_us", "Q", minimum=0, maximum=18446744073709551615),
    )
    STRUCT: ClassVar = payload_struct(FIELDS)

    scan_id: int
    """The cone-beam rotation."""
    trigger_index: int
    """Counts from 0 within the rotation."""
    primary_udeg: int | None
    """Gantry angle at the trigger by the primary encoder (µdeg)."""
    secondary_udeg: int | None
    """Gantry angle at the trigger by the secondary encoder (µdeg)."""
    device_time_us: int
    """Device time of the trigger (µs)."""


MESSAGES: Final[dict[int, type[Message]]] = {
    0x0001: Hello,
    0x0002: HelloAck,
    0x0003: SessionEnded,
    0x0004: Heartbeat,
    0x0005: TimeRequest,
    0x0006: TimeReply,
    0x0007: CommandEvent,
    0x0101: CouchState,
    0x0102: AxisInfo,
    0x0103: EnableToken,
    0x0104: Move,
    0x0105: Stop,
    0x0106: Clear,
    0x0107: CouchSafety,
    0x0201: GeneratorState,
    0x0202: Prepare,
    0x0203: Expose,
    0x0204: AbortExposure,
    0x0205: ExposureResult,
    0x0206: GeneratorRoom,
    0x0301: PanelState,
    0x0302: Arm,
    0x0303: Disarm,
    0x0304: FrameReady,
    0x0305: DarkFrame,
    0x0306: ReadDark,
    0x0381: ImageChunk,
    0x0382: ImageEnd,
    0x0383: ImageResend,
    0x0384: ImageRelease,
    0x0401: PendantState,
    0x0501: GantryState,
    0x0502: GantryInfo,
    0x0503: GantryEnableToken,
    0x0504: GantryRotate,
    0x0505: GantryStop,
    0x0506: GantryClear,
    0x0507: ImagerArmMove,
    0x0508: ConeBeamRotate,
    0x0509: ProjectionTrigger,
}
"""Every message by its id."""

DICTIONARY_HASHES: Final[dict[DeviceKind, int]] = {
    DeviceKind.COUCH: 0xA53036014655C173,
    DeviceKind.GENERATOR: 0x5267459C4FE2DE43,
    DeviceKind.PANEL: 0xE91C765EF59B042E,
    DeviceKind.PENDANT: 0x568EFD3EF263D3C0,
    DeviceKind.GANTRY: 0xA3C03E745F216CFD,
}
"""What host and device compare before they trust each other, by device."""
