"""Executed instructions and code size of eight NewBCPL programs, beside GCC's for the same in C.

    python benchmarks/bcpl.py [--level N] [--clang] [--inlining] [--json FILE]

Both sides run under the same counter (the emulator's), as static programs that must print
the same; the count of a program that does nothing but start and end is taken off.  What
the libraries execute counts: `trees` is our collector's allocation beside glibc's malloc and
free (so few nodes need no collection).  C multiplies and adds in two steps, as NewBCPL does,
so that results agree.  The twins' functions are marked `noinline`, so that calls are compared
with calls; ours are not, and `--inlining` takes the mark away.
Code size is the bytes of the object's code, those of the empty program's taken off.
`aarch64-linux-gnu-gcc` must be installed; Clang (`--clang`) comes from the `ziglang` package.
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

from rich.console import Console
from rich.table import Table

from callproof import driver
from callproof.object.elf_read import read_elf
from callproof.run import run
from callproof.run.counting import ENVIRONMENT

PROGRAMS = ("fib", "matmul", "sieve", "queens", "trees", "hash", "nbody", "mandelbrot")
FOLDER = Path(__file__).parent / "bcpl"
C_FLAGS = ("-static", "-ffp-contract=off", "-I", str(FOLDER))
EMPTY_BCL = "LET START() BE $( WRITEN(0) NEWLINE() $)\n"
EMPTY_C = '#include "kernel.h"\nint main(void) { return put(0); }\n'


def peers(clang: bool, inlining: bool) -> dict[str, list[str]]:
    """Name -> compiler command; each makes a static ARM64 Linux executable."""
    found: dict[str, list[str]] = {}
    gcc = shutil.which("aarch64-linux-gnu-gcc")
    if gcc:
        found |= {f"gcc {level}": [gcc, level] for level in ("-O0", "-O1", "-O2")}
    if inlining:
        found = {name: [*command, "-Dnoinline="] for name, command in found.items()}
    if not clang:
        return found
    zig = [sys.executable, "-m", "ziglang", "cc", "-target", "aarch64-linux-musl"]
    # Zig's driver adds checks of undefined behaviour unless told not to.
    zig.append("-fno-sanitize=all")
    if inlining:
        zig.append("-Dnoinline=")
    found |= {f"clang {level}": [*zig, level, "-fno-vectorize"] for level in ("-O0", "-O1", "-O2")}
    return found


def count(executable: Path, expected: bytes | None) -> tuple[int, bytes]:
    """Executed instructions and output; an output other than expected is an error."""
    with tempfile.TemporaryFile() as output:
        result = run(
            executable,
            [],
            on="emulator",
            count_instructions=True,
            stdout=output.fileno(),
            # Who asks for a variable walks over all of them.
            environment=ENVIRONMENT,
        )
        output.seek(0)
        text = output.read()
    if result.exit_status or (expected is not None and text != expected):
        raise SystemExit(f"{executable}: status {result.exit_status}, output {text!r}")
    assert result.instructions is not None
    return result.instructions, text


def code_bytes(path: Path) -> int:
    """Bytes of an object file's code; constants (jump tables too) are not among them."""
    sections = read_elf(path.read_bytes(), str(path)).sections
    return sum(len(section.data) for section in sections if section.kind == "code")


def sizes(level: int, clang: bool = False, inlining: bool = False) -> dict[str, dict[str, int]]:
    """program -> compiler -> bytes of code."""
    table: dict[str, dict[str, int]] = {name: {} for name in PROGRAMS}
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "empty.bcl").write_text(EMPTY_BCL)
        # Of a number that is known nothing would be left to print.
        (place / "empty.c").write_text(EMPTY_C.replace("put(0)", "put(opaque(0))"))
        output = place / "object.o"

        def ours(source: Path) -> int:
            driver.build([source], output, "obj", driver.Options(level=level))
            return code_bytes(output)

        base = ours(place / "empty.bcl")
        for name in PROGRAMS:
            table[name][f"callproof -O{level}"] = ours(FOLDER / f"{name}.bcl") - base
        for peer, command in peers(clang, inlining).items():

            def theirs(source: Path, command: list[str] = command) -> int:
                words = [*command, *C_FLAGS[1:], "-c", str(source), "-o", str(output)]
                subprocess.run(words, check=True)
                return code_bytes(output)

            base = theirs(place / "empty.c")
            for name in PROGRAMS:
                table[name][peer] = theirs(FOLDER / f"{name}.c") - base
    return table


def measure(level: int, clang: bool = False, inlining: bool = False) -> dict[str, dict[str, int]]:
    """program -> compiler -> executed instructions."""
    table: dict[str, dict[str, int]] = {name: {} for name in PROGRAMS}
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
        for name in PROGRAMS:
            executable = ours(FOLDER / f"{name}.bcl")
            executed, outputs[name] = count(executable, None)
            table[name][f"callproof -O{level}"] = executed - base
        for peer, command in peers(clang, inlining).items():

            def theirs(source: Path, command: list[str] = command) -> Path:
                output = place / f"{source.stem}.peer"
                words = [*command, *C_FLAGS, str(source), "-o", str(output), "-lm"]
                subprocess.run(words, check=True)
                return output

            base, _ = count(theirs(place / "empty.c"), None)
            for name in PROGRAMS:
                executable = theirs(FOLDER / f"{name}.c")
                executed, _ = count(executable, outputs[name])
                table[name][peer] = executed - base
    return table


def show(table: dict[str, dict[str, int]], what: str) -> None:
    """One table: our figures, each peer's, and the ratios with their geometric means."""
    own, *others = next(iter(table.values()))
    console = Console(width=120)
    shown = Table(title=f"{what}: {own}, and its ratio to each (below 1 is better)")
    shown.add_column("program")
    shown.add_column(own, justify="right")
    for other in others:
        shown.add_column(other, justify="right")
        shown.add_column("ratio", justify="right")
    logs: dict[str, list[float]] = {other: [] for other in others}
    for name, row in table.items():
        cells = [name, f"{row[own]:,}"]
        for other in others:
            ratio = row[own] / row[other]
            logs[other].append(math.log(ratio))
            cells += [f"{row[other]:,}", f"{ratio:.2f}"]
        shown.add_row(*cells)
    cells = ["geometric mean", ""]
    for other in others:
        cells += ["", f"{math.exp(sum(logs[other]) / len(logs[other])):.2f}"]
    shown.add_row(*cells)
    console.print(shown)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--level", type=int, default=1, choices=(0, 1, 2))
    parser.add_argument("--clang", action="store_true", help="Clang's code too")
    parser.add_argument("--inlining", action="store_true", help="let C compilers inline")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    chosen = (arguments.level, arguments.clang, arguments.inlining)
    table = measure(*chosen)
    show(table, "executed instructions")
    bytes_ = sizes(*chosen)
    show(bytes_, "bytes of code")
    if arguments.json:
        found = {"instructions": table, "code": bytes_}
        arguments.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
