"""Clearance between couch, patient and machine: convex parts, their distances, and a lower bound along a path.

A model of its own beside the frames and positions of :mod:`isoalign.geometry`; import it from here. It helps to plan;
it is no collision protection: that is hard-wired.
"""

from isoalign.geometry.clearance.checks import (
    Clearance,
    PairClearance,
    PathClearance,
    clearance_along,
    clearance_at,
)
from isoalign.geometry.clearance.convex_parts import PATIENT, ConvexPart, patient_hull
from isoalign.geometry.clearance.default_room import default_room, default_room_without_patient
from isoalign.geometry.clearance.errors import ClearanceTooSmall, ClearanceUnknown, DistanceFailed, InvalidPart
from isoalign.geometry.clearance.fewer_corners import with_fewer_corners
from isoalign.geometry.clearance.room_model import MachineState, RoomModel, table_against_room

__all__ = [
    "PATIENT",
    "Clearance",
    "ClearanceTooSmall",
    "ClearanceUnknown",
    "ConvexPart",
    "DistanceFailed",
    "InvalidPart",
    "MachineState",
    "PairClearance",
    "PathClearance",
    "RoomModel",
    "clearance_along",
    "clearance_at",
    "default_room",
    "default_room_without_patient",
    "patient_hull",
    "table_against_room",
    "with_fewer_corners",
]
