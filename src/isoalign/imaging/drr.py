"""Digitally reconstructed radiographs: line integrals of attenuation for any volume orientation, pose and imager."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from isoalign.geometry import Array, DicomPatient, Fixed, PixelGrid, Pose, ProjectionGeometry
from isoalign.imaging.attenuation import AttenuationGrid, AttenuationVolume
from isoalign.imaging.compiled import kernel_lock
from isoalign.imaging.errors import UnusableRegion
from isoalign.imaging.kernels import project, project_maximum, project_with_derivatives

Float32 = npt.NDArray[np.float32]

SLABS_UP_TO = 0.35
"""Tangent of the angle from step axis to central ray up to which slabs are projected, where the grid has them."""
MOTION_PARAMETERS = ("x_mm", "y_mm", "z_mm", "x_deg", "y_deg", "z_deg")
"""Small motions of the patient in the fixed frame: translation along, then rotation about, its axes."""


@dataclass(frozen=True, slots=True)
class _Rays:
    """Source and rays in the (u, v, k) coordinates of one layout of a grid."""

    step_axis: int
    together: int
    source: Array
    rays: Array
    rays_mm: Array
    source_motion: Array
    rays_motion: Array


def _turned(vector: Array) -> Array:
    """The cross products of the three unit vectors with a vector, as rows."""
    x, y, z = vector
    return np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])


def _rays(grid: AttenuationGrid, geometry: ProjectionGeometry, fixed_from_dicom: Pose[Fixed, DicomPatient]) -> _Rays:
    pixels = geometry.grid
    corners = geometry.fixed_from_receptor.apply(pixels.receptor_points_mm(np.array([[0, 0], [1, 0], [0, 1]])))
    source_mm = geometry.source_mm
    rays_mm = np.stack([corners[0] - source_mm, corners[1] - corners[0], corners[2] - corners[0]])
    to_index = grid.index_from_dicom[:3, :3] @ fixed_from_dicom.rotation.T
    source = to_index @ (source_mm - fixed_from_dicom.translation_mm) + grid.index_from_dicom[:3, 3]
    rays = rays_mm @ to_index.T
    middle = rays_mm[0] + (pixels.columns - 1) / 2 * rays_mm[1] + (pixels.rows - 1) / 2 * rays_mm[2]
    along_mm = np.abs(to_index @ middle) * grid.spacing_mm
    step_axis = int(np.argmax(along_mm))
    oblique = float(np.linalg.norm(np.delete(along_mm, step_axis))) > SLABS_UP_TO * float(along_mm[step_axis])
    together = 1 if oblique else grid.planes_per_slab[step_axis]
    # a patient moved by (t + r x p) sees source and pixels moved by the opposite
    turn = np.deg2rad(1.0)
    source_motion = np.concatenate([-np.eye(3), -turn * _turned(source_mm)]) @ to_index.T
    rays_motion = np.zeros((6, 3, 3))
    rays_motion[3:] = -turn * np.stack([_turned(ray) for ray in rays_mm], axis=1) @ to_index.T
    offset, factor = grid.slab_of(together)
    source[step_axis] = offset + factor * source[step_axis]
    for vectors in (rays, source_motion, rays_motion):
        vectors[..., step_axis] *= factor
    order = list(grid.layout_index(step_axis))
    return _Rays(
        step_axis,
        together,
        np.ascontiguousarray(source[order]),
        np.ascontiguousarray(rays[:, order]),
        rays_mm,
        np.ascontiguousarray(source_motion[:, order]),
        np.ascontiguousarray(rays_motion[:, :, order]),
    )


def project_grid(
    grid: AttenuationGrid, geometry: ProjectionGeometry, fixed_from_dicom: Pose[Fixed, DicomPatient]
) -> Float32:
    """Line integrals through one grid of an attenuation volume; see :func:`render_drr`."""
    seen = _rays(grid, geometry, fixed_from_dicom)
    out = np.empty((geometry.grid.rows, geometry.grid.columns), np.float32)
    layout = grid.layout(seen.step_axis, together=seen.together)
    extents = grid.extents(seen.step_axis, together=seen.together)
    with kernel_lock:
        project(layout, extents, seen.source, seen.rays, seen.rays_mm, out)
    return out


def project_grid_with_derivatives(
    grid: AttenuationGrid, geometry: ProjectionGeometry, fixed_from_dicom: Pose[Fixed, DicomPatient]
) -> tuple[Float32, Float32]:
    """Line integrals and their derivatives by small motions of the patient in the fixed frame.

    Returns
    -------
    integrals : ndarray, shape (rows, columns), float32
    derivatives : ndarray, shape (6, rows, columns), float32
        Per mm of translation along, and per degree of rotation about, the X, Y and Z axes of the fixed frame.
    """
    seen = _rays(grid, geometry, fixed_from_dicom)
    shape = (geometry.grid.rows, geometry.grid.columns)
    out = np.empty(shape, np.float32)
    derivatives = np.empty((6, *shape), np.float32)
    layout = grid.layout(seen.step_axis, together=seen.together)
    extents = grid.extents(seen.step_axis, together=seen.together)
    with kernel_lock:
        project_with_derivatives(
            layout,
            extents,
            seen.source,
            seen.rays,
            seen.rays_mm,
            seen.source_motion,
            seen.rays_motion,
            out,
            derivatives,
        )
    return out, derivatives


def render_drr(
    attenuation: AttenuationVolume, geometry: ProjectionGeometry, fixed_from_dicom: Pose[Fixed, DicomPatient]
) -> Float32:
    """The line integrals of attenuation that a radiograph would show, at the CT's own resolution.

    Parameters
    ----------
    attenuation : AttenuationVolume
    geometry : ProjectionGeometry
        Source, receptor and pixels in the fixed frame.
    fixed_from_dicom : Pose[Fixed, DicomPatient]
        Where the patient is in the room.

    Returns
    -------
    ndarray, shape (rows, columns), float32
        Integral of attenuation along the ray from the source to the pixel's centre (no unit).

    Notes
    -----
    Joseph's method: bilinear on the planes of the grid axis nearest to the central ray. Valid while no ray leaves
    that axis by more than about 60 degrees, which a central ray within 45 degrees and a cone of 15 degrees assure.
    """
    return project_grid(attenuation.fine, geometry, fixed_from_dicom)


def render_maximum(
    attenuation: AttenuationVolume, geometry: ProjectionGeometry, fixed_from_dicom: Pose[Fixed, DicomPatient]
) -> Float32:
    """The largest attenuation along the ray to each pixel (maximum intensity projection).

    Returns
    -------
    ndarray, shape (rows, columns), float32
        1/mm. Sampled once a voxel plane, as :func:`render_drr` does.
    """
    seen = _rays(attenuation.fine, geometry, fixed_from_dicom)
    out = np.empty((geometry.grid.rows, geometry.grid.columns), np.float32)
    layout = attenuation.fine.layout(seen.step_axis, together=seen.together)
    with kernel_lock:
        project_maximum(layout, seen.source, seen.rays, out)
    return out


def region_of_interest(
    geometry: ProjectionGeometry, first_row: int, first_column: int, rows: int, columns: int
) -> ProjectionGeometry:
    """The same imager with a rectangle of its pixels only.

    Raises
    ------
    UnusableRegion
        When the rectangle is empty or reaches beyond the image.
    """
    grid = geometry.grid
    fits = min(first_row, first_column) >= 0 and min(rows, columns) > 0
    if not fits or first_row + rows > grid.rows or first_column + columns > grid.columns:
        raise UnusableRegion(
            f"a region of {rows} x {columns} pixels at row {first_row}, column {first_column} is not within an image "
            f"of {grid.rows} x {grid.columns}"
        )
    x, y = grid.first_pixel_mm
    first = (x + first_column * grid.column_spacing_mm, y - first_row * grid.row_spacing_mm)
    return geometry.with_grid(PixelGrid(rows, columns, grid.row_spacing_mm, grid.column_spacing_mm, first))
