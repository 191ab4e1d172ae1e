"""The commands around signed records, and what every calibration command does at its end."""

from __future__ import annotations

import json
import stat
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from isoalign.calibration import CalibrationRecord, GateFailed, RoomKey, RoomSeal, read_record, write_record
from isoalign.cli import main
from isoalign.cli.calibrate_outputs import Outputs, finish
from isoalign.cli.errors import UnusableArgument
from isoalign.reports.data_tables import columns_table
from isoalign.reports.document import Document
from isoalign.reports.errors import UnknownTableFormat

NOW = datetime.now(UTC).replace(microsecond=0)
RECORD = CalibrationRecord(
    kind="couch walk-out",
    version=1,
    method="known-angle rigid fit",
    measured_at=NOW - timedelta(days=1),
    valid_until=NOW + timedelta(days=30),
    devices={"couch": "C-7"},
    inputs_sha256="0" * 64,
    result={"walk_out_mm": 0.3},
    residuals={},
)
DOCUMENT = Document("Couch walk-out", "", "All gates hold.", good=True, blocks=[])
TABLE = columns_table({"angle_deg": [0.0, 45.0]})


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "room.key"
    assert main(["calibrate", "new-key", str(path)]) == 0
    return path


def outputs(folder: Path, room_key: Path, **changes: Any) -> Outputs:
    given = {"record": folder / "r.json", "key": room_key, "report": folder / "r.pdf", "table": folder / "t.csv"}
    return Outputs(**{**given, **changes})


def test_a_key_is_made_once(tmp_path: Path, key: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    before = key.read_bytes()
    assert main(["calibrate", "new-key", str(key)]) == 9
    assert key.read_bytes() == before
    assert main(["calibrate", "new-key", str(tmp_path / "b.key"), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["key_id"] == RoomSeal.load(said["public"]).key_id


def test_a_result_is_shown_written_and_signed(tmp_path: Path, key: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = outputs(tmp_path, key, operator="physicist", device=("imager A=P-1",), valid_days=7)
    given.require_usable()
    assert finish(RECORD, DOCUMENT, TABLE, given) == 0
    assert "All gates hold." in capsys.readouterr().out
    assert (tmp_path / "r.pdf").read_bytes().startswith(b"%PDF-")
    assert (tmp_path / "t.csv").read_text().startswith('"angle_deg"')
    kept = read_record(tmp_path / "r.json", RoomKey.load(key).seal, now=NOW)
    assert kept.devices == {"couch": "C-7", "imager A": "P-1"}
    assert kept.valid_until == RECORD.measured_at + timedelta(days=7)
    assert kept.notes["operator"] == "physicist"


def test_a_result_that_fails_is_shown_and_never_signed(tmp_path: Path, key: Path) -> None:
    with pytest.raises(GateFailed, match="residual"):
        finish(replace(RECORD, failures=("residual too large",)), DOCUMENT, TABLE, outputs(tmp_path, key))
    assert (tmp_path / "r.pdf").exists()
    assert not (tmp_path / "r.json").exists()


def test_json_is_the_record_alone(tmp_path: Path, key: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert finish(RECORD, DOCUMENT, TABLE, outputs(tmp_path, key, as_json=True)) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["record"] == RECORD.to_content()
    assert set(said["files"]) == {"report", "table", "record"}


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"key": None}, UnusableArgument),
        ({"record": None}, UnusableArgument),
        ({"report": Path("r.html")}, UnusableArgument),
        ({"table": Path("t.xlsx")}, UnknownTableFormat),
        ({"valid_days": 0.0}, UnusableArgument),
        ({"device": ("couch",)}, UnusableArgument),
    ],
)
def test_what_could_not_be_done_at_the_end_is_refused_at_the_beginning(
    tmp_path: Path, key: Path, changes: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        outputs(tmp_path, key, **changes).require_usable()


def test_verify_proves_a_record(tmp_path: Path, key: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record, seal = str(write_record(RECORD, tmp_path / "r.json", RoomKey.load(key))), f"{key}.pub"
    capsys.readouterr()
    assert main(["calibrate", "verify", record, "--seal", seal, "--device", "couch=C-7"]) == 0
    assert "couch walk-out" in capsys.readouterr().out
    assert main(["calibrate", "verify", record, "--seal", seal, "--device", "couch=C-8"]) == 9
    assert "calibration.foreign-record" in capsys.readouterr().err
    edited = json.loads(Path(record).read_text())
    edited["content"]["result"]["walk_out_mm"] = 0.0
    Path(record).write_text(json.dumps(edited))
    assert main(["calibrate", "verify", record, "--seal", seal]) == 9
    assert "calibration.tampered-record" in capsys.readouterr().err


def test_every_calibration_command_has_help(capsys: pytest.CaptureFixture[str]) -> None:
    from isoalign.cli.calibrate import COMMANDS

    for name in COMMANDS:
        assert main(["calibrate", name, "--help"]) == 0
        assert f"isoalign calibrate {name}" in capsys.readouterr().out
