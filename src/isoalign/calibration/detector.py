"""Calibration of a flat panel: dark and flood frames, defects with clusters and lines, lag; judged on frames kept out.

A pixel is defective when it flickers, answers nothing or far too much, or differs from its surroundings in a flood.
Defects that touch are a cluster; those of a cluster that have fewer than five good ones among their eight neighbours
are its kernel, and cannot be filled well. Source: the terms of ASTM E2597 as its public descriptions give them.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import numpy.typing as npt
from scipy import ndimage, optimize

from isoalign.calibration.errors import GateFailed, Underdetermined
from isoalign.imaging import (
    DetectorCalibration,
    TimedLag,
    TimedLagCorrection,
    corrected_frame,
    detector_calibration,
    non_uniformity,
)

Float32 = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

LEAST_DARK = 50
LEAST_FLOODS = 8
LEAST_AFTER = 12
GOOD_NEIGHBOURS = 5
LEAST_LINE = 8
LINE_WIDTH = 2
HELD_OUT_EVERY = 4
OUTLIER_SIGMAS = 8.0
LAG_TERMS = 4
METHOD = "mean of dark and flood frames, defects by flicker, gain and surroundings, lag as four exponentials"


@dataclass(frozen=True, slots=True)
class LagRun:
    """Frames after an exposure that ended at time 0.

    Attributes
    ----------
    exposed : ndarray, shape (rows, columns)
        The exposed frame.
    after : ndarray, shape (n, rows, columns)
        Frames without X-rays after it.
    t_s : ndarray, shape (n,)
        When they were read, from the exposed frame, rising.
    """

    exposed: npt.NDArray[np.uint16]
    after: npt.NDArray[np.uint16]
    t_s: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PanelFrames:
    """What is measured with one panel.

    Attributes
    ----------
    name : str
        The imager.
    dark : ndarray, shape (n, rows, columns), uint16
        Without X-rays, after a rest.
    floods : tuple of ndarray, each shape (n, rows, columns), uint16
        The empty field; one entry for each dose.
    lag : tuple of LagRun
        Two or more, so that one can be kept out.
    measured_at : datetime
        Aware.
    """

    name: str
    dark: npt.NDArray[np.uint16]
    floods: tuple[npt.NDArray[np.uint16], ...]
    lag: tuple[LagRun, ...]
    measured_at: datetime
    temperature_c: float | None = None
    devices: Mapping[str, str] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)

    def digest(self) -> str:
        """SHA-256 of all frames."""
        found = hashlib.sha256(self.name.encode())
        for array in (
            self.dark,
            *self.floods,
            *itertools.chain(*((one.exposed, one.after, one.t_s) for one in self.lag)),
        ):
            found.update(np.ascontiguousarray(array).tobytes())
        return found.hexdigest()


@dataclass(frozen=True, slots=True)
class DetectorGates:
    """What must hold on frames that were kept out.

    Attributes
    ----------
    non_uniformity : float
        Standard deviation over mean of a corrected flood.
    first_frame_lag : float
        Mean of the first frame after an exposure, corrected, as a part of it.
    defects : float
        Part of the pixels.
    central_kernels : int
        Kernel pixels of clusters in the central half of the panel; lines are counted apart.
    offset_drift_counts : float
        Of the dark frames from their first to their last quarter.
    """

    non_uniformity: float = 0.01
    first_frame_lag: float = 0.005
    defects: float = 0.001
    central_kernels: int = 0
    offset_drift_counts: float = 3.0


@dataclass(frozen=True, slots=True)
class DefectMap:
    """Defects by kind.

    Attributes
    ----------
    defects, kernels : ndarray, shape (rows, columns), bool
        All, and those of clusters with fewer than five good neighbours, lines apart.
    single, clusters, lines : int
        Single pixels; clusters of touching ones; lines, along a row or a column.
    largest_cluster : (int, int)
        Rows and columns of the largest cluster that is no line.
    """

    defects: Mask
    kernels: Mask
    single: int
    clusters: int
    lines: int
    largest_cluster: tuple[int, int]


@dataclass(frozen=True, slots=True)
class DetectorResult:
    """The calibration of one panel."""

    frames: PanelFrames
    calibration: DetectorCalibration
    defect_map: DefectMap
    lag: TimedLag
    non_uniformity: float
    uncorrected_non_uniformity: float
    first_frame_lag: float
    uncorrected_first_frame_lag: float
    offset_drift_counts: float
    left_out: tuple[str, ...]
    gates: DetectorGates

    def failures(self) -> tuple[str, ...]:
        """The gates that do not hold, in plain words."""
        gates, failed = self.gates, []
        if not self.non_uniformity <= gates.non_uniformity:
            failed.append(f"floods kept out are uneven by {100 * self.non_uniformity:.2f} %")
        if not abs(self.first_frame_lag) <= gates.first_frame_lag:
            failed.append(f"{100 * self.first_frame_lag:.2f} % of an exposure are left in the frame after it")
        part = float(self.defect_map.defects.mean())
        if part > gates.defects:
            failed.append(f"{100 * part:.3f} % of the pixels are defective, allowed {100 * gates.defects:g} %")
        central = int(_central(self.defect_map.kernels).sum())
        if central > gates.central_kernels:
            failed.append(f"{central} pixels near the centre lie in clusters that cannot be filled")
        if not self.offset_drift_counts <= gates.offset_drift_counts:
            failed.append(f"the dark signal drifted by {self.offset_drift_counts:.1f} counts while it was measured")
        return tuple(failed)

    def require_published(self) -> None:
        """Raise GateFailed with every gate that does not hold."""
        failed = self.failures()
        if failed:
            raise GateFailed(f"panel {self.frames.name}: {'; '.join(failed)}", failures=list(failed))


def calibrate_detector(frames: PanelFrames, *, gates: DetectorGates = DetectorGates()) -> DetectorResult:
    """Offset, gain, defects and lag of one panel.

    Raises
    ------
    Underdetermined
        Too few frames of a kind.
    UnusableDetectorCalibration
        Frames that do not fit each other, or a panel of which more than 5 % are defective.
    """
    _require_enough(frames)
    dark, odd_dark = _agreeing(frames.dark, "dark frame")
    floods, odd_floods = [], []
    for number, stack in enumerate(frames.floods, start=1):
        agreeing, odd = _agreeing(stack, f"flood {number}, frame")
        floods.append(agreeing)
        odd_floods += odd
    kept_out = [stack[HELD_OUT_EVERY // 2 :: HELD_OUT_EVERY] for stack in floods]
    used = [np.delete(stack, np.s_[HELD_OUT_EVERY // 2 :: HELD_OUT_EVERY], axis=0) for stack in floods]
    found = detector_calibration(dark, used)
    lag, last = _fit_lag(frames.lag[:-1], found), frames.lag[-1]
    correct = TimedLagCorrection(lag)
    exposed = correct(last.exposed - found.dark, 0.0)
    first = correct(last.after[0] - found.dark, float(last.t_s[0]))
    good = ~found.defects
    signal = float(exposed[good].mean())
    raw_first = float(_left_behind(last, found, good)[0])
    corrected = [corrected_frame(stack.mean(axis=0), found) for stack in kept_out]
    raw = [stack.mean(axis=0, dtype=np.float64) for stack in kept_out]
    quarter = max(1, len(dark) // 4)
    drift = float(np.median(dark[-quarter:].mean(axis=0)[good] - dark[:quarter].mean(axis=0)[good]))
    return DetectorResult(
        frames,
        found,
        classified_defects(found.defects),
        lag,
        max(non_uniformity(image) for image in corrected),
        max(non_uniformity(np.asarray(image - found.dark, dtype=np.float32), found.defects) for image in raw),
        float(first[good].mean()) / signal,
        raw_first,
        abs(drift),
        (*odd_dark, *odd_floods),
        gates,
    )


def classified_defects(defects: npt.ArrayLike) -> DefectMap:
    """Single defects, clusters and lines of a map.

    Parameters
    ----------
    defects : array_like, shape (rows, columns), bool
    """
    wrong = np.asarray(defects, dtype=bool)
    eight = np.ones((3, 3))
    labels, count = ndimage.label(wrong, structure=eight)
    good_around = ndimage.convolve((~wrong).astype(np.int16), eight.astype(np.int16), mode="constant", cval=0)
    kernels = np.zeros_like(wrong)
    single = clusters = lines = 0
    largest = (0, 0)
    for number, where in enumerate(ndimage.find_objects(labels), start=1):
        own = labels[where] == number
        rows, columns = own.shape
        size = int(own.sum())
        if size == 1:
            single += 1
        elif max(rows, columns) >= LEAST_LINE and min(rows, columns) <= LINE_WIDTH:
            lines += 1
        else:
            clusters += 1
            if rows * columns > largest[0] * largest[1]:
                largest = (rows, columns)
            kernels[where] |= own & (good_around[where] < GOOD_NEIGHBOURS)
    assert single + clusters + lines == count
    return DefectMap(wrong, kernels, single, clusters, lines, largest)


def _require_enough(frames: PanelFrames) -> None:
    problems = []
    if frames.dark.ndim != 3 or len(frames.dark) < LEAST_DARK:
        problems.append(f"{len(frames.dark)} dark frames, {LEAST_DARK} are needed")
    if not frames.floods or min(len(stack) for stack in frames.floods) < LEAST_FLOODS:
        problems.append(f"every dose needs {LEAST_FLOODS} flood frames")
    if len(frames.lag) < 2 or min(len(run.after) for run in frames.lag) < LEAST_AFTER:
        problems.append(f"two runs with {LEAST_AFTER} frames after an exposure are needed for the lag")
    if problems:
        raise Underdetermined(f"panel {frames.name}: {'; '.join(problems)}")


def _agreeing(stack: npt.NDArray[np.uint16], what: str) -> tuple[npt.NDArray[np.uint16], list[str]]:
    """The frames whose level agrees with the others; one gross mistake, such as a missed exposure, is named."""
    levels = np.median(stack.reshape(len(stack), -1)[:, ::7], axis=1)
    off = np.abs(levels - np.median(levels))
    spread = max(1.4826 * float(np.median(off)), 0.002 * float(np.median(levels)), 1.0)
    good = off <= OUTLIER_SIGMAS * spread
    return stack[good], [f"{what} {number + 1}" for number in np.nonzero(~good)[0]]


def _fit_lag(runs: Sequence[LagRun], found: DetectorCalibration) -> TimedLag:
    """Amplitudes and time constants: amplitudes by non-negative least squares inside a search over the times."""
    good = ~found.defects
    times = np.concatenate([run.t_s for run in runs])
    parts = np.concatenate([_left_behind(run, found, good) for run in runs])
    if parts[0] >= 0.5:
        raise Underdetermined("the signal does not fall after an exposure: were the X-rays off?")
    low, high = float(times.min()), float(times.max())
    start = np.log(np.geomspace(max(low, 1e-3), max(high, 2 * low), LAG_TERMS))

    def solved(logs: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        basis = np.exp(-times[:, None] / np.exp(logs))
        amplitudes, _ = optimize.nnls(basis, parts)
        return amplitudes, basis @ amplitudes - parts

    def left(logs: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return solved(logs)[1]

    best = optimize.least_squares(left, start, diff_step=np.full(LAG_TERMS, 1e-3), max_nfev=60)
    amplitudes, _ = solved(best.x)
    order = np.argsort(best.x)
    return TimedLag(
        tuple(float(value) for value in amplitudes[order]), tuple(float(value) for value in np.exp(best.x[order]))
    )


def _left_behind(run: LagRun, found: DetectorCalibration, good: Mask) -> npt.NDArray[np.float64]:
    """Mean of every frame after an exposure as a part of it."""
    signal = float((run.exposed - found.dark)[good].mean())
    return np.array([float((frame - found.dark)[good].mean()) / signal for frame in run.after])


def _central(image: Mask) -> Mask:
    rows, columns = image.shape
    return image[rows // 4 : rows - rows // 4, columns // 4 : columns - columns // 4]
