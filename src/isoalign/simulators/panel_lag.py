"""Lag of a flat panel: what an exposure leaves behind in the frames after it.

A sum of exponentials, the usual model of charge that is trapped in amorphous silicon and let go slowly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FULL_SCALE_COUNTS = 65535


@dataclass(frozen=True, slots=True)
class LagParameters:
    """Parameters of the lag.

    Attributes
    ----------
    amplitudes : tuple of float
        Part of an exposure's signal that each kind of trap holds.
    times_s : tuple of float
        Time constant of each.
    offset_counts : float
        Of the panel; no signal.
    """

    amplitudes: tuple[float, ...] = (0.0022, 0.0008, 0.0003, 0.0002)
    times_s: tuple[float, ...] = (0.1, 0.6, 4.0, 30.0)
    offset_counts: float = 180.0


class PanelLag:
    """What is trapped in one panel.

    Attributes
    ----------
    factor : float
        How many times the usual lag it has; more than 1 is a fault.
    """

    def __init__(self, parameters: LagParameters = LagParameters()) -> None:
        self.factor = 1.0
        self._parameters = parameters
        self._amplitudes = np.array(parameters.amplitudes, dtype=np.float32)[:, None]
        self._times_s = np.array(parameters.times_s)
        self._trapped: npt.NDArray[np.float32] = np.zeros((len(parameters.amplitudes), 0), dtype=np.float32)
        self._at_s = 0.0
        self._signal = 0.0

    def expose(self, pixels: bytes, now_s: float) -> bytes:
        """A frame as it is read out: with what earlier ones have left. Pixels at either end of the scale stay there.

        Parameters
        ----------
        pixels : bytes
            Unsigned 16 bit, little-endian.
        now_s : float
        """
        seen = np.frombuffer(pixels, dtype="<u2").astype(np.float32)
        dead = (seen <= 0) | (seen >= FULL_SCALE_COUNTS)
        signal = np.where(dead, np.float32(0.0), seen - np.float32(self._parameters.offset_counts))
        self._decay(now_s)
        if self._trapped.shape[1] == seen.size:
            left = np.where(dead, np.float32(0.0), self._trapped.sum(axis=0))
            pixels = np.clip(np.rint(seen + left), 0, FULL_SCALE_COUNTS).astype("<u2").tobytes()
        else:
            self._trapped = np.zeros((self._times_s.size, seen.size), dtype=np.float32)
        self._trapped += np.float32(self.factor) * self._amplitudes * signal
        self._signal = float(signal.mean())
        return pixels

    def read(self, pixels: bytes, now_s: float) -> bytes:
        """A frame that was read out without X-rays: with what exposures have left, and leaving nothing itself."""
        self._decay(now_s)
        seen = np.frombuffer(pixels, dtype="<u2").astype(np.float32)
        if self._trapped.shape[1] != seen.size:
            return pixels
        dead = (seen <= 0) | (seen >= FULL_SCALE_COUNTS)
        left = np.where(dead, np.float32(0.0), self._trapped.sum(axis=0))
        return np.clip(np.rint(seen + left), 0, FULL_SCALE_COUNTS).astype("<u2").tobytes()

    def reset(self) -> None:
        """The panel is replaced by one that was never exposed."""
        self.factor = 1.0
        self._trapped *= np.float32(0.0)

    def residual_ppm(self, now_s: float) -> int | None:
        """Mean of a dark frame, offset subtracted, as a part of the latest exposure's; None without signal."""
        self._decay(now_s)
        if self._signal <= 0:
            return None
        left = float(self._trapped.sum(axis=0).mean())
        return max(0, round(1e6 * left / self._signal))

    def _decay(self, now_s: float) -> None:
        elapsed_s, self._at_s = now_s - self._at_s, now_s
        self._trapped *= np.exp(-elapsed_s / self._times_s).astype(np.float32)[:, None]
