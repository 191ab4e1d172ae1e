"""``isoalign config``: check a room.toml, or show what applies."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

app = App(name="config", help="Check or show the configuration of a room.")

DEFAULT_FILE = Path("room.toml")


@app.command
def check(
    file: Path | None = None, /, *, as_json: Annotated[bool, Parameter(name="--json", negative="")] = False
) -> int:
    """Check a configuration file: keys known, values of the right type and in range, calibration records good.

    Parameters
    ----------
    file
        The file; room.toml in this folder by default, and the built-in defaults where there is none.
    as_json
        Print one JSON document.
    """
    from isoalign.clock import SystemClock
    from isoalign.room.calibration import load_calibration
    from isoalign.room.settings import load_settings

    chosen = _chosen(file)
    load_calibration(load_settings(chosen), SystemClock().utc())
    name = str(chosen) if chosen else "built-in defaults"
    print(
        json.dumps({"schema": "isoalign.config-check/1", "file": name, "valid": True}) if as_json else f"{name}: valid"
    )
    return 0


@app.command
def show(
    file: Path | None = None, /, *, as_json: Annotated[bool, Parameter(name="--json", negative="")] = False
) -> int:
    """Show every setting that applies.

    Without a file this is the documented example, ready to be written to a room.toml; with a file, every value that
    applies, also those that the file leaves out, as JSON.

    Parameters
    ----------
    file
        The file; the built-in example without one.
    as_json
        Show the example as JSON as well.
    """
    from isoalign.room.settings import example_settings_text, load_settings

    if file is None and not as_json:
        print(example_settings_text(), end="")
    else:
        print(load_settings(file).model_dump_json(indent=2))
    return 0


def _chosen(file: Path | None) -> Path | None:
    if file is None and DEFAULT_FILE.is_file():
        return DEFAULT_FILE
    return file
