"""The frame of reference of verification images.

An acquisition system creates the frame of reference of the images it takes. Ours is fixed to the table top, as a
patient-based frame is: its axes are the DICOM patient axes of a patient who lies on the table top as the patient
position says, and its origin is the point of the table top that was at the machine isocentre when the frame was made
(the first kV image of a session). So at any later couch position

    fixed_from_verification = fixed_from_table(now) @ table_from_verification

and the machine isocentre, expressed in this frame, is Isocenter Position (300A,012C) of an RT Image. The patient who
does not move on the table keeps one place in this frame, while the couch goes anywhere: registrations of all image
pairs of one session are directly comparable.

The images of an in-room CT come in a frame of the scanner's making, whose axes are those of the room: the scanner does
not know how the table is turned. From the moment they were taken that frame, too, stays with the table top.

Source: DICOM PS3.3 C.8.8.2 (Isocenter Position, Patient Position); conformance statement section B.2.11, which puts
the origin at the isocentre of the first image. A vendor's cone-beam CT with the couch turned by 359.7 degrees shows
the same convention: its patient axes turn with the table top.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from isoalign.dicom.identity import new_uid
from isoalign.geometry import (
    Array,
    DicomPatient,
    Fixed,
    PatientPosition,
    Pose,
    TableTop,
    TableTopPosition,
    fixed_from_table,
    fixed_rotation_from_dicom,
)


@dataclass(frozen=True, slots=True)
class VerificationFrame:
    """A patient-based frame fixed to the table top.

    Attributes
    ----------
    patient_position : PatientPosition
    origin : TableTopPosition
        Where the table top was when the frame was made.
    frame_of_reference_uid : str
    axes_turn_with_table : bool
        Whether the axes of the frame were turned with the table top at that moment, or were those of the room.
    origin_in_room_mm : (float, float, float)
        Where the frame's origin was at that moment, in the fixed frame: the machine isocentre for our own images.
    """

    patient_position: PatientPosition
    origin: TableTopPosition
    frame_of_reference_uid: str = field(default_factory=new_uid)
    axes_turn_with_table: bool = True
    origin_in_room_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def table_from_verification(self) -> Pose[TableTop, DicomPatient]:
        """Where the frame lies on the table top; constant."""
        fixed_from_table_then = fixed_from_table(self.origin)
        rotation = fixed_rotation_from_dicom(self.patient_position)
        if self.axes_turn_with_table:
            rotation = fixed_from_table_then.rotation @ rotation
        return fixed_from_table_then.inverse() @ Pose(Fixed, DicomPatient, rotation, self.origin_in_room_mm)

    def fixed_from_verification(self, table_top: TableTopPosition) -> Pose[Fixed, DicomPatient]:
        """Where the frame lies in the room with the table top at ``table_top``."""
        return fixed_from_table(table_top) @ self.table_from_verification()

    def isocentre_mm(self, table_top: TableTopPosition) -> Array:
        """The machine isocentre in this frame, shape (3,), mm."""
        return self.fixed_from_verification(table_top).inverse().apply(np.zeros(3))

    def verification_from_planning(
        self, found: Pose[Fixed, DicomPatient], table_top: TableTopPosition
    ) -> Pose[DicomPatient, DicomPatient]:
        """The map from the planning frame to this frame, for a patient found at ``found`` with the table top there."""
        return self.fixed_from_verification(table_top).inverse() @ found

    def found_from_registration(
        self, verification_from_planning: Pose[DicomPatient, DicomPatient], table_top: TableTopPosition
    ) -> Pose[Fixed, DicomPatient]:
        """Inverse of :meth:`verification_from_planning`: where a registration puts the patient in the room."""
        return self.fixed_from_verification(table_top) @ verification_from_planning
