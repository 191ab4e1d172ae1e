"""Volumetric structures on the planes of the images: areas and radii of bodies whose cross-sections are known."""

from __future__ import annotations

import numpy as np
import pytest

from isoalign.dicom.objects.contour_resampling import carried_onto, resampled_onto
from isoalign.geometry import DicomPatient, Pose
from isoalign.records import Structure

IMAGES = np.arange(0.0, 40.0, 2.0)


def circle(radius: float, z: float, centre: tuple[float, float] = (10.0, -20.0)) -> np.ndarray:
    angle = np.linspace(0.0, 2.0 * np.pi, 180, endpoint=False)
    x, y = centre
    return np.column_stack([x + radius * np.cos(angle), y + radius * np.sin(angle), np.full(180, z)])


def area(contour: np.ndarray) -> float:
    x, y = contour[:, 0], contour[:, 1]
    return float(0.5 * abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)))


def volumetric(*contours: np.ndarray, kind: str = "CLOSED_PLANAR") -> Structure:
    return Structure(1, "BODY", "EXTERNAL", kind, contours)


def test_contours_on_images_stay_as_they_are() -> None:
    drawn = volumetric(circle(10, 4.0), circle(12, 6.0004))
    result = resampled_onto(drawn, IMAGES)
    np.testing.assert_array_equal(result.contours_mm[0], drawn.contours_mm[0])
    assert result.contours_mm[1][:, 2].tolist() == [6.0] * 180
    np.testing.assert_array_equal(result.contours_mm[1][:, :2], drawn.contours_mm[1][:, :2])


def test_a_cone_keeps_its_radius_at_every_image() -> None:
    """Drawn every 3 mm from 1.5 mm on; its radius is 10 mm plus half of z."""
    drawn = [circle(10.0 + z / 2.0, z) for z in np.arange(1.5, 31.6, 3.0)]
    result = resampled_onto(volumetric(*drawn), IMAGES)
    found = sorted(float(contour[0, 2]) for contour in result.contours_mm)
    assert found == [z for z in IMAGES if 0.0 < z < 33.0]
    for contour in result.contours_mm:
        z = float(np.clip(contour[0, 2], 1.5, 31.5))
        radii = np.hypot(contour[:, 0] - 10.0, contour[:, 1] + 20.0)
        np.testing.assert_allclose(radii, 10.0 + z / 2.0, atol=0.06)
        assert np.ptp(contour[:, 2]) == 0.0


def test_a_tube_keeps_its_hole() -> None:
    drawn = [circle(radius, z) for z in (1.0, 3.0, 5.0, 7.0) for radius in (12.0, 6.0)]
    result = resampled_onto(volumetric(*drawn), IMAGES)
    assert sorted(float(contour[0, 2]) for contour in result.contours_mm) == [2.0, 2.0, 4.0, 4.0, 6.0, 6.0]
    outer, inner = sorted((area(contour) for contour in result.contours_mm[:2]), reverse=True)
    assert outer == pytest.approx(np.pi * 144, rel=0.01)
    assert inner == pytest.approx(np.pi * 36, rel=0.01)


def test_two_branches_stay_apart() -> None:
    drawn = [circle(5.0, z, (x, 0.0)) for z in (1.0, 3.0, 5.0) for x in (-20.0, 20.0)]
    result = resampled_onto(volumetric(*drawn), IMAGES)
    assert sorted(round(float(contour[:, 0].mean())) for contour in result.contours_mm) == [-20, -20, 20, 20]


def test_a_structure_drawn_on_one_plane_between_images_is_on_none_of_them() -> None:
    assert resampled_onto(volumetric(circle(5.0, 1.0)), IMAGES).contours_mm == ()


def test_open_contours_go_to_the_nearest_image_and_points_stay() -> None:
    (moved,) = resampled_onto(volumetric(circle(5.0, 2.8), kind="OPEN_PLANAR"), IMAGES).contours_mm
    assert set(moved[:, 2]) == {2.0}
    point = np.array([[1.0, 2.0, 2.8]])
    (kept,) = resampled_onto(volumetric(point, kind="POINT"), IMAGES).contours_mm
    np.testing.assert_array_equal(kept, point)


def turned(angle_deg: float, shift_mm: tuple[float, float, float]) -> Pose[DicomPatient, DicomPatient]:
    """About the patient's left-right axis."""
    c, s = np.cos(np.deg2rad(angle_deg)), np.sin(np.deg2rad(angle_deg))
    return Pose(DicomPatient, DicomPatient, np.array([[1, 0, 0], [0, c, -s], [0, s, c]]), shift_mm)


def test_a_ball_stays_a_ball_when_it_is_carried_into_a_turned_frame() -> None:
    """A ball of 15 mm radius is the same ball however it is turned: its centre tells where every outline must lie."""
    centre = np.array([10.0, -20.0, 20.0])
    drawn = [circle(float(np.sqrt(225.0 - (z - 20.0) ** 2)), z) for z in np.arange(5.5, 35.0, 1.0)]
    pose = turned(12.0, (3.0, -4.0, 5.0))
    moved = pose.apply(centre)
    result = carried_onto(volumetric(*drawn), pose, np.arange(-20.0, 60.0, 2.0))
    assert len(result.contours_mm) >= 13
    for contour in result.contours_mm:
        assert np.ptp(contour[:, 2]) == 0.0
        if abs(contour[0, 2] - moved[2]) < 12.0:
            np.testing.assert_allclose(np.linalg.norm(contour - moved, axis=1), 15.0, atol=0.35)


def test_a_tube_carried_along_its_axis_keeps_length_and_hole() -> None:
    drawn = [circle(radius, z) for z in np.arange(1.0, 12.0, 2.0) for radius in (12.0, 6.0)]
    result = carried_onto(volumetric(*drawn), turned(0.0, (0.0, 0.0, 10.0)), IMAGES)
    assert sorted({float(contour[0, 2]) for contour in result.contours_mm}) == [12.0, 14.0, 16.0, 18.0, 20.0]
    assert len(result.contours_mm) == 10


def test_points_are_carried_and_open_contours_are_left_out() -> None:
    point = np.array([[1.0, 2.0, 2.8]])
    pose = turned(90.0, (1.0, 0.0, 0.0))
    (kept,) = carried_onto(volumetric(point, kind="POINT"), pose, IMAGES).contours_mm
    np.testing.assert_allclose(kept, [[2.0, -2.8, 2.0]], atol=1e-12)
    assert carried_onto(volumetric(circle(5.0, 2.0), kind="OPEN_PLANAR"), pose, IMAGES).contours_mm == ()
