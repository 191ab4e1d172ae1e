"""The daily check: a cube phantom, two images, a couch shift by known offsets, two images more; six numbers each.

Two questions are asked. Does the phantom lie where the room's marks say (six numbers of the first pair)? And do the
images show the shift that the couch was told to make (six numbers of the difference)? Both are compared with stated
tolerances and kept, so that a slow change is seen before it becomes a fault.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from isoalign.calibration.ball_phantom import BallPhantom, phantom_from_dict
from isoalign.calibration.errors import InvalidCalibrationRecord
from isoalign.calibration.kv_imagers import ImagerShadows
from isoalign.calibration.phantom_pose import SIX, PhantomPose, fit_phantom_pose, six_numbers
from isoalign.calibration.record_history import read_history
from isoalign.calibration.signed_record import CalibrationRecord, RoomSeal, read_record_of_any_time
from isoalign.errors import GeometryError, InputDataError
from isoalign.geometry import (
    Array,
    ImagerAxis,
    PixelGrid,
    ProjectionGeometry,
    Representation,
    TableTopPosition,
    fixed_from_table,
)

KIND = "daily check"
VERSION = 1
VALID = timedelta(hours=36)
METHOD = "rigid fit of ball shadows in two images, before and after a known couch shift"
CHECK = "isoalign daily check"
KNOWN_SHIFT = (8.0, -12.0, 6.0, 1.0, -0.8, 1.5)
"""Every axis, each by another amount, so that swapped axes and wrong signs cannot cancel."""
CUBE_BALLS = 12
CUBE_HALF_MM = 60.0
CUBE_BALL_RADIUS_MM = 1.5
TREND_DAYS = 30.0
LEAST_TREND = 5


def cube_phantom() -> BallPhantom:
    """A cube of 120 mm with twelve balls on its faces, each at a height of its own and no two opposite.

    Neither from above nor from the side do two shadows touch, and the pattern is not its own mirror image.
    """
    number = np.arange(CUBE_BALLS)
    around = np.deg2rad(20.0 + 137.0 * number)
    ring = np.column_stack([np.cos(around), np.sin(around)])
    ring *= CUBE_HALF_MM / np.abs(ring).max(axis=1, keepdims=True)
    along = np.linspace(-0.95 * CUBE_HALF_MM, 0.95 * CUBE_HALF_MM, CUBE_BALLS)
    centres = np.round(np.column_stack([ring[:, 0], along, ring[:, 1]]), 3)
    return BallPhantom("isoalign-cube-12", centres, CUBE_BALL_RADIUS_MM)


@dataclass(frozen=True, slots=True)
class DailyTolerances:
    """Largest accepted numbers.

    The defaults: 1 mm as AAPM TG-142 has it for daily checks of image guidance at stereotactic machines, and 2 mm for
    the set-up to the room's marks.
    """

    setup_mm: float = 2.0
    setup_deg: float = 1.0
    shift_mm: float = 1.0
    shift_deg: float = 0.5


@dataclass(frozen=True, slots=True)
class DailyMeasurements:
    """What was measured.

    Attributes
    ----------
    phantom : BallPhantom
    before, after : tuple of ImagerShadows
        Ball shadows in the images before and after the shift.
    position_before, position_after : TableTopPosition
        Where the couch was told to be, or read back before the shift, and where it was told to go.
    measured_at : datetime
        Aware.
    """

    phantom: BallPhantom
    before: tuple[ImagerShadows, ...]
    after: tuple[ImagerShadows, ...]
    position_before: TableTopPosition
    position_after: TableTopPosition
    measured_at: datetime
    devices: Mapping[str, str] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)

    def digest(self) -> str:
        """SHA-256 of everything that is used."""
        found = hashlib.sha256(json.dumps(self.phantom.to_dict(), sort_keys=True).encode())
        for image in (*self.before, *self.after):
            found.update(image.name.encode())
            found.update(image.column_row.tobytes())
            found.update(image.believed.projection_matrix().tobytes())
        found.update(repr((self.position_before.values, self.position_after.values)).encode())
        return found.hexdigest()


@dataclass(frozen=True, slots=True)
class DailyCheck:
    """The result.

    Attributes
    ----------
    setup, shift : ndarray, shape (6,)
        How the phantom lies, and by how much the images show another shift than the couch was told: lateral,
        longitudinal, vertical (mm), pitch, roll, patient support angle (degrees), IEC 61217.
    first, second : PhantomPose
    """

    setup: Array
    shift: Array
    first: PhantomPose
    second: PhantomPose
    measurements: DailyMeasurements
    tolerances: DailyTolerances

    def failures(self) -> tuple[str, ...]:
        """What is out of tolerance, in plain words."""
        allowed, failed = self.tolerances, []
        for what, six, limit_mm, limit_deg in (
            ("the phantom lies off", self.setup, allowed.setup_mm, allowed.setup_deg),
            ("the images show another shift", self.shift, allowed.shift_mm, allowed.shift_deg),
        ):
            for name, value, limit in zip(SIX, six, [limit_mm] * 3 + [limit_deg] * 3, strict=True):
                if not abs(value) <= limit:
                    axis, unit = name.rsplit("_", 1)
                    words = f"{axis.replace('_', ' ')} by {value:+.2f} {unit}"
                    failed.append(f"{what}: {words}, allowed {limit:g}")
        return tuple(failed)

    @property
    def left_out_in_words(self) -> tuple[str, ...]:
        """Shadows that disagree with all others."""
        return tuple(
            f"ball {ball + 1} in the image of {imager} {when} the shift"
            for when, pose in (("before", self.first), ("after", self.second))
            for imager, ball in pose.left_out
        )


def check_day(measurements: DailyMeasurements, *, tolerances: DailyTolerances = DailyTolerances()) -> DailyCheck:
    """The six numbers of the phantom, and of the shift against what was told.

    Raises
    ------
    BallsNotRecognised, Underdetermined, TooManyOutliers
    """
    first = fit_phantom_pose(measurements.phantom, measurements.before)
    start, end = (fixed_from_table(one) for one in (measurements.position_before, measurements.position_after))
    told = end @ start.inverse()
    expected = told @ first.moved
    # the phantom of the second pair is looked for where the shift should have taken it
    carried = BallPhantom(
        measurements.phantom.name, told.apply(measurements.phantom.centres_mm), measurements.phantom.radius_mm
    )
    second = fit_phantom_pose(carried, measurements.after)
    seen = second.moved @ told
    return DailyCheck(
        six_numbers(first.moved), six_numbers(seen @ expected.inverse()), first, second, measurements, tolerances
    )


def daily_record(check: DailyCheck) -> CalibrationRecord:
    """As a record, not yet signed."""
    given = check.measurements
    return CalibrationRecord(
        kind=KIND,
        version=VERSION,
        method=METHOD,
        measured_at=given.measured_at,
        valid_until=given.measured_at + VALID,
        devices=dict(given.devices),
        inputs_sha256=given.digest(),
        result={
            "setup": dict(zip(SIX, map(float, check.setup), strict=True)),
            "shift": dict(zip(SIX, map(float, check.shift), strict=True)),
        },
        residuals={
            "rms_px": [check.first.rms_px, check.second.rms_px],
            "sigma": [check.first.sigma.tolist(), check.second.sigma.tolist()],
            "left_out": list(check.left_out_in_words),
        },
        gates=asdict(check.tolerances),
        failures=check.failures(),
        notes={"phantom": given.phantom.name, **given.notes},
    )


@dataclass(frozen=True, slots=True)
class Trend:
    """How one of the twelve numbers went.

    Attributes
    ----------
    name : str
        "setup" or "shift" and the number.
    days : ndarray, shape (n,)
        Before the latest, negative.
    values : ndarray, shape (n,)
    slope_per_day : float
        By least squares; NaN with fewer than five.
    limit : float
    """

    name: str
    days: Array
    values: Array
    slope_per_day: float
    limit: float

    @property
    def warns(self) -> bool:
        """Whether it leaves its tolerance within thirty days if it goes on like this, and the slope is no chance."""
        if not np.isfinite(self.slope_per_day) or np.ptp(self.days) <= 0:
            return False
        left = self.values - np.polyval(np.polyfit(self.days, self.values, 1), self.days)
        sigma = np.sqrt((left**2).sum() / max(1, left.size - 2) / ((self.days - self.days.mean()) ** 2).sum())
        ahead = np.polyval(np.polyfit(self.days, self.values, 1), TREND_DAYS)
        return bool(abs(ahead) > self.limit and abs(self.slope_per_day) > 3 * sigma)


def trends(records: Sequence[CalibrationRecord]) -> tuple[Trend, ...]:
    """The way of each of the twelve numbers over the records of many days, in any order.

    Raises
    ------
    InvalidCalibrationRecord
    """
    ordered = sorted(records, key=lambda one: one.measured_at)
    if not ordered:
        raise InvalidCalibrationRecord("there is no record of a daily check to compare")
    days = np.array([(one.measured_at - ordered[-1].measured_at).total_seconds() / 86400.0 for one in ordered])
    found = []
    for what in ("setup", "shift"):
        for name in SIX:
            try:
                values = np.array([float(one.result[what][name]) for one in ordered])
                limit = float(ordered[-1].gates[f"{what}_{name.rsplit('_', 1)[1]}"])
            except (LookupError, TypeError, ValueError) as error:
                raise InvalidCalibrationRecord(f"a record of a daily check is damaged: {error!r}") from error
            slope = np.polyfit(days, values, 1)[0] if len(days) >= LEAST_TREND and np.ptp(days) > 0 else np.nan
            found.append(Trend(f"{what} {name}", days, values, float(slope), limit))
    return tuple(found)


def earlier_checks(folder: str | Path, seal: RoomSeal, now: datetime) -> list[CalibrationRecord]:
    """The records of daily checks in a folder, each proved; that they are not valid any more does not matter.

    Raises
    ------
    RecordTampered, RecordForeign, InvalidCalibrationRecord
        For a record of a daily check that this room has not signed as it is.
    """
    kept = read_history(folder, seal, kind=KIND, now=now)
    return [read_record_of_any_time(one.file, seal) for one in kept]


def read_daily_measurements(path: str | Path) -> DailyMeasurements:
    """Ball shadows and couch positions from a JSON file; ``golden/shadows.json`` of the script shows the form.

    Raises
    ------
    InvalidCalibrationRecord, InvalidPhantom
    """
    file = Path(path)
    try:
        raw = json.loads(file.read_text(encoding="utf-8"))
        if (raw["kind"], raw["version"]) != (CHECK, 1):
            raise InvalidCalibrationRecord(f"{file.name} is {raw['kind']!r} version {raw['version']!r}")
        before, after = (
            TableTopPosition.from_values(Representation.IEC_61217, raw[name])
            for name in ("position_before", "position_after")
        )
        return DailyMeasurements(
            phantom_from_dict(raw["phantom"]) if "phantom" in raw else cube_phantom(),
            _images(raw, "before_px"),
            _images(raw, "after_px"),
            before,
            after,
            datetime.fromisoformat(raw["measured_at"]),
            {str(role): str(serial) for role, serial in raw.get("devices", {}).items()},
            {str(name): str(text) for name, text in raw.get("notes", {}).items()},
        )
    except (OSError, LookupError, TypeError, ValueError, GeometryError, InputDataError) as error:
        raise InvalidCalibrationRecord(f"file of a daily check {file.name}: {error}") from error


def _images(raw: Any, key: str) -> tuple[ImagerShadows, ...]:
    images = []
    for one in raw["imagers"]:
        axis = ImagerAxis(float(one["gantry_angle_deg"]), float(one["sad_mm"]), float(one["sid_mm"]))
        grid = PixelGrid.centred(int(one["rows"]), int(one["columns"]), float(one["pixel_mm"]))
        geometry = ProjectionGeometry.from_axis(axis, grid)
        images.append(ImagerShadows(str(one["name"]), geometry, np.asarray(one[key], dtype=np.float64)))
    return tuple(images)
