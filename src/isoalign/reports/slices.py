"""Three slices through two volumes: what the volume of the day shows where the planning CT shows it."""

from __future__ import annotations

from itertools import count

import numpy as np
import numpy.typing as npt

from isoalign.geometry import Array, DicomPatient, Pose
from isoalign.records import Volume
from isoalign.reports.overlays import Panel, overlay
from isoalign.reports.pictures import Picture
from isoalign.reports.views import SCALE_BAR_MM, ImagerView

Float32 = npt.NDArray[np.float32]

HALF_MM = 140.0
PIXEL_MM = 0.8
AIR_HU = -1000.0
WINDOW_HU = (-350.0, 650.0)

_X, _Y, _Z = np.eye(3)
_RIGHT, _LEFT, _ANTERIOR, _POSTERIOR, _HEAD, _FEET = "Right", "Left", "Anterior", "Posterior", "Head", "Feet"
_PLANES = (
    ("Transversal", _X, _Y, (_RIGHT, _LEFT, _ANTERIOR, _POSTERIOR)),
    ("Coronal", _X, -_Z, (_RIGHT, _LEFT, _HEAD, _FEET)),
    ("Sagittal", _Y, -_Z, (_ANTERIOR, _POSTERIOR, _HEAD, _FEET)),
)
"""Name; DICOM patient directions of rising column and row; what left, right, top and bottom show."""


def slice_views(
    planning: Volume,
    day: Volume,
    start: Pose[DicomPatient, DicomPatient],
    found: Pose[DicomPatient, DicomPatient],
    centre_mm: Array,
) -> list[ImagerView]:
    """Transversal, coronal and sagittal slices of the planning CT with the volume of the day, before and at the match.

    Parameters
    ----------
    start, found : Pose[DicomPatient, DicomPatient]
        Verification from planning.
    centre_mm : ndarray, shape (3,)
        The point in the planning frame where the slices cross.
    """
    keys = (f"s{number}" for number in count())
    views = []
    for name, right, down, sides in _PLANES:
        points = _grid(centre_mm, right, down)
        expected = _shown(planning, points)
        panels = [
            _panel(
                next(keys),
                title,
                f"volume of the day {words}",
                name,
                (_shown(day, pose.apply(points)), expected),
                sides,
            )
            for title, words, pose in (
                ("Before", "as its isocentre says", start),
                ("Match", "where the search ended", found),
            )
        ]
        views.append(ImagerView(name, "through the isocentre of the plan", tuple(panels)))
    return views


def _grid(centre_mm: Array, right: Array, down: Array) -> Array:
    steps = np.arange(-HALF_MM, HALF_MM + PIXEL_MM / 2, PIXEL_MM)
    grid: Array = centre_mm + steps[None, :, None] * right + steps[:, None, None] * down
    return grid


def _shown(volume: Volume, points_mm: Array) -> Picture:
    """A volume at points (rows, columns, 3) in its frame, in the display window; air outside of it."""
    from scipy import ndimage  # not with every table on a terminal

    inverse = np.linalg.inv(volume.dicom_from_index)
    index = points_mm @ inverse[:3, :3].T + inverse[:3, 3]
    hounsfield = ndimage.map_coordinates(
        volume.hounsfield, np.moveaxis(index[..., ::-1], -1, 0), np.float32, order=1, mode="constant", cval=AIR_HU
    )
    low, high = WINDOW_HU
    grey: Picture = np.rint(np.clip((hounsfield - low) / (high - low), 0.0, 1.0) * 255).astype(np.uint8)
    return grey


def _panel(
    key: str, title: str, caption: str, name: str, pictures: tuple[Picture, Picture], sides: tuple[str, str, str, str]
) -> Panel:
    middle = pictures[0].shape[0] / 2
    return overlay(
        key,
        pictures,
        title=title,
        caption=caption,
        alt=f"{name} slice, {title.lower()}: {caption} in magenta, the planning CT in green, grey where both agree.",
        isocentre=(middle, middle),
        scale_bar=SCALE_BAR_MM / PIXEL_MM,
        sides=dict(zip(("left", "right", "top", "bottom"), sides, strict=True)),
    )
