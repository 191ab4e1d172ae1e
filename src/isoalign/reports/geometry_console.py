"""Table-top positions and couch moves as tables for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from isoalign.geometry import RigidResidual
from isoalign.reports.console import result_table
from isoalign.reports.wording import AXIS_WORDS, direction_words, signed

RADII_MM = (50.0, 100.0)
"""Distances from the isocentre at which the largest displacement is told."""


@dataclass(frozen=True, slots=True)
class ReadOut:
    """Six numbers of a table-top position as they are shown somewhere.

    Attributes
    ----------
    label : str
        What shows them so: a representation or a scale.
    values : sequence of float
        In the order of the axes.
    units : sequence of str
        mm, cm, m or deg.
    """

    label: str
    values: Sequence[float]
    units: Sequence[str]


def conversion_table(given: ReadOut, converted: ReadOut, towards: Sequence[float]) -> Table:
    """One position as two read-outs, axis by axis.

    Parameters
    ----------
    given, converted : ReadOut
    towards : sequence of float
        Where the position lies along the axes of IEC 61217, mm and degrees: its sign is told in words.
    """
    table = result_table("Table-top position")
    same_units = tuple(given.units) == tuple(converted.units)
    table.add_column("axis")
    table.add_column(given.label, justify="right")
    if not same_units:
        table.add_column("unit")
    table.add_column(converted.label, justify="right", style="bold")
    table.add_column("unit")
    table.add_column("direction")
    rows = zip(AXIS_WORDS, given.values, given.units, converted.values, converted.units, towards, strict=True)
    for words, before, unit_before, after, unit_after, goes in rows:
        first = [signed(before, unit_before)] + ([] if same_units else [_mark(unit_before)])
        last = [signed(after, unit_after), _mark(unit_after)]
        table.add_row(words.label, *first, *last, direction_words(words.axis, goes).replace("no change", "zero"))
    return table


def couch_shift_summary(
    start: ReadOut,
    shift: ReadOut,
    target: ReadOut,
    towards: Sequence[float],
    *,
    error: RigidResidual,
    remaining: RigidResidual | None,
    limited_axes: Sequence[str],
    facts: Sequence[tuple[str, str]],
) -> Group:
    """Where the couch goes, what error that corrects and what it leaves, and what was taken for granted.

    Parameters
    ----------
    start, shift, target : ReadOut
        In one notation.
    towards : sequence of float
        The shift along the axes of IEC 61217, mm and degrees.
    error : RigidResidual
        What the registration found.
    remaining : RigidResidual or None
        What the move leaves; None where no limits were asked for.
    limited_axes : sequence of str
    facts : sequence of (str, str)
        What the result rests on: name and value.
    """
    table = result_table(f"Couch shift, {target.label}")
    table.add_column("axis")
    table.add_column("start", justify="right")
    table.add_column("shift", justify="right", style="bold")
    table.add_column("target", justify="right", style="bold")
    table.add_column("unit")
    table.add_column("shift goes")
    rows = zip(AXIS_WORDS, start.values, shift.values, target.values, target.units, towards, strict=True)
    for words, before, change, after, unit, goes in rows:
        numbers = [signed(value, unit) for value in (before, change, after)]
        table.add_row(words.label, *numbers, _mark(unit), direction_words(words.axis, goes))
    parts: list[RenderableType] = [table, *_residual_lines("set-up error found", error)]
    if remaining is not None:
        if limited_axes:
            names = [words.label.lower() for words in AXIS_WORDS if words.axis in limited_axes]
            parts.append(Text(f"! limited by the travel of the couch: {', '.join(names)}", style="yellow"))
            parts.extend(_residual_lines("remains uncorrected", remaining))
        else:
            parts.append(Text("within the travel of the couch; nothing remains by design"))
    facts_table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    facts_table.add_column(style="dim", no_wrap=True)
    facts_table.add_column(overflow="fold")
    for name, value in facts:
        facts_table.add_row(name, value)
    return Group(*parts, Text(""), facts_table)


def _residual_lines(name: str, residual: RigidResidual) -> list[Text]:
    shift = ", ".join(signed(float(value), "mm") for value in residual.translation_mm)
    turn = ", ".join(signed(float(value), "deg") for value in residual.rotation_vector_deg)
    worst = "; ".join(
        f"within {radius:g} mm of the isocentre at most {residual.greatest_displacement_mm(radius):.2f} mm"
        for radius in RADII_MM
    )
    return [
        Text(f"{name}: {residual.distance_mm:.2f} mm, {residual.angle_deg:.3f}°", style="bold"),
        Text(f"  isocentre point ({shift}) mm, rotation vector ({turn})°, fixed frame"),
        Text(f"  {worst}"),
    ]


def _mark(unit: str) -> str:
    return "°" if unit == "deg" else unit
