"""The main job as a user runs it, judged against the simulators' truth."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from demo_runs import judged
from room_cases import make_case, write_case

pytestmark = [pytest.mark.system, pytest.mark.timeless, pytest.mark.timeout(300)]

DISTANCE_MM = 0.5
ANGLE_DEG = 0.3


def run_program(output: Path, *arguments: str) -> tuple[int, dict, str]:
    """The demonstration as a user starts it."""
    command = [sys.executable, "-m", "isoalign.cli", "demo", "--json", "--output", str(output), *arguments]
    run = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    return judged(run.returncode, run.stdout, run.stderr)


def assert_truly_aligned(record: dict) -> None:
    assert record["outcome"] == "aligned", record["message"]
    remaining = record["truth"]["remaining"]
    assert remaining["distance_mm"] <= DISTANCE_MM
    assert remaining["angle_deg"] <= ANGLE_DEG


def test_built_in_case_from_plan_to_report(tmp_path: Path) -> None:
    code, record, progress = run_program(tmp_path, "--offset", "9", "-8", "7", "-2.5", "2", "3")
    assert code == 0, record
    assert_truly_aligned(record)
    hidden = record["truth"]["hidden"]
    assert hidden["distance_mm"] == pytest.approx((81 + 64 + 49) ** 0.5, abs=1e-6)
    assert record["software"]["isoalign"]
    kinds = sorted(item["kind"] for item in record["exported"])
    assert kinds == ["RT Image"] * 4 + ["Spatial Registration"] * 2
    assert {item["status"] for item in record["exported"]} == {"stored"}
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") >= 4
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "Approve (first act)" in progress
    assert "Move (second act)" in progress
    logs = "".join(path.read_text(errors="replace") for path in (tmp_path / "logs").glob("*.log"))
    assert [motion["refusal"] for motion in record["motions"]] == [None, None]
    assert all(motion["clearance"]["least_mm"] > 50.0 for motion in record["motions"])
    assert "not checked: immobilisation" in progress
    assert "Clearance on the way" in page
    assert "Phantom^Head" not in logs + page
    assert "Traceback" not in logs


@pytest.mark.parametrize("archive", [pytest.param("orthanc", marks=pytest.mark.soak), "dcmtk"])
def test_archive_of_another_maker(archive: str, tmp_path: Path, require_program, run_demo) -> None:
    """And a beam at a turned couch: the session once took the patient's planned place for that at the angle zero, and
    wanted to turn the couch back."""
    require_program({"orthanc": "Orthanc", "dcmtk": "dcmqrscp"}[archive])
    case = write_case(make_case(patient_support_angle_deg=10.0), tmp_path / "case")
    code, record, _ = run_demo(tmp_path / "out", "--archive", archive, "--seed", "3", "--case", str(case))
    assert code == 0, record
    assert_truly_aligned(record)
    arrived_deg = record["arrived"]["iec61217"]["patient_support_angle_deg"]
    assert arrived_deg == pytest.approx(10.0, abs=3.5)
    assert {item["status"] for item in record["exported"]} == {"stored"}


@pytest.fixture(scope="module")
def head_phantom(real_data_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    source = real_data_folder / "dcpt_head_phantom"
    folder = tmp_path_factory.mktemp("head")
    with tarfile.open(source / "ct.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    for path in source.glob("*.dcm"):
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


@pytest.mark.soak  # the test after it goes the same way with a plan that asks
@pytest.mark.real_data
def test_real_head_phantom(head_phantom: Path, tmp_path: Path, run_demo) -> None:
    code, record, _ = run_demo(tmp_path, "--case", str(head_phantom), "--seed", "5")
    assert code == 0, record
    assert_truly_aligned(record)


@pytest.mark.real_data
def test_plan_as_the_vendor_exported_it_asks_and_takes_an_answer(head_phantom: Path, tmp_path: Path, run_demo) -> None:
    exported = str(head_phantom / "ion_plan_as_exported.dcm")
    code, answer, _ = run_demo(tmp_path / "asks", "--case", str(head_phantom), "--plan", exported)
    assert code == 3
    assert answer["error"]["code"] == "dicom.structure-set-unresolved"
    assert "--structure-set" in answer["error"]["message"] + answer["error"]["hint"]
    code, record, _ = run_demo(
        tmp_path / "told",
        *("--case", str(head_phantom), "--plan", exported, "--seed", "6"),
        *("--structure-set", str(head_phantom / "structure_set.dcm")),
    )
    assert code == 0, record
    assert_truly_aligned(record)


def test_wrong_patient_on_the_couch_is_refused_and_nothing_moves(
    pristine_case_folder: Path, tmp_path: Path, run_demo
) -> None:
    """A set-up error far outside what can be matched: the couch stays at the set-up position."""
    code, record, _ = run_demo(tmp_path, "--case", str(pristine_case_folder), "--offset", "0", "0", "0", "0", "0", "75")
    assert code == 6, record
    assert record["outcome"] == "match refused"
    assert record["arrived"] is None
    assert (tmp_path / "report.html").is_file()
