"""Reports: what a session or a match found and did, for people (a page, a terminal table) and for machines (JSON).

:func:`write_session_report` and :func:`write_match_report` write one self-contained page each, :func:`session_summary`
and :func:`match_summary` are the tables for a terminal, :func:`record_to_json` and :func:`match_to_json` give JSON
types with a versioned schema, :func:`write_grey_png` writes one image.
"""

from isoalign.reports.console import session_summary
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

__all__ = [
    "SCHEMA",
    "MatchReport",
    "ReportNotWritable",
    "conversion_table",
    "couch_shift_summary",
    "match_report_html",
    "match_summary",
    "match_to_json",
    "match_views",
    "record_to_json",
    "session_report_html",
    "session_summary",
    "slice_views",
    "write_grey_png",
    "write_match_report",
    "write_session_report",
]
