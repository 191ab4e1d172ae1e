"""Compile every kernel of this room once, on small inputs of the types that are used later."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np

from isoalign.geometry import (
    DicomPatient,
    Fixed,
    ImagerAxis,
    PatientPosition,
    PixelGrid,
    Pose,
    ProjectionGeometry,
    Representation,
    TableTopPosition,
    planned_fixed_from_dicom,
)
from isoalign.imaging.attenuation import AttenuationVolume, attenuation_volume
from isoalign.imaging.cone_beam import ReconstructionGrid, reconstruct
from isoalign.imaging.drr import project_grid, project_grid_with_derivatives, render_maximum
from isoalign.imaging.radiographs import radiograph_line_integrals
from isoalign.records import Acquisition, Radiograph, Technique, Volume


def small_volume(*, floating: bool = False) -> Volume:
    """A small CT of a block of water with a denser corner, for warming up."""
    hounsfield = np.full((12, 14, 16), -1000, np.int16)
    hounsfield[3:10, 3:11, 3:13] = 0
    hounsfield[3:6, 3:6, 3:6] = 800
    return Volume(
        hounsfield.astype(np.float32) if floating else hounsfield,
        np.array([-32.0, -28.0, -24.0]),
        np.array([4.0, 4.0, 4.0]),
        np.eye(3),
        "2.25.1",
        PatientPosition.HFS,
    )


def small_radiograph(gantry_angle_deg: float = 0.0) -> Radiograph:
    """A small radiograph with a dark square, for warming up."""
    pixels = np.full((32, 24), 9000, np.uint16)
    pixels[10:20, 8:16] = 3000
    pixels[5, 5] = 0
    geometry = ProjectionGeometry.from_axis(
        ImagerAxis(gantry_angle_deg, 1000.0, 1500.0), PixelGrid.centred(32, 24, 4.0)
    )
    acquisition = Acquisition(
        "warm-up",
        0,
        Technique(100.0, 100.0, 50.0),
        datetime(2026, 1, 1, tzinfo=UTC),
        TableTopPosition(Representation.IEC_61217, 0.0, 0.0, 0.0),
    )
    return Radiograph(pixels, geometry, acquisition)


def _reconstruct_something(pose: Pose[Fixed, DicomPatient]) -> None:
    """A small scan whose panel is turned, so that it is resampled as well."""
    pixels = PixelGrid.centred(16, 16, 8.0)
    image = np.ones((16, 16), np.float32)
    image[4:12, 4:12] = 2.0
    scan = [
        ProjectionGeometry.from_axis(ImagerAxis(10.0 * number, 1000.0, 1500.0, receptor_angle_deg=0.1), pixels)
        for number in range(36)
    ]
    grown = reconstruct([image] * len(scan), scan, ReconstructionGrid.centred((4, 6, 6), 8.0))
    grown.attenuation()
    grown.volume(pose, PatientPosition.HFS)


def warmup() -> AttenuationVolume:
    """Compile the kernels, or load them from numba's cache on disk; returns the small volume it used."""
    radiograph = small_radiograph()
    radiograph_line_integrals(radiograph, bin_factor=2)
    pose = planned_fixed_from_dicom(PatientPosition.HFS, (0.0, 0.0, 0.0))
    attenuation_volume(small_volume(floating=True))
    attenuation = attenuation_volume(small_volume())
    for grid in (attenuation.fine, *attenuation.levels):
        project_grid(grid, radiograph.geometry, pose)
        project_grid_with_derivatives(grid, radiograph.geometry, pose)
    render_maximum(attenuation, radiograph.geometry, pose)
    _reconstruct_something(pose)
    return attenuation
