"""From CT numbers to linear attenuation, and the pyramid of grids that the projector works on.

Effective energy 60 keV (a 100 kV beam after a head). Water: 0.02059 /mm. CT numbers are taken to be made at about
70 keV; bone attenuates relatively more at 60 keV, so that CT numbers above zero count 1.21 fold.

Source: NIST XCOM tables, water and cortical bone (ICRU-44), 60 and 80 keV; 70 keV interpolated.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from isoalign.geometry import Array
from isoalign.imaging.beam import BeamQuality
from isoalign.imaging.compiled import kernel_lock
from isoalign.imaging.errors import EmptyVolume
from isoalign.imaging.kernels import BLOCK, filled_extents
from isoalign.imaging.volume_kernels import average_blocks, body_box, to_attenuation
from isoalign.records import Volume

EFFECTIVE_ENERGY_KEV: Final = 60.0
WATER_PER_MM: Final = 0.02059
BONE_FACTOR: Final = 1.21
AIR_BELOW_HU: Final = -950.0
PADDING: Final = 2
NOMINAL_BEAM: Final = BeamQuality(EFFECTIVE_ENERGY_KEV, WATER_PER_MM, BONE_FACTOR)
LEVEL_SPACING_MM: Final = (1.2, 2.4, 4.8)
SLAB: Final = 2.0
"""Thickness of slabs, in units of the smallest spacing."""

Float32 = npt.NDArray[np.float32]
Int32 = npt.NDArray[np.int32]

_LAYOUT_AXES: Final = {0: (2, 0, 1), 1: (1, 0, 2), 2: (0, 1, 2)}
"""Step axis (0 column, 1 row, 2 slice) -> transposition of (slice, row, column) into (k, v, u)."""
_LAYOUT_INDEX: Final = {0: (1, 2, 0), 1: (0, 2, 1), 2: (0, 1, 2)}
"""Step axis -> which of (column, row, slice) are u, v and k."""


def attenuation_per_mm(hounsfield: npt.ArrayLike) -> Array:
    """Linear attenuation at 60 keV of CT numbers in HU, 1/mm; padding values and air give zero."""
    values = np.asarray(hounsfield, dtype=np.float64)
    scaled = 1.0 + values / 1000.0 * np.where(values > 0.0, BONE_FACTOR, 1.0)
    return WATER_PER_MM * np.where(values < AIR_BELOW_HU, 0.0, scaled)


class AttenuationGrid:
    """Linear attenuation on one voxel grid, padded with two zero voxels, in up to three memory layouts.

    Parameters
    ----------
    values : ndarray, shape (slices, rows, columns), float32
        1/mm, already padded.
    dicom_from_index : ndarray, shape (4, 4)
        From (column, row, slice, 1) of ``values`` to the DICOM patient frame, mm.
    cut_faces : tuple of (int, int)
        (axis, side) of the faces where the CT ends inside something: axis 0 column, 1 row, 2 slice; side 0 or 1.
    slabs : bool
        Whether planes may be averaged in twos (or what comes near to twice the smallest spacing) along the axis on
        which rays step. That halves the work of a projection; rays that are oblique to the axis are blurred by a part
        of their sideways step within a slab, so it is for beams that run nearly along an axis.
    """

    def __init__(
        self,
        values: Float32,
        dicom_from_index: Array,
        cut_faces: tuple[tuple[int, int], ...],
        *,
        slabs: bool = False,
    ) -> None:
        values.setflags(write=False)
        self.values = values
        self.dicom_from_index = np.array(dicom_from_index, dtype=np.float64)
        self.index_from_dicom = np.linalg.inv(self.dicom_from_index)
        self.spacing_mm = np.linalg.norm(self.dicom_from_index[:3, :3], axis=0)
        self.cut_faces = cut_faces
        thickest_mm = SLAB * float(self.spacing_mm.min()) if slabs else 0.0
        self.planes_per_slab = tuple(max(1, round(thickest_mm / float(spacing_mm))) for spacing_mm in self.spacing_mm)
        """How many planes make a slab along each axis."""
        self._layouts: dict[tuple[int, int], Float32] = {}
        self._extents: dict[tuple[int, int], Int32] = {}
        self._lock = threading.Lock()

    def layout(self, step_axis: int, *, together: int = 1) -> Float32:
        """The values as (k, v, u) with ``k`` the given axis (0 column, 1 row, 2 slice); made on first use.

        Parameters
        ----------
        step_axis : int
        together : int
            ``k`` counts slabs, the means of so many planes; :meth:`slab_of` says which.
        """
        with self._lock:
            if (step_axis, together) not in self._layouts:
                turned = self.values.transpose(_LAYOUT_AXES[step_axis])
                turned = np.ascontiguousarray(turned) if together == 1 else _slabs(turned, together)
                turned.setflags(write=False)
                self._layouts[step_axis, together] = turned
            return self._layouts[step_axis, together]

    @staticmethod
    def slab_of(together: int) -> tuple[float, float]:
        """(offset, factor) with ``k = offset + factor * index`` from the index along an axis to that of slabs."""
        return PADDING - (PADDING + (together - 1) / 2) / together, 1.0 / together

    def extents(self, step_axis: int, *, together: int = 1) -> Int32:
        """Where :meth:`layout` is not zero; see :func:`~isoalign.imaging.kernels.filled_extents`; made on first use."""
        layout = self.layout(step_axis, together=together)
        with self._lock:
            if (step_axis, together) not in self._extents:
                found = np.empty((layout.shape[0], -(-layout.shape[1] // BLOCK), 2), np.int32)
                with kernel_lock:
                    filled_extents(layout, found)
                found.setflags(write=False)
                self._extents[step_axis, together] = found
            return self._extents[step_axis, together]

    @staticmethod
    def layout_index(step_axis: int) -> tuple[int, int, int]:
        """Which of (column, row, slice) are u, v and k in :meth:`layout`."""
        return _LAYOUT_INDEX[step_axis]

    def face(self, axis: int, side: int) -> Float32:
        """The outermost layer of voxels inside the padding at one face, as a 2-D array (padding kept)."""
        length = self.values.shape[2 - axis]
        layer = PADDING if side == 0 else length - 1 - PADDING
        return np.asarray(self.values.take(layer, axis=2 - axis), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class AttenuationVolume:
    """A CT as linear attenuation, cropped to what is not air, at full and at reduced resolution.

    Attributes
    ----------
    fine : AttenuationGrid
        The CT's own voxels.
    levels : tuple of AttenuationGrid
        Averaged to about 1.2, 2.4 and 4.8 mm (finest first); beams along an axis see slabs of two planes.
    """

    fine: AttenuationGrid
    levels: tuple[AttenuationGrid, ...]


def attenuation_volume(volume: Volume, beam: BeamQuality = NOMINAL_BEAM) -> AttenuationVolume:
    """Linear attenuation of a CT.

    Parameters
    ----------
    volume : Volume
    beam : BeamQuality
        60 keV unless another is given (:func:`~isoalign.imaging.beam.beam_quality`).

    Raises
    ------
    EmptyVolume
        When nothing in the CT is denser than air.
    """
    hounsfield = volume.hounsfield
    if not hounsfield.flags.c_contiguous:
        hounsfield = hounsfield.copy(order="C")
        hounsfield.setflags(write=False)
    with kernel_lock:
        box = body_box(hounsfield, AIR_BELOW_HU)
    if (box[:, 0] > box[:, 1]).any():
        raise EmptyVolume("the CT holds nothing denser than air")
    cut_faces = tuple(
        (2 - array_axis, side)
        for array_axis, length in enumerate(hounsfield.shape)
        for side, reached in enumerate((box[array_axis, 0] == 0, box[array_axis, 1] == length - 1))
        if reached
    )
    first_voxel = box[:, 0].copy()
    values = np.zeros(box[:, 1] - first_voxel + 1 + 2 * PADDING, np.float32)
    with kernel_lock:
        to_attenuation(hounsfield, first_voxel, PADDING, AIR_BELOW_HU, beam.water_per_mm, beam.bone_factor, values)
    offset = np.eye(4)
    offset[:3, 3] = first_voxel[::-1] - PADDING
    fine = AttenuationGrid(values, volume.dicom_from_index @ offset, cut_faces)
    levels: list[AttenuationGrid] = []
    for target_mm in LEVEL_SPACING_MM:
        finer = levels[-1] if levels else fine
        levels.append(_reduced(finer, target_mm))
    return AttenuationVolume(fine, tuple(levels))


def _slabs(planes: Float32, together: int) -> Float32:
    """Means of so many planes inside the padding, padded; what is missing in the last slab is zero."""
    inner = planes[PADDING:-PADDING]
    slabs = np.zeros((-(-len(inner) // together) + 2 * PADDING, *planes.shape[1:]), np.float32)
    for first in range(together):
        part = inner[first::together]
        slabs[PADDING : PADDING + len(part)] += part
    slabs *= np.float32(1.0 / together)
    return slabs


def _reduced(grid: AttenuationGrid, target_mm: float) -> AttenuationGrid:
    """The grid averaged over blocks of voxels so that its spacing comes near to ``target_mm``."""
    factor = np.maximum(1, np.round(target_mm / grid.spacing_mm)).astype(np.int64)
    if (factor == 1).all():
        return AttenuationGrid(grid.values, grid.dicom_from_index, grid.cut_faces, slabs=True)
    inner = np.array(grid.values.shape[::-1]) - 2 * PADDING
    reduced = -(-inner // factor)
    values = np.zeros(tuple((reduced + 2 * PADDING)[::-1]), np.float32)
    with kernel_lock:
        average_blocks(grid.values, values, factor[::-1].copy(), PADDING)
    to_finer = np.eye(4)
    to_finer[:3, :3] = np.diag(factor)
    to_finer[:3, 3] = PADDING + (factor - 1) / 2 - factor * PADDING
    return AttenuationGrid(values, grid.dicom_from_index @ to_finer, grid.cut_faces, slabs=True)
