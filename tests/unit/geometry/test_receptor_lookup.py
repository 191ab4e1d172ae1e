"""Patient point to pixel by one matrix: against the chain of poses, and what it costs."""

from __future__ import annotations

import timeit

import numpy as np
import pytest

from isoalign.geometry import (
    FrameMismatch,
    ImagerAxis,
    InvalidGeometry,
    PatientPosition,
    PixelGrid,
    ProjectionGeometry,
    planned_fixed_from_dicom,
)
from isoalign.geometry.imaging_errors import PointBehindSource
from isoalign.geometry.receptor_lookup import ReceptorLookup

GRID = PixelGrid(1024, 768, 0.4, 0.388, (-148.0, 205.0))
GEOMETRY = ProjectionGeometry.from_axis(ImagerAxis(70.0, 1000.0, 1500.0, (4.0, -5.0), 3.0, 2.0), GRID)
POSE = planned_fixed_from_dicom(PatientPosition.HFS, (10.0, -170.0, -2.0))

SIGNS = [  # gantry angle, patient direction, moves the shadow (column, row).  Head-first supine, by hand
    (0, (1, 0, 0), (1, 0)),  # from above: left of the patient to the right of the image
    (0, (0, 0, 1), (0, -1)),  # the head is up, since rows run along -Yr
    (90, (0, 1, 0), (1, 0)),  # from the left: posterior, downwards, to the right
    (270, (0, 1, 0), (-1, 0)),
    (180, (1, 0, 0), (-1, 0)),
]


@pytest.mark.parametrize(("angle", "direction", "moves"), SIGNS)
def test_patient_directions_on_the_image(angle: float, direction: tuple[int, ...], moves: tuple[int, int]) -> None:
    geometry = ProjectionGeometry.from_axis(ImagerAxis(angle, 1000.0, 1500.0), PixelGrid.centred(100, 100, 0.5))
    lookup = ReceptorLookup.of(geometry, POSE)
    isocentre = np.array((10.0, -170.0, -2.0))
    assert lookup.pixel(*isocentre) == pytest.approx((49.5, 49.5), abs=1e-9)
    shift = np.array(lookup.pixel(*(isocentre + 10 * np.array(direction)))) - 49.5
    np.testing.assert_allclose(shift, 10 * 1.5 / 0.5 * np.array(moves), atol=1e-9)


def test_lookup_is_the_chain_of_poses() -> None:
    points = POSE.inverse().apply(np.random.default_rng(1).uniform(-150, 150, (200, 3)))
    lookup = ReceptorLookup.of(GEOMETRY, POSE)
    expected = GEOMETRY.project(POSE.apply(points))
    np.testing.assert_allclose(lookup.pixels(points), expected, atol=1e-9)
    np.testing.assert_allclose([lookup.pixel(*point) for point in points.tolist()], expected, atol=1e-9)


def test_shapes_of_arrays_are_kept() -> None:
    lookup = ReceptorLookup.of(GEOMETRY, POSE)
    assert lookup.pixels(np.zeros((2, 3, 4, 3))).shape == (2, 3, 4, 2)
    assert lookup.pixels((0.0, 0.0, 0.0)).shape == (2,)
    assert lookup.pixels(np.zeros((0, 3))).shape == (0, 2)


def test_third_row_is_the_distance_before_the_source() -> None:
    at_isocentre = ReceptorLookup.of(GEOMETRY, POSE).matrix @ (10.0, -170.0, -2.0, 1.0)
    assert at_isocentre[2] == pytest.approx(1000.0, abs=1e-9)


def test_points_at_and_behind_the_source_are_refused() -> None:
    lookup = ReceptorLookup.of(GEOMETRY, POSE)
    source = POSE.inverse().apply(GEOMETRY.source_mm)
    away = POSE.inverse().apply(1.5 * GEOMETRY.source_mm)
    for point in (source, away, (float("nan"), 0.0, 0.0)):
        with pytest.raises(PointBehindSource):
            lookup.pixel(*(float(value) for value in point))
        with pytest.raises(PointBehindSource):
            lookup.pixels([(10.0, -170.0, -2.0), point])
    with pytest.raises(InvalidGeometry):  # the older name still catches it
        lookup.pixels(away)


def test_lookup_cannot_be_changed() -> None:
    lookup = ReceptorLookup.of(GEOMETRY, POSE)
    with pytest.raises(AttributeError):
        lookup.coefficients = (0.0,) * 12  # type: ignore[misc]
    with pytest.raises(ValueError, match="read-only"):
        lookup.matrix[0, 0] = 1.0
    with pytest.raises(InvalidGeometry):
        ReceptorLookup((float("nan"),) * 12)


def test_pose_of_other_frames_is_refused() -> None:
    with pytest.raises(FrameMismatch):
        ReceptorLookup.of(GEOMETRY, POSE.inverse())  # type: ignore[arg-type]


def test_one_point_costs_at_most_five_microseconds() -> None:
    """The fastest of several repeats, so that other work on the machine does not count."""
    lookup = ReceptorLookup.of(GEOMETRY, POSE)
    fastest = min(timeit.repeat(lambda: lookup.pixel(12.0, -150.0, 30.0), number=2000, repeat=15)) / 2000
    assert fastest <= 5e-6
