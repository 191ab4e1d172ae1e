"""Two pictures of one place laid over each other, in every way in which a page shows them."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from isoalign.reports.pictures import Picture, magenta_green, png_bytes

CHECKERS = 10


@dataclass(frozen=True, slots=True)
class MarkerMark:
    """A planned marker in a picture: a cross where the panel's pose puts it, a ring where it was found.

    Attributes
    ----------
    state : str
        "matched", "migrated" or "missing".
    cross, ring : (float, float)
        Column and row in picture pixels; the ring is None where nothing was found.
    """

    name: str
    state: str
    cross: tuple[float, float]
    ring: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class Panel:
    """One pair of pictures with what is drawn on it; positions in picture pixels.

    Attributes
    ----------
    measured_png, expected_png, colour_png : str
        The image of the day, what the planning CT predicts, and both in complementary colours, as data URLs.
    isocentre : (float, float)
        Column and row.
    scale_bar : float
        Length of the scale bar.
    sides : dict of str
        Which side of the patient each edge shows: left, right, top, bottom.
    """

    key: str
    title: str
    caption: str
    alt: str
    columns: int
    rows: int
    colour_png: str
    measured_png: str
    expected_png: str
    isocentre: tuple[float, float]
    scale_bar: float
    checks: tuple[tuple[float, float, float, float], ...]
    sides: Mapping[str, str]
    markers: tuple[MarkerMark, ...] = ()


@dataclass(frozen=True, slots=True)
class PlainPanel:
    """One picture with the isocentre and a scale bar on it; positions in picture pixels."""

    title: str
    caption: str
    alt: str
    columns: int
    rows: int
    png: str
    isocentre: tuple[float, float]
    scale_bar: float


def plain_panel(
    picture: Picture, *, title: str, caption: str, alt: str, isocentre: tuple[float, float], scale_bar: float
) -> PlainPanel:
    """A panel of one grey picture."""
    rows, columns = picture.shape
    return PlainPanel(title, caption, alt, columns, rows, _data(picture), isocentre, scale_bar)


def overlay(
    key: str,
    pictures: tuple[Picture, Picture],
    *,
    title: str,
    caption: str,
    alt: str,
    isocentre: tuple[float, float],
    scale_bar: float,
    sides: Mapping[str, str],
    markers: tuple[MarkerMark, ...] = (),
) -> Panel:
    """A panel of the picture of the day and the picture that the planning CT predicts, both grey and of one size."""
    measured, expected = pictures
    rows, columns = measured.shape
    return Panel(
        key=key,
        title=title,
        caption=caption,
        alt=alt,
        columns=columns,
        rows=rows,
        colour_png=_data(magenta_green(measured, expected)),
        measured_png=_data(measured),
        expected_png=_data(expected),
        isocentre=isocentre,
        scale_bar=scale_bar,
        checks=_checks(rows, columns),
        sides=sides,
        markers=markers,
    )


def _checks(rows: int, columns: int) -> tuple[tuple[float, float, float, float], ...]:
    side = max(rows, columns) / CHECKERS
    across, down = int(np.ceil(columns / side)), int(np.ceil(rows / side))
    return tuple(
        (column * side, row * side, side, side) for row in range(down) for column in range(across) if (row + column) % 2
    )


def _data(picture: Picture) -> str:
    return "data:image/png;base64," + base64.b64encode(png_bytes(picture)).decode("ascii")
