"""Nine-parameter projection geometry: printed matrices, wild parameter sets, and the bridge to RT Image terms."""

from __future__ import annotations

import numpy as np
import pytest

from isoalign.geometry import ImagerAxis, InvalidGeometry, PixelGrid, ProjectionGeometry
from isoalign.geometry.imaging_errors import (
    AnglesUndetermined,
    InconsistentProjection,
    MissingProjectionAngle,
    NoMachineAxis,
    SuspectedRadians,
)
from isoalign.geometry.nine_parameter import NineParameters, require_degrees

GRID = PixelGrid.centred(rows=1024, columns=768, spacing_mm=0.388)

PRINTED = [  # documentation of RTK: parameters and the matrix printed with them
    (
        NineParameters(1000.0, 1536.0, 271.847274780273, -117.056503295898, -1.01195001602173),
        [
            [-166.5093078829, 0, -1531.42837748039, -117056.503295898],
            [-1.01142410874151, -1536, 0.0326206557691505, -1011.95001602173],
            [-0.999480303105996, 0, 0.0322354417240802, -1000],
        ],
    ),
]

WILD = [  # RTK's test of its geometry file, in the order of AddProjection
    (615.0, 548.0, 36.0, 1.3, 1.57, 15.4, 13.48, 5.42, 7.56),
    (615.0, 15.0, -8.0, 1.3, 1.57, 15.4, 13.48, 5.42, 7.56),
    (354.0, 873.0, 3218.0, 354.4, 6587.1, 0.483, 384.4, 6874.4, 384.4),
    (1869.0, 6987.0, 684.0, 681.0, -45.1, 6548.1, 6547.0, 0.214, 0.217),
    (1532.0, 3218.0, 98732.0, -184.5, 548.1, -659.4, 123.4, 87.4, -15476.0),
    (578.0, 68.0, 9879.0, -38.4, 2158.4, -158.4, -43.3, 3218.4, 325.4),
]


@pytest.mark.parametrize(("parameters", "printed"), PRINTED)
def test_printed_matrix(parameters: NineParameters, printed: list[list[float]]) -> None:
    """Fifteen digits are printed of elements up to 1.2e5, so that 1e-9 is their rounding."""
    np.testing.assert_allclose(parameters.matrix(), printed, atol=1e-9)
    parameters.require_matrix(printed)


def test_second_projection_of_that_page_element_by_element() -> None:
    """Gantry 271.852905273438: the elements written out for a panel that is only shifted (no tilt, no twist)."""
    gantry, x, y = np.radians(271.852905273438), -117.056831359863, -1.01187002658844
    sine, cosine = np.sin(gantry), np.cos(gantry)
    by_hand = [
        [-1536 * cosine - x * sine, 0, 1536 * sine - x * cosine, 1000 * x],
        [-y * sine, -1536, -y * cosine, 1000 * y],
        [sine, 0, cosine, -1000],
    ]
    found = NineParameters(1000.0, 1536.0, 271.852905273438, x, y).matrix()
    np.testing.assert_allclose(found, by_hand, atol=1e-9)


@pytest.mark.parametrize("values", WILD)
def test_wild_angles_wrap_without_changing_the_projection(values: tuple[float, ...]) -> None:
    """Angles of many turns are kept as they are; wrapped on demand they give the same matrix.

    98732 degrees carry 1.5e-11 degrees of rounding and act on lengths up to 1.5e4 mm and an sdd of 7e3 mm.
    """
    parameters = NineParameters(*values)
    assert parameters.values == values
    wrapped = parameters.wrapped()
    for name in ("gantry_angle_deg", "out_of_plane_angle_deg", "in_plane_angle_deg"):
        assert 0.0 <= getattr(wrapped, name) < 360.0
        assert np.remainder(getattr(parameters, name) - getattr(wrapped, name), 360.0) == pytest.approx(0.0, abs=1e-9)
    scale = np.abs(parameters.matrix()).max()
    np.testing.assert_allclose(wrapped.matrix(), parameters.matrix(), atol=1e-12 * scale)


@pytest.mark.parametrize("values", WILD)
def test_wild_parameters_come_back_from_the_geometry(values: tuple[float, ...]) -> None:
    parameters = NineParameters(*values)
    geometry = parameters.to_geometry(GRID)
    back = NineParameters.from_geometry(geometry)
    scale = np.abs(parameters.matrix()).max()
    np.testing.assert_allclose(back.matrix(), parameters.matrix(), atol=1e-11 * scale)
    np.testing.assert_allclose(back.values[:2], values[:2], rtol=1e-9)


@pytest.mark.parametrize("values", WILD)
def test_matrix_is_the_cone_itself(values: tuple[float, ...]) -> None:
    """Millimetres on the receptor from the matrix, and from rays of the geometry made of the same parameters."""
    parameters = NineParameters(*values)
    geometry = parameters.to_geometry(PixelGrid(2, 2, 1.0, 1.0, (0.0, 0.0)))
    before = geometry.source_mm - geometry.fixed_from_receptor.rotation[:, 2] * 300.0
    points = before + np.random.default_rng(2).uniform(-50, 50, (20, 3))
    theirs = np.c_[points, np.ones(20)] @ parameters.matrix().T
    assert np.all(theirs[:, 2] < 0)
    ours = geometry.project(points)
    np.testing.assert_allclose(np.c_[ours[:, 0], -ours[:, 1]], theirs[:, :2] / theirs[:, 2:], atol=1e-6)


def test_projection_offset_lies_in_rotated_axes() -> None:
    """By hand: a panel moved 100 mm along Xg and turned by +90 has its origin at -100 along its own Yr."""
    parameters = NineParameters.from_axis(ImagerAxis(0.0, 1000.0, 1500.0, (100.0, 0.0), 90.0))
    assert parameters.projection_offset_x_mm == pytest.approx(0.0, abs=1e-12)
    assert parameters.projection_offset_y_mm == pytest.approx(-100.0, abs=1e-12)
    assert parameters.to_axis().receptor_translation_mm == pytest.approx((100.0, 0.0), abs=1e-12)


def test_names_of_the_distances() -> None:
    """RTK's sid is DICOM's SAD, and its sdd is DICOM's SID: a trap that moves the panel by 500 mm."""
    parameters = NineParameters.from_axis(ImagerAxis(0.0, 1000.0, 1500.0))
    assert parameters.source_to_isocenter_distance_mm == 1000.0
    assert parameters.source_to_detector_distance_mm == 1500.0


def test_axis_and_its_parameters_are_the_same_geometry() -> None:
    axis = ImagerAxis(123.0, 1000.0, 1500.0, (7.0, -8.0), 33.0, 12.0)
    direct = ProjectionGeometry.from_axis(axis, GRID)
    parameters = NineParameters.from_axis(axis)
    by_parameters = parameters.to_geometry(GRID)
    np.testing.assert_allclose(by_parameters.source_mm, direct.source_mm, atol=1e-9)
    assert by_parameters.fixed_from_receptor.is_close(direct.fixed_from_receptor, atol_deg=1e-6)
    assert by_parameters.axis is not None
    np.testing.assert_allclose(NineParameters.from_geometry(direct).values, parameters.values, atol=1e-9)


def test_gantry_angle_stays_on_the_turn_of_its_axis() -> None:
    geometry = ProjectionGeometry.from_axis(ImagerAxis(725.0, 1000.0, 1500.0), GRID)
    assert NineParameters.from_geometry(geometry).gantry_angle_deg == pytest.approx(725.0, abs=1e-9)


def test_what_an_rt_image_cannot_say_is_refused() -> None:
    off_axis = NineParameters(1000.0, 1500.0, 0.0, source_offset_x_mm=2.0)
    with pytest.raises(NoMachineAxis):
        off_axis.to_axis()
    assert off_axis.to_geometry(GRID).axis is None
    with pytest.raises(NoMachineAxis):
        NineParameters(615.0, 548.0, 0.0).to_axis()


@pytest.mark.parametrize("field", range(9))
def test_numbers_that_are_none_are_refused(field: int) -> None:
    values = [1000.0, 1500.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    for wrong in (float("nan"), float("inf")):
        values[field] = wrong
        with pytest.raises(InvalidGeometry):
            NineParameters(*values)


def test_parallel_beams_and_negative_distances_are_refused() -> None:
    for sid, sdd in ((1000.0, 0.0), (1000.0, -1500.0), (0.0, 1500.0), (-1000.0, 1500.0)):
        with pytest.raises(InvalidGeometry):
            NineParameters(sid, sdd, 0.0)


def test_placeholder_for_an_unknown_angle_is_not_an_angle() -> None:
    """Projection files of a proton gantry hold 6000 where the angle was not recorded: it would pass for 240 degrees."""
    with pytest.raises(MissingProjectionAngle):
        NineParameters(2000.0, 2560.0, 6000.0)
    assert NineParameters(2000.0, 2560.0, 6000.5).wrapped().gantry_angle_deg == pytest.approx(240.5)


def test_scan_in_radians_is_recognised() -> None:
    scan_deg = np.linspace(-30.0, 330.0, 40)
    require_degrees(scan_deg)
    with pytest.raises(SuspectedRadians):
        require_degrees(np.radians(scan_deg))
    require_degrees([1.5707963] * 40)  # one angle many times: nothing can be told
    require_degrees(np.radians(scan_deg)[:5])  # nor from a few


def test_matrix_that_contradicts_its_parameters_is_refused() -> None:
    parameters = NineParameters(1000.0, 1500.0, 30.0)
    stale = NineParameters(1000.0, 1500.0, 30.01).matrix()
    with pytest.raises(InconsistentProjection):
        parameters.require_matrix(stale)
    with pytest.raises(InconsistentProjection):
        parameters.require_matrix(np.full((3, 4), np.nan))
    with pytest.raises(InvalidGeometry):
        parameters.require_matrix(np.eye(3))


@pytest.mark.parametrize("pole", [90.0, -90.0])
def test_pole_needs_a_held_angle(pole: float) -> None:
    geometry = NineParameters(1000.0, 1500.0, 40.0, 5.0, 6.0, pole, 25.0, 1.0, 2.0).to_geometry(GRID)
    with pytest.raises(AnglesUndetermined):
        NineParameters.from_geometry(geometry)
    held = NineParameters.from_geometry(geometry, held_gantry_angle_deg=40.0)
    np.testing.assert_allclose(held.values, (1000.0, 1500.0, 40.0, 5.0, 6.0, pole, 25.0, 1.0, 2.0), atol=1e-9)
