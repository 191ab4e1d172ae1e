"""The devices of a room, and a motion that is about to begin, as tables for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from isoalign.records import AxisState
from isoalign.reports.console import result_table
from isoalign.reports.geometry_console import ReadOut
from isoalign.reports.wording import AXIS_WORDS, direction_words, signed


def axes_table(title: str, shown: ReadOut | None, axes: Sequence[AxisState]) -> Table:
    """The read-back of the couch: both channels by IEC 61217, and the position in another notation where one is given.

    Parameters
    ----------
    title : str
    shown : ReadOut or None
    axes : sequence of AxisState
    """
    table = result_table(title)
    table.add_column("axis")
    if shown is not None:
        table.add_column(shown.label, justify="right", style="bold")
        table.add_column("unit")
    for name in ("channel 1", "channel 2", "speed"):
        table.add_column(name, justify="right")
    table.add_column("unit")
    for index, (words, axis) in enumerate(zip(AXIS_WORDS, axes, strict=True)):
        own = [] if shown is None else [signed(shown.values[index], shown.units[index]), mark(shown.units[index])]
        numbers = [
            "–" if value != value else signed(value, words.unit)  # noqa: PLR0124 - NaN is an encoder without a value
            for value in (axis.primary, axis.secondary, axis.velocity)
        ]
        table.add_row(words.label, *own, *numbers, words.unit)
    return table


def facts_group(parts: Sequence[RenderableType], facts: Sequence[tuple[str, str]]) -> Group:
    """Tables, and below them names with what is to be said about each."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in facts:
        table.add_row(name, value)
    return Group(*parts, Text(""), table) if parts else Group(table)


class OpenRule(Protocol):
    """A rule of the interlock chain that is not fulfilled."""

    @property
    def rule_id(self) -> str:
        """Its name."""

    @property
    def text(self) -> str:
        """What is amiss."""

    @property
    def latched(self) -> bool:
        """Whether it stays until somebody clears it."""


def interlock_facts(interlocks: Sequence[OpenRule]) -> list[tuple[str, str]]:
    """What keeps everything from moving, for :func:`facts_group`."""
    held = {True: "latched, needs a clear", False: "goes with its cause"}
    return [("interlock", f"{one.rule_id}: {one.text} ({held[one.latched]})") for one in interlocks]


def motion_table(start: ReadOut, changes: Sequence[float], target: ReadOut, towards: Sequence[float]) -> Table:
    """Where the couch is, how far every axis goes, and where to.

    Parameters
    ----------
    start, target : ReadOut
        In one notation.
    changes : sequence of float
        In the same notation.
    towards : sequence of float
        The changes along the axes of IEC 61217: their signs are told in words.
    """
    table = result_table(f"Motion of the couch, {target.label}")
    table.add_column("axis")
    for name in ("now", "way"):
        table.add_column(name, justify="right")
    table.add_column("target", justify="right", style="bold")
    table.add_column("unit")
    table.add_column("goes")
    rows = zip(AXIS_WORDS, start.values, changes, target.values, target.units, towards, strict=True)
    for words, before, change, after, unit, goes in rows:
        numbers = [signed(value, unit) for value in (before, change, after)]
        table.add_row(words.label, *numbers, mark(unit), direction_words(words.axis, goes))
    return table


def mark(unit: str) -> str:
    """A unit as people write it."""
    return "°" if unit == "deg" else unit
