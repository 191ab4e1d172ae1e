"""Basis materials: figures typed from the NIST tables, and what beam hardening must do."""

from __future__ import annotations

import numpy as np
import pytest

from isoalign.simulators.materials import (
    BONE_CM2_G,
    WATER_CM2_G,
    density_table,
    detected_spectrum,
    mass_attenuation,
    metal,
    voxel_codes,
)


def densities_at(hounsfield: float) -> np.ndarray:
    return density_table()[voxel_codes(np.array([hounsfield], dtype=np.int16))[0]]


def test_table_values_and_between() -> None:
    assert mass_attenuation(WATER_CM2_G, 60.0) == pytest.approx(0.2059)
    assert mass_attenuation(BONE_CM2_G, 80.0) == pytest.approx(0.2229)
    assert 0.1837 < mass_attenuation(WATER_CM2_G, 70.0) < 0.2059


@pytest.mark.parametrize(
    ("hounsfield", "water", "bone"),
    [(-1000, 0.0, 0.0), (-2048, 0.0, 0.0), (-960, 0.0, 0.0), (0, 1.0, 0.0), (-100, 0.9, 0.0), (1550, 0.0, 1.92)],
)
def test_densities_of_known_ct_numbers(hounsfield: int, water: float, bone: float) -> None:
    assert densities_at(hounsfield) == pytest.approx([water, bone], abs=1e-9)


def test_attenuation_never_falls_with_the_ct_number() -> None:
    table = density_table()
    attenuation = table @ [0.2059, 0.3148]
    assert (np.diff(attenuation) >= -1e-12).all()
    assert (table >= 0).all()


def test_saturated_voxels_are_metal() -> None:
    assert densities_at(3071)[1] > 2 * densities_at(3000)[1]


def test_metal_attenuates_as_told_at_60_kev() -> None:
    assert metal(0.95).bone_g_cm3 * 0.3148 / 10 == pytest.approx(0.95)


def test_spectrum_is_normalised_and_output_grows_with_voltage() -> None:
    for kv in (60.0, 80.0, 100.0, 120.0):
        assert detected_spectrum(kv).weight.sum() == pytest.approx(1.0)
    outputs = [detected_spectrum(kv).output for kv in (60.0, 80.0, 100.0, 120.0)]
    assert outputs == sorted(outputs)
    assert detected_spectrum(100.0).output == pytest.approx(1.0)


def test_beam_hardening_is_small_and_has_the_right_sign() -> None:
    spectrum = detected_spectrum(100.0)
    depth = np.array([1.0, 5.0, 10.0, 20.0])
    transmission = np.exp(-np.outer(depth, spectrum.water_cm2_g)) @ spectrum.weight
    effective = -np.log(transmission) / depth
    assert (np.diff(effective) < 0).all()
    assert 0.02 < 1 - effective[-1] / effective[0] < 0.25
