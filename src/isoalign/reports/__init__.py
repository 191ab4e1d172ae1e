"""Reports: what a session or a match found and did, for people (a page, a terminal table) and for machines (JSON).

:func:`write_session_report` and :func:`write_match_report` write one self-contained page each, :func:`session_summary`
and :func:`match_summary` are the tables for a terminal, :func:`record_to_json` and :func:`match_to_json` give JSON
types with a versioned schema, :func:`write_grey_png` writes one image.
Calibrations have a :class:`Document` each, shown on a terminal or written as PDF, and a table; what their scripts share
is in :mod:`isoalign.reports.script`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from isoalign.reports.console import print_result, session_summary
from isoalign.reports.data_tables import columns_table, write_table
from isoalign.reports.document import Document, Facts, Grid, Heading, Paragraph, Plot
from isoalign.reports.document_console import document_group
from isoalign.reports.errors import ReportNotWritable
from isoalign.reports.geometry_console import conversion_table, couch_shift_summary
from isoalign.reports.match_report import (
    MatchReport,
    match_report_html,
    match_summary,
    match_to_json,
    write_match_report,
)
from isoalign.reports.pictures import write_grey_png
from isoalign.reports.record_json import SCHEMA, record_to_json
from isoalign.reports.session_report import session_report_html, write_session_report
from isoalign.reports.slices import slice_views
from isoalign.reports.views import match_views

if TYPE_CHECKING:
    from isoalign.reports.channels_report import channels_document, channels_table
    from isoalign.reports.daily_report import daily_document, daily_table
    from isoalign.reports.detector_report import detector_document, detector_table
    from isoalign.reports.kinematics_report import kinematics_document, kinematics_table
    from isoalign.reports.pdf_report import write_pdf
    from isoalign.reports.script import add_outputs, finish_script, progress_line, run_script, script_parser
    from isoalign.reports.walkout_report import walkout_document, walkout_table
    from isoalign.reports.winston_lutz_report import winston_lutz_document, winston_lutz_table

__all__ = [
    "SCHEMA",
    "Document",
    "Facts",
    "Grid",
    "Heading",
    "MatchReport",
    "Paragraph",
    "Plot",
    "ReportNotWritable",
    "add_outputs",
    "channels_document",
    "channels_table",
    "columns_table",
    "conversion_table",
    "couch_shift_summary",
    "daily_document",
    "daily_table",
    "detector_document",
    "detector_table",
    "document_group",
    "finish_script",
    "kinematics_document",
    "kinematics_table",
    "match_report_html",
    "match_summary",
    "match_to_json",
    "match_views",
    "print_result",
    "progress_line",
    "record_to_json",
    "run_script",
    "script_parser",
    "session_report_html",
    "session_summary",
    "slice_views",
    "walkout_document",
    "walkout_table",
    "winston_lutz_document",
    "winston_lutz_table",
    "write_grey_png",
    "write_match_report",
    "write_pdf",
    "write_session_report",
    "write_table",
]

# loaded on first use: they bring page layout and the calibrations, which a table on a terminal does not need
_LAZY = {
    "add_outputs": "script",
    "finish_script": "script",
    "progress_line": "script",
    "run_script": "script",
    "script_parser": "script",
    "channels_document": "channels_report",
    "channels_table": "channels_report",
    "daily_document": "daily_report",
    "daily_table": "daily_report",
    "detector_document": "detector_report",
    "detector_table": "detector_report",
    "kinematics_document": "kinematics_report",
    "kinematics_table": "kinematics_report",
    "walkout_document": "walkout_report",
    "walkout_table": "walkout_report",
    "winston_lutz_document": "winston_lutz_report",
    "winston_lutz_table": "winston_lutz_report",
    "write_pdf": "pdf_report",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(f"isoalign.reports.{_LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
