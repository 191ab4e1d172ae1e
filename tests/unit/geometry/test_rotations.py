"""Rotation vectors and angles, down to the smallest."""

from __future__ import annotations

import numpy as np
import pytest

from isoalign.geometry import (
    Representation,
    TableTopPosition,
    displacement_between,
    rotation_angle_deg,
    rotation_vector_deg,
)


def rodrigues(vector_deg: np.ndarray) -> np.ndarray:
    """The rotation of a rotation vector by its series, exact for small angles."""
    x, y, z = np.radians(vector_deg)
    skew = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    term, total = np.eye(3), np.eye(3)
    for order in range(1, 30):
        term = term @ skew / order
        total = total + term
    return total


@pytest.mark.parametrize("exponent", range(-9, 3))
def test_rotation_vector_of_any_size(exponent: int) -> None:
    """Regression: vectors of about 1e-4 degrees came out up to 0.05 degrees wrong, and a couch at rest as displaced."""
    rng = np.random.default_rng(exponent + 20)
    for _ in range(300):
        direction = rng.normal(size=3)
        vector = direction / np.linalg.norm(direction) * 10.0**exponent * rng.uniform(0.1, 1.0)
        np.testing.assert_allclose(rotation_vector_deg(rodrigues(vector)), vector, atol=1e-12 + 1e-9 * 10.0**exponent)
        assert rotation_angle_deg(rodrigues(vector)) == pytest.approx(np.linalg.norm(vector), rel=1e-6, abs=1e-12)


def test_displacement_of_a_couch_that_stands() -> None:
    """Regression: two read-backs of a standing couch, 0.0001 degrees apart, were found 0.034 degrees apart."""
    iec = Representation.IEC_61217
    first = TableTopPosition(iec, 6.71309, 692.22597, -132.00681, -1.9094395, -1.6108474, -1.6958782)
    second = TableTopPosition(iec, 6.712, 692.225, -132.011, -1.90952, -1.61085, -1.69588)
    moved = displacement_between(first, second)
    assert moved.angle_deg < 1e-4
    assert moved.distance_mm < 0.01
