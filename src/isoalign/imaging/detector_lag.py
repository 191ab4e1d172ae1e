"""Lag of a flat panel: charge that earlier frames left behind, taken off as the frames come.

The panel's answer to a short exposure is 1 - sum(b) at once and a sum of falling exponentials after it. The recursion
keeps one image of trapped charge for each exponential. Source: J. Hsieh, O. E. Gurmen, K. F. King, "Recursive
correction algorithm for detector decay characteristics in CT", Proc. SPIE 3977 (2000) 298.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from isoalign.imaging.detector_errors import UnusableDetectorCalibration, UnusableFrame

Float32 = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class LagModel:
    """Impulse response of the panel: part b_n of the charge comes later, falling by exp(-a_n) from frame to frame.

    Attributes
    ----------
    rates : tuple of float
        a_n, 1/frame, positive.
    parts : tuple of float
        b_n, positive: what the n-th trap holds back, as part of the whole signal; together below one half.

    Raises
    ------
    UnusableDetectorCalibration
    """

    rates: tuple[float, ...]
    parts: tuple[float, ...]

    def __post_init__(self) -> None:
        fits = len(self.rates) == len(self.parts) > 0 and all(map(math.isfinite, (*self.rates, *self.parts)))
        if not fits or min(self.rates) <= 0 or min(self.parts) < 0 or sum(self.parts) >= 0.5:
            raise UnusableDetectorCalibration(
                f"no lag model: rates {self.rates} must be positive, parts {self.parts} positive and below 0.5 together"
            )

    def response(self, frames: int) -> npt.NDArray[np.float64]:
        """Answer to one exposed frame of signal 1, in that frame and those after it; shape (frames,), sums to 1."""
        later = np.zeros(frames)
        after = np.arange(1, frames)
        for rate, part in zip(self.rates, self.parts, strict=True):
            later[1:] += part * (math.exp(rate) - 1.0) * np.exp(-rate * after)
        later[0] = 1.0 - sum(self.parts)
        return later


class LagCorrection:
    """Takes the lag off the frames of one run, in their order.

    Parameters
    ----------
    model : LagModel
    """

    def __init__(self, model: LagModel) -> None:
        self.model = model
        self._held: list[Float32] = []

    def __call__(self, frame: npt.ArrayLike) -> Float32:
        """The next frame (offset taken off) without the charge of the frames before it.

        Raises
        ------
        UnusableFrame
            When its shape differs from the frames before, or it holds NaN.
        """
        seen = np.asarray(frame, dtype=np.float32)
        if not self._held:
            self._held = [np.zeros(seen.shape, np.float32) for _ in self.model.rates]
        if seen.shape != self._held[0].shape or not np.isfinite(seen).all():
            raise UnusableFrame(f"a frame of {seen.shape} pixels after frames of {self._held[0].shape}, or NaN in it")
        released = [
            held * np.float32(1.0 - math.exp(-rate)) for held, rate in zip(self._held, self.model.rates, strict=True)
        ]
        now = np.asarray((seen - sum(released)) / np.float32(1.0 - sum(self.model.parts)), dtype=np.float32)
        self._held = [
            held - given + np.float32(part) * now
            for held, given, part in zip(self._held, released, self.model.parts, strict=True)
        ]
        return now

    def reset(self) -> None:
        """Forget the frames before: the panel was idle."""
        self._held = []


def fit_lag(
    falling_edge: npt.ArrayLike, exposed_frames: int, rates: tuple[float, ...] = (2.5e-3, 2.1e-2, 1.6e-1, 7.6e-1)
) -> LagModel:
    """The parts of a lag model from the frames after the beam went off.

    Parameters
    ----------
    falling_edge : array_like, shape (frames,)
        Mean signal of the panel: first the last exposed frame, then the frames after it.
    exposed_frames : int
        How many frames were exposed alike; the more, the better the slow traps are seen.
    rates : tuple of float
        1/frame; the default is typical of caesium iodide panels read at 15 Hz.

    Raises
    ------
    UnusableDetectorCalibration
        When there are too few frames, or the signal does not fall.

    Notes
    -----
    After N frames of signal 1 the n-th trap releases b_n (1 - exp(-a_n N)) exp(-a_n (k - 1)) in the k-th frame, and the
    last exposed frame lacked b_n exp(-a_n (N - 1)): linear in b_n, solved with non-negative least squares.
    """
    from scipy.optimize import nnls

    edge = np.asarray(falling_edge, dtype=np.float64)
    short = edge.ndim != 1 or edge.size < 2 * len(rates) + 1 or exposed_frames < 1
    if short or not np.isfinite(edge).all() or edge[0] <= 0:
        raise UnusableDetectorCalibration("a falling edge has one exposed frame and at least two frames for each rate")
    after = edge[1:] / edge[0]
    if after[0] >= 0.5 or after[-1] > after[0]:
        raise UnusableDetectorCalibration(f"the signal does not fall: {after[0]:.2f} of it in the first frame after")
    steps = np.arange(after.size)
    speeds = np.array(rates)
    basis = (1 - np.exp(-speeds * exposed_frames)) * np.exp(-np.outer(steps, speeds))
    basis += after[:, None] * np.exp(-speeds * (exposed_frames - 1))
    parts, _ = nnls(basis, after)
    return LagModel(tuple(rates), tuple(float(part) for part in parts))


@dataclass(frozen=True, slots=True)
class TimedLag:
    """What an exposure leaves behind, by time: after t seconds the part sum of amplitude times exp(-t / time).

    For frames that come at any time, as single radiographs do; :class:`LagModel` is for a steady frame rate.

    Attributes
    ----------
    amplitudes : tuple of float
        Parts of the exposure's signal, not negative, together below one half.
    times_s : tuple of float
        Positive.

    Raises
    ------
    UnusableDetectorCalibration
    """

    amplitudes: tuple[float, ...]
    times_s: tuple[float, ...]

    def __post_init__(self) -> None:
        fits = len(self.amplitudes) == len(self.times_s) > 0 and all(map(math.isfinite, self.amplitudes + self.times_s))
        if not fits or min(self.times_s) <= 0 or min(self.amplitudes) < 0 or sum(self.amplitudes) >= 0.5:
            raise UnusableDetectorCalibration(
                f"no lag: amplitudes {self.amplitudes} must not be negative and stay below 0.5 together, "
                f"times {self.times_s} must be positive"
            )

    def after(self, t_s: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """The part of an exposure that is left after a time; shape of ``t_s``."""
        elapsed = np.asarray(t_s, dtype=np.float64)[..., None]
        return np.asarray((np.array(self.amplitudes) * np.exp(-elapsed / np.array(self.times_s))).sum(axis=-1))


class TimedLagCorrection:
    """Takes the lag off frames in the order in which they were read, at whatever times.

    Parameters
    ----------
    lag : TimedLag
    """

    def __init__(self, lag: TimedLag) -> None:
        self.lag = lag
        self._held: list[Float32] = []
        self._at_s = 0.0

    def __call__(self, frame: npt.ArrayLike, at_s: float) -> Float32:
        """The frame (offset taken off) that was read at a time, without what earlier exposures left in it.

        Raises
        ------
        UnusableFrame
            When its shape differs from the frames before, it holds NaN, or it was read before the frame before it.
        """
        seen = np.asarray(frame, dtype=np.float32)
        if not self._held:
            self._held = [np.zeros(seen.shape, np.float32) for _ in self.lag.times_s]
            self._at_s = at_s
        if seen.shape != self._held[0].shape or not np.isfinite(seen).all() or at_s < self._at_s:
            raise UnusableFrame(f"a frame of {seen.shape} pixels at {at_s:g} s does not follow those before it")
        elapsed_s, self._at_s = at_s - self._at_s, at_s
        faded = [
            held * np.float32(math.exp(-elapsed_s / time_s))
            for held, time_s in zip(self._held, self.lag.times_s, strict=True)
        ]
        now = np.asarray(seen - sum(faded), dtype=np.float32)
        self._held = [
            held + np.float32(amplitude) * now for held, amplitude in zip(faded, self.lag.amplitudes, strict=True)
        ]
        return now
