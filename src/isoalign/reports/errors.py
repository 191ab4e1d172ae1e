"""Errors of the reports."""

from __future__ import annotations

from isoalign.errors import ConfigurationError, StorageError


class ReportNotWritable(StorageError):
    """A report or picture cannot be written where it should be."""

    code = "report.not-writable"
    default_hint = "Name a folder that exists, that you may write to and that has room left."


class UnknownTableFormat(ConfigurationError):
    """The ending of a table's file names no format that can be written."""

    code = "report.unknown-table-format"
    default_hint = "Let the name end in .csv or .parquet."
