"""Measuring the panels of a room: dark frames, the answer to single exposures, and floods, in this order.

The order is that of the charge: dark frames come from panels that have rested, lag runs from panels that were hardly
exposed, and the floods, which leave most behind, come last.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

import numpy as np
import numpy.typing as npt

from isoalign.calibration.detector import LEAST_AFTER, LEAST_DARK, LEAST_FLOODS, LagRun, PanelFrames
from isoalign.calibration.errors import Underdetermined
from isoalign.records import Technique, frozen_array

LAG_RUNS = 2
QUICK_FRAMES = 10
"""Frames after an exposure that are read as fast as the panel can; those after them every :data:`SLOW_S`."""
SLOW_S = 1.5
AFTER = 24
REST_S = 40.0
"""Between two exposures of a lag run, so that the slowest trap has let most of the first one go."""
FLOOD_PARTS = (0.5, 1.0)
"""Doses of the floods, as parts of the technique's exposure time."""

Told = Callable[[str, float], None]


@dataclass(frozen=True, slots=True)
class RawFrame:
    """What a panel sent, uncorrected.

    Attributes
    ----------
    pixels : ndarray, shape (rows, columns), uint16
    read_at : datetime
        Aware; when it was read out.
    """

    pixels: npt.NDArray[np.uint16]
    read_at: datetime

    def __post_init__(self) -> None:
        object.__setattr__(self, "pixels", frozen_array(self.pixels, (None, None), "raw frame", np.uint16))


class PanelRoom(Protocol):
    """What the calibration of panels needs of a room."""

    def raw_frames(self, technique: Technique | None = None) -> dict[str, RawFrame]:
        """One frame of every panel, by imager; without X-rays when there is no technique."""


def measure_panels(
    room: PanelRoom,
    technique: Technique,
    *,
    wait: Callable[[float], None],
    dark: int = LEAST_DARK,
    floods: int = LEAST_FLOODS,
    after: int = AFTER,
    rest_s: float = REST_S,
    devices: Mapping[str, str] | None = None,
    on_progress: Told = lambda _text, _fraction: None,
) -> tuple[PanelFrames, ...]:
    """Frames of every panel of a room whose field is empty.

    Parameters
    ----------
    room : PanelRoom
    technique : Technique
        Of the brighter floods and of the lag runs; clear of saturation.
    wait : callable
        Lets so many seconds pass.
    dark, floods, after : int
        Frames without X-rays; floods of each dose; frames after the exposure of a lag run.
    rest_s : float
    devices : mapping of str to str, optional
        Serial numbers by role, as in "panel A".
    on_progress : callable

    Raises
    ------
    Underdetermined
        Fewer frames are asked for than are needed.
    """
    if dark < LEAST_DARK or floods < LEAST_FLOODS or after < LEAST_AFTER:
        raise Underdetermined(f"{LEAST_DARK} dark frames, {LEAST_FLOODS} floods and {LEAST_AFTER} after an exposure")
    steps = dark + LAG_RUNS * (1 + after) + floods * len(FLOOD_PARTS)
    done = 0

    def frames(text: str, of: Technique | None) -> dict[str, RawFrame]:
        nonlocal done
        on_progress(text, done / steps)
        done += 1
        return room.raw_frames(of)

    darks = [frames("dark frames", None) for _ in range(dark)]
    runs = []
    for number in range(LAG_RUNS):
        if number:
            on_progress("rest", done / steps)
            wait(rest_s)
        run = [frames("exposure", technique)]
        for later in range(after):
            if later >= QUICK_FRAMES:
                wait(SLOW_S)
            run.append(frames("frames after it", None))
        runs.append(run)
    doses = [replace(technique, exposure_time_ms=part * technique.exposure_time_ms) for part in FLOOD_PARTS]
    taken = [[frames("floods", dose) for _ in range(floods)] for dose in doses]
    return tuple(
        PanelFrames(
            name,
            _stack(darks, name),
            tuple(_stack(flood, name) for flood in taken),
            tuple(_lag_run(run, name) for run in runs),
            darks[-1][name].read_at,
            devices={role: serial for role, serial in (devices or {}).items() if role == f"panel {name}"},
        )
        for name in darks[0]
    )


def _stack(frames: Sequence[dict[str, RawFrame]], name: str) -> npt.NDArray[np.uint16]:
    return np.stack([one[name].pixels for one in frames])


def _lag_run(frames: Sequence[dict[str, RawFrame]], name: str) -> LagRun:
    exposed = frames[0][name]
    times = np.array([(one[name].read_at - exposed.read_at).total_seconds() for one in frames[1:]])
    return LagRun(exposed.pixels, _stack(frames[1:], name), times)
