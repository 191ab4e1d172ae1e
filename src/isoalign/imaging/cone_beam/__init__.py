"""Cone-beam CT: filtered backprojection of a circular scan, as the projections come."""

from isoalign.imaging.cone_beam.arc import ScanArc
from isoalign.imaging.cone_beam.errors import (
    AnglesOutOfOrder,
    ArcTooShort,
    DetectorTooFarAside,
    MirroredGeometry,
    TooFewProjections,
    UnusableProjection,
    UnusableReconstruction,
    UnusableScanGeometry,
    UnusableWaterScan,
)
from isoalign.imaging.cone_beam.grid import ReconstructionGrid
from isoalign.imaging.cone_beam.hounsfield import HounsfieldCalibration, WaterScan, water_scan
from isoalign.imaging.cone_beam.preparation import ProjectionPreparation, ScatterCorrection, UniformScatter
from isoalign.imaging.cone_beam.ramp import RampFilter, RampWindow
from isoalign.imaging.cone_beam.reconstruction import ConeBeamReconstruction, ReconstructionSettings, reconstruct
from isoalign.imaging.cone_beam.views import geometry_from_matrix

__all__ = [
    "AnglesOutOfOrder",
    "ArcTooShort",
    "ConeBeamReconstruction",
    "DetectorTooFarAside",
    "HounsfieldCalibration",
    "MirroredGeometry",
    "ProjectionPreparation",
    "RampFilter",
    "RampWindow",
    "ReconstructionGrid",
    "ReconstructionSettings",
    "ScanArc",
    "ScatterCorrection",
    "TooFewProjections",
    "UniformScatter",
    "UnusableProjection",
    "UnusableReconstruction",
    "UnusableScanGeometry",
    "UnusableWaterScan",
    "WaterScan",
    "geometry_from_matrix",
    "reconstruct",
    "water_scan",
]
