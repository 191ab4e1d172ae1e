"""Telling the balls apart."""

from __future__ import annotations

import numpy as np
import pytest

from isoalign.calibration import BallsNotRecognised, assign_balls, built_in_phantom
from isoalign.geometry import ImagerAxis, PixelGrid, ProjectionGeometry

GRID = PixelGrid.centred(1024, 768, 0.388)
NOMINAL = ProjectionGeometry.from_axis(ImagerAxis(90.0, 1000.0, 1500.0), GRID)
EXPECTED = NOMINAL.project(built_in_phantom().centres_mm)


@pytest.mark.parametrize("shift", [(12.0, -9.0), (-11.0, -12.0), (8.0, 14.0)])
@pytest.mark.parametrize("turn_deg", [-1.5, 1.5])
def test_misalignments_of_every_sign(shift: tuple[float, float], turn_deg: float) -> None:
    true = ProjectionGeometry.from_axis(ImagerAxis(90.7, 1001.0, 1494.0, shift, turn_deg), GRID)
    found = true.project(built_in_phantom().centres_mm)
    order = np.random.default_rng(1).permutation(24)
    assert assign_balls(found[order], EXPECTED).tolist() == order.tolist()


def test_strangers_are_left_out_and_missing_balls_allowed() -> None:
    strangers = np.array([[30.0, 40.0], [700.0, 900.0], [400.0, 11.0]])
    found = np.vstack([strangers, EXPECTED[4:] + 1.0])
    assert assign_balls(found, EXPECTED).tolist() == [-1, -1, -1, *range(4, 24)]


def test_no_ball_is_used_twice() -> None:
    found = np.vstack([EXPECTED, EXPECTED[7] + 1.5])
    owner = assign_balls(found, EXPECTED)
    used = owner[owner >= 0]
    assert len(set(used.tolist())) == len(used)


def test_a_mirrored_or_foreign_pattern_is_refused() -> None:
    mirrored = EXPECTED * (-1.0, 1.0) + (767.0, 0.0)
    with pytest.raises(BallsNotRecognised):
        assign_balls(mirrored, EXPECTED, least=12)
    strangers = np.random.default_rng(5).uniform(0, 700, (24, 2))
    with pytest.raises(BallsNotRecognised):
        assign_balls(strangers, EXPECTED)
    with pytest.raises(BallsNotRecognised, match="8 are needed"):
        assign_balls(EXPECTED[:5], EXPECTED)
    with pytest.raises(BallsNotRecognised, match="nominal geometry"):
        assign_balls(EXPECTED + 4000.0, EXPECTED)
