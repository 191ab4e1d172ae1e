"""The stored form of a kV imager calibration: versioned JSON; also the result of its signed record."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from isoalign.calibration.ball_phantom import BallPhantom, phantom_from_dict
from isoalign.calibration.errors import InvalidCalibrationRecord
from isoalign.calibration.imager_geometry import PARAMETERS
from isoalign.calibration.kv_imagers import METHOD, ImagerResult, ImagerShadows, KvCalibration, isocentre_offset_mm
from isoalign.calibration.signed_record import CalibrationRecord
from isoalign.errors import GeometryError, InputDataError
from isoalign.geometry import Fixed, ImagerAxis, PixelGrid, Pose, ProjectionGeometry, XrayImageReceptor

KIND = "isoalign kV imager geometry"
VERSION = 1


def nearest_axis(geometry: ProjectionGeometry) -> ImagerAxis:
    """The gantry angle, distances, receptor translation and angle that come nearest to a geometry (RT Image terms).

    Tilts of the receptor out of the plane across the beam are not in these terms and are dropped.
    """
    x, _, z = (float(value) for value in geometry.source_mm)
    gantry_angle_deg = math.degrees(math.atan2(x, z))
    sad_mm = math.hypot(x, z)
    axis = ImagerAxis(gantry_angle_deg, sad_mm, sad_mm + 1.0)
    gantry_from_receptor = axis.fixed_from_gantry().inverse() @ geometry.fixed_from_receptor
    shift, turn = gantry_from_receptor.translation_mm, gantry_from_receptor.rotation
    return ImagerAxis(
        gantry_angle_deg,
        sad_mm,
        sad_mm - float(shift[2]),
        (float(shift[0]), float(shift[1])),
        math.degrees(math.atan2(turn[1, 0], turn[0, 0])),
    )


def calibration_to_dict(calibration: KvCalibration) -> dict[str, Any]:
    """A calibration as JSON types. Lengths in mm, angles in degrees, shadows in pixels."""
    return {
        "kind": KIND,
        "version": VERSION,
        "method": METHOD,
        "measured_at": calibration.measured_at.isoformat(),
        "inputs_sha256": calibration.inputs_sha256,
        "notes": dict(calibration.notes),
        "phantom": calibration.phantom.to_dict(),
        "gates": asdict(calibration.gates),
        "failures": list(calibration.failures()),
        "held_out": calibration.held_out.tolist(),
        "triangulation_errors_mm": calibration.triangulation_errors_mm.tolist(),
        "imagers": [_imager_to_dict(one) for one in calibration.imagers],
    }


def geometries_of_record(record: CalibrationRecord) -> dict[str, ProjectionGeometry]:
    """Imager name -> geometry, of a record that was opened; each with the machine axis that comes nearest to it.

    Raises
    ------
    InvalidCalibrationRecord
    """
    found = geometries_from_dict(record.result)
    return {name: replace(geometry, axis=nearest_axis(geometry)) for name, geometry in found.items()}


def write_calibration(calibration: KvCalibration, path: str | Path) -> Path:
    """Write a calibration as JSON; only one whose gates hold.

    Raises
    ------
    GateFailed
    """
    calibration.require_published()
    file = Path(path)
    file.write_text(json.dumps(calibration_to_dict(calibration), indent=1) + "\n", encoding="utf-8")
    return file


def geometries_from_dict(raw: dict[str, Any]) -> dict[str, ProjectionGeometry]:
    """Imager name -> geometry, of a stored calibration.

    Raises
    ------
    InvalidCalibrationRecord
        When it is of another kind or version, incomplete, or was stored with a gate that failed.
    """
    if raw.get("kind") != KIND or raw.get("version") != VERSION:
        raise InvalidCalibrationRecord(
            f"this is {raw.get('kind')!r} version {raw.get('version')!r}, not {KIND!r} version {VERSION}"
        )
    if raw.get("failures"):
        raise InvalidCalibrationRecord(f"the calibration failed its gates: {'; '.join(raw['failures'])}")
    try:
        return {str(one["name"]): _geometry_from_dict(one["geometry"]) for one in raw["imagers"]}
    except (LookupError, TypeError, ValueError, GeometryError) as problem:
        raise InvalidCalibrationRecord(f"the calibration record is damaged: {problem}") from problem


def read_geometries(path: str | Path) -> dict[str, ProjectionGeometry]:
    """Imager name -> geometry, from a file of :func:`write_calibration`.

    Raises
    ------
    InvalidCalibrationRecord
    """
    file = Path(path)
    try:
        raw = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise InvalidCalibrationRecord(f"calibration record {file.name}: {problem}") from problem
    if not isinstance(raw, dict):
        raise InvalidCalibrationRecord(f"calibration record {file.name} is not an object with keys")
    return geometries_from_dict(raw)


def read_shadows(path: str | Path) -> tuple[BallPhantom, tuple[ImagerShadows, ...], datetime]:
    """A file of ball shadows measured by other means: the phantom, the shadows of each imager, when it was measured.

    Raises
    ------
    InvalidPhantom, InvalidCalibrationRecord
    """
    file = Path(path)
    try:
        raw = json.loads(file.read_text(encoding="utf-8"))
        images = []
        for one in raw["imagers"]:
            believed = one["believed"]
            axis = ImagerAxis(float(believed["gantry_angle_deg"]), float(believed["sad_mm"]), float(believed["sid_mm"]))
            grid = PixelGrid.centred(int(believed["rows"]), int(believed["columns"]), float(believed["pixel_mm"]))
            geometry = ProjectionGeometry.from_axis(axis, grid)
            images.append(ImagerShadows(str(one["name"]), geometry, np.asarray(one["shadows_px"], dtype=np.float64)))
        return phantom_from_dict(raw["phantom"]), tuple(images), datetime.fromisoformat(raw["measured_at"])
    except (OSError, LookupError, TypeError, ValueError, GeometryError, InputDataError) as problem:
        raise InvalidCalibrationRecord(f"file of shadows {file.name}: {problem}") from problem


def _imager_to_dict(one: ImagerResult) -> dict[str, Any]:
    geometry, axis = one.fit.geometry, nearest_axis(one.fit.geometry)
    grid = geometry.grid
    return {
        "name": one.name,
        "geometry": {
            "source_mm": geometry.source_mm.tolist(),
            "fixed_from_receptor": geometry.fixed_from_receptor.matrix.tolist(),
            "rows": grid.rows,
            "columns": grid.columns,
            "row_spacing_mm": grid.row_spacing_mm,
            "column_spacing_mm": grid.column_spacing_mm,
            "first_pixel_mm": list(grid.first_pixel_mm),
        },
        "nearest_axis": asdict(axis),
        "parameters": list(PARAMETERS),
        "covariance": one.fit.covariance.tolist(),
        "rms_px": one.fit.rms_px,
        "balls": one.fit.balls.tolist(),
        "outliers": list(one.fit.outliers),
        "residuals_px": np.round(one.fit.residuals_px, 4).tolist(),
        "isocentre_offset_px": list(one.isocentre_offset_px),
        "isocentre_offset_mm": isocentre_offset_mm(one),
    }


def _geometry_from_dict(raw: dict[str, Any]) -> ProjectionGeometry:
    x, y = (float(value) for value in raw["first_pixel_mm"])
    grid = PixelGrid(
        int(raw["rows"]), int(raw["columns"]), float(raw["row_spacing_mm"]), float(raw["column_spacing_mm"]), (x, y)
    )
    pose = Pose.from_matrix(Fixed, XrayImageReceptor, raw["fixed_from_receptor"])
    return ProjectionGeometry(np.asarray(raw["source_mm"], dtype=np.float64), pose, grid)
