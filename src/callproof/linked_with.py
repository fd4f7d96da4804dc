"""What a program is linked with besides itself: start code, runtimes, libraries by name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from callproof.source import CallproofError, Note

if TYPE_CHECKING:
    from callproof.driver import Options
    from callproof.link import Input, LinkOptions


def with_runtime(
    inputs: Sequence[Input], options: Options, choices: LinkOptions | None = None
) -> list[Input]:
    """The inputs of a link, and what every program of the target is linked with.

    Raises `CallproofError` where a dynamic link does not find the system's C library.
    """
    from callproof.runtime import gnu_files, runtime_files

    provided = runtime_files(options.target, progress=options.progress)
    is_pie = choices is not None and choices.pie
    start = provided.rcrt1 if is_pie else provided.crt1
    archives = provided.libraries
    languages = _languages(inputs, archives)
    found: list[Input] = [provided.libc]
    if choices is not None and choices.dynamic:
        gnu = gnu_files(options.target, progress=options.progress)
        start, archives = gnu.start, gnu.libraries
        found = system_libraries(options)
    return [
        start,
        *inputs,
        *(archives[name] for name in languages),
        *found,
        provided.compiler_rt,
    ]


# Fields of `LinkOptions` that say something about ELF programs only, with the option.
LINUX_ONLY = {
    "pie": "--pie (all programs for macOS are)",
    "dynamic": "--dynamic (all programs for macOS are)",
    "build_id": "--build-id (there is a UUID)",
    "relr": "--relr",
    "eh_frame_hdr": "--eh-frame-hdr",
    "relro": "--relro",
    "exec_stack": "--exec-stack",
}


def link_for_macos(
    inputs: Sequence[Input],
    output: Path,
    options: Options,
    *,
    runtime: bool,
    origins: dict[str, Note],
    choices: LinkOptions | None,
) -> None:
    """Link Mach-O objects and archives, with our runtime, into an executable for macOS.

    Raises `CallproofError` for what cannot be linked and for options that are Linux's.
    """
    from callproof.link import LinkOptions
    from callproof.link.macho import link_macho
    from callproof.runtime import macos_files

    if options.linker != "builtin":
        raise CallproofError(f"--linker {options.linker}: programs for macOS have the builtin one")
    choices = choices or LinkOptions()
    for name, shown in LINUX_ONLY.items():
        if getattr(choices, name):
            raise CallproofError(f"{shown} is of use for Linux only")
    if choices.icf != "none":
        raise CallproofError("--icf is of use for Linux only")
    provided = macos_files(options.target, progress=options.progress)
    names = frozenset(provided.system.read_text(encoding="utf-8").split())
    choices = replace(
        choices,
        entry="main" if choices.entry == "_start" else choices.entry,
        format="mach-o",
        system_names=names,
        origins=origins,
    )
    files = list(inputs)
    if runtime:
        files += [provided.libraries[name] for name in _languages(inputs, provided.libraries)]
    link_macho(files, output, choices)


def machine_of(options: Options) -> str:
    """The machine as objects name it."""
    return options.target.partition("-")[0]


def system_libraries(options: Options) -> list[Input]:
    """The system's C library, and that of mathematics if it is used."""
    from callproof.link import AsNeeded
    from callproof.link.search import find_shared, system_folders

    machine = machine_of(options)
    folders = [*options.library_path, *system_folders(machine)]
    found: list[Input] = []
    for item in find_shared("m", folders, machine):
        found.append(item if isinstance(item, AsNeeded) else AsNeeded(item))
    found += find_shared("c", folders, machine)
    return found


def followed(paths: Sequence[Path], options: Options) -> list[Input]:
    """Files to link with; in a dynamic link scripts give the files that they name."""
    from callproof.link.search import follow, system_folders

    if options.link is None or not options.link.dynamic:
        return list(paths)
    machine = machine_of(options)
    folders = [*options.library_path, *system_folders(machine)]
    return [item for path in paths for item in follow(path, folders, machine)]


def named_libraries(options: Options) -> list[Input]:
    """What `-l` names; shared libraries if the link is dynamic."""
    from callproof.link.inputs import find_library, is_in_libc
    from callproof.link.macho_libraries import find_library as find_darwins
    from callproof.link.search import find_shared, system_folders

    found: list[Input] = []
    for name in options.libraries:
        if options.link is not None and options.link.dynamic:
            machine = machine_of(options)
            folders = [*options.library_path, *system_folders(machine)]
            found += find_shared(name, folders, machine)
            continue
        if is_in_libc(name, options.library_path):
            continue
        path = None
        if options.target.endswith("-macos"):
            path = find_darwins(name, options.library_path)
        found.append(path or find_library(name, options.library_path))
    return found


def _languages(inputs: Sequence[Input], libraries: Iterable[str]) -> list[str]:
    """The order of the languages' archives: the first that has a `main` is the program's."""
    first = "sox" if any(map(_is_sox, inputs)) else "bcpl"
    return sorted(libraries, key=lambda name: name != first)


def _is_sox(file: Input) -> bool:
    """Whether a file has a Sox program's top level."""
    from callproof.link.inputs import ArchiveGroup, AsNeeded, WholeArchive
    from callproof.link.loading import load as load_object
    from callproof.link.loading import mentions
    from callproof.object.model import ObjectFile

    if isinstance(file, ArchiveGroup):
        return any(map(_is_sox, file.inputs))
    if isinstance(file, WholeArchive | AsNeeded):
        return False
    if not isinstance(file, ObjectFile):
        if file.suffix != ".o" or not mentions(file, b"sox_script"):
            return False
        found = load_object(file, is_darwin=True)  # the linker says what does not fit
        if not isinstance(found, ObjectFile):
            return False
        file = found
    return any(one.name == "sox_script" and one.section is not None for one in file.symbols)
