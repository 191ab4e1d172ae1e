"""A demonstration that is cancelled, or killed, leaves no process behind."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytestmark = pytest.mark.system


def children_of(pid: int) -> set[int]:
    """All processes below ``pid``, by the kernel's own lists."""
    found: set[int] = set()
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, task.read_text().split()):
            found |= {child} | children_of(child)
    return found


def wait_gone(pids: set[int], timeout_s: float) -> set[int]:
    """Wait until none of the processes runs; returns those that still do."""
    deadline = time.monotonic() + timeout_s
    while left := {pid for pid in pids if is_running(pid)}:
        if time.monotonic() > deadline:
            return left
        time.sleep(0.05)
    return set()


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@contextmanager
def moving_demo(case: Path, output: Path) -> Iterator[tuple[subprocess.Popen[str], set[int]]]:
    """A demonstration whose couch is on its way to the set-up position, and its children."""
    command = [sys.executable, "-m", "isoalign.cli", "demo", "--case", str(case), "--output", str(output)]
    with (output / "progress.txt").open("w") as progress:
        demo = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=progress, text=True)
        try:
            deadline = time.monotonic() + 60
            room_log = output / "logs" / "room.log"
            while not (room_log.is_file() and "patient loaded" in room_log.read_text()):
                assert demo.poll() is None, (output / "progress.txt").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.05)
            yield demo, children_of(demo.pid)
        finally:
            demo.kill()
            demo.wait()


def test_ctrl_c_ends_everything_with_130(pristine_case_folder: Path, tmp_path: Path) -> None:
    with moving_demo(pristine_case_folder, tmp_path) as (demo, children):
        assert len(children) >= 7  # couch, two imagers with their renderers, pendant, archive, daemon, room
        demo.send_signal(signal.SIGINT)
        assert demo.wait(20) == 130
        assert wait_gone(children, 5) == set()
    said = (tmp_path / "progress.txt").read_text()
    assert "Traceback" not in said
    assert not (tmp_path / "report.html").exists()


def test_killed_demo_leaves_no_orphan(pristine_case_folder: Path, tmp_path: Path) -> None:
    with moving_demo(pristine_case_folder, tmp_path) as (demo, children):
        demo.kill()
        demo.wait(5)
        assert wait_gone(children, 10) == set()
