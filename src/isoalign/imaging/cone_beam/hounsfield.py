"""From reconstructed attenuation to CT numbers, by a scan of a water cylinder."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from isoalign.imaging.attenuation import WATER_PER_MM
from isoalign.imaging.cone_beam.errors import UnusableReconstruction, UnusableWaterScan
from isoalign.imaging.cone_beam.grid import ReconstructionGrid

Float32 = npt.NDArray[np.float32]

MOST_CUPPING = 0.5


@dataclass(frozen=True, slots=True)
class HounsfieldCalibration:
    """Reconstructed attenuation of water and of air, 1/mm: CT numbers are 0 and -1000 there and linear in between.

    Raises
    ------
    UnusableReconstruction
        When water does not attenuate more than air.
    """

    water_per_mm: float = WATER_PER_MM
    air_per_mm: float = 0.0

    def __post_init__(self) -> None:
        if not math.isfinite(self.water_per_mm + self.air_per_mm) or self.water_per_mm <= self.air_per_mm:
            raise UnusableReconstruction(
                f"water of {self.water_per_mm:g} /mm and air of {self.air_per_mm:g} /mm are no calibration"
            )

    def hounsfield(self, attenuation: npt.ArrayLike) -> Float32:
        """CT numbers of attenuation in 1/mm, HU."""
        values = np.asarray(attenuation, dtype=np.float32)
        scale = np.float32(1000.0 / (self.water_per_mm - self.air_per_mm))
        return np.asarray((values - np.float32(self.water_per_mm)) * scale, dtype=np.float32)


@dataclass(frozen=True, slots=True)
class WaterScan:
    """What a scan of a water cylinder showed.

    Attributes
    ----------
    calibration : HounsfieldCalibration
        The middle of the cylinder is 0 HU, what surrounds it -1000 HU.
    cupping_hu : float
        How much the outer third of the cylinder's radius lies above the middle.
    noise_hu : float
        Standard deviation in the middle.
    """

    calibration: HounsfieldCalibration
    cupping_hu: float
    noise_hu: float


def water_scan(
    attenuation: Float32, grid: ReconstructionGrid, radius_mm: float, *, axis_mm: tuple[float, float] = (0.0, 0.0)
) -> WaterScan:
    """Calibrate CT numbers with a reconstructed water cylinder that lies along the rotation axis.

    Parameters
    ----------
    attenuation : ndarray, shape (slices, rows, columns)
        Reconstruction, 1/mm; its middle half of slices is used.
    grid : ReconstructionGrid
    radius_mm : float
    axis_mm : tuple of float
        X and Z of the cylinder's axis in the fixed frame.

    Raises
    ------
    UnusableWaterScan
        When too few voxels lie inside or around the cylinder, or when there is no water-like contrast.
    """
    slices = attenuation.shape[0]
    points = grid.points_mm()[0]
    distance = np.hypot(points[..., 0] - axis_mm[0], points[..., 2] - axis_mm[1])
    middle = attenuation[slices // 4 : max(slices - slices // 4, slices // 4 + 1)]
    inner, outer = distance < radius_mm / 3, (distance > radius_mm * 2 / 3) & (distance < radius_mm * 0.9)
    around = (distance > radius_mm * 1.1) & (distance < radius_mm * 1.3)
    if min(inner.sum(), outer.sum(), around.sum()) < 8:
        raise UnusableWaterScan(f"the grid has too few voxels within and around a cylinder of {radius_mm:g} mm radius")
    water, air = float(middle[:, inner].mean()), float(middle[:, around].mean())
    if not (math.isfinite(water) and math.isfinite(air)) or water <= 2 * abs(air):
        raise UnusableWaterScan(f"no water cylinder there: {water:g} /mm in the middle, {air:g} /mm around it")
    calibration = HounsfieldCalibration(water, air)
    scale = 1000.0 / (water - air)
    cupping = (float(middle[:, outer].mean()) - water) * scale
    if abs(cupping) > 1000.0 * MOST_CUPPING:
        raise UnusableWaterScan(f"the cylinder is not even: {cupping:.0f} HU from the middle outwards")
    return WaterScan(calibration, cupping, float(middle[:, inner].std()) * scale)
