"""``isoalign protocol``: what machines and this computer said to each other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

if TYPE_CHECKING:
    from isoalign.room.devices_tools import DecodedLog, LinkLine

app = App(name="protocol", help="Read what machines and this computer said to each other.")

_ARROWS = {"to host": "<-", "to device": "->", "": "--"}


@app.command
def decode(
    file: Path,
    /,
    *,
    only: Annotated[tuple[str, ...], Parameter(name="--only", negative="")] = (),
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Show a recorded link as text, one message a line; what is no message is shown with the reason.

    "<-" comes from the device and "->" goes to it; the time is in seconds from the beginning of the file.

    Parameters
    ----------
    file
        A file that the device daemon has recorded (*.linklog).
    only
        Names of messages, e.g. MOVE; may be given more than once. All by default.
    as_json
        Print one JSON document a line, the first about the file.
    """
    from isoalign.room.devices_tools import decode_log

    log = decode_log(file)
    wanted = {name.upper().replace("-", "_").replace(" ", "_") for name in only}
    lines = (line for line in log.lines if not wanted or line.name.replace(" ", "_") in wanted)
    if as_json:
        facts = {"link": log.link, "device": log.device, "began_at": log.began_at, "monotonic_s": log.monotonic_s}
        print(json.dumps({"schema": "isoalign.link-messages/1", **facts}))
        for line in lines:
            print(json.dumps(line.to_dict()))
        return 0
    print(f"{log.link} ({log.device}), from {log.began_at}")
    for line in lines:
        print(_in_words(line, log))
    return 0


def _in_words(line: LinkLine, log: DecodedLog) -> str:
    from isoalign.room.devices_tools import fields_in_words

    head = f"{line.time_s - log.monotonic_s:11.6f}  {_ARROWS[line.direction]} {log.device.lower()}  {line.name:<14}"
    if line.frame is None:
        return f"{head}  {line.remark}".rstrip()
    return f"{head}  #{line.frame.header.seq:<5}  {fields_in_words(line.frame.message)}".rstrip()
