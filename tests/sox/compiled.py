"""Sox programs compiled and run in the emulator, with everything that they print."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from callproof import driver
from callproof.run import run
from callproof.source import CallproofError
from callproof.sox.frontend import reference_errors
from tests.support.sox_evaluator import Result


@dataclass(frozen=True)
class Mode:
    """How a program is compiled and run; `stress` collects at every allocation."""

    level: int = 1
    poison: bool = False
    stress: bool = False


ALL_MODES = tuple(
    Mode(level, poison, stress)
    for level in (0, 1, 2)
    for poison, stress in ((False, False), (True, False), (False, True))
)


def run_compiled(path: Path, mode: Mode, *, verify: bool = False) -> Result:
    """What the executable prints to both streams, and its status; 65 if it does not compile.

    `verify` checks the IR after each pass and proves the allocations (twice the time).
    """
    with tempfile.TemporaryDirectory() as folder:
        executable = Path(folder) / "program"
        try:
            options = driver.Options(level=mode.level, verify=verify)
            driver.build([path], executable, "exe", options)
        except CallproofError as error:
            lines = reference_errors(error.diagnostics)
            return Result(b"", b"".join(line + b"\n" for line in lines), 65)
        environment = {**os.environ, "CALLPROOF_GC_STRESS": str(int(mode.stress))}
        with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
            result = run(
                executable,
                [],
                on="emulator",
                poison=mode.poison,
                stdout=output.fileno(),
                stderr=errors.fileno(),
                environment=environment,
                name=str(path),
            )
            output.seek(0)
            errors.seek(0)
            return Result(output.read(), errors.read(), result.exit_status)
