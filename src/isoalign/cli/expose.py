"""``isoalign expose``: kV images by way of a device daemon that runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from isoalign.cli.errors import OutputNotWritable, UnusableArgument

if TYPE_CHECKING:
    from isoalign.records import Technique
    from isoalign.room.devices_tools import RawImage


def expose(
    *imagers: str,
    output: Path = Path(),
    tube_voltage_kv: float | None = None,
    tube_current_ma: float | None = None,
    exposure_time_ms: float | None = None,
    socket: Path | None = None,
    room: str | None = None,
    config: Path | None = None,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Take one image of every imager and write it: X-rays are emitted.

    The couch must stand still. An image is written as a 16-bit PNG with the counts of the panel, and beside it a JSON
    file says how it was taken.

    Parameters
    ----------
    imagers
        Names of the imagers; all by default.
    output
        Folder for the images; this one by default.
    tube_voltage_kv
        Tube voltage; as in the configuration, or its default.
    tube_current_ma
        Tube current.
    exposure_time_ms
        Exposure time.
    socket
        Socket of the device daemon; that of the only room that runs here by default.
    room
        Name of the room, where several run here.
    config
        Configuration of the room, room.toml, for its technique.
    as_json
        Print one JSON document.
    """
    from isoalign.cli.progress import StepProgress
    from isoalign.room import devices_tools
    from isoalign.room.settings import load_settings

    given = {
        "tube_voltage_kv": tube_voltage_kv,
        "tube_current_ma": tube_current_ma,
        "exposure_time_ms": exposure_time_ms,
    }
    technique = _technique(load_settings(config).technique.technique(), given)
    _require_folder(output)
    with StepProgress() as progress:
        progress("begin", f"exposing {', '.join(imagers) or 'all imagers'}, {_in_words(technique)}", None)
        images = devices_tools.expose(devices_tools.find_socket(socket, room), imagers, technique)
        written = [_write(image, output) for image in images]
        progress("done", f"{len(images)} of {len(images)} whole", None)
    if as_json:
        print(json.dumps({"schema": "isoalign.exposure/1", "images": written}, indent=2))
    else:
        for one in written:
            print(one["file"])
    return 0


def _technique(usual: Technique, given: dict[str, float | None]) -> Technique:
    from dataclasses import replace

    stated = {name: value for name, value in given.items() if value is not None}
    for name, value in stated.items():
        if not 0 < value < 1e6:
            option = f"--{name.replace('_', '-')}"
            raise UnusableArgument(f"{option} {value:g} is no technique", hint="Give a number above 0.")
    return replace(usual, **stated)


def _in_words(technique: Technique) -> str:
    return f"{technique.tube_voltage_kv:g} kV, {technique.tube_current_ma:g} mA, {technique.exposure_time_ms:g} ms"


def _require_folder(output: Path) -> None:
    """Before anything is exposed for nothing."""
    try:
        output.mkdir(parents=True, exist_ok=True)
        probe = output / ".isoalign-probe"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise OutputNotWritable(f"cannot write to {output}: {error.strerror or error}") from error


def _write(image: RawImage, output: Path) -> dict[str, Any]:
    from dataclasses import asdict

    from PIL import Image

    name = f"{image.imager}-{image.exposure_id}"
    path = output / f"{name}.png"
    facts: dict[str, Any] = {
        "file": str(path),
        "imager": image.imager,
        "exposure_id": image.exposure_id,
        "rows": image.pixels.shape[0],
        "columns": image.pixels.shape[1],
        "least_count": int(image.pixels.min()),
        "greatest_count": int(image.pixels.max()),
        "technique": asdict(image.technique),
        "table_top": None if image.table_top is None else list(image.table_top.values),
        "acquired_at": image.acquired_at.isoformat(),
    }
    try:
        Image.fromarray(image.pixels).save(path)
        (output / f"{name}.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise OutputNotWritable(f"cannot write {path}: {error.strerror or error}") from error
    return facts
