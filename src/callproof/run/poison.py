"""A hostile machine: rubbish in every register that a call may change.

At the return of a call into known code (of a function with a record) every caller-saved
register is filled except the results that the callee's record names; at the entry of a
known function every caller-saved register except its arguments and LR.  A value narrower
than its register has rubbish above it, as the standards allow (AAPCS64 6.4.2, 6.9).

ARM64: NZCV and the upper halves of V8-V15 are never preserved (AAPCS64 6.1.2, 6.1.1) and
are filled at both.  X18, the platform register, is left alone.
x86-64: all XMM registers and the flags of arithmetic are filled at both; DF and the
control bits of MXCSR and x87, which are preserved, and what x87's registers hold are not.
AL is kept at the entry of variadic functions, RAX at the return of those whose result is
in memory (psABI 3.2.1, 3.2.3).

Code without records (the C runtime) may rest on private knowledge of its own functions,
so returns into it and entries of it are left alone, and a callee without a record keeps
all its possible results (X0-X7 and V0-V7; RAX, RDX, XMM0 and XMM1).  A function that
known code declares ("external") is called exactly by its record, and its inside is left
alone too.  `strict` treats all code as known, for programs of which one is sure that they
follow the standard everywhere.
"""

from __future__ import annotations

from callproof.run.calls import Frame
from callproof.run.functions import FunctionRecord, ValueRecord
from callproof.run.machine import Contract, Machine
from callproof.run.registers import SLOT, V0, Batch, Uc

VARIANTS = 16

Kept = dict[int, int]  # register -> how many low bytes of it to leave alone


def kept_values(values: list[ValueRecord]) -> Kept:
    """The bytes of registers that hold these parameters or this result."""
    kept: Kept = {}
    for value in values:
        for place in value.where:
            if place.kind != "stack":
                register = place.number + (V0 if place.kind == "v" else 0)
                kept[register] = max(place.size, kept.get(register, 0))
    return kept


def kept_at_entry(record: FunctionRecord | None, contract: Contract) -> Kept:
    """What a callee may read: its arguments, LR, and the address of a result in memory."""
    if record is None or record.variadic:
        kept = dict.fromkeys(contract.arguments, SLOT) | dict(contract.hidden)
    else:
        kept = kept_values(list(record.parameters))
        if record.result is not None and record.result.indirect:
            kept[contract.indirect] = SLOT
    if contract.link is not None:
        kept[contract.link] = SLOT
    return kept


def kept_at_return(record: FunctionRecord | None, contract: Contract) -> Kept:
    """What a caller may read: the result."""
    if record is None:
        return dict.fromkeys(contract.results, SLOT)
    if record.result is None:
        return {}
    if record.result.indirect:
        address = contract.returned_address
        return {} if address is None else {address: SLOT}
    return kept_values([record.result])


def rubbish(register: int, variant: int) -> bytes:
    """16 recognisable bytes that differ by register and variant.

    In general registers never a valid address ("0badca11" or its negative is in front); in
    vector registers a NaN or a number, in both lanes.
    """
    mark = variant << 8 | register
    if register < V0:
        front = 0xF0BADCA1_1000_0000 if variant & 1 else 0x0BADCA11_0000_0000
    else:
        front = 0xC0BADCA1_1000_0000 if variant & 1 else 0x7FF8BADC_A110_0000
    lane = (front | mark).to_bytes(8, "little")
    return lane + lane


class _Fill:
    """Fills all that a `Kept` does not protect; the rubbish differs from time to time."""

    __slots__ = ("_all", "_flags", "_flags_at", "_mixed", "_partial", "_turn", "_values")

    def __init__(self, uc: Uc, machine: Machine, kept: Kept) -> None:
        contract, flags = machine.contract, machine.contract.flags
        partial: list[tuple[int, int]] = [(register, 8) for register in contract.half_saved]
        full: list[int] = []
        for register in (*contract.general, *contract.vectors):
            size = kept.get(register, 0)
            if size == 0:
                full.append(register)
            elif size < (SLOT if register >= V0 else 8):
                partial.append((register, size))
        for register, size in kept.items():
            if register in contract.half_saved and size > 8:
                raise AssertionError("no value travels in the upper half of V8-V15")
        mixed = [register for register, _ in partial]
        # Flags that have neighbours to be left alone are read first, as partly kept values.
        (mixed if flags.kept else full).append(flags.register)
        self._mixed = Batch(uc, machine.numbers, mixed)
        self._all = Batch(uc, machine.numbers, full)
        self._values = [
            b"".join(
                flags.values[variant].to_bytes(SLOT, "little")
                if register == flags.register
                else rubbish(register, variant)
                for register in full
            )
            for variant in range(VARIANTS)
        ]
        self._flags = flags
        self._flags_at = self._mixed.position.get(flags.register)
        # Where in the mixed registers' buffer rubbish goes, and what, by variant.
        self._partial = [
            [
                (
                    SLOT * index + size,
                    SLOT * (index + 1),
                    rubbish(register, variant)[size:],
                )
                for index, (register, size) in enumerate(partial)
            ]
            for variant in range(VARIANTS)
        ]
        self._turn = 0

    def run(self) -> None:
        variant = self._turn
        self._turn = (variant + 1) % VARIANTS
        self._all.buffer[:] = self._values[variant]
        self._all.write()
        mixed = self._mixed
        mixed.read()
        buffer = mixed.buffer
        for start, end, data in self._partial[variant]:
            buffer[start:end] = data
        at = self._flags_at
        if at is not None:
            flags = self._flags
            now = int.from_bytes(buffer[at : at + 8], "little") & flags.kept
            buffer[at : at + 8] = (now | flags.values[variant]).to_bytes(8, "little")
        mixed.write()


class Poison:
    """Listens to calls and fills registers; `fills` counts how often it did."""

    __slots__ = ("_at_entry", "_at_return", "_fills", "_machine", "_strict", "_uc", "fills")

    def __init__(self, uc: Uc, machine: Machine, *, strict: bool = False) -> None:
        self._uc = uc
        self._machine = machine
        self._strict = strict
        self._at_entry: dict[int, _Fill] = {}
        self._at_return: dict[int, _Fill] = {}
        self._fills: dict[tuple[tuple[int, int], ...], _Fill] = {}
        self.fills = 0

    def entered(self, frame: Frame, depth: int) -> None:
        if frame.record is None and not self._strict:
            return
        fill = self._at_entry.get(frame.address)
        if fill is None:
            fill = self._at_entry[frame.address] = self._fill(
                kept_at_entry(frame.record, self._machine.contract)
            )
        self.fills += 1
        fill.run()

    def returned(self, frame: Frame, depth: int, sp: int) -> None:
        if not (frame.from_known or self._strict):
            return
        fill = self._at_return.get(frame.address)
        if fill is None:
            fill = self._at_return[frame.address] = self._fill(
                kept_at_return(frame.record, self._machine.contract)
            )
        self.fills += 1
        fill.run()

    def dropped(self, frame: Frame, depth: int) -> None:
        """Nothing is known of the registers after a non-local jump but what it restores."""

    def _fill(self, kept: Kept) -> _Fill:
        key = tuple(sorted(kept.items()))
        if key not in self._fills:
            self._fills[key] = _Fill(self._uc, self._machine, kept)
        return self._fills[key]
