"""Corrections: applied about the isocentre, limited and re-centred, against published examples."""

from __future__ import annotations

import numpy as np
import pytest

from isoalign.geometry import (
    AXES,
    Fixed,
    InvalidGeometry,
    OutOfTravel,
    Pose,
    Representation,
    TableTopPosition,
    TravelLimits,
    apply_correction,
    displacement_mm,
    fixed_from_table,
    limit_and_recentre,
    residual_of,
    rotation_x,
    setup_error,
    transferred_to,
)

IEC = Representation.IEC_61217


def limits(angle_deg: float = 5.0) -> TravelLimits:
    return TravelLimits(
        {
            "lateral": (-250, 250),
            "longitudinal": (0, 1500),
            "vertical": (-500, 100),
            "pitch": (-angle_deg, angle_deg),
            "roll": (-angle_deg, angle_deg),
            "patient_support_angle": (-95, 95),
        }
    )


def test_room_pitch_becomes_table_roll_when_the_couch_is_turned() -> None:
    """Published example: at support angle 90, +2 degrees about the room's X is -2 degrees of table roll."""
    start = TableTopPosition(IEC, 20, 900, -150, patient_support_angle_deg=90)
    moved = apply_correction(start, Pose(Fixed, Fixed, rotation_x(2)))
    np.testing.assert_allclose(moved.values, (25.223, 900, -149.211, 0, -2, 90), atol=1e-3)


@pytest.mark.parametrize(
    ("angle", "value", "expected"),
    [
        ("pitch_deg", 3, (0, 906.617, -102.692)),
        ("roll_deg", 3, (-7.850, 900, -149.794)),
        ("yaw_deg", 3, (0, 900, -150)),
    ],
)
def test_rotation_about_the_isocentre_moves_the_table(angle: str, value: float, expected: tuple) -> None:
    zero = dict.fromkeys(("lateral_mm", "longitudinal_mm", "vertical_mm", "pitch_deg", "roll_deg", "yaw_deg"), 0.0)
    moved = apply_correction(TableTopPosition(IEC, 0, 900, -150), setup_error(**(zero | {angle: value})))
    if angle == "yaw_deg":
        assert moved.patient_support_angle_deg == pytest.approx(3)
    np.testing.assert_allclose(moved.translation_mm, expected, atol=1e-3)


def test_correction_takes_the_patient_back_exactly() -> None:
    start = TableTopPosition(IEC, 12, 700, -120, 1, -2, 30)
    error = setup_error(4, -7, 9, 2.0, -1.5, 2.5)
    table_from_point = fixed_from_table(start).inverse().apply(error.apply([[0, 0, 0], [50, -20, 30]]))
    moved = apply_correction(start, error.inverse())
    np.testing.assert_allclose(fixed_from_table(moved).apply(table_from_point), [[0, 0, 0], [50, -20, 30]], atol=1e-9)


def test_limiting_recentres_published_example() -> None:
    """Pitch 4.2 limited to 3 degrees: the isocentre point stays; 1.2 degrees remain; 1.05 mm at 50 mm."""
    desired = TableTopPosition(IEC, 5, 905, -148, 4.2, -1, 1)
    result = limit_and_recentre(desired, limits(3.0))
    assert result.limited_axes == ("pitch",)
    np.testing.assert_allclose(result.target.translation_mm, (5, 901.702, -166.920), atol=1e-3)
    assert result.target.pitch_deg == 3.0
    assert result.remaining.angle_deg == pytest.approx(1.2, abs=1e-6)
    assert result.remaining.distance_mm == pytest.approx(0, abs=1e-9)
    error = fixed_from_table(result.target) @ fixed_from_table(desired).inverse()
    largest = max(displacement_mm(error, 50 * np.eye(3)).max(), displacement_mm(error, -50 * np.eye(3)).max())
    assert largest == pytest.approx(1.05, abs=0.005)


def test_reachable_target_is_left_alone() -> None:
    desired = TableTopPosition(IEC, 5, 905, -148, 2, -1, 1)
    result = limit_and_recentre(desired, limits())
    assert result.target == desired
    assert result.limited_axes == ()
    assert result.remaining.distance_mm == 0.0


def test_translation_out_of_travel_is_refused_by_axis() -> None:
    with pytest.raises(OutOfTravel, match="vertical") as caught:
        limit_and_recentre(TableTopPosition(IEC, 0, 700, 150), limits())
    assert caught.value.facts["excess"] == {"vertical": pytest.approx(50)}


def test_travel_limits_name_every_axis() -> None:
    with pytest.raises(InvalidGeometry, match="roll"):
        TravelLimits({axis: (-1, 1) for axis in AXES if axis != "roll"})
    with pytest.raises(InvalidGeometry):
        TravelLimits(dict.fromkeys(AXES, (1, -1)))


def test_residual_in_words_and_about_another_point() -> None:
    error = setup_error(1, 2, 2, 0.5, 0, 0)
    residual = residual_of(error)
    assert residual.distance_mm == pytest.approx(3)
    assert residual.largest_axis_deg == pytest.approx(0.5)
    np.testing.assert_allclose(residual.rotation_vector_deg, (0.5, 0, 0), atol=1e-9)
    elsewhere = transferred_to(error, (0, 100, 0))
    np.testing.assert_allclose(elsewhere.translation_mm[2], 2 + 100 * np.sin(np.radians(0.5)), atol=1e-9)
