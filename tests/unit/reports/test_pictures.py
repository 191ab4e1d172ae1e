"""Pictures keep places and order of grey levels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from isoalign.reports import ReportNotWritable, write_grey_png
from isoalign.reports.pictures import grey, magenta_green, matched_greys, reduced


def ramp() -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    return np.linspace(0, 5, 64 * 48, dtype=np.float32).reshape(64, 48)


@pytest.mark.parametrize(("bits", "greatest"), [(8, 255), (16, 65535)])
def test_png_uses_the_full_range(tmp_path: Path, bits: int, greatest: int) -> None:
    path = write_grey_png(tmp_path / "a.png", ramp(), bits=bits)
    with Image.open(path) as picture:
        values = np.asarray(picture).astype(int)
    assert values.shape == (64, 48)
    assert values.min() == 0
    assert values.max() == greatest
    assert (np.diff(values.ravel()) >= 0).all()


def test_png_of_a_flat_image_and_an_impossible_depth(tmp_path: Path) -> None:
    write_grey_png(tmp_path / "flat.png", np.full((4, 4), 2.0, dtype=np.float32))
    with pytest.raises(ReportNotWritable):
        write_grey_png(tmp_path / "a.png", ramp(), bits=12)


def test_a_hot_pixel_does_not_darken_the_rest() -> None:
    image = ramp()
    spoiled = image.copy()
    spoiled[3, 3] = 1e6
    assert np.abs(grey(spoiled).astype(int) - grey(image)).max(initial=0, where=spoiled < 1e5) <= 2


def test_equal_images_in_other_units_overlay_to_grey() -> None:
    image = ramp()
    measured, expected = matched_greys(7 * image**1.5 + 3, image)
    overlay = magenta_green(measured, expected).astype(int)
    assert np.abs(overlay[..., 0] - overlay[..., 1]).max() <= 6
    assert (overlay[..., 0] == overlay[..., 2]).all()


def test_overlay_refuses_other_sizes() -> None:
    small = np.zeros((4, 4), dtype=np.uint8)
    with pytest.raises(ReportNotWritable):
        magenta_green(small, np.zeros((4, 5), dtype=np.uint8))


def test_reduced_averages_whole_blocks() -> None:
    image = np.arange(7 * 9, dtype=np.float32).reshape(7, 9)
    small = reduced(image, 3)
    assert small.shape == (2, 3)
    assert small[0, 0] == image[:3, :3].mean()
    assert reduced(image, 9) is image
