"""Cone-beam projection: signs by hand, matrix and ray forms against each other and against a public example."""

from __future__ import annotations

import numpy as np
import pytest

from isoalign.geometry import ImagerAxis, InvalidGeometry, PixelGrid, ProjectionGeometry

GRID = PixelGrid.centred(rows=1024, columns=768, spacing_mm=0.388)


def geometry_at(angle_deg: float, **changes: object) -> ProjectionGeometry:
    return ProjectionGeometry.from_axis(ImagerAxis(angle_deg, 1000.0, 1500.0, **changes), GRID)  # type: ignore[arg-type]


SIGNS = [  # gantry angle, point in the room, moves the shadow (column, row).  Typed by hand: seen from the source
    (0, (10, 0, 0), (+1, 0)),  # source above: +X to the right
    (0, (0, 10, 0), (0, -1)),  # towards the gantry is up in the image
    (90, (0, 10, 0), (0, -1)),
    (90, (0, 0, 10), (-1, 0)),  # source at +X looking to -X: up in the room lies to the left, since +Xr is -Zf
    (180, (10, 0, 0), (-1, 0)),
    (270, (0, 0, 10), (+1, 0)),
]


@pytest.mark.parametrize(("angle", "point", "direction"), SIGNS)
def test_shadow_moves_the_right_way(angle: float, point: tuple[float, ...], direction: tuple[int, int]) -> None:
    geometry = geometry_at(angle)
    shift = geometry.project(point) - geometry.project((0, 0, 0))
    np.testing.assert_allclose(shift, np.array(direction) * 10 * 1.5 / 0.388, atol=1e-9)


@pytest.mark.parametrize(
    ("angle", "source"), [(0, (0, 0, 1000)), (90, (1000, 0, 0)), (180, (0, 0, -1000)), (270, (-1000, 0, 0))]
)
def test_source_goes_clockwise_seen_towards_the_gantry(angle: float, source: tuple[float, ...]) -> None:
    np.testing.assert_allclose(geometry_at(angle).source_mm, source, atol=1e-9)


def test_isocentre_falls_on_the_middle_of_a_centred_panel() -> None:
    np.testing.assert_allclose(geometry_at(37.0).project((0, 0, 0)), ((768 - 1) / 2, (1024 - 1) / 2), atol=1e-9)


def test_projection_lies_on_the_ray_from_the_source() -> None:
    geometry = geometry_at(33.0, receptor_translation_mm=(5.0, -7.0), receptor_angle_deg=2.0)
    points = np.random.default_rng(3).uniform(-80, 80, (50, 3))
    pixels = geometry.fixed_from_receptor.apply(GRID.receptor_points_mm(geometry.project(points)))
    along = points - geometry.source_mm
    beyond = pixels - geometry.source_mm
    np.testing.assert_allclose(np.cross(along, beyond), 0, atol=1e-5)


def test_matrix_form_agrees_with_the_ray_form() -> None:
    geometry = geometry_at(123.0, receptor_translation_mm=(-3.0, 4.0), receptor_angle_deg=-1.5)
    points = np.random.default_rng(4).uniform(-80, 80, (50, 3))
    homogeneous = np.c_[points, np.ones(50)] @ geometry.projection_matrix().T
    np.testing.assert_allclose(homogeneous[:, :2] / homogeneous[:, 2:], geometry.project(points), atol=1e-9)


def test_public_projection_matrix_of_a_cone_beam_toolkit() -> None:
    """Published example (sid 1000, sdd 1536, gantry 271.847, offsets -117.06 / -1.01 mm), documentation of RTK.

    Its matrix maps IEC fixed coordinates to millimetres (Xr, Yr) on the receptor, counted from the receptor's origin.
    """
    printed = np.array(
        [
            [-166.5093078829, 0, -1531.42837748039, -117056.503295898],
            [-1.01142410874151, -1536, 0.0326206557691505, -1011.95001602173],
            [-0.999480303105996, 0, 0.0322354417240802, -1000],
        ]
    )
    grid = PixelGrid(2, 2, 1.0, 1.0, (0.0, 0.0))
    axis = ImagerAxis(271.847274780273, 1000.0, 1536.0, (-117.056503295898, -1.01195001602173))
    geometry = ProjectionGeometry.from_axis(axis, grid)
    points = np.random.default_rng(5).uniform(-100, 100, (20, 3))
    theirs = np.c_[points, np.ones(20)] @ printed.T
    theirs = theirs[:, :2] / theirs[:, 2:]
    ours = geometry.project(points)
    np.testing.assert_allclose(np.c_[ours[:, 0], -ours[:, 1]], theirs, atol=1e-8)


def test_receptor_z_is_sad_minus_sid_and_first_pixel_is_upper_left() -> None:
    geometry = geometry_at(0.0)
    np.testing.assert_allclose(geometry.fixed_from_receptor.translation_mm, (0, 0, -500), atol=1e-12)
    corner = geometry.pixel_centres_mm()[0, 0]
    np.testing.assert_allclose(corner, (-767 / 2 * 0.388, 1023 / 2 * 0.388, -500), atol=1e-9)


def test_binning_keeps_the_field_in_place() -> None:
    coarse = GRID.binned(4)
    assert (coarse.rows, coarse.columns) == (256, 192)
    block = GRID.receptor_points_mm([[c, r] for c in range(4) for r in range(4)]).mean(axis=0)
    np.testing.assert_allclose(coarse.receptor_points_mm((0, 0)), block, atol=1e-12)


def test_points_behind_the_source_and_impossible_distances_are_refused() -> None:
    with pytest.raises(InvalidGeometry):
        geometry_at(0.0).project((0, 0, 1000.0))
    with pytest.raises(InvalidGeometry):
        ImagerAxis(0.0, 1500.0, 1000.0)
    with pytest.raises(InvalidGeometry):
        PixelGrid.centred(0, 10, 0.4)
