"""Errors of the firmware protocol."""

from __future__ import annotations

from enum import Enum

from isoalign.errors import DeviceError


class FrameFault(Enum):
    """What is wrong with received bytes."""

    TOO_SHORT = "too short"
    TOO_LONG = "too long"
    STUFFING = "bad byte stuffing"
    LENGTH = "length does not match"
    UNKNOWN_MESSAGE = "unknown message"
    FLAGS = "reserved flags are set"
    CHECKSUM = "checksum does not match"
    FIELD = "field out of range"
    SEQUENCE = "not part of what was announced"


class FrameError(DeviceError):
    """Bytes that are not a valid frame; they are counted and dropped, never acted on."""

    code = "protocol.frame"
    default_hint = "Check cable, connector and baud rate when such frames are frequent."

    def __init__(self, fault: FrameFault, message: str, *, hint: str | None = None) -> None:
        super().__init__(f"{fault.value}: {message}", hint=hint, fault=fault.name)
        self.fault = fault


class InvalidField(FrameError):
    """A field of a message has a value that its definition does not allow."""

    code = "protocol.invalid-field"
    default_hint = "Keep to the range that the interface document gives for the field."

    def __init__(self, field: str, value: object) -> None:
        super().__init__(FrameFault.FIELD, f"{field} = {value!r}")
        self.field = field


class SessionNotOpen(DeviceError):
    """Something was to be sent that needs a session, but there is none."""

    code = "protocol.no-session"
    default_hint = "Connect first; after a lost session connect again and check the device state."


class SessionReadOnly(DeviceError):
    """Device and host differ in protocol or dictionary; the session shows state but takes no commands."""

    code = "protocol.read-only-session"
    default_hint = "Install matching versions of this software and of the firmware."
