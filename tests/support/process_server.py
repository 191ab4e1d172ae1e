"""A Python process that has loaded what many programs need, and forks one of them at each request.

``python process_server.py CHANNEL MODULE...``: see :mod:`prepared_processes`, which starts it.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import runpy
import signal
import socket
import sys
import types
from typing import Any

REQUEST_LIMIT_BYTES = 1 << 18


def main() -> None:
    """Load, then serve until the other end is closed. In a fork: run the program that was asked for."""
    channel = socket.socket(fileno=int(sys.argv[1]))
    for name in sys.argv[2:]:
        importlib.import_module(name)
    tasks = os.listdir("/proc/self/task")  # noqa: PTH208 - one name per thread
    assert len(tasks) == 1, "a process with threads must not be forked: those of the fork would be dead"
    gc.collect()
    gc.freeze()
    channel.send(b"{}")
    running: set[int] = set()
    while True:
        data, descriptors, _, _ = socket.recv_fds(channel, REQUEST_LIMIT_BYTES, 3)
        if not data:
            break
        request = json.loads(data)
        if "reap" in request:
            answer = {"code": _reap(request["reap"])}
            if answer["code"] is not None:
                running.discard(request["reap"])
        else:
            child = os.fork()
            if child == 0:
                channel.close()
                _become(request, descriptors)
                return
            running.add(child)
            answer = {"pid": child}
        for descriptor in descriptors:
            os.close(descriptor)
        channel.send(json.dumps(answer).encode())
    for child in running:  # of tests that failed; none outlives them
        os.kill(child, signal.SIGKILL)


def _reap(pid: int) -> int | None:
    """The exit code of a child, None while it runs."""
    ended, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if ended else None


def _become(request: dict[str, Any], descriptors: list[int]) -> None:
    """Run what ``python ARGUMENTS`` would run: ``-m MODULE ...``, ``-c CODE ...`` or ``SCRIPT ...``."""
    if request["new_session"]:
        os.setsid()
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    what, *arguments = request["arguments"]
    if what == "-m":
        module, *arguments = arguments
        sys.argv = [module, *arguments]
        sys.path[0] = request["folder"]
        sys.modules.pop(module, None)  # loaded with the others, and now run as the main program
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    elif what == "-c":
        code, *arguments = arguments
        sys.argv = ["-c", *arguments]
        sys.path[0] = ""
        main_module = types.ModuleType("__main__")
        sys.modules["__main__"] = main_module
        exec(compile(code, "<string>", "exec"), main_module.__dict__)
    else:
        sys.argv = [what, *arguments]
        sys.path[0] = os.path.dirname(what)  # noqa: PTH120 - as the interpreter does
        runpy.run_path(what, run_name="__main__")


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
