"""Panel images: where shadows fall, what noise does, and that seeds bring images back."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt
import pytest

from isoalign.geometry import (
    DicomPatient,
    Fixed,
    PatientPosition,
    Pose,
    Representation,
    TableTop,
    TableTopPosition,
    fixed_from_table,
    planned_fixed_from_dicom,
    setup_error,
)
from isoalign.records import InvalidRecord, Technique
from isoalign.simulators.errors import UnknownImager, UnusableTechnique
from isoalign.simulators.panel_image import PanelPhysics, expose, panel_pattern
from isoalign.simulators.scene import ImagerTruth, Scene, SceneSphere, SceneVolume

TECHNIQUE = Technique(100.0, 100.0, 50.0)
SETUP = TableTopPosition(Representation.IEC_61217, 4.0, 700.0, -120.0, 1.0, -2.0, 5.0)
QUIET = PanelPhysics(
    focal_spot_blur_px=0.0,
    scintillator_blur_px=0.0,
    scatter_fraction=0.0,
    gain_shading=0.0,
    gain_spread=0.0,
    offset_counts=0.0,
    offset_spread_counts=0.0,
    electronic_noise_counts=0.0,
    dead_pixel_fraction=0.0,
    dead_segments=0,
)
SMALL = {
    "A": ImagerTruth(0.0, 1000.0, 1500.0, 160, 120, 2.5, (4.0, -7.0), 3.0),
    "B": ImagerTruth(90.0, 1000.0, 1500.0, 160, 120, 2.5),
}
FINE = {name: dataclasses.replace(one, rows=640, columns=480, pixel_mm=0.625) for name, one in SMALL.items()}


def scene_with(**changes: object) -> Scene:
    values: dict[str, object] = {"imagers": SMALL, "seed": 5, "couch_top": False, "fixed_table_position": SETUP}
    return Scene(**{**values, **changes})  # type: ignore[arg-type]


def darkest_px(image: npt.NDArray[np.uint16]) -> npt.NDArray[np.float64]:
    """Column and row of the middle of what is dark."""
    depth = np.maximum(-np.log(np.maximum(image.astype(float), 1.0) / np.median(image)) - 0.05, 0.0)
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]]
    return np.array([(columns * depth).sum(), (rows * depth).sum()]) / depth.sum()


@pytest.mark.parametrize("name", ["A", "B"])
@pytest.mark.parametrize("place", [(0, 0, 0), (40, 0, 0), (0, -60, 0), (0, 0, 35), (-25, 50, -30)])
def test_a_ball_on_the_table_casts_its_shadow_where_the_geometry_says(name: str, place: tuple[int, int, int]) -> None:
    on_table = fixed_from_table(SETUP).inverse().apply(place)
    scene = scene_with(spheres=(SceneSphere(on_table, 8.0, 0.05),))
    image = expose(scene, name, scene.fixed_pose(), TECHNIQUE, 1, physics=QUIET)
    assert darkest_px(image) == pytest.approx(scene.imager(name).geometry().project(place), abs=0.1)


@pytest.mark.parametrize("name", ["A", "B"])
@pytest.mark.parametrize("position", [PatientPosition.HFS, PatientPosition.FFP, PatientPosition.HFDL])
def test_a_voxel_of_the_ct_falls_where_the_poses_say(name: str, position: PatientPosition) -> None:
    hounsfield = np.full((21, 24, 27), -1000, dtype=np.int16)
    hounsfield[13:16, 3:6, 20:23] = 1500
    dicom_from_index = np.diag([3.0, 3.0, 4.0, 1.0])
    dicom_from_index[:3, 3] = (12.0, -200.0, 55.0)
    bright_mm = (dicom_from_index @ [21, 4, 14, 1])[:3]
    planned = planned_fixed_from_dicom(position, (dicom_from_index @ [13, 12, 10, 1])[:3])
    wrong = setup_error(5.0, -8.0, 6.0, 2.0, -1.5, 2.5)
    scene = scene_with(
        imagers=FINE,
        volume=SceneVolume(hounsfield, dicom_from_index),
        table_from_dicom=fixed_from_table(SETUP).inverse() @ wrong @ planned,
    )
    image = expose(scene, name, scene.fixed_pose(), TECHNIQUE, 1, physics=QUIET)
    truly_at = (wrong @ planned).apply(bright_mm)
    assert darkest_px(image) == pytest.approx(scene.imager(name).geometry().project(truly_at), abs=0.3)


def test_the_patient_moves_with_the_couch() -> None:
    scene = scene_with(spheres=(SceneSphere(fixed_from_table(SETUP).inverse().apply((0, 0, 0)), 8.0, 0.05),))
    moved = dataclasses.replace(SETUP, longitudinal_mm=SETUP.longitudinal_mm + 30.0)
    image = expose(scene, "B", fixed_from_table(moved), TECHNIQUE, 1, physics=QUIET)
    shift = fixed_from_table(moved).apply(fixed_from_table(SETUP).inverse().apply((0, 0, 0)))
    assert darkest_px(image) == pytest.approx(scene.imager("B").geometry().project(shift), abs=0.1)
    assert shift[1] > 29.0


def test_same_seeds_same_image_and_each_seed_matters() -> None:
    scene = scene_with()
    first = expose(scene, "A", scene.fixed_pose(), TECHNIQUE, 3)
    assert np.array_equal(first, expose(scene_with(), "A", scene.fixed_pose(), TECHNIQUE, 3))
    for other in (
        expose(scene, "A", scene.fixed_pose(), TECHNIQUE, 4),
        expose(scene, "B", scene.fixed_pose(), TECHNIQUE, 3),
        expose(scene_with(seed=6), "A", scene.fixed_pose(), TECHNIQUE, 3),
    ):
        assert not np.array_equal(first, other)


def test_the_fixed_pattern_stays_from_exposure_to_exposure() -> None:
    scene = scene_with()
    images = [expose(scene, "A", scene.fixed_pose(), TECHNIQUE, number).astype(float) for number in range(2)]
    other = expose(scene, "B", scene.fixed_pose(), TECHNIQUE, 0).astype(float)

    def likeness(one: npt.NDArray[np.float64], two: npt.NDArray[np.float64]) -> float:
        good = (np.minimum(one, two) > 20_000) & (np.maximum(one, two) < 65_000)
        return float(np.corrcoef(one[good], two[good])[0, 1])

    assert likeness(images[0], images[1]) > 0.9
    assert abs(likeness(images[0], other)) < 0.6


def test_quantum_noise_is_poisson() -> None:
    # without blur and pattern: variance of the counts = gain * mean
    physics = dataclasses.replace(QUIET, photons_per_mas=400.0)
    scene = scene_with(imagers={"A": ImagerTruth(0.0, rows=400, columns=400, pixel_mm=0.5)})
    image = expose(scene, "A", scene.fixed_pose(), TECHNIQUE, 1, physics=physics).astype(float)
    assert image.mean() == pytest.approx(400.0 * 5.0 * physics.counts_per_photon, rel=0.002)
    rounding = 1.0 / 12.0
    assert (image.var() - rounding) / image.mean() == pytest.approx(physics.counts_per_photon, rel=0.03)


def test_electronic_noise_and_offset_without_radiation() -> None:
    physics = dataclasses.replace(QUIET, offset_counts=180.0, electronic_noise_counts=3.0, photons_per_mas=1e-6)
    scene = scene_with(imagers={"A": ImagerTruth(0.0, rows=300, columns=300, pixel_mm=0.5)})
    image = expose(scene, "A", scene.fixed_pose(), TECHNIQUE, 1, physics=physics).astype(float)
    assert image.mean() == pytest.approx(180.0, abs=0.05)
    assert image.std() == pytest.approx(np.sqrt(9.0 + 1.0 / 12.0), rel=0.02)


def test_counts_follow_the_charge_and_saturate() -> None:
    scene = scene_with()
    full, half = (
        expose(scene, "A", scene.fixed_pose(), Technique(100.0, current, 50.0), 1, physics=QUIET).mean()
        for current in (100.0, 50.0)
    )
    assert full / half == pytest.approx(2.0, rel=0.005)
    too_much = expose(scene, "A", scene.fixed_pose(), Technique(100.0, 400.0, 50.0), 1, physics=QUIET)
    assert too_much.min() == too_much.max() == 65535


def test_scatter_fills_the_shadow_smoothly() -> None:
    on_table = fixed_from_table(SETUP).inverse().apply((0, 0, 0))
    scene = scene_with(spheres=(SceneSphere(on_table, 60.0, 0.02),))
    with_scatter = dataclasses.replace(QUIET, scatter_fraction=0.12, photons_per_mas=60_000.0)
    dark = expose(scene, "A", scene.fixed_pose(), TECHNIQUE, 1, physics=QUIET).astype(float)
    filled = expose(scene, "A", scene.fixed_pose(), TECHNIQUE, 1, physics=with_scatter).astype(float)
    background = (filled - dark)[5:-5, 5:-5]
    middle = background[70:90, 50:70].mean()
    assert 0.02 < middle / dark[70:90, 50:70].mean() < 1.0
    smooth = background.reshape(15, 10, 11, 10).mean(axis=(1, 3))
    assert np.abs(np.diff(smooth, axis=0)).max() < 0.2 * smooth.max()


def test_dead_pixels_and_a_dead_segment() -> None:
    physics = PanelPhysics(dead_pixel_fraction=1e-3)
    pattern = panel_pattern(3, "A", 500, 400, physics)
    dead = pattern.stuck_counts >= 0
    edges = [np.flatnonzero(np.diff(np.pad(column.astype(int), 1))).reshape(-1, 2) for column in dead.T]
    longest = max(int(np.diff(column, axis=1).max(initial=0)) for column in edges)
    assert 200 <= dead.sum() <= 200 + 160
    assert 40 <= longest <= 170
    assert set(np.unique(pattern.stuck_counts[dead])) == {0, 65535}
    scene = scene_with(imagers={"A": ImagerTruth(0.0, rows=500, columns=400, pixel_mm=0.8)}, seed=3)
    image = expose(scene, "A", scene.fixed_pose(), TECHNIQUE, 1, physics=physics)
    assert np.array_equal(image[dead], pattern.stuck_counts[dead])


def test_gain_stays_within_its_limits() -> None:
    pattern = panel_pattern(1, "A", 256, 192, PanelPhysics(gain_spread=0.0))
    assert 0.969 < pattern.gain.min() < 0.985
    assert 1.015 < pattern.gain.max() < 1.031


@pytest.mark.parametrize(
    "technique", [(20.0, 100.0, 50.0), (200.0, 100.0, 50.0), (100.0, 0.0, 50.0), (100.0, 1.0, -1.0)]
)
def test_techniques_that_no_tube_can_give(technique: tuple[float, float, float]) -> None:
    scene = scene_with()
    with pytest.raises(UnusableTechnique, match="kV"):
        expose(scene, "A", scene.fixed_pose(), Technique(*technique), 1)


def test_physics_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(InvalidRecord, match="gain_spread"):
        PanelPhysics(gain_spread=-0.1)


def test_progress_and_unknown_imager() -> None:
    told: list[float] = []
    scene = scene_with(
        volume=SceneVolume(np.zeros((4, 4, 4), dtype=np.int16), np.eye(4)),
        table_from_dicom=Pose.identity(TableTop, DicomPatient),
    )
    expose(scene, "A", scene.fixed_pose(), TECHNIQUE, 1, told.append)
    assert told[-1] == 1.0
    with pytest.raises(UnknownImager):
        expose(scene, "Z", Pose.identity(Fixed, TableTop), TECHNIQUE, 1)
