"""A study on a Dask cluster of two workers, one of which dies: every case is there, and its journal is gone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

pytest.importorskip("distributed", reason="the package distributed is not installed")

pytestmark = [pytest.mark.system, pytest.mark.timeless]

CASES = 6
QUIET = ["--no-dashboard", "--host", "127.0.0.1"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts a process with its output in a file; all that still run are ended afterwards."""
    with ExitStack() as stack:

        def make(name: str, *command: str) -> subprocess.Popen[bytes]:
            log = stack.enter_context((tmp_path / f"{name}.log").open("wb"))
            process = subprocess.Popen([sys.executable, "-m", *command], stdout=log, stderr=log, cwd=tmp_path)
            stack.callback(process.wait, 20)
            stack.callback(lambda: process.poll() is None and process.kill())
            return process

        yield make


def wait_for(ask: Callable[[], Any], what: str, limit_s: float = 60.0) -> Any:
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        answer = ask()
        if answer:
            return answer
        time.sleep(0.1)
    raise AssertionError(f"waited {limit_s} s for {what}")


def test_a_worker_is_killed_and_no_case_is_lost(tmp_path: Path, start: Callable[..., subprocess.Popen[bytes]]) -> None:
    scheduler_file = tmp_path / "scheduler.json"
    start("scheduler", "distributed.cli.dask_scheduler", *QUIET, "--port", "0", "--scheduler-file", str(scheduler_file))
    address = wait_for(
        lambda: scheduler_file.exists() and json.loads(scheduler_file.read_text())["address"], "scheduler"
    )
    worker = ("distributed.cli.dask_worker", address, "--nthreads", "1", "--no-nanny", *QUIET)
    doomed = start("doomed", *worker)
    start("other", *worker)

    table = tmp_path / "study.parquet"
    journal = tmp_path / "study.parquet.journal"
    arguments = ["radiographs", "--kind", "clean", "--cases", str(CASES), "--pixels", "96", "--out", str(table)]
    study = start("study", "isoalign.cli", "study", *arguments, "--scheduler", address, "--json")

    # the journal's first line is its header; a worker that has told of a case is in the middle of the next one
    def told_by_doomed() -> bool:
        assert study.poll() is None, (tmp_path / "study.log").read_text()
        return journal.exists() and f":{doomed.pid}" in journal.read_text(encoding="utf-8")

    wait_for(told_by_doomed, "its first case", 90.0)
    os.kill(doomed.pid, signal.SIGKILL)
    assert study.wait(200) in (0, 6), (tmp_path / "study.log").read_text()

    rows = pq.read_table(table).to_pylist()
    assert [row["number"] for row in rows] == list(range(CASES))
    assert all(row["verdict"] in ("accepted", "doubtful", "failed") for row in rows), rows
    assert len({row["worker"] for row in rows}) == 2
    assert not journal.exists()


def test_no_scheduler_is_said_in_words(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "isoalign.cli", "study", "radiographs", "--scheduler", "tcp://127.0.0.1:1"]
    run = subprocess.run([*command, "--out", str(tmp_path / "s.parquet")], capture_output=True, text=True, check=False)
    assert run.returncode == 10
    assert "no Dask scheduler answers" in run.stderr
    assert "Traceback" not in run.stderr
