"""Beam qualities: how water and bone attenuate at an energy, and what a spectrum makes of thick objects.

Source: NIST XCOM tables of mass attenuation, water and cortical bone (ICRU-44, 1.92 g/cm3), interpolated in logarithms
between the table's energies. CT numbers are taken to be made at 70 keV.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from isoalign.imaging.errors import UnusableBeam
from isoalign.records import Volume

Float32 = npt.NDArray[np.float32]

CT_ENERGY_KEV: Final = 70.0
BONE_DENSITY: Final = 1.92
_ENERGY_KEV: Final = (40.0, 50.0, 60.0, 80.0, 100.0, 150.0)
_WATER_CM2_PER_G: Final = (0.2683, 0.2269, 0.2059, 0.1837, 0.1707, 0.1505)
_BONE_CM2_PER_G: Final = (0.6655, 0.4242, 0.3148, 0.2229, 0.1855, 0.1480)


@dataclass(frozen=True, slots=True)
class BeamQuality:
    """Attenuation at one effective energy.

    Attributes
    ----------
    energy_kev : float
    water_per_mm : float
        Linear attenuation of water, 1/mm.
    bone_factor : float
        By how much CT numbers above zero count more (or less) than at the energy of the CT.
    """

    energy_kev: float
    water_per_mm: float
    bone_factor: float


def _at(energy_kev: float, table: tuple[float, ...]) -> float:
    if not _ENERGY_KEV[0] <= energy_kev <= _ENERGY_KEV[-1]:
        raise UnusableBeam(f"{energy_kev:g} keV is beyond the tables, {_ENERGY_KEV[0]:g} to {_ENERGY_KEV[-1]:g} keV")
    return float(np.exp(np.interp(math.log(energy_kev), np.log(_ENERGY_KEV), np.log(table))))


def beam_quality(energy_kev: float) -> BeamQuality:
    """The beam quality of an effective energy of 40 to 150 keV.

    Raises
    ------
    UnusableBeam
    """

    def excess(energy: float) -> float:
        return BONE_DENSITY * _at(energy, _BONE_CM2_PER_G) / _at(energy, _WATER_CM2_PER_G) - 1.0

    water = _at(energy_kev, _WATER_CM2_PER_G) / 10.0
    return BeamQuality(energy_kev, water, excess(energy_kev) / excess(CT_ENERGY_KEV))


def hardened(
    line_integrals: npt.ArrayLike, energy_kev: float, spectrum_kev: Sequence[float], weights: Sequence[float]
) -> Float32:
    """What a detector would measure with a spectrum, for objects like water.

    Parameters
    ----------
    line_integrals : array_like
        For one effective energy, ``energy_kev``.
    energy_kev : float
    spectrum_kev : sequence of float
        Energies of the spectrum, 40 to 150 keV.
    weights : sequence of float
        Detected signal of the open beam at each of them, in any unit.

    Returns
    -------
    ndarray, float32
        -log of the weighted mean of the transmissions through as much water.

    Raises
    ------
    UnusableBeam
    """
    parts = np.asarray(weights, dtype=np.float64)
    if parts.shape != (len(spectrum_kev),) or not (parts >= 0).all() or not 0 < parts.sum() < math.inf:
        raise UnusableBeam(f"{len(spectrum_kev)} energies with the weights {parts.tolist()} are no spectrum")
    water = _at(energy_kev, _WATER_CM2_PER_G)
    values = np.asarray(line_integrals, dtype=np.float64)
    transmission = sum(
        part * np.exp(-values * (_at(energy, _WATER_CM2_PER_G) / water))
        for part, energy in zip(parts / parts.sum(), spectrum_kev, strict=True)
    )
    return np.asarray(-np.log(transmission), dtype=np.float32)


def bone_weighted(
    volume: Volume, *, soft_share: float = 0.2, soft_below_hu: float = 100.0, bone_above_hu: float = 300.0
) -> Volume:
    """The CT with soft tissue thinned to a share of its attenuation, so that projections show mostly bone.

    Parameters
    ----------
    volume : Volume
    soft_share : float
        Part of the attenuation that soft tissue keeps, 0.1 to 1.
    soft_below_hu, bone_above_hu : float
        Between them the share rises linearly to 1.

    Raises
    ------
    UnusableBeam
    """
    if not 0.1 <= soft_share <= 1.0 or not soft_below_hu < bone_above_hu:
        raise UnusableBeam(
            f"no bone weighting: share {soft_share:g} between {soft_below_hu:g} and {bone_above_hu:g} HU",
            hint="The share of soft tissue is 0.1 to 1, and its limit lies below that of bone.",
        )
    values = volume.hounsfield.astype(np.float32)
    share = np.interp(values, (soft_below_hu, bone_above_hu), (soft_share, 1.0)).astype(np.float32)
    weighted = np.where(values < -950.0, values, share * (values + 1000.0) - 1000.0).astype(np.float32)
    weighted.setflags(write=False)
    return Volume(
        weighted,
        volume.origin_mm,
        volume.spacing_mm,
        volume.axes,
        volume.frame_of_reference_uid,
        volume.patient_position,
        volume.series_instance_uid,
        volume.sop_instance_uids,
    )
