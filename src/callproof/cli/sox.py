"""`callproof sox`: the reference implementation's own command line (section 17)."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from callproof import driver
from callproof.cli.output import progress
from callproof.sox import benchmarks
from callproof.target import host

CONTEXT = {
    "allow_extra_args": True,
    "allow_interspersed_args": False,  # so that "--" reaches us
    "ignore_unknown_options": True,
    "help_option_names": [],
}
ARCHITECTURES = {"arm64": "aarch64", "aarch64": "aarch64", "x86_64": "x86_64", "x64": "x86_64"}
SYSTEMS = {"linux": "linux", "macos": "macos", "darwin": "macos", "windows": "windows"}
SYSTEMS["win32"] = "windows"
NOT_OFFERED = ("--wasm", "--wat", "--serialise")
HELP = """\
Usage: callproof sox [-hvt] [FILE] [flags in any order] [-- arguments of the program]

  FILE                 run it
  -h, --help           this text
  -v, --version        the version
  -t, --test [PATH]    run the tests of a file or folder
  --suppress-print     drop what `print` prints
  --native             compile to an executable beside the source, do not run
  --native-out=FILE    its name
  --native-arch=ARCH   arm64, aarch64, x86_64, x64
  --native-os=OS       linux
  --native-obj         stop at the object file
  --native-opt=LEVEL   0, 1, 2 or 3
  --native-debug       show the assembly, too
  --custom-linker      use the built-in linker (as always)
  --bench              run the functions named Benchmark*
  --bench-time=S       seconds for each (default 1)
  --bench-filter=SUB   only those with SUB in their names
"""


@dataclass(slots=True)
class Request:
    """What the words ask for."""

    file: Path | None = None
    arguments: tuple[str, ...] = ()
    help: bool = False
    version: bool = False
    test: bool = False
    suppress_print: bool = False
    native: bool = False
    native_out: Path | None = None
    native_arch: str = ""
    native_os: str = "linux"
    native_obj: bool = False
    native_debug: bool = False
    level: int = 1
    bench: bool = False
    bench_time: str = ""
    bench_filter: str = ""


class WrongUse(Exception):
    """The message; the exit status is 1, or `status`."""

    def __init__(self, message: str, status: int = 1) -> None:
        super().__init__(message)
        self.status = status


def _choice(table: dict[str, str], what: str) -> Callable[[str], str]:
    def choose(text: str) -> str:
        if text not in table:
            raise WrongUse(f"unknown {what} '{text}'; there is {', '.join(table)}")
        return table[text]

    return choose


def _level(text: str) -> int:
    if text not in ("0", "1", "2", "3"):
        raise WrongUse(f"--native-opt takes 0, 1, 2 or 3, not '{text}'")
    return min(int(text), 2)


def seconds(text: str) -> str:
    try:
        good = float(text) > 0
    except ValueError:
        good = False
    if not good:
        raise WrongUse(f"--bench-time takes a number of seconds above 0, not '{text}'")
    return text


# Flag: the field, and what makes a value of the word behind it (None: it takes none).
FLAGS: dict[str, tuple[str, Callable[[str], object] | None]] = {
    "-h": ("help", None),
    "--help": ("help", None),
    "-v": ("version", None),
    "--version": ("version", None),
    "-t": ("test", None),
    "--test": ("test", None),
    "--suppress-print": ("suppress_print", None),
    "--native": ("native", None),
    "--native-out": ("native_out", Path),
    "--native-arch": ("native_arch", _choice(ARCHITECTURES, "architecture")),
    "--native-os": ("native_os", _choice(SYSTEMS, "system")),
    "--native-obj": ("native_obj", None),
    "--native-debug": ("native_debug", None),
    "--native-opt": ("level", _level),
    "--custom-linker": ("", None),
    "--bench": ("bench", None),
    "--bench-time": ("bench_time", seconds),
    "--bench-filter": ("bench_filter", str),
}


def parse(words: list[str]) -> Request:
    """Flags in any order; raises `WrongUse`."""
    request = Request()
    pending = list(words)
    while pending:
        word = pending.pop(0)
        if word == "--":
            request.arguments = tuple(pending)
            break
        if not word.startswith("-") or word == "-":
            if request.file is not None:
                raise WrongUse(f"sox: excess option {word}")
            request.file = Path(word)
            continue
        name, has_value, value = word.partition("=")
        if name in NOT_OFFERED:
            raise WrongUse(f"{name} is not offered: Callproof compiles to native code")
        if name not in FLAGS:
            raise WrongUse(f'sox: invalid option "{word}"')
        field, convert = FLAGS[name]
        if convert is None:
            if has_value:
                raise WrongUse(f"{name} takes no value")
            if field:
                setattr(request, field, True)
            continue
        if not has_value:
            if not pending:
                raise WrongUse(f"{name} needs a value")
            value = pending.pop(0)
        setattr(request, field, convert(value))
    if request.bench_time or request.bench_filter:
        request.bench = True
    request.native |= request.native_out is not None or request.native_obj
    if request.bench and request.native:
        raise WrongUse("--bench cannot be combined with --native", 64)
    return request


def sox(
    context: typer.Context,
    words: Annotated[list[str] | None, typer.Argument(help="FILE and flags.")] = None,
) -> None:
    """Sox with the command line of its reference implementation.

    Its users' scripts need only another first word. `callproof sox --help` lists the flags.
    """
    try:
        status = run(parse([*(words or []), *context.args]))
    except WrongUse as problem:
        print(problem, file=sys.stderr)
        status = problem.status
    raise typer.Exit(status)


def _target(request: Request) -> str:
    """Executables are for ARM64 as `build`'s are, and so is the prompt's emulator; what runs
    at once is for the host."""
    runs = not request.native and (request.file is not None or request.test)
    if runs and not request.native_arch:
        return host()
    return f"{request.native_arch or 'aarch64'}-{request.native_os}"


def run(request: Request) -> int:
    if request.version:
        from callproof import __version__

        print(f"Sox (Callproof {__version__})")
        return 0
    options = driver.Options(
        level=request.level,
        target=_target(request),
        progress=progress,
        sox_bench=request.bench,
    )
    if request.file is None and request.suppress_print and not (request.help or request.test):
        # The reference's way to its prompt: a flag, and no file.
        from callproof.cli.repl import interact

        os.environ["CALLPROOF_SUPPRESS_PRINT"] = "1"
        return interact(options, request.arguments)
    if request.help or (request.file is None and not request.test):
        print(HELP, end="")
        return 0
    if request.test:
        from callproof.cli.test import run_tests

        return run_tests(request.file or Path("."), "text", options)
    assert request.file is not None
    if request.native:
        return _native(request, request.file, options)
    environment = benchmarks.variables(
        request.bench_time, request.bench_filter, suppress=request.suppress_print
    )
    return run_program(request.file, request.arguments, options, environment)


def run_program(
    path: Path, arguments: tuple[str, ...], options: driver.Options, variables: dict[str, str]
) -> int:
    """Compile and run; argv is the program, the script's path, then the arguments."""
    from callproof.run import run as execute

    with tempfile.TemporaryDirectory(prefix="callproof-") as folder:
        executable, _ = driver.build([path], Path(folder) / "program", "exe", options)
        sys.stdout.flush()
        return execute(executable, arguments, environment=variables, name=str(path)).exit_status


def _native(request: Request, path: Path, options: driver.Options) -> int:
    output = request.native_out
    if output is None:
        output = Path(f"{path}.o") if request.native_obj else path.with_suffix("")
    if request.native_debug:
        print(driver.compile_file(path, options).listing(), end="")
    driver.build([path], output, "obj" if request.native_obj else "exe", options)
    print(f"{path} -> {output}")
    return 0
