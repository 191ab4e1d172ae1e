"""Imaging: CT numbers to attenuation, digitally reconstructed radiographs, radiographs to line integrals, windows.

Pure mathematics on records; the heavy parts are compiled kernels (numba) that run on all cores. Call :func:`warmup`
once after installation: it fills the on-disk cache of machine code.
"""

from isoalign.imaging.attenuation import (
    EFFECTIVE_ENERGY_KEV,
    AttenuationGrid,
    AttenuationVolume,
    attenuation_per_mm,
    attenuation_volume,
)
from isoalign.imaging.body_surface import BODY_HOUNSFIELD, body_outline_mm
from isoalign.imaging.drr import MOTION_PARAMETERS, project_grid, project_grid_with_derivatives, render_drr
from isoalign.imaging.errors import EmptyVolume, NoSignal, UnusableWindow
from isoalign.imaging.radiographs import (
    RepairedPixels,
    binned,
    line_integrals,
    radiograph_line_integrals,
    repaired_pixels,
)
from isoalign.imaging.warmup import warmup
from isoalign.imaging.windows import DisplayWindow, display_window

__all__ = [
    "BODY_HOUNSFIELD",
    "EFFECTIVE_ENERGY_KEV",
    "MOTION_PARAMETERS",
    "AttenuationGrid",
    "AttenuationVolume",
    "DisplayWindow",
    "EmptyVolume",
    "NoSignal",
    "RepairedPixels",
    "UnusableWindow",
    "attenuation_per_mm",
    "attenuation_volume",
    "binned",
    "body_outline_mm",
    "display_window",
    "line_integrals",
    "project_grid",
    "project_grid_with_derivatives",
    "radiograph_line_integrals",
    "render_drr",
    "repaired_pixels",
    "warmup",
]
