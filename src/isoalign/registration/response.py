"""How an imager answers to line integrals: beam hardening, scatter and offset bend the scale, the same way everywhere.

The bend moves the apparent place of strong edges when it is ignored. It is estimated from the image itself, as a
rising cubic of the DRR at the current pose, and applied to the DRR and its derivatives.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from isoalign.geometry import Array
from isoalign.imaging.compiled import kernel_lock
from isoalign.registration.response_kernels import LARGEST, histogram, reach_of

Float32 = npt.NDArray[np.float32]

BINS = 32
FINE_BINS = 2048
LEAST_BINS = 5
LEAST_RANGE = 1e-3
LEAST_PIXELS = 50 * BINS
LEAST_SLOPE = 0.05
KNOTS = 64


@dataclass(frozen=True, slots=True)
class Response:
    """A rising curve from DRR values to image values, straight beyond its ends.

    Attributes
    ----------
    drr, image, slope : ndarray, shape (n,)
        Knots of the curve, equally spaced, and its slope there.
    """

    drr: Array
    image: Array
    slope: Array

    def apply(self, drr: Float32) -> tuple[Float32, Float32]:
        """Image values of DRR values, and the slope there; both shaped like ``drr``, float32."""
        below = np.minimum(drr - self.drr[0], 0.0) * self.slope[0]
        above = np.maximum(drr - self.drr[-1], 0.0) * self.slope[-1]
        seen = np.interp(drr, self.drr, self.image) + below + above
        return seen.astype(np.float32), np.interp(drr, self.drr, self.slope).astype(np.float32)

    def curve(self) -> Float32:
        """For compiled code: heights, slopes, and first knot, last knot and knots per unit, shape (3, n), float32."""
        return _curve(self.image, self.slope, float(self.drr[0]), float(self.drr[-1]))


def _curve(image: Array, slope: Array, first: float, last: float) -> Float32:
    packed = np.zeros((3, len(image)), np.float32)
    packed[0], packed[1] = image, slope
    packed[2, :3] = first, last, (len(image) - 1) / (last - first)
    return packed


STRAIGHT = _curve(np.array([0.0, 0.5, 1.0]), np.ones(3), 0.0, 1.0)
"""The curve that changes nothing."""


def estimate_response(
    drr: Float32, image: Float32, mask: Float32 | None = None, above: float = -LARGEST
) -> Response | None:
    """The response that explains pixels of an image by those of its DRR; None when there are too few to tell.

    Parameters
    ----------
    drr, image : ndarray, float32
        Line integrals of the same pixels.
    mask : ndarray, float32, optional
        Above zero for the pixels that count; all when omitted.
    above : float
        Pixels count only where the DRR is above this.
    """
    flat = np.ascontiguousarray(drr).reshape(-1)
    counts = np.ones(flat.shape, np.float32) if mask is None else np.ascontiguousarray(mask).reshape(-1)
    with kernel_lock:
        count, least, most = (float(value) for value in reach_of(flat, counts, float(above)))
    if count < LEAST_PIXELS or most - least < LEAST_RANGE:
        return None
    sums = np.zeros((3, FINE_BINS))
    with kernel_lock:
        histogram(
            flat,
            np.ascontiguousarray(image).reshape(-1),
            counts,
            float(above),
            least,
            FINE_BINS / (most - least),
            sums,
        )
    # bins of about as many pixels each, from the fine ones
    middle = (np.cumsum(sums[0]) - sums[0] / 2) / count
    index = np.minimum((middle * BINS).astype(np.intp), BINS - 1)
    binned = np.stack([np.bincount(index, weights=row, minlength=BINS) for row in sums])
    binned = binned[:, binned[0] > 0]
    if binned.shape[1] < LEAST_BINS:
        return None
    share = binned[0]
    centres, heights = binned[1:] / share
    cubic = np.polynomial.Polynomial.fit(centres, heights, 3, w=np.sqrt(share))
    knots = np.linspace(centres[0], centres[-1], KNOTS)
    slope = np.maximum(cubic.deriv()(knots), LEAST_SLOPE)
    rise = np.cumsum((slope[1:] + slope[:-1]) / 2 * np.diff(knots))
    return Response(knots, float(cubic(knots[0])) + np.concatenate([[0.0], rise]), slope)
