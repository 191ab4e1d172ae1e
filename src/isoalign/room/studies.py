"""A study: many cases, on many workers, broken off and gone on with, into one table."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import isoalign
from isoalign.records import Verdict
from isoalign.room.errors import StudyTableUnusable
from isoalign.room.study_cases import Row, StudyPlan
from isoalign.room.study_workers import Workers

Progress = Callable[[int, int], None]
SCHEMA = "isoalign.study/1"
NONE = (float("nan"),) * 3
GOOD_MM, WRONG_MM = 1.0, 2.0
"""A match nearer than the first is a success; an accepted one farther than the second must not be."""


@dataclass(frozen=True, slots=True)
class KindSummary:
    """All cases of one kind.

    Attributes
    ----------
    median_mm, high_mm, worst_mm : float
        Of the error over the cases that ended in a position; the 95th percentile is ``high_mm``.
    good : int
        Cases within 1 mm.
    accepted, accepted_good, accepted_wrong : int
        Accepted ones; of those, within 1 mm, and wrong by more than 2 mm.
    median_s : float
    """

    kind: str
    cases: int
    median_mm: float
    high_mm: float
    worst_mm: float
    good: int
    accepted: int
    accepted_good: int
    accepted_wrong: int
    median_s: float


def run_study(plan: StudyPlan, table: Path, workers: Workers, progress: Progress | None = None) -> list[Row]:
    """Run what is left of a study and write its table.

    Every finished case is kept at once in a journal beside the table; called again after it was broken off, the study
    goes on where it was. The table appears whole or not at all, and then the journal goes.

    Parameters
    ----------
    table : Path
        Parquet file.
    progress : callable, optional
        Called with the finished cases and all.

    Returns
    -------
    list of dict
        One row for each case, in the order of the plan.

    Raises
    ------
    StudyTableUnusable
        When table or journal belong to another study, or cannot be written.
    WorkersLost, SchedulerUnreachable
    """
    done = _read_table(table, plan)
    journal = table.with_name(table.name + ".journal")
    if not done:
        done = _read_journal(journal, plan)
        left = [pair for pair in plan.pairs() if pair not in done]
        _tell(progress, done, plan)
        if left:
            _run(plan, left, workers, journal, done, progress)
        _write_table(table, plan, [done[pair] for pair in plan.pairs()])
        journal.unlink(missing_ok=True)
    else:
        _tell(progress, done, plan)
    return [done[pair] for pair in plan.pairs()]


def summaries(plan: StudyPlan, rows: Sequence[Row]) -> list[KindSummary]:
    """One summary for each kind of cases."""
    found = []
    for kind in plan.kinds:
        here = [row for row in rows if row["kind"] == kind]
        errors = np.array([row.get("error_mm") if row.get("error_mm") is not None else np.inf for row in here], float)
        accepted = np.array([row["verdict"] == Verdict.ACCEPTED.value for row in here])
        known = errors[np.isfinite(errors)]
        times = [row["duration_s"] for row in here if row.get("duration_s") is not None]
        middle = (float(np.median(known)), float(np.percentile(known, 95)), float(known.max())) if known.size else NONE
        found.append(
            KindSummary(
                kind=kind,
                cases=len(here),
                median_mm=middle[0],
                high_mm=middle[1],
                worst_mm=middle[2],
                good=int((errors < GOOD_MM).sum()),
                accepted=int(accepted.sum()),
                accepted_good=int((accepted & (errors < GOOD_MM)).sum()),
                accepted_wrong=int((accepted & (errors > WRONG_MM)).sum()),
                median_s=float(np.median(times)) if times else float("nan"),
            )
        )
    return found


def _run(
    plan: StudyPlan,
    left: Sequence[tuple[str, int]],
    workers: Workers,
    journal: Path,
    done: dict[tuple[str, int], Row],
    progress: Progress | None,
) -> None:
    try:
        journal.parent.mkdir(parents=True, exist_ok=True)
        with journal.open("a", encoding="utf-8") as file:
            if file.tell() == 0:
                _append(file, _header(plan))
            rows = workers.run(plan, left)
            for row in rows:
                _append(file, row)
                done[row["kind"], row["number"]] = row
                _tell(progress, done, plan)
    except OSError as problem:
        raise StudyTableUnusable(f"{journal} cannot be written: {problem.strerror or problem}") from problem


def _append(file: Any, row: Row) -> None:
    file.write(json.dumps(row) + "\n")
    file.flush()
    os.fsync(file.fileno())


def _tell(progress: Progress | None, done: dict[tuple[str, int], Row], plan: StudyPlan) -> None:
    if progress is not None:
        progress(len(done), len(plan.pairs()))


def _header(plan: StudyPlan) -> Row:
    return {"schema": SCHEMA, "software": isoalign.__version__, "plan": plan.facts()}


def _read_journal(journal: Path, plan: StudyPlan) -> dict[tuple[str, int], Row]:
    """The finished cases of a study that was broken off; a torn last line is dropped."""
    if not journal.is_file():
        return {}
    text = journal.read_text(encoding="utf-8")
    lines = text.split("\n")
    rows = [_parsed(line) for line in lines[:-1]]
    if not rows or any(row is None for row in rows) or rows[0] != _header(plan):
        raise StudyTableUnusable(f"{journal} is the journal of another study, or of another version of isoalign")
    if lines[-1]:
        journal.write_text("\n".join(lines[:-1]) + "\n", encoding="utf-8")
    return _by_pair(row for row in rows[1:] if row is not None)


def _parsed(line: str) -> Row | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) else None


def _by_pair(rows: Iterable[Row]) -> dict[tuple[str, int], Row]:
    return {(row["kind"], row["number"]): row for row in rows}


def _read_table(table: Path, plan: StudyPlan) -> dict[tuple[str, int], Row]:
    """The rows of a finished study."""
    if not table.exists():
        return {}
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        read = pq.read_table(table)
    except (OSError, pa.ArrowInvalid) as problem:
        raise StudyTableUnusable(f"{table} is not a Parquet file: {problem}") from problem
    told = (read.schema.metadata or {}).get(b"isoalign", b"")
    if _parsed(told.decode("utf-8", "replace")) != _header(plan):
        raise StudyTableUnusable(f"{table} is the table of another study, or of another version of isoalign")
    return _by_pair(read.to_pylist())


def _write_table(table: Path, plan: StudyPlan, rows: Sequence[Row]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema(
        [
            ("kind", pa.string()),
            ("number", pa.int32()),
            ("planted", pa.list_(pa.float64(), 6)),
            ("verdict", pa.string()),
            ("reasons", pa.list_(pa.string())),
            ("error_mm", pa.float64()),
            ("isocentre_error_mm", pa.float64()),
            ("error_deg", pa.float64()),
            ("iterations", pa.int32()),
            ("duration_s", pa.float64()),
            ("worker", pa.string()),
        ],
        metadata={b"isoalign": json.dumps(_header(plan)).encode("utf-8")},
    )
    partial = table.with_name(table.name + ".part")
    try:
        pq.write_table(pa.Table.from_pylist(list(rows), schema), partial)
        partial.replace(table)
    except OSError as problem:
        partial.unlink(missing_ok=True)
        raise StudyTableUnusable(f"{table} cannot be written: {problem}") from problem
