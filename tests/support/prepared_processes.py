"""Real processes without the time that Python takes to load: forked from a server that has loaded the modules before.

Each is a process of its own, with its own memory, threads, descriptors and exit code, that can be killed and paused
like any other; only the import of modules has happened before it began. Tests of how a program starts use
:mod:`subprocess`.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any

ROOM = (
    "isoalign.room.service",
    "isoalign.dicom.archive",
    "isoalign.cli.demo",
    "isoalign.room.demo",
    "isoalign.registration",
    "loaded_numba",
)
DEVICES = (
    "isoalign.cli.couch",
    "isoalign.cli.expose",
    "isoalign.cli.protocol_tools",
    "isoalign.devices.daemon",
    "isoalign.devices.client",
    "isoalign.simulators.couch",
    "isoalign.simulators.gantry",
    "isoalign.simulators.imager",
    "isoalign.simulators.link_proxy",
    "isoalign.simulators.pendant",
)
"""Nothing that is slow to load, such as a daemon must not carry either."""

ROOM_PROGRAMS = {"isoalign.room.service", "isoalign.dicom.archive", "demo"}
"""Those that load more than :data:`DEVICES`."""


class ProcessServer:
    """The other end of ``process_server.py``."""

    def __init__(self, modules: tuple[str, ...]) -> None:
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._turn = threading.Lock()
        script = str(Path(__file__).with_name("process_server.py"))
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, script, str(theirs.fileno()), *modules],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},  # no threads, to be forked
            )
        assert self._channel.recv(64), "the process server did not start"
        atexit.register(self.close)

    def ask(self, request: dict[str, Any], descriptors: list[int] | None = None) -> dict[str, Any]:
        with self._turn:
            socket.send_fds(self._channel, [json.dumps(request).encode()], descriptors or [])
            answer: dict[str, Any] = json.loads(self._channel.recv(4096))
        return answer

    def close(self) -> None:
        self._channel.close()
        self._process.wait(10)


_SERVERS: dict[tuple[str, ...], ProcessServer] = {}


def _server_for(arguments: list[str]) -> ProcessServer:
    modules = ROOM if set(arguments[1:3]) & ROOM_PROGRAMS else DEVICES
    if modules not in _SERVERS:
        _SERVERS[modules] = ProcessServer(modules)
    return _SERVERS[modules]


class PreparedProcess:
    """``python ARGUMENTS`` as :class:`subprocess.Popen` would start it, with the part of its face that tests use."""

    def __init__(
        self,
        command: list[str],
        *,
        stdin: int,
        stdout: IO[Any] | int | None = None,
        stderr: IO[Any] | int | None = None,
        text: bool = False,
        start_new_session: bool = False,
        env: dict[str, str] | None = None,
    ) -> None:
        assert command[0] == sys.executable, "only Python is prepared"
        self.args = command
        self.returncode: int | None = None
        self._server = _server_for(command[1:])
        theirs, self.stdin = _input(stdin, text=text)
        outputs = [_output(stdout, 1, text=text), _output(stderr, 2, text=text)]
        self.stdout, self.stderr = (ours for _, ours in outputs)
        request = {
            "arguments": command[1:],
            "environment": dict(os.environ if env is None else env),
            "folder": str(Path.cwd()),
            "new_session": start_new_session,
        }
        descriptors = [theirs, *(descriptor for descriptor, _ in outputs)]
        self.pid = int(self._server.ask(request, descriptors)["pid"])
        for descriptor in descriptors:
            os.close(descriptor)
        self._handle = os.pidfd_open(self.pid)

    def poll(self) -> int | None:
        if self.returncode is None:
            self.returncode = self._server.ask({"reap": self.pid})["code"]
            if self.returncode is not None:
                os.close(self._handle)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        deadline_s = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            left_s = None if deadline_s is None else deadline_s - time.monotonic()
            if left_s is not None and left_s <= 0.0:
                assert timeout is not None
                raise subprocess.TimeoutExpired(self.args, timeout)
            select.select([self._handle], [], [], left_s)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            signal.pidfd_send_signal(self._handle, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def close_streams(self) -> None:
        for stream in (self.stdin, self.stdout, self.stderr):
            if stream is not None:
                stream.close()


def _input(wanted: int, *, text: bool) -> tuple[int, IO[Any] | None]:
    """Where the process reads, and the other end of a pipe."""
    if wanted == subprocess.DEVNULL:
        return os.open(os.devnull, os.O_RDONLY), None
    if wanted != subprocess.PIPE:
        return os.dup(wanted), None
    theirs, ours = os.pipe()
    return theirs, os.fdopen(ours, "w" if text else "wb", 1 if text else 0)


def _output(wanted: IO[Any] | int | None, inherited: int, *, text: bool) -> tuple[int, IO[Any] | None]:
    """Where the process writes, and the other end of a pipe."""
    if wanted == subprocess.DEVNULL:
        return os.open(os.devnull, os.O_WRONLY), None
    if wanted != subprocess.PIPE:
        return os.dup(inherited if wanted is None else wanted if isinstance(wanted, int) else wanted.fileno()), None
    ours, theirs = os.pipe()
    return theirs, os.fdopen(ours, "r" if text else "rb", -1 if text else 0)


def begin(command: list[str], **options: Any) -> PreparedProcess | subprocess.Popen[Any]:
    """A prepared process for Python, and any other program as usual."""
    return PreparedProcess(command, **options) if command[0] == sys.executable else subprocess.Popen(command, **options)


IN_PLACE_OF_SUBPROCESS = SimpleNamespace(Popen=begin, PIPE=subprocess.PIPE, TimeoutExpired=subprocess.TimeoutExpired)
"""For a module of the package that starts processes."""


def run(command: list[str], timeout_s: float) -> subprocess.CompletedProcess[str]:
    """As :func:`subprocess.run` with captured text and no input; ended when it takes too long."""
    process = PreparedProcess(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with ThreadPoolExecutor(2) as readers:
        said = [readers.submit(stream.read) for stream in (process.stdout, process.stderr) if stream is not None]
        try:
            code = process.wait(timeout_s)
        finally:
            process.kill()
            out, err = (one.result().decode() for one in said)
            process.close_streams()
    return subprocess.CompletedProcess(command, code, out, err)
