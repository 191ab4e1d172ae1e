"""Calibrations: fits that turn measurements into the geometry of the machines. Pure; no device, no clock.

Public face: ball-bearing phantoms, the geometry of kV imagers from their images, and the record to keep.
"""

from isoalign.calibration.ball_detection import BallShadows, detect_balls
from isoalign.calibration.ball_phantom import BallPhantom, built_in_phantom, load_phantom
from isoalign.calibration.correspondence import assign_balls
from isoalign.calibration.errors import (
    BallsNotFound,
    BallsNotRecognised,
    GateFailed,
    InvalidCalibrationRecord,
    InvalidPhantom,
    TooManyOutliers,
    Underdetermined,
)
from isoalign.calibration.imager_geometry import (
    ImagerFit,
    SurveyedDistance,
    direct_linear_transformation,
    fit_imager_geometry,
    geometry_of_matrix,
)
from isoalign.calibration.kv_imagers import (
    ImagerResult,
    ImagerShadows,
    KvCalibration,
    KvGates,
    calibrate_from_shadows,
    calibrate_kv_imagers,
    find_shadows,
    isocentre_offset_mm,
)
from isoalign.calibration.kv_record import (
    calibration_to_dict,
    geometries_from_dict,
    nearest_axis,
    read_geometries,
    read_shadows,
    write_calibration,
)
from isoalign.calibration.triangulation import triangulate

__all__ = [
    "BallPhantom",
    "BallShadows",
    "BallsNotFound",
    "BallsNotRecognised",
    "GateFailed",
    "ImagerFit",
    "ImagerResult",
    "ImagerShadows",
    "InvalidCalibrationRecord",
    "InvalidPhantom",
    "KvCalibration",
    "KvGates",
    "SurveyedDistance",
    "TooManyOutliers",
    "Underdetermined",
    "assign_balls",
    "built_in_phantom",
    "calibrate_from_shadows",
    "calibrate_kv_imagers",
    "calibration_to_dict",
    "detect_balls",
    "direct_linear_transformation",
    "find_shadows",
    "fit_imager_geometry",
    "geometries_from_dict",
    "geometry_of_matrix",
    "isocentre_offset_mm",
    "load_phantom",
    "nearest_axis",
    "read_geometries",
    "read_shadows",
    "triangulate",
    "write_calibration",
]
