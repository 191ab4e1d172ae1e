"""Daemons are found by an entry that only this user reads, and that says itself when it is stale."""

from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from isoalign.devices.errors import RuntimeFolderUnsafe
from isoalign.devices.registry import registered, running_daemons, runtime_folder


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The system's folder for this user: short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="i") as name:
        monkeypatch.setenv("XDG_RUNTIME_DIR", name)
        yield Path(name)


@pytest.fixture
def served(folder: Path) -> Iterator[Path]:
    path = folder / "s"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        yield path


def entries(folder: Path) -> list[Path]:
    return sorted((folder / "isoalign").iterdir())


def test_an_entry_is_there_while_the_daemon_serves(folder: Path, served: Path) -> None:
    assert running_daemons() == []
    with registered("Gantry 1", served):
        [found] = running_daemons()
        assert (found.room, found.socket, found.pid) == ("Gantry 1", served, os.getpid())
        [entry] = entries(folder)
    assert running_daemons() == []
    assert entries(folder) == []
    assert not entry.exists()


def test_only_this_user_may_look(folder: Path, served: Path) -> None:
    before = os.umask(0)
    try:
        with registered("Gantry 1", served):
            assert stat.S_IMODE((folder / "isoalign").stat().st_mode) == 0o700
            assert [stat.S_IMODE(entry.stat().st_mode) for entry in entries(folder)] == [0o600]
    finally:
        os.umask(before)


def killed_daemon(folder: Path, served: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; from isoalign.devices.registry import registered\n"
        "with registered('Gantry 9', Path(sys.argv[1])): os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(served)], check=False, timeout=30)
    assert len(entries(folder)) == 1


def test_the_entry_of_a_daemon_that_was_killed_is_stale(folder: Path, served: Path) -> None:
    """Its socket may even be answered by another by now."""
    killed_daemon(folder, served)
    assert running_daemons() == []
    assert entries(folder) == []


def test_a_number_that_another_process_has_now_is_stale(folder: Path, served: Path) -> None:
    killed_daemon(folder, served)
    [entry] = entries(folder)
    content = json.loads(entry.read_text())
    content["pid"] = os.getpid()
    entry.write_text(json.dumps(content))
    assert running_daemons() == []
    assert entries(folder) == []


def test_a_daemon_that_does_not_answer_is_not_offered_and_not_forgotten(folder: Path) -> None:
    with registered("Gantry 1", folder / "nobody"):
        assert running_daemons() == []
        assert len(entries(folder)) == 1


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": "isoalign.daemon/9", "pid": 1}', "\xff"])
def test_what_is_no_entry_is_left_alone(folder: Path, text: str) -> None:
    strange = runtime_folder() / "daemon-1.json"
    strange.write_bytes(text.encode("latin-1"))
    assert running_daemons() == []
    assert strange.exists()


def test_a_folder_that_others_may_enter_is_refused(folder: Path, served: Path) -> None:
    (folder / "isoalign").mkdir(mode=0o755)
    (folder / "isoalign").chmod(0o755)
    with pytest.raises(RuntimeFolderUnsafe, match="this user alone"):
        running_daemons()
    with registered("Gantry 1", served):
        assert entries(folder) == [], "the daemon serves all the same"


def test_a_folder_that_leads_elsewhere_is_refused(folder: Path) -> None:
    (folder / "elsewhere").mkdir(mode=0o700)
    (folder / "isoalign").symlink_to(folder / "elsewhere")
    with pytest.raises(RuntimeFolderUnsafe):
        runtime_folder()


@pytest.mark.parametrize("given", ["", "relative", "/nowhere/at/all"])
def test_without_a_folder_of_the_system(given: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", given)
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    assert runtime_folder() == folder / f"isoalign-{os.getuid()}"
    assert stat.S_IMODE(runtime_folder().stat().st_mode) == 0o700
