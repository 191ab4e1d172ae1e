"""Detector calibrations as a record beside a file of arrays, and back to what corrects frames."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from isoalign.calibration.detector import METHOD, DetectorResult, LagRun, PanelFrames
from isoalign.calibration.errors import InvalidCalibrationRecord, RecordTampered
from isoalign.calibration.signed_record import CalibrationRecord
from isoalign.imaging import DetectorCalibration, FloodPoint, TimedLag, TimedLagCorrection, corrected_frame
from isoalign.records import frozen_array

DETECTOR_KIND = "detector"
VERSION = 1
VALID = timedelta(days=90)
FULL_SCALE_COUNTS = 65535

Float32 = npt.NDArray[np.float32]


class DetectorCorrection:
    """Corrects the frames of one panel in the order in which they were read: offset, lag, gain, defects.

    Parameters
    ----------
    calibration : DetectorCalibration
    lag : TimedLag

    Attributes
    ----------
    latest_s : float or None
        When the frame before was read; None when it remembers none.
    """

    def __init__(self, calibration: DetectorCalibration, lag: TimedLag) -> None:
        self.calibration = calibration
        self.lag = lag
        self.latest_s: float | None = None
        self._without_lag = TimedLagCorrection(lag)

    def __call__(self, frame: npt.ArrayLike, at_s: float) -> Float32:
        """A frame that was read at a time (s, rising), corrected, in counts of an even panel.

        Raises
        ------
        UnusableFrame
        """
        net = np.asarray(frame, dtype=np.float32) - self.calibration.dark
        free = self._without_lag(net, at_s)
        self.latest_s = at_s
        return corrected_frame(free + self.calibration.dark, self.calibration)

    def forget(self) -> None:
        """The exposures before have faded, or nobody knows when they were."""
        self.latest_s = None
        self._without_lag = TimedLagCorrection(self.lag)


def even_counts(image: Float32) -> npt.NDArray[np.uint16]:
    """A corrected frame as a panel would send it: whole counts, 0 to full scale."""
    return np.clip(np.rint(image), 0, FULL_SCALE_COUNTS).astype(np.uint16)


def detector_arrays(results: Sequence[DetectorResult]) -> bytes:
    """The maps of all panels as the bytes of an npz file; the same maps give the same bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for one in results:
            name, found = one.frames.name, one.calibration
            arrays = {f"{name}.dark": found.dark, f"{name}.defects": found.defects}
            arrays |= {f"{name}.flood{number}": point.image for number, point in enumerate(found.floods)}
            for key, array in arrays.items():
                content = io.BytesIO()
                np.lib.format.write_array(content, np.ascontiguousarray(array), allow_pickle=False)
                archive.writestr(zipfile.ZipInfo(f"{key}.npy", (1980, 1, 1, 0, 0, 0)), content.getvalue())
    return out.getvalue()


def detector_record(results: Sequence[DetectorResult], arrays: bytes) -> CalibrationRecord:
    """The calibrations of one or more panels as one record, not yet signed; it holds the hash of their arrays."""
    measured_at = min(one.frames.measured_at for one in results)
    digest = hashlib.sha256("".join(one.frames.digest() for one in results).encode())
    panels = {
        one.frames.name: {
            "levels": [point.level for point in one.calibration.floods],
            "lag": {"amplitudes": list(one.lag.amplitudes), "times_s": list(one.lag.times_s)},
            "defects": int(one.defect_map.defects.sum()),
            "single": one.defect_map.single,
            "clusters": one.defect_map.clusters,
            "lines": one.defect_map.lines,
            "largest_cluster": list(one.defect_map.largest_cluster),
            "temperature_c": one.frames.temperature_c,
        }
        for one in results
    }
    residuals = {
        one.frames.name: {
            "non_uniformity": one.non_uniformity,
            "uncorrected_non_uniformity": one.uncorrected_non_uniformity,
            "first_frame_lag": one.first_frame_lag,
            "uncorrected_first_frame_lag": one.uncorrected_first_frame_lag,
            "offset_drift_counts": one.offset_drift_counts,
            "left_out": list(one.left_out),
        }
        for one in results
    }
    failures = tuple(f"panel {one.frames.name}: {failure}" for one in results for failure in one.failures())
    return CalibrationRecord(
        kind=DETECTOR_KIND,
        version=VERSION,
        method=METHOD,
        measured_at=measured_at,
        valid_until=measured_at + VALID,
        devices={role: serial for one in results for role, serial in one.frames.devices.items()},
        inputs_sha256=digest.hexdigest(),
        result={"panels": panels, "arrays_sha256": hashlib.sha256(arrays).hexdigest()},
        residuals=residuals,
        gates=asdict(results[0].gates),
        failures=failures,
        notes={name: text for one in results for name, text in one.frames.notes.items()},
    )


def detector_corrections(record: CalibrationRecord, arrays: bytes) -> dict[str, DetectorCorrection]:
    """Imager name -> correction, from an opened record and its arrays.

    Raises
    ------
    InvalidCalibrationRecord
    RecordTampered
        The arrays are not those for which the record was signed.
    """
    if (record.kind, record.version) != (DETECTOR_KIND, VERSION):
        raise InvalidCalibrationRecord(
            f"this is {record.kind!r} version {record.version}, not {DETECTOR_KIND!r} {VERSION}"
        )
    if hashlib.sha256(arrays).hexdigest() != record.result.get("arrays_sha256"):
        raise RecordTampered("the maps of the detectors are not those for which the record was signed")
    try:
        with np.load(io.BytesIO(arrays), allow_pickle=False) as stored:
            return {str(name): _correction(str(name), panel, stored) for name, panel in record.result["panels"].items()}
    except (LookupError, TypeError, ValueError, OSError, AttributeError, zipfile.BadZipFile) as error:
        raise InvalidCalibrationRecord(f"the record of the detectors is damaged: {error!r}") from error


def read_panel_frames(path: str | Path, name: str = "") -> PanelFrames:
    """Frames of one panel from an npz file.

    It holds ``dark`` (n, rows, columns), ``flood1``, ``flood2`` ... likewise, and for runs ``lag1``, ``lag2`` ... the
    exposed frame with those after it (1 + n, rows, columns) and ``lag1_t_s`` ... (n) when these were read, s after the
    exposed one; ``measured_at`` (ISO 8601), and optionally ``name``, ``serial`` and ``temperature_c``.

    Raises
    ------
    InvalidCalibrationRecord
    """
    file = Path(path)
    try:
        with np.load(file, allow_pickle=False) as stored:
            floods = tuple(stored[f"flood{number}"] for number in _numbers(stored, "flood"))
            runs = []
            for number in _numbers(stored, "lag"):
                stack = stored[f"lag{number}"]
                runs.append(LagRun(stack[0], stack[1:], np.asarray(stored[f"lag{number}_t_s"], dtype=np.float64)))
            own = name or (str(stored["name"]) if "name" in stored.files else file.stem)
            devices = {f"panel {own}": str(stored["serial"])} if "serial" in stored.files else {}
            celsius = float(stored["temperature_c"]) if "temperature_c" in stored.files else None
            moment = datetime.fromisoformat(str(stored["measured_at"]))
            frames = PanelFrames(own, stored["dark"], floods, tuple(runs), moment, celsius, devices)
        shapes = {stack.shape[1:] for stack in (frames.dark, *floods, *(run.after for run in runs))}
        for run in runs:
            frozen_array(run.t_s, (len(run.after),), "times after an exposure")
        if len(shapes) != 1 or len(next(iter(shapes))) != 2:
            raise ValueError(f"frames of different sizes: {sorted(shapes)}")
    except (LookupError, TypeError, ValueError, OSError, zipfile.BadZipFile) as error:
        raise InvalidCalibrationRecord(f"file of panel frames {file.name}: {error}") from error
    return frames


def _numbers(stored: Any, stem: str) -> list[int]:
    return sorted(int(key[len(stem) :]) for key in stored.files if key.startswith(stem) and key[len(stem) :].isdigit())


def _correction(name: str, panel: Any, stored: Any) -> DetectorCorrection:
    dark, defects = stored[f"{name}.dark"], stored[f"{name}.defects"]
    points = tuple(
        FloodPoint(float(level), stored[f"{name}.flood{number}"]) for number, level in enumerate(panel["levels"])
    )
    if {dark.shape} != {defects.shape, *(point.image.shape for point in points)}:
        raise ValueError(f"the maps of panel {name} do not fit each other")
    lag = TimedLag(tuple(panel["lag"]["amplitudes"]), tuple(panel["lag"]["times_s"]))
    return DetectorCorrection(DetectorCalibration(dark, points, defects), lag)
