"""Compiled search for rays that meet a face at which the CT was cut inside something."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import prange

from isoalign.imaging.compiled import compiled

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]


@compiled
def mark_cut_rays(
    source: Float64, rays: Float64, plane: float, face: Float32, cut_above: float, whole: npt.NDArray[np.bool_]
) -> None:
    """Clear the pixels whose ray meets something on a face.

    Parameters
    ----------
    source : ndarray, shape (3,)
        (column, row, across) of the source in voxels: ``column`` and ``row`` of the face, ``across`` normal to it.
    rays : ndarray, shape (3, 3)
        From source to pixel (row, column): ``rays[0] + column * rays[1] + row * rays[2]``, in the same coordinates.
    plane : float
        Where the face lies across.
    face : ndarray, shape (face rows, face columns), float32
    cut_above : float
        What counts as something.
    whole : ndarray, shape (rows, columns), bool
    """
    rows, columns = whole.shape
    for row in prange(rows):
        for column in range(columns):
            across = rays[0, 2] + column * rays[1, 2] + row * rays[2, 2]
            if across != 0.0:
                part = (plane - source[2]) / across
                if 0.0 < part < 1.0:
                    u = source[0] + part * (rays[0, 0] + column * rays[1, 0] + row * rays[2, 0])
                    v = source[1] + part * (rays[0, 1] + column * rays[1, 1] + row * rays[2, 1])
                    at_u = min(max(int(np.rint(u)), 0), face.shape[1] - 1)
                    at_v = min(max(int(np.rint(v)), 0), face.shape[0] - 1)
                    if face[at_v, at_u] > cut_above:
                        whole[row, column] = False
