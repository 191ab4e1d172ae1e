"""RT Ion Plan: reading what positioning needs of it.

Source: DICOM PS3.3 C.8.8.25 (RT Ion Beams), C.8.8.12 (RT Patient Setup). Setup beams are ignored, as the conformance
statement's general preconditions say.
"""

from __future__ import annotations

from pydicom.dataset import Dataset

from isoalign.dicom.errors import PlanWithoutBeam, PlanWithoutIsocentre, SeveralPatientPositions
from isoalign.dicom.identity import RT_IMAGE, RT_ION_PLAN
from isoalign.dicom.objects.attributes import (
    has_value,
    items,
    label_of,
    number,
    require_sop_class,
    require_type_1,
    text,
    value_of,
    vector,
)
from isoalign.dicom.objects.common import read_patient, read_study
from isoalign.geometry import PatientPosition, nearest_equivalent_deg
from isoalign.records import Beam, Plan, RangeShifter, Snout, ToleranceTable

TYPE_1 = (
    "SOPInstanceUID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "RTPlanLabel",
    "RTPlanGeometry",
    "FractionGroupSequence",
    "IonBeamSequence",
    "PatientSetupSequence",
    "FrameOfReferenceUID",
)
TOLERANCES = {
    "gantry_angle_deg": "GantryAngleTolerance",
    "patient_support_angle_deg": "PatientSupportAngleTolerance",
    "table_top_pitch_deg": "TableTopPitchAngleTolerance",
    "table_top_roll_deg": "TableTopRollAngleTolerance",
    "table_top_vertical_mm": "TableTopVerticalPositionTolerance",
    "table_top_longitudinal_mm": "TableTopLongitudinalPositionTolerance",
    "table_top_lateral_mm": "TableTopLateralPositionTolerance",
    "snout_position_mm": "SnoutPositionTolerance",
}
"""Field of ToleranceTable: keyword in Ion Tolerance Table Sequence (300A,03A0)."""
BEAM_TYPE_1 = ("BeamNumber", "BeamName", "BeamType", "RadiationType", "IonControlPointSequence")


def read_plan(dataset: Dataset) -> Plan:
    """The plan of an RT Ion Plan dataset.

    Table-top translations that the plan leaves empty become None; angles are the equivalents nearest to zero. Only
    the first control point of a beam is read: later ones carry no geometry of their own where nothing changes.

    Raises
    ------
    WrongObject, MissingAttribute, InvalidAttribute, PlanWithoutBeam, PlanWithoutIsocentre, SeveralPatientPositions
    """
    require_sop_class(dataset, RT_ION_PLAN)
    where = label_of(dataset)
    require_type_1(dataset, TYPE_1, where)
    treatment = [beam for beam in items(dataset, "IonBeamSequence") if not _is_setup(beam)]
    if not treatment:
        raise PlanWithoutBeam(f"{where} has no treatment beam")
    beams = tuple(_read_beam(beam, where) for beam in treatment)
    referenced = items(dataset, "ReferencedStructureSetSequence")
    return Plan(
        sop_instance_uid=str(dataset.SOPInstanceUID),
        sop_class_uid=str(dataset.SOPClassUID),
        label=text(dataset, "RTPlanLabel"),
        patient=read_patient(dataset),
        study=read_study(dataset),
        frame_of_reference_uid=str(dataset.FrameOfReferenceUID),
        patient_position=_patient_position(dataset, treatment, where),
        structure_set_uid=text(referenced[0], "ReferencedSOPInstanceUID") if referenced else "",
        beams=beams,
        tolerance_tables=tuple(_tolerance_table(item, where) for item in items(dataset, "IonToleranceTableSequence")),
        fraction_group_number=_fraction_group_number(dataset),
    )


def _fraction_group_number(dataset: Dataset) -> int | None:
    groups = items(dataset, "FractionGroupSequence")
    only = groups[0] if len(groups) == 1 else Dataset()
    return int(only.FractionGroupNumber) if has_value(only, "FractionGroupNumber") else None


def _tolerance_table(item: Dataset, where: str) -> ToleranceTable:
    require_type_1(item, ("ToleranceTableNumber",), f"{where}, tolerance table")
    return ToleranceTable(
        int(item.ToleranceTableNumber),
        text(item, "ToleranceTableLabel"),
        **{name: number(item, keyword, where) for name, keyword in TOLERANCES.items()},
    )


def _is_setup(beam: Dataset) -> bool:
    return text(beam, "TreatmentDeliveryType").upper() == "SETUP"


def _read_beam(beam: Dataset, where: str) -> Beam:
    require_type_1(beam, BEAM_TYPE_1, f"{where}, beam {text(beam, 'BeamNumber') or '?'}")
    beam_number = int(beam.BeamNumber)
    where = f"{where}, beam {beam_number}"
    first = items(beam, "IonControlPointSequence")[0]
    if not has_value(first, "IsocenterPosition"):
        raise PlanWithoutIsocentre(
            f"{where}: the first control point has no Isocenter Position (300A,012C)", beam=beam_number
        )
    return Beam(
        number=beam_number,
        name=text(beam, "BeamName"),
        isocentre_mm=vector(first, "IsocenterPosition", 3, where),
        gantry_angle_deg=_angle(first, "GantryAngle", where) % 360.0,
        patient_support_angle_deg=_angle(first, "PatientSupportAngle", where),
        table_top_pitch_deg=_angle(first, "TableTopPitchAngle", where),
        table_top_roll_deg=_angle(first, "TableTopRollAngle", where),
        table_top_lateral_mm=number(first, "TableTopLateralPosition", where),
        table_top_longitudinal_mm=number(first, "TableTopLongitudinalPosition", where),
        table_top_vertical_mm=number(first, "TableTopVerticalPosition", where),
        machine_name=text(beam, "TreatmentMachineName"),
        tolerance_table_number=_whole(beam, "ReferencedToleranceTableNumber", where),
        range_shifters=_range_shifters(beam, first, where),
        snout=_snout(beam, first, where),
        reference_image_uids=tuple(
            text(item, "ReferencedSOPInstanceUID")
            for item in items(beam, "ReferencedReferenceImageSequence")
            if text(item, "ReferencedSOPClassUID") == RT_IMAGE
        ),
    )


def _whole(dataset: Dataset, keyword: str, where: str) -> int | None:
    value = number(dataset, keyword, where)
    return None if value is None else int(value)


def _range_shifters(beam: Dataset, first: Dataset, where: str) -> tuple[RangeShifter, ...]:
    settings = {
        _whole(item, "ReferencedRangeShifterNumber", where): item
        for item in items(first, "RangeShifterSettingsSequence")
    }
    shifters = []
    for item in items(beam, "RangeShifterSequence"):
        require_type_1(item, ("RangeShifterNumber",), f"{where}, range shifter")
        setting = settings.get(int(item.RangeShifterNumber), Dataset())
        shifters.append(
            RangeShifter(
                int(item.RangeShifterNumber),
                text(item, "RangeShifterID"),
                text(item, "RangeShifterType"),
                text(setting, "RangeShifterSetting"),
                number(setting, "IsocenterToRangeShifterDistance", where),
                number(setting, "RangeShifterWaterEquivalentThickness", where),
            )
        )
    return tuple(shifters)


def _snout(beam: Dataset, first: Dataset, where: str) -> Snout | None:
    position = number(first, "SnoutPosition", where)
    snouts = items(beam, "SnoutSequence")
    if not snouts and position is None:
        return None
    return Snout(text(snouts[0], "SnoutID") if snouts else "", position)


def _angle(control_point: Dataset, keyword: str, where: str) -> float:
    return nearest_equivalent_deg(number(control_point, keyword, where) or 0.0, 0.0)


def _patient_position(dataset: Dataset, beams: list[Dataset], where: str) -> PatientPosition:
    setups = {
        int(value_of(setup, "PatientSetupNumber", where)): setup for setup in items(dataset, "PatientSetupSequence")
    }
    only = next(iter(setups.values())) if len(setups) == 1 else Dataset()
    terms = set()
    for beam in beams:
        setup = setups.get(int(beam.get("ReferencedPatientSetupNumber") or 0), only)
        terms.add(str(value_of(setup, "PatientPosition", f"{where}, Patient Setup of beam {beam.BeamNumber}")))
    if len(terms) > 1:
        raise SeveralPatientPositions(f"{where}: the beams use the patient positions {', '.join(sorted(terms))}")
    return PatientPosition.parse(terms.pop())
