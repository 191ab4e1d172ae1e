"""``isoalign config``: what it writes it accepts, and what is wrong it names by its path."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from isoalign.cli import main


def test_the_example_that_show_writes_is_valid(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["config", "show"]) == 0
    Path("room.toml").write_text(capsys.readouterr().out, encoding="utf-8")
    assert main(["config", "check"]) == 0
    assert capsys.readouterr().out == "room.toml: valid\n"
    assert main(["config", "check", "room.toml", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["valid"] is True


def test_show_with_a_file_prints_every_value(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "show", "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["couch"]["baud"] == 921600
    assert len(values["imager"]) == 2


def test_an_unknown_key_is_an_error_that_names_its_path(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["config", "show"]) == 0
    text = capsys.readouterr().out.replace("baud = 921600", "bawd = 921600")
    (tmp_path / "room.toml").write_text(text, encoding="utf-8")
    assert main(["config", "check", str(tmp_path / "room.toml")]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "couch.bawd" in captured.err


def test_a_missing_file_is_an_error(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["config", "check", str(tmp_path / "none.toml")]) == 2
    assert "none.toml" in capsys.readouterr().err
