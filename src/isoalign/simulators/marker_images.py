"""kV images of a head with implanted markers and clutter, whose true places are known.

The head is cast once for every direction with the exact ray caster; markers, wires, large balls and clips are exact
solids that are added for each image, sampled three times finer than the pixels. Scatter, gain, dead pixels and noise
are the panel's. Nothing here knows how markers are looked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from isoalign.geometry import (
    Array,
    DicomPatient,
    Fixed,
    ImagerAxis,
    PatientPosition,
    PixelGrid,
    Pose,
    ProjectionGeometry,
    Representation,
    TableTopPosition,
    planned_fixed_from_dicom,
)
from isoalign.records import Acquisition, Radiograph, Technique, Volume
from isoalign.simulators.materials import density_table, detected_spectrum, metal, voxel_codes
from isoalign.simulators.panel_image import PanelPhysics, panel_pattern
from isoalign.simulators.phantom import head_phantom, volume_without_markers
from isoalign.simulators.raycast import DetectorRays, VoxelBody, voxel_areal_density
from isoalign.simulators.solids import Cylinder, Solid, Sphere, add_solids_areal_density

GOLD_PER_MM = 8.75
"""Attenuation of gold at 60 keV (NIST: 4.528 cm2/g, 19.32 g/cm3)."""
STEEL_PER_MM = 0.95
FINE = 3
TECHNIQUE = Technique(110.0, 100.0, 60.0)
PHYSICS = PanelPhysics()
TABLE_TOP = TableTopPosition(Representation.IEC_61217, 0.0, 700.0, -120.0)


@dataclass(frozen=True, slots=True)
class MarkerSolid:
    """A gold marker in the fixed frame: a ball, or a seed along ``way``; lengths in mm."""

    centre_mm: Array
    diameter_mm: float = 1.6
    length_mm: float | None = None
    way: tuple[float, float, float] = (0.0, 1.0, 0.0)

    def solid(self) -> Solid:
        """The exact body."""
        if self.length_mm is None:
            return Sphere(self.centre_mm, 0.5 * self.diameter_mm, metal(GOLD_PER_MM))
        half = 0.5 * self.length_mm * np.asarray(self.way) / np.linalg.norm(self.way)
        return Cylinder(self.centre_mm - half, self.centre_mm + half, 0.5 * self.diameter_mm, metal(GOLD_PER_MM))


def head_without_markers(seed: int = 0) -> tuple[Volume, Array]:
    """The head phantom with its own markers replaced by tissue, and its isocentre in the DICOM patient frame, mm."""
    case = head_phantom(seed)
    return volume_without_markers(case), case.isocentre_mm


@dataclass
class MarkerCamera:
    """An imager that sees the head phantom, or nothing but air, and any solids.

    Parameters
    ----------
    gantry_angle_deg : float
    rows, columns : int
    pixel_mm : float
    body : tuple of Volume and isocentre (mm), optional
        What is in the beam besides the solids.
    fixed_from_dicom : Pose[Fixed, DicomPatient], optional
        Where the body is; planned when omitted.
    """

    gantry_angle_deg: float
    rows: int = 512
    columns: int = 512
    pixel_mm: float = 0.388
    body: tuple[Volume, Array] | None = None
    fixed_from_dicom: Pose[Fixed, DicomPatient] | None = None
    density: Array = field(init=False)

    def __post_init__(self) -> None:
        self.density = np.zeros((self.rows, self.columns, 2))
        if self.body is not None:
            volume, isocentre = self.body
            pose = self.fixed_from_dicom or planned_fixed_from_dicom(PatientPosition.HFS, isocentre)
            cast = VoxelBody.of(
                voxel_codes(volume.hounsfield.astype(np.int16)), volume.dicom_from_index, density_table()
            )
            self.density = voxel_areal_density(cast, DetectorRays.of(self.geometry, pose.inverse()))

    @property
    def geometry(self) -> ProjectionGeometry:
        """Source and panel in the fixed frame."""
        axis = ImagerAxis(self.gantry_angle_deg, 1000.0, 1500.0)
        return ProjectionGeometry.from_axis(axis, PixelGrid.centred(self.rows, self.columns, self.pixel_mm))

    def expose(
        self,
        solids: Sequence[Solid],
        seed: int,
        *,
        name: str = "A",
        scatter: float = 0.15,
        collimated: tuple[int, int, int, int] | None = None,
        physics: PanelPhysics = PHYSICS,
    ) -> Radiograph:
        """What the panel sends.

        Parameters
        ----------
        solids : sequence of Solid
            In the fixed frame.
        seed : int
            Of noise and panel.
        scatter : float
            Part of the mean primary signal that lies over the image as a smooth background.
        collimated : (int, int, int, int), optional
            First row, row after the last, first column and column after the last that the beam reaches.
        physics : PanelPhysics
        """
        rng = np.random.default_rng([seed, 17])
        primary = self._transmission(solids)
        lit = np.ones_like(primary)
        if collimated is not None:
            top, bottom, left, right = collimated
            lit[:] = 0.002
            lit[top:bottom, left:right] = 1.0
            primary = primary * gaussian_filter(lit, 1.0)
        primary = gaussian_filter(primary, physics.focal_spot_blur_px, mode="nearest")
        veil = gaussian_filter(primary[::8, ::8], 60.0 / (self.pixel_mm * 8), mode="nearest")
        smooth = np.kron(veil, np.ones((8, 8)))[: self.rows, : self.columns]
        # beyond the collimator there is little scatter
        signal = primary + scatter * gaussian_filter(smooth * (0.05 + 0.95 * lit), 8.0)
        quanta = physics.photons_per_mas * TECHNIQUE.tube_current_ma * TECHNIQUE.exposure_time_ms / 1000.0
        detected = rng.poisson(np.maximum(signal, 0.0) * quanta).astype(np.float64)
        detected = gaussian_filter(detected, physics.scintillator_blur_px, mode="nearest")
        pattern = panel_pattern(seed % 8, name, self.rows, self.columns, physics)
        counts = detected * pattern.gain * (50_000.0 / quanta) + 180.0
        counts += rng.normal(0.0, physics.electronic_noise_counts, counts.shape)
        counts = np.where(pattern.stuck_counts >= 0, pattern.stuck_counts, np.rint(counts))
        return Radiograph(
            np.clip(counts, 0, physics.full_scale_counts).astype(np.uint16),
            self.geometry,
            Acquisition(name, seed, TECHNIQUE, datetime(2026, 1, 1, tzinfo=UTC), TABLE_TOP),
        )

    def _transmission(self, solids: Sequence[Solid]) -> Array:
        if not hasattr(self, "_open"):
            self._open = _through(self.density)
        out = self._open.copy()
        rays = DetectorRays.of(self.geometry)
        block = self._block(solids)
        if block is None:
            return out
        rows, columns = block
        step, down = rays.column_step_mm / FINE, rays.row_step_mm / FINE
        shift = (0.5 - 0.5 * FINE) * (step + down)
        first = rays.first_pixel_mm + rows.start * rays.row_step_mm + columns.start * rays.column_step_mm + shift
        size = ((rows.stop - rows.start) * FINE, (columns.stop - columns.start) * FINE)
        fine = DetectorRays(rays.source_mm, first, step, down, *size)
        added = np.zeros((*size, 2))
        add_solids_areal_density(solids, fine, added)
        hit = added.any(axis=2)
        below = np.repeat(np.repeat(self.density[block], FINE, axis=0), FINE, axis=1)
        seen = np.repeat(np.repeat(out[block], FINE, axis=0), FINE, axis=1)
        seen[hit] = _through((below + added)[hit])
        out[block] = seen.reshape(size[0] // FINE, FINE, size[1] // FINE, FINE).mean(axis=(1, 3))
        return out

    def _block(self, solids: Sequence[Solid]) -> tuple[slice, slice] | None:
        """The pixels that the solids can darken."""
        points = []
        for one in solids:
            if isinstance(one, Sphere):
                ends = one.centre_mm[None]
            elif isinstance(one, Cylinder):
                ends = np.stack([one.begin_mm, one.end_mm])
            else:
                raise TypeError("markers and clutter are balls and cylinders")
            around = one.radius_mm * np.array([(a, b, c) for a in (-1, 1) for b in (-1, 1) for c in (-1, 1)])
            points.append((ends[:, None] + around).reshape(-1, 3))
        if not points:
            return None
        pixels = self.geometry.project(np.concatenate(points))
        low = np.clip(np.floor(pixels.min(axis=0)).astype(int) - 1, 0, (self.columns - 1, self.rows - 1))
        high = np.clip(np.ceil(pixels.max(axis=0)).astype(int) + 2, low + 1, (self.columns, self.rows))
        return slice(int(low[1]), int(high[1])), slice(int(low[0]), int(high[0]))


def _through(density: Array) -> Array:
    """Part of the detected signal that passes, (...) from mass per area (..., 2), g/cm2."""
    spectrum = detected_spectrum(TECHNIQUE.tube_voltage_kv)
    out = np.zeros(density.shape[:-1])
    for part, water, bone in zip(spectrum.weight, spectrum.water_cm2_g, spectrum.bone_cm2_g, strict=True):
        out += part * np.exp(-(density[..., 0] * water + density[..., 1] * bone))
    return out


def clutter(rng: np.random.Generator, *, seeds: bool) -> list[Solid]:
    """Metal near the isocentre that is no marker: wires, and large balls among seeds or clips among balls."""
    found: list[Solid] = []
    for _ in range(int(rng.integers(0, 4))):
        middle, way = rng.uniform(-60.0, 60.0, 3), _direction(rng)
        half = 0.5 * float(rng.uniform(20.0, 90.0)) * way
        radius = float(rng.uniform(0.25, 0.9))
        found.append(Cylinder(middle - half, middle + half, radius, metal(STEEL_PER_MM * 3.0)))
    for _ in range(int(rng.integers(0, 3))):
        middle = rng.uniform(-60.0, 60.0, 3)
        if seeds:
            found.append(Sphere(middle, float(rng.uniform(3.0, 6.0)), metal(STEEL_PER_MM)))
        else:
            half = 0.5 * float(rng.uniform(6.0, 11.0)) * _direction(rng)
            found.append(Cylinder(middle - half, middle + half, float(rng.uniform(0.4, 0.8)), metal(STEEL_PER_MM * 3)))
    return found


def random_markers(
    rng: np.random.Generator,
    cameras: Sequence[MarkerCamera],
    *,
    count: int,
    reach_mm: float = 40.0,
    diameter_mm: float = 1.6,
    length_mm: float | None = None,
    apart_px: float = 14.0,
) -> list[MarkerSolid]:
    """Markers within reach of the isocentre whose shadows lie apart, and within, every image."""
    found: list[MarkerSolid] = []
    for _ in range(3000):
        if len(found) == count:
            break
        centre = rng.uniform(-reach_mm, reach_mm, 3)
        tried = [*(one.centre_mm for one in found), centre]
        apart = True
        for camera in cameras:
            pixels = camera.geometry.project(np.array(tried))
            own = pixels[-1]
            rim = min(own.min(), camera.columns - 1 - own[0], camera.rows - 1 - own[1])
            distance = np.linalg.norm(pixels[:-1] - own, axis=1)
            apart &= bool(rim > 25 and (distance.size == 0 or distance.min() > apart_px))
        if apart:
            x, y, z = _direction(rng)
            found.append(MarkerSolid(centre, diameter_mm, length_mm, (float(x), float(y), float(z))))
    return found


def _direction(rng: np.random.Generator) -> npt.NDArray[np.float64]:
    way = rng.standard_normal(3)
    return np.asarray(way / np.linalg.norm(way))
