"""A room model of :mod:`isoalign.geometry.clearance` from the configuration, and back. For the worker and for tools.

Importing this is cheap; making a part is what loads scipy, and only the worker process does so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from isoalign.devices.clearance_config import ClearanceConfig, MachineConfig, PartConfig
from isoalign.geometry import Frame
from isoalign.geometry.clearance import (
    PATIENT,
    ClearanceUnknown,
    ConvexPart,
    MachineState,
    RoomModel,
    default_room_without_patient,
    table_against_room,
)
from isoalign.geometry.frames import Fixed, Gantry, TableTop

FRAMES: dict[str, type[Frame]] = {"fixed": Fixed, "table_top": TableTop, "gantry": Gantry}


def room_model(config: ClearanceConfig) -> RoomModel:
    """The model of a configuration, with the patient who is placed in it.

    Raises
    ------
    InvalidPart, InvalidGeometry, ClearanceUnknown
    """
    room = config.room
    if room is None:
        model = default_room_without_patient(required_clearance_mm=config.required_mm)
    else:
        parts = tuple(_part(part) for part in room.parts)
        pairs = room.pairs or table_against_room(parts)
        unchecked = room.patient_unchecked
        model = RoomModel(parts, pairs, config.required_mm, room.uncertainty_mm, patient_unchecked=unchecked)
    return _with_patient(model, [_part(part) for part in config.patient]) if config.patient else model


def _with_patient(model: RoomModel, patient: list[ConvexPart]) -> RoomModel:
    """The patient is checked against everything that the table top does not carry."""
    stray = [part.name for part in patient if part.body != PATIENT or part.frame is not TableTop]
    if stray:
        raise ClearanceUnknown(f"not parts of the body {PATIENT!r} on the table top: {', '.join(stray)}", parts=stray)
    machine = dict.fromkeys(part.body for part in model.parts if part.frame is not TableTop)
    pairs = (*model.pairs, *((PATIENT, other) for other in machine))
    return RoomModel((*model.parts, *patient), pairs, model.required_clearance_mm, model.uncertainty_mm)


def _part(part: PartConfig) -> ConvexPart:
    points = np.array(part.vertices_mm)
    return ConvexPart(part.name, FRAMES[part.frame], points, body=part.body, arm=part.arm, slides=part.slides)


def machine_state(model: RoomModel, machine: MachineConfig) -> MachineState:
    """Where the machine is.

    Raises
    ------
    ClearanceUnknown
        When a part turns with a gantry whose angle is not known.
    """
    if machine.gantry_angle_deg is None and any(part.frame is Gantry and not part.arm for part in model.parts):
        raise ClearanceUnknown("parts of the room turn with the gantry, whose angle is not known", missing="gantry")
    return MachineState(machine.gantry_angle_deg or 0.0, machine.snout_extension_mm, machine.arm_angles_deg)


def room_description(model: RoomModel) -> dict[str, Any]:
    """A model as the section ``clearance.room`` of the daemon's configuration: JSON types."""
    return {
        "parts": parts_description(model.parts),
        "pairs": [list(pair) for pair in model.pairs],
        "uncertainty_mm": model.uncertainty_mm,
        "patient_unchecked": model.patient_unchecked,
    }


def parts_description(parts: Sequence[ConvexPart]) -> list[dict[str, Any]]:
    """Bodies as JSON types, for :func:`room_description` or to place a patient (``DeviceClient.place_patient``)."""
    names = {frame: name for name, frame in FRAMES.items()}
    return [
        {
            "name": part.name,
            "frame": names[part.frame],
            "vertices_mm": part.vertices_mm.round(4).tolist(),
            "body": part.body,
            "arm": part.arm,
            "slides": part.slides,
        }
        for part in parts
    ]
