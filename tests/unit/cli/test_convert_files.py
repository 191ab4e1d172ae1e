"""``isoalign convert --file`` as a user meets it: messages, exit codes, nothing half-written."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from isoalign.cli import main

HEADER = "lateral_mm,longitudinal_mm,vertical_mm,pitch_deg,roll_deg,patient_support_angle_deg"
THERE = ["--from", "iec61217", "--to", "isocentric"]
BACK = ["--from", "isocentric", "--to", "iec61217"]


@pytest.fixture
def positions(tmp_path: Path) -> Path:
    path = tmp_path / "positions.csv"
    path.write_text(f"{HEADER},note\n-12.5,700,-120,-1.5,2,0,a\n1,2,3,4,5,350,b\n", encoding="utf-8")
    return path


def convert(source: Path, output: Path, *options: str) -> int:
    return main(["convert", "--file", str(source), "--output", str(output), *options])


def test_there_and_back_by_way_of_parquet(positions: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert convert(positions, tmp_path / "there.parquet", *THERE) == 0
    captured = capsys.readouterr()
    assert captured.out == f"{tmp_path / 'there.parquet'}\n"
    assert "2 positions from IEC 61217 to Isocentric Standard" in captured.err
    there = pq.read_table(tmp_path / "there.parquet")
    main(["convert", "-12.5", "700", "-120", "--pitch", "-1.5", "--roll", "2", "--json"])
    alone = json.loads(capsys.readouterr().out)["to"]
    assert there["vertical_mm"][0].as_py() == pytest.approx(alone["vertical_mm"], abs=1e-12), "as a single position"
    assert convert(tmp_path / "there.parquet", tmp_path / "back.csv", *BACK) == 0
    first = (tmp_path / "back.csv").read_text(encoding="utf-8").splitlines()[1].split(",")
    assert [float(value) for value in first[:6]] == pytest.approx([-12.5, 700, -120, -1.5, 2, 0], abs=1e-9)
    assert first[6:] == ["a", "iec61217"]


def test_json_says_what_was_done(positions: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert convert(positions, tmp_path / "out.csv", *THERE, "--json") == 0
    assert json.loads(capsys.readouterr().out) == {
        "schema": "isoalign.file-conversion/1",
        "file": str(positions),
        "output": str(tmp_path / "out.csv"),
        "from": "iec61217",
        "to": "isocentric",
        "rows": 2,
        "level_axes": [],
    }


def test_what_level_takes_for_granted_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "flat.csv"
    source.write_text("lateral_mm,longitudinal_mm,vertical_mm\n1,2,3\n", encoding="utf-8")
    assert convert(source, tmp_path / "out.csv", *THERE) == 3
    assert "--level" in capsys.readouterr().err
    assert convert(source, tmp_path / "out.csv", *THERE, "--level") == 0
    told = capsys.readouterr().err
    assert "1 position from" in told
    assert "pitch, roll, patient support angle" in told


def test_a_bad_value_ends_with_code_place_and_range(
    positions: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    positions.write_text(positions.read_text().replace("1,2,3,4", "1,,3,4"), encoding="utf-8")
    assert convert(positions, tmp_path / "out.csv", *THERE, "--json") == 3
    captured = capsys.readouterr()
    assert "row 2 (line 3): longitudinal_mm is empty; it must be a number between -10000 and 10000 mm" in captured.err
    assert "Traceback" not in captured.err
    error = json.loads(captured.out)["error"]
    assert error["code"] == "positions.value"
    assert error["facts"]["row"] == 2
    assert not (tmp_path / "out.csv").exists()


def test_an_existing_output_is_kept_without_force(
    positions: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out.csv"
    output.write_text("mine", encoding="utf-8")
    assert convert(positions, output, *THERE) == 2
    assert "--force" in capsys.readouterr().err
    assert output.read_text(encoding="utf-8") == "mine"
    assert convert(positions, output, *THERE, "--force") == 0


def test_scales_that_cannot_be_used_are_refused_before_anything_is_written(
    positions: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for names, code in ((("iec61217", "iba"), "unverified-scale"), (("cid9569", "iec61217"), "mismatch")):
        assert convert(positions, tmp_path / "out.csv", "--from", names[0], "--to", names[1]) == 3
        assert code in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["positions.csv"]
    declared = ["--from", "cid9569", "--to", "iec61217", "--declare-cid9569-isocentric"]
    assert convert(positions, tmp_path / "out.csv", *declared) == 0


@pytest.mark.system
def test_control_c_leaves_nothing(tmp_path: Path) -> None:
    source, output = tmp_path / "many.csv", tmp_path / "out.csv"
    source.write_text(f"{HEADER}\n" + "-12.5,700,-120,-1.5,2,0\n" * 1_500_000, encoding="utf-8")
    line = [sys.executable, "-m", "isoalign.cli", "convert", "--file", str(source), "--output", str(output), *THERE]
    with subprocess.Popen(line, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 60
        while not list(tmp_path.glob(".out.csv.*")) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        assert process.poll() is None, "it was still at work"
        process.send_signal(signal.SIGINT)
        told = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert "interrupted" in told
    assert "Traceback" not in told
    assert [path.name for path in tmp_path.iterdir()] == ["many.csv"]
