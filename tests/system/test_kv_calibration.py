"""The calibration script on a simulated room: planted misalignments are recovered, judged by what was planted."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import isoalign
from isoalign.calibration import read_geometries
from isoalign.geometry import ImagerAxis, ProjectionGeometry
from isoalign.room.simulation import ImagerMisalignment

pytestmark = pytest.mark.system
FOLDER = Path(__file__).parents[2] / "calibration" / "kv_imager_geometry"
PLANTED = {
    "A": ImagerMisalignment(0.4, 0.3, -2.0, (3.5, -2.5), 0.8),
    "B": ImagerMisalignment(-0.3, -0.2, 1.5, (-4.0, 3.0), -0.6),
}
NEAR_ISOCENTRE = np.stack(np.meshgrid([-60, 0, 60], [-80, 0, 80], [-60, 0, 60]), -1).reshape(-1, 3)


def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("kv_imager_geometry", FOLDER / "kv_imager_geometry.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def planted_geometry(believed: ProjectionGeometry, off: ImagerMisalignment) -> ProjectionGeometry:
    axis = believed.axis
    assert axis is not None
    x, y = axis.receptor_translation_mm
    moved = ImagerAxis(
        axis.gantry_angle_deg + off.gantry_angle_deg,
        axis.sad_mm + off.sad_mm,
        axis.sid_mm + off.sid_mm,
        (x + off.receptor_translation_mm[0], y + off.receptor_translation_mm[1]),
        axis.receptor_angle_deg + off.receptor_angle_deg,
    )
    return ProjectionGeometry.from_axis(moved, believed.grid)


@pytest.mark.usefixtures("prepared_processes")
def test_the_script_recovers_planted_misalignments(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    believed: dict[str, ProjectionGeometry] = {}

    def misaligned_room(*arguments: Any, **options: Any) -> Any:
        room = open_room(*arguments, **options, misalignments=PLANTED)
        believed.update(room.machine_geometry())
        return room

    open_room = isoalign.open_room
    monkeypatch.setattr(isoalign, "open_room", misaligned_room, raising=False)
    record = tmp_path / "record.json"
    assert script().main(["--simulate", "--seed", "7", "--out", str(record), "--operator", "physicist"]) == 0
    assert "All gates hold" in capsys.readouterr().out
    stored = json.loads(record.read_text())
    assert stored["notes"]["operator"] == "physicist"
    assert max(stored["triangulation_errors_mm"]) <= 0.2
    assert all(one["rms_px"] <= 0.3 for one in stored["imagers"])
    geometries = read_geometries(record)
    assert list(geometries) == ["A", "B"]
    for name, off in PLANTED.items():
        truth = planted_geometry(believed[name], off)
        missed = np.linalg.norm(geometries[name].project(NEAR_ISOCENTRE) - truth.project(NEAR_ISOCENTRE), axis=-1)
        before = np.linalg.norm(believed[name].project(NEAR_ISOCENTRE) - truth.project(NEAR_ISOCENTRE), axis=-1)
        assert missed.max() < 0.3
        assert before.min() > 2.0


def test_the_script_on_its_golden_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = tmp_path / "record.json"
    assert script().main(["--shadows", str(FOLDER / "golden" / "shadows.json"), "--out", str(record)]) == 0
    assert record.exists()
    assert script().main(["--shadows", str(tmp_path / "absent.json"), "--out", str(tmp_path / "no.json")]) == 9
    assert "calibration.invalid-record" in capsys.readouterr().err
    assert not (tmp_path / "no.json").exists()
