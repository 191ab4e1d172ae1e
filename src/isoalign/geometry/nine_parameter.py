"""Nine parameters of a flat-panel projection, as the cone-beam toolkit RTK keeps them, and the terms of RT Image.

In axes turned with the receptor, R = Ry(gantry) Rx(out of plane) Rz(in plane), the source stands at (source offset X,
source offset Y, sid) and the receptor's origin at (projection offset X, projection offset Y, sid - sdd). RTK's fixed
frame is that of IEC 61217. Its "sid" is the distance from source to isocentre, which DICOM calls SAD, and its "sdd" is
what DICOM calls SID; both are taken along the receptor's normal.

Against an RT Image: gantry angle, gantry pitch and receptor angle are gantry, out-of-plane and in-plane angle; the
projection offset is the receptor translation **in rotated axes**, Rz(-receptor angle) (Tx, Ty). The two agree in X and
Y only while the receptor angle is zero.

Source: RTK, "3D Projection Geometry" of its documentation; DICOM PS3.3 C.8.8.2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from transforms3d.euler import mat2euler

from isoalign.geometry.errors import InvalidGeometry
from isoalign.geometry.frames import Fixed, XrayImageReceptor
from isoalign.geometry.imager_axis import ImagerAxis
from isoalign.geometry.imaging_errors import (
    AnglesUndetermined,
    InconsistentProjection,
    MissingProjectionAngle,
    NoMachineAxis,
    SuspectedRadians,
)
from isoalign.geometry.pixel_grid import PixelGrid
from isoalign.geometry.pose import Array, Pose
from isoalign.geometry.projection import ProjectionGeometry
from isoalign.geometry.rotations import gantry_rotation, nearest_equivalent_deg, rotation_z

UNKNOWN_ANGLE_DEG = 6000.0
"""Stands for an unknown gantry angle in projection files of a proton gantry; RTK's reader leaves those out."""

ON_AXIS_TOLERANCE_MM = 1e-6
POLE_SINE = 1e-9


@dataclass(frozen=True, slots=True)
class NineParameters:
    """One projection in RTK's terms; the order of the fields is that of its ``AddProjection``.

    Attributes
    ----------
    source_to_isocenter_distance_mm, source_to_detector_distance_mm : float
        "sid" and "sdd", along the receptor's normal. The detector may lie before the isocentre.
    gantry_angle_deg : float
    projection_offset_x_mm, projection_offset_y_mm : float
        Origin of the receptor in axes turned with it.
    out_of_plane_angle_deg, in_plane_angle_deg : float
    source_offset_x_mm, source_offset_y_mm : float
        Source in axes turned with the receptor.

    Raises
    ------
    MissingProjectionAngle
        When the gantry angle is exactly 6000, the placeholder for an unknown one: as a number it would pass for 240.
    InvalidGeometry
        When a value is not finite or a distance not positive. Parallel beams (sdd = 0 in RTK) have no point source.
    """

    source_to_isocenter_distance_mm: float
    source_to_detector_distance_mm: float
    gantry_angle_deg: float
    projection_offset_x_mm: float = 0.0
    projection_offset_y_mm: float = 0.0
    out_of_plane_angle_deg: float = 0.0
    in_plane_angle_deg: float = 0.0
    source_offset_x_mm: float = 0.0
    source_offset_y_mm: float = 0.0

    def __post_init__(self) -> None:
        if not all(math.isfinite(value) for value in self.values):
            raise InvalidGeometry(f"the parameters of a projection are finite numbers, not {self.values}")
        if self.source_to_isocenter_distance_mm <= 0 or self.source_to_detector_distance_mm <= 0:
            raise InvalidGeometry(
                f"sid {self.source_to_isocenter_distance_mm:g} mm and sdd {self.source_to_detector_distance_mm:g} mm "
                "must be positive"
            )
        if self.gantry_angle_deg == UNKNOWN_ANGLE_DEG:
            raise MissingProjectionAngle("gantry angle 6000 stands for an angle that was not recorded")

    @property
    def values(self) -> tuple[float, float, float, float, float, float, float, float, float]:
        """The nine numbers in the order of RTK's ``AddProjection``, mm and degrees."""
        return (
            self.source_to_isocenter_distance_mm,
            self.source_to_detector_distance_mm,
            self.gantry_angle_deg,
            self.projection_offset_x_mm,
            self.projection_offset_y_mm,
            self.out_of_plane_angle_deg,
            self.in_plane_angle_deg,
            self.source_offset_x_mm,
            self.source_offset_y_mm,
        )

    @classmethod
    def from_axis(cls, axis: ImagerAxis) -> NineParameters:
        """The parameters of a machine axis in RT Image terms; always possible."""
        x, y = axis.receptor_translation_mm
        offset = rotation_z(axis.receptor_angle_deg).T @ (x, y, 0.0)
        return cls(
            axis.sad_mm,
            axis.sid_mm,
            axis.gantry_angle_deg,
            float(offset[0]),
            float(offset[1]),
            axis.gantry_pitch_deg,
            axis.receptor_angle_deg,
        )

    @classmethod
    def from_geometry(
        cls, geometry: ProjectionGeometry, *, held_gantry_angle_deg: float | None = None
    ) -> NineParameters:
        """The parameters of any source and receptor; the pixel grid has no part in them.

        Parameters
        ----------
        geometry : ProjectionGeometry
            Its gantry angle, where it has a machine axis, chooses among angles equal modulo 360.
        held_gantry_angle_deg : float, optional
            Used where the out-of-plane angle is +-90 degrees, so that gantry and in-plane angle cannot be told apart.

        Raises
        ------
        AnglesUndetermined
            At +-90 degrees out of plane when no angle is held.
        InvalidGeometry
            When the isocentre lies behind the source.
        """
        rotation = geometry.fixed_from_receptor.rotation
        gantry, out_of_plane, in_plane = _angles(rotation, held_gantry_angle_deg)
        if geometry.axis is not None:
            gantry = nearest_equivalent_deg(gantry, geometry.axis.gantry_angle_deg)
        source = rotation.T @ geometry.source_mm
        receptor = rotation.T @ geometry.fixed_from_receptor.translation_mm
        return cls(
            float(source[2]),
            float(source[2] - receptor[2]),
            gantry,
            float(receptor[0]),
            float(receptor[1]),
            out_of_plane,
            in_plane,
            float(source[0]),
            float(source[1]),
        )

    def rotation(self) -> Array:
        """Ry(gantry) Rx(out of plane) Rz(in plane): receptor axes in the fixed frame, shape (3, 3)."""
        outer = gantry_rotation(self.gantry_angle_deg, self.out_of_plane_angle_deg)
        return np.asarray(outer @ rotation_z(self.in_plane_angle_deg))

    def to_geometry(self, grid: PixelGrid) -> ProjectionGeometry:
        """Source and receptor in the room, with the machine axis where there is one."""
        rotation = self.rotation()
        depth = self.source_to_isocenter_distance_mm - self.source_to_detector_distance_mm
        origin = rotation @ (self.projection_offset_x_mm, self.projection_offset_y_mm, depth)
        source = rotation @ (self.source_offset_x_mm, self.source_offset_y_mm, self.source_to_isocenter_distance_mm)
        axis = self.to_axis() if self.is_on_axis else None
        return ProjectionGeometry(source, Pose(Fixed, XrayImageReceptor, rotation, origin), grid, axis)

    @property
    def is_on_axis(self) -> bool:
        """Whether an RT Image can say this geometry: the source on the receptor's normal through the isocentre."""
        off_axis = max(abs(self.source_offset_x_mm), abs(self.source_offset_y_mm))
        behind = self.source_to_detector_distance_mm >= self.source_to_isocenter_distance_mm
        return off_axis <= ON_AXIS_TOLERANCE_MM and behind

    def to_axis(self) -> ImagerAxis:
        """The machine axis in RT Image terms.

        Raises
        ------
        NoMachineAxis
            When the source is off the axis (by more than 1e-6 mm) or the detector lies before the isocentre.
        """
        if not self.is_on_axis:
            raise NoMachineAxis(
                f"a source {self.source_offset_x_mm:g}, {self.source_offset_y_mm:g} mm off the axis, "
                f"{self.source_to_detector_distance_mm:g} mm from its detector, has no place in an RT Image"
            )
        turned = (self.projection_offset_x_mm, self.projection_offset_y_mm, 0.0)
        x, y, _ = rotation_z(self.in_plane_angle_deg) @ turned
        return ImagerAxis(
            self.gantry_angle_deg,
            self.source_to_isocenter_distance_mm,
            self.source_to_detector_distance_mm,
            (float(x), float(y)),
            self.in_plane_angle_deg,
            self.out_of_plane_angle_deg,
        )

    def wrapped(self) -> NineParameters:
        """The same projection with all three angles in [0, 360), as RTK stores them; for exchange, not for use."""
        return replace(
            self,
            gantry_angle_deg=self.gantry_angle_deg % 360.0,
            out_of_plane_angle_deg=self.out_of_plane_angle_deg % 360.0,
            in_plane_angle_deg=self.in_plane_angle_deg % 360.0,
        )

    def matrix(self) -> Array:
        """RTK's (3, 4) matrix, in its scale: homogeneous fixed coordinates (mm) to homogeneous (Xr, Yr, 1) in mm.

        The third element of a projected point is the negative of its distance before the source, so it is negative for
        what can be seen. Yr runs up the image; rows of pixels run down (see
        :meth:`~isoalign.geometry.projection.ProjectionGeometry.projection_matrix` for pixels).
        """
        sid, sdd = self.source_to_isocenter_distance_mm, self.source_to_detector_distance_mm
        sx, sy = self.source_offset_x_mm, self.source_offset_y_mm
        shift_x, shift_y = sx - self.projection_offset_x_mm, sy - self.projection_offset_y_mm
        turned = self.rotation().T
        centred = np.c_[turned, (-sx, -sy, -sid)]
        to_plane = np.array([[-sdd, 0.0, shift_x], [0.0, -sdd, shift_y], [0.0, 0.0, 1.0]])
        return np.asarray(to_plane @ centred)

    def require_matrix(self, matrix: npt.ArrayLike, *, tolerance: float = 1e-3) -> None:
        """Make sure that a matrix stored beside the parameters says the same.

        Parameters
        ----------
        matrix : array_like, shape (3, 4)
        tolerance : float
            Largest accepted difference of an element; 1e-3 is what RTK's own reader accepts.

        Raises
        ------
        InconsistentProjection
        """
        stored = np.asarray(matrix, dtype=np.float64)
        if stored.shape != (3, 4):
            raise InvalidGeometry(f"a projection matrix is (3, 4), not {stored.shape}")
        difference = float(np.abs(stored - self.matrix()).max())
        if not difference <= tolerance:
            raise InconsistentProjection(
                f"the stored matrix differs from its parameters by {difference:.3g}", difference=difference
            )


def require_degrees(gantry_angles_deg: npt.ArrayLike) -> None:
    """Refuse the gantry angles of a scan that look like radians.

    One angle tells nothing: 1.57 is as good a gantry angle as 90. A scan of ten or more projections that stays within
    +-2 pi and yet turns by more than a quarter of pi spans at most 12.6 degrees as degrees, and most of a turn as
    radians.

    Parameters
    ----------
    gantry_angles_deg : array_like, shape (n,)

    Raises
    ------
    SuspectedRadians
    """
    angles = np.asarray(gantry_angles_deg, dtype=np.float64)
    if angles.size < 10 or np.any(np.abs(angles) > 2 * math.pi):
        return
    if float(np.ptp(angles)) > math.pi / 4:
        raise SuspectedRadians(
            f"{angles.size} gantry angles between {angles.min():.4g} and {angles.max():.4g} look like radians"
        )


def _angles(rotation: Array, held_gantry_angle_deg: float | None) -> tuple[float, float, float]:
    """Gantry, out-of-plane and in-plane angle of Ry Rx Rz, degrees; out of plane within +-90."""
    if math.hypot(rotation[1, 0], rotation[1, 1]) > POLE_SINE:
        gantry, out_of_plane, in_plane = (math.degrees(angle) for angle in mat2euler(rotation, axes="ryxz"))
        return gantry, out_of_plane, in_plane
    out_of_plane = math.copysign(90.0, -rotation[1, 2])
    if held_gantry_angle_deg is None:
        raise AnglesUndetermined(
            f"out-of-plane angle {out_of_plane:+.0f} deg: gantry and in-plane angle turn about the same axis",
            out_of_plane_angle_deg=out_of_plane,
        )
    rest = gantry_rotation(held_gantry_angle_deg, out_of_plane).T @ rotation
    return held_gantry_angle_deg, out_of_plane, math.degrees(math.atan2(rest[1, 0], rest[0, 0]))
