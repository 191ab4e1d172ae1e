"""Limits per axis and optimal: published figures, and an independent search for the optimum."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from isoalign.geometry import (
    LimitMethod,
    OutOfTravel,
    Representation,
    TableTopPosition,
    TravelLimits,
    fixed_from_table,
    limit_and_recentre,
)

IEC = Representation.IEC_61217


def limits(angle_deg: float = 5.0, psa_deg: float = 95.0) -> TravelLimits:
    return TravelLimits(
        {
            "lateral": (-250, 250),
            "longitudinal": (0, 1500),
            "vertical": (-500, 300),
            "pitch": (-angle_deg, angle_deg),
            "roll": (-angle_deg, angle_deg),
            "patient_support_angle": (-psa_deg, psa_deg),
        }
    )


def angle_between(first: TableTopPosition, second: TableTopPosition) -> float:
    """By scipy, from the angles alone."""
    one, other = (
        Rotation.from_euler("ZXY", [p.patient_support_angle_deg, p.pitch_deg, p.roll_deg], degrees=True)
        for p in (first, second)
    )
    return float(np.degrees((one * other.inv()).magnitude()))


def test_published_example_of_both_methods() -> None:
    """Pitch 12, roll -14 limited to 5: per axis 11.397 degrees remain, with the support at 28.66 only 11.319."""
    desired = TableTopPosition(IEC, 5, 905, -148, 12, -14, 30)
    per_axis = limit_and_recentre(desired, limits())
    optimal = limit_and_recentre(desired, limits(), method=LimitMethod.OPTIMAL)
    assert per_axis.remaining.angle_deg == pytest.approx(11.397, abs=5e-4)
    assert optimal.remaining.angle_deg == pytest.approx(11.319, abs=5e-4)
    assert optimal.target.patient_support_angle_deg == pytest.approx(28.66, abs=5e-3)
    assert per_axis.limited_axes == optimal.limited_axes == ("pitch", "roll")
    for result in (per_axis, optimal):
        assert angle_between(result.target, desired) == pytest.approx(result.remaining.angle_deg, abs=1e-6)


@pytest.mark.parametrize("method", LimitMethod)
@pytest.mark.parametrize("angles", [(12, -14, 30), (-9, 0.5, 0), (4, 7, -95), (20, 20, 80), (5.001, 0, 0)])
def test_the_isocentre_point_stays_whatever_is_limited(method: LimitMethod, angles: tuple) -> None:
    desired = TableTopPosition(IEC, 5, 905, -148, *angles)
    result = limit_and_recentre(desired, limits(), method=method)
    point = fixed_from_table(desired).inverse().apply((0, 0, 0))
    np.testing.assert_allclose(fixed_from_table(result.target).apply(point), 0, atol=1e-9)
    assert not limits().violations(result.target)
    assert result.remaining.distance_mm == pytest.approx(0, abs=1e-9)


def test_optimum_against_a_search_over_a_grid() -> None:
    rng = np.random.default_rng(8)
    for _ in range(12):
        pitch, roll, psa = rng.uniform(-18, 18), rng.uniform(-18, 18), rng.uniform(-80, 80)
        desired = TableTopPosition(IEC, 0, 900, -100, pitch, roll, psa)
        optimal = limit_and_recentre(desired, limits(), method=LimitMethod.OPTIMAL)
        per_axis = limit_and_recentre(desired, limits())
        if not per_axis.limited_axes:
            continue
        grid = np.array(
            np.meshgrid(psa + np.linspace(-6, 6, 49), np.linspace(-5, 5, 21), np.linspace(-5, 5, 21), indexing="ij")
        ).reshape(3, -1)
        wanted = Rotation.from_euler("ZXY", [psa, pitch, roll], degrees=True)
        tried = np.degrees((Rotation.from_euler("ZXY", grid.T, degrees=True) * wanted.inv()).magnitude())
        assert optimal.remaining.angle_deg <= tried.min() + 1e-6
        assert optimal.remaining.angle_deg >= tried.min() - 0.15, "no finer than the grid allows"
        assert optimal.remaining.angle_deg <= per_axis.remaining.angle_deg + 1e-12


def test_one_axis_slightly_over_needs_no_other_axis() -> None:
    desired = TableTopPosition(IEC, 0, 900, -100, 5.2, 0, 0)
    optimal = limit_and_recentre(desired, limits(), method=LimitMethod.OPTIMAL)
    np.testing.assert_allclose(optimal.target.values[3:], (5, 0, 0), atol=1e-4)


def test_clipping_without_recentring_would_miss() -> None:
    """Published: 19.2 mm off for a pitch of 4.2 limited to 3 degrees on this table."""
    desired = TableTopPosition(IEC, 5, 905, -148, 4.2, -1, 1)
    clipped = TableTopPosition(IEC, 5, 905, -148, 3.0, -1, 1)
    point = fixed_from_table(desired).inverse().apply((0, 0, 0))
    assert np.linalg.norm(fixed_from_table(clipped).apply(point)) == pytest.approx(19.2, abs=0.05)


def test_translation_that_recentring_puts_out_of_reach_is_refused() -> None:
    narrow = limits(1.0)
    with pytest.raises(OutOfTravel, match="vertical") as caught:
        limit_and_recentre(
            TableTopPosition(IEC, 0, 1400, 290, 10, 0, 0), TravelLimits({**narrow.ranges, "vertical": (-500, 60)})
        )
    assert "vertical" in caught.value.facts["excess"]
