"""RT Ion Plan: writing a small but valid treatment plan, for phantoms and simulation.

The beams carry what positioning needs and a single energy layer; nobody can treat with them, and Plan Intent says so.
Source: DICOM PS3.3 A.49, C.8.8.9, C.8.8.12, C.8.8.13, C.8.8.25.
"""

from __future__ import annotations

from datetime import datetime

from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset
from pydicom.uid import UID

from isoalign.dicom.identity import RT_IMAGE, RT_ION_PLAN, RT_STRUCTURE_SET
from isoalign.dicom.object_settings import DEFAULT_SETTINGS, ObjectSettings
from isoalign.dicom.objects.characters import declare_characters
from isoalign.dicom.objects.common import Series, date_time, decimal, decimals, new_dataset, reference
from isoalign.dicom.objects.extended_interface import ExtendedInterface, add_extended_interface
from isoalign.dicom.objects.plan import TOLERANCES
from isoalign.geometry import display_angle_deg
from isoalign.records import Beam, Plan, RangeShifter, Snout, ToleranceTable

NOMINAL_ENERGY_MEV = 150.0
METERSET = 100.0


def build_ion_plan(
    plan: Plan,
    *,
    series: Series,
    created_at: datetime,
    extended_interface: ExtendedInterface | None = None,
    settings: ObjectSettings = DEFAULT_SETTINGS,
) -> Dataset:
    """An RT Ion Plan that reads back as ``plan``. Table-top translations that are None are written empty.

    Raises
    ------
    CharactersNotWritable
    """
    dataset = new_dataset(
        RT_ION_PLAN,
        modality="RTPLAN",
        patient=plan.patient,
        study=plan.study,
        series=series,
        created_at=created_at,
        sop_instance_uid=plan.sop_instance_uid,
        settings=settings,
    )
    dataset.OperatorsName = ""
    dataset.FrameOfReferenceUID = UID(plan.frame_of_reference_uid)
    dataset.PositionReferenceIndicator = ""
    dataset.RTPlanLabel = plan.label[:16]
    dataset.RTPlanDate, dataset.RTPlanTime = date_time(created_at)
    dataset.PlanIntent = "RESEARCH"
    dataset.RTPlanGeometry = "PATIENT"
    dataset.ReferencedStructureSetSequence = [reference(RT_STRUCTURE_SET, plan.structure_set_uid)]
    dataset.FractionGroupSequence = [_fraction_group(plan)]
    dataset.PatientSetupSequence = [_patient_setup(plan)]
    if plan.tolerance_tables:
        dataset.IonToleranceTableSequence = [_tolerance_table(table) for table in plan.tolerance_tables]
    dataset.IonBeamSequence = [_ion_beam(beam) for beam in plan.beams]
    dataset.ApprovalStatus = "UNAPPROVED"
    if extended_interface is not None:
        add_extended_interface(dataset, extended_interface, settings)
    return declare_characters(dataset, settings)


def _tolerance_table(table: ToleranceTable) -> Dataset:
    item = Dataset()
    item.ToleranceTableNumber = table.number
    item.ToleranceTableLabel = table.label
    for name, keyword in TOLERANCES.items():
        value = getattr(table, name)
        if value is not None:
            setattr(item, keyword, value if dictionary_VR(keyword) == "FL" else decimal(value))
    return item


def _fraction_group(plan: Plan) -> Dataset:
    group = Dataset()
    group.FractionGroupNumber = 1 if plan.fraction_group_number is None else plan.fraction_group_number
    group.NumberOfFractionsPlanned = 1
    group.NumberOfBeams = len(plan.beams)
    group.NumberOfBrachyApplicationSetups = 0
    group.ReferencedBeamSequence = []
    for beam in plan.beams:
        item = Dataset()
        item.BeamMeterset = decimal(METERSET)
        item.ReferencedBeamNumber = beam.number
        group.ReferencedBeamSequence.append(item)
    return group


def _patient_setup(plan: Plan) -> Dataset:
    setup = Dataset()
    setup.PatientPosition = plan.patient_position.value
    setup.PatientSetupNumber = 1
    setup.SetupTechnique = "ISOCENTRIC"
    return setup


def _ion_beam(beam: Beam) -> Dataset:
    item = Dataset()
    item.BeamNumber = beam.number
    item.BeamName = beam.name
    item.BeamType = "STATIC"
    item.RadiationType = "PROTON"
    item.TreatmentMachineName = beam.machine_name[:16]
    item.Manufacturer = ""
    item.PrimaryDosimeterUnit = "NP"
    item.ScanMode = "MODULATED"
    item.ModulatedScanModeType = "STATIONARY"
    item.TreatmentDeliveryType = "TREATMENT"
    item.NumberOfWedges = 0
    item.NumberOfCompensators = 0
    item.NumberOfBoli = 0
    item.NumberOfBlocks = 0
    item.NumberOfRangeShifters = len(beam.range_shifters)
    if beam.range_shifters:
        item.RangeShifterSequence = [_range_shifter(shifter) for shifter in beam.range_shifters]
    if beam.snout is not None and beam.snout.identifier:
        item.SnoutSequence = [_snout(beam.snout)]
    if beam.tolerance_table_number is not None:
        item.ReferencedToleranceTableNumber = beam.tolerance_table_number
    if beam.reference_image_uids:
        item.ReferencedReferenceImageSequence = [
            _reference_image(number, uid) for number, uid in enumerate(beam.reference_image_uids, 1)
        ]
    item.NumberOfLateralSpreadingDevices = 0
    item.NumberOfRangeModulators = 0
    item.PatientSupportType = "TABLE"
    item.ReferencedPatientSetupNumber = 1
    item.FinalCumulativeMetersetWeight = decimal(1.0)
    item.VirtualSourceAxisDistances = [2000.0, 2000.0]
    item.NumberOfControlPoints = 2
    item.IonControlPointSequence = [_first_control_point(beam), _last_control_point()]
    return item


def _reference_image(number: int, uid: str) -> Dataset:
    item = reference(RT_IMAGE, uid)
    item.ReferenceImageNumber = number
    return item


def _range_shifter(shifter: RangeShifter) -> Dataset:
    item = Dataset()
    item.RangeShifterNumber = shifter.number
    item.RangeShifterID = shifter.identifier
    item.RangeShifterType = shifter.kind
    return item


def _range_shifter_setting(shifter: RangeShifter) -> Dataset:
    item = Dataset()
    item.ReferencedRangeShifterNumber = shifter.number
    item.RangeShifterSetting = shifter.setting
    if shifter.isocentre_distance_mm is not None:
        item.IsocenterToRangeShifterDistance = shifter.isocentre_distance_mm
    if shifter.water_equivalent_thickness_mm is not None:
        item.RangeShifterWaterEquivalentThickness = shifter.water_equivalent_thickness_mm
    return item


def _snout(snout: Snout) -> Dataset:
    item = Dataset()
    item.SnoutID = snout.identifier
    return item


def _first_control_point(beam: Beam) -> Dataset:
    point = Dataset()
    point.ControlPointIndex = 0
    point.CumulativeMetersetWeight = decimal(0.0)
    point.NominalBeamEnergy = decimal(NOMINAL_ENERGY_MEV)
    point.GantryAngle = decimal(display_angle_deg(beam.gantry_angle_deg))
    point.GantryRotationDirection = "NONE"
    point.BeamLimitingDeviceAngle = decimal(0.0)
    point.BeamLimitingDeviceRotationDirection = "NONE"
    point.PatientSupportAngle = decimal(display_angle_deg(beam.patient_support_angle_deg))
    point.PatientSupportRotationDirection = "NONE"
    point.TableTopVerticalPosition = _optional(beam.table_top_vertical_mm)
    point.TableTopLongitudinalPosition = _optional(beam.table_top_longitudinal_mm)
    point.TableTopLateralPosition = _optional(beam.table_top_lateral_mm)
    point.TableTopPitchAngle = display_angle_deg(beam.table_top_pitch_deg)
    point.TableTopPitchRotationDirection = "NONE"
    point.TableTopRollAngle = display_angle_deg(beam.table_top_roll_deg)
    point.TableTopRollRotationDirection = "NONE"
    point.GantryPitchAngle = 0.0
    point.GantryPitchRotationDirection = "NONE"
    point.IsocenterPosition = decimals(beam.isocentre_mm)
    if beam.snout is not None and beam.snout.position_mm is not None:
        point.SnoutPosition = beam.snout.position_mm
    settings = [_range_shifter_setting(shifter) for shifter in beam.range_shifters if shifter.setting]
    if settings:
        point.RangeShifterSettingsSequence = settings
    point.ScanSpotTuneID = "1"
    _add_spots(point, 1.0)
    return point


def _last_control_point() -> Dataset:
    point = Dataset()
    point.ControlPointIndex = 1
    point.CumulativeMetersetWeight = decimal(1.0)
    point.NominalBeamEnergy = decimal(NOMINAL_ENERGY_MEV)
    point.ScanSpotTuneID = "1"
    _add_spots(point, 0.0)
    return point


def _add_spots(point: Dataset, weight: float) -> None:
    """One spot on the beam axis; the last control point of a layer repeats it without weight."""
    point.NumberOfScanSpotPositions = 1
    point.ScanSpotPositionMap = [0.0, 0.0]
    point.ScanSpotMetersetWeights = weight
    point.ScanningSpotSize = [5.0, 5.0]
    point.NumberOfPaintings = 1


def _optional(value: float | None) -> object:
    return None if value is None else decimal(value)
