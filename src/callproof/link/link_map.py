"""The map file: what is where, from which object, and what was left out (`link --map`)."""

from __future__ import annotations

from callproof.link.layout import Layout
from callproof.link.resolve import THE_LINKER


def link_map(layout: Layout) -> str:
    """Text of three parts: members and why they are in; the memory; the sections left out."""
    resolved = layout.resolved
    lines = ["Members of archives that take part", ""]
    for file in resolved.files:
        pull = resolved.pulls.get(id(file))
        if pull is not None:
            lines.append(f"  {file.name}  ({pull.wanted_by} wants {pull.name})")
    lines += ["", "Memory", "", f"  {'address':>12} {'size':>10}  what"]
    symbols: dict[int, list[tuple[int, str]]] = {}
    for file in resolved.files:
        for symbol in file.symbols:
            if symbol.section is None or symbol.kind == "section" or not symbol.name:
                continue
            if not symbol.name.startswith(("$", ".L")) and resolved.meaning(symbol) is symbol:
                section, value = symbol.section, symbol.value
                moved = resolved.moved.get(id(section))
                if moved is not None:
                    place = moved.at(value)
                    if place is None:
                        continue
                    section, value = moved.section, place
                section = resolved.folded.get(id(section), section)
                symbols.setdefault(id(section), []).append((value, symbol.name))
    for output in layout.outputs():
        lines.append(f"  {output.address:#12x} {output.size:#10x}  {output.name}")
        for piece in output.pieces:
            owner = resolved.owner.get(id(piece.section))
            size = piece.size
            source = f"{owner.name}: " if owner else f"{THE_LINKER}: "
            lines.append(f"  {piece.address:#12x} {size:#10x}    {source}{piece.section.name}")
            for value, name in sorted(symbols.get(id(piece.section), ())):
                lines.append(f"  {piece.address + value:#12x} {'':>10}      {name}")
        for address, code in output.veneers:
            lines.append(f"  {address:#12x} {len(code):#10x}    the linker: a veneer")
    lines += ["", "Left out", ""]
    for file in resolved.files:
        for section in file.sections:
            size = len(section.data) or section.size
            if section.kind in ("debug", "other") or not size:
                continue
            if id(section) in resolved.moved:
                continue
            if id(section) in resolved.dropped:
                lines.append(f"  {size:#10x}  {file.name}: {section.name} (another group has it)")
            elif id(section) in resolved.folded:
                leader = resolved.folded[id(section)]
                same = f"{resolved.owner[id(leader)].name}: {leader.name}"
                lines.append(f"  {size:#10x}  {file.name}: {section.name} (the same as {same})")
            elif id(section) not in resolved.live:
                lines.append(f"  {size:#10x}  {file.name}: {section.name}")
    return "\n".join(lines) + "\n"
