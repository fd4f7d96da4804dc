"""What an instruction of the x86-64 table reads and writes, derived from its row.

Operands with their roles, and the registers that the row names besides, say it for registers.
For memory the rows do not say which way the bytes go: that is here, and a row that is missing
here has no effect that the checker knows (a test demands that none is).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from callproof.abi.sysv64 import RSP
from callproof.check.x64.values import FLAGS
from callproof.target.x64.decode import Decoded
from callproof.target.x64.instructions import ROWS
from callproof.target.x64.table import Row

# Bytes that a row writes to memory; names are without the letter of how it is addressed.
STORES = {
    "mov_q_mr": 8,
    "mov_l_mr": 4,
    "mov_w_mr": 2,
    "mov_b_mr": 1,
    "mov_q_mi": 8,
    "mov_l_mi": 4,
    "mov_w_mi": 2,
    "mov_b_mi": 1,
    "movups_mx": 16,
    "movsd_mx": 8,
    "movss_mx": 4,
    "fstpt": 10,
}
# Bytes that a row reads, changes and writes back.
CHANGES = {
    f"{name}_{w}_{how}": size
    for name in ("add", "or", "and", "sub", "xor")
    for w, size in (("q", 8), ("l", 4))
    for how in ("mr", "mi8", "mi")
}
# Bytes that a row loads, where a register is then what memory was.
LOADS = {"mov_q_rm": 8, "mov_l_rm": 4, "movups_xm": 16, "movsd_xm": 8, "movss_xm": 4}
LEAS = frozenset(("lea_q", "lea_l"))
COPIES = frozenset(("mov_q_rr", "movaps"))  # the whole value
PART_COPIES = frozenset(("mov_l_rr", "movq_xr", "movq_rx", "movd_xr", "movd_rx"))
# With one register twice the result does not depend on it.
CLEARING = frozenset(f"{name}_{w}_rr" for name in ("xor", "sub", "sbb") for w in "ql") | frozenset(
    ("xorps",)
)


@dataclass(frozen=True, slots=True)
class Effect:
    """`name`: the row's, without how it addresses memory.  `address`: registers that an address
    is made of; `reads`, `writes`: the others (the flags are 48; RSP only where it is an
    operand).  `memory`: 'load', 'store', 'change', 'lea' or empty, of `size` bytes (0: not
    known)."""

    name: str
    address: tuple[int, ...]
    reads: tuple[int, ...]
    writes: tuple[int, ...]
    memory: str = ""
    size: int = 0


@cache
def _base_name(row: Row) -> str:
    return row.form.name[:-2] if row.memory else row.form.name


@cache
def memory_place(row: Row) -> int:
    """The index of the first argument that an address is made of."""
    return row.pattern.places["mem"]


@cache
def memory_of(row: Row) -> tuple[str, int] | None:
    """Which way a row's bytes go, and how many; None if that is not known."""
    if not row.memory:
        return "", 0
    name = _base_name(row)
    if name in STORES:
        return "store", STORES[name]
    if name in CHANGES:
        return "change", CHANGES[name]
    if name in LEAS:
        return "lea", 0
    registers = [spec for spec in row.form.operands if spec.name in ("reg", "rm", "op")]
    # An instruction with a register that it writes, or compares, has one operand in memory,
    # which it reads: no row writes two things, and with CMP nothing is written.
    if (
        name == "fldt"
        or name.startswith(("cmp_", "ucomi"))
        or any(s.role != "use" for s in registers)
    ):
        return "load", LOADS.get(name, 0)
    return None


def effect_of(decoded: Decoded) -> Effect | None:
    """None if it is not known what the row does to memory."""
    row = decoded.row
    memory = memory_of(row)
    if memory is None:
        return None
    form, name = row.form, _base_name(row)
    address: list[int] = []
    reads: list[int] = []
    writes: list[int] = []
    for spec, argument in zip(form.operands, decoded.arguments, strict=True):
        if not spec.is_register:
            continue
        if spec.name in ("base", "index"):
            address.append(argument)
            continue
        if spec.role != "def":
            reads.append(argument)
        if spec.role != "use":
            writes.append(argument)
    if name in CLEARING and decoded.arguments[0] == decoded.arguments[1]:
        reads = []
    reads += [register for register in row.reads if register != RSP]
    writes += [register for register in row.writes if register != RSP]
    if form.reads_flags:
        reads.append(FLAGS)
    if form.writes_flags:
        writes.append(FLAGS)
    return Effect(name, tuple(address), tuple(reads), tuple(writes), *memory)


def unknown_rows() -> list[str]:
    """Rows without a known effect on memory."""
    return [name for name, row in ROWS.items() if memory_of(row) is None]


__all__ = ["Effect", "effect_of", "memory_of", "memory_place", "unknown_rows"]
