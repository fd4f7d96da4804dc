"""x86-64's relocations for many rows at once: whole bytes that hold S + A, or S + A - P."""

from __future__ import annotations

from callproof.link.batch import Rules
from callproof.link.relocate_x64 import FIELDS, RELAXABLE, SIGNED, UNSIGNED
from callproof.link.tls_x64 import SEQUENCES
from callproof.object import elf_format as elf

NUMBERS = elf.RELOCATION_NUMBERS["x86_64"]
# Those whose value is S + A or S + A - P, whatever is there.
PLAIN = ("64", "PC64", "32", "32S", "PC32", "PLT32", "16", "PC16", "8", "PC8")
# Relaxation reads and writes more than the field.
ORDERED = (*SEQUENCES, "R_X86_64_TLSDESC_CALL", "R_X86_64_GOTTPOFF")
OPCODE = 2  # bytes before a field of the GOT that may be changed


class X64Rules(Rules):
    __slots__ = ()

    def __init__(self) -> None:
        super().__init__("x86_64")
        for name, (size, relative, fits) in FIELDS.items():
            self.extent[NUMBERS[name]] = size
            if name.removeprefix("R_X86_64_") in PLAIN:
                number, bits = NUMBERS[name], 8 * size
                self.size[number], self.is_data[number] = size, True
                low = 0 if fits == UNSIGNED else -(1 << (bits - 1))
                high = 1 << (bits - 1 if fits == SIGNED else bits)
                self.ranges[number] = low, high
                self.relative[number] = relative
        self.ordered[[NUMBERS[name] for name in ORDERED]] = True
        self.lead[[NUMBERS[name] for name in RELAXABLE]] = OPCODE
