"""A whole case as DICOM: CT, RT Structure Set and RT Ion Plan that refer to each other, from records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from isoalign.dicom.identity import RT_ION_PLAN, new_uid
from isoalign.dicom.objects.common import Series, date_time
from isoalign.dicom.objects.ct_writer import build_ct_images
from isoalign.dicom.objects.ion_plan import build_ion_plan
from isoalign.dicom.objects.structure_set_writer import build_structure_set
from isoalign.geometry import Representation, TableTopPosition
from isoalign.records import Beam, Patient, Plan, Structure, Study, Volume


@dataclass(frozen=True, slots=True)
class CaseDatasets:
    """The objects of one case. ``volume`` is the given one with its UIDs filled in."""

    plan: Dataset = field(repr=False)
    structure_set: Dataset = field(repr=False)
    ct: tuple[Dataset, ...] = field(repr=False)
    volume: Volume

    @property
    def all(self) -> tuple[Dataset, ...]:
        """Plan, structure set, slices."""
        return (self.plan, self.structure_set, *self.ct)


def build_case(
    volume: Volume,
    structures: Sequence[Structure],
    isocentre_mm: npt.ArrayLike,
    *,
    patient: Patient,
    created_at: datetime,
    label: str = "PHANTOM",
    machine_name: str = "SIMULATOR",
    gantry_angle_deg: float = 0.0,
    table_top: TableTopPosition | None = None,
    patient_support_angle_deg: float = 0.0,
) -> CaseDatasets:
    """CT, structure set and a plan of one beam.

    Parameters
    ----------
    volume : Volume
        UIDs that are empty are made up.
    isocentre_mm : array_like, shape (3,)
        In the DICOM patient frame of ``volume``.
    table_top : TableTopPosition, optional
        Set-up position of the beam; without it the plan leaves the table-top translations empty.
    patient_support_angle_deg : float
        Of the beam, where no ``table_top`` states it.
    """
    volume = replace(
        volume,
        frame_of_reference_uid=volume.frame_of_reference_uid or new_uid(),
        series_instance_uid=volume.series_instance_uid or new_uid(),
        sop_instance_uids=volume.sop_instance_uids or tuple(new_uid() for _ in volume.hounsfield),
    )
    study_date, study_time = date_time(created_at)
    study = Study(new_uid(), study_id="1", study_date=study_date, study_time=study_time)
    ct = build_ct_images(
        volume,
        patient=patient,
        study=study,
        series=Series(1, volume.series_instance_uid),
        created_at=created_at,
    )
    structure_set = build_structure_set(
        structures, volume, patient=patient, study=study, series=Series(2), created_at=created_at, label=label
    )
    iec = None if table_top is None else table_top.in_representation(Representation.IEC_61217)
    plan = Plan(
        sop_instance_uid=new_uid(),
        sop_class_uid=RT_ION_PLAN,
        label=label,
        patient=patient,
        study=study,
        frame_of_reference_uid=volume.frame_of_reference_uid,
        patient_position=volume.patient_position,
        structure_set_uid=str(structure_set.SOPInstanceUID),
        beams=(
            Beam(
                number=1,
                name="Field 1",
                isocentre_mm=np.asarray(isocentre_mm, dtype=np.float64),
                gantry_angle_deg=gantry_angle_deg,
                patient_support_angle_deg=patient_support_angle_deg if iec is None else iec.patient_support_angle_deg,
                table_top_pitch_deg=0.0 if iec is None else iec.pitch_deg,
                table_top_roll_deg=0.0 if iec is None else iec.roll_deg,
                table_top_lateral_mm=None if iec is None else iec.lateral_mm,
                table_top_longitudinal_mm=None if iec is None else iec.longitudinal_mm,
                table_top_vertical_mm=None if iec is None else iec.vertical_mm,
                machine_name=machine_name,
            ),
        ),
    )
    return CaseDatasets(build_ion_plan(plan, series=Series(3), created_at=created_at), structure_set, tuple(ct), volume)
