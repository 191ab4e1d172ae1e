"""A displacement from projections: unseen axes are not available, never zero; an outlier is named."""

from __future__ import annotations

import itertools
import math

import numpy as np
import numpy.typing as npt
import pytest

from isoalign.calibration import (
    ProjectedOffset,
    TooManyOutliers,
    Underdetermined,
    displacement_from_projections,
    imager_to_treatment,
    offset_in_projection,
)
from isoalign.geometry import ImagerAxis, NotObservable, PixelGrid, ProjectionGeometry

Array = npt.NDArray[np.float64]
GRID = PixelGrid.centred(1000, 1000, 0.4)
SIGNS = list(itertools.product((-1.0, 1.0), repeat=3))


def seen(label: str, gantry_deg: float, shift: Array, couch_deg: float = 0.0) -> ProjectedOffset:
    """What a beam at a gantry angle shows, typed out from IEC 61217: x along (cos g, 0, -sin g), y along +Y.

    A couch angle turns the displacement counter-clockwise from above.
    """
    g, c = math.radians(gantry_deg), math.radians(couch_deg)
    x, y, z = shift
    turned = (math.cos(c) * x - math.sin(c) * y, math.sin(c) * x + math.cos(c) * y, z)
    right, up = math.cos(g) * turned[0] - math.sin(g) * turned[2], turned[1]
    geometry = ProjectionGeometry.from_axis(ImagerAxis(gantry_deg, 1000.0, 1500.0), GRID)
    centre = np.array([499.5, 499.5])
    step = np.array([right, -up]) * 1.5 / 0.4
    return offset_in_projection(label, geometry, centre, centre + step, patient_support_angle_deg=couch_deg)


@pytest.mark.parametrize("signs", SIGNS)
def test_every_sign_comes_back_from_every_beam(signs: tuple[float, ...]) -> None:
    """Including with the couch turned: averaging axis by axis would give parts of it (a known mistake elsewhere)."""
    shift = np.array([0.7, 0.4, 1.1]) * signs
    gantries = (0.0, 45.0, 90.0, 135.0, 225.0, 270.0, 315.0)
    offsets = [seen(f"g{g:g}", g, shift) for g in gantries] + [seen(f"c{c}", 0.0, shift, c) for c in (90.0, -45.0)]
    found = displacement_from_projections(offsets)
    np.testing.assert_allclose(found.require_complete(), shift, atol=1e-9)
    assert found.rms_mm < 1e-9


@pytest.mark.parametrize(
    ("gantry", "missing"), [(0.0, "vertical"), (180.0, "vertical"), (90.0, "lateral"), (270.0, "lateral")]
)
def test_the_direction_of_the_beam_is_not_available(gantry: float, missing: str) -> None:
    found = displacement_from_projections([seen(str(n), gantry, np.array([0.7, -0.4, 1.1])) for n in range(4)])
    assert found.not_available == (missing,)
    told = dict(zip(("lateral", "longitudinal", "vertical"), found.mm, strict=True))
    assert told[missing] is None
    expected = {"lateral": 0.7, "longitudinal": -0.4, "vertical": 1.1}
    assert {name: value for name, value in told.items() if value is not None} == pytest.approx(
        {name: value for name, value in expected.items() if name != missing}
    )
    assert found.sigma_mm[("lateral", "longitudinal", "vertical").index(missing)] is None
    with pytest.raises(NotObservable, match=missing):
        found.require_complete()


def test_an_oblique_beam_alone_tells_neither_of_the_axes_that_it_mixes() -> None:
    found = displacement_from_projections([seen("a", 45.0, np.array([0.7, -0.4, 1.1]))])
    assert found.not_available == ("lateral", "vertical")
    assert found.mm[1] == pytest.approx(-0.4)


def test_nearly_parallel_beams_are_one_beam() -> None:
    shift = np.array([0.7, -0.4, 1.1])
    assert displacement_from_projections([seen("a", 0.0, shift), seen("b", 3.0, shift)]).mm[2] is None
    assert displacement_from_projections([seen("a", 0.0, shift), seen("b", 15.0, shift)]).not_available == ()


def test_one_gross_outlier_is_named_whatever_beam_it_is_of() -> None:
    shift = np.array([0.7, -0.4, 1.1])
    rng = np.random.default_rng(1)
    gantries = (0.0, 30.0, 60.0, 90.0, 180.0, 225.0, 270.0, 315.0)
    for wrong in range(len(gantries)):
        offsets = []
        for number, gantry in enumerate(gantries):
            one = seen(f"g{gantry:g}", gantry, shift)
            error = rng.normal(0.0, 0.05, 2) + (np.array([1.2, -1.6]) if number == wrong else 0.0)
            offsets.append(ProjectedOffset(one.label, one.across, one.offset_mm + error))
        found = displacement_from_projections(offsets)
        assert found.outliers == (f"g{gantries[wrong]:g}",)
        np.testing.assert_allclose(found.require_complete(), shift, atol=0.15)


def test_an_axis_that_only_an_outlier_would_tell_is_not_available() -> None:
    """Four beams from above and one from the side: what disagrees cannot be proved for the axis that it alone sees."""
    shift = np.array([0.7, -0.4, 1.1])
    rng = np.random.default_rng(2)
    offsets = []
    for number in range(8):
        one = seen(str(number), 0.0, shift)
        offsets.append(ProjectedOffset(one.label, one.across, one.offset_mm + rng.normal(0.0, 0.05, 2)))
    side = seen("side", 90.0, shift)
    offsets.append(ProjectedOffset(side.label, side.across, side.offset_mm + np.array([0.0, 9.0])))
    found = displacement_from_projections(offsets)
    assert found.outliers == ("side",)
    assert found.not_available == ("vertical",)


def test_nothing_and_too_many_outliers_are_refused() -> None:
    with pytest.raises(Underdetermined):
        displacement_from_projections([])
    rng = np.random.default_rng(3)
    across = seen("a", 0.0, np.zeros(3)).across
    spread = [ProjectedOffset(str(n), across, rng.normal(0.0, 0.05, 2) + (n > 5) * 10.0 ** (n - 4)) for n in range(9)]
    with pytest.raises(TooManyOutliers):
        displacement_from_projections(spread)


@pytest.mark.parametrize("signs", SIGNS)
def test_an_imager_out_of_place_is_found_against_the_treatment_beam(signs: tuple[float, ...]) -> None:
    """The imagers truly stand displaced; the room believes that they do not. One view each: no value along the beam."""
    ball, away = np.array([0.4, -0.3, 0.2]), np.array([0.9, -0.6, 1.3]) * signs
    told = displacement_from_projections([seen(f"g{g:g}", g, ball) for g in (0.0, 90.0, 180.0, 270.0)])
    views = []
    for name, gantry in (("A", 0.0), ("B", 90.0)):
        believed = ProjectionGeometry.from_axis(ImagerAxis(gantry, 1000.0, 1500.0), GRID)
        # a source and panel moved by `away` see a ball as the unmoved ones would see it at the place less `away`
        views.append((name, believed, believed.project(ball - away)))
    found = imager_to_treatment(told, views)
    assert found["A"].mm == pytest.approx((away[0], away[1], None), abs=3e-3)
    assert found["B"].mm == pytest.approx((None, away[1], away[2]), abs=3e-3)
    with pytest.raises(NotObservable):
        imager_to_treatment(displacement_from_projections([seen("a", 0.0, ball)]), views)
