"""Records over time: what can be used, what changed."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from isoalign.calibration import (
    CalibrationRecord,
    InvalidCalibrationRecord,
    RecordTampered,
    RoomKey,
    differences,
    figures,
    read_history,
    read_record_of_any_time,
    write_record,
)

NOW = datetime(2026, 6, 1, tzinfo=UTC)
KEY = RoomKey.generate()


def record(days_ago: int, x_mm: float) -> CalibrationRecord:
    measured = NOW - timedelta(days=days_ago)
    return CalibrationRecord(
        kind="couch walk-out",
        version=1,
        method="m",
        measured_at=measured,
        valid_until=measured + timedelta(days=90),
        devices={},
        inputs_sha256="",
        result={"axis_mm": [x_mm, 0.5], "tilt_deg": None, "table": [[0.0, 1.0]], "deep": {"a": 1}, "flag": True},
        residuals={"rms_mm": 0.1, "mm": [0.0] * 20},
    )


def test_figures_are_the_single_numbers() -> None:
    assert figures(record(1, 0.25)) == {"axis_mm[0]": 0.25, "axis_mm[1]": 0.5, "deep.a": 1.0, "rms_mm": 0.1}


def test_a_history_is_in_order_and_says_what_cannot_be_used(tmp_path: Path) -> None:
    write_record(record(2, 0.4), tmp_path / "a.json", KEY)
    write_record(record(200, 0.1), tmp_path / "b.json", KEY)
    write_record(record(50, 0.2), tmp_path / "c.json", RoomKey.generate())
    write_record(record(20, 0.3), tmp_path / "d.json", KEY)
    edited = json.loads((tmp_path / "d.json").read_text())
    edited["content"]["result"]["axis_mm"] = [9.0, 9.0]
    (tmp_path / "d.json").write_text(json.dumps(edited))
    write_record(replace(record(1, 0.0), kind="other"), tmp_path / "e.json", KEY)
    (tmp_path / "f.json").write_text("no record")
    kept = read_history(tmp_path, KEY.seal, kind="couch walk-out", now=NOW)
    assert [one.file.name for one in kept] == ["b.json", "c.json", "d.json", "a.json"]
    assert [bool(one.refused) for one in kept] == [True, True, True, False]
    assert "valid from" in kept[0].refused
    assert "signed with the key" in kept[1].refused
    assert "changed" in kept[2].refused


def test_differences_name_what_is_not_available() -> None:
    old, new = record(10, 0.1), replace(record(1, 0.4), residuals={})
    changed = differences(old, new)
    assert changed["axis_mm[0]"] == (0.1, 0.4)
    assert changed["rms_mm"] == (0.1, None)
    with pytest.raises(InvalidCalibrationRecord, match="compared"):
        differences(old, replace(new, kind="other"))


def test_an_expired_record_can_be_looked_at_and_a_changed_one_cannot(tmp_path: Path) -> None:
    path = write_record(record(500, 0.1), tmp_path / "a.json", KEY)
    assert read_record_of_any_time(path, KEY.seal) == record(500, 0.1)
    path.write_text(path.read_text().replace("0.1", "0.2"))
    with pytest.raises(RecordTampered):
        read_record_of_any_time(path, KEY.seal)
    path.write_text("{}")
    with pytest.raises(InvalidCalibrationRecord):
        read_record_of_any_time(path, KEY.seal)
