"""Executed instructions and code size of five kernels, ours beside C compilers'.

    python benchmarks/kernels.py [--level N] [--json FILE]

Both sides run under the same counter (the emulator's), as static programs; the
count of a program that does nothing but start and end is taken off.  Code size is
that of the kernel's functions.  Clang comes from the `ziglang` package; GCC's
columns appear where `aarch64-linux-gnu-gcc` is installed.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from callproof import driver
from callproof.run import run

KERNELS = ("fib", "matmul", "sieve", "queens", "hash")
FOLDER = Path(__file__).parent / "kernels"
EMPTY_BCL = "LET START() BE $( WRITEN(0) NEWLINE() $)\n"
EMPTY_C = '#include "kernel.h"\nint main(void) { return put(0); }\n'


def peers() -> dict[str, list[str]]:
    """Name -> compiler command; each makes a static ARM64 Linux executable."""
    zig = [sys.executable, "-m", "ziglang", "cc", "-target", "aarch64-linux-musl"]
    # Zig's driver adds checks of undefined behaviour unless told not to.
    zig.append("-fno-sanitize=all")
    found = {f"clang {level}": [*zig, level, "-fno-vectorize"] for level in ("-O0", "-O1", "-O2")}
    gcc = shutil.which("aarch64-linux-gnu-gcc")
    if gcc:
        found |= {f"gcc {level}": [gcc, level] for level in ("-O0", "-O1", "-O2")}
    return found


def count(executable: Path, expected: bytes | None) -> tuple[int, bytes]:
    """Executed instructions and output; an output other than expected is an error."""
    with tempfile.TemporaryFile() as output:
        result = run(executable, [], on="emulator", count_instructions=True, stdout=output.fileno())
        output.seek(0)
        text = output.read()
    if result.exit_status or (expected is not None and text != expected):
        raise SystemExit(f"{executable}: status {result.exit_status}, output {text!r}")
    assert result.instructions is not None
    return result.instructions, text


def code_size(executable: Path, names: set[str]) -> int:
    """Bytes of the functions of these names, by the symbol table."""
    from elftools.elf.elffile import ELFFile

    with executable.open("rb") as stream:
        table: Any = ELFFile(stream).get_section_by_name(".symtab")
        return sum(
            symbol["st_size"]
            for symbol in table.iter_symbols()
            if symbol["st_info"]["type"] == "STT_FUNC" and symbol.name.split(".")[0] in names
        )


FUNCTIONS = {
    "fib": {"fib"},
    "matmul": {"fill", "multiply"},
    "sieve": {"sieve"},
    "queens": {"place"},
    "hash": {"hash"},
}


def measure(level: int) -> dict[str, dict[str, tuple[int, int]]]:
    """kernel -> compiler -> (executed instructions, bytes of code)."""
    table: dict[str, dict[str, tuple[int, int]]] = {name: {} for name in KERNELS}
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "empty.bcl").write_text(EMPTY_BCL)
        (place / "empty.c").write_text(EMPTY_C)
        options = driver.Options(level=level)

        def ours(source: Path) -> Path:
            output = place / source.stem
            driver.build([source], output, "exe", options)
            return output

        base, _ = count(ours(place / "empty.bcl"), None)
        outputs = {}
        for name in KERNELS:
            executable = ours(FOLDER / f"{name}.bcl")
            executed, outputs[name] = count(executable, None)
            size = code_size(executable, FUNCTIONS[name])
            table[name][f"callproof -O{level}"] = (executed - base, size)
        for peer, command in peers().items():

            def theirs(source: Path, command: list[str] = command) -> Path:
                output = place / f"{source.stem}.peer"
                words = [*command, "-static", "-I", str(FOLDER), str(source), "-o", str(output)]
                subprocess.run(words, check=True)
                return output

            base, _ = count(theirs(place / "empty.c"), None)
            for name in KERNELS:
                executable = theirs(FOLDER / f"{name}.c")
                executed, _ = count(executable, outputs[name])
                table[name][peer] = (executed - base, code_size(executable, FUNCTIONS[name]))
    return table


def show(table: dict[str, dict[str, tuple[int, int]]]) -> None:
    """Two tables of ratios, ours to each peer's, with geometric means."""
    own, *others = next(iter(table.values()))
    console = Console(width=120)
    for column, title in ((0, "executed instructions"), (1, "bytes of code")):
        shown = Table(title=f"{title}: {own}, and its ratio to each peer (below 1 is better)")
        shown.add_column("kernel")
        shown.add_column(own, justify="right")
        for other in others:
            shown.add_column(f"/ {other}", justify="right")
        logs: dict[str, list[float]] = {other: [] for other in others}
        for name, row in table.items():
            cells = [name, f"{row[own][column]:,}"]
            for other in others:
                if not row[other][column]:
                    cells.append("inlined")
                    continue
                ratio = row[own][column] / row[other][column]
                logs[other].append(math.log(ratio))
                cells.append(f"{ratio:.2f}")
            shown.add_row(*cells)
        means = [f"{math.exp(sum(logs[o]) / max(len(logs[o]), 1)):.2f}" for o in others]
        shown.add_row("geometric mean", "", *means)
        console.print(shown)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--level", type=int, default=1, choices=(0, 1, 2))
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    table = measure(arguments.level)
    show(table)
    if arguments.json:
        arguments.json.write_text(json.dumps(table, indent=1))


if __name__ == "__main__":
    main()
