"""Drawn markers go to the centres that the CT shows, each to its own; distances by hand."""

from __future__ import annotations

import numpy as np
import pytest

from isoalign.registration import CtMarkers, PlannedMarkers, WrongFrameOfReference, refined_markers

NAMES = ("A", "B", "C")


def in_ct(*centres: tuple[float, float, float], frame: str = "1.2") -> CtMarkers:
    some = np.full(len(centres), 0.1)
    return CtMarkers(np.array(centres).reshape(-1, 3), some, some, some, some, frame, 0)


def drawn(*points: tuple[float, float, float]) -> PlannedMarkers:
    return PlannedMarkers(NAMES[: len(points)], np.array(points), "1.2")


def test_every_marker_takes_its_own_centre() -> None:
    found = refined_markers(drawn((0, 0, 0), (10, 0, 0), (0, 20, 0)), in_ct((0.5, 20.5, 0), (0.3, -0.4, 0), (10, 0, 1)))
    np.testing.assert_array_equal(found.markers.points_mm, [(0.3, -0.4, 0), (10, 0, 1), (0.5, 20.5, 0)])
    assert found.markers.names == NAMES
    assert found.not_in_ct == ()


def test_a_marker_that_the_ct_does_not_show_stays_where_it_was_drawn_and_is_named() -> None:
    found = refined_markers(drawn((0, 0, 0), (10, 0, 0)), in_ct((10.2, 0, 0), (3.1, 0, 0)))
    np.testing.assert_array_equal(found.markers.points_mm, [(0, 0, 0), (10.2, 0, 0)])
    assert found.not_in_ct == ("A",)
    nothing = refined_markers(drawn((0, 0, 0)), in_ct())
    assert nothing.not_in_ct == ("A",)


def test_no_centre_is_given_to_two_markers_though_it_is_the_nearest_of_both() -> None:
    """The nearest one of A is B's; the least sum gives A the other one."""
    found = refined_markers(drawn((0, 0, 0), (4, 0, 0)), in_ct((2.0, 0, 0), (-2.5, 0, 0)))
    np.testing.assert_array_equal(found.markers.points_mm, [(-2.5, 0, 0), (2, 0, 0)])


def test_a_marker_without_a_centre_does_not_take_that_of_another() -> None:
    """Two drawn points, one centre nearer to B: A is far from everything else, and B keeps its own."""
    found = refined_markers(drawn((0, 0, 0), (3.5, 0, 0)), in_ct((2.5, 0, 0), (60, 0, 0)))
    np.testing.assert_array_equal(found.markers.points_mm, [(0, 0, 0), (2.5, 0, 0)])
    assert found.not_in_ct == ("A",)


def test_a_ct_of_another_frame_is_refused() -> None:
    with pytest.raises(WrongFrameOfReference):
        refined_markers(drawn((0, 0, 0)), in_ct((0, 0, 0), frame="9.9"))
