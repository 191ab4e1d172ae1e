"""The hidden set-up error: seeded, inside the promised range on every axis, and exactly the one that is asked for."""

from __future__ import annotations

import numpy as np

from isoalign.geometry import residual_of
from isoalign.room.demo import HIDDEN_DEG, HIDDEN_ERROR_DEG, HIDDEN_ERROR_MM, hidden_error


def test_seeded_errors_fill_the_range_and_never_leave_it() -> None:
    found = [residual_of(hidden_error(seed, None)) for seed in range(300)]
    shifts = np.array([residual.translation_mm for residual in found])
    turns = np.array([(r.pitch_deg, r.roll_deg, r.patient_support_angle_deg) for r in found])
    assert np.abs(shifts).max() <= HIDDEN_ERROR_MM
    assert np.abs(turns).max() <= HIDDEN_ERROR_DEG
    assert (shifts.max(axis=0) > 8).all()
    assert (shifts.min(axis=0) < -8).all()
    assert (turns.max(axis=0) > 2.5).all()
    assert (turns.min(axis=0) < -2.5).all()


def test_errors_for_a_2d2d_match_turn_less() -> None:
    found = [residual_of(hidden_error(seed, None, HIDDEN_DEG["2d2d"])) for seed in range(100)]
    assert max(residual.largest_axis_deg for residual in found) <= 0.51
    assert HIDDEN_DEG["markers"] == HIDDEN_DEG["2d3d"] == HIDDEN_ERROR_DEG


def test_the_same_seed_gives_the_same_error() -> None:
    assert hidden_error(7, None) == hidden_error(7, None)
    assert hidden_error(7, None) != hidden_error(8, None)


def test_a_given_offset_is_taken_as_it_is() -> None:
    residual = residual_of(hidden_error(0, (1.0, -2.0, 3.0, 0.5, -1.0, 2.0)))
    np.testing.assert_allclose(residual.translation_mm, (1, -2, 3))
    np.testing.assert_allclose(
        (residual.pitch_deg, residual.roll_deg, residual.patient_support_angle_deg), (0.5, -1, 2), atol=1e-12
    )
