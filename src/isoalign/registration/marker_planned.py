"""Where the plan says that the markers are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from isoalign.geometry import Array
from isoalign.records import Structure, StructureSet, frozen_array
from isoalign.registration.errors import WrongFrameOfReference
from isoalign.registration.marker_errors import NoPlannedMarkers

MARKER = "MARKER"
COLLINEAR_MM = 2.0
"""Markers whose distances from a common line have a root mean square below this tell no turn about it."""


@dataclass(frozen=True, slots=True)
class PlannedMarkers:
    """Markers of a structure set.

    Attributes
    ----------
    names : tuple of str
    points_mm : ndarray, shape (n, 3)
        DICOM patient frame of the planning CT.
    """

    names: tuple[str, ...]
    points_mm: Array
    frame_of_reference_uid: str

    def __post_init__(self) -> None:
        points = frozen_array(self.points_mm, (len(self.names), 3), "planned markers")
        object.__setattr__(self, "points_mm", points)

    def __len__(self) -> int:
        return len(self.names)


def planned_markers(structure_set: StructureSet, *, frame_of_reference_uid: str | None = None) -> PlannedMarkers:
    """The markers of a structure set: points of interpreted type MARKER, or of marker subtype MARKER.

    Parameters
    ----------
    structure_set : StructureSet
    frame_of_reference_uid : str, optional
        That of the planning CT or plan; checked when given.

    Raises
    ------
    NoPlannedMarkers, WrongFrameOfReference

    Notes
    -----
    Source: DICOM PS3.3 C.8.8.8 (RT ROI Interpreted Type) and C.8.8.6 (Contour Geometric Type POINT). A structure with
    several points gives several markers, numbered.
    """
    if frame_of_reference_uid is not None and frame_of_reference_uid != structure_set.frame_of_reference_uid:
        raise WrongFrameOfReference(
            "the structure set with the markers belongs to another frame of reference than the plan",
            structure_set=structure_set.frame_of_reference_uid,
            expected=frame_of_reference_uid,
        )
    names, points = [], []
    for structure in structure_set.structures:
        if not _is_marker(structure):
            continue
        own = np.concatenate([np.zeros((0, 3)), *structure.contours_mm])
        for number, point in enumerate(own, start=1):
            names.append(structure.name if len(own) == 1 else f"{structure.name} {number}")
            points.append(point)
    if not names:
        raise NoPlannedMarkers(f"the structure set {structure_set.label!r} has no marker")
    return PlannedMarkers(tuple(names), np.array(points), structure_set.frame_of_reference_uid)


def _is_marker(structure: Structure) -> bool:
    kind = MARKER in (structure.interpreted_type.upper(), structure.marker_subtype.upper())
    return kind and structure.geometric_type.upper() == "POINT"


def tell_rotation(points_mm: Array) -> bool:
    """Whether points (n, 3) mm tell all rotations: three or more that do not lie on one line."""
    if len(points_mm) < 3:
        return False
    spread = np.linalg.svd(points_mm - points_mm.mean(axis=0), compute_uv=False)
    return bool(spread[1] / np.sqrt(len(points_mm)) > COLLINEAR_MM)
