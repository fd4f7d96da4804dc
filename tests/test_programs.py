"""Whole programs: what they print in the interpreter, compiled, and compiled and poisoned.

Each `tests/programs/bcpl/NAME.bcl` prints `NAME.out`: at every -O level, in the
emulator, with rubbish in every register that a call may change, and (once) with the
rubbish compiled into the program.
"""

from __future__ import annotations

import tempfile
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
PROGRAMS = sorted(path.stem for path in FOLDER.glob("*.bcl"))
# The interpreter has no C library.
INTERPRETED = [name for name in PROGRAMS if "EXTERNAL" not in (FOLDER / f"{name}.bcl").read_text()]
EXAMPLES = Path(__file__).parent.parent / "examples"


def output_of(executable: Path, *, poison: bool) -> bytes:
    with tempfile.TemporaryFile() as stream, tempfile.TemporaryFile() as nothing:
        result = run(
            executable, [], on="emulator", poison=poison, stdin=nothing, stdout=stream.fileno()
        )
        assert result.exit_status == 0
        stream.seek(0)
        return stream.read()


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("level", [0, 1, 2])
def test_compiled(name: str, level: int, tmp_path: Path) -> None:
    executable = tmp_path / name
    options = driver.Options(level=level, verify=True)
    driver.build([FOLDER / f"{name}.bcl"], executable, "exe", options)
    expected = (FOLDER / f"{name}.out").read_bytes()
    assert output_of(executable, poison=False) == expected
    assert output_of(executable, poison=True) == expected


@pytest.mark.parametrize("name", PROGRAMS)
def test_compiled_with_poison_inside(name: str, tmp_path: Path) -> None:
    executable = tmp_path / name
    options = driver.Options(level=1, verify=True, poison=True)
    driver.build([FOLDER / f"{name}.bcl"], executable, "exe", options)
    assert output_of(executable, poison=False) == (FOLDER / f"{name}.out").read_bytes()


@pytest.mark.parametrize("name", INTERPRETED)
@pytest.mark.parametrize("level", [0, 2])
def test_interpreted(name: str, level: int) -> None:
    source = SourceFile.read(FOLDER / f"{name}.bcl")
    module = compile_to_ir(source, Diagnostics())
    optimise(module, level, verify_each=True)
    runtime = Runtime()
    try:
        Interpreter(module, runtime.externals).call("bcpl_start")
    except Finished as finished:
        assert finished.status == 0
    assert bytes(runtime.output) == (FOLDER / f"{name}.out").read_bytes()


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
    listing = driver.compile_file(path, driver.Options()).listing("ColorPoint::CREATE")
    (kept,) = [line for line in listing.splitlines() if "keep 'colour'" in line]
    assert kept.split("//")[0].split() == ["mov", "x19,", "x3"]
    assert kept.endswith("keep 'colour' across 1 call")
    assert 'bl "Point::CREATE"' in listing
    assert "(this: x0, x: x1, y: x2)" in listing
