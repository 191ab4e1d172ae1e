"""The runner of the long proofs: what it runs, what it puts off, and where the next call goes on."""

from __future__ import annotations

import importlib
import sys
import time
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
COUNTS = """
import pathlib, sys, time
done = pathlib.Path(sys.argv[1])
done.write_text(done.read_text() + "x" if done.exists() else "x")
if len(done.read_text()) < 2:
    time.sleep(600)
"""

pytestmark = [pytest.mark.system, pytest.mark.timeless]


@pytest.fixture
def soak(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    module = importlib.import_module("soak")
    monkeypatch.setattr(module, "FOLDER", tmp_path / "soak-output")
    yield module
    for name in ("soak", "blocks"):
        sys.modules.pop(name, None)


def part(soak: Any, folder: Path, name: str, program: str, **options: Any) -> Any:
    source = folder / f"study_{name}.py"
    source.write_text(program)
    return soak.Part(source, lambda _results, _minutes: [str(folder / f"{name}.txt")], **options)


def finish(soak: Any, parts: list[Any], tmp_path: Path, *, seconds: float = 60.0) -> dict[str, str]:
    known = soak.Known.read(tmp_path / "soak-output" / "parts.json")
    soak.soak(parts, known, time.monotonic() + seconds + soak.ENDING_S)
    return {one.name: known.outcome(one, soak.fingerprint(one.source)) for one in parts}


def test_every_study_and_every_long_test_is_a_part(soak: Any) -> None:
    names = {one.source for one in soak.parts()}
    assert set(BENCHMARKS.glob("study_*.py")) <= names
    assert BENCHMARKS.parent / "system" / "devices" / "test_stop_soak.py" in names
    assert set(soak.GO_ON) | soak.KEEP_BLOCKS <= {one.name for one in soak.parts()}, "names of studies that are gone"


def test_a_part_runs_once_for_its_sources(soak: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    good = part(soak, tmp_path, "good", "print('all is well')")
    bad = part(soak, tmp_path, "bad", "raise SystemExit(1)")
    assert finish(soak, [good, bad], tmp_path) == {"good": "reached", "bad": "missed"}
    assert capfd.readouterr().out.count("all is well") == 1
    assert soak.report([good, bad], soak.Known.read(tmp_path / "soak-output" / "parts.json")) == 1
    assert finish(soak, [good, bad], tmp_path) == {"good": "reached", "bad": "missed"}
    assert "all is well" not in capfd.readouterr().out
    good.source.write_text("print('all is better')")
    assert finish(soak, [good], tmp_path) == {"good": "reached"}
    assert "all is better" in capfd.readouterr().out


def test_what_is_broken_off_goes_on_with_the_next_call(soak: Any, tmp_path: Path) -> None:
    long = part(soak, tmp_path, "long", COUNTS, goes_on=True)
    assert finish(soak, [long], tmp_path, seconds=2.0) == {"long": "open"}
    assert soak.report([long], soak.Known.read(tmp_path / "soak-output" / "parts.json")) == soak.NOT_FINISHED
    assert finish(soak, [long], tmp_path) == {"long": "reached"}


def test_what_does_not_fit_any_more_is_put_off(soak: Any, tmp_path: Path) -> None:
    whole = part(soak, tmp_path, "whole", COUNTS)
    assert finish(soak, [whole], tmp_path, seconds=2.0) == {"whole": "open"}
    assert finish(soak, [whole], tmp_path, seconds=1.0) == {"whole": "open"}
    assert (tmp_path / "whole.txt").read_text() == "x", "it was begun although it takes longer than is left"


def test_time_that_is_over_is_no_finished_part(soak: Any, tmp_path: Path) -> None:
    """A study that was given too few minutes says so by its exit code."""
    later = part(soak, tmp_path, "later", "raise SystemExit(2)", goes_on=True)
    assert finish(soak, [later], tmp_path) == {"later": "open"}
    crashed = part(soak, tmp_path, "crashed", "raise SystemExit(2)")
    assert finish(soak, [crashed], tmp_path) == {"crashed": "missed"}


def test_words_choose_parts_and_a_wrong_word_is_said(soak: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert soak.main(["--list", "two_channels"]) == soak.NOT_FINISHED
    assert "two_channels" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        soak.main(["--list", "no-such-study"])
    assert "no-such-study" in capsys.readouterr().err
