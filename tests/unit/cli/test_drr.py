"""``isoalign drr``: what is asked for is what is rendered, and every way of asking wrongly is named."""

from __future__ import annotations

import json
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from isoalign.cli import main
from isoalign.geometry import DicomPatient, Fixed, PatientPosition, Pose, ProjectionGeometry
from isoalign.records import Volume


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A CT of 3 x 5 x 7 voxels, and a projector that notes what it is asked for."""
    asked: dict[str, Any] = {}
    volume = Volume(
        hounsfield=np.zeros((3, 5, 7), dtype=np.int16),
        origin_mm=np.array([-30.0, -20.0, -10.0]),
        spacing_mm=np.array([10.0, 10.0, 10.0]),
        axes=np.eye(3),
        frame_of_reference_uid="1.2",
        patient_position=PatientPosition.HFS,
    )

    def render(_attenuation: object, geometry: ProjectionGeometry, pose: Pose[Fixed, DicomPatient]) -> Any:
        asked.update(geometry=geometry, pose=pose)
        image = np.zeros((geometry.grid.rows, geometry.grid.columns), dtype=np.float32)
        image[1, 2] = 3.0
        return image

    cases = types.ModuleType("isoalign.room.cases")
    cases.load_ct_folder = lambda _folder: (volume, ("slices of varying distance",))  # type: ignore[attr-defined]
    cases.load_plan_file = None  # type: ignore[attr-defined]
    cases.write_drr_dicom = lambda path, *_images, **facts: asked.update(written=path, **facts)  # type: ignore[attr-defined]
    imaging = types.ModuleType("isoalign.imaging")
    imaging.beam_quality = lambda energy: asked.update(energy=energy)  # type: ignore[attr-defined]
    imaging.attenuation_volume = lambda given, _beam: given  # type: ignore[attr-defined]
    imaging.bone_weighted = lambda given: asked.update(style="bone") or given  # type: ignore[attr-defined,func-returns-value]
    imaging.render_drr = render  # type: ignore[attr-defined]
    imaging.render_maximum = lambda *given: asked.update(style="maximum") or render(*given)  # type: ignore[attr-defined,func-returns-value]
    monkeypatch.setitem(sys.modules, "isoalign.room.cases", cases)
    monkeypatch.setitem(sys.modules, "isoalign.imaging", imaging)
    monkeypatch.setattr("isoalign.imaging", imaging, raising=False)
    return asked


def test_without_a_plan_the_middle_of_the_ct_is_the_isocentre(room: dict[str, Any], tmp_path: Path) -> None:
    out = tmp_path / "a.png"
    assert main(["drr", "ct", "--out", str(out), "--rows", "20", "--columns", "10", "--gantry-angle", "-90"]) == 0
    assert np.allclose(room["pose"].apply((0.0, 0.0, 0.0)), (0, 0, 0))  # (-30 + 3*10, -20 + 2*10, -10 + 1*10)
    assert np.allclose(room["geometry"].source_mm, (-1000, 0, 0))
    with Image.open(out) as picture:
        assert picture.size == (10, 20)
        assert np.argmax(np.asarray(picture)) == 1 * 10 + 2


def test_a_named_isocentre_may_be_negative(
    room: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["drr", "ct", "--isocentre", "-5", "2.5", "-7", "--out", str(tmp_path / "a.png"), "--bits", "8", "--json"]
    assert main(line) == 0
    assert np.allclose(room["pose"].apply((-5, 2.5, -7)), (0, 0, 0))
    assert json.loads(capsys.readouterr().out)["isocentre_mm"] == [-5, 2.5, -7]


def test_the_ending_chooses_dicom(room: dict[str, Any], tmp_path: Path) -> None:
    assert main(["drr", "ct", "--out", str(tmp_path / "a.dcm")]) == 0
    assert room["written"] == tmp_path / "a.dcm"
    assert room["ct_folder"] == Path("ct")


@pytest.mark.parametrize("style", ["bone", "maximum"])
def test_styles_and_floating_point(room: dict[str, Any], tmp_path: Path, style: str) -> None:
    out = tmp_path / "a.npy"
    assert main(["drr", "ct", "--out", str(out), "--style", style, "--energy", "80"]) == 0
    assert room["style"] == style
    assert room["energy"] == 80.0
    found = np.load(out)
    assert found.dtype == np.float32
    assert found[1, 2] == 3.0


@pytest.mark.parametrize("wrong", [["--out", "a.jpg"], ["--bits", "12"], ["--style", "x-ray"]])
def test_what_cannot_be_written_is_refused_before_anything_is_read(
    room: dict[str, Any], wrong: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["drr", "ct", *wrong]) == 2
    assert "cli.unusable-argument" in capsys.readouterr().err
    assert room == {}


def test_an_impossible_imager_is_refused(room: dict[str, Any], tmp_path: Path) -> None:
    assert main(["drr", "ct", "--sad", "1500", "--sid", "1000", "--out", str(tmp_path / "a.png")]) == 3
    assert list(tmp_path.iterdir()) == []


def test_advice_about_the_ct_reaches_the_user(
    room: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Regression: that slices of varying distance had been interpolated was not told."""
    assert room == {}
    assert main(["drr", "ct", "--out", str(tmp_path / "a.npy"), "--json"]) == 0
    shown = capsys.readouterr()
    assert "slices of varying distance" in shown.err
    assert json.loads(shown.out)["warnings"] == ["slices of varying distance"]
