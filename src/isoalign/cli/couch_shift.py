"""``isoalign couch-shift``: a DICOM Spatial Registration and a plan as a move of the couch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Group, Parameter

from isoalign.cli.errors import UnusableArgument

if TYPE_CHECKING:
    from isoalign.geometry import MachineScale, TravelLimits
    from isoalign.room.couch_shift import CouchShift
    from isoalign.room.position_notations import Notation
    from isoalign.room.settings import RoomSettings

Point = tuple[float, float, float]
Six = tuple[float, float, float, float, float, float]
ORIGIN: Point = (0.0, 0.0, 0.0)

_TABLE = Group("Table top")
_REGISTRATION = Group("How the registration is meant")
_AXES_WORDS = {"table": "turns with the table top", "room": "stays in the room"}
_DIRECTION_WORDS = {
    "dicom": "from an item's frame into the registration's own (DICOM)",
    "inverse": "from the registration's own frame into an item's (not as DICOM says)",
}


def couch_shift(
    registration: Path,
    plan: Path,
    /,
    *,
    table: Annotated[Six | None, Parameter(negative="", group=_TABLE)] = None,
    table_scale: Annotated[str, Parameter(group=_TABLE)] = "iec61217",
    target: Annotated[str, Parameter(name="--to", group=_TABLE)] = "iec61217",
    config: Annotated[Path | None, Parameter(group=_TABLE)] = None,
    limits: Annotated[bool, Parameter(negative="", group=_TABLE)] = False,
    declare_cid9569_isocentric: Annotated[bool, Parameter(negative="", group=_TABLE)] = False,
    beam: int | None = None,
    verification_isocentre: Annotated[Point | None, Parameter(negative="", group=_REGISTRATION)] = None,
    axes: Annotated[Literal["table", "room"], Parameter(group=_REGISTRATION)] = "table",
    direction: Annotated[Literal["dicom", "inverse"], Parameter(group=_REGISTRATION)] = "dicom",
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Turn a DICOM Spatial Registration and an RT Ion Plan into the move of the couch.

    The registration joins the frame of reference of the plan with that of the images of the day. The result is the move
    that brings the patient to where the plan wants the patient, about the isocentre, with what it leaves.

    Parameters
    ----------
    registration
        Spatial Registration (DICOM file).
    plan
        RT Ion Plan (DICOM file): isocentre, patient position and table angles of the beam.
    table
        Where the table top was when the images were taken: lateral, longitudinal, vertical, pitch, roll, patient
        support angle. Without it the table position in the plan; where the plan leaves that empty, it must be given.
    table_scale
        How the numbers of --table are meant: iec61217, isocentric, cid9569, a machine scale (see isoalign convert) or
        one that the configuration states.
    target
        How the result is shown, by the same names.
    config
        Configuration of the room, room.toml, for its scales and for the travel of its couch.
    limits
        Keep within the travel of the couch that the configuration states: angles out of reach are limited, the position
        is re-centred, and what remains is told.
    declare_cid9569_isocentric
        State that cid9569 is Isocentric Standard on this machine; no published source says so.
    beam
        Number of the beam; the first one by default.
    verification_isocentre
        Machine isocentre in the frame of reference of the images, DICOM patient axes, mm: Isocenter Position of their
        RT Images. 0 0 0 by default, which is right for the first pair of a session.
    axes
        Whether the frame of the images turns with the table top (table) or stays in the room (room).
    direction
        Whether the matrices lead as DICOM says (dicom: from an item's frame into the registration's own) or the other
        way (inverse).
    as_json
        Print one JSON document instead of tables.
    """
    from isoalign.room.couch_shift import FrameAxes, MatrixMeaning, find_couch_shift
    from isoalign.room.position_notations import notation_of

    settings = _settings(config)
    scales: dict[str, MachineScale] = {} if settings is None else settings.scales()
    given = notation_of(table_scale, scales, cid9569_is_isocentric=declare_cid9569_isocentric)
    shown = notation_of(target, scales, cid9569_is_isocentric=declare_cid9569_isocentric)
    shown.require_usable()
    found = find_couch_shift(
        registration,
        plan,
        table_top=None if table is None else given.iec_position(table),
        beam_number=beam,
        verification_isocentre_mm=verification_isocentre or ORIGIN,
        axes=FrameAxes(axes),
        meaning=MatrixMeaning(direction),
        limits=_travel(settings) if limits else None,
    )
    assumed = {"verification_isocentre_mm": verification_isocentre or ORIGIN, "axes": axes, "direction": direction}
    if as_json:
        print(json.dumps(_document(found, shown, assumed), indent=2))
        return 0
    words = {
        "table": "as in the plan" if table is None else f"as given, {given.label}",
        "isocentre": "as given" if verification_isocentre else "assumed: --verification-isocentre was not given",
    }
    _print(found, shown, assumed, words)
    return 0


def _settings(config: Path | None) -> RoomSettings | None:
    if config is None:
        return None
    from isoalign.room.settings import load_settings

    return load_settings(config)


def _travel(settings: RoomSettings | None) -> TravelLimits:
    if settings is None or settings.couch is None:
        raise UnusableArgument(
            "--limits: no configuration says how far the couch goes",
            hint="Give --config room.toml with a table [couch.travel].",
        )
    return settings.couch.travel.limits()


def _document(found: CouchShift, shown: Notation, assumed: dict[str, Any]) -> dict[str, Any]:
    from isoalign.cli.convert import reading_to_json
    from isoalign.reports.geometry_console import RADII_MM
    from isoalign.reports.record_json import rigid_to_json

    start, target = shown.values(found.start), shown.values(found.target)
    limited = found.limited
    return {
        "schema": "isoalign.couch-shift/1",
        "start": reading_to_json(shown, start),
        "shift": reading_to_json(shown, shown.changes(start, target)),
        "target": reading_to_json(shown, target),
        "setup_error": rigid_to_json(found.move.error, RADII_MM),
        "limits": None
        if limited is None
        else {
            "desired": reading_to_json(shown, shown.values(found.move.target)),
            "limited_axes": list(limited.limited_axes),
            "remaining": rigid_to_json(limited.remaining, RADII_MM),
        },
        "plan": {
            "label": found.plan.label,
            "beam_number": found.beam.number,
            "patient_position": found.plan.patient_position.value,
            "isocentre_mm": [float(value) for value in found.beam.isocentre_mm],
            "frame_of_reference_uid": found.planning_frame_uid,
            "pitch_deg": found.beam.table_top_pitch_deg,
            "roll_deg": found.beam.table_top_roll_deg,
            "patient_support_angle_deg": found.beam.patient_support_angle_deg,
        },
        "registration": {
            "frame_of_reference_uid": found.verification_frame_uid,
            "distance_from_rotation": found.rotation_error,
        },
        "assumed": {**assumed, "table_top_from_plan": found.table_top_from_plan},
    }


def _print(found: CouchShift, shown: Notation, assumed: dict[str, Any], words: dict[str, str]) -> None:
    from isoalign.cli.convert import read_out
    from isoalign.reports.console import print_result
    from isoalign.reports.geometry_console import couch_shift_summary

    start, target = shown.values(found.start), shown.values(found.target)
    changes = shown.changes(start, target)
    beam = found.beam
    isocentre = ", ".join(f"{value:g}" for value in assumed["verification_isocentre_mm"])
    planned_angles = (
        f"pitch {beam.table_top_pitch_deg:g}°, roll {beam.table_top_roll_deg:g}°, "
        f"patient support {beam.patient_support_angle_deg:g}°"
    )
    facts = [
        ("plan", f"{found.plan.label}, beam {beam.number} ({beam.name}), {found.plan.patient_position.value}"),
        ("planned table angles", planned_angles),
        ("table top at imaging", words["table"]),
        ("machine isocentre in the frame of the images", f"({isocentre}) mm, {words['isocentre']}"),
        ("frame of the images", _AXES_WORDS[assumed["axes"]]),
        ("matrices lead", _DIRECTION_WORDS[assumed["direction"]]),
        ("matrix differs from a rotation by", f"{found.rotation_error:.1e}"),
    ]
    limited = found.limited
    print_result(
        couch_shift_summary(
            read_out(shown, start),
            read_out(shown, changes),
            read_out(shown, target),
            shown.towards(changes),
            error=found.move.error,
            remaining=None if limited is None else limited.remaining,
            limited_axes=() if limited is None else limited.limited_axes,
            facts=facts,
        )
    )
