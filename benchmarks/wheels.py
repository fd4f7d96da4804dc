"""Whether two installed Callproofs make the same files, and how long each takes.

    python benchmarks/wheels.py PYTHON PYTHON

Each PYTHON is the interpreter of an environment with Callproof installed.  Programs of both
languages are built with each, for both targets and at all levels, also with debug information;
exit status 1 if a file or a message differs.  CPU seconds are of all builds together.
"""

from __future__ import annotations

import hashlib
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROGRAMS = (
    "examples/colorpoint.bcl",
    "examples/expression_compiler.bcl",
    "examples/mandelbrot_fpair.bcl",
    "examples/shapes.sox",
    "benchmarks/sox/json.sox",
    "benchmarks/sox/nbody.sox",
)
WRONG = {
    "wrong.bcl": 'LET START() BE\n$( LET A = 1 +\n WRITES("x*N", B) $)\n',
    "wrong.sox": 'fn main() { var a = ; return b.; }\nprint("x" + undefined);\n',
}
WAYS = (
    ("-O0",),
    ("-O1",),
    ("-O2", "--target", "x86_64-linux"),
    ("-O1", "--target", "aarch64-linux", "-g"),
    ("-O2", "--target", "aarch64-linux", "--emit", "asm"),
)


def said_and_made(python: str, words: tuple[str, ...], source: Path, folder: Path) -> str:
    """Exit status, messages and a hash of the output, as one line."""
    output = folder / "output"
    output.unlink(missing_ok=True)
    command = [python, "-m", "callproof", "build", str(source), "-o", str(output), "--no-cache"]
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [*command, *words], cwd=folder, env=environment, capture_output=True, text=True
    )
    made = hashlib.sha256(output.read_bytes()).hexdigest()[:16] if output.exists() else "nothing"
    return f"{done.returncode} {made} {done.stdout}{done.stderr}"


def main() -> None:
    pythons = sys.argv[1:]
    if len(pythons) != 2:
        sys.exit(__doc__)
    for python in pythons:
        shown = subprocess.run([python, "-m", "callproof", "--version"], check=True)
        assert shown.returncode == 0
    seconds = [0.0, 0.0]
    different = compared = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for wrong, text in WRONG.items():
            (folder / wrong).write_text(text)
        sources = [ROOT / program for program in PROGRAMS] + [folder / wrong for wrong in WRONG]
        for source in sources:
            for words in WAYS:
                found = []
                for which, python in enumerate(pythons):
                    before = resource.getrusage(resource.RUSAGE_CHILDREN)
                    found.append(said_and_made(python, words, source, folder))
                    after = resource.getrusage(resource.RUSAGE_CHILDREN)
                    seconds[which] += after.ru_utime - before.ru_utime
                compared += 1
                wanted = "1 nothing" if source.name in WRONG else "0 "
                if source.suffix == ".sox" and source.name in WRONG:
                    wanted = "65 nothing"
                if found[0] != found[1] or not found[0].startswith(wanted):
                    different += 1
                    print(f"{source.name} {' '.join(words)}:\n  {found[0]}\n  {found[1]}")
    print(f"{compared} compared, {different} different; {seconds[0]:.1f} and {seconds[1]:.1f} s")
    sys.exit(1 if different else 0)


if __name__ == "__main__":
    main()
