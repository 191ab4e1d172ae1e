"""The outline of a patient from CT numbers, for where no outer contour was drawn."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from isoalign.geometry import Array
from isoalign.imaging.errors import EmptyVolume
from isoalign.records import Volume

BODY_HOUNSFIELD = -300.0
"""Between air and skin; clothes and foam lie below it."""
BLOCK = 4
"""Rows and columns that are taken together: the outline is at most this much too wide, and never too narrow."""


def body_outline_mm(volume: Volume, *, threshold_hounsfield: float = BODY_HOUNSFIELD) -> Array:
    """Points that enclose the largest connected body above a CT number.

    What touches the patient is part of it, the couch of the CT as well where nothing lies between: the outline is then
    too large, never too small. What is lighter than the threshold, and whatever the CT does not show, is not in it.

    Parameters
    ----------
    volume : Volume
    threshold_hounsfield : float

    Returns
    -------
    ndarray, shape (N, 3)
        Corners of blocks of voxels at the edge of every slice, DICOM patient frame, mm; on the planes of the slices.

    Raises
    ------
    EmptyVolume
        When no voxel is above the threshold.
    """
    from scipy import ndimage

    blocks = _block_maximum(volume.hounsfield) >= threshold_hounsfield
    labels, count = ndimage.label(blocks)
    if count == 0:
        raise EmptyVolume(f"no voxel of the CT is above {threshold_hounsfield:g} HU: there is no body to enclose")
    body = labels == 1 + int(np.argmax(np.bincount(labels.ravel())[1:]))
    slices, rows = np.nonzero(body.any(axis=2))
    lines = body[slices, rows]
    first = lines.argmax(axis=1) * BLOCK
    last = (lines.shape[1] - lines[:, ::-1].argmax(axis=1)) * BLOCK
    index = np.array(
        [
            corner
            for upper in (rows * BLOCK, (rows + 1) * BLOCK)
            for side in (first, last)
            for corner in zip(side - 0.5, upper - 0.5, slices, strict=True)
        ],
        dtype=np.float64,
    )
    matrix = volume.dicom_from_index
    return np.asarray(index @ matrix[:3, :3].T + matrix[:3, 3], dtype=np.float64)


def _block_maximum(hounsfield: npt.NDArray[np.int16] | npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The greatest CT number of every block of BLOCK x BLOCK pixels, slice by slice."""
    slices, rows, columns = hounsfield.shape
    height, width = -(-rows // BLOCK), -(-columns // BLOCK)
    found = np.full((slices, height, width), -np.inf, dtype=np.float32)
    for row in range(BLOCK):
        for column in range(BLOCK):
            part = hounsfield[:, row::BLOCK, column::BLOCK]
            target = found[:, : part.shape[1], : part.shape[2]]
            np.maximum(target, part, out=target)
    return found
