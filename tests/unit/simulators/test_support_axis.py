"""Errors of the simulated couch's axis, against the definition of a turn about a displaced, leaning axis."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from isoalign.geometry import Representation, TableTopPosition, fixed_from_table
from isoalign.simulators.support_axis import SupportAxisErrors

POSITION = np.array([5.0, 700.0, -120.0, 0.4, -0.3, 0.0])
POINT_ON_TABLE = np.array([10.0, -690.0, 130.0])


def place(values: np.ndarray) -> np.ndarray:
    return np.asarray(
        fixed_from_table(TableTopPosition.from_values(Representation.IEC_61217, values)).apply(POINT_ON_TABLE)
    )


@pytest.mark.parametrize("angle", [-90.0, -30.0, 0.0, 45.0, 90.0])
def test_a_point_turns_about_the_erring_axis(angle: float) -> None:
    errors = SupportAxisErrors((0.7, -0.4), (0.1, -0.2), 0.3)
    turned = POSITION.copy()
    turned[5] = angle
    along = np.array([np.tan(np.deg2rad(0.1)), np.tan(np.deg2rad(-0.2)), 1.0])
    foot = np.array([0.7, -0.4, 0.0])
    turn = Rotation.from_rotvec(angle * along / np.linalg.norm(along), degrees=True)
    walk = 0.3 * np.array([np.cos(np.deg2rad(2 * angle)) - 1.0, np.sin(np.deg2rad(2 * angle)), 0.0])
    expected = foot + turn.apply(place(POSITION) - foot) + walk
    np.testing.assert_allclose(place(errors.applied_to(turned)), expected, atol=1e-9)


def test_without_errors_and_at_angle_zero_the_table_is_where_it_is_said_to_be() -> None:
    turned = np.array([5.0, 700.0, -120.0, 0.4, -0.3, 60.0])
    assert SupportAxisErrors().applied_to(turned) is turned
    np.testing.assert_allclose(
        SupportAxisErrors((0.7, -0.4), (0.1, -0.2), 0.3).applied_to(POSITION), POSITION, atol=1e-9
    )
