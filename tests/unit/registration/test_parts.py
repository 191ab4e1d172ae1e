"""The parts of the match, each against an oracle of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import convolve1d

from isoalign.geometry import (
    DicomPatient,
    Fixed,
    ImagerAxis,
    PatientPosition,
    PixelGrid,
    Pose,
    ProjectionGeometry,
    RigidResidual,
    planned_fixed_from_dicom,
    residual_of,
    setup_error,
)
from isoalign.imaging import attenuation_volume, render_drr
from isoalign.records import Radiograph, Verdict, Volume
from isoalign.registration import AcceptanceLimits, PreparedVolume, gradient_correlation
from isoalign.registration.comparison_kernels import agreement_totals, equations, residuals, windowed
from isoalign.registration.kernels import local_sums, normal_equations
from isoalign.registration.quality import detail_agreement, edge_view, in_plane_motions
from isoalign.registration.response import Response, estimate_response
from isoalign.registration.settings import DEFAULT_LEVELS
from isoalign.registration.shift_search import best_shift_mm
from isoalign.registration.truncation import uncut_rays
from isoalign.registration.verdict import Figures, ViewFigures, judge
from isoalign.registration.views import LevelView, level_view, usable_views

Patient = Callable[[int], Volume]
Expose = Callable[..., tuple[Radiograph, Radiograph]]
Planned = Pose[Fixed, DicomPatient]


@pytest.mark.parametrize("radius", [1, 3, 9, 40])
def test_local_sums_equal_a_box_applied_twice(radius: int) -> None:
    stack = np.random.default_rng(0).normal(size=(3, 21, 26)).astype(np.float32)
    out = np.empty_like(stack)
    local_sums(stack, radius, out)
    box = np.ones(2 * radius + 1)
    expected = stack.astype(np.float64)
    for axis in (1, 2, 1, 2):
        expected = convolve1d(expected, box, axis=axis, mode="constant")
    np.testing.assert_allclose(out, expected, atol=1e-5 * np.abs(expected).max())


def test_normal_equations_equal_einsum() -> None:
    rng = np.random.default_rng(1)
    residual, weight = (rng.normal(size=(13, 17)).astype(np.float32) for _ in range(2))
    jacobian = rng.normal(size=(6, 13, 17)).astype(np.float32)
    matrix, vector = np.ones((6, 6)), np.full(6, 2.0)
    normal_equations(residual, jacobian, weight, matrix, vector)
    exact = jacobian.astype(np.float64)
    np.testing.assert_allclose(matrix, 1 + np.einsum("aij,ij,bij->ab", exact, weight, exact), atol=1e-4)
    np.testing.assert_allclose(vector, 2 + np.einsum("aij,ij,ij->a", exact, weight, residual), atol=1e-4)


def test_equations_equal_the_formulas_written_with_whole_arrays() -> None:
    """Local means, contrast, residual, weights and sums, in double precision and with scipy's boxes."""
    rng = np.random.default_rng(11)
    shape, radius, block = (37, 45), 3, 10
    drr, image = (rng.uniform(0.5, 4.0, shape).astype(np.float32) for _ in range(2))
    derivatives = rng.normal(size=(6, *shape)).astype(np.float32)
    mask = (rng.uniform(size=shape) > 0.1).astype(np.float32)

    def window(values: np.ndarray) -> np.ndarray:
        for axis in (0, 1, 0, 1):
            values = convolve1d(values, np.ones(2 * radius + 1), axis=axis, mode="constant")
        return values

    share = window(mask.astype(np.float64))
    mean = window((mask * image).astype(np.float64)) / share
    variance = window((mask * image * image).astype(np.float64)) / share - mean**2
    view = LevelView(
        ProjectionGeometry.from_axis(ImagerAxis(0.0, 1000.0, 1500.0), PixelGrid.centred(*shape, 1.0)),
        radius,
        mask,
        *(each.astype(np.float32) for each in (share, image, mean, image - mean, variance)),
    )
    knots = np.linspace(0.0, 5.0, 64)
    curve = Response(knots, 0.9 * knots - 0.03 * knots**2, 0.9 - 0.06 * knots).curve()
    for local in (False, True):
        curved, slope, residual, gain = (np.empty(shape, np.float32) for _ in range(4))
        stack = np.empty((9, *shape), np.float32)
        matrix, pulls = np.zeros((6, 6)), np.zeros((6, 4, 5))
        windowed(drr, derivatives, image, mask, curve, curved, slope, stack)
        local_sums(stack, radius, stack)
        totals = agreement_totals(curved, stack, view.share, view.detail, mask)
        typical = residuals(
            drr, curved, stack, view.share, view.mean, view.detail, view.variance, mask,
            0.8, local, 0.3, 0.05, 1.0, residual, gain,
        )  # fmt: skip
        agreement = equations(
            derivatives, slope, stack, view.share, gain, residual, view.detail, view.variance, mask,
            0.05, 1.7, block, matrix, pulls,
        )  # fmt: skip

        bent = 0.9 * drr.astype(np.float64) - 0.03 * drr.astype(np.float64) ** 2
        bent_by = (0.9 - 0.06 * drr) * derivatives.astype(np.float64)
        local_mean = window(mask * bent) / share
        detail = bent - local_mean
        np.testing.assert_allclose(
            totals, [(mask * view.detail * detail).sum(), (mask * detail**2).sum(), mask.sum()], rtol=1e-3
        )
        spread = np.maximum(window(mask * bent**2) / share - local_mean**2, 0)
        common = window(mask * bent * image) / share - local_mean * mean
        contrast = np.clip((common + 0.3 * 0.8) / (spread + 0.3), 0.24, 1.6) if local else 0.8
        scale = 1 / np.sqrt(variance + 0.05**2)
        left = scale * (image - mean - contrast * detail)
        np.testing.assert_allclose(residual, left, atol=2e-3)
        assert typical == pytest.approx(np.median(np.abs(left[(mask > 0) & (drr > 1.0)])), abs=3e-3)
        jacobian = scale * contrast * (bent_by - np.stack([window(mask * one) for one in bent_by]) / share)
        weight = mask / (1 + (left / 1.7) ** 2)
        np.testing.assert_allclose(matrix, np.einsum("aij,ij,bij->ab", jacobian, weight, jacobian), atol=0.3, rtol=2e-3)
        pull = jacobian * weight * left
        for row in range(4):
            for column in range(5):
                part = pull[:, row * block : (row + 1) * block, column * block : (column + 1) * block]
                np.testing.assert_allclose(pulls[:, row, column], part.sum(axis=(1, 2)), atol=0.15)
        first, second = scale * (image - mean), scale * contrast * detail
        expected = [(weight * one).sum() for one in (first * second, first**2, second**2)]
        np.testing.assert_allclose(agreement, expected, rtol=5e-3)


def test_gradient_correlation_ignores_gain_and_offset_and_notices_shifts() -> None:
    image = np.random.default_rng(2).normal(size=(40, 50)).cumsum(axis=0).cumsum(axis=1)
    assert gradient_correlation(image, 3.0 * image - 7.0) == pytest.approx(1.0)
    assert gradient_correlation(image, -image) == pytest.approx(-1.0)
    unrelated = np.random.default_rng(3).normal(size=(40, 50)).cumsum(axis=0).cumsum(axis=1)
    assert abs(gradient_correlation(image, unrelated)) < 0.3
    assert gradient_correlation(image[:, 3:], image[:, :-3]) < 0.6
    spoiled = image.copy()
    spoiled[:20] += 100 * np.random.default_rng(4).normal(size=(20, 50))
    mask = np.zeros(image.shape)
    mask[20:] = 1
    assert gradient_correlation(image, spoiled, mask) == pytest.approx(1.0)
    assert gradient_correlation(image, spoiled) < 0.5
    assert gradient_correlation(np.zeros((9, 9)), np.ones((9, 9))) == 0.0


@pytest.mark.parametrize("bend", [False, True])
def test_edges_compared_by_compiled_code_are_those_of_whole_arrays(bend: bool) -> None:
    rng = np.random.default_rng(8)
    shape = (41, 37)
    integrals, drr = (rng.normal(size=shape).cumsum(axis=0).cumsum(axis=1) for _ in range(2))
    drr = (0.5 * integrals + drr).astype(np.float32)
    drr = np.where(np.abs(drr) > 1.0, drr, 0.0).astype(np.float32)
    mask = (rng.uniform(size=shape) > 0.05).astype(np.float32)

    def window(values: np.ndarray) -> np.ndarray:
        for axis in (0, 1, 0, 1):
            values = convolve1d(values.astype(np.float64), np.ones(3), axis=axis, mode="constant")
        return values

    share = window(mask)
    zeros = np.zeros(shape, np.float32)
    geometry = ProjectionGeometry.from_axis(ImagerAxis(0.0, 1000.0, 1500.0), PixelGrid.centred(*shape, 1.0))
    image = integrals.astype(np.float32)
    seen = edge_view(LevelView(geometry, 1, mask, share.astype(np.float32), image, zeros, zeros, zeros))
    knots = np.linspace(0.0, 20.0, 64)
    response = Response(knots, 3.0 * np.sin(knots / 15.0), np.cos(knots / 15.0) / 5.0) if bend else None
    bent = drr if response is None else response.apply(drr)[0]
    expected = gradient_correlation(
        window(mask * integrals) / share, window(mask * bent.astype(np.float64)) / share, mask * (drr > 0.05)
    )
    assert 0.1 < abs(expected) < 0.99
    assert seen.correlation(drr, response) == pytest.approx(expected, abs=2e-4)
    assert seen.correlation(zeros) == 0.0


def test_response_finds_hardening_and_a_floor_of_scatter() -> None:
    rng = np.random.default_rng(5)
    drr = rng.uniform(0.1, 5.0, 40000).astype(np.float32)

    def bend(values: np.ndarray) -> np.ndarray:
        return -np.log(0.99 * np.exp(-0.9 * values) + 0.01)

    image = (bend(drr) + rng.normal(0.0, 0.02, drr.size)).astype(np.float32)
    response = estimate_response(drr, image)
    assert response is not None
    asked = np.linspace(0.3, 4.8, 30).astype(np.float32)
    seen, slope = response.apply(asked)
    np.testing.assert_allclose(seen, bend(asked), atol=0.03)
    exact = (bend(asked + 1e-2) - bend(asked - 1e-2)) / 2e-2
    np.testing.assert_allclose(slope, exact, atol=0.06)
    beyond, _ = response.apply(np.array([6.0, 8.0], np.float32))
    assert beyond[1] > beyond[0] > seen[-1]


def test_response_never_falls_and_asks_for_enough_pixels() -> None:
    rng = np.random.default_rng(6)
    drr = rng.uniform(0.1, 5.0, 5000).astype(np.float32)
    response = estimate_response(drr, -drr)
    assert response is not None
    assert (response.slope > 0).all()
    assert estimate_response(drr[:100], drr[:100]) is None
    assert estimate_response(np.ones(5000, np.float32), np.ones(5000, np.float32)) is None


def test_rays_through_a_cut_end_are_left_out() -> None:
    """A rod along z, cut at both ends: from the side its middle is whole, rays that leave by an end are not."""
    hounsfield = np.full((40, 31, 31), -1000, np.int16)
    hounsfield[:, 10:21, 10:21] = 0
    volume = Volume(hounsfield, np.array([-30.0, -30.0, -39.0]), np.full(3, 2.0), np.eye(3), "1", PatientPosition.HFS)
    pose = planned_fixed_from_dicom(PatientPosition.HFS, np.zeros(3))
    geometry = ProjectionGeometry.from_axis(ImagerAxis(0.0, 1000.0, 1500.0), PixelGrid.centred(300, 11, 0.5))
    attenuation = attenuation_volume(volume)
    assert set(attenuation.fine.cut_faces) == {(2, 0), (2, 1)}
    left_out = ~uncut_rays(attenuation.levels[0], geometry, pose)[:, 5]
    # end faces at 40 mm, 11 mm deep to either side of the isocentre: 40 / (1 + 0.011) to 40 / (1 - 0.011) mm
    rows_mm = np.abs(geometry.grid.receptor_points_mm(np.stack([np.zeros(300), np.arange(300)], -1))[:, 1]) / 1.5
    np.testing.assert_array_equal(left_out, (rows_mm > 39.565) & (rows_mm < 40.445))
    assert np.count_nonzero(left_out) == 4
    assert (render_drr(attenuation, geometry, pose)[:, 5][left_out] > 0).any()


def test_in_plane_motions_move_the_image_and_not_the_depth() -> None:
    for angle in (0.0, 37.0, 90.0):
        geometry = ProjectionGeometry.from_axis(ImagerAxis(angle, 1000.0, 1500.0), PixelGrid.centred(10, 10, 1.0))
        motions = in_plane_motions(geometry)
        sight = geometry.source_mm / 1000.0
        np.testing.assert_allclose(motions[:3].T @ sight, 0.0, atol=1e-12)
        np.testing.assert_allclose(motions[3:, 2], sight, atol=1e-12)
        moved_px = geometry.project(motions[:3, 0]) - geometry.project(np.zeros(3))
        np.testing.assert_allclose(moved_px, [1.5, 0.0], atol=1e-9)


def test_shift_search_finds_a_wide_shift(
    prepared: PreparedVolume, patient: Patient, take: Expose, planned: Planned
) -> None:
    level, grid = DEFAULT_LEVELS[0], prepared.attenuation.levels[2]
    shift = np.array([22.0, -30.0, 16.0])
    views = usable_views(take(patient(0), setup_error(*shift, 0.0, 0.0, 0.0)))
    seen = [level_view(view, level, grid, planned) for view in views]
    np.testing.assert_allclose(best_shift_mm(seen, grid, planned, 40.0), shift, atol=4.0)


def test_details_tell_patients_apart_where_outlines_do_not(
    prepared: PreparedVolume, patient: Patient, take: Expose, planned: Planned
) -> None:
    level, grid = replace(DEFAULT_LEVELS[2], window_mm=5.0), prepared.attenuation.levels[0]
    none = setup_error(0, 0, 0, 0, 0, 0)
    for other, least, most in ((0, 0.93, 1.0), (5, -1.0, 0.7)):
        view = usable_views(take(patient(other), none))[0]
        seen = level_view(view, level, grid, planned)
        drr = render_drr(prepared.attenuation, seen.geometry, planned)
        assert least < detail_agreement(seen, drr) < most


def left(distance_mm: float = 0.0, turn_deg: float = 0.0) -> RigidResidual:
    return residual_of(setup_error(distance_mm, 0.0, 0.0, 0.0, 0.0, turn_deg))


GOOD_VIEW = ViewFigures("A", 0.3, 0.9, 0.98, 0.6, left(0.05, 0.05), 0.05)
GOOD = Figures(
    True,
    False,
    left(5.0, 2.0),
    (GOOD_VIEW, replace(GOOD_VIEW, imager="B")),
    left(0.01),
    np.full(3, 0.05),
    np.full(3, 0.05),
    40.0,
    0.2,
)


def with_view(**changes: object) -> Figures:
    return replace(GOOD, views=(GOOD_VIEW, replace(GOOD_VIEW, imager="B", **changes)))


VERDICTS = [
    (GOOD, Verdict.ACCEPTED, "agree in edges"),
    (replace(GOOD, converged=False), Verdict.FAILED, "did not settle"),
    (replace(GOOD, strayed=True), Verdict.FAILED, "left the neighbourhood"),
    (with_view(correlation_end=0.39), Verdict.FAILED, "imager B does not show what the CT predicts"),
    (with_view(correlation_end=0.59), Verdict.DOUBTFUL, "imager B agrees poorly"),
    (with_view(detail=0.69), Verdict.FAILED, "is it this patient"),
    (with_view(detail=0.84), Verdict.DOUBTFUL, "details in the radiograph of imager B differ"),
    (with_view(correlation_start=0.93), Verdict.DOUBTFUL, "agrees less at the found position"),
    (with_view(coverage=0.09), Verdict.DOUBTFUL, "only 9 %"),
    (with_view(alone=left(0.6)), Verdict.DOUBTFUL, "alone disagrees with the common result by 0.6 mm"),
    (with_view(alone=left(0.0, 0.6)), Verdict.DOUBTFUL, "0.6 degrees"),
    (with_view(opinion_mm=1.3), Verdict.DOUBTFUL, "would fit best 1.3 mm away"),
    (replace(GOOD, opinion_deg=1.6), Verdict.DOUBTFUL, "would fit best turned by 1.6 degrees"),
    (replace(GOOD, condition=2000.0), Verdict.DOUBTFUL, "leave a motion open"),
    (replace(GOOD, error=left(31.0)), Verdict.DOUBTFUL, "larger than plausible (31 mm"),
    (replace(GOOD, error=left(1.0, 8.5)), Verdict.DOUBTFUL, "8.5 degrees on one axis"),
    (replace(GOOD, restart=None), Verdict.DOUBTFUL, "no second search"),
    (replace(GOOD, restart=left(0.4)), Verdict.DOUBTFUL, "another start ended 0.4 mm"),
    (replace(GOOD, restart=left(0.0, 0.4)), Verdict.DOUBTFUL, "0.4 degrees away"),
    (replace(GOOD, sigma_mm=np.array([0.05, 0.25, 0.05])), Verdict.DOUBTFUL, "hold too little"),
    (replace(GOOD, sigma_deg=np.array([0.05, 0.05, 0.25])), Verdict.DOUBTFUL, "hold too little"),
]


@pytest.mark.parametrize(("figures", "verdict", "words"), VERDICTS, ids=[words for _, _, words in VERDICTS])
def test_each_criterion_alone_decides(figures: Figures, verdict: Verdict, words: str) -> None:
    found, reasons = judge(figures, AcceptanceLimits())
    assert found is verdict
    assert any(words in reason for reason in reasons), reasons
    if verdict is not Verdict.ACCEPTED:
        assert len(reasons) == 1


def test_all_reasons_are_named() -> None:
    figures = replace(with_view(coverage=0.05, alone=left(2.0)), restart=left(3.0), error=left(60.0))
    verdict, reasons = judge(figures, AcceptanceLimits())
    assert verdict is Verdict.DOUBTFUL
    assert len(reasons) == 4
