"""CT pieces with implanted markers whose true centres are known: made from formulas, one voxel at a time.

Markers are drawn on a grid seven times finer than the voxels, blurred, averaged over the slice and cut off where the
scanner's scale ends. Around them lie what must not be taken for markers: dense bone, streaks, noise, and teeth, chalk,
rods, wires and fillings, which every voxel shows by the part that they fill.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.ndimage import gaussian_filter

from isoalign.geometry import Array, PatientPosition
from isoalign.records import Volume, frozen_array

FINE = 7
"""Samples along each side of a voxel, of markers."""
PARTS = (5, 3, 3)
"""The same for what is no marker: along slice, row and column."""
SATURATED_HU = 3071.0
LEAST_DISTANCE_MM = 9.0
"""Between markers, and between a marker and metal."""


@dataclass(frozen=True, slots=True)
class MarkerCt:
    """A CT with markers.

    Attributes
    ----------
    volume : Volume
    centres_mm : ndarray, shape (n, 3)
        True centres, DICOM patient frame.
    """

    volume: Volume
    centres_mm: Array

    def __post_init__(self) -> None:
        object.__setattr__(self, "centres_mm", frozen_array(self.centres_mm, (None, 3), "marker centres"))


def marker_ct(
    seed: int,
    *,
    markers: int = 4,
    diameter_mm: float = 1.6,
    length_mm: float | None = None,
    shape: tuple[int, int, int] = (40, 76, 80),
    spacing_mm: tuple[float, float, float] | None = None,
    noise_hu: float = 25.0,
    clutter: bool = True,
) -> MarkerCt:
    """A piece of a body with markers.

    Parameters
    ----------
    seed : int
    markers : int
    diameter_mm : float
    length_mm : float, optional
        Of seeds, which lie in any direction; balls when omitted.
    shape : (int, int, int)
        Slices, rows, columns.
    spacing_mm : (float, float, float), optional
        Along columns, rows and slices; 0.7 to 1.2 mm and 0.8 to 2.5 mm by default.
    noise_hu : float
    clutter : bool
        Whether there are bones and other metal.
    """
    rng = np.random.default_rng([seed, 31])
    pixel = float(rng.uniform(0.7, 1.2))
    spacing = np.array(spacing_mm or (pixel, pixel, float(rng.uniform(0.8, 2.5))))[::-1]
    size_mm = np.array(shape) * spacing
    blur_mm = float(rng.uniform(0.35, 0.6))
    tissue = gaussian_filter(rng.standard_normal(shape), 2.0)
    rows, columns = np.meshgrid(*(np.linspace(-1.04, 1.04, n) for n in shape[1:]), indexing="ij")
    body = np.where(rows**2 + columns**2 < 1.0, 30.0 + 20.0 * tissue / tissue.std(), -1000.0)
    metal = _clutter(body, size_mm, spacing, rng) if clutter else np.zeros((0, 3))
    margin = 7.0 + 0.5 * (length_mm or diameter_mm)
    centres = _places(rng, markers, size_mm, margin, metal)
    gold = np.zeros(shape)
    for centre in centres:
        add_marker(gold, centre, spacing, blur_mm, (diameter_mm, length_mm), rng)
    if clutter:
        _add_streaks(body, spacing, centres, rng)
    body = gaussian_filter(body, np.append(0.0, blur_mm / spacing[1:])) + gold
    noise = gaussian_filter(rng.standard_normal(shape), (0.0, 0.6, 0.6))
    body += noise_hu * noise / noise.std()
    origin = rng.uniform(-200.0, 200.0, 3)
    volume = Volume(
        np.rint(np.clip(body, -1024.0, SATURATED_HU)).astype(np.int16),
        origin,
        spacing[::-1].copy(),
        np.eye(3),
        "2.25.31",
        PatientPosition.HFS,
    )
    return MarkerCt(volume, origin + centres[:, ::-1])


def _places(rng: np.random.Generator, count: int, size_mm: Array, margin: float, metal: Array) -> Array:
    """Places (slice, row, column), mm, away from each other, from the rim and from other metal."""
    found: list[Array] = []
    for _ in range(5000):
        place = rng.uniform(margin, size_mm - margin)
        inside = np.linalg.norm((place / size_mm - 0.5)[1:]) < 0.36
        others = np.concatenate([np.array(found).reshape(-1, 3), metal])
        if inside and (len(others) == 0 or np.linalg.norm(others - place, axis=1).min() > LEAST_DISTANCE_MM):
            found.append(place)
        if len(found) == count:
            break
    return np.array(found).reshape(-1, 3)


def add_marker(
    out: Array,
    centre: Array,
    spacing: Array,
    blur_mm: float,
    size_mm: tuple[float, float | None],
    rng: np.random.Generator,
) -> None:
    """Add a ball, or a seed in any direction, as a scanner shows it above its surroundings.

    Parameters
    ----------
    out : ndarray, shape (slices, rows, columns)
        HU are added to it.
    centre, spacing : ndarray, shape (3,)
        Slice, row, column, mm; the centre from that of the first voxel.
    blur_mm : float
        Standard deviation in the plane of the slices.
    size_mm : (float, float or None)
        Diameter, and length of a seed.
    """
    diameter, length = size_mm
    reach = np.ceil((0.5 * (length or diameter) + 3.0) / spacing).astype(int)
    middle = np.rint(centre / spacing).astype(int)
    low = np.maximum(middle - reach, 0)
    high = np.minimum(middle + reach + 1, out.shape)
    axes = [
        (np.arange(b * FINE, e * FINE) / FINE + (0.5 / FINE - 0.5)) * s
        for b, e, s in zip(low, high, spacing, strict=True)
    ]
    away = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1) - centre
    if length is None:
        inside = np.linalg.norm(away, axis=-1) <= 0.5 * diameter
    else:
        way = _direction(rng)
        along = away @ way
        inside = (np.abs(along) <= 0.5 * length) & (
            np.linalg.norm(away - along[..., None] * way, axis=-1) <= diameter / 2
        )
    fine = gaussian_filter(
        inside.astype(np.float32), (0.15 / spacing[0] * FINE, *(blur_mm / spacing[1:] * FINE)), mode="constant"
    )
    counts = high - low
    blocks = fine.reshape(counts[0], FINE, counts[1], FINE, counts[2], FINE).mean(axis=(1, 3, 5))
    out[tuple(slice(b, e) for b, e in zip(low, high, strict=True))] += float(rng.uniform(14e3, 24e3)) * blocks


def _clutter(body: Array, size_mm: Array, spacing: Array, rng: np.random.Generator) -> Array:
    """Bones, teeth, chalk and metal that is no marker; returns points on the metal, (n, 3) mm."""
    points: list[Array] = []
    spots = gaussian_filter(rng.standard_normal(body.shape, dtype=np.float32), 0.7 / spacing)
    spots /= spots.std()
    for _ in range(int(rng.integers(1, 4))):
        middle, radii = rng.uniform(0.2, 0.8, 3) * size_mm, rng.uniform(5.0, 16.0, 3)
        block, arm = _box(body.shape, spacing, middle, radii)
        depth = np.linalg.norm(arm / radii, axis=-1)
        bone = np.where(depth > 0.72, float(rng.uniform(1100.0, 1750.0)) + 150.0 * spots[block], 250.0)
        body[block] = np.where(depth < 1.0, bone, body[block])
    for _ in range(int(rng.integers(0, 5))):
        middle, radius = rng.uniform(0.2, 0.8, 3) * size_mm, float(rng.uniform(0.7, 2.0))
        block, _, share = _shares(body.shape, spacing, middle, radius, partial(_in_ellipsoid, radii=radius))
        body[block] += share * (float(rng.uniform(700.0, 1500.0)) - body[block])
    for _ in range(int(rng.integers(0, 3))):
        middle, radii = rng.uniform(0.2, 0.8, 3) * size_mm, rng.uniform(4.0, 7.0, 3)
        block, arm, share = _shares(body.shape, spacing, middle, radii, partial(_in_ellipsoid, radii=radii))
        body[block] += share * (float(rng.choice([2400.0, 2900.0, 9000.0])) - body[block])
        points.append(middle + arm[share > 0.0])
    for _ in range(int(rng.integers(0, 3))):
        middle, way = rng.uniform(0.2, 0.8, 3) * size_mm, _direction(rng)
        length, radius = float(rng.uniform(14.0, 60.0)), float(rng.uniform(0.8, 3.0))
        rod = partial(_in_rod, way=way, half_length=0.5 * length, radius=radius)
        block, arm, share = _shares(body.shape, spacing, middle, 0.5 * length * np.abs(way) + radius, rod)
        body[block] += share * (float(rng.choice([2600.0, 8000.0])) - body[block])
        points.append(middle + arm[share > 0.0])
    return np.concatenate(points) if points else np.zeros((0, 3))


def _add_streaks(body: Array, spacing: Array, centres: Array, rng: np.random.Generator) -> None:
    """Bright and dark rays about every marker, in the slices that it lies in."""
    for centre in centres:
        block, arm = _box(body.shape, spacing, centre, np.array([4.0, 1e3, 1e3]))
        radius = np.linalg.norm(arm[..., 1:], axis=-1)
        angle = np.arctan2(arm[..., 1], arm[..., 2])
        rays = np.cos(int(rng.integers(2, 5)) * angle + rng.uniform(0.0, 6.3))
        near = np.exp(-((arm[..., 0] / 1.5) ** 2))
        body[block] += float(rng.uniform(50.0, 350.0)) * near * rays / (1.0 + radius / 3.0) * (radius > 1.0)


def _in_ellipsoid(arm: Array, more: float, *, radii: float | Array) -> Array:
    return np.asarray(np.linalg.norm(arm / (radii + more), axis=-1) < 1.0)


def _in_rod(arm: Array, more: float, *, way: Array, half_length: float, radius: float) -> Array:
    along = arm @ way
    across = np.linalg.norm(arm - along[..., None] * way, axis=-1)
    return np.asarray((np.abs(along) < half_length + more) & (across < radius + more))


def _shares(
    shape: tuple[int, ...],
    spacing: Array,
    middle: Array,
    reach_mm: float | Array,
    inside: Callable[[Array, float], Array],
) -> tuple[tuple[slice, ...], Array, Array]:
    """Which part of every voxel a body fills, as a scanner averages it; ``inside`` may be asked with a margin in mm."""
    block, arm = _box(shape, spacing, middle, reach_mm + spacing)
    share = np.zeros(arm.shape[:-1])
    near = inside(arm, 0.5 * float(np.linalg.norm(spacing)))
    steps = [(np.arange(count) + 0.5) / count - 0.5 for count in PARTS]
    offsets = np.stack(np.meshgrid(*steps, indexing="ij"), axis=-1).reshape(-1, 3) * spacing
    for offset in offsets:
        share[near] += inside(arm[near] + offset, 0.0)
    return block, arm, share / len(offsets)


def _direction(rng: np.random.Generator) -> Array:
    way = rng.standard_normal(3)
    return np.asarray(way / np.linalg.norm(way))


def _box(
    shape: tuple[int, ...], spacing: Array, middle: Array, reach_mm: float | Array
) -> tuple[tuple[slice, ...], Array]:
    """The voxels within reach of a point on every axis, and where they lie from it, (..., 3) mm."""
    low = np.clip(np.floor((middle - reach_mm) / spacing).astype(int), 0, None)
    high = np.clip(np.ceil((middle + reach_mm) / spacing).astype(int) + 1, low + 1, shape)
    block = tuple(slice(int(b), int(e)) for b, e in zip(low, high, strict=True))
    axes = [np.arange(b, e) * s - m for b, e, s, m in zip(low, high, spacing, middle, strict=True)]
    return block, np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
