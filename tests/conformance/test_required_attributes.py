"""Attributes of type 1 and 2 of the standard's modules, in every object that we make.

The tables come from highdicom's copy of the standard (MIT), read where that package is installed and never copied. They
state no conditions, so types 1C and 2C are left to the validator.
"""

from __future__ import annotations

import importlib.util
import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset

from isoalign.dicom.media import read_case_folder
from isoalign.dicom.objects import (
    Series,
    build_ct_images,
    build_ion_plan,
    build_marker_structure_set,
    build_structure_set,
    encode_file,
    marker_structure,
    read_volume,
)
from isoalign.dicom.objects.examples import FIRST, SECOND, ExampleInputs, example_objects
from isoalign.geometry import PatientPosition, Representation, TableTopPosition
from isoalign.records import Patient

OPTIONAL_MODULES = {
    "ct-image": {"voi-lut"},
    "rt-image": {"frame-of-reference", "modality-lut", "voi-lut"},
    "rt-structure-set": {"approval"},
    "rt-ion-plan": {
        "rt-fraction-scheme",
        "rt-patient-setup",
        "rt-ion-tolerance-tables",
        "rt-ion-beams",
        "approval",
    },
}
"""Modules that the standard leaves to the user, and that our objects have."""


@dataclass(frozen=True)
class Required:
    keyword: str
    path: tuple[str, ...]
    must_have_value: bool


@cache
def standard_tables() -> tuple[dict, dict, dict]:
    found = importlib.util.find_spec("highdicom")
    if found is None or found.origin is None:
        pytest.skip("highdicom, whose tables of the standard this test reads, is not installed")
    folder = Path(found.origin).parent / "_standard"
    names = ("sop_class_iod_map.json", "iod_module_map.json", "module_attribute_map.json")
    iods, modules, attributes = (json.loads((folder / name).read_text(encoding="utf-8")) for name in names)
    return iods, modules, attributes


def required_of(sop_class_uid: str) -> list[Required]:
    iods, modules, attributes = standard_tables()
    iod = iods[sop_class_uid]
    wanted = OPTIONAL_MODULES.get(iod, set())
    names = [one["key"] for one in modules[iod] if one["usage"] == "M" or one["key"] in wanted]
    assert wanted <= set(names)
    return [
        Required(one["keyword"], tuple(one["path"]), one["type"] == "1")
        for name in names
        for one in attributes[name]
        if one["type"] in {"1", "2"}
    ]


def missing(dataset: Dataset) -> set[str]:
    """Paths of required attributes that are absent, or empty where they must have a value."""
    lacking = set()
    for one in required_of(str(dataset.SOPClassUID)):
        items = [dataset]
        for sequence in one.path:
            items = [inner for item in items if sequence in item for inner in item[sequence].value]
        for item in items:
            present = one.keyword in item
            if not present or (one.must_have_value and item[one.keyword].is_empty):
                lacking.add("/".join((*one.path, one.keyword)))
    return lacking


TEXT = st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=1, max_size=16)
FRAMES = st.sampled_from([Representation.IEC_61217, Representation.ISOCENTRIC_STANDARD])
MM = st.floats(-500, 500)
DEG = st.floats(-10, 10)


@st.composite
def inputs(draw: st.DrawFn) -> ExampleInputs:
    base = draw(st.sampled_from([FIRST, SECOND]))
    optional = st.one_of(st.just(""), TEXT)
    return replace(
        base,
        patient=Patient(draw(optional), draw(optional), draw(st.sampled_from(["", "19500101"])), draw(optional)),
        study=replace(base.study, study_id=draw(optional), accession_number=draw(optional), description=draw(optional)),
        table_top=TableTopPosition(draw(FRAMES), draw(MM), draw(MM), draw(MM), draw(DEG), draw(DEG), draw(DEG)),
        position=draw(st.sampled_from(PatientPosition)),
        shift_mm=(draw(MM), draw(MM), draw(MM)),
        operator=draw(optional),
    )


@given(inputs())
@settings(max_examples=25)
def test_every_object_of_generated_cases_has_what_the_standard_requires(case: ExampleInputs) -> None:
    for name, dataset in example_objects(case).items():
        assert missing(pydicom.dcmread(BytesIO(encode_file(dataset)))) == set(), name


@pytest.mark.parametrize("keyword", ["PatientID", "Modality", "RTImageLabel", "XRayImageReceptorAngle"])
def test_a_missing_attribute_is_noticed(keyword: str) -> None:
    image = example_objects()["RTIMAGE"]
    delattr(image, keyword)
    assert missing(image) == {keyword}


def test_a_missing_attribute_of_an_item_is_noticed() -> None:
    registration = example_objects()["REG 2D/3D"]
    del registration.RegistrationSequence[1].MatrixRegistrationSequence[0].MatrixSequence
    assert missing(registration) == {"RegistrationSequence/MatrixRegistrationSequence/MatrixSequence"}


@pytest.mark.real_data
def test_objects_made_from_the_real_case_have_what_the_standard_requires(real_data_folder: Path) -> None:
    files = read_case_folder(real_data_folder / "dcpt_head_phantom")
    volume = read_volume((one.read() for one in files.ct_files), expected_uids=files.structure_set.ct.sop_instance_uids)
    now = datetime(2026, 3, 4, tzinfo=UTC)
    plan = files.plan
    common = {"patient": plan.patient, "study": plan.study, "created_at": now}
    few = replace(volume, hounsfield=np.asarray(volume.hounsfield[:3, :32, :32]), sop_instance_uids=())
    made = [
        build_ion_plan(plan, series=Series(1), created_at=now),
        build_structure_set(files.structure_set.structures, volume, series=Series(2), label="AGAIN", **common),
        build_marker_structure_set(
            [marker_structure(1, "Beekley", (0.1, -253.6, -1.75))],
            files.structure_set,
            series=Series(3),
            created_at=now,
        ),
        *build_ct_images(few, series=Series(4), **common),
    ]
    for dataset in made:
        assert missing(dataset) == set()
