"""Pictures of the documentation, drawn with the package itself when the documentation is built."""

from __future__ import annotations

from pathlib import Path

from figures.conventions import draw_imager, draw_representations, draw_room_axes, draw_table_rotations
from figures.matching import draw_match


def draw_all(folder: Path) -> None:
    """Draw every picture into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    draw_room_axes(folder / "room-axes.svg")
    draw_table_rotations(folder / "table-rotations.svg")
    draw_representations(folder / "representations.svg")
    draw_imager(folder / "imager.svg")
    draw_match(folder / "match.png")
