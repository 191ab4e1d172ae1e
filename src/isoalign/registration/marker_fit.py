"""The shape that marker detection fits in CT and in radiographs: a point or a line, blurred."""

from __future__ import annotations

import numpy as np
from scipy.special import erf

from isoalign.geometry import Array


def blurred_line(arm: Array, variance: Array, half_length: float, way: Array) -> Array:
    """A line, or a point where ``half_length`` is 0, blurred by a Gaussian: 1 in its middle.

    Parameters
    ----------
    arm : ndarray, shape (n, d)
        From the middle of the line to the samples.
    variance : ndarray, shape (d,)
        Of the blur along each axis.
    half_length : float
    way : ndarray, shape (d,)
        Direction of the line, of any length; not used for a point.

    Returns
    -------
    ndarray, shape (n,)
    """
    scaled = arm / variance
    square = np.einsum("ni,ni->n", arm, scaled)
    if half_length == 0.0:
        return np.asarray(np.exp(-0.5 * square))
    unit = way / max(float(np.linalg.norm(way)), 1e-12)
    a = float(unit @ (unit / variance))
    b = scaled @ unit
    root = np.sqrt(0.5 * a)
    ends = erf((half_length - b / a) * root) + erf((half_length + b / a) * root)
    return np.asarray(np.exp(-0.5 * (square - b * b / a)) * ends / (2.0 * erf(half_length * root)))
