"""``isoalign couch``: look at the couch, move it, hold it, by way of a device daemon that runs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Parameter

from isoalign.cli.motion_shown import ShownMotion, hold_room, is_confirmed, require_somebody_to_ask

if TYPE_CHECKING:
    from isoalign.geometry import MachineScale
    from isoalign.room.devices_tools import MotionPlan, RoomDeviceStatus
    from isoalign.room.position_notations import Notation

app = App(name="couch", help="Look at the couch, move it, hold it, by way of a device daemon that runs.")


@app.command
def status(
    *,
    socket: Path | None = None,
    room: str | None = None,
    shown_in: Annotated[str, Parameter(name="--in")] = "iec61217",
    config: Path | None = None,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Show where the couch is and what keeps it from moving.

    Parameters
    ----------
    socket
        Socket of the device daemon; that of the only room that runs here by default.
    room
        Name of the room, where several run here.
    shown_in
        How the position is shown: iec61217, isocentric, or a machine scale (see isoalign convert).
    config
        Configuration of the room, room.toml, for the scales that it states.
    as_json
        Print one JSON document.
    """
    from isoalign.room.devices_tools import find_socket, read_status
    from isoalign.room.position_notations import notation_of

    notation = notation_of(shown_in, _scales(config))
    notation.require_usable()
    found = read_status(find_socket(socket, room))
    if as_json:
        document = {"schema": "isoalign.couch-status/1", **found.to_wire()}
        document["shown"] = None if found.couch_position is None else _reading(notation, found.couch_position)
        print(json.dumps(document, indent=2))
        return 0
    _print_status(found, notation)
    return 0


@app.command
def move(
    lateral: float,
    longitudinal: float,
    vertical: float,
    pitch: float,
    roll: float,
    psa: float,
    /,
    *,
    to: str,
    approach: Literal["direct", "unidirectional"] = "direct",
    speed: Literal["service", "normal", "fast"] | None = None,
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    socket: Path | None = None,
    room: str | None = None,
    config: Path | None = None,
    plan_only: Annotated[bool, Parameter(negative="")] = False,
    yes: Annotated[bool, Parameter(negative="")] = False,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Move the couch to a position, while the enable bar of the pendant is held.

    The plan is shown first and must be confirmed: duration, stop distance, clearance. Ctrl-C holds the couch. Negative
    numbers are written as they are: isoalign couch move -12.5 700 -120 0 0 -5 --to iec61217

    Parameters
    ----------
    lateral
        Table top lateral, mm (or the unit of the scale).
    longitudinal
        Table top longitudinal.
    vertical
        Table top vertical.
    pitch
        Table top pitch, degrees.
    roll
        Table top roll, degrees.
    psa
        Patient support angle, degrees.
    to
        What the numbers mean: iec61217, isocentric, or a machine scale (see isoalign convert). Has no default, so that
        nobody moves by numbers that are meant otherwise.
    approach
        unidirectional: the last part of every axis' way goes in the direction in which the couch was calibrated.
    speed
        Speed class; that of the daemon's configuration by default. fast needs a clearance that was checked.
    dry_run
        Made and watched in the room, slowly; afterwards the same path may be moved from outside.
    socket
        Socket of the device daemon; that of the only room that runs here by default.
    room
        Name of the room, where several run here.
    config
        Configuration of the room, room.toml, for the scales that it states.
    plan_only
        Show the plan and end; nothing moves.
    yes
        Do not ask.
    as_json
        Print one JSON document.
    """
    from isoalign.room.devices_tools import MotionProgress, carry_out, find_socket, prepare_move
    from isoalign.room.position_notations import notation_of

    notation = notation_of(to, _scales(config))
    target = notation.iec_position((lateral, longitudinal, vertical, pitch, roll, psa))
    require_somebody_to_ask(answered=yes or plan_only, as_json=as_json)
    daemon = find_socket(socket, room)
    plan = prepare_move(daemon, target, approach, speed=speed, dry_run=dry_run)
    if not as_json:
        _print_plan(plan, notation)
    if plan_only:
        if as_json:
            print(json.dumps({"schema": "isoalign.couch-plan/1", **_plan_document(plan, notation)}, indent=2))
        return 0
    if not yes and not is_confirmed("couch"):
        return 0
    with ShownMotion[MotionProgress]("couch") as shown:
        arrived = carry_out(daemon, plan, shown)
    if as_json:
        document = {**_plan_document(plan, notation), "arrived": _reading(notation, arrived)}
        print(json.dumps({"schema": "isoalign.couch-move/1", **document}, indent=2))
    return 0


@app.command
def hold(
    reason: str = "asked for on the command line",
    /,
    *,
    socket: Path | None = None,
    room: str | None = None,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Stop all motion and exposure, now. The next motion needs a clear and a new press of the enable bar.

    Parameters
    ----------
    reason
        Stands in the log and in the interlock.
    socket
        Socket of the device daemon; that of the only room that runs here by default.
    room
        Name of the room, where several run here.
    as_json
        Print one JSON document.
    """
    return hold_room(socket, room, reason, "isoalign.couch-hold/1" if as_json else None)


@app.command
def clear(
    *,
    user: str,
    reason: str,
    socket: Path | None = None,
    room: str | None = None,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Clear the interlocks whose cause is gone, in the name of a user. Nothing moves by this.

    Parameters
    ----------
    user
        Who clears.
    reason
        Why it is safe to.
    socket
        Socket of the device daemon; that of the only room that runs here by default.
    room
        Name of the room, where several run here.
    as_json
        Print one JSON document.
    """
    from isoalign.room import devices_tools

    cleared = devices_tools.clear(devices_tools.find_socket(socket, room), reason, user)
    if as_json:
        print(json.dumps({"schema": "isoalign.couch-clear/1", "cleared": list(cleared)}, indent=2))
    else:
        print(f"cleared: {', '.join(cleared) or 'nothing was latched'}")
    return 0


@app.command
def faults(
    *,
    number: int = 0,
    socket: Path | None = None,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Show the latest faults, and what was seen from two seconds before one of them to two seconds after.

    Parameters
    ----------
    number
        Of the fault to be looked at; 0 is the latest.
    socket
        Socket of the device daemon; that of the only room that runs here by default.
    as_json
        Print one JSON document with all samples.
    """
    from isoalign.room.devices_tools import find_socket, read_faults

    found = read_faults(find_socket(socket), number)
    if as_json:
        print(json.dumps({"schema": "isoalign.couch-faults/1", "number": number, **found}, indent=2))
        return 0
    for line in fault_lines(found, number):
        print(line)
    return 0


def fault_lines(found: dict[str, Any], number: int) -> list[str]:
    """Faults and samples in words; what did not change since the line before is left out."""
    if not found["faults"]:
        return ["no fault since the daemon started"]
    lines = [
        f"{'>' if place == number else ' '} {place}  {fault['at'][:23]}  {fault['rule_id']}: {fault['text']}"
        for place, fault in enumerate(found["faults"])
    ]
    before = ""
    for sample in found["samples"]:
        couch = sample.get("couch")
        words = [sample["activity"], "bar held" if sample["enable"] else "bar not held"]
        if couch is not None:
            fastest = max((abs(v) for v in couch["velocity"] if v is not None), default=0.0)
            words += [f"brakes {couch['brake']}", "at rest" if couch["standstill"] else f"at most {fastest:.0f}/s"]
            words += couch["faults"]
        shown = ", ".join(words)
        if shown != before:
            lines.append(f"  {sample['t_s']:+7.3f} s  {shown}")
        before = shown
    return lines


def _scales(config: Path | None) -> Mapping[str, MachineScale]:
    if config is None:
        return {}
    from isoalign.room.settings import load_settings

    return load_settings(config).scales()


def _reading(notation: Notation, position: Any) -> dict[str, Any]:
    from isoalign.cli.convert import reading_to_json

    return reading_to_json(notation, notation.values(position))


def _plan_document(plan: MotionPlan, notation: Notation) -> dict[str, Any]:
    return {
        "start": _reading(notation, plan.start),
        "target": _reading(notation, plan.target),
        "waypoints": [_reading(notation, waypoint) for waypoint in plan.waypoints],
        "approach": plan.approach,
        "speed": plan.speed,
        "dry_run": plan.dry_run,
        "duration_s": plan.duration_s,
        "stop_distance_mm": plan.stop_distance_mm,
        "stop_distance_deg": plan.stop_distance_deg,
        "clearance": None if plan.clearance is None else plan.clearance.to_wire(),
        "clearance_in_words": plan.clearance_in_words,
    }


def _print_plan(plan: MotionPlan, notation: Notation) -> None:
    from isoalign.cli.convert import read_out
    from isoalign.reports.console import print_result
    from isoalign.reports.device_console import facts_group, motion_table

    start, target = notation.values(plan.start), notation.values(plan.target)
    changes = notation.changes(start, target)
    table = motion_table(read_out(notation, start), changes, read_out(notation, target), notation.towards(changes))
    facts = [
        ("duration", f"{plan.duration_s:.1f} s, while the enable bar is held"),
        ("stop distance", f"at most {plan.stop_distance_mm:.1f} mm and {plan.stop_distance_deg:.2f}° after a stop"),
        ("clearance", plan.clearance_in_words),
        ("speed", f"{plan.speed} class{', dry run: watch it in the room' if plan.dry_run else ''}"),
    ]
    if plan.waypoints:
        facts.append(("approach", "unidirectional: rests once just beside the target; keep the bar pressed"))
    print_result(facts_group([table], facts))


def _print_status(found: RoomDeviceStatus, notation: Notation) -> None:
    from isoalign.cli.convert import read_out
    from isoalign.reports.console import print_result
    from isoalign.reports.device_console import axes_table, facts_group, interlock_facts

    tables: list[Any] = []
    if found.axes:
        shown = None
        if found.couch_position is not None and notation.name != "iec61217":
            shown = read_out(notation, notation.values(found.couch_position))
        tables.append(axes_table("Couch, IEC 61217", shown, found.axes))
    age_s = found.couch_age_s
    facts = [
        ("couch", f"{found.mode}, {'moving or unknown' if found.moving else 'at rest'}"),
        ("read-back", "none" if age_s is None else f"{age_s * 1000:.0f} ms old"),
        ("doing", found.activity),
        ("enable bar", "held" if found.enable_active else "not held"),
        ("motion", "permitted" if found.motion_permitted else "refused"),
        ("exposure", "permitted" if found.exposure_permitted else "refused"),
        *((f"link {name}", state) for name, state in found.links.items()),
    ]
    if found.payload_kg is not None:
        facts.append(("load", f"{found.payload_kg:.1f} kg"))
    if found.beam_hold_requested:
        facts.append(("beam", "hold requested"))
    if found.log_lines_lost:
        facts.append(("log", f"{found.log_lines_lost} lines could not be written"))
    print_result(facts_group(tables, facts + interlock_facts(found.interlocks)))
