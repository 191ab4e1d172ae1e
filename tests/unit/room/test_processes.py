"""Child processes: ready lines, failures in plain words, no orphans."""

from __future__ import annotations

from pathlib import Path

import pytest

from isoalign.room.errors import ProcessFailed
from isoalign.room.processes import ChildProcess, ProcessGroup

READY = 'print(\'{"ready": true, "port": 7}\', flush=True);'
WAIT = "import sys; sys.stdin.read()"


def test_ready_line_is_returned_and_close_ends_the_child(tmp_path: Path) -> None:
    with ChildProcess("child", ["-c", READY + WAIT], tmp_path) as child:
        assert child.wait_ready()["port"] == 7
        assert child.is_alive()
    assert not child.is_alive()


@pytest.mark.parametrize(
    ("code", "complaint"),
    [
        ("import sys; print('no such port', file=sys.stderr); sys.exit(3)", "exit code 3"),
        ("print('hello', flush=True)", "instead of a ready line"),
        ("print('{\"ready\": false}', flush=True)", "instead of a ready line"),
    ],
)
def test_child_that_does_not_get_ready_is_a_typed_error(tmp_path: Path, code: str, complaint: str) -> None:
    with ChildProcess("child", ["-c", code], tmp_path) as child, pytest.raises(ProcessFailed) as caught:
        child.wait_ready()
    assert complaint in str(caught.value)
    if "no such port" in code:
        assert "no such port" in str(caught.value)


def test_silent_child_times_out(tmp_path: Path) -> None:
    with ChildProcess("child", ["-c", WAIT], tmp_path) as child, pytest.raises(ProcessFailed, match=r"within 0\.2 s"):
        child.wait_ready(timeout_s=0.2)


def test_child_that_ignores_sigterm_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("isoalign.room.processes.STOP_TIMEOUT_S", 0.3)
    stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);" + READY + "time.sleep(60)"
    with ChildProcess("child", ["-c", stubborn], tmp_path) as child:
        child.wait_ready()
    assert not child.is_alive()


SAVES = """
import pathlib, signal, sys, time
from isoalign.room.processes import announce_saving
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
print('{"ready": true}', flush=True)
signal.sigwait({signal.SIGTERM})
{announcement}
time.sleep(1.6)
pathlib.Path(sys.argv[1]).touch()
"""


@pytest.mark.parametrize("announcement", ["announce_saving()", "pass"])
def test_child_that_says_it_is_saving_may_finish(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, announcement: str
) -> None:
    """Half-written results of a session would be lost; a child that says nothing is killed as ever."""
    monkeypatch.setattr("isoalign.room.processes.STOP_TIMEOUT_S", 0.8)
    saved = tmp_path / "saved"
    with ChildProcess("child", ["-c", SAVES.replace("{announcement}", announcement), str(saved)], tmp_path) as child:
        child.wait_ready()
    assert not child.is_alive()
    assert saved.exists() == (announcement != "pass")


def test_group_names_who_ended_and_stops_the_rest(tmp_path: Path) -> None:
    with ProcessGroup(tmp_path) as group:
        group.start("first", ["-c", READY + WAIT]).wait_ready()
        group.start("second", ["-c", READY + WAIT]).wait_ready()
        group["first"].kill()
        assert group.ended() == ["first"]
        assert "second" in group
    assert sorted(group.ended()) == ["first", "second"]


def test_child_of_the_same_name_takes_the_place_of_the_first(tmp_path: Path) -> None:
    with ProcessGroup(tmp_path) as group:
        first = group.start("child", ["-c", READY + WAIT])
        first.wait_ready()
        group.start("child", ["-c", READY + WAIT]).wait_ready()
        assert not first.is_alive()
        assert group.ended() == []
