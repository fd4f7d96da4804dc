"""Thread-local variables of shared libraries on AArch64: all accesses become initial-exec.

A program's own thread-locals are at offsets that the link knows (`relocate.py`); those of a
library that it starts with are at offsets that the loader knows, and puts into the GOT.
So a call of a descriptor, or of __tls_get_addr, becomes a load of that offset.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from callproof.link.resolve import Resolved
from callproof.object import elf_format as elf
from callproof.object.model import Relocation

if TYPE_CHECKING:
    from callproof.link.relocate import Relocator

ADRP_X0, LOAD_X0 = 0x90000000, 0xF9400000  # adrp x0, slot; ldr x0, [x0, #slot]

# Of the sequences' other instructions those of a descriptor become NOPs.
LOADED = {
    "R_AARCH64_TLSDESC_ADR_PAGE21": ADRP_X0,
    "R_AARCH64_TLSDESC_LD64_LO12": LOAD_X0,
    "R_AARCH64_TLSGD_ADR_PAGE21": ADRP_X0,
    "R_AARCH64_TLSGD_ADD_LO12_NC": LOAD_X0,
}
PREFIXES = ("R_AARCH64_TLSDESC_", "R_AARCH64_TLSGD_")
SEQUENCES = frozenset(
    name for name in elf.AARCH64_RELOCATIONS.values() if name.startswith(PREFIXES)
)


def is_loaded(resolved: Resolved, relocation: Relocation) -> bool:
    """Whether a relocation is of a sequence for a library's thread-local."""
    if not resolved.imports or not relocation.type.startswith(PREFIXES):
        return False
    return resolved.imported(resolved.meaning(relocation.symbol)) is not None


def load(relocator: Relocator, relocation: Relocation, value: int, place: int) -> int:
    """One instruction of the sequence at `place`, for the slot that holds the offset."""
    from callproof.link.arm64_fields import INSTRUCTIONS
    from callproof.link.relocate import NOP

    word = LOADED.get(relocation.type, NOP)
    if word == NOP:
        return word
    slot = relocator.slot(relocation, value, thread=True)
    like = "ADR_GOT_PAGE" if word == ADRP_X0 else "LD64_GOT_LO12_NC"
    return INSTRUCTIONS[f"R_AARCH64_{like}"](word, slot, place)
