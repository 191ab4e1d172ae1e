"""A room model of :mod:`isoalign.geometry.clearance` from the configuration, and back. For the worker and for tools.

Importing this is cheap; making a part is what loads scipy, and only the worker process does so.
"""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Any

import numpy as np

from isoalign.devices.clearance_config import BETWEEN, ClearanceConfig, MachineConfig, PartConfig, RoomConfig
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


def room_model(config: ClearanceConfig, imager_arm: str = BETWEEN) -> RoomModel:
    """The model of a configuration, with the patient who is placed in it.

    Parameters
    ----------
    config : ClearanceConfig
    imager_arm : str
        Where the gantry's imager arm is: "stowed" or "extended". Between its ends, or where nobody knows, all of its
        parts count, those of both ends and what it sweeps.

    Raises
    ------
    InvalidPart, InvalidGeometry, ClearanceUnknown
    """
    room = config.room if config.room is None or imager_arm == BETWEEN else _with_arm(config.room, imager_arm)
    if room is None:
        model = default_room_without_patient(required_clearance_mm=config.required_mm)
    else:
        parts = tuple(_part(part) for part in room.parts)
        pairs = room.pairs or table_against_room(parts)
        unchecked = room.patient_unchecked
        model = RoomModel(parts, pairs, config.required_mm, room.uncertainty_mm, patient_unchecked=unchecked)
    return _with_patient(model, [_part(part) for part in config.patient]) if config.patient else model


def _with_arm(room: RoomConfig, place: str) -> RoomConfig:
    """The room with those parts of the imager arm that are there while the arm is at one of its ends."""
    parts = tuple(part for part in room.parts if part.imager_arm in {"", place})
    bodies = {part.body or part.name for part in parts}
    pairs = tuple(pair for pair in room.pairs if bodies.issuperset(pair))
    concerned = {body for pair in pairs for body in pair} if room.pairs else bodies
    return replace(room, parts=tuple(part for part in parts if (part.body or part.name) in concerned), pairs=pairs)


def arm_parts(config: ClearanceConfig, place: str) -> frozenset[str]:
    """Names of the parts that are there while the imager arm is at a place, and not always."""
    parts = () if config.room is None else config.room.parts
    return frozenset(part.name for part in parts if part.imager_arm == place)


def only_moving(model: RoomModel, moving: AbstractSet[str]) -> RoomModel | None:
    """What is left of a model when only some parts move: the pairs of their bodies; None when there is no such pair."""
    bodies = {part.body for part in model.parts if part.name in moving}
    pairs = tuple(pair for pair in model.pairs if bodies.intersection(pair))
    concerned = {body for pair in pairs for body in pair}
    parts = tuple(part for part in model.parts if part.body in concerned)
    if not pairs:
        return None
    required_mm, uncertainty_mm = model.required_clearance_mm, model.uncertainty_mm
    return RoomModel(parts, pairs, required_mm, uncertainty_mm, patient_unchecked=PATIENT not in concerned)


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


def turning(model: RoomModel) -> frozenset[str]:
    """Names of the parts that turn with the gantry."""
    return frozenset(part.name for part in model.parts if part.frame is Gantry and not part.arm)


def machine_state(model: RoomModel, machine: MachineConfig) -> MachineState:
    """Where the machine is.

    Raises
    ------
    ClearanceUnknown
        When a part turns with a gantry whose angle is not known.
    """
    if machine.gantry_angle_deg is None and turning(model):
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
