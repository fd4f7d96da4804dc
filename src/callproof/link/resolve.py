"""Which objects take part in a link, and which definition each name means.

Objects always take part; a member of an archive does when it defines a name that
is still wanted (strongly).  All archives are searched until none has anything more
to give, in the order in which they were named; or, with `LinkOptions.ordered`, each
once at its place, as by ld.  A strong definition beats a common
one, a common one a weak one; the first of several equal ones counts, except that
two strong ones are an error.  Shared libraries (`--dynamic`) are searched along with the
archives, and what a library defines is an import; a definition of the program's own beats it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from callproof.link.inputs import ArchiveGroup, AsNeeded, WholeArchive
from callproof.link.libraries import Import
from callproof.link.libraries import finish as finish_libraries
from callproof.link.libraries import take as take_from
from callproof.link.loading import _ARCHIVES, COLUMNS_FROM, DARWINS, load, size_of_objects
from callproof.object.archive import Archive
from callproof.object.columns import ColumnSection
from callproof.object.model import ObjectFile, Relocation, Section, Symbol
from callproof.object.shared_read import SharedLibrary
from callproof.source import CallproofError, Diagnostic, Note

if TYPE_CHECKING:
    from callproof.link import GivenSymbol, Input, LinkOptions
    from callproof.link.columns import Columns

MAXIMUM_MESSAGES = 20
THE_LINKER = "the linker"
HIDDEN = ("hidden", "internal")

# Names that the linker itself defines, if nobody else does (see layout.py).
LINKER_DEFINED = frozenset(
    """__bss_start __bss_start__ __bss_end__ _bss_end__ __end__ _end end _edata edata _etext etext
    __ehdr_start __executable_start __init_array_start __init_array_end __fini_array_start
    __fini_array_end __preinit_array_start __preinit_array_end __rela_iplt_start __rela_iplt_end
    __global_pointer$ _GLOBAL_OFFSET_TABLE_ _TLS_MODULE_BASE_ __dso_handle __GNU_EH_FRAME_HDR
    __eh_frame_hdr_start __eh_frame_hdr_end __eh_frame_start __eh_frame_end""".split()
)
# Its calls become offsets (see relocate.py), so nobody need define it.
TLS_QUERY = "__tls_get_addr"


@dataclass(slots=True)
class Moved:
    """Where the bytes of a section went that became part of one the linker made.

    starts, places  offsets in the old section, ascending, and in the new one; None: left out
    """

    section: Section
    starts: list[int]
    places: list[int | None]

    def at(self, offset: int) -> int | None:
        """The new offset of a byte, or of the end."""
        index = bisect_right(self.starts, offset) - 1
        if index < 0:
            return None
        place = self.places[index]
        return None if place is None else place + offset - self.starts[index]


@dataclass(slots=True, eq=False)
class Definition:
    """What a name means: the symbol, and the object that it came from."""

    symbol: Symbol
    file: ObjectFile

    def place(self) -> str:
        section = self.symbol.section
        where = f" ({section.name}+{self.symbol.value:#x})" if section is not None else ""
        return self.file.name + where


@dataclass(slots=True)
class Pull:
    """Why a member of an archive takes part: `name` was wanted by the object `wanted_by`."""

    name: str
    wanted_by: str


@dataclass(slots=True)
class Resolved:
    """Objects that take part, the meaning of each global name, and dropped group sections.

    owner    id(section) -> its object
    dropped  ids of the sections of COMDAT groups that another object provides
    live     ids of the sections that are kept; `reasons` has the relocation that reached each
             and the section it stands in, None for a root
    pulls    id(object) -> why a member of an archive takes part
    losers   definitions of a name that another one beat
    archives those that were searched
    wrapped  what an undefined name means instead of itself (`--wrap`)
    imports  id(symbol) -> what a shared library defines; `libraries` in order of search,
             `as_needed` the ids of those that are asked for only if something of them is used
    exported names that shared libraries may see
    moved    id(section) -> where its contents went in a section that the linker made
    folded   id(section) -> the identical one that is kept in its stead
    attached id(section) -> relocations that are reached with it: of its frame descriptions
    entries  id(indirect function) -> the symbol of the entry that goes to what it chooses
    choices  slots that the loader fills with what a resolver function chooses
    asked    names that the linker itself is to define
    hidden   names that a definition or a reference calls hidden: theirs is the narrowest scope
    columns  the objects that are not read as Python objects, if there are any
    """

    files: list[ObjectFile] = field(default_factory=list)
    names: dict[str, Definition] = field(default_factory=dict)
    dropped: set[int] = field(default_factory=set)
    owner: dict[int, ObjectFile] = field(default_factory=dict)
    live: set[int] = field(default_factory=set)
    commons: list[Section] = field(default_factory=list)
    reasons: dict[int, tuple[Section, Relocation] | None] = field(default_factory=dict)
    pulls: dict[int, Pull] = field(default_factory=dict)
    losers: dict[str, list[Definition]] = field(default_factory=dict)
    wrapped: dict[str, str] = field(default_factory=dict)
    archives: list[Archive] = field(default_factory=list)
    libraries: list[SharedLibrary] = field(default_factory=list)
    as_needed: set[int] = field(default_factory=set)
    imports: dict[int, Import] = field(default_factory=dict)
    exported: list[str] = field(default_factory=list)
    moved: dict[int, Moved] = field(default_factory=dict)
    folded: dict[int, Section] = field(default_factory=dict)
    attached: dict[int, list[Relocation]] = field(default_factory=dict)
    entries: dict[int, Symbol] = field(default_factory=dict)
    choices: list[tuple[Section, int, Symbol]] = field(default_factory=list)
    asked: set[str] = field(default_factory=set)
    hidden: set[str] = field(default_factory=set)
    columns: Columns | None = None
    machine: str = "aarch64"
    entry: str = "_start"

    def meaning(self, symbol: Symbol) -> Symbol | None:
        """The definition that a reference means; None for an undefined weak name."""
        if symbol.binding == "local" or not symbol.name:
            return self.entries.get(id(symbol), symbol) if self.entries else symbol
        found = self.names.get(self.wanted_name(symbol))
        if found is None:
            return None
        return self.entries.get(id(found.symbol), found.symbol) if self.entries else found.symbol

    def elsewhere(self, symbol: Symbol, owner: ObjectFile | None) -> str:
        """For messages of `owner`: in which other file a reference's meaning is; '' if in none."""
        meaning = self.meaning(symbol)
        found = None if meaning is None else self.owner.get(id(meaning.section))
        return "" if found is None or found is owner else f" of {found.name}"

    def make(self, sections: Sequence[Section], symbols: Sequence[Symbol] = ()) -> None:
        """Add sections of the linker's own; they are kept."""
        if not self.files or self.files[-1].name != THE_LINKER:
            self.files.append(ObjectFile(THE_LINKER, self.machine))
        own = self.files[-1]
        own.sections += sections
        own.symbols += symbols
        for section in sections:
            self.owner[id(section)] = own
            self.live.add(id(section))

    def reason(self, section: Section) -> tuple[Section, Relocation] | None:
        """The relocation that reached a section, and where it stands; None for a root."""
        found = None if self.columns is None else self.columns.reasons.get(section.number)
        if self.columns is None or found is None:
            return self.reasons.get(id(section))
        source = self.columns.sections[found[0]]
        return source, source.relocations[found[1]]

    def relocations_of(
        self, sections: Sequence[Section], types: frozenset[str], *, unusual: bool = False
    ) -> Iterator[tuple[Section, list[Relocation]]]:
        """Each section with its relocations; of those in columns only what is of some types, or
        (`unusual`) to what is no place in the program."""
        columns = self.columns
        rows = {} if columns is None else columns.rows_of_types(types, unusual=unusual)
        for section in sections:
            if columns is not None and isinstance(section, ColumnSection) and section.is_raw:
                yield section, rows.get(id(section), [])
            else:
                yield section, section.relocations

    def imported(self, symbol: Symbol | None) -> Import | None:
        """The import that a meaning is, if it is one."""
        return self.imports.get(id(symbol)) if self.imports else None

    def wanted_name(self, symbol: Symbol) -> str:
        """The name that a global symbol refers to; only undefined ones are wrapped, as by ld."""
        if symbol.is_defined:
            return symbol.name
        return self.wrapped.get(symbol.name, symbol.name)


def _rank(symbol: Symbol) -> int:
    if symbol.common:
        return 1
    return 0 if symbol.binding == "weak" else 2


class _Resolver:
    __slots__ = (
        "bytes_read",
        "duplicates",
        "format",
        "groups",
        "is_positioned",
        "origins",
        "own",
        "providers",
        "requested",
        "result",
        "system_names",
        "wanted",
    )

    def __init__(self, options: LinkOptions) -> None:
        self.origins = options.origins
        entry = options.entry
        self.result = Resolved(entry=entry)
        for name in options.wrap:
            self.result.wrapped[name] = f"__wrap_{name}"
            self.result.wrapped[f"__real_{name}"] = name
        # Undefined names -> objects that refer to them; weak ones are not looked for.
        self.wanted: dict[str, list[str]] = {entry: ["the entry point"]}
        self.duplicates: dict[str, list[Definition]] = {}
        self.groups: set[str] = set()
        self.requested: set[tuple[int, int]] = set()
        self.providers: list[Archive | SharedLibrary] = []
        self.own: set[str] = set()  # wanted with hidden visibility: from no shared library
        self.format, self.system_names = options.format, options.system_names
        self.is_positioned = options.pie or options.dynamic
        self.bytes_read = 0  # of objects, and of members of archives as they are taken

    def add(self, file: ObjectFile) -> None:
        result = self.result
        if self.format == "mach-o" != file.format and file.sections:
            raise CallproofError(f"{file.name} is no Mach-O object: its calls are not Darwin's")
        if result.files and file.machine != result.machine:
            raise CallproofError(f"{file.name} is for {file.machine}, not {result.machine}")
        result.machine = file.machine
        result.files.append(file)
        own_groups = {section.group for section in file.sections if section.group}
        result.owner.update(dict.fromkeys(map(id, file.sections), file))
        if own_groups:
            repeated = own_groups & self.groups
            self.groups |= own_groups
            result.dropped.update(
                id(section) for section in file.sections if section.group in repeated
            )
        names, dropped, wanted_names = result.names, result.dropped, self.wanted
        for symbol in file.outer_symbols():
            name, section = symbol.name, symbol.section
            if symbol.visibility in HIDDEN:
                result.hidden.add(name)
            if section is None and not symbol.is_defined:
                wanted = result.wanted_name(symbol)
                if symbol.visibility in HIDDEN:
                    self.own.add(wanted)
                if symbol.binding != "weak" and wanted not in names:
                    wanted_names.setdefault(wanted, []).append(file.name)
                continue
            if dropped and section is not None and id(section) in dropped:
                continue
            if symbol.kind == "ifunc" and file.machine == "aarch64" and "getauxval" not in names:
                wanted_names.setdefault("getauxval", [THE_LINKER])  # see ifunc.py
            if symbol.common:
                _ARCHIVES.clear()  # commons are changed in place: not to be used again
            if name in names:
                self.define(symbol, file)
            else:
                wanted_names.pop(name, None)
                names[name] = Definition(symbol, file)

    def define(self, symbol: Symbol, file: ObjectFile) -> None:
        name = symbol.name
        known = self.result.names.get(name)
        self.wanted.pop(name, None)
        if known is None:
            self.result.names[name] = Definition(symbol, file)
            return
        if self.result.imports.pop(id(known.symbol), None) is not None:
            self.result.names[name] = Definition(symbol, file)
            return
        new, old = _rank(symbol), _rank(known.symbol)
        if new == old == 2:
            self.duplicates.setdefault(name, [known]).append(Definition(symbol, file))
        elif new == old == 1:
            # Common symbols of one name are one object of the largest size.
            if symbol.common > known.symbol.common:
                known.symbol.common = symbol.common
            known.symbol.value = max(known.symbol.value, symbol.value)
        elif new > old:
            self.result.names[name] = Definition(symbol, file)
            self.result.losers.setdefault(name, []).append(known)
            return
        self.result.losers.setdefault(name, []).append(Definition(symbol, file))

    def define_given(self, definitions: Mapping[str, GivenSymbol]) -> None:
        """Symbols of the command line (`--defsym`); they win over everybody's, as with ld."""
        if not definitions:
            return
        file = ObjectFile("--defsym", self.result.machine)
        for name, given in definitions.items():
            symbol = Symbol(name, absolute=True, value=given.value)
            file.symbols.append(symbol)
            known = self.result.names.pop(name, None)
            if known is not None:
                self.result.losers.setdefault(name, []).append(known)
            self.duplicates.pop(name, None)
            self.define(symbol, file)
            if given.base and given.base not in self.result.names:
                self.wanted.setdefault(given.base, []).append("--defsym")
        self.result.files.append(file)

    def finish_given(self, definitions: Mapping[str, GivenSymbol]) -> None:
        """Those that are a place beside another symbol, when that one is known."""
        for name, given in definitions.items():
            if not given.base:
                continue
            symbol, base = self.result.names[name].symbol, self.result.names.get(given.base)
            is_own = base is not None and base.symbol.is_defined and not base.symbol.common
            if base is None or not is_own or base.file.name == "--defsym":
                raise CallproofError(
                    f"--defsym {name}: '{given.base}' must be defined by an object"
                )
            symbol.section, symbol.absolute = base.symbol.section, base.symbol.absolute
            symbol.value, symbol.kind = base.symbol.value + given.value, base.symbol.kind

    def search_archives(self, providers: Sequence[Archive | SharedLibrary]) -> None:
        found = True
        while found:
            found = False
            for provider in providers:
                if isinstance(provider, Archive):
                    found |= self.search(provider)
                    continue
                wanted = [name for name in self.wanted if name not in self.own]
                for name in take_from(self.result, provider, wanted):
                    del self.wanted[name]

    def take(self, item: Input, ordered: bool) -> None:
        """One input, at its place in the order; archives are searched at once if that counts."""
        if isinstance(item, ObjectFile):
            self.add(item)
            return
        first = len(self.providers)
        for path in item.inputs if isinstance(item, ArchiveGroup) else (item,):
            place = path if isinstance(path, Path) else path.path
            columns = self.bytes_read >= COLUMNS_FROM
            is_darwin = self.format == "mach-o"
            loaded = load(place, is_darwin=is_darwin, columns=columns)
            if isinstance(loaded, ObjectFile):
                self.add(loaded)
            elif isinstance(loaded, SharedLibrary):
                self.result.libraries.append(loaded)
                if isinstance(path, AsNeeded):
                    self.result.as_needed.add(id(loaded))
                self.providers.append(loaded)
            elif isinstance(path, WholeArchive):
                for offset in loaded.offsets():
                    self.add(self.member(loaded, offset))
            else:
                self.result.archives.append(loaded)
                self.providers.append(loaded)
        if ordered:
            self.search_archives(self.providers[first:])

    def member(self, archive: Archive, offset: int) -> ObjectFile:
        columns = self.bytes_read >= COLUMNS_FROM
        member = archive.member(offset, columns=columns)
        self.bytes_read += archive.member_size(offset)
        if member.format == "mach-o" != self.format:
            raise CallproofError(DARWINS.format(member.name))
        return member

    def search(self, archive: Archive) -> bool:
        index = archive.index
        pending = [name for name in self.wanted if name in index]
        found = False
        while pending:
            for name in pending:
                if name not in self.wanted:
                    continue
                key = (id(archive), index[name])
                if key in self.requested:
                    # The index promised what the member does not define.
                    continue
                self.requested.add(key)
                wanted_by = self.wanted[name][0]
                member = self.member(archive, index[name])
                self.result.pulls[id(member)] = Pull(name, wanted_by)
                self.add(member)
                found = True
            pending = [
                name
                for name in self.wanted
                if name in index and (id(archive), index[name]) not in self.requested
            ]
        return found

    def is_linkers(self, name: str) -> bool:
        """Whether the linker defines it; the bounds of a section only where there is one."""
        for prefix in ("__start_", "__stop_"):
            if name.startswith(prefix):
                wanted = name.removeprefix(prefix)
                return any(s.name == wanted for file in self.result.files for s in file.sections)
        return (
            name in LINKER_DEFINED
            or name == TLS_QUERY
            or (name == "_DYNAMIC" and self.is_positioned)
        )

    def report(self) -> None:
        """Raise one error for all undefined and all duplicate names."""
        problems: list[Diagnostic] = []
        for name, places in self.duplicates.items():
            problems.append(
                Diagnostic(
                    "error",
                    f"'{name}' is defined more than once",
                    notes=tuple(Note(f"defined in {where.place()}") for where in places),
                )
            )
        for name, files in self.wanted.items():
            if self.is_linkers(name):
                self.result.asked.add(name)
                continue
            if name in self.system_names:
                continue
            if files == [THE_LINKER]:
                continue  # would be used if it were there
            close = get_close_matches(name, self.result.names, n=1, cutoff=0.8)
            notes = [Note(f"needed by {file}") for file in dict.fromkeys(files)]
            if name in self.origins:
                notes.insert(0, self.origins[name])
            if close:
                notes.append(Note(f"did you mean '{close[0]}'?"))
            problems.append(
                Diagnostic("error", f"'{name}' is not defined anywhere", notes=tuple(notes[:6]))
            )
        if len(problems) > MAXIMUM_MESSAGES:
            rest = len(problems) - MAXIMUM_MESSAGES
            problems[MAXIMUM_MESSAGES:] = [Diagnostic("error", f"and {rest} more like these")]
        if problems:
            raise CallproofError(problems)


def resolve(inputs: Sequence[Input], options: LinkOptions) -> Resolved:
    """Find all objects and definitions.

    Raises `CallproofError` for what is missing or double, with the `origins` of the missing.
    """
    resolver = _Resolver(options)
    resolver.bytes_read = size_of_objects(inputs)
    for item in inputs:
        resolver.take(item, options.ordered)
    resolver.define_given(options.definitions)
    if not options.ordered or options.definitions:
        resolver.search_archives(resolver.providers)
    else:
        # What a library defines stays known to what comes behind it.
        resolver.search_archives(resolver.result.libraries)
    finish_libraries(resolver.result, options, resolver.own)
    resolver.report()
    resolver.finish_given(options.definitions)
    result = resolver.result
    for definition in result.names.values():
        symbol = definition.symbol
        if symbol.common:
            # A common symbol becomes zero-filled memory of its own.
            family, kind = (".tbss", "tbss") if symbol.kind == "tls" else (".bss", "bss")
            section = Section(
                f"{family}.common", kind, alignment=max(symbol.value, 1), size=symbol.common
            )
            symbol.size, symbol.value = symbol.common, 0
            symbol.common, symbol.section = 0, section
            result.commons.append(section)
            result.owner[id(section)] = definition.file
    if resolver.bytes_read >= COLUMNS_FROM:
        from callproof.link.columns import make_columns

        result.columns = make_columns(result)
    return result
