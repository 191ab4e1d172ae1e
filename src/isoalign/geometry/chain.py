"""The edges of the IEC 61217 tree: one function for the pose of each frame in its parent.

::

    fixed -> gantry -> beam limiting device -> wedge
                    -> X-ray image receptor
          -> patient support -> table top eccentric -> table top -> patient
          -> robot base

Angles are right-handed and continuous, lengths in mm. The text of IEC 61217 is not public: the clauses are cited by way
of DICOM PS3.3 C.8.8.25.6, C.8.8.14.12 and of public implementations that agree with each other. Three edges live with
what they describe: ``fixed_from_support`` and ``support_from_table`` with the table top, ``planned_fixed_from_dicom``
with the patient positions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from isoalign.geometry.errors import InvalidGeometry
from isoalign.geometry.frames import (
    BeamLimitingDevice,
    DicomPatient,
    Fixed,
    Gantry,
    IecPatient,
    PatientSupport,
    RobotBase,
    TableTop,
    TableTopEccentric,
    Wedge,
    XrayImageReceptor,
)
from isoalign.geometry.pose import Pose
from isoalign.geometry.rotations import gantry_rotation, rotation_x, rotation_y, rotation_z
from isoalign.geometry.table_top import Representation, TableTopPosition, table_in


def fixed_from_gantry(gantry_angle_deg: float, gantry_pitch_deg: float = 0.0) -> Pose[Fixed, Gantry]:
    """Ry(gantry angle) Rx(gantry pitch); the source lies at (0, 0, SAD).

    The gantry angle is clockwise seen from the isocentre towards the gantry; for the pitch see
    :func:`~isoalign.geometry.rotations.gantry_rotation`. Source: IEC 61217 clauses 2.3 and 3.4.
    """
    return Pose(Fixed, Gantry, gantry_rotation(gantry_angle_deg, gantry_pitch_deg))


def gantry_from_beam_limiting_device(
    beam_limiting_device_angle_deg: float, distance_mm: float = 0.0
) -> Pose[Gantry, BeamLimitingDevice]:
    """Tz(distance) Rz(angle): counter-clockwise seen from the source. Source: IEC 61217 clause 3.5."""
    return Pose(Gantry, BeamLimitingDevice, rotation_z(beam_limiting_device_angle_deg), (0.0, 0.0, distance_mm))


def beam_limiting_device_from_wedge(
    wedge_angle_deg: float, distance_mm: float = 0.0
) -> Pose[BeamLimitingDevice, Wedge]:
    """Tz(distance) Rz(angle): counter-clockwise seen from the source. Source: IEC 61217 clause 3.6."""
    return Pose(BeamLimitingDevice, Wedge, rotation_z(wedge_angle_deg), (0.0, 0.0, distance_mm))


def gantry_from_receptor(
    translation_mm: npt.ArrayLike, receptor_angle_deg: float = 0.0
) -> Pose[Gantry, XrayImageReceptor]:
    """T(x, y, z) Rz(angle), z = SAD - SID: negative beyond the isocentre.

    Counter-clockwise seen from the source. Source: IEC 61217 clause 2.6; DICOM PS3.3 C.8.8.2 note 2.
    """
    return Pose(Gantry, XrayImageReceptor, rotation_z(receptor_angle_deg), translation_mm)


@dataclass(frozen=True, slots=True)
class TableTopEccentricity:
    """Setting of a table top eccentric stage.

    Attributes
    ----------
    axis_distance_mm : float
        From the axis of the patient support to the eccentric axis, along +Ys: Table Top Eccentric Axis Distance
        (300A,0124).
    angle_deg : float
        Counter-clockwise seen from above: Table Top Eccentric Angle (300A,0125).

    Source: IEC 61217 clause 3.9.
    """

    axis_distance_mm: float
    angle_deg: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.axis_distance_mm) and math.isfinite(self.angle_deg)):
            raise InvalidGeometry(
                f"an eccentric stage needs a finite distance and angle, not {self.axis_distance_mm} mm and "
                f"{self.angle_deg} deg"
            )
        if self.axis_distance_mm < 0:
            raise InvalidGeometry(f"the distance of an eccentric axis is never negative: {self.axis_distance_mm} mm")


def support_from_eccentric(eccentricity: TableTopEccentricity) -> Pose[PatientSupport, TableTopEccentric]:
    """Ty(distance) Rz(angle). Source: IEC 61217 clause 3.9."""
    return Pose(
        PatientSupport,
        TableTopEccentric,
        rotation_z(eccentricity.angle_deg),
        (0.0, eccentricity.axis_distance_mm, 0.0),
    )


def eccentric_from_table(position: TableTopPosition) -> Pose[TableTopEccentric, TableTop]:
    """T(lateral, longitudinal, vertical) Rx(pitch) Ry(roll), measured in the eccentric frame.

    Source: IEC 61217 clause 3.10; DICOM PS3.3 C.8.8.14.12.

    Raises
    ------
    RepresentationMismatch
        When the position is not in IEC 61217.
    """
    return table_in(TableTopEccentric, position)


def without_eccentric(position: TableTopPosition, eccentricity: TableTopEccentricity) -> TableTopPosition:
    """The position of a table without eccentric stage whose table top stands at the same place, IEC 61217.

    The way to convert or correct a position with an eccentric stage: the representations are defined without one, and a
    setting that is not zero must never be ignored. The patient support angle of the result is the sum of both angles.

    Raises
    ------
    RepresentationMismatch
        When the position is not in IEC 61217.
    """
    pose = support_from_eccentric(eccentricity) @ eccentric_from_table(position)
    lateral, longitudinal, vertical = rotation_z(eccentricity.angle_deg).T @ pose.translation_mm
    return TableTopPosition(
        Representation.IEC_61217,
        float(lateral),
        float(longitudinal),
        float(vertical),
        position.pitch_deg,
        position.roll_deg,
        position.patient_support_angle_deg + eccentricity.angle_deg,
    )


def with_eccentric(position: TableTopPosition, eccentricity: TableTopEccentricity) -> TableTopPosition:
    """Inverse of :func:`without_eccentric`: the setting of the other axes while the eccentric stage stands as given."""
    position.require(Representation.IEC_61217)
    shift = rotation_z(eccentricity.angle_deg).T @ np.array([0.0, eccentricity.axis_distance_mm, 0.0])
    lateral, longitudinal, vertical = position.translation_mm - shift
    return TableTopPosition(
        Representation.IEC_61217,
        float(lateral),
        float(longitudinal),
        float(vertical),
        position.pitch_deg,
        position.roll_deg,
        position.patient_support_angle_deg - eccentricity.angle_deg,
    )


def table_from_patient(
    translation_mm: npt.ArrayLike, pitch_deg: float = 0.0, roll_deg: float = 0.0, yaw_deg: float = 0.0
) -> Pose[TableTop, IecPatient]:
    """T(x, y, z) Rx(pitch) Ry(roll) Rz(yaw). Source: IEC 61217 clause 3.11."""
    rotation = rotation_x(pitch_deg) @ rotation_y(roll_deg) @ rotation_z(yaw_deg)
    return Pose(TableTop, IecPatient, rotation, translation_mm)


def patient_from_dicom(origin_mm: npt.ArrayLike = (0.0, 0.0, 0.0)) -> Pose[IecPatient, DicomPatient]:
    """From DICOM patient axes (left, posterior, superior) to IEC patient axes (left, superior, anterior).

    Parameters
    ----------
    origin_mm : array_like, shape (3,)
        Origin of the IEC patient frame in the DICOM patient frame, mm.

    Source: IEC 61217 clause 3.11; DICOM PS3.3 C.7.6.2.1.1.
    """
    rotation = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
    return Pose(IecPatient, DicomPatient, rotation, -rotation @ np.asarray(origin_mm, dtype=np.float64))


def fixed_from_robot_base(
    position_mm: npt.ArrayLike, pitch_deg: float = 0.0, roll_deg: float = 0.0, yaw_deg: float = 0.0
) -> Pose[Fixed, RobotBase]:
    """Where the base of a couch robot stands: T(position) Rz(yaw) Rx(pitch) Ry(roll), from surveying.

    IEC 61217 does not know robots; the order is that of the table top.
    """
    rotation = rotation_z(yaw_deg) @ rotation_x(pitch_deg) @ rotation_y(roll_deg)
    return Pose(Fixed, RobotBase, rotation, position_mm)
