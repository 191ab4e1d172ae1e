"""The commands and the scripts of couch kinematics, channels, detector and daily check on their golden inputs."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pyarrow.csv
import pytest

from isoalign.calibration import CouchCorrection, RoomKey, RoomSeal, detector_corrections, read_record
from isoalign.cli import main
from isoalign.clock import SystemClock

FOLDER = Path(__file__).parents[3] / "calibration"
GOLDEN = {
    "kinematics": ("couch_kinematics", "measurements.json", "couch kinematics"),
    "two-channels": ("two_channels", "recording.json", "couch channels and stops"),
    "daily-check": ("daily_check", "shadows.json", "daily check"),
    "detector": ("detector", "frames.npz", "detector"),
}


@pytest.fixture
def key(tmp_path: Path) -> Path:
    file = tmp_path / "room.pem"
    RoomKey.generate().save(file)
    return file


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"script_{name}", FOLDER / name / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("command", GOLDEN)
def test_a_command_ends_in_a_signed_record_a_report_and_a_table(
    command: str, key: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, file, kind = GOLDEN[command]
    record, report, table = tmp_path / "record.json", tmp_path / "report.pdf", tmp_path / "table.csv"
    arguments = ["calibrate", command, str(FOLDER / folder / "golden" / file), "--json"]
    arguments += ["--record", str(record), "--key", str(key), "--report", str(report), "--table", str(table)]
    arguments += ["--valid-days", "9000", "--operator", "physicist"]
    if command == "detector":
        arguments += ["--arrays", str(tmp_path / "maps.npz")]
    assert main(arguments) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["record"]["kind"] == kind
    assert report.read_bytes().startswith(b"%PDF")
    assert len(report.read_bytes()) > 20_000
    assert pyarrow.csv.read_csv(table).num_rows >= 3
    opened = read_record(record, RoomSeal.load(tmp_path / "room.pem.pub"), now=SystemClock().utc(), kind=kind)
    assert opened.notes["operator"] == "physicist"
    if command == "kinematics":
        CouchCorrection.from_record(opened)
    if command == "detector":
        assert list(detector_corrections(opened, (tmp_path / "maps.npz").read_bytes())) == ["A"]


@pytest.mark.parametrize("command", GOLDEN)
def test_a_script_ends_in_a_signed_record(
    command: str, key: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, file, _ = GOLDEN[command]
    monkeypatch.chdir(tmp_path)
    where = [str(FOLDER / folder / "golden" / file)]
    source = where if command == "detector" else ["--measured", *where]
    assert script(folder).main([*source, "--key", str(key), "--record", "record.json"]) == 0
    assert json.loads((tmp_path / "record.json").read_text())["signature"]["algorithm"] == "Ed25519"
    absent = [str(tmp_path / "absent")]
    assert script(folder).main(absent if command == "detector" else ["--measured", *absent]) == 9
    assert "calibration.invalid-record" in capsys.readouterr().err


def test_a_trend_is_made_of_proved_records(key: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    history = tmp_path / "history"
    history.mkdir()
    golden = str(FOLDER / "daily_check" / "golden" / "shadows.json")
    keep = ["--record", str(history / "yesterday.json"), "--key", str(key)]
    assert main(["calibrate", "daily-check", golden, *keep]) == 0
    capsys.readouterr()
    proof = ["--history", str(history), "--seal", str(tmp_path / "room.pem.pub")]
    assert main(["calibrate", "daily-check", golden, *proof]) == 0
    assert "Trend" in capsys.readouterr().out
    stored = json.loads((history / "yesterday.json").read_text())
    stored["content"]["result"]["shift"]["lateral_mm"] = 0.0
    (history / "yesterday.json").write_text(json.dumps(stored))
    assert main(["calibrate", "daily-check", golden, *proof]) == 9
    assert "changed after it was signed" in capsys.readouterr().err


def test_nothing_to_measure_is_said_in_plain_words(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("kinematics", "two-channels", "daily-check"):
        assert main(["calibrate", command]) != 0
        assert "nothing to measure" in capsys.readouterr().err


def test_a_detector_has_one_source(capsys: pytest.CaptureFixture[str]) -> None:
    golden = str(FOLDER / "detector" / "golden" / "frames.npz")
    for words in ([], [golden, "--simulate"], [golden, "--config", "room.toml"]):
        assert main(["calibrate", "detector", *words]) == 2
        assert "name one source" in capsys.readouterr().err
