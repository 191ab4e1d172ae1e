"""``isoalign protocol``: what machines and this computer said to each other."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

if TYPE_CHECKING:
    from isoalign.room.devices_tools import DecodedLog, LinkLine, ReplaySummary

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


@app.command
def replay(
    file: Path,
    /,
    *,
    errors_only: Annotated[bool, Parameter(negative="")] = False,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Play a recorded link through the session of the driver and say what it would have seen.

    Nothing is sent to anybody. Counts of messages, bad and lost frames come first, then the events: sessions, states
    that changed, commands that were answered, errors (marked "!"); the time is in seconds from the beginning.

    Parameters
    ----------
    file
        A file that the device daemon has recorded (*.linklog), the first of its link.
    errors_only
        Of the events, show the errors alone.
    as_json
        Print one JSON document.
    """
    from isoalign.cli.progress import StepProgress
    from isoalign.room.devices_tools import replay_summary

    with StepProgress() as progress:
        progress("begin", f"playing {file.name}", None)
        found = replay_summary(file, lambda fraction: progress("progress", "", fraction))
        progress("done", f"{found.messages.total()} messages", None)
    document = found.to_dict()
    if errors_only:
        document["events"] = [event for event in document["events"] if event["is_error"]]
    if as_json:
        print(json.dumps({"schema": "isoalign.link-replay/1", **document}, indent=2))
        return 0
    _print_replay(found, document["events"])
    return 0


def _print_replay(found: ReplaySummary, events: list[dict[str, Any]]) -> None:
    header = found.header
    print(f"{header.link} ({header.device.name}), from {header.began_at}, {found.duration_s:.1f} s")
    missing = f", {found.missing_bytes} missing" if found.missing_bytes else ""
    facts = {
        "bytes": f"{found.received_bytes} received, {found.sent_bytes} sent{missing}",
        "messages": _counted(found.messages),
        "frames dropped": _counted(found.dropped_frames),
        "frames lost": str(found.lost_frames),
        "sessions": f"{found.sessions}, at the end {found.state}",
        "longest silence": f"{found.longest_silence_s:.3f} s",
        "states": ", ".join(f"{name} {value}" for name, value in found.states.items()) or "none",
        "errors": str(len(found.errors)),
    }
    for name, value in facts.items():
        print(f"  {name:<16} {value}")
    for event in events:
        mark = "!" if event["is_error"] else " "
        print(f"{event['at_s']:11.6f} {mark} {event['kind']:<16} {event['text']}".rstrip())


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items())) or "none"


def _in_words(line: LinkLine, log: DecodedLog) -> str:
    from isoalign.room.devices_tools import line_in_words

    number = "" if line.frame is None else f"#{line.frame.header.seq:<5}  "
    head = f"{line.time_s - log.monotonic_s:11.6f}  {_ARROWS[line.direction]} {log.device.lower()}  {line.name:<14}"
    return f"{head}  {number}{line_in_words(line)}".rstrip()
