"""Finding ball shadows: to a small part of a pixel, in spite of what a real panel and couch do."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from isoalign.calibration import BallPhantom, BallsNotFound, built_in_phantom, detect_balls
from isoalign.geometry import ImagerAxis, PixelGrid, ProjectionGeometry

Drawing = Callable[..., npt.NDArray[np.uint16]]
GEOMETRY = ProjectionGeometry.from_axis(ImagerAxis(0.0, 1000.0, 1500.0), PixelGrid.centred(512, 384, 0.776))
RADIUS_PX = 1.5 * 1.5 / 0.776


def misses(pixels: npt.NDArray[np.uint16], phantom: BallPhantom) -> npt.NDArray[np.float64]:
    """How far each ball's shadow is from the nearest that was found."""
    found = detect_balls(pixels, RADIUS_PX).column_row
    expected = GEOMETRY.project(phantom.centres_mm)
    return np.linalg.norm(found[None] - expected[:, None], axis=-1).min(axis=1)


def test_every_ball_to_a_small_part_of_a_pixel(draw: Drawing) -> None:
    phantom = built_in_phantom()
    pixels = draw(GEOMETRY, phantom)
    assert len(detect_balls(pixels, RADIUS_PX)) == 24
    assert misses(pixels, phantom).max() < 0.08


def test_shading_edges_and_dead_pixels(draw: Drawing) -> None:
    phantom = built_in_phantom()
    v, u = np.mgrid[:512, :384]
    shading = 0.3 * u / 384 + 0.2 * np.sin(v / 90.0) + 0.5 * ((u > 300) & (u < 309)) + 0.4 * (v > 400)
    pixels = draw(GEOMETRY, phantom, extra=shading)
    rng = np.random.default_rng(4)
    dead = rng.choice(pixels.size, 200, replace=False)
    pixels.flat[dead] = np.where(rng.random(200) < 0.5, 0, 65535)
    pixels[100:180, 200] = 0
    missed = misses(pixels, phantom)
    assert np.median(missed) < 0.06
    assert (missed < 0.4).sum() >= 22


def test_other_sizes_and_lines_are_no_balls(draw: Drawing) -> None:
    phantom = built_in_phantom()
    v, u = np.mgrid[:512, :384]
    big = 2.5 * (np.hypot(u - 60, v - 60) < 4 * RADIUS_PX)
    wire = 2.5 * (np.abs(u - v + 100) < 2)
    found = detect_balls(draw(GEOMETRY, phantom, extra=big + wire), RADIUS_PX).column_row
    expected = GEOMETRY.project(phantom.centres_mm)
    stray = np.linalg.norm(found[:, None] - expected[None], axis=-1).min(axis=1) > 2.0
    assert stray.sum() <= 2
    assert len(found) >= 20


@pytest.mark.parametrize("kind", ["blank", "noise", "air"])
def test_an_image_without_balls_is_refused(kind: str) -> None:
    rng = np.random.default_rng(0)
    pixels = {
        "blank": np.zeros((256, 192), dtype=np.uint16),
        "noise": rng.normal(20_000, 400, (256, 192)).astype(np.uint16),
        "air": np.full((256, 192), 65535, dtype=np.uint16),
    }[kind]
    with pytest.raises(BallsNotFound) as caught:
        detect_balls(pixels, RADIUS_PX, least=1)
    assert caught.value.hint


def test_too_few_balls_and_too_small_shadows(draw: Drawing) -> None:
    few = BallPhantom("few", built_in_phantom().centres_mm[:5], 1.5)
    with pytest.raises(BallsNotFound, match="at least 8"):
        detect_balls(draw(GEOMETRY, few), RADIUS_PX, least=8)
    with pytest.raises(BallsNotFound, match="too small"):
        detect_balls(np.ones((64, 64), dtype=np.uint16), 0.7)
