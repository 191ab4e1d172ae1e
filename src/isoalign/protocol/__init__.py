"""Firmware protocol: bytes in, messages out, and the rules of a session; no sockets, no serial ports.

Messages, codec and sessions serve both ends, the drivers in ``isoalign.devices`` and the firmware in
``isoalign.simulators``; the vectors in ``firmware_protocols/`` are made by another codec. Time is always an
argument (``now_s``). Messages and enumerations are in :mod:`isoalign.protocol.messages`.
"""

from isoalign.protocol.commands import CommandProgress
from isoalign.protocol.device_session import DeviceIdentity, DeviceSession
from isoalign.protocol.errors import FrameError, FrameFault, InvalidField, SessionNotOpen, SessionReadOnly
from isoalign.protocol.framing import Frame, FrameReader, Header, decode, encode
from isoalign.protocol.host_session import HostSession
from isoalign.protocol.images import ImageAssembler, ImageFrame, RecordReader, encode_record, image_records
from isoalign.protocol.layout import Message
from isoalign.protocol.session import DeviceInfo, SessionState
from isoalign.protocol.time_offset import TimeOffset
from isoalign.protocol.units import axes_from_micro, micro_from_axes, s_from_us, us_from_s
from isoalign.protocol.watchdog import CounterWatchdog, EnableTokenWatch, next_counter

__all__ = [
    "CommandProgress",
    "CounterWatchdog",
    "DeviceIdentity",
    "DeviceInfo",
    "DeviceSession",
    "EnableTokenWatch",
    "Frame",
    "FrameError",
    "FrameFault",
    "FrameReader",
    "Header",
    "HostSession",
    "ImageAssembler",
    "ImageFrame",
    "InvalidField",
    "Message",
    "RecordReader",
    "SessionNotOpen",
    "SessionReadOnly",
    "SessionState",
    "TimeOffset",
    "axes_from_micro",
    "decode",
    "encode",
    "encode_record",
    "image_records",
    "micro_from_axes",
    "next_counter",
    "s_from_us",
    "us_from_s",
]
