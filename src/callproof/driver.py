"""The jobs of Callproof as plain functions: compile, build, run, link, show.

The command line and Python programs call these.  They raise `CallproofError` for
everything that a user can mend; they print nothing.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from callproof.files import write_output
from callproof.source import CallproofError, Diagnostic, Diagnostics, Note, SourceFile

if TYPE_CHECKING:
    from callproof.bcpl.options import FrontEndOptions
    from callproof.codegen.backend import Compiled
    from callproof.codegen.target import Target
    from callproof.ir.model import Module
    from callproof.link import Input, LinkOptions
    from callproof.link.layout import Layout
    from callproof.object.model import ObjectFile

Progress = Callable[[str], None]

BCPL_SUFFIXES = (".bcl", ".bcpl", ".b")
SOX_SUFFIX = ".sox"
SOURCE_SUFFIXES = (*BCPL_SUFFIXES, SOX_SUFFIX)
COMPILED_SUFFIXES = (*SOURCE_SUFFIXES, ".ir")
LINK_SUFFIXES = (".o", ".a", ".so", ".dylib", ".tbd")


@dataclass(slots=True)
class Options:
    """What the jobs can be told; the defaults are the command line's.

    level         0, 1 or 2: how much to optimise
    verify        check the IR after every pass and prove every register allocation
    keep          name of a function that is not to be inlined, as it shall be shown
    inlining      put small functions into their callers
    poison        emit code that overwrites what calls may change
    print_after   name of a pass after which each function is shown through `show`
    timings       seconds by stage, filled in
    linker        'builtin', or 'system' for an installed cross linker
    include       folders where GET looks for headers
    bounds_check  have programs test their indices
    warnings_are_errors   refuse a program of which anything is warned
    module_path   folders where Sox's imports look last
    sox_test      the test of a Sox program that runs instead of its `main`
    sox_bench     run a Sox program's benchmarks behind its `main`
    comments      listings of what is compiled will be wanted, with their remarks
    debug         describe variables, types and frames to debuggers (lines always are); at
                  level 0 variables are then kept in memory
    log           is told, for each call site of a Sox program, how it is called
    link          how what is built is linked: position-independent, dynamically
    cache         keep compiled functions for the next time, and use those that are kept; not
                  with `verify`, `print_after`, `debug` (the command line's builds do so)
    jobs          processes that compile at once; 0 as many as is of use (so does the
                  command line)
    libraries     names of libraries (`-l`) to link it with, from these folders (`-L`)
    """

    level: int = 1
    target: str = "aarch64-linux"
    verify: bool = False
    keep: str = ""
    inlining: bool = True
    poison: bool = False
    print_after: str = ""
    show: Callable[[str], None] | None = None
    timings: dict[str, float] | None = None
    linker: str = "builtin"
    include: tuple[Path, ...] = ()
    bounds_check: bool = False
    warnings_are_errors: bool = False
    module_path: tuple[str, ...] = ()
    sox_test: str = ""
    sox_bench: bool = False
    comments: bool = True
    debug: bool = False
    log: Callable[[str], None] | None = None
    progress: Progress | None = None
    link: LinkOptions | None = None
    cache: bool = False
    jobs: int = 1
    libraries: tuple[str, ...] = ()
    library_path: tuple[Path, ...] = ()


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

    def _header(self, name: str) -> SourceFile | None:
        """The other file that a function stands in: a header that the source GETs."""
        if name in ("", self.source.name) or not Path(name).is_file():
            return None
        return SourceFile.read(name)

    def listing(self, function: str = "") -> str:
        """Commented assembly: everything, or the functions of that (display or symbol) name."""
        from callproof.codegen.listing import Listing

        listing = Listing(self.source, self.target.assembly, self._header)
        found = False
        for number, emitted in enumerate(self.compiled.functions):
            if function and function not in (emitted.display_name, emitted.name):
                continue
            found = True
            lowered = self.module.functions[emitted.name]
            header = self._header(lowered.source_name)
            listing.function(emitted, number, exported=lowered.exported, source=header)
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
    """Source text (NewBCPL, Sox, or IR text in `.ir`) to an unoptimised module, and warnings.

    Raises `CallproofError` with all errors found.
    """
    (source,), (module,), warnings = front_ends([path], options)
    return source, module, warnings


def front_ends(
    paths: Sequence[Path], options: Options
) -> tuple[list[SourceFile], list[Module], list[Diagnostic]]:
    """The sources of one program, and an unoptimised module for each; warnings.

    NewBCPL sources see each other's declarations.  Raises `CallproofError` with all
    errors found.
    """
    start = time.perf_counter()
    for path in paths:
        if path.suffix not in COMPILED_SUFFIXES:
            raise CallproofError(
                f"{path}: what language is '{path.suffix or path.name}'? "
                f"Source files end in {', '.join((*SOURCE_SUFFIXES, '.ir'))}"
            )
    diagnostics = Diagnostics()
    if any(path.suffix == SOX_SUFFIX for path in paths):
        if len(paths) > 1:
            raise CallproofError(
                "a Sox program is given by its one script, which imports the others"
            )
        from callproof.ir.debug import DebugModule
        from callproof.sox.frontend import load
        from callproof.sox.lower import lower
        from callproof.sox.modules import SearchPlaces

        places = SearchPlaces(folders=options.module_path)
        program = load(paths[0], places, diagnostics)
        sources = [program.script.source]
        debug = DebugModule("sox", options.level == 0) if options.debug else None
        found = [lower(program, options.sox_test, options.sox_bench, options.log, debug)]
    else:
        sources = [SourceFile.read(path) for path in paths]
        found = _bcpl_and_ir(sources, diagnostics, options)
    if options.warnings_are_errors and diagnostics.found:
        raise CallproofError(
            replace(one, severity="error", message=f"{one.message} (--werror)")
            for one in diagnostics.found
        )
    _timed(options, "front end", start)
    for path, module in zip(paths, found, strict=True):
        if options.verify or path.suffix == ".ir":
            verify_module(module, options)
    return sources, found, diagnostics.found


def _bcpl_and_ir(
    sources: list[SourceFile], diagnostics: Diagnostics, options: Options
) -> list[Module]:
    """A module for each source; those in NewBCPL are one program."""
    modules: dict[SourceFile, Module] = {}
    together = [source for source in sources if not source.name.endswith(".ir")]
    if together:
        from callproof.bcpl.frontend import compile_modules

        found = compile_modules(together, diagnostics, _front_end_options(options))
        modules.update(zip(together, found, strict=True))
    for source in sources:
        if source not in modules:
            from callproof.ir.parse import parse_module

            modules[source] = parse_module(source.text, source.name)
    return [modules[source] for source in sources]


def _front_end_options(options: Options) -> FrontEndOptions:
    from callproof.bcpl.options import FrontEndOptions

    return FrontEndOptions(options.include, options.bounds_check, options.debug, options.level == 0)


def verify_module(module: Module, options: Options) -> None:
    from callproof.ir.verify import verify

    start = time.perf_counter()
    verify(module)
    _timed(options, "verify IR", start)


def optimise(module: Module, options: Options) -> None:
    """Run the passes of the chosen level over a module, in place."""
    from callproof.passes.pipeline import optimise as run_passes

    if options.keep:
        module.kept |= {
            name
            for name, function in module.functions.items()
            if options.keep in (name, function.display_name)
        }

    run_passes(
        module,
        options.level,
        print_after=options.print_after or None,
        show=options.show,
        verify_each=options.verify,
        inlining=options.inlining,
        timings=options.timings,
    )


def compile_file(path: Path, options: Options) -> Compilation:
    """Source file to machine code.  Raises `CallproofError` with all errors found."""
    (compilation,) = compile_files([path], options)
    return compilation


@contextmanager
def _without_collections() -> Iterator[None]:
    """Python's cycle collector rests: what a compilation makes is needed until its end, so
    that looking for garbage in it takes a tenth of the time and finds next to nothing."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def compile_files(paths: Sequence[Path], options: Options) -> list[Compilation]:
    """The sources of one program to machine code, each by itself; the warnings are the first's.

    Raises `CallproofError` with all errors found.
    """
    from callproof.codegen.backend import compile_module
    from callproof.target import by_name

    if options.cache:
        from callproof.kept_code import cache_for
    target = by_name(options.target)
    found = []
    with _without_collections():
        sources, modules, warnings = front_ends(paths, options)
        for source, module in zip(sources, modules, strict=True):
            optimise(module, options)
            compiled = compile_module(
                module,
                target,
                verify=options.verify,
                poison=options.poison,
                timings=options.timings,
                comments=options.comments,
                cache=cache_for(source, module, target, options) if options.cache else None,
                jobs=options.jobs,
            )
            found.append(Compilation(source, module, target, compiled, warnings))
            warnings = []
    return found


def link_inputs(
    inputs: Sequence[Input],
    output: Path,
    options: Options,
    *,
    runtime: bool = True,
    origins: dict[str, Note] | None = None,
    choices: LinkOptions | None = None,
) -> Layout | None:
    """Link objects and archives, with the runtime and musl, into an executable file.

    `origins`: what to add to the message that a name is defined nowhere.  Gives what the
    builtin linker made of it (nothing, for macOS).
    """
    from callproof import link
    from callproof.linked_with import link_for_macos, with_runtime

    start = time.perf_counter()
    if options.target.endswith("-macos"):
        link_for_macos(
            inputs, output, options, runtime=runtime, origins=origins or {}, choices=choices
        )
        _timed(options, "link", start)
        return None
    files = with_runtime(inputs, options, choices) if runtime else list(inputs)
    if runtime and choices is not None and choices.ordered:
        # Ours and musl's refer to each other.
        count = len(inputs) + 1
        archives = [item for item in files[count:] if isinstance(item, Path)]
        files[count:] = [link.ArchiveGroup(tuple(archives))]
    _timed(options, "find runtime", start)
    start = time.perf_counter()
    layout = None
    if options.linker == "system":
        if choices is not None and choices != link.LinkOptions():
            raise CallproofError("these options are the builtin linker's, not --linker system's")
        from callproof.system_linker import link_with_system

        link_with_system(files, output, options.target)
    elif options.linker == "builtin":
        choices = choices or link.LinkOptions()
        choices.origins = origins or {}
        # Of the runtime too: through its functions a debugger has to get to their callers.
        choices.eh_frame_hdr |= options.debug
        with _without_collections():
            layout = link.link(files, output, choices)
    else:
        raise CallproofError(f"unknown linker '{options.linker}'; there are builtin and system")
    _timed(options, "link", start)
    return layout


def is_link_input(path: Path) -> bool:
    """Whether a file is to be linked and not compiled, by its name."""
    from callproof.link.search import names_shared_library

    return path.suffix in LINK_SUFFIXES or names_shared_library(path)


def _hide(files: Sequence[Path | ObjectFile]) -> None:
    """A program's routines are its own: none that is called `write` is to be libraries' `write`."""
    from callproof.object.model import ObjectFile

    for file in files:
        if isinstance(file, ObjectFile):
            for symbol in file.symbols:
                if symbol.is_defined and symbol.binding != "local":
                    symbol.visibility = "hidden"


EMIT_SUFFIX = {"exe": "", "obj": ".o", "asm": ".s", "ir": ".ir"}


def build(
    inputs: Sequence[Path], output: Path | None, emit: str, options: Options
) -> tuple[Path, list[Diagnostic]]:
    """Compile sources (and link them with objects and archives); the file written, warnings."""
    with _without_collections():
        return _build(inputs, output, emit, options)


def _build(
    inputs: Sequence[Path], output: Path | None, emit: str, options: Options
) -> tuple[Path, list[Diagnostic]]:
    sources = [path for path in inputs if not is_link_input(path)]
    others = [path for path in inputs if is_link_input(path)]
    if not sources:
        raise CallproofError(
            "build takes at least one source file; callproof link takes objects and archives alone"
        )
    if emit not in EMIT_SUFFIX:
        raise CallproofError(f"--emit {emit}: there is {', '.join(EMIT_SUFFIX)}")
    source = sources[0]
    if output is None:
        output = Path(source.stem + EMIT_SUFFIX[emit])
    if output.resolve() in {path.resolve() for path in inputs}:
        raise CallproofError(f"the output {output} would overwrite an input")
    if emit != "exe" and (others or len(sources) > 1):
        raise CallproofError(f"--emit {emit} makes no use of {[*sources[1:], *others][0]}")
    if emit == "obj" and options.target.endswith("-windows"):
        raise CallproofError(f"objects for {options.target} cannot be written yet, only assembly")
    if emit == "ir":
        from callproof.ir.text import print_module

        _, module, warnings = front_end(source, options)
        optimise(module, options)
        write_output(output, print_module(module).encode())
        return output, warnings
    compilations = compile_files(sources, replace(options, comments=emit == "asm"))
    if emit == "asm":
        write_output(output, compilations[0].listing().encode())
    elif emit == "obj":
        from callproof.object import write_elf, write_macho

        write = write_macho if options.target.endswith("-macos") else write_elf
        write_output(output, write(compilations[0].object_file()))
    else:
        objects: list[Path | ObjectFile] = [one.object_file() for one in compilations]
        origins: dict[str, Note] = {}
        for one in compilations:
            origins.update(one.module.origins)
        choices = options.link
        if choices is not None and choices.dynamic and not choices.export_dynamic:
            _hide(objects)
        from callproof.linked_with import followed, named_libraries

        files = [*objects, *followed(others, options), *named_libraries(options)]
        link_inputs(files, output, options, origins=origins, choices=choices)
    return output, compilations[0].warnings


def is_executable_file(path: Path) -> bool:
    """Whether a file is an ELF or Mach-O image (to be run as it is) rather than a source."""
    if path.suffix == SOX_SUFFIX:
        return False  # its front end says in its own way that it is not there
    try:
        with path.open("rb") as stream:
            return stream.read(4) in (b"\x7fELF", b"\xcf\xfa\xed\xfe")
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


def target_for_run(others: Sequence[Path], on: str = "") -> str:
    """What `run` compiles for where nobody says it: the machine of the objects that the program
    is linked with; ARM64 for qemu; else the host's."""
    from callproof.link.loading import load as load_object
    from callproof.object.archive import Archive
    from callproof.target import ARM64, NAMES, host

    for path in others:
        file = load_object(path)
        if isinstance(file, Archive):
            offset = next(iter(file.index.values()), None)
            if offset is None:
                continue
            file = file.member(offset)
        name = f"{file.machine}-linux"
        return name if name in NAMES else host()
    return ARM64[0] if on == "qemu" else host()


def split_run_arguments(path: Path, arguments: Sequence[str]) -> tuple[list[Path], list[str]]:
    """What follows a program on the command line: files to link it with, its own arguments.

    Files are the .o and .a directly behind a source; a "--" behind them is taken away.
    """
    count = 0
    if path.suffix in COMPILED_SUFFIXES:
        while count < len(arguments) and is_link_input(Path(arguments[count])):
            count += 1
    rest = list(arguments[count:])
    if count and rest[:1] == ["--"]:
        del rest[0]
    return [Path(one) for one in arguments[:count]], rest
