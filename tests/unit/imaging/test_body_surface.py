"""The body in a CT without contours: nothing of it lies outside the outline, and little else lies inside."""

from __future__ import annotations

import numpy as np
import pytest

from isoalign.geometry import PatientPosition
from isoalign.imaging import EmptyVolume, body_outline_mm
from isoalign.records import Volume

SHAPE = (12, 101, 130)
SPACING = (1.5, 1.2, 3.0)
ORIGIN = (-90.0, -60.0, 200.0)


def volume(hounsfield: np.ndarray) -> Volume:
    return Volume(
        hounsfield.astype(np.int16), np.array(ORIGIN), np.array(SPACING), np.eye(3), "1.2.3", PatientPosition.HFS
    )


def ellipse_and_table() -> np.ndarray:
    """A trunk, and a table some way below it that is smaller."""
    slices, rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    content = np.full(SHAPE, -1000.0)
    inside = ((columns - 63) / 41) ** 2 + ((rows - 40) / 27) ** 2 <= 1 - 0.02 * np.abs(slices - 6)
    content[inside] = 30.0
    content[:, 90:93, 20:100] = 100.0
    return content


def test_the_outline_encloses_the_body_and_leaves_the_table_out() -> None:
    content = ellipse_and_table()
    points = body_outline_mm(volume(content))
    slices, rows, columns = np.nonzero((content > -300) & (np.arange(SHAPE[1])[None, :, None] < 80))
    x, y, z = (
        ORIGIN[0] + SPACING[0] * columns,
        ORIGIN[1] + SPACING[1] * rows,
        ORIGIN[2] + SPACING[2] * slices,
    )
    for found, true, spacing in ((points[:, 0], x, SPACING[0]), (points[:, 1], y, SPACING[1])):
        assert found.min() <= true.min() - spacing / 2
        assert found.max() >= true.max() + spacing / 2
        assert found.min() >= true.min() - 4.5 * spacing
        assert found.max() <= true.max() + 4.5 * spacing
    assert (points[:, 2].min(), points[:, 2].max()) == pytest.approx((z.min(), z.max()))
    for number in (0, 5, 11):  # slice by slice and row by row, not only as a whole
        here = slices == number
        row = rows[here].min()
        in_row = here & (rows == row)
        near = points[np.isclose(points[:, 2], ORIGIN[2] + SPACING[2] * number)]
        assert near[:, 0].min() <= x[in_row].min()
        assert near[:, 1].min() <= y[in_row].min()


def test_a_ct_of_air_has_no_body() -> None:
    with pytest.raises(EmptyVolume, match="-300 HU"):
        body_outline_mm(volume(np.full(SHAPE, -1000.0)))
