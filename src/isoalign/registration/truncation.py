"""Rays that leave the CT through a face where the CT was cut inside something: the room shows more than the CT."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from isoalign.geometry import DicomPatient, Fixed, Pose, ProjectionGeometry
from isoalign.imaging import AttenuationGrid
from isoalign.imaging.attenuation import PADDING

CUT_ABOVE_PER_MM = 0.004
"""Attenuation at a face that counts as something (a fifth of water)."""


def uncut_rays(
    grid: AttenuationGrid, geometry: ProjectionGeometry, fixed_from_dicom: Pose[Fixed, DicomPatient]
) -> npt.NDArray[np.bool_]:
    """Whether the CT holds everything that the ray of each pixel meets, shape (rows, columns)."""
    dicom_from_fixed = fixed_from_dicom.inverse()
    to_index = grid.index_from_dicom
    source = to_index[:3, :3] @ dicom_from_fixed.apply(geometry.source_mm) + to_index[:3, 3]
    pixels = dicom_from_fixed.apply(geometry.pixel_centres_mm()) @ to_index[:3, :3].T + to_index[:3, 3]
    rays = pixels - source
    size = np.array(grid.values.shape[::-1])
    whole = np.ones(rays.shape[:2], np.bool_)
    for axis, side in grid.cut_faces:
        plane = PADDING - 0.5 if side == 0 else size[axis] - PADDING - 0.5
        along = rays[..., axis]
        with np.errstate(divide="ignore", invalid="ignore"):
            part = np.where(along == 0.0, -1.0, (plane - source[axis]) / along)
        hit = (part > 0.0) & (part < 1.0)
        first, second = (other for other in (2, 1, 0) if other != axis)
        at_first, at_second = (source[other] + part * rays[..., other] for other in (first, second))
        row = np.clip(np.rint(at_first), 0, size[first] - 1).astype(np.intp)
        column = np.clip(np.rint(at_second), 0, size[second] - 1).astype(np.intp)
        whole &= ~(hit & (grid.face(axis, side) > CUT_ABOVE_PER_MM)[row, column])
    return whole
