"""Documents on a terminal: everything but the plots."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from isoalign.reports.console import result_table
from isoalign.reports.document import Document, Facts, Grid, Heading, Paragraph


def document_group(document: Document) -> Group:
    """A document for :func:`isoalign.reports.console.print_result`; plots are left out."""
    mark, style = ("✓", "green") if document.good else ("✗", "red")
    parts: list[RenderableType] = [Text(document.title, style="bold"), Text(document.subtitle, style="dim")]
    for block in document.blocks:
        if isinstance(block, Heading):
            parts += [Text(), Text(block.text, style="bold")]
        elif isinstance(block, Paragraph):
            parts.append(Text(block.text))
        elif isinstance(block, Facts):
            facts = Table.grid(padding=(0, 2))
            for label, value in block.rows:
                facts.add_row(label, value)
            parts.append(facts)
        elif isinstance(block, Grid):
            parts.append(_table(block))
    parts += [Text(), Text(f"{mark} {document.verdict}", style=f"bold {style}")]
    return Group(*parts)


def _table(block: Grid) -> Table:
    table = result_table(block.caption)
    for place, name in enumerate(block.columns):
        table.add_column(name, justify="right" if place else "left")
    for row in block.rows:
        table.add_row(*row)
    return table
