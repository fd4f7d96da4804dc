"""The linker: objects, archives and shared libraries in, one executable out.

    load, resolve     which objects take part, and what each name means   (resolve.py)
    collect           what the entry can reach                            (collect.py)
    layout            addresses; veneers for branches that reach too far  (layout.py, veneers.py)
    relocate          the values of addresses put into the code           (relocate.py)
    write             the ELF image                                       (executable.py)

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

from callproof.files import write_output
from callproof.object.model import ObjectFile
from callproof.source import CallproofError, Note

if TYPE_CHECKING:
    from callproof.link.layout import Layout

__all__ = ["GivenSymbol", "LinkOptions", "link", "link_bytes", "link_layout"]

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


def link_layout(inputs: Sequence[Path | ObjectFile], options: LinkOptions | None = None) -> Layout:
    """Everything placed and relocated, with the address of each symbol; not written yet.

    `link_map` and `explain` tell how it came about.  Raises `CallproofError` naming files,
    sections and symbols.
    """
    from callproof.link.collect import collect
    from callproof.link.layout import lay_out
    from callproof.link.relocate import relocate
    from callproof.link.resolve import resolve

    options = options or LinkOptions()
    if options.pie:
        options = replace(options, base=0)
    resolved = resolve(inputs, options)
    collect(resolved, options)
    layout = lay_out(resolved, options)
    relocate(layout)
    return layout


def link_bytes(inputs: Sequence[Path | ObjectFile], options: LinkOptions | None = None) -> bytes:
    """The executable's bytes.  Raises as `link_layout`."""
    from callproof.link.executable import write_executable

    return write_executable(link_layout(inputs, options))


def link(
    inputs: Sequence[Path | ObjectFile],
    output: Path,
    options: LinkOptions | None = None,
) -> Layout:
    """Link into a file with mode 755; the file appears complete or stays as it was."""
    from callproof.link.executable import write_executable

    layout = link_layout(inputs, options)
    write_output(output, write_executable(layout), executable=True)
    return layout
