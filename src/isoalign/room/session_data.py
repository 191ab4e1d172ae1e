"""What a positioning session holds of its patient: the plan with its CT as loaded, and CTs of the in-room scanner."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from isoalign.dicom.objects import IsocentreKind, ReadRtImage, VerificationFrame, isocentre_structure
from isoalign.geometry import Array, DicomPatient, Fixed, Pose, TableTopPosition, planned_fixed_from_dicom
from isoalign.records import Beam, InRoomScan, Plan, ReferenceImage, Structure, StructureSet, Study, Volume
from isoalign.room.clearance import PatientSurface

if TYPE_CHECKING:
    from isoalign.registration import PreparedVolume


@dataclass(frozen=True, slots=True)
class PatientLoad:
    """A patient as loaded over DICOM, with the CT prepared for matching; and how long each took.

    ``surface`` is None where the room checks no clearance; ``reference_images`` are those that the plan names.
    """

    plan: Plan
    structure_set: StructureSet
    volume: Volume
    warnings: tuple[str, ...]
    prepared: PreparedVolume
    dicom_s: float
    prepare_s: float
    surface: PatientSurface | None = None
    reference_images: tuple[ReadRtImage, ...] = ()

    def references(self, beam: Beam) -> tuple[ReferenceImage, ...]:
        """The reference images as a record keeps them, those of ``beam`` first; one for each beam that names it."""
        loaded = {one.sop_instance_uid: one for one in self.reference_images}
        return tuple(
            ReferenceImage(
                image.label,
                one.name,
                image.geometry,
                (image.pixels * image.rescale_slope + image.rescale_intercept).astype(np.float32),
            )
            for one in sorted(self.plan.beams, key=lambda other: other.number != beam.number)
            for uid in one.reference_image_uids
            if (image := loaded.get(uid)) is not None
        )


@dataclass(frozen=True, slots=True)
class AcquiredScan:
    """A CT of the in-room scanner.

    Attributes
    ----------
    files : tuple of Path
        As received, one for each image, in their order along the patient.
    study : Study
        That the scanner put the images in.
    frame : VerificationFrame
        Where the frame of reference of the images lay in the room, and lies since then on the table top.
    setup, table_top : TableTopPosition
        Where the table top was before anything was imaged, and during the scan.
    day_from_planning : Pose or None
        From the frame of the planning CT to that of the scan, when the match was accepted.
    """

    record: InRoomScan
    volume: Volume
    files: tuple[Path, ...]
    study: Study
    frame: VerificationFrame
    setup: TableTopPosition
    table_top: TableTopPosition
    day_from_planning: Pose[DicomPatient, DicomPatient] | None = None

    @property
    def initial_laser_mm(self) -> Array:
        """The machine isocentre in the frame of the scan, with the table top at the set-up position."""
        return self.frame.isocentre_mm(self.setup)

    @property
    def initial_laser_pose(self) -> Pose[Fixed, DicomPatient]:
        """Where the scan lies with that point at the isocentre and the table top not turned."""
        return planned_fixed_from_dicom(self.volume.patient_position, self.initial_laser_mm)

    @property
    def isocentres(self) -> tuple[Structure, ...]:
        """INITLASERISO and ACQ_ISOCENTER; an in-room CT has no INITMATCHISO."""
        return tuple(
            isocentre_structure(kind, number, self.frame.isocentre_mm(at), at)
            for number, (kind, at) in enumerate(
                ((IsocentreKind.INITIAL_LASER, self.setup), (IsocentreKind.ACQUISITION, self.table_top)), 1
            )
        )
