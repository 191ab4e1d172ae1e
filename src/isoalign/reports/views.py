"""The pictures of a report: for each imager, radiograph and DRR before, at the match and after."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from itertools import count

import numpy as np
import numpy.typing as npt

from isoalign.geometry import Array, ProjectionGeometry
from isoalign.records import ImagingPass, Match, SessionRecord, ViewQuality
from isoalign.reports.pictures import Picture, magenta_green, matched_greys, png_bytes, reduced

LONGEST_SIDE = 560
"""Pixels of the longer side of a picture in the page."""
SCALE_BAR_MM = 50.0
CHECKERS = 10

_SIDES = (("Left", "Right"), ("Posterior", "Anterior"), ("Head", "Feet"))


@dataclass(frozen=True, slots=True)
class Panel:
    """One pair of pictures with what is drawn on it; positions in picture pixels."""

    key: str
    title: str
    caption: str
    alt: str
    columns: int
    rows: int
    colour_png: str
    radiograph_png: str
    drr_png: str
    isocentre: tuple[float, float]
    scale_bar: float
    checks: tuple[tuple[float, float, float, float], ...]
    sides: dict[str, str]


@dataclass(frozen=True, slots=True)
class ImagerView:
    """The panels of one imager."""

    imager: str
    description: str
    panels: tuple[Panel, ...]


def imager_views(record: SessionRecord) -> list[ImagerView]:
    """The panels of every imager of the session: before, at the match, after."""
    first, last = record.setup_pass, record.verification_pass
    if first is None:
        return []
    keys = (f"p{number}" for number in count())
    if not first.radiographs and last is not None:
        where = "image of the verification, DRR of the in-room CT where the couch has carried it"
        return [
            ImagerView(
                view.imager,
                _describe(_geometry(last, view.imager)),
                (_panel(next(keys), "After", where, last, view, start=True),),
            )
            for view in last.match.views
        ]
    found = first.match.trusted_residual is not None
    where = "where the match found the patient" if found else "where the search for the patient ended"
    views = []
    for index, view in enumerate(first.match.views):
        geometry = _geometry(first, view.imager)
        panels = [
            _panel(next(keys), "Before", "first image, DRR where the plan wants the patient", first, view, start=True),
            _panel(next(keys), "Match", f"first image, DRR {where}", first, view, start=False),
        ]
        if last is not None and index < len(last.match.views):
            after = last.match.views[index]
            panels.append(
                _panel(
                    next(keys), "After", "second image, DRR where the plan wants the patient", last, after, start=True
                )
            )
        views.append(ImagerView(view.imager, _describe(geometry), tuple(panels)))
    return views


def _geometry(one: ImagingPass, imager: str) -> ProjectionGeometry:
    for image in one.radiographs:
        if image.acquisition.imager == imager:
            return image.geometry
    return one.radiographs[0].geometry


def _describe(geometry: ProjectionGeometry) -> str:
    axis = geometry.axis
    if axis is None:
        return "calibrated geometry"
    return f"gantry angle {axis.gantry_angle_deg:g}°, SAD {axis.sad_mm:g} mm, SID {axis.sid_mm:g} mm"


def _panel(key: str, title: str, caption: str, one: ImagingPass, view: ViewQuality, *, start: bool) -> Panel:
    drr = view.drr_start if start else view.drr_end
    correlation = view.gradient_correlation_start if start else view.gradient_correlation_end
    kv_picture, drr_picture = matched_greys(reduced(view.line_integrals, LONGEST_SIDE), reduced(drr, LONGEST_SIDE))
    rows, columns = kv_picture.shape
    geometry = _geometry(one, view.imager)
    isocentre = _pixels(geometry, np.zeros(3), columns)
    along_row = _pixels(geometry, geometry.fixed_from_receptor.rotation[:, 0] * SCALE_BAR_MM, columns)
    return Panel(
        key=key,
        title=title,
        caption=f"{caption}; gradient correlation {correlation:.3f}",
        alt=(
            f"Imager {view.imager}, {title.lower()}: radiograph in magenta over the DRR in green, {caption}. "
            f"Grey where both agree; gradient correlation {correlation:.3f}."
        ),
        columns=columns,
        rows=rows,
        colour_png=_data(magenta_green(kv_picture, drr_picture)),
        radiograph_png=_data(kv_picture),
        drr_png=_data(drr_picture),
        isocentre=(float(isocentre[0]), float(isocentre[1])),
        scale_bar=float(np.hypot(*(along_row - isocentre))),
        checks=_checks(rows, columns),
        sides=_sides(geometry, one.match, columns),
    )


def _pixels(geometry: ProjectionGeometry, point_mm: Array, columns: int) -> npt.NDArray[np.float64]:
    """A point in the fixed frame as (column, row) of a picture that shows the same grid with fewer pixels."""
    factor = geometry.grid.columns / columns
    return (geometry.project(point_mm) + 0.5) / factor


def _checks(rows: int, columns: int) -> tuple[tuple[float, float, float, float], ...]:
    side = max(rows, columns) / CHECKERS
    across, down = int(np.ceil(columns / side)), int(np.ceil(rows / side))
    return tuple(
        (column * side, row * side, side, side) for row in range(down) for column in range(across) if (row + column) % 2
    )


def _sides(geometry: ProjectionGeometry, match: Match, columns: int) -> dict[str, str]:
    """Which side of the patient each edge of the picture shows."""
    origin = _pixels(geometry, np.zeros(3), columns)
    shown: dict[str, str] = {}
    strength: dict[str, float] = {}
    for axis, (positive, negative) in enumerate(_SIDES):
        step = _pixels(geometry, match.planned.rotation[:, axis] * 10.0, columns) - origin
        for edge, component, name in (
            ("right", step[0], positive),
            ("left", -step[0], positive),
            ("right", -step[0], negative),
            ("left", step[0], negative),
            ("bottom", step[1], positive),
            ("top", -step[1], positive),
            ("bottom", -step[1], negative),
            ("top", step[1], negative),
        ):
            if component > strength.get(edge, 1.0):
                strength[edge], shown[edge] = float(component), name
    return shown


def _data(picture: Picture) -> str:
    return "data:image/png;base64," + base64.b64encode(png_bytes(picture)).decode("ascii")
