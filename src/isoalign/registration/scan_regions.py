"""Which part of the planning CT is to be matched."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from isoalign.geometry import Array
from isoalign.records import Volume, frozen_array
from isoalign.registration.errors import WrongFrameOfReference

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class BoxRegion:
    """A box along the axes of the DICOM patient frame, between two corners in mm."""

    frame_of_reference_uid: str
    low_mm: Array
    high_mm: Array

    def __post_init__(self) -> None:
        object.__setattr__(self, "low_mm", frozen_array(self.low_mm, (3,), "corner of a region"))
        object.__setattr__(self, "high_mm", frozen_array(self.high_mm, (3,), "corner of a region"))

    def contains(self, points_mm: npt.NDArray[np.float32]) -> Mask:
        """Whether points (n, 3) in the DICOM patient frame lie inside."""
        return np.asarray(((points_mm >= self.low_mm) & (points_mm <= self.high_mm)).all(axis=1))


@dataclass(frozen=True, slots=True)
class SphereRegion:
    """A ball in the DICOM patient frame."""

    frame_of_reference_uid: str
    centre_mm: Array
    radius_mm: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "centre_mm", frozen_array(self.centre_mm, (3,), "centre of a region"))

    def contains(self, points_mm: npt.NDArray[np.float32]) -> Mask:
        """Whether points (n, 3) in the DICOM patient frame lie inside."""
        return np.asarray(np.linalg.norm(points_mm - self.centre_mm, axis=1) <= self.radius_mm)


@dataclass(frozen=True, slots=True)
class MaskRegion:
    """Voxels of a volume, for instance a structure with a margin.

    The region has to hold both sides of the edges that are to be matched: one that ends at them biases the result.

    Attributes
    ----------
    mask : ndarray, shape (slices, rows, columns), bool
    dicom_from_index : ndarray, shape (4, 4)
        From (column, row, slice, 1) to DICOM patient mm.
    """

    frame_of_reference_uid: str
    mask: Mask
    dicom_from_index: Array

    def __post_init__(self) -> None:
        object.__setattr__(self, "mask", frozen_array(self.mask, (None, None, None), "mask of a region", np.bool_))
        object.__setattr__(self, "dicom_from_index", frozen_array(self.dicom_from_index, (4, 4), "grid of a region"))

    def contains(self, points_mm: npt.NDArray[np.float32]) -> Mask:
        """Whether points (n, 3) in the DICOM patient frame lie in a voxel of the mask."""
        back = np.linalg.inv(self.dicom_from_index)
        index = np.rint(points_mm @ back[:3, :3].T + back[:3, 3]).astype(np.int64)[:, ::-1]
        inside = ((index >= 0) & (index < self.mask.shape)).all(axis=1)
        found = np.zeros(len(points_mm), np.bool_)
        found[inside] = self.mask[tuple(index[inside].T)]
        return found


Region = BoxRegion | SphereRegion | MaskRegion


def require_frame(region: Region, volume: Volume) -> None:
    """Make sure that a region is told in the frame of reference of a volume.

    Raises
    ------
    WrongFrameOfReference
    """
    if region.frame_of_reference_uid != volume.frame_of_reference_uid:
        raise WrongFrameOfReference(
            "the region belongs to another frame of reference than the planning CT",
            region=region.frame_of_reference_uid,
            volume=volume.frame_of_reference_uid,
        )
