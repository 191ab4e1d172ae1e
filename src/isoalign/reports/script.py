"""What the scripts in ``calibration/`` share: where measurements come from, progress, and how a run ends.

A script says what it measures and fits; arguments that every procedure has, error messages, the PDF and the signed
record are here, so that they are the same everywhere.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from isoalign.calibration import CalibrationRecord, RoomKey, write_record
from isoalign.errors import IsoalignError
from isoalign.reports.document import Document
from isoalign.reports.pdf_report import write_pdf

GATE_FAILED = 9
"""Exit code when the measurements were good for a result, and the result is not good enough."""


def script_parser(description: str | None, *, measured: str, several: bool = False) -> argparse.ArgumentParser:
    """Arguments of a procedure that measures in a simulated room, in a real one, or takes what was measured before.

    Parameters
    ----------
    description : str
    measured : str
        What is in the file that ``--measured`` names.
    several : bool
        Whether it names several files.
    """
    parser = argparse.ArgumentParser(description=description)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--simulate", action="store_true", help="measure in a simulated room")
    source.add_argument("--config", type=Path, metavar="ROOM.TOML", help="measure in this room")
    many = {"nargs": "+"} if several else {}
    source.add_argument("--measured", type=Path, metavar="FILE", help=f"use {measured}", **many)  # type: ignore[arg-type]
    parser.add_argument("--seed", type=int, default=1, help="of everything that is drawn")
    return parser


def add_outputs(parser: argparse.ArgumentParser, *, record: str) -> None:
    """The key, the record (with its default name) and the report."""
    parser.add_argument("--key", type=Path, metavar="FILE", help="the room's key; without it no record is written")
    parser.add_argument("--record", type=Path, default=Path(record), metavar="FILE")
    parser.add_argument("--report", type=Path, metavar="FILE", help="PDF with plots")


def run_script(
    parser: argparse.ArgumentParser, arguments: Sequence[str] | None, work: Callable[[argparse.Namespace], int]
) -> int:
    """Read the arguments and do the work; an error is printed with its code and hint, and gives its exit code."""
    options = parser.parse_args(arguments)
    try:
        return work(options)
    except IsoalignError as error:
        print(f"{error.code}: {error}\n{error.hint}", file=sys.stderr)
        return error.exit_code


def finish_script(
    options: argparse.Namespace, record: CalibrationRecord, document: Document, *, good: str = "All gates hold."
) -> int:
    """Say which gates hold, write the report, and sign the record when a key is given; returns the exit code.

    Raises
    ------
    GateFailed
        A key was given for a record that must not be signed; the report is written before.
    """
    print("; ".join(record.failures) or good)
    if options.report is not None:
        print(f"Report: {write_pdf(document, options.report)}")
    if options.key is not None:
        print(f"Record: {write_record(record, options.record, RoomKey.load(options.key))}")
    return GATE_FAILED if record.failures else 0


@contextmanager
def progress_line() -> Iterator[Callable[[str, float], None]]:
    """One line on standard error that follows the couch while the block runs."""

    def show(text: str, fraction: float) -> None:
        print(f"\r{100 * fraction:5.1f} %  {text:<50}", end="", file=sys.stderr, flush=True)

    try:
        yield show
    finally:
        print(file=sys.stderr)
