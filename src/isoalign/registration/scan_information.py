"""Mutual information of two volumes: the second opinion on a 3D/3D match, and the metric for other modalities.

Source: P. Viola and W. M. Wells, Int. J. Computer Vision 24 (1997) 137; F. Maes et al., IEEE Trans. Med. Imaging 16
(1997) 187.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import numpy.typing as npt
from scipy import ndimage, optimize

from isoalign.geometry import Array, DicomPatient, Pose
from isoalign.imaging.compiled import kernel_lock
from isoalign.registration.scan_kernels import KNOWN_ABOVE, joint_histogram
from isoalign.registration.scan_levels import ScanLevel
from isoalign.registration.scan_prepared import PlannedPoints, PreparedScan
from isoalign.registration.scan_search import ARM_MM, Found, ScanPose, fit_at, moved_about

Float32 = npt.NDArray[np.float32]

BINS = 32
PROBE_MM, PROBE_DEG = 1.5, 1.2
COARSE_STEP_MM = 20.0
COARSE_STARTS = 1
SEARCH_TOLERANCE_MM = (1.0, 0.2, 0.02)


@dataclass(frozen=True, slots=True)
class InformationMeter:
    """Measures mutual information of a planning CT and one volume of the day."""

    day: ScanLevel
    points_mm: Float32
    bins: Float32
    low: float
    scale: float

    def histogram(self, pose: ScanPose) -> Array:
        """Joint histogram, planned values down, shape (bins, bins)."""
        out = np.zeros((BINS, BINS))
        with kernel_lock:
            joint_histogram(
                self.day.values,
                self.day.index_from_dicom @ pose.matrix,
                self.points_mm,
                self.bins,
                self.low,
                self.scale,
                out,
            )
        return out

    def __call__(self, pose: ScanPose) -> float:
        """Mutual information in nats, less where few points are known."""
        joint = self.histogram(pose)
        total = float(joint.sum())
        if total < 100:
            return 0.0
        joint = joint / total
        apart = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
        filled = joint > 0
        information = float((joint[filled] * np.log(joint[filled] / apart[filled])).sum())
        return information * min(1.0, total / (0.3 * len(self.points_mm)))


def information_meter(prepared: PreparedScan, day: ScanLevel, every: int = 1) -> InformationMeter:
    """A meter that uses every n-th of the spread points."""
    low, high = (float(value) for value in np.percentile(prepared.spread_values, (0.5, 99.5)))
    bins = (prepared.spread_values[::every] - low) * np.float32((BINS - 1) / max(high - low, 1.0))
    known = day.values[day.values > KNOWN_ABOVE]
    first, last = (float(value) for value in np.percentile(known[:: max(1, len(known) // 50_000)], (0.5, 99.5)))
    return InformationMeter(
        day,
        np.ascontiguousarray(prepared.spread_points_mm[::every]),
        np.ascontiguousarray(bins, dtype=np.float32),
        first,
        (BINS - 1) / max(last - first, 1.0),
    )


def information_offset(meter: InformationMeter, pose: ScanPose, centre_mm: Array) -> Array:
    """Where mutual information has its maximum near a pose, axis by axis: (x, y, z) in mm, then about them in degrees.

    From parabolas through three poses. Beyond the outer poses the result is cut to them: farther is not told.
    """
    middle = meter(pose)
    offset = np.zeros(6)
    for axis in range(6):
        probe = PROBE_MM if axis < 3 else PROBE_DEG
        values = []
        for sense in (-1.0, 1.0):
            step = np.zeros(6)
            step[axis] = sense * (probe if axis < 3 else np.deg2rad(probe))
            values.append(meter(pose @ moved_about(centre_mm, step)))
        below, above = values
        bend = below - 2 * middle + above
        vertex = 0.5 * (below - above) / bend if bend < 0 else float(np.sign(above - below))
        offset[axis] = probe * float(np.clip(vertex, -1.0, 1.0))
    return offset


def search_by_information(
    prepared: PreparedScan, levels: tuple[ScanLevel, ...], start: ScanPose, reach_mm: float
) -> Found:
    """The pose of greatest mutual information, by shifts first and then Powell's method, coarse to fine."""
    meters = [information_meter(prepared, level, every) for level, every in zip(levels, (5, 3, 1), strict=False)]
    count = max(1, round(reach_mm / COARSE_STEP_MM))
    offsets = COARSE_STEP_MM * np.arange(-count, count + 1)
    shifts = np.stack(np.meshgrid(offsets, offsets, offsets, indexing="ij"), axis=-1).reshape(-1, 3)
    poses = [Pose(DicomPatient, DicomPatient, np.eye(3), shift) @ start for shift in shifts]
    poses.sort(key=meters[0], reverse=True)
    evaluations = len(poses)
    starts = [start, *poses[:COARSE_STARTS]]
    ends = []
    for one in starts:
        pose, used, _ = _climb(meters[0], prepared.centre_mm, one, SEARCH_TOLERANCE_MM[0], 8.0)
        evaluations += used
        ends.append(pose)
    best = max(ends, key=meters[0])
    last_mm = np.inf
    for meter, tolerance in zip(meters[1:], SEARCH_TOLERANCE_MM[1:], strict=False):
        best, used, last_mm = _climb(meter, prepared.centre_mm, best, tolerance, 10 * tolerance)
        evaluations += used
    points = remapped(prepared, meters[-1], best)
    fit = fit_at(points, levels[-1], best, None)
    fit = fit_at(points, levels[-1], best, fit.solution[6:])
    return Found(best, evaluations, last_mm, fit, last_mm < 1.0)


def _climb(
    meter: InformationMeter, centre_mm: Array, start: ScanPose, tolerance_mm: float, first_mm: float
) -> tuple[ScanPose, int, float]:
    """Powell's method: the pose, how often mutual information was measured, and the motion of the last round, mm."""

    def pose_at(motion_mm: Array) -> ScanPose:
        return start @ moved_about(centre_mm, np.concatenate([motion_mm[:3], motion_mm[3:] / ARM_MM]))

    def loss(motion_mm: Array) -> float:
        return -meter(pose_at(motion_mm))

    directions = first_mm * np.eye(6)
    ended = optimize.minimize(
        loss,
        np.zeros(6),
        method="Powell",
        options={"direc": directions, "xtol": tolerance_mm / first_mm, "ftol": 1e-7, "maxfev": 500},
    )
    motion = cast(Array, np.asarray(ended.x, dtype=np.float64))
    again = optimize.minimize(
        loss, motion, method="Powell", options={"direc": 0.5 * directions, "xtol": 0.05, "ftol": 1e-7, "maxfev": 150}
    )
    end = cast(Array, np.asarray(again.x, dtype=np.float64))
    return pose_at(end), int(ended.nfev) + int(again.nfev), float(np.linalg.norm(end - motion))


def remapped(prepared: PreparedScan, meter: InformationMeter, pose: ScanPose) -> PlannedPoints:
    """The finest points of the plan with the values that the day shows, on average, where the plan has a value."""
    joint = ndimage.gaussian_filter(meter.histogram(pose), 0.7)
    mass = joint.sum(axis=1)
    shown = meter.low + (joint @ np.arange(BINS)) / np.maximum(mass, 1e-9) / meter.scale
    low, high = (float(value) for value in np.percentile(prepared.spread_values, (0.5, 99.5)))
    planned = low + (high - low) * np.arange(BINS) / (BINS - 1)
    filled = mass > 1e-4 * mass.sum()
    points = prepared.points[-1]
    values = np.interp(points.values, planned[filled], shown[filled]).astype(np.float32)
    width = (high - low) / (BINS - 1)
    slope = (
        np.interp(points.values + width, planned[filled], shown[filled])
        - np.interp(points.values - width, planned[filled], shown[filled])
    ) / (2 * width)
    design = points.design.copy()
    design[:, :6] *= slope[:, None]
    design[:, 6] = -values
    return replace(points, values=values, design=design)
