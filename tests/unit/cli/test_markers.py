"""``isoalign markers``: from files to JSON, a picture and an exit code."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from isoalign.cli import main
from isoalign.dicom.objects import Series, build_drr_image, write_file
from isoalign.geometry import PatientPosition, planned_fixed_from_dicom, setup_error
from isoalign.imaging import radiograph_line_integrals
from isoalign.records import Patient, Study
from isoalign.registration import PlannedMarkers
from isoalign.room import marker_files
from isoalign.simulators.marker_ct import marker_ct
from isoalign.simulators.marker_images import MarkerCamera, MarkerSolid

SEEDS_MM = np.array([[-14.0, 9.0, 6.0], [12.0, -6.0, 15.0], [3.0, 16.0, -13.0]])
SHIFT_MM = np.array([4.0, -3.0, 2.0])


@pytest.fixture
def images(tmp_path: Path) -> list[str]:
    """Two RT Images of three shifted balls, the views at right angles."""
    paths = []
    for number, angle in enumerate((0.0, 90.0)):
        camera = MarkerCamera(angle, 256, 256, 0.4)
        radiograph = camera.expose([MarkerSolid(point + SHIFT_MM).solid() for point in SEEDS_MM], number)
        dataset = build_drr_image(
            np.clip(radiograph_line_integrals(radiograph), 0.0, None),
            camera.geometry,
            patient=Patient("P"),
            study=Study("1.2.3"),
            series=Series(1),
            frame_of_reference_uid="1.2.4",
            patient_position=PatientPosition.HFS,
            isocentre_mm=(0.0, 0.0, 0.0),
            created_at=datetime(2026, 1, 1, tzinfo=UTC),
        )
        paths.append(str(write_file(dataset, tmp_path / f"{number}.dcm")))
    return paths


def test_markers_in_images_are_listed_and_drawn(
    images: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "found.png"
    assert main(["markers", "image", *images, "--picture", str(picture), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    true = MarkerCamera(0.0, 256, 256, 0.4).geometry.project(SEEDS_MM + SHIFT_MM)
    seen = np.array([(one["column"], one["row"]) for one in found["images"][0]["markers"]])
    assert np.linalg.norm(seen[:, None] - true, axis=-1).min(axis=1).max() < 0.2
    with Image.open(picture) as shown:
        assert shown.size == (2 * 256 + 8, 256)
    assert main(["markers", "image", images[0]]) == 0
    assert "3 markers" in capsys.readouterr().out


def test_two_images_are_matched_to_the_plan(
    images: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    planned = planned_fixed_from_dicom(PatientPosition.HFS, (0.0, 0.0, 0.0))
    markers = PlannedMarkers(("A", "B", "C"), planned.inverse().apply(SEEDS_MM), "1.2.4")
    plan = marker_files.MarkerPlan(markers, planned)
    monkeypatch.setattr(marker_files, "read_marker_plan", lambda *_given: plan)
    picture = tmp_path / "match.png"
    call = ["markers", "match", *images, "--plan", "p.dcm", "--structures", "s.dcm", "--picture", str(picture)]
    assert main([*call, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["verdict"] == "accepted"
    seen = [facts["setup_error"][name] for name in ("lateral_mm", "longitudinal_mm", "vertical_mm")]
    np.testing.assert_allclose(seen, SHIFT_MM, atol=0.3)
    assert picture.is_file()

    # a single planned marker: the translation, no rotations, and nothing that would move a couch by itself
    alone = PlannedMarkers(("A",), markers.points_mm[:1], "1.2.4")
    monkeypatch.setattr(
        marker_files,
        "read_marker_plan",
        lambda *_given: marker_files.MarkerPlan(alone, setup_error(*SHIFT_MM, 0, 0, 0) @ planned),
    )
    assert main(call) == 6
    shown = capsys.readouterr().out
    assert "doubtful" in shown
    assert shown.count("not available") == 3


def test_markers_in_a_ct_folder_are_listed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    case = marker_ct(1, markers=2, clutter=False, shape=(32, 56, 56))
    monkeypatch.setattr("isoalign.room.cases.load_ct_folder", lambda _folder: (case.volume, ()))
    assert main(["markers", "ct", "folder", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    centres = np.array([one["centre_mm"] for one in found["markers"]])
    assert np.linalg.norm(centres[:, None] - case.centres_mm, axis=-1).min(axis=1).max() < 0.2
    assert len(centres) == 2
    assert main(["markers", "ct", "folder"]) == 0
    assert capsys.readouterr().out.count("DICOM patient") == 2


def test_a_marker_that_cannot_be_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["markers", "ct", "folder", "--diameter", "-1"]) == 3
    assert "makes no sense" in capsys.readouterr().err
