"""The voxels that a reconstruction fills: parallel to the room, slices stacked along the rotation axis."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from isoalign.geometry import Array, DicomPatient, Fixed, PatientPosition, Pose
from isoalign.geometry.patient_position import fixed_rotation_from_dicom
from isoalign.imaging.cone_beam.errors import UnusableReconstruction

MOST_VOXELS = 2**31 - 1


@dataclass(frozen=True, slots=True)
class ReconstructionGrid:
    """Voxels in the fixed frame.

    Attributes
    ----------
    shape : tuple of int
        Slices, rows, columns.
    spacing_mm : tuple of float
        Distance of columns, rows, slices: (dx, dy, dz), as in :class:`~isoalign.records.Volume`.
    centre_mm : ndarray, shape (3,)
        Middle of the grid in the fixed frame.
    axes : ndarray, shape (3, 3)
        Columns are the directions, in the fixed frame, of rising column, row and slice index. Slices are stacked along
        the rotation axis, +Y or -Y.

    Raises
    ------
    UnusableReconstruction
    """

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    centre_mm: Array
    axes: Array

    def __post_init__(self) -> None:
        for name, shape in (("centre_mm", (3,)), ("axes", (3, 3))):
            kept = np.array(getattr(self, name), dtype=np.float64)
            if kept.shape != shape or not np.isfinite(kept).all():
                raise UnusableReconstruction(f"the {name} of a reconstruction grid are {shape} finite numbers")
            kept.setflags(write=False)
            object.__setattr__(self, name, kept)
        if min(self.shape) < 2 or np.prod(self.shape, dtype=np.float64) > MOST_VOXELS:
            raise UnusableReconstruction(
                f"a reconstruction grid of {self.shape} voxels: 2 or more a side, at most 2^31"
            )
        if not all(np.isfinite(self.spacing_mm)) or min(self.spacing_mm) <= 0:
            raise UnusableReconstruction(f"voxel sizes are positive, not {self.spacing_mm} mm")
        square = np.allclose(self.axes.T @ self.axes, np.eye(3), rtol=0, atol=1e-9) and np.linalg.det(self.axes) > 0
        if not square or abs(abs(self.axes[1, 2]) - 1.0) > 1e-9:
            raise UnusableReconstruction("the axes of a reconstruction grid are a rotation whose third column is +-Y")

    @classmethod
    def centred(
        cls,
        shape: tuple[int, int, int],
        spacing_mm: float | tuple[float, float, float],
        patient_position: PatientPosition = PatientPosition.HFS,
        centre_mm: tuple[float, float, float] = (0.0, 0.0, 0.0),
    ) -> ReconstructionGrid:
        """A grid about a point of the room, its axes those of a transverse CT of a patient in ``patient_position``.

        For a patient who lies across the rotation axis the slices are as for head first, supine.
        """
        axes = fixed_rotation_from_dicom(patient_position)
        if abs(axes[1, 2]) < 1.0:
            axes = fixed_rotation_from_dicom(PatientPosition.HFS)
        sizes = spacing_mm if isinstance(spacing_mm, tuple) else (spacing_mm,) * 3
        return cls(shape, sizes, np.array(centre_mm), axes)

    @property
    def steps_mm(self) -> Array:
        """Steps of column, row and slice index in the fixed frame as columns, shape (3, 3)."""
        return np.asarray(self.axes * self.spacing_mm)

    @property
    def origin_mm(self) -> Array:
        """Centre of voxel (0, 0, 0) in the fixed frame, shape (3,)."""
        last = np.array(self.shape[::-1]) - 1
        return np.asarray(self.centre_mm - self.steps_mm @ (last / 2))

    def points_mm(self) -> Array:
        """Centres of all voxels in the fixed frame, shape (slices, rows, columns, 3)."""
        slices, rows, columns = self.shape
        k, j, i = np.mgrid[0:slices, 0:rows, 0:columns]
        return np.asarray(self.origin_mm + np.stack([i, j, k], axis=-1) @ self.steps_mm.T)

    def in_patient(self, fixed_from_dicom: Pose[Fixed, DicomPatient]) -> tuple[Array, Array]:
        """Origin (3,) in mm and axes (3, 3) of the grid in the DICOM patient frame."""
        back = fixed_from_dicom.inverse()
        return back.apply(self.origin_mm), back.rotation @ self.axes
