"""Volumes as the 3D/3D match sees them: reduced in steps, with what a scan does not show marked as unknown."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from isoalign.geometry import Array
from isoalign.imaging.compiled import kernel_lock
from isoalign.records import Volume
from isoalign.registration.errors import ConstantVolume, UndefinedVoxels, VolumeTooThin
from isoalign.registration.scan_kernels import UNKNOWN, block_means, mark_unknown, other_than

Float32 = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

LEAST_EXTENT_MM = 15.0
LEAST_SPREAD = 5.0
"""Standard deviation of the coarsest means below which a volume shows nothing."""
BODY_ABOVE = -350.0
OPENED_MM = 10.0


@dataclass(frozen=True, slots=True)
class ScanLevel:
    """A volume at one resolution.

    Attributes
    ----------
    spacing_mm : float
        What was aimed at; voxels of the scan are averaged by whole factors.
    values : ndarray, shape (slices, rows, columns), float32
        Means; ``UNKNOWN`` where the scan shows nothing.
    dicom_from_index : ndarray, shape (4, 4)
    """

    spacing_mm: float
    values: Float32
    dicom_from_index: Array

    @property
    def index_from_dicom(self) -> Array:
        """From DICOM patient mm to (column, row, slice)."""
        return np.asarray(np.linalg.inv(self.dicom_from_index))

    @property
    def voxel_mm(self) -> Array:
        """Voxel size along columns, rows and slices."""
        return np.asarray(np.linalg.norm(self.dicom_from_index[:3, :3], axis=0))

    def points_mm(self, index: npt.NDArray[np.int64]) -> Float32:
        """Centres of voxels given by flat index, shape (n, 3), DICOM patient frame."""
        k, j, i = np.unravel_index(index, self.values.shape)
        m = self.dicom_from_index
        return np.asarray(np.stack([i, j, k], axis=1) @ m[:3, :3].T + m[:3, 3], dtype=np.float32)


def scan_levels(volume: Volume, spacings_mm: tuple[float, ...], excluded: Mask | None = None) -> tuple[ScanLevel, ...]:
    """A volume at several resolutions, in the order of ``spacings_mm`` (coarse to fine).

    Parameters
    ----------
    volume : Volume
    spacings_mm : tuple of float
    excluded : ndarray, shape of the volume, bool, optional
        Voxels not to be used.

    Raises
    ------
    VolumeTooThin, UndefinedVoxels, ConstantVolume
    """
    extent = volume.spacing_mm * np.array(volume.hounsfield.shape[::-1])
    if extent.min() < LEAST_EXTENT_MM:
        raise VolumeTooThin(
            f"the volume measures only {extent.min():.1f} mm along its shortest side", extent_mm=float(extent.min())
        )
    made: dict[float, ScanLevel] = {}
    finer: ScanLevel | None = None
    for spacing in sorted(spacings_mm):
        finer = _reduced(volume, excluded, spacing) if finer is None else _again(finer, spacing)
        made[spacing] = finer
    coarsest = made[max(spacings_mm)].values
    known = coarsest[coarsest > UNKNOWN / 1e4]
    if not np.isfinite(coarsest).all():
        raise UndefinedVoxels("the volume holds NaN or infinite voxels")
    if known.size == 0 or float(known.std()) < LEAST_SPREAD:
        raise ConstantVolume("every part of the volume has the same value")
    return tuple(made[spacing] for spacing in spacings_mm)


def _factors(voxel_mm: Array, spacing_mm: float, shape: tuple[int, ...]) -> npt.NDArray[np.int64]:
    """How many voxels to average along each array axis."""
    wanted = np.maximum(1, np.round(spacing_mm / voxel_mm)).astype(np.int64)[::-1]
    return np.minimum(wanted, np.maximum(1, np.array(shape, dtype=np.int64) // 3)).copy()


def _averaged(
    values: npt.NDArray[np.int16] | Float32, dicom_from_index: Array, spacing_mm: float
) -> tuple[Float32, Array]:
    voxel_mm = np.linalg.norm(dicom_from_index[:3, :3], axis=0)
    factor = _factors(voxel_mm, spacing_mm, values.shape)
    out = np.empty(tuple(np.array(values.shape) // factor), np.float32)
    with kernel_lock:
        block_means(values, factor, out)
    step = np.eye(4)
    step[:3, :3] = np.diag(factor[::-1].astype(np.float64))
    step[:3, 3] = (factor[::-1] - 1) / 2
    return out, dicom_from_index @ step


def _reduced(volume: Volume, excluded: Mask | None, spacing_mm: float) -> ScanLevel:
    values = volume.hounsfield if volume.hounsfield.flags.c_contiguous else volume.hounsfield.copy(order="C")
    out, dicom_from_index = _averaged(values, volume.dicom_from_index, spacing_mm)
    _mark_field_of_view(out, np.linalg.norm(dicom_from_index[:3, :3], axis=0))
    if excluded is not None:
        share, _ = _averaged(excluded.astype(np.float32), volume.dicom_from_index, spacing_mm)
        out[share > 0] = UNKNOWN
    return ScanLevel(spacing_mm, out, dicom_from_index)


def _again(finer: ScanLevel, spacing_mm: float) -> ScanLevel:
    out, dicom_from_index = _averaged(finer.values, finer.dicom_from_index, spacing_mm)
    return ScanLevel(spacing_mm, out, dicom_from_index)


def _mark_field_of_view(values: Float32, voxel_mm: Array) -> None:
    """Mark padding: slices at the ends, and everything outside a circle, of one and the same value."""
    rows, columns = values.shape[1:]
    y = (np.arange(rows) - (rows - 1) / 2) * voxel_mm[1]
    x = (np.arange(columns) - (columns - 1) / 2) * voxel_mm[0]
    radius = np.hypot(x[None, :], y[:, None]).astype(np.float32)
    reached = np.empty(len(values), np.float32)
    with kernel_lock:
        other_than(values, float(values[len(values) // 2, 0, 0]), radius, reached)
    by_slice = reached >= 0.0
    if not by_slice.any():
        return
    first, last = int(np.argmax(by_slice)), len(by_slice) - int(np.argmax(by_slice[::-1]))
    if first > 0:
        values[: first + 1] = UNKNOWN
    if last < len(values):
        values[last - 1 :] = UNKNOWN
    farthest, pixel_mm = float(reached.max()), float(voxel_mm[:2].max())
    if farthest < float(radius[0, 0]) - pixel_mm:
        with kernel_lock:
            mark_unknown(values, radius, farthest - 1.5 * pixel_mm)


def body_of(level: ScanLevel) -> Mask | None:
    """Where the patient is: the largest thing that is dense and thicker than a couch's skin, and a margin around it.

    None where no such thing takes up at least 2 % of the volume; then nothing is left out.
    """
    shape = level.voxel_mm[::-1]
    dense = level.values > BODY_ABOVE
    radius = np.maximum(1, np.round(OPENED_MM / 2 / shape)).astype(int)
    brush = np.ones(tuple(2 * radius + 1), np.bool_)
    opened = ndimage.binary_opening(np.pad(dense, [(n, n) for n in radius], mode="edge"), brush)
    opened = opened[tuple(slice(n, -n) for n in radius)]
    labels, count = ndimage.label(opened)
    if count == 0:
        return None
    sizes = np.bincount(labels.ravel())[1:]
    if sizes.max() < 0.02 * labels.size:
        return None
    body = labels == int(np.argmax(sizes)) + 1
    for number in range(len(body)):
        body[number] = ndimage.binary_fill_holes(body[number])
    return np.asarray(ndimage.binary_dilation(body, ndimage.generate_binary_structure(3, 1), iterations=1))
