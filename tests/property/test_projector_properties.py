"""Invariants of the projector that no choice of volume, pose or imager may break."""

from __future__ import annotations

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from isoalign.geometry import (
    Fixed,
    ImagerAxis,
    PatientPosition,
    PixelGrid,
    Pose,
    ProjectionGeometry,
    planned_fixed_from_dicom,
    setup_error,
)
from isoalign.imaging import AttenuationGrid, project_grid, project_grid_with_derivatives

small = st.floats(-25.0, 25.0)
turn = st.floats(-20.0, 20.0)
motions = st.builds(setup_error, small, small, small, turn, turn, turn)
angles = st.floats(0.0, 360.0)
seeds = st.integers(0, 1000)
quickly = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def grid_of(seed: int, factor: float = 1.0) -> AttenuationGrid:
    values = np.zeros((16, 18, 20), np.float32)
    values[2:-2, 2:-2, 2:-2] = factor * np.random.default_rng(seed).uniform(0.0, 0.04, (12, 14, 16))
    dicom_from_index = np.diag([4.0, 5.0, 6.0, 1.0])
    dicom_from_index[:3, 3] = (-40.0, -45.0, -48.0)
    return AttenuationGrid(values, dicom_from_index, ())


def imager(angle: float) -> ProjectionGeometry:
    return ProjectionGeometry.from_axis(ImagerAxis(angle, 1000.0, 1500.0), PixelGrid.centred(13, 11, 12.0))


def carried(geometry: ProjectionGeometry, motion: Pose[Fixed, Fixed]) -> ProjectionGeometry:
    return ProjectionGeometry(
        motion.apply(geometry.source_mm), motion @ geometry.fixed_from_receptor, geometry.grid, geometry.axis
    )


PLANNED = planned_fixed_from_dicom(PatientPosition.HFS, (1.0, 2.0, 3.0))


@quickly
@given(seeds, angles, motions)
def test_patient_and_imager_moved_together_see_the_same(seed: int, angle: float, motion: Pose[Fixed, Fixed]) -> None:
    here = project_grid(grid_of(seed), imager(angle), PLANNED)
    there = project_grid(grid_of(seed), carried(imager(angle), motion), motion @ PLANNED)
    np.testing.assert_allclose(there, here, atol=2e-4)


@quickly
@given(seeds, angles, motions, st.floats(0.1, 10.0))
def test_line_integrals_are_linear_and_never_negative(
    seed: int, angle: float, motion: Pose[Fixed, Fixed], factor: float
) -> None:
    once = project_grid(grid_of(seed), imager(angle), motion @ PLANNED)
    assert (once >= 0).all()
    scaled = project_grid(grid_of(seed, factor), imager(angle), motion @ PLANNED)
    np.testing.assert_allclose(scaled, factor * once, rtol=1e-4, atol=1e-5)


@quickly
@given(seeds, angles, motions)
def test_moving_along_the_line_of_sight_changes_least(seed: int, angle: float, motion: Pose[Fixed, Fixed]) -> None:
    """A parallel beam would see nothing of it; the cone of 4 degrees shows less than a tenth of a move across."""
    geometry = imager(angle)
    _, derivatives = project_grid_with_derivatives(grid_of(seed), geometry, motion @ PLANNED)
    flat = derivatives[:3].reshape(3, -1).astype(np.float64)
    sight = geometry.source_mm / 1000.0
    across = geometry.fixed_from_receptor.rotation[:, 0]
    assert np.linalg.norm(sight @ flat) < 0.1 * np.linalg.norm(across @ flat)
