"""``isoalign demo``: options go to the room as they were given; what comes back decides the exit code."""

from __future__ import annotations

import json
import sys
import types
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from isoalign.cli import main
from isoalign.errors import MatchError
from isoalign.records import Outcome, SessionRecord


class _Room:
    """Stands in for isoalign.room.demo."""

    def __init__(self, record: SessionRecord) -> None:
        self.record = record
        self.options: Any = None
        self.error: BaseException | None = None

    def run_demo(self, options: Any, on_event: Any) -> SessionRecord:
        self.options = options
        on_event("begin", "Starting the processes", None)
        on_event("progress", "", 0.5)
        on_event("done", "7 processes", None)
        on_event("warning", "a [bracket] is text", None)
        if self.error is not None:
            raise self.error
        return self.record


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch, bare_record: SessionRecord) -> _Room:
    @dataclass(frozen=True)
    class DemoOptions:
        output: Path
        case: Path | None
        plan: str | None
        structure_set: str | None
        seed: int
        offset: tuple[float, ...] | None
        archive: str
        config: Path | None
        in_room_ct: bool
        support_angle_deg: float
        machine_errors: bool
        calibrate: bool
        match: str | None

    stand_in = _Room(bare_record)
    module = types.ModuleType("isoalign.room.demo")
    module.DemoOptions = DemoOptions  # type: ignore[attr-defined]
    module.run_demo = stand_in.run_demo  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "isoalign.room.demo", module)
    return stand_in


def test_options_reach_the_room(room: _Room, tmp_path: Path) -> None:
    case = tmp_path / "case"
    case.mkdir()
    line = ["demo", "--case", str(case), "--seed", "7", "--archive", "orthanc", "--output", str(tmp_path / "out")]
    offset = ["--offset", "-1", "2.5", "-3", "-0.5", "0.25", "1"]
    assert main([*line, *offset, "--structure-set", "1.2.3", "--in-room-ct"]) == 0
    assert room.options.in_room_ct
    assert room.options.case == case
    assert room.options.seed == 7
    assert room.options.archive == "orthanc"
    assert room.options.offset == (-1.0, 2.5, -3.0, -0.5, 0.25, 1.0)
    assert room.options.structure_set == "1.2.3"


def test_options_of_the_made_case_and_the_machine(room: _Room, tmp_path: Path) -> None:
    line = ["demo", "--output", str(tmp_path / "out"), "--support-angle", "-12.5"]
    assert main([*line, "--machine-errors", "--calibrate"]) == 0
    assert (room.options.support_angle_deg, room.options.machine_errors, room.options.calibrate) == (-12.5, True, True)
    assert main([*line, "--case", str(tmp_path)]) == 2


def test_how_pairs_are_matched_reaches_the_room(room: _Room, tmp_path: Path) -> None:
    assert main(["demo", "--output", str(tmp_path), "--match", "markers"]) == 0
    assert room.options.match == "markers"
    assert main(["demo", "--output", str(tmp_path)]) == 0
    assert room.options.match is None
    assert main(["demo", "--output", str(tmp_path), "--match", "bones"]) == 2


def test_report_and_record_are_written_and_named(
    room: _Room, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", "--output", str(tmp_path)]) == 0
    captured = capsys.readouterr()
    assert str(tmp_path / "report.html") in captured.out.replace("\n", "")
    assert "✓ aligned" in captured.out
    assert (tmp_path / "report.html").is_file()
    assert json.loads((tmp_path / "record.json").read_text())["outcome"] == "aligned"
    assert "✓ Starting the processes: 7 processes" in captured.err
    assert "a [bracket] is text" in captured.err


def test_json_is_the_only_thing_on_standard_output(
    room: _Room, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", "--output", str(tmp_path), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "isoalign.session/1"
    assert document["report"] == str(tmp_path / "report.html")


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        (Outcome.ALIGNED, 0),
        (Outcome.ALIGNED_IN_PART, 0),
        (Outcome.OUT_OF_TOLERANCE, 7),
        (Outcome.MATCH_REFUSED, 6),
        (Outcome.HELD, 7),
        (Outcome.FAILED, 7),
    ],
)
def test_exit_code_follows_the_outcome(room: _Room, tmp_path: Path, outcome: Outcome, code: int) -> None:
    room.record = replace(room.record, outcome=outcome)
    assert main(["demo", "--output", str(tmp_path)]) == code


def test_an_error_leaves_no_report(room: _Room, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    room.error = MatchError("no trustworthy match")
    assert main(["demo", "--output", str(tmp_path), "--json"]) == 6
    captured = capsys.readouterr()
    assert json.loads(captured.out)["error"]["code"] == "match.error"
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_ends_with_130(room: _Room, tmp_path: Path) -> None:
    room.error = KeyboardInterrupt()
    assert main(["demo", "--output", str(tmp_path)]) == 130


def test_a_case_that_is_no_folder_is_refused(room: _Room, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--case", str(tmp_path / "missing")]) == 2
    assert "cli.unusable-argument" in capsys.readouterr().err
    assert room.options is None


def test_an_output_folder_that_cannot_be_made_is_refused(
    room: _Room, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert main(["demo", "--output", str(tmp_path / "file" / "out")]) == 2
    assert "cli.output-not-writable" in capsys.readouterr().err
