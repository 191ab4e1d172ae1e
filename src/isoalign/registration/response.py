"""How an imager answers to line integrals: beam hardening, scatter and offset bend the scale, the same way everywhere.

The bend moves the apparent place of strong edges when it is ignored. It is estimated from the image itself, as a
rising cubic of the DRR at the current pose, and applied to the DRR and its derivatives.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from isoalign.geometry import Array

Float32 = npt.NDArray[np.float32]

BINS = 32
LEAST_PIXELS = 50 * BINS
LEAST_SLOPE = 0.05
KNOTS = 64


@dataclass(frozen=True, slots=True)
class Response:
    """A rising curve from DRR values to image values, straight beyond its ends.

    Attributes
    ----------
    drr, image, slope : ndarray, shape (n,)
        Knots of the curve and its slope there.
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


def estimate_response(drr: Float32, image: Float32) -> Response | None:
    """The response that explains pixels of an image by those of its DRR; None when there are too few to tell.

    Parameters
    ----------
    drr, image : ndarray, shape (n,), float32
        Line integrals of the same pixels.
    """
    if drr.size < LEAST_PIXELS:
        return None
    edges = np.quantile(drr, np.linspace(0.0, 1.0, BINS + 1))
    edges = edges[np.concatenate([[True], np.diff(edges) > 1e-3])]
    if len(edges) < 6:
        return None
    index = np.clip(np.searchsorted(edges, drr, side="right") - 1, 0, len(edges) - 2)
    count = np.bincount(index, minlength=len(edges) - 1)
    share = np.maximum(count, 1)
    centres = np.bincount(index, weights=drr, minlength=len(count)) / share
    heights = np.bincount(index, weights=image, minlength=len(count)) / share
    filled = count > 0
    cubic = np.polynomial.Polynomial.fit(centres[filled], heights[filled], 3, w=np.sqrt(count[filled]))
    knots = np.linspace(centres[filled][0], centres[filled][-1], KNOTS)
    slope = np.maximum(cubic.deriv()(knots), LEAST_SLOPE)
    rise = np.cumsum((slope[1:] + slope[:-1]) / 2 * np.diff(knots))
    return Response(knots, float(cubic(knots[0])) + np.concatenate([[0.0], rise]), slope)
