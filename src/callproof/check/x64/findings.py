"""Events of the flow as findings: which rule, the words, and the path that shows it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from callproof.abi.sysv64 import RSP
from callproof.check.finding import Finding, Step
from callproof.check.rules import RULES
from callproof.check.x64.code import Instruction
from callproof.check.x64.flow import Event, Flow
from callproof.check.x64.values import CHANGED, Value, name_of

MOST_BLOCKS = 400  # looked at for one finding
CALLS = ("call", "indirect_call")
LEAVING = {"return": "the function returns here", "tail": "the function leaves by a tail call"}


@dataclass(frozen=True, slots=True)
class Clause:
    """Where the psABI says it, and what to do about it."""

    clause: str
    remedy: str


CLAUSES = {
    "CS1": Clause(
        "psABI x86-64 3.2.1: RBX, RBP, RSP and R12-R15 belong to the calling function",
        "save the register before it is written and restore it from the same slot on every path",
    ),
    "CR1": Clause(
        "psABI x86-64 3.2.1: RAX, RCX, RDX, RSI, RDI, R8-R11, the XMM registers and the flags "
        "are not preserved by a call",
        "keep the value in a preserved register (RBX, R12-R15) or in the frame across the call",
    ),
    "AR1": Clause(
        "psABI x86-64 3.2.3: arguments are passed in RDI, RSI, RDX, RCX, R8, R9 and XMM0-XMM7, "
        "which no earlier call preserves",
        "set the register between the previous call and this one",
    ),
    "SP1": Clause(
        "psABI x86-64 3.2.2: RSP is a multiple of 16 at a call; 3.2.1: it is given back as it was",
        "take from RSP what makes it a multiple of 16 at calls, and give back as much",
    ),
    "LR1": Clause(
        "psABI x86-64 3.2.2: the return address lies at RSP when a function is entered and left",
        "write no slot of the frame that reaches the return address",
    ),
}


def disassemble(flow: Flow, instruction: Instruction) -> str:
    """Assembly (AT&T); jumps and calls by the name of what they lead to."""
    if instruction.target < 0:
        return instruction.form.text(instruction.decoded.arguments)
    words: list[int | str] = list(instruction.decoded.arguments)
    inside = instruction.target in flow.function.instructions
    words[-1] = (
        f"{instruction.target:#x}"
        if inside and instruction.form.control != "call"
        else flow.code.name_of(instruction.target)
    )
    return instruction.decoded.row.text(words)


def last_write(flow: Flow, address: int, register: int) -> Instruction | None:
    """The nearest instruction before a place, on some path, that writes a register."""
    function = flow.function
    start = max(block for block in function.blocks if block <= address)
    seen = {start}
    queue = deque([start])
    while queue and len(seen) < MOST_BLOCKS:
        block = queue.popleft()
        for instruction in reversed(function.blocks[block]):
            if block == start and instruction.address >= address:
                continue
            if writes(instruction, register):
                return instruction
        for previous in function.predecessors.get(block, ()):
            if previous not in seen and previous in flow.inputs:
                seen.add(previous)
                queue.append(previous)
    return None


def writes(instruction: Instruction, register: int) -> bool:
    if instruction.form.control in CALLS:
        return register in CHANGED
    if register == RSP and instruction.effect.name in ("push", "pop"):
        return True
    return register in instruction.effect.writes


Described = tuple[str, str, list[Step]]  # the rule, the message, the path


class _Evidence:
    """The words for one event."""

    __slots__ = ("event", "flow", "here")

    def __init__(self, flow: Flow, event: Event) -> None:
        self.flow = flow
        self.event = event
        self.here = flow.function.instructions[event.address]

    def step(self, address: int, comment: str) -> Step:
        instruction = self.flow.function.instructions.get(address)
        text = "(no code)" if instruction is None else disassemble(self.flow, instruction)
        return Step(address, text, comment)

    def before(self, register: int, comment: str) -> list[Step]:
        found = last_write(self.flow, self.event.address, register)
        return [] if found is None else [self.step(found.address, comment)]

    def call(self, last: str) -> list[Step]:
        """The value is set, the call changes it, here it is wanted."""
        value = self.event.value
        shown = name_of(value.register)
        steps = []
        if value.before is not None and value.before.kind == "own":
            steps.append(self.step(value.before.where, "the value is set here"))
        steps.append(self.step(value.where, f"this call may change {shown}"))
        return [*steps, self.step(self.event.address, last)]

    # --- by kind of event ----------------------------------------------------------------------

    def lost(self) -> Described:
        event, shown = self.event, name_of(self.event.register)
        steps = [
            *self.before(event.register, f"the last change of {shown}"),
            self.step(event.address, LEAVING[event.detail]),
        ]
        where = "return" if event.detail == "return" else "tail call"
        message = f"{shown} does not hold its entry value at the {where}: {self.how(event.value)}"
        return "CS1", message, steps

    def how(self, value: Value) -> str:
        if value.kind == "joined":
            return "it depends on the path that was taken"
        if value.kind == "entry":
            return f"it is given what {name_of(value.register)} held"
        if value.is_left:
            return f"it is given what a call left in {name_of(value.register)}"
        found = last_write(self.flow, self.event.address, self.event.register)
        if found is not None and (found.effect.memory == "load" or found.effect.name == "pop"):
            return "what is loaded into it is not what it held at entry"
        return "it is written and not restored"

    def unbalanced(self) -> Described:
        event = self.event
        steps = [
            *self.before(RSP, "the last change of rsp"),
            self.step(event.address, LEAVING[event.detail]),
        ]
        if event.value.kind == "adrift":
            how = "depends on the path that was taken"
        elif event.value.where:
            how = "is not its entry value"
        else:
            how = f"is {event.value.offset:+d} bytes from its entry value"
        where = "return" if event.detail == "return" else "tail call"
        return "SP1", f"rsp at the {where} {how}", steps

    def misaligned(self) -> Described:
        event = self.event
        steps = self.before(RSP, "the last change of rsp")
        if event.value.kind == "adrift":
            steps.append(self.step(event.address, "rsp depends on the path"))
            return "SP1", "rsp at this call depends on the path that was taken", steps
        comment = "here it is no multiple of 16"
        if not event.value.where:
            comment = f"rsp is {event.value.offset:+d} bytes from its entry value"
        steps.append(self.step(event.address, comment))
        return "SP1", "rsp is not a multiple of 16 at a call", steps

    def link(self) -> Described:
        event = self.event
        steps = []
        for instruction in self.flow.function.instructions.values():
            if self.overwrites(instruction):
                steps.append(self.step(instruction.address, "this writes over the return address"))
                break
        steps.append(self.step(event.address, LEAVING[event.detail]))
        return "LR1", "the return address was written over", steps

    def overwrites(self, instruction: Instruction) -> bool:
        """Whether the return address is in its slot before an instruction and not behind it."""
        flow = self.flow
        start = max(block for block in flow.function.blocks if block <= instruction.address)
        if start not in flow.inputs:
            return False
        state = flow.inputs[start].copy()
        for one in flow.function.blocks[start]:
            there = (0, 0) in state.slots
            flow.step(state, one)
            if one is instruction:
                return there and (0, 0) not in state.slots
        return False

    def read(self) -> Described:
        value = self.event.value
        shown = name_of(value.register)
        message = f"{shown} is read after a call that may change it"
        comment = f"{shown} is read here"
        if self.event.register != value.register:
            comment = f"what was in {shown} is read here, from {name_of(self.event.register)}"
        return "CR1", message, self.call(comment)

    def result(self) -> Described:
        shown = name_of(self.event.register)
        message = f"{shown}, the function's result, is what a call left in it"
        return "CR1", message, self.call("the function returns here")

    def argument(self) -> Described:
        event = self.event
        shown = name_of(event.register)
        callee = self.flow.code.name_of(self.here.target)
        message = f"{callee} is called without {shown} ({event.detail}) being set"
        comment = f"{callee} takes {event.detail} in {shown}"
        if event.value.is_left:
            return "AR1", message, self.call(comment)
        return "AR1", message, [self.step(event.address, comment)]


DESCRIBE: dict[str, Callable[[_Evidence], Described]] = {
    "lost": _Evidence.lost,
    "unbalanced": _Evidence.unbalanced,
    "misaligned": _Evidence.misaligned,
    "link": _Evidence.link,
    "read": _Evidence.read,
    "result": _Evidence.result,
    "argument": _Evidence.argument,
}


def finding_of(flow: Flow, event: Event) -> Finding:
    """The finding that an event is."""
    rule, message, steps = DESCRIBE[event.kind](_Evidence(flow, event))
    certain = event.value.certain or not event.value.is_left
    clause = CLAUSES[rule]
    image = flow.code.image
    return Finding(
        rule,
        "error" if certain else "warning",
        image.name,
        flow.function.name,
        event.address,
        image.place(event.address),
        message,
        (name_of(event.register),) if event.register >= 0 else (),
        steps,
        clause.clause,
        clause.remedy,
        "" if certain else RULES[rule].assumption,
    )


__all__ = ["CLAUSES", "disassemble", "finding_of", "last_write", "writes"]
