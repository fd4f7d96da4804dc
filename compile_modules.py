"""Compile the hot modules of `hot_modules.txt` with mypyc, into a folder of their own.

    python compile_modules.py OUT [--modules FILE] [--copy]

OUT gets the extension modules as they lie beside `callproof`'s Python files; the Python
files stay what runs where they are absent.  With `--copy` OUT gets the Python files too,
so that `PYTHONPATH=OUT` is a whole compiled Callproof (`benchmarks/`, tests).

The C compiler is $CC, or `cc`, `gcc` or `clang`, or else Clang from `ziglang`.  Exit status
1 with the reason on standard error if anything fails; then OUT holds nothing to be used.
"""

from __future__ import annotations

import argparse
import ast
import os
import shlex
import shutil
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent
MODULES = ROOT / "hot_modules.txt"
COMPILERS = ("cc", "gcc", "clang")
# Types are checked anew here, as mypyc compiles by them, but what is imported from others
# (numpy, rich) may be absent where a wheel is built.
MYPY_OPTIONS = ["--explicit-package-bases", "--ignore-missing-imports", "--no-warn-unused-configs"]


def hot_modules(listed: Path = MODULES) -> list[str]:
    """Paths below `src`, in the file's order; `#` begins a comment."""
    lines = (line.partition("#")[0].strip() for line in listed.read_text().splitlines())
    return [line for line in lines if line]


def annotations_quoted(text: str) -> str:
    """`field: Type` in class bodies as `field: "Type"`, on the same lines.

    By `from __future__ import annotations` both are the same to Python.  But mypyc loads
    what an unquoted one names when the class is made, and that may be a name that only
    type checkers import.
    """
    lines = text.encode().split(b"\n")  # `ast` counts columns in bytes
    found = [
        statement.annotation
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.ClassDef)
        for statement in node.body
        if isinstance(statement, ast.AnnAssign)
    ]
    for node in sorted(found, key=lambda node: (node.lineno, node.col_offset), reverse=True):
        assert node.end_col_offset is not None
        line = lines[node.lineno - 1]
        start, end = node.col_offset, node.end_col_offset
        if node.end_lineno != node.lineno or b'"' in line[start:end]:
            continue
        lines[node.lineno - 1] = b'%s"%s"%s' % (line[:start], line[start:end], line[end:])
    return b"\n".join(lines).decode()


def choose_compiler(folder: Path) -> str:
    """The C compiler's name, having told distutils; a wrapper in `folder` if it is Zig's."""
    for name in [os.environ.get("CC", ""), *COMPILERS]:
        if name and shutil.which(shlex.split(name)[0]):
            os.environ["CC"] = name
            os.environ.setdefault("LDSHARED", f"{name} -shared")
            return name
    wrapper = folder / "zig-cc"
    command = f"{shlex.quote(sys.executable)} -m ziglang cc"
    wrapper.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    wrapper.chmod(0o755)
    os.environ["CC"] = str(wrapper)
    os.environ["LDSHARED"] = f"{wrapper} -shared"
    return command


def compile_modules(modules: list[str], out: Path, optimise: str, jobs: int) -> str:
    """Fill `out`; the name of the C compiler.  mypyc ends the process if it refuses."""
    from mypyc.build import mypycify
    from setuptools import Distribution

    out = out.resolve()
    with tempfile.TemporaryDirectory(prefix="callproof-mypyc-") as name:
        folder = Path(name)
        shutil.copytree(
            ROOT / "src/callproof",
            folder / "callproof",
            ignore=shutil.ignore_patterns("__pycache__", "*.so", "*.a"),
        )
        for module in modules:
            path = folder / module
            path.write_text(annotations_quoted(path.read_text()))
        compiler = choose_compiler(folder)
        before = Path.cwd()
        # mypyc takes modules' names and tracebacks' paths from the working folder.
        os.chdir(folder)
        try:
            extensions = mypycify(
                [*MYPY_OPTIONS, *modules],
                opt_level=optimise,
                debug_level="0",
                multi_file=True,
                target_dir=str(folder / "c"),
                group_name="callproof",
            )
            distribution = Distribution({"name": "callproof", "ext_modules": extensions})
            command = distribution.get_command_obj("build_ext")
            command.build_lib = str(out)
            command.build_temp = str(folder / "objects")
            command.parallel = jobs
            command.ensure_finalized()
            command.run()
        finally:
            os.chdir(before)
    return compiler


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--modules", type=Path, default=MODULES)
    parser.add_argument("--copy", action="store_true", help="the Python files too")
    parser.add_argument("--optimise", default="2", choices=("0", "1", "2", "3"))
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    modules = hot_modules(arguments.modules)
    arguments.out.mkdir(parents=True, exist_ok=True)
    if arguments.copy:
        ignored = shutil.ignore_patterns("__pycache__")
        place = arguments.out / "callproof"
        shutil.copytree(ROOT / "src/callproof", place, ignore=ignored, dirs_exist_ok=True)
    compiler = compile_modules(modules, arguments.out, arguments.optimise, arguments.jobs)
    print(f"{len(modules)} modules compiled with {compiler}")


if __name__ == "__main__":
    main()
