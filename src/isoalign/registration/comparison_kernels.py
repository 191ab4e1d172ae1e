"""Compiled comparison of a radiograph with its DRR: local means, residuals, and the normal equations.

Sums are taken by rows and added in their order, so that the number of threads changes nothing.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import prange

from isoalign.imaging.compiled import compiled, compiled_inline
from isoalign.registration.response_kernels import bent

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

MOTIONS = 6
CHANNELS = 3 + MOTIONS
CHUNKS = 16
"""Parts of an image whose histograms are made apart."""
BINS = 4096
MOST = 8.0
"""Residuals beyond (in units of the local spread) fall into the last bin."""


@compiled
def windowed(
    drr: Float32,
    derivatives: Float32,
    image: Float32,
    mask: Float32,
    curve: Float32,
    curved: Float32,
    slope: Float32,
    stack: Float32,
) -> None:
    """Bend a DRR to the imager's response, and stack what local sums are needed of.

    Parameters
    ----------
    drr : ndarray, shape (rows, columns), float32
    derivatives : ndarray, shape (6, rows, columns), float32
        Of the DRR before it is bent.
    image, mask : ndarray, shape (rows, columns), float32
        Of the radiograph; see :class:`~isoalign.registration.views.LevelView`.
    curve : ndarray
        See :meth:`~isoalign.registration.response.Response.curve`.
    curved, slope : ndarray, shape (rows, columns), float32
        The DRR after it was bent, and the slope of the curve.
    stack : ndarray, shape (9, rows, columns), float32
        DRR, DRR squared, DRR times image, and the six derivatives after bending, within the mask.
    """
    rows, columns = drr.shape
    for row in prange(rows):
        for column in range(columns):
            height, steep = bent(drr[row, column], curve)
            curved[row, column] = height
            slope[row, column] = steep
            part = mask[row, column] * height
            stack[0, row, column] = part
            stack[1, row, column] = part * height
            stack[2, row, column] = part * image[row, column]
        for motion in range(MOTIONS):
            for column in range(columns):
                steep = mask[row, column] * slope[row, column]
                stack[3 + motion, row, column] = steep * derivatives[motion, row, column]


@compiled
def agreement_totals(curved: Float32, sums: Float32, share: Float32, detail: Float32, mask: Float32) -> Float64:
    """Sums over the mask of image times DRR details, of squared DRR details, and of the mask itself."""
    rows, columns = curved.shape
    each = np.empty((rows, 3))
    for row in prange(rows):
        product = np.float32(0.0)
        power = np.float32(0.0)
        used = np.float32(0.0)
        for column in range(columns):
            of_drr = curved[row, column] - sums[0, row, column] / share[row, column]
            product += mask[row, column] * detail[row, column] * of_drr
            power += mask[row, column] * of_drr * of_drr
            used += mask[row, column]
        each[row, 0] = product
        each[row, 1] = power
        each[row, 2] = used
    totals = np.zeros(3)
    for row in range(rows):
        for item in range(3):
            totals[item] += each[row, item]
    return totals


@compiled
def residuals(
    drr: Float32,
    curved: Float32,
    sums: Float32,
    share: Float32,
    mean: Float32,
    detail: Float32,
    variance: Float32,
    mask: Float32,
    overall: float,
    local: bool,
    held: float,
    floor: float,
    seen_above: float,
    residual: Float32,
    gain: Float32,
) -> float:
    """What remains between image and DRR, in units of the local spread; returns the median size where it counts.

    Parameters
    ----------
    drr, curved : ndarray, shape (rows, columns), float32
        Before and after bending.
    sums : ndarray, shape (9, rows, columns), float32
        Local sums of the stack of :func:`windowed`.
    share, mean, detail, variance, mask : ndarray, shape (rows, columns), float32
        Of the radiograph.
    overall : float
        Contrast of the image against the DRR.
    local : bool
        Whether the contrast around every pixel is used as well.
    held : float
        Weight of ``overall`` against the local contrast, as a variance.
    floor : float
        Spread that is added to that of the image.
    seen_above : float
        The median is taken where the DRR is above this, within the mask; to half a thousandth.
    residual, gain : ndarray, shape (rows, columns), float32
        The residual, and what derivatives of the DRR are to be multiplied with.
    """
    rows, columns = drr.shape
    flat = np.float32(overall)
    hold = np.float32(held)
    least = np.float32(0.3 * overall)
    most = np.float32(2.0 * overall)
    added = np.float32(floor * floor)
    counts = np.zeros((CHUNKS, BINS), np.int32)
    for chunk in prange(CHUNKS):
        for row in range(chunk * rows // CHUNKS, (chunk + 1) * rows // CHUNKS):
            for column in range(columns):
                contrast = flat
                part = np.float32(1.0) / share[row, column]
                average = part * sums[0, row, column]
                if local:
                    spread = max(part * sums[1, row, column] - average * average, np.float32(0.0))
                    common = part * sums[2, row, column] - average * mean[row, column]
                    contrast = min(max((common + hold * flat) / (spread + hold), least), most)
                scale = np.float32(1.0) / np.sqrt(variance[row, column] + added)
                of_drr = curved[row, column] - average
                gain[row, column] = contrast * scale
                residual[row, column] = detail[row, column] * scale - contrast * scale * of_drr
            for column in range(columns):
                if mask[row, column] > np.float32(0.0) and drr[row, column] > seen_above:
                    at = int(abs(residual[row, column]) * np.float32(BINS / MOST))
                    counts[chunk, min(at, BINS - 1)] += 1
    return _median(counts)


@compiled_inline
def _median(counts: npt.NDArray[np.int32]) -> float:
    """Of a histogram from zero to ``MOST``, made in chunks; 1 when it is empty."""
    whole = 0
    for chunk in range(CHUNKS):
        for at in range(BINS):
            whole += counts[chunk, at]
    if whole == 0:
        return 1.0
    before = 0
    for at in range(BINS):
        here = 0
        for chunk in range(CHUNKS):
            here += counts[chunk, at]
        if 2 * (before + here) >= whole:
            return (at + (0.5 * whole - before) / here) * (MOST / BINS)
        before += here
    return MOST


@compiled
def equations(
    derivatives: Float32,
    slope: Float32,
    sums: Float32,
    share: Float32,
    gain: Float32,
    residual: Float32,
    detail: Float32,
    variance: Float32,
    mask: Float32,
    floor: float,
    cut: float,
    block: int,
    matrix: Float64,
    pulls: Float64,
) -> Float64:
    """The normal equations with Cauchy weights.

    Parameters
    ----------
    derivatives, slope, sums, share, gain, residual, detail, variance, mask
        See :func:`windowed` and :func:`residuals`.
    floor : float
        Spread that is added to that of the image.
    cut : float
        Residuals of this size count half.
    block : int
        Side of a block of pixels.
    matrix : ndarray, shape (6, 6)
        J^T W J is added.
    pulls : ndarray, shape (6, block rows, block columns)
        J^T W r of every block of pixels is added.

    Returns
    -------
    ndarray, shape (3,)
        Weighted sums of image times model, image squared, model squared.
    """
    rows, columns = residual.shape
    across = pulls.shape[2]
    matrices = np.zeros((rows, MOTIONS, MOTIONS))
    pulled = np.zeros((rows, MOTIONS, across))
    agreed = np.zeros((rows, 3))
    added = np.float32(floor * floor)
    per_cut = np.float32(1.0 / cut)
    for row in prange(rows):
        weight = np.empty(columns, np.float32)
        jacobian = np.empty((MOTIONS, columns), np.float32)
        weighted = np.empty(columns, np.float32)
        both = np.float32(0.0)
        first = np.float32(0.0)
        second = np.float32(0.0)
        for column in range(columns):
            relative = residual[row, column] * per_cut
            weight[column] = mask[row, column] / (np.float32(1.0) + relative * relative)
            image = detail[row, column] / np.sqrt(variance[row, column] + added)
            model = image - residual[row, column]
            both += weight[column] * image * model
            first += weight[column] * image * image
            second += weight[column] * model * model
        agreed[row, 0] = both
        agreed[row, 1] = first
        agreed[row, 2] = second
        for a in range(MOTIONS):
            for column in range(columns):
                here = slope[row, column] * derivatives[a, row, column] - sums[3 + a, row, column] / share[row, column]
                jacobian[a, column] = gain[row, column] * here
                weighted[column] = weight[column] * jacobian[a, column]
            for at in range(across):
                total = np.float32(0.0)
                for column in range(at * block, min((at + 1) * block, columns)):
                    total += weighted[column] * residual[row, column]
                pulled[row, a, at] = total
            for b in range(a + 1):
                total = np.float32(0.0)
                for column in range(columns):
                    total += weighted[column] * jacobian[b, column]
                matrices[row, a, b] = total
    agreement = np.zeros(3)
    for row in range(rows):
        for item in range(3):
            agreement[item] += agreed[row, item]
        for a in range(MOTIONS):
            for at in range(across):
                pulls[a, row // block, at] += pulled[row, a, at]
            for b in range(a + 1):
                matrix[a, b] += matrices[row, a, b]
                if b < a:
                    matrix[b, a] += matrices[row, a, b]
    return agreement
