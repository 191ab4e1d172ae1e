"""Figures that say how far a match may be trusted, measured apart from what the search maximised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from isoalign.geometry import Array, ProjectionGeometry
from isoalign.imaging.compiled import kernel_lock
from isoalign.registration.edge_kernels import edge_agreement
from isoalign.registration.residuals import SEEN_ABOVE, Linearised
from isoalign.registration.response import STRAIGHT, Response, estimate_response
from isoalign.registration.views import LevelView, window_sums

Float32 = npt.NDArray[np.float32]

LEAST_DETAIL = 0.02
"""Local spread of a DRR above which it has detail (line integrals; 1 mm of water)."""
SMOOTHING_PX = 1
"""Radius of the window over which image and DRR are smoothed before their edges are compared."""
LEAST_PIXELS = 9
"""Fewer pixels tell no gradient correlation."""
CONDITION_ARM_MM = 80.0
SYSTEMATIC_MM, SYSTEMATIC_DEG = 0.04, 0.04
"""What no image tells: errors common to all blocks of both views; measured on two simulated cases."""


def gradient_correlation(image: npt.ArrayLike, drr: npt.ArrayLike, mask: npt.ArrayLike | None = None) -> float:
    """Gradient correlation of two images: the mean of the correlations of their horizontal and vertical derivatives.

    Parameters
    ----------
    image, drr : array_like, shape (rows, columns)
    mask : array_like, shape (rows, columns), optional
        Above zero where pixels count.

    Returns
    -------
    float
        1 for the same image up to gain and offset, near 0 for unrelated ones.

    Notes
    -----
    Source: G. P. Penney et al., "A comparison of similarity measures for use in 2-D-3-D medical image registration",
    IEEE Trans. Med. Imaging 17 (1998) 586.
    """
    first, second = np.asarray(image, dtype=np.float64), np.asarray(drr, dtype=np.float64)
    counts = np.ones(first.shape, np.bool_) if mask is None else np.asarray(mask) > 0
    inner = counts[1:-1, 1:-1] & counts[2:, 1:-1] & counts[:-2, 1:-1] & counts[1:-1, 2:] & counts[1:-1, :-2]
    if np.count_nonzero(inner) < LEAST_PIXELS:
        return 0.0
    found = []
    for axis in (0, 1):
        a, b = (np.gradient(each, axis=axis)[1:-1, 1:-1][inner] for each in (first, second))
        a, b = a - a.mean(), b - b.mean()
        power = float((a * a).sum() * (b * b).sum())
        found.append(float((a * b).sum()) / np.sqrt(power) if power > 0 else 0.0)
    return float(np.mean(found))


@dataclass(frozen=True, slots=True)
class EdgeView:
    """A radiograph whose edges are compared with those of many DRRs.

    Attributes
    ----------
    share : ndarray, shape (rows, columns), float32
        Sum of the mask in the smoothing window around each pixel, at least a small number.
    smooth : ndarray, shape (rows, columns), float32
        The smoothed line integrals.
    """

    view: LevelView
    share: Float32
    smooth: Float32

    def correlation(self, drr: Float32, response: Response | None = None) -> float:
        """Gradient correlation where the DRR shows the patient, after smoothing over about three pixels.

        Parameters
        ----------
        drr : ndarray, shape (rows, columns), float32
        response : Response, optional
            The DRR is bent by it first: metal does not darken an image as much as its line integrals say.
        """
        curve = STRAIGHT if response is None else response.curve()
        with kernel_lock:
            found = edge_agreement(drr, self.smooth, self.view.mask, self.share, curve, SEEN_ABOVE, LEAST_PIXELS)
        return float(found)

    def response(self, drr: Float32) -> Response | None:
        """How the imager answers to line integrals, told by the pixels that show the patient."""
        return estimate_response(drr, self.view.integrals, self.view.mask, SEEN_ABOVE)


def edge_view(view: LevelView) -> EdgeView:
    """A radiograph made ready for :meth:`EdgeView.correlation`."""
    sums = window_sums(np.stack([view.mask, view.mask * view.integrals]), SMOOTHING_PX)
    share = np.maximum(sums[0], np.float32(1e-3))
    return EdgeView(view, share, sums[1] / share)


def smoothed_gradient_correlation(view: LevelView, drr: Float32) -> float:
    """Of one radiograph and one DRR; see :meth:`EdgeView.correlation`."""
    return edge_view(view).correlation(drr)


def condition_of(matrix: Array, freedom: Array | None = None) -> float:
    """Condition of the normal equations, with rotations measured in mm at 80 mm from the isocentre."""
    arm = np.array([1.0, 1.0, 1.0, *[1.0 / np.deg2rad(CONDITION_ARM_MM)] * 3])
    scaled = matrix * np.outer(arm, arm)
    if freedom is not None:
        scaled = freedom.T @ scaled @ freedom
    values = np.linalg.eigvalsh(scaled)
    return float(values[-1] / max(values[0], 1e-12 * values[-1], 1e-300))


def detail_agreement(view: LevelView, drr: Float32) -> float:
    """Median, over the pixels where the DRR has detail, of the correlation of image and DRR in the window around each.

    Every part of the image has the same say, however strong its edges: outlines, which all heads share, cannot hide
    that the inside is another's. At the right pose of the right patient it is above 0.95 in a good radiograph; 0 where
    nothing has detail.

    Parameters
    ----------
    view : LevelView
        With a window of about 5 mm to each side.
    drr : ndarray, shape (rows, columns), float32
    """
    stack = np.stack([view.mask * drr, view.mask * drr * drr, view.mask * drr * view.integrals])
    means = window_sums(stack.astype(np.float32), view.radius) / view.share
    variance = np.maximum(means[1] - means[0] * means[0], np.float32(0.0))
    covariance = means[2] - means[0] * view.mean
    detailed = (view.mask > 0) & (drr > SEEN_ABOVE) & (variance > LEAST_DETAIL**2)
    if not detailed.any():
        return 0.0
    tiny = np.float32(1e-6)
    return float(np.median((covariance / np.sqrt((variance + tiny) * (view.variance + tiny)))[detailed]))


def covariance_of(matrix: Array, linearised: Sequence[Linearised]) -> Array:
    """Covariance of small motions along and about the fixed axes, (6, 6), mm and degrees.

    What remains between image and DRR is mostly what the CT does not predict, alike over some distance. So the
    variance is taken from blocks of pixels that may pull in different directions ("sandwich" with clusters), not from
    single pixels as if they were independent. A fixed part stands for errors that all blocks share.

    Parameters
    ----------
    matrix : ndarray, shape (6, 6)
        Sum of J^T W J over the views.
    linearised : sequence of Linearised
        The views at the solution.

    Notes
    -----
    Source: P. J. Huber, "The behavior of maximum likelihood estimates under nonstandard conditions" (1967); clusters
    after K.-Y. Liang and S. L. Zeger, Biometrika 73 (1986) 13.
    """
    inverse = np.linalg.pinv(matrix, rcond=1e-12, hermitian=True)
    spread = np.zeros((6, 6))
    for one in linearised:
        spread += one.pulls @ one.pulls.T
    shared = np.diag([SYSTEMATIC_MM**2] * 3 + [SYSTEMATIC_DEG**2] * 3)
    return np.asarray(inverse @ spread @ inverse + shared, dtype=np.float64)


def in_plane_motions(geometry: ProjectionGeometry) -> Array:
    """The three motions that one view sees well: along the receptor's X and Y, and about the line of sight, (6, 3)."""
    receptor = geometry.fixed_from_receptor.rotation
    sight = geometry.source_mm / np.linalg.norm(geometry.source_mm)
    motions = np.zeros((6, 3))
    motions[:3, 0] = receptor[:, 0]
    motions[:3, 1] = receptor[:, 1]
    motions[3:, 2] = sight
    return motions
