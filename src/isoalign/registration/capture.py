"""What is known when a match was repeated from displaced starts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CaptureCheck:
    """How many displaced starts came back to the result.

    Attributes
    ----------
    starts, returned : int
    reach_mm, reach_deg : float
        Starts were spread evenly over so much to each side on every axis.
    worst_mm : float
        Largest distance, at 80 mm from the middle, at which any start ended.
    """

    starts: int
    returned: int
    reach_mm: float
    reach_deg: float
    worst_mm: float
