"""Documents as PDF: text and tables that flow over pages, plots as pictures."""

from __future__ import annotations

import io
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

from reportlab.lib import colors
from reportlab.lib.enums import TA_RIGHT
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus import (
    CondPageBreak,
    Flowable,
    Image,
    KeepTogether,
    SimpleDocTemplate,
    Spacer,
    Table,
    TableStyle,
)
from reportlab.platypus import Paragraph as FlowingText

from isoalign.reports.document import Block, Document, Facts, Grid, Heading, Paragraph, Plot
from isoalign.reports.files import write_whole
from isoalign.reports.session_report import NOTICE

FONT, BOLD_FONT = "DejaVuSans", "DejaVuSans-Bold"
MARGIN_MM = 20.0
DOTS_PER_INCH = 170
GOOD, BAD = colors.HexColor("#1b6e3c"), colors.HexColor("#a3211f")
RULE = colors.HexColor("#b8bec6")
KEEP_WITH_HEADING_MM = 45.0


def write_pdf(document: Document, path: Path) -> Path:
    """Write a document as PDF; the file appears whole or not at all.

    Raises
    ------
    ReportNotWritable
    """
    return write_whole(path, pdf_bytes(document))


def pdf_bytes(document: Document) -> bytes:
    """A document as PDF. The same document gives the same bytes."""
    _load_fonts()
    out = io.BytesIO()
    template = SimpleDocTemplate(
        out,
        pagesize=A4,
        leftMargin=MARGIN_MM * mm,
        rightMargin=MARGIN_MM * mm,
        topMargin=MARGIN_MM * mm,
        bottomMargin=MARGIN_MM * mm,
        title=document.title,
        author="isoalign",
        subject=document.subtitle,
        invariant=1,
    )
    verdict = _style("verdict", font=BOLD_FONT, size=11, color=GOOD if document.good else BAD, after=4 * mm)
    story: list[Flowable] = [
        _text(document.title, _style("title", font=BOLD_FONT, size=17, after=1 * mm)),
        _text(document.subtitle, _style("subtitle", size=9, color=colors.HexColor("#4a525c"), after=3 * mm)),
        _text(f"{'✓' if document.good else '✗'} {document.verdict}", verdict),
    ]
    for block in document.blocks:
        story.extend(_flowables(block, template.width))
    story += [Spacer(1, 4 * mm), _text(NOTICE, _style("notice", size=7, color=colors.HexColor("#4a525c")))]

    def footer(canvas: Any, page: Any) -> None:
        canvas.saveState()
        canvas.setFont(FONT, 7.5)
        canvas.drawString(page.leftMargin, 11 * mm, document.title)
        canvas.drawRightString(page.leftMargin + page.width, 11 * mm, f"page {canvas.getPageNumber()}")
        canvas.restoreState()

    template.build(story, onFirstPage=footer, onLaterPages=footer)
    return out.getvalue()


def plot_png(plot: Plot, width_mm: float = 170.0, dots_per_inch: int = DOTS_PER_INCH) -> bytes:
    """A plot of a document as PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_mm / 25.4, plot.height_mm / 25.4), dpi=dots_per_inch, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.tick_params(labelsize=8)
    axes.grid(visible=True, color="#dfe3e8", linewidth=0.6)
    axes.set_axisbelow(True)
    plot.draw(axes)
    if plot.square:
        axes.set_aspect("equal", adjustable="datalim")
    out = io.BytesIO()
    figure.savefig(out, format="png", metadata={"Software": None})
    return out.getvalue()


@cache
def _load_fonts() -> None:
    """The fonts that matplotlib brings: they have every sign that is used, and are embedded."""
    import matplotlib as mpl

    folder = Path(mpl.get_data_path()) / "fonts" / "ttf"
    for name in (FONT, BOLD_FONT):
        pdfmetrics.registerFont(TTFont(name, str(folder / f"{name}.ttf")))


def _style(
    name: str,
    *,
    font: str = FONT,
    size: float = 9,
    color: Any = colors.black,
    after: float = 0.0,
    before: float = 0.0,
    align: int = 0,
) -> ParagraphStyle:
    return ParagraphStyle(
        name,
        fontName=font,
        fontSize=size,
        leading=1.35 * size,
        textColor=color,
        spaceAfter=after,
        spaceBefore=before,
        alignment=align,
        splitLongWords=1,
    )


def _text(text: str, style: ParagraphStyle) -> FlowingText:
    return FlowingText(escape(text), style)


def _flowables(block: Block, width: float) -> list[Flowable]:
    if isinstance(block, Heading):
        # a heading is never the last thing on a page
        return [
            CondPageBreak(KEEP_WITH_HEADING_MM * mm),
            _text(block.text, _style("heading", font=BOLD_FONT, size=11.5, before=4 * mm, after=2 * mm)),
        ]
    if isinstance(block, Paragraph):
        return [_text(block.text, _style("body", after=2 * mm))]
    if isinstance(block, Facts):
        rows = [[_text(label, _style("label")), _text(value, _style("value"))] for label, value in block.rows]
        if not rows:
            return []
        table = Table(rows, colWidths=[0.34 * width, 0.66 * width], hAlign="LEFT")
        table.setStyle(TableStyle([("VALIGN", (0, 0), (-1, -1), "TOP"), ("TOPPADDING", (0, 0), (-1, -1), 1.5)]))
        return [table, Spacer(1, 2 * mm)]
    if isinstance(block, Grid):
        return _grid(block, width)
    image = Image(io.BytesIO(plot_png(block, width / mm)), width=width, height=block.height_mm * mm)
    return [KeepTogether([image, _text(block.caption, _style("caption", size=8, after=3 * mm))])]


def _grid(block: Grid, width: float) -> list[Flowable]:
    head = _style("head", font=BOLD_FONT, size=8)
    head_right = _style("head-right", font=BOLD_FONT, size=8, align=TA_RIGHT)
    cell, number = _style("cell", size=8), _style("number", size=8, align=TA_RIGHT)
    rows = [[_text(name, head_right if place else head) for place, name in enumerate(block.columns)]]
    rows += [[_text(value, number if place else cell) for place, value in enumerate(row)] for row in block.rows]
    shares = _column_shares(block)
    table = Table(rows, colWidths=[width * share for share in shares], repeatRows=1, hAlign="LEFT")
    table.setStyle(
        TableStyle(
            [
                ("LINEBELOW", (0, 0), (-1, 0), 0.8, RULE),
                ("LINEBELOW", (0, 1), (-1, -1), 0.25, RULE),
                ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
                ("TOPPADDING", (0, 0), (-1, -1), 2),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 2),
            ]
        )
    )
    caption = [_text(block.caption, _style("caption", size=8, after=1 * mm))] if block.caption else []
    return [*caption, table, Spacer(1, 3 * mm)]


def _column_shares(block: Grid) -> list[float]:
    """Widths by the longest text of each column, so that long texts wrap and short ones do not."""
    longest = [
        max([len(name), *(min(len(row[place]), 48) for row in block.rows)]) + 3
        for place, name in enumerate(block.columns)
    ]
    return [one / sum(longest) for one in longest]
