"""Old constructor tables (`.ctors`, `.dtors`) as `.init_array` and `.fini_array`.

Their entries run from the last to the first, and `.ctors.N` counts priorities from 65535
down, so a section's words are reversed and its number is turned round.  Words that no
relocation fills are the marks (-1 and 0) of old start files, which nobody needs.
"""

from __future__ import annotations

from dataclasses import replace

from callproof.link.resolve import Moved, Resolved
from callproof.object.model import Section
from callproof.source import CallproofError

OLD = {".ctors": ("init_array", ".init_array"), ".dtors": ("fini_array", ".fini_array")}
HIGHEST = 65535
WORD = 8


def is_old_array(name: str) -> bool:
    return name in OLD or name.startswith((".ctors.", ".dtors."))


def make_arrays(resolved: Resolved) -> None:
    """Replace the kept old tables.  Raises `CallproofError` for one that is no table of words."""
    for file in list(resolved.files):
        for section in file.sections:
            if not is_old_array(section.name) or id(section) not in resolved.live:
                continue
            if section.kind not in ("data", "rodata"):
                continue
            resolved.live.discard(id(section))
            if len(section.data) % WORD or any(r.offset % WORD for r in section.relocations):
                raise CallproofError(f"{file.name}: {section.name} is no table of addresses")
            _replace(resolved, section)


def _replace(resolved: Resolved, section: Section) -> None:
    family, _, number = section.name[1:].partition(".")
    kind, name = OLD[f".{family}"]
    if number.isdigit():
        name += f".{HIGHEST - int(number):05}" if int(number) <= HIGHEST else ""
    filled = sorted(section.relocations, key=lambda r: r.offset, reverse=True)
    made = Section(name, kind, bytes(WORD * len(filled)), alignment=WORD)
    made.relocations = [replace(r, offset=WORD * n) for n, r in enumerate(filled)]
    resolved.make([made])
    resolved.moved[id(section)] = Moved(made, [0], [0])
