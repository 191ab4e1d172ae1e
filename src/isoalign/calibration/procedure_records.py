"""Records of the walk-out and of Winston-Lutz: gates, content, and files of measurements."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from isoalign.calibration.couch_walkout import CouchWalkout, WalkoutMeasurements
from isoalign.calibration.errors import InvalidCalibrationRecord
from isoalign.calibration.kv_imagers import METHOD as KV_METHOD
from isoalign.calibration.kv_imagers import KvCalibration
from isoalign.calibration.kv_record import calibration_to_dict
from isoalign.calibration.measuring import MeasuredWalkout
from isoalign.calibration.projections import AXIS_NAMES, Displacement
from isoalign.calibration.signed_record import CalibrationRecord
from isoalign.calibration.winston_lutz import METHOD as WINSTON_LUTZ_METHOD
from isoalign.calibration.winston_lutz import WinstonLutz
from isoalign.errors import IsoalignError

WALK_OUT_KIND = "couch walk-out"
WINSTON_LUTZ_KIND = "Winston-Lutz"
KV_KIND = "kV imager geometry"
WALK_OUT_METHOD = "known-angle rigid fit of balls on the couch"
WALK_OUT_VALID = timedelta(days=90)
WINSTON_LUTZ_VALID = timedelta(days=31)
KV_VALID = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class WalkoutGates:
    """What a walk-out must reach to be signed.

    Attributes
    ----------
    residual_mm : float
        Of X and Y, rms, after everything that was fitted.
    uncertainty_mm : float
        Of the mean axis, 95 %.
    offset_mm : float
        A larger one is rather a mistake of the set-up than a couch.
    """

    residual_mm: float = 0.2
    uncertainty_mm: float = 0.3
    offset_mm: float = 3.0


@dataclass(frozen=True, slots=True)
class WinstonLutzGates:
    """What a Winston-Lutz analysis must reach to be signed.

    Attributes
    ----------
    residual_mm : float
        Of all projections, rms; gantry sag and collimator run-out are in it.
    sigma_mm : float
        Standard deviation of each component that is available.
    """

    residual_mm: float = 0.5
    sigma_mm: float = 0.25


def walkout_record(
    walkout: CouchWalkout,
    measured_at: datetime,
    inputs_sha256: str,
    *,
    devices: Mapping[str, str] | None = None,
    gates: WalkoutGates = WalkoutGates(),
    notes: Mapping[str, str] | None = None,
) -> CalibrationRecord:
    """The record of a walk-out; with its failures when a gate does not hold."""
    reached = {
        "residual_mm": walkout.residual_rms_mm,
        "uncertainty_mm": walkout.uncertainty95_mm,
        "offset_mm": walkout.axis_length_mm,
    }
    return CalibrationRecord(
        kind=WALK_OUT_KIND,
        version=1,
        method=WALK_OUT_METHOD,
        measured_at=measured_at,
        valid_until=measured_at + WALK_OUT_VALID,
        devices=dict(devices or {}),
        inputs_sha256=inputs_sha256,
        result=walkout.result(),
        residuals={"rms_mm": walkout.residual_rms_mm, "rigid_rms_mm": walkout.rigid_rms_mm},
        covariance=walkout.covariance.tolist(),
        gates=_gates(asdict(gates), reached),
        failures=_failures(asdict(gates), reached),
        notes=dict(notes or {}),
    )


def winston_lutz_record(
    analysis: WinstonLutz,
    *,
    imagers: Mapping[str, Displacement] | None = None,
    devices: Mapping[str, str] | None = None,
    gates: WinstonLutzGates = WinstonLutzGates(),
    notes: Mapping[str, str] | None = None,
) -> CalibrationRecord:
    """The record of a Winston-Lutz analysis; with its failures when a gate does not hold.

    It is valid from when the images were taken, however late they are analysed.

    Raises
    ------
    InvalidCalibrationRecord
        When no image says when it was taken.
    """
    measured_at = analysis.measured_at()
    sigmas = [sigma for sigma in analysis.ball.sigma_mm if sigma is not None]
    reached = {"residual_mm": analysis.ball.rms_mm, "sigma_mm": max(sigmas, default=0.0)}
    offsets = {
        name: {"offset_mm": list(one.mm), "sigma_mm": list(one.sigma_mm), "not_available": list(one.not_available)}
        for name, one in (imagers or {}).items()
    }
    told = [place for place, value in enumerate(analysis.ball.mm) if value is not None]
    return CalibrationRecord(
        kind=WINSTON_LUTZ_KIND,
        version=1,
        method=WINSTON_LUTZ_METHOD,
        measured_at=measured_at,
        valid_until=measured_at + WINSTON_LUTZ_VALID,
        devices=dict(devices or {}),
        inputs_sha256=analysis.inputs_sha256,
        result={**analysis.result(), "imagers": offsets, "covariance_of": [AXIS_NAMES[place] for place in told]},
        residuals={"rms_mm": analysis.ball.rms_mm, "mm": np.round(analysis.ball.residuals_mm, 4).tolist()},
        covariance=analysis.ball.covariance[np.ix_(told, told)].tolist(),
        gates=_gates(asdict(gates), reached),
        failures=_failures(asdict(gates), reached),
        notes=dict(notes or {}),
    )


def kv_imager_record(
    calibration: KvCalibration, *, devices: Mapping[str, str] | None = None, notes: Mapping[str, str] | None = None
) -> CalibrationRecord:
    """The record of a kV imager calibration; ``result`` is what :func:`geometries_from_dict` reads."""
    worst = float(calibration.triangulation_errors_mm.max(initial=0.0))
    return CalibrationRecord(
        kind=KV_KIND,
        version=1,
        method=KV_METHOD,
        measured_at=calibration.measured_at,
        valid_until=calibration.measured_at + KV_VALID,
        devices=dict(devices or {}),
        inputs_sha256=calibration.inputs_sha256,
        result=calibration_to_dict(calibration),
        residuals={
            "rms_px": {one.name: one.fit.rms_px for one in calibration.imagers},
            "triangulation_mm": worst,
        },
        gates=_gates(
            asdict(calibration.gates),
            {"rms_px": max(one.fit.rms_px for one in calibration.imagers), "triangulation_mm": worst},
        ),
        failures=calibration.failures(),
        notes=dict(notes or {}) | dict(calibration.notes),
    )


def write_walkout_measurements(measured: MeasuredWalkout, path: str | Path) -> Path:
    """Write measurements as JSON, for :func:`read_walkout_measurements`."""
    found = measured.measurements
    points = [
        {"label": label, "angle_deg": angle, "ball": ball, "point_mm": [None if np.isnan(x) else x for x in point]}
        for label, angle, ball, point in zip(
            found.labels, found.angles_deg.tolist(), found.balls.tolist(), found.points_mm.tolist(), strict=True
        )
    ]
    file = Path(path)
    content = {"measured_at": measured.measured_at.isoformat(), "measurements": points}
    file.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return file


def read_walkout_measurements(path: str | Path) -> MeasuredWalkout:
    """Measurements of balls on the couch from a JSON file; a height that was not told is null.

    Raises
    ------
    InvalidCalibrationRecord
    """
    file = Path(path)
    try:
        content = file.read_bytes()
        raw = json.loads(content)
        rows = raw["measurements"]
        measurements = WalkoutMeasurements(
            np.array([float(row["angle_deg"]) for row in rows]),
            np.array([[np.nan if x is None else float(x) for x in row["point_mm"]] for row in rows]),
            np.array([int(row.get("ball", 0)) for row in rows]),
            tuple(str(row.get("label", f"couch {row['angle_deg']:g}°")) for row in rows),
        )
        measured_at = datetime.fromisoformat(raw["measured_at"])
        if measured_at.tzinfo is None:
            raise ValueError("measured_at has no time zone")
    except (OSError, LookupError, TypeError, ValueError, AttributeError, IsoalignError) as error:
        raise InvalidCalibrationRecord(f"file of measurements {file.name}: {error}") from error
    return MeasuredWalkout(measurements, measured_at, hashlib.sha256(content).hexdigest())


def _gates(limits: Mapping[str, float], reached: Mapping[str, float]) -> dict[str, Any]:
    return {name: {"limit": limits[name], "reached": value} for name, value in reached.items()}


def _failures(limits: Mapping[str, float], reached: Mapping[str, float]) -> tuple[str, ...]:
    return tuple(
        f"{name.removesuffix('_mm').replace('_', ' ')} {value:.3f} mm exceeds {limits[name]:g} mm"
        for name, value in reached.items()
        if not value <= limits[name]
    )
