"""Documents as PDF and on a terminal, results as tables of columns."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from isoalign.reports.console import print_result
from isoalign.reports.data_tables import columns_table, write_table
from isoalign.reports.document import Document, Facts, Grid, Heading, Paragraph, Plot
from isoalign.reports.document_console import document_group
from isoalign.reports.errors import ReportNotWritable, UnknownTableFormat
from isoalign.reports.pdf_report import pdf_bytes, plot_png, write_pdf

LONG = "Every word of this sentence must stand inside the margins, whatever its length, ≤ 0.10 mm, 0.5°, σ, Δ, −. " * 30


def draw(axes: Any) -> None:
    axes.plot([0.0, 1.0], [0.0, 2.0])
    axes.set_xlabel("angle (°)")


DOCUMENT = Document(
    "Couch walk-out",
    "measured on 2026-03-01",
    "All gates hold.",
    good=True,
    blocks=[
        Heading("What was found"),
        Paragraph(LONG),
        Facts([("walk-out", "0.31 mm"), ("direction", LONG[:200])]),
        Grid(["angle", "x (mm)", "y (mm)"], [[f"{n}°", f"{n / 7:.3f}", "-"] for n in range(90)], "residuals"),
        Plot(draw, "The axis."),
    ],
)


def test_text_and_tables_flow_over_pages() -> None:
    pdf = pdf_bytes(DOCUMENT)
    assert pdf.startswith(b"%PDF-")
    count = re.search(rb"/Type /Pages[^>]*?/Count (\d+)|/Count (\d+)", pdf)
    assert count is not None
    assert int(count[1] or count[2]) >= 3
    assert pdf == pdf_bytes(DOCUMENT)


def test_a_long_word_and_a_row_of_long_texts_are_no_error() -> None:
    word = "x" * 400
    document = Document(
        word, "", word, good=False, blocks=[Paragraph(word), Grid(["a", "b"], [[word, LONG]]), Facts([(word, word)])]
    )
    assert pdf_bytes(document).startswith(b"%PDF-")


def test_markup_in_a_text_is_shown_and_not_obeyed() -> None:
    assert pdf_bytes(Document("<b>", "a & b", "<font>", good=True, blocks=[Paragraph("1 < 2 </para>")]))


def test_a_plot_is_a_png() -> None:
    assert plot_png(Plot(draw, "", square=True)).startswith(b"\x89PNG")


def test_a_document_on_a_terminal_has_everything_but_plots(capsys: pytest.CaptureFixture[str]) -> None:
    print_result(document_group(DOCUMENT))
    shown = capsys.readouterr().out
    for text in ("Couch walk-out", "What was found", "walk-out", "0.31 mm", "89°", "12.714", "✓ All gates hold."):
        assert text in shown


def test_pdf_goes_to_a_file_or_says_why_not(tmp_path: Path) -> None:
    assert write_pdf(DOCUMENT, tmp_path / "a.pdf").read_bytes().startswith(b"%PDF-")
    (tmp_path / "file").touch()
    with pytest.raises(ReportNotWritable):
        write_pdf(DOCUMENT, tmp_path / "file" / "a.pdf")


def test_a_table_keeps_numbers_and_says_what_is_not_available(tmp_path: Path) -> None:
    table = columns_table({"image": ["a", "b"], "x_mm": [0.1, math.nan], "used": [True, False]})
    assert table["x_mm"].null_count == 1
    assert parquet.read_table(write_table(table, tmp_path / "t.parquet")).equals(table)
    text = write_table(table, tmp_path / "t.csv").read_text()
    assert text.splitlines() == ['"image","x_mm","used"', '"a",0.1,true', '"b",,false']
    assert isinstance(table, pa.Table)
    with pytest.raises(UnknownTableFormat, match=r"t\.xls"):
        write_table(table, tmp_path / "t.xls")


def test_the_pages_are_made_without_a_window_system() -> None:
    code = (
        "from isoalign.reports.pdf_report import pdf_bytes; import sys; "
        "assert 'matplotlib.pyplot' not in sys.modules; assert 'pandas' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
