"""Which sections the program can reach; the others are left out.

Roots are the entry, constructor and destructor arrays, the old `.init` and `.fini`
fragments, what shared libraries may see, and sections that somebody asks for by
`__start_NAME` or `__stop_NAME`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from callproof.link.resolve import Resolved
from callproof.object.model import Section

if TYPE_CHECKING:
    from callproof.link import LinkOptions

ROOT_KINDS = frozenset(("init_array", "fini_array", "preinit_array", "note"))
ROOT_NAMES = frozenset((".init", ".fini", ".ctors", ".dtors", ".jcr"))
NOT_LOADED = frozenset(("debug", "other"))


def collect(resolved: Resolved, options: LinkOptions) -> None:
    """Fill `resolved.live` with the ids of the loaded sections that are kept."""
    sections = [
        section
        for file in resolved.files
        for section in file.sections
        if section.kind not in NOT_LOADED and id(section) not in resolved.dropped
    ]
    sections += resolved.commons
    live = resolved.live
    if not options.collect_garbage:
        live.update(id(section) for section in sections)
        return
    by_name: dict[str, list[Section]] = {}
    for section in sections:
        if section.name.isidentifier():
            by_name.setdefault(section.name, []).append(section)
    pending = [s for s in sections if s.kind in ROOT_KINDS or s.name in ROOT_NAMES]
    entry = resolved.names.get(options.entry)
    if entry is not None and entry.symbol.section is not None:
        pending.append(entry.symbol.section)
    exported = (resolved.names[name].symbol.section for name in resolved.exported)
    pending += [section for section in exported if section is not None]
    for section in pending:
        live.add(id(section))
        resolved.reasons[id(section)] = None
    while pending:
        source = pending.pop()
        for relocation in source.relocations:
            symbol = resolved.meaning(relocation.symbol)
            if symbol is None or symbol.section is None:
                name = relocation.symbol.name
                reached = []
                for prefix in ("__start_", "__stop_"):
                    if name.startswith(prefix):
                        reached = by_name.get(name.removeprefix(prefix), [])
            else:
                reached = [symbol.section]
            for section in reached:
                if id(section) not in live and section.kind not in NOT_LOADED:
                    live.add(id(section))
                    resolved.reasons[id(section)] = (source, relocation)
                    pending.append(section)
