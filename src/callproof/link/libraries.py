"""What a link takes from shared libraries, and what they may see of the program."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from callproof.object.model import ObjectFile, Symbol
from callproof.object.shared_read import SharedLibrary, SharedSymbol
from callproof.source import CallproofError

if TYPE_CHECKING:
    from callproof.link import LinkOptions
    from callproof.link.resolve import Resolved


@dataclass(slots=True, eq=False)
class Import:
    """A name that a shared library defines, and how the program comes by it (`imports.py`).

    symbol     stands for it in `Resolved.names`; it gets a place if it needs one in the program
    is_weak    only weak references
    plt        its entry in the procedure linkage table, from 0; -1 without
    is_placed  its address for everybody is one in the program: its PLT entry's, or its copy's
    is_used    something that is kept refers to it
    """

    symbol: Symbol
    library: SharedLibrary
    shared: SharedSymbol
    is_weak: bool = False
    plt: int = -1
    is_placed: bool = False
    is_used: bool = False


def take(
    resolved: Resolved, library: SharedLibrary, names: Iterable[str], *, weak: bool = False
) -> list[str]:
    """Import those of the names that the library defines; gives them."""
    from callproof.link.resolve import Definition

    found = []
    for name in names:
        shared = library.symbols.get(name)
        if shared is None:
            continue
        symbol = Symbol(name, kind=shared.kind, size=shared.size)
        file = ObjectFile(library.name, library.machine)
        resolved.names[name] = Definition(symbol, file)
        resolved.imports[id(symbol)] = Import(symbol, library, shared, weak)
        found.append(name)
    return found


def finish(resolved: Resolved, options: LinkOptions, own: set[str]) -> None:
    """Weak references may be to a library too; what libraries may see of the program.

    `own` has the names that are wanted with hidden visibility.  Raises `CallproofError` for
    libraries that cannot take part.
    """
    for library in resolved.libraries:
        if not options.dynamic:
            raise CallproofError(f"{library.name} is a shared library, which needs --dynamic")
        if library.machine != resolved.machine:
            raise CallproofError(f"{library.name} is for {library.machine}, not {resolved.machine}")
    if not options.dynamic:
        return
    weak = {
        resolved.wanted_name(symbol): None
        for file in resolved.files
        for symbol in file.outer_symbols()
        if symbol.binding == "weak" and not symbol.is_defined and symbol.name
    }
    seen: set[str] = set()
    for library in resolved.libraries:
        missing = [name for name in weak if name not in resolved.names and name not in own]
        take(resolved, library, missing, weak=True)
        seen |= library.undefined
        seen.update(library.symbols)
    for name, definition in resolved.names.items():
        symbol = definition.symbol
        if symbol.visibility not in ("default", "protected") or not symbol.is_defined:
            continue
        if name in seen or (options.export_dynamic and symbol.section is not None):
            resolved.exported.append(name)
