"""What the virtual patient is made of: CT numbers to basis materials, and their attenuation by X-ray energy.

Everything is a mixture of two basis materials, water and cortical bone, given as densities in g/cm3. This is the
simulators' own model on purpose: it is polyenergetic and differs from the single-energy formula of the matcher.

Source: mass attenuation coefficients of the NIST X-ray mass attenuation tables (liquid water; bone, cortical
(ICRU-44); aluminium; caesium iodide), cm2/g.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from isoalign.geometry import Array

ENERGY_KEV = (20.0, 30.0, 40.0, 50.0, 60.0, 80.0, 100.0, 150.0)
WATER_CM2_G = (0.8096, 0.3756, 0.2683, 0.2269, 0.2059, 0.1837, 0.1707, 0.1505)
BONE_CM2_G = (4.001, 1.331, 0.6655, 0.4242, 0.3148, 0.2229, 0.1855, 0.1480)
ALUMINIUM_CM2_G = (3.441, 1.128, 0.5685, 0.3681, 0.2778, 0.2018, 0.1704, 0.1378)

REFERENCE_KEV = 60.0
"""Energy at which a solid of the scene states its attenuation."""

CODE_OF_ZERO_HU = 1024
GREATEST_CODE = 4095
LEAST_MATTER_HU = -950
BONE_FROM_HU = 120.0
CORTICAL_BONE_HU = 1550.0
CORTICAL_BONE_G_CM3 = 1.92
METAL_FROM_HU = 3050.0
METAL_AS_BONE_G_CM3 = 12.0


@dataclass(frozen=True, slots=True)
class Mixture:
    """Densities of the two basis materials, g/cm3. Negative for a hole in a solid drawn before."""

    water_g_cm3: float
    bone_g_cm3: float = 0.0

    def __neg__(self) -> Mixture:
        return Mixture(-self.water_g_cm3, -self.bone_g_cm3)

    def __sub__(self, other: Mixture) -> Mixture:
        return Mixture(self.water_g_cm3 - other.water_g_cm3, self.bone_g_cm3 - other.bone_g_cm3)


CARBON_FIBRE = Mixture(1.32)
"""Carbon-fibre laminate, 1.55 g/cm3, as the water density of the same attenuation near 60 keV."""

RIGID_FOAM = Mixture(0.06)


def metal(attenuation_per_mm: float) -> Mixture:
    """A dense material by its linear attenuation at 60 keV, 1/mm, as bone of the density that attenuates as much."""
    return Mixture(0.0, attenuation_per_mm * 10.0 / float(mass_attenuation(BONE_CM2_G, REFERENCE_KEV)))


def mass_attenuation(table_cm2_g: tuple[float, ...], energy_kev: npt.ArrayLike) -> Array:
    """Mass attenuation at 20 to 150 keV, cm2/g, by log-log interpolation between the tabulated energies."""
    energies = np.log(np.asarray(energy_kev, dtype=np.float64))
    return np.asarray(np.exp(np.interp(energies, np.log(ENERGY_KEV), np.log(table_cm2_g))))


def density_table() -> Array:
    """Basis densities for each voxel code (CT number + 1024, clipped to 0..4095), shape (4096, 2), g/cm3.

    Below -950 HU there is nothing; up to 120 HU water of density 1 + HU/1000; above, soft tissue is replaced by
    cortical bone in proportion, and beyond cortical bone the bone only gets denser. From 3050 HU on the scanner's
    scale is saturated and the voxel is metal, far denser than its CT number says.
    """
    hounsfield = np.arange(GREATEST_CODE + 1) - float(CODE_OF_ZERO_HU)
    soft = np.where(hounsfield > LEAST_MATTER_HU, np.maximum(1.0 + hounsfield / 1000.0, 0.0), 0.0)
    bone_part = np.maximum(hounsfield - BONE_FROM_HU, 0.0) / (CORTICAL_BONE_HU - BONE_FROM_HU)
    water = np.where(hounsfield > BONE_FROM_HU, (1.0 + BONE_FROM_HU / 1000.0) * np.maximum(1.0 - bone_part, 0.0), soft)
    bone = np.where(hounsfield >= METAL_FROM_HU, METAL_AS_BONE_G_CM3, CORTICAL_BONE_G_CM3 * bone_part)
    return np.stack([water, bone], axis=1)


def voxel_codes(hounsfield: npt.NDArray[np.int16]) -> npt.NDArray[np.uint16]:
    """CT numbers as indices into :func:`density_table`; padding values below -1024 HU become air."""
    return (np.clip(hounsfield, -CODE_OF_ZERO_HU, GREATEST_CODE - CODE_OF_ZERO_HU) + CODE_OF_ZERO_HU).astype(np.uint16)


@dataclass(frozen=True, slots=True)
class Spectrum:
    """A detected X-ray spectrum in a few energy bins.

    Attributes
    ----------
    weight : ndarray, shape (bins,)
        Part of the detected signal in each bin; the sum is 1.
    water_cm2_g, bone_cm2_g : ndarray, shape (bins,)
    output : float
        Detected signal for each mAs relative to 100 kV.
    """

    weight: Array
    water_cm2_g: Array
    bone_cm2_g: Array
    output: float


def detected_spectrum(tube_voltage_kv: float, filtration_mm_aluminium: float = 4.0, bins: int = 6) -> Spectrum:
    """Kramers' bremsstrahlung behind an aluminium filter, weighted with energy as an integrating detector does.

    A smooth stand-in without characteristic lines; good for 40 to 150 kV, and for the size of beam hardening, not for
    dosimetry.
    """
    reference, _ = _signal(100.0, filtration_mm_aluminium, bins)
    signal, energy_kev = _signal(tube_voltage_kv, filtration_mm_aluminium, bins)
    return Spectrum(
        signal / signal.sum(),
        mass_attenuation(WATER_CM2_G, energy_kev),
        mass_attenuation(BONE_CM2_G, energy_kev),
        float(signal.sum() / reference.sum()),
    )


def _signal(tube_voltage_kv: float, filtration_mm_aluminium: float, bins: int) -> tuple[Array, Array]:
    edges = np.linspace(25.0, tube_voltage_kv, bins + 1)
    energy_kev = 0.5 * (edges[1:] + edges[:-1])
    filtered = np.exp(-2.70 * 0.1 * filtration_mm_aluminium * mass_attenuation(ALUMINIUM_CM2_G, energy_kev))
    return (tube_voltage_kv / energy_kev - 1.0) * energy_kev * filtered * np.diff(edges), energy_kev
