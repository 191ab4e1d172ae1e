"""What calibration commands that measure share: a room, and progress while its couch moves."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from isoalign.cli.errors import UnusableArgument

if TYPE_CHECKING:
    from isoalign.calibration.measuring_poses import Told
    from isoalign.room.facade import Room

CLEARED = "calibration"


@contextmanager
def opened_room(
    config: Path | None, scene: str | None, seed: int, operator: str, records: Collection[str]
) -> Iterator[tuple[Room, Told]]:
    """A room, cleared to move, and what shows progress on standard error.

    Imagers must have been calibrated before these procedures; so those of a simulated room stand where they should.

    Parameters
    ----------
    records : collection of str
        Calibration records that a room of real machines works with, see :func:`isoalign.open_room`.

    Raises
    ------
    UnusableArgument
        When neither a room nor its simulation is named.
    """
    from isoalign import open_room
    from isoalign.cli.progress import StepProgress

    if config is None and scene is None:
        raise UnusableArgument(
            "nothing to measure", hint="Name a file of measurements, --config ROOM.TOML, or --simulate."
        )
    used = records if scene is None else ()
    with StepProgress() as progress, open_room(config, scene=scene, seed=seed, misalignments={}, records=used) as room:
        room.clear(CLEARED, operator or CLEARED)
        progress("begin", "measuring")
        yield room, lambda text, fraction: progress("progress", text, fraction)
        progress("done", "")
