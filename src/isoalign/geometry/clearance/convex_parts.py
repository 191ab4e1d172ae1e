"""Convex parts of the room and of what lies on the couch: named point sets that move with a frame."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from isoalign.geometry.clearance.errors import InvalidPart
from isoalign.geometry.frames import DicomPatient, Fixed, Frame, Gantry, TableTop
from isoalign.geometry.pose import Array, Pose
from isoalign.geometry.table_top import TableTopPosition, fixed_from_table

PATIENT = "patient"
"""The body that the parts of a patient hull belong to."""

FARTHEST_MM = 10_000.0
THINNEST_MM = 0.01
SMALLEST_MM = 5.0
SMALLEST_PATIENT_MM, LARGEST_PATIENT_MM = 60.0, 3_000.0
_SAME_SLICE_MM = 0.01


@dataclass(frozen=True, slots=True, eq=False)
class ConvexPart:
    """The convex hull of points that move with a frame.

    Attributes
    ----------
    name : str
        Unique in a room.
    frame : type[Frame]
        ``Fixed`` (stands in the room), ``TableTop`` (on the couch) or ``Gantry`` (turns about the fixed Y axis).
    vertices_mm : ndarray, shape (V, 3), read-only
        Points in ``frame``, mm; only the corners of their hull are kept.
    body : str
        What the part is a piece of; pairs to be checked are pairs of bodies. Its name, when left empty.
    arm : str
        Only with ``Gantry``: the imager arm whose angle turns the part; empty for the treatment gantry.
    slides : bool
        Only with ``Gantry``: moves towards the isocentre (-Zg) by the snout's extension.
    faces : ndarray, shape (F, 3), read-only
        Triangles of the hull as indices of vertices, counter-clockwise seen from outside.
    centre_mm : ndarray, shape (3,), read-only
        Centre of the bounding sphere in ``frame``.
    radius_mm : float
        Its radius.

    Raises
    ------
    InvalidPart
        On NaN, fewer than four points, points in a plane, or a size that suggests another unit than mm.
    """

    name: str
    frame: type[Frame]
    vertices_mm: Array
    body: str = ""
    arm: str = ""
    slides: bool = False
    faces: npt.NDArray[np.int64] = field(init=False)
    centre_mm: Array = field(init=False)
    radius_mm: float = field(init=False)

    def __post_init__(self) -> None:
        if not self.name.strip():
            raise InvalidPart("a part needs a name")
        if self.frame not in {Fixed, TableTop, Gantry}:
            raise InvalidPart(f"part {self.name!r} cannot move with the frame {self.frame.__name__}")
        if (self.arm or self.slides) and self.frame is not Gantry:
            raise InvalidPart(f"part {self.name!r} turns with an arm or slides along the beam, but is not in Gantry")
        points = np.array(self.vertices_mm, dtype=np.float64)
        _require_body(self.name, points)
        vertices, faces = _hull(self.name, points)
        centre = (vertices.min(axis=0) + vertices.max(axis=0)) / 2
        for array in (vertices, faces, centre):
            array.setflags(write=False)
        object.__setattr__(self, "vertices_mm", vertices)
        object.__setattr__(self, "faces", faces)
        object.__setattr__(self, "centre_mm", centre)
        object.__setattr__(self, "radius_mm", float(np.linalg.norm(vertices - centre, axis=1).max()))
        object.__setattr__(self, "body", self.body or self.name)


def _require_body(name: str, points: Array) -> None:
    if points.ndim != 2 or points.shape[1:] != (3,) or len(points) < 4:
        raise InvalidPart(f"part {name!r} needs at least four points of shape (3,), not an array {points.shape}")
    if not np.isfinite(points).all():
        raise InvalidPart(f"part {name!r} has NaN or infinite coordinates")
    extent = float(np.ptp(points, axis=0).max())
    if np.abs(points).max() > FARTHEST_MM or extent < SMALLEST_MM:
        raise InvalidPart(
            f"part {name!r} is {extent:g} mm large, up to {np.abs(points).max():g} mm from the origin: wrong unit?",
            extent_mm=extent,
        )
    centred = points - points.mean(axis=0)
    thinnest = np.linalg.eigh(centred.T @ centred)[1][:, 0]
    thickness = float(np.ptp(centred @ thinnest))
    if thickness < THINNEST_MM:
        raise InvalidPart(f"part {name!r} is flat ({thickness:.2g} mm thick)", thickness_mm=thickness)


def _hull(name: str, points: Array) -> tuple[Array, npt.NDArray[np.int64]]:
    """Corners of the hull and its triangles, turned outwards."""
    from scipy.spatial import ConvexHull, QhullError

    try:
        hull = ConvexHull(points)
    except QhullError as error:
        raise InvalidPart(f"part {name!r} has no convex hull: {str(error).splitlines()[0]}") from error
    number = np.full(len(points), -1, dtype=np.int64)
    number[hull.vertices] = np.arange(len(hull.vertices))
    corners, faces = points[hull.vertices], number[hull.simplices]
    first, second, third = (corners[faces[:, k]] for k in range(3))
    inward = np.einsum("fi,fi->f", np.cross(second - first, third - first), hull.equations[:, :3]) < 0
    faces[inward] = faces[inward][:, ::-1]
    return corners, faces


def patient_hull(
    contour_points_mm: npt.ArrayLike,
    fixed_from_dicom: Pose[Fixed, DicomPatient],
    position: TableTopPosition,
    *,
    slab_mm: float = 50.0,
) -> tuple[ConvexPart, ...]:
    """The patient's outer contour as convex slabs that lie on the table top.

    One hull over head and shoulders would fill the space beside the neck; slabs across the longitudinal axis do not.
    Neighbouring slabs share a slice, so the surface between two neighbouring slices lies inside a slab as well.

    Parameters
    ----------
    contour_points_mm : array_like, shape (N, 3)
        Points of the outer contour (RT ROI type EXTERNAL) in the DICOM patient frame, mm.
    fixed_from_dicom : Pose[Fixed, DicomPatient]
        Where the patient is, as planned or as found.
    position : TableTopPosition
        Where the table top is meanwhile; from then on both move together.
    slab_mm : float
        Largest length of a slab; a gap between slices that is longer makes a longer one.

    Raises
    ------
    InvalidPart
        When points are missing, lie in one slice, or have a size that is not a patient's in mm.
    """
    points = np.array(contour_points_mm, dtype=np.float64)
    if points.ndim != 2 or points.shape[1:] != (3,) or len(points) < 4 or not np.isfinite(points).all():
        raise InvalidPart(f"an outer contour is at least four finite points of shape (3,), not an array {points.shape}")
    extent = float(np.ptp(points, axis=0).max())
    if not SMALLEST_PATIENT_MM <= extent <= LARGEST_PATIENT_MM:
        raise InvalidPart(f"an outer contour {extent:g} mm large is no patient in mm: wrong unit?", extent_mm=extent)
    if not (math.isfinite(slab_mm) and slab_mm > 0):
        raise InvalidPart(f"slabs of {slab_mm} mm make no sense")
    table_from_dicom = fixed_from_table(position).inverse() @ fixed_from_dicom
    points = points[np.argsort(points[:, 2], kind="stable")]
    return tuple(
        ConvexPart(f"{PATIENT} slab {number}", TableTop, table_from_dicom.apply(points[first:end]), body=PATIENT)
        for number, (first, end) in enumerate(_slabs(points[:, 2], slab_mm), start=1)
    )


def _slabs(heights_mm: Array, slab_mm: float) -> list[tuple[int, int]]:
    """Index ranges of sorted heights, one per slab; each but the first begins with the last slice of the one before."""
    begins = [0]
    for index, height in enumerate(heights_mm.tolist()):
        if height - heights_mm[begins[-1]] > _SAME_SLICE_MM:
            begins.append(index)
    if len(begins) < 2:
        raise InvalidPart("the outer contour lies in one slice: a patient hull needs at least two")
    levels, ends = heights_mm[begins], [*begins[1:], len(heights_mm)]
    slabs, low = [], 0
    while low < len(begins) - 1:
        high = max(low + 1, int(np.searchsorted(levels, levels[low] + slab_mm, side="right")) - 1)
        slabs.append((begins[low], ends[high]))
        low = high
    return slabs
