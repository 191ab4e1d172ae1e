"""Calibration of the couch's kinematics from targets on its table top, measured at many poses and loads.

The result is judged where it will be used: at poses and at a load that were kept out of the fit. Single parameters are
no gate; several of them may be off together without harm.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import numpy.typing as npt

from isoalign.calibration.couch_fit import CouchFit, Targets, fit_couch, sensitivity
from isoalign.calibration.couch_model import CouchModel, CouchState
from isoalign.calibration.errors import GateFailed, OutsideCalibratedRange, Underdetermined
from isoalign.geometry import AXES, Array, Representation, TableTopPosition
from isoalign.records import frozen_array

LEAST_POSES = 40
LEAST_TARGETS = 3
LEAST_SPREAD_MM = 50.0
LEAST_WAY = (20.0, 20.0, 20.0, 1.0, 1.0, 20.0)
"""An axis that was moved over less than this, mm or degrees, is not calibrated."""
HELD_OUT_EVERY = 4
METHOD = "product of exponentials with elasticity and play, robust Gauss-Newton, parameters regularised by usual size"
LARGEST_RISE_MM = 0.05
INVERSE_ROUNDS = 20
RANGE_SLACK = 0.02
"""Part of the measured range by which a pose may lie beyond it."""


@dataclass(frozen=True, slots=True)
class CouchMeasurements:
    """Targets on the table top, measured at many poses.

    Attributes
    ----------
    state : CouchState
        The poses as the couch told them, with the loads.
    target_names : tuple of str
    targets_mm : ndarray, shape (k, 3)
        Surveyed places in the table top frame.
    seen_mm : ndarray, shape (n, k, 3)
        In the fixed frame; NaN where a target was not seen.
    noise_mm, placement_mm : float
        One standard deviation of a measured coordinate, and of a surveyed one.
    measured_at : datetime
        Aware.
    devices : mapping of str to str
        Serial numbers.
    """

    state: CouchState
    target_names: tuple[str, ...]
    targets_mm: Array
    seen_mm: Array
    noise_mm: float
    placement_mm: float
    measured_at: datetime
    devices: Mapping[str, str] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "targets_mm", frozen_array(self.targets_mm, (len(self.target_names), 3), "targets"))
        seen = np.array(self.seen_mm, dtype=np.float64)
        if seen.shape != (len(self.state.positions), len(self.target_names), 3):
            raise Underdetermined(
                f"{len(self.state.positions)} poses of {len(self.target_names)} targets do not fit {seen.shape} numbers"
            )
        seen.setflags(write=False)
        object.__setattr__(self, "seen_mm", seen)
        if not (self.noise_mm > 0 and self.placement_mm >= 0):
            raise Underdetermined("the noise of the measurement must be stated, positive")

    def digest(self) -> str:
        """SHA-256 of everything that the fit uses."""
        found = hashlib.sha256(" ".join([*self.target_names, repr(self.noise_mm), repr(self.placement_mm)]).encode())
        state = self.state
        for array in (
            state.positions,
            state.load_kg,
            state.load_centre_mm,
            state.approach,
            self.targets_mm,
            self.seen_mm,
        ):
            found.update(np.ascontiguousarray(array).tobytes())
        return found.hexdigest()


@dataclass(frozen=True, slots=True)
class CouchGates:
    """What must hold at poses and loads that were kept out, 95 % of them; and how well the fit must know its range."""

    distance_mm: float = 0.3
    angle_deg: float = 0.05


@dataclass(frozen=True, slots=True)
class HeldOut:
    """How well poses that were kept out are predicted.

    Attributes
    ----------
    what : str
        For people.
    poses : ndarray, shape (n,), int
    distance_mm : ndarray, shape (n,)
        Of the target that is farthest off, by the measurement, at each pose.
    angle_deg : ndarray, shape (n,)
    ideal_distance_mm : ndarray, shape (n,)
        The same without a calibration, for comparison.
    """

    what: str
    poses: npt.NDArray[np.int64]
    distance_mm: Array
    angle_deg: Array
    ideal_distance_mm: Array

    @property
    def distance_95_mm(self) -> float:
        """95th percentile."""
        return float(np.percentile(self.distance_mm, 95))

    @property
    def angle_95_deg(self) -> float:
        """95th percentile."""
        return float(np.percentile(self.angle_deg, 95))


@dataclass(frozen=True, slots=True)
class CouchRange:
    """Where a calibration holds: the range of each axis and of the load that was measured.

    Attributes
    ----------
    axes : tuple of (float, float)
        Least and greatest of each axis of ``AXES``, mm and degrees.
    load_kg : (float, float)
    load_centre_mm : (float, float, float)
        Where the loads had their centre of gravity, on average, table top frame.
    """

    axes: tuple[tuple[float, float], ...]
    load_kg: tuple[float, float]
    load_centre_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def require(self, position: TableTopPosition, load_kg: float) -> None:
        """Raise OutsideCalibratedRange for a position or load that was not measured."""
        out = []
        for axis, value, (least, greatest) in zip(AXES, position.values, self.axes, strict=True):
            slack = RANGE_SLACK * (greatest - least) + 1e-9
            if not least - slack <= value <= greatest + slack:
                out.append(f"{axis} {value:g} outside {least:g} to {greatest:g}")
        least, greatest = self.load_kg
        if not least - 1.0 <= load_kg <= greatest + 1.0:
            out.append(f"load {load_kg:g} kg outside {least:g} to {greatest:g}")
        if out:
            raise OutsideCalibratedRange(f"the couch was not calibrated there: {'; '.join(out)}")


@dataclass(frozen=True, slots=True)
class CouchKinematics:
    """The calibration of a couch.

    Attributes
    ----------
    fit : CouchFit
        Of all measurements.
    held_out : tuple of HeldOut
        Poses kept out; and, where three loads were measured, a load kept out.
    prediction_sigma_mm : float
        One standard deviation of the place of a target, the largest over the corners of the measured range.
    """

    fit: CouchFit
    held_out: tuple[HeldOut, ...]
    prediction_sigma_mm: float
    range: CouchRange
    measurements: CouchMeasurements
    gates: CouchGates

    @property
    def left_out_in_words(self) -> tuple[str, ...]:
        """Measurements that disagree with all others."""
        names = self.measurements.target_names
        return tuple(
            f"pose {pose + 1}" + (", all targets" if target < 0 else f", target {names[target]}")
            for pose, target in self.fit.left_out
        )

    def failures(self) -> tuple[str, ...]:
        """The gates that do not hold, in plain words."""
        failed = []
        for one in self.held_out:
            if not one.distance_95_mm <= self.gates.distance_mm:
                failed.append(
                    f"{one.what}: 95 % within {one.distance_95_mm:.3f} mm, allowed {self.gates.distance_mm:g}"
                )
            if not one.angle_95_deg <= self.gates.angle_deg:
                failed.append(f"{one.what}: 95 % within {one.angle_95_deg:.4f} deg, allowed {self.gates.angle_deg:g}")
        rise_mm, sigma_mm = self.rise_under_load_mm
        if rise_mm > max(LARGEST_RISE_MM, 3 * sigma_mm):
            failed.append(f"the table top rises by {rise_mm:.2f} mm under its load: the loads are not those stated")
        return tuple(failed)

    @property
    def rise_under_load_mm(self) -> tuple[float, float]:
        """How far the greatest load lifts the table top at the middle of the range, and one standard deviation of it.

        Springs give way; a table top that rises tells that loads were mixed up.
        """
        state = self.measurements.state
        middle = np.array([(least + greatest) / 2 for least, greatest in self.range.axes])
        centre = state.load_centre_mm[state.load_kg > 0].mean(axis=0) if state.load_kg.any() else np.zeros(3)
        most = CouchState.of(middle, self.range.load_kg[1], centre)
        none = CouchState.of(middle, 0.0, centre)
        change = sensitivity(self.fit.model, most, centre[None]) - sensitivity(self.fit.model, none, centre[None])
        rise = self.fit.model.points(most, centre[None]) - self.fit.model.points(none, centre[None])
        row = change[0, 0, 2]
        return float(rise[0, 0, 2]), float(np.sqrt(row @ self.fit.covariance @ row))

    def require_published(self) -> None:
        """Raise GateFailed with every gate that does not hold."""
        failed = self.failures()
        if failed:
            raise GateFailed("; ".join(failed), failures=list(failed))


def calibrate_couch(measurements: CouchMeasurements, *, gates: CouchGates = CouchGates()) -> CouchKinematics:
    """The kinematics of a couch.

    Raises
    ------
    Underdetermined
        Too few poses or targets, an axis that did not move, or axes that only moved together.
    TooManyOutliers
    """
    _require_enough(measurements)
    state = measurements.state
    targets = Targets(measurements.targets_mm, measurements.seen_mm, measurements.noise_mm, measurements.placement_mm)
    fit = fit_couch(state, targets)
    sigma_mm = _prediction_sigma(fit, measurements)
    if sigma_mm > gates.distance_mm / 2:
        raise Underdetermined(
            f"the poses do not determine the couch: within their range a target is known to {sigma_mm:.2f} mm only",
            weak=list(fit.weak),
            dropped=list(fit.dropped),
            hint="Move every axis by itself, through its range, in both directions; spread the targets.",
        )
    bad = {pose for pose, target in fit.left_out if target < 0}
    good = np.array([pose for pose in range(len(state.positions)) if pose not in bad])
    kept_out = good[HELD_OUT_EVERY // 2 :: HELD_OUT_EVERY]
    proofs = [_proof("poses kept out", state, targets, good, kept_out, fit)]
    loads = np.unique(np.round(state.load_kg[good] / 5.0) * 5.0)
    for load in loads[1:-1]:
        same = good[np.abs(state.load_kg[good] - load) <= 2.5]
        proofs.append(_proof(f"load of {load:g} kg kept out", state, targets, good, same, fit))
    ways = tuple((float(axis.min()), float(axis.max())) for axis in state.positions.T)
    load_range = (float(state.load_kg.min()), float(state.load_kg.max()))
    loaded = state.load_centre_mm[state.load_kg > 0]
    x, y, z = (float(value) for value in (loaded.mean(axis=0) if len(loaded) else np.zeros(3)))
    return CouchKinematics(fit, tuple(proofs), sigma_mm, CouchRange(ways, load_range, (x, y, z)), measurements, gates)


def corrected_command(
    model: CouchModel,
    wanted: TableTopPosition,
    *,
    load_kg: float = 0.0,
    load_centre_mm: npt.ArrayLike = (0.0, 0.0, 0.0),
    approach: npt.ArrayLike = 0.0,
    within: CouchRange | None = None,
) -> TableTopPosition:
    """What to command so that the table top gets to where an ideal couch would be at ``wanted``.

    Parameters
    ----------
    model : CouchModel
    wanted : TableTopPosition
        Any representation.
    load_kg, load_centre_mm, approach
        As in :class:`~isoalign.calibration.couch_model.CouchState`.
    within : CouchRange, optional
        Refuse where the couch was not calibrated.

    Returns
    -------
    TableTopPosition
        IEC 61217.

    Raises
    ------
    OutsideCalibratedRange
        Also when no command leads there.
    """
    goal = wanted.in_representation(Representation.IEC_61217)
    if within is not None:
        within.require(goal, load_kg)

    def pose(values: Array, of: CouchModel) -> tuple[Array, Array]:
        rotation, translation = of.table_poses(CouchState.of(values, load_kg, load_centre_mm, approach))
        return rotation, translation

    want_rotation, want_translation = pose(np.array(goal.values), CouchModel.ideal())
    command = np.array(goal.values)
    nudges = np.diag([1e-3] * 3 + [1e-4] * 3)
    for _ in range(INVERSE_ROUNDS):
        rotation, translation = pose(np.vstack([command, command + nudges]), model)
        off = np.concatenate([(want_translation - translation[0])[0], _turn(want_rotation[0] @ rotation[0].T)])
        changes = [
            np.concatenate([translation[i] - translation[0], _turn(rotation[i] @ rotation[0].T)]) for i in range(1, 7)
        ]
        step = np.linalg.solve(np.array(changes).T, off) * np.diag(nudges)
        command = command + step
        if np.abs(step).max() < 1e-9:
            return TableTopPosition.from_values(Representation.IEC_61217, command)
    raise OutsideCalibratedRange(f"no command was found that leads to {goal!r}")


def _require_enough(measurements: CouchMeasurements) -> None:
    count, targets = measurements.seen_mm.shape[:2]
    seen = np.isfinite(measurements.seen_mm).all(axis=2).sum(axis=1)
    whole = int((seen >= LEAST_TARGETS).sum())
    if whole < LEAST_POSES:
        raise Underdetermined(
            f"{whole} of {count} poses show {LEAST_TARGETS} targets or more; {LEAST_POSES} such poses are needed",
            hint="Measure more poses, each with three targets or more that do not lie in a line.",
        )
    centred = measurements.targets_mm - measurements.targets_mm.mean(axis=0)
    spread = np.linalg.svd(centred, compute_uv=False)[1] / np.sqrt(targets)
    if spread < LEAST_SPREAD_MM / 2:
        raise Underdetermined(
            f"the targets lie nearly in a line: they spread {spread:.0f} mm across it",
            hint=f"Put them in a triangle of {2 * LEAST_SPREAD_MM:g} mm or more.",
        )
    ways = np.ptp(measurements.state.positions, axis=0)
    still = [axis for axis, way, least in zip(AXES, ways, LEAST_WAY, strict=True) if way < least]
    if still:
        raise Underdetermined(
            f"{', '.join(still)} did not move enough to be calibrated",
            hint="Move every axis through the range in which it is used.",
            axes=still,
        )


def _prediction_sigma(fit: CouchFit, measurements: CouchMeasurements) -> float:
    """The largest standard deviation of a target over the corners of the measured range, at either end of the load."""
    low, high = measurements.state.positions.min(axis=0), measurements.state.positions.max(axis=0)
    corners = np.array([[(low, high)[(number >> axis) & 1][axis] for axis in range(6)] for number in range(64)])
    load = measurements.state.load_kg
    centre = measurements.state.load_centre_mm.mean(axis=0)
    largest = 0.0
    for load_kg in {float(load.min()), float(load.max())}:
        change = sensitivity(fit.model, CouchState.of(corners, load_kg, centre), fit.places_mm)
        spread = np.einsum("nkip,pq,nkiq->nki", change, fit.covariance, change)
        largest = max(largest, float(np.sqrt(spread.sum(axis=2).max())))
    return largest


def _proof(
    what: str,
    state: CouchState,
    targets: Targets,
    good: npt.NDArray[np.int64],
    kept_out: npt.NDArray[np.int64],
    whole: CouchFit,
) -> HeldOut:
    """Fit without some poses, predict them; measurements that the whole fit has left out prove nothing."""
    others = np.setdiff1d(good, kept_out)
    fit = fit_couch(state.take(others), targets.take(others))
    seen = targets.seen_mm[kept_out].copy()
    for pose, target in whole.left_out:
        seen[kept_out == pose, slice(None) if target < 0 else target] = np.nan
    told = state.take(kept_out)
    found, ideal = fit.model.points(told, fit.places_mm), CouchModel.ideal().points(told, targets.places_mm)
    angles = [_angle_between(a, b) for a, b in zip(found, seen, strict=True)]
    return HeldOut(
        what,
        kept_out,
        np.nanmax(np.linalg.norm(found - seen, axis=2), axis=1),
        np.array(angles),
        np.nanmax(np.linalg.norm(ideal - seen, axis=2), axis=1),
    )


def _angle_between(predicted: Array, seen: Array) -> float:
    """The turn that is left between two sets of points, degrees."""
    both = np.isfinite(seen).all(axis=1)
    first = predicted[both] - predicted[both].mean(axis=0)
    second = seen[both] - seen[both].mean(axis=0)
    left, _, right = np.linalg.svd(second.T @ first)
    turn = left @ np.diag([1.0, 1.0, np.linalg.det(left @ right)]) @ right
    return float(np.linalg.norm(_turn(turn)))


def _turn(rotation: Array) -> Array:
    """Rotation vector of a small rotation, degrees."""
    from scipy.spatial.transform import Rotation

    return np.asarray(Rotation.from_matrix(rotation).as_rotvec(degrees=True))
