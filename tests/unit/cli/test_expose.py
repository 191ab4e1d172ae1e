"""``isoalign expose`` before any X-rays: where nothing runs, and where nothing can be written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from isoalign.cli import main


def test_no_room_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert main(["expose", "A", "--output", str(tmp_path / "images"), "--json"]) == 5
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "device.no-daemon"


def test_a_folder_that_cannot_be_written_is_found_out_before_the_exposure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert main(["expose", "--output", str(tmp_path / "file" / "images"), "--socket", str(tmp_path / "none")]) == 2
    assert "cli.output-not-writable" in capsys.readouterr().err


@pytest.mark.parametrize("value", ["-5", "nan", "0"])
def test_a_technique_that_makes_no_sense(value: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["expose", "--tube-voltage-kv", value, "--output", str(tmp_path)]) in {2, 3, 5}
    told = capsys.readouterr().err
    assert "technique" in told or "voltage" in told
    assert "unexpected" not in told
