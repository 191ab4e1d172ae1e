"""What a 3D/3D match needs of the planning CT, made once for each plan and region."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from isoalign.geometry import Array
from isoalign.imaging.compiled import kernel_lock
from isoalign.records import Volume
from isoalign.registration.errors import EmptyRegion
from isoalign.registration.scan_kernels import KNOWN_ABOVE, MODEL_TERMS, steepness
from isoalign.registration.scan_levels import Mask, ScanLevel, body_of, scan_levels
from isoalign.registration.scan_regions import Region, require_frame
from isoalign.registration.scan_settings import DEFAULT_SCAN_SETTINGS, ScanMatchLevel, ScanMatchSettings

Float32 = npt.NDArray[np.float32]

LEAST_POINTS = 150
MOST_HU = 2000.0
"""Planned values are cut here, so that metal does not outweigh the patient."""
POLYNOMIAL_MM = 100.0
BLOCK_MM = 30.0
INFORMATION_POINTS = 20_000
INFORMATION_SEED, POINT_SEED = 11, 12


@dataclass(frozen=True, slots=True)
class PlannedPoints:
    """Voxels of the planning CT that lie on edges, at one resolution.

    Attributes
    ----------
    level : ScanMatchLevel
    points_mm : ndarray, shape (n, 3), float32
        DICOM patient frame of the plan.
    values : ndarray, shape (n,), float32
        HU.
    design : ndarray, shape (n, 17), float32
        Derivatives by a small motion (3 translations in mm, 3 rotations in rad about the middle of the points), then
        the terms of the model of the CT numbers of the day, all as they enter the linear equations.
    block : ndarray, shape (n,), int64
        Which part of about 30 mm a point lies in, ascending.
    """

    level: ScanMatchLevel
    points_mm: Float32
    values: Float32
    design: Float32
    block: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class PreparedScan:
    """A planning CT ready to be matched to volumes of the day.

    Attributes
    ----------
    frame_of_reference_uid : str
    centre_mm : ndarray, shape (3,)
        Middle of the compared points, about which rotations are told, DICOM patient frame.
    points : tuple of PlannedPoints
        One for each level, coarse to fine.
    spread_points_mm, spread_values : ndarray, shape (m, 3) and (m,), float32
        Points all over the region, not on edges alone, for mutual information.
    finest : ScanLevel
    """

    frame_of_reference_uid: str
    settings: ScanMatchSettings
    centre_mm: Array
    points: tuple[PlannedPoints, ...]
    spread_points_mm: Float32
    spread_values: Float32


def prepare_scan(
    planning: Volume,
    *,
    region: Region | None = None,
    excluded: Mask | None = None,
    settings: ScanMatchSettings = DEFAULT_SCAN_SETTINGS,
) -> PreparedScan:
    """Make a planning CT ready for 3D/3D matches.

    Parameters
    ----------
    planning : Volume
    region : BoxRegion, SphereRegion or MaskRegion, optional
        The part that must fit; the whole body when omitted.
    excluded : ndarray, shape of the volume, bool, optional
        Voxels not to be compared, for instance dental artefacts or what moves.
    settings : ScanMatchSettings

    Raises
    ------
    VolumeTooThin, UndefinedVoxels, ConstantVolume, EmptyRegion, WrongFrameOfReference
    """
    if region is not None:
        require_frame(region, planning)
    levels = scan_levels(planning, tuple(level.spacing_mm for level in settings.levels), excluded)
    body = body_of(levels[min(1, len(levels) - 1)]) if settings.body_only else None
    body_grid = levels[min(1, len(levels) - 1)]
    usable = [_usable_voxels(level, body, body_grid, region) for level in levels]
    chosen = [
        _edge_voxels(level, one, how, settings.least_gradient_hu_per_mm)
        for level, one, how in zip(levels, usable, settings.levels, strict=True)
    ]
    if min(len(one) for one in chosen) < LEAST_POINTS:
        raise EmptyRegion(
            f"the region holds only {min(len(one) for one in chosen)} voxels with edges; {LEAST_POINTS} are needed",
            voxels=min(len(one) for one in chosen),
        )
    centre = np.asarray(levels[-1].points_mm(chosen[-1]).mean(axis=0), dtype=np.float64)
    spread_points, spread_values = _spread(levels[-1], usable[-1])
    return PreparedScan(
        planning.frame_of_reference_uid,
        settings,
        centre,
        tuple(
            _planned_points(level, one, how, centre)
            for level, one, how in zip(levels, chosen, settings.levels, strict=True)
        ),
        spread_points,
        spread_values,
    )


def _usable_voxels(level: ScanLevel, body: Mask | None, body_grid: ScanLevel, region: Region | None) -> Mask:
    """Voxels of a level that are known and lie in body and region."""
    usable = level.values > KNOWN_ABOVE
    if body is not None:
        to_body = body_grid.index_from_dicom @ level.dicom_from_index
        index = [
            np.clip(np.rint(to_body[axis, axis] * np.arange(n) + to_body[axis, 3]).astype(int), 0, m - 1)
            for axis, (n, m) in enumerate(zip(level.values.shape[::-1], body.shape[::-1], strict=True))
        ]
        usable &= body[np.ix_(index[2], index[1], index[0])]
    if region is not None:
        where = np.flatnonzero(usable)
        usable.ravel()[where[~region.contains(level.points_mm(where))]] = False
    return np.asarray(usable)


def _edge_voxels(level: ScanLevel, usable: Mask, how: ScanMatchLevel, least_hu_per_mm: float) -> npt.NDArray[np.int64]:
    """Flat indices of voxels on edges, thinned; steeper ones are more likely to be kept."""
    steep = np.empty_like(level.values)
    with kernel_lock:
        steepness(level.values, level.voxel_mm, steep)
    candidates = np.flatnonzero(usable & (steep > least_hu_per_mm**2))
    if len(candidates) <= how.most_points:
        return candidates
    gradient = np.sqrt(steep.ravel()[candidates])
    chance = np.minimum(gradient, 4 * np.median(gradient))
    chance *= how.most_points / chance.sum()
    kept = np.random.default_rng(POINT_SEED).random(len(candidates)) < chance
    return np.asarray(candidates[kept])


def _planned_points(
    level: ScanLevel, index: npt.NDArray[np.int64], how: ScanMatchLevel, centre_mm: Array
) -> PlannedPoints:
    index, block = _by_block(level, index)
    points = level.points_mm(index)
    k, j, i = np.unravel_index(index, level.values.shape)
    cut = level.values
    values = np.minimum(cut.ravel()[index], np.float32(MOST_HU))

    def at(dk: int, dj: int, di: int) -> Float32:
        return np.minimum(cut[k + dk, j + dj, i + di], np.float32(MOST_HU))

    differences = np.stack([at(0, 0, 1) - at(0, 0, -1), at(0, 1, 0) - at(0, -1, 0), at(1, 0, 0) - at(-1, 0, 0)], axis=1)
    axes = level.dicom_from_index[:3, :3] / level.voxel_mm
    gradient = (differences / (2 * level.voxel_mm)) @ axes.T
    arm = points - centre_mm
    design = np.empty((len(points), 6 + MODEL_TERMS), np.float32)
    design[:, :3] = gradient
    design[:, 3:6] = np.cross(arm, gradient)
    design[:, 6] = -values
    design[:, 7:] = -polynomial(arm)
    return PlannedPoints(how, points, values, design, block)


def _by_block(level: ScanLevel, index: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Voxels sorted by the part of about 30 mm they lie in, and the number of the part."""
    points = level.points_mm(index)
    corner = np.floor((points - points.min(axis=0)) / BLOCK_MM).astype(np.int64)
    block = np.unique(corner, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)
    order = np.argsort(block, kind="stable")
    return index[order], block[order]


def polynomial(arm_mm: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """The ten terms of a quadratic in three coordinates, shape (n, 10)."""
    x, y, z = (arm_mm / POLYNOMIAL_MM).T
    return np.stack([np.ones_like(x), x, y, z, x * x, y * y, z * z, x * y, x * z, y * z], axis=1)


def _spread(level: ScanLevel, usable: Mask) -> tuple[Float32, Float32]:
    """Random voxels of the region with their values; mutual information samples the day between voxels anyway."""
    where = np.flatnonzero(usable)
    rng = np.random.default_rng(INFORMATION_SEED)
    if len(where) > INFORMATION_POINTS:
        where = np.sort(rng.choice(where, INFORMATION_POINTS, replace=False))
    return level.points_mm(where), level.values.ravel()[where]
