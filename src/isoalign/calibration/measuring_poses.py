"""Measuring with a room: couch poses seen by the imagers, stops of the axes, the daily check.

A room is a port: what drives real machines and what drives simulated ones offer the same, and nothing here knows which
it is. Progress is told while the couch moves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

import numpy as np

from isoalign.calibration.ball_phantom import BallPhantom
from isoalign.calibration.correspondence import assign_balls
from isoalign.calibration.couch_kinematics import LEAST_POSES, CouchMeasurements
from isoalign.calibration.couch_model import CouchState
from isoalign.calibration.couch_recording import StopMeasurements, StopRecording
from isoalign.calibration.daily_check import KNOWN_SHIFT, DailyMeasurements
from isoalign.calibration.errors import Underdetermined
from isoalign.calibration.kv_imagers import ImagerShadows, find_shadows
from isoalign.calibration.triangulation import triangulate
from isoalign.geometry import AXES, Array, Representation, TableTopPosition, fixed_from_table
from isoalign.records import Radiograph

Told = Callable[[str, float], None]
VIEW_MM = 45.0
"""A phantom stays so near to the isocentre that the imagers see all of it."""
TILT_DEG = 2.5
IMAGING_NOISE_MM = 0.05
REACHED = 1e-3
STOP_WAYS = (60.0, 60.0, 60.0, 4.0, 4.0, 12.0)
"""Way of a stop test along each axis, mm or degrees; it is stopped half-way."""
STOP_SPEEDS = ("service", "normal")


def untold(_text: str, _fraction: float) -> None:
    """Progress that nobody wants to see."""


class PosingRoom(Protocol):
    """What these procedures need of a room."""

    def acquire(self) -> tuple[Radiograph, ...]:
        """One image of every imager, with the couch at rest."""

    def couch_position(self) -> TableTopPosition:
        """The read-back position."""

    def move_couch(
        self, target: TableTopPosition, *, on_progress: Callable[[Any], None] | None = None
    ) -> TableTopPosition:
        """Move, and return where the couch stopped."""


class StoppingRoom(PosingRoom, Protocol):
    """A room whose couch can be stopped on its way, with what both channels said meanwhile."""

    def stop_on_the_way(
        self,
        target: TableTopPosition,
        *,
        at_fraction: float,
        speed: str,
        on_progress: Callable[[Any], None] | None = None,
    ) -> Sequence[Mapping[str, Any]]:
        """Move, stop at a part of the way, and return the samples around the stop."""


def calibration_poses(
    setup: TableTopPosition, count: int, seed: int, travel: Mapping[str, tuple[float, float]]
) -> Array:
    """Poses at which a phantom that is centred at the isocentre with the couch at ``setup`` stays in view.

    The couch turns, tilts and shifts at once, every pose otherwise, so that what each axis does by itself can be told.
    The slowest axis, the patient support angle, goes once up and once down: a tenth of the way of any order, and it is
    reached from both sides.

    Parameters
    ----------
    setup : TableTopPosition
    count, seed : int
    travel : mapping of axis to (least, greatest)
        Poses beyond are drawn anew.

    Returns
    -------
    ndarray, shape (count, 6)
        IEC 61217 in the order of ``AXES``.
    """
    dice = np.random.default_rng([seed, 0x905E])
    start = setup.in_representation(Representation.IEC_61217)
    centre = fixed_from_table(start).inverse().apply(np.zeros(3))
    least, greatest = (np.array([travel[axis][end] for axis in AXES]) for end in (0, 1))
    found: list[Array] = []
    for _ in range(1000 * count):
        if len(found) == count:
            break
        angles = dice.uniform(-1, 1, 3) * (TILT_DEG, TILT_DEG, 90.0)
        turned = TableTopPosition(Representation.IEC_61217, 0.0, 0.0, 0.0, *(float(angle) for angle in angles))
        wanted = dice.uniform(-VIEW_MM, VIEW_MM, 3)
        away = wanted - fixed_from_table(turned).apply(centre)
        upright = TableTopPosition(Representation.IEC_61217, 0.0, 0.0, 0.0, 0.0, 0.0, float(angles[2]))
        values = np.array([*fixed_from_table(upright).inverse().apply(away), *angles])
        if (values >= least).all() and (values <= greatest).all():
            found.append(np.round(values, 3))
    if len(found) < count:
        raise Underdetermined(f"the travel of the couch leaves room for {len(found)} of {count} poses in view")
    poses = np.array(found)
    rising = np.argsort(poses[:, AXES.index("patient_support_angle")], kind="stable")
    return np.asarray(poses[np.concatenate([rising[0::2], rising[1::2][::-1]])])


def measure_couch(
    room: PosingRoom,
    phantom: BallPhantom,
    *,
    travel: Mapping[str, tuple[float, float]],
    poses: int = 48,
    seed: int = 1,
    load_kg: float = 0.0,
    load_centre_mm: Sequence[float] = (0.0, 0.0, 0.0),
    devices: Mapping[str, str] | None = None,
    on_progress: Told = untold,
) -> CouchMeasurements:
    """Image a phantom, centred at the isocentre now, at many poses; its balls are the targets.

    Raises
    ------
    Underdetermined
        Fewer poses are asked for than are needed.
    BallsNotFound, BallsNotRecognised
        And whatever the room raises.
    """
    if poses < LEAST_POSES:
        raise Underdetermined(f"{poses} poses; {LEAST_POSES} are needed")
    start = room.couch_position().in_representation(Representation.IEC_61217)
    targets = fixed_from_table(start).inverse().apply(phantom.centres_mm)
    plan = calibration_poses(start, poses, seed, travel)
    before, sides = np.array(start.values), np.zeros(6)
    told, approach, seen, moments = [], [], [], []
    for number, values in enumerate(plan):
        wanted = TableTopPosition.from_values(Representation.IEC_61217, values)
        reached = _go(room, wanted, f"pose {number + 1} of {poses}", number / poses, 1 / poses, on_progress)
        sides = np.where(np.abs(values - before) > REACHED, np.sign(values - before), sides)
        before = values
        images = room.acquire()
        told.append(reached.values)
        approach.append(sides)
        seen.append(_ball_places(phantom, images, fixed_from_table(reached).apply(targets)))
        moments.append(max(image.acquisition.acquired_at for image in images))
    _go(room, start, "back", 1.0, 0.0, on_progress)
    return CouchMeasurements(
        CouchState.of(np.array(told), load_kg, load_centre_mm, np.array(approach)),
        tuple(f"ball {number + 1}" for number in range(len(targets))),
        targets,
        np.array(seen),
        IMAGING_NOISE_MM,
        phantom.placement_sigma_mm,
        max(moments),
        dict(devices or {}),
        {"phantom": phantom.name, "method": "ball shadows in images of two imagers"},
    )


def measure_stops(
    room: StoppingRoom,
    *,
    now: Callable[[], datetime],
    load_kg: float = 0.0,
    axes: Sequence[str] = AXES,
    speeds: Sequence[str] = STOP_SPEEDS,
    again: int = 2,
    devices: Mapping[str, str] | None = None,
    on_progress: Told = untold,
) -> StopMeasurements:
    """Stop every axis half-way, in both directions, at each speed, about where the couch is now.

    Parameters
    ----------
    room : StoppingRoom
    now : callable
        Tells the time, aware.
    load_kg : float
        Stated load of the table top.
    again : int
        How often in each direction.
    """
    start = room.couch_position().in_representation(Representation.IEC_61217)
    steps = [
        (axis, speed, direction) for axis in axes for speed in speeds for _ in range(again) for direction in (1.0, -1.0)
    ]
    runs = []
    for number, (axis, speed, direction) in enumerate(steps):
        index, part = AXES.index(axis), number / len(steps)
        ends = []
        for sign in (-direction, direction):
            values = np.array(start.values)
            values[index] += sign * STOP_WAYS[index] / 2
            ends.append(TableTopPosition.from_values(Representation.IEC_61217, values))
        words = f"{axis.replace('_', ' ')}, {speed}, {'up' if direction > 0 else 'down'}"
        _go(room, ends[0], words, part, 0.5 / len(steps), on_progress)
        on_progress(f"{words}: stop", part + 0.5 / len(steps))
        samples = room.stop_on_the_way(ends[1], at_fraction=0.5, speed=speed)
        runs.append(StopRecording.from_samples(axis, speed, load_kg, samples))
    _go(room, start, "back", 1.0, 0.0, on_progress)
    return StopMeasurements(tuple(runs), now(), dict(devices or {}))


def measure_day(
    room: PosingRoom,
    phantom: BallPhantom,
    *,
    shift: Sequence[float] = KNOWN_SHIFT,
    devices: Mapping[str, str] | None = None,
    on_progress: Told = untold,
) -> DailyMeasurements:
    """Image a cube at the room's marks, move the couch by known offsets, image again, and move back."""
    start = room.couch_position().in_representation(Representation.IEC_61217)
    target = TableTopPosition.from_values(Representation.IEC_61217, np.array(start.values) + np.array(shift))
    on_progress("images of the phantom", 0.0)
    first = room.acquire()
    _go(room, target, "known shift", 0.2, 0.3, on_progress)
    on_progress("images after the shift", 0.5)
    second = room.acquire()
    _go(room, start, "back", 0.8, 0.2, on_progress)
    return DailyMeasurements(
        phantom,
        tuple(find_shadows(phantom, image) for image in first),
        tuple(find_shadows(phantom, image) for image in second),
        start,
        target,
        max(image.acquisition.acquired_at for image in second),
        dict(devices or {}),
    )


def _go(
    room: PosingRoom, target: TableTopPosition, words: str, begin: float, length: float, on_progress: Told
) -> TableTopPosition:
    on_progress(words, begin)
    reached = room.move_couch(
        target, on_progress=lambda step: on_progress(words, min(1.0, begin + length * float(step.fraction)))
    )
    return reached.in_representation(Representation.IEC_61217)


def _ball_places(phantom: BallPhantom, images: Sequence[Radiograph], expected_mm: Array) -> Array:
    """Where the balls are in space, NaN for those that not every image shows."""
    shadows: list[ImagerShadows] = [find_shadows(phantom, image) for image in images]
    pixels = np.full((len(images), len(expected_mm), 2), np.nan)
    for number, one in enumerate(shadows):
        owner = assign_balls(one.column_row, one.believed.project(expected_mm))
        pixels[number, owner[owner >= 0]] = one.column_row[owner >= 0]
    whole = np.isfinite(pixels).all(axis=(0, 2))
    places = np.full(expected_mm.shape, np.nan)
    if whole.any():
        places[whole] = triangulate([one.believed for one in shadows], [seen[whole] for seen in pixels])
    return places
