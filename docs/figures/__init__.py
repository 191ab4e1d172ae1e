"""Pictures of the documentation, drawn from the geometry kernel when the documentation is built."""

from __future__ import annotations

from pathlib import Path

from figures.conventions import draw_imager, draw_representations, draw_room_axes, draw_table_rotations


def draw_all(folder: Path) -> None:
    """Draw every picture into ``folder`` as SVG."""
    folder.mkdir(parents=True, exist_ok=True)
    draw_room_axes(folder / "room-axes.svg")
    draw_table_rotations(folder / "table-rotations.svg")
    draw_representations(folder / "representations.svg")
    draw_imager(folder / "imager.svg")
