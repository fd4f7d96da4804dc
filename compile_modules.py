"""Compile the hot modules of `hot_modules.txt` with mypyc, into a folder of their own.

    python compile_modules.py OUT [--modules FILE] [--copy] [--work FOLDER]

OUT gets the extension modules as they lie beside `callproof`'s Python files; the Python
files stay what runs where they are absent.  With `--copy` OUT gets the Python files too,
so that `PYTHONPATH=OUT` is a whole compiled Callproof (`benchmarks/`, tests).  With
`--work` a second run only compiles what has changed.

The C compiler is $CC, or `cc`, `gcc` or `clang`, or else Clang from `ziglang`.  Exit status
1 with the reason on standard error if anything fails; then OUT holds nothing to be used.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from native_sources import native_sources

ROOT = Path(__file__).resolve().parent
MODULES = ROOT / "hot_modules.txt"
COMPILERS = ("cc", "gcc", "clang")
# Types are checked anew here, as mypyc compiles by them, but what is imported from others
# (numpy, rich) may be absent where a wheel is built.
# `misc`: the methods of frozen dataclasses are written out, and set their fields.
MYPY_OPTIONS = [
    "--explicit-package-bases",
    "--ignore-missing-imports",
    "--no-warn-unused-configs",
    "--disable-error-code=misc",
]
# Our functions call each other without a detour, and their names need not be in the wheel.
LINK_OPTIONS = "-shared -Wl,-Bsymbolic -Wl,-s" if sys.platform == "linux" else "-shared"


def hot_modules(listed: Path = MODULES) -> list[str]:
    """Paths below `src`, sorted: what the lines' patterns match but for those behind a "!".

    `#` begins a comment.  Raises `ValueError` for a pattern that matches nothing.
    """
    found: set[str] = set()
    for line in listed.read_text().splitlines():
        pattern = line.partition("#")[0].strip()
        if not pattern:
            continue
        left_out = pattern.startswith("!")
        paths = (ROOT / "src").glob(pattern.removeprefix("!"))
        names = {path.relative_to(ROOT / "src").as_posix() for path in paths}
        if not names or (left_out and not names & found):
            raise ValueError(f"{listed}: '{pattern}' matches nothing")
        found = found - names if left_out else found | names
    return sorted(found)


def choose_compiler(folder: Path) -> str:
    """The C compiler's name, having told distutils; a wrapper in `folder` if it is Zig's."""
    for name in [os.environ.get("CC", ""), *COMPILERS]:
        if name and shutil.which(shlex.split(name)[0]):
            os.environ["CC"] = name
            os.environ.setdefault("LDSHARED", f"{name} {LINK_OPTIONS}")
            return name
    wrapper = folder / "zig-cc"
    command = f"{shlex.quote(sys.executable)} -m ziglang cc"
    wrapper.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    wrapper.chmod(0o755)
    os.environ["CC"] = str(wrapper)
    os.environ["LDSHARED"] = f"{wrapper} {LINK_OPTIONS}"
    return command


# What the shims use of <Python.h>, which takes most of the time of compiling one.
LIGHT = """\
#include <stddef.h>
typedef struct _object PyObject;
PyObject *Py_BuildValue(const char *, ...);
PyObject *PyImport_ImportModuleLevel(const char *, PyObject *, PyObject *, PyObject *, int);
PyObject *PyObject_GetAttrString(PyObject *, const char *);
void *PyCapsule_GetPointer(PyObject *, const char *);
void PyErr_Clear(void);
void Py_DecRef(PyObject *);
#define Py_DECREF(object) Py_DecRef(object)
#define PyMODINIT_FUNC __attribute__((visibility("default"))) PyObject *
"""
USED = frozenset(re.findall(r"(\w+)\(", LIGHT))


def make_light(sources: Sequence[str]) -> None:
    """Let mypyc's shim (what makes a module of a part of the one library) do without <Python.h>."""
    path = Path(sources[0])
    if len(sources) != 1 or os.name != "posix":
        return
    text = path.read_text()
    head = "#include <Python.h>\n"
    code = re.sub(r"//.*", "", text)
    if text.startswith(head) and set(re.findall(r"\b_?Py\w+(?=\()", code)) <= {
        *USED,
        *re.findall(r"\bPyInit_\w+", code),
    }:
        path.write_text(LIGHT + text.removeprefix(head))


@contextlib.contextmanager
def compiling_at_once(jobs: int) -> Iterator[None]:
    """Files of one extension are compiled in parallel (by itself distutils does so only with
    whole extensions, and nearly all is in one), and not again if nothing has changed."""
    from distutils.ccompiler import CCompiler

    patched: Any = CCompiler
    usual = patched.compile

    def compile_all(self: Any, sources: Sequence[str], *arguments: Any, **named: Any) -> list[str]:
        headers = [path.stat().st_mtime for path in Path("c").rglob("*.h")]
        newest = max(headers, default=0.0)

        def one(source: str) -> str:
            found = Path(named["output_dir"], Path(source).with_suffix(".o").as_posix().lstrip("/"))
            changed = max(newest, Path(source).stat().st_mtime)
            if found.exists() and found.stat().st_mtime > changed:
                return str(found)
            (made,) = usual(self, [source], *arguments, **named)
            return str(made)

        with ThreadPoolExecutor(jobs) as pool:
            return list(pool.map(one, sources))

    patched.compile = compile_all
    try:
        yield
    finally:
        patched.compile = usual


def copy_sources(modules: list[str], folder: Path) -> None:
    """Callproof's Python files into `folder`, as mypyc shall see them; those that are there
    already and the same are left alone, so that what was made of them need not be anew."""
    every = sorted((ROOT / "src/callproof").rglob("*.py"))
    texts = {path.relative_to(ROOT / "src").as_posix(): path.read_text() for path in every}
    texts |= native_sources({name: texts[name] for name in modules})
    for name, text in texts.items():
        place = folder / name
        if not place.exists() or place.read_text() != text:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)


def compile_modules(modules: list[str], out: Path, folder: Path, optimise: str, jobs: int) -> str:
    """Fill `out`, working in `folder`; the name of the C compiler.  mypyc ends the process if
    it refuses."""
    from mypyc.build import mypycify
    from setuptools import Distribution

    out, folder = out.resolve(), folder.resolve()
    copy_sources(modules, folder)
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
        for extension in extensions:
            make_light(extension.sources)
        command = distribution.get_command_obj("build_ext")
        command.build_lib = str(out)
        command.build_temp = str(folder / "objects")
        command.parallel = jobs
        command.ensure_finalized()
        with compiling_at_once(jobs):
            command.run()
    finally:
        os.chdir(before)
    return compiler


def check_imports(modules: list[str], out: Path, folder: Path) -> None:
    """Load every compiled module in a process of its own.  Ends the process if one fails."""
    whole = folder / "whole"
    shutil.rmtree(whole, ignore_errors=True)
    ignored = shutil.ignore_patterns("__pycache__", "*.a")
    shutil.copytree(ROOT / "src/callproof", whole / "callproof", ignore=ignored)
    shutil.copytree(out, whole, dirs_exist_ok=True)
    names = [module.removesuffix(".py").replace("/", ".") for module in modules]
    program = f"""
from importlib import import_module
for name in {names}:
    assert import_module(name).__file__.endswith((".so", ".pyd")), name
"""
    environment = {**os.environ, "PYTHONPATH": str(whole)}
    words = [sys.executable, "-c", program]
    done = subprocess.run(words, env=environment, cwd=whole, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"what was compiled cannot be loaded: {done.stderr.strip().splitlines()[-1]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--modules", type=Path, default=MODULES)
    parser.add_argument("--copy", action="store_true", help="the Python files too")
    parser.add_argument("--optimise", default="2", choices=("0", "1", "2", "3"))
    parser.add_argument("--work", type=Path, help="work here, and use what is here already")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    modules = hot_modules(arguments.modules)
    arguments.out.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        folder = arguments.work
        if folder is None:
            name = stack.enter_context(tempfile.TemporaryDirectory(prefix="callproof-mypyc-"))
            folder = Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        compiler = compile_modules(
            modules, arguments.out, folder, arguments.optimise, arguments.jobs
        )
        check_imports(modules, arguments.out, folder)
    if arguments.copy:
        ignored = shutil.ignore_patterns("__pycache__")
        place = arguments.out / "callproof"
        shutil.copytree(ROOT / "src/callproof", place, ignore=ignored, dirs_exist_ok=True)
    print(f"{len(modules)} modules compiled with {compiler}")


if __name__ == "__main__":
    main()
