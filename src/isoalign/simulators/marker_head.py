"""The built-in head with gold markers: as it truly is, as a scanner shows it, and as a person has drawn the markers.

CT and X-ray images get the markers apart from each other. The CT shows them blurred, and cut off where its scale ends;
in the images they are exact balls of gold in a head whose CT holds none: no voxel says where they are.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from isoalign.geometry import Array
from isoalign.records import Structure, Volume, frozen_array
from isoalign.simulators.marker_ct import SATURATED_HU, add_marker
from isoalign.simulators.marker_images import GOLD_PER_MM
from isoalign.simulators.phantom import PhantomCase, head_phantom, volume_without_markers

MARKERS_MM = ((-38.3, -8.2, 6.4), (10.3, -35.4, -1.2), (26.4, 27.3, 26.2), (-13.4, 19.2, 36.3), (5.4, 34.1, -14.2))
"""From the isocentre, along the axes of the DICOM patient frame."""
DIAMETER_MM = 1.6
BLUR_MM = 0.45
"""Standard deviation of the scanner's blur in the plane of the slices."""


@dataclass(frozen=True, slots=True)
class MarkerHead:
    """A head with markers.

    Attributes
    ----------
    volume : Volume
        CT as a scanner shows it, with the markers.
    body : Volume
        The same without them, for X-ray images.
    structures : tuple of Structure
        Of the head, and a point for each marker at the centre of the nearest voxel.
    isocentre_mm : ndarray, shape (3,)
        DICOM patient frame.
    centres_mm : ndarray, shape (n, 3)
        Where the markers truly are, DICOM patient frame.
    """

    volume: Volume
    body: Volume
    structures: tuple[Structure, ...]
    isocentre_mm: Array
    centres_mm: Array
    diameter_mm: float = DIAMETER_MM
    attenuation_per_mm: float = GOLD_PER_MM

    def __post_init__(self) -> None:
        object.__setattr__(self, "isocentre_mm", frozen_array(self.isocentre_mm, (3,), "isocentre"))
        object.__setattr__(self, "centres_mm", frozen_array(self.centres_mm, (None, 3), "marker centres"))


def marker_head(
    seed: int = 0, *, markers_mm: npt.ArrayLike = MARKERS_MM, phantom: PhantomCase | None = None
) -> MarkerHead:
    """Build the head with markers.

    Parameters
    ----------
    seed : int
        Of the head and of how bright the markers are; see :func:`isoalign.simulators.phantom.head_phantom`.
    markers_mm : array_like, shape (n, 3)
        From the isocentre, along the axes of the DICOM patient frame.
    phantom : PhantomCase, optional
        The head of this seed, where it is made already.
    """
    phantom = phantom or head_phantom(seed)
    body = volume_without_markers(phantom)
    centres = phantom.isocentre_mm + np.asarray(markers_mm, dtype=np.float64).reshape(-1, 3)
    rng = np.random.default_rng([seed, 47])
    gold = np.zeros(body.hounsfield.shape)
    spacing = body.spacing_mm[::-1]
    for centre in centres:
        add_marker(gold, (centre - body.origin_mm)[::-1], spacing, BLUR_MM, (DIAMETER_MM, None), rng)
    shown = np.rint(np.clip(body.hounsfield + gold, -1024.0, SATURATED_HU)).astype(np.int16)
    drawn = body.origin_mm + np.rint((centres - body.origin_mm) / body.spacing_mm) * body.spacing_mm
    others = tuple(one for one in phantom.structures if one.interpreted_type != "MARKER")
    points = tuple(
        Structure(len(others) + number, f"GOLD{number}", "MARKER", "POINT", (point[None],), marker_subtype="MARKER")
        for number, point in enumerate(drawn, start=1)
    )
    return MarkerHead(replace(body, hounsfield=shown), body, (*others, *points), phantom.isocentre_mm, centres)
