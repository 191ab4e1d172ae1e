"""Regions, maximum projections, bone weighting and beam qualities."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from isoalign.geometry import PatientPosition, ProjectionGeometry, planned_fixed_from_dicom
from isoalign.imaging import (
    UnusableBeam,
    UnusableRegion,
    attenuation_volume,
    beam_quality,
    bone_weighted,
    hardened,
    region_of_interest,
    render_drr,
    render_maximum,
)
from isoalign.imaging.attenuation import BONE_FACTOR, WATER_PER_MM
from isoalign.records import Volume

POSE = planned_fixed_from_dicom(PatientPosition.HFS, (0.0, 0.0, 0.0))
NIST_WATER_CM2_PER_G = {40.0: 0.2683, 60.0: 0.2059, 80.0: 0.1837, 100.0: 0.1707}


def block(inner_hu: float) -> Volume:
    """A cube of water, 80 mm wide, around a smaller cube (40 mm) of something else."""
    hounsfield = np.full((44, 44, 44), -1000.0, np.float32)
    hounsfield[2:-2, 2:-2, 2:-2] = 0.0
    hounsfield[12:-12, 12:-12, 12:-12] = inner_hu
    return Volume(hounsfield, np.full(3, -43.0), np.full(3, 2.0), np.eye(3), "1", PatientPosition.HFS)


def test_a_region_is_a_part_of_the_whole_image(imager: Callable[..., ProjectionGeometry]) -> None:
    attenuation = attenuation_volume(block(500.0))
    for angle in (0.0, 70.0):
        whole = imager(angle, rows=40, columns=36, pixel_mm=4.0)
        part = render_drr(attenuation, region_of_interest(whole, 7, 11, 20, 9), POSE)
        np.testing.assert_allclose(part, render_drr(attenuation, whole, POSE)[7:27, 11:20], atol=1e-5)
    for wrong in ((-1, 0, 2, 2), (0, 0, 41, 2), (0, 35, 2, 2), (0, 0, 0, 2)):
        with pytest.raises(UnusableRegion):
            region_of_interest(whole, *wrong)


@pytest.mark.parametrize("angle", [0.0, 90.0, 200.0])
def test_a_maximum_shows_the_densest_thing(imager: Callable[..., ProjectionGeometry], angle: float) -> None:
    geometry = imager(angle, rows=40, columns=36, pixel_mm=4.0)
    found = render_maximum(attenuation_volume(block(1000.0)), geometry, POSE)
    bone, water = WATER_PER_MM * (1 + BONE_FACTOR), WATER_PER_MM
    column, row = geometry.project(np.zeros(3))
    assert found[round(row), round(column)] == pytest.approx(bone, rel=1e-5)
    beside = geometry.project(POSE.apply([0.0, 0.0, 30.0]))
    assert found[round(beside[1]), round(beside[0])] == pytest.approx(water, rel=1e-5)
    assert found.max() == pytest.approx(bone, rel=1e-5)
    assert not found[0].any()


def test_bone_weighting_thins_soft_tissue_only(imager: Callable[..., ProjectionGeometry]) -> None:
    geometry = imager(0.0, rows=40, columns=36, pixel_mm=4.0)
    column, row = (round(float(value)) for value in geometry.project(np.zeros(3)))
    water = render_drr(attenuation_volume(block(0.0)), geometry, POSE)[row, column]
    thinned = render_drr(attenuation_volume(bone_weighted(block(0.0), soft_share=0.25)), geometry, POSE)[row, column]
    assert thinned == pytest.approx(0.25 * water, rel=1e-3)
    bone = render_drr(attenuation_volume(block(1000.0)), geometry, POSE)[row, column]
    weighted = render_drr(attenuation_volume(bone_weighted(block(1000.0), soft_share=0.25)), geometry, POSE)
    # half of the way is water, the other half bone; on their border the share rises within a voxel
    assert weighted[row, column] == pytest.approx(bone - 0.75 * water / 2, rel=0.03)
    for share, low, high in ((0.0, 100.0, 300.0), (1.5, 100.0, 300.0), (0.5, 300.0, 300.0)):
        with pytest.raises(UnusableBeam):
            bone_weighted(block(0.0), soft_share=share, soft_below_hu=low, bone_above_hu=high)


@pytest.mark.parametrize("energy", NIST_WATER_CM2_PER_G)
def test_water_attenuates_as_the_tables_say(imager: Callable[..., ProjectionGeometry], energy: float) -> None:
    beam = beam_quality(energy)
    assert beam.water_per_mm == pytest.approx(NIST_WATER_CM2_PER_G[energy] / 10, rel=1e-6)
    geometry = imager(0.0, rows=40, columns=36, pixel_mm=4.0)
    column, row = (round(float(value)) for value in geometry.project(np.zeros(3)))
    centre = geometry.pixel_centres_mm()[row, column] - geometry.source_mm
    path = 80.0 * float(np.linalg.norm(centre)) / abs(float(centre[2]))
    found = render_drr(attenuation_volume(block(0.0), beam), geometry, POSE)[row, column]
    assert found == pytest.approx(NIST_WATER_CM2_PER_G[energy] / 10 * path, rel=1e-4)


def test_the_nominal_beam_is_60_kev() -> None:
    assert beam_quality(60.0).water_per_mm == pytest.approx(WATER_PER_MM)
    assert beam_quality(60.0).bone_factor == pytest.approx(BONE_FACTOR, abs=0.01)
    assert beam_quality(70.0).bone_factor == pytest.approx(1.0)
    for energy in (39.0, 151.0, math.nan):
        with pytest.raises(UnusableBeam, match="beyond"):
            beam_quality(energy)


def test_a_spectrum_hardens() -> None:
    thickness_cm = np.array([0.0, 5.0, 20.0])
    integrals = 0.2059 * thickness_cm
    assert hardened(integrals, 60.0, [60.0], [3.0]) == pytest.approx(integrals, rel=1e-6)
    expected = -np.log(0.25 * np.exp(-0.2683 * thickness_cm) + 0.75 * np.exp(-0.1837 * thickness_cm))
    np.testing.assert_allclose(hardened(integrals, 60.0, [40.0, 80.0], [1.0, 3.0]), expected, rtol=1e-5)
    for energies, weights in (([60.0], []), ([60.0], [-1.0]), ([60.0], [0.0]), ([60.0], [math.nan]), ([20.0], [1.0])):
        with pytest.raises(UnusableBeam):
            hardened(integrals, 60.0, energies, weights)
