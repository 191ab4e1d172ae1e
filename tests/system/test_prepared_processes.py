"""Processes that tests fork from a loaded one are real: own memory, exit code, descriptors, environment, signals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import prepared_processes
import pytest
from prepared_processes import DEVICES, PreparedProcess, ProcessServer

pytestmark = [pytest.mark.system, pytest.mark.timeless]


def python(*arguments: str) -> PreparedProcess:
    return PreparedProcess([sys.executable, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def said(process: PreparedProcess) -> str:
    assert process.stdout is not None
    text: str = process.stdout.readline()
    return text.strip()


def end(process: PreparedProcess) -> int:
    """Close its input, as a parent that ends does."""
    assert process.stdin is not None
    process.stdin.close()
    try:
        return process.wait(20)
    finally:
        process.kill()
        process.close_streams()


SAME = """
import os, sys
print(sys.argv, os.getcwd(), os.environ["MARK"], __name__, sys.modules["__main__"].__dict__ is globals())
print("to the other output", file=sys.stderr)
sys.exit(4)
"""


@pytest.mark.parametrize("how", ["code", "script", "module"])
def test_it_runs_as_the_interpreter_would_run_it(how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "same.py").write_text(SAME)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MARK", "as the test has it now")
    monkeypatch.setenv("PYTHONPATH", os.environ.get("PYTHONPATH", ""))
    words = {"code": ["-c", SAME], "script": [str(tmp_path / "same.py")], "module": ["-m", "same"]}[how]
    command = [sys.executable, *words, "one", "--two"]
    forked = prepared_processes.run(command, 20)
    usual = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (forked.returncode, forked.stdout, forked.stderr) == (4, usual.stdout, usual.stderr)
    assert "as the test has it now" in forked.stdout


def test_an_error_that_nobody_catches_is_told_and_ends_it_with_1() -> None:
    ended = prepared_processes.run([sys.executable, "-c", "1 / 0"], 20)
    assert ended.returncode == 1
    assert ended.stderr.endswith("ZeroDivisionError: division by zero\n")


ECHO = "import os, sys; print(os.getpid(), flush=True); sys.stdin.read(); sys.exit(3)"


def test_it_has_a_number_of_its_own_and_ends_with_its_input() -> None:
    one, other = python("-c", ECHO), python("-c", ECHO)
    assert said(one) == str(one.pid)
    assert said(other) == str(other.pid)
    assert len({one.pid, other.pid, os.getpid()}) == 3
    assert one.poll() is None
    assert end(one) == 3
    assert other.poll() is None, "it does not share the input of its neighbour"
    assert end(other) == 3


@pytest.mark.parametrize("paused", [False, True])
def test_it_can_be_paused_and_killed(paused: bool) -> None:
    process = python("-c", ECHO)
    said(process)
    if paused:
        process.send_signal(signal.SIGSTOP)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.05)
    process.kill()
    assert process.wait(20) == -signal.SIGKILL
    process.kill()  # nobody any more, and not somebody else with the same number
    process.close_streams()


def test_what_one_does_to_its_modules_is_seen_by_no_other() -> None:
    spoil = "import isoalign.errors as e; print(hasattr(e, 'spoilt')); e.spoilt = True"
    for _ in range(2):
        process = python("-c", spoil)
        assert said(process) == "False"
        assert end(process) == 0


def test_the_programs_of_the_device_layer_are_loaded_and_run_as_the_main_program() -> None:
    names = [name for name in DEVICES if not name.startswith("isoalign.cli")]
    process = python("-c", f"import sys; print(set({names!r}) <= set(sys.modules))")
    assert said(process) == "True"
    assert end(process) == 0
    ended = prepared_processes.run([sys.executable, "-m", "isoalign.devices.daemon", "--config", "/nowhere"], 20)
    assert ended.returncode == 2
    assert "RuntimeWarning" not in ended.stderr


def test_none_outlives_the_server() -> None:
    server = ProcessServer(("json",))
    ours, theirs = os.pipe()
    null = os.open(os.devnull, os.O_RDWR)
    request = {
        "arguments": ["-c", "import time; time.sleep(1000)"],
        "environment": dict(os.environ),
        "folder": str(Path.cwd()),
        "new_session": True,
    }
    server.ask(request, [null, theirs, null])
    os.close(theirs)
    os.close(null)
    server.close()
    assert os.read(ours, 1) == b"", "the last one that could write into it has gone"
    os.close(ours)
