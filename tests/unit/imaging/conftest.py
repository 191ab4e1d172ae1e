"""Small volumes, imagers, and an oracle for line integrals that shares nothing with the kernels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from scipy.ndimage import map_coordinates

from isoalign.geometry import (
    DicomPatient,
    Fixed,
    ImagerAxis,
    PatientPosition,
    PixelGrid,
    Pose,
    ProjectionGeometry,
)
from isoalign.imaging import attenuation_per_mm
from isoalign.records import Volume

Oracle = Callable[[Volume, ProjectionGeometry, Pose[Fixed, DicomPatient]], npt.NDArray[np.float64]]


def _sampled(
    volume: Volume, geometry: ProjectionGeometry, fixed_from_dicom: Pose[Fixed, DicomPatient], step_mm: float = 0.1
) -> npt.NDArray[np.float64]:
    """Fine sampling of the trilinear field of attenuation along every ray, with scipy."""
    field = np.pad(attenuation_per_mm(volume.hounsfield), 2)
    index_from_dicom = np.linalg.inv(volume.dicom_from_index)
    pixels = geometry.pixel_centres_mm()
    directions = pixels - geometry.source_mm
    lengths = np.linalg.norm(directions, axis=-1, keepdims=True)
    reach = 250.0
    start = np.linalg.norm(geometry.source_mm) - reach
    along = np.arange(start, start + 2 * reach, step_mm)
    total = np.zeros(pixels.shape[:2])
    dicom_from_fixed = fixed_from_dicom.inverse()
    for row in range(pixels.shape[0]):
        points = geometry.source_mm + (directions / lengths)[row][:, None, :] * along[None, :, None]
        dicom = dicom_from_fixed.apply(points)
        index = dicom @ index_from_dicom[:3, :3].T + index_from_dicom[:3, 3] + 2
        samples = map_coordinates(field, [index[..., 2], index[..., 1], index[..., 0]], order=1, mode="constant")
        total[row] = samples.sum(axis=-1) * step_mm
    return total


@pytest.fixture(scope="session")
def sampled_line_integrals() -> Oracle:
    return _sampled


@pytest.fixture(scope="session")
def imager() -> Callable[..., ProjectionGeometry]:
    """``imager(gantry_angle_deg, rows, columns, pixel_mm)``, not centred, receptor turned a little."""

    def make(
        gantry_angle_deg: float = 0.0, rows: int = 24, columns: int = 18, pixel_mm: float = 6.0
    ) -> ProjectionGeometry:
        axis = ImagerAxis(gantry_angle_deg, 1000.0, 1500.0, (3.0, -2.0), 2.0)
        return ProjectionGeometry.from_axis(axis, PixelGrid.centred(rows, columns, pixel_mm))

    return make


@pytest.fixture(scope="session")
def lumpy_volume() -> Callable[..., Volume]:
    """``lumpy_volume(axes, spacing, position)``: smooth random densities, no two axes alike."""

    def make(
        axes: npt.ArrayLike = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
        spacing_mm: tuple[float, float, float] = (2.0, 2.5, 4.0),
        position: PatientPosition = PatientPosition.HFS,
    ) -> Volume:
        rng = np.random.default_rng(7)
        coarse = np.pad(rng.uniform(-700.0, 900.0, (5, 6, 7)), 1, constant_values=-1000.0)
        shape = (20, 30, 44)
        grid = np.meshgrid(*(np.linspace(0, n - 1, m) for n, m in zip(coarse.shape, shape, strict=True)), indexing="ij")
        hounsfield = map_coordinates(coarse, grid, order=1).round().astype(np.int16)
        extent = np.array(shape[::-1]) * spacing_mm
        frame = np.asarray(axes, dtype=np.float64)
        return Volume(
            hounsfield, -frame @ extent / 2 + (11.0, -7.0, 5.0), np.array(spacing_mm), frame, "1.2.3", position
        )

    return make
