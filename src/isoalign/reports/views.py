"""The pictures of a report: for each imager, radiograph and DRR before, at the match and after."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np
import numpy.typing as npt

from isoalign.geometry import Array, ProjectionGeometry
from isoalign.records import Match, Radiograph, SessionRecord, ViewQuality
from isoalign.reports.overlays import MarkerMark, Panel, PlainPanel, overlay, plain_panel
from isoalign.reports.pictures import grey, matched_greys, reduced

LONGEST_SIDE = 560
"""Pixels of the longer side of a picture in the page."""
SCALE_BAR_MM = 50.0

_SIDES = (("Left", "Right"), ("Posterior", "Anterior"), ("Head", "Feet"))


@dataclass(frozen=True, slots=True)
class ImagerView:
    """The panels of one imager, or of one direction through a volume."""

    title: str
    description: str
    panels: tuple[Panel, ...]


def imager_views(record: SessionRecord) -> list[ImagerView]:
    """The panels of every imager of the session: before, at the match, after."""
    first, last = record.setup_pass, record.verification_pass
    if first is None:
        return []
    keys = (f"p{number}" for number in count())
    if not first.radiographs and last is not None:
        where = "image of the verification, DRR "
        where += (
            "where the plan wants the patient"
            if last.scan is None
            else "of the in-room CT where the couch has carried it"
        )
        return [
            ImagerView(
                f"Imager {view.imager}",
                _describe(_geometry(last.radiographs, view.imager)),
                (
                    _panel(
                        next(keys),
                        "After",
                        where,
                        last.match,
                        _geometry(last.radiographs, view.imager),
                        view,
                        start=True,
                    ),
                ),
            )
            for view in last.match.views
        ]
    found = first.match.trusted_residual is not None
    where = "where the match found the patient" if found else "where the search for the patient ended"
    views = []
    for index, view in enumerate(first.match.views):
        geometry = _geometry(first.radiographs, view.imager)
        panels = list(_before_and_match(keys, first.match, geometry, view, where))
        if last is not None and index < len(last.match.views):
            after, then = last.match.views[index], _geometry(last.radiographs, view.imager)
            caption = "second image, DRR where the plan wants the patient"
            panels.append(_panel(next(keys), "After", caption, last.match, then, after, start=True))
        views.append(ImagerView(f"Imager {view.imager}", _describe(geometry), tuple(panels)))
    return views


def match_views(match: Match, radiographs: Sequence[Radiograph]) -> list[ImagerView]:
    """The panels of every radiograph of one match: before, and at the match."""
    keys = (f"p{number}" for number in count())
    found = match.trusted_residual is not None
    where = "where the match found the patient" if found else "where the search for the patient ended"
    views = []
    for view in match.views:
        geometry = _geometry(radiographs, view.imager)
        panels = _before_and_match(keys, match, geometry, view, where)
        views.append(ImagerView(f"Imager {view.imager}", _describe(geometry), panels))
    return views


def reference_panels(record: SessionRecord) -> list[PlainPanel]:
    """The images that the plan names for its beams, as they came."""
    panels = []
    for image in record.reference_images:
        picture = grey(reduced(image.values, LONGEST_SIDE))
        isocentre, bar_px = _marks(image.geometry, picture.shape[1])
        described = _describe(image.geometry)
        panels.append(
            plain_panel(
                picture,
                title=f"Beam {image.beam_name}",
                caption=f"{image.label + ', ' if image.label else ''}{described}",
                alt=f"Reference image of beam {image.beam_name}, {described}.",
                isocentre=isocentre,
                scale_bar=bar_px,
            )
        )
    return panels


def _marks(geometry: ProjectionGeometry, columns: int) -> tuple[tuple[float, float], float]:
    """Column and row of the isocentre in a picture, and the length of the scale bar there."""
    isocentre = _pixels(geometry, np.zeros(3), columns)
    along_row = _pixels(geometry, geometry.fixed_from_receptor.rotation[:, 0] * SCALE_BAR_MM, columns)
    return (float(isocentre[0]), float(isocentre[1])), float(np.hypot(*(along_row - isocentre)))


def _before_and_match(
    keys: Iterator[str], match: Match, geometry: ProjectionGeometry, view: ViewQuality, where: str
) -> tuple[Panel, Panel]:
    before = "first image, DRR where the plan wants the patient"
    return (
        _panel(next(keys), "Before", before, match, geometry, view, start=True),
        _panel(next(keys), "Match", f"first image, DRR {where}", match, geometry, view, start=False),
    )


def _geometry(radiographs: Sequence[Radiograph], imager: str) -> ProjectionGeometry:
    for image in radiographs:
        if image.acquisition.imager == imager:
            return image.geometry
    return radiographs[0].geometry


def _describe(geometry: ProjectionGeometry) -> str:
    axis = geometry.axis
    if axis is None:
        return "calibrated geometry"
    return f"gantry angle {axis.gantry_angle_deg:g}°, SAD {axis.sad_mm:g} mm, SID {axis.sid_mm:g} mm"


def _panel(
    key: str,
    title: str,
    caption: str,
    match: Match,
    geometry: ProjectionGeometry,
    view: ViewQuality,
    *,
    start: bool,
) -> Panel:
    drr = view.drr_start if start else view.drr_end
    correlation = view.gradient_correlation_start if start else view.gradient_correlation_end
    pictures = matched_greys(reduced(view.line_integrals, LONGEST_SIDE), reduced(drr, LONGEST_SIDE))
    columns = pictures[0].shape[1]
    isocentre, bar_px = _marks(geometry, columns)
    return overlay(
        key,
        pictures,
        title=title,
        caption=f"{caption}; gradient correlation {correlation:.3f}",
        alt=(
            f"Imager {view.imager}, {title.lower()}: radiograph in magenta over the DRR in green, {caption}. "
            f"Grey where both agree; gradient correlation {correlation:.3f}."
        ),
        isocentre=isocentre,
        scale_bar=bar_px,
        sides=_sides(geometry, match, columns),
        markers=_markers(match, view.imager, geometry, columns, start=start),
    )


def _markers(
    match: Match, imager: str, geometry: ProjectionGeometry, columns: int, *, start: bool
) -> tuple[MarkerMark, ...]:
    """The planned markers in a panel, where its DRR has them, and where they were found."""
    factor = geometry.grid.columns / columns

    def at(place: tuple[float, float]) -> tuple[float, float]:
        return (place[0] + 0.5) / factor, (place[1] + 0.5) / factor

    return tuple(
        MarkerMark(
            one.name,
            one.state.value,
            at(shadow.planned_px if start else shadow.expected_px),
            None if shadow.found_px is None else at(shadow.found_px),
        )
        for one in match.markers
        for shadow in one.shadows
        if shadow.imager == imager
    )


def _pixels(geometry: ProjectionGeometry, point_mm: Array, columns: int) -> npt.NDArray[np.float64]:
    """A point in the fixed frame as (column, row) of a picture that shows the same grid with fewer pixels."""
    factor = geometry.grid.columns / columns
    return (geometry.project(point_mm) + 0.5) / factor


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
