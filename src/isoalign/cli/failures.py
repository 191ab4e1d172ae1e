"""How a failed command speaks: code, message and hint, one exit code, no traceback."""

from __future__ import annotations

import json
import os
import platform
import sys
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from isoalign.clock import Clock, SystemClock
from isoalign.errors import IsoalignError, exit_code_of

UNEXPECTED = 1
"""Exit code of an error that nobody foresaw."""
USAGE = 2
"""Exit code of a command line that cannot be understood (also of a configuration that cannot be used)."""
INTERRUPTED = 130
"""Exit code after Ctrl-C: 128 + SIGINT, as shells count."""


def present_error(error: IsoalignError, *, as_json: bool) -> int:
    """Say what went wrong and what to do; returns the exit code."""
    facts = error.to_dict()
    print(f"error: {facts['message']}", file=sys.stderr)
    if facts["hint"]:
        print(f"  do: {facts['hint']}", file=sys.stderr)
    print(f"code: {facts['code']}", file=sys.stderr)
    if os.environ.get("ISOALIGN_DEBUG"):
        traceback.print_exception(error)
    if as_json:
        print(json.dumps({"error": {**facts, "exit_code": exit_code_of(error)}}, indent=2, default=str))
    return exit_code_of(error)


def present_misuse(error: Exception, *, as_json: bool) -> int:
    """The exit code of a command line that cannot be understood; its message stands on standard error already."""
    if as_json:
        facts: dict[str, Any] = {
            "code": "cli.usage",
            "message": str(error),
            "hint": "See isoalign --help.",
            "facts": {},
            "exit_code": USAGE,
        }
        print(json.dumps({"error": facts}, indent=2))
    return USAGE


def present_crash(error: BaseException, arguments: Sequence[str], *, as_json: bool, clock: Clock | None = None) -> int:
    """Say that something unforeseen happened and where its log is; returns the exit code.

    With ``ISOALIGN_DEBUG=1`` the traceback is printed as well.
    """
    summary = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    log = _write_crash_log(error, arguments, clock or SystemClock())
    print(f"error: something unexpected happened ({summary})", file=sys.stderr)
    print(
        f"  do: please report it with the file {log}" if log else "  do: set ISOALIGN_DEBUG=1 and try again",
        file=sys.stderr,
    )
    print("code: isoalign.unexpected", file=sys.stderr)
    if os.environ.get("ISOALIGN_DEBUG"):
        traceback.print_exception(error)
    if as_json:
        facts: dict[str, Any] = {
            "code": "isoalign.unexpected",
            "message": summary,
            "hint": f"Report it with the file {log}." if log else "",
            "facts": {},
            "exit_code": UNEXPECTED,
        }
        print(json.dumps({"error": facts}, indent=2))
    return UNEXPECTED


def _write_crash_log(error: BaseException, arguments: Sequence[str], clock: Clock) -> Path | None:
    import isoalign

    lines = [
        f"isoalign {isoalign.__version__}, Python {platform.python_version()}, {platform.platform()}",
        f"at {clock.utc().isoformat()}",
        f"command line: {' '.join(arguments)}",
        "",
        "".join(traceback.format_exception(error)),
    ]
    try:
        handle, name = tempfile.mkstemp(prefix="isoalign-crash-", suffix=".log", text=True)
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write("\n".join(lines))
    except OSError:
        return None
    return Path(name)
