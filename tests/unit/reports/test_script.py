"""The scripts in ``calibration/`` end alike: gates in words, a PDF, a record signed or refused, an exit code."""

from __future__ import annotations

import argparse
import importlib.util
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from isoalign.calibration import RoomKey, RoomSeal, read_daily_measurements, read_record_of_any_time
from isoalign.calibration.daily_check import check_day, daily_record
from isoalign.errors import IsoalignError
from isoalign.reports import add_outputs, daily_document, finish_script, progress_line, run_script, script_parser

SCRIPTS = Path(__file__).parents[3] / "calibration"
SHADOWS = SCRIPTS / "daily_check" / "golden" / "shadows.json"


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"script_{name}", SCRIPTS / name / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def options(*words: str) -> argparse.Namespace:
    parser = script_parser("a procedure", measured="shadows")
    add_outputs(parser, record="record.json")
    return parser.parse_args(["--measured", "file", *words])


def test_a_script_measures_judges_and_signs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, seal = RoomKey.generate().save(tmp_path / "key")
    record, report = tmp_path / "record.json", tmp_path / "report.pdf"
    words = ["--measured", str(SHADOWS), "--key", str(tmp_path / "key"), "--record", str(record)]
    assert script("daily_check").main([*words, "--report", str(report)]) == 0
    said = capsys.readouterr().out
    assert "All within tolerance." in said
    assert f"Record: {record}" in said
    assert read_record_of_any_time(record, RoomSeal.load(seal)).kind == "daily check"
    assert report.read_bytes().startswith(b"%PDF")


def test_gates_that_fail_end_with_nine_and_sign_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = check_day(read_daily_measurements(SHADOWS))
    failed = replace(daily_record(result), failures=("setup lateral 3.00 mm",))
    assert finish_script(options(), failed, daily_document(result)) == 9
    assert "setup lateral 3.00 mm" in capsys.readouterr().out
    RoomKey.generate().save(tmp_path / "key")
    record = tmp_path / "record.json"
    with pytest.raises(IsoalignError, match="not signed"):
        finish_script(options("--key", str(tmp_path / "key"), "--record", str(record)), failed, daily_document(result))
    assert not record.exists()


def test_an_error_is_told_with_its_code_and_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    code = script("two_channels").main(["--measured", "/nowhere/recording.json"])
    said = capsys.readouterr()
    assert code == 9
    assert said.out == ""
    assert said.err.startswith("calibration.invalid-record: ")
    assert len(said.err.splitlines()) == 2


def test_one_source_must_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    parser = script_parser("a procedure", measured="shadows")
    with pytest.raises(SystemExit):
        run_script(parser, [], lambda _options: 0)
    with pytest.raises(SystemExit):
        run_script(parser, ["--simulate", "--measured", "file"], lambda _options: 0)
    assert "--simulate" in capsys.readouterr().err
    assert run_script(parser, ["--simulate", "--seed", "4"], lambda given: int(given.seed)) == 4


def test_progress_is_one_line_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_line() as told:
        told("pose 1 of 2", 0.25)
        told("pose 2 of 2", 0.5)
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert " 50.0 %  pose 2 of 2" in said.err


def test_the_walk_out_of_the_golden_input_holds_its_gates(capsys: pytest.CaptureFixture[str]) -> None:
    golden = SCRIPTS / "couch_walkout" / "golden" / "measurements.json"
    assert script("couch_walkout").main(["--measurements", str(golden)]) == 0
    assert "All gates hold." in capsys.readouterr().out
