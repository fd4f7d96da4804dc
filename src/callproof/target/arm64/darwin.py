"""Darwin's frames: the record on top, saved registers in fixed pairs below it.

So that Darwin's compact unwinding, 32 bits a function, says all of a frame:

    SP + 0          outgoing stack arguments, spill slots, stack slots of the program
                    ... d9 d8, ... x20 x19: each pair whole if one of it is used
    size - 16       frame record: saved X29, X30; X29 points here
    + size          the caller's SP

A function that calls nothing, saves nothing and needs less than 64 KiB has no record.
Facts: Apple, Writing ARM64 code for Apple platforms; <mach-o/compact_unwind_encoding.h>.
"""

from __future__ import annotations

from callproof.codegen.machine import Allocation, MachineFunction
from callproof.codegen.slots import place_in_frame
from callproof.codegen.target import Frame
from callproof.object.macho_format import UNWIND_FRAME, UNWIND_FRAMELESS
from callproof.source import CallproofError
from callproof.target.arm64.registers import REGISTER_FILE, V0
from callproof.target.arm64.shapes import MAXIMUM_FRAME, Arm64Shapes

# The first register of each pair, and its bit, in the order in which they are below the record.
PAIR_BITS = {
    **{19 + 2 * index: 1 << index for index in range(5)},
    **{V0 + 8 + 2 * index: 0x100 << index for index in range(4)},
}
MOST_FRAMELESS = 0xFFF  # units of 16 bytes


class DarwinShapes(Arm64Shapes):
    """See `codegen.target.Shapes`."""

    __slots__ = ()

    def frame(self, function: MachineFunction, allocation: Allocation) -> Frame:
        calls = allocation.makes_calls
        used = allocation.used_registers & REGISTER_FILE.callee_saved
        pairs = [first for first in PAIR_BITS if used >> first & 3]
        outgoing = -(-function.outgoing_bytes // 16) * 16
        spills, slots, offset = place_in_frame(function, allocation, outgoing, "SP")
        size = -(-offset // 16) * 16
        record = None
        if calls or pairs or size > 16 * MOST_FRAMELESS:
            record = size + 16 * len(pairs)
            size = record + 16
        if size > MAXIMUM_FRAME:
            raise CallproofError(f"the frame of {function.display_name} needs {size} bytes")
        saved = []
        for number, first in enumerate(pairs):
            assert record is not None
            place = record - 16 * (number + 1)
            saved += [(first + 1, place), (first, place + 8)]
        return Frame(size, outgoing, slots, spills, saved, record)


def compact_unwind(frame: Frame) -> int:
    """The encoding of a frame of ours, true wherever the function calls."""
    if frame.record is None:
        return UNWIND_FRAMELESS | frame.size // 16 << 12
    saved = {register for register, _ in frame.saved}
    return UNWIND_FRAME | sum(bit for first, bit in PAIR_BITS.items() if first in saved)
