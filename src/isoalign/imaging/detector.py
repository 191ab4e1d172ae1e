"""From the counts of a flat panel to even intensities: offset, gain, defects; then line integrals.

All functions take arrays and give arrays. The order is that of the physics: the offset adds to every reading, charge of
earlier frames comes on top (see :mod:`isoalign.imaging.detector_lag`), the gain multiplies, and dead elements are
filled at the end from their neighbours.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from isoalign.imaging.detector_errors import UnusableDetectorCalibration, UnusableFrame

Float32 = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

MOST_DEFECTS = 0.05
"""Largest accepted part of defective pixels."""
LEAST_TRANSMISSION = 1e-4
"""Intensities below this part of the open field count as it."""


@dataclass(frozen=True, slots=True)
class FloodPoint:
    """The detector's even answer at one dose.

    Attributes
    ----------
    level : float
        Mean of ``image`` over good pixels.
    image : ndarray, shape (rows, columns), float32
        Reading of the empty field with the offset taken off.
    """

    level: float
    image: Float32


@dataclass(frozen=True, slots=True)
class DetectorCalibration:
    """Offset, gain and defects of a flat panel.

    Attributes
    ----------
    dark : ndarray, shape (rows, columns), float32
        Reading without beam.
    floods : tuple of FloodPoint
        One or several, by rising level.
    defects : ndarray, shape (rows, columns), bool
        Pixels that are replaced by their neighbours.
    """

    dark: Float32
    floods: tuple[FloodPoint, ...]
    defects: Mask

    @property
    def defect_count(self) -> int:
        """How many pixels are replaced."""
        return int(self.defects.sum())


def detector_calibration(
    dark: npt.ArrayLike,
    floods: Sequence[npt.ArrayLike],
    *,
    known_defects: npt.ArrayLike | None = None,
    gain_tolerance: float = 0.3,
) -> DetectorCalibration:
    """Offset, gain and defect map from calibration images.

    Parameters
    ----------
    dark : array_like, shape (rows, columns) or (n, rows, columns)
        Images without beam; several are averaged, and pixels that flicker are defects.
    floods : sequence of array_like, each shape (rows, columns) or (n, rows, columns)
        Images of the empty field, one entry for each dose.
    known_defects : array_like, shape (rows, columns), optional
        Pixels that are defective in any case.
    gain_tolerance : float
        A pixel whose gain differs by more than this part from the median around it is a defect.

    Raises
    ------
    UnusableDetectorCalibration
        On images that do not fit each other, floods that are not brighter than the dark image, or over 5 % defects.
    """
    dark_mean, flicker = _mean_and_spread(dark, "dark")
    if not floods:
        raise UnusableDetectorCalibration("a detector calibration needs one flood image or more")
    defects = np.zeros(dark_mean.shape, bool) if known_defects is None else np.asarray(known_defects, dtype=bool)
    if defects.shape != dark_mean.shape:
        raise UnusableDetectorCalibration(f"a defect map of {defects.shape} pixels for a panel of {dark_mean.shape}")
    if flicker is not None:
        defects = defects | (flicker > 6 * np.median(flicker) + 1.0)
    points = []
    for number, flood in enumerate(floods, start=1):
        mean, _ = _mean_and_spread(flood, f"flood {number}")
        if mean.shape != dark_mean.shape:
            raise UnusableDetectorCalibration(
                f"flood {number} has {mean.shape} pixels, the dark image {dark_mean.shape}"
            )
        net = mean - dark_mean
        level = float(np.median(net))
        if level <= 10 * float(np.median(np.abs(dark_mean - np.median(dark_mean)))) or level <= 1.0:
            raise UnusableDetectorCalibration(
                f"flood {number} is not brighter than the dark image ({level:.1f} counts)"
            )
        smooth = ndimage.median_filter(net, size=9, mode="nearest")
        defects = defects | (np.abs(net - smooth) > gain_tolerance * smooth) | (net <= 0.05 * level)
        points.append(net)
    if defects.mean() > MOST_DEFECTS:
        raise UnusableDetectorCalibration(
            f"{100 * defects.mean():.1f} % of the pixels are defective; at most {100 * MOST_DEFECTS:g} % are accepted",
            defects=int(defects.sum()),
        )
    made = [FloodPoint(float(net[~defects].mean()), np.asarray(net, dtype=np.float32)) for net in points]
    made.sort(key=lambda point: point.level)
    for lower, upper in itertools.pairwise(made):
        if upper.level < 1.05 * lower.level:
            raise UnusableDetectorCalibration(f"two floods have the same dose: {lower.level:.0f} and {upper.level:.0f}")
    return DetectorCalibration(np.asarray(dark_mean, dtype=np.float32), tuple(made), defects)


def corrected_frame(frame: npt.ArrayLike, calibration: DetectorCalibration) -> Float32:
    """A frame with offset, gain and defects corrected.

    Parameters
    ----------
    frame : array_like, shape (rows, columns)
        Counts as read from the panel.
    calibration : DetectorCalibration
        With several floods each pixel's answer is a chain of straight lines through them (and through zero), which
        takes out differences in linearity.

    Returns
    -------
    ndarray, shape (rows, columns), float32
        Counts of an even panel; never negative.

    Raises
    ------
    UnusableFrame
    """
    image = np.asarray(frame, dtype=np.float32)
    if image.shape != calibration.dark.shape:
        raise UnusableFrame(f"a frame of {image.shape} pixels; the panel was calibrated with {calibration.dark.shape}")
    if not np.isfinite(image).all():
        raise UnusableFrame("a frame holds NaN or infinite values")
    even = _even(image - calibration.dark, calibration.floods)
    return filled_defects(np.maximum(even, np.float32(0.0)), calibration.defects)


def _even(net: Float32, floods: tuple[FloodPoint, ...]) -> Float32:
    """Through each pixel's chain of straight lines; the first and the last go on beyond their ends."""
    below: Float32 = np.zeros_like(net)
    below_level = 0.0
    out: Float32 = np.zeros_like(net)
    for number, point in enumerate(floods):
        rise = np.maximum(point.image - below, np.float32(1e-3))
        part = np.float32(below_level) + (net - below) * (np.float32(point.level - below_level) / rise)
        out = part if number == 0 else np.where(net > below, part, out)
        below, below_level = point.image, point.level
    return np.asarray(out, dtype=np.float32)


def filled_defects(image: Float32, defects: npt.ArrayLike) -> Float32:
    """Defective pixels replaced by the weighted mean of the good ones nearest around them.

    Lines and clusters are filled from both sides: the weights are those of a bell that is made wider only where it
    finds too few good pixels.

    Parameters
    ----------
    image : ndarray, shape (rows, columns), float32
    defects : array_like, shape (rows, columns), bool

    Raises
    ------
    UnusableFrame
        On a map of another shape, or when no pixel is good.
    """
    wrong = np.asarray(defects, dtype=bool)
    if wrong.shape != image.shape:
        raise UnusableFrame(f"a defect map of {wrong.shape} pixels for a frame of {image.shape}")
    if not wrong.any():
        return image
    if wrong.all():
        raise UnusableFrame("every pixel of the frame is defective")
    good = np.where(wrong, 0.0, 1.0)
    known = np.where(wrong, 0.0, image)
    out = np.array(image, dtype=np.float32)
    open_ = wrong.copy()
    width = 0.7
    while open_.any():
        weight = ndimage.gaussian_filter(good, width, mode="constant", truncate=4.0)
        value = ndimage.gaussian_filter(known, width, mode="constant", truncate=4.0)
        ready = open_ & (weight > 0.05)
        out[ready] = value[ready] / weight[ready]
        open_ &= ~ready
        width *= 1.5
    return out


def non_uniformity(image: Float32, defects: npt.ArrayLike | None = None) -> float:
    """Standard deviation over mean of an image of the empty field, defects left out; 0.01 is 1 %.

    Raises
    ------
    UnusableFrame
        When nothing is left, or the mean is not above zero.
    """
    used = image if defects is None else image[~np.asarray(defects, dtype=bool)]
    mean = float(np.mean(used)) if used.size else 0.0
    if mean <= 0.0:
        raise UnusableFrame("an image of the empty field has no signal")
    return float(np.std(used)) / mean


def transmission_line_integrals(image: npt.ArrayLike, open_field: npt.ArrayLike) -> Float32:
    """Line integrals of attenuation: -log(image / open field).

    Parameters
    ----------
    image : array_like, shape (rows, columns)
        Corrected intensities.
    open_field : array_like, scalar or shape (rows, columns)
        Corrected intensity of the empty field at the same dose.

    Raises
    ------
    UnusableFrame
        When the open field is not above zero everywhere.
    """
    opened = np.asarray(open_field, dtype=np.float32)
    values = np.asarray(image, dtype=np.float32)
    if opened.shape not in ((), values.shape):
        raise UnusableFrame(f"an open field of {opened.shape} pixels for an image of {values.shape}")
    if not np.isfinite(opened).all() or not (opened > 0).all():
        raise UnusableFrame("the open field must be above zero everywhere")
    if not np.isfinite(values).all():
        raise UnusableFrame("an image holds NaN or infinite values")
    return np.asarray(-np.log(np.maximum(values / opened, np.float32(LEAST_TRANSMISSION))), dtype=np.float32)


def _mean_and_spread(
    images: npt.ArrayLike, what: str
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64] | None]:
    """Mean over a stack of images, and its standard deviation where there are four or more."""
    stack = np.asarray(images, dtype=np.float64)
    if stack.ndim not in (2, 3) or min(stack.shape) < 1 or not np.isfinite(stack).all():
        raise UnusableDetectorCalibration(f"the {what} images are finite (rows, columns) or (n, rows, columns) arrays")
    if stack.ndim == 2:
        return stack, None
    return stack.mean(axis=0), stack.std(axis=0) if len(stack) >= 4 else None
