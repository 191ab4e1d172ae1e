"""Cone-beam projection: a point source, a flat receptor, and the pixels on it.

Rows of an image run along +Xr, columns along -Yr, seen from the source; the receptor's Z is SAD - SID in the gantry
frame, which is negative for a panel beyond the isocentre. A source and its panel ride on the gantry
(:class:`ImagerAxis` where the beam axis meets the isocentre, :class:`GantryMountedPair` anywhere on it) or stand still
in the room (:meth:`ProjectionGeometry.fixed_in_room`). Source: DICOM PS3.3 C.8.8.2 and C.8.8.2.7; IEC 61217 clause 2.6.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

from isoalign.geometry.chain import fixed_from_gantry
from isoalign.geometry.errors import FrameMismatch, InvalidGeometry
from isoalign.geometry.frames import DicomPatient, Fixed, Frame, Gantry, XrayImageReceptor
from isoalign.geometry.imager_axis import ImagerAxis
from isoalign.geometry.imaging_errors import PointBehindSource
from isoalign.geometry.pixel_grid import PixelGrid
from isoalign.geometry.pose import Array, Pose, nearest_rotation

Dst = TypeVar("Dst", bound=Frame)
Src = TypeVar("Src", bound=Frame)


@dataclass(frozen=True, slots=True)
class Rays(Generic[Src]):
    """Rays from one X-ray source.

    Attributes
    ----------
    frame : type[Frame]
        The frame of the coordinates.
    source_mm : ndarray, shape (3,)
    directions : ndarray, shape (..., 3)
        Unit vectors away from the source.
    """

    frame: type[Src]
    source_mm: Array
    directions: Array

    def __post_init__(self) -> None:
        for name in ("source_mm", "directions"):
            kept = np.array(getattr(self, name), dtype=np.float64)
            kept.setflags(write=False)
            object.__setattr__(self, name, kept)

    def points_mm(self, distance_mm: npt.ArrayLike) -> Array:
        """Points at a distance from the source: scalar or (...) mm to (..., 3) mm."""
        return self.source_mm + np.asarray(distance_mm, dtype=np.float64)[..., None] * self.directions

    def in_frame(self, dst_from_src: Pose[Dst, Src]) -> Rays[Dst]:
        """The same rays in the coordinates of another frame.

        Raises
        ------
        FrameMismatch
        """
        if dst_from_src.src is not self.frame:
            raise FrameMismatch(f"rays in {self.frame.__name__} cannot be mapped from {dst_from_src.src.__name__}")
        return Rays(dst_from_src.dst, dst_from_src.apply(self.source_mm), self.directions @ dst_from_src.rotation.T)


@dataclass(frozen=True, slots=True)
class ProjectionGeometry:
    """Where source and receptor stood in the room when an image was taken.

    Attributes
    ----------
    source_mm : ndarray, shape (3,)
        X-ray source in the fixed frame, mm.
    fixed_from_receptor : Pose[Fixed, XrayImageReceptor]
    grid : PixelGrid
    axis : ImagerAxis or None
        The nominal machine axis in RT Image terms; None where the geometry came from a calibration alone.
    """

    source_mm: Array
    fixed_from_receptor: Pose[Fixed, XrayImageReceptor]
    grid: PixelGrid
    axis: ImagerAxis | None = None

    def __post_init__(self) -> None:
        source = np.array(self.source_mm, dtype=np.float64)
        if source.shape != (3,) or not np.isfinite(source).all():
            raise InvalidGeometry("an X-ray source is three finite coordinates in mm")
        if self.fixed_from_receptor.dst is not Fixed or self.fixed_from_receptor.src is not XrayImageReceptor:
            raise FrameMismatch("fixed_from_receptor must map the X-ray image receptor to the fixed frame")
        if float(self.fixed_from_receptor.inverse().apply(source)[2]) <= 0:
            raise InvalidGeometry("the X-ray source lies behind the receptor")
        source.setflags(write=False)
        object.__setattr__(self, "source_mm", source)

    @classmethod
    def from_axis(cls, axis: ImagerAxis, grid: PixelGrid) -> ProjectionGeometry:
        """The ideal geometry of a source and panel on an axis."""
        fixed_from_gantry = axis.fixed_from_gantry()
        return cls(
            fixed_from_gantry.apply((0.0, 0.0, axis.sad_mm)),
            fixed_from_gantry @ axis.gantry_from_receptor(),
            grid,
            axis,
        )

    @classmethod
    def fixed_in_room(
        cls,
        source_mm: npt.ArrayLike,
        receptor_origin_mm: npt.ArrayLike,
        row_direction: npt.ArrayLike,
        column_direction: npt.ArrayLike,
        grid: PixelGrid,
    ) -> ProjectionGeometry:
        """A source and a panel that stand still in the room, as surveying gives them; there is no machine axis.

        Parameters
        ----------
        source_mm, receptor_origin_mm : array_like, shape (3,)
            Source, and the receptor's point (0, 0, 0), in the fixed frame, mm.
        row_direction, column_direction : array_like, shape (3,)
            Directions in the fixed frame in which the column index and the row index of a pixel grow: +Xr and -Yr.
        grid : PixelGrid

        Raises
        ------
        NotARotation
            When the directions are not unit vectors at right angles (within 1e-3).
        InvalidGeometry
            When the source lies behind the receptor, as it does for a mirrored pair of directions.
        """
        x = np.asarray(row_direction, dtype=np.float64)
        y = -np.asarray(column_direction, dtype=np.float64)
        if x.shape != (3,) or y.shape != (3,):
            raise InvalidGeometry("directions of rows and columns are vectors of three elements")
        rotation, _ = nearest_rotation(np.stack([x, y, np.cross(x, y)], axis=1))
        origin = np.asarray(receptor_origin_mm, dtype=np.float64)
        return cls(np.asarray(source_mm, dtype=np.float64), Pose(Fixed, XrayImageReceptor, rotation, origin), grid)

    def with_grid(self, grid: PixelGrid) -> ProjectionGeometry:
        """The same source and receptor with other pixels (e.g. binned)."""
        return ProjectionGeometry(self.source_mm, self.fixed_from_receptor, grid, self.axis)

    def project(self, points_mm: npt.ArrayLike) -> Array:
        """Project points in the fixed frame, (..., 3) mm, to (..., 2) pixel coordinates (column, row).

        Raises
        ------
        PointBehindSource
        """
        receptor_from_fixed = self.fixed_from_receptor.inverse()
        source = receptor_from_fixed.apply(self.source_mm)
        points = receptor_from_fixed.apply(points_mm)
        depth = source[2] - points[..., 2]
        if np.any(depth <= 0):
            raise PointBehindSource("a point at or behind the X-ray source has no projection")
        factor = (source[2] / depth)[..., None]
        return self.grid.column_row(source + factor * (points - source))

    def project_patient(self, points_mm: npt.ArrayLike, fixed_from_dicom: Pose[Fixed, DicomPatient]) -> Array:
        """Project points in the DICOM patient frame, (..., 3) mm, to (..., 2) pixel coordinates (column, row).

        Raises
        ------
        FrameMismatch, PointBehindSource
        """
        return self.project(require_patient_pose(fixed_from_dicom).apply(points_mm))

    def pixel_points_mm(self, column_row: npt.ArrayLike) -> Array:
        """Where pixels (..., 2) lie in the room: (..., 3) in the fixed frame, mm."""
        return self.fixed_from_receptor.apply(self.grid.receptor_points_mm(column_row))

    def rays(self, column_row: npt.ArrayLike) -> Rays[Fixed]:
        """The rays from the source to pixels (..., 2), in the fixed frame: the inverse of :meth:`project`."""
        along = self.pixel_points_mm(column_row) - self.source_mm
        return Rays(Fixed, self.source_mm, along / np.linalg.norm(along, axis=-1, keepdims=True))

    def rays_in_patient(
        self, column_row: npt.ArrayLike, fixed_from_dicom: Pose[Fixed, DicomPatient]
    ) -> Rays[DicomPatient]:
        """The rays from the source to pixels (..., 2), in the DICOM patient frame.

        Raises
        ------
        FrameMismatch
        """
        return self.rays(column_row).in_frame(require_patient_pose(fixed_from_dicom).inverse())

    def pixel_centres_mm(self) -> Array:
        """Centres of all pixels in the fixed frame, shape (rows, columns, 3), mm."""
        rows, columns = np.mgrid[0 : self.grid.rows, 0 : self.grid.columns]
        return self.fixed_from_receptor.apply(self.grid.receptor_points_mm(np.stack([columns, rows], axis=-1)))

    def projection_matrix(self) -> Array:
        """The (3, 4) matrix from homogeneous fixed coordinates (mm) to homogeneous (column, row, 1) pixels."""
        receptor_from_fixed = self.fixed_from_receptor.inverse()
        sx, sy, sz = receptor_from_fixed.apply(self.source_mm)
        to_plane = np.array([[sz, 0.0, -sx, 0.0], [0.0, sz, -sy, 0.0], [0.0, 0.0, -1.0, sz]])
        x0, y0 = self.grid.first_pixel_mm
        dx, dy = self.grid.column_spacing_mm, self.grid.row_spacing_mm
        to_pixel = np.array([[1 / dx, 0.0, -x0 / dx], [0.0, -1 / dy, y0 / dy], [0.0, 0.0, 1.0]])
        return np.asarray(to_pixel @ to_plane @ receptor_from_fixed.matrix)


@dataclass(frozen=True, slots=True)
class GantryMountedPair:
    """A source and a panel that ride on the gantry, anywhere on it (e.g. a kV pair at right angles to the beam).

    Attributes
    ----------
    source_mm : ndarray, shape (3,)
        X-ray source in the gantry frame, mm.
    gantry_from_receptor : Pose[Gantry, XrayImageReceptor]
    grid : PixelGrid
    """

    source_mm: Array
    gantry_from_receptor: Pose[Gantry, XrayImageReceptor]
    grid: PixelGrid

    def __post_init__(self) -> None:
        if self.gantry_from_receptor.dst is not Gantry or self.gantry_from_receptor.src is not XrayImageReceptor:
            raise FrameMismatch("gantry_from_receptor must map the X-ray image receptor to the gantry frame")
        source = np.array(self.source_mm, dtype=np.float64)
        source.setflags(write=False)
        object.__setattr__(self, "source_mm", source)
        self.at(0.0)

    @classmethod
    def seen_at(
        cls, geometry: ProjectionGeometry, gantry_angle_deg: float, gantry_pitch_deg: float = 0.0
    ) -> GantryMountedPair:
        """The pair that was found to stand as ``geometry`` says when the gantry stood at these angles."""
        gantry_from_fixed = fixed_from_gantry(gantry_angle_deg, gantry_pitch_deg).inverse()
        return cls(
            gantry_from_fixed.apply(geometry.source_mm),
            gantry_from_fixed @ geometry.fixed_from_receptor,
            geometry.grid,
        )

    def at(self, gantry_angle_deg: float, gantry_pitch_deg: float = 0.0) -> ProjectionGeometry:
        """Where source and panel stand when the gantry stands at these angles."""
        gantry = fixed_from_gantry(gantry_angle_deg, gantry_pitch_deg)
        return ProjectionGeometry(gantry.apply(self.source_mm), gantry @ self.gantry_from_receptor, self.grid)


def require_patient_pose(fixed_from_dicom: Pose[Fixed, DicomPatient]) -> Pose[Fixed, DicomPatient]:
    """The pose, after making sure at run time that it maps the DICOM patient frame to the fixed frame.

    Raises
    ------
    FrameMismatch
    """
    if fixed_from_dicom.dst is not Fixed or fixed_from_dicom.src is not DicomPatient:
        raise FrameMismatch(
            f"points of the patient need Fixed <- DicomPatient, not {fixed_from_dicom.dst.__name__} <- "
            f"{fixed_from_dicom.src.__name__}"
        )
    return fixed_from_dicom
