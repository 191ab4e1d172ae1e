"""One projection of a scan as the reconstruction sees it: a flat detector parallel to the rotation axis.

A real panel is tilted and turned by a little and wobbles on its way. Its image is resampled onto the ideal detector of
the same source: upright, at right angles to the line from the source to the rotation axis. Nothing is lost by that but
one interpolation, because both see the same rays; after it, all projections are alike whatever the arc was.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from isoalign.geometry import Array, Fixed, Pose, ProjectionGeometry, XrayImageReceptor
from isoalign.geometry.pixel_grid import PixelGrid
from isoalign.imaging.cone_beam.errors import MirroredGeometry, UnusableScanGeometry

ALIGNED = 1e-9
"""Largest element by which the axes of a panel may differ from the ideal detector's without being resampled."""
LARGEST_TILT = 0.35
"""Largest sine of the angle between the panel and the ideal detector (20 degrees), and of the source's elevation."""


@dataclass(frozen=True, slots=True)
class View:
    """An upright detector at right angles to the line from the source to the rotation axis.

    Attributes
    ----------
    source_mm : ndarray, shape (3,)
        In the fixed frame.
    along_columns, away : ndarray, shape (3,)
        Horizontal unit vectors in the fixed frame: of growing column index, and from the source to the axis.
    sad_mm, sid_mm : float
        Horizontal distances from the source to the rotation axis and to the detector.
    first_pixel_mm : tuple of float
        Centre of the upper left pixel, from the foot of the source's normal: along the columns, and along +Y.
    from_view : ndarray, shape (3, 3), or None
        Homography from (column, row, 1) of this detector to those of the real panel; None where they are the same.
    """

    source_mm: Array
    along_columns: Array
    away: Array
    sad_mm: float
    sid_mm: float
    rows: int
    columns: int
    row_spacing_mm: float
    column_spacing_mm: float
    first_pixel_mm: tuple[float, float]
    from_view: Array | None

    @property
    def columns_mm(self) -> Array:
        """Position of each column from the foot of the source's normal, shape (columns,)."""
        return np.asarray(self.first_pixel_mm[0] + np.arange(self.columns) * self.column_spacing_mm)

    @property
    def rows_mm(self) -> Array:
        """Height of each row above the foot of the source's normal, shape (rows,)."""
        return np.asarray(self.first_pixel_mm[1] - np.arange(self.rows) * self.row_spacing_mm)

    @property
    def fan_deg(self) -> Array:
        """Fan angle of each column, shape (columns,)."""
        return np.asarray(np.degrees(np.arctan2(self.columns_mm, self.sid_mm)))


def source_angle_deg(geometry: ProjectionGeometry) -> float:
    """Angle of the source about +Y: 0 on +Z, 90 on +X, within +-180 degrees."""
    return math.degrees(math.atan2(geometry.source_mm[0], geometry.source_mm[2]))


def view_of(geometry: ProjectionGeometry) -> View:
    """The ideal detector for a source and a panel.

    Raises
    ------
    UnusableScanGeometry
        When the panel does not face the rotation axis within 20 degrees, or the source is not beside it.
    """
    source = geometry.source_mm
    sad = math.hypot(source[0], source[2])
    if sad < 1.0:
        raise UnusableScanGeometry(f"the source stands on the rotation axis, at {np.round(source, 3).tolist()} mm")
    away = np.array([-source[0] / sad, 0.0, -source[2] / sad])
    up = np.array([0.0, 1.0, 0.0])
    ideal = np.stack([np.cross(up, -away), up, -away], axis=1)
    panel = geometry.fixed_from_receptor.rotation
    turned = ideal.T @ panel
    if turned[2, 2] < math.sqrt(1 - LARGEST_TILT**2) or abs(source[1]) > LARGEST_TILT * sad:
        raise UnusableScanGeometry(
            f"the panel at source angle {source_angle_deg(geometry):.1f} degrees is turned away from the rotation axis "
            f"by {math.degrees(math.acos(np.clip(turned[2, 2], -1, 1))):.0f} degrees"
        )
    if np.abs(turned - np.eye(3)).max() <= ALIGNED:
        return _same_pixels(geometry, ideal, away, sad)
    return _resampled(geometry, ideal, away, sad)


def _same_pixels(geometry: ProjectionGeometry, ideal: Array, away: Array, sad: float) -> View:
    grid = geometry.grid
    foot = geometry.fixed_from_receptor.inverse().apply(geometry.source_mm)
    first = (grid.first_pixel_mm[0] - float(foot[0]), grid.first_pixel_mm[1] - float(foot[1]))
    sizes = (grid.rows, grid.columns, grid.row_spacing_mm, grid.column_spacing_mm)
    return View(geometry.source_mm, ideal[:, 0], away, sad, float(foot[2]), *sizes, first, None)


def _resampled(geometry: ProjectionGeometry, ideal: Array, away: Array, sad: float) -> View:
    grid = geometry.grid
    middle = geometry.pixel_points_mm([(grid.columns - 1) / 2, (grid.rows - 1) / 2]) - geometry.source_mm
    sid = float(middle @ away)
    across, upwards = float(middle @ ideal[:, 0]), float(middle[1])
    upright = abs((ideal.T @ geometry.fixed_from_receptor.rotation)[0, 0]) > math.sqrt(0.5)
    rows, columns = (grid.rows, grid.columns) if upright else (grid.columns, grid.rows)
    row_mm, column_mm = grid.row_spacing_mm, grid.column_spacing_mm
    if not upright:
        row_mm, column_mm = column_mm, row_mm
    first = (across - (columns - 1) / 2 * column_mm, upwards + (rows - 1) / 2 * row_mm)
    plane = np.zeros((4, 3))
    plane[:3, 0] = ideal[:, 0] * column_mm
    plane[1, 1] = -row_mm
    plane[:3, 2] = geometry.source_mm + sid * away + first[0] * ideal[:, 0] + (0.0, first[1], 0.0)
    plane[3, 2] = 1.0
    from_view = geometry.projection_matrix() @ plane
    return View(geometry.source_mm, ideal[:, 0], away, sad, sid, rows, columns, row_mm, column_mm, first, from_view)


def geometry_from_matrix(
    matrix: Array, *, rows: int, columns: int, row_spacing_mm: float, column_spacing_mm: float
) -> ProjectionGeometry:
    """Source, panel and pixels of a calibrated projection matrix.

    Parameters
    ----------
    matrix : ndarray, shape (3, 4)
        From homogeneous fixed coordinates (mm) to homogeneous (column, row, 1) pixels, in any scale.
    rows, columns : int
    row_spacing_mm, column_spacing_mm : float
        Size of the pixels: a matrix alone does not tell how far away the panel is.

    Raises
    ------
    MirroredGeometry
        When the image is mirrored.
    UnusableScanGeometry
        When the matrix is singular, not finite, or says pixels of another shape (skew or aspect off by over 0.5 %).
    """
    given = np.asarray(matrix, dtype=np.float64)
    if given.shape != (3, 4) or not np.isfinite(given).all() or np.linalg.matrix_rank(given[:, :3]) < 3:
        raise UnusableScanGeometry("a projection matrix is a finite (3, 4) matrix with an invertible left part")
    scaled = given / np.linalg.norm(given[2, :3])
    if scaled[2, 3] < 0:
        scaled = -scaled
    if np.linalg.det(scaled[:, :3]) < 0:
        raise MirroredGeometry("the projection matrix mirrors the image: left and right, or up and down, are exchanged")
    source = -np.linalg.solve(scaled[:, :3], scaled[:, 3])
    away = scaled[2, :3]
    to_mm = np.diag([column_spacing_mm, row_spacing_mm, 1.0])
    x_row, y_row = (to_mm @ scaled[:, :3])[:2]
    foot_x, foot_y = float(x_row @ away), float(y_row @ away)
    x_axis, y_axis = x_row - foot_x * away, y_row - foot_y * away
    sid_x, sid_y = float(np.linalg.norm(x_axis)), float(np.linalg.norm(y_axis))
    skew = float(x_axis @ y_axis) / (sid_x * sid_y)
    if abs(sid_x / sid_y - 1.0) > 0.005 or abs(skew) > 0.005:
        raise UnusableScanGeometry(
            f"the projection matrix says pixels {sid_y / sid_x:.4f} times as high as the panel's, skewed by {skew:.4f}"
        )
    sid = math.sqrt(sid_x * sid_y)
    x_axis /= sid_x
    down = np.cross(away, x_axis)
    rotation = np.stack([x_axis, -down, -away], axis=1)
    grid = PixelGrid(rows, columns, row_spacing_mm, column_spacing_mm, (-foot_x, foot_y))
    return ProjectionGeometry(source, Pose(Fixed, XrayImageReceptor, rotation, source + sid * away), grid)
