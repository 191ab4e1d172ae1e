"""Volumes and radiographs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt

from isoalign.geometry import Array, PatientPosition, ProjectionGeometry, TableTopPosition
from isoalign.records.arrays import InvalidRecord, frozen_array


@dataclass(frozen=True, slots=True)
class Volume:
    """A CT volume on a regular grid.

    Attributes
    ----------
    hounsfield : ndarray, shape (slices, rows, columns), int16 or float32
        CT numbers, HU.
    origin_mm : ndarray, shape (3,)
        Centre of voxel (0, 0, 0) in the DICOM patient frame.
    spacing_mm : ndarray, shape (3,)
        Distance between voxels along columns (first image axis), rows (second) and slices: (dx, dy, dz), all positive.
    axes : ndarray, shape (3, 3)
        Columns are the unit vectors, in the DICOM patient frame, of rising column index, row index and slice index.
    sop_instance_uids : tuple of str
        The CT Images that the volume was read from, in their order along the slice axis.
    slice_offsets_mm : ndarray, shape (len(sop_instance_uids),), optional
        Where those images lie along the slice axis, from the first; None where each is a slice of the volume. They
        differ when images of varying distance were interpolated.
    """

    hounsfield: npt.NDArray[np.int16] | npt.NDArray[np.float32]
    origin_mm: Array
    spacing_mm: Array
    axes: Array
    frame_of_reference_uid: str
    patient_position: PatientPosition
    series_instance_uid: str = ""
    sop_instance_uids: tuple[str, ...] = ()
    slice_offsets_mm: Array | None = None

    def __post_init__(self) -> None:
        dtype = np.float32 if self.hounsfield.dtype.kind == "f" else np.int16
        object.__setattr__(self, "hounsfield", frozen_array(self.hounsfield, (None, None, None), "CT", dtype))
        object.__setattr__(self, "origin_mm", frozen_array(self.origin_mm, (3,), "CT origin"))
        object.__setattr__(self, "spacing_mm", frozen_array(self.spacing_mm, (3,), "CT spacing"))
        object.__setattr__(self, "axes", frozen_array(self.axes, (3, 3), "CT axes"))
        if self.slice_offsets_mm is not None:
            offsets = frozen_array(self.slice_offsets_mm, (len(self.sop_instance_uids),), "CT slice offsets")
            object.__setattr__(self, "slice_offsets_mm", offsets)
        if min(self.hounsfield.shape) < 2:
            raise InvalidRecord(f"a CT volume needs at least 2 voxels along each axis, not {self.hounsfield.shape}")
        if not (self.spacing_mm > 0).all():
            raise InvalidRecord(f"CT spacing must be positive, not {self.spacing_mm}")
        if not np.allclose(self.axes.T @ self.axes, np.eye(3), atol=1e-4) or np.linalg.det(self.axes) < 0:
            raise InvalidRecord("the CT axes are not orthogonal and right-handed")

    @property
    def image_offsets_mm(self) -> Array:
        """Where the images that the volume was read from lie along the slice axis, from its first slice, mm."""
        if self.slice_offsets_mm is not None:
            return self.slice_offsets_mm
        offsets: Array = np.arange(len(self.sop_instance_uids), dtype=np.float64) * self.spacing_mm[2]
        return offsets

    @property
    def dicom_from_index(self) -> Array:
        """Homogeneous (4, 4) matrix from (column, row, slice, 1) to DICOM patient mm."""
        full = np.eye(4)
        full[:3, :3] = self.axes * self.spacing_mm
        full[:3, 3] = self.origin_mm
        return full


@dataclass(frozen=True, slots=True)
class Technique:
    """Exposure settings or read-backs of a kV image."""

    tube_voltage_kv: float
    tube_current_ma: float
    exposure_time_ms: float


@dataclass(frozen=True, slots=True)
class Acquisition:
    """Circumstances of one exposure."""

    imager: str
    exposure_id: int
    technique: Technique
    acquired_at: datetime
    table_top: TableTopPosition


@dataclass(frozen=True, slots=True)
class Radiograph:
    """One kV image as the panel sent it (after the detector's own offset and gain steps, if any).

    Attributes
    ----------
    pixels : ndarray, shape (rows, columns), uint16
        Proportional to X-ray intensity: higher is brighter, air is brightest.
    geometry : ProjectionGeometry
        Where source and panel stood; the grid has the shape of ``pixels``.
    """

    pixels: npt.NDArray[np.uint16]
    geometry: ProjectionGeometry
    acquisition: Acquisition

    def __post_init__(self) -> None:
        object.__setattr__(self, "pixels", frozen_array(self.pixels, (None, None), "radiograph", np.uint16))
        grid = self.geometry.grid
        if self.pixels.shape != (grid.rows, grid.columns):
            raise InvalidRecord(
                f"radiograph of {self.acquisition.imager}: {self.pixels.shape} pixels, but the imager has "
                f"{(grid.rows, grid.columns)}"
            )
