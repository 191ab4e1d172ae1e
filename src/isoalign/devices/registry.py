"""Which device daemons this user runs on this computer: one small file for each, in a folder that only the user enters.

A daemon writes its file in one piece when it serves and removes it when it ends. One that was killed leaves its file
behind: the process that is named, and when it began, tell that the entry is stale.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import structlog

from isoalign.devices.errors import RuntimeFolderUnsafe
from isoalign.devices.ipc import answers

_log = structlog.get_logger("isoalign.devices.registry")

SCHEMA: Final = "isoalign.daemon/1"
ENTRIES: Final = "daemon-*.json"
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True, slots=True)
class RunningDaemon:
    """A daemon that serves now; ``room`` may be empty."""

    room: str
    socket: Path
    pid: int

    def __str__(self) -> str:
        return f"{self.room or 'a room without a name'} ({self.socket})"


def runtime_folder() -> Path:
    """The folder of the entries, made when it is not there.

    ``$XDG_RUNTIME_DIR/isoalign``; where the system gives its users no such folder, ``isoalign-UID`` among the temporary
    files.

    Raises
    ------
    RuntimeFolderUnsafe
        When it cannot be made, belongs to somebody else, is no folder, or others may enter it.
    """
    given = os.environ.get("XDG_RUNTIME_DIR", "")
    is_usable = given and Path(given).is_absolute() and Path(given).is_dir()
    folder = Path(given) / "isoalign" if is_usable else Path(tempfile.gettempdir()) / f"isoalign-{os.getuid()}"
    try:
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        found = folder.lstat()
    except OSError as error:
        raise RuntimeFolderUnsafe(f"cannot make the folder {folder}: {error.strerror or error}") from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & _OTHERS:
        raise RuntimeFolderUnsafe(f"{folder} is not a folder that belongs to this user alone")
    return folder


@contextlib.contextmanager
def registered(room: str, socket_path: Path) -> Iterator[None]:
    """Let this process be found while the block runs; a folder that cannot be used is a line in the log."""
    entry: Path | None = None
    try:
        entry = _write(room, socket_path)
    except (RuntimeFolderUnsafe, OSError) as error:
        _log.error("registry.not-written", text=str(error), hint="Programs find this daemon by --socket only.")
    try:
        yield
    finally:
        if entry is not None:
            with contextlib.suppress(OSError):
                entry.unlink(missing_ok=True)


def running_daemons() -> list[RunningDaemon]:
    """The daemons that answer, by room and socket. Entries of processes that are gone are removed.

    Raises
    ------
    RuntimeFolderUnsafe
    """
    found = []
    for path in sorted(runtime_folder().glob(ENTRIES)):
        entry = _read(path)
        if entry is None:
            continue
        if not _is_alive(entry):
            _log.debug("registry.stale-entry", entry=path.name)
            with contextlib.suppress(OSError):
                path.unlink()
            continue
        daemon = RunningDaemon(str(entry["room"]), Path(entry["socket"]), int(entry["pid"]))
        if answers(daemon.socket):
            found.append(daemon)
    return sorted(found, key=lambda one: (one.room, str(one.socket)))


def _write(room: str, socket_path: Path) -> Path:
    folder = runtime_folder()
    pid = os.getpid()
    entry = {
        "schema": SCHEMA,
        "room": room,
        "socket": str(socket_path.absolute()),
        "pid": pid,
        "begun": _begun(pid),
    }
    path, unfinished = folder / f"daemon-{pid}.json", folder / f".daemon-{pid}"
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(entry, file)
    unfinished.replace(path)
    return path


def _read(path: Path) -> dict[str, Any] | None:
    """An entry, or None for what is none: it may be of another version, and is left alone."""
    try:
        entry = json.loads(path.read_text(encoding="utf-8"))
        if entry["schema"] == SCHEMA and isinstance(entry["pid"], int) and entry["pid"] > 0:
            return {key: entry[key] for key in ("room", "socket", "pid", "begun")}
    except (OSError, ValueError, KeyError, TypeError):
        pass
    _log.debug("registry.not-an-entry", entry=path.name)
    return None


def _is_alive(entry: dict[str, Any]) -> bool:
    """Whether the process that wrote an entry still runs; a later one with the same number is another."""
    try:
        os.kill(entry["pid"], 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return bool(_begun(entry["pid"]) == entry["begun"])


def _begun(pid: int) -> int | None:
    """When a process began, in clock ticks since the computer did; None where the system does not tell."""
    try:
        content = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    return int(content.rpartition(")")[2].split()[19])
