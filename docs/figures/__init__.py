"""Pictures of the documentation, drawn with the package itself when the documentation is built."""

from __future__ import annotations

from pathlib import Path

from figures.calibration import draw_walkout, draw_winston_lutz
from figures.cone_beam import draw_cone_beam
from figures.conventions import draw_imager, draw_representations, draw_room_axes, draw_table_rotations
from figures.couch_and_panels import draw_calibrations
from figures.markers import draw_markers
from figures.matching import draw_match
from figures.representations import draw_erratum, draw_pitch_change, draw_pitched, draw_rolled, draw_two_angles


def draw_all(folder: Path) -> None:
    """Draw every picture into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    draw_room_axes(folder / "room-axes.svg")
    draw_table_rotations(folder / "table-rotations.svg")
    draw_representations(folder / "representations.svg")
    draw_imager(folder / "imager.svg")
    draw_walkout(folder / "walkout-angles.png", folder / "walkout-plane.png")
    draw_winston_lutz(folder / "winston-lutz.png")
    draw_match(folder / "match.png")
    draw_markers(folder / "markers.png")
    draw_cone_beam(folder / "cone-beam-ct.png")
    draw_pitched(folder / "representations-pitch.svg")
    draw_rolled(folder / "representations-roll.svg")
    draw_pitch_change(folder / "pitch-change.svg")
    draw_erratum(folder / "erratum.svg")
    draw_two_angles(folder / "two-angles.svg")
    draw_calibrations(folder)
