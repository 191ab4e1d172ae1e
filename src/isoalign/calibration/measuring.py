"""Measuring with a room: what a room must offer, and how balls on the couch are followed over its angles.

The room is a port. Whether real machines or simulated ones are behind it is not known here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol

import numpy as np

from isoalign.calibration.ball_detection import detect_balls
from isoalign.calibration.couch_walkout import WalkoutMeasurements
from isoalign.calibration.errors import BallsNotRecognised
from isoalign.calibration.triangulation import triangulate
from isoalign.geometry import Array, ProjectionGeometry, Representation, TableTopPosition, rotation_z
from isoalign.records import Radiograph

USUAL_ANGLES_DEG = (0.0, -22.5, -45.0, -67.5, -90.0, 22.5, 45.0, 67.5, 90.0)
"""Nine over 180 degrees; first where the room was set up, then to one side and to the other."""
WALK_OUT_BALL_RADIUS_MM = 4.0
LARGEST_RAY_MISS_MM = 3.0
LARGEST_STEP_MM = 8.0
"""How far a ball may be from where a rigid turn about the isocentre would take it."""

Told = Callable[[str, float], None]


def _untold(text: str, fraction: float) -> None:
    """Progress that nobody wants to see."""


class MeasuringRoom(Protocol):
    """What a calibration needs of a room."""

    def acquire(self) -> tuple[Radiograph, ...]:
        """One image of every imager, with the couch at rest."""

    def couch_position(self) -> TableTopPosition:
        """The read-back position."""

    def move_couch(
        self, target: TableTopPosition, *, on_progress: Callable[[Any], None] | None = None
    ) -> TableTopPosition:
        """Move, and return where the couch stopped."""


@dataclass(frozen=True, slots=True)
class MeasuredWalkout:
    """Measurements with what a record must say of them."""

    measurements: WalkoutMeasurements
    measured_at: datetime
    inputs_sha256: str


def measure_walkout(
    room: MeasuringRoom,
    *,
    angles_deg: Sequence[float] = USUAL_ANGLES_DEG,
    ball_radius_mm: float = WALK_OUT_BALL_RADIUS_MM,
    geometries: dict[str, ProjectionGeometry] | None = None,
    on_progress: Told = _untold,
) -> MeasuredWalkout:
    """Turn the couch through the angles, image the balls at each, and follow every ball.

    The table top stays where it is but for the turn. After the last image the couch goes back to where it started.

    Parameters
    ----------
    room : MeasuringRoom
    angles_deg : sequence of float
        Patient support angles, IEC 61217.
    ball_radius_mm : float
    geometries : dict of str to ProjectionGeometry, optional
        Calibrated geometry of each imager, instead of the one that the room believes.
    on_progress : callable
        Told what is done, and how far all is, 0 to 1.

    Raises
    ------
    BallsNotFound, BallsNotRecognised, Underdetermined
        And whatever the room raises; the couch then stays where it is.
    """
    start = room.couch_position().in_representation(Representation.IEC_61217)
    steps = len(angles_deg) + 1
    tracks: list[tuple[float, Array]] = []
    digest, moments = hashlib.sha256(), []
    for number, angle in enumerate(angles_deg):
        on_progress(f"couch to {angle:g}°", number / steps)
        arrived = _turn(room, start, angle, _part_of(on_progress, number / steps, 0.8 / steps))
        on_progress(f"images at {angle:g}°", (number + 0.8) / steps)
        images = room.acquire()
        found = ball_points(images, ball_radius_mm, geometries)
        reached = arrived.patient_support_angle_deg
        tracks.append((reached, found if not tracks else _followed(tracks[0], reached, found)))
        moments.append(max(image.acquisition.acquired_at for image in images))
        for image in images:
            digest.update(np.ascontiguousarray(image.pixels).tobytes())
    on_progress("couch back", (steps - 1) / steps)
    _turn(
        room, start, start.patient_support_angle_deg, lambda text, part: on_progress(text, (steps - 1 + part) / steps)
    )
    balls = len(tracks[0][1])
    measurements = WalkoutMeasurements(
        np.repeat([angle for angle, _ in tracks], balls),
        np.vstack([points for _, points in tracks]),
        np.tile(np.arange(balls), len(tracks)),
        tuple(f"couch {angle:.1f}°" for angle, _ in tracks for _ in range(balls)),
    )
    return MeasuredWalkout(measurements, max(moments), digest.hexdigest())


def ball_points(
    images: Sequence[Radiograph], radius_mm: float, geometries: dict[str, ProjectionGeometry] | None = None
) -> Array:
    """Every ball that two images show, shape (n, 3), fixed frame.

    Raises
    ------
    BallsNotFound, BallsNotRecognised, Underdetermined
    """
    if len(images) < 2:
        raise BallsNotRecognised(f"balls are found in space from two images, not from {len(images)}")
    pair = []
    for image in images[:2]:
        geometry = (geometries or {}).get(image.acquisition.imager, image.geometry)
        pair.append((geometry, detect_balls(image.pixels, _radius_px(geometry, radius_mm)).column_row))
    (first, one), (second, other) = pair
    left, right = (grid.ravel() for grid in np.meshgrid(np.arange(len(one)), np.arange(len(other)), indexing="ij"))
    points = triangulate([first, second], [one[left], other[right]])
    misses = np.maximum(
        *(_miss_mm(geometry, points, shadows) for geometry, shadows in ((first, one[left]), (second, other[right])))
    )
    chosen: list[int] = []
    for candidate in np.argsort(misses):
        if misses[candidate] > LARGEST_RAY_MISS_MM:
            break
        if all(left[candidate] != left[kept] and right[candidate] != right[kept] for kept in chosen):
            chosen.append(int(candidate))
    if not chosen:
        raise BallsNotRecognised("no shadow of one image belongs to a shadow of the other")
    return np.asarray(points[np.array(chosen)])


def ball_views(images: Sequence[Radiograph], radius_mm: float) -> list[tuple[str, ProjectionGeometry, Array]]:
    """The one ball of each image, for :func:`imager_to_treatment`: name, geometry, (column, row).

    Raises
    ------
    BallsNotFound, BallsNotRecognised
    """
    views = []
    for image in images:
        found = detect_balls(image.pixels, _radius_px(image.geometry, radius_mm)).column_row
        if len(found) != 1:
            raise BallsNotRecognised(
                f"the image of imager {image.acquisition.imager} shows {len(found)} balls, and one is wanted",
                hint="Clear the field of everything else that is round and heavy.",
            )
        views.append((image.acquisition.imager, image.geometry, found[0]))
    return views


def _radius_px(geometry: ProjectionGeometry, radius_mm: float) -> float:
    source = geometry.fixed_from_receptor.inverse().apply(geometry.source_mm)
    magnification = float(source[2]) / float(np.linalg.norm(geometry.source_mm))
    return radius_mm * magnification / geometry.grid.column_spacing_mm


def _part_of(told: Told, begin: float, length: float) -> Told:
    """Progress of one step, as a part of the whole."""
    return lambda text, fraction: told(text, begin + length * fraction)


def _turn(room: MeasuringRoom, start: TableTopPosition, angle_deg: float, told: Told) -> TableTopPosition:
    """Move to an angle, with progress; a couch that is there already does not move."""
    now = room.couch_position().in_representation(Representation.IEC_61217)
    target = replace(start, patient_support_angle_deg=angle_deg)
    if np.allclose(now.values, target.values, atol=0.01):
        return now

    def moving(progress: Any) -> None:
        left = abs(angle_deg - progress.position.patient_support_angle_deg)
        told(f"couch to {angle_deg:g}°, {left:.0f}° left", progress.fraction)

    return room.move_couch(target, on_progress=moving).in_representation(Representation.IEC_61217)


def _miss_mm(geometry: ProjectionGeometry, points: Array, shadows: Array) -> Array:
    pixels = np.linalg.norm(geometry.project(points) - shadows, axis=-1)
    return np.asarray(pixels * geometry.grid.column_spacing_mm)


def _followed(first: tuple[float, Array], angle_deg: float, found: Array) -> Array:
    """The balls in the order of the first angle."""
    expected = first[1] @ rotation_z(angle_deg - first[0]).T
    distances = np.linalg.norm(expected[:, None] - found[None, :], axis=-1)
    nearest = np.argmin(distances, axis=1)
    if distances.min(axis=1).max() > LARGEST_STEP_MM or len(set(nearest.tolist())) < len(expected):
        raise BallsNotRecognised(
            f"at couch angle {angle_deg:.1f}° the balls are not where a turn would take them "
            f"(off by {distances.min(axis=1).max():.1f} mm)",
            hint="Check that nothing else than the balls stands out in the images, and that they did not move.",
        )
    return np.asarray(found[nearest])
