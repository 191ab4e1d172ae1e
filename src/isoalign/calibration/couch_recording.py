"""Recordings of couch motions that were stopped on their way: what both channels said, and when."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from isoalign.calibration.errors import InvalidCalibrationRecord
from isoalign.geometry import AXES, Array
from isoalign.records import InvalidRecord, frozen_array

RECORDINGS = "isoalign couch stops"


@dataclass(frozen=True, slots=True)
class StopRecording:
    """One motion along one axis, stopped at time 0.

    Attributes
    ----------
    axis : str
        That moved.
    speed_class : str
        "service", "normal" or "fast".
    load_kg : float
        Stated load of the table top.
    t_s : ndarray, shape (n,)
        When the couch made each reading, from the moment of the stop, rising.
    primary, secondary, velocity : ndarray, shape (n,)
        Both channels and the speed of that axis, mm or degrees.
    standstill : ndarray, shape (n,), bool
        Whether the couch said that nothing moves.
    """

    axis: str
    speed_class: str
    load_kg: float
    t_s: Array
    primary: Array
    secondary: Array
    velocity: Array
    standstill: npt.NDArray[np.bool_]

    def __post_init__(self) -> None:
        if self.axis not in AXES:
            raise InvalidCalibrationRecord(f"a couch has no axis {self.axis!r}")
        try:
            count = len(np.asarray(self.t_s))
            object.__setattr__(self, "t_s", frozen_array(self.t_s, (None,), "times"))
            for name in ("primary", "secondary", "velocity"):
                object.__setattr__(self, name, frozen_array(getattr(self, name), (count,), name))
            object.__setattr__(self, "standstill", frozen_array(self.standstill, (count,), "standstill", np.bool_))
        except (InvalidRecord, TypeError, ValueError) as error:
            raise InvalidCalibrationRecord(f"a recording of {self.axis}: {error}") from error
        if count < 2 or not (np.diff(self.t_s) > 0).all():
            raise InvalidCalibrationRecord(f"a recording of {self.axis}: its times do not rise")

    @property
    def index(self) -> int:
        """Of the axis in ``AXES``."""
        return AXES.index(self.axis)

    @property
    def unit(self) -> str:
        """Of the axis."""
        return "mm" if self.index < 3 else "deg"

    @classmethod
    def from_samples(
        cls, axis: str, speed_class: str, load_kg: float, samples: Iterable[Mapping[str, Any]]
    ) -> StopRecording:
        """From the samples around a fault as the device daemon tells them; repeated readings are left out."""
        index = AXES.index(axis)
        rows: dict[float, dict[str, Any]] = {}
        for one in samples:
            couch = one.get("couch")
            if couch is None or one.get("couch_age_s") is None:
                continue
            three = {name: couch[name][index] for name in ("primary", "secondary", "velocity")}
            if all(value is not None for value in three.values()):
                three["standstill"] = bool(couch["standstill"])
                rows.setdefault(round(one["t_s"] - one["couch_age_s"], 3), three)
        times = sorted(rows)
        if len(times) < 2:
            raise InvalidCalibrationRecord(f"the couch told nothing while {axis} was stopped")
        return cls(
            axis,
            speed_class,
            load_kg,
            np.array(times),
            np.array([rows[at]["primary"] for at in times]),
            np.array([rows[at]["secondary"] for at in times]),
            np.array([rows[at]["velocity"] for at in times]),
            np.array([rows[at]["standstill"] for at in times]),
        )


@dataclass(frozen=True, slots=True)
class StopMeasurements:
    """All recordings of one calibration.

    Attributes
    ----------
    runs : tuple of StopRecording
    measured_at : datetime
        Aware.
    devices : mapping of str to str
        Serial numbers.
    """

    runs: tuple[StopRecording, ...]
    measured_at: datetime
    devices: Mapping[str, str] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)

    def digest(self) -> str:
        """SHA-256 of everything that a fit uses."""
        found = hashlib.sha256()
        for run in self.runs:
            found.update(f"{run.axis} {run.speed_class} {run.load_kg!r}".encode())
            for array in (run.t_s, run.primary, run.secondary, run.velocity, run.standstill):
                found.update(np.ascontiguousarray(array).tobytes())
        return found.hexdigest()


def write_stop_measurements(measurements: StopMeasurements, path: str | Path) -> Path:
    """Write recordings as JSON, to be fitted again; see :func:`read_stop_measurements`."""
    document = {
        "kind": RECORDINGS,
        "version": 1,
        "measured_at": measurements.measured_at.isoformat(),
        "devices": dict(measurements.devices),
        "notes": dict(measurements.notes),
        "runs": [_run_to_dict(run) for run in measurements.runs],
    }
    file = Path(path)
    file.write_text(json.dumps(document) + "\n", encoding="utf-8")
    return file


def read_stop_measurements(paths: Sequence[str | Path]) -> StopMeasurements:
    """Recordings from one or several JSON files, such as one for each load.

    Raises
    ------
    InvalidCalibrationRecord
    """
    runs: list[StopRecording] = []
    moments: list[datetime] = []
    devices: dict[str, str] = {}
    notes: dict[str, str] = {}
    for path in paths:
        file = Path(path)
        try:
            raw = json.loads(file.read_text(encoding="utf-8"))
            if (raw["kind"], raw["version"]) != (RECORDINGS, 1):
                raise InvalidCalibrationRecord(f"{file.name} is {raw['kind']!r} version {raw['version']!r}")
            runs += [_run_from_dict(one) for one in raw["runs"]]
            moments.append(datetime.fromisoformat(raw["measured_at"]))
            for role, serial in raw.get("devices", {}).items():
                if devices.setdefault(str(role), str(serial)) != str(serial):
                    raise InvalidCalibrationRecord(f"{file.name} is of {role} {serial}, others are of {devices[role]}")
            notes.update(raw.get("notes", {}))
        except (OSError, LookupError, TypeError, ValueError) as error:
            raise InvalidCalibrationRecord(f"file of couch stops {file.name}: {error!r}") from error
    if not moments:
        raise InvalidCalibrationRecord("no file of couch stops was named")
    return StopMeasurements(tuple(runs), max(moments), devices, notes)


def _run_to_dict(run: StopRecording) -> dict[str, Any]:
    return {
        "axis": run.axis,
        "speed_class": run.speed_class,
        "load_kg": run.load_kg,
        "t_s": np.round(run.t_s, 4).tolist(),
        "primary": np.round(run.primary, 6).tolist(),
        "secondary": np.round(run.secondary, 6).tolist(),
        "velocity": np.round(run.velocity, 4).tolist(),
        "standstill": run.standstill.tolist(),
    }


def _run_from_dict(raw: Mapping[str, Any]) -> StopRecording:
    t_s, primary, secondary, velocity = (
        np.array(raw[name], dtype=np.float64) for name in ("t_s", "primary", "secondary", "velocity")
    )
    still = np.array(raw["standstill"], dtype=bool)
    axis, speed_class, load_kg = str(raw["axis"]), str(raw["speed_class"]), float(raw["load_kg"])
    return StopRecording(axis, speed_class, load_kg, t_s, primary, secondary, velocity, still)
