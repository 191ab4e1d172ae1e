"""Compact tables for a terminal."""

from __future__ import annotations

import sys
from pathlib import Path

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from isoalign.geometry import Representation
from isoalign.records import Correction, Outcome, SessionRecord
from isoalign.reports.wording import AXIS_WORDS, direction_words, signed

PLAIN_WIDTH = 100
"""Columns where standard output is not a terminal."""


def print_result(result: RenderableType) -> None:
    """Print to standard output; without colour and at a fixed width where that is not a terminal."""
    terminal = sys.stdout.isatty()
    Console(file=sys.stdout, width=None if terminal else PLAIN_WIDTH, highlight=False).print(result)


def result_table(title: str) -> Table:
    """An empty table in the style of all results."""
    return Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)


def session_summary(record: SessionRecord, report: Path | None = None) -> Group:
    """The outcome of a session in one screen: six axes, residual against tolerance, where the report is."""
    parts: list[RenderableType] = []
    if record.correction is not None:
        parts.append(_couch_table(record, record.correction))
    parts.extend(_residual_lines(record))
    parts.extend(_clearance_lines(record))
    mark, style = _OUTCOME_STYLES[record.outcome]
    headline = Text(f"{mark} {record.outcome.value}", style=f"bold {style}")
    if record.truth is not None:
        headline.append("  SIMULATED", style="bold magenta")
    parts.append(headline)
    if record.message:
        parts.append(Text(f"  {record.message}"))
    parts.extend(Text(f"  ! {warning}", style="yellow") for warning in record.warnings)
    if report is not None:
        parts.append(Text(f"  report: {report}", overflow="fold"))
    return Group(*parts)


_OUTCOME_STYLES = {
    Outcome.ALIGNED: ("✓", "green"),
    Outcome.ALIGNED_IN_PART: ("✓", "yellow"),
    Outcome.OUT_OF_TOLERANCE: ("✗", "red"),
    Outcome.MATCH_REFUSED: ("✗", "red"),
    Outcome.HELD: ("‖", "yellow"),
    Outcome.FAILED: ("✗", "red"),
}


def _couch_table(record: SessionRecord, correction: Correction) -> Table:
    table = result_table("Couch, IEC 61217")
    table.add_column("axis")
    for name in ("start", "correction", "target", "arrived"):
        table.add_column(name, justify="right")
    table.add_column("unit")
    table.add_column("correction goes")
    arrived = record.arrived.in_representation(Representation.IEC_61217).values if record.arrived else (None,) * 6
    rows = zip(AXIS_WORDS, correction.start.values, correction.target.values, arrived, strict=True)
    for words, start, target, reached in rows:
        table.add_row(
            words.label,
            signed(start, words.unit),
            signed(target - start, words.unit),
            signed(target, words.unit),
            "–" if reached is None else signed(reached, words.unit),
            words.unit,
            direction_words(words.axis, target - start).split(" (")[0],
        )
    return table


def _clearance_lines(record: SessionRecord) -> list[Text]:
    lines = [
        Text(f"clearance, motion {number}: {motion.clearance_in_words}", overflow="fold")
        for number, motion in enumerate(record.motions, 1)
    ]
    left_out = dict.fromkeys(name for motion in record.motions for name in motion.not_checked)
    if left_out:
        lines.append(Text(f"clearance, not checked: {', '.join(left_out)}"))
    return lines


def _residual_lines(record: SessionRecord) -> list[Text]:
    setup, verification = record.setup_pass, record.verification_pass
    lines = []
    if setup is not None:
        found = setup.match.trusted_residual
        untold = setup.match.untold_in_words
        if found is None:
            lines.append(Text("set-up error found: none"))
        elif untold:
            lines.append(
                Text(f"set-up error found: {found.distance_mm:.2f} mm; not available, not corrected: {untold}")
            )
        else:
            lines.append(Text(f"set-up error found: {found.distance_mm:.2f} mm, {found.angle_deg:.2f}°"))
    residual = None if verification is None else verification.match.trusted_residual
    if verification is not None and residual is not None:
        tolerance, untold = record.tolerance, verification.match.untold_in_words
        angle_deg = verification.match.largest_told_angle_deg
        words = [f"{residual.distance_mm:.2f} mm of {tolerance.distance_mm:g} mm"]
        words += [] if angle_deg is None else [f"{angle_deg:.3f}° of {tolerance.angle_deg:g}°"]
        words += [f"not available: {untold}"] if untold else []
        lines.append(Text(f"residual, last images: {', '.join(words)}"))
    if record.truth is not None:
        true = record.truth.remaining
        lines.append(Text(f"residual, true:        {true.distance_mm:.2f} mm, {true.largest_axis_deg:.3f}°"))
    return lines
