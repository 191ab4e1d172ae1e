"""Pictures: display windows, grey and two-colour overlays, PNG.

Images are (rows, columns); a picture is uint8, grey (rows, columns) or colour (rows, columns, 3).
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from isoalign.reports.errors import ReportNotWritable
from isoalign.reports.files import write_whole

Picture = npt.NDArray[np.uint8]

LOW_PERCENTILE, HIGH_PERCENTILE = 1.0, 99.7


def display_window(image: npt.NDArray[np.float32]) -> tuple[float, float]:
    """Least and greatest shown value: percentiles, which a few hot or dead pixels do not move."""
    finite = image[np.isfinite(image)]
    if finite.size == 0:
        return 0.0, 1.0
    low, high = np.percentile(finite, (LOW_PERCENTILE, HIGH_PERCENTILE))
    return float(low), float(high) if high > low else float(low) + 1.0


def windowed(image: npt.NDArray[np.float32], window: tuple[float, float] | None = None) -> npt.NDArray[np.float64]:
    """The image scaled to 0...1 inside its display window and clipped outside."""
    low, high = window or display_window(image)
    values = np.nan_to_num(image.astype(np.float64), nan=low)
    return np.clip((values - low) / (high - low), 0.0, 1.0)


def grey(image: npt.NDArray[np.float32]) -> Picture:
    """An 8-bit grey picture of an image; line integrals come out with bone white."""
    return np.rint(windowed(image) * 255).astype(np.uint8)


def matched_greys(measured: npt.NDArray[np.float32], expected: npt.NDArray[np.float32]) -> tuple[Picture, Picture]:
    """Grey pictures of two images whose grey levels mean different things, brought to the same spread of levels.

    Both are windowed; then the levels of ``measured`` are mapped so that, over the pixels where ``expected`` shows
    an object, both have the same cumulative histogram. Only levels change, never places.
    """
    one, other = windowed(measured), windowed(expected)
    inside = other > 0.02
    if inside.sum() < 100:
        return np.rint(one * 255).astype(np.uint8), np.rint(other * 255).astype(np.uint8)
    ranks = np.linspace(0.0, 100.0, 65)
    source = np.maximum.accumulate(np.percentile(one[inside], ranks))
    target = np.percentile(other[inside], ranks)
    source += np.arange(source.size) * 1e-9  # strictly rising, as the interpolation needs
    one = np.interp(one, np.concatenate(([-1e-6], source)), np.concatenate(([0.0], target)))
    return np.rint(one * 255).astype(np.uint8), np.rint(other * 255).astype(np.uint8)


def magenta_green(magenta: Picture, green: Picture) -> Picture:
    """Two grey pictures in complementary colours: where they agree the overlay is grey."""
    if magenta.shape != green.shape:
        raise ReportNotWritable(f"an overlay needs two pictures of one size, not {magenta.shape} and {green.shape}")
    return np.stack([magenta, green, magenta], axis=-1)


def reduced(image: npt.NDArray[np.float32], longest: int) -> npt.NDArray[np.float32]:
    """The image averaged over whole blocks until neither side is longer than ``longest`` pixels."""
    factor = -(-max(image.shape) // longest)
    if factor <= 1:
        return image
    rows, columns = (size // factor for size in image.shape)
    blocks = image[: rows * factor, : columns * factor].reshape(rows, factor, columns, factor)
    return np.asarray(blocks.mean(axis=(1, 3)), dtype=np.float32)


def png_bytes(picture: npt.NDArray[np.uint8] | npt.NDArray[np.uint16]) -> bytes:
    """A picture as PNG: 8 or 16 bit grey, or 8 bit colour."""
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, format="PNG", compress_level=6)
    return stream.getvalue()


def write_grey_png(path: Path, image: npt.NDArray[np.float32], *, bits: int = 16) -> Path:
    """Write an image as grey PNG over its full range, least value black, greatest white.

    Parameters
    ----------
    path : Path
    image : ndarray, shape (rows, columns), float32
        For example line integrals.
    bits : int
        8 or 16 bits per pixel.

    Raises
    ------
    ReportNotWritable
    """
    if bits not in (8, 16):
        raise ReportNotWritable(f"a grey PNG has 8 or 16 bits per pixel, not {bits}")
    low, high = float(np.nanmin(image)), float(np.nanmax(image))
    values = windowed(image, (low, high if high > low else low + 1.0)) * (2**bits - 1)
    picture = np.rint(values).astype(np.uint8 if bits == 8 else np.uint16)
    return write_whole(path, png_bytes(picture))
