"""Which sections the program can reach; the others are left out.

Roots are the entry, constructor and destructor arrays, the old `.init` and `.fini`
fragments, what its compiler marked to be retained, what shared libraries may see, and
sections that somebody asks for by `__start_NAME` or `__stop_NAME`.  The sections of one
group, and those that describe another one (SHF_LINK_ORDER), stay together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from callproof.link.arrays import is_old_array
from callproof.link.resolve import Resolved
from callproof.object import elf_format as elf
from callproof.object.columns import ColumnSection
from callproof.object.model import Relocation, Section, Symbol

if TYPE_CHECKING:
    from callproof.link import LinkOptions

ROOT_KINDS = frozenset(("init_array", "fini_array", "preinit_array", "note"))
ROOT_NAMES = frozenset((".init", ".fini", ".jcr"))
NOT_LOADED = frozenset(("debug", "other"))
# What features all of the code is built for can only be said when all objects say it.
PROPERTIES = ".note.gnu.property"


def collect(resolved: Resolved, options: LinkOptions) -> None:
    """Fill `resolved.live` with the ids of the loaded sections that are kept."""
    sections = [
        section
        for file in resolved.files
        for section in file.sections
        if section.kind not in NOT_LOADED
        and id(section) not in resolved.dropped
        and section.name != PROPERTIES
    ]
    sections += resolved.commons
    if not options.collect_garbage:
        resolved.live.update(id(section) for section in sections)
        return
    _Collector(resolved, sections).run(options.entry)


def is_root(section: Section) -> bool:
    return (
        section.kind in ROOT_KINDS
        or section.name in ROOT_NAMES
        or is_old_array(section.name)
        or bool(section.flags & elf.SHF_GNU_RETAIN)
    )


class _Collector:
    """`fresh` has a byte for each section by number: 1 if it is loaded and was not reached yet.

    Behind them: 1 for `columns.SPECIAL`, which counts from the end, and 0 for `NOTHING`.
    """

    __slots__ = ("by_name", "companions", "fresh", "pending", "resolved", "sections")

    def __init__(self, resolved: Resolved, sections: list[Section]) -> None:
        self.resolved = resolved
        self.sections = sections
        self.by_name: dict[str, list[Section]] = {}
        # id(section) -> what stays with it, and why
        self.companions: dict[int, list[tuple[Section, str]]] = {}
        self.pending: list[Section] = []
        self.fresh = bytearray()
        if resolved.columns is not None:
            every = resolved.columns.sections
            self.fresh = bytearray([one.kind not in NOT_LOADED for one in every] + [1, 0])
        groups: dict[str, list[Section]] = {}
        for section in sections:
            if section.name.isidentifier():
                self.by_name.setdefault(section.name, []).append(section)
            if section.linked_to is not None:
                self.stay(section.linked_to, section, "describes it")
            if section.group:
                groups.setdefault(section.group, []).append(section)
        for members in groups.values():
            if len(members) > 1:
                for one, other in zip(members, members[1:] + members[:1], strict=True):
                    self.stay(one, other, "of the same group")

    def stay(self, owner: Section, companion: Section, why: str) -> None:
        self.companions.setdefault(id(owner), []).append((companion, why))

    def reach(self, section: Section, reason: tuple[Section, Relocation] | None) -> None:
        live = self.resolved.live
        if id(section) not in live and section.kind not in NOT_LOADED:
            live.add(id(section))
            self.resolved.reasons[id(section)] = reason
            self.pending.append(section)
            if self.fresh:
                self.fresh[section.number] = 0

    def run(self, entry_name: str) -> None:
        resolved = self.resolved
        for section in self.sections:
            if is_root(section):
                self.reach(section, None)
        entry = resolved.names.get(entry_name)
        if entry is not None and entry.symbol.section is not None:
            self.reach(entry.symbol.section, None)
        for name in resolved.exported:
            exported = resolved.names[name].symbol.section
            if exported is not None:
                self.reach(exported, None)
        while self.pending:
            source = self.pending.pop()
            if self.fresh and isinstance(source, ColumnSection) and source.is_raw:
                self.follow_rows(source)
            else:
                for relocation in source.relocations:
                    self.follow(source, relocation)
            for relocation in resolved.attached.get(id(source), ()):
                self.follow(source, relocation)
            for companion, why in self.companions.get(id(source), ()):
                relation = Relocation(0, why, Symbol(companion.name, binding="local"))
                self.reach(companion, (source, relation))

    def follow_rows(self, source: ColumnSection) -> None:
        """As `follow` for each of its relocations, without objects of them."""
        columns = self.resolved.columns
        if columns is None or not source.count:
            return
        fresh, pending, live = self.fresh, self.pending, self.resolved.live
        targets = columns.targets(source.file)[source.first : source.first + source.count]
        for row, number in enumerate(targets.tolist()):
            if fresh[number]:
                if number < 0:
                    self.follow(source, source.decoded([row])[0])
                    continue
                fresh[number] = 0
                section = columns.sections[number]
                live.add(id(section))
                pending.append(section)
                columns.reasons[number] = source.number, row

    def follow(self, source: Section, relocation: Relocation) -> None:
        symbol = self.resolved.meaning(relocation.symbol)
        if symbol is not None and symbol.section is not None:
            self.reach(symbol.section, (source, relocation))
            if symbol.kind == "ifunc":
                self.keep_query(source, relocation)
        elif symbol is None:
            name = relocation.symbol.name
            for prefix in ("__start_", "__stop_"):
                if name.startswith(prefix):
                    for section in self.by_name.get(name.removeprefix(prefix), ()):
                        self.reach(section, (source, relocation))

    def keep_query(self, source: Section, relocation: Relocation) -> None:
        """What `ifunc` calls to tell resolvers of the machine's capabilities."""
        query = self.resolved.names.get("getauxval")
        section = None if query is None else query.symbol.section
        if self.resolved.machine == "aarch64" and section is not None:
            self.reach(section, (source, relocation))
