"""The rules on small programs: what must be found is, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from callproof.check import CheckOptions, Result, check_file
from callproof.check.rules import MODULES, RULES, explain
from tests.check.assembled import assemble_all, function
from tests.check.cases import CASES


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("cases")
    return assemble_all({name: text for name, (text, _) in CASES.items()}, folder)


def found(result: Result) -> set[tuple[str, str]]:
    return {
        (finding.rule, finding.registers[0] if finding.registers else "")
        for finding in result.at_least("warning")
    }


@pytest.mark.parametrize("name", CASES)
def test_exactly_what_is_broken_is_found(name: str, objects: dict[str, Path]) -> None:
    assert found(check_file(objects[name])) == CASES[name][1]


def test_every_rule_that_is_not_opt_in_is_broken_by_some_case() -> None:
    broken = {rule for _, expected in CASES.values() for rule, _ in expected}
    elsewhere = {"PL1"}
    assert broken | elsewhere == {name for name, rule in RULES.items() if not rule.opt_in}


def test_the_place_and_the_path_of_a_finding(objects: dict[str, Path]) -> None:
    (finding,) = check_file(objects["cr1_x9"]).findings
    assert finding.function == "f"
    assert finding.place == ".text+0x10"
    comments = [step.comment for step in finding.steps]
    assert comments == ["the value is set here", "this call may change x9", "x9 is read here"]
    assert [step.text for step in finding.steps] == ["mov x9, x0", "bl g", "add x0, x0, x9"]
    (narrow,) = check_file(objects["cs1_narrow_general"]).findings
    assert "less than its width" in narrow.message
    assert "only 32 bits of x19 are restored here" in [step.comment for step in narrow.steps]


def test_opt_in_rules_and_platforms(tmp_path: Path) -> None:
    sources = {
        "record": function("f", "stp x29, x30, [sp, #-16]!\nbl g\nldp x29, x30, [sp], #16\nret"),
        "good_record": function(
            "f", "stp x29, x30, [sp, #-16]!\nmov x29, sp\nbl g\nldp x29, x30, [sp], #16\nret"
        ),
        "platform": function("f", "mov x18, x0\nret"),
        "shadow": function("f", "str x30, [x18], #8\nldr x30, [x18, #-8]!\nret"),
        "red_zone": function("f", "str x0, [sp, #-16]\nldr x0, [sp, #-16]\nret"),
    }
    objects = assemble_all(sources, tmp_path)
    only = CheckOptions(rules=frozenset(("FP1",)))
    assert found(check_file(objects["record"], only)) == {("FP1", "x29")}
    assert found(check_file(objects["good_record"], only)) == set()
    assert found(check_file(objects["record"])) == set()
    assert found(check_file(objects["platform"])) == set()
    assert found(check_file(objects["platform"], CheckOptions("darwin"))) == {("PL1", "x18")}
    assert found(check_file(objects["shadow"], CheckOptions("android"))) == set()
    assert found(check_file(objects["red_zone"])) == {("SP2", "sp")}
    assert found(check_file(objects["red_zone"], CheckOptions("darwin"))) == set()


def test_scalable_code_is_listed_and_not_judged(tmp_path: Path) -> None:
    text = function("f", ".inst 0x04a0e3e9\nadd x0, x0, x9\nret")  # cntw x9
    result = check_file(assemble_all({"sve": text}, tmp_path)["sve"])
    assert result.findings == []
    assert "scalable vector code" in result.reports[0].unexplored["f"]


@pytest.mark.parametrize("name", RULES)
def test_each_rule_explains_itself(name: str) -> None:
    text = explain(name)
    assert text.startswith(f"{name}: ") and RULES[name].clause in text
    assert MODULES[name].__name__.endswith(name.lower())
