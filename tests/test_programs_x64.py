"""Whole programs of both languages as x86-64 code, run on this machine.

Each NewBCPL program in one of six ways (three levels; with and without poison compiled
in), which is another for its neighbour, and one in `SHARE` of the Sox programs in one of
twelve (besides: collecting at every allocation).  CALLPROOF_X64_ALL=1 takes all through all.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from callproof import driver
from callproof.run import run
from callproof.source import CallproofError
from callproof.sox.frontend import reference_errors
from tests.sox.test_evaluator import NAMES as SOX_NAMES
from tests.sox.test_evaluator import PROGRAMS as SOX_FOLDER
from tests.sox.test_evaluator import expected
from tests.support.execute_x64 import NATIVE
from tests.support.sox_evaluator import Result
from tests.test_programs import EXAMPLES, FOLDER, PROGRAMS

pytestmark = pytest.mark.skipif(not NATIVE, reason="needs an x86-64 Linux host")

ALL = bool(os.environ.get("CALLPROOF_X64_ALL"))
SHARE = 1 if ALL else 25
WAYS = [(level, poison) for level in (0, 1, 2) for poison in (False, True)]


def execute(path: Path, options: driver.Options, *, stress: bool = False) -> Result:
    """Build a program, run it, and give all that it prints and its status."""
    with tempfile.TemporaryDirectory() as folder:
        executable = Path(folder) / "program"
        try:
            driver.build([path], executable, "exe", options)
        except CallproofError as error:
            lines = reference_errors(error.diagnostics)
            return Result(b"", b"".join(line + b"\n" for line in lines), 65)
        with (
            tempfile.TemporaryFile() as output,
            tempfile.TemporaryFile() as errors,
            tempfile.TemporaryFile() as nothing,
        ):
            result = run(
                executable,
                [],
                stdin=nothing,
                stdout=output.fileno(),
                stderr=errors.fileno(),
                environment={**os.environ, "CALLPROOF_GC_STRESS": str(int(stress))},
                name=str(path),
            )
            assert result.on == "native"
            output.seek(0)
            errors.seek(0)
            return Result(output.read(), errors.read(), result.exit_status)


def options_of(way: tuple[int, bool], *, verify: bool) -> driver.Options:
    return driver.Options(level=way[0], poison=way[1], target="x86_64-linux", verify=verify)


@pytest.mark.parametrize("name", PROGRAMS)
def test_bcpl(name: str) -> None:
    wanted = Result((FOLDER / f"{name}.out").read_bytes(), b"", 0)
    index = PROGRAMS.index(name)
    for way in WAYS if ALL else [WAYS[index % len(WAYS)]]:
        found = execute(FOLDER / f"{name}.bcl", options_of(way, verify=index % 3 == 0))
        assert (found.output, found.status) == (wanted.output, 0), way


@pytest.mark.parametrize("name", SOX_NAMES[::SHARE])
def test_sox(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(SOX_FOLDER)
    index = SOX_NAMES.index(name) // SHARE
    every = [(way, stress) for way in WAYS for stress in (False, True)]
    for way, stress in every if ALL else [every[index % len(every)]]:
        options = options_of(way, verify=index % 4 == 0)
        assert execute(Path(f"{name}.sox"), options, stress=stress) == expected(name), (way, stress)


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.*")), ids=lambda path: path.stem)
def test_examples(path: Path) -> None:
    wanted = (FOLDER.parent / "examples" / f"{path.stem}.out").read_bytes()
    found = execute(path, options_of((2, False), verify=False))
    assert (found.output, found.status) == (wanted, 0)
