"""The report of one match: numbers with directions in words, figures of trust, overlays; as page and for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from isoalign.geometry import TableTopPosition
from isoalign.records import Match, Verdict
from isoalign.reports.console import result_table
from isoalign.reports.files import write_whole
from isoalign.reports.record_json import both_representations, rigid_to_json
from isoalign.reports.session_report import NOTICE, axis_values, environment
from isoalign.reports.views import SCALE_BAR_MM, ImagerView
from isoalign.reports.wording import AXIS_WORDS, OBSERVER, direction_words, plain, signed

SCHEMA = "isoalign.match/1"
RADII_MM = (50.0, 100.0)

_VERDICTS = {
    Verdict.ACCEPTED: ("good", "✓", "Match accepted", "green"),
    Verdict.DOUBTFUL: ("warn", "?", "Match doubtful", "yellow"),
    Verdict.FAILED: ("bad", "✗", "Match failed", "red"),
}


@dataclass(frozen=True, slots=True)
class MatchReport:
    """All that is told of one match.

    Attributes
    ----------
    match : Match
        In the room.
    facts : sequence of (str, str)
        Name and value of what the result rests on and of the figures of trust.
    views : sequence of ImagerView
        Pictures, with what the day and the plan are called in ``names``.
    start, target : TableTopPosition or None
        Where the images say the table top was, and where it has to go to take the set-up error back.
    """

    match: Match
    facts: Sequence[tuple[str, str]]
    views: Sequence[ImagerView]
    names: tuple[str, str] = ("Radiograph", "DRR")
    start: TableTopPosition | None = None
    target: TableTopPosition | None = None

    @property
    def title(self) -> str:
        """For example "2D/3D match"."""
        return f"{self.match.kind} match"


def write_match_report(report: MatchReport, path: Path) -> Path:
    """Write the report of a match as one HTML file with everything inside; it appears whole or not at all.

    Raises
    ------
    ReportNotWritable
    """
    return write_whole(path, match_report_html(report).encode("utf-8"))


def match_report_html(report: MatchReport) -> str:
    """The report of a match as HTML text."""
    kind, mark, headline, _ = _VERDICTS[report.match.verdict]
    return (
        environment()
        .get_template("match.html.j2")
        .render(
            report=report,
            match=report.match,
            verdict={"kind": kind, "mark": mark, "headline": headline},
            rows=_rows(report),
            observer=OBSERVER,
            scale_bar_mm=f"{SCALE_BAR_MM:g}",
            notice=NOTICE,
        )
    )


def match_summary(report: MatchReport, page: Path | None = None) -> Group:
    """The match on one screen: six axes, the verdict and its reasons, where the page is."""
    _, mark, headline, style = _VERDICTS[report.match.verdict]
    parts: list[RenderableType] = []
    if report.match.trusted_residual is not None:
        parts.append(_table(report))
    parts.append(Text(f"{mark} {headline.lower()}", style=f"bold {style}"))
    parts.extend(Text(f"  {reason}") for reason in report.match.reasons)
    if report.match.trusted_residual is None:
        parts.append(Text("  there are no six numbers: only an accepted match may move the couch"))
    facts = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column(overflow="fold")
    for name, value in report.facts:
        facts.add_row(name, value)
    parts.extend([Text(""), facts])
    if page is not None:
        parts.append(Text(f"  report: {page}", overflow="fold"))
    return Group(*parts)


def match_to_json(report: MatchReport) -> dict[str, Any]:
    """The match as JSON types; the six numbers are null unless it was accepted."""
    match, residual = report.match, report.match.trusted_residual
    return {
        "schema": SCHEMA,
        "kind": match.kind,
        "verdict": match.verdict.value,
        "reasons": list(match.reasons),
        "converged": match.converged,
        "iterations": match.iterations,
        "duration_s": match.duration_s,
        "setup_error": None if residual is None else rigid_to_json(residual, RADII_MM),
        "sigma_mm": [float(value) for value in match.sigma_mm],
        "sigma_deg": [float(value) for value in match.sigma_deg],
        "start": None if report.start is None else both_representations(report.start),
        "target": None if residual is None or report.target is None else both_representations(report.target),
        "facts": dict(report.facts),
    }


def _rows(report: MatchReport) -> list[dict[str, str]]:
    """Six rows for an accepted match, none for another: nothing is shown that could be taken for a position."""
    residual = report.match.trusted_residual
    if residual is None:
        return []
    sigmas = (*report.match.sigma_mm, *report.match.sigma_deg)
    target = None if report.target is None or report.start is None else report.target.values
    start = None if report.start is None else report.start.values
    return [
        {
            "label": words.label,
            "unit": words.unit,
            "value": signed(value, words.unit),
            "sigma": plain(float(sigma), words.unit),
            "direction": direction_words(words.axis, value).replace("no change", "as planned"),
            "target": "–" if target is None else signed(target[index], words.unit),
            "change": "–" if target is None or start is None else signed(target[index] - start[index], words.unit),
        }
        for index, (words, value, sigma) in enumerate(zip(AXIS_WORDS, axis_values(residual), sigmas, strict=True))
    ]


def _table(report: MatchReport) -> Table:
    table = result_table(f"Set-up error, {report.title}, fixed frame")
    table.add_column("axis")
    table.add_column("error", justify="right", style="bold")
    table.add_column("1σ of the fit", justify="right")
    if report.target is not None:
        table.add_column("couch move", justify="right")
        table.add_column("couch target", justify="right")
    table.add_column("unit")
    table.add_column("the patient lies")
    for row in _rows(report):
        moves = [row["change"], row["target"]] if report.target is not None else []
        table.add_row(row["label"], row["value"], row["sigma"], *moves, row["unit"], row["direction"])
    return table
