"""A study keeps every finished case, goes on where it was broken off, and never mixes two studies."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from isoalign.room import study_cases
from isoalign.room.errors import StudyTableUnusable, UnusableStudy
from isoalign.room.studies import run_study, summaries
from isoalign.room.study_cases import Row, StudyPlan, run_case

PLAN = StudyPlan("radiographs", ("clean", "noisy"), 3, seed=4)


class Scripted:
    """Finishes the cases backwards, and dies after some; notes what it was asked for."""

    def __init__(self, lives: int = 10**6) -> None:
        self.lives = lives
        self.asked: list[tuple[str, int]] = []

    def run(self, plan: StudyPlan, pairs: Sequence[tuple[str, int]]) -> Iterator[Row]:
        self.asked += pairs
        for kind, number in reversed(pairs):
            if not self.lives:
                raise KeyboardInterrupt
            self.lives -= 1
            yield made(kind, number)


def made(kind: str, number: int, error_mm: float = 0.25, verdict: str = "accepted") -> Row:
    return {
        "kind": kind,
        "number": number,
        "planted": [1.0, 2.0, 3.0, 0.1, 0.2, 0.3],
        "verdict": verdict,
        "reasons": ["why"],
        "error_mm": error_mm,
        "isocentre_error_mm": 0.1,
        "error_deg": 0.01,
        "iterations": 9,
        "duration_s": 0.5,
        "worker": "here:1",
    }


def test_table_holds_every_case_in_the_order_of_the_plan(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    rows = run_study(PLAN, tmp_path / "s.parquet", Scripted(), lambda *now: told.append(now))
    assert [(row["kind"], row["number"]) for row in rows] == PLAN.pairs()
    assert told == [(n, 6) for n in range(7)]
    table = pq.read_table(tmp_path / "s.parquet")
    assert table.column("kind").to_pylist() == ["clean"] * 3 + ["noisy"] * 3
    assert table.column("planted").to_pylist()[0] == [1.0, 2.0, 3.0, 0.1, 0.2, 0.3]
    assert json.loads(table.schema.metadata[b"isoalign"])["plan"]["seed"] == 4
    assert [path.name for path in tmp_path.iterdir()] == ["s.parquet"]


def test_a_study_that_was_broken_off_goes_on(tmp_path: Path) -> None:
    table = tmp_path / "s.parquet"
    with pytest.raises(KeyboardInterrupt):
        run_study(PLAN, table, Scripted(lives=2))
    assert not table.exists()
    again = Scripted()
    rows = run_study(PLAN, table, again)
    assert len(rows) == 6
    assert again.asked == [("clean", 0), ("clean", 1), ("clean", 2), ("noisy", 0)]
    nobody = Scripted(lives=0)
    assert run_study(PLAN, table, nobody) == rows
    assert nobody.asked == []


def test_a_torn_last_line_costs_one_case(tmp_path: Path) -> None:
    """A machine that lost power in the middle of a line."""
    table = tmp_path / "s.parquet"
    with pytest.raises(KeyboardInterrupt):
        run_study(PLAN, table, Scripted(lives=2))
    journal = tmp_path / "s.parquet.journal"
    journal.write_bytes(journal.read_bytes()[:-20])
    again = Scripted()
    assert len(run_study(PLAN, table, again)) == 6
    assert len(again.asked) == 5


@pytest.mark.parametrize("finished", [True, False])
def test_another_study_is_never_gone_on_with(tmp_path: Path, finished: bool) -> None:
    table = tmp_path / "s.parquet"
    if finished:
        run_study(PLAN, table, Scripted())
    else:
        with pytest.raises(KeyboardInterrupt):
            run_study(PLAN, table, Scripted(lives=1))
    with pytest.raises(StudyTableUnusable, match="another study"):
        run_study(StudyPlan("radiographs", ("clean", "noisy"), 3, seed=5), table, Scripted())


def test_a_file_that_is_no_table_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "s.parquet").write_text("mine", encoding="utf-8")
    with pytest.raises(StudyTableUnusable, match="not a Parquet file"):
        run_study(PLAN, tmp_path / "s.parquet", Scripted())
    assert (tmp_path / "s.parquet").read_text(encoding="utf-8") == "mine"


def test_summary_by_hand() -> None:
    rows = [
        made("clean", 0, 0.2),
        made("clean", 1, 0.4),
        made("clean", 2, 3.0, "doubtful"),
        made("noisy", 0, 2.5),
        made("noisy", 1, 0.9, "failed"),
        {"kind": "noisy", "number": 2, "verdict": "error", "reasons": [], "planted": []},
    ]
    clean, noisy = summaries(PLAN, rows)
    assert (clean.median_mm, clean.worst_mm) == (0.4, 3.0)
    assert (clean.good, clean.accepted, clean.accepted_good, clean.accepted_wrong) == (2, 2, 2, 0)
    assert (noisy.cases, noisy.good, noisy.accepted, noisy.accepted_good, noisy.accepted_wrong) == (3, 1, 1, 0, 1)


@pytest.mark.parametrize(
    "wrong",
    [("markers", ("clean",), 3), ("radiographs", ("easy",), 3), ("radiographs", (), 3), ("volumes", ("easy",), 0)],
)
def test_plans_that_make_no_sense(wrong: tuple[str, tuple[str, ...], int]) -> None:
    with pytest.raises(UnusableStudy):
        StudyPlan(*wrong)


def test_a_case_depends_on_plan_kind_and_number_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """And an error of the match is a row: it must not end the study."""
    seen = []

    def refuse(plan: StudyPlan, kind: str, number: int, error: object) -> None:
        seen.append(error)
        raise UnusableStudy("nothing to see")

    monkeypatch.setitem(study_cases._MATCHES, "radiographs", refuse)
    first, again, other = (run_case(PLAN, "noisy", number) for number in (1, 1, 2))
    assert first == again
    assert first["planted"] != other["planted"]
    assert first["verdict"] == "error"
    assert first["reasons"] == ["study.unusable: nothing to see"]
    assert max(abs(value) for value in first["planted"][:3]) <= 10.0
