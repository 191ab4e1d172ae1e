"""Registration: where images show the patient: two radiographs, a volume of the day, or markers, to the planning CT.

Pure mathematics on records. :func:`prepare` once for each plan, :func:`match_2d3d` for each pair of radiographs or
:func:`match_one_view` for one; the match says by itself whether it may be trusted. :func:`prepare_scan` and
:func:`match_3d3d` do the same for a cone-beam CT or in-room CT.
:func:`match_markers` matches implanted markers, :func:`match_2d2d` two radiographs to their DRRs. :func:`warmup`
compiles the kernels once after installation.
"""

from isoalign.registration.capture import CaptureCheck
from isoalign.registration.errors import (
    BlankRadiograph,
    ConstantVolume,
    EmptyRegion,
    MatchCancelled,
    NothingInView,
    UndefinedVoxels,
    ViewsTooParallel,
    VolumeTooThin,
    WrongFrameOfReference,
    WrongNumberOfViews,
)
from isoalign.registration.marker_ct import CtMarkers, CtMarkerSettings, detect_markers_in_ct
from isoalign.registration.marker_errors import (
    ArcTooShort,
    ImagesDoNotFit,
    MarkersNotFound,
    MarkerTooSmall,
    NoPlannedMarkers,
    TooMuchMetal,
    UnusableMarkerShape,
)
from isoalign.registration.marker_image import ImageMarkers, ImageMarkerSettings, detect_markers_in_image
from isoalign.registration.marker_match import (
    MarkerMatch,
    MarkerMatchSettings,
    MatchedMarker,
    match_markers,
    match_shadows,
)
from isoalign.registration.marker_planned import PlannedMarkers, planned_markers
from isoalign.registration.marker_rays import TrackedPoint, triangulate_track
from isoalign.registration.marker_refine import RefinedMarkers, refined_markers
from isoalign.registration.marker_shape import MarkerShape
from isoalign.registration.match import check_capture, match_2d3d
from isoalign.registration.one_view import OneViewMatch, match_one_view
from isoalign.registration.pair_match import PairMatch, PairMatchSettings, match_2d2d
from isoalign.registration.pair_views import ReferenceImage
from isoalign.registration.prepared import PreparedVolume, prepare
from isoalign.registration.quality import gradient_correlation
from isoalign.registration.scan_match import ScanMatch, match_3d3d
from isoalign.registration.scan_prepared import PreparedScan, prepare_scan
from isoalign.registration.scan_regions import BoxRegion, MaskRegion, SphereRegion
from isoalign.registration.scan_settings import Metric, ScanAcceptanceLimits, ScanMatchSettings
from isoalign.registration.scan_verdict import ScanFigures
from isoalign.registration.settings import AcceptanceLimits, MatchLevel, MatchSettings
from isoalign.registration.warmup import warmup

__all__ = [
    "AcceptanceLimits",
    "ArcTooShort",
    "BlankRadiograph",
    "BoxRegion",
    "CaptureCheck",
    "ConstantVolume",
    "CtMarkerSettings",
    "CtMarkers",
    "EmptyRegion",
    "ImageMarkerSettings",
    "ImageMarkers",
    "ImagesDoNotFit",
    "MarkerMatch",
    "MarkerMatchSettings",
    "MarkerShape",
    "MarkerTooSmall",
    "MarkersNotFound",
    "MaskRegion",
    "MatchCancelled",
    "MatchLevel",
    "MatchSettings",
    "MatchedMarker",
    "Metric",
    "NoPlannedMarkers",
    "NothingInView",
    "OneViewMatch",
    "PairMatch",
    "PairMatchSettings",
    "PlannedMarkers",
    "PreparedScan",
    "PreparedVolume",
    "ReferenceImage",
    "RefinedMarkers",
    "ScanAcceptanceLimits",
    "ScanFigures",
    "ScanMatch",
    "ScanMatchSettings",
    "SphereRegion",
    "TooMuchMetal",
    "TrackedPoint",
    "UndefinedVoxels",
    "UnusableMarkerShape",
    "ViewsTooParallel",
    "VolumeTooThin",
    "WrongFrameOfReference",
    "WrongNumberOfViews",
    "check_capture",
    "detect_markers_in_ct",
    "detect_markers_in_image",
    "gradient_correlation",
    "match_2d2d",
    "match_2d3d",
    "match_3d3d",
    "match_markers",
    "match_one_view",
    "match_shadows",
    "planned_markers",
    "prepare",
    "prepare_scan",
    "refined_markers",
    "triangulate_track",
    "warmup",
]
