"""The linker: objects, archives and shared libraries in, one executable out.

    load, resolve     which objects take part, and what each name means   (inputs.py, resolve.py)
    collect           what the entry can reach                            (collect.py)
    make              sections of the linker's own: equal strings once (merge.py), frame
                      descriptions (frames.py), entries of indirect functions (ifunc.py),
                      old constructor tables (arrays.py), beginnings and ends of `.init`
                      (starts.py), equal functions once (icf.py)
    layout            addresses; veneers for branches that reach too far  (layout.py, veneers.py)
    relocate          the values of addresses put into the code           (relocate.py)
    write             the ELF image                                       (image.py, executable.py)

Of large inputs, tables stay as the files have them (`object/columns.py`), and each stage has
a part that looks at many of their rows at once with numpy: columns.py (references),
merge_columns.py, places.py (addresses), batch.py (relocation), symbol_columns.py.

A position-independent or dynamically linked program has in addition what its loader
needs: which names are imported and how (dynamic.py), the tables (dynamic_tables.py).

Knows objects and relocations; knows nothing of the compiler.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from callproof.link.image import Room, plain_room
from callproof.link.inputs import ArchiveGroup, AsNeeded, WholeArchive
from callproof.link.output import OutputFile
from callproof.object.model import ObjectFile
from callproof.source import CallproofError, Note

if TYPE_CHECKING:
    from callproof.link.layout import Layout

Input = Path | ObjectFile | ArchiveGroup | WholeArchive | AsNeeded

__all__ = [
    "ArchiveGroup",
    "AsNeeded",
    "GivenSymbol",
    "LinkOptions",
    "WholeArchive",
    "link",
    "link_bytes",
    "link_layout",
]

BRANCH_REACH = 1 << 27  # B and BL: 26 bits of words to either side


@dataclass(frozen=True, slots=True)
class GivenSymbol:
    """A symbol of the command line: an address, or `value` bytes behind the symbol `base`."""

    value: int
    base: str = ""

    @classmethod
    def parse(cls, text: str) -> tuple[str, GivenSymbol]:
        """`NAME=0x1000`, `NAME=other` or `NAME=other+8`, as ld's `--defsym` without arithmetic."""
        name, equals, meaning = text.partition("=")
        match = re.fullmatch(r"(?:([A-Za-z_.$][\w.$:]*)([+-]))?(0[xX][0-9a-fA-F]+|[0-9]+)", meaning)
        plain = re.fullmatch(r"[A-Za-z_.$][\w.$:]*", meaning)
        if not name or not equals or not (match or plain):
            raise CallproofError(
                f"--defsym takes NAME=NUMBER, NAME=SYMBOL or NAME=SYMBOL+NUMBER, not '{text}'"
            )
        if match is None:
            return name, cls(0, meaning)
        number = int(match[3], 0)
        if number >> 64:
            raise CallproofError(f"--defsym {name}: {number:#x} has more than 64 bits")
        return name, cls(-number if match[2] == "-" else number, match[1] or "")


@dataclass(slots=True)
class LinkOptions:
    """`reach` is how far a branch is trusted to reach; tests make it small.

    origins      of a name: shown where nobody defines it
    wrap         names N: undefined references to N mean __wrap_N, those to __real_N mean N
    definitions  symbols that the command line defines
    build_id     put a note with the hash of the whole file into it (`.note.gnu.build-id`)
    pie          position-independent: it may be loaded anywhere
    dynamic      shared libraries may take part; the program is loaded by `interpreter`
                 ('' for glibc's of the machine)
    rpath        where the loader looks for libraries first (DT_RUNPATH)
    as_needed    only libraries of which something is used are asked for
    export_dynamic  libraries may see all of the program's global names, not only those they use
    relr         relative relocations in their packed form (glibc from 2.36, musl from 1.2.4)
    ordered      search each archive once, at its place among the inputs, as ld does
    eh_frame_hdr keep frame descriptions (and their index) even if no unwinder takes part
    relro        a segment of what start code may make read-only (glibc's does, musl's does not)
    icf          'none', or 'safe': equal functions whose address nobody takes become one
    exec_stack   allow objects that ask for a stack that can be executed
    format       of the objects: 'elf' or 'mach-o'
    system_names what the system's library gives to programs, where it is not itself an input
    """

    entry: str = "_start"
    collect_garbage: bool = True
    base: int = 0x400000
    page: int = 0x10000
    reach: int = BRANCH_REACH
    origins: dict[str, Note] = field(default_factory=dict)
    wrap: tuple[str, ...] = ()
    definitions: dict[str, GivenSymbol] = field(default_factory=dict)
    build_id: bool = False
    pie: bool = False
    dynamic: bool = False
    interpreter: str = ""
    rpath: tuple[str, ...] = ()
    as_needed: bool = False
    export_dynamic: bool = False
    relr: bool = False
    ordered: bool = False
    eh_frame_hdr: bool = False
    relro: bool = False
    icf: str = "none"
    exec_stack: bool = False
    format: str = "elf"
    system_names: frozenset[str] = frozenset()


def link_layout(
    inputs: Sequence[Input], options: LinkOptions | None = None, room: Room = plain_room
) -> Layout:
    """Everything placed and relocated, with the address of each symbol; not written yet.

    `room` gives the memory for the image.  `link_map` and `explain` tell how it came about.
    Raises `CallproofError` naming files,
    sections and symbols.
    """
    from callproof.link.arrays import make_arrays
    from callproof.link.collect import collect
    from callproof.link.frames import fill_index, make_frames, read_frames
    from callproof.link.ifunc import make_entries
    from callproof.link.layout import lay_out
    from callproof.link.merge import merge
    from callproof.link.relocate import relocate
    from callproof.link.resolve import resolve
    from callproof.link.starts import make_starts

    options = options or LinkOptions()
    if options.pie:
        options = replace(options, base=0)
    if options.dynamic:
        # Whether an unwinder takes part is only known when the program is loaded.
        options = replace(options, eh_frame_hdr=True)
    if options.icf not in ("none", "safe"):
        raise CallproofError(f"--icf {options.icf}: there is none and safe")
    resolved = resolve(inputs, options)
    make_starts(resolved)
    frames = read_frames(resolved, options)
    collect(resolved, options)
    if options.icf == "safe":
        from callproof.link.icf import fold

        fold(resolved, options.entry)
    make_arrays(resolved)
    make_frames(resolved, frames, options)
    make_entries(resolved, options)
    merge(resolved, keep_all=not options.collect_garbage)
    layout = lay_out(resolved, options)
    relocate(layout, room)
    fill_index(layout, frames)
    return layout


def link_bytes(inputs: Sequence[Input], options: LinkOptions | None = None) -> bytes:
    """The executable's bytes.  Raises as `link_layout`."""
    from callproof.link.executable import write_executable

    return write_executable(link_layout(inputs, options))


def link(
    inputs: Sequence[Input],
    output: Path,
    options: LinkOptions | None = None,
) -> Layout:
    """Link into a file with mode 755; the file appears complete or stays as it was."""
    from callproof.link.executable import executable_parts

    with OutputFile(output) as file:
        layout = link_layout(inputs, options, file.room)
        image, tail = executable_parts(layout)
        layout.give_up_image()
        file.finish(image, tail)
    return layout
