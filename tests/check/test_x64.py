"""The checker on x86-64 code: assembly in, findings out; our own objects; broken variants."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path
from random import Random

import pytest

from callproof import driver
from callproof.abi import sysv64
from callproof.abi.signature import Parameter, Signature
from callproof.abi.types import X87
from callproof.check import CheckOptions, check_bytes, check_file
from callproof.check.checker import Result
from callproof.check.conventions import PROFILES
from callproof.check.load_object import image_of_object
from callproof.check.program import check_image
from callproof.check.report import as_json, text
from callproof.check.report_html import as_html
from callproof.check.report_sarif import as_sarif
from callproof.check.x64.calls import facts_of
from callproof.check.x64.code import find_functions, make_blocks
from callproof.check.x64.effects import unknown_rows
from callproof.object import write_elf
from callproof.object.model import ObjectFile
from callproof.run.functions import decode_records, encode_records, record_of
from callproof.source import CallproofError
from tests.check.x64_cases import CASES, RECORDS, UNEXPLORED, Wanted
from tests.check.x64_mutants import found_rules, mutants

CC = [sys.executable, "-m", "ziglang", "cc", "-target", "x86_64-linux-musl"]
ROOT = Path(__file__).parents[2]
OURS = [  # program, level, whether it poisons itself
    ("examples/colorpoint.bcl", 0, False),
    ("examples/colorpoint.bcl", 1, True),
    ("benchmarks/bcpl/hash.bcl", 2, False),
    ("benchmarks/sox/binary_trees.sox", 1, False),
    ("benchmarks/sox/closures.sox", 2, False),
]
FOUND_AS_ERRORS = 0.98
DAMAGES = 120


def _source() -> str:
    parts = [".text"]
    bodies = {name: body for name, (body, _) in CASES.items()} | UNEXPLORED
    for name, body in bodies.items():
        parts.append(f".globl {name}\n.type {name},@function\n{name}:\n{body}\n")
        parts.append(f".size {name},.-{name}\n.p2align 4")
    parts.append('.section .callproof.functions,"",@progbits')
    for line in encode_records(RECORDS).decode().splitlines():
        parts.append(".ascii " + json.dumps(line + "\n"))
    return "\n".join(parts) + "\n"


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Result:
    folder = tmp_path_factory.mktemp("x64")
    (folder / "cases.s").write_text(_source())
    command = [*CC, "-c", "cases.s", "-o", "cases.o"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[:3000]
    return check_file(folder / "cases.o", CheckOptions(listings=True))


@pytest.mark.parametrize("name", CASES)
def test_case(result: Result, name: str) -> None:
    found: list[Wanted] = [
        (one.rule, one.severity, ",".join(one.registers))
        for one in result.findings
        if one.function == name
    ]
    assert sorted(found) == sorted(CASES[name][1])
    assert name not in result.reports[0].unexplored


def test_what_cannot_be_followed_is_said(result: Result) -> None:
    (report,) = result.reports
    assert set(report.unexplored) == set(UNEXPLORED)
    assert not {one.function for one in result.findings} & set(UNEXPLORED)
    assert "0f a2" in report.unexplored["unknown_instruction"]
    assert report.functions == len(CASES) + len(UNEXPLORED)


def test_every_row_of_the_table_has_an_effect() -> None:
    assert unknown_rows() == []


@cache
def our_object(program: str, level: int, poison: bool, inlining: bool = True) -> ObjectFile:
    options = driver.Options(level=level, poison=poison, target="x86_64-linux", inlining=inlining)
    (one,) = driver.compile_files([ROOT / program], options)
    return one.object_file()


@pytest.mark.parametrize(("program", "level", "poison"), OURS)
def test_our_own_objects_are_clean(program: str, level: int, poison: bool) -> None:
    """Every test that builds a program for x86-64 asks this (`tests/support/checked_builds.py`);
    here besides that nothing of it is experimental."""
    report = check_image(image_of_object(our_object(program, level, poison)), PROFILES["linux"])
    assert report.functions >= 2 and report.instructions > 20
    assert (report.findings, report.unexplored, report.notes) == ([], {}, [])


def test_broken_variants_are_found() -> None:
    made: Counter[str] = Counter()
    as_errors = 0
    missed = []
    for program, level, poison in OURS:
        made_of = our_object(program, level, poison, inlining=False)  # more calls to break
        code = find_functions(image_of_object(made_of))
        for function in code.functions.values():
            make_blocks(code, function)
            for mutant in mutants(code, function):
                made[mutant.kind] += 1
                found = found_rules(code, mutant)
                as_errors += any((rule, "error") in found for rule in mutant.rules)
                if not mutant.rules & {rule for rule, _ in found}:
                    missed.append((mutant, found))
    assert not missed, missed[:3]
    assert as_errors >= FOUND_AS_ERRORS * made.total()
    assert len(made) == 6 and made.total() > 200, made


def test_a_linked_program_is_checked_and_says_what_is_not_ours(tmp_path: Path) -> None:
    program = tmp_path / "program"
    driver.build(
        [ROOT / "examples/colorpoint.bcl"], program, "exe", driver.Options(target="x86_64-linux")
    )
    result = check_file(program)
    (report,) = result.reports
    assert not result.findings
    assert not [name for name in report.unexplored if "ColorPoint" in name]
    assert "of other compilers" in report.notes[0] and "experimental" in report.notes[0]
    assert "experimental" in text([result])


def test_reports_of_all_forms(result: Result) -> None:
    shown = text([result])
    assert "CR1: rcx is read after a call that may change it" in shown
    assert "callq   outside" in shown and "// this call may change rcx" in shown
    assert "addq    %rcx, %rax" in shown and "// rcx is read here" in shown
    assert "sub rsp" not in shown and "X19" not in shown
    found = json.loads(as_json([result]))["files"][0]["images"][0]["findings"]
    assert {"CS1", "CR1", "SP1", "LR1", "AR1"} == {one["rule"] for one in found}
    results = json.loads(as_sarif([result]))["runs"][0]["results"]
    assert len(results) == len(found) > 30
    page = as_html([result])
    assert page.count('<section class="function"') == len({one["function"] for one in found})
    assert '<th class="register">rbx</th>' in page


def test_only_some_rules_and_no_other_profile(result: Result) -> None:
    made = our_object(*OURS[0])
    assert check_bytes(write_elf(made), "a.o", CheckOptions(rules=frozenset(("CS1",)))).reports
    only = check_file(result.name, CheckOptions(rules=frozenset(("LR1",))))
    assert {one.rule for one in only.findings} == {"LR1"}
    with pytest.raises(CallproofError, match="--abi linux only"):
        check_file(result.name, CheckOptions(abi="darwin"))


def test_damaged_records_are_a_note(result: Result) -> None:
    data = Path(result.name).read_bytes().replace(b'{"name":"takes_two"', b'{"name":takes_two  ')
    damaged = check_bytes(data, "damaged.o")
    assert "not a function record" in damaged.reports[0].notes[0]
    assert not [one for one in damaged.findings if one.rule == "AR1"]


def test_damaged_files_are_refused_or_checked() -> None:
    """Whatever the bytes are: a report, or `CallproofError`."""
    random = Random(5)
    whole = write_elf(our_object("examples/colorpoint.bcl", 0, False))
    checked = refused = 0
    for _ in range(DAMAGES):
        data = bytearray(whole)
        for _ in range(random.choice((1, 2, 20))):
            data[random.randrange(len(data))] = random.randrange(256)
        if random.random() < 0.2:
            del data[random.randrange(len(data)) :]
        try:
            check_bytes(bytes(data), "damaged.o")
            checked += 1
        except CallproofError:
            refused += 1
    assert checked > DAMAGES // 4 and refused > DAMAGES // 20


def test_the_record_of_a_long_double_can_be_read() -> None:
    """It comes back in an x87 register, which the checker does not follow."""
    plan = sysv64.assign(Signature((Parameter(X87),), X87))
    record = record_of("f", "f", plan)
    assert decode_records(encode_records([record])) == [record]
    assert facts_of(record).results == frozenset() and facts_of(record).stack_bytes == 16
