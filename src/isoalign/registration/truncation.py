"""Rays that leave the CT through a face where the CT was cut inside something: the room shows more than the CT."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from isoalign.geometry import DicomPatient, Fixed, Pose, ProjectionGeometry
from isoalign.imaging import AttenuationGrid
from isoalign.imaging.attenuation import PADDING
from isoalign.imaging.compiled import kernel_lock
from isoalign.registration.truncation_kernels import mark_cut_rays

CUT_ABOVE_PER_MM = 0.004
"""Attenuation at a face that counts as something (a fifth of water)."""


def uncut_rays(
    grid: AttenuationGrid, geometry: ProjectionGeometry, fixed_from_dicom: Pose[Fixed, DicomPatient]
) -> npt.NDArray[np.bool_]:
    """Whether the CT holds everything that the ray of each pixel meets, shape (rows, columns)."""
    pixels = geometry.grid
    whole = np.ones((pixels.rows, pixels.columns), np.bool_)
    if not grid.cut_faces:
        return whole
    dicom_from_fixed = fixed_from_dicom.inverse()
    to_index = grid.index_from_dicom
    corners = geometry.fixed_from_receptor.apply(pixels.receptor_points_mm(np.array([[0, 0], [1, 0], [0, 1]])))
    points_mm = dicom_from_fixed.apply(np.concatenate([geometry.source_mm[None], corners]))
    source, first, right, below = points_mm @ to_index[:3, :3].T + to_index[:3, 3]
    rays = np.stack([first - source, right - first, below - first])
    size = np.array(grid.values.shape[::-1])
    for axis, side in grid.cut_faces:
        plane = PADDING - 0.5 if side == 0 else size[axis] - PADDING - 0.5
        of_rows, of_columns = (other for other in (2, 1, 0) if other != axis)
        order = [of_columns, of_rows, axis]
        face = np.ascontiguousarray(grid.face(axis, side))
        with kernel_lock:
            mark_cut_rays(
                source[order], np.ascontiguousarray(rays[:, order]), float(plane), face, CUT_ABOVE_PER_MM, whole
            )
    return whole
