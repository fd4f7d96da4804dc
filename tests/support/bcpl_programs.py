"""Compile and run NewBCPL programs that a test has written into a folder."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from callproof import driver
from callproof.run import run


@dataclass(frozen=True, slots=True)
class Ran:
    """What a program printed on each stream, and its exit status."""

    output: str
    errors: str
    status: int


def write(folder: Path, texts: Mapping[str, str]) -> list[Path]:
    """Files with these texts; their paths."""
    paths = []
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        paths.append(path)
    return paths


def run_program(
    sources: Sequence[Path],
    options: driver.Options | None = None,
    *,
    stdin: str = "",
    environment: Mapping[str, str] | None = None,
    poison: bool = False,
) -> Ran:
    """Build an executable of the sources and run it in the emulator."""
    with tempfile.TemporaryDirectory() as folder:
        executable = Path(folder) / "program"
        driver.build(sources, executable, "exe", options or driver.Options(verify=True))
        given = Path(folder) / "stdin"
        given.write_text(stdin, encoding="utf-8")
        out, err = Path(folder) / "stdout", Path(folder) / "stderr"
        with given.open("rb") as first, out.open("wb") as second, err.open("wb") as third:
            result = run(
                executable,
                [],
                on="emulator",
                poison=poison,
                stdin=first.fileno(),
                stdout=second.fileno(),
                stderr=third.fileno(),
                environment=environment,
            )
        return Ran(out.read_text(encoding="utf-8"), err.read_text(), result.exit_status)
