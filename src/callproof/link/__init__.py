"""The static linker: objects and archives in, one executable out.

    load, resolve     which objects take part, and what each name means   (resolve.py)
    collect           what the entry can reach                            (collect.py)
    layout            addresses; veneers for branches that reach too far  (layout.py, veneers.py)
    relocate          the values of addresses put into the code           (relocate.py)
    write             the ELF image                                       (executable.py)

Knows objects and relocations; knows nothing of the compiler.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from callproof.files import write_output
from callproof.object.model import ObjectFile
from callproof.source import Note

if TYPE_CHECKING:
    from callproof.link.layout import Layout

__all__ = ["LinkOptions", "link", "link_bytes", "link_layout"]

BRANCH_REACH = 1 << 27  # B and BL: 26 bits of words to either side


@dataclass(slots=True)
class LinkOptions:
    """`reach` is how far a branch is trusted to reach; tests make it small.

    `origins` of a name is shown where nobody defines it.
    """

    entry: str = "_start"
    collect_garbage: bool = True
    base: int = 0x400000
    page: int = 0x10000
    reach: int = BRANCH_REACH
    origins: dict[str, Note] = field(default_factory=dict)


def link_layout(inputs: Sequence[Path | ObjectFile], options: LinkOptions | None = None) -> Layout:
    """Everything placed and relocated, with the address of each symbol; not written yet.

    Raises `CallproofError` naming files, sections and symbols.
    """
    from callproof.link.collect import collect
    from callproof.link.layout import lay_out
    from callproof.link.relocate import relocate
    from callproof.link.resolve import resolve

    options = options or LinkOptions()
    resolved = resolve(inputs, options.entry, options.origins)
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
) -> None:
    """Link into a file with mode 755; the file appears complete or stays as it was."""
    write_output(output, link_bytes(inputs, options), executable=True)
