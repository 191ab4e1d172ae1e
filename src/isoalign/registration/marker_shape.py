"""What an implanted marker looks like: a ball or a straight seed."""

from __future__ import annotations

import math
from dataclasses import dataclass

from isoalign.registration.marker_errors import UnusableMarkerShape


@dataclass(frozen=True, slots=True)
class MarkerShape:
    """Size of the markers of one patient.

    Attributes
    ----------
    diameter_mm : float
    length_mm : float or None
        Of a seed, ends included; None for a ball.
    """

    diameter_mm: float = 1.6
    length_mm: float | None = None

    def __post_init__(self) -> None:
        length = self.diameter_mm if self.length_mm is None else self.length_mm
        if not (0.0 < self.diameter_mm <= length <= 30.0 and math.isfinite(length)):
            raise UnusableMarkerShape(
                f"a marker {self.diameter_mm} mm thick and {length} mm long makes no sense",
                diameter_mm=self.diameter_mm,
                length_mm=length,
            )

    @property
    def extent_mm(self) -> float:
        """The longest side."""
        return self.diameter_mm if self.length_mm is None else self.length_mm


DEFAULT_SHAPE = MarkerShape()
"""A ball of 1.6 mm."""
