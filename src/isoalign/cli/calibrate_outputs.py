"""What every calibration command does at its end: show, write report and table, sign the record."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from isoalign.cli.errors import UnusableArgument

if TYPE_CHECKING:
    from isoalign.calibration import CalibrationRecord
    from isoalign.reports.document import Document


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Outputs:
    """Where the result of a calibration goes.

    Parameters
    ----------
    record
        File of the signed record; needs --key. Without it nothing is kept.
    key
        The room's key, made once by isoalign calibrate new-key.
    report
        File of the report with plots, .pdf.
    table
        File of the measurements and residuals, .csv or .parquet.
    operator
        Who calibrates; kept in the record.
    device
        ROLE=SERIAL of a device that the result belongs to; several times. What the measurements name themselves
        needs no option.
    valid_days
        For how long the result may be used; as the procedure proposes by default.
    as_json
        Print the record as one JSON document.
    """

    record: Path | None = None
    key: Path | None = None
    report: Path | None = None
    table: Path | None = None
    operator: str = ""
    device: tuple[str, ...] = ()
    valid_days: float | None = None
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False

    def require_usable(self) -> None:
        """Refuse what could not be carried out at the end; called before anything is measured."""
        from isoalign.calibration import RoomKey
        from isoalign.reports.data_tables import require_table_ending

        if (self.record is None) != (self.key is None):
            raise UnusableArgument("--record and --key go together: a record is signed, or there is none")
        if self.key is not None:
            RoomKey.load(self.key)
        if self.report is not None and self.report.suffix.lower() != ".pdf":
            raise UnusableArgument(f"--report {self.report}: the ending must be .pdf")
        if self.table is not None:
            require_table_ending(self.table)
        if self.valid_days is not None and not 0 < self.valid_days < 10_000:
            raise UnusableArgument(f"--valid-days {self.valid_days:g} is no time for which a result is used")
        self.serial_numbers()

    def serial_numbers(self) -> dict[str, str]:
        """Role -> serial number, of the options."""
        pairs = [one.partition("=") for one in self.device]
        for role, equals, serial in pairs:
            if not (role and equals and serial):
                raise UnusableArgument(f"--device {role}{equals}{serial}: say ROLE=SERIAL, as in couch=C-0042")
        return {role: serial for role, _, serial in pairs}

    def completed(self, record: CalibrationRecord) -> CalibrationRecord:
        """The record with operator, serial numbers and validity of the options."""
        notes = {**record.notes, "operator": self.operator} if self.operator else record.notes
        until = record.valid_until
        if self.valid_days is not None:
            until = record.measured_at + timedelta(days=self.valid_days)
        return replace(record, notes=notes, valid_until=until, devices={**record.devices, **self.serial_numbers()})


DEFAULT_OUTPUTS = Outputs()


def finish(record: CalibrationRecord, document: Document, table: Any, outputs: Outputs) -> int:
    """Show the result, write what was asked for, and sign the record when its gates hold.

    Parameters
    ----------
    record : CalibrationRecord
        Completed here by :meth:`Outputs.completed`; before, where the document shows operator or serial numbers.
    document : Document
        What is shown and stands in the report.
    table : pyarrow.Table
        Measurements and residuals.
    outputs : Outputs

    Raises
    ------
    GateFailed
        After everything but the record was written and shown.
    """
    from isoalign.calibration import GateFailed, RoomKey, write_record
    from isoalign.reports.console import print_result
    from isoalign.reports.data_tables import write_table
    from isoalign.reports.document_console import document_group
    from isoalign.reports.pdf_report import write_pdf

    record = outputs.completed(record)
    files = {}
    if outputs.report is not None:
        files["report"] = str(write_pdf(document, outputs.report))
    if outputs.table is not None:
        files["table"] = str(write_table(table, outputs.table))
    if outputs.record is not None and outputs.key is not None and not record.failures:
        files["record"] = str(write_record(record, outputs.record, RoomKey.load(outputs.key)))
    if outputs.as_json and not record.failures:
        facts = {"schema": "isoalign.calibration/1", "record": record.to_content(), "files": files}
        print(json.dumps(facts, indent=2))
    elif not outputs.as_json:
        print_result(document_group(document))
        for what, path in files.items():
            print(f"{what}: {path}")
    if record.failures:
        raise GateFailed("; ".join(record.failures), record=record.to_content(), files=files)
    return 0
