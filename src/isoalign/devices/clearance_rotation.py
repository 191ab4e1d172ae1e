"""The clearance of a rotation of the gantry, or of a move of its imager arm, beside a couch at rest. For the worker.

A rotation has one axis: wherever it is stopped, the gantry comes to rest on the way that was checked, which goes as far
beyond its ends as a stop may lead. So a stop needs no distance of its own, as that of six axes does.
"""

from __future__ import annotations

import math
import time
from itertools import pairwise
from typing import Any

import numpy as np

from isoalign.devices.clearance_config import BETWEEN, EXTENDED, STOWED, ClearanceConfig
from isoalign.devices.clearance_room import arm_parts, machine_state, only_moving, turning
from isoalign.geometry import Array
from isoalign.geometry.clearance import MachineState, RoomModel, clearance_along
from isoalign.geometry.couch_path import CouchPath
from isoalign.geometry.frames import TableTop

MOST_SAMPLES = 2000
GANTRY_BODY, ARM_BODY = "gantry", "imager arm"
"""As what is named as not checked is called where the model has nothing of it."""


def check_rotation(config: ClearanceConfig, model: RoomModel, request: dict[str, Any]) -> dict[str, Any]:
    """The least clearance of what turns with the gantry, and the first angle at which it is too small.

    Parameters
    ----------
    model : RoomModel
        With the parts of the imager arm that are there.
    request : dict
        ``couch``: IEC 61217 values; ``angles``: from where to where the gantry turns, one after the other, IEC 61217
        degrees; ``gantry``: with ``imager_arm``.

    Raises
    ------
    ClearanceUnknown, DistanceFailed, InvalidGeometry
    """
    begun_s = time.monotonic()
    moving = turning(model)
    angles_deg = sampled_angles(request["angles"], _reach_mm(model, config), config.step_mm)
    left_out = [] if moving else _with_all_on_the_table(GANTRY_BODY, model)
    if request["gantry"]["imager_arm"] == EXTENDED and not arm_parts(config, EXTENDED):
        left_out += _with_all_on_the_table(ARM_BODY, model)
    return _searched(config, model, moving, request["couch"], angles_deg, left_out, begun_s)


def check_arm_move(config: ClearanceConfig, model: RoomModel, request: dict[str, Any]) -> dict[str, Any]:
    """The least clearance of the imager arm, at both ends and of what it sweeps in between.

    Parameters
    ----------
    model : RoomModel
        With all parts of the imager arm.
    request : dict
        ``couch``: IEC 61217 values; ``arm_from``: where the arm is; ``gantry``: with ``angle_deg``.

    Raises
    ------
    ClearanceUnknown, DistanceFailed, InvalidGeometry
    """
    begun_s = time.monotonic()
    moving = frozenset().union(*(arm_parts(config, place) for place in (STOWED, EXTENDED, BETWEEN)))
    left_out = [] if arm_parts(config, BETWEEN) else _with_all_on_the_table(ARM_BODY, model)
    angles_deg = np.array([request["gantry"]["angle_deg"]], dtype=np.float64)
    return _searched(config, model, moving, request["couch"], angles_deg, left_out, begun_s)


def sampled_angles(corners_deg: list[float], reach_mm: float, step_mm: float) -> Array:
    """Angles from corner to corner, so close that nothing within the reach moves more than a step between two.

    On a long way the step is larger: the search stays short, and what it finds is smaller by half a step, never larger.
    """
    way_deg = sum(abs(last - first) for first, last in pairwise(corners_deg))
    step_mm = max(step_mm, math.radians(way_deg) * reach_mm / MOST_SAMPLES)
    pieces = [np.array(corners_deg[:1], dtype=np.float64)]
    for first, last in pairwise(corners_deg):
        count = max(1, math.ceil(math.radians(abs(last - first)) * reach_mm / step_mm))
        pieces.append(first + (last - first) * np.arange(1, count + 1) / count)
    return np.concatenate(pieces)


def _reach_mm(model: RoomModel, config: ClearanceConfig) -> float:
    """Largest distance from the axis of the gantry of anything that turns with it."""
    turning_parts = [part.vertices_mm for part in model.parts if part.name in turning(model)]
    extension_mm = abs(config.machine.snout_extension_mm or 0.0)
    return max((float(np.hypot(rows[:, 0], rows[:, 2]).max()) for rows in turning_parts), default=1.0) + extension_mm


def _with_all_on_the_table(body: str, model: RoomModel) -> list[list[str]]:
    return [[carried, body] for carried in dict.fromkeys(part.body for part in model.parts if part.frame is TableTop)]


def _searched(
    config: ClearanceConfig,
    model: RoomModel,
    moving: frozenset[str],
    couch: list[float],
    angles_deg: Array,
    left_out: list[list[str]],
    begun_s: float,
) -> dict[str, Any]:
    bodies = {part.body for part in model.parts if part.name in moving}
    unchecked = [list(pair) for pair in model.unchecked if bodies.intersection(pair)] + left_out
    answer: dict[str, Any] = {"required_mm": config.required_mm, "unchecked": unchecked, "violation": None}
    concerned = only_moving(model, moving)
    if concerned is None:
        return answer | {"least_mm": None, "parts": [], "at_deg": None, "took_s": time.monotonic() - begun_s}
    machine = machine_state(concerned, config.machine)
    path = CouchPath(np.tile(np.array(couch, dtype=np.float64), (len(angles_deg), 1)), (0, len(angles_deg) - 1))
    state = MachineState(angles_deg, machine.snout_extension_mm, machine.arm_angles_deg)
    found = clearance_along(concerned, path, state)
    if found.first_violation is not None and found.first_violating_sample is not None:
        answer["violation"] = {
            "parts": list(found.first_violation.parts),
            "clearance_mm": found.first_violation.clearance_mm,
            "at_deg": float(angles_deg[found.first_violating_sample]),
        }
    return answer | {
        "least_mm": found.least_clearance_mm,
        "parts": list(found.nearest.parts),
        "at_deg": float(angles_deg[found.nearest_sample]),
        "samples": found.samples,
        "took_s": time.monotonic() - begun_s,
    }
