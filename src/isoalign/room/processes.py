"""The room's child processes: start, wait until ready, watch, stop.

A child prints one JSON line on its standard output when it is ready, logs to standard error, and ends when its
standard input reaches end of file, so that none is left behind when its parent dies.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from isoalign.room.errors import ProcessFailed

READY_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 5.0
SAVING_TIMEOUT_S = 120.0
"""How much longer a child may take that says that it is saving."""
SAVING = {"saving": True}
"""What such a child prints as a JSON line when it is told to end."""


def announce_saving() -> None:
    """Tell the parent, in a child that was told to end: it is writing what must not be lost."""
    with contextlib.suppress(OSError):  # the parent may be gone: then nobody stops us
        print(json.dumps(SAVING), flush=True)


class ChildProcess:
    """One child process.

    Parameters
    ----------
    name : str
        For messages and the log file's name.
    arguments : list of str
        Arguments after the Python interpreter.
    log_folder : Path
        Its standard error goes to ``<name>.log`` there.
    """

    def __init__(self, name: str, arguments: list[str], log_folder: Path, *, program: list[str] | None = None) -> None:
        self.name = name
        self.log_path = log_folder / f"{name}.log"
        log_folder.mkdir(parents=True, exist_ok=True)
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [*(program or [sys.executable]), *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,  # the terminal's Ctrl-C reaches the parent, which stops its children in order
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
        self.ready: dict[str, Any] = {}

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def is_alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def wait_ready(self, timeout_s: float = READY_TIMEOUT_S) -> dict[str, Any]:
        """The JSON object of the ready line.

        Raises
        ------
        ProcessFailed
            When the process ends, or says nothing in time, or says something else.
        """
        assert self._process.stdout is not None
        deadline = time.monotonic() + timeout_s
        line = b""
        descriptor = self._process.stdout.fileno()
        while not line.endswith(b"\n"):
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([descriptor], [], [], left)[0]:
                raise self._failure(f"did not get ready within {timeout_s:g} s")
            chunk = os.read(descriptor, 65_536)
            if not chunk:
                self._process.wait(STOP_TIMEOUT_S)
                raise self._failure(f"ended with exit code {self._process.returncode} before it was ready")
            line += chunk
        try:
            ready = json.loads(line.splitlines()[0])
        except ValueError as error:
            raise self._failure(f"said {line[:200]!r} instead of a ready line") from error
        if not (isinstance(ready, dict) and ready.get("ready") is True):
            raise self._failure(f"said {ready!r} instead of a ready line")
        self.ready = ready
        return ready

    def kill(self) -> None:
        """SIGKILL at once; for tests of what the others do then."""
        self._process.kill()
        self._process.wait(STOP_TIMEOUT_S)

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        self._process.send_signal(number)

    def close(self) -> None:
        """End it: SIGTERM, and SIGKILL when it does not obey within a few seconds, or minutes when it is saving."""
        if self.is_alive():
            self._process.terminate()
            if not (self._ends_within(STOP_TIMEOUT_S) or (self._is_saving() and self._ends_within(SAVING_TIMEOUT_S))):
                self._process.kill()
                self._process.wait(STOP_TIMEOUT_S)
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ends_within(self, timeout_s: float) -> bool:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout_s)
        return not self.is_alive()

    def _is_saving(self) -> bool:
        """Whether it has said so since it was ready."""
        assert self._process.stdout is not None
        descriptor, said = self._process.stdout.fileno(), b""
        while select.select([descriptor], [], [], 0)[0] and (chunk := os.read(descriptor, 65_536)):
            said += chunk
        return json.dumps(SAVING).encode() in said.splitlines()

    def _failure(self, what: str) -> ProcessFailed:
        tail = self.log_path.read_text(errors="replace").strip().splitlines()[-5:]
        shown = ("\n  " + "\n  ".join(tail)) if tail else ""
        return ProcessFailed(f"the {self.name} process {what}{shown}", process=self.name, log=str(self.log_path))


class ProcessGroup:
    """Children that are stopped together, last started first."""

    def __init__(self, log_folder: Path) -> None:
        self.log_folder = log_folder
        self._children: dict[str, ChildProcess] = {}

    def start(self, name: str, arguments: list[str], *, program: list[str] | None = None) -> ChildProcess:
        """Start a child, in place of one of the same name; it is ready only after :meth:`ChildProcess.wait_ready`."""
        if name in self._children:
            self._children.pop(name).close()
        child = ChildProcess(name, arguments, self.log_folder, program=program)
        self._children[name] = child
        return child

    def __getitem__(self, name: str) -> ChildProcess:
        return self._children[name]

    def __contains__(self, name: object) -> bool:
        return name in self._children

    def ended(self) -> list[str]:
        """Names of children that no longer run."""
        return [name for name, child in self._children.items() if not child.is_alive()]

    def close(self) -> None:
        """Stop all; the last started goes first."""
        for child in reversed(list(self._children.values())):
            child.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
