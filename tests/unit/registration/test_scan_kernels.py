"""The compiled parts of the 3D/3D match against the same formulas written with whole arrays."""

from __future__ import annotations

import numpy as np
import pytest

from isoalign.registration.scan_kernels import (
    UNKNOWN,
    point_normal_equations,
    shaded_correlation,
    tukey_weights,
)


@pytest.mark.parametrize("count", [40, 2048, 5003])
def test_sums_over_points_equal_the_formulas(count: int) -> None:
    """Parts of less than, of exactly and of more than as many points as are summed side by side."""
    rng = np.random.default_rng(count)
    design = rng.normal(size=(count, 17)).astype(np.float32)
    shown, planned = (rng.normal(size=count).astype(np.float32) for _ in range(2))
    shown[::7] = UNKNOWN
    known = shown > UNKNOWN
    residual = rng.normal(size=count).astype(np.float32)
    weight = np.empty(count, np.float32)
    tukey_weights(shown, residual, 1.5, weight)
    np.testing.assert_allclose(weight, known * np.clip(1 - (residual / 1.5) ** 2, 0, None) ** 2, atol=1e-5)
    matrix, vector, correlation = np.zeros((17, 17)), np.zeros(17), np.zeros(1)
    point_normal_equations(design, residual, weight, matrix, vector)
    exact = design.astype(np.float64)
    np.testing.assert_allclose(matrix, (exact * weight[:, None]).T @ exact, atol=1e-6 * count)
    np.testing.assert_allclose(vector, (exact * weight[:, None]).T @ residual, atol=1e-6 * count)
    shading = rng.normal(size=10).astype(np.float32)
    shaded_correlation(shown, design, shading, planned, correlation)
    flat = shown[known] + exact[known, 7:] @ shading
    assert correlation[0] == pytest.approx(np.corrcoef(flat, planned[known])[0, 1], abs=1e-5)
