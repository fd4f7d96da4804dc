"""How rows of the x86-64 instruction table are written, encoded and printed.

A row's code is written as in the processor's manual: mandatory prefix, `W` for REX.W,
opcode bytes, then how operands enter:

    /r        a ModRM byte with a register operand in its reg field
    /0 .. /7  a ModRM byte with this digit there
    +r        a register in the low bits of the last opcode byte (REX.B above them)
    +c        a condition there
    ib iw id iq     an immediate of 1, 2, 4, 8 bytes, sign-extended where it is shorter
    ub        one byte, 0..255
    ib/id     one byte if it fits, by the opcode 2 higher; for RAX 4 bytes without ModRM
    id/acc    4 bytes; for RAX by opcode A9 without ModRM (TEST)
    ib/id*    one byte if it fits, by the opcode 2 higher (IMUL)
    i1/ib     a shift count; by the opcode 0x10 higher without immediate if it is 1
    rel8 rel32      a distance; as an argument it counts from the instruction's start

Operands are `role:kind@place`, in the order of the arguments: kind r8 r16 r32 r64 x (XMM),
place reg, rm or op; `mem` is a memory operand, `imm`, `cond` and `rel` are what they say.
A row with `mem` becomes a form for each way to address:

    name_b    base, displacement
    name_x    base, index, scale (as a power of two, 0..3), displacement
    name_p    a symbol, by its distance from RIP

Encoder, printer (AT&T syntax: no name of a symbol is mistaken for a register or an
operator) and the allocator's view are all derived from the row.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from callproof.abi.sysv64 import register_name
from callproof.codegen.machine import FLOAT, GENERAL, Form, OperandSpec

SIZES = {"r8": 1, "r16": 2, "r32": 4, "r64": 8}
CONDITIONS = "o no b ae e ne be a s ns p np l ge le g".split()
IMMEDIATE_BYTES = {"ub": 1, "ib": 1, "iw": 2, "id": 4, "iq": 8}
REMEMBERED = 1 << 15  # encodings kept per form
RSP = 4

BASE, INDEX, PC_RELATIVE = "b", "x", "p"
MEMORY_SPECS = {
    BASE: (OperandSpec("base", "r64", "use", GENERAL), OperandSpec("disp", "disp")),
    INDEX: (
        OperandSpec("base", "r64", "use", GENERAL),
        OperandSpec("index", "r64", "use", GENERAL),
        OperandSpec("scale", "scale"),
        OperandSpec("disp", "disp"),
    ),
    PC_RELATIVE: (OperandSpec("symbol", "symbol"),),
}


def signed(value: int, size: int, what: str) -> bytes:
    """The value in `size` bytes; a `ValueError` if it does not fit as a signed number."""
    if not -(1 << (8 * size - 1)) <= value < 1 << (8 * size - 1):
        raise ValueError(f"{what} {value} does not fit {size} signed bytes")
    return value.to_bytes(size, "little", signed=True)


def _register(value: int, kind: str) -> int:
    """The encoding's number of a register operand."""
    first = 32 if kind == "x" else 0
    if not first <= value < first + 16:
        raise ValueError(f"register {value} is not of kind {kind}")
    return value - first


def _modrm(reg: int, rm: int) -> bytes:
    return bytes((0xC0 | (reg & 7) << 3 | rm & 7,))


def _based(reg: int, base: int, displacement: int, index: int = -1, scale: int = 0) -> bytes:
    """ModRM, SIB and displacement of a memory operand, the shortest way."""
    if index < 0:
        low, sib = base & 7, b"\x24" if base & 7 == RSP else b""
    else:
        if index == RSP:
            raise ValueError("RSP cannot be an index")
        if not 0 <= scale <= 3:
            raise ValueError(f"scale 2**{scale}")
        low, sib = RSP, bytes((scale << 6 | (index & 7) << 3 | base & 7,))
    if displacement == 0 and base & 7 != 5:
        mod, field = 0, b""
    elif -128 <= displacement < 128:
        mod, field = 1, signed(displacement, 1, "displacement")
    else:
        mod, field = 2, signed(displacement, 4, "displacement")
    return bytes((mod << 6 | (reg & 7) << 3 | low,)) + sib + field


@dataclass(frozen=True, slots=True)
class Pattern:
    """A row's code as the decoder looks for it; `extension` is -1 where the ModRM byte's reg
    field is no digit, `places` says which argument an operand is (reg, rm, op, mem, imm ...)."""

    prefix: bytes
    wide: bool
    opcode: bytes
    extension: int
    immediate: str
    places: dict[str, int]


class Row:
    """One form of an instruction; see the module's text.

    reads, writes     registers that it reads or writes besides its operands (numbers)
    stored            the arguments stand in AT&T's order (source first), not in Intel's
    """

    __slots__ = (
        "_code",
        "_extension",
        "_immediate",
        "_opcode",
        "_places",
        "_prefix",
        "_wide",
        "form",
        "kinds",
        "memory",
        "reads",
        "stored",
        "template",
        "writes",
    )

    def __init__(
        self,
        name: str,
        mnemonic: str,
        code: str,
        operands: str,
        *,
        variant: str = "",
        control: str = "",
        flags: str = "",
        stored: bool = False,
        is_move: bool = False,
        reads: tuple[int, ...] = (),
        writes: tuple[int, ...] = (),
        template: str = "",
    ) -> None:
        tokens = code.split()
        self._prefix = b""
        if tokens[0] in ("66", "F2", "F3"):
            self._prefix = bytes((int(tokens.pop(0), 16),))
        self._wide = tokens[0] == "W"
        if self._wide:
            tokens.pop(0)
        count = sum(1 for token in tokens if re.fullmatch("[0-9A-F]{2}", token))
        self._opcode = bytes(int(token, 16) for token in tokens[:count])
        rest = tokens[count:]
        digit = next((token[1] for token in rest if re.fullmatch("/[0-7]", token)), "")
        self._extension = int(digit) if digit else -1
        self._immediate = next((token for token in rest if token[0] in "iru"), "")
        self.memory = variant
        self.stored = stored
        self.template = template
        self.reads, self.writes = reads, writes
        self._places: dict[str, int] = {}
        specs: list[OperandSpec] = []
        for token in operands.split():
            if token == "mem":
                self._places["mem"] = len(specs)
                specs += MEMORY_SPECS[variant]
            elif token in ("imm", "cond", "rel"):
                self._places[token] = len(specs)
                specs.append(OperandSpec(token, token))
            else:
                what, place = token.split("@")
                role, kind = what.split(":")
                register_class = FLOAT if kind == "x" else GENERAL
                self._places[place] = len(specs)
                specs.append(OperandSpec(place, kind, role, register_class))
        self.kinds = [spec.kind for spec in specs]
        fixed = 0
        if self._immediate in ("rel8", "rel32"):
            fixed = len(self._opcode) + (1 if self._immediate == "rel8" else 4)
        elif not specs:
            fixed = len(self._prefix) + self._wide + len(self._opcode)
        self._code: dict[tuple[int, ...], bytes] = {}
        self.form = Form(
            name,
            mnemonic,
            tuple(specs),
            encode=self.encode,
            text=self.text,
            control=control,
            memory=("store" if stored else "load") if variant else "",
            is_move=is_move,
            reads_flags="r" in flags,
            writes_flags="w" in flags,
            size=fixed,
            measure=None if fixed else self.measure,
            code=self.bytes_of,
            field_end=self._field_end(),
        )

    def _field_end(self) -> int:
        """How far before the instruction's end the field of a symbol begins; 0 for none."""
        if self._immediate == "rel32":
            return 4
        if self.memory == PC_RELATIVE:
            return 4 + IMMEDIATE_BYTES.get(self._immediate, 0)
        return 0

    @property
    def pattern(self) -> Pattern:
        return Pattern(
            self._prefix,
            self._wide,
            self._opcode,
            self._extension,
            self._immediate,
            self._places,
        )

    # --- encoding -----------------------------------------------------------------------

    def bytes_of(self, arguments: Sequence[int]) -> bytes:
        """The instruction.  Raises `ValueError` for arguments that it cannot have."""
        key = tuple(arguments)
        known = self._code.get(key)
        if known is None:
            known = self._encoded(key)
            if len(self._code) < REMEMBERED:
                self._code[key] = known
        return known

    def encode(self, arguments: Sequence[int]) -> int:
        return int.from_bytes(self.bytes_of(arguments), "little")

    def measure(self, arguments: Sequence[int]) -> int:
        return len(self.bytes_of(arguments))

    def _operand(self, place: str, arguments: tuple[int, ...]) -> int:
        """The encoding's number of the register at a place, -1 if there is none."""
        index = self._places.get(place)
        return -1 if index is None else _register(arguments[index], self.kinds[index])

    def _encoded(self, arguments: tuple[int, ...]) -> bytes:
        if len(arguments) != len(self.kinds):
            raise ValueError(f"{len(arguments)} operands, not {len(self.kinds)}")
        places = self._places
        opcode, tail = self._opcode, b""
        if "imm" in places:
            opcode, tail = self._with_immediate(arguments)
        reg, rm = self._operand("reg", arguments), self._operand("rm", arguments)
        low = self._operand("op", arguments)
        if "cond" in places:
            condition = arguments[places["cond"]]
            if not 0 <= condition < 16:
                raise ValueError(f"condition {condition}")
            opcode = opcode[:-1] + bytes((opcode[-1] + condition,))
        if self._extension >= 0:
            reg = self._extension
        rex = 0x48 if self._wide else 0
        if any(
            self.kinds[places[place]] == "r8" and 4 <= number < 8
            for place, number in (("reg", reg), ("rm", rm), ("op", low))
            if place in places
        ):
            rex |= 0x40  # without it 4..7 are AH..BH
        if reg >= 8:
            rex |= 0x44
        address = b""
        if self.memory:
            at = places["mem"]
            if self.memory == PC_RELATIVE:
                address = bytes(((reg & 7) << 3 | 5,)) + signed(arguments[at], 4, "distance")
            elif self.memory == BASE:
                base = _register(arguments[at], "r64")
                rex |= 0x41 if base >= 8 else 0
                address = _based(reg, base, arguments[at + 1])
            else:
                base, index = (_register(arguments[at + n], "r64") for n in (0, 1))
                rex |= (0x41 if base >= 8 else 0) | (0x42 if index >= 8 else 0)
                address = _based(reg, base, arguments[at + 3], index, arguments[at + 2])
        elif rm >= 0 and not self._short(opcode):
            rex |= 0x41 if rm >= 8 else 0
            address = _modrm(reg, rm)
        if low >= 0:
            rex |= 0x41 if low >= 8 else 0
            opcode = opcode[:-1] + bytes((opcode[-1] + (low & 7),))
        if "rel" in places:
            size = 1 if self._immediate == "rel8" else 4
            distance = arguments[places["rel"]]
            # A symbol's distance is left to the linker: its argument is 0.
            end = len(opcode) + size
            tail = signed(distance - end if distance or size == 1 else 0, size, "distance")
        prefix = bytes((rex,)) if rex else b""
        return self._prefix + prefix + opcode + address + tail

    def _short(self, opcode: bytes) -> bool:
        """Whether this is the form for RAX that has no ModRM byte."""
        how = self._immediate
        return how in ("ib/id", "id/acc") and opcode != self._opcode and opcode[0] & 7 in (1, 5)

    def _with_immediate(self, arguments: tuple[int, ...]) -> tuple[bytes, bytes]:
        """Opcode and field of an immediate, by the row's choice among them."""
        value = arguments[self._places["imm"]]
        opcode, how = self._opcode, self._immediate
        if how == "ub":
            if not 0 <= value < 256:
                raise ValueError(f"immediate {value} does not fit an unsigned byte")
            return opcode, bytes((value,))
        if how in IMMEDIATE_BYTES:
            size = IMMEDIATE_BYTES[how]
            if how == "iq" or (how == "id" and not self._wide):
                value = _wrapped(value, size)
            return opcode, signed(value, size, "immediate")
        if how == "i1/ib":
            if not 0 <= value < (64 if self._wide else 32):
                raise ValueError(f"shift by {value}")
            if value == 1:
                return bytes((opcode[0] + 0x10,)), b""
            return opcode, bytes((value,))
        if not self._wide:
            value = _wrapped(value, 4)
        if how == "id/acc":
            accumulator = arguments[self._places["rm"]] == 0
            return b"\xa9" if accumulator else opcode, signed(value, 4, "immediate")
        if -128 <= value < 128:
            return bytes((opcode[0] + 2,)), signed(value, 1, "immediate")
        field = signed(value, 4, "immediate")
        if how == "ib/id" and not self.memory and arguments[self._places["rm"]] == 0:
            return bytes((self._extension << 3 | 5,)), field
        return opcode, field

    # --- printing ---------------------------------------------------------------------------

    def text(self, arguments: Sequence[int | str]) -> str:
        """The instruction in AT&T syntax; symbols and labels may be strings."""
        mnemonic = self.form.mnemonic
        if self.template:
            names = [self._word(arguments, index) for index in range(len(self.kinds))]
            return f"{mnemonic:<7} {self.template.format(*names)}".rstrip()
        shown = []
        index = 0
        while index < len(self.kinds):
            kind = self.kinds[index]
            if index == self._places.get("mem"):
                shown.append(self._address(arguments, index))
                index += len(MEMORY_SPECS[self.memory])
                continue
            if kind == "cond":
                mnemonic += CONDITIONS[int(arguments[index])]
            else:
                shown.append(self._word(arguments, index))
            index += 1
        if not self.stored:
            shown.reverse()
        return f"{mnemonic:<7} {', '.join(shown)}".rstrip()

    def _word(self, arguments: Sequence[int | str], index: int) -> str:
        kind, value = self.kinds[index], arguments[index]
        if isinstance(value, str):
            return value
        if kind in SIZES:
            return f"%{register_name(value, SIZES[kind])}"
        if kind == "x":
            return f"%{register_name(value, 16)}"
        if kind == "rel":
            return f".{value:+d}"
        return f"${value}"

    def _address(self, arguments: Sequence[int | str], at: int) -> str:
        if self.memory == PC_RELATIVE:
            return f"{arguments[at]}(%rip)"
        base = self._word(arguments, at)
        displacement = arguments[at + len(MEMORY_SPECS[self.memory]) - 1]
        shown = "" if displacement == 0 else str(displacement)
        if self.memory == BASE:
            return f"{shown}({base})"
        scale = 1 << int(arguments[at + 2])
        index = self._word(arguments, at + 1)
        return f"{shown}({base},{index}{'' if scale == 1 else f',{scale}'})"


def _wrapped(value: int, size: int) -> int:
    """The value of the field: an unsigned number that fits it is as good as a signed one."""
    bits = 8 * size
    if not -(1 << (bits - 1)) <= value < 1 << bits:
        raise ValueError(f"immediate {value} does not fit {bits} bits")
    return value - (1 << bits) if value >> (bits - 1) > 0 else value


Maker = Callable[..., None]


class Table:
    """Rows by name, as they are written down."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}

    def add(self, name: str, mnemonic: str, code: str, operands: str, **facts: object) -> None:
        """A row, or with `mem` one for each way to address."""
        variants = (BASE, INDEX, PC_RELATIVE) if "mem" in operands.split() else ("",)
        for variant in variants:
            full = f"{name}_{variant}" if variant else name
            assert full not in self.rows, full
            self.rows[full] = Row(full, mnemonic, code, operands, variant=variant, **facts)  # type: ignore[arg-type]

    def forms(self) -> dict[str, Form]:
        return {name: row.form for name, row in self.rows.items()}


__all__ = ["BASE", "CONDITIONS", "INDEX", "PC_RELATIVE", "Pattern", "Row", "Table", "signed"]
