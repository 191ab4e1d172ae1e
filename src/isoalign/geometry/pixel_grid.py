"""The pixels of a receptor and where they lie on its plane.

Rows of an image run along +Xr, columns along -Yr, seen from the source. Source: DICOM PS3.3 C.8.8.2.7.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from isoalign.geometry.errors import InvalidGeometry
from isoalign.geometry.pose import Array


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

    def contains(self, column_row: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Whether pixel coordinates (..., 2) fall on a pixel, edges of the outer pixels included."""
        pixels = np.asarray(column_row, dtype=np.float64) + 0.5
        return np.asarray(np.all((pixels >= 0) & (pixels <= (self.columns, self.rows)), axis=-1))
