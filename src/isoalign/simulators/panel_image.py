"""What a kV panel sends: the shadow of the scene with noise, scatter and the panel's own faults.

The chain: path integrals -> polyenergetic transmission -> focal-spot blur -> scatter -> quantum noise -> scintillator
blur -> gain map -> electronic noise and offset -> dead pixels -> 16-bit clipping. The fixed pattern of a panel hangs
on (seed, imager), the noise on (seed, imager, exposure number); the same numbers give the same image.
"""

from __future__ import annotations

import zlib
from dataclasses import asdict, dataclass
from functools import lru_cache
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
from numba import njit
from scipy.ndimage import gaussian_filter, zoom

from isoalign.geometry import Array, Fixed, Pose, TableTop
from isoalign.records import InvalidRecord, Technique
from isoalign.simulators.errors import UnusableTechnique
from isoalign.simulators.materials import density_table, detected_spectrum, metal, voxel_codes
from isoalign.simulators.raycast import DetectorRays, Progress, VoxelBody, voxel_areal_density
from isoalign.simulators.scene import Scene, SceneVolume
from isoalign.simulators.solids import Solid, Sphere, add_solids_areal_density, couch_top

SCATTER_BINNING = 8
REFERENCE_SID_MM = 1500.0
LEAST_KV, GREATEST_KV = 40.0, 150.0
_bodies: WeakKeyDictionary[SceneVolume, VoxelBody] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class PanelPhysics:
    """Parameters of tube and panel.

    Attributes
    ----------
    photons_per_mas : float
        Detected quanta in one pixel, no object, 100 kV, source at 1500 mm, for each mAs.
    counts_per_photon : float
    filtration_mm_aluminium : float
    focal_spot_blur_px, scintillator_blur_px : float
        Standard deviation of a Gaussian, pixels.
    scatter_fraction : float
        Scatter made by matter of one e-fold attenuation, as part of the primary signal there.
    scatter_width_mm : float
        Standard deviation of the scatter background on the panel.
    gain_shading, gain_spread : float
        Amplitude of the smooth gain error, and standard deviation of the gain from pixel to pixel (parts of 1).
    offset_counts, offset_spread_counts : float
        Mean dark level, and its standard deviation from pixel to pixel.
    electronic_noise_counts : float
        Standard deviation for each exposure and pixel.
    dead_pixel_fraction : float
        Pixels that always show 0 or full scale.
    dead_segments : int
        Runs of dead pixels along a column, 40 to 160 pixels long.
    full_scale_counts : int
    """

    photons_per_mas: float = 60_000.0
    counts_per_photon: float = 0.15
    filtration_mm_aluminium: float = 4.0
    focal_spot_blur_px: float = 0.4
    scintillator_blur_px: float = 0.5
    scatter_fraction: float = 0.12
    scatter_width_mm: float = 60.0
    gain_shading: float = 0.03
    gain_spread: float = 0.008
    offset_counts: float = 180.0
    offset_spread_counts: float = 4.0
    electronic_noise_counts: float = 3.0
    dead_pixel_fraction: float = 2e-4
    dead_segments: int = 1
    full_scale_counts: int = 65535

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not 0 <= value < np.inf:
                raise InvalidRecord(f"panel physics: {name} must not be negative or infinite, not {value}")


@dataclass(frozen=True, slots=True)
class PanelPattern:
    """The fixed pattern of one panel: gain (float32), offset (float32) and dead pixels (-1: alive, else counts)."""

    gain: npt.NDArray[np.float32]
    offset_counts: npt.NDArray[np.float32]
    stuck_counts: npt.NDArray[np.int32]


def areal_density(
    scene: Scene, imager_name: str, fixed_from_table: Pose[Fixed, TableTop], *, progress: Progress | None = None
) -> Array:
    """Exact mass per area of the two basis materials on every pixel, g/cm2, shape (rows, columns, 2).

    Parameters
    ----------
    scene : Scene
    imager_name : str
    fixed_from_table : Pose[Fixed, TableTop]
        The true pose of the couch.
    progress : callable, optional
        Called with the fraction done.

    Raises
    ------
    UnknownImager
    """
    truth = scene.imager(imager_name)
    geometry = truth.geometry()
    table_from_fixed = fixed_from_table.inverse()
    if scene.volume is None or scene.table_from_dicom is None:
        out = np.zeros((truth.rows, truth.columns, 2))
    else:
        dicom_from_fixed = scene.table_from_dicom.inverse() @ table_from_fixed
        out = voxel_areal_density(_body(scene.volume), DetectorRays.of(geometry, dicom_from_fixed), progress=progress)
    solids: list[Solid] = [Sphere(one.centre_mm, one.radius_mm, metal(one.mu_per_mm)) for one in scene.spheres]
    if scene.couch_top:
        solids.extend(couch_top())
    add_solids_areal_density(solids, DetectorRays.of(geometry, table_from_fixed), out)
    return out


def expose(
    scene: Scene,
    imager_name: str,
    fixed_from_table: Pose[Fixed, TableTop],
    technique: Technique,
    exposure_number: int,
    progress: Progress | None = None,
    *,
    physics: PanelPhysics = PanelPhysics(),
) -> npt.NDArray[np.uint16]:
    """The image that a panel sends for one exposure.

    Parameters
    ----------
    scene : Scene
    imager_name : str
    fixed_from_table : Pose[Fixed, TableTop]
        The true pose of the couch at the moment of exposure.
    technique : Technique
        Tube voltage 40 to 150 kV.
    exposure_number : int
        Seeds the noise together with the scene's seed and the imager's name.
    progress : callable, optional
        Called with the fraction done, 0 to 1.
    physics : PanelPhysics

    Returns
    -------
    ndarray, shape (rows, columns), uint16
        Proportional to intensity: air is brightest. Rows run along +Xr, columns along -Yr.

    Raises
    ------
    UnknownImager, UnusableTechnique
    """
    truth = scene.imager(imager_name)
    charge_mas = technique.tube_current_ma * technique.exposure_time_ms / 1000.0
    if not (LEAST_KV <= technique.tube_voltage_kv <= GREATEST_KV and 0.0 < charge_mas < np.inf):
        raise UnusableTechnique(f"{technique.tube_voltage_kv:g} kV with {charge_mas:g} mAs cannot be exposed")
    density = areal_density(scene, imager_name, fixed_from_table, progress=progress)
    spectrum = detected_spectrum(technique.tube_voltage_kv, physics.filtration_mm_aluminium)
    transmission = np.empty(density.shape[:2], dtype=np.float32)
    _transmission(density, spectrum.weight, spectrum.water_cm2_g, spectrum.bone_cm2_g, transmission)
    quanta = physics.photons_per_mas * charge_mas * spectrum.output * (REFERENCE_SID_MM / truth.sid_mm) ** 2
    primary = gaussian_filter(transmission, physics.focal_spot_blur_px, mode="nearest")
    signal = (primary + _scatter(primary, truth.pixel_mm, physics)) * np.float32(quanta)
    noise = np.random.default_rng([scene.seed, zlib.crc32(imager_name.encode()), 1, exposure_number])
    detected = noise.poisson(signal).astype(np.float32)
    detected = gaussian_filter(detected, physics.scintillator_blur_px, mode="nearest")
    pattern = panel_pattern(scene.seed, imager_name, truth.rows, truth.columns, physics)
    counts = detected * (pattern.gain * np.float32(physics.counts_per_photon)) + pattern.offset_counts
    counts += noise.standard_normal(counts.shape, dtype=np.float32) * np.float32(physics.electronic_noise_counts)
    counts = np.where(pattern.stuck_counts >= 0, pattern.stuck_counts, np.rint(counts))
    return np.clip(counts, 0, physics.full_scale_counts).astype(np.uint16)


def dark_frame(
    scene: Scene, imager_name: str, frame_number: int, *, physics: PanelPhysics = PanelPhysics()
) -> npt.NDArray[np.uint16]:
    """The image that a panel sends without X-rays: offset, electronic noise and dead pixels.

    Parameters
    ----------
    scene : Scene
    imager_name : str
    frame_number : int
        Seeds the noise; dark frames and exposures have series of their own.
    physics : PanelPhysics

    Returns
    -------
    ndarray, shape (rows, columns), uint16

    Raises
    ------
    UnknownImager
    """
    truth = scene.imager(imager_name)
    noise = np.random.default_rng([scene.seed, zlib.crc32(imager_name.encode()), 2, frame_number])
    pattern = panel_pattern(scene.seed, imager_name, truth.rows, truth.columns, physics)
    spread = np.float32(physics.electronic_noise_counts)
    counts = pattern.offset_counts + noise.standard_normal(pattern.offset_counts.shape, dtype=np.float32) * spread
    counts = np.where(pattern.stuck_counts >= 0, pattern.stuck_counts, np.rint(counts))
    return np.clip(counts, 0, physics.full_scale_counts).astype(np.uint16)


@lru_cache(maxsize=4)
def panel_pattern(seed: int, imager_name: str, rows: int, columns: int, physics: PanelPhysics) -> PanelPattern:
    """The fixed pattern of the panel of one imager, the same for every exposure."""
    rng = np.random.default_rng([seed, zlib.crc32(imager_name.encode()), 0])
    y, x = np.mgrid[-1 : 1 : rows * 1j, -1 : 1 : columns * 1j]
    waves = [x, y, x * y, 2 * x**2 - 1, 2 * y**2 - 1, np.sin(np.pi * x + 3 * y)]
    weights = rng.normal(size=len(waves))
    shading = sum(weight * wave for weight, wave in zip(weights, waves, strict=True))
    shading = shading / np.abs(shading).max()
    gain = (1.0 + physics.gain_shading * shading) * (1.0 + physics.gain_spread * rng.standard_normal((rows, columns)))
    by_column = rng.normal(0.0, physics.offset_spread_counts, columns)
    offset = physics.offset_counts + by_column + rng.normal(0.0, physics.offset_spread_counts, (rows, columns))
    stuck = np.full((rows, columns), -1, dtype=np.int32)
    dead = rng.choice(rows * columns, size=round(physics.dead_pixel_fraction * rows * columns), replace=False)
    stuck.flat[dead] = np.where(rng.random(dead.size) < 0.7, 0, physics.full_scale_counts)
    for _ in range(physics.dead_segments):
        length = min(int(rng.integers(40, 160)), rows)
        top = int(rng.integers(0, rows - length + 1))
        stuck[top : top + length, int(rng.integers(0, columns))] = 0
    return PanelPattern(gain.astype(np.float32), offset.astype(np.float32), stuck)


def _body(volume: SceneVolume) -> VoxelBody:
    """The volume ready for casting; made at the first exposure and kept as long as the volume lives."""
    body = _bodies.get(volume)
    if body is None:
        body = VoxelBody.of(voxel_codes(volume.hounsfield), volume.dicom_from_index, density_table())
        _bodies[volume] = body
    return body


def _scatter(primary: npt.NDArray[np.float32], pixel_mm: float, physics: PanelPhysics) -> npt.NDArray[np.float32]:
    """Smooth background: primary times its e-folds of attenuation, spread wide, on a coarse grid."""
    rows, columns = primary.shape
    step = SCATTER_BINNING
    padded = np.pad(primary, ((0, -rows % step), (0, -columns % step)), mode="edge")
    coarse = padded.reshape(padded.shape[0] // step, step, -1, step).mean(axis=(1, 3), dtype=np.float64)
    coarse = np.clip(coarse, 1e-6, 1.0)
    made = physics.scatter_fraction * coarse * -np.log(coarse)
    spread = gaussian_filter(made, physics.scatter_width_mm / (pixel_mm * step), mode="constant", truncate=3.0)
    fine = zoom(spread, step, order=1, mode="nearest", grid_mode=True)[:rows, :columns]
    return np.asarray(np.maximum(fine, 0.0), dtype=np.float32)


@njit(cache=True, nogil=True)
def _transmission(
    density: Array, weight: Array, water: Array, bone: Array, out: npt.NDArray[np.float32]
) -> None:  # pragma: no cover
    for row in range(out.shape[0]):
        for column in range(out.shape[1]):
            total = 0.0
            for energy in range(weight.shape[0]):
                total += weight[energy] * np.exp(
                    -(density[row, column, 0] * water[energy] + density[row, column, 1] * bone[energy])
                )
            out[row, column] = total
