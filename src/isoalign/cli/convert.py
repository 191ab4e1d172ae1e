"""``isoalign convert``: table-top positions from one representation or machine scale to another, one or whole files."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import ArgumentCollection, Group, Parameter

if TYPE_CHECKING:
    from isoalign.geometry import MachineScale
    from isoalign.reports.geometry_console import ReadOut
    from isoalign.room.position_notations import Notation

_POSITIONAL = ("lateral", "longitudinal", "vertical")
_ANGLES = ("pitch", "roll", "psa")
_OF_A_FILE = ("output", "level", "force")


def _one_position_or_a_file(arguments: ArgumentCollection) -> None:
    """Refuse a mixture: what belongs to the other kind would be passed over in silence."""
    given = {argument.name.removeprefix("--").lower() for argument in arguments if argument.has_tokens}
    if "file" in given:
        mixed = [name for name in (*_POSITIONAL, *_ANGLES) if name in given]
        if mixed:
            raise ValueError(f"--file converts a whole file: {_shown(mixed)} cannot be given as well")
        missing = [name for name in ("output", "from", "to") if name not in given]
        if missing:
            raise ValueError(f"--file needs {_shown(missing)} as well")
        return
    stray = [name for name in _OF_A_FILE if name in given]
    if stray:
        raise ValueError(f"{_shown(stray)}: only with --file")
    missing = [name for name in _POSITIONAL if name not in given]
    if missing:
        raise ValueError(f"{_shown(missing)} missing: give three numbers, or a file with --file")


def _shown(names: Sequence[str]) -> str:
    return ", ".join(name.upper() if name in _POSITIONAL else f"--{name}" for name in names)


_CHECKED = Group("position or file", show=False, validator=_one_position_or_a_file)
_POSITION = Group("Position")
_FILES = Group("Whole files")
_MEANING = Group("What the numbers mean")


def convert(
    lateral: Annotated[float | None, Parameter(group=(_POSITION, _CHECKED))] = None,
    longitudinal: Annotated[float | None, Parameter(group=(_POSITION, _CHECKED))] = None,
    vertical: Annotated[float | None, Parameter(group=(_POSITION, _CHECKED))] = None,
    *,
    pitch: Annotated[float, Parameter(group=(_POSITION, _CHECKED))] = 0.0,
    roll: Annotated[float, Parameter(group=(_POSITION, _CHECKED))] = 0.0,
    psa: Annotated[float, Parameter(group=(_POSITION, _CHECKED))] = 0.0,
    source: Annotated[str | None, Parameter(name="--from", group=(_MEANING, _CHECKED))] = None,
    target: Annotated[str | None, Parameter(name="--to", group=(_MEANING, _CHECKED))] = None,
    config: Annotated[Path | None, Parameter(group=_MEANING)] = None,
    declare_cid9569_isocentric: Annotated[bool, Parameter(negative="", group=_MEANING)] = False,
    file: Annotated[Path | None, Parameter(group=(_FILES, _CHECKED))] = None,
    output: Annotated[Path | None, Parameter(group=(_FILES, _CHECKED))] = None,
    level: Annotated[bool, Parameter(negative="", group=(_FILES, _CHECKED))] = False,
    force: Annotated[bool, Parameter(negative="", group=(_FILES, _CHECKED))] = False,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Convert table-top positions between IEC 61217, Isocentric Standard and machine scales.

    The angles are the same in both representations; the translations differ as soon as pitch or roll is not zero.
    Negative numbers are written as they are: isoalign convert -12.5 700 -120 --pitch -1.5

    An axis of a machine scale of which no source is known is refused until the configuration states it.

    Parameters
    ----------
    lateral
        Table top lateral, mm (or the unit of the scale), + towards +X.
    longitudinal
        Table top longitudinal, mm, + towards the gantry.
    vertical
        Table top vertical, mm, + up.
    pitch
        Table top pitch, degrees, + gantry end up.
    roll
        Table top roll, degrees, + right side down.
    psa
        Patient support angle, degrees, + counter-clockwise from above.
    source
        How the given numbers are meant: iec61217 (by default), isocentric, cid9569 (the isocentric set of DICOM), a
        machine scale (varian-iec, varian-standard, elekta-iec, iba), or one that the configuration states.
    target
        What to convert to, by the same names; by default iec61217, and isocentric from there.
    config
        Configuration of the room, room.toml, for the scales that it states.
    declare_cid9569_isocentric
        State that cid9569 is Isocentric Standard on this machine; no published source says so.
    file
        File of positions to convert: .csv or .parquet with the columns lateral_mm, longitudinal_mm, vertical_mm,
        pitch_deg, roll_deg, patient_support_angle_deg; others are carried along.
    output
        File to write; its ending .csv or .parquet says which format.
    level
        Angles that have no column are 0.
    force
        Overwrite the output.
    as_json
        Print one JSON document instead of a table.
    """
    from isoalign.room.position_notations import notation_of

    scales = _scales_of(config)
    given = notation_of(source or "iec61217", scales, cid9569_is_isocentric=declare_cid9569_isocentric)
    other = "isocentric" if given.name == "iec61217" else "iec61217"
    wanted = notation_of(target or other, scales, cid9569_is_isocentric=declare_cid9569_isocentric)
    if file is not None and output is not None:
        return _convert_file(file, output, given, wanted, level=level, force=force, as_json=as_json)
    if lateral is None or longitudinal is None or vertical is None:
        raise AssertionError("refused before")  # by _one_position_or_a_file
    return _convert_one((lateral, longitudinal, vertical, pitch, roll, psa), given, wanted, as_json=as_json)


def _scales_of(config: Path | None) -> Mapping[str, MachineScale]:
    if config is None:
        return {}
    from isoalign.room.settings import load_settings

    return load_settings(config).scales()


def _convert_one(
    values: tuple[float, float, float, float, float, float], given: Notation, wanted: Notation, *, as_json: bool
) -> int:
    position = given.position(values)
    converted = wanted.values(position)
    if as_json:
        document = {"from": reading_to_json(given, values), "to": reading_to_json(wanted, converted)}
        print(json.dumps({"schema": "isoalign.conversion/1", **document}, indent=2))
        return 0

    from isoalign.geometry import Representation
    from isoalign.reports.console import print_result
    from isoalign.reports.geometry_console import conversion_table

    # the words follow the position itself, which a scale may mirror
    towards = converted if wanted.scale is None else position.in_representation(Representation.IEC_61217).values
    print_result(conversion_table(read_out(given, values), read_out(wanted, converted), towards))
    return 0


def _convert_file(
    file: Path, output: Path, given: Notation, wanted: Notation, *, level: bool, force: bool, as_json: bool
) -> int:
    from isoalign.cli.progress import StepProgress
    from isoalign.room.position_tables import convert_file

    with StepProgress() as progress:
        progress("begin", f"Converting {file}", None)
        done = convert_file(
            file,
            output,
            given=given,
            wanted=wanted,
            level=level,
            force=force,
            on_progress=lambda text, fraction: progress("progress", text, fraction),
        )
        count = "1 position" if done.rows == 1 else f"{done.rows} positions"
        progress("done", f"{count} from {given.label} to {wanted.label}", None)
        if done.level_axes:
            axes = ", ".join(axis.replace("_", " ") for axis in done.level_axes)
            progress("note", f"not in the file, taken as 0 because of --level: {axes}", None)
    if as_json:
        facts: dict[str, Any] = {
            "schema": "isoalign.file-conversion/1",
            "file": str(file),
            "output": str(done.output),
            "from": given.name,
            "to": wanted.name,
            "rows": done.rows,
            "level_axes": list(done.level_axes),
        }
        print(json.dumps(facts, indent=2))
    else:
        print(done.output)
    return 0


def reading_to_json(notation: Notation, values: tuple[float, ...]) -> dict[str, Any]:
    """Six numbers with what they mean and the unit of each in its key."""
    kind = "representation" if notation.scale is None else "scale"
    return {kind: notation.name, **dict(zip(notation.columns, values, strict=True))}


def read_out(notation: Notation, values: tuple[float, ...]) -> ReadOut:
    """Six numbers for a table."""
    from isoalign.reports.geometry_console import ReadOut

    return ReadOut(notation.label, values, notation.units)
