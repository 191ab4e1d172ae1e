"""Reports: what a session found and did, for people (a page, a terminal table) and for machines (JSON).

:func:`write_session_report` writes one self-contained page, :func:`session_summary` is the table for a terminal,
:func:`record_to_json` the record as JSON types with a versioned schema, :func:`write_grey_png` one image.
"""

from isoalign.reports.console import session_summary
from isoalign.reports.errors import ReportNotWritable
from isoalign.reports.geometry_console import conversion_table, couch_shift_summary
from isoalign.reports.pictures import write_grey_png
from isoalign.reports.record_json import SCHEMA, record_to_json
from isoalign.reports.session_report import session_report_html, write_session_report

__all__ = [
    "SCHEMA",
    "ReportNotWritable",
    "conversion_table",
    "couch_shift_summary",
    "record_to_json",
    "session_report_html",
    "session_summary",
    "write_grey_png",
    "write_session_report",
]
