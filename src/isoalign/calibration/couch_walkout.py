"""Couch isocentre walk-out: where the axis of the patient support truly is, from balls seen at known couch angles.

The angles are known from the read-back, so the fit p = c + R(angle) d is linear and needs no circle: c is where the
axis meets the isocentre's plane, d the ball on the turned support. A ball close to the axis tells c as well as one far
from it. Heights tell, by a plane through the balls, the tilt of the axis (balls far from it) and the sag (the same for
every ball). What the measurements do not tell is None, never zero.

Valid for a support that turns about one nearly vertical axis while nothing else of the couch moves.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from isoalign.calibration.errors import OutsideCalibratedRange, Underdetermined
from isoalign.calibration.linear_fit import LinearFit, solve_robust
from isoalign.geometry import Array
from isoalign.records import InvalidRecord, frozen_array

LEAST_ANGLES = 5
USUAL_ANGLES = 7
"""With fewer the result is marked as a reduced one; its stated uncertainty is wider by itself."""
SAME_ANGLE_DEG = 2.0
LARGEST_GAIN = 1.0
"""Uncertainty of the axis over that of one measurement; angles that give more are spread too little."""
LEAST_LEVER_MM = 30.0
"""A ball nearer to the axis tells no tilt."""
LEAST_SIGMA_MM = 0.02
"""No measurement of a ball is better than this, whatever the residuals say."""
SIGNIFICANCE = 0.01
ANGLE_ACCURACY_DEG = 0.05
RANGE_SLACK_DEG = 10.0
LARGEST_ORDER = 2
LEAST_FREEDOM = 4
WALK_SAMPLES = 181


@dataclass(frozen=True, slots=True)
class WalkoutMeasurements:
    """Balls on the couch, measured at several couch angles and otherwise the same table-top position.

    Attributes
    ----------
    angles_deg : ndarray, shape (n,)
        Patient support angle of each measurement, IEC 61217.
    points_mm : ndarray, shape (n, 3)
        Where the ball was, fixed frame. The third coordinate is NaN where a measurement does not tell the height.
    balls : ndarray, shape (n,), int
        Which ball it was.
    labels : tuple of str
        Names of the measurements for people: an image, an angle.
    """

    angles_deg: Array
    points_mm: Array
    balls: npt.NDArray[np.int64]
    labels: tuple[str, ...]

    def __post_init__(self) -> None:
        count = len(self.labels)
        points = np.array(self.points_mm, dtype=np.float64)
        if points.shape != (count, 3) or not np.isfinite(points[:, :2]).all() or np.isinf(points).any():
            raise InvalidRecord(f"measured balls are {count} points with known X and Y, not {points.shape}")
        points.setflags(write=False)
        object.__setattr__(self, "points_mm", points)
        object.__setattr__(self, "angles_deg", frozen_array(self.angles_deg, (count,), "couch angles"))
        object.__setattr__(self, "balls", frozen_array(self.balls, (count,), "ball numbers", np.int64))

    @classmethod
    def of_one_ball(
        cls, angles_deg: npt.ArrayLike, points_mm: npt.ArrayLike, labels: Sequence[str] = ()
    ) -> WalkoutMeasurements:
        """One ball at each angle; without labels the angles name the measurements."""
        angles = np.asarray(angles_deg, dtype=np.float64).ravel()
        names = tuple(labels) or tuple(f"couch {angle:g}°" for angle in angles)
        return cls(angles, np.asarray(points_mm, dtype=np.float64), np.zeros(len(angles), dtype=np.int64), names)


@dataclass(frozen=True, slots=True)
class AxisOffset:
    """Where the axis is, against the couch angle: a Fourier series over the angles that were measured.

    Attributes
    ----------
    coefficients_mm : ndarray, shape (3, 1 + 2 * order)
        For X, Y and height: constant, then cosine and sine of each multiple of the angle. Heights are relative to couch
        angle 0; a row of NaN is not available.
    range_deg : (float, float)
        Least and greatest measured angle.
    """

    coefficients_mm: Array
    range_deg: tuple[float, float]

    def at(self, angle_deg: npt.ArrayLike) -> Array:
        """Offset of the axis from the isocentre at couch angles (...), shape (..., 3), fixed frame, mm.

        Raises
        ------
        OutsideCalibratedRange
            More than 10 degrees beyond the measured angles: a series says nothing there.
        """
        angle = np.asarray(angle_deg, dtype=np.float64)
        low, high = self.range_deg
        if np.any(angle < low - RANGE_SLACK_DEG) or np.any(angle > high + RANGE_SLACK_DEG):
            raise OutsideCalibratedRange(
                f"the couch was calibrated from {low:g} to {high:g} degrees, not at {np.round(angle, 2)} degrees",
                range_deg=[low, high],
            )
        order = (self.coefficients_mm.shape[1] - 1) // 2
        return np.asarray(_basis(angle, order) @ self.coefficients_mm.T)


@dataclass(frozen=True, slots=True)
class CouchWalkout:
    """The axis of the couch.

    Attributes
    ----------
    axis_mm : ndarray, shape (2,)
        Mean place of the axis in the horizontal plane of the isocentre, fixed frame.
    uncertainty95_mm : float
        The true mean axis lies within this of ``axis_mm`` with 95 % probability, as far as the residuals tell.
    levers_mm : ndarray, shape (balls, 2)
        Each ball from the axis at couch angle 0.
    tilt_deg : (float, float) or None
        Lean of the axis towards +X and +Y; None where no ball is far from the axis.
    tilt_sigma_deg : (float, float) or None
    sag_mm : (float, float) or None
        Amplitudes of cosine and sine of the couch angle in the height of everything on the couch; None where it cannot
        be told from a tilt.
    offset : AxisOffset
    walk_radius_mm : float
        Greatest distance of the axis from its mean place over the measured angles; 0 when no walk stands out of the
        scatter.
    rigid_rms_mm : float
        Of X and Y, of what a couch leaves that turns rigidly about one axis.
    residual_rms_mm : float
        The same after the walk was followed, too.
    outliers : tuple of str
        Labels of measurements that disagree with all others and were left out.
    covariance : ndarray
        Of the axis (2) and the levers (2 for each ball), mm2.
    table : tuple of (float, float, float, float or None)
        Couch angle, and offset of the axis there as measured: X, Y, height relative to angle 0.
    angle_count : int
        Different couch angles that were used.
    """

    axis_mm: Array
    uncertainty95_mm: float
    levers_mm: Array
    tilt_deg: tuple[float, float] | None
    tilt_sigma_deg: tuple[float, float] | None
    sag_mm: tuple[float, float] | None
    offset: AxisOffset
    walk_radius_mm: float
    rigid_rms_mm: float
    residual_rms_mm: float
    outliers: tuple[str, ...]
    covariance: Array
    table: tuple[tuple[float, float, float, float | None], ...]
    residuals_mm: Array
    measurements: WalkoutMeasurements
    angle_count: int

    @property
    def is_reduced(self) -> bool:
        """Whether fewer angles than usual were used."""
        return self.angle_count < USUAL_ANGLES

    @property
    def axis_length_mm(self) -> float:
        """Distance of the mean axis from the isocentre."""
        return float(np.hypot(*self.axis_mm))

    def result(self) -> dict[str, Any]:
        """The result as JSON types, with None for what is not available."""
        heights = self.offset.coefficients_mm
        return {
            "axis_mm": self.axis_mm.tolist(),
            "uncertainty95_mm": self.uncertainty95_mm,
            "levers_mm": self.levers_mm.tolist(),
            "tilt_deg": None if self.tilt_deg is None else list(self.tilt_deg),
            "tilt_sigma_deg": None if self.tilt_sigma_deg is None else list(self.tilt_sigma_deg),
            "sag_mm": None if self.sag_mm is None else list(self.sag_mm),
            "walk_radius_mm": self.walk_radius_mm,
            "offset_fourier_mm": [None if np.isnan(row).any() else row.tolist() for row in heights],
            "range_deg": list(self.offset.range_deg),
            "table": [list(row) for row in self.table],
            "covariance_of": ["axis x", "axis y", *_lever_names(len(self.levers_mm))],
            "angles": self.angle_count,
            "outliers": list(self.outliers),
        }


def axis_offset_from_result(result: dict[str, Any]) -> AxisOffset:
    """The axis against the couch angle, of a stored :meth:`CouchWalkout.result`."""
    rows = result["offset_fourier_mm"]
    length = len(rows[0])
    full = np.array([[math.nan] * length if row is None else row for row in rows], dtype=np.float64)
    low, high = (float(value) for value in result["range_deg"])
    return AxisOffset(full, (low, high))


def fit_couch_walkout(
    measurements: WalkoutMeasurements, *, angle_accuracy_deg: float = ANGLE_ACCURACY_DEG
) -> CouchWalkout:
    """Axis of the couch from balls at known couch angles.

    Parameters
    ----------
    measurements : WalkoutMeasurements
        At five or more angles; single ones that disagree with all others are left out and named.
    angle_accuracy_deg : float
        How far the read-back of the couch angle may be off at the largest angle, in proportion at the others. The fit
        cannot see it: it moves the axis the more, the farther the ball is from it, and widens the stated uncertainty.

    Raises
    ------
    Underdetermined
        With fewer than five angles, or angles that are spread too little.
    TooManyOutliers
    """
    _require_spread(measurements.angles_deg, ())
    labels, groups = np.unique(measurements.labels, return_inverse=True)
    count = len(np.unique(measurements.balls))
    design, values, rows = _equations(measurements, count)
    fit = solve_robust(design, values, groups[rows], [str(one) for one in labels], least_sigma=LEAST_SIGMA_MM)
    keep = ~np.isin(groups, fit.outliers)
    outliers = tuple(str(labels[one]) for one in fit.outliers)
    _require_spread(measurements.angles_deg[keep], outliers)
    levers = fit.parameters[2 : 2 + 2 * count].reshape(-1, 2)
    plane = _plane(fit, levers)
    axis_covariance = fit.covariance[: 2 + 2 * count, : 2 + 2 * count]
    spread = float(np.sqrt(np.linalg.eigvalsh(axis_covariance[:2, :2])[-1]))
    unseen = _moved_by_angles(measurements, keep, levers, angle_accuracy_deg)
    table = _axis_table(measurements, keep, levers, plane)
    offset, residuals = _series(table, (float(table[0, 0]), float(table[-1, 0])))
    walk = offset.at(np.linspace(table[0, 0], table[-1, 0], WALK_SAMPLES))[:, :2] - fit.parameters[:2]
    moves = offset.coefficients_mm[:2, 1:].any()
    return CouchWalkout(
        axis_mm=fit.parameters[:2],
        uncertainty95_mm=math.hypot(spread * math.sqrt(2.0 * float(stats.f.ppf(0.95, 2, fit.freedom))), unseen),
        levers_mm=levers,
        tilt_deg=plane.tilt_deg,
        tilt_sigma_deg=plane.tilt_sigma_deg,
        sag_mm=plane.sag_mm,
        offset=offset,
        walk_radius_mm=float(np.linalg.norm(walk, axis=1).max()) if moves else 0.0,
        rigid_rms_mm=float(np.sqrt(np.mean((table[:, 1:3] - fit.parameters[:2]) ** 2))),
        residual_rms_mm=float(np.sqrt(np.mean(residuals**2))),
        outliers=outliers,
        covariance=axis_covariance,
        table=tuple((*row[:3].tolist(), None if math.isnan(row[3]) else float(row[3])) for row in table),
        residuals_mm=residuals,
        measurements=measurements,
        angle_count=_count_angles(measurements.angles_deg[keep]),
    )


def _equations(measurements: WalkoutMeasurements, count: int) -> tuple[Array, Array, npt.NDArray[np.int64]]:
    """Rows for X, Y and, where told, height; and which measurement each row is of.

    Unknown are the axis (2), the levers (2 for each ball), and for each ball whose height is told its mean height and
    the cosine and sine of the couch angle in it.
    """
    turns = np.deg2rad(measurements.angles_deg)
    _, balls = np.unique(measurements.balls, return_inverse=True)
    told = ~np.isnan(measurements.points_mm[:, 2])
    with_height = np.unique(balls[told])
    first_height = 2 + 2 * count
    rows, values, owners = [], [], []
    for number, (turn, ball) in enumerate(zip(turns, balls, strict=True)):
        c, s = math.cos(turn), math.sin(turn)
        x, y = np.zeros((2, first_height + 3 * len(with_height)))
        lever = slice(2 + 2 * ball, 4 + 2 * ball)
        x[0], x[lever] = 1.0, (c, -s)
        y[1], y[lever] = 1.0, (s, c)
        wanted = [x, y]
        if told[number]:
            height = np.zeros_like(x)
            place = first_height + 3 * int(np.searchsorted(with_height, ball))
            height[place : place + 3] = (1.0, c, s)
            wanted.append(height)
        rows += wanted
        values += measurements.points_mm[number, : len(wanted)].tolist()
        owners += [number] * len(wanted)
    return np.array(rows), np.array(values), np.array(owners, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class _Plane:
    """What the heights tell: mean height of each ball, slope of the plane in which balls turn, common sag."""

    heights_mm: Array
    slope: Array
    sag: Array
    tilt_deg: tuple[float, float] | None
    tilt_sigma_deg: tuple[float, float] | None
    sag_mm: tuple[float, float] | None


def _plane(fit: LinearFit, levers: Array) -> _Plane:
    """Tilt and sag from the waves in the balls' heights: wave = sag + slope turned with the lever."""
    nothing = np.zeros(2)
    waves = fit.parameters[2 + 2 * len(levers) :].reshape(-1, 3)
    if len(waves) == 0:
        return _Plane(np.full(len(levers), np.nan), nothing, nothing, None, None, None)
    if len(waves) != len(levers):
        raise Underdetermined("the height of every ball must be measured, or of none")
    spread = float(np.linalg.norm(levers - levers.mean(axis=0), axis=1).max())
    has_tilt = spread >= 0.5 * LEAST_LEVER_MM or (len(levers) == 1 and np.linalg.norm(levers) >= LEAST_LEVER_MM)
    has_sag = spread >= 0.5 * LEAST_LEVER_MM or not has_tilt
    columns = []
    for x, y in levers:
        tilt_part = [[x, y], [-y, x]] if has_tilt else [[], []]
        sag_part = [[1.0, 0.0], [0.0, 1.0]] if has_sag else [[], []]
        columns.append(np.hstack([np.array(tilt_part), np.array(sag_part)]))
    design = np.vstack(columns)
    height_covariance = fit.covariance[2 + 2 * len(levers) :, 2 + 2 * len(levers) :]
    wave_rows = np.concatenate([[3 * ball + 1, 3 * ball + 2] for ball in range(len(levers))])
    solver = np.linalg.pinv(design)
    found = solver @ waves[:, 1:].ravel()
    sigma = np.sqrt(np.diag(solver @ height_covariance[np.ix_(wave_rows, wave_rows)] @ solver.T))
    slope, slope_sigma = (found[:2], sigma[:2]) if has_tilt else (nothing, nothing)
    sag = found[-2:] if has_sag else nothing
    return _Plane(
        waves[:, 0],
        slope,
        sag,
        _pair(np.rad2deg(np.arctan(-slope))) if has_tilt else None,
        _pair(np.rad2deg(slope_sigma)) if has_tilt else None,
        _pair(sag) if has_sag else None,
    )


def _moved_by_angles(
    measurements: WalkoutMeasurements, keep: npt.NDArray[np.bool_], levers: Array, accuracy_deg: float
) -> float:
    """How far the axis moves when every angle is off in proportion, by ``accuracy_deg`` at the largest."""
    count = len(levers)
    horizontal = WalkoutMeasurements(
        measurements.angles_deg[keep],
        np.column_stack([measurements.points_mm[keep, :2], np.full(int(keep.sum()), np.nan)]),
        measurements.balls[keep],
        tuple(np.array(measurements.labels)[keep].tolist()),
    )
    design, *_ = _equations(horizontal, count)
    angles = horizontal.angles_deg
    _, balls = np.unique(horizontal.balls, return_inverse=True)
    wrong = np.deg2rad(accuracy_deg) * angles / max(float(np.abs(angles).max()), 1.0)
    c, s = np.cos(np.deg2rad(angles)), np.sin(np.deg2rad(angles))
    x, y = levers[balls].T
    moved = np.column_stack([-s * x - c * y, c * x - s * y]) * wrong[:, None]
    shift, *_ = np.linalg.lstsq(design, moved.ravel(), rcond=None)
    return float(np.hypot(*shift[:2]))


def _axis_table(measurements: WalkoutMeasurements, keep: npt.NDArray[np.bool_], levers: Array, plane: _Plane) -> Array:
    """Couch angle and offset of the axis as measured, mean of the balls seen at one angle, sorted by angle; (n, 4)."""
    _, balls = np.unique(measurements.balls, return_inverse=True)
    turns = np.deg2rad(measurements.angles_deg)
    c, s = np.cos(turns), np.sin(turns)
    lever = levers[balls]
    turned = np.column_stack([c * lever[:, 0] - s * lever[:, 1], s * lever[:, 0] + c * lever[:, 1]])
    height = measurements.points_mm[:, 2] - plane.heights_mm[balls] - turned @ plane.slope - plane.sag[0]
    offsets = np.column_stack([measurements.angles_deg, measurements.points_mm[:, :2] - turned, height])[keep]
    names = np.array(measurements.labels)[keep]
    rows = [offsets[names == name].mean(axis=0) for name in dict.fromkeys(names.tolist())]
    table = np.array(rows)
    return table[np.argsort(table[:, 0], kind="stable")]


def _series(table: Array, range_deg: tuple[float, float]) -> tuple[AxisOffset, Array]:
    """The series that explains the table better than chance; and what it leaves of X and Y, shape (n, 2)."""
    angles = table[:, 0]
    horizontal, residuals = _significant(angles, table[:, 1:3], already=2)
    coefficients = np.zeros((3, 1 + 2 * LARGEST_ORDER))
    coefficients[:2, : horizontal.shape[1]] = horizontal
    if np.isnan(table[:, 3]).any():
        coefficients[2] = np.nan
    else:
        height, _ = _significant(angles, table[:, 3:], already=0)
        height[0, 0] -= float(_basis(np.array(0.0), (height.shape[1] - 1) // 2) @ height[0])
        coefficients[2, : height.shape[1]] = height
    return AxisOffset(coefficients, range_deg), residuals


def _significant(angles_deg: Array, values: Array, *, already: int) -> tuple[Array, Array]:
    """Coefficients (columns of values, 1 + 2 order) of the lowest order that the F test asks for; residuals.

    ``already`` parameters of order 1 were spent before, by the levers.
    """
    count, width = values.shape
    best = (values.mean(axis=0)[:, None], values - values.mean(axis=0))
    freedom_before = count * width - width - already
    for order in range(1, LARGEST_ORDER + 1):
        used = width * (1 + 2 * order)
        freedom = count * width - used
        if freedom < LEAST_FREEDOM:
            break
        basis = _basis(angles_deg, order)
        solved, *_ = np.linalg.lstsq(basis, values, rcond=None)
        left = values - basis @ solved
        before, after = float((best[1] ** 2).sum()), float((left**2).sum())
        gained = freedom_before - freedom
        scatter = max(after / freedom, LEAST_SIGMA_MM**2)
        if gained > 0 and stats.f.sf((before - after) / gained / scatter, gained, freedom) < SIGNIFICANCE:
            best, freedom_before = (np.asarray(solved.T), left), freedom
    return best


def _basis(angles_deg: Array, order: int) -> Array:
    """1, then cosine and sine of each multiple of the angle, shape (..., 1 + 2 order)."""
    turn = np.deg2rad(angles_deg)
    waves = [wave(k * turn) for k in range(1, order + 1) for wave in (np.cos, np.sin)]
    return np.stack([np.ones_like(turn), *waves], axis=-1)


def _require_spread(angles_deg: Array, outliers: tuple[str, ...]) -> None:
    """Refuse what tells the axis worse than a single image would tell the ball."""
    told = f" (left out: {', '.join(outliers)})" if outliers else ""
    count = _count_angles(angles_deg)
    if count < LEAST_ANGLES:
        raise Underdetermined(
            f"the couch was measured at {count} different angles{told}; at least {LEAST_ANGLES} are needed",
            hint="Measure at 7 to 9 couch angles over 180 degrees.",
            angles=count,
            outliers=list(outliers),
        )
    resultant = abs(np.exp(1j * np.deg2rad(angles_deg)).sum())
    number = len(angles_deg)
    room = number**2 - resultant**2
    gain = math.sqrt(number / room) if room > 0 else math.inf
    if gain > LARGEST_GAIN:
        raise Underdetermined(
            f"the couch angles lie too close together{told}: from {angles_deg.min():g} to {angles_deg.max():g} degrees",
            hint="Measure at 7 to 9 couch angles over 180 degrees.",
            gain=gain,
        )


def _count_angles(angles_deg: Array) -> int:
    """Different angles; those closer than 2 degrees are one."""
    ordered = np.sort(np.mod(angles_deg, 360.0))
    if len(ordered) == 0:
        return 0
    gaps = np.diff(np.append(ordered, ordered[0] + 360.0))
    return max(1, int(np.count_nonzero(gaps > SAME_ANGLE_DEG)))


def _pair(values: Array) -> tuple[float, float]:
    first, second = (float(value) for value in values)
    return first, second


def _lever_names(count: int) -> list[str]:
    return [f"ball {ball} {axis}" for ball in range(count) for axis in ("x", "y")]
