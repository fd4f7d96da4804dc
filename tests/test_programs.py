"""Whole programs: what they print in the interpreter and compiled.

Each `tests/programs/bcpl/.../NAME.bcl` prints `NAME.out`, whatever the -O level, with
rubbish in every register that a call may change, with the rubbish compiled into the
program, and with a collection of garbage at every allocation.  In a test run each
program takes one of these ways, chosen by its name, and one level in the interpreter;
CALLPROOF_BCPL_ALL=1 takes them all through all, with every allocation proved.
"""

from __future__ import annotations

import os
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import pytest

from callproof import driver
from callproof.bcpl.frontend import compile_to_ir
from callproof.ir.interpret import Interpreter
from callproof.passes.pipeline import optimise
from callproof.run import run
from callproof.source import Diagnostics, SourceFile
from tests.support.bcpl_externals import Finished, Runtime
from tests.support.bcpl_programs import run_program

FOLDER = Path(__file__).parent / "programs" / "bcpl"
PROGRAMS = sorted(
    path.relative_to(FOLDER).with_suffix("").as_posix() for path in FOLDER.rglob("*.bcl")
)
# The interpreter has no C library.
INTERPRETED = [name for name in PROGRAMS if "EXTERNAL" not in (FOLDER / f"{name}.bcl").read_text()]
EXAMPLES = Path(__file__).parent.parent / "examples"
ALL = bool(os.environ.get("CALLPROOF_BCPL_ALL"))


@dataclass(frozen=True)
class Mode:
    """How a program is compiled and run; `inside`: the rubbish is in the program itself."""

    level: int
    poison: bool = False
    inside: bool = False
    stress: bool = False


MODES = [
    Mode(level, poison, inside, stress)
    for level in (0, 1, 2)
    for poison, inside, stress in (
        (False, False, False),
        (True, False, False),
        (False, True, False),
        (False, False, True),
    )
]


def number_of(name: str) -> int:
    """The same in every run, and whatever other programs there are."""
    return zlib.crc32(name.encode())


def output_of(executable: Path, *, poison: bool, stress: bool = False) -> bytes:
    environment = {**os.environ, "CALLPROOF_GC_STRESS": str(int(stress))}
    with tempfile.TemporaryFile() as stream, tempfile.TemporaryFile() as nothing:
        result = run(
            executable,
            [],
            on="emulator",
            poison=poison,
            stdin=nothing,
            stdout=stream.fileno(),
            environment=environment,
        )
        assert result.exit_status == 0
        stream.seek(0)
        return stream.read()


@pytest.mark.parametrize("name", PROGRAMS)
def test_compiled(name: str, tmp_path: Path) -> None:
    number = number_of(name)
    for mode in MODES if ALL else (MODES[number % len(MODES)],):
        executable = tmp_path / "program"
        verify = ALL or number // len(MODES) % 4 == 0
        options = driver.Options(level=mode.level, verify=verify, poison=mode.inside)
        driver.build([FOLDER / f"{name}.bcl"], executable, "exe", options)
        found = output_of(executable, poison=mode.poison, stress=mode.stress)
        assert found == (FOLDER / f"{name}.out").read_bytes(), mode


@pytest.mark.parametrize("name", INTERPRETED)
def test_interpreted(name: str) -> None:
    for level in (0, 1, 2) if ALL else (number_of(name) // 64 % 3,):
        source = SourceFile.read(FOLDER / f"{name}.bcl")
        module = compile_to_ir(source, Diagnostics())
        optimise(module, level, verify_each=True)
        runtime = Runtime()
        try:
            Interpreter(module, runtime.externals).call("bcpl_start")
        except Finished as finished:
            assert finished.status == 0
        assert bytes(runtime.output) == (FOLDER / f"{name}.out").read_bytes(), level


@pytest.mark.parametrize(
    "path",
    sorted([*EXAMPLES.glob("*.bcl"), *EXAMPLES.glob("*.sox")]),
    ids=lambda path: path.stem,
)
def test_examples_run_and_say_what_they_show(path: Path, tmp_path: Path) -> None:
    assert path.read_text().startswith("// "), "an example's first line says what it shows"
    executable = tmp_path / path.stem
    driver.build([path], executable, "exe", driver.Options(verify=True))
    expected = (FOLDER.parent / "examples" / f"{path.stem}.out").read_bytes()
    assert output_of(executable, poison=False) == expected
    assert output_of(executable, poison=True) == expected


def test_the_calculator_reads_its_input() -> None:
    lines = "a = 2 * 3\n\na / (4 - 4)\nb=a*a-1\nb\n 1.25+.\n(a+b)/ 2"
    ran = run_program([EXAMPLES / "calculator.bcl"], stdin=lines)
    assert ran.output == (
        "6\nerror at character 12: division by zero\n35\n35\n"
        "error at character 7: a number, a variable or a bracket is missing\n20.5\n"
    )


def test_the_constructor_keeps_the_colour_in_a_preserved_register() -> None:
    path = EXAMPLES / "colorpoint.bcl"
    options = driver.Options(inlining=False)
    listing = driver.compile_file(path, options).listing("ColorPoint::CREATE")
    (kept,) = [line for line in listing.splitlines() if "keep 'colour'" in line]
    assert kept.split("//")[0].split() == ["mov", "x19,", "x3"]
    assert kept.endswith("keep 'colour' across 1 call")
    assert 'bl "Point::CREATE"' in listing
    assert "(this: x0, x: x1, y: x2)" in listing
