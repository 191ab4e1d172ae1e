"""Volumetric structures onto the planes of the images that they will reference.

Between two drawn planes the shape is interpolated by its signed distance, which keeps straight and conical walls
exactly and lets shapes merge and split. Beyond the first and the last drawn plane a structure reaches by half the
distance to its neighbour, and no further.

Source: section 2.2.3.1 of the conformance statement (structures are resampled onto the planes of the patient model);
shape-based interpolation: S. Raya and J. Udupa, IEEE Trans. Med. Imaging 9 (1990) 32.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from isoalign.geometry import Array
from isoalign.records import Structure

SAME_PLANE_MM = 1e-3
"""A drawn plane this near to an image's plane is that plane."""
GRID_MM = 1.0
MOST_GRID_POINTS = 60_000
FEWEST_POINTS = 3


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


def _resampled(drawn: dict[float, list[Array]], positions: Array) -> list[Array]:
    import contourpy

    planes = np.array(list(drawn))
    columns, rows = _grid([contour for contours in drawn.values() for contour in contours])
    distances = {z: _signed_distance(contours, columns, rows) for z, contours in drawn.items()}
    margins = np.diff(planes)[[0, -1]] / 2.0 if len(planes) > 1 else np.full(2, GRID_MM / 2.0)
    found: list[Array] = []
    for z in positions[(positions > planes[0] - margins[0]) & (positions < planes[-1] + margins[1])]:
        upper = int(np.clip(np.searchsorted(planes, z), 1, max(len(planes) - 1, 1)))
        below, above = float(planes[upper - 1]), float(planes[min(upper, len(planes) - 1)])
        share = 0.0 if above == below else float(np.clip((z - below) / (above - below), 0.0, 1.0))
        mixed = distances[below] * (1.0 - share) + distances[above] * share
        generator = contourpy.contour_generator(columns, rows, mixed, line_type=contourpy.LineType.Separate)
        for line in generator.lines(0.0):
            points = np.asarray(line)[:-1]
            if len(points) >= FEWEST_POINTS:
                found.append(np.column_stack([points, np.full(len(points), z)]))
    return found


def _grid(contours: Sequence[Array]) -> tuple[Array, Array]:
    """Coordinates of columns and rows that enclose all contours, with a margin so that every outline is closed."""
    flat = np.concatenate([contour[:, :2] for contour in contours])
    low, high = flat.min(axis=0) - 2.0 * GRID_MM, flat.max(axis=0) + 2.0 * GRID_MM
    step = max(GRID_MM, float(np.sqrt(np.prod(high - low) / MOST_GRID_POINTS)))
    sizes = [max(int(np.ceil((end - start) / step)) + 1, 4) for start, end in zip(low, high, strict=True)]
    return np.linspace(low[0], high[0], sizes[0]), np.linspace(low[1], high[1], sizes[1])


def _signed_distance(contours: Sequence[Array], columns: Array, rows: Array) -> Array:
    """Distance to the outlines in one plane, positive inside; a contour in another one is a hole. (rows, columns)."""
    grid = np.stack(np.meshgrid(columns, rows), axis=-1).reshape(-1, 2)
    inside = np.zeros(len(grid), dtype=bool)
    squared = np.full(len(grid), np.inf)
    for contour in contours:
        outline = contour[:, :2]
        for start, end in zip(outline, np.roll(outline, -1, axis=0), strict=True):
            along = end - start
            crossed = (start[1] > grid[:, 1]) != (end[1] > grid[:, 1])
            if along[1]:
                inside ^= crossed & (grid[:, 0] < start[0] + (grid[:, 1] - start[1]) * along[0] / along[1])
            length = float(along @ along)
            share = np.clip((grid - start) @ along / length, 0.0, 1.0) if length else np.zeros(len(grid))
            off = grid - start - share[:, np.newaxis] * along
            np.minimum(squared, np.einsum("ij,ij->i", off, off), out=squared)
    distance: Array = np.where(inside, 1.0, -1.0) * np.sqrt(squared)
    return distance.reshape(len(rows), len(columns))
