"""Errors of the reports."""

from __future__ import annotations

from isoalign.errors import StorageError


class ReportNotWritable(StorageError):
    """A report or picture cannot be written where it should be."""

    code = "report.not-writable"
    default_hint = "Name a folder that exists, that you may write to and that has room left."
