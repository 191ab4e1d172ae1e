"""``isoalign study``: how far matches may be trusted, over many cases with a known truth."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from isoalign.cli.errors import UnusableArgument
from isoalign.cli.progress import StepProgress

if TYPE_CHECKING:
    from rich.table import Table

    from isoalign.room.studies import KindSummary
    from isoalign.room.study_cases import StudyPlan

NOT_TRUSTED = 6
"""Exit code when an accepted match was wrong by more than 2 mm."""


def study(
    name: Literal["radiographs", "volumes"],
    /,
    *,
    kind: Annotated[list[str] | None, Parameter(negative="")] = None,
    cases: int = 20,
    seed: int = 0,
    reach: tuple[float, float] = (10.0, 3.0),
    pixels: int = 512,
    case: Path | None = None,
    workers: int = 0,
    scheduler: str | None = None,
    out: Path = Path("study.parquet"),
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Match many simulated patients with a known error: how far the results are off, and whether they were trusted.

    A study that was broken off (Ctrl-C too) goes on where it was when it is called again. Ends with 0, or with 6 when
    an accepted match was wrong by more than 2 mm.

    Parameters
    ----------
    name
        radiographs (kV pairs to the CT) or volumes (cone-beam CT to the CT).
    kind
        Kinds of cases: clean, noisy, scatter, truncated, couch for radiographs; easy, hard for volumes. All by default.
    cases
        Cases of each kind.
    seed
        Of the planted errors and of the noise.
    reach
        Largest planted error on every axis: mm, degrees.
    pixels
        Rows and columns of the panels.
    case
        Folder of DICOM files whose CT is used for radiographs; the built-in head phantom without it.
    workers
        Processes of this computer; one for each processor by default.
    scheduler
        Address of a Dask scheduler whose workers run the cases, for example tcp://host:8786.
    out
        Table to write, Parquet: one row for each case.
    as_json
        Print the summary as one JSON document instead of a table.
    """
    if case is not None and name != "radiographs":
        raise UnusableArgument("--case is for radiographs; volumes are painted from formulas")
    if case is not None and not case.is_dir():
        raise UnusableArgument(f"--case {case} is not a folder", hint="Name a folder of DICOM files.")
    if workers < 0:
        raise UnusableArgument(f"--workers {workers} is not a number of processes")

    from isoalign.reports.console import print_result
    from isoalign.room.studies import SCHEMA, run_study, summaries
    from isoalign.room.study_cases import KINDS, StudyPlan
    from isoalign.room.study_workers import DaskWorkers, LocalWorkers

    plan = StudyPlan(
        name, tuple(kind or KINDS[name]), cases, seed, *reach, pixels, "" if case is None else str(case.resolve())
    )
    crew = DaskWorkers(scheduler) if scheduler else LocalWorkers(workers or len(os.sched_getaffinity(0)))
    with StepProgress() as progress:
        progress("begin", f"Study of {name}", None)
        rows = run_study(
            plan, out, crew, lambda done, total: progress("progress", f"{done} of {total} cases", done / total)
        )
        progress("done", f"{len(rows)} cases, {out}", None)
    found = summaries(plan, rows)
    if as_json:
        kinds = [asdict(one) for one in found]
        print(json.dumps({"schema": SCHEMA, "table": str(out), "plan": plan.facts(), "kinds": kinds}, indent=2))
    else:
        print_result(_table(plan, found))
    return NOT_TRUSTED if any(one.accepted_wrong for one in found) else 0


def _table(plan: StudyPlan, found: list[KindSummary]) -> Table:
    from isoalign.reports.console import result_table

    reach = f"±{plan.reach_mm:g} mm, ±{plan.reach_deg:g}°"
    table = result_table(f"{plan.name}: planted errors {reach}, {plan.cases} cases of each kind")
    table.add_column("kind")
    for heading in ("error, median mm", "95 %", "worst", "< 1 mm", "accepted", "of those > 2 mm", "s"):
        table.add_column(heading, justify="right")
    for one in found:
        table.add_row(
            one.kind,
            f"{one.median_mm:.3f}",
            f"{one.high_mm:.3f}",
            f"{one.worst_mm:.3f}",
            f"{one.good} of {one.cases}",
            f"{one.accepted} of {one.cases}",
            str(one.accepted_wrong),
            f"{one.median_s:.2f}",
        )
    return table
