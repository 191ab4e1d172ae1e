"""The calibration commands and scripts on their golden inputs, whose answers were computed without isoalign."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow.csv
import pytest

from isoalign.calibration import RoomKey, read_record
from isoalign.cli import main
from isoalign.clock import SystemClock
from isoalign.room.beam_images import read_beam_images
from isoalign.room.errors import NoBeamImages

FOLDER = Path(__file__).parents[3] / "calibration"
WALKOUT = FOLDER / "couch_walkout" / "golden"
WINSTON_LUTZ = FOLDER / "winston_lutz" / "golden"
SHADOWS = FOLDER / "kv_imager_geometry" / "golden" / "shadows.json"


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, FOLDER / name / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def truth(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "truth.json").read_text()))


@pytest.fixture
def key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    assert main(["calibrate", "new-key", str(tmp_path / "room.key")]) == 0
    capsys.readouterr()
    return tmp_path / "room.key"


def test_walkout_finds_what_was_planted(tmp_path: Path, key: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = {
        name: tmp_path / f"w.{ending}" for name, ending in (("record", "json"), ("report", "pdf"), ("table", "csv"))
    }
    options = [word for name, path in files.items() for word in (f"--{name}", str(path))]
    line = [
        "calibrate",
        "walkout",
        str(WALKOUT / "measurements.json"),
        *options,
        "--key",
        str(key),
        "--valid-days",
        "9000",
    ]
    assert main([*line, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["record"]["result"]
    planted = truth(WALKOUT)
    np.testing.assert_allclose(found["axis_mm"], planted["axis_mm"], atol=0.06)
    np.testing.assert_allclose(found["tilt_deg"], planted["lean_deg"], atol=0.1)
    np.testing.assert_allclose(found["sag_mm"], planted["sag_mm"], atol=0.1)
    assert found["outliers"] == [planted["outlier"]]
    kept = read_record(files["record"], RoomKey.load(key).seal, kind="couch walk-out", now=SystemClock().utc())
    assert kept.result["axis_mm"] == found["axis_mm"]
    assert files["report"].read_bytes().startswith(b"%PDF-")
    assert pyarrow.csv.read_csv(files["table"]).num_rows == 18


def test_winston_lutz_says_which_way_to_move(tmp_path: Path, key: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = ["calibrate", "winston-lutz", str(WINSTON_LUTZ), "--report", str(tmp_path / "wl.pdf")]
    assert main([*line, "--record", str(tmp_path / "wl.json"), "--key", str(key)]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    # the ball lies right, towards the observer and high: the table top goes the other way
    assert "0.62 mm left (−X); 0.41 mm towards the gantry (+Y); 0.87 mm down (−Z)" in shown
    assert main([*line, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["record"]["result"]
    np.testing.assert_allclose(found["ball_mm"], truth(WINSTON_LUTZ)["ball_mm"], atol=0.03)
    np.testing.assert_allclose(found["couch"]["axis_mm"], truth(WINSTON_LUTZ)["couch_axis_mm"], atol=0.04)


def test_the_move_is_said_in_the_scale_of_the_machine_or_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["calibrate", "winston-lutz", str(WINSTON_LUTZ), "--in"]
    assert main([*line, "varian-iec"]) == 3
    assert "geometry.unverified-scale" in capsys.readouterr().err
    assert main([*line, "iec61217"]) == 2
    capsys.readouterr()
    assert main(["config", "show"]) == 0
    axes = {"lateral": ("mm", 1), "longitudinal": ("cm", 1), "vertical": ("cm", -1)}
    stated = "[scale.ours]\nbased_on = 'varian-iec'\ntable_top_origin_mm = [0.0, 0.0, 0.0]\norigin_source = 'us'\n"
    for axis, (unit, sign) in axes.items():
        stated += f"[scale.ours.axes.{axis}]\nsign = {sign}\nunit = '{unit}'\nsource = 'us'\n"
    (tmp_path / "room.toml").write_text(capsys.readouterr().out + stated)
    assert main([*line, "ours", "--config", str(tmp_path / "room.toml")]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "lateral −0.62 mm; longitudinal +0.041 cm; vertical +0.087 cm" in shown


def test_kv_imager_on_its_golden_shadows(tmp_path: Path, key: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = ["calibrate", "kv-imager", str(SHADOWS), "--record", str(tmp_path / "kv.json"), "--key", str(key)]
    assert main([*line, "--report", str(tmp_path / "kv.pdf"), "--table", str(tmp_path / "kv.parquet")]) == 0
    assert "Imager A" in capsys.readouterr().out


def test_a_walkout_that_fails_its_gates_is_shown_and_not_signed(
    tmp_path: Path, key: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw = json.loads((WALKOUT / "measurements.json").read_text())
    for row in raw["measurements"]:
        row["point_mm"][0] += 5.0
    (tmp_path / "m.json").write_text(json.dumps(raw))
    record = tmp_path / "r.json"
    assert main(["calibrate", "walkout", str(tmp_path / "m.json"), "--record", str(record), "--key", str(key)]) == 9
    captured = capsys.readouterr()
    assert "Not signed: offset" in captured.out
    assert "calibration.gate-failed" in captured.err
    assert not record.exists()


def test_history_and_compare(tmp_path: Path, key: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a", "b"):
        record = str(tmp_path / f"{name}.json")
        line = ["calibrate", "walkout", str(WALKOUT / "measurements.json"), "--record", record, "--key", str(key)]
        assert main(line) == 0
    capsys.readouterr()
    seal = ["--seal", f"{key}.pub"]
    assert main(["calibrate", "history", str(tmp_path), *seal, "--report", str(tmp_path / "h.pdf")]) == 0
    assert "a.json" in capsys.readouterr().out
    assert (tmp_path / "h.pdf").exists()
    assert main(["calibrate", "history", str(tmp_path), *seal, "--table", str(tmp_path / "h.csv"), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["records"]) == 2
    assert main(["calibrate", "compare", str(tmp_path / "a.json"), str(tmp_path / "b.json"), *seal, "--json"]) == 0
    figure = json.loads(capsys.readouterr().out)["figures"]["axis_mm[0]"]
    assert figure["old"] == figure["new"]
    assert main(["calibrate", "history", str(tmp_path), *seal, "--kind", "daily"]) == 2
    assert main(["calibrate", "history", str(tmp_path), *seal, "--figure", "no"]) == 2


@pytest.mark.parametrize("line", [["walkout"], ["walkout", "a.json", "--simulate"], ["kv-imager"]])
def test_one_source_must_be_named(line: list[str]) -> None:
    assert main(["calibrate", *line]) == 2


def test_the_scripts_on_their_golden_inputs(tmp_path: Path, key: Path, capsys: pytest.CaptureFixture[str]) -> None:
    walkout, winston_lutz = script("couch_walkout"), script("winston_lutz")
    out = ["--key", str(key), "--out", str(tmp_path / "w.json"), "--report", str(tmp_path / "w.pdf")]
    line = [
        "--measurements",
        str(WALKOUT / "measurements.json"),
        *out,
        "--operator",
        "physicist",
        "--couch-serial",
        "C-7",
    ]
    assert walkout.main(line) == 0
    assert json.loads((tmp_path / "w.json").read_text())["content"]["devices"] == {"couch": "C-7"}
    assert walkout.main(["--measurements", str(tmp_path / "absent.json")]) == 9
    assert "calibration.invalid-record" in capsys.readouterr().err
    out = ["--key", str(key), "--out", str(tmp_path / "wl.json"), "--report", str(tmp_path / "wl.pdf")]
    assert winston_lutz.main([str(WINSTON_LUTZ), *out]) == 0
    assert json.loads((tmp_path / "wl.json").read_text())["content"]["kind"] == "Winston-Lutz"


def test_a_folder_without_images_is_told(tmp_path: Path) -> None:
    with pytest.raises(NoBeamImages):
        read_beam_images(tmp_path)
    (tmp_path / "a.dcm").write_bytes(b"nothing at all")
    assert main(["calibrate", "winston-lutz", str(tmp_path)]) == 3
