"""Images of ball shadows drawn by supersampling, from the definition of a sphere."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from isoalign.calibration import BallPhantom
from isoalign.geometry import PixelGrid, ProjectionGeometry

Drawing = Callable[..., npt.NDArray[np.uint16]]


def draw_shadows(
    geometry: ProjectionGeometry,
    phantom: BallPhantom,
    *,
    mu_per_mm: float = 0.9,
    noise: float = 0.01,
    seed: int = 1,
    air: float = 40_000.0,
    extra: npt.NDArray[np.float64] | None = None,
) -> npt.NDArray[np.uint16]:
    """What a perfect panel with a little noise would see of steel balls, each pixel the mean of 16 rays."""
    over = 4
    grid = geometry.grid
    fine = PixelGrid(
        grid.rows * over,
        grid.columns * over,
        grid.row_spacing_mm / over,
        grid.column_spacing_mm / over,
        (
            grid.first_pixel_mm[0] - (over - 1) / 2 * grid.column_spacing_mm / over,
            grid.first_pixel_mm[1] + (over - 1) / 2 * grid.row_spacing_mm / over,
        ),
    )
    path = np.zeros((fine.rows, fine.columns))
    for centre in phantom.centres_mm:
        column, row = geometry.with_grid(fine).project(centre)
        reach = round(4 * phantom.radius_mm * 2 / fine.column_spacing_mm)
        rows = slice(max(0, round(row) - reach), min(fine.rows, round(row) + reach))
        columns = slice(max(0, round(column) - reach), min(fine.columns, round(column) + reach))
        if rows.start >= rows.stop or columns.start >= columns.stop:
            continue
        v, u = np.mgrid[rows, columns]
        way = geometry.fixed_from_receptor.apply(fine.receptor_points_mm(np.stack([u, v], -1))) - geometry.source_mm
        way /= np.linalg.norm(way, axis=-1, keepdims=True)
        off = np.linalg.norm(np.cross(way, centre - geometry.source_mm), axis=-1)
        path[rows, columns] += 2 * np.sqrt(np.maximum(phantom.radius_mm**2 - off**2, 0.0))
    signal = np.exp(-mu_per_mm * path).reshape(grid.rows, over, grid.columns, over).mean(axis=(1, 3)) * air
    if extra is not None:
        signal = signal * np.exp(-extra)
    signal *= 1.0 + noise * np.random.default_rng(seed).standard_normal(signal.shape)
    return np.clip(np.rint(signal), 0, 65535).astype(np.uint16)


@pytest.fixture
def draw() -> Drawing:
    return draw_shadows
