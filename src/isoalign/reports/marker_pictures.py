"""A kV image with rings about the markers that were found, and crosses where the plan puts them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from isoalign.reports.files import write_whole
from isoalign.reports.pictures import grey

FOUND, EXPECTED = (70, 230, 90), (255, 80, 230)
RING_PX = 9.0
GAP_PX = 8


def write_marker_picture(
    path: Path,
    images: Sequence[npt.NDArray[np.float32]],
    found_px: Sequence[npt.NDArray[np.float64]],
    expected_px: Sequence[npt.NDArray[np.float64]] = (),
) -> Path:
    """Write images side by side with what was found in them.

    Parameters
    ----------
    path : Path
        PNG.
    images : sequence of ndarray, shape (rows, columns), float32
        Line integrals.
    found_px : sequence of ndarray, shape (n, 2)
        For each image (column, row) of the markers found: green rings.
    expected_px : sequence of ndarray, shape (m, 2)
        For each image where the match puts the planned markers: magenta crosses.

    Raises
    ------
    ReportNotWritable
    """
    panels = [Image.fromarray(grey(one)).convert("RGB") for one in images]
    height = max(one.height for one in panels)
    sheet = Image.new("RGB", (sum(one.width + GAP_PX for one in panels) - GAP_PX, height))
    left = 0
    for number, panel in enumerate(panels):
        draw = ImageDraw.Draw(panel)
        for x, y in found_px[number]:
            draw.ellipse((x - RING_PX, y - RING_PX, x + RING_PX, y + RING_PX), outline=FOUND, width=2)
        for x, y in expected_px[number] if expected_px else ():
            draw.line((x - RING_PX, y, x + RING_PX, y), fill=EXPECTED)
            draw.line((x, y - RING_PX, x, y + RING_PX), fill=EXPECTED)
        sheet.paste(panel, (left, 0))
        left += panel.width + GAP_PX
    stream = io.BytesIO()
    sheet.save(stream, format="PNG")
    return write_whole(path, stream.getvalue())
