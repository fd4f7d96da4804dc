"""Whole programs of both languages as x86-64 code in the emulator, poisoned and traced.

One in `SHARE`, each at one level; every second one is traced too.  CALLPROOF_X64_ALL=1
takes all programs at all levels, traced.
"""

from __future__ import annotations

import io
import os
import tempfile
from pathlib import Path

import pytest

from callproof import driver
from callproof.run import Limits, run
from callproof.source import CallproofError
from callproof.sox.frontend import reference_errors
from tests.sox.test_evaluator import NAMES as SOX_NAMES
from tests.sox.test_evaluator import PROGRAMS as SOX_FOLDER
from tests.sox.test_evaluator import expected
from tests.support.sox_evaluator import Result
from tests.test_programs import FOLDER, PROGRAMS

ALL = bool(os.environ.get("CALLPROOF_X64_ALL"))
BCPL_SHARE, SOX_SHARE = (1, 1) if ALL else (18, 55)
LEVELS = (0, 1, 2)


def execute(path: Path, level: int, *, traced: bool) -> Result:
    """All that a poisoned program prints, and its status: 3 if the trace saw a violation."""
    with tempfile.TemporaryDirectory() as folder:
        executable = Path(folder) / "program"
        options = driver.Options(level=level, target="x86_64-linux")
        try:
            driver.build([path], executable, "exe", options)
        except CallproofError as error:
            lines = reference_errors(error.diagnostics)
            return Result(b"", b"".join(line + b"\n" for line in lines), 65)
        output, errors, trace = io.BytesIO(), io.BytesIO(), io.StringIO()
        result = run(
            executable,
            [],
            on="emulator",
            poison=True,
            trace_calls=trace if traced else None,
            stdin=io.BytesIO(),
            stdout=output,
            stderr=errors,
            name=str(path),
            limits=Limits(seconds=300),
        )
    assert result.poisoned > 0
    assert "!!!" not in trace.getvalue()
    assert bool(trace.getvalue()) == traced
    return Result(output.getvalue(), errors.getvalue(), result.exit_status)


def ways(index: int) -> list[tuple[int, bool]]:
    if ALL:
        return [(level, True) for level in LEVELS]
    return [(LEVELS[index % 3], index % 2 == 0)]


@pytest.mark.parametrize("name", PROGRAMS[::BCPL_SHARE])
def test_bcpl(name: str) -> None:
    wanted = (FOLDER / f"{name}.out").read_bytes()
    for level, traced in ways(PROGRAMS.index(name) // BCPL_SHARE):
        found = execute(FOLDER / f"{name}.bcl", level, traced=traced)
        assert (found.output, found.status) == (wanted, 0), (level, found.errors)


@pytest.mark.parametrize("name", SOX_NAMES[::SOX_SHARE])
def test_sox(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(SOX_FOLDER)
    for level, traced in ways(SOX_NAMES.index(name) // SOX_SHARE):
        assert execute(Path(f"{name}.sox"), level, traced=traced) == expected(name), level


def test_endless_recursion_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The call that does not fit any more is no call: a signal's handler is entered instead."""
    path = tmp_path / "endless.sox"
    path.write_text("fn f(n) {\n    return f(n + 1) + 1\n}\nf(0)\n")
    monkeypatch.setenv("CALLPROOF_STACK", str(1 << 20))
    found = execute(path, 2, traced=False)
    lines = found.errors.decode().splitlines()
    assert found.status == 70
    assert lines[:3] == ["Stack overflow.", "[line 2] in script", "[line 2] in f()"]
