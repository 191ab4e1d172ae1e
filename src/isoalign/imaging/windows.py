"""Display windows: line integrals to grey values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from isoalign.imaging.errors import UnusableWindow


@dataclass(frozen=True, slots=True)
class DisplayWindow:
    """Grey values rise linearly from ``low`` (black) to ``high`` (white), in the unit of the image."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise UnusableWindow(f"a display window needs low < high, not {self.low:g} and {self.high:g}")

    def grey(self, image: npt.ArrayLike, *, inverted: bool = False) -> npt.NDArray[np.uint8]:
        """The image as grey values 0 to 255; ``inverted`` shows high values dark."""
        part = np.clip((np.asarray(image, dtype=np.float32) - self.low) / (self.high - self.low), 0.0, 1.0)
        return np.asarray(np.rint(255.0 * (1.0 - part if inverted else part)), dtype=np.uint8)


WINDOW_PRESETS: Final = {
    "bone": DisplayWindow(-500.0, 1300.0),
    "brain": DisplayWindow(0.0, 80.0),
    "lung": DisplayWindow(-1350.0, 150.0),
    "mediastinum": DisplayWindow(-125.0, 225.0),
    "soft-tissue": DisplayWindow(-160.0, 240.0),
}
"""Usual windows of CT slices, HU."""


def display_window(
    image: npt.ArrayLike, *, low_percentile: float = 1.0, high_percentile: float = 99.5
) -> DisplayWindow:
    """A window that shows most of an image: between two percentiles of its finite values.

    Raises
    ------
    UnusableWindow
        When no value is finite.
    """
    values = np.asarray(image, dtype=np.float32).ravel()
    values = values[np.isfinite(values)]
    if values.size == 0:
        raise UnusableWindow("no finite value to choose a display window from")
    low, high = (float(value) for value in np.percentile(values, (low_percentile, high_percentile)))
    return DisplayWindow(low, high if high > low else low + 1.0)
