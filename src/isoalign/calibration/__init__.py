"""Calibrations: fits that turn measurements into the geometry of the machines. Pure; no device, no clock.

Public face: ball-bearing phantoms, the geometry of kV imagers from their images, the record to keep, signed records.
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
    InvalidRoomKey,
    RecordExpired,
    RecordForeign,
    RecordTampered,
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
from isoalign.calibration.signed_record import (
    CalibrationRecord,
    RoomKey,
    RoomSeal,
    open_record,
    read_record,
    sign_record,
    write_record,
)
from isoalign.calibration.triangulation import triangulate

__all__ = [
    "BallPhantom",
    "BallShadows",
    "BallsNotFound",
    "BallsNotRecognised",
    "CalibrationRecord",
    "GateFailed",
    "ImagerFit",
    "ImagerResult",
    "ImagerShadows",
    "InvalidCalibrationRecord",
    "InvalidPhantom",
    "InvalidRoomKey",
    "KvCalibration",
    "KvGates",
    "RecordExpired",
    "RecordForeign",
    "RecordTampered",
    "RoomKey",
    "RoomSeal",
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
    "open_record",
    "read_geometries",
    "read_record",
    "read_shadows",
    "sign_record",
    "triangulate",
    "write_calibration",
    "write_record",
]
