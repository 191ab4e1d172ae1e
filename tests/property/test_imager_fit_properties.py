"""Any small misalignment of an imager is found again, whichever way it goes."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from isoalign.calibration import SurveyedDistance, assign_balls, built_in_phantom, fit_imager_geometry
from isoalign.geometry import ImagerAxis, PixelGrid, ProjectionGeometry

GRID = PixelGrid.centred(1024, 768, 0.388)
BALLS = built_in_phantom().centres_mm


@given(
    st.sampled_from([0.0, 90.0, 180.0, 270.0]),
    st.floats(-1.0, 1.0),
    st.floats(-4.0, 4.0),
    st.tuples(st.floats(-6.0, 6.0), st.floats(-6.0, 6.0)),
    st.floats(-1.5, 1.5),
    st.integers(0, 99),
)
@settings(max_examples=20, deadline=None)
def test_misalignments_are_found_again(
    nominal_deg: float, turn_deg: float, longer_mm: float, shift_mm: tuple[float, float], twist_deg: float, seed: int
) -> None:
    believed = ProjectionGeometry.from_axis(ImagerAxis(nominal_deg, 1000.0, 1500.0), GRID)
    true = ProjectionGeometry.from_axis(
        ImagerAxis(nominal_deg + turn_deg, 1000.0, 1500.0 + longer_mm, shift_mm, twist_deg), GRID
    )
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(BALLS))
    found = (true.project(BALLS) + rng.normal(0.0, 0.02, (len(BALLS), 2)))[order]
    owner = assign_balls(found, believed.project(BALLS))
    assert owner.tolist() == order.tolist()
    fit = fit_imager_geometry(BALLS[owner], found, GRID, SurveyedDistance(1000.0))
    assert fit.outliers == ()
    assert np.abs(fit.geometry.project(BALLS) - true.project(BALLS)).max() < 0.1
