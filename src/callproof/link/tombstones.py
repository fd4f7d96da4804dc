"""What debug sections say of code that is not in the program: an address that nothing has.

Left out by garbage collection, another object's group, or folding, functions would all be at
0 and overlap for debuggers.  As `lld -z dead-reloc-in-nonalloc=...=-1` does it, and DWARF 6
will ask for: the highest address; in DWARF 4's lists, where that begins a base address's
entry, the one before.
"""

from __future__ import annotations

from callproof.object.model import Section

HIGHEST = (1 << 64) - 1
OLD_LISTS = (".debug_ranges", ".debug_loc")
RANGES, DW_RLE_START_LENGTH = ".debug_rnglists", 0x07


def tombstone(section: Section, size: int) -> int:
    """The content of a field of `size` bytes whose target is not in the program."""
    if size < 8 or not section.name.startswith(".debug_"):
        return 0
    return HIGHEST - (section.name in OLD_LISTS)


def empty_range(section: Section, data: bytearray | memoryview, offset: int) -> None:
    """Where the address at `offset` begins a range with a length, make that 0.

    The range would wrap around, and GDB then reads no more of its list: of a unit's ranges it
    may miss those of functions that are there.  The byte before an address tells what it
    is: a kind of entry, or the first of two addresses, whose highest byte is 0 or 255.
    """
    if section.name != RANGES or not offset or data[offset - 1] != DW_RLE_START_LENGTH:
        return
    for at in range(offset + 8, min(offset + 18, len(data))):
        more = data[at] & 0x80
        data[at] = more
        if not more:
            return
