"""Whole Sox programs with their IR interpreted and the real runtime behind it.

A sample in every test run, after another level's passes each; CALLPROOF_SOX_ALL=1 takes
all of them at all levels.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from callproof import driver
from callproof.interpreted import interpret_program
from callproof.ir.interpret import Trap
from callproof.source import CallproofError
from callproof.sox.frontend import reference_errors
from tests.sox.test_compiled import QUADRATIC
from tests.sox.test_evaluator import NAMES, PROGRAMS, expected
from tests.support.sox_evaluator import GAVE_UP, Result, run_file
from tests.support.sox_random import generate

ALL = bool(os.environ.get("CALLPROOF_SOX_ALL"))
LEVELS = (0, 1, 2)
SAMPLE = NAMES if ALL else NAMES[6::13]


def run_interpreted(path: Path, level: int, *, stress: bool = False) -> Result:
    """What the program prints to both streams, and its status."""
    options = driver.Options(level=level)
    try:
        _, module, _ = driver.front_end(path, options)
    except CallproofError as error:
        lines = reference_errors(error.diagnostics)
        return Result(b"", b"".join(line + b"\n" for line in lines), 65)
    if level:
        driver.optimise(module, options)
    environment = {**os.environ, "CALLPROOF_GC_STRESS": str(int(stress))}
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        outcome = interpret_program(
            module,
            options,
            stdout=output.fileno(),
            stderr=errors.fileno(),
            environment=environment,
            name=str(path),
            steps=20_000_000,
        )
        output.seek(0)
        errors.seek(0)
        return Result(output.read(), errors.read(), outcome.exit_status)


@pytest.mark.parametrize("name", SAMPLE)
def test_program(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PROGRAMS)
    index = NAMES.index(name)
    for level in LEVELS if ALL else (index % len(LEVELS),):
        stress = ALL and index % 4 == 0 and name not in QUADRATIC
        result = run_interpreted(Path(f"{name}.sox"), level, stress=stress)
        assert result == expected(name), level


@pytest.mark.parametrize("seed", range(3000, 3200 if ALL else 3008))
def test_random_program(seed: int, tmp_path: Path) -> None:
    path = tmp_path / "random.sox"
    path.write_text(generate(seed))
    wanted = run_file(path)
    if wanted.status != GAVE_UP:
        assert run_interpreted(path, seed % len(LEVELS)) == wanted


def test_endless_recursion_ends_in_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CALLPROOF_STACK", str(1 << 20))
    path = tmp_path / "endless.sox"
    path.write_text("fn f(n) {\n    return f(n + 1) + 1\n}\nf(0)\n")
    result = run_interpreted(path, 1)
    lines = result.errors.decode().splitlines()
    assert result.status == 70
    assert lines[:3] == ["Stack overflow.", "[line 2] in script", "[line 2] in f()"]
    assert lines[-1] == "[line 4] in script"


def test_a_program_without_end_is_given_up(tmp_path: Path) -> None:
    path = tmp_path / "endless.sox"
    path.write_text("while true { var x = 1 }\n")
    options = driver.Options()
    _, module, _ = driver.front_end(path, options)
    with pytest.raises(Trap, match="more than 1000 steps"):
        interpret_program(module, options, steps=1000)
