"""CT and cone-beam CT volumes of a body from formulas, at any pose: truth for registrations of volumes.

The body is a list of ellipsoids that are painted in order. Every voxel is computed from the formulas at its own place
in the body: no volume is ever resampled, so that a scan at another pose shares no interpolation with the first one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from numba import njit, prange
from scipy.ndimage import gaussian_filter

from isoalign.geometry import Array, DicomPatient, PatientPosition, Pose, TableAngles, rotation_from_table_angles
from isoalign.records import Volume, frozen_array

Float32 = npt.NDArray[np.float32]

AIR_HU = -1000.0
HALF_SIZE_MM = (90.0, 68.0, 300.0)
"""Of the trunk; it goes on beyond any scan."""
TUBE_MM = 300.0
"""Bodies longer than this are tubes: their long axis does not round them off."""


@dataclass(frozen=True, slots=True)
class Ellipsoids:
    """Ellipsoids in the frame of the body, painted in order: later ones replace earlier ones.

    Attributes
    ----------
    centre_mm : ndarray, shape (n, 3)
    half_axes_mm : ndarray, shape (n, 3)
    axes : ndarray, shape (n, 3, 3)
        Columns are the directions of the half axes.
    hounsfield : ndarray, shape (n,)
    """

    centre_mm: Array
    half_axes_mm: Array
    axes: Array
    hounsfield: Array

    def __post_init__(self) -> None:
        object.__setattr__(self, "centre_mm", frozen_array(self.centre_mm, (None, 3), "ellipsoid centres"))
        object.__setattr__(self, "half_axes_mm", frozen_array(self.half_axes_mm, (None, 3), "ellipsoid half axes"))
        object.__setattr__(self, "axes", frozen_array(self.axes, (None, 3, 3), "ellipsoid axes"))
        object.__setattr__(self, "hounsfield", frozen_array(self.hounsfield, (None,), "ellipsoid CT numbers"))

    def then(self, other: Ellipsoids) -> Ellipsoids:
        """These, and then the others on top."""
        pairs = zip(
            (self.centre_mm, self.half_axes_mm, self.axes, self.hounsfield),
            (other.centre_mm, other.half_axes_mm, other.axes, other.hounsfield),
            strict=True,
        )
        return Ellipsoids(*(np.concatenate(pair) for pair in pairs))


@dataclass(frozen=True, slots=True)
class ScanGrid:
    """Voxels of a scan, centred on the origin of the scanner, along the DICOM axes."""

    shape: tuple[int, int, int] = (256, 256, 256)
    spacing_mm: tuple[float, float, float] = (1.0, 1.0, 1.0)

    @property
    def origin_mm(self) -> Array:
        """Centre of voxel (0, 0, 0) as (x, y, z)."""
        return np.asarray(-(np.array(self.shape[::-1]) - 1) / 2 * np.array(self.spacing_mm))


@dataclass(frozen=True, slots=True)
class ScanFaults:
    """What a cone-beam CT does to CT numbers.

    Attributes
    ----------
    scale : float
        Of all CT numbers above air.
    bone_scale : float
        Further factor on what lies above 150 HU.
    cupping_hu, slope_hu : float
        Shading: a bowl over the field of view, and a slope across it.
    noise_hu : float
    streak_hu : float
        Amplitude of stripes through the middle.
    field_radius_mm, field_half_length_mm : float
        Beyond these there is only padding.
    padding_hu : float
    """

    scale: float = 1.0
    bone_scale: float = 1.0
    cupping_hu: float = 0.0
    slope_hu: float = 0.0
    noise_hu: float = 0.0
    streak_hu: float = 0.0
    field_radius_mm: float = math.inf
    field_half_length_mm: float = math.inf
    padding_hu: float = AIR_HU


EASY_CONE_BEAM = ScanFaults(0.92, 1.0, 60.0, 20.0, 40.0, 0.0, 118.0)
HARD_CONE_BEAM = ScanFaults(0.90, 0.7, 90.0, 40.0, 90.0, 40.0, 118.0, 60.0)


def trunk(seed: int, *, gas_seed: int | None = None, size: float = 1.0) -> Ellipsoids:
    """A trunk with spine, ribs, organs and bowel gas, different for every seed.

    Parameters
    ----------
    seed : int
    gas_seed : int, optional
        Bowel gas of another day.
    size : float
        Factor on all places and sizes.
    """
    rng = np.random.default_rng(seed)
    rows: list[tuple[npt.ArrayLike, npt.ArrayLike, Array, float]] = []

    def add(centre: npt.ArrayLike, half: npt.ArrayLike, hounsfield: float, turn_deg: float = 0.0) -> None:
        angles = TableAngles(*(rng.uniform(-turn_deg, turn_deg, 3) if turn_deg else (0.0, 0.0, 0.0)))
        rows.append((centre, half, rotation_from_table_angles(angles), hounsfield))

    skin = np.array(HALF_SIZE_MM) * (*rng.uniform(0.9, 1.06, 2), 1.0)
    fat = rng.uniform(6, 12)
    add((0, 0, 0), skin, -100.0)
    add((0, 2, 0), skin - (fat, fat, 0), 40.0)
    step, first = rng.uniform(30, 37), rng.uniform(-12, 12)
    wide, deep, tall = rng.uniform(17, 23), rng.uniform(12, 16), 0.38 * step
    spine = skin[1] - rng.uniform(30, 37)
    for level in range(-5, 6):
        height = step * level + first + rng.uniform(-2, 2)
        side_mm = rng.uniform(-3, 3)
        add((side_mm, spine, height), (wide, deep, tall), 480.0, 6.0)
        add((side_mm, spine, height), (wide - 4, deep - 4, tall - 3.5), rng.uniform(180, 260), 6.0)
        add((side_mm, spine + deep + 3, height), (8, 6, 40), 30.0)
        add((side_mm, spine + 27, height - 6), (4, 8, 8), 520.0, 6.0)
        for side in (-1, 1):
            place = (side * (skin[0] - rng.uniform(20, 30)), rng.uniform(-25, 15), height + rng.uniform(-8, 8))
            add(place, (rng.uniform(6, 10), 20, 5), 560.0, 25.0)
    for _ in range(22):
        centre = rng.uniform((-55, -40, -130), (55, 10, 130))
        add(centre, rng.uniform(6, 24, 3), rng.choice([10.0, 60.0, 75.0, 95.0, -90.0, 20.0]), 60.0)
    gas = np.random.default_rng(seed + 1000 if gas_seed is None else gas_seed)
    for _ in range(9):
        add(gas.uniform((-45, -40, -130), (45, 0, 130)), gas.uniform(4, 12, 3), -950.0, 60.0)
    centre, half, axes, hounsfield = (np.array(column, dtype=np.float64) for column in zip(*rows, strict=True))
    return Ellipsoids(centre * size, half * size, axes, hounsfield)


def couch(height_mm: float = 70.0, shift_mm: float = 0.0) -> Ellipsoids:
    """A couch top: a flat shell with a core of foam, posterior of the body, along the DICOM axes."""
    return Ellipsoids(
        np.array([(shift_mm, height_mm + 18, 0.0)] * 2),
        np.array([(200.0, 18.0, 4000.0), (196.0, 15.5, 4000.0)]),
        np.array([np.eye(3)] * 2),
        np.array([150.0, -930.0]),
    )


def scan(
    body: Ellipsoids,
    scanner_from_body: Pose[DicomPatient, DicomPatient],
    grid: ScanGrid,
    *,
    faults: ScanFaults | None = None,
    still: Ellipsoids | None = None,
    seed: int = 0,
    frame_of_reference_uid: str = "2.25.7",
) -> Volume:
    """A CT of the body at a pose.

    Parameters
    ----------
    body : Ellipsoids
    scanner_from_body : Pose[DicomPatient, DicomPatient]
        Where the body lies in the coordinates of the scan.
    grid : ScanGrid
    faults : ScanFaults, optional
        None for an ideal scanner.
    still : Ellipsoids, optional
        What stays where it is, whatever the body does (a couch top); painted first.
    seed : int
        Of the noise.
    frame_of_reference_uid : str
    """
    placed = replace(
        body,
        centre_mm=scanner_from_body.apply(body.centre_mm),
        axes=np.einsum("ij,njk->nik", scanner_from_body.rotation, body.axes),
    )
    everything = placed if still is None else still.then(placed)
    values = np.full(grid.shape, AIR_HU, np.float32)
    inward = everything.axes.transpose(0, 2, 1) / everything.half_axes_mm[:, :, None]
    reach = np.sqrt(np.einsum("nij,nj->ni", everything.axes**2, everything.half_axes_mm**2))
    _paint(
        values, grid.origin_mm, np.array(grid.spacing_mm), everything.centre_mm, inward.copy(), reach,
        everything.half_axes_mm.min(axis=1), everything.hounsfield,
    )  # fmt: skip
    if faults is not None:
        _spoil(values, grid, faults, seed)
    return Volume(
        np.clip(np.rint(values), -1024, 3071).astype(np.int16),
        grid.origin_mm,
        np.array(grid.spacing_mm),
        np.eye(3),
        frame_of_reference_uid,
        PatientPosition.HFS,
    )


@njit(cache=True, parallel=True, nogil=True)
def _paint(
    values: Float32,
    origin: Array,
    spacing: Array,
    centre: Array,
    inward: Array,
    reach: Array,
    thickness: Array,
    hounsfield: Array,
) -> None:  # pragma: no cover
    slices, rows, columns = values.shape
    for k in prange(slices):
        z = origin[2] + k * spacing[2]
        for n in range(len(centre)):
            if abs(z - centre[n, 2]) > reach[n, 2] + 2.0:
                continue
            first_row = max(0, math.ceil((centre[n, 1] - reach[n, 1] - 2.0 - origin[1]) / spacing[1]))
            last_row = min(rows - 1, math.floor((centre[n, 1] + reach[n, 1] + 2.0 - origin[1]) / spacing[1]))
            first = max(0, math.ceil((centre[n, 0] - reach[n, 0] - 2.0 - origin[0]) / spacing[0]))
            last = min(columns - 1, math.floor((centre[n, 0] + reach[n, 0] + 2.0 - origin[0]) / spacing[0]))
            dz = z - centre[n, 2]
            for j in range(first_row, last_row + 1):
                dy = origin[1] + j * spacing[1] - centre[n, 1]
                for i in range(first, last + 1):
                    dx = origin[0] + i * spacing[0] - centre[n, 0]
                    total = 0.0
                    for a in range(3):
                        part = inward[n, a, 0] * dx + inward[n, a, 1] * dy + inward[n, a, 2] * dz
                        total += part * part
                    # an edge as wide as a voxel: partial volume
                    depth = (1.0 - math.sqrt(total)) * thickness[n] / spacing[0] + 0.5
                    if depth >= 1.0:
                        values[k, j, i] = hounsfield[n]
                    elif depth > 0.0:
                        share = depth * depth * (3.0 - 2.0 * depth)
                        values[k, j, i] += share * (hounsfield[n] - values[k, j, i])


def _spoil(values: Float32, grid: ScanGrid, faults: ScanFaults, seed: int) -> None:
    """What the scanner does to the CT numbers, in place."""
    rng = np.random.default_rng(seed)
    x, y, z = (
        (grid.origin_mm[axis] + grid.spacing_mm[axis] * np.arange(grid.shape[2 - axis])).astype(np.float32)
        for axis in range(3)
    )
    radius = np.hypot(x[None, :], y[:, None])
    bone = values > 150.0
    values[bone] = 150.0 + (values[bone] - 150.0) * faults.bone_scale
    values += np.float32(1000.0)
    values *= np.float32(faults.scale)
    values -= np.float32(1000.0)
    shade = faults.cupping_hu * ((radius / 100.0) ** 2 - 1.0) + faults.slope_hu * x[None, :] / 100.0
    angle = np.arctan2(y[:, None], x[None, :])
    shade = shade + faults.streak_hu * np.sin(14.0 * angle + 0.7) * np.exp(-radius / 60.0)
    values += (shade.astype(np.float32) * (1.0 + np.float32(0.2) * z[:, None, None] / 100.0)) * (values > -700.0)
    if faults.noise_hu > 0:
        for number in range(len(values)):
            noise = gaussian_filter(rng.standard_normal(values.shape[1:], dtype=np.float32), 0.6)
            values[number] += noise * np.float32(faults.noise_hu / 0.45)
    values[:, radius > faults.field_radius_mm] = faults.padding_hu
    values[np.abs(z) > faults.field_half_length_mm] = faults.padding_hu
