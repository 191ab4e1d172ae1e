"""One object of each kind with every optional part in use, for the conformance statement and for validators.

Two sets can be made from inputs that differ in everything. An attribute that is alike in both has a fixed value.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from pydicom.dataset import Dataset

from isoalign.dicom.identity import RT_ION_PLAN
from isoalign.dicom.object_settings import ObjectSettings
from isoalign.dicom.objects.common import Series
from isoalign.dicom.objects.ct_acquisition import CtAcquisition
from isoalign.dicom.objects.ct_writer import build_ct_images
from isoalign.dicom.objects.extended_interface import ExtendedInterface
from isoalign.dicom.objects.ion_plan import build_ion_plan
from isoalign.dicom.objects.isocentres import IsocentreKind, isocentre_structure, marker_structure
from isoalign.dicom.objects.registration import build_spatial_registration
from isoalign.dicom.objects.rt_image import ExportContext, JawPair, RtImageDetails, build_drr_image, build_rt_image
from isoalign.dicom.objects.structure_set import read_structure_set
from isoalign.dicom.objects.structure_set_writer import build_marker_structure_set, build_structure_set
from isoalign.dicom.objects.verification_frame import VerificationFrame
from isoalign.geometry import (
    DicomPatient,
    ImagerAxis,
    PatientPosition,
    PixelGrid,
    Pose,
    ProjectionGeometry,
    Representation,
    TableTopPosition,
    planned_fixed_from_dicom,
)
from isoalign.records import (
    Acquisition,
    Beam,
    Match,
    Patient,
    Plan,
    Radiograph,
    RangeShifter,
    Snout,
    Structure,
    Study,
    Technique,
    ToleranceTable,
    Verdict,
    Volume,
)


@dataclass(frozen=True, slots=True)
class ExampleInputs:
    """What an example set is made from: texts, numbers, positions. ``uid`` is the stem of all UIDs that are given."""

    uid: str
    moment: datetime
    patient: Patient
    study: Study
    table_top: TableTopPosition
    position: PatientPosition
    spacing_mm: tuple[float, float, float]
    shift_mm: tuple[float, float, float]
    number: int
    operator: str
    settings: ObjectSettings


FIRST = ExampleInputs(
    uid="2.25.1",
    moment=datetime(2026, 3, 4, 5, 6, 7, 250000, tzinfo=UTC),
    patient=Patient("P-1", "Test^Only", "19500101", "female", "0830"),
    study=Study("2.25.1.1", "STUDY-1", "20260301", "101112", "ACC-1", "Referrer^One", "First study"),
    table_top=TableTopPosition(Representation.IEC_61217, 12.5, 700.0, -120.0, 1.5, -0.75, 350.0),
    position=PatientPosition.HFS,
    spacing_mm=(1.0, 1.25, 2.0),
    shift_mm=(2.0, -3.0, -5.0),
    number=1,
    operator="Physicist^One",
    settings=ObjectSettings(station_name="STATION1"),
)
SECOND = ExampleInputs(
    uid="2.25.7",
    moment=datetime(2027, 8, 9, 10, 11, 12, 750000, tzinfo=UTC),
    patient=Patient("Q-2", "Nobody^Else", "19611213", "M", "2359"),
    study=Study("2.25.7.1", "STUDY-2", "20270801", "131415", "ACC-2", "Referrer^Two", "Second study"),
    table_top=TableTopPosition(Representation.IEC_61217, -7.25, 650.5, -90.0, -2.0, 1.0, 12.0),
    position=PatientPosition.FFP,
    spacing_mm=(0.75, 0.5, 1.5),
    shift_mm=(-1.0, 4.0, 6.0),
    number=2,
    operator="Physicist^Two",
    settings=ObjectSettings(station_name="STATION2"),
)


def example_objects(inputs: ExampleInputs = FIRST) -> dict[str, Dataset]:
    """Objects by a short name, such as ``CT``, ``RTIMAGE``, ``DRR``, ``RTSTRUCT``, ``MARKERS`` and ``REG 3D/3D``."""
    plan = _plan(inputs)
    frame = VerificationFrame(inputs.position, inputs.table_top, f"{inputs.uid}.2")
    context = ExportContext(
        plan, inputs.number, frame, f"ROOM {inputs.number}", operator=inputs.operator, fraction_number=inputs.number + 2
    )
    volume = _volume(inputs, frame.frame_of_reference_uid)
    ct = _ct(inputs, volume, plan)
    structure_set = build_structure_set(
        _structures(inputs),
        volume,
        patient=inputs.patient,
        study=inputs.study,
        series=_series(inputs, 12),
        label=f"CBCT {inputs.number}",
        instance_number=inputs.number + 20,
        operator=inputs.operator,
        created_at=inputs.moment,
        settings=inputs.settings,
    )
    planning = read_structure_set(structure_set).structure_set
    markers = build_marker_structure_set(
        [marker_structure(inputs.number, f"Seed {inputs.number}", np.array([1.0, 2.0, 0.5]) * inputs.number)],
        planning,
        series=_series(inputs, 13),
        label=f"MARKERS {inputs.number}",
        instance_number=inputs.number + 21,
        operator=inputs.operator,
        created_at=inputs.moment,
        settings=inputs.settings,
    )
    images = [_rt_image(inputs, context, number) for number in (1, 2)]
    drr = _drr(inputs, volume, plan)
    objects = {
        "CT": ct[inputs.number - 1],
        "RTIMAGE": images[0],
        "DRR": drr,
        "RTSTRUCT": structure_set,
        "MARKERS": markers,
    }
    for kind, of in (("3D/3D", ct), ("2D/3D", images), ("marker", images), ("2D/2D", images)):
        objects[f"REG {kind}"] = build_spatial_registration(
            _match(kind, inputs, frame),
            inputs.table_top,
            of,
            context,
            series=_series(inputs, 15),
            instance_number=inputs.number + 30,
            ct=planning.ct,
            drrs=[drr] if kind == "2D/2D" else (),
            created_at=inputs.moment,
            settings=inputs.settings,
        )
    objects["RTIONPLAN"] = build_ion_plan(
        plan,
        series=_series(inputs, 16),
        created_at=inputs.moment,
        extended_interface=ExtendedInterface(b"<Plan/>\n", 8),
        settings=inputs.settings,
    )
    return objects


def _series(inputs: ExampleInputs, number: int) -> Series:
    return Series(number + inputs.number, f"{inputs.uid}.{number}")


def _plan(inputs: ExampleInputs) -> Plan:
    top = inputs.table_top
    beam = Beam(
        inputs.number,
        f"Field {inputs.number}",
        np.array([1.0, 2.0, 3.0]) * inputs.number,
        90.0 * inputs.number,
        top.patient_support_angle_deg,
        top.pitch_deg,
        top.roll_deg,
        top.lateral_mm,
        top.longitudinal_mm,
        top.vertical_mm,
        f"ROOM {inputs.number}",
        inputs.number,
        (RangeShifter(inputs.number, f"RS{inputs.number}", "BINARY", "IN", 275.5 + inputs.number, 57.0),),
        Snout(f"S{inputs.number}", 230.5 + inputs.number),
    )
    return Plan(
        f"{inputs.uid}.3",
        RT_ION_PLAN,
        f"PLAN {inputs.number}",
        inputs.patient,
        inputs.study,
        f"{inputs.uid}.4",
        inputs.position,
        f"{inputs.uid}.5",
        (beam,),
        (ToleranceTable(inputs.number, f"T{inputs.number}", 0.5, 3.0, 3.0, 3.0, 20.0, 20.0, 20.0, 5.0),),
        fraction_group_number=inputs.number,
    )


def _volume(inputs: ExampleInputs, frame_of_reference_uid: str) -> Volume:
    number = inputs.number
    shape = (4, 12 * number, 16 * number)
    values = np.arange(np.prod(shape), dtype=np.int16).reshape(shape) - 500 * number**2
    origin = np.array([-8.0, -6.0, -3.0]) * number
    axes = np.diag([1.0, 1.0, 1.0] if number == 1 else [-1.0, -1.0, 1.0])
    return Volume(
        values,
        origin,
        np.array(inputs.spacing_mm),
        axes,
        frame_of_reference_uid,
        inputs.position,
        f"{inputs.uid}.11",
        tuple(f"{inputs.uid}.11.{slice_number}" for slice_number in range(1, 5)),
    )


def _ct(inputs: ExampleInputs, volume: Volume, plan: Plan) -> list[Dataset]:
    acquisition = CtAcquisition(
        acquired_at=inputs.moment,
        table_top=inputs.table_top,
        tube_voltage_kv=110.0 + inputs.number,
        tube_current_ma=60.0 + inputs.number,
        exposure_time_ms=7200.0 + inputs.number,
        exposure_mas=432.0 + inputs.number,
        source_detector_mm=1500.0 + inputs.number,
        source_axis_mm=1000.0 + inputs.number,
        data_collection_diameter_mm=460.0 + inputs.number,
        reconstruction_diameter_mm=250.0 + inputs.number,
        acquisition_number=inputs.number + 4,
        scan_options=(f"HALF{inputs.number}",),
        rotation_direction=("CW", "CC")[inputs.number - 1],
        filter_type=f"BOWTIE{inputs.number}",
        focal_spots_mm=(0.4 * inputs.number, 0.8),
        convolution_kernel=f"SMOOTH{inputs.number}",
        irradiation_event_uid=f"{inputs.uid}.6",
    )
    return build_ct_images(
        volume,
        patient=inputs.patient,
        study=inputs.study,
        series=_series(inputs, 11),
        created_at=inputs.moment,
        acquisition=acquisition,
        plan=plan,
        settings=inputs.settings,
    )


def _structures(inputs: ExampleInputs) -> tuple[Structure, ...]:
    number = inputs.number
    z = -3.0 * number + inputs.spacing_mm[2]
    square = np.array([[-5, -4, z], [5, -4, z], [5, 5, z], [-5, 5, z]], dtype=np.float64) * [number, 1, 1]
    body = Structure(number, f"BODY{number}", "EXTERNAL", "CLOSED_PLANAR", (square,), colour=(10 * number, 200, 30))
    isocentres = (
        isocentre_structure(kind, number + index, np.array([0.5, 1.0, index]) * number, inputs.table_top)
        for index, kind in enumerate(IsocentreKind, start=1)
    )
    return (body, *isocentres)


def _rt_image(inputs: ExampleInputs, context: ExportContext, instance_number: int) -> Dataset:
    number = inputs.number
    geometry = _geometry(inputs)
    grid = geometry.grid
    pixels = np.arange(grid.rows * grid.columns, dtype=np.uint16).reshape(grid.rows, grid.columns)
    technique = Technique(99.0 + number, 98.0 + number, 49.0 + number)
    radiograph = Radiograph(
        pixels, geometry, Acquisition("AB"[number - 1], 6 + number, technique, inputs.moment, inputs.table_top)
    )
    details = RtImageDetails(
        description=f"Set-up image {number}",
        cumulative_meterset_weights=(0.25 * number, 0.5 * number),
        beam_limiting_device_angle_deg=15.0 * number,
        jaws=(JawPair("ASYMX" if number == 1 else "X", (-50.0 * number, 60.0)),),
        markers_px=((5.25 * number, 7.5),),
        extended_interface=ExtendedInterface(b"<Image/>", 8),
        irradiation_event_uid=f"{inputs.uid}.8",
    )
    return build_rt_image(
        radiograph,
        context,
        series=_series(inputs, 14),
        instance_number=instance_number + number - 1,
        created_at=inputs.moment,
        details=details,
        settings=inputs.settings,
    )


def _geometry(inputs: ExampleInputs) -> ProjectionGeometry:
    number = inputs.number
    axis = ImagerAxis(90.0 * number, 1000.0 + number, 1500.0 + number, (0.5 * number, -0.25), 2.0 * number)
    return ProjectionGeometry.from_axis(
        axis, PixelGrid(16 * number, 12 * number, 0.4 * number, 0.5 * number, (-2.75 * number, 3.0))
    )


def _drr(inputs: ExampleInputs, volume: Volume, plan: Plan) -> Dataset:
    geometry = _geometry(inputs)
    shape = (geometry.grid.rows, geometry.grid.columns)
    return build_drr_image(
        np.linspace(0, 6 * inputs.number, geometry.grid.rows * geometry.grid.columns, dtype=np.float32).reshape(shape),
        geometry,
        patient=inputs.patient,
        study=inputs.study,
        series=_series(inputs, 17),
        frame_of_reference_uid=volume.frame_of_reference_uid + ".1",
        patient_position=inputs.position,
        isocentre_mm=np.array([1.0, 2.0, 3.0]) * inputs.number,
        created_at=inputs.moment,
        plan=plan,
        beam_number=inputs.number,
        machine_name=f"ROOM {inputs.number}",
        settings=inputs.settings,
    )


def _match(kind: str, inputs: ExampleInputs, frame: VerificationFrame) -> Match:
    """A match whose registration is the translation ``shift_mm``."""
    shift = Pose(DicomPatient, DicomPatient, np.eye(3), np.array(inputs.shift_mm))
    found = frame.fixed_from_verification(inputs.table_top) @ shift
    planned = planned_fixed_from_dicom(inputs.position, (1.0, 2.0, 3.0))
    return Match(kind, planned, found, Verdict.ACCEPTED, (), (), 5, True, 1.0, np.zeros(3), np.zeros(3))
