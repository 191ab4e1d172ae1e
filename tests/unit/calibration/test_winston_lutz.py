"""Winston-Lutz on images that are drawn here: field with penumbra, ball, noise, a block's edge, either polarity."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from scipy import ndimage

from isoalign.calibration import (
    BallsNotFound,
    BeamImage,
    CouchAngles,
    CouchAnglesContradicted,
    FieldNotFound,
    ImageVerdict,
    Underdetermined,
    analyse_winston_lutz,
    find_ball_in_field,
)
from isoalign.geometry import ImagerAxis, PixelGrid, ProjectionGeometry

ROWS, COLUMNS, PIXEL_MM, SAD, SID = 84, 90, 0.784, 1000.0, 1500.0
OVER = 4
GANTRIES = (0.0, 45.0, 90.0, 135.0, 225.0, 270.0, 315.0)


def drawn(
    label: str,
    *,
    gantry_deg: float = 0.0,
    couch_deg: float = 0.0,
    ball_mm: Sequence[float] = (0.0, 0.0, 0.0),
    field_mm: Sequence[float] = (0.0, 0.0),
    inverted: bool = False,
    edge: bool = False,
    contrast: float = 0.3,
    noise: float = 4.0,
    seed: int = 0,
) -> BeamImage:
    """One image, supersampled. ``ball_mm`` is where the ball is in the room, ``field_mm`` the field right and up."""
    g = math.radians(gantry_deg)
    right = math.cos(g) * ball_mm[0] - math.sin(g) * ball_mm[2]
    ball = np.array([right, ball_mm[1]])
    grid = PixelGrid.centred(ROWS, COLUMNS, PIXEL_MM)
    v, u = (np.mgrid[0 : ROWS * OVER, 0 : COLUMNS * OVER] + 0.5) / OVER - 0.5
    x = (u * PIXEL_MM + grid.first_pixel_mm[0]) * SAD / SID
    y = (grid.first_pixel_mm[1] - v * PIXEL_MM) * SAD / SID
    field = (np.abs(x - field_mm[0]) < 10.0) & (np.abs(y - field_mm[1]) < 9.0)
    signal = ndimage.gaussian_filter(field.astype(float), 1.2 * OVER)
    height = np.sqrt(np.maximum(1.0 - ((x - ball[0]) ** 2 + (y - ball[1]) ** 2) / 2.5**2, 0.0))
    block = 0.08 * (x > 4.5) + 0.003 * x if edge else 0.0
    signal *= ndimage.gaussian_filter(np.exp(-contrast * height - block), 0.8 * OVER)
    counts = 1500.0 * signal.reshape(ROWS, OVER, COLUMNS, OVER).mean(axis=(1, 3))
    counts += noise * np.random.default_rng(seed).standard_normal(counts.shape)
    pixels = np.rint(16_000.0 - counts if inverted else 1_000.0 + counts).astype(np.uint16)
    geometry = ProjectionGeometry.from_axis(ImagerAxis(gantry_deg, SAD, SID), grid)
    return BeamImage(label, pixels, geometry, couch_deg)


def turned(angle_deg: float, axis: Sequence[float], ball: Sequence[float]) -> tuple[float, float, float]:
    a = math.radians(angle_deg)
    x, y = ball[0] - axis[0], ball[1] - axis[1]
    return (axis[0] + math.cos(a) * x - math.sin(a) * y, axis[1] + math.sin(a) * x + math.cos(a) * y, ball[2])


def series(
    ball: Sequence[float], axis: Sequence[float], *, sense: float = 1.0, named: float | None = None
) -> list[BeamImage]:
    """Seven gantry and five couch angles. ``sense`` -1: tags count the other way around; ``named``: the names do."""
    images = [drawn(f"gantry{g:g}", gantry_deg=g, ball_mm=ball, seed=int(g)) for g in GANTRIES]
    for number, angle in enumerate((-90.0, -45.0, 0.0, 45.0, 90.0)):
        label = f"couch{(named * angle) % 360:g}" if named is not None else f"image{number}"
        tag = (sense * angle) % 360.0
        images.append(drawn(label, couch_deg=tag, ball_mm=turned(angle, axis, ball), seed=number))
    return images


@pytest.mark.parametrize("inverted", [False, True])
@pytest.mark.parametrize("step", [(0.0, 0.0), (0.13, -0.21), (-0.4, 0.37)])
def test_field_and_ball_are_found_to_a_part_of_a_pixel(inverted: bool, step: tuple[float, float]) -> None:
    image = drawn("one", ball_mm=(step[0], step[1], 0.0), field_mm=(-2 * step[1], step[0]), inverted=inverted)
    found = find_ball_in_field(image, 2.5)
    pixel = PIXEL_MM * SAD / SID
    centre = np.array([(COLUMNS - 1) / 2, (ROWS - 1) / 2])
    ball = (found.ball_px - centre) * pixel
    field = (found.field_px - centre) * pixel
    np.testing.assert_allclose(ball, (step[0], -step[1]), atol=0.03)
    np.testing.assert_allclose(field, (-2 * step[1], -step[0]), atol=0.03)


def test_the_edge_of_a_block_near_the_ball_moves_it_little() -> None:
    missed = [
        (
            find_ball_in_field(drawn("one", ball_mm=(0.1 * n, 0.0, 0.0), edge=True, seed=n + 3), 2.5).ball_px[0]
            - (COLUMNS - 1) / 2
        )
        * PIXEL_MM
        * SAD
        / SID
        - 0.1 * n
        for n in range(-3, 4)
    ]
    assert max(map(abs, missed)) < 0.06


def test_dead_pixels_do_no_harm() -> None:
    image = drawn("one", ball_mm=(0.3, 0.2, 0.0))
    pixels = np.array(image.pixels)
    pixels[10, 10], pixels[42, 45], pixels[37, 55] = 65535, 0, 65535
    broken = BeamImage("one", pixels, image.geometry, 0.0)
    whole, found = find_ball_in_field(image, 2.5), find_ball_in_field(broken, 2.5)
    assert np.abs(found.ball_px - whole.ball_px).max() < 0.05
    assert np.abs(found.field_px - whole.field_px).max() < 0.05


def test_no_field_and_no_ball_are_told_apart() -> None:
    flat = drawn("flat")
    noise = np.random.default_rng(0).normal(1000.0, 5.0, (ROWS, COLUMNS)).astype(np.uint16)
    with pytest.raises(FieldNotFound, match="flat"):
        find_ball_in_field(BeamImage("flat", noise, flat.geometry, 0.0), 2.5)
    with pytest.raises(FieldNotFound, match="edge"):
        find_ball_in_field(drawn("edge", field_mm=(18.0, 0.0)), 2.5)
    with pytest.raises(BallsNotFound, match="empty"):
        find_ball_in_field(drawn("empty", contrast=0.0), 2.5)


@pytest.mark.parametrize("signs", [(1, 1, 1), (-1, 1, 1), (1, -1, 1), (1, 1, -1), (-1, -1, -1)])
def test_the_ball_and_the_axis_of_the_couch_come_back(signs: tuple[int, int, int]) -> None:
    ball = (0.6 * signs[0], -0.9 * signs[1], 0.4 * signs[2])
    axis = (-0.5 * signs[1], 0.3 * signs[0])
    found = analyse_winston_lutz(series(ball, axis))
    np.testing.assert_allclose(found.ball.require_complete(), ball, atol=0.05)
    assert found.couch is not None
    np.testing.assert_allclose(found.couch.axis_mm, axis, atol=0.08)
    assert found.couch.tilt_deg is None
    assert not found.advice


def test_a_displaced_couch_axis_does_not_move_the_ball_but_would_if_it_were_thought_ideal() -> None:
    ball = (0.6, -0.9, 0.4)
    found = analyse_winston_lutz(series(ball, (-0.8, 0.7)))
    np.testing.assert_allclose(found.ball.require_complete(), ball, atol=0.05)
    assert np.abs(found.ball_if_couch_is_ideal.require_complete() - ball).max() > 0.2


def test_images_from_above_alone_tell_no_height() -> None:
    found = analyse_winston_lutz([drawn(str(n), ball_mm=(0.5, 0.2, 0.9), seed=n) for n in range(3)])
    assert found.ball.mm[2] is None
    assert found.ball.mm[:2] == pytest.approx((0.5, 0.2), abs=0.05)
    assert found.couch is None
    assert "different angles" in found.couch_refused


def test_names_that_run_opposite_are_noticed_and_the_images_confirm_the_tags() -> None:
    found = analyse_winston_lutz(series((4.0, 2.0, 0.4), (0.2, -0.1), named=-1.0))
    (advice,) = found.advice
    assert advice.labels == ("couch90", "couch45", "couch315", "couch270")
    assert advice.verdict is ImageVerdict.CONFIRM
    assert "opposite" in advice.text


def test_tags_that_run_opposite_are_refused_until_somebody_says_how_they_are_meant() -> None:
    images = series((4.0, 2.0, 0.4), (0.2, -0.1), sense=-1.0)
    with pytest.raises(CouchAnglesContradicted, match="contradict"):
        analyse_winston_lutz(images)
    found = analyse_winston_lutz(images, couch_angles=CouchAngles.REVERSED)
    assert found.couch is not None
    np.testing.assert_allclose(found.couch.axis_mm, (0.2, -0.1), atol=0.08)
    as_tagged = analyse_winston_lutz(images, couch_angles=CouchAngles.AS_TAGGED)
    assert as_tagged.couch is not None
    assert as_tagged.couch.rigid_rms_mm > 3.0 * found.couch.rigid_rms_mm


def test_a_gross_outlier_is_named() -> None:
    images = series((0.6, -0.9, 0.4), (0.2, -0.1))
    images[2] = drawn("gantry90", gantry_deg=90.0, ball_mm=(0.6, 1.6, -1.6))
    found = analyse_winston_lutz(images)
    assert found.ball.outliers == ("gantry90",)
    np.testing.assert_allclose(found.ball.require_complete(), (0.6, -0.9, 0.4), atol=0.08)


def test_nothing_and_no_image_at_couch_zero_are_refused() -> None:
    with pytest.raises(Underdetermined):
        analyse_winston_lutz([])
    with pytest.raises(Underdetermined, match="angle 0"):
        analyse_winston_lutz([drawn("a", couch_deg=45.0)])
