"""System V x86-64: our plans against what Clang's code does, read in an emulator.

No code of ours runs here.  Clang's caller is stopped at the callee's first instruction,
and each argument is looked for where the plan says; Clang's callee is entered with the
arguments where the plan says, checks them itself, and its result is looked for.
"""

from __future__ import annotations

import io
import struct
import subprocess
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

from callproof.abi import SYSV64, plan
from callproof.abi.data_model import LINUX_X64
from callproof.abi.plan import Assignment, CallPlan, InRegister, OnStack, Part
from callproof.abi.sysv64 import RAX, RSP, ST0, XMM0
from callproof.abi.types import Integer
from tests.conformance.c_side import CaseText, c_program, layout_rows, prepare
from tests.conformance.cases import CaseSpec
from tests.conformance.compilers import CLANG, COMMON, STATIC, ZIG, Difference
from tests.conformance.values import Value

COMMAND = (
    *(*ZIG, "x86_64-linux-musl", "-mcpu=x86_64"),
    *(*COMMON, *CLANG, *STATIC, "-nostdlib", "-static", "-Wl,-e,start"),
)
STACK, STACK_SIZE = 0x7000_0000, 1 << 20
TOP = STACK + STACK_SIZE - 4096
RETURN_TO = 0x7100_0000
SCRATCH = 0x7200_0000
TIMEOUT = 5_000_000
NAMES = (
    *("RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI"),
    *(f"R{n}" for n in range(8, 16)),
)
KEPT = ("RBX", "RBP", "R12", "R13", "R14", "R15")

STUBS = f"""
.globl load_st0, load_st1, store_st0, store_st1
load_st1: fldt {SCRATCH + 16}
load_st0: fldt {SCRATCH}
    ret
store_st0: fstpt {SCRATCH}
    ret
store_st1: fstpt {SCRATCH}
    fstpt {SCRATCH + 16}
    ret
# Clang moves a __bf16 through float; our values are exact in both.
.globl __truncsfbf2
__truncsfbf2: movd %xmm0, %eax
    shrl $16, %eax
    movd %eax, %xmm0
    ret
"""


class Problem(Exception):
    """What is wrong with one case."""


class X64:
    """An executable in an emulated machine, with the names of its symbols."""

    def __init__(self, image: bytes) -> None:
        unicorn: Any = import_module("unicorn")
        constants: Any = import_module("unicorn.x86_const")
        elffile: Any = import_module("elftools.elf.elffile")
        self.error = unicorn.UcError
        self.ids = {name: getattr(constants, f"UC_X86_REG_{name}") for name in (*NAMES, "RIP")}
        self.vectors = [getattr(constants, f"UC_X86_REG_XMM{n}") for n in range(16)]
        self.uc = unicorn.Uc(unicorn.UC_ARCH_X86, unicorn.UC_MODE_64)
        elf = elffile.ELFFile(io.BytesIO(image))
        for segment in elf.iter_segments("PT_LOAD"):
            address, size = segment["p_vaddr"], segment["p_memsz"]
            start, end = address & ~0xFFF, -(-(address + size) // 4096) * 4096
            self.uc.mem_map(start, end - start)
            self.uc.mem_write(address, segment.data())
        for place, size in ((STACK, STACK_SIZE), (RETURN_TO, 4096), (SCRATCH, 1 << 16)):
            self.uc.mem_map(place, size)
        table = elf.get_section_by_name(".symtab")
        self.symbols = {s.name: int(s["st_value"]) for s in table.iter_symbols()}

    def register(self, number: int, size: int) -> bytes:
        if number >= XMM0:
            return int(self.uc.reg_read(self.vectors[number - XMM0])).to_bytes(16, "little")[:size]
        return int(self.uc.reg_read(self.ids[NAMES[number]])).to_bytes(8, "little")[:size]

    def set_register(self, number: int, data: bytes) -> None:
        """The rest of the register becomes rubbish: nobody may rely on it."""
        if number >= XMM0:
            whole = data + b"\xa5" * (16 - len(data))
            self.uc.reg_write(self.vectors[number - XMM0], int.from_bytes(whole, "little"))
        else:
            whole = data + b"\xa5" * (8 - len(data))
            self.uc.reg_write(self.ids[NAMES[number]], int.from_bytes(whole, "little"))

    def word(self, address: int) -> int:
        return int(struct.unpack("<Q", bytes(self.uc.mem_read(address, 8)))[0])

    def run(self, start: int, stop: int) -> None:
        try:
            self.uc.emu_start(start, stop, timeout=TIMEOUT)
        except self.error as problem:
            raise Problem(f"{problem} at {self.uc.reg_read(self.ids['RIP']):#x}") from None
        if self.uc.reg_read(self.ids["RIP"]) != stop:
            raise Problem("it does not arrive")

    def prepare(self, below: int) -> int:
        """Rubbish everywhere, a return address, and RSP as at a function's entry."""
        for number in range(16):
            if number != RSP:
                self.set_register(number, struct.pack("<Q", 0xBAD0_0000_0000_0000 + number))
            self.set_register(XMM0 + number, b"\xdb" * 16)
        self.uc.mem_write(TOP - 32768, b"\xdb" * 32768)
        sp = TOP - below - 8
        self.uc.mem_write(sp, struct.pack("<Q", RETURN_TO))
        self.uc.reg_write(self.ids["RSP"], sp)
        return sp

    def kept(self) -> list[int]:
        return [int(self.uc.reg_read(self.ids[name])) for name in KEPT]


def _compare(actual: bytes, value: Value, offset: int, what: str) -> None:
    wanted = value.data[offset : offset + len(actual)]
    mask = value.mask[offset : offset + len(actual)]
    if any((a ^ w) & m for a, w, m in zip(actual, wanted, mask, strict=False)):
        raise Problem(f"{what} is {actual.hex()}, not {bytes(wanted).hex()}")


def _extended(part: Part, assignment: Assignment, data: bytes) -> bytes:
    type_ = assignment.type
    assert isinstance(type_, Integer)
    number = int.from_bytes(data, "little", signed=type_.signed)
    return (number & ((1 << part.extend) - 1)).to_bytes(part.extend // 8, "little")


def _image(cases: list[CaseText], level: str, folder: Path) -> bytes:
    text, stubs, output = folder / "batch.c", folder / "stubs.s", folder / "batch"
    text.write_text(c_program(cases, LINUX_X64))
    names = [f"calle{which}_{c.number}_ir" for c in cases for which in ("e", "r")]
    lines = [f".globl {name}\n{name}: ret" for name in names]
    stubs.write_text(STUBS + "\n".join(lines) + "\n")
    command = [*COMMAND, level, str(text), str(stubs), "-o", str(output)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise AssertionError(f"the C compiler refuses the batch:\n{done.stderr[:4000]}")
    return output.read_bytes()


class Checker:
    def __init__(self, machine: X64, cases: list[CaseText]) -> None:
        self.machine = machine
        self.cases = cases
        machine.prepare(0)
        machine.run(machine.symbols["start"], RETURN_TO)
        control = int.from_bytes(machine.register(RAX, 8), "little")
        self.report, self.depth, _, self.layouts = (machine.word(control + 8 * n) for n in range(4))

    def reset(self) -> None:
        for address in (self.report, self.report + 8, self.depth):
            self.machine.uc.mem_write(address, bytes(8))

    def finish(self, checks: int) -> None:
        done, failures = self.machine.word(self.report), self.machine.word(self.report + 8)
        if failures:
            index = self.machine.word(self.report + 24)
            raise Problem("the result" if index == 99 else f"argument {index + 1} arrives wrong")
        if done != checks:
            raise Problem(f"{done} checks were made, not {checks}")

    # --- Clang calls -----------------------------------------------------------------------

    def their_caller(self, case: CaseText) -> None:
        machine, call = self.machine, plan(case.signature, SYSV64)
        self.reset()
        machine.prepare(0)
        kept = machine.kept()
        machine.run(
            machine.symbols[f"caller_{case.number}_c"],
            machine.symbols[f"callee_{case.number}_ir"],
        )
        sp = int.from_bytes(machine.register(RSP, 8), "little")
        if (sp + 8) % call.stack_alignment:
            raise Problem(f"RSP + 8 is no multiple of {call.stack_alignment}")
        for number, (assignment, value) in enumerate(
            zip(call.parameters, case.values, strict=True)
        ):
            self._arrives(assignment, value, sp + 8, f"argument {number + 1}")
        for register, wanted in call.constants:
            if machine.register(register, 1)[0] != wanted:
                raise Problem(f"AL is {machine.register(register, 1)[0]}, not {wanted}")
        back = machine.word(sp)
        machine.uc.reg_write(machine.ids["RSP"], sp + 8)
        self._give(call, case)
        machine.run(back, RETURN_TO)
        if machine.kept() != kept:
            raise Problem("a callee-saved register is lost")
        self.finish(0 if case.result is None else 1)

    def _arrives(self, assignment: Assignment, value: Value, base: int, what: str) -> None:
        for part in assignment.parts:
            size = max(part.size, part.extend // 8)
            if isinstance(part.location, OnStack):
                data = bytes(self.machine.uc.mem_read(base + part.location.offset, size))
            else:
                data = self.machine.register(part.location.register, size)
            _compare(data[: part.size], value, part.offset, what)
            if part.extend and data != _extended(part, assignment, data[: part.size]):
                raise Problem(f"{what} is not extended: {data.hex()}")

    def _give(self, call: CallPlan, case: CaseText) -> None:
        """The result where the plan says, as if the callee had returned it."""
        machine, result = self.machine, call.result
        if result is None or case.result is None or not result.parts:
            return
        data = bytes(case.result.data)
        if result.indirect:
            place = int.from_bytes(machine.register(7, 8), "little")
            machine.uc.mem_write(place, data)
            machine.set_register(RAX, struct.pack("<Q", place))
            return
        if _in_st(result):
            machine.uc.mem_write(SCRATCH, data)
            self._x87("load", len(result.parts))
            return
        for part in result.parts:
            assert isinstance(part.location, InRegister)
            piece = data[part.offset : part.offset + part.size]
            if part.extend:
                piece = _extended(part, result, piece)
            machine.set_register(part.location.register, piece)

    def _x87(self, what: str, count: int) -> None:
        """Load or store ST(0), and ST(1) of two, in the scratch page by a stub."""
        machine = self.machine
        sp = int.from_bytes(machine.register(RSP, 8), "little")
        machine.uc.mem_write(sp - 8, struct.pack("<Q", RETURN_TO + 16))
        machine.uc.reg_write(machine.ids["RSP"], sp - 8)
        machine.run(machine.symbols[f"{what}_st{count - 1}"], RETURN_TO + 16)

    # --- Clang is called -------------------------------------------------------------------

    def their_callee(self, case: CaseText) -> None:
        machine, call = self.machine, plan(case.signature, SYSV64)
        self.reset()
        sp = machine.prepare(call.stack_bytes + (-call.stack_bytes) % call.stack_alignment)
        sp -= (sp + 8) % call.stack_alignment
        machine.uc.mem_write(sp, struct.pack("<Q", RETURN_TO))
        machine.uc.reg_write(machine.ids["RSP"], sp)
        kept = machine.kept()
        for assignment, value in zip(call.parameters, case.values, strict=True):
            for part in assignment.parts:
                data = bytes(value.data[part.offset : part.offset + part.size])
                if part.extend:
                    data = _extended(part, assignment, data)
                if isinstance(part.location, OnStack):
                    machine.uc.mem_write(sp + 8 + part.location.offset, data)
                else:
                    machine.set_register(part.location.register, data)
        place = SCRATCH + 4096
        result = call.result
        if result is not None and result.indirect:
            machine.set_register(7, struct.pack("<Q", place))
        for register, constant in call.constants:
            machine.set_register(register, bytes((constant,)))
        machine.run(machine.symbols[f"callee_{case.number}_c"], RETURN_TO)
        if machine.kept() != kept or int.from_bytes(machine.register(RSP, 8), "little") != sp + 8:
            raise Problem("a callee-saved register is lost")
        self.finish(2 * len(case.values))
        if result is None or case.result is None:
            return
        if result.indirect:
            if int.from_bytes(machine.register(RAX, 8), "little") != place:
                raise Problem("RAX is not the address of the result")
            data = bytes(machine.uc.mem_read(place, len(case.result.data)))
            _compare(data, case.result, 0, "the result")
        elif _in_st(result):
            self._x87("store", len(result.parts))
            data = bytes(machine.uc.mem_read(SCRATCH, len(case.result.data)))
            _compare(data, case.result, 0, "the result")
        else:
            self._arrives(result, case.result, 0, "the result")


def _in_st(result: Assignment) -> bool:
    location = result.parts[0].location if result.parts else None
    return isinstance(location, InRegister) and location.register >= ST0


def run_x64_batch(specs: list[CaseSpec], seed: int, level: str = "-O1") -> list[Difference]:
    """Run cases in both directions; [] if Clang's code and our plans agree."""
    cases = [prepare(spec, number, seed, LINUX_X64) for number, spec in enumerate(specs)]
    with tempfile.TemporaryDirectory() as folder:
        machine = X64(_image(cases, level, Path(folder)))
    checker = Checker(machine, cases)
    found = []
    rows = [(c.number, text, size) for c in cases for text, size in layout_rows(c, LINUX_X64)]
    for index, (number, expression, size) in enumerate(rows):
        actual = machine.word(checker.layouts + 8 * index)
        if actual != size:
            found.append(Difference(number, "layout", f"{expression} is {actual}, not {size}"))
    for case in cases:
        for where, check in (
            ("their caller", checker.their_caller),
            ("their callee", checker.their_callee),
        ):
            try:
                check(case)
            except Problem as problem:
                found.append(Difference(case.number, where, str(problem)))
    return found
