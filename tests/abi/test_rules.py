"""Every clause that a plan can name has an example that says where the value goes."""

from __future__ import annotations

import pytest
from tests.abi.rules import EXAMPLES, Example

from callproof.abi import CONVENTIONS, parse
from callproof.abi.clauses import CLAUSES
from callproof.abi.report import report

ALL = [(rule, example) for rule, examples in EXAMPLES.items() for example in examples]


@pytest.mark.parametrize(("rule", "example"), ALL, ids=[f"{r}-{e.name}" for r, e in ALL])
def test_where_a_value_goes(rule: str, example: Example) -> None:
    prototype = parse(example.declaration, arguments=example.arguments)
    (view,) = report(prototype, [CONVENTIONS[example.convention]]).views
    found = {row.name: row for row in view.rows}
    assert found[example.name].where == example.where


@pytest.mark.parametrize("rule", EXAMPLES)
def test_the_clause_is_named(rule: str) -> None:
    example = EXAMPLES[rule][0]
    prototype = parse(example.declaration, arguments=example.arguments)
    (view,) = report(prototype, [CONVENTIONS[example.convention]]).views
    (row,) = [row for row in view.rows if row.name == example.name]
    assert rule in row.assignment.rules


def test_every_clause_has_an_example() -> None:
    assert set(EXAMPLES) == set(CLAUSES)
