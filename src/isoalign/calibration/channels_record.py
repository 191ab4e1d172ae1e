"""Calibration of the two channels and the stops of a couch: gates, record, and what the interlocks take from it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import timedelta

import numpy as np

from isoalign.calibration import stop_table as stop_tables
from isoalign.calibration import two_channels
from isoalign.calibration.couch_recording import StopMeasurements
from isoalign.calibration.errors import GateFailed, InvalidCalibrationRecord
from isoalign.calibration.signed_record import CalibrationRecord
from isoalign.calibration.stop_table import StopCell, StopTable, stop_table
from isoalign.calibration.two_channels import Channel, fit_channels
from isoalign.geometry import AXES

CHANNELS_KIND = "couch channels and stops"
VERSION = 1
VALID = timedelta(days=180)


@dataclass(frozen=True, slots=True)
class ChannelGates:
    """What must hold; the stops are those of IEC 60601-2-1, 201.9.2 as this package quotes it.

    Attributes
    ----------
    disagreement_mm, disagreement_deg : float
        Largest of the channels, aligned, in runs kept out.
    scale, lag_s : float
        A second channel that is off by more is broken, not uncalibrated.
    slow_mm_per_s, slow_deg_per_s : float
        Up to these speeds a stop is to be within the first pair of distances, above within the second.
    slow_stop_mm, slow_stop_deg, stop_mm, stop_deg : float
    """

    disagreement_mm: float = 0.15
    disagreement_deg: float = 0.03
    scale: float = 2e-3
    lag_s: float = 0.1
    slow_mm_per_s: float = 25.0
    slow_deg_per_s: float = 1.0
    slow_stop_mm: float = 3.0
    slow_stop_deg: float = 0.5
    stop_mm: float = 10.0
    stop_deg: float = 3.0


@dataclass(frozen=True, slots=True)
class ChannelCalibration:
    """The result."""

    channels: tuple[Channel, ...]
    stops: StopTable
    measurements: StopMeasurements
    gates: ChannelGates

    def failures(self) -> tuple[str, ...]:
        """The gates that do not hold, in plain words."""
        gates, failed = self.gates, list(self.stops.odd)
        for one in self.channels:
            linear = AXES.index(one.axis) < 3
            allowed, unit = (gates.disagreement_mm, "mm") if linear else (gates.disagreement_deg, "deg")
            if not one.held_out_largest <= allowed:
                failed.append(
                    f"{one.axis}: the channels stay {one.held_out_largest:.3f} {unit} apart, allowed {allowed:g}"
                )
            if not abs(one.scale) <= gates.scale:
                failed.append(f"{one.axis}: the second channel's scale is off by {1e6 * one.scale:.0f} ppm")
            if not -gates.lag_s / 10 <= one.lag_s <= gates.lag_s:
                failed.append(f"{one.axis}: the second channel lags by {1e3 * one.lag_s:.0f} ms")
        for cell in self.stops.cells:
            linear = AXES.index(cell.axis) < 3
            slow = cell.speed <= 1.05 * (gates.slow_mm_per_s if linear else gates.slow_deg_per_s)
            near = (gates.slow_stop_mm, gates.slow_stop_deg) if slow else (gates.stop_mm, gates.stop_deg)
            allowed, unit = near[0 if linear else 1], "mm" if linear else "deg"
            if not cell.bound_distance <= allowed:
                failed.append(
                    f"{cell.axis} from {cell.speed:.1f} {unit}/s under {cell.load_kg:g} kg: stops within "
                    f"{cell.bound_distance:.2f} {unit}, allowed {allowed:g}"
                )
        return tuple(failed)

    def require_published(self) -> None:
        """Raise GateFailed with every gate that does not hold."""
        failed = self.failures()
        if failed:
            raise GateFailed("; ".join(failed), failures=list(failed))


def calibrate_channels(measurements: StopMeasurements, *, gates: ChannelGates = ChannelGates()) -> ChannelCalibration:
    """Both channels of every axis, and the table of its stops.

    Raises
    ------
    Underdetermined, TooManyOutliers
    """
    return ChannelCalibration(fit_channels(measurements.runs), stop_table(measurements.runs), measurements, gates)


def channels_record(calibration: ChannelCalibration) -> CalibrationRecord:
    """As a record, not yet signed."""
    given = calibration.measurements
    channels = [
        {
            "axis": one.axis,
            "scale": one.scale,
            "offset": one.offset,
            "lag_s": one.lag_s,
            "half_play": one.half_play,
            "range": list(one.range),
        }
        for one in calibration.channels
    ]
    return CalibrationRecord(
        kind=CHANNELS_KIND,
        version=VERSION,
        method=f"{two_channels.METHOD}; {stop_tables.METHOD}",
        measured_at=given.measured_at,
        valid_until=given.measured_at + VALID,
        devices=dict(given.devices),
        inputs_sha256=given.digest(),
        result={
            "channels": channels,
            "stops": [asdict(cell) for cell in calibration.stops.cells],
            "reaction_s": dict(calibration.stops.reaction_s),
        },
        residuals={
            one.axis: {
                "sigma": one.sigma,
                "held_out_largest": one.held_out_largest,
                "changing_largest": one.changing_largest,
                "unaligned_largest": one.unaligned_largest,
                "left_out": [f"run {run} at {at:.3f} s" for run, at in one.outliers],
            }
            for one in calibration.channels
        },
        covariance=_block_diagonal([one.covariance for one in calibration.channels]),
        gates=asdict(calibration.gates),
        failures=calibration.failures(),
        notes=dict(given.notes),
    )


@dataclass(frozen=True, slots=True)
class ChannelTables:
    """What interlocks and stop predictions take from a record.

    Attributes
    ----------
    secondary_lag_s, secondary_scale, secondary_offset : dict of axis to float
        As :class:`isoalign.interlocks.Settings` has them.
    stops : StopTable
        ``bound`` for a speed and load; ``reaction_s`` for the prediction of a stop.
    """

    secondary_lag_s: dict[str, float]
    secondary_scale: dict[str, float]
    secondary_offset: dict[str, float]
    stops: StopTable

    @classmethod
    def from_record(cls, record: CalibrationRecord) -> ChannelTables:
        """From an opened record; raises InvalidCalibrationRecord."""
        if (record.kind, record.version) != (CHANNELS_KIND, VERSION):
            raise InvalidCalibrationRecord(
                f"this is {record.kind!r} version {record.version}, not {CHANNELS_KIND!r} {VERSION}"
            )
        try:
            channels = record.result["channels"]
            cells = tuple(StopCell(**cell) for cell in record.result["stops"])
            reaction = {str(axis): float(value) for axis, value in record.result["reaction_s"].items()}
            lag, scale, offset = (
                {str(one["axis"]): float(one[name]) for one in channels} for name in ("lag_s", "scale", "offset")
            )
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise InvalidCalibrationRecord(f"the record of channels and stops is damaged: {error!r}") from error
        if set(lag) != set(AXES) or set(reaction) != set(AXES) or {cell.axis for cell in cells} != set(AXES):
            raise InvalidCalibrationRecord("the record of channels and stops does not hold every axis")
        return cls(lag, scale, offset, StopTable(cells, reaction, ()))


def _block_diagonal(blocks: list[np.ndarray[tuple[int, ...], np.dtype[np.float64]]]) -> list[list[float]]:
    from scipy.linalg import block_diag

    whole: list[list[float]] = np.asarray(block_diag(*blocks)).tolist()
    return whole
