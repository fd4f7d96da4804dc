"""Our own x86-64 code, each time with one instruction changed into a broken one of its length.

A mutant says which rules must find it: an edit is only made where it breaks the convention
for certain, by what the function's listing alone shows (never by the checker's states).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from callproof.abi.sysv64 import CALLEE_SAVED, RAX, RBX, RCX, RDI, RSI, RSP
from callproof.check.image import Image, Region
from callproof.check.x64.calls import facts_of
from callproof.check.x64.code import Code, Function, Instruction
from callproof.check.x64.findings import finding_of
from callproof.check.x64.program import explore

R10, R11, R12, R13 = 10, 11, 12, 13
CALLS = ("call", "indirect_call")
WORD = 8


@dataclass(frozen=True, slots=True)
class Mutant:
    """`kind` of edit; `code` goes to `address`; one of `rules` must be found."""

    kind: str
    function: int
    address: int
    code: bytes
    text: str
    rules: frozenset[str]


def mutants(code: Code, function: Function) -> Iterator[Mutant]:
    """All of a function, which has been decoded."""
    for make in (
        _saves_and_restores,
        _stack_pointer,
        _return_address,
        _read_after_call,
        _arguments,
    ):
        yield from make(code, function)


def _changed(
    kind: str, function: Function, one: Instruction, arguments: tuple[int, ...], *rules: str
) -> Iterator[Mutant]:
    row = one.decoded.row
    code = row.bytes_of(arguments)
    if len(code) == one.decoded.size and arguments != one.decoded.arguments:
        text = (
            f"{function.name}: {row.form.text(one.decoded.arguments)}: {row.form.text(arguments)}"
        )
        yield Mutant(kind, function.start, one.address, code, text, frozenset(rules))


def _other(register: int) -> int:
    """A register that calls change, whose encoding is as long."""
    return R10 if register >= 8 else RCX


def _saves_and_restores(_code: Code, function: Function) -> Iterator[Mutant]:
    for one in function.instructions.values():
        if one.effect.name in ("push", "pop"):
            (register,) = one.decoded.arguments
            if CALLEE_SAVED >> register & 1:
                kind = "no save" if one.effect.name == "push" else "no restore"
                yield from _changed(kind, function, one, (_other(register),), "CS1")


def _stack_pointer(_code: Code, function: Function) -> Iterator[Mutant]:
    returns = any(one.form.control == "return" for one in function.instructions.values())
    for one in function.instructions.values():
        if one.effect.name in ("add_q_ri", "sub_q_ri") and one.decoded.arguments[0] == RSP:
            constant = one.decoded.arguments[1]
            if returns:
                for by in (WORD, -WORD):
                    yield from _changed("rsp", function, one, (RSP, constant + by), "SP1")


def _return_address(_code: Code, function: Function) -> Iterator[Mutant]:
    """A store into the frame goes to the return address instead."""
    depth = 0
    for one in function.blocks[function.start]:
        name = one.effect.name
        if name == "push":
            depth += WORD
        elif name == "sub_q_ri" and one.decoded.arguments[0] == RSP:
            depth += one.decoded.arguments[1]
        elif name == "and_q_ri" and one.decoded.arguments[0] == RSP:
            return
    if not any(one.form.control == "return" for one in function.instructions.values()):
        return
    for one in function.blocks[function.start]:
        if one.form.name == "mov_q_mr_b" and one.decoded.arguments[1] == RSP:
            source, base, _ = one.decoded.arguments
            yield from _changed("return address", function, one, (source, base, depth), "LR1")


def _after_calls(
    block: list[Instruction],
) -> Iterator[tuple[Instruction, set[int], list[Instruction]]]:
    """Each instruction behind a call in its block, with the registers written since, and what
    follows it."""
    written: set[int] | None = None
    for index, one in enumerate(block):
        if one.form.control in CALLS:
            written = set()
            continue
        if written is not None:
            yield one, written, block[index + 1 :]
            written |= set(one.effect.writes)


def _read_after_call(_code: Code, function: Function) -> Iterator[Mutant]:
    """An operation takes RCX or R10 where it took what a preserved register holds."""
    for block in function.blocks.values():
        for one, written, _ in _after_calls(block):
            form = one.form
            if one.effect.memory or form.is_move or one.effect.name in ("push", "pop", "mov_l_rr"):
                continue
            for index, spec in enumerate(form.operands):
                register = one.decoded.arguments[index]
                saved = register in (RBX, R12, R13)
                if spec.role != "use" or not saved or spec.name in ("base", "index"):
                    continue
                if not spec.is_register or _other(register) in written:
                    continue
                arguments = list(one.decoded.arguments)
                arguments[index] = _other(register)
                yield from _changed("after a call", function, one, tuple(arguments), "CR1")


def _arguments(code: Code, function: Function) -> Iterator[Mutant]:
    """What sets an argument behind another call sets RAX or R11 instead."""
    for block in function.blocks.values():
        for one, written, following in _after_calls(block):
            if one.effect.name not in ("mov_q_rr", "mov_q_ri", "mov_l_ri", "mov_q_rm", "lea_q"):
                continue
            (register,) = one.effect.writes
            if register not in (RDI, RSI, 8, 9) or register in written:
                continue
            if _is_argument(code, register, following):
                arguments = tuple(
                    (R11 if register >= 8 else RAX) if spec.role == "def" else argument
                    for spec, argument in zip(one.form.operands, one.decoded.arguments, strict=True)
                )
                yield from _changed("no argument", function, one, arguments, "AR1", "CR1")


def _is_argument(code: Code, register: int, following: list[Instruction]) -> bool:
    for one in following:
        if one.form.control in CALLS:
            record = code.record_at(one.target) if one.form.control == "call" else None
            return register in facts_of(record).arguments
        if register in one.effect.writes or one.form.control:
            return False
    return False


def found_rules(code: Code, mutant: Mutant) -> set[tuple[str, str]]:
    """Rules and severities of what is found in the function that a mutant changes."""
    known = code.functions[mutant.function]
    image = patched(code.image, mutant)
    changed = Code(image, code.functions, code.names, code.data, code.records)
    function = Function(known.name, known.start, known.end, known.record)
    flow = explore(changed, function)
    assert flow is not None, function.problem
    findings = [finding_of(flow, event) for event in flow.events.values()]
    return {(one.rule, one.severity) for one in findings}


def patched(image: Image, mutant: Mutant) -> Image:
    """The image with the mutant's code."""
    regions = []
    for region in image.regions:
        if region.address <= mutant.address < region.end:
            data = bytearray(region.data)
            at = mutant.address - region.address
            data[at : at + len(mutant.code)] = mutant.code
            region = Region(region.address, bytes(data), region.executable, region.name)
        regions.append(region)
    made = Image(image.name, regions, image.labels, image.externs, machine=image.machine)
    return made.finish()
