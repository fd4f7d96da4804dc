"""A whole program whose compiled half is interpreted IR, the other half machine code.

The module's data and, for each of its functions, a row of breakpoints are linked with the
real runtime into an executable, which the emulator runs.  Where it reaches a breakpoint,
control passes to the IR interpreter; where interpreted code calls the runtime, it passes
back, with arguments and results where the calling convention has them.  Both sides share
one memory and one stack, on which every interpreted function has a frame record, so that
the runtime can walk the stack, and, at each call, all its values that could be addresses,
so that a conservative collector sees them.

This checks the front end and the passes against everything behind them (selection,
allocation, emission): what the two do must be the same.
"""

from __future__ import annotations

import os
import struct
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from callproof.abi.plan import Assignment, CallPlan, InRegister, plan
from callproof.abi.signature import Signature
from callproof.abi.types import leaves
from callproof.codegen.emitted import EmittedCall, EmittedFunction
from callproof.codegen.objects import build_object
from callproof.codegen.target import Frame, Target
from callproof.ir import operations as op
from callproof.ir.interpret import Interpreter, Number, Trap, _Frame, pack, unpack
from callproof.ir.model import Address, Datum, Function, Instruction, Module, Symbol
from callproof.ir.types import of_scalar
from callproof.run.limits import Limits
from callproof.run.memory import BadAddress
from callproof.run.process import Stream, open_file
from callproof.source import CallproofError
from callproof.target import by_name

if TYPE_CHECKING:
    from callproof.driver import Options
    from callproof.link.layout import Layout
    from callproof.run.emulator import Emulator, Outcome

BREAKPOINT = struct.pack("<I", 0xD4200000)  # brk #0
WORD = len(BREAKPOINT)
NAMES = "callproof.interpreted.names"  # a datum that refers to every name outside
RECORD = 16  # bytes of a frame record: the caller's, and the return address
LOWEST_ADDRESS = 4096  # what is less is no address
MARGIN = 64 * 1024  # of stack, kept for the runtime
MASK = (1 << 64) - 1
STACK_NAMES = ("sox_stack_limit", "sox_stack_overflow")


def stub(function: Function) -> EmittedFunction:
    """Breakpoints in place of a function: where it is entered, and where its calls return.

    Calls of the same source line (and inlined by the same calls) return to the same place:
    all that a stack walk tells.
    """
    places = lines_of_calls(function)
    code = BREAKPOINT * (len(places) + 1)
    frame = Frame(0, 0, [], [], [], None)
    emitted = EmittedFunction(function.name, function.display_name, [], frame, code)
    emitted.calls = [EmittedCall(WORD * (1 + index), number) for index, number in enumerate(places)]
    emitted.sites = function.sites
    return emitted


def lines_of_calls(function: Function) -> list[int]:
    calls = (op.CALL, op.CALL_INDIRECT)
    found = (
        i.line for block in function.blocks for i in block.instructions if i.operation in calls
    )
    return sorted(set(found))


def names_outside(module: Module) -> list[str]:
    """What the module's code and data refer to but do not define."""
    found = dict.fromkeys(module.declarations)
    for function in module.functions.values():
        for block in function.blocks:
            for i in block.instructions:
                operands = [*i.operands, *(a for target in i.targets for a in target.arguments)]
                found |= {one.name: None for one in operands if isinstance(one, Symbol)}
    return [name for name in found if name not in module.functions and name not in module.data]


@dataclass(slots=True)
class Linked:
    """`stubs` maps each breakpoint to its function, and 0 or 1 + the index of a line."""

    layout: Layout
    addresses: dict[str, int]
    stubs: dict[int, tuple[Function, int]]


def link_stubs(module: Module, options: Options) -> Linked:
    """Raises `CallproofError` as the linker does."""
    from callproof.link import LinkOptions, link_layout
    from callproof.linked_with import with_runtime

    target = by_name(options.target)
    outside = names_outside(module)
    table = Datum(NAMES, bytes(8 * len(outside)), alignment=8)
    table.addresses = [Address(8 * number, name) for number, name in enumerate(outside)]
    functions = [stub(function) for function in module.functions.values()]
    with_names = replace(module, data={**module.data, NAMES: table})
    file = build_object(with_names, functions, {}, target, module.name)
    layout = link_layout(with_runtime([file], options), LinkOptions(collect_garbage=False))
    addresses = {}
    for symbol in file.symbols:
        meaning = layout.resolved.meaning(symbol)
        address = None if meaning is None else layout.address_of(meaning)
        if address is not None:
            addresses[symbol.name] = address
    stubs = {
        addresses[emitted.name] + WORD * number: (module.functions[emitted.name], number)
        for emitted in functions
        for number in range(len(emitted.code) // WORD)
    }
    for name in STACK_NAMES:
        definition = layout.resolved.names.get(name)
        address = None if definition is None else layout.address_of(definition.symbol)
        if address is not None:
            addresses[name] = address
    return Linked(layout, addresses, stubs)


class MachineStack:
    """The program's own stack as the interpreter uses it: SP, and the last frame record."""

    __slots__ = ("fp", "memory", "sp")

    def __init__(self, emulator: Emulator) -> None:
        self.memory = emulator.memory
        self.sp = 0
        self.fp = 0

    def allocate(self, size: int, alignment: int = 16) -> int:
        self.sp = (self.sp - size) & -max(alignment, 16)
        self.memory.write(self.sp, bytes(size))
        return self.sp

    def mark(self) -> tuple[int, int]:
        return self.sp, self.fp

    def release(self, mark: tuple[int, int]) -> None:
        self.sp, self.fp = mark

    def push_record(self, return_address: int) -> None:
        self.sp -= RECORD
        self.memory.write(self.sp, struct.pack("<QQ", self.fp, return_address & MASK))
        self.fp = self.sp


@dataclass(slots=True)
class Outgoing:
    """A call of machine code that is under way, or about to begin."""

    address: int
    site: Instruction
    plan: CallPlan
    mark: tuple[int, int]
    sp: int = 0


class MixedInterpreter(Interpreter):
    """Interprets a module's functions inside an emulated program."""

    def __init__(
        self, module: Module, linked: Linked, emulator: Emulator, target: Target, limit: int
    ) -> None:
        self.module = module
        self.externals = {}
        self.limit = limit
        self.steps = 0
        self.addresses = linked.addresses
        self.stubs = linked.stubs
        self.functions_at = {
            address: function.name
            for address, (function, number) in linked.stubs.items()
            if number == 0
        }
        self.emulator = emulator
        self.convention = target.convention
        self.registers = [emulator.machine.numbers[number] for number in range(64)]
        self.machine = MachineStack(emulator)
        self.stack = self.machine  # type: ignore[assignment]
        self.frames: list[_Frame] = []
        self.returns: list[int] = []  # where to, for each frame that machine code entered
        self.calls: list[Outgoing] = []  # of machine code, not returned yet
        self.outgoing: Outgoing | None = None
        self.callee = 0  # the address of an indirect call of machine code
        self.plans: dict[int, tuple[Signature, CallPlan]] = {}
        self.lines: dict[str, dict[int, int]] = {}

    # --- memory and registers -----------------------------------------------------------------

    def read(self, address: int, size: int) -> bytes:
        try:
            return self.emulator.memory.read(address, size)
        except BadAddress:
            raise Trap(f"read of {size} bytes at {address:#x}, where there is no memory") from None

    def write(self, address: int, data: bytes) -> None:
        try:
            self.emulator.memory.write(address, data)
        except BadAddress:
            raise Trap(f"write at {address:#x}, where there is no memory") from None

    def get(self, register: int) -> int:
        return int(self.emulator.uc.reg_read(self.registers[register]))

    def set(self, register: int, value: int) -> None:
        self.emulator.uc.reg_write(self.registers[register], value)

    def plan(self, signature: Signature) -> CallPlan:
        known = self.plans.get(id(signature))
        if known is None:
            found = plan(signature, self.convention)
            assigned = [*found.parameters, *([found.result] if found.result else [])]
            if signature.result_in_memory or any(one.indirect for one in assigned):
                raise Trap("a call that passes composites by address is not interpreted")
            known = self.plans[id(signature)] = signature, found
        return known[1]

    def place(self, assignment: Assignment, values: Sequence[Number], sp: int) -> None:
        """Put a value's leaves where the convention has them."""
        image = bytearray(max(assignment.type.size, 16))
        for (offset, scalar), value in zip(leaves(assignment.type), values, strict=True):
            data = pack(value, of_scalar(scalar))
            image[offset : offset + len(data)] = data
        for part in assignment.parts:
            data = bytes(image[part.offset : part.offset + part.size])
            if isinstance(part.location, InRegister):
                self.set(part.location.register, int.from_bytes(data, "little"))
            else:
                self.write(sp + part.location.offset, data)

    def fetch(self, assignment: Assignment, sp: int) -> list[Number]:
        """The leaves of a value from where the convention has them."""
        image = bytearray(max(assignment.type.size, 16))
        for part in assignment.parts:
            if isinstance(part.location, InRegister):
                data = self.get(part.location.register).to_bytes(16, "little")[: part.size]
            else:
                data = self.read(sp + part.location.offset, part.size)
            image[part.offset : part.offset + part.size] = data
        found = []
        for offset, scalar in leaves(assignment.type):
            type_ = of_scalar(scalar)
            found.append(unpack(bytes(image[offset : offset + type_.size]), type_))
        return found

    # --- between the two ----------------------------------------------------------------------

    def trapped(self, address: int) -> int:
        """The program is at a breakpoint: go on interpreting; where machine code goes on."""
        found = self.stubs.get(address)
        if found is None:
            raise CallproofError(f"the program executed a breakpoint at {address:#x}")
        function, number = found
        sp = self.get(31)
        if number == 0:
            self.machine.release((sp, self.get(29)))
            arguments: list[Number] = []
            for assignment in self.plan(function.signature).parameters:
                arguments += self.fetch(assignment, sp)
            self.returns.append(self.get(30))
            self._enter(self.frames, function.name, arguments, None)
        else:
            call = self.calls.pop()
            if sp != call.sp:
                raise Trap(f"a call of {call.address:#x} returned with SP {sp - call.sp:+d}")
            result = call.plan.result
            results = [] if result is None else self.fetch(result, sp)
            self.machine.release(call.mark)
            self._deliver(self.frames[-1], call.site, results)
        return self.interpret()

    def interpret(self) -> int:
        """Until machine code is called or returned to; its address."""
        frames = self.frames
        while True:
            if self.outgoing is not None:
                return self.leave(self.outgoing)
            frame = frames[-1]
            depth = len(frames)
            results = self._step(frames)
            if results is None or len(frames) == depth or frame.arguments_to is not None:
                continue
            result = self.plan(frame.function.signature).result
            if result is not None:
                self.place(result, results, self.machine.sp)
            self.set(31, self.machine.sp)
            self.set(29, self.machine.fp)
            return self.returns.pop()

    def leave(self, call: Outgoing) -> int:
        self.outgoing = None
        self.set(31, call.sp)
        self.set(29, self.machine.fp)
        self.calls.append(call)
        return call.address

    # --- what the interpreter does otherwise ----------------------------------------------------

    def _function_at(self, address: int) -> str:
        name = self.functions_at.get(address)
        if name is None:
            self.callee = address & MASK
            return ""
        return name

    def _enter(
        self, frames: list[_Frame], name: str, arguments: list[Number], site: Instruction | None
    ) -> Sequence[Number] | None:
        mark = self.machine.mark()
        if site is not None:
            self.show_values(frames[-1])
        function = self.module.functions.get(name)
        if function is None:
            assert site is not None
            self.call_machine(frames[-1], name, arguments, site, mark)
            return None
        link = self.returns[-1] if site is None else self.return_address(frames[-1], site)
        if self.overflows():
            self.overflow(link, mark)
            return None
        frame = _Frame(function, mark)
        frame.arguments_to = site
        for value, argument in zip(function.blocks[0].parameters, arguments, strict=True):
            frame.values[value.number] = argument
        self.machine.push_record(link)
        frames.append(frame)
        return None

    def call_machine(
        self,
        frame: _Frame,
        name: str,
        arguments: list[Number],
        site: Instruction,
        mark: tuple[int, int],
    ) -> None:
        assert site.signature is not None
        found = self.plan(site.signature)
        address = self.addresses.get(name) if name else self.callee
        if address is None:
            raise Trap(f"@{name} has no definition")
        sp = self.machine.sp - found.stack_bytes
        at = 0
        for assignment in found.parameters:
            count = len(leaves(assignment.type))
            self.place(assignment, arguments[at : at + count], sp)
            at += count
        self.set(30, self.return_address(frame, site))
        self.outgoing = Outgoing(address, site, found, mark, sp)

    def return_address(self, frame: _Frame, site: Instruction) -> int:
        function = frame.function
        lines = self.lines.get(function.name)
        if lines is None:
            numbers = lines_of_calls(function)
            lines = {line: WORD * (1 + index) for index, line in enumerate(numbers)}
            self.lines[function.name] = lines
        return self.addresses[function.name] + lines[site.line]

    def show_values(self, frame: _Frame) -> None:
        """Put what could be addresses on the stack, for the collector."""
        found = [v for v in frame.values.values() if type(v) is int and v >= LOWEST_ADDRESS]
        if found:
            self.machine.sp -= -(-8 * len(found) // 16) * 16
            self.write(self.machine.sp, struct.pack(f"<{len(found)}Q", *found))

    def overflows(self) -> bool:
        limit = self.addresses.get("sox_stack_limit")
        if limit is None:
            return False
        low = int.from_bytes(self.read(limit, 8), "little")
        return low <= self.machine.sp < low + MARGIN

    def overflow(self, link: int, mark: tuple[int, int]) -> None:
        """Have the runtime say so, as called in place of the function that does not fit."""
        signature = Signature()
        site = Instruction(op.CALL, None, [], [])
        site.signature = signature
        self.set(30, link)
        address = self.addresses["sox_stack_overflow"]
        self.outgoing = Outgoing(address, site, self.plan(signature), mark, self.machine.sp)


def interpret_program(
    module: Module,
    options: Options,
    arguments: Sequence[str] = (),
    *,
    stdin: Stream | None = None,
    stdout: Stream | None = None,
    stderr: Stream | None = None,
    environment: Mapping[str, str] | None = None,
    name: str = "program",
    limits: Limits | None = None,
    steps: int = 1 << 62,
) -> Outcome:
    """Run a module as it is at this moment, linked with the runtime; how it ended.

    Raises `Trap` where the IR does what has no meaning, or takes more than `steps`, and
    `CallproofError` for what cannot be linked.
    """
    from callproof.link.executable import write_executable
    from callproof.run.emulator import Emulator
    from callproof.run.loader import load

    target = by_name(options.target)
    linked = link_stubs(module, options)
    image = load(bytes(write_executable(linked.layout)), name)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    emulator = Emulator(
        image,
        arguments,
        os.environ if environment is None else environment,
        files={0: open_file(stdin, 0), 1: open_file(stdout, 1), 2: open_file(stderr, 2)},
        name=name,
        limits=limits or Limits(),
    )
    interpreter = MixedInterpreter(module, linked, emulator, target, steps)
    emulator.trap = interpreter.trapped
    return emulator.run()


__all__ = ["MixedInterpreter", "interpret_program"]
