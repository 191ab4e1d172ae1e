"""Registration: where images show the patient. Now: two radiographs to the planning CT (2D/3D, rigid).

Pure mathematics on records. :func:`prepare` once for each plan, :func:`match_2d3d` for each pair of radiographs; the
match says by itself whether it may be trusted. :func:`warmup` compiles the kernels once after installation.
"""

from isoalign.registration.errors import (
    BlankRadiograph,
    MatchCancelled,
    NothingInView,
    ViewsTooParallel,
    WrongNumberOfViews,
)
from isoalign.registration.match import match_2d3d
from isoalign.registration.prepared import PreparedVolume, prepare
from isoalign.registration.quality import gradient_correlation
from isoalign.registration.settings import AcceptanceLimits, MatchLevel, MatchSettings
from isoalign.registration.warmup import warmup

__all__ = [
    "AcceptanceLimits",
    "BlankRadiograph",
    "MatchCancelled",
    "MatchLevel",
    "MatchSettings",
    "NothingInView",
    "PreparedVolume",
    "ViewsTooParallel",
    "WrongNumberOfViews",
    "gradient_correlation",
    "match_2d3d",
    "prepare",
    "warmup",
]
