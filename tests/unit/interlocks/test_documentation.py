"""The table in the documentation is the table in the code, and every row's test exists."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from isoalign.interlocks import Rule, rules_for

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "hazards" / "interlocks.md"
RULES = rules_for(couch=True, beam=True, calibration=True, imagers=True, gantry=True)


def cells() -> list[list[str]]:
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    return [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in lines]


def test_rows_and_their_order() -> None:
    assert [row[0] for row in cells()] == [rule.rule_id for rule in RULES]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.rule_id)
def test_row(rule: Rule) -> None:
    row = next(row for row in cells() if row[0] == rule.rule_id)
    named = ", ".join(sorted(a.value for a in rule.latches_in)) or "never"
    latches = "always" if len(rule.latches_in) == 3 else named
    gates = "motion, exposure" if rule.gates_exposure else "motion"
    expected = [rule.condition, rule.source, rule.reaction.name, latches, gates, rule.cleared_by, rule.test_id]
    assert row[1:] == expected


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.rule_id)
def test_the_test_of_every_rule_exists(rule: Rule) -> None:
    file, _, name = rule.test_id.partition("::")
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    functions = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    function, _, parameter = name.partition("[")
    assert function in functions
    assert not parameter or f'"{parameter.rstrip("]")}"' in (ROOT / file).read_text(encoding="utf-8")
