"""Devices: transports, links and drivers for couch, imagers and pendant, and the daemon process that owns them.

The rest of the room talks to the daemon only, through :class:`DeviceClient`. Errors are in
:mod:`isoalign.devices.errors`, the remote calls that every process of the room can use in
:mod:`isoalign.devices.ipc`. The daemon (``python -m isoalign.devices.daemon``) is a process of its own so that no
DICOM, rendering or matching can delay a stop.
"""

from isoalign.devices.client import DeviceClient
from isoalign.devices.gantry_reading import TriggerEvent
from isoalign.devices.gantry_status import ConeBeamPlan, GantryClearance, GantryPlan, GantryProgress, GantrySummary
from isoalign.devices.status import (
    ARRIVED,
    DIRECT,
    MOVING,
    SETTLING,
    UNIDIRECTIONAL,
    WAITING_FOR_ENABLE,
    MotionPlan,
    MotionProgress,
    OpenInterlock,
    PlanClearance,
    RawImage,
    RoomDeviceStatus,
)

__all__ = [
    "ARRIVED",
    "DIRECT",
    "MOVING",
    "SETTLING",
    "UNIDIRECTIONAL",
    "WAITING_FOR_ENABLE",
    "ConeBeamPlan",
    "DeviceClient",
    "GantryClearance",
    "GantryPlan",
    "GantryProgress",
    "GantrySummary",
    "MotionPlan",
    "MotionProgress",
    "OpenInterlock",
    "PlanClearance",
    "RawImage",
    "RoomDeviceStatus",
    "TriggerEvent",
]
