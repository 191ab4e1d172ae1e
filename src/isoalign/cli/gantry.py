"""``isoalign gantry``: look at the gantry, rotate it, move its imager arm, hold it, by way of a device daemon."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Parameter

from isoalign.cli.motion_shown import ShownMotion, hold_room, is_confirmed, require_somebody_to_ask

if TYPE_CHECKING:
    from isoalign.room.devices_tools import GantryPlan, GantryProgress, GantrySummary, RoomDeviceStatus

app = App(name="gantry", help="Look at the gantry, rotate it, move its imager arm, hold it, by way of a device daemon.")


@app.command
def status(
    *,
    socket: Path | None = None,
    room: str | None = None,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Show where gantry and imager arm are and what keeps them from moving.

    Parameters
    ----------
    socket
        Socket of the device daemon; that of the only room that runs here by default.
    room
        Name of the room, where several run here.
    as_json
        Print one JSON document.
    """
    from isoalign.room.devices_tools import find_socket, read_gantry_status

    found, gantry = read_gantry_status(find_socket(socket, room))
    if as_json:
        document = {
            "schema": "isoalign.gantry-status/1",
            **asdict(gantry),
            "activity": found.activity,
            "enable_active": found.enable_active,
            "links": found.links,
            "interlocks": [asdict(interlock) for interlock in found.interlocks],
        }
        print(json.dumps(document, indent=2))
        return 0
    _print_status(found, gantry)
    return 0


@app.command
def rotate(
    target: float,
    /,
    *,
    speed: float | None = None,
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    socket: Path | None = None,
    room: str | None = None,
    plan_only: Annotated[bool, Parameter(negative="")] = False,
    yes: Annotated[bool, Parameter(negative="")] = False,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Rotate the gantry to an angle, while the enable bar of the pendant is held. Its imager arm must be stowed.

    The plan is shown first and must be confirmed: duration, stop distance, clearance. Ctrl-C holds the gantry. Negative
    angles are written as they are: isoalign gantry rotate -90

    Parameters
    ----------
    target
        Gantry angle, IEC 61217, degrees, continuous over the travel: -170 and 190 are not the same way.
    speed
        Degrees per second; as fast as the gantry can by default.
    dry_run
        Made and watched in the room, slowly; afterwards the same path may be moved from outside.
    socket
        Socket of the device daemon; that of the only room that runs here by default.
    room
        Name of the room, where several run here.
    plan_only
        Show the plan and end; nothing moves.
    yes
        Do not ask.
    as_json
        Print one JSON document.
    """
    from isoalign.room.devices_tools import find_socket, prepare_rotation

    require_somebody_to_ask(answered=yes or plan_only, as_json=as_json)
    daemon = find_socket(socket, room)
    plan = prepare_rotation(daemon, target, speed_deg_per_s=speed, dry_run=dry_run)
    return _carry_out(daemon, plan, "gantry", plan_only=plan_only, yes=yes, as_json=as_json)


@app.command
def arm(
    end: Literal["stowed", "extended"],
    /,
    *,
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    socket: Path | None = None,
    room: str | None = None,
    plan_only: Annotated[bool, Parameter(negative="")] = False,
    yes: Annotated[bool, Parameter(negative="")] = False,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Move the imager arm to one of its ends, while the enable bar of the pendant is held.

    Parameters
    ----------
    end
        stowed, as a rotation needs it, or extended, as images need it.
    dry_run
        Made and watched in the room; afterwards the arm may be moved from outside, with the gantry at this angle.
    socket
        Socket of the device daemon; that of the only room that runs here by default.
    room
        Name of the room, where several run here.
    plan_only
        Show the plan and end; nothing moves.
    yes
        Do not ask.
    as_json
        Print one JSON document.
    """
    from isoalign.room.devices_tools import find_socket, prepare_arm

    require_somebody_to_ask(answered=yes or plan_only, as_json=as_json)
    daemon = find_socket(socket, room)
    plan = prepare_arm(daemon, end, dry_run=dry_run)
    return _carry_out(daemon, plan, "imager arm", plan_only=plan_only, yes=yes, as_json=as_json)


@app.command
def hold(
    reason: str = "asked for on the command line",
    /,
    *,
    socket: Path | None = None,
    room: str | None = None,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Stop all motion and exposure, now. The next motion needs isoalign couch clear and a new press of the enable bar.

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
    return hold_room(socket, room, reason, "isoalign.gantry-hold/1" if as_json else None)


def _carry_out(daemon: Path, plan: GantryPlan, what: str, *, plan_only: bool, yes: bool, as_json: bool) -> int:
    from isoalign.room.devices_tools import carry_out_gantry

    if not as_json:
        _print_plan(plan, what)
    if plan_only:
        if as_json:
            print(json.dumps({"schema": "isoalign.gantry-plan/1", **_plan_document(plan)}, indent=2))
        return 0
    if not yes and not is_confirmed(what):
        return 0

    def where(step: GantryProgress) -> str:
        if what != "gantry" or step.angle_deg is None:
            return ""
        return f"{step.angle_deg:.1f} of {plan.target_deg:.1f}°"

    with ShownMotion[Any](what, where) as shown:
        arrived = carry_out_gantry(daemon, plan, shown)
    if as_json:
        document = {**_plan_document(plan), "arrived": {"angle_deg": arrived.angle_deg, "arm": arrived.arm}}
        print(json.dumps({"schema": "isoalign.gantry-move/1", **document}, indent=2))
    return 0


def _plan_document(plan: GantryPlan) -> dict[str, Any]:
    wire = plan.to_wire()
    left_out = ("plan_id", "expires_in_s", "cone_beam")
    return {key: wire[key] for key in wire if key not in left_out} | {"clearance_in_words": plan.clearance_in_words}


def _print_plan(plan: GantryPlan, what: str) -> None:
    from isoalign.reports.console import print_result
    from isoalign.reports.device_console import facts_group

    if what == "gantry":
        motion = f"from {plan.start_deg:.1f}° to {plan.target_deg:.1f}°, way {plan.target_deg - plan.start_deg:+.1f}°"
    else:
        motion = f"from {plan.arm.lower()} to {plan.arm_end.lower()}, with the gantry at {plan.start_deg:.1f}°"
    facts = [(what, motion), ("duration", f"{plan.duration_s:.1f} s, while the enable bar is held")]
    if what == "gantry":
        facts += [
            ("speed", f"at most {plan.speed_deg_per_s:g}°/s"),
            ("stop distance", f"at most {plan.stop_distance_deg:.1f}° after a stop"),
        ]
    facts.append(("clearance", plan.clearance_in_words))
    if plan.dry_run:
        facts.append(("dry run", "watch it in the room"))
    print_result(facts_group([], facts))


def _print_status(found: RoomDeviceStatus, gantry: GantrySummary) -> None:
    from isoalign.reports.console import print_result
    from isoalign.reports.device_console import facts_group, interlock_facts

    age_s = gantry.age_s
    facts = [
        ("gantry angle", f"{_degrees(gantry.angle_deg)}, second encoder {_degrees(gantry.secondary_deg)}"),
        ("speed", "not known" if gantry.speed_deg_per_s is None else f"{gantry.speed_deg_per_s:.1f}°/s"),
        ("imager arm", gantry.arm.lower()),
        ("gantry", f"{gantry.mode}, {'moving or unknown' if gantry.moving else 'at rest'}"),
        ("read-back", "none" if age_s is None else f"{age_s * 1000:.0f} ms old"),
        ("doing", found.activity),
        ("enable bar", "held" if found.enable_active else "not held"),
        ("link gantry", found.links.get("gantry", "none")),
    ]
    if gantry.latch not in {"NONE", "UNKNOWN"}:
        facts.append(("stopped by", gantry.latch))
    print_result(facts_group([], facts + interlock_facts(found.interlocks)))


def _degrees(angle_deg: float | None) -> str:
    return "not known" if angle_deg is None else f"{angle_deg:.2f}°"
