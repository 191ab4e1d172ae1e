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
from isoalign.imaging.beam import BeamQuality, beam_quality, bone_weighted, hardened
from isoalign.imaging.body_surface import BODY_HOUNSFIELD, body_outline_mm
from isoalign.imaging.detector import (
    DetectorCalibration,
    FloodPoint,
    corrected_frame,
    detector_calibration,
    filled_defects,
    non_uniformity,
    transmission_line_integrals,
)
from isoalign.imaging.detector_errors import UnusableDetectorCalibration, UnusableFrame
from isoalign.imaging.detector_lag import LagCorrection, LagModel, TimedLag, TimedLagCorrection, fit_lag
from isoalign.imaging.drr import (
    MOTION_PARAMETERS,
    project_grid,
    project_grid_with_derivatives,
    region_of_interest,
    render_drr,
    render_maximum,
)
from isoalign.imaging.errors import EmptyVolume, NoSignal, UnusableBeam, UnusableRegion, UnusableWindow
from isoalign.imaging.radiographs import (
    RepairedPixels,
    binned,
    line_integrals,
    radiograph_line_integrals,
    repaired_pixels,
)
from isoalign.imaging.warmup import warmup
from isoalign.imaging.windows import WINDOW_PRESETS, DisplayWindow, display_window

__all__ = [
    "BODY_HOUNSFIELD",
    "EFFECTIVE_ENERGY_KEV",
    "MOTION_PARAMETERS",
    "WINDOW_PRESETS",
    "AttenuationGrid",
    "AttenuationVolume",
    "BeamQuality",
    "DetectorCalibration",
    "DisplayWindow",
    "EmptyVolume",
    "FloodPoint",
    "LagCorrection",
    "LagModel",
    "NoSignal",
    "RepairedPixels",
    "TimedLag",
    "TimedLagCorrection",
    "UnusableBeam",
    "UnusableDetectorCalibration",
    "UnusableFrame",
    "UnusableRegion",
    "UnusableWindow",
    "attenuation_per_mm",
    "attenuation_volume",
    "beam_quality",
    "binned",
    "body_outline_mm",
    "bone_weighted",
    "cone_beam",
    "corrected_frame",
    "detector_calibration",
    "display_window",
    "filled_defects",
    "fit_lag",
    "hardened",
    "line_integrals",
    "non_uniformity",
    "project_grid",
    "project_grid_with_derivatives",
    "radiograph_line_integrals",
    "region_of_interest",
    "render_drr",
    "render_maximum",
    "repaired_pixels",
    "transmission_line_integrals",
    "warmup",
]
