"""``isoalign match``: what was planted between plan and images of the day comes out, from files alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from isoalign.cli import main
from isoalign.dicom.objects import (
    ExportContext,
    Series,
    VerificationFrame,
    build_case,
    build_ct_images,
    build_rt_image,
    read_plan,
    write_file,
)
from isoalign.geometry import (
    DicomPatient,
    PatientPosition,
    Pose,
    Representation,
    TableTopPosition,
    fixed_from_table,
    fixed_rotation_from_dicom,
    planned_fixed_from_dicom,
    setup_error,
)
from isoalign.records import Acquisition, Patient, Radiograph, Structure, Study, Technique
from isoalign.simulators.body_scan import ScanGrid, couch, scan, trunk
from isoalign.simulators.panel_image import expose
from isoalign.simulators.scene import ImagerTruth, Scene, SceneVolume

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PATIENT = Patient("P1", "Phantom^Trunk", "", "O")
SETUP = TableTopPosition(Representation.IEC_61217, 5.0, 690.0, -115.0)
ISOCENTRE_MM = np.array([4.0, -6.0, 8.0])
GRID = ScanGrid((80, 80, 110), (2.0, 2.0, 2.0))
PLANTED = (4.0, -3.0, 2.0, 1.0, -0.8, 1.2)
AXES = ("x_mm", "y_mm", "z_mm", "pitch_deg", "roll_deg", "patient_support_angle_deg")
SQUARE_MM = np.array([[-40.0, -40.0, 0.0], [40.0, -40.0, 0.0], [40.0, 40.0, 0.0], [-40.0, 40.0, 0.0]])


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A planning CT, its plan and structure set; kV images and a CT of the day with the same planted error."""
    folder = tmp_path_factory.mktemp("match")
    for name in ("ct", "day"):
        (folder / name).mkdir()
    identity = Pose.identity(DicomPatient, DicomPatient)
    volume = scan(trunk(0), identity, GRID, still=couch())
    box = Structure(
        1, "Target", "PTV", "CLOSED_PLANAR", tuple(SQUARE_MM + np.array([0, 0, z]) for z in (-21.0, -1.0, 19.0))
    )
    made = build_case(volume, [box], ISOCENTRE_MM, patient=PATIENT, created_at=NOW, table_top=SETUP)
    for number, one in enumerate(made.ct):
        write_file(one, folder / "ct" / f"{number}.dcm")
    write_file(made.plan, folder / "plan.dcm")
    write_file(made.structure_set, folder / "structures.dcm")

    planned = planned_fixed_from_dicom(PatientPosition.HFS, ISOCENTRE_MM)
    error = setup_error(*PLANTED)
    context = ExportContext(read_plan(made.plan), 1, VerificationFrame(PatientPosition.HFS, SETUP), "SIMULATOR")
    imagers = {
        name: ImagerTruth(angle, rows=280, columns=280, pixel_mm=1.4) for name, angle in (("A", 0.0), ("B", 90.0))
    }
    scene = Scene(
        imagers=imagers,
        seed=1,
        volume=SceneVolume(np.asarray(volume.hounsfield, np.int16), volume.dicom_from_index),
        table_from_dicom=fixed_from_table(SETUP).inverse() @ error @ planned,
        fixed_table_position=SETUP,
    )
    technique = Technique(100.0, 100.0, 50.0)
    for number, (name, imager) in enumerate(imagers.items(), 1):
        pixels = expose(scene, name, scene.fixed_pose(), technique, 1)
        radiograph = Radiograph(pixels, imager.geometry(), Acquisition(name, 1, technique, NOW, SETUP))
        image = build_rt_image(radiograph, context, series=Series(1), instance_number=number, created_at=NOW)
        write_file(image, folder / f"{name}.dcm")

    # the machine's isocentre is the origin of the CT of the day, whose axes are those of the planning CT
    turned = fixed_rotation_from_dicom(PatientPosition.HFS)
    of_day = Pose(DicomPatient, DicomPatient, turned.T @ error.rotation @ turned, turned.T @ error.translation_mm)
    to_isocentre = Pose(DicomPatient, DicomPatient, np.eye(3), -ISOCENTRE_MM)
    day = scan(trunk(0), of_day @ to_isocentre, GRID, still=couch())
    images = build_ct_images(day, patient=PATIENT, study=Study("1.2.3"), series=Series(2), created_at=NOW)
    for number, one in enumerate(images):
        write_file(one, folder / "day" / f"{number}.dcm")
    return folder


Run = Callable[..., tuple[int, Any, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    def call(*arguments: object) -> tuple[int, Any, str]:
        code = main(["match", *map(str, arguments), "--out", str(tmp_path / "m.html"), "--json"])
        captured = capsys.readouterr()
        page = (tmp_path / "m.html").read_text(encoding="utf-8") if (tmp_path / "m.html").exists() else ""
        return code, json.loads(captured.out), page

    return call


def test_kv_images_of_files_tell_the_planted_error_and_the_couch_move(case: Path, run: Run) -> None:
    code, document, page = run(case / "ct", case / "A.dcm", case / "B.dcm", "--plan", case / "plan.dcm")
    assert code == 0, document
    found = [document["setup_error"][axis] for axis in AXES]
    np.testing.assert_allclose(found, PLANTED, atol=0.35)
    # the couch takes back a shift along the fixed axes one to one, and turns by as much the other way
    target, start = document["target"]["iec61217"], document["start"]["iec61217"]
    assert start["longitudinal_mm"] == pytest.approx(690.0)
    assert target["patient_support_angle_deg"] == pytest.approx(-PLANTED[5], abs=0.3)
    assert target["pitch_deg"] == pytest.approx(-PLANTED[3], abs=0.3)
    assert "Imager 1 at 0°" in page
    assert page.count("data:image/png;base64,") == 3 * 4
    assert 'id="mode-blend"' in page


def test_a_volume_of_the_day_tells_the_same_error(case: Path, run: Run) -> None:
    code, document, page = run(case / "ct", case / "day", "--plan", case / "plan.dcm", "--capture-starts", "2")
    assert code == 0, document
    np.testing.assert_allclose([document["setup_error"][axis] for axis in AXES], PLANTED, atol=0.15)
    assert document["facts"]["Found again from displaced starts"].startswith("2 of 2")
    assert document["target"] is None
    assert page.count("data:image/png;base64,") == 3 * 6
    assert {"Transversal", "Coronal", "Sagittal"} <= set(page.replace("<", " ").replace(">", " ").split())


def test_region_around_a_structure(case: Path, run: Run) -> None:
    given = ("--plan", case / "plan.dcm", "--structure-set", case / "structures.dcm", "--region")
    code, document, _ = run(case / "ct", case / "day", *given, "Target")
    assert code == 0, document
    np.testing.assert_allclose([document["setup_error"][axis] for axis in AXES], PLANTED, atol=0.3)
    code, document, _ = run(case / "ct", case / "day", *given, "Tumor")
    assert (code, document["error"]["code"]) == (3, "match.unusable-files")
    assert "Target" in document["error"]["hint"]


def test_pictures_before_and_at_the_match_differ_as_the_error_does(case: Path, run: Run) -> None:
    """A report whose two columns showed one pose would look right and tell nothing."""
    _, _, page = run(case / "ct", case / "day", "--plan", case / "plan.dcm")
    pictures = [part.split('"')[0] for part in page.split('href="data:image/png;base64,')[1:]]
    # for every plane: day and plan before, colour before, then the same at the match
    for plane in range(3):
        day_before, plan_before, _, day_match, plan_match, _ = pictures[6 * plane : 6 * plane + 6]
        assert day_before != day_match
        assert plan_before == plan_match


WRONG = [
    (["ct", "A.dcm"], [], 6, "match.number-of-views"),
    (["ct", "A.dcm", "A.dcm"], [], 6, "match.parallel-views"),
    (["ct", "day", "A.dcm"], [], 2, "cli.unusable-argument"),
    (["ct", "plan.dcm", "A.dcm"], [], 3, "dicom.wrong-object"),
    (["ct", "A.dcm", "B.dcm"], ["--region", "Target"], 2, "cli.unusable-argument"),
    (["ct", "A.dcm", "B.dcm"], ["--beam", "7"], 2, "cli.unusable-argument"),
]


@pytest.mark.parametrize(("files", "options", "expected", "error"), WRONG)
def test_what_cannot_be_matched_is_named(
    case: Path, run: Run, files: list[str], options: list[str], expected: int, error: str
) -> None:
    code, document, page = run(*(case / name for name in files), "--plan", case / "plan.dcm", *options)
    assert (code, document["error"]["code"]) == (expected, error)
    assert page == ""


def test_without_a_plan_an_isocentre_is_needed(case: Path, run: Run) -> None:
    code, document, _ = run(case / "ct", case / "day")
    assert (code, document["error"]["code"]) == (2, "cli.unusable-argument")
    code, document, _ = run(case / "ct", case / "day", "--isocentre", *ISOCENTRE_MM)
    assert code == 0
    np.testing.assert_allclose([document["setup_error"][axis] for axis in AXES], PLANTED, atol=0.15)


def test_a_volume_of_another_body_moves_nothing(case: Path, run: Run, tmp_path: Path) -> None:
    other = scan(trunk(7, size=0.8), Pose.identity(DicomPatient, DicomPatient), GRID)
    np.savez(
        tmp_path / "other.npz",
        hounsfield=other.hounsfield,
        origin_mm=other.origin_mm,
        spacing_mm=other.spacing_mm,
        axes=other.axes,
        patient_position="HFS",
        frame_of_reference_uid="1.9",
    )
    code, document, page = run(case / "ct", tmp_path / "other.npz", "--plan", case / "plan.dcm")
    assert code == 6
    assert document["verdict"] != "accepted"
    assert document["setup_error"] is None
    assert "no six numbers" in page


def test_a_file_that_is_no_volume_is_named(case: Path, run: Run, tmp_path: Path) -> None:
    (tmp_path / "x.npz").write_bytes(b"nothing")
    code, document, _ = run(case / "ct", tmp_path / "x.npz", "--plan", case / "plan.dcm")
    assert (code, document["error"]["code"]) == (3, "match.unusable-files")
