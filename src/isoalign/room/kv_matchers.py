"""How kV pairs are matched to the planning CT: by the whole CT (2D/3D), by implanted markers, or by DRRs (2D/2D).

One matcher port for the session; which way it goes is chosen before images are taken, so that a patient who cannot be
matched that way is not exposed for nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, get_args

import numpy as np

from isoalign.geometry import Array, DicomPatient, Fixed, Pose, ProjectionGeometry
from isoalign.positioning import MatcherPort
from isoalign.records import (
    FoundMarker,
    MarkerShadow,
    MarkerState,
    Match,
    Radiograph,
    StructureSet,
    Verdict,
    ViewQuality,
    Volume,
)
from isoalign.room.adapters import Cancelled, Progress, ProgressCallback, VolumeMatcher, in_worker_thread
from isoalign.room.errors import SettingsInvalid
from isoalign.room.settings import KvMatchSettings, MatchMethod

if TYPE_CHECKING:
    from isoalign.registration import MarkerMatch, MarkerShape, PreparedVolume, ReferenceImage, RefinedMarkers

PatientPose = Pose[Fixed, DicomPatient]

METHODS: tuple[MatchMethod, ...] = get_args(MatchMethod)
IN_WORDS: dict[MatchMethod, str] = {"2d3d": "2D/3D match", "markers": "marker match", "2d2d": "2D/2D match"}
PICTURE_PIXELS = 400
"""Longer side of the pictures of a match."""
REFERENCE_BINNING = 2
"""A DRR of a 2D/2D match has pixels twice as wide as the panel: the finest that the match looks at are no smaller."""


@dataclass(frozen=True, slots=True)
class PatientToMatch:
    """What kV pairs of one patient are compared with.

    Attributes
    ----------
    structure_set : StructureSet
        With the markers, where there are some.
    planned : Pose[Fixed, DicomPatient]
        Where the patient should be.
    """

    prepared: PreparedVolume
    volume: Volume
    structure_set: StructureSet
    planned: PatientPose


class KvMatcher:
    """Matches kV pairs of one patient in the way that was chosen; see :class:`isoalign.positioning.MatcherPort`.

    Parameters
    ----------
    patient : PatientToMatch
    settings : KvMatchSettings
    on_progress : callable
        Called as ``on_progress(text, fraction)``.

    Attributes
    ----------
    method : str
        "2d3d", "markers" or "2d2d".
    """

    def __init__(self, patient: PatientToMatch, settings: KvMatchSettings, on_progress: ProgressCallback) -> None:
        self.method: MatchMethod = "2d3d"
        self._patient = patient
        self._settings = settings
        self._on_progress = on_progress
        self._matchers: dict[MatchMethod, MatcherPort] = {
            "2d3d": VolumeMatcher(patient.prepared, patient.planned, on_progress)
        }
        self._of_the_day: MatcherPort | None = None

    async def use(self, method: str | None = None) -> None:
        """Choose how the next pairs are matched; without a method, as the configuration says.

        Raises
        ------
        SettingsInvalid
            When there is no such method.
        NoPlannedMarkers
            When markers are asked for and the structure set has none.
        InputDataError
            When the planning CT does not show markers of the stated size.
        """
        chosen = require_method(method or self._settings.method)
        if chosen not in self._matchers:
            self._matchers[chosen] = await asyncio.to_thread(self._make, chosen)
        self.method = chosen

    def compare_with_day(self, matcher: MatcherPort | None) -> None:
        """What 2D/3D compares with from here on: a CT of the day, or (None) the planning CT again.

        Markers and DRRs stay those of the planning CT.
        """
        self._of_the_day = matcher

    async def match(self, radiographs: Sequence[Radiograph]) -> Match:
        """See :class:`isoalign.positioning.MatcherPort`."""
        if self.method == "2d3d" and self._of_the_day is not None:
            return await self._of_the_day.match(radiographs)
        return await self._matchers[self.method].match(radiographs)

    def _make(self, method: MatchMethod) -> MatcherPort:
        if method == "2d2d":
            return PairMatcher(self._patient, self._on_progress)
        from isoalign.registration import MarkerShape

        shape = MarkerShape(self._settings.marker_diameter_mm, self._settings.marker_length_mm)
        refined = markers_of(self._patient.structure_set, self._patient.volume, shape)
        return MarkerMatcher(self._patient, refined, shape, self._on_progress)


def require_method(name: str) -> MatchMethod:
    """The method of this name; raises SettingsInvalid."""
    for method in METHODS:
        if method == name:
            return method
    raise SettingsInvalid(f"there is no match {name!r} of kV pairs", hint=f"Use one of {', '.join(METHODS)}.")


def markers_of(structure_set: StructureSet, volume: Volume, shape: MarkerShape) -> RefinedMarkers:
    """The markers of a structure set, at the centres that the planning CT shows.

    Raises
    ------
    NoPlannedMarkers, WrongFrameOfReference, InputDataError
    """
    from isoalign.registration import NoPlannedMarkers, detect_markers_in_ct, planned_markers, refined_markers

    try:
        drawn = planned_markers(structure_set, frame_of_reference_uid=volume.frame_of_reference_uid)
    except NoPlannedMarkers as error:
        raise NoPlannedMarkers(
            error.message,
            hint="Draw every marker as a POINT structure of interpreted type MARKER on the planning CT and send the "
            "structure set again, or match this patient without markers (2d3d).",
        ) from error
    return refined_markers(drawn, detect_markers_in_ct(volume, shape))


class MarkerMatcher:
    """Matches kV pairs by implanted markers.

    Parameters
    ----------
    patient : PatientToMatch
    refined : RefinedMarkers
        From :func:`markers_of`.
    shape : MarkerShape
    on_progress : callable
    """

    def __init__(
        self, patient: PatientToMatch, refined: RefinedMarkers, shape: MarkerShape, on_progress: ProgressCallback
    ) -> None:
        self._patient = patient
        self._markers = refined.markers
        self._notes = tuple(
            f"the planning CT shows no marker near {name}: it is taken where it was drawn" for name in refined.not_in_ct
        )
        self._shape = shape
        self._on_progress = on_progress

    async def match(self, radiographs: Sequence[Radiograph]) -> Match:
        """See :class:`isoalign.positioning.MatcherPort`.

        Images in which no planned marker is found are a failed match and no error: they were taken, and are saved like
        any others.

        Raises
        ------
        WrongNumberOfViews, ViewsTooParallel, BlankRadiograph, MarkerTooSmall
        """
        return await in_worker_thread(lambda progress, _: self._match(radiographs, progress), self._on_progress)

    def _match(self, radiographs: Sequence[Radiograph], progress: Progress) -> Match:
        from isoalign.registration import MarkersNotFound, match_markers

        planned = self._patient.planned
        progress(0.1, "looking for markers")
        found: MarkerMatch | None = None
        try:
            found = match_markers(radiographs, self._markers, planned, self._shape)
            match = found.as_match(unknown_as_planned=True)
        except MarkersNotFound as error:
            none, failed = np.zeros(3), Verdict.FAILED
            match = Match("marker", planned, planned, failed, (error.message,), (), 0, False, 0.0, none, none)
        progress(0.7, "markers matched, making pictures")
        views = view_qualities(self._patient.prepared, radiographs, planned, match.found)
        progress(1.0, f"match {match.verdict.value}")
        return replace(
            match,
            views=views,
            markers=self._found_markers(found, match.found, radiographs),
            reasons=(*match.reasons, *self._notes),
        )

    def _found_markers(
        self, found: MarkerMatch | None, pose: PatientPose, radiographs: Sequence[Radiograph]
    ) -> tuple[FoundMarker, ...]:
        markers = []
        for number, (name, point) in enumerate(zip(self._markers.names, self._markers.points_mm, strict=True)):
            one = None if found is None else found.markers[number]
            seen = one.shadows_px if one is not None and one.shadows_px else (None,) * len(radiographs)
            shadows = tuple(
                MarkerShadow(
                    radiograph.acquisition.imager,
                    _pixel(radiograph.geometry, self._patient.planned.apply(point)),
                    _pixel(radiograph.geometry, pose.apply(point)),
                    shadow,
                )
                for radiograph, shadow in zip(radiographs, seen, strict=True)
            )
            if one is None:
                markers.append(FoundMarker(name, MarkerState.MISSING, point, shadows))
            else:
                markers.append(FoundMarker(name, one.state, point, shadows, one.distance_mm, one.gap_mm))
        return tuple(markers)


class PairMatcher:
    """Matches kV pairs to DRRs of the planning CT where the plan wants the patient.

    Parameters
    ----------
    patient : PatientToMatch
    on_progress : callable
    """

    def __init__(self, patient: PatientToMatch, on_progress: ProgressCallback) -> None:
        self._patient = patient
        self._on_progress = on_progress

    async def match(self, radiographs: Sequence[Radiograph]) -> Match:
        """See :class:`isoalign.positioning.MatcherPort`.

        Raises
        ------
        WrongNumberOfViews, ViewsTooParallel, BlankRadiograph, EmptyRegion, MatchCancelled
        """
        return await in_worker_thread(
            lambda progress, cancelled: self._match(radiographs, progress, cancelled), self._on_progress
        )

    def _match(self, radiographs: Sequence[Radiograph], progress: Progress, cancelled: Cancelled) -> Match:
        from isoalign.registration import match_2d2d

        planned = self._patient.planned
        progress(0.0, "rendering DRRs")
        references = [self._reference(radiograph) for radiograph in radiographs]
        found = match_2d2d(references, radiographs, planned, progress=progress, cancelled=cancelled)
        match = found.as_match(unknown_as_planned=True)
        return replace(match, views=view_qualities(self._patient.prepared, radiographs, planned, match.found))

    def _reference(self, radiograph: Radiograph) -> ReferenceImage:
        """The DRR for the imager of a radiograph."""
        from isoalign.imaging import render_drr
        from isoalign.registration import ReferenceImage

        geometry = radiograph.geometry.with_grid(radiograph.geometry.grid.binned(REFERENCE_BINNING))
        return ReferenceImage(render_drr(self._patient.prepared.attenuation, geometry, self._patient.planned), geometry)


def view_qualities(
    prepared: PreparedVolume, radiographs: Sequence[Radiograph], planned: PatientPose, found: PatientPose
) -> tuple[ViewQuality, ...]:
    """Radiographs and DRRs of the planning CT where the patient should be and was found, for pictures."""
    from isoalign.imaging import radiograph_line_integrals, render_drr
    from isoalign.registration import gradient_correlation

    views = []
    for radiograph in radiographs:
        grid = radiograph.geometry.grid
        factor = max(1, -(-max(grid.rows, grid.columns) // PICTURE_PIXELS))
        geometry = radiograph.geometry.with_grid(grid.binned(factor))
        seen = radiograph_line_integrals(radiograph, bin_factor=factor)
        start, end = (render_drr(prepared.attenuation, geometry, pose) for pose in (planned, found))
        views.append(
            ViewQuality(
                radiograph.acquisition.imager,
                gradient_correlation(seen, start),
                gradient_correlation(seen, end),
                start,
                end,
                seen,
            )
        )
    return tuple(views)


def _pixel(geometry: ProjectionGeometry, point_mm: Array) -> tuple[float, float]:
    column, row = geometry.project(point_mm)
    return float(column), float(row)
