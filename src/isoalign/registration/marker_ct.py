"""Finding implanted markers in a CT, to a small part of a voxel.

Markers are small, far brighter than bone, and stand alone. Bright voxels are joined to groups, groups of about the
right size are fitted with a round or elongated hump whose top is cut off where the scanner's scale ends: saturated
voxels and thick slices then do not pull the centre. What does not look like that (teeth, fillings, plates, streaks) is
left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.optimize import least_squares
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from isoalign.geometry import Array
from isoalign.imaging.compiled import kernel_lock
from isoalign.records import Volume, frozen_array
from isoalign.registration.errors import ConstantVolume, UndefinedVoxels
from isoalign.registration.marker_errors import MarkerTooSmall, TooMuchMetal
from isoalign.registration.marker_fit import blurred_line
from isoalign.registration.marker_kernels import count_bright, list_bright
from isoalign.registration.marker_shape import DEFAULT_SHAPE, MarkerShape

MOST_BRIGHT_PART = 0.02
"""Of the volume; more is not markers."""
LARGEST_EXPONENT = 20.0
"""Of height and blur: no marker has such ones, and a fit that runs away stays finite."""
LARGEST_PIXEL_PART = 2.0
"""Voxels may be so many times as wide, in the plane of the slices, as the marker is thick."""
BLUR_MM = 1.2
"""How much wider than it is a marker may look on every side together: focus, detector, reconstruction kernel."""
SHELL_MM = 2.0
"""Thickness of the surroundings that a marker must stand out of, and their distance from it."""
LARGEST_MISFIT = 0.09
"""Of the contrast: markers stay below 0.04, pieces of bone, teeth and metal are above 0.15."""
USUAL_BLUR_MM, LARGEST_BLUR_MM = 0.45, 1.3
"""Standard deviation in the plane of the slices. Where the top is cut off, blur and height can hardly be told apart."""
NEIGHBOURS = np.array([(z, y, x) for z in (0, 1) for y in (-1, 0, 1) for x in (-1, 0, 1) if (z, y, x) > (0, 0, 0)])
"""Half of the 26 neighbours of a voxel: each pair once."""


@dataclass(frozen=True, slots=True)
class CtMarkerSettings:
    """How markers are told from other things in a CT.

    Attributes
    ----------
    threshold_hu : float
        Markers have a voxel at least as bright.
    least_contrast_hu : float
        How far the brightest voxel must stand out of what is around.
    """

    threshold_hu: float = 2000.0
    least_contrast_hu: float = 1200.0


DEFAULT_CT_SETTINGS = CtMarkerSettings()


@dataclass(frozen=True, slots=True)
class CtMarkers:
    """Markers found in a CT, the brightest first.

    Attributes
    ----------
    centres_mm : ndarray, shape (n, 3)
        DICOM patient frame.
    sigma_mm : ndarray, shape (n,)
        One standard deviation of a centre along an axis, from the fit.
    contrast_hu : ndarray, shape (n,)
        Brightest voxel above the surroundings.
    blur_mm : ndarray, shape (n,)
        Standard deviation of the scanner's blur in the plane of the slices, as the fit tells it.
    misfit : ndarray, shape (n,)
        Residual of the fit as a part of the contrast.
    frame_of_reference_uid : str
    rejected : int
        Groups of bright voxels that were no markers.
    """

    centres_mm: Array
    sigma_mm: Array
    contrast_hu: Array
    blur_mm: Array
    misfit: Array
    frame_of_reference_uid: str
    rejected: int

    def __post_init__(self) -> None:
        for name, shape in (
            ("centres_mm", (None, 3)),
            ("sigma_mm", (None,)),
            ("contrast_hu", (None,)),
            ("blur_mm", (None,)),
            ("misfit", (None,)),
        ):
            object.__setattr__(self, name, frozen_array(getattr(self, name), shape, f"markers: {name}"))

    def __len__(self) -> int:
        return len(self.centres_mm)


@dataclass(frozen=True, slots=True)
class _Hump:
    """A fitted marker; see :class:`CtMarkers`."""

    centre_mm: Array
    sigma_mm: float
    contrast: float
    blur_mm: float
    misfit: float


def detect_markers_in_ct(
    volume: Volume, shape: MarkerShape = DEFAULT_SHAPE, *, settings: CtMarkerSettings = DEFAULT_CT_SETTINGS
) -> CtMarkers:
    """Find markers in a CT.

    Parameters
    ----------
    volume : Volume
    shape : MarkerShape
        Size of the markers.
    settings : CtMarkerSettings

    Returns
    -------
    CtMarkers
        None of them where there is none: that is not an error.

    Raises
    ------
    UndefinedVoxels, ConstantVolume, MarkerTooSmall, TooMuchMetal

    Notes
    -----
    Valid for markers with at least 3 mm of tissue between them. Centres are those of what the CT shows: a streak of
    another metal through a marker moves them.
    """
    voxels = _checked(volume, shape)
    groups = _bright_groups(voxels, settings.threshold_hu)
    found, rejected = [], 0
    for group in groups:
        hump = _fitted(volume, voxels, group, shape, settings)
        if hump is None:
            rejected += 1
        else:
            found.append(hump)
    found.sort(key=lambda one: -one.contrast)
    return CtMarkers(
        np.array([one.centre_mm for one in found]).reshape(-1, 3),
        np.array([one.sigma_mm for one in found]),
        np.array([one.contrast for one in found]),
        np.array([one.blur_mm for one in found]),
        np.array([one.misfit for one in found]),
        volume.frame_of_reference_uid,
        rejected,
    )


def _checked(volume: Volume, shape: MarkerShape) -> npt.NDArray[np.int16] | npt.NDArray[np.float32]:
    voxels = volume.hounsfield
    if voxels.dtype.kind == "f" and not np.isfinite(voxels).all():
        raise UndefinedVoxels("the CT holds voxels that are not numbers")
    if voxels.min() == voxels.max():
        raise ConstantVolume(f"every voxel of the CT is {voxels.flat[0]} HU")
    largest = float(volume.spacing_mm[:2].max())
    if largest > LARGEST_PIXEL_PART * shape.diameter_mm:
        raise MarkerTooSmall(
            f"voxels of {largest:.2f} mm are too large for markers {shape.diameter_mm:g} mm thick",
            voxel_mm=largest,
            diameter_mm=shape.diameter_mm,
        )
    return voxels


def _bright_groups(voxels: npt.NDArray[np.int16] | npt.NDArray[np.float32], threshold: float) -> list[Array]:
    """Groups of touching bright voxels (26 neighbours), each as indices (n, 3) of slice, row, column."""
    counts = np.zeros(voxels.shape[0], np.int64)
    with kernel_lock:
        count_bright(voxels, threshold, counts)
    total = int(counts.sum())
    if total > MOST_BRIGHT_PART * voxels.size:
        raise TooMuchMetal(
            f"{100 * total / voxels.size:.1f} % of the CT is brighter than {threshold:g} HU", part=total / voxels.size
        )
    if total == 0:
        return []
    flat = np.empty(total, np.int64)
    with kernel_lock:
        list_bright(voxels, threshold, np.cumsum(counts) - counts, flat)
    place = np.stack(np.unravel_index(flat, voxels.shape), axis=1)
    first, second = [], []
    size = np.array(voxels.shape)
    for step in NEIGHBOURS:
        other = place + step
        inside = np.flatnonzero(((other >= 0) & (other < size)).all(axis=1))
        wanted = np.ravel_multi_index(tuple(other[inside].T), voxels.shape)
        at = np.minimum(np.searchsorted(flat, wanted), total - 1)
        hit = flat[at] == wanted
        first.append(inside[hit])
        second.append(at[hit])
    ones = np.ones(sum(len(one) for one in first), np.int8)
    links = coo_array((ones, (np.concatenate(first), np.concatenate(second))), shape=(total, total))
    _, label = connected_components(links, directed=False)
    order = np.argsort(label, kind="stable")
    ends = np.cumsum(np.bincount(label))[:-1]
    return list(np.split(place[order], ends))


def _fitted(
    volume: Volume,
    voxels: npt.NDArray[np.int16] | npt.NDArray[np.float32],
    group: Array,
    shape: MarkerShape,
    settings: CtMarkerSettings,
) -> _Hump | None:
    """The marker that a group of bright voxels is, or None."""
    spacing = volume.spacing_mm[::-1]
    low, high = group.min(axis=0), group.max(axis=0)
    if float(np.linalg.norm((high - low) * spacing)) > shape.extent_mm + BLUR_MM + float(spacing.max()):
        return None
    reach = np.ceil((0.5 * shape.extent_mm + BLUR_MM + 2 * SHELL_MM) / spacing).astype(np.int64)
    middle = np.rint(0.5 * (low + high)).astype(np.int64)
    begin = np.maximum(middle - reach, 0)
    end = np.minimum(middle + reach + 1, voxels.shape)
    block = voxels[tuple(slice(b, e) for b, e in zip(begin, end, strict=True))].astype(np.float64)
    offsets = np.stack(np.meshgrid(*(np.arange(b, e) for b, e in zip(begin, end, strict=True)), indexing="ij"), axis=-1)
    weight = voxels[tuple(group.T)].astype(np.float64) - settings.threshold_hu + 1.0
    start = (weight[:, None] * group).sum(axis=0) / weight.sum()
    arm_mm = (offsets - start) * spacing
    distance_mm = np.linalg.norm(arm_mm, axis=-1)
    shell = (distance_mm > 0.5 * shape.extent_mm + SHELL_MM) & (distance_mm < 0.5 * shape.extent_mm + 2 * SHELL_MM)
    if np.count_nonzero(shell) < 20:
        return None
    brightest = group[int(np.argmax(voxels[tuple(group.T)]))]
    peak = float(voxels[tuple(brightest)])
    surroundings = float(np.quantile(block[shell], 0.9))
    if peak - surroundings < settings.least_contrast_hu:
        return None
    if _goes_on(block >= 0.5 * (peak + surroundings), brightest - begin, distance_mm, shape, spacing):
        return None
    near = distance_mm < 0.5 * shape.extent_mm + SHELL_MM
    return _hump(volume, arm_mm[near], np.maximum(block[near], surroundings), start, peak, shape)


def _goes_on(
    bright: npt.NDArray[np.bool_], seed: Array, distance_mm: Array, shape: MarkerShape, spacing: Array
) -> bool:
    """Whether a candidate, followed down to half its height, is longer than a marker: a bead of a wire or a rod."""
    labels, _ = ndimage.label(bright, np.ones((3, 3, 3)))
    itself = labels == labels[tuple(seed)]
    return bool(distance_mm[itself].max() > 0.5 * shape.extent_mm + BLUR_MM + float(spacing.max()))


def _hump(volume: Volume, arm_mm: Array, values: Array, start: Array, peak: float, shape: MarkerShape) -> _Hump | None:
    """Fit a blurred ball or seed to the voxels near a candidate, and judge whether it is one.

    ``values`` are cut off below, where the surroundings are, and above, where the scale ends; so is the model. Bone
    beside a marker then has no say.
    """
    spacing = volume.spacing_mm[::-1]
    floor = float(values.min())
    contrast = peak - floor
    top = peak if np.count_nonzero(values == peak) > 1 else np.inf
    share = np.clip(values - floor - 0.3 * contrast, 0.0, None)
    share /= share.sum()
    middle = share @ arm_mm
    half = 0.0 if shape.length_mm is None else 0.5 * (shape.length_mm - 0.5 * shape.diameter_mm)
    own = shape.diameter_mm**2 / 20.0 + spacing**2 / 12.0
    p = np.array([*middle, floor / contrast, np.log(1.5), np.log(USUAL_BLUR_MM)])
    usual = p[[3, 5]]
    if half:
        p = np.append(p, np.linalg.eigh((share[:, None] * (arm_mm - middle)).T @ (arm_mm - middle))[1][:, 2])

    def difference(p: Array) -> Array:
        height, blur_mm = np.exp(np.minimum(p[4:6], LARGEST_EXPONENT))
        spread_mm2 = own + np.array([0.1, 1.0, 1.0]) * blur_mm**2
        raised = blurred_line(arm_mm - p[:3], spread_mm2, half, p[6:])
        model = np.clip(p[3] * contrast + height * contrast * raised, floor, top)
        return np.asarray((model - values) / contrast)

    weight = np.ones(len(values))
    for _ in range(2):

        def weighted(p: Array, weight: Array = weight) -> Array:
            return np.concatenate([weight * difference(p), np.array([3.0, 0.1]) * (p[[3, 5]] - usual)])

        fit = least_squares(weighted, p, method="lm", max_nfev=60 * len(p))
        p = np.asarray(fit.x, dtype=np.float64)
        left = difference(p)
        weight = np.sqrt(1.0 / (1.0 + (left / max(2.5 * float(np.median(np.abs(left))), 0.02)) ** 2))
    blur = float(np.exp(min(p[5], LARGEST_EXPONENT)))
    inner = np.linalg.norm(arm_mm - p[:3], axis=1) < 0.5 * (shape.extent_mm + BLUR_MM + spacing.max())
    part = float(np.sqrt(np.mean(left[inner] ** 2))) if inner.any() else np.inf
    jacobian = cast(Array, fit.jac)
    covariance = np.linalg.pinv(jacobian.T @ jacobian)[:3, :3] * float(np.mean(fit.fun**2))
    sigma = float(np.sqrt(np.trace(covariance) / 3.0))
    if part > LARGEST_MISFIT or blur > LARGEST_BLUR_MM or sigma > 0.2 * float(spacing.min()):
        return None
    index = (start + p[:3] / spacing)[::-1]
    centre = (volume.dicom_from_index @ np.append(index, 1.0))[:3]
    return _Hump(centre, sigma, contrast, blur, part)
