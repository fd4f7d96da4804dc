"""The jobs of Callproof as plain functions: compile, build, run, link, show.

The command line and Python programs call these.  They raise `CallproofError` for
everything that a user can mend; they print nothing.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from callproof.files import write_output
from callproof.source import CallproofError, Diagnostic, Diagnostics, Note, SourceFile

if TYPE_CHECKING:
    from callproof.bcpl.options import FrontEndOptions
    from callproof.codegen.backend import Compiled
    from callproof.codegen.target import Target
    from callproof.ir.model import Module
    from callproof.object.model import ObjectFile

Progress = Callable[[str], None]

SOURCE_SUFFIXES = (".bcl", ".bcpl", ".b")
LINK_SUFFIXES = (".o", ".a")


@dataclass(slots=True)
class Options:
    """What the jobs can be told; the defaults are the command line's.

    level         0, 1 or 2: how much to optimise
    verify        check the IR after every pass and prove every register allocation
    poison        emit code that overwrites what calls may change
    print_after   name of a pass after which each function is shown through `show`
    timings       seconds by stage, filled in
    linker        'builtin', or 'system' for an installed cross linker
    include       folders where GET looks for headers
    bounds_check  have programs test their indices
    """

    level: int = 1
    target: str = "aarch64-linux"
    verify: bool = False
    poison: bool = False
    print_after: str = ""
    show: Callable[[str], None] | None = None
    timings: dict[str, float] | None = None
    linker: str = "builtin"
    include: tuple[Path, ...] = ()
    bounds_check: bool = False
    progress: Progress | None = None


@dataclass(slots=True)
class Compilation:
    """What one source file became; `warnings` are the messages that did not stop it."""

    source: SourceFile
    module: Module
    target: Target
    compiled: Compiled
    warnings: list[Diagnostic] = field(default_factory=list)

    def object_file(self) -> ObjectFile:
        from callproof.codegen.objects import build_object

        return build_object(
            self.module,
            self.compiled.functions,
            self.compiled.pool,
            self.target,
            self.source.name,
        )

    def listing(self, function: str = "") -> str:
        """Commented assembly: everything, or the functions of that (display or symbol) name."""
        from callproof.codegen.listing import Listing

        listing = Listing(self.source)
        found = False
        for number, emitted in enumerate(self.compiled.functions):
            if function and function not in (emitted.display_name, emitted.name):
                continue
            found = True
            exported = self.module.functions[emitted.name].exported
            listing.function(emitted, number, exported=exported)
        if function and not found:
            names = sorted(emitted.display_name for emitted in self.compiled.functions)
            raise CallproofError(
                f"{self.source.name} has no function '{function}'{_closest(function, names)}"
            )
        if not function:
            listing.data(self.module)
            listing.pool(self.compiled.pool)
        return listing.text()


def _closest(name: str, names: Sequence[str]) -> str:
    from difflib import get_close_matches

    close = get_close_matches(name, names, n=1)
    return f"; did you mean '{close[0]}'?" if close else ""


def _timed(options: Options, stage: str, start: float) -> None:
    if options.timings is not None:
        spent = time.perf_counter() - start
        options.timings[stage] = options.timings.get(stage, 0.0) + spent


def front_end(path: Path, options: Options) -> tuple[SourceFile, Module, list[Diagnostic]]:
    """Source text (NewBCPL, or IR text in `.ir`) to an unoptimised module, and warnings.

    Raises `CallproofError` with all errors found.
    """
    start = time.perf_counter()
    source = SourceFile.read(path)
    diagnostics = Diagnostics()
    if path.suffix == ".ir":
        from callproof.ir.text import parse_module

        module = parse_module(source.text, source.name)
    elif path.suffix in SOURCE_SUFFIXES:
        from callproof.bcpl.frontend import compile_to_ir

        module = compile_to_ir(source, diagnostics, _front_end_options(options))
    else:
        raise CallproofError(
            f"{path}: what language is '{path.suffix or path.name}'? "
            f"Source files end in {', '.join((*SOURCE_SUFFIXES, '.ir'))}"
        )
    _timed(options, "front end", start)
    if options.verify or path.suffix == ".ir":
        verify_module(module, options)
    return source, module, diagnostics.found


def _front_end_options(options: Options) -> FrontEndOptions:
    from callproof.bcpl.options import FrontEndOptions

    return FrontEndOptions(options.include, options.bounds_check)


def verify_module(module: Module, options: Options) -> None:
    from callproof.ir.verify import verify

    start = time.perf_counter()
    verify(module)
    _timed(options, "verify IR", start)


def optimise(module: Module, options: Options) -> None:
    """Run the passes of the chosen level over a module, in place."""
    from callproof.passes.pipeline import optimise as run_passes

    run_passes(
        module,
        options.level,
        print_after=options.print_after or None,
        show=options.show,
        verify_each=options.verify,
        timings=options.timings,
    )


def compile_file(path: Path, options: Options) -> Compilation:
    """Source file to machine code.  Raises `CallproofError` with all errors found."""
    from callproof.codegen.backend import compile_module
    from callproof.target import by_name

    target = by_name(options.target)
    source, module, warnings = front_end(path, options)
    optimise(module, options)
    compiled = compile_module(
        module, target, verify=options.verify, poison=options.poison, timings=options.timings
    )
    return Compilation(source, module, target, compiled, warnings)


def link_inputs(
    inputs: Sequence[Path | ObjectFile],
    output: Path,
    options: Options,
    *,
    runtime: bool = True,
    origins: dict[str, Note] | None = None,
) -> None:
    """Link objects and archives, with the runtime and musl, into an executable file.

    `origins`: what to add to the message that a name is defined nowhere.
    """
    from callproof import link
    from callproof.runtime import runtime_files

    start = time.perf_counter()
    files: list[Path | ObjectFile] = list(inputs)
    if runtime:
        provided = runtime_files(options.target, progress=options.progress)
        files = [provided.crt1, *files, *provided.libraries.values()]
        files += [provided.libc, provided.compiler_rt]
    _timed(options, "find runtime", start)
    start = time.perf_counter()
    if options.linker == "system":
        _link_with_system(files, output, options)
    elif options.linker == "builtin":
        link.link(files, output, link.LinkOptions(origins=origins or {}))
    else:
        raise CallproofError(f"unknown linker '{options.linker}'; there are builtin and system")
    _timed(options, "link", start)


SYSTEM_LINKERS = {
    "aarch64-linux": ("aarch64-linux-gnu-ld", "aarch64-linux-musl-ld", "ld.lld"),
}


def _link_with_system(files: Sequence[Path | ObjectFile], output: Path, options: Options) -> None:
    import shutil
    import subprocess

    from callproof.object import write_elf

    names = SYSTEM_LINKERS[options.target]
    linker = next((found for name in names if (found := shutil.which(name))), None)
    if linker is None:
        raise CallproofError(f"--linker system: none of {', '.join(names)} is installed")
    with tempfile.TemporaryDirectory(prefix="callproof-") as folder:
        paths = []
        for index, item in enumerate(files):
            if isinstance(item, Path):
                paths.append(str(item))
                continue
            path = Path(folder) / f"input{index}.o"
            path.write_bytes(write_elf(item))
            paths.append(str(path))
        result = Path(folder) / "a.out"
        command = [linker, "-static", "--gc-sections", "-o", str(result)]
        done = subprocess.run([*command, *paths], capture_output=True, text=True, check=False)
        if done.returncode:
            raise CallproofError(f"{linker} failed:\n{done.stderr.strip()}")
        write_output(output, result.read_bytes(), executable=True)


EMIT_SUFFIX = {"exe": "", "obj": ".o", "asm": ".s", "ir": ".ir"}


def build(
    inputs: Sequence[Path], output: Path | None, emit: str, options: Options
) -> tuple[Path, list[Diagnostic]]:
    """Compile one source (and link it with objects and archives); the file written, warnings."""
    sources = [path for path in inputs if path.suffix not in LINK_SUFFIXES]
    others = [path for path in inputs if path.suffix in LINK_SUFFIXES]
    if len(sources) != 1:
        raise CallproofError(
            f"build takes one source file (and any number of .o and .a files), not {len(sources)}; "
            "compiling several modules separately is not supported yet"
        )
    if emit not in EMIT_SUFFIX:
        raise CallproofError(f"--emit {emit}: there is {', '.join(EMIT_SUFFIX)}")
    source = sources[0]
    if output is None:
        output = Path(source.stem + EMIT_SUFFIX[emit])
    if output.resolve() in {path.resolve() for path in inputs}:
        raise CallproofError(f"the output {output} would overwrite an input")
    if emit != "exe" and others:
        raise CallproofError(f"--emit {emit} makes no use of {others[0]}")
    if emit == "ir":
        from callproof.ir.text import print_module

        _, module, warnings = front_end(source, options)
        optimise(module, options)
        write_output(output, print_module(module).encode())
        return output, warnings
    compilation = compile_file(source, options)
    if emit == "asm":
        write_output(output, compilation.listing().encode())
    elif emit == "obj":
        from callproof.object import write_elf

        write_output(output, write_elf(compilation.object_file()))
    else:
        objects: list[Path | ObjectFile] = [compilation.object_file(), *others]
        link_inputs(objects, output, options, origins=compilation.module.origins)
    return output, compilation.warnings


def is_executable_file(path: Path) -> bool:
    """Whether a file is an ELF image (to be run as it is) rather than a source."""
    try:
        with path.open("rb") as stream:
            return stream.read(4) == b"\x7fELF"
    except OSError as error:
        raise CallproofError(f"cannot read {path}: {error.strerror or error}") from error


def build_for_run(
    path: Path, options: Options, folder: Path, others: Sequence[Path] = ()
) -> tuple[Path, list[Diagnostic]]:
    """An executable to run: the file itself if it is one, else built into `folder`.

    A source is linked with the `others`, objects and archives.
    """
    if is_executable_file(path):
        return path, []
    return build([path, *others], folder / (path.stem or "program"), "exe", options)


def split_run_arguments(path: Path, arguments: Sequence[str]) -> tuple[list[Path], list[str]]:
    """What follows a program on the command line: files to link it with, its own arguments.

    Files are the .o and .a directly behind a source; a "--" behind them is taken away.
    """
    count = 0
    if path.suffix in (*SOURCE_SUFFIXES, ".ir"):
        while count < len(arguments) and Path(arguments[count]).suffix in LINK_SUFFIXES:
            count += 1
    rest = list(arguments[count:])
    if count and rest[:1] == ["--"]:
        del rest[0]
    return [Path(one) for one in arguments[:count]], rest
