"""Every way out of the program is an exit code with a message, never a traceback."""

from __future__ import annotations

import json
import re
import sys
import types
from pathlib import Path

import pytest

from isoalign.cli import main
from isoalign.cli.program import COMMANDS
from isoalign.errors import DeviceError, RemoteError


class CouchSilent(DeviceError):
    """A stand-in."""

    code = "device.test-silent"
    default_hint = "Check the cable."


@pytest.fixture
def failing_command(monkeypatch: pytest.MonkeyPatch) -> list[BaseException]:
    """``isoalign warmup`` raises what is put into the list."""
    raised: list[BaseException] = []

    def warmup() -> int:
        """Fail."""
        raise raised[0]

    module = types.ModuleType("isoalign.cli.warmup")
    module.warmup = warmup  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "isoalign.cli.warmup", module)
    return raised


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in COMMANDS)
    assert "not a cleared medical device" in " ".join(shown.split())


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    assert "Usage: isoalign" in capsys.readouterr().out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", capsys.readouterr().out)


@pytest.mark.parametrize(
    "line", [["convrt"], ["convert", "1", "2"], ["convert", "a", "1", "2"], ["demo", "--sed", "1"]]
)
def test_a_command_line_that_cannot_be_understood_ends_with_2(
    line: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(line) == 2
    assert capsys.readouterr().out == ""
    assert main([*line, "--json"]) == 2
    document = json.loads(capsys.readouterr().out)
    assert document["error"]["code"] == "cli.usage"


def test_an_error_of_ours_ends_with_its_code(
    failing_command: list[BaseException], capsys: pytest.CaptureFixture[str]
) -> None:
    failing_command.append(CouchSilent("the couch does not answer", port="/dev/ttyS0"))
    assert main(["warmup"]) == 5
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        "error: the couch does not answer",
        "  do: Check the cable.",
        "code: device.test-silent",
    ]


def test_an_error_of_another_process_keeps_its_code(
    failing_command: list[BaseException], capsys: pytest.CaptureFixture[str]
) -> None:
    failing_command.append(RemoteError("no reply", remote_code="dicom.archive-down", remote_exit_code=4))
    assert main(["warmup"]) == 4
    assert "dicom.archive-down" in capsys.readouterr().err


def test_an_unforeseen_error_leaves_a_log_and_no_traceback(
    failing_command: list[BaseException],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.delenv("ISOALIGN_DEBUG", raising=False)
    failing_command.append(ZeroDivisionError("odd"))
    assert main(["warmup"]) == 1
    shown = capsys.readouterr().err
    assert "Traceback" not in shown
    log = Path(re.search(r"\S*isoalign-crash-\S+\.log", shown)[0])  # type: ignore[index]
    text = log.read_text(encoding="utf-8")
    assert "ZeroDivisionError: odd" in text
    assert "Traceback" in text


def test_debugging_shows_the_traceback(
    failing_command: list[BaseException],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("ISOALIGN_DEBUG", "1")
    failing_command.append(ZeroDivisionError("odd"))
    assert main(["warmup"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_ctrl_c_ends_with_130(failing_command: list[BaseException], capsys: pytest.CaptureFixture[str]) -> None:
    failing_command.append(KeyboardInterrupt())
    assert main(["warmup"]) == 130
    assert "interrupted" in capsys.readouterr().err
