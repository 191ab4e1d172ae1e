"""From a point of the patient to a pixel of the receptor, as one matrix.

Everything between a DICOM patient coordinate and a pixel is one (3, 4) matrix: the pose of the patient, the cone and
the pixel grid. It is worked out once for an image; a point then costs some ten multiplications.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from isoalign.geometry.errors import InvalidGeometry
from isoalign.geometry.frames import DicomPatient, Fixed
from isoalign.geometry.imaging_errors import PointBehindSource
from isoalign.geometry.pose import Array, Pose
from isoalign.geometry.projection import ProjectionGeometry, require_patient_pose

_Coefficients = tuple[float, float, float, float, float, float, float, float, float, float, float, float]


@dataclass(frozen=True, slots=True)
class ReceptorLookup:
    """The way from DICOM patient coordinates to the pixels of one image; make it with :meth:`of`.

    Attributes
    ----------
    coefficients : tuple of 12 floats
        The matrix, row by row: homogeneous patient coordinates in mm to (column w, row w, w), where w is the distance
        of the point before the source along the receptor's normal, in mm.
    """

    coefficients: _Coefficients

    def __post_init__(self) -> None:
        if len(self.coefficients) != 12 or not np.isfinite(self.coefficients).all():
            raise InvalidGeometry("a lookup has twelve finite coefficients")

    @classmethod
    def of(cls, geometry: ProjectionGeometry, fixed_from_dicom: Pose[Fixed, DicomPatient]) -> ReceptorLookup:
        """The lookup of an image that was taken with this geometry, of a patient in this pose.

        Raises
        ------
        FrameMismatch
        """
        matrix = geometry.projection_matrix() @ require_patient_pose(fixed_from_dicom).matrix
        a, b, c, d, e, f, g, h, i, j, k, m = matrix.ravel().tolist()
        return cls((a, b, c, d, e, f, g, h, i, j, k, m))

    @property
    def matrix(self) -> Array:
        """The (3, 4) matrix, read-only."""
        matrix = np.array(self.coefficients).reshape(3, 4)
        matrix.setflags(write=False)
        return matrix

    def pixel(self, x_mm: float, y_mm: float, z_mm: float) -> tuple[float, float]:
        """Column and row, zero-based at pixel centres, of one point in the DICOM patient frame, mm.

        The pixel may lie outside the grid.

        Raises
        ------
        PointBehindSource
            Also for a coordinate that is not a number.
        """
        a, b, c, d, e, f, g, h, i, j, k, m = self.coefficients
        depth = i * x_mm + j * y_mm + k * z_mm + m
        if not depth > 0.0:
            raise PointBehindSource(
                f"the point ({x_mm:.3f}, {y_mm:.3f}, {z_mm:.3f}) mm lies at or behind the X-ray source", depth_mm=depth
            )
        return (
            (a * x_mm + b * y_mm + c * z_mm + d) / depth,
            (e * x_mm + f * y_mm + g * z_mm + h) / depth,
        )

    def pixels(self, points_mm: npt.ArrayLike) -> Array:
        """The same for points (..., 3) in the DICOM patient frame, mm: (..., 2) as (column, row).

        Raises
        ------
        PointBehindSource
            When it is true of any point.
        """
        matrix = self.matrix
        homogeneous = np.asarray(points_mm, dtype=np.float64) @ matrix[:, :3].T + matrix[:, 3]
        depth = homogeneous[..., 2:]
        if not np.all(depth > 0.0):
            raise PointBehindSource("a point lies at or behind the X-ray source")
        return np.asarray(homogeneous[..., :2] / depth)
