"""What the commands of ``isoalign dicom`` share: options with their help, files, and how an answer is shown."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from isoalign.cli.errors import UnusableArgument

OUR_AE_TITLE = "PTImageClient"
OUR_PORT = 51_700

AsJson = Annotated[bool, Parameter(name="--json", negative="", help="Print one JSON document.")]
PeerName = Annotated[str, Parameter(help='AE@HOST:PORT, or "archive": the one of the configuration.')]
Calling = Annotated[str | None, Parameter(help="Our AE title.")]
Config = Annotated[
    Path | None, Parameter(help="Configuration of the room, room.toml; for the archive, time-outs and TLS.")
]
Files = Annotated[Path, Parameter(help="Files, or folders: every file below them.")]
Host = Annotated[str, Parameter(help="Address to listen on.")]
Port = Annotated[int, Parameter(help="Port to listen on; 0 chooses a free one.")]
OurTitle = Annotated[str, Parameter(help="Our AE title, also the move destination; calls for another are rejected.")]


def files_below(paths: Sequence[Path]) -> list[Path]:
    """Files, and every file below folders, in the order of their names.

    Raises
    ------
    UnusableArgument
        When one is not there, or there is none.
    """
    found: list[Path] = []
    for path in paths:
        found += sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]
    missing = [path for path in found if not path.is_file()]
    if missing:
        raise UnusableArgument(f"{missing[0]} is no file and no folder", hint="Check the name.")
    if not found:
        raise UnusableArgument("no file is named", hint="Give files or folders that hold some.")
    return found


def table(rows: Sequence[dict[str, str]]) -> str:
    """Rows in columns of equal width; empty without rows."""
    if not rows:
        return ""
    widths = {key: min(max(len(row[key]) for row in rows), 64) for key in rows[0]}
    return "\n".join("  ".join(row[key].ljust(width) for key, width in widths.items()).rstrip() for row in rows)


def show_facts(schema: str, facts: dict[str, Any], as_json: bool, words: str = "") -> None:
    """Print an answer: as a JSON document with its schema, or in words."""
    if as_json:
        print(json.dumps({"schema": schema, **facts}, indent=2))
    elif words:
        print(words)
