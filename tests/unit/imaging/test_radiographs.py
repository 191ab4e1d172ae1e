from __future__ import annotations

import numpy as np
import pytest

from isoalign.geometry import ImagerAxis, PixelGrid, ProjectionGeometry
from isoalign.imaging import (
    DisplayWindow,
    NoSignal,
    UnusableWindow,
    binned,
    display_window,
    radiograph_line_integrals,
    repaired_pixels,
)
from isoalign.imaging.warmup import small_radiograph
from isoalign.records import Radiograph

OPEN = 40000.0


def radiograph(pixels: np.ndarray) -> Radiograph:
    grid = PixelGrid.centred(*pixels.shape, 0.4)
    geometry = ProjectionGeometry.from_axis(ImagerAxis(0.0, 1000.0, 1500.0), grid)
    return Radiograph(pixels.astype(np.uint16), geometry, small_radiograph().acquisition)


def smooth_body(rows: int = 120, columns: int = 100) -> np.ndarray:
    y, x = np.mgrid[-1 : 1 : rows * 1j, -1 : 1 : columns * 1j]
    return 3.0 * np.sqrt(np.clip(1 - (x / 0.7) ** 2 - (y / 0.8) ** 2, 0, None))


def test_line_integrals_of_a_clean_image() -> None:
    expected = smooth_body()
    found = radiograph_line_integrals(radiograph(OPEN * np.exp(-expected)))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=2e-3)


def test_open_field_is_found_under_noise_and_dead_pixels() -> None:
    rng = np.random.default_rng(5)
    expected = smooth_body()
    pixels = rng.poisson(OPEN * np.exp(-expected)).astype(float)
    pixels.flat[rng.choice(pixels.size, 40, replace=False)] = 65535
    found = radiograph_line_integrals(radiograph(pixels))
    # noise of 1 / sqrt(2000) under the body; the open field is high by 1.2 sigma of a 16-pixel mean
    assert abs(float(np.median(found - expected))) < 0.005
    assert float(np.percentile(np.abs(found - expected), 99.9)) < 0.1


def test_binning_averages_intensity_not_logarithms() -> None:
    pixels = np.full((8, 8), 1000.0)
    pixels[::2] = 4000.0
    pixels[0:4] = OPEN
    found = radiograph_line_integrals(radiograph(pixels), bin_factor=2)
    assert found.shape == (4, 4)
    assert found[3, 1] - found[0, 0] == pytest.approx(np.log(OPEN / 2500.0), abs=1e-5)


@pytest.mark.parametrize("factor", [1, 2, 3, 5])
def test_binned_cuts_incomplete_blocks(factor: int) -> None:
    image = np.random.default_rng(0).uniform(0, 1, (17, 13)).astype(np.float32)
    rows, columns = 17 // factor, 13 // factor
    blocks = image[: rows * factor, : columns * factor].reshape(rows, factor, columns, factor)
    np.testing.assert_allclose(binned(image, factor), blocks.mean(axis=(1, 3)), rtol=1e-6)


@pytest.mark.parametrize("stuck", [0, 65535])
@pytest.mark.parametrize(
    "where",
    [
        (slice(60, 61), slice(50, 51)),
        (slice(60, 62), slice(50, 52)),
        (slice(30, 90), slice(50, 51)),
        (slice(60, 61), slice(20, 80)),
        (slice(0, 1), slice(0, 1)),
        (slice(119, 120), slice(99, 100)),
    ],
    ids=["pixel", "cluster", "column", "row", "corner", "far corner"],
)
def test_dead_pixels_are_repaired(stuck: int, where: tuple[slice, slice]) -> None:
    """A line of dead pixels once went unnoticed, because its neighbours along the line are dead as well."""
    rng = np.random.default_rng(2)
    truth = OPEN * np.exp(-smooth_body())
    pixels = rng.poisson(truth).astype(float)
    pixels[where] = stuck
    found = repaired_pixels(radiograph(pixels))
    dead = np.zeros(pixels.shape, bool)
    dead[where] = True
    assert found.repaired == dead.sum()
    np.testing.assert_allclose(found.intensity[dead], truth[dead], rtol=0.12)
    np.testing.assert_array_equal(found.intensity[~dead], pixels[~dead])


def test_thin_wires_and_edges_are_not_repaired_away() -> None:
    """Only the very ends of a wire two pixels wide may go."""
    pixels = np.full((60, 60), 20000.0)
    pixels[:, 30:] = 5000.0
    pixels[10:50, 15:17] = 12000.0
    found = repaired_pixels(radiograph(pixels))
    assert found.repaired <= 4
    np.testing.assert_array_equal(found.intensity[11:49], pixels[11:49])


def test_an_image_of_zeros_is_refused() -> None:
    with pytest.raises(NoSignal, match="no pixel above zero"):
        repaired_pixels(radiograph(np.zeros((8, 8))))


def test_display_window_spans_what_matters_and_maps_linearly() -> None:
    image = np.linspace(0.0, 10.0, 1001)
    window = display_window(image)
    assert (window.low, window.high) == pytest.approx((0.1, 9.95))
    assert DisplayWindow(0.0, 2.0).grey([-1.0, 0.0, 1.0, 2.0, 9.0]).tolist() == [0, 0, 128, 255, 255]
    assert DisplayWindow(0.0, 2.0).grey([0.0, 2.0], inverted=True).tolist() == [255, 0]
    assert display_window(np.full(4, 3.0)).high > 3.0


def test_a_window_without_width_is_refused() -> None:
    with pytest.raises(UnusableWindow):
        DisplayWindow(1.0, 1.0)
    with pytest.raises(UnusableWindow):
        display_window([np.nan, np.inf])
