"""Volumetric structures onto the planes of the images that they will reference.

Between two drawn planes the shape is interpolated by its signed distance, which keeps straight and conical walls
exactly and lets shapes merge and split. Beyond the first and the last drawn plane a structure reaches by half the
distance to its neighbour, and no further.

Source: section 2.2.3.1 of the conformance statement (structures are resampled onto the planes of the patient model);
shape-based interpolation: S. Raya and J. Udupa, IEEE Trans. Med. Imaging 9 (1990) 32.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from isoalign.geometry import Array, DicomPatient, Pose
from isoalign.records import Structure

SAME_PLANE_MM = 1e-3
"""A drawn plane this near to an image's plane is that plane."""
GRID_MM = 1.0
MOST_GRID_POINTS = 60_000
FEWEST_POINTS = 3
EXACT_POINTS = 4
SAMPLE_MM = 0.5
"""Distance of the points of an outline among which the nearest is looked for."""


def resampled_onto(structure: Structure, positions_mm: Array) -> Structure:
    """The structure with every contour in the plane of an image.

    Parameters
    ----------
    structure : Structure
        Transverse closed contours are resampled; points stay as they are, open contours go to the nearest image.
    positions_mm : ndarray, shape (n,)
        z of the images in the DICOM patient frame, any order.

    Returns
    -------
    Structure
        The same structure when all contours lie on images already, apart from z being exactly that of the image.
    """
    if structure.geometric_type not in {"CLOSED_PLANAR", "OPEN_PLANAR"} or len(positions_mm) == 0:
        return structure
    drawn = _by_plane(structure.contours_mm)
    nearest = {z: float(positions_mm[np.abs(positions_mm - z).argmin()]) for z in drawn}
    if structure.geometric_type == "OPEN_PLANAR" or all(
        abs(z - image) <= SAME_PLANE_MM for z, image in nearest.items()
    ):
        moved = tuple(_at_z(contour, nearest[float(contour[0, 2])]) for contour in structure.contours_mm)
        return replace(structure, contours_mm=moved)
    return replace(structure, contours_mm=tuple(_resampled(drawn, np.sort(positions_mm))))


def _by_plane(contours: Sequence[Array]) -> dict[float, list[Array]]:
    planes: dict[float, list[Array]] = {}
    for contour in contours:
        planes.setdefault(float(contour[0, 2]), []).append(contour)
    return dict(sorted(planes.items()))


def _at_z(contour: Array, z: float) -> Array:
    moved = contour.copy()
    moved[:, 2] = z
    return moved


def carried_onto(
    structure: Structure, day_from_planning: Pose[DicomPatient, DicomPatient], positions_mm: Array
) -> Structure:
    """The structure carried into another frame, with every contour in the plane of an image there.

    A turned contour lies in no transverse plane, so that the shape between the contours is cut anew, by its signed
    distance. Points are moved; open contours, which have no inside, come back without contours.

    Parameters
    ----------
    structure : Structure
    day_from_planning : Pose[DicomPatient, DicomPatient]
    positions_mm : ndarray, shape (n,)
        z of the images in the frame of the day, any order.
    """
    if structure.geometric_type == "POINT":
        return replace(
            structure, contours_mm=tuple(day_from_planning.apply(points) for points in structure.contours_mm)
        )
    if structure.geometric_type != "CLOSED_PLANAR" or not structure.contours_mm or len(positions_mm) == 0:
        return replace(structure, contours_mm=())
    shape = _Shape.of(_by_plane(structure.contours_mm))
    moved = day_from_planning.apply(np.concatenate(structure.contours_mm))
    columns, rows = _grid([moved])
    reach = shape.margins_mm.max()
    low, high = moved[:, 2].min() - reach, moved[:, 2].max() + reach
    x, y = np.meshgrid(columns, rows)
    planning_from_day = day_from_planning.inverse()
    found: list[Array] = []
    for z in np.sort(positions_mm)[(np.sort(positions_mm) > low) & (np.sort(positions_mm) < high)]:
        points = planning_from_day.apply(np.stack([x, y, np.full_like(x, z)], axis=-1).reshape(-1, 3))
        found += _outlines(columns, rows, shape.at(points).reshape(x.shape), float(z))
    return replace(structure, contours_mm=tuple(found))


def _resampled(drawn: dict[float, list[Array]], positions: Array) -> list[Array]:
    shape = _Shape.of(drawn)
    found: list[Array] = []
    for z in positions[(positions > shape.low_mm) & (positions < shape.high_mm)]:
        found += _outlines(shape.columns, shape.rows, shape.on_plane(float(z)), float(z))
    return found


def _outlines(columns: Array, rows: Array, distance: Array, z: float) -> list[Array]:
    import contourpy

    generator = contourpy.contour_generator(columns, rows, distance, line_type=contourpy.LineType.Separate)
    outlines = [np.asarray(line)[:-1] for line in generator.lines(0.0)]
    return [np.column_stack([one, np.full(len(one), z)]) for one in outlines if len(one) >= FEWEST_POINTS]


@dataclass(frozen=True, slots=True)
class _Shape:
    """Signed distances on the planes on which a structure was drawn; ``distances`` (planes, rows, columns)."""

    planes: Array
    columns: Array
    rows: Array
    distances: Array
    margins_mm: Array

    @classmethod
    def of(cls, drawn: dict[float, list[Array]]) -> _Shape:
        planes = np.array(list(drawn))
        columns, rows = _grid([contour for contours in drawn.values() for contour in contours])
        margins = np.diff(planes)[[0, -1]] / 2.0 if len(planes) > 1 else np.full(2, GRID_MM / 2.0)
        distances = np.stack([_signed_distance(contours, columns, rows) for contours in drawn.values()])
        return cls(planes, columns, rows, distances, margins)

    @property
    def low_mm(self) -> float:
        """Where the structure begins."""
        return float(self.planes[0] - self.margins_mm[0])

    @property
    def high_mm(self) -> float:
        """Where it ends."""
        return float(self.planes[-1] + self.margins_mm[1])

    def on_plane(self, z: float) -> Array:
        """Signed distances (rows, columns) on a plane between the first and the last one, or just beyond."""
        upper = int(np.clip(np.searchsorted(self.planes, z), 1, max(len(self.planes) - 1, 1)))
        last = min(upper, len(self.planes) - 1)
        below, above = float(self.planes[upper - 1]), float(self.planes[last])
        share = 0.0 if above == below else float(np.clip((z - below) / (above - below), 0.0, 1.0))
        mixed: Array = self.distances[upper - 1] * (1.0 - share) + self.distances[last] * share
        return mixed

    def at(self, points: Array) -> Array:
        """Signed distances at points (n, 3) anywhere; negative beyond the structure's ends."""
        from scipy.ndimage import map_coordinates

        plane = np.interp(points[:, 2], self.planes, np.arange(len(self.planes)))
        row = np.interp(points[:, 1], self.rows, np.arange(len(self.rows)))
        column = np.interp(points[:, 0], self.columns, np.arange(len(self.columns)))
        inside = map_coordinates(self.distances, [plane, row, column], order=1, mode="nearest")
        ends = np.minimum(points[:, 2] - self.low_mm, self.high_mm - points[:, 2])
        nearest: Array = np.minimum(inside, ends)
        return nearest


def _grid(contours: Sequence[Array]) -> tuple[Array, Array]:
    """Coordinates of columns and rows that enclose all contours, with a margin so that every outline is closed."""
    flat = np.concatenate([contour[:, :2] for contour in contours])
    low, high = flat.min(axis=0) - 2.0 * GRID_MM, flat.max(axis=0) + 2.0 * GRID_MM
    step = max(GRID_MM, float(np.sqrt(np.prod(high - low) / MOST_GRID_POINTS)))
    sizes = [max(int(np.ceil((end - start) / step)) + 1, 4) for start, end in zip(low, high, strict=True)]
    return np.linspace(low[0], high[0], sizes[0]), np.linspace(low[1], high[1], sizes[1])


def _signed_distance(contours: Sequence[Array], columns: Array, rows: Array) -> Array:
    """Distance to the outlines in one plane, positive inside; a contour in another one is a hole. (rows, columns).

    Exact within some points of an outline, where it decides about shapes; beyond that to about half a point.
    """
    from scipy.ndimage import distance_transform_edt

    starts = np.concatenate([contour[:, :2] for contour in contours])
    along = np.concatenate([np.roll(contour[:, :2], -1, axis=0) for contour in contours]) - starts
    inside = _inside(starts, along, columns, rows)
    step = (rows[1] - rows[0], columns[1] - columns[0])
    signed = distance_transform_edt(inside, step) - distance_transform_edt(~inside, step)
    near = np.abs(signed) < EXACT_POINTS * max(step)
    row, column = np.nonzero(near)
    distance = _distance_to(starts, along, np.column_stack([columns[column], rows[row]]))
    signed[near] = np.where(inside[near], distance, -distance)
    return np.asarray(signed, dtype=np.float64)


def _distance_to(starts: Array, along: Array, points: Array) -> Array:
    """Distance of points (n, 2) to the nearest of the pieces of outlines."""
    from scipy.spatial import cKDTree

    lengths = np.hypot(*along.T)
    # the nearest of closely spaced points tells which piece of the outline is the nearest
    pieces = np.repeat(np.arange(len(starts)), np.maximum(np.ceil(lengths / SAMPLE_MM).astype(int), 1))
    nth = np.arange(len(pieces)) - np.searchsorted(pieces, pieces)
    samples = starts[pieces] + along[pieces] * ((nth + 0.5) / np.bincount(pieces)[pieces])[:, np.newaxis]
    piece = pieces[cKDTree(samples).query(points)[1]]
    off = points - starts[piece]
    squared = np.where(lengths[piece] > 0.0, lengths[piece], 1.0) ** 2
    share = np.clip(np.einsum("ij,ij->i", off, along[piece]) / squared, 0.0, 1.0)
    distance: Array = np.hypot(*(off - share[:, np.newaxis] * along[piece]).T)
    return distance


def _inside(starts: Array, along: Array, columns: Array, rows: Array) -> npt.NDArray[np.bool_]:
    """Which points of a grid (rows, columns) lie inside outlines: those with an odd number of crossings to the left."""
    inside = np.zeros((len(rows), len(columns)), dtype=bool)
    for row, y in enumerate(rows):
        crossed = (starts[:, 1] > y) != (starts[:, 1] + along[:, 1] > y)
        start, step = starts[crossed], along[crossed]
        crossings = np.sort(start[:, 0] + (y - start[:, 1]) * step[:, 0] / step[:, 1])
        inside[row] = np.searchsorted(crossings, columns) % 2 == 1
    return inside
