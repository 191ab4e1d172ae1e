"""The isocenter reference system of enhanced X-ray angiography and X-Ray 3D objects.

Three frames: isocenter (fixed in the equipment), positioner (moves with the C-arm) and table. With every angle zero all
three are parallel: +X to the left of the table, +Y down, +Z to its head, like the axes of a supine patient.

PS3.17 gives the order of the rotations, P = (R2 R1)^T R3^T Pp and P = (R3 R2 R1)^T Pt + T; the elements follow from the
definitions of the angles in PS3.3.

Positioner. +Yp points from the isocenter to the source, so the detector is at -Yp.
  * R1^T turns about Z and must take -Y towards +X for a positive primary angle a: R1^T = Rz(a), since
    Rz(a) (0, -1, 0) = (sin a, -cos a, 0).
  * R2^T turns in the plane Yp Z and must take the detector, -Y, towards +Z (cranial) for a positive secondary angle b:
    R2^T = Rx(-b), since Rx(-b) (0, -1, 0) = (0, -cos b, sin b).
  * R3^T turns the detector about Yp, clockwise for a positive angle c when one looks towards the source with the
    columns upright: rows +X go towards -Z, R3^T = Ry(c).
Table.
  * R1^T turns about the vertical and takes +Zt from +Z towards +X: R1^T = Ry(At1).
  * R2^T lifts the head, +Zt towards -Y, for a positive head tilt: R2^T = Rx(At2).
  * R3^T lifts the left, +Xt towards -Y, for a positive cradle tilt: R3^T = Rz(-At3).

The sense of the detector's rotation is the one thing not taken from the wording itself: its figure was not at hand, and
public software with the matrices written out was followed.

The relation to IEC 61217 is a choice of the installation; here the table's head points to the gantry, so that
Xf = X, Yf = Z, Zf = -Y. Then a C-arm at (a, b) has its source at gantry angle 180 + a with pitch b, the detector
rotation is the receptor angle, and the table has patient support angle -At1, pitch At2 and roll -At3. Rows of an XA
image run along +Xp, which is **-Xr**: the image is seen from behind the detector, an RT Image from the source, and one
is the mirror image of the other.

The Positioner Primary/Secondary Angle of an XA image relate to the patient instead: :mod:`isoalign.geometry.c_arm`. The
plain Table Position macro (C.8.19.6.11) has an origin of the manufacturer's choosing; it has no pose.

Source: DICOM PS3.3 C.8.19.6.13.1; PS3.17 Z.2, Z.3, FFF.1.2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from transforms3d.euler import mat2euler

from isoalign.geometry.errors import InvalidGeometry
from isoalign.geometry.frames import Fixed, Frame, TableTop
from isoalign.geometry.imager_axis import ImagerAxis
from isoalign.geometry.imaging_errors import AnglesUndetermined, PointBehindSource
from isoalign.geometry.patient_position import PatientPosition, fixed_rotation_from_dicom
from isoalign.geometry.pose import Array, Pose
from isoalign.geometry.rotations import rotation_x, rotation_y, rotation_z

POLE_SINE = 1e-9


class XrayIsocenter(Frame):
    """Fixed in the X-ray equipment: origin at the isocenter, +X to the table's left, +Y down, +Z to its head."""

    symbol = "xi"


class XrayPositioner(Frame):
    """C-arm: +Y to the X-ray source; +X along rows and +Z up the columns, seen looking towards the source."""

    symbol = "xp"


class XrayTable(Frame):
    """X-ray table: origin at its reference point, +X to the table's left, +Y down, +Z to its head."""

    symbol = "xt"


_IEC_AXES = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
FIXED_FROM_XRAY_ISOCENTER = Pose(Fixed, XrayIsocenter, _IEC_AXES)
"""Both origins at the isocentre, the table's head towards the gantry."""
XRAY_TABLE_FROM_TABLE_TOP = Pose(XrayTable, TableTop, _IEC_AXES.T)
"""The IEC table top with its origin at the table reference point."""


@dataclass(frozen=True, slots=True)
class PositionerAngles:
    """Angles of a C-arm in the isocenter reference system, independent of the patient.

    Attributes
    ----------
    primary_deg, secondary_deg, detector_rotation_deg : float
        Positioner Isocenter Primary Angle (0018,9463), Secondary Angle (0018,9464) and Detector Rotation Angle
        (0018,9465).
    """

    primary_deg: float
    secondary_deg: float
    detector_rotation_deg: float = 0.0

    def isocenter_from_positioner(self) -> Pose[XrayIsocenter, XrayPositioner]:
        """(R2 R1)^T R3^T = Rz(primary) Rx(-secondary) Ry(detector rotation)."""
        rotation = (
            rotation_z(self.primary_deg) @ rotation_x(-self.secondary_deg) @ rotation_y(self.detector_rotation_deg)
        )
        return Pose(XrayIsocenter, XrayPositioner, rotation)

    @classmethod
    def of_pose(
        cls, pose: Pose[XrayIsocenter, XrayPositioner], *, held_primary_deg: float | None = None
    ) -> PositionerAngles:
        """The angles of a pose (inverse of :meth:`isocenter_from_positioner`), secondary within +-90.

        Raises
        ------
        AnglesUndetermined
            At secondary +-90 degrees when no primary angle is held.
        InvalidGeometry
            When the pose moves the isocenter.
        """
        if np.any(np.abs(pose.translation_mm) > 1e-6):
            raise InvalidGeometry("the positioner turns about the isocenter; its pose has no translation")
        rotation = pose.rotation
        if math.hypot(rotation[2, 0], rotation[2, 2]) > POLE_SINE:
            primary, tilt, turn = (math.degrees(angle) for angle in mat2euler(rotation, axes="rzxy"))
            return cls(primary, -tilt, turn)
        tilt = math.copysign(90.0, rotation[2, 1])
        held = _held(held_primary_deg, "primary and detector rotation", -tilt)
        rest = rotation_x(tilt).T @ rotation_z(held).T @ rotation
        return cls(held, -tilt, math.degrees(math.atan2(rest[0, 2], rest[0, 0])))

    def imager_axis(self, source_isocenter_mm: float, source_detector_mm: float) -> ImagerAxis:
        """The C-arm in the terms of RT Image, with the table's head towards the gantry.

        Parameters
        ----------
        source_isocenter_mm, source_detector_mm : float
            Distance Source to Isocenter (0018,9402) and Distance Source to Detector (0018,1110).
        """
        return ImagerAxis(
            180.0 + self.primary_deg,
            source_isocenter_mm,
            source_detector_mm,
            (0.0, 0.0),
            self.detector_rotation_deg,
            self.secondary_deg,
        )

    def project_mm(self, points_mm: npt.ArrayLike, source_isocenter_mm: float, source_detector_mm: float) -> Array:
        """Project points in the isocenter frame, (..., 3) mm, to (u, v) on the receptor plane, (..., 2) mm.

        u runs along +Xp and v along +Zp, from the projection of the isocenter.

        Raises
        ------
        PointBehindSource

        Notes
        -----
        Source: DICOM PS3.17 FFF.1.2.4.2.
        """
        points = self.isocenter_from_positioner().inverse().apply(points_mm)
        depth = source_isocenter_mm - points[..., 1]
        if np.any(depth <= 0):
            raise PointBehindSource("a point at or behind the X-ray source has no projection")
        return np.asarray(points[..., (0, 2)] * (source_detector_mm / depth)[..., None])


@dataclass(frozen=True, slots=True)
class XrayTablePosition:
    """Position of the table in the isocenter reference system.

    Attributes
    ----------
    x_mm, y_mm, z_mm : float
        Table X, Y and Z Position to Isocenter (0018,9466), (0018,9467), (0018,9468): the table reference point; Y
        points down.
    horizontal_rotation_deg, head_tilt_deg, cradle_tilt_deg : float
        (0018,9469), + from +Z to +X; (0018,9470), + head up; (0018,9471), + left up.
    """

    x_mm: float
    y_mm: float
    z_mm: float
    horizontal_rotation_deg: float = 0.0
    head_tilt_deg: float = 0.0
    cradle_tilt_deg: float = 0.0

    def isocenter_from_table(self) -> Pose[XrayIsocenter, XrayTable]:
        """(R3 R2 R1)^T and T: Ry(horizontal rotation) Rx(head tilt) Rz(-cradle tilt), moved to (X, Y, Z)."""
        rotation = (
            rotation_y(self.horizontal_rotation_deg)
            @ rotation_x(self.head_tilt_deg)
            @ rotation_z(-self.cradle_tilt_deg)
        )
        return Pose(XrayIsocenter, XrayTable, rotation, (self.x_mm, self.y_mm, self.z_mm))

    @classmethod
    def of_pose(
        cls, pose: Pose[XrayIsocenter, XrayTable], *, held_horizontal_rotation_deg: float | None = None
    ) -> XrayTablePosition:
        """The position of a pose (inverse of :meth:`isocenter_from_table`), head tilt within +-90.

        Raises
        ------
        AnglesUndetermined
            At head tilt +-90 degrees when no horizontal rotation is held.
        """
        rotation = pose.rotation
        x, y, z = (float(value) for value in pose.translation_mm)
        if math.hypot(rotation[1, 0], rotation[1, 1]) > POLE_SINE:
            turn, tilt, cradle = (math.degrees(angle) for angle in mat2euler(rotation, axes="ryxz"))
            return cls(x, y, z, turn, tilt, -cradle)
        tilt = math.copysign(90.0, -rotation[1, 2])
        held = _held(held_horizontal_rotation_deg, "horizontal rotation and cradle tilt", tilt)
        rest = rotation_x(tilt).T @ rotation_y(held).T @ rotation
        return cls(x, y, z, held, tilt, -math.degrees(math.atan2(rest[1, 0], rest[0, 0])))

    def fixed_from_table(self) -> Pose[Fixed, TableTop]:
        """The same table as an IEC 61217 table top, its head towards the gantry."""
        return FIXED_FROM_XRAY_ISOCENTER @ self.isocenter_from_table() @ XRAY_TABLE_FROM_TABLE_TOP

    @classmethod
    def of_fixed_from_table(
        cls, pose: Pose[Fixed, TableTop], *, held_horizontal_rotation_deg: float | None = None
    ) -> XrayTablePosition:
        """The X-ray table that stands as an IEC 61217 table top does (inverse of :meth:`fixed_from_table`).

        Raises
        ------
        AnglesUndetermined, FrameMismatch
        """
        isocenter_from_table = FIXED_FROM_XRAY_ISOCENTER.inverse() @ pose @ XRAY_TABLE_FROM_TABLE_TOP.inverse()
        return cls.of_pose(isocenter_from_table, held_horizontal_rotation_deg=held_horizontal_rotation_deg)


def table_rotation_from_dicom(position: PatientPosition) -> Array:
    """Rotation from DICOM patient axes to the axes of the X-ray table, shape (3, 3); columns are left, posterior, head.

    Source: DICOM PS3.17 FFF.1.2.2.2.
    """
    return np.asarray(_IEC_AXES.T @ fixed_rotation_from_dicom(position))


def _held(held_deg: float | None, names: str, middle_deg: float) -> float:
    if held_deg is None:
        raise AnglesUndetermined(f"at {middle_deg:+.0f} deg {names} turn about the same axis", middle_deg=middle_deg)
    return held_deg
