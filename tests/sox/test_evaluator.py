"""Whole Sox programs in the evaluator: those written by hand, random ones, the benchmarks.

`tests/programs/sox/NAME.sox` prints `NAME.out`; where it fails, `NAME.err` is its standard
error and `NAME.status` its exit status.  It runs in that folder and is named by its file name.
"""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from callproof.sox import nodes as ast
from callproof.sox.frontend import load_source
from callproof.sox.lexer import SoxSource
from callproof.sox.symbols import ClassInfo, FunctionInfo, Parameter
from tests.support.sox_evaluator import GAVE_UP, Result, run_file
from tests.support.sox_random import generate
from tests.support.sox_shrink import shrink
from tests.support.sox_test_runner import run_tests

ROOT = Path(__file__).parents[2]
PROGRAMS = ROOT / "tests" / "programs" / "sox"
BENCHMARKS = ROOT / "benchmarks" / "sox"
NAMES = sorted(path.stem for path in PROGRAMS.glob("*.sox"))
SMALL = re.compile(r"= \d+ // small: (\d+)")


def expected(name: str) -> Result:
    errors = PROGRAMS / f"{name}.err"
    status = PROGRAMS / f"{name}.status"
    return Result(
        (PROGRAMS / f"{name}.out").read_bytes(),
        errors.read_bytes() if errors.exists() else b"",
        int(status.read_text()) if status.exists() else 0,
    )


@pytest.mark.parametrize("name", NAMES)
def test_program(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PROGRAMS)
    assert run_file(Path(f"{name}.sox")) == expected(name)


def test_every_expectation_has_its_program() -> None:
    suffixes = ("*.out", "*.err", "*.status")
    stems = {path.stem for suffix in suffixes for path in PROGRAMS.glob(suffix)}
    assert stems == set(NAMES)


@pytest.mark.parametrize("seed", range(100))
def test_random_program(seed: int, tmp_path: Path) -> None:
    path = tmp_path / "random.sox"
    path.write_text(generate(seed))
    result = run_file(path)
    assert result.output
    if result.status == 0:
        assert not result.errors
    else:
        # Only the last call, which is there for that, may fail.
        assert result.status == 70
        assert path.read_text().endswith("fail()\n")
        assert b"in fail()\n" in result.errors


@pytest.mark.parametrize("path", sorted(BENCHMARKS.glob("*.sox")), ids=lambda path: path.stem)
def test_benchmark_small(path: Path, tmp_path: Path) -> None:
    text, replaced = SMALL.subn(r"= \1", path.read_text())
    assert replaced
    small = tmp_path / path.name
    small.write_text(text)
    assert run_file(small) == Result(path.with_suffix(".small.out").read_bytes(), b"", 0)


def test_benchmarks_have_the_same_sizes_in_lua() -> None:
    in_lua = re.compile(r"= (\d+) -- small: (\d+)")
    for path in BENCHMARKS.glob("*.sox"):
        sizes = re.findall(r"= (\d+) // small: (\d+)", path.read_text())
        assert sizes == in_lua.findall(path.with_suffix(".lua").read_text())
        assert sizes


def test_endless_recursion_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "endless.sox"
    path.write_text("fn f(n) {\n    return f(n + 1) + 1\n}\nf(0)\n")
    result = run_file(path)
    lines = result.errors.decode().splitlines()
    assert result.status == 70
    assert lines[:3] == ["Stack overflow.", "[line 2] in script", "[line 2] in f()"]
    assert re.fullmatch(r"\.\.\. the last 1 line [0-9]+ more times", lines[3])
    assert lines[4:] == ["[line 4] in script"]


def test_a_random_program_shrinks_to_what_matters(tmp_path: Path) -> None:
    path = tmp_path / "shrinking.sox"

    def runs_and_prints_a_class(text: str) -> bool:
        path.write_text(text)
        result = run_file(path, steps=10_000)  # without its counter a loop has no end
        return result.status == 0 and b"<instance: " in result.output

    texts = sorted((generate(seed) for seed in range(40)), key=len)
    text = next(text for text in texts if runs_and_prints_a_class(text))
    small = shrink(text, runs_and_prints_a_class)
    assert runs_and_prints_a_class(small)
    assert len(small.splitlines()) <= 12 < len(text.splitlines())


def test_a_program_without_end_is_given_up(tmp_path: Path) -> None:
    path = tmp_path / "endless.sox"
    path.write_text("print 1\nwhile true { var x = 1 }\n")
    assert run_file(path, steps=1000) == Result(b"1\n", b"", GAVE_UP)


def test_random_programs_use_the_whole_language() -> None:
    used: set[type[object]] = set()

    def visit(item: object) -> None:
        if isinstance(item, list):
            for one in item:
                visit(one)
        elif isinstance(item, ast.Node | FunctionInfo | ClassInfo | Parameter):
            used.add(type(item))
            for part in fields(item):
                if part.name not in ("enclosing", "owner"):  # those lead upwards
                    visit(getattr(item, part.name))

    for seed in range(60):
        source = SoxSource("random.sox", generate(seed).encode())
        visit(load_source(source).script.function)
    kinds = {one for one in vars(ast).values() if isinstance(one, type)}
    nodes = {one for one in kinds if issubclass(one, ast.Node)}
    abstract = {ast.Node, ast.Expression, ast.Statement, ast.Definition}
    assert nodes - abstract - used == {ast.Import}


def test_tests_of_the_language() -> None:
    """Section 14: `expected.err_lines` are those lines of standard error that it fixes."""
    folder = ROOT / "tests" / "programs" / "sox_tests"
    result = run_tests(folder)
    assert result.output == (folder / "expected.out").read_bytes()
    assert result.status == 1
    reported = [line for line in result.errors.splitlines() if line.startswith(b"Error: ")]
    assert reported == (folder / "expected.err_lines").read_bytes().splitlines()
