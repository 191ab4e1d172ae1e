"""The worker that looks for the clearance of a motion: a process of its own, started by the daemon, and ended with it.

``python -m isoalign.devices.clearance_worker``: JSON lines on standard input and output. The first line in is the
section ``clearance`` of the daemon's configuration, the first line out says that the room makes sense. From then on one
request, one answer: the clearance of a motion, or that a patient was placed. It ends with its standard input, also in
the middle of a search, and it never has a better priority than usual: the distance library and scipy live here and
nowhere near the loop that stops the couch.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import sys
import threading
import time
from dataclasses import replace
from typing import Any, TextIO

import numpy as np

from isoalign.devices.clearance_config import (
    BETWEEN,
    EXTENDED,
    STOWED,
    ClearanceConfig,
    parse_clearance,
    parse_parts,
)
from isoalign.devices.clearance_room import arm_parts, machine_state, room_model
from isoalign.devices.clearance_rotation import check_arm_move, check_rotation
from isoalign.errors import IsoalignError, error_to_wire
from isoalign.geometry import Array, Representation, TableTopPosition
from isoalign.geometry.clearance import PathClearance, RoomModel, clearance_along
from isoalign.geometry.couch_path import CouchPath, motion_bound_mm, staged_path
from isoalign.geometry.frames import TableTop

NICENESS = 10


class Rooms:
    """The models of one configuration: one for each place of the imager arm.

    Raises
    ------
    InvalidPart, InvalidGeometry, ClearanceUnknown
    """

    def __init__(self, config: ClearanceConfig) -> None:
        self.config = config
        whole = room_model(config)
        has_arm = any(arm_parts(config, place) for place in (STOWED, EXTENDED, BETWEEN))
        self._models = {
            place: room_model(config, place) if has_arm and place != BETWEEN else whole
            for place in (STOWED, EXTENDED, BETWEEN)
        }

    def model(self, imager_arm: str = BETWEEN) -> RoomModel:
        """The model while the arm is at a place; with all its parts where nobody knows."""
        return self._models.get(imager_arm, self._models[BETWEEN])

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """One request about a motion of the couch, of the gantry or of its imager arm, which stand as it says."""
        config, gantry = self.config, request.get("gantry")
        if gantry is not None:
            config = replace(config, machine=replace(config.machine, gantry_angle_deg=gantry["angle_deg"]))
        place = BETWEEN if gantry is None else gantry["imager_arm"]
        if "angles" in request:
            return check_rotation(config, self.model(place), request)
        if "arm_from" in request:
            return check_arm_move(config, self.model(), request)
        return check(config, self.model(place), request)


def body_radius_mm(model: RoomModel) -> float:
    """Largest distance from the table top's origin of anything that the table top carries."""
    carried = [part for part in model.parts if part.frame is TableTop]
    return max((float(np.linalg.norm(part.vertices_mm, axis=1).max()) for part in carried), default=1.0)


def stop_way_mm(path: CouchPath, stop: Array, radius_mm: float) -> float:
    """Longest way of a point within ``radius_mm`` of the table top's origin while every axis goes its stop distance."""
    furthest = path.values[np.argmax(np.hypot(path.values[:, 0], path.values[:, 1]))]
    return float(motion_bound_mm(furthest, furthest + stop, radius_mm))


def check(config: ClearanceConfig, model: RoomModel, request: dict[str, Any]) -> dict[str, Any]:
    """The least clearance on the way of the couch that a request describes, and the first place where it is too small.

    Parameters
    ----------
    request : dict
        ``stages``: IEC 61217 values of start, stops on the way and target; ``stop``: stop distance of every axis.

    Raises
    ------
    ClearanceUnknown, DistanceFailed, InvalidGeometry
    """
    begun_s = time.monotonic()
    radius_mm = body_radius_mm(model)
    positions = [TableTopPosition.from_values(Representation.IEC_61217, values) for values in request["stages"]]
    path = staged_path(positions, body_radius_mm=radius_mm, step_mm=config.step_mm)
    stop_mm = stop_way_mm(path, np.array(request["stop"], dtype=np.float64), radius_mm)
    required_mm = config.required_mm + stop_mm
    demanding = RoomModel(
        model.parts, model.pairs, required_mm, model.uncertainty_mm, patient_unchecked=model.patient_unchecked
    )
    found = clearance_along(demanding, path, machine_state(model, config.machine))
    return {
        "least_mm": found.least_clearance_mm,
        "required_mm": required_mm,
        "stop_mm": stop_mm,
        "parts": list(found.nearest.parts),
        "at": path.values[found.nearest_sample].tolist(),
        "violation": _violation(found, path),
        "unchecked": [list(pair) for pair in found.unchecked],
        "samples": found.samples,
        "took_s": time.monotonic() - begun_s,
    }


def _violation(found: PathClearance, path: CouchPath) -> dict[str, Any] | None:
    pair, sample = found.first_violation, found.first_violating_sample
    if pair is None or sample is None:
        return None
    return {
        "parts": list(pair.parts),
        "clearance_mm": pair.clearance_mm,
        "at": path.values[sample].tolist(),
        "fraction": sample / max(1, len(path) - 1),
    }


def _own_output() -> TextIO:
    """Standard output for answers alone: what a library prints goes to the log and not between them."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return answers


def _say(answers: TextIO, answer: dict[str, Any]) -> None:
    answers.write(json.dumps(answer) + "\n")
    answers.flush()


def _read_on(lines: queue.SimpleQueue[bytes]) -> None:
    """Hand lines on, and end the process with the daemon that wrote them, whatever it is doing."""
    while line := sys.stdin.buffer.readline():
        lines.put(line)
    os._exit(0)


def _step_back() -> None:
    """Come after everything else: what the daemon has as priority is inherited and not meant for this process."""
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, NICENESS)


def main() -> int:
    """Serve one daemon."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the daemon, which then ends this process
    _step_back()
    answers = _own_output()
    lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_read_on, args=(lines,), name="input", daemon=True).start()
    try:
        config = parse_clearance(json.loads(lines.get()), "clearance")
        rooms = Rooms(config)
    except IsoalignError as error:
        _say(answers, {"error": error_to_wire(error)})
        return 1
    import fcl  # noqa: F401 - load it now and not with the first request

    _say(answers, {"ready": True, "parts": len(rooms.model().parts)})
    while True:
        request = json.loads(lines.get())
        try:
            if "patient" in request:
                patient = parse_parts(request["patient"], "clearance.patient")
                rooms = Rooms(replace(rooms.config, patient=patient))  # whoever was there stays when this fails
                answer: dict[str, Any] = {"placed": len(patient)}
            else:
                answer = rooms.answer(request)
        except IsoalignError as error:
            answer = {"error": error_to_wire(error)}
        _say(answers, {"id": request["id"], **answer})


if __name__ == "__main__":
    sys.exit(main())
