"""Between engineering units and the integers on the wire.

The six couch axes travel as "micro": µm for lateral, longitudinal and vertical, µdeg for pitch, roll and patient
support angle. The factor to mm is 1e-3 and to degrees 1e-6.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

AXIS_COUNT: Final = 6
MICRO_PER_UNIT: Final = (1e3, 1e3, 1e3, 1e6, 1e6, 1e6)
"""Wire counts per mm (first three axes) or per degree (last three)."""


def micro_from_axes(values: Iterable[float]) -> tuple[int, ...]:
    """Six axis values (mm, mm, mm, deg, deg, deg), or their rates, as wire integers."""
    return tuple(round(value * scale) for value, scale in zip(values, MICRO_PER_UNIT, strict=True))


def axes_from_micro(micro: Iterable[int | None]) -> tuple[float | None, ...]:
    """Wire integers as six axis values (mm, mm, mm, deg, deg, deg); None stays None (not available)."""
    return tuple(None if value is None else value / scale for value, scale in zip(micro, MICRO_PER_UNIT, strict=True))


def us_from_s(seconds: float) -> int:
    """Whole microseconds."""
    return round(seconds * 1e6)


def s_from_us(microseconds: int) -> float:
    """Seconds."""
    return microseconds * 1e-6
