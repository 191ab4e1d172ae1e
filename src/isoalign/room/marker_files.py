"""kV images and planned markers from DICOM files, for the marker match."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from isoalign.dicom.objects.files import read_file
from isoalign.dicom.objects.rt_image_reader import read_rt_image
from isoalign.dicom.objects.structure_set import read_structure_set
from isoalign.geometry import (
    DicomPatient,
    Fixed,
    Pose,
    Representation,
    TableAngles,
    TableTopPosition,
    planned_fixed_from_dicom_at,
)
from isoalign.records import Acquisition, Radiograph, Technique
from isoalign.registration import PlannedMarkers, planned_markers
from isoalign.room.cases import load_plan_file
from isoalign.room.errors import UnusableRadiographFile

OPEN_FIELD = 60_000.0
UNKNOWN_TECHNIQUE = Technique(0.0, 0.0, 0.0)
UNKNOWN_TABLE_TOP = TableTopPosition(Representation.IEC_61217, 0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class MarkerPlan:
    """Planned markers, and where the plan wants the patient."""

    markers: PlannedMarkers
    planned: Pose[Fixed, DicomPatient]


def read_radiograph(path: Path) -> Radiograph:
    """The kV image in an RT Image file, as intensities.

    Raises
    ------
    UnusableRadiographFile
        When the file does not say what its values mean.
    InputDataError

    Notes
    -----
    Linear values that rise with intensity are taken as they are; logarithmic ones that rise with attenuation are line
    integrals. Source: DICOM PS3.3 C.8.8.2, Pixel Intensity Relationship (0028,1040) and its Sign (0028,1041).
    """
    dataset = read_file(path)
    image = read_rt_image(dataset)
    relationship = str(dataset.get("PixelIntensityRelationship", "") or "LIN")
    sign = int(dataset.get("PixelIntensityRelationshipSign", None) or 1)
    values = image.pixels.astype(np.float64)
    if (relationship, sign) == ("LOG", -1):
        values = OPEN_FIELD * np.exp(-(values * image.rescale_slope + image.rescale_intercept))
    elif (relationship, sign) != ("LIN", 1):
        raise UnusableRadiographFile(
            f"{path.name}: values of relationship {relationship!r} and sign {sign} are not known as intensities",
            relationship=relationship,
            sign=sign,
        )
    return Radiograph(
        np.clip(np.rint(values), 0, 65535).astype(np.uint16),
        image.geometry,
        Acquisition(
            image.label or path.stem,
            0,
            image.technique or UNKNOWN_TECHNIQUE,
            datetime.now(UTC),
            image.table_top or UNKNOWN_TABLE_TOP,
        ),
    )


def read_marker_plan(plan_file: Path, structure_file: Path, beam_number: int | None = None) -> MarkerPlan:
    """The markers of a structure set, and the planned position of a beam.

    Raises
    ------
    InputDataError, NoPlannedMarkers, WrongFrameOfReference
    """
    plan = load_plan_file(plan_file)
    beam = plan.beam(beam_number)
    structures = read_structure_set(read_file(structure_file)).structure_set
    angles = TableAngles(beam.patient_support_angle_deg, beam.table_top_pitch_deg, beam.table_top_roll_deg)
    return MarkerPlan(
        planned_markers(structures, frame_of_reference_uid=plan.frame_of_reference_uid),
        planned_fixed_from_dicom_at(plan.patient_position, beam.isocentre_mm, angles),
    )
