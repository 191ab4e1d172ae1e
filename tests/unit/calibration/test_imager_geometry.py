"""The fit of one imager: every sign and quadrant, too little input, and a gross outlier."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest

from isoalign.calibration import (
    SurveyedDistance,
    TooManyOutliers,
    Underdetermined,
    built_in_phantom,
    direct_linear_transformation,
    fit_imager_geometry,
    geometry_of_matrix,
    nearest_axis,
)
from isoalign.geometry import Fixed, ImagerAxis, PixelGrid, Pose, ProjectionGeometry, XrayImageReceptor, rotation_x

GRID = PixelGrid.centred(1024, 768, 0.388)
BALLS = built_in_phantom().centres_mm
SURVEYED = SurveyedDistance(1000.0, 0.5)
WORKSPACE = np.stack(np.meshgrid([-80, 0, 80], [-100, 0, 100], [-80, 0, 80]), -1).reshape(-1, 3).astype(float)


def noisy(geometry: ProjectionGeometry, noise_px: float, seed: int = 0) -> npt.NDArray[np.float64]:
    shadows = geometry.project(BALLS)
    return shadows + np.random.default_rng(seed).normal(0.0, noise_px, shadows.shape)


def by_hand(axis: ImagerAxis, point: tuple[float, float, float]) -> tuple[float, float]:
    """Column and row from similar triangles, written out."""
    g, t = math.radians(axis.gantry_angle_deg), math.radians(axis.receptor_angle_deg)
    xg, zg = math.cos(g) * point[0] - math.sin(g) * point[2], math.sin(g) * point[0] + math.cos(g) * point[2]
    scale = axis.sid_mm / (axis.sad_mm - zg)
    x, y = xg * scale - axis.receptor_translation_mm[0], point[1] * scale - axis.receptor_translation_mm[1]
    xr, yr = math.cos(t) * x + math.sin(t) * y, -math.sin(t) * x + math.cos(t) * y
    return xr / 0.388 + 383.5, 511.5 - yr / 0.388


@pytest.mark.parametrize("gantry_deg", [0.0, 45.0, 90.0, 135.0, 180.0, 225.0, 270.0, 315.0])
@pytest.mark.parametrize("signs", [(1, 1, 1), (-1, 1, -1), (1, -1, -1), (-1, -1, 1)])
def test_every_quadrant_and_sign(gantry_deg: float, signs: tuple[int, int, int]) -> None:
    truth = ImagerAxis(gantry_deg + 0.4 * signs[0], 1000.0, 1497.0, (3.0 * signs[1], -5.0 * signs[2]), 0.9 * signs[2])
    shadows = np.array([by_hand(truth, tuple(ball)) for ball in BALLS])
    fit = fit_imager_geometry(BALLS, shadows, GRID, SURVEYED)
    found = nearest_axis(fit.geometry)
    assert math.remainder(found.gantry_angle_deg - truth.gantry_angle_deg, 360.0) == pytest.approx(0.0, abs=1e-5)
    assert found.sad_mm == pytest.approx(1000.0, abs=1e-3)
    assert found.sid_mm == pytest.approx(1497.0, abs=2e-3)
    assert found.receptor_translation_mm == pytest.approx(truth.receptor_translation_mm, abs=1e-4)
    assert found.receptor_angle_deg == pytest.approx(truth.receptor_angle_deg, abs=1e-5)
    assert fit.rms_px < 1e-5


@pytest.mark.parametrize("tilt_deg", [-2.0, 1.5])
def test_a_receptor_tilted_out_of_its_plane(tilt_deg: float) -> None:
    straight = ProjectionGeometry.from_axis(ImagerAxis(90.0, 1000.0, 1500.0), GRID)
    pose = straight.fixed_from_receptor
    tilted = Pose(Fixed, XrayImageReceptor, pose.rotation @ rotation_x(tilt_deg), pose.translation_mm)
    truth = ProjectionGeometry(straight.source_mm, tilted, GRID)
    fit = fit_imager_geometry(BALLS, truth.project(BALLS), GRID, SURVEYED)
    assert fit.geometry.project(WORKSPACE) == pytest.approx(truth.project(WORKSPACE), abs=1e-4)
    assert fit.geometry.fixed_from_receptor.rotation == pytest.approx(tilted.rotation, abs=1e-6)


def test_direct_linear_transformation_is_the_projection_matrix() -> None:
    truth = ProjectionGeometry.from_axis(ImagerAxis(33.0, 1000.0, 1500.0, (4.0, -6.0), 2.0), GRID)
    matrix = direct_linear_transformation(BALLS, truth.project(BALLS))
    exact = truth.projection_matrix()
    scale = np.linalg.norm(exact[2, :3])
    assert min(np.abs(matrix - exact / scale).max(), np.abs(matrix + exact / scale).max()) < 1e-6
    for signed in (matrix, -matrix):
        found = geometry_of_matrix(signed, GRID)
        assert found.source_mm == pytest.approx(truth.source_mm, abs=1e-4)
        assert found.project(WORKSPACE) == pytest.approx(truth.project(WORKSPACE), abs=1e-5)


def test_noise_gives_the_errors_that_the_covariance_promises() -> None:
    truth = ProjectionGeometry.from_axis(ImagerAxis(0.3, 1000.0, 1500.0, (2.0, 1.0), 0.2), GRID)
    pulls = []
    for seed in range(25):
        fit = fit_imager_geometry(BALLS, noisy(truth, 0.1, seed), GRID, SURVEYED)
        found = np.concatenate([fit.geometry.source_mm[:2], fit.geometry.fixed_from_receptor.translation_mm[:2]])
        expected = np.concatenate([truth.source_mm[:2], truth.fixed_from_receptor.translation_mm[:2]])
        pulls.append((found - expected) / np.sqrt(np.diag(fit.covariance))[[0, 1, 6, 7]])
        assert 0.05 < fit.rms_px < 0.15
    assert 0.75 < np.std(pulls) < 1.3


def test_a_gross_outlier_is_found_and_left_out() -> None:
    truth = ProjectionGeometry.from_axis(ImagerAxis(90.2, 1000.0, 1500.0, (-3.0, 2.0), 0.5), GRID)
    shadows = noisy(truth, 0.05)
    shadows[17] += (3.0, -2.0)
    fit = fit_imager_geometry(BALLS, shadows, GRID, SURVEYED)
    assert fit.outliers == (17,)
    assert 17 not in fit.balls
    assert fit.geometry.project(WORKSPACE) == pytest.approx(truth.project(WORKSPACE), abs=0.2)


def test_names_of_balls_are_kept() -> None:
    truth = ProjectionGeometry.from_axis(ImagerAxis(0.0, 1000.0, 1500.0), GRID)
    names = np.arange(100, 124)
    shadows = noisy(truth, 0.02)
    shadows[3] += 40.0
    fit = fit_imager_geometry(BALLS, shadows, GRID, SURVEYED, balls=names)
    assert fit.outliers == (103,)
    assert fit.balls.tolist() == [name for name in names if name != 103]


def test_many_outliers_are_refused() -> None:
    truth = ProjectionGeometry.from_axis(ImagerAxis(0.0, 1000.0, 1500.0), GRID)
    shadows = noisy(truth, 0.05)
    shadows[:8] += np.random.default_rng(3).uniform(10, 30, (8, 2))
    with pytest.raises(TooManyOutliers):
        fit_imager_geometry(BALLS, shadows, GRID, SURVEYED)


@pytest.mark.parametrize(
    ("points", "named"),
    [
        (BALLS[:5], "5 balls"),
        (BALLS[:7], "at least 8"),
        (BALLS * (1.0, 1.0, 0.0), "one plane"),
        (BALLS * (0.0, 1.0, 0.0), "one plane or on one line"),
    ],
)
def test_too_little_input_is_refused(points: npt.NDArray[np.float64], named: str) -> None:
    truth = ProjectionGeometry.from_axis(ImagerAxis(0.0, 1000.0, 1500.0), GRID)
    with pytest.raises(Underdetermined, match=named):
        fit_imager_geometry(points, truth.project(points), GRID, SURVEYED)


def test_pixels_that_are_not_square_and_bad_surveys_are_refused() -> None:
    oblong = PixelGrid(1024, 768, 0.388, 0.4, (0.0, 0.0))
    with pytest.raises(Underdetermined, match="square"):
        fit_imager_geometry(BALLS, BALLS[:, :2], oblong, SURVEYED)
    with pytest.raises(Underdetermined, match="positive"):
        SurveyedDistance(1000.0, 0.0)


def test_the_survey_holds_what_the_shadows_leave_open() -> None:
    truth = ProjectionGeometry.from_axis(ImagerAxis(0.0, 1000.0, 1500.0), GRID)
    loose = SurveyedDistance(1000.0, 100.0)
    errors = {
        name: [
            np.linalg.norm(fit_imager_geometry(BALLS, noisy(truth, 0.3, seed), GRID, survey).geometry.source_mm) - 1000
            for seed in range(8)
        ]
        for name, survey in (("held", SURVEYED), ("loose", loose))
    }
    assert np.std(errors["held"]) < 0.5 * np.std(errors["loose"])
