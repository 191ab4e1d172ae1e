"""What a match needs of the planning CT, made once for each plan."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from isoalign.imaging import AttenuationGrid, AttenuationVolume, attenuation_volume
from isoalign.records import Volume
from isoalign.registration.errors import ConstantVolume, EmptyRegion, UndefinedVoxels, VolumeTooThin
from isoalign.registration.scan_regions import Region, require_frame

LEAST_SIDE_MM = 15.0
REGION_LEVEL = 1
"""Level of the attenuation volume (2.4 mm) on whose voxels a region is told."""


@dataclass(frozen=True, slots=True)
class PreparedVolume:
    """A planning CT ready to be matched.

    Attributes
    ----------
    attenuation : AttenuationVolume
    frame_of_reference_uid : str
    region : AttenuationGrid or None
        1 in the voxels that are to be matched, 0 elsewhere; None for all.
    """

    attenuation: AttenuationVolume
    frame_of_reference_uid: str
    region: AttenuationGrid | None = None


def prepare(volume: Volume, *, region: Region | None = None) -> PreparedVolume:
    """Make a planning CT ready for matching: attenuation at three resolutions in all memory layouts.

    Parameters
    ----------
    volume : Volume
    region : BoxRegion, SphereRegion or MaskRegion, optional
        Only rays that cross this part of the CT are compared, for instance a structure with a margin.

    Raises
    ------
    isoalign.imaging.EmptyVolume, VolumeTooThin, UndefinedVoxels, ConstantVolume, WrongFrameOfReference, EmptyRegion
    """
    _require_something(volume)
    if region is not None:
        require_frame(region, volume)
    attenuation = attenuation_volume(volume)
    for grid in attenuation.levels:
        for step_axis in range(3):
            grid.extents(step_axis, together=grid.planes_per_slab[step_axis])
    chosen = None if region is None else _region_grid(attenuation.levels[REGION_LEVEL], region)
    return PreparedVolume(attenuation, volume.frame_of_reference_uid, chosen)


def _require_something(volume: Volume) -> None:
    sides_mm = np.array(volume.hounsfield.shape[::-1]) * volume.spacing_mm
    if sides_mm.min() < LEAST_SIDE_MM:
        raise VolumeTooThin(f"the CT is only {sides_mm.min():.1f} mm thick along one of its axes")
    if volume.hounsfield.dtype.kind == "f" and not np.isfinite(volume.hounsfield).all():
        raise UndefinedVoxels("the CT holds voxels that are not numbers")
    if volume.hounsfield.min() == volume.hounsfield.max():
        raise ConstantVolume(f"every voxel of the CT is {float(volume.hounsfield.flat[0]):g} HU")


def _region_grid(grid: AttenuationGrid, region: Region) -> AttenuationGrid:
    """Which voxels of a grid lie in a region and hold something, as a grid of ones and zeros."""
    inside = np.zeros(grid.values.shape, np.float32)
    where = np.argwhere(grid.values > 0.0)
    points_mm = where[:, ::-1] @ grid.dicom_from_index[:3, :3].T + grid.dicom_from_index[:3, 3]
    inside[tuple(where[region.contains(points_mm.astype(np.float32))].T)] = 1.0
    if not inside.any():
        raise EmptyRegion("the region holds nothing of the CT but air")
    return AttenuationGrid(inside, grid.dicom_from_index, ())
