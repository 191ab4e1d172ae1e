"""``isoalign calibrate history`` and ``compare``: what records have found over time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from isoalign.cli.errors import UnusableArgument

AsJson = Annotated[bool, Parameter(name="--json", negative="")]
MOST_SHOWN = 6


def history(
    folder: Path,
    /,
    *,
    seal: Path,
    kind: str = "couch walk-out",
    figure: tuple[str, ...] = (),
    report: Path | None = None,
    table: Path | None = None,
    as_json: AsJson = False,
) -> int:
    """Show what records of one kind have found over time, and which of them can be used now.

    Parameters
    ----------
    folder
        Folder of the records.
    seal
        Public half of the room's key.
    kind
        Which records: "couch walk-out", "Winston-Lutz", "kV imager geometry" and so on.
    figure
        A figure to be shown and plotted, e.g. axis_mm[0]; several times. The first few by default.
    report
        File of the report with plots, .pdf.
    table
        File of all figures, .csv or .parquet.
    as_json
        Print one JSON document.
    """
    from isoalign.calibration import RoomSeal, figures, read_history
    from isoalign.clock import SystemClock
    from isoalign.reports.console import print_result
    from isoalign.reports.data_tables import write_table
    from isoalign.reports.document_console import document_group
    from isoalign.reports.history_report import history_document, history_table
    from isoalign.reports.pdf_report import write_pdf

    kept = read_history(folder, RoomSeal.load(seal), kind=kind, now=SystemClock().utc())
    if not kept:
        raise UnusableArgument(f"{folder} holds no record of {kind}", hint="Name the folder of the records, or --kind.")
    known = list(figures(kept[-1].record))
    unknown = [name for name in figure if name not in known]
    if unknown:
        raise UnusableArgument(f"--figure {unknown[0]}: known are {', '.join(known)}")
    document = history_document(kept, figure or known[:MOST_SHOWN])
    if report is not None:
        write_pdf(document, report)
    if table is not None:
        write_table(history_table(kept), table)
    if as_json:
        rows = [
            {
                "file": one.file.name,
                "measured_at": one.record.measured_at.isoformat(),
                "valid_until": one.record.valid_until.isoformat(),
                "refused": one.refused,
                "figures": figures(one.record),
            }
            for one in kept
        ]
        print(json.dumps({"schema": "isoalign.calibration-history/1", "kind": kind, "records": rows}, indent=2))
    else:
        print_result(document_group(document))
    return 0


def compare(old: Path, new: Path, /, *, seal: Path, as_json: AsJson = False) -> int:
    """Show what changed from one record to another of the same kind. An expired record can be compared, too.

    Parameters
    ----------
    old
        File of the older record.
    new
        File of the newer one.
    seal
        Public half of the room's key.
    as_json
        Print one JSON document.
    """
    from isoalign.calibration import RoomSeal, differences, read_record_of_any_time
    from isoalign.reports.console import print_result
    from isoalign.reports.document_console import document_group
    from isoalign.reports.history_report import comparison_document

    room = RoomSeal.load(seal)
    first, second = (read_record_of_any_time(path, room) for path in (old, new))
    changed = differences(first, second)
    if as_json:
        rows = {name: {"old": before, "new": after} for name, (before, after) in changed.items()}
        print(json.dumps({"schema": "isoalign.calibration-comparison/1", "figures": rows}, indent=2))
    else:
        print_result(document_group(comparison_document(first, second, changed)))
    return 0
