"""Cone-beam projection: a point source, a flat receptor, and the pixels on it.

Rows of an image run along +Xr, columns along -Yr, seen from the source; the receptor's Z is SAD - SID in the gantry
frame. Source: DICOM PS3.3 C.8.8.2 and C.8.8.2.7; IEC 61217 clause 2.6.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from isoalign.geometry.errors import FrameMismatch, InvalidGeometry
from isoalign.geometry.frames import Fixed, Gantry, XrayImageReceptor
from isoalign.geometry.pose import Array, Pose
from isoalign.geometry.rotations import rotation_y, rotation_z


@dataclass(frozen=True, slots=True)
class ImagerAxis:
    """A kV source and panel fixed to an axis through the isocentre, in the terms of RT Image.

    Attributes
    ----------
    gantry_angle_deg : float
        IEC gantry angle of the source (clockwise seen from the isocentre towards the gantry).
    sad_mm, sid_mm : float
        Source to isocentre and source to image plane.
    receptor_translation_mm : (float, float)
        X and Y of X-Ray Image Receptor Translation (3002,000D); Z is SAD - SID.
    receptor_angle_deg : float
        X-Ray Image Receptor Angle (3002,000E).
    """

    gantry_angle_deg: float
    sad_mm: float
    sid_mm: float
    receptor_translation_mm: tuple[float, float] = (0.0, 0.0)
    receptor_angle_deg: float = 0.0

    def __post_init__(self) -> None:
        if not (0 < self.sad_mm < self.sid_mm):
            raise InvalidGeometry(f"SAD {self.sad_mm} mm must be positive and smaller than SID {self.sid_mm} mm")

    def fixed_from_gantry(self) -> Pose[Fixed, Gantry]:
        """Ry(gantry angle). Source: IEC 61217 clauses 2.3, 3.4."""
        return Pose(Fixed, Gantry, rotation_y(self.gantry_angle_deg))

    def gantry_from_receptor(self) -> Pose[Gantry, XrayImageReceptor]:
        """T(x, y, SAD - SID) Rz(receptor angle)."""
        x, y = self.receptor_translation_mm
        return Pose(Gantry, XrayImageReceptor, rotation_z(self.receptor_angle_deg), (x, y, self.sad_mm - self.sid_mm))


@dataclass(frozen=True, slots=True)
class PixelGrid:
    """The pixels of a receptor; ``first_pixel_mm`` is RT Image Position, the centre of the upper left pixel."""

    rows: int
    columns: int
    row_spacing_mm: float
    column_spacing_mm: float
    first_pixel_mm: tuple[float, float]

    def __post_init__(self) -> None:
        if self.rows < 1 or self.columns < 1 or self.row_spacing_mm <= 0 or self.column_spacing_mm <= 0:
            raise InvalidGeometry(
                f"a pixel grid needs positive sizes, not {self.rows} x {self.columns} pixels of "
                f"{self.row_spacing_mm} x {self.column_spacing_mm} mm"
            )

    @classmethod
    def centred(cls, rows: int, columns: int, spacing_mm: float) -> PixelGrid:
        """Square pixels with the middle of the grid at the origin of the receptor."""
        return cls(
            rows,
            columns,
            spacing_mm,
            spacing_mm,
            (-(columns - 1) / 2 * spacing_mm, (rows - 1) / 2 * spacing_mm),
        )

    def binned(self, factor: int) -> PixelGrid:
        """The grid after averaging ``factor`` x ``factor`` pixels; incomplete blocks at the far edges are cut."""
        x, y = self.first_pixel_mm
        return PixelGrid(
            self.rows // factor,
            self.columns // factor,
            self.row_spacing_mm * factor,
            self.column_spacing_mm * factor,
            (
                x + (factor - 1) / 2 * self.column_spacing_mm,
                y - (factor - 1) / 2 * self.row_spacing_mm,
            ),
        )

    def receptor_points_mm(self, column_row: npt.ArrayLike) -> Array:
        """Pixel coordinates (..., 2) as (column, row), zero-based at pixel centres, to Xr, Yr, 0 (..., 3) in mm."""
        pixels = np.asarray(column_row, dtype=np.float64)
        out = np.zeros((*pixels.shape[:-1], 3))
        out[..., 0] = self.first_pixel_mm[0] + pixels[..., 0] * self.column_spacing_mm
        out[..., 1] = self.first_pixel_mm[1] - pixels[..., 1] * self.row_spacing_mm
        return out

    def column_row(self, receptor_points_mm: npt.ArrayLike) -> Array:
        """Inverse of :meth:`receptor_points_mm` for points on the receptor plane: (..., 3) mm to (..., 2) pixels."""
        points = np.asarray(receptor_points_mm, dtype=np.float64)
        return np.stack(
            [
                (points[..., 0] - self.first_pixel_mm[0]) / self.column_spacing_mm,
                (self.first_pixel_mm[1] - points[..., 1]) / self.row_spacing_mm,
            ],
            axis=-1,
        )


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

    def with_grid(self, grid: PixelGrid) -> ProjectionGeometry:
        """The same source and receptor with other pixels (e.g. binned)."""
        return ProjectionGeometry(self.source_mm, self.fixed_from_receptor, grid, self.axis)

    def project(self, points_mm: npt.ArrayLike) -> Array:
        """Project points in the fixed frame, (..., 3) mm, to (..., 2) pixel coordinates (column, row)."""
        receptor_from_fixed = self.fixed_from_receptor.inverse()
        source = receptor_from_fixed.apply(self.source_mm)
        points = receptor_from_fixed.apply(points_mm)
        depth = source[2] - points[..., 2]
        if np.any(depth <= 0):
            raise InvalidGeometry("a point at or behind the X-ray source has no projection")
        factor = (source[2] / depth)[..., None]
        return self.grid.column_row(source + factor * (points - source))

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
