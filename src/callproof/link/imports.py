"""How a program comes by what it does not hold: relocations sorted by what they ask for.

A reference to a name that a shared library defines is answered, by what it asks for, with

    a branch                a PLT entry, which jumps through a slot that the loader fills
    a slot of the GOT       the loader fills the slot (GLOB_DAT; for thread-locals, TPREL)
    a word of data          the loader fills the word, as it does the GOT's slots
    the address in code     of a function: its PLT entry, which then is its address for everybody;
                            of data: a copy of it in the program, which everybody uses then

The last is refused for what a library protects: it would go on using its own.  In a
position-independent program words that hold addresses of its own get RELATIVE, and what
would need an address in code is refused, for that would be a text relocation.
"""

from __future__ import annotations

from collections.abc import Sequence

from callproof.link import tls_x64
from callproof.link.libraries import Import
from callproof.link.linker_symbols import ARRAYS, BOUNDS
from callproof.link.relocate import GOT_RELOCATIONS, TLS_CALLS, TLS_GOT_RELOCATIONS
from callproof.link.resolve import LINKER_DEFINED, TLS_QUERY, Resolved
from callproof.object import elf_format as elf
from callproof.object.model import Relocation, Section
from callproof.source import CallproofError

# What a relocation asks for.
CALL = "branch"
SLOT = "slot"
THREAD_SLOT = "thread slot"
WORD = "word"  # 64 bits, absolute
DISTANCE = "distance"  # from here to there
LOW = "low bits"  # the same wherever the program is loaded
FIXED = "fixed"  # an absolute address that the loader cannot fill in
THREAD = "thread offset"  # from the thread pointer, of the program's own
NOTHING = "nothing"
UNKNOWN = "unknown"

ASKS = {
    "R_AARCH64_NONE": NOTHING,
    "R_X86_64_NONE": NOTHING,
    "R_AARCH64_CALL26": CALL,
    "R_AARCH64_JUMP26": CALL,
    "R_AARCH64_PLT32": CALL,
    "R_AARCH64_ABS64": WORD,
    "R_AARCH64_ABS32": FIXED,
    "R_AARCH64_ABS16": FIXED,
    "R_X86_64_PLT32": CALL,
    "R_X86_64_64": WORD,
    "R_X86_64_32": FIXED,
    "R_X86_64_32S": FIXED,
    "R_X86_64_16": FIXED,
    "R_X86_64_8": FIXED,
    "R_X86_64_GOTPCREL": SLOT,
    "R_X86_64_GOTPCRELX": SLOT,
    "R_X86_64_REX_GOTPCRELX": SLOT,
    "R_X86_64_GOTTPOFF": THREAD_SLOT,
    "R_X86_64_TLSGD": THREAD_SLOT,
    "R_X86_64_GOTPC32_TLSDESC": THREAD_SLOT,
    "R_X86_64_TLSDESC_CALL": THREAD_SLOT,
    "R_X86_64_TLSLD": THREAD,
    "R_X86_64_GOT64": SLOT,
    "R_X86_64_GOTPCREL64": SLOT,
    "R_X86_64_GOTPC32": DISTANCE,
    "R_X86_64_GOTPC64": DISTANCE,
    "R_X86_64_GOTOFF64": DISTANCE,
    "R_X86_64_PLTOFF64": DISTANCE,
    "R_X86_64_SIZE32": NOTHING,
    "R_X86_64_SIZE64": NOTHING,
    **dict.fromkeys(GOT_RELOCATIONS, SLOT),
    **dict.fromkeys(TLS_GOT_RELOCATIONS, THREAD_SLOT),
}
BY_PREFIX = (
    ("R_AARCH64_MOVW_UABS_", FIXED),
    ("R_AARCH64_MOVW_SABS_", FIXED),
    ("R_AARCH64_MOVW_PREL_", DISTANCE),
    ("R_AARCH64_LDST", LOW),
    ("R_AARCH64_ADD_ABS_", LOW),
    ("R_AARCH64_TLSDESC_", THREAD_SLOT),
    ("R_AARCH64_TLSGD_", THREAD_SLOT),
    ("R_AARCH64_TLSLD_", THREAD),
    ("R_AARCH64_TLSLE_", THREAD),
    ("R_X86_64_TPOFF", THREAD),
    ("R_X86_64_DTPOFF", THREAD),
    ("R_AARCH64_PREL", DISTANCE),
    ("R_AARCH64_ADR_PREL_", DISTANCE),
    ("R_AARCH64_LD_PREL_", DISTANCE),
    ("R_AARCH64_CONDBR", DISTANCE),
    ("R_AARCH64_TSTBR", DISTANCE),
    ("R_X86_64_PC", DISTANCE),
)


def asks_for(type_: str) -> str:
    """One of the above; unknown for a type that the linker does not take anyway."""
    found = ASKS.get(type_)
    if found is None:
        found = next((what for prefix, what in BY_PREFIX if type_.startswith(prefix)), UNKNOWN)
        ASKS[type_] = found
    return found


# Of these types also relocations to the program's own places ask for something.
ASKING = frozenset(
    name
    for table in elf.RELOCATION_NAMES.values()
    for name in table.values()
    if asks_for(name) in (SLOT, THREAD_SLOT, WORD, FIXED, UNKNOWN)
)

# Without a GOT, or thread-locals, or on another machine these mean nothing.
DOUBTFUL = frozenset(("_GLOBAL_OFFSET_TABLE_", "_TLS_MODULE_BASE_", "__global_pointer$"))


class Scan:
    """Looks at every relocation of what is kept, before anything has an address.

    words    (section, offset, import or None for an address of the program's own, addend)
    doubtful ids of sections and offsets of words that may turn out to be no addresses
    moved    ids of read-only sections that hold such words: the loader must be able to write
    calls    imports that need a PLT entry, in order; `copies` those that need a copy
    """

    __slots__ = (
        "calls",
        "copies",
        "doubtful",
        "is_pie",
        "kinds",
        "moved",
        "outputs",
        "resolved",
        "words",
    )

    def __init__(self, resolved: Resolved, is_pie: bool, sections: Sequence[Section]) -> None:
        from callproof.link.layout import output_name

        self.resolved = resolved
        self.is_pie = is_pie
        self.outputs = {output_name(section) for section in sections}
        self.kinds = {section.kind for section in sections}
        self.words: list[tuple[Section, int, Import | None, int]] = []
        self.doubtful: set[tuple[int, int]] = set()
        self.moved: set[int] = set()
        self.calls: dict[int, Import] = {}
        self.copies: dict[int, Import] = {}

    def section(self, section: Section, relocations: Sequence[Relocation]) -> None:
        """`relocations`: the section's, at least those of `ASKING` and to what is unusual."""
        for relocation in relocations:
            asked = asks_for(relocation.type)
            if asked == NOTHING or self.is_relaxed_call(section, relocation):
                continue
            found = self.resolved.imported(self.resolved.meaning(relocation.symbol))
            if found is not None:
                found.is_used = True
                self.imported(section, relocation, asked, found)
            elif self.is_pie:
                self.own(section, relocation, asked)

    def is_relaxed_call(self, section: Section, relocation: Relocation) -> bool:
        """Whether a call of __tls_get_addr is rewritten with what is before it."""
        if relocation.symbol.name != TLS_QUERY:
            return False
        if self.resolved.machine == "x86_64":
            return relocation.offset in tls_x64.consumed_calls(section, section.relocations)
        at = relocation.offset - 4
        return any(one.offset == at and one.type in TLS_CALLS for one in section.relocations)

    def fail(self, section: Section, relocation: Relocation, why: str) -> CallproofError:
        owner = self.resolved.owner.get(id(section))
        where = self.resolved.elsewhere(relocation.symbol, owner)
        return CallproofError(
            f"{owner.name if owner else '?'}: {section.name}+{relocation.offset:#x}: "
            f"{relocation.type} to '{relocation.symbol.name}'{where}: {why}"
        )

    def is_linker_symbol(self, name: str) -> bool:
        """Whether the linker gives the name an address of the program's."""
        for prefix in ("__start_", "__stop_"):
            if name.startswith(prefix):
                return name.removeprefix(prefix) in self.outputs
        if name in ARRAYS:
            return ARRAYS[name][0] in self.kinds
        if name in BOUNDS:
            return BOUNDS[name][0] in self.outputs
        return name in LINKER_DEFINED or name == "_DYNAMIC"

    def own(self, section: Section, relocation: Relocation, asked: str) -> None:
        """A reference of a position-independent program to something of its own, or to nothing."""
        symbol = self.resolved.meaning(relocation.symbol)
        if symbol is None:
            is_address = self.is_linker_symbol(relocation.symbol.name)
        else:
            is_address = not symbol.absolute
        if is_address:
            if asked == FIXED:
                raise self.fail(
                    section,
                    relocation,
                    "the place of a position-independent program is not known when it is linked; "
                    "compile with -fPIE",
                )
            if asked == WORD:
                self.word(section, relocation, None)
                if symbol is None and relocation.symbol.name in DOUBTFUL:
                    self.doubtful.add((id(section), relocation.offset))
        elif asked == DISTANCE and section.kind not in ("debug", "other"):
            what = "an address that is not the program's" if symbol else "an undefined weak name"
            raise self.fail(
                section,
                relocation,
                f"how far a position-independent program is from {what} is not known; "
                "compile with -fPIE",
            )

    def word(self, section: Section, relocation: Relocation, found: Import | None) -> None:
        if section.kind == "code":
            raise self.fail(
                section,
                relocation,
                "the loader would have to write into code (a text relocation); compile with -fPIE",
            )
        if section.kind in ("rodata", "note"):
            self.moved.add(id(section))
        self.words.append((section, relocation.offset, found, relocation.addend))

    def imported(self, section: Section, relocation: Relocation, asked: str, found: Import) -> None:
        if asked == UNKNOWN:
            raise self.fail(section, relocation, "of a shared library this is not supported")
        is_thread = asked in (THREAD, THREAD_SLOT)
        if is_thread != (found.shared.kind == "tls"):
            raise self.fail(
                section,
                relocation,
                f"in {found.library.name} it is{' not' * is_thread} thread-local",
            )
        if asked in (SLOT, THREAD_SLOT):
            return
        if asked == THREAD:
            raise self.fail(
                section,
                relocation,
                f"a thread-local of {found.library.name} is at no fixed offset; compile with "
                "-fPIC or -ftls-model=initial-exec",
            )
        if asked == WORD and (section.kind != "code" or self.is_pie):
            self.word(section, relocation, found)
            return
        if found.shared.kind == "function":
            self.calls[id(found)] = found
            if asked == CALL:
                return
        elif asked == CALL:
            raise self.fail(section, relocation, f"in {found.library.name} it is not a function")
        else:
            self.copies[id(found)] = found
        if asked == FIXED and self.is_pie:
            raise self.fail(
                section, relocation, "it has no fixed address; compile with -fPIE or -fPIC"
            )
        if found.shared.is_protected or (
            found.library.is_symbolic and found.shared.kind == "object"
        ):
            raise self.fail(
                section,
                relocation,
                f"{found.library.name} goes on using its own; compile with -fPIC",
            )
        found.is_placed = True
