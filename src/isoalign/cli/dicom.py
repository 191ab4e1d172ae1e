"""``isoalign dicom``: look at DICOM files and peers, and move objects, without a room around it."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Parameter

from isoalign.cli.dicom_options import (
    OUR_AE_TITLE,
    OUR_PORT,
    AsJson,
    Calling,
    Config,
    Files,
    Host,
    OurTitle,
    PeerName,
    Port,
    files_below,
    show_facts,
    table,
)
from isoalign.cli.errors import UnusableArgument

if TYPE_CHECKING:
    from isoalign.cli.progress import StepProgress
    from isoalign.room.settings import PeerSettings, RoomSettings

app = App(name="dicom", help="Look at DICOM files and peers, and move objects.")
app.command("isoalign.cli.dicom_media:import_", name="import", help="Take DICOM files of a medium into a store.")
app.command("isoalign.cli.dicom_media:export", name="export", help="Write DICOM files for a medium.")

FOUND_PROBLEMS = 3
"""Exit code of validate when a file has problems: that of data that cannot be used."""


@app.command
def echo(peer: PeerName, /, *, calling: Calling = None, config: Config = None, as_json: AsJson = False) -> int:
    """Ask a peer whether it is there (C-ECHO)."""
    from isoalign.room import dicom_tools

    room = _room(config)
    target = _peer(peer, room)
    took_s = dicom_tools.echo_peer(target, dicom_tools.node_settings(room, calling))
    facts = {"peer": target.ae_title, "round_trip_ms": round(took_s * 1e3, 2)}
    show_facts("isoalign.dicom-echo/1", facts, as_json, f"{target.ae_title} answers after {took_s * 1e3:.1f} ms")
    return 0


@app.command
def send(
    peer: PeerName, /, *paths: Files, calling: Calling = None, config: Config = None, as_json: AsJson = False
) -> int:
    """Send files to a peer over one association (C-STORE)."""
    from isoalign.cli.progress import StepProgress
    from isoalign.room import dicom_tools

    room = _room(config)
    target, files = _peer(peer, room), files_below(paths)
    with StepProgress() as progress:
        progress("begin", f"sending to {target.ae_title}", None)
        done = dicom_tools.send_files(target, files, dicom_tools.node_settings(room, calling), _meter(progress))
        progress("done", f"{done.count} of {len(files)} objects stored, {done.rate:.0f} a second", None)
        for warning in done.warnings:
            progress("warning", warning, None)
    facts = {"stored": done.count, "duration_s": round(done.duration_s, 3), "warnings": list(done.warnings)}
    show_facts("isoalign.dicom-send/1", facts, as_json)
    return 0


@app.command
def receive(
    folder: Path,
    /,
    *,
    ae_title: OurTitle = OUR_AE_TITLE,
    host: Host = "127.0.0.1",
    port: Port = OUR_PORT,
    caller: Annotated[tuple[str, ...], Parameter(name="--from", negative="")] = (),
    config: Config = None,
    as_json: AsJson = False,
) -> int:
    """Receive and keep whatever peers send, until Ctrl-C (C-STORE and C-ECHO provider).

    An object is acknowledged when it is on disk for good. Another object under a known UID is refused and kept in
    received/quarantine.

    Parameters
    ----------
    folder
        Where objects (received/) and their index are kept.
    caller
        AE, or AE@ADDRESS, that may call; may be given more than once. Anybody by default.
    config
        Configuration of the room, room.toml; for TLS and the length of PDUs.
    as_json
        Print JSON: one line when listening, one for each object, one at the end.
    """
    from isoalign.room import dicom_tools

    tally, stop = dicom_tools.Tally(), threading.Event()

    def tell(notice: Any) -> None:
        tally.note(notice)
        facts = {"instance": notice.sop_instance_uid, "status": f"{notice.status:04X}", "message": notice.message}
        words = f"{notice.kind.value}: {notice.sop_instance_uid} ({notice.status:04X}) {notice.message}"
        print(json.dumps({"kind": notice.kind.value, **facts}) if as_json else words, flush=True)

    settings = dicom_tools.receiver_settings(
        ae_title=ae_title, host=host, port=port, callers=caller, room=_room(config)
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with dicom_tools.receiving(settings, folder, tell) as running:
        ready = {"ready": True, "ae_title": ae_title, "host": host, "port": running.port}
        print(json.dumps(ready) if as_json else f"{ae_title} listens on {host}:{running.port}", flush=True)
        stop.wait()
    facts = {"stored": tally.stored, "refused": tally.refused}
    print(json.dumps(facts) if as_json else f"{tally.stored} objects stored, {tally.refused} refused", flush=True)
    return 0


@app.command
def move(
    peer: PeerName,
    /,
    *uids: str,
    folder: Path = Path(),
    study: str = "",
    series: str = "",
    ae_title: OurTitle = OUR_AE_TITLE,
    host: Host = "127.0.0.1",
    port: Port = OUR_PORT,
    config: Config = None,
    as_json: AsJson = False,
) -> int:
    """Get instances from an archive (C-MOVE to ourselves, Study Root, level IMAGE).

    The archive must know our AE title with our address and port.

    Parameters
    ----------
    uids
        SOP Instance UIDs.
    folder
        Where the objects go; this folder by default.
    study
        Study Instance UID; empty otherwise (universal matching).
    series
        Series Instance UID; empty otherwise.
    """
    from isoalign.cli.progress import StepProgress
    from isoalign.room import dicom_tools

    if not uids:
        raise UnusableArgument("no instance is named", hint="Give the SOP Instance UIDs after the peer.")
    room = _room(config)
    target = _peer(peer, room)
    receiving = dicom_tools.receiver_settings(ae_title=ae_title, host=host, port=port, callers=(), room=room)
    with StepProgress() as progress:
        progress("begin", f"retrieving from {target.ae_title}", None)
        done = dicom_tools.move_instances(
            target,
            uids,
            folder,
            dicom_tools.node_settings(room, ae_title),
            receiving,
            _meter(progress),
            study_instance_uid=study,
            series_instance_uid=series,
        )
        progress("done", f"{done.count} of {len(uids)} objects arrived, {done.rate:.0f} a second", None)
        for warning in done.warnings:
            progress("warning", warning, None)
    facts = {"arrived": done.count, "duration_s": round(done.duration_s, 3), "warnings": list(done.warnings)}
    show_facts("isoalign.dicom-move/1", facts, as_json)
    return 0


@app.command
def commit(
    peer: PeerName,
    /,
    *paths: Files,
    wait_s: float = 30.0,
    calling: Calling = None,
    config: Config = None,
    as_json: AsJson = False,
) -> int:
    """Ask a peer whether it has files for good (storage commitment).

    Only a report on the same association is waited for.

    Parameters
    ----------
    wait_s
        How long the peer may take.
    """
    from isoalign.room import dicom_tools

    room = _room(config)
    target, files = _peer(peer, room), files_below(paths)
    missing = dicom_tools.commit_files(target, files, dicom_tools.node_settings(room, calling), wait_s)
    words = f"{target.ae_title} has {len(files) - len(missing)} of {len(files)} objects for good"
    show_facts(
        "isoalign.dicom-commit/1", {"asked": len(files), "missing": missing}, as_json, "\n".join([words, *missing])
    )
    return 4 if missing else 0


@app.command
def queue(
    *,
    config: Path = Path("room.toml"),
    state: Literal["queued", "sending", "sent", "failed"] | None = None,
    history: int | None = None,
    retry_failed: Annotated[bool, Parameter(negative="")] = False,
    now: Annotated[bool, Parameter(name="--send", negative="")] = False,
    as_json: AsJson = False,
) -> int:
    """Show what waits for the archive, what it has got and what was given up.

    Parameters
    ----------
    config
        Configuration of the room, room.toml.
    state
        Only entries in this state.
    history
        Show every attempt of the entry with this number.
    retry_failed
        Queue again what was given up, before anything else.
    now
        Send what is due. Only while the room does not run: it sends by itself.
    """
    from isoalign.room import dicom_tools
    from isoalign.room.settings import load_settings

    done: dict[str, int] = {}
    with dicom_tools.Queue(load_settings(config), sending=now) as outbox:
        if retry_failed:
            done["queued_again"] = outbox.retry_failed()
        if now:
            done["sent"] = outbox.send()
        if history is not None:
            rows = [
                {
                    "at": one.at.isoformat(),
                    "state": one.state.value,
                    "status": _status(one.peer_status),
                    "comment": one.peer_comment,
                }
                for one in outbox.history(history)
            ]
        else:
            rows = [
                {
                    "entry": str(one.entry_id),
                    "instance": one.sop_instance_uid,
                    "peer": one.peer,
                    "state": one.state.value,
                    "attempts": str(one.attempts),
                    "next_try_at": one.next_try_at.isoformat(),
                    "status": _status(one.peer_status),
                    "comment": one.peer_comment,
                }
                for one in outbox.entries(state)
            ]
    words = [f"{count} objects {name.replace('_', ' ')}" for name, count in done.items()]
    show_facts(
        "isoalign.dicom-queue/1", {**done, "entries": rows}, as_json, "\n".join([*words, table(rows) or "nothing"])
    )
    return 0


@app.command
def validate(*paths: Files, dciodvfy: Annotated[bool, Parameter(negative="")] = False, as_json: AsJson = False) -> int:
    """Check whether files are whole DICOM objects that this package can use.

    Parameters
    ----------
    dciodvfy
        Ask the program dciodvfy as well.
    """
    from isoalign.room import dicom_tools

    verdicts = [dicom_tools.validate_file(one, with_program=dciodvfy) for one in files_below(paths)]
    rows = [{"file": str(one.file), "kind": one.kind, "problems": list(one.problems)} for one in verdicts]
    lines = []
    for one in verdicts:
        lines.append(f"{'✗' if one.problems else '✓'} {one.file} ({one.kind})")
        lines += [f"    {problem}" for problem in one.problems]
    show_facts("isoalign.dicom-validate/1", {"files": rows}, as_json, "\n".join(lines))
    return FOUND_PROBLEMS if any(one.problems for one in verdicts) else 0


@app.command
def show(file: Path, /, *, as_json: AsJson = False) -> int:
    """Show the elements of a file. They may name a patient.

    Parameters
    ----------
    file
        A DICOM file.
    """
    from isoalign.room import dicom_tools

    elements = dicom_tools.describe_file(file)
    rows = [{"tag": tag, "name": name, "value": value} for tag, name, value in elements]
    show_facts("isoalign.dicom-elements/1", {"elements": rows}, as_json, table(rows))
    return 0


def _room(config: Path | None) -> RoomSettings | None:
    from isoalign.room.settings import load_settings

    return None if config is None else load_settings(config)


def _peer(named: str, room: RoomSettings | None) -> PeerSettings:
    from isoalign.room.settings import PeerSettings

    if named == "archive":
        if room is None or room.dicom is None:
            raise UnusableArgument("no archive is configured", hint="Name a room.toml with --config.")
        return room.dicom.archive
    title, at, address = named.partition("@")
    host, _, port = address.rpartition(":")
    if not (title and at and host and port.isdigit()):
        raise UnusableArgument(f"{named!r} is no peer", hint="Write AE@HOST:PORT, e.g. TMS@10.0.0.7:104.")
    try:
        return PeerSettings(ae_title=title, host=host, port=int(port))
    except ValueError as error:
        raise UnusableArgument(f"{named!r} is no peer: AE title or port out of range") from error


def _meter(progress: StepProgress) -> Callable[[int, int, float], None]:
    def tell(done: int, total: int, rate: float) -> None:
        progress("progress", f"{done} of {total}, {rate:.0f} a second", done / max(total, 1))

    return tell


def _status(status: int | None) -> str:
    return "" if status is None else f"{status:04X}"
