"""Why a symbol is in the executable, where it went, and who uses it (`link --explain`)."""

from __future__ import annotations

from dataclasses import dataclass, field
from difflib import get_close_matches

from callproof.link.layout import Layout
from callproof.link.libraries import Import
from callproof.object.model import ObjectFile, Relocation, Section, Symbol
from callproof.source import CallproofError

SHOWN_USES = 40


@dataclass(slots=True)
class Use:
    """A relocation that refers to the symbol; `address` is None in what was left out."""

    file: str
    section: str
    offset: int
    function: str
    type: str
    addend: int
    address: int | None


@dataclass(slots=True)
class Explanation:
    """What the link made of one definition of a name.

    address  None: its section was left out
    pulled   why the archive's member takes part; '' for an object that was named
    how      of what a shared library defines: how the program comes by it
    chain    from a root to the symbol: how its section was reached; empty if it was left out
    """

    name: str
    file: str
    section: str
    kind: str
    binding: str
    size: int
    address: int | None
    pulled: str = ""
    how: str = ""
    chain: list[str] = field(default_factory=list)
    uses: list[Use] = field(default_factory=list)
    losers: list[str] = field(default_factory=list)

    def text(self) -> str:
        """Several lines for a person."""
        what = {"function": "function", "object": "object", "tls": "thread-local object"}
        where = "left out: nothing that is kept refers to it"
        if self.how:
            where = self.how
        elif self.address is not None:
            where = f"at {self.address:#x}"
        size = f" of {self.size} bytes" if self.size else ""
        lines = [
            f"{self.name}: {self.binding} {what.get(self.kind, 'symbol')}{size}, {where}",
            f"  defined in   {self.file}" + (f", {self.section}" if self.section else ""),
        ]
        lines += [f"  beats        {loser}" for loser in self.losers]
        if self.pulled:
            lines.append(f"  in because   {self.pulled}")
        for number, step in enumerate(self.chain):
            lines.append(("  kept because " if not number else "               ") + step)
        live = [use for use in self.uses if use.address is not None]
        lines.append(f"  used by      {len(live)} relocation{'s' * (len(live) != 1)}")
        for use in live[:SHOWN_USES]:
            addend = f"{use.addend:+#x}" if use.addend else ""
            lines.append(
                f"    {use.address:#x} {use.type}{addend} in {use.function or use.section} "
                f"({use.file}, {use.section}+{use.offset:#x})"
            )
        if len(live) > SHOWN_USES:
            lines.append(f"    and {len(live) - SHOWN_USES} more")
        if len(live) < len(self.uses):
            rest = len(self.uses) - len(live)
            lines.append(f"  and by {rest} in sections that were left out")
        return "\n".join(lines)


def explain(layout: Layout, name: str) -> list[Explanation]:
    """One explanation for each definition of the name that takes part.

    Raises `CallproofError` if there is none, with what is known of the name.
    """
    resolved = layout.resolved
    found: list[tuple[Symbol, ObjectFile]] = []
    for file in resolved.files:
        for symbol in file.symbols:
            if symbol.name == name and symbol.is_defined and resolved.meaning(symbol) is symbol:
                found.append((symbol, file))
    if not found:
        meaning = resolved.names.get(name)
        imported = resolved.imported(meaning.symbol) if meaning else None
        if imported is not None:
            return [_explain_import(layout, imported)]
        raise _unknown(layout, name)
    return [_explain(layout, symbol, file) for symbol, file in found]


def _explain_import(layout: Layout, found: Import) -> Explanation:
    """What a shared library defines, and how the program comes by it."""
    symbol, shared = found.symbol, found.shared
    address = layout.address_of(symbol) if symbol.section is not None else None
    version = f" (version {shared.version})" if shared.version else ""
    if not found.is_used:
        how = "left out: nothing that is kept refers to it"
    elif address is None:
        how = "by words that the loader fills"
    elif found.plt >= 0:
        own = ", which is its address for everybody" if found.is_placed else ""
        how = f"by the entry of .plt at {address:#x}{own}"
    else:
        how = f"copied to {address:#x} by the loader, for everybody"
    binding = "weak" if shared.is_weak else "global"
    name = found.library.name + version
    result = Explanation(symbol.name, name, "", shared.kind, binding, shared.size, address)
    result.how, result.uses = how, _uses(layout, symbol)
    return result


def _explain(layout: Layout, symbol: Symbol, file: ObjectFile) -> Explanation:
    resolved = layout.resolved
    section = symbol.section
    result = Explanation(
        symbol.name,
        file.name,
        section.name if section is not None else "",
        symbol.kind,
        symbol.binding,
        symbol.size,
        layout.address_of(symbol),
    )
    if symbol.binding != "local":
        result.losers = [
            f"the {loser.symbol.binding} one of {loser.file.name}"
            for loser in resolved.losers.get(symbol.name, ())
            if loser.symbol is not symbol
        ]
    pull = resolved.pulls.get(id(file))
    if pull is not None:
        result.pulled = f"{pull.wanted_by} wants '{pull.name}', which this member defines"
    if section is not None and id(section) in resolved.live:
        result.chain = _chain(layout, section)
    result.uses = _uses(layout, symbol)
    return result


def _chain(layout: Layout, section: Section) -> list[str]:
    """The steps from a root to the section, outermost first."""
    resolved = layout.resolved
    if not layout.options.collect_garbage:
        return ["sections that nothing refers to are kept, too"]
    steps: list[str] = []
    current = section
    while True:
        reason = resolved.reason(current)
        if reason is None:
            break
        source, relocation = reason
        steps.append(
            f"{_describe(layout, source, relocation.offset)} refers to "
            f"{relocation.symbol.name or current.name} ({relocation.type})"
        )
        current = source
    owner = resolved.owner.get(id(current))
    entry = resolved.names.get(layout.options.entry)
    seen = [name for name in resolved.exported if resolved.names[name].symbol.section is current]
    if entry is not None and entry.symbol.section is current:
        steps.append(f"{layout.options.entry} is the entry point")
    elif seen:
        steps.append(f"shared libraries may see {seen[0]}")
    else:
        steps.append(f"{current.name} of {owner.name if owner else '?'} is always kept")
    return steps[::-1]


def _describe(layout: Layout, section: Section, offset: int) -> str:
    owner = layout.resolved.owner.get(id(section))
    function = _function_at(owner, section, offset) if owner else ""
    return f"{function or section.name} of {owner.name if owner else '?'}"


def _function_at(file: ObjectFile, section: Section, offset: int) -> str:
    """The named thing in a section that an offset lies in."""
    best: Symbol | None = None
    for symbol in file.symbols:
        if symbol.section is not section or symbol.kind == "section":
            continue
        if not symbol.name or symbol.name.startswith("$") or symbol.value > offset:
            continue
        if best is None or symbol.value >= best.value:
            best = symbol
    return best.name if best is not None else ""


def _uses(layout: Layout, symbol: Symbol) -> list[Use]:
    """All relocations to it; those to its section count where they name its bytes."""
    resolved = layout.resolved
    uses = []
    for file in resolved.files:
        for section in file.sections:
            if section.kind in ("debug", "other"):
                continue
            for relocation in section.relocations:
                if _refers(layout, relocation, symbol):
                    piece = layout.places.get(id(section))
                    uses.append(
                        Use(
                            file.name,
                            section.name,
                            relocation.offset,
                            _function_at(file, section, relocation.offset),
                            relocation.type,
                            relocation.addend,
                            None if piece is None else piece.address + relocation.offset,
                        )
                    )
    return uses


def _refers(layout: Layout, relocation: Relocation, symbol: Symbol) -> bool:
    meaning = layout.resolved.meaning(relocation.symbol)
    if meaning is symbol:
        return True
    if meaning is None or meaning.kind != "section" or meaning.section is not symbol.section:
        return False
    start = symbol.value
    return start <= relocation.addend < start + max(symbol.size, 1)


def _unknown(layout: Layout, name: str) -> CallproofError:
    resolved = layout.resolved
    own = layout.linker_symbol(name)
    if own is not None:
        return CallproofError(f"'{name}' is a symbol of the linker: {own:#x}")
    for archive in resolved.archives:
        if name in archive.index:
            member = archive.member(archive.index[name]).name
            return CallproofError(f"'{name}' is not in: nothing needed it ({member} defines it)")
    users = [file.name for file in resolved.files for symbol in file.symbols if symbol.name == name]
    if users:
        return CallproofError(
            f"nobody defines '{name}'; {users[0]} refers to it weakly and finds the address 0"
        )
    close = get_close_matches(name, resolved.names, n=1, cutoff=0.6)
    hint = f"; did you mean '{close[0]}'?" if close else ""
    return CallproofError(f"nothing in this link is called '{name}'{hint}")
