"""Registration: where images show the patient: two radiographs, a volume of the day, or markers, to the planning CT.

Pure mathematics on records. :func:`prepare` once for each plan, :func:`match_2d3d` for each pair of radiographs or
:func:`match_one_view` for one; the match says by itself whether it may be trusted. :func:`prepare_scan` and
:func:`match_3d3d` do the same for a cone-beam CT or in-room CT. :func:`warmup` compiles the kernels once after
installation.
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
from isoalign.registration.match import check_capture, match_2d3d
from isoalign.registration.one_view import OneViewMatch, match_one_view
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
    "BlankRadiograph",
    "BoxRegion",
    "CaptureCheck",
    "ConstantVolume",
    "EmptyRegion",
    "MaskRegion",
    "MatchCancelled",
    "MatchLevel",
    "MatchSettings",
    "Metric",
    "NothingInView",
    "OneViewMatch",
    "PreparedScan",
    "PreparedVolume",
    "ScanAcceptanceLimits",
    "ScanFigures",
    "ScanMatch",
    "ScanMatchSettings",
    "SphereRegion",
    "UndefinedVoxels",
    "ViewsTooParallel",
    "VolumeTooThin",
    "WrongFrameOfReference",
    "WrongNumberOfViews",
    "check_capture",
    "gradient_correlation",
    "match_2d3d",
    "match_3d3d",
    "match_one_view",
    "prepare",
    "prepare_scan",
    "warmup",
]
