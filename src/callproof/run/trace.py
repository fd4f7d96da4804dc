"""The call trace: every call with its arguments by name, and what calls must preserve.

    Point::CREATE(this=0x4a1000, x=100, y=200)
      area(w=100, h=200)
      -> 20000
    -> (nothing)

At each return what the convention preserves is compared with its values at the call:
X19-X29, D8-D15 and SP (AAPCS64 6.1.1, 6.1.2, 6.4.5); RBX, RBP, R12-R15, RSP, DF and the
control bits of MXCSR and x87 (psABI 3.2.1).  A difference is a violation by the callee and
reported once, not again by each function around it.  On x86-64, where the processor does
not look at it, a call with RSP off its 16 bytes is a violation by the caller (3.2.2).

Where the executable has function records, the calls of and by the functions with a record
are shown and compared (the C runtime's inner calls are not); else all calls.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from dataclasses import replace
from typing import TextIO

from callproof.run.calls import Frame
from callproof.run.functions import Place, ValueRecord
from callproof.run.loader import Image
from callproof.run.machine import Machine
from callproof.run.memory import BadAddress, Memory
from callproof.run.registers import SLOT, V0, Batch, Uc

VIOLATION_STATUS = 3
WORD = (1 << 64) - 1
FLOATS = {"f16": "<e", "f32": "<f", "f64": "<d"}
VECTOR = re.compile(r"v(\d+)([iuf]\d+)")


def format_scalar(type_: str, data: bytes) -> str:
    """The value of a scalar ABI type ('i64', 'f64', 'ptr', 'v2i32') from its bytes."""
    vector = VECTOR.fullmatch(type_)
    if vector is not None:
        count, element = int(vector[1]), vector[2]
        size = len(data) // count
        lanes = (data[at : at + size] for at in range(0, count * size, size))
        return f"<{', '.join(format_scalar(element, lane) for lane in lanes)}>"
    if type_ in FLOATS and len(data) >= struct.calcsize(FLOATS[type_]):
        return f"{struct.unpack_from(FLOATS[type_], data)[0]:g}"
    if type_[:1] in "iu" and type_[1:].isdigit():
        size = int(type_[1:]) // 8
        return str(int.from_bytes(data[:size], "little", signed=type_[0] == "i"))
    return f"{int.from_bytes(data, 'little'):#x}"


def format_value(value: ValueRecord, parts: list[bytes]) -> str:
    """A value of any type from the bytes of its parts, in order."""
    if value.indirect:
        return f"&{format_scalar('ptr', b''.join(parts))}"
    if not value.type.startswith("{"):
        return format_scalar(value.type, b"".join(parts))
    members = value.type[1:-1].split(", ")
    if len(members) != len(parts) or "{" in value.type[1:]:
        members = ["bytes"] * len(parts)
    pairs = zip(members, parts, strict=True)
    return "{" + ", ".join(format_scalar(member, part) for member, part in pairs) + "}"


class _State:
    """What the trace keeps of a call: the preserved registers, and those already reported."""

    __slots__ = ("preserved", "reported")

    def __init__(self, preserved: bytes) -> None:
        self.preserved = preserved
        self.reported: set[int] = set()


class Trace:
    """Listens to calls, writes lines to `out`; `violations` counts what was not preserved."""

    __slots__ = (
        "_all",
        "_arguments",
        "_image",
        "_machine",
        "_masked",
        "_memory",
        "_names",
        "_out",
        "_place_name",
        "_preserved",
        "_shown",
        "violations",
    )

    def __init__(
        self,
        uc: Uc,
        machine: Machine,
        image: Image,
        memory: Memory,
        out: TextIO,
        place_name: Callable[[int], str],
    ) -> None:
        self._machine = machine
        self._image = image
        self._memory = memory
        self._out = out
        self._place_name = place_name
        self._arguments = Batch(uc, machine.numbers, machine.shown)
        rows = machine.preserved
        self._preserved = Batch(uc, machine.numbers, [row.register for row in rows])
        # Where in that batch are registers that have other bits besides the preserved.
        self._masked = [(SLOT * n, row.mask) for n, row in enumerate(rows) if row.mask != WORD]
        self._all = not image.records
        self._shown: list[_State] = []
        self._names: dict[int, str] = {}
        self.violations = 0

    def entered(self, frame: Frame, depth: int) -> None:
        record = frame.record
        if not (self._all or record is not None or frame.from_known):
            return
        if record is not None:
            self._arguments.read()
            arguments = ", ".join(
                f"{value.name}={self._value(value, frame.sp)}"
                if value.name
                else self._value(value, frame.sp)
                for value in record.parameters
            )
            if record.variadic:
                arguments += ", ..." if arguments else "..."
        else:
            arguments = "..."
        self._line(f"{self._name(frame)}({arguments})")
        if frame.sp % self._machine.stack_alignment:
            self._misaligned(frame)
        state = _State(self._read_preserved())
        frame.state = state
        self._shown.append(state)

    def returned(self, frame: Frame, depth: int, sp: int) -> None:
        state = frame.state
        if not isinstance(state, _State):
            return
        self._forget(state)
        record = frame.record
        if record is not None:
            self._arguments.read()
            result = self._returned(record.result)
            self._line("-> (nothing)" if result is None else f"-> {self._value(result, sp)}")
        now = self._read_preserved()
        if now != state.preserved:
            self._compare(frame, state, now)
        if sp != frame.sp:
            self._violation(frame, self._machine.sp_name, frame.sp, sp)

    def _read_preserved(self) -> bytes:
        batch = self._preserved
        batch.read()
        buffer = batch.buffer
        for at, mask in self._masked:
            value = int.from_bytes(buffer[at : at + 8], "little") & mask
            buffer[at : at + 8] = value.to_bytes(8, "little")
        return bytes(buffer)

    def _returned(self, result: ValueRecord | None) -> ValueRecord | None:
        """A result in memory as it is at the return, where its address may have moved to."""
        address = self._machine.contract.returned_address
        if result is None or not result.indirect or address is None:
            return result
        return replace(result, where=(Place("x", address, 8),))

    def dropped(self, frame: Frame, depth: int) -> None:
        if isinstance(frame.state, _State):
            self._forget(frame.state)
            self._line(f"-> (left by a jump out of {self._name(frame)})")

    def _forget(self, state: _State) -> None:
        while self._shown and self._shown.pop() is not state:
            pass

    def _line(self, text: str) -> None:
        self._out.write("  " * len(self._shown) + text + "\n")

    def _name(self, frame: Frame) -> str:
        name = self._names.get(frame.address)
        if name is None:
            record = frame.record
            shown = record.display if record else self._image.display_name(frame.address)
            name = self._names[frame.address] = shown
        return name

    def _value(self, value: ValueRecord, sp: int) -> str:
        try:
            return format_value(value, [self._part(place, sp) for place in value.where])
        except BadAddress:
            return "(unreadable)"

    def _part(self, place: Place, sp: int) -> bytes:
        if place.kind == "stack":
            return self._memory.read(sp + place.number, place.size)
        register = place.number + (V0 if place.kind == "v" else 0)
        at = self._arguments.position.get(register)
        if at is None:
            raise BadAddress  # a record that no compiler of ours wrote
        return bytes(self._arguments.buffer[at : at + place.size])

    def _compare(self, frame: Frame, state: _State, now: bytes) -> None:
        outer = self._shown[-1].reported if self._shown else set()
        for index, row in enumerate(self._machine.preserved):
            register = row.register
            start = SLOT * index
            before = state.preserved[start : start + 8]
            after = now[start : start + 8]  # of V8-V15 only the low halves are preserved
            if before == after:
                continue
            if register not in state.reported:
                self._violation(
                    frame,
                    row.name,
                    int.from_bytes(before, "little"),
                    int.from_bytes(after, "little"),
                )
            # The functions around it inherit the change and are not to blame for it.
            outer.add(register)

    def _misaligned(self, frame: Frame) -> None:
        self.violations += 1
        self._out.write(
            f"!!! {self._name(frame)} is called with {self._machine.sp_name} = {frame.sp:#x}, not "
            f"a multiple of {self._machine.stack_alignment}, at "
            f"{self._place_name(frame.return_address)}\n"
        )

    def _violation(self, frame: Frame, register: str, before: int, after: int) -> None:
        self.violations += 1
        self._out.write(
            f"!!! {self._name(frame)} does not preserve {register}: {before:#x} at the call, "
            f"{after:#x} at the return to {self._place_name(frame.return_address)}\n"
        )
