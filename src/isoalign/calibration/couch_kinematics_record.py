"""Couch kinematics as a calibration record, and back to what corrects commands; measurements in files."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from isoalign.calibration.couch_kinematics import (
    METHOD,
    CouchKinematics,
    CouchMeasurements,
    CouchRange,
    corrected_command,
)
from isoalign.calibration.couch_model import PARAMETERS, CouchModel, CouchState
from isoalign.calibration.errors import InvalidCalibrationRecord, OutsideCalibratedRange
from isoalign.calibration.signed_record import CalibrationRecord
from isoalign.errors import IsoalignError
from isoalign.geometry import Fixed, Pose, Representation, TableTop, TableTopPosition, table_top_position

KIND = "couch kinematics"
VERSION = 1
VALID = timedelta(days=365)
MEASUREMENTS = "isoalign couch targets"
SAME_LOAD_KG = 1.0


@dataclass(frozen=True, slots=True)
class CouchCorrection:
    """What a controller uses of a calibration: positions that lead where an ideal couch would go.

    Attributes
    ----------
    model : CouchModel
    range : CouchRange
    """

    model: CouchModel
    range: CouchRange

    @classmethod
    def from_record(cls, record: CalibrationRecord) -> CouchCorrection:
        """From an opened record; raises InvalidCalibrationRecord."""
        if (record.kind, record.version) != (KIND, VERSION):
            raise InvalidCalibrationRecord(f"this is {record.kind!r} version {record.version}, not {KIND!r} {VERSION}")
        try:
            stored = {str(one["name"]): float(one["value"]) for one in record.result["parameters"]}
            values = np.array([stored[one.name] for one in PARAMETERS])
            axes = tuple((float(least), float(greatest)) for least, greatest in record.result["range"]["axes"])
            least, greatest = record.result["range"]["load_kg"]
            x, y, z = record.result["range"].get("load_centre_mm", (0.0, 0.0, 0.0))
            centre = (float(x), float(y), float(z))
            found = cls(CouchModel(values), CouchRange(axes, (float(least), float(greatest)), centre))
        except (LookupError, TypeError, ValueError) as error:
            raise InvalidCalibrationRecord(f"the record of the couch's kinematics is damaged: {error!r}") from error
        if not np.isfinite(values).all() or len(stored) != len(PARAMETERS) or len(axes) != 6:
            raise InvalidCalibrationRecord("the record of the couch's kinematics is incomplete")
        return found

    def command(
        self,
        wanted: TableTopPosition,
        *,
        load_kg: float | None = None,
        load_centre_mm: npt.ArrayLike | None = None,
        approach: npt.ArrayLike = 0.0,
    ) -> TableTopPosition:
        """See :func:`isoalign.calibration.corrected_command`; refused outside of what was calibrated.

        Parameters
        ----------
        wanted : TableTopPosition
        load_kg : float, optional
            None is not known: only a couch that was calibrated with one load is corrected then.
        load_centre_mm : array_like, shape (3,), optional
            That of the calibration without it.
        approach : array_like, shape (6,)
        """
        return corrected_command(
            self.model,
            wanted,
            load_kg=self._load(load_kg),
            load_centre_mm=self.range.load_centre_mm if load_centre_mm is None else load_centre_mm,
            approach=approach,
            within=self.range,
        )

    def true_position(
        self,
        told: TableTopPosition,
        *,
        load_kg: float | None = None,
        load_centre_mm: npt.ArrayLike | None = None,
        approach: npt.ArrayLike = 0.0,
    ) -> TableTopPosition:
        """Where the table top is, IEC 61217, when the couch tells ``told``; the way back of :meth:`command`."""
        given, load = told.in_representation(Representation.IEC_61217), self._load(load_kg)
        self.range.require(given, load)
        centre = self.range.load_centre_mm if load_centre_mm is None else load_centre_mm
        rotation, translation = self.model.table_poses(CouchState.of(np.array(given.values), load, centre, approach))
        return table_top_position(Pose(Fixed, TableTop, rotation[0], translation[0]), near=given)

    def _load(self, load_kg: float | None) -> float:
        """The load to reckon with; a scale that shows less than nothing shows nothing."""
        if load_kg is not None:
            return max(0.0, load_kg)
        least, greatest = self.range.load_kg
        if greatest - least > SAME_LOAD_KG:
            raise OutsideCalibratedRange(
                "the couch gives way under its load, and what it carries is not known",
                hint="Let the couch tell its load, or calibrate it with the one load that it always carries.",
            )
        return least


def kinematics_record(calibration: CouchKinematics) -> CalibrationRecord:
    """A calibration as a record, not yet signed."""
    fit, given = calibration.fit, calibration.measurements
    sigma = np.sqrt(np.diag(fit.covariance))
    parameters = [
        {"name": one.name, "unit": one.unit, "value": float(value), "sigma": float(spread), "usual": one.usual}
        for one, value, spread in zip(PARAMETERS, fit.model.values, sigma, strict=True)
    ]
    proofs = [
        {
            "what": one.what,
            "poses": (one.poses + 1).tolist(),
            "distance_mm": np.round(one.distance_mm, 4).tolist(),
            "angle_deg": np.round(one.angle_deg, 5).tolist(),
            "distance_95_mm": one.distance_95_mm,
            "angle_95_deg": one.angle_95_deg,
            "uncalibrated_distance_95_mm": float(np.percentile(one.ideal_distance_mm, 95)),
        }
        for one in calibration.held_out
    ]
    return CalibrationRecord(
        kind=KIND,
        version=VERSION,
        method=METHOD,
        measured_at=given.measured_at,
        valid_until=given.measured_at + VALID,
        devices=dict(given.devices),
        inputs_sha256=given.digest(),
        result={
            "parameters": parameters,
            "weak": list(fit.weak),
            "dropped": list(fit.dropped),
            "singular_values": [float(value) for value in fit.singular_values],
            "range": {
                "axes": [list(one) for one in calibration.range.axes],
                "load_kg": list(calibration.range.load_kg),
                "load_centre_mm": list(calibration.range.load_centre_mm),
            },
        },
        residuals={
            "rms_mm": fit.rms_mm,
            "held_out": proofs,
            "left_out": list(calibration.left_out_in_words),
            "prediction_sigma_mm": calibration.prediction_sigma_mm,
        },
        covariance=fit.covariance.tolist(),
        gates=asdict(calibration.gates),
        failures=calibration.failures(),
        notes=dict(given.notes),
    )


def read_couch_measurements(path: str | Path) -> CouchMeasurements:
    """Measurements from a JSON file, as a tracker's or :func:`write_couch_measurements` writes them.

    Raises
    ------
    InvalidCalibrationRecord
    """
    file = Path(path)
    try:
        raw = json.loads(file.read_text(encoding="utf-8"))
        if (raw["kind"], raw["version"]) != (MEASUREMENTS, 1):
            raise InvalidCalibrationRecord(f"{file.name} is {raw['kind']!r} version {raw['version']!r}")
        poses = raw["poses"]
        state = CouchState.of(
            [one["position"] for one in poses],
            [one.get("load_kg", 0.0) for one in poses],
            [one.get("load_centre_mm", (0.0, 0.0, 0.0)) for one in poses],
            [one.get("approach", (0,) * 6) for one in poses],
        )
        if state.positions.shape[1] != 6 or not np.isfinite(state.positions).all():
            raise InvalidCalibrationRecord(f"{file.name}: a position has six numbers")
        missing = [np.nan] * 3
        seen = [[missing if place is None else place for place in one["seen_mm"]] for one in poses]
        return CouchMeasurements(
            state,
            tuple(str(one["name"]) for one in raw["targets"]),
            np.array([one["place_mm"] for one in raw["targets"]], dtype=np.float64),
            np.array(seen, dtype=np.float64),
            float(raw["noise_mm"]),
            float(raw["placement_mm"]),
            datetime.fromisoformat(raw["measured_at"]),
            {str(role): str(serial) for role, serial in raw.get("devices", {}).items()},
            {str(name): str(text) for name, text in raw.get("notes", {}).items()},
        )
    except IsoalignError:
        raise
    except (OSError, LookupError, TypeError, ValueError) as error:
        raise InvalidCalibrationRecord(f"file of couch measurements {file.name}: {error}") from error


def write_couch_measurements(measurements: CouchMeasurements, path: str | Path) -> Path:
    """Write measurements so that they can be fitted again: see :func:`read_couch_measurements`."""
    state = measurements.state
    document: dict[str, Any] = {
        "kind": MEASUREMENTS,
        "version": 1,
        "measured_at": measurements.measured_at.isoformat(),
        "devices": dict(measurements.devices),
        "notes": dict(measurements.notes),
        "noise_mm": measurements.noise_mm,
        "placement_mm": measurements.placement_mm,
        "targets": [
            {"name": name, "place_mm": place}
            for name, place in zip(measurements.target_names, measurements.targets_mm.tolist(), strict=True)
        ],
        "poses": [
            {
                "position": position,
                "load_kg": load,
                "load_centre_mm": centre,
                "approach": approach,
                "seen_mm": [place if np.isfinite(place).all() else None for place in seen],
            }
            for position, load, centre, approach, seen in zip(
                state.positions.tolist(),
                state.load_kg.tolist(),
                state.load_centre_mm.tolist(),
                state.approach.tolist(),
                measurements.seen_mm.tolist(),
                strict=True,
            )
        ],
    }
    file = Path(path)
    file.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return file
