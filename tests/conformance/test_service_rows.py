"""Every row of tables 1 to 19 of the conformance statement, against what the node does with peers in this process.

``service_rows.csv`` holds the rows by number and short name, never the statement's text: the fact that shows our
handling (``service_rows.py`` gathers it) and its value, typed by hand. ``@absent`` stands for a fact that must not be
there, ``@empty`` for an empty one, ``@uid`` for the UID that was asked for. What we do in another way than the
statement is explained in ``docs/conformance``.

A second test proves of every row that it notices when what it speaks of is missing, and when it is changed.
"""

from __future__ import annotations

import csv
import importlib.util
import sys
from collections import Counter
from pathlib import Path

import pytest

TABLE = Path(__file__).with_name("service_rows.csv")
ROWS_OF_TABLES = {
    "1": 13,
    "2": 10,
    "3": 10,
    "4": 1,
    "5": 4,
    "6": 4,
    "7": 8,
    "8": 2,
    "9": 1,
    "10": 1,
    "11": 10,
    "12": 2,
    "13": 4,
    "14": 4,
    "15": 4,
    "16": 9,
    "17": 4,
    "18": 6,
    "19": 4,
}
"""Counted in the statement; of table 1 the ten services that are there and three that are not."""
CHANGED = "something else"

Row = tuple[str, str, str, str]
Facts = dict[str, str]


def rows() -> list[Row]:
    with TABLE.open(encoding="utf-8", newline="") as file:
        return [(row["table"], row["row"], row["fact"], row["value"]) for row in csv.DictReader(file)]


def named(row: Row) -> str:
    return f"table {row[0]}-{row[1]}-{row[2]}"


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> Facts:
    path = Path(__file__).with_name("service_rows.py")
    specification = importlib.util.spec_from_file_location("service_rows", path)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module
    specification.loader.exec_module(module)
    observed: Facts = module.observe(tmp_path_factory.mktemp("service-rows"))
    return observed


def holds(facts: Facts, row: Row) -> bool:
    _, _, fact, value = row
    found = facts.get(fact)
    if value == "@absent":
        return found is None
    if value == "@uid":
        return found is not None and found.startswith("2.25.1.")
    return found == ("" if value == "@empty" else value)


@pytest.mark.parametrize("row", rows(), ids=named)
def test_a_row_holds(row: Row, facts: Facts) -> None:
    assert holds(facts, row), facts.get(row[2])


@pytest.mark.parametrize("row", rows(), ids=named)
def test_a_row_notices_that_its_fact_is_missing_or_changed(row: Row, facts: Facts) -> None:
    changed = {**facts, row[2]: CHANGED}
    assert not holds(changed, row)
    if row[3] != "@absent":
        assert not holds({name: value for name, value in facts.items() if name != row[2]}, row)


def test_every_row_of_the_tables_is_there() -> None:
    counted = Counter(table for table, _ in {(row[0], row[1]) for row in rows()})
    assert counted == ROWS_OF_TABLES


def test_what_holds_for_all_of_them(facts: Facts) -> None:
    """Sections 2.2.2 and 5.2: application context, no asynchronous operations, several objects, the called title."""
    assert facts["application context"] == "1.2.840.10008.3.1.1.1"
    assert facts["asynchronous"] == "False"
    assert facts["objects on one association"] == "2"
    assert facts["called title checked"] == "True"
