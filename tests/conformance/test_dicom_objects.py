"""dciodvfy on every object that we write: no error beyond the documented list."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset
from validator import documented_exceptions

from isoalign.dicom.objects import (
    ExportContext,
    Series,
    VerificationFrame,
    build_case,
    build_drr_image,
    build_rt_image,
    build_spatial_registration,
    read_plan,
    read_structure_set,
    write_file,
)
from isoalign.dicom.objects.examples import FIRST, example_objects
from isoalign.geometry import (
    ImagerAxis,
    PatientPosition,
    PixelGrid,
    ProjectionGeometry,
    Representation,
    TableTopPosition,
    planned_fixed_from_dicom,
    setup_error,
)
from isoalign.records import Acquisition, Match, Patient, Radiograph, Structure, Technique, Verdict, Volume

IODS = {
    "CT": "CTImage",
    "RTIMAGE": "RTImage",
    "DRR": "RTImage",
    "RTSTRUCT": "RTStructureSet",
    "MARKERS": "RTStructureSet",
    "REG": "SpatialRegistration",
    "RTIONPLAN": "RTIonPlan",
}
NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


def write_objects() -> dict[str, Dataset]:
    """One of each kind, with every optional part in use."""
    values = np.arange(4 * 16 * 16, dtype=np.int16).reshape(4, 16, 16) - 500
    volume = Volume(values, np.array([-8.0, -8.0, -3.0]), np.array([1.0, 1.0, 2.0]), np.eye(3), "", PatientPosition.HFS)
    square = np.array([[-5, -5, -1.0], [5, -5, -1], [5, 5, -1], [-5, 5, -1]])
    structures = (
        Structure(1, "BODY", "EXTERNAL", "CLOSED_PLANAR", (square,)),
        Structure(2, "Seed", "MARKER", "POINT", (np.array([[1.0, 2.0, 0.5]]),)),
    )
    table_top = TableTopPosition(Representation.IEC_61217, 12.5, 700.0, -120.0, 1.5, -0.75, 350.0)
    patient = Patient("P-1", "Test^Only", "19500101", "O")
    case = build_case(volume, structures, (1.0, 2.0, 3.0), patient=patient, created_at=NOW, table_top=table_top)
    relative = build_case(volume, structures, (1.0, 2.0, 3.0), patient=patient, created_at=NOW)
    plan = read_plan(case.plan)
    geometry = ProjectionGeometry.from_axis(ImagerAxis(90.0, 1000.0, 1500.0), PixelGrid.centred(16, 12, 0.388))
    taken = Radiograph(
        np.arange(192, dtype=np.uint16).reshape(16, 12),
        geometry,
        Acquisition("B", 7, Technique(100.0, 100.0, 50.0), NOW, table_top),
    )
    context = ExportContext(
        plan, 1, VerificationFrame(PatientPosition.HFS, table_top), "ROOM 1", operator="Physicist", fraction_number=3
    )
    images = [build_rt_image(taken, context, series=Series(4), instance_number=n, created_at=NOW) for n in (1, 2)]
    planned = planned_fixed_from_dicom(PatientPosition.HFS, (1.0, 2.0, 3.0))
    found = setup_error(3, -2, 1, 1, 2, -1) @ planned
    match = Match("2D/3D", planned, found, Verdict.ACCEPTED, (), (), 5, True, 1.0, np.zeros(3), np.zeros(3))
    ct = read_structure_set(case.structure_set).structure_set.ct
    registration = build_spatial_registration(
        match, table_top, images, context, series=Series(5), instance_number=1, created_at=NOW, ct=ct
    )
    drr = build_drr_image(
        np.linspace(0, 6, 192, dtype=np.float32).reshape(16, 12),
        geometry,
        patient=patient,
        study=plan.study,
        series=Series(6),
        frame_of_reference_uid=plan.frame_of_reference_uid,
        patient_position=PatientPosition.HFS,
        isocentre_mm=(1.0, 2.0, 3.0),
        created_at=NOW,
        plan=plan,
        beam_number=1,
    )
    examples = {f"{IODS[name.split(maxsplit=1)[0]]} {name}": dataset for name, dataset in example_objects().items()}
    return examples | {
        "CTImage": case.ct[0],
        "RTStructureSet": case.structure_set,
        "RTIonPlan": case.plan,
        "RTIonPlan without table values": relative.plan,
        "RTImage": images[0],
        "RTImage DRR": drr,
        "SpatialRegistration": registration,
    }


@pytest.mark.parametrize("kind", sorted(write_objects()))
def test_no_error_beyond_the_documented_ones(kind: str, tmp_path: Path, require_program: Callable[[str], Path]) -> None:
    path = write_file(write_objects()[kind], tmp_path / "object.dcm")
    shown = subprocess.run([require_program("dciodvfy"), path], capture_output=True, text=True, timeout=60, check=False)
    lines = (shown.stdout + shown.stderr).splitlines()
    iod = kind.split(maxsplit=1)[0]
    assert iod in lines, "the validator recognises the object"
    errors = {re.sub(r"\s+", " ", line).strip() for line in lines if line.startswith("Error")}
    assert errors <= {error for of, error in documented_exceptions() if of == iod}


def test_the_list_of_exceptions_is_no_longer_than_needed(
    tmp_path: Path, require_program: Callable[[str], Path]
) -> None:
    seen = set()
    for kind, dataset in write_objects().items():
        path = write_file(dataset, tmp_path / "object.dcm")
        shown = subprocess.run(
            [require_program("dciodvfy"), path], capture_output=True, text=True, timeout=60, check=False
        )
        seen |= {
            (kind.split()[0], re.sub(r"\s+", " ", line).strip())
            for line in (shown.stdout + shown.stderr).splitlines()
            if line.startswith("Error")
        }
    assert documented_exceptions() == seen


def test_the_validator_refuses_a_spoiled_object(tmp_path: Path, require_program: Callable[[str], Path]) -> None:
    """The gate can fail."""
    spoiled = write_objects()["SpatialRegistration"]
    del spoiled.RegistrationSequence[0].MatrixRegistrationSequence
    path = write_file(spoiled, tmp_path / "object.dcm")
    shown = subprocess.run([require_program("dciodvfy"), path], capture_output=True, text=True, timeout=60, check=False)
    assert "Error - Missing attribute Type 1 Required Element=<MatrixRegistrationSequence>" in shown.stderr


def test_the_exposure_as_stated_costs_three_more_errors(tmp_path: Path, require_program: Callable[[str], Path]) -> None:
    """ADR 0094: which ones the setting is paid with."""
    as_stated = replace(FIRST, settings=replace(FIRST.settings, exposure_as_stated=True))
    path = write_file(example_objects(as_stated)["RTIMAGE"], tmp_path / "object.dcm")
    shown = subprocess.run([require_program("dciodvfy"), path], capture_output=True, text=True, timeout=60, check=False)
    errors = {re.sub(r"\s+", " ", line).strip() for line in shown.stderr.splitlines() if line.startswith("Error")}
    more = errors - {error for of, error in documented_exceptions() if of == "RTImage"}
    assert {re.findall(r"Element=<(\w+)>", one)[0] for one in more} == {
        "ReferencedFrameNumber",
        "XRayTubeCurrent",
        "ExposureTime",
    }
